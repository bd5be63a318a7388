import shutil

import numpy as np
import pytest
from PIL import Image

from common.datasets.isic2018_task1 import load
from common.errors import ReplicateError


def write(folder, part, names):
    images = folder / f"ISIC2018_Task1-2_{part}_Input"
    masks = folder / f"ISIC2018_Task1_{part}_GroundTruth"
    for place in (images, masks):
        place.mkdir()
        # the archives hold texts too
        (place / "ATTRIBUTION.txt").write_text("x")
    for number, name in enumerate(names, start=1):
        Image.new("RGB", (30, 20 + number), (180, 120, 100)).save(images / f"{name}.jpg")
        mask = np.zeros((20 + number, 30), np.uint8)
        mask[3:9, : 4 + number] = 255
        Image.fromarray(mask).save(masks / f"{name}_segmentation.png")


@pytest.fixture
def folder(tmp_path):
    write(tmp_path, "Training", ["ISIC_0000000", "ISIC_0000001"])
    return tmp_path


def test_the_training_part_alone_is_read(folder):
    cases = load(folder)
    assert cases.table["case"].tolist() == ["ISIC_0000000", "ISIC_0000001"]
    assert set(cases.table["part"]) == {"train"}
    for number, case in enumerate(cases, start=1):
        assert case.image.shape == (3, 20 + number, 30)
        assert case.target["mask"].sum() == 6 * (4 + number)
        assert case.cluster == case.case


def test_the_other_parts_are_read_where_they_are(folder):
    write(folder, "Validation", ["ISIC_0012255"])
    write(folder, "Test", ["ISIC_0012236", "ISIC_0012169"])
    table = load(folder).table
    parts = dict(zip(table["case"], table["part"], strict=True))
    assert parts == {
        "ISIC_0000000": "train",
        "ISIC_0000001": "train",
        "ISIC_0012255": "validation",
        "ISIC_0012169": "test",
        "ISIC_0012236": "test",
    }


@pytest.mark.parametrize(
    "absent", ["ISIC2018_Task1-2_Test_Input", "ISIC2018_Task1_Test_GroundTruth"]
)
def test_a_part_of_which_only_images_or_masks_are_there_is_refused(folder, absent):
    write(folder, "Test", ["ISIC_0012236"])
    shutil.rmtree(folder / absent)
    with pytest.raises(ReplicateError, match=f"must hold files named {absent}"):
        load(folder)


def test_a_missing_mask_and_one_of_another_size_are_refused(folder):
    path = folder / "ISIC2018_Task1_Training_GroundTruth/ISIC_0000001_segmentation.png"
    Image.new("L", (22, 30)).save(path)
    with pytest.raises(ReplicateError, match="22 x 30 pixels, got 30 x 22"):
        load(folder)[1]
    path.unlink()
    with pytest.raises(ReplicateError, match=r"ISIC_0000001.jpg must have a mask"):
        load(folder)
