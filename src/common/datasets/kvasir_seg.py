"""Kvasir-SEG as published: 1,000 polyp images with masks and boxes.

Images keep their names and sizes (332 x 487 to 1920 x 1072). Masks are JPEG files of three equal
channels with smeared edges: the threshold is 128. ``kavsir_bboxes.json`` (the archive's own
spelling) gives the size of every image and a box around each polyp in pixels. A box lies about one
pixel outside of its mask (one box from memory, compared with the published mask), so that it may
reach that far over the border. Boxes are held against the masks: a mask of another image does not
pass.

There are no patient ids: a cluster is one image, and frames of one patient or video cannot be told
apart.

Source: Jha et al. 2020, doi 10.1007/978-3-030-37734-2_37.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common import manifests
from common.datasets.cases import Case, Cases
from common.datasets.files import read_json
from common.datasets.image_pairs import JPEG_THRESHOLD, misfit, pairs, read_pair

DATASET = "kvasir-seg"
BOXES = "kavsir_bboxes.json"
# far below the agreement of a box and its own mask, above that of most others
LEAST_OVERLAP = 0.5

Box = tuple[int, int, int, int]


def load(folder: Path | None = None) -> Cases:
    """List the images with their masks and boxes.

    Args:
        folder: the data set's folder, with ``images``, ``masks`` and ``kavsir_bboxes.json``; where
            it lies by default.

    Returns:
        Cases with image (3, height, width) uint8 of differing size, ``mask`` and ``boxes`` (n, 4)
        float64, pixels as y0, x0, y1, x1. ``info["overlap"]`` is the agreement of boxes and mask,
        see :func:`overlap`. The table has ``image``, ``mask``, ``size`` and ``boxes``.

    Raises:
        ReplicateError: the files are absent, an image lacks its mask or a mask its image, or an
            image has no box. When a case is read: mask, image and boxes do not fit together.
    """
    folder = manifests.require(DATASET, folder)
    rows = pairs(folder, "images/*.jpg", "masks/*.jpg", dataset=DATASET)
    known = read_boxes(folder / BOXES, dataset=DATASET)
    for row in rows:
        if row["case"] not in known:
            raise misfit(folder / BOXES, f"list {row['case']}", "no such name", dataset=DATASET)
    table = pd.DataFrame(rows)
    table.insert(1, "cluster", table["case"])
    sizes, boxes = zip(*(known[case] for case in table["case"]), strict=True)
    table = table.assign(size=sizes, boxes=boxes)
    read = partial(read_boxed, folder=folder, dataset=DATASET, boxes=BOXES, at_least=JPEG_THRESHOLD)
    return Cases(table, read)


def read_boxes(path: Path, *, dataset: str) -> dict[str, tuple[tuple[int, int], tuple[Box, ...]]]:
    """Read the file of boxes: the size of every image and its boxes.

    Args:
        path: ``{name: {"height", "width", "bbox": [{"label", "xmin", "ymin", "xmax", "ymax"}]}}``.
        dataset: the data set's name, for the error.

    Returns:
        (height, width) and the boxes (y0, x0, y1, x1) of every name.

    Raises:
        ReplicateError: the file is absent or of another form, or a box is empty or leaves its
            image.
    """
    found = {}
    name: Any = "the whole file"
    try:
        for name, entry in read_json(path).items():
            height, width = int(entry["height"]), int(entry["width"])
            boxes = tuple(
                (int(box["ymin"]), int(box["xmin"]), int(box["ymax"]), int(box["xmax"]))
                for box in entry["bbox"]
            )
            for top, left, bottom, right in boxes:
                if not (-1 <= top < bottom <= height + 1 and -1 <= left < right <= width + 1):
                    raise ValueError(f"box {(top, left, bottom, right)}")
            found[str(name)] = ((height, width), boxes)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        rule = "hold height, width and boxes inside them for every image"
        raise misfit(path, rule, f"{error} in {name}", dataset=dataset) from None
    return found


def read_boxed(
    row: Mapping[str, Any], *, folder: Path, dataset: str, boxes: str, at_least: int
) -> Case:
    """Read an image, its mask and its boxes, and hold them against each other.

    Args:
        row: as for :func:`common.datasets.image_pairs.read_pair`, with ``size`` and ``boxes`` as
            :func:`read_boxes` gives them.
        folder: the data set's folder.
        dataset: its name, for the errors.
        boxes: the file of boxes, for the errors.
        at_least: the lowest value of the mask that counts as true.

    Raises:
        ReplicateError: a file is absent or damaged, sizes differ, or boxes and mask overlap by less
            than :data:`LEAST_OVERLAP`.
    """
    case = read_pair(row, folder=folder, dataset=dataset, at_least=at_least)
    mask = case.target["mask"]
    if mask.shape != tuple(row["size"]):
        rule = f"have the {row['size'][0]} x {row['size'][1]} pixels that {boxes} says"
        held = f"{mask.shape[0]} x {mask.shape[1]}"
        raise misfit(folder / row["image"], rule, held, dataset=dataset)
    array = np.array(row["boxes"], np.float64).reshape(-1, 4)
    agreement = overlap(array, mask)
    if agreement < LEAST_OVERLAP:
        rule = f"agree with the boxes in {boxes} (overlap at least {LEAST_OVERLAP})"
        raise misfit(folder / row["mask"], rule, f"{agreement:.2f}", dataset=dataset)
    target = {"mask": mask, "boxes": array}
    return Case(case.case, case.cluster, case.image, target, info={"overlap": agreement})


def overlap(boxes: NDArray[np.float64], mask: NDArray[np.bool_]) -> float:
    """Compute intersection over union of the rectangles around all boxes and around the mask.

    Args:
        boxes (n, 4): y0, x0, y1, x1 in pixels.
        mask (height, width): the drawn pixels.

    Returns:
        From 0 to 1; 1 if there is neither a box nor a drawn pixel, 0 if only one of them.

    Example:
        >>> mask = np.zeros((6, 6), bool)
        >>> mask[2:4, 1:5] = True
        >>> overlap(np.array([[2.0, 1.0, 4.0, 3.0]]), mask)
        0.5
    """
    if not len(boxes) or not mask.any():
        return float(len(boxes) == 0 and not mask.any())
    drawn = [np.nonzero(mask.any(axis=axis))[0] for axis in (1, 0)]
    lower, upper = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    first = np.array([places[0] for places in drawn], float)
    last = np.array([places[-1] + 1 for places in drawn], float)
    shared = np.clip(np.minimum(upper, last) - np.maximum(lower, first), 0, None).prod()
    return float(shared / ((upper - lower).prod() + (last - first).prod() - shared))
