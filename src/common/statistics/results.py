"""What tests return, and the checks of arrays that all of them share."""

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from common.errors import ReplicateError

Array = NDArray[np.float64]


class DesignError(ReplicateError, ValueError):
    """The data cannot answer the question: too few units, unpaired or non-finite values."""


@dataclass(frozen=True)
class Interval:
    """A two-sided confidence interval; an open end is infinite.

    Example:
        >>> Interval(-0.01, 0.02, 0.95).inside(-0.05, 0.05)
        True
    """

    low: float
    high: float
    level: float

    def inside(self, low: float, high: float) -> bool:
        """Tell whether the whole interval lies strictly between two bounds."""
        return low < self.low and self.high < high

    def outside(self, low: float, high: float) -> bool:
        """Tell whether no point of the interval lies between two bounds."""
        return self.high < low or self.low > high


@dataclass(frozen=True)
class TestResult:
    """One test of one hypothesis.

    Args:
        name: the test.
        hypothesis: the null hypothesis in words.
        effect: the estimate, first minus second; NaN where a test has none.
        low, high: its 95 % interval (or the level asked for); NaN where a test gives none.
        p: two-sided unless the hypothesis says otherwise.
        statistic: the test statistic.
        n_cases: scored cases that entered.
        n_clusters: independent units that entered.
        note: what was done with ties, zeros or a degenerate spread.
    """

    __test__: ClassVar[bool] = False  # the name begins like a test class, which pytest collects

    name: str
    hypothesis: str
    effect: float
    low: float
    high: float
    p: float
    statistic: float
    n_cases: int
    n_clusters: int
    note: str = ""


class Inference(Protocol):
    """An estimate that can be tested against any null value: one object gives the two-sided test,
    both one-sided tests, equivalence tests and the interval, so that they never disagree.
    """

    @property
    def effect(self) -> float:
        """The estimate."""

    @property
    def se(self) -> float:
        """Its standard error, for power."""

    @property
    def df(self) -> float:
        """Degrees of freedom of that standard error."""

    @property
    def statistic(self) -> float:
        """The test statistic at a null value of 0."""

    def p(self, null: float = 0.0) -> float:
        """Two-sided p of effect = null."""

    def p_greater(self, null: float = 0.0) -> float:
        """One-sided p of effect <= null; small if the effect is greater."""

    def p_less(self, null: float = 0.0) -> float:
        """One-sided p of effect >= null; small if the effect is less."""

    def interval(self, level: float = 0.95) -> Interval:
        """Two-sided interval."""


@dataclass(frozen=True)
class Student:
    """An estimate whose error over its standard error follows a t (df finite) or normal law.

    Without any spread (``se`` 0) an effect off the null gets p = 0 and one on it p = 1.

    Example:
        >>> round(Student(2.0, 1.0, 4).p(), 4)       # t = 2 with 4 degrees of freedom
        0.1161
    """

    effect: float
    se: float
    df: float

    @property
    def statistic(self) -> float:
        """Effect over standard error."""
        return self._t(0.0)

    def _t(self, null: float) -> float:
        difference = self.effect - null
        if self.se > 0:
            return difference / self.se
        return 0.0 if difference == 0 else float(np.copysign(np.inf, difference))

    def p(self, null: float = 0.0) -> float:
        """Two-sided p of effect = null."""
        return float(2 * stats.t.sf(abs(self._t(null)), self.df))

    def p_greater(self, null: float = 0.0) -> float:
        """One-sided p of effect <= null."""
        return float(stats.t.sf(self._t(null), self.df))

    def p_less(self, null: float = 0.0) -> float:
        """One-sided p of effect >= null."""
        return float(stats.t.cdf(self._t(null), self.df))

    def interval(self, level: float = 0.95) -> Interval:
        """Two-sided interval."""
        half = float(stats.t.ppf((1 + level) / 2, self.df)) * self.se
        return Interval(self.effect - half, self.effect + half, level)


def equivalence_p(inference: Inference, low: float, high: float) -> float:
    """Test by two one-sided tests whether the effect lies strictly between two bounds.

    Args:
        inference: the estimate.
        low: the lower bound; minus infinity drops its side (non-inferiority).
        high: the upper bound; infinity drops its side.

    Returns:
        The larger of the one-sided p-values; small if the effect lies between the bounds.

    Source:
        Schuirmann, J Pharmacokinet Biopharm 15:657 (1987).

    Example:
        >>> round(equivalence_p(Student(0.0, 1.0, 4), -2.0, 2.0), 4)
        0.0581
    """
    sides = [0.0]
    if np.isfinite(low):
        sides.append(inference.p_greater(low))
    if np.isfinite(high):
        sides.append(inference.p_less(high))
    return max(sides)


def outside_p(inference: Inference, low: float, high: float) -> float:
    """Test by two one-sided tests whether the effect lies beyond one of two bounds.

    The null is that it lies between them; only one bound can be passed, so that the smaller
    one-sided p needs no correction.  Small exactly where the 1 - 2 alpha interval lies outside.

    Args:
        inference: the estimate.
        low: the lower bound; minus infinity drops its side (non-inferiority).
        high: the upper bound; infinity drops its side.

    Returns:
        The smaller of the one-sided p-values; 1 without a finite bound.

    Example:
        >>> round(outside_p(Student(4.0, 1.0, 4), -2.0, 2.0), 4)
        0.0581
    """
    sides = [1.0]
    if np.isfinite(low):
        sides.append(inference.p_less(low))
    if np.isfinite(high):
        sides.append(inference.p_greater(high))
    return min(sides)


def summarise(
    inference: Inference,
    *,
    name: str,
    hypothesis: str,
    n_cases: int,
    n_clusters: int,
    level: float = 0.95,
    note: str = "",
) -> TestResult:
    """Turn an inference into the result of its two-sided test against 0."""
    interval = inference.interval(level)
    return TestResult(
        name=name,
        hypothesis=hypothesis,
        effect=inference.effect,
        low=interval.low,
        high=interval.high,
        p=inference.p(),
        statistic=inference.statistic,
        n_cases=n_cases,
        n_clusters=n_clusters,
        note=note,
    )


def finite(name: str, values: ArrayLike, *, at_least: int = 1, ndim: int = 1) -> Array:
    """Return values as a float array after checking them.

    Raises:
        DesignError: wrong number of axes, too few values, or one that is not finite.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != ndim:
        raise DesignError(f"`{name}` must have {ndim} axes, got {array.ndim}. Reshape it.")
    if min(array.shape) < at_least:
        raise DesignError(
            f"`{name}` must have at least {at_least} values along each axis, got shape "
            f"{array.shape!r}. Give more units, or another test."
        )
    if not np.isfinite(array).all():
        raise DesignError(
            f"`{name}` must be finite, got {int((~np.isfinite(array)).sum())} values that are not. "
            "Drop these cases from every method, and say so."
        )
    return array


def cluster_codes(cluster: ArrayLike | None, n: int) -> tuple[NDArray[np.intp], int]:
    """Number the clusters of n cases from 0; without clusters every case is its own.

    Returns:
        The number of each case's cluster (n,) and how many clusters there are.

    Raises:
        DesignError: not one cluster a case.
    """
    if cluster is None:
        return np.arange(n), n
    names = np.asarray(cluster)
    if names.shape != (n,):
        raise DesignError(f"`cluster` must name one cluster a case, got {names.shape!r} for {n}.")
    found, codes = np.unique(names, return_inverse=True)
    return codes, len(found)


def cluster_sums(values: Array, codes: NDArray[np.intp], n_clusters: int) -> Array:
    """Sum values (n,) or (n, k) within clusters, giving (n_clusters,) or (n_clusters, k).

    Example:
        >>> cluster_sums(np.array([1.0, 2.0, 5.0]), np.array([0, 0, 1]), 2).tolist()
        [3.0, 5.0]
    """
    columns = values.reshape(len(values), -1)
    sums = [np.bincount(codes, weights=column, minlength=n_clusters) for column in columns.T]
    return np.stack(sums, axis=1).reshape((n_clusters, *values.shape[1:]))
