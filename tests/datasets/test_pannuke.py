import tracemalloc

import numpy as np
import pytest

from common.datasets.pannuke import CLASSES, load, merge
from common.errors import ReplicateError

TISSUES = ["Breast", "Bile-duct"]


def save(folder, fold, name, array):
    path = folder / f"Fold {fold}/{name.replace('types', 'images')}/fold{fold}/{name}.npy"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, array)
    return path


def masks():
    """Two patches: three nuclei of two classes whose numbers have gaps, then none."""
    found = np.zeros((2, 256, 256, 6))
    found[0, 10:20, 10:20, 0] = 3
    found[0, 50:54, 100:110, 0] = 40
    found[0, 200:210, 30:32, 3] = 40
    found[..., 5] = ~found[..., :5].any(axis=-1)
    return found


def images(fold):
    found = np.full((2, 256, 256, 3), fold, float)
    found[:, :, 0] = [250, 100, 0]
    found[1, 0] = 17
    return found


@pytest.fixture
def folder(tmp_path):
    for fold in (1, 2, 3):
        save(tmp_path, fold, "images", images(fold))
        save(tmp_path, fold, "masks", masks())
        save(tmp_path, fold, "types", np.array(TISSUES))
    return tmp_path


def test_folds_and_tissues_come_back_as_written(folder):
    table = load(folder).table
    assert len(table) == 6
    assert table["part"].tolist() == [f"fold {fold}" for fold in (1, 1, 2, 2, 3, 3)]
    assert table["site"].tolist() == TISSUES * 3
    assert load(folder, folds=(3,)).table["case"].tolist() == ["fold3-0000", "fold3-0001"]


def test_images_come_as_bytes_with_channels_first(folder):
    first, second = load(folder, folds=(2,))
    assert first.image.dtype == np.uint8
    assert first.image.shape == (3, 256, 256)
    assert first.image[:, 5, 0].tolist() == [250, 100, 0]
    assert first.image[:, 0, 5].tolist() == [2, 2, 2]
    assert second.image[:, 0, 5].tolist() == [17, 17, 17]
    assert (first.site, second.site) == tuple(TISSUES)


def test_nuclei_are_numbered_once_and_carry_their_class(folder):
    first, second = load(folder, folds=(1,))
    instances, classes = first.target["instances"], first.target["classes"]
    areas = {
        int(number): (int((instances == number).sum()), CLASSES[classes[instances == number][0]])
        for number in np.unique(instances)
    }
    assert areas == {
        0: (256 * 256 - 160, "background"),
        1: (100, "neoplastic"),
        2: (40, "neoplastic"),
        3: (20, "dead"),
    }
    assert instances[205, 31] == 3
    counts = {"neoplastic": 2, "inflammatory": 0, "connective": 0, "dead": 1, "epithelial": 0}
    assert first.info["n_nuclei"] == counts
    assert not second.target["instances"].any()
    assert not any(second.info["n_nuclei"].values())


def test_a_later_channel_takes_a_pixel_that_two_claim():
    channels = np.zeros((1, 4, 2), np.int32)
    channels[0, :3, 0] = [1, 2, 2]
    channels[0, :1, 1] = 1
    instances, classes = merge(channels)
    assert classes.tolist() == [[2, 1, 1, 0]]
    # the first nucleus of the first channel lost its only pixel
    assert instances.tolist() == [[2, 1, 1, 0]]


def test_bytes_are_read_like_floats(folder):
    before = load(folder, folds=(1,))[0]
    save(folder, 1, "images", images(1).astype(np.uint8))
    save(folder, 1, "masks", masks().astype(np.uint16))
    after = load(folder, folds=(1,))[0]
    np.testing.assert_array_equal(before.image, after.image)
    np.testing.assert_array_equal(before.target["instances"], after.target["instances"])


def test_a_fold_is_not_read_for_one_case(folder):
    n = 40
    for name, last in (("images", 3), ("masks", 6)):
        path = save(folder, 1, name, np.zeros(1))
        shape = (n, 256, 256, last)
        np.lib.format.open_memmap(path, "w+", np.float64, shape)[-1, ..., -1] = 1
    save(folder, 1, "types", np.array(["Colon"] * n))
    tracemalloc.start()
    case = load(folder, folds=(1,))[n - 1]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert case.case == "fold1-0039"
    assert case.image[:, 0, 0].tolist() == [0, 0, 1]
    # one patch of masks takes 3 MB, the fold 126 MB
    assert path.stat().st_size > 120e6
    assert peak < 20e6


@pytest.mark.parametrize("value", [-1, 0.5, 256, np.nan])
def test_values_that_are_no_bytes_are_refused(folder, value):
    array = images(1)
    array[1, 3, 3, 0] = value
    save(folder, 1, "images", array)
    load(folder)[0]
    with pytest.raises(ReplicateError, match="whole numbers from 0 to 255 in patch 1"):
        load(folder)[1]


@pytest.mark.parametrize("background", [lambda part: 1 - part, lambda part: 0 * part])
def test_a_background_that_contradicts_the_nuclei_is_refused(folder, background):
    array = masks()
    array[1, ..., 5] = background(array[1, ..., 5])
    save(folder, 1, "masks", array)
    load(folder)[0]
    with pytest.raises(ReplicateError, match=r"mark patch 1 as background .* got 0.00 of its"):
        load(folder)[1]


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("types", np.array(["Breast"]), "must hold the 1 patches of types.npy, got 2"),
        ("types", np.array([1, 2]), "hold one tissue name a patch, got int64"),
        ("images", np.zeros((2, 256, 256)), r"hold patches of \(256, 256, 3\)"),
        ("masks", np.zeros((2, 256, 256, 5)), r"hold patches of \(256, 256, 6\)"),
        ("masks", np.zeros((2, 256, 256, 6), bool), "as floats or bytes, got bool"),
    ],
)
def test_arrays_of_another_form_are_refused(folder, name, array, message):
    save(folder, 2, name, array)
    with pytest.raises(ReplicateError, match=message):
        load(folder)


def test_a_cut_file_python_objects_and_another_kind_of_file_are_refused(folder):
    path = folder / "Fold 3/masks/fold3/masks.npy"
    stored = path.read_bytes()
    path.write_bytes(stored[: len(stored) // 2])
    with pytest.raises(ReplicateError, match=r"masks.npy must be a sound NumPy file"):
        load(folder)
    save(folder, 3, "masks", np.array([{}, {}], dtype=object))
    with pytest.raises(ReplicateError, match=r"masks.npy must be a sound NumPy file"):
        load(folder)
    path.write_bytes(b"PK\x03\x04")
    with pytest.raises(ReplicateError, match=r"masks.npy must be a sound NumPy file"):
        load(folder)
    assert len(load(folder, folds=(1, 2))) == 4


@pytest.mark.parametrize("folds", [(), (0,), (1, 4)])
def test_an_unknown_fold_is_an_error_of_the_caller(folder, folds):
    with pytest.raises(ValueError, match=r"`folds` must be some of \(1, 2, 3\)"):
        load(folder, folds=folds)
