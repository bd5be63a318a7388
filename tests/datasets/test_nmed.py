"""NMED: what the readers of both sets share, on files that this test writes."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat
from test_matlab_arrays import cells, write_v73

from common.datasets.nmed import load_songs
from common.errors import ReplicateError

SAMPLES = 60


def recording(song: str, people: int, samples: int = SAMPLES) -> np.ndarray:
    rng = np.random.default_rng([*song.encode()])
    return rng.normal(size=(125, samples, people))


def write_song(folder: Path, song: str, people, *, version="5", data=None, fs=125.0) -> Path:
    """One stimulus as published; songs differ in length, so samples depend on the number."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"song{song}_Imputed.mat"
    data = recording(song, len(people), SAMPLES + int(song[:2])) if data is None else data
    if version == "5":
        savemat(
            path,
            {f"data{song}": data, "fs": fs, f"subs{song}": cells(people)},
            do_compression=True,
        )
    else:
        write_v73(path, {f"data{song}": data, "fs": [[fs]]}, {f"subs{song}": people})
    return path


PEOPLE = ("02", "03", "11")


@pytest.mark.parametrize("version", ["5", "7.3"])
def test_each_person_of_each_song_is_a_case(tmp_path, version):
    for song in ("21", "30", "25"):
        write_song(tmp_path, song, PEOPLE, version=version)
    cases = pickle.loads(pickle.dumps(load_songs(tmp_path, "song*.mat", dataset="nmed-t")))
    table = cases.table
    assert table["song"].tolist() == [21] * 3 + [25] * 3 + [30] * 3
    assert table["label"].tolist() == [0] * 3 + [1] * 3 + [2] * 3
    assert table["cluster"].tolist() == list(PEOPLE) * 3
    for case, row in zip(cases, table.to_dict("records"), strict=True):
        expected = recording(str(row["song"]), 3, SAMPLES + row["song"])[:, :, row["place"]]
        np.testing.assert_array_equal(case.image, expected.astype(np.float32))
        assert case.target == {"label": row["label"]}
        assert case.info == {"rate_hz": 125.0}
    assert cases[0].case == "song21-02"


def test_two_hearings_of_a_song_have_one_label(tmp_path):
    for song in ("22_a", "22_b", "21_a", "21_b"):
        write_song(tmp_path, song, PEOPLE[:2])
    cases = load_songs(tmp_path, "song*.mat", dataset="nmed-h")
    assert cases.table["hearing"].tolist() == ["a", "a", "b", "b"] * 2
    assert cases.table["label"].tolist() == [0] * 4 + [1] * 4
    np.testing.assert_array_equal(
        cases[7].image, recording("22_b", 2, SAMPLES + 22)[:, :, 1].astype(np.float32)
    )
    assert cases.table["case"].iloc[7] == "song22_b-03"


@pytest.mark.parametrize("data", [np.zeros((124, 9, 3)), np.zeros((125, 9, 2)), np.zeros((125, 9))])
def test_other_channels_or_people_are_refused(tmp_path, data):
    write_song(tmp_path, "21", PEOPLE, data=data)
    rule = r"song21_Imputed.mat must hold 125 channels of the 3 people in subs21"
    with pytest.raises(ReplicateError, match=rule):
        load_songs(tmp_path, "song*.mat", dataset="nmed-t")


def test_an_unknown_name_and_a_variable_of_another_song_are_refused(tmp_path):
    path = write_song(tmp_path, "21", PEOPLE)
    path.rename(tmp_path / "song22_Imputed.mat")
    with pytest.raises(ReplicateError, match="no variable 'subs22'"):
        load_songs(tmp_path, "song*.mat", dataset="nmed-t")
    (tmp_path / "song22_Imputed.mat").rename(tmp_path / "song22_raw.mat")
    with pytest.raises(ReplicateError, match="be named like"):
        load_songs(tmp_path, "song*.mat", dataset="nmed-t")


def test_a_rate_that_makes_no_sense_is_refused(tmp_path):
    write_song(tmp_path, "21", PEOPLE, fs=0.0)
    with pytest.raises(ReplicateError, match=r"must give a rate in Hz in fs, got 0\.0"):
        load_songs(tmp_path, "song*.mat", dataset="nmed-t")[0]
