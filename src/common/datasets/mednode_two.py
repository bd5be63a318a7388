"""MED-NODE: photographs of moles; one melanoma and one naevus of the 170 published images.

There are no patient ids: a cluster is one image.

Source: Giotis et al. 2015, MED-NODE, University of Groningen.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from common import manifests
from common.datasets.cases import Case, Cases
from common.datasets.image_pairs import misfit, read_channels

DATASET = "mednode-two"
CLASSES = ("naevus", "melanoma")


def load(folder: Path | None = None) -> Cases:
    """List the two photographs.

    Args:
        folder: the data set's folder, with ``naevus.jpg`` and ``melanoma.jpg``; where it lies by
            default.

    Returns:
        Cases with image (3, height, width) uint8 of differing size and ``label`` (place in
        :data:`CLASSES`); the table has ``label`` and ``image``.

    Raises:
        ReplicateError: a file is absent.
    """
    folder = manifests.require(DATASET, folder)
    rows = []
    for label, name in enumerate(CLASSES):
        if not (folder / f"{name}.jpg").is_file():
            raise misfit(folder / f"{name}.jpg", "exist", "no file", dataset=DATASET)
        rows.append({"case": name, "cluster": name, "label": label, "image": f"{name}.jpg"})
    return Cases(pd.DataFrame(rows), partial(_read, folder=folder))


def _read(row: Mapping[str, Any], *, folder: Path) -> Case:
    image = read_channels(folder / row["image"])
    if image.shape[0] != 3:
        raise misfit(folder / row["image"], "have 3 channels", image.shape[0], dataset=DATASET)
    return Case(row["case"], row["cluster"], image, {"label": int(row["label"])})
