"""MIDOG++: mitotic figures and their look-alikes in 503 tumour regions of seven domains.

Every annotation is a box of 50 x 50 pixels around a cell, a few of which reach over the border of
the image; two or three people voted on each. The images (65 GB) are read where the folder has
them as ``images/NNN.tiff``. Traps of the files, handled here:

- the JSON lists 553 images; 151 to 200 were never annotated and belong to no case;
- the table spells one scanner in two ways (``Hamamatsu XR``, ``Hamammatsu XR``): one here;
- the JSON says ``canine lymphosarcoma`` where the table says ``canine lymphoma``: the table's
  word is kept.

With the images, ``load(manifests.require("midogpp-images"))`` reads them.

A case is a region of one slide. Patients are not named: a case is its own cluster.
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
from common.datasets.files import read_image, read_json, read_rows
from common.errors import ReplicateError

DATASET = "midogpp-annotations"
CLASSES = MappingProxyType({1: "mitotic figure", 2: "look-alike"})
BOX_PX = 50

_JSON = "databases/MIDOG++.json"
_TABLE = "datasets_xvalidation.csv"
_COLUMNS = ("Slide", "Dataset", "Tumor", "Scanner", "Origin", "Species")


def load(folder: Path | None = None) -> Cases:
    """List the cases with their boxes; images are read where they are.

    Args:
        folder: where the files are; by default where the manifest's files were found.

    Returns:
        Cases ``001`` to ``553`` with the columns ``case, cluster, part`` (train or test),
        ``tumour, site`` (scanner), ``origin`` (laboratory), ``species, height_px, width_px,
        n_mitotic, n_lookalike`` and ``has_image``. A case has the image (3, y, x) uint8 or
        ``None``; its target holds ``boxes`` (n, 4) float64, pixels as y0, x0, y1, x1, and
        ``labels`` (n,) int64 codes of :data:`CLASSES`; ``info["votes"]`` is one tuple of codes
        for each box, in the order of the votes.

    Raises:
        ReplicateError: a file is absent or has another structure, a box has another size or an
            unknown class, or a case of the table has no entry in the JSON. When a case is read:
            the image has another size than the JSON says.

    Source:
        Aubreville et al. 2023, doi 10.1038/s41597-023-02327-4.
    """
    folder = manifests.require(DATASET, folder)
    images, boxes = _database(folder / _JSON)
    rows = []
    for entry in read_rows(folder / _TABLE, _COLUMNS, separator=";"):
        number = int(entry["Slide"]) if entry["Slide"].isdigit() else -1
        if number not in images:
            raise ReplicateError(
                f"{folder / _TABLE} must list cases of {_JSON}, got {entry['Slide']!r}. "
                "Fetch or copy both again."
            )
        rows.append(_row(folder, entry, images[number], boxes.get(number, [])))
    found = {f"{number:03d}": boxes.get(number, []) for number in images}
    return Cases(pd.DataFrame(rows), partial(_read, folder, found))


def _row(
    folder: Path, entry: Mapping[str, str], image: Mapping[str, Any], boxes: list[Any]
) -> dict[str, Any]:
    """Describe a case; the site is the scanner."""
    case = f"{image['id']:03d}"
    labels = [box["category_id"] for box in boxes]
    return {
        "case": case,
        "cluster": case,
        "part": entry["Dataset"],
        "tumour": entry["Tumor"],
        "site": entry["Scanner"].replace("Hamammatsu", "Hamamatsu"),
        "origin": entry["Origin"],
        "species": entry["Species"],
        "height_px": image["height"],
        "width_px": image["width"],
        "n_mitotic": labels.count(1),
        "n_lookalike": labels.count(2),
        "has_image": (folder / "images" / f"{case}.tiff").is_file(),
    }


def _database(path: Path) -> tuple[dict[int, dict[str, Any]], dict[int, list[dict[str, Any]]]]:
    """Read the JSON: images and lists of boxes, both by the number of the image."""
    found = read_json(path)
    boxes: dict[int, list[dict[str, Any]]] = {}
    try:
        images = {
            int(image["id"]): {key: int(image[key]) for key in ("id", "height", "width")}
            for image in found["images"]
        }
        for annotation in found["annotations"]:
            left, top, right, bottom = annotation["bbox"]
            box = {
                "box": (float(top), float(left), float(bottom), float(right)),
                "category_id": annotation["category_id"],
                "votes": tuple(int(vote) for vote in annotation["labels"]),
            }
            sides = (bottom - top, right - left)
            if sides != (BOX_PX, BOX_PX) or box["category_id"] not in CLASSES:
                raise ReplicateError(
                    f"{path} must hold boxes of {BOX_PX} x {BOX_PX} pixels in class 1 or 2, got "
                    f"{annotation}. Fetch or copy it again."
                )
            if annotation["image_id"] not in images:
                raise KeyError(f"image_id {annotation['image_id']}")
            boxes.setdefault(annotation["image_id"], []).append(box)
    except (KeyError, TypeError, ValueError) as error:
        raise ReplicateError(
            f"{path} must hold images and annotations in the form of COCO, got a problem with "
            f"{error}. Fetch or copy it again."
        ) from None
    return images, boxes


def _read(folder: Path, found: Mapping[str, list[dict[str, Any]]], row: Mapping[str, Any]) -> Case:
    boxes = found[row["case"]]
    target = {
        "boxes": np.array([box["box"] for box in boxes], dtype=np.float64).reshape(-1, 4),
        "labels": np.array([box["category_id"] for box in boxes], dtype=np.int64),
    }
    return Case(
        case=row["case"],
        cluster=row["cluster"],
        image=_image(folder, row) if row["has_image"] else None,
        target=target,
        site=row["site"],
        info={"votes": [box["votes"] for box in boxes]},
    )


def _image(folder: Path, row: Mapping[str, Any]) -> NDArray[np.uint8]:
    path = folder / "images" / f"{row['case']}.tiff"
    image = read_image(path)
    wanted = (int(row["height_px"]), int(row["width_px"]), 3)
    if image.shape != wanted or image.dtype != np.uint8:
        raise ReplicateError(
            f"{path} must be RGB of {wanted} bytes as {_JSON} says, got {image.dtype} "
            f"{image.shape}. Fetch or copy it again."
        )
    return np.ascontiguousarray(np.moveaxis(image, 2, 0))
