"""STARE: photographs of the retina; six of the twenty whose vessels were drawn by hand.

Three eyes are healthy and three pathological. Which ones is a fact from memory of the published
list, not written in the files. Images are PPM of 605 x 700 pixels. There are no patient ids: a
cluster is one image.

Source: Hoover et al. 2000, STARE, Clemson University.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from common import manifests
from common.datasets.cases import Case, Cases
from common.datasets.files import require_files
from common.datasets.image_pairs import misfit, read_channels

DATASET = "stare-fundus"
CLASSES = ("healthy", "pathological")
# from memory of the published list
LABELS = {"im0001": 1, "im0003": 1, "im0044": 1, "im0077": 0, "im0081": 0, "im0162": 0}


def load(folder: Path | None = None) -> Cases:
    """List the photographs.

    Args:
        folder: the data set's folder, with ``stare-images``; where it lies by default.

    Returns:
        Cases with image (3, 605, 700) uint8 and ``label`` (place in :data:`CLASSES`, from memory);
        the table has ``label`` and ``image``.

    Raises:
        ReplicateError: the files are absent, or there is one without a known label.
    """
    folder = manifests.require(DATASET, folder)
    rows = []
    for path in require_files(folder, "stare-images/*.ppm", dataset=DATASET):
        if path.stem not in LABELS:
            raise misfit(path, f"be one of {', '.join(LABELS)}", path.stem, dataset=DATASET)
        rows.append(
            {
                "case": path.stem,
                "cluster": path.stem,
                "label": LABELS[path.stem],
                "image": path.relative_to(folder).as_posix(),
            }
        )
    return Cases(pd.DataFrame(rows), partial(_read, folder=folder))


def _read(row: Mapping[str, Any], *, folder: Path) -> Case:
    image = read_channels(folder / row["image"])
    if image.shape[0] != 3:
        raise misfit(folder / row["image"], "have 3 channels", image.shape[0], dataset=DATASET)
    return Case(row["case"], row["cluster"], image, {"label": int(row["label"])})
