"""MED-NODE: photographs of 100 naevi and 70 melanomas, cropped to the lesion.

The folder tells the label. The paper of skin-bss uses 51 naevi and 34 melanomas and does not say
which. There are no patient ids: a cluster is one image, and repeated patients cannot be seen.

Source: Giotis et al. 2015, MED-NODE, University of Groningen.
"""

from functools import partial
from pathlib import Path

import pandas as pd

from common import manifests
from common.datasets.cases import Cases
from common.datasets.labelled_images import by_pattern, read_labelled
from common.datasets.mednode_two import CLASSES as CLASSES  # the same two, in the same order

DATASET = "mednode-complete"


def load(folder: Path | None = None) -> Cases:
    """List the photographs.

    Args:
        folder: the data set's folder, with ``naevus`` and ``melanoma``; where it lies by default.

    Returns:
        Cases with image (3, height, width) uint8 of differing size and ``label`` (place in
        :data:`CLASSES`); the table has ``label`` and ``image``.

    Raises:
        ReplicateError: there is no image of a class, or one name is in both.
    """
    folder = manifests.require(DATASET, folder)
    patterns = {label: f"{name}/*.jpg" for label, name in enumerate(CLASSES)}
    table = pd.DataFrame(by_pattern(folder, patterns, dataset=DATASET))
    return Cases(table, partial(read_labelled, folder=folder, dataset=DATASET))
