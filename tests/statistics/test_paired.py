import itertools

import numpy as np
import pytest
from scipy import stats

from common.statistics import folds, paired
from common.statistics.paired import (
    corrected_t,
    crossed_t,
    crossed_t_inference,
    paired_t,
    sign_flip,
    tost,
    tost_corrected_t,
    tost_crossed_t,
    wilcoxon,
)
from common.statistics.results import DesignError


def test_paired_t_agrees_with_scipy(rng):
    d = rng.normal(0.2, 1, 15)
    found = paired_t(d)
    assert found.p == pytest.approx(stats.ttest_1samp(d, 0).pvalue)
    assert (found.n_cases, found.n_clusters) == (15, 15)


def test_tost_agrees_with_two_one_sided_scipy_tests(rng):
    d = rng.normal(0.1, 1, 30)
    upper = stats.ttest_1samp(d, 0.6, alternative="less").pvalue
    lower = stats.ttest_1samp(d, -0.6, alternative="greater").pvalue
    assert tost(d, margin=0.6).p == pytest.approx(max(upper, lower))


def test_equivalence_gets_easier_with_the_margin_and_refuses_none():
    ps = [tost_corrected_t([-1, 0, 1, 2], test_train_ratio=1 / 3, margin=m).p for m in (1, 3, 9)]
    assert ps == sorted(ps, reverse=True)
    with pytest.raises(DesignError, match="`margin` must be > 0"):
        tost([1, 2, 3], margin=0)


def _naive_sign_flip(d, cluster):
    names = np.unique(cluster)
    sums = np.array([d[cluster == name].sum() for name in names])
    flips = np.array(list(itertools.product([1, -1], repeat=len(names)))) @ sums
    return np.mean(np.abs(flips) >= abs(sums.sum()) - 1e-12)


def test_sign_flip_lists_all_patterns_like_a_naive_loop(rng):
    cluster = np.repeat(np.arange(9), [1, 2, 3, 4, 5, 1, 2, 3, 4])
    d = rng.integers(-1, 2, len(cluster)).astype(float)
    found = sign_flip(d, cluster=cluster, rng=rng)
    assert found.p == pytest.approx(_naive_sign_flip(d, cluster))
    assert found.note == "all sign patterns"


def test_sign_flip_of_cluster_sums_agrees_with_scipy_permutations(rng):
    d = rng.normal(0.4, 1, 10)
    expected = stats.permutation_test(
        (d, np.zeros(10)), lambda a, b: (a - b).mean(), permutation_type="samples", n_resamples=2000
    ).pvalue
    assert sign_flip(d, rng=rng).p == pytest.approx(expected, abs=1e-9)


def test_random_sign_flips_approach_the_exact_p(rng):
    d = rng.normal(0.3, 1, 200)
    expected = paired_t(d).p
    assert sign_flip(d, n_resamples=20_000, rng=rng).p == pytest.approx(expected, abs=0.01)


def test_swapping_the_arms_flips_the_sign_and_keeps_p(rng):
    d = rng.normal(0.3, 1, 12)
    matrix = rng.normal(0.3, 1, (12, 4))
    pairs = [
        (paired_t(d), paired_t(-d)),
        (wilcoxon(d), wilcoxon(-d)),
        (sign_flip(d, rng=rng), sign_flip(-d, rng=rng)),
        (crossed_t(matrix), crossed_t(-matrix)),
        (corrected_t(d, test_train_ratio=0.1), corrected_t(-d, test_train_ratio=0.1)),
    ]
    for one, other in pairs:
        assert one.effect == pytest.approx(-other.effect)
        assert one.low == pytest.approx(-other.high)
        assert one.p == pytest.approx(other.p)


def test_renaming_and_reordering_clusters_changes_nothing(rng):
    cluster = np.repeat(np.arange(10), 3)
    d = rng.normal(size=30)
    order = rng.permutation(30)
    names = np.array([f"patient {9 - c}" for c in cluster])
    one, other = (
        sign_flip(d, cluster=cluster, rng=np.random.default_rng(1)),
        sign_flip(d[order], cluster=names[order], rng=np.random.default_rng(1)),
    )
    assert one.p == other.p
    assert one.effect == pytest.approx(other.effect)


def test_the_same_generator_gives_the_same_bits_and_the_global_seed_does_not_matter():
    d = np.random.default_rng(3).normal(0.1, 1, 40)
    np.random.seed(0)  # noqa: NPY002
    one = sign_flip(d, rng=np.random.default_rng(5)).p
    np.random.seed(1)  # noqa: NPY002
    assert sign_flip(d, rng=np.random.default_rng(5)).p == one
    assert sign_flip(d, rng=np.random.default_rng(6)).p != one


def test_no_difference_at_all_gives_p_one(rng):
    zeros = np.zeros(8)
    assert paired_t(zeros).p == 1
    assert wilcoxon(zeros).p == 1
    assert sign_flip(zeros, rng=rng).p == 1
    assert crossed_t(zeros.reshape(4, 2)).p == 1


def test_crossed_t_has_the_variance_worked_by_hand():
    # rows 0, 2 and columns 0, 1 added: MS_c = 2*2 = 4, MS_s = 2*0.5 = 1, MS_cs = 0
    matrix = np.array([[0.0, 1.0], [2.0, 3.0]])
    inference = crossed_t_inference(matrix)
    assert inference.se == pytest.approx(np.sqrt(5 / 4))
    assert inference.df == pytest.approx(25 / (16 + 1))


def test_crossed_t_never_claims_less_variance_than_its_larger_factor(rng):
    # seeds whose means are all equal: MS_s = 0 < MS_cs
    matrix = rng.normal(size=(30, 5))
    matrix -= matrix.mean(axis=0)
    matrix += 0.2
    by_cluster = matrix.mean(axis=1)
    inference = crossed_t_inference(matrix)
    assert inference.se == pytest.approx(by_cluster.std(ddof=1) / np.sqrt(30))
    assert inference.df == 29


def _crossed_null(rng, n, n_c, n_s, sd_c, sd_s):
    noise = rng.normal(size=(n, n_c, n_s))
    return noise + sd_c * rng.normal(size=(n, n_c, 1)) + sd_s * rng.normal(size=(n, 1, n_s))


@pytest.mark.parametrize(("sd_c", "sd_s"), [(1.0, 0.0), (1.0, 0.5), (0.5, 1.0)])
def test_crossed_t_keeps_its_level_where_the_test_over_patients_alone_does_not(rng, sd_c, sd_s):
    studies = _crossed_null(rng, 1500, 40, 5, sd_c, sd_s)
    crossed = np.mean([crossed_t_inference(one).p() < 0.05 for one in studies])
    patients = np.mean(stats.ttest_1samp(studies.mean(axis=2), 0, axis=1).pvalue < 0.05)
    assert 0.02 <= crossed <= 0.068
    # The test over patients misses the seeds' share of the variance of the mean.
    seen = sd_c**2 / 40 + 1 / 200
    ratio = np.sqrt(seen / (seen + sd_s**2 / 5))
    expected = 2 * stats.norm.sf(stats.t.isf(0.025, 39) * ratio)
    assert patients == pytest.approx(expected, abs=0.035)


def test_tost_of_the_crossed_t_supports_equality_only_within_the_margin(rng):
    matrix = _crossed_null(rng, 1, 60, 5, 0.05, 0.02)[0] * 0.1
    assert tost_crossed_t(matrix, margin=0.2).p < 0.05
    assert tost_crossed_t(matrix, margin=0.001).p > 0.05


def test_sign_flips_of_patients_keep_their_level_where_flips_of_patches_do_not(rng):
    cluster = np.repeat(np.arange(40), 10)
    rejected = {"patients": 0, "patches": 0}
    for _ in range(300):
        d = np.repeat(rng.normal(0, 0.9, 40), 10) + rng.normal(0, 1, 400)  # ICC 0.45
        rejected["patients"] += sign_flip(d, cluster=cluster, n_resamples=499, rng=rng).p < 0.05
        rejected["patches"] += sign_flip(d, n_resamples=499, rng=rng).p < 0.05
    assert 0.02 <= rejected["patients"] / 300 <= 0.085
    assert rejected["patches"] / 300 > 0.3


def test_wilcoxon_states_zeros_ties_and_the_law():
    d = np.array([0.0, 1.0, 1.0, -2.0, 3.0, 4.0, 0.0, 5.0])
    found = wilcoxon(d)
    assert found.note == "2 zeros dropped; 2 tied; exact law"
    assert wilcoxon(d, zeros="pratt").note == "2 zeros ranked, then dropped; 2 tied; exact law"
    assert wilcoxon(d, method="asymptotic").note == "2 zeros dropped; 2 tied; normal law"
    assert wilcoxon(d[1:5], level=0.5).high < wilcoxon(d[1:5], level=0.8).high


def test_wilcoxon_is_exact_with_ties_where_scipy_takes_the_normal_law():
    d = np.array([1.0, 1.0, -1.0, 2.0, 2.0, 2.0, -2.0] * 2)
    ranks = stats.rankdata(np.abs(d))
    signs = np.array(list(itertools.product([1, -1], repeat=14)))
    expected = np.mean(np.abs(signs @ ranks) >= abs(np.sign(d) @ ranks) - 1e-9)
    assert wilcoxon(d).p == pytest.approx(expected)
    normal = stats.wilcoxon(d).pvalue
    assert wilcoxon(d, method="asymptotic").p == pytest.approx(normal)
    assert normal != pytest.approx(expected, rel=1e-3)


def test_the_names_of_other_modules_can_be_imported_from_here():
    assert paired.corrected_t is folds.corrected_t
    assert all(hasattr(paired, name) for name in paired.__all__)


@pytest.mark.parametrize("call", [paired_t, wilcoxon, lambda d: corrected_t(d, test_train_ratio=1)])
@pytest.mark.parametrize("bad", [[], [1.0], [1.0, np.nan]])
def test_too_few_or_non_finite_differences_are_refused(call, bad):
    with pytest.raises(DesignError):
        call(bad)


def test_one_cluster_is_refused(rng):
    with pytest.raises(DesignError, match="at least 2 clusters, got 1"):
        sign_flip([1.0, 2.0], cluster=["p", "p"], rng=rng)
    with pytest.raises(DesignError):
        crossed_t([[1.0, 2.0]])
    with pytest.raises(DesignError, match="`test_train_ratio` must be > 0"):
        corrected_t([1.0, 2.0], test_train_ratio=0)
