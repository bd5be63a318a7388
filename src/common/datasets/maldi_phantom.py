"""Phantom of image pairs of magnetic resonance and mass spectrometry, with known deformation.

A case is a pair: channel 0 is the reference (MR), channel 1 the target (an ion image of the cut
tissue). Lengths in pixels refer to a side of 128 and scale with the size asked for.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from common.datasets.cases import Case, Cases
from common.datasets.maldi_phantom_scene import VENTRICLE, Codes, deformation, inverse, scene
from common.phantoms.dials import Dial, check
from common.phantoms.draws import case_seeds, stream
from common.phantoms.fields import Field, bias_field, smooth_noise, warp

DATASET = "maldi-phantom"
SCENES = ("synthetic", "brain")
RANGE = (0.0, 1.0)
QUICK = {"n": 20, "size": 96}
# grey levels of 255 by code: background, then the regions of the scene
_REFERENCE = {
    "synthetic": (0, 120, 200, 80, 240),
    "brain": (0, 120, 165, 205, 205, 90, 185, 185, 145, 245),
}
_TARGET = {
    "synthetic": (0, 150, 60, 210, 90),
    "brain": (0, 165, 120, 70, 70, 205, 215, 215, 185, 60),
}

_CHOSEN = "chosen: the paper gives neither sizes nor amplitudes"
DIALS: tuple[Dial, ...] = (
    Dial(
        "coherence",
        "share",
        1.0,
        0.0,
        1.0,
        "More of the deformation moves the inside along with the outline; at 0 the outline keeps "
        "its place and says nothing of what moved inside.",
        "chosen so that the outline tells all, as methods of distance transforms suppose",
        null=0.0,
    ),
    Dial(
        "amplitude",
        "px",
        6.0,
        0.0,
        10.0,
        "Longest displacement inside the object grows; shorter where the field would fold.",
        _CHOSEN,
        null=0.0,
    ),
    Dial(
        "intensity_gap",
        "1",
        1.0,
        0.0,
        1.0,
        "Regions of the target differ more in brightness from those of the reference, partly in "
        "inverted order, under a gamma curve; at 0 both have the same brightness.",
        "paper, synthetic experiment: non-linear changes of intensity; their size is chosen",
        null=0.0,
    ),
    Dial(
        "bias",
        "share",
        0.35,
        0.0,
        0.6,
        "The target's slow brightening and darkening over the image reaches further.",
        _CHOSEN,
        null=0.0,
    ),
    Dial(
        "noise",
        "grey levels",
        3.0,
        0.0,
        40.0,
        "Standard deviation of the noise of both images, of 255.",
        _CHOSEN,
        null=0.0,
    ),
    Dial(
        "bump",
        "px",
        0.0,
        0.0,
        10.0,
        "The outline is pushed outward further at one place, a width of 0.09 sides.",
        "chosen: the paper shows such a failure without numbers; 4 to 10 px imitate it",
        null=0.0,
    ),
    Dial(
        "local_scale",
        "share",
        0.0,
        0.0,
        0.3,
        "One half of the object is stretched more along its long axis.",
        "chosen: the paper names changes of local scale as its limit, without numbers",
        null=0.0,
    ),
)


def draw(
    n: int,
    seed: int,
    *,
    scene: str = "synthetic",
    coherence: float = 1.0,
    amplitude: float = 6.0,
    intensity_gap: float = 1.0,
    bias: float = 0.35,
    noise: float = 3.0,
    bump: float = 0.0,
    local_scale: float = 0.0,
) -> pd.DataFrame:
    """Draw the parameters of every pair; see :func:`phantom`.

    Returns:
        One row a pair: case, cluster (the pair itself), scene, row, column (centre, share of the
        side), angle (radians), ellipse_long, ellipse_short (share of the side), gamma,
        bump_angle (radians), dials, seed.
    """
    rng = stream(seed, DATASET, scene)
    names = [f"pair-{i:03d}" for i in range(n)]
    return pd.DataFrame(
        {
            "case": names,
            "cluster": names,
            "scene": scene,
            "row": 0.5 + 0.01 * rng.standard_normal(n),
            "column": 0.5 + 0.01 * rng.standard_normal(n),
            # the long axis lies along the columns, give or take 0.3 radians
            "angle": np.pi / 2 + rng.uniform(-0.3, 0.3, n),
            "ellipse_long": 0.36,
            "ellipse_short": 0.26,
            "gamma": np.exp(intensity_gap * np.log(rng.uniform(0.7, 1.4, n))),
            "bump_angle": rng.uniform(0, 2 * np.pi, n),
            "coherence": coherence,
            "amplitude": amplitude,
            "intensity_gap": intensity_gap,
            "bias": bias,
            "noise": noise,
            "bump": bump,
            "local_scale": local_scale,
            "seed": case_seeds(n, rng),
        }
    )


def render(row: Mapping[str, Any], *, size: int = 128) -> Case:
    """Render one pair from its row; the same row gives the same bits.

    Args:
        row: one row of :func:`draw`.
        size: side (pixels).

    Returns:
        Channels reference and target; targets ``mask`` and ``regions`` (2, size, size) of both;
        ``info`` holds ``displacement`` (2, size, size; px): the target at x + v(x) shows what the
        reference shows at x; and ``ventricle``, the code of the thin region.
    """
    shapes, motion, light, camera = np.random.default_rng(int(row["seed"])).spawn(4)
    kind = str(row["scene"])
    codes, outline = scene(row, size, shapes)
    field = deformation(row, size, outline, motion)
    moved: Codes = warp(codes, inverse(field), order=0, outside=0).astype(np.uint8)
    first = np.array(_REFERENCE[kind], np.float32)
    second = first + row["intensity_gap"] * (np.array(_TARGET[kind], np.float32) - first)
    images = np.stack(
        [_shine(codes, first, size), _shine(moved, second, size) ** float(row["gamma"])]
    )
    slow = bias_field((size, size), 1.0, light)
    slow = np.log(slow) / np.abs(np.log(slow)).max()
    images[1] *= 1 + row["bias"] * slow
    images += row["noise"] / 255 * camera.standard_normal(images.shape)
    regions = np.stack([codes, moved])
    return Case(
        case=row["case"],
        cluster=row["cluster"],
        image=np.clip(images, 0, 1).astype(np.float32),
        target={"mask": regions > 0, "regions": regions},
        info={"displacement": field, "ventricle": VENTRICLE[kind], "seed": int(row["seed"])},
    )


def _shine(codes: Codes, levels: NDArray[np.float32], size: int) -> Field:
    """Give each region its grey level and soften the edges by half a pixel of 128."""
    return np.clip(gaussian_filter(levels[codes] / 255, 0.5 * size / 128), 0, 1)


def ions(
    case: Case, n: int = 1000, *, specific: float = 0.06, noise: float = 0.6
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Make the ion images of a pair's target, some of which mark the ventricle.

    1. ion_k = sum_j c_kj f_j + s_k V + N(0, ``noise``), with 20 smooth fields f_j, weights c of
       unit length, and V the ventricle's mask in the target;
    2. a share ``specific`` of the ions has s_k from U(0.2, 1), the others N(0, 0.08).

    Args:
        case: a pair; its own seed makes the ions, so the same case gives the same ions.
        n: number of ions; ranks of 45 inside the top 5 % imply 900 or more.
        specific: share of specific ions; 0 leaves none.
        noise: standard deviation of the noise of each ion, relative to its smooth part.

    Returns:
        (n, size, size) images and (n,) specificities s.

    Raises:
        ValueError: ``n`` is below 1, the share is not in [0, 1], or the noise is negative.
    """
    if n < 1 or not 0 <= specific <= 1 or noise < 0:
        raise ValueError(
            "`n` must be at least 1, `specific` in [0, 1] and `noise` 0 or more, got "
            f"{n!r}, {specific!r}, {noise!r}."
        )
    rng = stream(case.info["seed"], DATASET, "ions")
    ventricle = case.target["regions"][1] == case.info["ventricle"]
    shape = ventricle.shape
    smooth = np.stack([smooth_noise(shape, 0.12 * shape[0], rng) for _ in range(20)])
    weights = rng.standard_normal((n, 20)).astype(np.float32)
    weights /= np.linalg.norm(weights, axis=1, keepdims=True)
    marked = rng.permutation(n) < round(specific * n)
    strength = np.where(marked, rng.uniform(0.2, 1, n), 0.08 * rng.standard_normal(n))
    images = np.tensordot(weights, smooth, axes=1)
    images += strength[:, None, None].astype(np.float32) * ventricle
    images += noise * rng.standard_normal(images.shape, dtype=np.float32)
    return images, strength


def phantom(
    n: int,
    seed: int,
    *,
    size: int = 128,
    scene: str = "synthetic",
    coherence: float = 1.0,
    amplitude: float = 6.0,
    intensity_gap: float = 1.0,
    bias: float = 0.35,
    noise: float = 3.0,
    bump: float = 0.0,
    local_scale: float = 0.0,
) -> Cases:
    """Make pairs of images of one object, rigidly aligned already.

    1. the reference is an ellipse (semi-axes 0.36 and 0.26 sides, turned by U(-0.3, 0.3)) with two
       disks and a thin segment, as the paper describes its synthetic pair; or, as ``brain``, an
       outline with low bumps, seven inner regions and a thin ventricle;
    2. v = sqrt(rho) v_coh + sqrt(1 - rho) v_int, rho = ``coherence``: v_coh smooth (sigma 0.18
       sides) and of mean 0 over the object, v_int smooth (0.06) and 0 on the outline; each
       scaled so that its longest vector inside is ``amplitude``, and less where the
       derivative would pass 0.85;
    3. a bump about one place of the boundary and the stretch of one half may be added;
    4. the target shows at q what the reference shows at q + w(q), w the inverse of v;
    5. grey levels by region, those of the target mixed by ``intensity_gap`` between the
       reference's and others of partly inverted order, to the power gamma from U(0.7, 1.4);
       a slow field of +-``bias``; noise.

    Args:
        n: pairs, one case each.
        seed: seed of the phantom.
        size: side (pixels).
        scene: ``synthetic`` or ``brain``.
        coherence: see :data:`DIALS`.
        amplitude: see :data:`DIALS` (px of 128).
        intensity_gap: see :data:`DIALS`.
        bias: see :data:`DIALS`.
        noise: see :data:`DIALS`.
        bump: see :data:`DIALS` (px of 128).
        local_scale: see :data:`DIALS`.

    Returns:
        Cases with image (2, size, size), reference then target, and targets mask (bool) and
        regions (codes) of both; the true deformation is in ``info``. :func:`ions` makes the ion
        images of a case.

    Raises:
        ValueError: the scene is unknown, a dial is outside its range, or the side is below 48.
    """
    dials = {
        "coherence": coherence,
        "amplitude": amplitude,
        "intensity_gap": intensity_gap,
        "bias": bias,
        "noise": noise,
        "bump": bump,
        "local_scale": local_scale,
    }
    check(DIALS, dials)
    if scene not in SCENES:
        raise ValueError(f"`scene` must be one of {', '.join(SCENES)}, got {scene!r}.")
    if size < 48:
        raise ValueError(f"`size` must be at least 48, got {size!r}. The segment would vanish.")
    return Cases(draw(n, seed, scene=scene, **dials), partial(render, size=size))
