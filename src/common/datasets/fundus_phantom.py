"""Phantom of colour fundus photographs: healthy eyes and one of three diseases.

Diabetic retinopathy adds small dark and bright spots by grade, macular degeneration soft yellow
drusen, glaucoma a wider cup and less fine texture. Lengths are relative to the radius of the field.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import rotate

from common.datasets.cases import Case, Cases
from common.datasets.fundus_phantom_eye import Eye, eye, paint, spots
from common.phantoms.dials import Dial, check
from common.phantoms.draws import case_seeds, classes, stream
from common.phantoms.noise import gaussian, quantise

DATASET = "fundus-phantom"
CLASSES = ("normal", "disease")
COUNTS = {"dr": (1_805, 1_857), "amd": (311, 89), "glaucoma": (482, 168)}
GRADES = (0.20, 0.54, 0.10, 0.16)  # of diabetic retinopathy, 1 to 4
SITES = ("s0", "s1", "s2")
RANGE = (0.0, 1.0)
QUICK = {"n": 200, "size": 96}

DIALS = (
    Dial(
        "strength",
        "1",
        1.0,
        0.0,
        3.0,
        "Factor on everything that the disease changes: number of spots and drusen, cup, texture; "
        "at 0 diseased eyes look healthy.",
        "at 1 the class medians of the Betti curves differ about as the paper prints: twice the "
        "loops in retinopathy (1.8 here), half the components in glaucoma (0.53 here, at 96 px)",
        0.0,
    ),
    Dial(
        "size_corr",
        "1",
        0.0,
        0.0,
        1.0,
        "Share of eyes whose image size follows the class, large for disease; of the others half "
        "are large. Acts only where `small_size` is given.",
        "chosen: the paper prints mixed sizes and does not say whether they go with the class",
        0.0,
    ),
    Dial(
        "noise",
        "1",
        0.012,
        0.0,
        0.2,
        "Standard deviation of the sensor's noise; it makes components and loops by itself.",
        "chosen: three grey levels",
        0.0,
    ),
    Dial(
        "rotation",
        "degrees",
        0.0,
        0.0,
        180.0,
        "Angle by which the scene is turned in front of the sensor.",
        "chosen: the photographs are upright",
        0.0,
    ),
    Dial(
        "cast",
        "1",
        0.05,
        0.0,
        0.5,
        "Standard deviation of each site's log gain of red, green and blue.",
        "chosen: sites are not printed",
        0.0,
    ),
)


def draw(
    n: int,
    seed: int,
    *,
    disease: str = "dr",
    size: int = 128,
    small_size: int | None = None,
    strength: float = 1.0,
    size_corr: float = 0.0,
    noise: float = 0.012,
    rotation: float = 0.0,
    cast: float = 0.05,
) -> pd.DataFrame:
    """Draw the parameters of every eye; see :func:`phantom`.

    Returns:
        One row an eye: case, cluster (the eye itself), site, label, grade, disease, size, cup
        (cup-to-disc ratio), texture (relative amplitude), n_dark, n_bright, n_drusen, gain_red,
        gain_green, gain_blue, noise, rotation, seed.
    """
    rng = stream(seed, DATASET, disease)
    label = classes(n, COUNTS[disease], stream(seed, DATASET, disease, "classes"))
    grade = label.copy()
    if disease == "dr":
        sick = np.flatnonzero(label)
        grade[sick] = 1 + classes(len(sick), GRADES, stream(seed, DATASET, "grades"))
    follows, coin = rng.random((2, n))
    large = np.where(follows < size_corr, label == 1, coin < 0.5)
    cup = 0.40 + 0.08 * rng.standard_normal(n)
    site = rng.integers(len(SITES), size=n)
    gains = np.exp(cast * stream(seed, DATASET, "sites").standard_normal((len(SITES), 3)))[site]
    seeds = case_seeds(n, rng)
    glaucoma = (disease == "glaucoma") * strength * label
    spot = stream(seed, DATASET, disease, "spots")
    dark = strength * (disease == "dr") * 6 * grade
    bright = strength * (disease == "dr") * 12 * np.maximum(0, grade - 0.5)
    names = [f"eye-{i:05d}" for i in range(n)]
    return pd.DataFrame(
        {
            "case": names,
            "cluster": names,
            "site": np.array(SITES)[site],
            "label": label,
            "grade": grade,
            "disease": disease,
            "size": np.where(large, size, size if small_size is None else small_size),
            "cup": np.clip(cup + 0.28 * glaucoma, 0.1, 0.92),
            "texture": np.clip(1 - 0.8 * glaucoma, 0, None),
            "n_dark": spot.poisson(dark),
            "n_bright": spot.poisson(bright),
            "n_drusen": spot.poisson(strength * (disease == "amd") * 18 * label),
            "gain_red": gains[:, 0],
            "gain_green": gains[:, 1],
            "gain_blue": gains[:, 2],
            "noise": noise,
            "rotation": rotation,
            "seed": seeds,
        }
    )


def render(row: Mapping[str, Any]) -> Case:
    """Render one eye from its row, which holds its size; the same row gives the same bits.

    Args:
        row: one row of :func:`draw`.

    Returns:
        The photograph; ``info`` holds ``field``, ``vessels``, ``disc`` and ``lesions`` (masks
        before any rotation) and ``cup`` (cup-to-disc ratio).
    """
    layout, lesions, texture, camera = np.random.default_rng(int(row["seed"])).spawn(4)
    scene = eye(int(row["size"]), float(row["cup"]), layout)
    found, image = _sick(row, scene, paint(scene, float(row["texture"]), texture), lesions)
    image *= np.array([[[row[f"gain_{name}"]]] for name in ("red", "green", "blue")], np.float32)
    if row["rotation"]:
        image = rotate(image, row["rotation"], axes=(1, 2), reshape=False, order=1, cval=0.0)
    image = quantise(gaussian(image, float(row["noise"]), camera))
    target = {"label": int(row["label"])}
    if row["disease"] == "dr":
        target["grade"] = int(row["grade"])
    return Case(
        case=row["case"],
        cluster=row["cluster"],
        image=image,
        target=target,
        site=row["site"],
        info={
            "field": scene.field > 0.5,
            "vessels": scene.vessels > 0.5,
            "disc": scene.disc > 0.5,
            "lesions": found > 0.5,
            "cup": float(row["cup"]),
        },
    )


def _sick(
    row: Mapping[str, Any], scene: Eye, image: NDArray[np.float32], rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Add dark spots, exudates and drusen: where they are, and the image with them."""
    found = np.zeros(image.shape[1:], np.float32)
    kinds = (
        ("n_dark", (0.012, 0.035), (0.55, 0.45, 0.6), 0.0, 1.0),
        ("n_bright", (0.015, 0.045), (0.95, 0.85, 0.35), 0.3, 1.0),
        ("n_drusen", (0.03, 0.07), (0.95, 0.70, 0.33), 0.25, 3.0),
    )
    for name, radii, colour, near, edge in kinds:
        cover = spots(scene, int(row[name]), radii, near, edge, rng)
        paints = np.array(colour, np.float32)[:, None, None]
        target = image * paints if name == "n_dark" else paints * scene.light
        image = image * (1 - 0.85 * cover) + target * 0.85 * cover
        np.maximum(found, cover, out=found)
    return found, image.astype(np.float32)


def phantom(
    n: int,
    seed: int,
    *,
    disease: str = "dr",
    size: int = 128,
    small_size: int | None = None,
    strength: float = 1.0,
    size_corr: float = 0.0,
    noise: float = 0.012,
    rotation: float = 0.0,
    cast: float = 0.05,
) -> Cases:
    """Make fundus photographs, one for each patient.

    1. classes in the printed proportions (Table 1): retinopathy 1,857 of 3,662, macular
       degeneration 89 of 400, glaucoma 168 of 650; grades 1 to 4 of retinopathy as 0.20, 0.54,
       0.10, 0.16 (from memory of the public labels);
    2. eye: field of 0.96 of the half side, light falling off as the squared radius, base colour
       (0.62, 0.32, 0.14) with jitter, choroid of sd 0.035, fovea, optic disc of radius 0.16 with
       cup-to-disc ratio N(0.40, 0.08), vessels along two arcades and to the nose;
    3. retinopathy of grade g: Poisson(6 g) dark spots and Poisson(12 max(0, g - 0.5)) exudates;
       macular degeneration: Poisson(18) soft drusen near the fovea; glaucoma: cup + 0.28 and 80 %
       less fine speckle; all times ``strength``. Glaucoma has fewer components than normal eyes
       (grey levels 80 to 130), as printed, at 96 px; at 256 px it has more;
    4. each site multiplies the colours by exp(N(0, ``cast``)); turned by ``rotation``; noise of
       standard deviation ``noise``; 8 bits.

    Args:
        n: patients; one image each, so the image is also the independent unit.
        seed: seed of the phantom.
        disease: ``dr`` (retinopathy), ``amd`` (macular degeneration) or ``glaucoma``.
        size: side (pixels).
        small_size: side of the smaller images; where given, about half have it.
        strength: see :data:`DIALS`.
        size_corr: see :data:`DIALS`.
        noise: see :data:`DIALS`.
        rotation: see :data:`DIALS`.
        cast: see :data:`DIALS`.

    Returns:
        Cases with image (3, side, side) in [0, 1], target label (0 or 1) and for retinopathy grade
        (0-4).

    Raises:
        ValueError: a dial is outside its range, the disease is unknown, or a side is below 48.
    """
    dials = {
        "strength": strength,
        "size_corr": size_corr,
        "noise": noise,
        "rotation": rotation,
        "cast": cast,
    }
    check(DIALS, dials)
    if disease not in COUNTS:
        raise ValueError(f"`disease` must be one of {', '.join(COUNTS)}, got {disease!r}.")
    if min(size, small_size or size) < 48:
        raise ValueError(
            f"`size` must be at least 48, got {size!r} and {small_size!r}. Spots would vanish."
        )
    table = draw(n, seed, disease=disease, size=size, small_size=small_size, **dials)
    return Cases(table, render)
