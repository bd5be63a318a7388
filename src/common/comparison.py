"""Published and replicated numbers side by side: one long table, one way to show it.

The columns come in one order everywhere: published, quick, standard, full. A replicated number has
its interval, a published one has it where the paper prints it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from common.display import Shown, number, table
from common.statistics.bootstrap import cluster_bootstrap

KINDS = ("published", "quick", "standard", "full")
COLUMNS = ["metric", "row", "kind", "value", "low", "high", "n"]


def replicated(
    records: pd.DataFrame,
    *,
    kind: str,
    arms: Mapping[str, str],
    metrics: Mapping[str, str],
    rng: np.random.Generator,
    scale: float = 1.0,
    source: str | None = None,
    n_resamples: int = 2000,
) -> pd.DataFrame:
    """Average the records of arms over clusters, with intervals from resampled clusters.

    Args:
        records: of one run, see :mod:`common.records`.
        kind: the run's profile, one of :data:`KINDS`.
        arms: arm: the row of the published table that it stands for.
        metrics: metric of the records: the column of the published table.
        rng: resamples clusters.
        scale: what a value is multiplied by, 100 for percent.
        source: keep the records of one source.
        n_resamples: bootstrap replicates.

    Returns:
        ``metric, row, kind, value, low, high, n`` (n: clusters); arms and metrics without records
        are left out.
    """
    rows: list[dict[str, Any]] = []
    kept = records if source is None else records[records["source"] == source]
    for metric, column in metrics.items():
        for arm, row in arms.items():
            mine = kept[(kept["arm"] == arm) & (kept["metric"] == metric)]
            if mine.empty:
                continue
            cluster = mine["cluster"].astype(str)
            found = cluster_bootstrap(
                mine["value"], cluster=cluster, n_resamples=n_resamples, rng=rng
            )
            interval = found.interval(0.95)
            rows.append(
                {
                    "metric": column,
                    "row": row,
                    "kind": kind,
                    "value": scale * found.effect,
                    "low": scale * interval.low,
                    "high": scale * interval.high,
                    "n": cluster.nunique(),
                }
            )
    return pd.DataFrame(rows, columns=COLUMNS)


def published(
    cells: pd.DataFrame, *, rows: Sequence[str], metrics: Sequence[str], scale: float = 1.0
) -> pd.DataFrame:
    """Take the printed numbers of some rows and columns.

    Args:
        cells: a transcribed table with the columns ``row``, ``column`` and ``value``.
        rows: those wanted, as printed.
        metrics: the columns wanted, as printed.
        scale: what a value is multiplied by.

    Returns:
        As :func:`replicated`, without intervals.

    Raises:
        KeyError: a cell is not in the table.
    """
    value = cells.set_index(["column", "row"])["value"]
    found = [
        {
            "metric": metric,
            "row": row,
            "kind": "published",
            "value": scale * float(value[metric, row]),
        }
        for metric in metrics
        for row in rows
    ]
    return pd.DataFrame(found, columns=COLUMNS)


def wide(numbers: pd.DataFrame, *, digits: int = 1) -> pd.DataFrame:
    """Arrange published and replicated numbers for reading.

    Args:
        numbers: rows of :func:`published` and :func:`replicated`, one after the other.
        digits: decimals.

    Returns:
        One row for each metric and row of the published table, as text with intervals in brackets;
        the kinds in the order of :data:`KINDS`, others behind them.
    """
    shown = numbers.assign(shown=[_cell(each, digits) for each in numbers.to_dict("records")])
    kinds = [kind for kind in KINDS if kind in set(numbers["kind"])]
    others = [kind for kind in numbers["kind"].unique() if kind not in kinds]
    cells = shown.pivot_table("shown", ["metric", "row"], "kind", sort=False, aggfunc="first")
    return cells[[*kinds, *others]].fillna("–").rename_axis(columns=None)


def side_by_side(numbers: pd.DataFrame, *, caption: str, digits: int = 1) -> Shown:
    """Show published and replicated numbers in one table; see :func:`wide`.

    Args:
        numbers: rows of :func:`published` and :func:`replicated`.
        caption: what is shown; the number of clusters of each run is added.
        digits: decimals.
    """
    clusters = numbers.dropna(subset=["n"]).groupby("kind", sort=False)["n"].max()
    if len(clusters):
        told = ", ".join(f"{kind} {int(n):,}" for kind, n in clusters.items())
        caption = f"{caption} Clusters: {told}. Brackets: 95 % intervals, clusters resampled."
    return table(wide(numbers, digits=digits), caption=caption)


def _cell(each: Mapping[Any, Any], digits: int) -> str:
    value = number(each["value"], digits=digits)
    if pd.isna(each["low"]) or pd.isna(each["high"]):
        return value
    low, high = (number(each[end], digits=digits) for end in ("low", "high"))
    return f"{value} [{low}, {high}]"
