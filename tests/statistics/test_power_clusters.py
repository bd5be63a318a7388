import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from common.statistics import power_clusters as clusters, power_folds as folds
from common.statistics.bootstrap import cluster_bootstrap, crossed, two_level
from common.statistics.clustered_proportions import clustered_score
from common.statistics.dependence import design_effect
from common.statistics.paired import crossed_t_inference, paired_t_inference
from common.statistics.permutation import sign_flip_inference
from common.statistics.power_forms import positive_share
from common.statistics.results import DesignError
from common.statistics.unpaired import cluster_means

UNEQUAL = [1, 2, 2, 3, 4, 4, 5, 6, 7, 9, 11, 14, 20, 3, 5, 8, 2, 1, 6, 10]


def draw(rng, sizes, *, correlation, effect, studies):
    """Draw normal differences (studies, cases) with a correlation inside clusters."""
    code = np.repeat(np.arange(len(sizes)), sizes)
    shared = rng.normal(size=(studies, len(sizes)))[:, code]
    own = rng.normal(size=(studies, len(code)))
    return effect + math.sqrt(correlation) * shared + math.sqrt(1 - correlation) * own, code


def test_the_design_effect_from_the_spread_of_sizes_is_that_of_the_sizes_themselves():
    sizes = np.array(UNEQUAL)
    cv = sizes.std() / sizes.mean()
    found = clusters.design_effect_of_sizes(0.3, sizes.mean(), cv=cv)
    assert found == pytest.approx(design_effect(0.3, sizes))
    independent = 1 / math.sqrt(sizes.sum())
    se = clusters.cluster_se(1.0, correlation=0.3, sizes=sizes)
    assert (se / independent) ** 2 == pytest.approx(found)
    assert clusters.effective_cases_of_sizes(0.3, sizes) == pytest.approx(sizes.sum() / found)


def test_the_design_effect_of_cluster_means_is_exact_for_equal_sizes_and_close_for_others():
    equal = clusters.design_effect_of_sizes(0.3, 5, weighting="clusters")
    se = clusters.cluster_se(1.0, correlation=0.3, sizes=[5] * 8, weighting="clusters")
    assert equal == pytest.approx(se**2 * 40)
    sizes = np.array([4, 5, 6, 5, 4, 6])
    near = clusters.design_effect_of_sizes(
        0.3, sizes.mean(), cv=sizes.std() / sizes.mean(), weighting="clusters"
    )
    se = clusters.cluster_se(1.0, correlation=0.3, sizes=sizes, weighting="clusters")
    assert near == pytest.approx(se**2 * sizes.sum(), rel=0.01)


@pytest.mark.parametrize("weighting", ["cases", "clusters"])
def test_the_standard_error_is_the_spread_of_simulated_means(rng, weighting):
    x, code = draw(rng, UNEQUAL, correlation=0.4, effect=0.0, studies=4000)
    if weighting == "cases":
        means = x.mean(axis=1)
    else:
        means = np.mean([x[:, code == g].mean(axis=1) for g in range(len(UNEQUAL))], axis=0)
    se = clusters.cluster_se(1.0, correlation=0.4, sizes=UNEQUAL, weighting=weighting)
    assert means.std() == pytest.approx(se, rel=0.04)


def test_the_share_of_a_form_of_two_squares_has_a_closed_form():
    for one, other in ((1.0, 1.0), (4.0, 1.0), (1.0, 100.0)):
        found = positive_share(np.array([one, -other]), np.zeros(2))
        assert found == pytest.approx(2 / np.pi * np.arctan(np.sqrt(one / other)), abs=1e-9)


def test_the_share_of_a_form_does_not_depend_on_its_scale_and_is_simulated_right(rng):
    size, shift = np.array([3.0, -0.5, -1.0, -2.0]), np.array([2.0, 0.1, -1.0, 0.3])
    form = (size * (rng.normal(size=(200_000, 4)) + shift) ** 2).sum(axis=1)
    assert positive_share(size, shift) == pytest.approx((form > 0).mean(), abs=0.005)
    assert positive_share(1e-9 * size, shift) == pytest.approx(positive_share(size, shift))
    assert positive_share(-size, shift) == pytest.approx(1 - positive_share(size, shift))


def test_forms_of_one_sign_and_huge_shifts_are_certain():
    assert positive_share(np.array([1.0, 2.0]), np.zeros(2)) == 1.0
    assert positive_share(np.array([-1.0, -2.0]), np.ones(2)) == 0.0
    huge = np.array([1e6, 0.0, 0.0])
    assert positive_share(np.array([1.0, -1.0, -1.0]), huge) == pytest.approx(1.0)


def test_the_score_test_of_equal_clusters_is_a_noncentral_t():
    plan = clusters.score_plan(1.0, correlation=0.2, sizes=[6] * 12)
    z2 = stats.norm.isf(0.025) ** 2
    t = math.sqrt(z2 * 11 / (12 - z2))
    for effect in (0.0, 0.3, 0.8):
        shift = effect / plan.se
        expected = stats.nct.sf(t, 11, shift) + stats.nct.sf(t, 11, -shift)
        assert plan.power(effect) == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("method", ["pooled", "obuchowski", "yang", "durkalski"])
def test_the_clustered_score_test_finds_its_detectable_effect_four_times_in_five(rng, method):
    sizes = np.array(UNEQUAL, dtype=float)
    plan = clusters.score_plan(1.0, correlation=0.3, sizes=sizes, method=method)
    spread = np.sqrt(sizes * (1 + (sizes - 1) * 0.3))
    sums = sizes * plan.smallest_effect() + spread * rng.normal(size=(3000, len(sizes)))
    if method == "durkalski":
        sums, sizes = sums / sizes, np.ones_like(sizes)
    test = replace(clustered_score(sizes, np.arange(20), method=method), sums=sums[0], sizes=sizes)
    factor = 20 / 19 if method in ("obuchowski", "yang") else 1.0
    around = sums - sizes * (sums.sum(axis=1, keepdims=True) / sizes.sum())
    square = (sums**2).sum(axis=1)
    if method == "yang":
        square = (square + (around**2).sum(axis=1)) / 2
    z = sums.sum(axis=1) / np.sqrt(factor * square)
    assert z[0] == pytest.approx(test.statistic)
    assert np.mean(np.abs(z) >= stats.norm.isf(0.025)) == pytest.approx(0.8, abs=0.023)


def test_the_t_over_means_of_unequal_clusters_finds_its_detectable_effect_four_times_in_five(rng):
    sizes = [1, 1, 1, 40, 40, 40, 40]
    plan = clusters.cluster_t_plan(1.0, correlation=0.1, sizes=sizes)
    assert plan.spread_df < 6
    x, code = draw(rng, sizes, correlation=0.1, effect=plan.smallest_effect(), studies=5000)
    means = np.stack([x[:, code == g].mean(axis=1) for g in range(7)], axis=1)
    p = stats.ttest_1samp(means, 0, axis=1).pvalue
    assert p[0] == pytest.approx(paired_t_inference(cluster_means(x[0], code)).p())
    assert np.mean(p <= 0.05) == pytest.approx(0.8, abs=0.035)


@pytest.mark.parametrize("n", [6, 7, 9])
def test_sign_flips_of_equal_clusters_find_their_detectable_effect_four_times_in_five(rng, n):
    plan = clusters.sign_flip_plan(1.0, correlation=0.5, sizes=[2] * n)
    x, code = draw(rng, [2] * n, correlation=0.5, effect=plan.smallest_effect(), studies=400)
    found = [sign_flip_inference(d, cluster=code, rng=rng).p() <= 0.05 for d in x]
    assert np.mean(found) == pytest.approx(0.8, abs=0.08)


def test_simulated_and_planned_sign_flips_agree_on_equal_clusters(rng):
    for n in (6, 10, 18):
        plan = clusters.sign_flip_plan(1.0, correlation=0.2, sizes=[3] * n)
        simulated = clusters.sign_flip_plan(1.0, correlation=0.2, sizes=[3] * n, rng=rng)
        effect = plan.smallest_effect()
        assert simulated.power(effect) == pytest.approx(0.8, abs=0.04)


def test_sign_flips_of_few_unequal_clusters_are_simulated(rng):
    sizes = [1, 1, 2, 2, 3, 3, 4, 30]
    with pytest.raises(DesignError, match="`rng`"):
        clusters.sign_flip_plan(1.0, correlation=0.3, sizes=sizes)
    plan = clusters.sign_flip_plan(1.0, correlation=0.3, sizes=sizes, rng=rng)
    x, code = draw(rng, sizes, correlation=0.3, effect=plan.smallest_effect(), studies=400)
    found = [sign_flip_inference(d, cluster=code, rng=rng).p() <= 0.05 for d in x]
    assert np.mean(found) == pytest.approx(0.8, abs=0.08)


def test_five_clusters_detect_nothing_by_sign_flips(rng):
    for source in (None, rng):
        plan = clusters.sign_flip_plan(1.0, correlation=0.2, sizes=[3] * 5, rng=source)
        assert plan.smallest_effect() == math.inf
        assert plan.power(50.0) == 0.0


def test_the_same_generator_plans_the_same():
    found = [
        clusters.sign_flip_plan(
            1.0, correlation=0.3, sizes=[1, 2, 3, 4, 5, 6, 30], rng=np.random.default_rng(5)
        ).power(0.5)
        for _ in range(2)
    ]
    assert found[0] == found[1]


@pytest.mark.parametrize("method", ["percentile", "bca", "studentised"])
def test_the_cluster_bootstrap_finds_what_its_plan_says(rng, method):
    plan = clusters.bootstrap_plan(1.0, correlation=0.3, sizes=UNEQUAL, method=method)
    x, code = draw(rng, UNEQUAL, correlation=0.3, effect=plan.smallest_effect(), studies=200)
    found = [
        cluster_bootstrap(d, cluster=code, n_resamples=299, rng=rng, method=method).p() <= 0.05
        for d in x
    ]
    # the studentised bootstrap is a little wider than the t that stands for it
    assert np.mean(found) == pytest.approx(0.8, abs=0.12 if method == "studentised" else 0.09)


def test_the_corrected_t_with_another_correlation_is_simulated_right(rng):
    for correlation in (0.0, 0.4):
        plan = folds.corrected_t_plan(
            1.0, n_folds=5, test_train_ratio=0.25, correlation=correlation
        )
        own = rng.normal(size=(40_000, 5))
        shared = math.sqrt(correlation / (1 - correlation)) * rng.normal(size=(40_000, 1))
        d = 2.5 + own + shared
        se = np.sqrt((1 / 5 + 0.25) * d.var(axis=1, ddof=1))
        found = np.mean(d.mean(axis=1) / se > stats.t.isf(0.025, 4))
        assert plan.power(2.5) == pytest.approx(found, abs=0.008)


def test_the_plain_t_over_overlapping_folds_finds_what_is_not_there():
    plan = folds.corrected_t_plan(1.0, n_folds=10, test_train_ratio=1 / 9, corrected=False)
    assert plan.power(0.0, both_sides=True) > 0.13


@pytest.mark.parametrize("n_seeds", [2, 3, 8])
def test_the_crossed_t_has_the_power_that_is_planned(rng, n_seeds):
    at = {"sd_cluster": 1.0, "sd_seed": 0.3, "sd_residual": 0.8}
    plan = folds.crossed_plan(n_clusters=25, n_seeds=n_seeds, **at)
    effect = 2.8 * plan.se
    d = effect + rng.normal(size=(1200, 25, 1)) + 0.3 * rng.normal(size=(1200, 1, n_seeds))
    d = d + 0.8 * rng.normal(size=(1200, 25, n_seeds))
    t, df = np.array([(one.statistic, one.df) for one in map(crossed_t_inference, d)]).T
    found = np.mean(2 * stats.t.sf(np.abs(t), df) <= 0.05)
    assert plan.power(effect) == pytest.approx(found, abs=0.04)


def test_the_crossed_bootstrap_has_the_power_that_is_planned(rng):
    plan = folds.crossed_plan(
        sd_cluster=0.5, sd_seed=0.4, sd_residual=1.0, n_clusters=30, n_seeds=6, test="bootstrap"
    )
    effect = plan.smallest_effect()
    shape = (150, 30, 6)
    d = effect + 0.5 * rng.normal(size=(150, 30, 1)) + 0.4 * rng.normal(size=(150, 1, 6))
    d = d + rng.normal(size=shape)
    found = np.mean([crossed(each, n_resamples=299, rng=rng).p() <= 0.05 for each in d])
    assert found == pytest.approx(0.8, abs=0.1)


def test_the_two_level_bootstrap_has_the_power_that_is_planned(rng):
    plan = folds.two_level_plan(sd_fold=0.3, sd_cluster=1.0, n_folds=6, clusters_per_fold=12)
    fold, effect = np.repeat(np.arange(6), 12), plan.smallest_effect()
    d = effect + 0.3 * rng.normal(size=(150, 6))[:, fold] + rng.normal(size=(150, 72))
    found = np.mean(
        [
            two_level(each, fold=fold, cluster=np.arange(72), n_resamples=299, rng=rng).p() <= 0.05
            for each in d
        ]
    )
    assert found == pytest.approx(0.8, abs=0.08)


def test_plans_without_spread_decide_at_once():
    plan = folds.crossed_plan(sd_cluster=0.0, sd_seed=0.0, sd_residual=0.0, n_clusters=5, n_seeds=3)
    assert plan.power(0.1) == 1.0
    assert plan.power(0.0) == 0.0
    assert plan.smallest_effect() == 0.0


@pytest.mark.parametrize(
    "call",
    [
        lambda: clusters.cluster_se(1.0, correlation=-0.1, sizes=[2, 2]),
        lambda: clusters.cluster_se(1.0, correlation=0.1, sizes=[2, 0]),
        lambda: clusters.cluster_se(1.0, correlation=0.1, sizes=[4]),
        lambda: clusters.design_effect_of_sizes(0.1, 0.0),
        lambda: clusters.design_effect_of_sizes(0.1, 3.0, cv=-1.0),
        lambda: clusters.score_plan(1.0, correlation=0.1, sizes=[3, 3], method="none"),
        lambda: clusters.score_plan(0.0, correlation=0.1, sizes=[3, 3]),
        lambda: clusters.score_plan(1.0, correlation=0.1, sizes=np.ones(5000)),
        lambda: folds.corrected_t_plan(1.0, n_folds=1, test_train_ratio=0.25),
        lambda: folds.corrected_t_plan(1.0, n_folds=5, test_train_ratio=0.25, correlation=1.0),
        lambda: folds.two_level_plan(sd_fold=-1.0, sd_cluster=1.0, n_folds=5, clusters_per_fold=9),
        lambda: folds.crossed_plan(
            sd_cluster=1.0, sd_seed=0.0, sd_residual=0.0, n_clusters=5, n_seeds=1
        ),
    ],
)
def test_impossible_designs_are_refused(call):
    with pytest.raises(DesignError):
        call()
