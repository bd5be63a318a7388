"""SynthRAD2025, task 1: MR of head and neck, thorax and abdomen with the CT to be made from it.

A patient's folder, such as ``1HNA001``, holds ``mr.mha``, ``ct.mha`` (registered to the MR) and
``mask.mha`` (outline of the patient). ``HN``, ``TH`` or ``AB`` names the region and the letter
behind it the hospital. The folder ``overviews`` beside the patients holds pictures and a table,
which are not read.
"""

import re
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from common import manifests
from common.datasets.cases import Cases
from common.datasets.image_pairs import misfit
from common.datasets.volume_files import case_folders, one_file, read_case

DATASET = "synthrad2025"
REGIONS = {"HN": "head and neck", "TH": "thorax", "AB": "abdomen"}


def load(folder: Path | None = None, *, region: Literal["HN", "TH", "AB"] = "HN") -> Cases:
    """List the patients of a region.

    Args:
        folder: where the files are; by default where the manifest's files were found.
        region: a key of :data:`REGIONS`.

    Returns:
        Cases with the columns ``case, cluster`` (the patient), ``site`` (the hospital's letter),
        ``region``, ``mr``, ``ct`` and ``mask``. A case has the image (1, z, y, x), the MR as
        stored, ``ct`` (z, y, x) in Hounsfield units, ``mask`` (z, y, x) bool, and spacing.

    Raises:
        ReplicateError: no patient of the region is there, a name is unknown, or a patient lacks a
            file. When a case is read: the files differ in shape or spacing, or the mask holds
            anything but 0 and 1.
        ValueError: unknown region.

    Source:
        Thummerer et al., arXiv 2502.17609.
    """
    if region not in REGIONS:
        raise ValueError(
            f"`region` must be one of {tuple(REGIONS)}, got {region!r}. Choose one of them."
        )
    folder = manifests.require(DATASET, folder)
    rows: list[dict[str, Any]] = []
    for case in case_folders(folder, f"Task1/{region}/1*", dataset=DATASET):
        match = re.fullmatch(rf"1{region}([A-Z])\d+", case.name)
        if match is None:
            raise misfit(case, f"be named like 1{region}A001", case.name, dataset=DATASET)
        files = {
            kind: one_file(case, f"{kind}.mha", folder=folder, dataset=DATASET)
            for kind in ("mr", "ct", "mask")
        }
        known = {"case": case.name, "cluster": case.name, "site": match[1], "region": region}
        rows.append({**known, **files})
    read = partial(
        read_case, folder=folder, images=("mr",), masks={"mask": (0, 1)}, volumes=("ct",)
    )
    return Cases(pd.DataFrame(rows), read)
