"""BUSI: breast ultrasound images with lesion masks; 38 of the 780 published ones.

The files keep their published names: ``benign (4).png`` with ``benign (4)_mask.png`` and, where
an image shows several lesions, ``benign (4)_mask_1.png`` and so on, which are joined here (the
first is a one-bit file, the second RGBA). A class folder may hold them side by side, as the
complete set does, or in ``images`` and ``mask``.

There are no patient ids (the complete set shows 600 women in 780 images), so a cluster is one
image, and images of one woman cannot be told apart. Known defects of the complete set are
duplicates, some of them in two classes, and burnt-in marks: 36 of the 38 images here are grey, the
other two have coloured pixels.

Source: Al-Dhabyani et al. 2020, doi 10.1016/j.dib.2019.104863; defects: Pawłowska et al. 2023.
"""

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from common import manifests
from common.datasets.cases import Case, Cases
from common.datasets.files import require_files
from common.datasets.image_pairs import misfit, natural, read_channels, read_mask

DATASET = "busi"
CLASSES = ("normal", "benign", "malignant")
SITE = "Baheya Hospital"

_NAME = re.compile(r"(?P<image>(?P<label>\w+) \(\d+\))(?P<mask>_mask(_\d+)?)?")


def load(folder: Path | None = None) -> Cases:
    """List the images with their masks.

    Args:
        folder: the data set's folder, with a folder for each class; where it lies by default.

    Returns:
        Cases with image (3, height, width) uint8 as stored, ``mask`` (all lesions of the image;
        empty in a normal one) and ``label`` (place in :data:`CLASSES`). The table has ``label``,
        ``site``, ``n_masks``, ``image`` and ``masks``.

    Raises:
        ReplicateError: the files are absent, one has an unknown name or lies in another class's
            folder, or an image lacks its mask or a mask its image.
    """
    folder = manifests.require(DATASET, folder)
    rows = [row for label in range(len(CLASSES)) for row in _rows(folder, label)]
    return Cases(pd.DataFrame(rows), partial(_read, folder=folder))


def _rows(folder: Path, label: int) -> list[dict[str, Any]]:
    images: dict[str, Path] = {}
    masks: dict[str, list[Path]] = {}
    for path in require_files(folder, f"{CLASSES[label]}/**/*.png", dataset=DATASET):
        name = _NAME.fullmatch(path.stem)
        if name is None or name["label"] != CLASSES[label]:
            rule = f"be named like {CLASSES[label]} (1).png or {CLASSES[label]} (1)_mask.png"
            raise misfit(path, rule, path.name, dataset=DATASET)
        if name["mask"]:
            masks.setdefault(name["image"], []).append(path)
        else:
            images[name["image"]] = path
    for alone in sorted(images.keys() ^ masks.keys()):
        path = images[alone] if alone in images else masks[alone][0]
        raise misfit(
            path, "be an image with a mask or the mask of an image", "one", dataset=DATASET
        )
    return [
        {
            "case": name,
            "cluster": name,
            "label": label,
            "site": SITE,
            "n_masks": len(masks[name]),
            "image": images[name].relative_to(folder).as_posix(),
            "masks": tuple(path.relative_to(folder).as_posix() for path in masks[name]),
        }
        for name in sorted(images, key=natural)
    ]


def _read(row: Mapping[str, Any], *, folder: Path) -> Case:
    image = read_channels(folder / row["image"])
    first, *others = (folder / name for name in row["masks"])
    mask = read_mask(first, image.shape[1:], dataset=DATASET)
    for path in others:
        mask |= read_mask(path, image.shape[1:], dataset=DATASET)
    normal = CLASSES[row["label"]] == "normal"
    if mask.any() == normal:
        rule = f"be {'empty' if normal else 'drawn'} for a {CLASSES[row['label']]} image"
        raise misfit(first, rule, f"{mask.sum()} pixels", dataset=DATASET)
    target = {"mask": mask, "label": int(row["label"])}
    return Case(row["case"], row["cluster"], image, target, site=row["site"])
