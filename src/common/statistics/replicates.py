"""Bootstrap replicates as an estimate that can be tested: p-values and intervals from them."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from scipy import stats

from common.statistics.results import Array, DesignError, Interval

Method = Literal["percentile", "bca"]


@dataclass(frozen=True)
class Bootstrap:
    """An estimate with its bootstrap replicates.

    Args:
        effect: the estimate.
        replicates (R,): its value in each resample.
        n_units: independent units resampled.
        jackknife (G,): its value without each unit; needed for ``bca``.
        method: how the interval is read off.

    Example:
        >>> bootstrap = Bootstrap(0.5, np.arange(101) / 100, n_units=30)
        >>> round(bootstrap.interval(0.90).low, 6), round(bootstrap.interval(0.90).high, 6)
        (0.05, 0.95)
    """

    effect: float
    replicates: Array
    n_units: int
    jackknife: Array | None = None
    method: Method = "percentile"

    @cached_property
    def se(self) -> float:
        """Standard deviation of the replicates."""
        return float(self.replicates.std(ddof=1))

    @property
    def df(self) -> float:
        """Units less one."""
        return self.n_units - 1

    @property
    def statistic(self) -> float:
        """The estimate itself."""
        return self.effect

    @cached_property
    def _slack(self) -> float:
        return 1e-12 * float(np.abs(self.replicates).max())

    def p_greater(self, null: float = 0.0) -> float:
        """Share of replicates at or below the null value, the data counted as one more."""
        count = int((self.replicates <= null + self._slack).sum())
        return (count + 1) / (len(self.replicates) + 1)

    def p_less(self, null: float = 0.0) -> float:
        """Share of replicates at or above the null value, the data counted as one more."""
        count = int((self.replicates >= null - self._slack).sum())
        return (count + 1) / (len(self.replicates) + 1)

    def p(self, null: float = 0.0) -> float:
        """Two-sided p: twice the smaller share, so that it agrees with the percentile interval."""
        return min(1.0, 2 * min(self.p_greater(null), self.p_less(null)))

    def interval(self, level: float = 0.95) -> Interval:
        """Percentile or BCa interval."""
        tails = np.array([(1 - level) / 2, (1 + level) / 2])
        if self.method == "bca":
            tails = self._bca(tails)
        low, high = np.quantile(self.replicates, tails)
        return Interval(float(low), float(high), level)

    def _bca(self, tails: Array) -> Array:
        if self.jackknife is None:
            raise DesignError("`jackknife` must be given for method 'bca', got None.")
        influence = self.jackknife.mean() - self.jackknife
        spread = float((influence**2).sum())
        if spread == 0 or self.se == 0:
            return tails
        acceleration = float((influence**3).sum()) / (6 * spread**1.5)
        below = (self.replicates < self.effect).mean() + (self.replicates == self.effect).mean() / 2
        bias = stats.norm.ppf(np.clip(below, 1e-6, 1 - 1e-6))
        z = bias + stats.norm.ppf(tails)
        return np.asarray(stats.norm.cdf(bias + z / (1 - acceleration * z)), dtype=np.float64)
