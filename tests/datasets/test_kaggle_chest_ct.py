import numpy as np
import pytest
from PIL import Image

from common.datasets.kaggle_chest_ct import CLASSES, load
from common.errors import ReplicateError

# path below Data: mode
FILES = {
    "train/adenocarcinoma_left.lower.lobe_T2_N0_M0_Ib/000005 (3).png": "RGBA",
    "train/large.cell.carcinoma_left.hilum_T2_N2_M0_IIIa/000002.png": "RGB",
    "train/normal/10 (2).png": "L",
    "train/normal/9 - Copy.jpg": "RGB",
    "valid/squamous.cell.carcinoma_left.hilum_T1_N2_M0_IIIa/000002.png": "RGB",
    "test/adenocarcinoma/000108 (3).png": "RGBA",
    "test/normal/10 (2).png": "L",
}


@pytest.fixture
def folder(tmp_path):
    for number, (name, mode) in enumerate(FILES.items()):
        path = tmp_path / "Data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        grey = Image.new("L", (30 + number, 20), 20 * number)
        if mode == "RGBA":
            grey.convert("RGB").convert("RGBA").save(path)
        else:
            grey.convert(mode).save(path, quality=95)
    return tmp_path


def test_slices_come_as_grey_with_the_class_and_stage_of_their_folder(folder):
    cases = load(folder)
    table = cases.table.set_index("case")
    assert len(table) == len(FILES)
    first = table.loc["train/adenocarcinoma_left.lower.lobe_T2_N0_M0_Ib/000005 (3).png"]
    assert first["stage"] == "left.lower.lobe_T2_N0_M0_Ib"
    assert table.loc["test/adenocarcinoma/000108 (3).png", "stage"] == ""
    classes = [CLASSES[label] for label in table.loc[list(FILES), "label"]]
    assert classes == [
        "adenocarcinoma",
        "large cell carcinoma",
        "normal",
        "normal",
        "squamous cell carcinoma",
        "adenocarcinoma",
        "normal",
    ]
    for case in cases:
        number = list(FILES).index(case.case)
        assert case.image.shape == (1, 20, 30 + number)
        np.testing.assert_allclose(case.image, 20 * number, atol=1)


def test_the_parts_are_those_of_the_folders_and_names_may_repeat_between_them(folder):
    table = load(folder).table
    assert table["part"].tolist() == ["train"] * 4 + ["valid"] + ["test"] * 2
    assert table["image"].str.endswith("10 (2).png").sum() == 2
    normal = table["image"][table["image"].str.contains("train/normal")].tolist()
    assert normal == ["Data/train/normal/9 - Copy.jpg", "Data/train/normal/10 (2).png"]


def test_an_unknown_class_another_kind_of_file_and_an_absent_part_are_refused(folder):
    strange = folder / "Data/test/normal/Thumbs.db"
    strange.write_bytes(b"x")
    with pytest.raises(ReplicateError, match=r"Thumbs.db must end in one of .png"):
        load(folder)
    strange.unlink()
    (folder / "Data/test/normal").rename(folder / "Data/test/healthy")
    with pytest.raises(ReplicateError, match=r"begins with one of normal, .*got healthy"):
        load(folder)
    (folder / "Data/valid").rename(folder / "valid")
    with pytest.raises(ReplicateError, match=r"must hold files named Data/valid"):
        load(folder)
