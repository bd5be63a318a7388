"""Phantom of endoscopic frames with instruments and their masks; stands in for Kvasir-Instrument.

Long, bright tools that enter from the border: a target of high contrast, unlike the polyps of
:mod:`common.datasets.polyp_phantom`, in front of the same mucosa.
"""

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common.datasets import endoscopy_scene as endoscopy
from common.datasets.cases import Case, Cases
from common.phantoms import dials, draws
from common.phantoms.dials import Dial
from common.phantoms.shapes import Depth, soft, tube

DATASET = "instrument-phantom"
RANGE = (0.0, 1.0)
QUICK = {"n": 160, "size": 64}
# steel, white sheath, blue sheath, green sheath
MATERIALS = ("steel", "white", "blue", "green")
_COLOURS = ((0.72, 0.74, 0.76), (0.92, 0.90, 0.84), (0.25, 0.42, 0.75), (0.30, 0.62, 0.45))
_SHARES = (0.5, 0.25, 0.15, 0.1)
_UNSEEN = "chosen; no image of Kvasir-Instrument was at hand"
_MUCOSA = "as in the polyp phantom, which was compared with Kvasir-SEG"

DIALS: tuple[Dial, ...] = (
    Dial(
        "contrast",
        "share",
        1.0,
        0.0,
        1.0,
        "Instruments show more of their own colour and relief instead of the mucosa's.",
        f"{_UNSEEN}: tools stand out",
        null=0.0,
    ),
    Dial(
        "second",
        "share",
        0.3,
        0.0,
        1.0,
        "More frames with a second instrument.",
        _UNSEEN,
        null=0.0,
    ),
    Dial(
        "width",
        "sides",
        0.08,
        0.02,
        0.25,
        "Instruments are thicker (median diameter).",
        _UNSEEN,
    ),
    Dial(
        "jaws",
        "share",
        0.6,
        0.0,
        1.0,
        "More instruments end in two open jaws instead of a blunt tip.",
        _UNSEEN,
        null=0.0,
    ),
    Dial(
        "folds",
        "per frame",
        2.0,
        0.0,
        6.0,
        "More folds, long shapes that are no instruments.",
        _MUCOSA,
        null=0.0,
    ),
    Dial(
        "glints",
        "per frame",
        8.0,
        0.0,
        40.0,
        "More white reflections on the mucosa, as white as steel.",
        _MUCOSA,
        null=0.0,
    ),
    Dial(
        "cast",
        "sd of the log",
        0.17,
        0.0,
        0.5,
        "Frames differ more in colour and brightness.",
        _MUCOSA,
        null=0.0,
    ),
    Dial(
        "vignette",
        "share",
        0.35,
        0.0,
        0.9,
        "The corners are darker.",
        _MUCOSA,
        null=0.0,
    ),
    Dial(
        "noise",
        "1",
        0.03,
        0.0,
        0.3,
        "More sensor noise (sd, image in [0, 1]).",
        _MUCOSA,
        null=0.0,
    ),
    Dial(
        "frame",
        "share",
        1.0,
        0.0,
        1.0,
        "More frames with black corners; half of these also have a black box.",
        _MUCOSA,
        null=0.0,
    ),
)


def draw(
    n: int,
    seed: int,
    *,
    contrast: float,
    second: float,
    width: float,
    jaws: float,
    folds: float,
    glints: float,
    cast: float,
    vignette: float,
    noise: float,
    frame: float,
) -> pd.DataFrame:
    """Draw the parameters of every frame; arguments as in :func:`phantom`.

    Returns:
        One row per frame: case, cluster (the same), colour of the mucosa, and for instrument 1 and
        2 material, diameter (sides), border angle and tip; seed.

    Raises:
        ValueError: there is no frame.
    """
    if n < 1:
        raise ValueError(f"`n` must be at least 1, got {n!r}. Raise it.")
    rng = draws.stream(seed, DATASET, "frames")
    names = [f"i{k:04d}" for k in range(n)]
    table = pd.DataFrame({"case": names, "cluster": names})
    bright = 0.85 * cast * rng.standard_normal((n, 1))
    tone = cast * rng.standard_normal((n, 3)) * np.array([0.3, 0.55, 0.9])
    mucosa = np.clip(np.array(endoscopy.MUCOSA) * np.exp(bright + tone), 0.05, 0.9)
    for i, channel in enumerate("rgb"):
        table[f"mucosa_{channel}"] = mucosa[:, i]
    table["instruments"] = 1 + (rng.random(n) < second)
    entry = rng.uniform(0, 2 * np.pi, n)
    for k in (1, 2):
        table[f"material_{k}"] = draws.classes(n, _SHARES, rng)
        table[f"width_{k}"] = width * np.exp(0.3 * rng.standard_normal(n))
        # a second instrument comes from another side
        table[f"entry_{k}"] = entry + (k - 1) * rng.uniform(0.5 * np.pi, 1.5 * np.pi, n)
        table[f"depth_{k}"] = rng.uniform(-0.15, 0.25, n)
        table[f"turn_{k}"] = rng.uniform(-0.35, 0.35, n)
        table[f"open_{k}"] = np.where(rng.random(n) < jaws, rng.uniform(0.25, 0.8, n), 0.0)
    table["folds"] = rng.poisson(folds, n)
    table["glints"] = rng.poisson(glints, n)
    table["corners"] = rng.random(n) < frame
    table["box"] = table["corners"] & (rng.random(n) < 0.5)
    table = table.assign(contrast=contrast, vignette=vignette, noise=noise)
    return table.assign(seed=draws.case_seeds(n, rng))


def render(row: Mapping[str, Any], *, size: int) -> Case:
    """Render one frame from its row; see :func:`phantom` for the steps.

    Args:
        row: from :func:`draw`.
        size: side of the frame (px).

    Returns:
        Image (3, size, size), ``mask`` (size, size) bool; info: ``seen`` (field of view) and
        ``materials`` (names).
    """
    wall, lamp, camera = (np.random.default_rng([int(row["seed"]), part]) for part in range(3))
    colour = [row[f"mucosa_{c}"] for c in "rgb"]
    scene = endoscopy.mucosa(size, colour, int(row["folds"]), wall)
    light = endoscopy.expose(scene, vignette=row["vignette"])
    endoscopy.add_glints(light, int(row["glints"]), lamp)
    mask = np.zeros((size, size), bool)
    materials = []
    for k in range(1, int(row["instruments"]) + 1):
        relief, depth = _instrument(row, k, size)
        material = int(row[f"material_{k}"])
        own = np.array(_COLOURS[material], np.float32)[:, None, None] * relief
        cover = row["contrast"] * soft(depth)
        light = light + cover * (own - light)
        mask |= depth > 0
        materials.append(MATERIALS[material])
    seen = endoscopy.field_of_view(size, corners=bool(row["corners"]), box=bool(row["box"]))
    image = endoscopy.record(light, seen, sd=row["noise"], interlaced=False, rng=camera)
    info = {"seen": seen, "materials": tuple(materials)}
    return Case(row["case"], row["cluster"], image, {"mask": mask & seen}, info=info)


def _instrument(row: Mapping[str, Any], k: int, size: int) -> tuple[NDArray[np.float32], Depth]:
    """Draw a shaft from beyond the border to its tip, with jaws where they are open.

    Returns:
        Brightness of a lit cylinder, with a highlight along its axis, and depth below its outline.
    """
    inward = np.array([-np.sin(row[f"entry_{k}"]), -np.cos(row[f"entry_{k}"])])
    start = 0.5 - 0.62 * inward
    across = np.array([-inward[1], inward[0]])
    along = inward + row[f"turn_{k}"] * across
    along /= np.linalg.norm(along)
    tip = start + (0.62 + row[f"depth_{k}"]) * along
    radius = size * row[f"width_{k}"] / 2
    # a segment must not lie wholly before the first row or column
    path = np.clip(np.stack([start, tip]), 0, 1) * size
    parts = [(tube((size, size), path, radius), radius)]
    opened = float(row[f"open_{k}"])
    if opened:
        side = np.array([-along[1], along[0]])
        for sign in (-1, 1):
            way = np.cos(opened / 2) * along + sign * np.sin(opened / 2) * side
            ends = np.clip(np.stack([tip, tip + 2.2 * row[f"width_{k}"] * way]), 0, 1) * size
            parts.append((tube((size, size), ends, [0.7 * radius, 0.3 * radius]), 0.7 * radius))
    depth = np.maximum.reduce([part for part, _ in parts])
    place = np.max([np.clip(part / thick, 0, 1) for part, thick in parts], axis=0)
    relief = 0.35 + 0.55 * np.sqrt(place * (2 - place)) + 0.3 * np.clip((place - 0.7) / 0.3, 0, 1)
    return relief.astype(np.float32), depth


def phantom(
    n: int,
    seed: int,
    *,
    size: int = 128,
    contrast: float = 1.0,
    second: float = 0.3,
    width: float = 0.08,
    jaws: float = 0.6,
    folds: float = 2.0,
    glints: float = 8.0,
    cast: float = 0.17,
    vignette: float = 0.35,
    noise: float = 0.03,
    frame: float = 1.0,
) -> Cases:
    """Generate ``n`` frames with one or two instruments, one frame a cluster.

    1. wall of the bowel, see :func:`common.datasets.endoscopy_scene.mucosa`; lighting, glints;
    2. an instrument: a cylinder of diameter d = width exp(0.3 z) that enters from the border under
       a uniform angle and reaches past the middle of the frame or just short of it; half are steel,
       the others white, blue or green sheaths (a quarter, 15 % and 10 %; chosen);
    3. with probability ``jaws`` two tapering jaws, open by 14 to 46 degrees;
    4. brightness of a cylinder lit from the camera, 0.35 + 0.55 sqrt(1 - (r / R)^2), with a
       highlight along the axis;
    5. image = (1 - contrast) wall + contrast instrument inside the outline, so that at contrast 0
       nothing tells where the mask is;
    6. black corners and box, Gaussian noise.

    Args:
        n: frames; each is a cluster of its own.
        seed: seed of everything drawn.
        size: side of a frame (px).
        contrast: share of the instrument's own look.
        second: share of frames with a second instrument.
        width: median diameter (sides).
        jaws: share of instruments with open jaws.
        folds: folds expected in a frame.
        glints: white reflections expected in a frame.
        cast: standard deviation of the log colour between frames.
        vignette: share of the light that the corners lack.
        noise: standard deviation of the sensor noise.
        frame: share of frames with black corners.

    Returns:
        Cases with the target ``mask``.

    Raises:
        ValueError: a dial is outside its range, or ``n`` or ``size`` is too small.
    """
    turned = {
        "contrast": contrast,
        "second": second,
        "width": width,
        "jaws": jaws,
        "folds": folds,
        "glints": glints,
        "cast": cast,
        "vignette": vignette,
        "noise": noise,
        "frame": frame,
    }
    dials.check(DIALS, turned)
    if size < 32:
        raise ValueError(f"`size` must be at least 32, got {size!r}. Instruments would vanish.")
    return Cases(draw(n, seed, **turned), functools.partial(render, size=size))
