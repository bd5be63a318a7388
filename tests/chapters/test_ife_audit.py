"""The audit finds the counts and the faults that are known, and only those."""

from pathlib import Path

import pandas as pd
import pytest

from common import papers, paths
from common.chapters.ife import audit


@pytest.fixture(scope="module")
def paper():
    return papers.load("ife")


@pytest.fixture(scope="module")
def checks(paper):
    return {check.id: check for check in audit.checks(paper)}


def test_the_search_finds_837_positives_two_runs_and_13_images(paper) -> None:
    found = audit.search(paper)
    positives = found[found["question"] == "positive test images"]
    assert positives[["n", "runs", "formula"]].values.tolist() == [[837, 2, "population sd"]]
    test = found[found["question"] == "test images"]
    assert test[["runs", "formula"]].values.tolist() == [[2, "population sd"]]
    small = found[found["question"] == "images of the smallest class"]
    assert [13, 2, "population sd"] in small[["n", "runs", "formula"]].values.tolist()
    assert not ((small["n"] < 20) & (small["n"] != 13)).any()


def test_every_own_row_has_one_pair_of_counts(paper) -> None:
    found = audit.implied_counts(paper)
    expected = {
        "Multi-class": ["2765, 2767", "81, 88", "11, 12"],
        "Collocative Net [24]": ["2705, 2708", "115, 123", "10, 11"],
        "Two stage DNN [6]": ["none", "none", "5, 6"],
        "Our Method": ["2772, 2778", "70, 73", "12, 12"],
        audit.MT: ["2769, 2770", "81, 83", "12, 12"],
        "multi-task yes; Reg_inner yes; Reg_inter no": ["2772, 2775", "73, 80", "12, 12"],
        audit.INTER: ["2767, 2772", "77, 78", "11, 12"],
    }
    assert {row: values.tolist() for row, values in found.iterrows()} == expected


def test_the_checks_fail_where_the_paper_contradicts_itself(checks) -> None:
    failing = {name for name, check in checks.items() if check.status == "fail"}
    assert failing == {"A1", "A3", "A9", "A10", "A14", "A15", "A16"}
    assert {name for name, check in checks.items() if check.status == "undecidable"} == {"A13"}
    assert len(checks) == 19


def test_the_failing_checks_name_the_numbers(checks) -> None:
    assert checks["A14"].note == "Two stage DNN [6], Fnr: 9.31 against 10.10"
    assert checks["A15"].note == "M3-Acc: 73.83 to 73.60"
    assert checks["A16"].note == "F1-score: 85.79 to 85.70; M1-Acc: 92.31 to 88.46"
    assert checks["A19"].recomputed == "130 to 136 errors, 70 to 73 of them missed"


def test_a_changed_digit_is_noticed(paper, monkeypatch) -> None:
    """One more hundredth in one cell, and no number of positives fits the column."""
    table = papers.Paper.table

    def changed(self, name):
        frame = table(self, name)
        hit = (frame["row"] == "Our Method") & (frame["metric"] == "Fnr")
        return frame.assign(value=frame["value"].where(~hit, 8.56))

    monkeypatch.setattr(papers.Paper, "table", changed)
    assert "positive test images" not in set(audit.search(paper)["question"])


SHARED = paths.root().parent / "shared" / "papers" / "ife" / "tables"


@pytest.mark.parametrize("name", ["table1", "table2", "prose"])
def test_every_number_of_the_paper_is_transcribed(paper, name) -> None:
    source = Path(SHARED) / f"{name}.csv"
    if not source.is_file():
        pytest.skip("the paper's tables are not on this machine")
    theirs = pd.read_csv(source, keep_default_na=False, dtype=str)
    own = paper.table(name)
    keys = ["row", "column", "metric"]
    theirs = theirs.rename(columns={"row_label": "row", "column_label": "column"})
    found = own.merge(theirs, on=keys, suffixes=("", "_theirs"))
    found = found[found["value"] == found["value_theirs"].astype(float)]
    assert len(found) == len(theirs)
    spread = pd.to_numeric(found["spread_theirs"].replace("", None))
    assert found["spread"].equals(spread) or (found["spread"] == spread).sum() == spread.count()
