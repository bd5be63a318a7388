import pytest
from PIL import Image

from common.datasets import mednode_two
from common.datasets.mednode_complete import CLASSES, load
from common.errors import ReplicateError


@pytest.fixture
def folder(tmp_path):
    for number, name in enumerate(("naevus/120", "naevus/99", "melanoma/7")):
        path = tmp_path / f"{name}.jpg"
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (40 + number, 30), (150, 90, 40 * number)).save(path, quality=95)
    return tmp_path


def test_the_folder_is_the_label_with_the_codes_of_the_two_mirrored_images(folder):
    cases = load(folder)
    assert CLASSES == mednode_two.CLASSES
    assert cases.table["case"].tolist() == ["99", "120", "7"]
    assert [CLASSES[case.target["label"]] for case in cases] == ["naevus", "naevus", "melanoma"]
    assert [case.image.shape for case in cases] == [(3, 30, 41), (3, 30, 40), (3, 30, 42)]
    assert [round(case.image[2].mean() / 40) for case in cases] == [1, 0, 2]


def test_one_name_in_both_classes_is_refused(folder):
    (folder / "naevus/99.jpg").rename(folder / "naevus/7.jpg")
    with pytest.raises(ReplicateError, match=r"melanoma/7.jpg must have a name of its own"):
        load(folder)
