"""Which candidate of a detector hits which lesion, by LUNA16's rule or by COCO's.

LUNA16: a candidate hits every lesion within whose radius its centre lies, and of several candidates
on one lesion the best counts.  COCO: boxes are taken by falling score, and each takes the free
lesion that it overlaps most.

Both rules give the :class:`Matches` of one scan; :mod:`common.metrics.detection_records` pools the
scans for the FROC curve, for AP and for the records of claims.

Boxes are (n, 4) or (n, 6): lower corner, then upper corner; a side is upper less lower.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Values = NDArray[np.float64]
Numbers = NDArray[np.intp]

LIMIT = 100  # candidates of one scan that LUNA16 and COCO look at
UNKNOWN_DIAMETER_MM = 10.0  # what LUNA16 takes for a finding of unknown size (-1)
FALSE = -1  # in place of a lesion's number


@dataclass(frozen=True)
class Matches:
    """What the candidates of one scan hit.

    Args:
        score (m,): one row for each candidate and lesion that it hits, and one for each candidate
            that hits none.
        lesion (m,): the number of the lesion, from 0; -1 for a false positive.
        n_lesions: lesions of the scan.
        n_irrelevant: candidates left out because they lie on irrelevant findings.
    """

    score: Values
    lesion: Numbers
    n_lesions: int
    n_irrelevant: int = 0


def box_centres(boxes: ArrayLike) -> Values:
    """Compute the centres (n, d) of boxes (n, 2 d).

    Raises:
        ValueError: not such an array, or an upper corner below the lower one.

    Example:
        >>> box_centres([[0, 0, 4, 2]]).tolist()
        [[2.0, 1.0]]
    """
    lower, upper = np.split(_boxes("boxes", boxes), 2, axis=1)
    return np.asarray((lower + upper) / 2, dtype=np.float64)


def box_iou(first: ArrayLike, second: ArrayLike) -> Values:
    """Compute the intersection over union of each pair of boxes in double precision.

    MONAI's ``box_iou`` works in single precision, which can turn a match at the threshold.

    Args:
        first (n, 2 d): boxes.
        second (m, 2 d): boxes.

    Returns:
        (n, m), in [0, 1]; 0 for two boxes without volume.

    Raises:
        ValueError: the arrays do not fit, or an upper corner lies below the lower one.

    Example:
        >>> box_iou([[0, 0, 2, 2]], [[1, 0, 3, 2], [2, 0, 4, 2]]).round(3).tolist()
        [[0.333, 0.0]]
    """
    a, b = _boxes("first", first), _boxes("second", second)
    if not len(a) or not len(b):
        return np.zeros((len(a), len(b)))
    if a.shape[1] != b.shape[1]:
        raise ValueError(
            f"`second` must have {a.shape[1]} columns as `first`, got {b.shape[1]}. Use boxes of "
            "as many axes."
        )
    d = a.shape[1] // 2
    upper = np.minimum(a[:, None, d:], b[None, :, d:])
    sides = upper - np.maximum(a[:, None, :d], b[None, :, :d])
    both = np.maximum(sides, 0).prod(axis=2)
    volume_a, volume_b = (np.prod(x[:, d:] - x[:, :d], axis=1) for x in (a, b))
    either = volume_a[:, None] + volume_b - both
    return np.divide(both, either, out=np.zeros_like(both), where=either > 0)


def match_centres(
    points: ArrayLike,
    scores: ArrayLike,
    centres: ArrayLike,
    diameters: ArrayLike,
    *,
    irrelevant: ArrayLike = (),
    irrelevant_diameters: ArrayLike = (),
    limit: int = LIMIT,
) -> Matches:
    """Match the candidates of one scan by the rules of LUNA16.

    1. Of more than ``limit`` candidates only those that score higher than the first one past the
       limit are looked at, so that ties at the limit all drop out.
    2. A candidate hits a lesion if its centre lies nearer than the radius, and it may hit several;
       :mod:`common.statistics.froc` counts only the best of several hits of one lesion.
    3. A candidate that hits no lesion but an irrelevant finding is left out.
    4. All others are false positives.

    Args:
        points (m, d): centres of the candidates, in mm or another unit.
        scores (m,): higher means more suspicious.
        centres (n, d): centres of the lesions, in the same unit.
        diameters (n,): a negative one stands for 10.
        irrelevant (k, d): centres of findings that count neither way.
        irrelevant_diameters (k,): their diameters.
        limit: candidates looked at.

    Returns:
        Rows in the order of the candidates.

    Raises:
        ValueError: arrays that do not fit or are not finite, or a limit below 1.

    Source:
        Setio et al., Med Image Anal 42:1 (2017), section 3; the evaluation script of the challenge.

    Example:
        The first two lie on the lesion, the third on the irrelevant finding.

        >>> found = match_centres([[0, 1], [1, 0], [9, 9], [5, 5]], [0.2, 0.9, 0.8, 0.7],
        ...                       [[0, 0]], [4], irrelevant=[[9, 8]], irrelevant_diameters=[-1])
        >>> found.score.tolist(), found.lesion.tolist(), found.n_irrelevant
        ([0.2, 0.9, 0.7], [0, 0, -1], 1)
    """
    score, at = _scores(scores, limit), _rows("points", points)
    _same_length("points", at, score)
    lesions = _rows("centres", centres)
    inside = _inside(at, lesions, _rows("diameters", diameters, 1))
    others = _rows("irrelevant", irrelevant)
    beside = _inside(at, others, _rows("irrelevant_diameters", irrelevant_diameters, 1))
    seen = score > np.sort(score)[-limit - 1] if len(score) > limit else np.full(len(score), True)
    inside &= seen[:, None]
    candidate, lesion = np.nonzero(inside)
    missed = seen & ~inside.any(axis=1)
    left_out = missed & beside.any(axis=1)
    false = np.flatnonzero(missed & ~left_out)
    order = np.argsort(np.concatenate([candidate, false]), kind="stable")
    return Matches(
        np.concatenate([score[candidate], score[false]])[order],
        np.concatenate([lesion, np.full(len(false), FALSE)])[order],
        len(lesions),
        int(left_out.sum()),
    )


def match_boxes(
    boxes: ArrayLike,
    scores: ArrayLike,
    reference: ArrayLike,
    *,
    thresholds: Sequence[float] = (0.5,),
    irrelevant: ArrayLike = (),
    limit: int = LIMIT,
) -> tuple[Matches, ...]:
    """Match the boxes of one image by the rules of COCO, once for each threshold.

    1. The ``limit`` boxes of highest score are looked at, equal ones in their order.
    2. By falling score each takes the lesion that it overlaps most among those still free, if the
       IoU reaches the threshold; of equal ones the last.
    3. A box that takes none but overlaps an irrelevant finding as much is left out; several may lie
       on one finding.
    4. All others, also second boxes of a lesion, are false positives.

    Args:
        boxes (m, 2 d): candidates.
        scores (m,): higher means more suspicious.
        reference (n, 2 d): boxes of the lesions.
        thresholds (T,): least IoU of a match, in (0, 1].
        irrelevant (k, 2 d): boxes of findings that count neither way.
        limit: candidates looked at.

    Returns:
        T matches, rows by falling score.

    Raises:
        ValueError: arrays that do not fit or are not finite, a threshold outside (0, 1], or a limit
            below 1.

    Source:
        Lin et al., ECCV 2014 (arXiv 1405.0312), and the ``cocoeval`` of its authors, where an
        irrelevant finding is a crowd; here its overlap is the plain IoU.

    Example:
        >>> found = match_boxes([[0, 0, 2, 2], [0, 0, 2, 1]], [0.6, 0.9], [[0, 0, 2, 2]],
        ...                     thresholds=(0.5, 0.75))
        >>> [each.lesion.tolist() for each in found]
        [[0, -1], [-1, 0]]
    """
    if not len(thresholds) or not 0 < min(thresholds) <= max(thresholds) <= 1:
        raise ValueError(f"`thresholds` must lie in (0, 1], got {thresholds!r}. Give IoUs.")
    score, found = _scores(scores, limit), _boxes("boxes", boxes)
    _same_length("boxes", found, score)
    order = np.argsort(-score, kind="stable")[:limit]
    overlap = box_iou(found[order], reference)
    beside = box_iou(found[order], irrelevant).max(axis=1, initial=0.0)
    return tuple(_take(score[order], overlap, beside, each) for each in thresholds)


def _take(score: Values, overlap: Values, beside: Values, threshold: float) -> Matches:
    """Let each box, best first, take a free lesion; ``beside`` is its IoU with what to ignore."""
    least = min(threshold, 1 - 1e-10)  # cocoeval's slack, so that a perfect box reaches 1
    lesion = np.full(len(score), FALSE, dtype=np.intp)
    free = overlap.copy()
    for i in np.flatnonzero((overlap >= least).any(axis=1)):
        # argmax of the reversed row: cocoeval takes the last of equally good lesions
        best = overlap.shape[1] - 1 - int(free[i, ::-1].argmax())
        if free[i, best] >= least:
            lesion[i] = best
            free[:, best] = -1.0
    left_out = (lesion == FALSE) & (beside >= least)
    return Matches(score[~left_out], lesion[~left_out], overlap.shape[1], int(left_out.sum()))


def _inside(points: Values, centres: Values, diameters: Values) -> NDArray[np.bool_]:
    """Tell for each point (m, d) whether it lies within each sphere (m, n)."""
    _same_length("diameters", diameters, centres)
    if not len(points) or not len(centres):
        return np.zeros((len(points), len(centres)), dtype=np.bool_)
    if points.shape[1] != centres.shape[1]:
        raise ValueError(
            f"`points` must have {centres.shape[1]} coordinates as the lesions, got "
            f"{points.shape[1]}. Use one coordinate system."
        )
    radius = np.where(diameters < 0, UNKNOWN_DIAMETER_MM, diameters) / 2
    apart = ((points[:, None] - centres) ** 2).sum(axis=2)
    return np.asarray(apart < radius**2, dtype=np.bool_)


def _rows(name: str, values: ArrayLike, ndim: int = 2) -> Values:
    """Take finite numbers in rows, or one a row; an empty list has no rows."""
    array = np.asarray(values, dtype=np.float64)
    if not array.size:
        return np.zeros((0, 1) if ndim == 2 else 0)
    if array.ndim != ndim or not np.isfinite(array).all():
        shape = "finite numbers (n, d)" if ndim == 2 else "one finite number a row"
        raise ValueError(f"`{name}` must hold {shape}, got shape {array.shape}. Check its values.")
    return array


def _boxes(name: str, values: ArrayLike) -> Values:
    array = _rows(name, values)
    if not len(array):
        return np.zeros((0, 4))
    if array.shape[1] not in (4, 6):
        raise ValueError(
            f"`{name}` must have 4 or 6 columns, got {array.shape[1]}. Give both corners."
        )
    lower, upper = np.split(array, 2, axis=1)
    if (upper < lower).any():
        worst = array[(upper < lower).any(axis=1)][0].tolist()
        raise ValueError(f"`{name}` must hold the lower corner first, got {worst}. Swap them.")
    return array


def _scores(scores: ArrayLike, limit: int) -> Values:
    if limit < 1:
        raise ValueError(f"`limit` must be >= 1, got {limit!r}. Leave it at {LIMIT}.")
    return _rows("scores", scores, 1)


def _same_length(name: str, array: Values, other: Values) -> None:
    if len(array) != len(other):
        raise ValueError(
            f"`{name}` must have {len(other)} rows, got {len(array)}. Give one a candidate or "
            "lesion."
        )
