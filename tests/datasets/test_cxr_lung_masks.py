import csv

import numpy as np
import pytest
from PIL import Image

from common.datasets.cxr_lung_masks import CLASSES, DATASET, load
from common.errors import ReplicateError

STRUCTURE = ["#", "Taxonomy", "Class", "Template Name", "File Folder", "Filename", "Image", "Tag"]
STRUCTURE += ["Mask", "Resolution", "Top", "Left", "Width", "Height", "Points", "Text Annotation"]
# the published header ends in a column without a name
METADATA = ["patientid", "offset", "finding", "view", "modality", "location", "filename", ""]
# height, width, patient, finding, place
IMAGES = {
    "covid-19-pneumonia-2.jpg": (40, 60, "21", "COVID-19", "Macao, China"),
    "covid-day-3.jpg": (50, 50, "96", "COVID-19, ARDS", "Spain"),
    "klebsiella-1.jpg": (30, 44, "100", "Klebsiella", ""),
}
# top, left, height, width
BOXES = {"Right Lung": (5, 4, 20, 10), "Left Lung": (3, 25, 22, 12)}
COLOURS = {"Right Lung": (187, 73, 73, 255), "Left Lung": (255, 0, 0, 255)}


def write_rows(path, header, rows):
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, header, restval="")
        writer.writeheader()
        writer.writerows(rows)


def read_rows(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def change(path, name, value, *, of):
    """Set one cell of the first row in which another cell has a value."""
    rows = read_rows(path)
    column, wanted = of
    next(row for row in rows if row[column] == wanted)[name] = value
    write_rows(path, list(rows[0]), rows)


def triangle(height, width):
    return np.arange(height)[:, None] >= np.arange(width)[None]


@pytest.fixture
def folder(tmp_path):
    """X-rays, the lungs' rectangles as opaque PNG, both tables with rows of absent images."""
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    drawn, known = [], [{"patientid": "2", "finding": "todo", "filename": "absent.jpg"}]
    for number, (name, (height, width, patient, finding, place)) in enumerate(IMAGES.items()):
        mode, colour = ("L", 90) if number == 0 else ("RGB", (90, 90, 90))
        Image.new(mode, (width, height), colour).save(tmp_path / f"images/{name}", quality=95)
        for template, (top, left, rows, columns) in BOXES.items():
            mask = f"masks/{number}_{template[0]}.png"
            picture = np.full((rows, columns, 4), (0, 0, 0, 255), np.uint8)
            picture[triangle(rows, columns)] = COLOURS[template]
            Image.fromarray(picture).save(tmp_path / mask)
            drawn.append(
                {"Template Name": template, "Filename": name, "Mask": mask, "Top": top}
                | {"Left": left, "Height": rows, "Width": columns}
            )
        drawn.append({"Template Name": "Airways", "Filename": name, "Mask": "masks/no.png"})
        known.append(
            {"patientid": patient, "finding": finding, "location": place, "filename": name}
            | {"view": "PA", "modality": "X-ray"}
        )
    drawn.append({"Template Name": "Left Lung", "Filename": "absent.jpg", "Mask": "masks/x.png"})
    drawn[-1] |= {"Top": 0, "Left": 0, "Height": 1, "Width": 1}
    write_rows(tmp_path / "structure.csv", STRUCTURE, drawn)
    write_rows(tmp_path / "metadata.csv", METADATA, known)
    return tmp_path


def test_lungs_lie_where_the_table_says_with_the_codes_of_their_sides(folder):
    for case in load(folder):
        expected = np.zeros(case.image.shape[1:], np.uint8)
        for template, (top, left, rows, columns) in BOXES.items():
            place = expected[top : top + rows, left : left + columns]
            place[triangle(rows, columns)] = {"Right Lung": 1, "Left Lung": 2}[template]
        np.testing.assert_array_equal(case.target["mask"], expected)


def test_patient_finding_and_place_come_from_the_table_of_images(folder):
    cases = load(folder)
    assert cases.table["cluster"].tolist() == ["patient-21", "patient-96", "patient-100"]
    assert [CLASSES[case.target["label"]] for case in cases] == [
        "COVID-19",
        "COVID-19, ARDS",
        "Klebsiella",
    ]
    assert [case.site for case in cases] == ["Macao, China", "Spain", None]


def test_grey_and_coloured_files_both_come_as_one_channel(folder):
    marked = Image.new("RGB", (44, 30), (255, 0, 0))
    marked.save(folder / "images/klebsiella-1.jpg", quality=95)
    grey, same, red = (case.image for case in load(folder))
    assert [image.shape for image in (grey, same, red)] == [(1, 40, 60), (1, 50, 50), (1, 30, 44)]
    assert all(image.flags["WRITEABLE"] for image in (grey, same, red))
    np.testing.assert_allclose([grey.mean(), same.mean()], 90, atol=1)
    # ITU-R 601: 0.299 of red
    assert red.mean() == pytest.approx(0.299 * 254, abs=1.5)


def test_an_image_without_a_row_or_with_an_unknown_finding_is_refused(folder):
    path = folder / "metadata.csv"
    change(path, "finding", "todo", of=("filename", "covid-day-3.jpg"))
    with pytest.raises(ReplicateError, match=r"give covid-day-3.jpg one of .*got 'todo'"):
        load(folder)
    change(path, "filename", "other.jpg", of=("filename", "covid-day-3.jpg"))
    with pytest.raises(ReplicateError, match=r"give covid-day-3.jpg one of .*got no row"):
        load(folder)


def test_an_image_without_one_of_its_lungs_is_refused(folder):
    change(folder / "structure.csv", "Template Name", "Airways", of=("Mask", "masks/1_L.png"))
    with pytest.raises(ReplicateError, match=r"list Right Lung and Left Lung of covid-day-3.jpg"):
        load(folder)


def test_a_rectangle_that_is_no_number_is_refused(folder):
    change(folder / "structure.csv", "Top", "high", of=("Mask", "masks/0_R.png"))
    with pytest.raises(ReplicateError, match=r"of masks/0_R.png as whole numbers"):
        load(folder)


@pytest.mark.parametrize(
    ("name", "value"), [("Top", "21"), ("Left", "51"), ("Top", "-25"), ("Left", "-60")]
)
def test_a_rectangle_that_leaves_the_image_is_refused(folder, name, value):
    change(folder / "structure.csv", name, value, of=("Mask", "masks/0_R.png"))
    with pytest.raises(ReplicateError, match=r"0_R.png must lie inside its image's 40 x 60 pixels"):
        load(folder)[0]


def test_a_mask_of_another_size_than_its_rectangle_is_refused(folder):
    change(folder / "structure.csv", "Height", "21", of=("Mask", "masks/0_R.png"))
    with pytest.raises(ReplicateError, match="21 x 10 pixels, got 20 x 10"):
        load(folder)[0]


def test_a_missing_mask_and_one_outside_of_the_folder_are_refused(folder):
    (folder / "masks/1_L.png").rename(folder / "1_L.png")
    with pytest.raises(ReplicateError, match=r"masks/1_L.png must be a sound image"):
        load(folder)[1]
    change(folder / "structure.csv", "Mask", "masks/../1_L.png", of=("Mask", "masks/1_L.png"))
    with pytest.raises(ReplicateError, match=r"masks/1_L.png must be a sound image"):
        load(folder)[1]


@pytest.fixture(scope="module")
def real(mirror):
    return load(mirror(DATASET))


def test_the_real_set_is_20_images_of_16_patients(real):
    assert len(real) == 20
    per_patient = real.table.groupby("cluster").size()
    assert len(per_patient) == 16
    assert per_patient[per_patient > 1].to_dict() == {"patient-96": 3, "patient-97": 3}
    counts = real.table["label"].map(dict(enumerate(CLASSES))).value_counts().to_dict()
    assert counts == {
        "COVID-19": 7,
        "COVID-19, ARDS": 6,
        "Pneumocystis": 4,
        "ARDS": 1,
        "Streptococcus": 1,
        "Klebsiella": 1,
    }


def test_the_real_right_lung_is_on_the_left_of_the_picture(real):
    areas = {}
    for case in real:
        mask = case.target["mask"]
        assert case.image.shape == (1, *mask.shape)
        assert set(np.unique(mask)) == {0, 1, 2}
        columns = [np.nonzero(mask == code)[1].mean() for code in (1, 2)]
        assert columns[0] < mask.shape[1] / 2 < columns[1]
        areas[case.case] = [int((mask == code).sum()) for code in (1, 2)]
    # counted in the mask files with Pillow
    assert areas["covid-19-pneumonia-2"] == [203_258, 211_114]
    assert areas["kjr-21-e24-g001-l-a"] == [16_151, 22_622]


def test_the_real_lungs_are_darker_than_what_is_around_them(real):
    for case in real:
        mask = case.target["mask"] > 0
        rows, columns = np.nonzero(mask)
        box = np.s_[rows.min() : rows.max(), columns.min() : columns.max()]
        around = case.image[0][box][~mask[box]]
        assert case.image[0][mask].mean() < around.mean(), case.case
