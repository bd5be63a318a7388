"""PanNuke: 7,901 patches of stained tissue with the nuclei of five classes, in three folds.

A fold is three arrays: ``images.npy`` (n, 256, 256, 3), whole numbers from 0 to 255 stored as
float64 or bytes; ``masks.npy`` (n, 256, 256, 6), five channels with the instance numbers of one
class each and a sixth that is true where there is no nucleus; ``types.npy`` (n,), the tissue. They
are mapped into memory, so that a case reads its own patch and no more (a fold of images takes 4 GB,
one of masks 8 GB).

Instance numbers are given anew, from 1, class by class in the order of the channels and within a
class by the file's number, so that no two nuclei share one; where two channels claim a pixel, the
later one has it. A nucleus that loses all its pixels this way is not numbered.

Slides and patients are not named: a cluster is one patch, and neighbouring patches, which may lie
in different folds, cannot be told apart. The site is the tissue.

Source: Gamper et al. 2020, arXiv 2003.10778.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common import manifests
from common.datasets.cases import Case, Cases
from common.datasets.files import read_numpy
from common.datasets.image_pairs import misfit

DATASET = "pannuke"
# code of a class in the map is its place here; channels of the file count from 0
CLASSES = ("background", "neoplastic", "inflammatory", "connective", "dead", "epithelial")
FOLDS = (1, 2, 3)
SIDE_PX = 256
# of the sixth channel with "no nucleus in the other five"; an inverted or empty one falls below
LEAST_AGREEMENT = 0.9


def load(folder: Path | None = None, *, folds: Sequence[int] = FOLDS) -> Cases:
    """List the patches of folds.

    Args:
        folder: the data set's folder, with ``Fold 1`` to ``Fold 3``; where it lies by default.
        folds: those to read, from 1 to 3.

    Returns:
        Cases ``fold1-0000`` and so on with image (3, 256, 256) uint8; ``instances`` (256, 256)
        int32, 0 background, else the number of the nucleus; ``classes`` (256, 256) uint8, place in
        :data:`CLASSES`. ``info["n_nuclei"]`` counts the nuclei by class. The table has ``part``
        (fold 1 to 3), ``site`` (tissue) and ``index`` (place in the fold).

    Raises:
        ReplicateError: a file is absent or damaged, or has another form or number of patches. When
            a case is read: a value is no whole number in its range, or the channel of the
            background contradicts the others.
        ValueError: a fold is not 1, 2 or 3.
    """
    if not folds or not set(folds) <= set(FOLDS):
        raise ValueError(f"`folds` must be some of {FOLDS}, got {tuple(folds)}.")
    folder = manifests.require(DATASET, folder)
    rows = [row for fold in folds for row in _rows(folder, fold)]
    return Cases(pd.DataFrame(rows), partial(_read, folder=folder))


def _rows(folder: Path, fold: int) -> list[dict[str, Any]]:
    path = folder / f"Fold {fold}/images/fold{fold}/types.npy"
    tissues = read_numpy(path)["array"]
    if tissues.ndim != 1 or tissues.dtype.kind != "U":
        held = f"{tissues.dtype} {tissues.shape}"
        raise misfit(path, "hold one tissue name a patch", held, dataset=DATASET)
    for name in ("images", "masks"):
        mapped = _mapped(folder, fold, name)
        if len(mapped) != len(tissues):
            rule = f"hold the {len(tissues)} patches of types.npy"
            raise misfit(_path(folder, fold, name), rule, len(mapped), dataset=DATASET)
    cases = [f"fold{fold}-{index:04d}" for index in range(len(tissues))]
    return [
        {"case": case, "cluster": case, "part": f"fold {fold}", "site": str(tissue), "index": index}
        for index, (case, tissue) in enumerate(zip(cases, tissues, strict=True))
    ]


def _path(folder: Path, fold: int, name: str) -> Path:
    return folder / f"Fold {fold}/{name}/fold{fold}/{name}.npy"


def _mapped(folder: Path, fold: int, name: str) -> NDArray[Any]:
    """Map an array of a fold into memory; its header is checked, its values are not read."""
    path = _path(folder, fold, name)
    try:
        mapped: NDArray[Any] = np.lib.format.open_memmap(path, mode="r")
    except Exception as error:
        # NumPy raises many unrelated types on damaged files; a header that announces more than the
        # file holds is one of them
        problem = str(error) or type(error).__name__
        raise misfit(path, "be a sound NumPy file", problem, dataset=DATASET) from None
    wanted = (SIDE_PX, SIDE_PX, {"images": 3, "masks": 6}[name])
    if mapped.ndim != 4 or mapped.shape[1:] != wanted or mapped.dtype.kind not in "fu":
        rule = f"hold patches of {wanted} as floats or bytes"
        raise misfit(path, rule, f"{mapped.dtype} {mapped.shape}", dataset=DATASET)
    return mapped


def _read(row: Mapping[str, Any], *, folder: Path) -> Case:
    fold, index = int(row["part"].removeprefix("fold ")), int(row["index"])
    image = _whole(folder, fold, "images", index, highest=255)
    masks = _whole(folder, fold, "masks", index, highest=np.iinfo(np.int32).max)
    instances, classes = merge(masks[..., :-1])
    agreement = float(np.mean((masks[..., -1] > 0) == (instances == 0)))
    if agreement < LEAST_AGREEMENT:
        rule = f"mark patch {index} as background where no nucleus is (at least {LEAST_AGREEMENT})"
        path = _path(folder, fold, "masks")
        raise misfit(path, rule, f"{agreement:.2f} of its pixels", dataset=DATASET)
    counts = {
        name: len(np.unique(instances[classes == code]))
        for code, name in enumerate(CLASSES)
        if code
    }
    return Case(
        row["case"],
        row["cluster"],
        np.ascontiguousarray(np.moveaxis(image, -1, 0).astype(np.uint8)),
        {"instances": instances, "classes": classes},
        site=row["site"],
        info={"n_nuclei": counts},
    )


def _whole(folder: Path, fold: int, name: str, index: int, *, highest: int) -> NDArray[np.int32]:
    """Read one patch; its values must be whole numbers from 0 to the highest."""
    stored = np.array(_mapped(folder, fold, name)[index])
    # a comparison with NaN is false, so that it is refused too
    if not np.all((stored >= 0) & (stored <= highest) & (stored == np.floor(stored))):
        rule = f"hold whole numbers from 0 to {highest} in patch {index}"
        held = f"{stored.min()} to {stored.max()}"
        raise misfit(_path(folder, fold, name), rule, held, dataset=DATASET)
    return stored.astype(np.int32)


def merge(channels: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Merge a channel of instance numbers for each class into one map of nuclei and one of classes.

    Args:
        channels (height, width, C): 0 outside, else the number of the nucleus in its channel.

    Returns:
        ``instances`` (height, width): 0 outside, else a number from 1 that no two nuclei share;
        ``classes`` (height, width): 0 outside, else the channel, from 1.

    Example:
        >>> first, second = np.array([[7, 7, 3, 0]]), np.array([[0, 0, 3, 0]])
        >>> instances, classes = merge(np.stack([first, second], axis=-1))
        >>> instances.tolist(), classes.tolist()
        ([[1, 1, 2, 0]], [[1, 1, 2, 0]])
    """
    classes = np.zeros(channels.shape[:2], np.uint8)
    for channel in range(channels.shape[-1]):
        classes[channels[..., channel] > 0] = channel + 1
    instances = np.zeros(channels.shape[:2], np.int32)
    n_found = 0
    for channel in range(channels.shape[-1]):
        inside = classes == channel + 1
        own, numbered = np.unique(channels[..., channel][inside], return_inverse=True)
        instances[inside] = n_found + 1 + numbered
        n_found += len(own)
    return instances, classes
