"""Right or wrong: McNemar's test, plain and clustered, and intervals for one proportion."""

import itertools
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as _mcnemar
from statsmodels.stats.proportion import proportion_confint

from common.statistics.results import (
    Array,
    DesignError,
    Interval,
    Student,
    TestResult,
    cluster_codes,
    cluster_sums,
    finite,
    summarise,
)

McNemar = Literal["exact", "mid-p", "asymptotic"]


def _binary(name: str, values: ArrayLike) -> NDArray[np.bool_]:
    array = finite(name, np.asarray(values, dtype=np.float64))
    if not np.isin(array, (0.0, 1.0)).all():
        raise DesignError(f"`{name}` must hold 0 (wrong) and 1 (right) only. Threshold it first.")
    return array.astype(bool)


def discordant(first: ArrayLike, second: ArrayLike) -> tuple[int, int, int]:
    """Count the cases that only one of two methods gets right.

    Args:
        first (n,): 1 where the first method is right, else 0.
        second (n,): the same for the second.

    Returns:
        Cases that only the first gets right, that only the second does, and all cases.

    Raises:
        DesignError: no case, unequal lengths, or a value other than 0 and 1.

    Example:
        >>> discordant([1, 1, 0, 1], [0, 1, 1, 0])
        (2, 1, 4)
    """
    a, b = _binary("first", first), _binary("second", second)
    if a.shape != b.shape:
        raise DesignError(f"`second` must have {len(a)} cases as `first`, got {len(b)}. Pair them.")
    return int((a & ~b).sum()), int((~a & b).sum()), len(a)


def _mcnemar_p(b: int, c: int, method: McNemar) -> tuple[float, float]:
    if b + c == 0:
        return 0.0, 1.0
    table = [[0, b], [c, 0]]
    if method == "asymptotic":
        found = _mcnemar(table, exact=False, correction=False)
        return float(found.statistic), float(found.pvalue)
    exact = float(_mcnemar(table, exact=True).pvalue)
    if method == "exact":
        return float(min(b, c)), exact
    # Half the probability of the table itself is taken off; at b = c the exact p is capped at 1.
    lower = stats.binom.cdf(min(b, c), b + c, 0.5)
    return float(min(b, c)), min(1.0, float(2 * lower - stats.binom.pmf(b, b + c, 0.5)))


def mcnemar(first: ArrayLike, second: ArrayLike, *, method: McNemar = "exact") -> TestResult:
    """Test whether two methods are right equally often on independent cases.

    Args:
        first (n,): 1 where the first method is right, else 0.
        second (n,): the same for the second.
        method: ``exact`` binomial, ``mid-p`` (less conservative), or ``asymptotic`` chi-square
            without continuity correction.

    Returns:
        Difference of the two rates with the Bonett-Price interval; p = 1 without discordant cases.

    Raises:
        DesignError: as :func:`discordant`.

    Source:
        Bonett and Price, J Educ Behav Stat 37:479 (2012), for the interval.

    Example:
        >>> mcnemar([1, 1, 1, 1, 1], [0, 0, 0, 0, 0]).p      # five against none
        0.0625
    """
    b, c, n = discordant(first, second)
    statistic, p = _mcnemar_p(b, c, method)
    interval = paired_difference_interval(b, c, n)
    return TestResult(
        name=f"McNemar, {method}",
        hypothesis="both methods are right equally often",
        effect=(b - c) / n,
        low=interval.low,
        high=interval.high,
        p=p,
        statistic=statistic,
        n_cases=n,
        n_clusters=n,
        note=f"{b} against {c} discordant cases",
    )


def paired_difference_interval(b: int, c: int, n: int, *, level: float = 0.95) -> Interval:
    """Bound the difference of two paired rates from the discordant counts.

    Args:
        b: cases that only the first gets right.
        c: cases that only the second gets right.
        n: all cases.
        level: confidence.

    Example:
        >>> interval = paired_difference_interval(2, 2, 4)
        >>> interval.low == -interval.high
        True
    """
    first, second = (b + 1) / (n + 2), (c + 1) / (n + 2)
    se = np.sqrt((first + second - (first - second) ** 2) / (n + 2))
    half = float(stats.norm.ppf((1 + level) / 2) * se)
    difference = first - second
    return Interval(max(-1.0, difference - half), min(1.0, difference + half), level)


@dataclass(frozen=True)
class PairedCounts:
    """A difference of two rates on independent cases, judged by the discordant ones.

    At a null value of 0 the p-values are exact (binomial); at another one and for the interval
    the Bonett-Price estimate with a normal law is used.
    """

    first_only: int
    second_only: int
    n: int

    @property
    def effect(self) -> float:
        """Difference of the two rates."""
        return (self.first_only - self.second_only) / self.n

    @property
    def _adjusted(self) -> Student:
        interval = paired_difference_interval(self.first_only, self.second_only, self.n)
        centre = (self.first_only - self.second_only) / (self.n + 2)
        half = max(interval.high - centre, centre - interval.low)
        return Student(centre, half / float(stats.norm.ppf(0.975)), float("inf"))

    @property
    def se(self) -> float:
        """Standard error after Bonett and Price."""
        return self._adjusted.se

    @property
    def df(self) -> float:
        """Infinite: the law is normal."""
        return float("inf")

    @property
    def statistic(self) -> float:
        """The smaller discordant count."""
        return float(min(self.first_only, self.second_only))

    def p(self, null: float = 0.0) -> float:
        """Two-sided p of effect = null."""
        if null == 0:
            return _mcnemar_p(self.first_only, self.second_only, "exact")[1]
        return self._adjusted.p(null)

    def p_greater(self, null: float = 0.0) -> float:
        """One-sided p of effect <= null."""
        if null == 0:
            total = self.first_only + self.second_only
            return float(stats.binom.sf(self.first_only - 1, total, 0.5))
        return self._adjusted.p_greater(null)

    def p_less(self, null: float = 0.0) -> float:
        """One-sided p of effect >= null."""
        return PairedCounts(self.second_only, self.first_only, self.n).p_greater(-null)

    def interval(self, level: float = 0.95) -> Interval:
        """Bonett-Price interval."""
        return paired_difference_interval(self.first_only, self.second_only, self.n, level=level)


@dataclass(frozen=True)
class ClusteredScore:
    """A pooled mean difference judged by the score test over clusters.

    For a null value v, ``z = sum(s - n v) / sqrt(sum((s - n v)**2))`` over clusters with summed
    difference s and n cases; at v = 0 it is the clustered McNemar test.  The interval holds the
    values that the test does not reject.
    """

    sums: Array
    sizes: Array

    @property
    def effect(self) -> float:
        """Mean difference over all cases."""
        return float(self.sums.sum() / self.sizes.sum())

    @property
    def se(self) -> float:
        """Cluster-robust standard error."""
        return float(np.linalg.norm(self.sums - self.sizes * self.effect) / self.sizes.sum())

    @property
    def df(self) -> float:
        """Infinite: the law is normal."""
        return float("inf")

    @property
    def statistic(self) -> float:
        """The z of a null value of 0."""
        return self._z(0.0)

    def _z(self, null: float) -> float:
        shifted = self.sums - self.sizes * null
        norm = np.linalg.norm(shifted)
        return float(shifted.sum() / norm) if norm > 0 else 0.0

    def p(self, null: float = 0.0) -> float:
        """Two-sided p of effect = null."""
        return float(2 * stats.norm.sf(abs(self._z(null))))

    def p_greater(self, null: float = 0.0) -> float:
        """One-sided p of effect <= null."""
        return float(stats.norm.sf(self._z(null)))

    def p_less(self, null: float = 0.0) -> float:
        """One-sided p of effect >= null."""
        return float(stats.norm.cdf(self._z(null)))

    def interval(self, level: float = 0.95) -> Interval:
        """Null values that are not rejected; infinite with fewer than about four clusters."""
        z2 = float(stats.norm.ppf((1 + level) / 2)) ** 2
        s, n = self.sums, self.sizes
        a = n.sum() ** 2 - z2 * (n @ n)
        if a <= 0:
            return Interval(-np.inf, np.inf, level)
        b = s.sum() * n.sum() - z2 * (s @ n)
        c = s.sum() ** 2 - z2 * (s @ s)
        root = np.sqrt(max(b * b - a * c, 0.0))
        return Interval(float((b - root) / a), float((b + root) / a), level)


def clustered_score(differences: ArrayLike, cluster: ArrayLike) -> ClusteredScore:
    """Prepare the clustered score test of any paired differences; see :class:`ClusteredScore`."""
    d = finite("differences", differences)
    codes, n_clusters = cluster_codes(cluster, len(d))
    if n_clusters < 2:
        raise DesignError(f"`cluster` must hold at least 2 clusters, got {n_clusters}.")
    sizes = np.bincount(codes, minlength=n_clusters).astype(np.float64)
    return ClusteredScore(cluster_sums(d, codes, n_clusters), sizes)


def mcnemar_clustered(first: ArrayLike, second: ArrayLike, cluster: ArrayLike) -> TestResult:
    """Test whether two methods are right equally often when cases come in clusters.

    ``z = sum_p s_p / sqrt(sum_p s_p**2)`` with s_p the difference in right cases of cluster p.
    Asymptotic in the number of clusters that hold a difference; below about 20 of them use
    :func:`common.statistics.paired.sign_flip`.

    Args:
        first (n,): 1 where the first method is right, else 0.
        second (n,): the same for the second.
        cluster (n,): the independent unit of each case.

    Returns:
        Difference of the two rates with its score interval; p = 1 if no cluster differs.

    Raises:
        DesignError: as :func:`discordant`, or fewer than two clusters.

    Source:
        Obuchowski, Stat Med 17:1495 (1998); Durkalski et al., Stat Med 22:2417 (2003).

    Example:
        Two patients with sums 2 and 1: z = 3 / sqrt(5).

        >>> found = mcnemar_clustered([1, 1, 1, 0], [0, 0, 0, 0], ["p", "p", "q", "q"])
        >>> round(found.statistic, 4)
        1.3416
    """
    discordant(first, second)
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    inference = clustered_score(a - b, cluster)
    differing = int((inference.sums != 0).sum())
    return summarise(
        inference,
        name="McNemar, clustered",
        hypothesis="both methods are right equally often",
        n_cases=len(a),
        n_clusters=len(inference.sums),
        note=f"{differing} clusters differ",
    )


def mcnemar_clustered_pairs(outcomes: ArrayLike, cluster: ArrayLike) -> pd.DataFrame:
    """Test all pairs of methods by the clustered McNemar test at once.

    Args:
        outcomes (n, k): 1 where a method is right on a case, else 0.
        cluster (n,): the independent unit of each case.

    Returns:
        One row per pair, columns ``first, second`` (column numbers), ``effect``, ``z``, ``p``.

    Example:
        >>> mcnemar_clustered_pairs([[1, 0], [1, 0]], ["p", "q"])["z"].round(4).tolist()
        [1.4142]
    """
    right = finite("outcomes", outcomes, ndim=2)
    codes, n_clusters = cluster_codes(cluster, len(right))
    sums = cluster_sums(right, codes, n_clusters)
    pairs = np.array(list(itertools.combinations(range(right.shape[1]), 2))).reshape(-1, 2)
    s = sums[:, pairs[:, 0]] - sums[:, pairs[:, 1]]
    norm = np.linalg.norm(s, axis=0)
    z = np.divide(s.sum(axis=0), norm, out=np.zeros(len(pairs)), where=norm > 0)
    return pd.DataFrame(
        {
            "first": pairs[:, 0],
            "second": pairs[:, 1],
            "effect": s.sum(axis=0) / len(right),
            "z": z,
            "p": 2 * stats.norm.sf(np.abs(z)),
        }
    )


def proportion_interval(
    right: int, n: int, *, method: Literal["wilson", "exact"] = "wilson", level: float = 0.95
) -> Interval:
    """Bound one proportion of independent cases.

    Args:
        right: cases counted.
        n: all cases, > 0.
        method: ``wilson`` score interval, or ``exact`` (Clopper-Pearson, conservative).
        level: confidence.

    Raises:
        DesignError: n < 1 or counts outside 0..n.

    Example:
        >>> round(proportion_interval(0, 10, method="exact").high, 4)   # 1 - 0.025 ** 0.1
        0.3085
    """
    if not 0 <= right <= n or n < 1:
        raise DesignError(f"`right` must lie in 0..n with n > 0, got {right!r} of {n!r}.")
    name = "wilson" if method == "wilson" else "beta"
    low, high = proportion_confint(right, n, alpha=1 - level, method=name)
    return Interval(float(low), float(high), level)
