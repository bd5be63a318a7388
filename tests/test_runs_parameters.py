import pytest

from common.errors import ReplicateError, UsageError
from common.papers import Range
from common.runs import notebooks
from common.runs.parameters import Parameter, declared, parse, parse_all, resolve
from toy_book import add_paper

HEAD = '# %% tags=["parameters"]\n'


def from_cell(source):
    return declared(notebooks.parse(HEAD + source, "toy"), "toy")


def test_names_defaults_kinds_and_comments_are_read_from_the_cell():
    found = from_cell(
        "epochs = 3  # passes over the data\n"
        "widths = (\n    8,\n    16,\n)  # channels\n"
        'note = "a # is no comment"\n'
        "limit: float | None = None  # seconds\n"
        "rates = [1, 0.5]\n"
    )
    assert list(found) == ["epochs", "widths", "note", "limit", "rates"]
    assert found["epochs"] == Parameter("epochs", 3, "int", help="passes over the data")
    assert (found["widths"].default, found["widths"].rule) == ((8, 16), "tuple of int")
    assert found["widths"].help == "channels"
    assert found["note"].help == ""
    assert (found["limit"].rule, found["limit"].help) == ("float or None", "seconds")
    assert found["rates"].rule == "list of float"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("epochs = 2 * 3", "must be a literal"),
        ("import os", "every statement must be"),
        ("a = b = 1", "every statement must be"),
        ("epochs = 1\nepochs = 2", "`epochs` is set twice"),
        ("epochs = = 1", "line 1"),
    ],
)
def test_a_cell_that_is_not_flat_literals_is_refused(source, message):
    with pytest.raises(ReplicateError, match=message):
        from_cell(source)


def test_a_chapter_without_a_parameters_cell_is_refused_with_the_remedy(book):
    add_paper(book, notebook="# %%\nx = 1\n")
    with pytest.raises(ReplicateError, match=r"exactly 1 cell tagged 'parameters', got 0.*tags="):
        declared(notebooks.read("toy"), "toy")


@pytest.mark.parametrize(
    ("default", "text", "value"),
    [
        (2, "10", 10),
        (2, "-1", -1),
        (0.5, "1", 1.0),
        (0.5, "1e-3", 0.001),
        (True, "False", False),
        ("dice", "bce", "bce"),
        ("dice", "'bce'", "bce"),
        ("dice", "10", "10"),
        ((8,), "4,5", (4, 5)),
        ([8], "(4, 5)", [4, 5]),
        ([0.5], "[1, 2]", [1.0, 2.0]),
        (None, "None", None),
        (None, "3", 3),
    ],
)
def test_a_text_becomes_a_value_of_the_parameters_type(default, text, value):
    known = from_cell(f"name = {default!r}")
    got = resolve(known, parse_all(known, [f"name={text}"]))["name"]
    assert got == value
    assert type(got) is type(value)


@pytest.mark.parametrize(
    ("default", "text", "rule"),
    [
        (2, "ten", "must be int, got 'ten'"),
        (2, "1.0", "must be int, got 1.0"),
        (2, "True", "must be int, got True"),
        (2, "None", "must be int, got 'None'"),
        (True, "1", "must be bool, got 1"),
        (0.5, "1e999", "must be float, got inf"),
        ((8,), "4", "must be tuple of int, got 4"),
        ((8,), "4.5,5", r"must be tuple of int, got \(4.5, 5\)"),
        (["a"], "[1]", r"must be list of str, got \[1\]"),
    ],
)
def test_a_value_of_another_type_is_refused_with_rule_and_value(default, text, rule):
    known = from_cell(f"name = {default!r}")
    with pytest.raises(UsageError, match=f"parameter `name` {rule}"):
        resolve(known, parse_all(known, [f"name={text}"]))


def test_an_unknown_name_is_refused_and_the_nearest_suggested():
    known = from_cell("n_epochs = 2\nloss = 'dice'")
    with pytest.raises(
        UsageError, match=r"unknown parameter `n_epoch`\. Did you mean `n_epochs`\?"
    ):
        resolve(known, {"n_epoch": 3})
    with pytest.raises(UsageError, match=r"unknown parameter `zzz`\. Known: n_epochs, loss"):
        parse_all(known, ["zzz=1"])


@pytest.mark.parametrize("given", [["epochs"], ["=3"], ["epochs=1", "epochs=2"]])
def test_a_pair_without_name_or_value_or_given_twice_is_refused(given):
    with pytest.raises(UsageError):
        parse_all(from_cell("epochs = 2"), given)


def test_values_outside_their_range_are_refused_defaults_included():
    known = from_cell("epochs = 2\nrates = [0.1]\nloss = 'dice'")
    ranges = {
        "epochs": Range(min=1, max=9),
        "rates": Range(min=0.0),
        "loss": Range(choices=("dice", "bce")),
    }
    assert resolve(known, {"epochs": 9, "rates": [0, 3]}, ranges)["rates"] == [0.0, 3.0]
    with pytest.raises(UsageError, match=r"`epochs` must be in \[1, 9\], got 10"):
        resolve(known, {"epochs": 10}, ranges)
    with pytest.raises(UsageError, match=r"`rates` must be in \[0, inf\], got -1.0"):
        resolve(known, {"rates": [1, -1]}, ranges)
    with pytest.raises(UsageError, match="`loss` must be one of 'dice', 'bce', got 'tversky'"):
        resolve(known, {"loss": "tversky"}, ranges)
    with pytest.raises(UsageError, match=r"`epochs` must be in \[5, 9\], got 2"):
        resolve(known, {}, {"epochs": Range(min=5, max=9)})


def test_a_range_for_a_parameter_that_does_not_exist_is_an_error_of_the_declaration():
    with pytest.raises(ReplicateError, match=r"range for `epoch`.*known: epochs"):
        resolve(from_cell("epochs = 2"), {}, {"epoch": Range(min=1)})


def test_a_bare_word_is_a_text():
    assert parse(Parameter("loss", "dice", "str"), "[bce") == "[bce"
