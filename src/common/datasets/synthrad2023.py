"""SynthRAD2023, task 1: MR of brain and pelvis with the CT that it is to be turned into.

A patient's folder, such as ``1BA001``, holds ``mr.nii.gz``, ``ct.nii.gz`` (registered to the MR)
and ``mask.nii.gz`` (outline of the patient). The first letter behind the 1 names the region, the
second the hospital. The set has no organ masks; each patient is there once.
"""

from functools import partial
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from common import manifests
from common.datasets.cases import Cases
from common.datasets.image_pairs import misfit
from common.datasets.volume_files import case_folders, one_file, read_case

DATASET = "synthrad2023"
REGIONS = ("brain", "pelvis")


def load(folder: Path | None = None, *, region: Literal["brain", "pelvis"] | None = None) -> Cases:
    """List the patients.

    Args:
        folder: where the files are; by default where the manifest's files were found.
        region: keep the patients of one region, and expect no other to be there.

    Returns:
        Cases with the columns ``case, cluster`` (the patient), ``site`` (the hospital's letter),
        ``region``, ``mr``, ``ct`` and ``mask``. A case has the image (1, x, y, z), the MR as
        stored, ``ct`` (x, y, z) in Hounsfield units, ``mask`` (x, y, z) bool, and spacing.

    Raises:
        ReplicateError: no patient of a region is there, a name is unknown, or a patient lacks a
            file. When a case is read: the files differ in shape or spacing, or the mask holds
            anything but 0 and 1.
        ValueError: unknown region.

    Source:
        Thummerer et al., arXiv 2303.16320.
    """
    if region not in (None, *REGIONS):
        raise ValueError(f"`region` must be one of {REGIONS}, got {region!r}. Choose one of them.")
    folder = manifests.require(DATASET, folder)
    rows: list[dict[str, Any]] = []
    for name in REGIONS if region is None else (region,):
        for case in case_folders(folder, f"Task1/{name}/1*", dataset=DATASET):
            if case.name[:2] != f"1{name[0].upper()}" or not case.name[2:3].isalpha():
                rule = f"be named like 1{name[0].upper()}A001"
                raise misfit(case, rule, case.name, dataset=DATASET)
            files = {
                kind: one_file(case, f"{kind}.nii.gz", folder=folder, dataset=DATASET)
                for kind in ("mr", "ct", "mask")
            }
            known = {"case": case.name, "cluster": case.name, "site": case.name[2]}
            rows.append({**known, "region": name, **files})
    read = partial(
        read_case, folder=folder, images=("mr",), masks={"mask": (0, 1)}, volumes=("ct",)
    )
    return Cases(pd.DataFrame(rows), read)
