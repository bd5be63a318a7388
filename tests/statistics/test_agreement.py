import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import cohens_kappa as statsmodels_kappa, to_table

from common.statistics.agreement import (
    RATER_FORMS,
    bland_altman,
    bland_altman_clustered,
    cohens_kappa,
    cohens_kappa_inference,
    rater_icc,
    rater_icc_inference,
)
from common.statistics.dependence import icc
from common.statistics.results import DesignError


def _ratings(rng, n=15, k=3, bias=0.5):
    return rng.normal(size=(n, 1)) + bias * np.arange(k) + 0.6 * rng.normal(size=(n, k))


def test_equal_ratings_agree_in_every_form():
    same = np.repeat([[1.0], [4.0], [2.0]], 3, axis=1)
    for form in RATER_FORMS:
        found = rater_icc(same, form=form)
        assert (found.effect, found.low, found.high, found.p) == (1, 1, 1, 0)


def test_a_rater_who_adds_a_constant_lowers_agreement_but_not_consistency(rng):
    ratings = _ratings(rng, bias=0)
    moved = ratings + np.array([0, 0, 5])
    assert rater_icc(moved, form="3,1").effect == pytest.approx(
        rater_icc(ratings, form="3,1").effect
    )
    assert rater_icc(moved, form="2,1").effect < 0.5 * rater_icc(ratings, form="2,1").effect
    assert rater_icc(moved, form="1,1").effect < rater_icc(moved, form="2,1").effect


def test_form_1_is_the_one_way_correlation_and_form_3_k_is_cronbachs_alpha(rng):
    ratings = _ratings(rng)
    cluster = np.repeat(np.arange(15), 3)
    assert rater_icc(ratings, form="1,1").effect == pytest.approx(icc(ratings.ravel(), cluster))
    items, total = ratings.var(axis=0, ddof=1).sum(), ratings.sum(axis=1).var(ddof=1)
    assert rater_icc(ratings, form="3,k").effect == pytest.approx(3 / 2 * (1 - items / total))


def test_the_order_of_subjects_and_raters_and_the_unit_do_not_matter(rng):
    ratings = _ratings(rng)
    for form in RATER_FORMS:
        one = rater_icc(ratings, form=form)
        other = rater_icc(10 - 3 * ratings[rng.permutation(15)][:, [2, 0, 1]], form=form)
        assert (one.effect, one.low, one.p) == pytest.approx((other.effect, other.low, other.p))


@pytest.mark.parametrize("form", RATER_FORMS)
def test_the_interval_holds_exactly_the_values_that_are_not_rejected(rng, form):
    inference = rater_icc_inference(_ratings(rng), form=form)
    interval = inference.interval()
    assert inference.p(interval.low) == pytest.approx(0.05)
    assert inference.p(interval.high) == pytest.approx(0.05)
    assert inference.p_greater(0.3) + inference.p_less(0.3) == pytest.approx(1)
    assert inference.p(1.0) == 0
    assert inference.interval(0.5).low < inference.effect < inference.interval(0.5).high


def test_the_intervals_cover_the_true_correlation_as_often_as_they_say(rng):
    # subjects 1, raters 0.3, error 0.5: 1 / 1.8 for agreement, 1 / 1.5 for consistency
    held = {"2,1": 0, "3,1": 0}
    for _ in range(600):
        y = rng.normal(size=(20, 1)) + np.sqrt(0.3) * rng.normal(size=(1, 4))
        y = y + np.sqrt(0.5) * rng.normal(size=(20, 4))
        for form, true in (("2,1", 1 / 1.8), ("3,1", 1 / 1.5)):
            interval = rater_icc_inference(y, form=form).interval()
            held[form] += interval.low <= true <= interval.high
    assert held["3,1"] / 600 == pytest.approx(0.95, abs=0.03)
    assert 0.90 <= held["2,1"] / 600 <= 0.98


def test_the_standard_error_is_that_of_many_studies(rng):
    studies = rng.normal(size=(1500, 60, 1)) + 0.8 * rng.normal(size=(1500, 60, 3))
    for form in ("1,1", "3,k"):
        found = [rater_icc_inference(y, form=form) for y in studies]
        spread = np.std([each.effect for each in found])
        assert np.mean([each.se for each in found]) == pytest.approx(spread, rel=0.1)


@pytest.mark.parametrize("weights", [None, "linear", "quadratic"])
def test_kappa_agrees_with_statsmodels_and_sklearn(rng, weights):
    a = rng.integers(0, 4, 90)
    b = np.clip(a + rng.integers(-1, 2, 90), 0, 3)
    found = cohens_kappa_inference(a, b, weights=weights)
    table, _ = to_table(np.column_stack([a, b]))
    expected = statsmodels_kappa(table, wt=weights)
    assert found.effect == pytest.approx(expected.kappa)
    assert found.effect == pytest.approx(cohen_kappa_score(a, b, weights=weights))
    assert found.se == pytest.approx(np.sqrt(expected.var_kappa))
    assert found.interval().low == pytest.approx(expected.kappa_low)


def test_clusters_of_one_case_leave_the_standard_error_of_kappa_alone(rng):
    a, b = rng.integers(0, 3, 50), rng.integers(0, 3, 50)
    plain = cohens_kappa_inference(a, b)
    clustered = cohens_kappa_inference(a, b, cluster=np.arange(50))
    assert (clustered.effect, clustered.se) == pytest.approx((plain.effect, plain.se))
    assert (plain.df, clustered.df) == (np.inf, 49)


def test_copying_every_case_narrows_the_plain_interval_but_not_the_clustered_one(rng):
    a = rng.integers(0, 3, 40)
    b = np.where(rng.random(40) < 0.7, a, rng.integers(0, 3, 40))
    one = cohens_kappa_inference(a, b)
    cluster = np.repeat(np.arange(40), 4)
    many = cohens_kappa_inference(np.repeat(a, 4), np.repeat(b, 4))
    clustered = cohens_kappa_inference(np.repeat(a, 4), np.repeat(b, 4), cluster=cluster)
    assert many.se == pytest.approx(one.se / 2)
    assert clustered.se == pytest.approx(one.se)


def test_the_clustered_error_of_kappa_is_the_jackknife_over_clusters_to_first_order(rng):
    cluster = np.repeat(np.arange(120), rng.integers(1, 9, 120))
    severity = rng.normal(size=120)[cluster]
    a, b = ((severity + rng.normal(0, 0.7, len(cluster)) > 0).astype(int) for _ in range(2))
    left_out = np.array(
        [cohens_kappa_inference(a[cluster != c], b[cluster != c]).effect for c in range(120)]
    )
    jackknife = np.sqrt(119 / 120 * ((left_out - left_out.mean()) ** 2).sum())
    found = cohens_kappa(a, b, cluster=cluster)
    se = (found.high - found.low) / 2 / stats.t.ppf(0.975, 119)
    assert se == pytest.approx(jackknife, rel=0.03)
    assert se > 1.2 * cohens_kappa_inference(a, b).se
    assert (found.n_cases, found.n_clusters) == (len(a), 120)


def test_names_of_categories_do_not_matter_but_their_order_does_with_weights():
    first, second = ["mild", "none", "severe", "mild"], ["none", "none", "severe", "severe"]
    order = ["none", "mild", "severe"]
    codes = {name: number for number, name in enumerate(order)}
    numbers = [[codes[name] for name in each] for each in (first, second)]
    assert cohens_kappa(first, second).effect == cohens_kappa(*numbers).effect
    weighted = cohens_kappa(first, second, weights="linear", categories=order)
    assert weighted.effect == pytest.approx(cohens_kappa(*numbers, weights="linear").effect)
    assert cohens_kappa(first, second, weights="linear").effect != weighted.effect


def test_a_category_that_nobody_used_widens_the_scale_of_weights():
    first, second = [0, 1, 1, 3, 0], [0, 1, 3, 3, 1]
    seen = cohens_kappa(first, second, weights="quadratic").effect
    whole = cohens_kappa(first, second, weights="quadratic", categories=[0, 1, 2, 3]).effect
    expected = cohen_kappa_score(first, second, weights="quadratic", labels=[0, 1, 2, 3])
    assert whole == pytest.approx(expected)
    assert seen != pytest.approx(whole)


def test_full_agreement_is_one_and_independent_ratings_are_near_zero(rng):
    found = cohens_kappa([0, 1, 2, 0], [0, 1, 2, 0])
    assert (found.effect, found.low, found.high, found.p) == (1, 1, 1, 0)
    assert cohens_kappa(rng.integers(0, 3, 5000), rng.integers(0, 3, 5000)).effect == pytest.approx(
        0, abs=0.03
    )


def test_limits_mirror_when_the_methods_are_swapped_and_scale_with_the_unit(rng):
    d = rng.normal(1, 2, 25)
    for method in ("exact", "approximate"):
        one, other = bland_altman(d, method=method), bland_altman(-10 * d, method=method)
        assert other.bias == pytest.approx(-10 * one.bias)
        assert other.lower == pytest.approx(-10 * one.upper)
        assert other.lower_interval.low == pytest.approx(-10 * one.upper_interval.high)
        assert other.lower_interval.high == pytest.approx(-10 * one.upper_interval.low)
        assert other.bias_interval.low == pytest.approx(-10 * one.bias_interval.high)


def test_the_exact_interval_of_a_limit_has_the_printed_tolerance_factors():
    # one-sided factors for 95 % of the values with 95 % confidence, Natrella (1963), table A-7
    for n, factor in ((10, 2.911), (20, 2.396), (30, 2.220)):
        d = np.tile([-1.0, 1.0], n // 2) * np.sqrt((n - 1) / n)  # mean 0, standard deviation 1
        found = bland_altman(d, coverage=0.90, level=0.90)
        assert found.upper_interval.high == pytest.approx(factor, abs=0.001)


def test_the_exact_intervals_cover_the_limits_as_often_as_they_say_with_few_cases(rng):
    held = {"exact": 0, "approximate": 0}
    for d in rng.normal(size=(600, 6)):
        for method in held:
            interval = bland_altman(d, method=method).upper_interval
            held[method] += interval.high >= 1.959964
    assert held["exact"] / 600 == pytest.approx(0.975, abs=0.016)
    assert held["approximate"] / 600 < 0.96


def test_equal_differences_have_points_for_limits():
    found = bland_altman([2.0, 2.0, 2.0])
    assert (found.lower, found.upper, found.upper_interval.high) == (2, 2, 2)


def test_the_clustered_limits_are_the_plain_ones_where_clusters_are_not_alike(rng):
    # large sample without a component between clusters
    d = rng.normal(1, 2, 4000)
    plain, clustered = bland_altman(d), bland_altman_clustered(d, np.repeat(np.arange(1000), 4))
    assert clustered.sd == pytest.approx(plain.sd, rel=0.01)
    assert clustered.upper_interval.high == pytest.approx(plain.upper_interval.high, abs=0.05)


def test_clusters_less_alike_than_strangers_have_no_component_between():
    found = bland_altman_clustered([0, 2, 0, 2], ["a", "a", "b", "b"])
    assert found.sd_between == 0
    assert found.sd == pytest.approx(np.sqrt(2))


def test_the_clustered_bias_has_the_t_interval_of_cluster_means_when_sizes_are_equal(rng):
    cluster = np.repeat(np.arange(9), 4)
    d = rng.normal(size=9)[cluster] + rng.normal(size=36)
    means = d.reshape(9, 4).mean(axis=1)
    low, high = stats.t.interval(0.95, 8, means.mean(), stats.sem(means))
    found = bland_altman_clustered(d, cluster)
    assert (found.bias_interval.low, found.bias_interval.high) == pytest.approx((low, high))


def test_the_clustered_intervals_cover_the_limits_where_the_plain_ones_do_not(rng):
    sizes = rng.integers(2, 10, 12)
    cluster = np.repeat(np.arange(12), sizes)
    held = np.zeros(2)
    for _ in range(300):
        d = np.sqrt(0.6) * rng.normal(size=12)[cluster] + np.sqrt(0.4) * rng.normal(
            size=len(cluster)
        )
        for number, found in enumerate((bland_altman_clustered(d, cluster), bland_altman(d))):
            held[number] += found.upper_interval.low <= 1.959964 <= found.upper_interval.high
    assert 0.92 <= held[0] / 300 <= 0.985
    assert held[1] / 300 < 0.8


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: rater_icc([[1, 2]]), "at least 2 values along each axis"),
        (lambda: rater_icc([1, 2, 3]), "must have 2 axes"),
        (lambda: rater_icc([[1, np.nan], [2, 3]]), "must be finite"),
        (lambda: rater_icc([[1, 1], [1, 1]]), "`ratings` must vary"),
        (lambda: rater_icc([[1, 2], [2, 3]], form="2"), "`form` must be one of"),
        (lambda: cohens_kappa([], []), "Pair them"),
        (lambda: cohens_kappa([1, 2], [1]), "Pair them"),
        (lambda: cohens_kappa([1, 1], [1, 1]), "Kappa is undefined"),
        (lambda: cohens_kappa([1, 2], [1, 3], categories=[1, 2]), r"got none for \['3'\]"),
        (lambda: cohens_kappa([1, 2], [1, 2], cluster=["a", "a"]), "at least 2 clusters"),
        (lambda: bland_altman([1.0]), "at least 2"),
        (lambda: bland_altman([1.0, np.inf]), "must be finite"),
        (lambda: bland_altman([1.0, 2.0], coverage=1.0), "`coverage` must lie in"),
        (lambda: bland_altman_clustered([1, 2], ["a", "b"]), "more cases than clusters"),
        (lambda: bland_altman_clustered([1, 2], ["a", "a"]), "must hold 2 clusters"),
    ],
)
def test_what_has_no_answer_is_refused(call, message):
    with pytest.raises(DesignError, match=message):
        call()
