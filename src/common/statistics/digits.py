"""Printed numbers as the ranges that their digits stand for, in decimal arithmetic."""

from dataclasses import dataclass, replace
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from common.statistics.results import DesignError, finite

Rounding = Literal["rounded", "truncated", "neither"]
How = Literal["rounded", "truncated", "either"]
# A value computed in binary is off by some 1e-16 of itself; 12 digits are below that noise.
_DIGITS = Context(prec=12)
_TOLERANCE = 1e-9  # of the last printed digit; what binary arithmetic may be off


def meant_decimal(value: float) -> Decimal:
    """Turn a float into the decimal that was meant: 0.1 + 0.2 becomes 0.3."""
    number = Decimal(repr(float(value)))
    if not number.is_finite():
        raise DesignError(f"`value` must be finite, got {value!r}. Leave the check undecidable.")
    return _DIGITS.plus(number)


@dataclass(frozen=True)
class Printed:
    """A number as printed, standing for all numbers that its digits can have come from.

    Args:
        value: the number; a whole multiple of the last digit.
        decimals: digits behind the point (negative: 2 zeros of 1500 are -2).
        how: ``rounded`` (a tie may have gone either way), ``truncated`` (cut off towards 0), or
            ``either`` where the habit of the paper is not known.

    Raises:
        DesignError: the value has more digits than ``decimals``.

    Example:
        >>> Printed(0.82, 2).low, Printed(0.82, 2).high
        (0.815, 0.825)
        >>> Printed(0.82, 2, "either").high
        0.83
    """

    value: float
    decimals: int
    how: How = "rounded"

    def __post_init__(self) -> None:
        shifted = meant_decimal(self.value).scaleb(self.decimals)
        if abs(shifted - round(shifted)) > Decimal("1e-6"):
            raise DesignError(
                f"`value` must have at most {self.decimals} decimals, got {self.value!r}. "
                "Give the digits as printed."
            )

    @classmethod
    def read(cls, text: str, how: How = "rounded", *, percent: bool = False) -> "Printed":
        """Read a number with its digits from text; percent become fractions.

        Args:
            text: as printed; a percent sign may follow.
            how: see the class.
            percent: the number is in percent although no sign says so.

        Example:
            >>> Printed.read("88.40 %")
            Printed(value=0.884, decimals=4, how='rounded')
        """
        digits = text.strip().rstrip("%").strip()
        shift = 2 if percent or text.strip().endswith("%") else 0
        number = Decimal(digits)
        exponent = number.as_tuple().exponent
        if not isinstance(exponent, int):
            raise DesignError(f"`text` must be a finite number, got {text!r}.")
        return cls(float(number.scaleb(-shift)), shift - exponent, how)

    @cached_property
    def ticks(self) -> int:
        """The number in units of its last digit."""
        return round(meant_decimal(self.value).scaleb(self.decimals))

    @property
    def unit(self) -> float:
        """One of the last printed digit."""
        return float(Decimal(1).scaleb(-self.decimals))

    @property
    def half_ticks(self) -> tuple[int, int]:
        """The ends of the range in halves of the last digit, exact."""
        twice, cut = 2 * self.ticks, self.how != "rounded"
        half = self.how != "truncated"
        low = twice - max(int(half), 2 * (cut and self.ticks <= 0))
        return low, twice + max(int(half), 2 * (cut and self.ticks >= 0))

    @property
    def open_ends(self) -> tuple[bool, bool]:
        """Whether the lower and the upper end themselves are excluded (they are if cut off)."""
        cut = self.how != "rounded"
        return cut and self.ticks <= 0, cut and self.ticks >= 0

    @cached_property
    def low(self) -> float:
        """The smallest number that can have been printed like this."""
        return float((Decimal(self.half_ticks[0]) / 2).scaleb(-self.decimals))

    @cached_property
    def high(self) -> float:
        """The largest number that can have been printed like this."""
        return float((Decimal(self.half_ticks[1]) / 2).scaleb(-self.decimals))

    def contains(self, values: ArrayLike) -> NDArray[np.bool_]:
        """Tell for every value whether it can have been printed like this; NaN cannot."""
        numbers = np.asarray(values, dtype=np.float64)
        slack = _TOLERANCE * self.unit
        below, above = (slack * (1 - 2 * end) for end in self.open_ends)
        return np.asarray((numbers >= self.low - below) & (numbers <= self.high + above))

    def meets(self, low: float, high: float) -> bool:
        """Tell whether some number from ``low`` to ``high`` can have been printed like this."""
        slack = _TOLERANCE * self.unit
        below, above = (slack * (1 - 2 * end) for end in self.open_ends)
        return low <= self.high + above and high >= self.low - below

    def moved(self, steps: int) -> "Printed":
        """Return the number that lies some units of the last digit further up."""
        return replace(self, value=float(Decimal(self.ticks + steps).scaleb(-self.decimals)))


def as_printed(
    values: ArrayLike, *, decimals: int, how: How = "rounded", percent: bool = False
) -> list[Printed]:
    """Give numbers of a published table the digits that they were printed with.

    Args:
        values (n,): numbers as printed.
        decimals: digits behind the point, trailing zeros counted.
        how: see :class:`Printed`.
        percent: the numbers are percent, and become fractions.

    Example:
        >>> as_printed([88.4], decimals=2, percent=True)
        [Printed(value=0.884, decimals=4, how='rounded')]
    """
    shift = 2 if percent else 0
    numbers = finite("values", np.ravel(np.asarray(values, dtype=np.float64)))
    return [
        Printed(float(meant_decimal(value).scaleb(-shift)), decimals + shift, how)
        for value in numbers
    ]


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
    shown, value = meant_decimal(printed), meant_decimal(true)
    if shown in (value.quantize(place, ROUND_HALF_UP), value.quantize(place, ROUND_HALF_EVEN)):
        return "rounded"
    return "truncated" if shown == value.quantize(place, ROUND_DOWN) else "neither"


def rounding_habit(printed: ArrayLike, true: ArrayLike, decimals: int) -> dict[str, int]:
    """Count how printed numbers arose from computed ones.

    Args:
        printed (n,): as in the paper.
        true (n,): recomputed with all digits.
        decimals: digits behind the point in the paper.

    Returns:
        Counts of ``both`` (rounding and cutting off agree: no evidence), ``rounded``,
        ``truncated`` and ``neither``.

    Example:
        >>> rounding_habit([0.83, 0.83, 0.84, 0.9], [0.831, 0.838, 0.838, 0.838], 2)
        {'both': 1, 'rounded': 1, 'truncated': 1, 'neither': 1}
    """
    counts = dict.fromkeys(("both", "rounded", "truncated", "neither"), 0)
    shown = finite("printed", np.ravel(np.asarray(printed, dtype=np.float64)))
    values = finite("true", np.ravel(np.asarray(true, dtype=np.float64)))
    place = Decimal(1).scaleb(-decimals)
    for each, value in zip(shown, values, strict=True):
        how: str = rounding(each, value, decimals)
        if how == "rounded" and meant_decimal(each) == meant_decimal(value).quantize(
            place, ROUND_DOWN
        ):
            how = "both"
        counts[how] += 1
    return counts
