"""Anatomy of the abdominal slice phantom: which organ covers how much of which pixel.

Axial slices seen from below: front at the top, the patient's right side at the left. Places are
given in units of the half image, and inside the body in units of its semi-axes. The height z runs
from -1 (lungs) over 0 (largest liver) to 1 (kidneys and bowel).
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from common.phantoms.shapes import Depth, blob, ellipsoid, rotation
from common.phantoms.vessels import draw as draw_vessels, tree

ORGANS = (
    "air",
    "fat",
    "muscle",
    "liver",
    "spleen",
    "kidney",
    "bone",
    "stomach",
    "vessel",
    "lung",
    "liver vessel",
)
AIR, FAT, MUSCLE, LIVER, SPLEEN, KIDNEY, BONE, STOMACH, VESSEL, LUNG, LIVER_VESSEL = range(11)
LIVER_REACH = 0.62
_WALL = 0.055
_N_LOOPS = 7


class Organ(NamedTuple):
    """One structure; later ones lie over earlier ones.

    Attributes:
        code: index into :data:`ORGANS`.
        depth: (height, width) depth below its surface in pixels.
    """

    code: int
    depth: Depth


def organs(row: Mapping[str, Any], size: int) -> list[Organ]:
    """Place all organs of one slice.

    Args:
        row: parameters of the slice, see ``draw`` of the phantom.
        size: height and width (px).

    Returns:
        The organs that reach into the slice, in the order in which they are painted.
    """
    rng = np.random.default_rng(row["patient_seed"])
    z = float(row["z"])
    body = _part(row, size, 0, 0, 1, 1, power=2.3)
    cavity = _cavity(row, size)
    found = [
        Organ(FAT, body),
        Organ(MUSCLE, body - row["fat"] * size / 2),
        Organ(FAT, cavity),
        *_chest(row, size, z, cavity),
        *_back(row, size, z),
        *_loops(row, size, z, cavity, rng),
    ]
    if (swell := _swell(z, -0.15, 0.42)) > 0:
        shape = _part(row, size, 0.62, 0.22, 0.2 * swell, 0.33 * swell, turn=-0.4)
        found.append(Organ(SPLEEN, np.minimum(shape, cavity)))
    if (swell := _swell(z, -0.08, 0.42)) > 0:
        shape = _part(row, size, 0.32, -0.3, 0.3 * swell, 0.28 * swell, turn=0.3)
        found.append(Organ(STOMACH, np.minimum(shape, cavity)))
        found.append(Organ(AIR, _part(row, size, 0.33, -0.45, 0.17 * swell, 0.07 * swell)))
    found += _liver(row, size, z)
    for side in (-1, 1):
        if (swell := _swell(z, 0.42 - 0.08 * side, 0.45)) > 0:
            place = (0.42 * side, 0.42)
            found.append(Organ(KIDNEY, _part(row, size, *place, 0.15 * swell, 0.21 * swell)))
            found.append(Organ(FAT, _part(row, size, *place, 0.05 * swell, 0.07 * swell)))
    return [*found, *_spine(row, size)]


def codes(found: list[Organ], size: int) -> NDArray[np.uint8]:
    """Paint organs into a map of codes; see :data:`ORGANS`."""
    painted = np.full((size, size), AIR, np.uint8)
    for organ in found:
        painted[organ.depth > 0] = organ.code
    return painted


def liver_mask(painted: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return the liver with its vessels, as experts outline it."""
    return (painted == LIVER) | (painted == LIVER_VESSEL)


def _part(
    row: Mapping[str, Any],
    size: int,
    x: float,
    y: float,
    width: float,
    height: float,
    *,
    turn: float = 0.0,
    power: float = 2.0,
) -> Depth:
    """Draw an ellipse that is placed and scaled with the body."""
    wide, high = row["body_width"], row["body_height"]
    return ellipsoid(
        (size, size),
        ((1 + high * y) * size / 2 - 0.5, (1 + wide * x) * size / 2 - 0.5),
        (max(high * height * size / 2, 0.3), max(wide * width * size / 2, 0.3)),
        turn=rotation(turn) if turn else None,
        power=power,
    )


def _swell(z: float, centre: float, reach: float) -> float:
    """Size of an ellipsoid's section at a height, relative to its largest; 0 beyond its ends."""
    return float(np.sqrt(max(0.0, 1 - ((z - centre) / reach) ** 2)))


def _chest(row: Mapping[str, Any], size: int, z: float, cavity: Depth) -> list[Organ]:
    """Place lungs and heart of the upper slices, and the ribs."""
    found = []
    lung = np.sqrt(np.clip((-z - 0.1) / 0.6, 0, 1))
    if lung > 0:
        for side in (-1, 1):
            shape = _part(row, size, 0.45 * side, 0.05, 0.44 * lung, 0.8 * lung)
            found.append(Organ(LUNG, np.minimum(shape, cavity)))
    if (heart := _swell(z, -0.9, 0.4)) > 0:
        found.append(Organ(MUSCLE, _part(row, size, 0.1, -0.3, 0.4 * heart, 0.36 * heart)))
        found.append(Organ(VESSEL, _part(row, size, 0.12, -0.3, 0.28 * heart, 0.24 * heart)))
    inset = row["fat"] + 0.6 * _WALL
    for angle in np.arange(8) * np.pi / 4 + 1.3 * z + 0.2 if z < 0.35 else ():
        x = (1 - inset / row["body_width"]) * np.cos(angle)
        y = (1 - inset / row["body_height"]) * np.sin(angle)
        if abs(x) > 0.25:
            found.append(Organ(BONE, _part(row, size, x, y, 0.035, 0.08, turn=0.4 * angle)))
    return found


def _back(row: Mapping[str, Any], size: int, z: float) -> list[Organ]:
    """Place the muscles beside the spine; the inner ones only below the kidneys' tops."""
    found = [Organ(MUSCLE, _part(row, size, 0.2 * s, 0.7, 0.2, 0.17)) for s in (-1, 1)]
    if z > 0.1:
        found += [Organ(MUSCLE, _part(row, size, 0.21 * s, 0.5, 0.1, 0.14)) for s in (-1, 1)]
    return found


def _loops(
    row: Mapping[str, Any], size: int, z: float, cavity: Depth, rng: np.random.Generator
) -> list[Organ]:
    """Place bowel below the stomach: each loop has a wall and its content."""
    angle, reach, height = rng.random((3, _N_LOOPS))
    found = []
    for a, r, h in zip(2 * np.pi * angle, np.sqrt(reach), height, strict=True):
        swell = _swell(z, 0.35 + 0.8 * h, 0.35)
        if swell > 0:
            x, y = 0.62 * r * np.cos(a), -0.2 + 0.4 * r * np.sin(a)
            outer = np.minimum(_part(row, size, x, y, 0.18 * swell, 0.17 * swell, turn=a), cavity)
            found.append(Organ(MUSCLE, outer))
            found.append(Organ(STOMACH, outer - np.float32(0.025 * size)))
    return found


def lobes(row: Mapping[str, Any], size: int) -> Depth:
    """Draw both liver lobes inside the body wall; nothing else is taken away from them.

    Args:
        row: parameters of the slice.
        size: height and width (px).

    Returns:
        Depth below the liver's surface; nowhere positive above and below the liver.
    """
    z = float(row["z"])
    swell = _swell(z, 0.0, LIVER_REACH)
    if swell == 0:
        return np.full((size, size), -float(size), np.float32)
    rng = np.random.default_rng([row["patient_seed"], 3])
    cosines, sines = (rng.uniform(-0.09, 0.09, (2, 4)) / np.arange(1, 5)) * swell
    centre, radius = _right_lobe(row, size)
    shape = blob((size, size), centre, radius, cosines=cosines, sines=sines, aspect=1.05)
    if (thin := _swell(z, -0.12, 0.45)) > 0:
        length = row["left_lobe"] * thin
        left = _part(row, size, -0.12, -0.36, length, 0.5 * length, turn=-0.15)
        shape = np.maximum(shape, left)
    return np.minimum(shape, _cavity(row, size))


def _right_lobe(row: Mapping[str, Any], size: int) -> tuple[tuple[float, float], float]:
    """Centre and radius (px) of the right lobe's section."""
    wide, high, z = row["body_width"], row["body_height"], float(row["z"])
    y, x = (1 + high * (0.05 * z - 0.04)) * size / 2 - 0.5, (1 - 0.45 * wide) * size / 2 - 0.5
    swell = _swell(z, 0.0, LIVER_REACH)
    return (y, x), row["right_lobe"] * swell * np.sqrt(wide * high) * size / 2


def _liver(row: Mapping[str, Any], size: int, z: float) -> list[Organ]:
    """Place both lobes, the vessels inside and the gall bladder below."""
    if _swell(z, 0.0, LIVER_REACH) == 0:
        return []
    shape = lobes(row, size)
    (y, x), radius = _right_lobe(row, size)
    trunk = tree(
        (y + 0.1 * radius, x + 0.6 * radius),
        (-0.35, -1.0),
        rng=np.random.default_rng(row["seed"]),
        length=0.7 * radius,
        radius=0.02 * size,
        step=max(1.5, 0.04 * size),
    )
    inside = np.minimum(draw_vessels((size, size), trunk), shape - 0.02 * size)
    found = [Organ(LIVER, shape), Organ(LIVER_VESSEL, inside)]
    if (bladder := _swell(z, 0.28, 0.22)) > 0:
        shape = _part(row, size, -0.17, -0.3, 0.1 * bladder, 0.13 * bladder, turn=0.5)
        found.append(Organ(STOMACH, shape))
    return found


def _cavity(row: Mapping[str, Any], size: int) -> Depth:
    """Draw what lies inside fat and body wall."""
    return _part(row, size, 0, 0, 1, 1, power=2.3) - (row["fat"] + _WALL) * size / 2


def _spine(row: Mapping[str, Any], size: int) -> list[Organ]:
    """Place vertebra, canal, spinous process and the two great vessels before them."""
    return [
        Organ(BONE, _part(row, size, 0, 0.5, 0.16, 0.19)),
        Organ(BONE, _part(row, size, 0, 0.82, 0.035, 0.12)),
        Organ(MUSCLE, _part(row, size, 0, 0.69, 0.06, 0.07)),
        Organ(VESSEL, _part(row, size, 0.09, 0.23, 0.055, 0.075)),
        Organ(VESSEL, _part(row, size, -0.12, 0.22, 0.075, 0.07)),
    ]
