"""NMED-H: four songs of a version as published, short and with few people."""

import pytest
from test_nmed import write_song

from common.datasets import nmed_h as reader
from common.errors import ReplicateError

FIRST = {"orig": 21, "rev": 25, "phase": 29, "meas": 33}


@pytest.fixture
def root(tmp_path):
    for version in ("orig", "meas"):
        for song in range(FIRST[version], FIRST[version] + 4):
            for hearing in "ab":
                folder = tmp_path / f"CleanEEG_aggregatedByStimulus_{version}"
                write_song(folder, f"{song}_{hearing}", (f"{version}1", f"{version}2"))
    return tmp_path


@pytest.mark.parametrize("version", ["orig", "meas"])
def test_a_version_is_read_alone_with_the_same_four_classes(root, version):
    cases = reader.load(root, version=version)
    table = cases.table
    assert len(cases) == 4 * 2 * 2
    assert sorted(set(table["song"])) == list(range(FIRST[version], FIRST[version] + 4))
    assert (table["label"] == table["song"] - FIRST[version]).all()
    assert set(table["cluster"]) == {f"{version}1", f"{version}2"}
    assert table.groupby("label")["hearing"].apply(set).tolist() == [{"a", "b"}] * 4
    assert cases[0].image.shape[0] == 125
    assert len(reader.CLASSES) == 4


def test_an_absent_and_an_unknown_version_are_refused(root):
    with pytest.raises(ReplicateError, match="CleanEEG_aggregatedByStimulus_rev"):
        reader.load(root, version="rev")
    with pytest.raises(ValueError, match="`version` must be one of"):
        reader.load(root, version="reversed")
