"""What every reader promises, tried on the real files that are at hand."""

import inspect
import pickle

import numpy as np
import pandas as pd
import pytest

from common import manifests
from common.datasets import registry
from common.datasets.cases import Cases
from common.errors import ReplicateError

# the released results of HEp-2 are tables of several kinds, read as a whole by their chapter
READERS = [name for name in registry.readable() if name != "hep2-author-results"]


def on_disk(name: str):
    folder = manifests.locate(name)
    if folder is None:
        pytest.skip(f"real files of {name} are absent: its fixture tests read the format")
    return registry.module_of(name).load(folder)


@pytest.mark.parametrize("name", READERS)
def test_a_reader_can_be_called_without_arguments(name):
    parameters = inspect.signature(registry.module_of(name).load).parameters
    assert next(iter(parameters)) == "folder"
    assert all(one.default is not inspect.Parameter.empty for one in parameters.values())


@pytest.mark.parametrize("name", READERS)
def test_a_reader_without_files_says_where_they_belong(name, tmp_path, monkeypatch):
    monkeypatch.setenv("REPLICATE_DATA", str(tmp_path))
    monkeypatch.delenv("REPLICATE_MIRROR", raising=False)
    with pytest.raises(ReplicateError, match=registry.module_of(name).DATASET):
        registry.module_of(name).load()


@pytest.mark.parametrize("name", READERS)
def test_the_first_and_last_case_agree_with_the_table(name):
    found = on_disk(name)
    if isinstance(found, pd.DataFrame):
        assert len(found) > 0
        return
    assert isinstance(found, Cases)
    table = found.table
    for position in (0, len(found) - 1):
        case = found[position]
        assert (case.case, case.cluster) == tuple(table.loc[position, ["case", "cluster"]])
        if case.image is not None:
            assert case.image.ndim >= 2
            assert case.image.dtype.kind in "uif"
        for key in ("mask", "instances"):
            if key in case.target and case.image is not None:
                assert case.target[key].shape == case.image.shape[1:]
        if "label" in case.target and hasattr(registry.module_of(name), "CLASSES"):
            assert isinstance(case.target["label"], int | np.integer)


@pytest.mark.parametrize("name", READERS)
def test_its_cases_can_be_read_in_other_processes(name):
    found = on_disk(name)
    if isinstance(found, Cases):
        again = pickle.loads(pickle.dumps(found))  # as joblib hands cases to its workers
        assert again[0].case == found[0].case
