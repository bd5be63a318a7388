"""Slices of low-grade glioma in MRI with masks; 2 of the 110 patients, 54 slices.

A TIFF of 256 x 256 pixels holds three sequences as channels: before contrast, FLAIR, after
contrast. Where a sequence is missing, the makers put FLAIR in its place (9 patients lack the last,
6 the first); ``copied`` in ``info`` names such channels of a slice. Masks show the abnormality in
FLAIR. ``data.csv`` has one row for each of the 110 patients, all columns as codes.

A patient's folder is named ``TCGA_<site>_<patient>_<date>``; neighbouring slices look alike, so
that a cluster is one patient. The spacing is not given.

Source: the set's own README; Buda et al. 2019 (citation from memory); images of TCGA-LGG.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from common import manifests
from common.datasets.cases import Case, Cases
from common.datasets.files import read_rows
from common.datasets.image_pairs import misfit, pairs, read_pair

DATASET = "lgg-mri-slices"
CHANNELS = ("pre", "flair", "post")

_NAME = re.compile(r"(?P<patient>TCGA_(?P<site>\w{2})_\w+)_\d{8}_(?P<slice>\d+)")


def load(folder: Path | None = None) -> Cases:
    """List the slices with their masks.

    Args:
        folder: the data set's folder, with a folder for each patient and ``data.csv``; where it
            lies by default.

    Returns:
        Cases with image (3, 256, 256) uint8, channels :data:`CHANNELS`, and ``mask``; ``copied``
        in ``info`` names the channels that only repeat FLAIR. The table has ``site``, ``slice``
        (number in the scan, from 1), ``grade`` and ``age`` (as ``data.csv`` has them, NaN if
        empty), ``image`` and ``mask``.

    Raises:
        ReplicateError: the files are absent, a slice has an unknown name, lacks its mask or lies
            in another patient's folder, or ``data.csv`` does not list its patient.
    """
    folder = manifests.require(DATASET, folder)
    path = folder / "data.csv"
    columns = ("Patient", "neoplasm_histologic_grade", "age_at_initial_pathologic")
    patients = {row["Patient"]: row for row in read_rows(path, columns)}
    found = pairs(folder, "TCGA_*/*.tif", "TCGA_*/*_mask.tif", dataset=DATASET, ending="_mask")
    rows = []
    for pair in found:
        name = _NAME.fullmatch(pair["case"])
        home = Path(pair["image"]).parent.name
        if name is None or f"{home}_{name['slice']}" != pair["case"]:
            rule = "be named after its folder and the slice's number"
            raise misfit(folder / pair["image"], rule, pair["case"], dataset=DATASET)
        if name["patient"] not in patients:
            raise misfit(path, f"list patient {name['patient']}", "no such row", dataset=DATASET)
        known = patients[name["patient"]]
        rows.append(
            {
                "case": pair["case"],
                "cluster": name["patient"],
                "site": name["site"],
                "slice": int(name["slice"]),
                "grade": float(known["neoplasm_histologic_grade"] or "nan"),
                "age": float(known["age_at_initial_pathologic"] or "nan"),
                "image": pair["image"],
                "mask": pair["mask"],
            }
        )
    return Cases(pd.DataFrame(rows), partial(_read, folder=folder))


def _read(row: Mapping[str, Any], *, folder: Path) -> Case:
    case = read_pair(row, folder=folder, dataset=DATASET)
    image = case.image
    if image is None or image.shape[0] != len(CHANNELS):
        held = None if image is None else image.shape
        raise misfit(folder / row["image"], "have three channels", held, dataset=DATASET)
    flair = CHANNELS.index("flair")
    copied = tuple(
        name
        for channel, name in enumerate(CHANNELS)
        if channel != flair and np.array_equal(image[channel], image[flair]) and image.any()
    )
    return replace(case, info={"copied": copied})
