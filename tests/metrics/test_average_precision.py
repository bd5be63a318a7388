"""Average precision against the evaluation of COCO's authors, against plain loops in two and three
dimensions, on values worked by hand, and resampled against images written out."""

import contextlib
import io

import numpy as np
import pytest

from common.datasets import midogpp_annotations as midog
from common.metrics.average_precision import (
    IOUS,
    average_precision,
    coco_summary,
    pool_boxes,
    precision_recall,
    weighted_average_precision,
)
from common.metrics.detection import match_centres
from common.metrics.detection_records import Pooled, pool
from common.statistics.resampling import bootstrap_counts


def random_images(rng, d, n_images=20, n_lesions=6, n_boxes=25, levels=20):
    """Lesions on a grid of whole numbers, boxes near them or free, scores with many ties."""
    images = []
    for k in range(n_images):
        low = rng.integers(0, 40, (rng.integers(0, n_lesions), d))
        lesions = np.hstack([low, low + rng.integers(4, 12, low.shape)]).astype(float)
        free = rng.integers(0, 40, (rng.integers(0, n_boxes), d))
        boxes = np.hstack([free, free + rng.integers(4, 12, free.shape)])
        if len(lesions) and k % 7:
            near = np.repeat(lesions, 2, axis=0)
            boxes = np.vstack([boxes, near + rng.integers(-1, 2, near.shape)])
        scores = rng.integers(1, levels, len(boxes)) / levels
        images.append((boxes.astype(float), scores, lesions))
    return [list(part) for part in zip(*images, strict=True)]


def loops(boxes, scores, lesions, threshold, limit=100):
    """AP by its definition: boxes, lesions and recalls one by one."""
    rows, n = [], sum(map(len, lesions))
    for own, values, targets in zip(boxes, scores, lesions, strict=True):
        taken = set()
        ranked = sorted(range(len(own)), key=lambda i: -values[i])
        for i in ranked[:limit]:
            best, chosen = threshold, None
            for j, target in enumerate(targets):
                d = len(target) // 2
                sides = [
                    max(0, min(own[i][k + d], target[k + d]) - max(own[i][k], target[k]))
                    for k in range(d)
                ]
                both = np.prod(sides)
                parts = [np.prod(box[d:] - box[:d]) for box in (own[i], target)]
                overlap = both / (sum(parts) - both)
                if j not in taken and overlap >= best:
                    best, chosen = overlap, j
            taken.add(chosen)
            rows.append((values[i], chosen is not None))
    rows.sort(key=lambda row: -row[0])
    points, true = [], 0
    for shown, (_, hit) in enumerate(rows, start=1):
        true += hit
        points.append((true / n, true / shown))
    levels = np.linspace(0, 1, 101)
    return np.mean([max((p for r, p in points if r >= level), default=0) for level in levels])


def reference(boxes, scores, lesions, limit=100):
    """AP at each IoU by the evaluation of COCO's authors."""
    api = pytest.importorskip("pycocotools.coco", reason="pycocotools is not installed")
    from pycocotools.cocoeval import COCOeval

    def sides(box):
        return [*box[:2], *(box[2:] - box[:2])]

    truth = api.COCO()
    images = range(1, len(boxes) + 1)
    targets = [(k, box) for k, own in zip(images, lesions, strict=True) for box in own]
    truth.dataset = {
        "images": [{"id": k} for k in images],
        "categories": [{"id": 1}],
        "annotations": [
            {"id": i, "image_id": k, "category_id": 1, "iscrowd": 0}
            | {"bbox": sides(box), "area": float(np.prod(box[2:] - box[:2]))}
            for i, (k, box) in enumerate(targets, start=1)
        ],
    }
    found = [
        {"image_id": k, "category_id": 1, "bbox": sides(box), "score": float(score)}
        for k, own, values in zip(images, boxes, scores, strict=True)
        for box, score in zip(own, values, strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        run = COCOeval(truth, truth.loadRes(found), "bbox")
        run.params.maxDets = [1, 2, limit]
        run.evaluate()
        run.accumulate()
    # thresholds, recalls, classes, areas, limits
    return run.eval["precision"][:, :, 0, 0, 2].mean(axis=1)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("limit", [100, 8])
def test_ap_is_that_of_cocos_authors(seed, limit):
    images = random_images(np.random.default_rng(seed), 2)
    expected = reference(*images, limit=limit)
    assert 0.01 < expected[0] < 0.9
    pools = pool_boxes(*images, limit=limit)
    found = [average_precision(each) for each in pools]
    assert found == pytest.approx(expected, abs=1e-9)
    assert coco_summary(pools) == pytest.approx(
        {"ap50": expected[0], "ap75": expected[5], "ap50_95": expected.mean()}, abs=1e-9
    )


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("limit", [100, 8])
def test_ap_is_that_of_plain_loops(seed, d, limit):
    images = random_images(np.random.default_rng(seed), d, n_images=12, n_boxes=15)
    ious = (IOUS[0], IOUS[1], IOUS[5])
    pools = pool_boxes(*images, thresholds=ious, limit=limit)
    expected = [loops(*images, threshold=iou, limit=limit) for iou in ious]
    assert expected[0] > 0.02
    assert [average_precision(each) for each in pools] == pytest.approx(expected, abs=1e-9)


def test_extremes():
    lesion = [[0, 0, 10, 10.0]]
    assert coco_summary(pool_boxes([lesion], [[0.5]], [lesion])) == {
        "ap50": 1, "ap75": 1, "ap50_95": 1
    }  # fmt: skip
    (nothing,) = pool_boxes([[]], [[]], [lesion], thresholds=[0.5])
    assert average_precision(nothing) == 0
    (no_lesion,) = pool_boxes([lesion], [[0.5]], [[]], thresholds=[0.5])
    assert np.isnan(average_precision(no_lesion))
    assert np.isnan(precision_recall(no_lesion).recall).all()
    (no_image,) = pool_boxes([], [], [], thresholds=[0.5])
    assert np.isnan(average_precision(no_image))


@pytest.mark.parametrize("n_false", [1, 3, 10])
def test_false_positives_before_one_lesion_leave_its_precision(n_false):
    score, lesion = np.arange(n_false + 1, 0, -1.0), np.append(np.full(n_false, -1), 0)
    found = Pooled(score, np.zeros(n_false + 1, int), lesion, np.array([1]))
    assert average_precision(found) == pytest.approx(1 / (n_false + 1))


@pytest.mark.parametrize("shift", [0, 5, 10, 16])
def test_mitoses_of_midog_found_off_by_some_pixels_have_the_ap_of_their_overlap(mirror, shift):
    """Boxes of 50 px shifted along one axis overlap by (50 - s) / (50 + s), whatever the case."""
    cases = midog.load(mirror(midog.DATASET))
    few = cases.where(cases.table["case"].isin(f"{i:03d}" for i in range(1, 151)))
    lesions = [case.target["boxes"][case.target["labels"] == 1] for case in few]
    assert sum(map(len, lesions)) == 1721
    moved = [boxes + np.array([shift, 0, shift, 0]) for boxes in lesions]
    pools = pool_boxes(moved, [np.ones(len(boxes)) for boxes in lesions], lesions, limit=200)
    overlap = (50 - shift) / (50 + shift)
    for iou, found in zip(IOUS, pools, strict=True):
        assert average_precision(found) == (1 if overlap >= iou else 0)


@pytest.mark.parametrize("repeats", [1, 3])
def test_resampled_ap_is_that_of_the_images_written_out(rng, repeats):
    images = random_images(rng, 2, n_images=12, levels=1000)
    (found,) = pool_boxes(*images, thresholds=[0.5])
    unit = np.repeat(np.arange(12 // repeats), repeats)
    weights = rng.integers(0, 4, (15, 12 // repeats))
    resampled = weighted_average_precision(found, weights, unit=unit)
    for row, ap in zip(weights, resampled, strict=True):
        drawn = np.repeat(np.arange(12), row[unit])
        (whole,) = pool_boxes(*[[part[k] for k in drawn] for part in images], thresholds=[0.5])
        assert ap == pytest.approx(average_precision(whole), abs=1e-12)
    assert len(set(resampled)) > 10


def test_images_are_their_own_units_by_default_and_no_lesion_gives_no_value(rng):
    images = random_images(rng, 2, n_images=6)
    (found,) = pool_boxes(*images, thresholds=[0.5])
    whole = average_precision(found)
    assert weighted_average_precision(found, np.ones((1, 6)))[0] == pytest.approx(whole)
    assert weighted_average_precision(found, np.full((1, 6), 7))[0] == pytest.approx(whole)
    assert np.isnan(weighted_average_precision(found, np.zeros((1, 6)))).all()


def test_ap_of_two_detectors_is_bootstrapped_on_the_same_cases(rng):
    images = random_images(rng, 2, n_images=40)
    (old,) = pool_boxes(*images, thresholds=[0.5])
    better = old._replace(score=old.score + 0.3 * (old.lesion >= 0))
    case = np.repeat(np.arange(20), 2)

    def difference(new):
        return bootstrap_counts(
            lambda counts: (
                weighted_average_precision(new, counts, unit=case)
                - weighted_average_precision(old, counts, unit=case)
            ),
            20,
            n_resamples=400,
            rng=np.random.default_rng(1),
        )

    assert difference(old).p() == 1
    found = difference(better)
    assert found.effect == pytest.approx(average_precision(better) - average_precision(old))
    assert found.p() < 0.05
    assert 0 < found.interval().low < found.effect < found.interval().high
    assert found.replicates.tolist() == difference(better).replicates.tolist()


def test_the_curve_counts_hits_among_what_has_entered():
    found = Pooled(np.array([1, 3, 2.0]), np.zeros(3, int), np.array([1, 0, -1]), np.array([4]))
    curve = precision_recall(found)
    assert curve.score.tolist() == [3, 2, 1]
    assert curve.precision == pytest.approx([1, 1 / 2, 2 / 3])
    assert curve.recall.tolist() == [0.25, 0.25, 0.5]


def test_a_weaker_hit_of_the_same_lesion_changes_nothing():
    once = pool([match_centres([[0, 0], [9, 9]], [0.9, 0.8], [[0, 0]], [4])])
    twice = pool([match_centres([[0, 0], [0, 1], [9, 9]], [0.9, 0.85, 0.8], [[0, 0]], [4])])
    assert average_precision(once) == average_precision(twice) == 1
    assert len(precision_recall(twice).score) == 2


def test_bad_input_is_named():
    found = Pooled(np.array([1.0]), np.array([0]), np.array([0]), np.array([1]))
    cases = [
        (lambda: pool_boxes([[]], [], [[]]), "`scores` must have 1 entries, got 0"),
        (lambda: coco_summary([found]), "one for each of 10 thresholds, got 1"),
        (lambda: weighted_average_precision(found, [1.0]), r"`weights` must be >= 0 and \(R, U\)"),
        (lambda: weighted_average_precision(found, [[-1.0]]), "`weights` must be >= 0"),
        (lambda: weighted_average_precision(found, [[1.0]], unit=[0, 0]), "`unit` must have shape"),
        (lambda: weighted_average_precision(found, [[1.0]], unit=[1]), r"must lie in 0\.\.0"),
    ]
    for call, message in cases:
        with pytest.raises(ValueError, match=message):
            call()
