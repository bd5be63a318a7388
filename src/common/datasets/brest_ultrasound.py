"""BrEaST: 256 curated breast ultrasound images, one a woman, with masks of the lesions.

The workbook has one row a case. ``Mask_tumor_filename`` names the mask of the lesion that is
classified, ``Mask_other_filename`` masks of further lesions, and several names in one cell are
joined by ``&`` (columns from public code that reads the set); the mask files of one cell are joined
here. The four normal cases have no mask, so that theirs is empty.

Women have one image each: a cluster is one case.

Source: Pawłowska et al. 2024, Scientific Data 11, 148 (volume and number from memory).
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common import manifests
from common.datasets.cases import Case, Cases
from common.datasets.image_pairs import misfit, read_channels, read_mask
from common.datasets.spreadsheets import read_sheet

DATASET = "brest-ultrasound"
CLASSES = ("normal", "benign", "malignant")
IMAGES = "BrEaST-Lesions_USG-images_and_masks"
TABLE = "BrEaST-Lesions-USG-clinical-data-Dec-15-2023.xlsx"

_NAMES = ("Image_filename", "Mask_tumor_filename", "Mask_other_filename")


def load(folder: Path | None = None) -> Cases:
    """List the images with their masks and the kind of the lesion.

    Args:
        folder: the data set's folder, with the folder of images and masks and the workbook; where
            it lies by default.

    Returns:
        Cases with image (C, height, width) uint8 as stored, ``mask`` (the classified lesion),
        ``others`` (further lesions) and ``label`` (place in :data:`CLASSES`). The table has
        ``label``, ``image``, ``masks`` and ``others`` (tuples of file names), and ``birads`` where
        the workbook has it.

    Raises:
        ReplicateError: the files are absent, a listed file does not exist or lies elsewhere, a
            case has an unknown kind, or a normal case has a mask or another case has none.
    """
    folder = manifests.require(DATASET, folder)
    listed = read_sheet(folder / TABLE, ("CaseID", *_NAMES, "Classification"))
    return Cases(
        pd.DataFrame([_row(folder, entry) for entry in listed]), partial(_read, folder=folder)
    )


def _row(folder: Path, entry: Mapping[str, str]) -> dict[str, Any]:
    kind = entry["Classification"].lower()
    images, masks, others = (_files(folder, entry[name]) for name in _NAMES)
    if kind not in CLASSES or len(images) != 1:
        rule = f"give case {entry['CaseID']} one image and one of {', '.join(CLASSES)}"
        held = f"{len(images)} and {entry['Classification']!r}"
        raise misfit(folder / TABLE, rule, held, dataset=DATASET)
    if bool(masks) == (kind == "normal"):
        rule = f"give the {kind} case {entry['CaseID']} {'no' if masks else 'a'} mask of a tumour"
        raise misfit(folder / TABLE, rule, f"{len(masks)}", dataset=DATASET)
    case = Path(images[0]).stem
    row = {"case": case, "cluster": case, "label": CLASSES.index(kind), "image": images[0]}
    known = {"birads": entry["BIRADS"]} if "BIRADS" in entry else {}
    return {**row, "masks": masks, "others": others, **known}


def _files(folder: Path, cell: str) -> tuple[str, ...]:
    """List the files that a cell names; they must lie in the folder of images and masks."""
    # only the name counts, so that no path leads out of the folder
    names = [Path(name.strip()).name for name in cell.split("&") if name.strip()]
    for name in names:
        if not (folder / IMAGES / name).is_file():
            rule = f"name files of {IMAGES}"
            raise misfit(folder / TABLE, rule, repr(name), dataset=DATASET)
    return tuple(f"{IMAGES}/{name}" for name in names)


def _read(row: Mapping[str, Any], *, folder: Path) -> Case:
    image = read_channels(folder / row["image"])
    target = {
        "mask": _joined(folder, row["masks"], image.shape[1:]),
        "others": _joined(folder, row["others"], image.shape[1:]),
        "label": int(row["label"]),
    }
    return Case(row["case"], row["cluster"], image, target)


def _joined(folder: Path, names: tuple[str, ...], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    mask = np.zeros(shape, bool)
    for name in names:
        mask |= read_mask(folder / name, shape, dataset=DATASET)
    return mask
