"""ISIC 2016: dermoscopy with lesion masks; the 30 smallest files of 200 that a repository holds.

Images keep their names (``ISIC_0000000.jpg`` with ``ISIC_0000000_Segmentation.png``).
``groundtruth.mat`` holds 200 labels, 100 benign and 100 malignant, in the order of the names of
that repository's 200 images. Which names those are is not recorded, so that the 30 images have no
label; in a folder with as many images as labels, every image has its own.

There are no patient ids: a cluster is one image, and images of one patient cannot be told apart.

Source: Gutman et al. 2016, ISIC challenge (citation from memory).
"""

from functools import partial
from pathlib import Path

import pandas as pd

from common import manifests
from common.datasets.cases import Cases
from common.datasets.files import read_matlab
from common.datasets.image_pairs import misfit, pairs, read_pair

DATASET = "isic2016-lesions"
CLASSES = ("benign", "malignant")


def load(folder: Path | None = None) -> Cases:
    """List the lesions with their masks.

    Args:
        folder: the data set's folder, with ``lesionimages``, ``masks`` and ``groundtruth.mat``;
            where it lies by default.

    Returns:
        Cases with image (3, height, width) uint8 of differing size and ``mask``; ``label`` (place
        in :data:`CLASSES`) only if there are as many images as labels. The table has ``image``,
        ``mask`` and, likewise, ``label``.

    Raises:
        ReplicateError: the files are absent, an image lacks its mask or a mask its image, or the
            label file is damaged or names another class.
    """
    folder = manifests.require(DATASET, folder)
    table = pd.DataFrame(
        pairs(
            folder,
            "lesionimages/*.jpg",
            "masks/*.png",
            dataset=DATASET,
            ending="_Segmentation",
        )
    )
    table.insert(1, "cluster", table["case"])
    codes = labels(folder)
    if len(codes) == len(table):
        table.insert(2, "label", codes)
    return Cases(table, partial(read_pair, folder=folder, dataset=DATASET))


def labels(folder: Path | None = None) -> list[int]:
    """Read the labels of the repository's images, in the order of their names.

    Args:
        folder: the data set's folder; where it lies by default.

    Returns:
        Places in :data:`CLASSES`; 200 for the published file.

    Raises:
        ReplicateError: the file is absent or damaged, or names another class.
    """
    path = manifests.require(DATASET, folder) / "groundtruth.mat"
    names = [str(name) for name in read_matlab(path).get("groundtruth", ())]
    unknown = sorted(set(names) - set(CLASSES))
    if unknown or not names:
        rule = f"hold `groundtruth` with {' and '.join(CLASSES)}"
        raise misfit(path, rule, unknown[0] if unknown else "none", dataset=DATASET)
    return [CLASSES.index(name) for name in names]
