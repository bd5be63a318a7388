import itertools
import time

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from common.statistics import replicates, resampling
from common.statistics.bootstrap import (
    bootstrap_counts,
    bootstrap_records,
    bootstrap_statistic,
    cluster_bootstrap,
    cluster_bootstrap_contrasts,
    crossed,
    exact_clusters,
    exact_folds,
    seed_then_cluster,
    two_level,
)
from common.statistics.paired import crossed_t_inference
from common.statistics.results import DesignError

METHODS = ["percentile", "basic", "bca", "studentised"]


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
    monkeypatch.setattr(resampling, "CHUNK", 70)
    assert len(cluster_bootstrap(np.arange(20.0), n_resamples=11, rng=rng).replicates) == 11
    matrix = rng.normal(size=(20, 3))
    assert len(crossed(matrix, n_resamples=11, rng=rng).replicates) == 11
    found = bootstrap_counts(lambda n: n @ np.arange(20), 20, n_resamples=11, rng=rng)
    assert len(found.replicates) == 11


def _robust_error(values, cluster, stratum, mean):
    """Return the cluster-robust standard error of a mean over cases, strata fixed."""
    variance = 0.0
    for one in np.unique(stratum):
        names = np.unique(cluster[stratum == one])
        sums = np.array([(values - mean)[cluster == name].sum() for name in names])
        if len(sums) > 1:
            variance += len(sums) * sums.var(ddof=1)
    return np.sqrt(variance) / len(values)


@pytest.mark.parametrize("average", ["cases", "folds"])
@pytest.mark.parametrize("n_folds", [1, 3])
def test_each_replicate_has_the_standard_error_of_its_own_sample(monkeypatch, average, n_folds):
    rng = np.random.default_rng(5)
    values, cluster = _clustered(rng, 12)
    values += 1000  # squares are centred: nothing is lost to a large mean
    fold = cluster % n_folds
    counts = {one: np.array([[0, 1, 2, 1], [1, 1, 1, 1], [4, 0, 0, 0]]) for one in range(3)}
    if n_folds == 1:
        counts = {0: rng.multinomial(12, np.full(12, 1 / 12), size=3)}
    drawn = iter(counts.values())
    monkeypatch.setattr(
        "common.statistics.bootstrap.draw_sums", lambda sums, n, rng: next(drawn) @ sums
    )
    found = cluster_bootstrap(
        values,
        cluster=cluster,
        fold=fold,
        average=average,
        n_resamples=3,
        rng=rng,
        method="studentised",
    )
    for row in range(3):
        parts = []  # every draw of a cluster is a cluster of its own
        for one in range(n_folds):
            for number, name in enumerate(np.unique(cluster[fold == one])):
                for _ in range(counts[one][row, number]):
                    mine = values[cluster == name]
                    parts.append((mine, np.full(len(mine), len(parts)), np.full(len(mine), one)))
        v, c, f = (np.concatenate(each) for each in zip(*parts, strict=True))
        if average == "cases":
            mean, error = v.mean(), _robust_error(v, c, f, v.mean())
        else:
            means = [v[f == one].mean() for one in range(n_folds)]
            errors = [
                _robust_error(v[f == one], c[f == one], f[f == one], v[f == one].mean())
                for one in range(n_folds)
            ]
            mean, error = np.mean(means), np.linalg.norm(errors) / n_folds
        assert found.replicates[row] == pytest.approx(mean)
        assert found.errors[row] == pytest.approx(error, abs=1e-7)


def test_with_clusters_of_one_the_studentised_interval_is_the_bootstrap_t(rng):
    x = rng.exponential(size=30)
    found = cluster_bootstrap(x, n_resamples=20_000, rng=rng, method="studentised")
    assert found.error == pytest.approx(x.std(ddof=1) / np.sqrt(30))
    draws = x[rng.integers(0, 30, size=(20_000, 30))]
    t = (draws.mean(axis=1) - x.mean()) / (draws.std(axis=1, ddof=1) / np.sqrt(30))
    low, high = x.mean() - np.quantile(t, [0.975, 0.025]) * found.error
    assert found.interval().low == pytest.approx(low, abs=0.03)
    assert found.interval().high == pytest.approx(high, abs=0.08)


def test_a_stratum_with_one_cluster_adds_no_spread(rng):
    values, cluster, fold = [1.0, 2.0, 4.0, 9.0], [1, 2, 3, 4], ["A", "A", "A", "B"]
    for method in METHODS:
        found = cluster_bootstrap(
            values, cluster=cluster, fold=fold, n_resamples=99, rng=rng, method=method
        )
        assert found.effect == 4
        assert np.isfinite(found.p(3.0))
        assert found.replicates.min() >= (3 * 1 + 9) / 4
    errors = cluster_bootstrap(
        values, cluster=cluster, fold=fold, n_resamples=9, rng=rng, method="studentised"
    )
    # Sums about the mean 4 are -3, -2 and 0 in the first fold: their squared spread is 14/3.
    assert errors.error == pytest.approx(np.sqrt(3 / 2 * 14 / 3) / 4)


@pytest.mark.parametrize("method", METHODS)
def test_exact_clusters_of_one_size_are_the_exact_folds(method):
    d = np.array([-1.0, 0.5, 2.0, 2.0])
    exact, listed = exact_clusters(d, method=method), exact_folds(d)
    assert exact.times.sum() == len(listed.replicates) == 4**4
    np.testing.assert_allclose(
        np.sort(np.repeat(exact.replicates, exact.times)), np.sort(listed.replicates)
    )
    if method == "percentile":
        assert exact.interval(0.9).low == pytest.approx(listed.interval(0.9).low)
        assert exact.p() == pytest.approx(listed.p())


@pytest.mark.parametrize("method", METHODS)
def test_random_draws_come_near_the_exact_ones(method):
    rng = np.random.default_rng(2)
    values, cluster = _clustered(rng, 7)
    exact = exact_clusters(values, cluster=cluster, method=method)
    drawn = cluster_bootstrap(values, cluster=cluster, n_resamples=40_000, rng=rng, method=method)
    assert drawn.se == pytest.approx(exact.se, rel=0.02)
    assert drawn.interval(0.8).low == pytest.approx(exact.interval(0.8).low, abs=0.05)
    assert drawn.interval(0.8).high == pytest.approx(exact.interval(0.8).high, abs=0.05)
    assert drawn.p(0.3) == pytest.approx(exact.p(0.3), abs=0.02)


@pytest.mark.parametrize("function", [two_level, seed_then_cluster])
def test_nested_draws_take_the_outer_units_for_the_jackknife_and_errors(function):
    rng = np.random.default_rng(3)
    outer = np.repeat(np.arange(4), [5, 8, 6, 7])
    values = rng.normal(size=26) + outer
    name = "fold" if function is two_level else "seed"
    found = function(
        values, **{name: outer}, cluster=np.arange(26), n_resamples=50, rng=rng, method="bca"
    )
    means = np.array([values[outer == one].mean() for one in range(4)])
    assert found.effect == pytest.approx(means.mean())
    assert found.n_units == 4
    assert found.error == pytest.approx(stats.sem(means))
    expected = [np.delete(means, one).mean() for one in range(4)]
    np.testing.assert_allclose(found.jackknife, expected)


def test_seeds_with_their_own_cases_are_the_two_level_draw_of_folds():
    values, outer = np.arange(12.0), np.repeat([0, 1, 2], 4)
    one = two_level(
        values, fold=outer, cluster=np.arange(12), n_resamples=9, rng=np.random.default_rng(1)
    )
    two = seed_then_cluster(
        values, seed=outer, cluster=np.arange(12), n_resamples=9, rng=np.random.default_rng(1)
    )
    np.testing.assert_array_equal(one.replicates, two.replicates)


def test_the_crossed_standard_error_is_that_of_the_crossed_t_in_every_replicate(monkeypatch):
    rng = np.random.default_rng(4)
    d = rng.normal(size=(6, 1)) + rng.normal(size=(1, 4)) + 0.3 * rng.normal(size=(6, 4)) + 500
    drawn = {6: [], 4: []}

    def counts(n_units, n_resamples, rng):
        piece = rng.multinomial(n_units, np.full(n_units, 1 / n_units), size=n_resamples)
        drawn[n_units].append(piece)
        yield piece.astype(float)

    monkeypatch.setattr("common.statistics.bootstrap.draw_counts", counts)
    found = crossed(d, n_resamples=20, rng=rng, method="studentised")
    assert found.error == pytest.approx(crossed_t_inference(d).se)
    for row in range(20):
        clusters, seeds = (np.repeat(np.arange(n), drawn[n][0][row]) for n in (6, 4))
        expected = crossed_t_inference(d[np.ix_(clusters, seeds)])
        assert found.replicates[row] == pytest.approx(expected.effect)
        assert found.errors[row] == pytest.approx(expected.se, abs=1e-6)


def test_the_crossed_jackknife_leaves_out_clusters_and_seeds(rng):
    d = rng.normal(size=(5, 3))
    found = crossed(d, n_resamples=9, rng=rng, method="bca")
    expected = [np.delete(d, one, axis=0).mean() for one in range(5)]
    expected += [np.delete(d, one, axis=1).mean() for one in range(3)]
    np.testing.assert_allclose(found.jackknife, expected)


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


def test_studentised_intervals_of_few_unequal_clusters_cover_nearer_their_level():
    rng = np.random.default_rng(11)
    covered = {"studentised": 0, "percentile": 0}
    for _ in range(400):
        sizes = np.clip(np.round(rng.lognormal(1.5, 0.8, 15)), 1, 40).astype(int)
        cluster = np.repeat(np.arange(15), sizes)
        x = rng.normal(size=15)[cluster] + rng.normal(size=len(cluster))
        for method in covered:
            interval = cluster_bootstrap(
                x, cluster=cluster, n_resamples=499, rng=rng, method=method
            ).interval()
            covered[method] += interval.low <= 0 <= interval.high
    assert covered["studentised"] / 400 >= 0.92
    assert covered["percentile"] < covered["studentised"]


def _weighted_mean(counts, sums, sizes):
    return (counts @ sums) / (counts @ sizes)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("with_strata", [False, True])
def test_counts_rows_and_weights_agree_with_the_closed_form(method, with_strata):
    rng = np.random.default_rng(6)
    values, cluster = _clustered(rng, 14)
    strata = cluster % 2 if with_strata else None
    options = {"n_resamples": 700, "method": method}
    closed = cluster_bootstrap(
        values, cluster=cluster, fold=strata, n_resamples=20_000, rng=rng, method=method
    )
    by_rows = bootstrap_statistic(
        np.mean, (values,), cluster=cluster, strata=strata, rng=rng, **options
    )
    by_weights = bootstrap_statistic(
        lambda w, x: (w @ x) / w.sum(axis=1),
        (values,),
        cluster=cluster,
        strata=strata,
        vectorised=True,
        rng=rng,
        **options,
    )
    sums, sizes = np.bincount(cluster, weights=values), np.bincount(cluster)
    by_counts = bootstrap_counts(
        lambda n: _weighted_mean(n, sums, sizes),
        14,
        strata=np.arange(14) % 2 if with_strata else None,
        rng=rng,
        **options,
    )
    for found in (by_rows, by_weights, by_counts):
        assert found.effect == pytest.approx(closed.effect)
        assert found.se == pytest.approx(closed.se, rel=0.1)
        assert found.interval(0.8).low == pytest.approx(closed.interval(0.8).low, abs=0.12)
        assert found.interval(0.8).high == pytest.approx(closed.interval(0.8).high, abs=0.12)
        if method == "bca":
            assert found.acceleration == pytest.approx(closed.acceleration)


def test_the_inner_jackknife_of_a_mean_is_its_standard_error(rng):
    x = rng.exponential(size=9)
    by_rows = bootstrap_statistic(np.mean, (x,), n_resamples=5, rng=rng, method="studentised")
    assert by_rows.error == pytest.approx(stats.sem(x))
    seen = []

    def mean(counts):
        seen.append(counts)
        return (counts @ x) / counts.sum(axis=1)

    by_counts = bootstrap_counts(mean, 9, n_resamples=5, rng=rng, method="studentised")
    assert by_counts.error == pytest.approx(stats.sem(x))
    for row, counts in enumerate(seen[0]):
        sample = np.repeat(x, counts.astype(int))
        assert by_counts.errors[row] == pytest.approx(stats.sem(sample))


def test_a_spread_is_bootstrapped_as_scipy_does(rng):
    x = rng.exponential(size=25)
    found = bootstrap_statistic(np.std, (x,), n_resamples=4000, rng=rng, method="bca")
    scipys = stats.bootstrap((x,), np.std, n_resamples=4000, method="BCa", rng=rng)
    assert found.se == pytest.approx(scipys.standard_error, rel=0.1)
    assert found.interval().low == pytest.approx(scipys.confidence_interval.low, rel=0.1)
    assert found.interval().high == pytest.approx(scipys.confidence_interval.high, rel=0.1)


def test_strata_keep_the_number_of_their_clusters(rng):
    strata = np.repeat(["ill", "well"], [4, 8])
    cluster = np.arange(12)
    shares = []

    def share_of_ill(names):
        shares.append((names == "ill").sum())
        return float((names == "ill").mean())

    found = bootstrap_statistic(
        share_of_ill, (strata,), cluster=cluster, strata=strata, n_resamples=30, rng=rng
    )
    assert set(shares) == {4}
    assert found.se == pytest.approx(0)
    assert bootstrap_statistic(share_of_ill, (strata,), n_resamples=30, rng=rng).se > 0


@pytest.mark.parametrize("method", ["bca", "studentised"])
def test_a_statistic_must_exist_without_each_unit_too(method):
    def needs_all(x):
        return float(x.mean()) if len(x) == 6 else np.nan

    with pytest.raises(DesignError, match="finite in every resample"):
        bootstrap_statistic(
            needs_all, (np.arange(6.0),), n_resamples=5, rng=np.random.default_rng(0), method=method
        )


@pytest.fixture
def table(rng):
    """Return records of two arms: 3 seeds x 8 patients with 1 to 4 cases, in 2 folds."""
    rows = []
    for seed, patient in itertools.product(range(3), range(8)):
        for case, arm in itertools.product(range(1 + patient % 4), "ab"):
            rows.append((arm, seed, f"f{patient % 2}", f"p{patient}", f"i{patient}-{case}"))
    frame = pd.DataFrame(rows, columns=["arm", "seed", "fold", "cluster", "case"])
    effect = rng.normal(size=8)[frame["cluster"].str[1:].astype(int)]
    frame["value"] = effect + 0.3 * rng.normal(size=len(frame)) + (frame["arm"] == "a")
    for name in ("arm", "fold", "cluster", "case"):
        frame[name] = frame[name].astype("category")
    return frame


def _gain(frame):
    arms = frame.groupby("arm", observed=True)["value"].mean()
    return arms["a"] - arms["b"]


def test_records_of_drawn_clusters_come_whole_and_paired(table, rng):
    sizes = table.groupby("cluster", observed=True).size()

    def check(frame):
        drawn = frame.groupby("cluster", observed=True).size()
        assert len(drawn) == 8
        names = [name.split("#")[0] for name in drawn.index]
        assert drawn.tolist() == sizes[names].tolist()
        assert (frame["arm"] == "a").sum() == (frame["arm"] == "b").sum()
        return _gain(frame)

    found = bootstrap_records(table, check, n_resamples=20, rng=rng)
    assert found.effect == pytest.approx(_gain(table))
    assert found.n_units == 8
    assert len(np.unique(found.replicates)) > 10


def test_a_statistic_that_groups_by_cluster_sees_every_copy(table, rng):
    one_seed = table[(table["seed"] == 0) & (table["arm"] == "a")]

    def of_clusters(frame):
        return frame.groupby("cluster", observed=True)["value"].mean().mean()

    means = one_seed.groupby("cluster", observed=True)["value"].mean().to_numpy()
    found = bootstrap_records(one_seed, of_clusters, n_resamples=300, rng=rng)
    assert found.effect == pytest.approx(means.mean())
    assert found.se == pytest.approx(means.std() / np.sqrt(8), rel=0.15)

    def of_numbers(columns):
        numbers = columns["cluster"]
        sums = np.bincount(numbers, weights=columns["value"])
        return (sums / np.maximum(np.bincount(numbers), 1)).sum() / len(np.unique(numbers))

    same = bootstrap_records(
        one_seed, of_numbers, columns=["cluster", "value"], n_resamples=3000, rng=rng
    )
    assert same.se == pytest.approx(means.std() / np.sqrt(8), rel=0.06)


@pytest.mark.parametrize("method", METHODS)
def test_columns_as_arrays_give_the_same_numbers_as_tables(table, method):
    def of_arrays(columns):
        a = columns["arm"] == "a"
        return columns["value"][a].mean() - columns["value"][~a].mean()

    options = {"n_resamples": 12, "method": method}
    one = bootstrap_records(table, _gain, rng=np.random.default_rng(1), **options)
    two = bootstrap_records(
        table, of_arrays, columns=["value", "arm"], rng=np.random.default_rng(1), **options
    )
    np.testing.assert_allclose(one.replicates, two.replicates)
    assert one.interval(0.5).low == pytest.approx(two.interval(0.5).low)


@pytest.mark.parametrize(
    ("levels", "crossed_"),
    [(("fold", "cluster"), False), (("seed", "cluster"), False), (("seed", "cluster"), True)],
)
def test_copies_of_seeds_folds_and_clusters_are_told_apart(table, rng, levels, crossed_):
    n_outer = table[levels[0]].nunique()
    twice = []

    def check(frame):
        assert frame[levels[0]].nunique() == n_outer
        if levels[0] == "seed":
            assert frame["seed"].dtype.kind == "i"
        clusters = frame.groupby(list(levels), observed=True)["cluster"].nunique().groupby(level=0)
        assert clusters.size().tolist() == [8 if levels[0] == "seed" else 4] * n_outer
        assert not frame.duplicated(["arm", *dict.fromkeys(["seed", *levels]), "case"]).any()
        twice.append(frame["cluster"].astype(str).str.contains("#").any())
        return frame["value"].mean()

    bootstrap_records(table, check, levels=levels, crossed=crossed_, n_resamples=15, rng=rng)
    assert any(twice)


def test_crossed_records_have_the_spread_of_the_crossed_bootstrap(rng):
    d = rng.normal(size=(20, 1)) + rng.normal(size=(1, 6)) + 0.3 * rng.normal(size=(20, 6))
    cluster, seed = np.indices(d.shape)
    frame = pd.DataFrame({"cluster": cluster.ravel(), "seed": seed.ravel(), "value": d.ravel()})
    found = bootstrap_records(
        frame,
        lambda columns: columns["value"].mean(),
        levels=("seed", "cluster"),
        crossed=True,
        columns=["value"],
        n_resamples=3000,
        rng=rng,
        method="bca",
    )
    closed = crossed(d, n_resamples=20_000, rng=rng, method="bca")
    assert found.effect == pytest.approx(closed.effect)
    assert found.se == pytest.approx(closed.se, rel=0.06)
    assert found.acceleration == pytest.approx(closed.acceleration)
    assert found.n_units == closed.n_units == 6


@pytest.mark.parametrize("levels", [("fold", "cluster"), ("seed", "cluster")])
def test_nested_records_have_the_spread_of_the_nested_bootstrap(rng, levels):
    outer = np.repeat(np.arange(6), 5)
    values = rng.normal(size=6)[outer] + rng.normal(size=30)
    frame = pd.DataFrame({levels[0]: outer, "cluster": np.arange(30), "value": values})
    found = bootstrap_records(
        frame,
        lambda columns: columns["value"].mean(),
        levels=levels,
        columns=["value"],
        n_resamples=1500,
        rng=rng,
        method="studentised" if levels[0] == "fold" else "percentile",
    )
    closed = two_level(values, fold=outer, cluster=np.arange(30), n_resamples=20_000, rng=rng)
    assert found.se == pytest.approx(closed.se, rel=0.08)
    if levels[0] == "fold":
        assert found.error == pytest.approx(closed.error)


def test_strata_of_records_keep_their_clusters(table, rng):
    def check(frame):
        assert frame.groupby("fold", observed=True)["cluster"].nunique().tolist() == [4, 4]
        return frame["value"].mean()

    bootstrap_records(table, check, strata="fold", n_resamples=20, rng=rng)
    bootstrap_records(
        table,
        check,
        levels=("seed", "cluster"),
        crossed=True,
        strata="fold",
        n_resamples=20,
        rng=rng,
    )


def test_records_do_not_depend_on_the_global_seed(table):
    runs = []
    for state in (0, 1):
        np.random.seed(state)  # noqa: NPY002
        rng = np.random.default_rng(7)
        runs.append(bootstrap_records(table, _gain, n_resamples=5, rng=rng).replicates)
    np.testing.assert_array_equal(*runs)


@pytest.mark.parametrize(
    "options",
    [
        {"levels": ("patient",)},
        {"levels": ()},
        {"levels": ("cluster",), "crossed": True},
        {"strata": "centre"},
        {"columns": ["score"]},
        {"levels": ("seed", "cluster"), "crossed": True, "method": "studentised"},
        {"levels": ("arm",), "strata": "arm"},
        {"method": "bootstrap"},
        {"n_resamples": 0},
    ],
)
def test_records_that_cannot_be_drawn_are_refused(table, rng, options):
    with pytest.raises(DesignError):
        bootstrap_records(table, _gain, **({"n_resamples": 3} | options), rng=rng)


@pytest.mark.parametrize(
    "options",
    [
        {"exact": True, "n_units": 11},
        {"exact": True, "n_units": 4, "strata": [0, 0, 1, 1]},
        {"n_units": 4, "rng": None},
        {"n_units": 1},
        {"n_units": 2, "strata": [0, 1]},
        {"n_units": 4, "statistic": lambda n: n},
        {"n_units": 4, "statistic": lambda n: np.full(len(n), np.nan)},
    ],
)
def test_counts_that_cannot_be_drawn_are_refused(rng, options):
    options = {"statistic": lambda n: n.sum(axis=1), "rng": rng, "n_resamples": 3} | options
    with pytest.raises(DesignError):
        bootstrap_counts(options.pop("statistic"), options.pop("n_units"), **options)


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
        lambda rng: exact_clusters(np.arange(11.0)),
        lambda rng: exact_clusters([1.0]),
        lambda rng: cluster_bootstrap([1.0, 2.0], rng=rng, method="t"),
        lambda rng: seed_then_cluster([1.0, 2.0], seed=[0, 0], cluster=[1, 2], rng=rng),
        lambda rng: crossed([[1.0, 2.0]], rng=rng),
        lambda rng: crossed([[1.0, 2.0], [1.0, 2.0]], n_resamples=0, rng=rng),
        lambda rng: bootstrap_statistic(np.mean, (np.arange(2),), cluster=[1, 1], rng=rng),
        lambda rng: bootstrap_statistic(np.mean, (np.array([]),), rng=rng),
        lambda rng: bootstrap_records(pd.DataFrame({"cluster": []}), len, rng=rng),
    ],
)
def test_designs_that_cannot_be_resampled_are_refused(call, rng):
    with pytest.raises(DesignError):
        call(rng)
