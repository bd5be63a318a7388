"""The audit of the gel paper: what whole numbers of images and runs stand behind its tables."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common.papers import Paper
from common.statistics.audit import Check, check_between, check_equal, check_printed
from common.statistics.counts import check_runs, run_counts, run_denominators
from common.statistics.digits import How, Printed

N_TEST, N_SMALLEST, RUNS = 2908, 13, 2
POSITIVES = range(700, 935)  # 14,540 less more than 10,000 negatives leaves at most 934 in a fifth
SMALL = range(10, 30)
# The rates of the runs were rounded to percent with two decimals before mean and spread were taken;
# of the recalls of the smallest class some digits are cut off (42.30 for 11/26), others are not.
ROUNDED_FIRST = 4
HABIT: dict[str, tuple[How, int | None]] = {
    "Acc": ("rounded", ROUNDED_FIRST),
    "Fnr": ("rounded", ROUNDED_FIRST),
    "M1-Acc": ("either", None),
    "M3-Acc": ("either", None),
}
OWN, OTHERS = "Our Method", ("Collocative Net [24]", "Two stage DNN [6]")
BASELINE, COLLOCATIVE, TWO_STAGE = "Multi-class", *OTHERS
MT, INTER = (f"multi-task yes; Reg_inner no; Reg_inter {x}" for x in ("no", "yes"))
FULL = "multi-task yes; Reg_inner yes; Reg_inter yes"
FIRST = "multi-task no; Reg_inner no; Reg_inter no"
LOWER_IS_BETTER = ("Fnr",)

Cells = tuple[list[Printed], list[Printed]]


def cells(
    paper: Paper, metric: str, rows: Iterable[str] | None = None, *, how: How = "rounded"
) -> pd.DataFrame:
    """Return the different rows of Tables 1 and 2 for one metric.

    Args:
        paper: supplies the tables.
        metric: as in the tables, ``Acc`` for instance.
        rows: rows wanted; all if left out.
        how: whether digits are rounded, cut off, or either.

    Returns:
        ``row, mean, sd``: numbers with their digits, as fractions.
    """
    both = pd.concat([paper.table("table1"), paper.table("table2")], ignore_index=True)
    mine = both[(both["metric"] == metric) & ~both["row"].isin([FIRST, FULL])]
    if rows is not None:
        mine = mine[mine["row"].isin(list(rows))]
    return pd.DataFrame(
        {
            "row": mine["row"].to_numpy(),
            "mean": [Printed(round(v / 100, 4), 4, how) for v in mine["value"]],
            "sd": [Printed(round(v / 100, 4), 4, how) for v in mine["spread"]],
        }
    )


def own_rows(paper: Paper) -> list[str]:
    """Return the rows of the authors' own networks: all but the two comparators."""
    return [row for row in cells(paper, "Acc")["row"] if row not in OTHERS]


def _pairs(paper: Paper, metric: str, rows: Iterable[str] | None = None) -> Cells:
    table = cells(paper, metric, rows, how=HABIT[metric][0])
    return table["mean"].tolist(), table["sd"].tolist()


def search(paper: Paper) -> pd.DataFrame:
    """Find every number of images and of runs that fits the printed means and spreads.

    Three columns of the tables are searched: the recall of the smallest class (all rows), the
    accuracy (own rows, at the size of the test set) and the false negative rate (own rows and
    Collocative Net, over all numbers of positives that the totals allow).

    Returns:
        ``question, n, runs, formula, chance``: one row for each fit; ``chance`` is about how
        likely random cells would fit.
    """
    own = own_rows(paper)
    asked: list[tuple[str, str, Sequence[str] | None, Iterable[int], Sequence[int]]] = [
        ("images of the smallest class", "M1-Acc", None, SMALL, (2, 3)),
        ("test images", "Acc", own, [N_TEST], (2, 3)),
        ("positive test images", "Fnr", [*own, COLLOCATIVE], POSITIVES, (2, 3)),
    ]
    parts = []
    for question, metric, rows, sizes, runs in asked:
        found = run_denominators(
            *_pairs(paper, metric, rows), n=sizes, runs=runs, run_decimals=HABIT[metric][1]
        )
        parts.append(found.assign(question=question))
    whole = pd.concat(parts, ignore_index=True)
    whole["formula"] = whole["ddof"].map({0: "population sd", 1: "sample sd"})
    return whole[["question", "n", "runs", "formula", "chance"]]


def implied_counts(paper: Paper) -> pd.DataFrame:
    """List the counts of two runs that each row's numbers can have come from.

    Returns:
        One row for each method: right of 2,908, missed of 837, right of 13; ``none`` where no pair
        of counts prints like this.
    """
    found = {}
    for name, metric, n in (
        ("right of 2,908", "Acc", N_TEST),
        ("missed of 837", "Fnr", 837),
        ("right of 13", "M1-Acc", N_SMALLEST),
    ):
        how, decimals = HABIT[metric]
        table = cells(paper, metric, how=how)
        pairs = {
            row: run_counts(mean, sd, n=n, runs=RUNS, ddof=0, run_decimals=decimals)
            for row, mean, sd in zip(*(table[c].tolist() for c in table), strict=True)
        }
        found[name] = {
            row: " or ".join(", ".join(map(str, pair)) for pair in every) or "none"
            for row, every in pairs.items()
        }
    return pd.DataFrame(found).rename_axis("row")


def recall_sizes(paper: Paper, sizes: Iterable[int] = range(14, 60)) -> pd.DataFrame:
    """Find sizes of the second and third smallest class that a mean of three recalls allows.

    The recall of the smallest class is known in both runs of each row, up to which run had which.

    Args:
        paper: supplies the tables.
        sizes: numbers of test images to try for either class.

    Returns:
        ``second, third``: sizes, the smaller first, that fit the M3-Acc of every own row.
    """
    own = own_rows(paper)
    m3, m1 = (_pairs(paper, metric, own) for metric in ("M3-Acc", "M1-Acc"))
    known = [
        run_counts(*cell, n=N_SMALLEST, runs=RUNS, ddof=0)[0] for cell in zip(*m1, strict=True)
    ]
    tried = sorted(sizes)
    fits = [
        (second, third)
        for place, second in enumerate(tried)
        for third in tried[place:]
        if all(_fits(*cell, second, third) for cell in zip(*m3, known, strict=True))
    ]
    return pd.DataFrame(fits, columns=["second", "third"])


def _fits(mean: Printed, sd: Printed, smallest: tuple[int, ...], second: int, third: int) -> bool:
    """Tell whether two runs' means of three recalls can print like a mean and spread."""
    others = np.add.outer(np.arange(second + 1) / second, np.arange(third + 1) / third).ravel()
    reach = sd.high + 2 * mean.unit
    runs: list[NDArray[np.float64]] = []
    for right in smallest:
        values = (right / N_SMALLEST + others) / 3
        runs.append(np.unique(values[np.abs(values - mean.value) <= reach]))
    first, last = (run[:, None] if i == 0 else run[None] for i, run in enumerate(runs))
    both = mean.contains((first + last) / 2) & sd.contains(np.abs(first - last) / 2)
    return bool(both.any())


def checks(paper: Paper) -> list[Check]:
    """Check the printed numbers against each other."""
    return [*_ratios(paper), *_counts(paper), *_prose(paper), *_tables(paper)]


def _ratios(paper: Paper) -> Iterator[Check]:
    prose = paper.table("prose")
    value = prose.set_index(["row", "column"])["value"]
    images, negative = value["dataset", "images"], value["dataset", "Negative"]
    smallest = value["dataset", "kappa positive"]
    bounds = {"low": smallest / images, "high": smallest / (negative + 1)}
    nine = prose[prose["row"] == "9-class task"]["value"].tolist()
    for number, (printed, where, digits) in enumerate(
        ((nine[0], "Section 2.1", 2), (nine[1], "Section 3", 3)), start=1
    ):
        yield check_between(
            f"A{number}",
            f"63 of more than 10,000 gives the nine-way ratio of {where}",
            value=Printed(printed, digits),
            **bounds,
        )
    first = Printed(value["sub-task (printed first)", "imbalance ratio"], 3)
    # Three heavy chains, each at least the ratio times the gels without one, of all positives.
    most = (images - negative) / 3 / negative
    yield check_between(
        "A3",
        "the ratio printed first can be that of the heavy-chain task, which is named first",
        value=first,
        low=0.0,
        high=most,
    )
    upper = images / (1 + 2 * first.low)
    ratio = Printed(nine[1], 3)
    possible = max(negative, smallest / ratio.high), min(upper, smallest / ratio.low)
    yield Check(
        "A4",
        "one number of negatives fits all totals and ratios",
        "pass" if possible[0] <= possible[1] else "fail",
        None,
        f"{possible[0]:,.0f} to {possible[1]:,.0f} negatives",
        "with the light-chain ratio 0.188 and the nine-way ratio 0.006",
    )
    about = value["dataset", "images (abstract)"]
    yield check_printed(
        "A5",
        "the abstract's number of images is that of Section 3, in thousands",
        printed=about,
        true=images,
        decimals=-3,
    )


def _counts(paper: Paper) -> Iterator[Check]:
    own = own_rows(paper)
    for id_, statement, metric, rows, n in (
        ("A6", "every recall of the smallest class comes from two runs of 13", "M1-Acc", None, 13),
        ("A7", "the accuracies of the own rows come from two runs of 2,908", "Acc", own, N_TEST),
        (
            "A8",
            "the false negative rates of own rows and Collocative Net come from two runs of 837",
            "Fnr",
            [*own, COLLOCATIVE],
            837,
        ),
        ("A9", "so does the accuracy of Two stage DNN", "Acc", [TWO_STAGE], N_TEST),
        ("A10", "and its false negative rate", "Fnr", [TWO_STAGE], 837),
    ):
        means, sds = _pairs(paper, metric, rows)
        decimals = HABIT[metric][1]
        yield check_runs(
            id_, statement, means=means, sds=sds, n=n, runs=RUNS, ddofs=(0,), run_decimals=decimals
        )
    three = run_denominators(*_pairs(paper, "M1-Acc"), n=[12, 13], runs=[3])
    yield Check(
        "A11",
        "three runs cannot give the recalls of the smallest class",
        "fail" if len(three) else "pass",
        None,
        f"{len(three)} fits of three runs of 12 or 13",
        "a fifth of 63 images is 12 or 13",
    )
    pooled = [
        n
        for decimals in (None, ROUNDED_FIRST)
        for n in run_denominators(
            *_pairs(paper, "M3-Acc", own), n=range(3, 223), runs=[RUNS], run_decimals=decimals
        )["n"]
    ]
    yield Check(
        "A12",
        "M3-Acc is not the share of right images in the three smallest classes together",
        "fail" if pooled else "pass",
        "not defined",
        f"{len(pooled)} fits for 3 to 222 images",
    )
    sizes = recall_sizes(paper)
    yield Check(
        "A13",
        "M3-Acc is the mean of the three classes' recalls",
        "undecidable" if len(sizes) else "fail",
        "not defined",
        f"{len(sizes)} pairs of class sizes fit",
        "so many that it proves little" if len(sizes) else "",
    )


Numbers = dict[tuple[str, str], float]


def _numbers(paper: Paper, table: str, column: str = "value") -> Numbers:
    """Return the numbers of a table by row and metric."""
    frame = paper.table(table)
    keys = zip(frame["row"].astype(str), frame["metric"].astype(str), strict=True)
    return dict(zip(keys, frame[column].astype(float), strict=True))


def _prose(paper: Paper) -> Iterator[Check]:
    one, two = _numbers(paper, "table1"), _numbers(paper, "table2")
    metrics = list(dict.fromkeys(metric for _, metric in one))
    better = [
        f"{row}, {metric}: {one[row, metric]:.2f} against {one[BASELINE, metric]:.2f}"
        for row in OTHERS
        for metric in metrics
        if _gain(one, row, BASELINE, metric) > 0
    ]
    yield _listed("A14", "both comparators are inferior to the nine-way network", better)
    small = [
        f"{metric}: {two[FIRST, metric]:.2f} to {two[MT, metric]:.2f}"
        for metric in ("M1-Acc", "M3-Acc")
        if _gain(two, MT, FIRST, metric) < 0
    ]
    yield _listed("A15", "decomposition alone gains on the minority classes", small)
    worse = [
        f"{metric}: {two[MT, metric]:.2f} to {two[INTER, metric]:.2f}"
        for metric in metrics
        if _gain(two, INTER, MT, metric) < 0
    ]
    yield _listed("A16", "the inter-task regulariser alone worsens no column", worse)


def _gain(numbers: Numbers, row: str, base: str, metric: str) -> float:
    sign = -1 if metric in LOWER_IS_BETTER else 1
    return sign * (numbers[row, metric] - numbers[base, metric])


def _listed(id_: str, statement: str, against: list[str]) -> Check:
    return Check(id_, statement, "fail" if against else "pass", None, None, "; ".join(against))


def _tables(paper: Paper) -> Iterator[Check]:
    differing = []
    for column in ("value", "spread"):
        one, two = (_numbers(paper, table, column) for table in ("table1", "table2"))
        for row, twin in ((BASELINE, FIRST), (OWN, FULL)):
            for metric in (name for own, name in one if own == row):
                pair = Printed(one[row, metric], 2), Printed(two[twin, metric], 2)
                if check_equal("", "", first=pair[0], second=pair[1]).status == "fail":
                    differing.append(f"{row}, {metric}")
    yield _listed("A17", "Table 2 repeats two rows of Table 1", differing)
    beaten = [
        f"{row}, {metric}"
        for table, full in (("table1", OWN), ("table2", FULL))
        for numbers in (_numbers(paper, table),)
        for row, metric in numbers
        if _gain(numbers, row, full, metric) > 0
    ]
    yield _listed("A18", "the whole method is best or equal in every column", beaten)
    counts = implied_counts(paper).loc[OWN].astype(str)
    wrong = [N_TEST - int(n) for n in counts["right of 2,908"].split(", ")]
    missed = [int(n) for n in counts["missed of 837"].split(", ")]
    yield Check(
        "A19",
        "missed positives are part of the errors",
        "pass" if max(missed) <= min(wrong) else "fail",
        None,
        f"{min(wrong)} to {max(wrong)} errors, {min(missed)} to {max(missed)} of them missed",
        "the other errors are false alarms and wrong types",
    )
