"""Heart, task 2 of the Medical Segmentation Decathlon: left atrium in MR of the whole heart.

From memory, not checked for this book: 20 labelled and 10 unlabelled cases of one centre.
"""

from pathlib import Path

from common import manifests
from common.datasets.cases import Cases
from common.datasets.decathlon import Part, Task, load_task

DATASET = "msd-task02-heart"
CHANNELS = ("MRI",)
CLASSES = ("background", "left atrium")
TASK = Task(DATASET, "Task02_Heart", CHANNELS, CLASSES)


def load(folder: Path | None = None, *, part: Part = "training") -> Cases:
    """List the heart scans; see :func:`common.datasets.decathlon.load_task`.

    Args:
        folder: where the files are; by default where the manifest's files were found.
        part: ``training`` (labelled) or ``test`` (images only).

    Returns:
        Cases with image (1, x, y, z) and ``mask`` (x, y, z), codes of :data:`CLASSES`.

    Raises:
        ReplicateError: files are absent or do not fit together.
        ValueError: unknown part.

    Source:
        Simpson et al., arXiv 1902.09063.
    """
    return load_task(TASK, manifests.require(DATASET, folder), part=part)
