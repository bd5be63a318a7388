"""HRF: 45 fundus photographs, 15 each of healthy, diabetic and glaucomatous eyes.

The name tells the label: ``01_h.jpg``, ``01_dr.JPG`` (capitals) and ``01_g.jpg``. Which eyes belong
to one patient is not said: the numbers count the images of each class, and a cluster is one image.

Source: Budai et al. 2013 (citation and names from memory).
"""

from functools import partial
from pathlib import Path

import pandas as pd

from common import manifests
from common.datasets.cases import Cases
from common.datasets.labelled_images import by_pattern, read_labelled

DATASET = "hrf"
CLASSES = ("healthy", "diabetic retinopathy", "glaucoma")
# either spelling of the suffix, as copies differ on systems that do not tell them apart
_PATTERNS = {
    label: f"images/*_{ending}.[jJ][pP][gG]" for label, ending in enumerate(("h", "dr", "g"))
}


def load(folder: Path | None = None) -> Cases:
    """List the photographs.

    Args:
        folder: the data set's folder, with ``images``; where it lies by default.

    Returns:
        Cases with image (3, height, width) uint8, published as (3, 2336, 3504), and ``label``
        (place in :data:`CLASSES`); the table has ``label`` and ``image``.

    Raises:
        ReplicateError: there is no image of a class.
    """
    folder = manifests.require(DATASET, folder)
    table = pd.DataFrame(by_pattern(folder, _PATTERNS, dataset=DATASET))
    return Cases(table, partial(read_labelled, folder=folder, dataset=DATASET))
