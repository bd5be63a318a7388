import json
import pickle

import numpy as np
import pytest
from PIL import Image

from common.datasets.midog2021 import load
from common.errors import ReplicateError

# number: (height, width)
SIZES = {1: (90, 120), 51: (80, 100), 150: (70, 90), 151: (60, 80)}
# x0, y0, x1, y1
BOXES = [
    ([30, 10, 80, 60], 1, 1),
    ([-9.5, 4, 40.5, 54], 2, 1),
    ([0, 0, 50, 50], 2, 150),
]


def database():
    return {
        "info": {"description": "MIDOG"},
        "images": [
            {"file_name": f"{number:03d}.tiff", "id": number, "height": height, "width": width}
            for number, (height, width) in SIZES.items()
        ],
        "annotations": [
            {"bbox": box, "category_id": code, "image_id": image, "id": number}
            for number, (box, code, image) in enumerate(BOXES, start=1)
        ],
        "categories": [
            {"id": 1, "name": "mitotic figure"},
            {"id": 2, "name": "hard negative"},
        ],
    }


def write(folder, found):
    (folder / "MIDOG.json").write_text(json.dumps(found))


@pytest.fixture
def folder(tmp_path, rng):
    for number, size in SIZES.items():
        pixels = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number:03d}.tiff", compression="tiff_lzw")
    write(tmp_path, database())
    return tmp_path


def test_the_number_of_a_case_tells_its_scanner_and_whether_it_is_labelled(folder):
    table = load(folder).table
    assert table["case"].tolist() == ["001", "051", "150", "151"]
    assert table["site"].tolist() == ["Hamamatsu XR", "Hamamatsu S360", "Aperio CS2", "Leica GT450"]
    assert table["labelled"].tolist() == [True, True, True, False]
    assert table[["n_mitotic", "n_lookalike"]].to_numpy().tolist() == [
        [1, 1],
        [0, 0],
        [0, 1],
        [0, 0],
    ]


def test_images_and_boxes_come_back_with_rows_first(folder):
    first, second, _, last = load(folder)
    stored = np.asarray(Image.open(folder / "001.tiff"))
    np.testing.assert_array_equal(first.image, stored.transpose(2, 0, 1))
    assert first.target["boxes"].tolist() == [[10, 30, 60, 80], [4, -9.5, 54, 40.5]]
    assert first.target["labels"].tolist() == [1, 2]
    assert second.target["boxes"].shape == (0, 4)
    assert second.target["labels"].shape == (0,)
    # nobody looked for cells there, which is not the same as finding none
    assert last.target == {}
    assert last.image.shape == (3, 60, 80)


def test_unlabelled_images_need_not_be_in_the_json(folder):
    found = database()
    del found["images"][3]
    write(folder, found)
    cases = pickle.loads(pickle.dumps(load(folder)))
    assert cases[3].image.shape == (3, 60, 80)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bbox": [30, 10, 50, 60]}, "a box of 50.0 x 20.0 pixels"),
        ({"bbox": [30, 10, 50]}, "a problem with"),
        ({"bbox": ["x", 10, 50, 60]}, "a problem with"),
        ({"category_id": 3}, "an unknown class or image"),
        ({"image_id": 7}, "an unknown class or image"),
        ({"image_id": 151}, r"hold no boxes of 151.tiff \(Leica GT450\), got 1"),
    ],
)
def test_a_wrong_annotation_is_refused(folder, change, message):
    found = database()
    found["annotations"][0] |= change
    write(folder, found)
    with pytest.raises(ReplicateError, match=message):
        load(folder)


@pytest.mark.parametrize("found", [[], {"images": []}, {"images": [{"id": 1}], "annotations": []}])
def test_a_json_of_another_structure_is_refused(folder, found):
    write(folder, found)
    with pytest.raises(ReplicateError, match=r"MIDOG.json must hold images and boxes"):
        load(folder)


def test_images_and_json_must_name_the_same_labelled_cases(folder):
    found = database()
    found["images"][1]["id"] = 52
    write(folder, found)
    with pytest.raises(ReplicateError, match=r"MIDOG.json must list 051.tiff"):
        load(folder)
    write(folder, database())
    (folder / "150.tiff").unlink()
    with pytest.raises(ReplicateError, match=r"150.tiff must exist"):
        load(folder)


def test_a_name_out_of_range_is_refused(folder):
    (folder / "151.tiff").rename(folder / "201.tiff")
    with pytest.raises(ReplicateError, match=r"201.tiff must be named 001.tiff to 200.tiff"):
        load(folder)


def test_an_image_of_another_size_than_the_json_says_is_refused(folder):
    found = database()
    found["images"][0]["height"] = 91
    write(folder, found)
    with pytest.raises(ReplicateError, match=r"001.tiff must be RGB of 91 x 120 pixels"):
        load(folder)[0]
    Image.new("L", (120, 91)).save(folder / "001.tiff")
    with pytest.raises(ReplicateError, match=r"001.tiff must be RGB of 91 x 120 pixels"):
        load(folder)[0]
