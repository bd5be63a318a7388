import numpy as np
import pytest
from scipy import stats

from common.statistics.results import (
    DesignError,
    Interval,
    Student,
    cluster_codes,
    cluster_sums,
    equivalence_p,
    finite,
    outside_p,
)


def test_student_agrees_with_scipy_for_every_null_value(rng):
    x = rng.normal(0.3, 1, 12)
    inference = Student(x.mean(), x.std(ddof=1) / np.sqrt(12), 11)
    for null in (-0.5, 0.0, 0.7):
        assert inference.p(null) == pytest.approx(stats.ttest_1samp(x, null).pvalue)
        greater = stats.ttest_1samp(x, null, alternative="greater").pvalue
        assert inference.p_greater(null) == pytest.approx(greater)
        assert inference.p_less(null) == pytest.approx(1 - greater)
    interval = stats.ttest_1samp(x, 0).confidence_interval(0.9)
    assert inference.interval(0.9).low == pytest.approx(interval.low)
    assert inference.interval(0.9).high == pytest.approx(interval.high)


def test_an_interval_ends_where_the_two_sided_test_begins_to_reject():
    inference = Student(0.4, 0.2, 7)
    assert inference.p(inference.interval(0.95).low) == pytest.approx(0.05)
    assert inference.p(inference.interval(0.95).high) == pytest.approx(0.05)


def test_without_spread_only_an_effect_at_the_null_is_kept():
    assert Student(0.0, 0.0, 4).p() == 1.0
    assert Student(0.1, 0.0, 4).p() == 0.0
    assert Student(0.1, 0.0, 4).p_greater(0.2) == 1.0


def test_equivalence_takes_the_larger_one_sided_p_and_agrees_with_the_90_percent_interval():
    inference = Student(0.4, 0.2, 20)
    inner = inference.interval(0.90)
    assert equivalence_p(inference, -1, inner.high) == pytest.approx(0.05)
    assert equivalence_p(inference, inner.low, 10) == pytest.approx(0.05)
    assert equivalence_p(inference, -np.inf, 0.8) == pytest.approx(inference.p_less(0.8))


def test_an_effect_is_outside_where_the_90_percent_interval_leaves_the_bounds():
    inference = Student(0.4, 0.2, 20)
    inner = inference.interval(0.90)
    assert outside_p(inference, -1, inner.low) == pytest.approx(0.05)
    assert outside_p(inference, inner.high, 9) == pytest.approx(0.05)
    assert outside_p(inference, 0.3, np.inf) == pytest.approx(inference.p_less(0.3))
    assert outside_p(inference, -np.inf, np.inf) == 1.0


def test_at_a_bound_one_of_twenty_studies_is_called_outside(rng):
    estimates = rng.normal(0.02, 0.01, 4000)
    called = [outside_p(Student(each, 0.01, np.inf), -0.02, 0.02) < 0.05 for each in estimates]
    assert 0.038 < np.mean(called) < 0.062


def test_an_interval_that_touches_the_bound_is_neither_inside_nor_outside():
    interval = Interval(0.0, 1.0, 0.95)
    assert not interval.inside(0.0, 2.0)
    assert not interval.outside(1.0, 2.0)
    assert interval.outside(1.1, 2.0)


def test_cluster_sums_agree_with_a_loop(rng):
    values, cluster = rng.normal(size=(50, 3)), rng.integers(0, 7, 50)
    codes, n = cluster_codes(cluster, 50)
    naive = [values[cluster == name].sum(axis=0) for name in np.unique(cluster)]
    np.testing.assert_allclose(cluster_sums(values, codes, n), naive)


@pytest.mark.parametrize("bad", [[np.nan, 1.0], [np.inf, 1.0], [], [[1.0]]])
def test_unusable_arrays_are_refused_by_name(bad):
    with pytest.raises(DesignError, match="`scores` must"):
        finite("scores", bad)


def test_a_missing_cluster_name_is_refused():
    with pytest.raises(DesignError, match="`cluster` must name one cluster a case"):
        cluster_codes(["a"], 2)
