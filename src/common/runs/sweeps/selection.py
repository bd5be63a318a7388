"""The best setting of a sweep, its intervals, and what choosing it on the same data adds.

The best of many settings looks better than it is: part of its lead is luck with these cases and
these trainings. Halving the data many times, with one half choosing and the other judging, shows
how much.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq

from common.runs.sweeps.collect import Collected
from common.runs.sweeps.surface import LEVEL, Surface
from common.statistics.bootstrap import cluster_bootstrap
from common.statistics.results import Array, DesignError, Interval

SPLITS = 200
RESAMPLES = 4000


@dataclass(frozen=True)
class Optimism:
    """How much too good the best of several settings looks on the data that chose it.

    Args:
        unit: what was split into halves: ``clusters`` or ``seeds``.
        n_units: how many there are.
        value: mean of (chosen half - other half) in the metric's unit, positive where the choice
            flatters itself, whichever direction is better.
        honest: mean of the metric on the halves that did not choose.
    """

    unit: str
    n_units: int
    value: float
    honest: float


@dataclass(frozen=True)
class Best:
    """The setting of one series with the best mean over its seeds.

    Args:
        series: label of the arm.
        setting: number of the setting.
        label: its parameters.
        mean: mean over seeds, in the metric's unit.
        seeds: interval over seeds; None below three.
        n_seeds: trainings behind the mean.
        clusters: bootstrap interval over clusters; None where there are fewer than two.
        n_clusters: clusters behind it.
        n_settings: among how many settings it is the best.
        optimism: what the selection adds, by each unit that can be split.
        run_ids: its runs.
    """

    series: str
    setting: int
    label: str
    mean: float
    seeds: Interval | None
    n_seeds: int
    clusters: Interval | None
    n_clusters: int
    n_settings: int
    optimism: tuple[Optimism, ...]
    run_ids: tuple[str, ...]


def best(collected: Collected, found: Surface) -> tuple[Best, ...]:
    """Find the best setting of each series.

    Args:
        collected: the sweep's tables.
        found: its surface.

    Returns:
        One for each series, in their order; of equal means the first setting counts.
    """
    return tuple(_best(collected, found, series) for series in found.series)


def optimism(sums: Array, sizes: Array, *, higher: bool, unit: str) -> Optimism:
    """Estimate what choosing the best setting adds to its value, by repeated halving.

    Args:
        sums (units, settings): sum of the metric over the cases of each unit.
        sizes (units, settings): number of values behind each sum, at least 1.
        higher: whether larger values are better.
        unit: name of the units.

    Returns:
        The means over 200 random splits, each half choosing once; a split of half the data
        chooses less well than all of it, so that the value is rather too large than too small.

    Source:
        Repeated split-sample validation; Varma and Simon, BMC Bioinformatics 7:91 (2006), for the
        bias of choosing and judging on the same data.

    Example:
        One setting is better in every unit, and no choice is a matter of luck:

        >>> sums = np.array([[1.0, 0.0]] * 4)
        >>> optimism(sums, np.ones((4, 2)), higher=True, unit="clusters").value
        0.0
    """
    rng = np.random.default_rng(0)
    n = len(sums)
    order = rng.permuted(np.tile(np.arange(n), (SPLITS, 1)), axis=1)
    first = (order < n // 2).astype(np.float64)
    sign = 1.0 if higher else -1.0
    excess, honest = [], []
    for half in (first, 1 - first):
        chosen, other = half @ sums / (half @ sizes), (1 - half) @ sums / ((1 - half) @ sizes)
        best = np.argmax(sign * chosen, axis=1)[:, None]
        kept = np.take_along_axis(other, best, axis=1)
        excess.append(sign * (np.take_along_axis(chosen, best, axis=1) - kept))
        honest.append(kept)
    return Optimism(unit, n, float(np.mean(excess)), float(np.mean(honest)))


def _best(collected: Collected, found: Surface, series: str) -> Best:
    means = found.means[found.means["series"] == series]
    sign = 1 if found.higher else -1
    row = means.iloc[int(np.argmax(sign * means["mean"].to_numpy()))]
    setting = int(row["setting"])
    mine = found.sums[found.sums["series"] == series]
    chosen = mine[mine["setting"] == setting]
    seeds = Interval(row["low"], row["high"], LEVEL) if np.isfinite(row["low"]) else None
    points = sorted(chosen["point"].unique())
    run_ids = collected.runs.set_index("point").loc[points, "run_id"]
    return Best(
        series=series,
        setting=setting,
        label=str(found.settings.loc[setting, "label"]),
        mean=float(row["mean"]),
        seeds=seeds,
        n_seeds=int(row["n_seeds"]),
        clusters=_cluster_interval(collected, chosen),
        n_clusters=int(chosen["cluster"].nunique()),
        n_settings=len(means),
        optimism=_selection(found, series) if len(means) > 1 else (),
        run_ids=tuple(run_ids),
    )


def _cluster_interval(collected: Collected, chosen: pd.DataFrame) -> Interval | None:
    """Bootstrap the cases of one setting and series by drawing clusters with all their seeds."""
    first = chosen.iloc[0]
    wanted = (
        (pc.field("metric") == collected.metric.id)
        & (pc.field("source") == first["source"])
        & (pc.field("arm") == first["arm"])
        & pc.field("point").isin(chosen["point"].unique().tolist())
    )
    columns = ["point", "seed", "cluster", "value"]
    cases = pq.read_table(collected.records, columns=columns, filters=wanted).to_pandas()
    kept = chosen[["point", "seed"]].drop_duplicates()
    cases = cases[np.isfinite(cases["value"])].merge(kept, on=["point", "seed"])
    try:
        found = cluster_bootstrap(
            cases["value"],
            cluster=cases["cluster"],
            n_resamples=RESAMPLES,
            rng=np.random.default_rng(0),
            method="studentised",
        )
    except DesignError:
        return None
    return found.interval(LEVEL)


def _selection(found: Surface, series: str) -> tuple[Optimism, ...]:
    """Halve the clusters that all settings share, and the seeds that they share."""
    estimates = []
    mine = found.sums[found.sums["series"] == series]
    table = mine.pivot_table(index="cluster", columns="setting", values=["sum", "n"], aggfunc="sum")
    table = table.dropna()
    if len(table) > 1:
        sums, sizes = table["sum"].to_numpy(float), table["n"].to_numpy(float)
        estimates.append(optimism(sums, sizes, higher=found.higher, unit="clusters"))
    trainings = found.trainings[found.trainings["series"] == series]
    seeds = trainings.pivot_table(index="seed", columns="setting", values="mean").dropna()
    if len(seeds) > 1:
        values = seeds.to_numpy(float)
        ones = np.ones_like(values)
        estimates.append(optimism(values, ones, higher=found.higher, unit="seeds"))
    return tuple(estimates)
