"""Tables and curves of the HEp-2 page, made of records and printed numbers."""

import itertools
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from common import comparison, figures
from common.chapters.hep2.audit import compare
from common.chapters.hep2.experiment import MECHANISM
from common.chapters.hep2.study import Study
from common.datasets.hep2_author_results import CONFIGS, Endpoint, Results
from common.papers import Paper
from common.plotstyle import INK, canvas, style
from common.runs.archives import Archive
from common.statistics import power
from common.statistics.audit import Check
from common.statistics.dependence import design_effect, icc
from common.statistics.published import congruence_range, probability_false_ordering
from common.statistics.ranking import block_anova, friedman, nemenyi_critical_difference

PATCHES_PER_PATIENT = 60


REPLICATED = {
    "Label accuracy": "label_correct",
    "Intensity accuracy": "intensity_correct",
    "Mask accuracy": "pixel_accuracy",
}


def published_and_replicated(
    paper: Paper, records: pd.DataFrame, archive: Archive | None, *, rng: np.random.Generator
) -> pd.DataFrame:
    """Set the published means beside those on the phantom.

    Args:
        paper: supplies the printed numbers and the arms' labels.
        records: of this run.
        archive: of the standard run, or None.
        rng: resamples patients for the intervals.

    Returns:
        ``metric, row, kind, value, low, high`` in percent; intervals where there are patients.
    """
    runs = {"this run": records}
    if archive is not None:
        runs[f"{archive.profile} run"] = archive.records
    cells = _cells(paper)
    labels = {cell: paper.arm(arm).label for arm, cell in cells.items()}
    table16 = paper.table("table16").drop(columns="column").rename(columns={"metric": "column"})
    printed = comparison.published(
        table16, rows=list(labels), metrics=list(REPLICATED), scale=100
    ).replace({"row": labels})
    measured = [
        comparison.replicated(
            table,
            kind=kind,
            arms={arm: labels[cell] for arm, cell in cells.items()},
            metrics={own: metric for metric, own in REPLICATED.items()},
            rng=rng,
            scale=100,
            source="phantom",
        )
        for kind, table in runs.items()
    ]
    return pd.concat([printed, *measured], ignore_index=True)


def _cells(paper: Paper) -> dict[str, str]:
    """Return the row of Fig. 16 that belongs to each configuration."""
    published = paper.claim("C4a").on("published").published
    assert published is not None  # declared so in paper.yml
    return {arm: published.cells[arm].row for arm in CONFIGS}


def side_by_side(numbers: pd.DataFrame) -> pd.DataFrame:
    """Turn the rows of :func:`published_and_replicated` into one row per metric and arm."""
    return comparison.wide(numbers)


def dial(records: pd.DataFrame, archive: Archive | None) -> pd.DataFrame:
    """Average the accuracy with and without the mask task at each stand of the dial, in percent."""
    runs = {"this run": records}
    if archive is not None:
        runs[f"{archive.profile} run"] = archive.records
    parts = {}
    for kind, table in runs.items():
        mine = table[table["arm"].isin(MECHANISM)].astype({"arm": str, "group": str})
        parts[kind] = 100 * mine.groupby(["group", "arm"])["value"].mean().unstack()
    return pd.concat(parts, axis=1)


def checks(items: Iterable[Check | dict[str, Any]]) -> pd.DataFrame:
    """Arrange audit checks for a page: what was asked, what came of it, and why."""
    rows = []
    for item in items:
        check = item if isinstance(item, dict) else asdict(item)
        finding = "; ".join(
            text
            for text in (
                f"printed: {check['printed']}" if check["printed"] else "",
                f"recomputed: {check['recomputed']}" if check["recomputed"] else "",
                check["note"],
            )
            if text
        )
        rows.append(
            {
                "check": check["id"],
                "statement": check["statement"],
                "status": check["status"],
                "finding": finding or "–",
            }
        )
    return pd.DataFrame(rows, columns=["check", "statement", "status", "finding"])


def learning_figure(results: Results | None, history: pd.DataFrame, paper: Paper) -> Figure:
    """Draw how pattern accuracy rises in training, and where it stands on new patients.

    Args:
        results: the release; its training accuracies and test accuracies are drawn.
        history: of this run, whose pattern losses are drawn where there is no release.
        paper: supplies the labels.
    """
    if results is None:
        mine = history[history["metric"] == "label_loss"]
        return figures.curves(
            mine[mine["training"].isin(["dice-0.06", "bce-0.06", "dice-30-0.12", "bce-30-0.12"])],
            x="epoch",
            y="value",
            arm="training",
            label_x="epoch",
            label_y="loss of the pattern task",
        )
    curve = results.training.astype({"config": str})
    curve = curve[curve["metric"] == "label_accuracy"].assign(value=lambda t: 100 * t["value"])
    tested = results.reports.astype({"config": str}).set_index("config")["label_accuracy"]
    with style():
        figure, grid = canvas(420, rows=2, columns=3, sharex=True, sharey=True)
        for axes, config in zip(grid.T.ravel(), CONFIGS, strict=True):
            by_epoch = curve[curve["config"] == config].groupby("epoch")["value"]
            band = by_epoch.agg(["mean", "min", "max"])
            axes.fill_between(band.index, band["min"], band["max"], alpha=0.25, lw=0)
            axes.plot(band.index, band["mean"], marker="", label="training patches")
            new = 100 * tested[[config]].to_numpy()
            place = np.full(len(new), band.index.max())
            axes.plot(place, new, "o", mfc="white", color=INK, ms=5, label="test folds")
            axes.set_title(paper.arm(config).label)
            axes.grid(axis="y")
        grid[1, 1].set_xlabel("epoch")
        grid[0, 0].set_ylabel("pattern accuracy (%)")
        grid[1, 0].set_ylabel("pattern accuracy (%)")
        grid[0, 0].legend(loc="lower right")
    return figure


def slope_rows(paper: Paper, results: Results) -> pd.DataFrame:
    """Join each printed mean of pattern accuracy to the recomputed one, in percent."""
    table = compare(paper, results)
    means = table[(table["fold"] == "Mean") & (table["metric"] == "Label accuracy")]
    return pd.DataFrame(
        {
            "row": [paper.arm(config).label for config in means["config"]],
            "left": 100 * means["printed"].to_numpy(),
            "right": 100 * means["true"].to_numpy(),
        }
    )


def calibration(paper: Paper, simulated: pd.DataFrame) -> pd.DataFrame:
    """Average the simulated studies: one row per test and question, in percent."""
    nominal = {"rejected": 5.0, "covered": 95.0, "detected": 80.0}
    rate = simulated.groupby(["metric", "arm"], sort=False)["value"].mean().reset_index()
    return pd.DataFrame(
        [
            {
                "question": paper.metric(row["metric"]).label,
                "test": paper.arm(row["arm"]).label,
                "rate (%)": 100 * row["value"],
                "should be (%)": nominal[row["metric"]],
            }
            for row in rate.to_dict("records")
        ]
    )


def joint(study: Study, endpoint: Endpoint) -> "pd.Series[Any]":
    """Test six configurations at once, folds as blocks."""
    blocks = study.by_fold(endpoint)
    ranks, anova = friedman(blocks), block_anova(blocks)
    k = len(blocks)
    pairs = itertools.combinations(range(blocks.shape[1]), 2)
    spread = float(np.mean([np.std(blocks[:, a] - blocks[:, b], ddof=1) for a, b in pairs]))
    found = power.corrected_t(spread, n_folds=k, test_train_ratio=1 / (k - 1))
    return pd.Series(
        {
            "Friedman, p": ranks.p,
            "Iman-Davenport, p": ranks.p_f,
            "randomised blocks, F": anova.f,
            "randomised blocks, p": anova.p,
            "scatter left (points)": 100 * anova.residual_sd,
            "spread of fold differences (points)": 100 * spread,
            "corrected t finds with 80 % power (points)": 100 * found,
            "largest gap in mean rank": float(np.ptp(ranks.ranks)),
            "Nemenyi critical difference": nemenyi_critical_difference(*blocks.shape[::-1]),
        }
    )


def _correlation(values: NDArray[np.float64]) -> float:
    """Intraclass correlation of an array (patients, patches)."""
    return icc(values.ravel(), np.repeat(np.arange(len(values)), values.shape[1]))


def measured_design_effect(study: Study) -> float:
    """Return the design effect of pattern correctness, averaged over the configurations."""
    each = study.outcome["label"].reshape(len(study.arms), len(study.fold), -1)
    return float(np.mean([design_effect(_correlation(v), v.shape[1]) for v in each]))


def clustering(study: Study, endpoint: Endpoint) -> "pd.Series[Any]":
    """Measure how alike the patches of one patient are, under the first configuration."""
    values = study.outcome[endpoint][0].reshape(len(study.fold), -1)
    correlation = _correlation(values)
    effect = design_effect(correlation, values.shape[1])
    votes = study.vote[endpoint]
    return pd.Series(
        {
            "intraclass correlation": f"{correlation:.2f}",
            "design effect": f"{effect:.0f}",
            "patches": f"{values.size:,}",
            "worth independent patches": f"{values.size / effect:.0f}",
            "patients wrong under all six": f"{(~votes).all(axis=0).sum()}",
            "patients right under all six": f"{votes.all(axis=0).sum()}",
        }
    )


def congruence(paper: Paper, study: Study) -> dict[str, Any]:
    """Compute the probability that the printed ordering of claim C4b is false.

    Returns:
        Arguments of ``common.figures.congruence_curve``: the share of patches that both
        configurations get right, the probability for independent patches and for the measured
        design effect, and the share measured in the study.
    """
    claim = paper.claim("C4b")
    published = claim.on("published").published
    assert published is not None  # declared so in paper.yml
    assert published.n is not None
    numbers = paper.published(published)
    first, second = (numbers[arm] for arm in claim.arms)
    bounds = congruence_range(first, second)
    share = np.linspace(bounds.independent, bounds.high, 60)
    places = [study.arms.index(arm) for arm in claim.arms]
    both = study.outcome["label"][places].prod(axis=0)
    inflation = measured_design_effect(study)
    curves = {
        "patches independent": 1.0,
        f"patients respected (design effect {inflation:.0f})": inflation,
    }
    return {
        "congruence": share,
        "probability": {
            name: probability_false_ordering(
                first, second, published.n, congruence=share, inflation=each
            )
            for name, each in curves.items()
        },
        "measured": float(both.mean()),
    }
