"""What a planned test finds: power, smallest effect, smallest margin, units needed.

A plan is a design seen before its data, as an :class:`common.statistics.results.Inference` is one
seen after.  Every plan gives the power at a true effect; what is smallest or needed is found by
search.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from scipy import optimize, stats

from common.statistics.results import DesignError

Method = Literal["noncentral", "shift"]
Level = Callable[[float], float]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(200)
MOST_UNITS = 10_000_000  # a search for more units than this is given up


class Plan(Protocol):
    """A design with its test; effects are in the unit of the metric."""

    def power(self, effect: float, *, alpha: float = 0.05) -> float:
        """Probability that the two-sided test rejects on the side of a true effect."""

    def smallest_effect(self, *, alpha: float = 0.05, power: float = 0.8) -> float:
        """Smallest true effect that is detected with the given power."""


def check_levels(alpha: float, power: float) -> None:
    """Refuse a power that is not above the level.

    Raises:
        DesignError: not ``0 < alpha < power < 1``.
    """
    if not 0 < alpha < power < 1:
        raise DesignError(f"`power` must lie between `alpha` and 1, got {power!r} and {alpha!r}.")


def check_positive(name: str, value: float, *, at_least: float = 0.0) -> None:
    """Refuse a number that is not above 0, or below a least value where one is given.

    Raises:
        DesignError: too small, or not a number.
    """
    if not (value >= at_least if at_least else value > 0):
        rule = f">= {at_least:g}" if at_least else "> 0"
        raise DesignError(f"`{name}` must be {rule}, got {value!r}. Check what was planned.")


def upper_tail(critical: float, df: float, shift: float) -> float:
    """Return the probability that a noncentral t exceeds a critical value.

    Example:
        >>> round(upper_tail(1.0, math.inf, 1.0), 2)
        0.5
    """
    if math.isinf(critical):
        return 0.0
    if math.isinf(df):
        return float(stats.norm.sf(critical - shift))
    power = stats.nct.sf(critical, df, shift)
    if np.isnan(power):  # scipy's noncentral t underflows far in either tail
        return 1.0 if shift > critical else 0.0
    return float(min(max(power, 0.0), 1.0))


def achieved(
    effect: float, se: float, df: float, *, alpha: float = 0.05, both_sides: bool = False
) -> float:
    """Return the power of a two-sided t test for a true effect.

    Args:
        effect: the true effect.
        se: standard error of its estimate.
        df: degrees of freedom; infinite for a normal test.
        alpha: two-sided level.
        both_sides: count rejections on the wrong side too; they matter only near no effect.

    Returns:
        Probability of rejection, on the side of the effect unless ``both_sides``.

    Source:
        Cohen, Statistical Power Analysis for the Behavioral Sciences, 2nd ed. (1988), chapter 2.

    Example:
        >>> round(achieved(2.8, 1.0, math.inf), 2)   # 1.96 + 0.84 standard errors
        0.8
    """
    return StudentPlan(se, df).power(effect, alpha=alpha, both_sides=both_sides)


def smallest_effect(
    se: float,
    df: float,
    *,
    alpha: float = 0.05,
    power: float = 0.8,
    method: Method = "noncentral",
) -> float:
    """Find the smallest true effect that a two-sided t test detects with a given power.

    Args:
        se: standard error of the estimate; 0 gives 0, NaN gives NaN.
        df: degrees of freedom; infinite for a normal test.
        alpha: two-sided level.
        power: probability of detection.
        method: ``noncentral`` is exact; ``shift`` adds two t quantiles, which is common in print
            and slightly too small when df is.

    Returns:
        The effect, at least 0, in the unit of ``se``.

    Raises:
        DesignError: power not above alpha.

    Example:
        >>> round(smallest_effect(1.0, math.inf), 2)
        2.8
    """
    check_levels(alpha, power)
    if not se > 0 or not df > 0:
        return 0.0 if se == 0 else math.nan
    if method == "shift":
        return float(stats.t.isf(alpha / 2, df) + stats.t.isf(1 - power, df)) * se
    return StudentPlan(se, df).smallest_effect(alpha=alpha, power=power)


def search_effect(
    power_of: Callable[[float], float],
    *,
    power: float,
    start: float,
    most: float = math.inf,
    tolerance: float = 1e-12,
) -> float:
    """Find where a power that rises with the effect reaches a value.

    Args:
        power_of: power at a true effect >= 0.
        power: the power asked for.
        start: an effect of about the right size, > 0.
        most: the largest effect that can be.
        tolerance: of the answer, relative to ``start``.

    Returns:
        The effect; infinite if none up to ``most``, or up to a million times ``start``, has it; NaN
        if ``start`` is.

    Example:
        >>> round(search_effect(lambda x: 1 - math.exp(-x), power=0.8, start=1.0), 4)  # log 5
        1.6094
    """
    if math.isnan(start):
        return math.nan
    low, high = 0.0, min(start, most)
    while power_of(high) < power:
        if high >= most or high > 1e6 * start:
            return math.inf
        low, high = high, min(2 * high, most)
    xtol = tolerance * start
    return float(optimize.brentq(lambda x: power_of(x) - power, low, high, xtol=xtol))


def units_needed(power_of: Callable[[int], float], *, power: float = 0.8, at_least: int = 2) -> int:
    """Find the smallest number of units with which a design has a given power.

    The power must not fall when units are added.  That of a test on counts rises in a saw-tooth:
    the answer has the power, and the one below has not, but a still smaller number may.

    Args:
        power_of: power with a number of units (clusters, folds, cases).
        power: the power asked for.
        at_least: the smallest number allowed.

    Returns:
        The number of units.

    Raises:
        DesignError: not even ten million units suffice.

    Example:
        >>> units_needed(lambda n: achieved(0.75, 1 / math.sqrt(n), n - 1))
        16
    """
    low, high = at_least - 1, at_least
    while power_of(high) < power:
        low, high = high, 2 * high
        if high > MOST_UNITS:
            raise DesignError(
                f"`power` must be reachable, got {power!r}; {low} units do not give it. "
                "Plan for a larger effect, or for more of what limits the design."
            )
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power_of(middle) >= power else (middle, high)
    return high


@dataclass(frozen=True)
class StudentPlan:
    """A test of an estimate over its standard error.

    The estimate is normal with standard error ``se``; the test estimates ``assumed_se`` from a
    mean square with ``spread_df`` degrees of freedom, independent of it, and compares with a t
    with ``df``.  In a sound test both pairs are equal and the law is the noncentral t.

    Args:
        se: true standard error of the estimate.
        df: degrees of freedom that the test uses; infinite for a normal test.
        assumed_se: what the test takes the standard error for, on the average of squares; None if
            it is right about it.
        spread_df: degrees of freedom that the estimated spread has; None if ``df``.
        level: turns the nominal two-sided level into that of the t test with the same rejections
            (a test on counts reaches only some levels); None leaves it.

    Example:
        >>> plan = StudentPlan(se=0.5, df=4)
        >>> round(plan.power(plan.smallest_effect(power=0.9)), 6)
        0.9
    """

    se: float
    df: float
    assumed_se: float | None = None
    spread_df: float | None = None
    level: Level | None = None

    @property
    def _spread(self) -> tuple[float, float]:
        """Degrees of freedom of the estimated spread, and assumed over true standard error."""
        ratio = 1.0 if self.assumed_se is None else self.assumed_se / self.se
        return self.df if self.spread_df is None else self.spread_df, ratio

    def _critical(self, alpha: float) -> float:
        """Return the quantile that one side of a test at two-sided ``alpha`` must exceed."""
        attained = alpha if self.level is None else self.level(alpha)
        return float(stats.t.isf(attained / 2, self.df)) if attained > 0 else math.inf

    def power(self, effect: float, *, alpha: float = 0.05, both_sides: bool = False) -> float:
        """Return the probability of rejection at a true effect, on its side unless both count."""
        if self.se == 0:
            return 1.0 if effect != 0 else 0.0
        df, ratio = self._spread
        critical, shift = ratio * self._critical(alpha), abs(effect) / self.se
        found = upper_tail(critical, df, shift)
        return found + upper_tail(critical, df, -shift) if both_sides else found

    def smallest_effect(self, *, alpha: float = 0.05, power: float = 0.8) -> float:
        """Find the smallest effect with a power; infinite if the level cannot be reached."""
        check_levels(alpha, power)
        if self.se == 0:
            return 0.0
        return search_effect(
            lambda effect: self.power(effect, alpha=alpha), power=power, start=3 * self.se
        )

    def margin_power(self, effect: float, *, low: float, high: float, alpha: float = 0.05) -> float:
        """Return the power of two one-sided tests that the effect lies between two bounds.

        Args:
            effect: the true effect.
            low: lower bound; minus infinity leaves a test of ``effect < high``.
            high: upper bound; infinity leaves a test of ``effect > low`` (non-inferiority).
            alpha: level of each one-sided test.

        Returns:
            Probability that both reject; 0 if the margin is narrower than any interval.

        Raises:
            DesignError: no finite bound, or low not below high.

        Source:
            Owen, Biometrika 52:437 (1965); Phillips, J Pharmacokinet Biopharm 18:137 (1990);
            the integral over the estimated spread is done by 200 Gauss-Legendre nodes.

        Example:
            >>> round(StudentPlan(1.0, math.inf).margin_power(0.0, low=-3.0, high=3.0), 4)
            0.8246
        """
        if not low < high or (math.isinf(low) and math.isinf(high)):
            raise DesignError(
                f"`low` must be below `high` and one of them finite, got {low!r} and {high!r}."
            )
        if self.se == 0:
            return 1.0 if low < effect < high else 0.0
        df, ratio = self._spread
        critical = ratio * self._critical(2 * alpha)
        to_low, to_high = (effect - low) / self.se, (high - effect) / self.se
        if math.isinf(low) or math.isinf(high):
            return upper_tail(critical, df, min(to_low, to_high))
        return _between(to_low, to_high, critical, df)

    def smallest_margin(
        self,
        *,
        effect: float = 0.0,
        alpha: float = 0.05,
        power: float = 0.8,
        one_sided: bool = False,
    ) -> float:
        """Find the narrowest margin that can be shown with a power.

        Args:
            effect: the true effect.
            alpha: level of each one-sided test.
            power: probability that it is shown.
            one_sided: non-inferiority (effect > -margin) in place of equivalence.

        Returns:
            The margin; 0 where non-inferiority to any margin is already shown by the effect.

        Example:
            >>> round(StudentPlan(1.0, math.inf).smallest_margin(one_sided=True), 2)  # 1.64 + 0.84
            2.49
        """
        check_levels(alpha, power)

        def shown(margin: float) -> float:
            if margin == 0 and not one_sided:
                return 0.0
            high = math.inf if one_sided else margin
            return self.margin_power(effect, low=-margin, high=high, alpha=alpha)

        if self.se == 0:
            return max(0.0, -effect) if one_sided else abs(effect)
        if one_sided and shown(0.0) >= power:
            return 0.0
        return search_effect(shown, power=power, start=abs(effect) + 3 * self.se)


def _between(to_low: float, to_high: float, critical: float, df: float) -> float:
    """Integrate the probability that an estimate clears both bounds over its estimated spread.

    Distances and spread are in true standard errors; the spread is a chi over its root degrees.
    """
    if to_low + to_high <= 0 or math.isinf(critical):
        return 0.0
    widest = (to_low + to_high) / (2 * critical)
    if math.isinf(df):
        spread, weight = np.ones(1), np.array([1.0 if widest > 1 else 0.0])
    else:
        reach = 10 / math.sqrt(2 * df)  # ten standard deviations of the spread
        low, high = max(0.0, 1 - reach), min(widest, 1 + reach)
        if high <= low:
            return 0.0
        spread = low + (high - low) * (_NODES + 1) / 2
        density = 2 * df * spread * stats.chi2.pdf(df * spread**2, df)
        weight = density * _WEIGHTS * (high - low) / 2
    inside = stats.norm.cdf(to_high - critical * spread) - stats.norm.sf(to_low - critical * spread)
    return float(weight @ inside)
