"""MIDOG 2021: mitotic figures and their look-alikes in 200 regions of breast cancer.

Cases 001 to 150 come from three scanners and have boxes in ``MIDOG.json``; 151 to 200 come from a
fourth scanner and have none (numbers of the scanners from memory). The JSON has the form of COCO,
but a box is x0, y0, x1, y1. Whether it lists the cases without boxes is not relied on.

Patients are not named; one case a patient is assumed: a case is its own cluster. Boxes of later
curation are in midogpp-annotations.

Source: Aubreville et al. 2023, Medical Image Analysis 84, 102699.
"""

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from common import manifests
from common.datasets.cases import Case, Cases
from common.datasets.files import read_json, require_files
from common.datasets.image_pairs import misfit, read_channels
from common.datasets.midogpp_annotations import BOX_PX, CLASSES as CLASSES

DATASET = "midog2021"
JSON = "MIDOG.json"
# scanner: first and last of its cases
SCANNERS = {
    "Hamamatsu XR": (1, 50),
    "Hamamatsu S360": (51, 100),
    "Aperio CS2": (101, 150),
    "Leica GT450": (151, 200),
}
UNLABELLED = "Leica GT450"

Boxes = list[tuple[tuple[float, float, float, float], int]]


def load(folder: Path | None = None) -> Cases:
    """List the cases with their boxes.

    Args:
        folder: the data set's folder, with ``001.tiff`` and so on and ``MIDOG.json``; where it lies
            by default.

    Returns:
        Cases ``001`` to ``200`` with image (3, height, width) uint8 and, where they are labelled,
        ``boxes`` (n, 4) float64, pixels as y0, x0, y1, x1, and ``labels`` (n,) int64, codes of
        :data:`CLASSES`. The table has ``site`` (scanner), ``labelled``, ``n_mitotic``,
        ``n_lookalike`` and ``image``.

    Raises:
        ReplicateError: a file is absent or of another form, an image is of no known scanner, a
            labelled image is not in the JSON or the other way round, or a box is of another size or
            class, or on an unlabelled image. When a case is read: the image has another size than
            the JSON says.
    """
    folder = manifests.require(DATASET, folder)
    sizes, boxes = _database(folder / JSON)
    paths = require_files(folder, "*.tiff", dataset=DATASET)
    rows = [_row(path, sizes, boxes) for path in paths]
    there = {row["case"] for row in rows}
    if absent := sorted(f"{number:03d}" for number in boxes if f"{number:03d}" not in there):
        raise misfit(folder / f"{absent[0]}.tiff", "exist", "no file", dataset=DATASET)
    return Cases(pd.DataFrame(rows), partial(_read, folder=folder, sizes=sizes, boxes=boxes))


def _row(path: Path, sizes: Mapping[int, Any], boxes: Mapping[int, Boxes]) -> dict[str, Any]:
    number = int(path.stem) if re.fullmatch(r"\d{3}", path.stem) else 0
    site = next((name for name, (low, high) in SCANNERS.items() if low <= number <= high), None)
    if site is None:
        raise misfit(path, "be named 001.tiff to 200.tiff", path.name, dataset=DATASET)
    labelled = site != UNLABELLED
    if labelled and number not in sizes:
        raise misfit(path.with_name(JSON), f"list {path.name}", "no entry", dataset=DATASET)
    labels = [label for _, label in boxes.get(number, [])]
    if labels and not labelled:
        rule, held = f"hold no boxes of {path.name} ({site})", len(labels)
        raise misfit(path.with_name(JSON), rule, held, dataset=DATASET)
    return {
        "case": path.stem,
        "cluster": path.stem,
        "site": site,
        "labelled": labelled,
        "n_mitotic": labels.count(1),
        "n_lookalike": labels.count(2),
        "image": path.name,
    }


def _database(path: Path) -> tuple[dict[int, tuple[int, int]], dict[int, Boxes]]:
    """Read the JSON: (height, width) of images and their boxes, both by the image's number."""
    found = read_json(path)
    boxes: dict[int, Boxes] = {}
    try:
        sizes = {
            int(image["id"]): (int(image["height"]), int(image["width"]))
            for image in found["images"]
        }
        for entry in found["annotations"]:
            left, top, right, bottom = (float(side) for side in entry["bbox"])
            if (bottom - top, right - left) != (BOX_PX, BOX_PX):
                raise ValueError(f"a box of {bottom - top} x {right - left} pixels")
            if entry["category_id"] not in CLASSES or entry["image_id"] not in sizes:
                raise ValueError(f"an unknown class or image in {entry}")
            box = ((top, left, bottom, right), int(entry["category_id"]))
            boxes.setdefault(entry["image_id"], []).append(box)
    except (KeyError, TypeError, ValueError) as error:
        rule = f"hold images and boxes of {BOX_PX} x {BOX_PX} pixels in class 1 or 2"
        raise misfit(path, rule, f"a problem with {error}", dataset=DATASET) from None
    return sizes, boxes


def _read(
    row: Mapping[str, Any],
    *,
    folder: Path,
    sizes: Mapping[int, tuple[int, int]],
    boxes: Mapping[int, Boxes],
) -> Case:
    number, path = int(row["case"]), folder / row["image"]
    image = read_channels(path)
    wanted = (3, *sizes.get(number, image.shape[1:]))
    if image.shape != wanted or image.dtype != np.uint8:
        rule = f"be RGB of {wanted[1]} x {wanted[2]} pixels as {JSON} says"
        raise misfit(path, rule, f"{image.dtype} {image.shape}", dataset=DATASET)
    target: dict[str, Any] = {}
    if row["labelled"]:
        own = boxes.get(number, [])
        target["boxes"] = np.array([box for box, _ in own], np.float64).reshape(-1, 4)
        target["labels"] = np.array([label for _, label in own], np.int64)
    return Case(row["case"], row["cluster"], image, target, site=row["site"])
