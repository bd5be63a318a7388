"""Tests that compare a sum over clusters with its sum of squares, and that flip their signs.

Both are decided by the sign of a quadratic form of the clusters' sums; for normal sums its law is
known, so that the power of these tests is exact however unequal the clusters are.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import stats

from common.statistics.permutation import EXACT_CLUSTERS
from common.statistics.power_plans import check_levels, search_effect
from common.statistics.results import Array

FLIP_STUDIES = 2_000  # simulated studies: the power has a standard error of at most 0.011
_FLIP_PATTERNS = 2_000  # random sign patterns of each, where not all are listed
_ROWS = 100  # studies flipped at once
_LOW, _HIGH, _STEP = -30.0, 40.0, 0.05  # of the logarithm of the integration variable
_FINE_SHIFT, _FAR_SHIFT = 30.0, 2_000.0  # above these steps become smaller; shifts are cut off
_CHUNK = 2_000_000  # numbers held in memory at once


def positive_share(eigenvalues: Array, shifts: Array) -> float:
    """Return the probability that a quadratic form of normal numbers is above 0.

    The form is the sum of ``eigenvalue * (z + shift)**2`` with independent standard normal z.

    Args:
        eigenvalues (k,): of the form; those below 1e-12 of the largest count as 0.
        shifts (k,): means of the normal numbers; a length above 2,000 counts as 2,000.

    Returns:
        Imhof's integral by the trapezoid rule in the logarithm of its variable, to about 1e-9.

    Source:
        Imhof, Biometrika 48:419 (1961), equation 3.2.

    Example:
        Two independent squares are equally often the larger one:

        >>> round(positive_share(np.array([1.0, -1.0]), np.zeros(2)), 6)
        0.5
    """
    largest = np.abs(eigenvalues).max()
    kept = np.abs(eigenvalues) > 1e-12 * largest
    size, shift = eigenvalues[kept] / largest, shifts[kept]
    if (size > 0).all() or (size < 0).all():
        return float(size[0] > 0)
    away = float(np.linalg.norm(shift))
    if away > _FAR_SHIFT:
        shift, away = shift * (_FAR_SHIFT / away), _FAR_SHIFT
    step = _STEP * min(1.0, _FINE_SHIFT / max(away, 1.0))
    # Large shifts move what counts towards 0.
    u = np.exp(np.arange(_LOW, _HIGH, step) - math.log1p(away**2))
    parts = np.array_split(u, math.ceil(len(u) * len(size) / _CHUNK))
    found = 0.5 + sum(_imhof(part, size, shift) for part in parts) * step / np.pi
    return float(min(max(found, 0.0), 1.0))


def _imhof(u: Array, size: Array, shift: Array) -> float:
    """Sum Imhof's integrand, times u, over the points u."""
    scaled = size * u[:, None]
    square = scaled**2
    angle = (np.arctan(scaled) + shift**2 * scaled / (1 + square)).sum(axis=1) / 2
    damping = (np.log1p(square) / 4 + shift**2 * square / (1 + square) / 2).sum(axis=1)
    return float((np.sin(angle) * np.exp(-damping)).sum())


@dataclass(frozen=True)
class ScorePlan:
    """A test that compares a sum over clusters with its own sum of squares.

    It rejects if ``sum(s)**2 > quantile**2 * factor * ((1 - c) sum(s**2) + c sum((s - m d)**2))``
    with s the sum of a cluster, m its weight and d the estimate ``sum(s) / sum(m)``.  For normal
    sums the probability of that is exact; a rejection on the wrong side counts too.

    Args:
        weights (G,): m, so that the mean of s is m times the effect.
        variances (G,): variance of s.
        factor: multiplies the variance that the test estimates.
        centred: c, the share of that variance that is taken around the estimate.
        df: of the quantile; infinite for a normal one.
    """

    weights: Array
    variances: Array
    factor: float = 1.0
    centred: float = 0.0
    df: float = math.inf

    @property
    def se(self) -> float:
        """True standard error of the estimate."""
        return float(math.sqrt(self.variances.sum()) / self.weights.sum())

    @cached_property
    def _forms(self) -> tuple[Array, Array]:
        """Return the forms of the squared sum and of the estimated variance, in standard sums."""
        root = np.sqrt(self.variances)
        ones = np.ones_like(root)
        part = (
            np.eye(len(root))
            - self.centred
            * (np.outer(self.weights, ones) + np.outer(ones, self.weights))
            / self.weights.sum()
        )
        m2 = float(self.weights @ self.weights)
        part += self.centred * m2 / self.weights.sum() ** 2
        return np.outer(root, root), self.factor * part * np.outer(root, root)

    def _quantile(self, alpha: float) -> float:
        return float(stats.t.isf(alpha / 2, self.df))

    def _eigen(self, alpha: float) -> tuple[Array, Array]:
        """Return eigenvalues, and shifts for an effect of 1."""
        square, spread = self._forms
        values, vectors = np.linalg.eigh(square - self._quantile(alpha) ** 2 * spread)
        return values, vectors.T @ (self.weights / np.sqrt(self.variances))

    def power(self, effect: float, *, alpha: float = 0.05) -> float:
        """Return the probability of rejection at a true effect, on either side."""
        values, shifts = self._eigen(alpha)
        return positive_share(values, shifts * effect)

    def smallest_effect(self, *, alpha: float = 0.05, power: float = 0.8) -> float:
        """Find the smallest effect with a power; infinite if the clusters are too few."""
        check_levels(alpha, power)
        values, shifts = self._eigen(alpha)
        return search_effect(
            lambda effect: positive_share(values, shifts * effect), power=power, start=3 * self.se
        )


def attained_by_flips(alpha: float, n_clusters: int) -> float:
    """Return the largest two-sided level up to ``alpha`` that flipping n signs reaches.

    Example:
        >>> attained_by_flips(0.05, 6), attained_by_flips(0.05, 5)     # 1 of 32 pairs; none
        (0.03125, 0.0)
    """
    if n_clusters > 40:
        return alpha
    pairs = 2.0 ** (n_clusters - 1)
    return math.floor(alpha * pairs * (1 + 1e-12)) / pairs


@dataclass(frozen=True)
class FlipPlan:
    """A test that flips the signs of whole clusters.

    Args:
        weights (G,): so that the mean of a cluster's sum is its weight times the effect.
        variances (G,): variance of the sum.
    """

    weights: Array
    variances: Array

    @property
    def se(self) -> float:
        """True standard error of the estimate."""
        return float(math.sqrt(self.variances.sum()) / self.weights.sum())

    def _score(self, alpha: float) -> ScorePlan | None:
        """Return the score test with as many rejections under the null; None if never any."""
        n = len(self.weights)
        level = attained_by_flips(alpha, n)
        if level == 0:
            return None
        t2 = float(stats.t.isf(level / 2, n - 1)) ** 2
        # For equal clusters sum(s)**2 / sum(s**2) = n t**2 / (n - 1 + t**2).
        z2 = float(stats.norm.isf(alpha / 2)) ** 2
        return ScorePlan(self.weights, self.variances, n * t2 / (n - 1 + t2) / z2)

    def power(self, effect: float, *, alpha: float = 0.05) -> float:
        """Return the probability of rejection at a true effect."""
        n = len(self.weights)
        if 0 < attained_by_flips(alpha, n) <= 2.0 ** (1 - n):
            # Only the two patterns with all signs alike reject.
            shift = self.weights * effect / np.sqrt(self.variances)
            return float(stats.norm.cdf(shift).prod() + stats.norm.sf(shift).prod())
        plan = self._score(alpha)
        return 0.0 if plan is None else plan.power(effect, alpha=alpha)

    def smallest_effect(self, *, alpha: float = 0.05, power: float = 0.8) -> float:
        """Find the smallest effect with a power; infinite if p cannot fall to alpha."""
        check_levels(alpha, power)
        if attained_by_flips(alpha, len(self.weights)) == 0:
            return math.inf
        return search_effect(
            lambda effect: self.power(effect, alpha=alpha), power=power, start=3 * self.se
        )


@dataclass(frozen=True)
class SimulatedFlipPlan:
    """A test that flips the signs of whole clusters, tried on simulated studies.

    All effects are tried on the same studies with the same sign patterns, so that the power rises
    with the effect.

    Args:
        weights (G,): so that the mean of a cluster's sum is its weight times the effect.
        variances (G,): variance of the sum.
        noise (R, G): standard normal numbers, one row a study.
        signs (P, G): patterns of -1 and 1; half of all there are, or random ones.
        listed: whether the patterns with their mirror images are all there are.
    """

    weights: Array
    variances: Array
    noise: Array
    signs: Array
    listed: bool

    @property
    def se(self) -> float:
        """True standard error of the estimate."""
        return float(math.sqrt(self.variances.sum()) / self.weights.sum())

    def p_of(self, sums: Array) -> Array:
        """Return the two-sided p of every study (rows of cluster sums)."""
        parts = np.array_split(sums, math.ceil(len(sums) / _ROWS))
        return np.concatenate([self._p(part) for part in parts])

    def _p(self, sums: Array) -> Array:
        found = sums @ self.signs.T
        slack = 1e-9 * np.abs(sums).sum(axis=1, keepdims=True)
        total = np.abs(sums.sum(axis=1, keepdims=True)) - slack
        beyond = (found >= total).sum(axis=1) + self.listed * (found <= -total).sum(axis=1)
        if self.listed:
            return np.asarray(np.minimum(1.0, beyond / len(self.signs)))
        return np.asarray(np.minimum(1.0, 2 * (beyond + 1) / (len(self.signs) + 1)))

    def power(self, effect: float, *, alpha: float = 0.05) -> float:
        """Return the share of studies in which the test rejects at a true effect."""
        sums = self.weights * effect + np.sqrt(self.variances) * self.noise
        return float(np.mean(self.p_of(sums) <= alpha))

    def smallest_effect(self, *, alpha: float = 0.05, power: float = 0.8) -> float:
        """Find the smallest effect with a power; infinite if p cannot fall to alpha."""
        check_levels(alpha, power)
        if attained_by_flips(alpha, len(self.weights)) == 0:
            return math.inf
        return search_effect(
            lambda effect: self.power(effect, alpha=alpha),
            power=power,
            start=3 * self.se,
            tolerance=1e-3,
        )


def simulate_flips(
    weights: Array, variances: Array, *, rng: np.random.Generator
) -> SimulatedFlipPlan:
    """Draw the studies and sign patterns of a :class:`SimulatedFlipPlan`."""
    n = len(weights)
    listed = n <= EXACT_CLUSTERS
    if listed:
        bits = (np.arange(2 ** (n - 1))[:, None] >> np.arange(n)) & 1
    else:
        bits = rng.integers(0, 2, size=(_FLIP_PATTERNS, n))
    noise = rng.normal(size=(FLIP_STUDIES, n))
    return SimulatedFlipPlan(weights, variances, noise, np.where(bits == 1, -1.0, 1.0), listed)
