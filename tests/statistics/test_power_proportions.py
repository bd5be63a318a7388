import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from common.statistics import power_proportions as proportions, power_rates as rates
from common.statistics.mcnemar import PairedCounts, mcnemar
from common.statistics.power_clusters import score_plan
from common.statistics.proportions import mcnemar_clustered
from common.statistics.results import DesignError

SIZES = [3, 5, 9, 2, 7, 12, 4, 4, 6, 8, 3, 5, 20, 1, 6]


def test_discordance_lies_between_shared_and_separate_errors():
    bounds = proportions.discordance_bounds(0.9, 0.8)
    assert bounds.low < proportions.independent_discordance(0.9, 0.8) < bounds.high
    assert proportions.discordance_bounds(1.0, 1.0).high == 0.0
    assert proportions.discordance_bounds(0.3, 0.2).high == pytest.approx(0.5)


@pytest.mark.parametrize("method", ["exact", "mid-p", "asymptotic"])
def test_counts_that_reject_are_those_of_the_test(method):
    total = np.arange(0, 41)
    critical = proportions._critical_counts(total, 0.05, method)
    for d, most in zip(total.tolist(), critical.tolist(), strict=True):
        for c in (most, most + 1):
            if 0 <= c <= d / 2 and d > 0:
                first = np.repeat([1, 0], [d - int(c), int(c)])
                rejects = mcnemar(first, 1 - first, method=method).p <= 0.05 * (1 + 1e-12)
                assert rejects == (c == most)


def test_the_power_of_mcnemar_is_found_by_simulation(rng):
    counts = rng.multinomial(80, [0.225, 0.075, 0.7], size=20_000)
    critical = proportions._critical_counts(counts[:, :2].sum(axis=1), 0.05, "exact")
    found = np.mean(counts[:, 1] <= critical)
    planned = proportions.mcnemar_power(0.15, discordance=0.3, n=80)
    assert planned == pytest.approx(found, abs=0.011)


def test_power_does_not_depend_on_which_method_is_better():
    at = {"discordance": 0.3, "n": 60}
    for effect in (0.1, 0.3):
        better, worse = (proportions.mcnemar_power(sign * effect, **at) for sign in (1, -1))
        assert better == pytest.approx(worse)


def test_the_asymptotic_test_comes_close_to_the_textbook_formula_in_large_samples():
    effect, discordance, n = 0.03, 0.1, 1500
    needed = stats.norm.isf(0.025) * math.sqrt(discordance) - effect * math.sqrt(n)
    textbook = stats.norm.sf(needed / math.sqrt(discordance - effect**2))
    found = proportions.mcnemar_power(effect, discordance=discordance, n=n, method="asymptotic")
    assert found == pytest.approx(textbook, abs=0.005)


def test_the_smallest_difference_has_the_power_and_needs_discordant_cases():
    effect = proportions.mcnemar_effect(discordance=0.3, n=100)
    found = proportions.mcnemar_power(effect, discordance=0.3, n=100)
    assert found == pytest.approx(0.8, abs=1e-6)
    assert proportions.mcnemar_effect(discordance=0.05, n=60) == math.inf


def test_the_power_of_paired_equivalence_is_that_of_the_test(rng):
    n, effect, discordance = 150, 0.01, 0.2
    p = [(discordance + effect) / 2, (discordance - effect) / 2, 1 - discordance]
    counts = rng.multinomial(n, p, size=20_000)
    tables, times = np.unique(counts, axis=0, return_counts=True)
    shown = [
        max(test.p_greater(-0.12), test.p_less(0.12)) <= 0.05
        for test in (PairedCounts(int(b), int(c), n) for b, c, _ in tables)
    ]
    planned = proportions.mcnemar_margin_power(
        effect, discordance=discordance, n=n, low=-0.12, high=0.12
    )
    assert planned == pytest.approx(times[shown].sum() / 20_000, abs=0.01)


def test_a_one_sided_margin_is_easier_to_show_than_two():
    at = {"discordance": 0.2, "n": 150}
    one = proportions.mcnemar_margin_power(0.0, low=-0.1, high=math.inf, **at)
    two = proportions.mcnemar_margin_power(0.0, low=-0.1, high=0.1, **at)
    other = proportions.mcnemar_margin_power(0.0, low=-math.inf, high=0.1, **at)
    assert two < one == pytest.approx(other)


def test_simulated_clusters_have_the_discordance_the_effect_and_the_correlation(rng):
    sizes = np.full(10, 6.0)
    for correlation in (0.0, 0.3, 1.0):
        sums = proportions._sums(rng, sizes, np.array([0.25, 0.15, 0.6]), correlation, 20_000)
        variance = 6 * (0.4 - 0.1**2) * (1 + 5 * correlation)
        assert sums.mean() / 6 == pytest.approx(0.1, abs=0.005)
        assert sums.var() == pytest.approx(variance, rel=0.03)


@pytest.mark.parametrize("method", ["pooled", "obuchowski", "yang", "durkalski"])
def test_the_simulated_statistic_is_that_of_the_clustered_test(rng, method):
    sizes = np.array([2, 3, 4, 6])
    code = np.repeat(np.arange(4), sizes)
    first, second = rng.integers(0, 2, size=(2, 15))
    sums = np.array([[(first - second)[code == g].sum() for g in range(4)]], dtype=float)
    z = proportions._clustered_z(sums, sizes.astype(float), method)
    found = mcnemar_clustered(first, second, code, method=method).statistic
    assert z[0] == pytest.approx(found)


def test_simulated_power_agrees_with_the_normal_plan_where_many_cases_are_discordant(rng):
    sizes = np.repeat(20, 40)
    effect = 0.09
    sd = math.sqrt(0.5 - effect**2)
    planned = score_plan(sd, correlation=0.1, sizes=sizes).power(effect)
    found = proportions.mcnemar_clustered_power(
        effect, discordance=0.5, correlation=0.1, sizes=sizes, rng=rng, both_sides=True
    )
    assert found == pytest.approx(planned, abs=0.025)


def test_independent_cases_have_the_power_of_the_plain_test(rng):
    found = proportions.mcnemar_clustered_power(
        0.1, discordance=0.2, correlation=0.0, sizes=[1] * 120, rng=rng
    )
    plain = proportions.mcnemar_power(0.1, discordance=0.2, n=120, method="asymptotic")
    assert found == pytest.approx(plain, abs=0.015)


def test_clustered_power_falls_with_the_correlation_and_holds_its_level(rng):
    at = {"discordance": 0.3, "sizes": SIZES * 2, "studies": 4000}
    found = [
        proportions.mcnemar_clustered_power(0.1, correlation=c, rng=rng, **at)
        for c in (0.0, 0.3, 0.9)
    ]
    assert found == sorted(found, reverse=True)
    for method in ("pooled", "sign_flip"):
        level = proportions.mcnemar_clustered_power(
            0.0,
            discordance=0.3,
            correlation=0.2,
            sizes=SIZES,
            rng=rng,
            method=method,
            both_sides=True,
            studies=1000,
        )
        assert level < 0.07


def test_the_same_generator_simulates_the_same_power():
    at = {"discordance": 0.3, "correlation": 0.2, "sizes": SIZES, "studies": 500}
    found = [
        proportions.mcnemar_clustered_power(0.1, rng=np.random.default_rng(1), **at)
        for _ in range(2)
    ]
    assert found[0] == found[1]


@pytest.mark.parametrize(("method", "name"), [("exact", "beta"), ("wilson", "wilson")])
def test_a_rate_is_told_from_a_value_where_its_interval_leaves_it_out(method, name):
    for n, value in ((12, 0.5), (40, 0.9), (33, 0.13)):
        rejects = rates._rejects(n, value, 0.05, method)
        low, high = proportion_confint(np.arange(n + 1), n, alpha=0.05, method=name)
        assert rejects.tolist() == ((value < low) | (value > high)).tolist()


def test_rates_that_are_told_apart_have_the_power_asked_for():
    for method in ("exact", "wilson"):
        found = rates.rate_detected(0.7, n=80, method=method)
        for rate in (found.low, found.high):
            assert rates.rate_power(rate, 0.7, n=80, method=method) == pytest.approx(0.8, abs=1e-6)
        assert found.low < 0.7 < found.high
    assert math.isnan(rates.rate_detected(0.9, n=10).high)


def test_two_rates_without_spread_are_told_apart_for_certain():
    assert rates.two_rates_power(1.0, 0.0, n_first=30, n_second=20) == 1.0
    assert rates.two_rates_power(0.4, 0.4, n_first=30, n_second=20) == pytest.approx(0.025)


@pytest.mark.parametrize(
    "call",
    [
        lambda: proportions.discordance_bounds(1.2, 0.5),
        lambda: proportions.mcnemar_power(0.3, discordance=0.2, n=50),
        lambda: proportions.mcnemar_power(0.1, discordance=0.0, n=50),
        lambda: proportions.mcnemar_power(0.1, discordance=0.2, n=0),
        lambda: proportions.mcnemar_margin_power(0.0, discordance=0.2, n=9, low=0.1, high=0.2),
        lambda: proportions.mcnemar_clustered_power(
            0.1, discordance=0.2, correlation=1.5, sizes=[3, 3], rng=np.random.default_rng(0)
        ),
        lambda: rates.rate_power(0.5, 1.0, n=10),
        lambda: rates.rate_power(0.5, 0.5, n=0),
        lambda: rates.two_rates_power(0.5, 1.5, n_first=10, n_second=10),
        lambda: rates.two_rates_power(0.5, 0.6, n_first=0, n_second=10),
    ],
)
def test_impossible_designs_are_refused(call):
    with pytest.raises(DesignError):
        call()
