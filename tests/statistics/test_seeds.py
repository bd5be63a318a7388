import itertools

import numpy as np
import pytest
from scipy import stats

from common.statistics import seeds
from common.statistics.results import DesignError
from common.statistics.seeds import (
    bootstrap_seeds,
    interquartile_mean,
    interquartile_mean_difference,
    interquartile_mean_difference_inference,
    interquartile_mean_inference,
    optimality_gap,
    optimality_gap_inference,
    probability_of_improvement,
    probability_of_improvement_inference,
)


def _mean(stack):
    return stack.mean(axis=(1, 2))


def test_the_interquartile_mean_drops_a_quarter_at_each_end(rng):
    x = rng.normal(size=(4, 5))
    assert interquartile_mean(x) == pytest.approx(np.sort(x.ravel())[5:15].mean())
    failed = x.copy()
    failed[np.unravel_index(x.argmin(), x.shape)] = -1e9
    assert interquartile_mean(failed) == pytest.approx(interquartile_mean(x))
    assert interquartile_mean([[1.0, 2.0, 6.0]]) == 3.0  # too few to drop any


def test_statistics_follow_a_change_of_scale(rng):
    x, y = rng.normal(size=(5, 3)), rng.normal(size=(4, 3))
    assert interquartile_mean(7 * x - 2) == pytest.approx(7 * interquartile_mean(x) - 2)
    gap = optimality_gap(x, target=0.5)
    assert optimality_gap(7 * x - 2, target=7 * 0.5 - 2) == pytest.approx(7 * gap)
    p = probability_of_improvement(x, y)
    assert probability_of_improvement(np.exp(x), np.exp(y)) == p
    assert probability_of_improvement(y, x) == pytest.approx(1 - p)


def test_no_score_beyond_the_target_closes_the_gap_of_another():
    assert optimality_gap([[0.5, 100.0]], target=1.0) == 0.25
    assert optimality_gap([[2.0, 3.0]], target=1.0) == 0.0


def test_improvement_is_counted_pair_by_pair(rng):
    x, y = rng.integers(0, 4, size=(5, 3)), rng.integers(0, 4, size=(4, 3))
    won = [
        (a > b) + (a == b) / 2
        for task in range(3)
        for a, b in itertools.product(x[:, task], y[:, task])
    ]
    assert probability_of_improvement(x, y) == pytest.approx(np.mean(won))
    rows = [(a > b) + (a == b) / 2 for a, b in zip(x[:4].ravel(), y.ravel(), strict=True)]
    assert probability_of_improvement(x[:4], y, paired=True) == pytest.approx(np.mean(rows))


@pytest.mark.parametrize("unit", ["run", "seed"])
def test_replicates_have_the_spread_of_a_naive_bootstrap(rng, unit):
    x = rng.normal(size=(5, 1)) + rng.normal(size=(5, 4))

    def naive():
        if unit == "seed":
            return interquartile_mean(x[rng.integers(0, 5, 5)])
        columns = [x[rng.integers(0, 5, 5), task] for task in range(4)]
        return interquartile_mean(np.stack(columns, axis=1))

    found = interquartile_mean_inference(x, unit=unit, n_resamples=2000, rng=rng)
    assert found.effect == interquartile_mean(x)
    assert found.n_units == 5
    assert found.se == pytest.approx(np.std([naive() for _ in range(1000)]), rel=0.1)


def test_runs_of_a_mean_have_their_closed_form_and_seeds_theirs(rng):
    x = rng.normal(size=(6, 1)) + rng.normal(size=(6, 3))
    runs = bootstrap_seeds(_mean, x, n_resamples=20_000, rng=rng)
    assert runs.se == pytest.approx(np.sqrt((x.var(axis=0) / 6).sum()) / 3, rel=0.03)
    whole = bootstrap_seeds(_mean, x, unit="seed", n_resamples=20_000, rng=rng)
    assert whole.se == pytest.approx(x.mean(axis=1).std() / np.sqrt(6), rel=0.03)


def test_one_network_on_many_cases_must_be_drawn_whole():
    # Intervals of runs ignore what a network has in common on all cases.
    rng = np.random.default_rng(3)
    covered = {"run": 0, "seed": 0}
    for _ in range(150):
        x = rng.normal(size=(10, 1)) + rng.normal(size=(10, 20))
        for unit in covered:
            interval = interquartile_mean_inference(
                x, unit=unit, n_resamples=199, rng=rng
            ).interval()
            covered[unit] += interval.low <= 0 <= interval.high
    assert covered["seed"] / 150 > 0.83
    assert covered["run"] / 150 < 0.65


def test_paired_seeds_are_drawn_together(rng):
    shared = rng.normal(size=(6, 3))
    x, y = shared + 0.5, shared
    together = bootstrap_seeds(
        lambda a, b: _mean(a) - _mean(b), x, y, unit="seed", paired=True, n_resamples=50, rng=rng
    )
    assert together.se == pytest.approx(0, abs=1e-12)
    apart = bootstrap_seeds(
        lambda a, b: _mean(a) - _mean(b), x, y, unit="seed", n_resamples=50, rng=rng
    )
    assert apart.se > 0.05


def test_methods_may_have_different_numbers_of_seeds(rng):
    x, y = rng.normal(size=(7, 2)), rng.normal(size=(3, 2))
    found = interquartile_mean_difference(x, y, n_resamples=99, rng=rng)
    assert found.effect == pytest.approx(interquartile_mean(x) - interquartile_mean(y))
    assert found.n_clusters == 3
    assert found.n_cases == 2


def test_bca_leaves_out_whole_seeds(rng):
    x, y = rng.normal(size=(5, 3)), rng.normal(size=(4, 3))
    found = interquartile_mean_difference_inference(
        x, y, unit="seed", n_resamples=99, rng=rng, method="bca"
    )
    expected = [
        interquartile_mean(np.delete(x, one, axis=0)) - interquartile_mean(y) for one in range(5)
    ]
    expected += [
        interquartile_mean(x) - interquartile_mean(np.delete(y, one, axis=0)) for one in range(4)
    ]
    np.testing.assert_allclose(found.jackknife, expected)
    np.testing.assert_array_equal(found.strata, [0] * 5 + [1] * 4)
    paired = interquartile_mean_difference_inference(
        x[:4], y, unit="seed", paired=True, n_resamples=99, rng=rng, method="bca"
    )
    first = interquartile_mean(np.delete(x[:4], 2, axis=0))
    assert paired.jackknife[2] == pytest.approx(first - interquartile_mean(np.delete(y, 2, axis=0)))
    assert len(paired.jackknife) == 4


@pytest.mark.parametrize("paired", [False, True])
def test_a_method_against_itself_shows_nothing(rng, paired):
    x = rng.normal(size=(5, 4))
    test = interquartile_mean_difference(x, x, paired=paired, n_resamples=199, rng=rng)
    assert test.effect == 0
    assert test.p > 0.5
    improvement = probability_of_improvement_inference(
        x, x, paired=paired, n_resamples=199, rng=rng
    )
    assert improvement.effect == 0.5
    assert improvement.p(0.5) > 0.5


def test_equal_methods_are_told_apart_at_the_nominal_rate():
    rng = np.random.default_rng(8)
    rejected = 0
    for _ in range(200):
        x, y = rng.normal(size=(2, 10, 6))
        found = probability_of_improvement_inference(x, y, n_resamples=199, rng=rng)
        rejected += found.p(0.5) < 0.05
    assert rejected / 200 < 0.09


def test_the_gaps_interval_agrees_with_its_p(rng):
    x = rng.uniform(0.5, 1.1, size=(8, 5))
    found = optimality_gap_inference(x, n_resamples=1999, rng=rng)
    assert found.effect == optimality_gap(x)
    assert found.p(found.interval().low) == pytest.approx(0.05, abs=0.003)


def test_pieces_and_generators_do_not_matter(monkeypatch):
    x = np.random.default_rng(1).normal(size=(4, 3))
    runs = []
    for state in (0, 1):
        np.random.seed(state)  # noqa: NPY002
        found = interquartile_mean_inference(x, n_resamples=30, rng=np.random.default_rng(2))
        runs.append(found.replicates)
    np.testing.assert_array_equal(*runs)
    monkeypatch.setattr(seeds, "_CHUNK", 100)
    pieces = interquartile_mean_inference(x, n_resamples=31, rng=np.random.default_rng(2))
    assert len(pieces.replicates) == 31
    assert stats.ks_2samp(pieces.replicates, runs[0]).pvalue > 0.01


@pytest.mark.parametrize(
    "call",
    [
        lambda rng: interquartile_mean([]),
        lambda rng: interquartile_mean([[1.0, np.nan]]),
        lambda rng: probability_of_improvement([[1.0, 2.0]], [[1.0]]),
        lambda rng: probability_of_improvement([[1.0], [2.0]], [[1.0]], paired=True),
        lambda rng: interquartile_mean_inference([[1.0, 2.0]], rng=rng),
        lambda rng: interquartile_mean_inference([[1.0], [2.0]], unit="case", rng=rng),
        lambda rng: interquartile_mean_inference([[1.0], [2.0]], method="bca", rng=rng),
        lambda rng: interquartile_mean_inference([[1.0], [2.0]], method="studentised", rng=rng),
        lambda rng: interquartile_mean_inference([[1.0], [2.0]], n_resamples=0, rng=rng),
        lambda rng: bootstrap_seeds(lambda s: s, [[1.0], [2.0]], n_resamples=3, rng=rng),
        lambda rng: bootstrap_seeds(
            lambda s: np.full(len(s), np.nan), [[1.0], [2.0]], n_resamples=3, rng=rng
        ),
    ],
)
def test_tables_that_cannot_be_judged_are_refused(call, rng):
    with pytest.raises(DesignError):
        call(rng)
