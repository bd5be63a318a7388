"""Tissue of the mitosis phantom: stroma, tumour nests, nuclei, mitotic figures, look-alikes.

Everything is an amount of haematoxylin and eosin on a pixel grid; lengths are given at a box of
24 px, half of the published magnification, and scaled.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.phantoms.fields import fibres, smooth_noise
from common.phantoms.shapes import Depth, blob, ellipsoid, harmonics, rotation, soft

PHASES = ("prometaphase", "metaphase", "anaphase", "ring")
LOOK_ALIKE_KINDS = ("pyknotic", "hyperchromatic", "pigment")
_DENSITY = (40 / 256**2, 90 / 256**2)  # nuclei for each pixel at a box of 24


@dataclass(frozen=True)
class Scene:
    """Amounts of stain, changed in place by what is added.

    Args:
        haematoxylin (size, size): amount of the nuclear stain.
        eosin (size, size): amount of the stain of cytoplasm and stroma.
        nest (size, size): cover by tumour nests.
    """

    haematoxylin: NDArray[np.float32]
    eosin: NDArray[np.float32]
    nest: NDArray[np.float32]


def tissue(size: int, scale: float, rng: np.random.Generator) -> Scene:
    """Draw tissue without mitotic figures.

    Args:
        size: side (pixels).
        scale: magnification, 1 for a box of 24 px.
        rng: source of randomness.

    Returns:
        The scene; nests cover about 40 % of many patches.
    """
    shape = (size, size)
    nest = soft(smooth_noise(shape, 30 * scale, rng) - 0.25, 0.3)
    strands = fibres(shape, rng.uniform(0, np.pi), 8 * scale, 1.2 * scale, rng)
    eosin = np.clip(0.30 + 0.12 * strands, 0.05, None) * (1 - nest) + 0.28 * nest
    eosin = eosin + np.float32(0.04) * smooth_noise(shape, 2 * scale, rng)
    haematoxylin = 0.04 + 0.10 * nest
    scene = Scene(haematoxylin.astype(np.float32), np.maximum(eosin, 0).astype(np.float32), nest)
    chromatin = smooth_noise(shape, 0.9 * scale, rng)
    density = rng.uniform(*_DENSITY) / scale**2
    for centre, inside in _centres(nest, density, 14 * scale, rng):
        radii = scale * np.array([rng.uniform(6, 9), rng.uniform(4, 7)])
        if not inside and rng.random() < 0.5:  # spindle-shaped nuclei of the stroma
            radii = scale * np.array([rng.uniform(8, 11), rng.uniform(2, 3)])
        _add_nucleus(scene, centre, radii, rng.uniform(0.45, 0.85), chromatin, rng)
    return scene


def _centres(
    nest: NDArray[np.float32], density: float, pitch: float, rng: np.random.Generator
) -> list[tuple[NDArray[np.float64], bool]]:
    """Scatter nuclei on a jittered lattice, twice as densely in nests as beside them."""
    size = len(nest)
    side = int(np.ceil(size / pitch)) + 1
    lattice = np.stack(np.meshgrid(np.arange(side), np.arange(side), indexing="ij"), -1)
    points = (lattice.reshape(-1, 2) + rng.uniform(-0.32, 0.32, (side * side, 2))) * pitch
    places = np.clip(np.rint(points), 0, size - 1).astype(int)
    inside = nest[places[:, 0], places[:, 1]] > 0.5
    # mean density as drawn where 40 % is nest: 0.4 x 2 + 0.6 x 1 = 1.4 parts
    kept = rng.random(len(points)) < density * pitch**2 / 1.4 * np.where(inside, 2.0, 1.0)
    return list(zip(points[kept], inside[kept].tolist(), strict=True))


def _window(
    scene: Scene, centre: NDArray[np.floating], reach: float
) -> tuple[tuple[slice, slice], NDArray[np.float64]]:
    """Give the part of the scene around a place, and the place inside that part."""
    low = np.maximum(np.floor(np.asarray(centre) - reach).astype(int), 0)
    high = np.maximum(np.ceil(np.asarray(centre) + reach).astype(int) + 1, low)
    return (slice(low[0], high[0]), slice(low[1], high[1])), np.asarray(centre, float) - low


def _add_nucleus(
    scene: Scene,
    centre: NDArray[np.float64],
    radii: NDArray[np.float64],
    amount: float,
    chromatin: NDArray[np.float32],
    rng: np.random.Generator,
) -> None:
    """Add an interphase nucleus: membrane, chromatin, mostly pale inside; in place."""
    area, middle = _window(scene, centre, float(radii.max()) + 2)
    part = scene.haematoxylin[area]
    if part.size == 0:
        return
    depth = ellipsoid(part.shape, middle, radii, turn=rotation(rng.uniform(0, np.pi)))
    cover, rim = soft(depth), np.exp(-0.5 * ((depth - 1) / 0.8) ** 2)
    inside = amount * np.clip(0.75 + 0.25 * chromatin[area] + 0.35 * rim, 0.1, None)
    part[...] = part * (1 - cover) + inside * cover


def _halo(scene: Scene, centre: NDArray[np.float64], radius: float) -> None:
    """Clear the cytoplasm around a dividing cell, in place."""
    area, middle = _window(scene, centre, radius + 3)
    cover = soft(ellipsoid(scene.eosin[area].shape, middle, (radius, radius)), 3.0)
    for amount, clear in ((scene.haematoxylin, 0.04), (scene.eosin, 0.14)):
        part = amount[area]
        part[...] = part * (1 - cover) + clear * cover


def figure(scene: Scene, centre: NDArray[np.float64], box: float, rng: np.random.Generator) -> int:
    """Add a mitotic figure, in place.

    Args:
        scene: tissue that it is added to.
        centre (2,): row and column.
        box: side of its box (px), twice the width of its cell or a little less.
        rng: source of randomness.

    Returns:
        Its phase, an index into :data:`PHASES`.
    """
    phase = int(rng.integers(len(PHASES)))
    _halo(scene, centre, 0.38 * box * rng.uniform(0.9, 1.1))
    area, middle = _window(scene, centre, 0.5 * box)
    part = scene.haematoxylin[area]
    depth = _chromosomes(phase, part.shape, middle, box, rng)
    ragged = 0.03 * box * smooth_noise(part.shape, 0.04 * box, rng)
    cover = soft(depth + ragged)
    part[...] = np.maximum(part, rng.uniform(1.5, 2.0) * cover)
    return phase


def _chromosomes(
    phase: int,
    shape: tuple[int, ...],
    middle: NDArray[np.float64],
    box: float,
    rng: np.random.Generator,
) -> Depth:
    """Draw the chromosomes of one phase."""
    angle = rng.uniform(0, np.pi)
    turn = rotation(angle)
    if PHASES[phase] == "prometaphase":
        a, b = harmonics(6, 0.18, rng, decay=0.5)
        return blob(shape, middle, 0.17 * box, cosines=a, sines=b)
    if PHASES[phase] == "metaphase":
        return ellipsoid(shape, middle, (0.24 * box, 0.08 * box), turn=turn, power=3)
    if PHASES[phase] == "anaphase":
        apart = rng.uniform(0.10, 0.15) * box * turn[1]
        bars = [
            ellipsoid(shape, middle + side * apart, (0.19 * box, 0.06 * box), turn=turn, power=3)
            for side in (-1, 1)
        ]
        return np.maximum(*bars)
    ring = ellipsoid(shape, middle, (0.2 * box, 0.17 * box), turn=turn)
    return np.minimum(ring, 0.12 * box - ring)


def look_alike(
    scene: Scene, centre: NDArray[np.float64], box: float, rng: np.random.Generator
) -> int:
    """Add something dark that is no mitotic figure, in place.

    Args:
        scene: tissue that it is added to.
        centre (2,): row and column.
        box: side of its box (px).
        rng: source of randomness.

    Returns:
        Its kind, an index into :data:`LOOK_ALIKE_KINDS`.
    """
    kind = int(rng.integers(len(LOOK_ALIKE_KINDS)))
    area, middle = _window(scene, centre, 0.5 * box)
    part, rosy = scene.haematoxylin[area], scene.eosin[area]
    turn = rotation(rng.uniform(0, np.pi))
    if LOOK_ALIKE_KINDS[kind] == "pyknotic":
        rim = soft(ellipsoid(part.shape, middle, (0.24 * box, 0.22 * box), turn=turn), 2.0)
        part *= 1 - rim
        rosy[...] = np.maximum(rosy, 0.9 * rim)
        dark = soft(ellipsoid(part.shape, middle, (0.14 * box, 0.13 * box), turn=turn))
        part[...] = np.maximum(part, 1.9 * dark)
    elif LOOK_ALIKE_KINDS[kind] == "hyperchromatic":
        radii = box * np.array([rng.uniform(0.26, 0.34), rng.uniform(0.15, 0.2)])
        nucleus = soft(ellipsoid(part.shape, middle, radii, turn=turn))
        part[...] = np.maximum(part, rng.uniform(1.2, 1.6) * nucleus)
    else:
        grains = smooth_noise(part.shape, 0.05 * box, rng)
        near = ellipsoid(part.shape, middle, (0.22 * box, 0.2 * box))
        cover = soft(np.minimum(near, 0.08 * box * grains))
        part[...] = np.maximum(part, 0.9 * cover)
        rosy[...] = np.maximum(rosy, 1.1 * cover)
    return kind
