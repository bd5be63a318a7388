import numpy as np
import pytest
from PIL import Image

from common.datasets.mednode_two import CLASSES, DATASET, load
from common.errors import ReplicateError

COLOURS = {"naevus": (150, 90, 70), "melanoma": (60, 40, 35)}


@pytest.fixture
def folder(tmp_path):
    """Two JPEG photographs, named by what they show."""
    for number, (name, colour) in enumerate(COLOURS.items()):
        Image.new("RGB", (40 + number, 30), colour).save(tmp_path / f"{name}.jpg", quality=95)
    return tmp_path


def test_the_name_is_the_label_and_the_colour_comes_back(folder):
    cases = load(folder)
    assert cases.table["label"].tolist() == [0, 1]
    for case in cases:
        assert CLASSES[case.target["label"]] == case.case
        np.testing.assert_allclose(case.image.mean(axis=(1, 2)), COLOURS[case.case], atol=2)
    assert [case.image.shape for case in cases] == [(3, 30, 40), (3, 30, 41)]


def test_a_missing_a_grey_and_a_broken_photograph_are_refused(folder):
    path = folder / "naevus.jpg"
    Image.new("L", (40, 30)).save(path)
    with pytest.raises(ReplicateError, match=r"naevus.jpg must have 3 channels, got 1"):
        load(folder)[0]
    path.write_bytes(b"\xff\xd8")
    with pytest.raises(ReplicateError, match="must be a sound image"):
        load(folder)[0]
    path.unlink()
    with pytest.raises(ReplicateError, match=r"naevus.jpg must exist"):
        load(folder)


def test_the_real_photographs_are_two_and_differ_in_size(mirror):
    folder = mirror(DATASET)
    cases = load(folder)
    assert {case.case: case.image.shape for case in cases} == {
        "naevus": (3, 617, 573),
        "melanoma": (3, 466, 716),
    }
    for case in cases:
        stored = np.asarray(Image.open(folder / f"{case.case}.jpg"))
        np.testing.assert_array_equal(case.image, stored.transpose(2, 0, 1))
