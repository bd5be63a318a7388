import numpy as np
import pytest
from PIL import Image

from common.datasets.covid_qu_ex import CLASSES, ROOT, load
from common.errors import ReplicateError

NAMES = {"COVID-19": "covid_", "Non-COVID": "non_COVID (", "Normal": "Normal ("}
PARTS = {"Train": "train", "Val": "validation", "Test": "test"}
KINDS = ("images", "lung masks", "infection masks")


def place(folder, part, name, kind):
    number = list(PARTS).index(part)
    stem = f"{NAMES[name]}{number})" if "(" in NAMES[name] else f"{NAMES[name]}{number}"
    return folder / ROOT / part / name / kind / f"{stem}.png"


@pytest.fixture
def folder(tmp_path):
    """One image a part and class; only COVID-19 has an infection."""
    for part in PARTS:
        for brightness, name in enumerate(NAMES, start=1):
            lungs, infection = np.zeros((2, 32, 32), np.uint8)
            lungs[8:24, 4 : 4 + 6 * brightness] = 255
            if name == "COVID-19":
                infection[10:14, 5:8] = 255
            for kind, array in zip(KINDS, (lungs // 8 * brightness, lungs, infection), strict=True):
                path = place(tmp_path, part, name, kind)
                path.parent.mkdir(parents=True)
                Image.fromarray(array).save(path)
    return tmp_path


def test_images_lungs_and_infections_come_back_as_written(folder):
    cases = load(folder)
    assert len(cases) == 9
    for case in cases:
        name = CLASSES[case.target["label"]]
        brightness = list(NAMES).index(name) + 1
        assert case.image.shape == (1, 32, 32)
        assert case.image.max() == 255 // 8 * brightness
        assert case.target["lungs"].sum() == 16 * 6 * brightness
        assert case.target["infection"].sum() == (12 if name == "COVID-19" else 0)
        np.testing.assert_array_equal(case.image[0] > 0, case.target["lungs"])


def test_parts_and_classes_are_those_of_the_folders(folder):
    table = load(folder).table
    assert table["part"].tolist() == sorted(table["part"], key=list(PARTS.values()).index)
    assert table.groupby("part")["label"].apply(list).to_dict() == {
        part: [0, 1, 2] for part in PARTS.values()
    }
    assert table["case"][2] == "train/COVID-19/covid_0"


def test_only_a_covid_image_needs_a_file_for_its_infection(folder):
    place(folder, "Val", "Non-COVID", "infection masks").unlink()
    cases = load(folder)
    missing = cases.table["infection"] == ""
    assert cases.table["case"][missing].tolist() == ["validation/Non-COVID/non_COVID (1)"]
    assert not cases.where(missing)[0].target["infection"].any()
    place(folder, "Val", "COVID-19", "infection masks").unlink()
    with pytest.raises(ReplicateError, match=r"infection masks/covid_1.png must exist"):
        load(folder)


def test_an_infection_of_a_normal_image_is_refused(folder):
    Image.new("L", (32, 32), 255).save(place(folder, "Train", "Normal", "infection masks"))
    with pytest.raises(ReplicateError, match="be empty for a normal image, got 1024 pixels"):
        load(folder)[0]


def test_lung_masks_with_codes_instead_of_bright_pixels_are_refused(folder):
    Image.new("L", (32, 32), 1).save(place(folder, "Train", "Normal", "lung masks"))
    with pytest.raises(ReplicateError, match="must show a lung, got an empty mask"):
        load(folder)[0]


def test_a_missing_lung_mask_and_one_of_another_size_are_refused(folder):
    path = place(folder, "Test", "Non-COVID", "lung masks")
    Image.new("L", (31, 32), 255).save(path)
    with pytest.raises(ReplicateError, match="32 x 32 pixels, got 32 x 31"):
        load(folder)[7]
    path.rename(path.with_name("other.png"))
    with pytest.raises(ReplicateError, match="must have a mask"):
        load(folder)
