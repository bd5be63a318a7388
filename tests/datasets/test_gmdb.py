import pytest
from PIL import Image

from common.datasets.gmdb import load
from common.errors import ReplicateError


def rows():
    """Seven patients of one disorder, one of them with two photographs; six of another."""
    found = [(f"f{number}.jpg", f"{number}", "Noonan") for number in range(7)]
    found.append(("f6-later.jpg", "6", "Noonan"))
    return found + [(f"r{number}.jpg", f"{20 + number}", "Alazami") for number in range(6)]


def write(folder, entries):
    lines = [",".join(entry) for entry in [("image", "patient", "disorder"), *entries]]
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images").mkdir()
    for number, (name, _, _) in enumerate(rows()):
        Image.new("RGB", (20, 20), (10 * number, 0, 0)).save(tmp_path / "images" / name, quality=95)
    write(tmp_path, rows())
    return tmp_path


def test_photographs_of_a_patient_are_one_cluster(folder):
    table = load(folder).table.set_index("case")
    assert len(table) == 14
    assert table["cluster"].nunique() == 13
    assert table.loc["f6.jpg", "cluster"] == table.loc["f6-later.jpg", "cluster"] == "patient-6"


def test_a_disorder_is_rare_up_to_six_patients_whatever_the_photographs(folder):
    table = load(folder).table
    parts = table.groupby("disorder")["part"].unique().map(list).to_dict()
    assert parts == {"Noonan": ["frequent"], "Alazami": ["rare"]}
    # two photographs more make no seventh patient
    for name in ("a.jpg", "b.jpg"):
        Image.new("RGB", (20, 20)).save(folder / "images" / name)
    write(folder, [*rows(), ("a.jpg", "20", "Alazami"), ("b.jpg", "21", "Alazami")])
    assert load(folder).table["part"].tolist()[-1] == "rare"


def test_labels_count_disorders_in_alphabetical_order_and_images_come_back(folder):
    cases = load(folder)
    assert cases.table.groupby("disorder")["label"].unique().map(list).to_dict() == {
        "Alazami": [0],
        "Noonan": [1],
    }
    for number, case in enumerate(cases):
        assert case.image.shape == (3, 20, 20)
        assert abs(int(case.image[0].mean()) - 10 * number) <= 3
        assert case.target == {"label": 1 if number < 8 else 0}


@pytest.mark.parametrize(
    "wrong", [("absent.jpg", "3", "Noonan"), ("f0.jpg", "", "Noonan"), ("f0.jpg", "3", "")]
)
def test_a_row_without_photograph_patient_or_disorder_is_refused(folder, wrong):
    write(folder, [wrong, *rows()[1:]])
    with pytest.raises(ReplicateError, match="give every photograph of images a patient and a"):
        load(folder)


def test_a_photograph_that_is_listed_twice_is_refused(folder):
    write(folder, [*rows(), rows()[0]])
    with pytest.raises(ReplicateError, match=r"name every photograph once, got images/f0.jpg"):
        load(folder)


def test_a_name_that_leads_out_of_the_folder_is_not_followed(folder):
    (folder / "images/f0.jpg").rename(folder / "f0.jpg")
    write(folder, [("../f0.jpg", "0", "Noonan"), *rows()[1:]])
    with pytest.raises(ReplicateError, match=r"got .*'images/f0.jpg'"):
        load(folder)
