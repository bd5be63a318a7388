"""What is measured on a gel, an attention map and a run."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray

from common.chapters.ife.gels import Gels
from common.datasets.ife_phantom import CLASSES, COUNTS
from common.metrics.classification import macro_f1
from common.models.ife_losses import js_divergence, sharpen

SMALLEST = 1  # kappa alone, 63 of 14,540 images
THREE_SMALLEST = tuple(int(c) for c in np.argsort(COUNTS)[:3])
Maps = Mapping[str, list[NDArray[np.float32]]]


def decisions(label: NDArray[np.int64], predicted: NDArray[np.int64]) -> dict[str, NDArray]:
    """Score nine-way decisions gel by gel.

    Args:
        label (n,): reference classes.
        predicted (n,): classes.

    Returns:
        Arrays (n,), NaN where a gel does not count:

        - ``correct``: 1 where the class is right; its mean is the accuracy;
        - ``missed``: of positives, 1 where the gel is called negative; its mean is the false
          negative rate (a wrong type is not a miss);
        - ``m1_correct``: of gels of the smallest class, 1 where right;
        - ``m3_correct``: of gels of the three smallest classes, 1 where right, weighed so that the
          mean over gels is the mean of the classes' recalls.
    """
    right = (label == predicted).astype(float)
    nothing = np.full(len(label), np.nan)
    small = np.isin(label, THREE_SMALLEST)
    sizes = np.bincount(label, minlength=len(CLASSES))
    occurring = sum(sizes[c] > 0 for c in THREE_SMALLEST)
    weight = small.sum() / np.maximum(occurring * sizes[label], 1)
    return {
        "correct": right,
        "missed": np.where(label > 0, predicted == 0, nothing),
        "m1_correct": np.where(label == SMALLEST, right, nothing),
        "m3_correct": np.where(small, weight * right, nothing),
    }


def summary(label: NDArray[np.int64], predicted: NDArray[np.int64]) -> dict[str, float]:
    """Compute what the paper's tables print, for one run.

    Args:
        label (n,): reference classes.
        predicted (n,): classes.

    Returns:
        ``accuracy``, ``macro_f1`` (over nine classes), ``fnr``, ``m1`` and ``m3``, in [0, 1]; NaN
        where no gel counts.
    """
    each = decisions(label, predicted)
    names = {"accuracy": "correct", "fnr": "missed", "m1": "m1_correct", "m3": "m3_correct"}
    found = {name: _mean(each[own]) for name, own in names.items()}
    return found | {"macro_f1": macro_f1(label, predicted, n_classes=len(CLASSES))}


def _mean(values: NDArray[np.float64]) -> float:
    counted = values[~np.isnan(values)]
    return float(counted.mean()) if len(counted) else float("nan")


def entropy(weights: ArrayLike) -> NDArray[np.float64]:
    """Measure how evenly a map spreads over its rows.

    Args:
        weights (n, H): attention, above 0; each map is divided by its sum.

    Returns:
        (n,): entropy over log H, in [0, 1]; 1 for a flat map.

    Example:
        >>> entropy([[1.0, 1.0], [1.0, 3.0]]).round(3).tolist()
        [1.0, 0.811]
    """
    maps = np.asarray(weights, dtype=np.float64)
    share = maps / maps.sum(axis=1, keepdims=True)
    logs = np.log(share, out=np.zeros_like(share), where=share > 0)
    return np.asarray(-(share * logs).sum(axis=1) / np.log(maps.shape[1]))


def pointing(weights: ArrayLike, row: ArrayLike, *, height: int) -> tuple[NDArray, NDArray]:
    """Play the pointing game: does the strongest row of the map point at the band?

    It hits where the centre of the strongest of H bins lies within one bin's height of the band.

    Args:
        weights (n, H): attention.
        row (n,): row of the band (pixels).
        height: of the image (pixels).

    Returns:
        Hit (n,), 0 or 1, and the chance of a map that points anywhere (n,): the share of bins that
        would hit.

    Example:
        >>> hit, chance = pointing([[0.1, 0.9, 0.2, 0.3]], [30.0], height=80)
        >>> hit.tolist(), chance.tolist()
        ([1.0], [0.75])
    """
    maps = np.asarray(weights, dtype=np.float64)
    bin_height = height / maps.shape[1]
    centres = bin_height * (np.arange(maps.shape[1]) + 0.5)
    near = np.abs(centres - np.asarray(row, dtype=np.float64)[:, None]) <= bin_height
    hit = near[np.arange(len(maps)), maps.argmax(axis=1)]
    return hit.astype(float), near.mean(axis=1)


def divergence(heavy: ArrayLike, light: ArrayLike) -> NDArray[np.float64]:
    """Compute the Jensen-Shannon divergence of two tasks' softmaxed maps.

    Args:
        heavy (n, H): map of the heavy-chain task.
        light (n, H): map of the light-chain task.

    Returns:
        (n,) in [0, log 2].
    """
    one, two = (sharpen(torch.as_tensor(np.asarray(x, float)), 1.0) for x in (heavy, light))
    return np.asarray(js_divergence(one, two).clamp(min=0).numpy())


def attention(gels: Gels, maps: Maps) -> dict[str, NDArray]:
    """Measure the maps of the last stage gel by gel.

    Args:
        gels: their band rows and classes.
        maps: by task, see :class:`common.models.ife_training.Prediction`; the light-chain task is
            looked at where there are two, since every positive has a light chain.

    Returns:
        Arrays (n,), NaN where a gel does not count; empty without attention:

        - ``pointing_hit`` and ``pointing_gain`` (hit less chance), of positives;
        - ``attention_entropy``, of all gels;
        - ``task_divergence``, of gels with a heavy and a light chain, for two tasks.
    """
    task = "light" if "light" in maps else "label"
    if not maps.get(task):
        return {}
    last = maps[task][-1]
    positive = gels.label > 0
    hit, chance = pointing(last, gels.band_row, height=gels.image.shape[2])
    found = {
        "pointing_hit": np.where(positive, hit, np.nan),
        "pointing_gain": np.where(positive, hit - chance, np.nan),
        "attention_entropy": entropy(last),
    }
    if "heavy" in maps:
        apart = divergence(maps["heavy"][-1], last)
        found["task_divergence"] = np.where(gels.heavy > 0, apart, np.nan)
    return found


def records(values: Mapping[str, NDArray], gels: Gels) -> pd.DataFrame:
    """Arrange values gel by gel as rows.

    Args:
        values: arrays (n,) by metric; NaN is left out.
        gels: names and groups; the group is the class, and ``positive`` or ``negative`` for the
            entropy of the attention.

    Returns:
        ``case, cluster, group, metric, value``.
    """
    name = gels.table["case"].to_numpy()
    own = np.array(CLASSES)[gels.label]
    sign = np.where(gels.label > 0, "positive", "negative")
    parts = []
    for metric, value in values.items():
        kept = ~np.isnan(value)
        group = sign if metric == "attention_entropy" else own
        parts.append(
            pd.DataFrame(
                {
                    "case": name[kept],
                    "cluster": name[kept],
                    "group": group[kept],
                    "metric": metric,
                    "value": value[kept],
                }
            )
        )
    return pd.concat(parts, ignore_index=True)
