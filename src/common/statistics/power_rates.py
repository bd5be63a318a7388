"""Power of tests of one rate against a value, and of two rates of different cases.

The power of an exact test is summed over the counts.  It rises with the number of cases in a
saw-tooth, because p-values come in steps.
"""

import math
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from common.statistics.power_plans import check_levels, check_positive, search_effect
from common.statistics.results import DesignError, Interval

RateTest = Literal["exact", "wilson"]


@lru_cache(maxsize=64)
def _rejects(n: int, value: float, alpha: float, method: RateTest) -> NDArray[np.bool_]:
    """Tell for every count of n whether the rate is found to differ from a value."""
    counts = np.arange(n + 1)
    if method == "wilson":
        z = (counts - n * value) / math.sqrt(n * value * (1 - value))
        return np.asarray(2 * stats.norm.sf(np.abs(z)) <= alpha)
    lower = stats.binom.cdf(counts, n, value)
    upper = stats.binom.sf(counts - 1, n, value)
    return np.asarray(2 * np.minimum(lower, upper) <= alpha * (1 + 1e-12))


def rate_power(
    rate: float, value: float, *, n: int, alpha: float = 0.05, method: RateTest = "exact"
) -> float:
    """Return the power to find that one rate of independent cases differs from a value.

    Args:
        rate: true rate.
        value: what it is compared with, in (0, 1).
        n: cases; for clustered ones the number of independent cases that they are worth.
        alpha: two-sided level.
        method: ``exact`` (twice the smaller binomial tail, as the Clopper-Pearson interval) or
            ``wilson`` (score test).

    Returns:
        Exact: summed over the counts; a rejection on either side counts.

    Raises:
        DesignError: a value outside (0, 1), a rate outside [0, 1] or no case.

    Example:
        Of 6 coins all must agree: 2 / 2**6.

        >>> round(rate_power(0.5, 0.5, n=6), 6)
        0.03125
    """
    if not (0 < value < 1 and 0 <= rate <= 1) or n < 1:
        raise DesignError(
            f"`value` must lie in (0, 1), `rate` in [0, 1] and n be >= 1, got {value!r}, {rate!r} "
            f"and {n!r}."
        )
    chance = stats.binom.pmf(np.arange(n + 1), n, rate)
    return float(min(1.0, chance[_rejects(n, value, alpha, method)].sum()))


def rate_detected(
    value: float,
    *,
    n: int,
    alpha: float = 0.05,
    power: float = 0.8,
    method: RateTest = "exact",
) -> Interval:
    """Find the nearest rates below and above a value that are told from it.

    Args:
        value: what the rate is compared with.
        n: cases.
        alpha: two-sided level.
        power: probability of detection.
        method: as in :func:`rate_power`.

    Returns:
        The two rates with ``power`` as level; NaN where even 0 or 1 is not told apart.

    Example:
        >>> found = rate_detected(0.5, n=6, power=0.9)          # 0.9 ** (1 / 6)
        >>> round(found.high, 4), round(found.low + found.high, 6)
        (0.9826, 1.0)
    """
    check_levels(alpha, power)

    def side(direction: float, room: float) -> float:
        def of(gap: float) -> float:
            return rate_power(value + direction * gap, value, n=n, alpha=alpha, method=method)

        gap = search_effect(of, power=power, start=room / 2, most=room)
        return value + direction * gap if math.isfinite(gap) else math.nan

    return Interval(side(-1.0, value), side(1.0, 1 - value), power)


def two_rates_power(
    first: float, second: float, *, n_first: int, n_second: int, alpha: float = 0.05
) -> float:
    """Return the power of the two-sample z test (pooled under the null) of two rates.

    Args:
        first: true rate in the first group.
        second: true rate in the second.
        n_first: independent cases of the first group.
        n_second: the same of the second.
        alpha: two-sided level.

    Returns:
        By the normal law, on the side of the difference; for at least about 5 expected right and
        wrong cases in each group.

    Raises:
        DesignError: a rate outside 0..1 or an empty group.

    Source:
        Fleiss, Levin and Paik, Statistical Methods for Rates and Proportions, 3rd ed. (2003),
        section 4.3.

    Example:
        >>> round(two_rates_power(0.5, 0.75, n_first=50, n_second=50), 4)
        0.7402
    """
    check_positive("n_first", n_first, at_least=1)
    check_positive("n_second", n_second, at_least=1)
    if not (0 <= first <= 1 and 0 <= second <= 1):
        raise DesignError(f"rates must lie in 0..1, got {first!r} and {second!r}.")
    pooled = (n_first * first + n_second * second) / (n_first + n_second)
    null = math.sqrt(pooled * (1 - pooled) * (1 / n_first + 1 / n_second))
    own = math.sqrt(first * (1 - first) / n_first + second * (1 - second) / n_second)
    needed = float(stats.norm.isf(alpha / 2)) * null - abs(first - second)
    if own == 0:
        return 1.0 if needed < 0 else 0.0
    return float(stats.norm.sf(needed / own))
