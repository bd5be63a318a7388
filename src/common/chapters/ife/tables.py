"""Tables of the gel page, made of records and printed numbers."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from statsmodels.stats.proportion import proportions_ztest

from common import comparison
from common.chapters.ife.audit import BASELINE, MT, N_TEST, OWN, cells as cells_of, implied_counts
from common.datasets.ife_phantom import CLASSES
from common.models.ife import imbalance_ratio, task_counts
from common.papers import Paper
from common.runs.archives import Archive, read_archive
from common.statistics.audit import Check
from common.statistics.published import Summary, largest_discordance, summary_test
from common.statistics.results import DesignError

POSITIVES = 837
MEASURED = {
    "Acc (%)": "correct",
    "Fnr (%)": "missed",
    "M1-Acc (%)": "m1_correct",
    "M3-Acc (%)": "m3_correct",
}
F1 = "F1-score (%)"
OF_A_RUN = ("accuracy", "macro_f1", "fnr", "m1", "m3")
# heads of columns, as short as the paper's
SHORT = {
    "accuracy": "Acc",
    "macro_f1": "F1",
    "fnr": "Fnr",
    "m1": "M1-Acc",
    "m3": "M3-Acc",
    "pointing_hit": "hits",
    "pointing_gain": "hits less chance",
    "attention_entropy": "entropy",
    "reported_test": "test gels",
    "reported_validation": "validation gels",
    "reported_last": "last epoch",
    "optimism": "optimism",
}


def printed(paper: Paper, table: str) -> pd.DataFrame:
    """Arrange a published table as printed: methods in rows, ``mean ± spread`` in cells.

    The three marks of Table 2 (multi-task, inner, inter) are its row's name.
    """
    cells = paper.table(table)
    text = [f"{v:.2f} ± {s:.2f}" for v, s in zip(cells["value"], cells["spread"], strict=True)]
    shown = cells.assign(text=text).pivot(index="row", columns="column", values="text")
    shown = shown.loc[cells["row"].unique(), cells["column"].unique()]
    return shown.rename(index=marks).rename_axis(index="method", columns=None)


def marks(row: str) -> str:
    """Write a row of Table 2 as its three marks; other rows stay as they are.

    Example:
        >>> marks("multi-task yes; Reg_inner no; Reg_inter yes")
        '✓ × ✓'
    """
    if ";" not in row:
        return row
    return " ".join({"yes": "✓", "no": "×"}[part.split()[-1]] for part in row.split(";"))


def published_and_replicated(
    paper: Paper,
    table: str,
    records: pd.DataFrame,
    archive: Archive | None,
    *,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Set the numbers of a published table beside those on the phantom, in percent.

    Args:
        paper: supplies the printed numbers and the arms.
        table: ``table1`` or ``table2``.
        records: of this run.
        archive: of the standard run, or None.
        rng: resamples gels for the intervals; F1 belongs to a run and gets none.

    Returns:
        ``metric, row, kind, value, low, high, n``; see :mod:`common.comparison`.
    """
    rows = cells(paper, table)
    labels = {row: paper.arm(arm).label for arm, row in rows.items()}
    shown = comparison.published(
        paper.table(table), rows=list(labels), metrics=[*MEASURED, F1]
    ).replace({"row": labels})
    parts = [shown]
    for kind, own in runs(records, archive).items():
        named = {arm: labels[row] for arm, row in rows.items()}
        gels = own.groupby("metric", observed=True)["cluster"].nunique()
        parts.append(
            comparison.replicated(
                own,
                kind=kind,
                arms=named,
                # one gel of a class has no interval
                metrics={m: column for column, m in MEASURED.items() if gels.get(m, 0) > 1},
                rng=rng,
                scale=100,
                source="phantom",
            )
        )
        mean = own[own["metric"] == "macro_f1"].groupby("arm", observed=True)["value"].mean()
        found = [
            {"metric": F1, "row": label, "kind": kind, "value": 100 * mean[arm]}
            for arm, label in named.items()
            if arm in mean
        ]
        parts.append(pd.DataFrame(found, columns=comparison.COLUMNS))
    filled = [part.dropna(axis=1, how="all") for part in parts if len(part)]
    return pd.concat(filled, ignore_index=True).reindex(columns=comparison.COLUMNS)


def cells(paper: Paper, table: str) -> dict[str, str]:
    """Return the row of a published table that belongs to each arm."""
    published = paper.claim({"table1": "C1a", "table2": "C3a"}[table]).on("published").published
    assert published is not None  # declared so in paper.yml
    return {arm: cell.row for arm, cell in published.cells.items()}


def runs(records: pd.DataFrame, archive: Archive | None) -> dict[str, pd.DataFrame]:
    """Return the records of this run and, beside them, those of the archive and of a full run."""
    found = {"this run": records}
    if archive is not None:
        found[f"{archive.profile} run"] = archive.records
        full = read_archive(archive.slug, "full")
        if full is not None:
            found["full run"] = full.records
    return found


def by_arm(
    paper: Paper,
    records: pd.DataFrame,
    archive: Archive | None,
    arms: Sequence[str],
    metrics: Sequence[str] = OF_A_RUN,
    *,
    scale: float = 100.0,
    digits: int = 1,
) -> pd.DataFrame:
    """Average over runs, with the standard deviation between them where there are several.

    Args:
        paper: supplies labels.
        records: of this run.
        archive: of the standard run, or None.
        arms: rows.
        metrics: columns; values of one gel are averaged inside each run first.
        scale: what values are multiplied by.
        digits: decimals.

    Returns:
        Text, one row for each run and arm that was trained.
    """
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for kind, own in runs(records, archive).items():
        chosen = own[own["arm"].isin(arms) & own["metric"].isin(metrics)]
        chosen = chosen.astype({"arm": str, "metric": str})
        each = chosen.groupby(["arm", "metric", "seed"])["value"].mean()
        for arm in arms:
            if arm not in each.index.get_level_values("arm"):
                continue
            rows[kind, paper.arm(arm).label] = {
                SHORT[metric]: _spread(scale * each[arm, metric], digits)
                for metric in metrics
                if (arm, metric) in each.index
            }
    table = pd.DataFrame.from_dict(rows, orient="index").fillna("–")
    if rows:
        table.index = pd.MultiIndex.from_tuples(rows, names=["run", "arm"])
    return table


def _spread(values: "pd.Series[float]", digits: int) -> str:
    if len(values) == 1:
        return f"{values.iloc[0]:.{digits}f}"
    return f"{values.mean():.{digits}f} ± {values.std():.{digits}f}"


def imbalance(label: Iterable[int]) -> pd.DataFrame:
    """Count the classes of the nine-way task and of both sub-tasks.

    Args:
        label: nine-way classes of all gels.

    Returns:
        One row a task: ``classes``, ``smallest``, ``largest`` and the imbalance ratio ``IR``.
    """
    nine = np.bincount(np.asarray(list(label)), minlength=len(CLASSES))
    parts = task_counts(nine)
    named = {"nine-way": nine, "heavy chain": parts["heavy"], "light chain": parts["light"]}
    return pd.DataFrame(
        {
            task: {
                "classes": len(counts),
                "smallest": counts.min(),
                "largest": counts.max(),
                "IR": f"{imbalance_ratio(counts):.3f}",
            }
            for task, counts in named.items()
        }
    ).T.rename_axis("task")


INNER = "multi-task yes; Reg_inner yes; Reg_inter no"
COMPARED = {
    "whole method – nine-way": (OWN, BASELINE),
    "two tasks – nine-way": (MT, BASELINE),
    "both – inner": (OWN, INNER),
}


def print_allows(paper: Paper) -> pd.DataFrame:
    """Say what the printed means and spreads alone allow to conclude.

    The counts are those that :func:`common.chapters.ife.audit.implied_counts` finds, averaged over
    both runs; McNemar's test takes whole numbers below them.

    Returns:
        For accuracy and false negative rate of three comparisons: the difference in points and in
        images, p of two unpaired proportions, the largest number of images on which two networks
        may disagree for McNemar's test to reach 0.05, and p of Welch's t for two runs each.
    """
    rows = []
    for name, pair in COMPARED.items():
        for metric, n in (("Acc", N_TEST), ("Fnr", POSITIVES)):
            shown = cells_of(paper, metric)
            every = zip(*(shown[column].tolist() for column in shown), strict=True)
            summaries = {row: Summary(mean, sd, 2) for row, mean, sd in every}
            both = [summaries[row] for row in pair]
            counts = [_mean_count(paper, metric, row) for row in pair]
            most = largest_discordance(int(counts[0]), int(counts[1]), n)
            gain = 100 * (both[0].mean.value - both[1].mean.value)
            rows.append(
                {
                    "comparison": name,
                    "metric": metric,
                    "points": f"{gain:+.2f}",
                    "images": f"{counts[0] - counts[1]:+g} of {n:,}",
                    "p, unpaired": float(proportions_ztest(counts, [n, n])[1]),
                    "may disagree on": most or "none",
                    "p, Welch": _welch(*both),
                }
            )
    return pd.DataFrame(rows)


def _mean_count(paper: Paper, metric: str, row: str) -> float:
    column = {"Acc": "right of 2,908", "Fnr": "missed of 837"}[metric]
    text = str(implied_counts(paper).loc[row, column])
    return float(np.mean([int(each) for each in text.split(", ")]))


def _welch(first: Summary, second: Summary) -> float:
    try:
        return summary_test(first, second, ddof=0).p
    except DesignError:  # no spread at all
        return float("nan")


def findings(checks: Iterable[Check]) -> pd.DataFrame:
    """Arrange audit checks for a narrow page: what is printed, recomputed and noted as one text."""
    rows = []
    for check in checks:
        parts = {"printed": check.printed, "recomputed": check.recomputed, "": check.note}
        said = [
            f"{name}: {_plain(value)}" if name else str(value)
            for name, value in parts.items()
            if value not in (None, "")
        ]
        rows.append((check.id, check.statement, check.status, "; ".join(said) or "–"))
    return pd.DataFrame(rows, columns=["check", "statement", "status", "finding"])


def _plain(value: float | str | None) -> str:
    return f"{value:,.5g}" if isinstance(value, float) else str(value)
