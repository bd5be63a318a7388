"""Several methods over blocks (folds, patients, data sets): ranks, Friedman, Nemenyi, block F."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from common.statistics.results import Array, DesignError, finite


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
    """

    statistic: float
    p: float
    f: float
    p_f: float
    ranks: Array
    n_blocks: int


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


def friedman(values: ArrayLike) -> Friedman:
    """Test whether several methods rank alike over independent blocks.

    Args:
        values (n_blocks, k): score of each method in each block, k >= 3.

    Returns:
        p = 1 when all methods tie in every block.

    Raises:
        DesignError: fewer than 2 blocks or 3 methods, or a non-finite score.

    Source:
        Iman and Davenport, Commun Stat A 9:571 (1980); Demsar, JMLR 7:1 (2006).

    Example:
        Two blocks that agree on three methods give the largest statistic, n (k - 1):

        >>> found = friedman([[1, 2, 3], [1, 2, 3]])
        >>> round(found.statistic, 6), round(found.p, 4)
        (4.0, 0.1353)
    """
    scores = finite("values", values, at_least=2, ndim=2)
    n, k = scores.shape
    if k < 3:
        raise DesignError(f"`values` must hold at least 3 methods, got {k}. Use a paired test.")
    ranks = mean_ranks(scores)
    if (scores == scores[:, :1]).all():
        return Friedman(0.0, 1.0, 0.0, 1.0, ranks, n)
    found = stats.friedmanchisquare(*scores.T)
    chi2 = float(found.statistic)
    left = n * (k - 1) - chi2
    f = (n - 1) * chi2 / left if left > 1e-9 else float("inf")
    p_f = float(stats.f.sf(f, k - 1, (k - 1) * (n - 1)))
    return Friedman(chi2, float(found.pvalue), f, p_f, ranks, n)


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
