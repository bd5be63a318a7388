import numpy as np
import pytest

from common.phantoms import stains


def test_light_falls_with_the_exponent_of_the_stain():
    amounts = np.array([[[0.0, 1.0, 2.0]]])
    light = stains.transmit(amounts, [stains.HAEMATOXYLIN], white=(0.9, 1.0, 0.8))
    np.testing.assert_allclose(light[:, 0, 0], [0.9, 1.0, 0.8], rtol=1e-6)
    np.testing.assert_allclose(light[1, 0], np.exp(-0.70 * np.array([0, 1, 2])), rtol=1e-6)


def test_two_stains_multiply():
    one = stains.transmit(np.ones((1, 1, 1)), [stains.HAEMATOXYLIN])
    two = stains.transmit(np.ones((1, 1, 1)), [stains.EOSIN])
    both = stains.transmit(np.ones((2, 1, 1)), [stains.HAEMATOXYLIN, stains.EOSIN])
    np.testing.assert_allclose(both, one * two, rtol=1e-6)


def test_densities_must_fit_the_stains():
    with pytest.raises(ValueError, match="one row for each of 2 stains"):
        stains.transmit(np.ones((2, 1, 1)), [stains.EOSIN])


def test_jitter_keeps_lengths_and_is_none_at_zero(rng):
    table = np.array([stains.HAEMATOXYLIN, stains.EOSIN])
    np.testing.assert_allclose(stains.jitter(table, 0.0, rng), table, rtol=1e-9)
    varied = stains.jitter(table, 0.2, rng)
    np.testing.assert_allclose(np.linalg.norm(varied, axis=1), np.linalg.norm(table, axis=1))
    assert not np.allclose(varied, table, rtol=0.01)


def test_turning_stains_changes_their_hue_and_not_grey(rng):
    grey = stains.jitter([[0.5, 0.5, 0.5]], 0.0, rng, turn=0.4)
    np.testing.assert_allclose(grey, [[0.5, 0.5, 0.5]], rtol=1e-9)
    turned = stains.jitter([stains.HAEMATOXYLIN], 0.0, rng, turn=np.radians(14))[0]
    before = np.array(stains.HAEMATOXYLIN)
    cosine = turned @ before / (np.linalg.norm(turned) * np.linalg.norm(before))
    assert 0.96 < cosine < 0.999
