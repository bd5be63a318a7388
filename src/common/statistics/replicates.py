"""Bootstrap replicates: how units are drawn, and the estimate that can be tested with them.

Each method reads its interval off the replicates by a rule, and its p-values by inverting that
rule: a null value has a one-sided p of 0.025 where it is the end of the 95 % interval.
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.sparse import csr_array

from common.statistics.results import Array, DesignError, Interval

Method = Literal["percentile", "basic", "bca", "studentised"]
Index = NDArray[np.intp]
MAX_EXACT_UNITS = 10  # 92,378 different draws stand for 10**10
CHUNK = 50_000  # draw counts held at once: few enough for a processor's cache
_TINY = 1e-12  # values closer than this, relative to the largest, count as tied


def _draw(n_units: int, size: int, rng: np.random.Generator) -> NDArray[np.integer[Any]]:
    """Draw unit numbers (size,), each exactly equally likely, four from every random word."""
    if n_units >= 2**16:
        return rng.integers(0, n_units, size=size, dtype=np.int32)
    words = rng.integers(0, 2**64, size=-(-size // 4), dtype=np.uint64)
    drawn = words.view(np.uint16)[:size] // np.uint16((2**16 - 1) // n_units)
    over = np.flatnonzero(drawn >= n_units)
    drawn[over] = rng.integers(0, n_units, size=len(over))
    return drawn


def draw_counts(n_units: int, n_resamples: int, rng: np.random.Generator) -> Iterator[Array]:
    """Draw ``n_units`` units with replacement and count how often each was drawn.

    Args:
        n_units: units to draw from, each equally likely.
        n_resamples: rows of counts in all.
        rng: source of the draws.

    Returns:
        Counts (rows, n_units), in pieces of as many rows as fit a processor's cache.

    Example:
        >>> (counts,) = draw_counts(3, 2, np.random.default_rng(0))
        >>> counts.shape, counts.sum(axis=1).tolist()
        ((2, 3), [3.0, 3.0])
    """
    step = min(max(1, CHUNK // n_units), n_resamples)
    shape, size = (step, n_units), step * n_units
    # Filling a dense array from a sparse one adds up what was drawn twice: ten times faster than
    # multinomial counts.
    drawn = csr_array(
        (np.ones(size), np.zeros(size, np.int32), np.arange(step + 1) * n_units), shape=shape
    )
    for start in range(0, n_resamples, step):
        drawn.indices[:] = _draw(n_units, size, rng)
        yield np.asarray(drawn.toarray()[: n_resamples - start], dtype=np.float64)


def draw_sums(sums: Array, n_resamples: int, rng: np.random.Generator) -> Array:
    """Sum the rows of ``sums`` (n_units, k) over units drawn with replacement (R, k).

    Example:
        >>> draw_sums(np.ones((4, 1)), 2, np.random.default_rng(0)).tolist()
        [[4.0], [4.0]]
    """
    drawn, start = np.empty((n_resamples, sums.shape[1])), 0
    for counts in draw_counts(len(sums), n_resamples, rng) if n_resamples else ():
        np.matmul(counts, sums, out=drawn[start : start + len(counts)])
        start += len(counts)
    return drawn


def exact_counts(n_units: int) -> tuple[Index, NDArray[np.int64]]:
    """List every different way to draw ``n_units`` units with replacement, order left aside.

    Args:
        n_units: 1 to 10.

    Returns:
        Counts (D, n_units) with D = (2 n - 1 choose n), and how many of the ``n**n`` ordered
        draws give each: ``n! / (c_1! ... c_n!)``.

    Raises:
        DesignError: more than 10 units.

    Source:
        Fisher and Hall, Stat Probab Lett 12:157 (1991).

    Example:
        >>> counts, times = exact_counts(2)
        >>> counts.tolist(), times.tolist()
        ([[2, 0], [1, 1], [0, 2]], [1, 2, 1])
    """
    if not 1 <= n_units <= MAX_EXACT_UNITS:
        raise DesignError(
            f"`n_units` must be 1 to {MAX_EXACT_UNITS}, got {n_units}: too many draws to list. "
            "Draw at random."
        )
    chosen = np.array(list(itertools.combinations_with_replacement(range(n_units), n_units)))
    counts = (chosen[:, :, None] == np.arange(n_units)).sum(axis=1)
    factorial = np.array([math.factorial(i) for i in range(n_units + 1)])
    return counts, factorial[n_units] // factorial[counts].prod(axis=1)


def check_method(method: str) -> None:
    """Refuse the name of a method that does not exist.

    Raises:
        DesignError: an unknown name.
    """
    if method not in get_args(Method):
        raise DesignError(
            f"`method` must be one of {', '.join(get_args(Method))}, got {method!r}. Choose one."
        )


@dataclass(frozen=True)
class Bootstrap:
    """An estimate with its bootstrap replicates.

    ``percentile`` takes quantiles of the replicates; ``basic`` mirrors them at the estimate;
    ``bca`` takes other quantiles, corrected for bias and skewness; ``studentised`` takes quantiles
    of ``(replicate - effect) / its standard error`` in place of Student's t.

    Range: simulated 95 % intervals of a mean over clusters of 1 to 40 cases, normal cluster
    effects, hold the truth in

    ============= ==== ==== ==== ==== ====
    clusters         5   10   15   30   50
    ============= ==== ==== ==== ==== ====
    percentile    0.83 0.90 0.91 0.93 0.94
    basic         0.74 0.83 0.86 0.91 0.93
    bca           0.81 0.87 0.89 0.90 0.93
    studentised   0.93 0.94 0.94 0.94 0.94
    ============= ==== ==== ==== ==== ====

    and with exponential ones in 0.87, 0.82, 0.86 and 0.91 at 15 clusters.

    Args:
        effect: the estimate.
        replicates (R,): its value in each resample.
        n_units: independent units resampled.
        jackknife (G,): its value without each unit; needed for ``bca``.
        method: how interval and p-values are read off.
        strata (G,): the stratum of each jackknife value; None if there is one.
        error: standard error of the estimate; needed for ``studentised``.
        errors (R,): standard error of each replicate, by the same formula.
        times (R,): how often each replicate occurs among all resamples that there are; None if
            they were drawn.

    Source:
        Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapters 12 to 14, equation
        15.36 for the p-value of BCa; Davison and Hinkley, Bootstrap Methods (1997), section 5.3
        for strata.

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
    strata: Index | None = None
    error: float = float("nan")
    errors: Array | None = None
    times: NDArray[np.int64] | None = None

    @cached_property
    def n_resamples(self) -> int:
        """Replicates, each counted as often as it occurs."""
        return len(self.replicates) if self.times is None else int(self.times.sum())

    @cached_property
    def se(self) -> float:
        """Standard deviation of the replicates."""
        if self.times is None:
            return float(self.replicates.std(ddof=1))
        share = self.times / self.n_resamples
        spread = share @ (self.replicates - share @ self.replicates) ** 2
        return float(np.sqrt(spread * self.n_resamples / (self.n_resamples - 1)))

    @property
    def df(self) -> float:
        """Units less one."""
        return self.n_units - 1

    @property
    def statistic(self) -> float:
        """The estimate itself; over its standard error if ``studentised``."""
        return self._t(0.0) if self.method == "studentised" else self.effect

    def p_greater(self, null: float = 0.0) -> float:
        """One-sided p of effect <= null; the data are counted as one more replicate."""
        if self.method == "basic":
            return self._share(at_most=False, of=2 * self.effect - null)
        if self.method == "studentised":
            return self._share(at_most=False, of=self._t(null))
        share = self._share(at_most=True, of=null)
        return self._from_bca(share) if self.method == "bca" else share

    def p_less(self, null: float = 0.0) -> float:
        """One-sided p of effect >= null; the data are counted as one more replicate."""
        if self.method == "basic":
            return self._share(at_most=True, of=2 * self.effect - null)
        if self.method == "studentised":
            return self._share(at_most=True, of=self._t(null))
        share = self._share(at_most=False, of=null)
        return self._from_bca(share, upper=True) if self.method == "bca" else share

    def p(self, null: float = 0.0) -> float:
        """Two-sided p: twice the smaller one-sided p, so that it agrees with the interval."""
        return min(1.0, 2 * min(self.p_greater(null), self.p_less(null)))

    def interval(self, level: float = 0.95) -> Interval:
        """Interval by the method; infinite where too many replicates have no standard error."""
        low, high = self._quantiles(self.levels(level))
        if self.method == "basic":
            low, high = 2 * self.effect - high, 2 * self.effect - low
        if self.method == "studentised":
            if self.error == 0:
                return Interval(self.effect, self.effect, level)
            low, high = self.effect - high * self.error, self.effect - low * self.error
        return Interval(float(low), float(high), level)

    def levels(self, level: float = 0.95) -> Array:
        """Return the two quantiles of the replicates (2,) that the interval is read from."""
        tails = np.array([(1 - level) / 2, (1 + level) / 2])
        if self.method != "bca" or self._shapeless:
            return tails
        z = self.bias + stats.norm.ppf(tails)
        slope = 1 - self.acceleration * z
        # Beyond slope 0 the formula turns round; its limit there is the end of the replicates.
        bent = np.where(slope > 0, z / np.where(slope > 0, slope, 1), np.copysign(np.inf, z))
        return np.asarray(stats.norm.cdf(self.bias + bent), dtype=np.float64)

    @cached_property
    def bias(self) -> float:
        """BCa's z0: the normal quantile of the share of replicates below the estimate.

        Replicates equal to the estimate count half.
        """
        away = self.replicates - self.effect
        tied = np.abs(away) <= _TINY * np.abs(self.replicates).max()
        times = np.ones(len(away)) if self.times is None else self.times
        share = (times[(away < 0) & ~tied].sum() + times[tied].sum() / 2) / self.n_resamples
        return float(stats.norm.ppf(np.clip(share, 1e-6, 1 - 1e-6)))

    @cached_property
    def acceleration(self) -> float:
        """BCa's a: a sixth of the skewness of the jackknife influences; 0 without spread."""
        influence = self._influence
        spread = float((influence**2).sum())
        return float((influence**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0

    @cached_property
    def _influence(self) -> Array:
        """Centre the jackknife values inside strata and weigh them by ``(n - 1) / n``."""
        if self.jackknife is None:
            raise DesignError("`jackknife` must be given for method 'bca', got None.")
        strata = np.zeros(len(self.jackknife), np.intp) if self.strata is None else self.strata
        n = np.bincount(strata)
        mean = np.bincount(strata, weights=self.jackknife) / np.maximum(n, 1)
        influence: Array = ((n - 1) / np.maximum(n, 1))[strata] * (mean[strata] - self.jackknife)
        scale = np.abs(self.jackknife).max()
        return np.where(np.abs(influence) > _TINY * scale, influence, 0.0)

    @cached_property
    def _shapeless(self) -> bool:
        """Without any spread BCa has nothing to correct and is the percentile interval."""
        return self.se == 0 or not self._influence.any()

    def _from_bca(self, share: float, *, upper: bool = False) -> float:
        """Turn a share of replicates beyond the null value into the p that BCa's interval gives."""
        if self._shapeless or share >= 1:
            return share
        sign = -1.0 if upper else 1.0
        w = sign * float(stats.norm.ppf(share)) - self.bias
        slope = 1 + self.acceleration * w
        z = w / slope if slope > 0 else float(np.copysign(np.inf, w))
        p = float(stats.norm.cdf(sign * (z - self.bias)))
        return min(1.0, max(p, 1 / (self.n_resamples + 1)))

    @cached_property
    def _pivots(self) -> Array:
        """Return what quantiles are taken of: replicates, or their t for ``studentised``."""
        check_method(self.method)
        if self.method != "studentised":
            return self.replicates
        if self.errors is None or np.isnan(self.error):
            raise DesignError("`error` and `errors` must be given for 'studentised', got None.")
        away = self.replicates - self.effect
        away[np.abs(away) <= _TINY * np.abs(self.replicates).max()] = 0.0
        # A replicate off the estimate without any spread is infinitely many errors away.
        certain = self.errors <= 1e-6 * self.error  # what rounding leaves of 0
        t = np.copysign(np.inf, away, where=certain & (away != 0), out=np.zeros(len(away)))
        return np.asarray(np.divide(away, self.errors, where=~certain, out=t), dtype=np.float64)

    @cached_property
    def _ranked(self) -> tuple[Array, Index | None]:
        """Sort the pivots, and count for each how many replicates there are up to it."""
        if self.times is None:
            return np.sort(self._pivots), None
        order = np.argsort(self._pivots, kind="stable")
        return self._pivots[order], np.cumsum(self.times[order])

    def _quantiles(self, shares: Array) -> Array:
        """Interpolate linearly between replicates, as ``numpy.quantile`` does."""
        values, last = self._ranked
        place = shares * (self.n_resamples - 1)
        low, high = np.floor(place).astype(np.intp), np.ceil(place).astype(np.intp)
        if last is not None:
            low, high = (np.searchsorted(last, each, side="right") for each in (low, high))
        lower, upper = values[low], values[high]
        part = place - np.floor(place)
        flat = (lower == upper) | (part == 0) | np.isinf(lower)
        step = np.subtract(upper, lower, where=~flat, out=np.zeros_like(lower))
        return np.asarray(lower + np.multiply(part, step, where=~flat, out=step), dtype=np.float64)

    @cached_property
    def _slack(self) -> float:
        finite = self._pivots[np.isfinite(self._pivots)]
        return _TINY * float(np.abs(finite).max()) if len(finite) else 0.0

    def _share(self, *, at_most: bool, of: float) -> float:
        """Return the share of pivots at most, or at least, at a value; the data are one more."""
        values, last = self._ranked
        bound = of + self._slack if at_most else of - self._slack
        place = int(np.searchsorted(values, bound, side="right" if at_most else "left"))
        below = place if last is None or place == 0 else int(last[place - 1])
        count = below if at_most else self.n_resamples - below
        return (count + 1) / (self.n_resamples + 1)

    def _t(self, null: float) -> float:
        away = self.effect - null
        if self.error > 0:
            return away / self.error
        return 0.0 if away == 0 else float(np.copysign(np.inf, away))
