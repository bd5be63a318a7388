"""Slides as the networks see them: an overview and tiles, from the phantom or from real files."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from joblib import Parallel, cpu_count, delayed
from numpy.typing import NDArray

from common import manifests
from common.datasets import lks_phantom, lks_slides
from common.datasets.cases import Case, Cases

# some ten seconds of rendering; to start a process takes three
_PIXELS_PER_PROCESS = 100_000_000
Pair = tuple[NDArray[np.float32], NDArray[np.uint8]]


@dataclass(frozen=True)
class Slides:
    """Slides in memory.

    Args:
        table: one row a slide, see :class:`common.datasets.cases.Cases`.
        low (n, 1, h, w): overviews in [0, 1].
        tiles (n, T, 1, t, t): tiles of the full resolution, 8 bits as a camera gives them.
        label (n,): classes, 0 to 3.
    """

    table: pd.DataFrame
    low: NDArray[np.float32]
    tiles: NDArray[np.uint8]
    label: NDArray[np.int64]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what :func:`common.models.sos_training.train_arm` wants."""
        return {"low": self.low, "tiles": self.tiles, "label": self.label}

    @property
    def group(self) -> NDArray[np.object_]:
        """The name of each slide's class (n,)."""
        return np.array(lks_phantom.CLASSES, dtype=object)[self.label]


def phantom_slides(
    n: int,
    seed: int,
    *,
    size: int,
    tile: int,
    shrink: int,
    name: str = "slide",
    **dials: float,
) -> Slides:
    """Generate slides and cut them up.

    Args:
        n: slides.
        seed: of the phantom; other seeds give other slides.
        size: side of a slide (pixels), a multiple of ``tile`` and ``shrink``.
        tile: side of a tile (pixels).
        shrink: factor of the overview.
        name: what the names of the slides begin with.
        dials: of :func:`common.datasets.lks_phantom.phantom`.

    Raises:
        ValueError: ``size`` is no multiple, or a dial is out of range.
    """
    if size % tile or size % shrink:
        raise ValueError(
            f"`size` must be a multiple of tile {tile} and shrink {shrink}, got {size!r}. "
            "Choose another."
        )
    made = lks_phantom.phantom(n, seed, size=size, **dials)
    table = made.table
    named = [f"{name}-{number:05d}" for number in range(n)]
    cases = Cases(table.assign(case=named, cluster=named), partial(lks_phantom.render, size=size))
    jobs = min(cpu_count(), 1 + n * size**2 // _PIXELS_PER_PROCESS)
    return _collect(cases, partial(_cut, tile=tile, shrink=shrink), jobs)


def _cut(case: Case, *, tile: int, shrink: int) -> Pair:
    assert case.image is not None  # a phantom renders every case
    pieces = np.rint(lks_phantom.tiles(case.image, tile) * 255).astype(np.uint8)
    return lks_phantom.shrink(case.image, shrink), pieces


def real_slides(
    cases: Cases, *, low_px: int, tile_px: int, side_px: int = lks_slides.TILE_PX, jobs: int = 1
) -> Slides:
    """Read real slides and shrink overview and tiles to what the networks take.

    One tile of the full resolution is in memory at a time.

    Args:
        cases: from :func:`common.datasets.lks_slides.load`.
        low_px: side that an overview is shrunk to.
        tile_px: side that a tile is shrunk to.
        side_px: side of a tile at full resolution; the paper's is 1,000.
        jobs: processes.

    Raises:
        ReplicateError: a slide is absent or damaged.
    """
    read = partial(_read, low_px=low_px, tile_px=tile_px, side_px=side_px)
    return _collect(cases, read, jobs)


def real_split(*, low_px: int, tile_px: int, jobs: int = 1) -> tuple[Slides, Slides] | None:
    """Read the published training and test slides; None where they are not on this machine."""
    folder = manifests.locate(lks_slides.DATASET)
    if folder is None:
        return None
    cases = lks_slides.load(folder)
    part = cases.table["part"]
    train, test = (
        real_slides(cases.where(part == name), low_px=low_px, tile_px=tile_px, jobs=jobs)
        for name in ("train", "test")
    )
    return train, test


def banner(*, real: bool) -> tuple[str, str]:
    """Say what a page rests on: the source of its cases, and a sentence about it."""
    if real:
        return (
            "open",
            "The published slides are on this machine; the networks see them and a phantom.",
        )
    return "phantom", (
        "All slides on this page are generated. The published ones, 684 slides of 1 TB, are not on "
        "this machine; `replicate data describe lks-slides` says how to get them."
    )


def _read(case: Case, *, low_px: int, tile_px: int, side_px: int) -> Pair:
    assert case.image is not None  # every slide has an overview
    top = float(np.iinfo(case.image.dtype).max)
    side = case.info["shape"][0] - 2 * case.info["top"]  # of the middle part
    n = max(1, side // side_px)
    pieces = [
        np.rint(255 / top * _mean(lks_slides.tile(case, row, column, side_px=side_px), tile_px))
        for row in range(n)
        for column in range(n)
    ]
    return (_mean(case.image, low_px) / np.float32(top)), np.stack(pieces).astype(np.uint8)


def _mean(image: NDArray[Any], side: int) -> NDArray[np.float32]:
    """Shrink (C, H, W) to (C, side, side) by the mean of areas."""
    tensor = torch.from_numpy(image.astype(np.float32))
    return F.adaptive_avg_pool2d(tensor, side).numpy()


def _collect(cases: Cases, make: Callable[[Case], Pair], jobs: int) -> Slides:
    parts = Parallel(n_jobs=jobs)(
        delayed(_some)(cases.where(np.arange(len(cases)) % chunks == chunk), make)
        for chunks in (max(1, len(cases) // 20),)
        for chunk in range(chunks)
    )
    order = np.argsort(
        np.concatenate([np.arange(k, len(cases), len(parts)) for k in range(len(parts))])
    )
    low, tiles = (np.concatenate(each)[order] for each in zip(*parts, strict=True))
    label = cases.table["label"].to_numpy().astype(np.int64)
    return Slides(cases.table, low, tiles, label)


def _some(cases: Cases, make: Callable[[Case], Pair]) -> Pair:
    low, tiles = zip(*(make(case) for case in cases), strict=True)
    return np.stack(low), np.stack(tiles)
