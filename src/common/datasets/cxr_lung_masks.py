"""Chest X-rays of infected lungs with a mask for each lung: 20 of the 100 that were drawn.

``structure.csv`` lists what was drawn on each of 100 images: which structure, in which mask file,
and where the mask lies, because a mask file is only the rectangle around its structure. Left and
right are the patient's. ``metadata.csv`` lists 758 images with patient, finding, view and place.
Only masks of lungs are here.

Two images are stored as grey; of the other eighteen three have coloured marks. All come as grey.
Most findings are COVID-19 and nobody is healthy. A cluster is one patient; patients 96 and 97 have
three images each.

Source: Cohen et al. 2020 (images; citation from memory); masks of the General Blockchain
repository.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from common import manifests
from common.datasets.cases import Case, Cases
from common.datasets.files import read_rows, require_files
from common.datasets.image_pairs import misfit, read_channels, read_mask

DATASET = "cxr-lung-masks"
# what is found in the 100 images
CLASSES = (
    "No Finding",
    "COVID-19",
    "COVID-19, ARDS",
    "ARDS",
    "SARS",
    "Pneumocystis",
    "Streptococcus",
    "Klebsiella",
    "Legionella",
)
LUNGS = {"Right Lung": 1, "Left Lung": 2}

_BOX = ("Top", "Left", "Height", "Width")


def load(folder: Path | None = None) -> Cases:
    """List the X-rays with their lungs and their finding.

    Args:
        folder: the data set's folder, with ``images``, ``masks``, ``structure.csv`` and
            ``metadata.csv``; where it lies by default.

    Returns:
        Cases with image (1, height, width) uint8 of differing size, ``mask`` (height, width), uint8
        with the codes of :data:`LUNGS` (the left lung's where both are drawn), and ``label``
        (place in :data:`CLASSES`). The table has ``label``, ``site`` (empty if unknown), ``view``,
        ``image`` and ``lungs`` (code, mask file, top, left, height and width of each mask).

    Raises:
        ReplicateError: the files are absent, an image is in no row of a table, lacks a lung, or
            has an unknown finding.
    """
    folder = manifests.require(DATASET, folder)
    drawn = _drawn(folder / "structure.csv")
    path = folder / "metadata.csv"
    columns = ("patientid", "finding", "view", "location", "filename")
    known = {row["filename"]: row for row in read_rows(path, columns)}
    rows = []
    for image in require_files(folder, "images/*", dataset=DATASET):
        found = known.get(image.name)
        if found is None or found["finding"] not in CLASSES:
            held = "no row" if found is None else repr(found["finding"])
            rule = f"give {image.name} one of the findings {'; '.join(CLASSES)}"
            raise misfit(path, rule, held, dataset=DATASET)
        lungs = tuple(sorted(drawn.get(image.name, ())))
        if {lung[0] for lung in lungs} != set(LUNGS.values()):
            rule = f"list {' and '.join(LUNGS)} of {image.name}"
            raise misfit(folder / "structure.csv", rule, f"{len(lungs)} lungs", dataset=DATASET)
        rows.append(
            {
                "case": image.stem,
                "cluster": f"patient-{found['patientid']}",
                "label": CLASSES.index(found["finding"]),
                "site": found["location"],
                "view": found["view"],
                "image": image.relative_to(folder).as_posix(),
                "lungs": lungs,
            }
        )
    return Cases(pd.DataFrame(rows), partial(_read, folder=folder))


def _drawn(path: Path) -> dict[str, list[tuple[int, str, int, int, int, int]]]:
    """List the masks of the lungs of every image: code, file, top, left, height, width."""
    found: dict[str, list[tuple[int, str, int, int, int, int]]] = {}
    for row in read_rows(path, ("Template Name", "Filename", "Mask", *_BOX)):
        code = LUNGS.get(row["Template Name"])
        if code is None:
            continue
        try:
            top, left, height, width = (int(row[name]) for name in _BOX)
        except ValueError:
            box = [row[name] for name in _BOX]
            rule = f"give {', '.join(_BOX)} of {row['Mask']} as whole numbers"
            raise misfit(path, rule, box, dataset=DATASET) from None
        # only the name counts, so that no path leads out of the folder
        mask = f"masks/{Path(row['Mask']).name}"
        found.setdefault(row["Filename"], []).append((code, mask, top, left, height, width))
    return found


def _read(row: Mapping[str, Any], *, folder: Path) -> Case:
    path = folder / row["image"]
    image = _grey(read_channels(path), path)
    _, n_rows, n_columns = image.shape
    mask = np.zeros((n_rows, n_columns), np.uint8)
    for code, name, top, left, height, width in row["lungs"]:
        bottom, right = top + height, left + width
        if min(top, left) < 0 or bottom > n_rows or right > n_columns:
            held = f"rows {top} to {bottom}, columns {left} to {right}"
            rule = f"lie inside its image's {n_rows} x {n_columns} pixels"
            raise misfit(folder / name, rule, held, dataset=DATASET)
        lung = read_mask(folder / name, (height, width), dataset=DATASET)
        mask[top:bottom, left:right][lung] = code
    target = {"mask": mask, "label": int(row["label"])}
    return Case(row["case"], row["cluster"], image, target, site=row["site"] or None)


def _grey(image: NDArray[np.uint8], path: Path) -> NDArray[np.uint8]:
    """Turn one or three channels into one, with the weights of ITU-R 601."""
    if image.shape[0] == 1:
        return image
    if image.shape[0] != 3:
        raise misfit(path, "have 1 or 3 channels", image.shape[0], dataset=DATASET)
    return np.array(Image.fromarray(np.moveaxis(image, 0, -1)).convert("L"))[np.newaxis]
