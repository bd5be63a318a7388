import numpy as np
import pytest

from common.statistics.replicates import Bootstrap
from common.statistics.results import DesignError


def test_p_and_percentile_interval_agree(rng):
    found = Bootstrap(0.3, rng.normal(0.3, 0.2, 9_999), 50)
    interval = found.interval(0.95)
    assert found.p(interval.low) == pytest.approx(0.05, abs=0.001)
    assert found.p(interval.high) == pytest.approx(0.05, abs=0.001)


def test_p_counts_the_data_as_one_more_replicate():
    found = Bootstrap(1.0, np.array([0.5, 1.0, 1.5]), 10)
    assert found.p_greater(0.0) == 1 / 4
    assert found.p_greater(0.5) == 2 / 4
    assert found.p_less(0.0) == 1.0
    assert found.p(0.0) == 2 / 4


def test_bca_of_symmetric_replicates_with_symmetric_influence_is_the_percentile_interval():
    replicates = np.linspace(-1, 1, 2001)
    jackknife = np.array([-1.0, 0.0, 1.0])
    bca = Bootstrap(0.0, replicates, 3, jackknife, "bca").interval()
    percentile = Bootstrap(0.0, replicates, 3).interval()
    assert bca.low == pytest.approx(percentile.low, abs=2e-3)
    assert bca.high == pytest.approx(percentile.high, abs=2e-3)


def test_bca_without_a_jackknife_is_refused():
    with pytest.raises(DesignError, match="`jackknife` must be given"):
        Bootstrap(0.0, np.arange(5.0), 5, method="bca").interval()
