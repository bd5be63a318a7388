"""NMED-H: EEG of 48 people who heard four Hindi songs in one of four versions, each song twice.

A version's files lie in a folder of their own, first hearings ``_a`` and second ones ``_b``. Twelve
people heard a version; the two hearings came in separate blocks, so that a split by hearing can
separate song from moment in the session. The files are described in :mod:`common.datasets.nmed`.
"""

from pathlib import Path
from typing import Literal, get_args

from common import manifests
from common.datasets.cases import Cases
from common.datasets.nmed import load_songs

DATASET = "nmed-h"
CLASSES = tuple(f"song {number}" for number in range(1, 5))

# original, reversed, phases scrambled, measures shuffled
Version = Literal["orig", "rev", "phase", "meas"]


def load(folder: Path | None = None, *, version: Version = "orig") -> Cases:
    """List every hearing of a version, 12 people times 4 songs times 2 in a whole copy.

    Args:
        folder: where the files are; by default where the manifest's files were found.
        version: ``orig`` (songs 21 to 24), ``rev`` (reversed, 25 to 28), ``phase`` (phases
            scrambled, 29 to 32) or ``meas`` (measures shuffled, 33 to 36).

    Returns:
        Cases as :func:`common.datasets.nmed.load_songs` lists them: image (125, samples) float32;
        ``label``, place of the song in :data:`CLASSES` in a whole copy; ``hearing`` a or b.

    Raises:
        ReplicateError: no file is there, or a file is damaged or does not hold what its name says.
        ValueError: unknown version.

    Source:
        Kaneshiro et al. 2016, exhibits.stanford.edu/data/catalog/sd922db3535.
    """
    if version not in get_args(Version):
        raise ValueError(f"`version` must be one of {get_args(Version)}, got {version!r}.")
    folder = manifests.require(DATASET, folder)
    pattern = f"CleanEEG_aggregatedByStimulus_{version}/song*_[ab]_Imputed.mat"
    return load_songs(folder, pattern, dataset=DATASET)
