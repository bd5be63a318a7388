import numpy as np
import pytest
from PIL import Image

from common.datasets.kvasir_seg_352 import DATASET, PARTS, load
from common.errors import ReplicateError

COUNTS = {"train": 11, "validation": 1, "test": 2}


def disc(radius):
    rows, columns = np.ogrid[:352, :352]
    return (rows - 176) ** 2 + (columns - 150) ** 2 < radius**2


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, quality=90)


@pytest.fixture
def folder(tmp_path):
    """JPEG images and JPEG masks of 352 x 352 pixels, numbered within each part."""
    for part, count in COUNTS.items():
        for number in range(count):
            colour = np.full((352, 352, 3), (200, 80, 10 * number), np.uint8)
            save(tmp_path / f"{part}/images/{number}.jpg", colour)
            mask = np.where(disc(20 + number), np.uint8(255), np.uint8(0))
            save(tmp_path / f"{part}/masks/{number}.jpg", mask)
    return tmp_path


def test_parts_are_listed_in_order_and_their_numbers_as_numbers(folder):
    table = load(folder).table
    assert table.groupby("part", sort=False).size().to_dict() == COUNTS
    assert table["case"].tolist()[8:13] == [
        "train-8",
        "train-9",
        "train-10",
        "validation-0",
        "test-0",
    ]
    assert (table["cluster"] == table["case"]).all()


def test_a_jpeg_mask_is_cut_at_128_so_that_the_drawn_region_comes_back(folder):
    stored = np.asarray(Image.open(folder / "train/masks/3.jpg"))
    assert len(np.unique(stored)) > 2
    case = load(folder)[3]
    np.testing.assert_array_equal(case.target["mask"], stored >= 128)
    differing = case.target["mask"] != disc(23)
    assert differing.sum() < 5 < (stored > 0).sum() - disc(23).sum()


def test_an_image_comes_back_within_the_loss_of_jpeg(folder):
    image = load(folder)[10].image
    assert image.shape == (3, 352, 352)
    np.testing.assert_allclose(image.mean(axis=(1, 2)), [200, 80, 100], atol=2)


def test_a_missing_mask_or_part_is_refused(folder):
    (folder / "train/masks/4.jpg").unlink()
    with pytest.raises(ReplicateError, match=r"train/images/4.jpg must have a mask"):
        load(folder)
    (folder / "train/images/4.jpg").unlink()
    (folder / "validation/images/0.jpg").unlink()
    with pytest.raises(ReplicateError, match="must hold files named validation/images"):
        load(folder)


def test_a_mask_of_another_size_and_a_broken_image_are_refused(folder):
    save(folder / "train/masks/0.jpg", np.zeros((352, 351), np.uint8))
    path = folder / "train/images/1.jpg"
    path.write_bytes(path.read_bytes()[:400])
    cases = load(folder)
    with pytest.raises(ReplicateError, match="352 x 352 pixels, got 352 x 351"):
        cases[0]
    with pytest.raises(ReplicateError, match=r"images/1.jpg must be a sound image"):
        cases[1]


def test_the_real_files_are_1000_pairs_with_polyps_on_a_seventh_of_the_pixels(mirror):
    folder = mirror(DATASET)
    cases = load(folder)
    counts = cases.table.groupby("part").size()
    assert [counts[part] for part in PARTS] == [800, 100, 100]
    n_true = 0
    for case in cases:
        assert case.image.shape == (3, 352, 352)
        assert case.target["mask"].any()
        n_true += case.target["mask"].sum()
    # counted over all mask files with Pillow: values of at least 128
    assert n_true == 19_069_535
    assert n_true / (1000 * 352**2) == pytest.approx(0.1539, abs=1e-4)
