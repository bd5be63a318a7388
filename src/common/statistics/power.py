"""What a design can find: smallest detectable effects, smallest reachable p, clusters needed.

Effects and standard deviations are in the unit of the metric.  All functions hold for one two-sided
test; a claim that shares its family with others needs a larger effect than given here.
"""

import math
from typing import Literal

import numpy as np
from scipy import optimize, stats

from common.statistics.results import DesignError

Method = Literal["noncentral", "shift"]


def achieved(effect: float, se: float, df: float, *, alpha: float = 0.05) -> float:
    """Return the power of a two-sided t test for a true effect.

    Args:
        effect: the true effect.
        se: standard error of its estimate.
        df: degrees of freedom; infinite for a normal test.
        alpha: two-sided level.

    Returns:
        Probability of rejection on the side of the effect (the other side is negligible).

    Example:
        >>> round(achieved(2.8, 1.0, math.inf), 2)   # 1.96 + 0.84 standard errors
        0.8
    """
    critical = stats.t.isf(alpha / 2, df)
    shift = abs(effect) / se
    if math.isinf(df):
        return float(stats.norm.sf(critical - shift))
    power = stats.nct.sf(critical, df, shift)
    # scipy's noncentral t underflows to NaN far in the tail, where the power is 1.
    return float(1.0 if np.isnan(power) else power)


def smallest_effect(
    se: float,
    df: float,
    *,
    alpha: float = 0.05,
    power: float = 0.8,
    method: Method = "noncentral",
) -> float:
    """Find the smallest true effect that a two-sided t test detects with a given power.

    Args:
        se: standard error of the estimate; 0 gives 0, NaN gives NaN.
        df: degrees of freedom; infinite for a normal test.
        alpha: two-sided level.
        power: probability of detection.
        method: ``noncentral`` is exact; ``shift`` adds two t quantiles, which is common in print
            and slightly too small when df is.

    Returns:
        The effect, at least 0, in the unit of ``se``.

    Example:
        >>> round(smallest_effect(1.0, math.inf), 2)
        2.8
    """
    if not 0 < alpha < power < 1:
        raise DesignError(f"`power` must lie between `alpha` and 1, got {power!r} and {alpha!r}.")
    if not se > 0 or not df > 0:
        return 0.0 if se == 0 else math.nan
    shift = float(stats.t.isf(alpha / 2, df) + stats.t.isf(1 - power, df))
    if method == "shift" or math.isinf(df):
        return shift * se
    upper = shift
    while achieved(upper, 1.0, df, alpha=alpha) < power:
        upper *= 2
    root = optimize.brentq(lambda x: achieved(x, 1.0, df, alpha=alpha) - power, 0.0, upper)
    return float(root) * se


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
    se = sd * math.sqrt(1 / n_folds + test_train_ratio)
    return smallest_effect(se, n_folds - 1, alpha=alpha, power=power, method=method)


def paired_t(sd: float, *, n: int, alpha: float = 0.05, power: float = 0.8) -> float:
    """Find what a paired t test over n independent units (cases, or means of clusters) detects.

    Example:
        >>> round(paired_t(1.0, n=16), 2)
        0.75
    """
    return smallest_effect(sd / math.sqrt(n), n - 1, alpha=alpha, power=power)


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
        The smallest effect, with Satterthwaite's degrees of freedom at the expected mean squares.

    Example:
        Without spread between seeds more seeds help only through the residual:

        >>> few = crossed_t(sd_cluster=1, sd_seed=0, sd_residual=0, n_clusters=50, n_seeds=3)
        >>> many = crossed_t(sd_cluster=1, sd_seed=0, sd_residual=0, n_clusters=50, n_seeds=30)
        >>> round(few, 3) == round(many, 3)
        True
    """
    residual = sd_residual**2
    by_cluster = residual + n_seeds * sd_cluster**2
    by_seed = residual + n_clusters * sd_seed**2
    total = by_cluster + by_seed - residual
    df_c, df_s = n_clusters - 1, n_seeds - 1
    spread = by_cluster**2 / df_c + by_seed**2 / df_s + residual**2 / (df_c * df_s)
    se = math.sqrt(total / (n_clusters * n_seeds))
    return smallest_effect(se, total**2 / spread if spread else 1, alpha=alpha, power=power)


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
    upper = 2
    while paired_t(sd_cluster, n=upper, alpha=alpha, power=power) > abs(effect):
        upper *= 2
    low = upper // 2
    while upper - low > 1:
        middle = (low + upper) // 2
        enough = paired_t(sd_cluster, n=max(middle, 2), alpha=alpha, power=power) <= abs(effect)
        low, upper = (low, middle) if enough else (middle, upper)
    return max(upper, 2)


def smallest_p_sign_flip(n_clusters: int) -> float:
    """Return the smallest two-sided p that flipping the signs of n clusters can reach.

    The two-sided Wilcoxon signed-rank test reaches the same.

    Example:
        >>> smallest_p_sign_flip(5)
        0.0625
    """
    return min(1.0, 2.0 ** (1 - n_clusters))


def smallest_p_wilcoxon(n: int) -> float:
    """Return the smallest two-sided p of a Wilcoxon signed-rank test on n untied differences.

    Example:
        >>> smallest_p_wilcoxon(5)
        0.0625
    """
    return smallest_p_sign_flip(n)


def smallest_p_friedman(n_blocks: int, n_arms: int, *, exact: bool = True) -> float:
    """Return the smallest p of a Friedman test, reached when all blocks rank alike.

    Args:
        n_blocks: blocks (folds, patients).
        n_arms: methods ranked in each block.
        exact: by counting permutations; else by the chi-square law that
            :func:`common.statistics.ranking.friedman` uses.

    Example:
        Three methods on two folds cannot reach 0.05; all 6 common orders out of 36 give 1/6:

        >>> round(smallest_p_friedman(2, 3), 4)
        0.1667
    """
    if exact:
        return float(math.factorial(n_arms)) ** (1 - n_blocks)
    return float(stats.chi2.sf(n_blocks * (n_arms - 1), n_arms - 1))
