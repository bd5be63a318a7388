"""Liver, task 3 of the Medical Segmentation Decathlon: contrast CT with liver and tumours.

From memory, not checked for this book: 131 labelled and 70 unlabelled scans, those of the LiTS
challenge, 512 x 512 pixels and up to about a thousand slices of varying thickness. A chapter that
segments the whole liver merges the codes 1 and 2.
"""

from pathlib import Path

from common import manifests
from common.datasets.cases import Cases
from common.datasets.decathlon import Part, Task, load_task

DATASET = "msd-task03-liver"
CHANNELS = ("CT",)
CLASSES = ("background", "liver", "cancer")
TASK = Task(DATASET, "Task03_Liver", CHANNELS, CLASSES)


def load(folder: Path | None = None, *, part: Part = "training") -> Cases:
    """List the liver scans; see :func:`common.datasets.decathlon.load_task`.

    Args:
        folder: where the files are; by default where the manifest's files were found.
        part: ``training`` (labelled) or ``test`` (images only).

    Returns:
        Cases with image (1, x, y, z) in Hounsfield units and ``mask`` (x, y, z), codes of
        :data:`CLASSES`.

    Raises:
        ReplicateError: files are absent or do not fit together.
        ValueError: unknown part.

    Source:
        Simpson et al., arXiv 1902.09063.
    """
    return load_task(TASK, manifests.require(DATASET, folder), part=part)
