"""The audit of the SOS paper: what its printed numbers say of each other."""

import csv
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from common import manifests, paths
from common.models.sos_switch import switch_cost
from common.papers import Paper
from common.statistics.audit import Check, Printed, Status, check_printed
from common.statistics.digits import rounding
from common.statistics.matrices import confusion_matrices, rate_of

METHODS = ("Image-Level", "Patch-Level", "Multi-Scale", "RDMS", "SOS (ours)")
CLASSES = ("Negative", "AMA", "SMA-V", "SMA-T")
# of a mean time per slide; what running the switch itself may take
_CLOSE_S = 0.1
# as Table 1 names them
_SHORT = {"Negative": "Neg"}
RATES = {"F1": "f1", "Precision": "precision", "Recall": "recall", "Specificity": "specificity"}


def class_sizes(paper: Paper, part: str = "Test") -> dict[str, int]:
    """Read the slides of each class from Table 1, by the class's name in Table 4."""
    table = paper.table("table1").set_index(["row", "column"])["value"]
    return {name: int(table[part, _SHORT.get(name, name)]) for name in CLASSES}


def digits(paper: Paper, table: str) -> dict[tuple[str, str], str]:
    """Read the printed text of every number, whose digits a float forgets, by row and column."""
    path = paths.paper_dir(paper.slug) / f"{table}.csv"
    with path.open(encoding="utf-8", newline="") as stream:
        return {(row["row"], row["column"]): row["value"] for row in csv.DictReader(stream)}


def cells(paper: Paper) -> pd.DataFrame:
    """Rebuild the confusion matrix of every method and class, one class against the rest.

    All whole numbers of slides are tried; four printed rates are met whether they were rounded or
    cut off.

    Returns:
        One row a method and class: ``method, class_name, tp, fp, fn, tn, fitting``; ``fitting``
        is how many matrices fit the printed rates, and the first of them is shown.
    """
    printed, sizes = digits(paper, "table4"), class_sizes(paper)
    n = sum(sizes.values())
    rows = []
    for method in METHODS:
        for name in CLASSES:
            rates = {
                own: Printed.read(printed[method, f"{name} {rate}"], how="either")
                for rate, own in RATES.items()
            }
            found = confusion_matrices(rates, n=n, positives=sizes[name], undefined=0.0)
            first = found.iloc[0] if len(found) else pd.Series(-1, index=found.columns)
            rows.append((method, name, *first.astype(int), len(found)))
    return pd.DataFrame(rows, columns=["method", "class_name", "tp", "fp", "fn", "tn", "fitting"])


def right_counts(paper: Paper) -> pd.Series:
    """Find the right slides of each method from its printed total accuracy."""
    table, n = paper.table("table3"), sum(class_sizes(paper).values())
    accuracy = table[table["column"] == "TA%"].set_index("row")["value"]
    return (accuracy * n / 100).round().astype(int)


def summary(paper: Paper) -> pd.DataFrame:
    """Sum the rebuilt matrices up: right slides, balanced accuracy and macro F1 by method."""
    table = cells(paper)
    table["recall"] = table["tp"] / (table["tp"] + table["fn"])
    table["f1"] = rate_of(
        "f1", *(table[c].to_numpy(float) for c in ("tp", "fp", "fn", "tn")), undefined=0.0
    )
    grouped = table.groupby("method", sort=False)
    return pd.DataFrame(
        {
            "right": grouped["tp"].sum(),
            "wrong": grouped["fp"].sum(),
            "balanced accuracy": grouped["recall"].mean(),
            "macro F1": grouped["f1"].mean(),
        }
    )


def checks(paper: Paper) -> list[Check]:
    """Run every check of the printed numbers."""
    return [
        *_table1(paper),
        *_counts(paper),
        *_bold(paper),
        *_time(paper),
        *_gains(paper),
        *_rest(paper),
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


def _table1(paper: Paper) -> Iterator[Check]:
    table = paper.table("table1").set_index(["row", "column"])["value"]
    for part in ("Train", "Test"):
        found = sum(class_sizes(paper, part).values())
        total = int(table[part, "Total"])
        statement = f"classes sum to the {part.lower()} set"
        yield _check(f"P1 {part}", statement, found == total, f"{total}", f"{found}")
    stated = paper.table("prose").set_index("column")["value"]["slides"]
    both = int(table["Train", "Total"] + table["Test", "Total"])
    yield _check(
        "P1 all", "both sets sum to the data set", both == stated, f"{stated:.0f}", f"{both}"
    )
    released = manifests.load("lks-slides").classes
    own = {
        name: sum(class_sizes(paper, part)[name] for part in ("Train", "Test")) for name in CLASSES
    }
    shown = ", ".join(f"{name} {count}" for name, count in own.items())
    yield _check(
        "P1 classes", "class totals are those of the released slides", own == released, shown
    )


def _counts(paper: Paper) -> Iterator[Check]:
    right, n = right_counts(paper), sum(class_sizes(paper).values())
    printed = digits(paper, "table3")
    fits = {
        method: rounding(float(printed[method, "TA%"]), 100 * right[method] / n, 2) == "rounded"
        for method in METHODS
    }
    shown = ", ".join(f"{method} {right[method]}" for method in METHODS)
    yield _check("P2", f"accuracies are whole slides of {n}", all(fits.values()), "", shown)
    table, sums = cells(paper), summary(paper)
    unique = int((table["fitting"] == 1).sum())
    yield _check(
        "P3 cells",
        "the rates of every method and class come from exactly one confusion matrix",
        unique == len(table),
        f"{len(table)} cells",
        f"{unique} unique",
    )
    agree = all(sums["right"][m] == right[m] and sums["wrong"][m] == n - right[m] for m in METHODS)
    yield _check("P3 sums", "right and wrong slides of the classes sum to the accuracy", agree)
    yield from _rounded(paper, table)
    never = table[(table["tp"] + table["fp"] == 0)]
    for row in never.to_dict("records"):
        yield _check(
            f"P5 {row['method']}",
            f"{row['method']} answers {row['class_name']} at all",
            False,
            f"specificity {printed_rate(paper, row, 'Specificity')}",
            "no slide of 205 is called so",
            "the perfect specificity is that of a class that is never predicted",
        )


def printed_rate(paper: Paper, row: Mapping[Any, Any], rate: str) -> str:
    """Return the printed text of a rate of one method and class."""
    return digits(paper, "table4")[str(row["method"]), f"{row['class_name']} {rate}"]


def _rounded(paper: Paper, table: pd.DataFrame) -> Iterator[Check]:
    odd = []
    for row in table.to_dict("records"):
        four = (row[name] for name in ("tp", "fp", "fn", "tn"))
        counts = list(four)
        for rate, own in RATES.items():
            text = printed_rate(paper, row, rate)
            true = float(rate_of(own, *counts, undefined=0.0))
            exact = true in (0.0, 1.0)
            if not exact and (len(text) < 6 or rounding(float(text), true, 4) != "rounded"):
                odd.append(f"{row['class_name']} {row['method']} {rate} {text}, exact {true:.4f}")
    statement = "all rates are rounded to four digits"
    yield _check("P4", statement, not odd, "; ".join(odd), "", "of no consequence")


def _bold(paper: Paper) -> Iterator[Check]:
    for name, best in (
        ("table3", {"TA%": max, "RS": min, "IT(s)": min, "SB": max}),
        ("table4", {}),
    ):
        table = paper.table(name).dropna(subset=["value"])
        for column, part in table.groupby("column", sort=False):
            if name == "table3" and column not in best:
                continue
            top = best.get(str(column), max)(part["value"])
            winners = set(part["row"][part["value"] == top])
            marked = set(part["row"][part["note"].str.endswith("bold")])
            if winners != marked:
                highest = part["value"][part["row"].isin(marked)].max()
                where = f"{', '.join(sorted(marked))} at {highest:.4f}"
                yield _check(
                    f"P5 {column}",
                    f"the best {column} is the bold one",
                    False,
                    where,
                    f"{', '.join(sorted(winners))} at {top:.4f}",
                )


def _times(paper: Paper) -> pd.DataFrame:
    return paper.table("table3").pivot_table("value", "row", "column", sort=False)


def _time(paper: Paper) -> Iterator[Check]:
    table, printed = _times(paper), digits(paper, "table3")
    slow = table["IT(s)"]["Multi-Scale"]
    for method in METHODS:
        text = printed[method, "SB"]
        decimals = len(text.partition(".")[2])
        true = slow / table["IT(s)"][method]
        statement = f"speed boost of {method} is 122.10 s over its time"
        yield check_printed(
            f"P6 {method}", statement, printed=float(text), true=true, decimals=decimals
        )
    stated = paper.table("prose").set_index("column")["value"]["inference time falls by"]
    fast = table["IT(s)"]["SOS (ours)"]
    against_patch = table["IT(s)"]["Patch-Level"] / fast
    yield _check(
        "P7 factor",
        "time falls by the stated factor against patch-level analysis",
        abs(against_patch - stated) < 0.01,
        f"{stated:g}",
        f"{against_patch:.2f} against Patch-Level, {slow / fast:.2f} against Multi-Scale",
    )
    gain = table["TA%"]["SOS (ours)"] - table["TA%"][["Multi-Scale", "Patch-Level"]]
    yield _check(
        "P7 accuracy",
        "accuracy is kept, not changed",
        bool(gain.abs().max() < 1),
        "maintained",
        ", ".join(f"{points:+.1f} points on {method}" for method, points in gain.items()),
        "more than kept: the abstract understates the tables",
    )
    yield from _cost_model(table)


def _cost_model(table: pd.DataFrame) -> Iterator[Check]:
    times, share = table["IT(s)"], table["LP"]
    low, both = times["Image-Level"], times["Multi-Scale"]
    own = Printed(float(share["SOS (ours)"]), 2)
    most, least = (switch_cost(end, low=low, both=both) for end in (own.low, own.high))
    implied = 1 - (times["SOS (ours)"] - low) / (both - low)
    yield _check(
        "P8 SOS",
        "SOS takes the time that its share of low-resolution decisions implies",
        bool(least - _CLOSE_S <= times["SOS (ours)"] <= most + _CLOSE_S),
        f"{times['SOS (ours)']:.2f} s",
        f"{least:.2f} to {most:.2f} s for a share that prints as {own.value:g}",
        f"the time implies a share of {implied:.4f}, or a small overhead",
    )
    zoomed = (times["RDMS"] - low) / (1 - share["RDMS"])
    yield _check(
        "P8 RDMS",
        "RDMS pays for a zoomed slide what Multi-Scale pays beyond Image-Level",
        bool(abs(zoomed - (both - low)) < 1),
        f"{both - low:.1f} s",
        f"{zoomed:.1f} s",
        "its policy may look at part of the slide only; the text does not say",
    )
    parts = low + times["Patch-Level"]
    yield _check(
        "P8 parts",
        "Multi-Scale takes the time of its two parts",
        bool(abs(both - parts) < 1),
        f"{both:.2f} s",
        f"{parts:.2f} s",
        f"{both - parts:.1f} s belong to neither",
    )


def _gains(paper: Paper) -> Iterator[Check]:
    right, n = right_counts(paper), sum(class_sizes(paper).values())
    share = Printed(float(_times(paper)["LP"]["SOS (ours)"]), 2)
    zoomed = int(n * (1 - share.low))
    gain = int(right["SOS (ours)"] - right["Image-Level"])
    yield _check(
        "P9",
        "switching alone can explain the gain over Image-Level",
        gain <= zoomed,
        f"{gain} slides",
        f"at most {zoomed} slides reach high resolution",
        f"at least {gain - zoomed} of the {gain} come from a better low-resolution network",
    )
    more = int(right["SOS (ours)"] - right["Multi-Scale"])
    yield _check(
        "P10",
        "the comparison with Multi-Scale isolates the switch",
        None,
        f"SOS {more:+d} slides",
        "",
        "Multi-Scale sees both resolutions of every slide; the joint losses differ as well, and "
        "no Multi-Scale with them is printed",
    )


def _rest(paper: Paper) -> Iterator[Check]:
    size = _times(paper)["RS"]
    yield _check(
        "P11",
        "the switch adds no parameters",
        bool(size["SOS (ours)"] == size["Multi-Scale"]),
        f"{size['SOS (ours)']:.2f} and {size['Multi-Scale']:.2f}",
        "",
        f"RDMS has {size['RDMS']:.2f}, for its policy network",
    )
    stated = paper.table("table1").set_index("column")["value"]["Size"]
    held = (manifests.load("lks-slides").size_bytes or 0) / 1e9
    yield _check(
        "P12 size",
        "the released slides have the stated size",
        bool(abs(held - stated) < 0.05 * stated),
        f"{stated:.0f} GB",
        f"{held:.0f} GB",
        "the raw slides were released, the paper's are cropped",
    )
    numbers = sorted(
        int(table.where.split()[1]) for table in paper.tables if table.where.startswith("Table")
    )
    missing = sorted(set(range(1, max(numbers) + 1)) - set(numbers))
    yield _check(
        "P12 tables",
        "all numbered tables are in the text at hand",
        not missing,
        f"tables {', '.join(map(str, numbers))}",
        f"without {', '.join(map(str, missing))}" if missing else "",
        "the text at hand is the poster's",
    )
