import numpy as np
import pytest

from common.phantoms import fields


def correlation(field: np.ndarray, lag: int, axis: int) -> float:
    a = np.moveaxis(field, axis, 0)
    return float((a[:-lag] * a[lag:]).mean() / (a**2).mean())


@pytest.mark.parametrize("sigma", [0.0, 1.0, 3.0, 12.0])
def test_smooth_noise_has_unit_spread_and_the_smoothness_asked_for(sigma, rng):
    drawn = [fields.smooth_noise((160, 160), sigma, rng) for _ in range(20)]
    assert all(abs(one.mean()) < 1e-5 and one.std() == pytest.approx(1, abs=1e-4) for one in drawn)
    lag = max(1, round(sigma))
    # white noise smoothed with s correlates as exp(-lag^2 / 4 s^2)
    expected = np.exp(-(lag**2) / (4 * sigma**2)) if sigma else 0.0
    found = np.mean([correlation(one, lag, axis) for one in drawn for axis in (0, 1)])
    assert found == pytest.approx(expected, abs=0.09)


def test_smoothness_may_differ_between_axes(rng):
    field = fields.smooth_noise((200, 200), (8.0, 1.0), rng)
    assert correlation(field, 3, 0) > 0.8
    assert correlation(field, 3, 1) < 0.3


def test_a_single_pixel_has_no_noise(rng):
    assert fields.smooth_noise((1, 1), 3.0, rng).tolist() == [[0.0]]


def test_banded_noise_lacks_slow_and_fast_parts(rng):
    field = fields.band_noise((256, 256), 2.0, 6.0, rng)
    power = np.abs(np.fft.fft2(field)) ** 2
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(256), np.fft.fftfreq(256)))
    middle = power[(frequency > 0.02) & (frequency < 0.1)].mean()
    assert power[frequency < 0.005].mean() < 0.05 * middle
    assert power[frequency > 0.25].mean() < 0.01 * middle


def test_the_coarser_kernel_must_be_the_wider_one(rng):
    with pytest.raises(ValueError, match="`coarse` must be above"):
        fields.band_noise((8, 8), 2.0, 2.0, rng)


@pytest.mark.parametrize(("angle", "along"), [(0.0, 0), (np.pi / 2, 1)])
def test_fibres_run_along_their_angle(angle, along, rng):
    field = fields.fibres((120, 140), angle, 12.0, 1.0, rng)
    assert field.shape == (120, 140)
    assert correlation(field, 4, along) > correlation(field, 4, 1 - along) + 0.5


def test_a_bias_field_is_positive_has_mean_one_and_vanishes_with_its_strength(rng):
    field = fields.bias_field((64, 64, 32), 0.4, rng)
    assert field.min() > 0
    assert field.mean() == pytest.approx(1, abs=1e-4)
    assert np.log(field).std() == pytest.approx(0.4, rel=0.05)
    np.testing.assert_array_equal(fields.bias_field((8, 8), 0.0, rng), np.ones((8, 8)))


def test_no_displacement_leaves_every_image_as_it_is(rng):
    image = rng.random((20, 30))
    still = fields.displacement((20, 30), 0.0, 4.0, rng)
    np.testing.assert_allclose(fields.warp(image, still), image, atol=1e-6)


def test_a_constant_displacement_shifts(rng):
    image = rng.random((20, 30))
    field = np.zeros((2, 20, 30), np.float32)
    field[0] = 3
    np.testing.assert_allclose(fields.warp(image, field)[:-3], image[3:], atol=1e-6)


def test_labels_stay_labels_and_masks_can_be_interpolated(rng):
    labels = rng.integers(0, 5, (30, 30)).astype(np.uint8)
    field = fields.displacement((30, 30), 2.0, 4.0, rng)
    warped = fields.warp(labels, field, order=0)
    assert warped.dtype == np.uint8
    assert set(np.unique(warped)) <= set(range(5))
    shares = fields.warp(labels > 2, field)
    assert shares.dtype == np.float32
    assert ((shares > 0) & (shares < 1)).any()


def test_beyond_the_border_is_the_value_asked_for():
    field = np.full((2, 4, 4), 10, np.float32)
    assert fields.warp(np.ones((4, 4)), field, outside=-1.0).max() == -1


def test_a_field_of_another_shape_is_refused(rng):
    with pytest.raises(ValueError, match=r"must have shape \(2, 4, 4\), got \(2, 5, 5\)"):
        fields.warp(np.ones((4, 4)), np.zeros((2, 5, 5), np.float32))
