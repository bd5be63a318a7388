import numpy as np
import pytest
from PIL import Image

from common.datasets.image_pairs import misfit, natural, pairs, read_channels, read_mask, read_pair
from common.errors import ReplicateError


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(array, np.uint8)).save(path)
    return path


@pytest.fixture
def folder(tmp_path, rng):
    for name in ("9", "10"):
        save(tmp_path / f"images/{name}.png", rng.integers(0, 256, (5, 4, 3)))
        save(tmp_path / f"masks/{name}_mask.png", 255 * rng.integers(0, 2, (5, 4)))
    return tmp_path


def list_pairs(folder):
    return pairs(folder, "images/*.png", "masks/*.png", dataset="some-set", ending="_mask")


def test_channels_come_first_in_writable_memory_of_their_own(tmp_path, rng):
    array = rng.integers(0, 256, (5, 4, 3), dtype=np.uint8)
    read = read_channels(save(tmp_path / "colour.png", array))
    np.testing.assert_array_equal(read, array.transpose(2, 0, 1))
    assert read.flags["C_CONTIGUOUS"]
    assert read.flags["WRITEABLE"]
    assert read_channels(save(tmp_path / "grey.png", array[..., 0])).shape == (1, 5, 4)


def test_a_mask_is_true_from_the_threshold_on(tmp_path):
    path = save(tmp_path / "mask.png", [[0, 1, 127, 128, 255]])
    assert read_mask(path, (1, 5), dataset="some-set").tolist() == [[False, *[True] * 4]]
    high = read_mask(path, (1, 5), dataset="some-set", at_least=128)
    assert high.tolist() == [[False, False, False, True, True]]


def test_opacity_does_not_count_as_mask(tmp_path):
    opaque = np.zeros((2, 2, 4))
    opaque[..., 3] = 255
    assert not read_mask(save(tmp_path / "mask.png", opaque), (2, 2), dataset="some-set").any()


def test_a_mask_of_another_size_is_refused_with_both_sizes_and_the_remedy(tmp_path):
    path = save(tmp_path / "mask.png", np.zeros((5, 4)))
    with pytest.raises(ReplicateError, match=r"4 x 5 pixels, got 5 x 4.*data verify some-set"):
        read_mask(path, (4, 5), dataset="some-set")
    assert read_mask(path, None, dataset="some-set").shape == (5, 4)


def test_pairs_are_matched_by_name_and_ordered_by_number(folder):
    assert list_pairs(folder) == [
        {"case": "9", "image": "images/9.png", "mask": "masks/9_mask.png"},
        {"case": "10", "image": "images/10.png", "mask": "masks/10_mask.png"},
    ]


def test_masks_in_the_images_folder_are_not_taken_for_images(folder):
    for path in (folder / "masks").iterdir():
        path.rename(folder / "images" / path.name)
    found = pairs(folder, "*/*.png", "*/*_mask.png", dataset="some-set", ending="_mask")
    assert [row["image"] for row in found] == ["images/9.png", "images/10.png"]


def test_an_image_without_mask_and_a_mask_without_image_are_named(folder):
    (folder / "masks/9_mask.png").rename(folder / "masks/8_mask.png")
    with pytest.raises(ReplicateError, match=r"images/9.png must have a mask"):
        list_pairs(folder)
    (folder / "images/9.png").unlink()
    with pytest.raises(ReplicateError, match=r"masks/8_mask.png must have an image"):
        list_pairs(folder)


def test_two_files_of_one_name_are_refused(folder):
    save(folder / "more/9.png", np.zeros((5, 4, 3)))
    with pytest.raises(ReplicateError, match="a name of its own"):
        pairs(folder, "*/*[0-9].png", "masks/*.png", dataset="some-set", ending="_mask")


def test_a_pair_is_read_with_what_its_row_knows(folder, rng):
    row = list_pairs(folder)[0] | {"cluster": "p1"}
    case = read_pair(row, folder=folder, dataset="some-set")
    assert (case.case, case.cluster, case.site) == ("9", "p1", None)
    stored = np.asarray(Image.open(folder / "images/9.png"))
    np.testing.assert_array_equal(case.image, stored.transpose(2, 0, 1))
    stored = np.asarray(Image.open(folder / "masks/9_mask.png"))
    np.testing.assert_array_equal(case.target["mask"], stored == 255)
    assert set(case.target) == {"mask"}
    labelled = read_pair(row | {"label": 1, "site": "A"}, folder=folder, dataset="some-set")
    assert (labelled.target["label"], labelled.site) == (1, "A")


def test_natural_order_compares_numbers_as_numbers():
    assert sorted(["b2", "a10", "a2"], key=natural) == ["a2", "a10", "b2"]


def test_a_misfit_names_file_rule_finding_and_remedy(tmp_path):
    text = str(misfit(tmp_path / "x.png", "be grey", "3 channels", dataset="some-set"))
    assert text.startswith(f"{tmp_path / 'x.png'} must be grey, got 3 channels. ")
    assert "`replicate data verify some-set`" in text
