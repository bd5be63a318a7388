"""Estimates judged by the symmetry of differences: sign flips of clusters."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from common.statistics.results import (
    Array,
    DesignError,
    Interval,
    cluster_codes,
    cluster_sums,
    finite,
)
from common.statistics.signed_rank import SignedRank

__all__ = ["EXACT_CLUSTERS", "SignFlip", "SignedRank", "sign_flip_inference"]

EXACT_CLUSTERS = 14  # 2**14 = 16,384 sign patterns are listed one by one
_CHUNK = 4_000_000  # signs held in memory at once


@dataclass(frozen=True)
class SignFlip:
    """A pooled mean difference judged by flipping the signs of whole clusters.

    Flipping a set of clusters gives a sum at least as large as the observed one exactly if the mean
    of the flipped clusters lies at or below the null value.  So these subset means give every
    p-value, and their quantiles the interval.  Dividing the sum by the root of the clusters' sum of
    squares (a studentised statistic) would change nothing: flips leave that root as it is.

    Args:
        sums (G,): summed difference of each cluster.
        sizes (G,): cases of each cluster.
        subset_means (R,): mean over the flipped clusters, sorted; empty sets left out.
        n_empty: sets without any flipped cluster (the observed data among them).
    """

    sums: Array
    sizes: Array
    subset_means: Array
    n_empty: int

    @cached_property
    def effect(self) -> float:
        """Mean difference over all cases."""
        return float(self.sums.sum() / self.sizes.sum())

    @cached_property
    def se(self) -> float:
        """Cluster-robust standard error, for power."""
        return float(np.linalg.norm(self.sums - self.sizes * self.effect) / self.sizes.sum())

    @property
    def df(self) -> float:
        """Clusters less one."""
        return len(self.sums) - 1

    @property
    def statistic(self) -> float:
        """The summed difference."""
        return float(self.sums.sum())

    @cached_property
    def _slack(self) -> float:
        return 1e-12 * float(np.abs(self.sums / self.sizes).max())

    def _share(self, count: int) -> float:
        return (count + self.n_empty) / (len(self.subset_means) + self.n_empty)

    def p_greater(self, null: float = 0.0) -> float:
        """One-sided p of effect <= null."""
        return self._share(int(np.searchsorted(self.subset_means, null + self._slack, "right")))

    def p_less(self, null: float = 0.0) -> float:
        """One-sided p of effect >= null."""
        above = np.searchsorted(self.subset_means, null - self._slack, "left")
        return self._share(len(self.subset_means) - int(above))

    def p(self, null: float = 0.0) -> float:
        """Two-sided p of effect = null: twice the smaller one-sided one."""
        return min(1.0, 2 * min(self.p_greater(null), self.p_less(null)))

    def interval(self, level: float = 0.95) -> Interval:
        """Null values that are not rejected; infinite where the clusters are too few."""
        tail = (1 - level) / 2 * (len(self.subset_means) + self.n_empty)
        count = int(np.floor(tail + 1e-9)) - self.n_empty + 1
        if count < 1:
            return Interval(-np.inf, np.inf, level)
        return Interval(
            float(self.subset_means[count - 1]), float(self.subset_means[-count]), level
        )


def sign_flip_inference(
    differences: ArrayLike,
    *,
    cluster: ArrayLike | None = None,
    n_resamples: int = 10_000,
    rng: np.random.Generator,
) -> SignFlip:
    """Prepare the sign-flip test; see :func:`sign_flip`."""
    d = finite("differences", differences)
    codes, n_clusters = cluster_codes(cluster, len(d))
    if n_clusters < 2:
        raise DesignError(f"`cluster` must hold at least 2 clusters, got {n_clusters}.")
    if n_resamples < 1:
        raise DesignError(f"`n_resamples` must be >= 1, got {n_resamples!r}.")
    sums = cluster_sums(d, codes, n_clusters)
    sizes = np.bincount(codes, minlength=n_clusters).astype(np.float64)
    both = np.stack([sums, sizes], axis=1)
    exact = n_clusters <= EXACT_CLUSTERS
    rows = 2**n_clusters if exact else n_resamples
    step = max(1, _CHUNK // n_clusters)
    parts = []
    for start in range(0, rows, step):
        stop = min(start + step, rows)
        if exact:
            flipped = (np.arange(start, stop)[:, None] >> np.arange(n_clusters)) & 1
        else:
            flipped = rng.integers(0, 2, size=(stop - start, n_clusters), dtype=np.int8)
        parts.append(flipped @ both)
    flips = np.concatenate(parts)
    some = flips[:, 1] > 0
    n_empty = int((~some).sum()) + (0 if exact else 1)  # the data are one of the patterns
    return SignFlip(sums, sizes, np.sort(flips[some, 0] / flips[some, 1]), n_empty)
