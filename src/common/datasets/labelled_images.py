"""Photographs with one label each: the layout of sets that are made for classification only."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from common.datasets.cases import Case
from common.datasets.files import require_files
from common.datasets.image_pairs import misfit, natural, read_channels


def by_pattern(
    folder: Path, patterns: Mapping[int, str], *, dataset: str
) -> list[dict[str, str | int]]:
    """List images whose place or name tells their label.

    Args:
        folder: the data set's folder.
        patterns: glob of the images of each label; no image may fit two.
        dataset: the data set's name, for the errors.

    Returns:
        One row an image, labels in the given order and names by the numbers in them: ``case``
        (the name without suffix), ``cluster`` (the same), ``label`` and ``image`` (path relative to
        the folder).

    Raises:
        ReplicateError: no image fits a pattern, or two images have one name.
    """
    rows: list[dict[str, str | int]] = []
    seen: dict[str, Path] = {}
    for label, pattern in patterns.items():
        found = require_files(folder, pattern, dataset=dataset)
        for path in sorted(found, key=lambda path: natural(path.name)):
            if path.stem in seen:
                rule, held = "have a name of its own", f"{seen[path.stem]} too"
                raise misfit(path, rule, held, dataset=dataset)
            seen[path.stem] = path
            image = path.relative_to(folder).as_posix()
            rows.append({"case": path.stem, "cluster": path.stem, "label": label, "image": image})
    return rows


def read_labelled(row: Mapping[str, Any], *, folder: Path, dataset: str) -> Case:
    """Read a colour photograph and its label.

    Args:
        row: ``case``, ``cluster``, ``label`` and ``image``; ``site`` where it is known.
        folder: the data set's folder.
        dataset: its name, for the error.

    Returns:
        image (3, height, width) uint8 as stored, without opacity; ``label``.

    Raises:
        ReplicateError: the file is absent or damaged, or has not 3 or 4 channels of bytes.
    """
    path = folder / row["image"]
    image = read_channels(path)
    if image.shape[0] not in (3, 4) or image.dtype != np.uint8:
        held = f"{image.shape[0]} of {image.dtype}"
        raise misfit(path, "have 3 channels of bytes", held, dataset=dataset)
    target = {"label": int(row["label"])}
    return Case(row["case"], row["cluster"], image[:3], target, site=row.get("site"))


def read_grey(path: Path, *, dataset: str) -> NDArray[np.uint8]:
    """Read an image as grey, whether it was stored as grey or as colour.

    Args:
        path: the file.
        dataset: the data set's name, for the error.

    Returns:
        (1, height, width); colours are weighted as in ITU-R 601, opacity does not count.

    Raises:
        ReplicateError: the file is absent or damaged, or does not hold bytes.
    """
    stored = read_channels(path)
    if stored.dtype != np.uint8:
        raise misfit(path, "hold bytes", stored.dtype, dataset=dataset)
    if stored.shape[0] in (1, 2):
        return stored[:1]
    return np.array(Image.fromarray(np.moveaxis(stored[:3], 0, -1)).convert("L"))[np.newaxis]
