"""Shapes on pixel grids of two or three dimensions, given as depth below their surface.

Each shape returns how deep every pixel lies inside it, in pixels (or in the unit of ``spacing``),
positive inside; :func:`soft` turns depth into coverage. Union is ``np.maximum`` of depths,
intersection ``np.minimum``, complement the negative.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Depth = NDArray[np.float32]


def grid(shape: Sequence[int], spacing: Sequence[float] | None = None) -> list[NDArray[np.float32]]:
    """Return the coordinates of all pixel centres as open arrays, one for each axis.

    Args:
        shape: sides of the image (pixels).
        spacing: size of a pixel along each axis; 1 by default.

    Returns:
        Arrays that broadcast to ``shape``; the first pixel's centre is 0.
    """
    steps = spacing or [1.0] * len(shape)
    axes = [np.arange(n, dtype=np.float32) * step for n, step in zip(shape, steps, strict=True)]
    return list(np.meshgrid(*axes, indexing="ij", sparse=True))


def rotation(*angles: float) -> NDArray[np.float64]:
    """Return a rotation matrix.

    Args:
        angles: one angle (radians) for the plane; three for space, about the first, second and
            third axis in turn.

    Returns:
        (2, 2) or (3, 3), orthogonal, determinant 1.

    Raises:
        ValueError: the number of angles is neither one nor three.
    """
    if len(angles) == 1:
        c, s = np.cos(angles[0]), np.sin(angles[0])
        return np.array([[c, -s], [s, c]])
    if len(angles) != 3:
        raise ValueError(f"`angles` must be one or three, got {len(angles)}.")
    matrix = np.eye(3)
    for axis, angle in enumerate(angles):
        first, second = [other for other in range(3) if other != axis]
        turn = np.eye(3)
        turn[np.ix_([first, second], [first, second])] = rotation(angle)
        matrix = turn @ matrix
    return matrix


def ellipsoid(
    shape: Sequence[int],
    centre: ArrayLike,
    radii: ArrayLike,
    *,
    turn: NDArray[np.float64] | None = None,
    power: float = 2.0,
    spacing: Sequence[float] | None = None,
) -> Depth:
    """Draw an ellipse or ellipsoid; a higher power makes it a box with round corners.

    1. r = (sum |R (x - c) / a|^p)^(1/p);
    2. depth = (1 - r) times the geometric mean of the radii, exact for a sphere and close to the
       surface of others.

    Args:
        shape: sides of the image (pixels).
        centre (axes,): centre, in the unit of ``spacing``.
        radii (axes,): semi-axes.
        turn (axes, axes): rotation, see :func:`rotation`.
        power: exponent p, 2 for an ellipsoid.
        spacing: size of a pixel along each axis; 1 by default.

    Returns:
        Depth, positive inside.

    Raises:
        ValueError: a radius or the power is not positive.

    Example:
        >>> depth = ellipsoid((5, 5), (2, 2), (2, 2))
        >>> depth[2].round(1).tolist()
        [0.0, 1.0, 2.0, 1.0, 0.0]
    """
    radius = np.asarray(radii, dtype=float)
    if radius.min() <= 0 or power <= 0:
        raise ValueError(f"`radii` and `power` must be above 0, got {radii!r} and {power!r}.")
    offset = [x - c for x, c in zip(grid(shape, spacing), np.asarray(centre, float), strict=True)]
    if turn is not None:
        offset = [sum(row[i] * offset[i] for i in range(len(offset))) for row in turn]
    total: NDArray[np.float64] = sum(
        np.abs(x / a) ** power for x, a in zip(offset, radius, strict=True)
    )
    reach = total ** (1 / power)
    return ((1 - reach) * float(np.exp(np.log(radius).mean()))).astype(np.float32)


def blob(
    shape: Sequence[int],
    centre: ArrayLike,
    radius: float,
    *,
    cosines: ArrayLike = (),
    sines: ArrayLike = (),
    aspect: float = 1.0,
    angle: float = 0.0,
    first: int = 2,
) -> Depth:
    """Draw a star-shaped blob in the plane whose outline is a Fourier series of the angle.

    R(t) = radius (1 + sum_k a_k cos(k t) + b_k sin(k t)), k from ``first``.

    Args:
        shape: height and width (pixels).
        centre (2,): row and column.
        radius: mean radius (px).
        cosines (n,): a_k, relative to the radius.
        sines (n,): b_k.
        aspect: length over width; 1 for none. The area is kept.
        angle: direction of the long axis from the row axis (radians).
        first: lowest harmonic; 2, since 1 only moves the blob.

    Returns:
        Depth along the ray from the centre, positive inside.
    """
    y, x = grid(shape)
    cy, cx = np.asarray(centre, dtype=float)
    c, s = np.cos(angle), np.sin(angle)
    along = (c * (y - cy) + s * (x - cx)) / np.sqrt(aspect)
    across = (c * (x - cx) - s * (y - cy)) * np.sqrt(aspect)
    theta = np.arctan2(across, along)
    outline = np.ones_like(theta)
    for k, (a, b) in enumerate(zip(np.ravel(cosines), np.ravel(sines), strict=True), start=first):
        outline += a * np.cos(k * theta) + b * np.sin(k * theta)
    return (radius * outline - np.hypot(along, across)).astype(np.float32)


def harmonics(
    n: int, amplitude: float, rng: np.random.Generator, *, decay: float = 1.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw the Fourier coefficients of an outline.

    Args:
        n: number of harmonics.
        amplitude: standard deviation of the relative radius.
        rng: source of randomness.
        decay: power by which higher harmonics are smaller; 0 makes spikes, 2 a smooth outline.

    Returns:
        Cosine and sine coefficients, (n,) each, for :func:`blob`.
    """
    weight = np.arange(1, n + 1, dtype=float) ** -decay
    weight *= amplitude / np.sqrt((weight**2).sum()) if n else 1.0
    drawn = rng.standard_normal((2, n)) * weight
    return drawn[0], drawn[1]


def tube(
    shape: Sequence[int],
    points: ArrayLike,
    radii: ArrayLike,
    *,
    spacing: Sequence[float] | None = None,
) -> Depth:
    """Draw a tube along a polyline; its radius runs linearly between the points.

    Args:
        shape: sides of the image (pixels).
        points (n, axes): vertices, n at least 1, in the unit of ``spacing``.
        radii (n,) or scalar: radius at each vertex.
        spacing: size of a pixel along each axis; 1 by default.

    Returns:
        Depth; far outside (beyond three radii from every segment) a large negative number.

    Raises:
        ValueError: there is no point.

    Example:
        >>> tube((3, 5), [(1, 1), (1, 3)], 1.0)[1].tolist()
        [0.0, 1.0, 1.0, 1.0, 0.0]
    """
    vertices = np.atleast_2d(np.asarray(points, dtype=float))
    if vertices.size == 0:
        raise ValueError("`points` must hold at least one point, got none.")
    radius = np.broadcast_to(np.asarray(radii, dtype=float), len(vertices))
    steps = np.asarray(spacing or [1.0] * len(shape), dtype=float)
    depth = np.full(shape, -1e3, np.float32)
    starts = range(max(1, len(vertices) - 1))
    for i in starts:
        j = min(i + 1, len(vertices) - 1)
        _stamp_segment(depth, vertices[i], vertices[j], radius[i], radius[j], steps)
    return depth


def _stamp_segment(
    depth: Depth,
    start: NDArray[np.float64],
    end: NDArray[np.float64],
    first: float,
    last: float,
    steps: NDArray[np.float64],
) -> None:
    """Raise the depth near one segment; only its neighbourhood is touched."""
    reach = 3 * max(first, last) + float(steps.max())
    low = np.floor((np.minimum(start, end) - reach) / steps).astype(int).clip(0)
    high = (np.ceil((np.maximum(start, end) + reach) / steps).astype(int) + 1).clip(0)
    window = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    if depth[window].size == 0:
        return
    axes = [
        np.arange(a, min(b, n), dtype=float) * step
        for a, b, n, step in zip(low, high, depth.shape, steps, strict=True)
    ]
    offset = [
        x - s for x, s in zip(np.meshgrid(*axes, indexing="ij", sparse=True), start, strict=True)
    ]
    line = end - start
    length2 = float(line @ line)
    along = sum(o * d for o, d in zip(offset, line, strict=True)) / length2 if length2 else 0.0
    along = np.clip(along, 0, 1)
    distance2 = sum((o - along * d) ** 2 for o, d in zip(offset, line, strict=True))
    inside = first + along * (last - first) - np.sqrt(distance2)
    np.maximum(depth[window], inside, out=depth[window], casting="same_kind")


def soft(depth: NDArray[np.floating], width: float = 1.0) -> NDArray[np.float32]:
    """Turn depth into coverage with a linear edge.

    Args:
        depth: from a shape.
        width: width of the edge; 1 gives pixels their covered share, 0 a hard edge.

    Returns:
        Values in [0, 1]; 0.5 on the surface.
    """
    if width <= 0:
        return (depth > 0).astype(np.float32)
    return np.clip(depth / width + 0.5, 0, 1).astype(np.float32)


def shells(inside: NDArray[np.bool_], spacing: Sequence[float] | None = None) -> Depth:
    """Measure how deep every pixel lies below the surface of a mask.

    Args:
        inside: the mask.
        spacing: size of a pixel along each axis; 1 by default.

    Returns:
        Distance to the nearest pixel outside, 0 outside.
    """
    from scipy.ndimage import distance_transform_edt

    return distance_transform_edt(inside, sampling=spacing).astype(np.float32)
