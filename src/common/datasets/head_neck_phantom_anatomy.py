"""Anatomy of the head and neck phantom: which tissue is where, in mm.

Axes run from the chest upward (z), from front to back (y) and from right to left (x); the origin
lies behind the nose, about the middle of the field.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.datasets.glioma_phantom_brain import waves

TISSUES = ("air", "fat", "muscle", "brain", "cortical bone", "marrow", "cavity", "filling")
AIR, FAT, MUSCLE, BRAIN, CORTICAL, MARROW, CAVITY, FILLING = range(8)
Space = NDArray[np.floating]
_WAVE_MM = 110.0
_SINUSES = ((2, -58, -24), (2, -58, 24), (30, -60, 0))
_SINUS_MM = 12.0


def tissues(row: Mapping[str, Any], points: list[Space]) -> NDArray[np.uint8]:
    """Paint a head with its neck.

    1. Places are scaled by the patient's size and moved by smooth waves (standard deviation
       ``deformation`` times 90 mm).
    2. Body: an ellipsoid for the skull, one for the jaws and an elliptic neck; the outer ``fat``
       mm are fat, the rest muscle.
    3. Skull: cortical bone, diploe with marrow, cortical bone, 7 mm together, around the brain.
    4. Mandible, spine of vertebrae with marrow and a canal, sinuses with a bony wall, airway, and
       a tooth filling where the patient has one.

    Args:
        row: parameters of the patient.
        points: coordinates (mm) that broadcast to the grid.

    Returns:
        Codes into :data:`TISSUES`.
    """
    rng = np.random.default_rng([row["seed"], 21])
    moved = [
        p / row["scale"] + 90 * row["deformation"] * waves(points, _WAVE_MM, rng) for p in points
    ]
    body = _body(moved)
    found = np.full(body.shape, AIR, np.uint8)
    found[body > 0] = FAT
    found[body > row["fat"]] = MUSCLE
    _paint_skull(found, moved)
    _paint_spine(found, moved, body)
    _paint_mandible(found, moved)
    _paint_air(found, moved, body)
    if row["filling"]:
        z, y, x = moved
        reach = (z + 42) ** 2 + (y + 64) ** 2 + (x - 20 * row["side"]) ** 2
        found[(reach < 6**2) & (body > 0)] = FILLING
    return found


def _oval(moved: list[Space], centre: tuple[float, ...], radii: tuple[float, ...]) -> Space:
    """Depth (mm) below an ellipsoid's surface, exact near it; a radius of 0 means a cylinder."""
    terms = [((p - c) / r) ** 2 for p, c, r in zip(moved, centre, radii, strict=True) if r]
    depth: Space = (1 - np.sqrt(sum(terms))) * min(r for r in radii if r)
    return depth


def _body(moved: list[Space]) -> Space:
    head = _oval(moved, (38, 5, 0), (82, 96, 76))
    face = _oval(moved, (-12, -48, 0), (52, 44, 52))
    neck = _oval(moved, (0, 22, 0), (0, 56, 56))
    neck = np.minimum(neck, 20 - moved[0])
    return np.maximum(np.maximum(head, face), neck)


def _paint_skull(found: NDArray[np.uint8], moved: list[Space]) -> None:
    skull = _oval(moved, (45, 6, 0), (65, 80, 61))
    for depth, code in ((0, CORTICAL), (2.5, MARROW), (4.5, CORTICAL), (7, BRAIN)):
        found[skull > depth] = code


def _paint_spine(found: NDArray[np.uint8], moved: list[Space], body: Space) -> None:
    z, y, x = moved
    below = (z < -22) & (body > 0)
    vertebra = np.hypot(y - 32, x) - 13
    disc = np.cos(2 * np.pi * z / 20) > 0.8
    found[below & (vertebra < 0) & ~disc] = CORTICAL
    found[below & (vertebra < -4) & ~disc] = MARROW
    arch = np.hypot(y - 53, x)
    found[below & (arch < 13) & ~disc] = CORTICAL
    found[below & (arch < 8)] = BRAIN
    found[below & (np.abs(x) < 4) & (y > 64) & (y < 80) & ~disc & (body > 5)] = CORTICAL


def _paint_mandible(found: NDArray[np.uint8], moved: list[Space]) -> None:
    z, y, x = moved
    level = np.abs(z + 40) - 12
    arc = np.abs(np.hypot((y + 36) * 0.95, x) - 38) - 6
    rise = np.maximum(np.maximum(np.abs(x) - 44, 33 - np.abs(x)), np.abs(y + 22) - 11)
    rise = np.maximum(rise, np.abs(z + 18) - 26)
    inside = np.minimum(np.maximum(np.maximum(level, arc), y + 28), rise)
    held = found != AIR
    found[(inside < 0) & held] = CORTICAL
    found[(inside < -4) & held] = MARROW


def _paint_air(found: NDArray[np.uint8], moved: list[Space], body: Space) -> None:
    z, y, x = moved
    for centre in _SINUSES:
        depth = _oval(moved, centre, (_SINUS_MM * 1.2, _SINUS_MM, _SINUS_MM))
        found[(depth > -3) & (body > 3)] = CORTICAL
        found[(depth > 0) & (body > 3)] = CAVITY
    throat = np.hypot(y - 2, x / 1.3) - 8
    found[(throat < 0) & (z < 0) & (body > 0)] = CAVITY
    nose = np.maximum(np.maximum(np.abs(x) - 7, np.abs(z + 2) - 9), np.abs(y + 42) - 40)
    found[(nose < 0) & (body > 4)] = CAVITY
