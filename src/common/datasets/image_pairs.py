"""Images with a mask beside them: the layout that most two-dimensional sets share.

Paths in a table are relative to the data set's folder. A mask counts as true where its first
channel reaches a threshold; masks that were saved as JPEG need 128, because compression smears
their edges over all values.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.datasets.cases import Case
from common.datasets.files import read_image, require_files
from common.errors import ReplicateError

JPEG_THRESHOLD = 128


def misfit(path: Path, rule: str, got: object, *, dataset: str) -> ReplicateError:
    """Word what does not fit together in a data set, for raising.

    Args:
        path: the file that is wrong.
        rule: what it must do, in words that follow "must".
        got: what it does instead.
        dataset: the data set's name.
    """
    return ReplicateError(
        f"{path} must {rule}, got {got}. "
        f"Fetch or copy it again; `replicate data verify {dataset}` finds other damaged files."
    )


def natural(name: str) -> list[str | int]:
    """Return a key that sorts names by the numbers in them.

    Example:
        >>> sorted(["a 10", "a 9", "a 1"], key=natural)
        ['a 1', 'a 9', 'a 10']
    """
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]


def read_channels(path: Path) -> NDArray[Any]:
    """Read an image with its channels first.

    Args:
        path: a file that :func:`common.datasets.files.read_image` reads.

    Returns:
        (C, height, width), dtype and number of channels as stored; free to be written to.

    Raises:
        ReplicateError: the file is absent or damaged.
    """
    stored = read_image(path)
    ordered = stored[np.newaxis] if stored.ndim == 2 else np.moveaxis(stored, -1, 0)
    return np.array(ordered, order="C")


def read_mask(
    path: Path, shape: tuple[int, ...] | None, *, dataset: str, at_least: int = 1
) -> NDArray[np.bool_]:
    """Read a mask and hold its size against its image.

    Args:
        path: the file; of several channels the first one counts.
        shape: (height, width) of the image; ``None`` where there is no image.
        dataset: the data set's name, for the error.
        at_least: the lowest value that counts as true.

    Returns:
        (height, width).

    Raises:
        ReplicateError: the file is absent or damaged, or has another size than the image.
    """
    mask: NDArray[np.bool_] = read_channels(path)[0] >= at_least
    if shape is not None and mask.shape != shape:
        rule = f"have its image's {shape[0]} x {shape[1]} pixels"
        raise misfit(path, rule, f"{mask.shape[0]} x {mask.shape[1]}", dataset=dataset)
    return mask


def pairs(
    folder: Path, images: str, masks: str, *, dataset: str, ending: str = ""
) -> list[dict[str, str]]:
    """List images and their masks, matched by name.

    Args:
        folder: the data set's folder.
        images: glob of the images; what ends like a mask is left out.
        masks: glob of the masks.
        dataset: the data set's name, for the errors.
        ending: what a mask's name has behind its image's, such as ``_mask``.

    Returns:
        One row a pair, ordered by the numbers in the names: ``case`` (the image's name without
        suffix), ``image`` and ``mask`` (paths relative to the folder).

    Raises:
        ReplicateError: there is no image, an image has no mask, or a mask has no image.
    """
    every = require_files(folder, images, dataset=dataset)
    unmasked = [path for path in every if not (ending and path.stem.endswith(ending))]
    named = _by_name(unmasked, "", dataset=dataset)
    found = _by_name(require_files(folder, masks, dataset=dataset), ending, dataset=dataset)
    for name, path in named.items():
        if name not in found:
            raise misfit(path, f"have a mask among {masks}", "none", dataset=dataset)
    for name, path in found.items():
        if name not in named:
            raise misfit(path, f"have an image among {images}", "none", dataset=dataset)
    return [
        {
            "case": name,
            "image": named[name].relative_to(folder).as_posix(),
            "mask": found[name].relative_to(folder).as_posix(),
        }
        for name in sorted(named, key=natural)
    ]


def _by_name(paths: list[Path], ending: str, *, dataset: str) -> dict[str, Path]:
    """Index files by their names without suffix and ending; a name must be there once."""
    found: dict[str, Path] = {}
    for path in paths:
        name = path.stem.removesuffix(ending)
        if name in found:
            raise misfit(path, "have a name of its own", f"{found[name]} too", dataset=dataset)
        found[name] = path
    return found


def read_pair(row: Mapping[str, Any], *, folder: Path, dataset: str, at_least: int = 1) -> Case:
    """Read an image and its mask.

    Args:
        row: ``case``, ``cluster``, ``image`` and ``mask`` as :func:`pairs` lists them; ``label``
            and ``site`` where they are known.
        folder: the data set's folder.
        dataset: its name, for the errors.
        at_least: the lowest value of the mask that counts as true.

    Returns:
        image (C, height, width) as stored; ``mask`` (height, width), bool; ``label`` if known.

    Raises:
        ReplicateError: a file is absent or damaged, or the two differ in size.
    """
    image = read_channels(folder / row["image"])
    path = folder / row["mask"]
    mask = read_mask(path, image.shape[1:], dataset=dataset, at_least=at_least)
    target: dict[str, Any] = {"mask": mask}
    if "label" in row:
        target["label"] = int(row["label"])
    return Case(row["case"], row["cluster"], image, target, site=row.get("site"))
