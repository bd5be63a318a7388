"""LiTS: 131 contrast CT scans of the abdomen with liver and liver tumours.

The two training batches hold ``volume-0.nii`` to ``volume-130.nii`` with the same numbers of
``segmentation-*.nii``. Scans come from several hospitals and lie in the file as each stored them,
some of them turned over (from memory): orientation differs between cases. No patients are named:
a scan is its own cluster. The same scans are task 3 of the Medical Segmentation Decathlon.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from common import manifests
from common.datasets.cases import Case, Cases
from common.datasets.volume_files import by_key, read_case, require_partners

DATASET = "lits"
CLASSES = ("background", "liver", "tumour")


def load(folder: Path | None = None, *, merge: bool = False) -> Cases:
    """List the scans.

    Args:
        folder: where the files are; by default where the manifest's files were found.
        merge: count a tumour as liver, as both papers that use the set do.

    Returns:
        Cases in the order of their numbers with the columns ``case, cluster, image, mask``. A case
        has the image (1, x, y, z) in Hounsfield units, spacing, and ``mask`` (x, y, z), uint8
        codes of :data:`CLASSES`, or bool if merged.

    Raises:
        ReplicateError: no file is there, a name is unknown, or a volume or segmentation has no
            partner. When a case is read: the two differ in shape or spacing, or a code is unknown.

    Source:
        Bilic et al., arXiv 1901.04056.
    """
    folder = manifests.require(DATASET, folder)
    images = by_key(folder, "volume-*.nii", r"volume-(\d+)", dataset=DATASET)
    masks = by_key(folder, "segmentation-*.nii", r"segmentation-(\d+)", dataset=DATASET)
    require_partners(folder, images, masks, dataset=DATASET)
    names = [f"volume-{number}" for number in images]
    table = pd.DataFrame(
        {
            "case": names,
            "cluster": names,
            "image": list(images.values()),
            "mask": [masks[number] for number in images],
        }
    )
    return Cases(table, partial(_read, folder=folder, merge=merge))


def _read(row: Mapping[str, Any], *, folder: Path, merge: bool) -> Case:
    codes = range(len(CLASSES))
    case = read_case(row, folder=folder, images=("image",), masks={"mask": codes})
    return replace(case, target={"mask": case.target["mask"] > 0}) if merge else case
