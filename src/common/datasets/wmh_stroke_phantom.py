"""Phantom of FLAIR volumes with white matter hyperintensities and ischaemic strokes.

Four protocols imitate good three-dimensional and poorer two-dimensional scans; cortical strokes
differ from subcortical ones in size, shape and place, each of which can be switched off.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common.datasets.cases import Case, Cases
from common.datasets.glioma_phantom_brain import (
    CSF,
    GREY,
    OUTSIDE,
    SEMI_AXES_MM,
    WHITE,
    Points,
    brain,
)
from common.datasets.wmh_stroke_phantom_dials import DIALS
from common.datasets.wmh_stroke_phantom_lesions import stroke, wmh
from common.phantoms import noise as scanner
from common.phantoms.dials import check
from common.phantoms.draws import case_seeds, classes, stream
from common.phantoms.fields import Field, bias_field
from common.phantoms.lesions import nested

DATASET = "wmh-stroke-phantom"
CLASSES = ("background", "WMH", "stroke")
RANGE = (0.0, 1.0)
QUICK = {"n": 24, "size": 40}
STROKES = ("none", "subcortical", "cortical", "both")
PROTOCOLS = ("P1", "P2", "P3", "P4")
FIELD_MM = 160.0
# cases of each stroke type, and of protocols P2 to P4, in the printed parts
PARTS = {
    "train": {"stroke": (16, 71, 74, 1), "edge": (3, 4, 5)},
    "test": {"stroke": (7, 62, 57, 9), "edge": (56, 2, 3)},
}
# thickness and gap of slices (mm), lesion contrast, signal over noise
_SCAN = {
    "P1": (1.0, 0.0, 1.0, 25.0),
    "P2": (5.0, 1.0, 0.75, 12.0),
    "P3": (5.0, 1.5, 0.70, 12.0),
    "P4": (4.0, 0.0, 0.60, 12.0),
}
_LEVEL = {OUTSIDE: 0.0, CSF: 0.2, GREY: 1.15, WHITE: 1.0}
_SCALE = 0.4
_MEAN_MM3 = {"subcortical": 2903.0, "cortical": 6414.0}
_LOG_SD = 1.1
_SIZES_MM3 = (100.0, 60_000.0)


def draw(
    n: int,
    seed: int,
    *,
    part: str = "train",
    edge_share: float = 12 / 162,
    protocol_gap: float = 1.0,
    pitch: float = 1.0,
    volume_gap: float = 1.0,
    shape_gap: float = 1.0,
    location_gap: float = 1.0,
    likeness: float = 1.0,
    wmh_volume: float = 1.2,
    cavity: float = 0.25,
    noise: float = 1.0,
    bias: float = 0.15,
) -> pd.DataFrame:
    """Draw the parameters of every volume; see :func:`phantom` for the arguments.

    Returns:
        One row a patient: case, cluster, site (protocol), stroke, lesion and scan parameters,
        seed.
    """
    rng = stream(seed, DATASET, part)
    kind = np.array(STROKES)[classes(n, PARTS[part]["stroke"], rng)]
    site = np.full(n, PROTOCOLS[0], dtype=object)
    able = rng.permutation(np.flatnonzero(kind != "none"))
    edge = able[: round(edge_share * n)]
    site[edge] = np.array(PROTOCOLS[1:])[classes(len(edge), PARTS[part]["edge"], rng)]
    deep, ratio = _MEAN_MM3["subcortical"], _MEAN_MM3["cortical"] / _MEAN_MM3["subcortical"]
    size = np.exp(_LOG_SD * rng.standard_normal((2, n)) - _LOG_SD**2 / 2)
    axes = np.array(SEMI_AXES_MM)[:, None] * rng.normal(1, 0.05, (3, n)).clip(0.88, 1.12)
    log_wmh = rng.normal(np.log(wmh_volume), 0.8, n)
    names = [f"{part}-p{i:03d}" for i in range(1, n + 1)]
    return pd.DataFrame(
        {
            "case": names,
            "cluster": names,
            "site": site.astype(str),
            "stroke": kind,
            "semi_z": axes[0],
            "semi_y": axes[1],
            "semi_x": axes[2],
            "ventricles": np.exp(rng.normal(0.15, 0.2, n)),
            "wmh_share": (np.exp(log_wmh) / 100).clip(0.0005, 0.08),
            "wmh_level": rng.normal(1.60, 0.10, n),
            "stroke_level": rng.normal(1.55 + 0.55 * (1 - likeness), 0.15, n),
            "subcortical_mm3": (deep * size[0]).clip(*_SIZES_MM3),
            "cortical_mm3": (deep * ratio**volume_gap * size[1]).clip(*_SIZES_MM3),
            "in_ribbon": rng.random(n) < location_gap,
            "cavity": rng.random(n) < cavity,
            "shape_gap": shape_gap,
            "protocol_gap": protocol_gap,
            "pitch": pitch,
            "noise": noise,
            "bias": bias,
            "seed": case_seeds(n, rng),
        }
    )


def render(row: Mapping[str, Any], *, size: int) -> Case:
    """Render one volume from its row.

    Args:
        row: from :func:`draw`.
        size: voxels across 160 mm; 40 for 4 mm, 80 for 2 mm.

    Returns:
        Image (1, size, 1.2 size, size), axes from bottom to top, front to back and right to left,
        0 outside the brain; target ``mask`` with codes of :data:`CLASSES`; ``info`` has
        ``stroke`` (type), ``icv_mm3`` (volume of the brain) and ``tissue``.
    """
    step = FIELD_MM / size
    points = _points(size)
    semi = (row["semi_z"], row["semi_y"], row["semi_x"])
    found = brain(points, row["seed"], semi_axes_mm=semi, ventricle_scale=float(row["ventricles"]))
    rng = np.random.default_rng(row["seed"])
    inside = found.tissue != OUTSIDE
    mask = wmh(found, points, row["wmh_share"] * inside.sum(), step, rng).astype(np.uint8)
    kinds = {"none": (), "both": ("subcortical", "cortical")}.get(row["stroke"], (row["stroke"],))
    lesion = np.zeros(mask.shape, bool)
    for kind in kinds:
        lesion |= stroke(found, points, row, kind, step, rng)
    mask[lesion] = 2
    image = _scan(_signal(found.tissue, mask, row), inside, row, step, rng)
    return Case(
        case=row["case"],
        cluster=row["cluster"],
        image=image[None],
        target={"mask": mask},
        spacing_mm=(step, step, step),
        site=row["site"],
        info={
            "stroke": row["stroke"],
            "icv_mm3": float(inside.sum() * step**3),
            "tissue": found.tissue,
        },
    )


def _points(size: int) -> Points:
    """Coordinates (mm) of voxel centres around the middle of the brain, as open arrays."""
    step = FIELD_MM / size
    sides = (size, round(1.2 * size), size)
    axes = [(np.arange(n) - (n - 1) / 2) * step for n in sides]
    return list(np.meshgrid(*axes, indexing="ij", sparse=True))


def _signal(tissue: NDArray[np.uint8], mask: NDArray[np.uint8], row: Mapping[str, Any]) -> Field:
    """Look up levels; lesions stand out by the protocol's share of their contrast."""
    levels = np.array([_LEVEL[code] for code in range(4)], np.float32)
    image = levels[tissue]
    contrast = 1 + row["protocol_gap"] * (_SCAN[row["site"]][2] - 1)
    for code, name in ((1, "wmh_level"), (2, "stroke_level")):
        image[mask == code] = 1 + contrast * (row[name] - 1)
    if row["cavity"] and (mask == 2).sum() > 8:
        image[nested(mask == 2, (0.65, 0.35)) == 2] = 0.35
    return image


def _scan(
    image: Field,
    inside: NDArray[np.bool_],
    row: Mapping[str, Any],
    step: float,
    rng: np.random.Generator,
) -> Field:
    """Blur, slices, coil field and noise of the protocol."""
    gap = row["protocol_gap"] * (row["site"] != "P1")
    thick, between, _, ratio = _SCAN[row["site"]]
    best = _SCAN["P1"][3]
    sd = row["noise"] / (best + min(gap, 1.5) * (ratio - best))
    image = scanner.blur(image, 0.35)
    if gap > 0:
        reach = np.array([thick, thick + between]) * row["pitch"] * gap
        weights = slice_operator(len(image), step, reach[0], reach[1])
        image = np.tensordot(weights, image, axes=(1, 0)).astype(np.float32)
    image = image * bias_field(image.shape, row["bias"], rng) * inside
    image = scanner.rician(image, sd, rng) * inside
    return np.clip(_SCALE * image, 0, 1).astype(np.float32)


def slice_operator(n: int, step: float, thickness: float, pitch: float) -> NDArray[np.float32]:
    """Build the matrix that averages over thick slices and interpolates back to the grid.

    1. Slice j averages what lies within ``thickness`` around its centre j ``pitch``;
    2. the value between two centres is linear.

    Args:
        n: number of planes of the grid.
        step: distance of planes (mm).
        thickness: of a slice (mm).
        pitch: distance of slice centres (mm).

    Returns:
        (n, n) weights; each row sums to 1.

    Example:
        >>> slice_operator(4, 1.0, 2.0, 2.0)[0].tolist()
        [0.5, 0.5, 0.0, 0.0]
    """
    place = np.arange(n) * step
    count = max(1, int(np.ceil(n * step / pitch)))
    centre = (np.arange(count) + 0.5) * pitch - step / 2
    edges = np.stack([place - step / 2, place + step / 2])
    low = np.maximum(edges[0], centre[:, None] - thickness / 2)
    high = np.minimum(edges[1], centre[:, None] + thickness / 2)
    box = np.maximum(high - low, 0)
    box /= np.maximum(box.sum(1, keepdims=True), 1e-9)
    back = np.stack([np.interp(place, centre, row) for row in np.eye(count)], axis=1)
    return (back @ box).astype(np.float32)


def phantom(
    n: int,
    seed: int,
    *,
    size: int = 40,
    part: str = "train",
    edge_share: float = 12 / 162,
    protocol_gap: float = 1.0,
    pitch: float = 1.0,
    volume_gap: float = 1.0,
    shape_gap: float = 1.0,
    location_gap: float = 1.0,
    likeness: float = 1.0,
    wmh_volume: float = 1.2,
    cavity: float = 0.25,
    noise: float = 1.0,
    bias: float = 0.15,
) -> Cases:
    """Generate FLAIR volumes; each of ``n`` patients has one case.

    1. Brain of semi-axes 60, 85, 70 mm (± 5 %), about 1.5 l (printed volumes and shares imply
       1.53 to 1.56 l); levels: white 1, grey 1.15, CSF 0.2, outside 0.
    2. WMH: white matter with the highest exp(-distance to the ventricles / 8 mm) + 0.3 f, f waves
       that are alike on both sides, and few deep spots; volume lognormal, median ``wmh_volume``,
       log sd 0.8, within 0.05-8 %; level N(1.60, 0.10).
    3. Stroke types in the printed proportions of the part (none, subcortical, cortical, both:
       16, 71, 74, 1 of 162 for training, 7, 62, 57, 9 of 135 in the test); volumes lognormal, log
       sd 1.1, means 2,903 and 6,414 mm³; level N(1.55, 0.15); a dark centre with probability
       ``cavity``. See :mod:`common.datasets.wmh_stroke_phantom_lesions`.
    4. Protocol: P1 but for ``edge_share`` of the cases, which have P2, P3 and P4 as 3 : 4 : 5
       (training) or 56 : 2 : 3 (test); cases without stroke are always P1. Slices of the printed
       thickness and gap, see :func:`slice_operator`; lesion contrast and noise.
    5. Scanner: blur, coil field, Rician noise.

    Training set 1 of the paper is set 2 without P2 to P4: ``cases.where(table.site == "P1")``. Its
    switches: ``match_volume`` is ``volume_gap=0``, ``match_shape`` is ``shape_gap=0``, both leave
    the location alone as a difference.

    Args:
        n: number of patients.
        seed: seed of the phantom.
        size: voxels across 160 mm; 40 for 4 mm.
        part: whose proportions, ``train`` or ``test``; the parts have patients of their own.
        edge_share: see :data:`DIALS`, as all that follow.
        protocol_gap: quality of P2 to P4.
        pitch: thickness and gap of slices.
        volume_gap: size of cortical strokes.
        shape_gap: roughness of cortical strokes.
        location_gap: place of cortical strokes.
        likeness: strokes as bright as WMH.
        wmh_volume: volume of WMH.
        cavity: strokes with a dark centre.
        noise: Rician noise.
        bias: coil field.

    Returns:
        Cases in the order of patients.

    Raises:
        ValueError: a dial is out of its range, or ``part`` is unknown.
    """
    if part not in PARTS:
        raise ValueError(f"`part` must be one of {', '.join(PARTS)}, got {part!r}.")
    dials = {
        "edge_share": edge_share,
        "protocol_gap": protocol_gap,
        "pitch": pitch,
        "volume_gap": volume_gap,
        "shape_gap": shape_gap,
        "location_gap": location_gap,
        "likeness": likeness,
        "wmh_volume": wmh_volume,
        "cavity": cavity,
        "noise": noise,
        "bias": bias,
    }
    check(DIALS, dials)
    return Cases(draw(n, seed, part=part, **dials), partial(render, size=size))
