import json

import numpy as np
import pytest
from PIL import Image

from common.datasets.kvasir_seg import load, overlap
from common.errors import ReplicateError

# name: (height, width, polyps as rows and columns)
IMAGES = {
    "cju0b": (48, 64, [(10, 30, 8, 33)]),
    "cju0a": (40, 56, [(0, 12, 0, 16), (20, 40, 30, 56)]),
}


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, quality=95)


def drawn(name):
    height, width, polyps = IMAGES[name]
    mask = np.zeros((height, width), bool)
    for top, bottom, left, right in polyps:
        mask[top:bottom, left:right] = True
    return mask


def write_boxes(folder, found):
    (folder / "kavsir_bboxes.json").write_text(json.dumps(found))


def published():
    """Boxes lie a pixel outside of the outermost drawn pixels, also beyond the border."""
    return {
        name: {
            "height": height,
            "width": width,
            "bbox": [
                {"label": "polyp", "xmin": left - 1, "ymin": top - 1, "xmax": right, "ymax": bottom}
                for top, bottom, left, right in polyps
            ],
        }
        for name, (height, width, polyps) in IMAGES.items()
    }


@pytest.fixture
def folder(tmp_path):
    """Images of differing size; masks are JPEG with three channels and smeared edges."""
    for name in IMAGES:
        mask = drawn(name)
        save(tmp_path / f"images/{name}.jpg", np.full((*mask.shape, 3), (180, 60, 40), np.uint8))
        save(tmp_path / f"masks/{name}.jpg", np.stack([mask * np.uint8(255)] * 3, axis=-1))
    write_boxes(tmp_path, published())
    return tmp_path


def test_images_masks_and_boxes_come_back_as_written(folder):
    cases = load(folder)
    assert cases.table["case"].tolist() == cases.table["cluster"].tolist() == ["cju0a", "cju0b"]
    assert [case.image.shape for case in cases] == [(3, 40, 56), (3, 48, 64)]
    for case in cases:
        np.testing.assert_array_equal(case.target["mask"], drawn(case.case))
    assert cases[0].target["boxes"].tolist() == [[-1, -1, 12, 16], [19, 29, 40, 56]]
    assert cases[1].target["boxes"].tolist() == [[9, 7, 30, 33]]


def test_the_agreement_of_boxes_and_mask_is_told(folder):
    first, second = load(folder)
    # 20 x 25 drawn in a box of 21 x 26; 40 x 56 in one of 41 x 57
    assert second.info["overlap"] == pytest.approx(500 / 546)
    assert first.info["overlap"] == pytest.approx(2240 / 2337)


def test_overlap_of_nothing_with_nothing_is_whole_and_with_something_none():
    empty, mask = np.zeros((0, 4)), np.zeros((4, 4), bool)
    assert overlap(empty, mask) == 1
    mask[1, 1] = True
    assert overlap(empty, mask) == 0
    assert overlap(np.array([[1.0, 1, 2, 2]]), mask) == 1
    assert overlap(np.array([[2.0, 2, 4, 4]]), mask) == 0


def test_the_mask_of_another_image_is_refused(folder):
    other = np.zeros((48, 64, 3), np.uint8)
    other[32:46, 40:60] = 255
    save(folder / "masks/cju0b.jpg", other)
    with pytest.raises(ReplicateError, match=r"masks/cju0b.jpg must agree with .* got 0.00"):
        load(folder)[1]


def test_sizes_that_differ_are_refused(folder):
    found = published()
    found["cju0a"]["height"] = 41
    write_boxes(folder, found)
    with pytest.raises(ReplicateError, match=r"images/cju0a.jpg must have the 41 x 56 pixels"):
        load(folder)[0]
    save(folder / "masks/cju0a.jpg", np.zeros((56, 40, 3), np.uint8))
    with pytest.raises(ReplicateError, match="40 x 56 pixels, got 56 x 40"):
        load(folder)[0]


def test_a_missing_mask_and_a_missing_name_among_the_boxes_are_refused(folder):
    found = published()
    del found["cju0b"]
    write_boxes(folder, found)
    with pytest.raises(ReplicateError, match=r"kavsir_bboxes.json must list cju0b"):
        load(folder)
    (folder / "masks/cju0a.jpg").unlink()
    with pytest.raises(ReplicateError, match=r"cju0a.jpg must have a mask"):
        load(folder)


@pytest.mark.parametrize(
    "change", [{"xmax": 60}, {"xmin": 40, "xmax": 40}, {"ymin": -2}, {"ymax": None}]
)
def test_an_impossible_box_is_refused_with_its_image(folder, change):
    found = published()
    found["cju0a"]["bbox"][1] |= change
    write_boxes(folder, found)
    with pytest.raises(ReplicateError, match=r"boxes inside them for every image, got .* in cju0a"):
        load(folder)


@pytest.mark.parametrize("found", [[], {"cju0a": {"height": 3}}, {"cju0a": None}])
def test_boxes_of_another_form_are_refused(folder, found):
    write_boxes(folder, found)
    with pytest.raises(ReplicateError, match=r"kavsir_bboxes.json must"):
        load(folder)
