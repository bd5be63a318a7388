import numpy as np
import pytest
from PIL import Image

from common.datasets.uci_shoulder_implants import CLASSES, DATASET, load
from common.errors import ReplicateError

SIZES = {"Cofield.2": 250, "Cofield.10": 250, "Depuy.1": 250, "Tornier.7": 250, "Zimmer.3": 470}


@pytest.fixture
def folder(tmp_path):
    """Square JPEG files of three equal channels, dark above and bright below."""
    for name, side in SIZES.items():
        image = np.full((side, side, 3), 40, np.uint8)
        image[side // 2 :] = 200
        path = tmp_path / name.split(".")[0] / f"{name}.jpg"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(image).save(path, quality=95)
    return tmp_path


def test_the_folder_is_the_label_and_numbers_are_in_order(folder):
    cases = load(folder)
    assert cases.table["case"].tolist() == list(SIZES)
    assert [CLASSES[label] for label in cases.table["label"]] == [
        "Cofield",
        "Cofield",
        "DePuy",
        "Tornier",
        "Zimmer",
    ]
    assert [case.target["label"] for case in cases] == cases.table["label"].tolist()


def test_images_keep_their_size_unless_another_is_asked_for(folder):
    assert [case.image.shape[1] for case in load(folder)] == list(SIZES.values())
    arrays = load(folder, side_px=250).arrays()
    assert arrays["image"].shape == (5, 3, 250, 250)
    assert arrays["image"].dtype == np.uint8


def test_resizing_keeps_what_is_seen_and_leaves_images_of_the_right_size_alone(folder):
    resized = load(folder, side_px=250)
    np.testing.assert_array_equal(resized[0].image, load(folder)[0].image)
    large = resized[4].image
    assert large.flags["WRITEABLE"]
    np.testing.assert_allclose(large[:, :115].mean(), 40, atol=2)
    np.testing.assert_allclose(large[:, 135:].mean(), 200, atol=2)


def test_a_side_below_one_is_refused(folder):
    with pytest.raises(ValueError, match="`side_px` must be at least 1, got 0"):
        load(folder, side_px=0)


def test_an_unknown_manufacturer_or_a_file_of_another_one_is_refused(folder):
    (folder / "Zimmer/Depuy.4.jpg").touch()
    with pytest.raises(ReplicateError, match=r"got Zimmer/Depuy.4.jpg"):
        load(folder)
    (folder / "Zimmer/Depuy.4.jpg").unlink()
    (folder / "Biomet").mkdir()
    (folder / "Biomet/Biomet.1.jpg").touch()
    with pytest.raises(ReplicateError, match="lie in one of Cofield, Depuy, Tornier, Zimmer"):
        load(folder)


def test_an_oblong_a_grey_and_a_broken_image_are_refused(folder):
    path = folder / "Cofield/Cofield.2.jpg"
    for image in (np.zeros((250, 249, 3), np.uint8), np.zeros((250, 250), np.uint8)):
        Image.fromarray(image).save(path)
        with pytest.raises(ReplicateError, match="must be square with 3 channels"):
            load(folder)[0]
    path.write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(ReplicateError, match="must be a sound image"):
        load(folder)[0]


def test_the_real_files_have_the_published_counts_and_29_images_of_other_size(mirror):
    cases = load(mirror(DATASET))
    counts = cases.table["label"].value_counts().sort_index().tolist()
    assert dict(zip(CLASSES, counts, strict=True)) == {
        "Cofield": 83,
        "DePuy": 294,
        "Tornier": 71,
        "Zimmer": 149,
    }
    other, tinted = [], 0
    for case in cases:
        if case.image.shape != (3, 250, 250):
            other.append(CLASSES[case.target["label"]])
        tinted += bool((case.image != case.image[:1]).any())
    assert {name: other.count(name) for name in CLASSES} == {
        "Cofield": 1,
        "DePuy": 2,
        "Tornier": 1,
        "Zimmer": 25,
    }
    assert tinted == 1


def test_the_real_images_of_other_size_come_in_the_one_that_is_asked_for(mirror):
    zimmer = load(mirror(DATASET), side_px=250)[-149:]
    assert zimmer.arrays()["image"].shape == (149, 3, 250, 250)
