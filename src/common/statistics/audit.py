"""Checks of published numbers against themselves, on decimal digits and not on binary floats."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from itertools import combinations
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from common.statistics.digits import (
    How as How,
    Printed as Printed,
    Rounding as Rounding,
    as_printed as as_printed,
    meant_decimal,
    rounding as rounding,
    rounding_habit as rounding_habit,
)
from common.statistics.results import Array, DesignError, finite

Status = Literal["pass", "fail", "undecidable"]


@dataclass(frozen=True)
class Check:
    """One statement about published numbers, tried.

    Args:
        id: short name, unique in the chapter.
        statement: what should hold, in words.
        status: ``pass``, ``fail``, or ``undecidable`` where the numbers do not suffice.
        printed: what is published, a number or words; None where the statement is about several.
        recomputed: what it should be; None where it cannot be known.
        note: how far off, and what follows.
    """

    id: str
    statement: str
    status: Status
    printed: float | str | None = None
    recomputed: float | str | None = None
    note: str = ""


def check_printed(
    id: str, statement: str, *, printed: float, true: float | None, decimals: int
) -> Check:
    """Compare one printed number with its recomputed value.

    Args:
        id: name of the check.
        statement: what should hold.
        printed: as in the paper.
        true: recomputed with all digits; None gives ``undecidable``.
        decimals: digits behind the point in the paper.

    Returns:
        ``pass`` for a rounded or truncated value (the note says which), else ``fail`` with the
        difference.

    Example:
        >>> check_printed("A2", "mean", printed=0.788, true=0.80589, decimals=3).note
        'off by -0.01789'
    """
    if true is None:
        return Check(id, statement, "undecidable", printed, None, "nothing to recompute it from")
    how = rounding(printed, true, decimals)
    if how == "neither":
        off = meant_decimal(printed - true)
        return Check(id, statement, "fail", printed, float(true), f"off by {float(off):+.6g}")
    return Check(id, statement, "pass", printed, float(true), how)


def check_between(id: str, statement: str, *, value: Printed, low: float, high: float) -> Check:
    """Check that a printed number can lie within bounds that other numbers give.

    Args:
        id: name of the check.
        statement: what should hold.
        value: the printed number.
        low: smallest possible value, roundings of its inputs counted; minus infinity for none.
        high: largest possible value.

    Returns:
        ``pass`` if some number that prints like this lies inside, else ``fail`` with the distance;
        ``undecidable`` where a bound is NaN.

    Example:
        >>> check_between("B", "IoU", value=Printed(0.39, 2), low=0.4, high=0.5).note
        'allowed 0.4 to 0.5; off by -0.005'
    """
    if np.isnan(low) or np.isnan(high):
        return Check(id, statement, "undecidable", value.value, None, "no bounds are known")
    allowed = f"allowed {low:.6g} to {high:.6g}"
    inside = value.meets(low, high) and low <= high
    recomputed = float(np.clip(value.value, low, high)) if low <= high else None
    if inside:
        return Check(id, statement, "pass", value.value, recomputed, allowed)
    off = value.high - low if value.high < low else value.low - high
    return Check(id, statement, "fail", value.value, recomputed, f"{allowed}; off by {off:+.6g}")


def check_equal(id: str, statement: str, *, first: Printed, second: Printed) -> Check:
    """Check that two printed numbers can be one number, whatever their digits.

    Example:
        >>> check_equal("E", "same", first=Printed(0.6066, 4), second=Printed(0.64, 2)).status
        'fail'
    """
    off = f"difference {float(meant_decimal(first.value - second.value)):+.6g}"
    same = first.meets(second.low, second.high) and second.meets(first.low, first.high)
    return Check(id, statement, "pass" if same else "fail", first.value, second.value, off)


def check_sum(id: str, statement: str, *, parts: Sequence[Printed], total: Printed) -> Check:
    """Check that printed parts can add up to a printed total.

    Example:
        >>> parts = as_printed([33.3, 33.3, 33.3], decimals=1)
        >>> check_sum("S", "shares", parts=parts, total=Printed(100, 0)).status
        'pass'
    """
    found = float(sum((meant_decimal(part.value) for part in parts), Decimal(0)))
    low, high = (float(sum(getattr(part, end) for part in parts)) for end in ("low", "high"))
    check = check_between(id, statement, value=total, low=low, high=high)
    return replace(check, recomputed=found)


def _mean_range(rows: Sequence[Printed], weights: ArrayLike | None) -> tuple[float, float, float]:
    """Return the mean of the printed numbers and the range that their digits allow."""
    given = np.ones(len(rows)) if weights is None else np.asarray(weights, dtype=np.float64)
    share = finite("weights", given)
    if len(share) != len(rows) or (share < 0).any() or not share.sum() > 0:
        raise DesignError(
            f"`weights` must be {len(rows)} numbers >= 0, not all 0, got {weights!r}. "
            "Give one for each row."
        )
    share = share / share.sum()
    ends = ((row.value, row.low, row.high) for row in rows)
    mean, low, high = (float(share @ np.array(end)) for end in zip(*ends, strict=True))
    return mean, low, high


def check_weighted_mean(
    id: str, statement: str, *, rows: Sequence[Printed], weights: ArrayLike | None, mean: Printed
) -> Check:
    """Check that a printed mean can be the weighted mean of printed rows.

    Args:
        id: name of the check.
        statement: what should hold.
        rows (n,): the printed rows.
        weights (n,): their weights, such as counts of cases, taken as exact; None for equal ones.
        mean: the printed mean.

    Returns:
        ``pass`` if some numbers that print like the rows have a mean that prints like this one;
        recomputed is the mean of the printed rows.

    Raises:
        DesignError: no row, or weights that do not fit.

    Example:
        >>> rows = as_printed([0.80, 0.90], decimals=2)
        >>> check_weighted_mean("M", "by n", rows=rows, weights=[3, 1], mean=Printed(0.825, 3)).note
        'allowed 0.82 to 0.83'
    """
    if not rows:
        raise DesignError("`rows` must hold at least 1 number, got none.")
    found, low, high = _mean_range(rows, weights)
    check = check_between(id, statement, value=mean, low=low, high=high)
    return replace(check, recomputed=round(found, 10))


def check_mean(id: str, statement: str, *, rows: Sequence[Printed], mean: Printed) -> Check:
    """Check that a printed mean can be the plain mean of printed rows.

    See :func:`check_weighted_mean`.

    Example:
        >>> rows = as_printed([55.65, 59.00, 59.27], decimals=2, how="either")
        >>> check_mean("E3", "mean PSNR", rows=rows, mean=Printed(57.62, 2, "either")).status
        'fail'
    """
    return check_weighted_mean(id, statement, rows=rows, weights=None, mean=mean)


def implied_rest(
    mean: Printed, n: int, parts: Sequence[Printed], sizes: Sequence[int]
) -> tuple[float, float]:
    """Bound the mean of the cases that a table by groups leaves out.

    Args:
        mean: printed mean of all cases.
        n: all cases.
        parts: printed means of some groups.
        sizes: cases of each of them, together fewer than ``n``.

    Returns:
        Smallest and largest mean of the rest that the digits allow; outside the metric's range
        the numbers contradict each other.

    Example:
        >>> [round(end, 3) for end in implied_rest(Printed(0.5, 1), 4, [Printed(0.4, 1)], [2])]
        [0.45, 0.75]
    """
    rest = n - sum(sizes)
    if rest < 1:
        raise DesignError(f"`sizes` must sum to less than {n} cases, got {sum(sizes)}.")
    pairs = list(zip(parts, sizes, strict=True))
    low = n * mean.low - sum(part.high * size for part, size in pairs)
    high = n * mean.high - sum(part.low * size for part, size in pairs)
    return low / rest, high / rest


def sd_range(rows: Sequence[Printed], *, ddof: int = 1) -> tuple[float, float]:
    """Bound the standard deviation of numbers that are known to their printed digits.

    The variance is convex: its largest value lies where the smaller rows are at their low end and
    the larger ones at their high end, its smallest where all move towards one common value.

    Args:
        rows (n,): printed numbers, all with the same digits.
        ddof: 1 for the sample, 0 for the population formula.

    Returns:
        Smallest and largest possible standard deviation, exact.

    Raises:
        DesignError: too few rows, or rows with different digits.

    Example:
        >>> [round(float(end), 4) for end in sd_range([Printed(1, 0), Printed(3, 0)], ddof=0)]
        [0.5, 1.5]
    """
    if len(rows) <= ddof or len({(row.decimals, row.how) for row in rows}) > 1:
        raise DesignError(
            f"`rows` must be more than {ddof} numbers with the same digits, got {len(rows)}. "
            "Cut all of them to the fewest decimals."
        )
    low, high = (np.sort([getattr(row, end) for row in rows]) for end in ("low", "high"))
    n = len(rows)
    largest = max(np.concatenate([low[:k], high[k:]]).var() for k in range(n + 1))
    # The common value is the mean of the clipped rows: a fixed point, found between the extremes.
    left, right = float(low.min()), float(high.max())
    for _ in range(100):
        middle = (left + right) / 2
        if np.clip(middle, low, high).mean() > middle:
            left = middle
        else:
            right = middle
    smallest = np.clip(left, low, high).var()
    scale = n / (n - ddof)
    return float(np.sqrt(smallest * scale)), float(np.sqrt(largest * scale))


def check_sd(id: str, statement: str, *, rows: Sequence[Printed], sd: Printed) -> Check:
    """Find which formula for the standard deviation a printed spread can have come from.

    Args:
        id: name of the check.
        statement: what should hold.
        rows (n,): the printed rows.
        sd: the printed spread.

    Returns:
        ``pass`` if the n or the n - 1 formula fits (the note says which), else ``fail``;
        recomputed is the n - 1 formula on the printed rows.

    Example:
        >>> rows = as_printed([32.08, 17.60, 16.17], decimals=2)
        >>> check_sd("SD", "MAE", rows=rows, sd=Printed(8.80, 2)).note
        'fits n - 1'
    """
    fitting = [
        name for name, ddof in (("n - 1", 1), ("n", 0)) if sd.meets(*sd_range(rows, ddof=ddof))
    ]
    found = float(np.std([row.value for row in rows], ddof=1))
    note = "fits " + " and ".join(fitting) if fitting else f"off by {sd.value - found:+.6g}"
    return Check(id, statement, "pass" if fitting else "fail", sd.value, round(found, 10), note)


def check_gain(id: str, statement: str, *, before: Printed, after: Printed, gain: Printed) -> Check:
    """Find which kind of improvement a printed gain can be.

    Args:
        id: name of the check.
        statement: what should hold.
        before: the number it is measured from, > 0.
        after: the number reached, in the same unit.
        gain: the printed gain, a fraction where the numbers are fractions (5 % is 0.05).

    Returns:
        ``pass`` if it is an absolute difference, a difference relative to the start, the part of
        the error ``1 - before`` that went away (for fractions), or a ratio; the note names them.

    Example:
        >>> rates = as_printed([87.5, 92.2], decimals=1, percent=True)
        >>> check_gain(
        ...     "G", "gain", before=rates[0], after=rates[1], gain=Printed.read("5.4 %")).note
        'relative'
    """
    if not before.low > 0:
        raise DesignError(f"`before` must be > 0, got {before.value!r}; nothing is relative to it.")
    ratio = after.low / before.high, after.high / before.low
    kinds = {
        "absolute": (after.low - before.high, after.high - before.low),
        "relative": (ratio[0] - 1, ratio[1] - 1),
        "ratio": ratio,
    }
    if before.high < 1 and after.high <= 1:
        kinds["of the error"] = (
            1 - (1 - after.low) / (1 - before.high),
            1 - (1 - after.high) / (1 - before.low),
        )
    fitting = [kind for kind, (low, high) in kinds.items() if gain.meets(low, high)]
    absolute = float(meant_decimal(after.value - before.value))
    relative = after.value / before.value - 1
    note = " or ".join(fitting) or f"absolute {absolute:+.6g}, relative {relative:+.4g}"
    return Check(id, statement, "pass" if fitting else "fail", gain.value, absolute, note)


def repeated_rows(table: pd.DataFrame, *, decimals: int) -> pd.DataFrame:
    """Find rows of a published table that agree in every printed number.

    Args:
        table: one row per arm, run or case, one column per metric; turn it for equal columns.
        decimals: digits behind the point.

    Returns:
        ``first, second, cells, expected``: the two rows, how many numbers agree, and how many
        such pairs the whole table would have by coincidence if every column were a normal sample
        with the spread seen in it.  Columns that rise and fall together make coincidences more
        frequent than that.

    Example:
        >>> table = pd.DataFrame({"a": [0.1, 0.5, 0.1], "b": [0.7, 0.2, 0.7]}, index=list("xyz"))
        >>> repeated_rows(table, decimals=1)[["first", "second", "cells"]].values.tolist()
        [['x', 'z', 2]]
    """
    values = finite("table", table.to_numpy(dtype=np.float64), ndim=2)
    units = np.rint(values * 10.0**decimals)
    with np.errstate(divide="ignore"):
        meeting = 1 / (2 * np.sqrt(np.pi) * units.std(axis=0, ddof=min(1, len(units) - 1)))
    pairs = len(units) * (len(units) - 1) / 2
    expected = pairs * float(np.minimum(meeting, 1.0).prod())
    found = [
        (table.index[i], table.index[j], units.shape[1], expected)
        for i, j in combinations(range(len(units)), 2)
        if (units[i] == units[j]).all()
    ]
    return pd.DataFrame(found, columns=["first", "second", "cells", "expected"])


def share_passing(
    passes: Callable[[list[Printed]], bool],
    numbers: Sequence[Printed],
    *,
    rng: np.random.Generator,
    draws: int = 200,
    span: int = 20,
    bounds: tuple[float, float] = (-np.inf, np.inf),
) -> float:
    """Estimate how often a check would pass if the printed numbers were slightly other ones.

    A pass tells something only where most neighbouring tables fail.

    Args:
        passes: the check, given the numbers in the same order.
        numbers: the printed numbers.
        rng: source of randomness.
        draws: tables to try.
        span: each number moves by up to so many units of its last digit, all moves alike likely.
        bounds: where the moved numbers must stay, such as (0, 1) for rates.

    Returns:
        The share of moved tables that pass, 0 to 1.

    Example:
        >>> near = lambda numbers: numbers[0].value < 0.5
        >>> share_passing(near, [Printed(0.1, 1)], rng=np.random.default_rng(0), span=2)
        1.0
    """
    reach: list[Array] = []
    for number in numbers:
        ends = (np.asarray(bounds) - number.value) / number.unit
        reach.append(np.clip([np.ceil(ends[0] - 1e-9), np.floor(ends[1] + 1e-9)], -span, span))
    hits = 0
    for _ in range(draws):
        steps = (int(rng.integers(int(low), int(high) + 1)) for low, high in reach)
        hits += passes([number.moved(step) for number, step in zip(numbers, steps, strict=True)])
    return hits / draws


def multiple_deviation(values: ArrayLike, denominator: int) -> float:
    """Return by how much of a count values are off being whole multiples of 1 / denominator.

    Args:
        values (any shape): rates.
        denominator: cases behind each.

    Returns:
        The largest distance of ``value * denominator`` from an integer, 0 to 0.5.

    Example:
        >>> multiple_deviation([0.25, 0.55], 10)
        0.5
    """
    if denominator < 1:
        raise DesignError(f"`denominator` must be >= 1, got {denominator!r}.")
    counts = finite("values", np.ravel(np.asarray(values, dtype=np.float64))) * denominator
    return float(np.abs(counts - np.rint(counts)).max())


def is_multiple(values: ArrayLike, denominator: int, tolerance: float = 1e-6) -> bool:
    """Tell whether every value is a whole number of cases out of ``denominator``.

    Args:
        values (any shape): rates.
        denominator: cases behind each.
        tolerance: allowed distance from an integer, in counts.

    Example:
        >>> is_multiple([0.1, 0.7], 10), is_multiple([0.15], 10)
        (True, False)
    """
    return multiple_deviation(values, denominator) <= tolerance


def sums_to(parts: ArrayLike, total: float, *, tolerance: float = 0.0) -> bool:
    """Tell whether printed parts add up to a printed total, in decimal arithmetic.

    Args:
        parts (n,): the parts as printed.
        total: the total as printed.
        tolerance: allowed difference; half a unit of the last digit for each rounded part.

    Example:
        >>> sums_to([0.1, 0.2], 0.3), sums_to([33.3, 33.3, 33.3], 100, tolerance=0.15)
        (True, True)
    """
    found = sum((meant_decimal(part) for part in np.ravel(np.asarray(parts))), Decimal(0))
    return abs(found - meant_decimal(total)) <= meant_decimal(tolerance)


def relative_and_absolute(before: float, after: float) -> tuple[float, float]:
    """Return an improvement relative to its start, and in the values' own unit.

    Args:
        before: the number it is measured from; not 0.
        after: the number reached.

    Returns:
        Relative improvement (0.046 is 4.6 %) and absolute difference.

    Example:
        >>> relative, absolute = relative_and_absolute(0.788, 0.824)
        >>> round(relative, 4), round(absolute, 4)
        (0.0457, 0.036)
    """
    if before == 0:
        raise DesignError("`before` must not be 0, got 0; nothing is relative to it.")
    absolute = after - before
    return absolute / before, absolute


def table_of_checks(checks: Iterable[Check]) -> pd.DataFrame:
    """Put checks into a table, one row each in the order given.

    Raises:
        DesignError: two checks have the same id.

    Example:
        >>> table_of_checks([Check("A1", "sums", "pass")])["status"].tolist()
        ['pass']
    """
    columns = list(Check.__dataclass_fields__)
    table = pd.DataFrame([asdict(check) for check in checks], columns=columns)
    twice = table["id"][table["id"].duplicated()]
    if len(twice):
        raise DesignError(f"`checks` must have unique ids, got {twice.iloc[0]!r} twice.")
    return table
