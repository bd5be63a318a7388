"""Wilcoxon's signed ranks: the exact law with ties and zeros, the shift and its interval.

Ranks are doubled throughout, so that the mean ranks of ties are whole numbers and sums are exact.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from common.statistics.results import Array, DesignError, Interval, finite

Zeros = Literal["wilcox", "pratt"]
Law = Literal["auto", "exact", "asymptotic"]
Ranks = NDArray[np.int64]

EXACT_CASES = 100  # a law of 10,000 sums, in under a millisecond
MAX_EXACT_CASES = 1_000  # a law of a million sums, in about a second
_HALVINGS = 45  # narrows a bracket to 3e-14 of its width
_SLACK = 1e-12  # sizes closer than this, relative to the largest, are ties


def signed_ranks(differences: Array, null: float = 0.0, *, zeros: Zeros = "wilcox") -> Ranks:
    """Rank the sizes of differences from a null value and give the ranks the differences' signs.

    Sizes that differ by less than 1e-12 of the largest are ties: 0.3 - 0.2 and 0.2 - 0.1 are equal
    though their floating-point numbers are not.

    Args:
        differences (n,): one difference a case.
        null: the value subtracted first.
        zeros: ``wilcox`` leaves zeros out of the ranking; ``pratt`` ranks them, then drops them.

    Returns:
        Twice the mean rank, with the sign of the difference (n,); 0 for a zero.

    Source:
        Pratt, J Am Stat Assoc 54:655 (1959), for the zeros.

    Example:
        The sizes 0, 1, 1, 2: without the zero the ranks are 1.5, 1.5 and 3.

        >>> signed_ranks(np.array([0.0, 1.0, -1.0, 2.0])).tolist()
        [0, 3, -3, 6]
        >>> signed_ranks(np.array([0.0, 1.0, -1.0, 2.0]), zeros="pratt").tolist()
        [0, 5, -5, 8]
    """
    shifted = differences - null
    sizes = np.abs(shifted)
    slack = _SLACK * max(float(np.abs(differences).max(initial=0.0)), abs(null))
    order = np.argsort(sizes, kind="stable")
    starts = np.flatnonzero(np.diff(sizes[order], prepend=-np.inf) > slack)
    counts = np.diff(starts, append=len(order))
    doubled = np.empty(len(order), dtype=np.int64)
    doubled[order] = np.repeat(2 * starts + counts + 1, counts)
    is_zero = sizes <= slack
    if zeros == "wilcox":
        doubled -= 2 * int(is_zero.sum())
    return np.where(is_zero, 0, np.where(shifted > 0, doubled, -doubled))


def rank_law(ranks: Ranks) -> Array:
    """Return the probabilities of all sums of ranks when each joins with probability 1/2.

    Args:
        ranks (n,): positive whole numbers.

    Returns:
        Probability of each sum 0, 1, ... sum(ranks), by convolution.

    Example:
        The sums of the subsets of 1 and 2 are 0, 1, 2 and 3:

        >>> rank_law(np.array([1, 2])).tolist()
        [0.25, 0.25, 0.25, 0.25]
    """
    law = np.zeros(int(ranks.sum()) + 1)
    law[0] = 1.0
    top = 0
    for rank in np.sort(ranks):  # small ranks first: the filled part stays short
        filled = law[: top + 1] / 2
        law[: top + 1] = filled
        law[rank : rank + top + 1] += filled
        top += int(rank)
    return law


def crossing(holds: Callable[[float], bool], differences: Array) -> float:
    """Find the smallest null value at which a condition holds, for a rank statistic.

    Such a statistic changes only where the null value passes a pairwise mean of differences (a
    Walsh average), so that the answer of the bisection is moved onto the nearest of them.

    Args:
        holds: false below some value and true above it.
        differences (n,): sorted differences.

    Returns:
        A Walsh average; minus infinity where the condition holds below all of them, infinity where
        it holds nowhere.
    """
    width = float(differences[-1] - differences[0]) or abs(float(differences[0])) or 1.0
    low, high = float(differences[0]) - width, float(differences[-1]) + width
    if holds(low):
        return -np.inf
    if not holds(high):
        return np.inf
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return _nearest_walsh(differences, (low + high) / 2)


def _nearest_walsh(differences: Array, value: float) -> float:
    after = np.searchsorted(differences, 2 * value - differences)
    partners = np.stack([after, after - 1]).clip(0, len(differences) - 1)
    walsh = (differences + differences[partners]) / 2
    return float(walsh.flat[np.abs(walsh - value).argmin()])


def shift(statistic: Callable[[float], float], differences: Array) -> float:
    """Solve statistic(null) = 0 for a rank statistic that falls with the null value.

    Args:
        statistic: sum of signed ranks of the differences from a null value.
        differences (n,): sorted differences.

    Returns:
        The middle of the values at which the statistic is 0 or changes its sign.
    """
    first = crossing(lambda null: statistic(null) <= 0, differences)
    last = crossing(lambda null: statistic(null) < 0, differences)
    return (first + last) / 2


def invert(
    p_greater: Callable[[float], float],
    p_less: Callable[[float], float],
    differences: Array,
    level: float,
) -> Interval:
    """Collect the null values that neither one-sided test rejects; open ends are infinite."""
    tail = (1 - level) / 2 + 1e-12
    low = crossing(lambda null: p_greater(null) > tail, differences)
    high = crossing(lambda null: p_less(null) <= tail, differences)
    return Interval(low, high, level)


@dataclass(frozen=True)
class SignedRank:
    """The Hodges-Lehmann shift of independent differences, judged by signed ranks.

    A set of differences whose signs are flipped has a sum of signed ranks that falls as the null
    value rises.  So the exact one-sided p rises with it, also with ties, and the interval is found
    by bisection.  At a null value that equals a difference the rule for zeros enters the p; the
    interval does not depend on it, because between the differences there are no zeros.

    Args:
        differences (n,): one difference per independent unit.
        zeros: ``wilcox`` or ``pratt``, see :func:`signed_ranks`.
        method: ``auto`` is exact up to 100 differences.
    """

    differences: Array
    zeros: Zeros = "wilcox"
    method: Law = "auto"

    @cached_property
    def _sorted(self) -> Array:
        return np.sort(self.differences)

    @property
    def exact(self) -> bool:
        """Whether p-values come from the exact law."""
        if self.method == "auto":
            return len(self.differences) <= EXACT_CASES
        return self.method == "exact"

    @cached_property
    def effect(self) -> float:
        """Median of the pairwise means, each difference paired with itself too."""
        return shift(
            lambda null: float(signed_ranks(self._sorted, null, zeros="pratt").sum()), self._sorted
        )

    @property
    def se(self) -> float:
        """Standard error of the mean, which the shift's is close to."""
        return float(self.differences.std(ddof=1) / np.sqrt(len(self.differences)))

    @property
    def df(self) -> float:
        """Differences less one."""
        return len(self.differences) - 1

    @property
    def statistic(self) -> float:
        """Sum of the ranks of the positive differences."""
        ranks = signed_ranks(self.differences, zeros=self.zeros)
        return float(ranks[ranks > 0].sum() / 2)

    @cached_property
    def _untied_law(self) -> Array:
        return rank_law(2 * np.arange(1, len(self.differences) + 1))

    def _p_greater(self, ranks: Ranks) -> float:
        """One-sided p of the sum of the positive ranks, or of all that are at least as large."""
        sizes = np.abs(ranks[ranks != 0])
        if len(sizes) == 0:
            return 1.0
        if not self.exact:
            z = ranks.sum() / np.sqrt((sizes.astype(np.float64) ** 2).sum())
            return float(stats.norm.sf(z))
        untied = len(np.unique(sizes)) == len(sizes) == len(ranks)
        law = self._untied_law if untied else rank_law(sizes)
        return min(1.0, float(law[ranks[ranks > 0].sum() :].sum()))

    def p_greater(self, null: float = 0.0) -> float:
        """One-sided p of shift <= null."""
        return self._p_greater(signed_ranks(self.differences, null, zeros=self.zeros))

    def p_less(self, null: float = 0.0) -> float:
        """One-sided p of shift >= null."""
        return self._p_greater(-signed_ranks(self.differences, null, zeros=self.zeros))

    def p(self, null: float = 0.0) -> float:
        """Two-sided p of shift = null: twice the smaller one-sided one."""
        return min(1.0, 2 * min(self.p_greater(null), self.p_less(null)))

    def interval(self, level: float = 0.95) -> Interval:
        """Null values between the pairwise means that the test keeps; infinite where n is too
        small (below 6 at 95 %).
        """
        return invert(
            lambda null: self._p_greater(signed_ranks(self._sorted, null, zeros="pratt")),
            lambda null: self._p_greater(-signed_ranks(self._sorted, null, zeros="pratt")),
            self._sorted,
            level,
        )


def signed_rank_inference(
    differences: ArrayLike, *, zeros: Zeros = "wilcox", method: Law = "auto"
) -> SignedRank:
    """Estimate the shift of independent paired differences; see
    :func:`common.statistics.paired.wilcoxon`.

    Args:
        differences (n,): one difference per independent unit.
        zeros: ``wilcox`` leaves zeros out of the ranking; ``pratt`` ranks them, then drops them.
        method: ``exact`` (up to 1,000 differences), ``asymptotic`` (normal, with the tie
            correction, without continuity correction), or ``auto``: exact up to 100.

    Returns:
        The shift, testable against any null value.

    Raises:
        DesignError: fewer than two differences, a non-finite one, or too many for the exact law.

    Example:
        Sums of 3 ranks are at least as large as 6 in 1 of 8 patterns:

        >>> signed_rank_inference([1.0, 2.0, 3.0]).p_greater()
        0.125
    """
    d = finite("differences", differences, at_least=2)
    if method == "exact" and len(d) > MAX_EXACT_CASES:
        raise DesignError(
            f"`method` must be 'asymptotic' above {MAX_EXACT_CASES} differences, got 'exact' for "
            f"{len(d)}. The two agree there."
        )
    return SignedRank(d, zeros, method)


def hodges_lehmann(
    differences: ArrayLike, *, level: float = 0.95, method: Law = "auto"
) -> tuple[float, Interval]:
    """Estimate the shift of independent paired differences with its interval.

    The unit is the difference, the assumption that differences are symmetric around the shift.

    Args:
        differences (n,): one difference per independent unit.
        level: confidence.
        method: law of the interval, see :func:`signed_rank_inference`.

    Returns:
        The median of the n (n + 1) / 2 pairwise means and the interval of shifts that the
        signed-rank test keeps; its ends are pairwise means, or infinite with too few differences.
        Ties enter the law of each null value; zeros count like all other values.

    Raises:
        DesignError: as :func:`signed_rank_inference`.

    Source:
        Hodges and Lehmann, Ann Math Stat 34:598 (1963).

    Example:
        The pairwise means are 1, 1.5, 2, 3.5, 4 and 6:

        >>> hodges_lehmann([1.0, 2.0, 6.0])[0]
        2.75
    """
    inference = signed_rank_inference(differences, method=method)
    return inference.effect, inference.interval(level)
