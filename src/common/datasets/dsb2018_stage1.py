"""Data Science Bowl 2018, stage 1: cell nuclei with one mask a nucleus; 50 of the 670 images.

Thirty fluorescence images (256 x 256 pixels, grey) and twenty of stained tissue (256 x 320
pixels, coloured), with 1,631 masks that volunteers corrected. A folder named after the image holds
``images/<name>.png`` and ``masks/*.png``. Two pixels are claimed by two masks; the one whose name
comes first keeps them.

Slides and patients are not named: a cluster is one image, and tiles of one slide cannot be told
apart.

Source: BBBC038, Caicedo et al. 2019 (citation from memory); masks of the repository of
corrections.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from common import manifests
from common.datasets.cases import Case, Cases
from common.datasets.files import require_files
from common.datasets.image_pairs import misfit, read_channels, read_mask

DATASET = "dsb2018-stage1"


def load(folder: Path | None = None) -> Cases:
    """List the images with the masks of their nuclei.

    Args:
        folder: the data set's folder, with a folder for each image; where it lies by default.

    Returns:
        Cases with image (3, height, width) uint8, ``instances`` (height, width), int32: 0
        background, then one number a nucleus in the order of the mask files' names; ``coloured``
        in ``info`` says whether the channels differ. The table has ``image`` and ``n_nuclei``.

    Raises:
        ReplicateError: the files are absent, an image has another name than its folder, or has no
            mask.
    """
    folder = manifests.require(DATASET, folder)
    rows = []
    for path in require_files(folder, "*/images/*.png", dataset=DATASET):
        home = path.parent.parent
        if path.stem != home.name:
            raise misfit(path, f"be named after its folder {home.name}", path.stem, dataset=DATASET)
        rows.append(
            {
                "case": path.stem,
                "cluster": path.stem,
                "image": path.relative_to(folder).as_posix(),
                "n_nuclei": len(require_files(home, "masks/*.png", dataset=DATASET)),
            }
        )
    return Cases(pd.DataFrame(rows), partial(_read, folder=folder))


def _read(row: Mapping[str, Any], *, folder: Path) -> Case:
    path = folder / row["image"]
    stored = read_channels(path)
    if stored.shape[0] not in (3, 4):
        raise misfit(path, "have 3 or 4 channels", stored.shape[0], dataset=DATASET)
    # the fourth is opacity, 255 everywhere
    image = stored[:3]
    instances = np.zeros(image.shape[1:], np.int32)
    masks = require_files(path.parent.parent, "masks/*.png", dataset=DATASET)
    for number, mask_path in enumerate(masks, start=1):
        nucleus = read_mask(mask_path, instances.shape, dataset=DATASET)
        if not nucleus.any():
            raise misfit(mask_path, "show one nucleus", "no pixel", dataset=DATASET)
        instances[nucleus & (instances == 0)] = number
    info = {"coloured": bool((image != image[:1]).any())}
    return Case(row["case"], row["cluster"], image, {"instances": instances}, info=info)
