"""HECKTOR 2021, training part: head and neck tumours of 224 patients in CT and PET.

``hecktor_nii`` holds ``CHUM001_ct.nii.gz``, ``_pt`` and ``_gtvt`` (primary tumour) of each patient.
CT and PET have grids of their own, so that a case is resampled, as the organisers do, into the box
that ``hecktor2021_bbox_training.csv`` gives for the patient: 144 mm along every axis, in
millimetres to the left, to the back and to the head. The letters of a patient's name tell the
centre, which is given as site. Images are interpolated linearly (the organisers: cubic splines),
the mask by the nearest voxel. Outside a scan CT is air and PET 0.
"""

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common import manifests
from common.datasets.cases import Case, Cases
from common.datasets.decathlon import label_map, require_same_grid
from common.datasets.files import Volume, read_nifti, read_rows
from common.datasets.image_pairs import misfit
from common.datasets.volume_files import by_key, require_partners

DATASET = "hecktor2021"
CLASSES = ("background", "primary tumour")
CHANNELS = ("ct", "pt")

_AIR_HU = -1024.0
_BOXES = "hecktor2021_bbox_training.csv"
_CORNERS = ("x1", "y1", "z1", "x2", "y2", "z2")
_WIDEST_MM = 1000


def load(folder: Path | None = None, *, spacing_mm: float = 1.0) -> Cases:
    """List the patients.

    Args:
        folder: where the files are; by default where the manifest's files were found.
        spacing_mm: distance of voxel centres of the resampled box, along every axis.

    Returns:
        Cases with the columns ``case, cluster`` (the patient), ``site`` (the centre), ``ct``,
        ``pt``, ``mask`` and the box's corners ``x1`` to ``z2`` in mm. A case has the image
        (2, x, y, z) float32, CT in Hounsfield units and PET as stored, ``mask`` (x, y, z) bool,
        and spacing; the axes go to the left, to the back and to the head.

    Raises:
        ReplicateError: no file is there, a name is unknown, or a patient lacks a file or a sound
            box. When a case is read: mask and CT differ in grid, the mask holds anything but 0
            and 1, or the box holds none of the tumour.
        ValueError: the spacing is not positive.

    Source:
        Andrearczyk et al. 2021; Oreiller et al. 2022, doi 10.1016/j.media.2021.102336.
    """
    if not 0 < spacing_mm < _WIDEST_MM:
        raise ValueError(f"`spacing_mm` must be positive, got {spacing_mm!r}. Choose a distance.")
    folder = manifests.require(DATASET, folder)
    files = {
        column: by_key(
            folder, f"hecktor_nii/*_{ending}.nii.gz", rf"([A-Z]+\d+)_{ending}", dataset=DATASET
        )
        for column, ending in (("ct", "ct"), ("pt", "pt"), ("mask", "gtvt"))
    }
    for column in ("pt", "mask"):
        require_partners(folder, files["ct"], files[column], dataset=DATASET)
    boxes = _boxes(folder / _BOXES)
    rows: list[dict[str, Any]] = []
    for name in files["ct"]:
        if name not in boxes:
            raise misfit(folder / _BOXES, f"give a box for {name}", "none", dataset=DATASET)
        known = {"case": name, "cluster": name, "site": re.sub(r"\d+$", "", name)}
        paths = {column: found[name] for column, found in files.items()}
        rows.append({**known, **paths, **boxes[name]})
    return Cases(pd.DataFrame(rows), partial(_read, folder=folder, spacing_mm=spacing_mm))


def resample(
    volume: Volume, *, lower_mm: NDArray[Any], size: int, spacing_mm: float, order: int, fill: float
) -> NDArray[Any]:
    """Resample a NIfTI volume into a cube along the body's axes.

    Args:
        volume: (x, y, z) with its affine.
        lower_mm (3,): centre of the cube's first voxel: to the left, to the back, to the head.
        size: voxels along each side.
        spacing_mm: distance of voxel centres.
        order: 0 for the nearest voxel, 1 for linear interpolation.
        fill: value outside the volume.

    Returns:
        (size, size, size) of the volume's type, or float32 if interpolated.
    """
    from scipy.ndimage import affine_transform

    if volume.affine is None:
        raise ValueError("`volume` must have an affine, got none. Read it from a NIfTI file.")
    # NIfTI counts to the right and to the front
    turned = np.array([-1.0, -1.0, 1.0])
    inverse = np.linalg.inv(volume.affine)
    matrix = inverse[:3, :3] * (turned * spacing_mm)
    offset = inverse[:3, :3] @ (turned * lower_mm) + inverse[:3, 3]
    array = volume.array.astype(np.float32, copy=False) if order else volume.array
    return np.asarray(
        affine_transform(
            array, matrix, offset, (size,) * 3, order=order, mode="constant", cval=fill
        )
    )


def _boxes(path: Path) -> dict[str, dict[str, float]]:
    """Read the box of every patient."""
    found = {}
    for row in read_rows(path, ("PatientID", *_CORNERS)):
        try:
            corners = {name: float(row[name]) for name in _CORNERS}
        except ValueError:
            corners = dict.fromkeys(_CORNERS, float("nan"))
        sides = [corners[f"{axis}2"] - corners[f"{axis}1"] for axis in "xyz"]
        # not (a <= b) also refuses what is no number
        if not all(0 < side < _WIDEST_MM for side in sides) or max(sides) - min(sides) > 1:
            rule = f"give a cube in mm for {row['PatientID']}"
            raise misfit(path, rule, f"sides of {sides}", dataset=DATASET)
        found[row["PatientID"]] = corners
    return found


def _read(row: Mapping[str, Any], *, folder: Path, spacing_mm: float) -> Case:
    ct, pt = (read_nifti(folder / row[name]) for name in CHANNELS)
    mask_path = folder / row["mask"]
    mask = read_nifti(mask_path, scaled=False)
    require_same_grid(mask_path, mask, folder / row["ct"], ct)
    coded = Volume(label_map(mask_path, mask.array, (0, 1)), mask.spacing_mm, affine=mask.affine)
    box = {
        "lower_mm": np.array([row[f"{axis}1"] for axis in "xyz"], dtype=float),
        "size": max(1, round((row["x2"] - row["x1"]) / spacing_mm)),
        "spacing_mm": spacing_mm,
    }
    image = np.stack(
        [
            resample(ct, **box, order=1, fill=_AIR_HU),
            resample(pt, **box, order=1, fill=0.0),
        ]
    )
    inside = resample(coded, **box, order=0, fill=0).astype(bool)
    if coded.array.any() and not inside.any():
        rule = f"lie in the box of {row['case']} in {_BOXES}"
        raise misfit(mask_path, rule, "a tumour outside", dataset=DATASET)
    return Case(
        row["case"],
        row["cluster"],
        image,
        {"mask": inside},
        spacing_mm=(spacing_mm,) * 3,
        site=row["site"],
    )
