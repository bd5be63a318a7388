import numpy as np
import pytest
from PIL import Image

from common.datasets.stare_fundus import CLASSES, DATASET, LABELS, load
from common.errors import ReplicateError


@pytest.fixture
def folder(tmp_path, rng):
    """PPM photographs of 605 x 700 pixels."""
    (tmp_path / "stare-images").mkdir()
    for name in ("im0001", "im0077"):
        image = rng.integers(0, 256, (605, 700, 3), dtype=np.uint8)
        Image.fromarray(image).save(tmp_path / f"stare-images/{name}.ppm")
    return tmp_path


def test_pixels_and_labels_come_back(folder):
    cases = load(folder)
    assert {case.case: CLASSES[case.target["label"]] for case in cases} == {
        "im0001": "pathological",
        "im0077": "healthy",
    }
    for case in cases:
        stored = np.asarray(Image.open(folder / f"stare-images/{case.case}.ppm"))
        np.testing.assert_array_equal(case.image, stored.transpose(2, 0, 1))


def test_a_photograph_without_a_known_label_is_refused(folder):
    (folder / "stare-images/im0002.ppm").touch()
    with pytest.raises(ReplicateError, match=r"must be one of im0001.*got im0002"):
        load(folder)


def test_a_grey_and_a_cut_off_photograph_are_refused(folder):
    path = folder / "stare-images/im0001.ppm"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ReplicateError, match=r"im0001.ppm must be a sound image"):
        load(folder)[0]
    Image.new("L", (700, 605)).save(path)
    with pytest.raises(ReplicateError, match="must have 3 channels, got 1"):
        load(folder)[0]


def test_a_folder_without_photographs_is_refused(tmp_path):
    with pytest.raises(ReplicateError, match="must hold files named stare-images"):
        load(tmp_path)


def test_the_real_photographs_are_three_of_each_class_with_their_red_foremost(mirror):
    cases = load(mirror(DATASET))
    assert cases.table["case"].tolist() == list(LABELS)
    assert cases.table["label"].value_counts().to_dict() == {0: 3, 1: 3}
    for case in cases:
        assert case.image.shape == (3, 605, 700)
        # a retina is red, so that swapped channels would show
        assert case.image.mean(axis=(1, 2)).argmax() == 0
