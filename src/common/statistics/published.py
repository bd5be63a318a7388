"""What printed numbers alone can say: intervals, tests, and the chance that an order is false."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from common.statistics.dependence import design_effect
from common.statistics.rebuilt import (
    Rebuilt as Rebuilt,
    Spread as Spread,
    dispersion as dispersion,
    mean_interval as mean_interval,
    proportion_interval_range as proportion_interval_range,
    widest_sd as widest_sd,
)
from common.statistics.results import (
    Array,
    DesignError,
    Interval,
    finite,
)
from common.statistics.summaries import (
    Kind as Kind,
    Summary as Summary,
    check_p as check_p,
    largest_discordance as largest_discordance,
    mcnemar_bounds as mcnemar_bounds,
    p_range as p_range,
    rank_sum_p as rank_sum_p,
    rank_sum_sizes as rank_sum_sizes,
    signed_rank_p as signed_rank_p,
    summary_inference as summary_inference,
    summary_test as summary_test,
    units_for_significance as units_for_significance,
)

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
