"""Phantom of chest radiographs with lung masks: normal, other pneumonia, COVID-19.

It stands in for the pool of COVID-QU-Ex from which an active learner chooses; the lung mask is
the auxiliary modality. One patient has one image.
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
from common.phantoms.draws import case_seeds, classes, stream
from common.phantoms.fields import Field, band_noise, smooth_noise
from common.phantoms.shapes import soft, tube
from common.phantoms.vessels import draw as draw_vessels, tree

DATASET = "chest-xray-phantom"
CLASSES = ("normal", "non-COVID", "COVID")
RANGE = (0.0, 1.0)
QUICK = {"n": 360, "size": 64}
NORMAL, OTHER, COVID = range(3)
_SHARES = (1456, 1457, 2913)
# mean of each shape parameter, in units of the half image, and its spread between patients
_SHAPE = {
    "lung_width": (0.40, 0.03),
    "lung_height": (0.74, 0.05),
    "lung_place": (0.45, 0.025),
    "dome": (0.46, 0.07),
    "heart": (0.34, 0.035),
    "lean": (0.0, 0.04),
}
_DENSITY = {OTHER: 0.42, COVID: 0.27}

DIALS: tuple[Dial, ...] = (
    Dial(
        "opacity",
        "1",
        1.0,
        0.0,
        1.5,
        "Multiplies the density of all opacities; at 0 no class can be told from another.",
        "chosen so that opaque lung nears the soft tissue; measured on 20 released images of sick "
        "lungs: median grey level 0.49 in the lung, 0.59 outside",
        null=0.0,
    ),
    Dial(
        "extent",
        "share",
        0.3,
        0.05,
        0.8,
        "Mean share of the lung that opacities cover in COVID-19; half of it in others.",
        "chosen: a mean of the radiographs of admitted patients is not printed",
    ),
    Dial(
        "aux_informativeness",
        "1",
        1.0,
        0.0,
        1.0,
        "Lung masks follow the patient's own lungs; at 0 all patients have one mask.",
        "1 is an expert's outline of the image itself",
        null=0.0,
    ),
    Dial(
        "rarity",
        "1",
        1.0,
        0.0,
        1.0,
        "Each sick class has a common and a rare pattern: 9 to 1, at 0 equally many.",
        "chosen so that a random sample of 100 images holds few of a rare pattern",
        null=0.0,
    ),
    Dial(
        "exposure_shift",
        "1",
        0.2,
        0.0,
        0.6,
        "Standard deviation of the log gamma of the grey curve between patients.",
        "measured on 20 released images: mean grey level outside the lung varies by 0.105",
        null=0.0,
    ),
    Dial(
        "noise",
        "1",
        0.02,
        0.0,
        0.2,
        "Standard deviation of the detector's noise.",
        "chosen so that ribs and vessels stay visible; no number is printed",
        null=0.0,
    ),
)


def draw(
    n: int,
    seed: int,
    *,
    opacity: float = 1.0,
    extent: float = 0.3,
    aux_informativeness: float = 1.0,
    rarity: float = 1.0,
    exposure_shift: float = 0.2,
    noise: float = 0.02,
) -> pd.DataFrame:
    """Draw the parameters of every image; see :func:`phantom` for the arguments.

    Returns:
        One row an image: case, cluster, label, rare, extent, side, shape, exposure, seed.
    """
    rng = stream(seed, DATASET, "patients")
    label = classes(n, _SHARES, rng)
    mean = np.select([label == COVID, label == OTHER], [extent, extent / 2], 0.0)
    shape = {name: mid + sd * rng.standard_normal(n) for name, (mid, sd) in _SHAPE.items()}
    names = [f"x{i:04d}" for i in range(1, n + 1)]
    return pd.DataFrame(
        {
            "case": names,
            "cluster": names,
            "label": label,
            "rare": (rng.random(n) < 0.5 - 0.4 * rarity) & (label != NORMAL),
            "extent": (mean * rng.gamma(6.0, 1 / 6, n)).clip(0.0, 0.9),
            "side": rng.choice([-1, 1], n),
            **shape,
            "gamma": np.exp(exposure_shift * rng.standard_normal(n)),
            "opacity": opacity,
            "aux_informativeness": aux_informativeness,
            "noise": noise,
            "seed": case_seeds(n, rng),
        }
    )


def render(row: Mapping[str, Any], *, size: int) -> Case:
    """Render one radiograph from its row.

    Args:
        row: from :func:`draw`.
        size: height and width (px).

    Returns:
        Image (1, size, size) in [0, 1], dense is bright; targets ``label`` and ``mask``, the lung
        mask (bool); ``info`` has ``opacity`` (bool), what the disease covers, ``lung``, the true
        lungs, and ``rare``.
    """
    rng = np.random.default_rng(row["seed"])
    own = {name: float(row[name]) for name in _SHAPE}
    depth = _lungs(own, size)
    lung = depth > 0
    image = _chest(own, depth, rng)
    density, covered = _disease(row, lung, rng)
    image += row["opacity"] * density * soft(depth, 2.0)
    image = scanner.blur(image, 0.5).clip(0.0, 1.0) ** row["gamma"]
    image = scanner.gaussian(image, row["noise"], rng)
    keep = row["aux_informativeness"]
    seen = {name: keep * own[name] + (1 - keep) * mid for name, (mid, _) in _SHAPE.items()}
    return Case(
        case=row["case"],
        cluster=row["cluster"],
        image=scanner.quantise(image)[None],
        target={"label": int(row["label"]), "mask": _lungs(seen, size) > 0},
        info={"opacity": covered, "lung": lung, "rare": bool(row["rare"])},
    )


def _plane(size: int) -> tuple[Field, Field]:
    """Rows and columns from -1 to 1, as open arrays."""
    axis = ((np.arange(size) + 0.5) * 2 / size - 1).astype(np.float32)
    return axis[:, None], axis[None, :]


def _lungs(shape: Mapping[str, float], size: int) -> Field:
    """Draw both lungs: an ellipse each, cut by diaphragm, spine and heart; depth in pixels."""
    y, x = _plane(size)
    depth = np.full((size, size), -float(size), np.float32)
    for side in (-1, 1):
        across = side * (x - shape["lean"]) - shape["lung_place"]
        reach = (np.abs(across) / shape["lung_width"]) ** 2.4
        reach = reach + (np.abs(y + 0.05) / shape["lung_height"]) ** 2.4
        oval = (1 - reach ** (1 / 2.4)) * shape["lung_width"]
        dome = shape["dome"] - 0.05 * (side < 0) + 0.9 * np.maximum(across + 0.06, 0) ** 2
        cut = np.minimum(oval, dome - y)
        cut = np.minimum(cut, side * (x - shape["lean"]) - 0.11)
        depth = np.maximum(depth, (cut * size / 2).astype(np.float32))
    return np.minimum(depth, -_heart(shape, size))


def _heart(shape: Mapping[str, float], size: int) -> Field:
    """Draw the heart's shadow, more to the patient's left; depth in pixels."""
    y, x = _plane(size)
    reach = np.hypot((x - shape["lean"] - 0.12) / shape["heart"], (y - 0.32) / 0.27)
    return ((1 - reach) * shape["heart"] * size / 2).astype(np.float32)


def _chest(shape: Mapping[str, float], lung: Field, rng: np.random.Generator) -> Field:
    """Compose a healthy chest: soft tissue, bones, heart, lungs with their vessels."""
    size = len(lung)
    y, x = _plane(size)
    centre = x - shape["lean"]
    torso = np.minimum(1.02 - np.abs(centre) ** 3, y + 1.05 - 0.55 * np.abs(centre) ** 1.5)
    neck = np.minimum(0.24 - np.abs(centre), 1.5 - np.abs(y))
    body = soft(np.maximum(torso - 0.12, neck) * size / 2, 0.08 * size)
    image = body * (0.6 + 0.1 * np.exp(-((centre / 0.3) ** 2)) + 0.06 * y)
    image += 0.05 * soft(_heart(shape, size), 0.1 * size)
    image += 0.04 * smooth_noise(lung.shape, 0.08 * size, rng)
    image -= 0.29 * soft(lung, 0.05 * size) * (1 - 0.25 * np.clip(y + 0.1, 0, 1))
    image += 0.09 * _vessels(shape, lung, rng)
    image += 0.07 * body * _ribs(shape, size, rng) + 0.06 * body * _spine(centre, y)
    bars = [
        [((0.3 - 0.06) * size / 2, (1 + side * 0.08) * size / 2), (0.2 * size / 2, end * size / 2)]
        for side, end in ((-1, 0.2), (1, 1.8))
    ]
    for bar in bars:
        image += 0.08 * soft(tube((size, size), bar, 0.022 * size))
    return image.astype(np.float32)


def _spine(centre: Field, y: Field) -> Field:
    return np.exp(-((centre / 0.09) ** 4)) * (0.8 + 0.2 * np.cos(2 * np.pi * y / 0.16))


def _ribs(shape: Mapping[str, float], size: int, rng: np.random.Generator) -> Field:
    """Draw ribs behind and, fainter, before the lungs."""
    y, x = _plane(size)
    away = np.abs(x - shape["lean"])
    rise = rng.uniform(-0.05, 0.05)
    behind = y - 0.45 * away**2 + 0.1 * away + rise
    before = y + 0.1 * away - 0.9 * np.clip(0.9 - away, 0, 1) ** 2 - rise
    found = np.zeros((size, size), np.float32)
    for place, weight in ((behind, 1.0), (before, 0.55)):
        wave = np.cos(2 * np.pi * place / 0.19)
        found += weight * np.clip(3 * (wave - 0.55), 0, 1)
    return found * (away > 0.12) * (away < 0.88)


def _vessels(shape: Mapping[str, float], lung: Field, rng: np.random.Generator) -> Field:
    """Draw lung vessels that spread from both hila."""
    size = len(lung)
    pieces = []
    for side in (-1, 1):
        for slope in (-0.9, 0.0, 0.9):
            start = (0.5 * size, (1 + shape["lean"] + side * 0.16) * size / 2)
            pieces += tree(
                start,
                (slope, side),
                rng=rng,
                length=0.22 * size,
                radius=0.014 * size,
                levels=2,
                wander=0.1,
                step=0.11 * size,
            )
    return soft(draw_vessels((size, size), pieces)) * soft(lung)


def _disease(
    row: Mapping[str, Any], lung: NDArray[np.bool_], rng: np.random.Generator
) -> tuple[Field, NDArray[np.bool_]]:
    """Place opacities on the most likely share of the lung; nothing in normal patients."""
    size = len(lung)
    y, x = _plane(size)
    kind = row["label"]
    patch = smooth_noise(lung.shape, 0.07 * size, rng)
    lines = band_noise(lung.shape, 0.008 * size + 0.3, 0.03 * size + 0.6, rng)
    spot = rng.uniform(-0.4, 0.4), row["side"] * rng.uniform(0.35, 0.55)
    covered = np.zeros(lung.shape, bool)
    n = round(row["extent"] * np.count_nonzero(lung))
    if kind == NORMAL or n == 0:
        return np.zeros(lung.shape, np.float32), covered
    if kind == OTHER:
        lobe = -3 * np.hypot(y - spot[0], x - spot[1]) + 0.12 * patch
        score = patch if row["rare"] else lobe
    else:
        score = 1.6 * np.abs(x) + 1.2 * y + 0.6 * patch
        score = score + (2.0 * row["side"] * x if row["rare"] else 0.0)
    score = np.where(lung, score, -np.inf)
    covered.flat[np.argpartition(-score, n - 1, axis=None)[:n]] = True
    cover = scanner.blur(covered.astype(np.float32), 0.02 * size) * lung
    if kind == OTHER and row["rare"]:
        uneven = 0.45 + 0.45 * lines
    else:
        uneven = 1 + 0.15 * patch + (0.1 if kind == COVID else 0.0) * lines
    return (_DENSITY[kind] * cover * uneven.clip(0, 2)).astype(np.float32), covered


def phantom(
    n: int,
    seed: int,
    *,
    size: int = 64,
    opacity: float = 1.0,
    extent: float = 0.3,
    aux_informativeness: float = 1.0,
    rarity: float = 1.0,
    exposure_shift: float = 0.2,
    noise: float = 0.02,
) -> Cases:
    """Generate chest radiographs; each of ``n`` patients has one case.

    1. Class: normal, non-COVID and COVID in the published proportions 1,456 to 1,457 to 2,913.
    2. Lungs: two ovals |x / w|^2.4 + |y / h|^2.4 < 1, cut by the domes of the diaphragm, the
       mediastinum and the heart; their widths, heights and places vary between patients.
    3. Chest: soft tissue, spine, ribs behind and before, collar bones, heart, lung vessels.
    4. Opacities cover the share of the lung (gamma distributed, mean ``extent``) with the highest
       score: outer and lower parts of both lungs in COVID-19 (rarely of one lung), one round lobe
       in others (rarely fine lines everywhere).
    5. Film: blur, value ** gamma with log gamma N(0, ``exposure_shift``), noise, 256 levels.
    6. Mask: the lungs' outline, its shape parameters drawn towards the mean ones by
       1 - ``aux_informativeness``.

    Args:
        n: number of patients.
        seed: seed of the phantom.
        size: height and width (px); the published images have 256.
        opacity: see :data:`DIALS`, as all that follow.
        extent: covered share of the lung.
        aux_informativeness: masks of the patient's own lungs.
        rarity: common and rare patterns.
        exposure_shift: grey curve.
        noise: detector's noise.

    Returns:
        Cases in the order of patients.

    Raises:
        ValueError: a dial is out of its range.
    """
    dials = {
        "opacity": opacity,
        "extent": extent,
        "aux_informativeness": aux_informativeness,
        "rarity": rarity,
        "exposure_shift": exposure_shift,
        "noise": noise,
    }
    check(DIALS, dials)
    return Cases(draw(n, seed, **dials), partial(render, size=size))
