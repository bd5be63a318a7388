"""Groups of different units within one method: Welch's t and Kruskal-Wallis over cluster means."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from common.statistics.results import (
    Array,
    DesignError,
    Student,
    TestResult,
    cluster_codes,
    cluster_sums,
    finite,
    summarise,
)


def cluster_means(values: ArrayLike, cluster: ArrayLike | None) -> Array:
    """Average values (n,) inside each cluster, giving (n_clusters,).

    Example:
        >>> cluster_means([1, 3, 5], ["p", "p", "q"]).tolist()
        [2.0, 5.0]
    """
    scores = finite("values", values)
    codes, n_clusters = cluster_codes(cluster, len(scores))
    return cluster_sums(scores, codes, n_clusters) / np.bincount(codes, minlength=n_clusters)


def welch_inference(left: ArrayLike, right: ArrayLike) -> Student:
    """Estimate the difference of two groups' means; see :func:`welch`."""
    a, b = finite("left", left, at_least=2), finite("right", right, at_least=2)
    of_a, of_b = a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)
    total = of_a + of_b
    spread = of_a**2 / (len(a) - 1) + of_b**2 / (len(b) - 1)
    df = total**2 / spread if spread > 0 else len(a) + len(b) - 2
    return Student(float(a.mean() - b.mean()), float(np.sqrt(total)), float(df))


def welch(left: ArrayLike, right: ArrayLike) -> TestResult:
    """Test by Welch's t whether two groups of independent units have the same mean.

    Args:
        left (n,): one value per independent unit of the first group.
        right (m,): the same for the second; unequal spreads and sizes are allowed.

    Returns:
        Left minus right with its 95 % interval.

    Raises:
        DesignError: a group with fewer than two units, or a non-finite value.

    Source:
        Welch, Biometrika 34:28 (1947).

    Example:
        >>> welch([1.0, 3.0], [0.0, 2.0]).effect
        1.0
    """
    inference = welch_inference(left, right)
    n = np.size(left) + np.size(right)
    return summarise(
        inference,
        name="Welch t",
        hypothesis="both groups have the same mean",
        n_cases=n,
        n_clusters=n,
        note=f"{inference.df:.1f} degrees of freedom",
    )


@dataclass(frozen=True)
class Kruskal:
    """The Kruskal-Wallis test; ``spread`` is the largest minus the smallest group mean."""

    statistic: float
    p: float
    spread: float


def kruskal(values: ArrayLike, group: ArrayLike) -> Kruskal:
    """Test whether several groups of independent units have the same distribution.

    Args:
        values (n,): one value per independent unit.
        group (n,): the group of each unit.

    Returns:
        p by the chi-square law with the tie correction; 1 if all values are equal.

    Raises:
        DesignError: fewer than two groups, or a non-finite value.

    Source:
        Kruskal and Wallis, J Am Stat Assoc 47:583 (1952).

    Example:
        >>> found = kruskal([1, 2, 3, 4], ["a", "a", "b", "b"])
        >>> round(found.statistic, 2), found.spread
        (2.4, 2.0)
    """
    scores = finite("values", values)
    codes, n_groups = cluster_codes(group, len(scores))
    if n_groups < 2:
        raise DesignError(f"`group` must hold at least 2 groups, got {n_groups}.")
    means = cluster_means(scores, codes)
    spread = float(means.max() - means.min())
    if (scores == scores[0]).all():
        return Kruskal(0.0, 1.0, spread)
    found = stats.kruskal(*(scores[codes == number] for number in range(n_groups)))
    return Kruskal(float(found.statistic), float(found.pvalue), spread)
