"""The audit of the casualty-care paper: what its printed numbers say of each other."""

import csv
from collections.abc import Iterator
from itertools import product

import numpy as np
import pandas as pd
from scipy import stats

from common import paths
from common.papers import Paper
from common.statistics import power
from common.statistics.audit import (
    Check,
    Printed,
    Status,
    check_mean,
    check_printed,
    check_sum,
    check_weighted_mean,
)
from common.statistics.proportions import PairedCounts, proportion_interval
from common.statistics.rate_counts import count_range, denominators

MODELS = ("Ego-rnn", "TSN", "Slowfast", "ReVit")
ROWS = ("Tour", "CRIC", "CT", "ND", "IO")
PROCEDURES = {
    "Tour": "tourniquet",
    "CRIC": "cricothyroidotomy",
    "CT": "tube thoracostomy",
    "ND": "needle thoracostomy",
    "IO": "intraosseous insertion",
}
COLUMNS = ("Top-1 Verb", "Top-1 Noun", "Top-1 Act", "Top-5 Verb", "Top-5 Noun", "Top-5 Act")
# the largest test set that is tried: validation and test clips together
_MOST_CLIPS = 306
# two digits behind the point, and one unit more where a row was rounded upwards
_TOLERANCE = 0.006


def digits(paper: Paper, table: str) -> dict[tuple[str, str], Printed]:
    """Read every printed percentage of a table as a fraction with its digits, by row and column."""
    path = paths.paper_dir(paper.slug) / f"{table}.csv"
    with path.open(encoding="utf-8", newline="") as stream:
        return {
            (row["row"], row["column"]): Printed.read(row["value"], "either", percent=True)
            for row in csv.DictReader(stream)
        }


def stated(paper: Paper) -> dict[str, float]:
    """Read the numbers of the text by their metric; doubles by row and metric."""
    table = paper.table("prose")
    named = {row["metric"]: float(row["value"]) for row in table.to_dict("records")}
    for row in table.to_dict("records"):
        named[f"{row['row']}: {row['metric']}"] = float(row["value"])
        named[f"{row['column']}: {row['metric']}"] = float(row["value"])
    return named


def row_sizes(paper: Paper) -> dict[str, int | None]:
    """Find the fewest clips that give all six numbers of each procedure; None where none does."""
    printed, sizes = digits(paper, "table2"), {}
    for name in ROWS:
        cells = [printed[name, column] for column in COLUMNS]
        found = denominators(cells, n=range(1, _MOST_CLIPS + 1))
        sizes[name] = int(found["n"].iloc[0]) if len(found) else None
    return sizes


def weighted_fits(paper: Paper) -> pd.DataFrame:
    """Try test sets whose clip-weighted rows give back the printed average row.

    Rows whose denominator is known may have any multiple of it, CRIC any number of clips, all
    together at most validation and test clips.

    Returns:
        One row a fit: clips of each procedure, their ``total``, and ``off``, the largest distance
        from the printed average in points; nearest first.
    """
    table = paper.table("table2").pivot_table("value", "row", "column", sort=False)[list(COLUMNS)]
    values, mean = table.loc[list(ROWS)].to_numpy(), table.loc["Average"].to_numpy()
    known = {name: size for name, size in row_sizes(paper).items() if size is not None}
    choices = [
        range(known[name], _MOST_CLIPS + 1, known[name])
        if name in known
        else range(1, _MOST_CLIPS + 1)
        for name in ROWS
    ]
    outer = [i for i, name in enumerate(ROWS) if name in known]
    free = [i for i, name in enumerate(ROWS) if name not in known]
    fits = []
    for sizes in product(*(choices[i] for i in outer)):
        left = _MOST_CLIPS - sum(sizes)
        if left < 1:
            continue
        weights = np.zeros((left, len(ROWS)))
        weights[:, outer] = sizes
        weights[:, free] = np.arange(1, left + 1)[:, None]
        found = weights @ values / weights.sum(axis=1, keepdims=True)
        off = np.abs(found - mean).max(axis=1)
        fits += [(*weights[i].astype(int), off[i]) for i in np.flatnonzero(off < _TOLERANCE)]
    table = pd.DataFrame(fits, columns=[*ROWS, "off"])
    table.insert(len(ROWS), "total", table[list(ROWS)].sum(axis=1))
    return table.sort_values("off", ignore_index=True)


def clip_weights(paper: Paper) -> dict[str, int]:
    """Return the clips of each procedure in the nearest fit of :func:`weighted_fits`."""
    return {name: int(weighted_fits(paper)[name].iloc[0]) for name in ROWS}


def action_counts(paper: Paper) -> pd.DataFrame:
    """Rebuild right and all clips of each procedure, with the Wilson interval of top-1 action.

    Returns:
        By row of Table 2: ``right``, ``clips``, ``value``, ``low``, ``high`` (percent).
    """
    weights = clip_weights(paper)
    table = paper.table("table2").set_index(["row", "column"])["value"]
    rows = {}
    for name, n in weights.items():
        right = round(float(table[name, "Top-1 Act"]) * n / 100)
        interval = proportion_interval(right, n)
        ends = (100 * interval.low, 100 * interval.high)
        rows[name] = (right, n, 100 * right / n, *ends)
    columns = ["right", "clips", "value", "low", "high"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def model_counts(paper: Paper, n: int) -> pd.Series:
    """Return the nearest whole number of right clips of each model on THOMPSON."""
    table = paper.table("table1").query("column == 'THOMPSON'").set_index("row")["value"]
    return (table * n / 100).round().astype(int)


def smallest_p(gain: int, discordant: int | None = None) -> float:
    """Compute the exact McNemar p of a net gain; the fewest discordant clips by default.

    Example:
        >>> smallest_p(5), round(smallest_p(5, 15), 2)
        (0.0625, 0.3)
    """
    n = abs(gain) if discordant is None else discordant
    first = (n + gain) // 2
    return PairedCounts(first, n - first, max(n, 1)).p()


def clips_needed(gain: float, discordance: float) -> float:
    """Compute how many independent clips show a gain with 80 % power (paired, two-sided 5 %)."""
    return power.clusters_needed(gain, sd_cluster=float(np.sqrt(discordance - gain**2)))


def checks(paper: Paper) -> list[Check]:
    """Run every check of the printed numbers."""
    return [
        *_sizes(paper),
        *_gap(paper),
        *_rows(paper),
        *_average(paper),
        *_models(paper),
        *_words(paper),
        *_reach(paper),
    ]


def _check(
    id: str,
    statement: str,
    status: bool | None,
    printed: str = "",
    recomputed: str = "",
    note: str = "",
) -> Check:
    word: Status = "undecidable" if status is None else "pass" if status else "fail"
    return Check(id, statement, word, printed, recomputed, note)


def _sizes(paper: Paper) -> Iterator[Check]:
    text = stated(paper)
    clips = text["number of annotated clips"]
    parts = [text[f"{part} clips"] for part in ("training", "validation", "test")]
    yield check_sum(
        "P1 sum",
        "the three parts sum to all clips",
        parts=[Printed(each, 0) for each in parts],
        total=Printed(clips, 0),
    )
    shares = [0.7 * clips, 0.1 * clips, 0.2 * clips]
    yield _check(
        "P1 shares",
        "the parts are 70, 10 and 20 % of the clips",
        bool(np.allclose(parts, shares, atol=0.5)),
        ", ".join(f"{each:.0f}" for each in parts),
    )
    few, many = (
        text[f"{where}: number of videos"] for where in ("Sec. 3.1", "Sec. 1.2 and Conclusion")
    )
    yield _check(
        "P2 videos", "one number of videos is stated", few == many, f"{few:.0f} and {many:.0f}"
    )
    classes = text["action classes"]
    yield _check(
        "P3 scarcity",
        "every action has training clips enough",
        None,
        f"{parts[0]:.0f} clips, {classes:.0f} actions",
        f"{parts[0] / classes:.1f} a class, chance {100 / classes:.2f} %",
    )
    length = text["number of frames"] / clips
    yield _check(
        "P4 frames",
        "a clip's mean length can be told",
        None,
        f"{text['number of frames']:,.0f} frames",
        f"{length:.0f} frames a clip, {length / 30:.1f} s at 30 a second",
        "the frame rate is not printed",
    )


def _gap(paper: Paper) -> Iterator[Check]:
    table = paper.table("table1").set_index(["row", "column"])["value"]
    text = stated(paper)
    lead = table["ReVit", "THOMPSON"] - table["TSN", "THOMPSON"]
    yield check_printed(
        "P5 gap",
        "ReViT leads TSN by the stated points",
        printed=text["difference in top-1 action accuracy (%)"],
        true=float(lead),
        decimals=2,
    )
    metric = "top-1 action accuracy (%)"
    prose = {name: text[f"{name}: {metric}"] for name in ("SlowFast", "TSN")}
    printed = {"SlowFast": table["Slowfast", "THOMPSON"], "TSN": table["TSN", "THOMPSON"]}
    yield _check(
        "P5 swap",
        "text and Table 1 give TSN and SlowFast the same accuracy",
        prose == printed,
        ", ".join(f"{name} {value:g}" for name, value in prose.items()),
        ", ".join(f"{name} {value:g}" for name, value in printed.items()),
        "text, then table: they are exchanged",
    )


def _rows(paper: Paper) -> Iterator[Check]:
    printed = digits(paper, "table2")
    for name, size in row_sizes(paper).items():
        cells = [printed[name, column] for column in COLUMNS]
        alone = {
            f"{cell.value:.2%}": denominators([cell], n=range(1, 61))["n"].astype(str).tolist()[:3]
            for cell in cells
        }
        odd = "; ".join(f"{cell} fits {', '.join(few) or 'none'}" for cell, few in alone.items())
        yield _check(
            f"P6 {name}",
            f"the six numbers of {name} are whole clips of one number",
            size is not None,
            "",
            f"{size} clips" if size else odd,
        )
    action, verb = (printed["Tour", column].value for column in ("Top-1 Act", "Top-1 Verb"))
    n = row_sizes(paper)["Tour"] or 0
    yield _check(
        "P7 verb",
        "an action is right only where its verb is",
        action <= verb,
        f"action {action:.2%}, verb {verb:.2%} (Tour)",
        f"{round(action * n)} actions and {round(verb * n)} verbs of {n}",
        "possible only if verbs and actions come from separate answers",
    )


def _average(paper: Paper) -> Iterator[Check]:
    printed, weights = digits(paper, "table2"), clip_weights(paper)
    rows = {c: [printed[name, c] for name in ROWS] for c in COLUMNS}
    plain = [check_mean("", "", rows=rows[c], mean=printed["Average", c]) for c in COLUMNS]
    values = ", ".join(f"{100 * float(each.recomputed or 0):.2f}" for each in plain)
    yield _check(
        "P8 plain",
        "the average row is the mean of the five rows",
        all(each.status == "pass" for each in plain),
        ", ".join(f"{100 * printed['Average', c].value:.2f}" for c in COLUMNS),
        values,
    )
    fits = weighted_fits(paper)
    for column in COLUMNS:
        yield check_weighted_mean(
            f"P8 {column}",
            f"average of {column} is the mean weighted by clips",
            rows=rows[column],
            weights=list(weights.values()),
            mean=printed["Average", column],
        )
    total, text = sum(weights.values()), stated(paper)
    shown = ", ".join(f"{name} {n}" for name, n in weights.items())
    both = text["validation clips"] + text["test clips"]
    yield _check(
        "P9 clips",
        "the averaged clips are the stated test set",
        total == text["test clips"],
        f"{text['test clips']:.0f}",
        f"{total}: {shown}",
        f"nor are they validation and test together ({both:.0f}); sets of clips that give the "
        f"average row: {len(fits)}",
    )
    average = printed["Average", "Top-1 Act"]
    low, high = count_range(average, total)
    yield _check(
        "P9 top-1",
        "the overall accuracy is a whole number of these clips",
        bool(low <= high),
        f"{average.value:.2%}",
        f"{int(low)} of {total}",
    )


def _models(paper: Paper) -> Iterator[Check]:
    printed = digits(paper, "table1")
    cells = {name: printed[name, "THOMPSON"] for name in MODELS}
    ego = denominators([cells["Ego-rnn"]], n=range(1, 2001))["n"]
    every = denominators(list(cells.values()), n=range(1, 5001))["n"]
    n = int(stated(paper)["test clips"])
    near = 100 * model_counts(paper, n) / n
    yield _check(
        "P10 common",
        "the four models are scored on one test set of the stated size",
        n in set(every),
        ", ".join(f"{100 * cell.value:.2f}" for cell in cells.values()),
        f"Ego-RNN fits no fewer than {ego.iloc[0]} clips, all four no fewer than {every.iloc[0]}",
        f"nearest with {n} clips: " + ", ".join(f"{near[name]:.2f}" for name in MODELS),
    )


def _words(paper: Paper) -> Iterator[Check]:
    table = paper.table("table2").pivot_table("value", "row", "column", sort=False)
    best = table.loc[list(ROWS)].idxmax()
    yield _check(
        "P11 best",
        "ND leads in top-1 action, Tour in top-5 verb and noun",
        best["Top-1 Act"] == "ND" and best["Top-5 Verb"] == best["Top-5 Noun"] == "Tour",
        ", ".join(f"{column} {name}" for column, name in best.items()),
    )
    weights = clip_weights(paper)
    yield _check(
        "P12 reason",
        "ND has the most clips, the stated reason",
        max(weights, key=lambda name: weights[name]) == "ND",
        "more videos of ND",
        ", ".join(f"{name} {n}" for name, n in weights.items()),
        "videos are not printed; these are test clips",
    )
    found = action_counts(paper)
    wrong = found["clips"] - found["right"]
    chi2, p, df, _ = stats.chi2_contingency(np.stack([found["right"], wrong]))
    rho = float(stats.spearmanr(found["clips"], found["value"])[0])
    yield _check(
        "P13 differ",
        "the five procedures differ in accuracy",
        None if p >= 0.05 else True,
        "",
        f"chi-square {chi2:.2f} on {df}, p {p:.3f}; rank correlation with clips {rho:.2f}",
        "five points and clips in clusters: a description",
    )
    wide = paper.table("table1").pivot_table("value", "row", "column", sort=False)
    rank = wide.rank(ascending=False).loc["ReVit"].astype(int)
    behind = (wide.max() - wide.loc["ReVit"]).astype(float)
    yield _check(
        "P14 elsewhere",
        "ReViT is within two points of the best model everywhere",
        max(behind) <= 2,
        ", ".join(f"{name}: rank {place}" for name, place in rank.items()),
        ", ".join(f"{name} {gap:.2f} behind" for name, gap in behind.items()),
    )


def _reach(paper: Paper) -> Iterator[Check]:
    for n in (int(stated(paper)["test clips"]), sum(clip_weights(paper).values())):
        right = model_counts(paper, n)
        gain = int(right["ReVit"] - right["TSN"])
        often = 15 + (gain + 1) % 2  # of the gain's parity
        yield _check(
            f"P15 {n}",
            f"some pairing of {n} clips makes the lead over TSN significant",
            smallest_p(gain) < 0.05,
            f"{right['ReVit']} and {right['TSN']} right",
            f"p at least {smallest_p(gain):.3f}",
            f"{smallest_p(gain, often):.2f} with {often} discordant clips",
        )
    lead = stated(paper)["difference in top-1 action accuracy (%)"] / 100
    needed = {share: clips_needed(lead, share) for share in (0.05, 0.10, 0.15)}
    yield _check(
        "P16 power",
        "the test set could show the lead with 80 % power",
        min(needed.values()) <= stated(paper)["test clips"],
        f"{stated(paper)['test clips']:.0f} clips",
        ", ".join(f"{n:,.0f} at discordance {share:.2f}" for share, n in needed.items()),
    )
