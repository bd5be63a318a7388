"""Tables of the SOS page, made of records, predictions and printed numbers."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common import comparison
from common.chapters.sos.audit import METHODS, class_sizes, right_counts
from common.chapters.sos.experiment import COMPARED, Outcome
from common.models.sos_switch import (
    THRESHOLDS,
    Cost,
    coverage_risk,
    decompose,
    sweep,
    switch_cost,
)
from common.papers import Paper
from common.runs.archives import Archive
from common.statistics import power
from common.statistics.audit import Check, Printed

ROWS = dict(zip(COMPARED, METHODS, strict=True))
GRID = np.linspace(0.01, 1, 100)


def runs(records: pd.DataFrame, archive: Archive | None, profile: str) -> dict[str, pd.DataFrame]:
    """Name this run's records and the archived ones by their profile, in this order."""
    found = {profile: records}
    if archive is not None and archive.profile != profile:
        found[archive.profile] = archive.records
    return found


def accuracy_numbers(
    paper: Paper, tables: Mapping[str, pd.DataFrame], *, rng: np.random.Generator
) -> pd.DataFrame:
    """Set published accuracies and shares of low-resolution decisions beside those on the phantom.

    Args:
        paper: supplies the printed numbers.
        tables: records by profile.
        rng: resamples slides for the intervals.

    Returns:
        ``metric, row, kind, value, low, high, n`` in percent.
    """
    printed = paper.table("table3")
    parts = [comparison.published(printed, rows=METHODS, metrics=["TA%"])]
    share = comparison.published(printed, rows=METHODS[3:], metrics=["LP"], scale=100)
    parts.append(share)
    for kind, records in tables.items():
        parts.append(
            comparison.replicated(
                records,
                kind=kind,
                arms=ROWS,
                metrics={"correct": "TA%", "low_decision": "LP"},
                rng=rng,
                scale=100,
            )
        )
    words = {"TA%": "accuracy", "LP": "decided at low resolution"}
    return pd.concat(parts, ignore_index=True).replace({"metric": words})


def worth(numbers: pd.DataFrame, records: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Join accuracy and counted work of the five methods: ``row, cost, value, low, high``.

    Args:
        numbers: of :func:`accuracy_numbers`, in percent.
        records: of the run.
        kind: the run's profile.
    """
    work = records[records["metric"] == "cost_share"].astype({"arm": str})
    cost = work.groupby("arm")["value"].mean().rename(index=ROWS)
    mine = numbers[(numbers["kind"] == kind) & (numbers["metric"] == "accuracy")]
    return mine.assign(cost=mine["row"].map(cost))[["row", "cost", "value", "low", "high"]]


def recall_numbers(paper: Paper, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Set published recalls beside those on the phantom, in percent.

    Returns:
        One row a class and method, one column a source.
    """
    printed = paper.table("table4").query("metric == 'Recall'")
    printed["class"] = printed["column"].str.removesuffix(" Recall")
    columns = {"published": 100 * printed.set_index(["class", "row"])["value"]}
    for kind, records in tables.items():
        mine = records[(records["metric"] == "correct") & records["arm"].isin(COMPARED)]
        mine = mine.astype({"arm": str, "group": str}).replace({"group": {"negative": "Negative"}})
        mean = 100 * mine.groupby(["group", "arm"])["value"].mean()
        columns[kind] = mean.rename(index=ROWS, level="arm")
    order = columns["published"].index
    found = {kind: values.reindex(order) for kind, values in columns.items()}
    return pd.DataFrame(found).rename_axis(["class", "method"])


def switch_curves(outcome: Outcome, cost: Cost) -> pd.DataFrame:
    """Move the threshold of every SOS training; see :func:`common.models.sos_switch.sweep`."""
    parts = [
        sweep(found["low"], found["high"], outcome.label, low_cost=cost.share("low")).assign(
            seed=seed
        )
        for (name, seed), found in outcome.predictions.items()
        if name == "sos"
    ]
    return pd.concat(parts, ignore_index=True)


def risk_curves(outcome: Outcome) -> dict[str, NDArray[np.float64]]:
    """Trace risk over coverage of the low-resolution answers, at :data:`GRID`.

    Returns:
        ``sos`` and ``no-executive``: (seeds, 100).
    """
    curves: dict[str, list[NDArray[np.float64]]] = {"sos": [], "no-executive": []}
    for (name, _), found in outcome.predictions.items():
        if name in curves:
            right = found["low"].argmax(axis=1) == outcome.label
            coverage, risk = coverage_risk(found["low"].max(axis=1), right)
            curves[name].append(np.interp(GRID, coverage, risk))
    return {name: np.stack(each) for name, each in curves.items() if each}


def gain_parts(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Split the gain of SOS over Image-Level into network and switch, in points, by profile."""
    rows = {}
    for kind, records in tables.items():
        mine = records[records["metric"] == "correct"].astype({"arm": str})
        by_arm = {arm: part["value"] for arm, part in mine.groupby("arm")}
        parts = decompose(by_arm["image"], by_arm["sos-low"], by_arm["sos"])
        rows[kind] = {
            "better low-resolution network": 100 * parts["network"],
            "switching": 100 * parts["switch"],
            "gain over Image-Level": 100 * parts["total"],
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def ablation(
    paper: Paper, tables: Mapping[str, pd.DataFrame], *, rng: np.random.Generator
) -> pd.DataFrame:
    """Give the accuracy of every arm that is no published row, in percent with intervals."""
    arms = {
        arm.id: arm.label
        for arm in paper.arms
        if "published" not in arm.sources and not arm.id.startswith("dial")
    }
    arms = {"sos": paper.arm("sos").label, **arms}
    parts = [
        comparison.replicated(
            records, kind=kind, arms=arms, metrics={"correct": "accuracy"}, rng=rng, scale=100
        )
        for kind, records in tables.items()
    ]
    return pd.concat(parts, ignore_index=True)


def cost_check(seconds: pd.DataFrame, cost: Cost, low_share: float) -> pd.DataFrame:
    """Compare counted operations and measured seconds, and what each predicts for SOS.

    Args:
        seconds: of :func:`common.models.sos_switch.measure_seconds`.
        cost: counted operations.
        low_share: share of slides that SOS decides at low resolution.

    Returns:
        One row a unit: cost of low resolution, tiles alone and both, of SOS by the cost model,
        the speed boost of SOS and its ceiling.
    """
    median = seconds.median()
    rows = {
        "operations (millions)": {
            name: getattr(cost, name) / 1e6 for name in ("low", "high", "both")
        },
        "measured (ms, median)": {name: 1e3 * median[name] for name in ("low", "high", "both")},
    }
    for row in rows.values():
        row["SOS"] = switch_cost(low_share, low=row["low"], both=row["both"])
        row["boost of SOS"] = row["both"] / row["SOS"]
        row["ceiling"] = row["both"] / row["low"]
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("cost")


def dial(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Average accuracy on smooth-muscle slides at both stands of the dial, in percent."""
    parts = {}
    for kind, records in tables.items():
        mine = records[records["arm"].isin(["dial-high", "dial-low"])]
        mine = mine.astype({"arm": str, "group": str})
        wide = 100 * mine.groupby(["group", "arm"])["value"].mean().unstack()
        parts[kind] = wide.rename(columns={"dial-high": "high", "dial-low": "low"})
    return pd.concat(parts, axis=1)


def sizes(discordance: Iterable[float], *, effect: float) -> pd.DataFrame:
    """Compute how many slides show an effect with 80 % power, by the share of discordant slides.

    One training seed is assumed: averaging seeds makes the spread of a slide smaller.

    Args:
        discordance: shares of slides that one of two arms alone gets right.
        effect: difference of the two accuracies.

    Returns:
        ``slides needed`` and ``205 slides find (points)``, by discordance.
    """
    rows = {}
    for share in discordance:
        sd = float(np.sqrt(share - effect**2))
        rows[f"{share:.0%}"] = {
            "slides needed": power.clusters_needed(effect, sd_cluster=sd),
            "205 slides find (points)": 100 * power.paired_t(np.sqrt(share), n=205),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("discordant slides")


def checks(items: Iterable[Check | dict[str, Any]]) -> pd.DataFrame:
    """Arrange audit checks for a page: what was asked, what came of it, and why."""
    rows = []
    for item in items:
        check = item if isinstance(item, dict) else asdict(item)
        texts = (
            f"printed: {_short(check['printed'])}" if check["printed"] not in ("", None) else "",
            f"recomputed: {_short(check['recomputed'])}"
            if check["recomputed"] not in ("", None)
            else "",
            check["note"],
        )
        rows.append(
            {
                "check": check["id"],
                "statement": check["statement"],
                "status": check["status"],
                "finding": "; ".join(filter(None, texts)) or "–",
            }
        )
    return pd.DataFrame(rows, columns=["check", "statement", "status", "finding"])


def _short(value: float | str) -> str:
    return f"{value:.4g}" if isinstance(value, float) else value


def thresholds() -> tuple[float, ...]:
    """Return the settings of c that the page's explorer shows."""
    return tuple(c for c in THRESHOLDS if c in (0.25, 0.5, 0.7, 0.8, 0.9, 0.98))


_SWEPT = ("c", "accuracy", "low_share", "boost", "seed")


def arrays(
    outcome: Outcome, curves: pd.DataFrame, seconds: pd.DataFrame
) -> dict[str, NDArray[np.float64]]:
    """Collect what is not one number a slide: threshold sweeps, risk curves, measured seconds.

    Args:
        outcome: of this run.
        curves: of :func:`switch_curves`.
        seconds: measured, one row a slide.
    """
    kept = {f"risk-{name}": values for name, values in risk_curves(outcome).items()}
    kept["sweep"] = curves[list(_SWEPT)].to_numpy(float)
    kept["seconds"] = seconds[["low", "high", "both"]].to_numpy(float)
    return kept


def swept(archive: Archive | None, curves: pd.DataFrame) -> pd.DataFrame:
    """Return the archived threshold sweep, or this run's where there is none."""
    if archive is None:
        return curves
    return pd.DataFrame(archive.arrays["sweep"], columns=list(_SWEPT))


def all_risks(
    outcome: Outcome, archive: Archive | None, profile: str
) -> dict[str, dict[str, NDArray[np.float64]]]:
    """Return the risk curves of this run and of the archive, by profile."""
    found = {profile: risk_curves(outcome)}
    if archive is not None and archive.profile != profile:
        names = ("sos", "no-executive")
        found[archive.profile] = {name: archive.arrays[f"risk-{name}"] for name in names}
    return found


def published_parts(paper: Paper) -> tuple[float, float]:
    """Bound the two parts of the published gain over Image-Level, in points.

    Returns:
        The least that the first network and the most that switching can have given: no more
        slides than reached the high resolution can have been won there.
    """
    right, n = right_counts(paper), sum(class_sizes(paper).values())
    share = Printed(
        float(paper.table("table3").set_index(["row", "column"])["value"][METHODS[-1], "LP"]), 2
    )
    zoomed = int(n * (1 - share.low))
    gain = int(right[METHODS[-1]] - right[METHODS[0]])
    return 100 * max(0, gain - zoomed) / n, 100 * min(gain, zoomed) / n
