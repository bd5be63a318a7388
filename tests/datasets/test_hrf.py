import pytest
from PIL import Image

from common.datasets.hrf import CLASSES, load
from common.errors import ReplicateError

NAMES = ("01_dr.JPG", "01_g.jpg", "01_h.jpg", "02_h.jpg")


@pytest.fixture
def folder(tmp_path):
    """Names as published: the suffix of diabetic eyes is in capitals."""
    (tmp_path / "images").mkdir()
    for number, name in enumerate(NAMES):
        image = Image.new("RGB", (60, 40), (100, 50, 20 * number))
        image.save(tmp_path / "images" / name, "JPEG", quality=95)
    return tmp_path


def test_the_name_is_the_label_in_either_case(folder):
    cases = load(folder)
    assert cases.table["image"].tolist() == [
        "images/01_h.jpg",
        "images/02_h.jpg",
        "images/01_dr.JPG",
        "images/01_g.jpg",
    ]
    assert [CLASSES[case.target["label"]] for case in cases] == [
        "healthy",
        "healthy",
        "diabetic retinopathy",
        "glaucoma",
    ]
    assert [round(case.image[2].mean() / 20) for case in cases] == [2, 3, 0, 1]
    assert {case.image.shape for case in cases} == {(3, 40, 60)}


def test_a_class_without_images_is_refused(folder):
    (folder / "images/01_g.jpg").unlink()
    with pytest.raises(ReplicateError, match=r"must hold files named images/\*_g"):
        load(folder)
