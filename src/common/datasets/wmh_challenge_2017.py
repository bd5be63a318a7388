"""WMH Segmentation Challenge 2017: white-matter hyperintensities in FLAIR and T1 of five scanners.

A case's folder holds ``wmh.nii.gz``, ``orig`` (FLAIR as acquired, T1 aligned to it) and ``pre``
(both corrected for bias). Training cases lie in ``training/Utrecht``, ``training/Singapore`` and
``training/Amsterdam/GE3T``; test cases, two more scanners among them, beside them in ``test``. A
case's number repeats between sites, so that its name here starts with its site. Code 2 is other
pathology, roughly drawn; the challenge leaves it out of its scores.
"""

from functools import partial
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from common import manifests
from common.datasets.cases import Cases
from common.datasets.files import require_files
from common.datasets.image_pairs import misfit, natural
from common.datasets.volume_files import one_file, read_case

DATASET = "wmh-challenge-2017"
CLASSES = ("background", "hyperintensity", "other pathology")
PARTS = ("training", "test")


def load(
    folder: Path | None = None,
    *,
    part: Literal["training", "test"] = "training",
    version: Literal["pre", "orig"] = "pre",
) -> Cases:
    """List the cases of a part.

    Args:
        folder: where the files are; by default where the manifest's files were found.
        part: ``training`` (60 cases of 3 scanners) or ``test`` (110 of 5).
        version: ``pre`` (corrected for bias) or ``orig`` (as acquired).

    Returns:
        Cases with the columns ``case, cluster`` (the person), ``site`` (hospital and scanner, such
        as ``Amsterdam/GE3T``), ``part``, ``flair``, ``t1`` and ``mask``. A case has the image
        (2, x, y, z), FLAIR and T1, ``mask`` (x, y, z) uint8 codes of :data:`CLASSES`, and spacing.

    Raises:
        ReplicateError: no case is there, or a case lacks a file. When a case is read: the files
            differ in shape or spacing, or a code is unknown.
        ValueError: unknown part or version.

    Source:
        Kuijf et al. 2019, doi 10.1109/TMI.2019.2905770.
    """
    if part not in PARTS:
        raise ValueError(f"`part` must be one of {PARTS}, got {part!r}. Choose one of them.")
    if version not in ("pre", "orig"):
        raise ValueError(f"`version` must be pre or orig, got {version!r}. Choose one of them.")
    folder = manifests.require(DATASET, folder)
    rows: list[dict[str, Any]] = []
    for path in require_files(folder, f"{part}/**/wmh.nii.gz", dataset=DATASET):
        case = path.parent
        site = case.parent.relative_to(folder / part).as_posix()
        if site == ".":
            raise misfit(path, "lie in a folder of its site", "none", dataset=DATASET)
        files = {
            column: one_file(case, f"{version}/{name}.nii.gz", folder=folder, dataset=DATASET)
            for column, name in (("flair", "FLAIR"), ("t1", "T1"))
        }
        mask = path.relative_to(folder).as_posix()
        name = f"{site}/{case.name}"
        known = {"case": name, "cluster": name, "site": site, "part": part}
        rows.append({**known, **files, "mask": mask})
    rows.sort(key=lambda row: natural(row["case"]))
    masks = {"mask": range(len(CLASSES))}
    return Cases(
        pd.DataFrame(rows),
        partial(read_case, folder=folder, images=("flair", "t1"), masks=masks),
    )
