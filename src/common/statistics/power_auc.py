"""Power of comparisons of areas under ROC curves, and of scores of detection.

The standard errors are in :mod:`common.statistics.power_areas`.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import optimize, special, stats

from common.statistics.power_areas import Scores, auc_difference_se, auc_se, check_area
from common.statistics.power_plans import StudentPlan, check_levels, check_positive, search_effect

_OWN = ("scores", "positives_per_cluster", "negatives_per_cluster", "correlation")


def auc_power(
    auc: float, value: float, *, n_positive: int, n_negative: int, alpha: float = 0.05, **law: Any
) -> float:
    """Return the power to find that one area differs from a value, on the logit scale.

    Args:
        auc: true area.
        value: what it is compared with; 0.5 is chance.
        n_positive: cases with the finding.
        n_negative: cases without.
        alpha: two-sided level.
        law: ``scores`` or clusters, as in :func:`auc_se`.

    Returns:
        The chance of an area beyond the one at which
        :func:`common.statistics.auc.auc_test` rejects if its standard error is as expected there;
        on the side of the difference.

    Raises:
        DesignError: as :func:`auc_se`.

    Example:
        >>> round(auc_power(0.5 + 1e-9, 0.5, n_positive=50, n_negative=50), 2)
        0.02
    """
    check_area(value, n_positive, n_negative)
    z = float(stats.norm.isf(alpha / 2))
    side = 1.0 if auc >= value else -1.0

    def se(at: float) -> float:
        return auc_se(at, n_positive=n_positive, n_negative=n_negative, **law)

    def excess(at: float) -> float:
        gap = side * (special.logit(at) - special.logit(value)) * at * (1 - at)
        return float(gap - z * se(at))

    # Close to 0 and 1 the logit's standard error grows without bound: the nearest root counts.
    grid = np.linspace(value, 1.0 if side > 0 else 0.0, 401)[1:-1]
    beyond = next((at for at in grid if excess(float(at)) > 0), None)
    if beyond is None:
        return 0.0
    critical = float(optimize.brentq(excess, value, float(beyond)))
    return float(stats.norm.sf(side * (critical - auc) / se(auc)))


def auc_difference_power(
    auc_first: float,
    auc_second: float,
    *,
    n_positive: int,
    n_negative: int,
    alpha: float = 0.05,
    **law: Any,
) -> float:
    """Return the power of DeLong's test of two areas on the same cases.

    The estimated standard error falls where the areas come out large, and so goes along with the
    difference; a plain normal plan misses that, and is wrong by up to 0.13 for areas above 0.8.

    Args:
        auc_first: true area of the first method.
        auc_second: true area of the second.
        n_positive: cases with the finding.
        n_negative: cases without.
        alpha: two-sided level.
        law: correlations, ``scores`` or clusters, as in :func:`auc_difference_se`.

    Returns:
        By a normal law for the difference less its estimated critical value, on the side of the
        difference: within 0.03 of the test in simulations with 20 to 200 cases a class and areas
        of 0.7 to 0.99.

    Raises:
        DesignError: as :func:`auc_difference_se`.

    Source:
        The delta method, applied to the estimate and to its standard error.

    Example:
        >>> at = dict(n_positive=50, n_negative=50)
        >>> loose = auc_difference_power(0.9, 0.8, **at)
        >>> tight = auc_difference_power(0.9, 0.8, r_positive=0.8, r_negative=0.8, **at)
        >>> tight > loose
        True
    """
    sizes: dict[str, Any] = {"n_positive": n_positive, "n_negative": n_negative}

    def se_of(first: float, second: float) -> float:
        return auc_difference_se(first, second, **sizes, **law)

    own = {key: law[key] for key in law if key in _OWN}
    first, second = (auc_se(auc, **sizes, **own) ** 2 for auc in (auc_first, auc_second))
    shared = (first + second - se_of(auc_first, auc_second) ** 2) / 2
    return _wald(se_of, (auc_first, auc_second), (first, second, shared), alpha)


def auc_unpaired_power(
    auc_first: float,
    auc_second: float,
    *,
    first: tuple[int, int],
    second: tuple[int, int],
    alpha: float = 0.05,
    scores: Scores = "binormal",
) -> float:
    """Return the power of DeLong's test of two areas on different cases.

    Args:
        auc_first: true area in the first sample.
        auc_second: true area in the second.
        first: positive and negative cases of the first sample.
        second: the same of the second.
        alpha: two-sided level.
        scores: law of the scores, see :func:`auc_se`.

    Returns:
        As :func:`auc_difference_power`.

    Raises:
        DesignError: as :func:`auc_se`.

    Example:
        >>> round(auc_unpaired_power(0.9, 0.7, first=(40, 40), second=(40, 40)), 2)
        0.85
    """

    def se(auc: float, sizes: tuple[int, int]) -> float:
        return auc_se(auc, n_positive=sizes[0], n_negative=sizes[1], scores=scores)

    def se_of(one: float, other: float) -> float:
        return math.hypot(se(one, first), se(other, second))

    variances = se(auc_first, first) ** 2, se(auc_second, second) ** 2, 0.0
    return _wald(se_of, (auc_first, auc_second), variances, alpha)


def _wald(
    se_of: Callable[[float, float], float],
    aucs: tuple[float, float],
    variances: tuple[float, float, float],
    alpha: float,
) -> float:
    """Return the chance that a difference exceeds its estimated critical value.

    Args:
        se_of: standard error of the difference at two areas.
        aucs: the true areas.
        variances: of the two estimated areas, and their covariance.
        alpha: two-sided level.
    """
    a, b = aucs
    se, z = se_of(a, b), float(stats.norm.isf(alpha / 2))
    if se == 0:
        return 1.0 if a != b else 0.0
    step = [min(1e-4, (1 - x) / 2, x / 2) for x in aucs]
    slope_a = (se_of(a + step[0], b) - se_of(a - step[0], b)) / (2 * step[0])
    slope_b = (se_of(a, b + step[1]) - se_of(a, b - step[1])) / (2 * step[1])
    side = 1.0 if a >= b else -1.0
    on_a, on_b = side - z * slope_a, -side - z * slope_b
    first, second, shared = variances
    spread = on_a**2 * first + on_b**2 * second + 2 * on_a * on_b * shared
    return float(stats.norm.sf((z * se - abs(a - b)) / math.sqrt(spread)))


def auc_gain_detected(
    power_of: Callable[[float], float], reference: float, *, power: float = 0.8
) -> float:
    """Find the smallest gain over a reference area that a test detects.

    Args:
        power_of: power at an area above the reference, say
            ``lambda auc: auc_difference_power(auc, 0.8, ...)``.
        reference: area of the reference method, or value.
        power: probability of detection.

    Returns:
        The gain; infinite if even an area close to 1 is not told apart.

    Raises:
        DesignError: a reference or a power outside (0, 1).

    Example:
        >>> def power_of(auc):
        ...     return auc_difference_power(auc, 0.8, n_positive=50, n_negative=50)
        >>> gain = auc_gain_detected(power_of, 0.8)
        >>> round(power_of(0.8 + gain), 6)
        0.8
    """
    check_levels(1e-12, power)
    check_area(reference)
    room = (1 - reference) * (1 - 1e-4)
    return search_effect(
        lambda gain: power_of(reference + gain),
        power=power,
        start=room / 4,
        most=room,
        tolerance=1e-9,
    )


def scan_bootstrap_plan(influence_sd: float, *, n_scans: int) -> StudentPlan:
    """Plan a bootstrap of scans, for detection scores such as FROC sensitivities or their mean.

    Args:
        influence_sd: standard deviation over scans of a scan's influence on the score, from a
            pilot: ``(n - 1) * (score without the scan - score)``, n its scans; for a difference
            of two methods that of the difference.
        n_scans: scans of the planned study.

    Returns:
        The estimate plus or minus a normal quantile times the bootstrap's standard error.  Sound
        for smooth scores.  For sensitivities of two methods at fixed thresholds see
        :func:`common.statistics.power_proportions.mcnemar_clustered_power`.

    Raises:
        DesignError: fewer than 2 scans or no spread.

    Source:
        Efron and Tibshirani, An Introduction to the Bootstrap (1993), section 11.5, for the
        influence.

    Example:
        >>> round(scan_bootstrap_plan(0.5, n_scans=100).smallest_effect(), 3)
        0.14
    """
    check_positive("influence_sd", influence_sd)
    check_positive("n_scans", n_scans, at_least=2)
    se = influence_sd / math.sqrt(n_scans)
    narrow = se * math.sqrt((n_scans - 1) / n_scans)
    return StudentPlan(se, math.inf, assumed_se=narrow, spread_df=n_scans - 1)
