import itertools

import numpy as np
import pytest
from scipy import stats

from common.statistics.proportions import (
    PairedCounts,
    clustered_score,
    discordant,
    mcnemar,
    mcnemar_clustered,
    mcnemar_clustered_pairs,
    paired_difference_interval,
    proportion_interval,
)
from common.statistics.results import DesignError


def _outcomes(rng, n, p=0.7):
    return (rng.random(n) < p).astype(float)


def test_discordant_cases_are_counted_like_a_loop(rng):
    a, b = _outcomes(rng, 80), _outcomes(rng, 80)
    first = sum(x == 1 and y == 0 for x, y in zip(a, b, strict=True))
    second = sum(x == 0 and y == 1 for x, y in zip(a, b, strict=True))
    assert discordant(a, b) == (first, second, 80)


@pytest.mark.parametrize(("b", "c"), [(17, 4), (5, 0), (3, 3), (1, 2)])
def test_exact_mcnemar_is_a_binomial_test_of_the_discordant_cases(b, c):
    first, second = [1] * b + [0] * c + [1], [0] * b + [1] * c + [1]
    assert mcnemar(first, second).p == pytest.approx(stats.binomtest(b, b + c).pvalue)


def test_mid_p_takes_off_half_the_probability_of_the_table():
    # 1 against 4: exact 2 (1 + 5) / 32 = 0.375; the table itself has 5 / 32
    first, second = [1] + [0] * 4, [0] + [1] * 4
    assert mcnemar(first, second, method="mid-p").p == pytest.approx(12 / 32 - 5 / 32)
    assert mcnemar([1, 0], [0, 1], method="mid-p").p == pytest.approx(1.0)


def test_asymptotic_mcnemar_is_the_squared_difference_over_the_sum():
    found = mcnemar([1] * 30 + [0] * 10, [0] * 30 + [1] * 10, method="asymptotic")
    assert found.statistic == pytest.approx(10.0)
    assert found.p == pytest.approx(stats.chi2.sf(10, 1))


@pytest.mark.parametrize("method", ["exact", "mid-p", "asymptotic"])
def test_no_discordant_case_gives_p_one(method):
    assert mcnemar([1, 0, 1], [1, 0, 1], method=method).p == 1


def test_clustered_mcnemar_agrees_with_a_loop_over_patients(rng):
    a, b, patient = _outcomes(rng, 90), _outcomes(rng, 90), rng.integers(0, 12, 90)
    s = [sum((a - b)[patient == one]) for one in range(12)]
    z = sum(s) / np.sqrt(sum(x * x for x in s))
    found = mcnemar_clustered(a, b, patient)
    assert found.statistic == pytest.approx(z)
    assert found.p == pytest.approx(2 * stats.norm.sf(abs(z)))
    assert found.effect == pytest.approx(a.mean() - b.mean())


def test_with_one_case_a_patient_clustered_mcnemar_is_the_plain_asymptotic_one(rng):
    a, b = _outcomes(rng, 60), _outcomes(rng, 60)
    plain = mcnemar(a, b, method="asymptotic")
    clustered = mcnemar_clustered(a, b, np.arange(60))
    assert clustered.statistic**2 == pytest.approx(plain.statistic)
    assert clustered.p == pytest.approx(plain.p)


def test_all_pairs_at_once_equal_the_pairs_one_by_one(rng):
    outcomes = np.stack([_outcomes(rng, 80) for _ in range(4)], axis=1)
    outcomes[:, 3] = outcomes[:, 0]
    patient = rng.integers(0, 9, 80)
    table = mcnemar_clustered_pairs(outcomes, patient)
    for row, (i, j) in zip(table.itertuples(), itertools.combinations(range(4), 2), strict=True):
        single = mcnemar_clustered(outcomes[:, i], outcomes[:, j], patient)
        assert (row.first, row.second) == (i, j)
        assert row.z == pytest.approx(single.statistic)
        assert row.p == pytest.approx(single.p)
        assert row.effect == pytest.approx(single.effect)


def test_the_score_interval_ends_where_the_test_begins_to_reject(rng):
    inference = clustered_score(rng.normal(0.2, 1, 80), rng.integers(0, 15, 80))
    interval = inference.interval(0.95)
    assert inference.p(interval.low) == pytest.approx(0.05)
    assert inference.p(interval.high) == pytest.approx(0.05)
    assert interval.low < inference.effect < interval.high


def test_three_patients_leave_the_score_interval_open():
    assert np.isinf(clustered_score([1.0, 2.0, 3.0], ["p", "q", "r"]).interval().high)


def test_swapping_arms_and_renaming_patients_keep_the_clustered_p(rng):
    a, b, patient = _outcomes(rng, 60), _outcomes(rng, 60), rng.integers(0, 10, 60)
    one = mcnemar_clustered(a, b, patient)
    other = mcnemar_clustered(b, a, np.array([f"p{9 - x}" for x in patient]))
    assert other.p == pytest.approx(one.p)
    assert other.effect == pytest.approx(-one.effect)
    assert other.low == pytest.approx(-one.high)


def test_clustered_mcnemar_keeps_its_level_where_the_plain_one_does_not(rng):
    patient = np.repeat(np.arange(50), 20)
    plain = clustered = 0
    for _ in range(300):
        shared, own = rng.normal(0, 2.3, 50), rng.normal(0, 1.3, (2, 50))
        p = 1 / (1 + np.exp(-(1.5 + shared + own)))
        a, b = (rng.random((2, 1000)) < p[:, patient]).astype(float)
        plain += mcnemar(a, b, method="asymptotic").p < 0.05
        clustered += mcnemar_clustered(a, b, patient).p < 0.05
    assert 0.02 <= clustered / 300 <= 0.085
    assert plain / 300 > 0.3


def test_the_paired_interval_covers_a_known_difference(rng):
    covered = 0
    for _ in range(400):
        b, c, _ = rng.multinomial(120, [0.15, 0.08, 0.77])
        interval = paired_difference_interval(int(b), int(c), 120)
        covered += interval.low <= 0.07 <= interval.high
    assert 0.92 <= covered / 400 <= 0.985


def test_paired_counts_are_exact_at_zero_and_turn_with_the_arms():
    counts = PairedCounts(12, 4, 100)
    assert counts.p() == pytest.approx(stats.binomtest(12, 16).pvalue)
    assert counts.p_greater() == pytest.approx(
        stats.binomtest(12, 16, alternative="greater").pvalue
    )
    assert counts.p_less() == pytest.approx(stats.binomtest(12, 16, alternative="less").pvalue)
    assert counts.p_less(0.3) == pytest.approx(PairedCounts(4, 12, 100).p_greater(-0.3))
    assert counts.p_less(0.3) < 0.001
    assert counts.p_greater(0.3) > 0.999


def test_wilson_and_clopper_pearson_give_their_closed_forms():
    z2 = stats.norm.ppf(0.975) ** 2
    wilson = proportion_interval(0, 20)
    assert wilson.low == pytest.approx(0.0, abs=1e-12)
    assert wilson.high == pytest.approx(z2 / (20 + z2))
    exact = proportion_interval(20, 20, method="exact")
    assert exact.low == pytest.approx(0.025 ** (1 / 20))
    assert exact.high == 1.0


@pytest.mark.parametrize(
    "call",
    [
        lambda: mcnemar([1, 2], [0, 1]),
        lambda: mcnemar([], []),
        lambda: mcnemar([1, np.nan], [0, 1]),
        lambda: mcnemar([1, 0], [1]),
        lambda: mcnemar_clustered([1, 0], [0, 1], ["p", "p"]),
        lambda: proportion_interval(3, 2),
        lambda: proportion_interval(0, 0),
    ],
)
def test_unusable_outcomes_are_refused(call):
    with pytest.raises(DesignError):
        call()
