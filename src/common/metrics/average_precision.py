"""Average precision as COCO computes it, and for many resamples of the images at once.

A resample needs only how often each unit was drawn, so that
:func:`common.statistics.resampling.bootstrap_counts` can bootstrap AP, or a difference of AP on the
same draws, by cases or patients:

    bootstrap_counts(lambda n: weighted_average_precision(new, n, unit=case)
                     - weighted_average_precision(old, n, unit=case), n_cases, rng=rng)
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from common.metrics.detection import FALSE, LIMIT, Numbers, Values, match_boxes
from common.metrics.detection_records import Pooled, pool

# 0.50, 0.55 .. 0.95, made as cocoeval makes them, so that ties fall the same way
IOUS: tuple[float, ...] = tuple(np.linspace(0.5, 0.95, 10).tolist())
RECALLS = np.linspace(0.0, 1.0, 101)  # where precision is read


@dataclass(frozen=True)
class PrecisionRecall:
    """Precision and recall while candidates enter by falling score.

    Args:
        score (m,): the candidate that enters.
        precision (m,): share of hits among those that have entered.
        recall (m,): share of the lesions that are hit; NaN without lesions.
    """

    score: Values
    precision: Values
    recall: Values


def pool_boxes(
    boxes: Sequence[ArrayLike],
    scores: Sequence[ArrayLike],
    reference: Sequence[ArrayLike],
    *,
    thresholds: Sequence[float] = IOUS,
    irrelevant: Sequence[ArrayLike] | None = None,
    limit: int = LIMIT,
) -> tuple[Pooled, ...]:
    """Match the boxes of many images and pool them, once for each threshold.

    Args:
        boxes (S,): candidates (m, 2 d) of each image; [] where there is none.
        scores (S,): their scores (m,).
        reference (S,): boxes (n, 2 d) of the lesions of each image.
        thresholds (T,): least IoU of a match.
        irrelevant (S,): boxes of findings that count neither way.
        limit: candidates looked at in an image.

    Returns:
        T pools; see :func:`common.metrics.detection.match_boxes`.

    Raises:
        ValueError: not one entry for each image, or as :func:`match_boxes`.

    Example:
        >>> (found,) = pool_boxes([[[0, 0, 2, 2]], []], [[0.5], []], [[[0, 0, 2, 2]], []],
        ...                       thresholds=[0.5])
        >>> found.lesion.tolist(), found.n_lesions.tolist()
        ([0], [1, 0])
    """
    beside = [()] * len(boxes) if irrelevant is None else irrelevant
    for name, given in (("scores", scores), ("reference", reference), ("irrelevant", beside)):
        if len(given) != len(boxes):
            raise ValueError(
                f"`{name}` must have {len(boxes)} entries, got {len(given)}. Give one an image."
            )
    each = [
        match_boxes(*image, thresholds=thresholds, irrelevant=other, limit=limit)
        for *image, other in zip(boxes, scores, reference, beside, strict=True)
    ]
    return tuple(pool([image[k] for image in each]) for k in range(len(thresholds)))


def average_precision(candidates: Pooled) -> float:
    """Compute the mean over recalls 0, 0.01 .. 1 of the best precision at that recall or past it.

    ``AP = 1/101 sum_r max_{r' >= r} precision(r')``, 0 where the recall is never reached.
    Candidates of equal score keep the order of their images.  Of several hits of one lesion, which
    only the centre rule gives, the best counts and the others are left out.

    Args:
        candidates: pooled over all images.

    Returns:
        In [0, 1]; 0 without candidates, NaN without lesions.

    Source:
        Lin et al., ECCV 2014 (arXiv 1405.0312), and the ``cocoeval`` of its authors.

    Example:
        A hit, a false positive, a hit on three lesions: precision 1 up to recall 1/3 (34 points),
        2/3 up to recall 2/3 (33 points), then 0.

        >>> found = Pooled(np.array([3.0, 2.0, 1.0]), np.zeros(3, int), np.array([0, -1, 1]),
        ...                np.array([3]))
        >>> round(average_precision(found) - (34 + 33 * 2 / 3) / 101, 12)
        0.0
    """
    one = np.zeros(len(candidates.n_lesions), dtype=np.intp)
    return float(weighted_average_precision(candidates, np.ones((1, 1)), unit=one)[0])


def weighted_average_precision(
    candidates: Pooled, weights: ArrayLike, *, unit: ArrayLike | None = None
) -> Values:
    """Compute the average precision with each unit counted as often as its weight.

    Args:
        candidates: pooled over all images.
        weights (R, U): how often each unit counts in each of R resamples, >= 0.
        unit (S,): the unit of each image, 0 to U - 1 (case, patient); None takes each image for
            its own, which costs memory of U times the number of hits.

    Returns:
        (R,), equal to :func:`average_precision` of the images written out as often as they count;
        NaN where no lesion counts.

    Raises:
        ValueError: shapes that do not fit, a unit outside the range, or a negative weight.

    Example:
        >>> found = Pooled(np.array([2.0, 1.0]), np.array([0, 1]), np.array([-1, 0]),
        ...                np.array([1, 1]))
        >>> weighted_average_precision(found, [[1, 1], [0, 1], [2, 0]]).round(3).tolist()
        [0.252, 1.0, 0.0]
    """
    counts, units = _weights(weights, len(candidates.n_lesions), unit)
    true_of, false_of = _ranked(candidates, units, counts.shape[1])
    lesions = counts @ np.bincount(units, weights=candidates.n_lesions, minlength=counts.shape[1])
    true, false = counts @ true_of, counts @ false_of
    shown = true + false
    precision = np.divide(true, shown, out=np.zeros_like(shown), where=shown > 0)
    best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    # past the last hit no recall is reached
    best = np.hstack([best, np.zeros((len(best), 1))])
    found = np.full(len(counts), np.nan)
    for row in np.flatnonzero(lesions > 0):
        found[row] = best[row, np.searchsorted(true[row] / lesions[row], RECALLS)].mean()
    return found


def coco_summary(pools: Sequence[Pooled]) -> dict[str, float]:
    """Compute AP at IoU 0.5 and 0.75 and the mean of AP over IoU 0.5, 0.55 .. 0.95.

    Args:
        pools (10,): from :func:`pool_boxes` with its default thresholds.

    Returns:
        ``ap50``, ``ap75`` and ``ap50_95``, each in [0, 1].

    Raises:
        ValueError: not ten pools.

    Example:
        An IoU of 0.6 passes 0.5, 0.55 and 0.6.

        >>> found = pool_boxes([[[0, 0, 6, 1]]], [[0.9]], [[[0, 0, 10, 1]]])
        >>> coco_summary(found)
        {'ap50': 1.0, 'ap75': 0.0, 'ap50_95': 0.3}
    """
    if len(pools) != len(IOUS):
        raise ValueError(
            f"`pools` must hold one for each of {len(IOUS)} thresholds, got {len(pools)}. Use "
            "`pool_boxes` with its default thresholds."
        )
    each = [average_precision(found) for found in pools]
    return {"ap50": each[0], "ap75": each[5], "ap50_95": float(np.mean(each))}


def precision_recall(candidates: Pooled) -> PrecisionRecall:
    """Compute the curve of which :func:`average_precision` is the area, before it is made flat.

    Example:
        >>> found = Pooled(np.array([2.0, 1.0]), np.array([0, 0]), np.array([-1, 0]), np.array([2]))
        >>> curve = precision_recall(found)
        >>> curve.precision.tolist(), curve.recall.tolist()
        ([0.0, 0.5], [0.0, 0.5])
    """
    order, hit = _order(candidates)
    true, n_lesions = np.cumsum(hit), int(candidates.n_lesions.sum())
    recall = true / n_lesions if n_lesions else np.full(len(true), np.nan)
    return PrecisionRecall(candidates.score[order], true / np.arange(1, len(true) + 1), recall)


def _order(candidates: Pooled) -> tuple[Numbers, NDArray[np.bool_]]:
    """Sort by falling score, without weaker hits of a lesion; tell which are hits."""
    order = np.argsort(-candidates.score, kind="stable")
    lesion, scan = candidates.lesion[order], candidates.scan[order]
    hit = lesion != FALSE
    number = (np.cumsum(candidates.n_lesions) - candidates.n_lesions)[scan] + lesion
    counted = ~hit
    counted[np.flatnonzero(hit)[np.unique(number[hit], return_index=True)[1]]] = True
    return order[counted], hit[counted]


def _ranked(candidates: Pooled, units: Numbers, n_units: int) -> tuple[Values, Values]:
    """Count each unit's hits and false positives (U, h) down to each of the h hits.

    Recall rises, and precision peaks, at hits only, so that nothing between them is needed.
    """
    order, hit = _order(candidates)
    unit, passed = units[candidates.scan[order]], np.cumsum(hit)
    true, false = np.zeros((2, n_units, int(hit.sum()) + 1))
    true[unit[hit], passed[hit] - 1] = 1
    np.add.at(false, (unit[~hit], passed[~hit]), 1)
    return true.cumsum(axis=1)[:, :-1], false.cumsum(axis=1)[:, :-1]


def _weights(weights: ArrayLike, n_images: int, unit: ArrayLike | None) -> tuple[Values, Numbers]:
    counts = np.asarray(weights, dtype=np.float64)
    units = np.arange(n_images) if unit is None else np.asarray(unit, dtype=np.intp)
    if units.shape != (n_images,):
        raise ValueError(
            f"`unit` must have shape ({n_images},), got {units.shape}. Give one an image."
        )
    if counts.ndim != 2 or not (counts >= 0).all():
        raise ValueError(
            f"`weights` must be >= 0 and (R, U), got shape {counts.shape}. Count each unit's draws."
        )
    if len(units) and not 0 <= units.min() <= units.max() < counts.shape[1]:
        raise ValueError(
            f"`unit` must lie in 0..{counts.shape[1] - 1}, got {units.min()} to {units.max()}. "
            "Give each unit a column of `weights`."
        )
    return counts, units
