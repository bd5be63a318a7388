import io

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from common.datasets.cases import Case
from common.duplicates import near_duplicates, perceptual_hash, thumbnail


@pytest.fixture
def images(rng) -> np.ndarray:
    field = gaussian_filter(rng.standard_normal((40, 3, 96, 96)), (0, 0, 5, 5))
    return ((field - field.min()) / np.ptp(field)).astype(np.float32)


def cases(images) -> list[Case]:
    return [Case(f"c{i:02d}", f"p{i // 2:02d}", image, {}) for i, image in enumerate(images)]


def test_different_images_are_not_paired(images):
    assert near_duplicates(cases(images)).empty


def test_a_recompressed_darker_smaller_copy_is_found_with_its_clusters(images):
    grey = np.round(255 * images[3]).astype(np.uint8).transpose(1, 2, 0)
    stream = io.BytesIO()
    Image.fromarray(grey).resize((60, 60)).save(stream, "JPEG", quality=40)
    copy = 0.6 * np.asarray(Image.open(stream)).transpose(2, 0, 1) / 255
    found = near_duplicates([*cases(images), Case("copy", "other", copy.astype(np.float32), {})])
    assert found[["first", "second", "first_cluster", "second_cluster"]].to_numpy().tolist() == [
        ["c03", "copy", "p01", "other"]
    ]
    assert found["correlation"][0] > 0.97


def test_nearest_pairs_come_first(images):
    near = images[0] + 0.03 * np.roll(images[1], 5, axis=1)
    exact = images[2].copy()
    found = near_duplicates([*cases(images), Case("n", "n", near, {}), Case("e", "e", exact, {})])
    assert found["second"].tolist() == ["e", "n"]
    assert found["distance"].is_monotonic_increasing


def test_alike_hashes_of_unlike_images_are_not_reported():
    """Two flat images hash alike; without structure there is nothing to correlate."""
    flat = np.full((1, 40, 40), 0.5, np.float32)
    assert near_duplicates([Case("a", "a", flat, {}), Case("b", "b", flat, {})]).empty


def test_volumes_are_compared_by_their_middle_slice(images):
    volume = np.repeat(images[0][:1, None], 5, axis=1)
    other = volume.copy()
    other[:, [0, 4]] = 0
    found = near_duplicates([Case("a", "a", volume, {}), Case("b", "b", other, {})])
    assert len(found) == 1


def test_cases_without_images_are_passed_over(images):
    assert near_duplicates([Case("a", "a", None, {}), Case("b", "b", images[0], {})]).empty


def test_a_signal_is_no_image():
    with pytest.raises(ValueError, match=r"must be \(C, \[depth,\] height, width\), got \(4, 9\)"):
        thumbnail(np.zeros((4, 9)))


def test_the_hash_has_64_bits_half_of_them_set(images):
    """The median of the transform divides its bits in two."""
    counts = [perceptual_hash(thumbnail(image)).bit_count() for image in images]
    assert min(counts) >= 31
    assert max(counts) <= 33
