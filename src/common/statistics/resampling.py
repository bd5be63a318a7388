"""Bootstrap of any statistic: of draw counts, of arrays, of records.

A unit is drawn whole with all its cases.  What is drawn, and inside what, is the design: clusters,
clusters inside strata, clusters inside drawn folds or seeds (nested), or clusters and seeds each
for themselves (crossed).
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from common.statistics.replicates import (
    CHUNK,
    Bootstrap,
    Index,
    Method,
    check_method,
    draw_counts,
    exact_counts,
)
from common.statistics.results import Array, DesignError, cluster_codes


def _stratified_counts(
    stratum: Index, n_resamples: int, rng: np.random.Generator
) -> Iterator[Array]:
    """Draw counts (rows, G) of units inside their strata (G,), in pieces."""
    step = max(1, CHUNK // len(stratum))
    members = [np.flatnonzero(stratum == one) for one in range(int(stratum.max()) + 1)]
    for start in range(0, n_resamples, step):
        counts = np.zeros((min(step, n_resamples - start), len(stratum)))
        for units in members:
            counts[:, units] = np.concatenate([*draw_counts(len(units), len(counts), rng)])
        yield counts


def _removable(stratum: Index, n_resamples: int, method: str) -> Index:
    """Check a design, and return the units that can be left out: a stratum's only unit stays."""
    check_method(method)
    if n_resamples < 1:
        raise DesignError(f"`n_resamples` must be >= 1, got {n_resamples!r}.")
    kept = np.flatnonzero(np.bincount(stratum)[stratum] > 1)
    if len(kept) < 2:
        raise DesignError(
            f"`cluster` must hold at least 2 clusters in some stratum, got {len(stratum)} in all. "
            "Draw a smaller unit."
        )
    return kept


def _all_finite(replicates: Array) -> Array:
    if not np.isfinite(replicates).all():
        raise DesignError(
            f"`statistic` must be finite in every resample, got {(~np.isfinite(replicates)).sum()} "
            "that are not. Choose a statistic that exists when a class is not drawn."
        )
    return replicates


def _jackknife_error(values: Array, times: Array, stratum: Index) -> Array:
    """Return jackknife standard errors (r,).

    Args:
        values (r, G): the statistic without one draw of each unit.
        times (r, G): how often each unit was drawn.
        stratum (G,): its stratum; one with a single draw has no spread.
    """
    variance = np.zeros(len(values))
    for number in np.unique(stratum):
        mine = stratum == number
        n = times[:, mine].sum(axis=1)
        mean = (times[:, mine] * values[:, mine]).sum(axis=1) / n
        squares = (times[:, mine] * (values[:, mine] - mean[:, None]) ** 2).sum(axis=1)
        variance += (n - 1) / n * squares
    return np.sqrt(variance)


def bootstrap_counts(
    statistic: Callable[[Array], Array],
    n_units: int,
    *,
    strata: ArrayLike | None = None,
    n_resamples: int = 10_000,
    exact: bool = False,
    rng: np.random.Generator | None = None,
    method: Method = "percentile",
) -> Bootstrap:
    """Bootstrap a statistic that can be computed for many resamples at once from draw counts.

    Args:
        statistic: takes counts (r, n_units), how often each unit was drawn in each of r
            resamples, and returns r numbers.
        n_units: independent units.
        strata (n_units,): units are drawn inside their stratum.
        n_resamples: replicates.
        exact: list all draws instead, for 2 to 10 units without strata.
        rng: source of the draws; not needed with ``exact``.
        method: ``studentised`` takes the jackknife's standard error of each replicate, which costs
            one more call on all replicates for each unit.

    Returns:
        As many replicates as different draws if ``exact``, each with its ``times``.

    Raises:
        DesignError: fewer than two units, a replicate without a finite value, more than 10 units
            or strata with ``exact``, or no ``rng`` without it.

    Source:
        Efron and Tibshirani, An Introduction to the Bootstrap (1993), section 12.5.

    Example:
        A weighted mean; the middle of three draws out of four:

        >>> x = np.array([0.0, 1.0])
        >>> found = bootstrap_counts(lambda n: n @ x / n.sum(axis=1), 2, exact=True)
        >>> found.replicates.tolist(), found.times.tolist()
        ([0.0, 0.5, 1.0], [1, 2, 1])
    """
    stratum, n_strata = cluster_codes(np.zeros(n_units) if strata is None else strata, n_units)
    kept = _removable(stratum, n_resamples, method)
    times = None
    if exact:
        if n_strata > 1:
            raise DesignError(f"`strata` must be None with `exact`, got {n_strata} strata.")
        listed, times = exact_counts(n_units)
        pieces: Iterator[Array] = iter([listed.astype(np.float64)])
    elif rng is None:
        raise DesignError("`rng` must be a numpy Generator, got None. Pass default_rng(seed).")
    else:
        pieces = _stratified_counts(stratum, n_resamples, rng)
    inner = method == "studentised"
    found = [_replicate(statistic, piece, stratum, inner=inner) for piece in pieces]
    whole = np.ones((1, n_units))
    effect, error = _replicate(statistic, whole, stratum, inner=inner)
    left_out = (whole - np.eye(n_units))[kept]
    return Bootstrap(
        float(effect[0]),
        _all_finite(np.concatenate([replicates for replicates, _ in found])),
        n_units,
        _all_finite(np.asarray(statistic(left_out), float)) if method == "bca" else None,
        method,
        strata=stratum[kept],
        error=float(error[0]),
        errors=_all_finite(np.concatenate([each for _, each in found])) if inner else None,
        times=times,
    )


def _replicate(
    statistic: Callable[[Array], Array], counts: Array, stratum: Index, *, inner: bool
) -> tuple[Array, Array]:
    """Return the statistic (r,) of draw counts (r, G), and its jackknife errors or NaN."""
    values = np.asarray(statistic(counts), dtype=np.float64)
    if values.shape != (len(counts),):
        raise DesignError(
            f"`statistic` must return one number a resample, {len(counts)}, got {values.shape!r}."
        )
    if not inner:
        return values, np.full(len(counts), np.nan)
    without = np.zeros_like(counts)
    for unit in range(counts.shape[1]):
        rows = np.flatnonzero(counts[:, unit])
        fewer = counts[rows]
        alone = fewer[:, stratum == stratum[unit]].sum(axis=1) == 1
        fewer[~alone, unit] -= 1
        without[rows, unit] = statistic(fewer)
    return values, _jackknife_error(without, counts, stratum)


@dataclass(frozen=True)
class _Draw:
    """Drawn units of every level, down to the groups of rows that are taken whole.

    Args:
        groups (s,): the group of rows in each place of the draw.
        units: by level, the unit of each place (s,).
        slots: by level, the number of the draw of that unit; places of one slot stay together.
    """

    groups: Index
    units: tuple[Index, ...]
    slots: tuple[Index, ...]

    def without(self, slot: int, *, level: int = 0) -> "_Draw":
        """Leave out one draw of a unit."""
        kept = self.slots[level] != slot
        return _Draw(
            self.groups[kept],
            tuple(each[kept] for each in self.units),
            tuple(each[kept] for each in self.slots),
        )

    def copies(self, level: int) -> Index:
        """Number for each place how many draws of the same unit came before its own (s,)."""
        slots, first = np.unique(self.slots[level], return_index=True)
        units = self.units[level][first]
        order = np.argsort(units, kind="stable")
        ranked = units[order]
        copy = np.empty(len(units), dtype=np.intp)
        copy[order] = np.arange(len(units)) - np.searchsorted(ranked, ranked)
        return copy[np.searchsorted(slots, self.slots[level])]


@dataclass(frozen=True)
class _Nested:
    """Units inside units: strata, which are all taken, then levels that are drawn.

    Args:
        starts: by level, where the children of each unit of the level above begin, and the end.
        rows: rows of all groups, one group after the other.
        ends: where each group begins in ``rows``, and the end.
    """

    starts: tuple[Index, ...]
    rows: Index
    ends: Index

    @classmethod
    def of(cls, codes: Sequence[Index]) -> "_Nested":
        """Arrange rows by their units' codes, strata first."""
        path, starts = codes[0], []
        for code in codes[1:]:
            n_parents = int(path.max()) + 1
            pairs, below = np.unique(path * (int(code.max()) + 1) + code, return_inverse=True)
            parents = pairs // (int(code.max()) + 1)
            starts.append(np.searchsorted(parents, np.arange(n_parents + 1)))
            path = below
        ends = np.append(0, np.cumsum(np.bincount(path)))
        return cls(tuple(starts), np.argsort(path, kind="stable"), ends)

    @property
    def factors(self) -> tuple[Index, ...]:
        """The stratum of each unit of the first level."""
        return (np.repeat(np.arange(len(self.starts[0]) - 1), np.diff(self.starts[0])),)

    def draw(self, rng: np.random.Generator | None) -> _Draw:
        """Draw the units of every level inside those drawn above; without ``rng`` all, once."""
        units, ups, levels = np.arange(len(self.starts[0]) - 1), [], []
        for start in self.starts:
            sizes = np.diff(start)[units]
            up = np.repeat(np.arange(len(units)), sizes)
            if rng is None:
                place = np.arange(len(up)) - (np.cumsum(sizes) - sizes)[up]
            else:
                place = rng.integers(0, sizes[up])
            units = start[units][up] + place
            ups.append(up)
            levels.append(units)
        slot = np.arange(len(units))
        found = []
        for level in range(len(levels) - 1, -1, -1):
            found.append((levels[level][slot], slot))
            slot = ups[level][slot]
        found.reverse()
        return _Draw(units, tuple(unit for unit, _ in found), tuple(each for _, each in found))


@dataclass(frozen=True)
class _Crossed:
    """Two factors drawn each for itself; a group of rows is a cell of their table.

    Args:
        factors: the stratum of each unit, by factor; the units of the first lie in one.
        rows, ends: as in :class:`_Nested`.
    """

    factors: tuple[Index, ...]
    rows: Index
    ends: Index

    @classmethod
    def of(cls, codes: Sequence[Index]) -> "_Crossed":
        """Arrange rows by stratum (of the second factor), first and second factor."""
        n_names = int(codes[2].max()) + 1
        pairs, second = np.unique(codes[0] * n_names + codes[2], return_inverse=True)
        n_first = int(codes[1].max()) + 1
        cell = codes[1] * len(pairs) + second
        ends = np.append(0, np.cumsum(np.bincount(cell, minlength=n_first * len(pairs))))
        factors = np.zeros(n_first, dtype=np.intp), np.asarray(pairs // n_names, dtype=np.intp)
        return cls(factors, np.argsort(cell, kind="stable"), ends)

    def draw(self, rng: np.random.Generator | None) -> _Draw:
        """Draw both factors; without ``rng`` all, once."""
        drawn = []
        for stratum in self.factors:
            sizes = np.bincount(stratum)
            start = (np.cumsum(sizes) - sizes)[stratum]
            whole = np.arange(len(stratum))
            drawn.append(whole if rng is None else start + rng.integers(0, sizes[stratum]))
        shape = len(drawn[0]), len(drawn[1])
        one, two = (each.ravel() for each in np.indices(shape))
        units = drawn[0][one], drawn[1][two]
        return _Draw(units[0] * shape[1] + units[1], units, (one, two))


def _rows(design: _Nested | _Crossed, draw: _Draw) -> tuple[Index, Index]:
    """Return the rows of a draw, and the place of each in the draw."""
    begin, sizes = design.ends[draw.groups], np.diff(design.ends)[draw.groups]
    place = np.repeat(np.arange(len(sizes)), sizes)
    within = np.arange(len(place)) - (np.cumsum(sizes) - sizes)[place]
    return design.rows[begin[place] + within], place


def _bootstrap(
    of: Callable[[_Draw], float],
    design: _Nested | _Crossed,
    effect: float,
    n_resamples: int,
    rng: np.random.Generator,
    method: Method,
) -> Bootstrap:
    """Bootstrap what ``of`` makes of a draw."""
    inner = method == "studentised"
    kept = [_removable(stratum, n_resamples, method) for stratum in design.factors]
    if inner and len(kept) > 1:
        raise DesignError("`method` must not be studentised when crossed, got it. Use bca.")
    values, errors = np.empty(n_resamples), np.empty(n_resamples if inner else 0)
    for number in range(n_resamples):
        draw = design.draw(rng)
        values[number] = of(draw)
        if inner:
            errors[number] = _inner_error(of, draw, design.factors[0])
    jackknife, strata, whole = None, None, design.draw(None)
    if method == "bca":
        left_out = [(unit, level) for level, units in enumerate(kept) for unit in units]
        values_left = [of(whole.without(unit, level=level)) for unit, level in left_out]
        jackknife = _all_finite(np.array(values_left))
        # Each factor of a crossed design is centred by itself, as strata are.
        apart = [
            level * len(whole.groups) + design.factors[level][unit] for unit, level in left_out
        ]
        strata = np.unique(apart, return_inverse=True)[1]
    return Bootstrap(
        effect,
        _all_finite(values),
        min(len(stratum) for stratum in design.factors),
        jackknife,
        method,
        strata=strata,
        error=_inner_error(of, whole, design.factors[0]) if inner else math.nan,
        errors=_all_finite(errors) if inner else None,
    )


def _inner_error(of: Callable[[_Draw], float], draw: _Draw, strata: Index) -> float:
    """Return the jackknife standard error of a resample over its draws of the first level."""
    slots, first = np.unique(draw.slots[0], return_index=True)
    units = draw.units[0][first]
    times = np.ones(len(units))
    if len(draw.units) == 1:  # two draws of a unit are the same rows: leave out one of them
        units, place, counts = np.unique(units, return_index=True, return_counts=True)
        slots, times = slots[place], counts.astype(np.float64)
    stratum = strata[units]
    alone = np.bincount(stratum, weights=times)[stratum] < 2
    values = [
        of(draw if lone else draw.without(slot)) for slot, lone in zip(slots, alone, strict=True)
    ]
    return float(_jackknife_error(np.array([values]), times[None, :], stratum)[0])


def bootstrap_statistic(
    statistic: Callable[..., float | Array],
    arrays: tuple[NDArray[np.generic], ...],
    *,
    cluster: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    vectorised: bool = False,
    n_resamples: int = 2_000,
    rng: np.random.Generator,
    method: Method = "percentile",
) -> Bootstrap:
    """Bootstrap any statistic of cases by drawing whole clusters.

    Args:
        statistic: takes the arrays, restricted to the drawn rows, and returns a number; if
            ``vectorised``, takes weights (r, n), how often each row is drawn in each of r
            resamples, and then the whole arrays, and returns r numbers.
        arrays: arrays that share their first axis.
        cluster (n,): the independent unit of each row.
        strata (n,): clusters are drawn inside their stratum; one in two strata is a unit in each.
        vectorised: whether the statistic takes weights; see also :func:`bootstrap_counts`.
        n_resamples: replicates.
        rng: source of the draws.
        method: ``percentile`` and ``basic`` need one call a replicate; ``bca`` one more a
            cluster; ``studentised`` one more a cluster and replicate (an inner jackknife).

    Returns:
        Replicates that are not finite (a class that was not drawn, say) are an error.  A cluster
        drawn twice gives its rows twice; a statistic that groups by cluster needs
        :func:`bootstrap_records`, which tells them apart.

    Raises:
        DesignError: fewer than two clusters, or a replicate without a finite value.

    Example:
        >>> x = np.array([1.0, 2.0, 9.0])
        >>> bootstrap_statistic(np.median, (x,), n_resamples=9, rng=np.random.default_rng(0)).effect
        2.0
    """
    n = len(arrays[0])
    if n == 0:
        raise DesignError("`arrays` must hold at least 2 rows, got none.")
    strata_codes, _ = cluster_codes(np.zeros(n) if strata is None else strata, n)
    design = _Nested.of([strata_codes, cluster_codes(cluster, n)[0]])
    if vectorised:
        codes = np.empty(n, dtype=np.intp)
        (stratum,) = design.factors
        codes[design.rows] = np.repeat(np.arange(len(stratum)), np.diff(design.ends))
        return bootstrap_counts(
            lambda counts: np.asarray(statistic(counts[:, codes], *arrays)),
            len(stratum),
            strata=stratum,
            n_resamples=n_resamples,
            rng=rng,
            method=method,
        )

    def of(draw: _Draw) -> float:
        rows, _ = _rows(design, draw)
        return float(statistic(*(array[rows] for array in arrays)))

    return _bootstrap(of, design, float(statistic(*arrays)), n_resamples, rng, method)


def bootstrap_records(
    records: pd.DataFrame,
    statistic: Callable[..., float],
    *,
    levels: Sequence[str] = ("cluster",),
    crossed: bool = False,
    strata: str | None = None,
    columns: Sequence[str] | None = None,
    n_resamples: int = 2_000,
    rng: np.random.Generator,
    method: Method = "percentile",
) -> Bootstrap:
    """Bootstrap any statistic of records by drawing whole units with all their records.

    All arms, metrics and cases of a drawn unit come with it, so that comparisons stay paired.
    A unit drawn twice appears under two names (``p1`` and ``p1#2``; a seed gets a new number), so
    that a statistic that groups by it counts both.

    Args:
        records: see :mod:`common.records`; any table with the columns named here will do.
        statistic: takes such a table and returns a number; if ``columns`` are given, takes a
            dictionary of these columns as arrays (many times faster).
        levels: columns of the units drawn, the outer ones first.  ``("cluster",)``: clusters.
            ``("fold", "cluster")``: folds, then clusters inside each drawn fold.
            ``("seed", "cluster")``: seeds, then clusters inside each, drawn anew for each seed;
            right where every seed has test cases of its own.
        crossed: draw the units of two levels each for themselves, every drawn seed on every drawn
            cluster; right where all seeds score the same cases.
        strata: column inside whose values the units of the first level (crossed: the second) are
            drawn.
        columns: columns that the statistic needs, as arrays; those of ``levels`` come as numbers,
            another one for each copy of a unit.
        n_resamples: replicates.
        rng: source of the draws.
        method: see :func:`bootstrap_statistic`; ``bca`` and ``studentised`` leave out units of the
            first level, ``bca`` crossed of both; studentised crossed does not exist.

    Returns:
        With few units on the first level (3 to 5 seeds or folds) the interval is too narrow.

    Raises:
        DesignError: an unknown column, fewer than two units, or a replicate that is not finite.

    Source:
        Owen, Ann Appl Stat 1:386 (2007), for crossed draws; Davison and Hinkley, Bootstrap Methods
        (1997), section 3.8, for nested ones.

    Example:
        >>> records = pd.DataFrame({"cluster": ["p1", "p1", "p2"], "value": [1.0, 3.0, 4.0]})
        >>> def of_clusters(table):
        ...     return table.groupby("cluster")["value"].mean().mean()
        >>> rng = np.random.default_rng(0)
        >>> bootstrap_records(records, of_clusters, n_resamples=9, rng=rng).effect
        3.0
    """
    wanted = [*levels, *([strata] if strata else []), *(columns or [])]
    unknown = [name for name in wanted if name not in records]
    if unknown or not levels or (crossed and len(levels) != 2):
        raise DesignError(
            f"`levels` must name columns of the records, two if crossed, got {tuple(levels)!r}; "
            f"unknown columns: {', '.join(unknown) or 'none'}."
        )
    n = len(records)
    outer = cluster_codes(np.zeros(n) if strata is None else records[strata], n)[0]
    codes = [outer, *(cluster_codes(records[name], n)[0] for name in levels)]
    if n == 0:
        raise DesignError("`records` must hold at least 2 units, got no row. Run the chapter.")
    design = _Crossed.of(codes) if crossed else _Nested.of(codes)
    numbers = dict(zip(levels, codes[1:], strict=True))
    arrays = {n: numbers.get(n, np.asarray(records[n])) for n in columns or ()}

    def of(draw: _Draw) -> float:
        rows, place = _rows(design, draw)
        named = numbers if columns is None else numbers.keys() & arrays
        copies = {name: draw.copies(levels.index(name))[place] for name in named}
        if columns is None:
            table = records.take(rows)
            renamed = {name: _rename(table[name], copy) for name, copy in copies.items()}
            return float(statistic(table.assign(**renamed)))
        drawn = {name: array[rows] for name, array in arrays.items()}
        for name, copy in copies.items():
            drawn[name] += copy * (int(arrays[name].max()) + 1)
        return float(statistic(drawn))

    effect = float(statistic(records if columns is None else arrays))
    return _bootstrap(of, design, effect, n_resamples, rng, method)


def _rename(names: "pd.Series[Any]", copy: Index) -> "pd.Series[Any]":
    """Tell the copies of a unit apart: the first keeps its name, ``p1`` becomes ``p1#2``."""
    if pd.api.types.is_numeric_dtype(names):
        return names + copy * (names.max() - names.min() + 1)
    codes, found = pd.factorize(names)
    pairs, place = np.unique(copy * len(found) + codes, return_inverse=True)
    copies, name = np.divmod(pairs, len(found))
    new = [f"{found[n]}#{c + 1}" if c else str(found[n]) for c, n in zip(copies, name, strict=True)]
    return pd.Series(pd.Categorical.from_codes(place, categories=pd.Index(new)), index=names.index)
