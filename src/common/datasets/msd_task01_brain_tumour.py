"""Brain tumour, task 1 of the Medical Segmentation Decathlon: four MR sequences of glioma.

From memory, not checked for this book: 484 labelled and 266 unlabelled cases of 240 x 240 x 155
voxels at 1 mm, taken from the BraTS challenges of 2016 and 2017, channels and codes as below.
BraTS of those years codes the parts of a tumour differently.
"""

from pathlib import Path

from common import manifests
from common.datasets.cases import Cases
from common.datasets.decathlon import Part, Task, load_task

DATASET = "msd-task01-brain-tumour"
CHANNELS = ("FLAIR", "T1w", "T1gd", "T2w")
CLASSES = ("background", "oedema", "non-enhancing tumour", "enhancing tumour")
TASK = Task(DATASET, "Task01_BrainTumour", CHANNELS, CLASSES)


def load(folder: Path | None = None, *, part: Part = "training") -> Cases:
    """List the brain scans; see :func:`common.datasets.decathlon.load_task`.

    Args:
        folder: where the files are; by default where the manifest's files were found.
        part: ``training`` (labelled) or ``test`` (images only).

    Returns:
        Cases with image (4, x, y, z), channels as in :data:`CHANNELS`, and ``mask`` (x, y, z),
        codes of :data:`CLASSES`.

    Raises:
        ReplicateError: files are absent or do not fit together.
        ValueError: unknown part.

    Source:
        Simpson et al., arXiv 1902.09063.
    """
    return load_task(TASK, manifests.require(DATASET, folder), part=part)
