"""Tables of the FocalMix page, made of records and printed numbers."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from common import comparison
from common.chapters.focalmix import audit, measures
from common.chapters.focalmix.scans import BUDGETS
from common.papers import Paper
from common.runs.archives import Archive
from common.statistics import design, power
from common.statistics.audit import Check
from common.statistics.froc import FrocBootstrap, froc_contrast
from common.statistics.procedures import procedure

MAIN = tuple(f"{kind}-{budget}" for budget in BUDGETS for kind in ("supervised", "focalmix"))
FACTORIAL = {
    "soft-focal": ("no-mixup", "image-only", "object-only", "focalmix-25"),
    "hard-focal": ("hard-focal-no-mixup", None, None, "hard-focal"),
    "cross-entropy": ("cross-entropy-no-mixup", None, None, "cross-entropy"),
}
MIXES = ("neither", "images", "objects", "both")
ABLATIONS = (
    "supervised-25",
    "supervised-mixup",
    "no-mixup",
    "image-only",
    "object-only",
    "hard-focal",
    "cross-entropy",
    "no-alpha",
    "no-beta",
    "one-flip",
    "no-sharpening",
    "no-ramp",
    "repeat",
)
# Spreads of the difference of two arms in the share of rates at which a scan's nodules are found:
# between scans, between draws, and what is left; from exploratory runs on other draws.
SPREADS = {"sd_cluster": 0.10, "sd_seed": 0.045, "sd_residual": 0.30}
WITH_NODULE = 0.66  # share of scans that have a nodule


def runs_of(
    records: pd.DataFrame, archive: Archive | None, profile: str
) -> dict[str, pd.DataFrame]:
    """Name the records of this run and of the archive by their profile."""
    runs = {profile: records}
    if archive is not None and archive.profile != profile:
        runs[archive.profile] = archive.records
    return runs


def curve(
    records: pd.DataFrame, arm: str, *, rng: np.random.Generator, n_resamples: int = 500
) -> FrocBootstrap:
    """Estimate the sensitivities of an arm, averaged over its draws, by resampling scans."""
    methods = measures.detections(records, arm=arm)
    weights = [1 / len(methods)] * len(methods)
    return froc_contrast(methods, weights, n_resamples=n_resamples, rng=rng)


def curves(
    runs: Mapping[str, pd.DataFrame], *, rng: np.random.Generator, n_resamples: int = 500
) -> dict[str, dict[str, FrocBootstrap]]:
    """Estimate the curves of the six main arms: by run, then by arm."""
    return {
        kind: {arm: curve(table, arm, rng=rng, n_resamples=n_resamples) for arm in MAIN}
        for kind, table in runs.items()
    }


def published_and_replicated(
    paper: Paper, found: Mapping[str, Mapping[str, FrocBootstrap]]
) -> pd.DataFrame:
    """Set Table 1 beside what the same arms reach on the phantom.

    Args:
        paper: supplies the printed numbers and the arms' labels.
        found: see :func:`curves`.

    Returns:
        ``metric, row, kind, value, low, high, n`` in percent; metrics are the seven rates and CPM.
    """
    rows: list[dict[str, Any]] = []
    for arm in MAIN:
        label, own = paper.arm(arm).label, audit.printed_row(paper, arm)
        rows += [
            {"metric": metric, "row": label, "kind": "published", "value": own[metric]}
            for metric in own.index
        ]
    for profile, arms in found.items():
        for arm, each in arms.items():
            values = dict(zip(audit.RATES, each.sensitivities, strict=True)) | {"CPM": each.cpm}
            for metric, value in values.items():
                interval = value.interval(0.95)
                rows.append(
                    {
                        "metric": metric,
                        "row": paper.arm(arm).label,
                        "kind": profile,
                        "value": 100 * value.effect,
                        "low": 100 * interval.low,
                        "high": 100 * interval.high,
                        "n": value.n_units,
                    }
                )
    return pd.DataFrame(rows, columns=comparison.COLUMNS)


def gains(numbers: pd.DataFrame, paper: Paper) -> pd.DataFrame:
    """Subtract the supervised arm from FocalMix: a row for each budget and run, in points.

    Args:
        numbers: see :func:`published_and_replicated`.
        paper: supplies the arms' labels.
    """
    values = numbers.set_index(["kind", "row", "metric"])["value"].sort_index()
    rows = {}
    for budget in BUDGETS:
        labels = [paper.arm(f"{kind}-{budget}").label for kind in ("focalmix", "supervised")]
        for kind in numbers["kind"].unique():
            both = [values[kind, label] for label in labels]
            rows[f"{budget} annotated", kind] = both[0] - both[1]
    table = pd.DataFrame(rows).T[[*audit.RATES, "CPM"]]
    table.columns = [name.removesuffix(" FPs/scan") for name in table.columns]
    return table.rename_axis(["budget", "run"])


def by_draw(runs: Mapping[str, pd.DataFrame], arms: Mapping[str, str]) -> pd.DataFrame:
    """Average the CPM of one trained network over draws: mean and standard deviation, in percent.

    Args:
        runs: records by run.
        arms: arm: its label.
    """
    parts = {}
    for kind, table in runs.items():
        own = table[(table["metric"] == "cpm") & table["arm"].isin(list(arms))]
        grouped = 100 * own.astype({"arm": str}).groupby("arm")["value"].agg(["mean", "std"])
        parts[kind] = grouped.reindex(list(arms)).rename(columns={"std": "sd of draws"})
    wide = pd.concat(parts, axis=1)
    return wide.rename(index=dict(arms)).rename_axis("arm")


def losses_left(paper: Paper, runs: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Tell whether every training came down: what is left of the score loss, in percent.

    Args:
        paper: supplies the arms' labels.
        runs: records by run.

    Returns:
        A row for each run: ``trainings``, those that ``came down``, the ``median`` that is left of
        the loss, the ``most`` that an arm has left on average, and the ``arm with most``.
    """
    rows = {}
    for kind, table in runs.items():
        own = table[table["metric"] == "loss_left"].astype({"arm": str})
        by_arm = own.groupby("arm")["value"].mean()
        rows[kind] = {
            "trainings": len(own),
            "came down": int((own["value"] < 1).sum()),
            "median": 100 * own["value"].median(),
            "most": 100 * by_arm.max(),
            "arm with most": paper.arm(str(by_arm.idxmax())).label,
        }
    return pd.DataFrame(rows).T.rename_axis("run")


def factorial(records: pd.DataFrame) -> pd.DataFrame:
    """Arrange the mean CPM of losses and MixUps, in percent; what was not trained is missing."""
    level = records[records["metric"] == "cpm"].astype({"arm": str}).groupby("arm")["value"].mean()
    rows = {
        loss: {
            mix: np.nan if arm is None else 100 * level[arm]
            for mix, arm in zip(MIXES, arms, strict=True)
        }
        for loss, arms in FACTORIAL.items()
    }
    return pd.DataFrame(rows).T.rename_axis("loss")


def differences(
    paper: Paper, runs: Mapping[str, pd.DataFrame], *, rng: np.random.Generator
) -> pd.DataFrame:
    """Compare each ablation with FocalMix at 25 annotated scans, for a forest plot.

    Args:
        paper: supplies labels.
        runs: records by run.
        rng: is handed to the test.

    Returns:
        ``row, kind, effect, low, high`` in points of the share of rates at which nodules are
        found, ablation minus FocalMix; scans and draws vary.
    """
    test, rows = procedure("crossed_t"), []
    assert test.estimate is not None
    for kind, table in runs.items():
        for arm in ABLATIONS:
            pair = design.pair(table, metric="found_share", arms=(arm, "focalmix-25"))
            one = design.sample(pair, {arm: 1.0, "focalmix-25": -1.0})
            found = test.estimate(one, rng)
            interval = found.interval(0.95)
            label = paper.arm(arm).label.replace(", 25", "")
            rows.append(
                {
                    "row": label,
                    "kind": kind,
                    "effect": 100 * found.effect,
                    "low": 100 * interval.low,
                    "high": 100 * interval.high,
                }
            )
    return pd.DataFrame(rows)


def detectable(scans: Sequence[int], draws: Sequence[int]) -> pd.DataFrame:
    """Compute the smallest difference that a design finds with 80 % power, in points.

    Args:
        scans: numbers of test scans, a row each.
        draws: numbers of draws, at least 2, a column each.

    Source:
        :func:`common.statistics.power.crossed_t` with :data:`SPREADS`.
    """
    table = {
        f"{k} draws": [
            100 * power.crossed_t(n_clusters=round(WITH_NODULE * n), n_seeds=k, **SPREADS)
            for n in scans
        ]
        for k in draws
    }
    return pd.DataFrame(table, index=pd.Index(scans, name="test scans"))


def dial(runs: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Average the CPM at each stand of the dial with and without unlabelled scans, in percent."""
    parts = {}
    for kind, table in runs.items():
        own = table[table["arm"].isin(["dial-supervised", "dial-focalmix"])]
        own = own.astype({"arm": str, "group": str})
        means = 100 * own.groupby(["group", "arm"])["value"].mean().unstack()
        means = means.rename(columns={"dial-supervised": "supervised", "dial-focalmix": "FocalMix"})
        means["gain"] = means["FocalMix"] - means["supervised"]
        parts[kind] = means[["supervised", "FocalMix", "gain"]]
    return pd.concat(parts, axis=1).rename_axis("dial")


def checks(items: Iterable[Check]) -> pd.DataFrame:
    """Arrange audit checks for a page: what was asked, what came of it, and why."""
    rows = []
    for item in items:
        value = item.recomputed
        parts = {
            "printed": item.printed,
            "recomputed": f"{value:.5g}" if isinstance(value, float) else value,
        }
        texts = [f"{word}: {text}" for word, text in parts.items() if text is not None]
        rows.append(
            {
                "check": item.id,
                "statement": item.statement,
                "status": item.status,
                "finding": "; ".join([*texts, *filter(None, [item.note])]) or "–",
            }
        )
    return pd.DataFrame(rows, columns=["check", "statement", "status", "finding"])


def worth(paper: Paper) -> pd.DataFrame:
    """Say how many annotated scans the supervised curve of Table 1 needs for FocalMix's CPM.

    Returns:
        One row a budget: ``CPM``, ``annotated scans for it`` and their ratio; the curve is drawn
        through 25, 50, 100 and the 533 scans of Table 2, linear in log scans.
    """
    printed = audit.recalls(paper)["CPM"]
    curve = {budget: float(printed[budget, 0]) for budget in audit.BUDGETS}
    curve[audit.TRAINING] = audit.full_label_cpm(paper)
    rows = {}
    for budget in audit.BUDGETS:
        level = float(printed[budget, audit.UNLABELLED])
        needed = audit.BUDGETS[0] * 2 ** measures.doublings(curve, level)
        rows[budget] = {"CPM": level, "annotated scans for it": needed, "times": needed / budget}
    return pd.DataFrame(rows).T.rename_axis("annotated scans")
