"""The response surface of a sweep: the metric over the parameters, and over the cost.

A **setting** is one combination of the varied parameters, seeds apart; a **training** is one seed
of one setting; a **series** is an arm, for each source by itself. An interval over seeds speaks of
training again on the same cases, an interval over clusters of other patients.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from common.runs.sweeps.collect import Collected
from common.statistics.results import Array, Interval, Student

LEVEL = 0.95
MIN_SEEDS = 3  # below, a t interval is too wide to be read
# outputs that others made do not answer to our parameters
_NOT_MADE = ("authors", "published")
_SERIES = ["source", "arm"]


@dataclass(frozen=True)
class Surface:
    """The metric over the settings of a sweep.

    Args:
        varied: the varied parameters, columns of ``settings``.
        series: labels of the arms, in the order of ``paper.yml``.
        higher: whether larger values are better.
        settings: indexed by number: varied parameters, ``label``, ``wall_s`` (mean of its runs, s).
        trainings: columns ``setting, series, seed, mean``.
        means: columns ``setting, series, mean, low, high, n_seeds, wall_s, front``; the interval
            is NaN below three seeds; ``front`` marks settings that no other beats in both time
            and metric.
        sums: columns ``point, source, arm, seed, cluster, sum, n, setting, training, series``:
            what the means are made of.
        notes: what a reader must know of the seeds and sources.
    """

    varied: tuple[str, ...]
    series: tuple[str, ...]
    higher: bool
    settings: pd.DataFrame = field(repr=False)
    trainings: pd.DataFrame = field(repr=False)
    means: pd.DataFrame = field(repr=False)
    sums: pd.DataFrame = field(repr=False)
    notes: tuple[str, ...]


def surface(collected: Collected) -> Surface:
    """Work out the response surface of a collected sweep.

    Args:
        collected: the sweep's tables.

    Returns:
        The surface; equal records give an equal surface bit for bit.
    """
    sums, notes = _sums(collected)
    settings = _settings(collected)
    sums["setting"] = sums["point"].map(settings["setting"])
    sums, more = _name_trainings(collected, sums)
    labels = _labels(collected, sums)
    sums["series"] = [labels[pair] for pair in zip(sums["source"], sums["arm"], strict=True)]
    totals = sums.groupby(["setting", "series", "training"])[["sum", "n"]].sum().reset_index()
    trainings = totals.assign(mean=totals["sum"] / totals["n"])
    trainings = trainings.rename(columns={"training": "seed"}).drop(columns=["sum", "n"])
    each = settings.groupby("setting").agg(
        {**dict.fromkeys(collected.varied, "first"), "label": "first", "wall_s": "mean"}
    )
    higher = collected.metric.better == "higher"
    means = _means(trainings, each["wall_s"], higher)
    series = tuple(dict.fromkeys(labels.values()))
    return Surface(collected.varied, series, higher, each, trainings, means, sums, (*notes, *more))


def seed_interval(values: Any) -> Interval | None:
    """Return Student's interval of a mean over seeds.

    Args:
        values (n,): one mean for each seed.

    Returns:
        The 95 % interval; None below three seeds.

    Example:
        >>> found = seed_interval([1.0, 2.0, 3.0])
        >>> round(found.low, 3), round(found.high, 3)
        (-0.484, 4.484)
    """
    x = np.asarray(values, dtype=np.float64)
    if len(x) < MIN_SEEDS:
        return None
    se = float(x.std(ddof=1) / np.sqrt(len(x)))
    return Student(float(x.mean()), se, len(x) - 1).interval(LEVEL)


def marginal(found: Surface, name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Average the metric over all other parameters at each value of one.

    Args:
        found: the surface.
        name: a varied parameter.

    Returns:
        Means of single seeds, columns ``value, series, seed, mean``; and means over seeds,
        columns ``value, series, mean, low, high, n_seeds, n_settings``. Rows are in rising order
        of the value where it has one. A seed that misses a setting of a value is left out there:
        its mean would be one over other settings. Where every seed misses one, the mean is that of
        the settings' means, ``n_seeds`` is 0 and there is no interval.
    """
    values = found.settings[name]
    joined = found.trainings.assign(value=found.trainings["setting"].map(values))
    points, rows = [], []
    for key, part in joined.groupby(["value", "series"], dropna=False):
        pair: Any = key
        value, series = pair
        n_settings = part["setting"].nunique()
        seeds = part.groupby("seed")["mean"].agg(["mean", "size"])
        whole = seeds.loc[seeds["size"] == n_settings, "mean"]
        n = len(whole)
        points.append(whole.reset_index().assign(value=[value] * n, series=[series] * n))
        told: dict[str, Any] = _summary(whole.to_numpy())
        if whole.empty:
            told["mean"] = float(part.groupby("setting")["mean"].mean().mean())
        rows.append({"value": value, "series": series, **told, "n_settings": n_settings})
    singles = pd.concat(points, ignore_index=True)
    return singles[["value", "series", "seed", "mean"]], pd.DataFrame(rows)


def pareto(cost: Array, value: Array, *, higher: bool) -> NDArray[np.bool_]:
    """Mark what nothing else beats: cheaper and at least as good, or as cheap and better.

    Args:
        cost (n,): less is better.
        value (n,): metric.
        higher: whether larger values are better.

    Returns:
        Boolean (n,).

    Example:
        >>> pareto(np.array([1.0, 2.0, 3.0]), np.array([0.5, 0.9, 0.7]), higher=True).tolist()
        [True, True, False]
    """
    worth = np.asarray(value) if higher else -np.asarray(value)
    price = np.asarray(cost)
    no_worse = (price[:, None] <= price) & (worth[:, None] >= worth)
    strictly = (price[:, None] < price) | (worth[:, None] > worth)
    return np.asarray(~(no_worse & strictly).any(axis=0))


def _sums(collected: Collected) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Sum the metric inside every cluster of every training, one row group after the other."""
    by = ["point", *_SERIES, "seed", "cluster"]
    file = pq.ParquetFile(collected.records)
    parts = []
    for number in range(file.num_row_groups):
        part = file.read_row_group(number, columns=[*by, "metric", "value"])
        wanted = pc.equal(part["metric"], collected.metric.id)
        part = part.filter(pc.and_(wanted, pc.is_finite(part["value"])))
        parts.append(part.group_by(by).aggregate([("value", "sum"), ("value", "count")]))
    whole = pa.concat_tables(parts).to_pandas()
    whole = whole.rename(columns={"value_sum": "sum", "value_count": "n"})
    made = ~whole["source"].isin(_NOT_MADE)
    if made.all() or not made.any():
        return whole, ()
    left = ", ".join(sorted(whole.loc[~made, "source"].unique()))
    note = f"records of source {left} do not answer to parameters and are not shown."
    return whole[made].copy(), (note,)


def _settings(collected: Collected) -> pd.DataFrame:
    """Number the combinations of the varied parameters; one row a run, indexed by point."""
    runs = collected.runs.set_index("point")
    names = list(collected.varied)
    table = runs[names].copy()
    keys: list[Hashable] = [tuple(map(str, row)) for row in table.itertuples(index=False)]
    table["setting"] = pd.factorize(pd.Series(keys, dtype=object))[0]
    table["label"] = [
        ", ".join(f"{name} = {shown(value)}" for name, value in zip(names, row, strict=True))
        or "the profile's parameters"
        for row in runs[names].itertuples(index=False)
    ]
    table["wall_s"] = runs.get("wall_s", float("nan"))
    return table


def shown(value: Any) -> str:
    """Write the value of a parameter: floats in the fewest digits that tell them apart.

    Example:
        >>> shown(0.30000000000000004), shown(True), shown(None)
        ('0.3', 'True', 'None')
    """
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return "None"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _name_trainings(
    collected: Collected, sums: pd.DataFrame
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Name each training by its seed: that of the records where a run holds several.

    A chapter that trains once a run may leave the seed of its records at 0; there the parameter
    ``seed`` tells trainings apart.
    """
    several = sums.groupby(["point", *_SERIES])["seed"].nunique().max() > 1
    if collected.seed is None or not several:
        seeds = sums["seed"]
        if collected.seed is not None:
            seeds = sums["point"].map(collected.runs.set_index("point")[collected.seed])
        return sums.assign(training=seeds.astype(int)), ()
    named = sums.assign(training=sums["seed"].astype(int))
    by = ["setting", *_SERIES, "training"]
    first = named.groupby(by)["point"].transform("min")
    twice = named.loc[named["point"] != first, [*by, "point"]].drop_duplicates()
    if twice.empty:
        return named, ()
    note = (
        f"{len(twice)} trainings have a seed that an earlier run of the same setting has, too; "
        "each is counted once. Space the values of `seed` by the number of trainings in a run."
    )
    return named[named["point"] == first].copy(), (note,)


def _labels(collected: Collected, sums: pd.DataFrame) -> dict[tuple[str, str], str]:
    """Label each source and arm, in the order of ``paper.yml``."""
    declared = {arm.id: (place, arm.label) for place, arm in enumerate(collected.paper.arms)}
    pairs = list(sums[_SERIES].drop_duplicates().itertuples(index=False, name=None))
    pairs.sort(key=lambda pair: (declared.get(pair[1], (len(declared), ""))[0], pair[::-1]))
    one = len({source for source, _ in pairs}) == 1
    named = {pair: declared.get(pair[1], (0, pair[1]))[1] for pair in pairs}
    twice = len(set(named.values())) < len({arm for _, arm in pairs})
    return {
        (source, arm): (arm if twice else name) + ("" if one else f" ({source})")
        for (source, arm), name in named.items()
    }


def _summary(values: Array) -> dict[str, float]:
    interval = seed_interval(values)
    low, high = (interval.low, interval.high) if interval else (np.nan, np.nan)
    mean = float(values.mean()) if len(values) else np.nan
    return {"mean": mean, "low": low, "high": high, "n_seeds": len(values)}


def _means(trainings: pd.DataFrame, wall_s: pd.Series, higher: bool) -> pd.DataFrame:
    rows = [
        {"setting": setting, "series": series, **_summary(part["mean"].to_numpy())}
        for (setting, series), part in trainings.groupby(["setting", "series"])
    ]
    means = pd.DataFrame(rows)
    means["wall_s"] = means["setting"].map(wall_s)
    means["front"] = False
    for _, part in means.groupby("series"):
        front = pareto(part["wall_s"].to_numpy(), part["mean"].to_numpy(), higher=higher)
        means.loc[part.index, "front"] = front & part["wall_s"].notna()
    return means
