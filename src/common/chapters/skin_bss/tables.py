"""Tables of the skin-bss page, made of records and of what the paper states."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import roc_curve

from common import comparison
from common.chapters.skin_bss.audit import statements
from common.chapters.skin_bss.cohorts import SETTINGS
from common.models import skin_bss_scores
from common.papers import Paper
from common.runs.archives import Archive
from common.statistics import auc as auc_module, power_auc
from common.statistics.audit import Check

# the printed boxes, and the arm that stands for each
STATED = {
    "C_3 (melanin), random init": "random-nmf",
    "C_3 (melanin), SCA init": "sca-nmf",
    "B_1..B_3 classic RGB": "best-band",
    "melanin contribution, blue band only": "melanin-blue",
    "melanin contribution, green band only": "melanin-green",
    "melanin contribution, red band only": "melanin-red",
}
IDENTIFIED = (
    "sca-nmf",
    "sca",
    "best-start",
    "classical",
    "blue",
    "green",
    "red",
    "melanin-blue",
    "melanin-green",
    "melanin-red",
    "true-maps",
)
SEPARATED = ("sca-nmf", "sca", "best-start", "classical", "calibrated")
# the panels of Figs. 6 to 8
BOXED = (
    "sca-nmf",
    "best-start",
    "classical",
    "blue",
    "green",
    "red",
    "melanin-blue",
    "melanin-green",
    "melanin-red",
)
# curves of the ROC figure, by names that fit its legend
DRAWN = {
    "sca-nmf": "SCA, NMF",
    "sca": "SCA",
    "best-start": "random",
    "classical": "classical",
    "blue": "blue",
    "true-maps": "truth",
}


def scores(
    records: pd.DataFrame, arm: str, *, setting: str = "", metric: str = "identification"
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the scores of one arm and the classes (1 for melanoma), all cohorts together."""
    suffix = f", {setting}" if setting else ""
    groups = {f"naevus{suffix}": 0, f"melanoma{suffix}": 1}
    mine = records[(records["metric"] == metric) & (records["arm"] == arm)]
    label = mine["group"].astype(str).map(groups)
    kept = label.notna()
    return np.asarray(mine["value"][kept], np.float64), np.asarray(label[kept], np.int64)


def area(records: pd.DataFrame, arm: str, *, setting: str = "") -> tuple[float, float, float]:
    """Return an area under the ROC curve with DeLong's 95 % interval."""
    value, label = scores(records, arm, setting=setting)
    found = auc_module.auc_inference(value, label)
    ends = found.interval(0.95)
    return found.effect, ends.low, ends.high


def roc_curves(records: pd.DataFrame) -> dict[str, Any]:
    """Return the arguments of :func:`common.comparison_figures.roc` for the main setting."""
    curves, areas = {}, {}
    for arm, name in DRAWN.items():
        value, label = scores(records, arm)
        false, true, _ = roc_curve(label, value)
        curves[name], areas[name] = (false, true), area(records, arm)
    return {"curves": curves, "areas": areas}


def identification(paper: Paper, records: pd.DataFrame) -> pd.DataFrame:
    """Describe how well each score tells the classes apart, in the main setting.

    Returns:
        One row an arm: AUC with DeLong's interval, Cliff's delta, balanced accuracy of a threshold
        that never saw the image (mean over cohorts, %), cohorts whose boxes do not overlap.
    """
    rows = {}
    for arm in IDENTIFIED:
        found, low, high = area(records, arm)
        gaps = _once(records, "box_gap", arm)
        rows[paper.arm(arm).label] = {
            "AUC [95 %]": f"{found:.3f} [{low:.3f}, {high:.3f}]",
            "Cliff's δ": 2 * found - 1,
            "accuracy (%)": 100 * np.mean(_by_cohort(records, arm)),
            "boxes apart": f"{int((gaps > 0).sum())} of {len(gaps)}",
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("score")


def _once(records: pd.DataFrame, metric: str, arm: str, group: str = "main") -> "pd.Series[float]":
    wanted = (records["metric"] == metric) & (records["arm"] == arm) & (records["group"] == group)
    return records[wanted]["value"]


def _by_cohort(records: pd.DataFrame, arm: str) -> list[float]:
    mine = records[(records["metric"] == "identification") & (records["arm"] == arm)]
    mine = mine[mine["group"].astype(str).isin(["naevus", "melanoma"])]
    cohort = mine["case"].astype(str).str.extract(r" (c\d+) ", expand=False)
    return [
        skin_bss_scores.leave_one_out_accuracy(part["value"], part["group"] == "melanoma")
        for _, part in mine.groupby(cohort)
    ]


def separation(paper: Paper, records: pd.DataFrame) -> pd.DataFrame:
    """Average over the images of the main setting how well each method separates."""
    metrics = {
        "source_r": ("r", 1.0),
        "amari": ("Amari", 1.0),
        "interference_db": ("SIR (dB)", 1.0),
        "negative_share": ("negative (%)", 100.0),
    }
    columns = {}
    for metric, (name, scale) in metrics.items():
        values = {arm: _once(records, metric, arm).mean() for arm in SEPARATED}
        columns[name] = {paper.arm(arm).label: scale * value for arm, value in values.items()}
    return pd.DataFrame(columns).rename_axis("method")


def setting_areas(records: pd.DataFrame) -> pd.DataFrame:
    """Compare the AUC of five scores in each setting; random starts by the mean over starts."""
    arms = {"sca-nmf": "SCA, NMF", "classical": "classical", "blue": "blue", "true-maps": "truth"}
    rows = {}
    for setting in SETTINGS:
        found = {name: area(records, arm, setting=setting.id)[0] for arm, name in arms.items()}
        starts = _once(records, "start_auc", "random-nmf", setting.id or "main").mean()
        rows[setting.label] = {"SCA, NMF": found.pop("SCA, NMF"), "random": starts, **found}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("setting")


def setting_correlations(records: pd.DataFrame) -> pd.DataFrame:
    """Compare the mean correlation of five methods with the true sources in each setting."""
    arms = {
        "sca-nmf": "SCA, NMF",
        "sca": "SCA",
        "classical": "classical",
        "calibrated": "calibrated",
    }
    rows = {}
    for setting in SETTINGS:
        group = setting.id or "main"
        found = {name: _once(records, "source_r", arm, group).mean() for arm, name in arms.items()}
        starts = _once(records, "start_r", "random-nmf", group).mean()
        rows[setting.label] = {"SCA, NMF": found.pop("SCA, NMF"), "random": starts, **found}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("setting")


def stated_and_found(paper: Paper, runs: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Set what the paper says of its boxes beside the boxes of our cohorts.

    Args:
        paper: supplies the statements.
        runs: records by the name of their run.

    Returns:
        One row a statement; random starts count one by one.
    """
    stated = statements(paper)
    rows = []
    for name, arm in STATED.items():
        row = {"boxes": paper.arm(arm).label}
        row["published"] = stated[name]
        for run, records in runs.items():
            gaps = start_gaps(records) if arm == "random-nmf" else _once(records, "box_gap", arm)
            row[run] = f"apart in {int((gaps > 0).sum())} of {len(gaps)}"
        rows.append(row)
    return pd.DataFrame(rows).set_index("boxes")


def start_gaps(records: pd.DataFrame) -> "pd.Series[float]":
    """Return the gap of the boxes of every random start in every cohort of the main setting."""
    mine = records[records["metric"] == "identification_start"]
    mine = mine[mine["arm"] == "random-nmf"]
    cohort = mine["case"].astype(str).str.extract(r" (c\d+) ", expand=False)
    gaps = {
        key: skin_bss_scores.boxes(part["value"], part["group"] == "melanoma").relative_gap
        for key, part in mine.groupby([cohort, mine["seed"]])
    }
    return pd.Series(gaps, dtype=np.float64)


def areas_beside(paper: Paper, records: pd.DataFrame, archive: Archive | None) -> pd.DataFrame:
    """Return areas with intervals of this run and the archived one, for a dot plot.

    Returns:
        ``row, kind, value, low, high``.
    """
    runs = {"this run": records}
    if archive is not None:
        runs[f"{archive.profile} run"] = archive.records
    rows = []
    for arm in IDENTIFIED:
        for kind, table in runs.items():
            value, low, high = area(table, arm)
            row = {"row": paper.arm(arm).label, "kind": kind, "value": value}
            rows.append({**row, "low": low, "high": high})
    return pd.DataFrame(rows)


def replicated_separation(
    paper: Paper, records: pd.DataFrame, archive: Archive | None, *, rng: np.random.Generator
) -> pd.DataFrame:
    """Return mean correlations with intervals of this run and the archived one."""
    runs = {"quick" if archive is not None else "this run": records}
    if archive is not None:
        runs[archive.profile] = archive.records
    labels = {arm: paper.arm(arm).label for arm in SEPARATED}
    parts = [
        comparison.replicated(
            table[table["group"] == "main"],
            kind=kind,
            arms=labels,
            metrics={"source_r": "correlation r", "amari": "Amari index"},
            rng=rng,
            source="phantom",
        )
        for kind, table in runs.items()
    ]
    return pd.concat(parts, ignore_index=True)


def detectable(paper: Paper, *, cohorts: Iterable[int], reference: float = 0.8) -> pd.DataFrame:
    """Say how large a gain in AUC DeLong's test finds with 80 % power, by number of cohorts.

    Args:
        paper: supplies the images of each class.
        cohorts: numbers of cohorts.
        reference: area of the score that is compared with.

    Returns:
        One row a number of cohorts, scores uncorrelated (the worst case) and correlated by 0.7.
    """
    used = paper.table("prose").query("metric == 'images used'").set_index("column")["value"]
    rows = []
    for n in cohorts:
        sizes: dict[str, Any] = {
            "n_positive": int(n * used["melanoma"]),
            "n_negative": int(n * used["nevus"]),
        }
        gains = {}
        for r in (0.0, 0.7):
            law: dict[str, Any] = {"r_positive": r, "r_negative": r}

            def power_of(
                area: float, law: dict[str, Any] = law, sizes: dict[str, Any] = sizes
            ) -> float:
                return power_auc.auc_difference_power(area, reference, **sizes, **law)

            gains[f"gain found, r = {r:g}"] = power_auc.auc_gain_detected(power_of, reference)
        rows.append({"cohorts": n, "images": sum(sizes.values()), **gains})
    return pd.DataFrame(rows).set_index("cohorts")


def checks(items: Iterable[Check | dict[str, Any]]) -> pd.DataFrame:
    """Arrange audit checks for a page: what was asked, what came of it, and why."""
    rows = []
    for item in items:
        check = item if isinstance(item, dict) else asdict(item)
        parts = {"printed: ": check["printed"], "recomputed: ": check["recomputed"]}
        texts = [f"{word}{text}" for word, text in parts.items() if text]
        rows.append(
            {
                "check": check["id"],
                "statement": check["statement"],
                "status": check["status"],
                "finding": "; ".join([*texts, *filter(None, [check["note"]])]) or "–",
            }
        )
    return pd.DataFrame(rows, columns=["check", "statement", "status", "finding"])
