"""Anatomy of the fundus phantom: field, light, fovea, optic disc, vessels, spots."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.phantoms.fields import smooth_noise
from common.phantoms.shapes import ellipsoid, grid, soft, tube
from common.phantoms.vessels import walk

Map = NDArray[np.float32]
_BASE = np.array([0.62, 0.32, 0.14])


@dataclass(frozen=True)
class Eye:
    """The parts of one healthy eye, as cover in [0, 1].

    Args:
        field (size, size): the round field of view.
        light: illumination, about 1 in the middle.
        disc: optic disc.
        cup: the pale cup inside it.
        fovea: darkness of the macula.
        vessels: arteries and veins.
        base (3,): colour of the retina.
        place (2,): centre of the fovea (px).
    """

    field: Map
    light: Map
    disc: Map
    cup: Map
    fovea: Map
    vessels: Map
    base: NDArray[np.float64]
    place: NDArray[np.float64]


def eye(size: int, cup: float, rng: np.random.Generator) -> Eye:
    """Draw the anatomy of an eye, left or right.

    Args:
        size: side of the image (px).
        cup: cup-to-disc ratio.
        rng: source of randomness.

    Returns:
        The eye; lengths are relative to the radius of the field.
    """
    shape, centre, radius = (size, size), (size - 1) / 2, 0.96 * size / 2
    side = 1 if rng.random() < 0.5 else -1
    disc = centre + radius * np.array([rng.uniform(-0.1, 0.1), side * rng.uniform(0.5, 0.7)])
    fovea = disc + radius * np.array([rng.uniform(0.05, 0.12), -side * 0.75])
    y, x = ((axis - np.float32(centre)) / np.float32(radius) for axis in grid(shape))
    tilt = 0.12 * rng.standard_normal(2)
    light = 1.05 - 0.35 * (y**2 + x**2) + np.float32(tilt[0]) * y + np.float32(tilt[1]) * x
    wide = 0.16 * radius * np.array([rng.uniform(1, 1.12), rng.uniform(0.9, 1)])
    gap = np.hypot(*(axis - np.float32(c) for axis, c in zip(grid(shape), fovea, strict=True)))
    return Eye(
        field=soft(ellipsoid(shape, (centre, centre), (radius, radius))),
        light=np.clip(light, 0.1, None).astype(np.float32),
        disc=soft(ellipsoid(shape, disc, wide), 2.0),
        cup=soft(ellipsoid(shape, disc, wide * cup), 1.5),
        fovea=np.exp(-0.5 * (gap / np.float32(0.13 * radius)) ** 2),
        vessels=_vessels(size, radius, disc, -side, rng),
        base=_BASE + np.array([0.06, 0.04, 0.03]) * rng.standard_normal(3),
        place=fovea,
    )


def _vessels(
    size: int, radius: float, disc: NDArray[np.float64], toward: int, rng: np.random.Generator
) -> Map:
    """Draw an artery and a vein in each quadrant, with side branches."""
    depth = np.full((size, size), -1e3, np.float32)
    for up in (-1, 1):
        for temporal in (True, False):
            for thick in (0.022, 0.016):
                path = _course(disc, radius, up, toward if temporal else -toward, temporal, rng)
                _stamp(depth, path, thick * radius)
                for start in rng.integers(2, len(path) - 1, 2):
                    ahead = path[start] - path[start - 1]
                    turned = ahead + 0.9 * np.linalg.norm(ahead) * rng.standard_normal(2)
                    step = 0.09 * radius
                    side = walk(path[start], turned, 6, step=step, wander=0.25, rng=rng)
                    _stamp(depth, side, 0.6 * thick * radius)
    return soft(depth)


def _course(
    disc: NDArray[np.float64],
    radius: float,
    up: int,
    toward: int,
    temporal: bool,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Give a main vessel's course: an arcade around the fovea, or a slant to the nose."""
    t = np.linspace(0, 1, 12)
    height = up * rng.uniform(0.48, 0.68)
    if temporal:
        along, off = toward * 1.35 * t, height * np.sin(np.pi * t**0.65) ** 0.8
        off = np.where(t > 0.5, np.maximum(np.abs(off), 0.35 * abs(height)) * up, off)
    else:
        along, off = toward * 0.6 * t**1.3, 1.5 * height * t
    wander = 0.015 * np.cumsum(rng.standard_normal((12, 2)), axis=0)
    return disc + radius * (np.stack([off, along], axis=1) + wander)


def _stamp(depth: Map, path: NDArray[np.float64], thick: float) -> None:
    """Draw the part of a tapering vessel that lies in the image, in place."""
    inside = np.all((path >= 0) & (path <= len(depth) - 1), axis=1)
    last = len(path) if inside.all() else int(np.argmin(inside))
    if last > 1:
        radii = np.linspace(thick, 0.5 * thick, len(path))[:last]
        np.maximum(depth, tube(depth.shape, path[:last], radii), out=depth)


def paint(scene: Eye, texture: float, rng: np.random.Generator) -> Map:
    """Colour a healthy eye.

    Args:
        scene: its anatomy.
        texture: amplitude of the fine dark speckle, 1 for a healthy eye.
        rng: source of randomness.

    Returns:
        (3, size, size) float32, about [0, 1].
    """
    size = len(scene.field)
    choroid = smooth_noise(scene.field.shape, 0.025 * size, rng)
    speckle = smooth_noise(scene.field.shape, 0.008 * size, rng)
    shade = 1 - 0.30 * scene.fovea + 0.055 * choroid + 0.09 * np.float32(texture) * speckle
    layers = []
    for base, disc, cup, blood in zip(
        scene.base, (0.92, 0.70, 0.38), (1.0, 0.90, 0.68), (0.22, 0.42, 0.35), strict=True
    ):
        colour = base * shade * (1 - scene.disc) + disc * scene.disc
        colour = colour * (1 - scene.cup) + cup * scene.cup
        colour = colour * (1 - blood * scene.vessels)
        layers.append(colour * scene.light * scene.field)
    return np.clip(np.stack(layers), 0, 1).astype(np.float32)


def spots(
    scene: Eye,
    n: int,
    radii: tuple[float, float],
    near: float,
    edge: float,
    rng: np.random.Generator,
) -> Map:
    """Scatter round spots over the retina, off the optic disc.

    Args:
        scene: anatomy.
        n: number of spots.
        radii: smallest and largest radius, relative to that of the field.
        near: spread about the fovea, relative to the field; 0 for anywhere.
        edge: softness (px of a 96 px image).
        rng: source of randomness.

    Returns:
        (size, size) cover; spots that would lie on the disc or outside are left out.
    """
    size = len(scene.field)
    radius, soft_px = 0.48 * size, edge * size / 96
    cover = np.zeros((size, size), np.float32)
    for _ in range(n):
        middle = scene.place if near else np.full(2, (size - 1) / 2)
        spread = near if near else 0.45
        centre = middle + spread * radius * rng.standard_normal(2)
        own = rng.uniform(*radii) * radius
        spot = np.rint(centre).astype(int)
        if spot.min() < 0 or spot.max() >= size:
            continue
        if scene.field[tuple(spot)] < 0.5 or scene.disc[tuple(spot)] > 0.1:
            continue
        reach = int(own + 2 * soft_px) + 2
        low, high = np.maximum(spot - reach, 0), spot + reach + 1
        part = cover[low[0] : high[0], low[1] : high[1]]
        drawn = soft(ellipsoid(part.shape, centre - low, (own, own)), soft_px)
        np.maximum(part, drawn * scene.field[low[0] : high[0], low[1] : high[1]], out=part)
    return cover
