import itertools

import numpy as np
import pytest
from scipy import stats

from common.statistics.proportions import (
    PairedCounts,
    PairedScore,
    clustered_score,
    discordant,
    effective_cases,
    mcnemar,
    mcnemar_clustered,
    mcnemar_clustered_inference,
    mcnemar_clustered_pairs,
    mcnemar_inference,
    paired_difference_interval,
    proportion_interval,
    proportion_interval_clustered,
)
from common.statistics.results import DesignError, equivalence_p

CLUSTERED = ["pooled", "obuchowski", "yang", "durkalski"]


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


@pytest.mark.parametrize("method", CLUSTERED)
def test_every_clustered_method_turns_with_the_arms_and_inverts_into_its_interval(rng, method):
    a, b, patient = _outcomes(rng, 120, 0.8), _outcomes(rng, 120), rng.integers(0, 25, 120)
    one = mcnemar_clustered_inference(a, b, patient, method=method)
    other = mcnemar_clustered_inference(b, a, patient, method=method)
    assert other.p(-0.05) == pytest.approx(one.p(0.05))
    interval = one.interval(0.90)
    assert one.p(interval.low) == pytest.approx(0.1)
    assert one.p(interval.high) == pytest.approx(0.1)
    assert equivalence_p(one, interval.low, interval.high) == pytest.approx(0.05)


def test_obuchowski_is_the_pooled_test_with_its_small_sample_factor(rng):
    a, b, patient = _outcomes(rng, 90), _outcomes(rng, 90), rng.integers(0, 12, 90)
    pooled = mcnemar_clustered(a, b, patient)
    factor = mcnemar_clustered(a, b, patient, method="obuchowski")
    assert factor.statistic**2 == pytest.approx(pooled.statistic**2 * 11 / 12)
    assert factor.effect == pooled.effect
    assert factor.p > pooled.p


def test_with_equal_sizes_yang_is_never_less_significant_than_obuchowski(rng):
    patient = np.repeat(np.arange(15), 6)
    for _ in range(20):
        a, b = _outcomes(rng, 90, 0.8), _outcomes(rng, 90)
        yang, factor = (
            mcnemar_clustered(a, b, patient, method=m).p for m in ("yang", "obuchowski")
        )
        assert yang <= factor + 1e-12


def test_durkalski_weighs_patients_and_the_others_cases():
    # A patient of 8 cases speaks for the first method, two patients of 1 case for the second
    first, second = [1] * 8 + [0, 0], [0] * 8 + [1, 1]
    patient = ["p"] * 8 + ["q", "r"]
    assert mcnemar_clustered(first, second, patient).effect == pytest.approx(0.6)
    by_patient = mcnemar_clustered(first, second, patient, method="durkalski")
    assert by_patient.effect == pytest.approx(-1 / 3)
    assert by_patient.statistic == pytest.approx(-1 / np.sqrt(3))


def test_with_equal_sizes_durkalski_is_the_pooled_test(rng):
    a, b, patient = _outcomes(rng, 90), _outcomes(rng, 90), np.repeat(np.arange(18), 5)
    pooled = mcnemar_clustered(a, b, patient)
    assert mcnemar_clustered(a, b, patient, method="durkalski").p == pytest.approx(pooled.p)


@pytest.mark.parametrize("method", CLUSTERED)
def test_all_pairs_at_once_follow_the_method(rng, method):
    outcomes = np.stack([_outcomes(rng, 80) for _ in range(4)], axis=1)
    patient = rng.integers(0, 9, 80)
    for row in mcnemar_clustered_pairs(outcomes, patient, method=method).itertuples():
        single = mcnemar_clustered(
            outcomes[:, row.first], outcomes[:, row.second], patient, method=method
        )
        assert row.z == pytest.approx(single.statistic)
        assert row.effect == pytest.approx(single.effect)
        assert row.p == pytest.approx(single.p)


@pytest.mark.parametrize("method", CLUSTERED)
def test_patients_without_any_difference_give_p_one(method):
    found = mcnemar_clustered([1, 0, 1, 1], [1, 0, 1, 1], ["p", "p", "q", "q"], method=method)
    assert (found.statistic, found.p) == (0, 1)


@pytest.mark.parametrize(("b", "c"), [(0, 3), (1, 5), (4, 2), (3, 3), (7, 0)])
def test_tango_and_newcombe_turn_with_the_arms_and_lie_within_bounds(b, c):
    for options in ({"method": "tango"}, {"method": "newcombe", "both": 2}):
        one = paired_difference_interval(b, c, 9, **options)
        other = paired_difference_interval(c, b, 9, **options)
        assert (other.low, other.high) == pytest.approx((-one.high, -one.low))
        assert -1 <= one.low <= (b - c) / 9 <= one.high <= 1


def test_tango_ends_where_its_test_begins_to_reject():
    for b, c, n in [(30, 10, 100), (0, 4, 20), (5, 0, 5), (0, 0, 7), (1, 0, 1)]:
        score = PairedScore(b, c, n)
        interval = score.interval(0.95)
        for end in (interval.low, interval.high):
            assert score.p(end) == pytest.approx(0.05) or end == score.effect
        assert score.p_greater(0.1) + score.p_less(0.1) == pytest.approx(1)


def test_tango_without_discordant_cases_is_wilson_of_none():
    # z(v) = -sqrt(n v / (1 - v)): the upper end of Wilson's interval for 0 of n
    found = paired_difference_interval(0, 0, 12, method="tango")
    assert found.high == pytest.approx(proportion_interval(0, 12).high)
    assert found.low == pytest.approx(-found.high)


def test_the_asymptotic_inference_is_the_asymptotic_test(rng):
    a, b = _outcomes(rng, 60, 0.8), _outcomes(rng, 60)
    score = mcnemar_inference(a, b, method="asymptotic")
    plain = mcnemar(a, b, method="asymptotic")
    assert score.p() == pytest.approx(plain.p)
    assert score.statistic**2 == pytest.approx(plain.statistic)
    assert mcnemar_inference(a, b).p() == mcnemar(a, b).p


@pytest.mark.parametrize("method", ["bonett-price", "newcombe", "tango"])
def test_every_paired_interval_covers_a_known_difference(rng, method):
    covered = 0
    for _ in range(400):
        both, b, c, _ = rng.multinomial(60, [0.5, 0.2, 0.1, 0.2])
        options = {"both": int(both)} if method == "newcombe" else {}
        interval = paired_difference_interval(int(b), int(c), 60, method=method, **options)
        covered += interval.low <= 0.1 <= interval.high
    assert 0.92 <= covered / 400 <= 0.985


@pytest.mark.parametrize("method", ["wilson", "exact"])
def test_with_one_case_a_cluster_the_clustered_proportion_is_the_plain_one(rng, method):
    right = _outcomes(rng, 70)
    found = proportion_interval_clustered(right, np.arange(70), method=method)
    plain = proportion_interval(int(right.sum()), 70, method=method)
    assert (found.low, found.high) == pytest.approx((plain.low, plain.high))


def test_copies_of_cases_in_a_cluster_are_worth_no_more_than_the_clusters(rng):
    right = _outcomes(rng, 40)
    copied = effective_cases(np.repeat(right, 10), np.repeat(np.arange(40), 10))
    assert copied == pytest.approx(40, rel=0.03)
    # One right and one wrong in every pair: no spread between clusters, yet not more than n
    assert effective_cases(np.tile([0, 1], 20), np.repeat(np.arange(20), 2)) == 40


def test_without_errors_clusters_are_taken_for_copies():
    cluster = np.repeat(np.arange(10), 5)
    assert effective_cases(np.ones(50), cluster) == pytest.approx(10)
    found = proportion_interval_clustered(np.ones(50), cluster)
    assert found.high == 1
    assert found.low < proportion_interval(10, 10).low
    none = proportion_interval_clustered(np.zeros(50), cluster)
    assert (none.low, none.high) == pytest.approx((0, 1 - found.low))


def test_the_clustered_proportion_covers_where_the_plain_one_does_not(rng):
    cluster = np.repeat(np.arange(30), 10)
    plain = clustered = 0
    for _ in range(300):
        right = (rng.random(300) < rng.beta(1.4, 0.6, 30)[cluster]).astype(float)
        interval = proportion_interval_clustered(right, cluster)
        clustered += interval.low <= 0.7 <= interval.high
        interval = proportion_interval(int(right.sum()), 300)
        plain += interval.low <= 0.7 <= interval.high
    assert 0.91 <= clustered / 300 <= 0.99
    assert plain / 300 < 0.8


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
        lambda: mcnemar_clustered([1, 0], [0, 1], ["p", "q"], method="none"),
        lambda: mcnemar_clustered_pairs([[1, 0], [0, 1]], ["p", "p"]),
        lambda: paired_difference_interval(3, 2, 4),
        lambda: paired_difference_interval(-1, 2, 4),
        lambda: paired_difference_interval(1, 1, 4, method="newcombe"),
        lambda: paired_difference_interval(1, 1, 4, method="newcombe", both=3),
        lambda: proportion_interval_clustered([1, 0], ["p", "p"]),
        lambda: proportion_interval_clustered([1, 2], ["p", "q"]),
        lambda: effective_cases([], []),
    ],
)
def test_unusable_outcomes_are_refused(call):
    with pytest.raises(DesignError):
        call()
