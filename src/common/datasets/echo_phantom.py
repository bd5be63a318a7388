"""Phantom of echocardiograms: apical views at end-diastole with their chambers; for CAMUS.

A patient has a two-chamber and a four-chamber view of one heart. Where the chambers lie is known
before a pixel is seen, much more than for polyps or instruments: shape and place vary little.
"""

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common.datasets.cases import Case, Cases
from common.phantoms import dials, draws, fields, noise, shapes
from common.phantoms.dials import Dial

DATASET = "echo-phantom"
CLASSES = ("background", "endocardium", "myocardium", "atrium")
VIEWS = ("2CH", "4CH")
QUALITIES = ("good", "medium", "poor")
RANGE = (0.0, 1.0)
QUICK = {"n": 60, "size": 64}
_UNSEEN = "chosen by eye; no image of CAMUS was at hand"
_RANGE_DB = 55.0
# half the angle of the sector (radians) and its apex and radius in sides
_HALF_ANGLE, _TOP, _REACH = 0.65, -0.02, 1.0

DIALS: tuple[Dial, ...] = (
    Dial(
        "contrast",
        "1",
        1.0,
        0.0,
        1.5,
        "Blood, muscle and the layers around them differ more (factor on decibels).",
        f"{_UNSEEN}: blood 20 dB below muscle",
        null=0.0,
    ),
    Dial(
        "shape_sd",
        "relative sd",
        0.08,
        0.0,
        0.25,
        "Hearts differ more in length, width and thickness, so that a prior helps less.",
        _UNSEEN,
        null=0.0,
    ),
    Dial(
        "tilt",
        "rad",
        0.2,
        0.0,
        0.6,
        "The long axis is turned farther (largest angle to either side).",
        _UNSEEN,
        null=0.0,
    ),
    Dial(
        "speckle",
        "1",
        1.0,
        0.0,
        1.5,
        "Stronger speckle (factor on decibels; 1 is fully developed).",
        "Rayleigh statistics of fully developed speckle",
        null=0.0,
    ),
    Dial(
        "attenuation",
        "dB",
        10.0,
        0.0,
        40.0,
        "The far side of the sector is darker.",
        _UNSEEN,
        null=0.0,
    ),
    Dial(
        "dropout",
        "per view",
        0.8,
        0.0,
        5.0,
        "More wedges in which the echo is lost, behind ribs or lung.",
        _UNSEEN,
        null=0.0,
    ),
    Dial(
        "gain_sd",
        "dB",
        3.0,
        0.0,
        10.0,
        "Patients differ more in overall brightness.",
        _UNSEEN,
        null=0.0,
    ),
    Dial(
        "poor",
        "share",
        0.19,
        0.0,
        1.0,
        "More patients of poor image quality (contrast x 0.6, one more dropout).",
        "share that the authors of CAMUS give, from memory",
        null=0.0,
    ),
)


def draw(
    n: int,
    seed: int,
    *,
    contrast: float,
    shape_sd: float,
    tilt: float,
    speckle: float,
    attenuation: float,
    dropout: float,
    gain_sd: float,
    poor: float,
) -> pd.DataFrame:
    """Draw the parameters of every view; arguments as in :func:`phantom`.

    Returns:
        Two rows per patient: case, cluster (patient), view, quality, length, width, thickness and
        atrium (sides), tilt (rad), offset (sides), gain (dB), contrast, dropouts, seed.

    Raises:
        ValueError: there is no patient.
    """
    if n < 1:
        raise ValueError(f"`n` must be at least 1, got {n!r}. Raise it.")
    rng = draws.stream(seed, DATASET, "patients")
    # good and medium images stand as 35 to 46
    shares = np.array([35 / 81 * (1 - poor), 46 / 81 * (1 - poor), poor])
    quality = draws.classes(n, shares.tolist(), rng)
    patient = pd.DataFrame({"cluster": [f"p{i:04d}" for i in range(n)]})
    patient["quality"] = np.array(QUALITIES)[quality]
    sizes = {"length": 0.48, "width": 0.162, "thickness": 0.062, "atrium": 0.142}
    for name, mean in sizes.items():
        patient[name] = mean * np.exp(shape_sd * np.clip(rng.standard_normal(n), -2.5, 2.5))
    patient["gain"] = gain_sd * rng.standard_normal(n)
    table = patient.loc[patient.index.repeat(len(VIEWS))].reset_index(drop=True)
    m = len(table)
    table.insert(1, "view", list(VIEWS) * n)
    table.insert(0, "case", table["cluster"] + "-" + table["view"])
    rng = draws.stream(seed, DATASET, "views")
    for name in ("length", "width"):
        table[name] *= np.exp(0.4 * shape_sd * np.clip(rng.standard_normal(m), -2.5, 2.5))
    table["tilt"] = rng.uniform(-tilt, tilt, m)
    table["offset"] = rng.uniform(-0.03, 0.03, m) + np.where(table["view"] == "4CH", 0.04, 0.0)
    is_poor = (table["quality"] == "poor").to_numpy()
    table["contrast"] = contrast * np.where(is_poor, 0.6, 1.0)
    table["dropouts"] = rng.poisson(dropout, m) + is_poor
    table = table.assign(speckle=speckle, attenuation=attenuation)
    return table.assign(seed=draws.case_seeds(m, rng))


def render(row: Mapping[str, Any], *, size: int) -> Case:
    """Render one view from its row; see :func:`phantom` for the steps.

    Args:
        row: from :func:`draw`.
        size: side of the image (px).

    Returns:
        Image (1, size, size), ``mask`` (size, size) uint8 codes of :data:`CLASSES`; info: ``view``,
        ``quality``, ``sector`` (where there is an image).
    """
    anatomy, machine = (np.random.default_rng([int(row["seed"]), part]) for part in range(2))
    depth = _chambers(row, size)
    mask = _codes(depth)
    level = row["contrast"] * _echo(depth, row["view"], size, anatomy)
    angle, reach = _polar(size)
    level = level - 14 + row["gain"] - row["attenuation"] * reach / _REACH
    level = level - _dropouts(angle, int(row["dropouts"]), machine)
    scale = size / 128
    grain = (max(0.6 * scale, 0.35), max(1.3 * scale, 0.5))
    flat = noise.speckle(np.ones((size, size), np.float32), machine, grain=grain)
    level = level + row["speckle"] * 20 * np.log10(np.maximum(flat, 1e-3))
    sector = (np.abs(angle) < _HALF_ANGLE) & (reach < _REACH)
    image = np.clip(1 + level / _RANGE_DB, 0, 1) * sector
    info = {"view": row["view"], "quality": row["quality"], "sector": sector}
    return Case(
        row["case"],
        row["cluster"],
        image[None].astype(np.float32),
        {"mask": np.where(sector, mask, 0).astype(np.uint8)},
        info=info,
    )


def _polar(size: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Give angle (radians) and distance (sides) of each pixel from the apex of the sector."""
    y, x = shapes.grid((size, size))
    dy, dx = (y + 0.5) / size - _TOP, (x + 0.5) / size - 0.5
    return np.arctan2(dx, dy).astype(np.float32), np.hypot(dy, dx).astype(np.float32)


def _chambers(row: Mapping[str, Any], size: int) -> dict[str, shapes.Depth]:
    """Draw the chambers in the frame of the long axis; depths in pixels."""
    shape = (size, size)
    turn = shapes.rotation(float(row["tilt"]))
    down, right = turn.T @ np.array([1.0, 0.0]), turn.T @ np.array([0.0, 1.0])
    length, width, thick = row["length"], row["width"], row["thickness"]
    apex = np.array([0.13, 0.5 + row["offset"]]) - 0.3 * (down - np.array([1.0, 0.0]))
    belly = apex + 0.62 * length * down
    valve = apex + length * down
    y, x = shapes.grid(shape)
    # how far a pixel lies above the valve plane (px)
    above = size * (valve @ down) - (y * down[0] + x * down[1])

    def oval(centre: NDArray[Any], radii: tuple[float, float]) -> shapes.Depth:
        return shapes.ellipsoid(shape, size * centre, size * np.array(radii), turn=turn)

    inner = np.minimum(oval(belly, (0.62 * length, width)), above)
    outer = np.minimum(oval(belly, (0.62 * length + thick, width + thick)), above)
    below = valve + 0.72 * row["atrium"] * down
    atrium = np.minimum(oval(below, (row["atrium"], 1.05 * row["atrium"])), -above - 0.5)
    found = {"inner": inner, "outer": outer, "atrium": atrium, "above": above}
    if row["view"] == "4CH":
        aside = belly + 0.03 * down - (1.75 * width + thick) * right
        found["right"] = np.minimum(oval(aside, (0.4 * length, 0.65 * width)), above)
        aside = valve + 0.7 * row["atrium"] * down - (1.6 * width + thick) * right
        found["right atrium"] = np.minimum(
            oval(aside, (0.85 * row["atrium"], 0.8 * row["atrium"])), -above - 1
        )
    return found


def _codes(depth: Mapping[str, shapes.Depth]) -> NDArray[np.uint8]:
    codes = np.zeros(depth["inner"].shape, np.uint8)
    codes[depth["outer"] > 0] = CLASSES.index("myocardium")
    codes[depth["inner"] > 0] = CLASSES.index("endocardium")
    codes[depth["atrium"] > 0] = CLASSES.index("atrium")
    return codes


def _echo(
    depth: Mapping[str, shapes.Depth], view: str, size: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Give the echo of tissue in decibels relative to muscle."""
    soft = functools.partial(shapes.soft, width=0.02 * size)
    tissue = 2 + 4 * fields.smooth_noise((size, size), 0.06 * size, rng)
    muscle = soft(depth["outer"])
    level = tissue * (1 - muscle)
    line = 0.012 * size
    # the pericardium outside the muscle, except towards the septum of a four-chamber view
    sac = np.exp(-0.5 * ((depth["outer"] + 1.5 * line) / line) ** 2)
    sac[depth["above"] < 0] = 0
    level += 11 * sac * (0.5 if view == "4CH" else 1.0)
    blood = soft(np.maximum(depth["inner"], depth["atrium"]))
    wall = np.exp(-0.5 * ((depth["atrium"] + line) / line) ** 2) * (depth["above"] < 0)
    level += 8 * wall
    for name in ("right", "right atrium"):
        if name in depth:
            blood = np.maximum(blood, soft(depth[name]))
    leaflet = np.exp(-0.5 * (depth["above"] / line) ** 2)
    reach = np.maximum(depth["inner"] + 0.02 * size, 0) > 0
    level = level * (1 - blood) - 20 * blood
    return (level + 18 * leaflet * reach * blood).astype(np.float32)


def _dropouts(angle: NDArray[np.float32], n: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Give the loss along wedges from the apex (dB)."""
    loss = np.zeros(angle.shape, np.float32)
    for _ in range(n):
        middle = rng.uniform(-_HALF_ANGLE, _HALF_ANGLE)
        loss += 18 * np.exp(-0.5 * ((angle - middle) / rng.uniform(0.03, 0.09)) ** 2)
    return loss


def phantom(
    n: int,
    seed: int,
    *,
    size: int = 128,
    contrast: float = 1.0,
    shape_sd: float = 0.08,
    tilt: float = 0.2,
    speckle: float = 1.0,
    attenuation: float = 10.0,
    dropout: float = 0.8,
    gain_sd: float = 3.0,
    poor: float = 0.19,
) -> Cases:
    """Generate the two apical views of ``n`` patients at end-diastole.

    1. patient: length, half width, wall and atrium of the heart, log-normal around 0.48, 0.162,
       0.062 and 0.142 sides with relative sd ``shape_sd``; image quality good, medium or poor (35,
       46 and 19 % of the patients of CAMUS, from memory); gain N(0, gain_sd);
    2. view: endocardium = an ellipse cut by the valve plane, myocardium the ring around it, atrium
       an ellipse below the plane; turned by U(-tilt, tilt); in the four-chamber view the right
       chambers beside them, which have no label;
    3. echo in decibels, all relative to muscle and times ``contrast``: blood -20, pericardium +11,
       walls of the atrium +8, leaflets -2, other tissue 2 + 4 z with z smooth;
    4. less attenuation r / r_max, less 18 dB in each of Poisson(dropout) wedges;
    5. plus speckle times 20 log10 of a Rayleigh field;
    6. image = 1 + (level - 14 + gain) / 55, clipped, inside the sector.

    Args:
        n: patients; each has two cases, the views 2CH and 4CH.
        seed: seed of everything drawn.
        size: side of the image (px).
        contrast: factor on all differences of echo.
        shape_sd: relative standard deviation of sizes between patients.
        tilt: largest angle of the long axis (radians).
        speckle: factor on the speckle in decibels.
        attenuation: loss at the far end of the sector (dB).
        dropout: wedges expected in a view.
        gain_sd: standard deviation of the gain between patients (dB).
        poor: share of patients with poor image quality.

    Returns:
        Cases with the target ``mask``; cluster = patient.

    Raises:
        ValueError: a dial is outside its range, or ``n`` or ``size`` is too small.
    """
    turned = {
        "contrast": contrast,
        "shape_sd": shape_sd,
        "tilt": tilt,
        "speckle": speckle,
        "attenuation": attenuation,
        "dropout": dropout,
        "gain_sd": gain_sd,
        "poor": poor,
    }
    dials.check(DIALS, turned)
    if size < 32:
        raise ValueError(f"`size` must be at least 32, got {size!r}. The muscle would vanish.")
    return Cases(draw(n, seed, **turned), functools.partial(render, size=size))
