import itertools

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from common.statistics.dominance import Dominance
from common.statistics.effect_sizes import (
    cliffs_delta,
    cliffs_delta_inference,
    cohens_d_z,
    cohens_d_z_inference,
    discordance_odds,
    discordance_odds_inference,
    hedges_factor,
    rank_biserial,
    rank_biserial_inference,
)
from common.statistics.equivalence import equivalence
from common.statistics.odds import BinomialShare
from common.statistics.paired import paired_t, wilcoxon
from common.statistics.proportions import mcnemar
from common.statistics.redraws import redraw
from common.statistics.results import DesignError


def _keeps_what_its_interval_holds(inference, level=0.95, step=1e-6):
    interval = inference.interval(level)
    assert inference.p(interval.low + step) > 1 - level > inference.p(interval.low - step)
    assert inference.p(interval.high - step) > 1 - level > inference.p(interval.high + step)


def test_d_z_does_not_change_with_the_unit_and_its_p_is_that_of_the_paired_t(rng):
    d = rng.normal(0.3, 1, 20)
    one, other = cohens_d_z(d), cohens_d_z(100 * d)
    assert (one.effect, one.low, one.p) == pytest.approx((other.effect, other.low, other.p))
    assert one.p == pytest.approx(paired_t(d).p)
    assert one.effect == pytest.approx(d.mean() / d.std(ddof=1))


@pytest.mark.parametrize("n", [3, 20, 15_000])
def test_the_interval_of_d_z_holds_exactly_the_values_that_are_not_rejected(rng, n):
    _keeps_what_its_interval_holds(cohens_d_z_inference(rng.normal(0.8, 1, n)))


def test_the_interval_of_d_z_covers_the_true_value_as_often_as_it_says(rng):
    studies = rng.normal(0.7, 1, (400, 8))
    low, high = np.transpose([(f.low, f.high) for f in map(cohens_d_z, studies)])
    assert np.mean((low <= 0.7) & (high >= 0.7)) == pytest.approx(0.95, abs=0.03)


def test_hedges_factor_removes_the_bias_of_d_z(rng):
    studies = rng.normal(0.7, 1, (20_000, 6))
    d = studies.mean(axis=1) / studies.std(axis=1, ddof=1)
    assert d.mean() > 0.8
    assert hedges_factor(5) * d.mean() == pytest.approx(0.7, abs=0.015)
    assert hedges_factor(1e6) == pytest.approx(1, abs=1e-5)


def test_equal_differences_have_an_infinite_d_z():
    found = cohens_d_z([-2.0, -2.0, -2.0])
    assert (found.effect, found.p, found.high) == (-np.inf, 0, -np.inf)
    one = cohens_d_z_inference([2.0, 2.0])
    assert (one.p_greater(), one.p_less(), one.p_greater(9.0)) == (0, 1, 0)


def test_d_z_of_clusters_is_that_of_cases_with_a_wider_interval(rng):
    cluster = np.repeat(np.arange(60), 8)
    d = 0.3 + rng.normal(0, 0.8, 60)[cluster] + rng.normal(size=480)
    plain, clustered = cohens_d_z(d), cohens_d_z(d, cluster=cluster, rng=rng)
    assert clustered.effect == pytest.approx(plain.effect)
    assert clustered.high - clustered.low > 1.5 * (plain.high - plain.low)
    assert (clustered.n_cases, clustered.n_clusters) == (480, 60)
    corrected = cohens_d_z(d, hedges=True, cluster=cluster, rng=rng)
    assert corrected.effect == pytest.approx(hedges_factor(479) * plain.effect)


def test_the_rank_biserial_correlation_is_the_signed_share_of_ranks():
    d = np.array([3.0, -1.0, 2.0, 0.0, -2.0, 5.0])
    found = rank_biserial(d, rng=np.random.default_rng(0), n_resamples=50)
    ranks = stats.rankdata(np.abs(d[d != 0]))
    assert found.effect == pytest.approx(np.sign(d[d != 0]) @ ranks / ranks.sum())
    assert found.note == "1 zeros dropped; 50 resamples"
    # the sum of the positive ranks says the same
    assert found.effect == pytest.approx(2 * wilcoxon(d).statistic / ranks.sum() - 1)


def test_the_rank_biserial_correlation_of_a_resample_is_that_of_the_drawn_cases(rng):
    cluster = np.repeat(np.arange(9), [1, 4, 2, 3, 5, 1, 2, 6, 3])
    d = np.round(rng.normal(0.3, 1, len(cluster)), 1)
    found = rank_biserial_inference(
        d, cluster=cluster, rng=np.random.default_rng(4), n_resamples=30
    )
    again = np.random.default_rng(4)
    for replicate in found.replicates:
        counts = again.multinomial(9, np.full(9, 1 / 9))
        drawn = np.repeat(d, counts[cluster])
        drawn = drawn[drawn != 0]
        ranks = stats.rankdata(np.abs(drawn))
        assert replicate == pytest.approx(np.sign(drawn) @ ranks / ranks.sum())


def test_one_sided_ranks_give_one_and_only_zeros_give_zero(rng):
    assert rank_biserial([1, 2, 3], rng=rng, n_resamples=20).effect == 1
    zeros = rank_biserial(np.zeros(5), rng=rng, n_resamples=20)
    assert (zeros.effect, zeros.low, zeros.high, zeros.p) == (0, 0, 0, 1)


def test_cliffs_delta_is_the_mean_of_the_dominance_matrix(rng):
    x, y = rng.integers(0, 6, 40), rng.integers(1, 8, 25)
    over = np.sign(x[:, None] - y)
    found = cliffs_delta_inference(x, y)
    assert found.effect == pytest.approx(over.mean())
    n, m = over.shape
    terms = [
        (m - 1) * over.mean(axis=1).var(ddof=1),
        (n - 1) * over.mean(axis=0).var(ddof=1),
        ((over - over.mean()) ** 2).sum() / ((n - 1) * (m - 1)),
    ]
    assert found.se**2 == pytest.approx(sum(terms) / (n * m))


def test_cliffs_delta_is_twice_the_area_under_the_curve_less_one(rng):
    positive, negative = np.round(rng.normal(1, 1, 50), 1), np.round(rng.normal(size=80), 1)
    auc = roc_auc_score(np.repeat([1, 0], [50, 80]), np.concatenate([positive, negative]))
    assert cliffs_delta(positive, negative).effect == pytest.approx(2 * auc - 1)


@pytest.mark.parametrize("shift", [0.0, 0.7, 2.0])
def test_the_interval_of_delta_holds_exactly_the_values_that_are_not_rejected(rng, shift):
    inference = cliffs_delta_inference(rng.normal(shift, 1, 15), rng.normal(size=12))
    _keeps_what_its_interval_holds(inference)
    assert -1 < inference.interval(0.999).low < inference.interval(0.999).high < 1


def test_groups_that_do_not_overlap_have_the_interval_of_the_largest_variance():
    found = cliffs_delta([5, 6, 7, 8], [1, 2, 3])
    t = stats.t.ppf(0.975, 5)
    assert (found.effect, found.high) == (1, pytest.approx(1))
    assert found.low == pytest.approx((3 - t**2) / (3 + t**2))
    one = cliffs_delta_inference([5, 6, 7, 8], [1, 2, 3])
    assert one.p(found.low) == pytest.approx(0.05)
    assert (one.p_greater(1.0), one.p_less(1.0), one.p(-1.0)) == (0.5, 0.5, 0)


def test_swapping_the_groups_mirrors_delta(rng):
    x, y = rng.integers(0, 9, 20), rng.integers(2, 9, 30)
    one, other = cliffs_delta(x, y), cliffs_delta(y, x)
    assert (one.effect, one.low, one.p) == pytest.approx((-other.effect, -other.high, other.p))


def test_delta_of_clusters_has_a_wider_interval(rng):
    cluster_x, cluster_y = np.repeat(np.arange(40), 6), np.repeat(np.arange(40, 90), 6)
    x = 0.5 + rng.normal(size=40)[cluster_x] + 0.5 * rng.normal(size=240)
    y = rng.normal(size=90)[cluster_y] + 0.5 * rng.normal(size=300)
    plain = cliffs_delta(x, y)
    clustered = cliffs_delta(x, y, cluster=(cluster_x, cluster_y), rng=rng, n_resamples=500)
    assert clustered.effect == pytest.approx(plain.effect)
    assert clustered.high - clustered.low > 1.5 * (plain.high - plain.low)
    assert clustered.n_clusters == 90


def _binary(b, c, both=3):
    return [1] * b + [0] * c + [1] * both, [0] * b + [1] * c + [1] * both


@pytest.mark.parametrize(("b", "c"), [(3, 1), (8, 8), (20, 5), (0, 6), (7, 0)])
def test_the_odds_ratio_has_the_exact_p_of_mcnemar(b, c):
    first, second = _binary(b, c)
    found = discordance_odds(first, second)
    assert found.p == pytest.approx(mcnemar(first, second).p)
    assert found.effect == pytest.approx(b / c if c else np.inf)
    assert (found.low > 1) == (b > c and found.p < 0.05)
    inverse = discordance_odds(second, first)
    assert inverse.low == pytest.approx(1 / found.high if found.high else np.inf)


def test_the_exact_interval_of_the_odds_ends_where_a_tail_is_half_of_the_level():
    first, second = _binary(9, 4)
    inference = discordance_odds_inference(first, second)
    interval = inference.interval()
    assert inference.p_greater(interval.low) == pytest.approx(0.025)
    assert inference.p_less(interval.high) == pytest.approx(0.025)
    assert equivalence(inference, (0.5, 2.0)).p > 0.05
    assert equivalence(inference, (0.01, 100.0)).p < 0.05


def test_without_discordant_cases_the_odds_are_unknown():
    found = discordance_odds([1, 1, 0], [1, 1, 0])
    assert np.isnan(found.effect)
    assert (found.low, found.high, found.p) == (0, np.inf, 1)
    assert np.isnan(BinomialShare(0, 0).se)


def test_the_odds_of_clusters_are_those_of_cases_with_a_wider_interval(rng):
    cluster = np.repeat(np.arange(80), 6)
    leaning = rng.random(80)[cluster] < 0.6
    differs = rng.random(480) < 0.4
    first = np.where(differs, leaning, 1).astype(int)
    second = np.where(differs, ~leaning, 1).astype(int)
    plain = discordance_odds(first, second)
    clustered = discordance_odds(first, second, cluster=cluster, rng=rng)
    assert clustered.effect == pytest.approx(plain.effect)
    assert np.log(clustered.high / clustered.low) > 1.4 * np.log(plain.high / plain.low)
    assert clustered.note.endswith("cluster bootstrap, 2000 resamples")
    assert (clustered.n_cases, clustered.n_clusters) == (480, 80)


def test_one_protocol_serves_all_effect_sizes(rng):
    first, second = _binary(9, 4)
    found = [
        cohens_d_z_inference(rng.normal(size=9)),
        cohens_d_z_inference(rng.normal(size=9), hedges=True),
        rank_biserial_inference(rng.normal(size=30), rng=rng, n_resamples=99),
        cliffs_delta_inference(rng.normal(size=9), rng.normal(size=7)),
        discordance_odds_inference(first, second),
        discordance_odds_inference(first, second, cluster=np.arange(16), rng=rng, n_resamples=99),
    ]
    for each, null in itertools.product(found, (0.2, 0.5)):
        assert 0 <= each.p(null) <= 1
        assert each.p_greater(null) + each.p_less(null) >= 1 - 1e-9
        assert each.interval().low <= each.effect <= each.interval().high
        assert np.isfinite([each.se, each.statistic]).all()
        assert each.df > 0


def test_the_same_generator_gives_the_same_bits_and_the_global_seed_does_not_matter():
    d = np.random.default_rng(3).normal(0.1, 1, 40)
    np.random.seed(0)  # noqa: NPY002
    one = rank_biserial(d, rng=np.random.default_rng(5))
    np.random.seed(1)  # noqa: NPY002
    assert rank_biserial(d, rng=np.random.default_rng(5)) == one


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda rng: cohens_d_z([1.0]), "at least 2"),
        (lambda rng: cohens_d_z([1.0, np.nan]), "must be finite"),
        (lambda rng: cohens_d_z([0.0, 0.0]), "must not all be 0"),
        (lambda rng: cohens_d_z([1.0, 2.0], hedges=True), "`df` must be > 1"),
        (lambda rng: cohens_d_z([1.0, 2.0], cluster=[1, 2]), "`rng` must be given"),
        (lambda rng: rank_biserial([], rng=rng), "at least 2"),
        (lambda rng: rank_biserial([1, 2], cluster=["p", "p"], rng=rng), "at least 2 clusters"),
        (lambda rng: cliffs_delta([1.0], [1.0, 2.0]), "`first` must have at least 2"),
        (lambda rng: cliffs_delta([1, 2], [3, 4], cluster=([1, 2], [3, 4])), "`rng` must be given"),
        (
            lambda rng: cliffs_delta([1, 2], [3, 4], cluster=([1, 1], [2, 2]), rng=rng),
            "finite in every resample",
        ),
        (lambda rng: discordance_odds([1, 2], [0, 1]), "must"),
        (lambda rng: discordance_odds([1, 0], [0, 1], cluster=[1, 2]), "`rng` must be given"),
        (lambda rng: redraw(np.mean, (np.ones(3),), cluster=None, rng=None), "`rng` must be given"),
    ],
)
def test_what_has_no_answer_is_refused(rng, call, message):
    with pytest.raises(DesignError, match=message):
        call(rng)


def test_a_dominance_without_spread_is_certain():
    assert Dominance(0.0, 0.0, 5, 5).p() == 1
    assert Dominance(0.5, 0.0, 5, 5).p() == 0
