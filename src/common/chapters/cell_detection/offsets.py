"""What AP measures when all boxes have one size: how far centres may be off."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special

from common.metrics.average_precision import IOUS

Values = NDArray[np.float64]

SIDE_PX = 50.0  # of every box in the data
_NODE, _WEIGHT = np.polynomial.legendre.leggauss(200)


def iou_of_offset(dy: ArrayLike, dx: ArrayLike, *, side: float = SIDE_PX) -> Values:
    """Compute the IoU of two squares of one size whose centres are apart.

    ``i / (2 side^2 - i)`` with ``i = (side - |dy|)+ (side - |dx|)+``.

    Args:
        dy: offset along one axis (pixels).
        dx: along the other.
        side: of both squares (pixels).

    Example:
        >>> float(iou_of_offset(50 / 3, 0).round(12))
        0.5
    """
    inside = np.maximum(side - np.abs(dy), 0) * np.maximum(side - np.abs(dx), 0)
    return np.asarray(inside / (2 * side**2 - inside), dtype=np.float64)


def largest_offset(iou: ArrayLike, *, side: float = SIDE_PX) -> Values:
    """Compute how far a centre may be off along one axis: ``side (1 - t) / (1 + t)``.

    Args:
        iou: the threshold t.
        side: of the squares (pixels).

    Example:
        >>> largest_offset([0.5, 0.75, 0.95]).round(1).tolist()
        [16.7, 7.1, 1.3]
    """
    t = np.asarray(iou, dtype=np.float64)
    return np.asarray(side * (1 - t) / (1 + t))


def share_within(sigma: float, iou: float, *, side: float = SIDE_PX) -> float:
    """Compute the share of boxes that reach an IoU when centres err by N(0, sigma) on each axis.

    With u and v the offsets in sides, the IoU reaches t where
    ``(1 - |u|)(1 - |v|) >= 2t / (1 + t)``; the normal law is integrated over that region.

    Args:
        sigma: standard deviation along each axis (pixels), not negative.
        iou: the threshold t, in (0, 1).
        side: of the squares (pixels).

    Example:
        >>> round(share_within(3.0, 0.75), 3), share_within(0.0, 0.75)
        (0.841, 1.0)
    """
    if sigma <= 0:
        return 1.0
    k, s = 2 * iou / (1 + iou), sigma / side
    u = (_NODE + 1) / 2 * (1 - k)
    v = 1 - k / (1 - u)
    density = np.exp(-0.5 * (u / s) ** 2) / s * np.sqrt(2 / np.pi)
    return float((1 - k) / 2 * (_WEIGHT * density * special.erf(v / s / np.sqrt(2))).sum())


def expected_ap(sigma: float, iou: float, *, both: bool = True, side: float = SIDE_PX) -> float:
    """Compute AP when every cell is found once, and only centres err.

    A box that misses the threshold is a missed cell; it is also a false positive.  If it is as
    likely at any score, recall and precision both end at the share p that reaches the threshold,
    and AP is p x p.

    Args:
        sigma: standard deviation of the centre along each axis (pixels).
        iou: the threshold.
        both: count both consequences; False counts the missed cells alone, so that AP is p.
        side: of the squares (pixels).
    """
    p = share_within(sigma, iou, side=side)
    return p**2 if both else p


def implied_sigma(ratio: float, *, both: bool = True) -> float:
    """Find the centre error at which AP75 / AP50 has a given value.

    Args:
        ratio: AP75 / AP50, in (0, 1).
        both: see :func:`expected_ap`.

    Returns:
        Standard deviation along each axis (pixels).

    Raises:
        ValueError: the ratio lies outside.

    Example:
        >>> round(implied_sigma(share_within(3, 0.75) / share_within(3, 0.5), both=False), 6)
        3.0
    """
    if not 0 < ratio < 1:
        raise ValueError(f"`ratio` must lie in (0, 1), got {ratio!r}. It is AP75 over AP50.")

    def off(sigma: float) -> float:
        return expected_ap(sigma, 0.75, both=both) / expected_ap(sigma, 0.5, both=both) - ratio

    return float(optimize.brentq(off, 1e-3, 15.0))


def expected_mean(sigma: float, *, both: bool = True, thresholds: Sequence[float] = IOUS) -> float:
    """Average :func:`expected_ap` over COCO's thresholds."""
    return float(np.mean([expected_ap(sigma, t, both=both) for t in thresholds]))
