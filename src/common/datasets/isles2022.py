"""ISLES 2022: acute and sub-acute stroke in diffusion-weighted MR, with FLAIR on another grid.

The training part is in BIDS form: ``sub-strokecase0001/ses-0001`` holds ``dwi`` (DWI and ADC) and
``anat`` (FLAIR), ``derivatives`` the lesion masks, which lie on the grid of DWI. FLAIR has its own
shape and spacing and is not a channel; it comes in ``info`` when it is asked for. One case a
patient is assumed.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from common import manifests
from common.datasets.cases import Case, Cases
from common.datasets.volume_files import case_folders, one_file, read_case, read_volume

DATASET = "isles2022"
CLASSES = ("background", "lesion")

_SESSION = "ses-0001"


def load(folder: Path | None = None, *, flair: bool = False) -> Cases:
    """List the cases.

    Args:
        folder: where the files are; by default where the manifest's files were found.
        flair: also read FLAIR, into ``info``.

    Returns:
        Cases with the columns ``case, cluster`` (the patient), ``dwi``, ``adc``, ``flair`` and
        ``mask``. A case has the image (2, x, y, z), DWI and ADC as stored, ``mask`` (x, y, z)
        bool, true in the lesion, and spacing. With FLAIR, ``info`` has ``flair`` (x, y, z) and
        ``flair_spacing_mm``.

    Raises:
        ReplicateError: no case is there, or a case lacks a file. When a case is read: DWI, ADC and
            mask differ in shape or spacing, or the mask holds anything but 0 and 1.

    Source:
        Hernandez Petzsche et al. 2022, doi 10.1038/s41597-022-01875-5.
    """
    folder = manifests.require(DATASET, folder)
    rows: list[dict[str, Any]] = []
    for case in case_folders(folder, "ISLES-2022/sub-strokecase*", dataset=DATASET):
        masked = case.parent / "derivatives" / case.name
        places = {
            "dwi": (case, "dwi/*_dwi.nii.gz"),
            "adc": (case, "dwi/*_adc.nii.gz"),
            "flair": (case, "anat/*_FLAIR.nii.gz"),
            "mask": (masked, "*_msk.nii.gz"),
        }
        files = {
            column: one_file(where, f"{_SESSION}/{pattern}", folder=folder, dataset=DATASET)
            for column, (where, pattern) in places.items()
        }
        rows.append({"case": case.name, "cluster": case.name, **files})
    return Cases(pd.DataFrame(rows), partial(_read, folder=folder, flair=flair))


def _read(row: Mapping[str, Any], *, folder: Path, flair: bool) -> Case:
    case = read_case(row, folder=folder, images=("dwi", "adc"), masks={"mask": (0, 1)})
    if not flair:
        return case
    volume = read_volume(folder / row["flair"])
    return replace(case, info={"flair": volume.array, "flair_spacing_mm": volume.spacing_mm})
