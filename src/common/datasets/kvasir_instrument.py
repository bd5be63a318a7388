"""Kvasir-Instrument: 590 endoscopic images with a mask and a box of the tool.

``train.txt`` and ``test.txt`` hold the archive's own division, one name a line, with or without
suffix. ``bboxes.json`` is taken to have the form of Kvasir-SEG's file of boxes, by the same authors
(from memory). Masks are PNG files, true from 128 on; of several channels the first one counts.

There are no patient ids: a cluster is one image, and frames of one patient or video, which may lie
in different parts, cannot be told apart.

Source: Jha et al. 2021, doi 10.1007/978-3-030-67835-7_19.
"""

from functools import partial
from pathlib import Path

import pandas as pd

from common import manifests
from common.datasets.cases import Cases
from common.datasets.files import read_lines
from common.datasets.image_pairs import JPEG_THRESHOLD, misfit, pairs
from common.datasets.kvasir_seg import read_boxed, read_boxes

DATASET = "kvasir-instrument"
BOXES = "bboxes.json"
PARTS = ("train", "test")


def load(folder: Path | None = None) -> Cases:
    """List the images with their masks and boxes.

    Args:
        folder: the data set's folder, with ``images``, ``masks``, both lists and ``bboxes.json``;
            where it lies by default.

    Returns:
        Cases as those of :func:`common.datasets.kvasir_seg.load`; the table has ``part`` (train or
        test) too.

    Raises:
        ReplicateError: the files are absent, an image lacks its mask or a mask its image, an image
            has no box, or an image is in none or both of the lists. When a case is read: mask,
            image and boxes do not fit together.
    """
    folder = manifests.require(DATASET, folder)
    rows = pairs(folder, "images/*.jpg", "masks/*.png", dataset=DATASET)
    known = read_boxes(folder / BOXES, dataset=DATASET)
    listed = {
        part: {Path(line).stem for line in read_lines(folder / f"{part}.txt")} for part in PARTS
    }
    for row in rows:
        path, name = folder / row["image"], row["case"]
        within = [part for part in PARTS if name in listed[part]]
        if len(within) != 1:
            held = " and ".join(within) or "neither"
            raise misfit(path, "be in one of train.txt and test.txt", held, dataset=DATASET)
        if name not in known:
            raise misfit(folder / BOXES, f"list {name}", "no such name", dataset=DATASET)
        row["part"] = within[0]
    table = pd.DataFrame(rows)
    table.insert(1, "cluster", table["case"])
    sizes, boxes = zip(*(known[case] for case in table["case"]), strict=True)
    table = table.assign(size=sizes, boxes=boxes)
    read = partial(read_boxed, folder=folder, dataset=DATASET, boxes=BOXES, at_least=JPEG_THRESHOLD)
    return Cases(table, read)
