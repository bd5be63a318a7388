"""The transcribed tables are the printed ones, and the audit finds the faults that are known."""

import csv
from pathlib import Path

import pytest

from common import papers, paths
from common.chapters.tofi_ml import audit, printed, tables, toy
from common.models import tofi_ml

TRANSCRIBED = paths.root().parent / "shared" / "papers" / "tofi-ml" / "tables"


@pytest.fixture(scope="module")
def paper():
    return papers.load("tofi-ml")


@pytest.fixture(scope="module")
def checks(paper):
    return {check.id: check for check in audit.printed_alone(paper)}


@pytest.mark.parametrize("table", ["prose", *(f"table{n}" for n in range(1, 7))])
def test_every_printed_number_is_transcribed(table):
    theirs = TRANSCRIBED / f"{table}.csv"
    if not theirs.exists():
        pytest.skip("the second transcription is not here")
    ours = paths.paper_dir("tofi-ml") / f"{table}.csv"
    first, second = (
        list(csv.reader(Path(each).read_text(encoding="utf-8").splitlines()))
        for each in (ours, theirs)
    )
    assert first[1:] == second[1:]


def test_the_printed_numbers_fail_where_they_contradict_each_other(checks):
    failing = {name for name, check in checks.items() if check.status == "fail"}
    expected = "A9 A10 A11 A13 A14 A15 A16 A17 A18 A19 A22 A24 A25 A27 A28 A30"
    assert failing == set(expected.split())


def test_the_confusion_matrices_behind_the_printed_rates_are_found(paper):
    for row, cells in {"ToFi-ML": (8, 1, 6, 65), "ToFi-ML SMOTE": (11, 2, 3, 64)}.items():
        assert printed.amd_cells(paper, row) == printed.Cells(*cells)
    found = printed.confusion(paper, "table4", "ToFi-ML", 130, 1)
    assert printed.cells_of(found) == [printed.Cells(17, 7, 17, 89)]


def test_six_areas_are_counts_of_the_pairs_of_fourteen_and_sixty_six(paper):
    areas = [each.value for each in printed.amd_areas(paper)]
    pairs = [round(area * 924) for area in areas]
    assert sorted(pairs) == [750, 759, 782, 837, 844, 855]
    for area, count in zip(areas, pairs, strict=True):
        assert round(count / 924, 4) == area


def test_the_balanced_results_fit_no_fifth_of_336(paper):
    sizes = printed.balanced_sizes(paper)
    assert sizes["accuracies"] == [66, 132, 198]
    assert sizes["all"][0] == 132


def test_the_standard_error_of_an_area_has_its_closed_form():
    assert printed.hanley_mcneil(0.9134, 14, 66) == pytest.approx(0.053, abs=0.001)
    # one pair: the area is right or wrong, a Bernoulli variable
    assert printed.hanley_mcneil(0.7, 1, 1) == pytest.approx((0.7 * 0.3) ** 0.5)
    assert printed.hanley_mcneil(1.0, 20, 20) == 0


def test_numbers_of_the_audit_are_those_of_an_independent_reading(checks):
    assert "86.2 to 97.3" in checks["A9"].recomputed
    assert "52.4 to 92.4" in checks["A10"].recomputed
    assert "0.625" in checks["A11"].recomputed
    assert "P 90.22 R 77.81 F1 82.23" in checks["A15"].recomputed
    assert "P 90.07 R 87.77 F1 88.86" in checks["A15"].recomputed
    assert "z -3.5, p 0.0004" in checks["A22"].recomputed
    assert "FP 17 to 17, FN 23 to 23" in checks["A21"].recomputed
    assert "43 s" in checks["A4"].recomputed
    assert "CycleGAN [59] by 5.6" in checks["A16"].note


def test_the_toy_image_has_the_printed_diagrams_and_not_the_printed_vector(paper):
    for dimension, found in enumerate((tofi_ml.components(toy.IMAGE), tofi_ml.holes(toy.IMAGE))):
        finite = [pair for pair in toy.intervals(paper, dimension) if pair[1] < 9]
        assert sorted(map(tuple, found.T.tolist())) == sorted(finite)
    assert tofi_ml.betti(toy.IMAGE)[0, 1:6].tolist() == [5, 5, 2, 1, 1]
    assert toy.vector(paper, 0) == [5, 4, 2, 1, 1]
    assert toy.counts(toy.intervals(paper, 1), 5) == toy.vector(paper, 1)


def test_recalls_of_the_paper_s_rows_have_the_widest_intervals(paper):
    rows = tables.table2_intervals(paper)
    recall = rows[rows["kind"] != "accuracy"].set_index("row")
    width = (recall["high"] - recall["low"]).sort_values()
    assert set(width.index[-2:]) == {"ToFi-ML", "ToFi-ML SMOTE"}
    assert recall.loc["ToFi-ML SMOTE", "low"] == pytest.approx(52.4, abs=0.05)


def test_published_cells_stand_beside_the_mean_over_splits(paper):
    import pandas as pd

    rows = [
        {"arm": "dr-select", "seed": 0, "fold": f"0.{k}", "metric": "accuracy", "value": value}
        for k, value in enumerate((0.8, 0.9))
    ]
    records = pd.DataFrame(rows).assign(source="phantom")
    found = tables.published_and_replicated(paper, "table3", records, None, profile="quick")
    mine = found[found["metric"] == "Accuracy"].set_index("kind")["value"]
    assert mine["published"] == 94.5
    assert mine["quick"] == pytest.approx(85)
    assert set(found["row"]) == {"ToFi-ML"}


def test_every_cell_of_the_paper_s_own_rows_has_an_arm(paper):
    cells = {table: list(tables._cells(paper, table)) for table in (*tables.ROWS, "table6")}
    assert {table: len(each) for table, each in cells.items()} == {
        "table2": 10,
        "table3": 4,
        "table4": 8,
        "table5": 4,
        "table6": 28,
    }
    declared = {arm.id for arm in paper.arms}
    assert {cell[2] for each in cells.values() for cell in each} <= declared
