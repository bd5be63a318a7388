"""Effect sizes without a unit: d_z, rank-biserial correlation, Cliff's delta, odds of discordance.

Each ``*_inference`` gives an estimate with exact or asymptotic tests and interval on the scale of
the effect size; with ``cluster`` (and ``rng``) it is a bootstrap of clusters instead, which needs
about 50 clusters (in simulations 95 % intervals covered 88 % with 20, 92 % with 50, 94 % with 150).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special, stats

from common.statistics.dominance import Dominance, cliffs_delta, cliffs_delta_inference
from common.statistics.odds import Odds, discordance_odds, discordance_odds_inference
from common.statistics.redraws import N_RESAMPLES, redraw
from common.statistics.replicates import Bootstrap
from common.statistics.results import (
    Array,
    DesignError,
    Inference,
    Interval,
    TestResult,
    cluster_codes,
    finite,
    summarise,
)
from common.statistics.signed_rank import signed_ranks

__all__ = [
    "Dominance",
    "Odds",
    "StandardisedMean",
    "cliffs_delta",
    "cliffs_delta_inference",
    "cohens_d_z",
    "cohens_d_z_inference",
    "discordance_odds",
    "discordance_odds_inference",
    "hedges_factor",
    "rank_biserial",
    "rank_biserial_inference",
]


def _n_clusters(cluster: ArrayLike | None, n: int) -> int:
    return cluster_codes(cluster, n)[1]


@dataclass(frozen=True)
class StandardisedMean:
    """A mean in units of its standard deviation, judged by the noncentral t law.

    With a standardised mean of delta, ``t = mean / sd * sqrt(n)`` follows a noncentral t with n - 1
    degrees of freedom and noncentrality ``delta sqrt(n)``: p-values and interval are exact for
    normal differences.

    Args:
        t: the t of a null value of 0; infinite without any spread.
        n: differences.
        hedges: whether the estimate is corrected for its bias; p and interval are the same.
    """

    t: float
    n: int
    hedges: bool = False

    @property
    def effect(self) -> float:
        """Cohen's d_z, or Hedges' g of it."""
        d = self.t / np.sqrt(self.n)
        return float(d * hedges_factor(self.df)) if self.hedges else float(d)

    @property
    def se(self) -> float:
        """Large-sample standard error."""
        return float(np.sqrt(1 / self.n + self.effect**2 / (2 * self.df)))

    @property
    def df(self) -> float:
        """Differences less one."""
        return self.n - 1

    @property
    def statistic(self) -> float:
        """The t of a null value of 0."""
        return self.t

    def p_greater(self, null: float = 0.0) -> float:
        """One-sided p of effect <= null."""
        if not np.isfinite(self.t):
            return float(self.t < 0)
        return float(stats.nct.sf(self.t, self.df, null * np.sqrt(self.n)))

    def p_less(self, null: float = 0.0) -> float:
        """One-sided p of effect >= null."""
        if not np.isfinite(self.t):
            return float(self.t > 0)
        return float(stats.nct.cdf(self.t, self.df, null * np.sqrt(self.n)))

    def p(self, null: float = 0.0) -> float:
        """Two-sided p of effect = null: twice the smaller one-sided one."""
        return min(1.0, 2 * min(self.p_greater(null), self.p_less(null)))

    def interval(self, level: float = 0.95) -> Interval:
        """Null values that are not rejected."""
        if not np.isfinite(self.t):
            return Interval(self.t, self.t, level)
        tail = (1 - level) / 2
        low, high = (
            _noncentrality(share, self.t, self.df) / np.sqrt(self.n) for share in (tail, 1 - tail)
        )
        return Interval(float(low), float(high), level)


def _noncentrality(share: float, t: float, df: float) -> float:
    """Find the noncentrality at which a share of the law lies above t."""
    step = 5 * np.sqrt(1 + t * t / (2 * df))
    low, high = t - step, t + step

    def off(centre: float) -> float:
        return float(stats.nct.sf(t, df, centre)) - share

    while off(low) > 0:
        low -= step
    while off(high) < 0:
        high += step
    return float(optimize.brentq(off, low, high, xtol=1e-13, rtol=1e-14))


def hedges_factor(df: float) -> float:
    """Return the factor that makes a standardised mean unbiased.

    Args:
        df: degrees of freedom of the standard deviation, > 1.

    Source:
        Hedges, J Educ Stat 6:107 (1981), equation 6e.

    Example:
        gamma(1) / (1 * gamma(1/2)) with 2 degrees of freedom is 1 / sqrt(pi):

        >>> round(hedges_factor(2) ** -2, 4)
        3.1416
    """
    if not df > 1:
        raise DesignError(f"`df` must be > 1, got {df!r}. Give at least 3 differences.")
    ratio = special.gammaln(df / 2) - special.gammaln((df - 1) / 2)
    return float(np.exp(ratio) / np.sqrt(df / 2))


def _d_z(differences: Array) -> float:
    sd = differences.std(ddof=1)
    return float(differences.mean() / sd) if sd > 0 else float("nan")


def cohens_d_z_inference(
    differences: ArrayLike,
    *,
    hedges: bool = False,
    cluster: ArrayLike | None = None,
    rng: np.random.Generator | None = None,
    n_resamples: int = N_RESAMPLES,
) -> Inference:
    """Estimate a mean difference in units of its standard deviation; see :func:`cohens_d_z`."""
    d = finite("differences", differences, at_least=2)
    if cluster is not None:
        factor = hedges_factor(len(d) - 1) if hedges else 1.0
        return redraw(
            lambda values: factor * _d_z(values),
            (d,),
            cluster=cluster,
            rng=rng,
            n_resamples=n_resamples,
        )
    mean, sd = float(d.mean()), float(d.std(ddof=1))
    if np.ptp(d) == 0:
        if mean == 0:
            raise DesignError(
                "`differences` must not all be 0, got no spread and no mean. The effect size is "
                "undefined; report that the methods agree on every case."
            )
        return StandardisedMean(float(np.copysign(np.inf, mean)), len(d), hedges)
    return StandardisedMean(float(mean / sd * np.sqrt(len(d))), len(d), hedges)


def cohens_d_z(
    differences: ArrayLike,
    *,
    hedges: bool = False,
    cluster: ArrayLike | None = None,
    rng: np.random.Generator | None = None,
    n_resamples: int = N_RESAMPLES,
    level: float = 0.95,
) -> TestResult:
    """Estimate Cohen's d_z: the mean paired difference over the differences' standard deviation.

    The hypothesis is a mean of 0 (the paired t test).  The unit is the difference, assumed normal
    and independent; with ``cluster`` the unit is the cluster, drawn whole, and nothing is normal.

    Args:
        differences (n,): one difference a case.
        hedges: whether to correct the estimate for its bias (Hedges' g).
        cluster (n,): the independent unit of each case.
        rng: source of the draws; needed with ``cluster``.
        n_resamples: replicates with ``cluster``.
        level: confidence.

    Returns:
        d_z and its interval: the exact noncentral-t one of the population value, whether or not the
        estimate is corrected; percentiles of the bootstrap with ``cluster``.  Equal differences
        other than 0 have an infinite d_z and p = 0.

    Raises:
        DesignError: fewer than two differences (three with ``hedges``), a non-finite one, all of
            them 0, or a resample without spread.

    Source:
        Steiger and Fouladi, in: What if there were no significance tests? (1997), for the interval.

    Example:
        >>> cohens_d_z([1.0, 2.0, 3.0]).effect           # mean 2, standard deviation 1
        2.0
    """
    d = finite("differences", differences, at_least=2)
    inference = cohens_d_z_inference(
        d, hedges=hedges, cluster=cluster, rng=rng, n_resamples=n_resamples
    )
    law = "noncentral t" if cluster is None else f"cluster bootstrap, {n_resamples} resamples"
    return summarise(
        inference,
        name="Hedges' g of differences" if hedges else "Cohen's d_z",
        hypothesis="standardised mean difference = 0",
        n_cases=len(d),
        n_clusters=_n_clusters(cluster, len(d)),
        level=level,
        note=law,
    )


def _rank_biserial(sizes: Array, signs: Array, counts: Array) -> float:
    """Return the correlation of cases counted several times; sizes are sorted, none is 0.

    Counting replaces sorting: a case drawn c times takes c ranks.
    """
    starts = np.flatnonzero(np.diff(sizes, prepend=-np.inf) > 0)
    tied = np.add.reduceat(counts, starts)
    ranks = 2 * np.cumsum(tied) - tied + 1  # doubled mean ranks
    total = float(tied @ ranks)
    return float(np.add.reduceat(signs * counts, starts) @ ranks) / total if total else 0.0


def rank_biserial_inference(
    differences: ArrayLike,
    *,
    cluster: ArrayLike | None = None,
    rng: np.random.Generator,
    n_resamples: int = N_RESAMPLES,
) -> Bootstrap:
    """Estimate the matched-pairs rank-biserial correlation; see :func:`rank_biserial`."""
    d = finite("differences", differences, at_least=2)
    codes, n_clusters = cluster_codes(cluster, len(d))
    if n_clusters < 2:
        raise DesignError(f"`cluster` must hold at least 2 clusters, got {n_clusters}.")
    ranks = signed_ranks(d)
    order = np.argsort(np.abs(ranks), kind="stable")
    order = order[ranks[order] != 0]
    if len(order) == 0:
        return Bootstrap(0.0, np.zeros(n_resamples), n_clusters)
    # Ranks stand for the sizes: they have the sizes' order and the same ties.
    sizes, signs = np.abs(ranks[order]).astype(np.float64), np.sign(ranks[order]).astype(np.float64)
    of_case = codes[order]
    share = np.full(n_clusters, 1 / n_clusters)
    replicates = np.array(
        [
            _rank_biserial(sizes, signs, rng.multinomial(n_clusters, share)[of_case])
            for _ in range(n_resamples)
        ]
    )
    effect = _rank_biserial(sizes, signs, np.ones(len(order)))
    return Bootstrap(effect, replicates, n_clusters)


def rank_biserial(
    differences: ArrayLike,
    *,
    cluster: ArrayLike | None = None,
    rng: np.random.Generator,
    n_resamples: int = N_RESAMPLES,
    level: float = 0.95,
) -> TestResult:
    """Estimate the matched-pairs rank-biserial correlation: favourable less unfavourable ranks.

    The hypothesis is a correlation of 0; for a test of symmetry use
    :func:`common.statistics.paired.wilcoxon` or its clustered form, which are exact.  The unit is
    the difference, or the cluster.  The bootstrap needs about 50 units.

    Args:
        differences (n,): one difference a case.
        cluster (n,): the independent unit of each case; None takes each case for its own.
        rng: source of the draws.
        n_resamples: replicates.
        level: confidence.

    Returns:
        The sum of signed ranks over the sum of ranks, -1 to 1, with a percentile interval; zeros
        are dropped, ties share their mean rank; 0 if all differences are 0.

    Raises:
        DesignError: fewer than two differences or clusters, or a non-finite difference.

    Source:
        Kerby, Comprehensive Psychology 3:1 (2014).

    Example:
        Ranks 1 and 3 for, 2 against: (1 - 2 + 3) / 6.

        >>> found = rank_biserial([1.0, -2.0, 3.0], rng=np.random.default_rng(0))
        >>> round(found.effect, 4)
        0.3333
    """
    d = finite("differences", differences, at_least=2)
    inference = rank_biserial_inference(d, cluster=cluster, rng=rng, n_resamples=n_resamples)
    return summarise(
        inference,
        name="matched-pairs rank-biserial correlation",
        hypothesis="correlation = 0",
        n_cases=len(d),
        n_clusters=inference.n_units,
        level=level,
        note=f"{int((signed_ranks(d) == 0).sum())} zeros dropped; {n_resamples} resamples",
    )
