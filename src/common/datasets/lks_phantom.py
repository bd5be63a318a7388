"""Phantom of liver-kidney-stomach sections: most slides are told at a glance, some by fine detail.

A section is a ring of stomach around kidney and liver. Where an antibody binds decides the class;
whether that changes the mean of an area or only its fine structure decides the magnification that
is needed. Cells keep their size in pixels: a larger image shows more of them.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common.datasets.cases import Case, Cases
from common.datasets.lks_phantom_section import Section, section
from common.phantoms.dials import Dial, check
from common.phantoms.draws import case_seeds, classes, stream
from common.phantoms.shapes import grid, soft, tube
from common.phantoms.vessels import walk

DATASET = "lks-phantom"
CLASSES = ("negative", "AMA", "SMA-V", "SMA-T")
COUNTS = (342, 151, 153, 38)
TRAIN = (239, 106, 107, 27)
RANGE = (0.0, 1.0)
QUICK = {"n": 280, "size": 256}

_BASE = 0.10
DIALS = (
    Dial(
        "fine_only",
        "share",
        0.3,
        0.0,
        1.0,
        "Share of slides with smooth-muscle antibodies that lack the bright muscle line, the only "
        "sign of them that survives shrinking.",
        "chosen so that a minority of slides needs the high resolution",
        0.0,
    ),
    Dial(
        "fine_tubules",
        "share",
        0.8,
        0.0,
        1.0,
        "Share of SMA-T slides whose fibres leave the mean brightness of the kidney as it is, so "
        "that a shrunken image shows SMA-V; in the others the kidney is brighter as a whole.",
        "chosen so that the rare class is the fine one in most slides",
        0.0,
    ),
    Dial(
        "titre",
        "1",
        1.0,
        0.0,
        4.0,
        "Factor on the contrast of all specific stain; at 0 every class looks negative.",
        "chosen: brightness of stained structures in the repository's figure is 2 to 4 times "
        "that of unstained ones",
        0.0,
    ),
    Dial(
        "diffuse",
        "share",
        0.15,
        0.0,
        1.0,
        "Share of negatives with unspecific brightening of the whole section.",
        "chosen: such slides make false positives",
        0.0,
    ),
    Dial(
        "debris",
        "1",
        6.0,
        0.0,
        60.0,
        "Mean number of bright threads and clumps that lie anywhere: alike to stained structures "
        "in a tile, told from them by where they lie in the section.",
        "chosen; the repository's figure shows debris and saturated specks",
        0.0,
    ),
    Dial(
        "label_noise",
        "share",
        0.02,
        0.0,
        0.5,
        "Share of SMA-V and SMA-T slides that carry the other one's label.",
        "chosen: the paper gives no rate",
        0.0,
    ),
)


def draw(
    n: int,
    seed: int,
    *,
    fine_only: float = 0.3,
    fine_tubules: float = 0.8,
    titre: float = 1.0,
    diffuse: float = 0.15,
    debris: float = 6.0,
    label_noise: float = 0.02,
) -> pd.DataFrame:
    """Draw the parameters of every slide; see :func:`phantom`.

    Returns:
        One row a slide: case, cluster (the slide itself), label, true_label, part (``train`` or
        ``test``), titre, muscle_line, fine (fibres keep the mean), diffuse, debris, exposure,
        dark (level without tissue), needs_high, seed.
    """
    rng = stream(seed, DATASET, "slides")
    label = classes(n, COUNTS, stream(seed, DATASET, "classes"))
    true = np.where((label > 1) & (rng.random(n) < label_noise), 5 - label, label)
    own = np.clip(np.exp(0.4 * rng.standard_normal(n)), 0.25, 2.5)
    hidden, even, haze = rng.random((3, n))
    line = (true > 1) & (hidden >= fine_only)
    fine = (true == 3) & (even < fine_tubules)
    names = [f"slide-{i:05d}" for i in range(n)]
    return pd.DataFrame(
        {
            "case": names,
            "cluster": names,
            "label": label,
            "true_label": true,
            "part": _parts(label, stream(seed, DATASET, "parts")),
            "titre": titre * own,
            "muscle_line": line,
            "fine": fine,
            "diffuse": (true == 0) & (haze < diffuse),
            "debris": stream(seed, DATASET, "debris").poisson(debris, n),
            "exposure": np.exp(0.25 * rng.standard_normal(n)),
            "dark": rng.uniform(0.02, 0.05, n),
            "needs_high": ((true > 1) & ~line) | fine | ((true > 0) & (own < 0.45)),
            "seed": case_seeds(n, rng),
        }
    )


def _parts(label: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.object_]:
    """Divide each class as published: 479 of 684 slides train."""
    part = np.full(len(label), "test", dtype=object)
    for code, (train, total) in enumerate(zip(TRAIN, COUNTS, strict=True)):
        members = rng.permutation(np.flatnonzero(label == code))
        part[members[: round(len(members) * train / total)]] = "train"
    return part


def render(row: Mapping[str, Any], *, size: int = 512) -> Case:
    """Render one slide from its row; the same row gives the same bits.

    Args:
        row: one row of :func:`draw`.
        size: side (pixels).

    Returns:
        The slide; ``info`` holds true_label, needs_high, ``tissue`` (codes: 0 none, 1 stomach,
        2 kidney, 3 liver), ``line`` (where the muscle line runs in this section, stained or not)
        and ``stain`` (brightness added by the antibody, before exposure).
    """
    layout, texture, stain, camera = np.random.default_rng(int(row["seed"])).spawn(4)
    parts = section(size, layout, texture)
    added = _stain(row, parts, stain)
    light = _BASE * parts.glow + added
    if row["diffuse"]:
        light += 0.15 * (parts.tissue > 0)
    image = _photograph(row, light, camera)
    label = int(row["label"])
    return Case(
        case=row["case"],
        cluster=row["cluster"],
        image=image[None],
        target={"label": label},
        info={
            "true_label": int(row["true_label"]),
            "needs_high": bool(row["needs_high"]),
            "tissue": parts.tissue,
            "line": parts.line > 0.5,
            "stain": added,
        },
    )


def _stain(row: Mapping[str, Any], parts: Section, rng: np.random.Generator) -> NDArray[np.float32]:
    """Give the light that the antibody adds: granules, muscle line, vessel walls, fibres."""
    kind, titre = int(row["true_label"]), float(row["titre"])
    if kind == 0 or titre == 0:
        return np.zeros(parts.glow.shape, np.float32)
    if kind == 1:
        gain = rng.uniform(1, 3)
        grain = np.clip(1 + 0.5 * parts.grain, 0, None)
        return (_BASE * titre * gain * grain * np.maximum(parts.tubules, parts.glands)).astype(
            np.float32
        )
    added = 0.35 * titre * _vessel_walls(parts, rng)
    if row["muscle_line"]:
        added += 0.45 * titre * parts.line
    if kind == 3:
        fibres = parts.fibres
        kidney = parts.tissue == 2
        mean = fibres[kidney].mean() if kidney.any() else 0.0
        if row["fine"] and mean > 0:
            # what is taken off must not exceed the kidney's own glow between the tubules
            added += min(0.25 * titre, 0.45 * _BASE / mean) * (fibres - kidney * mean)
        else:
            added += 0.25 * titre * fibres
    return added.astype(np.float32)


def _vessel_walls(parts: Section, rng: np.random.Generator) -> NDArray[np.float32]:
    """Draw 6 to 15 thin circles of radius 3 to 6 px in kidney and liver."""
    walls = np.zeros(parts.tissue.shape, np.float32)
    inside = np.argwhere(parts.tissue > 1)
    for _ in range(rng.integers(6, 16)):
        cy, cx = inside[rng.integers(len(inside))]
        radius = rng.uniform(3, 6)
        reach = int(radius) + 3
        top, left = max(0, cy - reach), max(0, cx - reach)
        area = walls[top : cy + reach + 1, left : cx + reach + 1]
        y, x = (axis + first for axis, first in zip(grid(area.shape), (top, left), strict=True))
        ring = np.clip(1.1 - np.abs(np.hypot(y - cy, x - cx) - radius), 0, 1)
        np.maximum(area, ring, out=area, casting="same_kind")
    return walls


def _photograph(
    row: Mapping[str, Any], light: NDArray[np.floating], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Add debris, exposure, seams of the scan, black corners and noise."""
    size = len(light)
    scene = light.astype(np.float32) + np.float32(row["dark"])
    for _ in range(int(row["debris"])):
        n = int(rng.integers(2, 9))
        points = walk(
            rng.uniform(0, size, 2), rng.standard_normal(2), n, step=4, wander=0.3, rng=rng
        )
        clump = soft(tube(scene.shape, np.clip(points, 0, size - 1), rng.uniform(0.5, 2.0)))
        scene += rng.uniform(0.1, 0.5) * clump
    scene *= 1.6 * row["exposure"]
    edges = np.linspace(0, size, 5).astype(int)
    gain = np.repeat(
        np.repeat(1 + 0.02 * rng.standard_normal((4, 4)), np.diff(edges), 0), np.diff(edges), 1
    )
    scene *= gain.astype(np.float32)
    for y, x in ((0, 0), (0, -1), (-1, 0), (-1, -1)):
        height, width = (int(side) for side in rng.uniform(0.02, 0.12, 2) * size)
        rows = slice(0, height) if y == 0 else slice(size - height, size)
        scene[rows, slice(0, width) if x == 0 else slice(size - width, size)] = 0
    # photons and read-out in one draw: variance scene / 400 and 0.008 squared
    noise = rng.standard_normal(scene.shape, dtype=np.float32)
    scene += np.sqrt(scene / 400 + np.float32(0.008**2)) * noise
    for y, x in rng.integers(1, size - 1, (rng.poisson(4), 2)):  # saturated specks
        scene[y - 1 : y + 2, x] = scene[y, x - 1 : x + 2] = 1
    return np.clip(scene, 0, 1)


def shrink(image: NDArray[np.floating], factor: int) -> NDArray[np.float32]:
    """Shrink an image by the mean of square blocks, as the low-resolution image is made.

    Args:
        image (C, height, width): sides divisible by ``factor``.
        factor: side of a block (px); the paper's is 40.

    Returns:
        (C, height / factor, width / factor).

    Raises:
        ValueError: a side is not divisible by ``factor``.

    Example:
        >>> shrink(np.arange(4.0).reshape(1, 2, 2), 2).tolist()
        [[[1.5]]]
    """
    return (
        tiles(image, factor)
        .mean(axis=(2, 3))
        .T.reshape(image.shape[0], image.shape[1] // factor, image.shape[2] // factor)
        .astype(np.float32)
    )


def tiles(image: NDArray[np.floating], side: int) -> NDArray[np.floating]:
    """Cut an image into square tiles without overlap, row by row.

    Args:
        image (C, height, width): sides divisible by ``side``.
        side: side of a tile (px); the paper's is 1,000.

    Returns:
        (tiles, C, side, side).

    Raises:
        ValueError: a side of the image is not divisible by ``side``.

    Example:
        >>> tiles(np.arange(4.0).reshape(1, 2, 2), 1).ravel().tolist()
        [0.0, 1.0, 2.0, 3.0]
    """
    channels, height, width = image.shape
    if side < 1 or height % side or width % side:
        raise ValueError(
            f"`side` must divide the image's {height} x {width} pixels, got {side!r}. Change it."
        )
    cut = image.reshape(channels, height // side, side, width // side, side)
    return np.moveaxis(cut, (1, 3), (0, 1)).reshape(-1, channels, side, side)


def phantom(
    n: int,
    seed: int,
    *,
    size: int = 512,
    fine_only: float = 0.3,
    fine_tubules: float = 0.8,
    titre: float = 1.0,
    diffuse: float = 0.15,
    debris: float = 6.0,
    label_noise: float = 0.02,
) -> Cases:
    """Make slides, one image each.

    1. classes as printed (Table 1): 342 negative, 151 AMA, 153 SMA-V, 38 SMA-T of 684, and in each
       class the printed share of 479 training and 205 test slides;
    2. section: radius 0.40 (1 + N(0, 0.05)) of the side, stomach ring of a quarter of the radius,
       kidney and liver inside it as in the repository's figure, any rotation; unstained tissue
       glows at 0.10, dark ground at U(0.02, 0.05);
    3. AMA: granules, 2 to 4 times the glow, in kidney tubules and stomach glands;
    4. SMA-V: 6 to 15 vessel walls 1 px thin in kidney and liver, and, except in a share
       ``fine_only``, a bright line along the ring's inner edge;
    5. SMA-T: as SMA-V plus fibres around the kidney's tubules; in a share ``fine_tubules`` the
       fibres' mean over the kidney is taken off, so that shrinking leaves nothing of them;
    6. contrast of 3-5 times ``titre`` x lognormal(0, 0.4) within [0.25, 2.5];
    7. negatives: a share ``diffuse`` brighter as a whole;
    8. Poisson(``debris``) threads and clumps anywhere, exposure lognormal(0, 0.25), seams, black
       corners, saturated specks, photon noise.

    Args:
        n: slides; one image each, so the slide is also the independent unit.
        seed: seed of the phantom.
        size: side (pixels); cells keep their size in pixels.
        fine_only: see :data:`DIALS`.
        fine_tubules: see :data:`DIALS`.
        titre: see :data:`DIALS`.
        diffuse: see :data:`DIALS`.
        debris: see :data:`DIALS`.
        label_noise: see :data:`DIALS`.

    Returns:
        Cases with image (1, size, size) in [0, 1] and target label (0-3); :func:`shrink` and
        :func:`tiles` make the two inputs that the paper uses.

    Raises:
        ValueError: a dial is outside its range, or ``size`` is below 128.
    """
    dials = {
        "fine_only": fine_only,
        "fine_tubules": fine_tubules,
        "titre": titre,
        "diffuse": diffuse,
        "debris": debris,
        "label_noise": label_noise,
    }
    check(DIALS, dials)
    if size < 128:
        raise ValueError(f"`size` must be at least 128, got {size!r}. Tissues would vanish.")
    return Cases(draw(n, seed, **dials), partial(render, size=size))
