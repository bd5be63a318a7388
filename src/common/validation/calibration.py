"""Levels and coverage: every test on every kind of study, counted."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from common.statistics import validity
from common.validation import engine
from common.validation.curves import Classes, Detectors, draw_classes, draw_detectors
from common.validation.folds import Folds, draw_folds
from common.validation.simulate import Outcome, Scenario, draw, marginals
from common.validation.tally import Tally
from common.validation.trials import KINDS, Kind, trials

LEVELS = (0.035, 0.065)  # rejections at 5 % that count as calibrated
COVERAGE = (0.93, 0.97)  # of 95 % intervals, from 30 clusters on
_CHUNK = 250  # studies of one piece of work
_INTERVALS = ("above", "below", "covered", "open", "split", "se_ratio", "width")
_DESIGN = ("outcome", "icc", "spread", "n_seeds", "n_folds", "run_share")

Kindred = Scenario | Folds | Classes | Detectors


@dataclass(frozen=True)
class Cell:
    """One kind of study and how many of them are tried.

    Args:
        kind: which tests are tried.
        scenario: what is drawn.
        n: studies; see :class:`~common.validation.trials.Trial` for the share a test gets.
    """

    kind: Kind
    scenario: Kindred
    n: int

    @property
    def id(self) -> str:
        """A name that fixes the cell's random numbers."""
        return f"{self.kind} {self.scenario}"


def cells(*, n: int = 2000, kinds: tuple[Kind, ...] = KINDS) -> list[Cell]:
    """List the kinds of study that are tried, ``n`` of each."""
    grids: dict[Kind, list[Any]] = {
        "paired": _paired(),
        "folds": _folds(),
        "seeds": _seeds(),
        "arms": _arms(),
        "arm_folds": _arm_folds(),
        "between": _between(),
        "classes": _classes(),
        "detectors": [Detectors(n_scans, 0.2) for n_scans in (20, 30, 50, 100)],
    }
    return [Cell(kind, each, n) for kind in kinds for each in grids[kind]]


def _paired() -> list[Scenario]:
    outcomes: tuple[Outcome, ...] = ("dice", "skewed", "binary")
    bounded: tuple[Outcome, ...] = ("dice", "binary")
    steps: tuple[tuple[Outcome, float], ...] = (("dice", 0.05), ("skewed", 0.05), ("binary", 0.10))
    usual = [
        Scenario(outcome, n, icc)
        for outcome in outcomes
        for n in (20, 30, 50, 100, 250)
        for icc in (0.0, 0.2, 0.6)
    ]
    sizes = [
        Scenario(outcome, n, 0.2, spread=spread)
        for outcome in bounded
        for n in (30, 100)
        for spread in (0.0, 1.2)
    ]
    rare = [Scenario("rare", n, 0.2) for n in (20, 30, 50, 100, 250)]
    effects = [
        Scenario(outcome, n, 0.2, effect=effect)
        for outcome, effect in steps
        for n in (20, 30, 50, 100)
    ]
    return usual + sizes + rare + effects


def _folds() -> list[Folds]:
    model = [
        Folds("overlap", 100, k, training_share=share) for k in (5, 10) for share in (0.0, 0.5)
    ]
    real = [Folds("learners", n, k) for n in (50, 100, 250) for k in (5, 10)]
    return [*model, *real, Folds("learners", 100, 5, repeats=3)]


def _seeds() -> list[Scenario]:
    return [
        Scenario("dice", n, 0.2, n_seeds=seeds, seed_share=share)
        for n in (30, 100)
        for seeds in (3, 5, 10)
        for share in (0.0, 0.003, 0.03)
    ]


def _arms() -> list[Scenario]:
    bounded: tuple[Outcome, ...] = ("dice", "binary")
    return [Scenario(outcome, n, 0.2, n_arms=4) for outcome in bounded for n in (20, 50, 100)]


def _arm_folds() -> list[Scenario]:
    return [Scenario("dice", 100, 0.2, n_arms=4, n_folds=k) for k in (5, 10)]


def _between() -> list[Scenario]:
    return [Scenario("dice", n, 0.2, n_arms=1) for n in (20, 30, 50, 100, 250)]


def _classes() -> list[Classes]:
    null = [Classes(n, icc) for n in (20, 30, 50, 100, 250) for icc in (0.0, 0.2, 0.6)]
    return null + [Classes(n, 0.2, effect=0.05) for n in (20, 30, 50, 100)]


def _draw(scenario: Kindred, rng: np.random.Generator) -> Any:
    if isinstance(scenario, Folds):
        return draw_folds(scenario, rng)
    if isinstance(scenario, Classes):
        return draw_classes(scenario, rng)
    if isinstance(scenario, Detectors):
        return draw_detectors(scenario, rng)
    return draw(scenario, rng)


@dataclass(frozen=True)
class _Piece:
    """Some studies of a cell; ``more`` are studies beyond those that the cell asks for."""

    cell: Cell
    start: int
    stop: int
    seed: int
    only: tuple[str, ...] | None
    more: bool = False


def _pieces(
    cell: Cell, first: int, last: int, seed: int, only: tuple[str, ...] | None, *, more: bool
) -> list[_Piece]:
    return [
        _Piece(cell, start, min(start + _CHUNK, last), seed, only, more)
        for start in range(first, last, _CHUNK)
    ]


def _try(piece: _Piece) -> dict[str, Tally]:
    """Try the tests of a cell on some of its studies."""
    cell = piece.cell
    found: dict[str, Tally] = {}
    tests = [t for t in trials(cell.kind) if piece.only is None or t.name in piece.only]
    known = true_effect(cell)
    for replicate in range(piece.start, piece.stop):
        data = engine.stream(piece.seed, cell.id, replicate)
        study = _draw(cell.scenario, data)
        differing = study.n_differing if cell.kind in ("paired", "folds", "seeds") else math.nan
        for test in tests:
            if replicate >= cell.n * test.share and not piece.more:
                continue
            own = engine.stream(piece.seed, cell.id, replicate, test.name)
            interval = replicate < cell.n * test.interval_share
            tally = test.run(study, known, own, interval)
            tally += Tally.of(differing=differing * tally["n"])
            found[test.name] = found.get(test.name, Tally.of()) + tally
    return found


def true_effect(cell: Cell) -> float:
    """Return the true effect of a cell; of one arm between groups, its mean score."""
    if isinstance(cell.scenario, Scenario) and cell.kind == "between":
        return marginals(cell.scenario.outcome, 0.0)[1].mean()
    return cell.scenario.effect


def count(
    grid: list[Cell],
    *,
    seed: int,
    jobs: int = 1,
    only: tuple[str, ...] | None = None,
    confirm: int = 0,
    say: engine.Say | None = None,
) -> pd.DataFrame:
    """Try the tests and count.

    Args:
        grid: see :func:`cells`.
        seed: of all random numbers.
        jobs: processes; the counts do not depend on it.
        only: names of tests; None tries all.
        confirm: where a test breaks its promise (:func:`failures`) it is tried on so many times
            as many further studies, which are counted with the first: with hundreds of cells a
            few lie outside by chance.
        say: takes progress lines.

    Returns:
        One row per cell and test.
    """
    pieces = []
    for cell in grid:
        if only is None or any(test.name in only for test in trials(cell.kind)):
            pieces += _pieces(cell, 0, cell.n, seed, only, more=False)
    sums: dict[tuple[Cell, str], Tally] = {}
    _add(sums, pieces, jobs, "calibration", say)
    doubtful = _doubtful(sums) if confirm else {}
    further = []
    for cell, names in doubtful.items():
        further += _pieces(cell, cell.n, (1 + confirm) * cell.n, seed, tuple(names), more=True)
    _add(sums, further, jobs, "doubtful cells", say)
    return _frame(sums)


def _add(
    sums: dict[tuple[Cell, str], Tally],
    pieces: list[_Piece],
    jobs: int,
    name: str,
    say: engine.Say | None,
) -> None:
    """Try the pieces and add what they found to the sums of each cell and test."""
    results = engine.run(_try, pieces, jobs=jobs, name=name, say=say)
    for piece, found in zip(pieces, results, strict=True):
        for test, tally in found.items():
            key = (piece.cell, test)
            sums[key] = sums.get(key, Tally.of()) + tally


def _doubtful(sums: dict[tuple[Cell, str], Tally]) -> dict[Cell, list[str]]:
    """Return the cells with the tests that break a promise there."""
    found: dict[Cell, list[str]] = {}
    for (cell, test), tally in sums.items():
        if tally["n"] > 0:
            divided = tables(_frame({(cell, test): tally}))
            if any(len(failures(name, table)) for name, table in divided.items()):
                found.setdefault(cell, []).append(test)
    return found


def _frame(sums: dict[tuple[Cell, str], Tally]) -> pd.DataFrame:
    rows = [_row(cell, name, tally) for (cell, name), tally in sums.items() if tally["n"] > 0]
    table = pd.DataFrame(rows)
    for name in (*_DESIGN, *_INTERVALS):
        if name not in table:
            table[name] = math.nan
    return table


def _row(cell: Cell, name: str, tally: Tally) -> dict[str, Any]:
    n, one = tally["n"], cell.scenario
    test = next(each for each in trials(cell.kind) if each.name == name)
    columns = dict.fromkeys(_DESIGN) | one.columns()
    return {
        "kind": cell.kind,
        "test": name,
        "naive": test.naive,
        "symmetric": test.symmetric,
        "n_clusters": one.n_clusters,
        **columns,
        "effect": one.effect,
        "differing": tally["differing"] / n,
        "n": int(n),
        "failed": int(tally["failed"]),
        "rejected": tally["rejected"] / n,
        **(_interval_columns(tally) if test.interval else {}),
    }


def _interval_columns(tally: Tally) -> dict[str, float]:
    n, m = tally["n"], tally["intervals"]
    columns = {name: tally[name] / n for name in ("above", "below", "covered")}
    closed = m - tally["open"]
    spread = tally["effect2"] / m - (tally["effect"] / m) ** 2 if m else math.nan
    return columns | {
        "open": tally["open"] / m if m else math.nan,
        "split": tally["split"] / m if m else math.nan,
        "se_ratio": math.sqrt(tally["se2"] / m / spread) if m and spread > 0 else math.nan,
        "width": tally["width"] / closed if closed else math.nan,
    }


def tables(counted: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Divide the counts into the archive's tables.

    Returns:
        ``calibration``: rejections at no effect; ``coverage``: the 95 % intervals at any effect,
        with the one-sided tests of the truth, the share of intervals that are open or that
        contradict the p-value of the truth, and the mean standard error over the true spread.
    """
    common = ["kind", "test", "naive", "symmetric", "n_clusters", *_DESIGN, "differing"]
    null = counted[(counted["effect"] == 0) | (counted["kind"] == "between")]
    rejections = null[[*common, "n", "failed", "rejected"]].copy()
    rejections["mc_se"] = _errors(rejections["rejected"], rejections["n"])
    bounded = counted[counted["covered"].notna()]
    intervals = bounded[[*common, "effect", "n", *_INTERVALS]].copy()
    intervals["mc_se"] = _errors(intervals["covered"], intervals["n"])
    return {"calibration": rejections, "coverage": intervals}


def _errors(rate: "pd.Series[float]", n: "pd.Series[int]") -> "pd.Series[float]":
    return (rate * (1 - rate) / n) ** 0.5


def in_range(table: pd.DataFrame) -> "pd.Series[bool]":
    """Tell for each row of an archived table whether the test promises to hold its level there.

    It does so for the tests that ``paper.yml`` can name, in the range that
    :mod:`common.statistics.validity` states, where their null is true: tests of symmetry do not
    promise anything about means of skewed differences.
    """
    rows: list[dict[str, Any]] = table.to_dict("records")  # type: ignore[assignment]
    promised = [_promised(row) for row in rows]
    return pd.Series(promised, index=table.index, dtype=bool)


def _promised(row: dict[str, Any]) -> bool:
    shifted = row.get("effect", 0.0) != 0 and row["outcome"] != "gaussian"
    skewed = row["outcome"] == "skewed" or shifted
    if row["naive"] or (row["symmetric"] and skewed):
        return False
    counts = {name: 0 if pd.isna(row[name]) else int(row[name]) for name in ("n_folds", "n_seeds")}
    return validity.holds(
        row["test"],
        n_clusters=row["n_clusters"],
        n_differing=None if pd.isna(row["differing"]) else round(row["differing"]),
        skewness=math.inf if skewed else 0.0,
        **counts,
    )


def report(found: dict[str, pd.DataFrame]) -> list[str]:
    """Say in a few lines what lies outside its band; quick runs are too small to mean much."""
    lines = []
    for name, column, band in (
        ("calibration", "rejected", LEVELS),
        ("coverage", "covered", COVERAGE),
    ):
        if name not in found:
            continue
        table = failures(name, found[name])
        lines.append(
            f"{name}: {len(table)} of {int(in_range(found[name]).sum())} promised cells outside "
            f"{100 * band[0]:.1f} to {100 * band[1]:.1f} %"
        )
        for row in table.itertuples():
            lines.append(
                f"  {row.test}, {row.outcome}, {row.n_clusters} clusters, icc {row.icc}: "
                f"{100 * getattr(row, column):.1f} % of {row.n}"
            )
    return lines


def failures(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of an archived table in which a test breaks what it promises.

    Args:
        name: ``calibration``: rejections outside :data:`LEVELS`; ``coverage``: intervals outside
            :data:`COVERAGE`, from 30 clusters on.  Tests that are stated to be conservative may
            reject less often and cover more often.
        table: see :func:`tables`.
    """
    conservative = table["test"].map(lambda test: validity.conservative(str(test)))
    promised = in_range(table)
    if name == "calibration":
        rate, (low, high) = table["rejected"], LEVELS
        broken = (rate > high) | ((rate < low) & ~conservative)
    else:
        rate, (low, high) = table["covered"], COVERAGE
        broken = (rate < low) | ((rate > high) & ~conservative)
        promised &= table["n_clusters"] >= 30
    return table[promised & broken]
