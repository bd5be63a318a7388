"""What printed numbers alone can say: intervals, tests, and the chance that an order is false."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from common.statistics.audit import Check, Printed
from common.statistics.dependence import design_effect
from common.statistics.results import (
    Array,
    DesignError,
    Interval,
    Student,
    TestResult,
    finite,
    summarise,
)

Kind = Literal["welch", "student", "paired"]
Spread = Literal["printed", "bounded", "approximated"]

_QUANTILES = 2048  # points of the quadrature over the share of discordant cases
_AT_ONCE = 5_000_000  # random numbers held at once


@dataclass(frozen=True)
class Congruence:
    """The share of cases that both methods get right: what the two printed rates allow.

    Args:
        low: smallest possible share, ``max(0, first + second - 1)``.
        independent: share if errors were independent, ``first * second``; hard cases are hard for
            every method, so real shares lie above.
        high: largest possible share, ``min(first, second)``.
    """

    low: float
    independent: float
    high: float


def congruence_range(first: float, second: float) -> Congruence:
    """Bound the share of cases that both methods get right.

    Args:
        first: rate of the first method, 0 to 1.
        second: rate of the second.

    Example:
        >>> congruence_range(0.8, 0.75)
        Congruence(low=0.55, independent=0.6, high=0.75)
    """
    for name, rate in (("first", first), ("second", second)):
        if not 0 <= rate <= 1:
            raise DesignError(f"`{name}` must lie in [0, 1], got {rate!r}. Divide percent by 100.")
    low = max(0.0, first + second - 1)
    return Congruence(round(low, 12), round(first * second, 12), min(first, second))


def proportion_interval(
    p: float,
    n: int,
    *,
    clusters: int | None = None,
    icc: float | None = None,
    level: float = 0.95,
) -> Interval:
    """Bound a printed rate from the number of cases, counted for their clustering.

    Args:
        p: the rate, 0 to 1.
        n: cases.
        clusters: independent units of equal size; None takes every case for one.
        icc: intraclass correlation inside them; needed with ``clusters``.
        level: confidence.

    Returns:
        The Wilson interval for ``n`` divided by the design effect.

    Raises:
        DesignError: rate outside [0, 1], n < 1, or clusters without icc.

    Example:
        100 cases in 10 patients with icc 1 are worth 10:

        >>> clustered = proportion_interval(0.5, 100, clusters=10, icc=1.0)
        >>> clustered == proportion_interval(0.5, 10)
        True
    """
    if not 0 <= p <= 1 or n < 1:
        raise DesignError(f"`p` must lie in [0, 1] and `n` be >= 1, got {p!r} and {n!r}.")
    if clusters is not None and icc is None:
        raise DesignError(
            "`icc` must be given with `clusters`, got None; "
            "take a measured one, or 1 for the worst case."
        )
    inflation = 1.0
    if clusters is not None and icc is not None:
        inflation = design_effect(icc, n / clusters)
    effective = n / inflation
    low, high = proportion_confint(p * effective, effective, alpha=1 - level, method="wilson")
    return Interval(float(low), float(high), level)


def _discordant(
    first: float, second: float, n: float, congruence: ArrayLike, inflation: float
) -> tuple[Array, Array, Array]:
    """Return effective counts: only the first right, only the second right, the rest."""
    bounds = congruence_range(first, second)
    share = np.asarray(congruence, dtype=np.float64)
    if (share < bounds.low - 1e-9).any() or (share > bounds.high + 1e-9).any():
        raise DesignError(
            f"`congruence` must lie in [{bounds.low:g}, {bounds.high:g}] for rates {first:g} and "
            f"{second:g}, got {congruence!r}. See `congruence_range`."
        )
    if not (n > 0 and inflation > 0):
        raise DesignError(f"`n` and `inflation` must be > 0, got {n!r} and {inflation!r}.")
    effective = n / inflation
    only_first = np.maximum((first - share) * effective, 0.0)
    only_second = np.maximum((second - share) * effective, 0.0)
    return only_first, only_second, effective - only_first - only_second


def probability_false_ordering(
    first: float, second: float, n: float, *, congruence: ArrayLike, inflation: float = 1.0
) -> Array:
    """Return the posterior probability that the first method is not better, from printed rates.

    The shares of cases that only the first, only the second, or neither of the two alone gets
    right have a Dirichlet posterior with parameters ``x1 + 1, x2 + 1, n - x1 - x2 + 2``.  The
    first is worse where its own share is the smaller one; of two Dirichlet shares the first's part
    is Beta(x1 + 1, x2 + 1), so that the answer is its distribution function at 1/2.

    Args:
        first: printed rate of the method claimed better, 0 to 1.
        second: printed rate of the other.
        n: cases behind both.
        congruence: share of cases both get right, scalar or array; see :func:`congruence_range`.
        inflation: design effect; counts are divided by it.

    Returns:
        Probability for each congruence, 0 to 1; falls as the congruence grows.

    Raises:
        DesignError: rates, congruence or n outside their range.

    Source:
        Christodoulou et al., arXiv 2505.04720 (2025).

    Example:
        Equal rates are a coin toss whatever the congruence:

        >>> probability_false_ordering(0.8, 0.8, 100, congruence=[0.6, 0.8]).round(6).tolist()
        [0.5, 0.5]
    """
    x1, x2, _ = _discordant(first, second, n, congruence, inflation)
    return np.asarray(stats.beta.cdf(0.5, x1 + 1, x2 + 1), dtype=np.float64)


def probability_below(
    first: float,
    second: float,
    n: float,
    threshold: float,
    *,
    congruence: ArrayLike,
    inflation: float = 1.0,
) -> Array:
    """Return the posterior probability that two rates differ by less than a signed threshold.

    Same posterior as :func:`probability_false_ordering`, which is the threshold 0.  With s the
    share of discordant cases and u the first's part of it, independent Beta variables, the
    difference is s (2u - 1); the probability is integrated over quantiles of s.

    Args:
        first: printed rate of the first method.
        second: printed rate of the second.
        n: cases behind both.
        threshold: on first minus second.
        congruence: share of cases both get right, scalar or array.
        inflation: design effect.

    Returns:
        P(first - second < threshold) for each congruence.

    Example:
        >>> probability_below(0.8, 0.8, 100, 1.0, congruence=0.7).tolist()
        1.0
    """
    x1, x2, rest = (x[..., None] for x in _discordant(first, second, n, congruence, inflation))
    middle = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    share = np.maximum(stats.beta.ppf(middle, x1 + x2 + 2, rest + 2), 1e-300)
    part = stats.beta.cdf((1 + threshold / share) / 2, x1 + 1, x2 + 1)
    return np.asarray(part.mean(axis=-1), dtype=np.float64)


def probability_negligible(
    first: float,
    second: float,
    n: float,
    *,
    margin: float,
    congruence: ArrayLike,
    inflation: float = 1.0,
) -> Array:
    """Return the posterior probability that two rates differ by less than a margin.

    Args:
        first: printed rate of the first method.
        second: printed rate of the second.
        n: cases behind both.
        margin: the smallest difference that matters, > 0.
        congruence: share of cases both get right, scalar or array.
        inflation: design effect.

    Returns:
        Probability for each congruence; see :func:`probability_below`.

    Example:
        >>> round(float(probability_negligible(0.8, 0.8, 100, margin=1.0, congruence=0.7)), 6)
        1.0
    """
    if not margin > 0:
        raise DesignError(f"`margin` must be > 0, got {margin!r}; state what difference matters.")
    upper, lower = (
        probability_below(
            first, second, n, sign * margin, congruence=congruence, inflation=inflation
        )
        for sign in (1, -1)
    )
    return upper - lower


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


def difference_se(
    sd_first: float,
    sd_second: float,
    n: float,
    *,
    correlation: ArrayLike,
    inflation: float = 1.0,
) -> Array:
    """Return the standard error of a difference of two paired means.

    Args:
        sd_first: spread of the first method's case scores.
        sd_second: spread of the second's.
        n: cases.
        correlation: between the two methods' scores of a case, -1 to 1, scalar or array.
        inflation: design effect.

    Example:
        >>> difference_se(0.1, 0.1, 100, correlation=0.5).round(6).tolist()
        0.01
    """
    rho = np.asarray(correlation, dtype=np.float64)
    if (np.abs(rho) > 1).any():
        raise DesignError(f"`correlation` must lie in [-1, 1], got {correlation!r}.")
    variance = sd_first**2 + sd_second**2 - 2 * rho * sd_first * sd_second
    return np.asarray(np.sqrt(np.maximum(variance, 0) * inflation / n), dtype=np.float64)


def _t(distance: float, se: Array) -> Array:
    """Divide, with 0 / 0 = 0: no difference and no spread decide nothing."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.nan_to_num(np.asarray(distance / se), nan=0.0, posinf=np.inf, neginf=-np.inf)


def probability_below_overlap(
    first: float,
    second: float,
    n: float,
    threshold: float = 0.0,
    *,
    sd_first: float,
    sd_second: float,
    correlation: ArrayLike,
    inflation: float = 1.0,
) -> Array:
    """Return the probability that two mean scores differ by less than a signed threshold.

    A t law with n - 1 degrees of freedom for the paired difference under a flat prior; at the
    threshold 0 it is the probability that the claimed order is false.

    Args:
        first: printed mean of the method claimed better.
        second: printed mean of the other.
        n: cases behind both, > 1 after division by ``inflation``.
        threshold: on first minus second.
        sd_first: spread of the first method's case scores; :func:`widest_sd` where unprinted.
        sd_second: spread of the second's.
        correlation: between the two methods' scores of a case, scalar or array.
        inflation: design effect.

    Returns:
        P(first - second < threshold) for each correlation.

    Source:
        Christodoulou et al., arXiv 2505.04720 (2025).

    Example:
        Two standard errors and 4 degrees of freedom:

        >>> found = probability_below_overlap(
        ...     0.9, 0.8, 5, sd_first=0.1118, sd_second=0.1118, correlation=0.5)
        >>> round(float(found), 3)
        0.058
    """
    if not (inflation > 0 and n / inflation > 1):
        raise DesignError(f"`n` over `inflation` must be > 1, got {n!r} over {inflation!r}.")
    se = difference_se(sd_first, sd_second, n, correlation=correlation, inflation=inflation)
    return posterior_below(first - second, se, n / inflation - 1, threshold)


def posterior_below(effect: float, se: ArrayLike, df: float, threshold: float = 0.0) -> Array:
    """Return the probability that a true effect lies below a threshold, by a t law.

    Args:
        effect: the estimate.
        se: its standard error, scalar or array; without spread an estimate at the threshold
            gives 1/2.
        df: degrees of freedom.
        threshold: the bound.

    Example:
        >>> posterior_below(0.1, [0.05, 0.0], 9).round(3).tolist()
        [0.038, 0.0]
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        t = (threshold - effect) / np.asarray(se, dtype=np.float64)
    return np.asarray(stats.t.cdf(np.nan_to_num(t, nan=0.0), df), dtype=np.float64)


def probability_false_ordering_overlap(
    first: float,
    second: float,
    n: float,
    *,
    sd_first: float,
    sd_second: float,
    correlation: ArrayLike,
    inflation: float = 1.0,
) -> Array:
    """Return the probability that the first mean score is not the higher one.

    See :func:`probability_below_overlap` for the arguments; equal means give 1/2.
    """
    return probability_below_overlap(
        first,
        second,
        n,
        0.0,
        sd_first=sd_first,
        sd_second=sd_second,
        correlation=correlation,
        inflation=inflation,
    )


def false_ordering_curve(
    first: float,
    second: float,
    n: int,
    *,
    sds: tuple[float, float] | None = None,
    span: tuple[float, float] | None = None,
    inflations: Sequence[float] = (1.0,),
    measured: float | None = None,
    points: int = 41,
) -> pd.DataFrame:
    """Compute the probability that a published order is false over all that the table leaves open.

    Args:
        first: printed rate or mean score of the method claimed better.
        second: the other's.
        n: cases behind both.
        sds: standard deviations of both methods' case scores, for means of scores; None for
            proportions.
        span: range of the congruence (proportions: share of cases that both get right) or of the
            correlation; None from independence up to the largest possible share, or to 0.95.
        inflations: design effects.
        measured: the congruence or correlation found in our own replication, added to the points.
        points: how many.

    Returns:
        ``congruence`` (or ``correlation``), ``inflation, probability, measured``; the last is true
        in the rows of the measured value.

    Source:
        Christodoulou et al., arXiv 2505.04720 (2025).

    Example:
        >>> curve = false_ordering_curve(0.8, 0.75, 100, measured=0.7, points=3)
        >>> curve["congruence"].tolist(), curve["measured"].tolist()
        ([0.6, 0.675, 0.7, 0.75], [False, False, True, False])
    """
    bounds = congruence_range(first, second) if sds is None else None
    whole = span or ((bounds.independent, bounds.high) if bounds else (0.0, 0.95))
    grid = np.linspace(*whole, points).round(12)
    if measured is not None:
        grid = np.union1d(grid, [measured])

    def probability(inflation: float) -> Array:
        if sds is None:
            return probability_false_ordering(
                first, second, n, congruence=grid, inflation=inflation
            )
        one, two = sds
        return probability_false_ordering_overlap(
            first, second, n, sd_first=one, sd_second=two, correlation=grid, inflation=inflation
        )

    parts = [
        pd.DataFrame(
            {
                "congruence" if sds is None else "correlation": grid,
                "inflation": float(inflation),
                "probability": probability(inflation),
                "measured": np.isin(grid, [] if measured is None else [measured]),
            }
        )
        for inflation in inflations
    ]
    return pd.concat(parts, ignore_index=True)


def probability_best(
    rates: ArrayLike,
    n: float,
    *,
    shared: float,
    inflation: float = 1.0,
    rng: np.random.Generator,
    draws: int = 20_000,
) -> Array:
    """Estimate for each of several methods the posterior probability of the highest true rate.

    Which methods are right on a case is one of 2^k patterns.  Their shares are a mixture of
    independent errors and of errors that only follow the difficulty of the case, which keeps the
    printed rates; a flat Dirichlet prior worth four cases makes every pair agree with
    :func:`probability_false_ordering`.

    Args:
        rates (k,): printed rates on the same cases, 2 to 12 methods.
        n: cases.
        shared: 0 for independent errors to 1 for the largest possible congruence; for one pair,
            (congruence - independent) / (high - independent) of :func:`congruence_range`.
        inflation: design effect.
        rng: source of randomness.
        draws: Monte Carlo samples; the error is at most 0.5 / sqrt(draws).

    Returns:
        Probability of each method (k,), sum 1; a claimed winner is false with 1 minus its own.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> probability_best([0.9, 0.5, 0.5], 1000, shared=0.0, rng=rng).round(2).tolist()
        [1.0, 0.0, 0.0]
    """
    each = finite("rates", rates, at_least=2)
    k = len(each)
    if k > 12 or (each < 0).any() or (each > 1).any() or not 0 <= shared <= 1:
        raise DesignError(
            f"`rates` must be 2 to 12 numbers in [0, 1] and `shared` in [0, 1], got {k} rates and "
            f"{shared!r}."
        )
    if not (n > 0 and inflation > 0):
        raise DesignError(f"`n` and `inflation` must be > 0, got {n!r} and {inflation!r}.")
    right = np.array(list(product([0.0, 1.0], repeat=k)))
    independent = np.where(right == 1, each, 1 - each).prod(axis=1)
    # Errors by difficulty alone: a method is right on all cases easier than its rate.
    easiest = np.where(right == 1, each, 1.0).min(axis=1)
    hardest = np.where(right == 0, each, 0.0).max(axis=1)
    nested = np.maximum(easiest - hardest, 0.0)
    weight = (shared * nested + (1 - shared) * independent) * n / inflation + 4 / 2**k
    best = np.zeros(k)
    left = draws
    while left > 0:
        size = min(left, max(1, _AT_ONCE // len(weight)))
        sums = rng.standard_gamma(weight, size=(size, len(weight))) @ right
        best += np.bincount(sums.argmax(axis=1), minlength=k)
        left -= size
    return np.asarray(best / draws, dtype=np.float64)


def probability_best_overlap(
    means: ArrayLike,
    n: float,
    *,
    sds: ArrayLike,
    correlation: ArrayLike,
    inflation: float = 1.0,
    rng: np.random.Generator,
    draws: int = 20_000,
) -> Array:
    """Estimate for each of several methods the probability of the highest true mean score.

    Args:
        means (k,): printed means over the same cases; negate them where lower is better.
        n: cases, > 1 after division by ``inflation``.
        sds (k,): spreads of the methods' case scores.
        correlation: between the case scores of any two methods, one number, or a matrix (k, k).
        inflation: design effect.
        rng: source of randomness.
        draws: Monte Carlo samples.

    Returns:
        Probability of each method (k,), by a multivariate t law with n - 1 degrees of freedom.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> probability_best_overlap(
        ...     [0.9, 0.5], 100, sds=[0.1, 0.1], correlation=0.5, rng=rng).tolist()
        [1.0, 0.0]
    """
    each, spread = finite("means", means, at_least=2), finite("sds", sds)
    k = len(each)
    matrix = np.asarray(correlation, dtype=np.float64)
    if matrix.ndim == 0:
        matrix = np.where(np.eye(k) == 1, 1.0, matrix)
    values, vectors = np.linalg.eigh(matrix)
    if matrix.shape != (k, k) or spread.shape != (k,) or values.min() < -1e-9:
        raise DesignError(
            f"`correlation` must be a correlation matrix of {k} methods with {k} `sds`, got shape "
            f"{matrix.shape!r} with smallest eigenvalue {values.min():.3g}."
        )
    effective = n / inflation if inflation > 0 else 0.0
    if not effective > 1:
        raise DesignError(f"`n` over `inflation` must be > 1, got {n!r} over {inflation!r}.")
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    normal = rng.normal(size=(draws, k)) @ root.T * spread / np.sqrt(effective)
    scale = np.sqrt(rng.chisquare(effective - 1, size=(draws, 1)) / (effective - 1))
    best = (each + normal / scale).argmax(axis=1)
    return np.asarray(np.bincount(best, minlength=k) / draws, dtype=np.float64)


@dataclass(frozen=True)
class Summary:
    """What a table prints of one method: ``mean`` and ``sd`` over ``n`` independent units."""

    mean: Printed
    sd: Printed
    n: int


def summary_inference(
    first: Summary,
    second: Summary,
    *,
    kind: Kind = "welch",
    ddof: int = 1,
    correlation: float | None = None,
) -> Student:
    """Estimate a difference of means from printed summaries; see :func:`summary_test`."""
    if min(first.n, second.n) < 2 or ddof not in (0, 1):
        raise DesignError(f"`n` must be >= 2 and `ddof` 0 or 1, got {first.n}, {second.n}, {ddof}.")
    # With ddof 0 the printed variance is divided by n, and the squared standard error by n - 1.
    of_first, of_second = (each.sd.value**2 / (each.n - (1 - ddof)) for each in (first, second))
    df = float(first.n + second.n - 2)
    total = of_first + of_second
    if kind == "paired":
        if correlation is None or first.n != second.n or not -1 <= correlation <= 1:
            raise DesignError(
                f"`correlation` must be a number in [-1, 1] for equally many units, got "
                f"{correlation!r} for {first.n} and {second.n}. Try the plausible range."
            )
        total = max(total - 2 * correlation * np.sqrt(of_first * of_second), 0.0)
        df = first.n - 1.0
    elif kind == "student":
        pooled = of_first * first.n * (first.n - 1) + of_second * second.n * (second.n - 1)
        total = pooled / df * (1 / first.n + 1 / second.n)
    elif total > 0:
        df = total**2 / (of_first**2 / (first.n - 1) + of_second**2 / (second.n - 1))
    return Student(first.mean.value - second.mean.value, float(np.sqrt(total)), float(df))


def summary_test(
    first: Summary,
    second: Summary,
    *,
    kind: Kind = "welch",
    ddof: int = 1,
    correlation: float | None = None,
) -> TestResult:
    """Test by a t test whether two methods have the same mean, from printed summaries.

    Args:
        first: summary of the first method.
        second: summary of the second.
        kind: ``welch`` or ``student`` for different units, ``paired`` for the same ones.
        ddof: formula of the printed standard deviations: 1 sample, 0 population.
        correlation: between the two methods' values of a unit, for ``paired``; a table does not
            tell it.

    Returns:
        First minus second with its 95 % interval.

    Raises:
        DesignError: fewer than two units, or a correlation that does not fit.

    Source:
        Welch, Biometrika 34:28 (1947).

    Example:
        >>> one, two = (Summary(Printed(m, 1), Printed(1.0, 1), 8) for m in (2.0, 1.0))
        >>> round(summary_test(one, two).p, 4)
        0.0653
    """
    found = summary_inference(first, second, kind=kind, ddof=ddof, correlation=correlation)
    return summarise(
        found,
        name=f"{kind} t from summaries",
        hypothesis="both methods have the same mean",
        n_cases=first.n if kind == "paired" else first.n + second.n,
        n_clusters=first.n if kind == "paired" else first.n + second.n,
        note=f"sd with ddof {ddof}, {found.df:.1f} degrees of freedom",
    )


def p_range(
    first: Summary,
    second: Summary,
    *,
    kind: Kind = "welch",
    ddof: int = 1,
    correlation: float | None = None,
) -> tuple[float, float]:
    """Bound the two-sided p of printed summaries over the digits of means and spreads.

    See :func:`summary_test`.  Distance, standard error and degrees of freedom are bounded one by
    one: no p outside is possible, and with three digits or more hardly one inside is not.

    Example:
        >>> one, two = (Summary(Printed(m, 1), Printed(1.0, 1), 8) for m in (2.0, 1.0))
        >>> [round(end, 3) for end in p_range(one, two)]
        [0.036, 0.109]
    """
    of_first, of_second = (
        [max(each.sd.low, 0.0), max(each.sd.high, 0.0)] for each in (first, second)
    )
    sds = list(product(of_first, of_second))
    if kind == "paired" and correlation is not None:
        # Spreads that nearly cancel: the variance is least where one is rho times the other.
        sds += [(min(max(correlation * b, of_first[0]), of_first[1]), b) for b in of_second]
        sds += [(a, min(max(correlation * a, of_second[0]), of_second[1])) for a in of_first]
    found = [
        summary_inference(
            replace(first, sd=_exact(a)),
            replace(second, sd=_exact(b)),
            kind=kind,
            ddof=ddof,
            correlation=correlation,
        )
        for a, b in sds
    ]
    se, df = [each.se for each in found], [each.df for each in found]
    if kind == "welch":
        shares = [
            of / (of + other)
            for of, other in (
                (a**2 / (first.n - (1 - ddof)), b**2 / (second.n - (1 - ddof))) for a, b in sds
            )
            if of + other > 0
        ]
        pooled = (first.n - 1) / (first.n + second.n - 2)
        if shares and min(shares) <= pooled <= max(shares):
            df.append(first.n + second.n - 2.0)
    low, high = first.mean.low - second.mean.high, first.mean.high - second.mean.low
    least = Student(max(abs(low), abs(high)), min(se), max(df)).p()
    if low <= 0 <= high:
        return least, 1.0
    return least, Student(min(abs(low), abs(high)), max(se), min(df)).p()


def _exact(value: float) -> Printed:
    """Wrap a number that is no printed one: its digits go as far as its precision."""
    magnitude = int(np.floor(np.log10(abs(value)))) if value else 0
    return Printed(float(f"{value:.11e}"), 11 - magnitude)


def check_p(
    id: str,
    statement: str,
    *,
    first: Summary,
    second: Summary,
    p: Printed,
    kinds: Iterable[Kind] = ("welch", "student"),
    correlation: float | None = None,
) -> Check:
    """Check a printed p-value against the printed means, spreads and numbers of units.

    Args:
        id: name of the check.
        statement: what should hold.
        first: summary of the first method.
        second: summary of the second.
        p: printed two-sided p.
        kinds: tests to try.
        correlation: for ``paired``.

    Returns:
        ``pass`` with the tests and formulas of the spread that give this p within the digits of
        all inputs; else ``fail`` with what they give.

    Example:
        >>> one, two = (Summary(Printed(m, 1), Printed(1.0, 1), 8) for m in (2.0, 1.0))
        >>> check_p("P", "p", first=one, second=two, p=Printed(0.005, 3)).status
        'fail'
    """
    fitting, given = [], []
    for kind, ddof in product(kinds, (1, 0)):
        low, high = p_range(first, second, kind=kind, ddof=ddof, correlation=correlation)
        exact = summary_inference(first, second, kind=kind, ddof=ddof, correlation=correlation).p()
        given.append((f"{kind} with ddof {ddof}", exact))
        if p.meets(low, high):
            fitting.append(f"{kind} with ddof {ddof}")
    nearest = min(given, key=lambda each: abs(np.log(max(each[1], 1e-300) / max(p.value, 1e-300))))
    if fitting:
        return Check(id, statement, "pass", p.value, nearest[1], " or ".join(fitting))
    note = "; ".join(f"{name} {value:.4g}" for name, value in given)
    return Check(id, statement, "fail", p.value, nearest[1], note)


def units_for_significance(
    first: Summary,
    second: Summary,
    *,
    kind: Kind = "welch",
    ddof: int = 1,
    correlation: float | None = None,
    alpha: float = 0.05,
) -> int:
    """Return how many independent units per method these means and spreads need for p < alpha.

    Where cases are clustered and fewer units than this stand behind them, the printed
    significance does not hold.

    Args:
        first: summary of the first method; its ``n`` turns a population sd into a sample one.
        second: summary of the second.
        kind: see :func:`summary_test`.
        ddof: formula of the printed standard deviations.
        correlation: for ``paired``.
        alpha: level of the two-sided test.

    Returns:
        The smallest n for each method.

    Raises:
        DesignError: equal means.

    Example:
        >>> one, two = (Summary(Printed(m, 1), Printed(1.0, 1), 50) for m in (2.0, 1.0))
        >>> units_for_significance(one, two)
        9
    """
    if first.mean.value == second.mean.value:
        raise DesignError("`first` and `second` must differ in their means, got equal ones.")

    def p(n: int) -> float:
        def sample(each: Summary) -> Summary:
            factor = 1.0 if ddof == 1 else np.sqrt(each.n / (each.n - 1))
            return replace(each, sd=_exact(float(each.sd.value * factor)), n=n)

        one, two = sample(first), sample(second)
        return summary_inference(one, two, kind=kind, correlation=correlation).p()

    high = 2
    while p(high) >= alpha:
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if p(middle) >= alpha else (low, middle)
    return high


def rank_sum_p(
    u: ArrayLike, n_first: ArrayLike, n_second: ArrayLike, *, continuity: bool = True
) -> Array:
    """Return the two-sided p of a printed Mann-Whitney U by the normal law without ties.

    Args:
        u: the statistic, of either group; arrays broadcast.
        n_first: units of the first group.
        n_second: units of the second.
        continuity: with the correction by one half (the default of SciPy).

    Returns:
        The p-value; near the printed one from about 8 units a group on.

    Example:
        >>> rank_sum_p(50, 10, 10).tolist()
        1.0
    """
    first, second = np.asarray(n_first, float), np.asarray(n_second, float)
    distance = np.abs(np.asarray(u, float) - first * second / 2) - 0.5 * continuity
    spread = np.sqrt(first * second * (first + second + 1) / 12)
    return np.asarray(np.minimum(2 * stats.norm.sf(distance / spread), 1.0), dtype=np.float64)


def signed_rank_p(w: ArrayLike, n: ArrayLike, *, continuity: bool = False) -> Array:
    """Return the two-sided p of a printed Wilcoxon signed-rank W by the normal law without ties.

    Args:
        w: the smaller (or larger) sum of ranks.
        n: pairs that differ; zeros are left out.
        continuity: with the correction by one half (SciPy has none by default).

    Returns:
        The p-value; near the printed one from about 20 pairs on.

    Example:
        >>> signed_rank_p(105, 20).tolist()
        1.0
    """
    pairs = np.asarray(n, float)
    distance = np.abs(np.asarray(w, float) - pairs * (pairs + 1) / 4) - 0.5 * continuity
    spread = np.sqrt(pairs * (pairs + 1) * (2 * pairs + 1) / 24)
    return np.asarray(np.minimum(2 * stats.norm.sf(distance / spread), 1.0), dtype=np.float64)


def rank_sum_sizes(
    u: float,
    p: Printed,
    *,
    first: Iterable[int],
    second: Iterable[int],
    continuity: bool = True,
    tolerance: float = 0.0,
) -> pd.DataFrame:
    """Find the group sizes with which a printed U gives a printed p: were cases left out?

    Args:
        u: printed statistic.
        p: printed two-sided p.
        first: sizes of the first group to try.
        second: sizes of the second.
        continuity: see :func:`rank_sum_p`.
        tolerance: what ties and the normal law may be off.

    Returns:
        ``n_first, n_second, p`` of all sizes that fit.

    Example:
        >>> found = rank_sum_sizes(50, Printed(1.0, 3), first=[10, 20], second=[10, 20])
        >>> found[["n_first", "n_second"]].values.tolist()
        [[10, 10]]
    """
    one, two = np.meshgrid(np.array([*first]), np.array([*second]), indexing="ij")
    given = rank_sum_p(u, one, two, continuity=continuity)
    fits = (given >= p.low - tolerance) & (given <= p.high + tolerance)
    return pd.DataFrame({"n_first": one[fits], "n_second": two[fits], "p": given[fits]})


def mcnemar_bounds(first: int, second: int, n: int) -> tuple[float, float]:
    """Bound the exact McNemar p of two printed accuracies over every possible pairing.

    Args:
        first: cases that the first method gets right.
        second: cases that the second gets right.
        n: cases, the same for both.

    Returns:
        Smallest p (as few discordant cases as the difference needs) and largest.

    Example:
        >>> mcnemar_bounds(37, 32, 204)[0]
        0.0625
    """
    p = _mcnemar_curve(first, second, n)
    return float(p[0]), float(p[-1])


def _mcnemar_curve(first: int, second: int, n: int) -> Array:
    """Return the exact p for every possible number of cases that only the worse gets right."""
    better, worse = max(first, second), min(first, second)
    if not 0 <= worse <= better <= n:
        raise DesignError(f"`first` and `second` must lie in [0, {n}], got {first}, {second}.")
    only = np.arange(min(worse, n - better) + 1)
    trials = 2 * only + better - worse
    return np.asarray(np.minimum(2 * stats.binom.cdf(only, trials, 0.5), 1.0), dtype=np.float64)


def largest_discordance(first: int, second: int, n: int, *, alpha: float = 0.05) -> int:
    """Return on how many cases two methods may disagree for their difference to be significant.

    Args:
        first: cases that the first method gets right.
        second: cases that the second gets right.
        n: cases, the same for both.
        alpha: level of the exact two-sided McNemar test.

    Returns:
        The largest number of discordant cases with p < alpha; 0 where no pairing is significant.

    Example:
        >>> largest_discordance(2775, 2766, 2908)
        17
    """
    p = _mcnemar_curve(first, second, n)
    significant = int((p < alpha).sum())
    return 2 * (significant - 1) + abs(first - second) if significant else 0
