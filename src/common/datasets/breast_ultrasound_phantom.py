"""Phantom of breast ultrasound for federated learning: three clients, a server, two scanners.

Stands in for BUSI (site A) and UDIAT (site B), dealt to the clients as the paper does or more
evenly.
"""

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common.datasets.breast_ultrasound_phantom_dials import DIALS
from common.datasets.cases import Case, Cases
from common.phantoms import dials, draws, fields, noise, shapes

DATASET = "breast-ultrasound-phantom"
CLASSES = ("benign", "malignant", "normal")
SITES = ("A", "B")
PARTS = ("client 1", "client 2", "client 3", "server")
RANGE = (0.0, 1.0)
QUICK = {"n": 275, "size": 48, "server": 0.37}
# images of each class at clients and server, and their sum over clients, as the paper prints them
ALLOCATION = ((400, 0, 50), (0, 200, 50), (110, 53, 0), (97, 23, 34))
_POOL = (510, 253, 100)
_SITE_B = (163 / 863, 163 / 943)
# median share of the image and spread of its log; chosen so that 8.1 % of the server's pixels are
# lesion, as the paper's sensitivity, specificity and accuracy imply
_AREA, _AREA_SD = {"benign": 0.06, "malignant": 0.11}, 0.8
_RANGE_DB = 50.0


def draw(
    n: int,
    seed: int,
    *,
    server: float,
    label_skew: float,
    site_skew: float,
    quantity_skew: float,
    site_gap: float,
    duplicates: float,
    overlap: float,
    contrast: float,
    enhancement: float,
    shadow: float,
    spiculation: float,
    lobules: float,
    speckle: float,
) -> pd.DataFrame:
    """Draw the parameters of every image; arguments as in :func:`phantom`.

    Returns:
        One row per image: case, cluster (the first image of the same scan), part, label, site,
        lesion (area, ratio of height to width, y, x, angle), lobules, speckle, gain, gamma,
        contrast, behind (change of amplitude behind the lesion), roughness, scene, seed.

    Raises:
        ValueError: there is no image, or the server's share is not in [0, 1).
    """
    if n < 1:
        raise ValueError(f"`n` must be at least 1, got {n!r}. Raise it.")
    if not 0 <= server < 1:
        raise ValueError(f"`server` must be in [0, 1), got {server!r}. It is a share of n.")
    table = _allocated(n, seed, server, label_skew, site_skew, quantity_skew)
    rng = draws.stream(seed, DATASET, "images")
    label, at_b = table["label"].to_numpy(), (table["site"] == "B").to_numpy() * site_gap
    median = np.array([_AREA["benign"], _AREA["malignant"], 0.0])[label] * (1 - 0.4 * at_b)
    table["area"] = np.clip(
        median * np.exp(_AREA_SD * rng.standard_normal(n)), 0.003 * (median > 0), 0.4
    )
    benign, malignant = (label == CLASSES.index(name) for name in ("benign", "malignant"))
    table["ratio"] = np.where(malignant, rng.uniform(0.8, 1.4, n), rng.uniform(0.5, 0.8, n))
    table["y"], table["x"] = rng.uniform(0.3, 0.55, n), rng.uniform(0.25, 0.75, n)
    table["angle"] = rng.uniform(-0.2, 0.2, n)
    table["roughness"] = np.where(malignant, spiculation, 0.04)
    table["behind"] = np.where(benign, enhancement, 0.0) - np.where(malignant, shadow, 0.0)
    table["contrast"] = contrast * np.exp(0.2 * rng.standard_normal(n))
    table["lobules"] = rng.poisson(lobules, n)
    table["speckle"] = speckle * (1 - 0.5 * at_b)
    table["gain"] = (1 - at_b) * rng.uniform(0.8, 1.1, n) + at_b * 0.75
    table["gamma"] = 1 + 0.5 * at_b
    table["scene"] = draws.case_seeds(n, rng)
    table["seed"] = draws.case_seeds(n, rng)
    return _repeated(table, duplicates, overlap, draws.stream(seed, DATASET, "repeats"))


def _allocated(
    n: int, seed: int, server: float, label_skew: float, site_skew: float, quantity_skew: float
) -> pd.DataFrame:
    """Deal images to parts, and classes and sites to the images of each part."""
    rng = draws.stream(seed, DATASET, "allocation")
    sizes = np.array([sum(row) for row in ALLOCATION[:3]]) ** quantity_skew
    n_server = round(server * n)
    counts = [*draws.allocate(n - n_server, sizes.tolist()), n_server]
    rows = []
    for part, count in enumerate(counts):
        own = np.array(ALLOCATION[part]) / sum(ALLOCATION[part])
        pool = np.array(_POOL) / sum(_POOL)
        at_server = part == len(PARTS) - 1
        shares = own if at_server else label_skew * own + (1 - label_skew) * pool
        at_b = _SITE_B[1] if at_server else site_skew * (part == 2) + (1 - site_skew) * _SITE_B[0]
        label = draws.classes(int(count), shares.tolist(), rng)
        site = draws.classes(int(count), [1 - at_b, at_b], rng)
        rows.append(pd.DataFrame({"part": PARTS[part], "label": label, "site": site}))
    table = pd.concat(rows, ignore_index=True)
    table["site"] = np.array(SITES)[table["site"].to_numpy(dtype=int)]
    names = [f"i{k:04d}" for k in range(n)]
    table.insert(0, "case", names)
    table.insert(1, "cluster", names)
    return table


def _repeated(
    table: pd.DataFrame, duplicates: float, overlap: float, rng: np.random.Generator
) -> pd.DataFrame:
    """Replace images by copies: with new noise anywhere, exactly at the server."""
    n = len(table)
    at_server = (table["part"] == "server").to_numpy()
    kind = (table["label"].astype(str) + table["site"]).to_numpy()
    label = table["label"].to_numpy()
    origin = np.arange(n)
    for k in np.flatnonzero(rng.random(n) < duplicates):
        earlier = np.flatnonzero(kind[:k] == kind[k])
        if len(earlier):
            origin[k] = origin[rng.choice(earlier)]
    shared = rng.permutation(np.flatnonzero(at_server))[: round(overlap * at_server.sum())]
    for k in shared:
        alike = np.flatnonzero(~at_server & (label == label[k]))
        if len(alike):
            origin[k] = rng.choice(alike)
    # a copy of a copy belongs to the first
    origin = origin[origin]
    copied = [name for name in table.columns if name not in ("case", "part", "seed")]
    exact = np.isin(np.arange(n), shared)
    for name in copied:
        table[name] = table[name].to_numpy()[origin]
    table["seed"] = np.where(exact, table["seed"].to_numpy()[origin], table["seed"])
    return table


def render(row: Mapping[str, Any], *, size: int) -> Case:
    """Render one image from its row; see :func:`phantom` for the steps.

    Args:
        row: from :func:`draw`.
        size: side of the image (px).

    Returns:
        Image (1, size, size), targets ``mask`` (size, size) bool and ``label`` (place in
        :data:`CLASSES`); site; info: ``part``.
    """
    tissue, probe = (
        np.random.default_rng(int(row["scene"])),
        np.random.default_rng(int(row["seed"])),
    )
    level = _layers(size, tissue)
    level = _with_lobules(level, int(row["lobules"]), tissue)
    mask = np.zeros((size, size), bool)
    if row["area"] > 0:
        level, mask = _with_lesion(level, row, tissue)
    grain = (max(0.5 * size / 128, 0.3), max(1.2 * size / 128, 0.45))
    flat = noise.speckle(np.ones((size, size), np.float32), probe, grain=grain)
    level = level + row["speckle"] * 20 * np.log10(np.maximum(flat, 1e-3))
    bright = np.clip(0.68 + level / _RANGE_DB, 0, 1) ** row["gamma"]
    image = np.clip(row["gain"] * bright, 0, 1).astype(np.float32)
    return Case(
        row["case"],
        row["cluster"],
        image[None],
        {"mask": mask, "label": int(row["label"])},
        site=row["site"],
        info={"part": row["part"]},
    )


def _layers(size: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw skin, fat, gland and muscle, with strands along them (dB)."""
    shape = (size, size)
    y, _ = shapes.grid(shape)
    wave = 0.02 * fields.smooth_noise(shape, (0.3 * size, 0.15 * size), rng)
    depth = y / size + wave
    ends = np.cumsum([0.05, rng.uniform(0.1, 0.22), rng.uniform(0.3, 0.42), 0.16])
    # skin, fat, gland, muscle, what lies behind
    levels = (4.0, -5.0, 0.0, -6.0, -14.0)
    strands = (0.5, 2.5, 4.0, 3.0, 2.0)
    fine = fields.smooth_noise(shape, (0.012 * size, 0.1 * size), rng)
    wide = fields.smooth_noise(shape, (0.05 * size, 0.12 * size), rng)
    level = np.full(shape, levels[0], np.float32)
    strength = np.full(shape, strands[0], np.float32)
    for end, low, strand in zip(ends, levels[1:], strands[1:], strict=True):
        below = np.clip((depth - end) / 0.02 + 0.5, 0, 1)
        level += below * (low - level)
        strength += below * (strand - strength)
    # a bright fascia before the muscle
    level += 5 * np.exp(-0.5 * ((depth - ends[2]) / 0.012) ** 2)
    return (level + strength * (0.8 * fine + 0.6 * wide)).astype(np.float32)


def _with_lobules(
    level: NDArray[np.float32], n: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Add dark lobules of fat with a bright capsule."""
    size = len(level)
    for _ in range(n):
        centre = size * np.array([rng.uniform(0.12, 0.6), rng.uniform(0.1, 0.9)])
        radius = size * rng.uniform(0.04, 0.09)
        depth = shapes.ellipsoid(level.shape, centre, (radius, radius * rng.uniform(1.2, 2)))
        level = level - 7 * shapes.soft(depth, 0.03 * size)
        level = level + 4 * np.exp(-0.5 * (depth / (0.01 * size)) ** 2)
    return level.astype(np.float32)


def _with_lesion(
    level: NDArray[np.float32], row: Mapping[str, Any], rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Add a lesion, its border and what it does to the tissue behind it; all in decibels."""
    size = len(level)
    malignant = int(row["label"]) == CLASSES.index("malignant")
    cosines, sines = shapes.harmonics(7, row["roughness"], rng, decay=0.3 if malignant else 1.0)
    depth = shapes.blob(
        level.shape,
        (size * row["y"], size * row["x"]),
        size * np.sqrt(row["area"] / np.pi),
        cosines=cosines,
        sines=sines,
        aspect=1 / row["ratio"],
        angle=np.pi / 2 + row["angle"],
    )
    cover = shapes.soft(depth, (0.05 if malignant else 0.015) * size)
    mask = depth > 0
    behind = np.maximum.accumulate(cover, axis=0) - cover
    behind = noise.blur(behind, (0.0, 0.02 * size))
    inside = -row["contrast"] + 1.5 * fields.smooth_noise(level.shape, 0.03 * size, rng)
    # the lesion replaces the tissue; at no contrast it leaves it as it is
    hidden = cover * min(row["contrast"] / 5, 1.0)
    around = float(level[mask].mean()) if mask.any() else 0.0
    found = level * (1 - hidden) + (around + inside) * hidden
    if not malignant:
        found = found + 0.2 * row["contrast"] * np.exp(-0.5 * (depth / (0.012 * size)) ** 2)
    return (found + 20 * np.log10(1 + row["behind"]) * behind).astype(np.float32), mask


def phantom(
    n: int,
    seed: int,
    *,
    size: int = 128,
    server: float = 0.151,
    label_skew: float = 1.0,
    site_skew: float = 1.0,
    quantity_skew: float = 1.0,
    site_gap: float = 1.0,
    duplicates: float = 0.0,
    overlap: float = 0.0,
    contrast: float = 18.0,
    enhancement: float = 0.35,
    shadow: float = 0.45,
    spiculation: float = 0.18,
    lobules: float = 1.2,
    speckle: float = 0.6,
) -> Cases:
    """Generate ``n`` images at three clients and a server.

    1. parts: the server keeps a share of all (the paper: 154 of 1,017), the clients share the rest
       as 450 : 250 : 163 to the power ``quantity_skew``;
    2. classes of client k: label_skew p_k + (1 - label_skew) p, with p_k the printed counts (400
       benign and 50 normal; 200 malignant and 50 normal; 110 benign and 53 malignant) and p their
       sum; the server has 97 benign, 23 malignant and 34 normal; largest remainders;
    3. site B: site_skew [k = 3] + (1 - site_skew) 163 / 863 of client k, 163 / 943 of the server;
    4. lesion: share of the image log-normal, median 0.06 benign and 0.11 malignant, sd of the log
       0.8 (chosen so that about 8 % of the server's pixels are lesion: the paper's sensitivity,
       specificity and accuracy imply 8.1 %); height to width U(0.5, 0.8) benign, U(0.8, 1.4)
       malignant; malignant outlines have harmonics 2 to 8 of sd ``spiculation`` and a blurred rim;
    5. echo in decibels: skin, fat, gland, muscle with strands along them, Poisson(lobules) lobules
       at -7, the lesion at -contrast, 20 log10(1 + enhancement) behind a benign one and
       20 log10(1 - shadow) behind a malignant one; speckle times 20 log10 of a Rayleigh field;
    6. image = gain (0.68 + level / 50)^gamma, clipped; site A: gain U(0.8, 1.1), gamma 1; site B:
       0.75, 1.5, half the speckle, lesions of 0.6 times the area, all by ``site_gap``.

    Args:
        n: images; each is a patient of its own unless ``duplicates`` or ``overlap`` copy it.
        seed: seed of everything drawn.
        size: side of the image (px).
        server: share of the images at the server.
        label_skew: how far clients' classes go from the common mix to the paper's.
        site_skew: how far clients' scanners do.
        quantity_skew: how far their numbers of images do.
        site_gap: how far site B's scanner differs from site A's.
        duplicates: share of images that repeat an earlier one with new noise.
        overlap: share of the server's images that are exact copies of images at clients.
        contrast: darkness of lesions (dB).
        enhancement: gain of amplitude behind benign lesions.
        shadow: loss of amplitude behind malignant lesions.
        spiculation: standard deviation of malignant outlines' relative radius.
        lobules: lobules expected in an image.
        speckle: factor on the speckle in decibels.

    Returns:
        Cases with the targets ``mask`` and ``label``; table column ``part``; cluster = scan, which
        copies share with their original.

    Raises:
        ValueError: a dial is outside its range, or ``n``, ``size`` or ``server`` is not possible.
    """
    turned = {
        "label_skew": label_skew,
        "site_skew": site_skew,
        "quantity_skew": quantity_skew,
        "site_gap": site_gap,
        "duplicates": duplicates,
        "overlap": overlap,
        "contrast": contrast,
        "enhancement": enhancement,
        "shadow": shadow,
        "spiculation": spiculation,
        "lobules": lobules,
        "speckle": speckle,
    }
    dials.check(DIALS, turned)
    if size < 32:
        raise ValueError(f"`size` must be at least 32, got {size!r}. Small lesions would vanish.")
    return Cases(draw(n, seed, server=server, **turned), functools.partial(render, size=size))
