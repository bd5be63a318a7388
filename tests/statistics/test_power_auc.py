import math

import numpy as np
import pytest
from scipy import stats

from common.statistics import power_agreement as agreement, power_areas as areas, power_auc as auc
from common.statistics.agreement import cohens_kappa_inference, rater_icc_inference
from common.statistics.auc import auc_areas, auc_inference
from common.statistics.bootstrap import cluster_bootstrap
from common.statistics.results import DesignError


def draw(rng, areas_, labels, *, r=0.5, cluster=None, correlation=0.0):
    """Draw two methods' normal scores (cases, 2) with given areas."""
    own = np.arange(len(labels)) if cluster is None else cluster

    def latent():
        shared = rng.normal(size=own.max() + 1)[own]
        rest = rng.normal(size=len(labels))
        return math.sqrt(correlation) * shared + math.sqrt(1 - correlation) * rest

    both = latent()
    gap = math.sqrt(2) * stats.norm.ppf(areas_)
    scores = [math.sqrt(r) * both + math.sqrt(1 - r) * latent() for _ in range(2)]
    return np.column_stack(scores) + labels[:, None] * gap


def test_the_variance_of_the_smallest_study_is_that_of_one_pair():
    for scores in ("binormal", "exponential"):
        se = areas.auc_se(0.7, n_positive=1, n_negative=1, scores=scores)
        assert se == pytest.approx(math.sqrt(0.7 * 0.3))


def test_equal_methods_with_equal_scores_have_no_difference_to_estimate():
    at = {"n_positive": 30, "n_negative": 40}
    assert areas.auc_difference_se(0.8, 0.8, r_positive=1.0, r_negative=1.0, **at) == pytest.approx(
        0.0, abs=1e-7
    )
    unrelated = areas.auc_difference_se(0.8, 0.7, **at)
    assert unrelated == pytest.approx(math.hypot(areas.auc_se(0.8, **at), areas.auc_se(0.7, **at)))
    assert areas.auc_difference_se(0.8, 0.7, auc_correlation=0.0, **at) == pytest.approx(unrelated)


def test_an_area_and_its_mirror_image_vary_alike():
    at = {"n_positive": 20, "n_negative": 20}
    assert areas.auc_se(0.8, **at) == pytest.approx(areas.auc_se(0.2, **at))


def test_classes_of_equal_use_can_be_exchanged():
    one = areas.auc_se(0.9, n_positive=12, n_negative=50)
    assert one == pytest.approx(areas.auc_se(0.9, n_positive=50, n_negative=12))


def test_clusters_of_one_case_change_nothing_and_copies_count_once():
    at = {"n_positive": 30, "n_negative": 40}
    plain = areas.auc_se(0.8, **at)
    assert areas.auc_se(0.8, positives_per_cluster=1.0, correlation=0.9, **at) == pytest.approx(
        plain
    )
    copies = areas.auc_se(
        0.8,
        n_positive=60,
        n_negative=80,
        positives_per_cluster=2,
        negatives_per_cluster=2,
        correlation=1.0,
    )
    assert copies == pytest.approx(plain)


@pytest.mark.parametrize(
    ("n_positive", "n_negative", "first", "second"),
    [(20, 20, 0.85, 0.7), (30, 30, 0.97, 0.85), (60, 40, 0.9, 0.8)],
)
def test_delongs_test_has_the_power_that_is_planned(rng, n_positive, n_negative, first, second):
    labels = np.repeat([1, 0], [n_positive, n_negative])
    found = [
        auc_areas(draw(rng, [first, second], labels), labels).difference().p() <= 0.05
        for _ in range(500)
    ]
    planned = auc.auc_difference_power(
        first,
        second,
        n_positive=n_positive,
        n_negative=n_negative,
        r_positive=0.5,
        r_negative=0.5,
    )
    assert planned == pytest.approx(np.mean(found), abs=0.06)


def test_areas_of_clustered_cases_vary_as_planned(rng):
    cluster = np.repeat(np.arange(40), 3)
    labels = (cluster % 2).astype(int)
    at = {"positives_per_cluster": 3, "negatives_per_cluster": 3, "correlation": 0.4}
    found = [
        np.subtract(*auc_areas(scores, labels).aucs)
        for scores in (
            draw(rng, [0.9, 0.8], labels, cluster=cluster, correlation=0.4) for _ in range(800)
        )
    ]
    se = areas.auc_difference_se(
        0.9, 0.8, n_positive=60, n_negative=60, r_positive=0.5, r_negative=0.5, **at
    )
    assert np.std(found) == pytest.approx(se, rel=0.09)


@pytest.mark.parametrize(("true", "value"), [(0.7, 0.5), (0.93, 0.8), (0.6, 0.8)])
def test_one_area_against_a_value_has_the_power_that_is_planned(rng, true, value):
    labels = np.repeat([1, 0], [30, 40])
    found = [
        auc_inference(draw(rng, [true, true], labels)[:, 0], labels).p(value) <= 0.05
        for _ in range(450)
    ]
    planned = auc.auc_power(true, value, n_positive=30, n_negative=40)
    assert planned == pytest.approx(np.mean(found), abs=0.07)


def test_areas_of_different_cases_are_harder_to_tell_apart_than_of_the_same():
    apart = auc.auc_unpaired_power(0.9, 0.8, first=(50, 60), second=(50, 60))
    at = {"n_positive": 50, "n_negative": 60}
    assert auc.auc_difference_power(0.9, 0.8, **at) == pytest.approx(apart, abs=1e-6)
    together = auc.auc_difference_power(0.9, 0.8, r_positive=0.5, r_negative=0.5, **at)
    assert together > apart
    assert auc.auc_difference_power(0.8, 0.9, **at) == pytest.approx(apart, abs=1e-6)


def test_a_gain_that_cannot_be_detected_is_infinite():
    def power_of(area):
        return auc.auc_difference_power(area, 0.95, n_positive=8, n_negative=8)

    assert auc.auc_gain_detected(power_of, 0.95) == math.inf


def test_the_bootstrap_of_scans_has_the_power_that_is_planned(rng):
    plan = auc.scan_bootstrap_plan(0.4, n_scans=25)
    d = plan.smallest_effect() + 0.4 * rng.normal(size=(200, 25))
    found = [cluster_bootstrap(one, n_resamples=299, rng=rng).p() <= 0.05 for one in d]
    assert np.mean(found) == pytest.approx(0.8, abs=0.09)


def test_a_table_of_ratings_has_the_kappa_and_the_rates_asked_for():
    table = agreement.kappa_table(0.4, [0.2, 0.3, 0.5])
    chance = table.sum(axis=0) @ table.sum(axis=1)
    assert table.sum(axis=0) == pytest.approx([0.2, 0.3, 0.5])
    assert (np.trace(table) - chance) / (1 - chance) == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("kappa", "value", "share", "n"),
    [(0.6, 0.32, 0.5, 64), (0.8, 0.6, 0.2, 150), (0.4, 0.7, 0.3, 80)],
)
def test_kappa_has_the_power_that_is_planned(rng, kappa, value, share, n):
    cells = agreement.kappa_table(kappa, [share, 1 - share]).ravel()
    drawn = rng.choice(4, p=cells, size=(1000, n))
    found = [cohens_kappa_inference(x // 2, x % 2).p(value) <= 0.05 for x in drawn]
    planned = agreement.kappa_power(kappa, value, rates=[share, 1 - share], n=n)
    assert planned == pytest.approx(np.mean(found), abs=0.06)


def test_complete_agreement_has_no_spread():
    assert agreement.kappa_power(1.0, 0.5, rates=[0.5, 0.5], n=20) == 1.0


@pytest.mark.parametrize(("form", "model"), [("1,1", "one_way"), ("3,1", "consistency")])
def test_an_intraclass_correlation_has_the_power_that_is_planned(rng, form, model):
    y = math.sqrt(0.7) * rng.normal(size=(800, 25, 1))
    y = y + math.sqrt(0.3) * rng.normal(size=(800, 25, 3))
    found = [rater_icc_inference(one, form=form).p(0.5) <= 0.05 for one in y]
    planned = agreement.icc_power(0.7, 0.5, n_subjects=25, n_raters=3, model=model)
    assert planned == pytest.approx(np.mean(found), abs=0.06)


def test_agreement_that_is_told_apart_has_the_power_asked_for():
    at = {"n_subjects": 15, "n_raters": 4}
    found = agreement.icc_detected(0.4, **at)
    assert agreement.icc_power(found, 0.4, **at) == pytest.approx(0.8, abs=1e-6)
    assert math.isnan(agreement.kappa_detected(0.9, rates=[0.5, 0.5], n=5))


@pytest.mark.parametrize(
    "call",
    [
        lambda: areas.auc_se(1.0, n_positive=9, n_negative=9),
        lambda: areas.auc_se(0.8, n_positive=0, n_negative=9),
        lambda: areas.auc_se(
            0.8, n_positive=9, n_negative=9, scores="exponential", correlation=0.3
        ),
        lambda: areas.auc_se(0.8, n_positive=9, n_negative=9, positives_per_cluster=0.5),
        lambda: areas.auc_difference_se(0.8, 0.7, n_positive=9, n_negative=9, r_positive=2.0),
        lambda: areas.auc_difference_se(0.8, 0.7, n_positive=9, n_negative=9, auc_correlation=2.0),
        lambda: areas.auc_difference_se(0.8, 0.7, n_positive=9, n_negative=9, scores="obuchowski"),
        lambda: auc.scan_bootstrap_plan(0.0, n_scans=9),
        lambda: agreement.kappa_table(0.5, [0.5, 0.6]),
        lambda: agreement.kappa_table(-0.9, [0.1, 0.9]),
        lambda: agreement.icc_power(1.0, 0.5, n_subjects=9, n_raters=2),
        lambda: agreement.icc_power(0.7, 0.5, n_subjects=1, n_raters=2),
    ],
)
def test_impossible_designs_are_refused(call):
    with pytest.raises(DesignError):
        call()
