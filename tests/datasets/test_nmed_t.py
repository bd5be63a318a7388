"""NMED-T: ten songs as published, short and with few people."""

import pytest
from test_nmed import write_song

from common.datasets import nmed_t as reader
from common.errors import ReplicateError


def test_ten_songs_give_ten_classes_with_people_across_songs(tmp_path):
    for song in range(21, 31):
        write_song(tmp_path, str(song), ("02", "20"))
    (tmp_path / "participantInfo.mat").touch()
    cases = reader.load(tmp_path)
    assert len(cases) == 20
    names = [reader.CLASSES[label] for label in cases.table["label"]]
    assert names == [f"song {number}" for number in cases.table["song"]]
    assert set(cases.table["cluster"]) == {"02", "20"}
    assert cases[19].image.shape == (125, 90)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(ReplicateError, match=r"files named song\*_Imputed.mat, got none"):
        reader.load(tmp_path)
