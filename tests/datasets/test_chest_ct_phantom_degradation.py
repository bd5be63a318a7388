"""Degradation: kernels, halving, presets, scaling by the extremes."""

import numpy as np
import pytest

from common.datasets.chest_ct_phantom import phantom
from common.datasets.chest_ct_phantom_degradation import PRESETS, degrade, halve, kernel, sinc


@pytest.fixture(scope="module")
def sharp() -> np.ndarray:
    return phantom(1, 0, slices=2)[1].image[0]


def many(sharp: np.ndarray, n: int = 30, **settings) -> list[np.ndarray]:
    return [degrade(sharp, np.random.default_rng(i), **settings) for i in range(n)]


def coarse(image: np.ndarray) -> np.ndarray:
    return image.reshape(32, 4, 32, 4).mean(axis=(1, 3))


@pytest.mark.parametrize("kind", ["bicubic", "bilinear", "area"])
def test_halving_neither_shifts_nor_scales_a_ramp(kind) -> None:
    ramp = np.arange(16.0) + np.zeros((16, 1))
    inside = halve(ramp, kind)[:, 1:-1]
    np.testing.assert_allclose(inside, np.arange(2.5, 14, 2) + np.zeros((8, 1)))
    np.testing.assert_allclose(halve(ramp.T, kind), halve(ramp, kind).T)


def test_bicubic_halving_keeps_a_parabola_and_area_averages() -> None:
    square = np.arange(16.0) ** 2 + np.zeros((16, 1))
    middle = np.arange(2.5, 14, 2)
    np.testing.assert_allclose(halve(square, "bicubic")[8 // 2, 1:-1], middle**2)
    np.testing.assert_allclose(halve(square, "area")[4, 1:-1], middle**2 + 0.25)


def test_blur_kernels_have_sum_1_and_the_width_asked_for() -> None:
    for plateau in (None, 0.7, 4.0):
        weights = kernel(21, (2.0, 3.0), 0.4, plateau=plateau)
        assert weights.sum() == pytest.approx(1)
        np.testing.assert_allclose(weights, weights[::-1, ::-1])
    weights, axis = kernel(21, (1.5, 3.0), 0.0), np.arange(21) - 10
    assert (weights.sum(1) @ axis**2) ** 0.5 == pytest.approx(1.5, rel=0.01)
    assert (weights.sum(0) @ axis**2) ** 0.5 == pytest.approx(3.0, rel=0.02)
    np.testing.assert_allclose(kernel(21, (1.5, 3.0), np.pi / 2), weights.T)


def test_a_larger_exponent_makes_a_flatter_plateau() -> None:
    def drop(beta: float) -> float:
        weights = kernel(21, (4.0, 4.0), 0.0, plateau=beta)
        return float(weights[10, 12] / weights[10, 10])

    assert drop(0.5) < drop(2) < drop(8)
    assert drop(8) > 0.999


def test_the_sinc_filter_keeps_what_lies_below_its_cutoff_and_stops_the_rest() -> None:
    side, cutoff = 61, np.pi / 2
    gain = np.abs(np.fft.fft2(sinc(cutoff, side), (64, 64)))
    frequency = 2 * np.pi * np.fft.fftfreq(64)
    radius = np.hypot(frequency[:, None], frequency)
    assert gain[radius < 0.7 * cutoff].min() > 0.85
    assert gain[radius > 1.4 * cutoff].max() < 0.1
    assert sinc(cutoff).shape == (11, 11)
    assert sinc(cutoff).sum() == pytest.approx(1)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_gives_a_quarter_of_the_side_of_the_same_scene(preset, sharp) -> None:
    for found in many(sharp, 8, preset=preset):
        assert found.shape == (32, 32)
        assert found.dtype == np.float32
        assert 0 <= found.min() <= found.max() <= 1
        assert np.corrcoef(found.ravel(), coarse(sharp).ravel())[0, 1] > 0.75


def test_the_same_generator_gives_the_same_slice(sharp) -> None:
    first, second = (degrade(sharp, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_scaling_by_the_extremes_shifts_grey_levels_and_can_be_switched_off(sharp) -> None:
    def error(**settings) -> tuple[float, float]:
        """Error as it is, and after the best gain and offset."""
        raw, fitted = [], []
        for found in many(sharp, **settings):
            x, y = found.ravel(), coarse(sharp).ravel()
            raw.append(np.mean((x - y) ** 2))
            fitted.append(np.mean((np.polyval(np.polyfit(x, y, 1), x) - y) ** 2))
        return float(np.mean(raw)), float(np.mean(fitted))

    (with_raw, with_fit), (raw, fit) = error(renormalise=True), error(renormalise=False)
    assert with_raw > 2 * raw
    assert with_fit < 1.5 * fit
    assert all(found.min() == 0 and found.max() == 1 for found in many(sharp, 4, preset="released"))


def test_held_out_parameters_blur_and_disturb_more_than_those_of_training(sharp) -> None:
    def error(preset: str) -> float:
        return float(
            np.mean([np.mean((f - coarse(sharp)) ** 2) for f in many(sharp, preset=preset)])
        )

    assert error("bicubic_blur") < error("paper") < error("heldout")
    train, test = PRESETS["paper"], PRESETS["heldout"]
    assert train.sigma[1] <= test.sigma[0]
    assert train.gaussian_sd[1] <= test.gaussian_sd[0]
    assert train.quality[0] >= test.quality[1]


def test_the_paper_preset_has_the_printed_probabilities() -> None:
    paper = PRESETS["paper"]
    assert (paper.gaussian, paper.poisson, paper.jpeg, paper.sinc) == (0.5, 0.5, 0.3, 0.3)
    assert paper.resize == (0.6, 0.2, 0.2)
    assert tuple(paper.sides) == (7, 9, 11, 13, 15, 17, 19, 21)
    assert not paper.renormalise


def test_the_simple_preset_has_no_noise() -> None:
    flat = np.full((64, 64), 0.5, np.float32)
    for found in many(flat, 5, preset="bicubic_blur"):
        np.testing.assert_allclose(found, 0.5, atol=1e-6)
    assert max(found.std() for found in many(flat, 20, preset="paper")) > 0.005


@pytest.mark.parametrize(
    ("image", "preset", "message"),
    [
        (np.zeros((64, 64)), "jpeg", "`preset` must be one of paper, released"),
        (np.zeros((62, 64)), "paper", "two sides divisible by 4"),
        (np.zeros((1, 64, 64)), "paper", "two sides divisible by 4"),
    ],
)
def test_bad_arguments_are_named(image, preset, message) -> None:
    with pytest.raises(ValueError, match=message):
        degrade(image, np.random.default_rng(0), preset=preset)
