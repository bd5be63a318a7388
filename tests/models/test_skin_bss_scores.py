"""Scores of separation and of boxes have the values that can be worked out by hand."""

import numpy as np
import pytest
from scipy import stats

from common.errors import UsageError
from common.models import skin_bss_scores as scores


@pytest.fixture
def sources(rng):
    """Three sources that are uncorrelated and have mean 0 and power 1."""
    raw = rng.normal(size=(3, 400))
    raw -= raw.mean(axis=1, keepdims=True)
    basis = np.linalg.qr(raw.T)[0].T
    return basis * np.sqrt(400)


def test_order_sign_and_scale_of_estimates_do_not_count(sources):
    estimated = sources[[2, 0, 1]] * np.array([[-3.0], [0.5], [10.0]]) + 4
    np.testing.assert_allclose(scores.matched_correlation(estimated, sources), 1.0)


def test_correlation_of_a_mixture_is_its_share(sources):
    estimated = sources.copy()
    estimated[0] = 3 * sources[0] + 4 * sources[1]
    found = scores.matched_correlation(estimated, sources)
    np.testing.assert_allclose(found, [0.6, 1, 1], atol=1e-12)


def test_a_constant_estimate_correlates_with_nothing(sources):
    estimated = sources.copy()
    estimated[1] = 7.0
    np.testing.assert_allclose(
        scores.matched_correlation(estimated, sources), [1, 0, 1], atol=1e-12
    )


def test_a_tenth_of_another_source_is_twenty_decibels(sources):
    estimated = sources[[1, 0, 2]].copy()
    estimated[0] = sources[1] + 0.1 * sources[2]  # the estimate of source 1
    found = scores.interference_ratio(estimated, sources)
    assert found[1] == pytest.approx(20, abs=1e-6)
    assert found[0] > 200


def test_noise_is_no_interference(sources, rng):
    noisy = sources + 0 * sources
    noise = rng.normal(size=(3, 400))
    noise -= noise @ np.linalg.pinv(sources) @ sources
    assert scores.interference_ratio(noisy + noise, sources).min() > 200


def test_an_estimate_of_zeros_has_no_target(sources):
    estimated = sources.copy()
    estimated[2] = 0
    assert scores.interference_ratio(estimated, sources)[2] == -np.inf


def test_the_amari_index_lies_between_a_permutation_and_a_full_mixture(rng):
    M = rng.uniform(0, 1, (6, 3, 3)) + np.eye(3)
    turned = M[:, :, [1, 2, 0]] * rng.uniform(0.1, 9, (6, 1, 3))
    np.testing.assert_allclose(scores.amari_index(turned, M), 0, atol=1e-12)
    assert scores.amari_index(np.eye(3), np.ones((3, 3))) == pytest.approx(1.0)
    assert scores.amari_index(np.ones((3, 3)), np.eye(3)) == 1.0  # has no inverse


def test_the_amari_index_of_one_leak_is_worked_out_by_hand():
    leak = np.eye(3)
    leak[0, 1] = 0.6  # one row and one column sum to 0.6 above their largest entry
    assert scores.amari_index(np.eye(3), leak) == pytest.approx(2 * 0.6 / 12)


def test_boxes_are_apart_by_the_distance_of_their_quartiles():
    values, labels = [0, 1, 2, 3, 4, 10, 11, 12, 13, 14], [0] * 5 + [1] * 5
    found = scores.boxes(values, labels)
    assert (found.negative, found.positive, found.gap) == ((1, 3), (11, 13), 8)
    assert found.apart
    assert found.relative_gap == 4  # both boxes are 2 high
    swapped = scores.boxes(values, 1 - np.array(labels))
    assert swapped.gap == found.gap


def test_overlapping_boxes_have_a_negative_gap():
    found = scores.boxes([0, 1, 2, 3, 4, 2, 3, 4, 5, 6], [0] * 5 + [1] * 5)
    assert found.gap == 0
    assert not found.apart
    assert scores.boxes([0, 1, 2, 3, 4] * 2, [0] * 5 + [1] * 5).relative_gap == -1


def test_boxes_apart_promise_the_area_of_the_audit():
    """Three quarters above the cut and three quarters below: at least 0.75 squared, and no more."""
    values = [0] * 3 + [2.0] + [1.0] * 3 + [-1.0]
    labels = [0] * 4 + [1] * 4
    # quartiles of eight values fall between them: repeated cases make them exact
    values, labels = np.repeat(values, 50), np.repeat(labels, 50)
    area = np.mean(values[labels == 1][:, None] > values[labels == 0])
    assert area == pytest.approx(0.75**2)


def test_normal_boxes_touch_where_the_third_quartile_meets_the_first():
    low, high = stats.norm(0, 1), stats.norm(scores.TOUCHING, 1)
    assert low.ppf(0.75) == pytest.approx(high.ppf(0.25))
    assert pytest.approx(1.349, abs=5e-4) == scores.TOUCHING
    assert scores.normal_auc(scores.TOUCHING) == pytest.approx(0.83, abs=0.005)
    assert scores.normal_auc(0) == 0.5


@pytest.mark.parametrize(("effect", "chance"), [(0, 0), (1.0, 0.16), (1.35, 0.58), (1.7, 0.91)])
def test_the_chance_of_boxes_apart_in_a_study_of_the_papers_size(effect, chance, rng):
    """Values of an independent simulation."""
    sizes = {"n_positive": 34, "n_negative": 51}
    found = scores.chance_of_boxes_apart(effect, n=4000, rng=rng, **sizes)
    assert found == pytest.approx(chance, abs=0.035)


def test_the_left_out_case_does_not_move_its_own_threshold():
    # without case 0 the best cut lies between 1 and 5; with it case 0 would be right
    values, labels = [6.0, 1.0, 0.0, 5.0, 7.0], [0, 0, 0, 1, 1]
    assert scores.leave_one_out_accuracy(values, labels) < 1.0
    assert scores.leave_one_out_accuracy([0, 1, 2, 7, 8, 9], [0, 0, 0, 1, 1, 1]) == 1.0


def test_accuracy_without_a_difference_is_chance(rng):
    found = [
        scores.leave_one_out_accuracy(rng.normal(size=60), np.arange(60) % 2) for _ in range(60)
    ]
    assert 0.4 < np.mean(found) < 0.53  # leaving one out leans below one half


def test_one_class_is_refused():
    with pytest.raises(UsageError, match="both classes"):
        scores.boxes([1.0, 2.0], [1, 1])
    with pytest.raises(UsageError, match="two cases"):
        scores.leave_one_out_accuracy([1.0, 2.0, 3.0], [0, 0, 1])
