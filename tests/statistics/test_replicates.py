import itertools
from collections import Counter

import numpy as np
import pytest
from scipy import stats

from common.statistics import replicates
from common.statistics.replicates import Bootstrap, draw_counts, draw_sums, exact_counts
from common.statistics.results import DesignError

METHODS = ["percentile", "basic", "bca", "studentised"]


@pytest.fixture
def skewed(rng):
    """A skewed estimate with replicates, their errors and a jackknife."""

    def make(method, n_resamples=9_999):
        x = rng.exponential(size=25)
        draws = x[rng.integers(0, 25, size=(n_resamples, 25))]
        return Bootstrap(
            x.mean(),
            draws.mean(axis=1),
            25,
            (x.sum() - x) / 24,
            method,
            error=x.std(ddof=1) / 5,
            errors=draws.std(axis=1, ddof=1) / 5,
        )

    return make


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_every_method_has_its_p_at_the_ends_of_its_interval(skewed, method, level):
    found = skewed(method)
    interval = found.interval(level)
    assert found.p(interval.low) == pytest.approx(1 - level, abs=0.001)
    assert found.p(interval.high) == pytest.approx(1 - level, abs=0.001)
    assert found.p_greater(interval.low) == pytest.approx((1 - level) / 2, abs=0.0005)
    assert found.p_less(interval.high) == pytest.approx((1 - level) / 2, abs=0.0005)


@pytest.mark.parametrize("method", METHODS)
def test_one_sided_p_rises_and_falls_with_the_null_value(skewed, method):
    found = skewed(method, n_resamples=499)
    nulls = found.effect + np.linspace(-40, 40, 801) * found.se
    greater = [found.p_greater(null) for null in nulls]
    less = [found.p_less(null) for null in nulls]
    assert np.all(np.diff(greater) >= 0)
    assert np.all(np.diff(less) <= 0)
    assert greater[-1] == less[0] == 1
    if method == "bca":  # the share 1 / 500 is corrected as any other
        assert 1 / 500 <= min(greater[0], less[-1]) <= max(greater[0], less[-1]) < 0.02
    else:
        assert greater[0] == less[-1] == 1 / 500


@pytest.mark.parametrize("method", METHODS)
def test_a_change_of_unit_and_sign_changes_nothing_else(skewed, method):
    found = skewed(method, n_resamples=199)
    turned = Bootstrap(
        -3 * found.effect,
        -3 * found.replicates,
        found.n_units,
        -3 * found.jackknife,
        method,
        error=3 * found.error,
        errors=3 * found.errors,
    )
    one, two = found.interval(0.9), turned.interval(0.9)
    assert two.low == pytest.approx(-3 * one.high)
    assert two.high == pytest.approx(-3 * one.low)
    null = found.effect - 0.7 * found.se
    assert turned.p_less(-3 * null) == pytest.approx(found.p_greater(null))
    assert turned.p(-3 * null) == pytest.approx(found.p(null))


def test_p_counts_the_data_as_one_more_replicate():
    found = Bootstrap(1.0, np.array([0.5, 1.0, 1.5]), 10)
    assert found.p_greater(0.0) == 1 / 4
    assert found.p_greater(0.5) == 2 / 4
    assert found.p_less(0.0) == 1.0
    assert found.p(0.0) == 2 / 4


def test_basic_mirrors_the_replicates_at_the_estimate():
    replicates = np.array([0.0, 1.0, 2.0, 3.0, 10.0])
    found = Bootstrap(2.0, replicates, 5, method="basic")
    interval = found.interval(0.5)  # quartiles 1 and 3 mirrored at 2
    assert (interval.low, interval.high) == (1.0, 3.0)
    assert found.p_greater(-6.0) == 2 / 6  # 2 * 2 + 6 = 10: one replicate reaches it


def test_studentised_by_hand():
    # t of the five replicates: -2, -1, 0, 1 and 4; the quartiles are -1 and 1.
    found = Bootstrap(
        10.0,
        np.array([9.0, 9.5, 10.0, 12.0, 14.0]),
        5,
        method="studentised",
        error=2.0,
        errors=np.array([0.5, 0.5, 1.0, 2.0, 1.0]),
    )
    interval = found.interval(0.5)
    assert (interval.low, interval.high) == (8.0, 12.0)
    assert found.statistic == 5.0
    assert found.p_greater(2.0) == 2 / 6  # t = 4, which one replicate reaches
    assert found.p_less(14.0) == 2 / 6  # t = -2


def test_replicates_without_spread_are_infinitely_many_errors_away():
    found = Bootstrap(
        1.0,
        np.array([0.0, 1.0, 1.5, 2.0]),
        3,
        method="studentised",
        error=1.0,
        errors=np.array([1.0, 0.0, 1.0, 0.0]),
    )
    interval = found.interval(0.9)  # t: -1, 0, 0.5 and infinity
    assert interval.low == -np.inf
    assert interval.high == pytest.approx(1.85)
    assert found.interval(0.2).low == pytest.approx(0.6)
    assert found.p_greater(-99.0) == 2 / 5


def test_an_estimate_without_spread_is_certain():
    found = Bootstrap(
        2.0, np.full(9, 2.0), 3, np.full(3, 2.0), "studentised", error=0.0, errors=np.zeros(9)
    )
    interval = found.interval()
    assert (interval.low, interval.high) == (2.0, 2.0)
    assert found.p(2.0) == 1
    assert found.p(1.9) == 2 / 10
    bca = Bootstrap(2.0, np.full(9, 2.0), 3, np.full(3, 2.0), "bca")
    assert (bca.interval().low, bca.p(2.0), bca.p(1.9)) == (2.0, 1, 2 / 10)


def test_bca_of_symmetric_replicates_with_symmetric_influence_is_the_percentile_interval():
    replicates = np.linspace(-1, 1, 2001)
    jackknife = np.array([-1.0, 0.0, 1.0])
    bca = Bootstrap(0.0, replicates, 3, jackknife, "bca")
    percentile = Bootstrap(0.0, replicates, 3)
    assert bca.interval().low == pytest.approx(percentile.interval().low, abs=2e-3)
    assert bca.interval().high == pytest.approx(percentile.interval().high, abs=2e-3)
    assert bca.p(0.7) == pytest.approx(percentile.p(0.7), abs=1e-9)


def test_bca_beyond_its_range_stops_at_the_last_replicate():
    influence = np.array([-9.0, *np.full(9, 1.0)])  # acceleration -0.16: the lower end bends
    found = Bootstrap(0.0, np.linspace(-1, 1, 101), 10, -influence, "bca")
    assert found.acceleration < -0.1
    for level in (1 - 1e-7, 1 - 1e-9, 1 - 1e-12):
        assert found.interval(level).low == -1
        assert found.interval(level).high <= 1
    turned = Bootstrap(0.0, np.linspace(-1, 1, 101), 10, influence, "bca")
    assert turned.p_greater(-1.5) == 1 / 102  # corrected it would be 0.0001, which none could see


def test_replicates_equal_to_the_estimate_count_half_in_the_bias():
    found = Bootstrap(1.0, np.array([0.0, 1.0, 1.0, 2.0, 3.0]), 3, np.array([0.0, 1.0, 3.0]), "bca")
    assert found.bias == pytest.approx(stats.norm.ppf(2 / 5))


def test_acceleration_is_that_of_scipy(rng):
    x = rng.exponential(size=12)
    found = Bootstrap(x.mean(), np.zeros(3), 12, (x.sum() - x) / 11, "bca")
    away = x - x.mean()
    assert found.acceleration == pytest.approx((away**3).sum() / (6 * (away**2).sum() ** 1.5))


def test_strata_are_centred_each_for_itself(rng):
    jackknife, strata = rng.exponential(size=11), np.repeat([0, 1], [4, 7])
    shifted = jackknife + np.where(strata == 1, 100.0, 0.0)
    one = Bootstrap(0.0, np.zeros(3), 11, jackknife, "bca", strata=strata)
    two = Bootstrap(0.0, np.zeros(3), 11, shifted, "bca", strata=strata)
    assert one.acceleration == pytest.approx(two.acceleration)
    assert one.acceleration != pytest.approx(
        Bootstrap(0.0, np.zeros(3), 11, shifted, "bca").acceleration
    )


@pytest.mark.parametrize("method", METHODS)
def test_replicates_with_times_are_replicates_written_that_often(rng, method):
    values, errors = rng.normal(size=20), rng.uniform(0.5, 2, size=20)
    times = rng.integers(1, 9, size=20)
    jackknife = rng.normal(size=6)
    short = Bootstrap(
        0.1, values, 6, jackknife, method, error=1.1, errors=errors, times=times.astype(np.int64)
    )
    many = np.repeat(values, times), np.repeat(errors, times)
    long = Bootstrap(0.1, many[0], 6, jackknife, method, error=1.1, errors=many[1])
    assert short.se == pytest.approx(long.se)
    for level in (0.5, 0.9, 0.95):
        assert short.interval(level).low == pytest.approx(long.interval(level).low)
        assert short.interval(level).high == pytest.approx(long.interval(level).high)
    for null in (-1.0, 0.0, float(values[3])):
        assert short.p_greater(null) == pytest.approx(long.p_greater(null))
        assert short.p(null) == pytest.approx(long.p(null))


def test_quantiles_are_those_of_numpy(rng):
    values = rng.normal(size=997)
    interval = Bootstrap(0.0, values, 30).interval(0.93)
    low, high = np.quantile(values, [0.035, 0.965])
    assert interval.low == pytest.approx(low, rel=1e-12)
    assert interval.high == pytest.approx(high, rel=1e-12)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"method": "bca"}, "`jackknife` must be given"),
        ({"method": "studentised"}, "must be given for 'studentised'"),
        ({"method": "studentized"}, "must be one of percentile"),
    ],
)
def test_what_a_method_lacks_is_said(arguments, match):
    with pytest.raises(DesignError, match=match):
        Bootstrap(0.0, np.arange(5.0), 5, **arguments).interval()


@pytest.mark.parametrize("n_units", [1, 2, 7, 255, 256, 300, 70_000])
def test_all_units_are_drawn_equally_often(n_units):
    n_resamples = max(3, 200_000 // n_units)
    rng = np.random.default_rng(n_units)
    counts = np.concatenate([*draw_counts(n_units, n_resamples, rng)])
    assert counts.shape == (n_resamples, n_units)
    assert (counts.sum(axis=1) == n_units).all()
    p = stats.chisquare(counts.sum(axis=0)).pvalue if n_units > 1 else 0.5
    assert 1e-4 < p < 1 - 1e-4


def test_draw_counts_follow_the_multinomial_law():
    counts = np.concatenate([*draw_counts(3, 27_000, np.random.default_rng(1))])
    seen = Counter(map(tuple, counts.astype(int)))
    listed, times = exact_counts(3)
    observed = [seen[tuple(row)] for row in listed]
    assert sum(observed) == 27_000
    assert stats.chisquare(observed, 27_000 * times / 27).pvalue > 1e-3


@pytest.mark.parametrize("n_units", [1, 2, 3, 4, 5])
def test_exact_counts_are_all_draws_counted(n_units):
    draws = itertools.product(range(n_units), repeat=n_units)
    naive = Counter(tuple(np.bincount(draw, minlength=n_units)) for draw in draws)
    counts, times = exact_counts(n_units)
    assert dict(zip(map(tuple, counts), times, strict=True)) == naive


def test_ten_units_are_the_most_that_are_listed():
    counts, times = exact_counts(10)
    assert (len(counts), times.sum()) == (92_378, 10**10)
    for n_units in (0, 11):
        with pytest.raises(DesignError, match="must be 1 to 10"):
            exact_counts(n_units)


def test_drawing_in_pieces_keeps_the_number_of_replicates(monkeypatch):
    monkeypatch.setattr(replicates, "CHUNK", 70)
    sums = draw_sums(np.eye(20), 11, np.random.default_rng(0))
    assert sums.shape == (11, 20)
    assert (sums.sum(axis=1) == 20).all()
    assert draw_sums(np.eye(4), 0, np.random.default_rng(0)).shape == (0, 4)
