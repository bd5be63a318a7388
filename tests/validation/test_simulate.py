import numpy as np
import pytest
from scipy import stats

from common.statistics.dependence import icc
from common.statistics.design import sample
from common.statistics.results import DesignError
from common.validation.simulate import (
    OUTCOMES,
    Scenario,
    draw,
    draw_latent,
    draw_sizes,
    marginals,
    score,
    truth,
)

LARGE = 4000  # patients


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("effect", [0.0, 0.02])
def test_the_means_of_the_two_methods_differ_by_exactly_the_effect(outcome, effect):
    first, second = marginals(outcome, effect)
    assert first.mean() - second.mean() == pytest.approx(effect, abs=1e-9)


def test_the_share_of_right_answers_follows_the_normal_law():
    first, second = marginals("binary", 0.07)
    assert second.mean() == pytest.approx(0.80, abs=1e-9)
    assert stats.norm.sf(first.threshold) == pytest.approx(0.87)
    assert second.variance() == pytest.approx(0.16, abs=1e-9)


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("correlation", [0.0, 0.2, 0.6])
def test_differences_have_the_stated_mean_variance_and_correlation(outcome, correlation, rng):
    scenario = Scenario(outcome, LARGE, correlation, effect=0.02)
    known, study = truth(scenario), draw(scenario, rng)
    d = study.sample.value
    assert known.effect == pytest.approx(0.02, abs=1e-9)
    assert d.mean() == pytest.approx(0.02, abs=4 * known.se_cases(study.sizes))
    assert d.var() == pytest.approx(known.variance, rel=0.1)
    assert icc(d, study.cluster) == pytest.approx(known.icc, abs=0.04)
    if outcome != "skewed":
        assert known.icc == pytest.approx(correlation, abs=0.05 if correlation == 0 else 1e-9)


def test_means_of_many_studies_scatter_by_the_stated_standard_errors(rng):
    scenario = Scenario("dice", 40, 0.4, spread=0.7)
    sizes = draw_sizes(scenario, rng)
    known = truth(scenario)
    cases, means = [], []
    for _ in range(800):
        d = draw(scenario, rng, sizes=sizes).sample
        cases.append(d.value.mean())
        means.append((np.bincount(d.cluster, d.value) / sizes).mean())
    assert np.std(cases) == pytest.approx(known.se_cases(sizes.astype(float)), rel=0.08)
    assert np.std(means) == pytest.approx(known.se_means(sizes.astype(float)), rel=0.08)


@pytest.mark.parametrize("spread", [0.0, 0.7, 1.2])
def test_patients_have_six_cases_on_average_with_the_asked_spread(spread, rng):
    sizes = draw_sizes(Scenario("dice", 20_000, 0.0, spread=spread), rng)
    assert sizes.min() >= 1
    assert sizes.mean() == pytest.approx(6, rel=0.05)
    assert sizes.std() / sizes.mean() == pytest.approx(spread, abs=0.05)


def test_a_spread_that_sizes_cannot_have_is_refused(rng):
    with pytest.raises(DesignError, match="`spread` must be 0 or"):
        draw_sizes(Scenario("dice", 5, 0.0, spread=0.1), rng)


def test_a_correlation_that_cannot_be_reached_is_refused():
    with pytest.raises(DesignError, match="`icc` must be <="):
        truth(Scenario("rare", 20, 0.9))


def test_failures_of_one_method_make_the_differences_skewed_though_the_means_agree(rng):
    d = draw(Scenario("skewed", LARGE, 0.2), rng).sample.value
    even = draw(Scenario("dice", LARGE, 0.2), rng).sample.value
    assert stats.skew(d) < -1 < -0.3 < stats.skew(even)


def test_averaging_over_training_runs_agrees_with_the_design_module(rng):
    study = draw(Scenario("dice", 12, 0.2, n_seeds=3, seed_share=0.1), rng)
    expected = study.sample.over_seeds()
    assert study.averaged.value == pytest.approx(expected.value)
    assert np.array_equal(study.averaged.cluster, expected.cluster)
    assert np.array_equal(study.averaged.case, expected.case)


def test_the_paired_table_holds_the_same_differences(rng):
    study = draw(Scenario("dice", 12, 0.2, n_seeds=2, n_folds=3, n_arms=3), rng)
    again = sample(study.paired, {"m0": 1.0, "m1": -1.0})
    for name in ("value", "seed", "fold", "cluster", "case"):
        assert np.array_equal(getattr(again, name), getattr(study.sample, name))
    assert study.paired.n_clusters == 12


def test_training_runs_share_patients_but_not_what_a_run_adds(rng):
    scenario = Scenario("gaussian", 400, 0.3, n_seeds=60, seed_share=0.2, spread=0.0)
    study = draw(scenario, rng)
    by_run = study.sample.value.reshape(60, -1).mean(axis=1)
    # the difference of two methods has twice the variance of one's own part, 0.6
    assert by_run.std() == pytest.approx(np.sqrt(2 * 0.6 * 0.2), rel=0.3)


def test_the_same_generator_gives_the_same_study_and_the_global_seed_does_not_matter():
    scenario = Scenario("binary", 10, 0.2)
    first = draw(scenario, np.random.default_rng(3)).scores
    np.random.seed(1)  # noqa: NPY002
    assert np.array_equal(first, draw(scenario, np.random.default_rng(3)).scores)


def test_scoring_is_apart_from_drawing(rng):
    latent = draw_latent(Scenario("dice", 10, 0.2, n_arms=3), rng)
    functions = [marginals("dice", effect)[0] for effect in (0.0, 0.02, 0.02)]
    study = score(latent, functions)
    assert study.scores.shape == (1, len(latent.cluster), 3)
    assert (study.scores >= 0).all()
    assert (study.scores <= 1).all()
    assert np.array_equal(score(latent, functions).scores, study.scores)
