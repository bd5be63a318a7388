"""Units that all show the same value."""

import math

import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from common.statistics.results import DesignError, equivalence_p, outside_p
from common.statistics.unvaried import Unvaried


@pytest.mark.parametrize("n", [1, 5, 60])
def test_right_answers_alone_give_the_exact_binomial_bounds(n):
    low, _ = proportion_confint(n, n, method="beta")
    all_right = Unvaried(1.0, n, 0.0, 1.0)
    assert all_right.interval().low == pytest.approx(low)
    assert all_right.interval().high == 1.0
    assert all_right.p_greater(0.9) == pytest.approx(stats.binom.sf(n - 1, n, 0.9))
    assert all_right.p_less(0.9) == 1.0


def test_interval_and_tests_say_the_same():
    found = Unvaried(0.1, 30, -0.5, 0.8)
    span = found.interval(0.95)
    assert found.p_greater(span.low) == pytest.approx(0.025)
    assert found.p_less(span.high) == pytest.approx(0.025)
    assert found.p(span.low) == pytest.approx(0.05)
    assert found.p(0.1) == 1.0
    assert (found.se, found.df, found.statistic) == (0.0, 29.0, 0.1)


def test_the_bound_is_attained_by_the_worst_law(rng):
    # all units show 0 but a few, which show the far limit
    n, few = 40, 0.05
    unvaried = (rng.random((20_000, n)) >= few).all(axis=1)
    assert unvaried.mean() == pytest.approx(Unvaried(0.0, n, -1.0, 1.0).p_greater(-few), abs=0.01)


def test_equality_needs_as_many_units_as_the_margin_is_small():
    needed = math.ceil(math.log(0.05) / math.log(0.98))
    assert equivalence_p(Unvaried(0.0, needed, -1.0, 1.0), -0.02, 0.02) < 0.05
    assert equivalence_p(Unvaried(0.0, needed - 1, -1.0, 1.0), -0.02, 0.02) > 0.05
    assert outside_p(Unvaried(0.0, needed, -1.0, 1.0), -0.02, 0.02) == 1.0


def test_without_limits_nothing_is_known():
    found = Unvaried(3.0, 1000, -math.inf, math.inf)
    assert (found.p(), found.p_greater(-9.0), found.p_less(9.0)) == (1.0, 1.0, 1.0)


def test_a_mean_beyond_the_limits_is_impossible():
    assert Unvaried(0.5, 3, 0.0, 1.0).p_greater(-0.1) == 0.0
    assert Unvaried(0.0, 3, 0.0, 1.0).p_greater(-0.1) == 0.0


@pytest.mark.parametrize(("effect", "n"), [(0.5, 0), (1.5, 3)])
def test_impossible_samples_are_refused(effect, n):
    with pytest.raises(DesignError, match="Check the scores"):
        Unvaried(effect, n, 0.0, 1.0)
