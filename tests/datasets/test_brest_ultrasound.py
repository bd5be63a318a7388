import numpy as np
import pytest
from PIL import Image
from workbooks import write

from common.datasets.brest_ultrasound import IMAGES, TABLE, load
from common.errors import ReplicateError

HEADER = ["CaseID", "Image_filename", "Mask_tumor_filename", "Mask_other_filename", "Pixel_size"]
HEADER += ["BIRADS", "Classification"]
OTHERS = "case002_other1.png&case002_other2.png"
ROWS = [
    [1, "case001.png", "case001_tumor.png", None, 0.007, "2", "benign"],
    [2, "case002.png", "case002_tumor.png", OTHERS, 0.1, "4a", "malignant"],
    [3, "case003.png", None, None, 0.1, "1", "normal"],
]
# rows that each mask fills
MASKS = {"case001_tumor": (2, 5), "case002_tumor": (0, 3)}
MASKS |= {"case002_other1": (5, 6), "case002_other2": (6, 8)}


def change(folder, row, column, value):
    rows = [list(entry) for entry in ROWS]
    rows[row][HEADER.index(column)] = value
    write(folder / TABLE, [HEADER, *rows])


@pytest.fixture
def folder(tmp_path):
    """Images and masks in one folder, the workbook beside it."""
    (tmp_path / IMAGES).mkdir()
    for number in (1, 2, 3):
        Image.new("RGB", (12, 10), (number,) * 3).save(tmp_path / IMAGES / f"case00{number}.png")
    for name, (top, bottom) in MASKS.items():
        mask = np.zeros((10, 12), np.uint8)
        mask[top:bottom] = 255
        Image.fromarray(mask).save(tmp_path / IMAGES / f"{name}.png")
    write(tmp_path / TABLE, [HEADER, *ROWS])
    return tmp_path


def test_the_classified_lesion_and_the_further_ones_are_told_apart(folder):
    cases = load(folder)
    assert cases.table["case"].tolist() == ["case001", "case002", "case003"]
    assert cases.table["birads"].tolist() == ["2", "4a", "1"]
    rows = [case.target["mask"].any(axis=1).nonzero()[0].tolist() for case in cases]
    assert rows == [[2, 3, 4], [0, 1, 2], []]
    rows = [case.target["others"].any(axis=1).nonzero()[0].tolist() for case in cases]
    assert rows == [[], [5, 6, 7], []]
    assert [case.target["label"] for case in cases] == [1, 2, 0]
    assert [case.image.shape for case in cases] == [(3, 10, 12)] * 3
    assert [int(case.image.max()) for case in cases] == [1, 2, 3]


@pytest.mark.parametrize(
    ("row", "column", "value", "message"),
    [
        (0, "Classification", "cyst", "give case 1 one image and one of .* got 1 and 'cyst'"),
        (0, "Image_filename", None, "give case 1 one image and one of .* got 0 and 'benign'"),
        (0, "Mask_tumor_filename", None, "give the benign case 1 a mask of a tumour, got 0"),
        (2, "Mask_tumor_filename", "case001_tumor.png", "give the normal case 3 no mask"),
        (1, "Mask_other_filename", "case009.png", f"name files of {IMAGES}, got 'case009.png'"),
    ],
)
def test_a_row_that_does_not_fit_is_refused(folder, row, column, value, message):
    change(folder, row, column, value)
    with pytest.raises(ReplicateError, match=message):
        load(folder)


def test_a_name_that_leads_out_of_the_folder_is_not_followed(folder):
    (folder / IMAGES / "case001_tumor.png").rename(folder / "outside.png")
    change(folder, 0, "Mask_tumor_filename", "../outside.png")
    with pytest.raises(ReplicateError, match=r"name files of .* got 'outside.png'"):
        load(folder)


def test_a_mask_of_another_size_is_refused(folder):
    Image.new("L", (10, 12)).save(folder / IMAGES / "case002_other2.png")
    with pytest.raises(ReplicateError, match=r"other2.png must have its image's 10 x 12 pixels"):
        load(folder)[1]
