import numpy as np
import pytest
from PIL import Image

from common.datasets.bus_bra import CLASSES, load
from common.errors import ReplicateError

HEADER = "ID,Case,Histology,Pathology,BIRADS,Device,Width,Height,Side,BBOX"
ROWS = [
    'bus_0001-l,1,Fibroadenoma,benign,3,GE Logiq 5,40,30,left,"[5,5,9,9]"',
    'bus_0001-r,1,Fibroadenoma,benign,2,GE Logiq 5,40,30,right,"[5,5,9,9]"',
    'bus_0002-l,2,Invasive ductal carcinoma,malignant,5,Toshiba,40,30,left,"[5,5,9,9]"',
]
NAMES = ("0001-l", "0001-r", "0002-l")


def write_rows(folder, rows):
    (folder / "BUSBRA/bus_data.csv").write_text("\n".join([HEADER, *rows]) + "\n")


@pytest.fixture
def folder(tmp_path):
    """Two women, one with both sides."""
    for name in ("Images", "Masks"):
        (tmp_path / "BUSBRA" / name).mkdir(parents=True)
    for number, name in enumerate(NAMES):
        Image.new("L", (40, 30), number).save(tmp_path / f"BUSBRA/Images/bus_{name}.png")
        mask = np.zeros((30, 40), np.uint8)
        mask[5:14, 5 : 6 + number] = 255
        Image.fromarray(mask).save(tmp_path / f"BUSBRA/Masks/mask_{name}.png")
    write_rows(tmp_path, ROWS)
    return tmp_path


def test_both_sides_of_a_woman_are_one_cluster(folder):
    table = load(folder).table
    assert table["case"].tolist() == [f"bus_{name}" for name in NAMES]
    assert table["cluster"].tolist() == ["case-0001", "case-0001", "case-0002"]
    assert table["side"].tolist() == ["l", "r", "l"]
    assert table["birads"].tolist() == [3, 2, 5]


def test_images_masks_labels_and_scanners_come_back_as_written(folder):
    for number, case in enumerate(load(folder)):
        assert (case.image == number).all()
        assert case.image.shape == (1, 30, 40)
        assert case.target["mask"].sum() == 9 * (1 + number)
        assert CLASSES[case.target["label"]] == ("malignant" if number == 2 else "benign")
        assert case.site == ("Toshiba" if number == 2 else "GE Logiq 5")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("malignant", "normal", "call bus_0002-l benign or malignant, got 'normal'"),
        ("bus_0002-l,2", "bus_0002-l,3", "give bus_0002-l its Case 2 .* got '3' and '5'"),
        ("malignant,5", "malignant,4A", "give bus_0002-l its Case 2 .* got '2' and '4A'"),
        ("bus_0002-l", "bus_0003-l", "must list bus_0002-l, got no such ID"),
    ],
)
def test_a_row_that_contradicts_its_image_is_refused(folder, old, new, message):
    write_rows(folder, [row.replace(old, new) for row in ROWS])
    with pytest.raises(ReplicateError, match=message):
        load(folder)


def test_a_row_without_image_is_refused(folder):
    write_rows(folder, [*ROWS, ROWS[2].replace("0002", "0009")])
    with pytest.raises(ReplicateError, match="list the 3 images and no others, got 4 rows"):
        load(folder)


def test_a_missing_mask_a_wrong_name_and_a_wrong_size_are_refused(folder):
    Image.new("L", (30, 40)).save(folder / "BUSBRA/Masks/mask_0002-l.png")
    with pytest.raises(ReplicateError, match="30 x 40 pixels, got 40 x 30"):
        load(folder)[2]
    (folder / "BUSBRA/Masks/mask_0002-l.png").unlink()
    with pytest.raises(ReplicateError, match=r"bus_0002-l.png must be an image with a mask"):
        load(folder)
    Image.new("L", (30, 40)).save(folder / "BUSBRA/Images/bus_3.png")
    with pytest.raises(ReplicateError, match=r"bus_3.png must be named like bus_0001-l.png"):
        load(folder)
