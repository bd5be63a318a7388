"""Tests from printed summaries alone: means with spreads, rank sums, rates without their pairs."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import product
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from common.statistics.audit import Check, Printed
from common.statistics.results import (
    Array,
    DesignError,
    Student,
    TestResult,
    summarise,
)

Kind = Literal["welch", "student", "paired"]


@dataclass(frozen=True)
class Summary:
    """What a table prints of one method: ``mean`` and ``sd`` over ``n`` independent units."""

    mean: Printed
    sd: Printed
    n: int


def summary_inference(
    first: Summary,
    second: Summary,
    *,
    kind: Kind = "welch",
    ddof: int = 1,
    correlation: float | None = None,
) -> Student:
    """Estimate a difference of means from printed summaries; see :func:`summary_test`."""
    if min(first.n, second.n) < 2 or ddof not in (0, 1):
        raise DesignError(f"`n` must be >= 2 and `ddof` 0 or 1, got {first.n}, {second.n}, {ddof}.")
    # With ddof 0 the printed variance is divided by n, and the squared standard error by n - 1.
    of_first, of_second = (each.sd.value**2 / (each.n - (1 - ddof)) for each in (first, second))
    df = float(first.n + second.n - 2)
    total = of_first + of_second
    if kind == "paired":
        if correlation is None or first.n != second.n or not -1 <= correlation <= 1:
            raise DesignError(
                f"`correlation` must be a number in [-1, 1] for equally many units, got "
                f"{correlation!r} for {first.n} and {second.n}. Try the plausible range."
            )
        total = max(total - 2 * correlation * np.sqrt(of_first * of_second), 0.0)
        df = first.n - 1.0
    elif kind == "student":
        pooled = of_first * first.n * (first.n - 1) + of_second * second.n * (second.n - 1)
        total = pooled / df * (1 / first.n + 1 / second.n)
    elif total > 0:
        df = total**2 / (of_first**2 / (first.n - 1) + of_second**2 / (second.n - 1))
    return Student(first.mean.value - second.mean.value, float(np.sqrt(total)), float(df))


def summary_test(
    first: Summary,
    second: Summary,
    *,
    kind: Kind = "welch",
    ddof: int = 1,
    correlation: float | None = None,
) -> TestResult:
    """Test by a t test whether two methods have the same mean, from printed summaries.

    Args:
        first: summary of the first method.
        second: summary of the second.
        kind: ``welch`` or ``student`` for different units, ``paired`` for the same ones.
        ddof: formula of the printed standard deviations: 1 sample, 0 population.
        correlation: between the two methods' values of a unit, for ``paired``; a table does not
            tell it.

    Returns:
        First minus second with its 95 % interval.

    Raises:
        DesignError: fewer than two units, or a correlation that does not fit.

    Source:
        Welch, Biometrika 34:28 (1947).

    Example:
        >>> one, two = (Summary(Printed(m, 1), Printed(1.0, 1), 8) for m in (2.0, 1.0))
        >>> round(summary_test(one, two).p, 4)
        0.0653
    """
    found = summary_inference(first, second, kind=kind, ddof=ddof, correlation=correlation)
    return summarise(
        found,
        name=f"{kind} t from summaries",
        hypothesis="both methods have the same mean",
        n_cases=first.n if kind == "paired" else first.n + second.n,
        n_clusters=first.n if kind == "paired" else first.n + second.n,
        note=f"sd with ddof {ddof}, {found.df:.1f} degrees of freedom",
    )


def p_range(
    first: Summary,
    second: Summary,
    *,
    kind: Kind = "welch",
    ddof: int = 1,
    correlation: float | None = None,
) -> tuple[float, float]:
    """Bound the two-sided p of printed summaries over the digits of means and spreads.

    See :func:`summary_test`.  Distance, standard error and degrees of freedom are bounded one by
    one: no p outside is possible, and with three digits or more hardly one inside is not.

    Example:
        >>> one, two = (Summary(Printed(m, 1), Printed(1.0, 1), 8) for m in (2.0, 1.0))
        >>> [round(end, 3) for end in p_range(one, two)]
        [0.036, 0.109]
    """
    of_first, of_second = (
        [max(each.sd.low, 0.0), max(each.sd.high, 0.0)] for each in (first, second)
    )
    sds = list(product(of_first, of_second))
    if kind == "paired" and correlation is not None:
        # Spreads that nearly cancel: the variance is least where one is rho times the other.
        sds += [(min(max(correlation * b, of_first[0]), of_first[1]), b) for b in of_second]
        sds += [(a, min(max(correlation * a, of_second[0]), of_second[1])) for a in of_first]
    found = [
        summary_inference(
            replace(first, sd=_exact(a)),
            replace(second, sd=_exact(b)),
            kind=kind,
            ddof=ddof,
            correlation=correlation,
        )
        for a, b in sds
    ]
    se, df = [each.se for each in found], [each.df for each in found]
    if kind == "welch":
        shares = [
            of / (of + other)
            for of, other in (
                (a**2 / (first.n - (1 - ddof)), b**2 / (second.n - (1 - ddof))) for a, b in sds
            )
            if of + other > 0
        ]
        pooled = (first.n - 1) / (first.n + second.n - 2)
        if shares and min(shares) <= pooled <= max(shares):
            df.append(first.n + second.n - 2.0)
    low, high = first.mean.low - second.mean.high, first.mean.high - second.mean.low
    least = Student(max(abs(low), abs(high)), min(se), max(df)).p()
    if low <= 0 <= high:
        return least, 1.0
    return least, Student(min(abs(low), abs(high)), max(se), min(df)).p()


def _exact(value: float) -> Printed:
    """Wrap a number that is no printed one: its digits go as far as its precision."""
    magnitude = int(np.floor(np.log10(abs(value)))) if value else 0
    return Printed(float(f"{value:.11e}"), 11 - magnitude)


def check_p(
    id: str,
    statement: str,
    *,
    first: Summary,
    second: Summary,
    p: Printed,
    kinds: Iterable[Kind] = ("welch", "student"),
    correlation: float | None = None,
) -> Check:
    """Check a printed p-value against the printed means, spreads and numbers of units.

    Args:
        id: name of the check.
        statement: what should hold.
        first: summary of the first method.
        second: summary of the second.
        p: printed two-sided p.
        kinds: tests to try.
        correlation: for ``paired``.

    Returns:
        ``pass`` with the tests and formulas of the spread that give this p within the digits of
        all inputs; else ``fail`` with what they give.

    Example:
        >>> one, two = (Summary(Printed(m, 1), Printed(1.0, 1), 8) for m in (2.0, 1.0))
        >>> check_p("P", "p", first=one, second=two, p=Printed(0.005, 3)).status
        'fail'
    """
    fitting, given = [], []
    for kind, ddof in product(kinds, (1, 0)):
        low, high = p_range(first, second, kind=kind, ddof=ddof, correlation=correlation)
        exact = summary_inference(first, second, kind=kind, ddof=ddof, correlation=correlation).p()
        given.append((f"{kind} with ddof {ddof}", exact))
        if p.meets(low, high):
            fitting.append(f"{kind} with ddof {ddof}")
    nearest = min(given, key=lambda each: abs(np.log(max(each[1], 1e-300) / max(p.value, 1e-300))))
    if fitting:
        return Check(id, statement, "pass", p.value, nearest[1], " or ".join(fitting))
    note = "; ".join(f"{name} {value:.4g}" for name, value in given)
    return Check(id, statement, "fail", p.value, nearest[1], note)


def units_for_significance(
    first: Summary,
    second: Summary,
    *,
    kind: Kind = "welch",
    ddof: int = 1,
    correlation: float | None = None,
    alpha: float = 0.05,
) -> int:
    """Return how many independent units per method these means and spreads need for p < alpha.

    Where cases are clustered and fewer units than this stand behind them, the printed
    significance does not hold.

    Args:
        first: summary of the first method; its ``n`` turns a population sd into a sample one.
        second: summary of the second.
        kind: see :func:`summary_test`.
        ddof: formula of the printed standard deviations.
        correlation: for ``paired``.
        alpha: level of the two-sided test.

    Returns:
        The smallest n for each method.

    Raises:
        DesignError: equal means.

    Example:
        >>> one, two = (Summary(Printed(m, 1), Printed(1.0, 1), 50) for m in (2.0, 1.0))
        >>> units_for_significance(one, two)
        9
    """
    if first.mean.value == second.mean.value:
        raise DesignError("`first` and `second` must differ in their means, got equal ones.")

    def p(n: int) -> float:
        def sample(each: Summary) -> Summary:
            factor = 1.0 if ddof == 1 else np.sqrt(each.n / (each.n - 1))
            return replace(each, sd=_exact(float(each.sd.value * factor)), n=n)

        one, two = sample(first), sample(second)
        return summary_inference(one, two, kind=kind, correlation=correlation).p()

    high = 2
    while p(high) >= alpha:
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if p(middle) >= alpha else (low, middle)
    return high


def rank_sum_p(
    u: ArrayLike, n_first: ArrayLike, n_second: ArrayLike, *, continuity: bool = True
) -> Array:
    """Return the two-sided p of a printed Mann-Whitney U by the normal law without ties.

    Args:
        u: the statistic, of either group; arrays broadcast.
        n_first: units of the first group.
        n_second: units of the second.
        continuity: with the correction by one half (the default of SciPy).

    Returns:
        The p-value; near the printed one from about 8 units a group on.

    Example:
        >>> rank_sum_p(50, 10, 10).tolist()
        1.0
    """
    first, second = np.asarray(n_first, float), np.asarray(n_second, float)
    distance = np.abs(np.asarray(u, float) - first * second / 2) - 0.5 * continuity
    spread = np.sqrt(first * second * (first + second + 1) / 12)
    return np.asarray(np.minimum(2 * stats.norm.sf(distance / spread), 1.0), dtype=np.float64)


def signed_rank_p(w: ArrayLike, n: ArrayLike, *, continuity: bool = False) -> Array:
    """Return the two-sided p of a printed Wilcoxon signed-rank W by the normal law without ties.

    Args:
        w: the smaller (or larger) sum of ranks.
        n: pairs that differ; zeros are left out.
        continuity: with the correction by one half (SciPy has none by default).

    Returns:
        The p-value; near the printed one from about 20 pairs on.

    Example:
        >>> signed_rank_p(105, 20).tolist()
        1.0
    """
    pairs = np.asarray(n, float)
    distance = np.abs(np.asarray(w, float) - pairs * (pairs + 1) / 4) - 0.5 * continuity
    spread = np.sqrt(pairs * (pairs + 1) * (2 * pairs + 1) / 24)
    return np.asarray(np.minimum(2 * stats.norm.sf(distance / spread), 1.0), dtype=np.float64)


def rank_sum_sizes(
    u: float,
    p: Printed,
    *,
    first: Iterable[int],
    second: Iterable[int],
    continuity: bool = True,
    tolerance: float = 0.0,
) -> pd.DataFrame:
    """Find the group sizes with which a printed U gives a printed p: were cases left out?

    Args:
        u: printed statistic.
        p: printed two-sided p.
        first: sizes of the first group to try.
        second: sizes of the second.
        continuity: see :func:`rank_sum_p`.
        tolerance: what ties and the normal law may be off.

    Returns:
        ``n_first, n_second, p`` of all sizes that fit.

    Example:
        >>> found = rank_sum_sizes(50, Printed(1.0, 3), first=[10, 20], second=[10, 20])
        >>> found[["n_first", "n_second"]].values.tolist()
        [[10, 10]]
    """
    one, two = np.meshgrid(np.array([*first]), np.array([*second]), indexing="ij")
    given = rank_sum_p(u, one, two, continuity=continuity)
    fits = (given >= p.low - tolerance) & (given <= p.high + tolerance)
    return pd.DataFrame({"n_first": one[fits], "n_second": two[fits], "p": given[fits]})


def mcnemar_bounds(first: int, second: int, n: int) -> tuple[float, float]:
    """Bound the exact McNemar p of two printed accuracies over every possible pairing.

    Args:
        first: cases that the first method gets right.
        second: cases that the second gets right.
        n: cases, the same for both.

    Returns:
        Smallest p (as few discordant cases as the difference needs) and largest.

    Example:
        >>> mcnemar_bounds(37, 32, 204)[0]
        0.0625
    """
    p = _mcnemar_curve(first, second, n)
    return float(p[0]), float(p[-1])


def _mcnemar_curve(first: int, second: int, n: int) -> Array:
    """Return the exact p for every possible number of cases that only the worse gets right."""
    better, worse = max(first, second), min(first, second)
    if not 0 <= worse <= better <= n:
        raise DesignError(f"`first` and `second` must lie in [0, {n}], got {first}, {second}.")
    only = np.arange(min(worse, n - better) + 1)
    trials = 2 * only + better - worse
    return np.asarray(np.minimum(2 * stats.binom.cdf(only, trials, 0.5), 1.0), dtype=np.float64)


def largest_discordance(first: int, second: int, n: int, *, alpha: float = 0.05) -> int:
    """Return on how many cases two methods may disagree for their difference to be significant.

    Args:
        first: cases that the first method gets right.
        second: cases that the second gets right.
        n: cases, the same for both.
        alpha: level of the exact two-sided McNemar test.

    Returns:
        The largest number of discordant cases with p < alpha; 0 where no pairing is significant.

    Example:
        >>> largest_discordance(2775, 2766, 2908)
        17
    """
    p = _mcnemar_curve(first, second, n)
    significant = int((p < alpha).sum())
    return 2 * (significant - 1) + abs(first - second) if significant else 0
