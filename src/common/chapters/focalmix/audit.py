"""The audit of FocalMix: what its two tables say of themselves and of each other."""

import re
from collections.abc import Iterator

import numpy as np
import pandas as pd

from common import manifests
from common.papers import Paper
from common.statistics.audit import Check, Printed, check_between, check_mean
from common.statistics.froc import FP_RATES

BUDGETS = (25, 50, 100)  # annotated scans
UNLABELLED = 400
TRAINING, TEST = 533, 355  # scans of Table 2's last row, which is the study of Table 1
RATES = tuple(f"{rate:g} FPs/scan" for rate in FP_RATES)
_DECIMALS = 1


def recalls(paper: Paper) -> pd.DataFrame:
    """Arrange Table 1 as it is printed.

    Returns:
        One row for each ``labelled`` (25, 50, 100) and ``unlabelled`` (0, 400), one column for
        each rate of false positives and ``CPM``, in percent.
    """
    table = paper.table("table1")
    table = table[table["column"].isin([*RATES, "CPM"])]
    counts = [_scans(row) for row in table["row"]]
    table = table.assign(labelled=[a for a, _ in counts], unlabelled=[b for _, b in counts])
    wide = table.pivot(index=["labelled", "unlabelled"], columns="column", values="value")
    return wide[[*RATES, "CPM"]].rename_axis(columns=None)


def printed_row(paper: Paper, arm: str) -> pd.Series:
    """Return what Table 1 prints for an arm such as ``focalmix-25``: the seven rates and CPM."""
    kind, budget = arm.split("-")
    return recalls(paper).T[int(budget), UNLABELLED if kind == "focalmix" else 0]


def _scans(row: str) -> tuple[int, int]:
    """Read the numbers of annotated and unlabelled scans from the name of a row."""
    labelled, unlabelled = re.findall(r"labeled (\S+?)(?:,|$)", row)
    return int(labelled), 0 if unlabelled == "-" else int(unlabelled)


def gains(paper: Paper) -> pd.DataFrame:
    """Return the printed improvements: index 25, 50, 100; ``absolute`` points, ``relative`` %."""
    table = paper.table("table1")
    table = table[table["column"].str.startswith("Improv.")]
    labelled = table["row"].str.extract(r"labeled (\d+)")[0].astype(int)
    kind = table["column"].str.removeprefix("Improv. ")
    return table.assign(labelled=labelled, kind=kind).pivot(
        index="labelled", columns="kind", values="value"
    )


def full_label_cpm(paper: Paper) -> float:
    """Return the printed CPM of the base model with all 533 annotated scans, in percent."""
    table = paper.table("table2")
    return float(table[table["column"] == f"{TRAINING}/{TEST}"]["value"].iloc[0])


def expected_nodules() -> float:
    """Return the nodules to be expected among the 355 test scans, were they a random part.

    The manifest of LUNA16 has 1,186 nodules in 888 scans, counted in the official files.
    """
    known = manifests.load("luna16")
    nodules, scans = known.classes["nodule"], known.counts["scans"]
    assert nodules is not None
    return nodules * TEST / scans


def whole_counts(paper: Paper, *, low: int = 200, high: int = 506) -> list[int]:
    """List the numbers of nodules for which every printed recall is a whole number of hits.

    Args:
        paper: supplies Table 1.
        low: smallest number tried.
        high: largest number tried.
    """
    printed = recalls(paper)[[*RATES]].to_numpy().ravel()
    return [
        n
        for n in range(low, high + 1)
        if (np.abs(100 * np.rint(printed * n / 100) / n - printed) <= 0.05 + 1e-9).all()
    ]


def checks(paper: Paper) -> list[Check]:
    """Make every check of the printed numbers, in the order of the chapter's audit."""
    return [
        *_means(paper),
        *_improvements(paper),
        *_orders(paper),
        _integers(paper),
        *_gap_closed(paper),
        _pool(),
        *_standard_errors(paper),
        *_wording(paper),
        *_protocols(paper),
    ]


def _means(paper: Paper) -> Iterator[Check]:
    table = recalls(paper)
    for number, (labelled, unlabelled) in enumerate(table.index, start=1):
        row = table.loc[(labelled, unlabelled)]
        yield check_mean(
            f"A1.{number}",
            f"the CPM of {labelled} + {unlabelled} scans is the mean of its seven recalls",
            rows=[Printed(float(row[rate]), _DECIMALS) for rate in RATES],
            mean=Printed(float(row["CPM"]), _DECIMALS),
        )


def _improvements(paper: Paper) -> Iterator[Check]:
    table, printed = recalls(paper)["CPM"], gains(paper)
    for labelled in BUDGETS:
        low, high = (Printed(float(table[labelled, u]), _DECIMALS) for u in (0, UNLABELLED))
        yield check_between(
            f"A2.{labelled}a",
            f"the absolute improvement with {labelled} annotated scans follows from the two CPM",
            value=Printed(float(printed["absolute"][labelled]), _DECIMALS),
            low=high.low - low.high,
            high=high.high - low.low,
        )
        yield check_between(
            f"A2.{labelled}r",
            f"the relative improvement with {labelled} annotated scans follows from the two CPM",
            value=Printed(float(printed["relative"][labelled]), _DECIMALS),
            low=100 * (high.low / low.high - 1),
            high=100 * (high.high / low.low - 1),
        )


def _orders(paper: Paper) -> Iterator[Check]:
    table = recalls(paper)
    rising = bool((np.diff(table[[*RATES]].to_numpy(), axis=1) > 0).all())
    yield _check("A3a", "recall rises with the rate of false positives in every row", rising)
    with_, without = (table.xs(u, level="unlabelled") for u in (UNLABELLED, 0))
    higher = (with_ > without)[[*RATES]].to_numpy()
    yield _check(
        "A3b",
        "FocalMix finds more at every rate and budget",
        bool(higher.all()),
        found=f"{higher.sum()} of {higher.size} cells",
    )
    for name, part in (("FocalMix", with_), ("supervised", without)):
        cpm = part["CPM"].to_numpy()
        yield _check(
            f"A3c {name}",
            f"CPM rises with the annotated scans, {name}",
            bool((np.diff(cpm) > 0).all()),
        )


def _integers(paper: Paper) -> Check:
    fitting = whole_counts(paper)
    return _check(
        "A4",
        "some number of nodules makes every printed recall a whole number of hits",
        bool(fitting),
        found=f"{len(fitting)} of the numbers from 200 to 506; "
        f"about {expected_nodules():.0f} nodules are to be expected",
        note="recalls are read off between operating points, so that hits cannot be counted back",
    )


def _gap_closed(paper: Paper) -> Iterator[Check]:
    table, full = recalls(paper)["CPM"], full_label_cpm(paper)
    for labelled in BUDGETS:
        supervised, own = float(table[labelled, 0]), float(table[labelled, UNLABELLED])
        share = (own - supervised) / (full - supervised)
        yield _check(
            f"A5.{labelled}",
            f"FocalMix with {labelled} annotated scans stays below the model with all {TRAINING}",
            own < full,
            printed=own,
            found=f"{100 * share:.0f} % of the gap from {supervised} to {full} is closed",
        )


def _pool() -> Check:
    unused = {labelled: TRAINING - labelled - UNLABELLED for labelled in BUDGETS}
    return _check(
        "A6",
        f"annotated and unlabelled scans fit into the {TRAINING} of the training part",
        min(unused.values()) >= 0,
        found=", ".join(f"{n} unused with {labelled}" for labelled, n in unused.items()),
        note="both kinds are from one collection, with nodules at its usual rate",
    )


def _standard_errors(paper: Paper) -> Iterator[Check]:
    """Compare each gain with the error that independent nodules of two separate groups would have.

    The recalls of one curve are nested, so a CPM varies about as its middle recall does.
    """
    table, printed, n = recalls(paper)["CPM"] / 100, gains(paper), expected_nodules()
    for labelled in BUDGETS:
        p = np.array([table[labelled, 0], table[labelled, UNLABELLED]], dtype=float)
        each = 100 * np.sqrt(p * (1 - p) / n)
        unpaired = float(np.hypot(*each))
        gain = float(printed["absolute"][labelled])
        yield _check(
            f"A7.{labelled}",
            f"the gain with {labelled} annotated scans is beyond two unpaired standard errors",
            gain > 2 * unpaired,
            printed=gain,
            found=f"{gain / unpaired:.1f} standard errors of {unpaired:.1f} points",
            note=f"if {n:.0f} nodules were independent; no spread over subsets or seeds is printed",
        )


def _wording(paper: Paper) -> Iterator[Check]:
    printed = gains(paper)
    relative, absolute = printed["relative"].max(), printed["absolute"].max()
    yield _check(
        "A8a",
        "the improvement that the abstract names is in points of CPM",
        bool(np.isclose(relative, absolute)),
        printed=float(relative),
        found=f"{absolute} points, at the smallest budget of {printed['absolute'].idxmax()} scans",
        note="the abstract's figure is relative to the supervised model's own CPM",
    )
    compared = paper.table("table2")
    others = compared[~compared["row"].str.startswith("Our")]["row"]
    in_table1 = paper.table("table1")["row"].isin(others).any()
    yield _check(
        "A8b",
        "Table 1 compares with a supervised method of others",
        bool(in_table1),
        found=f"{len(others)} methods of others, all in Table 2 alone",
        note="the supervised rows of Table 1 are the authors' own base model",
    )


def _protocols(paper: Paper) -> Iterator[Check]:
    table = paper.table("table2")
    tested = sorted({int(n) for n in table["n"]})
    yield _check(
        "A9a",
        "all numbers of Table 2 come from the same test scans",
        len(tested) == 1,
        found=f"{' and '.join(map(str, tested))} scans",
        note="only the last row belongs to the study of Table 1",
    )
    same = table[table["column"] == "10-fold"].set_index("row")["value"]
    own = float(same["Our base model"])
    best = same.drop("Our base model")
    yield _check(
        "A9b",
        "the base model is level with the best method of others to the printed digit",
        own >= best.max(),
        printed=own,
        found=f"{best.idxmax()} has {best.max()}, {best.max() - own:.1f} points more",
        note="other implementations and other folds: the table alone cannot test equality",
    )


def _check(
    id: str,
    statement: str,
    holds: bool,
    *,
    printed: float | str | None = None,
    found: float | str | None = None,
    note: str = "",
) -> Check:
    return Check(id, statement, "pass" if holds else "fail", printed, found, note)
