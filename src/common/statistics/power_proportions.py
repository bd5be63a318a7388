"""Power of tests on right and wrong answers of two methods: McNemar's, plain and clustered.

For one rate, or rates of different cases, see :mod:`common.statistics.power_rates`.

The power of tests on counts is summed over the counts themselves, not approximated.  It rises with
the number of cases in a saw-tooth, because p-values come in steps.
"""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from common.statistics.power_forms import simulate_flips
from common.statistics.power_plans import check_levels, search_effect
from common.statistics.results import Array, DesignError, Interval, finite

McNemar = Literal["exact", "mid-p", "asymptotic"]
ClusteredTest = Literal["pooled", "obuchowski", "yang", "durkalski", "wald", "sign_flip"]

_TAIL = 1e-12  # probability of discordant counts that are not summed
STUDIES = 10_000  # simulated studies: the power has a standard error of at most 0.005


def _check_discordance(discordance: float, effect: float) -> None:
    if not 0 < discordance <= 1 or abs(effect) > discordance:
        raise DesignError(
            f"`discordance` must lie in (0, 1] and be at least |effect|, got {discordance!r} for "
            f"an effect of {effect!r}. It is the share of cases that one method alone gets right."
        )


def discordance_bounds(first: float, second: float) -> Interval:
    """Bound the share of cases that only one of two methods gets right, from their accuracies.

    Args:
        first: accuracy of the first method.
        second: accuracy of the second.

    Returns:
        From errors on the same cases as far as possible to errors on different ones; level 1.

    Raises:
        DesignError: an accuracy outside 0..1.

    Example:
        >>> bounds = discordance_bounds(0.9, 0.8)
        >>> round(bounds.low, 6), round(bounds.high, 6)
        (0.1, 0.3)
    """
    if not (0 <= first <= 1 and 0 <= second <= 1):
        raise DesignError(f"accuracies must lie in 0..1, got {first!r} and {second!r}.")
    wrong = (1 - first) + (1 - second)
    return Interval(abs(first - second), min(wrong, 2 - wrong), 1.0)


def independent_discordance(first: float, second: float) -> float:
    """Return the share of cases that one method alone gets right if errors are independent.

    Example:
        >>> round(independent_discordance(0.9, 0.8), 6)      # 0.9 * 0.2 + 0.1 * 0.8
        0.26
    """
    discordance_bounds(first, second)
    return first * (1 - second) + second * (1 - first)


def _critical_counts(total: NDArray[np.int64], alpha: float, method: McNemar) -> Array:
    """Return the largest smaller discordant count that rejects, for each total; -1 if none."""
    if method == "asymptotic":
        z = float(stats.norm.isf(alpha / 2))
        largest = np.floor((total - z * np.sqrt(total)) / 2 * (1 + 1e-12) + 1e-9)
        return np.where(total > 0, largest, -1.0)
    count = stats.binom.ppf(alpha / 2, total, 0.5)
    tail = stats.binom.cdf(count, total, 0.5)
    if method == "mid-p":
        tail = tail - stats.binom.pmf(count, total, 0.5) / 2
    too_many = tail > alpha / 2 * (1 + 1e-12)
    # The p of the next count down has a tail of at most alpha / 2 by the definition of a quantile.
    return np.where(total > 0, count - too_many, -1.0)


def mcnemar_power(
    effect: float,
    *,
    discordance: float,
    n: int,
    alpha: float = 0.05,
    method: McNemar = "exact",
    both_sides: bool = False,
) -> float:
    """Return the power of McNemar's test on independent cases.

    Args:
        effect: true difference of the two rates.
        discordance: share of cases that exactly one method gets right, at least ``|effect|``.
        n: cases.
        alpha: two-sided level.
        method: as in :func:`common.statistics.proportions.mcnemar`.
        both_sides: count rejections on the wrong side too.

    Returns:
        Exact: summed over the binomial law of the number of discordant cases.

    Raises:
        DesignError: a discordance outside (0, 1] or below the effect, or no case.

    Source:
        Connor, Biometrics 43:207 (1987), section 2.

    Example:
        Five cases, all of them discordant and for the first: the exact p is 0.0625 at best.

        >>> mcnemar_power(1.0, discordance=1.0, n=5), mcnemar_power(1.0, discordance=1.0, n=6)
        (0.0, 1.0)
    """
    _check_discordance(discordance, effect)
    if n < 1:
        raise DesignError(f"`n` must be >= 1, got {n!r}.")
    low, high = stats.binom.ppf([_TAIL, 1 - _TAIL], n, discordance)
    total = np.arange(int(low), int(high) + 1)
    critical = _critical_counts(total, alpha, method)
    share = (1 + abs(effect) / discordance) / 2
    reject = stats.binom.cdf(critical, total, 1 - share)
    if both_sides:
        reject = reject + stats.binom.cdf(critical, total, share)
    return float(stats.binom.pmf(total, n, discordance) @ reject)


def mcnemar_effect(
    *,
    discordance: float,
    n: int,
    alpha: float = 0.05,
    power: float = 0.8,
    method: McNemar = "exact",
) -> float:
    """Find the smallest difference of two rates that McNemar's test detects.

    Args:
        discordance: share of cases that exactly one method gets right.
        n: cases.
        alpha: two-sided level.
        power: probability of detection.
        method: as in :func:`mcnemar_power`.

    Returns:
        The difference; infinite if even ``discordance`` itself has not that power.

    Example:
        >>> mcnemar_effect(discordance=0.1, n=30)      # too few discordant cases
        inf
    """
    check_levels(alpha, power)
    _check_discordance(discordance, 0.0)

    def of(effect: float) -> float:
        return mcnemar_power(effect, discordance=discordance, n=n, alpha=alpha, method=method)

    return search_effect(of, power=power, start=discordance / 2, most=discordance)


def mcnemar_margin_power(
    effect: float,
    *,
    discordance: float,
    n: int,
    low: float,
    high: float,
    alpha: float = 0.05,
) -> float:
    """Return the power to show that a difference of paired rates lies between two bounds.

    The tests are those of :class:`common.statistics.proportions.PairedCounts`: one-sided, with the
    Bonett-Price estimate and a normal law.

    Args:
        effect: true difference of the two rates.
        discordance: share of cases that exactly one method gets right.
        n: cases.
        low: lower bound below 0; minus infinity leaves a one-sided test.
        high: upper bound above 0; infinity leaves non-inferiority.
        alpha: level of each one-sided test.

    Returns:
        Exact: summed over both discordant counts.

    Raises:
        DesignError: as :func:`mcnemar_power`, or bounds that do not enclose 0.

    Example:
        >>> at = dict(discordance=0.1, n=200, high=np.inf)
        >>> round(mcnemar_margin_power(0.0, low=-1.0, **at), 6)   # nothing is worse by all cases
        1.0
    """
    _check_discordance(discordance, effect)
    if not low < 0 < high:
        raise DesignError(f"`low` must be < 0 and `high` > 0, got {low!r} and {high!r}.")
    first, last = (int(x) for x in stats.binom.ppf([_TAIL, 1 - _TAIL], n, discordance))
    share = (1 + effect / discordance) / 2
    z, power = float(stats.norm.isf(alpha)), 0.0
    for total in range(first, last + 1):
        b = np.arange(total + 1)
        one, other = (b + 1) / (n + 2), (total - b + 1) / (n + 2)
        half = z * np.sqrt((one + other - (one - other) ** 2) / (n + 2))
        shown = (one - other - half >= low) & (one - other + half <= high)
        chance = stats.binom.pmf(total, n, discordance)
        power += float(chance * stats.binom.pmf(b, total, share)[shown].sum())
    return power


def _sums(
    rng: np.random.Generator, sizes: Array, rates: Array, correlation: float, studies: int
) -> Array:
    """Draw the difference in right answers of every cluster (studies, G).

    Every cluster has its own shares of cases for the first, for the second and for neither, drawn
    from a Dirichlet law, which makes any score of two cases of a cluster correlate alike.
    """
    shape = (studies, len(sizes))
    counts = np.broadcast_to(sizes.astype(np.int64), shape)
    if correlation == 0:
        p = np.broadcast_to(rates, (*shape, 3))
    elif correlation == 1:
        kind = rng.choice(3, p=rates, size=shape)
        return np.asarray((kind == 0).astype(float) - (kind == 1)) * counts
    else:
        weight = rng.gamma(np.maximum(rates * (1 / correlation - 1), 1e-300), size=(*shape, 3))
        total = weight.sum(axis=2, keepdims=True)
        p = np.divide(weight, total, out=np.zeros_like(weight), where=total > 0)
    b = rng.binomial(counts, np.clip(p[..., 0], 0, 1))
    left = np.maximum(1 - p[..., 0], 1e-300)
    c = rng.binomial(counts - b, np.clip(p[..., 1] / left, 0, 1))
    return (b - c).astype(np.float64)


def _clustered_z(sums: Array, sizes: Array, method: ClusteredTest) -> Array:
    """Return the clustered McNemar z of every study."""
    weights, n = sizes, len(sizes)
    if method == "durkalski":
        sums, weights = sums / sizes, np.ones_like(sizes)
    centred = {"yang": 0.5, "wald": 1.0}.get(method, 0.0)
    factor = n / (n - 1) if method in ("obuchowski", "yang") else 1.0
    estimate = sums.sum(axis=1, keepdims=True) / weights.sum()
    square = (1 - centred) * (sums**2).sum(axis=1)
    square += centred * ((sums - weights * estimate) ** 2).sum(axis=1)
    root = np.sqrt(factor * square)
    return np.divide(sums.sum(axis=1), root, out=np.zeros(len(sums)), where=root > 0)


def mcnemar_clustered_power(
    effect: float,
    *,
    discordance: float,
    correlation: float,
    sizes: ArrayLike,
    rng: np.random.Generator,
    alpha: float = 0.05,
    method: ClusteredTest = "pooled",
    studies: int = STUDIES,
    both_sides: bool = False,
) -> float:
    """Return the power of a clustered test on right and wrong answers, by simulation.

    Where few cases are discordant, the sums of clusters are far from normal, and a normal plan
    (:func:`common.statistics.power_clusters.score_plan`) can be wrong by 0.1.

    Args:
        effect: true difference of the two rates.
        discordance: share of cases that exactly one method gets right.
        correlation: intraclass correlation of the differences, 0 to 1.
        sizes (G,): cases of each cluster.
        rng: source of the studies.
        alpha: two-sided level.
        method: as in :func:`common.statistics.proportions.mcnemar_clustered`; ``wald`` for the
            normal approximation of a cluster bootstrap; or ``sign_flip``.
        studies: simulated studies.
        both_sides: count rejections on the wrong side too.

    Returns:
        Share of studies that reject; clusters' shares follow a Dirichlet law.

    Raises:
        DesignError: as :func:`mcnemar_power`, or fewer than two clusters.

    Example:
        Complete correlation, all discordant, all for the first: z is the root of the clusters.

        >>> at = dict(discordance=1.0, correlation=1.0, rng=np.random.default_rng(0))
        >>> mcnemar_clustered_power(1.0, sizes=[4] * 3, **at)      # sqrt(3) < 1.96
        0.0
        >>> mcnemar_clustered_power(1.0, sizes=[4] * 4, **at)      # sqrt(4) > 1.96
        1.0
    """
    _check_discordance(discordance, effect)
    m = finite("sizes", sizes, at_least=2)
    if not 0 <= correlation <= 1:
        raise DesignError(f"`correlation` must lie in 0..1, got {correlation!r}.")
    rates = np.array([(discordance + abs(effect)) / 2, (discordance - abs(effect)) / 2])
    rates = np.append(rates, 1 - discordance)
    sums = _sums(rng, m, rates, correlation, studies)
    if method == "sign_flip":
        rejects = simulate_flips(m, np.ones_like(m), rng=rng).p_of(sums) <= alpha
    else:
        z = _clustered_z(sums, m, method)
        rejects = 2 * stats.norm.sf(np.abs(z)) <= alpha
    if not both_sides:
        rejects &= sums.sum(axis=1) > 0
    return float(np.mean(rejects))
