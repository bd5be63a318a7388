"""Which whole numbers of cases can stand behind printed rates and recalls (the GRIM idea)."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from common.statistics.audit import Check, Printed
from common.statistics.results import Array, DesignError

Ints = NDArray[np.int64]
_SLACK = 1e-9  # relative; what binary arithmetic may be off
_LARGEST = 2**62  # products of counts must stay below this
_LONGEST = 50_000_000  # entries of a list of sums of squares


def whole_numbers(name: str, values: int | Iterable[int]) -> Ints:
    """Return positive whole numbers in rising order, each once.

    Args:
        name: of the argument, for the message.
        values: one number or several.

    Raises:
        DesignError: none, or one that is no whole number >= 1.

    Example:
        >>> whole_numbers("n", [3, 1, 3]).tolist()
        [1, 3]
    """
    each = np.unique(np.atleast_1d(np.asarray(values if isinstance(values, int) else [*values])))
    if not len(each) or not np.issubdtype(each.dtype, np.integer) or each[0] < 1:
        raise DesignError(f"`{name}` must be whole numbers >= 1, got {values!r}.")
    return each.astype(np.int64)


def count_range(rate: Printed, n: ArrayLike) -> tuple[Ints, Ints]:
    """Bound the count behind a printed rate, in whole-number arithmetic.

    Args:
        rate: a printed fraction.
        n: cases, scalar or array.

    Returns:
        Smallest and largest whole count out of ``n`` that prints like this; where none does, the
        first is larger than the second.

    Raises:
        DesignError: so many digits that the products leave 64 bits, or rounded thousands.

    Example:
        >>> [int(end) for end in count_range(Printed(0.33, 2), 40)]
        [13, 13]
    """
    cases = np.asarray(n, dtype=np.int64)
    low, high = rate.half_ticks
    whole = 2 * 10 ** max(rate.decimals, 0)
    if rate.decimals < 0 or max(whole, abs(high)) * int(cases.max(initial=1)) > _LARGEST:
        raise DesignError(f"`rate` must be a fraction with fewer digits, got {rate!r}.")
    open_low, open_high = rate.open_ends
    # In whole numbers: ceil(a / b) is -(-a // b); an excluded end moves one count inwards.
    first = low * cases // whole + 1 if open_low else -(-low * cases // whole)
    last = -(-high * cases // whole) - 1 if open_high else high * cases // whole
    return np.maximum(first, 0), np.minimum(last, cases)


def expected_counts(rate: Printed, cases: Ints) -> Array:
    """Return how many counts out of ``cases`` a random number with these digits has on average.

    Counts over cases and printed numbers fall into step: with q the denominator of
    ``10^decimals / cases`` in lowest terms, one count in q is a tie that prints in two ways.

    Args:
        rate: gives the digits and the rounding.
        cases (any shape): denominators.

    Returns:
        At most 1 of it is the probability that a random printed rate fits (exact up to two thirds
        of ``10^decimals`` cases); infinity for rates 0 and 1, which fit any denominator.

    Example:
        >>> expected_counts(Printed(0.3, 1), np.array([3])).tolist()   # 0, 1/3, 2/3, 1 of 0.0..1.0
        [0.3]
    """
    whole = 10**rate.decimals
    if rate.ticks in (0, whole):
        return np.full(np.shape(cases), np.inf)
    q = cases // np.gcd(cases, whole)
    twice = {"rounded": (q % 2 == 0) / q, "truncated": 0.0, "either": (q // 2) / q}[rate.how]
    return np.asarray(cases / whole * (1 + twice), dtype=np.float64)


def denominators(
    rates: Sequence[Printed], *, n: int | Iterable[int], runs: int | Iterable[int] = 1
) -> pd.DataFrame:
    """Find the numbers of cases that can give all printed rates.

    Args:
        rates: printed fractions with one common denominator; means over runs where ``runs`` > 1.
        n: numbers of cases to try.
        runs: numbers of runs to try; a mean over runs is a count out of ``n * runs``.

    Returns:
        One row for each fit, smallest ``n`` first: ``n, runs``; ``chance``, the probability that
        as many random rates would fit this one (rates 0 and 1 always do); ``expected``, how many
        of the numbers of cases tried up to this one random rates would fit.  A fit is evidence
        where both are small.

    Source:
        Brown and Heathers, Soc Psychol Personal Sci 8:363 (2017).

    Example:
        >>> rates = [Printed(0.6852, 4), Printed(0.8148, 4), Printed(0.8889, 4)]
        >>> denominators(rates, n=range(1, 100))["n"].tolist()
        [54]
    """
    if not rates:
        raise DesignError("`rates` must hold at least 1 rate, got none.")
    sizes, repeats = whole_numbers("n", n), whole_numbers("runs", runs)
    cases = sizes[:, None] * repeats
    fits, chance = np.ones(cases.shape, dtype=bool), np.ones(cases.shape)
    for rate in rates:
        low, high = count_range(rate, cases)
        fits &= low <= high
        chance *= np.minimum(expected_counts(rate, cases), 1.0)
    expected = chance.sum(axis=1).cumsum()
    at, which = np.nonzero(fits)
    return pd.DataFrame(
        {
            "n": sizes[at],
            "runs": repeats[which],
            "chance": chance[at, which],
            "expected": expected[at],
        }
    )


def check_denominator(
    id: str, statement: str, *, rates: Sequence[Printed], n: int, runs: int = 1
) -> Check:
    """Check that printed rates can be counts out of the stated number of cases.

    Args:
        id: name of the check.
        statement: what should hold.
        rates: printed fractions.
        n: stated cases.
        runs: runs that were averaged.

    Returns:
        ``pass`` with the probability that random rates would, too; ``undecidable`` where that is
        above 1/2; ``fail`` with the rates that no count gives.

    Example:
        >>> check = check_denominator("N", "204 clips", rates=[Printed(0.1818, 4)], n=204)
        >>> check.status, check.note
        ('fail', '0.1818 is no count out of 204')
    """
    cases = n * runs
    wrong = [rate.value for rate in rates if np.greater(*count_range(rate, cases))]
    if wrong:
        note = f"{', '.join(f'{value:g}' for value in wrong)} is no count out of {cases}"
        return Check(id, statement, "fail", f"{n}", None, note)
    tried = np.array([cases], dtype=np.int64)
    chance = float(np.prod([np.minimum(expected_counts(rate, tried), 1.0) for rate in rates]))
    note = f"random numbers would pass with probability {chance:.2g}"
    return Check(id, statement, "pass" if chance <= 0.5 else "undecidable", f"{n}", f"{n}", note)


def class_sizes(
    recalls: Sequence[Printed],
    total: int,
    *,
    accuracy: Printed | None = None,
    smallest: int = 1,
) -> pd.DataFrame:
    """Find the class sizes that printed recalls of all classes and the number of cases allow.

    Args:
        recalls (c,): printed recall of each class, a fraction.
        total: cases of all classes together.
        accuracy: printed share of all cases that are right, if any.
        smallest: no class has fewer cases.

    Returns:
        ``class_index, n, low, high``: every size that occurs in some division of all cases that
        fits every recall (and the accuracy), with the range of its right cases; empty where no
        division fits.

    Example:
        >>> recalls = [Printed(0.333, 3), Printed(0.714, 3)]
        >>> class_sizes(recalls, 10)[["class_index", "n", "low"]].values.tolist()
        [[0, 3, 1], [1, 7, 5]]
    """
    if not recalls or total < len(recalls) * smallest or smallest < 1:
        raise DesignError(f"`total` must be >= {len(recalls) * smallest} cases, got {total}.")
    sizes = np.arange(smallest, total + 1)
    # A set of (cases, right cases) is one long integer with a bit for each pair.
    field = 1 if accuracy is None else total + 1
    choices: list[list[tuple[int, int, int]]] = []
    for recall in recalls:
        low, high = count_range(recall, sizes)
        fits = low <= high
        choices.append(
            list(zip(sizes[fits].tolist(), low[fits].tolist(), high[fits].tolist(), strict=True))
        )
    wanted = 1 << total * field
    if accuracy is not None:
        least, most = (int(end) for end in count_range(accuracy, total))
        wanted = sum(1 << total * field + right for right in range(least, most + 1))

    def shifts(choice: tuple[int, int, int]) -> list[int]:
        size, low, high = choice
        return [size * field + right for right in (range(low, high + 1) if field > 1 else (0,))]

    rows = []
    mask = (1 << (total + 1) * field) - 1
    for index, own in enumerate(choices):
        others = 1
        for choice_list in (c for other, c in enumerate(choices) if other != index):
            together = 0
            for choice in choice_list:
                for shift in shifts(choice):
                    together |= others << shift & mask
            others = together
        rows += [
            (index, *choice)
            for choice in own
            if any(others << shift & wanted for shift in shifts(choice))
        ]
    return pd.DataFrame(rows, columns=["class_index", "n", "low", "high"])
