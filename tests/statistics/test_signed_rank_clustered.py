import itertools
import time

import numpy as np
import pytest
from scipy import stats

from common.statistics.equivalence import equivalence
from common.statistics.results import DesignError
from common.statistics.signed_rank import signed_rank_inference
from common.statistics.signed_rank_clustered import (
    signed_rank_clustered,
    signed_rank_clustered_inference,
)

SIZES = [1, 3, 2, 5, 4, 2, 1, 6]


def _design(rng, sizes=SIZES, digits=8, shift=0.3):
    cluster = np.repeat(np.arange(len(sizes)), sizes)
    d = shift + rng.normal(0, 0.6, len(sizes))[cluster] + rng.normal(size=len(cluster))
    return np.round(d, digits), cluster


def _listed_p_greater(d, cluster, null=0.0, zeros="wilcox"):
    """Flip every set of clusters and rank again each time: a second, slow implementation."""
    x = np.round(d - null, 10)
    if zeros == "wilcox":
        x, cluster = x[x != 0], cluster[x != 0]
    names = np.unique(cluster)
    observed = (np.sign(x) * stats.rankdata(np.abs(x))).sum()
    sums = []
    for signs in itertools.product([1, -1], repeat=len(names)):
        flipped = x * np.array(signs)[np.searchsorted(names, cluster)]
        sums.append((np.sign(flipped) * stats.rankdata(np.abs(flipped))).sum())
    return np.mean(np.array(sums) >= observed - 1e-9)


@pytest.mark.parametrize("digits", [8, 1, 0])
@pytest.mark.parametrize("zeros", ["wilcox", "pratt"])
def test_sign_flips_agree_with_listing_and_ranking_every_pattern(rng, digits, zeros):
    d, cluster = _design(rng, digits=digits)
    found = signed_rank_clustered_inference(d, cluster, rng=rng, zeros=zeros)
    for null in (-0.5, 0.0, 0.25, 1.0):
        greater = _listed_p_greater(d, cluster, null, zeros)
        less = _listed_p_greater(-d, cluster, -null, zeros)
        assert found.p_greater(null) == pytest.approx(greater)
        assert found.p_less(null) == pytest.approx(less)
        assert found.p(null) == pytest.approx(min(1, 2 * min(greater, less)))


@pytest.mark.parametrize("digits", [8, 0])
def test_the_interval_is_the_closure_of_the_kept_values_of_a_scan(rng, digits):
    d, cluster = _design(rng, sizes=[1, 2, 2, 1, 1, 2], digits=digits)
    walsh = np.unique(np.round((np.add.outer(d, d) / 2)[np.triu_indices(len(d))], 9))
    between = np.concatenate([[walsh[0] - 1], (walsh[1:] + walsh[:-1]) / 2, [walsh[-1] + 1]])
    not_less = np.array([_listed_p_greater(d, cluster, null) > 0.025 for null in between])
    not_greater = np.array([_listed_p_greater(-d, cluster, -null) > 0.025 for null in between])
    found = signed_rank_clustered_inference(d, cluster, rng=rng).interval()
    assert found.low == pytest.approx(walsh[np.argmax(not_less) - 1])
    assert found.high == pytest.approx(walsh[len(walsh) - np.argmax(not_greater[::-1])])


@pytest.mark.parametrize("weights", ["cases", "rosner"])
def test_clusters_of_one_case_give_the_plain_test(rng, weights):
    for d in (rng.normal(0.4, 1, 12), np.round(rng.normal(0.4, 1, 12), 0)):
        plain = signed_rank_inference(d)
        found = signed_rank_clustered_inference(d, np.arange(12), rng=rng, weights=weights)
        for null in (0.0, 0.2):
            assert found.p_greater(null) == pytest.approx(plain.p_greater(null))
            assert found.p_less(null) == pytest.approx(plain.p_less(null))
        assert found.effect == plain.effect
        assert found.interval() == plain.interval()


def test_clusters_of_one_case_give_the_plain_test_under_the_normal_law(rng):
    d = np.round(rng.normal(0.1, 1, 150), 1)
    plain = signed_rank_inference(d, method="asymptotic")
    found = signed_rank_clustered_inference(d, np.arange(150), rng=rng, method="asymptotic")
    assert found.p() == pytest.approx(plain.p())
    assert found.interval() == plain.interval()


def test_the_shift_is_the_median_of_the_pairwise_means_of_all_cases(rng):
    d, cluster = _design(rng)
    pairs = (np.add.outer(d, d) / 2)[np.triu_indices(len(d))]
    assert signed_rank_clustered(d, cluster, rng=rng).effect == pytest.approx(np.median(pairs))


def test_rosners_weights_are_equal_for_equal_sizes(rng):
    d, cluster = _design(rng, sizes=[4] * 10)
    cases, rosner = (
        signed_rank_clustered_inference(d, cluster, rng=rng, weights=weights)
        for weights in ("cases", "rosner")
    )
    assert rosner.statistic == pytest.approx(cases.statistic)
    assert rosner.p() == pytest.approx(cases.p())
    assert rosner.effect == pytest.approx(cases.effect)


def test_rosners_weights_take_weight_from_a_giant_cluster_of_like_cases(rng):
    sizes = [80] + [2] * 11
    cluster = np.repeat(np.arange(12), sizes)
    d = np.where(cluster == 0, 2.0, -0.5) + 0.3 * rng.normal(size=len(cluster))
    cases, rosner = (
        signed_rank_clustered_inference(d, cluster, rng=rng, weights=weights)
        for weights in ("cases", "rosner")
    )
    assert cases.effect > 1
    assert rosner.effect < 0


@pytest.mark.parametrize("weights", ["cases", "rosner"])
@pytest.mark.parametrize("method", ["flips", "asymptotic"])
def test_the_interval_agrees_with_the_p(rng, weights, method):
    d, cluster = _design(rng, sizes=rng.integers(1, 9, 30))
    found = signed_rank_clustered_inference(
        d, cluster, rng=rng, weights=weights, method=method, n_resamples=2000
    )
    low, high = found.interval().low, found.interval().high
    assert found.p(low + 1e-9) > 0.05 >= found.p(low - 1e-9)
    assert found.p(high - 1e-9) > 0.05 >= found.p(high + 1e-9)
    assert low < found.effect < high


def test_random_sign_patterns_approach_the_exact_p(rng, monkeypatch):
    from common.statistics import signed_rank_clustered as module

    d, cluster = _design(rng, sizes=[2] * 12)
    exact = signed_rank_clustered(d, cluster, rng=rng)
    monkeypatch.setattr(module, "EXACT_CLUSTERS", 3)
    drawn = signed_rank_clustered(d, cluster, rng=rng, n_resamples=20_000)
    assert exact.note.endswith("all sign patterns")
    assert drawn.note.endswith("20000 random sign patterns")
    assert drawn.p == pytest.approx(exact.p, abs=0.012)
    assert drawn.low == pytest.approx(exact.low, abs=0.05)


def test_drawing_in_pieces_does_not_change_the_result(rng, monkeypatch):
    from common.statistics import signed_rank_clustered as module

    d, cluster = _design(rng, sizes=[3] * 20)
    whole = signed_rank_clustered_inference(d, cluster, rng=np.random.default_rng(1)).p()
    monkeypatch.setattr(module, "_CHUNK", 500)
    pieces = signed_rank_clustered_inference(d, cluster, rng=np.random.default_rng(1)).p()
    assert pieces == whole


def test_order_and_names_of_clusters_do_not_matter_and_swapping_arms_mirrors(rng):
    d, cluster = _design(rng)
    order = rng.permutation(len(d))
    names = np.array([f"p{c}" for c in cluster])
    one = signed_rank_clustered(d, cluster, rng=rng)
    other = signed_rank_clustered(d[order], names[order], rng=rng)
    assert (one.p, one.effect, one.low) == (other.p, other.effect, other.low)
    mirror = signed_rank_clustered(-d, cluster, rng=rng)
    assert (mirror.effect, mirror.low, mirror.p) == pytest.approx((-one.effect, -one.high, one.p))


def test_the_same_generator_gives_the_same_bits_and_the_global_seed_does_not_matter(rng):
    d, cluster = _design(rng, sizes=[2] * 30)
    np.random.seed(0)  # noqa: NPY002
    one = signed_rank_clustered(d, cluster, rng=np.random.default_rng(5))
    np.random.seed(1)  # noqa: NPY002
    assert signed_rank_clustered(d, cluster, rng=np.random.default_rng(5)) == one


def test_repeating_every_case_changes_the_plain_test_but_not_the_clustered_one(rng):
    d = rng.normal(0.7, 1, 12)
    one = signed_rank_clustered(d, np.arange(12), rng=rng)
    many = signed_rank_clustered(np.repeat(d, 5), np.repeat(np.arange(12), 5), rng=rng)
    assert many.p == pytest.approx(one.p, abs=0.03)  # the rank r of five alike is 5 r - 2
    assert signed_rank_inference(np.repeat(d, 5)).p() < one.p / 5


def test_the_test_keeps_its_level_where_the_plain_one_does_not(rng):
    cluster = np.repeat(np.arange(25), rng.integers(2, 15, 25))
    clustered, plain = 0, 0
    for _ in range(300):
        d = rng.normal(0, 0.9, 25)[cluster] + rng.standard_t(4, len(cluster))
        found = signed_rank_clustered_inference(d, cluster, rng=rng, n_resamples=399)
        clustered += found.p() < 0.05
        plain += signed_rank_inference(d, method="asymptotic").p() < 0.05
    assert 0.015 <= clustered / 300 <= 0.085
    assert plain / 300 > 0.2


def test_it_serves_equivalence_tests(rng):
    cluster = np.repeat(np.arange(20), 5)
    found = signed_rank_clustered_inference(rng.normal(0, 0.1, 100), cluster, rng=rng)
    assert equivalence(found, 0.1).p < 0.05
    assert equivalence(found, 0.001).p > 0.05


def test_fifteen_thousand_cases_take_seconds_at_most(rng):
    cluster = np.repeat(np.arange(250), 60)
    d = 0.1 + rng.normal(0, 0.5, 250)[cluster] + rng.normal(size=15_000)
    start = time.perf_counter()
    signed_rank_clustered(d, cluster, rng=rng)
    assert time.perf_counter() - start < 3  # 0.3 s on a free core


def test_no_difference_at_all_gives_p_one(rng):
    found = signed_rank_clustered(np.zeros(9), np.repeat([0, 1, 2], 3), rng=rng)
    assert (found.p, found.effect, found.statistic) == (1, 0, 0)
    assert found.note.startswith("9 zeros dropped")


@pytest.mark.parametrize(
    ("d", "cluster", "message"),
    [
        ([1.0, 2.0], ["p", "p"], "at least 2 clusters, got 1"),
        ([1.0, np.nan], ["p", "q"], "must be finite"),
        ([], [], "at least 1 values"),
        ([1.0, 2.0], ["p"], "one cluster a case"),
    ],
)
def test_designs_without_an_answer_are_refused(rng, d, cluster, message):
    with pytest.raises(DesignError, match=message):
        signed_rank_clustered(d, cluster, rng=rng)


def test_no_resample_is_refused(rng):
    with pytest.raises(DesignError, match="`n_resamples` must be >= 1"):
        signed_rank_clustered([1.0, 2.0], ["p", "q"], rng=rng, n_resamples=0)
