import numpy as np
import pandas as pd
import pytest

from common.datasets import cache
from common.datasets.cases import Case, Cases
from common.errors import ReplicateError

CALLS = []


def halve(case: Case, *, factor: float) -> Case:
    CALLS.append(case.case)
    target = {**case.target, "mask": case.image[0] > 1}
    image = case.image * factor
    return Case(case.case, case.cluster, image, target, (0.5, 0.5), "A", {"note": "n"})


def with_objects(case: Case) -> Case:
    return Case(case.case, case.cluster, None, {"x": np.array([{}], dtype=object)})


def with_a_set(case: Case) -> Case:
    return Case(case.case, case.cluster, None, {"x": {1, 2}})


def read(row) -> Case:
    image = np.full((1, 3, 3), len(row["case"]), np.float32)
    return Case(row["case"], row["cluster"], image, {"label": np.int64(2), "none": None})


@pytest.fixture
def cases(monkeypatch) -> Cases:
    CALLS.clear()
    monkeypatch.setattr(cache.manifests, "checksum", lambda dataset: "sum of " + dataset)
    monkeypatch.setattr(cache.registry, "module_of", lambda dataset: None)
    names = ["a/b c", "..", "long name"]
    return Cases(pd.DataFrame({"case": names, "cluster": list("ppq")}), read)


def prepared(cases, tmp_path, prepare=halve, dataset="cells", **parameters):
    return cache.prepared(
        cases, prepare, dataset=dataset, parameters=parameters or {"factor": 0.5}, folder=tmp_path
    )


def test_each_case_is_prepared_once_and_read_back_as_it_was(cases, tmp_path):
    first = list(prepared(cases, tmp_path))
    again = list(prepared(cases, tmp_path))
    assert CALLS == ["a/b c", "..", "long name"]
    for made, stored in zip(first, again, strict=True):
        np.testing.assert_array_equal(made.image, stored.image)
        assert stored.image.dtype == np.float32
        np.testing.assert_array_equal(made.target["mask"], stored.target["mask"])
        assert (stored.target["label"], stored.target["none"]) == (2, None)
        assert (stored.case, stored.cluster, stored.site) == (made.case, made.cluster, "A")
        assert (stored.spacing_mm, stored.info) == ((0.5, 0.5), {"note": "n"})


def test_names_of_cases_cannot_leave_the_folder(cases, tmp_path):
    list(prepared(cases, tmp_path / "in"))
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    assert len(list((tmp_path / "in").rglob("*.npz"))) == 3


def test_a_part_of_the_cases_finds_the_same_files(cases, tmp_path):
    whole = prepared(cases, tmp_path)
    assert whole.where([False, True, True])[1].case == "long name"
    assert whole[2].case == "long name"
    assert CALLS == ["long name"]


@pytest.mark.parametrize("changed", [{"factor": 0.25}, {"dataset": "other"}])
def test_other_parameters_and_data_have_other_files(cases, tmp_path, changed):
    prepared(cases, tmp_path)[0]
    prepared(cases, tmp_path, **changed)[0]
    assert len(CALLS) == 2


def test_another_reader_or_another_preparation_has_other_files(cases, tmp_path, monkeypatch):
    prepared(cases, tmp_path)[0]
    monkeypatch.setattr(cache.registry, "module_of", lambda dataset: pytest)
    prepared(cases, tmp_path)[0]
    assert len(CALLS) == 2


def test_a_damaged_file_is_named_and_not_believed(cases, tmp_path):
    prepared(cases, tmp_path)[0]
    (path,) = tmp_path.rglob("*.npz")
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(ReplicateError, match="must be a sound NumPy file"):
        prepared(cases, tmp_path)[0]


@pytest.mark.parametrize(
    ("prepare", "message"), [(with_objects, "arrays of numbers"), (with_a_set, "numbers and texts")]
)
def test_python_objects_are_never_stored(cases, tmp_path, prepare, message):
    made = cache.prepared(cases, prepare, dataset="cells", parameters={}, folder=tmp_path)
    with pytest.raises(ReplicateError, match=message):
        made[0]
    assert not list(tmp_path.rglob("*.npz"))


def test_a_disk_that_refuses_leaves_nothing_half_written(cases, tmp_path, monkeypatch):
    def refuse(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache.os, "replace", refuse)
    with pytest.raises(ReplicateError, match="No space left on device"):
        prepared(cases, tmp_path)[0]
    assert not list(tmp_path.rglob("*.npz"))
