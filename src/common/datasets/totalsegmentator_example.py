"""TotalSegmentator's own test files: a small CT crop with two label maps, and an MR crop.

The label maps are the output of the model at its two resolutions, not drawn by people. The crop is
3 mm and shows parts of 41 (coarse model: 40) of the 117 structures. The files do not say whose
scans they are: each is its own cluster.
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
from common.datasets.files import read_nifti

DATASET = "totalsegmentator-example"


def _both(*names: str) -> list[str]:
    return [f"{name}_{side}" for name in names for side in ("left", "right")]


# the label table that is stored in the header of both label maps
CLASSES = (
    "background",
    *("spleen", "kidney_right", "kidney_left", "gallbladder", "liver", "stomach", "pancreas"),
    *("adrenal_gland_right", "adrenal_gland_left"),
    *("lung_upper_lobe_left", "lung_lower_lobe_left"),
    *("lung_upper_lobe_right", "lung_middle_lobe_right", "lung_lower_lobe_right"),
    *("esophagus", "trachea", "thyroid_gland", "small_bowel", "duodenum", "colon"),
    *("urinary_bladder", "prostate", "kidney_cyst_left", "kidney_cyst_right", "sacrum"),
    "vertebrae_S1",
    *(f"vertebrae_L{number}" for number in range(5, 0, -1)),
    *(f"vertebrae_T{number}" for number in range(12, 0, -1)),
    *(f"vertebrae_C{number}" for number in range(7, 0, -1)),
    *("heart", "aorta", "pulmonary_vein", "brachiocephalic_trunk"),
    *("subclavian_artery_right", "subclavian_artery_left"),
    *("common_carotid_artery_right", "common_carotid_artery_left"),
    *_both("brachiocephalic_vein"),
    *("atrial_appendage_left", "superior_vena_cava", "inferior_vena_cava"),
    "portal_vein_and_splenic_vein",
    *_both("iliac_artery", "iliac_vena", "humerus", "scapula", "clavicula", "femur", "hip"),
    "spinal_cord",
    *_both("gluteus_maximus", "gluteus_medius", "gluteus_minimus", "autochthon", "iliopsoas"),
    *("brain", "skull"),
    *(f"rib_{side}_{number}" for side in ("left", "right") for number in range(1, 13)),
    *("sternum", "costal_cartilages"),
)

_IMAGES = {"ct": "example_ct_sm.nii.gz", "mr": "example_mr_sm.nii.gz"}
_MASKS = {"mask": "example_seg.nii.gz", "mask_fast": "example_seg_fast.nii.gz"}


def load(folder: Path | None = None) -> Cases:
    """List the two scans, cases ``ct`` and ``mr``.

    Args:
        folder: where the files are; by default where the manifest's files were found.

    Returns:
        Cases with the columns ``case, cluster, modality, file``. A case has the image
        (1, x, y, z) int16 (CT: Hounsfield units) and spacing; the CT has ``mask`` and
        ``mask_fast`` (the coarse model), (x, y, z) uint8, codes of :data:`CLASSES`.

    Raises:
        ReplicateError: a file is absent. When the CT is read: a label map differs from it in
            shape or spacing, or holds an unknown code.

    Source:
        Wasserthal et al., arXiv 2208.05868.
    """
    folder = manifests.require(DATASET, folder)
    require_present(folder, (*_IMAGES.values(), *_MASKS.values()), dataset=DATASET)
    names = list(_IMAGES)
    table = pd.DataFrame(
        {"case": names, "cluster": names, "modality": names, "file": list(_IMAGES.values())}
    )
    return Cases(table, partial(_read, folder))


def _read(folder: Path, row: Mapping[str, Any]) -> Case:
    path = folder / row["file"]
    image = read_nifti(path)
    target = {}
    for name, file in _MASKS.items() if row["case"] == "ct" else ():
        mask = read_nifti(folder / file, scaled=False)
        require_same_grid(folder / file, mask, path, image)
        target[name] = label_map(folder / file, mask.array, range(len(CLASSES)))
    return Case(
        case=row["case"],
        cluster=row["cluster"],
        image=image.array[np.newaxis],
        target=target,
        spacing_mm=image.spacing_mm,
    )
