"""Phantom of photographs of pigmented lesions, made of three chromophores that are known.

Each pixel's absorbance is a mixture of oxyhaemoglobin, deoxyhaemoglobin and melanin; short vertical
zones outside the lesion hold a single one of them, which is what blind separation starts from.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common.datasets.cases import Case, Cases
from common.phantoms.dials import Dial, check
from common.phantoms.draws import case_seeds, classes, stream
from common.phantoms.fields import smooth_noise
from common.phantoms.noise import quantise
from common.phantoms.shapes import blob, harmonics, soft, tube
from common.phantoms.stains import transmit
from common.phantoms.vessels import walk

DATASET = "skin-lesion-phantom"
CLASSES = ("naevus", "melanoma")
COUNTS = (51, 34)
CHROMOPHORES = ("oxyhaemoglobin", "deoxyhaemoglobin", "melanin")
MIXING = np.array([[0.1, 0.6, 0.3], [2.0, 1.3, 0.6], [1.0, 1.0, 1.0]])  # rows red, green, blue
RANGE = (0.0, 1.0)
QUICK = {"n": 85, "size": 64}

_IRREGULAR = (0.08, 0.18)  # standard deviation of the relative radius, by class
DIALS = (
    Dial(
        "gap",
        "1",
        0.35,
        0.0,
        1.5,
        "How much more melanin a melanoma has than a naevus; at 0 colour says nothing of the "
        "class.",
        "chosen; the two MED-NODE images at hand differ by 0.6",
        0.0,
    ),
    Dial(
        "msd",
        "1",
        0.15,
        0.0,
        1.0,
        "Standard deviation of the lesions' melanin within a class.",
        "chosen so that the classes overlap",
        0.0,
    ),
    Dial(
        "hb",
        "1",
        1.0,
        0.0,
        4.0,
        "Largest amount of haemoglobin in a lesion; it varies from lesion to lesion without regard "
        "to the class and hides melanin in every single band.",
        "chosen; 0.1 and 0.9 in the two MED-NODE images at hand",
        0.0,
    ),
    Dial(
        "zones",
        "1",
        6.0,
        0.0,
        12.0,
        "Zones of each chromophore alone; at 0 the assumption of separation by sparse components "
        "does not hold anywhere by design.",
        "chosen: the paper assumes that there are some",
        0.0,
    ),
    Dial(
        "zone_length",
        "px",
        16.0,
        2.0,
        256.0,
        "Height of a zone, to be compared with the length of the slices that are searched.",
        "chosen: a quarter of a 64 px image",
    ),
    Dial(
        "floor",
        "share",
        0.0,
        0.0,
        1.0,
        "Share of the other two chromophores that is left in a zone; at 1 only the extra amount of "
        "its own is left.",
        "chosen: the paper's equations 6 to 8 assume none",
        0.0,
    ),
    Dial(
        "mis",
        "1",
        0.0,
        0.0,
        1.0,
        "Standard deviation of the log of each entry of the mixing matrix, image by image.",
        "chosen: one camera took all of the paper's images",
        0.0,
    ),
    Dial(
        "illum",
        "1",
        0.0,
        0.0,
        1.0,
        "Standard deviation of an amount added to the absorbance of a whole image, as less light "
        "does.",
        "chosen: the paper names no white reference",
        0.0,
    ),
    Dial(
        "hair",
        "1",
        0.0,
        0.0,
        40.0,
        "Mean number of dark hairs.",
        "the paper left out images with much hair",
        0.0,
    ),
)


def draw(
    n: int,
    seed: int,
    *,
    gap: float = 0.35,
    msd: float = 0.15,
    hb: float = 1.0,
    zones: float = 6.0,
    zone_length: float = 16.0,
    floor: float = 0.0,
    mis: float = 0.0,
    illum: float = 0.0,
    hair: float = 0.0,
) -> pd.DataFrame:
    """Draw the parameters of every image; see :func:`phantom`.

    Returns:
        One row an image: case, cluster (the image itself), label, melanin and haemoglobin (added
        in the lesion), oxygen (share of the haemoglobin), irregular, zones, zone_length, floor,
        mis, dim (added absorbance), hairs, seed.
    """
    rng = stream(seed, DATASET, "lesions")
    label = classes(n, COUNTS, stream(seed, DATASET, "classes"))
    melanin = 0.6 + gap * label + msd * rng.standard_normal(n)
    names = [f"lesion-{i:05d}" for i in range(n)]
    return pd.DataFrame(
        {
            "case": names,
            "cluster": names,
            "label": label,
            "melanin": np.maximum(melanin, 0.2),
            "haemoglobin": hb * rng.random(n),
            "oxygen": rng.uniform(0.0, 0.5, n),
            "irregular": np.array(_IRREGULAR)[label],
            "zones": round(zones),
            "zone_length": round(zone_length),
            "floor": floor,
            "mis": mis,
            "dim": illum * rng.standard_normal(n),
            "hairs": stream(seed, DATASET, "hairs").poisson(hair, n),
            "seed": case_seeds(n, rng),
        }
    )


def render(row: Mapping[str, Any], *, size: int = 64) -> Case:
    """Render one image from its row; the same row gives the same bits.

    Args:
        row: one row of :func:`draw`.
        size: side (pixels).

    Returns:
        The photograph with targets ``label`` and ``mask`` (the lesion); ``info`` holds ``sources``
        (3, size, size; in the order of :data:`CHROMOPHORES`), ``mixing`` (3, 3; rows red, green,
        blue), ``zones`` (codes: 0 none, 1 to 3 for each chromophore) and ``hair`` (mask).
    """
    outline, fields, place, camera = np.random.default_rng(int(row["seed"])).spawn(4)
    cover = soft(_lesion(size, float(row["irregular"]), outline), size / 40)
    sources = _sources(row, cover, fields)
    codes = _add_zones(row, sources, cover, place)
    mixing = MIXING * np.exp(float(row["mis"]) * camera.standard_normal((3, 3)))
    image = transmit(sources, mixing.T, np.full(3, np.exp(-float(row["dim"]))))
    hair = _hair(int(row["hairs"]), size, place)
    image = image * (1 - 0.8 * hair)
    return Case(
        case=row["case"],
        cluster=row["cluster"],
        image=quantise(image),
        target={"label": int(row["label"]), "mask": cover > 0.5},
        info={"sources": sources, "mixing": mixing, "zones": codes, "hair": hair > 0.5},
    )


def _lesion(size: int, irregular: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw a star-shaped lesion; its area is the same whatever its outline."""
    a, b = harmonics(8, irregular, rng, decay=1.2)
    radius = float(0.27 * size / np.sqrt(1 + 0.5 * (a @ a + b @ b)))
    centre = (size - 1) / 2 + 0.03 * size * rng.standard_normal(2)
    return blob((size, size), centre, radius, cosines=a, sines=b)


def _sources(
    row: Mapping[str, Any], cover: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Draw the amounts of the three chromophores in skin and lesion."""
    size = len(cover)
    field = [
        np.clip(0.5 + 0.22 * smooth_noise(cover.shape, size / 10, rng), 0, 1) for _ in range(4)
    ]
    lines = 1 + 0.05 * smooth_noise(cover.shape, size / 64, rng)
    blood = float(row["haemoglobin"]) * cover * (0.8 + 0.4 * field[0])
    oxygen = float(row["oxygen"])
    network = 1 + 0.06 * smooth_noise(cover.shape, size / 40, rng)
    pigment = float(row["melanin"]) * cover * (0.8 + 0.4 * field[3]) * network
    amounts = (
        0.02 + 0.06 * field[0] + oxygen * blood,
        0.03 + 0.08 * field[1] + (1 - oxygen) * blood,
        (0.52 + 0.20 * field[2]) * lines + pigment,
    )
    return np.stack(amounts).astype(np.float32)


def _add_zones(
    row: Mapping[str, Any],
    sources: NDArray[np.float32],
    cover: NDArray[np.float32],
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """Replace vertical runs of pixels outside the lesion by one chromophore each, in place."""
    codes = np.zeros(cover.shape, np.uint8)
    size, length = len(cover), min(int(row["zone_length"]), len(cover))
    free = cover == 0
    for kind in np.repeat(np.arange(3), int(row["zones"])):
        for _ in range(50):
            top, column = rng.integers(size - length + 1), rng.integers(size)
            run = (slice(top, top + length), column)
            if free[run].all():
                free[run] = False
                codes[run] = kind + 1
                others = np.arange(3) != kind
                sources[(others, *run)] *= float(row["floor"])
                level = rng.uniform(0.8, 1.2) * (1 + 0.02 * rng.standard_normal(length))
                sources[(kind, *run)] = np.maximum(level, sources[(kind, *run)])
                break
    return codes


def _hair(n: int, size: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw nearly straight hairs from any place in any direction."""
    cover = np.zeros((size, size), np.float32)
    for _ in range(n):
        start, ahead = rng.uniform(0, size, 2), rng.standard_normal(2)
        path = walk(start, ahead, 12, step=size / 16, wander=0.08, rng=rng)
        inside = np.all((path >= 0) & (path < size), axis=1)
        last = len(path) if inside.all() else max(1, int(np.argmin(inside)))
        hair = soft(tube(cover.shape, path[:last], 0.004 * size + 0.25))
        np.maximum(cover, hair, out=cover)
    return cover


def phantom(
    n: int,
    seed: int,
    *,
    size: int = 64,
    gap: float = 0.35,
    msd: float = 0.15,
    hb: float = 1.0,
    zones: float = 6.0,
    zone_length: float = 16.0,
    floor: float = 0.0,
    mis: float = 0.0,
    illum: float = 0.0,
    hair: float = 0.0,
) -> Cases:
    """Make photographs of pigmented lesions, one image each.

    1. classes as printed: 51 naevi and 34 melanomas of 85;
    2. skin: oxyhaemoglobin 0.02 + 0.06 f, deoxyhaemoglobin 0.03 + 0.08 f, melanin 0.52 + 0.20 f
       with smooth fields f in [0, 1]: the colour of skin in the two MED-NODE images at hand;
    3. lesion: star-shaped, of the area of a disc of radius 0.27 of the side, whose outline varies
       by 0.08 (naevus) or 0.18 (melanoma); melanin + max(0.2, 0.6 + ``gap`` class + ``msd`` z)
       and haemoglobin ``hb`` U(0, 1), of which U(0, 0.5) is oxygenated;
    4. ``zones`` vertical runs of ``zone_length`` px outside the lesion for each chromophore: about
       1 of it, and ``floor`` times what was there of the others;
    5. light I = exp(-M s - d) in red, green and blue; the entries of M vary by exp(N(0, ``mis``)),
       d ~ N(0, ``illum``); Poisson(``hair``) hairs; 8 bits.

    Args:
        n: images, each of one lesion and, as far as is known, one patient.
        seed: seed of the phantom.
        size: side (pixels).
        gap: see :data:`DIALS`.
        msd: see :data:`DIALS`.
        hb: see :data:`DIALS`.
        zones: see :data:`DIALS` (rounded to a whole number).
        zone_length: see :data:`DIALS` (rounded).
        floor: see :data:`DIALS`.
        mis: see :data:`DIALS`.
        illum: see :data:`DIALS`.
        hair: see :data:`DIALS`.

    Returns:
        Cases with image (3, size, size) in [0, 1], targets label (0 or 1) and mask.

    Raises:
        ValueError: a dial is outside its range, or ``size`` is below 32.
    """
    dials = {
        "gap": gap,
        "msd": msd,
        "hb": hb,
        "zones": zones,
        "zone_length": zone_length,
        "floor": floor,
        "mis": mis,
        "illum": illum,
        "hair": hair,
    }
    check(DIALS, dials)
    if size < 32:
        raise ValueError(f"`size` must be at least 32, got {size!r}. Zones would not fit.")
    return Cases(draw(n, seed, **dials), partial(render, size=size))
