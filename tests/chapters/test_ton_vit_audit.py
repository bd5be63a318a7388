"""The transcribed tables are the printed ones; the audit finds its faults, in real videos too."""

import csv
from pathlib import Path

import numpy as np
import pytest

from common import papers, paths
from common.chapters.ton_vit import audit, recognition, tables, videos

TRANSCRIBED = paths.root().parent / "shared" / "papers" / "ton-vit" / "tables"


@pytest.fixture(scope="module")
def paper():
    return papers.load("ton-vit")


@pytest.fixture(scope="module")
def public():
    found = videos.public()
    if found is None:
        pytest.skip("the public annotations are not at hand")
    return found


@pytest.mark.parametrize("table", ["prose", "table1"])
def test_every_printed_number_is_transcribed(table):
    theirs = TRANSCRIBED / f"{table}.csv"
    if not theirs.exists():
        pytest.skip("the second transcription is not here")
    ours = paths.paper_dir("ton-vit") / f"{table}.csv"
    first, second = (
        list(csv.reader(Path(each).read_text(encoding="utf-8").splitlines()))
        for each in (ours, theirs)
    )
    assert first[1:] == second[1:]


def test_table_1_has_25_numbers_and_its_means_hold(paper):
    assert len(paper.table("table1")) == 25
    table = audit.scores(paper)
    np.testing.assert_allclose(
        audit.ratings(paper).mean(axis=1), [2.7, 2.775, 3.6, 4.825, 4.825], atol=1e-9
    )
    assert table[audit.MEAN].tolist() == [2.7, 2.8, 3.6, 4.8, 4.8]
    half = audit.doctors(paper)["high"] - audit.doctors(paper)["effect"]
    np.testing.assert_allclose(half, [0.90, 1.37, 0.95, 0.56, 0.56], atol=0.005)


def test_what_is_printed_fails_where_it_contradicts_itself(paper):
    checks = {check.id: check for check in audit.printed_alone(paper)}
    failing = {name for name, check in checks.items() if check.status == "fail"}
    assert failing == {"A2.1", "A2.2", "A6.1", "A8.1", "A8.2", "A9", "A11"}
    assert "p = 0.007, Kendall's W = 0.88" in checks["A1.6"].recomputed
    assert "0.76 [" in checks["A1.6"].note
    assert checks["A3"].recomputed.split(": ", 1)[1].split("; ") == [
        "92.9 % for 50 videos",
        "94.0 % for 60 videos",
        "97.4 % for 141 videos",
    ]


def test_no_count_of_items_below_ten_gives_the_printed_scores(paper):
    values = audit.ratings(paper)
    assert audit.item_counts(values) == [10, 11, 12]
    # three items allow no other first decimals than 0, 3 and 7
    assert audit.item_counts(np.array([1.3, 2.7, 5.0]), high=3) == [3]
    # 19/6 cut off, 22/7, 25/8
    assert audit.item_counts(np.array([3.1]), high=8) == [6, 7, 8]


def test_concordance_is_one_for_one_order_and_nought_for_opposite_ones():
    assert audit.kendall_w(np.array([[1.0, 5.0], [2.0, 6.0], [3.0, 7.0]])) == pytest.approx(1)
    assert audit.kendall_w(np.array([[1.0, 3.0], [2.0, 2.0], [3.0, 1.0]])) == pytest.approx(0)


def test_the_doctors_become_records_of_four_units(paper):
    records = audit.rating_records(paper)
    assert len(records) == 20
    assert records["cluster"].nunique() == 4
    mean = records.groupby("arm")["value"].mean()
    assert mean["meant-CT"] == pytest.approx(2.775)
    assert mean["meant-ND"] == pytest.approx(4.825)


def test_the_public_sequences_are_those_that_were_described(public):
    assert len(public) == 141
    assert np.bincount(public.label).tolist() == [29, 27, 24, 30, 31]
    assert len(np.unique(public.twins)) == 98
    table = videos.describe([("public", public)]).droplevel("set")
    assert table["repeats"].round(1).tolist() == [2.1, 7.1, 1.9, 0.8, 0.9]
    assert table["actions / verbs / nouns"].tolist() == [
        "51 / 18 / 18",
        "48 / 22 / 20",
        "38 / 17 / 14",
        "23 / 13 / 11",
        "18 / 11 / 9",
    ]


def test_the_audit_of_the_public_sequences_gives_its_known_numbers(public):
    said = recognition.predictions(public)
    checks = {
        check.id: check for check in audit.public_sequences(public, said, seed=50, n_repeats=1)
    }
    assert checks["A4.1"].recomputed == "140 of 141 (99.3 %)"
    assert checks["A4.1"].note.endswith("98.6 %, 97.2 %, 99.3 %, 99.3 %")
    assert checks["A4.2"].recomputed == "98.6 %, 98.6 %, 99.3 % with 3, 5 and 10 components"
    assert checks["A4.3"].recomputed == (
        "bag of actions 98.6 %, last action 90.8 %, first action 74.5 %, number of actions 48.2 %"
    )
    assert checks["A5.2"].recomputed == "1.387 and 1.003"
    assert checks["A5.2"].note.startswith("33 % of pairs")
    assert checks["A5.3"].recomputed == "1.378 and 0.960"
    assert checks["A5.3"].note.startswith("28 % of pairs")
    assert checks["A5.4"].status == "fail"
    assert checks["A6.2"].printed == "printed: 172, 225, 108, 79, 65 edges"
    assert checks["A6.2"].recomputed == "a video has 46, 52, 42, 21, 16"
    assert checks["A6.2"].note.endswith("45, 47, 42, 20, 11")
    assert checks["A10"].recomputed == "58 of 141 videos have an exact copy"
    assert checks["A10"].note == "71 have another nearer than 0.2; 98 sequences differ"


def test_wrong_actions_cost_what_they_are_known_to_cost(public):
    records = recognition.sensitivity(public, source="open", repeats=4)
    mean = records[records["arm"] == "ton-noisy"].groupby("group")["value"].mean()
    # single draws of the same experiment by another program
    known = {"1": 0.993, "0.8": 0.983, "0.6": 0.942, "0.5": 0.902, "0.35": 0.740, "0.2": 0.557}
    for group, value in known.items():
        assert mean[group] == pytest.approx(value, abs=0.045)


def test_checks_become_rows_with_a_reason(paper):
    table = tables.checks(audit.printed_alone(paper))
    assert table["finding"].str.len().gt(0).all()
    assert table["check"].is_unique
