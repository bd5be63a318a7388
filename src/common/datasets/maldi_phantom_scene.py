"""Scenes of the MALDI phantom: labelled shapes in the plane, and deformations of known form."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from common.phantoms.fields import Field, smooth_noise
from common.phantoms.shapes import Depth, blob, ellipsoid, grid, harmonics, rotation, tube

Codes = NDArray[np.uint8]
# codes of the small region that lies deep inside: the segment, the ventricle
VENTRICLE = {"synthetic": 4, "brain": 9}
# the steepest part of a deformation must change less than a pixel a pixel, or it folds
_STEEPEST = 0.85


def scene(row: Mapping[str, Any], size: int, rng: np.random.Generator) -> tuple[Codes, Depth]:
    """Draw the labelled reference.

    Args:
        row: with ``scene``, ``row``, ``column``, ``angle`` and ``ellipse_*`` (shares of the side).
        size: side (pixels).
        rng: source of randomness of the inner regions.

    Returns:
        Codes, 0 outside the object, and the depth below the object's outline (px).
    """
    paint = _synthetic if row["scene"] == "synthetic" else _brain
    return paint(row, size, rng)


def _place(row: Mapping[str, Any], size: int, along: float, across: float) -> NDArray[np.float64]:
    """Give the pixel at a place of the object, in shares of its semi-axes."""
    turn = rotation(float(row["angle"]))
    offset = turn @ (size * np.array([along * row["ellipse_long"], across * row["ellipse_short"]]))
    return size * np.array([row["row"], row["column"]]) + offset


def _synthetic(row: Mapping[str, Any], size: int, rng: np.random.Generator) -> tuple[Codes, Depth]:
    """Draw an ellipse (1) with two disks (2, 3) and a line segment (4)."""
    shape = (size, size)
    outline = ellipsoid(
        shape,
        _place(row, size, 0, 0),
        size * np.array([row["ellipse_long"], row["ellipse_short"]]),
        turn=rotation(float(row["angle"])).T,
    )
    codes = (outline > 0).astype(np.uint8)
    disks = ((0.45, 0.2, 0.06), (-0.4, 0.35, 0.045))
    for code, (along, across, radius) in enumerate(disks, start=2):
        centre = _place(row, size, *(np.array([along, across]) + rng.uniform(-0.08, 0.08, 2)))
        codes[ellipsoid(shape, centre, [radius * size] * 2) > 0] = code
    ends = [(0.0 + shift, -0.35) for shift in (-0.2 / 0.36, 0.2 / 0.36)]
    line = [_place(row, size, *end) for end in ends]
    codes[tube(shape, line, 1.2 * size / 128) > 0] = VENTRICLE["synthetic"]
    return codes, outline


def _brain(row: Mapping[str, Any], size: int, rng: np.random.Generator) -> tuple[Codes, Depth]:
    """Draw a coronal brain: cortex (1), seven inner regions (2 to 8), a thin ventricle (9)."""
    shape = (size, size)
    cosines, sines = harmonics(4, 0.04, rng)
    radius = size * float(np.sqrt(row["ellipse_long"] * row["ellipse_short"]))
    outline = blob(
        shape,
        _place(row, size, 0, 0),
        radius,
        cosines=cosines,
        sines=sines,
        aspect=float(row["ellipse_long"] / row["ellipse_short"]),
        angle=float(row["angle"]),
    )
    codes = (outline > 0).astype(np.uint8)
    regions = (
        (0.0, 0.0, 0.78, 0.7),
        (0.5, -0.1, 0.2, 0.28),
        (-0.5, -0.1, 0.2, 0.28),
        (0.0, 0.32, 0.3, 0.22),
        (0.42, 0.42, 0.14, 0.14),
        (-0.42, 0.42, 0.14, 0.14),
        (0.0, -0.2, 0.26, 0.12),
    )
    long, short = size * row["ellipse_long"], size * row["ellipse_short"]
    for code, (along, across, a, b) in enumerate(regions, start=2):
        drift = 0.04 * rng.standard_normal(2)
        centre = _place(row, size, along + drift[0], across + drift[1])
        radii = np.array([a * long, b * short]) * np.exp(0.1 * rng.standard_normal(2))
        inside = ellipsoid(shape, centre, radii, turn=rotation(float(row["angle"])).T, power=2.4)
        codes[(inside > 0) & (outline > 0.06 * size)] = code
    t = np.linspace(-1, 1, 9)
    bend = 0.3 + 0.1 * rng.standard_normal()
    line = [_place(row, size, 0.36 * s, -0.42 + bend * s**2) for s in t]
    codes[tube(shape, line, 1.4 * size / 128) > 0] = VENTRICLE["brain"]
    return codes, outline


def deformation(
    row: Mapping[str, Any], size: int, outline: Depth, rng: np.random.Generator
) -> Field:
    """Sum the parts of the true deformation, on the grid of the reference.

    v = f (sqrt(rho) v_coh + sqrt(1 - rho) v_int) + bump + scale, where v_coh is smooth and moves
    the inside along with the outline, v_int is 0 from the outline outward, and f is 1 unless the
    sum would fold.

    Args:
        row: with the dials ``coherence``, ``amplitude``, ``bump``, ``local_scale``.
        size: side (pixels).
        outline: depth below the object's outline (px).
        rng: source of randomness.

    Returns:
        (2, size, size): where each pixel of the reference is found in the target, less its place.
    """
    shape = (size, size)
    rho, unit = float(row["coherence"]), size / 128
    drawn = [smooth_noise(shape, 0.18 * size, rng) for _ in range(2)]
    # the pair is rigidly aligned, so the object as a whole does not move
    whole = _peak_one([part - part[outline > 0].mean() for part in drawn], outline)
    inner = [smooth_noise(shape, 0.06 * size, rng) for _ in range(2)]
    window = np.clip(outline / (0.1 * size), 0, 1)
    inside = _peak_one([part * window**2 * (3 - 2 * window) for part in inner], outline)
    smooth = row["amplitude"] * unit * (np.sqrt(rho) * whole + np.sqrt(1 - rho) * inside)
    local = _bump(row, size, outline) + _half_scaled(row, size)
    room = _STEEPEST - _steepness(local)
    steep = _steepness(smooth)
    return (smooth * min(1.0, max(room, 0.0) / max(steep, 1e-9)) + local).astype(np.float32)


def _peak_one(parts: list[Field], outline: Depth) -> Field:
    """Scale a field so that its longest vector inside the object is 1."""
    field = np.stack(parts)
    longest = np.hypot(*field)[outline > 0].max()
    return field / max(float(longest), 1e-9)


def _steepness(field: NDArray[np.floating]) -> float:
    """Return the largest Frobenius norm of the field's derivative."""
    slopes = [np.diff(part, axis=axis, append=0) ** 2 for part in field for axis in range(2)]
    return float(np.sqrt(sum(slopes)[:-1, :-1].max()))


def _bump(row: Mapping[str, Any], size: int, outline: Depth) -> Field:
    """Push the outline outward about one place of the boundary."""
    y, x = grid((size, size))
    centre = _place(row, size, 0, 0)
    toward = np.array([np.cos(row["bump_angle"]), np.sin(row["bump_angle"])])
    steps = np.arange(size)
    line = (centre + steps[:, None] * toward).round().astype(int)
    line = line[((line >= 0) & (line < size)).all(1)]
    edge = line[max(0, int((outline[tuple(line.T)] > 0).sum()) - 1)]
    near = np.exp(-((y - edge[0]) ** 2 + (x - edge[1]) ** 2) / (2 * (0.09 * size) ** 2))
    # the bump is drawn around the boundary, so its peak is the shift asked for
    return row["bump"] * size / 128 * toward[:, None, None] * near


def _half_scaled(row: Mapping[str, Any], size: int) -> Field:
    """Stretch one half of the object along its long axis."""
    y, x = grid((size, size))
    cy, cx = _place(row, size, 0, 0)
    axis = rotation(float(row["angle"])) @ np.array([1.0, 0.0])
    along = axis[0] * (y - cy) + axis[1] * (x - cx)
    return row["local_scale"] * np.maximum(along, 0) * axis[:, None, None]


def inverse(field: Field, *, steps: int = 30) -> Field:
    """Invert a deformation that does not fold, by fixed point: w(q) = -v(q + w(q)).

    Args:
        field (2, height, width): v, whose derivative is below 1 everywhere.
        steps: iterations; the error shrinks at each by the steepness of v.

    Returns:
        (2, height, width): w with q + w(q) + v(q + w(q)) = q.
    """
    places = np.indices(field.shape[1:], dtype=np.float32)
    back = -field
    for _ in range(steps):
        back = -np.stack(
            [map_coordinates(part, places + back, order=1, mode="nearest") for part in field]
        )
    return back
