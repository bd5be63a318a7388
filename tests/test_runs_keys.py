import pytest

from common import paths
from common.errors import ReplicateError, UsageError
from common.runs import keys, notebooks
from common.runs.keys import differences, imports_of, module_hashes, plan
from toy_book import add_paper, edit


@pytest.fixture
def toy(book):
    """The notebook of a miniature book."""
    return add_paper(book)


def test_prose_comments_docstrings_and_layout_do_not_change_the_id(toy):
    before = plan("toy").id
    edit(toy, "# # A toy chapter", "# # A better title\n#\n# And a sentence.")
    edit(toy, 'print("checked", 1 + 1)', '# now checked\nprint(\n    "checked",\n    1 + 1,\n)')
    edit(toy, "# cases of the phantom", "# cases")
    toy.write_text(toy.read_text() + "\n# %%\n# only a comment\n\n# %% [markdown]\n# The end.\n")
    assert plan("toy").id == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("1 + 1", "1 + 2"),
        ("n_cases = 4", "n_cases = 5"),
        ("default_rng(3)", "default_rng(4)"),
        ('print("checked", 1 + 1)', 'print("checked")\n\n# %%\nprint(1 + 1)'),
    ],
)
def test_an_edit_of_the_code_changes_the_id(toy, old, new):
    before = plan("toy").id
    edit(toy, old, new)
    assert plan("toy").id != before


def test_the_id_depends_on_profile_parameters_declaration_and_tables(toy):
    folder = paths.paper_dir("toy")
    ids = [plan("toy").id, plan("toy", profile="standard").id]
    ids.append(plan("toy", given={"rate": 0.25}).id)
    edit(folder / "table1.csv", "0.5", "0.6")
    ids.append(plan("toy").id)
    edit(folder / "paper.yml", "Two is larger than one.", "Two is smaller than one.")
    ids.append(plan("toy").id)
    assert len(set(ids)) == 5


def test_a_comment_in_paper_yml_costs_no_run(toy):
    before = plan("toy").id
    edit(paths.paper_dir("toy") / "paper.yml", "modality: none", "modality: none  # a toy")
    assert plan("toy").id == before


def test_a_default_that_is_written_out_is_the_same_run(toy):
    assert plan("toy", given={"n_cases": 4}).id == plan("toy").id
    assert plan("toy", texts=["widths=[8, 16]"]).id == plan("toy").id


def test_the_id_depends_on_the_data(toy, monkeypatch):
    sums = {"toy-data": "absent"}
    monkeypatch.setattr(keys, "data_checksums", lambda paper: dict(sums))
    before = plan("toy").id
    sums["toy-data"] = "ab" * 32
    assert plan("toy").id != before


def test_the_id_depends_on_versions(toy, monkeypatch):
    before = plan("toy").id
    monkeypatch.setattr(keys, "versions", lambda: {"python": "3.11.0", "torch": "1.0"})
    assert plan("toy").id != before


def test_only_parameters_that_differ_from_the_defaults_are_handed_in(toy):
    handed = plan("toy", texts=["widths=4,5", "rate=0.5"]).notebook
    cells = [cell.source for cell in handed.cells if notebooks.INJECTED in notebooks.tags(cell)]
    assert cells == ["widths = (4, 5)"]
    assert all(
        notebooks.INJECTED not in notebooks.tags(cell) for cell in plan("toy").notebook.cells
    )


def test_the_syntax_of_a_program_does_not_depend_on_the_version_of_python(monkeypatch):
    source = "def f(x):\n    return x\n\nclass A:\n    pass\n"
    here = notebooks.syntax(source)
    assert "type_params" not in here
    parse = notebooks.ast.parse

    def parsed_by_a_newer_python(text):
        tree = parse(text)
        for node in tree.body:
            node._fields = (
                *[name for name in node._fields if name != "type_params"],
                "type_params",
            )
            node.type_params = []
        return tree

    monkeypatch.setattr(notebooks.ast, "parse", parsed_by_a_newer_python)
    assert notebooks.syntax(source) == here


def test_unknown_names_are_usage_errors(toy):
    with pytest.raises(UsageError, match=r"unknown chapter 'toi'\. Did you mean 'toy'"):
        plan("toi")
    with pytest.raises(UsageError, match=r"unknown profile 'qick'\. Did you mean 'quick'"):
        plan("toy", profile="qick")
    with pytest.raises(UsageError, match="chapter toy has no profile 'full', only quick, standard"):
        plan("toy", profile="full")


@pytest.fixture
def package(tmp_path):
    """A package in which ``models.net`` needs ``deep.helper`` and nothing needs ``other``."""
    files = {
        "__init__.py": "",
        "other.py": "X = 1\n",
        "models/__init__.py": "",
        "models/net.py": "from ..deep import helper\n",
        "deep/__init__.py": "Y = 2\n",
        "deep/helper.py": "def f():\n    '''Doc.'''\n    from common.deep import late\n",
        "deep/late.py": "Z = 3\n",
        "runs/__init__.py": "from common.runs import engine\n",
        "runs/engine.py": "",
        "runs/session.py": "from common import other\n",
    }
    for name, text in files.items():
        path = tmp_path / "package" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "package"


def test_imports_are_followed_through_packages_relative_names_and_functions(package):
    found = module_hashes({"common.models", "common.models.net", "numpy"}, package=package)
    reached = ["common", "common.deep", "common.deep.helper", "common.deep.late"]
    assert list(found) == [*reached, "common.models", "common.models.net"]


def test_an_edited_helper_changes_only_what_imports_it(package):
    def hashes():
        net = module_hashes({"common.models.net"}, package=package)
        return net, module_hashes({"common.other"}, package=package)

    net, other = hashes()
    edit(package / "deep/late.py", "3", "4")
    net_after, other_after = hashes()
    assert net_after != net
    assert {name for name in net if net[name] != net_after[name]} == {"common.deep.late"}
    assert other_after == other
    edit(package / "deep/helper.py", "'''Doc.'''", "'''Other words.'''  # and a comment")
    assert hashes() == (net_after, other_after)


def test_of_the_machinery_only_what_a_chapter_calls_is_counted(package):
    found = module_hashes({"common.runs", "common.runs.session"}, package=package)
    assert list(found) == ["common", "common.other", "common.runs.session"]


def test_an_edited_helper_that_the_chapter_imports_makes_a_new_run(toy, package, monkeypatch):
    edit(toy, "import numpy as np", "import numpy as np\nfrom common.models.net import helper")
    hashes = keys.module_hashes
    monkeypatch.setattr(keys, "module_hashes", lambda n, **more: hashes(n, package=package, **more))
    before = plan("toy").id
    edit(package / "other.py", "X = 1", "X = 1  # one")
    assert plan("toy").id == before
    edit(package / "deep/late.py", "Z = 3", "Z = 33")
    assert plan("toy").id != before


SHOWING = '# %% tags=["only-shows"]\nfrom common import splits\n\nprint([x for x in (1, 2)])\n'


def test_a_cell_that_only_shows_costs_a_run_and_leaves_records_as_they_are(toy):
    before = plan("toy")
    toy.write_text(toy.read_text() + "\n" + SHOWING)
    added = plan("toy")
    edit(toy, "(1, 2)", "(1, 2, 3)")
    edited = plan("toy")
    assert len({before.id, added.id, edited.id}) == 3
    assert differences(before.parts, added.parts) == ()
    assert differences(added.parts, edited.parts) == ()
    assert "common.splits" in added.parts["shown_modules"]
    later = {**added.parts, "modules": {**added.parts["modules"], "common.splits": "other"}}
    assert differences(added.parts, later) == ()


def test_what_only_a_showing_module_imports_does_not_age_records(toy, package, monkeypatch):
    edit(toy, "import numpy as np", "import numpy as np\nfrom common import figures")
    (package / "figures.py").write_text("from common import palette\n")
    (package / "palette.py").write_text("RED = 1\n")
    hashes = keys.module_hashes
    monkeypatch.setattr(keys, "module_hashes", lambda n, **more: hashes(n, package=package, **more))
    before = plan("toy")
    assert {"common.figures", "common.palette"} <= set(before.parts["modules"])
    edit(package / "palette.py", "RED = 1", "RED = 2")
    assert differences(before.parts, plan("toy").parts) == ()


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("x = 1", "x"),
        ("for i in ():\n    pass", "i"),
        ("def f():\n    pass", "f"),
        ("rng.state = 3", r"rng\.state"),
        ("records[0] = 3", r"records\[0\]"),
        ("print(y := 2)", "y"),
        ("%time 1", "whatever its magics do"),
    ],
)
def test_a_cell_that_only_shows_may_set_no_name(toy, line, name):
    toy.write_text(toy.read_text() + '\n# %% tags=["only-shows"]\n' + line + "\n")
    with pytest.raises(ReplicateError, match=f"toy: a cell tagged .* must set no name, got {name}"):
        plan("toy")


def test_imports_of_cells_with_magics_count():
    text = "# %%\nimport common.records\n\n# %%\n%time x = 1\nfrom common import figures\n"
    found = imports_of(notebooks.code_cells(notebooks.parse(text, "toy")))
    assert {"common.records", "common.figures"} <= found


def test_changes_of_display_and_cost_do_not_age_records_but_changes_of_numbers_do():
    stored = {
        "notebook": "a",
        "paper": "p1",
        "declared": "d",
        "modules": {"common.figures": "1", "common.statistics.paired": "1", "common.papers": "1"},
        "data": {"x": "absent"},
    }
    current = {
        **stored,
        "paper": "p2",
        "modules": {"common.figures": "2", "common.statistics.paired": "1", "common.papers": "2"},
        "data": {"x": "ab"},
    }
    assert differences(stored, current) == ()
    current["modules"] = {**current["modules"], "common.statistics.paired": "2"}
    assert differences(stored, current) == ("code changed: common.statistics.paired",)
    assert differences(stored, {**stored, "declared": "e"}) == ("paper.yml changed",)
