"""The audit of the HEp-2 report: its printed numbers against each other and against its files."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from common.chapters.hep2.study import fold_values
from common.datasets.hep2_author_results import CONFIGURATIONS, FOLDS, Results
from common.papers import Paper
from common.statistics.audit import Check, Status, multiple_deviation, rounding
from common.statistics.proportions import mcnemar_clustered

DECIMALS = 3
PATCH_PIXELS = 384 * 384
FOLD_TABLES = ("table4", "table6", "table8", "table10", "table12", "table14")


def printed(paper: Paper) -> pd.DataFrame:
    """Return Figs. 4 to 14 in one table.

    Returns:
        ``figure, config, fold, metric, printed``; fold is A to E or ``Mean``.
    """
    parts = [
        paper.table(table).assign(figure=f"Fig. {table[5:]}", config=configuration.id)
        for table, configuration in zip(FOLD_TABLES, CONFIGURATIONS, strict=True)
    ]
    whole = pd.concat(parts, ignore_index=True).rename(columns={"value": "printed"})
    whole["fold"] = whole["column"].str.removeprefix("FOLD ")
    return whole[["figure", "config", "fold", "metric", "printed"]]


def compare(paper: Paper, results: Results) -> pd.DataFrame:
    """Set every printed number of Figs. 4 to 14 beside what the released predictions give.

    Returns:
        The columns of :func:`printed`, ``true``, ``match`` (``rounded``, ``truncated`` or
        ``neither``) and ``origin``: whose true value a number is that is not its own.
    """
    table = printed(paper).merge(fold_values(results), on=["config", "fold", "metric"])
    table = table.rename(columns={"value": "true"})
    table["match"] = [
        rounding(p, t, DECIMALS) for p, t in zip(table["printed"], table["true"], strict=True)
    ]
    folds = table[table["fold"] != "Mean"]
    table["origin"] = [
        "" if row["match"] != "neither" or row["fold"] == "Mean" else _origin(row, folds)
        for row in table.to_dict("records")
    ]
    return table


def _origin(row: dict[Any, Any], folds: pd.DataFrame) -> str:
    """Name the cells of the same metric whose true value would print as this number."""
    others = folds[folds["metric"] == row["metric"]]
    same = [
        f"{other['config']} fold {other['fold']}"
        for other in others.to_dict("records")
        if rounding(row["printed"], other["true"], DECIMALS) != "neither"
    ]
    more = f" and {len(same) - 2} more" if len(same) > 2 else ""
    return ", ".join(same[:2]) + more or "no cell"


def printed_alone(paper: Paper) -> list[Check]:
    """Check the printed numbers against each other."""
    return [*_counts(paper), *_means(paper), *_summary_figure(paper), *_claims(paper)]


def _counts(paper: Paper) -> Iterator[Check]:
    prose = paper.table("prose").set_index(["row", "column"])["value"]
    total = prose["all", "patches"]
    for number, names in enumerate(
        (
            ("homogeneous", "speckled", "nucleolar", "centromere", "golgi", "numem", "mitsp"),
            ("intermediate", "positive"),
        ),
        start=1,
    ):
        summed = sum(prose[name, "patches"] for name in names)
        yield _check(
            f"P{number}",
            f"the counts of {len(names)} classes sum to the number of patches",
            summed == total,
            f"{total:.0f}",
            f"{summed:.0f}",
        )
    product = np.prod([prose["all", name] for name in _NESTING])
    statement = "patients x specimens x patches is the number of patches"
    yield _check("P3", statement, product == total, f"{total:.0f}", f"{product:.0f}")
    per_patient = prose["all", "specimens per patient"] * prose["all", "patches per specimen"]
    counts = prose.xs("patches", level="column").drop("all")
    yield _check(
        "P4",
        "every class count is a whole number of patients",
        bool((counts % per_patient == 0).all()),
        "",
        f"multiples of {per_patient:.0f}",
    )


_NESTING = ("patients", "specimens per patient", "patches per specimen")


def _means(paper: Paper) -> Iterator[Check]:
    """A printed mean must lie where the means of numbers that print like its folds can lie."""
    unit = 10.0**-DECIMALS
    for (figure, config), table in printed(paper).groupby(["figure", "config"], sort=False):
        wrong = []
        for metric, part in table.groupby("metric", sort=False):
            mean = part.set_index("fold")["printed"]
            folds = mean.drop("Mean")
            # A fold may have been rounded or truncated, and so may the mean.
            low, high = folds.mean() - unit / 2, folds.mean() + unit
            if not low - unit / 2 <= mean["Mean"] + unit / 2 <= high + unit:
                wrong.append(f"{metric}: {mean['Mean']:.3f}, folds give {folds.mean():.4f}")
        yield _check(
            f"P5 {figure}",
            f"the printed means of {config} are means of its printed folds",
            not wrong,
            "; ".join(wrong),
            "",
        )


def _summary_figure(paper: Paper) -> Iterator[Check]:
    table = printed(paper)
    means = table[table["fold"] == "Mean"].set_index(["config", "metric"])["printed"]
    repeated = paper.table("table16")
    differing = []
    for row in repeated.to_dict("records"):
        loss, epochs, _, _, alpha = row["row"].split()
        config = f"{loss.lower()}-{epochs}-{alpha}"
        if means[config, row["metric"]] != row["value"]:
            differing.append(f"{config} {row['metric']}")
    yield _check(
        "P6", "Fig. 16 repeats the means of Figs. 4 to 14", not differing, "; ".join(differing), ""
    )
    folds = table[table["fold"] != "Mean"]
    columns = folds.pivot(index=["figure", "fold"], columns="metric", values="printed")
    twins = columns[columns.duplicated(keep=False)]
    names = [f"{figure} fold {fold}" for figure, fold in twins.index]
    yield _check(
        "P7",
        "no two columns of fold results are the same in all three accuracies",
        not names,
        " = ".join(names),
        "",
        note="two trainings do not agree to three digits three times over by chance",
    )


def _claims(paper: Paper) -> Iterator[Check]:
    means = paper.table("table16").set_index(["row", "metric"])["value"]
    stated = paper.table("prose").set_index("column")["value"]
    for number, metric in ((8, "Label accuracy"), (9, "Intensity accuracy")):
        base = means["BCE 30 ep alpha 0.06", metric]
        gains = [
            means[row, metric] - base for row in ("BCE 35 ep alpha 0.06", "BCE 30 ep alpha 0.12")
        ]
        points = ", ".join(f"{100 * gain:.1f}" for gain in gains)
        relative = ", ".join(f"{100 * gain / base:.1f}" for gain in gains)
        yield _check(
            f"P{number}",
            f"BCE gains the stated share in {metric.lower()}",
            None,
            f"{stated['earlier text']:g} % in one version, {stated['final text']:g} % in the other",
            f"{points} points; {relative} % of the base",
            note="the report does not say whether it means points or percent",
        )
    fourth = paper.table("table10")["note"].iloc[0]
    yield _check(
        "P10",
        "the fourth training has one alpha in heading and summary",
        "0.12" not in fourth,
        "heading 0.12, Fig. 16 0.06",
        "",
    )
    single = [arm.id for arm in paper.arms if arm.id.startswith("single")]
    compared = [arm for arm in single if "published" in paper.arm(arm).sources]
    yield _check(
        "P11",
        "the benefit of multi-task learning is measured against single tasks",
        bool(compared),
        "no single-task result",
        "",
    )


def released(paper: Paper, results: Results) -> list[Check]:
    """Check the printed numbers against the released files, and the files against each other."""
    table = compare(paper, results)
    return [*_cells(table), *_files(results), *_pixels(results), *_decisions(results)]


def _cells(table: pd.DataFrame) -> Iterator[Check]:
    wrong = table[table["match"] == "neither"]
    for number, row in enumerate(wrong.to_dict("records"), start=1):
        origin = row["origin"]
        cause = f"equals the true value of {origin}" if origin else _mean_cause(row, table)
        yield _check(
            f"R1.{number}",
            f"{row['figure']} {row['config']}, {row['metric'].lower()}, {row['fold']}",
            False,
            f"{row['printed']:.3f}",
            f"{row['true']:.5f}",
            note=cause,
        )
    count = table["match"].value_counts()
    yield _check(
        "R2",
        "one rule of rounding is used throughout",
        count.get("truncated", 0) == 0,
        "",
        f"{count.get('rounded', 0)} rounded, {count.get('truncated', 0)} cut off, "
        f"{count.get('neither', 0)} neither, of {len(table)}",
    )


def _mean_cause(row: dict[Any, Any], table: pd.DataFrame) -> str:
    """Say whether a wrong mean is at least the mean of the printed row."""
    same = (table["config"] == row["config"]) & (table["metric"] == row["metric"])
    folds = table[same & (table["fold"] != "Mean")]["printed"].mean()
    if rounding(row["printed"], folds, DECIMALS) != "neither":
        return f"is the mean of the printed folds, {folds:.4f}"
    return f"is not the mean of the printed folds either, {folds:.4f}"


def _files(results: Results) -> Iterator[Check]:
    agree = 0
    groups = results.patches.groupby(["config", "fold"], observed=True)
    for key, part in groups:
        config, fold = key
        for endpoint in ("label", "intensity"):
            matrix = results.confusion[str(config), str(fold), endpoint]
            counted = np.zeros_like(matrix)
            codes = part[f"{endpoint}_true"].to_numpy(), part[f"{endpoint}_predicted"].to_numpy()
            np.add.at(counted, codes, 1)
            agree += int((counted == matrix).all())
    yield _check(
        "R3",
        "confusion matrices equal the cross-tabulated predictions",
        agree == len(results.confusion),
        f"{len(results.confusion)}",
        f"{agree}",
    )
    gap = _largest_gap(results)
    yield _check(
        "R4", "test reports equal the predictions", gap < 1e-6, "", f"largest gap {gap:.1e}"
    )
    sizes = results.patients.groupby("fold", observed=True).size()
    partial = [fold for fold in FOLDS if (len(results.patients) - sizes[fold]) * 60 % 8]
    yield _check(
        "R5",
        "training curves divide by the number of batches that were run",
        not partial,
        "",
        f"folds {', '.join(partial)} leave a last batch of 4, counted but not divided by",
        note="losses and mask accuracy of these folds are drawn 1508/1507 too high",
    )


def _largest_gap(results: Results) -> float:
    """Compare the means that the test reports state with those of the predictions."""
    table = results.patches
    found = {
        "label_accuracy": table["label_true"] == table["label_predicted"],
        "intensity_accuracy": table["intensity_true"] == table["intensity_predicted"],
        "pixel_accuracy_mean": table["pixel_accuracy"],
    }
    stated = results.reports.set_index(["config", "fold"])
    keys = [table["config"], table["fold"]]
    return max(
        float((values.groupby(keys, observed=True).mean() - stated[name]).abs().max())
        for name, values in found.items()
    )


def _pixels(results: Results) -> Iterator[Check]:
    scores = results.patches["pixel_accuracy"].dropna().to_numpy()
    worst = multiple_deviation(scores, PATCH_PIXELS)
    yield _check(
        "R6",
        "the stored 'Dice' is an overlap of masks",
        worst > 0.01,
        "Dice",
        f"all {len(scores):,} values are multiples of 1/384² (within {worst:.3f} of a pixel)",
        note="a share of pixels: the number of right pixels over all pixels",
    )
    table = results.patches.dropna(subset="pixel_accuracy")
    scores_of = table.pivot(index=["patient", "patch"], columns="config", values="pixel_accuracy")
    wrong = (scores_of < 0.5).all(axis=1).groupby("patient", observed=True).sum()
    patient = str(wrong.idxmax())
    yield _check(
        "R7",
        "no reference mask is plainly wrong",
        int(wrong.max()) == 0,
        "",
        f"patient {patient}: {wrong.max()} patches below 0.5 in all {scores_of.shape[1]} networks",
        note="networks that agree against the reference in one region speak against the reference",
    )


def _decisions(results: Results) -> Iterator[Check]:
    table = results.patches
    scores = []
    for _, part in table.groupby("config", observed=True):
        truth, called = part["intensity_true"] == 1, part["intensity_predicted"] == 1
        scores.append(mcnemar_clustered(called, truth, part["patient"]).statistic)
    yield _check(
        "R8",
        "the threshold on the raw logit leaves the share of positive calls unbiased",
        bool(max(np.abs(scores)) < 1.96),
        "logit above 0.5, a probability above 0.622",
        f"z of missed less false positives, by patient: {min(scores):.1f} to {max(scores):.1f}",
    )


def _check(
    id: str, statement: str, status: bool | None, printed: str, recomputed: str, note: str = ""
) -> Check:
    """Make a check; a status of None is one that the numbers cannot decide."""
    word: Status = "undecidable" if status is None else "pass" if status else "fail"
    return Check(id, statement, word, printed, recomputed, note)
