"""The audit of SOS: every cell a whole number of slides, and the known contradictions found."""

import pandas as pd
import pytest

from common import papers
from common.chapters.sos import audit, pairing
from common.chapters.sos.pairing import reach
from common.statistics.proportions import mcnemar


@pytest.fixture(scope="module")
def paper():
    return papers.load("sos")


@pytest.fixture(scope="module")
def checks(paper):
    return {check.id: check for check in audit.checks(paper)}


def test_all_20_cells_have_one_confusion_matrix_and_the_known_hits(paper):
    table = audit.cells(paper)
    assert len(table) == 20
    assert (table["fitting"] == 1).all()
    hits = table.groupby("method", sort=False)["tp"].agg(list).to_dict()
    assert hits == {
        "Image-Level": [99, 40, 28, 1],
        "Patch-Level": [98, 36, 8, 0],
        "Multi-Scale": [99, 37, 35, 4],
        "RDMS": [93, 43, 41, 5],
        "SOS (ours)": [95, 43, 41, 7],
    }
    false = table.groupby("method", sort=False)["fp"].agg(list).to_dict()
    assert false["Patch-Level"] == [45, 4, 14, 0]
    assert false["SOS (ours)"] == [4, 4, 9, 2]
    assert (table[["tp", "fp", "fn", "tn"]].sum(axis=1) == 205).all()


def test_the_cells_give_back_every_printed_rate_to_its_digits(paper):
    digits = audit.digits(paper, "table4")
    assert len(digits) == 80
    for row in audit.cells(paper).to_dict("records"):
        tp, fp, fn, tn = (row[name] for name in ("tp", "fp", "fn", "tn"))
        true = {
            "F1": 2 * tp / (2 * tp + fp + fn),
            "Precision": tp / (tp + fp) if tp + fp else 0.0,
            "Recall": tp / (tp + fn),
            "Specificity": tn / (tn + fp),
        }
        for rate, value in true.items():
            text = digits[row["method"], f"{row['class_name']} {rate}"]
            assert float(text) == pytest.approx(value, abs=1.0 * 10 ** -(len(text) - 2))


def test_cells_sum_to_the_printed_accuracies(paper):
    right, sums = audit.right_counts(paper), audit.summary(paper)
    assert right.to_dict() == dict(zip(audit.METHODS, (168, 142, 175, 182, 186), strict=True))
    assert (sums["right"] == right).all()
    assert (sums["wrong"] == 205 - right).all()
    expected = (0.637, 0.481, 0.727, 0.801, 0.851)
    assert sums["balanced accuracy"].round(3).tolist() == list(expected)
    assert sums["macro F1"].round(3).tolist() == [0.653, 0.470, 0.757, 0.809, 0.857]


def test_the_known_contradictions_are_found_and_no_others(checks):
    failing = {name for name, check in checks.items() if check.status == "fail"}
    assert failing == {
        "P4",
        "P5 Patch-Level",
        "P5 AMA Specificity",
        "P7 factor",
        "P7 accuracy",
        "P8 RDMS",
        "P8 parts",
        "P9",
        "P12 size",
        "P12 tables",
    }
    assert {name for name, check in checks.items() if check.status == "undecidable"} == {"P10"}


def test_findings_name_their_numbers(checks):
    assert "0.9090, exact 0.9091" in checks["P4"].printed
    assert "0.912, exact 0.9119" in checks["P4"].printed
    assert checks["P5 AMA Specificity"].recomputed == "Multi-Scale at 0.9813"
    assert checks["P7 factor"].recomputed.startswith("5.96 against Patch-Level, 7.74")
    assert "14.63 to 15.76" in checks["P8 SOS"].recomputed
    assert "108.7" in checks["P8 RDMS"].recomputed
    assert "19.6 s" in checks["P8 parts"].note
    assert checks["P9"].note.startswith("at least 5 of the 18")
    assert "+11" in checks["P10"].printed
    assert checks["P12 tables"].recomputed == "without 2"


def test_speed_boosts_are_the_ratios_of_times(checks):
    for method in audit.METHODS:
        assert checks[f"P6 {method}"].note == "rounded"


def test_rdms_can_never_be_beaten_significantly_and_multi_scale_only_if_errors_agree():
    assert reach(186, 182, 205).significant_up_to is None
    assert reach(186, 182, 205).smallest_p == 0.125
    assert reach(186, 175, 205).significant_up_to == 25
    image = reach(186, 168, 205)
    # every number of discordant slides that the counts allow is below the 74 that would do
    assert image.significant_up_to == image.most == 56
    assert image.unpaired_z == pytest.approx(2.59, abs=0.005)
    assert reach(186, 175, 205).unpaired_z == pytest.approx(1.67, abs=0.005)


@pytest.mark.parametrize(("first", "second", "n"), [(7, 1, 11), (5, 5, 8), (2, 6, 9), (8, 8, 8)])
def test_bounds_are_those_of_all_tables_tried_one_by_one(first, second, n):
    p, discordant = [], []
    for both in range(min(first, second) + 1):
        only_first, only_second = first - both, second - both
        neither = n - both - only_first - only_second
        if neither < 0:
            continue
        left = [1] * (both + only_first) + [0] * (only_second + neither)
        right = [1] * both + [0] * only_first + [1] * only_second + [0] * neither
        p.append(mcnemar(left, right).p)
        discordant.append(only_first + only_second)
    found = reach(first, second, n)
    assert (found.fewest, found.most) == (min(discordant), max(discordant))
    assert found.smallest_p == pytest.approx(min(p))
    assert found.largest_p == pytest.approx(max(p))
    below = [d for d, value in zip(discordant, p, strict=True) if value < 0.05]
    assert found.significant_up_to == (max(below) if below else None)


def test_counts_beyond_the_cases_are_refused():
    with pytest.raises(ValueError, match="must lie in 0 to 10"):
        reach(11, 3, 10)


def test_exact_and_wilson_intervals_are_the_known_ones(paper):
    recalls = pairing.recalls(paper).set_index(["method", "class_name"])
    tubules = recalls.loc["SOS (ours)", "SMA-T"]
    assert (tubules["low"], tubules["high"]) == pytest.approx((30.8, 89.1), abs=0.05)
    cost = dict.fromkeys(audit.METHODS, 0.5)
    totals = pairing.total_intervals(paper, cost=pd.Series(cost)).set_index("row")
    assert (totals["cost"] == 0.5).all()
    assert totals.loc["SOS (ours)", ["low", "high"]].round(1).tolist() == [86.0, 94.0]
    assert totals.loc["Patch-Level", ["low", "high"]].round(1).tolist() == [62.6, 75.2]


def test_each_class_is_compared_over_its_own_slides(paper):
    table = pairing.classes(paper)
    assert table["gain"].tolist() == [-4, 3, 13, 6]
    assert table["up to"].tolist() == ["never", "never", "23", "6"]
