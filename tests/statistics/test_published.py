import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import optimize, stats

from common.statistics.audit import Printed
from common.statistics.published import (
    Summary,
    check_p,
    congruence_range,
    difference_se,
    dispersion,
    false_ordering_curve,
    largest_discordance,
    mcnemar_bounds,
    mean_interval,
    p_range,
    posterior_below,
    probability_below,
    probability_below_overlap,
    probability_best,
    probability_best_overlap,
    probability_false_ordering,
    probability_false_ordering_overlap,
    probability_negligible,
    proportion_interval,
    proportion_interval_range,
    rank_sum_p,
    rank_sum_sizes,
    signed_rank_p,
    summary_inference,
    summary_test,
    units_for_significance,
    widest_sd,
)
from common.statistics.results import DesignError

REFERENCE = json.loads(
    (Path(__file__).parents[1] / "references" / "published.json").read_text("utf-8")
)


def summary(mean, sd, n, decimals=9):
    return Summary(Printed(mean, decimals), Printed(sd, decimals), int(n))


def read(mean, sd, n=919):
    return Summary(Printed.read(mean), Printed.read(sd), n)


def _dirichlet(rng, first, second, n, congruence, draws=200_000):
    x1, x2 = n * (first - congruence), n * (second - congruence)
    return rng.dirichlet([x1 + 1, x2 + 1, n - x1 - x2 + 2], draws)


@pytest.mark.parametrize("congruence", [0.62, 0.7, 0.75])
def test_the_closed_form_agrees_with_drawing_from_the_dirichlet_posterior(rng, congruence):
    shares = _dirichlet(rng, 0.80, 0.77, 200, congruence)
    expected = np.mean(shares[:, 0] < shares[:, 1])
    found = probability_false_ordering(0.80, 0.77, 200, congruence=congruence)
    assert float(found) == pytest.approx(expected, abs=0.005)


def test_thresholds_and_margins_agree_with_drawing_from_the_posterior(rng):
    shares = _dirichlet(rng, 0.80, 0.77, 200, 0.7)
    difference = shares[:, 0] - shares[:, 1]
    below = probability_below(0.80, 0.77, 200, 0.05, congruence=0.7)
    inside = probability_negligible(0.80, 0.77, 200, margin=0.05, congruence=0.7)
    assert float(below) == pytest.approx(np.mean(difference < 0.05), abs=0.005)
    assert float(inside) == pytest.approx(np.mean(np.abs(difference) < 0.05), abs=0.005)


def test_the_threshold_zero_is_the_false_ordering():
    grid = np.linspace(0.57, 0.77, 7)
    np.testing.assert_allclose(
        probability_below(0.8, 0.77, 150, 0.0, congruence=grid),
        probability_false_ordering(0.8, 0.77, 150, congruence=grid),
        atol=1e-12,
    )


def test_swapping_the_methods_gives_the_complement():
    one = probability_false_ordering(0.8, 0.77, 300, congruence=[0.6, 0.7])
    other = probability_false_ordering(0.77, 0.8, 300, congruence=[0.6, 0.7])
    np.testing.assert_allclose(one + other, 1)


def test_more_congruence_or_more_cases_make_a_false_order_less_likely():
    by_congruence = probability_false_ordering(0.8, 0.77, 300, congruence=[0.6, 0.7, 0.77])
    assert (np.diff(by_congruence) < 0).all()
    by_n = [probability_false_ordering(0.8, 0.77, n, congruence=0.7) for n in (100, 400, 1600)]
    assert (np.diff(by_n) < 0).all()


def test_a_design_effect_counts_as_fewer_cases():
    inflated = probability_false_ordering(0.8, 0.77, 600, congruence=0.7, inflation=6)
    assert inflated == probability_false_ordering(0.8, 0.77, 100, congruence=0.7)


def test_congruence_is_bounded_by_what_two_rates_allow():
    bounds = congruence_range(0.9, 0.8)
    assert (bounds.low, bounds.high) == (pytest.approx(0.7), 0.8)
    assert bounds.independent == pytest.approx(0.72)
    with pytest.raises(DesignError, match="`congruence` must lie in"):
        probability_false_ordering(0.9, 0.8, 100, congruence=0.81)


def test_overlap_scores_follow_the_paired_t(rng):
    a = rng.normal(0.80, 0.1, 40)
    b = 0.7 * a + rng.normal(0.22, 0.05, 40)
    expected = stats.ttest_rel(a, b, alternative="greater").pvalue
    found = probability_false_ordering_overlap(
        a.mean(),
        b.mean(),
        40,
        sd_first=a.std(ddof=1),
        sd_second=b.std(ddof=1),
        correlation=np.corrcoef(a, b)[0, 1],
    )
    assert float(found) == pytest.approx(expected)


def test_overlap_probabilities_grow_with_the_threshold():
    ps = [
        float(
            probability_below_overlap(
                0.8, 0.78, 50, t, sd_first=0.1, sd_second=0.1, correlation=0.5
            )
        )
        for t in (-0.1, 0.0, 0.02, 0.1)
    ]
    assert ps == sorted(ps)
    assert ps[2] == pytest.approx(0.5)


def test_the_standard_error_is_that_of_simulated_paired_means(rng):
    covariance = [[0.04, 0.6 * 0.2 * 0.1], [0.6 * 0.2 * 0.1, 0.01]]
    scores = rng.multivariate_normal([0, 0], covariance, size=(4000, 25))
    means = (scores[..., 0] - scores[..., 1]).mean(axis=1)
    found = difference_se(0.2, 0.1, 25, correlation=0.6)
    assert float(found) == pytest.approx(means.std(), rel=0.05)


def test_no_scores_in_the_unit_interval_spread_wider_than_zeros_and_ones(rng):
    right = np.repeat([0, 1], [30, 70])
    assert widest_sd(0.7) == pytest.approx(right.std())
    x = rng.beta(2, 3, 500)
    assert x.std() <= widest_sd(x.mean())


def test_no_spread_and_no_difference_decide_nothing():
    assert posterior_below(0.0, 0.0, 9) == 0.5


def test_a_clustered_interval_is_the_one_of_the_effective_cases():
    plain = proportion_interval(0.8, 100)
    clustered = proportion_interval(0.8, 6000, clusters=100, icc=1.0)
    assert clustered.low == pytest.approx(plain.low)
    assert proportion_interval(0.8, 6000, clusters=100, icc=0.0).low > plain.low


@pytest.mark.parametrize(
    "call",
    [
        lambda: proportion_interval(80, 100),
        lambda: proportion_interval(0.8, 100, clusters=10),
        lambda: congruence_range(80, 0.5),
        lambda: widest_sd(1.2),
        lambda: difference_se(0.1, 0.1, 10, correlation=1.5),
        lambda: probability_negligible(0.8, 0.8, 100, margin=0, congruence=0.7),
        lambda: probability_false_ordering_overlap(
            0.8, 0.7, 10, sd_first=0.1, sd_second=0.1, correlation=0.5, inflation=20
        ),
    ],
)
def test_impossible_printed_numbers_are_refused(call):
    with pytest.raises(DesignError):
        call()


@pytest.mark.parametrize("name", REFERENCE["t_tests"])
def test_t_tests_from_summaries_are_those_of_r_on_data_with_these_summaries(name):
    values = REFERENCE["t_tests"][name]
    m1, s1, n1, m2, s2, n2 = values["summary"]
    first, second = summary(m1, s1, n1), summary(m2, s2, n2)
    for kind in ("welch", "student"):
        p, df, low, high = values[kind]
        found = summary_test(first, second, kind=kind)
        inference = summary_inference(first, second, kind=kind)
        assert found.p == pytest.approx(p, rel=1e-8)
        assert inference.df == pytest.approx(df, rel=1e-8)
        assert (found.low, found.high) == pytest.approx((low, high), rel=1e-8)
        scipy = stats.ttest_ind_from_stats(m1, s1, n1, m2, s2, n2, equal_var=kind == "student")
        assert found.p == pytest.approx(scipy.pvalue, rel=1e-10)


def test_paired_t_tests_from_summaries_are_those_of_r():
    for each in REFERENCE["paired"]:
        n, m1, m2, s1, s2, correlation = each["summary"]
        found = summary_test(
            summary(m1, s1, n), summary(m2, s2, n), kind="paired", correlation=correlation
        )
        assert (found.p, found.low, found.high) == pytest.approx(each["test"], rel=1e-8)


def test_the_population_formula_is_the_sample_formula_on_the_same_data(rng):
    first, second = rng.normal(size=12), rng.normal(1, 2, size=9)
    summaries = {
        ddof: [
            Summary(
                Printed(float(x.mean().round(10)), 10),
                Printed(float(x.std(ddof=ddof).round(10)), 10),
                len(x),
            )
            for x in (first, second)
        ]
        for ddof in (0, 1)
    }
    for kind in ("welch", "student"):
        expected = stats.ttest_ind(first, second, equal_var=kind == "student").pvalue
        for ddof, pair in summaries.items():
            found = summary_test(*pair, kind=kind, ddof=ddof)
            assert found.p == pytest.approx(expected, rel=1e-6)


def test_the_printed_p_values_of_super_resolution_rest_on_slices_and_population_sds():
    # blimsr, Table 1: best own model against the best existing one, n = 919 slices.
    rows = [
        (read("26.48864", "6.89493"), read("25.17862", "5.15055"), "4.28777e-06", 168),
        (read("0.90146", "0.04583"), read("0.89323", "0.03651"), "2.18214e-05", 196),
        (read("0.52138", "0.07380"), read("0.46370", "0.07781"), "7.48292e-56", 15),
        (read("0.14351", "0.04654"), read("0.17260", "0.05933"), "1.93271e-30", 28),
    ]
    for first, second, p, units in rows:
        check = check_p("P", "Welch", first=first, second=second, p=Printed.read(p))
        assert check.status == "pass"
        assert "welch with ddof 0" in check.note
        assert units_for_significance(first, second) == units
    checks = [
        check_p("P", "Welch", first=a, second=b, p=Printed.read(p), kinds=["welch"]).note
        for a, b, p, _ in rows
    ]
    assert checks[0] == checks[2] == checks[3] == "welch with ddof 0"
    wrong = check_p("P", "Welch", first=rows[0][0], second=rows[0][1], p=Printed.read("4.5e-06"))
    assert wrong.status == "fail"
    assert "welch with ddof 1 4.237e-06" in wrong.note


@settings(max_examples=150, deadline=None)
@given(
    means=st.tuples(st.integers(0, 99), st.integers(0, 99)),
    sds=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    shifts=st.tuples(*[st.floats(-0.5, 0.5)] * 4),
    ddof=st.integers(0, 1),
    kind=st.sampled_from(["welch", "student", "paired"]),
)
def test_the_p_of_true_summaries_always_passes(means, sds, shifts, ddof, kind):
    values = np.array([*means, *sds]) / 100
    true = values + np.array(shifts) / 100
    sizes = (20, 20) if kind == "paired" else (20, 30)
    test = {"kind": kind, "ddof": ddof, "correlation": 0.9 if kind == "paired" else None}
    exact = summary_inference(
        *(summary(float(true[i].round(9)), float(true[i + 2].round(9)), sizes[i]) for i in (0, 1)),
        **test,
    ).p()
    first, second = (
        Summary(Printed(float(values[i]), 2), Printed(float(values[i + 2]), 2), sizes[i])
        for i in (0, 1)
    )
    low, high = p_range(first, second, **test)
    assert low * (1 - 1e-6) <= exact <= high * (1 + 1e-6)
    p = Printed(float(round(exact, 4)), 4)
    check = check_p(
        "P", "p", first=first, second=second, p=p, kinds=[kind], correlation=test["correlation"]
    )
    assert check.status == "pass"


def test_units_for_significance_are_the_first_that_suffice():
    first, second = summary(0.80, 0.10, 500), summary(0.77, 0.12, 500)
    for kind, correlation in (("welch", None), ("student", None), ("paired", 0.7)):
        n = units_for_significance(first, second, kind=kind, correlation=correlation)
        p = [
            summary_test(
                summary(0.80, 0.10, k), summary(0.77, 0.12, k), kind=kind, correlation=correlation
            ).p
            for k in (n - 1, n)
        ]
        assert p[1] < 0.05 <= p[0]
    with pytest.raises(DesignError, match="equal"):
        units_for_significance(first, summary(0.80, 0.12, 500))


def test_rank_tests_from_their_statistics_are_those_of_r():
    for each in REFERENCE["rank_sum"]:
        found = [rank_sum_p(each["u"], *each["n"], continuity=on) for on in (True, False)]
        assert [float(p) for p in found] == pytest.approx(each["p"], rel=1e-8)
    for each in REFERENCE["signed_rank"]:
        found = [signed_rank_p(each["w"], each["n"], continuity=on) for on in (True, False)]
        assert [float(p) for p in found] == pytest.approx(each["p"], rel=1e-8)


def test_sizes_behind_a_printed_u_tell_of_cases_left_out():
    # wmh-stroke, Table 9: U = 1961, p = 0.006 with 61 cases an arm is impossible.
    assert float(rank_sum_p(1961, 61, 61)) > 0.5
    found = rank_sum_sizes(
        1961, Printed(0.006, 3), first=range(48, 62), second=range(48, 62), tolerance=2e-4
    )
    sizes = set(map(tuple, found[["n_first", "n_second"]].to_numpy().tolist()))
    assert {(50, 60), (51, 59)} <= sizes
    assert float(rank_sum_p(1468, 57, 62)) == pytest.approx(0.113, abs=0.001)


def test_mcnemar_bounds_hold_for_every_pairing():
    for each in REFERENCE["mcnemar"]:
        assert mcnemar_bounds(*map(int, each["counts"])) == pytest.approx(each["p"], rel=1e-10)
    first, second, n = 7, 4, 10
    both = range(max(0, first + second - n), min(first, second) + 1)
    p = [
        stats.binomtest(first - b, first + second - 2 * b).pvalue if first + second > 2 * b else 1.0
        for b in both
    ]
    assert mcnemar_bounds(first, second, n) == pytest.approx((min(p), max(p)))
    assert mcnemar_bounds(second, first, n) == mcnemar_bounds(first, second, n)


def test_the_gels_leave_room_for_few_disagreements():
    # ife: +9 of 2,908 right and -13 of 837 false negatives; casualty-action: 5 of 204 clips.
    assert largest_discordance(2775, 2766, 2908) == 17
    assert largest_discordance(766, 753, 837) == 37
    assert mcnemar_bounds(37, 32, 204)[0] == 0.0625
    assert mcnemar_bounds(44, 38, 242)[0] == pytest.approx(0.03125)
    assert largest_discordance(37, 32, 204) == 0
    with pytest.raises(DesignError, match="lie in"):
        mcnemar_bounds(11, 3, 10)


def test_intervals_are_those_of_r():
    for each in REFERENCE["wilson"]:
        right, n = each["counts"]
        found = proportion_interval(right / n, n)
        assert (found.low, found.high) == pytest.approx(each["interval"], abs=1e-8)
    for each in REFERENCE["means"]:
        mean, n, sd = each["summary"]
        found = mean_interval(mean, n, sd=sd)
        assert (found.interval.low, found.interval.high) == pytest.approx(
            each["interval"], abs=1e-10
        )
    for each in REFERENCE["orders"]:
        first, second, n, both = each["rates"]
        found = probability_false_ordering(first, second, n, congruence=both)
        assert float(found) == pytest.approx(each["p"], abs=1e-10)


def test_a_range_of_design_effects_gives_a_range_of_intervals():
    narrow, wide = proportion_interval_range(0.8, 200, inflations=(1, 8))
    assert narrow == proportion_interval(0.8, 200)
    assert wide == proportion_interval(0.8, 25)
    assert wide.low < narrow.low < narrow.high < wide.high
    with pytest.raises(DesignError, match="inflations"):
        proportion_interval_range(0.8, 200, inflations=(8, 1))


def widest_by_program(mean, low, high, quantiles):
    """Maximise the variance over a fine grid of scores by linear programming."""
    grid = np.union1d(np.linspace(low, high, 401), list(quantiles.values()))
    rows, values = [], []
    edges = [(0.0, low), *sorted(quantiles.items()), (1.0, high)]
    # Each part between two quantiles has its share, on a copy of the grid of its own.
    parts = [
        (share_to - share_from, (grid >= a - 1e-12) & (grid <= b + 1e-12))
        for (share_from, a), (share_to, b) in pairwise(edges)
    ]
    points = np.concatenate([grid[inside] for _, inside in parts])
    owner = np.concatenate([np.full(inside.sum(), k) for k, (_, inside) in enumerate(parts)])
    for k, (share, _) in enumerate(parts):
        rows.append((owner == k).astype(float))
        values.append(share)
    rows.append(points)
    values.append(mean)
    solved = optimize.linprog(-(points**2), A_eq=np.array(rows), b_eq=np.array(values))
    return np.sqrt(-solved.fun - mean**2)


@pytest.mark.parametrize(
    ("mean", "low", "high", "quantiles"),
    [
        (0.3, 0.0, 1.0, {}),
        (0.6, 0.2, 0.9, {}),
        (0.8, 0.0, 1.0, {0.5: 0.85}),
        (0.7, 0.1, 0.95, {0.25: 0.65, 0.5: 0.75, 0.75: 0.85}),
        (0.55, 0.0, 1.0, {0.1: 0.05, 0.9: 0.95}),
    ],
)
def test_the_widest_spread_is_that_of_a_linear_program(mean, low, high, quantiles):
    found = widest_sd(mean, low=low, high=high, quantiles=quantiles)
    assert found == pytest.approx(widest_by_program(mean, low, high, quantiles), abs=1e-6)


@settings(max_examples=100, deadline=None)
@given(scores=st.lists(st.integers(0, 100), min_size=1, max_size=40))
def test_no_scores_are_wider_than_the_widest_spread(scores):
    values = np.array(scores) / 100
    sd, mean = values.std(), float(values.mean())
    assert sd <= widest_sd(mean) + 1e-9
    ends = {"low": float(values.min()), "high": float(values.max())}
    assert sd <= widest_sd(mean, **ends) + 1e-9
    n = len(values)
    if n % 4 == 0:
        # Cut into quarters of equal size, each bounded by its neighbours' ends.
        quarters = np.sort(values).reshape(4, -1)
        quantiles = {share: float(quarters[k, 0]) for k, share in enumerate((0.25, 0.5, 0.75), 1)}
        assert sd <= widest_sd(mean, quantiles=quantiles, **ends) + 1e-9


def test_the_kind_of_spread_is_told(rng):
    scores = stats.beta(8, 2).rvs(size=4000, random_state=rng)
    shared = dispersion(float(scores.mean()), float(scores.std()))
    assert shared == pytest.approx(1 / 11, rel=0.1)
    other = stats.beta(5, 5)
    rebuilt = mean_interval(other.mean(), 50, dispersion=shared)
    assert rebuilt.spread == "approximated"
    assert rebuilt.sd == pytest.approx(other.std(), rel=0.05)
    bounded = mean_interval(0.5, 50)
    assert (bounded.spread, bounded.sd) == ("bounded", 0.5)
    sharper = mean_interval(0.5, 50, quantiles={0.25: 0.4, 0.75: 0.6})
    assert sharper.sd < bounded.sd
    population = mean_interval(0.5, 5, sd=0.2, ddof=0)
    assert population.sd == pytest.approx(0.2 * np.sqrt(5 / 4))
    clustered = mean_interval(0.5, 50, sd=0.2, inflation=5)
    assert clustered.interval == mean_interval(0.5, 10, sd=0.2).interval
    assert mean_interval(0.98, 4, sd=0.05).interval.high == 1.0
    assert mean_interval(19.4, 3, sd=8.7, low=0, high=np.inf).interval.low == 0


@pytest.mark.parametrize(
    "call",
    [
        lambda: widest_sd(0.5, quantiles={0.5: 0.9, 0.75: 0.8}),
        lambda: widest_sd(0.3, quantiles={0.25: 0.6, 0.5: 0.7}),
        lambda: dispersion(0.5, 0.6),
        lambda: mean_interval(20.0, 10, low=0, high=np.inf),
        lambda: mean_interval(0.5, 10, inflation=10),
        lambda: mean_interval(0.5, 10, dispersion=1.5),
        lambda: probability_best([0.5], 10, shared=0, rng=np.random.default_rng(0)),
        lambda: probability_best([0.5, 1.5], 10, shared=0, rng=np.random.default_rng(0)),
        lambda: probability_best([0.5, 0.6], 10, shared=2, rng=np.random.default_rng(0)),
        lambda: summary_test(summary(1, 1, 1), summary(1, 1, 5)),
        lambda: summary_test(summary(1, 1, 5), summary(1, 1, 5), kind="paired"),
        lambda: summary_test(summary(1, 1, 5), summary(1, 1, 6), kind="paired", correlation=0),
        lambda: probability_best_overlap(
            [1, 2, 3], 9, sds=[1, 1, 1], correlation=-0.9, rng=np.random.default_rng(0)
        ),
    ],
)
def test_impossible_summaries_are_refused(call):
    with pytest.raises(DesignError):
        call()


def test_the_curve_holds_the_closed_forms_and_the_measured_value():
    curve = false_ordering_curve(0.8, 0.75, 100, inflations=(1, 4), measured=0.68, points=9)
    assert len(curve) == 20
    assert curve["congruence"].min() == 0.6
    assert curve["congruence"].max() == 0.75
    for row in curve.itertuples():
        expected = probability_false_ordering(
            0.8, 0.75, 100, congruence=row.congruence, inflation=row.inflation
        )
        assert row.probability == pytest.approx(float(expected), abs=1e-12)
        assert row.measured == (row.congruence == 0.68)
    overlap = false_ordering_curve(0.8, 0.75, 100, sds=(0.1, 0.2), span=(0.2, 0.6), points=5)
    expected = probability_false_ordering_overlap(
        0.8, 0.75, 100, sd_first=0.1, sd_second=0.2, correlation=overlap["correlation"].to_numpy()
    )
    assert overlap["probability"].to_numpy() == pytest.approx(expected)
    assert not overlap["measured"].any()


@pytest.mark.parametrize("shared", [0.0, 0.4, 1.0])
def test_the_best_of_two_is_the_closed_form(shared, rng):
    bounds = congruence_range(0.80, 0.77)
    congruence = bounds.independent + shared * (bounds.high - bounds.independent)
    expected = probability_false_ordering(0.80, 0.77, 200, congruence=congruence, inflation=2)
    found = probability_best([0.80, 0.77], 200, shared=shared, inflation=2, rng=rng, draws=100_000)
    assert 1 - found[0] == pytest.approx(float(expected), abs=0.006)


def test_the_best_of_two_mean_scores_is_the_closed_form(rng):
    expected = probability_false_ordering_overlap(
        0.80, 0.77, 20, sd_first=0.1, sd_second=0.2, correlation=0.6, inflation=2
    )
    found = probability_best_overlap(
        [0.80, 0.77], 20, sds=[0.1, 0.2], correlation=0.6, inflation=2, rng=rng, draws=100_000
    )
    assert 1 - found[0] == pytest.approx(float(expected), abs=0.006)


def test_the_best_of_several_is_fair_and_uses_every_pair(rng):
    equal = probability_best([0.7] * 4, 100, shared=0.5, rng=rng)
    assert equal == pytest.approx([0.25] * 4, abs=0.02)
    assert equal.sum() == pytest.approx(1)
    three = probability_best([0.80, 0.77, 0.76], 200, shared=0.5, rng=rng, draws=50_000)
    bounds = [congruence_range(0.80, other) for other in (0.77, 0.76)]
    each = [
        float(
            probability_false_ordering(
                0.80, other, 200, congruence=(found.independent + found.high) / 2
            )
        )
        for other, found in zip((0.77, 0.76), bounds, strict=True)
    ]
    assert max(each) - 0.01 < 1 - three[0] < sum(each) + 0.01
    means = probability_best_overlap([0.7] * 3, 30, sds=[0.1] * 3, correlation=0.5, rng=rng)
    assert means == pytest.approx([1 / 3] * 3, abs=0.02)


def test_drawing_depends_on_the_generator_alone():
    def drawn():
        rng = np.random.default_rng(7)
        first = probability_best([0.8, 0.7, 0.7], 50, shared=0.3, rng=rng, draws=500)
        second = probability_best_overlap(
            [0.8, 0.7], 50, sds=[0.1, 0.1], correlation=0.3, rng=rng, draws=500
        )
        return [*first, *second]

    before = drawn()
    np.random.seed(0)  # noqa: NPY002  the global state must not matter
    assert drawn() == before
