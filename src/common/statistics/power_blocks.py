"""Power of rank tests inside blocks: Friedman, Iman-Davenport, Nemenyi, Holm's steps, Page.

Arms are shifted and have normal values of equal spread inside a block; what all arms of a block
share does not matter, because ranks do not see it.
"""

import itertools
import math
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from common.statistics.power_plans import StudentPlan, check_positive
from common.statistics.power_ranks import NORMAL
from common.statistics.results import Array, DesignError, finite

FriedmanLaw = Literal["chi2", "f"]

FEW_BLOCKS = 10  # blocks below which Friedman's power is simulated
STUDIES = 20_000  # simulated studies: the power has a standard error of at most 0.004
MAX_PAGE_BLOCKS, MAX_PAGE_ARMS = 12, 8  # up to which Page's test is exact


def friedman_power(
    means: ArrayLike,
    *,
    sd: float,
    n_blocks: int,
    alpha: float = 0.05,
    law: FriedmanLaw = "chi2",
    rng: np.random.Generator | None = None,
) -> float:
    """Return the power of Friedman's test for arms that are shifted inside normal blocks.

    Args:
        means (k,): true means of the arms, k >= 3.
        sd: spread of an arm inside a block, without what all arms of the block share.
        n_blocks: blocks (folds, patients).
        alpha: level.
        law: ``chi2``, or ``f`` after Iman and Davenport.
        rng: source of 20,000 simulated studies, needed below 10 blocks.

    Returns:
        Without ``rng`` the noncentral F with ``3 / pi * k / (k + 1)`` times the noncentrality, at
        the F to which the critical value belongs: within 0.04 from 10 blocks on.

    Raises:
        DesignError: fewer than 3 arms or 2 blocks, no spread, or few blocks without ``rng``.

    Source:
        van Elteren and Noether, Biometrika 46:475 (1959), for the efficiency.

    Example:
        Two blocks never reach 0.05 by the chi-square law:

        >>> friedman_power([0, 5, 9], sd=1.0, n_blocks=2, rng=np.random.default_rng(0))
        0.0
    """
    mu = finite("means", means, at_least=3)
    check_positive("sd", sd)
    check_positive("n_blocks", n_blocks, at_least=2)
    k = len(mu)
    critical = _friedman_critical(n_blocks, k, alpha, law)
    if rng is not None:
        sums = _rank_sums(mu / sd, n_blocks, rng)
        spread = ((sums - n_blocks * (k + 1) / 2) ** 2).sum(axis=1)
        return float(np.mean(12 / (n_blocks * k * (k + 1)) * spread >= critical - 1e-9))
    _check_blocks(n_blocks)
    left = n_blocks * (k - 1) - critical
    if left <= 0:
        return 0.0
    f = (n_blocks - 1) * critical / left
    away = n_blocks * float(((mu - mu.mean()) ** 2).sum()) / sd**2 * NORMAL * k / (k + 1)
    return float(stats.ncf.sf(f, k - 1, (k - 1) * (n_blocks - 1), away))


def _friedman_critical(n: int, k: int, alpha: float, law: FriedmanLaw) -> float:
    """Return Friedman's chi-square at which a test rejects."""
    if law == "chi2":
        return float(stats.chi2.isf(alpha, k - 1))
    f = float(stats.f.isf(alpha, k - 1, (k - 1) * (n - 1)))
    return n * (k - 1) * f / (n - 1 + f)


def _check_blocks(n_blocks: int) -> None:
    if n_blocks < FEW_BLOCKS:
        raise DesignError(
            f"`rng` must be given below {FEW_BLOCKS} blocks, got None for {n_blocks}. "
            "Pass a generator, so that the test is simulated."
        )


def _rank_sums(mu: Array, n: int, rng: np.random.Generator) -> Array:
    """Simulate the rank sums of normal arms over n blocks (STUDIES, k)."""
    parts = []
    for _ in range(20):
        values = mu + rng.normal(size=(STUDIES // 20, n, len(mu)))
        ranks = np.argsort(np.argsort(values, axis=-1), axis=-1) + 1.0
        parts.append(ranks.sum(axis=1))
    return np.concatenate(parts)


@lru_cache(maxsize=64)
def rank_moments(mu: tuple[float, ...]) -> tuple[Array, Array]:
    """Return mean and covariance (k, k) of the ranks of independent normal arms in one block."""
    k = len(mu)
    x = np.linspace(min(mu) - 8, max(mu) + 8, 2_001)
    step = x[1] - x[0]
    density = stats.norm.pdf(x[:, None] - np.array(mu)) * step
    below = stats.norm.cdf(x[:, None] - np.array(mu))  # chance that an arm is below x
    # over[j, i]: arm j above arm i; joint[j, i, m]: above both.
    over = density.T @ below
    np.fill_diagonal(over, 0.0)
    joint = np.einsum("xj,xi,xm->jim", density, below, below)
    second = np.empty((k, k))
    for j, m in itertools.product(range(k), repeat=2):
        total = 0.0
        for i, n in itertools.product(range(k), repeat=2):
            if i != j and n != m:
                total += _both(over, joint, j, i, m, n)
        second[j, m] = total
    mean = over.sum(axis=1)
    return 1 + mean, second - np.outer(mean, mean)


def _both(over: Array, joint: Array, j: int, i: int, m: int, n: int) -> float:
    """Return the chance that arm j is above arm i and arm m above arm n."""
    if (j, i) == (m, n):
        return float(over[j, i])
    if (j, i) == (n, m):
        return 0.0
    if j == m:
        return float(joint[j, i, n])
    if i == n:  # i is below both: 1 - P(above j) - P(above m) + P(above both)
        return float(1 - over[i, j] - over[i, m] + joint[i, j, m])
    if j == n:  # m above j above i
        return float(over[j, i] - joint[j, i, m])
    if i == m:  # j above i above n
        return float(over[i, n] - joint[i, n, j])
    return float(over[j, i] * over[m, n])


def posthoc_power(
    means: ArrayLike,
    *,
    sd: float,
    n_blocks: int,
    pair: tuple[int, int] = (0, 1),
    alpha: float = 0.05,
    n_comparisons: int | None = None,
    rng: np.random.Generator | None = None,
) -> float:
    """Return the power to tell two arms apart by their mean ranks after Friedman's test.

    Args:
        means (k,): true means of all arms, which all enter the ranks.
        sd: spread of an arm inside a block.
        n_blocks: blocks.
        pair: numbers of the two arms.
        alpha: level over all comparisons.
        n_comparisons: None for Nemenyi's test of all pairs; a number for Bonferroni's, which is
            the first and least favourable step of Holm's (1 gives its last and most favourable).
        rng: source of 20,000 simulated studies, needed below 10 blocks.

    Returns:
        On the side of the difference.  Without ``rng`` by a normal law for the difference of rank
        sums, within 0.03 of the test from 10 blocks on.

    Raises:
        DesignError: fewer than 3 arms or 2 blocks, no spread, a pair that is none, or few blocks
            without ``rng``.

    Source:
        Demsar, JMLR 7:1 (2006), section 3.2.2.

    Example:
        >>> at = dict(means=[0, 1, 0], sd=1.0, n_blocks=30)
        >>> posthoc_power(**at, n_comparisons=1) > posthoc_power(**at)
        True
    """
    mu = finite("means", means, at_least=3)
    check_positive("sd", sd)
    check_positive("n_blocks", n_blocks, at_least=2)
    first, second = pair
    if first == second or not (0 <= first < len(mu) and 0 <= second < len(mu)):
        raise DesignError(f"`pair` must name two of {len(mu)} arms, got {pair!r}.")
    k = len(mu)
    if n_comparisons is None:
        q = float(stats.studentized_range.isf(alpha, k, np.inf)) / math.sqrt(2)
    else:
        q = float(stats.norm.isf(alpha / (2 * n_comparisons)))
    # Rank sums are whole numbers.
    needed = math.ceil(q * math.sqrt(k * (k + 1) * n_blocks / 6) - 1e-9)
    if mu[first] < mu[second]:
        first, second = second, first
    if rng is not None:
        sums = _rank_sums(mu / sd, n_blocks, rng)
        return float(np.mean(sums[:, first] - sums[:, second] >= needed))
    _check_blocks(n_blocks)
    mean, cov = rank_moments(tuple(mu / sd))
    gap = n_blocks * float(mean[first] - mean[second])
    variance = n_blocks * float(cov[first, first] + cov[second, second] - 2 * cov[first, second])
    return float(stats.norm.sf((needed - 0.5 - gap) / math.sqrt(variance)))


@lru_cache(maxsize=32)
def page_law(n_blocks: int, n_arms: int) -> Array:
    """Return the exact law of Page's L under the null, by convolution over the blocks.

    Returns:
        Probability of each L from 0 on.

    Example:
        One block of three arms: of 6 orders one has L = 14 and one L = 10.

        >>> page_law(1, 3)[[10, 14]].round(4).tolist()
        [0.1667, 0.1667]
    """
    scores = np.arange(1, n_arms + 1)
    orders = np.array(list(itertools.permutations(scores))) @ scores
    block = np.bincount(orders) / len(orders)
    law = np.ones(1)
    for _ in range(n_blocks):
        law = np.convolve(law, block)
    return law


def page_plan(*, sd: float, n_blocks: int, n_arms: int) -> StudentPlan:
    """Plan Page's two-sided test for arms whose true means rise in equal steps.

    Args:
        sd: spread of an arm inside a block.
        n_blocks: blocks.
        n_arms: arms, at least 3.

    Returns:
        The effect is the step from one arm to the next.  A t of the linear contrast with
        ``3 / pi * k / (k + 1)`` times the units, at the level that L reaches (exact up to 12 blocks
        and 8 arms): within 0.03 of the test's power from 3 blocks on.

    Raises:
        DesignError: fewer than 3 arms or 2 blocks, or no spread.

    Source:
        Hollander, Ann Math Stat 38:867 (1967), for the efficiency.

    Example:
        Two blocks of three arms cannot reach a two-sided 0.05 (2 of 36 arrangements):

        >>> page_plan(sd=1.0, n_blocks=2, n_arms=3).power(9.0)
        0.0
    """
    check_positive("sd", sd)
    check_positive("n_blocks", n_blocks, at_least=2)
    check_positive("n_arms", n_arms, at_least=3)
    k = n_arms
    length = (k**3 - k) / 12  # sum of the squared centred scores
    gain = NORMAL * k / (k + 1)
    exact = n_blocks <= MAX_PAGE_BLOCKS and k <= MAX_PAGE_ARMS
    level: Callable[[float], float] | None = (
        partial(_attained_by_page, n_blocks=n_blocks, n_arms=k) if exact else None
    )
    se = sd / math.sqrt(n_blocks * length * gain)
    return StudentPlan(se, float(n_blocks * (k - 1) - 1), level=level)


def _attained_by_page(alpha: float, n_blocks: int, n_arms: int) -> float:
    levels = 2 * np.cumsum(page_law(n_blocks, n_arms)[::-1])
    reached = levels[levels <= alpha * (1 + 1e-12)]
    return float(reached[-1]) if len(reached) else 0.0
