import itertools
import time

import numpy as np
import pytest
from scipy import stats

from common.statistics import replicates
from common.statistics.bootstrap import (
    bootstrap_statistic,
    cluster_bootstrap,
    cluster_bootstrap_contrasts,
    crossed,
    exact_folds,
    two_level,
)
from common.statistics.results import DesignError


def _clustered(rng, n_clusters=30):
    sizes = rng.integers(1, 9, n_clusters)
    cluster = np.repeat(np.arange(n_clusters), sizes)
    return np.repeat(rng.normal(0, 1, n_clusters), sizes) + rng.normal(0, 1, sizes.sum()), cluster


def test_replicates_have_the_spread_of_a_naive_cluster_bootstrap(rng):
    values, cluster = _clustered(rng)
    rows = [np.flatnonzero(cluster == one) for one in range(30)]
    naive = [
        values[np.concatenate([rows[i] for i in rng.integers(0, 30, 30)])].mean()
        for _ in range(4000)
    ]
    found = cluster_bootstrap(values, cluster=cluster, n_resamples=4000, rng=rng)
    assert found.effect == pytest.approx(values.mean())
    assert found.se == pytest.approx(np.std(naive), rel=0.06)
    low, high = np.quantile(naive, [0.025, 0.975])
    assert found.interval().low == pytest.approx(low, abs=0.05)
    assert found.interval().high == pytest.approx(high, abs=0.05)


def test_with_single_cases_the_standard_error_is_the_closed_form(rng):
    x = rng.normal(size=80)
    found = cluster_bootstrap(x, n_resamples=20_000, rng=rng)
    assert found.se == pytest.approx(x.std() / np.sqrt(80), rel=0.03)


def test_bca_agrees_with_scipy_on_skewed_data(rng):
    x = rng.exponential(size=40)
    found = cluster_bootstrap(x, n_resamples=20_000, rng=rng, method="bca").interval()
    scipys = stats.bootstrap((x,), np.mean, n_resamples=20_000, method="BCa", rng=rng)
    assert found.low == pytest.approx(scipys.confidence_interval.low, abs=0.02)
    assert found.high == pytest.approx(scipys.confidence_interval.high, abs=0.02)


@pytest.mark.parametrize("average", ["cases", "folds"])
def test_the_closed_form_jackknife_leaves_out_each_cluster(rng, average):
    values, cluster = _clustered(rng, 12)
    fold = np.array(["A", "B", "C"])[cluster % 3]
    found = cluster_bootstrap(
        values, cluster=cluster, fold=fold, average=average, rng=rng, method="bca", n_resamples=10
    )

    def mean(kept):
        if average == "cases":
            return values[kept].mean()
        return np.mean([values[kept & (fold == one)].mean() for one in "ABC"])

    expected = sorted(mean(cluster != one) for one in range(12))
    np.testing.assert_allclose(np.sort(found.jackknife), expected)
    assert found.effect == pytest.approx(mean(np.full(len(values), True)))


def test_folds_are_strata_whose_sizes_never_change(rng):
    # All spread lies between folds: drawing clusters inside their fold leaves none.
    fold = np.repeat([0, 1], [10, 20])
    found = cluster_bootstrap(fold.astype(float), cluster=np.arange(30), fold=fold, rng=rng)
    assert found.se == pytest.approx(0, abs=1e-12)
    assert cluster_bootstrap(fold.astype(float), cluster=np.arange(30), rng=rng).se > 0.05


def test_contrasts_share_their_resamples_so_that_they_add_up(rng):
    values = rng.normal(size=(40, 3))
    a, b, c = cluster_bootstrap_contrasts(
        values, [[1, -1, 0], [0, 1, -1], [1, 0, -1]], n_resamples=50, rng=rng
    )
    np.testing.assert_allclose(a.replicates + b.replicates, c.replicates, atol=1e-12)


def test_an_arm_against_itself_has_no_effect_and_p_one(rng):
    x = rng.normal(size=30)
    (found,) = cluster_bootstrap_contrasts(np.stack([x, x], axis=1), [[1, -1]], rng=rng)
    assert found.effect == 0
    assert found.p() == 1


def test_two_level_spread_is_that_of_folds_plus_that_of_patients(rng):
    n_folds, n_patients = 40, 30
    fold = np.repeat(np.arange(n_folds), n_patients)
    values = rng.normal(size=n_folds)[fold] + rng.normal(0, 6, len(fold))
    found = two_level(values, fold=fold, cluster=np.arange(len(fold)), n_resamples=4000, rng=rng)
    means = values.reshape(n_folds, n_patients).mean(axis=1)
    within = values.reshape(n_folds, n_patients).var(axis=1).mean() / n_patients
    assert found.effect == pytest.approx(means.mean())
    assert found.se == pytest.approx(np.sqrt((means.var() + within) / n_folds), rel=0.06)


def test_exact_folds_list_every_draw():
    d = np.array([-1.0, 0.5, 2.0])
    naive = sorted(np.mean(draw) for draw in itertools.product(d, repeat=3))
    found = exact_folds(d)
    np.testing.assert_allclose(np.sort(found.replicates), naive)
    assert found.se == pytest.approx(np.std(naive, ddof=1))


def test_the_crossed_bootstrap_has_the_spread_of_drawing_both_factors(rng):
    d = rng.normal(size=(25, 1)) + 0.5 * rng.normal(size=(1, 8)) + 0.2 * rng.normal(size=(25, 8))
    found = crossed(d, n_resamples=6000, rng=rng)
    naive = [d[rng.integers(0, 25, 25)][:, rng.integers(0, 8, 8)].mean() for _ in range(6000)]
    assert found.effect == pytest.approx(d.mean())
    assert found.se == pytest.approx(np.std(naive), rel=0.05)


def test_any_statistic_is_resampled_by_whole_clusters(rng):
    values, cluster = _clustered(rng)
    general = bootstrap_statistic(np.mean, (values,), cluster=cluster, n_resamples=1500, rng=rng)
    closed = cluster_bootstrap(values, cluster=cluster, n_resamples=1500, rng=rng)
    assert general.effect == pytest.approx(closed.effect)
    assert general.se == pytest.approx(closed.se, rel=0.1)


def test_a_statistic_that_does_not_exist_in_a_resample_is_an_error(rng):
    def only_with_first(x):
        return 1.0 if 0 in x else np.nan

    with pytest.raises(DesignError, match="finite in every resample"):
        bootstrap_statistic(only_with_first, (np.arange(4),), n_resamples=100, rng=rng)


def test_the_same_generator_gives_the_same_bits():
    x = np.arange(20.0)
    one = cluster_bootstrap(x, n_resamples=20, rng=np.random.default_rng(1)).replicates
    two = cluster_bootstrap(x, n_resamples=20, rng=np.random.default_rng(1)).replicates
    np.testing.assert_array_equal(one, two)


def test_drawing_in_pieces_keeps_the_number_of_replicates(monkeypatch, rng):
    monkeypatch.setattr(replicates, "CHUNK", 70)
    assert len(cluster_bootstrap(np.arange(20.0), n_resamples=11, rng=rng).replicates) == 11


def test_intervals_of_clustered_means_cover_and_those_of_cases_do_not(rng):
    covered = {"clusters": 0, "cases": 0}
    cluster = np.repeat(np.arange(40), 10)
    for _ in range(300):
        x = np.repeat(rng.normal(0, 0.9, 40), 10) + rng.normal(0, 1, 400)
        for name, units in (("clusters", cluster), ("cases", None)):
            interval = cluster_bootstrap(x, cluster=units, n_resamples=400, rng=rng).interval()
            covered[name] += interval.low <= 0 <= interval.high
    assert covered["clusters"] / 300 >= 0.90
    assert covered["cases"] / 300 < 0.7


def test_fifteen_pairs_on_a_full_cross_validation_take_less_than_two_seconds(rng):
    outcomes = (rng.random((15_120, 6)) < 0.82).astype(float)
    contrasts = [np.eye(6)[i] - np.eye(6)[j] for i, j in itertools.combinations(range(6), 2)]
    start = time.perf_counter()
    found = cluster_bootstrap_contrasts(
        outcomes,
        contrasts,
        cluster=np.repeat(np.arange(252), 60),
        fold=np.repeat(np.arange(252) % 5, 60),
        n_resamples=10_000,
        rng=rng,
    )
    assert len(found) == 15
    assert len(found[0].replicates) == 10_000
    assert time.perf_counter() - start < 2


@pytest.mark.parametrize(
    "call",
    [
        lambda rng: cluster_bootstrap([1.0], rng=rng),
        lambda rng: cluster_bootstrap([], rng=rng),
        lambda rng: cluster_bootstrap([1.0, np.nan], rng=rng),
        lambda rng: cluster_bootstrap([1.0, 2.0], cluster=["p", "p"], rng=rng),
        lambda rng: cluster_bootstrap([1.0, 2.0], n_resamples=0, rng=rng),
        lambda rng: cluster_bootstrap_contrasts([[1.0, 2.0]] * 3, [[1.0]], rng=rng),
        lambda rng: two_level([1.0, 2.0], fold=["A", "A"], cluster=[1, 2], rng=rng),
        lambda rng: exact_folds(np.arange(9.0)),
        lambda rng: bootstrap_statistic(np.mean, (np.arange(2),), cluster=[1, 1], rng=rng),
    ],
)
def test_designs_that_cannot_be_resampled_are_refused(call, rng):
    with pytest.raises(DesignError):
        call(rng)
