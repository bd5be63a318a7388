import json

import numpy as np
import pytest
from PIL import Image

from common.datasets.kvasir_instrument import load
from common.errors import ReplicateError

PARTS = {"ckcu9a": "train", "ckcu9b": "test", "ckcu9c": "train"}


@pytest.fixture
def folder(tmp_path):
    """JPEG images, PNG masks of the same names, lists with and without suffix, boxes."""
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    boxes = {}
    for number, name in enumerate(PARTS):
        Image.new("RGB", (60, 50), (200, 100, 90)).save(tmp_path / f"images/{name}.jpg")
        mask = np.zeros((50, 60), np.uint8)
        mask[20:40, 10 * number : 10 * number + 25] = 255
        Image.fromarray(mask).save(tmp_path / f"masks/{name}.png")
        box = {"label": "instrument", "xmin": 10 * number, "ymin": 20}
        box |= {"xmax": 10 * number + 25, "ymax": 40}
        boxes[name] = {"height": 50, "width": 60, "bbox": [box]}
    (tmp_path / "train.txt").write_text("ckcu9a\nckcu9c.jpg\n")
    (tmp_path / "test.txt").write_text("ckcu9b\r\n\r\n")
    (tmp_path / "bboxes.json").write_text(json.dumps(boxes))
    return tmp_path


def test_masks_boxes_and_official_parts_come_back_as_written(folder):
    cases = load(folder)
    assert dict(zip(cases.table["case"], cases.table["part"], strict=True)) == PARTS
    for number, case in enumerate(cases):
        left = 10 * number
        assert case.image.shape == (3, 50, 60)
        assert case.target["boxes"].tolist() == [[20, left, 40, left + 25]]
        expected = np.zeros((50, 60), bool)
        expected[20:40, left : left + 25] = True
        np.testing.assert_array_equal(case.target["mask"], expected)
        assert case.info["overlap"] == 1


@pytest.mark.parametrize(("names", "held"), [("", "neither"), ("ckcu9b\nckcu9a", "train and test")])
def test_an_image_in_none_or_both_of_the_lists_is_refused(folder, names, held):
    (folder / "test.txt").write_text(names)
    with pytest.raises(ReplicateError, match=f"be in one of train.txt and test.txt, got {held}"):
        load(folder)


def test_masks_with_codes_instead_of_bright_pixels_are_not_taken_for_empty_ones(folder):
    mask = np.zeros((50, 60), np.uint8)
    mask[20:40, :25] = 1
    Image.fromarray(mask).save(folder / "masks/ckcu9a.png")
    with pytest.raises(ReplicateError, match=r"ckcu9a.png must agree with the boxes in bboxes"):
        load(folder)[0]


def test_what_is_missing_is_refused(folder):
    (folder / "bboxes.json").write_text("{}")
    with pytest.raises(ReplicateError, match=r"bboxes.json must list ckcu9a"):
        load(folder)
    (folder / "train.txt").unlink()
    with pytest.raises(ReplicateError, match=r"train.txt must be a sound text file"):
        load(folder)
    (folder / "masks/ckcu9b.png").unlink()
    with pytest.raises(ReplicateError, match=r"ckcu9b.jpg must have a mask"):
        load(folder)
