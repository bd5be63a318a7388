"""Anatomy of the liver-kidney-stomach phantom: tissues, glands, tubules and muscle line."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.phantoms.fields import smooth_noise
from common.phantoms.shapes import grid, harmonics, soft, tube

Map = NDArray[np.float32]
_PITCH = 14.0  # of the kidney's tubules (px)
_STRIPE = 10.0  # period of the stomach's glands (px)


@dataclass(frozen=True)
class Section:
    """One section without any antibody.

    Args:
        tissue (size, size): 0 none, 1 stomach, 2 kidney, 3 liver.
        glow: brightness of unstained tissue, mean about 1 in tissue.
        tubules: cover by the cells of kidney tubules.
        fibres: cover by the thin rims around tubules.
        glands: cover by the glands of the stomach.
        line: cover by the muscle along the ring's inner edge.
        grain: fine noise, mean 0, standard deviation 1.
    """

    tissue: NDArray[np.uint8]
    glow: Map
    tubules: Map
    fibres: Map
    glands: Map
    line: Map
    grain: Map


def section(size: int, layout: np.random.Generator, texture: np.random.Generator) -> Section:
    """Draw the tissues of a section.

    Args:
        size: side (pixels).
        layout: source of outlines and places.
        texture: source of the cells.

    Returns:
        The section; lengths of cells are in pixels, those of tissues relative to ``size``.
    """
    radius = float(0.40 * size * (1 + 0.05 * layout.standard_normal()))
    centre = size / 2 + 0.02 * size * layout.standard_normal(2)
    turn = layout.uniform(0, 2 * np.pi)
    y, x = (
        axis - np.float32(place) for axis, place in zip(grid((size, size)), centre, strict=True)
    )
    theta = np.arctan2(y, x)
    outer = radius * _outline(theta, layout) - np.hypot(y, x)
    inner = outer - np.float32(0.25 * radius)
    along = np.float32(np.cos(turn)) * y + np.float32(np.sin(turn)) * x
    across = np.float32(np.cos(turn)) * x - np.float32(np.sin(turn)) * y
    bend = np.sin(across / np.float32(0.3 * radius) + np.float32(layout.uniform(0, 6)))
    edge = along + np.float32(0.05 * radius) * bend - np.float32(0.06 * radius)
    core = inner > 0.04 * radius
    tissue = ((outer > 0) & (inner < 0)).astype(np.uint8)
    if layout.random() < 0.5:
        tissue[_stalk(size, centre, radius, layout) & (outer < 0)] = 1
    tissue[core & (edge < -0.015 * radius)] = 2
    tissue[core & (edge > 0.015 * radius)] = 3
    return _textured(tissue, inner, theta, radius, texture)


def _outline(theta: Map, rng: np.random.Generator) -> Map:
    """Look up the relative radius of a wavy outline; a table is ten times as fast as cosines."""
    angle = np.linspace(-np.pi, np.pi, 1441)
    cosines, sines = harmonics(6, 0.035, rng, decay=1.5)
    waves = angle[:, None] * np.arange(2, 8)
    table = 1 + np.cos(waves) @ cosines + np.sin(waves) @ sines
    place = np.rint((theta + np.float32(np.pi)) * np.float32(720 / np.pi)).astype(np.int32)
    found: Map = table.astype(np.float32)[place]
    return found


def _stalk(
    size: int, centre: NDArray[np.float64], radius: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Draw a strip of stomach that leaves the ring."""
    angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(1.1, 1.35)
    ray = np.array([np.cos(angle), np.sin(angle)]) * radius
    path = [centre + 0.9 * ray, centre + length * ray]
    return tube((size, size), path, 0.06 * radius) > 0


def _textured(
    tissue: NDArray[np.uint8],
    inner: Map,
    theta: Map,
    radius: float,
    rng: np.random.Generator,
) -> Section:
    """Fill the tissues with their cells."""
    shape = tissue.shape
    wander = smooth_noise(shape, 12, rng)
    grain = smooth_noise(shape, 0.8, rng)
    turns = np.float32(np.round(0.87 * 2 * np.pi * radius / _STRIPE))
    stripes = np.cos(theta * turns + np.float32(0.8) * wander)
    glands = np.clip(0.5 + stripes, 0, 1) * (tissue == 1)
    tubules, fibres = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    kidney = tissue == 2
    if kidney.any():
        near = tuple(
            slice(int(places.min()), int(places.max()) + 1) for places in np.nonzero(kidney)
        )
        depth, level = _lattice(wander[near], rng)
        tubules[near] = kidney[near] * soft(depth) * (1 - 0.7 * soft(depth - 3)) * level
        fibres[near] = kidney[near] * np.clip(1.2 - np.abs(depth + 0.8), 0, 1)
    # the muscle is a band one and a half pixels wide just inside the ring
    line = np.clip(1.25 - np.abs(inner + 1.5), 0, 1) * (tissue == 1)
    liver = (tissue == 3) * np.clip(1 + np.float32(0.25) * grain, 0, None)
    flat = np.array([0, 0.6, 0.5, 0], np.float32)[tissue]
    glow = flat + np.float32(0.6) * glands + np.float32(0.8) * tubules + liver
    glow *= 1 + np.float32(0.1) * grain
    glow, glands, line = (part.astype(np.float32) for part in (glow, glands, line))
    return Section(tissue, glow, tubules, fibres, glands, line, grain)


def _lattice(wander: Map, rng: np.random.Generator) -> tuple[Map, Map]:
    """Place tubules of 10 to 13 px on a turned, bent lattice: depth below their rim and level."""
    y, x = grid(wander.shape)
    angle = rng.uniform(0, np.pi)
    c, s, bend = np.float32(np.cos(angle)), np.float32(np.sin(angle)), np.float32(3) * wander
    u, v = ((c * y + s * x + bend) / _PITCH, (c * x - s * y + bend) / _PITCH)
    row = np.floor(u)
    v = v + 0.5 * (row % 2)
    column = np.floor(v)
    cell = (row.astype(np.int32) & 63) * 64 + (column.astype(np.int32) & 63)
    down, right, wide, bright = rng.uniform(size=(4, 64 * 64)).astype(np.float32)
    free = np.float32(1.2 / _PITCH)
    distance = np.hypot(
        u - row - 0.5 + (free * (down - 0.5))[cell], v - column - 0.5 + (free * (right - 0.5))[cell]
    )
    depth = (5 + np.float32(1.4) * wide)[cell] - np.float32(_PITCH) * distance
    return depth, (0.7 + np.float32(0.6) * bright)[cell]
