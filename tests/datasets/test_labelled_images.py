import numpy as np
import pytest
from PIL import Image

from common.datasets.labelled_images import by_pattern, read_grey, read_labelled
from common.errors import ReplicateError


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(array)).save(path)
    return path


@pytest.fixture
def folder(tmp_path, rng):
    for name in ("ill/10", "ill/9", "well/8"):
        save(tmp_path / f"{name}.png", rng.integers(0, 256, (4, 5, 3), dtype=np.uint8))
    return tmp_path


def listed(folder):
    return by_pattern(folder, {1: "well/*.png", 0: "ill/*.png"}, dataset="some-set")


def test_images_are_listed_by_label_and_by_number(folder):
    rows = listed(folder)
    assert [(row["case"], row["cluster"], row["label"], row["image"]) for row in rows] == [
        ("8", "8", 1, "well/8.png"),
        ("9", "9", 0, "ill/9.png"),
        ("10", "10", 0, "ill/10.png"),
    ]


def test_a_name_in_two_classes_and_a_class_without_images_are_refused(folder):
    (folder / "ill/9.png").rename(folder / "ill/8.png")
    with pytest.raises(ReplicateError, match=r"ill/8.png must have a name of its own"):
        listed(folder)
    (folder / "well/8.png").unlink()
    with pytest.raises(ReplicateError, match=r"must hold files named well/\*.png"):
        listed(folder)


def test_a_photograph_comes_with_its_channels_first_and_without_opacity(folder, rng):
    stored = rng.integers(0, 256, (4, 5, 4), dtype=np.uint8)
    save(folder / "well/8.png", stored)
    case = read_labelled(listed(folder)[0], folder=folder, dataset="some-set")
    np.testing.assert_array_equal(case.image, stored.transpose(2, 0, 1)[:3])
    assert (case.case, case.target, case.site) == ("8", {"label": 1}, None)


def test_a_grey_and_a_broken_photograph_are_refused(folder):
    row = listed(folder)[0]
    save(folder / row["image"], np.zeros((4, 5), np.uint8))
    with pytest.raises(ReplicateError, match="must have 3 channels of bytes, got 1 of uint8"):
        read_labelled(row, folder=folder, dataset="some-set")
    (folder / row["image"]).write_bytes(b"\x89PNG")
    with pytest.raises(ReplicateError, match="must be a sound image"):
        read_labelled(row, folder=folder, dataset="some-set")


def test_grey_colour_and_opacity_all_come_as_one_channel(tmp_path):
    grey = np.arange(20, dtype=np.uint8).reshape(4, 5)
    opaque = np.full_like(grey, 255)
    for name, array in {
        "grey": grey,
        "opaque_grey": np.stack([grey, opaque], axis=-1),
        "colour": np.stack([grey] * 3, axis=-1),
        "opaque_colour": np.stack([grey] * 3 + [opaque], axis=-1),
    }.items():
        read = read_grey(save(tmp_path / f"{name}.png", array), dataset="some-set")
        np.testing.assert_array_equal(read, grey[None])
    # ITU-R 601: 0.587 of green
    green = np.zeros((4, 5, 3), np.uint8)
    green[..., 1] = 100
    assert read_grey(save(tmp_path / "green.png", green), dataset="some-set").max() == 59


def test_a_picture_of_more_than_bytes_is_no_grey_picture(tmp_path):
    path = save(tmp_path / "deep.png", np.full((4, 5), 4000, np.uint16))
    with pytest.raises(ReplicateError, match=r"deep.png must hold bytes, got"):
        read_grey(path, dataset="some-set")
