"""Kvasir-SEG at 352 x 352 pixels: 1,000 polyp images with masks in EffiSegNet's split.

The repository of EffiSegNet resized images and masks, renumbered them within train, validation
and test (800, 100, 100), and saved the masks as JPEG, so that a few pixels in ten thousand are
neither black nor white: the threshold is 128. The split is that repository's; Kvasir-SEG itself
has none.

There are no patient ids: a cluster is one image, and frames of one patient or video, which may lie
in different parts, cannot be told apart.

Source: Jha et al., Kvasir-SEG (citation from memory); the repository of EffiSegNet.
"""

from functools import partial
from pathlib import Path

import pandas as pd

from common import manifests
from common.datasets.cases import Cases
from common.datasets.image_pairs import JPEG_THRESHOLD, pairs, read_pair

DATASET = "kvasir-seg-352"
PARTS = ("train", "validation", "test")


def load(folder: Path | None = None) -> Cases:
    """List the images with their masks.

    Args:
        folder: the data set's folder, with ``images`` and ``masks`` in each part's folder; where
            it lies by default.

    Returns:
        Cases with image (3, 352, 352) uint8 and ``mask``; the table has ``part``, ``image`` and
        ``mask``. Names are ``train-0`` and so on, because the parts are numbered each by itself.

    Raises:
        ReplicateError: the files are absent, or an image lacks its mask or a mask its image.
    """
    folder = manifests.require(DATASET, folder)
    table = pd.DataFrame(
        {**pair, "case": f"{part}-{pair['case']}", "part": part}
        for part in PARTS
        for pair in pairs(folder, f"{part}/images/*.jpg", f"{part}/masks/*.jpg", dataset=DATASET)
    )
    table.insert(1, "cluster", table["case"])
    read = partial(read_pair, folder=folder, dataset=DATASET, at_least=JPEG_THRESHOLD)
    return Cases(table, read)
