"""One brain of VoxelMorph's examples: a T1-weighted scan with FreeSurfer's label map.

The scan is affinely aligned, 160 x 192 x 224 voxels, intensities scaled to 0-1. ``labels.npz``
lists the 30 structures on which VoxelMorph is evaluated. The files give no spacing (from memory:
1 mm) and no name of the subject. Scan and labels are stored as float64, labels being whole numbers.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common import manifests
from common.datasets.cases import Case, Cases
from common.datasets.decathlon import label_map, require_present
from common.datasets.files import read_numpy
from common.errors import ReplicateError

DATASET = "voxelmorph-scan"

_PAIRED = (
    *((2, 41, "cerebral white matter"), (3, 42, "cerebral cortex"), (4, 43, "lateral ventricle")),
    *((5, 44, "inferior lateral ventricle"), (7, 46, "cerebellum white matter")),
    *((8, 47, "cerebellum cortex"), (10, 49, "thalamus"), (11, 50, "caudate")),
    *((12, 51, "putamen"), (13, 52, "pallidum"), (17, 53, "hippocampus"), (18, 54, "amygdala")),
    *((26, 58, "accumbens"), (28, 60, "ventral diencephalon"), (30, 62, "vessel")),
    (31, 63, "choroid plexus"),
)
# names of FreeSurfer's colour table, from memory; the file holds the codes only
CLASSES = MappingProxyType(
    {0: "background", 14: "third ventricle", 15: "fourth ventricle", 16: "brain stem", 24: "CSF"}
    | {left: f"left {name}" for left, _, name in _PAIRED}
    | {right: f"right {name}" for _, right, name in _PAIRED}
    | {72: "fifth ventricle", 77: "white matter hypointensities"}
    | {80: "other hypointensities", 85: "optic chiasm", 251: "posterior corpus callosum"}
    | {252: "mid-posterior corpus callosum", 253: "central corpus callosum"}
    | {254: "mid-anterior corpus callosum", 255: "anterior corpus callosum"}
)


def load(folder: Path | None = None) -> Cases:
    """List the one scan.

    Args:
        folder: where the files are; by default where the manifest's files were found.

    Returns:
        One case, ``test_scan``: image (1, 160, 192, 224) float32 in 0-1, ``mask`` of the same
        sides, uint8 codes of :data:`CLASSES`; ``info["evaluated"]`` is the tuple of the codes
        that VoxelMorph evaluates.

    Raises:
        ReplicateError: a file is absent. When the case is read: an array is absent, scan and label
            map differ in shape, or a code is unknown.

    Source:
        Balakrishnan et al., arXiv 1809.05231.
    """
    folder = manifests.require(DATASET, folder)
    require_present(folder, ("test_scan.npz", "labels.npz"), dataset=DATASET)
    table = pd.DataFrame({"case": ["test_scan"], "cluster": ["test_scan"]})
    return Cases(table, partial(_read, folder))


def _read(folder: Path, row: Mapping[str, Any]) -> Case:
    path = folder / "test_scan.npz"
    volume, stored = _arrays(path, "vol", "seg")
    if volume.ndim != 3 or volume.shape != stored.shape:
        raise ReplicateError(
            f"{path} must hold vol and seg of one shape with 3 axes, got {volume.shape} and "
            f"{stored.shape}. Fetch or copy it again."
        )
    (evaluated,) = _arrays(folder / "labels.npz", "labels")
    codes = label_map(folder / "labels.npz", evaluated, CLASSES)
    return Case(
        case=row["case"],
        cluster=row["cluster"],
        image=volume[np.newaxis].astype(np.float32),
        target={"mask": label_map(path, stored, CLASSES)},
        info={"evaluated": tuple(codes.tolist())},
    )


def _arrays(path: Path, *names: str) -> list[NDArray[Any]]:
    arrays = read_numpy(path)
    if lacking := [name for name in names if name not in arrays]:
        raise ReplicateError(
            f"{path} must hold the array {lacking[0]!r}, got {', '.join(arrays) or 'none'}. "
            "Fetch or copy it again."
        )
    return [arrays[name] for name in names]
