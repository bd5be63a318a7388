"""MIDOG++: the real annotations, and a small database with images in the published format."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from common.datasets import midogpp_annotations as reader
from common.errors import ReplicateError

HEADER = "Slide;Dataset;Tumor;Scanner;Origin;Species"
ROWS = (
    "1;train;human breast cancer;Hamammatsu XR;UMC Utrecht;Human",
    "245;test;canine lymphoma;3D Histech;VMU Vienna;Canine",
)
BOXES = (  # x0, y0, x1, y1
    ([30, 10, 80, 60], 2, 1, [2, 2]),
    ([-9.5, 4, 40.5, 54], 1, 1, [1, 2, 1]),
)


def database() -> dict:
    return {
        "info": {"version": "1.0"},
        "licenses": [{"id": 1, "name": "CC0"}],
        "categories": [
            {"id": 1, "name": "mitotic figure"},
            {"id": 2, "name": "not mitotic figure"},
        ],
        "images": [
            {"file_name": f"{i:03d}.tiff", "id": i, "height": 90, "width": 120, "tumor_type": "x"}
            for i in (1, 151, 245)
        ],
        "annotations": [
            {"bbox": box, "category_id": code, "image_id": image, "labels": votes, "id": number}
            for number, (box, code, image, votes) in enumerate(BOXES, start=1)
        ],
    }


def write_json(root: Path, found: object) -> None:
    (root / "databases").mkdir(exist_ok=True)
    (root / "databases/MIDOG++.json").write_text(json.dumps(found))


@pytest.fixture
def root(tmp_path) -> Path:
    write_json(tmp_path, database())
    (tmp_path / "datasets_xvalidation.csv").write_text("\n".join((HEADER, *ROWS)) + "\n")
    return tmp_path


@pytest.fixture
def pixels(rng) -> np.ndarray:
    return rng.integers(0, 256, (90, 120, 3)).astype(np.uint8)


def test_the_real_cases_and_boxes_have_the_published_numbers(mirror):
    table = reader.load(mirror(reader.DATASET)).table
    assert len(table) == 503
    assert (table["n_mitotic"].sum(), table["n_lookalike"].sum()) == (11937, 14349)
    assert table["part"].value_counts().to_dict() == {"train": 392, "test": 111}
    assert table["site"].value_counts().to_dict() == {
        "3D Histech": 199,
        "Hamamatsu XR": 154,
        "Aperio CS2": 100,
        "Hamamatsu S360": 50,
    }
    assert not table["has_image"].any()
    assert not table["case"].between("151", "200").any()


def test_the_papers_150_cases_are_breast_cancer_on_three_scanners(mirror):
    table = reader.load(mirror(reader.DATASET)).table
    paper = table[table["case"] <= "150"]
    assert paper["site"].value_counts().tolist() == [50, 50, 50]
    assert paper["tumour"].unique().tolist() == ["human breast cancer"]
    assert (paper["n_mitotic"].sum(), paper["n_lookalike"].sum()) == (1721, 2714)


def test_real_boxes_are_those_of_the_json_with_rows_first(mirror):
    folder = mirror(reader.DATASET)
    found = json.loads((folder / "databases/MIDOG++.json").read_text())
    cases = reader.load(folder)
    sides = np.concatenate(
        [case.target["boxes"][:, 2:] - case.target["boxes"][:, :2] for case in cases]
    )
    assert len(sides) == len(found["annotations"]) == 26286
    assert (sides == 50).all()
    first = found["annotations"][0]
    assert first["image_id"] == 1
    left, top, right, bottom = first["bbox"]
    assert cases[0].target["boxes"][0].tolist() == [top, left, bottom, right]


def test_cases_come_back_with_boxes_labels_and_votes(root):
    cases = reader.load(root)
    assert cases.table["case"].tolist() == ["001", "245"]
    assert cases.table["site"].tolist() == ["Hamamatsu XR", "3D Histech"]
    assert cases.table["tumour"].tolist() == ["human breast cancer", "canine lymphoma"]
    assert cases.table[["n_mitotic", "n_lookalike"]].to_numpy().tolist() == [[1, 1], [0, 0]]
    case = cases[0]
    assert case.image is None
    assert case.site == "Hamamatsu XR"
    assert case.target["boxes"].tolist() == [[10, 30, 60, 80], [4, -9.5, 54, 40.5]]
    assert case.target["labels"].tolist() == [2, 1]
    assert case.info["votes"] == [(2, 2), (1, 2, 1)]


def test_a_case_without_boxes_has_empty_arrays(root):
    case = reader.load(root)[1]
    assert case.target["boxes"].shape == (0, 4)
    assert case.target["labels"].shape == (0,)


def test_an_image_is_read_where_the_folder_has_it(root, pixels):
    (root / "images").mkdir()
    Image.fromarray(pixels).save(root / "images/245.tiff", compression="tiff_lzw")
    cases = reader.load(root)
    assert cases.table["has_image"].tolist() == [False, True]
    np.testing.assert_array_equal(cases[1].image, np.moveaxis(pixels, 2, 0))
    assert cases[1].image.flags.writeable


@pytest.mark.parametrize("change", [lambda p: p[1:], lambda p: p[..., 0]])
def test_an_image_of_another_size_is_refused(root, pixels, change):
    (root / "images").mkdir()
    Image.fromarray(change(pixels)).save(root / "images/001.tiff")
    with pytest.raises(ReplicateError, match=r"001.tiff must be RGB of \(90, 120, 3\)"):
        reader.load(root)[0]


def test_a_broken_image_is_refused(root):
    (root / "images").mkdir()
    (root / "images/001.tiff").write_bytes(b"II*\x00")
    with pytest.raises(ReplicateError, match=r"001.tiff must be a sound image"):
        reader.load(root)[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bbox": [0, 0, 50, 51]}, "boxes of 50 x 50 pixels"),
        ({"category_id": 3}, "in class 1 or 2"),
        ({"image_id": 7}, "a problem with 'image_id 7'"),
        ({"bbox": [0, 0, 50]}, "in the form of COCO"),
        ({"labels": None}, "in the form of COCO"),
    ],
)
def test_a_damaged_annotation_is_refused(root, change, message):
    found = database()
    found["annotations"][1] |= change
    write_json(root, found)
    with pytest.raises(ReplicateError, match=message):
        reader.load(root)


@pytest.mark.parametrize("found", [[], {"images": []}, {"images": [{"id": 1}]}])
def test_a_json_of_another_structure_is_refused(root, found):
    write_json(root, found)
    with pytest.raises(ReplicateError, match="must hold images and annotations"):
        reader.load(root)


@pytest.mark.parametrize("slide", ["7", "", "x"])
def test_a_case_without_entry_in_the_json_is_refused(root, slide):
    row = ROWS[0].replace("1;", f"{slide};", 1)
    (root / "datasets_xvalidation.csv").write_text(f"{HEADER}\n{row}\n")
    with pytest.raises(ReplicateError, match=f"must list cases of .* got '{slide}'"):
        reader.load(root)


@pytest.mark.parametrize("name", ["databases/MIDOG++.json", "datasets_xvalidation.csv"])
def test_an_absent_file_is_named(root, name):
    (root / name).unlink()
    with pytest.raises(ReplicateError, match=r"must be a sound (JSON file|table)"):
        reader.load(root)
