"""Median Betti curves of two classes: bands, a permutation test over all thresholds, and ratios."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from common.chapters.tofi_ml.features import Fingerprints
from common.chapters.tofi_ml.materials import COMPONENTS, LOOPS, curve_set, mean_counts
from common.chapters.tofi_ml.printed import value
from common.chapters.tofi_ml.scores import DISEASE, NORMAL
from common.models import tofi_ml
from common.papers import Paper

Floats = NDArray[np.float64]
BAND = (30, 70)  # percentiles of a 40 % band about the median


def median_band(curves: ArrayLike) -> Floats:
    """Describe curves by their pointwise median and the band that holds the middle 40 %.

    Args:
        curves (n, t): one curve an image.

    Returns:
        (3, t): 30th percentile, median, 70th percentile.

    Source: Figs. 1 and 5, "median curves and 40% confidence bands".

    Example:
        >>> median_band(np.arange(11)[:, None]).ravel().tolist()
        [3.0, 5.0, 7.0]
    """
    low, high = BAND
    return np.percentile(np.asarray(curves, dtype=np.float64), [low, 50, high], axis=0)


@dataclass(frozen=True)
class CurveTest:
    """A test of two groups of curves over all thresholds at once.

    Args:
        t (t,): Welch's t at each threshold, first class 1, then class 0; 0 where nothing varies.
        bound: what max |t| stays below in 95 % of the permutations.
        p: share of permutations whose max |t| is at least as large.
    """

    t: Floats
    bound: float
    p: float


def _welch(curves: Floats, squares: Floats, member: Floats) -> Floats:
    """Compute Welch's t at every threshold for many divisions at once (divisions, t)."""
    n = len(curves)
    n_1 = member.sum(axis=1, keepdims=True)
    n_0 = n - n_1
    sum_1, square_1 = member @ curves, member @ squares
    sum_0, square_0 = curves.sum(axis=0) - sum_1, squares.sum(axis=0) - square_1
    var_1 = (square_1 - sum_1**2 / n_1) / (n_1 - 1)
    var_0 = (square_0 - sum_0**2 / n_0) / (n_0 - 1)
    se = np.sqrt(np.maximum(var_1 / n_1 + var_0 / n_0, 0.0))
    gap = sum_1 / n_1 - sum_0 / n_0
    return np.where(se > 1e-9, gap / np.where(se > 1e-9, se, 1.0), 0.0)


def curve_test(
    curves: ArrayLike, label: ArrayLike, *, rng: np.random.Generator, n_permutations: int = 1999
) -> CurveTest:
    r"""Test if two groups of curves differ anywhere, by permuting the labels.

    The statistic is :math:`\max_t |T(t)|`, so that one p-value covers all thresholds.

    Args:
        curves (n, t): one curve an image.
        label (n,): 0 or 1, at least two of each.
        rng: source of permutations.
        n_permutations: how many.

    Returns:
        See :class:`CurveTest`.

    Raises:
        ValueError: labels that are not two classes of two or more curves.
    """
    x, y = np.asarray(curves, dtype=np.float64), np.asarray(label)
    if x.ndim != 2 or len(x) != len(y) or min((y == 0).sum(), (y == 1).sum()) < 2:
        raise ValueError(
            f"`label` must hold 0 and 1 at least twice for {len(x)} curves, got "
            f"{np.unique(y, return_counts=True)}."
        )
    x = x - x.mean(axis=0)  # smaller numbers lose fewer digits in the squares
    squares = x**2
    observed = _welch(x, squares, (y == 1).astype(float)[np.newaxis])[0]
    largest = np.empty(n_permutations)
    for start in range(0, n_permutations, 500):
        count = min(500, n_permutations - start)
        member = rng.permuted(np.tile((y == 1).astype(float), (count, 1)), axis=1)
        largest[start : start + count] = np.abs(_welch(x, squares, member)).max(axis=1)
    p = (1 + (largest >= np.abs(observed).max() - 1e-9).sum()) / (n_permutations + 1)
    return CurveTest(observed, float(np.quantile(largest, 0.95)), float(p))


def at_level(found: Fingerprints, paper: Paper) -> str:
    """Set the loops of median eyes at grey 125 beside those that Section 4.2 prints.

    Args:
        found: images with and without retinopathy.
        paper: supplies the printed counts.
    """
    loops = found.curves[:, 0, 1, 3 * 125]
    ours = [np.median(loops[found.label == label]) for label in (1, 0)]
    theirs = [value(paper, "prose", f"{name} median curve", "loops") for name in ("DR", "Normal")]
    shown = [f"{sick:,.0f} / {well:,.0f} = {sick / well:.2f}" for sick, well in (ours, theirs)]
    return f"loops at gray 125: {shown[0]} here, {shown[1]} printed"


def median_ratio(
    counts: ArrayLike, label: ArrayLike, *, rng: np.random.Generator, n_boot: int = 2000
) -> tuple[float, float, float]:
    """Estimate the ratio of two classes' median counts, with a percentile interval.

    Args:
        counts (n,): one count an image.
        label (n,): 0 or 1.
        rng: resamples images inside their class.
        n_boot: bootstrap samples.

    Returns:
        Ratio of class 1 to class 0, and the ends of its 95 % interval.

    Example:
        >>> median_ratio([1, 1, 2, 2], [0, 0, 1, 1], rng=np.random.default_rng(0))
        (2.0, 2.0, 2.0)
    """
    values, y = np.asarray(counts, dtype=np.float64), np.asarray(label)
    sides = [values[y == 1], values[y == 0]]
    drawn = [
        np.median(side[rng.integers(len(side), size=(n_boot, len(side)))], axis=1) for side in sides
    ]
    point = float(np.median(sides[0]) / np.median(sides[1]))
    low, high = np.percentile(drawn[0] / drawn[1], [2.5, 97.5])
    return point, float(low), float(high)


def records(sets: dict[str, Fingerprints]) -> pd.DataFrame:
    """Record for every image the logarithm of its mean count in the window that the paper names.

    Args:
        sets: see :func:`common.chapters.tofi_ml.materials.curve_sets`.

    Returns:
        Records without ``paper, run, profile``: metrics ``log_loops`` (retinopathy, grey Betti-1,
        100 to 150) and ``log_components`` (glaucoma, grey Betti-0, 80 to 130), of count + 1.
    """
    parts = []
    for name, found in sets.items():
        if name.startswith("amd"):
            continue
        loops = name.startswith("dr")
        dimension, levels = (1, LOOPS) if loops else (0, COMPONENTS)
        parts.append(
            pd.DataFrame(
                {
                    "arm": f"{name}-curves",
                    "metric": "log_loops" if loops else "log_components",
                    "value": np.log1p(mean_counts(found, dimension, levels)),
                    "case": [f"{name}-{case}" for case in found.table["case"]],
                    "cluster": [f"{name}-{case}" for case in found.table["cluster"]],
                    "group": np.where(found.label == 1, DISEASE, NORMAL),
                }
            )
        )
    return pd.concat(parts, ignore_index=True).assign(source="phantom", seed=0, fold="")


def by_size(
    sets: dict[str, Fingerprints],
    *,
    seed: int,
    sizes: Iterable[int],
    rng: np.random.Generator,
    **options: Any,
) -> pd.DataFrame:
    """Photograph the eyes behind the median curves at other sizes and compare the classes again.

    Args:
        sets: see :func:`common.chapters.tofi_ml.materials.curve_sets`.
        seed: of the run.
        sizes: further sides (pixels).
        rng: resamples images.
        options: ``jobs`` and ``progress``.

    Returns:
        ``what``, ``size``, ``ratio``, ``low``, ``high``, sizes of each disease in rising order.
    """
    rows = []
    for what, disease in (("loops, retinopathy", "dr"), ("components, glaucoma", "glaucoma")):
        dimension, levels = (1, LOOPS) if disease == "dr" else (0, COMPONENTS)
        seen = {int(sets[disease].table["side"].iloc[0]): sets[disease]}
        for size in sizes:
            seen[size] = curve_set(disease, len(sets[disease]), seed=seed, size=size, **options)
        for size, found in sorted(seen.items()):
            ratio = median_ratio(mean_counts(found, dimension, levels), found.label, rng=rng)
            rows.append((what, size, *ratio))
    return pd.DataFrame(rows, columns=["what", "size", "ratio", "low", "high"])


def summary(
    sets: dict[str, Fingerprints], *, rng: np.random.Generator, n_permutations: int
) -> pd.DataFrame:
    """Compare the classes of every set of curves: ratio of medians, and one test over all levels.

    Returns:
        One row a set: ``ratio``, ``low``, ``high`` (95 %), ``largest`` |t|, ``bound`` and ``p``.
    """
    rows = {}
    for name, found in sets.items():
        dimension, levels = (0, COMPONENTS) if name.startswith("gl") else (1, LOOPS)
        ratio = median_ratio(mean_counts(found, dimension, levels), found.label, rng=rng)
        gray = found.curves[:, 0, dimension][:, tofi_ml.thresholds()]
        test = curve_test(gray, found.label, rng=rng, n_permutations=n_permutations)
        rows[name] = [*ratio, float(np.abs(test.t).max()), test.bound, test.p]
    columns = ["ratio", "low", "high", "largest", "bound", "p"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)
