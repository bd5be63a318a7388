"""Power of tests on agreement: Cohen's kappa and intraclass correlations against a value."""

import math
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from statsmodels.stats.inter_rater import cohens_kappa

from common.statistics.power_plans import check_levels, check_positive, search_effect
from common.statistics.results import Array, DesignError, finite

IccModel = Literal["one_way", "consistency"]


def kappa_table(kappa: float, rates: ArrayLike) -> Array:
    """Build the table of two raters who use the categories equally often and agree by kappa.

    Args:
        kappa: chance-corrected agreement.
        rates (c,): share of each category, summing to 1.

    Returns:
        Cell probabilities (c, c): chance agreement mixed with complete agreement.

    Raises:
        DesignError: rates that do not sum to 1, or a kappa that makes a cell negative.

    Example:
        >>> kappa_table(0.5, [0.5, 0.5]).tolist()
        [[0.375, 0.125], [0.125, 0.375]]
    """
    p = finite("rates", rates, at_least=2)
    if (p <= 0).any() or abs(p.sum() - 1) > 1e-9:
        raise DesignError(f"`rates` must be > 0 and sum to 1, got {p.tolist()!r}.")
    table = (1 - kappa) * np.outer(p, p) + kappa * np.diag(p)
    if not kappa <= 1 or (table < 0).any():
        raise DesignError(f"`kappa` must lie in the range that the rates allow, got {kappa!r}.")
    return table


def kappa_se(kappa: float, *, rates: ArrayLike, n: int) -> float:
    """Return the large-sample standard error of kappa for two raters of equal habits.

    Args:
        kappa: true kappa.
        rates (c,): share of each category.
        n: cases that both rate, independent.

    Raises:
        DesignError: as :func:`kappa_table`, or no case.

    Source:
        Fleiss, Cohen and Everitt, Psychol Bull 72:323 (1969), by ``statsmodels``.

    Example:
        Two categories, half and half: sqrt((1 - kappa**2) / n).

        >>> round(kappa_se(0.6, rates=[0.5, 0.5], n=64), 6)
        0.1
    """
    check_positive("n", n, at_least=1)
    # statsmodels' counts may be broken numbers; the smallest ones avoid cells of 0.
    return float(cohens_kappa(np.maximum(kappa_table(kappa, rates), 1e-300) * n).std_kappa)


def kappa_power(
    kappa: float, value: float, *, rates: ArrayLike, n: int, alpha: float = 0.05
) -> float:
    """Return the power to find that kappa differs from a value.

    Args:
        kappa: true kappa.
        value: what it is compared with; 0 is agreement by chance.
        rates (c,): share of each category, for both raters.
        n: independent cases.
        alpha: two-sided level.

    Returns:
        By a normal law for kappa less its estimated critical value, whose standard error falls as
        kappa rises; on the side of the difference.  Within 0.04 of the test in simulations with 60
        to 200 cases; the plain normal law is wrong by up to 0.1.

    Raises:
        DesignError: as :func:`kappa_table`.

    Source:
        Cantor, Psychol Methods 1:150 (1996), with the delta method for the standard error.

    Example:
        >>> round(kappa_power(0.6, 0.32, rates=[0.5, 0.5], n=64), 2)     # 2.8 standard errors
        0.76
    """
    z, se = float(stats.norm.isf(alpha / 2)), kappa_se(kappa, rates=rates, n=n)
    if se == 0:
        return 1.0 if kappa != value else 0.0
    step = min(1e-4, (1 - kappa) / 2)
    ends = [kappa_se(kappa + sign * step, rates=rates, n=n) for sign in (-1, 1)]
    slope = (ends[1] - ends[0]) / (2 * step)
    spread = se * (1 - z * slope if kappa >= value else 1 + z * slope)
    return float(stats.norm.sf((z * se - abs(kappa - value)) / spread))


def icc_power(
    icc: float,
    value: float,
    *,
    n_subjects: int,
    n_raters: int,
    alpha: float = 0.05,
    model: IccModel = "one_way",
) -> float:
    """Return the power of the F test that an intraclass correlation exceeds a value.

    Args:
        icc: true correlation of two ratings of a subject.
        value: what it is compared with, below it.
        n_subjects: subjects.
        n_raters: ratings of each.
        alpha: two-sided level; the test is one-sided at half of it.
        model: ``one_way`` (other raters for every subject, or clusters of cases) or
            ``consistency`` (the same raters, whose means may differ).

    Returns:
        Exact for normal ratings: the F ratio over its expectation is a central F.  For absolute
        agreement (form 2) of raters without biases ``consistency`` is within 0.02.

    Raises:
        DesignError: fewer than 2 subjects or raters, or correlations outside [0, 1).

    Source:
        Donner and Eliasziw, Stat Med 6:441 (1987), equation 2; Walter, Eliasziw and Donner, Stat
        Med 17:101 (1998).

    Example:
        >>> round(icc_power(0.5, 0.5, n_subjects=20, n_raters=3), 6)
        0.025
    """
    check_positive("n_subjects", n_subjects, at_least=2)
    check_positive("n_raters", n_raters, at_least=2)
    if not (0 <= icc < 1 and 0 <= value < 1):
        raise DesignError(f"`icc` and `value` must lie in [0, 1), got {icc!r} and {value!r}.")
    above, below = n_subjects - 1, n_subjects * (n_raters - 1)
    if model == "consistency":
        below -= n_raters - 1

    def ratio(r: float) -> float:
        return 1 + n_raters * r / (1 - r)

    critical = float(stats.f.isf(alpha / 2, above, below))
    return float(stats.f.sf(critical * ratio(value) / ratio(icc), above, below))


def icc_detected(
    value: float,
    *,
    n_subjects: int,
    n_raters: int,
    alpha: float = 0.05,
    power: float = 0.8,
    model: IccModel = "one_way",
) -> float:
    """Find the smallest intraclass correlation that is told from a lower value.

    Args:
        value: what it is compared with.
        n_subjects: subjects.
        n_raters: ratings of each.
        alpha: two-sided level.
        power: probability of detection.
        model: as in :func:`icc_power`.

    Returns:
        The correlation; NaN if even one close to 1 is not told apart.

    Example:
        >>> found = icc_detected(0.0, n_subjects=20, n_raters=3)
        >>> round(icc_power(found, 0.0, n_subjects=20, n_raters=3), 6)
        0.8
    """
    check_levels(alpha, power)

    def of(gain: float) -> float:
        return icc_power(
            value + gain,
            value,
            n_subjects=n_subjects,
            n_raters=n_raters,
            alpha=alpha,
            model=model,
        )

    room = (1 - value) * (1 - 1e-9)
    gain = search_effect(of, power=power, start=room / 4, most=room)
    return value + gain if math.isfinite(gain) else math.nan


def kappa_detected(
    value: float, *, rates: ArrayLike, n: int, alpha: float = 0.05, power: float = 0.8
) -> float:
    """Find the smallest kappa that is told from a lower value.

    Args:
        value: what it is compared with.
        rates (c,): share of each category.
        n: independent cases.
        alpha: two-sided level.
        power: probability of detection.

    Returns:
        The kappa; NaN if even one close to 1 is not told apart.

    Example:
        >>> found = kappa_detected(0.4, rates=[0.2, 0.8], n=100)
        >>> round(kappa_power(found, 0.4, rates=[0.2, 0.8], n=100), 6)
        0.8
    """
    check_levels(alpha, power)

    def of(gain: float) -> float:
        return kappa_power(value + gain, value, rates=rates, n=n, alpha=alpha)

    room = (1 - value) * (1 - 1e-9)
    gain = search_effect(of, power=power, start=room / 4, most=room)
    return value + gain if math.isfinite(gain) else math.nan
