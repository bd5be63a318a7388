"""Tables of the chapter, made of records and printed numbers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from common import comparison
from common.chapters.ton_vit.audit import MEAN, ROWS, scores
from common.chapters.ton_vit.recognition import ACCURACIES, pairs
from common.chapters.ton_vit.videos import PROCEDURES, Labels, Videos
from common.models.ton_vit import distances
from common.papers import Paper
from common.runs.archives import Archive
from common.statistics import power
from common.statistics.audit import Check
from common.statistics.paired import paired_t_inference
from common.statistics.verdicts import Verdict

RECOGNISED = (
    "ton",
    "ton-apart",
    "ton-raw",
    "adjacency",
    "merged",
    "ton-nearest",
    "ton-mahalanobis",
    "bag",
    "bag-apart",
    "bag-raw",
    "last-action",
    "first-action",
    "length",
    "ton-null",
)
BLIND = ("vit", "vit-bigram", "vit-ton", "vit-viterbi", "vit-oracle", "blind", "blind-oracle")


def interval(records: pd.DataFrame, arm: str, metric: str, *, group: str = "") -> dict[str, float]:
    """Average a metric over clusters, with the interval of the t over cluster means.

    Args:
        records: of one source.
        arm: the arm.
        metric: the metric.
        group: only records of this group.

    Returns:
        ``value``, ``low``, ``high`` and ``n`` clusters; empty without records.
    """
    mine = records[(records["arm"] == arm) & (records["metric"] == metric)]
    mine = mine[mine["group"] == group]
    if mine.empty:
        return {}
    means = mine.groupby(mine["cluster"].astype(str))["value"].mean().to_numpy()
    if len(means) < 2:
        return {"value": float(means[0]), "low": np.nan, "high": np.nan, "n": 1}
    span = paired_t_inference(means).interval()
    return {"value": float(means.mean()), "low": span.low, "high": span.high, "n": len(means)}


def recognised(records: pd.DataFrame, paper: Paper, *, metric: str = "correct") -> pd.DataFrame:
    """List every arm's accuracy, in percent with its interval.

    Args:
        records: of one source or two.
        paper: supplies labels.
        metric: ``correct``.

    Returns:
        One row an arm, one column a source.
    """
    rows = {}
    words = {"open": "public", "phantom": "phantom"}
    for arm in RECOGNISED:
        row = {}
        for source, name in words.items():
            own = records[records["source"] == source]
            found = interval(own, arm, metric)
            if found:
                low, high = (np.clip(found[end], 0, 1) for end in ("low", "high"))
                row[name] = f"{100 * found['value']:.1f} [{100 * low:.1f}, {100 * high:.1f}]"
        rows[paper.arm(arm).label] = row
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("arm")


def confusion(label: Labels, said: Labels) -> pd.DataFrame:
    """Count videos by true and recognised procedure."""
    counts = np.zeros((len(PROCEDURES), len(PROCEDURES)), dtype=int)
    np.add.at(counts, (label, said), 1)
    return pd.DataFrame(counts, list(PROCEDURES), list(PROCEDURES)).rename_axis("true, recognised")


def accuracy_curves(records: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Give the accuracy of procedures at every accuracy of actions, by source and form.

    Returns:
        For each name ``accuracy``, ``value``, ``low``, ``high``.
    """
    curves = {}
    for source, name in (("open", "public"), ("phantom", "phantom")):
        own = records[records["source"] == source]
        for arm, form in (("ton-noisy", "graph"), ("bag-noisy", "bag")):
            rows = [
                {"accuracy": accuracy, **found}
                for accuracy in ACCURACIES
                if (found := interval(own, arm, "correct", group=f"{accuracy:g}"))
            ]
            if rows:
                curves[f"{name}, {form}"] = pd.DataFrame(rows)
    return curves


def headline(
    paper: Paper,
    runs: Mapping[str, pd.DataFrame],
    sets: Mapping[str, Videos],
) -> pd.DataFrame:
    """Set the numbers of the paper's text beside what the same measures give here.

    Args:
        paper: supplies the printed numbers.
        runs: records by the kind that a column is to have.
        sets: videos by kind, for the distances.

    Returns:
        Columns of :mod:`common.comparison`.
    """
    prose: Any = paper.table("prose").set_index("metric")["value"]
    accuracy = ("leave-one-out accuracy (%)", "graph and SVM")
    within = ("distance", "largest within")
    between = ("distance", "smallest between")
    rows: list[dict[str, Any]] = [
        _cell(accuracy, "published", prose["leave-one-out accuracy (%)"]),
        _cell(within, "published", prose["maximum within-class distance"]),
        _cell(between, "published", prose["minimum between-class distance"]),
    ]
    for kind, records in runs.items():
        found = interval(records, "ton", "correct")
        if found:
            low, high = (100 * float(np.clip(found[end], 0, 1)) for end in ("low", "high"))
            cell = _cell(accuracy, kind, 100 * found["value"])
            rows.append(cell | {"low": low, "high": high, "n": found["n"]})
    for kind, videos in sets.items():
        inside, outside = pairs(distances(videos.ordinals()), videos.label)
        rows += [
            _cell(within, kind, float(inside.max())),
            _cell(between, kind, float(outside.min())),
        ]
    return pd.DataFrame(rows, columns=comparison.COLUMNS)


def _cell(where: tuple[str, str], kind: str, value: float) -> dict[str, Any]:
    return {"metric": where[0], "row": where[1], "kind": kind, "value": value}


def sources(
    records: pd.DataFrame, archive: Archive | None, *, profile: str
) -> dict[str, pd.DataFrame]:
    """Part records by source, with the phantom's of the archive as a column of their own."""
    found = {}
    public = records[records["source"] == "open"]
    if public.empty and archive is not None:
        public = archive.records[archive.records["source"] == "open"]
    if len(public):
        found["public videos"] = public
    found[profile] = records[records["source"] == "phantom"]
    if archive is not None and archive.profile != profile:
        found[archive.profile] = archive.records[archive.records["source"] == "phantom"]
    return found


def experts(paper: Paper, runs: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Set the doctors' mean scores beside the error of the averages on the phantom.

    Args:
        paper: supplies Table 1.
        runs: records of the phantom by profile.

    Returns:
        One row a procedure: the doctors' scores as printed, and the edit distance of the meant
        average to the plain procedure.
    """
    table = scores(paper).rename(columns={MEAN: "mean"})
    for kind, records in runs.items():
        values = [interval(records, f"meant-{short}", "order_error") for short in PROCEDURES]
        if all(values):
            table[f"error, {kind}"] = [each["value"] for each in values]
    return table.reindex(list(ROWS)).rename_axis("procedure")


def calls(records: pd.DataFrame) -> pd.DataFrame:
    """Average the calls of both rules over cohorts, in percent; rows are radii and true kinds."""
    mine = records[records["metric"] == "called"]
    parts = mine["group"].astype(str).str.split(" as ", expand=True)
    named = mine.assign(truly=parts[0], called=parts[1], radius=mine["arm"].astype(str))
    table: Any = named.pivot_table("value", ["radius", "truly"], "called", sort=False)
    return pd.DataFrame(100 * table).rename_axis(None, axis=1)


def once(judged: Iterable[Verdict]) -> list[Verdict]:
    """Keep one verdict for each claim and layer, the tested one if there is one."""
    kept: dict[tuple[str, str], Verdict] = {}
    for each in judged:
        known = kept.get((each.claim, each.layer))
        if known is None or known.verdict == "untested":
            kept[each.claim, each.layer] = each
    return list(kept.values())


def blind_rows(records: pd.DataFrame, paper: Paper, kind: str) -> pd.DataFrame:
    """Set the accuracies of actions here beside published ones and blind guesses, in percent.

    Args:
        records: of the phantom.
        paper: supplies labels and published numbers.
        kind: name of this run.

    Returns:
        ``row``, ``kind``, ``value``, ``low``, ``high``.
    """
    rows: list[dict[str, Any]] = [
        {"row": each["row"], "kind": "published", "value": each["value"]}
        for each in paper.table("elsewhere").to_dict("records")
    ]
    for arm in BLIND:
        found = interval(records, arm, "top1")
        if found:
            scaled = {name: 100 * found[name] for name in ("value", "low", "high")}
            rows.append({"row": paper.arm(arm).label, "kind": kind, **scaled})
    return pd.DataFrame(rows)


def detectable(
    records: pd.DataFrame, compared: Sequence[tuple[str, str, str]], *, n: int
) -> pd.DataFrame:
    """Say how small a difference the standard run can find, from the spread between clusters.

    Args:
        records: of the phantom.
        compared: metric and two arms each.
        n: cohorts of the standard run.

    Returns:
        One row a comparison: spread of the differences and the difference that a paired t finds
        with 80 % power, both in points.
    """
    rows = {}
    for metric, first, second in compared:
        means = [
            mine.groupby(mine["cluster"].astype(str))["value"].mean()
            for arm in (first, second)
            for mine in [records[(records["arm"] == arm) & (records["metric"] == metric)]]
        ]
        spread = float((means[0] - means[1]).std(ddof=1))
        needed = power.paired_t(spread, n=n) if spread > 0 else 0.0
        rows[f"{metric}: {first} – {second}"] = [100 * spread, 100 * needed]
    names = ["spread", f"found by {n} cohorts"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=names).rename_axis("difference")


def checks(items: Iterable[Check]) -> pd.DataFrame:
    """Arrange audit checks for a page: what was asked, what came of it, and why."""
    rows = []
    for item in items:
        check = asdict(item)
        parts = (
            f"printed: {check['printed']}" if check["printed"] is not None else "",
            f"found: {check['recomputed']}" if check["recomputed"] is not None else "",
            check["note"],
        )
        finding = "; ".join(text for text in parts if text)
        rows.append((check["id"], check["statement"], check["status"], finding or "–"))
    return pd.DataFrame(rows, columns=["check", "statement", "status", "finding"])
