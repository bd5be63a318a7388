"""ATLAS 2.0, training part: chronic stroke lesions in T1-weighted MR of many cohorts.

The images are in BIDS form and in MNI space, 197 x 233 x 189 voxels of 1 mm; a cohort's folder is
named ``R001`` and so on and is given as site. Some subjects may have more than one session, so the
cluster is the subject. Test images have no masks and are not read.
"""

from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from common import manifests
from common.datasets.cases import Cases
from common.datasets.volume_files import case_folders, one_file, read_case

DATASET = "atlas-v2"
CLASSES = ("background", "lesion")


def load(folder: Path | None = None) -> Cases:
    """List the images of the training part.

    Args:
        folder: where the files are; by default where the manifest's files were found.

    Returns:
        Cases with the columns ``case`` (subject and session), ``cluster`` (the subject), ``site``
        (the cohort), ``image`` and ``mask``. A case has the image (1, x, y, z), ``mask``
        (x, y, z) bool, true in the lesion, and spacing.

    Raises:
        ReplicateError: no image is there, or a session lacks its image or mask. When a case is
            read: the two differ in shape or spacing, or the mask holds anything but 0 and 1.

    Source:
        Liew et al. 2022, doi 10.1038/s41597-022-01401-7.
    """
    folder = manifests.require(DATASET, folder)
    rows: list[dict[str, Any]] = []
    for session in case_folders(folder, "ATLAS_2/Training/R*/sub-*/ses-*", dataset=DATASET):
        subject = session.parent
        files = {
            column: one_file(session, f"anat/*_{ending}.nii.gz", folder=folder, dataset=DATASET)
            for column, ending in (("image", "T1w"), ("mask", "label-L_desc-T1lesion_mask"))
        }
        known = {
            "case": f"{subject.name}_{session.name}",
            "cluster": subject.name,
            "site": subject.parent.name,
        }
        rows.append({**known, **files})
    read = partial(read_case, folder=folder, images=("image",), masks={"mask": (0, 1)})
    return Cases(pd.DataFrame(rows), read)
