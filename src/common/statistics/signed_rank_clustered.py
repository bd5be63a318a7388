"""Signed ranks of cases in clusters: the test of Rosner, Glynn and Lee, with its shift."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from common.statistics.dependence import icc
from common.statistics.permutation import EXACT_CLUSTERS
from common.statistics.results import (
    Array,
    DesignError,
    Interval,
    TestResult,
    cluster_codes,
    cluster_sums,
    finite,
    summarise,
)
from common.statistics.signed_rank import Zeros, invert, shift, signed_ranks

Weights = Literal["cases", "rosner"]
ClusterLaw = Literal["flips", "asymptotic"]
_CHUNK = 1_000_000  # signs turned into floats at once


@dataclass(frozen=True)
class ClusteredSignedRank:
    """The Hodges-Lehmann shift of cases in clusters, judged by the signed ranks of clusters.

    Cases are ranked together, their signed ranks are summed in clusters, and the signs of whole
    clusters are flipped.  A flipped set of clusters makes the sum at least as large as the observed
    one exactly if its own sum is not positive; with equal weights that sum falls as the null value
    rises, so that the p of sign flips rises with it and bisection finds the interval.

    Args:
        differences (n,): sorted differences.
        codes (n,): the number of each case's cluster.
        n_clusters: clusters.
        flips (R, n_clusters): 1 where a pattern flips a cluster; no rows for the normal law.
        listed: whether the patterns are all there are, the data among them.
        zeros: ``wilcox`` or ``pratt``.
        weights: ``cases`` or ``rosner``.
    """

    differences: Array
    codes: NDArray[np.intp]
    n_clusters: int
    flips: NDArray[np.int8]
    listed: bool
    zeros: Zeros = "wilcox"
    weights: Weights = "cases"

    def _sums(self, null: float, zeros: Zeros) -> Array:
        """Sum the signed ranks (doubled) in clusters (G,)."""
        ranks = signed_ranks(self.differences, null, zeros=zeros).astype(np.float64)
        sums = cluster_sums(ranks, self.codes, self.n_clusters)
        if self.weights == "cases":
            return sums
        kept = ranks != 0
        sizes = np.bincount(self.codes[kept], minlength=self.n_clusters)
        alike = _rank_correlation(ranks[kept], self.codes[kept])
        return np.asarray(sums / (1 + np.maximum(sizes - 1, 0) * alike), dtype=np.float64)

    def _flipped(self, sums: Array) -> Iterator[Array]:
        step = max(1, _CHUNK // self.n_clusters)
        for start in range(0, len(self.flips), step):
            yield self.flips[start : start + step] @ sums

    def _p_greater(self, sums: Array) -> float:
        norm = float(np.linalg.norm(sums))
        if norm == 0:
            return 1.0
        if len(self.flips) == 0:
            return float(stats.norm.sf(sums.sum() / norm))
        slack = 1e-12 * float(np.abs(sums).sum())
        count = sum(int((flipped <= slack).sum()) for flipped in self._flipped(sums))
        data = 0 if self.listed else 1
        return (count + data) / (len(self.flips) + data)

    @cached_property
    def effect(self) -> float:
        """The null value at which the (weighted) sum of signed ranks is 0.

        Weighted by ``cases`` it is the median of the pairwise means of all cases.
        """
        return shift(lambda null: _total(self._sums(null, "pratt")), self.differences)

    @property
    def se(self) -> float:
        """Cluster-robust standard error of the mean, which the shift's is close to."""
        off = cluster_sums(self.differences - self.differences.mean(), self.codes, self.n_clusters)
        return float(np.linalg.norm(off) / len(self.differences))

    @property
    def df(self) -> float:
        """Clusters less one."""
        return self.n_clusters - 1

    @property
    def statistic(self) -> float:
        """Summed signed ranks over the root of the sum of the clusters' squares."""
        sums = self._sums(0.0, self.zeros)
        norm = float(np.linalg.norm(sums))
        return float(sums.sum() / norm) if norm > 0 else 0.0

    def p_greater(self, null: float = 0.0) -> float:
        """One-sided p of shift <= null."""
        return self._p_greater(self._sums(null, self.zeros))

    def p_less(self, null: float = 0.0) -> float:
        """One-sided p of shift >= null."""
        return self._p_greater(-self._sums(null, self.zeros))

    def p(self, null: float = 0.0) -> float:
        """Two-sided p of shift = null: twice the smaller one-sided one."""
        return min(1.0, 2 * min(self.p_greater(null), self.p_less(null)))

    def interval(self, level: float = 0.95) -> Interval:
        """Null values between the pairwise means that the test keeps; infinite with too few
        clusters (below 6 at 95 %).
        """
        return invert(
            lambda null: self._p_greater(self._sums(null, "pratt")),
            lambda null: self._p_greater(-self._sums(null, "pratt")),
            self.differences,
            level,
        )


def _total(sums: Array) -> float:
    """Add up, and take what is left of terms that cancel for 0."""
    total = float(sums.sum())
    return total if abs(total) > 1e-12 * float(np.abs(sums).sum()) else 0.0


def _rank_correlation(ranks: Array, codes: NDArray[np.intp]) -> float:
    """Return how alike the signed ranks of a cluster are, 0 to 1, corrected for few clusters."""
    n_clusters = len(np.unique(codes))
    if n_clusters < 3 or n_clusters == len(codes):
        return 0.0
    alike = max(0.0, np.nan_to_num(icc(ranks, codes)))
    return min(1.0, alike * (1 + (1 - alike**2) / (n_clusters - 2.5)))


def signed_rank_clustered_inference(
    differences: ArrayLike,
    cluster: ArrayLike,
    *,
    rng: np.random.Generator,
    n_resamples: int = 10_000,
    zeros: Zeros = "wilcox",
    weights: Weights = "cases",
    method: ClusterLaw = "flips",
) -> ClusteredSignedRank:
    """Estimate the shift of paired differences in clusters; see :func:`signed_rank_clustered`."""
    d = finite("differences", differences)
    codes, n_clusters = cluster_codes(cluster, len(d))
    if n_clusters < 2:
        raise DesignError(f"`cluster` must hold at least 2 clusters, got {n_clusters}.")
    if n_resamples < 1:
        raise DesignError(f"`n_resamples` must be >= 1, got {n_resamples!r}.")
    listed = n_clusters <= EXACT_CLUSTERS
    if method == "asymptotic":
        flips = np.zeros((0, n_clusters), dtype=np.int8)
    elif listed:
        patterns = np.arange(2**n_clusters)[:, None] >> np.arange(n_clusters)
        flips = (patterns & 1).astype(np.int8)
    else:
        flips = rng.integers(0, 2, size=(n_resamples, n_clusters), dtype=np.int8)
    order = np.argsort(d, kind="stable")
    return ClusteredSignedRank(d[order], codes[order], n_clusters, flips, listed, zeros, weights)


def signed_rank_clustered(
    differences: ArrayLike,
    cluster: ArrayLike,
    *,
    rng: np.random.Generator,
    n_resamples: int = 10_000,
    zeros: Zeros = "wilcox",
    weights: Weights = "cases",
    method: ClusterLaw = "flips",
    level: float = 0.95,
) -> TestResult:
    """Test by signed ranks whether clustered differences are symmetric around 0.

    The hypothesis is that flipping the signs of all differences of a cluster does not change their
    joint law; cases of a cluster may depend on each other in any way.  The unit is the cluster; its
    size may vary and is taken as given.

    Sign flips are exact with any number of clusters.  The normal law errs on the safe side below
    about 20 (with 6 clusters it rejects 2 to 3 % at the level of 5 %).

    Args:
        differences (n,): one difference a case.
        cluster (n,): the independent unit of each case.
        rng: source of the random sign patterns (not used where all are listed).
        n_resamples: random sign patterns; all patterns are listed up to 14 clusters.
        zeros: ``wilcox`` leaves zeros out of the ranking (as the source does); ``pratt`` ranks
            them, then drops them.
        weights: ``cases`` sums the signed ranks as they are; ``rosner`` divides those of a cluster
            of g cases by ``1 + (g - 1) r``, with r the correlation of signed ranks in a cluster: a
            gain in power where sizes differ much.
        method: ``flips``, or ``asymptotic`` for ``z = sum(S) / sqrt(sum(S**2))`` and a normal law.
        level: confidence of the interval.

    Returns:
        The clustered Hodges-Lehmann shift with the interval of null values that the test keeps.
        With ``cases`` and ``flips`` the inversion is exact; r, and the spread of the normal law,
        move a little with the null value, and the interval then ends where bisection finds a
        rejection.  Ties share their mean rank; p = 1 if all differences are 0.

    Raises:
        DesignError: fewer than two clusters or a non-finite difference.

    Source:
        Rosner, Glynn and Lee, Biometrics 62:185 (2006), equations for balanced and unbalanced data.

    Example:
        Signed ranks 1, 2 | 4, -3 | 5, 6 sum to 3, 1 and 11; 1 of 8 patterns is as large.

        >>> found = signed_rank_clustered(
        ...     [1, 2, 4, -3, 5, 6], list("aabbcc"), rng=np.random.default_rng(0)
        ... )
        >>> found.p, round(found.statistic, 4)     # 15 / sqrt(9 + 1 + 121)
        (0.25, 1.3106)
    """
    d = finite("differences", differences)
    inference = signed_rank_clustered_inference(
        d,
        cluster,
        rng=rng,
        n_resamples=n_resamples,
        zeros=zeros,
        weights=weights,
        method=method,
    )
    if method == "asymptotic":
        law = "normal law"
    else:
        law = "all sign patterns" if inference.listed else f"{n_resamples} random sign patterns"
    n_zeros = int((signed_ranks(d) == 0).sum())
    fate = "dropped" if zeros == "wilcox" else "ranked, then dropped"
    return summarise(
        inference,
        name="Wilcoxon signed rank, clustered",
        hypothesis="clusters of differences are symmetric around 0",
        n_cases=len(d),
        n_clusters=inference.n_clusters,
        level=level,
        note=f"{n_zeros} zeros {fate}; weighted by {weights}; {law}",
    )
