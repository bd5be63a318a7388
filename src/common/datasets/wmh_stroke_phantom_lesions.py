"""Lesions of small vessel disease on a voxel grid: hyperintensities and strokes."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from common.datasets.glioma_phantom_brain import CSF, GREY, OUTSIDE, WHITE, Brain, Points, waves
from common.phantoms.lesions import grow

Mask = NDArray[np.bool_]
_RIBBON_MM = 14.0
_FRAGMENTED = 0.4
_ROUGHNESS = 0.6


def wmh(found: Brain, points: Points, volume: float, step: float, rng: np.random.Generator) -> Mask:
    """Place hyperintensities around the ventricles and in a few deep spots.

    Args:
        found: brain on the grid.
        points: coordinates (mm).
        volume: in voxels.
        step: side of a voxel (mm).
        rng: source of randomness.

    Returns:
        The voxels of white matter with the highest score, as many as ``volume``; empty where
        there is no white matter.
    """
    white = found.tissue == WHITE
    n = min(round(volume), int(white.sum()))
    mask = np.zeros(white.shape, bool)
    if n < 1:
        return mask
    z, y, x = points
    score = np.exp(-step * distance_transform_edt(~found.ventricle) / 8.0)
    score += 0.3 * waves((z, y, np.abs(x)), 24.0, rng) + 0.08 * waves(points, 14.0, rng)
    deep = np.argwhere(white & (found.depth_mm > 15))
    for _ in range(int(rng.integers(0, 6)) if len(deep) else 0):
        spot = deep[rng.integers(len(deep))]
        centre = [p.ravel()[i] for p, i in zip(points, spot, strict=True)]
        away = sum((p - c) ** 2 for p, c in zip(points, centre, strict=True))
        score += 1.2 * np.exp(-away / (2 * (0.9 * max(step, 2.5)) ** 2))
    score[~white] = -np.inf
    mask.flat[np.argpartition(-score, n - 1, axis=None)[:n]] = True
    return mask


def stroke(
    found: Brain,
    points: Points,
    row: Mapping[str, Any],
    kind: str,
    step: float,
    rng: np.random.Generator,
) -> Mask:
    """Grow one stroke in the ribbon or in the depth of one hemisphere.

    1. A seed in the tissue where strokes of the kind occur: less than 14 mm below the surface
       and not in sulci (cortical), deeper than that (subcortical). ``shape_gap`` 0 lets cortical
       ones reach 10 mm deeper and fill sulci.
    2. A lesion of the drawn volume grown from it, see :func:`common.phantoms.lesions.grow`:
       roughness 0.6, and 0.05 ``shape_gap`` more in cortical ones, of which 40 % ``shape_gap``
       break into 2 to 4 pieces within 30 mm of each other; what falls off is made up for.

    Args:
        found: brain on the grid.
        points: coordinates (mm).
        row: parameters of the patient.
        kind: ``cortical`` or ``subcortical``.
        step: side of a voxel (mm).
        rng: source of randomness.

    Returns:
        The lesion; empty where no tissue is allowed.
    """
    cortical = kind == "cortical"
    side = np.sign(points[2]) == rng.choice([-1, 1])
    gap = row["shape_gap"] if cortical else 0.0
    keeps_out = rng.random() < gap
    allowed = side & (found.tissue != OUTSIDE) & ~found.ventricle
    if cortical and row["in_ribbon"]:
        allowed &= found.depth_mm < _RIBBON_MM + 10 * max(0.0, 1 - gap)
        start = allowed & (found.tissue == GREY)
        if keeps_out:
            allowed &= found.tissue != CSF
    else:
        allowed &= found.tissue != CSF
        allowed &= found.depth_mm > _RIBBON_MM
        start = allowed & (found.depth_mm > 22)
    seeds = np.argwhere(start if start.any() else allowed)
    lesion = np.zeros(allowed.shape, bool)
    if not len(seeds):
        return lesion
    pieces = int(rng.integers(2, 5)) if rng.random() < _FRAGMENTED * gap else 1
    first = seeds[rng.integers(len(seeds))]
    near = seeds[np.linalg.norm((seeds - first) * step, axis=1) < 30]
    places = [first, *near[rng.integers(len(near), size=pieces - 1)]]
    for place, share in zip(places, rng.dirichlet(np.full(pieces, 4.0)), strict=True):
        wanted = max(share * row[f"{kind}_mm3"], step**3)
        stretch = np.exp(0.25 * rng.standard_normal(3))
        # pieces that fall off are made up for around the seed
        for roughness in (_ROUGHNESS + 0.05 * gap, 0.3):
            grown = grow(
                allowed & ~lesion,
                place,
                wanted,
                rng=rng,
                roughness=roughness,
                grain=4.0 / step,
                stretch=stretch,
                spacing=(step, step, step),
            )
            lesion |= grown
            wanted -= grown.sum() * step**3
            if wanted < step**3:
                break
    return lesion
