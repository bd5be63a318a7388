"""COVID-QU-Ex, part for the segmentation of infection: 5,826 X-rays with lung and infection masks.

The folders are the official parts, the three classes and the kinds of file; a mask has its image's
name. Masks of lungs belong to every image. Folders of infection masks exist for every class (public
code that reads the set); where an image of another class than COVID-19 has none, its mask is empty.
Masks are true from 128 on, images come as grey.

There are no patient ids: a cluster is one image. The images come from many sources that differ by
class (from memory), so that a network may tell the source and not the disease.

Source: Tahir et al. 2022, Kaggle version 3122958.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from common import manifests
from common.datasets.cases import Case, Cases
from common.datasets.image_pairs import JPEG_THRESHOLD, misfit, pairs, read_mask
from common.datasets.labelled_images import read_grey

DATASET = "covid-qu-ex"
CLASSES = ("Normal", "Non-COVID", "COVID-19")
PARTS = {"train": "Train", "validation": "Val", "test": "Test"}
# the archive holds a folder of the same name within the folder
ROOT = "Infection Segmentation Data/Infection Segmentation Data"


def load(folder: Path | None = None) -> Cases:
    """List the X-rays with their masks, by part and class.

    Args:
        folder: the data set's folder, with ``Infection Segmentation Data``; where it lies by
            default.

    Returns:
        Cases with image (1, height, width) uint8, published as (1, 256, 256), ``lungs`` and
        ``infection`` (height, width), bool, and ``label`` (place in :data:`CLASSES`). The table has
        ``label``, ``part`` (train, validation, test), ``image``, ``lungs`` and ``infection`` (path,
        empty where there is no file).

    Raises:
        ReplicateError: a part or class is absent, an image lacks its lung mask or a mask its image,
            or a COVID-19 image lacks its infection mask. When a case is read: sizes differ, a
            lung mask is empty, or a normal image has an infection.
    """
    folder = manifests.require(DATASET, folder)
    rows = [
        row
        for part, name in PARTS.items()
        for label in range(len(CLASSES))
        for row in _rows(folder, part, f"{ROOT}/{name}/{CLASSES[label]}", label)
    ]
    return Cases(pd.DataFrame(rows), partial(_read, folder=folder))


def _rows(folder: Path, part: str, place: str, label: int) -> list[dict[str, Any]]:
    rows = []
    found = pairs(folder, f"{place}/images/*.png", f"{place}/lung masks/*.png", dataset=DATASET)
    for pair in found:
        case = f"{part}/{CLASSES[label]}/{pair['case']}"
        infection = f"{place}/infection masks/{Path(pair['image']).name}"
        if not (folder / infection).is_file():
            if CLASSES[label] == "COVID-19":
                raise misfit(folder / infection, "exist", "no file", dataset=DATASET)
            infection = ""
        known: dict[str, Any] = {"label": label, "part": part, "image": pair["image"]}
        masks = {"lungs": pair["mask"], "infection": infection}
        rows.append({"case": case, "cluster": case, **known, **masks})
    return rows


def _read(row: Mapping[str, Any], *, folder: Path) -> Case:
    image = read_grey(folder / row["image"], dataset=DATASET)
    shape = image.shape[1:]
    lungs = read_mask(folder / row["lungs"], shape, dataset=DATASET, at_least=JPEG_THRESHOLD)
    if not lungs.any():
        raise misfit(folder / row["lungs"], "show a lung", "an empty mask", dataset=DATASET)
    infection = np.zeros(shape, bool)
    if row["infection"]:
        path = folder / row["infection"]
        infection = read_mask(path, shape, dataset=DATASET, at_least=JPEG_THRESHOLD)
        if CLASSES[row["label"]] == "Normal" and infection.any():
            rule, held = "be empty for a normal image", f"{infection.sum()} pixels"
            raise misfit(path, rule, held, dataset=DATASET)
    target = {"lungs": lungs, "infection": infection, "label": int(row["label"])}
    return Case(row["case"], row["cluster"], image, target)
