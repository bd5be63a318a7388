import pytest
from PIL import Image

from common.datasets.adam_ichallenge_amd import CLASSES, load
from common.errors import ReplicateError


@pytest.fixture
def folder(tmp_path):
    for name, side in {"AMD/A0001": 40, "Non-AMD/N0002": 30, "Non-AMD/N0010": 30}.items():
        path = tmp_path / f"Training400/{name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (side, side), (120, 60, side)).save(path, quality=95)
    return tmp_path


def test_the_folder_is_the_label(folder):
    cases = load(folder)
    assert cases.table["case"].tolist() == ["N0002", "N0010", "A0001"]
    assert [CLASSES[case.target["label"]] for case in cases] == ["normal", "normal", "AMD"]
    assert [case.image.shape for case in cases] == [(3, 30, 30), (3, 30, 30), (3, 40, 40)]
    assert abs(int(cases[2].image[2].mean()) - 40) <= 2


def test_a_class_without_images_and_a_broken_image_are_refused(folder):
    path = folder / "Training400/AMD/A0001.jpg"
    path.write_bytes(b"\xff\xd8\xff")
    with pytest.raises(ReplicateError, match=r"A0001.jpg must be a sound image"):
        load(folder)[2]
    path.unlink()
    with pytest.raises(ReplicateError, match=r"must hold files named Training400/AMD/A\*.jpg"):
        load(folder)
