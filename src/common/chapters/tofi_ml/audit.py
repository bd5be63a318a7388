"""The audit of ToFi-ML: its printed numbers against each other, from the transcribed tables."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
from statsmodels.stats.proportion import proportions_ztest

from common.chapters.tofi_ml import toy
from common.chapters.tofi_ml.experiment import one_split
from common.chapters.tofi_ml.printed import (
    N_QUOTED,
    N_TEST,
    amd_areas,
    amd_cells,
    balanced_sizes,
    cells_of,
    confusion,
    hanley_mcneil,
    macro,
    value,
    wording,
)
from common.papers import Paper
from common.statistics import proportions, rate_counts, rates
from common.statistics.audit import Check, Status
from common.statistics.digits import Printed


def printed_alone(paper: Paper) -> list[Check]:
    """Check the printed numbers against each other."""
    parts = (_counts, _degeneration, _table2, _selection, _retinopathy, _glaucoma, _toy)
    return [check for part in parts for check in part(paper)]


@cache
def _counted(low: int, high: int) -> float:
    """P of an exact McNemar test on the fewest pairs that can differ."""
    return proportions.mcnemar(
        np.repeat([1, 0], [high, low]), np.repeat([0, 1], [high, low]), method="exact"
    ).p


def _counts(paper: Paper) -> Iterator[Check]:
    table: Any = paper.table("table1").pivot_table("value", "row", "column", sort=False)
    wrong = table.index[table["Normal"] + table["Abnormal"] != table["Total"]].tolist()
    yield _check("A1", "normal and abnormal images sum to the total in Table 1", not wrong, wrong)
    prose: Any = paper.table("prose").set_index(["row", "column"])["value"]
    sizes = [
        prose["image sizes", f"IChallenge-AMD {side}x{other}"]
        for side, other in ((2124, 2056), (1444, 1444))
    ]
    total = float(paper.table("table2").query("row == 'CycleGAN [59]'")["n"].iloc[0])
    yield _check(
        "A2",
        "the two image sizes of IChallenge-AMD sum to its images",
        sum(sizes) == total,
        f"{total:.0f}",
        f"{sum(sizes):.0f}",
    )
    features = 4 * 2 * prose["thresholds", "all"]
    yield _check(
        "A3",
        "four channels, two dimensions and N thresholds give the stated features",
        features == prose["features", "all"],
        f"{prose['features', 'all']:.0f}",
        f"{features:.0f}",
        "the text also places each image in a space of 100 dimensions",
    )
    hours = prose["runtime", "APTOS end to end"]
    per_image = 3600 * hours / table["Total"]["APTOS 2019"]
    yield _check(
        "A4",
        "the stated run time is computationally very efficient",
        None,
        f"{hours:g} h for APTOS",
        f"{per_image:.0f} s an image",
    )


def _degeneration(paper: Paper) -> Iterator[Check]:
    for number, row in ((5, "ToFi-ML"), (6, "ToFi-ML SMOTE")):
        found = confusion(paper, "table2", row, N_TEST["AMD"], 2)
        yield _check(
            f"A{number}",
            f"one confusion matrix on 80 images gives all rates of {row}, F1 too",
            len(found) == 1,
            None,
            wording(found),
        )
    areas = amd_areas(paper)
    splits = rates.auc_splits(areas, n=N_TEST["AMD"], positives=range(13, 21))
    yield _check(
        "A7",
        "the printed AUCs are counts of pairs on 80 images with one number of positives",
        splits["positives"].tolist() == [14],
        f"{len(areas)} AUCs",
        f"positives {splits['positives'].tolist()}, pairs {14 * 66}",
        "the whole result rests on 14 images with AMD",
    )
    label = np.repeat([0, 1], [311, 89])
    drawn = int(label[one_split(label)].sum())
    yield _check(
        "A8",
        "the released split (seed 0, not stratified) gives that number",
        drawn == 14,
        "14",
        f"{drawn}",
        f"a stratified split would give {N_TEST['AMD'] * 89 / 400:.1f}",
    )
    yield from _smote(paper)


def _smote(paper: Paper) -> Iterator[Check]:
    plain, smote = (amd_cells(paper, row) for row in ("ToFi-ML", "ToFi-ML SMOTE"))
    right = smote.right
    bound = proportions.proportion_interval(right, 80)
    other = value(paper, "table2", "DCNN [11]", "Accuracy") / 100
    yield _check(
        "A9",
        "the accuracy with SMOTE is above the best quoted one beyond sampling error",
        bound.low > other,
        f"{100 * right / 80:.2f} against {100 * other:.2f} %",
        f"95 % interval {100 * bound.low:.1f} to {100 * bound.high:.1f} %",
    )
    found = proportions.proportion_interval(smote.tp, smote.tp + smote.fn)
    area = value(paper, "table2", "ToFi-ML SMOTE", "AUC") / 100
    se = hanley_mcneil(area, 14, 66)
    yield _check(
        "A10",
        "recall and AUC with SMOTE are known to a few points",
        found.high - found.low < 0.1 and 1.96 * se < 0.05,
        f"recall {100 * smote.tp / 14:.2f}, AUC {100 * area:.2f} %",
        f"recall {100 * found.low:.1f} to {100 * found.high:.1f} %, "
        f"AUC {100 * (area - 1.96 * se):.0f} to {min(100.0, 100 * (area + 1.96 * se)):.0f} %",
        f"standard error of the AUC {100 * se:.1f} points",
    )
    p = _counted(smote.fp - plain.fp, smote.tp - plain.tp)
    yield _check(
        "A11",
        "SMOTE changes the answers beyond chance",
        p < 0.05,
        f"{smote.right - plain.right} more images right",
        f"McNemar, exact: p at least {p:.3f}",
        "the fewest answers that can differ: "
        f"{smote.tp - plain.tp} gained, {smote.fp - plain.fp} lost",
    )
    share = (plain.fp + plain.tn) / 80
    yield _check(
        "A12",
        "accuracy says more than naming every eye normal",
        plain.right > plain.fp + plain.tn,
        f"{100 * plain.right / 80:.2f} %",
        f"all normal: {100 * share:.2f} % of these test images, {100 * 311 / 400:.2f} % of all",
    )


def _table2(paper: Paper) -> Iterator[Check]:
    wide: Any = paper.table("table2").pivot_table("value", "row", "metric", sort=False)
    with_smote = wide.drop(index="ToFi-ML")
    beaten = [
        f"{metric} {with_smote.loc[row, metric]:.2f} ({row})"
        for metric, row in with_smote.idxmax().items()
        if row != "ToFi-ML SMOTE"
    ]
    yield _check(
        "A13",
        "with SMOTE the model is the best quoted one in every column of Table 2",
        not beaten,
        None,
        "better: " + ", ".join(beaten),
    )
    self_supervised = wide.iloc[:5]
    same = self_supervised.index[self_supervised["Recall"] == self_supervised["AUC"]]
    other = self_supervised.index.difference(same)
    yield _check(
        "A14",
        "recall and AUC of the quoted rows are those of the paper's own rows",
        len(same) == 0,
        f"recall equals AUC in {len(same)} of 5 self-supervised rows, not in {', '.join(other)}",
        None,
        "an AUC of hard labels equals the recall averaged over both classes",
    )
    averaged = {row: macro(paper, row) for row in ("ToFi-ML", "ToFi-ML SMOTE")}
    yield _check(
        "A15",
        "precision, recall and F1 of the paper's rows are averaged like the quoted ones",
        all(f"R {wide.loc[row, 'Recall']:.2f}" in text for row, text in averaged.items()),
        "of the diseased class",
        "; ".join(f"{row}, over both classes: {text}" for row, text in averaged.items()),
    )
    harmonic = 2 / (1 / wide["Precision"] + 1 / wide["Recall"])
    off = (wide["F1"] - harmonic).loc[lambda gap: gap.abs() > 0.02]
    far = off[[row for row in off.index if row not in self_supervised.index]]
    yield _check(
        "A16",
        "F1 is the harmonic mean of precision and recall",
        off.empty,
        None,
        ", ".join(f"{row} {gap:+.2f}" for row, gap in off.items()),
        f"means over folds or classes can differ; {far.idxmin()} by {-far.min():.1f} points",
    )


def _selection(paper: Paper) -> Iterator[Check]:
    for number, column, n in ((17, "IC-AMD", N_TEST["AMD"]), (18, "APTOS", N_TEST["APTOS"])):
        before, after = (
            round(value(paper, "table6", row, "Accuracy", column) / 100 * n)
            for row in ("RGB+Gray (Betti-0, 1)", "Feature Selection")
        )
        p = _counted(0, after - before)
        yield _check(
            f"A{number}",
            f"selection raises accuracy on {column} beyond chance",
            p < 0.05,
            f"{before} to {after} of {n} right",
            f"McNemar, exact: p at least {p:.3g}",
        )
    falls = [
        f"{column} {pair[0]:.2f} to {pair[1]:.2f}"
        for column in ("APTOS", "IC-AMD")
        if (
            pair := [
                value(paper, "table6", row, "AUC", column)
                for row in ("RGB+Gray (Betti-0, 1)", "Feature Selection")
            ]
        )[1]
        < pair[0]
    ]
    yield _check(
        "A19", "selection improves performance in AUC too", not falls, None, "; ".join(falls)
    )


def _retinopathy(paper: Paper) -> Iterator[Check]:
    table = paper.table("table6").query("column == 'APTOS' and metric == 'Accuracy'")
    shares = [Printed(round(each / 100, 4), 4) for each in sorted(set(table["value"]))]
    found = rate_counts.check_denominator(
        "A20", "accuracies on APTOS are counts out of 733", rates=shares, n=N_TEST["APTOS"]
    )
    yield found
    right = round(value(paper, "table6", "Feature Selection", "Accuracy", "APTOS") / 100 * 733)
    options = cells_of(confusion(paper, "table3", "ToFi-ML", 733, 1))
    options = [each for each in options if each.right == right]
    spans = {
        "FP": [each.fp for each in options],
        "FN": [each.fn for each in options],
        "diseased": [each.tp + each.fn for each in options],
    }
    ranges = ", ".join(f"{name} {min(each)} to {max(each)}" for name, each in spans.items() if each)
    yield _check(
        "A21",
        "precision, recall and accuracy of Table 3 fit 733 images",
        bool(options),
        f"{733 - right} errors",
        ranges,
        f"a stratified split would hold {733 * 1857 / 3662:.1f} diseased images",
    )
    best = round(value(paper, "table3", "SCL [30]", "Accuracy") / 100 * N_QUOTED)
    z, p = proportions_ztest([right, best], [733, N_QUOTED])
    yield _check(
        "A22",
        "the accuracy is close to that of the latest deep model",
        p >= 0.05,
        f"{100 * right / 733:.1f} against {100 * best / N_QUOTED:.1f} %",
        f"z {z:.1f}, p {p:.4f}; {(1 - right / 733) / (1 - best / N_QUOTED):.1f} times the errors",
        "two proportions of different test images, 733 and 549",
    )
    yield from _grades(paper)


def _grades(paper: Paper) -> Iterator[Check]:
    wide: Any = paper.table("table5").pivot_table("value", "row", "metric", sort=False)
    right = wide.loc["ToFi-ML", "Accuracy"] / 100 * 733
    averaged = wide.index[(wide["Recall"] - wide["Accuracy"]).abs() < 0.005].tolist()
    whole = abs(right - round(right)) < 0.05
    yield _check(
        "A23", "the five-class accuracy is a count out of 733", whole, None, f"{right:.2f}"
    )
    others = [row for row in wide["Recall"].dropna().index if row not in averaged]
    yield _check(
        "A24",
        "recalls of Table 5 are averaged alike",
        not others,
        None,
        f"equal to the accuracy, so weighted by class size: {', '.join(averaged)}; "
        f"not so: {', '.join(others)}",
    )
    table: Any = paper.table("table1").pivot_table("value", "row", "column")
    share = table.loc["APTOS 2019", "Normal"] / table.loc["APTOS 2019", "Total"]
    yield _check(
        "A25",
        "APTOS is balanced, so nothing has to be done about it, five classes included",
        abs(share - 1 / 5) < 0.05,
        "already balanced",
        f"{100 * share:.1f} % normal: balanced for two classes, not for five",
    )


def _glaucoma(paper: Paper) -> Iterator[Check]:
    found = confusion(paper, "table4", "ToFi-ML", N_TEST["ORIGA"], 1)
    normal = [each.tn + each.fp for each in cells_of(found)]
    table: Any = paper.table("table1").pivot_table("value", "row", "column")
    yield _check(
        "A26",
        "one confusion matrix on 130 images gives the row without balancing",
        len(found) == 1,
        None,
        wording(found),
        f"all normal: {100 * max(normal, default=0) / 130:.1f} %; "
        f"printed accuracy {value(paper, 'table4', 'ToFi-ML', 'Accuracy'):.1f} %",
    )
    kept = int(2 * table.loc["Origa", "Abnormal"])
    sizes = balanced_sizes(paper)
    fifth = [kept // 5, kept // 5 + 1]
    yield _check(
        "A27",
        "accuracies of the balanced setting are counts out of a fifth of 336",
        any(n in sizes["accuracies"] for n in fifth),
        f"{fifth[0]} or {fifth[1]}",
        "numbers of test images that fit: " + ", ".join(map(str, sizes["accuracies"])),
    )
    yield _check(
        "A28",
        "with 66 test images all eight numbers of the balanced setting are possible",
        66 in sizes["all"],
        None,
        f"smallest number that fits all: {min(sizes['all'], default=0)}",
        f"{100 * min(sizes['all'], default=0) / kept:.0f} % of 336",
    )
    plain, balanced = (
        value(paper, "table4", row, "AUC") for row in ("ToFi-ML", "ToFi-ML-balanced")
    )
    yield _check(
        "A29",
        "leaving out normal images can explain the rise of the AUC",
        None,
        f"{plain:.1f} to {balanced:.1f}",
        None,
        "an AUC does not depend on the share of classes; copies of one eye in training and test, "
        "or a chosen subset, would raise it (claims C5u to C5n)",
    )


def _toy(paper: Paper) -> Iterator[Check]:
    for number, dimension in ((30, 0), (31, 1)):
        printed = toy.vector(paper, dimension)
        counted = toy.counts(toy.intervals(paper, dimension), len(printed))
        yield _check(
            f"A{number}",
            f"the Betti-{dimension} vector of the toy image follows from its printed diagram",
            printed == counted,
            str(printed),
            str(counted),
        )


def _check(
    id: str,
    statement: str,
    holds: bool | None,
    printed: object = None,
    recomputed: str | None = None,
    note: str = "",
) -> Check:
    """Make a check; None stands for one that the numbers cannot decide."""
    word: Status = "undecidable" if holds is None else "pass" if holds else "fail"
    shown = None if printed in (None, [], "") else str(printed)
    return Check(id, statement, word, shown, recomputed, note)
