import numpy as np
import pytest
from PIL import Image
from workbooks import write

from common.datasets.udiat_bus_b import CLASSES, load
from common.errors import ReplicateError

HEADER = ["Image", "Type", "Diagnosis"]
ROWS = [[1, "Benign", "CYST"], [2, "Malignant", "IDC"], [10, "Benign", None]]


@pytest.fixture
def folder(tmp_path):
    """Images and masks of the same names, numbered with six digits, and the workbook."""
    for name in ("original", "GT"):
        (tmp_path / name).mkdir()
    for number, _, _ in ROWS:
        Image.new("L", (30 + number, 20), number).save(tmp_path / f"original/{number:06d}.png")
        # what smears left behind is no lesion
        mask = np.full((20, 30 + number), 60, np.uint8)
        mask[5:10, :number] = 255
        Image.fromarray(mask).save(tmp_path / f"GT/{number:06d}.png")
    write(tmp_path / "DatasetB.xlsx", [HEADER, *ROWS])
    return tmp_path


def test_images_masks_and_kinds_come_back_as_written(folder):
    cases = load(folder)
    assert cases.table["case"].tolist() == ["000001", "000002", "000010"]
    assert cases.table["diagnosis"].tolist() == ["CYST", "IDC", ""]
    for case, (number, kind, _) in zip(cases, ROWS, strict=True):
        assert CLASSES[case.target["label"]] == kind.lower()
        assert case.image.shape == (1, 20, 30 + number)
        assert (case.image == number).all()
        assert case.target["mask"].sum() == 5 * number
        assert case.site == "UDIAT, ACUSON Sequoia C512"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (ROWS[:2], "must list image 000010, got no such number"),
        ([*ROWS[:2], [10, "Normal"]], "call image 10 Benign or Malignant, got 'Normal'"),
        ([*ROWS, [2, "Benign"]], "number every image once in column Image, got '2'"),
        ([*ROWS, ["two", "Benign"]], "number every image once in column Image, got 'two'"),
    ],
)
def test_an_image_without_one_known_kind_is_refused(folder, rows, message):
    write(folder / "DatasetB.xlsx", [HEADER, *rows])
    with pytest.raises(ReplicateError, match=message):
        load(folder)


def test_another_header_a_missing_mask_and_one_of_another_size_are_refused(folder):
    Image.new("L", (20, 32)).save(folder / "GT/000002.png")
    with pytest.raises(ReplicateError, match="20 x 32 pixels, got 32 x 20"):
        load(folder)[1]
    (folder / "GT/000002.png").unlink()
    with pytest.raises(ReplicateError, match=r"000002.png must have a mask"):
        load(folder)
    write(folder / "DatasetB.xlsx", [["Number", "Type"], *ROWS])
    with pytest.raises(ReplicateError, match="no column Image"):
        load(folder)
