"""Shoulder implants in X-rays: all 597 images of the UCI repository, four manufacturers.

The folder is the manufacturer; models are not named, so that the paper's seven-model task cannot
be done with these files. Images are JPEG with three channels that are equal but for one image.

Size betrays the class: 568 images have 250 x 250 pixels, and of the other 29 (square, 272 to
1462 pixels wide) 25 are Zimmer's. ``side_px`` brings all to one size; what resizing leaves in
sharpness is still a shortcut that a network may take.

There are no patient ids: a cluster is one image, and images of one patient cannot be told apart.

Source: Urban et al. 2020 (PMC7186366); UCI Machine Learning Repository.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from common import manifests
from common.datasets.cases import Case, Cases
from common.datasets.files import require_files
from common.datasets.image_pairs import misfit, natural, read_channels

DATASET = "uci-shoulder-implants"
CLASSES = ("Cofield", "DePuy", "Tornier", "Zimmer")
FOLDERS = ("Cofield", "Depuy", "Tornier", "Zimmer")


def load(folder: Path | None = None, *, side_px: int | None = None) -> Cases:
    """List the X-rays with their manufacturers.

    Args:
        folder: the data set's folder, with a folder for each manufacturer; where it lies by
            default.
        side_px: height and width that every image is resized to (bicubic, smoothed before it is
            made smaller); ``None`` leaves all as stored.

    Returns:
        Cases with image (3, height, width) uint8 and ``label`` (place in :data:`CLASSES`); the
        table has ``label`` and ``image``.

    Raises:
        ReplicateError: the files are absent, lie in a folder of another name, or are not named
            after their folder.
        ValueError: ``side_px`` is below 1.
    """
    if side_px is not None and side_px < 1:
        raise ValueError(f"`side_px` must be at least 1, got {side_px!r}.")
    folder = manifests.require(DATASET, folder)
    rows = []
    paths = require_files(folder, "*/*.jpg", dataset=DATASET)
    for path in sorted(paths, key=lambda path: natural(path.stem)):
        maker = path.parent.name
        if maker not in FOLDERS or not path.name.startswith(f"{maker}."):
            rule = f"lie in one of {', '.join(FOLDERS)} and bear its name"
            raise misfit(path, rule, f"{maker}/{path.name}", dataset=DATASET)
        rows.append(
            {
                "case": path.stem,
                "cluster": path.stem,
                "label": FOLDERS.index(maker),
                "image": path.relative_to(folder).as_posix(),
            }
        )
    return Cases(pd.DataFrame(rows), partial(_read, folder=folder, side_px=side_px))


def _read(row: Mapping[str, Any], *, folder: Path, side_px: int | None) -> Case:
    path = folder / row["image"]
    image = read_channels(path)
    if image.shape[0] != 3 or image.shape[1] != image.shape[2]:
        raise misfit(path, "be square with 3 channels", image.shape, dataset=DATASET)
    if side_px not in (None, image.shape[1]):
        resized = Image.fromarray(np.moveaxis(image, 0, -1)).resize(
            (side_px, side_px), Image.Resampling.BICUBIC
        )
        image = np.array(np.moveaxis(np.asarray(resized), -1, 0), order="C")
    return Case(row["case"], row["cluster"], image, {"label": int(row["label"])})
