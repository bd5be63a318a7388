"""The audit of FocalMix: known findings, and errors planted into the tables are found."""

import csv
from pathlib import Path

import pandas as pd
import pytest

from common import papers
from common.chapters.focalmix import audit


@pytest.fixture(scope="module")
def paper():
    return papers.load("focalmix")


@pytest.fixture(scope="module")
def found(paper):
    return {check.id: check for check in audit.checks(paper)}


class Changed:
    """A paper whose table holds one other number."""

    def __init__(self, paper, row, column, value):
        self.paper, self.row, self.column, self.value = paper, row, column, value

    def table(self, name):
        table = self.paper.table(name)
        place = (table["row"] == self.row) & (table["column"] == self.column)
        if name == "table1":
            assert place.sum() == 1
        table.loc[place, "value"] = self.value
        return table


def test_every_number_stands_where_a_second_transcription_has_it(paper):
    folder = Path(__file__).resolve().parents[3] / "shared" / "papers" / "focalmix" / "tables"
    if not folder.is_dir():
        pytest.skip("no second transcription of the published tables lies beside the checkout")
    for name in ("table1", "table2"):
        with (folder / f"{name}.csv").open() as file:
            theirs = {
                (row["row_label"], row["column_label"], row["metric"]): float(row["value"])
                for row in csv.DictReader(file)
            }
        ours = paper.table(name).set_index(["row", "column", "metric"])["value"].to_dict()
        assert ours == theirs


def test_table_1_is_read_whole(paper):
    table = audit.recalls(paper)
    assert table.shape == (6, 8)
    assert table.loc[(25, 0), "CPM"] == 66.6
    assert table.loc[(50, 400), "0.5 FPs/scan"] == 78.7
    assert table.loc[(100, 400)].tolist() == [73.4, 80.9, 84.8, 88.6, 92.3, 94.7, 96.1, 87.2]
    assert audit.gains(paper).loc[50].to_dict() == {"absolute": 6.6, "relative": 8.8}
    assert audit.full_label_cpm(paper) == 89.2


def test_means_and_improvements_agree_within_their_rounding(found):
    means = {key: check for key, check in found.items() if key.startswith("A1")}
    recomputed = [66.542857, 78.057143, 75.371429, 82.014286, 82.771429, 87.257143]
    assert [check.recomputed for check in means.values()] == pytest.approx(recomputed, abs=1e-6)
    assert all(check.status == "pass" for check in means.values())
    assert all(found[f"A2.{n}{kind}"].status == "pass" for n in (25, 50, 100) for kind in "ar")


def test_the_other_findings_are_those_known_of_the_tables(found):
    fails = {key for key, check in found.items() if check.status == "fail"}
    assert fails == {"A4", "A7.100", "A8a", "A8b", "A9a", "A9b"}
    assert found["A3b"].recomputed == "21 of 21 cells"
    assert "about 474 nodules" in found["A4"].recomputed
    shares = [found[f"A5.{n}"].recomputed.split(" %")[0] for n in (25, 50, 100)]
    assert shares == ["51", "48", "69"]
    assert found["A6"].recomputed.startswith("108 unused with 25")
    assert "33 unused with 100" in found["A6"].recomputed
    assert found["A7.100"].printed == 4.4
    assert 1.8 < float(found["A7.100"].recomputed.split()[0]) < 2.2
    assert "11.5 points" in found["A8a"].recomputed
    assert "0.7 points more" in found["A9b"].recomputed


def test_no_number_of_nodules_fits_all_recalls_and_a_planted_one_is_found(paper):
    assert audit.whole_counts(paper) == []
    table = paper.table("table1")
    n = 400
    rows = table["column"].isin(audit.RATES)
    table.loc[rows, "value"] = (100 * (table["value"] * n / 100).round() / n).round(1)

    class Counted:
        def table(self, name):
            return table

    assert n in audit.whole_counts(Counted())


@pytest.mark.parametrize(
    ("row", "column", "value", "check"),
    [
        ("labeled 25, unlabeled -", "CPM", 66.8, "A1.1"),
        ("labeled 50, unlabeled 400", "2 FPs/scan", 90.3, "A1.4"),
        ("labeled 50, unlabeled 400 minus supervised", "Improv. absolute", 6.8, "A2.50a"),
        ("labeled 100, unlabeled 400 over supervised", "Improv. relative", 5.6, "A2.100r"),
        ("labeled 25, unlabeled -", "4 FPs/scan", 90.2, "A3b"),
        ("labeled 25, unlabeled -", "0.25 FPs/scan", 46.0, "A3a"),
        ("labeled 100, unlabeled -", "CPM", 75.0, "A3c supervised"),
        ("labeled 50, unlabeled 400 minus supervised", "Improv. absolute", 2.4, "A7.50"),
    ],
)
def test_a_wrong_number_fails_its_check(paper, row, column, value, check):
    changed = Changed(paper, row, column, value)
    status = {each.id: each.status for each in audit.checks(changed)}
    assert status[check] == "fail"


def test_the_nodules_to_be_expected_are_a_share_of_the_official_ones():
    assert audit.expected_nodules() == pytest.approx(1186 * 355 / 888)
    assert isinstance(audit.recalls(papers.load("focalmix")), pd.DataFrame)
