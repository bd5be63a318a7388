"""Scores per image of four published models on PanNuke's test folds, without the images.

``inference_results.json`` of CellViT's repository holds Dice, Jaccard and binary panoptic quality
of each image; ``types.npy`` of the PanNuke challenge gives its tissue. ``Fold-k`` is the model of
split k. PanNuke's three official splits test on fold 3, fold 3 and fold 1: Fold-1 and Fold-2 hold
the same 2,722 images, so that they are two trainings and not two samples, and fold 2 is never a
test fold. The ``2_`` and ``0_`` that begin an image's name are the tested folds 3 and 1, counted
from 0. Patients are not named; an image is its own unit.

About 4 % of the images hold no nucleus, as far as the scores tell: their panoptic quality is NaN,
and so is Jaccard where the model found none either. The files store a Dice of 0 for all of
them, right or wrong, so that means of Dice depend on whether these images are left out.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from common import manifests
from common.datasets.files import read_json, read_numpy
from common.errors import ReplicateError

DATASET = "pannuke-results"
MODELS = {
    "cellvit-256": "CellViTHV/ViT256/Best-Setting",
    "cellvit-sam-h": "CellViTHV/SAM-H",
    "stardist-rn50": "CellViTStarDist/RN50/Our-Setting",
    "stardist-rn50-cpp": "CellViTStarDist/RN50/CPP-Net-Setting",
}
METRICS = {"Dice": "dice", "Jaccard": "jaccard", "bPQ": "bpq"}
# split: (fold that it tests on, file of that fold's tissues)
SPLITS = {1: (3, "split1"), 2: (3, "split1"), 3: (1, "split3")}


def load(folder: Path | None = None) -> pd.DataFrame:
    """Read the scores of all models and splits.

    Args:
        folder: where the files are; by default where the manifest's files were found.

    Returns:
        One row a model, split and image, 32,400 for the published files: ``model`` (see
        :data:`MODELS`), ``fold`` (the split, 1 to 3), ``test_fold`` (PanNuke's fold that holds the
        image: 3, 3, 1), ``case`` (the image), ``tissue``, ``dice``, ``jaccard``, ``bpq``
        (fractions, NaN where undefined).

    Raises:
        ReplicateError: a file is absent or damaged, does not hold the images of its test fold in
            order, or a score is no fraction.

    Source:
        Hörst et al., arXiv 2306.15350; Gamper et al., arXiv 2003.10778.
    """
    folder = manifests.require(DATASET, folder)
    tables = []
    for fold, (test_fold, split) in SPLITS.items():
        path = folder / "types" / split / "types.npy"
        tissue = read_numpy(path)["array"]
        if tissue.ndim != 1 or tissue.dtype.kind != "U":
            raise ReplicateError(
                f"{path} must hold one tissue name an image, got {tissue.dtype} {tissue.shape}. "
                "Fetch or copy it again."
            )
        for model, place in MODELS.items():
            path = folder / "cellvit" / place / f"Fold-{fold}" / "inference_results.json"
            scores = _scores(path, test_fold, len(tissue))
            scores.insert(0, "model", model)
            scores.insert(1, "fold", fold)
            scores.insert(2, "test_fold", test_fold)
            scores.insert(4, "tissue", tissue)
            tables.append(scores)
    return pd.concat(tables, ignore_index=True)


def _scores(path: Path, test_fold: int, n_images: int) -> pd.DataFrame:
    """Read one file: the image's name and its scores, in the order of the tissue list."""
    found: Any = read_json(path)
    metrics = found.get("image_metrics") if isinstance(found, dict) else None
    names = [f"{test_fold - 1}_{number}.png" for number in range(n_images)]
    if not isinstance(metrics, dict) or list(metrics) != names:
        raise ReplicateError(
            f"{path} must hold image_metrics of {names[0]} to {names[-1]}, in order, got "
            f"{len(metrics) if isinstance(metrics, dict) else 'no'} images. "
            "Fetch or copy it again; it may be the file of another fold."
        )
    try:
        values = np.array([[float(metrics[name][key]) for key in METRICS] for name in names])
    except (KeyError, TypeError, ValueError) as error:
        raise ReplicateError(
            f"{path} must hold {', '.join(METRICS)} of every image, got a problem with {error}. "
            "Fetch or copy it again."
        ) from None
    if np.any((values < 0) | (values > 1)):
        raise ReplicateError(
            f"{path} must hold fractions from 0 to 1, got {np.nanmin(values):g} to "
            f"{np.nanmax(values):g}. Fetch or copy it again."
        )
    cases = [name.removesuffix(".png") for name in names]
    return pd.DataFrame({"case": cases} | dict(zip(METRICS.values(), values.T, strict=True)))
