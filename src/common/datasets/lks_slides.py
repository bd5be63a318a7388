"""LKS: 684 immunofluorescence slides of liver, kidney and stomach, read window by window.

A slide is a TIFF file of one plane and one channel, of differing size, up to gigabytes. Nothing
here holds a whole slide in memory: a case is the overview that the paper's first stage sees (the
middle 40,000 x 40,000 pixels, shrunk by 40 through the mean of blocks), and :func:`read_window`
reads any part at full resolution, such as the 1,000 x 1,000 pixel tiles of the second stage. What a
window covers beyond the slide is 0, so that slides smaller than the middle part come padded.

``Train_Labels.csv`` and ``Test_Labels.csv`` have a header; the first column is the file's name, the
second its class. Patients are not named; one slide a serum is assumed: a slide is its own cluster.

Source: Maksoud et al. 2020, doi 10.1109/CVPR42600.2020.00392, and the authors' script (centre crop,
overview shrunk by 40).
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
from common.datasets.files import read_rows
from common.datasets.image_pairs import misfit
from common.datasets.tiff_windows import read_window as read_window, slide_shape

DATASET = "lks-slides"
CLASSES = ("Negative", "AMA", "SMA-V", "SMA-T")
PARTS = {"train": "Train", "test": "Test"}
SIDE_PX = 40_000
SHRINK = 40
TILE_PX = 1_000

# of a slide in memory while it is shrunk
_BAND_BYTES = 32 << 20


def load(folder: Path | None = None, *, side_px: int = SIDE_PX, shrink: int = SHRINK) -> Cases:
    """List the slides; a case is read as its overview.

    Args:
        folder: the data set's folder, with ``Train``, ``Test`` and the two label files; where it
            lies by default.
        side_px: side of the middle part in pixels of the slide.
        shrink: side of the blocks whose mean is one pixel of the overview; divides ``side_px``.

    Returns:
        Cases with image (1, side_px / shrink, side_px / shrink), dtype as stored, and ``label``
        (place in :data:`CLASSES`); ``info`` has ``slide`` (path), ``shape`` (of the whole slide)
        and ``top`` and ``left`` of the middle part, which are negative for a smaller slide. The
        table has ``label``, ``part`` (train, test) and ``slide``.

    Raises:
        ReplicateError: a label file is absent, names an unknown class, a slide twice or one that
            does not exist. When a case is read: the slide is damaged, or of another kind.
        ValueError: ``shrink`` does not divide ``side_px``.
    """
    if shrink < 1 or side_px < shrink or side_px % shrink:
        raise ValueError(f"`shrink` must divide `side_px`, got {shrink!r} and {side_px!r}.")
    folder = manifests.require(DATASET, folder)
    rows = [row for part, name in PARTS.items() for row in _rows(folder, part, name)]
    return Cases(pd.DataFrame(rows), partial(_read, folder=folder, side_px=side_px, shrink=shrink))


def _rows(folder: Path, part: str, name: str) -> list[dict[str, Any]]:
    path = folder / f"{name}_Labels.csv"
    rows: dict[str, dict[str, Any]] = {}
    for entry in read_rows(path, ()):
        # the columns' names are not known, only their order
        file, kind, *_ = [*entry.values(), "", ""]
        # only the name counts, so that no path leads out of the folder
        slide = f"{name}/{Path(file).name}"
        if kind not in CLASSES or not (folder / slide).is_file():
            rule = f"name slides of {name} and one of {', '.join(CLASSES)}"
            raise misfit(path, rule, f"{file!r}, {kind!r}", dataset=DATASET)
        case = f"{part}/{Path(file).stem}"
        if case in rows:
            raise misfit(path, "name every slide once", f"{file!r} twice", dataset=DATASET)
        known = {"label": CLASSES.index(kind), "part": part, "slide": slide}
        rows[case] = {"case": case, "cluster": case, **known}
    return list(rows.values())


def _read(row: Mapping[str, Any], *, folder: Path, side_px: int, shrink: int) -> Case:
    path = folder / row["slide"]
    shape = slide_shape(path)
    top, left = (int(side - side_px) // 2 for side in shape)
    image = overview(path, top=top, left=left, side_px=side_px, shrink=shrink)
    info = {"slide": str(path), "shape": shape, "top": top, "left": left}
    return Case(row["case"], row["cluster"], image[np.newaxis], {"label": row["label"]}, info=info)


def overview(path: Path, *, top: int, left: int, side_px: int, shrink: int) -> NDArray[Any]:
    """Shrink a square part of a slide by the mean of blocks, band by band.

    Args:
        path: the slide.
        top: first row of the part; rows beyond the slide are 0.
        left: first column of the part.
        side_px: its side, a multiple of ``shrink``.
        shrink: side of a block.

    Returns:
        (side_px / shrink, side_px / shrink), rounded to the slide's whole numbers.

    Raises:
        ReplicateError: the file is absent or damaged, or no slide of one plane and channel.
    """
    n_blocks = side_px // shrink
    bands = []
    step = max(1, _BAND_BYTES // (side_px * shrink))
    for first in range(0, n_blocks, step):
        n_rows = min(step, n_blocks - first) * shrink
        band = read_window(
            path, top=top + first * shrink, left=left, height_px=n_rows, width_px=side_px
        )
        blocks = band.reshape(n_rows // shrink, shrink, n_blocks, shrink)
        bands.append(np.rint(blocks.mean(axis=(1, 3))).astype(band.dtype))
    return np.concatenate(bands)


def tile(case: Case, row: int, column: int, *, side_px: int = TILE_PX) -> NDArray[Any]:
    """Read a tile of the middle part at full resolution.

    Args:
        case: a case that :func:`load` gives.
        row: which tile from the top, from 0.
        column: which tile from the left, from 0.
        side_px: side of a tile in pixels.

    Returns:
        (1, side_px, side_px), dtype as stored.

    Raises:
        ReplicateError: the slide is absent or damaged.
    """
    top, left = case.info["top"] + row * side_px, case.info["left"] + column * side_px
    window = read_window(
        Path(case.info["slide"]), top=top, left=left, height_px=side_px, width_px=side_px
    )
    return window[np.newaxis]
