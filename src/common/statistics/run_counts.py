"""Which whole numbers of cases and runs can stand behind a printed mean and spread.

The counts of the runs have a whole sum and a whole sum of squares (GRIMMER), and which pairs of the
two exist is known from number theory, so that no search over the runs' counts is needed.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from math import ceil, floor, isqrt, sqrt

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common.statistics.audit import Check, Printed, Status
from common.statistics.rate_counts import Ints, expected_counts, whole_numbers
from common.statistics.results import Array, DesignError

_SLACK = 1e-9  # relative; what binary arithmetic may be off
_LARGEST = 2**62  # products of counts must stay below this
_LONGEST = 50_000_000  # entries of a list of sums of squares


@lru_cache(maxsize=8)
def _table(values: int, rest: int, limit: int) -> NDArray[np.int32]:
    """Count, up to each m, the sums of squares that 3 or 4 integers with sum ``rest`` have.

    Returns:
        ``table[m + 1]``: how many sums of squares 0..m exist; see :func:`_attained`.
    """
    m = np.arange(limit + 1, dtype=np.int32)
    if values == 3:
        exists = np.zeros(limit + 1, dtype=bool)
        x = np.arange(-isqrt(limit) - 2, isqrt(limit) + 3)
        for first in x:  # row by row: all pairs at once do not fit into memory
            squares = first**2 + x**2 + (rest - first - x) ** 2
            exists[squares[squares <= limit]] = True
    elif rest % 2:
        exists = (m % 2 == 1) & (m >= rest)
    elif rest:
        exists = (m % 2 == 0) & (m % 8 != 0)
    else:
        odd_part = m.copy()
        while (fourths := (odd_part % 4 == 0) & (odd_part > 0)).any():
            odd_part[fourths] //= 4
        exists = (m % 2 == 0) & (odd_part % 8 != 7)
    return np.concatenate([[0], exists.cumsum()]).astype(np.int32)


def _pairs(rest: Ints, limit: Ints) -> Ints:
    """Count the sums of squares up to a limit of two integers with a given sum, one of 0 and 1.

    With d their difference, of the parity of the sum, the sum of squares is (d^2 + rest^2) / 2.
    """
    twice = 2 * limit - rest
    largest = np.floor(np.sqrt(np.maximum(twice, 0))).astype(np.int64)
    return np.where(twice < rest, 0, (largest - rest) // 2 + 1)


def _attained(values: int, rest: Ints, low: Ints, high: Ints, limit: int) -> Ints:
    """Count the m in [low, high] that are sums of squares of integers with a given sum.

    Five or more integers with sum t, 0 <= t < values, have every m >= t of the parity of t: one
    of them can be chosen so that the other four have an odd sum b and an odd sum of squares a
    with b^2 < 4a; then 4a - b^2 is 3 modulo 8, hence a sum of three odd squares (Gauss), which
    gives the four integers (Cauchy).  With four the same holds for odd t; for t = 2 the multiples
    of 8 and for t = 0 the numbers 4^a (8b + 7) are missing.  For three they are listed.

    Args:
        values: how many integers.
        rest: their sum, 0 <= rest < values.
        low, high: ends of the range; ``high`` is at most ``limit``.
        limit: size of the lists.
    """
    if values == 1:
        return ((low <= 0) & (high >= 0)).astype(np.int64)
    if values == 2:
        return np.maximum(_pairs(rest, high) - _pairs(rest, low - 1), 0)
    if values <= 4:
        found = np.zeros(np.broadcast_shapes(low.shape, rest.shape), dtype=np.int64)
        for t in range(values):
            table = _table(values, t, limit)
            upper = table[np.clip(high + 1, 0, limit + 1)]
            lower = table[np.clip(low, 0, limit + 1)]
            found = np.where(rest == t, np.maximum(upper - lower, 0), found)
        return found
    first = np.maximum(low, rest)
    first = first + (first - rest) % 2
    return np.maximum((high - first) // 2 + 1, 0)


@dataclass(frozen=True)
class _Window:
    """What a printed mean and spread allow for k integers, for an array of step sizes.

    Values are integers over ``step`` (cases, or items of a questionnaire); ``k^2`` times their
    population variance is called v.
    """

    k: int
    step: Ints
    first: Ints  # smallest whole sum of the k integers
    last: Ints
    v_low: Array
    v_high: Array


@dataclass(frozen=True)
class _Cell:
    """A printed mean and spread of k whole numbers over a step size."""

    mean: Printed
    sd: Printed
    k: int
    ddof: int
    run_decimals: int | None = None

    def __post_init__(self) -> None:
        if self.ddof not in (0, 1) or self.k <= self.ddof:
            raise DesignError(
                f"`runs` must be more than `ddof` (0 or 1), got {self.k} and {self.ddof}."
            )
        if self.sd.value < 0 or min(self.mean.decimals, self.sd.decimals) < 0:
            raise DesignError(f"`sd` must be >= 0 with decimals >= 0, got {self.sd!r}.")

    @property
    def widening(self) -> float:
        """By how much the spread can change if each value is rounded first: sd is a norm."""
        if self.run_decimals is None:
            return 0.0
        return 0.5 * 10.0**-self.run_decimals * sqrt(self.k / (self.k - self.ddof))

    def limit(self, step: int) -> int:
        """Return how far lists of sums of squares must reach."""
        if self.k not in (3, 4, 5):  # one of five may be set apart, see `_set_apart`
            return 0
        largest = (self.sd.high + self.widening) * step
        limit = ceil(largest**2 * self.k * (1 + _SLACK)) + 2 * self.k
        if limit > _LONGEST:
            raise DesignError(
                f"`n` must be smaller for {self.k} runs with this spread, got {step}. "
                "Only 3 to 5 runs need lists; ask for other numbers of runs."
            )
        return limit

    def window(self, step: Ints) -> _Window:
        """Return the sums and spreads that print like this, each value rounded first or not."""
        low, high = self.mean.half_ticks
        open_low, open_high = self.mean.open_ends
        whole = 2 * 10**self.mean.decimals
        if self.run_decimals is not None:
            finer = 10 ** max(self.run_decimals - self.mean.decimals, 0)
            blur = 10 ** max(self.mean.decimals - self.run_decimals, 0)
            low, high, whole = low * finer - blur, high * finer + blur, whole * finer
        if max(whole, abs(high)) * int(step.max(initial=1)) * self.k > _LARGEST:
            raise DesignError(f"`mean` must have fewer digits, got {self.mean!r}.")
        total = step * self.k
        factor = step.astype(np.float64) ** 2 * self.k * (self.k - self.ddof)
        slack = [_SLACK * (1 - 2 * end) for end in self.sd.open_ends]
        return _Window(
            self.k,
            step,
            low * total // whole + 1 if open_low else -(-low * total // whole),
            -(-high * total // whole) - 1 if open_high else high * total // whole,
            max(self.sd.low - self.widening, 0.0) ** 2 * factor * (1 - slack[0]),
            (self.sd.high + self.widening) ** 2 * factor * (1 + slack[1]),
        )

    def solutions(self, step: int, low: int, high: int) -> Iterator[tuple[int, ...]]:
        """List the rising integers from low to high that give the print."""
        window = self.window(np.array([step], dtype=np.int64))
        first = max(int(window.first[0]), self.k * low)
        last = min(int(window.last[0]), self.k * high)
        for total in range(first, last + 1):
            rest, least, most = (
                int(x[0]) for x in _sums_of_squares(window, np.array([total], dtype=np.int64))
            )
            # From rests above the quotient back to the integers themselves.
            quotient = total // self.k
            shift = 2 * quotient * rest + self.k * quotient**2
            found = _split(total, least + shift, most + shift, self.k, low, high)
            yield from (each for each in found if self._prints(each, step))

    def _prints(self, counts: tuple[int, ...], step: int) -> bool:
        if self.run_decimals is None:
            return True
        whole = 10**self.run_decimals
        exact = np.array(counts, dtype=np.float64) * whole / step
        for ticks in (np.floor(exact + 0.5 + _SLACK), np.ceil(exact - 0.5 - _SLACK)):
            values = ticks / whole
            if self.mean.contains(values.mean()) and self.sd.contains(values.std(ddof=self.ddof)):
                return True
        return False

    def exists(self, step: int, low: int, high: int) -> bool:
        """Tell whether any integers from low to high give the print."""
        steps, lows, highs = (np.array([x], dtype=np.int64) for x in (step, low, high))
        possible, certain = _fit(self, steps, lows, highs, self.limit(step))
        if certain[0] or not possible[0]:
            return bool(certain[0])
        return next(self.solutions(step, low, high), None) is not None


def _sums_of_squares(window: _Window, total: Ints) -> tuple[Ints, Ints, Ints]:
    """Return sum modulo k, and the range of the sum of squares of the rests above the quotient."""
    rest = total % window.k
    low = np.ceil((window.v_low + rest**2) / window.k - _SLACK).astype(np.int64)
    high = np.floor((window.v_high + rest**2) / window.k + _SLACK).astype(np.int64)
    return rest, low, high


def _highest(total: Ints, k: int, low: Ints, high: Ints) -> Array:
    """Return the largest v that k integers from low to high with this sum can have."""
    above, room = total - k * low, np.maximum(high - low, 1)
    full = above // room
    squares = full * room.astype(np.float64) ** 2 + (above - full * room) ** 2
    return np.maximum(k * squares - above.astype(np.float64) ** 2, -1.0)


def _safe(
    k: int, total: Ints, low: Ints, high: Ints, window: tuple[Ints, Ints], limit: int
) -> NDArray[np.bool_]:
    """Tell where k integers have a sum of squares in the window and cannot leave the bounds.

    None of k numbers is further from their mean than sqrt(k - 1) standard deviations (Samuelson).
    """
    quotient, rest = total // k, total % k
    shift = 2 * quotient * rest + k * quotient**2
    reach = np.maximum(np.minimum(total - k * low, k * high - total), -1).astype(np.float64)
    ceiling = np.floor((reach**2 / max(k - 1, 1) + rest**2) / k + _SLACK).astype(np.int64)
    most = np.minimum(window[1] - shift, ceiling)
    return (reach >= 0) & (_attained(k, rest, window[0] - shift, most, limit) > 0)


def _set_apart(
    k: int, total: Ints, low: Ints, high: Ints, window: tuple[Ints, Ints], limit: int
) -> NDArray[np.bool_]:
    """Tell where one of k integers can be set apart so that the others are safe.

    Near a bound a wide spread needs one outlier on the far side; the others then stay close.
    """
    found = np.zeros(len(total), dtype=bool)
    mean = total / k
    sd = np.sqrt(np.maximum((window[0] + window[1]) / 2 / k - mean**2, 0.0))
    for share in (1.0, 0.95, 0.8, 0.5):
        for side in (-1, 1):
            outlier = np.rint(mean + side * share * sd * sqrt(k - 1)).astype(np.int64)
            rest = window[0] - outlier**2, window[1] - outlier**2
            inside = (outlier >= low) & (outlier <= high)
            found |= inside & _safe(k - 1, total - outlier, low, high, rest, limit)
    return found


def _fit(
    cell: _Cell, step: Ints, low: Ints, high: Ints, limit: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Tell for every step whether k integers can give the print, and whether that is certain."""
    k = cell.k
    whole = cell.window(step)
    possible, certain = (np.zeros(len(step), dtype=bool) for _ in range(2))
    first, last = np.maximum(whole.first, k * low), np.minimum(whole.last, k * high)
    at, offset = np.nonzero(first <= last)[0], 0
    while len(at):
        total, bottom, top = first[at] + offset, low[at], high[at]
        window = _Window(k, step[at], total, total, whole.v_low[at], whole.v_high[at])
        rest, least, most = _sums_of_squares(window, total)
        highest = np.floor((_highest(total, k, bottom, top) + rest**2) / k + _SLACK)
        most = np.minimum(most, highest.astype(np.int64))
        may = _attained(k, rest, least, most, limit) > 0
        possible[at] |= may
        shift = 2 * (total // k) * rest + k * (total // k) ** 2
        squares = least + shift, most + shift
        sure = may & _safe(k, total, bottom, top, squares, limit)
        left = np.nonzero(may & ~sure & (k > 2))[0]
        if len(left):
            apart = squares[0][left], squares[1][left]
            sure[left] = _set_apart(k, total[left], bottom[left], top[left], apart, limit)
        certain[at] |= sure
        offset += 1
        at = at[~certain[at] & (first[at] + offset <= last[at])]
    return possible, certain & (cell.run_decimals is None)


def _split(
    total: int, low_squares: int, high_squares: int, k: int, low: int, high: int
) -> Iterator[tuple[int, ...]]:
    """List k rising integers in [low, high] with this sum and a sum of squares in the range."""
    if k == 1:
        if low <= total <= high and low_squares <= total**2 <= high_squares:
            yield (total,)
        return
    balanced, over = divmod(total, k)
    least = (k - over) * balanced**2 + over * (balanced + 1) ** 2
    if not k * low <= total <= k * high or least > high_squares:
        return
    full, more = divmod(total - k * low, max(high - low, 1))
    if full < k:
        most = full * high**2 + (low + more) ** 2 + (k - full - 1) * low**2
        if most < low_squares:
            return
    spread = sqrt(max(high_squares - total**2 / k, 0.0) * (k - 1) / k)
    for smallest in range(max(low, ceil(total / k - spread - _SLACK)), total // k + 1):
        square = smallest**2
        for others in _split(
            total - smallest,
            low_squares - square,
            high_squares - square,
            k - 1,
            smallest,
            high,
        ):
            yield (smallest, *others)


def run_counts(
    mean: Printed,
    sd: Printed,
    *,
    n: int,
    runs: int,
    ddof: int,
    run_decimals: int | None = None,
    limit: int = 1000,
) -> list[tuple[int, ...]]:
    """List the counts of the single runs that a printed mean and spread can have come from.

    Args:
        mean: printed mean of a rate over runs, a fraction.
        sd: printed standard deviation over runs, a fraction.
        n: cases of every run.
        runs: how many.
        ddof: 1 for the sample, 0 for the population formula.
        run_decimals: each run's rate was rounded to so many decimals (of the fraction) before
            mean and spread were taken, as happens in spreadsheets; None for full digits.
        limit: stop after so many.

    Returns:
        Counts of each run in rising order; empty where nothing fits.

    Example:
        >>> run_counts(Printed(0.8846, 4), Printed(0.0384, 4, "either"), n=13, runs=2, ddof=0)
        [(11, 12)]
    """
    cell = _Cell(mean, sd, runs, ddof, run_decimals)
    return list(islice(cell.solutions(int(whole_numbers("n", n)[0]), 0, n), limit))


def _chance(cell: _Cell, step: Ints, limit: int) -> Array:
    """Approximate the probability that a random mean and spread near these would fit."""
    mean, sd, k, window = cell.mean, cell.sd, cell.k, cell.window(step)
    sums = np.minimum(expected_counts(mean, window.step * k), 1e9)
    width = (window.v_high - window.v_low) / k
    middle = (window.v_high + window.v_low) / 2 / k
    if k == 1:
        return np.minimum(sums, 1.0) * (sd.low <= 0)
    rests = [np.full(len(width), t, dtype=np.int64) for t in range(k)]
    if sd.low <= 0:
        # Only sums that are nearly balanced have no spread: count the residues that allow it.
        zeros = np.zeros(len(width), dtype=np.int64)
        highs = (
            np.floor((window.v_high + rest**2) / k + _SLACK).astype(np.int64) for rest in rests
        )
        hits = [
            _attained(k, rest, zeros, high, limit) > 0
            for rest, high in zip(rests, highs, strict=True)
        ]
        return np.minimum(np.minimum(sums, k) * np.mean(hits, axis=0), 1.0)
    density: Array = np.full(len(width), 0.5)
    if k <= 4:
        # A quarter around the place holds enough sums of squares to count their local density.
        low = np.floor(0.75 * middle).astype(np.int64)
        high = np.ceil(middle + 1).astype(np.int64)
        density = np.mean([_attained(k, rest, low, high, limit) for rest in rests], axis=0)
        density = density / (high - low + 1)
    one = np.minimum(np.maximum(sums, 1.0) * width * density, 1.0)
    return np.asarray(np.minimum(sums, 1.0) * one, dtype=np.float64)


def _fitting(cells: list[_Cell], sizes: Ints) -> pd.DataFrame:
    """Find the sizes that fit all cells of k runs with one formula of the spread."""
    limit = max(cell.limit(int(sizes[-1])) for cell in cells)
    left = sizes
    unsure: list[set[int]] = []
    for cell in cells:
        possible, certain = _fit(cell, left, np.zeros_like(left), left, limit)
        unsure.append(set(left[possible & ~certain].tolist()))
        left = left[possible]
    found = [
        size
        for size in left.tolist()
        if all(
            size not in doubtful or next(cell.solutions(size, 0, size), None) is not None
            for cell, doubtful in zip(cells, unsure, strict=True)
        )
    ]
    steps = np.array(found, dtype=np.int64)
    chance = np.prod([_chance(cell, steps, limit) for cell in cells], axis=0) if found else []
    k, ddof = cells[0].k, cells[0].ddof
    return pd.DataFrame({"n": steps, "runs": k, "ddof": ddof, "chance": chance})


def run_denominators(
    means: Sequence[Printed],
    sds: Sequence[Printed],
    *,
    n: int | Iterable[int],
    runs: int | Iterable[int],
    ddofs: Iterable[int] = (0, 1),
    run_decimals: int | None = None,
) -> pd.DataFrame:
    """Find numbers of cases and of runs that can give all printed means with their spreads.

    A cell ``88.46 +- 3.84`` over r runs needs whole counts with a sum and a sum of squares that
    print like this; which sums of squares exist is known in closed form, and only cells near 0 or
    1, where a count could leave 0..n, are searched.

    Args:
        means (m,): printed means of rates over runs, fractions.
        sds (m,): their printed standard deviations.
        n: numbers of cases to try.
        runs: numbers of runs to try.
        ddofs: formulas to try: 1 sample, 0 population.
        run_decimals: see :func:`run_counts`; every fit is then searched, which is slow for many
            runs.

    Returns:
        One row for each fit: ``n, runs, ddof`` and ``chance``, about how likely as many random
        cells with like means and spreads would fit.

    Raises:
        DesignError: not one spread a mean.

    Source:
        Brown and Heathers (2017); Allard, GRIMMER (2018); exact here, see ``_attained``.

    Example:
        >>> cells = [Printed(0.8846, 4)], [Printed(0.0384, 4, "either")]
        >>> run_denominators(*cells, n=range(10, 20), runs=[2, 3]).values.tolist()[0][:3]
        [13.0, 2.0, 0.0]
    """
    if not means or len(means) != len(sds):
        raise DesignError(f"`sds` must be one a mean, got {len(sds)} for {len(means)}.")
    sizes, pairs = whole_numbers("n", n), list(zip(means, sds, strict=True))
    tables = [
        _fitting([_Cell(*cell, k, ddof, run_decimals) for cell in pairs], sizes)
        for k in whole_numbers("runs", runs).tolist()
        for ddof in sorted(set(ddofs))
        if k > ddof
    ]
    if not tables:
        raise DesignError(f"`runs` must be more than `ddofs`, got {runs!r} and {ddofs!r}.")
    whole = pd.concat(tables, ignore_index=True)
    return whole.sort_values(["n", "runs", "ddof"], ignore_index=True)


def check_runs(
    id: str,
    statement: str,
    *,
    means: Sequence[Printed],
    sds: Sequence[Printed],
    n: int,
    runs: int,
    ddofs: Iterable[int] = (0, 1),
    run_decimals: int | None = None,
) -> Check:
    """Check that printed means and spreads can come from whole counts of some runs.

    See :func:`run_denominators` for the arguments.

    Returns:
        ``pass`` with the formula of the spread that fits and the probability that random cells
        would fit, too; ``undecidable`` where that is above 1/2; else ``fail`` with the number of
        cells that fit neither formula.

    Example:
        >>> cell = dict(means=[Printed(0.8846, 4)], sds=[Printed(0.0384, 4, "either")])
        >>> check_runs("R", "2 runs", n=13, runs=2, **cell).note.split(";")[0]
        'population sd'
        >>> check_runs("R", "3 runs", n=13, runs=3, **cell).status
        'fail'
    """
    names = {0: "population sd", 1: "sample sd"}
    shown = f"{runs} runs of {n}"
    found = run_denominators(means, sds, n=n, runs=runs, ddofs=ddofs, run_decimals=run_decimals)
    if len(found):
        chance = float(found["chance"].sum())
        how = " or ".join(names[ddof] for ddof in found["ddof"])
        note = f"{how}; random numbers would pass with probability {min(chance, 1.0):.2g}"
        status: Status = "pass" if chance <= 0.5 else "undecidable"
        return Check(id, statement, status, shown, shown, note)
    tried = list(ddofs)
    alone = [
        any(
            runs > ddof and _Cell(mean, sd, runs, ddof, run_decimals).exists(n, 0, n)
            for ddof in tried
        )
        for mean, sd in zip(means, sds, strict=True)
    ]
    note = f"{alone.count(False)} of {len(alone)} cells fit no counts of {shown}"
    return Check(id, statement, "fail", shown, None, note)


def integers_possible(
    mean: Printed,
    sd: Printed,
    *,
    n: int,
    ddof: int = 1,
    low: int | None = None,
    high: int | None = None,
    items: int = 1,
) -> bool:
    """Tell whether whole-number data can have a printed mean and standard deviation.

    Args:
        mean: printed mean of a score.
        sd: its printed standard deviation.
        n: values behind it.
        ddof: 1 for the sample, 0 for the population formula.
        low: smallest possible value of the scale; None for no bound.
        high: largest possible value.
        items: each value is a mean of so many whole numbers.

    Returns:
        Exact for any n without bounds; with bounds the values are searched where a bound binds,
        which is meant for n up to some hundred.

    Source:
        Allard, GRIMMER (2018); five or more values need nothing but the right parity.

    Example:
        >>> integers_possible(Printed(2.5, 1), Printed(0.5, 1), n=4, ddof=0)
        True
        >>> integers_possible(Printed(2.5, 1), Printed(0.6, 1), n=4, ddof=0)
        False
    """
    # No value is further from the mean than sqrt(n) standard deviations: bounds that never bind.
    reach = ceil((sd.high * sqrt(n) * n + 1) * items) + 1
    bottom = floor(mean.low * items) - reach if low is None else low * items
    top = ceil(mean.high * items) + reach if high is None else high * items
    return _Cell(mean, sd, n, ddof).exists(items, bottom, top)
