import pickle

import numpy as np
import pytest
from PIL import Image

from common.datasets.busi import CLASSES, DATASET, load
from common.errors import ReplicateError


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def square(top, left, shape=(12, 9)):
    mask = np.zeros(shape, bool)
    mask[top : top + 3, left : left + 3] = True
    return mask


def write(folder, rng, *, nested=True):
    """Three images as published: RGB, one-bit masks, two lesions in ``benign (10)``."""
    images, masks = ("images/", "mask/") if nested else ("", "")
    drawn = {
        "benign (10)": [square(1, 1), square(7, 5)],
        "malignant (2)": [square(4, 4)],
        "normal (1)": [np.zeros((12, 9), bool)],
    }
    for name, lesions in drawn.items():
        home = folder / name.split()[0]
        grey = rng.integers(0, 256, (12, 9, 1), dtype=np.uint8)
        save(home / f"{images}{name}.png", np.repeat(grey, 3, axis=2))
        for number, lesion in enumerate(lesions):
            ending = f"_{number}" if number else ""
            # as published, further masks are RGBA
            opaque = np.full((*lesion.shape, 1), True)
            colour = np.concatenate([*[lesion[..., None]] * 3, opaque], axis=2)
            stored = colour * np.uint8(255) if number else lesion
            save(home / f"{masks}{name}_mask{ending}.png", stored)
    return folder


@pytest.fixture
def folder(tmp_path, rng):
    return write(tmp_path, rng)


def test_images_masks_and_labels_come_back_as_written(folder):
    cases = load(folder)
    assert cases.table["case"].tolist() == ["normal (1)", "benign (10)", "malignant (2)"]
    assert cases.table["label"].tolist() == [0, 1, 2]
    assert cases.table["n_masks"].tolist() == [1, 2, 1]
    for case in pickle.loads(pickle.dumps(cases)):
        label = CLASSES[case.target["label"]]
        stored = np.asarray(Image.open(folder / label / "images" / f"{case.case}.png"))
        np.testing.assert_array_equal(case.image, stored.transpose(2, 0, 1))
        assert case.case.startswith(label)
        assert case.site == "Baheya Hospital"


def test_all_masks_of_an_image_are_joined(folder):
    both = load(folder)[1].target["mask"]
    np.testing.assert_array_equal(both, square(1, 1) | square(7, 5))


def test_files_side_by_side_are_read_like_files_in_subfolders(tmp_path, rng):
    cases = load(write(tmp_path, rng, nested=False))
    assert [case.target["mask"].sum() for case in cases] == [0, 18, 9]
    assert cases.table["image"].iloc[0] == "normal/normal (1).png"


def test_an_image_without_mask_and_a_mask_without_image_are_refused(folder):
    mask = folder / "malignant/mask/malignant (2)_mask.png"
    mask.rename(mask.with_name("malignant (3)_mask.png"))
    with pytest.raises(ReplicateError, match=r"malignant \(2\).png must be an image with a mask"):
        load(folder)
    (folder / "malignant/images/malignant (2).png").rename(folder / "malignant (2).png")
    with pytest.raises(ReplicateError, match=r"malignant \(3\)_mask.png must be"):
        load(folder)


def test_a_file_in_another_class_or_with_another_name_is_refused(folder):
    (folder / "benign/images/malignant (9).png").touch()
    with pytest.raises(ReplicateError, match=r"be named like benign \(1\).png"):
        load(folder)


def test_a_missing_class_is_refused(folder):
    (folder / "normal/images/normal (1).png").unlink()
    (folder / "normal/mask/normal (1)_mask.png").unlink()
    with pytest.raises(ReplicateError, match="must hold files named normal"):
        load(folder)


@pytest.mark.parametrize(("name", "rule"), [("normal (1)", "empty"), ("malignant (2)", "drawn")])
def test_a_mask_that_contradicts_the_label_is_refused(folder, name, rule):
    path = folder / name.split()[0] / "mask" / f"{name}_mask.png"
    Image.fromarray(~np.asarray(Image.open(path)) if rule == "empty" else square(20, 20)).save(path)
    with pytest.raises(ReplicateError, match=f"must be {rule} for a {name.split()[0]} image"):
        list(load(folder))


def test_any_mask_of_another_size_is_refused(folder):
    save(folder / "benign/mask/benign (10)_mask_1.png", square(1, 1, (9, 12)))
    with pytest.raises(ReplicateError, match=r"_mask_1.png must have its image's 12 x 9 pixels"):
        load(folder)[1]


def test_a_broken_image_is_named(folder):
    path = folder / "malignant/images/malignant (2).png"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(ReplicateError, match=r"malignant \(2\).png must be a sound image"):
        load(folder)[2]


def test_the_real_files_are_38_images_of_which_one_has_two_masks(mirror):
    folder = mirror(DATASET)
    cases = load(folder)
    assert cases.table["label"].value_counts().sort_index().tolist() == [6, 20, 12]
    assert cases.table.query("n_masks > 1")[["case", "n_masks"]].to_numpy().tolist() == [
        ["benign (4)", 2]
    ]
    coloured = []
    for case in cases:
        assert case.image.shape[0] == 3
        assert case.image.shape[1:] == case.target["mask"].shape
        if (case.image != case.image[:1]).any():
            coloured.append(case.case)
    assert len(coloured) == 2
    double = cases.where(cases.table["case"] == "benign (4)")[0].target["mask"]
    first = np.asarray(Image.open(folder / "benign/mask/benign (4)_mask.png"))
    second = np.asarray(Image.open(folder / "benign/mask/benign (4)_mask_1.png"))[..., 0] == 255
    assert (first.sum(), second.sum()) == (1984, 624)
    np.testing.assert_array_equal(double, first | second)
