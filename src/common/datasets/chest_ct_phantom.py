"""Phantom of chest CT slices for super-resolution, several slices of each patient.

The fine detail that super-resolution must restore is vessels; their mask is known. The slices are
sharp: :mod:`common.datasets.chest_ct_phantom_degradation` makes the low-resolution ones.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from common.datasets.cases import Case, Cases
from common.datasets.chest_ct_phantom_anatomy import anatomy
from common.phantoms.dials import Dial, check
from common.phantoms.draws import case_seeds, stream
from common.phantoms.fields import smooth_noise

DATASET = "chest-ct-phantom"
RANGE = (0.0, 1.0)
QUICK = {"n": 24, "size": 64, "slices": 6}
HU_WINDOW = (-1024.0, 1024.0)
FIELD_MM = 360.0

DIALS: tuple[Dial, ...] = (
    Dial(
        "vessels",
        "1",
        1.0,
        0.0,
        2.5,
        "Factor on the number of vessels, 18 a lung: more fine detail to restore.",
        "chosen; at 0 nothing finer than organs tells methods apart",
        null=0.0,
    ),
    Dial(
        "calibre",
        "1",
        1.0,
        0.5,
        2.5,
        "Factor on the vessels' width, 1.2 to 3.2 px of 256: wider ones survive degradation.",
        "chosen so that most vessels are narrower than the 4 px of a low-resolution pixel",
    ),
    Dial(
        "texture",
        "HU",
        25.0,
        0.0,
        80.0,
        "Standard deviation of the lung tissue's fine texture.",
        "chosen: the paper prints no texture",
        null=0.0,
    ),
    Dial(
        "noise",
        "1",
        1.0,
        0.0,
        4.0,
        "Factor on the scanner's noise, 8 to 25 HU by patient: a lower dose.",
        "chosen; the paper prints no dose",
        null=0.0,
    ),
    Dial(
        "nodules",
        "share",
        0.5,
        0.0,
        1.0,
        "Share of slices with a nodule of 2 to 8 px radius (of 256) and -300 to 60 HU.",
        "chosen; the paper's scans come from a collection of nodules",
        null=0.0,
    ),
    Dial(
        "specks",
        "share",
        0.7,
        0.0,
        1.0,
        "Share of slices with dense specks of 800 to 2,500 HU, which set the slice's maximum.",
        "chosen so that scaling each slice by its extremes changes its grey levels",
        null=0.0,
    ),
    Dial(
        "patient",
        "1",
        1.0,
        0.0,
        2.0,
        "Patients differ more in body, lungs, vessels and noise; at 0 slices of two patients are "
        "as alike as those of one.",
        "chosen; the paper gives no number of patients behind its slices",
        null=0.0,
    ),
)


def draw(
    n: int,
    seed: int,
    *,
    slices: int = 6,
    vessels: float = 1.0,
    calibre: float = 1.0,
    texture: float = 25.0,
    noise: float = 1.0,
    nodules: float = 0.5,
    specks: float = 0.7,
    patient: float = 1.0,
) -> pd.DataFrame:
    """Draw the parameters of every slice; see :func:`phantom`.

    Returns:
        One row a slice: case, cluster (patient), body_wide, body_deep, fat, lung_size (factor),
        tilt (radians), parenchyma, texture, noise (HU), calibre, vessels (a lung), level (0 top to
        1 base), nodule, nodule_px (of 256), nodule_hu, specks (number), speck_hu, seed.
    """
    rng = stream(seed, DATASET)
    # effects of the patient from -1 to 1, the same for all its slices
    effect = patient * rng.uniform(-1, 1, (n, 9))
    who = np.repeat(np.arange(n), slices)
    m, e = len(who), effect[who]
    number = np.arange(m) % slices
    dotted = rng.random(m) < specks
    return pd.DataFrame(
        {
            "case": [f"patient-{p:03d}-slice-{i}" for p, i in zip(who, number, strict=True)],
            "cluster": [f"patient-{p:03d}" for p in who],
            "body_wide": np.clip(0.84 + 0.06 * e[:, 0], 0.7, 0.93),
            "body_deep": np.clip(0.615 + 0.065 * e[:, 1], 0.5, 0.75),
            "fat": 0.06 + 0.025 * e[:, 2],
            "lung_size": 1.06 + 0.08 * e[:, 3],
            "tilt": 0.14 + 0.07 * e[:, 4],
            "parenchyma": -860 + 35 * e[:, 5],
            "texture": texture * np.exp(0.2 * e[:, 6]),
            "noise": noise * 14.1 * np.exp(0.57 * e[:, 7]),
            "calibre": calibre * np.exp(0.15 * e[:, 8]),
            "vessels": np.round(vessels * (18 + 4 * e[:, 8])).astype(int),
            "level": (number + rng.uniform(0, 1, m)) / slices,
            "nodule": rng.random(m) < nodules,
            "nodule_px": rng.uniform(2, 8, m),
            "nodule_hu": rng.uniform(-300, 60, m),
            "specks": np.where(dotted, rng.integers(1, 4, m), 0),
            "speck_hu": rng.uniform(800, 2500, m),
            "seed": case_seeds(m, rng),
        }
    )


def render(row: Mapping[str, Any], *, size: int = 128) -> Case:
    """Render one slice from its row; the same row gives the same bits.

    Args:
        row: one row of :func:`draw`.
        size: side (pixels).

    Returns:
        The sharp slice, -1024 to 1024 HU scaled to [0, 1], without target; ``info`` holds ``hu``
        (before clipping) and the masks ``lungs``, ``vessels`` and ``nodule``.
    """
    body, scanner = np.random.default_rng(int(row["seed"])).spawn(2)
    found = anatomy(row, size, body)
    # filtered back-projection correlates the noise of neighbouring pixels
    hu = found.hu + row["noise"] * smooth_noise((size, size), 0.5, scanner)
    low, high = HU_WINDOW
    image = (np.clip(hu, low, high) - low) / (high - low)
    return Case(
        case=row["case"],
        cluster=row["cluster"],
        image=image[None].astype(np.float32),
        target={},
        spacing_mm=(FIELD_MM / size, FIELD_MM / size),
        info={
            "hu": hu.astype(np.float32),
            "lungs": found.lungs,
            "vessels": found.vessels,
            "nodule": found.nodule,
        },
    )


def phantom(
    n: int,
    seed: int,
    *,
    size: int = 128,
    slices: int = 6,
    vessels: float = 1.0,
    calibre: float = 1.0,
    texture: float = 25.0,
    noise: float = 1.0,
    nodules: float = 0.5,
    specks: float = 0.7,
    patient: float = 1.0,
) -> Cases:
    """Make axial slices of the chest.

    1. a patient has a body of semi-axes 0.84 +- 0.06 and 0.615 +- 0.065 half-widths, a layer of
       fat, lungs of its own size and tilt, parenchyma of -860 +- 35 HU, vessels and noise
       (sd 8 to 25 HU), all +- times ``patient``;
    2. its slices lie evenly from top (trachea, small heart) to base (bronchi, large heart);
    3. vessels: tapering random walks from each hilum, 18 a lung, 1.2 to 3.2 px of 256 wide, and
       dots where others pass through the slice; 45 HU;
    4. ribs (350 to 700 HU), spine, sternum, aorta, couch; a nodule in a share ``nodules``; specks
       of 800 to 2,500 HU in a share ``specks``;
    5. noise; HU clipped to -1024 to 1024 and scaled to [0, 1], as the paper does (Section 4.1).

    Args:
        n: patients.
        seed: seed of the phantom.
        size: side (pixels); the paper's is 512.
        slices: of each patient; 9,336 for training and 919 for tests are printed, of an unknown
            number of patients.
        vessels: see :data:`DIALS`.
        calibre: see :data:`DIALS`.
        texture: see :data:`DIALS`.
        noise: see :data:`DIALS`.
        nodules: see :data:`DIALS`.
        specks: see :data:`DIALS`.
        patient: see :data:`DIALS`.

    Returns:
        Cases with image (1, size, size) and no target.

    Raises:
        ValueError: a dial is outside its range, there is no slice, or the side is below 48.
    """
    dials = {
        "vessels": vessels,
        "calibre": calibre,
        "texture": texture,
        "noise": noise,
        "nodules": nodules,
        "specks": specks,
        "patient": patient,
    }
    check(DIALS, dials)
    if size < 48 or slices < 1:
        raise ValueError(
            f"`size` must be at least 48 and `slices` 1, got {size!r} and {slices!r}. Raise them."
        )
    return Cases(draw(n, seed, slices=slices, **dials), partial(render, size=size))
