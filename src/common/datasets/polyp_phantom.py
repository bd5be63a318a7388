"""Phantom of colonoscopy frames with polyps and their masks; stands in for Kvasir-SEG.

Patients with three to five frames each; the polyp of a patient keeps its colour, its frames differ
in view. How well a polyp shows varies from patient to patient and from frame to frame.
"""

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common.datasets import endoscopy_scene as endoscopy
from common.datasets.cases import Case, Cases
from common.datasets.polyp_phantom_dials import DIALS
from common.phantoms import dials, draws, fields
from common.phantoms.shapes import Depth, blob, harmonics, soft

DATASET = "polyp-phantom"
RANGE = (0.0, 1.0)
QUICK = {"n": 60, "size": 64}
# mean direction in RGB from the mucosa around a polyp to the polyp (measured as above)
_TINT = (0.76, 0.51, 0.40)
# a polyp of the median distance in colour stands out as a full dome
_CLEAR = 0.2

_VIEW = ("area", "aspect", "angle", "y", "x", "contrast", "folds", "distractors", "scene")


def draw(
    n: int,
    seed: int,
    *,
    frames: tuple[int, int],
    contrast: float,
    contrast_spread: float,
    area: float,
    irregularity: float,
    edge: float,
    folds: float,
    distractors: float,
    glints: float,
    cast: float,
    vignette: float,
    noise: float,
    frame: float,
    interlace: float,
    near_duplicates: float,
) -> pd.DataFrame:
    """Draw the parameters of every frame; arguments as in :func:`phantom`.

    Returns:
        One row per frame: case, cluster (patient), the view (area, aspect, angle, y and x of the
        centre in sides, contrast, folds, distractors, scene), the shift of a repeated view, colours
        and camera of the patient, seed.

    Raises:
        ValueError: there is no patient, or ``frames`` is no range.
    """
    if n < 1:
        raise ValueError(f"`n` must be at least 1, got {n!r}. Raise it.")
    low, high = frames
    if not 1 <= low <= high:
        raise ValueError(f"`frames` must be (fewest, most) from 1 on, got {frames!r}. Change it.")
    patient = _patients(n, seed, frames=(low, high), spread=contrast_spread, cast=cast)
    table = patient.loc[patient.index.repeat(patient.pop("frames"))]
    number = table.groupby("cluster").cumcount().to_numpy()
    table = table.reset_index(drop=True)
    table.insert(0, "case", [f"{p}-f{k}" for p, k in zip(table["cluster"], number, strict=True)])
    rng = draws.stream(seed, DATASET, "frames")
    m = len(table)
    size = table.pop("size_effect") + 0.83 * np.sqrt(0.5) * rng.standard_normal(m)
    table["area"] = np.clip(area * np.exp(size), 0.008, 0.55)
    table["aspect"] = 1 / rng.uniform(0.5, 0.95, m)
    table["angle"] = rng.uniform(0, np.pi, m)
    reach = 0.4 - 0.45 * np.sqrt(table["area"] / np.pi)
    away, turn = reach * np.sqrt(rng.random(m)), rng.uniform(0, 2 * np.pi, m)
    table["y"], table["x"] = 0.5 + away * np.sin(turn), 0.5 + away * np.cos(turn)
    shown = table.pop("contrast_effect") + np.sqrt(0.3) * rng.standard_normal(m)
    table["contrast"] = contrast * np.exp(contrast_spread * shown)
    table["folds"] = rng.poisson(folds, m)
    table["distractors"] = rng.poisson(distractors, m)
    table["scene"] = draws.case_seeds(m, rng)
    repeats = (rng.random(m) < near_duplicates) & (number > 0)
    table = _repeat_views(table, repeats, rng)
    table["glints"] = rng.poisson(glints, m)
    table["corners"] = rng.random(m) < frame
    # the display would hide a polyp whose centre lies under it
    hidden = (table["y"] > 0.62) & (table["x"] < 0.38)
    table["box"] = table["corners"] & (rng.random(m) < 0.5) & ~hidden
    table["interlaced"] = rng.random(m) < interlace
    table = table.assign(irregularity=irregularity, edge=edge, vignette=vignette, noise=noise)
    return table.assign(seed=draws.case_seeds(m, rng))


def _patients(
    n: int, seed: int, *, frames: tuple[int, int], spread: float, cast: float
) -> pd.DataFrame:
    """Draw what the frames of a patient share: number, colours, size and visibility."""
    rng = draws.stream(seed, DATASET, "patients")
    bright = cast * rng.standard_normal((n, 1)) * 0.85
    tone = cast * rng.standard_normal((n, 3)) * np.array([0.3, 0.55, 0.9])
    mucosa = np.clip(np.array(endoscopy.MUCOSA) * np.exp(bright + tone), 0.05, 0.9)
    tint = np.array(_TINT) + 0.25 * rng.standard_normal((n, 3))
    tint /= np.linalg.norm(tint, axis=1, keepdims=True)
    table = pd.DataFrame({"cluster": [f"p{i:04d}" for i in range(n)]})
    for i, channel in enumerate("rgb"):
        table[f"mucosa_{channel}"], table[f"tint_{channel}"] = mucosa[:, i], tint[:, i]
    table["size_effect"] = 0.83 * np.sqrt(0.5) * rng.standard_normal(n)
    table["contrast_effect"] = np.sqrt(0.7) * rng.standard_normal(n)
    table["frames"] = rng.integers(frames[0], frames[1] + 1, n)
    return table


def _repeat_views(
    table: pd.DataFrame, repeats: NDArray[np.bool_], rng: np.random.Generator
) -> pd.DataFrame:
    """Give marked frames the view of the frame before them, moved by up to 0.02 sides."""
    origin = np.arange(len(table))
    for i in np.flatnonzero(repeats):
        origin[i] = origin[i - 1]
    for name in _VIEW:
        table[name] = table[name].to_numpy()[origin]
    shift = np.where(repeats[:, None], rng.uniform(-0.02, 0.02, (len(table), 2)), 0.0)
    return table.assign(repeats=repeats, shift_y=shift[:, 0], shift_x=shift[:, 1])


def render(row: Mapping[str, Any], *, size: int) -> Case:
    """Render one frame from its row; see :func:`phantom` for the steps.

    Args:
        row: from :func:`draw`.
        size: side of the frame (px).

    Returns:
        Image (3, size, size), ``mask`` (size, size) bool; info: ``contrast`` (the RGB distance that
        was asked for) and ``seen`` (field of view).
    """
    rng = np.random.default_rng(int(row["scene"]))
    colour = [row[f"mucosa_{c}"] for c in "rgb"]
    scene = endoscopy.mucosa(size, colour, int(row["folds"]), rng)
    scene = _with_distractors(scene, int(row["distractors"]), rng)
    scene, depth = _with_polyp(scene, row, rng)
    light = endoscopy.expose(scene, vignette=row["vignette"])
    endoscopy.add_glints(light, int(row["glints"]), np.random.default_rng([int(row["scene"]), 1]))
    mask = depth > 0
    by = (round(row["shift_y"] * size), round(row["shift_x"] * size))
    if any(by):
        light, mask = np.roll(light, by, axis=(-2, -1)), np.roll(mask, by, axis=(-2, -1))
    seen = endoscopy.field_of_view(size, corners=bool(row["corners"]), box=bool(row["box"]))
    image = endoscopy.record(
        light,
        seen,
        sd=row["noise"],
        interlaced=bool(row["interlaced"]),
        rng=np.random.default_rng(int(row["seed"])),
    )
    info = {"contrast": float(row["contrast"]), "seen": seen}
    return Case(row["case"], row["cluster"], image, {"mask": mask & seen}, info=info)


def _with_distractors(scene: endoscopy.Scene, n: int, rng: np.random.Generator) -> endoscopy.Scene:
    """Add small yellowish bumps, such as residue."""
    size = scene.height.shape[0]
    albedo, height = scene.albedo, scene.height
    yellow = np.array([0.75, 0.55, 0.2], np.float32)[:, None, None]
    for _ in range(n):
        radius = size * rng.uniform(0.03, 0.07)
        cosines, sines = harmonics(4, 0.2, rng)
        centre = size * rng.uniform(0.15, 0.85, 2)
        depth = blob((size, size), centre, radius, cosines=cosines, sines=sines)
        albedo = albedo + 0.5 * soft(depth, 0.03 * size) * (yellow - albedo)
        height = height + 0.5 * radius * np.clip(depth / radius, 0, 1) ** 0.7
    return endoscopy.Scene(albedo, height.astype(np.float32), scene.light)


def _with_polyp(
    scene: endoscopy.Scene, row: Mapping[str, Any], rng: np.random.Generator
) -> tuple[endoscopy.Scene, Depth]:
    """Add the polyp's colour, its dome and the darker ring around it; all go with its contrast."""
    size = scene.height.shape[0]
    shape = (size, size)
    radius = size * np.sqrt(row["area"] / np.pi)
    cosines, sines = harmonics(5, row["irregularity"], rng, decay=1.2)
    depth = blob(
        shape,
        (size * row["y"], size * row["x"]),
        radius,
        cosines=cosines,
        sines=sines,
        aspect=row["aspect"],
        angle=row["angle"],
    )
    shown = min(row["contrast"] / _CLEAR, 1.5)
    cover = soft(depth, row["edge"] * size)
    tint = np.array([row[f"tint_{c}"] for c in "rgb"], np.float32)[:, None, None]
    mottled = 0.05 * shown * cover * fields.smooth_noise(shape, 0.015 * size, rng)
    albedo = (scene.albedo + row["contrast"] * cover * tint) * (1 + mottled)
    dome = np.sqrt(np.clip(1 - (1 - np.clip(depth / radius, 0, 1)) ** 2, 0, 1))
    ring = np.exp(-0.5 * (np.minimum(depth, 0) / (0.1 * radius)) ** 2) * (1 - cover)
    # under a polyp that stands out, folds and the lumen's darkness do not show through
    hidden = min(shown, 1.0) * cover
    level = float(scene.light[depth > 0].mean())
    height = scene.height * (1 - hidden) + 0.45 * shown * radius * dome
    light = scene.light * (1 - hidden) + max(level, 0.6) * hidden
    light = light * (1 - 0.25 * shown * ring + 0.3 * shown * cover * (dome - 0.75))
    return endoscopy.Scene(albedo, height.astype(np.float32), light.astype(np.float32)), depth


def phantom(
    n: int,
    seed: int,
    *,
    size: int = 128,
    frames: tuple[int, int] = (3, 5),
    contrast: float = 0.2,
    contrast_spread: float = 0.64,
    area: float = 0.113,
    irregularity: float = 0.12,
    edge: float = 0.012,
    folds: float = 2.0,
    distractors: float = 0.7,
    glints: float = 8.0,
    cast: float = 0.17,
    vignette: float = 0.35,
    noise: float = 0.03,
    frame: float = 1.0,
    interlace: float = 0.1,
    near_duplicates: float = 0.0,
) -> Cases:
    """Generate frames of ``n`` patients with a polyp each.

    1. patient: mucosa colour c = (0.61, 0.35, 0.26) exp(cast z), tint t of the polyp around the
       mean direction (0.76, 0.51, 0.40), half of the log variance of its area, 0.7 of that of its
       contrast (means measured on Kvasir-SEG);
    2. frame: area share A = area exp(0.83 z) (measured median 0.113 and log sd 0.83; mean 0.154),
       contrast k = contrast exp(contrast_spread z) (measured median 0.197, quartiles 0.122 and
       0.290), Poisson numbers of folds, distractors and glints;
    3. wall of the bowel, see :func:`common.datasets.endoscopy_scene.mucosa`;
    4. polyp: outline R (1 + sum of five harmonics of sd ``irregularity``), R = sqrt(A / pi);
       albedo + k t; a dome, mottling and a dark ring around it, all proportional to k, so that at
       k = 0 nothing in the image tells where the mask is;
    5. lighting, glints, black corners and box, motion between fields, Gaussian noise.

    Args:
        n: patients; each has ``frames`` cases.
        seed: seed of everything drawn.
        size: side of a frame (px).
        frames: fewest and most frames of a patient; (1, 1) for one image each.
        contrast: median RGB distance of a polyp from the mucosa around it.
        contrast_spread: standard deviation of its log.
        area: median share of the frame that a polyp takes.
        irregularity: standard deviation of the outline's relative radius.
        edge: width of the fading border (sides).
        folds: folds expected in a frame.
        distractors: yellowish bumps expected in a frame.
        glints: white reflections expected in a frame.
        cast: standard deviation of the log colour between patients.
        vignette: share of the light that the corners lack.
        noise: standard deviation of the sensor noise.
        frame: share of frames with black corners.
        interlace: share of frames whose odd rows are taken later.
        near_duplicates: share of frames that repeat the view of the patient's frame before them.

    Returns:
        Cases with the target ``mask``; cluster = patient.

    Raises:
        ValueError: a dial is outside its range, or ``n``, ``size`` or ``frames`` is not possible.
    """
    turned = {
        "contrast": contrast,
        "contrast_spread": contrast_spread,
        "area": area,
        "irregularity": irregularity,
        "edge": edge,
        "folds": folds,
        "distractors": distractors,
        "glints": glints,
        "cast": cast,
        "vignette": vignette,
        "noise": noise,
        "frame": frame,
        "interlace": interlace,
        "near_duplicates": near_duplicates,
    }
    dials.check(DIALS, turned)
    if size < 32:
        raise ValueError(f"`size` must be at least 32, got {size!r}. Small polyps would vanish.")
    return Cases(draw(n, seed, frames=frames, **turned), functools.partial(render, size=size))
