"""Tables of the pruning page, made of records, curves and printed numbers."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common import comparison
from common.chapters.polyp_pruning.allocations import unet
from common.chapters.polyp_pruning.audit import printed
from common.chapters.polyp_pruning.curves import GROUPS, LEFT, LEVELS, RIGHT, SCORES, knee
from common.models.polyp_pruning import KERNEL, level_of
from common.papers import Evidence, Paper, Source
from common.runs.archives import Archive
from common.statistics import power, ranking
from common.statistics.audit import Check
from common.statistics.decisions import Verdict
from common.statistics.posthoc import critical_difference_groups
from common.statistics.verdicts import judge

Arrays = Mapping[str, NDArray[Any]]
SIDES = {"left": ("few", LEFT), "right": ("taylor", RIGHT)}
COMPARED = ("taylor", "chance", "l1", "l1-layer", "activity", "even")


def runs(records: pd.DataFrame, archive: Archive | None, profile: str) -> dict[str, pd.DataFrame]:
    """Name this run's records and the archived ones by their profile, in this order."""
    found = {profile: records}
    if archive is not None and archive.profile != profile:
        found[archive.profile] = archive.records
    return found


def curves(arrays: Arrays, archive: Archive | None, profile: str) -> tuple[Arrays, str]:
    """Return what a figure should show and the word for it.

    A quick run shows the archived curves where there are any; a larger run shows its own.
    """
    if archive is None or profile != "quick":
        return arrays, f"{profile} run"
    return archive.arrays, f"archived {archive.profile} run"


def judge_all(
    paper: Paper, records: pd.DataFrame, *, profile: str, data: Source, rng: np.random.Generator
) -> list[Verdict]:
    """Judge the claims on real frames, or on generated ones where the run has no others.

    Args:
        paper: the declaration, whose main claims name real frames.
        records: of the run; the dial's are of generated frames.
        profile: of the run.
        data: source of the main experiment.
        rng: of resampling.
    """
    if data == "open":
        both: tuple[Source, ...] = ("open", "phantom")
        return [
            verdict
            for source in both
            for verdict in judge(
                paper, records, layer="replication", source=source, profile=profile, rng=rng
            )
        ]
    moved = paper.model_copy(
        update={
            "claims": tuple(
                claim.model_copy(
                    update={
                        "evidence": {
                            layer: _on_phantom(each) for layer, each in claim.evidence.items()
                        }
                    }
                )
                for claim in paper.claims
            )
        }
    )
    return judge(moved, records, layer="replication", source="phantom", profile=profile, rng=rng)


def _on_phantom(evidence: Evidence) -> Evidence:
    if evidence.source != "open":
        return evidence
    return evidence.model_copy(update={"source": "phantom"})


def sizes_by_level(width: int = 32) -> pd.DataFrame:
    """Tell where filters, parameters and operations of the convolutions lie, in percent.

    Returns:
        One row a level, from full resolution down; each filter is charged its own kernel.
    """
    network = unet(width)
    kernel = KERNEL * network.inputs * network.filters
    parts = {
        "filters": network.filters,
        "parameters": kernel,
        "operations": kernel * network.areas,
    }
    level = [level_of(layer) for layer in range(len(network.filters))]
    frame = pd.DataFrame({name: 100 * each / each.sum() for name, each in parts.items()})
    return frame.groupby(level).sum().rename_axis("level")


def frames_needed(sds: Iterable[float], *, margin: float, n: int) -> pd.DataFrame:
    """Tell how many frames show equality within a margin, by the spread of a frame's difference.

    One training is assumed; several make the spread of the mean difference smaller, and add that
    between trainings.

    Args:
        sds: standard deviations of the difference of two IoUs of one frame.
        margin: that should be shown, with 80 % power where there is no difference.
        n: frames at hand.

    Returns:
        ``frames needed`` and the margin that ``n`` frames can show.
    """
    rows = {}
    for sd in sds:
        plan = power.paired_t_plan(sd, n=n)
        # two one-sided tests at 5 % with no difference: both must reject
        wanted = ((1.645 + 1.282) * sd / margin) ** 2
        rows[sd] = {
            "frames needed": int(np.ceil(wanted)),
            f"margin of {n} frames": plan.smallest_margin(alpha=0.05, one_sided=False),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("sd")


def published_and_replicated(
    paper: Paper, tables: Mapping[str, pd.DataFrame], arrays: Mapping[str, Arrays]
) -> pd.DataFrame:
    """Set the two printed operating points beside those of the runs.

    Args:
        paper: supplies the printed numbers.
        tables: records by profile.
        arrays: by profile, with the measured seconds of each network.

    Returns:
        One row an experiment and quantity, one column a source; ratios are of the whole network.
    """
    columns: dict[str, dict[tuple[str, str], float]] = {"published": {}}
    for side, (arm, share) in SIDES.items():
        own = printed(paper, side)
        name = f"{own['removed']:.0f} of 2,944"
        columns["published"] |= {
            (name, "operations"): own["macs"],
            (name, "parameters"): own["parameters"],
            (name, "IoU"): own["iou"],
            (name, "IoU ratio"): _ratio(paper, side),
            (name, "time"): 1 - own["time"] / 100,
        }
        for kind, records in tables.items():
            here = records.astype({"arm": str, "group": str, "metric": str})
            here = here[here["group"] == GROUPS[share]]
            mean = here.groupby(["arm", "metric"])["value"].mean()
            column, whole = columns.setdefault(kind, {}), mean["unpruned", "iou"]
            column |= {
                (name, "operations"): mean[arm, "mac_share"],
                (name, "parameters"): mean[arm, "parameter_share"],
                (name, "IoU"): mean[arm, "iou"],
                (name, "IoU ratio"): float(mean[arm, "iou"] / whole) if whole else np.nan,
            }
            if kind in arrays:
                ratio = arrays[kind][f"seconds-{side}"] / arrays[kind]["seconds-whole"]
                column[name, "time"] = float(np.median(ratio))
    frame = pd.DataFrame(columns)
    frame.index = pd.MultiIndex.from_tuples(list(columns["published"]))
    return frame.rename_axis(["removed", "quantity"])


def _ratio(paper: Paper, side: str) -> float:
    table = paper.table("prose")
    mine = table[table["row"].str.startswith(f"{side}:") & (table["metric"] == "IoU ratio")]
    return float(mine["value"].iloc[0]) if len(mine) else 1.0


def scores(
    paper: Paper, tables: Mapping[str, pd.DataFrame], *, rng: np.random.Generator
) -> pd.DataFrame:
    """Give the area under each score's curve and the IoU at both levels, with intervals."""
    arms = {name: paper.arm(name).label for name in (*SCORES, "chance")}
    extra = {name: paper.arm(name).label for name in ("unpruned", "small", "renewed")}
    parts = []
    for kind, records in tables.items():
        for share in (RIGHT, LEFT):
            group = GROUPS[share]
            mine = records[records["group"].astype(str) == group]
            found = comparison.replicated(
                mine, kind=kind, arms=arms | extra, metrics={"iou": f"IoU at {group}"}, rng=rng
            )
            parts.append(found)
        parts.append(
            comparison.replicated(records, kind=kind, arms=arms, metrics={"area": "area"}, rng=rng)
        )
    return pd.concat(parts, ignore_index=True)


def score_table(numbers: pd.DataFrame, kind: str, *, digits: int = 3) -> pd.DataFrame:
    """Arrange :func:`scores` of one run: arms in rows, metrics in columns."""
    mine = numbers[numbers["kind"] == kind]
    texts = [
        f"{row['value']:.{digits}f} [{row['low']:.{digits}f}, {row['high']:.{digits}f}]"
        for row in mine.to_dict("records")
    ]
    wide = mine.assign(text=texts).pivot_table("text", "row", "metric", aggfunc="first", sort=False)
    return wide.fillna("–").rename_axis("score")


def ranks(records: pd.DataFrame, paper: Paper) -> tuple[dict[str, float], list[list[str]], float]:
    """Rank the scores of claim C9 by the area under their curves, frame by frame.

    Returns:
        Mean rank of each (1 is best), the groups that Nemenyi's test does not tell apart, and its
        critical difference.
    """
    mine = records[(records["metric"] == "area") & records["arm"].isin(COMPARED)]
    mine = mine.astype({"arm": str, "cluster": str})
    wide = mine.groupby(["cluster", "arm"])["value"].mean().unstack()[list(COMPARED)]
    mean = ranking.mean_ranks(-wide.to_numpy())
    difference = ranking.nemenyi_critical_difference(len(COMPARED), len(wide))
    labels = [paper.arm(name).label for name in COMPARED]
    groups = [[labels[i] for i in each] for each in critical_difference_groups(mean, difference)]
    return dict(zip(labels, mean.tolist(), strict=True)), groups, difference


def knees(arrays: Arrays, *, rng: np.random.Generator, n_resamples: int = 200) -> pd.DataFrame:
    """Find the place where the curve of each training turns down, with an interval over frames.

    Args:
        arrays: see :func:`common.chapters.polyp_pruning.experiment.stacked`.
        rng: resamples clusters of frames that look alike.
        n_resamples: bootstrap replicates.

    Returns:
        ``turns at``, ``low``, ``high`` (percent of the filters; of the resamples that turn), and
        ``turn`` (percent of the resamples that do), by seed, and for the mean curve with seeds
        and clusters resampled.
    """
    frames = np.asarray(arrays["frames"], dtype=np.float64)  # seeds, levels, n
    members = [np.flatnonzero(arrays["clusters"] == k) for k in np.unique(arrays["clusters"])]

    def draw() -> NDArray[np.int64]:
        return np.concatenate([members[k] for k in rng.integers(0, len(members), len(members))])

    n_seeds = len(frames)
    rows = {}
    for seed in range(n_seeds):
        drawn = [knee(LEVELS, frames[seed][:, draw()].mean(axis=1)) for _ in range(n_resamples)]
        rows[str(seed)] = _interval(knee(LEVELS, frames[seed].mean(axis=1)), drawn)
    drawn = [
        knee(LEVELS, frames[rng.integers(0, n_seeds, n_seeds)][:, :, draw()].mean(axis=(0, 2)))
        for _ in range(n_resamples)
    ]
    rows["all"] = _interval(knee(LEVELS, frames.mean(axis=(0, 2))), drawn)
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("training")


def _interval(value: float, drawn: list[float]) -> dict[str, float]:
    turned = 100 * np.array(drawn)[~np.isnan(drawn)]
    low, high = np.quantile(turned, [0.025, 0.975]) if len(turned) else (np.nan, np.nan)
    return {
        "turns at": 100 * value,
        "low": float(low),
        "high": float(high),
        "turn": 100 * len(turned) / len(drawn),
    }


def agreement(arrays: Arrays) -> pd.DataFrame:
    """Tell on which share of the removed filters two disjoint sets of frames agree, in percent."""
    found = 100 * np.asarray(arrays["agreement"], dtype=float)
    sizes = [int(size) for size in arrays["agreement-sizes"]]
    frame = pd.DataFrame(
        {
            "agreement": found.mean(axis=0),
            "lowest": found.min(axis=0),
            "highest": found.max(axis=0),
        },
        index=sizes,
    )
    return frame.rename_axis("frames in each set")


def dial(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Average the IoU at both stands of the dial, before and after pruning."""
    parts = {}
    for kind, records in tables.items():
        mine = records[records["arm"].isin(["dial-pruned", "dial-whole"])]
        mine = mine.astype({"arm": str, "group": str})
        wide = mine.groupby(["group", "arm"])["value"].mean().unstack()
        parts[kind] = wide.rename(columns={"dial-pruned": "pruned", "dial-whole": "whole"})[
            ["whole", "pruned"]
        ]
    return pd.concat(parts, axis=1).rename_axis("network")


def twins(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Average the IoU of frames that have a twin, without and with their twins in training.

    Args:
        tables: records by profile.

    Returns:
        One row a run and kind of twin (looks alike, or near-duplicate): ``frames``, ``groups``,
        both means, and ``detectable``: the difference that so many groups show with 80 % power,
        by the spread of their own differences; missing where there are fewer than two.
    """
    rows = {}
    for kind, records in tables.items():
        for group, name in (("twins", "look alike"), ("copies", "near-duplicates")):
            mine = records[records["group"].astype(str) == group]
            mine = mine.astype({"arm": str, "cluster": str})
            mean = mine.groupby("arm")["value"].mean().reindex(["unpruned", "leaky"])
            wide = mine.groupby(["cluster", "arm"])["value"].mean().unstack()
            rows[kind, name] = {
                "frames": mine["case"].nunique(),
                "groups": len(wide),
                "twins apart": mean["unpruned"],
                "twins in training": mean["leaky"],
                "detectable": _detectable(wide["leaky"] - wide["unpruned"])
                if len(wide) > 1
                else np.nan,
            }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["run", "twins"])


def _detectable(difference: pd.Series) -> float:
    return power.paired_t(float(difference.std()), n=len(difference))


def smallest_margin(records: pd.DataFrame) -> float:
    """Tell the margin within which this run's frames could show that pruning changed nothing.

    The spread is that of the difference of claim C1 from frame to frame, trainings averaged.

    Args:
        records: of a run.
    """
    mine = records[(records["group"].astype(str) == GROUPS[LEFT]) & (records["metric"] == "iou")]
    mine = mine[mine["arm"].isin(["few", "unpruned"])].astype({"arm": str, "cluster": str})
    wide = mine.groupby(["cluster", "arm"])["value"].mean().unstack()
    difference = wide["few"] - wide["unpruned"]
    plan = power.paired_t_plan(float(difference.std()), n=len(difference))
    return plan.smallest_margin(alpha=0.05, one_sided=False)


def n_trainings(records: pd.DataFrame) -> int:
    """Count the trainings of the whole network."""
    return int(records.loc[records["arm"] == "few", "seed"].nunique())


def iou_dots(paper: Paper, numbers: pd.DataFrame) -> pd.DataFrame:
    """Set the two printed IoUs before :func:`scores`, for a dot plot.

    All scores are shown at the level of the larger pruning, and the two printed ones at their own.

    Returns:
        ``row`` (score and level), ``kind, value, low, high``.
    """
    kept = numbers[numbers["metric"] != "area"]
    levels = kept["metric"].str.removeprefix("IoU at ")
    rows = [
        {
            "row": f"{paper.arm(arm).label}, {GROUPS[share]}",
            "kind": "published",
            "value": printed(paper, side)["iou"],
        }
        for side, (arm, share) in SIDES.items()
    ]
    here = kept.assign(row=kept["row"] + ", " + levels)[["row", "kind", "value", "low", "high"]]
    wanted = (levels == GROUPS[LEFT]) | here["row"].isin([row["row"] for row in rows])
    return pd.concat([pd.DataFrame(rows), here[wanted]], ignore_index=True)


def checks(items: Iterable[Check]) -> pd.DataFrame:
    """Arrange audit checks for a page: what was asked, what came of it, and why."""
    rows = []
    for check in map(asdict, items):
        texts = [
            f"{word}: {check[word]}"
            for word in ("printed", "recomputed")
            if check[word] is not None
        ]
        rows.append(
            {
                "check": check["id"],
                "statement": check["statement"],
                "status": check["status"],
                "finding": "; ".join([*texts, *filter(None, [check["note"]])]) or "–",
            }
        )
    return pd.DataFrame(rows, columns=["check", "statement", "status", "finding"])
