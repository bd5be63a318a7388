import pytest
from PIL import Image

from common.datasets.aptos2019 import load
from common.errors import ReplicateError

ROWS = ["000c1434d8d7,2", "001639a390f0,4", "0024cdab0c1e,0"]


def write_rows(folder, rows):
    (folder / "train.csv").write_text("\n".join(["id_code,diagnosis", *rows]) + "\n")


@pytest.fixture
def folder(tmp_path):
    """Graded photographs of differing size, and a test image without a grade."""
    for place in ("train_images", "test_images"):
        (tmp_path / place).mkdir()
    for number, row in enumerate(ROWS):
        name = row.split(",")[0]
        image = Image.new("RGB", (40 + number, 30), (90, 40, number))
        image.save(tmp_path / f"train_images/{name}.png")
    Image.new("RGB", (40, 30)).save(tmp_path / "test_images/0005cfc8afb6.png")
    write_rows(tmp_path, ROWS)
    return tmp_path


def test_photographs_come_with_their_grade_in_the_order_of_the_table(folder):
    cases = load(folder)
    assert cases.table["case"].tolist() == [row.split(",")[0] for row in ROWS]
    assert [case.target["label"] for case in cases] == [2, 4, 0]
    for number, case in enumerate(cases):
        assert case.image.shape == (3, 30, 40 + number)
        assert case.image[:, 5, 5].tolist() == [90, 40, number]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([*ROWS[:2], "0024cdab0c1e,5"], "give 0024cdab0c1e a grade from 0 to 4, got '5'"),
        ([*ROWS[:2], "0024cdab0c1e,"], "give 0024cdab0c1e a grade from 0 to 4, got ''"),
        (ROWS[:2], "once, got 0024cdab0c1e in only one of both"),
        ([*ROWS, "absent,1"], "once, got absent in only one of both"),
        ([*ROWS, "001639a390f0,4"], "once, got 001639a390f0 twice"),
    ],
)
def test_a_table_that_does_not_list_every_photograph_once_is_refused(folder, rows, message):
    write_rows(folder, rows)
    with pytest.raises(ReplicateError, match=message):
        load(folder)


def test_a_grey_photograph_is_refused(folder):
    Image.new("L", (40, 30)).save(folder / "train_images/001639a390f0.png")
    with pytest.raises(ReplicateError, match=r"001639a390f0.png must have 3 channels"):
        load(folder)[1]
