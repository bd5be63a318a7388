"""Lesions of a given volume that grow from a seed inside allowed tissue."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import distance_transform_edt, label

from common.phantoms.fields import smooth_noise
from common.phantoms.shapes import grid


def grow(
    allowed: NDArray[np.bool_],
    seed: ArrayLike,
    volume: float,
    *,
    rng: np.random.Generator,
    roughness: float = 0.2,
    grain: float = 2.0,
    stretch: ArrayLike | None = None,
    spacing: Sequence[float] | None = None,
) -> NDArray[np.bool_]:
    """Grow a lesion around a seed until it has the volume asked for.

    1. cost = distance from the seed, divided by ``stretch`` along each axis, times
       (1 + roughness z) with z smooth noise;
    2. the lesion is the pixels of allowed tissue with the lowest cost;
    3. of its pieces the one nearest to the seed is kept.

    Args:
        allowed (*spatial): where it may lie.
        seed (axes,): centre (pixels).
        volume: in the unit of ``spacing`` to the power of the axes; pixels by default.
        rng: source of randomness.
        roughness: 0 for an ellipsoid; from about 0.5 ragged.
        grain: size of the bumps (px).
        stretch (axes,): relative lengths; equal by default.
        spacing: size of a pixel along each axis; 1 by default.

    Returns:
        (*spatial) mask inside ``allowed``; smaller than asked where pieces fell off or there is no
        more tissue, never empty unless nothing is allowed.

    Raises:
        ValueError: the volume is not positive.

    Example:
        >>> mask = grow(np.ones((9, 9), bool), (4, 4), 9, rng=np.random.default_rng(0), roughness=0)
        >>> int(mask.sum()), bool(mask[4, 4])
        (9, True)
    """
    if volume <= 0:
        raise ValueError(f"`volume` must be above 0, got {volume!r}.")
    steps = np.asarray(spacing or [1.0] * allowed.ndim, dtype=float)
    lengths = np.ones(allowed.ndim) if stretch is None else np.asarray(stretch, dtype=float)
    offset = [
        (x - c) * step / length
        for x, c, step, length in zip(
            grid(allowed.shape), np.asarray(seed, float), steps, lengths, strict=True
        )
    ]
    cost: NDArray[np.float64] = np.sqrt(sum(o**2 for o in offset))
    if roughness > 0:
        cost = cost * np.exp(roughness * smooth_noise(allowed.shape, grain, rng))
    cost = np.where(allowed, cost, np.inf)
    n = int(min(max(1, round(volume / steps.prod())), np.count_nonzero(allowed)))
    if n == 0:
        return np.zeros(allowed.shape, bool)
    cheapest = np.argpartition(cost, n - 1, axis=None)[:n]
    grown = np.zeros(allowed.shape, bool)
    grown.flat[cheapest] = True
    return _piece_of(grown, int(cheapest[np.argmin(cost.flat[cheapest])]))


def _piece_of(mask: NDArray[np.bool_], index: int) -> NDArray[np.bool_]:
    pieces, _ = label(mask)
    chosen: NDArray[np.bool_] = pieces == pieces.flat[index]
    return chosen


def nested(lesion: NDArray[np.bool_], shares: Sequence[float]) -> NDArray[np.uint8]:
    """Divide a lesion into layers from its surface inward, such as halo, rim and core.

    Args:
        lesion (*spatial): the whole lesion.
        shares: share of each layer, outermost first; the last layer takes what is left.

    Returns:
        (*spatial) codes: 0 outside, 1 for the outermost layer, and so on; a layer of share 0 is
        empty.

    Raises:
        ValueError: a share is negative, or they sum to more than 1.

    Example:
        >>> nested(np.array([0, 1, 1, 1, 1, 1, 0], bool), [0.4, 0.6]).tolist()
        [0, 1, 2, 2, 2, 1, 0]
    """
    weight = np.asarray(shares, dtype=float)
    if weight.min(initial=0) < 0 or weight.sum() > 1 + 1e-9:
        raise ValueError(f"`shares` must be 0 or more and sum to at most 1, got {list(shares)!r}.")
    codes = np.zeros(lesion.shape, np.uint8)
    inside = np.flatnonzero(lesion)
    depth = distance_transform_edt(np.pad(lesion, 1))
    depth = depth[(slice(1, -1),) * lesion.ndim]
    order = inside[np.argsort(depth.flat[inside], kind="stable")]
    ends = np.round(np.cumsum(weight) * len(order)).astype(int)
    ends[-1] = len(order)
    for code, (first, last) in enumerate(zip([0, *ends[:-1]], ends, strict=True), start=1):
        codes.flat[order[first:last]] = code
    return codes
