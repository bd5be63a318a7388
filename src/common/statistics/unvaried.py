"""An estimate from independent units that all show the same value.

Without spread a standard error is 0 and any test that divides by it is certain of everything.
What such a sample does tell follows from the limits of the values alone.
"""

import math
from dataclasses import dataclass

from common.statistics.results import DesignError, Interval


@dataclass(frozen=True)
class Unvaried:
    """The mean of independent units between two limits, all of which show one value.

    If the mean is m, and units with another value lie at the far limit at most, then each unit
    shows the value c with a probability of at most (m - low) / (c - low) for m < c, and all n
    units do with the n-th power of that.  For right and wrong answers that are all right this is
    the exact binomial (Clopper-Pearson) bound.

    Args:
        effect: the value c that every unit shows.
        n: independent units.
        low: the lowest value that a unit can show; minus infinity if there is none.
        high: the highest.

    Raises:
        DesignError: no unit, or a value outside the limits.

    Source:
        Markov's inequality; Clopper and Pearson, Biometrika 26:404 (1934), for two values.

    Example:
        Two methods never differ on 98 sequences; a difference of 2 points is not excluded:

        >>> same = Unvaried(0.0, 98, -1.0, 1.0)
        >>> round(same.p_greater(-0.02), 3), round(same.interval().high, 3)
        (0.138, 0.037)
    """

    effect: float
    n: int
    low: float
    high: float

    def __post_init__(self) -> None:
        if self.n < 1 or not self.low <= self.effect <= self.high:
            raise DesignError(
                f"`n` must be >= 1 and `effect` lie between the limits, got n = {self.n}, "
                f"{self.effect!r}, [{self.low!r}, {self.high!r}]. Check the scores."
            )

    @property
    def se(self) -> float:
        """0: no spread was seen."""
        return 0.0

    @property
    def df(self) -> float:
        """Units minus 1."""
        return self.n - 1.0

    @property
    def statistic(self) -> float:
        """The value itself."""
        return self.effect

    def p(self, null: float = 0.0) -> float:
        """Two-sided p of effect = null."""
        return min(1.0, 2 * min(self.p_greater(null), self.p_less(null)))

    def p_greater(self, null: float = 0.0) -> float:
        """One-sided p of effect <= null; small if the effect is greater."""
        return _share(self.effect - null, self.effect - self.low) ** self.n

    def p_less(self, null: float = 0.0) -> float:
        """One-sided p of effect >= null; small if the effect is less."""
        return _share(null - self.effect, self.high - self.effect) ** self.n

    def interval(self, level: float = 0.95) -> Interval:
        """Two-sided interval: all values that the one-sided tests do not reject."""
        kept = ((1 - level) / 2) ** (1 / self.n)
        low = self.effect - (1 - kept) * (self.effect - self.low)
        high = self.effect + (1 - kept) * (self.high - self.effect)
        return Interval(low, high, level)


def _share(distance: float, reach: float) -> float:
    """Return the largest share of units at the value if the mean lies at a distance from it."""
    if distance <= 0 or math.isinf(reach):
        return 1.0
    return max(0.0, 1 - distance / reach) if reach > 0 else 0.0
