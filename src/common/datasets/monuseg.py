"""MoNuSeg 2018: stained tissue with the contour of every nucleus; 2 of the published tiles.

The original files are a TIFF of 1000 x 1000 pixels (kidney, brain) and an XML document with one
polygon a nucleus in pixels, X to the right and Y down; some vertices lie up to three pixels
outside. A pixel is inside a polygon if its centre is; where contours overlap, the one that comes
first in the file keeps the pixel.

The repository's owner adds a PNG mask in the folder of the tile's part. It is not used as a
target but as a check: it agrees with the contours with a Dice coefficient of 0.99 on both tiles.

Names are those of The Cancer Genome Atlas: ``TCGA-B0-5710-...`` is patient 5710 of site B0. A
cluster is one patient.

Source: MoNuSeg challenge 2018, Kumar et al. 2020 (citation from memory).
"""

import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from skimage.draw import polygon

from common import manifests
from common.datasets.cases import Case, Cases
from common.datasets.files import read_xml, require_files
from common.datasets.image_pairs import misfit, read_channels, read_mask

DATASET = "monuseg"
PARTS = {"train": "MoNuSegTrainData", "test": "MoNuSegTestData"}
# far below the 0.99 of sound tiles, far above that of another tile or of swapped axes
LEAST_DICE = 0.9


def load(folder: Path | None = None) -> Cases:
    """List the tiles with their contours.

    Args:
        folder: the data set's folder; where it lies by default.

    Returns:
        Cases with image (3, height, width) uint8 and ``instances`` (height, width), int32: 0
        background, then the place of the contour in its file, from 1; spacing of pixels in mm.
        ``info`` has ``n_contours`` and ``dice`` (agreement with the PNG mask). The table has
        ``site``, ``part``, ``image``, ``contours`` and ``mask``.

    Raises:
        ReplicateError: the files are absent, or a tile lacks its contours or its mask.
    """
    folder = manifests.require(DATASET, folder)
    tiles = require_files(folder, "MoNuSegAllData/tissue_image/*.tif", dataset=DATASET)
    return Cases(pd.DataFrame(_row(folder, path) for path in tiles), partial(_read, folder=folder))


def _row(folder: Path, tile: Path) -> dict[str, str]:
    _, site, patient, *_ = f"{tile.stem}--".split("-")
    contours = folder / "MoNuSegAllData/annotations" / f"{tile.stem}.xml"
    masks = {part: folder / name / "masks" / f"{tile.stem}.png" for part, name in PARTS.items()}
    parts = [part for part, path in masks.items() if path.is_file()]
    if not contours.is_file() or len(parts) != 1:
        rule = f"have contours {contours.name} and a mask in one of {', '.join(PARTS.values())}"
        held = f"{int(contours.is_file())} and {len(parts)}"
        raise misfit(tile, rule, held, dataset=DATASET)
    return {
        "case": tile.stem,
        "cluster": f"TCGA-{site}-{patient}",
        "site": site,
        "part": parts[0],
        "image": tile.relative_to(folder).as_posix(),
        "contours": contours.relative_to(folder).as_posix(),
        "mask": masks[parts[0]].relative_to(folder).as_posix(),
    }


def _read(row: Mapping[str, Any], *, folder: Path) -> Case:
    image = read_channels(folder / row["image"])
    path = folder / row["contours"]
    root = read_xml(path)
    contours = read_contours(root, path)
    instances = fill(contours, image.shape[1:])
    mask = read_mask(folder / row["mask"], image.shape[1:], dataset=DATASET)
    inside = instances > 0
    dice = 2 * np.count_nonzero(mask & inside) / max(1, int(mask.sum() + inside.sum()))
    if dice < LEAST_DICE:
        rule = f"agree with its mask {row['mask']} (Dice at least {LEAST_DICE})"
        raise misfit(path, rule, f"{dice:.2f}", dataset=DATASET)
    return Case(
        row["case"],
        row["cluster"],
        image,
        {"instances": instances},
        spacing_mm=(_spacing_mm(root, path),) * 2,
        site=row["site"],
        info={"n_contours": len(contours), "dice": dice},
    )


def read_contours(root: Element, path: Path) -> list[NDArray[np.float64]]:
    """Read the polygons of an annotation, in the order of the file.

    Args:
        root: the document's root.
        path: its file, for the errors.

    Returns:
        One array a nucleus, (n, 2): row and column of each vertex in pixels.

    Raises:
        ReplicateError: a vertex is no pair of finite numbers, or a region is marked as a hole.
    """
    contours = []
    for region in root.iter("Region"):
        if region.get("NegativeROA", "0") != "0":
            raise misfit(path, "hold no holes (NegativeROA 0)", region.attrib, dataset=DATASET)
        vertices = [(vertex.get("Y"), vertex.get("X")) for vertex in region.iter("Vertex")]
        try:
            contour = np.array(vertices, dtype=float).reshape(-1, 2)
        except (TypeError, ValueError):
            contour = np.full((1, 2), np.nan)
        if not np.isfinite(contour).all():
            name = f"other values in region {region.get('Id')}"
            raise misfit(path, "have vertices with finite X and Y", name, dataset=DATASET)
        contours.append(contour)
    return contours


def fill(contours: list[NDArray[np.float64]], shape: tuple[int, ...]) -> NDArray[np.int32]:
    """Number the pixels whose centres lie inside polygons; the first polygon keeps a pixel.

    Args:
        contours: arrays (n, 2) of rows and columns; fewer than three vertices enclose nothing.
        shape: (height, width).

    Returns:
        (height, width): 0 outside, else the place of the polygon, from 1.

    Example:
        >>> square = np.array([[0, 0], [0, 2], [2, 2], [2, 0]], float)
        >>> fill([square, square + 1], (3, 4)).tolist()
        [[1, 1, 1, 0], [1, 1, 1, 2], [1, 1, 1, 2]]
    """
    instances = np.zeros(shape, np.int32)
    for number, contour in enumerate(contours, start=1):
        if len(contour) < 3:
            continue
        rows, columns = polygon(contour[:, 0], contour[:, 1], shape)
        free = instances[rows, columns] == 0
        instances[rows[free], columns[free]] = number
    return instances


def _spacing_mm(root: Element, path: Path) -> float:
    given = root.get("MicronsPerPixel", "")
    try:
        micrometres = float(given)
    except ValueError:
        micrometres = math.nan
    if not (math.isfinite(micrometres) and micrometres > 0):
        raise misfit(path, "give a positive MicronsPerPixel", repr(given), dataset=DATASET)
    return micrometres / 1000
