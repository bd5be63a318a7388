"""Single HEp-2 cells of the I3A contest's first task: 2,175 images of the 13,596 in the list.

A cell is a grey image of 78 x 78 pixels, resized from differing sizes by the repository that
holds it; ``val`` is that repository's own choice of cells. The list ``gt_training.csv`` names the
pattern of all 13,596 cells, and the folder that a cell lies in repeats it.

The files do not say which specimen a cell comes from: a cluster is one cell, and a split by cell
leaks, because cells of one specimen look alike. There are no masks and no intensity labels.

Source: I3A contest 2014, task 1.
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

DATASET = "hep2-i3a-task1-cells"
# codes 0 to 5 are those of the second task's patterns
CLASSES = ("Homogeneous", "Speckled", "Nucleolar", "Centromere", "Golgi", "NuMem")
LIST = "gt_training.csv"
SIDE_PX = 78


def load(folder: Path | None = None) -> Cases:
    """List the cells that have an image.

    Args:
        folder: the data set's folder, with the list and ``val/<pattern>``; where it lies by
            default.

    Returns:
        Cases with image (1, 78, 78) uint8 and ``label`` (place in :data:`CLASSES`); the table has
        ``label``, ``part`` (val) and ``image``, in the order of the list.

    Raises:
        ReplicateError: the files are absent, or an image is not in the list, or lies in another
            folder than the list's pattern.
    """
    folder = manifests.require(DATASET, folder)
    table = labels(folder)
    listed = dict(zip(table["case"], table["label"].tolist(), strict=True))
    rows = []
    for path in require_files(folder, "val/*/*.png", dataset=DATASET):
        label = listed.get(path.stem)
        if label is None or CLASSES[label] != path.parent.name:
            held = "no such cell" if label is None else CLASSES[label]
            raise misfit(path, f"lie in the folder of its pattern in {LIST}", held, dataset=DATASET)
        rows.append(
            {
                "case": path.stem,
                "cluster": path.stem,
                "label": label,
                "part": "val",
                "image": path.relative_to(folder).as_posix(),
            }
        )
    rows.sort(key=lambda row: row["case"])
    return Cases(pd.DataFrame(rows), partial(_read, folder=folder))


def labels(folder: Path | None = None) -> pd.DataFrame:
    """Read the patterns of all cells, with an image or without.

    Args:
        folder: the data set's folder; where it lies by default.

    Returns:
        ``case`` and ``label`` (place in :data:`CLASSES`), one row for each of the 13,596 cells.

    Raises:
        ReplicateError: the list is absent or damaged, or names an unknown pattern or a cell twice.
    """
    path = manifests.require(DATASET, folder) / LIST
    rows = read_rows(path, ("Image ID", "Image class"))
    table = pd.DataFrame({"case": [row["Image ID"] for row in rows]})
    patterns = [row["Image class"] for row in rows]
    if unknown := sorted(set(patterns) - set(CLASSES)):
        raise misfit(path, f"name {', '.join(CLASSES)}", unknown[0], dataset=DATASET)
    if table["case"].duplicated().any():
        twice = table["case"][table["case"].duplicated()].iloc[0]
        raise misfit(path, "name each cell once", f"{twice} twice", dataset=DATASET)
    return table.assign(label=[CLASSES.index(pattern) for pattern in patterns])


def _read(row: Mapping[str, Any], *, folder: Path) -> Case:
    path = folder / row["image"]
    image = read_channels(path)
    if image.shape != (1, SIDE_PX, SIDE_PX):
        rule = f"be grey with {SIDE_PX} x {SIDE_PX} pixels"
        raise misfit(path, rule, image.shape, dataset=DATASET)
    return Case(row["case"], row["cluster"], image, {"label": int(row["label"])})
