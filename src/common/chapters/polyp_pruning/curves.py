"""Curves of the pruning chapter: what is left, and how good it is, over the share removed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.chapters.polyp_pruning.inputs import Frames
from common.metrics.segmentation import iou
from common.models.polyp_pruning import Counts, UNet, count, prune
from common.models.polyp_pruning_scores import Scores, keep_best
from common.models.polyp_pruning_training import probabilities

Array = NDArray[np.float64]
TOTAL = 2944  # the paper's filters; levels are shares of them
RIGHT, LEFT, DRASTIC = 736 / TOTAL, 956 / TOTAL, 1500 / TOTAL
# shares of the filters that are removed; the area under a curve uses some of them for every score
LEVELS = (
    0.0,
    0.05,
    0.1,
    0.15,
    0.2,
    RIGHT,
    LEFT,
    0.4,
    0.45,
    DRASTIC,
    0.55,
    0.6,
    0.65,
    0.7,
    0.8,
    0.9,
)
AREA_LEVELS = (0.0, 0.1, RIGHT, LEFT, DRASTIC, 0.7, 0.9)
TIMED = (RIGHT, LEFT, DRASTIC)  # levels at which the networks of every score are timed
GROUPS = {RIGHT: "25 %", LEFT: "32.5 %"}  # levels whose single frames are recorded
# scores whose ranks are followed over all levels; chance is drawn several times
SCORES = (
    "taylor", "few", "few-other", "signed", "reversed", "absolute", "raw", "after", "mean",
    "squares", "mean-squares", "wrong-mask", "l1", "l1-layer", "activity", "even",
)  # fmt: skip


def n_removed(share: float, n_filters: int) -> int:
    """Return how many filters a share of them is.

    Example:
        >>> n_removed(LEFT, 2944), n_removed(LEFT, 1472)
        (956, 478)
    """
    return round(share * n_filters)


def frame_iou(model: UNet, frames: Frames) -> Array:
    """Return the IoU of each frame (n,) at probability 0.5; 1 where both masks are empty."""
    return iou(probabilities(model, frames.image) > 0.5, frames.mask, empty="one")


def pruned(model: UNet, scores: Scores, share: float) -> UNet:
    """Make the small network that is left when a share of the filters goes."""
    return prune(model, keep_best(scores, n_removed(share, model.plan.n_filters)))


@dataclass(frozen=True)
class Curve:
    """One score followed over the levels.

    Args:
        iou (levels, n): of each measured frame.
        kept (levels, 18): filters left in each layer.
        counts (levels, 2): parameters and multiplications.
    """

    iou: Array
    kept: NDArray[np.int64]
    counts: Array


def follow(
    model: UNet, scores: Scores, frames: Frames, levels: Sequence[float], *, whole: Array
) -> Curve:
    """Remove ever more filters by one score vector and measure each network that is left.

    Args:
        model: the whole network.
        scores: by layer.
        frames: that are measured.
        levels: shares removed.
        whole (n,): IoU of each frame with nothing removed, which is the same for every score.
    """
    size = frames.image.shape[-1]
    found, kept, counts = [], [], []
    for share in levels:
        small = pruned(model, scores, share)
        found.append(frame_iou(small, frames) if share else whole)
        kept.append(small.plan.filters)
        counts.append(pair(count(small.plan, size)))
    return Curve(np.stack(found), np.array(kept), np.array(counts))


def pair(counts: Counts) -> tuple[float, float]:
    """Return parameters and multiplications as floats."""
    return float(counts.parameters), float(counts.macs)


def area(values: Array, levels: Sequence[float]) -> Array:
    """Return the mean over levels of a curve by trapezoids, of the levels in AREA_LEVELS alone.

    Args:
        values (levels, n): IoU.
        levels: shares removed, among them all of :data:`AREA_LEVELS`.

    Returns:
        (n,), in [0, 1].
    """
    rows = [levels.index(share) for share in AREA_LEVELS]
    width = AREA_LEVELS[-1] - AREA_LEVELS[0]
    return np.asarray(np.trapezoid(values[rows], AREA_LEVELS, axis=0) / width)


def knee(levels: Sequence[float], curve: Array) -> float:
    """Find where a curve turns from one line into a steeper one.

    Two lines that meet are fitted by least squares for every place where they could meet, and the
    second has to fall more steeply; levels behind the first at which less than a fifth of the
    start is left are not looked at, since a curve that has fallen turns again.

    Args:
        levels: shares removed, ascending.
        curve (levels,): mean IoU.

    Returns:
        The place with the smallest error; NaN where no second line falls more steeply, or fewer
        than four levels are left to look at.

    Example:
        >>> x = np.linspace(0, 1, 21)
        >>> round(knee(x, 0.8 - np.maximum(0, x - 0.5)), 2)
        0.5
        >>> knee(x, 0.8 - 0.4 * x)
        nan
    """
    fallen = np.flatnonzero(curve < 0.2 * curve[0])
    end = int(fallen[0]) + 1 if len(fallen) else len(curve)
    x, y = np.asarray(levels, dtype=float)[:end], curve[:end]
    if end < 4:
        return float("nan")
    best, found = np.inf, float("nan")
    for place in np.arange(x[1], x[-2] + 1e-9, 0.005):
        basis = np.stack([np.ones_like(x), x, np.maximum(0, x - place)], axis=1)
        weights = np.linalg.lstsq(basis, y, rcond=None)[0]
        error = float(((y - basis @ weights) ** 2).sum())
        # weights[2] is the change of slope; below a millionth it is rounding
        if weights[2] < -1e-6 and error < best:
            best, found = error, float(place)
    return found
