"""Areas under ROC curves with their covariance, for independent cases and for cases in clusters.

Midranks give the placement of every case in O(n log n) (Sun and Xu); everything else is built from
these placements.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from common.statistics.results import (
    Array,
    DesignError,
    Interval,
    Student,
    cluster_codes,
    cluster_sums,
    finite,
)


@dataclass(frozen=True)
class Area:
    """One area under the curve, judged on the logit scale.

    ``z = (logit(A) - logit(null)) / (se / (A (1 - A)))`` with a normal law, so that the interval
    stays inside [0, 1].  At an area of 1 the standard error is 0 and the logit infinite; then the
    bounds are exact: under a true area a all of ``n_pairs`` disjoint pairs of a positive with a
    negative case are in order with probability ``a**n_pairs``, hence p of ``area <= a`` is that at
    most.  The same holds at 0, turned round.  Scores that are all equal have area 1/2 for certain.

    Args:
        effect: the area.
        se: its standard error on the scale of the area.
        n_pairs: disjoint pairs of independent units, one positive and one negative.

    Example:
        >>> round(Area(1.0, 0.0, n_pairs=2).interval().low, 4)            # 0.025 ** (1 / 2)
        0.1581
    """

    effect: float
    se: float
    n_pairs: int

    @property
    def df(self) -> float:
        """Infinite: the law is normal."""
        return float("inf")

    @property
    def statistic(self) -> float:
        """The z of an area of 1/2, chance; a difference has its z at 0."""
        return self.z(0.5)

    @property
    def perfect(self) -> bool:
        """Tell whether all pairs are in order, or none."""
        return self.effect in (0.0, 1.0)

    def z(self, null: float) -> float:
        """Return the test statistic of area = null."""
        if self.perfect or self.se == 0:
            return 0.0 if self.effect == null else float(np.copysign(np.inf, self.effect - null))
        gap = special.logit(self.effect) - special.logit(np.clip(null, 0.0, 1.0))
        return float(gap * self.effect * (1 - self.effect) / self.se)

    def p(self, null: float = 0.0) -> float:
        """Two-sided p of area = null."""
        return min(1.0, 2 * min(self.p_greater(null), self.p_less(null)))

    def p_greater(self, null: float = 0.0) -> float:
        """One-sided p of area <= null."""
        if self.perfect:
            return float(np.clip(null, 0.0, 1.0) ** self.n_pairs) if self.effect == 1 else 1.0
        return float(stats.norm.sf(self.z(null)))

    def p_less(self, null: float = 0.0) -> float:
        """One-sided p of area >= null."""
        return Area(1 - self.effect, self.se, self.n_pairs).p_greater(1 - null)

    def interval(self, level: float = 0.95) -> Interval:
        """Logit interval, or the exact one at an area of 0 or 1."""
        if self.perfect:
            bound = ((1 - level) / 2) ** (1 / self.n_pairs)
            return Interval(bound, 1.0, level) if self.effect else Interval(0.0, 1 - bound, level)
        half = float(stats.norm.ppf((1 + level) / 2)) * self.se / (self.effect * (1 - self.effect))
        low, high = special.expit(special.logit(self.effect) + np.array([-half, half]))
        return Interval(float(low), float(high), level)


@dataclass(frozen=True)
class Areas:
    """The areas of k methods on the same cases with their covariance.

    Args:
        aucs (k,): the areas.
        covariance (k, k): of the areas.
        n_cases: cases.
        n_clusters: independent units.
        n_pairs: see :class:`Area`.
    """

    aucs: Array
    covariance: Array
    n_cases: int
    n_clusters: int
    n_pairs: int

    def area(self, method: int = 0) -> Area:
        """Return one method's area as an inference."""
        se = float(np.sqrt(self.covariance[method, method]))
        return Area(float(self.aucs[method]), se, self.n_pairs)

    def difference(self, first: int = 0, second: int = 1) -> Student:
        """Return the difference of two methods' areas as an inference, first minus second."""
        variance = self.covariance[first, first] + self.covariance[second, second]
        variance -= 2 * self.covariance[first, second]
        # Methods that rank alike have equal placements; rounding must not leave them a spread.
        se = 0.0 if variance <= 1e-14 * np.trace(self.covariance) else float(np.sqrt(variance))
        return Student(float(self.aucs[first] - self.aucs[second]), se, float("inf"))


def _classes(labels: ArrayLike, n: int, *, at_least: int) -> NDArray[np.bool_]:
    truth = np.asarray(labels, dtype=np.float64)
    if truth.shape != (n,):
        raise DesignError(f"`labels` must hold {n} values, one a case, got shape {truth.shape!r}.")
    if not np.isin(truth, (0.0, 1.0)).all():
        raise DesignError("`labels` must hold 0 (negative) and 1 (positive) only. Binarise them.")
    positive = truth.astype(bool)
    fewer = min(int(positive.sum()), int((~positive).sum()))
    if fewer < at_least:
        raise DesignError(
            f"`labels` must hold at least {at_least} cases of each class, got {fewer}. "
            "Pool cases or drop this comparison."
        )
    return positive


def _placements(scores: Array, positive: NDArray[np.bool_]) -> Array:
    """Return for each case the share of the other class that it is in order with (n, k)."""
    own = np.empty_like(scores)
    for members in (positive, ~positive):
        own[members] = stats.rankdata(scores[members], axis=0)
    below = stats.rankdata(scores, axis=0) - own  # cases of the other class below, ties half
    n_positive = int(positive.sum())
    n_negative = len(positive) - n_positive
    return np.where(positive[:, None], below / n_negative, 1 - below / n_positive)


def auc(scores: ArrayLike, labels: ArrayLike) -> float:
    """Compute the area under the ROC curve, the chance that a positive outscores a negative.

    Args:
        scores (n,): higher means more likely positive.
        labels (n,): 1 for positive cases, 0 for negative ones.

    Returns:
        In [0, 1]; a tie counts one half; 1/2 is chance.

    Raises:
        DesignError: a class without cases, a label other than 0 and 1, or a score that is not
            finite.

    Source:
        Hanley and McNeil, Radiology 143:29 (1982).

    Example:
        Of the four pairs two are in order, one is tied and one is not:

        >>> auc([1, 3, 2, 3], [0, 0, 1, 1])
        0.625
    """
    column = finite("scores", scores)[:, None]
    positive = _classes(labels, len(column), at_least=1)
    return float(_placements(column, positive)[positive].mean())


def auc_areas(scores: ArrayLike, labels: ArrayLike, *, cluster: ArrayLike | None = None) -> Areas:
    """Compute the areas of several methods on the same cases, with their covariance.

    The unit is the case (DeLong), or the cluster (Obuchowski), which may hold both classes.  With
    one case a cluster the two are the same.

    Args:
        scores (n, k): higher means more likely positive, one column a method.
        labels (n,): 1 for positive cases, 0 for negative ones.
        cluster (n,): the independent unit of each case; None takes each case for its own.

    Returns:
        Areas and covariance (k, k).  Equal columns have equal rows.

    Raises:
        DesignError: fewer than two cases (or two clusters) of a class, a label other than 0 and
            1, or a score that is not finite.

    Source:
        DeLong, DeLong and Clarke-Pearson, Biometrics 44:837 (1988); Sun and Xu,
        IEEE Signal Process Lett 21:1389 (2014); Obuchowski, Biometrics 53:567 (1997).

    Example:
        Placements 1, 1/2 of the positives and 1/2, 1 of the negatives: 1/8 / 2 + 1/8 / 2.

        >>> found = auc_areas([[1], [3], [2], [4]], [0, 0, 1, 1])
        >>> found.aucs.tolist(), found.covariance.tolist()
        ([0.75], [[0.125]])
    """
    table = finite("scores", scores, ndim=2)
    positive = _classes(labels, len(table), at_least=2)
    codes, n_clusters = cluster_codes(cluster, len(table))
    placements = _placements(table, positive)
    aucs = placements[positive].mean(axis=0)
    deviations = placements - aucs
    sums, counts = [], []
    for members in (positive, ~positive):
        inside = np.where(members[:, None], deviations, 0.0) / members.sum()
        sums.append(cluster_sums(inside, codes, n_clusters))
        counts.append(len(np.unique(codes[members])))
    if min(counts) < 2:
        raise DesignError(
            f"`cluster` must hold at least 2 clusters of each class, got {min(counts)}."
        )
    x, y = sums
    both = x.T @ y * (n_clusters / (n_clusters - 1))
    covariance = both + both.T
    for part, count in zip(sums, counts, strict=True):
        covariance = covariance + part.T @ part * (count / (count - 1))
    pairs = min(*counts, n_clusters // 2)
    return Areas(aucs, covariance, len(table), n_clusters, pairs)
