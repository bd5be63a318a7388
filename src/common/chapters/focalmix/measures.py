"""From what a detector found to records: candidates for the FROC curve, and values of nodules."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common.chapters.focalmix.scans import Volumes
from common.metrics.detection import FALSE, Matches, box_centres, match_centres
from common.metrics.detection_records import pool, score_records, trim
from common.models.detection_inference import Found
from common.statistics import froc
from common.statistics.froc import FP_RATES, Detections

KEPT_FALSE = 12.0  # false positives a scan that records keep: the highest rate is 8
REPORTED = (0.125, 1.0, 8.0)  # rates whose nodules are recorded one by one
FEW, MANY = slice(0, 3), slice(4, 7)  # the three lowest and the three highest of the seven rates


def match(found: Sequence[Found], volumes: Volumes) -> dict[str, Matches]:
    """Match what was found with the nodules by the rules of LUNA16.

    Args:
        found: for each volume, boxes in the frame of the anchors.
        volumes: with the nodules.

    Returns:
        By the name of the scan.
    """
    parts = zip(volumes.case, found, volumes.centres_mm, volumes.diameters_mm, strict=True)
    matches = {}
    for case, each, centres, diameters in parts:
        points = box_centres(each.boxes.cpu().numpy()) - 0.5
        matches[case] = match_centres(points, each.scores.cpu().numpy(), centres, diameters)
    return matches


def cpm(matches: Mapping[str, Matches]) -> float:
    """Compute the mean of the sensitivities at the seven rates."""
    return froc.cpm(Detections(*pool(matches.values())))


def nodule_hits(matches: Mapping[str, Matches]) -> tuple[pd.DataFrame, NDArray[np.bool_]]:
    """Tell for each nodule at which of the seven rates it is found.

    A rate is read off at the last threshold that does not exceed it, without interpolation.

    Args:
        matches: by scan.

    Returns:
        ``case, cluster`` of each nodule, and (nodules, 7) whether it is found.

    Example:
        Two scans, one false positive that scores higher than the second nodule.

        >>> a = Matches(np.array([0.9, 0.5]), np.array([0, -1]), 1)
        >>> b = Matches(np.array([0.4]), np.array([0]), 1)
        >>> nodule_hits({"a": a, "b": b})[1].astype(int).tolist()
        [[1, 1, 1, 1, 1, 1, 1], [0, 0, 1, 1, 1, 1, 1]]
    """
    pooled = pool(matches.values())
    false = np.sort(pooled.score[pooled.lesion == FALSE])[::-1]
    # with n false positives allowed, a nodule must score higher than the one after them
    allowed = np.floor(np.array(FP_RATES) * len(matches) + 1e-9).astype(int)
    bars = np.concatenate([false, np.full(allowed.max() + 1, -np.inf)])[allowed]
    rows, best = [], []
    for scan, each in matches.items():
        own = np.full(each.n_lesions, -np.inf)
        struck = each.lesion != FALSE
        np.maximum.at(own, each.lesion[struck], each.score[struck])
        rows += [(f"{scan}-lesion-{i}", scan) for i in range(each.n_lesions)]
        best.append(own)
    score = np.concatenate([*best, np.zeros(0)])
    hits = (score[:, None] > bars) & np.isfinite(score)[:, None]
    return pd.DataFrame(rows, columns=["case", "cluster"]), hits


def records(matches: Mapping[str, Matches], *, arm: str, draw: int, in_full: bool) -> pd.DataFrame:
    """Write down what an arm found on the test scans.

    Args:
        matches: by scan.
        arm: the arm.
        draw: number of the draw, recorded as the seed.
        in_full: also record the candidates and single rates of each nodule.

    Returns:
        Columns ``arm, seed, case, cluster, group, metric, value``: ``found_share`` (share of the
        seven rates at which a nodule is found), ``cpm`` (one a draw) and, ``in_full``,
        ``detection`` (candidates), ``found`` and ``few_minus_many``.
    """
    nodules, hits = nodule_hits(matches)
    parts = [
        nodules.assign(group="", metric="found_share", value=hits.mean(axis=1)),
        one(f"draw-{draw}", "cpm", cpm(matches)),
    ]
    if in_full:
        kept = score_records(trim(matches, false_per_scan=KEPT_FALSE))
        parts.append(kept.assign(metric="detection"))
        for rate in REPORTED:
            column = hits[:, FP_RATES.index(rate)].astype(float)
            parts.append(nodules.assign(group=f"{rate:g} FP", metric="found", value=column))
        gap = hits[:, FEW].mean(axis=1) - hits[:, MANY].mean(axis=1)
        parts.append(nodules.assign(group="", metric="few_minus_many", value=gap))
    return pd.concat(parts, ignore_index=True).assign(arm=arm, seed=draw)


def loss_left(history: pd.DataFrame) -> float:
    """Tell what is left of the score loss: the last quarter of a training over the first.

    Args:
        history: see :func:`common.models.focalmix_training.train`.

    Example:
        >>> history = pd.DataFrame({"step": [1, 2], "metric": "score_loss", "value": [4.0, 1.0]})
        >>> loss_left(history)
        0.25
    """
    loss = history[history["metric"] == "score_loss"].sort_values("step")["value"]
    quarter = max(1, len(loss) // 4)
    return float(loss.iloc[-quarter:].mean() / loss.iloc[:quarter].mean())


def one(name: str, metric: str, value: float) -> pd.DataFrame:
    """Make a record whose case is a draw, a training or the like."""
    row = {"case": name, "cluster": name, "group": "", "metric": metric, "value": value}
    return pd.DataFrame([row])


def detections(table: pd.DataFrame, *, arm: str) -> list[Detections]:
    """Read the candidates of an arm back from records, one entry a draw.

    Args:
        table: records with the metric ``detection``.
        arm: the arm.

    Returns:
        On all scans of the table; scans and lesions stand in the same order in every draw.

    Raises:
        KeyError: no such records.
    """
    own = table[(table["metric"] == "detection") & (table["arm"] == arm)]
    if own.empty:
        raise KeyError(f"no detections of arm {arm!r}")
    text = own[["case", "cluster", "group"]].astype(str)
    scans = np.unique(text["cluster"])
    lesion = text["group"].isin(["hit", "miss"])
    number = text["case"].where(lesion, "-1").str.rsplit("-", n=1).str[-1].astype(int)
    number = number.where(text["group"] == "hit", -1)
    place = pd.Series(np.searchsorted(scans, text["cluster"]), index=own.index)
    found = []
    for draw in sorted(own["seed"].unique()):
        mine = own["seed"] == draw
        n_lesions = np.bincount(place[mine & lesion], minlength=len(scans))
        shown = mine & text["group"].isin(["hit", "false"])
        found.append(
            Detections(own["value"][shown].to_numpy(), place[shown], number[shown], n_lesions)
        )
    return found


def doublings(supervised: Mapping[int, float], cpm: float) -> float:
    """Interpolate how often annotated scans must double until supervised training reaches a CPM.

    Args:
        supervised: CPM by the number of annotated scans; made non-decreasing first.
        cpm: what is to be reached.

    Returns:
        log2 of the interpolated number of scans over the smallest number, linear in log scans
        between the two nearest budgets, and held at the ends: 0 where the smallest budget
        suffices, and the whole range where none does.

    Example:
        >>> round(doublings({10: 0.5, 20: 0.6, 40: 0.8}, 0.7), 6)
        1.5
    """
    scans = np.array(sorted(supervised))
    level = np.maximum.accumulate([supervised[n] for n in scans])
    steps = np.log2(scans / scans[0])
    above = int(np.searchsorted(level, cpm, side="left"))
    if above in (0, len(level)):
        return float(steps[0] if above == 0 else steps[-1])
    low, high = level[above - 1], level[above]
    return float(np.interp(cpm, [low, high], [steps[above - 1], steps[above]]))
