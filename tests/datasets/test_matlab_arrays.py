"""Variables of MATLAB files of both versions, written by this test."""

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from common.datasets import matlab_arrays
from common.errors import ReplicateError

SIDES = (5, 40, 3)
NAMES = ("01", "07", "12")


def cells(names) -> np.ndarray:
    array = np.empty((1, len(names)), dtype=object)
    array[0] = names
    return array


def write_v73(path, arrays, texts=()) -> None:
    """As MATLAB's -v7.3: a header before HDF5, axes reversed, cells as references to characters."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=np.asarray(array).T)
            file[name].attrs["MATLAB_class"] = np.bytes_("double")
        for name, words in dict(texts).items():
            references = np.empty((len(words), 1), dtype=h5py.ref_dtype)
            for i, word in enumerate(words):
                entry = file.create_dataset(f"#refs#/{name}{i}", data=[[ord(c)] for c in word])
                entry.attrs["MATLAB_class"] = np.bytes_("char")
                references[i, 0] = entry.ref
            file.create_dataset(name, data=references)
            file[name].attrs["MATLAB_class"] = np.bytes_("cell")
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\0\2IM")


@pytest.fixture
def data(rng):
    return rng.normal(size=SIDES)


@pytest.fixture(params=["5", "5 without compression", "7.3"])
def path(request, tmp_path, data):
    path = tmp_path / "song.mat"
    if request.param == "7.3":
        write_v73(path, {"data": data, "fs": [[125.0]]}, {"subs": NAMES})
    else:
        content = {"data": data, "fs": 125, "subs": cells(NAMES)}
        savemat(path, content, do_compression=request.param == "5")
    return path


def test_both_versions_give_the_same_arrays_numbers_and_texts(path, data):
    assert set(matlab_arrays.names(path)) == {"data", "fs", "subs"}
    assert matlab_arrays.shape(path, "data") == SIDES
    whole = matlab_arrays.read_part(path, "data")
    np.testing.assert_array_equal(whole, data.astype(np.float32))
    assert whole.dtype == np.float32
    assert matlab_arrays.read_number(path, "fs") == 125
    assert matlab_arrays.read_texts(path, "subs") == list(NAMES)


def test_one_place_along_the_last_axis_is_read(path, data):
    for last in range(3):
        part = matlab_arrays.read_part(path, "data", last=last)
        np.testing.assert_array_equal(part, data[:, :, last].astype(np.float32))


def test_writing_into_a_part_changes_nothing_that_is_read_later(path, data):
    for last in (None, 1):
        matlab_arrays.read_part(path, "data", last=last)[:] = 0
    np.testing.assert_array_equal(matlab_arrays.read_part(path, "data"), data.astype(np.float32))


def test_a_file_that_took_the_place_of_another_is_read_anew(tmp_path):
    path = tmp_path / "a.mat"
    savemat(path, {"x": np.ones(3)})
    assert matlab_arrays.read_part(path, "x").sum() == 3
    savemat(path, {"x": np.ones(4)})
    assert matlab_arrays.read_part(path, "x").sum() == 4


def test_numbers_are_texts_without_fraction(tmp_path):
    savemat(tmp_path / "a.mat", {"subs": np.array([[2, 14]]), "names": np.array(["a", "bc"])})
    assert matlab_arrays.read_texts(tmp_path / "a.mat", "subs") == ["2", "14"]
    assert matlab_arrays.read_texts(tmp_path / "a.mat", "names") == ["a", "bc"]
    write_v73(tmp_path / "b.mat", {"subs": [[2.0, 14.0]]})
    assert matlab_arrays.read_texts(tmp_path / "b.mat", "subs") == ["2", "14"]


def test_absent_variables_and_texts_in_place_of_numbers_are_refused(path):
    for name in ("eeg", "subs"):
        with pytest.raises(
            ReplicateError, match=rf"no array of numbers '{name}'|no array '{name}'"
        ):
            matlab_arrays.read_part(path, name)
    with pytest.raises(ReplicateError, match=r"no (variable|array) 'people'"):
        matlab_arrays.read_texts(path, "people")
    with pytest.raises(ReplicateError, match="'data' with 600 values, not one"):
        matlab_arrays.read_number(path, "data")
    with pytest.raises(ReplicateError, match=r"song.mat must be a sound MATLAB file"):
        matlab_arrays.read_part(path, "data", last=3)


def test_damaged_and_absent_files_are_named(path):
    path.write_bytes(path.read_bytes()[:900])
    for bad in (path, path.with_name("absent.mat")):
        with pytest.raises(ReplicateError, match=rf"{bad.name} must be a sound MATLAB file"):
            matlab_arrays.read_part(bad, "data")


def test_an_array_beyond_what_its_file_can_hold_is_refused(tmp_path):
    with h5py.File(tmp_path / "bomb.mat", "w") as file:
        file.create_dataset("data", shape=(20, 20_000, 125), dtype="f8", chunks=(1, 1000, 125))
        file.create_dataset("huge", shape=(4, 10**7, 125), dtype="f8", chunks=(1, 1000, 125))
    with pytest.raises(ReplicateError, match="a header of 20,000,000 bytes in a file of"):
        matlab_arrays.read_part(tmp_path / "bomb.mat", "data", last=0)
    with pytest.raises(ReplicateError, match="limit"):
        matlab_arrays.read_part(tmp_path / "bomb.mat", "huge", last=0)


def test_data_in_another_file_are_refused(tmp_path):
    with h5py.File(tmp_path / "other.mat", "w") as file:
        file["data"] = np.ones((2, 2))
    with h5py.File(tmp_path / "a.mat", "w") as file:
        file["data"] = h5py.ExternalLink("other.mat", "data")
        file.create_dataset("raw", (4,), "u1", external=[(str(tmp_path / "other.mat"), 0, 4)])
    for name in ("data", "raw"):
        with pytest.raises(ReplicateError, match=f"no array '{name}'|'{name}' in another file"):
            matlab_arrays.read_part(tmp_path / "a.mat", name)
