"""RetinaMNIST+: 1,600 fundus photographs of 224 x 224 pixels in five grades of retinopathy.

One compressed NumPy file holds an array of images (n, 224, 224, 3) and one of grades (n, 1), both
uint8, for each official part (``train_images``, ``train_labels``, ``val_images`` and so on). Only
the grades are read for the table; the images of a part are unpacked when its first case is asked
for, and the last part stays in memory.

There are no patient ids: a cluster is one image.

Source: Yang et al. 2023, Scientific Data 10, 41 (number from memory).
"""

from collections.abc import Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common import manifests
from common.datasets.cases import Case, Cases
from common.datasets.files import MAX_BYTES
from common.datasets.image_pairs import misfit

DATASET = "retinamnist"
CLASSES = ("grade 0", "grade 1", "grade 2", "grade 3", "grade 4")
PARTS = {"train": "train", "validation": "val", "test": "test"}
FILE = "retinamnist_224.npz"
SIDE_PX = 224


def load(folder: Path | None = None) -> Cases:
    """List the photographs of all parts.

    Args:
        folder: the data set's folder, with ``retinamnist_224.npz``; where it lies by default.

    Returns:
        Cases ``train-0000`` and so on with image (3, 224, 224) uint8 and ``label`` (the grade,
        place in :data:`CLASSES`); the table has ``label``, ``part`` (train, validation, test) and
        ``index`` (place in the part).

    Raises:
        ReplicateError: the file is absent or damaged, or lacks an array; a grade is unknown, or a
            part has not one grade for each image.
    """
    path = manifests.require(DATASET, folder) / FILE
    rows: list[dict[str, Any]] = []
    for part, name in PARTS.items():
        labels = _member(path, f"{name}_labels", 2)
        n_images = _header(path, f"{name}_images", 4)[0]
        if labels.shape != (n_images, 1) or labels.max(initial=0) >= len(CLASSES):
            rule = f"give each of the {n_images} {part} images a grade from 0 to 4"
            held = f"{labels.shape}, up to {labels.max(initial=0)}"
            raise misfit(path, rule, held, dataset=DATASET)
        for index, label in enumerate(labels[:, 0].tolist()):
            case = f"{part}-{index:04d}"
            known = {"label": label, "part": part, "index": index}
            rows.append({"case": case, "cluster": case, **known})
    return Cases(pd.DataFrame(rows), partial(_read, path=path))


def _read(row: Mapping[str, Any], *, path: Path) -> Case:
    images = _images(path, f"{PARTS[row['part']]}_images", path.stat().st_mtime_ns)
    image = np.array(np.moveaxis(images[row["index"]], -1, 0), order="C")
    return Case(row["case"], row["cluster"], image, {"label": int(row["label"])})


@lru_cache(maxsize=1)
def _images(path: Path, name: str, changed_ns: int) -> NDArray[np.uint8]:
    # the time of the last change is an argument so that a new file is never taken for the old one
    return _member(path, name, 4)


def _header(path: Path, name: str, n_axes: int) -> tuple[int, ...]:
    """Read the shape of an array without its values."""
    return _open(path, name, n_axes, values=False)[0]


def _member(path: Path, name: str, n_axes: int) -> NDArray[np.uint8]:
    """Read one array of the file."""
    shape, values = _open(path, name, n_axes, values=True)
    return np.frombuffer(values, np.uint8).reshape(shape)


def _open(path: Path, name: str, n_axes: int, *, values: bool) -> tuple[tuple[int, ...], bytes]:
    """Check the header of an array and, if asked, read its values, never more than it announces."""
    try:
        with ZipFile(path) as archive, archive.open(f"{name}.npy") as stream:
            version = np.lib.format.read_magic(stream)
            read = np.lib.format.read_array_header_1_0
            if version != (1, 0):
                read = np.lib.format.read_array_header_2_0
            shape, by_columns, dtype = read(stream)
            n_bytes = int(np.prod([int(side) for side in shape], dtype=object))
            sound = len(shape) == n_axes and dtype == np.uint8 and not by_columns
            if n_axes == 4:
                sound = sound and shape[1:] == (SIDE_PX, SIDE_PX, 3)
            if not sound or not 0 < n_bytes <= MAX_BYTES:
                raise ValueError(f"{name} of {dtype} {shape}")
            held = stream.read(n_bytes) if values else b""
            if values and len(held) != n_bytes:
                raise ValueError(f"{len(held):,} of {n_bytes:,} bytes of {name}")
    except Exception as error:
        # zip and NumPy raise many unrelated types on damaged files
        rule = f"be a sound NumPy archive with {name} as bytes"
        problem = str(error) or type(error).__name__
        raise misfit(path, rule, problem, dataset=DATASET) from None
    return tuple(shape), held
