import numpy as np
import pytest
from scipy import stats

from common.statistics.results import DesignError
from common.statistics.unpaired import cluster_means, kruskal, welch


def test_welch_agrees_with_scipy(rng):
    a, b = rng.normal(0.5, 1, 9), rng.normal(0, 3, 14)
    found, scipys = welch(a, b), stats.ttest_ind(a, b, equal_var=False)
    assert found.p == pytest.approx(scipys.pvalue)
    assert found.low == pytest.approx(scipys.confidence_interval().low)
    assert welch(b, a).effect == pytest.approx(-found.effect)


def test_kruskal_agrees_with_scipy_and_gives_the_spread_of_means(rng):
    values, group = rng.normal(size=40), np.repeat(["a", "b", "c", "d"], 10)
    parts = [values[group == name] for name in "abcd"]
    found = kruskal(values, group)
    assert found.p == pytest.approx(stats.kruskal(*parts).pvalue)
    means = [part.mean() for part in parts]
    assert found.spread == pytest.approx(max(means) - min(means))


def test_equal_values_give_kruskal_p_one():
    assert kruskal([1, 1, 1, 1], ["a", "a", "b", "b"]).p == 1


def test_cluster_means_agree_with_a_loop(rng):
    values, cluster = rng.normal(size=30), rng.integers(0, 6, 30)
    expected = [values[cluster == one].mean() for one in np.unique(cluster)]
    np.testing.assert_allclose(cluster_means(values, cluster), expected)


@pytest.mark.parametrize(
    "call", [lambda: welch([1.0], [1.0, 2.0]), lambda: kruskal([1.0, 2.0], ["a", "a"])]
)
def test_groups_that_are_too_small_are_refused(call):
    with pytest.raises(DesignError):
        call()
