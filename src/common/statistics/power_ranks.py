"""Power of rank tests of independent units: signed ranks, Mann-Whitney, Kruskal-Wallis.

For ranks inside blocks see :mod:`common.statistics.power_blocks`.

For normal values a rank test of n units is taken as the t or F test of ``n times 3 / pi`` units
(Pitman's efficiency), at the level that its ranks can reach; with few units that is far closer to
the truth than a normal law of the rank sum.  Other laws are simulated.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from common.statistics.power_clusters import cluster_se
from common.statistics.power_plans import StudentPlan, check_levels, check_positive, search_effect
from common.statistics.results import Array, DesignError, finite
from common.statistics.signed_rank import EXACT_CASES, rank_law
from common.statistics.signed_rank_clustered import Weights

NORMAL = 3 / math.pi
STUDIES = 4_000  # simulated studies: the power has a standard error of at most 0.008


@lru_cache(maxsize=256)
def _tail_levels(n: int) -> Array:
    """Return the chance that the signed-rank sum of n untied differences is at most 0, 1, ..."""
    law = rank_law(np.arange(1, n + 1))
    return np.cumsum(law[: len(law) // 2 + 1])


def _critical_sum(alpha: float, n: int) -> int:
    """Return the largest sum of the rarer sign's ranks that rejects; -1 if none."""
    return int(np.searchsorted(_tail_levels(n), alpha / 2 * (1 + 1e-12), side="right")) - 1


def attained_by_signed_ranks(alpha: float, n: int) -> float:
    """Return the largest two-sided level up to ``alpha`` that signed ranks of n cases reach.

    Above 100 cases the test uses a normal law, and the level is ``alpha``.

    Example:
        >>> attained_by_signed_ranks(0.05, 5), attained_by_signed_ranks(0.05, 6)
        (0.0, 0.03125)
    """
    if n > EXACT_CASES:
        return alpha
    critical = _critical_sum(alpha, n)
    return 2 * float(_tail_levels(n)[critical]) if critical >= 0 else 0.0


@dataclass(frozen=True)
class SignedRankPlan(StudentPlan):
    """A t test with fewer cases, exact where only differences of one sign reject.

    Args:
        n: cases.
        sd: standard deviation of a difference.
    """

    n: int = 0
    sd: float = 1.0

    def power(self, effect: float, *, alpha: float = 0.05, both_sides: bool = False) -> float:
        """Return the probability of rejection at a true shift."""
        if self.n <= EXACT_CASES and _critical_sum(alpha, self.n) == 0:
            z = abs(effect) / self.sd
            alike = float(stats.norm.cdf(z) ** self.n)
            return alike + float(stats.norm.sf(z) ** self.n) if both_sides else alike
        return super().power(effect, alpha=alpha, both_sides=both_sides)


@dataclass(frozen=True)
class SimulatedRankPlan:
    """Wilcoxon's signed-rank test, tried on simulated studies.

    All effects are tried on the same studies.

    Args:
        noise (R, n): symmetric differences without effect, one row a study.
        se: standard error of their mean.
    """

    noise: Array
    se: float

    def power(self, effect: float, *, alpha: float = 0.05) -> float:
        """Return the share of studies in which the test rejects, on the side of the effect."""
        n = self.noise.shape[1]
        if n <= EXACT_CASES:
            critical = n * (n + 1) / 2 - _critical_sum(alpha, n)
        else:
            spread = math.sqrt(n * (n + 1) * (2 * n + 1) / 24)
            critical = n * (n + 1) / 4 + float(stats.norm.isf(alpha / 2)) * spread
        d = self.noise + abs(effect)
        ranks = np.argsort(np.argsort(np.abs(d), axis=1), axis=1) + 1
        return float(np.mean((ranks * (d > 0)).sum(axis=1) >= critical))

    def smallest_effect(self, *, alpha: float = 0.05, power: float = 0.8) -> float:
        """Find the smallest effect with a power; infinite if p cannot fall to alpha."""
        check_levels(alpha, power)
        if self.noise.shape[1] <= EXACT_CASES and _critical_sum(alpha, self.noise.shape[1]) < 0:
            return math.inf
        return search_effect(
            lambda effect: self.power(effect, alpha=alpha),
            power=power,
            start=3 * self.se,
            tolerance=1e-3,
        )


def signed_rank_plan(
    sd: float,
    *,
    n: int,
    law: stats.rv_continuous | None = None,
    rng: np.random.Generator | None = None,
) -> StudentPlan | SimulatedRankPlan:
    """Plan Wilcoxon's signed-rank test of a shift.

    Args:
        sd: standard deviation of the differences.
        n: independent differences (cases, or means of clusters).
        law: frozen, symmetric scipy distribution, which is moved to 0 and scaled to ``sd``; None
            for normal differences.
        rng: source of 4,000 simulated studies, for another law only.

    Returns:
        For normal differences within 0.01 of the exact test for any n.

    Raises:
        DesignError: fewer than 2 differences, no spread, or a law without ``rng``.

    Source:
        Lehmann, Nonparametrics (1975), section 4.2, for the efficiency.

    Example:
        Of 6 differences all must have one sign:

        >>> plan = signed_rank_plan(1.0, n=6)
        >>> round(plan.power(1.0), 4), round(float(stats.norm.cdf(1.0)) ** 6, 4)
        (0.3547, 0.3547)
    """
    check_positive("n", n, at_least=2)
    check_positive("sd", sd)
    if law is None:
        level = partial(attained_by_signed_ranks, n=n)
        return SignedRankPlan(sd / math.sqrt(n * NORMAL), n - 1, level=level, n=n, sd=sd)
    if rng is None:
        raise DesignError("`rng` must be given with a `law`, got None; such plans are simulated.")
    noise = law.rvs(size=(STUDIES, n), random_state=rng) - law.mean()
    return SimulatedRankPlan(noise * (sd / law.std()), sd / math.sqrt(n))


def clustered_signed_rank_plan(
    sd: float, *, correlation: float, sizes: ArrayLike, weights: Weights = "cases"
) -> StudentPlan:
    """Plan the signed-rank test of clustered cases (Rosner, Glynn and Lee), normal differences.

    Args:
        sd: standard deviation of one case's difference.
        correlation: intraclass correlation of the differences.
        sizes (G,): cases of each cluster.
        weights: as in :func:`common.statistics.paired.signed_rank_clustered`; ``rosner`` gains
            power where sizes differ.

    Returns:
        A t test over clusters.  The signed ranks of two cases of a cluster correlate by r =
        ``6 / pi * arcsin(correlation / 2)``, and a cluster of m cases is worth
        ``m / (1 + (m - 1) r)`` independent ones, times 3 / pi.  For at least about 15 clusters,
        with sizes that vary by less than their mean, within 0.03 of the test by flips or normal
        law.

    Raises:
        DesignError: as :func:`common.statistics.power_clusters.cluster_se`.

    Source:
        Rosner, Glynn and Lee, Biometrics 62:185 (2006), section 3.

    Example:
        One case a cluster leaves the plain test's standard error:

        >>> plan = clustered_signed_rank_plan(1.0, correlation=0.3, sizes=[1] * 30)
        >>> round(plan.se, 6) == round(signed_rank_plan(1.0, n=30).se, 6)
        True
    """
    m = finite("sizes", sizes, at_least=2)
    alike = 6 / math.pi * math.asin(correlation / 2)
    se = cluster_se(sd, correlation=alike, sizes=m)
    if weights == "rosner":
        se = sd / math.sqrt((m / (1 + (m - 1) * alike)).sum())
    return StudentPlan(se / math.sqrt(NORMAL), float(len(m) - 1))


def attained_by_mann_whitney(alpha: float, n_first: int, n_second: int) -> float:
    """Return the largest two-sided level up to ``alpha`` that the exact Mann-Whitney test reaches.

    Example:
        >>> attained_by_mann_whitney(0.05, 3, 3), round(attained_by_mann_whitney(0.05, 4, 4), 4)
        (0.0, 0.0286)
    """
    if n_first * n_second > 2_500:  # steps of the level are then below 0.0003
        return alpha
    levels = 2 * np.array(_mann_whitney_levels(*sorted((n_first, n_second))))
    reached = levels[levels <= alpha * (1 + 1e-12)]
    return float(reached[-1]) if len(reached) else 0.0


@lru_cache(maxsize=256)
def _mann_whitney_levels(n: int, m: int) -> tuple[float, ...]:
    """Return the one-sided levels that U of two groups reaches, from its exact law.

    The largest value belongs to the first group with probability n / (n + m), and is then above
    all m others.
    """
    laws = [np.ones(1)] * (m + 1)  # of groups of 0 and j
    for i in range(1, n + 1):
        row = [np.ones(1)]
        for j in range(1, m + 1):
            law = np.zeros(i * j + 1)
            law[j:] += i / (i + j) * laws[j]
            law[: i * (j - 1) + 1] += j / (i + j) * row[j - 1]
            row.append(law)
        laws = row
    return tuple(np.cumsum(laws[m])[: n * m // 2 + 1])


def mann_whitney_plan(
    sd: float,
    *,
    n_first: int,
    n_second: int,
    exact: bool = True,
) -> StudentPlan:
    """Plan the Mann-Whitney test of a shift between two groups of independent units.

    Cliff's delta is its effect size; for a shift of normal values see :func:`delta_of_shift`.

    Args:
        sd: standard deviation within a group.
        n_first: units of the first group.
        n_second: units of the second.
        exact: whether p comes from the exact law, which reaches only some levels.

    Returns:
        For normal values within 0.02 of the exact test.

    Raises:
        DesignError: an empty group, fewer than 3 units in all, or no spread.

    Source:
        Lehmann, Nonparametrics (1975), section 2.4, for the efficiency.

    Example:
        Groups of 3 have 20 arrangements, so that two-sided p is never below 0.1:

        >>> mann_whitney_plan(1.0, n_first=3, n_second=3).power(5.0)
        0.0
    """
    check_positive("n_first", n_first, at_least=1)
    check_positive("n_second", n_second, at_least=1)
    check_positive("n_first + n_second", n_first + n_second, at_least=3)
    check_positive("sd", sd)
    level = partial(attained_by_mann_whitney, n_first=n_first, n_second=n_second)
    return StudentPlan(
        sd * math.sqrt((1 / n_first + 1 / n_second) / NORMAL),
        float(n_first + n_second - 2),
        level=level if exact else None,
    )


def delta_of_shift(shift: float, sd: float) -> float:
    """Return Cliff's delta of two normal groups of equal spread, ``2 Phi(d / sqrt 2) - 1``.

    Example:
        >>> round(delta_of_shift(1.0, 1.0), 4)
        0.5205
    """
    return float(special.erf(shift / (2 * sd)))


def shift_of_delta(delta: float, sd: float) -> float:
    """Return the shift between two normal groups that has a given Cliff's delta.

    Example:
        >>> round(shift_of_delta(0.5205, 1.0), 3)
        1.0
    """
    return float(2 * sd * special.erfinv(delta))


def kruskal_power(means: ArrayLike, *, sd: float, sizes: ArrayLike, alpha: float = 0.05) -> float:
    """Return the power of the Kruskal-Wallis test for normal groups that are shifted.

    Args:
        means (k,): true means of the groups.
        sd: standard deviation within a group.
        sizes (k,): independent units of each group.
        alpha: level of the chi-square law.

    Returns:
        The noncentral F with ``3 / pi`` times the noncentrality, at the F to which the critical
        chi-square belongs: within 0.04 for groups of 5, 0.03 from 10 on.

    Raises:
        DesignError: fewer than two groups, unequal lengths, an empty group or no spread.

    Source:
        Andrews, Ann Math Stat 25:724 (1954), for the efficiency.

    Example:
        >>> round(kruskal_power([0, 0, 1], sd=1.0, sizes=[20, 20, 20]), 2)
        0.88
    """
    mu, n = finite("means", means, at_least=2), finite("sizes", sizes, at_least=2)
    check_positive("sd", sd)
    if n.shape != mu.shape or (n < 1).any():
        raise DesignError(f"`sizes` must hold {len(mu)} counts >= 1, got {n.tolist()!r}.")
    total, k = float(n.sum()), len(mu)
    critical = float(stats.chi2.isf(alpha, k - 1))
    if critical >= total - 1:
        return 0.0
    f = critical / (k - 1) * (total - k) / (total - 1 - critical)
    away = float(n @ (mu - (n @ mu) / total) ** 2) / sd**2 * NORMAL
    return float(stats.ncf.sf(f, k - 1, total - k, away))


def smallest_spread(
    power_of: Callable[[Array], float],
    pattern: ArrayLike,
    *,
    alpha: float = 0.05,
    power: float = 0.8,
) -> Array:
    """Scale a pattern of arm or group means until a test detects it.

    Args:
        power_of: power at given means.
        pattern (k,): means of the right shape; [0, 0, 1] is one arm that is better.
        alpha: level of the test.
        power: probability of detection.

    Returns:
        The means (k,); infinite or NaN where no size has the power.

    Raises:
        DesignError: a pattern without differences.

    Example:
        >>> found = smallest_spread(
        ...     lambda means: kruskal_power(means, sd=1.0, sizes=[20, 20, 20]), [0, 0, 1]
        ... )
        >>> round(kruskal_power(found, sd=1.0, sizes=[20, 20, 20]), 6)
        0.8
    """
    check_levels(alpha, power)
    shape = finite("pattern", pattern, at_least=2)
    width = float(np.ptp(shape))
    check_positive("range of pattern", width)
    scale = search_effect(lambda x: power_of(shape * x), power=power, start=1.0)
    return np.asarray(shape * scale)
