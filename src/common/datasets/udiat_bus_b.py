"""BUS B, UDIAT's breast ultrasound: 163 images with one lesion each, its mask and its kind.

``DatasetB.xlsx`` names the kind of every image by its number: columns ``Image`` (1 for
``000001.png``), ``Type`` (Benign or Malignant) and ``Diagnosis`` (names from public code that reads
the set). All images come from one scanner. Of a mask's channels the first one counts, from 128 on.

There are no patient ids: a cluster is one image, and images of one woman cannot be told apart.

Source: Yap et al. 2018, doi 10.1109/jbhi.2017.2731873.
"""

from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from common import manifests
from common.datasets.cases import Cases
from common.datasets.image_pairs import misfit, pairs, read_pair
from common.datasets.spreadsheets import read_sheet

DATASET = "udiat-bus-b"
CLASSES = ("benign", "malignant")
SITE = "UDIAT, ACUSON Sequoia C512"
TABLE = "DatasetB.xlsx"
MASK_THRESHOLD = 128


def load(folder: Path | None = None) -> Cases:
    """List the images with their masks and the kind of the lesion.

    Args:
        folder: the data set's folder, with ``original``, ``GT`` and ``DatasetB.xlsx``; where it
            lies by default.

    Returns:
        Cases with image (C, height, width) uint8 as stored, ``mask`` and ``label`` (place in
        :data:`CLASSES`). The table has ``label``, ``site``, ``diagnosis`` (empty where the
        workbook has none), ``image`` and ``mask``.

    Raises:
        ReplicateError: the files are absent, an image lacks its mask or a mask its image, or the
            workbook gives an image no kind, an unknown one or two.
    """
    folder = manifests.require(DATASET, folder)
    kinds = _kinds(folder / TABLE)
    rows = []
    for pair in pairs(folder, "original/*.png", "GT/*.png", dataset=DATASET):
        name = pair["case"]
        number = int(name) if name.isdecimal() else -1
        if number not in kinds:
            raise misfit(folder / TABLE, f"list image {name}", "no such number", dataset=DATASET)
        label, diagnosis = kinds[number]
        known: dict[str, Any] = {"label": label, "site": SITE, "diagnosis": diagnosis}
        rows.append({"case": name, "cluster": name, **known, **pair})
    read = partial(read_pair, folder=folder, dataset=DATASET, at_least=MASK_THRESHOLD)
    return Cases(pd.DataFrame(rows), read)


def _kinds(path: Path) -> dict[int, tuple[int, str]]:
    """Read label and diagnosis of every image by its number."""
    found: dict[int, tuple[int, str]] = {}
    for row in read_sheet(path, ("Image", "Type")):
        image, kind = row["Image"], row["Type"].lower()
        number = int(image) if image.isdecimal() else -1
        if number < 0 or number in found:
            rule = "number every image once in column Image"
            raise misfit(path, rule, repr(image), dataset=DATASET)
        if kind not in CLASSES:
            rule = f"call image {image} Benign or Malignant"
            raise misfit(path, rule, repr(row["Type"]), dataset=DATASET)
        found[number] = (CLASSES.index(kind), row.get("Diagnosis", ""))
    return found
