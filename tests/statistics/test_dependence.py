import numpy as np
import pytest
import statsmodels.formula.api as smf
from pandas import DataFrame

from common.statistics.dependence import design_effect, effective_n, icc
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


@pytest.mark.parametrize(
    "call",
    [
        lambda: icc([1, 2], ["a", "a"]),
        lambda: icc([1, 2], ["a", "b"]),
        lambda: icc([1, np.nan, 2], ["a", "a", "b"]),
        lambda: effective_n(10, 0),
    ],
)
def test_designs_without_repeats_are_refused(call):
    with pytest.raises(DesignError):
        call()
