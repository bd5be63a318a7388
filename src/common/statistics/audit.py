"""Checks of published numbers against themselves, on decimal digits and not on binary floats."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from common.statistics.results import DesignError, finite

Status = Literal["pass", "fail", "undecidable"]
Rounding = Literal["rounded", "truncated", "neither"]
# A value computed in binary is off by some 1e-16 of itself; 12 digits are below that noise.
_DIGITS = Context(prec=12)


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


def _decimal(value: float) -> Decimal:
    """Turn a float into the decimal that was meant: 0.1 + 0.2 becomes 0.3."""
    number = Decimal(repr(float(value)))
    if not number.is_finite():
        raise DesignError(f"`value` must be finite, got {value!r}. Leave the check undecidable.")
    return _DIGITS.plus(number)


def rounding(printed: float, true: float, decimals: int) -> Rounding:
    """Tell how a printed number arose from a computed one.

    Args:
        printed: as in the paper.
        true: recomputed with all digits.
        decimals: digits behind the point in the paper.

    Returns:
        ``rounded`` (a tie may go either way; also where cutting off gives the same),
        ``truncated``, or ``neither``.

    Example:
        >>> rounding(0.822, 0.82157, 3), rounding(0.821, 0.82157, 3), rounding(0.82, 0.82157, 3)
        ('rounded', 'truncated', 'neither')
    """
    place = Decimal(1).scaleb(-decimals)
    shown, value = _decimal(printed), _decimal(true)
    if shown in (value.quantize(place, ROUND_HALF_UP), value.quantize(place, ROUND_HALF_EVEN)):
        return "rounded"
    return "truncated" if shown == value.quantize(place, ROUND_DOWN) else "neither"


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
        off = _decimal(printed - true)
        return Check(id, statement, "fail", printed, float(true), f"off by {float(off):+.6g}")
    return Check(id, statement, "pass", printed, float(true), how)


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
    found = sum((_decimal(part) for part in np.ravel(np.asarray(parts))), Decimal(0))
    return abs(found - _decimal(total)) <= _decimal(tolerance)


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
