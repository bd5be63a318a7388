"""Several methods over blocks (folds, patients, data sets): Friedman, block F, stable ranks.

Which pairs of methods differ, and methods with repeats: :mod:`common.statistics.posthoc`.
"""

import itertools
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from common.statistics.bootstrap import Average, cluster_bootstrap_contrasts
from common.statistics.results import Array, DesignError, finite

MAX_EXACT_WORK = 3_000_000  # rank sums looked at for one block: a second
_CHUNK = 1_000_000  # numbers held in memory at once


@dataclass(frozen=True)
class Friedman:
    """Friedman's test with its two laws.

    Args:
        statistic: chi-square statistic, corrected for ties.
        p: by the chi-square law (conservative with few blocks).
        f: the Iman-Davenport F; infinite when all blocks rank alike.
        p_f: by the F law.
        ranks (k,): mean rank of each method, 1 = smallest value.
        n_blocks: blocks.
        p_exact: share of all arrangements of ranks inside blocks whose statistic is as large; NaN
            if it was not asked for.
    """

    statistic: float
    p: float
    f: float
    p_f: float
    ranks: Array
    n_blocks: int
    p_exact: float = math.nan


@dataclass(frozen=True)
class BlockAnova:
    """Two-way analysis of variance without repeats; ``residual_sd`` is in the values' unit."""

    f: float
    p: float
    df: tuple[int, int]
    residual_sd: float


def mean_ranks(values: ArrayLike) -> Array:
    """Rank methods inside each block and average; ties share their mean rank.

    Args:
        values (n_blocks, k): score of each method in each block.

    Returns:
        Mean ranks (k,), 1 = smallest value.

    Example:
        >>> mean_ranks([[0.1, 0.3, 0.2], [0.5, 0.5, 0.9]]).tolist()
        [1.25, 2.25, 2.5]
    """
    scores = finite("values", values, ndim=2)
    return np.asarray(stats.rankdata(scores, axis=1).mean(axis=0), dtype=np.float64)


def friedman(values: ArrayLike, *, exact: bool = False) -> Friedman:
    """Test whether several methods rank alike over independent blocks.

    Args:
        values (n_blocks, k): score of each method in each block, k >= 3.
        exact: give the exact p too, with the ties as they are; fast for up to 4 methods on 20
            blocks, 5 on 10 or 6 on 5.

    Returns:
        p = 1 when all methods tie in every block.

    Raises:
        DesignError: fewer than 2 blocks or 3 methods, a non-finite score, or too many
            arrangements for ``exact``.

    Source:
        Friedman, J Am Stat Assoc 32:675 (1937); Iman and Davenport, Commun Stat A 9:571 (1980);
        Demsar, JMLR 7:1 (2006).

    Example:
        Two blocks that agree on three methods give the largest statistic, n (k - 1):

        >>> found = friedman([[1, 2, 3], [1, 2, 3]])
        >>> round(found.statistic, 6), round(found.p, 4)
        (4.0, 0.1353)

        Their ranks agree in 6 of 36 arrangements:

        >>> round(friedman([[1, 2, 3], [1, 2, 3]], exact=True).p_exact, 4)
        0.1667
    """
    scores = finite("values", values, at_least=2, ndim=2)
    n, k = scores.shape
    if k < 3:
        raise DesignError(f"`values` must hold at least 3 methods, got {k}. Use a paired test.")
    ranks = mean_ranks(scores)
    p_exact = _exact_friedman(stats.rankdata(scores, axis=1)) if exact else math.nan
    if (scores == scores[:, :1]).all():
        return Friedman(0.0, 1.0, 0.0, 1.0, ranks, n, p_exact)
    found = stats.friedmanchisquare(*scores.T)
    chi2 = float(found.statistic)
    left = n * (k - 1) - chi2
    f = (n - 1) * chi2 / left if left > 1e-9 else float("inf")
    p_f = float(stats.f.sf(f, k - 1, (k - 1) * (n - 1)))
    return Friedman(chi2, float(found.pvalue), f, p_f, ranks, n, p_exact)


def _exact_friedman(ranks: Array) -> float:
    """Return the share of arrangements whose sum of squared rank sums is as large.

    Block by block, the probability of every set of rank sums is kept; as methods are alike under
    the hypothesis, sets are kept in sorted order.
    """
    doubled = np.rint(2 * ranks).astype(np.int64)
    n, k = doubled.shape
    base = int(doubled.sum(axis=0).max() + doubled.max() * n) + 1
    place = np.array([base**i for i in range(k)])
    states, chances = np.sort(doubled[:1], axis=1), np.ones(1)
    for block in doubled[1:]:
        orders = np.array(sorted(set(itertools.permutations(block.tolist()))))
        if len(states) * len(orders) > MAX_EXACT_WORK or base**k > 2**62:
            raise DesignError(
                f"`exact` must be False for {n} blocks of {k} methods, got True: too many "
                "arrangements. Use `p_f`."
            )
        found: dict[int, float] = {}
        step = max(1, _CHUNK // len(orders))
        for start in range(0, len(states), step):
            sums = np.sort(states[start : start + step, None] + orders, axis=2).reshape(-1, k)
            codes, inverse = np.unique(sums @ place, return_inverse=True)
            chance = np.repeat(chances[start : start + step] / len(orders), len(orders))
            for code, share in zip(codes, np.bincount(inverse, chance), strict=True):
                found[int(code)] = found.get(int(code), 0.0) + float(share)
        states = np.array(list(found))[:, None] // place % base
        chances = np.array(list(found.values()))
    observed = (doubled.sum(axis=0) ** 2).sum()
    return min(1.0, float(chances[(states**2).sum(axis=1) >= observed].sum()))


def nemenyi_critical_difference(n_arms: int, n_blocks: int, *, alpha: float = 0.05) -> float:
    """Return by how much two mean ranks must differ for all pairs to be judged at once.

    Args:
        n_arms: methods.
        n_blocks: blocks.
        alpha: level over all pairs.

    Source:
        Demsar, JMLR 7:1 (2006): ``q sqrt(k (k + 1) / (6 n))``, q the studentised range over
        sqrt(2).

    Example:
        >>> round(nemenyi_critical_difference(6, 5), 2)
        3.37
    """
    q = stats.studentized_range.isf(alpha, n_arms, np.inf) / np.sqrt(2)
    return float(q * np.sqrt(n_arms * (n_arms + 1) / (6 * n_blocks)))


def block_anova(values: ArrayLike) -> BlockAnova:
    """Test methods in randomised blocks by F, and estimate the spread left over.

    Args:
        values (n_blocks, k): score of each method in each block.

    Returns:
        F with (k - 1, (k - 1)(n - 1)) degrees of freedom.  ``residual_sd`` is the interaction of
        method and block: an upper bound for the noise of one training run.

    Raises:
        DesignError: fewer than 2 blocks or methods, or a non-finite score.

    Example:
        >>> found = block_anova([[0, 1], [0, 3]])      # differences 1 and 3: F = t**2 = 4
        >>> round(found.f, 6), found.residual_sd
        (4.0, 1.0)
    """
    scores = finite("values", values, at_least=2, ndim=2)
    n, k = scores.shape
    mean = scores.mean()
    residual = scores - scores.mean(axis=0) - scores.mean(axis=1, keepdims=True) + mean
    df = (k - 1, (k - 1) * (n - 1))
    between = n * float(((scores.mean(axis=0) - mean) ** 2).sum()) / df[0]
    within = float((residual**2).sum()) / df[1]
    f = between / within if within > 0 else (float("inf") if between > 0 else 0.0)
    return BlockAnova(f, float(stats.f.sf(f, *df)), df, float(np.sqrt(within)))


@dataclass(frozen=True)
class RankStability:
    """How a ranking of k methods holds when clusters are drawn anew.

    Args:
        ranks (k,): rank of each method on all data, 1 = best; ties share their mean rank.
        replicates (R, k): its rank in each resample.
        shares (k, k): how often each method (row) takes each place (column); methods tied over
            several places take an equal part of each, so that rows and columns sum to 1.
        tau (R,): Kendall's tau-b of each resample's ranking with that on all data; NaN where
            either ties all methods.
    """

    ranks: Array
    replicates: Array
    shares: Array
    tau: Array

    @property
    def first(self) -> Array:
        """How often each method is best (k,)."""
        return self.shares[:, 0]

    def interval(self, level: float = 0.95) -> Array:
        """Percentile interval of each method's rank (k, 2)."""
        tails = [(1 - level) / 2, (1 + level) / 2]
        return np.quantile(self.replicates, tails, axis=0, method="inverted_cdf").T


def rank_stability(
    values: ArrayLike,
    *,
    cluster: ArrayLike | None = None,
    fold: ArrayLike | None = None,
    average: Average = "cases",
    by: Literal["mean", "ranks"] = "mean",
    better: Literal["higher", "lower"] = "higher",
    n_resamples: int = 10_000,
    rng: np.random.Generator,
) -> RankStability:
    """Bootstrap a ranking of methods by drawing clusters.

    Args:
        values (n, k): scores of k methods on n cases; ``design.pair(...).scores`` will do.
        cluster (n,), fold (n,), average, n_resamples, rng: see
            :func:`common.statistics.bootstrap.cluster_bootstrap_contrasts`.
        by: rank the methods by their ``mean`` score, or by the mean of their ``ranks`` on each
            case.
        better: whether ``higher`` or ``lower`` scores are better.

    Returns:
        Shares are no probabilities that a method is best: with few clusters they follow the
        luck of the sample at hand.

    Raises:
        DesignError: fewer than two clusters or methods, non-finite scores, or unknown options.

    Source:
        Wiesenfarth et al., Sci Rep 11:2369 (2021).

    Example:
        >>> found = rank_stability([[3, 1], [5, 1]], n_resamples=9, rng=np.random.default_rng(0))
        >>> found.ranks.tolist(), found.first.tolist()
        ([1.0, 2.0], [1.0, 0.0])
    """
    if by not in ("mean", "ranks") or better not in ("higher", "lower"):
        raise DesignError(
            f"`by` must be mean or ranks and `better` higher or lower, got {by!r} and {better!r}."
        )
    scores = finite("values", values, ndim=2) * (1 if better == "higher" else -1)
    k = scores.shape[1]
    if k < 2:
        raise DesignError(f"`values` must hold at least 2 methods, got {k}.")
    if by == "ranks":
        scores = stats.rankdata(scores, axis=1)
    found = cluster_bootstrap_contrasts(
        scores,
        np.eye(k),
        cluster=cluster,
        fold=fold,
        average=average,
        n_resamples=n_resamples,
        rng=rng,
    )
    means = np.array([[each.effect, *each.replicates] for each in found]).T
    # Means that differ by rounding only are ties.
    means = np.round(means / max(float(np.abs(scores).max()), 1e-300), 12)
    ranks, lowest, highest = (
        stats.rankdata(-means, axis=1, method=method) for method in ("average", "min", "max")
    )
    places = [
        ((lowest <= place) & (place <= highest)) / (highest - lowest + 1)
        for place in range(1, k + 1)
    ]
    shares = np.stack([each[1:].mean(axis=0) for each in places], axis=1)
    return RankStability(ranks[0], ranks[1:], shares, _kendall(ranks[0], ranks[1:]))


def _kendall(one: Array, many: Array) -> Array:
    """Return tau-b of one ranking (k,) with many (R, k)."""
    first, second = np.triu_indices(len(one), 1)
    signs = np.sign(one[first] - one[second])
    step, parts = max(1, _CHUNK // len(first)), []
    for start in range(0, len(many), step):
        piece = many[start : start + step]
        theirs = np.sign(piece[:, first] - piece[:, second])
        scale = np.sqrt((signs**2).sum() * (theirs**2).sum(axis=1))
        agreement = theirs @ signs
        parts.append(np.divide(agreement, scale, where=scale > 0, out=np.full(len(piece), np.nan)))
    return np.concatenate(parts)


@dataclass(frozen=True)
class Trend:
    """Page's trend test.

    Args:
        effect: mean over blocks of the rank correlation with the claimed order, -1 to 1.
        p_claimed: small if the methods stand in the claimed order.
        p_reverse: small if they stand in the reverse order.
        in_order: whether the mean ranks follow the claimed order without exception.
    """

    effect: float
    p_claimed: float
    p_reverse: float
    in_order: bool


def page(values: ArrayLike) -> Trend:
    """Test whether methods stand in a claimed order, columns from smallest to largest.

    Args:
        values (n_blocks, k): score of each method in each block, k >= 3.

    Returns:
        p-values by ``scipy.stats.page_trend_test``; ties share their mean rank and make them
        conservative.

    Raises:
        DesignError: fewer than 2 blocks or 3 methods, or a non-finite score.

    Source:
        Page, J Am Stat Assoc 58:216 (1963).

    Example:
        >>> found = page([[1, 2, 3], [1, 2, 3], [2, 4, 6]])
        >>> found.effect, found.in_order, round(found.p_claimed, 4)   # one of 6**3 arrangements
        (1.0, True, 0.0046)
    """
    scores = finite("values", values, at_least=2, ndim=2)
    n, k = scores.shape
    if k < 3:
        raise DesignError(f"`values` must hold at least 3 methods, got {k}. Use a paired test.")
    ranks = stats.rankdata(scores, axis=1)
    centred = np.arange(k) - (k - 1) / 2
    effect = float((ranks @ centred).mean() / (centred @ centred))
    # Tied scores have half ranks, which the exact law does not know; it is used without ties only.
    untied = bool((ranks == np.rint(ranks)).all())
    method = "exact" if untied and n <= 12 and k <= 8 else "asymptotic"
    forth = stats.page_trend_test(ranks, ranked=True, method=method)
    back = stats.page_trend_test(ranks[:, ::-1], ranked=True, method=method)
    in_order = bool((np.diff(ranks.mean(axis=0)) >= 0).all())
    return Trend(effect, float(forth.pvalue), float(back.pvalue), in_order)
