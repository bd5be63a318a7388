import numpy as np
import pytest
from PIL import Image

from common.datasets.ife_examples import CLASSES, DATASET, HEAVY, LIGHT, load
from common.errors import ReplicateError

# name, label, heavy chain, light chain
ROWS = [("1", 3, 1, 1), ("2", 0, 0, 0), ("3", 2, 0, 2), ("4", 8, 3, 2)]


def write_list(folder, rows):
    lines = ["id,label,label1,label2"]
    lines += [f"../data/{name}.JPG,{','.join(map(str, codes))}" for name, *codes in rows]
    (folder / "label").mkdir(exist_ok=True)
    (folder / "label/all.csv").write_text("\n".join(lines))


@pytest.fixture
def folder(tmp_path):
    """JPEG gels of 188 x 283 pixels and the list, whose last line has no end."""
    (tmp_path / "data").mkdir()
    for name, *_ in ROWS:
        gel = np.full((188, 283, 3), (230, 225, 50 + 20 * int(name)), np.uint8)
        Image.fromarray(gel).save(tmp_path / f"data/{name}.JPG", quality=95)
    write_list(tmp_path, ROWS)
    return tmp_path


def test_images_and_the_three_labels_come_back(folder):
    cases = load(folder)
    assert cases.table[["case", "label", "heavy", "light"]].to_numpy().tolist() == [
        list(row) for row in ROWS
    ]
    for case, (name, label, heavy, light) in zip(cases, ROWS, strict=True):
        assert case.image.shape == (3, 188, 283)
        np.testing.assert_allclose(case.image[2].mean(), 50 + 20 * int(name), atol=2)
        assert dict(case.target) == {"label": label, "heavy": heavy, "light": light}


def test_every_class_name_is_made_of_its_two_chains():
    for heavy, first in enumerate(HEAVY):
        for light, second in enumerate(LIGHT[1:], start=1):
            name = second if heavy == 0 else f"{first}-{second}"
            assert CLASSES[2 * heavy + light] == name
    assert len(CLASSES) == 1 + len(HEAVY) * 2


@pytest.mark.parametrize(
    "codes", [(4, 1, 1), (2, 1, 0), (9, 4, 1), (5, 1, 3), (0, 0, -1), ("x", 0, 0), (1, 0, "")]
)
def test_codes_that_contradict_each_other_are_refused(folder, codes):
    write_list(folder, [*ROWS[:3], ("4", *codes)])
    with pytest.raises(ReplicateError, match=r"all.csv must hold .*4.JPG"):
        load(folder)


@pytest.mark.parametrize("name", ["5", "../../secret", "1"])
def test_a_row_for_a_file_that_is_not_there_or_was_named_before_is_refused(folder, name):
    write_list(folder, [*ROWS[:3], (name, 0, 0, 0)])
    with pytest.raises(ReplicateError, match="must name files of the folder data, got"):
        load(folder)


def test_an_image_without_a_row_is_refused(folder):
    write_list(folder, ROWS[:3])
    with pytest.raises(ReplicateError, match=r"got no row for 4.JPG"):
        load(folder)


def test_a_missing_column_a_grey_image_and_a_broken_one_are_refused(folder):
    Image.new("L", (283, 188)).save(folder / "data/1.JPG")
    (folder / "data/2.JPG").write_bytes(b"\xff\xd8\xff")
    cases = load(folder)
    with pytest.raises(ReplicateError, match="must have 3 channels, got 1"):
        cases[0]
    with pytest.raises(ReplicateError, match=r"2.JPG must be a sound image"):
        cases[1]
    path = folder / "label/all.csv"
    path.write_text(path.read_text().replace("label2", "light"))
    with pytest.raises(ReplicateError, match="no column label2"):
        load(folder)


def test_the_real_examples_have_the_labels_of_their_list(mirror):
    folder = mirror(DATASET)
    cases = load(folder)
    names = [CLASSES[label] for label in cases.table["label"]]
    assert names == ["IgG-kappa", "negative", "lambda", "IgG-kappa", "negative", "negative"]
    assert cases.table["heavy"].tolist() == [1, 0, 0, 1, 0, 0]
    assert cases.table["light"].tolist() == [1, 0, 2, 1, 0, 0]
    for case in cases:
        stored = np.asarray(Image.open(folder / f"data/{case.case}.JPG"))
        assert stored.shape == (188, 283, 3)
        np.testing.assert_array_equal(case.image, stored.transpose(2, 0, 1))
