"""Phantom of label maps for registration between patients, in three families of anatomy.

Networks are trained on one family (skeleton, thorax) and tested on another (abdomen), of which
they share only aorta and inferior vena cava. A case is one patient; pairs are made of cases.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common.datasets.cases import Case, Cases
from common.datasets.label_map_phantom_anatomy import FAMILIES, SHARED, paint, resized
from common.phantoms.dials import Dial, check
from common.phantoms.draws import case_seeds, stream
from common.phantoms.fields import Field, displacement, warp

DATASET = "label-map-phantom"
CLASSES = {name: tuple(s.name for s in found) for name, found in FAMILIES.items()}
RANGE = (0.0, 1.0)
QUICK = {"n": 12, "size": (32, 24, 32)}
# voxels printed for each set, at 2 mm for Learn2Reg and 1.5 mm for the others (sizes of voxels
# from memory)
FIELD_MM = {
    "abdomen-ct": (384.0, 320.0, 512.0),
    "abdomen-mr": (384.0, 240.0, 384.0),
    "skeletal": (384.0, 240.0, 384.0),
    "thorax": (384.0, 288.0, 432.0),
}
# jitter of centres (box is 2 wide), log size, elastic warp and translation (voxels of 64)
_VARIATION = {
    "abdomen-ct": (0.045, 0.13, 1.4, 1.0),
    "abdomen-mr": (0.032, 0.10, 1.1, 0.8),
    "skeletal": (0.008, 0.08, 0.9, 0.8),
    "thorax": (0.025, 0.08, 1.2, 1.0),
}
_AFFINE = 0.02
_REFERENCE = 64  # side to which lengths in voxels refer

DIALS: tuple[Dial, ...] = (
    Dial(
        "deformation",
        "1",
        1.0,
        0.0,
        2.0,
        "Patients differ more in place, size and shape; at 0 all have one anatomy and there is "
        "nothing to register.",
        "paper, Tables 1 and 2: mean Dice after affine alignment 25.1 % (CT) and 31.6 % (MR)",
        null=0.0,
    ),
    Dial(
        "size_spread",
        "1",
        1.0,
        0.0,
        1.2,
        "Power of the structures' volumes: large and small ones differ more; at 0 all have one.",
        "chosen so that affine Dice ranges from about 60 % (liver) to below 15 % (adrenals) as in "
        "the paper, Tables 1 and 2",
        null=0.0,
    ),
    Dial(
        "prediction_error",
        "voxels of 64",
        0.45,
        0.0,
        1.5,
        "The segmentation that is given to the network departs more from the true one.",
        "paper, Section 3.1: mean Dice of the predicted labels 82 %, above 90 % for large organs, "
        "about 60 % for the adrenals (here 95 % for the liver and 70 to 80 % for the adrenals)",
        null=0.0,
    ),
    Dial(
        "dropout",
        "share",
        0.02,
        0.0,
        0.5,
        "More structures are missing in the predicted segmentation.",
        "chosen: the paper gives no rate",
        null=0.0,
    ),
)


def draw(
    n: int,
    seed: int,
    *,
    family: str = "abdomen-ct",
    shared_vessels: bool = True,
    n_labels: int | None = None,
    deformation: float = 1.0,
    size_spread: float = 1.0,
    prediction_error: float = 0.45,
    dropout: float = 0.02,
) -> pd.DataFrame:
    """Draw the parameters of every patient; see :func:`phantom`.

    Returns:
        One row a patient: case, cluster (the case itself), family, shift_x, shift_y, shift_z
        (voxels of 64), nine entries ``affine_*`` of the linear part, settings and dials, seed.
    """
    rng = stream(seed, DATASET, family)
    shift = deformation * _VARIATION[family][3] * rng.standard_normal((n, 3))
    affine = deformation * _AFFINE * rng.standard_normal((n, 9))
    seeds = case_seeds(n, rng)
    names = [f"{family}-{i:03d}" for i in range(n)]
    return pd.DataFrame(
        {
            "case": names,
            "cluster": names,
            "family": family,
            **{f"shift_{axis}": shift[:, i] for i, axis in enumerate("xyz")},
            **{f"affine_{i}": affine[:, i] for i in range(9)},
            "shared_vessels": shared_vessels,
            "n_labels": len(FAMILIES[family]) if n_labels is None else n_labels,
            "deformation": deformation,
            "size_spread": size_spread,
            "prediction_error": prediction_error,
            "dropout": dropout,
            "seed": seeds,
        }
    )


def render(row: Mapping[str, Any], *, size: tuple[int, int, int] = (64, 48, 64)) -> Case:
    """Render one patient from its row; the same row gives the same bits.

    Args:
        row: one row of :func:`draw`.
        size: voxels along each axis (right to left, front to back, feet to head).

    Returns:
        The predicted segmentation as one channel for each label after the background's; target
        ``mask`` holds the true codes; ``info`` holds ``predicted`` (codes) and ``dropped``.
    """
    bodies, warps, errors = np.random.default_rng(int(row["seed"])).spawn(3)
    family = str(row["family"])
    structures = resized(FAMILIES[family], float(row["size_spread"]))
    jitter, log_size, elastic, _ = float(row["deformation"]) * np.array(_VARIATION[family])
    n = len(structures)
    offsets = jitter * bodies.standard_normal((n, 3))
    scales = np.exp(log_size * bodies.standard_normal(n))
    # lobes of one lung are cut from one shape, so they move and grow together
    whole = [next(j for j in range(n) if structures[j].points == s.points) for s in structures]
    codes = paint(
        structures,
        size,
        offsets[whole],
        scales[whole],
        thick=max(1, round(3 * size[2] / _REFERENCE)) if family == "abdomen-mr" else 1,
    )
    field = _patient_field(row, size, elastic, warps)
    codes = warp(codes, field, order=0, outside=0).astype(np.uint8)
    hidden = [i for i in range(n) if not _kept(structures[i].name, i, row)]
    codes[np.isin(codes, np.array(hidden, int) + 1)] = 0
    predicted, dropped = _predict(codes, row, n, errors)
    channels = (predicted == np.arange(n + 1, dtype=np.uint8)[:, None, None, None]).astype(
        np.float32
    )
    sides = FIELD_MM[family]
    return Case(
        case=row["case"],
        cluster=row["cluster"],
        image=channels,
        target={"mask": codes},
        spacing_mm=(sides[0] / size[0], sides[1] / size[1], sides[2] / size[2]),
        info={"predicted": predicted, "dropped": dropped},
    )


def _kept(name: str, index: int, row: Mapping[str, Any]) -> bool:
    """Say whether the settings leave a structure in the map."""
    return index < row["n_labels"] and (bool(row["shared_vessels"]) or name not in SHARED)


def _patient_field(
    row: Mapping[str, Any], size: tuple[int, int, int], elastic: float, rng: np.random.Generator
) -> Field:
    """Sum translation, linear part and elastic warp, in voxels of the grid asked for."""
    factor = np.array(size) / _REFERENCE
    smooth = displacement(size, elastic, 6 * float(factor.mean()), rng)
    shift = np.array([row[f"shift_{axis}"] for axis in "xyz"])
    matrix = np.array([row[f"affine_{i}"] for i in range(9)]).reshape(3, 3)
    places = np.indices(size, dtype=np.float32)
    # the linear part acts in the box, so that it does not depend on the grid
    places = (2 * places + 1) / np.array(size, np.float32)[:, None, None, None] - 1
    linear = np.einsum("ij,jxyz->ixyz", matrix, places) * _REFERENCE / 2
    total = smooth + linear + shift[:, None, None, None]
    return (total * factor[:, None, None, None]).astype(np.float32)


def _predict(
    codes: NDArray[np.uint8], row: Mapping[str, Any], n: int, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], list[int]]:
    """Shake the boundaries over short range and lose whole structures, as a segmenter does."""
    factor = codes.shape[0] / _REFERENCE
    # the root makes up for rounding to voxels, which hides small shifts on a coarse grid
    amplitude = float(row["prediction_error"]) * factor**0.5
    shaken = displacement(codes.shape, amplitude, 1.5 * factor, rng)
    predicted = warp(codes, shaken, order=0) if amplitude > 0 else codes.copy()
    dropped = [int(i) + 1 for i in np.flatnonzero(rng.random(n) < row["dropout"])]
    predicted[np.isin(predicted, dropped)] = 0
    return predicted.astype(np.uint8), dropped


def phantom(
    n: int,
    seed: int,
    *,
    size: tuple[int, int, int] = (64, 48, 64),
    family: str = "abdomen-ct",
    shared_vessels: bool = True,
    n_labels: int | None = None,
    deformation: float = 1.0,
    size_spread: float = 1.0,
    prediction_error: float = 0.45,
    dropout: float = 0.02,
) -> Cases:
    """Make label maps of patients of one family, one case each.

    1. structures are ellipsoids |(x - c) / a| < 1 and tubes about a centre line, at fixed places
       of the box from -1 to 1: 13 in the abdomen (CT: with the portal vein; MR: with the
       duodenum, averaged over thick slices, another field of view), 20 ribs and 8 vertebrae
       (28 labels are printed), 9 in the thorax (5 lobes, heart, three vessels);
    2. a patient shifts each centre by N(0, s_c), scales its radii by exp N(0, s_r), and warps the
       map by x + u(x) + M x + t with u smooth (sigma 6 voxels of 64), M of entries N(0, 0.02);
       all times ``deformation``; s_c and |u| are such that the mean Dice of two patients is near
       the printed 25.1 % (CT) and 31.6 % (MR) of affinely aligned scans;
    3. volumes V become V_m (V / V_m)^``size_spread``;
    4. large structures are painted first;
    5. the predicted map warps the true one by ``prediction_error`` voxels of 64 over sigma 1.5
       (the amplitude goes with the root of the grid's side, against rounding) and loses each
       structure with probability ``dropout`` (printed mean Dice 82 %).

    Args:
        n: patients, one case each; families draw patients of their own.
        seed: seed of the phantom.
        size: voxels along each axis (right to left, front to back, feet to head).
        family: ``abdomen-ct``, ``abdomen-mr`` (tests), ``skeletal`` or ``thorax`` (training).
        shared_vessels: whether the maps show aorta and inferior vena cava, which training and
            test families share; their channels stay and are empty.
        n_labels: number of labels kept, from the first; all by default.
        deformation: see :data:`DIALS`.
        size_spread: see :data:`DIALS`.
        prediction_error: see :data:`DIALS`.
        dropout: see :data:`DIALS`.

    Returns:
        Cases with image (labels + 1, *size), the predicted map with the background in its first
        channel, and target mask (*size), the true codes in the order of :data:`CLASSES`.

    Raises:
        ValueError: the family is unknown, the number of labels does not fit it, a dial is outside
            its range, or a side is below 16 voxels.
    """
    dials = {
        "deformation": deformation,
        "size_spread": size_spread,
        "prediction_error": prediction_error,
        "dropout": dropout,
    }
    check(DIALS, dials)
    if family not in FAMILIES:
        raise ValueError(f"`family` must be one of {', '.join(FAMILIES)}, got {family!r}.")
    most = len(FAMILIES[family])
    if n_labels is not None and not 1 <= n_labels <= most:
        raise ValueError(f"`n_labels` must be in 1-{most} for {family}, got {n_labels!r}.")
    if min(size) < 16:
        raise ValueError(f"`size` must be at least 16 a side, got {size!r}. Vessels would vanish.")
    table = draw(n, seed, family=family, shared_vessels=shared_vessels, n_labels=n_labels, **dials)
    return Cases(table, partial(render, size=size))
