"""Right or wrong: the interval for one proportion, and the names of the paired and clustered tests.

The tests live in :mod:`common.statistics.mcnemar` (independent cases) and
:mod:`common.statistics.clustered_proportions` (cases in clusters).
"""

from typing import Literal

from statsmodels.stats.proportion import proportion_confint

from common.statistics.clustered_proportions import (
    ClusteredMcNemar,
    ClusteredScore,
    clustered_score,
    effective_cases,
    mcnemar_clustered,
    mcnemar_clustered_inference,
    mcnemar_clustered_pairs,
    proportion_interval_clustered,
)
from common.statistics.mcnemar import (
    McNemar,
    PairedCounts,
    PairedInterval,
    PairedScore,
    discordant,
    mcnemar,
    mcnemar_inference,
    paired_difference_interval,
)
from common.statistics.results import DesignError, Interval

__all__ = [
    "ClusteredMcNemar",
    "ClusteredScore",
    "McNemar",
    "PairedCounts",
    "PairedInterval",
    "PairedScore",
    "clustered_score",
    "discordant",
    "effective_cases",
    "mcnemar",
    "mcnemar_clustered",
    "mcnemar_clustered_inference",
    "mcnemar_clustered_pairs",
    "mcnemar_inference",
    "paired_difference_interval",
    "proportion_interval",
    "proportion_interval_clustered",
]


def proportion_interval(
    right: int, n: int, *, method: Literal["wilson", "exact"] = "wilson", level: float = 0.95
) -> Interval:
    """Bound one proportion of independent cases.

    The unit is the case; for cases in clusters see :func:`proportion_interval_clustered`.  Both
    methods hold for any n.

    Args:
        right: cases counted.
        n: all cases, > 0.
        method: ``wilson`` score interval, or ``exact`` (Clopper-Pearson, conservative).
        level: confidence.

    Raises:
        DesignError: n < 1 or counts outside 0..n.

    Source:
        Wilson, J Am Stat Assoc 22:209 (1927); Clopper and Pearson, Biometrika 26:404 (1934).

    Example:
        >>> round(proportion_interval(0, 10, method="exact").high, 4)   # 1 - 0.025 ** 0.1
        0.3085
    """
    if not 0 <= right <= n or n < 1:
        raise DesignError(f"`right` must lie in 0..n with n > 0, got {right!r} of {n!r}.")
    name = "wilson" if method == "wilson" else "beta"
    low, high = proportion_confint(right, n, alpha=1 - level, method=name)
    return Interval(float(low), float(high), level)
