import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestPower

from common.statistics import power
from common.statistics.paired import (
    corrected_t,
    crossed_t_inference,
    sign_flip,
    wilcoxon,
)
from common.statistics.ranking import friedman
from common.statistics.results import DesignError, Student, equivalence_p
from common.statistics.unpaired import welch_inference


@pytest.mark.parametrize("n", [4, 12, 80])
def test_the_paired_t_agrees_with_statsmodels(n):
    expected = TTestPower().solve_power(nobs=n, alpha=0.05, power=0.8, alternative="two-sided")
    assert power.paired_t(1.0, n=n) == pytest.approx(expected, rel=1e-4)


def test_a_simulated_effect_of_the_detectable_size_is_found_four_times_in_five(rng):
    # folds that overlap: a shared part with the variance that the correction assumes
    k, ratio, sd = 5, 0.25, 2.0
    shared = np.sqrt(ratio / (1 + ratio)) * sd * np.sqrt(1 + ratio)
    effect = power.corrected_t(sd, n_folds=k, test_train_ratio=ratio)
    d = effect + sd * rng.normal(size=(20_000, k)) + shared * rng.normal(size=(20_000, 1))
    t = d.mean(axis=1) / (d.std(axis=1, ddof=1) * np.sqrt(1 / k + ratio))
    assert t[0] == pytest.approx(corrected_t(d[0], test_train_ratio=ratio).statistic)
    assert np.mean(2 * stats.t.sf(np.abs(t), k - 1) < 0.05) == pytest.approx(0.8, abs=0.01)


def test_the_crossed_t_finds_its_detectable_effect_four_times_in_five(rng):
    effect = power.crossed_t(sd_cluster=1.0, sd_seed=0.2, sd_residual=1.0, n_clusters=40, n_seeds=6)
    noise = rng.normal(size=(1500, 40, 1)) + 0.2 * rng.normal(size=(1500, 1, 6))
    studies = effect + noise + rng.normal(size=(1500, 40, 6))
    fitted = [crossed_t_inference(one) for one in studies]
    t, df = np.array([(one.statistic, one.df) for one in fitted]).T
    found = np.mean(2 * stats.t.sf(np.abs(t), df) < 0.05)
    assert found == pytest.approx(0.8, abs=0.032)


def test_power_at_the_smallest_effect_is_the_power_asked_for():
    for df in (3, 4, 30, math.inf):
        effect = power.smallest_effect(0.5, df, power=0.9)
        assert power.achieved(effect, 0.5, df) == pytest.approx(0.9, abs=1e-6)


def test_the_shift_of_two_quantiles_is_exact_only_for_the_normal_law():
    shift = power.smallest_effect(1.0, math.inf, method="shift")
    assert shift == pytest.approx(stats.norm.ppf(0.975) + stats.norm.ppf(0.8))
    assert power.smallest_effect(1.0, 4, method="shift") < power.smallest_effect(1.0, 4)


def test_huge_effects_have_power_one_and_no_spread_detects_everything():
    assert power.achieved(1e3, 1.0, 4) == 1.0
    assert power.smallest_effect(0.0, 4) == 0.0
    assert math.isnan(power.smallest_effect(math.nan, 4))


def test_power_at_no_effect_is_the_level_when_both_sides_count():
    for df in (3, 30, math.inf):
        assert power.achieved(0.0, 1.0, df, both_sides=True) == pytest.approx(0.05, abs=1e-9)


def test_a_test_that_overstates_its_standard_error_loses_power_and_one_that_understates_it_gains():
    sound = power.StudentPlan(1.0, 10)
    for assumed, df in ((0.8, 10), (1.0, math.inf)):  # too narrow, or a normal quantile
        plan = power.StudentPlan(1.0, df, assumed_se=assumed, spread_df=10)
        assert plan.power(2.0) > sound.power(2.0)
        assert plan.power(0.0, both_sides=True) > 0.05
    assert power.StudentPlan(1.0, 10, assumed_se=1.2).power(2.0) < sound.power(2.0)


def test_a_spread_with_other_degrees_of_freedom_is_found_by_simulation(rng):
    plan = power.StudentPlan(1.0, 6, assumed_se=0.9, spread_df=4)
    estimate = 3.0 + rng.normal(size=100_000)
    spread = 0.9 * np.sqrt(rng.chisquare(4, size=100_000) / 4)
    found = np.mean(estimate / spread > stats.t.isf(0.025, 6))
    assert plan.power(3.0) == pytest.approx(found, abs=0.005)


def test_the_power_of_equivalence_is_that_of_the_test(rng):
    for df, effect, low, high in ((9, 0.3, -2.5, 2.5), (4, 0.0, -4.0, 3.0), (60, -1.0, -3.0, 9.0)):
        estimate, se = effect + rng.normal(size=50_000), np.sqrt(rng.chisquare(df, 50_000) / df)
        t = np.minimum((estimate - low) / se, (high - estimate) / se)
        p = stats.t.sf(t, df)
        first = Student(estimate[0], se[0], df)
        assert p[0] == pytest.approx(equivalence_p(first, low, high))
        planned = power.StudentPlan(1.0, df).margin_power(effect, low=low, high=high)
        assert planned == pytest.approx(np.mean(p <= 0.05), abs=0.007)


def test_a_far_bound_turns_equivalence_into_non_inferiority():
    plan = power.StudentPlan(1.0, 12)
    one_sided = plan.margin_power(0.5, low=-2.0, high=math.inf)
    assert plan.margin_power(0.5, low=-2.0, high=60.0) == pytest.approx(one_sided, abs=1e-9)
    assert plan.margin_power(-0.5, low=-math.inf, high=2.0) == pytest.approx(one_sided)


def test_the_power_of_equivalence_with_a_normal_law_has_a_closed_form():
    z = stats.norm.ppf(0.95)
    planned = power.StudentPlan(0.5, math.inf).margin_power(0.2, low=-1.5, high=1.5)
    expected = stats.norm.cdf((1.5 - 0.2) / 0.5 - z) - stats.norm.cdf((-1.5 - 0.2) / 0.5 + z)
    assert planned == pytest.approx(expected)


def test_a_margin_narrower_than_any_interval_is_never_shown():
    assert power.StudentPlan(1.0, math.inf).margin_power(0.0, low=-1.0, high=1.0) == 0.0
    assert 0 < power.StudentPlan(1.0, 3).margin_power(0.0, low=-1.0, high=1.0) < 0.2


@pytest.mark.parametrize("one_sided", [True, False])
@pytest.mark.parametrize("effect", [0.0, -0.7, 0.7])
def test_the_smallest_margin_is_shown_with_the_power_asked_for(effect, one_sided):
    plan = power.StudentPlan(0.5, 8)
    margin = plan.smallest_margin(effect=effect, one_sided=one_sided)
    high = math.inf if one_sided else margin
    if margin > 0:
        assert plan.margin_power(effect, low=-margin, high=high) == pytest.approx(0.8, abs=1e-6)
    assert margin >= (-effect if one_sided else abs(effect))


def test_a_gain_that_is_large_enough_shows_non_inferiority_to_any_margin():
    assert power.StudentPlan(0.1, 20).smallest_margin(effect=1.0, one_sided=True) == 0.0


def test_plans_without_spread_decide_at_once():
    plan = power.StudentPlan(0.0, 5)
    assert plan.power(0.1) == 1.0
    assert plan.power(0.0) == 0.0
    assert plan.margin_power(0.1, low=-0.2, high=0.2) == 1.0
    assert plan.smallest_margin(effect=0.1) == pytest.approx(0.1)


def test_welch_finds_its_detectable_effect_four_times_in_five(rng):
    effect = power.welch_plan(1.0, 3.0, n_first=8, n_second=15).smallest_effect()
    left, right = effect + rng.normal(size=(20_000, 8)), 3.0 * rng.normal(size=(20_000, 15))
    p = stats.ttest_ind(left, right, axis=1, equal_var=False).pvalue
    assert p[0] == pytest.approx(welch_inference(left[0], right[0]).p())
    assert np.mean(p <= 0.05) == pytest.approx(0.8, abs=0.01)


def test_units_needed_have_the_power_and_one_fewer_has_not():
    def of(n):
        return power.paired_t_plan(1.0, n=n).margin_power(0.0, low=-0.3, high=0.3)

    n = power.units_needed(of, power=0.9)
    assert of(n) >= 0.9 > of(n - 1)
    with pytest.raises(DesignError, match="reachable"):
        power.units_needed(lambda n: 0.3)


@pytest.mark.parametrize(
    ("name", "plan"),
    [
        ("t_clustered", lambda sizes: power.cluster_t_plan(1.0, correlation=0.3, sizes=sizes)),
        ("sign_flip_clustered", lambda s: power.sign_flip_plan(1.0, correlation=0.3, sizes=s)),
        ("mcnemar_clustered", lambda s: power.score_plan(1.0, correlation=0.3, sizes=s)),
        (
            "mcnemar_obuchowski",
            lambda s: power.score_plan(1.0, correlation=0.3, sizes=s, method="obuchowski"),
        ),
        ("mcnemar_yang", lambda s: power.score_plan(1.0, correlation=0.3, sizes=s, method="yang")),
        ("cluster_bootstrap", lambda s: power.bootstrap_plan(1.0, correlation=0.3, sizes=s)),
        (
            "cluster_bootstrap_studentised",
            lambda s: power.bootstrap_plan(1.0, correlation=0.3, sizes=s, method="studentised"),
        ),
    ],
)
def test_a_plan_from_a_fitted_standard_error_is_the_plan_of_its_design(name, plan):
    for n in (8, 20):
        planned = plan([5] * n)
        around = name not in ("t_clustered", "mcnemar_obuchowski", "mcnemar_yang")
        se = planned.se * (math.sqrt((n - 1) / n) if around else 1.0)
        fitted = power.fitted_plan(name, se=se, df=n - 1, n_clusters=n)
        assert fitted.smallest_effect() == pytest.approx(planned.smallest_effect(), rel=1e-4)


def test_a_clustered_test_with_a_normal_law_needs_the_number_of_clusters():
    with pytest.raises(DesignError, match="n_clusters"):
        power.fitted_plan("mcnemar_clustered", se=0.1, df=math.inf)
    assert power.fitted_plan("mcnemar_clustered", se=0.1, df=math.inf, n_clusters=3).power(9) == 0
    assert power.fitted_plan("mcnemar", se=0.1, df=math.inf).smallest_effect() > 0


@pytest.mark.parametrize("effect", [0.2, 0.75, 3.0])
def test_clusters_needed_is_the_smallest_number_that_suffices(effect):
    n = power.clusters_needed(effect, sd_cluster=1.0)
    assert power.paired_t(1.0, n=n) <= effect
    assert n == 2 or power.paired_t(1.0, n=n - 1) > effect


def test_the_smallest_p_is_reached_by_the_most_extreme_data(rng):
    for n in (3, 5, 8):
        d = np.arange(1.0, n + 1)
        assert sign_flip(d, rng=rng).p == pytest.approx(power.smallest_p_sign_flip(n))
        assert wilcoxon(d).p == pytest.approx(power.smallest_p_wilcoxon(n))
        assert friedman([[1, 2, 3]] * n).p == pytest.approx(
            power.smallest_p_friedman(n, 3, exact=False)
        )
    assert power.smallest_p_friedman(3, 4) == pytest.approx(1 / 24**2)


@pytest.mark.parametrize(
    "call",
    [
        lambda: power.clusters_needed(0.0, sd_cluster=1.0),
        lambda: power.smallest_effect(1.0, 4, alpha=0.9, power=0.8),
        lambda: power.paired_t_plan(1.0, n=1),
        lambda: power.welch_plan(1.0, 1.0, n_first=1, n_second=5),
        lambda: power.welch_plan(0.0, 0.0, n_first=5, n_second=5),
        lambda: power.StudentPlan(1.0, 4).margin_power(0.0, low=1.0, high=-1.0),
        lambda: power.StudentPlan(1.0, 4).margin_power(0.0, low=-math.inf, high=math.inf),
        lambda: power.StudentPlan(1.0, 4).smallest_margin(power=0.01),
    ],
)
def test_impossible_requests_are_refused(call):
    with pytest.raises(DesignError):
        call()
