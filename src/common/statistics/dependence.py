"""How alike the cases of one cluster are, and how many independent cases they are worth."""

import numpy as np
from numpy.typing import ArrayLike

from common.statistics.results import DesignError, cluster_codes, cluster_sums, finite


def icc(values: ArrayLike, cluster: ArrayLike) -> float:
    """Estimate the intraclass correlation by one-way analysis of variance.

    ``(MSB - MSW) / (MSB + (n0 - 1) MSW)`` with ``n0`` the size that stands for unequal ones;
    for values 0 and 1 the same formula holds.

    Args:
        values (n,): scores.
        cluster (n,): the cluster of each case.

    Returns:
        At most 1; below 0 when cases of a cluster are less alike than strangers; NaN when all
        values are equal.

    Raises:
        DesignError: fewer than two clusters, no cluster with two cases, or non-finite values.

    Source:
        Donner, Int Stat Rev 54:67 (1986).

    Example:
        >>> icc([1, 1, 0, 0], ["a", "a", "b", "b"])
        1.0
    """
    scores = finite("values", values)
    codes, k = cluster_codes(cluster, len(scores))
    n = len(scores)
    if k < 2 or n == k:
        raise DesignError(
            f"`cluster` must hold 2 clusters and more cases than clusters, got {k} clusters for "
            f"{n} cases. Without repeats inside clusters no correlation can be seen."
        )
    sizes = np.bincount(codes, minlength=k)
    means = cluster_sums(scores, codes, k) / sizes
    between = float(sizes @ (means - scores.mean()) ** 2) / (k - 1)
    within = float(((scores - means[codes]) ** 2).sum()) / (n - k)
    typical = (n - (sizes**2).sum() / n) / (k - 1)
    total = between + (typical - 1) * within
    return float((between - within) / total) if total > 0 else float("nan")


def design_effect(correlation: float, sizes: ArrayLike) -> float:
    """Return by how much clustering inflates the variance of a mean over cases.

    Args:
        correlation: intraclass correlation.
        sizes: cases of each cluster, or one common size.

    Returns:
        ``1 + (m - 1) correlation`` with m the case-weighted mean size.

    Example:
        >>> design_effect(0.5, 61)
        31.0
    """
    each = np.atleast_1d(finite("sizes", np.atleast_1d(np.asarray(sizes, dtype=np.float64))))
    return float(1 + ((each**2).sum() / each.sum() - 1) * correlation)


def effective_n(n: int, effect: float) -> float:
    """Return how many independent cases n clustered ones are worth.

    Args:
        n: cases.
        effect: their design effect, > 0.

    Example:
        >>> effective_n(15120, 30.0)
        504.0
    """
    if effect <= 0:
        raise DesignError(f"`effect` must be > 0, got {effect!r}. See `design_effect`.")
    return n / effect
