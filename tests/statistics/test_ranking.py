import itertools

import numpy as np
import pytest
from scipy import stats

from common.statistics import ranking
from common.statistics.multiplicity import adjust
from common.statistics.paired import paired_t
from common.statistics.posthoc import (
    Simultaneous,
    block_contrast_inference,
    critical_difference_groups,
    friedman_posthoc,
    tukey,
    tukey_inference,
    two_way_anova,
)
from common.statistics.ranking import (
    block_anova,
    friedman,
    mean_ranks,
    nemenyi_critical_difference,
    page,
    rank_stability,
)
from common.statistics.results import DesignError, equivalence_p


def test_friedman_agrees_with_its_formula_on_ranks(rng):
    values = rng.normal(size=(7, 4))
    ranks = mean_ranks(values)
    chi2 = 12 * 7 / (4 * 5) * ((ranks - 2.5) ** 2).sum()
    found = friedman(values)
    assert found.statistic == pytest.approx(chi2)
    assert found.p == pytest.approx(stats.chi2.sf(chi2, 3))
    f = 6 * chi2 / (7 * 3 - chi2)
    assert found.p_f == pytest.approx(stats.f.sf(f, 3, 18))


def test_friedman_sees_ranks_only_and_does_not_care_about_blocks_or_names(rng):
    values = rng.normal(size=(6, 4))
    expected = friedman(values).p
    assert friedman(np.exp(3 * values) + rng.normal(size=(6, 1)) * 0).p == pytest.approx(expected)
    assert friedman(values[::-1][:, [2, 0, 3, 1]]).p == pytest.approx(expected)


def test_tied_methods_give_p_one_and_a_common_order_an_infinite_f():
    assert friedman(np.ones((4, 3))).p == 1
    assert np.isinf(friedman([[1, 2, 3]] * 4).f)


def test_friedman_keeps_its_level(rng):
    rejected = np.mean([friedman(rng.normal(size=(12, 4))).p < 0.05 for _ in range(600)])
    assert 0.025 <= rejected <= 0.075


@pytest.mark.parametrize(("k", "q"), [(2, 1.960), (3, 2.343), (6, 2.850), (10, 3.164)])
def test_nemenyi_uses_the_printed_critical_values_of_demsar(k, q):
    expected = q * np.sqrt(k * (k + 1) / (6 * 12))
    assert nemenyi_critical_difference(k, 12) == pytest.approx(expected, rel=1e-3)


def test_block_anova_agrees_with_least_squares(rng):
    values = rng.normal(size=(5, 6)) + rng.normal(size=(5, 1))
    block, arm = np.divmod(np.arange(30), 6)
    ones = np.ones((30, 1))
    blocks, arms = np.eye(5)[block][:, 1:], np.eye(6)[arm][:, 1:]

    def rss(design):
        fitted = design @ np.linalg.lstsq(design, values.ravel(), rcond=None)[0]
        return ((values.ravel() - fitted) ** 2).sum()

    full, reduced = rss(np.hstack([ones, blocks, arms])), rss(np.hstack([ones, blocks]))
    found = block_anova(values)
    f = (reduced - full) / 5 / (full / 20)
    assert found.f == pytest.approx(f)
    assert found.p == pytest.approx(stats.f.sf(f, 5, 20))
    assert found.residual_sd == pytest.approx(np.sqrt(full / 20))


def test_page_agrees_with_listing_all_arrangements(rng):
    values = rng.normal(size=(3, 3)) + np.array([0, 0.5, 1])
    found = page(values)
    weights = np.arange(1, 4)
    observed = (stats.rankdata(values, axis=1) @ weights).sum()
    orders = list(itertools.permutations(weights))
    sums = [
        sum(np.dot(order, weights) for order in blocks)
        for blocks in itertools.product(orders, repeat=3)
    ]
    assert found.p_claimed == pytest.approx(np.mean(np.array(sums) >= observed))
    assert found.p_reverse == pytest.approx(np.mean(np.array(sums) <= observed))


def test_page_turns_with_the_order_of_the_columns(rng):
    values = rng.normal(size=(20, 4)) + np.arange(4)
    forth, back = page(values), page(values[:, ::-1])
    assert forth.effect == pytest.approx(-back.effect)
    assert forth.p_claimed == pytest.approx(back.p_reverse)
    assert forth.in_order
    assert not back.in_order


def test_page_effect_is_the_mean_spearman_correlation(rng):
    values = rng.normal(size=(9, 5))
    expected = np.mean([stats.spearmanr(np.arange(5), block).statistic for block in values])
    assert page(values).effect == pytest.approx(expected)


@pytest.mark.parametrize("call", [friedman, page])
@pytest.mark.parametrize("bad", [[[1, 2, 3]], [[1, 2], [2, 1]], [[1, 2, np.nan], [1, 2, 3]]])
def test_too_few_blocks_or_methods_are_refused(call, bad):
    with pytest.raises(DesignError):
        call(bad)


def _naive_exact(values):
    """List every arrangement of each block's ranks."""
    ranks = stats.rankdata(values, axis=1)
    observed = (ranks.sum(axis=0) ** 2).sum()
    orders = [list(itertools.permutations(block)) for block in ranks]
    found = [
        (np.sum(blocks, axis=0) ** 2).sum() >= observed - 1e-9
        for blocks in itertools.product(*orders)
    ]
    return np.mean(found)


@pytest.mark.parametrize("shape", [(2, 3), (4, 3), (3, 4), (2, 5)])
@pytest.mark.parametrize("decimals", [5, 0])
def test_exact_friedman_lists_all_arrangements_with_and_without_ties(rng, shape, decimals):
    values = np.round(rng.normal(size=shape), decimals)
    assert friedman(values, exact=True).p_exact == pytest.approx(_naive_exact(values))


def test_exact_friedman_has_the_published_tails():
    # Friedman's table for 3 methods on 4 blocks: P(chi2 >= 6.5) = 0.042, and 8 is the largest.
    assert friedman([[1, 2, 3]] * 4, exact=True).p_exact == pytest.approx(6 / 6**4)
    values = [[1, 2, 3], [1, 2, 3], [1, 2, 3], [1, 3, 2]]
    found = friedman(values, exact=True)
    assert found.statistic == pytest.approx(6.5)
    assert round(found.p_exact, 3) == 0.042
    assert np.isnan(friedman(values).p_exact)
    assert friedman(np.ones((3, 3)), exact=True).p_exact == 1


def test_exact_friedman_nears_the_chi_square_law_and_says_when_it_is_too_much(rng, monkeypatch):
    found = friedman(rng.normal(size=(40, 3)) + np.array([0, 0.1, 0.5]), exact=True)
    assert found.p_exact == pytest.approx(found.p, rel=0.25)
    monkeypatch.setattr(ranking, "MAX_EXACT_WORK", 1000)
    with pytest.raises(DesignError, match="Use `p_f`"):
        friedman(rng.normal(size=(10, 5)), exact=True)
    with pytest.raises(DesignError, match="Use `p_f`"):
        friedman(rng.normal(size=(3, 8)), exact=True)


@pytest.mark.parametrize("test", ["z", "conover", "nemenyi"])
def test_posthoc_tests_see_ranks_only_and_turn_with_the_columns(rng, test):
    values = rng.normal(size=(8, 4))
    one = friedman_posthoc(values, test=test)
    two = friedman_posthoc(np.exp(values)[::-1, ::-1], test=test)
    np.testing.assert_allclose(np.sort(one.p_adjusted), np.sort(two.p_adjusted))
    place = two.pairs.index((0, 3))
    assert two.effects[place] == pytest.approx(-one.effects[one.pairs.index((0, 3))])
    assert one.effects[0] == pytest.approx(np.subtract(*mean_ranks(values)[:2]))


def test_nemenyi_reaches_its_level_at_the_critical_difference():
    # Ranks far apart in one pair: the interval's half width is the critical difference.
    found = friedman_posthoc([[1, 2, 3, 4], [2, 1, 4, 3], [1, 3, 2, 4]], test="nemenyi")
    half = (found.high - found.low) / 2
    np.testing.assert_allclose(half, nemenyi_critical_difference(4, 3))
    separated = np.abs(found.effects) >= half
    np.testing.assert_array_equal(found.p <= 0.05, separated)


def test_ties_make_rank_tests_less_conservative():
    tied = [[1, 1, 2], [1, 1, 2], [1, 1, 2], [2, 2, 3]]
    found = friedman_posthoc(tied)
    without = found.effects[1] / np.sqrt(3 * 4 / (6 * 4))
    assert abs(found.statistics[1]) > abs(without)
    # The squared z of all methods with their mean sum to Friedman's statistic.
    ranks = mean_ranks(tied)
    spread = (found.effects[1] / found.statistics[1]) ** 2
    chi2 = 2 * ((ranks - 2) ** 2).sum() / spread
    assert chi2 == pytest.approx(friedman(tied).statistic)


def test_a_control_is_compared_with_each_other_once():
    values = np.random.default_rng(2).normal(size=(9, 5))
    every, control = friedman_posthoc(values), friedman_posthoc(values, control=2)
    assert control.pairs == ((0, 2), (1, 2), (3, 2), (4, 2))
    mine = [n for n, pair in enumerate(every.pairs) if 2 in pair]
    np.testing.assert_allclose(control.p, every.p[mine])
    np.testing.assert_allclose(control.p_adjusted, adjust(every.p[mine]))
    raw = friedman_posthoc(values, correction="none")
    np.testing.assert_array_equal(raw.p_adjusted, raw.p)


def test_all_pairs_keep_their_level_together():
    rng = np.random.default_rng(4)
    rejected = {"z": 0, "nemenyi": 0}
    for _ in range(250):
        values = rng.normal(size=(15, 4))
        for test in rejected:
            rejected[test] += friedman_posthoc(values, test=test).p_adjusted.min() < 0.05
    assert max(rejected.values()) / 250 < 0.08


def test_blocks_that_agree_or_tie_leave_no_spread():
    conover = friedman_posthoc([[1, 2, 3]] * 4, test="conover")
    np.testing.assert_array_equal(conover.p, 0)
    for test in ("z", "conover", "nemenyi"):
        np.testing.assert_array_equal(friedman_posthoc(np.ones((4, 3)), test=test).p, 1)


def _naive_groups(ranks, cd):
    """Return the largest sets of methods without a separated pair, by listing all sets."""
    k = len(ranks)
    cliques = [
        frozenset(members)
        for size in range(1, k + 1)
        for members in itertools.combinations(range(k), size)
        if all(abs(ranks[a] - ranks[b]) < cd for a, b in itertools.combinations(members, 2))
    ]
    return {one for one in cliques if not any(one < other for other in cliques)}


@pytest.mark.parametrize("cd", [0.0, 0.3, 1.0, 2.5, 9.0])
def test_groups_are_the_largest_without_a_separated_pair(rng, cd):
    for _ in range(20):
        ranks = rng.permutation(rng.uniform(1, 6, size=6))
        found = critical_difference_groups(ranks, cd)
        assert {frozenset(group) for group in found} == _naive_groups(ranks, cd)
        assert [ranks[group[0]] for group in found] == sorted(ranks[group[0]] for group in found)


def test_equal_ranks_stand_together_and_one_critical_difference_separates():
    assert critical_difference_groups([2.0, 2.0, 2.0], 0.0) == [(0, 1, 2)]
    assert critical_difference_groups([1.0, 2.0], 1.0) == [(0,), (1,)]
    assert critical_difference_groups([1.0, 2.0], 1.01) == [(0, 1)]
    with pytest.raises(DesignError):
        critical_difference_groups([1.0, 2.0], -1.0)


def test_tukey_of_two_methods_is_a_paired_t(rng):
    values = rng.normal(size=(7, 2))
    (found,) = tukey_inference(values).values()
    expected = paired_t(values[:, 0] - values[:, 1])
    assert found.p() == pytest.approx(expected.p)
    assert found.interval().low == pytest.approx(expected.low)
    assert equivalence_p(found, -9, 9) == max(found.p_greater(-9), found.p_less(9)) < 0.01


def test_a_simultaneous_interval_agrees_with_its_p_values():
    found = Simultaneous(1.2, 0.4, 12, n_arms=4)
    interval = found.interval(0.95)
    assert found.p(interval.low) == pytest.approx(0.05, abs=1e-6)
    assert found.p_greater(interval.low) == pytest.approx(0.05, abs=1e-6)
    assert found.p_less(interval.high) == pytest.approx(0.05, abs=1e-6)
    assert found.p_less(0.0) == 1
    assert Simultaneous(0.0, 0.0, 12, n_arms=4).p() == 1
    assert Simultaneous(0.5, 0.0, 12, n_arms=4).p() == 0


def test_tukey_keeps_its_level_over_all_pairs():
    rng = np.random.default_rng(6)
    q = stats.studentized_range.ppf(0.95, 4, 15)
    rejected = 0
    for _ in range(600):
        found = tukey_inference(rng.normal(size=(6, 4)) + 3 * rng.normal(size=(6, 1)))
        rejected += max(abs(each.statistic) for each in found.values()) * np.sqrt(2) > q
    assert 0.025 <= rejected / 600 <= 0.08


def test_repeats_of_one_seed_do_not_pass_for_new_blocks():
    # Methods alike on average, unlike in each block: fixed blocks see it, random ones do not.
    rng = np.random.default_rng(9)
    rejected = {"fixed": 0, "random": 0}
    for _ in range(200):
        values = rng.normal(size=(4, 3, 1)) + 0.3 * rng.normal(size=(4, 3, 5))
        found = two_way_anova(values)
        rejected["random"] += found.arm.p < 0.05
        rejected["fixed"] += found.arm_fixed.p < 0.05
    assert rejected["random"] / 200 < 0.1
    assert rejected["fixed"] / 200 > 0.5


def test_without_repeats_both_readings_are_the_block_anova(rng):
    values = rng.normal(size=(5, 4))
    contrast = [1, -1, 0, 0]
    random, fixed = (
        block_contrast_inference(values, contrast, blocks=blocks) for blocks in ("random", "fixed")
    )
    assert random == fixed
    assert random.se == pytest.approx(block_anova(values).residual_sd * np.sqrt(2 / 5))
    np.testing.assert_allclose(
        tukey(values, blocks="fixed").p, tukey(values[:, :, None] + [0.0, 0.0]).p
    )


def test_means_of_repeats_are_what_random_blocks_are_judged_by(rng):
    values = rng.normal(size=(5, 3, 4))
    found, means = tukey(values), tukey(values.mean(axis=2))
    np.testing.assert_allclose(found.p, means.p)
    np.testing.assert_allclose(found.low, means.low)
    assert two_way_anova(values).arm.f == pytest.approx(block_anova(values.mean(axis=2)).f)


def test_the_interaction_is_the_spread_beyond_repeats():
    rng = np.random.default_rng(12)
    values = 2 * rng.normal(size=(60, 5, 1)) + rng.normal(size=(60, 5, 4))
    found = two_way_anova(values)
    assert found.interaction_sd == pytest.approx(2, rel=0.1)
    assert found.residual_sd == pytest.approx(1, rel=0.1)
    assert two_way_anova(np.zeros((2, 2, 2))).arm.f == 0


def _naive_stability(scores, drawn):
    """Rank the methods in each resample, one by one."""
    return [stats.rankdata(-scores[rows].mean(axis=0)) for rows in drawn]


def test_ranks_are_those_of_every_resample_for_itself(monkeypatch):
    rng = np.random.default_rng(3)
    scores = rng.integers(-9, 10, size=(10, 4)).astype(float)  # sums of whole numbers tie exactly
    drawn = rng.integers(0, 10, size=(60, 10))
    counts = np.stack([np.bincount(rows, minlength=10) for rows in drawn]).astype(float)
    monkeypatch.setattr("common.statistics.bootstrap.draw_sums", lambda sums, n, rng: counts @ sums)
    found = rank_stability(scores, n_resamples=60, rng=rng)
    expected = np.array(_naive_stability(scores, drawn))
    np.testing.assert_allclose(found.replicates, expected)
    np.testing.assert_allclose(found.ranks, stats.rankdata(-scores.mean(axis=0)))
    tau = [stats.kendalltau(found.ranks, row).statistic for row in expected]
    np.testing.assert_allclose(found.tau, tau)
    np.testing.assert_allclose(found.shares.sum(axis=0), 1)
    np.testing.assert_allclose(found.shares.sum(axis=1), 1)
    means = [scores[rows].mean(axis=0).round(9) for rows in drawn]
    places = np.zeros((4, 4))
    for mean, arm in itertools.product(means, range(4)):
        first, last = (mean > mean[arm]).sum(), (mean >= mean[arm]).sum()
        places[arm, first:last] += 1 / (last - first) / 60
    np.testing.assert_allclose(found.shares, places)


def test_tied_methods_share_their_places():
    found = rank_stability([[1, 1, 0], [2, 2, 1]], n_resamples=5, rng=np.random.default_rng(0))
    np.testing.assert_allclose(found.shares, [[0.5, 0.5, 0], [0.5, 0.5, 0], [0, 0, 1]])
    np.testing.assert_allclose(found.first, [0.5, 0.5, 0])
    assert found.ranks.tolist() == [1.5, 1.5, 3.0]
    everyone = rank_stability(np.ones((3, 2)), n_resamples=4, rng=np.random.default_rng(0))
    assert np.isnan(everyone.tau).all()


def test_lower_is_better_turns_the_ranking_round(rng):
    scores = rng.normal(size=(12, 4))
    one = rank_stability(scores, n_resamples=50, rng=np.random.default_rng(1))
    two = rank_stability(-scores, better="lower", n_resamples=50, rng=np.random.default_rng(1))
    np.testing.assert_array_equal(one.replicates, two.replicates)


def test_ranks_of_cases_are_not_moved_by_one_case(rng):
    scores = rng.normal(size=(30, 3)) + np.array([0.0, 2.0, 4.0])
    scores[0, 0] = 1e6
    mean = rank_stability(scores, n_resamples=50, rng=rng)
    ranks = rank_stability(scores, by="ranks", n_resamples=50, rng=rng)
    assert mean.ranks.tolist() == [1, 3, 2]
    assert ranks.ranks.tolist() == [3, 2, 1]


def test_clusters_make_a_ranking_less_stable_than_its_cases_do():
    rng = np.random.default_rng(5)
    cluster = np.repeat(np.arange(10), 30)
    scores = rng.normal(size=(10, 3))[cluster] + 0.1 * rng.normal(size=(300, 3))
    options = {"n_resamples": 2000, "rng": rng}
    alone, together = (rank_stability(scores, cluster=c, **options) for c in (None, cluster))
    assert together.tau.mean() < alone.tau.mean()
    assert (np.diff(together.interval()) >= np.diff(alone.interval())).all()


def test_a_clear_ranking_never_changes(rng):
    scores = rng.normal(size=(20, 3)) + np.array([20.0, 0.0, 10.0])
    found = rank_stability(scores, n_resamples=200, rng=rng)
    np.testing.assert_array_equal(found.tau, 1)
    np.testing.assert_array_equal(found.interval(), [[1, 1], [3, 3], [2, 2]])
    np.testing.assert_allclose(found.shares, np.eye(3)[[0, 2, 1]])


@pytest.mark.parametrize(
    "call",
    [
        lambda rng: friedman_posthoc([[1, 2], [2, 1]]),
        lambda rng: friedman_posthoc([[1, 2, 3]]),
        lambda rng: friedman_posthoc([[1, 2, 3]] * 3, test="dunn"),
        lambda rng: friedman_posthoc([[1, 2, 3]] * 3, test="nemenyi", control=0),
        lambda rng: friedman_posthoc([[1, 2, 3]] * 3, control=3),
        lambda rng: tukey([[1.0, 2.0]]),
        lambda rng: tukey([[1.0, 2.0], [1.0, np.inf]]),
        lambda rng: tukey([[1.0, 2.0], [1.0, 2.0]], blocks="mixed"),
        lambda rng: tukey([[[1.0], [2.0]], [[1.0], [2.0]]]),
        lambda rng: two_way_anova([[1.0, 2.0], [1.0, 2.0]]),
        lambda rng: two_way_anova(np.ones((2, 2, 1))),
        lambda rng: block_contrast_inference([[1.0, 2.0], [2.0, 1.0]], [1, 1]),
        lambda rng: block_contrast_inference([[1.0, 2.0], [2.0, 1.0]], [1, -1, 0]),
        lambda rng: rank_stability([[1.0], [2.0]], rng=rng),
        lambda rng: rank_stability([[1.0, 2.0]], rng=rng),
        lambda rng: rank_stability([[1.0, 2.0]] * 3, by="median", rng=rng),
        lambda rng: rank_stability([[1.0, 2.0]] * 3, better="larger", rng=rng),
    ],
)
def test_designs_that_several_methods_cannot_be_judged_by_are_refused(call, rng):
    with pytest.raises(DesignError):
        call(rng)
