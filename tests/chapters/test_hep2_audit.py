"""The audit of the report finds the faults that are known, and only those."""

import pytest

from common import papers
from common.chapters.hep2 import audit
from common.datasets import hep2_author_results


@pytest.fixture(scope="module")
def paper():
    return papers.load("hep2")


@pytest.fixture(scope="module")
def alone(paper):
    return {check.id: check for check in audit.printed_alone(paper)}


@pytest.fixture(scope="module")
def results(mirror):
    return hep2_author_results.load(mirror("hep2-author-results"))


@pytest.fixture(scope="module")
def against_files(paper, results):
    return {check.id: check for check in audit.released(paper, results)}


def failing(checks):
    return {name for name, check in checks.items() if check.status == "fail"}


def test_printed_numbers_fail_where_they_contradict_each_other(alone):
    assert failing(alone) == {"P5 Fig. 6", "P5 Fig. 12", "P7", "P10", "P11"}


def test_the_copied_column_is_found_in_print_alone(alone):
    assert alone["P7"].printed == "Fig. 4 fold D = Fig. 6 fold D"


def test_the_wrong_mean_of_fig_6_is_named(alone):
    assert alone["P5 Fig. 6"].printed == "Label accuracy: 0.788, folds give 0.7996"


def test_printed_cells_that_the_files_contradict(paper, results):
    table = audit.compare(paper, results)
    wrong = table[table["match"] == "neither"]
    cells = set(
        zip(wrong["figure"], wrong["metric"].str.split().str[0], wrong["fold"], strict=True)
    )
    assert cells == {
        ("Fig. 4", "Mask", "Mean"),
        ("Fig. 6", "Mask", "D"),
        ("Fig. 6", "Label", "D"),
        ("Fig. 6", "Intensity", "D"),
        ("Fig. 6", "Label", "E"),
        ("Fig. 6", "Intensity", "E"),
        ("Fig. 6", "Label", "Mean"),
        ("Fig. 6", "Intensity", "Mean"),
        ("Fig. 8", "Intensity", "E"),
        ("Fig. 12", "Label", "Mean"),
    }


def test_the_origin_of_the_wrong_columns_is_found(paper, results):
    table = audit.compare(paper, results).set_index(["figure", "metric", "fold"])["origin"]
    for metric in ("Label accuracy", "Intensity accuracy"):
        assert "dice-30-0.06 fold D" in table["Fig. 6", metric, "D"]
        assert "bce-30-0.06 fold D" in table["Fig. 6", metric, "E"]


def test_files_agree_with_each_other(against_files):
    assert against_files["R3"].status == "pass"
    assert against_files["R4"].status == "pass"


def test_the_stored_dice_is_pixel_accuracy(against_files):
    check = against_files["R6"]
    assert check.status == "fail"
    assert "all 60,480 values" in check.recomputed


def test_the_patient_with_wrong_masks_is_named(against_files):
    assert "patient 00224" in against_files["R7"].recomputed


def test_the_logit_threshold_leaves_no_visible_bias(against_files):
    assert against_files["R8"].status == "pass"
