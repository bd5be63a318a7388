"""BraTS 2018, training part: gliomas of 285 patients in four MR sequences.

High-grade (``HGG``) and low-grade (``LGG``) tumours lie in folders of their own, each patient in
one folder with ``_t1``, ``_t1ce``, ``_t2``, ``_flair`` and ``_seg``. All volumes are registered,
stripped of the skull and resampled to 1 mm. Label codes are 0, 1, 2 and 4: code 3 does not occur
since 2017 and is refused. Patients of one institution share the second part of their names, such
as ``CBICA`` or ``TCIA01`` (from memory), which is given as site.
"""

from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import pandas as pd

from common import manifests
from common.datasets.cases import Cases
from common.datasets.volume_files import case_folders, one_file, read_case

DATASET = "brats2018"
CLASSES = {0: "background", 1: "necrotic core", 2: "oedema", 4: "enhancing tumour"}
GRADES = ("LGG", "HGG")

Sequence = Literal["t1", "t1ce", "t2", "flair"]

_ROOT = "MICCAI_BraTS_2018_Data_Training"


def load(
    folder: Path | None = None, *, sequences: tuple[Sequence, ...] = ("t1", "t1ce", "t2", "flair")
) -> Cases:
    """List the patients; ``cases.where(cases.table.label == 1)`` keeps high-grade tumours.

    Args:
        folder: where the files are; by default where the manifest's files were found.
        sequences: the channels, in their order.

    Returns:
        Cases with the columns ``case, cluster`` (the patient), ``label`` (place in
        :data:`GRADES`), ``site``, a path for each sequence, and ``mask``. A case has the image
        (C, x, y, z) as stored, ``mask`` (x, y, z) uint8 codes of :data:`CLASSES`, ``label`` and
        spacing.

    Raises:
        ReplicateError: no patient is there, or a patient lacks a sequence or the segmentation. When
            a case is read: volumes differ in shape or spacing, or a code is unknown.
        ValueError: unknown sequence.

    Source:
        Menze et al. 2015, doi 10.1109/TMI.2014.2377694.
    """
    if not sequences or not set(sequences) <= set(get_args(Sequence)):
        raise ValueError(
            f"`sequences` must be some of {get_args(Sequence)}, got {sequences!r}. Name others."
        )
    folder = manifests.require(DATASET, folder)
    rows: list[dict[str, Any]] = []
    for case in case_folders(folder, f"{_ROOT}/[HL]GG/*", dataset=DATASET):
        files = {
            name: one_file(case, f"*_{ending}.nii*", folder=folder, dataset=DATASET)
            for name, ending in (*((name, name) for name in sequences), ("mask", "seg"))
        }
        known = {"case": case.name, "cluster": case.name, "label": GRADES.index(case.parent.name)}
        parts = case.name.split("_")
        rows.append({**known, "site": parts[1] if len(parts) > 1 else None, **files})
    read = partial(read_case, folder=folder, images=sequences, masks={"mask": tuple(CLASSES)})
    return Cases(pd.DataFrame(rows), read)
