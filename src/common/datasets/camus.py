"""CAMUS: echocardiography of 500 patients, two views at end diastole and end systole, with masks.

The NIfTI release lies in ``database_nifti`` with the official parts in ``database_split``; the
older one, ``.mhd`` with ``.raw``, in ``training`` and ``testing``, whose patients may come without
masks and are counted anew, so that ``testing-`` is put before their names. Both hold
``patient0001/patient0001_2CH_ED``, ``_gt`` and ``Info_2CH.cfg``, and give the same arrays here,
rows from the probe down. Pixels need not be square. The cluster is the patient, whose four images
are not independent.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from common import manifests
from common.datasets.cases import Case, Cases
from common.datasets.decathlon import label_map, require_same_grid
from common.datasets.files import Volume, read_lines
from common.datasets.image_pairs import misfit
from common.datasets.volume_files import case_folders, read_volume
from common.errors import ReplicateError

DATASET = "camus"
CLASSES = ("background", "left ventricle", "myocardium", "left atrium")
VIEWS = ("2CH", "4CH")
PHASES = ("ED", "ES")

_QUALITIES = ("Good", "Medium", "Poor")
_SPLITS = {"train": "training", "validation": "validation", "test": "testing"}


def load(folder: Path | None = None, *, phases: tuple[str, ...] = PHASES) -> Cases:
    """List the images of both views.

    Args:
        folder: where the files are; by default where the manifest's files were found.
        phases: keep these; the paper that uses the set takes ``("ED",)``.

    Returns:
        Cases ordered by patient, view and phase, columns ``case``, ``cluster`` (the patient),
        ``part`` (train, validation or test), ``view``, ``phase``, ``quality``, ``sex``, ``age``
        (NaN where it is not given), ``frame`` (of the sequence, from 1), ``image`` and ``mask``
        (empty where there is none). A case has the image (1, rows, columns) as stored, ``mask``
        (rows, columns) uint8 codes of :data:`CLASSES`, and spacing of rows and columns.

    Raises:
        ReplicateError: no patient is there, a patient is in no part or in two, a file is absent, or
            the facts about a view are not as expected. When a case is read: image and mask differ
            in shape or spacing, the image has several slices, or a code is unknown.
        ValueError: unknown phase.

    Source:
        Leclerc et al. 2019, doi 10.1109/TMI.2019.2900516.
    """
    if not phases or not set(phases) <= set(PHASES):
        raise ValueError(f"`phases` must be some of {PHASES}, got {phases!r}. Choose from them.")
    folder = manifests.require(DATASET, folder)
    released = (folder / "database_nifti").is_dir()
    pattern = "database_nifti/patient*" if released else "t*ing/patient*"
    parts = _parts(folder) if released else {}
    rows: list[dict[str, Any]] = []
    found = case_folders(folder, pattern, dataset=DATASET)
    for patient in sorted(found, key=lambda path: (path.parent.name != "training", path.name)):
        if released and patient.name not in parts:
            where = folder / "database_split"
            raise misfit(where, f"name {patient.name} in a part", "none", dataset=DATASET)
        part = parts.get(patient.name, "test" if patient.parent.name == "testing" else "train")
        rows += _images(folder, patient, part, phases, ".nii.gz" if released else ".mhd")
    return Cases(pd.DataFrame(rows), partial(_read, folder=folder))


def read_facts(path: Path) -> dict[str, Any]:
    """Read what is known about a view.

    Args:
        path: ``Info_2CH.cfg`` or ``Info_4CH.cfg``, lines of key, colon and value.

    Returns:
        ``ED`` and ``ES`` (frames from 1), ``quality``, ``sex`` and ``age`` (NaN where it is not a
        number).

    Raises:
        ReplicateError: the file is absent, a frame is no number, or the quality is unknown.
    """
    pairs = (line.partition(":") for line in read_lines(path))
    found = {key.strip(): value.strip() for key, _, value in pairs}
    frames = {phase: found.get(phase, "") for phase in PHASES}
    if not all(frame.isdecimal() for frame in frames.values()):
        raise misfit(path, "give the frames ED and ES", f"{frames}", dataset=DATASET)
    quality = found.get("ImageQuality", "")
    if quality not in _QUALITIES:
        rule = f"give ImageQuality as one of {_QUALITIES}"
        raise misfit(path, rule, f"{quality!r}", dataset=DATASET)
    age = pd.to_numeric(found.get("Age", ""), errors="coerce")
    frame_of = {phase: int(frame) for phase, frame in frames.items()}
    return {**frame_of, "quality": quality, "sex": found.get("Sex", ""), "age": float(age)}


def _parts(folder: Path) -> dict[str, str]:
    """Read the official parts; every patient is in one."""
    parts: dict[str, str] = {}
    for part, name in _SPLITS.items():
        path = folder / "database_split" / f"subgroup_{name}.txt"
        for patient in read_lines(path):
            if patient in parts:
                got = f"{patient} again"
                raise misfit(path, "name patients of no other part", got, dataset=DATASET)
            parts[patient] = part
    return parts


def _images(
    folder: Path, patient: Path, part: str, phases: tuple[str, ...], suffix: str
) -> list[dict[str, Any]]:
    """List the images of a patient."""
    rows = []
    name = f"testing-{patient.name}" if patient.parent.name == "testing" else patient.name
    for view in VIEWS:
        facts = read_facts(patient / f"Info_{view}.cfg")
        for phase in phases:
            image = patient / f"{patient.name}_{view}_{phase}{suffix}"
            mask = patient / f"{patient.name}_{view}_{phase}_gt{suffix}"
            withheld = part == "test" and suffix == ".mhd" and not mask.is_file()
            for path in (image,) if withheld else (image, mask):
                if not path.is_file():
                    raise ReplicateError(
                        f"{path} must exist, got none. "
                        f"Run `replicate data verify {DATASET}` to find all absent files."
                    )
            rows.append(
                {
                    "case": f"{name}-{view}-{phase}",
                    "cluster": name,
                    "part": part,
                    "view": view,
                    "phase": phase,
                    **{fact: facts[fact] for fact in ("quality", "sex", "age")},
                    "frame": facts[phase],
                    "image": image.relative_to(folder).as_posix(),
                    "mask": "" if withheld else mask.relative_to(folder).as_posix(),
                }
            )
    return rows


def _read(row: Mapping[str, Any], *, folder: Path) -> Case:
    path = folder / row["image"]
    image = _plane(path, read_volume(path))
    target = {}
    if row["mask"]:
        where = folder / row["mask"]
        mask = _plane(where, read_volume(where, scaled=False))
        require_same_grid(where, mask, path, image)
        target["mask"] = label_map(where, mask.array, range(len(CLASSES)))
    array = image.array[np.newaxis]
    return Case(row["case"], row["cluster"], array, target, spacing_mm=image.spacing_mm)


def _plane(path: Path, volume: Volume) -> Volume:
    """Bring a single slice into rows and columns, whichever axes the file has."""
    # NIfTI names x before y, MetaImage the reverse
    array = volume.array.T if path.name.endswith(".nii.gz") else volume.array
    spacing = volume.spacing_mm[::-1] if path.name.endswith(".nii.gz") else volume.spacing_mm
    if array.ndim == 3 and array.shape[0] == 1:
        array, spacing = array[0], spacing[-2:]
    if array.ndim != 2:
        raise misfit(path, "hold one slice", f"shape {volume.array.shape}", dataset=DATASET)
    return Volume(np.ascontiguousarray(array), spacing[-2:])
