"""Phantom of photographs of sliced lung specimens with a tumour, from two laboratories.

A case is one photograph of one slice; the independent unit is the patient, whose slices share
colours, outline and tumour. What a slice shows and how it is photographed
live in modules of their own.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common.datasets.cases import Case, Cases
from common.datasets.gross_lung_phantom_photo import AGAR, blend, colour, expose, ground, lakes
from common.datasets.gross_lung_phantom_specimen import (
    FIELD_MM,
    add_tumour,
    anatomy,
    parenchyma,
)
from common.phantoms.dials import Dial, check
from common.phantoms.draws import allocate, case_seeds, classes, stream
from common.phantoms.shapes import soft

DATASET = "gross-lung-phantom"
SITES = ("A", "B")
PHOTOGRAPHY = ("own", "swapped", "A", "B")
NECROSIS = ("none", "enclosed", "open")
RANGE = (0.0, 1.0)
QUICK = {"n": 15, "size": 128, "slices": 3}
PATIENTS = {"A": 9, "B": 6}
IMAGES = {"A": 64, "B": 52}
# median radius of the tumour (mm), for tumours of 8 and 16 % of the pixels
_RADIUS_MM = {"A": 21.0, "B": 21.5}
_TISSUE = (0.62, 0.40, 0.36)
_ADENO = 0.2  # contrast of an adenocarcinoma relative to others

DIALS: tuple[Dial, ...] = (
    Dial(
        "contrast",
        "1",
        0.25,
        0.0,
        0.6,
        "Tumours are paler than tissue by this distance of colour (0 to 1 a channel); "
        "adenocarcinomas by a fifth of it.",
        "chosen: the paper prints no colours, but shows adenocarcinomas as hardly visible",
        null=0.0,
    ),
    Dial(
        "p_adeno",
        "share",
        2 / 15,
        0.0,
        1.0,
        "Share of patients with an adenocarcinoma, of low contrast and without a sharp edge.",
        "paper, Sections 3.2 and 4: two of 15 patients",
        null=0.0,
    ),
    Dial(
        "necrosis",
        "share",
        0.5,
        0.0,
        1.0,
        "Share of tumours with a dark necrotic core, which belongs to the tumour.",
        "chosen: the paper says several, without a number",
        null=0.0,
    ),
    Dial(
        "necrosis_open",
        "share",
        0.4,
        0.0,
        1.0,
        "Share of the necrotic cores that reach the edge of the tumour and are not enclosed.",
        "chosen: the paper shows both kinds, without a number",
        null=0.0,
    ),
    Dial(
        "halo",
        "share",
        0.6,
        0.0,
        1.0,
        "Share of patients whose tissue around the tumour is red for want of fixation.",
        "chosen: the paper names such zones, without a number",
        null=0.0,
    ),
    Dial(
        "blood",
        "1",
        1.0,
        0.0,
        4.0,
        "Factor on the number of blood spots in the tissue, which have the colour of necrosis.",
        "chosen: 4 spots a slice on average",
        null=0.0,
    ),
    Dial(
        "disturbance",
        "1",
        1.0,
        0.0,
        2.0,
        "Factor on what spoils the pictures of B: uneven light, tint, glare, blur and camera "
        "height.",
        "paper, Section 2.1: ordinary light, moisture and reflections in B; 30 % of light, 20 "
        "to 60 spots and heights of 0.7 to 1.4 are chosen",
        null=0.0,
    ),
    Dial(
        "tumour_size",
        "1",
        1.0,
        0.4,
        1.4,
        "Factor on the radius of tumours.",
        "rebuilt from the paper's Tables 4 and 5 (global accuracy, recall and IoU): tumours fill "
        "about 8 % of the pixels in A and 16 % in B",
    ),
)


def draw(
    n: int,
    seed: int,
    *,
    site: str = "both",
    photography: str = "own",
    slices: int | None = None,
    contrast: float = 0.25,
    p_adeno: float = 2 / 15,
    necrosis: float = 0.5,
    necrosis_open: float = 0.4,
    halo: float = 0.6,
    blood: float = 1.0,
    disturbance: float = 1.0,
    tumour_size: float = 1.0,
) -> pd.DataFrame:
    """Draw the parameters of every photograph; see :func:`phantom`.

    Returns:
        One row a photograph: case, cluster (patient), site, photo (whose camera), subtype, delta
        (distance of colour), tissue_0 to tissue_2, radius_mm, necrosis (kind), halo, z (place of
        the slice in the tumour, -1 to 1), field_mm, bench, ruler, light_angle, light, cast_*,
        glare, blur_mm, blood (spots), patient_seed, seed.
    """
    rng = stream(seed, DATASET, site)
    share = [float(site in ("both", name)) * PATIENTS[name] for name in SITES]
    at = np.sort(classes(n, share, rng))
    adeno = rng.permutation(n) < round(p_adeno * n)
    kinds = classes(n, _necrosis_shares(necrosis, necrosis_open), rng)
    patients = pd.DataFrame(
        {
            "cluster": [f"patient-{i:02d}" for i in range(n)],
            "site": np.array(SITES)[at],
            "subtype": np.where(adeno, "adenocarcinoma", "other"),
            "delta": contrast
            * np.clip(1 + 0.2 * rng.standard_normal(n), 0.4, 1.6)
            * np.where(adeno, _ADENO, 1.0),
            **{f"tissue_{i}": _TISSUE[i] + 0.05 * rng.standard_normal(n) for i in range(3)},
            "radius_mm": tumour_size
            * np.array([_RADIUS_MM[s] for s in SITES])[at]
            * np.exp(np.clip(0.25 * rng.standard_normal(n), -0.5, 0.5)),
            "necrosis": np.array(NECROSIS)[kinds],
            "halo": rng.permutation(n) < round(halo * n),
            "patient_seed": case_seeds(n, rng),
        }
    )
    who = np.repeat(np.arange(n), _slices(at, slices))
    table = patients.iloc[who].reset_index(drop=True)
    number = np.arange(len(who)) - np.searchsorted(who, who)
    per_patient = np.bincount(who, minlength=n)[who]
    # slices lie evenly through the tumour, give or take part of their distance
    spread = (number + 0.5 + rng.uniform(-0.3, 0.3, len(who))) / per_patient
    table.insert(
        0, "case", [f"{c}-slice-{i}" for c, i in zip(table["cluster"], number, strict=True)]
    )
    table["z"] = 1.7 * (spread - 0.5)
    table["blood"] = rng.poisson(4 * blood, len(who))
    table["seed"] = case_seeds(len(who), rng)
    return table.assign(**_photographs(table["site"].to_numpy(), photography, disturbance, rng))


def _necrosis_shares(necrosis: float, opened: float) -> list[float]:
    return [1 - necrosis, necrosis * (1 - opened), necrosis * opened]


def _slices(at: NDArray[np.int64], slices: int | None) -> NDArray[np.int64]:
    """Give the number of slices of each patient; as printed where none is asked for."""
    if slices is not None:
        return np.full(len(at), slices)
    found = np.zeros(len(at), np.int64)
    for code, name in enumerate(SITES):
        here = np.flatnonzero(at == code)
        total = round(IMAGES[name] / PATIENTS[name] * len(here))
        if len(here):
            found[here] = allocate(total, np.ones(len(here)))
    return found


def _photographs(
    site: NDArray[np.object_], photography: str, disturbance: float, rng: np.random.Generator
) -> dict[str, Any]:
    """Draw how each slice is prepared and photographed."""
    m = len(site)
    other = {"own": {"A": "A", "B": "B"}, "swapped": {"A": "B", "B": "A"}}
    photo = np.array([other.get(photography, {}).get(s, photography) for s in site], dtype=object)
    bad = disturbance * (photo == "B")
    height = rng.uniform(np.log(0.7), np.log(1.4), m)
    return {
        "photo": photo.astype(str),
        # a camera further away sees a larger field
        "field_mm": np.array([FIELD_MM[s] for s in site]) * np.exp(np.clip(bad, 0, 1) * -height),
        "bench": rng.integers(0, 4, m) * (photo == "B"),
        "ruler": (rng.random(m) < 0.6) & (photo == "B"),
        "light_angle": rng.uniform(0, 2 * np.pi, m),
        "light": 0.3 * bad * rng.uniform(0.4, 1, m),
        **{f"cast_{i}": 0.07 * bad * rng.standard_normal(m) for i in range(3)},
        "glare": np.round(bad * rng.integers(20, 61, m)).astype(int),
        "blur_mm": 0.6 * bad * rng.uniform(0, 1, m),
    }


def render(row: Mapping[str, Any], *, size: int = 128) -> Case:
    """Render one photograph from its row; the same row gives the same bits.

    Args:
        row: one row of :func:`draw`.
        size: side (pixels).

    Returns:
        The photograph and the tumour's ``mask`` with its necrosis; ``info`` holds the masks
        ``specimen`` and ``necrosis``, the kind of necrosis and the subtype.
    """
    # the same patient is built for each of its slices, so that they resemble each other
    body, shape_rng = np.random.default_rng(int(row["patient_seed"])).spawn(2)
    cut, paint, film = np.random.default_rng(int(row["seed"])).spawn(3)
    outline, tumour, core = anatomy(row, size, shape_rng, cut)
    specimen = soft(outline)
    image = ground(row, size, paint)
    tissue = parenchyma(row, size, outline, tumour, body, paint)
    blend(image, specimen, tissue)
    agar = lakes(row, specimen * soft(-tumour), paint)
    blend(image, agar, colour(AGAR))
    add_tumour(image, row, specimen, tumour, core, paint)
    mask = (tumour > 0) & (outline > 0)
    px_mm = row["field_mm"] / size
    return Case(
        case=row["case"],
        cluster=row["cluster"],
        image=expose(image, row, specimen, film),
        target={"mask": mask},
        spacing_mm=(px_mm, px_mm),
        site=row["site"],
        info={
            "specimen": outline > 0,
            "necrosis": (core > 0) & mask,
            "necrosis_kind": row["necrosis"],
            "subtype": row["subtype"],
        },
    )


def phantom(
    n: int,
    seed: int,
    *,
    size: int = 128,
    site: str = "both",
    photography: str = "own",
    slices: int | None = None,
    contrast: float = 0.25,
    p_adeno: float = 2 / 15,
    necrosis: float = 0.5,
    necrosis_open: float = 0.4,
    halo: float = 0.6,
    blood: float = 1.0,
    disturbance: float = 1.0,
    tumour_size: float = 1.0,
) -> Cases:
    """Make photographs of the slices of specimens from one or two laboratories.

    1. patients of A and B as 9 to 6, with 64 and 52 slices at 15 patients (Table 1);
    2. a specimen is a blob of low harmonics in a picture of 116 (A) or 90 mm (B); a tumour an
       ellipsoid of radius R lognormal (median 21 and 21.5 mm, sd 0.25) with a bumpy outline, cut at
       z: r = R sqrt(1 - z^2); R and field are set so that tumours fill about 8 % (A) and 16 % (B)
       of the pixels, as the printed accuracy, recall and IoU imply;
    3. a tumour is paler than its tissue by N(1, 0.2) x ``contrast``; adenocarcinomas by a fifth,
       mixed into the tissue without an edge;
    4. necrosis: a dark core of half the radius at the tumour's centre or open to its edge; blood
       spots of the same colour anywhere; a red halo;
    5. A lies in agar, which also fills gaps, under even light; B on metal with holes or a board,
       with a ruler, light +-30 %, tint, 20 to 60 spots of glare, blur and heights of 0.7 to 1.4.

    Args:
        n: patients; 7.1 photographs each in A and 8.7 in B, or ``slices``.
        seed: seed of the phantom.
        size: side (pixels); the paper's pixels are 0.1 mm.
        site: ``both``, ``A`` or ``B``.
        photography: ``own``; ``swapped`` gives each site's anatomy the other's preparation and
            camera; ``A`` or ``B`` gives all the same.
        slices: photographs of each patient; the printed numbers by default.
        contrast: see :data:`DIALS`.
        p_adeno: see :data:`DIALS`.
        necrosis: see :data:`DIALS`.
        necrosis_open: see :data:`DIALS`.
        halo: see :data:`DIALS`.
        blood: see :data:`DIALS`.
        disturbance: see :data:`DIALS`.
        tumour_size: see :data:`DIALS`.

    Returns:
        Cases with image (3, size, size) and target mask (size, size), the tumour.

    Raises:
        ValueError: site or photography is unknown, a dial is outside its range, there is no
            slice, or the side is below 48.
    """
    dials = {
        "contrast": contrast,
        "p_adeno": p_adeno,
        "necrosis": necrosis,
        "necrosis_open": necrosis_open,
        "halo": halo,
        "blood": blood,
        "disturbance": disturbance,
        "tumour_size": tumour_size,
    }
    check(DIALS, dials)
    if site not in ("both", *SITES):
        raise ValueError(f"`site` must be one of both, A, B, got {site!r}.")
    if photography not in PHOTOGRAPHY:
        raise ValueError(
            f"`photography` must be one of {', '.join(PHOTOGRAPHY)}, got {photography!r}."
        )
    if size < 48 or (slices is not None and slices < 1):
        raise ValueError(
            f"`size` must be at least 48 and `slices` 1, got {size!r} and {slices!r}. Raise them."
        )
    table = draw(n, seed, site=site, photography=photography, slices=slices, **dials)
    return Cases(table, partial(render, size=size))
