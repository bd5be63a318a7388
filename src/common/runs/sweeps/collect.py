"""Collecting a sweep: one tidy table and one file of records from all its complete runs.

Runs are read one after the other, so that memory does not grow with their records.
"""

from __future__ import annotations

import difflib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from common import papers, paths, records
from common.errors import ReplicateError, UsageError
from common.runs import store
from common.runs.files import read_json, storage
from common.runs.sweeps import spec

# what a run cost, as far as run.json tells it
COSTS = ("wall_s", "cpu_s", "peak_memory_mb", "gpu_s", "gpu_peak_memory_mb")
# a training is scored on its cases: what one row of the table is a mean of
UNIT = ("source", "arm", "seed", "group", "metric")
COUNTS = ("mean", "n_cases", "n_clusters", "n_missing")
_TAKEN = {"sweep", "run_id", "point", *COUNTS, *COSTS, *records.COLUMNS}
_TEXT = tuple(name for name in records.COLUMNS if name not in ("seed", "value"))


@dataclass(frozen=True)
class Unfinished:
    """A point of the sweep that has no valid run.

    Args:
        point: its number, from 1.
        run_id: the id its run would have.
        parameters: what it overrides beside the profile.
        state: ``failed``, ``damaged`` or ``not run``.
        reason: in words.
        cell: number of the failing code cell, from 1; None where no cell failed.
    """

    point: int
    run_id: str
    parameters: dict[str, Any]
    state: str
    reason: str
    cell: int | None = None


@dataclass(frozen=True)
class Collected:
    """What a sweep has found so far.

    Args:
        sweep: the sweep.
        paper: the chapter's declaration.
        metric: the metric that figures and the best point are about.
        runs: one row a complete run: ``point, run_id``, parameters, costs (s, MB).
        table: one row for each run, source, arm, training seed, group and metric; see
            :func:`collect`.
        records: file of all records, each with its ``point`` and the varied parameters.
        descriptions: content of ``run.json`` by run id, without the list of modules.
        varied: columns of the varied parameters, ``seed`` not among them.
        seed: column of the parameter ``seed``; None if the chapter has none.
        unfinished: points without a valid run.
        notes: what a reader must know of the choice of the metric and of the values.
    """

    sweep: spec.Sweep
    paper: papers.Paper = field(repr=False)
    metric: papers.Metric
    runs: pd.DataFrame = field(repr=False)
    table: pd.DataFrame = field(repr=False)
    records: Path
    descriptions: dict[str, dict[str, Any]] = field(repr=False)
    varied: tuple[str, ...]
    seed: str | None
    unfinished: tuple[Unfinished, ...]
    notes: tuple[str, ...] = ()


def column(name: str) -> str:
    """Return the column of a parameter; one that a column of records has taken is prefixed.

    Example:
        >>> column("lr"), column("seed")
        ('lr', 'parameter_seed')
    """
    return f"parameter_{name}" if name in _TAKEN else name


def collect(reference: str, *, metric: str | None = None, folder: Path | None = None) -> Collected:
    """Gather the results of a sweep; write ``table.parquet``, ``.csv`` and ``records.parquet``.

    Args:
        reference: id of the sweep, the beginning of one, its name, or a chapter for its newest.
        metric: the metric that figures are about; by default the first of ``paper.yml`` that the
            records hold.
        folder: where the files go; ``_build/sweeps/<id>`` by default.

    Returns:
        The tables. The tidy table has the columns ``sweep, run_id, point``, the parameters (those
        that vary first; lists as JSON text), ``source, arm, seed, group, metric, mean, n_cases,
        n_clusters, n_missing`` and the costs of the run. ``seed`` is that of the records; the
        parameter of that name is ``parameter_seed``. ``mean`` is taken over the recorded values of
        all folds that are not missing.

    Raises:
        UsageError: unknown sweep or metric.
        ReplicateError: no point has a complete run, or the disk is full; nothing half-written is
            left behind.
    """
    sweep, run_ids = spec.read(reference)
    paper = papers.load(sweep.slug)
    folder = folder or paths.build_dir() / "sweeps" / sweep.id
    described: dict[str, dict[str, Any]] = {}
    unfinished: list[Unfinished] = []
    numbers: dict[str, int] = {}
    for number, (run_id, given) in enumerate(zip(run_ids, sweep.points, strict=True), start=1):
        run = store.lookup(sweep.slug, run_id)
        if run is None or store.RECORDS not in run["files"]:
            unfinished.append(_unfinished(sweep.slug, number, run_id, given))
        elif run_id not in described:
            described[run_id], numbers[run_id] = _short(run), number
    if not described:
        raise ReplicateError(_nothing(sweep, unfinished))
    runs = _runs(sweep, described, numbers)
    order = [name for name in runs if name not in ("point", "run_id", *COSTS)]
    varied = tuple(column(name) for name in sweep.varied if name != "seed")
    chosen_names = [column(name) for name in sweep.varied]
    with replaced(folder / "records.parquet") as path:
        means = _write_records(sweep, runs, chosen_names, path)
        chosen, notes = _metric(paper, means, metric)
    table = runs.merge(means, on="point", validate="one_to_many").assign(sweep=sweep.id)
    costs = [name for name in COSTS if name in runs]
    table = table[["sweep", "run_id", "point", *order, *UNIT, *COUNTS, *costs]]
    with replaced(folder / "table.parquet") as path:
        table.to_parquet(path, index=False)
    with replaced(folder / "table.csv") as path:
        table.to_csv(path, index=False)
    return Collected(
        sweep,
        paper,
        chosen,
        runs,
        table,
        folder / "records.parquet",
        described,
        varied,
        column("seed") if column("seed") in runs else None,
        tuple(unfinished),
        notes,
    )


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Give a temporary path beside a file, and put it in the file's place when all went well.

    Raises:
        ReplicateError: see :func:`common.runs.files.storage`; the old file stands untouched.
    """
    with storage(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
        try:
            yield Path(name)
            # mkstemp makes files that only their owner can read
            os.chmod(name, 0o644)
            os.replace(name, path)
        finally:
            Path(name).unlink(missing_ok=True)


def _short(run: dict[str, Any]) -> dict[str, Any]:
    """Drop the hash of every module, and keep one of all: a thousand runs are held at once."""
    key = run.get("key") or {}
    code = {name: key.get(name) for name in ("notebook", "modules", "declared", "tables")}
    kept = {name: value for name, value in run.items() if name not in ("key", "files")}
    return {**kept, "code": store.sha256(json.dumps(code, sort_keys=True))[:12]}


def _unfinished(slug: str, number: int, run_id: str, given: Mapping[str, Any]) -> Unfinished:
    folder = store.runs_dir(slug)
    if (folder / run_id).is_dir():
        run = read_json(folder / run_id / "run.json")
        whole = isinstance(run, dict) and store.lookup(slug, run_id) is not None
        reason = (
            "the chapter left no records"
            if whole
            else "its files do not have the checksums of run.json; the same sweep makes them anew"
        )
        return Unfinished(number, run_id, dict(given), "damaged", reason)
    failure = read_json(folder / store.FAILED / run_id / "failure.json")
    if isinstance(failure, dict):
        reason = str(failure.get("error") or "no reason was kept")
        return Unfinished(number, run_id, dict(given), "failed", reason, failure.get("cell"))
    return Unfinished(number, run_id, dict(given), "not run", "no run was started, or none ended")


def _nothing(sweep: spec.Sweep, unfinished: Sequence[Unfinished]) -> str:
    states = [one.state for one in unfinished]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    failed = next((one for one in unfinished if one.state == "failed"), None)
    first = f" The first failure: {failed.reason.rstrip('.')}." if failed else ""
    return (
        f"sweep {sweep.name} has no complete run: {counts or 'no points'}.{first} "
        f"Run `replicate sweep` for {sweep.slug} again; it goes on where it stopped."
    )


def _runs(
    sweep: spec.Sweep, described: Mapping[str, dict[str, Any]], numbers: Mapping[str, int]
) -> pd.DataFrame:
    names = list(next(iter(described.values()))["parameters"])
    first = [name for name in sweep.varied if name in names]
    rows = []
    for run_id, run in described.items():
        values = run["parameters"]
        ordered = {column(name): values.get(name) for name in dict.fromkeys([*first, *names])}
        costs = {name: run[name] for name in COSTS if name in run}
        rows.append({"point": numbers[run_id], "run_id": run_id, **ordered, **costs})
    table = pd.DataFrame(rows)
    for name in table.columns.difference(["point", "run_id", *COSTS]):
        table[name] = _plain(table[name].tolist())
    return table


def _plain(values: list[Any]) -> pd.Series:
    """Make a column that parquet can hold: one kind of scalar, anything else as JSON text."""
    present = [value for value in values if value is not None]
    kinds = {type(value) for value in present}
    if kinds == {int, float}:
        return pd.Series([None if value is None else float(value) for value in values])
    if len(kinds) == 1 and kinds <= {str, bool, int, float}:
        whole = kinds == {int} and len(present) < len(values)
        return pd.Series(values, dtype="Int64" if whole else None)
    return pd.Series([None if value is None else json.dumps(value) for value in values])


def _write_records(
    sweep: spec.Sweep, runs: pd.DataFrame, names: Sequence[str], path: Path
) -> pd.DataFrame:
    """Write the records of all runs to one file, and return the mean of each training."""
    names = [name for name in names if name in runs]
    extra = pa.Schema.from_pandas(runs[["point", *names]], preserve_index=False)
    kinds = {"seed": pa.int64(), "value": pa.float64()}
    schema = pa.schema(
        [*extra, *(pa.field(name, kinds.get(name, pa.string())) for name in records.COLUMNS)]
    )
    means = []
    with ExitStack() as stack:
        writer = stack.enter_context(pq.ParquetWriter(path, schema, compression="zstd"))
        for row in range(len(runs)):
            one = runs.iloc[[row]]
            frame = records.read(store.runs_dir(sweep.slug) / one["run_id"].item() / store.RECORDS)
            means.append(_means(frame).assign(point=one["point"].item()))
            repeated = pa.Table.from_pandas(
                one[["point", *names]].iloc[[0] * len(frame)], schema=extra, preserve_index=False
            )
            for name in records.COLUMNS:
                values = frame[name].astype(str) if name in _TEXT else frame[name]
                array = pa.array(values, type=schema.field(name).type, from_pandas=False)
                repeated = repeated.append_column(schema.field(name), array)
            # one row group a run: whoever reads the file need not hold it all
            writer.write_table(repeated, row_group_size=max(1, len(frame)))
    return pd.concat(means, ignore_index=True)


def _means(frame: pd.DataFrame) -> pd.DataFrame:
    grouped = frame.groupby(list(UNIT), observed=True, sort=False)
    found = grouped.agg(
        mean=("value", "mean"),
        n_cases=("case", "nunique"),
        n_clusters=("cluster", "nunique"),
        n_missing=("value", lambda value: int(value.isna().sum())),
    ).reset_index()
    return found.astype({name: str for name in UNIT if name != "seed"})


def _metric(
    paper: papers.Paper, means: pd.DataFrame, wanted: str | None
) -> tuple[papers.Metric, tuple[str, ...]]:
    """Choose the metric, and say what had to be assumed."""
    held = list(dict.fromkeys(means["metric"]))
    if not held:
        raise ReplicateError(
            f"the runs of {paper.slug} hold no record. Let the chapter record something, and run "
            "the sweep again."
        )
    declared = {metric.id: metric for metric in paper.metrics}
    if wanted is None:
        wanted = next((name for name in declared if name in held), sorted(held)[0])
    elif wanted not in held:
        near = difflib.get_close_matches(wanted, held, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise UsageError(
            f"no record of metric {wanted!r} in this sweep.{hint} Recorded: {', '.join(held)}."
        )
    notes = []
    if wanted not in declared:
        declared[wanted] = papers.Metric(id=wanted, label=wanted, unit="")
        notes.append(
            f"paper.yml does not declare the metric {wanted}; larger values are taken for better."
        )
    mine = means[means["metric"] == wanted]
    groups = [name for name in dict.fromkeys(mine["group"]) if name]
    if len(groups) > 1:
        notes.append(
            f"{wanted} was recorded for {len(groups)} groups ({', '.join(groups[:6])}"
            f"{', ...' if len(groups) > 6 else ''}); figures show the mean over all their values."
        )
    n_missing = int(mine["n_missing"].sum())
    if n_missing:
        notes.append(f"{n_missing} values of {wanted} are missing and were left out of the means.")
    return declared[wanted], tuple(notes)
