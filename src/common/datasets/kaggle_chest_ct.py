"""Chest CT slices exported as pictures: 1,000 images of three cancers and of healthy lungs.

The folder tells the class and, in training and validation, also lobe and stage
(``adenocarcinoma_left.lower.lobe_T2_N0_M0_Ib``). The files are PNG and JPEG, grey or in colour with
or without opacity: all come as grey. They have no Hounsfield units. Names repeat between folders,
so that a case is named by its folders too.

There are no patient ids: a cluster is one image. Slices of one scan cannot be told apart, within a
part or across.

Source: M. Hany 2020, Kaggle (folder names from a secondary description).
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from common import manifests
from common.datasets.cases import Case, Cases
from common.datasets.files import require_files
from common.datasets.image_pairs import misfit, natural
from common.datasets.labelled_images import read_grey

DATASET = "kaggle-chest-ct"
CLASSES = ("normal", "adenocarcinoma", "large cell carcinoma", "squamous cell carcinoma")
PARTS = ("train", "valid", "test")
_SUFFIXES = (".png", ".jpg", ".jpeg")


def load(folder: Path | None = None) -> Cases:
    """List the slices, by part and folder.

    Args:
        folder: the data set's folder, with ``Data``; where it lies by default.

    Returns:
        Cases with image (1, height, width) uint8 of differing size and ``label`` (place in
        :data:`CLASSES`); the table has ``label``, ``part`` (train, valid, test), ``stage`` (the
        folder's words behind the class; empty in test) and ``image``.

    Raises:
        ReplicateError: a part is absent, a folder is of no known class, or a file is no picture.
    """
    folder = manifests.require(DATASET, folder)
    rows = [
        _row(folder, path, part)
        for part in PARTS
        for path in require_files(folder, f"Data/{part}/*/*.*", dataset=DATASET)
    ]
    rows.sort(key=lambda row: (PARTS.index(row["part"]), natural(row["image"])))
    return Cases(pd.DataFrame(rows), partial(_read, folder=folder))


def _row(folder: Path, path: Path, part: str) -> dict[str, Any]:
    named, _, stage = path.parent.name.partition("_")
    kind = named.replace(".", " ")
    if kind not in CLASSES:
        rule = f"lie in a folder that begins with one of {', '.join(CLASSES)}"
        raise misfit(path, rule, path.parent.name, dataset=DATASET)
    if path.suffix.lower() not in _SUFFIXES:
        raise misfit(path, f"end in one of {', '.join(_SUFFIXES)}", path.suffix, dataset=DATASET)
    image = path.relative_to(folder).as_posix()
    case = image.removeprefix("Data/")
    known = {"label": CLASSES.index(kind), "part": part, "stage": stage}
    return {"case": case, "cluster": case, **known, "image": image}


def _read(row: Mapping[str, Any], *, folder: Path) -> Case:
    image = read_grey(folder / row["image"], dataset=DATASET)
    return Case(row["case"], row["cluster"], image, {"label": int(row["label"])})
