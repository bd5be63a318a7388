"""Tables and curves of the HEp-2 page: made of the right numbers."""

import numpy as np
import pandas as pd
import pytest

from common import papers
from common.chapters.hep2 import study, tables
from common.datasets import hep2_author_results
from common.statistics.audit import Check


@pytest.fixture(scope="module")
def paper():
    return papers.load("hep2")


@pytest.fixture(scope="module")
def simulated():
    return study.load(None, rng=np.random.default_rng(1))


@pytest.fixture(scope="module")
def results(mirror):
    return hep2_author_results.load(mirror("hep2-author-results"))


def records(arms, metric, value):
    rows = [
        {"arm": arm, "metric": metric, "source": "phantom", "cluster": f"p{i}", "value": value}
        for arm in arms
        for i in range(4)
    ]
    return pd.DataFrame(rows)


def test_published_numbers_stand_beside_the_replicated_ones_in_percent(paper):
    parts = [
        records(hep2_author_results.CONFIGS, metric, value)
        for metric, value in (
            ("label_correct", 0.5),
            ("intensity_correct", 0.75),
            ("pixel_accuracy", 1.0),
        )
    ]
    numbers = tables.published_and_replicated(
        paper, pd.concat(parts), None, rng=np.random.default_rng(0)
    )
    beside = tables.side_by_side(numbers)
    assert list(beside.columns) == ["published", "this run"]
    assert beside.loc[("Label accuracy", "BCE, 30 epochs, α 0.06")].tolist() == [
        "78.8",
        "50.0 [50.0, 50.0]",
    ]
    assert beside.loc[("Mask accuracy", "Dice, 35 epochs, α 0.06")].tolist() == [
        "97.2",
        "100.0 [100.0, 100.0]",
    ]


def test_joint_tests_of_the_release_have_the_known_values(results):
    """Values of an independent analysis of the same files."""
    six = study.load(results, rng=np.random.default_rng(0))
    label, intensity = tables.joint(six, "label"), tables.joint(six, "intensity")
    assert label["Friedman, p"] == pytest.approx(0.57, abs=0.005)
    assert intensity["Friedman, p"] == pytest.approx(0.16, abs=0.005)
    assert label["randomised blocks, F"] == pytest.approx(1.36, abs=0.006)
    assert intensity["randomised blocks, F"] == pytest.approx(1.11, abs=0.006)
    assert label["Nemenyi critical difference"] == pytest.approx(3.37, abs=0.005)
    assert label["scatter left (points)"] == pytest.approx(2.0, abs=0.05)


def test_patches_of_the_release_are_worth_a_few_hundred(results):
    six = study.load(results, rng=np.random.default_rng(0))
    alike = tables.clustering(six, "label")
    assert 0.41 <= float(alike["intraclass correlation"]) <= 0.59
    assert 25 <= tables.measured_design_effect(six) <= 36
    assert alike["patients wrong under all six"] == "12"
    assert alike["patients right under all six"] == "193"


def test_the_slope_rises_only_where_columns_were_copied(paper, results):
    rows = tables.slope_rows(paper, results).set_index("row")
    rise = rows["right"] - rows["left"]
    assert rise.idxmax() == "BCE, 30 epochs, α 0.06"
    assert rise.max() == pytest.approx(1.79, abs=0.01)
    assert rise.drop(rise.idxmax()).abs().max() < 0.3


def test_a_larger_design_effect_makes_the_ordering_less_sure(paper, simulated):
    curve = tables.congruence(paper, simulated)
    independent, respected = curve["probability"].values()
    assert (np.asarray(respected) >= np.asarray(independent)).all()
    assert 0 < curve["measured"] < 1


def test_checks_of_a_run_and_of_an_archive_look_the_same():
    check = Check("A1", "sums", "fail", "1", "2", "off by one")
    stored = {"id": "A1", "statement": "sums", "status": "fail", "printed": "1"}
    stored |= {"recomputed": "2", "note": "off by one"}
    assert tables.checks([check]).equals(tables.checks([stored]))
    assert tables.checks([check])["finding"].item() == "printed: 1; recomputed: 2; off by one"
    assert tables.checks([]).empty


def test_simulated_studies_are_averaged_against_their_nominal_rates(paper):
    simulated = pd.DataFrame(
        {
            "arm": ["naive-mcnemar"] * 4 + ["fold-bootstrap"] * 2,
            "metric": ["rejected"] * 4 + ["covered"] * 2,
            "value": [1.0, 1.0, 0.0, 0.0, 1.0, 0.0],
        }
    )
    table = tables.calibration(paper, simulated)
    assert table["rate (%)"].tolist() == [50.0, 50.0]
    assert table["should be (%)"].tolist() == [5.0, 95.0]


def test_learning_curves_show_the_end_on_every_test_fold(paper, results):
    figure = tables.learning_figure(results, pd.DataFrame(), paper)
    assert len(figure.axes) == 6
    for axes in figure.axes:
        assert len(axes.lines[1].get_xdata()) == 5
