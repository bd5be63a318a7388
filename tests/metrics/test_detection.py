"""Matching by LUNA16's rule and by COCO's, on scenes worked by hand and against plain loops; the
real lists of LUNA16 scored with detections whose CPM is known."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import roc_curve

from common.datasets import luna16
from common.metrics.detection import Matches, box_centres, box_iou, match_boxes, match_centres
from common.metrics.detection_records import join, pool, score_records, trim
from common.records import Recorder
from common.statistics import froc, scored

NONE = np.zeros((0, 3))


def random_scan(rng, n_lesions=3, n_others=2, n_candidates=40):
    """A crowded scan: lesions overlap each other and irrelevant findings, scores are tied."""
    lesions, others = rng.uniform(0, 30, (n_lesions, 3)), rng.uniform(0, 30, (n_others, 3))
    sizes, unknown = rng.uniform(6, 24, n_lesions), rng.choice([-1.0, 12.0], n_others)
    points = rng.uniform(0, 30, (n_candidates, 3))
    return points, rng.integers(0, 9, n_candidates) / 8, lesions, sizes, others, unknown


def challenge(scans, limit):
    """The evaluation of the challenge, finding by finding, with a table of marks still unused."""
    truth, score, excluded, n_ignored = [], [], [], 0
    for points, scores, lesions, sizes, others, unknown in scans:
        marks = dict(enumerate(scores))
        if len(marks) > limit:
            floor = sorted(scores, reverse=True)[limit]
            marks = {key: value for key, value in marks.items() if value > floor}
        unused = dict(marks)
        findings = [(*pair, True) for pair in zip(lesions, sizes, strict=True)]
        findings += [(*pair, False) for pair in zip(others, unknown, strict=True)]
        for centre, size, included in findings:
            radius = (10.0 if size < 0 else size) / 2
            near = [key for key in marks if ((points[key] - centre) ** 2).sum() < radius**2]
            for key in near:
                gone = unused.pop(key, None)
                n_ignored += not included and gone is not None
            if included:
                truth.append(1)
                excluded.append(not near)
                score.append(max((marks[key] for key in near), default=-1e9))
        truth += [0] * len(unused)
        score += list(unused.values())
        excluded += [False] * len(unused)
    truth, score, kept = np.array(truth), np.array(score), ~np.array(excluded)
    fpr, tpr, _ = roc_curve(truth[kept], score[kept])
    hits = truth[kept].sum()
    return fpr * (kept.sum() - hits) / len(scans), tpr * hits / truth.sum(), n_ignored


@pytest.mark.parametrize("limit", [100, 25])
def test_the_centre_rule_is_that_of_the_challenge(rng, limit):
    scans = [random_scan(rng, n_lesions=i % 4, n_others=i % 3) for i in range(24)]
    found = [
        match_centres(p, s, c, d, irrelevant=o, irrelevant_diameters=u, limit=limit)
        for p, s, c, d, o, u in scans
    ]
    rates, sensitivities, n_ignored = challenge(scans, limit)
    assert n_ignored > 10
    assert sum(each.n_irrelevant for each in found) == n_ignored
    expected = np.interp(froc.FP_RATES, rates, sensitivities)
    assert froc.froc(froc.Detections(*pool(found))) == pytest.approx(expected, abs=1e-12)


def test_a_candidate_at_the_radius_misses_and_one_within_two_lesions_hits_both():
    edge = match_centres([[2.0, 0], [1.999, 0]], [0.5, 0.4], [[0, 0]], [4])
    assert edge.lesion.tolist() == [-1, 0]
    both = match_centres([[0, 0]], [0.5], [[1, 0], [-1, 0]], [4, 4])
    assert (both.score.tolist(), both.lesion.tolist()) == ([0.5, 0.5], [0, 1])


def test_hits_count_before_irrelevant_findings_and_ties_at_the_limit_drop_out():
    beside = {"irrelevant": [[0, 1]], "irrelevant_diameters": [9]}
    found = match_centres([[0, 0], [0, 3]], [0.5, 0.4], [[0, 0]], [2], **beside)
    assert (found.lesion.tolist(), found.n_irrelevant) == ([0], 1)
    far = np.full((4, 2), 50.0)
    tied = match_centres(far, [0.9, 0.5, 0.5, 0.5], [], [], limit=2)
    assert tied.score.tolist() == [0.9]
    apart = match_centres(far, [0.2, 0.9, 0.4, 0.5], [], [], limit=2)
    assert apart.score.tolist() == [0.9, 0.5]


def test_scans_without_candidates_or_lesions_are_scored():
    assert match_centres([], [], [[0, 0, 0]], [5]).n_lesions == 1
    assert match_centres([[0, 0, 0]], [0.5], [], []).lesion.tolist() == [-1]
    (found,) = match_boxes([], [], [[0, 0, 0, 1, 1, 1]])
    assert (len(found.score), found.n_lesions) == (0, 1)
    (found,) = match_boxes([[0, 0, 0, 1, 1, 1]], [0.5], [])
    assert found.lesion.tolist() == [-1]


@pytest.mark.parametrize("d", [2, 3])
def test_overlap_is_that_of_voxels_counted_one_by_one(rng, d):
    low = rng.integers(0, 6, (2, 12, d))
    boxes = np.concatenate([low, low + rng.integers(1, 6, low.shape)], axis=2)
    grids = np.stack(np.meshgrid(*[np.arange(12)] * d, indexing="ij"), axis=-1)

    def voxels(box):
        return ((grids >= box[:d]) & (grids < box[d:])).all(axis=-1)

    found = box_iou(*boxes)
    for (i, a), (j, b) in itertools.product(enumerate(boxes[0]), enumerate(boxes[1])):
        both, either = voxels(a) & voxels(b), voxels(a) | voxels(b)
        assert found[i, j] == pytest.approx(both.sum() / either.sum(), abs=1e-15)
    assert box_iou(boxes[0], boxes[0]).diagonal() == pytest.approx(np.ones(12))
    assert found == pytest.approx(box_iou(boxes[1], boxes[0]).T)


@pytest.mark.parametrize("iou", [0.5, 0.75, 0.95])
def test_a_box_of_50_pixels_may_be_off_by_what_the_overlap_says(iou):
    """(50 - s) / (50 + s) = iou: 16.7, 7.1 and 1.3 pixels along one axis."""
    shift = 50 * (1 - iou) / (1 + iou)
    box = np.array([10, 20, 60, 70.0])
    moved = box + np.array([shift, 0, shift, 0])
    assert box_iou([box], [moved])[0, 0] == pytest.approx(iou)
    for slack, lesion in ((-1e-6, 0), (1e-6, -1)):
        (found,) = match_boxes(
            [moved + slack * np.array([1, 0, 1, 0])], [1], [box], thresholds=[iou]
        )
        assert found.lesion.tolist() == [lesion]


def test_boxes_without_volume_overlap_nothing_and_centres_are_midway():
    assert box_iou([[1, 1, 1, 1]], [[1, 1, 1, 1]]) == 0
    assert box_centres([[0, 2, 4, 4, 4, 10]]).tolist() == [[2, 3, 7]]


def test_each_lesion_takes_the_best_scored_box_and_later_ones_are_false():
    lesions = [[0, 0, 10, 10], [20, 0, 30, 10]]
    boxes = [[0, 0, 10, 9], [0, 0, 10, 10], [21, 0, 31, 10]]
    (found,) = match_boxes(boxes, [0.9, 0.8, 0.7], lesions)
    assert found.lesion.tolist() == [0, -1, 1]
    # of two lesions that a box overlaps equally it takes the last
    (found,) = match_boxes([[5, 0, 15, 10]], [1], [[2, 0, 12, 10], [8, 0, 18, 10]])
    assert found.lesion.tolist() == [1]
    # the second box takes the other lesion where it overlaps that enough
    near = [[0, 0, 10, 10], [0, 2, 10, 12]]
    (found,) = match_boxes([[0, 0, 10, 10], [0, 0, 10, 10]], [0.9, 0.8], near)
    assert found.lesion.tolist() == [0, 1]


def test_boxes_on_irrelevant_findings_are_left_out_unless_they_take_a_lesion():
    boxes = [[0, 0, 10, 10], [20, 0, 30, 10], [20, 0, 30, 9], [50, 0, 60, 10]]
    beside = [[0, 0, 10, 10], [20, 0, 30, 10]]
    (found,) = match_boxes(boxes, [4, 3, 2, 1], [[0, 0, 10, 10]], irrelevant=beside)
    assert (found.lesion.tolist(), found.score.tolist()) == ([0, -1], [4.0, 1.0])
    assert found.n_irrelevant == 2


def test_the_order_of_candidates_does_not_matter_and_shifts_move_everything(rng):
    points, scores, lesions, sizes, others, unknown = random_scan(rng)
    scores = rng.permutation(len(scores)).astype(float)
    beside = {"irrelevant": others, "irrelevant_diameters": unknown}
    whole = match_centres(points, scores, lesions, sizes, **beside)
    order = rng.permutation(len(scores))
    beside["irrelevant"] = others - 7
    moved = match_centres(points[order] - 7, scores[order], lesions - 7, sizes, **beside)
    rows = [sorted(zip(m.score, m.lesion, strict=True)) for m in (whole, moved)]
    assert rows[0] == rows[1]


def test_images_of_one_case_are_joined_and_their_lesions_numbered_through():
    first = Matches(np.array([3.0, 2.0]), np.array([1, -1]), 2, 1)
    second = Matches(np.array([1.0]), np.array([0]), 1, 1)
    found = join([first, Matches(np.zeros(0), np.zeros(0, int), 0), second])
    assert (found.score.tolist(), found.lesion.tolist()) == ([3, 2, 1], [1, -1, 2])
    assert (found.n_lesions, found.n_irrelevant) == (3, 2)


def crowd(rng, n_scans=30):
    names = [f"s{i:03d}" for i in range(n_scans)]
    return {
        name: match_centres(*random_scan(rng, n_lesions=i % 3 + (i == 0))[:4])
        for i, name in enumerate(names)
    }


@pytest.mark.parametrize("rate", [0.5, 2.0, 9.0])
def test_trimmed_candidates_give_the_same_sensitivities_up_to_the_rate(rng, rate):
    found = crowd(rng)
    few = trim(found, false_per_scan=rate)
    rates = np.linspace(0, rate, 40)
    curves = [froc.froc(froc.Detections(*pool(m.values())), fp_rates=rates) for m in (found, few)]
    assert curves[0].tolist() == curves[1].tolist()
    sizes = [len(pool(m.values()).score) for m in (found, few)]
    assert sizes[1] < sizes[0]
    assert trim(found, false_per_scan=1e6) == found


def test_records_of_matches_are_what_the_claim_on_cpm_reads(rng):
    assert (scored.HIT, scored.MISS, scored.FALSE, scored.NONE) == ("hit", "miss", "false", "none")
    arms = {"a": crowd(rng), "b": {}}
    arms["b"] = {name: Matches(-m.score, m.lesion, m.n_lesions) for name, m in arms["a"].items()}
    lost = arms["b"]["s001"]
    arms["b"]["s001"] = Matches(lost.score[:0], lost.lesion[:0], lost.n_lesions)
    for arm in arms.values():  # a scan with nothing at all must count too
        arm["empty"] = Matches(np.zeros(0), np.zeros(0, int), 0)
    recorder = Recorder(paper="toy", run="r", profile="quick", source="phantom")
    for arm, matches in arms.items():
        rows = score_records(matches)
        columns = {name: rows[name] for name in ("case", "cluster", "group")}
        recorder.add("score", rows["value"], arm=arm, **columns)
    records = recorder.frame()
    assert set(records["group"]) == {"hit", "miss", "false", "none"}
    found, size = scored.cpm_contrast(records, {"a": 1.0, "b": -1.0}, 0.0, rng=rng)
    direct = [froc.cpm(froc.Detections(*pool(m.values()))) for m in arms.values()]
    assert found.effect == pytest.approx(direct[0] - direct[1], abs=1e-12)
    assert size.n_clusters == 31
    assert size.n_cases == sum(m.n_lesions for m in arms["a"].values())


# The real lists, with detections made from them


@pytest.fixture(scope="module")
def nodules(mirror):
    """Centres (mm) and diameters (mm) of each of the 888 scans."""
    cases = luna16.load(mirror(luna16.DATASET))
    return [(case.target["centres_mm"], case.target["diameters_mm"]) for case in cases]


def directions(rng, n):
    ray = rng.normal(size=(n, 3))
    return ray / np.linalg.norm(ray, axis=1, keepdims=True)


def luna(nodules, points, scores, false=()):
    """Score points of each scan, plus planted false positives far from everything."""
    far = np.array([[1e4, 1e4, 1e4]])
    matches = [
        match_centres(
            np.concatenate([at, np.repeat(far, len(false), axis=0)]),
            np.concatenate([score, false]),
            *lesions,
        )
        for lesions, at, score in zip(nodules, points, scores, strict=True)
    ]
    return froc.Detections(*pool(matches))


def ones(nodules):
    return [np.ones(len(sizes)) for _, sizes in nodules]


def test_perfect_detections_of_luna16_have_a_cpm_of_one(nodules, rng):
    found = luna(nodules, [centres for centres, _ in nodules], ones(nodules))
    assert (found.n_scans, found.n_lesions.sum(), len(found.score)) == (888, 1186, 1186)
    assert froc.cpm(found) == 1
    interval = froc.cpm_inference(found, n_resamples=50, rng=rng).interval()
    assert (interval.low, interval.high) == (1, 1)


def test_detections_off_by_a_share_of_the_radius_have_the_cpm_of_that_share(nodules, rng):
    shares = [rng.uniform(0, 2, len(sizes)) for _, sizes in nodules]
    points = [
        centres + (share * sizes / 2)[:, None] * directions(rng, len(sizes))
        for (centres, sizes), share in zip(nodules, shares, strict=True)
    ]
    # the nearer, the higher the score, so that no false positive comes before a hit
    found = luna(nodules, points, [-share for share in shares])
    inside = np.mean(np.concatenate(shares) < 1)
    assert 0.4 < inside < 0.6
    assert froc.cpm(found) == pytest.approx(inside, abs=1e-12)


@pytest.mark.parametrize("sigma_mm", [1.0, 2.5])
def test_normal_error_of_the_centre_gives_the_chi_distributions_sensitivity(nodules, rng, sigma_mm):
    points = [centres + sigma_mm * rng.normal(size=centres.shape) for centres, _ in nodules]
    found = luna(nodules, points, ones(nodules))
    radii = np.concatenate([sizes for _, sizes in nodules]) / 2
    expected = stats.chi(3).cdf(radii / sigma_mm)
    error = np.sqrt((expected * (1 - expected)).sum()) / len(radii)
    sensitivity = froc.froc(found, fp_rates=[8.0])[0]
    assert abs(sensitivity - expected.mean()) < 4 * error


@pytest.mark.parametrize(
    ("n_false", "score", "expected"),
    [
        # above all hits: nothing is found before the last of them has entered
        (2, 2.0, 3 / 7),
        (8, 2.0, 1 / 7),
        (9, 2.0, 0.0),
        # below all hits: they cost nothing
        (50, 0.5, 1.0),
        # tied with all hits: a straight line up to (n_false, 1)
        (8, 1.0, (1 / 8 + 1 / 4 + 1 / 2 + 1 + 2 + 4 + 8) / 8 / 7),
        (4, 1.0, ((1 / 8 + 1 / 4 + 1 / 2 + 1 + 2 + 4) / 4 + 1) / 7),
    ],
)
def test_planted_false_positives_lower_the_cpm_of_luna16_as_computed(
    nodules, n_false, score, expected
):
    points = [centres for centres, _ in nodules]
    found = luna(nodules, points, ones(nodules), false=np.full(n_false, score))
    assert froc.cpm(found) == pytest.approx(expected, abs=1e-12)


def test_false_positives_between_two_halves_split_the_curve(nodules):
    """Sensitivity is the upper half's share below one false positive a scan, and 1 from there."""
    number = iter(range(10_000))
    scores = [np.array([next(number) % 2 for _ in sizes]) * 2.0 for _, sizes in nodules]
    points = [centres for centres, _ in nodules]
    found = luna(nodules, points, scores, false=np.ones(1))
    assert froc.cpm(found) == pytest.approx((3 * 593 / 1186 + 4) / 7, abs=1e-12)


def test_repeated_hits_and_marks_on_irrelevant_findings_of_luna16_cost_nothing(nodules):
    matches = [
        match_centres(
            np.concatenate([centres, centres + 0.1, centres[:0], np.full((5, 3), 1e4)]),
            np.concatenate([np.ones(len(sizes)), np.full(len(sizes), 2.0), np.full(5, 3.0)]),
            centres,
            sizes,
            irrelevant=[[1e4, 1e4, 1e4 + 4.9]],
            irrelevant_diameters=[-1],
        )
        for centres, sizes in nodules
    ]
    assert sum(each.n_irrelevant for each in matches) == 5 * 888
    assert froc.cpm(froc.Detections(*pool(matches))) == 1


def test_bad_input_is_named():
    cases = [
        (lambda: match_centres([[0, 0]], [0.5, 0.4], [], []), "`points` must have 2 rows, got 1"),
        (lambda: match_centres([[0, 0]], [np.nan], [], []), "`scores` must hold one finite"),
        (lambda: match_centres([[0, 0]], [1], [[0, 0, 0]], [1]), "3 coordinates as the lesions"),
        (lambda: match_centres([[0]], [1], [[0]], []), "`diameters` must have 1 rows, got 0"),
        (lambda: match_centres([[0]], [1], [], [], limit=0), "`limit` must be >= 1, got 0"),
        (lambda: match_boxes([[0, 0, 1]], [1], []), "`boxes` must have 4 or 6 columns, got 3"),
        (lambda: match_boxes([[2, 0, 1, 1]], [1], []), "lower corner first"),
        (lambda: match_boxes([], [], [], thresholds=[0]), r"`thresholds` must lie in \(0, 1\]"),
        (lambda: box_iou([[0, 0, 1, 1]], [[0, 0, 0, 1, 1, 1]]), "4 columns as `first`, got 6"),
        (lambda: trim({}, false_per_scan=-1), "`false_per_scan` must be >= 0, got -1"),
    ]
    for call, message in cases:
        with pytest.raises(ValueError, match=message):
            call()


def test_records_of_no_scan_are_an_empty_table():
    pd.testing.assert_index_equal(
        score_records({}).columns, pd.Index(["case", "cluster", "group", "value"])
    )
