import math
from itertools import product

import numpy as np
import pytest
from scipy import stats

from common.statistics import power_blocks as blocks, power_ranks as ranks
from common.statistics.paired import signed_rank_clustered_inference, signed_rank_inference
from common.statistics.ranking import friedman, nemenyi_critical_difference, page
from common.statistics.results import DesignError
from common.statistics.unpaired import kruskal


def rank(values):
    return np.argsort(np.argsort(values, axis=-1), axis=-1) + 1.0


@pytest.mark.parametrize("n", [6, 7, 10, 25, 60])
def test_signed_ranks_find_their_detectable_effect_four_times_in_five(rng, n):
    effect = ranks.signed_rank_plan(1.0, n=n).smallest_effect()
    d = effect + rng.normal(size=(12_000, n))
    positive = (rank(np.abs(d)) * (d > 0)).sum(axis=1)
    least = n * (n + 1) // 2 - ranks._critical_sum(0.05, n)
    assert (positive[0] >= least) == (signed_rank_inference(d[0]).p() <= 0.05 and d[0].sum() > 0)
    assert np.mean(positive >= least) == pytest.approx(0.8, abs=0.02)


@pytest.mark.parametrize("law", [stats.t(5), stats.laplace(), stats.uniform()])
def test_signed_ranks_of_other_laws_are_simulated(rng, law):
    plan = ranks.signed_rank_plan(2.0, n=14, law=law, rng=rng)
    d = law.rvs(size=(600, 14), random_state=rng) - law.mean()
    d = plan.smallest_effect() + d * 2.0 / law.std()
    assert np.mean([signed_rank_inference(one).p() <= 0.05 for one in d]) == pytest.approx(
        0.8, abs=0.06
    )


def test_a_simulated_plan_of_normal_differences_agrees_with_the_closed_one(rng):
    for n in (9, 150):
        plan = ranks.signed_rank_plan(1.0, n=n)
        simulated = ranks.signed_rank_plan(1.0, n=n, law=stats.norm(), rng=rng)
        assert simulated.power(plan.smallest_effect()) == pytest.approx(0.8, abs=0.03)


def test_five_differences_are_never_told_from_none_by_ranks(rng):
    assert ranks.signed_rank_plan(1.0, n=5).smallest_effect() == math.inf
    assert ranks.signed_rank_plan(1.0, n=5, law=stats.t(4), rng=rng).smallest_effect() == math.inf


@pytest.mark.parametrize("weights", ["cases", "rosner"])
def test_clustered_signed_ranks_find_their_detectable_effect_four_times_in_five(rng, weights):
    sizes = [1, 2, 2, 3, 4, 4, 5, 6, 7, 9, 11, 3, 5, 8, 2, 1, 6, 10]
    code = np.repeat(np.arange(18), sizes)
    plan = ranks.clustered_signed_rank_plan(1.0, correlation=0.4, sizes=sizes, weights=weights)
    d = math.sqrt(0.4) * rng.normal(size=(600, 18))[:, code]
    d = plan.smallest_effect() + d + math.sqrt(0.6) * rng.normal(size=(600, len(code)))
    at = {"weights": weights, "method": "asymptotic", "rng": rng}
    found = [signed_rank_clustered_inference(one, code, **at).p() <= 0.05 for one in d]
    assert np.mean(found) == pytest.approx(0.8, abs=0.07)


def test_levels_of_the_mann_whitney_test_are_those_of_listed_arrangements():
    for n, m in ((2, 3), (4, 3)):
        every = [p for p in product([0, 1], repeat=n + m) if sum(p) == n]
        u = sorted(sum(1 for i, a in enumerate(p) for b in p[:i] if a and not b) for p in every)
        levels = [np.mean(np.array(u) <= value) for value in range(n * m // 2 + 1)]
        assert ranks._mann_whitney_levels(n, m) == pytest.approx(levels)


@pytest.mark.parametrize(("n", "m"), [(5, 5), (6, 12), (20, 20)])
def test_mann_whitney_finds_its_detectable_effect_four_times_in_five(rng, n, m):
    effect = ranks.mann_whitney_plan(1.0, n_first=n, n_second=m).smallest_effect()
    first, second = effect + rng.normal(size=(3000, n)), rng.normal(size=(3000, m))
    p = stats.mannwhitneyu(first, second, axis=1, method="exact").pvalue
    assert np.mean(p <= 0.05) == pytest.approx(0.8, abs=0.035)


def test_cliffs_delta_of_a_shift_is_its_share_of_pairs(rng):
    delta = ranks.delta_of_shift(0.7, 2.0)
    pairs = 0.7 + 2.0 * rng.normal(size=100_000) > 2.0 * rng.normal(size=100_000)
    assert delta == pytest.approx(2 * pairs.mean() - 1, abs=0.01)
    assert ranks.shift_of_delta(delta, 2.0) == pytest.approx(0.7)


@pytest.mark.parametrize("sizes", [[5, 5, 5], [12, 12, 12, 12], [25, 10, 8]])
def test_kruskal_has_the_power_that_is_planned(rng, sizes):
    group = np.repeat(np.arange(len(sizes)), sizes)
    shape = np.arange(len(sizes), dtype=float)
    means = ranks.smallest_spread(
        lambda each: ranks.kruskal_power(each, sd=1.0, sizes=sizes), shape
    )
    values = means[group] + rng.normal(size=(4000, len(group)))
    p = stats.kruskal(*(values[:, group == g] for g in range(len(sizes))), axis=1).pvalue
    assert p[0] == pytest.approx(kruskal(values[0], group).p)
    assert np.mean(p <= 0.05) == pytest.approx(0.8, abs=0.045)


@pytest.mark.parametrize(("n", "k"), [(12, 4), (30, 3)])
def test_friedman_has_the_power_that_is_planned(rng, n, k):
    def power_of(means):
        return blocks.friedman_power(means, sd=1.0, n_blocks=n)

    means = ranks.smallest_spread(power_of, np.arange(k))
    values = means + rng.normal(size=(3000, n, k))
    sums = rank(values).sum(axis=1)
    chi2 = 12 / (n * k * (k + 1)) * ((sums - n * (k + 1) / 2) ** 2).sum(axis=1)
    assert chi2[0] == pytest.approx(friedman(values[0]).statistic)
    found = np.mean(chi2 >= stats.chi2.isf(0.05, k - 1))
    assert found == pytest.approx(0.8, abs=0.04)
    simulated = blocks.friedman_power(means, sd=1.0, n_blocks=n, rng=rng)
    assert simulated == pytest.approx(found, abs=0.025)


def test_friedman_on_few_blocks_is_simulated(rng):
    with pytest.raises(DesignError, match="`rng`"):
        blocks.friedman_power([0, 1, 2], sd=1.0, n_blocks=5)
    values = np.array([0, 0.8, 1.6]) + rng.normal(size=(400, 5, 3))
    for law, key in (("chi2", "p"), ("f", "p_f")):
        planned = blocks.friedman_power([0, 0.8, 1.6], sd=1.0, n_blocks=5, law=law, rng=rng)
        found = np.mean([getattr(friedman(one), key) <= 0.05 for one in values])
        assert planned == pytest.approx(found, abs=0.08)


def test_ranks_without_effects_have_their_known_moments():
    mean, covariance = blocks.rank_moments((0.0,) * 4)
    assert mean == pytest.approx([2.5] * 4)
    assert np.diag(covariance) == pytest.approx([15 / 12] * 4)
    assert covariance[0, 1] == pytest.approx(-5 / 12)


def test_moments_of_ranks_are_those_of_simulated_blocks(rng):
    mu = (0.0, 0.3, 1.5, -0.8)
    mean, covariance = blocks.rank_moments(mu)
    drawn = rank(np.array(mu) + rng.normal(size=(100_000, 4)))
    assert mean == pytest.approx(drawn.mean(axis=0), abs=0.015)
    assert covariance == pytest.approx(np.cov(drawn.T), abs=0.02)


@pytest.mark.parametrize(("n", "k"), [(12, 5), (40, 3), (5, 4)])
def test_nemenyi_has_the_power_that_is_planned(rng, n, k):
    means = np.linspace(0, 4 / math.sqrt(n), k)
    source = rng if n < 10 else None
    planned = blocks.posthoc_power(means, sd=1.0, n_blocks=n, pair=(k - 1, 0), rng=source)
    mean_ranks = rank(means + rng.normal(size=(4000, n, k))).mean(axis=1)
    gap = mean_ranks[:, -1] - mean_ranks[:, 0]
    found = np.mean(gap >= nemenyi_critical_difference(k, n))
    assert planned == pytest.approx(found, abs=0.05)


def test_fewer_comparisons_and_either_order_of_the_pair():
    at = {"means": [0, 0.4, 1], "sd": 1.0, "n_blocks": 20}
    last, first = (blocks.posthoc_power(**at, pair=(2, 0), n_comparisons=m) for m in (1, 3))
    assert last > first
    assert blocks.posthoc_power(**at, pair=(0, 2), n_comparisons=3) == pytest.approx(first)


@pytest.mark.parametrize(("n", "k"), [(3, 4), (5, 3), (10, 5), (20, 3)])
def test_page_has_the_power_that_is_planned(rng, n, k):
    plan = blocks.page_plan(sd=1.0, n_blocks=n, n_arms=k)
    means = plan.smallest_effect() * np.arange(k)
    values = means + rng.normal(size=(4000, n, k))
    statistic = (rank(values) @ np.arange(1, k + 1)).sum(axis=1)
    if n <= 12:
        tail = np.cumsum(blocks.page_law(n, k)[::-1])[::-1]
        p = tail[statistic.astype(int)]
    else:
        mean, sd = n * k * (k + 1) ** 2 / 4, math.sqrt(n * k**2 * (k + 1) ** 2 * (k - 1) / 144)
        p = stats.norm.sf((statistic - mean) / sd)
    assert p[0] == pytest.approx(page(values[0]).p_claimed)
    assert np.mean(2 * p <= 0.05) == pytest.approx(0.8, abs=0.04)


@pytest.mark.parametrize(
    "call",
    [
        lambda: ranks.signed_rank_plan(1.0, n=1),
        lambda: ranks.signed_rank_plan(0.0, n=9),
        lambda: ranks.signed_rank_plan(1.0, n=9, law=stats.t(4)),
        lambda: ranks.mann_whitney_plan(1.0, n_first=0, n_second=9),
        lambda: ranks.kruskal_power([0, 1], sd=1.0, sizes=[4, 4, 4]),
        lambda: ranks.kruskal_power([0, 1], sd=1.0, sizes=[4, 0]),
        lambda: ranks.smallest_spread(lambda means: 0.9, [1.0, 1.0]),
        lambda: blocks.friedman_power([0, 1], sd=1.0, n_blocks=20),
        lambda: blocks.posthoc_power([0, 1, 2], sd=1.0, n_blocks=20, pair=(1, 1)),
        lambda: blocks.posthoc_power([0, 1, 2], sd=1.0, n_blocks=5),
        lambda: blocks.page_plan(sd=1.0, n_blocks=5, n_arms=2),
    ],
)
def test_impossible_designs_are_refused(call):
    with pytest.raises(DesignError):
        call()
