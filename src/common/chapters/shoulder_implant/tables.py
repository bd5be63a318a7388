"""Tables of the shoulder-implant page, made of records and printed numbers."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from statsmodels.stats.contingency_tables import cochrans_q

from common import comparison
from common.chapters.shoulder_implant.arms import PROPOSED
from common.chapters.shoulder_implant.printed import ROWS, TABLES, digits, right
from common.models.shoulder_implant import LABELS
from common.papers import Paper
from common.runs.archives import Archive
from common.statistics import power, ranking
from common.statistics.audit import Check
from common.statistics.folds import corrected_t_inference
from common.statistics.multiplicity import adjust
from common.statistics.power_folds import corrected_t_plan
from common.statistics.proportions import mcnemar

TASKS = {"Depuy": "depuy", "Non-Depuy": "others", "All 7": "seven"}
METRICS = {
    "Testing Accuracy (%)": "accuracy",
    "Precision": "precision",
    "Recall": "recall",
    "F1 Score": "f1",
    "AUC": "auc",
}


def by_fold(records: pd.DataFrame, arm: str, metric: str) -> pd.Series:
    """Return a rate of an arm by deal and fold; values of images are averaged."""
    own = records[(records["arm"] == arm) & (records["metric"] == metric)]
    return own.groupby([own["seed"], own["fold"].astype(str)])["value"].mean()


def interval(values: pd.Series) -> tuple[float, float, float]:
    """Average over folds of repeated deals, with the interval of the corrected resampled t.

    Args:
        values: by deal and fold.

    Returns:
        Mean, low, high; NaN where there are fewer than two folds.
    """
    values = values.dropna()
    if len(values) < 2:
        return float(values.mean()), np.nan, np.nan
    n_folds = values.reset_index().groupby("seed")["fold"].nunique().max()
    found = corrected_t_inference(values, test_train_ratio=1 / (n_folds - 1))
    span = found.interval()
    return found.effect, span.low, span.high


def published_and_replicated(
    paper: Paper, task: str, records: pd.DataFrame, archive: Archive | None, *, profile: str
) -> pd.DataFrame:
    """Set the printed test results of a task beside those of the same networks on the phantom.

    Args:
        paper: supplies the printed numbers.
        task: as the tables name it.
        records: of this run.
        archive: of the standard run, or None.
        profile: of this run.

    Returns:
        Columns of :mod:`common.comparison`, all as fractions.
    """
    runs = {profile: records}
    if archive is not None:
        runs[archive.profile] = archive.records
    cells = pd.concat([paper.table(table) for table in TABLES[task]])
    rows: list[dict[str, Any]] = []
    for metric, own in METRICS.items():
        scale = 100.0 if "%" in metric else 1.0
        for network, row in ROWS.items():
            where = {"metric": own if own == "accuracy" else metric, "row": row}
            printed = cells[(cells["metric"] == metric) & (cells["row"] == row)]["value"]
            rows.append({**where, "kind": "published", "value": float(printed.iloc[0]) / scale})
            for kind, found in runs.items():
                values = by_fold(found, f"{TASKS[task]}-{network}", own)
                if len(values):
                    mean, low, high = interval(values)
                    ends = {"low": max(low, 0.0), "high": min(high, 1.0)}
                    rows.append({**where, "kind": kind, "value": mean, **ends})
    return pd.DataFrame(rows, columns=comparison.COLUMNS)


def accuracies(records: pd.DataFrame, arms: Iterable[str], paper: Paper) -> pd.DataFrame:
    """List accuracy, AUC and loss of some arms with intervals, as text; missing arms are left out.

    Returns:
        One row an arm: ``accuracy (%)``, ``AUC``, ``loss``.
    """
    rows = {}
    for arm in arms:
        found = by_fold(records, arm, "accuracy")
        if found.empty:
            continue
        area, loss = by_fold(records, arm, "auc").mean(), by_fold(records, arm, "log_loss").mean()
        mean, low, high = (100 * x for x in interval(found))
        rows[paper.arm(arm).label] = {
            "accuracy (%)": f"{mean:.1f} [{max(low, 0):.1f}, {min(high, 100):.1f}]",
            "AUC": f"{area:.3f}",
            "loss": f"{loss:.2f}",
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("arm")


def diverged(records: pd.DataFrame, paper: Paper) -> str:
    """Name the arms with trainings whose weights stopped being finite, one a line."""
    own = records[records["metric"] == "diverged"]
    counts = own.groupby("arm", sort=False)["value"].agg(["sum", "size"])
    named = [
        f"  {paper.arm(str(arm)).label}: {int(each['sum'])} of {int(each['size'])}"
        for arm, each in counts[counts["sum"] > 0].iterrows()
    ]
    total = int(own["value"].sum())
    return "\n".join([f"  {total} of {len(own)} trainings diverged", *named])


def differences(
    records: pd.DataFrame,
    pairs: Iterable[tuple[str, str]],
    paper: Paper,
    *,
    metric: str = "correct",
) -> pd.DataFrame:
    """Compare arms on the same folds, in points.

    Returns:
        ``row``, ``effect``, ``low``, ``high``: first minus second with the corrected t's interval,
        cut at 100 points.
    """
    rows = []
    for first, second in pairs:
        gap = by_fold(records, first, metric) - by_fold(records, second, metric)
        if gap.notna().sum() < 2:
            continue
        name = f"{paper.arm(first).label} – {paper.arm(second).label.split(', ')[-1]}"
        # an interval over two folds can be wider than accuracies are
        rows.append((name, *(100 * np.clip(x, -1, 1) for x in interval(gap))))
    return pd.DataFrame(rows, columns=["row", "effect", "low", "high"])


def once(records: pd.DataFrame, task: str, *, metric: str = "correct") -> pd.DataFrame:
    """Arrange right and wrong of the four networks on every image of the first deal.

    Returns:
        One row an image, one column a network: 1 or 0.
    """
    names = {f"{task}-{network}": network for network in LABELS}
    own = records[(records["metric"] == metric) & records["arm"].isin(list(names))]
    own = own[own["seed"] == own["seed"].min()].astype({"arm": str, "case": str})
    wide = own.pivot_table("value", "case", "arm")[list(names)]
    return wide.rename(columns=names).astype(int)


def paired(records: pd.DataFrame, task: str) -> tuple[pd.DataFrame, float, int]:
    """Compare the proposed network with the others image by image, on the first deal.

    Args:
        records: with ``correct`` of the four networks.
        task: such as ``seven``; images count as independent here.

    Returns:
        Table of exact McNemar tests with Holm's correction; p of Cochran's Q over all four; images.
    """
    table = once(records, task)
    q = cochrans_q(table.to_numpy())
    tests = {
        name: mcnemar(table[PROPOSED], table[name]) for name in table.columns if name != PROPOSED
    }
    adjusted = adjust([each.p for each in tests.values()], method="holm")
    rows = {
        LABELS[name]: {
            "proposed": int(((table[PROPOSED] == 1) & (table[name] == 0)).sum()),
            "other": int(((table[PROPOSED] == 0) & (table[name] == 1)).sum()),
            "points": 100 * each.effect,
            "exact p": each.p,
            "Holm's p": float(p),
        }
        for (name, each), p in zip(tests.items(), adjusted, strict=True)
    }
    found = pd.DataFrame.from_dict(rows, orient="index").rename_axis("against")
    return found, float(q.pvalue), len(table)


def paired_tasks(records: pd.DataFrame, tasks: Mapping[str, str]) -> pd.DataFrame:
    """Join the tables of :func:`paired` of several tasks.

    Args:
        records: with ``correct`` of the four networks.
        tasks: title by task.

    Returns:
        One row a task and network, with Cochran's p of the task.
    """
    parts = []
    for task, title in tasks.items():
        found, q, n = paired(records, task)
        part = found.reset_index()
        part.insert(0, "task (images)", f"{title} ({n})")
        parts.append(part.assign(**{"Cochran's p": q}))
    return pd.concat(parts, ignore_index=True)


def optimiser_ranks(records: pd.DataFrame, tasks: Iterable[str]) -> pd.DataFrame:
    """Rank the three optimisers of the proposed network over folds, task by task.

    Returns:
        One row a task: mean ranks (1 is best), the distance that Nemenyi's test asks for, p of
        Friedman's test.
    """
    rows = {}
    for task in tasks:
        arms = {"SGD": f"{task}-{PROPOSED}", "Adam": f"{task}-adam", "Adagrad": f"{task}-adagrad"}
        blocks = pd.DataFrame({k: by_fold(records, arm, "accuracy") for k, arm in arms.items()})
        blocks = blocks.dropna()
        if len(blocks) < 2:
            continue
        found = ranking.friedman(-blocks.to_numpy())  # the highest accuracy has rank 1
        needed = ranking.nemenyi_critical_difference(3, len(blocks))
        ranks = dict(zip(arms, found.ranks, strict=True))
        rows[task] = {**ranks, "Nemenyi": needed, "p": found.p, "folds": len(blocks)}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("task")


def beforehand(spreads: Iterable[float], deals: Iterable[tuple[int, int]]) -> pd.DataFrame:
    """Say what the corrected t finds with 80 % power if folds differ so much.

    Args:
        spreads: standard deviations of a difference over folds (points).
        deals: folds, and how often they are dealt.

    Returns:
        One row a spread, one column a plan, in points.
    """
    return pd.DataFrame(
        {
            f"{folds} folds x {times}": {
                f"{spread:g}": power.corrected_t(
                    spread, n_folds=folds * times, test_train_ratio=1 / (folds - 1)
                )
                for spread in spreads
            }
            for folds, times in deals
        }
    ).rename_axis("spread over folds")


def margins(n: Mapping[str, float], *, n_folds: int, n_repeats: int) -> pd.DataFrame:
    """Say with what power margins can be shown at most: if trainings did not differ at all.

    Then only the draw of test images makes folds differ. Accuracies are taken as 80 %, networks on
    the same images to disagree on one in ten; areas are those of chance, with classes alike.

    Args:
        n: images of the settings ``main``'s other makers, ``unshared``, ``no-cues`` and ``open``.
        n_folds: folds of a deal.
        n_repeats: deals.

    Returns:
        One row a claim: margin and least spread over folds in points, power at most.
    """
    fold = {name: each / n_folds for name, each in n.items()}

    def area(classes: int, images: float) -> float:
        own = images / classes
        return float(np.sqrt((images + 1) / (12 * own * (images - own)) / classes))

    rows = {
        "C3e": (5.0, np.sqrt(0.1 / fold["others"]), 0.05),
        "C8n": (5.0, np.sqrt(2 * 0.8 * 0.2 / fold["unshared"]), 0.05),
        "C11": (10.0, area(7, fold["no-cues"]), 0.025),
        "R11": (10.0, area(4, fold["open"]), 0.025),
    }
    table = {}
    for name, (margin, spread, alpha) in rows.items():
        plan = corrected_t_plan(
            100 * spread, n_folds=n_folds * n_repeats, test_train_ratio=1 / (n_folds - 1)
        )
        reached = plan.margin_power(0.0, low=-margin, high=margin, alpha=alpha)
        table[name] = {"margin": margin, "spread": 100 * spread, "power": reached}
    return pd.DataFrame.from_dict(table, orient="index").rename_axis("claim")


def detectable(
    records: pd.DataFrame, pairs: Iterable[tuple[str, str]], paper: Paper, *, repeats: Iterable[int]
) -> pd.DataFrame:
    """Say how small a difference the corrected t finds with 80 % power, from this run's spread.

    Returns:
        One row a pair: spread of the differences over folds, and the difference, in points, that
        three folds dealt so many times find.
    """
    rows = {}
    for first, second in pairs:
        gap = (by_fold(records, first, "correct") - by_fold(records, second, "correct")).dropna()
        if len(gap) < 2:
            continue
        spread = float(gap.std(ddof=1))
        name = f"{paper.arm(first).label} – {paper.arm(second).label.split(', ')[-1]}"
        rows[name] = {"spread": 100 * spread} | {
            f"{n} deals": 100 * power.corrected_t(spread, n_folds=3 * n, test_train_ratio=1 / 2)
            for n in repeats
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("difference")


def printed_accuracies(paper: Paper) -> pd.DataFrame:
    """List the rebuilt counts of right test images, with Clopper and Pearson's intervals."""
    table = right(paper)
    return pd.DataFrame(
        {
            "row": [
                f"{task}: {ROWS[n]}"
                for task, n in zip(table["task"], table["network"], strict=True)
            ],
            "effect": 100 * table["right"] / table["n"],
            "low": 100 * table["low"],
            "high": 100 * table["high"],
        }
    )


def wide(paper: Paper, table: str) -> pd.DataFrame:
    """Arrange a table of results as it is printed, digit by digit.

    Returns:
        One row a network, one column a metric, as text.
    """
    names = {"Training": "train", "Testing": "test", "Accuracy (%)": "acc. (%)", "Loss": "loss"}
    rows: dict[str, dict[str, str]] = {}
    for (row, _, metric), text in digits(paper, table).items():
        for long, brief in names.items():
            metric = metric.replace(long, brief)
        rows.setdefault(row, {})[metric] = text
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("network")


def checks(items: Iterable[Check]) -> pd.DataFrame:
    """Arrange audit checks for a page: what was asked, what came of it, and why."""
    rows = []
    for item in items:
        check = asdict(item)
        parts = (
            f"printed: {check['printed']}" if check["printed"] is not None else "",
            f"recomputed: {check['recomputed']}" if check["recomputed"] is not None else "",
            check["note"],
        )
        rows.append(
            {
                "check": check["id"],
                "statement": check["statement"],
                "status": check["status"],
                "finding": "; ".join(text for text in parts if text) or "–",
            }
        )
    return pd.DataFrame(rows)
