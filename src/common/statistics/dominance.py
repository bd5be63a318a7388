"""Cliff's delta: how much more often the values of one group exceed those of another."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from common.statistics.redraws import N_RESAMPLES, redraw
from common.statistics.results import (
    Array,
    Inference,
    Interval,
    TestResult,
    finite,
    summarise,
)


@dataclass(frozen=True)
class Dominance:
    """Cliff's delta of two independent groups, judged by a t law.

    Its variance at a null value v is taken as ``se**2 (1 - v**2) / (1 - delta**2)``, so that the
    interval stays between -1 and 1.  If one group lies wholly above the other (delta 1 or -1) the
    variance has no estimate, and the largest possible one ``(1 - v**2) / min(n, m)`` is used.

    Args:
        effect: Cliff's delta.
        se: the root of its consistent variance.
        n, m: units of the groups.
    """

    effect: float
    se: float
    n: int
    m: int

    @property
    def df(self) -> float:
        """Units less two."""
        return self.n + self.m - 2

    @property
    def statistic(self) -> float:
        """The t of a null value of 0."""
        return self._t(0.0)

    @cached_property
    def _scale(self) -> float:
        room = 1 - self.effect**2
        return self.se / np.sqrt(room) if room > 0 else 1 / np.sqrt(min(self.n, self.m))

    def _t(self, null: float) -> float:
        difference, scale = self.effect - null, self._scale * np.sqrt(max(0.0, 1 - null**2))
        if scale > 0:
            return float(difference / scale)
        return 0.0 if difference == 0 else float(np.copysign(np.inf, difference))

    def p_greater(self, null: float = 0.0) -> float:
        """One-sided p of delta <= null."""
        return float(stats.t.sf(self._t(null), self.df))

    def p_less(self, null: float = 0.0) -> float:
        """One-sided p of delta >= null."""
        return float(stats.t.cdf(self._t(null), self.df))

    def p(self, null: float = 0.0) -> float:
        """Two-sided p of delta = null."""
        return float(2 * stats.t.sf(abs(self._t(null)), self.df))

    def interval(self, level: float = 0.95) -> Interval:
        """Null values that are not rejected."""
        spread = float(stats.t.ppf((1 + level) / 2, self.df)) * self._scale
        half = spread * np.sqrt(1 - self.effect**2 + spread**2)
        low, high = (self.effect + sign * half for sign in (-1, 1))
        return Interval(float(low / (1 + spread**2)), float(high / (1 + spread**2)), level)


def _dominance(values: Array, others: Array) -> Array:
    """Return, for each value, the share of others below it less the share above it (n,)."""
    ordered = np.sort(others)
    below = np.searchsorted(ordered, values, "left")
    above = len(ordered) - np.searchsorted(ordered, values, "right")
    return (below - above) / len(ordered)


def cliffs_delta_inference(first: ArrayLike, second: ArrayLike) -> Dominance:
    """Estimate Cliff's delta of two groups of independent units; see :func:`cliffs_delta`."""
    x, y = finite("first", first, at_least=2), finite("second", second, at_least=2)
    n, m = len(x), len(y)
    rows, columns = _dominance(x, y), -_dominance(y, x)
    delta = float(rows.mean())
    ordered = np.sort(y)
    ties = (np.searchsorted(ordered, x, "right") - np.searchsorted(ordered, x, "left")).sum()
    cells = float(n * m - ties) - n * m * delta**2
    variance = (
        (m - 1) * rows.var(ddof=1) + (n - 1) * columns.var(ddof=1) + cells / ((n - 1) * (m - 1))
    ) / (n * m)
    return Dominance(delta, float(np.sqrt(max(0.0, variance))), n, m)


def cliffs_delta(
    first: ArrayLike,
    second: ArrayLike,
    *,
    cluster: tuple[ArrayLike, ArrayLike] | None = None,
    rng: np.random.Generator | None = None,
    n_resamples: int = N_RESAMPLES,
    level: float = 0.95,
) -> TestResult:
    """Estimate Cliff's delta: how much more often a first value exceeds a second than falls below.

    The hypothesis is delta = 0, equal chances of above and below.  The unit is the value, all of
    them independent; with ``cluster`` it is the cluster.  The t law errs on the safe side below
    10 units a group (95 % intervals cover 99 % with 5); the bootstrap needs about 50 clusters.

    Args:
        first (n,): values of the first group.
        second (m,): values of the second group, not paired with the first.
        cluster ((n,), (m,)): the independent unit of each value; one may lie in both groups.
        rng: source of the draws; needed with ``cluster``.
        n_resamples: replicates with ``cluster``.
        level: confidence.

    Returns:
        P(first > second) - P(first < second), -1 to 1, with the asymmetric interval from the
        consistent variance; ties count 0.  2 * AUC - 1 if the groups are classes.  In
        O(n log n) time.

    Raises:
        DesignError: a group with fewer than two values, a non-finite one, or a resample of clusters
            without one of the groups.

    Source:
        Cliff, Multivariate Behav Res 31:331 (1996); Feng and Cliff, J Mod Appl Stat Methods 3:322
        (2004), for the interval.

    Example:
        Of six pairs four lie above, one below, one is tied:

        >>> cliffs_delta([2, 3, 5], [1, 3]).effect
        0.5
    """
    x, y = finite("first", first, at_least=2), finite("second", second, at_least=2)
    inference: Inference
    if cluster is None:
        inference, units = cliffs_delta_inference(x, y), len(x) + len(y)
        note = "consistent variance, t law"
    else:
        values, sides = np.concatenate([x, y]), np.repeat([0.0, 1.0], [len(x), len(y)])
        names = np.concatenate([np.asarray(each) for each in cluster])
        inference = redraw(
            _pooled_delta, (values, sides), cluster=names, rng=rng, n_resamples=n_resamples
        )
        units, note = inference.n_units, f"cluster bootstrap, {n_resamples} resamples"
    return summarise(
        inference,
        name="Cliff's delta",
        hypothesis="P(first > second) = P(first < second)",
        n_cases=len(x) + len(y),
        n_clusters=units,
        level=level,
        note=note,
    )


def _pooled_delta(values: Array, sides: Array) -> float:
    first, second = values[sides == 0], values[sides == 1]
    if len(first) == 0 or len(second) == 0:
        return float("nan")
    return float(_dominance(first, second).mean())
