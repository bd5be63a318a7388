"""Plans of tests over cross-validation folds, and over patients crossed with training seeds."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from scipy import stats

from common.statistics.power_plans import (
    StudentPlan,
    check_levels,
    check_positive,
    search_effect,
)
from common.statistics.results import Array, DesignError

CrossedTest = Literal["t", "bootstrap"]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)


def corrected_t_plan(
    sd: float,
    *,
    n_folds: int,
    test_train_ratio: float,
    correlation: float | None = None,
    corrected: bool = True,
) -> StudentPlan:
    """Plan a corrected resampled t test over folds.

    Args:
        sd: spread of the fold differences as it is seen inside one cross-validation (the expected
            square of the sample standard deviation is its square).
        n_folds: fold differences, of all repeats together.
        test_train_ratio: test cases over training cases; 1 / (k - 1) in k-fold cross-validation.
        correlation: true correlation of two fold differences; None for that which the correction
            assumes, ``ratio / (1 + ratio)``.
        corrected: False plans the plain paired t over folds.

    Returns:
        Exact for normal differences of which all pairs correlate alike.

    Raises:
        DesignError: fewer than 2 folds, a ratio <= 0, or a correlation outside [0, 1).

    Source:
        Nadeau and Bengio, Machine Learning 52:239 (2003), section 3.

    Example:
        With the correlation that it assumes the test is a plain t; without any it wastes power:

        >>> at = dict(n_folds=5, test_train_ratio=0.25)
        >>> plain = corrected_t_plan(1.0, **at).power(0.0, both_sides=True)
        >>> wasted = corrected_t_plan(1.0, correlation=0.0, **at).power(0.0, both_sides=True)
        >>> round(plain, 4), round(wasted, 4)
        (0.05, 0.0141)
    """
    check_positive("n_folds", n_folds, at_least=2)
    check_positive("test_train_ratio", test_train_ratio)
    if correlation is not None and not 0 <= correlation < 1:
        raise DesignError(f"`correlation` must lie in [0, 1), got {correlation!r}.")
    shared = test_train_ratio if correlation is None else correlation / (1 - correlation)
    assumed = test_train_ratio if corrected else 0.0
    return StudentPlan(
        sd * math.sqrt(1 / n_folds + shared),
        n_folds - 1,
        assumed_se=sd * math.sqrt(1 / n_folds + assumed),
    )


def two_level_plan(
    *, sd_fold: float, sd_cluster: float, n_folds: int, clusters_per_fold: int
) -> StudentPlan:
    """Plan a bootstrap of folds and of clusters inside the drawn folds.

    Args:
        sd_fold: spread of the difference between training runs.
        sd_cluster: spread between the clusters' mean differences inside one fold.
        n_folds: folds, which are taken as independent.
        clusters_per_fold: clusters in each fold, all of equal weight.

    Returns:
        The estimate plus or minus a normal quantile times the bootstrap's standard error, which is
        ``sqrt(((k - 1) / k B + (m - 1) / m W / m) / k)`` with B the variance of fold means and W
        that inside folds.  For 5 or more folds within about 0.03 of the percentile bootstrap.

    Raises:
        DesignError: fewer than 2 folds or clusters, or a negative spread.

    Source:
        Davison and Hinkley, Bootstrap Methods and their Application (1997), section 3.8.

    Example:
        With few folds and much spread between them, the interval is too narrow:

        >>> plan = two_level_plan(sd_fold=1, sd_cluster=1, n_folds=5, clusters_per_fold=50)
        >>> plan.assumed_se < plan.se
        True
    """
    check_positive("n_folds", n_folds, at_least=2)
    check_positive("clusters_per_fold", clusters_per_fold, at_least=2)
    if sd_fold < 0 or sd_cluster < 0:
        raise DesignError(f"spreads must be >= 0, got {sd_fold!r} and {sd_cluster!r}.")
    k, m = n_folds, clusters_per_fold
    between = (k - 1) / k * (sd_fold**2 + sd_cluster**2 / m)
    within = (m - 1) / m * sd_cluster**2 / m
    spread = between**2 / (k - 1) + within**2 / (k * (m - 1))
    return StudentPlan(
        math.sqrt((sd_fold**2 + sd_cluster**2 / m) / k),
        math.inf,
        assumed_se=math.sqrt((between + within) / k),
        spread_df=(between + within) ** 2 / spread if spread > 0 else k - 1,
    )


@dataclass(frozen=True)
class CrossedPlan:
    """A test of a mean over patients and seeds, both random.

    The power is integrated over the three independent mean squares of the two-way table, so that
    estimated degrees of freedom and negative variance components count as in the test itself.

    Args:
        sd_cluster: spread of the difference between clusters.
        sd_seed: spread of the difference between training seeds.
        sd_residual: spread of what is left in one cluster with one seed.
        n_clusters: clusters.
        n_seeds: seeds.
        test: ``t``, or ``bootstrap`` of clusters and seeds with a normal quantile.
    """

    sd_cluster: float
    sd_seed: float
    sd_residual: float
    n_clusters: int
    n_seeds: int
    test: CrossedTest = "t"

    @property
    def _mean_squares(self) -> tuple[float, float, float]:
        """Expected mean squares of clusters, seeds and residuals."""
        residual = self.sd_residual**2
        return (
            residual + self.n_seeds * self.sd_cluster**2,
            residual + self.n_clusters * self.sd_seed**2,
            residual,
        )

    @property
    def se(self) -> float:
        """True standard error of the mean."""
        by_cluster, by_seed, residual = self._mean_squares
        return math.sqrt((by_cluster + by_seed - residual) / (self.n_clusters * self.n_seeds))

    @cached_property
    def _grid(self) -> tuple[Array, Array, Array, Array]:
        """Return quantiles of the three mean squares, on a grid, and its weights."""
        df_c, df_s = self.n_clusters - 1, self.n_seeds - 1
        share = (_NODES + 1) / 2
        c, s, r = (
            expected * stats.chi2.ppf(share, df) / df
            for expected, df in zip(self._mean_squares, (df_c, df_s, df_c * df_s), strict=True)
        )
        w = _WEIGHTS / 2
        weight = w[:, None, None] * w[None, :, None] * w
        return c[:, None, None], s[None, :, None], r[None, None, :], weight

    def _half_width(self, alpha: float) -> Array:
        """Return the estimate that the test needs, at every point of the grid."""
        c, s, r, weight = self._grid
        df_c, df_s = self.n_clusters - 1, self.n_seeds - 1
        cells = self.n_clusters * self.n_seeds
        if self.test == "bootstrap":
            # Variance of the mean when clusters and seeds are drawn with replacement.
            total = c * df_c / self.n_clusters + s * df_s / self.n_seeds + r * df_c * df_s / cells
            return np.asarray(stats.norm.isf(alpha / 2) * np.sqrt(total / cells))
        total = c + s - r
        sound = total >= np.maximum(c, s)
        spread = c**2 / df_c + s**2 / df_s + r**2 / (df_c * df_s) + np.zeros_like(weight)
        df = np.where(c >= s, df_c, df_s) + np.zeros_like(weight)
        np.divide(total**2, spread, out=df, where=sound & (spread > 0))
        total = np.where(sound, total, np.maximum(c, s))
        return np.asarray(stats.t.isf(alpha / 2, df) * np.sqrt(total / cells))

    def _power(self, effect: float, half_width: Array) -> float:
        beyond = stats.norm.sf((half_width - abs(effect)) / self.se)
        return float((self._grid[3] * beyond).sum())

    def power(self, effect: float, *, alpha: float = 0.05) -> float:
        """Return the probability of rejection at a true effect, on its side."""
        if self.se == 0:
            return 1.0 if effect != 0 else 0.0
        return self._power(effect, self._half_width(alpha))

    def smallest_effect(self, *, alpha: float = 0.05, power: float = 0.8) -> float:
        """Find the smallest effect with a power."""
        check_levels(alpha, power)
        if self.se == 0:
            return 0.0
        half_width = self._half_width(alpha)
        return search_effect(
            lambda effect: self._power(effect, half_width), power=power, start=3 * self.se
        )


def crossed_plan(
    *,
    sd_cluster: float,
    sd_seed: float,
    sd_residual: float,
    n_clusters: int,
    n_seeds: int,
    test: CrossedTest = "t",
) -> CrossedPlan:
    """Plan a test of a mean difference with patients and training seeds as random factors.

    Args:
        sd_cluster: spread of the difference between clusters.
        sd_seed: spread of the difference between training seeds.
        sd_residual: spread of what is left in one cluster with one seed.
        n_clusters: clusters, at least 2.
        n_seeds: seeds, at least 2.
        test: ``t`` for :func:`common.statistics.paired.crossed_t`; ``bootstrap`` for
            :func:`common.statistics.bootstrap.crossed`, of which it is the normal approximation
            (from about 5 seeds on).

    Returns:
        Of the t exact for normal effects, to about 0.001.  The noncentral t at the expected mean
        squares is wrong by up to 0.04 with 3 seeds and 0.18 with 2.

    Raises:
        DesignError: fewer than two clusters or seeds, or a negative spread.

    Example:
        Without spread between seeds, and nothing left over, it is a t test over clusters:

        >>> at = dict(sd_cluster=1.0, sd_seed=0.0, sd_residual=0.0)
        >>> plan = crossed_plan(n_clusters=16, n_seeds=3, **at)
        >>> round(plan.smallest_effect(), 2)
        0.75
    """
    check_positive("n_clusters", n_clusters, at_least=2)
    check_positive("n_seeds", n_seeds, at_least=2)
    if min(sd_cluster, sd_seed, sd_residual) < 0:
        raise DesignError(
            f"spreads must be >= 0, got {sd_cluster!r}, {sd_seed!r} and {sd_residual!r}."
        )
    return CrossedPlan(sd_cluster, sd_seed, sd_residual, n_clusters, n_seeds, test)
