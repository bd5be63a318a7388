"""White-matter lesions of multiple sclerosis: consensus masks of 30 patients, FLAIR where copied.

The volumes are those of the repository's folder ``cross_sectional/MNI``: 3 T FLAIR, bias-corrected,
brain-extracted and registered to MNI space at 1 mm, so that intensities are not raw (some are
negative) and all volumes have one shape, 182 x 218 x 182. A copy may hold the FLAIR volume of
some patients only; the others have masks, which is enough for lesion sizes.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from common import manifests
from common.datasets.cases import Case, Cases
from common.datasets.decathlon import label_map, require_present, require_same_grid
from common.datasets.files import read_nifti, require_files

DATASET = "open-ms-flair"
CLASSES = ("background", "lesion")

_STEPS = "N4_noneck_reduced_winsor_regtoFLAIR"
_IMAGE = f"FLAIR_{_STEPS}_brain_N4_regtoMNI.nii.gz"
_MASK = f"GOLD_STANDARD_{_STEPS}_regtoMNI.nii.gz"


def load(folder: Path | None = None) -> Cases:
    """List the patients; ``cases.where(cases.table.has_image)`` keeps those with FLAIR.

    Args:
        folder: where the files are; by default where the manifest's files were found.

    Returns:
        Cases with the columns ``case, cluster`` (the patient), ``has_image`` and ``folder``. A
        case has the FLAIR image (1, x, y, z) float32 or ``None``, ``mask`` (x, y, z) bool, true in
        lesions, and spacing.

    Raises:
        ReplicateError: no patient is there, or a patient has no mask. When a case is read: image
            and mask differ in shape or spacing, or a label is unknown.

    Source:
        Lesjak et al. 2017, doi 10.1007/s12021-017-9348-7.
    """
    folder = manifests.require(DATASET, folder)
    require_files(folder, f"patient*/{_MASK}", dataset=DATASET)
    patients = sorted(path for path in folder.glob("patient*") if path.is_dir())
    names = [patient.name for patient in patients]
    require_present(folder, [f"{name}/{_MASK}" for name in names], dataset=DATASET)
    table = pd.DataFrame(
        {
            "case": names,
            "cluster": names,
            "has_image": [(patient / _IMAGE).is_file() for patient in patients],
            "folder": names,
        }
    )
    return Cases(table, partial(_read, folder))


def _read(folder: Path, row: Mapping[str, Any]) -> Case:
    path, image_path = folder / row["folder"] / _MASK, folder / row["folder"] / _IMAGE
    mask = read_nifti(path, scaled=False)
    image = None
    if row["has_image"]:
        flair = read_nifti(image_path)
        require_same_grid(path, mask, image_path, flair)
        image = flair.array[np.newaxis].astype(np.float32, copy=False)
    return Case(
        case=row["case"],
        cluster=row["cluster"],
        image=image,
        target={"mask": label_map(path, mask.array, range(len(CLASSES))).astype(bool)},
        spacing_mm=mask.spacing_mm,
    )
