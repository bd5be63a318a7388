"""CHAOS, CT set 3: every fifth slice of one abdominal CT, with the liver drawn on all 78.

Slices are DICOM of 512 x 512 pixels (``i0010,0000b.dcm``), masks one-bit PNG with the same number
(``liver_GT_010.png``). Centres of neighbouring slices lie 2 mm apart, slices are 3.2 mm thick and
so overlap; the table goes from head to foot. Sixteen slices are enough for work in two dimensions,
not in three. All slices are one patient and so one cluster.

Source: Kavur et al., CHAOS challenge, doi 10.5281/zenodo.3431873.
"""

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from common import manifests
from common.datasets.cases import Case, Cases
from common.datasets.files import read_dicom, require_files
from common.datasets.image_pairs import misfit, read_mask

DATASET = "chaos-ct"
PATIENT = "ct-set-3"

_SLICE = re.compile(r"i(\d{4}),0000b")
_MASK = re.compile(r"liver_GT_(\d{3})")


def load(folder: Path | None = None, *, every_mask: bool = False) -> Cases:
    """List the slices with their liver masks.

    Args:
        folder: the data set's folder, with ``Data_3D/DICOM_anon`` and ``Data_3D/Ground``; where it
            lies by default.
        every_mask: list the masks without a slice too, with image ``None``.

    Returns:
        Cases with image (1, 512, 512) float32 in Hounsfield units and ``mask``; spacing of rows
        and columns in mm; ``z_mm`` in ``info``, the position along the body. The table has
        ``slice`` (number from 0), ``image`` (empty where there is none) and ``mask``.

    Raises:
        ReplicateError: the files are absent, one has an unknown name, or a slice has no mask.
    """
    folder = manifests.require(DATASET, folder)
    slices = _numbered(folder, "Data_3D/DICOM_anon/*.dcm", _SLICE)
    masks = _numbered(folder, "Data_3D/Ground/*.png", _MASK)
    for number, name in slices.items():
        if number not in masks:
            raise misfit(folder / name, "have a mask of its number", "none", dataset=DATASET)
    rows = [
        {
            "case": f"{PATIENT}-{number:03d}",
            "cluster": PATIENT,
            "slice": number,
            "image": slices.get(number, ""),
            "mask": name,
        }
        for number, name in masks.items()
        if every_mask or number in slices
    ]
    return Cases(pd.DataFrame(rows), partial(_read, folder=folder))


def _numbered(folder: Path, pattern: str, form: re.Pattern[str]) -> dict[int, str]:
    """List files by the number in their names, relative to the folder."""
    found = {}
    for path in require_files(folder, pattern, dataset=DATASET):
        name = form.fullmatch(path.stem)
        if name is None:
            raise misfit(path, f"be named like {form.pattern}", path.name, dataset=DATASET)
        found[int(name[1])] = path.relative_to(folder).as_posix()
    return found


def _read(row: Mapping[str, Any], *, folder: Path) -> Case:
    mask_path = folder / row["mask"]
    if not row["image"]:
        mask = read_mask(mask_path, None, dataset=DATASET)
        return Case(row["case"], row["cluster"], None, {"mask": mask})
    path = folder / row["image"]
    volume = read_dicom(path)
    if volume.array.ndim != 2:
        raise misfit(path, "hold one grey slice", volume.array.shape, dataset=DATASET)
    mask = read_mask(mask_path, volume.array.shape, dataset=DATASET)
    info = {} if volume.origin_mm is None else {"z_mm": volume.origin_mm[2]}
    return Case(
        row["case"],
        row["cluster"],
        volume.array[None],
        {"mask": mask},
        spacing_mm=volume.spacing_mm,
        info=info,
    )
