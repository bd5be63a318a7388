"""Power and smallest p against values that R made; see tests/references/power.R."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from common.statistics import (
    power,
    power_agreement,
    power_areas,
    power_blocks,
    power_proportions,
    power_ranks as ranks,
    power_rates,
    smallest_p,
)
from common.statistics.power_forms import ScorePlan

VALUES = json.loads((Path(__file__).parents[1] / "references" / "power.json").read_text())


def each(topic):
    assert len(VALUES[topic]) >= 3
    return VALUES[topic]


def close(value, *, rel=1e-8, abs=1e-10):
    return pytest.approx(value, rel=rel, abs=abs)


def test_the_power_of_a_paired_t_agrees_with_power_t_test():
    for at in each("paired_t"):
        plan = power.paired_t_plan(1.0, n=at["n"])
        assert plan.power(at["delta"], alpha=at["alpha"]) == close(at["value"])
    for at in each("both_sides"):
        plan = power.paired_t_plan(1.0, n=at["n"])
        assert plan.power(at["delta"], both_sides=True) == close(at["value"])


def test_the_effect_and_the_number_of_units_agree_with_power_t_test():
    for at in each("paired_effect"):
        assert power.paired_t(1.0, n=at["n"], power=at["power"]) == close(at["value"])
    for at in each("paired_n"):
        assert power.clusters_needed(at["delta"], sd_cluster=1.0) == at["value"]


def test_welch_of_equal_spreads_and_sizes_agrees_with_power_t_test():
    for at in each("two_sample"):
        plan = power.welch_plan(1.0, 1.0, n_first=at["n"], n_second=at["n"])
        assert plan.power(at["delta"]) == close(at["value"])


def test_the_power_of_equivalence_agrees_with_an_adaptive_integral():
    for at in each("tost"):
        found = power.StudentPlan(1.0, at["df"]).margin_power(
            at["effect"], low=at["low"], high=at["high"], alpha=at["alpha"]
        )
        assert found == close(at["value"])


def test_the_power_of_non_inferiority_agrees_with_the_noncentral_t():
    for at in each("non_inferior"):
        plan = power.StudentPlan(1.0, at["df"])
        assert plan.margin_power(at["effect"], low=at["low"], high=math.inf) == close(at["value"])


def test_the_power_of_two_rates_agrees_with_power_prop_test():
    for at in each("two_rates"):
        found = power_rates.two_rates_power(
            at["first"], at["second"], n_first=at["n"], n_second=at["n"]
        )
        assert found == close(at["value"])


def test_the_power_of_mcnemar_agrees_with_summing_over_all_tables():
    for at in each("mcnemar"):
        found = power_proportions.mcnemar_power(
            at["effect"],
            discordance=at["discordance"],
            n=at["n"],
            method=at["method"],
            both_sides=True,
        )
        assert found == close(at["value"])


def test_the_power_of_one_rate_agrees_with_binomial_tails():
    for at in each("one_rate"):
        found = power_rates.rate_power(at["rate"], at["against"], n=at["n"])
        assert found == close(at["value"])


def test_the_power_of_clustered_scores_agrees_with_an_adaptive_integral():
    for at in each("scores"):
        asked = {"correlation": at["correlation"], "sizes": at["sizes"]}
        for method in ("pooled", "obuchowski", "yang", "wald"):
            plan = power.score_plan(1.0, method=method, **asked)
            assert plan.power(at["effect"]) == close(at[method], abs=1e-9)
        studentised = power.bootstrap_plan(1.0, method="studentised", **asked)
        assert isinstance(studentised, ScorePlan)
        assert studentised.power(at["effect"]) == close(at["studentised"], abs=1e-9)


def test_the_levels_that_ranks_reach_agree_with_psignrank_and_pwilcox():
    for at in each("signed_rank_level"):
        assert ranks.attained_by_signed_ranks(at["alpha"], at["n"]) == close(at["value"])
    for at in each("mann_whitney_level"):
        found = ranks.attained_by_mann_whitney(at["alpha"], at["n"], at["m"])
        assert found == close(at["value"])


def test_the_power_of_rank_tests_of_several_groups_agrees_with_the_noncentral_f():
    for at in each("kruskal"):
        found = ranks.kruskal_power(at["means"], sd=1.0, sizes=at["sizes"])
        assert found == close(at["value"])
    for at in each("friedman"):
        means = np.linspace(0, 1, at["k"])
        found = power_blocks.friedman_power(means, sd=1.0, n_blocks=at["n"], law=at["law"])
        assert found == close(at["value"])


def test_moments_of_ranks_agree_with_bivariate_normal_orthants():
    for at in each("rank_moments"):
        mean, covariance = power_blocks.rank_moments(tuple(at["mu"]))
        assert mean.tolist() == close(at["mean"])
        assert covariance.ravel().tolist() == close(at["covariance"], abs=1e-8)


def test_variances_of_areas_agree_with_integrals_over_normal_scores():
    for at in each("auc_covariance"):
        found = power_areas.auc_covariance(
            at["first"],
            at["second"],
            n_positive=at["n_positive"],
            n_negative=30,
            r_positive=at["r_positive"],
            r_negative=at["r_negative"],
        )
        assert found == close(at["value"])
    for at in each("auc_binormal"):
        sizes = {key: at[key] for key in ("n_positive", "n_negative")}
        assert power_areas.auc_se(at["auc"], **sizes) == close(at["value"])


def test_obuchowskis_variance_of_an_area_agrees_with_proc():
    for at in each("auc_obuchowski"):
        found = power_areas.auc_se(
            at["auc"], n_positive=at["n_positive"], n_negative=60, scores="obuchowski"
        )
        assert found == close(at["value"])


def test_the_standard_error_of_kappa_agrees_with_vcd():
    for at in each("kappa"):
        found = power_agreement.kappa_se(at["kappa"], rates=at["rates"], n=at["n"])
        assert found == close(at["value"])


def test_the_power_of_an_intraclass_correlation_agrees_with_a_central_f():
    for at in each("icc"):
        found = power_agreement.icc_power(
            at["icc"], at["against"], n_subjects=at["n"], n_raters=at["k"]
        )
        assert found == close(at["value"])


def test_the_smallest_p_agrees_with_the_tests_on_their_most_extreme_data():
    for at in each("reach_friedman"):
        assert smallest_p.smallest_p_friedman(at["n"], at["k"], exact=False) == close(at["value"])
    for at in each("reach_nemenyi"):
        found = smallest_p.smallest_p_nemenyi(at["n"], at["k"])
        assert found == close(at["value"], rel=1e-6)
    for at in each("reach_kruskal"):
        assert smallest_p.smallest_p_kruskal(at["sizes"]) == close(at["value"])
    for at in each("reach_signed"):
        assert smallest_p.smallest_p_wilcoxon(at["n"]) == close(at["value"])
    for at in each("reach_ranks"):
        assert smallest_p.smallest_p_mann_whitney(at["n"], at["m"]) == close(at["value"])
    for at in each("reach_mcnemar"):
        found = smallest_p.smallest_p_mcnemar(at["d"], method=at["method"])
        assert found == close(at["value"])
