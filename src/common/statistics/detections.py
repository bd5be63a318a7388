"""Candidates of a detector on scans with lesions, and how many are hits or false positives at each
threshold when every scan counts as often as its weight.

Candidates are sorted once; a resample needs only how often each scan was drawn, as weights of its
candidates in cumulative sums.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from common.statistics.results import Array, DesignError, finite


@dataclass(frozen=True)
class Detections:
    """One method's candidates on S scans, each already matched to a lesion or to none.

    Candidates on findings that are neither lesions nor false positives (LUNA16 excludes some) are
    to be left out beforehand.

    Args:
        score (m,): higher means more suspicious.
        scan (m,): the scan of each candidate, 0 to S - 1.
        lesion (m,): the number of the lesion that it hits, counted from 0 inside its scan; -1 for
            a false positive.
        n_lesions (S,): lesions of each scan, also of scans without candidates.

    Raises:
        DesignError: shapes that do not fit, a scan or lesion that does not exist, a score that is
            not finite, or no lesion at all.

    Example:
        >>> Detections([0.9, 0.5], scan=[0, 1], lesion=[0, -1], n_lesions=[1, 0]).n_scans
        2
    """

    score: ArrayLike
    scan: ArrayLike
    lesion: ArrayLike
    n_lesions: ArrayLike

    def __post_init__(self) -> None:
        score = np.asarray(self.score, dtype=np.float64)
        score = finite("score", score) if score.size else score.reshape(0)
        scan, lesion = _whole("scan", self.scan), _whole("lesion", self.lesion)
        n_lesions = _whole("n_lesions", self.n_lesions)
        if not score.shape == scan.shape == lesion.shape:
            raise DesignError(
                "`score`, `scan` and `lesion` must have one value a candidate, got "
                f"{score.shape}, {scan.shape} and {lesion.shape}. Align them."
            )
        if len(n_lesions) == 0 or n_lesions.min() < 0 or n_lesions.sum() == 0:
            raise DesignError(
                "`n_lesions` must be >= 0 with at least one lesion in all, got "
                f"{n_lesions.sum()} in {len(n_lesions)} scans. Give every scan's count."
            )
        if len(scan) and not (scan.min() >= 0 and scan.max() < len(n_lesions)):
            raise DesignError(
                f"`scan` must lie in 0..{len(n_lesions) - 1}, got {scan.min()} to {scan.max()}. "
                "Give the position of the scan in `n_lesions`."
            )
        if ((lesion < -1) | (lesion >= n_lesions[scan])).any():
            raise DesignError(
                "`lesion` must be -1 or lie in 0..n_lesions - 1 of its scan, got a number outside. "
                "Number the lesions inside each scan from 0."
            )
        for name, array in zip(
            ("score", "scan", "lesion", "n_lesions"), (score, scan, lesion, n_lesions), strict=True
        ):
            object.__setattr__(self, name, array)

    @property
    def n_scans(self) -> int:
        """Number of scans."""
        return len(np.asarray(self.n_lesions))


def _whole(name: str, values: ArrayLike) -> NDArray[np.intp]:
    array = np.asarray(values)
    numbers = array.astype(np.intp) if array.size == 0 or np.isfinite(array).all() else None
    if array.ndim != 1 or numbers is None or (numbers != array).any():
        raise DesignError(f"`{name}` must hold whole numbers on one axis. Number from 0.")
    return numbers


@dataclass(frozen=True)
class SortedDetections:
    """Counted candidates in falling order of score, and where their tied groups end."""

    scan: NDArray[np.intp]
    hit: NDArray[np.bool_]
    ends: NDArray[np.intp]
    score: Array
    n_lesions: Array


def sort_detections(detections: Detections) -> SortedDetections:
    """Sort candidates by falling score and drop all but the best of each lesion."""
    score, scan = np.asarray(detections.score), np.asarray(detections.scan)
    lesion, n_lesions = np.asarray(detections.lesion), np.asarray(detections.n_lesions)
    order = np.argsort(-score, kind="stable")
    score, scan, lesion = score[order], scan[order], lesion[order]
    hit = lesion >= 0
    number = np.concatenate([[0], np.cumsum(n_lesions)[:-1]])[scan] + lesion
    counted = ~hit
    first = np.unique(number[hit], return_index=True)[1]  # the best-scored hit of each lesion
    counted[np.flatnonzero(hit)[first]] = True
    score, scan, hit = score[counted], scan[counted], hit[counted]
    ends = np.flatnonzero(np.append(score[1:] != score[:-1], True)) if len(score) else scan[:0]
    return SortedDetections(scan, hit, ends, score, n_lesions.astype(np.float64))


def weighted_sensitivities(
    ordered: SortedDetections, weights: Array, rates: Array, interpolate: bool
) -> Array:
    """Return the sensitivities (R, r) with each scan counted as often as its weight (R, S)."""
    targets = rates * weights.sum(axis=1, keepdims=True)
    whole = np.rint(targets)  # 0.1 * 30 must reach the third false positive
    targets = np.where(np.abs(targets - whole) < 1e-9, whole, targets)
    lesions = weights @ ordered.n_lesions
    false, true = _counts(ordered, weights, targets.max(axis=1))
    found = np.empty(targets.shape)
    for row, (x, xs, ys) in enumerate(zip(targets, false, true, strict=True)):
        if interpolate:
            found[row] = np.interp(x, xs, ys)
        else:
            found[row] = ys[np.searchsorted(xs, x, side="right") - 1]
    return found / lesions[:, None]


def _counts(ordered: SortedDetections, weights: Array, most: Array) -> tuple[Array, Array]:
    """Count false and true positives at each operating point (R, t), past ``most`` false ones.

    Only the head of the list is counted: with 100 candidates a scan a tenth of it holds 8 false
    positives per scan.
    """
    n_false = np.cumsum(~ordered.hit)
    needed = max(1.0, 1.5 * most.max() / weights.mean())
    while True:
        stop = int(np.searchsorted(n_false[ordered.ends], needed)) + 1
        ends = ordered.ends[:stop]
        head = slice(0, int(ends[-1]) + 1 if len(ends) else 0)
        drawn = weights[:, ordered.scan[head]]
        hit = ordered.hit[head]
        false = np.cumsum(drawn * ~hit, axis=1)[:, ends]
        if len(ends) == len(ordered.ends) or (false[:, -1] > most).all():
            break
        needed *= 2
    true = np.cumsum(drawn * hit, axis=1)[:, ends]
    start = np.zeros((len(weights), 1))
    return np.hstack([start, false]), np.hstack([start, true])
