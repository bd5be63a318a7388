"""Immunofixation gels: six synthetic example images that the authors released, with three labels.

``label/all.csv`` gives the image's path from its own folder and three codes: the nine-way class,
the heavy chain and the light chain. They repeat each other: the class is twice the heavy chain
plus the light chain, and negative has neither. A cluster is one image.

Source: repository of the paper's authors (digest: label file format).
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from common import manifests
from common.datasets.cases import Case, Cases
from common.datasets.files import read_rows, require_files
from common.datasets.image_pairs import misfit, read_channels

DATASET = "ife-examples"
CLASSES = (
    "negative",
    "kappa",
    "lambda",
    "IgG-kappa",
    "IgG-lambda",
    "IgA-kappa",
    "IgA-lambda",
    "IgM-kappa",
    "IgM-lambda",
)
HEAVY = ("none", "IgG", "IgA", "IgM")
LIGHT = ("none", "kappa", "lambda")


def load(folder: Path | None = None) -> Cases:
    """List the gels with their three labels.

    Args:
        folder: the data set's folder, with ``data`` and ``label/all.csv``; where it lies by
            default.

    Returns:
        Cases with image (3, 188, 283) uint8, ``label``, ``heavy`` and ``light`` (places in
        :data:`CLASSES`, :data:`HEAVY` and :data:`LIGHT`); the table has the three and ``image``.

    Raises:
        ReplicateError: the files are absent, the list names an image that is not there or leaves
            one out, or the three codes of an image contradict each other.
    """
    folder = manifests.require(DATASET, folder)
    path = folder / "label/all.csv"
    images = {file.name: file for file in require_files(folder, "data/*.JPG", dataset=DATASET)}
    rows = []
    for row in read_rows(path, ("id", "label", "label1", "label2")):
        name = row["id"].removeprefix("../data/")
        if name not in images:
            raise misfit(path, "name files of the folder data", row["id"], dataset=DATASET)
        codes = _codes(path, row)
        rows.append({"case": Path(name).stem, "cluster": Path(name).stem, **codes})
        rows[-1]["image"] = images.pop(name).relative_to(folder).as_posix()
    if images:
        held = f"no row for {', '.join(images)}"
        raise misfit(path, "name every file of the folder data once", held, dataset=DATASET)
    return Cases(pd.DataFrame(rows), partial(_read, folder=folder))


def _codes(path: Path, row: Mapping[str, str]) -> dict[str, Any]:
    """Read the three codes of a row and hold them against each other."""
    written = f"{row['label']}, {row['label1']}, {row['label2']} for {row['id']}"
    try:
        label, heavy, light = (int(row[name]) for name in ("label", "label1", "label2"))
    except ValueError:
        raise misfit(path, "hold whole numbers", written, dataset=DATASET) from None
    known = 0 <= heavy < len(HEAVY) and 0 <= light < len(LIGHT) and (light > 0 or heavy == 0)
    if not known or label != 2 * heavy + light:
        rule = "hold codes where label = 2 label1 + label2, and no heavy chain alone"
        raise misfit(path, rule, written, dataset=DATASET)
    return {"label": label, "heavy": heavy, "light": light}


def _read(row: Mapping[str, Any], *, folder: Path) -> Case:
    image = read_channels(folder / row["image"])
    if image.shape[0] != 3:
        raise misfit(folder / row["image"], "have 3 channels", image.shape[0], dataset=DATASET)
    target = {name: int(row[name]) for name in ("label", "heavy", "light")}
    return Case(row["case"], row["cluster"], image, target)
