import dataclasses
import time

import numpy as np
import pytest
from sklearn.metrics import roc_curve

from common.statistics.froc import (
    FP_RATES,
    Detections,
    cpm,
    cpm_inference,
    cpm_test,
    froc,
    froc_bootstrap,
    froc_contrast,
    froc_curve,
)
from common.statistics.results import DesignError


def _draw(rng, n_scans=12, n_candidates=30, gain=1.5, step=0.25, n_lesions=None):
    """Candidates in random order with tied scores, repeated hits and scans without any."""
    if n_lesions is None:
        n_lesions = rng.integers(0, 4, n_scans)
        n_lesions[:3] = [2, 1, 0]
    scan = rng.integers(0, n_scans - 1, n_candidates * n_scans)  # the last scan has none
    free = rng.random(len(scan)) < 0.7
    lesion = np.where(free, -1, rng.integers(0, np.maximum(n_lesions[scan], 1)))
    lesion[n_lesions[scan] == 0] = -1
    score = rng.normal(size=len(scan)) + gain * (lesion >= 0)
    return Detections(np.round(score / step) * step, scan, lesion, n_lesions)


def naive_points(detections):
    """Count hit lesions and false positives at every threshold, lesion by lesion."""
    rows = list(zip(detections.score, detections.scan, detections.lesion, strict=True))
    points = [(0.0, 0.0)]
    for threshold in sorted({row[0] for row in rows}, reverse=True):
        shown = [row for row in rows if row[0] >= threshold]
        false = sum(row[2] < 0 for row in shown)
        true = len({(row[1], row[2]) for row in shown if row[2] >= 0})
        points.append((false / detections.n_scans, true / sum(detections.n_lesions)))
    return np.array(points)


def luna_points(detections):
    """The curve as the evaluation of LUNA16 makes it, from scikit-learn's ROC curve."""
    best = {}
    truth, score = [], []
    for s, scan, lesion in zip(detections.score, detections.scan, detections.lesion, strict=True):
        if lesion < 0:
            truth.append(0)
            score.append(s)
        else:
            best[scan, lesion] = max(s, best.get((scan, lesion), -np.inf))
    truth, score = truth + [1] * len(best), score + list(best.values())
    fpr, tpr, _ = roc_curve(truth, score)
    false = fpr * (len(truth) - len(best)) / detections.n_scans
    return false, tpr * len(best) / sum(detections.n_lesions)


def resampled(detections, units, cluster):
    """Write out the scans of the drawn units as a data set of its own."""
    scans = [s for unit in units for s in np.flatnonzero(cluster == unit)]
    rows = [np.flatnonzero(detections.scan == s) for s in scans]
    index = np.concatenate(rows)
    scan = np.repeat(np.arange(len(scans)), [len(row) for row in rows])
    return Detections(
        detections.score[index], scan, detections.lesion[index], detections.n_lesions[scans]
    )


@pytest.mark.parametrize("seed", range(4))
def test_the_curve_is_that_of_a_loop_over_thresholds(seed):
    detections = _draw(np.random.default_rng(seed))
    curve = froc_curve(detections)
    points = np.column_stack([curve.fp_per_scan, curve.sensitivity])
    assert points == pytest.approx(naive_points(detections), abs=1e-14)
    assert len(curve.threshold) == len(points)
    assert (np.diff(curve.threshold) < 0).all()


@pytest.mark.parametrize("seed", range(4))
def test_interpolated_sensitivities_are_those_of_the_luna16_evaluation(seed):
    detections = _draw(np.random.default_rng(seed))
    expected = np.interp(FP_RATES, *luna_points(detections))
    assert froc(detections) == pytest.approx(expected, abs=1e-12)
    assert cpm(detections) == pytest.approx(expected.mean(), abs=1e-12)


def test_without_interpolation_the_last_point_within_the_rate_counts(rng):
    detections = _draw(rng)
    points = naive_points(detections)
    for rate, found in zip(FP_RATES, froc(detections, interpolate=False), strict=True):
        assert found == pytest.approx(max(points[points[:, 0] <= rate, 1]))
    assert (froc(detections) >= froc(detections, interpolate=False)).all()


def test_a_curve_worked_by_hand():
    # Two scans, three lesions: hit, false, false, hit again (ignored), hit
    detections = Detections([9, 8, 7, 6, 5], [0, 0, 1, 0, 1], [0, -1, -1, 0, 1], [1, 2])
    curve = froc_curve(detections)
    assert curve.fp_per_scan.tolist() == [0, 0, 0.5, 1, 1]
    assert curve.sensitivity == pytest.approx([0, 1 / 3, 1 / 3, 1 / 3, 2 / 3])
    found = froc(detections, fp_rates=[0.0, 0.75, 1.0, 4.0])
    assert found == pytest.approx([1 / 3, 1 / 3, 2 / 3, 2 / 3])


def test_lines_are_drawn_between_operating_points():
    # A tie of one hit with one false positive makes a slanted piece from (0, 0) to (1, 1)
    detections = Detections([1, 1], [0, 0], [0, -1], [1])
    assert froc(detections, fp_rates=[0.25, 0.5, 1.0]).tolist() == [0.25, 0.5, 1.0]
    assert froc(detections, fp_rates=[0.25, 1.0], interpolate=False).tolist() == [0.0, 1.0]


def test_weaker_hits_of_a_lesion_change_nothing(rng):
    detections = _draw(rng)
    hits = detections.lesion >= 0
    again = [detections.score[hits] - 0.5, detections.scan[hits], detections.lesion[hits]]
    more = [
        np.r_[old, new]
        for old, new in zip(
            (detections.score, detections.scan, detections.lesion), again, strict=True
        )
    ]
    assert froc(Detections(*more, detections.n_lesions)).tolist() == froc(detections).tolist()


def test_scans_without_candidates_lower_the_rate_and_their_lesions_the_sensitivity():
    few = Detections([2, 1], [0, 0], [0, -1], [1])
    more = Detections([2, 1], [0, 0], [0, -1], [1, 3])
    assert froc_curve(more).fp_per_scan.tolist() == [0, 0, 0.5]
    assert froc_curve(more).sensitivity == pytest.approx(froc_curve(few).sensitivity / 4)


def test_the_order_of_candidates_and_scans_and_the_scale_of_scores_do_not_matter(rng):
    detections = _draw(rng)
    shuffled = rng.permutation(len(detections.score))
    place = rng.permutation(detections.n_scans)
    n_lesions = np.empty_like(detections.n_lesions)
    n_lesions[place] = detections.n_lesions
    other = Detections(
        np.exp(detections.score[shuffled]),
        place[detections.scan[shuffled]],
        detections.lesion[shuffled],
        n_lesions,
    )
    assert froc(other) == pytest.approx(froc(detections), abs=1e-14)


def test_without_candidates_or_hits_nothing_is_found():
    assert froc(Detections([], [], [], [1, 0])).tolist() == [0.0] * 7
    assert froc(Detections([1.0], [1], [-1], [1, 0])).tolist() == [0.0] * 7
    assert froc_curve(Detections([], [], [], [1])).sensitivity.tolist() == [0.0]


def test_without_false_positives_the_end_of_the_curve_is_held():
    assert froc(Detections([2.0, 1.0], [0, 1], [0, 0], [1, 2])) == pytest.approx([2 / 3] * 7)


@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("interpolate", [False, True])
def test_replicates_are_the_values_of_the_resampled_scans(rng, clustered, interpolate):
    detections = _draw(rng)
    cluster = np.arange(12) // 2 if clustered else np.arange(12)
    n_units = cluster.max() + 1
    found = froc_bootstrap(
        detections, interpolate=interpolate, cluster=cluster, n_resamples=25,
        rng=np.random.default_rng(7),
    )  # fmt: skip
    share = np.full(n_units, 1 / n_units)
    for k, counts in enumerate(np.random.default_rng(7).multinomial(n_units, share, size=25)):
        data = resampled(detections, np.repeat(np.arange(n_units), counts), cluster)
        expected = froc(data, interpolate=interpolate)
        assert found.cpm.replicates[k] == pytest.approx(expected.mean(), abs=1e-12)
        drawn = [each.replicates[k] for each in found.sensitivities]
        assert drawn == pytest.approx(expected, abs=1e-12)


def test_two_methods_are_read_off_the_same_draws(rng):
    one = _draw(rng)
    two = _draw(rng, gain=0.5, n_lesions=one.n_lesions)
    both = froc_bootstrap(one, two, n_resamples=40, rng=np.random.default_rng(3))
    alone = [
        froc_bootstrap(each, n_resamples=40, rng=np.random.default_rng(3)) for each in (one, two)
    ]
    expected = alone[0].cpm.replicates - alone[1].cpm.replicates
    assert both.cpm.replicates == pytest.approx(expected, abs=1e-12)
    assert both.cpm.effect == pytest.approx(cpm(one) - cpm(two))
    assert both.sensitivities[2].effect == pytest.approx(froc(one)[2] - froc(two)[2])
    turned = cpm_test(two, one, n_resamples=40, rng=np.random.default_rng(3))
    assert turned.effect == pytest.approx(-both.cpm.effect)
    assert turned.p == both.cpm.p()


def test_a_contrast_weighs_the_methods_on_the_same_draws(rng):
    first = _draw(rng)
    methods = [first] + [_draw(rng, gain=g, n_lesions=first.n_lesions) for g in (0.5, 1.0)]
    found = froc_contrast(
        methods, [0.5, 0.5, -1.0], n_resamples=30, rng=np.random.default_rng(4), method="bca"
    )
    alone = [
        froc_bootstrap(each, n_resamples=30, rng=np.random.default_rng(4), method="bca").cpm
        for each in methods
    ]
    for part in ("effect", "replicates", "jackknife"):
        one, two, three = (getattr(each, part) for each in alone)
        expected = (one + two) / 2 - three
        assert getattr(found.cpm, part) == pytest.approx(expected, abs=1e-12)


def test_the_jackknife_leaves_out_one_scan_at_a_time(rng):
    detections = _draw(rng)
    found = froc_bootstrap(detections, n_resamples=5, rng=rng, method="bca")
    everyone = np.arange(12)
    for unit in everyone:
        left = froc(resampled(detections, np.delete(everyone, unit), everyone))
        assert found.cpm.jackknife[unit] == pytest.approx(left.mean(), abs=1e-12)
        assert found.sensitivities[5].jackknife[unit] == pytest.approx(left[5], abs=1e-12)


def test_the_same_generator_gives_the_same_bits_whatever_the_global_seed(rng):
    detections = _draw(rng)
    first = cpm_inference(detections, n_resamples=30, rng=np.random.default_rng(1))
    np.random.seed(5)  # noqa: NPY002
    second = cpm_inference(detections, n_resamples=30, rng=np.random.default_rng(1))
    assert first.replicates.tolist() == second.replicates.tolist()


def test_small_chunks_give_the_replicates_of_large_ones(rng, monkeypatch):
    detections = _draw(rng)
    whole = cpm_inference(detections, n_resamples=30, rng=np.random.default_rng(1), method="bca")
    monkeypatch.setattr("common.statistics.froc._CHUNK", 4 * len(detections.score))
    parts = cpm_inference(detections, n_resamples=30, rng=np.random.default_rng(1), method="bca")
    assert parts.replicates == pytest.approx(whole.replicates, abs=1e-14)
    assert parts.jackknife == pytest.approx(whole.jackknife, abs=1e-14)


def test_draws_without_any_lesion_are_drawn_again(rng):
    detections = Detections([3, 2, 1], [0, 1, 2], [0, 0, -1], [1, 1, 0, 0, 0, 0])
    found = cpm_inference(detections, n_resamples=500, rng=rng)
    assert np.isfinite(found.replicates).all()


def test_a_rate_of_zero_counts_the_hits_before_the_first_false_positive(rng):
    detections = _draw(rng, step=1e-6)
    points = naive_points(detections)
    found = froc_bootstrap(detections, fp_rates=[0.0], n_resamples=20, rng=rng)
    assert found.cpm.effect == pytest.approx(max(points[points[:, 0] == 0, 1]))


def test_a_method_against_itself_shows_no_difference(rng):
    detections = _draw(rng)
    found = cpm_test(detections, detections, n_resamples=50, rng=rng)
    assert (found.effect, found.low, found.high, found.p) == (0, 0, 0, 1)


def test_equal_methods_are_told_apart_at_about_the_nominal_rate(rng):
    rejected = 0
    for _ in range(120):
        one = _draw(rng, n_scans=40, n_candidates=8, step=0.01)
        two = _draw(rng, n_scans=40, n_candidates=8, step=0.01, n_lesions=one.n_lesions)
        rejected += cpm_inference(one, two, n_resamples=200, rng=rng).p() < 0.05
    assert rejected / 120 <= 0.14


def test_a_clearly_better_method_is_recognised(rng):
    one = _draw(rng, n_scans=40, gain=3.0)
    two = _draw(rng, n_scans=40, gain=0.3, n_lesions=one.n_lesions)
    found = cpm_test(one, two, n_resamples=400, rng=rng)
    assert found.low > 0
    assert found.p < 0.02


def test_a_thousand_replicates_of_luna16s_size_take_seconds(rng):
    scan = np.repeat(np.arange(888), 100)
    n_lesions = rng.poisson(1.3, 888)
    lesion = np.full(len(scan), -1)
    hit = np.flatnonzero(n_lesions > 0) * 100
    lesion[hit] = 0
    detections = Detections(rng.normal(size=len(scan)) + 3 * (lesion == 0), scan, lesion, n_lesions)
    start = time.perf_counter()
    found = cpm_inference(detections, n_resamples=1000, rng=rng)
    assert time.perf_counter() - start < 8
    assert found.interval().low < found.effect < found.interval().high


def test_all_interval_methods_but_the_studentised_are_given(rng):
    found = cpm_inference(_draw(rng), n_resamples=200, rng=rng, method="bca")
    for method in ("percentile", "basic", "bca"):
        interval = dataclasses.replace(found, method=method).interval()
        assert interval.low < found.effect < interval.high


_GOOD = Detections([2, 1], [0, 1], [0, 0], [1, 1])


@pytest.mark.parametrize(
    "call",
    [
        lambda: Detections([1], [0], [0], [0]),
        lambda: Detections([1], [2], [0], [1, 1]),
        lambda: Detections([1], [-1], [-1], [1, 1]),
        lambda: Detections([1], [0], [1], [1, 1]),
        lambda: Detections([1], [0], [-2], [1, 1]),
        lambda: Detections([1, 2], [0], [0], [1]),
        lambda: Detections([np.nan], [0], [0], [1]),
        lambda: Detections([1], [0.5], [0], [1]),
        lambda: Detections([1], [0], [0], [-1, 2]),
        lambda: Detections([], [], [], []),
        lambda: froc(_GOOD, fp_rates=[-1.0]),
        lambda: froc(_GOOD, fp_rates=[]),
        lambda: cpm_inference(Detections([1], [0], [0], [1, 0]), rng=np.random.default_rng(0)),
        lambda: cpm_inference(_GOOD, n_resamples=0, rng=np.random.default_rng(0)),
        lambda: cpm_inference(_GOOD, method="studentised", rng=np.random.default_rng(0)),
        lambda: froc_contrast([_GOOD], [1.0, -1.0], rng=np.random.default_rng(0)),
        lambda: froc_contrast([], [], rng=np.random.default_rng(0)),
        lambda: cpm_test(_GOOD, Detections([], [], [], [1, 2]), rng=np.random.default_rng(0)),
    ],
)
def test_unusable_detections_are_refused(call):
    with pytest.raises(DesignError):
        call()
