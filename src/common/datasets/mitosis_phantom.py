"""Phantom of breast-cancer histology from three scanners, with mitotic figures and look-alikes.

A case is one patch, its cluster the slide (the region of interest of one patient). Lengths are
given for a box of 50 px, as in the real data at 0.25 um a pixel, and scale with the box.
"""

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common.datasets.cases import Case, Cases
from common.datasets.mitosis_phantom_tissue import Scene, figure, look_alike, tissue
from common.phantoms.dials import Dial, check
from common.phantoms.draws import case_seeds, classes, stream
from common.phantoms.noise import blur, gaussian, jpeg_blocks
from common.phantoms.stains import EOSIN, HAEMATOXYLIN, jitter, transmit

DATASET = "mitosis-phantom"
CLASSES = MappingProxyType({1: "mitotic figure", 2: "look-alike"})
SCANNERS = ("A", "B", "C")
FIGURES = (451, 582, 688)  # mitotic figures in 50 slides of each scanner
LOOK_ALIKES = (724, 1_066, 924)
RANGE = (0.0, 1.0)
QUICK = {"n": 60, "size": 96, "box": 20, "share": 0.06}

_COUNTED = "counted in the public annotations of the paper's 150 cases"
DIALS = (
    Dial(
        "shift",
        "1",
        1.0,
        0.0,
        2.0,
        "Distance of scanners B and C from A in colour, gain, sharpness, noise and compression; "
        "at 0 the three are alike.",
        "chosen: the paper prints no colour statistics",
        0.0,
    ),
    Dial(
        "context",
        "1",
        3.0,
        1.0,
        20.0,
        "How many times more often a mitotic figure lies in a tumour nest than beside it, area for "
        "area; at 1 the surroundings say nothing.",
        "chosen so that there is context to exploit",
        1.0,
    ),
    Dial(
        "jitter",
        "px",
        3.2,
        0.0,
        15.0,
        "Standard deviation of a box's centre along each axis, at a box of 50 px; lowers the best "
        "possible overlap.",
        "estimated from how the precision that the paper prints (Table 1) falls from an overlap of "
        "0.5 to 0.75",
        0.0,
    ),
    Dial(
        "stain_jitter",
        "share",
        0.05,
        0.0,
        0.5,
        "Relative variation of the stain vectors between slides of one scanner.",
        "chosen: the paper prints no colour statistics",
        0.0,
    ),
    Dial(
        "look_alikes",
        "1",
        1.0,
        0.0,
        3.0,
        "Factor on the number of look-alikes.",
        f"{_COUNTED}: 724, 1,066 and 924 to 451, 582 and 688 mitotic figures",
        0.0,
    ),
    Dial(
        "clustering",
        "1",
        1.4,
        0.0,
        5.0,
        "Variance of the slides' rates relative to the squared mean; at 0 slides differ by chance "
        "alone.",
        f"{_COUNTED}: 1.15 to 1.9; 35 to 45 % of the figures lie in five of 50 slides",
        0.0,
    ),
)

# each scanner's distance from A: turn of the stain vectors (degrees), log gain of haematoxylin and
# eosin, white (grey levels), gamma, blur (px at a box of 24), sharpening, noise (grey levels) and
# coarseness of compression
_WHITE = np.array([245.0, 243.0, 244.0])
_SHIFTS = {
    "A": (0, 0.0, 0.0, (0, 0, 0), 0.0, 0.0, 0.0, 0, 0),
    "B": (6, 0.14, -0.11, (5, 3, 4), -0.08, -0.1, 0.3, 1, 0),
    "C": (14, -0.22, 0.18, (-10, -15, -4), 0.12, 0.3, 0.6, 2, 30),
}


def draw(
    n: int,
    seed: int,
    *,
    share: float = 1.0,
    empty: float = 1.0,
    shift: float = 1.0,
    context: float = 3.0,
    jitter: float = 3.2,
    stain_jitter: float = 0.05,
    look_alikes: float = 1.0,
    clustering: float = 1.4,
) -> pd.DataFrame:
    """Draw the parameters of every patch; see :func:`phantom`.

    Returns:
        One row a patch: case, cluster (the slide), site (the scanner), kind (``figure``,
        ``look-alike`` or ``empty``), n_slide (mitotic figures of the slide), shift, context,
        jitter, stain_jitter, slide_seed, seed.
    """
    rng = stream(seed, DATASET, "slides")
    scanner = np.sort(classes(n, [1, 1, 1], rng))
    rate = np.ones((2, n))
    if clustering > 0:
        common, own = rng.gamma(1 / clustering, clustering, (2, n))
        # half of a slide's tendency to look-alikes is its tendency to mitoses
        rate = np.stack([common, (common + own) / 2])
    means = np.array([FIGURES, LOOK_ALIKES])[:, scanner] / 50
    counts = stream(seed, DATASET, "counts").poisson(
        means * rate * share * np.array([[1], [look_alikes]])
    )
    slides = case_seeds(n, stream(seed, DATASET, "slide seeds"))
    rows = []
    for i, (figures, others) in enumerate(counts.T):
        blank = max(1, round(empty * (figures + others)))
        kinds = ["figure"] * figures + ["look-alike"] * others + ["empty"] * blank
        seeds = case_seeds(len(kinds), np.random.default_rng(slides[i]))
        for j, (kind, one) in enumerate(zip(kinds, seeds, strict=True)):
            name = f"{SCANNERS[scanner[i]]}-{i:04d}"
            rows.append((f"{name}-{j:03d}", name, SCANNERS[scanner[i]], kind, figures, one, i))
    names = ["case", "cluster", "site", "kind", "n_slide", "seed", "slide"]
    table = pd.DataFrame(rows, columns=names)
    values = {"shift": shift, "context": context, "jitter": jitter, "stain_jitter": stain_jitter}
    table = table.assign(**values, slide_seed=slides[table.pop("slide").to_numpy(int)])
    return table[[*[name for name in table.columns if name != "seed"], "seed"]]


def render(row: Mapping[str, Any], *, size: int = 256, box: int = 24) -> Case:
    """Render one patch from its row; the same row gives the same bits.

    Args:
        row: one row of :func:`draw`.
        size: side of the patch (pixels).
        box: side of the boxes (pixels), which sets the magnification: 50 for the published one.

    Returns:
        The patch with targets ``boxes`` (n, 4: y0, x0, y1, x1) and ``labels`` (n,), codes of
        :data:`CLASSES`; ``info`` holds ``centres`` (n, 2), where the figures truly lie, ``phases``
        (n,) and ``nest`` (mask of tumour nests).
    """
    layout, place, marks, camera = np.random.default_rng(int(row["seed"])).spawn(4)
    scene = tissue(size, box / 24, layout)
    kind = row["kind"]
    labels = {"figure": [1], "look-alike": [2], "empty": []}[kind]
    if kind == "figure" and marks.random() < 0.09:  # 451 figures lie in 415 patches
        labels = [1, 1]
    centres = _places(len(labels), scene, box, row["context"] if kind == "figure" else 1.0, place)
    phases = [
        (figure if label == 1 else look_alike)(scene, centre, float(box), marks)
        for label, centre in zip(labels, centres, strict=True)
    ]
    click = row["jitter"] * box / 50 * marks.standard_normal(centres.shape)
    middle = centres + 0.5 + click
    boxes = np.hstack([middle - box / 2, middle + box / 2])
    return Case(
        case=row["case"],
        cluster=row["cluster"],
        image=_scan(row, scene, box / 24, camera),
        target={"boxes": boxes, "labels": np.array(labels, dtype=np.int64)},
        site=row["site"],
        info={
            "centres": centres,
            "phases": np.array(phases, dtype=np.int64),
            "nest": scene.nest > 0.5,
        },
    )


def _places(
    n: int, scene: Scene, box: int, context: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Choose centres whose boxes fit, ``context`` times as often in nests, a box apart."""
    margin = box // 2 + 2
    inner = scene.nest[margin:-margin, margin:-margin]
    weight = np.where(inner > 0.5, context, 1.0)
    found: list[NDArray[np.float64]] = []
    for _ in range(n):
        spot = rng.choice(weight.size, p=(weight / weight.sum()).ravel())
        centre = np.array(np.unravel_index(spot, inner.shape), dtype=float) + margin
        found.append(centre)
        y, x = (np.arange(side) + margin - c for side, c in zip(inner.shape, centre, strict=True))
        far = np.hypot(y[:, None], x) > box
        weight = weight * far if (weight * far).any() else weight
    return np.reshape(found, (-1, 2))


def _scan(
    row: Mapping[str, Any], scene: Scene, scale: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Stain the tissue and scan it with the slide's scanner."""
    by = float(row["shift"])
    turn, gain_h, gain_e, white, gamma, soft, sharp, noise, coarse = _SHIFTS[row["site"]]
    slide = np.random.default_rng(int(row["slide_seed"]) + 1)
    turned = jitter([HAEMATOXYLIN, EOSIN], 0.0, slide, turn=np.deg2rad(by * turn))
    stains = jitter(turned, float(row["stain_jitter"]), slide)
    amounts = np.stack(
        [scene.haematoxylin * np.exp(by * gain_h), scene.eosin * np.exp(by * gain_e)]
    )
    light = transmit(amounts, stains, np.minimum((_WHITE + by * np.array(white)) / 255, 1))
    sigma = max(0.2, 0.6 + by * soft) * scale
    image = blur(light, (0, sigma, sigma))
    if by * sharp > 0:
        image = image + by * sharp * (image - blur(image, (0, scale, scale)))
    image = np.clip(image, 0, 1) ** (1 + by * gamma)
    image = np.clip(gaussian(image, (2 + by * noise) / 255, rng), 0, 1)
    if by * coarse > 0:
        image = jpeg_blocks(image, max(10.0, 100 - by * coarse))
    return image


def phantom(
    n: int,
    seed: int,
    *,
    size: int = 256,
    box: int = 24,
    share: float = 1.0,
    empty: float = 1.0,
    shift: float = 1.0,
    context: float = 3.0,
    jitter: float = 3.2,
    stain_jitter: float = 0.05,
    look_alikes: float = 1.0,
    clustering: float = 1.4,
) -> Cases:
    """Make patches of slides, a third of them from each scanner.

    1. a slide's mitotic figures: Poisson(m g), m = 9.0, 11.6 and 13.8 for A, B and C (counted: 451,
       582 and 688 in 50 slides each) and g gamma distributed with mean 1 and variance
       ``clustering``; look-alikes in the same way with m = 14.5, 21.3 and 18.5 times
       ``look_alikes``, half of whose g is the figures' (counted: log counts correlate by 0.6 to
       0.8);
    2. a patch for each figure (9 % hold a second one: 451 figures lie in 415 patches), one for each
       look-alike, and ``empty`` times as many with neither, at least one a slide;
    3. tissue: stroma of oriented fibres, tumour nests (40 % of the area, twice as many nuclei), 40
       to 90 nuclei of 12-18 x 8-14 px in 256 x 256 at a box of 24;
    4. figures in one of four phases (clump, bar, pair of bars, ring) with ragged edge, no membrane
       and a clear halo, ``context`` times as often in a nest; look-alikes are a pyknotic disc with
       an eosinophilic rim, a dark nucleus or pigment;
    5. boxes of one size whose centres are off by N(0, ``jitter``) along each axis;
    6. light I = W exp(-h H - e E) with the vectors of Ruifrok and Johnston, varied between slides
       by ``stain_jitter``, and the scanner's turn, gain, white, gamma, blur, sharpening, noise and
       compression, all times ``shift``.

    Args:
        n: slides, each of one patient; at the defaults a slide has about 60 patches.
        seed: seed of the phantom.
        size: side of a patch (pixels).
        box: side of the boxes (pixels), which sets the magnification; 50 as published.
        share: share of each slide's area that is cut into patches; 1 for the published counts.
        empty: patches with neither figure nor look-alike for each that has one.
        shift: see :data:`DIALS`.
        context: see :data:`DIALS`.
        jitter: see :data:`DIALS`.
        stain_jitter: see :data:`DIALS`.
        look_alikes: see :data:`DIALS`.
        clustering: see :data:`DIALS`.

    Returns:
        Cases with image (3, size, size) in [0, 1], targets boxes (n, 4) and labels (n,), and the
        scanner as site.

    Raises:
        ValueError: a dial is outside its range, ``share`` is not in (0, 1], ``empty`` is negative,
            or ``size`` is below twice the box.
    """
    dials = {
        "shift": shift,
        "context": context,
        "jitter": jitter,
        "stain_jitter": stain_jitter,
        "look_alikes": look_alikes,
        "clustering": clustering,
    }
    check(DIALS, dials)
    if not 0 < share <= 1:
        raise ValueError(f"`share` must be above 0 and at most 1, got {share!r}. It is an area.")
    if empty < 0:
        raise ValueError(f"`empty` must be 0 or more, got {empty!r}. It counts patches.")
    if box < 8 or size < 2 * box + 8:
        raise ValueError(
            f"`size` must be at least twice `box` plus 8, with `box` at least 8, got {size!r} and "
            f"{box!r}. Enlarge the patch."
        )
    table = draw(n, seed, share=share, empty=empty, **dials)
    return Cases(table, partial(render, size=size, box=box))
