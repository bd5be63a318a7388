import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestPower

from common.statistics import power
from common.statistics.paired import corrected_t, crossed_t_inference, sign_flip, wilcoxon
from common.statistics.ranking import friedman
from common.statistics.results import DesignError


@pytest.mark.parametrize("n", [4, 12, 80])
def test_the_paired_t_agrees_with_statsmodels(n):
    expected = TTestPower().solve_power(nobs=n, alpha=0.05, power=0.8, alternative="two-sided")
    assert power.paired_t(1.0, n=n) == pytest.approx(expected, rel=1e-4)


def test_a_simulated_effect_of_the_detectable_size_is_found_four_times_in_five(rng):
    # folds that overlap: a shared part with the variance that the correction assumes
    k, ratio, sd = 5, 0.25, 2.0
    shared = np.sqrt(ratio / (1 + ratio)) * sd * np.sqrt(1 + ratio)
    effect = power.corrected_t(sd, n_folds=k, test_train_ratio=ratio)
    d = effect + sd * rng.normal(size=(2000, k)) + shared * rng.normal(size=(2000, 1))
    found = np.mean([corrected_t(one, test_train_ratio=ratio).p < 0.05 for one in d])
    assert found == pytest.approx(0.8, abs=0.04)


def test_the_crossed_t_finds_its_detectable_effect_four_times_in_five(rng):
    effect = power.crossed_t(sd_cluster=1.0, sd_seed=0.2, sd_residual=1.0, n_clusters=40, n_seeds=6)
    noise = rng.normal(size=(1500, 40, 1)) + 0.2 * rng.normal(size=(1500, 1, 6))
    studies = effect + noise + rng.normal(size=(1500, 40, 6))
    found = np.mean([crossed_t_inference(one).p() < 0.05 for one in studies])
    assert found == pytest.approx(0.8, abs=0.05)


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
    ],
)
def test_impossible_requests_are_refused(call):
    with pytest.raises(DesignError):
        call()
