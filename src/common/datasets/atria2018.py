"""Atrial Segmentation Challenge 2018, training part: 100 LGE-MR scans with the left atrium.

A scan's folder holds ``lgemri.nrrd`` and ``laendo.nrrd`` (cavity of the left atrium, 0 or 255).
Scans have 88 slices of 576 or 640 pixels squared at 0.625 mm. Patients are not named and several
scans may be of one patient: a scan is its own cluster, although scans are not independent. The
folders may hold other masks and system files, which are not read.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from common import manifests
from common.datasets.cases import Case, Cases
from common.datasets.decathlon import label_map, require_same_grid
from common.datasets.files import MAX_BYTES, Volume
from common.datasets.headers import LONGEST, finite, reading, refusal, require_size, sound_spacing
from common.datasets.volume_files import case_folders, one_file

DATASET = "atria2018"
CLASSES = ("background", "left atrium")

_KIND = "NRRD file"
# gzip cannot expand data by more than a factor of 1,032
_MOST_INFLATION = 1032


def load(folder: Path | None = None) -> Cases:
    """List the scans.

    Args:
        folder: where the files are; by default where the manifest's files were found.

    Returns:
        Cases with the columns ``case, cluster``, ``image`` and ``mask``. A case has the image
        (1, z, y, x) uint8 as stored, ``mask`` (z, y, x) bool, true in the left atrium, and
        spacing.

    Raises:
        ReplicateError: no scan is there, or a scan lacks a file. When a case is read: the two
            differ in shape or spacing, or the mask holds anything but 0 and 255.

    Source:
        Xiong et al. 2021, doi 10.1016/j.media.2020.101832.
    """
    folder = manifests.require(DATASET, folder)
    rows: list[dict[str, Any]] = []
    for scan in case_folders(folder, "Training Set/*", dataset=DATASET):
        files = {
            column: one_file(scan, f"{name}.nrrd", folder=folder, dataset=DATASET)
            for column, name in (("image", "lgemri"), ("mask", "laendo"))
        }
        rows.append({"case": scan.name, "cluster": scan.name, **files})
    return Cases(pd.DataFrame(rows), partial(_read, folder=folder))


def read_nrrd(path: Path, *, max_bytes: int = MAX_BYTES) -> Volume:
    """Read a NRRD file with its data in the same file.

    Args:
        path: the file.
        max_bytes: refuse a volume that takes more memory.

    Returns:
        The volume with axes reversed to (z,) y, x, and so are spacing and origin.

    Raises:
        ReplicateError: the file is absent or damaged, its header is absurd, or its data lie in
            another file.
    """
    import SimpleITK

    with reading(path, _KIND):
        encoding = _encoding(path)
        reader = SimpleITK.ImageFileReader()
        reader.SetImageIO("NrrdImageIO")
        reader.SetFileName(str(path))
        reader.ReadImageInformation()
        channels = reader.GetNumberOfComponents()
        voxel = SimpleITK.Image([1] * reader.GetDimension(), reader.GetPixelID(), channels)
        itemsize = SimpleITK.GetArrayViewFromImage(voxel).itemsize
        shape = (*reversed(reader.GetSize()), channels)
        inflation = 1 if encoding == "raw" else _MOST_INFLATION
        require_size(path, _KIND, shape, itemsize, max_bytes=max_bytes, inflation=inflation)
        spacing = sound_spacing(path, _KIND, reversed(reader.GetSpacing()))
        origin = finite(path, _KIND, "an origin", reader.GetOrigin())[::-1]
        array = SimpleITK.GetArrayFromImage(reader.Execute())
        return Volume(array, spacing, tuple(origin.tolist()))


def _encoding(path: Path) -> str:
    """Read the header's text; return the encoding, refusing data in other files."""
    with path.open("rb") as stream:
        text = stream.read(LONGEST)
    head = text.replace(b"\r\n", b"\n").split(b"\n\n", 1)
    if not text.startswith(b"NRRD000") or len(head) < 2:
        raise refusal(path, _KIND, "no NRRD header")
    lines = head[0].decode("utf-8", "replace").lower().splitlines()
    # "key: value"; "key:=value" is free text
    fields = dict(line.split(": ", 1) for line in lines[1:] if ": " in line and line[0] != "#")
    if "data file" in fields or "datafile" in fields:
        raise refusal(path, _KIND, "data in another file, which are not read")
    encoding = fields.get("encoding", "").strip()
    if encoding not in ("raw", "gzip", "gz"):
        raise refusal(path, _KIND, f"the encoding {encoding!r}, not raw or gzip")
    return encoding


def _read(row: Mapping[str, Any], *, folder: Path) -> Case:
    path, mask_path = folder / row["image"], folder / row["mask"]
    image, mask = read_nrrd(path), read_nrrd(mask_path)
    if image.array.ndim != 3:
        raise refusal(path, _KIND, f"shape {image.array.shape}, not a grey volume")
    require_same_grid(mask_path, mask, path, image)
    return Case(
        row["case"],
        row["cluster"],
        image.array[np.newaxis],
        {"mask": label_map(mask_path, mask.array, (0, 255)).astype(bool)},
        spacing_mm=image.spacing_mm,
    )
