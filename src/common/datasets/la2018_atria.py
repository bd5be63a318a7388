"""Left atrium in late-gadolinium MR: the 2018 challenge as UA-MT published it, cropped.

Each scan is an HDF5 file that the UA-MT authors cropped around the atrium with a margin and
standardised to zero mean and unit deviation before the crop; all 88 slices are kept. Dice on these
crops cannot be compared with Dice on whole scans. ``train.list`` and ``test.list`` divide the 100
scans into 80 and 20. A copy may hold some of them only.

The files give no spacing (from memory: 0.625 mm along every axis). Patients are not named: a scan
is its own cluster, although the challenge scanned some patients more than once (from memory).
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from common import manifests
from common.datasets.cases import Case, Cases
from common.datasets.decathlon import label_map
from common.datasets.files import read_hdf5, read_lines, require_files
from common.errors import ReplicateError

DATASET = "la2018-atria"
CLASSES = ("background", "left atrium")

_FILE = "2018LA_Seg_Training Set/{}/mri_norm2.h5"


def load(folder: Path | None = None, *, complete: bool = False) -> Cases:
    """List the scans that are there, with the official division.

    Args:
        folder: where the files are; by default where the manifest's files were found.
        complete: refuse a copy that lacks any listed scan.

    Returns:
        Cases in the order of the lists, columns ``case, cluster, part`` (train or test) and
        ``file``. A case has the image (1, rows, columns, slices) float32, standardised, and
        ``mask`` (rows, columns, slices) bool, true in the left atrium.

    Raises:
        ReplicateError: a list is absent, a scan is in no list or in two, or ``complete`` and a
            scan is absent. When a case is read: arrays are absent, differ in shape, or hold
            unknown labels.

    Source:
        Yu et al., arXiv 1907.07034.
    """
    folder = manifests.require(DATASET, folder)
    parts = _parts(folder)
    found = {path.parent.name for path in require_files(folder, _FILE.format("*"), dataset=DATASET)}
    if unlisted := sorted(found - set(parts)):
        raise ReplicateError(
            f"{folder / _FILE.format(unlisted[0])} must be in train.list or test.list, got neither."
            " Fetch or copy the lists again."
        )
    absent = [case for case in parts if case not in found]
    if complete and absent:
        raise ReplicateError(
            f"{folder} must hold all {len(parts)} listed scans, got {len(found)}; the first absent "
            f"is {_FILE.format(absent[0])}. Fetch it, or read with `complete=False`."
        )
    names = [case for case in parts if case in found]
    table = pd.DataFrame(
        {
            "case": names,
            "cluster": names,
            "part": [parts[case] for case in names],
            "file": [_FILE.format(case) for case in names],
        }
    )
    return Cases(table, partial(_read, folder))


def _parts(folder: Path) -> dict[str, str]:
    """Map every listed scan to its part."""
    parts: dict[str, str] = {}
    for part in ("train", "test"):
        path = folder / f"{part}.list"
        for case in read_lines(path):
            if case in parts:
                raise ReplicateError(
                    f"{path} must name a scan once and not in both lists, got {case!r} again. "
                    "Fetch or copy both lists again."
                )
            parts[case] = part
    return parts


def _read(folder: Path, row: Mapping[str, Any]) -> Case:
    path = folder / row["file"]
    arrays = read_hdf5(path, ("image", "label"))
    image, label = arrays["image"], arrays["label"]
    if image.ndim != 3 or image.shape != label.shape:
        raise ReplicateError(
            f"{path} must hold image and label of one shape with 3 axes, got {image.shape} and "
            f"{label.shape}. Fetch or copy it again."
        )
    return Case(
        case=row["case"],
        cluster=row["cluster"],
        image=image[np.newaxis].astype(np.float32, copy=False),
        target={"mask": label_map(path, label, range(len(CLASSES))).astype(bool)},
    )
