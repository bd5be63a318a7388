"""TotalSegmentator, release 1: CT of 1,204 subjects with 104 structures, one mask file each.

A subject's folder, such as ``s0001``, holds ``ct.nii.gz`` and ``segmentations``; ``meta.csv``
(separated by semicolons) gives age, sex, institute, kind of study and official part. Masks are
merged to one label map whose codes are places in :data:`CLASSES`, the order of the released tool;
where two masks overlap, the later structure wins, as in that tool. Release 2 has other names.
Institutes are letters and are given as site. One scan, ``s0864``, is said to be damaged.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from common import manifests
from common.datasets.cases import Case, Cases
from common.datasets.decathlon import label_map, require_same_grid
from common.datasets.files import read_nifti, read_rows
from common.datasets.image_pairs import misfit
from common.datasets.volume_files import case_folders, one_file

DATASET = "totalsegmentator"


def _both(*names: str) -> list[str]:
    return [f"{name}_{side}" for name in names for side in ("left", "right")]


CLASSES = (
    "background",
    *("spleen", "kidney_right", "kidney_left", "gallbladder", "liver", "stomach", "aorta"),
    *("inferior_vena_cava", "portal_vein_and_splenic_vein", "pancreas"),
    *("adrenal_gland_right", "adrenal_gland_left"),
    *("lung_upper_lobe_left", "lung_lower_lobe_left"),
    *("lung_upper_lobe_right", "lung_middle_lobe_right", "lung_lower_lobe_right"),
    *(f"vertebrae_L{number}" for number in range(5, 0, -1)),
    *(f"vertebrae_T{number}" for number in range(12, 0, -1)),
    *(f"vertebrae_C{number}" for number in range(7, 0, -1)),
    *("esophagus", "trachea", "heart_myocardium", "heart_atrium_left", "heart_ventricle_left"),
    *("heart_atrium_right", "heart_ventricle_right", "pulmonary_artery", "brain"),
    *_both("iliac_artery", "iliac_vena"),
    *("small_bowel", "duodenum", "colon"),
    *(f"rib_{side}_{number}" for side in ("left", "right") for number in range(1, 13)),
    *_both("humerus", "scapula", "clavicula", "femur", "hip"),
    *("sacrum", "face"),
    *_both("gluteus_maximus", "gluteus_medius", "gluteus_minimus", "autochthon", "iliopsoas"),
    "urinary_bladder",
)

_COLUMNS = ("image_id", "age", "gender", "institute", "study_type", "split")


def load(folder: Path | None = None, *, structures: Sequence[str] | None = None) -> Cases:
    """List the subjects.

    Args:
        folder: where the files are; by default where the manifest's files were found.
        structures: names from :data:`CLASSES` whose masks are read; all 104 if left out, which
            takes some seconds a subject.

    Returns:
        Cases with the columns ``case, cluster`` (the subject), ``part`` (train, val or test),
        ``site`` (the institute), ``age``, ``sex``, ``study`` and ``image``. A case has the image
        (1, x, y, z) in Hounsfield units, ``mask`` (x, y, z) uint8 codes of :data:`CLASSES`, and
        spacing.

    Raises:
        ReplicateError: no subject is there, a subject is not in ``meta.csv``, or has no CT. When a
            case is read: a structure's file is absent, differs from the CT in shape or spacing,
            or holds anything but 0 and 1.
        ValueError: unknown structure.

    Source:
        Wasserthal et al., arXiv 2208.05868.
    """
    chosen = tuple(CLASSES[1:] if structures is None else structures)
    for name in chosen:
        if name not in CLASSES[1:]:
            raise ValueError(f"`structures` must be names of CLASSES, got {name!r}. Choose others.")
    folder = manifests.require(DATASET, folder)
    described = folder / "Totalsegmentator_dataset" / "meta.csv"
    known = {row["image_id"]: row for row in read_rows(described, _COLUMNS, separator=";")}
    rows: list[dict[str, Any]] = []
    for case in case_folders(folder, "Totalsegmentator_dataset/s[0-9]*", dataset=DATASET):
        if case.name not in known:
            raise misfit(described, f"describe {case.name}", "no such line", dataset=DATASET)
        facts = known[case.name]
        rows.append(
            {
                "case": case.name,
                "cluster": case.name,
                "part": facts["split"],
                "site": facts["institute"],
                "age": facts["age"],
                "sex": facts["gender"],
                "study": facts["study_type"],
                "image": one_file(case, "ct.nii.gz", folder=folder, dataset=DATASET),
            }
        )
    return Cases(pd.DataFrame(rows), partial(_read, folder=folder, structures=chosen))


def _read(row: Mapping[str, Any], *, folder: Path, structures: tuple[str, ...]) -> Case:
    path = folder / row["image"]
    image = read_nifti(path)
    merged = np.zeros(image.array.shape, dtype=np.uint8)
    for name in sorted(structures, key=CLASSES.index):
        where = path.parent / "segmentations" / f"{name}.nii.gz"
        mask = read_nifti(where, scaled=False)
        require_same_grid(where, mask, path, image)
        merged[label_map(where, mask.array, (0, 1)) == 1] = CLASSES.index(name)
    return Case(
        case=row["case"],
        cluster=row["cluster"],
        image=image.array[np.newaxis],
        target={"mask": merged},
        spacing_mm=image.spacing_mm,
        site=row["site"],
    )
