"""Tables of the casualty-care page, made of records, answers and printed numbers."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common import comparison
from common.chapters.casualty_action.audit import COLUMNS, MODELS, PROCEDURES, ROWS, clips_needed
from common.chapters.casualty_action.experiment import Outcome, class_accuracy
from common.chapters.casualty_action.inputs import Clips
from common.chapters.casualty_action.steps import WORDS
from common.papers import Paper
from common.runs.archives import Archive
from common.statistics.audit import Check

# the arms that stand for the rows of Table 1, and the metrics for the columns of Table 2
MODEL_ARMS = dict(zip(("ego-rnn", "tsn", "slowfast", "revit"), MODELS, strict=True))
METRICS = dict(
    zip(("verb", "noun", "correct", "verb_top5", "noun_top5", "action_top5"), COLUMNS, strict=True)
)
POSITIONS = ("revit-time", "absolute", "none", "both", "logits", "bias")
_OTHERS = ("balanced", "half", "repeat", "product", "video-split", "clip-split")


def runs(records: pd.DataFrame, archive: Archive | None, profile: str) -> dict[str, pd.DataFrame]:
    """Name this run's records and the archived ones by their profile, in this order."""
    found = {profile: records}
    if archive is not None and archive.profile != profile:
        found[archive.profile] = archive.records
    return found


def model_numbers(
    paper: Paper, tables: Mapping[str, pd.DataFrame], *, rng: np.random.Generator
) -> pd.DataFrame:
    """Set the published top-1 action accuracies beside those on the phantom, in percent.

    Args:
        paper: supplies the printed numbers.
        tables: records by profile.
        rng: resamples videos for the intervals.

    Returns:
        ``metric, row, kind, value, low, high, n``; ReViT with time has no published number.
    """
    printed = paper.table("table1")
    parts = [comparison.published(printed, rows=MODELS, metrics=["THOMPSON"])]
    arms = {**MODEL_ARMS, "revit-time": paper.arm("revit-time").label}
    blind = {f"blind-{kind}": f"Blind: {words}" for kind, words in WORDS.items()}
    parts += _measured(tables, {**arms, **blind}, {"correct": "THOMPSON"}, rng)
    return pd.concat(parts, ignore_index=True).replace({"metric": {"THOMPSON": "top-1 action"}})


def other_numbers(
    paper: Paper, tables: Mapping[str, pd.DataFrame], *, rng: np.random.Generator
) -> pd.DataFrame:
    """Give the accuracy of every arm without a published number, in percent with intervals."""
    named = {arm: paper.arm(arm).label for arm in (*POSITIONS, *_OTHERS)}
    return pd.concat(_measured(tables, named, {"correct": "top-1 action"}, rng), ignore_index=True)


def _measured(
    tables: Mapping[str, pd.DataFrame],
    arms: Mapping[str, str],
    metrics: Mapping[str, str],
    rng: np.random.Generator,
) -> list[pd.DataFrame]:
    return [
        comparison.replicated(
            records,
            kind=kind,
            arms=arms,
            metrics=metrics,
            rng=rng,
            scale=100,
            source="phantom",
        )
        for kind, records in tables.items()
    ]


def by_procedure(records: pd.DataFrame, arm: str = "revit") -> pd.DataFrame:
    """Average an arm's accuracies by procedure, as Table 2 does, in percent.

    Args:
        records: of one run.
        arm: whose.

    Returns:
        Rows of Table 2, the average over all clips, and the number of clips.
    """
    mine = records[(records["arm"] == arm) & (records["source"] == "phantom")]
    mine = mine[mine["metric"].isin(list(METRICS))].astype({"group": str, "metric": str})
    short = {name: row for row, name in PROCEDURES.items()}
    wide = 100 * mine.groupby(["group", "metric"])["value"].mean().unstack()
    wide = wide.rename(index=short, columns=METRICS).reindex(list(ROWS))
    wide.loc["Average"] = 100 * mine.groupby("metric")["value"].mean().rename(index=METRICS)
    clips = mine[mine["metric"] == "correct"].groupby("group")["case"].nunique()
    wide["clips"] = clips.rename(index=short).reindex(list(ROWS))
    wide.loc["Average", "clips"] = clips.sum()
    return wide[[*COLUMNS, "clips"]].astype({"clips": int}).rename_axis("procedure")


def published_by_procedure(paper: Paper) -> pd.DataFrame:
    """Arrange Table 2 as printed."""
    wide = paper.table("table2").pivot_table("value", "row", "column", sort=False)
    return wide.loc[[*ROWS, "Average"], list(COLUMNS)].rename_axis("procedure")


def short(table: pd.DataFrame) -> pd.DataFrame:
    """Shorten the columns of Table 2: ``verb 1`` is top 1, ``verb 5`` top 5."""
    words = [column.removeprefix("Top-").split() for column in COLUMNS]
    names = {
        column: f"{word.replace('Act', 'Action').lower()} {k}"
        for column, (k, word) in zip(COLUMNS, words, strict=True)
    }
    return table.rename(columns=names)


def stands(tables: Mapping[str, pd.DataFrame], metric: str, paper: Paper) -> pd.DataFrame:
    """Average a mechanism's metric by arm and stand of its dial, in percent, by profile."""
    parts = {}
    for kind, records in tables.items():
        mine = records[records["metric"] == metric].astype({"arm": str, "group": str})
        wide = 100 * mine.groupby(["arm", "group"])["value"].mean().unstack()
        named = {arm: paper.arm(str(arm)).label for arm in wide.index}
        parts[kind] = wide.rename(index=named)
    if len(parts) == 1:
        return next(iter(parts.values())).rename_axis("arm")
    named_parts = [wide.add_suffix(f" ({kind})") for kind, wide in parts.items()]
    return pd.concat(named_parts, axis=1).rename_axis("arm")


def frequency(outcome: Outcome, train: Clips, arm: str = "revit-time") -> pd.DataFrame:
    """Join training clips and accuracy of each class, mean over seeds: ``trained, accuracy``."""
    parts = [
        class_accuracy(found, train, outcome.test)
        for (name, _), found in outcome.answers.items()
        if name == arm
    ]
    return pd.concat(parts).groupby(level=0).mean()


def lead_sizes(lead: float, discordance: Iterable[float], n: int) -> pd.DataFrame:
    """Compute how many clips show a lead with 80 % power, by the share of discordant clips.

    Args:
        lead: difference of two accuracies.
        discordance: shares of clips that one of two models alone gets right.
        n: clips of the test set.

    Returns:
        ``clips needed`` if independent, and how many test sets of ``n`` clips that is.
    """
    rows = {}
    for share in discordance:
        needed = clips_needed(lead, share)
        rows[f"{share:.0%}"] = {"clips needed": round(needed), "test sets": needed / n}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("discordant clips")


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


def arrays(outcome: Outcome, train: Clips) -> dict[str, NDArray[np.float64]]:
    """Collect what is not one number a clip: attention to frames, learned tables, class counts."""
    kept = {
        f"frames-{name}": look["frames"].mean(axis=0).astype(float)
        for name, look in outcome.looks.items()
    }
    for name, look in outcome.looks.items():
        if "tables" in look:
            kept[f"tables-{name}"] = look["tables"].astype(float)
    kept["frequency"] = frequency(outcome, train).to_numpy(float)
    return kept


def shown_arrays(
    outcome: Outcome, train: Clips, archive: Archive | None
) -> dict[str, NDArray[np.float64]]:
    """Return the archived arrays, or this run's where there is no archive."""
    return arrays(outcome, train) if archive is None else dict(archive.arrays)
