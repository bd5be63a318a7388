"""Plans of tests whose units are clusters of cases, folds, or patients crossed with seeds.

What one knows beforehand: the standard deviation of a case's difference, the intraclass correlation
of these differences, and the sizes of the clusters.  Sums and means of clusters are taken as
normal.  For right and wrong answers with few discordant cases see
:func:`common.statistics.power_proportions.mcnemar_clustered_power`, which does not.
"""

import math
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from common.statistics.power_forms import (
    FlipPlan,
    ScorePlan,
    SimulatedFlipPlan,
    simulate_flips,
)
from common.statistics.power_plans import StudentPlan, check_positive
from common.statistics.results import Array, DesignError, finite

Weighting = Literal["cases", "clusters"]
ScoreTest = Literal["pooled", "obuchowski", "yang", "durkalski", "wald"]
Resampling = Literal["percentile", "basic", "bca", "studentised"]

FEW_CLUSTERS = 25  # worth of equal clusters below which flips of unequal ones are simulated
MAX_CLUSTERS = 1_500  # the law of a quadratic form needs the eigenvalues of so large a matrix


def _sizes(sizes: ArrayLike) -> Array:
    each = finite("sizes", sizes, at_least=2)
    if (each <= 0).any():
        raise DesignError(f"`sizes` must be > 0, got {each.min():g}. Leave empty clusters out.")
    return each


def _check_correlation(correlation: float) -> None:
    if not 0 <= correlation <= 1:
        raise DesignError(
            f"`correlation` must lie in 0..1, got {correlation!r}. Take 0 for a negative estimate."
        )


def design_effect_of_sizes(
    correlation: float,
    mean_size: float,
    *,
    cv: float = 0.0,
    weighting: Weighting = "cases",
) -> float:
    """Return by how much clusters of unequal size inflate the variance of a mean.

    Args:
        correlation: intraclass correlation, 0 to 1.
        mean_size: cases per cluster on average.
        cv: coefficient of variation of the sizes (standard deviation over mean).
        weighting: ``cases`` is the mean over all cases; ``clusters`` the mean of cluster means.

    Returns:
        Variance over that of as many independent cases: ``1 + ((1 + cv**2) m - 1) r`` for cases;
        ``m r + (1 - r) (1 + cv**2)`` for cluster means (to second order in cv, where the mean of
        1 / size is ``(1 + cv**2) / m``).

    Raises:
        DesignError: a correlation outside 0..1, a size <= 0 or a cv < 0.

    Source:
        Eldridge, Ashby and Kerry, Int J Epidemiol 35:1292 (2006), for cases.

    Example:
        >>> design_effect_of_sizes(0.5, 61)                # 1 + 60 / 2
        31.0
        >>> design_effect_of_sizes(0.5, 61, cv=1.0)        # 1 + 121 / 2
        61.5
    """
    _check_correlation(correlation)
    check_positive("mean_size", mean_size)
    if cv < 0:
        raise DesignError(f"`cv` must be >= 0, got {cv!r}; it is a spread over a mean.")
    if weighting == "cases":
        return 1 + ((1 + cv**2) * mean_size - 1) * correlation
    return mean_size * correlation + (1 - correlation) * (1 + cv**2)


def cluster_se(
    sd: float, *, correlation: float, sizes: ArrayLike, weighting: Weighting = "cases"
) -> float:
    """Return the standard error of a mean over clustered cases.

    Args:
        sd: standard deviation of one case's difference.
        correlation: intraclass correlation of the differences.
        sizes (G,): cases of each cluster.
        weighting: mean over ``cases``, or of the means of ``clusters``.

    Returns:
        In the unit of ``sd``.

    Raises:
        DesignError: fewer than two clusters, an empty one, or a correlation outside 0..1.

    Example:
        Complete correlation leaves one value a cluster:

        >>> cluster_se(2.0, correlation=1.0, sizes=[5, 5, 5, 5])
        1.0
    """
    m = _sizes(sizes)
    _check_correlation(correlation)
    if weighting == "cases":
        return float(sd * math.sqrt((m * (1 + (m - 1) * correlation)).sum()) / m.sum())
    return float(sd * math.sqrt((correlation + (1 - correlation) / m).sum()) / len(m))


def effective_cases_of_sizes(
    correlation: float, sizes: ArrayLike, *, weighting: Weighting = "cases"
) -> float:
    """Return how many independent cases have the standard error that clustered ones give a mean.

    Example:
        >>> round(effective_cases_of_sizes(1.0, [1, 3]), 6)      # 16 / (1 + 9)
        1.6
    """
    return cluster_se(1.0, correlation=correlation, sizes=sizes, weighting=weighting) ** -2


def score_plan(
    sd: float, *, correlation: float, sizes: ArrayLike, method: ScoreTest = "pooled"
) -> ScorePlan:
    """Plan a clustered score test (clustered McNemar) or a cluster-robust normal test.

    Args:
        sd: standard deviation of one case's difference; of right and wrong answers with discordance
            D and effect d it is ``sqrt(D - d**2)``.
        correlation: intraclass correlation of the differences.
        sizes (G,): cases of each cluster, at most 1,500 clusters.
        method: as in :func:`common.statistics.proportions.mcnemar_clustered`; ``wald`` takes the
            variance around the estimate, as the cluster bootstrap does.

    Returns:
        Exact for normal sums.  Right and wrong answers come close to that from about 20 clusters
        with several discordant cases each.

    Raises:
        DesignError: an unknown method, too many or too few clusters, or a spread of 0.

    Example:
        Three clusters cannot do it: |z| is never above the root of their number.

        >>> plan = score_plan(1.0, correlation=0.2, sizes=[8, 8, 8])
        >>> plan.smallest_effect()
        inf
    """
    m = _sizes(sizes)
    _check_correlation(correlation)
    check_positive("sd", sd)
    if len(m) > MAX_CLUSTERS:
        raise DesignError(
            f"`sizes` must hold at most {MAX_CLUSTERS} clusters, got {len(m)}. "
            "So many are as good as a normal law: use `cluster_se` and `smallest_effect`."
        )
    variances = sd**2 * m * (1 + (m - 1) * correlation)
    factor = len(m) / (len(m) - 1)
    if method == "durkalski":
        return ScorePlan(np.ones_like(m), variances / m**2)
    forms = {
        "pooled": (1.0, 0.0),
        "obuchowski": (factor, 0.0),
        "yang": (factor, 0.5),
        "wald": (1.0, 1.0),
    }
    if method not in forms:
        raise DesignError(f"`method` must be durkalski or {', '.join(forms)}, got {method!r}.")
    return ScorePlan(m, variances, *forms[method])


def cluster_t_plan(sd: float, *, correlation: float, sizes: ArrayLike) -> StudentPlan:
    """Plan a paired t test over the means of clusters of unequal size.

    Args:
        sd: standard deviation of one case's difference.
        correlation: intraclass correlation of the differences.
        sizes (G,): cases of each cluster.

    Returns:
        The estimated spread has Satterthwaite's degrees of freedom, because the means of small
        clusters vary more than those of large ones; the test uses G - 1.

    Raises:
        DesignError: fewer than two clusters, an empty one, or a correlation outside 0..1.

    Example:
        >>> plan = cluster_t_plan(1.0, correlation=1.0, sizes=[3] * 16)
        >>> round(plan.smallest_effect(), 2), plan.spread_df
        (0.75, 15.0)
    """
    m = _sizes(sizes)
    _check_correlation(correlation)
    each = sd**2 * (correlation + (1 - correlation) / m)
    n = len(m)
    # Mean and variance of s**2 = x'Ax / (n - 1), A the centring matrix and x of variance `each`.
    second = (each**2).sum() * (1 - 2 / n) + each.sum() ** 2 / n**2
    spread_df = (each.sum() * (1 - 1 / n)) ** 2 / second if sd > 0 else n - 1.0
    return StudentPlan(math.sqrt(each.sum()) / n, n - 1.0, spread_df=float(spread_df))


def bootstrap_plan(
    sd: float,
    *,
    correlation: float,
    sizes: ArrayLike,
    weighting: Weighting = "cases",
    method: Resampling = "percentile",
) -> ScorePlan:
    """Plan a cluster bootstrap of a mean.

    Percentile, basic and BCa intervals of a mean of normal data are the estimate plus or minus a
    normal quantile times the bootstrap's standard error, which lacks the factor G / (G - 1); they
    are too narrow with few clusters, and the power given here counts that as power.  The
    studentised bootstrap is planned as a t test with G - 1 degrees of freedom, which promises too
    much with few clusters: in simulations of normal scores 5 to 9 points of power with 30 unequal
    clusters, 2 points with 40 equal ones.

    Args:
        sd: standard deviation of one case's difference.
        correlation: intraclass correlation of the differences.
        sizes (G,): cases of each cluster.
        weighting: mean over ``cases``, or of cluster means.
        method: ``percentile``, ``basic``, ``bca`` or ``studentised``.

    Returns:
        For at least about 10 clusters.

    Raises:
        DesignError: as :func:`score_plan`.

    Example:
        >>> narrow = bootstrap_plan(1.0, correlation=0.0, sizes=[1] * 12).power(1.0)
        >>> wide = bootstrap_plan(1.0, correlation=0.0, sizes=[1] * 12, method="studentised")
        >>> narrow > wide.power(1.0)
        True
    """
    score = score_plan(sd, correlation=correlation, sizes=sizes)
    weights, variances = score.weights, score.variances
    if weighting == "clusters":
        weights, variances = np.ones_like(weights), variances / weights**2
    n = len(weights)
    if method == "studentised":
        return ScorePlan(weights, variances, n / (n - 1), 1.0, n - 1)
    return ScorePlan(weights, variances, 1.0, 1.0)


def sign_flip_plan(
    sd: float,
    *,
    correlation: float,
    sizes: ArrayLike,
    rng: np.random.Generator | None = None,
) -> FlipPlan | SimulatedFlipPlan:
    """Plan a sign-flip test of clusters.

    Args:
        sd: standard deviation of one case's difference.
        correlation: intraclass correlation of the differences.
        sizes (G,): cases of each cluster.
        rng: source of 2,000 simulated studies; None takes the score test at the level that the sign
            patterns reach in their place.

    Returns:
        Without simulation exact (for normal sums) where only the two extreme patterns reject, and
        elsewhere within 0.03 of the test's power.

    Raises:
        DesignError: as :func:`score_plan`; or sizes so unequal that the score test is no guide
            (fewer than 25 clusters after division by 1 + cv**2, cv > 1/3), without ``rng``.

    Example:
        >>> sign_flip_plan(1.0, correlation=0.0, sizes=[4] * 5).smallest_effect()
        inf
    """
    score = score_plan(sd, correlation=correlation, sizes=sizes)
    if rng is not None:
        return simulate_flips(score.weights, score.variances, rng=rng)
    m = score.weights
    worth = float(m.sum() ** 2 / (m @ m))
    if worth < min(FEW_CLUSTERS, 0.9 * len(m)):
        raise DesignError(
            f"`rng` must be given for {len(m)} clusters this unequal, got None; they are worth "
            f"{worth:.1f} equal ones. Pass a generator, so that the test is simulated."
        )
    return FlipPlan(m, score.variances)
