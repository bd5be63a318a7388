"""The audit of the casualty-care paper: 242 clips, impossible cells, what cannot be shown."""

import numpy as np
import pytest
from scipy import stats

from common import papers
from common.chapters.casualty_action import audit


@pytest.fixture(scope="module")
def paper():
    return papers.load("casualty-action")


@pytest.fixture(scope="module")
def checks(paper):
    return {check.id: check for check in audit.checks(paper)}


def test_rows_have_the_known_denominators_and_cric_has_none(paper):
    assert audit.row_sizes(paper) == {"Tour": 45, "CRIC": None, "CT": 87, "ND": 59, "IO": 21}


def test_only_242_clips_give_the_average_row(paper):
    fits = audit.weighted_fits(paper)
    assert fits[[*audit.ROWS, "total"]].values.tolist() == [[45, 30, 87, 59, 21, 242]]
    weights = np.array([45, 30, 87, 59, 21])
    table = paper.table("table2").pivot_table("value", "row", "column", sort=False)
    for column in audit.COLUMNS:
        mean = weights @ table.loc[list(audit.ROWS), column] / 242
        assert mean == pytest.approx(table.loc["Average", column], abs=0.006)


def test_counts_of_right_actions_sum_to_the_printed_average(paper):
    found = audit.action_counts(paper)
    assert found["right"].tolist() == [11, 2, 12, 16, 3]
    assert found["right"].sum() == 44
    assert round(100 * 44 / 242, 2) == 18.18


def test_the_known_contradictions_are_found_and_no_others(checks):
    failing = {name for name, check in checks.items() if check.status == "fail"}
    assert failing == {
        "P2 videos",
        "P5 swap",
        "P6 CRIC",
        "P7 verb",
        "P8 plain",
        "P9 clips",
        "P10 common",
        "P12 reason",
        "P14 elsewhere",
        "P15 204",
        "P16 power",
    }
    open_ = {name for name, check in checks.items() if check.status == "undecidable"}
    assert open_ == {"P3 scarcity", "P4 frames", "P13 differ"}


def test_findings_name_their_numbers(checks):
    assert checks["P2 videos"].printed == "62 and 99"
    assert checks["P5 gap"].recomputed == pytest.approx(2.42)
    assert "11 actions and 9 verbs of 45" in checks["P7 verb"].recomputed
    assert checks["P8 plain"].recomputed == "24.00, 30.68, 17.26, 69.31, 66.24, 33.56"
    assert checks["P9 top-1"].recomputed == "44 of 242"
    assert checks["P10 common"].note.endswith("9.80, 15.69, 12.25, 18.14")
    assert "EGTEA Gaze+ 20.86 behind" in checks["P14 elsewhere"].recomputed
    assert "CT 87, ND 59" in checks["P12 reason"].recomputed
    assert "15.39% fits none" in checks["P6 CRIC"].recomputed
    assert "5.6 a class, chance 0.79 %" in checks["P3 scarcity"].recomputed


def test_no_pairing_of_five_clips_is_significant():
    for discordant in range(5, 100, 2):
        expected = stats.binomtest((discordant + 5) // 2, discordant).pvalue
        assert audit.smallest_p(5, discordant) == pytest.approx(expected)
        assert expected >= 0.0625
    assert audit.smallest_p(6) == pytest.approx(2 / 2**6)


def test_clips_needed_are_those_of_the_normal_law():
    for share, about in ((0.05, 670), (0.10, 1340), (0.15, 2000)):
        expected = 2.8016**2 * (share - 0.0242**2) / 0.0242**2
        found = audit.clips_needed(0.0242, share)
        assert found == pytest.approx(expected, abs=3)
        assert found == pytest.approx(about, abs=10)
