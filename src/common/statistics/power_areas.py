"""Standard errors of areas under ROC curves, from what one knows beforehand.

Variances are those of the empirical area (the Mann-Whitney statistic), exact for the law of the
scores that one assumes; DeLong's method estimates them from data.
"""

import math
from typing import Literal

from scipy import stats

from common.statistics.power_plans import check_positive
from common.statistics.results import DesignError

Scores = Literal["binormal", "exponential", "obuchowski"]


def check_area(auc: float, n_positive: int = 1, n_negative: int = 1) -> None:
    """Refuse an area at 0 or 1, or an empty class.

    Raises:
        DesignError: an area outside (0, 1) or fewer than one case of a class.
    """
    if not 0 < auc < 1:
        raise DesignError(f"`auc` must lie in (0, 1), got {auc!r}; at 1 nothing varies.")
    check_positive("n_positive", n_positive, at_least=1)
    check_positive("n_negative", n_negative, at_least=1)


def _pair_probability(auc_first: float, auc_second: float, correlation: float) -> float:
    """Return the chance that both of two normal differences are above 0."""
    z = [stats.norm.ppf(auc_first), stats.norm.ppf(auc_second)]
    if correlation >= 1:
        return float(min(auc_first, auc_second))
    cov = [[1.0, correlation], [correlation, 1.0]]
    return float(stats.multivariate_normal.cdf(z, mean=[0.0, 0.0], cov=cov))


def auc_covariance(
    auc_first: float,
    auc_second: float,
    *,
    n_positive: int,
    n_negative: int,
    r_positive: float,
    r_negative: float,
    positives_per_cluster: float = 1.0,
    negatives_per_cluster: float = 1.0,
    correlation: float = 0.0,
) -> float:
    """Return the covariance of two methods' areas on the same cases, for normal scores.

    Args:
        auc_first: true area of the first method.
        auc_second: true area of the second.
        n_positive: cases with the finding.
        n_negative: cases without.
        r_positive: correlation of the two methods' scores of a positive case.
        r_negative: the same of a negative one.
        positives_per_cluster: positive cases of the cluster in which a positive case lies, on
            average: the sum of squares of the counts over their sum.
        negatives_per_cluster: the same for negative ones.
        correlation: of one method's scores of two cases of a cluster within a class; between two
            methods it is taken for that times ``r_positive`` or ``r_negative``.

    Returns:
        The exact covariance of two empirical areas whose scores are jointly normal with the same
        spread in both classes; with ``r`` of 1 and equal areas the variance of one.  Clusters are
        taken to hold one class only; where they hold both, scores of both classes rise together and
        the areas vary less.

    Raises:
        DesignError: an area outside (0, 1), a correlation out of range, an empty class, or less
            than 1 case a cluster.

    Source:
        DeLong, DeLong and Clarke-Pearson, Biometrics 44:837 (1988), equation 6, and Obuchowski,
        Biometrics 53:567 (1997), with the pair probabilities of normal scores.

    Example:
        One case of each class: the area is right or wrong, with variance A (1 - A).

        >>> at = dict(n_positive=1, n_negative=1, r_positive=1.0, r_negative=1.0)
        >>> round(auc_covariance(0.8, 0.8, **at), 6)
        0.16
    """
    for auc in (auc_first, auc_second):
        check_area(auc, n_positive, n_negative)
    check_positive("positives_per_cluster", positives_per_cluster, at_least=1)
    check_positive("negatives_per_cluster", negatives_per_cluster, at_least=1)
    for value, least in ((r_positive, -1), (r_negative, -1), (correlation, 0)):
        if not least <= value <= 1:
            raise DesignError(f"correlations must lie in {least}..1, got {value!r}.")

    def kinds(n: int, mates: float, r: float) -> tuple[tuple[float, float], ...]:
        """Count the cases that are the same, of the same cluster, of another; with correlation."""
        mates = min(mates, n)
        return (1.0, r), (mates - 1, correlation * r), (n - mates, 0.0)

    both, total = auc_first * auc_second, 0.0
    for n_same, r in kinds(n_positive, positives_per_cluster, r_positive):
        for m_same, s in kinds(n_negative, negatives_per_cluster, r_negative):
            if n_same * m_same > 0 and r + s != 0:
                joint = _pair_probability(auc_first, auc_second, (r + s) / 2)
                total += n_same * m_same * (joint - both)
    return total / (n_positive * n_negative)


def auc_se(
    auc: float,
    *,
    n_positive: int,
    n_negative: int,
    scores: Scores = "binormal",
    **clusters: float,
) -> float:
    """Return the standard error of one empirical area under the ROC curve.

    Args:
        auc: true area.
        n_positive: cases with the finding.
        n_negative: cases without.
        scores: ``binormal`` (normal, equal spread; exact), ``exponential`` (Hanley and McNeil,
            exact), or ``obuchowski`` (her approximation for binormal rating data; larger).
        clusters: ``positives_per_cluster``, ``negatives_per_cluster`` and ``correlation`` of
            :func:`auc_covariance`, for binormal scores.

    Returns:
        In the unit of the area.

    Raises:
        DesignError: an area outside (0, 1), an empty class, or clusters with another law.

    Source:
        Hanley and McNeil, Radiology 143:29 (1982), equations 1 and 2; Obuchowski, Acad Radiol
        1:S22 (1994), equation 4.

    Example:
        At 1/2 the exponential law has Q1 = Q2 = 1/3: (0.25 + 98 / 12) / 2500 is its square.

        >>> round(auc_se(0.5, n_positive=50, n_negative=50, scores="exponential"), 4)
        0.058
    """
    check_area(auc, n_positive, n_negative)
    if scores == "binormal":
        variance = auc_covariance(
            auc,
            auc,
            n_positive=n_positive,
            n_negative=n_negative,
            r_positive=1.0,
            r_negative=1.0,
            **clusters,
        )
        return math.sqrt(variance)
    if clusters:
        raise DesignError(f"`scores` must be 'binormal' with clusters, got {scores!r}.")
    if scores == "exponential":
        q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
        total = auc * (1 - auc)
        total += (n_positive - 1) * (q1 - auc**2) + (n_negative - 1) * (q2 - auc**2)
        return math.sqrt(total / (n_positive * n_negative))
    a = 1.414 * float(stats.norm.ppf(auc))
    ratio = n_negative / n_positive
    spread = 0.0099 * math.exp(-(a**2) / 2) * ((5 * a**2 + 8) + (a**2 + 8) / ratio)
    return math.sqrt(spread / n_positive)


def auc_difference_se(
    auc_first: float,
    auc_second: float,
    *,
    n_positive: int,
    n_negative: int,
    r_positive: float = 0.0,
    r_negative: float = 0.0,
    auc_correlation: float | None = None,
    scores: Scores = "binormal",
    **clusters: float,
) -> float:
    """Return the standard error of the difference of two areas on the same cases.

    Args:
        auc_first: true area of the first method.
        auc_second: true area of the second.
        n_positive: cases with the finding.
        n_negative: cases without.
        r_positive: correlation of the methods' scores among positive cases (normal scores).
        r_negative: the same among negative ones.
        auc_correlation: correlation of the two areas, in place of those of the scores.
        scores: law of the scores for the two variances, see :func:`auc_se`.
        clusters: as in :func:`auc_se`.

    Returns:
        0 for equal areas and correlations of 1.

    Raises:
        DesignError: as :func:`auc_covariance`; or another law without ``auc_correlation``.

    Source:
        Hanley and McNeil, Radiology 148:839 (1983), equation 1.

    Example:
        >>> at = dict(n_positive=40, n_negative=60)
        >>> loose = auc_difference_se(0.8, 0.8, **at)
        >>> tight = auc_difference_se(0.8, 0.8, r_positive=0.9, r_negative=0.9, **at)
        >>> tight < loose / 2
        True
    """
    first, second = (
        auc_se(auc, n_positive=n_positive, n_negative=n_negative, scores=scores, **clusters)
        for auc in (auc_first, auc_second)
    )
    if auc_correlation is not None:
        if not -1 <= auc_correlation <= 1:
            raise DesignError(f"`auc_correlation` must lie in -1..1, got {auc_correlation!r}.")
        shared = auc_correlation * first * second
    elif scores == "binormal":
        shared = auc_covariance(
            auc_first,
            auc_second,
            n_positive=n_positive,
            n_negative=n_negative,
            r_positive=r_positive,
            r_negative=r_negative,
            **clusters,
        )
    else:
        raise DesignError(
            f"`auc_correlation` must be given with scores {scores!r}, got None. "
            "Correlations of scores are used with 'binormal' only."
        )
    return math.sqrt(max(first**2 + second**2 - 2 * shared, 0.0))
