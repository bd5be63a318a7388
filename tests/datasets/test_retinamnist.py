import pickle
import zipfile

import numpy as np
import pytest

from common.datasets.retinamnist import FILE, load
from common.errors import ReplicateError

SIZES = {"train": 4, "val": 2, "test": 3}


def arrays():
    """Images that name themselves: part, place and channel."""
    found = {}
    for number, (part, size) in enumerate(SIZES.items()):
        images = np.zeros((size, 224, 224, 3), np.uint8)
        images[..., 0], images[..., 2] = number, 7
        images[..., 1] = np.arange(size)[:, None, None]
        images[:, 0, 5] = 200
        found[f"{part}_images"] = images
        found[f"{part}_labels"] = np.arange(size, dtype=np.uint8)[:, None] % 5
    return found


def write(folder, **changed):
    np.savez_compressed(folder / FILE, **arrays() | changed)


@pytest.fixture
def folder(tmp_path):
    write(tmp_path)
    return tmp_path


def test_parts_grades_and_images_come_back_as_written(folder):
    cases = load(folder)
    assert cases.table["part"].value_counts().to_dict() == {"train": 4, "test": 3, "validation": 2}
    assert cases.table["case"].tolist()[3:5] == ["train-0003", "validation-0000"]
    for case in cases:
        part, place = case.case.split("-")
        number = ["train", "validation", "test"].index(part)
        assert case.image[:, 1, 1].tolist() == [number, int(place), 7]
        # row 0, column 5 and not the other way round
        assert (case.image[:, 0, 5] == 200).all()
        assert case.image[0, 5, 0] == number
        assert case.target["label"] == int(place)


def test_a_case_is_its_own_memory_and_can_be_read_by_another_process(folder):
    cases = pickle.loads(pickle.dumps(load(folder)))
    cases[0].image[:] = 9
    assert cases[0].image[2, 1, 1] == 7


def test_a_file_that_was_replaced_is_read_anew(folder):
    cases = load(folder)
    assert cases[0].image[2, 1, 1] == 7
    write(folder, train_images=np.full((4, 224, 224, 3), 50, np.uint8))
    assert cases[0].image[2, 1, 1] == 50


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"val_labels": np.zeros((3, 1), np.uint8)}, "each of the 2 validation images a grade"),
        ({"val_labels": np.full((2, 1), 5, np.uint8)}, r"0 to 4, got \(2, 1\), up to 5"),
        ({"val_labels": np.zeros((2, 1))}, "val_labels as bytes, got: val_labels of float64"),
        ({"test_images": np.zeros((3, 28, 28, 3), np.uint8)}, "test_images of uint8"),
        ({"test_images": np.zeros((3, 224, 224), np.uint8)}, "test_images of uint8"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(folder, changed, message):
    write(folder, **changed)
    with pytest.raises(ReplicateError, match=message.replace("got: ", "got ")):
        load(folder)


def test_a_header_that_announces_more_than_there_is_is_refused(folder):
    with zipfile.ZipFile(folder / FILE) as archive:
        stored = {name: archive.read(name) for name in archive.namelist()}
    stored["train_images.npy"] = stored["train_images.npy"].replace(b"(4, 224", b"(9, 224")
    stored["train_labels.npy"] = stored["train_labels.npy"].replace(b"(4, 1)", b"(9, 1)")
    with zipfile.ZipFile(folder / FILE, "w") as archive:
        for name, content in stored.items():
            archive.writestr(name, content)
    with pytest.raises(ReplicateError, match="4 of 9 bytes of train_labels"):
        load(folder)


def test_python_objects_an_absent_array_and_a_broken_file_are_refused(folder):
    write(folder, test_labels=np.array([[{}], [{}], [{}]], dtype=object))
    with pytest.raises(ReplicateError, match="test_labels of object"):
        load(folder)
    np.savez(folder / FILE, train_images=arrays()["train_images"])
    with pytest.raises(ReplicateError, match=r"no item named 'train_labels.npy'"):
        load(folder)
    (folder / FILE).write_bytes(b"PK\x03\x04")
    with pytest.raises(ReplicateError, match=r"retinamnist_224.npz must be a sound NumPy archive"):
        load(folder)
