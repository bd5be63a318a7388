import io

import numpy as np
import pytest
from PIL import Image

from common.phantoms import noise


def test_gaussian_noise_has_its_spread(rng):
    noisy = noise.gaussian(np.full((200, 200), 5.0), 0.3, rng)
    assert noisy.mean() == pytest.approx(5, abs=0.01)
    assert noisy.std() == pytest.approx(0.3, rel=0.02)


def test_rician_noise_has_the_known_mean_without_and_with_signal(rng):
    assert noise.rician(np.zeros((300, 300)), 2.0, rng).mean() == pytest.approx(
        2 * np.sqrt(np.pi / 2), rel=0.01
    )
    strong = noise.rician(np.full((300, 300), 100.0), 2.0, rng)
    assert strong.mean() == pytest.approx(100 + 2**2 / 200, abs=0.03)
    assert strong.std() == pytest.approx(2, rel=0.02)


def test_photon_noise_keeps_the_mean_and_has_variance_mean_over_counts(rng):
    noisy = noise.poisson(np.full((300, 300), 0.5), 400, rng)
    assert noisy.mean() == pytest.approx(0.5, rel=0.005)
    assert noisy.var() == pytest.approx(0.5 / 400, rel=0.03)
    with pytest.raises(ValueError, match="`counts` must be above 0"):
        noise.poisson(np.ones((2, 2)), 0, rng)


def test_speckle_of_one_look_is_rayleigh_and_more_looks_weaken_it(rng):
    one = noise.speckle(np.ones((300, 300)), rng)
    assert (one**2).mean() == pytest.approx(1, rel=0.01)
    # mean over standard deviation of a Rayleigh variable
    assert one.mean() / one.std() == pytest.approx(np.sqrt(np.pi / (4 - np.pi)), rel=0.02)
    many = noise.speckle(np.ones((300, 300)), rng, looks=8)
    assert many.std() < 0.45 * one.std()


def test_log_compression_maps_its_range_to_grey():
    grey = noise.log_compress(np.array([[1.0, 10 ** (-25 / 20), 1e-9, 0.0]]), range_db=50)
    np.testing.assert_allclose(grey, [[1, 0.5, 0, 0]], atol=1e-6)
    assert noise.log_compress(np.zeros((2, 2))).max() == 0


def test_blur_leaves_channels_apart_where_asked():
    image = np.zeros((2, 21, 21), np.float32)
    image[0, 10, 10] = 1
    blurred = noise.blur(image, (0, 2, 2))
    assert blurred[1].max() == 0
    assert blurred[0].sum() == pytest.approx(1, abs=1e-3)


def test_a_slice_profile_is_a_box():
    image = np.zeros((9, 1), np.float32)
    image[4] = 3
    assert noise.slice_profile(image, 3).ravel().tolist() == pytest.approx(
        [0, 0, 0, 1, 1, 1, 0, 0, 0]
    )


def test_specks_have_their_value_and_no_speck_changes_nothing(rng):
    image = np.full((3, 64, 64), 0.4, np.float32)
    marked = noise.specks(image, 10, 1.0, rng)
    assert marked.max() > 0.9
    assert np.median(marked) == pytest.approx(0.4)
    np.testing.assert_array_equal(noise.specks(image, 0, 1.0, rng), image)


@pytest.mark.parametrize("quality", [10, 40, 75])
def test_blocks_are_those_of_the_reference_encoder(quality, rng):
    """Against libjpeg: equal up to pixels' rounding, but for coefficients near half a step."""
    y, x = np.mgrid[:40, :56]
    image = 0.5 + 0.3 * np.sin(x / 4) * np.cos(y / 7) + 0.05 * rng.standard_normal((40, 56))
    image = noise.quantise(image)
    stream = io.BytesIO()
    Image.fromarray(np.round(image * 255).astype(np.uint8)).save(stream, "JPEG", quality=quality)
    reference = np.asarray(Image.open(stream)) / 255
    difference = 255 * np.abs(noise.jpeg_blocks(image, quality) - reference)
    assert np.percentile(difference, 60) <= 0.51
    assert np.percentile(np.abs(255 * (image - reference)), 75) > 3


def test_blocks_reach_the_border_of_any_size_and_channel(rng):
    image = rng.random((3, 13, 21)).astype(np.float32)
    assert noise.jpeg_blocks(image, 50).shape == (3, 13, 21)
    with pytest.raises(ValueError, match="`quality` must be in 1-100"):
        noise.jpeg_blocks(image, 0)


def test_quantisation_has_its_levels():
    image = np.linspace(-0.2, 1.2, 500)
    np.testing.assert_allclose(np.unique(noise.quantise(image, 5)), [0, 0.25, 0.5, 0.75, 1])
