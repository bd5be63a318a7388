"""iChallenge-AMD (ADAM): 400 labelled fundus photographs, 89 of them with macular degeneration.

The folder tells the label: ``Training400/AMD/A0001.jpg`` or ``Training400/Non-AMD/N0001.jpg``. The
other 800 images of the challenge have no public label. Photographs are 2124 x 2056 or 1444 x 1444
pixels.

There are no patient ids: a cluster is one image, and both eyes of a patient cannot be told apart.

Source: Fu et al. 2020, doi 10.21227/dt4f-rt59; folder names from memory.
"""

from functools import partial
from pathlib import Path

import pandas as pd

from common import manifests
from common.datasets.cases import Cases
from common.datasets.labelled_images import by_pattern, read_labelled

DATASET = "adam-ichallenge-amd"
CLASSES = ("normal", "AMD")


def load(folder: Path | None = None) -> Cases:
    """List the labelled photographs.

    Args:
        folder: the data set's folder, with ``Training400``; where it lies by default.

    Returns:
        Cases with image (3, height, width) uint8 of two sizes and ``label`` (place in
        :data:`CLASSES`); the table has ``label`` and ``image``.

    Raises:
        ReplicateError: there is no image of a class.
    """
    folder = manifests.require(DATASET, folder)
    patterns = {0: "Training400/Non-AMD/N*.jpg", 1: "Training400/AMD/A*.jpg"}
    table = pd.DataFrame(by_pattern(folder, patterns, dataset=DATASET))
    return Cases(table, partial(read_labelled, folder=folder, dataset=DATASET))
