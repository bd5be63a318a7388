"""Phantom of head and neck PET-CT: a compact tumour beside tubes of the same uptake.

In any single slice the tumour looks like a tube; only its extent along the axis of the body tells
them apart. A network must see neighbouring slices to do it.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common.datasets.cases import Case, Cases
from common.phantoms import noise as scanner
from common.phantoms.dials import Dial, check
from common.phantoms.draws import case_seeds, stream
from common.phantoms.fields import Field, smooth_noise
from common.phantoms.shapes import soft

DATASET = "pet-ct-phantom"
CHANNELS = ("CT", "PET")
CLASSES = ("background", "primary tumour")
RANGE = (-3.0, 6.0)
QUICK = {"n": 56, "size": 24, "depth": 16}
N_TUBES = 2
SIDE_MM = 80.0
_PLANE, _SLICES = 24, 16
_AIRWAY, _SPINE = (0.3, 0.5), (0.8, 0.5)
_APART = 7 / 24
_CT_TEXTURE, _PET_TEXTURE = 0.3, 0.25
_FALL = 0.7

DIALS: tuple[Dial, ...] = (
    Dial(
        "depth_cue",
        "1",
        1.0,
        0.0,
        1.0,
        "Tubes have this share of the tumour's contrast; at 0 a single slice shows all there is.",
        "chosen so that the extent along depth alone tells tumour from tube",
        null=0.0,
    ),
    Dial(
        "anisotropy",
        "1",
        1.0,
        0.5,
        3.0,
        "Slices are thicker: a tumour spans fewer of them.",
        "1 is a compact tumour of about five slices",
    ),
    Dial(
        "uptake",
        "1",
        1.5,
        0.0,
        5.0,
        "Contrast of tumour and tubes in PET, whose texture has standard deviation 0.25.",
        "chosen: six standard deviations at the centre",
        null=0.0,
    ),
    Dial(
        "ct_contrast",
        "1",
        0.25,
        0.0,
        1.0,
        "Contrast of tumour and tubes in CT, whose texture has standard deviation 0.3.",
        "chosen so that CT alone hardly shows them",
        null=0.0,
    ),
    Dial(
        "noise",
        "1",
        1.0,
        0.0,
        4.0,
        "Multiplies the texture of both channels.",
        "1 is standard deviation 0.3 in CT and 0.25 in PET",
        null=0.0,
    ),
    Dial(
        "missing_ends",
        "share",
        0.0,
        0.0,
        1.0,
        "More cases whose reference lacks the first and last slice of the tumour.",
        "0 is a complete reference",
        null=0.0,
    ),
)


def draw(
    n: int,
    seed: int,
    *,
    depth_cue: float = 1.0,
    anisotropy: float = 1.0,
    uptake: float = 1.5,
    ct_contrast: float = 0.25,
    noise: float = 1.0,
    missing_ends: float = 0.0,
) -> pd.DataFrame:
    """Draw the parameters of every volume; see :func:`phantom` for the arguments.

    Returns:
        One row a patient: case, cluster, places (share of the side) and radii (share of the side
        and of the depth) of tumour and tubes, dials, seed.
    """
    rng = stream(seed, DATASET)
    places = np.array([_places(rng) for _ in range(n)]).reshape(n, N_TUBES + 1, 2)
    radius = rng.uniform(2.2, 3.2, (N_TUBES + 1, n)) / _PLANE
    names = [f"h{i:03d}" for i in range(1, n + 1)]
    tubes = {
        f"tube{k}_{name}": value
        for k in range(1, N_TUBES + 1)
        for name, value in zip(
            ("y", "x", "radius"), (places[:, k, 0], places[:, k, 1], radius[k]), strict=True
        )
    }
    return pd.DataFrame(
        {
            "case": names,
            "cluster": names,
            "z": rng.uniform(4.5, 11.5, n) / _SLICES,
            "y": places[:, 0, 0],
            "x": places[:, 0, 1],
            "radius": radius[0],
            "reach": rng.uniform(1.8, 2.8, n) / _SLICES / anisotropy,
            **tubes,
            "depth_cue": depth_cue,
            "uptake": uptake,
            "ct_contrast": ct_contrast,
            "noise": noise,
            "ends_missing": rng.random(n) < missing_ends,
            "seed": case_seeds(n, rng),
        }
    )


def _places(rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw places in the plane that are apart from each other, the airway and the spine."""
    while True:
        drawn = rng.uniform(0.2, 0.8, (N_TUBES + 1, 2))
        others = np.vstack([drawn, _AIRWAY, _SPINE])
        away = np.linalg.norm(drawn[:, None] - others[None], axis=2)
        away[np.arange(len(drawn)), np.arange(len(drawn))] = np.inf
        if away[:, : len(drawn)].min() >= _APART and away.min() >= 0.8 * _APART:
            return drawn


def render(row: Mapping[str, Any], *, size: int, depth: int) -> Case:
    """Render one volume from its row.

    Args:
        row: from :func:`draw`.
        size: height and width of a slice (px).
        depth: number of slices.

    Returns:
        Image (2, depth, size, size), channels as :data:`CHANNELS`, CT with air -1 and soft tissue
        about 0, PET as standard score; target ``mask`` (bool); ``info`` has ``tubes`` (bool),
        what looks like tumour in a slice.
    """
    rng = np.random.default_rng(row["seed"])
    shape = (depth, size, size)
    z, y, x = ((np.arange(side) + 0.5) / side for side in shape)
    plane2 = ((y - row["y"])[:, None] ** 2 + (x - row["x"]) ** 2) / row["radius"] ** 2
    rho2 = ((z - row["z"]) / row["reach"])[:, None, None] ** 2 + plane2
    mask = rho2 < 1
    glow = np.exp(-_FALL * rho2)
    tubes = np.zeros(shape, bool)
    for k in range(1, N_TUBES + 1):
        away2 = (y - row[f"tube{k}_y"])[:, None] ** 2 + (x - row[f"tube{k}_x"]) ** 2
        away2 = away2 / row[f"tube{k}_radius"] ** 2
        tubes |= np.broadcast_to(away2 < 1, shape)
        glow += row["depth_cue"] * np.exp(-_FALL * away2)
    body, ct = _anatomy(size)
    ct = ct + row["ct_contrast"] * glow
    ct += _CT_TEXTURE * row["noise"] * body * _texture(shape, rng)
    pet = row["uptake"] * glow + _PET_TEXTURE * row["noise"] * _texture(shape, rng)
    if row["ends_missing"]:
        used = np.flatnonzero(mask.any((1, 2)))
        if len(used) > 2:
            mask[used[[0, -1]]] = False
    return Case(
        case=row["case"],
        cluster=row["cluster"],
        image=np.clip(np.stack([ct, pet * body]), *RANGE).astype(np.float32),
        target={"mask": mask},
        spacing_mm=(SIDE_MM * 0.6 / depth, SIDE_MM / size, SIDE_MM / size),
        info={"tubes": tubes & (row["depth_cue"] > 0)},
    )


def _texture(shape: tuple[int, ...], rng: np.random.Generator) -> Field:
    """Smooth noise whose grain scales with the image."""
    depth, size, _ = shape
    grain = (0.8 * depth / _SLICES, 0.9 * size / _PLANE, 0.9 * size / _PLANE)
    return smooth_noise(shape, grain, rng)


def _anatomy(size: int) -> tuple[Field, Field]:
    """Draw neck, airway, spine with its canal and subcutaneous fat in one slice of CT."""
    axis = (np.arange(size) + 0.5) / size
    y, x = axis[:, None], axis[None, :]
    neck = (1 - (np.abs((y - 0.5) / 0.5) ** 3 + np.abs((x - 0.5) / 0.5) ** 3)) * 0.25 * size
    body = soft(neck)
    ct = -1 + body * (1 - 0.1 + 0.1 * soft(neck - 0.03 * size))
    spots = ((_AIRWAY, 0.085, -1.0), (_SPINE, 0.12, 0.7), ((0.85, 0.5), 0.045, 0.05))
    for (row, column), radius, level in spots:
        inside = soft((radius - np.hypot(y - row, x - column)) * size)
        ct += inside * (level - ct)
    return scanner.blur(body, 0.3), scanner.blur(ct, 0.4)


def phantom(
    n: int,
    seed: int,
    *,
    size: int = 24,
    depth: int = 16,
    depth_cue: float = 1.0,
    anisotropy: float = 1.0,
    uptake: float = 1.5,
    ct_contrast: float = 0.25,
    noise: float = 1.0,
    missing_ends: float = 0.0,
) -> Cases:
    """Generate PET-CT volumes; each of ``n`` patients has one case.

    1. Neck in CT: soft tissue, fat, airway and spine, the same in every slice.
    2. Tumour: ellipsoid of in-plane radius U(2.2, 3.2) px and axial radius U(1.8, 2.8) slices on
       a grid of 24 x 24 x 16 (scaled with the grid), about 0.8 % of the voxels and five slices;
       with rho the distance from its centre in radii, contrast times exp(-0.7 rho²).
    3. Tubes: two, of the same radii, through all slices, at least 7 px from tumour and each
       other; contrast times ``depth_cue`` times exp(-0.7 rho²), rho in the plane alone.
    4. Texture: smooth noise of standard deviation 0.3 (CT) and 0.25 (PET).

    The published volumes are crops of 144³ or 80 x 80 x 48 voxels of 1 mm around 224 tumours.

    Args:
        n: number of patients.
        seed: seed of the phantom.
        size: height and width of a slice (px).
        depth: number of slices.
        depth_cue: see :data:`DIALS`, as all that follow.
        anisotropy: thickness of slices.
        uptake: contrast in PET.
        ct_contrast: contrast in CT.
        noise: texture.
        missing_ends: incomplete references.

    Returns:
        Cases in the order of patients.

    Raises:
        ValueError: a dial is out of its range.
    """
    dials = {
        "depth_cue": depth_cue,
        "anisotropy": anisotropy,
        "uptake": uptake,
        "ct_contrast": ct_contrast,
        "noise": noise,
        "missing_ends": missing_ends,
    }
    check(DIALS, dials)
    return Cases(draw(n, seed, **dials), partial(render, size=size, depth=depth))
