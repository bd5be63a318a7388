"""Hippocampus, task 4 of the Medical Segmentation Decathlon: T1-weighted MR crops at 1 mm.

The 260 labelled cases are crops of 31-43 x 40-59 x 24-47 voxels. Intensities are not comparable
between cases: 205 are stored as float32, 55 as uint8, on different scales.
"""

from pathlib import Path

from common import manifests
from common.datasets.cases import Cases
from common.datasets.decathlon import Part, Task, load_task

DATASET = "msd-task04-hippocampus"
CHANNELS = ("T1w",)
CLASSES = ("background", "anterior", "posterior")
TASK = Task(DATASET, "Task04_Hippocampus", CHANNELS, CLASSES)


def load(folder: Path | None = None, *, part: Part = "training") -> Cases:
    """List the hippocampus crops; see :func:`common.datasets.decathlon.load_task`.

    Args:
        folder: where the files are; by default where the manifest's files were found.
        part: ``training`` (260 labelled cases) or ``test`` (images only).

    Returns:
        Cases with image (1, x, y, z) and ``mask`` (x, y, z), codes of :data:`CLASSES`.

    Raises:
        ReplicateError: files are absent or do not fit together.
        ValueError: unknown part.

    Source:
        Simpson et al., arXiv 1902.09063.
    """
    return load_task(TASK, manifests.require(DATASET, folder), part=part)
