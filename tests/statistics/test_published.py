import numpy as np
import pytest
from scipy import stats

from common.statistics.published import (
    congruence_range,
    difference_se,
    posterior_below,
    probability_below,
    probability_below_overlap,
    probability_false_ordering,
    probability_false_ordering_overlap,
    probability_negligible,
    proportion_interval,
    widest_sd,
)
from common.statistics.results import DesignError


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
