"""Phantom of immunofixation electrophoresis gels: six lanes, nine classes, one row of evidence.

The class is told by which lanes share a band: the heavy chain's (G, A, M) and the light chain's
(kappa, lambda) with the total-protein lane (ELP). Lengths are in pixels of the 188 x 283 images
that the authors released and scale with the size asked for.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common.datasets.cases import Case, Cases
from common.datasets.ife_phantom_scan import NATIVE, scan
from common.phantoms.dials import Dial, check
from common.phantoms.draws import case_seeds, classes, stream
from common.phantoms.gels import place, profile

DATASET = "ife-phantom"
CLASSES = (
    "negative",
    "kappa",
    "lambda",
    "IgG-kappa",
    "IgG-lambda",
    "IgA-kappa",
    "IgA-lambda",
    "IgM-kappa",
    "IgM-lambda",
)
COUNTS = (10_355, 63, 160, 1_435, 1_207, 400, 480, 340, 100)
HEAVY = (0, 0, 0, 1, 1, 2, 2, 3, 3)  # none, G, A, M
LIGHT = (0, 1, 2, 1, 2, 1, 2, 1, 2)  # none, kappa, lambda
LANES = ("ELP", "G", "A", "M", "K", "L")
RANGE = (0.0, 1.0)
QUICK = {"n": 1_500, "size": (48, 72)}

_MEASURED = "measured on the six released example images"
DIALS = (
    Dial(
        "signal",
        "1",
        1.0,
        0.0,
        2.0,
        "Factor on the optical density of M-protein bands; at 0 positives look like negatives.",
        f"{_MEASURED}: peaks of 34 to 176 of 255 grey levels",
        0.0,
    ),
    Dial(
        "colocation",
        "share",
        1.0,
        0.0,
        1.0,
        "Share of positives whose bands lie in one row of all their lanes; the others' rows are "
        "drawn lane by lane, so that the row says nothing.",
        f"{_MEASURED}: one row within 1 to 6 px in all three positives",
        0.0,
    ),
    Dial(
        "factored",
        "share",
        1.0,
        0.0,
        1.0,
        "Share of IgA positives whose light-chain band lies in the lane of its label; in the "
        "others it lies in the other light lane, so that at 0 the light chain can only be told "
        "together with the heavy one.",
        "chosen so that 1 is the chemistry: each antiserum stains its own lane",
        0.0,
    ),
    Dial(
        "distractors",
        "share",
        0.25,
        0.0,
        1.0,
        "Share of negatives with a dense band in a single lane; 0.6 times as many have a narrow "
        "smear in a light lane.",
        "chosen so that a band in one lane does not settle the class",
        0.0,
    ),
    Dial(
        "offset",
        "px",
        4.0,
        0.0,
        40.0,
        "Standard deviation of the shift of all lanes to the left or right.",
        f"{_MEASURED}: first lane at 16 to 30 px; the paper (Section 3) names lane offset as noise",
        0.0,
    ),
    Dial(
        "imbalance",
        "1",
        1.0,
        0.0,
        1.0,
        "Power of the class counts: 1 for 63 kappa to 10,355 negatives, 0 for equal classes.",
        "paper, Sections 2.1 and 3: 14,540 images, 63 in the smallest class, imbalance ratios "
        "0.006, 0.188 and 0.042; the counts of the other classes are invented to fit these",
        0.0,
    ),
    Dial(
        "label_noise",
        "share",
        0.005,
        0.0,
        0.5,
        "Faint positives that are labelled negative, as a share of the positives.",
        "chosen: the paper gives no rate",
        0.0,
    ),
)

# centre (px below the albumin band), standard deviation (px) and stain (of 255 grey levels)
_ELP = ((0, 26, 54, 75, 107), (5, 4, 4.5, 4.5, 14), (0.83, 0.20, 0.43, 0.50, 0.33))
_SMEARS = ((110, 86, 101, 110, 110), (15, 12, 9, 15, 15), (0.50, 0.42, 0.15, 0.45, 0.37))
_WIDTHS = (34, 34, 30, 20, 34, 34)
_ROWS = (70, 125)  # where M-protein bands may lie (px below albumin)


def draw(
    n: int,
    seed: int,
    *,
    signal: float = 1.0,
    colocation: float = 1.0,
    factored: float = 1.0,
    distractors: float = 0.25,
    offset: float = 4.0,
    imbalance: float = 1.0,
    label_noise: float = 0.005,
) -> pd.DataFrame:
    """Draw the parameters of every gel; see :func:`phantom`.

    Returns:
        One row a gel: case, cluster (the gel itself), label, true_label, heavy, light (codes of the
        label), concentration (optical density), row_elp, row_heavy, row_light (px below albumin),
        light_lane (index into :data:`LANES`, 0 for none), distractor (``none``, ``band``,
        ``smear``), distractor_lane, distractor_row, top, left, pitch, tilt, signal, seed.
    """
    rng = stream(seed, DATASET, "gels")
    shares = np.array(COUNTS, dtype=float) ** imbalance
    label = classes(n, shares.tolist(), stream(seed, DATASET, "classes"))
    true = _mislabel(label, shares, label_noise, stream(seed, DATASET, "label noise"))
    row = rng.uniform(*_ROWS, (3, n))
    stray = rng.random(n) >= colocation
    swapped = (rng.random(n) >= factored) & (np.array(HEAVY)[true] == 2)
    light = np.array(LIGHT)[true]
    strength = np.clip(0.45 * np.exp(0.5 * rng.standard_normal(n)), 0.08, 1.2)
    faint = rng.uniform(0.08, 0.12, n)
    kind = rng.random(n)
    wrong = np.full(n, "none", dtype=object)
    wrong[kind < 1.6 * distractors] = "smear"
    wrong[kind < distractors] = "band"
    wrong[true > 0] = "none"
    number = [f"gel-{i:05d}" for i in range(n)]
    return pd.DataFrame(
        {
            "case": number,
            "cluster": number,
            "label": label,
            "true_label": true,
            "heavy": np.array(HEAVY)[label],
            "light": np.array(LIGHT)[label],
            "concentration": np.where(true != label, faint, strength) * (true > 0),
            "row_elp": row[0],
            "row_heavy": np.where(stray, row[1], row[0]),
            "row_light": np.where(stray, row[2], row[0]),
            "light_lane": np.where(light > 0, 3 + np.where(swapped, 3 - light, light), 0),
            "distractor": wrong,
            "distractor_lane": np.where(
                wrong == "smear", rng.integers(4, 6, n), rng.integers(1, 6, n)
            ),
            "distractor_row": rng.uniform(83, _ROWS[1], n),
            "top": rng.uniform(19, 35, n),
            "left": rng.uniform(16, 30, n) + offset * rng.standard_normal(n),
            "pitch": 47 + 0.7 * rng.standard_normal(n),
            "tilt": np.tan(np.deg2rad(0.3 * rng.standard_normal(n))),
            "signal": signal,
            "seed": case_seeds(n, rng),
        }
    )


def _mislabel(
    label: NDArray[np.int64], shares: NDArray[np.float64], rate: float, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Turn some gels labelled negative into positives, so that the label counts stay as printed."""
    true = label.copy()
    negative = rng.permutation(np.flatnonzero(label == 0))
    chosen = negative[: round(rate * np.count_nonzero(label))]
    true[chosen] = 1 + classes(len(chosen), shares[1:].tolist(), rng)
    return true


def render(row: Mapping[str, Any], *, size: tuple[int, int] = (112, 112)) -> Case:
    """Render one gel from its row; the same row gives the same bits.

    Args:
        row: one row of :func:`draw`.
        size: height and width (pixels); the aspect ratio need not be kept.

    Returns:
        The gel; ``info`` holds true_label, the lanes' columns (``lanes``, px), the row of the band
        in each lane (``rows``, px, nan where there is none), and ``band_row``: that of the ELP
        lane, or -1.
    """
    layout, stain, camera = np.random.default_rng(int(row["seed"])).spawn(3)
    scale = np.array(size) / NATIVE
    columns = row["left"] + row["pitch"] * np.arange(6)
    drops = row["top"] + row["tilt"] * (columns - columns.mean())
    bands = _band_rows(row, stain)
    widths = np.array(_WIDTHS) + 3 * layout.standard_normal(6)
    gel = np.zeros(size, np.float32)
    for i, (centres, sigmas, densities) in enumerate(_lanes(row, bands, stain)):
        _place(gel, drops[i] + centres, sigmas, densities, columns[i], widths[i], scale)
    if layout.random() < 0.3:  # part of the neighbouring sample
        drop, column = layout.uniform(19, 35), NATIVE[1] + layout.uniform(0, 12)
        centres, sigmas, strengths = np.array(_ELP)
        _place(gel, drop + centres, sigmas, _density(strengths), column, _WIDTHS[0], scale)
    image = scan(gel, columns, row["top"], scale, layout, camera)
    rows = (drops + bands) * scale[0]
    label = int(row["label"])
    return Case(
        case=row["case"],
        cluster=row["cluster"],
        image=image,
        target={"label": label, "heavy": HEAVY[label], "light": LIGHT[label]},
        info={
            "true_label": int(row["true_label"]),
            "lanes": columns * scale[1],
            "rows": rows,
            "band_row": -1.0 if np.isnan(rows[0]) else float(rows[0]),
        },
    )


def _place(
    gel: NDArray[np.float32],
    rows: NDArray[np.float64],
    sigmas: NDArray[np.float64],
    densities: NDArray[np.float64],
    column: float,
    width: float,
    scale: NDArray[np.float64],
) -> None:
    """Add a lane given in pixels of the native image, in place."""
    down, across = scale
    lane = profile(
        gel.shape[0],
        (rows * down).tolist(),
        (sigmas * down).tolist(),
        np.maximum(densities, 0).tolist(),
    )
    place(gel, lane, column=column * across, width=width * across, edge=2 * across)


def _density(stain: Any) -> NDArray[np.float64]:
    """Turn stain as measured, a share of 255 grey levels, into optical density."""
    return -np.log(1 - np.clip(stain, 0, 0.95))


def _band_rows(row: Mapping[str, Any], rng: np.random.Generator) -> NDArray[np.float64]:
    """Give the row of the M-protein in each lane (px below albumin); nan where it is absent."""
    rows = np.full(6, np.nan)
    true = int(row["true_label"])
    if true:
        rows[0] = row["row_elp"]
        rows[int(row["light_lane"])] = row["row_light"]
        if HEAVY[true]:
            rows[HEAVY[true]] = row["row_heavy"]
    return rows + rng.standard_normal(6)


def _lanes(
    row: Mapping[str, Any], bands: NDArray[np.float64], rng: np.random.Generator
) -> list[tuple[NDArray[np.float64], ...]]:
    """List centres, standard deviations (px) and optical densities of the bands of each lane."""
    positive, c = not np.isnan(bands[0]), float(row["signal"] * row["concentration"])
    smears = [np.array(_ELP)]
    smears[0][2] = _density(smears[0][2] * np.exp(0.15 * rng.standard_normal(5)))
    centre, sigma, strength = np.array(_SMEARS, dtype=float)
    centre += 4 * rng.standard_normal(5)
    strength = _density(strength * np.exp(0.25 * rng.standard_normal(5))) * (1 - 0.3 * c * positive)
    smears += [np.array([[y], [s], [a]]) for y, s, a in zip(centre, sigma, strength, strict=True)]
    width = rng.uniform(3, 5)
    found = []
    for i, smear in enumerate(smears):
        extra = []
        if not np.isnan(bands[i]):
            extra.append((bands[i], width, c * (0.6 if i == 0 else 1.0)))
        elif i == row["distractor_lane"] and row["distractor"] == "band":
            extra.append((row["distractor_row"], width, 0.45))
        elif i == row["distractor_lane"] and row["distractor"] == "smear":
            extra.append((row["distractor_row"], 6.0, 0.3))
        found.append(tuple(np.hstack([smear, np.reshape(extra, (-1, 3)).T])))
    return found


def phantom(
    n: int,
    seed: int,
    *,
    size: tuple[int, int] = (112, 112),
    signal: float = 1.0,
    colocation: float = 1.0,
    factored: float = 1.0,
    distractors: float = 0.25,
    offset: float = 4.0,
    imbalance: float = 1.0,
    label_noise: float = 0.005,
) -> Cases:
    """Make gels of serum samples, one image each.

    1. classes in the proportions of :data:`COUNTS` to the power ``imbalance`` (printed: 14,540
       images, 63 kappa, imbalance ratios 0.006 of nine classes, 0.188 of light and 0.042 of heavy
       chains; the other counts are invented to fit);
    2. layout, measured on the released examples: albumin at row U(19, 35), first lane at column
       U(16, 30) + N(0, ``offset``), pitch N(47, 0.7), tilt N(0, 0.3 degrees);
    3. ELP: five Gaussian bands at 0, 26, 54, 75 and 107 px below albumin with measured stain
       0.83, 0.20, 0.43, 0.50, 0.33; other lanes: a polyclonal smear each; all times lognormal
       factors (0.15 and 0.25);
    4. positives: a band of sigma U(3, 5) px at U(70, 125) below albumin in ELP (times 0.6), in
       the heavy chain's lane if there is one, and in the light chain's; optical density
       c = ``signal`` x lognormal(median 0.45, 0.5) within [0.08, 1.2]; row jitter N(0, 1);
       polyclonal stain times 1 - 0.3 c; a share 1 - ``colocation`` draws its rows lane by lane;
    5. negatives: a share ``distractors`` shows a band in one lane alone, 0.6 as many a narrow
       smear in a light lane;
    6. of gels labelled negative, ``label_noise`` times the number of positives are in truth faint
       positives (c in [0.08, 0.12]);
    7. light I = W exp(-a D), printed letters and marks, a neighbour's lane (30 %), blur, noise of
       2.5 grey levels.

    Args:
        n: gels; one image each, so the gel is also the independent unit.
        seed: seed of the phantom.
        size: height and width (pixels); the paper's is 224 x 224.
        signal: see :data:`DIALS`.
        colocation: see :data:`DIALS`.
        factored: see :data:`DIALS`.
        distractors: see :data:`DIALS`.
        offset: see :data:`DIALS` (px of the 283 px wide image).
        imbalance: see :data:`DIALS`.
        label_noise: see :data:`DIALS`.

    Returns:
        Cases with image (3, height, width) in [0, 1] and targets label (0-8), heavy (0-3), light
        (0-2).

    Raises:
        ValueError: a dial is outside its range, or a side is below 24 px.
    """
    dials = {
        "signal": signal,
        "colocation": colocation,
        "factored": factored,
        "distractors": distractors,
        "offset": offset,
        "imbalance": imbalance,
        "label_noise": label_noise,
    }
    check(DIALS, dials)
    if min(size) < 24:
        raise ValueError(f"`size` must be at least 24 x 24, got {size!r}. Bands would vanish.")
    return Cases(draw(n, seed, **dials), partial(render, size=size))
