"""NMED-T: EEG of 20 people who heard ten songs, cleaned, 125 channels at 125 Hz.

Each person heard each song once, so that song and moment in the session cannot be told apart. The
files are described in :mod:`common.datasets.nmed`.
"""

from pathlib import Path

from common import manifests
from common.datasets.cases import Cases
from common.datasets.nmed import load_songs

DATASET = "nmed-t"
CLASSES = tuple(f"song {number}" for number in range(21, 31))


def load(folder: Path | None = None) -> Cases:
    """List every hearing, 20 people times 10 songs in a whole copy.

    Args:
        folder: where the files are; by default where the manifest's files were found.

    Returns:
        Cases as :func:`common.datasets.nmed.load_songs` lists them: image (125, samples) float32;
        ``label``, place of the song in :data:`CLASSES` in a whole copy.

    Raises:
        ReplicateError: no file is there, or a file is damaged or does not hold what its name says.

    Source:
        Losorelli et al. 2017, exhibits.stanford.edu/data/catalog/jn859kj8079.
    """
    folder = manifests.require(DATASET, folder)
    return load_songs(folder, "song*_Imputed.mat", dataset=DATASET)
