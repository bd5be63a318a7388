"""Phantom of chest CT cubes with lung nodules among vessels and pleura.

One voxel is one millimetre. Vessels, above all where they branch, look like nodules to a detector
that has seen few of them; nodules differ in kind, so that few labels miss some kinds.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common.datasets.cases import Case, Cases
from common.phantoms.dials import Dial, check
from common.phantoms.draws import case_seeds, stream
from common.phantoms.fields import bias_field, smooth_noise
from common.phantoms.shapes import ellipsoid, soft, tube
from common.phantoms.vessels import tree

DATASET = "lung-nodule-phantom"
CLASSES = ("nodule",)
KINDS = ("solid", "part-solid", "ground-glass")
RANGE = (0.0, 1.0)
QUICK = {"n": 116, "size": 32}

_AIR = 0.15
_COUNT_SHAPE = 2.5  # of the gamma distribution of nodules in a scan
_MEASURED = "measured on the official annotations of LUNA16"
DIALS = (
    Dial(
        "contrast",
        "1",
        0.8,
        0.0,
        1.2,
        "Factor on how much nodules are brighter than lung; at 0 they cannot be seen.",
        "chosen: Hounsfield units are not printed",
        0.0,
    ),
    Dial(
        "nodules",
        "per scan",
        1.34,
        0.0,
        8.0,
        "Mean number of nodules in a scan.",
        f"{_MEASURED}: 1,186 nodules in 888 scans, 287 scans without one, variance 2.34",
        0.0,
    ),
    Dial(
        "subsolid",
        "share",
        0.2,
        0.0,
        1.0,
        "Share of part-solid and ground-glass nodules, which few labelled scans may miss; at 0 "
        "all nodules are of one kind.",
        "chosen: the annotations do not give the kind",
        0.0,
    ),
    Dial(
        "attached",
        "share",
        0.2,
        0.0,
        1.0,
        "Share of nodules that touch a vessel or the pleura.",
        "chosen: the annotations do not give it",
        0.0,
    ),
    Dial(
        "vessels",
        "trees",
        3.0,
        0.0,
        12.0,
        "Mean number of vessel trees of three pieces, the main source of false positives.",
        "chosen: 6 to 12 pieces fill a cube about as vessels fill a lung",
        0.0,
    ),
    Dial(
        "noise",
        "1",
        0.03,
        0.0,
        0.2,
        "Standard deviation of the scanner's noise.",
        "chosen: noise is not printed",
        0.0,
    ),
    Dial(
        "shift",
        "1",
        0.0,
        0.0,
        2.0,
        "Distance to another site: noise times 1 + 0.7 shift, brightness times 1 - 0.1 shift.",
        "chosen: 1 stands for the low-dose trial whose scans the paper adds without labels",
        0.0,
    ),
)


def draw(
    n: int,
    seed: int,
    *,
    contrast: float = 0.8,
    nodules: float = 1.34,
    subsolid: float = 0.2,
    attached: float = 0.2,
    vessels: float = 3.0,
    noise: float = 0.03,
    shift: float = 0.0,
) -> pd.DataFrame:
    """Draw the parameters of every scan; see :func:`phantom`.

    Returns:
        One row a scan: case, cluster (the scan itself), n_nodules, subsolid and attached
        (shares, from which :func:`nodules_of` draws), trees, plates, contrast, noise, gain, seed.
    """
    rng = stream(seed, DATASET, "counts")
    count = rng.poisson(nodules * rng.gamma(_COUNT_SHAPE, 1 / _COUNT_SHAPE, n))
    names = [f"scan-{i:05d}" for i in range(n)]
    return pd.DataFrame(
        {
            "case": names,
            "cluster": names,
            "n_nodules": count,
            "subsolid": subsolid,
            "attached": attached,
            "trees": stream(seed, DATASET, "trees").poisson(vessels, n),
            "plates": stream(seed, DATASET, "plates").integers(1, 3, n),
            "contrast": contrast,
            "noise": noise * (1 + 0.7 * shift),
            "gain": 1 - 0.1 * shift,
            "seed": case_seeds(n, stream(seed, DATASET, "cases")),
        }
    )


def nodules_of(row: Mapping[str, Any]) -> pd.DataFrame:
    """Draw the nodules of one scan; the same row gives the same nodules.

    Args:
        row: one row of :func:`draw`.

    Returns:
        One row a nodule: diameter_mm, kind (index into :data:`KINDS`), attached.
    """
    n, rng = int(row["n_nodules"]), np.random.default_rng(int(row["seed"]))
    size = np.clip(6.43 * np.exp(0.473 * rng.standard_normal(n)), 3.25, 20.0)
    kind = np.where(rng.random(n) < row["subsolid"], rng.integers(1, 3, n), 0)
    touches = rng.random(n) < row["attached"]
    return pd.DataFrame({"diameter_mm": size, "kind": kind, "attached": touches})


def render(row: Mapping[str, Any], *, size: int = 64) -> Case:
    """Render one scan from its row; the same row gives the same bits.

    Args:
        row: one row of :func:`draw`.
        size: side of the cube (voxels of 1 mm).

    Returns:
        The scan with targets ``boxes`` (n, 6), lower corner first, ``centres_mm`` (n, 3) and
        ``diameters_mm`` (n,); nodules wider than a third of the side are shrunken to that.
        ``info`` holds ``kinds`` (n,), ``attached`` (n,), ``centres`` (n, 3), ``vessels`` (mask)
        and ``branches`` (m, 3), where vessels divide.
    """
    layout, place, texture, camera = np.random.default_rng(int(row["seed"])).spawn(4)
    shape = (size, size, size)
    vessels, bright, branches = _vessels(int(row["trees"]), shape, layout)
    walls = _plates(int(row["plates"]), shape, layout)
    lung = (
        _AIR + 0.035 * smooth_noise(shape, 1.5, texture) + 0.035 * smooth_noise(shape, 4, texture)
    )
    volume = np.maximum(lung, np.maximum(bright, 0.8 * walls))
    nodules = nodules_of(row)
    diameters = np.minimum(nodules["diameter_mm"].to_numpy(float), size / 3)
    solid = np.argwhere((vessels > 0.5) | (walls > 0.5))
    centres = _places(diameters, nodules["attached"].tolist(), solid, size, place)
    for centre, diameter, kind in zip(centres, diameters, nodules["kind"], strict=True):
        _add_nodule(volume, centre, float(diameter), int(kind), float(row["contrast"]), place)
    volume *= float(row["gain"]) * bias_field(shape, 0.08, texture)
    volume += float(row["noise"]) * camera.standard_normal(shape, dtype=np.float32)
    half = diameters[:, None] / 2
    return Case(
        case=row["case"],
        cluster=row["cluster"],
        image=np.clip(volume, 0, 1).astype(np.float32)[None],
        target={
            "boxes": np.hstack([centres - half, centres + half]).astype(np.float32),
            "centres_mm": centres.astype(np.float32),
            "diameters_mm": diameters.astype(np.float32),
        },
        spacing_mm=(1.0, 1.0, 1.0),
        info={
            "kinds": nodules["kind"].to_numpy(np.int64),
            "attached": nodules["attached"].to_numpy(bool),
            "centres": centres,
            "vessels": vessels > 0.5,
            "branches": branches,
        },
    )


def _vessels(
    n: int, shape: tuple[int, ...], rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64]]:
    """Grow trees that enter from a face: cover, brightness and where they divide."""
    cover, bright = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    forks = []
    side = shape[0]
    for _ in range(n):
        start = rng.uniform(0.1, 0.9, 3) * side
        axis = int(rng.integers(3))
        start[axis] = 0 if rng.random() < 0.5 else side - 1
        aim = side * rng.uniform(0.3, 0.7, 3) - start
        radius, value = rng.uniform(1.2, 2.5), rng.uniform(0.5, 0.9)
        pieces = tree(
            start, aim, rng=rng, length=0.5 * side, radius=radius, levels=2, wander=0.12, step=3.0
        )
        forks.append(pieces[0].points[-1])
        for piece in pieces:
            own = soft(tube(shape, np.clip(piece.points, 0, side - 1), piece.radii))
            np.maximum(cover, own, out=cover)
            np.maximum(bright, value * own, out=bright)
    return cover, bright, np.clip(np.reshape(forks, (-1, 3)), 0, side - 1)


def _plates(n: int, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
    """Cover uneven plates of pleura and chest wall on faces of the cube."""
    cover = np.zeros(shape, np.float32)
    for face in rng.permutation(6)[:n]:
        axis, far = divmod(int(face), 2)
        depth = rng.uniform(1.5, 4.0) + smooth_noise(shape[:2], 6, rng)
        distance = np.arange(shape[0], dtype=np.float32)
        distance = distance[::-1] if far else distance
        plate = np.clip(depth[None] - distance[:, None, None] + 0.5, 0, 1)
        np.maximum(cover, np.moveaxis(plate, 0, axis), out=cover)
    return cover


def _places(
    diameters: NDArray[np.float64],
    attached: list[bool],
    solid: NDArray[np.int64],
    size: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Choose centres inside the cube, away from each other where 40 tries allow it."""
    centres: list[NDArray[np.float64]] = []
    for diameter, touches in zip(diameters, attached, strict=True):
        margin = diameter / 2 + 1
        for _ in range(40):
            if touches and len(solid):
                ray = rng.standard_normal(3)
                anchor = solid[rng.integers(len(solid))]
                centre = anchor + 0.9 * diameter / 2 * ray / np.linalg.norm(ray)
                centre = np.clip(centre, margin, size - 1 - margin)
            else:
                centre = rng.uniform(margin, size - 1 - margin, 3)
            gap = [
                np.linalg.norm(centre - other) - (diameter + wide) / 2
                for other, wide in zip(centres, diameters, strict=False)
            ]
            if min(gap, default=1.0) > 0:
                break
        centres.append(centre)
    return np.reshape(centres, (-1, 3))


def _add_nodule(
    volume: NDArray[np.float32],
    centre: NDArray[np.float64],
    diameter: float,
    kind: int,
    contrast: float,
    rng: np.random.Generator,
) -> None:
    """Add one nodule with a soft edge, in place."""
    value = rng.uniform(0.5, 0.9) if kind == 0 else rng.uniform(0.25, 0.40)
    radii = diameter / 2 * (1 + 0.08 * rng.standard_normal(3))
    low = np.maximum(np.floor(centre - diameter / 2 - 3).astype(int), 0)
    high = np.ceil(centre + diameter / 2 + 3).astype(int) + 1
    near = volume[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    depth = ellipsoid(near.shape, centre - low, radii)
    for inset, level in ((0.0, value), (0.25 * diameter, rng.uniform(0.5, 0.9))):
        if inset == 0 or kind == 1:
            top = _AIR + contrast * (level - _AIR)
            cover = soft(depth - inset, 1.8)
            np.maximum(near, _AIR + (top - _AIR) * cover, out=near, where=cover > 0)


def phantom(
    n: int,
    seed: int,
    *,
    size: int = 64,
    contrast: float = 0.8,
    nodules: float = 1.34,
    subsolid: float = 0.2,
    attached: float = 0.2,
    vessels: float = 3.0,
    noise: float = 0.03,
    shift: float = 0.0,
) -> Cases:
    """Make cubes of chest CT, one for each scan.

    1. nodules in a scan: Poisson(``nodules`` g), g gamma distributed with mean 1 and shape 2.5
       (measured in LUNA16: mean 1.34, variance 2.34, 32 % of the scans without any; here 1.34,
       2.06 and 34 %);
    2. diameters: lognormal with median 6.43 mm and log deviation 0.473, both measured in LUNA16,
       within 3.25 and 20 mm;
    3. kinds: solid (0.5 to 0.9 of the range), and in a share ``subsolid`` part-solid or
       ground-glass (0.25 to 0.40; a solid core in the former); brightness above lung times
       ``contrast``; a share ``attached`` touches a vessel or the pleura;
    4. lung: 0.15 plus noise of two grain sizes; Poisson(``vessels``) trees of three tapering pieces
       (0.5 to 0.9), one or two plates of pleura (0.8);
    5. scanner: slow bias of 8 %, brightness and noise by ``noise`` and ``shift``.

    Args:
        n: scans; one cube each, so the scan is also the independent unit.
        seed: seed of the phantom.
        size: side of the cube (voxels of 1 mm).
        contrast: see :data:`DIALS`.
        nodules: see :data:`DIALS`.
        subsolid: see :data:`DIALS`.
        attached: see :data:`DIALS`.
        vessels: see :data:`DIALS`.
        noise: see :data:`DIALS`.
        shift: see :data:`DIALS`.

    Returns:
        Cases with image (1, size, size, size) in [0, 1] and targets boxes (n, 6),
        centres_mm (n, 3) and diameters_mm (n,).

    Raises:
        ValueError: a dial is outside its range, or ``size`` is below 24.
    """
    dials = {
        "contrast": contrast,
        "nodules": nodules,
        "subsolid": subsolid,
        "attached": attached,
        "vessels": vessels,
        "noise": noise,
        "shift": shift,
    }
    check(DIALS, dials)
    if size < 24:
        raise ValueError(f"`size` must be at least 24, got {size!r}. Nodules would not fit.")
    return Cases(draw(n, seed, **dials), partial(render, size=size))
