"""Anatomy of the shoulder phantom: implant, humerus, scapula, clavicle, ribs, soft tissue.

Everything is drawn in the implant's own frame: u to the middle of the body, v down the shaft,
origin where the neck leaves the stem, lengths in widths of the image. The pose is a change of
coordinates, so that nothing is interpolated.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.phantoms.shapes import grid, soft

Map = NDArray[np.float32]

# size of each part by model: Biomodular, Cofield II, Global Advantage, Global, Global Fracture,
# HRP, Bigliani
PARTS = {
    "head": (0.135, 0.105, 0.140, 0.140, 0.140, 0.138, 0.160),  # radius
    "cap": (0.30, 0.20, 0.30, 0.30, 0.30, 0.32, 0.10),  # part of it below its centre, in radii
    "gap": (0.030, 0.004, 0.004, 0.004, 0.004, 0.004, 0.004),  # between head and stem
    "neck": (0.050, 0.090, 0.062, 0.090, 0.084, 0.090, 0.095),  # width
    "length": (0.50, 0.46, 0.52, 0.52, 0.57, 0.60, 0.42),
    "proximal": (0.120, 0.100, 0.125, 0.125, 0.105, 0.118, 0.140),  # width
    "distal": (0.050, 0.060, 0.050, 0.050, 0.042, 0.048, 0.048),  # width
    "angle": (135.0, 130.0, 135.0, 135.0, 135.0, 135.0, 140.0),  # of neck and shaft (degrees)
    "fin": (0.010, 0.000, 0.034, 0.034, 0.026, 0.000, 0.040),  # lateral, width
    "back_fin": (0.000, 0.000, 0.000, 0.000, 0.000, 0.000, 0.030),  # medial, width
    "low_fin": (0.000, 0.000, 0.000, 0.000, 0.000, 0.000, 0.028),  # lateral, below, width
    "hole": (0.000, 0.000, 0.013, 0.013, 0.012, 0.000, 0.011),  # radius
    "second_hole": (0.000, 0.000, 0.013, 0.000, 0.000, 0.000, 0.011),  # radius
    "window": (0.000, 0.000, 0.000, 0.000, 0.024, 0.000, 0.000),  # radius
    "collar": (0.000, 0.000, 0.000, 0.000, 0.000, 0.030, 0.000),  # width
    "band": (0.00, 0.55, 0.00, 0.00, 0.00, 0.00, 0.00),  # share of metal that is porous
}


@dataclass(frozen=True)
class Joint:
    """What absorbs in one radiograph.

    Args:
        metal (size, size): amount of metal, 1 where it is solid.
        bone: amount of bone, about 1 in thick cortex.
        body: cover by soft tissue.
    """

    metal: Map
    bone: Map
    body: Map


def joint(
    size: int,
    parts: dict[str, float],
    *,
    turn: float,
    scale: float,
    flip: bool,
    depth: float,
    rng: np.random.Generator,
) -> Joint:
    """Draw the shoulder in its pose.

    Args:
        size: side of the image (px).
        parts: sizes of the implant's parts, by the names of :data:`PARTS`.
        turn: rotation in the plane (radians).
        scale: magnification, 1 for an image 0.45 m wide or so.
        flip: show the left instead of the right shoulder.
        depth: foreshortening of stem and head, 1 for none.
        rng: source of the patient's anatomy.

    Returns:
        The parts of the joint.
    """
    y, x = (axis / np.float32(size) for axis in grid((size, size)))
    top, middle = 0.30 + 0.03 * rng.standard_normal(), 0.48 + 0.03 * rng.standard_normal()
    across = np.float32(-1 if flip else 1) * (x - np.float32(middle)) / np.float32(scale)
    down = (y - np.float32(top)) / np.float32(scale)
    c, s = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    u, v = c * across + s * down, c * down - s * across
    edge = 1 / (size * scale)
    metal = _metal(u, (v / np.float32(depth)).astype(np.float32), parts, edge, depth)
    return Joint(metal, _bone(u, v, parts["head"], edge, rng), _body(u, v, edge, rng))


def _capsule(
    u: Map, v: Map, start: tuple[float, float], end: tuple[float, float], first: float, last: float
) -> Map:
    """Give the depth below a tapered capsule's surface."""
    line = np.subtract(end, start)
    t = ((u - start[0]) * line[0] + (v - start[1]) * line[1]) / (line @ line)
    t = np.clip(t, 0, 1).astype(np.float32)
    gap = np.hypot(
        u - np.float32(start[0]) - t * np.float32(line[0]),
        v - np.float32(start[1]) - t * np.float32(line[1]),
    )
    found: Map = np.float32(first) + t * np.float32(last - first) - gap
    return found


def _metal(u: Map, v: Map, parts: dict[str, float], edge: float, depth: float) -> Map:
    """Draw head, neck, stem and what tells the models apart."""
    angle = np.deg2rad(parts["angle"])
    axis = (float(np.sin(angle)), float(np.cos(angle)))  # of the neck, up and inward
    along = np.float32(axis[0]) * u + np.float32(axis[1]) * v
    beside = np.float32(axis[1]) * u - np.float32(axis[0]) * v
    half, tip = parts["proximal"] / 2, parts["distal"] / 2
    stem = _capsule(u, v, (0.0, half), (0.0, parts["length"] - tip), half, tip)
    plane = 0.04 + parts["gap"]
    end = (axis[0] * 0.045, axis[1] * 0.045)
    neck = _capsule(u, v, (0.0, half), end, 0.95 * half, parts["neck"] / 2)
    # a peg, thinner than the neck, carries the head across the gap
    peg = np.minimum(0.014 - np.abs(beside), np.minimum(along, plane + 0.02 - along))
    centre = plane + parts["cap"] * parts["head"] * depth
    ball = parts["head"] - np.hypot((along - np.float32(centre)) / np.float32(depth), beside)
    head = np.minimum(ball, along - np.float32(plane))
    neck = np.minimum(neck, plane - parts["gap"] - along)
    whole = np.maximum(np.maximum(stem, neck), np.maximum(peg, head))
    for reach, place, side in (
        (parts["fin"], 0.075, -1),
        (parts["back_fin"], 0.12, 1),
        (parts["low_fin"], 0.17, -1),
    ):
        middle = side * (half - 0.01)
        fin = _capsule(u, v, (middle, place - 0.04), (middle, place + 0.05), reach, 0.3 * reach)
        whole = np.maximum(whole, np.where(reach > 0, fin, -1))
    collar = _capsule(u, v, (-half, 0.0), (half + parts["collar"], 0.02), 0.012, 0.012)
    whole = np.maximum(whole, np.where(parts["collar"] > 0, collar, -1))
    amount = soft(whole, edge)
    places = ((-half - 0.006, 0.055), (-half - 0.006, 0.095), (0.0, 0.11))
    for radius, (hu, hv) in zip(
        (parts["hole"], parts["second_hole"], parts["window"]), places, strict=True
    ):
        if radius > 0:
            bore = np.float32(radius) - np.hypot(u - np.float32(hu), v - np.float32(hv))
            amount = amount * (1 - 0.85 * soft(bore, edge))
    porous = np.exp(-(((v - np.float32(0.10)) / np.float32(0.05)) ** 4)) * (along < plane)
    found: Map = (amount * (1 - np.float32(parts["band"]) * porous)).astype(np.float32)
    return found


def _tube(depth: Map, wall: float, radius: float) -> Map:
    """Absorb along the chord of a hollow tube: bright at its edges, darker in the middle."""
    off = np.clip(np.float32(radius) - depth, 0, None)
    outer = np.sqrt(np.clip(np.float32(radius**2) - off**2, 0, None))
    inner = np.sqrt(np.clip(np.float32((radius - wall) ** 2) - off**2, 0, None))
    chord: Map = (outer - 0.8 * inner) / np.float32(radius)
    return np.where(depth > 0, chord, 0).astype(np.float32)


def _bone(u: Map, v: Map, head: float, edge: float, rng: np.random.Generator) -> Map:
    """Draw humerus, scapula with glenoid, acromion, clavicle and ribs."""
    wide = 0.085 + 0.008 * rng.standard_normal()
    shaft = _tube(_capsule(u, v, (0.0, 0.12), (0.0, 1.6), wide, 0.92 * wide), 0.022, wide)
    upper = soft(_capsule(u, v, (-0.03, 0.05), (0.0, 0.2), 0.10, wide), 0.02)
    socket = 0.045 + 0.71 * (head + 0.10)
    blade = soft(
        np.minimum(
            _capsule(u, v, (socket + 0.05, -0.1), (socket + 0.17, 0.35), 0.11, 0.02),
            u - np.float32(socket - 0.04),
        ),
        0.03,
    )
    glenoid = soft(_capsule(u, v, (socket, -0.14), (socket + 0.01, 0.0), 0.035, 0.03), 0.012)
    acromion = soft(_capsule(u, v, (-0.04, -0.25), (0.16, -0.29), 0.022, 0.035), 0.012)
    level = -0.33 + 0.03 * rng.standard_normal()
    clavicle = _tube(_capsule(u, v, (0.10, -0.29), (0.75, level), 0.026, 0.024), 0.010, 0.026)
    total = 0.75 * shaft + 0.35 * upper + 0.3 * blade + 0.4 * glenoid + 0.45 * acromion
    total = total + 0.6 * clavicle
    for i in range(3):
        at = 0.0 + 0.17 * i + 0.02 * rng.standard_normal()
        for start, end in (((0.36, at + 0.08), (0.48, at)), ((0.48, at), (0.8, at + 0.04))):
            rib = _tube(_capsule(u, v, start, end, 0.022, 0.022), 0.008, 0.022)
            total = np.maximum(total, 0.5 * rib)
    return total.astype(np.float32)


def _body(u: Map, v: Map, edge: float, rng: np.random.Generator) -> Map:
    """Cover the arm, the shoulder and the trunk; air is left above and beside."""
    stout = 0.21 + 0.03 * rng.standard_normal()
    arm = _capsule(u, v, (0.0, 0.05), (-0.03, 1.6), stout, 0.75 * stout)
    shoulder = _capsule(u, v, (0.05, -0.02), (0.9, -0.25), stout + 0.03, stout + 0.12)
    trunk = _capsule(u, v, (0.66, 0.1), (0.68, 1.6), 0.45, 0.45)
    lung = soft(_capsule(u, v, (0.72, 0.3), (0.75, 1.6), 0.22, 0.3), 0.05)
    cover = soft(np.maximum(np.maximum(arm, shoulder), trunk), 0.03)
    return np.asarray(cover * (1 - 0.45 * lung), dtype=np.float32)
