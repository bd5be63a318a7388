"""Kvasir-SEG as published: five of the 1,000 polyp images, with their original names and sizes.

The layout is that of the complete set. Masks are JPEG files of three equal channels with smeared
edges: the threshold is 128. There are no patient ids: a cluster is one image, and frames of one
patient or video cannot be told apart.

Source: Jha et al., Kvasir-SEG (citation from memory).
"""

from functools import partial
from pathlib import Path

import pandas as pd

from common import manifests
from common.datasets.cases import Cases
from common.datasets.image_pairs import JPEG_THRESHOLD, pairs, read_pair

DATASET = "kvasir-seg-original-5"


def load(folder: Path | None = None) -> Cases:
    """List the images with their masks.

    Args:
        folder: the data set's folder, with ``images`` and ``masks``; where it lies by default.

    Returns:
        Cases with image (3, height, width) uint8 of differing size and ``mask``; the table has
        ``image`` and ``mask``.

    Raises:
        ReplicateError: the files are absent, or an image lacks its mask or a mask its image.
    """
    folder = manifests.require(DATASET, folder)
    table = pd.DataFrame(pairs(folder, "images/*.jpg", "masks/*.jpg", dataset=DATASET))
    table.insert(1, "cluster", table["case"])
    read = partial(read_pair, folder=folder, dataset=DATASET, at_least=JPEG_THRESHOLD)
    return Cases(table, read)
