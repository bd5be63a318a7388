"""Intervals rebuilt from a printed mean and n; the spread is printed, bounded or approximated."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from common.statistics.results import (
    DesignError,
    Interval,
)

Spread = Literal["printed", "bounded", "approximated"]


def proportion_interval_range(
    p: float, n: int, *, inflations: tuple[float, float], level: float = 0.95
) -> tuple[Interval, Interval]:
    """Bound a printed rate for the smallest and the largest design effect that is plausible.

    Args:
        p: the rate, 0 to 1.
        n: cases.
        inflations: smallest and largest design effect, at most ``n``.
        level: confidence.

    Returns:
        The narrowest and the widest Wilson interval.

    Example:
        >>> from common.statistics.published import proportion_interval
        >>> narrow, wide = proportion_interval_range(0.5, 100, inflations=(1, 10))
        >>> wide == proportion_interval(0.5, 10)
        True
    """
    if not 0 < inflations[0] <= inflations[1] <= n or not 0 <= p <= 1:
        raise DesignError(
            f"`inflations` must rise from above 0 to at most {n} and `p` lie in [0, 1], "
            f"got {inflations!r} and {p!r}."
        )
    first, last = (
        proportion_confint(p * n / each, n / each, alpha=1 - level, method="wilson")
        for each in inflations
    )
    return (
        Interval(float(first[0]), float(first[1]), level),
        Interval(float(last[0]), float(last[1]), level),
    )


def widest_sd(
    mean: float,
    *,
    low: float = 0.0,
    high: float = 1.0,
    quantiles: Mapping[float, float] | None = None,
) -> float:
    """Return the largest standard deviation that bounded scores with this mean can have.

    The variance is largest where all scores lie on the ends of what is known about them: between
    two neighbouring quantiles lies a known share of the scores, and the mean fixes how many of
    them lie at the upper end; filling the highest parts first gives the maximum.

    Args:
        mean: printed mean.
        low: smallest possible score, or the printed minimum.
        high: largest possible score, or the printed maximum.
        quantiles: printed ones by their level, such as {0.5: median} or {0.25: q1, 0.75: q3}; of
            n scores they are exact up to 1 / n of the scores.

    Returns:
        The population standard deviation.

    Raises:
        DesignError: the mean cannot be, or quantiles do not rise.

    Example:
        >>> widest_sd(0.5)
        0.5
        >>> widest_sd(0.5, low=0.25, high=0.75)
        0.25
        >>> round(widest_sd(0.9, quantiles={0.5: 0.9}), 4)          # half of the scores >= 0.9
        0.2236
    """
    levels = [0.0, *sorted(quantiles or {}), 1.0]
    ends = np.array([low, *(value for _, value in sorted((quantiles or {}).items())), high])
    share, bottom, top = np.diff(levels), ends[:-1], ends[1:]
    if (share <= 0).any() or (bottom > top).any():
        raise DesignError(f"`quantiles` must rise from {low:g} to {high:g}, got {quantiles!r}.")
    least, most = float(share @ bottom), float(share @ top)
    if not least - 1e-12 <= mean <= most + 1e-12:
        raise DesignError(
            f"`mean` must lie in [{least:g}, {most:g}], got {mean!r}. Divide percent by 100."
        )
    room = share * (top - bottom)
    above = np.concatenate([[0.0], room[::-1].cumsum()[:-1]])[::-1]  # room of all higher parts
    added = np.clip(mean - least - above, 0.0, room)
    squares = (bottom + top) @ (share * bottom + added) - share @ (bottom * top)
    return float(np.sqrt(max(squares - mean**2, 0.0)))


def dispersion(mean: float, sd: float, *, low: float = 0.0, high: float = 1.0) -> float:
    """Return a measured variance as a share of the largest possible one.

    For a beta law with parameters a and b it is 1 / (a + b + 1), whatever the mean; taken from
    one's own replication it lends a spread to a published mean, see :func:`mean_interval`.

    Args:
        mean: measured mean.
        sd: measured standard deviation.
        low: smallest possible score.
        high: largest possible score.

    Returns:
        0 (no spread) to 1 (all scores at the ends).

    Example:
        >>> dispersion(0.5, 0.25)
        0.25
    """
    widest = widest_sd(mean, low=low, high=high)
    if not 0 <= sd <= widest * (1 + 1e-9) or widest == 0:
        raise DesignError(f"`sd` must lie in [0, {widest:g}] with 0 < {widest:g}, got {sd!r}.")
    return (sd / widest) ** 2


@dataclass(frozen=True)
class Rebuilt:
    """An interval that a paper does not print, and where its spread comes from.

    Args:
        interval: for the mean.
        sd: standard deviation over cases that was used.
        spread: ``printed``; ``bounded`` (the largest possible one: the interval is too wide, never
            too narrow); ``approximated`` (by a dispersion measured elsewhere).
        note: what was assumed.
    """

    interval: Interval
    sd: float
    spread: Spread
    note: str


def mean_interval(
    mean: float,
    n: int,
    *,
    sd: float | None = None,
    ddof: int = 1,
    dispersion: float | None = None,
    low: float = 0.0,
    high: float = 1.0,
    quantiles: Mapping[float, float] | None = None,
    inflation: float = 1.0,
    level: float = 0.95,
) -> Rebuilt:
    """Rebuild the interval of a printed mean score from what else is printed.

    Args:
        mean: printed mean over cases.
        n: cases; more than 1 after division by ``inflation``.
        sd: printed standard deviation over cases, if any.
        ddof: its formula.
        dispersion: measured elsewhere, see :func:`dispersion`; used where no ``sd`` is printed.
        low: smallest possible score (minus infinity for none), or the printed minimum.
        high: largest possible score, or the printed maximum.
        quantiles: printed ones, see :func:`widest_sd`; used without ``sd`` and ``dispersion``.
        inflation: design effect of clustered cases.
        level: confidence.

    Returns:
        A t interval, cut at ``low`` and ``high``, with the kind of spread used.

    Raises:
        DesignError: no spread is printed and the scores have no bounds, or too few cases.

    Source:
        The use of the mean to approximate an unprinted spread: Christodoulou et al., MICCAI
        (2024), arXiv 2409.17763; their polynomial is not used, a measured dispersion is.

    Example:
        >>> mean_interval(0.8, 26, sd=0.1).spread, mean_interval(0.8, 26).spread
        ('printed', 'bounded')
    """
    effective = n / inflation if inflation > 0 else 0.0
    if not effective > 1:
        raise DesignError(f"`n` over `inflation` must be > 1, got {n!r} over {inflation!r}.")
    spread: Spread
    if sd is not None:
        spread, used, note = "printed", sd, f"printed with ddof {ddof}"
        used *= np.sqrt(n / (n - 1)) if ddof == 0 else 1.0
    elif not np.isfinite([low, high]).all():
        raise DesignError("`sd` must be given for scores without bounds, got None.")
    elif dispersion is not None:
        spread, used = "approximated", np.sqrt(dispersion) * widest_sd(mean, low=low, high=high)
        note = f"beta law with dispersion {dispersion:.3g}"
    else:
        spread, used = "bounded", widest_sd(mean, low=low, high=high, quantiles=quantiles)
        note = f"largest spread of scores in [{low:g}, {high:g}] with what is printed"
    if used < 0 or (dispersion is not None and not 0 <= dispersion <= 1):
        raise DesignError(f"`sd` and `dispersion` must be >= 0, got {sd!r} and {dispersion!r}.")
    half = float(stats.t.ppf((1 + level) / 2, effective - 1) * used / np.sqrt(effective))
    interval = Interval(max(low, mean - half), min(high, mean + half), level)
    return Rebuilt(interval, float(used), spread, note)
