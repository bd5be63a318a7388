import itertools

import numpy as np
import pytest

from common.statistics import permutation, signed_rank
from common.statistics.paired import paired_t
from common.statistics.permutation import sign_flip_inference


def test_one_sided_sign_flip_p_values_agree_with_flipping_shifted_differences(rng):
    cluster = np.repeat(np.arange(8), [1, 3, 2, 5, 4, 2, 1, 6])
    d = rng.normal(0.2, 1, len(cluster))
    inference = sign_flip_inference(d, cluster=cluster, rng=rng)
    signs = np.array(list(itertools.product([1, -1], repeat=8)))
    for null in (-0.4, 0.0, 0.1, 0.6):
        sums = np.array([(d[cluster == c] - null).sum() for c in range(8)])
        flipped = signs @ sums
        assert inference.p_greater(null) == pytest.approx(np.mean(flipped >= sums.sum() - 1e-12))
        assert inference.p_less(null) == pytest.approx(np.mean(flipped <= sums.sum() + 1e-12))


def test_the_sign_flip_interval_holds_exactly_the_values_that_are_not_rejected(rng):
    d = rng.normal(0.2, 1, 12)
    inference = sign_flip_inference(d, rng=rng)
    interval = inference.interval(0.95)
    assert inference.p(interval.low + 1e-6) > 0.05
    assert inference.p(interval.low - 1e-6) <= 0.05
    assert inference.p(interval.high - 1e-6) > 0.05
    assert inference.p(interval.high + 1e-6) <= 0.05


def test_the_sign_flip_interval_of_normal_data_is_close_to_the_t_interval(rng):
    d = rng.normal(0.5, 1, 150)
    interval = sign_flip_inference(d, rng=rng).interval(0.95)
    t = paired_t(d)
    assert interval.low == pytest.approx(t.low, abs=0.02)
    assert interval.high == pytest.approx(t.high, abs=0.02)


def test_five_clusters_leave_the_95_percent_interval_open(rng):
    interval = sign_flip_inference([1, 2, 3, 4, 5], rng=rng).interval(0.95)
    assert np.isinf(interval.low)
    assert np.isinf(interval.high)
    assert np.isfinite(sign_flip_inference([1, 2, 3, 4, 5, 6], rng=rng).interval(0.95).low)


def test_large_designs_are_flipped_in_pieces_without_changing_the_result(monkeypatch):
    d = np.random.default_rng(0).normal(size=60)
    whole = sign_flip_inference(d, n_resamples=1000, rng=np.random.default_rng(1)).p()
    monkeypatch.setattr(permutation, "_CHUNK", 600)
    pieces = sign_flip_inference(d, n_resamples=1000, rng=np.random.default_rng(1)).p()
    assert pieces == whole


def test_dividing_by_the_root_of_the_sum_of_squares_would_not_change_the_sign_flip_p(rng):
    cluster = np.repeat(np.arange(7), [1, 3, 2, 5, 4, 2, 6])
    d = rng.normal(0.3, 1, len(cluster))
    sums = np.array([d[cluster == c].sum() for c in range(7)])
    signs = np.array(list(itertools.product([1, -1], repeat=7)))
    flipped = signs * sums
    studentised = flipped.sum(axis=1) / np.sqrt((flipped**2).sum(axis=1))
    observed = sums.sum() / np.sqrt((sums**2).sum())
    expected = np.mean(np.abs(studentised) >= abs(observed) - 1e-12)
    assert sign_flip_inference(d, cluster=cluster, rng=rng).p() == pytest.approx(expected)


def test_signed_ranks_can_still_be_found_beside_sign_flips():
    assert permutation.SignedRank is signed_rank.SignedRank
