"""What a design can find: smallest detectable effects, smallest reachable p, clusters needed.

Effects and standard deviations are in the unit of the metric.  All functions hold for one two-sided
test; a claim that shares its family with others needs a larger effect than given here.

A plan (``*_plan``) gives the power at a true effect and the smallest effect of one test:

- over clusters of cases: :mod:`common.statistics.power_clusters`;
- over folds, or patients crossed with seeds: :mod:`common.statistics.power_folds`;
- of right and wrong answers: :mod:`common.statistics.power_proportions`,
  :mod:`common.statistics.power_rates`;
- of ranks: :mod:`common.statistics.power_ranks`, :mod:`common.statistics.power_blocks`;
- of areas under curves and detection scores: :mod:`common.statistics.power_auc`,
  :mod:`common.statistics.power_areas`;
- of agreement: :mod:`common.statistics.power_agreement`.

The smallest p that a design can reach is in :mod:`common.statistics.reach`.
"""

import math
from functools import partial

from scipy import stats

from common.statistics.power_clusters import (
    bootstrap_plan,
    cluster_se,
    cluster_t_plan,
    design_effect_of_sizes,
    effective_cases_of_sizes,
    score_plan,
    sign_flip_plan,
)
from common.statistics.power_folds import corrected_t_plan, crossed_plan, two_level_plan
from common.statistics.power_forms import attained_by_flips
from common.statistics.power_plans import (
    Method,
    Plan,
    StudentPlan,
    achieved,
    check_positive,
    smallest_effect,
    units_needed,
)
from common.statistics.power_ranks import NORMAL, attained_by_signed_ranks
from common.statistics.reach import reach, units_to_reach
from common.statistics.results import DesignError
from common.statistics.smallest_p import (
    smallest_p_friedman,
    smallest_p_kruskal,
    smallest_p_mann_whitney,
    smallest_p_mcnemar,
    smallest_p_nemenyi,
    smallest_p_page,
    smallest_p_resampled,
    smallest_p_score,
    smallest_p_sign_flip,
    smallest_p_wilcoxon,
)

__all__ = [
    "Method",
    "Plan",
    "StudentPlan",
    "achieved",
    "bootstrap_plan",
    "cluster_se",
    "cluster_t_plan",
    "clusters_needed",
    "corrected_t",
    "corrected_t_plan",
    "crossed_plan",
    "crossed_t",
    "design_effect_of_sizes",
    "effective_cases_of_sizes",
    "fitted_plan",
    "paired_t",
    "paired_t_plan",
    "reach",
    "score_plan",
    "sign_flip_plan",
    "smallest_effect",
    "smallest_p_friedman",
    "smallest_p_kruskal",
    "smallest_p_mann_whitney",
    "smallest_p_mcnemar",
    "smallest_p_nemenyi",
    "smallest_p_page",
    "smallest_p_resampled",
    "smallest_p_score",
    "smallest_p_sign_flip",
    "smallest_p_wilcoxon",
    "two_level_plan",
    "units_needed",
    "units_to_reach",
    "welch_plan",
]


def corrected_t(
    sd: float,
    *,
    n_folds: int,
    test_train_ratio: float,
    alpha: float = 0.05,
    power: float = 0.8,
    method: Method = "noncentral",
) -> float:
    """Find what a corrected resampled t test detects, from the sd of the fold differences.

    Example:
        Five folds and a spread of 2.6 points:

        >>> round(corrected_t(2.6, n_folds=5, test_train_ratio=0.25, method="shift"), 1)
        6.5
    """
    plan = corrected_t_plan(sd, n_folds=n_folds, test_train_ratio=test_train_ratio)
    return smallest_effect(plan.se, plan.df, alpha=alpha, power=power, method=method)


def paired_t_plan(sd: float, *, n: int) -> StudentPlan:
    """Plan a paired t test over n independent units.

    Args:
        sd: standard deviation of a unit's difference.
        n: units (cases, or means of clusters of equal size), at least 2.

    Returns:
        Its ``margin_power`` is that of TOST and of non-inferiority; all exact for normal
        differences.

    Raises:
        DesignError: fewer than 2 units.

    Example:
        >>> round(paired_t_plan(1.0, n=16).power(0.75), 2)
        0.8
    """
    check_positive("n", n, at_least=2)
    return StudentPlan(sd / math.sqrt(n), n - 1)


def paired_t(sd: float, *, n: int, alpha: float = 0.05, power: float = 0.8) -> float:
    """Find what a paired t test over n independent units (cases, or means of clusters) detects.

    Example:
        >>> round(paired_t(1.0, n=16), 2)
        0.75
    """
    return smallest_effect(sd / math.sqrt(n), n - 1, alpha=alpha, power=power)


def welch_plan(sd_first: float, sd_second: float, *, n_first: int, n_second: int) -> StudentPlan:
    """Plan Welch's t test between two groups of independent units.

    Args:
        sd_first: standard deviation in the first group (of cluster means, where there are any).
        sd_second: the same in the second.
        n_first: units of the first group, at least 2.
        n_second: the same of the second.

    Returns:
        With Welch's degrees of freedom at the true spreads: within 0.03 of the test's power with 5
        units in the smaller group, 0.01 from 10 on.

    Raises:
        DesignError: fewer than 2 units in a group, or no spread in either.

    Source:
        Welch, Biometrika 34:28 (1947).

    Example:
        With equal spreads and sizes it is Student's t:

        >>> plan = welch_plan(1.0, 1.0, n_first=17, n_second=17)
        >>> plan.df, round(plan.power(1.0), 2)
        (32.0, 0.81)
    """
    check_positive("n_first", n_first, at_least=2)
    check_positive("n_second", n_second, at_least=2)
    first, second = sd_first**2 / n_first, sd_second**2 / n_second
    check_positive("sd_first + sd_second", first + second)
    spread = first**2 / (n_first - 1) + second**2 / (n_second - 1)
    return StudentPlan(math.sqrt(first + second), (first + second) ** 2 / spread)


def crossed_t(
    *,
    sd_cluster: float,
    sd_seed: float,
    sd_residual: float,
    n_clusters: int,
    n_seeds: int,
    alpha: float = 0.05,
    power: float = 0.8,
) -> float:
    """Find what the crossed t test of patients and seeds detects.

    Args:
        sd_cluster: spread of the difference between clusters.
        sd_seed: spread of the difference between training seeds.
        sd_residual: spread of what is left in one cluster with one seed.
        n_clusters: clusters, at least 2.
        n_seeds: seeds, at least 2.
        alpha: two-sided level.
        power: probability of detection.

    Returns:
        The smallest effect; see :func:`common.statistics.power_folds.crossed_plan`.

    Raises:
        DesignError: fewer than two clusters or seeds, or a negative spread.

    Example:
        Without spread between seeds more seeds do little:

        >>> few = crossed_t(sd_cluster=1, sd_seed=0, sd_residual=0, n_clusters=50, n_seeds=3)
        >>> many = crossed_t(sd_cluster=1, sd_seed=0, sd_residual=0, n_clusters=50, n_seeds=30)
        >>> round(few, 3) == round(many, 3)
        True
    """
    plan = crossed_plan(
        sd_cluster=sd_cluster,
        sd_seed=sd_seed,
        sd_residual=sd_residual,
        n_clusters=n_clusters,
        n_seeds=n_seeds,
    )
    return plan.smallest_effect(alpha=alpha, power=power)


def clusters_needed(
    effect: float, *, sd_cluster: float, alpha: float = 0.05, power: float = 0.8
) -> int:
    """Find how many clusters a paired t test over cluster means needs.

    Args:
        effect: the effect to detect, not 0.
        sd_cluster: standard deviation of the clusters' mean differences.
        alpha: two-sided level.
        power: probability of detection.

    Returns:
        The smallest number of clusters, at least 2.

    Raises:
        DesignError: the effect is 0.

    Example:
        >>> clusters_needed(0.75, sd_cluster=1.0)
        16
    """
    if effect == 0:
        raise DesignError("`effect` must not be 0, got 0; no number of clusters detects it.")

    def of(n: int) -> float:
        return paired_t_plan(sd_cluster, n=n).power(effect, alpha=alpha)

    return units_needed(of, power=power)


def fitted_plan(name: str, *, se: float, df: float, n_clusters: int | None = None) -> StudentPlan:
    """Plan a named test from the standard error of a fitted estimate.

    What the estimate says of its own precision is taken for the truth; the test's own critical
    value is used, which differs from that of the t law where it flips signs, ranks, resamples, or
    compares a sum with its sum of squares.

    Args:
        name: as in ``paper.yml``.
        se: standard error of the fitted :class:`common.statistics.results.Inference`.
        df: its degrees of freedom.
        n_clusters: independent units; needed where ``df`` is infinite though the test counts
            clusters (clustered McNemar tests).

    Returns:
        For clusters of about equal size.

    Raises:
        DesignError: a test of clusters without a number of them.

    Example:
        Five clusters whose signs are flipped detect nothing:

        >>> fitted_plan("sign_flip_clustered", se=0.1, df=4).smallest_effect()
        inf
        >>> round(fitted_plan("t_clustered", se=0.1, df=4).smallest_effect(), 2)
        0.38
    """
    of_clusters = ("sign_flip", "wilcoxon", "signed_rank", "mcnemar_", "cluster_bootstrap")
    if not name.startswith(of_clusters) or name in ("mcnemar_exact", "mcnemar_midp"):
        return StudentPlan(se, df)
    n = n_clusters if n_clusters is not None else df + 1
    if not 2 <= n < math.inf:
        raise DesignError(f"`n_clusters` must be given for {name} and be >= 2, got {n_clusters!r}.")
    wider = se * math.sqrt(n / (n - 1))  # standard errors around the estimate lack this factor
    if name.startswith("cluster_bootstrap"):
        if name.endswith("studentised"):
            return StudentPlan(wider, n - 1)
        return StudentPlan(wider, math.inf, assumed_se=se, spread_df=n - 1)
    if name.startswith("mcnemar_"):
        own = name in ("mcnemar_obuchowski", "mcnemar_yang")
        factor = n / (n - 1) if own else 1.0
        centred = 0.5 if name == "mcnemar_yang" else 0.0
        level = partial(_score_level, n=n, factor=factor, centred=centred)
        return StudentPlan(se if own else wider, n - 1, level=level)
    if name.startswith("sign_flip"):
        return StudentPlan(wider, n - 1, level=partial(attained_by_flips, n_clusters=int(n)))
    if name.startswith("signed_rank"):
        level = partial(attained_by_flips, n_clusters=int(n))
        return StudentPlan(wider / math.sqrt(NORMAL), n - 1, level=level)
    level = partial(attained_by_signed_ranks, n=int(n))
    return StudentPlan(se / math.sqrt(NORMAL), n - 1, level=level)


def _score_level(alpha: float, *, n: float, factor: float, centred: float) -> float:
    """Return the level of the t test that rejects as the score test of n equal clusters does.

    ``z**2 = n t**2 / (factor (n - 1 + (1 - centred) t**2))``, so that z has an upper bound.
    """
    z2 = factor * float(stats.norm.isf(alpha / 2)) ** 2
    room = n - (1 - centred) * z2
    return float(2 * stats.t.sf(math.sqrt(z2 * (n - 1) / room), n - 1)) if room > 0 else 0.0
