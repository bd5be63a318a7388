"""Fingerprints of whole data sets: every case is read, described by its curves, and dropped."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from joblib import Parallel, cpu_count, delayed
from numpy.typing import NDArray
from tqdm import tqdm

from common.datasets.cases import Case, Cases
from common.models import tofi_ml
from common.models.tofi_ml import Levels
from common.models.tofi_ml_network import Photos, shrink

Change = Callable[[NDArray[np.generic]], NDArray[np.generic]]


@dataclass(frozen=True)
class Fingerprints:
    """What is kept of the images of a data set.

    Args:
        table: one row an image: case, cluster, label (0 or 1), grade (the label where there are
            no grades) and side (the longer one, pixels).
        curves (n, 4, 2, 766): Betti curves of the sublevel filtration at every level.
        photos (n, 3, side, side): small photographs for the network; empty if none were asked for.
        more: further descriptions by name: ``superlevel`` (n, 4, 2, 766), ``own_grid`` (n, 800) and
            ``luma`` (n, 2, 766), the grey channel of the released code.
        altered: curves and photographs of the same images after each alteration, by its name.
    """

    table: pd.DataFrame
    curves: Levels
    photos: Photos
    more: dict[str, Levels]
    altered: dict[str, tuple[Levels, Photos]]

    def __len__(self) -> int:
        return len(self.table)

    @property
    def label(self) -> NDArray[np.int64]:
        """Class of each image, 1 for disease."""
        return self.table["label"].to_numpy(dtype=np.int64)

    @property
    def grade(self) -> NDArray[np.int64]:
        """Grade of each image."""
        return self.table["grade"].to_numpy(dtype=np.int64)


def processes(jobs: int) -> int:
    """Return one process a core on a machine with a GPU, which has many, and ``jobs`` elsewhere."""
    return cpu_count() if torch.cuda.is_available() else jobs


def extract(
    cases: Cases,
    *,
    photo_side: int = 0,
    more: tuple[str, ...] = (),
    change: Change | None = None,
    alter: Mapping[str, Change] | None = None,
    jobs: int = 2,
    progress: bool = False,
    what: str = "images",
) -> Fingerprints:
    """Describe every image of a data set.

    Args:
        cases: images (3, height, width) with the target ``label``; where the data set has no
            binary label, ``label`` above 0 counts as disease.
        photo_side: side of the photographs kept for the network (pixels); 0 keeps none.
        more: further descriptions, see :class:`Fingerprints`.
        change: applied to every image before anything else.
        alter: alterations of the image, by name, whose curves are computed beside its own.
        jobs: processes, see :func:`processes`; the result does not depend on it.
        progress: show a bar.
        what: words beside the bar.

    Returns:
        The fingerprints, in the order of the cases.

    Raises:
        ValueError: there is no case, or an unknown description.
    """
    unknown = sorted(set(more) - {"superlevel", "own_grid", "luma"})
    if unknown or not len(cases):
        raise ValueError(
            f"`cases` must not be empty and `more` of superlevel, own_grid, luma; got {len(cases)} "
            f"cases and {unknown}."
        )
    wanted = _Wanted(photo_side, more, change, dict(alter or {}))
    places = np.array_split(np.arange(len(cases)), -(-len(cases) // 8))
    pool = Parallel(n_jobs=processes(jobs), return_as="generator")
    found: list[Fingerprints] = []
    bar = tqdm(total=len(cases), desc=what, unit="image", disable=not progress, leave=False)
    with bar:
        for part in pool(delayed(_several)(cases, part, wanted) for part in places):
            found.append(part)
            bar.update(len(part))
    return _joined(found)


@dataclass(frozen=True)
class _Wanted:
    """What is to be computed of every image; see :func:`extract`."""

    photo_side: int
    more: tuple[str, ...]
    change: Change | None
    alter: dict[str, Change]


def _joined(parts: list[Fingerprints]) -> Fingerprints:
    first = parts[0]
    return Fingerprints(
        pd.concat([part.table for part in parts], ignore_index=True),
        np.concatenate([part.curves for part in parts]),
        np.concatenate([part.photos for part in parts]),
        {name: np.concatenate([part.more[name] for part in parts]) for name in first.more},
        {
            name: (
                np.concatenate([part.altered[name][0] for part in parts]),
                np.concatenate([part.altered[name][1] for part in parts]),
            )
            for name in first.altered
        },
    )


def _several(cases: Cases, places: NDArray[np.int64], wanted: _Wanted) -> Fingerprints:
    return _joined([_one(cases[int(place)], wanted) for place in places])


def image_of(case: Case) -> NDArray[np.generic]:
    """Return the image of a case.

    Raises:
        ValueError: the case has none.
    """
    if case.image is None:
        raise ValueError(f"`cases` must hold images, got none in case {case.case!r}.")
    return case.image


def _one(case: Case, wanted: _Wanted) -> Fingerprints:
    original = image_of(case)
    image = original if wanted.change is None else wanted.change(original)
    fields = tofi_ml.channels(image)
    joined = [tofi_ml.components(field) for field in fields]
    curves = [tofi_ml.betti(f, joined=j) for f, j in zip(fields, joined, strict=True)]
    row = {
        "case": case.case,
        "cluster": case.cluster,
        "label": int(case.target["label"] > 0),
        "grade": int(case.target.get("grade", case.target["label"])),
        "side": max(image.shape[1:]),
    }
    others: dict[str, Levels] = {}
    if "superlevel" in wanted.more:
        others["superlevel"] = np.stack([tofi_ml.betti(tofi_ml.TOP - field) for field in fields])
    if "own_grid" in wanted.more:
        own = [tofi_ml.own_grid(f, joined=j) for f, j in zip(fields, joined, strict=True)]
        others["own_grid"] = np.stack(own).ravel()
    if "luma" in wanted.more:
        others["luma"] = tofi_ml.betti(tofi_ml.channels(image, gray="luma")[0])
    changed = {name: alter(image) for name, alter in wanted.alter.items()}
    return Fingerprints(
        pd.DataFrame([row]),
        np.stack(curves)[np.newaxis],
        _photo(image, wanted.photo_side),
        {name: values[np.newaxis] for name, values in others.items()},
        {
            name: (tofi_ml.betti_curves(each)[np.newaxis], _photo(each, wanted.photo_side))
            for name, each in changed.items()
        },
    )


def _photo(image: NDArray[np.generic], side: int) -> Photos:
    """Return one small photograph (1, 3, side, side), or none (0, 3, 0, 0) for side 0."""
    if not side:
        return np.empty((0, 3, 0, 0), dtype=np.uint8)
    return shrink(image, side)[np.newaxis]


SETS = {
    "gray1": (slice(0, 1), slice(1, 2)),
    "gray01": (slice(0, 1), slice(0, 2)),
    "rgb": (slice(1, 4), slice(0, 2)),
    "all": (slice(0, 4), slice(0, 2)),
}


def feature_set(curves: Levels, name: str, n: int = tofi_ml.N_THRESHOLDS) -> NDArray[np.float32]:
    """Take one of the feature sets of Table 6.

    Args:
        curves (n_images, 4, 2, 766): Betti curves.
        name: ``gray1`` (100 features), ``gray01`` (200), ``rgb`` (600) or ``all`` (800).
        n: thresholds.

    Returns:
        (n_images, features), counts as numbers for a classifier.

    Raises:
        ValueError: another name.
    """
    if name not in SETS:
        raise ValueError(f"`name` must be one of {', '.join(SETS)}, got {name!r}.")
    channel, dimension = SETS[name]
    return tofi_ml.on_grid(curves[:, channel, dimension], n).astype(np.float32)
