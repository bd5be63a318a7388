"""ISIC 2018 task 1: 2,594 dermoscopic images with a mask of the lesion, and the official rest.

A mask is a PNG file of 0 and 255 named like its image, with ``_segmentation`` behind. Validation
(100) and test (1,000) have folders of the same kind; they are read where the folder has them.

There are no patient ids: a cluster is one image, and images of one patient cannot be told apart.

Source: Codella et al. 2019, arXiv 1902.03368.
"""

from functools import partial
from pathlib import Path

import pandas as pd

from common import manifests
from common.datasets.cases import Cases
from common.datasets.image_pairs import pairs, read_pair

DATASET = "isic2018-task1"
PARTS = {"train": "Training", "validation": "Validation", "test": "Test"}


def load(folder: Path | None = None) -> Cases:
    """List the images with their masks, by part.

    Args:
        folder: the data set's folder, with ``ISIC2018_Task1-2_Training_Input`` and
            ``ISIC2018_Task1_Training_GroundTruth``, and the like for validation and test where
            they are wanted; where it lies by default.

    Returns:
        Cases with image (3, height, width) uint8 of differing size and ``mask``; the table has
        ``part`` (train, validation, test), ``image`` and ``mask``.

    Raises:
        ReplicateError: the training files are absent, or an image lacks its mask or a mask its
            image.
    """
    folder = manifests.require(DATASET, folder)
    rows: list[dict[str, str]] = []
    for part, name in PARTS.items():
        images, masks = f"ISIC2018_Task1-2_{name}_Input", f"ISIC2018_Task1_{name}_GroundTruth"
        if part != "train" and not (folder / images).is_dir() and not (folder / masks).is_dir():
            continue
        found = pairs(
            folder,
            f"{images}/ISIC_*.jpg",
            f"{masks}/ISIC_*_segmentation.png",
            dataset=DATASET,
            ending="_segmentation",
        )
        rows += [{**pair, "part": part} for pair in found]
    table = pd.DataFrame(rows)
    table.insert(1, "cluster", table["case"])
    return Cases(table, partial(read_pair, folder=folder, dataset=DATASET))
