"""Anatomy of the chest CT phantom: body, lungs, heart, bones, vessels and nodule of one slice.

Lengths are in half-widths of the picture from its middle, unless they are named pixels of 256.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from common.phantoms.fields import Field, smooth_noise
from common.phantoms.shapes import Depth, blob, ellipsoid, harmonics, rotation, soft
from common.phantoms.vessels import walk

AIR, FAT, MUSCLE, BLOOD = -1000.0, -100.0, 50.0, 45.0
_MARROW, _FINE = 180.0, 4
REFERENCE = 256  # side that pixels refer to


@dataclass(frozen=True)
class Slice:
    """One slice without noise.

    Args:
        hu (size, size): Hounsfield units.
        lungs: mask of both lungs, with the vessels in them.
        vessels: mask of the vessels in the lungs.
        nodule: mask, empty where there is none.
    """

    hu: Field
    lungs: NDArray[np.bool_]
    vessels: NDArray[np.bool_]
    nodule: NDArray[np.bool_]


class _Canvas:
    """A picture in Hounsfield units that shapes are laid over."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.hu = np.full((size, size), AIR, np.float32)

    def pixels(self, place: Any) -> NDArray[np.float64]:
        """Turn (down, right) in half-widths into pixels."""
        return (np.asarray(place, dtype=float) + 1) * self.size / 2 - 0.5

    def ellipse(self, place: Any, radii: Any, *, angle: float = 0.0, power: float = 2.0) -> Depth:
        """Return the depth (px) of an ellipse given in half-widths."""
        half = np.asarray(radii, dtype=float) * self.size / 2
        shape = (self.size, self.size)
        turn = rotation(angle) if angle else None
        return ellipsoid(shape, self.pixels(place), half, turn=turn, power=power)

    def lay(self, depth: Depth, value: float | Field, share: float = 1.0) -> None:
        """Lay a shape over what is there."""
        self.hu += share * soft(depth) * (value - self.hu)


def anatomy(row: Mapping[str, Any], size: int, rng: np.random.Generator) -> Slice:
    """Build one slice.

    Args:
        row: with what :func:`common.datasets.chest_ct_phantom.draw` draws.
        size: side (pixels).
        rng: source of what the row does not say.

    Returns:
        The slice before noise.
    """
    canvas = _Canvas(size)
    wide, deep = float(row["body_wide"]), float(row["body_deep"])
    canvas.lay(canvas.ellipse((0.86, 0), (0.03, 0.7), power=4), -700.0)  # the couch
    body = canvas.ellipse((0, 0), (deep, wide), power=2.3)
    canvas.lay(body, FAT)
    wall = canvas.ellipse((0.01, 0), (deep - row["fat"], wide - 1.3 * row["fat"]), power=2.3)
    canvas.lay(wall, MUSCLE + 12 * smooth_noise((size, size), size / 60, rng))
    heart = _mediastinum(canvas, row, rng)
    cavity = canvas.ellipse((0.01, 0), (deep - row["fat"] - 0.085, wide - 1.2 * row["fat"] - 0.085))
    lungs = np.minimum(np.minimum(_lungs(canvas, row, rng), cavity), -heart)
    parenchyma = row["parenchyma"] + row["texture"] * smooth_noise((size, size), 0.7, rng)
    canvas.lay(lungs, parenchyma)
    cover = _vessels(row, size, lungs > 0, canvas, rng)
    canvas.hu += cover * (BLOOD - canvas.hu)
    nodule = np.full((size, size), -1e3, np.float32)
    if row["nodule"]:
        nodule = _nodule(canvas, row, lungs, rng)
        canvas.lay(nodule, float(row["nodule_hu"]))
    soft_tissue = canvas.hu.copy()
    _bones(canvas, row, rng)
    for _ in range(int(row["specks"])):
        _speck(canvas, row, rng)
    # what lies under bone is not seen, so it belongs to no mask
    seen = canvas.hu == soft_tissue
    return Slice(canvas.hu, (lungs > 0) & seen, (cover > 0.5) & seen, (nodule > 0) & seen)


def _mediastinum(canvas: _Canvas, row: Mapping[str, Any], rng: np.random.Generator) -> Depth:
    """Lay heart or great vessels, trachea and aorta; return their joint depth."""
    level, size = float(row["level"]), canvas.size
    heart = canvas.ellipse(
        (-0.06 + 0.06 * level, 0.08 + 0.06 * level),
        (0.15 + 0.13 * level, 0.15 + 0.17 * level),
        angle=0.5,
    )
    stem = canvas.ellipse((0.05, 0.0), (0.3, 0.13), power=2.5)
    aorta = canvas.ellipse((0.2, 0.09), (0.065, 0.065))
    middle = np.maximum(np.maximum(heart, stem), aorta)
    canvas.lay(middle, FAT + 130.0)
    canvas.lay(heart, BLOOD + 4 * smooth_noise((size, size), size / 40, rng))
    canvas.lay(aorta, BLOOD + 10)
    if level < 0.5:
        canvas.lay(canvas.ellipse((0.0, -0.01), (0.05, 0.045)), AIR)
    else:
        for side in (-1, 1):
            canvas.lay(canvas.ellipse((0.04, 0.1 * side), (0.03, 0.035)), AIR)
    # the airways open into no lung, so the mediastinum keeps their place
    return middle


def _lungs(canvas: _Canvas, row: Mapping[str, Any], rng: np.random.Generator) -> Depth:
    """Return the depth of both lungs, largest in the middle of the chest."""
    found = np.full((canvas.size, canvas.size), -1e3, np.float32)
    grown = row["lung_size"] * (0.72 + 0.28 * np.sin(np.pi * (0.15 + 0.7 * row["level"])))
    for side in (-1, 1):
        wavy = np.array(harmonics(5, 0.035, rng))
        radius = 0.5 * canvas.size * grown * np.sqrt(0.43 * 0.26)
        lung = blob(
            (canvas.size, canvas.size),
            canvas.pixels((0.02, side * (0.41 if side < 0 else 0.43) * row["body_wide"] / 0.84)),
            radius,
            cosines=wavy[0],
            sines=wavy[1],
            aspect=0.46 / 0.29,
            angle=side * float(row["tilt"]),
        )
        np.maximum(found, lung, out=found)
    return found


def _vessels(
    row: Mapping[str, Any],
    size: int,
    lungs: NDArray[np.bool_],
    canvas: _Canvas,
    rng: np.random.Generator,
) -> Field:
    """Draw vessels as tapering random walks from each hilum and dots of those cut across.

    They are drawn as disks on a grid four times finer, which gives pixels their covered share.
    """
    fine = Image.new("L", (_FINE * size, _FINE * size))
    pen = ImageDraw.Draw(fine)
    unit = size / REFERENCE
    for side in (-1, 1):
        hilum = canvas.pixels((0.05, 0.14 * side))
        for _ in range(int(row["vessels"])):
            heading = rng.uniform(-1.25, 1.25)
            line = walk(
                hilum + 8 * unit * rng.standard_normal(2),
                (np.sin(heading), side * np.cos(heading)),
                int(rng.integers(25, 60)),
                step=1.6 * unit,
                wander=0.13,
                rng=rng,
            )
            first = 0.5 * row["calibre"] * rng.uniform(1.2, 3.2) * unit
            _stamp(pen, line, first * np.linspace(1.0, 0.3, len(line)))
            across = (
                hilum + np.array([70, 45]) * unit * rng.uniform(-1, 1, 2) + (0, side * 40 * unit)
            )
            _stamp(pen, across[None], 0.4 * first * np.ones(1))
    cover = np.asarray(fine, dtype=np.float32).reshape(size, _FINE, size, _FINE).mean(axis=(1, 3))
    return cover * lungs


def _stamp(pen: ImageDraw.ImageDraw, line: NDArray[np.float64], radii: NDArray[np.float64]) -> None:
    for (y, x), r in zip((line + 0.5) * _FINE, radii * _FINE, strict=True):
        pen.ellipse((x - r, y - r, x + r, y + r), fill=1)


def _nodule(
    canvas: _Canvas, row: Mapping[str, Any], lungs: Depth, rng: np.random.Generator
) -> Depth:
    """Place a bumpy nodule inside a lung."""
    radius = float(row["nodule_px"]) * canvas.size / REFERENCE
    places = np.argwhere(lungs > radius)
    if not len(places):
        places = np.argwhere(lungs == lungs.max())
    wavy = np.array(harmonics(6, 0.12, rng))
    centre = places[rng.integers(len(places))]
    return blob(lungs.shape, centre, radius, cosines=wavy[0], sines=wavy[1])


def _bones(canvas: _Canvas, row: Mapping[str, Any], rng: np.random.Generator) -> None:
    """Lay ribs along the wall, spine, and sternum."""
    wide, deep = row["body_wide"] - 1.2 * row["fat"] - 0.05, row["body_deep"] - row["fat"] - 0.05
    for i in range(14):
        around = (i + 0.5 + rng.uniform(-0.2, 0.2)) / 14 * 2 * np.pi
        if abs(np.sin(around)) < 0.25:
            continue
        place = (-deep * np.cos(around), wide * np.sin(around))
        # the long side of a rib follows the wall
        along = np.arctan2(wide * np.cos(around), deep * np.sin(around))
        length = rng.uniform(0.05, 0.1)
        rib = canvas.ellipse(place, (length, 0.022), angle=float(along))
        canvas.lay(rib, rng.uniform(350, 700))
        canvas.lay(rib - 0.008 * canvas.size, _MARROW, 0.7)
    back = 0.36 + 0.1 * (row["body_deep"] - 0.6)
    vertebra = canvas.ellipse((back, 0), (0.085, 0.115), power=2.5)
    canvas.lay(vertebra, 420.0)
    canvas.lay(vertebra - 0.012 * canvas.size, _MARROW + 25 * rng.standard_normal())
    for angle in (-0.9, 0.9):
        canvas.lay(
            canvas.ellipse((back + 0.1, 0.09 * np.sign(angle)), (0.1, 0.025), angle=angle), 450.0
        )
    canvas.lay(canvas.ellipse((back + 0.17, 0), (0.07, 0.025)), 480.0)
    canvas.lay(canvas.ellipse((back + 0.105, 0), (0.032, 0.04)), 20.0)
    canvas.lay(canvas.ellipse((-deep + 0.03, 0), (0.025, 0.1)), 380.0)


def _speck(canvas: _Canvas, row: Mapping[str, Any], rng: np.random.Generator) -> None:
    """Lay a dense speck, such as calcium or a clip, into the mediastinum."""
    place = (rng.uniform(-0.15, 0.25), rng.uniform(-0.12, 0.25))
    radius = max(rng.uniform(1.5, 3.0) / REFERENCE, 0.9 / canvas.size)
    canvas.lay(canvas.ellipse(place, (2 * radius, 2 * radius)), float(row["speck_hu"]))
