"""Bootstrap intervals and seeds against values made in R (tests/references/bootstrap.R)."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from common.statistics import bootstrap
from common.statistics.bootstrap import bootstrap_counts, cluster_bootstrap, exact_clusters
from common.statistics.seeds import (
    interquartile_mean,
    optimality_gap,
    probability_of_improvement,
)

FOLDER = Path(__file__).resolve().parent.parent / "references"
DATA = json.loads((FOLDER / "bootstrap_data.json").read_text())
REFERENCE = json.loads((FOLDER / "bootstrap.json").read_text())
CLOSE = {"rel": 1e-8, "abs": 1e-10}
LEVELS = {"level90": 0.90, "level95": 0.95}


@pytest.fixture
def with_draws(monkeypatch):
    """Bootstrap with the draws that R made."""

    def run(name, counts, method):
        data = DATA[name]
        stratum = np.array(data.get("stratum", np.zeros(len(data["values"]))))
        clusters, first = np.unique(data["cluster"], return_index=True)
        of_cluster = stratum[first]
        pieces = [np.array(counts, float)[:, of_cluster == one] for one in np.unique(of_cluster)]
        assert len(clusters) == sum(piece.shape[1] for piece in pieces)
        drawn = iter(pieces)
        monkeypatch.setattr(bootstrap, "draw_sums", lambda sums, n, rng: next(drawn) @ sums)
        return cluster_bootstrap(
            data["values"],
            cluster=data["cluster"],
            fold=stratum,
            n_resamples=len(counts),
            rng=np.random.default_rng(0),
            method=method,
        )

    return run


def _finite(interval):
    """Read the infinite ends, which JSON does not hold."""
    low, high = interval
    return (-np.inf if low is None else low), (np.inf if high is None else high)


def _boot_quantile(replicates, shares):
    """Interpolate as boot's norm.inter does: linearly in the normal quantile of the rank."""
    ranked, n = np.sort(replicates), len(replicates)
    found = []
    for share in shares:
        rank = (n + 1) * share
        k = int(np.trunc(rank + 1e-10))
        if k == 0 or k == n or abs(rank - k) < 1e-9:
            found.append(ranked[min(max(k, 1), n) - 1])
            continue
        z = stats.norm.ppf([share, k / (n + 1), (k + 1) / (n + 1)])
        part = (z[0] - z[1]) / (z[2] - z[1])
        found.append(ranked[k - 1] + part * (ranked[k] - ranked[k - 1]))
    return np.array(found)


@pytest.mark.parametrize("name", list(REFERENCE["clusters"]))
class TestClusters:
    def test_replicates_and_their_standard_errors_are_those_of_r(self, name, with_draws):
        expected = REFERENCE["clusters"][name]
        found = with_draws(name, expected["counts"], "studentised")
        assert found.effect == pytest.approx(expected["effect"], **CLOSE)
        assert found.error == pytest.approx(expected["error"], **CLOSE)
        np.testing.assert_allclose(found.replicates, expected["t"], rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(found.errors, expected["errors"], rtol=1e-8, atol=1e-8)

    @pytest.mark.parametrize("level", list(LEVELS))
    @pytest.mark.parametrize("method", ["percentile", "basic", "bca", "studentised"])
    def test_intervals_are_those_of_r_by_ordinary_quantiles(self, name, with_draws, level, method):
        expected = REFERENCE["clusters"][name]
        interval = with_draws(name, expected["counts"], method).interval(LEVELS[level])
        low, high = _finite(expected[level][method])
        assert interval.low == pytest.approx(low, **CLOSE)
        assert interval.high == pytest.approx(high, **CLOSE)

    @pytest.mark.parametrize("level", list(LEVELS))
    def test_intervals_by_boots_own_quantiles_are_those_of_boot(self, name, with_draws, level):
        expected = REFERENCE["clusters"][name]
        tails = np.array([(1 - LEVELS[level]) / 2, (1 + LEVELS[level]) / 2])
        found = with_draws(name, expected["counts"], "studentised")
        t = found.replicates
        np.testing.assert_allclose(
            _boot_quantile(t, tails), expected[level]["percentile_boot"], rtol=1e-8
        )
        np.testing.assert_allclose(
            2 * found.effect - _boot_quantile(t, tails)[::-1],
            expected[level]["basic_boot"],
            rtol=1e-8,
        )
        with np.errstate(divide="ignore"):
            pivots = (t - found.effect) / np.array(expected["errors"])
        pivots = pivots[np.isfinite(pivots)]  # boot leaves out replicates without spread
        np.testing.assert_allclose(
            found.effect - found.error * _boot_quantile(pivots, tails)[::-1],
            expected[level]["studentised_boot"],
            rtol=1e-8,
        )

    @pytest.mark.parametrize("level", list(LEVELS))
    def test_bca_takes_its_bias_acceleration_and_levels_from_the_same_formulas(
        self, name, with_draws, level
    ):
        expected = REFERENCE["clusters"][name]
        found = with_draws(name, expected["counts"], "bca")
        assert found.bias == pytest.approx(expected["z0"], **CLOSE)
        assert found.acceleration == pytest.approx(expected["a"], **CLOSE)
        levels = found.levels(LEVELS[level])
        np.testing.assert_allclose(levels, expected[level]["bca_levels"], rtol=1e-8)
        # boot counts replicates equal to the estimate as above it; without them it agrees.
        if expected["z0"] == expected["z0_strict"]:
            np.testing.assert_allclose(
                _boot_quantile(found.replicates, levels), expected[level]["bca_boot"], rtol=1e-8
            )

    def test_p_values_invert_the_intervals_as_in_r(self, name, with_draws):
        expected = REFERENCE["clusters"][name]
        null = expected["null"]
        bca = with_draws(name, expected["counts"], "bca")
        assert bca.p_greater(null) == pytest.approx(expected["p_greater_bca"], **CLOSE)
        assert bca.p_less(null) == pytest.approx(expected["p_less_bca"], **CLOSE)
        basic = with_draws(name, expected["counts"], "basic")
        assert basic.p_greater(null) == pytest.approx(expected["p_greater_basic"], **CLOSE)
        studentised = with_draws(name, expected["counts"], "studentised")
        greater, less = expected["p_greater_studentised"], expected["p_less_studentised"]
        assert studentised.p_greater(null) == pytest.approx(greater, **CLOSE)
        assert studentised.p_less(null) == pytest.approx(less, **CLOSE)


def test_some_reference_has_no_replicate_equal_to_its_estimate():
    same = [each["z0"] == each["z0_strict"] for each in REFERENCE["clusters"].values()]
    assert sum(same) >= 2


def test_strata_enter_error_and_acceleration_as_in_r(with_draws):
    expected = REFERENCE["stratified"]
    bca = with_draws("stratified", expected["counts"], "bca")
    assert bca.effect == pytest.approx(expected["effect"], **CLOSE)
    assert bca.acceleration == pytest.approx(expected["a"], **CLOSE)
    np.testing.assert_allclose(bca.replicates, expected["t"], rtol=1e-8)
    studentised = with_draws("stratified", expected["counts"], "studentised")
    assert studentised.error == pytest.approx(expected["error"], **CLOSE)
    np.testing.assert_allclose(studentised.errors, expected["errors"], rtol=1e-8, atol=1e-8)
    percentile = with_draws("stratified", expected["counts"], "percentile").interval()
    np.testing.assert_allclose([percentile.low, percentile.high], expected["percentile"])


@pytest.mark.parametrize("name", list(REFERENCE["exact"]))
def test_listing_different_draws_with_their_counts_is_listing_all_draws(name):
    expected = REFERENCE["exact"][name]
    sums, sizes = np.array(expected["S"]), np.array(expected["N"], dtype=int)
    cluster = np.repeat(np.arange(len(sizes)), sizes)
    values = (sums / sizes)[cluster]
    found = exact_clusters(values, cluster=cluster, method="studentised")
    share = found.times / found.times.sum()
    assert found.times.sum() == expected["n"]
    assert share @ found.replicates == pytest.approx(expected["mean"], **CLOSE)
    assert found.se == pytest.approx(expected["sd"], **CLOSE)
    assert found.error == pytest.approx(expected["error"], **CLOSE)
    assert share @ found.errors == pytest.approx(expected["mean_error"], **CLOSE)
    percentile = exact_clusters(values, cluster=cluster)
    for level, key in ((0.95, "percentile"), (0.90, "percentile90")):
        interval = percentile.interval(level)
        assert [interval.low, interval.high] == pytest.approx(expected[key], **CLOSE)
    assert percentile.p_greater() == pytest.approx(expected["p_greater"], **CLOSE)
    by_counts = bootstrap_counts(
        lambda n: (n @ sums) / (n @ sizes), len(sums), exact=True, method="percentile"
    )
    np.testing.assert_allclose(by_counts.replicates, percentile.replicates)
    np.testing.assert_array_equal(by_counts.times, percentile.times)


@pytest.mark.parametrize("name", list(REFERENCE["seeds"]))
def test_seed_statistics_are_those_of_r(name):
    expected, x = REFERENCE["seeds"][name], np.array(DATA["seeds"][name])
    assert interquartile_mean(x) == pytest.approx(expected["interquartile_mean"], **CLOSE)
    assert optimality_gap(x, target=0.9) == pytest.approx(expected["optimality_gap"], **CLOSE)
    better = x[::-1] + 0.01
    assert probability_of_improvement(better, x) == pytest.approx(expected["improvement"], **CLOSE)
    itself = probability_of_improvement(x, x)
    assert itself == pytest.approx(expected["improvement_itself"], **CLOSE)
