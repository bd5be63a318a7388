"""Many tests at once: Holm and Benjamini-Hochberg inside declared families."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import false_discovery_control

from common.statistics.results import Array, DesignError

Method = Literal["holm", "fdr_bh", "none"]


def adjust(p: ArrayLike, *, method: Method = "holm") -> Array:
    """Adjust the p-values of one family.

    Args:
        p (any shape): p-values; NaN marks a test that was not done.
        method: ``holm`` controls the chance of any false rejection, ``fdr_bh`` the share of
            false ones among the rejections, ``none`` nothing.

    Returns:
        Adjusted p-values of the same shape; NaN stays NaN and does not count as a test.

    Raises:
        DesignError: a p-value outside [0, 1] or an unknown method.

    Example:
        >>> adjust([0.01, 0.04, float("nan")]).tolist()
        [0.02, 0.04, nan]
    """
    raw = np.asarray(p, dtype=np.float64)
    tested = ~np.isnan(raw)
    if ((raw[tested] < 0) | (raw[tested] > 1)).any():
        raise DesignError("`p` must lie in [0, 1], got a value outside. Give p-values.")
    if method not in ("holm", "fdr_bh", "none"):
        raise DesignError(f"`method` must be holm, fdr_bh or none, got {method!r}. Choose one.")
    adjusted = raw.copy()
    if method != "none" and tested.any():
        adjusted[tested] = _holm(raw[tested]) if method == "holm" else _fdr(raw[tested])
    return adjusted


def _holm(p: Array) -> Array:
    # statsmodels has Holm too, but collects garbage at each call: 0.1 s instead of 10 microseconds.
    order = np.argsort(p)
    steps = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted


def _fdr(p: Array) -> Array:
    return np.asarray(false_discovery_control(p, method="bh"), dtype=np.float64)


def adjust_families(
    p: ArrayLike, family: Sequence[str], *, methods: dict[str, Method] | None = None
) -> Array:
    """Adjust p-values inside each family of its own.

    Args:
        p (n,): p-values, NaN for untested.
        family (n,): the family of each.
        methods: method by family; Holm where none is named.

    Returns:
        Adjusted p-values (n,).

    Example:
        >>> adjust_families([0.01, 0.04, 0.04], ["a", "a", "b"]).tolist()
        [0.02, 0.04, 0.04]
    """
    raw = np.asarray(p, dtype=np.float64)
    names = np.asarray(family)
    if names.shape != raw.shape:
        raise DesignError(f"`family` must name {raw.shape} families, got {names.shape!r}.")
    adjusted = np.full_like(raw, np.nan)
    for name in np.unique(names):
        mine = names == name
        adjusted[mine] = adjust(raw[mine], method=(methods or {}).get(str(name), "holm"))
    return adjusted
