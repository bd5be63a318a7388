"""Two methods right or wrong on the same independent cases: McNemar's test and intervals for the
difference of two paired rates.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats
from statsmodels.stats.contingency_tables import mcnemar as _mcnemar
from statsmodels.stats.proportion import proportion_confint

from common.statistics.results import DesignError, Inference, Interval, Student, TestResult, finite

McNemar = Literal["exact", "mid-p", "asymptotic"]
PairedInterval = Literal["bonett-price", "newcombe", "tango"]


def binary(name: str, values: ArrayLike) -> NDArray[np.bool_]:
    """Return right and wrong as booleans after checking that nothing else is there.

    Raises:
        DesignError: no case, or a value other than 0 and 1.
    """
    array = finite(name, np.asarray(values, dtype=np.float64))
    if not np.isin(array, (0.0, 1.0)).all():
        raise DesignError(f"`{name}` must hold 0 (wrong) and 1 (right) only. Threshold it first.")
    return array.astype(bool)


def discordant(first: ArrayLike, second: ArrayLike) -> tuple[int, int, int]:
    """Count the cases that only one of two methods gets right.

    Args:
        first (n,): 1 where the first method is right, else 0.
        second (n,): the same for the second.

    Returns:
        Cases that only the first gets right, that only the second does, and all cases.

    Raises:
        DesignError: no case, unequal lengths, or a value other than 0 and 1.

    Example:
        >>> discordant([1, 1, 0, 1], [0, 1, 1, 0])
        (2, 1, 4)
    """
    a, b = binary("first", first), binary("second", second)
    if a.shape != b.shape:
        raise DesignError(f"`second` must have {len(a)} cases as `first`, got {len(b)}. Pair them.")
    return int((a & ~b).sum()), int((~a & b).sum()), len(a)


def _mcnemar_p(b: int, c: int, method: McNemar) -> tuple[float, float]:
    if b + c == 0:
        return 0.0, 1.0
    table = [[0, b], [c, 0]]
    if method == "asymptotic":
        found = _mcnemar(table, exact=False, correction=False)
        return float(found.statistic), float(found.pvalue)
    exact = float(_mcnemar(table, exact=True).pvalue)
    if method == "exact":
        return float(min(b, c)), exact
    # Half the probability of the table itself is taken off; at b = c the exact p is capped at 1.
    lower = stats.binom.cdf(min(b, c), b + c, 0.5)
    return float(min(b, c)), min(1.0, float(2 * lower - stats.binom.pmf(b, b + c, 0.5)))


def mcnemar_inference(
    first: ArrayLike, second: ArrayLike, *, method: Literal["exact", "asymptotic"] = "exact"
) -> Inference:
    """Estimate the difference of two rates on independent cases.

    Args:
        first (n,): 1 where the first method is right, else 0.
        second (n,): the same for the second.
        method: ``exact`` gives :class:`PairedCounts`, ``asymptotic`` :class:`PairedScore`.

    Raises:
        DesignError: as :func:`discordant`.

    Example:
        >>> mcnemar_inference([1, 1, 1, 1, 1], [0, 0, 0, 0, 0]).p()
        0.0625
    """
    b, c, n = discordant(first, second)
    return PairedCounts(b, c, n) if method == "exact" else PairedScore(b, c, n)


def mcnemar(first: ArrayLike, second: ArrayLike, *, method: McNemar = "exact") -> TestResult:
    """Test whether two methods are right equally often on independent cases.

    The unit is the case; only cases that exactly one method gets right count.  ``asymptotic``
    needs about 25 of them; ``exact`` and ``mid-p`` hold for any number, but below 6 the exact p
    cannot fall under 0.05.

    Args:
        first (n,): 1 where the first method is right, else 0.
        second (n,): the same for the second.
        method: ``exact`` binomial, ``mid-p`` (less conservative), or ``asymptotic`` chi-square
            without continuity correction.

    Returns:
        Difference of the two rates with the Bonett-Price interval; p = 1 without discordant cases.

    Raises:
        DesignError: as :func:`discordant`.

    Source:
        McNemar, Psychometrika 12:153 (1947); Fagerland et al., BMC Med Res Methodol 13:91 (2013),
        for mid-p; Bonett and Price, J Educ Behav Stat 37:479 (2012), for the interval.

    Example:
        >>> mcnemar([1, 1, 1, 1, 1], [0, 0, 0, 0, 0]).p      # five against none
        0.0625
    """
    b, c, n = discordant(first, second)
    statistic, p = _mcnemar_p(b, c, method)
    interval = paired_difference_interval(b, c, n)
    return TestResult(
        name=f"McNemar, {method}",
        hypothesis="both methods are right equally often",
        effect=(b - c) / n,
        low=interval.low,
        high=interval.high,
        p=p,
        statistic=statistic,
        n_cases=n,
        n_clusters=n,
        note=f"{b} against {c} discordant cases",
    )


def paired_difference_interval(
    b: int,
    c: int,
    n: int,
    *,
    method: PairedInterval = "bonett-price",
    both: int | None = None,
    level: float = 0.95,
) -> Interval:
    """Bound the difference of two paired rates on independent cases.

    Args:
        b: cases that only the first gets right.
        c: cases that only the second gets right.
        n: all cases, > 0.
        method: ``bonett-price`` (adds one case to each discordant cell), ``newcombe`` (method 10,
            from the two Wilson intervals and the corrected phi; needs ``both``), or ``tango``
            (the score interval, which goes with the asymptotic test).
        both: cases that both methods get right; used by ``newcombe`` only.
        level: confidence.

    Returns:
        An interval inside [-1, 1].  All three cover close to their level from about 10 cases on.

    Raises:
        DesignError: counts that do not fit into n, or ``newcombe`` without ``both``.

    Source:
        Bonett and Price, J Educ Behav Stat 37:479 (2012); Newcombe, Stat Med 17:2635 (1998),
        method 10; Tango, Stat Med 17:891 (1998).

    Example:
        >>> interval = paired_difference_interval(2, 2, 4)
        >>> interval.low == -interval.high
        True
        >>> round(paired_difference_interval(0, 0, 4, method="tango").high, 4)   # z2 / (4 + z2)
        0.4899
    """
    if min(b, c) < 0 or n < 1 or b + c > n:
        raise DesignError(f"`b` and `c` must be >= 0 with b + c <= n > 0, got {b}, {c} of {n}.")
    if method == "newcombe":
        return _newcombe(b, c, n, both, level)
    if method == "tango":
        return PairedScore(b, c, n).interval(level)
    adjusted = _bonett_price(b, c, n).interval(level)
    return Interval(max(-1.0, adjusted.low), min(1.0, adjusted.high), level)


def _bonett_price(b: int, c: int, n: int) -> Student:
    first, second = (b + 1) / (n + 2), (c + 1) / (n + 2)
    se = np.sqrt((first + second - (first - second) ** 2) / (n + 2))
    return Student(first - second, float(se), float("inf"))


def _newcombe(b: int, c: int, n: int, both: int | None, level: float) -> Interval:
    if both is None or not 0 <= both <= n - b - c:
        raise DesignError(
            f"`both` must lie in 0..{n - b - c} for method 'newcombe', got {both!r}. "
            "Count the cases that both methods get right."
        )
    p1, p2 = (both + b) / n, (both + c) / n
    (l1, u1), (l2, u2) = (
        proportion_confint(count, n, alpha=1 - level, method="wilson")
        for count in (both + b, both + c)
    )
    phi = _corrected_phi(both, b, c, n - both - b - c)
    below, above = (p1 - l1, u2 - p2), (u1 - p1, p2 - l2)
    low, high = (np.sqrt(max(0.0, x**2 - 2 * phi * x * y + y**2)) for x, y in (below, above))
    return Interval(float(p1 - p2 - low), float(p1 - p2 + high), level)


def _corrected_phi(a: int, b: int, c: int, d: int) -> float:
    """Return the phi coefficient; a positive one is corrected for continuity (method 10)."""
    margins = (a + b) * (c + d) * (a + c) * (b + d)
    if margins == 0:
        return 0.0
    excess = float(a * d - b * c)
    if excess > 0:
        excess = max(excess - (a + b + c + d) / 2, 0.0)
    return excess / float(np.sqrt(float(margins)))


@dataclass(frozen=True)
class PairedCounts:
    """A difference of two rates on independent cases, judged by the discordant ones.

    At a null value of 0 the p-values are exact (binomial); at another one and for the interval
    the Bonett-Price estimate with a normal law is used.
    """

    first_only: int
    second_only: int
    n: int

    @property
    def effect(self) -> float:
        """Difference of the two rates."""
        return (self.first_only - self.second_only) / self.n

    @property
    def _adjusted(self) -> Student:
        return _bonett_price(self.first_only, self.second_only, self.n)

    @property
    def se(self) -> float:
        """Standard error after Bonett and Price."""
        return self._adjusted.se

    @property
    def df(self) -> float:
        """Infinite: the law is normal."""
        return float("inf")

    @property
    def statistic(self) -> float:
        """The smaller discordant count."""
        return float(min(self.first_only, self.second_only))

    def p(self, null: float = 0.0) -> float:
        """Two-sided p of effect = null."""
        if null == 0:
            return _mcnemar_p(self.first_only, self.second_only, "exact")[1]
        return self._adjusted.p(null)

    def p_greater(self, null: float = 0.0) -> float:
        """One-sided p of effect <= null."""
        if null == 0:
            total = self.first_only + self.second_only
            return float(stats.binom.sf(self.first_only - 1, total, 0.5))
        return self._adjusted.p_greater(null)

    def p_less(self, null: float = 0.0) -> float:
        """One-sided p of effect >= null."""
        return PairedCounts(self.second_only, self.first_only, self.n).p_greater(-null)

    def interval(self, level: float = 0.95) -> Interval:
        """Bonett-Price interval."""
        return paired_difference_interval(self.first_only, self.second_only, self.n, level=level)


@dataclass(frozen=True)
class PairedScore:
    """A difference of two rates on independent cases, judged by Tango's score test.

    For a null value v, ``z = (b - c - n v) / sqrt(n (2 q + v (1 - v)))`` with q the maximum
    likelihood estimate of the second-only rate under the null; at v = 0 it is the asymptotic
    McNemar test.  The interval holds the values that the test does not reject.

    Source:
        Tango, Stat Med 17:891 (1998).

    Example:
        >>> round(PairedScore(30, 10, 100).statistic ** 2, 6)      # (30 - 10)**2 / (30 + 10)
        10.0
    """

    first_only: int
    second_only: int
    n: int

    @property
    def effect(self) -> float:
        """Difference of the two rates."""
        return (self.first_only - self.second_only) / self.n

    @property
    def se(self) -> float:
        """Standard error at the estimate itself (Wald)."""
        total = (self.first_only + self.second_only) / self.n
        return float(np.sqrt((total - self.effect**2) / self.n))

    @property
    def df(self) -> float:
        """Infinite: the law is normal."""
        return float("inf")

    @property
    def statistic(self) -> float:
        """The z of a null value of 0."""
        return self._z(0.0)

    def _z(self, null: float) -> float:
        gap = self.first_only - self.second_only - self.n * null
        if gap == 0:
            return 0.0
        if abs(null) >= 1:
            return float(np.copysign(np.inf, gap))
        linear = (2 * self.n - self.first_only + self.second_only) * null
        linear -= self.first_only + self.second_only
        root = np.sqrt(linear**2 + 8 * self.n * self.second_only * null * (1 - null))
        q = (root - linear) / (4 * self.n)
        variance = self.n * (2 * q + null * (1 - null))
        return float(gap / np.sqrt(variance)) if variance > 0 else float(np.copysign(np.inf, gap))

    def p(self, null: float = 0.0) -> float:
        """Two-sided p of effect = null."""
        return float(2 * stats.norm.sf(abs(self._z(null))))

    def p_greater(self, null: float = 0.0) -> float:
        """One-sided p of effect <= null."""
        return float(stats.norm.sf(self._z(null)))

    def p_less(self, null: float = 0.0) -> float:
        """One-sided p of effect >= null."""
        return float(stats.norm.cdf(self._z(null)))

    def interval(self, level: float = 0.95) -> Interval:
        """Null values that are not rejected, inside [-1, 1]."""
        z = float(stats.norm.ppf((1 + level) / 2))
        low = self._end(z, -1.0)
        return Interval(low, self._end(-z, 1.0), level)

    def _end(self, z: float, bound: float) -> float:
        """Return the null value with this z between the bound and the estimate."""
        if self.effect == bound:
            return bound
        inside = bound * (1 - 1e-12)  # at the bound itself z is infinite
        found = optimize.brentq(lambda null: self._z(null) - z, inside, self.effect, xtol=1e-14)
        return float(found)
