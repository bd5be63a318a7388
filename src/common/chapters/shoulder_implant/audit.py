"""The audit of the shoulder-implant paper: its printed numbers against each other."""

import difflib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from common.chapters.shoulder_implant.printed import (
    PROPOSED,
    ROWS,
    TABLES,
    TEST_SHARE,
    accuracies,
    images,
    leads,
    right,
    sizes,
    text,
    value,
)
from common.datasets.shoulder_phantom import CLASSES
from common.papers import Paper
from common.statistics.audit import Check, Status, check_sum
from common.statistics.digits import Printed
from common.statistics.rate_counts import denominators
from common.statistics.summaries import mcnemar_bounds

Line = Iterator[Check]


def checks(paper: Paper) -> list[Check]:
    """Check the printed numbers against each other, in the order of the page."""
    parts = (_counts, _test_sets, _leads, _metrics, _split, _training, _quoted, _runs)
    return [check for part in parts for check in part(paper)]


def _counts(paper: Paper) -> Line:
    table = paper.table("table1")
    total = images(paper)
    yield check_sum(
        "A1",
        "the images of seven models are the sum over both smaller tasks",
        parts=[Printed(total["Depuy"], 0), Printed(total["Non-Depuy"], 0)],
        total=Printed(int(table["value"].sum()), 0),
    )
    names = [row.replace("and", "&").replace("Depuy", "DePuy") for row in table["row"]]
    odd = [name for name in names if name not in CLASSES]
    known = [difflib.get_close_matches(name, CLASSES, n=1)[0] for name in odd]
    yield _check(
        "A2",
        "Table 1 spells its models as the text does",
        not odd,
        ", ".join(odd),
        ", ".join(known),
    )


def _test_sets(paper: Paper) -> Line:
    total = images(paper)
    for number, task in enumerate(TABLES, start=3):
        n = total[task] * TEST_SHARE
        tried = sorted({int(np.floor(n)), int(np.ceil(n))})
        rates = accuracies(paper, task)
        fit = {k: [rate.value for rate in rates if len(denominators([rate], n=k))] for k in tried}
        yield _check(
            f"A{number}",
            f"accuracies of {task} are counts out of 30 % of its images",
            any(len(found) == len(rates) for found in fit.values()),
            f"{n:.1f} of {total[task]}",
            "; ".join(f"{len(found)} of 4 fit {k} images" for k, found in fit.items()),
        )
    first = {task: sizes(paper, task)[0] for task in TABLES}
    parts = first["Depuy"] + first["Non-Depuy"]
    yield _check(
        "A6",
        "the test sets of the smaller tasks make up the one of all seven",
        parts == first["All 7"],
        f"{first['All 7']}",
        f"{first['Depuy']} + {first['Non-Depuy']}",
        "smallest numbers that give all four recalls of a task; next: "
        + ", ".join(f"{sizes(paper, task)[1]}" for task in TABLES),
    )
    shares = {task: 100 * first[task] / total[task] for task in TABLES}
    yield _check(
        "A7",
        "the test sets are 30 % of the images",
        all(abs(each - 100 * TEST_SHARE) < 5 for each in shares.values()),
        "30 %",
        ", ".join(f"{each:.1f} %" for each in shares.values()),
        "either more was tested than is said, or there were about "
        f"{first['All 7'] / TEST_SHARE:.0f} images; if altered copies were among them before the "
        "split, the test images were not new",
    )


def _leads(paper: Paper) -> Line:
    table: Any = right(paper).set_index(["task", "network"])
    for number, task in enumerate(TABLES, start=8):
        n = int(table.loc[(task, PROPOSED), "n"])
        best = int(table.loc[(task, PROPOSED), "right"])
        own: Any = leads(paper).query("task == @task").set_index("network")["images"]
        p = {
            name: mcnemar_bounds(best, int(table.loc[(task, name), "right"]), n)[0]
            for name in own.index
        }
        low, high = (100 * table.loc[(task, PROPOSED), end] for end in ("low", "high"))
        yield _check(
            f"A{number}",
            f"on {task} the proposed network is better than each other beyond chance",
            all(each < 0.05 for each in p.values()),
            f"{best} of {n}",
            "; ".join(f"{ROWS[name]} {own[name]:+d}, p ≥ {p[name]:.2g}" for name in own.index),
            f"McNemar, exact, fewest answers that differ; accuracy {low:.1f} to {high:.1f} %",
        )


def _metrics(paper: Paper) -> Line:
    gaps, harmonic, above = [], [], []
    for task in TABLES:
        for network in ROWS:
            accuracy = value(paper, task, network, "Testing Accuracy (%)") / 100
            p, r, f = (value(paper, task, network, m) for m in ("Precision", "Recall", "F1 Score"))
            gaps.append((round(abs(accuracy - r), 6), f"{ROWS[network]}, {task}"))
            harmonic.append(2 * p * r / (p + r) - f)
            if f > max(p, r):
                above.append(f"{ROWS[network]}, {task}")
    yield _check(
        "A11",
        "recall equals accuracy in all rows, as an average weighted by class size does",
        max(gaps)[0] <= 1e-4,
        None,
        f"{sum(gap <= 1e-4 for gap, _ in gaps)} of {len(gaps)} within the last digit",
        "one slip: accuracy "
        f"{text(paper, 'Non-Depuy', 'inception-v3', 'Testing Accuracy (%)')}, recall "
        f"{text(paper, 'Non-Depuy', 'inception-v3', 'Recall')}",
    )
    yield _check(
        "A12",
        "no F1 exceeds both precision and recall",
        not above,
        None,
        ", ".join(above) or "none",
        f"F1 lies {min(harmonic):.3f} to {max(harmonic):.3f} below their harmonic mean, as "
        "weighted averages do",
    )


def _split(paper: Paper) -> Line:
    table: Any = right(paper).query("network == @PROPOSED").set_index("task")
    pooled = table.loc[["Depuy", "Non-Depuy"], ["right", "n"]].sum()
    joint = table.loc["All 7"]
    yield _check(
        "A13",
        "splitting by manufacturer gives the better picture",
        bool(pooled["right"] / pooled["n"] > joint["right"] / joint["n"]),
        f"all seven: {joint['right']} of {joint['n']}",
        f"split: {pooled['right']} of {pooled['n']}",
        "and the split networks are told the manufacturer",
    )


def _training(paper: Paper) -> Line:
    least = {}
    for task in TABLES:
        rates = accuracies(paper, task, "Training Accuracy (%)")
        least[task] = int(denominators(rates, n=range(1, 12_000))["n"].iloc[0])
    share = 1 - TEST_SHARE
    drawn = {task: share * n for task, n in images(paper).items()}
    # the images that there were if the test set that fits was 30 % of them
    more = share * sizes(paper, "All 7")[0] / TEST_SHARE
    copies = [least["All 7"] / n for n in (drawn["All 7"], more)]
    yield _check(
        "A14",
        "training accuracies can be counts out of 70 % of the images",
        all(least[task] <= np.ceil(n) for task, n in drawn.items()),
        ", ".join(f"{n:.0f} ({task})" for task, n in drawn.items()),
        ", ".join(f"at least {n} ({task})" for task, n in least.items()),
        f"accuracies over copies would explain it: {copies[0]:.0f} or more of each image of "
        f"Table 1, {copies[1]:.0f} or more if there were the images of A7",
    )
    gap = [
        value(paper, task, network, "Training Accuracy (%)")
        - value(paper, task, network, "Testing Accuracy (%)")
        for task in TABLES
        for network in ROWS
    ]
    worst = [value(paper, "Depuy", "vgg16", m) for m in ("Training Loss", "Testing Loss")]
    yield _check(
        "A15",
        "test accuracy is below training accuracy in all rows",
        min(gap) > 0,
        None,
        f"{min(gap):.1f} to {max(gap):.1f} points below",
        f"VGG 16 on Depuy: loss {worst[0]} in training, {worst[1]} in the test",
    )


def _quoted(paper: Paper) -> Line:
    prose: Any = paper.table("prose").set_index(["row", "metric"])["value"]
    best = value(paper, "All 7", PROPOSED, "Testing Accuracy (%)")
    quoted = prose.xs("accuracy (%)", level="metric")
    # the conclusion claims to outperform references 9, 14 and 30 to 32; [15] is not among them
    above = quoted[(quoted > best) & quoted.index.str.contains(r"\[(?:9|14|3[0-2])\]")]
    yield _check(
        "A16",
        "the accuracy is above those of the studies that it is said to outperform",
        above.empty,
        f"{best} %",
        "; ".join(f"{name}: {each:g} %" for name, each in above.items()),
        "other images and other classes: no comparison can be made",
    )
    stated = {
        ("All 7", "Testing Accuracy (%)"): ("accuracy (%), abstract", "accuracy (%), conclusion"),
        ("All 7", "AUC"): ("AUC, abstract",),
        ("Depuy", "Testing Accuracy (%)"): ("accuracy (%), conclusion",),
        ("Non-Depuy", "Testing Accuracy (%)"): ("accuracy (%), conclusion",),
    }
    own: Any = paper.table("prose").set_index(["row", "column", "metric"])["value"]
    differ = [
        f"{task}, {name}"
        for (task, metric), names in stated.items()
        for name in names
        if own["InceptionResnetV2", task, name] != value(paper, task, PROPOSED, metric)
    ]
    yield _check(
        "A17",
        "abstract and conclusion repeat the tables",
        not differ,
        None,
        ", ".join(differ) or "five numbers, all equal",
    )


def _runs(paper: Paper) -> Line:
    table = right(paper)
    order = {task: _ranked(table[table["task"] == task]) for task in TABLES}
    third = value(paper, "Depuy", "inception-v3", "Testing Accuracy (%)")
    seven = value(paper, "All 7", "inception-v3", "Testing Accuracy (%)")
    yield _check(
        "A18",
        "the order of the four networks changes with the task",
        len(set(order.values())) > 1,
        None,
        "; ".join(f"{task}: {each}" for task, each in order.items()),
        f"InceptionV3 falls from {third} % to {seven} % with one run each: chance or tuning",
    )


def _ranked(table: pd.DataFrame) -> str:
    """Write the networks in the order of their right images, equal ones joined."""
    ordered = table.sort_values("right", ascending=False, kind="stable")
    groups = ordered.groupby("right", sort=False)["network"]
    return " > ".join(" = ".join(ROWS[str(name)] for name in own) for _, own in groups)


def _check(
    id: str,
    statement: str,
    holds: bool,
    printed: str | None = None,
    recomputed: str | None = None,
    note: str = "",
) -> Check:
    word: Status = "pass" if holds else "fail"
    return Check(id, statement, word, printed or None, recomputed, note)
