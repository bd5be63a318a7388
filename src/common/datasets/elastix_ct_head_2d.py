"""A pair of two-dimensional head CT slices with masks, from the examples of ITKElastix.

A fixed and a moving image for tests of registration, 256 x 256 pixels. The header's spacing is
1 mm and its grey values (-2 to 251) are not Hounsfield units. The pair is one cluster.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from common import manifests
from common.datasets.cases import Case, Cases
from common.datasets.decathlon import label_map, require_present
from common.datasets.files import read_metaimage
from common.errors import ReplicateError

DATASET = "elastix-ct-head-2d"
CLASSES = ("background", "head")


def load(folder: Path | None = None) -> Cases:
    """List the pair, cases ``fixed`` and ``moving``.

    Args:
        folder: where the files are; by default where the manifest's files were found.

    Returns:
        Cases with the columns ``case, cluster, image, mask``. A case has the image
        (1, y, x) int16, ``mask`` (y, x) bool, true in the head, and spacing.

    Raises:
        ReplicateError: a file is absent. When a case is read: image and mask differ in shape, or
            the mask holds another value than 0 and 1.
    """
    folder = manifests.require(DATASET, folder)
    names = ["fixed", "moving"]
    table = pd.DataFrame(
        {
            "case": names,
            "cluster": "head",
            "image": [f"CT_2D_head_{name}.mha" for name in names],
            "mask": [f"CT_2D_head_{name}_mask.mha" for name in names],
        }
    )
    require_present(folder, (*table["image"], *table["mask"]), dataset=DATASET)
    return Cases(table, partial(_read, folder))


def _read(folder: Path, row: Mapping[str, Any]) -> Case:
    image, mask = read_metaimage(folder / row["image"]), read_metaimage(folder / row["mask"])
    if mask.array.shape != image.array.shape:
        raise ReplicateError(
            f"{folder / row['mask']} must have the shape {image.array.shape} of {row['image']}, "
            f"got {mask.array.shape}. Fetch or copy both again."
        )
    codes = label_map(folder / row["mask"], mask.array, range(len(CLASSES)))
    return Case(
        case=row["case"],
        cluster=row["cluster"],
        image=image.array[np.newaxis],
        target={"mask": codes.astype(bool)},
        spacing_mm=image.spacing_mm,
    )
