import itertools
import time

import numpy as np
import pytest
from scipy import stats

from common.statistics.results import DesignError
from common.statistics.signed_rank import (
    SignedRank,
    hodges_lehmann,
    rank_law,
    signed_rank_inference,
    signed_ranks,
)


def _listed_p_greater(d, null=0.0, zeros="wilcox"):
    """Rank with scipy and list all signs: a second, slow implementation."""
    x = np.round(np.asarray(d) - null, 10)
    if zeros == "wilcox":
        x = x[x != 0]
    ranks = stats.rankdata(np.abs(x))[x != 0]
    positive = (x[x != 0] > 0).astype(float)
    if len(ranks) == 0:
        return 1.0
    sums = np.array(list(itertools.product([0, 1], repeat=len(ranks)))) @ ranks
    return np.mean(sums >= positive @ ranks - 1e-9)


def _walsh(d):
    return np.sort((np.add.outer(d, d) / 2)[np.triu_indices(len(d))])


DATA = {
    "untied": [0.31, -0.42, 1.13, 0.87, 2.04, -0.05, 0.66, 1.9],
    "ties": [1, 1, -1, 2, 2, 2, -2, 3, 3],
    "zeros": [0, 0, 1, 1, -2, 3, 4, 5, 0],
    "all_equal": [2.0] * 8,
    "tenths": [0.1, 0.2, 0.3, -0.1, 0.3, 0.5, 0.2, 0.4, -0.2],
}


@pytest.mark.parametrize("zeros", ["wilcox", "pratt"])
@pytest.mark.parametrize("name", DATA)
def test_exact_p_values_agree_with_listing_all_signs(name, zeros):
    d = np.array(DATA[name], dtype=float)
    inference = signed_rank_inference(d, zeros=zeros)
    for null in (-0.3, 0.0, 0.1, 1.0, 2.5):
        greater, less = _listed_p_greater(d, null, zeros), _listed_p_greater(-d, -null, zeros)
        assert inference.p_greater(null) == pytest.approx(greater)
        assert inference.p_less(null) == pytest.approx(less)
        assert inference.p(null) == pytest.approx(min(1, 2 * min(greater, less)))


@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize("level", [0.80, 0.95])
def test_the_interval_is_the_closure_of_all_kept_values_between_pairwise_means(name, level):
    d = np.array(DATA[name], dtype=float)
    walsh = np.unique(np.round(_walsh(d), 9))
    between = np.concatenate([[walsh[0] - 1], (walsh[1:] + walsh[:-1]) / 2, [walsh[-1] + 1]])
    tail = (1 - level) / 2
    # A scan over every piece, without the monotony on which the bisection rests.
    not_less = np.array([_listed_p_greater(d, null) > tail + 1e-12 for null in between])
    not_greater = np.array([_listed_p_greater(-d, -null) > tail + 1e-12 for null in between])
    low = -np.inf if not_less[0] else walsh[np.argmax(not_less) - 1]
    high = np.inf if not_greater[-1] else walsh[len(between) - 1 - np.argmax(not_greater[::-1])]
    found = signed_rank_inference(d).interval(level)
    assert (found.low, found.high) == pytest.approx((low, high))


def test_the_exact_p_rises_with_the_null_value_also_with_ties_and_pairwise_zeros(rng):
    for _ in range(10):
        d = np.round(rng.normal(0.5, 1, 9), 1)
        inference = signed_rank_inference(d, zeros="pratt")
        nulls = np.sort(np.concatenate([_walsh(d), rng.uniform(-3, 3, 100)]))
        assert (np.diff([inference.p_greater(null) for null in nulls]) >= -1e-12).all()


@pytest.mark.parametrize("n", [2, 3, 8, 21, 60])
def test_the_shift_is_the_median_of_the_pairwise_means(rng, n):
    for d in (rng.normal(0.5, 1, n), np.round(rng.normal(0.5, 1, n), 1), rng.integers(-2, 3, n)):
        estimate, _ = hodges_lehmann(d)
        assert estimate == pytest.approx(np.median(_walsh(np.asarray(d, dtype=float))))


@pytest.mark.parametrize("n", [20, 50, 101, 400])
def test_p_values_of_untied_differences_are_scipys(rng, n):
    d = rng.normal(0.1, 1, n)
    # scipy turns to the normal law above 50, here the law is exact up to 100
    method = "exact" if n <= 100 else "asymptotic"
    for alternative, found in (
        ("two-sided", SignedRank(d).p(0.05)),
        ("greater", SignedRank(d).p_greater(0.05)),
        ("less", SignedRank(d).p_less(0.05)),
    ):
        expected = stats.wilcoxon(d - 0.05, alternative=alternative, method=method).pvalue
        assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("zeros", ["wilcox", "pratt"])
def test_the_normal_law_has_scipys_correction_for_ties_and_zeros(rng, zeros):
    d = np.round(rng.normal(0.1, 1, 120), 1)
    expected = stats.wilcoxon(d, zero_method=zeros, method="asymptotic").pvalue
    assert (d == 0).any()
    assert signed_rank_inference(d, zeros=zeros).p() == pytest.approx(expected)


def test_the_normal_law_approaches_the_exact_one(rng):
    d = np.round(rng.normal(0.15, 1, 120), 2)
    exact = signed_rank_inference(d, method="exact")
    normal = signed_rank_inference(d, method="asymptotic")
    assert normal.p() == pytest.approx(exact.p(), abs=0.005)
    assert normal.interval().low == pytest.approx(exact.interval().low, abs=0.01)
    assert normal.p() != exact.p()


@pytest.mark.parametrize("n", [30, 150, 2000])
def test_the_interval_agrees_with_the_p_under_either_law(rng, n):
    inference = signed_rank_inference(rng.normal(0.1, 1, n))
    for level in (0.9, 0.95):
        interval = inference.interval(level)
        assert inference.p(interval.low + 1e-9) > 1 - level >= inference.p(interval.low - 1e-9)
        assert inference.p(interval.high - 1e-9) > 1 - level >= inference.p(interval.high + 1e-9)


def test_differences_of_decimal_fractions_are_tied_although_their_last_bits_differ():
    d = np.array([0.3 - 0.2, 0.2 - 0.1, 0.4 - 0.3, 0.1])
    assert len(np.unique(d)) > 1
    assert signed_ranks(d).tolist() == [5, 5, 5, 5]
    assert signed_ranks(d, 0.1).tolist() == [0, 0, 0, 0]


def test_the_law_of_rank_sums_is_a_law_and_symmetric():
    law = rank_law(np.array([3, 3, 6, 8]))
    assert law.sum() == pytest.approx(1)
    assert law == pytest.approx(law[::-1])
    assert law[3] == 2 / 16


def test_the_probability_of_a_very_small_tail_keeps_its_relative_precision():
    inference = signed_rank_inference(np.arange(1.0, 61.0))
    assert inference.p_greater() == pytest.approx(2.0**-60)


def test_zeros_leave_the_interval_alone_and_can_part_from_it():
    d = [0.0] * 10 + [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    wilcox, pratt = (signed_rank_inference(d, zeros=zeros) for zeros in ("wilcox", "pratt"))
    assert wilcox.interval() == pratt.interval()
    assert wilcox.p() == 2 / 64
    assert wilcox.interval().low == 0


def test_only_zeros_give_p_one_and_a_point():
    inference = signed_rank_inference(np.zeros(8))
    assert (inference.p(), inference.p_greater(), inference.effect) == (1, 1, 0)
    assert (inference.interval().low, inference.interval().high) == (0, 0)


def test_five_differences_leave_the_95_percent_interval_open_and_six_do_not(rng):
    assert np.isinf(hodges_lehmann(rng.normal(size=5))[1].low)
    assert np.isfinite(hodges_lehmann(rng.normal(size=6))[1].low)


def test_shift_and_interval_move_and_scale_with_the_data(rng):
    d = np.round(rng.normal(size=25), 1)
    estimate, interval = hodges_lehmann(d)
    moved, moved_interval = hodges_lehmann(-2 * d + 7)
    assert moved == pytest.approx(-2 * estimate + 7)
    assert moved_interval.low == pytest.approx(-2 * interval.high + 7)


def test_fifteen_thousand_differences_take_seconds_at_most(rng):
    start = time.perf_counter()
    hodges_lehmann(rng.normal(0.1, 1, 15_000))
    assert time.perf_counter() - start < 3  # 0.3 s on a free core


def test_signed_rank_rejects_at_its_level_where_nothing_differs(rng):
    ps = [signed_rank_inference(np.round(rng.normal(size=14), 1)).p() for _ in range(800)]
    assert 0.03 <= np.mean(np.array(ps) < 0.05) <= 0.065


@pytest.mark.parametrize("bad", [[], [1.0], [1.0, np.nan], [[1.0, 2.0]]])
def test_too_few_or_non_finite_differences_are_refused(bad):
    with pytest.raises(DesignError, match="`differences` must"):
        hodges_lehmann(bad)


def test_the_exact_law_of_very_many_differences_is_refused(rng):
    with pytest.raises(DesignError, match="`method` must be 'asymptotic' above 1000"):
        signed_rank_inference(rng.normal(size=1001), method="exact")
