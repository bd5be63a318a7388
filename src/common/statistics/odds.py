"""Odds of discordance: how often the first method alone is right for each time the second is."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from common.statistics.proportions import discordant
from common.statistics.redraws import N_RESAMPLES, redraw
from common.statistics.results import Array, Inference, Interval, TestResult


@dataclass(frozen=True)
class BinomialShare:
    """A share of independent trials, judged by the exact binomial law.

    Args:
        count: trials counted.
        n: all trials; without any the share is unknown, every p is 1 and the interval 0 to 1.
    """

    count: int
    n: int

    @property
    def effect(self) -> float:
        """The share; NaN without trials."""
        return self.count / self.n if self.n else float("nan")

    @property
    def se(self) -> float:
        """Standard error; NaN without trials."""
        share = self.effect
        return float(np.sqrt(share * (1 - share) / self.n)) if self.n else float("nan")

    @property
    def df(self) -> float:
        """Infinite: the law is binomial."""
        return float("inf")

    @property
    def statistic(self) -> float:
        """The count."""
        return float(self.count)

    def p_greater(self, null: float = 0.5) -> float:
        """One-sided p of share <= null."""
        return float(stats.binom.sf(self.count - 1, self.n, null))

    def p_less(self, null: float = 0.5) -> float:
        """One-sided p of share >= null."""
        return float(stats.binom.cdf(self.count, self.n, null))

    def p(self, null: float = 0.5) -> float:
        """Two-sided p of share = null: twice the smaller one-sided one."""
        return min(1.0, 2 * min(self.p_greater(null), self.p_less(null)))

    def interval(self, level: float = 0.95) -> Interval:
        """Clopper-Pearson interval: the null values that are not rejected."""
        tail, misses = (1 - level) / 2, self.n - self.count
        low = stats.beta.ppf(tail, self.count, misses + 1) if self.count else 0.0
        high = stats.beta.isf(tail, self.count + 1, misses) if misses else 1.0
        return Interval(float(low), float(high), level)


@dataclass(frozen=True)
class Odds:
    """An odds ratio read off an estimate of the share ``odds / (1 + odds)``; its null value is 1.

    Args:
        share: the estimate, with its tests and interval.
    """

    share: Inference

    @property
    def effect(self) -> float:
        """The odds; infinite for a share of 1."""
        return _odds(self.share.effect)

    @property
    def se(self) -> float:
        """Standard error by the delta method; infinite for a share of 1."""
        left = 1 - self.share.effect
        return float("inf") if left == 0 else self.share.se / left**2

    @property
    def df(self) -> float:
        """That of the share."""
        return self.share.df

    @property
    def statistic(self) -> float:
        """That of the share."""
        return self.share.statistic

    def p(self, null: float = 1.0) -> float:
        """Two-sided p of odds = null."""
        return self.share.p(_share(null))

    def p_greater(self, null: float = 1.0) -> float:
        """One-sided p of odds <= null."""
        return self.share.p_greater(_share(null))

    def p_less(self, null: float = 1.0) -> float:
        """One-sided p of odds >= null."""
        return self.share.p_less(_share(null))

    def interval(self, level: float = 0.95) -> Interval:
        """The share's interval as odds; infinite where the share reaches 1."""
        found = self.share.interval(level)
        return Interval(_odds(found.low), _odds(found.high), level)


def _odds(share: float) -> float:
    return float("inf") if share == 1 else share / (1 - share)


def _share(odds: float) -> float:
    return 1.0 if np.isinf(odds) else odds / (1 + odds)


def discordance_odds_inference(
    first: ArrayLike,
    second: ArrayLike,
    *,
    cluster: ArrayLike | None = None,
    rng: np.random.Generator | None = None,
    n_resamples: int = N_RESAMPLES,
) -> Odds:
    """Estimate the odds ratio of discordant cases; see :func:`discordance_odds`."""
    b, c, _ = discordant(first, second)
    if cluster is None:
        return Odds(BinomialShare(b, b + c))
    x, y = (np.asarray(each, dtype=np.float64) for each in (first, second))
    return Odds(redraw(_first_share, (x, y), cluster=cluster, rng=rng, n_resamples=n_resamples))


def _first_share(first: Array, second: Array) -> float:
    b, c = float((first > second).sum()), float((first < second).sum())
    return b / (b + c) if b + c else float("nan")


def discordance_odds(
    first: ArrayLike,
    second: ArrayLike,
    *,
    cluster: ArrayLike | None = None,
    rng: np.random.Generator | None = None,
    n_resamples: int = N_RESAMPLES,
    level: float = 0.95,
) -> TestResult:
    """Estimate the odds ratio b / c of cases that only one of two methods gets right.

    The hypothesis is an odds ratio of 1, both right equally often (McNemar).  The unit is the case,
    all independent, and the law the binomial one given b + c, exact with any counts; with
    ``cluster`` the unit is the cluster, and the bootstrap needs about 50 with discordant cases.

    Args:
        first (n,): 1 where the first method is right, else 0.
        second (n,): the same for the second.
        cluster (n,): the independent unit of each case.
        rng: source of the draws; needed with ``cluster``.
        n_resamples: replicates with ``cluster``.
        level: confidence.

    Returns:
        b / c with its exact conditional interval (``cluster``: the odds of the percentiles of
        b / (b + c)); infinite for c = 0.  Without discordant cases the estimate is NaN, the
        interval 0 to infinity and p = 1.

    Raises:
        DesignError: values other than 0 and 1, unequal lengths, or a resample of clusters without
            discordant cases.

    Source:
        Breslow and Day, Statistical Methods in Cancer Research 1, section 5.2 (1980).

    Example:
        Three against one; p is that of the sign test, 10 of 16 patterns:

        >>> found = discordance_odds([1, 1, 1, 0, 1], [0, 0, 0, 1, 1])
        >>> found.effect, found.p
        (3.0, 0.625)
    """
    b, c, n = discordant(first, second)
    inference = discordance_odds_inference(
        first, second, cluster=cluster, rng=rng, n_resamples=n_resamples
    )
    interval = inference.interval(level)
    law = "exact conditional" if cluster is None else f"cluster bootstrap, {n_resamples} resamples"
    return TestResult(
        name="odds ratio of discordance",
        hypothesis="odds ratio = 1",
        effect=inference.effect,
        low=interval.low,
        high=interval.high,
        p=inference.p(),
        statistic=inference.statistic,
        n_cases=n,
        n_clusters=n if cluster is None else len(np.unique(np.asarray(cluster))),
        note=f"{b} against {c} discordant cases; {law}",
    )
