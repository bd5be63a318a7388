import numpy as np
import pytest
import statsmodels.formula.api as smf
from pandas import DataFrame
from scipy import stats

from common.statistics.dependence import design_effect, effective_n, icc, icc_interval
from common.statistics.results import DesignError


def test_icc_agrees_with_the_mean_squares_of_statsmodels(rng):
    cluster = np.repeat(np.arange(8), 5)
    y = rng.normal(size=40) + rng.normal(size=8)[cluster]
    table = DataFrame({"y": y, "g": cluster.astype(str)})
    fit = smf.ols("y ~ g", table).fit()
    between, within = fit.mse_model, fit.mse_resid
    assert icc(y, cluster) == pytest.approx((between - within) / (between + 4 * within))


def test_icc_recovers_the_share_of_variance_between_unequal_clusters(rng):
    sizes = rng.integers(2, 20, 400)
    cluster = np.repeat(np.arange(400), sizes)
    y = np.sqrt(0.45) * rng.normal(size=400)[cluster] + np.sqrt(0.55) * rng.normal(
        size=len(cluster)
    )
    assert icc(y, cluster) == pytest.approx(0.45, abs=0.05)
    assert icc(rng.permutation(y), cluster) == pytest.approx(0, abs=0.03)


def test_icc_does_not_change_with_scale_order_or_names(rng):
    cluster = np.repeat(np.arange(10), 4)
    y = rng.normal(size=40) + cluster
    order = rng.permutation(40)
    expected = icc(y, cluster)
    assert icc(3 * y + 7, cluster) == pytest.approx(expected)
    assert icc(y[order], np.array([f"p{c}" for c in cluster])[order]) == pytest.approx(expected)


def test_clusters_less_alike_than_strangers_have_a_negative_icc():
    assert icc([0, 1, 0, 1], ["a", "a", "b", "b"]) == pytest.approx(-1.0)


def test_equal_values_have_no_icc():
    assert np.isnan(icc([1, 1, 1, 1], ["a", "a", "b", "b"]))


def test_the_design_effect_is_the_variance_inflation_of_the_mean(rng):
    sizes = np.array([2, 8, 5, 15])
    cluster = np.repeat(np.arange(4), sizes)
    same = cluster[:, None] == cluster[None, :]
    covariance = np.where(same, 0.3, 0.0) + 0.7 * np.eye(30)
    inflation = covariance.sum() / 30**2 / (1 / 30)
    assert design_effect(0.3, sizes) == pytest.approx(inflation)
    assert effective_n(30, inflation) == pytest.approx(30 / inflation)


def _alike(rng, correlation, sizes):
    cluster = np.repeat(np.arange(len(sizes)), sizes)
    own = np.sqrt(1 - correlation) * rng.normal(size=len(cluster))
    return np.sqrt(correlation) * rng.normal(size=len(sizes))[cluster] + own, cluster


def test_the_exact_interval_covers_the_true_correlation_as_often_as_it_says(rng):
    sizes = [1, 2, 3, 5, 8, 13, 2]
    held = []
    for _ in range(300):
        interval = icc_interval(*_alike(rng, 0.4, sizes), level=0.9)
        held.append(interval.low <= 0.4 <= interval.high)
    assert np.mean(held) == pytest.approx(0.9, abs=0.04)


def test_the_exact_interval_ends_where_a_simulated_correlation_is_extreme(rng):
    # the mean squares of equal clusters: F (1 - r) / (1 + (m - 1) r) follows the F law
    y, cluster = _alike(rng, 0.5, [6] * 9)
    means = y.reshape(9, 6).mean(axis=1)
    ratio = 6 * means.var(ddof=1) / (((y - means[cluster]) ** 2).sum() / 45)
    interval = icc_interval(y, cluster)
    for end, tail in ((interval.low, 0.975), (interval.high, 0.025)):
        reached = ratio * (1 - end) / (1 + 5 * end)
        assert stats.f.cdf(reached, 8, 45) == pytest.approx(tail)


def test_the_jackknife_of_normal_scores_comes_close_to_the_exact_interval(rng):
    y, cluster = _alike(rng, 0.4, rng.integers(2, 12, 300))
    exact, rough = (icc_interval(y, cluster, method=method) for method in ("exact", "jackknife"))
    assert rough.low == pytest.approx(exact.low, abs=0.03)
    assert rough.high == pytest.approx(exact.high, abs=0.03)


def test_the_jackknife_leaves_out_one_cluster_at_a_time(rng):
    y, cluster = _alike(rng, 0.4, [3, 5, 2, 6, 4, 3, 7])
    typical = (30 - (np.bincount(cluster) ** 2).sum() / 30) / 6

    def scaled(r):
        return np.log((1 + (typical - 1) * r) / (1 - r)) / 2

    left = np.array([scaled(icc(y[cluster != c], cluster[cluster != c])) for c in range(7)])
    half = stats.t.ppf(0.975, 6) * np.sqrt(6 / 7 * ((left - left.mean()) ** 2).sum())
    found = icc_interval(y, cluster, method="jackknife")
    assert scaled(found.low) == pytest.approx(scaled(icc(y, cluster)) - half)
    assert scaled(found.high) == pytest.approx(scaled(icc(y, cluster)) + half)


def test_the_jackknife_serves_outcomes_right_or_wrong_of_which_one_half_is_right(rng):
    held = []
    for _ in range(300):
        cluster = np.repeat(np.arange(40), rng.integers(2, 15, 40))
        rate = rng.beta(0.5 * (1 / 0.3 - 1), 0.5 * (1 / 0.3 - 1), 40)  # correlation 0.3
        right = (rng.random(len(cluster)) < rate[cluster]).astype(float)
        interval = icc_interval(right, cluster, method="jackknife")
        held.append(interval.low <= 0.3 <= interval.high)
    assert 0.91 <= np.mean(held) <= 0.985


@pytest.mark.parametrize("method", ["exact", "jackknife"])
def test_the_interval_does_not_change_with_scale_order_or_names(rng, method):
    y, cluster = _alike(rng, 0.5, [3, 4, 2, 6, 5])
    order = rng.permutation(len(y))
    one = icc_interval(y, cluster, method=method)
    other = icc_interval(7 - 2 * y[order], [f"p{9 - c}" for c in cluster[order]], method=method)
    assert (one.low, one.high) == pytest.approx((other.low, other.high))
    assert one.low < icc(y, cluster) < one.high


def test_equal_values_have_no_interval_and_equal_clusters_a_point():
    assert np.isnan(icc_interval([1, 1, 1], ["a", "a", "b"]).low)
    found = icc_interval([1, 1, 0, 0], ["a", "a", "b", "b"])
    assert (found.low, found.high) == (1, 1)


@pytest.mark.parametrize(
    "call",
    [
        lambda: icc([1, 2], ["a", "a"]),
        lambda: icc([1, 2], ["a", "b"]),
        lambda: icc([1, np.nan, 2], ["a", "a", "b"]),
        lambda: icc_interval([1, 2], ["a", "b"]),
        lambda: icc_interval([1, 2, 3], ["a", "a", "b"], method="jackknife"),
        lambda: icc_interval([1, 1, 0, 0, 1, 1], [1, 1, 2, 2, 3, 3], method="jackknife"),
        lambda: effective_n(10, 0),
    ],
)
def test_designs_without_repeats_are_refused(call):
    with pytest.raises(DesignError):
        call()
