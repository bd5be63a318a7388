import numpy as np
import pytest
from PIL import Image

from common.datasets.dsb2018_stage1 import DATASET, load
from common.errors import ReplicateError

GREY, TISSUE = "0a" * 32, "1b" * 32
BOXES = ((1, 1), (1, 6), (6, 2))


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def mask_of(top, left, shape=(16, 12)):
    mask = np.zeros(shape, np.uint8)
    mask[top : top + 4, left : left + 4] = 255
    return mask


@pytest.fixture
def folder(tmp_path, rng):
    """RGBA images and one PNG a nucleus; the first two masks of a case are written last."""
    grey = np.repeat(rng.integers(0, 256, (16, 12, 1), dtype=np.uint8), 3, axis=2)
    colour = rng.integers(0, 256, (16, 12, 3), dtype=np.uint8)
    opaque = np.full((16, 12, 1), 255, np.uint8)
    for name, image in ((GREY, grey), (TISSUE, colour)):
        save(tmp_path / name / f"images/{name}.png", np.concatenate([image, opaque], axis=2))
        for number, (top, left) in reversed(list(enumerate(BOXES))):
            save(tmp_path / name / f"masks/{number:064d}.png", mask_of(top, left))
    return tmp_path


def test_nuclei_are_numbered_in_the_order_of_their_files(folder):
    case = load(folder)[0]
    instances = case.target["instances"]
    assert instances.dtype == np.int32
    for number, (top, left) in enumerate(BOXES, start=1):
        np.testing.assert_array_equal(instances == number, mask_of(top, left) > 0)


def test_a_pixel_of_two_nuclei_stays_with_the_first(folder):
    save(folder / GREY / f"masks/{'9' * 64}.png", mask_of(3, 3))
    instances = load(folder)[0].target["instances"]
    # rows and columns 3 to 6, of which (3..4, 3..4), (3..4, 6) and (6, 3..5) were taken
    assert instances[3:7, 3:7].tolist() == [[1, 1, 4, 2], [1, 1, 4, 2], [4, 4, 4, 4], [3, 3, 3, 4]]


def test_the_image_comes_back_without_opacity(folder):
    for case in load(folder):
        stored = np.asarray(Image.open(folder / case.case / f"images/{case.case}.png"))
        np.testing.assert_array_equal(case.image, stored[..., :3].transpose(2, 0, 1))
        assert case.info["coloured"] == (case.case == TISSUE)


def test_the_table_counts_nuclei_without_reading_them(folder):
    assert load(folder).table["n_nuclei"].tolist() == [3, 3]


def test_what_does_not_fit_is_refused(folder):
    mask = folder / GREY / f"masks/{0:064d}.png"
    save(mask, mask_of(1, 1, (12, 16)))
    with pytest.raises(ReplicateError, match="16 x 12 pixels, got 12 x 16"):
        load(folder)[0]
    save(mask, np.zeros((16, 12), np.uint8))
    with pytest.raises(ReplicateError, match="must show one nucleus, got no pixel"):
        load(folder)[0]
    mask.write_bytes(b"\x89PNG")
    with pytest.raises(ReplicateError, match="must be a sound image"):
        load(folder)[0]
    save(folder / TISSUE / f"images/{TISSUE}.png", np.zeros((16, 12), np.uint8))
    with pytest.raises(ReplicateError, match="must have 3 or 4 channels, got 1"):
        load(folder)[1]


def test_an_image_without_masks_or_under_another_name_is_refused(folder):
    for path in (folder / GREY / "masks").iterdir():
        path.unlink()
    with pytest.raises(ReplicateError, match="must hold files named masks"):
        load(folder)
    image = folder / GREY / f"images/{GREY}.png"
    image.rename(image.with_name("0c.png"))
    with pytest.raises(ReplicateError, match="be named after its folder"):
        load(folder)


def test_the_real_files_hold_1631_nuclei_in_50_images(mirror):
    folder = mirror(DATASET)
    cases = load(folder)
    assert len(cases) == 50
    assert cases.table["n_nuclei"].sum() == 1631
    found = {"coloured": 0, "nuclei": 0, "pixels": 0}
    for case in cases:
        found["coloured"] += case.info["coloured"]
        assert case.image.shape[1:] == ((256, 320) if case.info["coloured"] else (256, 256))
        found["nuclei"] += len(np.unique(case.target["instances"])) - 1
        found["pixels"] += np.count_nonzero(case.target["instances"])
    drawn = sum(
        np.count_nonzero(np.asarray(Image.open(path))) for path in folder.glob("*/masks/*.png")
    )
    # two pixels are claimed twice
    assert found == {"coloured": 20, "nuclei": 1631, "pixels": drawn - 2}
