"""Tables of the ToFi-ML page, made of records and printed numbers."""

import itertools
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from common import comparison
from common.chapters.tofi_ml.materials import NOISE_LEVELS
from common.chapters.tofi_ml.printed import RATE, cells_of, confusion
from common.papers import Paper
from common.runs.archives import Archive
from common.statistics import power, proportions
from common.statistics.audit import Check
from common.statistics.folds import corrected_t_inference

# for each printed table: its rows that are the paper's own, and the arm that stands for each
ROWS = {
    "table2": {"ToFi-ML": "amd-select", "ToFi-ML SMOTE": "amd-smote"},
    "table3": {"ToFi-ML": "dr-select"},
    "table4": {"ToFi-ML-balanced": "gl-all", "ToFi-ML": "gl-knn"},
    "table5": {"ToFi-ML": "dr5-select"},
}
SETS = {
    "Gray (Betti-1)": "gray1",
    "Gray (Betti-0, 1)": "gray01",
    "RGB (Betti-0, 1)": "rgb",
    "RGB+Gray (Betti-0, 1)": "all",
    "Feature Selection": "select",
}
DATA_SETS = {"APTOS": "dr", "IC-AMD": "amd", "ORIGA": "gl"}
COLUMN = {**RATE, "AUC": "auc"}


def with_repeats(records: pd.DataFrame) -> pd.DataFrame:
    """Add the mean of the areas of each repeat of cross-validation, metric ``auc_repeat``.

    Args:
        records: with the metric ``auc`` of every split.
    """
    areas = records[records["metric"] == "auc"]
    means = areas.groupby(["arm", "seed"], as_index=False)["value"].mean()
    name = "repeat-" + means["seed"].astype(str)
    means = means.assign(
        fold=name, case=name, cluster=name, group="", metric="auc_repeat", source="phantom"
    )
    return pd.concat([records, means], ignore_index=True)


def _splits(records: pd.DataFrame, arm: str, metric: str) -> pd.DataFrame:
    wanted = (records["arm"] == arm) & (records["metric"] == metric)
    return records[wanted & (records["source"] == "phantom")]


def measured(records: pd.DataFrame, arm: str, metric: str) -> dict[str, float]:
    """Average a rate over all splits, with the interval of the corrected resampled t.

    Args:
        records: with one value a split.
        arm: the arm.
        metric: the rate.

    Returns:
        ``value``, ``low``, ``high`` in percent, and ``n`` splits; empty without records.
    """
    mine = _splits(records, arm, metric)
    if len(mine) < 2:
        return {}
    folds = mine.groupby("seed")["fold"].nunique().max()
    found = corrected_t_inference(mine["value"], test_train_ratio=1 / (folds - 1))
    low, high = (np.clip(end, 0, 1) for end in (found.interval().low, found.interval().high))
    return {"value": 100 * found.effect, "low": 100 * low, "high": 100 * high, "n": len(mine)}


def published_and_replicated(
    paper: Paper, table: str, records: pd.DataFrame, archive: Archive | None, *, profile: str
) -> pd.DataFrame:
    """Set the paper's own rows of a table beside what the same arms reach on the phantom.

    Args:
        paper: supplies the printed numbers.
        table: ``table2`` to ``table6``.
        records: of this run.
        archive: of the standard run, or None.
        profile: of this run.

    Returns:
        Columns of :mod:`common.comparison`, in percent; kind ``one split`` is this run's single
        division by the paper's rule.
    """
    runs = {profile: records}
    if archive is not None:
        runs[archive.profile] = archive.records
    rows: list[dict[str, Any]] = []
    for row, column, arm, rate, printed in _cells(paper, table):
        where = {"metric": column, "row": row}
        rows.append({**where, "kind": "published", "value": printed})
        for kind, found in runs.items():
            numbers = measured(found, arm, rate)
            if numbers:
                rows.append({**where, "kind": kind, **numbers})
        alone = _splits(records, arm, f"single_{rate}")["value"]
        if len(alone):
            rows.append({**where, "kind": "one split", "value": 100 * float(alone.iloc[0])})
    return pd.DataFrame(rows, columns=comparison.COLUMNS)


def _cells(paper: Paper, table: str) -> Iterable[tuple[str, str, str, str, float]]:
    """List row, column, arm, rate and printed number of the paper's own rows."""
    cells = paper.table(table)
    for each in cells.to_dict("records"):
        if each["metric"] not in COLUMN:
            continue
        rate = COLUMN[each["metric"]]
        if table != "table6":
            arm = ROWS[table].get(each["row"])
            if arm is not None:
                yield each["row"], each["metric"], arm, rate, each["value"]
        elif each["column"] in DATA_SETS and each["row"] in SETS:
            arm = f"{DATA_SETS[each['column']]}-{SETS[each['row']]}"
            yield each["row"], f"{each['column']} {each['metric']}", arm, rate, each["value"]


def steps(records: pd.DataFrame) -> pd.DataFrame:
    """Compare each feature set of Table 6 with the one before it, by area under the curve.

    Returns:
        ``row``, ``kind`` (the data set), ``effect``, ``low``, ``high`` in points: mean over splits
        with the interval of the corrected resampled t.
    """
    order = list(SETS.items())
    rows = []
    for data, prefix in DATA_SETS.items():
        for (_, before), (label, after) in itertools.pairwise(order):
            pair = [
                _splits(records, f"{prefix}-{name}", "auc").set_index(["seed", "fold"])["value"]
                for name in (after, before)
            ]
            gap = (pair[0] - pair[1]).dropna()
            if len(gap) < 2:
                continue
            folds = gap.reset_index().groupby("seed")["fold"].nunique().max()
            found = corrected_t_inference(gap, test_train_ratio=1 / (folds - 1))
            span = found.interval()
            rows.append((label, data, *(100 * x for x in (found.effect, span.low, span.high))))
    return pd.DataFrame(rows, columns=["row", "kind", "effect", "low", "high"])


def detectable(
    records: pd.DataFrame, paper: Paper, pairs: Iterable[tuple[str, str]]
) -> pd.DataFrame:
    """Say how small a difference in area the standard run can find, from this run's spread.

    Args:
        records: with the metric ``auc`` of every split.
        paper: supplies the labels.
        pairs: arms that are compared.

    Returns:
        One row a pair: the spread of its differences over splits, and the difference that the
        corrected resampled t finds with 80 % power from 25 and from 50 splits, in points.
    """
    rows = {}
    for first, second in pairs:
        values = [
            _splits(records, arm, "auc").set_index(["seed", "fold"])["value"]
            for arm in (first, second)
        ]
        spread = float((values[0] - values[1]).std(ddof=1))
        needed = [
            100 * power.corrected_t(spread, n_folds=n, test_train_ratio=1 / 4) for n in (25, 50)
        ]
        rows[f"{paper.arm(first).label} – {paper.arm(second).label}"] = [100 * spread, *needed]
    names = ["spread", "25 splits", "50 splits"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=names)
    return table.rename_axis("difference")


def noise(records: pd.DataFrame) -> pd.DataFrame:
    """Average the loss of area on noisy test images, in points, with corrected t intervals."""
    rows = []
    for arm, label in (("amd-select", "Betti curves, 58 selected"), ("amd-cnn", "small network")):
        mine = records[(records["arm"] == arm) & (records["metric"] == "auc_drop")]
        for level in NOISE_LEVELS:
            values = mine[mine["group"] == f"noise {level}"]
            folds = values.groupby("seed")["fold"].nunique().max()
            found = corrected_t_inference(values["value"], test_train_ratio=1 / (folds - 1))
            span = found.interval()
            numbers = (100 * found.effect, 100 * span.low, 100 * span.high)
            rows.append((f"noise of {level} grey levels", label, *numbers))
    return pd.DataFrame(rows, columns=["row", "kind", "effect", "low", "high"])


def changes(records: pd.DataFrame, paper: Paper) -> pd.DataFrame:
    """Describe the change of the fingerprint under each alteration, in percent of its sum.

    Args:
        records: metric ``curve_change``, of one source or of several.
        paper: supplies the labels and their order.

    Returns:
        One row an alteration and one column a source: median, and the largest in brackets.
    """
    mine = records[records["metric"] == "curve_change"]
    table = 100 * mine.groupby(["source", "arm"], observed=True)["value"].agg(["median", "max"])
    words = [f"{each.median_:.1f} ({each.max_:.1f})" for each in table.add_suffix("_").itertuples()]
    wide: Any = pd.Series(words, table.index).unstack("source")
    wide = wide.sort_index(axis=1, ascending=False)
    wide = wide.reindex([arm.id for arm in paper.arms if arm.id in wide.index])
    wide.index = pd.Index([paper.arm(arm).label for arm in wide.index], name="alteration")
    return wide


def table2_intervals(paper: Paper) -> pd.DataFrame:
    """Give every accuracy and recall of Table 2 its Wilson interval.

    Returns:
        ``row``, ``kind`` (accuracy or recall), ``effect``, ``low``, ``high`` in percent. Recalls
        are counted over the diseased images: 14 of the paper's 80, else all that the row had.
    """
    table = paper.table("table2")
    rows = []
    for row, cells in table.groupby("row", sort=False):
        number = cells.set_index("metric")["value"]
        n = int(cells["n"].iloc[0])
        ours = str(row).startswith("ToFi-ML")
        positives = 267 if n == 1200 else 89
        if ours:
            one = cells_of(confusion(paper, "table2", str(row), n, 2))[0]
            positives = one.tp + one.fn
        for metric, kind, of in (
            ("Accuracy", "accuracy", n),
            ("Recall", "recall of diseased eyes", positives),
        ):
            span = proportions.proportion_interval(round(number[metric] / 100 * of), of)
            rows.append((str(row), kind, number[metric], 100 * span.low, 100 * span.high))
    return pd.DataFrame(rows, columns=["row", "kind", "effect", "low", "high"])


def checks(items: Iterable[Check | dict[str, Any]]) -> pd.DataFrame:
    """Arrange audit checks for a page: what was asked, what came of it, and why."""
    rows = []
    for item in items:
        check = item if isinstance(item, dict) else asdict(item)
        printed, recomputed = check["printed"], check["recomputed"]
        parts = (
            f"printed: {printed}" if printed else "",
            f"recomputed: {recomputed}" if recomputed else "",
            check["note"],
        )
        finding = "; ".join(text for text in parts if text)
        rows.append(
            {
                "check": check["id"],
                "statement": check["statement"],
                "status": check["status"],
                "finding": finding or "–",
            }
        )
    return pd.DataFrame(rows, columns=["check", "statement", "status", "finding"])
