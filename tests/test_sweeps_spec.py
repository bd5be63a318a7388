import re

import pytest

from common import paths
from common.errors import ReplicateError, UsageError
from common.runs import provenance
from common.runs.sweeps import request, spec
from toy_book import edit

FILE = """\
chapter: toy
name: rates
parameters:
  rate: [1e-3, 0.5]
constraints: ["rate <= n_cases"]
"""


@pytest.fixture
def moments(monkeypatch):
    """Let every sweep be written a minute after the one before."""
    times = (f"2026-01-01T00:{minute:02d}:00.000000+00:00" for minute in range(60))
    monkeypatch.setattr(provenance, "now", lambda: next(times))


def sweep(*rates, slug="toy", **options):
    points = [{"rate": rate, "widths": (8, 16)} for rate in rates]
    return spec.make(slug, "quick", varied=["rate", "widths"], points=points, **options)


def ids(made):
    return [f"{number:016x}" for number, _ in enumerate(made.points)]


def keep(*made):
    for one in made:
        spec.write(one, ids(one))


# the sweep and its file


def test_the_id_depends_on_chapter_profile_and_points_in_their_order():
    one = sweep(0.1, 0.2)
    assert re.fullmatch("[0-9a-f]{12}", one.id)
    assert sweep(0.1, 0.2, name="other").id == one.id
    others = [
        sweep(0.2, 0.1),
        sweep(0.1),
        sweep(0.1, 0.2, slug="tay"),
        spec.make("toy", "standard", varied=one.varied, points=one.points),
    ]
    assert len({one.id, *(other.id for other in others)}) == 5


def test_what_is_read_is_what_was_written(book):
    made = sweep(0.1, 0.2, name="rates")
    path = spec.write(made, ids(made))
    assert path == paths.build_dir() / "sweeps" / made.id / "sweep.json"
    assert spec.read(made.id) == (made, ids(made))
    assert [entry.name for entry in path.parent.iterdir()] == ["sweep.json"]


def test_every_point_needs_its_run(book):
    made = sweep(0.1, 0.2)
    with pytest.raises(ValueError, match="must be 2"):
        spec.write(made, ["0" * 16])
    assert not spec.sweeps_dir().exists()


def test_a_sweep_is_found_by_id_prefix_name_and_as_the_newest_of_its_chapter(book, moments):
    old, new, other = sweep(0.1), sweep(0.2, name="rates"), sweep(0.3, slug="tay")
    keep(old, new, other)
    for reference, expected in [
        (old.id, old),
        (old.id[:4], old),
        (f"toy-{old.id}", old),
        ("rates", new),
        ("toy", new),
        ("tay", other),
    ]:
        assert spec.read(reference)[0] == expected
    keep(old)
    assert spec.read("toy")[0] == old


def test_of_two_sweeps_with_one_name_the_newest_is_meant(book, moments):
    old, new = sweep(0.1, name="rates"), sweep(0.2, name="rates")
    keep(old, new)
    assert spec.read("rates")[0] == new


def test_an_unknown_sweep_is_answered_with_the_known_ones(book):
    with pytest.raises(UsageError, match=r"unknown sweep 'x'. There is none yet; start one"):
        spec.read("x")
    made = sweep(0.1)
    keep(made)
    for reference in ("rates", made.id[:3], "", "..", f"../sweeps/{made.id}"):
        with pytest.raises(UsageError, match=rf"{made.id} \(toy-{made.id}, 1 runs\)"):
            spec.read(reference)


def test_a_prefix_of_several_ids_is_not_enough(book, monkeypatch):
    hashes = iter(["abcdef000001" + "0" * 52, "abcdef000002" + "0" * 52])
    monkeypatch.setattr(spec, "digest", lambda _content: next(hashes))
    keep(sweep(0.1), sweep(0.2))
    with pytest.raises(UsageError, match=r"could be any of abcdef00000., abcdef00000."):
        spec.read("abcdef")
    assert spec.read("abcdef000002")[0].points[0]["rate"] == 0.2


@pytest.mark.parametrize("damage", ["{", "[]", '{"id": 1}'])
def test_a_damaged_file_is_told_by_path_and_hides_no_other_sweep(book, damage):
    broken, whole = sweep(0.1), sweep(0.2)
    keep(broken, whole)
    path = spec.folder(broken.id) / spec.FILE
    path.write_text(damage)
    with pytest.raises(ReplicateError, match=f"{path} is damaged"):
        spec.read(broken.id)
    assert spec.read("toy")[0] == whole


def test_a_file_whose_runs_do_not_match_its_points_is_damaged(book):
    made = sweep(0.1, 0.2)
    path = spec.write(made, ids(made))
    edit(path, '  "0000000000000000",\n', "")
    with pytest.raises(ReplicateError, match="is damaged"):
        spec.read(made.id)


# the request


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "sweep.yml"
    path.write_text(FILE)
    return path


def test_a_file_is_read_with_types(file):
    asked = request.from_file(file)
    assert asked.chapter == "toy"
    assert asked.profile == "quick"
    assert asked.parameters == {"rate": [1e-3, 0.5]}
    assert asked.constraints == ("rate <= n_cases",)


def test_options_of_the_command_line_override_the_file(file):
    asked = request.from_file(file, {"profile": "standard", "seeds": 3, "name": None})
    assert (asked.profile, asked.seeds, asked.name) == ("standard", 3, "rates")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("name:", "nam:", "nam: unknown key. Did you mean `name`? Known: chapter, profile"),
        ("chapter: toy\n", "", "chapter: is missing"),
        ("chapter: toy", "chapter: [toy, hep2]", "a sweep is of one chapter, got toy, hep2"),
        ("name: rates", "name: two words", "name: must be one word"),
        ("name: rates", "name: toy", "name must not be that of the chapter"),
        ("name: rates", "seeds: 0", "seeds: input should be greater than or equal to 1, got 0"),
        ("name: rates", "seeds: true", "seeds: input should be a valid integer, got True"),
        ("name: rates", "points: [{rate: 1}]", "it has parameters and points; keep one of"),
        ("[1e-3, 0.5]", "0.5", "parameters.rate: input should be a valid list, got 0.5"),
        ("parameters:\n  rate: [1e-3, 0.5]\n", "", "it says nothing that varies"),
        (
            "parameters:\n  rate: [1e-3, 0.5]",
            "points: [{chapter: hep2}]",
            "point 1 names a chapter",
        ),
        ("parameters:\n  rate: [1e-3, 0.5]", "points: 3", "points: input should be a valid list"),
    ],
)
def test_a_key_that_cannot_be_meant_is_told_with_its_place(file, old, new, message):
    edit(file, old, new)
    with pytest.raises(UsageError) as error:
        request.from_file(file)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        ("{min: 1, mx: 2}", "random.parameters.rate.mx: unknown key. Did you mean `max`?"),
        ("{min: 1}", "random.parameters.rate: must have min and max, or choices"),
        ("{min: 2, max: 1}", "min must not exceed max, got 2 and 1"),
        ("{min: 0, max: 1, scale: log}", "min must be positive on a log scale, got 0"),
        ("{min: .nan, max: 1}", "random.parameters.rate.min: must be a number between"),
        ("{min: '0', max: 1}", "random.parameters.rate.min: must be a number between"),
        ("{min: true, max: 1}", "random.parameters.rate.min: must be a number between"),
        ("{choices: []}", "must have either min and max, or a list of choices"),
        ("{choices: [1], min: 1, max: 2}", "must have either min and max, or a list of choices"),
        ("{min: 0, max: 1, scale: lin}", "input should be 'linear' or 'log', got 'lin'"),
    ],
)
def test_a_draw_that_cannot_be_meant_is_told_with_its_place(file, draw, message):
    random = f"random: {{n: 3, parameters: {{rate: {draw}}}}}"
    edit(file, "parameters:\n  rate: [1e-3, 0.5]", random)
    with pytest.raises(UsageError) as error:
        request.from_file(file)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("  rate: [1e-3, 0.5]", "  rate: [1e-3, 0.5}", ":4: "),
        ("name: rates", "name: rates\nname: again", ":3: "),
    ],
)
def test_an_error_of_yaml_is_told_with_the_file_and_the_line(file, old, new, place):
    edit(file, old, new)
    with pytest.raises(UsageError) as error:
        request.from_file(file)
    assert str(error.value).startswith(f"{file}{place}")


def test_an_error_of_yaml_shows_the_text_of_its_line(file):
    edit(file, "  rate: [1e-3, 0.5]", "  rate: [1e-3, 0.5}")
    with pytest.raises(UsageError) as error:
        request.from_file(file)
    assert "rate: [1e-3, 0.5}" in str(error.value)


@pytest.mark.parametrize("text", ["", "- 1\n", "3\n"])
def test_a_file_without_keys_is_refused(file, text):
    file.write_text(text)
    with pytest.raises(UsageError, match="must hold keys such as `chapter:`"):
        request.from_file(file)


def test_a_missing_file_is_told_by_its_path(tmp_path):
    with pytest.raises(UsageError, match=r"there is no sweep file .*swep\.yml"):
        request.from_file(tmp_path / "swep.yml")
