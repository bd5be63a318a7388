"""Phantom of Dixon magnetic resonance of head and neck with maps of stopping power.

Water and fat densities make the three contrasts; bone and air are dark in all of them, and only
the bone channel, which comes from the target itself or from the images, tells them apart.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import binary_closing, binary_erosion, shift as shift_image

from common.datasets.cases import Case, Cases
from common.datasets.glioma_phantom_brain import waves
from common.datasets.head_neck_phantom_anatomy import (
    AIR,
    CORTICAL,
    MARROW,
    MUSCLE,
    tissues,
)
from common.datasets.head_neck_phantom_dials import DIALS
from common.phantoms import noise as scanner
from common.phantoms.dials import check
from common.phantoms.draws import case_seeds, stream
from common.phantoms.fields import Field, bias_field, displacement, smooth_noise, warp

DATASET = "head-neck-phantom"
CHANNELS = ("T1", "FS", "WS", "bone")
RANGE = (0.0, 2.0)
QUICK = {"n": 16, "size": 64}
BONE_SOURCES = ("target", "mri")
FIELD_MM = (216.0, 270.0, 270.0)
# by tissue: water and fat density, stopping power ratio in HU
_WATER = np.array([0.0, 0.08, 0.80, 0.95, 0.05, 0.15, 0.0, 0.0], np.float32)
_FAT = np.array([0.0, 0.95, 0.08, 0.02, 0.03, 0.55, 0.0, 0.0], np.float32)
_SPR = np.array([-1000, -40, 45, 40, 680, 230, -1000, 1600], np.float32)
_MUSCLE_SD = 12.0


def draw(
    n: int,
    seed: int,
    *,
    bone_source: str = "target",
    fat_signal: float = 1.0,
    bone_darkness: float = 1.0,
    bone_shift: float = 0.0,
    bone_dropout: float = 0.0,
    misregistration: float = 0.0,
    bone_variation: float = 120.0,
    deformation: float = 0.035,
    fillings: float = 0.5,
    bias: float = 0.05,
    noise: float = 0.02,
) -> pd.DataFrame:
    """Draw the parameters of every head; see :func:`phantom` for the arguments.

    Returns:
        One row a patient: case, cluster, size, fat (mm), filling, dials, seed.
    """
    rng = stream(seed, DATASET)
    names = [f"d{i:03d}" for i in range(1, n + 1)]
    return pd.DataFrame(
        {
            "case": names,
            "cluster": names,
            "scale": rng.normal(1, 0.05, n).clip(0.88, 1.12),
            "fat": rng.uniform(5.0, 9.0, n),
            "filling": rng.permutation(np.arange(n) < round(fillings * n)),
            "side": rng.choice([-1, 1], n),
            "muscle": rng.normal(0, 5, n),
            "bone_source": bone_source,
            "fat_signal": fat_signal,
            "bone_darkness": bone_darkness,
            "bone_shift": bone_shift,
            "bone_dropout": bone_dropout,
            "misregistration": misregistration,
            "bone_variation": bone_variation,
            "deformation": deformation,
            "bias": bias,
            "noise": noise,
            "seed": case_seeds(n, rng),
        }
    )


def render(row: Mapping[str, Any], *, size: int) -> Case:
    """Render one head from its row.

    Args:
        row: from :func:`draw`.
        size: voxels from front to back and from side to side; half as many upward.

    Returns:
        Image (4, size / 2, size, size), channels as :data:`CHANNELS`; target ``spr`` (HU,
        float32), the stopping power ratio on the same grid; ``info`` has ``tissue``, the codes of
        :mod:`common.datasets.head_neck_phantom_anatomy` in the images' geometry, ``body`` and
        ``bone`` (bool) in the target's.
    """
    shape = (size // 2, size, size)
    spacing = tuple(field / n for field, n in zip(FIELD_MM, shape, strict=True))
    axes = [(np.arange(n) - (n - 1) / 2) * step for n, step in zip(shape, spacing, strict=True)]
    points = list(np.meshgrid(*axes, indexing="ij", sparse=True))
    tissue = tissues(row, points)
    rng = np.random.default_rng(row["seed"])
    spr = _stopping_power(tissue, points, row, rng)
    target, moved = _registered(spr, tissue, spacing, row)
    images = _dixon(tissue, row, rng)
    mask = _bone_mask(images, tissue, moved, row, rng)
    return Case(
        case=row["case"],
        cluster=row["cluster"],
        image=np.clip([*images, images[1] * mask], *RANGE).astype(np.float32),
        target={"spr": target},
        spacing_mm=spacing,
        info={"tissue": tissue, "body": moved != AIR, "bone": _is_bone(moved)},
    )


def _is_bone(tissue: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return (tissue == CORTICAL) | (tissue == MARROW)


def _stopping_power(
    tissue: NDArray[np.uint8],
    points: list[NDArray[np.floating]],
    row: Mapping[str, Any],
    rng: np.random.Generator,
) -> Field:
    """Look up the stopping power; muscle and bone vary within the patient."""
    spr = _SPR[tissue]
    spr[tissue == MUSCLE] += row["muscle"]
    spr += np.where(tissue == MUSCLE, _MUSCLE_SD, 0.0) * waves(points, 40.0, rng)
    spr += np.where(tissue == CORTICAL, row["bone_variation"], 0.0) * waves(points, 50.0, rng)
    return scanner.blur(spr, 0.5)


def _registered(
    spr: Field,
    tissue: NDArray[np.uint8],
    spacing: tuple[float, ...],
    row: Mapping[str, Any],
) -> tuple[Field, NDArray[np.uint8]]:
    """Move target and tissues by what registration left over."""
    if row["misregistration"] <= 0:
        return spr, tissue
    rng = np.random.default_rng([row["seed"], 3])
    field = displacement(tissue.shape, 1.0, 0.12 * tissue.shape[1], rng)
    field *= row["misregistration"] / np.array(spacing, np.float32)[:, None, None, None]
    moved = warp(tissue, field, order=0).astype(np.uint8)
    return warp(spr, field).astype(np.float32), moved


def _dixon(
    tissue: NDArray[np.uint8], row: Mapping[str, Any], rng: np.random.Generator
) -> list[Field]:
    """Make T1 (in phase), FS (water) and WS (fat) from the densities."""
    densities = _WATER.copy()
    densities[CORTICAL] += 0.45 * (1 - row["bone_darkness"])
    water, fat = (scanner.blur(table[tissue], 0.5) for table in (densities, _FAT))
    texture = 1 + 0.04 * smooth_noise(tissue.shape, 1.0, rng)
    coil = bias_field(tissue.shape, row["bias"], rng) * texture
    fat = fat * row["fat_signal"]
    signals = (coil * (0.9 * water + fat), coil * water, 0.9 * coil * fat)
    return [scanner.rician(signal, row["noise"], rng) for signal in signals]


def _bone_mask(
    images: list[Field],
    tissue: NDArray[np.uint8],
    moved: NDArray[np.uint8],
    row: Mapping[str, Any],
    rng: np.random.Generator,
) -> NDArray[np.bool_]:
    """Take bone from the target, or guess it where the images are dark; then shift and drop."""
    if row["bone_source"] == "target":
        mask = _is_bone(moved)
    else:
        inside = binary_erosion(binary_closing(tissue != AIR, iterations=2), iterations=2)
        mask = binary_closing((images[0] < 0.35) & inside)
    if row["bone_shift"] > 0:
        direction = rng.standard_normal(3)
        step = row["bone_shift"] * direction / np.linalg.norm(direction)
        mask = shift_image(mask.astype(np.float32), step, order=1) > 0.5
    if row["bone_dropout"] > 0 and mask.any():
        patch = smooth_noise(mask.shape, 0.04 * mask.shape[1], rng)
        mask = mask & (patch >= np.quantile(patch[mask], row["bone_dropout"]))
    return mask


def phantom(
    n: int,
    seed: int,
    *,
    size: int = 64,
    bone_source: str = "target",
    fat_signal: float = 1.0,
    bone_darkness: float = 1.0,
    bone_shift: float = 0.0,
    bone_dropout: float = 0.0,
    misregistration: float = 0.0,
    bone_variation: float = 120.0,
    deformation: float = 0.035,
    fillings: float = 0.5,
    bias: float = 0.05,
    noise: float = 0.02,
) -> Cases:
    """Generate heads with maps of stopping power; each of ``n`` patients has one case.

    1. Anatomy: see :func:`common.datasets.head_neck_phantom_anatomy.tissues`; the field is
       216 x 270 x 270 mm (216 mm upward is printed).
    2. Stopping power (HU): air -1000, fat -40, muscle 45 ± 12, brain 40, cortical bone 680 +
       waves of standard deviation ``bone_variation``, marrow 230, filling 1600.
    3. Densities of water and fat: fat 0.08 / 0.95, muscle 0.80 / 0.08, brain 0.95 / 0.02, cortical
       bone 0.05 / 0.03, marrow 0.15 / 0.55, air and filling 0; blurred by half a voxel.
    4. Images, with the coil field b: T1 = b (0.9 W + F), FS = b W, WS = 0.9 b F, F times
       ``fat_signal``; Rician noise.
    5. Bone channel: FS times a bone mask, from the target itself (as in the paper) or guessed
       from dark voxels of T1 (``mri``), shifted and thinned out.
    6. The target is moved against the images by ``misregistration``.

    Args:
        n: number of patients; the paper has 16.
        seed: seed of the phantom.
        size: voxels from front to back and from side to side, even.
        bone_source: ``target`` or ``mri``.
        fat_signal: see :data:`DIALS`, as all that follow.
        bone_darkness: bone like air.
        bone_shift: bone mask beside the target's.
        bone_dropout: bone mask with holes.
        misregistration: images against target.
        bone_variation: stopping power of bone.
        deformation: shape of heads.
        fillings: tooth fillings.
        bias: coil field.
        noise: Rician noise.

    Returns:
        Cases in the order of patients.

    Raises:
        ValueError: a dial is out of its range, or ``bone_source`` is unknown.
    """
    if bone_source not in BONE_SOURCES:
        raise ValueError(
            f"`bone_source` must be one of {', '.join(BONE_SOURCES)}, got {bone_source!r}."
        )
    dials = {
        "fat_signal": fat_signal,
        "bone_darkness": bone_darkness,
        "bone_shift": bone_shift,
        "bone_dropout": bone_dropout,
        "misregistration": misregistration,
        "bone_variation": bone_variation,
        "deformation": deformation,
        "fillings": fillings,
        "bias": bias,
        "noise": noise,
    }
    check(DIALS, dials)
    return Cases(draw(n, seed, bone_source=bone_source, **dials), partial(render, size=size))
