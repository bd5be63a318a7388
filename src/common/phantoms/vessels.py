"""Branching vessels as tables of points, grown by random walks and drawn as tapering tubes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from common.phantoms.shapes import Depth, tube


@dataclass(frozen=True)
class Vessel:
    """One unbranched piece.

    Args:
        points (n, axes): centre line.
        radii (n,): radius at each point.
        level: 0 for a trunk, one more at each branching.
    """

    points: NDArray[np.float64]
    radii: NDArray[np.float64]
    level: int


def walk(
    start: ArrayLike,
    direction: ArrayLike,
    n: int,
    *,
    step: float,
    wander: float,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Walk with small random turns.

    Args:
        start (axes,): first point.
        direction (axes,): first direction, of any length.
        n: number of points.
        step: distance of neighbouring points.
        wander: standard deviation of each turn, relative to a step.
        rng: source of randomness.

    Returns:
        (n, axes) points.

    Raises:
        ValueError: the direction is zero.
    """
    heading = np.asarray(direction, dtype=float)
    if not np.any(heading):
        raise ValueError(f"`direction` must not be zero, got {direction!r}.")
    heading = heading / np.linalg.norm(heading)
    points = [np.asarray(start, dtype=float)]
    for turn in wander * rng.standard_normal((n - 1, heading.size)):
        heading = heading + turn
        heading = heading / np.linalg.norm(heading)
        points.append(points[-1] + step * heading)
    return np.array(points)


def tree(
    start: ArrayLike,
    direction: ArrayLike,
    *,
    rng: np.random.Generator,
    length: float,
    radius: float,
    levels: int = 3,
    wander: float = 0.15,
    spread: float = 0.6,
    shrink: float = 0.75,
    step: float = 2.0,
) -> list[Vessel]:
    """Grow a vessel tree: each piece tapers and ends in two thinner ones.

    Args:
        start (axes,): root.
        direction (axes,): direction of the trunk.
        rng: source of randomness.
        length: length of the trunk (px).
        radius: radius at the root (px).
        levels: generations, 1 for a trunk alone.
        wander: turns inside a piece.
        spread: standard deviation of the turn at a branching, relative to the direction.
        shrink: length and radius of a branch relative to its parent.
        step: distance of points (px).

    Returns:
        The pieces, parents before their branches: 2**levels - 1 of them.
    """
    found: list[Vessel] = []
    waiting = [(np.asarray(start, float), np.asarray(direction, float), length, radius, 0)]
    while waiting:
        root, heading, reach, thick, level = waiting.pop(0)
        n = max(2, round(reach / step))
        points = walk(root, heading, n, step=step, wander=wander, rng=rng)
        found.append(Vessel(points, np.linspace(thick, shrink * thick, n), level))
        if level + 1 < levels:
            last = points[-1] - points[-2]
            last /= np.linalg.norm(last)
            for _ in range(2):
                turned = last + spread * rng.standard_normal(last.size)
                waiting.append((points[-1], turned, shrink * reach, shrink * thick, level + 1))
    return found


def draw(shape: Sequence[int], vessels: Sequence[Vessel]) -> Depth:
    """Draw vessels into an empty image.

    Args:
        shape: sides (pixels).
        vessels: pieces, which may leave the image.

    Returns:
        Depth below the nearest vessel's wall, see :mod:`common.phantoms.shapes`.
    """
    depth = np.full(tuple(shape), -1e3, np.float32)
    for vessel in vessels:
        np.maximum(depth, tube(shape, vessel.points, vessel.radii), out=depth)
    return depth
