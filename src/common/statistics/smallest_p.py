"""The smallest p of each test that counts arrangements, from the numbers of its units."""

import math
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

from scipy import stats

from common.statistics.permutation import EXACT_CLUSTERS
from common.statistics.results import DesignError

McNemarLaw = Literal["exact", "mid-p", "asymptotic"]
ScoreLaw = Literal["pooled", "obuchowski", "yang", "durkalski"]

PAGE_BLOCKS, PAGE_ARMS = 12, 8  # up to which :func:`common.statistics.ranking.page` is exact


def check_count(name: str, value: int, at_least: int) -> None:
    """Refuse a count that is too small.

    Raises:
        DesignError: below ``at_least``.
    """
    if value < at_least:
        raise DesignError(f"`{name}` must be >= {at_least}, got {value!r}. Count again.")


def smallest_p_mcnemar(n_discordant: int, *, method: McNemarLaw = "exact") -> float:
    """Return the smallest two-sided p of McNemar's test, reached when all favour one method.

    Args:
        n_discordant: cases that exactly one method gets right.
        method: ``exact``, ``mid-p`` or ``asymptotic``.

    Returns:
        1 without discordant cases.

    Raises:
        DesignError: a negative number.

    Example:
        >>> smallest_p_mcnemar(5), smallest_p_mcnemar(5, method="mid-p")
        (0.0625, 0.03125)
    """
    check_count("n_discordant", n_discordant, 0)
    if n_discordant == 0:
        return 1.0
    if method == "asymptotic":
        return float(2 * stats.norm.sf(math.sqrt(n_discordant)))
    return 2.0 ** (-n_discordant if method == "mid-p" else 1 - n_discordant)


def smallest_p_score(n_clusters: int, *, method: ScoreLaw = "pooled") -> float:
    """Return the smallest two-sided p of a clustered score test (clustered McNemar).

    ``|sum(s)| / sqrt(sum(s**2))`` is at most the root of the number of clusters with s other than
    0, and that if all s are equal.

    Args:
        n_clusters: clusters that differ.
        method: as in :func:`common.statistics.proportions.mcnemar_clustered`; for ``obuchowski``
            and ``yang`` all clusters are taken to differ.

    Raises:
        DesignError: fewer than 1 cluster.

    Example:
        >>> smallest_p_score(3) > 0.05 > smallest_p_score(4)
        True
    """
    check_count("n_clusters", n_clusters, 1)
    square = {"obuchowski": n_clusters - 1, "yang": 2 * (n_clusters - 1)}.get(method, n_clusters)
    return float(2 * stats.norm.sf(math.sqrt(square)))


def smallest_p_resampled(n_resamples: int) -> float:
    """Return the smallest two-sided p of a bootstrap or of random permutations.

    The data count as one more resample; p is twice the smaller share.  (BCa bends shares, and its
    smallest p is only about this.)

    Raises:
        DesignError: no resample.

    Example:
        >>> smallest_p_resampled(9999)
        0.0002
    """
    check_count("n_resamples", n_resamples, 1)
    return 2 / (n_resamples + 1)


def smallest_p_sign_flip(n_clusters: int, *, n_resamples: int | None = None) -> float:
    """Return the smallest two-sided p that flipping the signs of n clusters can reach.

    The two-sided Wilcoxon signed-rank test reaches the same.

    Args:
        n_clusters: clusters; those with a summed difference of 0 do not count.
        n_resamples: random sign patterns above 14 clusters; None for all patterns.

    Returns:
        1 without clusters.

    Example:
        >>> smallest_p_sign_flip(5)
        0.0625
        >>> smallest_p_sign_flip(40, n_resamples=9999)
        0.0002
    """
    listed = min(1.0, 2.0 ** (1 - n_clusters))
    if n_resamples is None or n_clusters <= EXACT_CLUSTERS:
        return listed
    return max(listed, smallest_p_resampled(n_resamples))


def smallest_p_wilcoxon(n: int, *, n_zeros: int = 0) -> float:
    """Return the smallest two-sided p of an exact Wilcoxon signed-rank test.

    Args:
        n: differences.
        n_zeros: how many of them are 0; either treatment of zeros leaves them without a sign.

    Returns:
        Ties do not matter: only the two patterns with all signs alike are as extreme.

    Raises:
        DesignError: more zeros than differences.

    Example:
        >>> smallest_p_wilcoxon(5), smallest_p_wilcoxon(7, n_zeros=2)
        (0.0625, 0.0625)
    """
    if not 0 <= n_zeros <= n:
        raise DesignError(f"`n_zeros` must lie in 0..{n}, got {n_zeros!r}.")
    return smallest_p_sign_flip(n - n_zeros)


def smallest_p_mann_whitney(n_first: int, n_second: int) -> float:
    """Return the smallest two-sided p of the exact Mann-Whitney test.

    Raises:
        DesignError: an empty group.

    Example:
        >>> smallest_p_mann_whitney(3, 3)           # 2 of 20 arrangements
        0.1
    """
    check_count("n_first", n_first, 1)
    check_count("n_second", n_second, 1)
    return min(1.0, 2 / math.comb(n_first + n_second, n_first))


def smallest_p_friedman(n_blocks: int, n_arms: int, *, exact: bool = True) -> float:
    """Return the smallest p of a Friedman test, reached when all blocks rank alike.

    Args:
        n_blocks: blocks (folds, patients).
        n_arms: methods ranked in each block.
        exact: by counting permutations; else by the chi-square law that
            :func:`common.statistics.ranking.friedman` uses.

    Example:
        Three methods on two folds cannot reach 0.05; all 6 common orders out of 36 give 1/6:

        >>> round(smallest_p_friedman(2, 3), 4)
        0.1667
    """
    if exact:
        return float(math.factorial(n_arms)) ** (1 - n_blocks)
    return float(stats.chi2.sf(n_blocks * (n_arms - 1), n_arms - 1))


def smallest_p_nemenyi(n_blocks: int, n_arms: int) -> float:
    """Return the smallest p of Nemenyi's test, of the best against the worst of all arms.

    Example:
        >>> smallest_p_nemenyi(2, 3) > 0.05 > smallest_p_nemenyi(4, 3)
        True
    """
    check_count("n_blocks", n_blocks, 1)
    check_count("n_arms", n_arms, 2)
    gap = (n_arms - 1) / math.sqrt(n_arms * (n_arms + 1) / (12 * n_blocks))
    return float(stats.studentized_range.sf(gap, n_arms, math.inf))


def smallest_p_page(n_blocks: int, n_arms: int) -> float:
    """Return the smallest two-sided p of Page's test, as :func:`common.statistics.ranking.page`.

    Returns:
        Exact up to 12 blocks and 8 arms (one order in every block), else by the normal law.

    Raises:
        DesignError: fewer than 1 block or 2 arms.

    Example:
        >>> round(smallest_p_page(3, 3), 4)         # 2 of 216 arrangements
        0.0093
    """
    check_count("n_blocks", n_blocks, 1)
    check_count("n_arms", n_arms, 2)
    if n_blocks <= PAGE_BLOCKS and n_arms <= PAGE_ARMS:
        return 2 * float(math.factorial(n_arms)) ** -n_blocks
    n, k = n_blocks, n_arms
    away = n * k * (k + 1) * (2 * k + 1) / 6 - n * k * (k + 1) ** 2 / 4
    spread = math.sqrt(n * k**2 * (k + 1) ** 2 * (k - 1) / 144)
    return float(2 * stats.norm.sf(away / spread))


def smallest_p_kruskal(sizes: Sequence[int], *, exact: bool = False) -> float:
    """Return the smallest p of the Kruskal-Wallis test, reached when the groups do not overlap.

    Args:
        sizes: units of each group.
        exact: by counting arrangements; else by the chi-square law that
            :func:`common.statistics.unpaired.kruskal` uses.

    Raises:
        DesignError: fewer than two groups or an empty one.

    Example:
        Of 6 ways to divide 4 units into pairs, 2 do not overlap:

        >>> round(smallest_p_kruskal([2, 2], exact=True), 4)
        0.3333
        >>> round(smallest_p_kruskal([2, 2]), 4)            # H = 2.4
        0.1213
    """
    if len(sizes) < 2 or min(sizes) < 1:
        raise DesignError(f"`sizes` must hold two groups of at least 1, got {list(sizes)!r}.")
    n, same = sum(sizes), Counter(sizes)
    best, ways = _best_order(tuple(sorted(same.items())))
    if exact:
        orders = ways * math.prod(math.factorial(times) for times in same.values())
        return orders * math.prod(map(math.factorial, sizes)) / math.factorial(n)
    h = 12 / (n * (n + 1)) * best / 4 - 3 * (n + 1)
    return float(stats.chi2.sf(h, len(sizes) - 1))


@lru_cache(maxsize=4096)
def _best_order(left: tuple[tuple[int, int], ...], start: int = 0) -> tuple[int, int]:
    """Order groups one after another so that the spread of their ranks is largest.

    Args:
        left: sizes still to be placed, each with its number of groups.
        start: units placed already.

    Returns:
        Four times the sum of ``(rank sum)**2 / size``, a whole number, and how many orders of
        sizes have it.
    """
    if not any(times for _, times in left):
        return 0, 1
    best, ways = -1, 0
    for index, (size, times) in enumerate(left):
        if times == 0:
            continue
        rest = (*left[:index], (size, times - 1), *left[index + 1 :])
        value, count = _best_order(rest, start + size)
        value += size * (2 * start + size + 1) ** 2
        if value > best:
            best, ways = value, count
        elif value == best:
            ways += count
    return best, ways
