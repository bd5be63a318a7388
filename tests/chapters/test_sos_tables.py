"""Tables of the SOS page: the published numbers complete, the measured ones averaged right."""

import numpy as np
import pandas as pd
import pytest

from common import papers
from common.chapters.sos import plots, tables
from common.chapters.sos.experiment import Outcome
from common.models.sos_switch import Cost
from common.statistics.audit import Check


@pytest.fixture(scope="module")
def paper():
    return papers.load("sos")


def records(**arms):
    rows = [
        {"arm": arm, "metric": "correct", "group": group, "cluster": f"s{i}", "value": value}
        for arm, values in arms.items()
        for group in ("negative", "AMA", "SMA-V", "SMA-T")
        for i, value in enumerate(values)
    ]
    return pd.DataFrame(rows)


ALL = records(image=[0, 0, 1, 1], patch=[0] * 4, multi=[1] * 4, rdms=[1] * 4, sos=[0, 1, 1, 1])


def test_bold_numbers_are_those_of_the_text(paper):
    bold = {
        name: int(paper.table(name)["note"].str.endswith("bold").sum())
        for name in ("table3", "table4")
    }
    assert bold == {"table3": 4, "table4": 24}


def test_published_and_measured_stand_side_by_side_in_percent(paper):
    numbers = tables.accuracy_numbers(paper, {"quick": ALL}, rng=np.random.default_rng(0))
    value = numbers.set_index(["metric", "row", "kind"])["value"]
    assert value["accuracy", "SOS (ours)", "published"] == 90.73
    assert value["accuracy", "SOS (ours)", "quick"] == 75
    assert value["decided at low resolution", "RDMS", "published"] == pytest.approx(55)
    recalls = tables.recall_numbers(paper, {"quick": ALL})
    assert recalls.loc[("SMA-T", "SOS (ours)"), "published"] == pytest.approx(63.64)
    assert recalls.loc[("Negative", "Image-Level"), "quick"] == 50


def test_accuracy_is_joined_to_the_work_it_takes(paper):
    work = ALL.assign(metric="cost_share", value=ALL["arm"].map({"sos": 0.25}).fillna(1.0))
    given = pd.concat([ALL, work])
    numbers = tables.accuracy_numbers(paper, {"quick": given}, rng=np.random.default_rng(0))
    points = tables.worth(numbers, given, "quick").set_index("row")
    assert points.loc["SOS (ours)", ["cost", "value"]].tolist() == [0.25, 75]
    assert points.loc["Patch-Level", ["cost", "value"]].tolist() == [1, 0]
    assert len(points) == 5


def test_the_gain_divides_by_arm(paper):
    given = pd.concat([ALL, records(**{"sos-low": [0, 0, 1, 1]})])
    parts = tables.gain_parts({"quick": given}).loc["quick"]
    assert parts.tolist() == [0, 25, 25]
    network, switch = tables.published_parts(paper)
    assert (network, switch) == pytest.approx((100 * 5 / 205, 100 * 13 / 205))


def outcome():
    low = np.array([[0.9, 0.1, 0, 0], [0.6, 0.4, 0, 0]], np.float32)
    high = np.array([[0.9, 0.1, 0, 0], [0.1, 0.9, 0, 0]], np.float32)
    found = {"low": low, "high": high}
    predictions = {("sos", 0): found, ("no-executive", 0): found, ("sos", 1): found}
    return Outcome(pd.DataFrame(), pd.DataFrame(), predictions, {}, np.array([0, 1]))


def test_curves_and_arrays_hold_every_seed():
    cost = Cost(low=1.0, both=10.0, high=9.0)
    curves = tables.switch_curves(outcome(), cost)
    assert set(curves["seed"]) == {0, 1}
    at = curves[(curves["c"] == 0.8) & (curves["seed"] == 0)].iloc[0]
    assert (at["accuracy"], at["low_share"], at["cost_share"]) == (1.0, 0.5, pytest.approx(0.55))
    seconds = pd.DataFrame({"low": [1.0], "high": [2.0], "both": [3.0]})
    kept = tables.arrays(outcome(), curves, seconds)
    assert kept["risk-sos"].shape == (2, 100)
    assert kept["risk-sos"][0, -1] == 0.5
    assert kept["sweep"].shape == (len(curves), 5)
    assert kept["seconds"].tolist() == [[1.0, 2.0, 3.0]]
    assert tables.swept(None, curves) is curves


def test_the_cost_model_is_applied_to_both_units():
    seconds = pd.DataFrame({"low": [1.0, 1.0], "high": [2.0, 2.0], "both": [5.0, 5.0]})
    table = tables.cost_check(seconds, Cost(1e6, 20e6, 19e6), 0.75)
    assert table["SOS"].tolist() == [pytest.approx(5.75), pytest.approx(2000)]
    assert table["ceiling"].tolist() == [20, 5]


def test_more_discordance_needs_more_slides():
    table = tables.sizes((0.1, 0.3), effect=11 / 205)
    assert table["slides needed"].is_monotonic_increasing
    # (z of 0.975 + z of 0.8)^2 sd^2 / effect^2, and two for the t
    expected = 2.8016**2 * (0.3 - (11 / 205) ** 2) / (11 / 205) ** 2
    assert table.loc["30%", "slides needed"] == pytest.approx(expected, abs=3)


def test_checks_of_a_run_and_of_an_archive_look_the_same():
    check = Check("A1", "sums", "fail", 1.25, 2.0, "off")
    stored = {"id": "A1", "statement": "sums", "status": "fail"}
    stored |= {"printed": 1.25, "recomputed": 2.0, "note": "off"}
    assert tables.checks([check]).equals(tables.checks([stored]))
    assert tables.checks([check])["finding"].item() == "printed: 1.25; recomputed: 2; off"
    assert tables.checks([Check("A2", "sums", "pass")])["finding"].item() == "–"


def test_figures_show_what_they_are_given(paper):
    curves = tables.switch_curves(outcome(), Cost(1.0, 10.0, 9.0))
    figure = plots.switch_at(curves, 0.8, (94.0, 90.73))
    assert "50% decided at low resolution, accuracy 100.0%" in figure.axes[0].get_title("left")
    lines = plots.executive_terms(0.8, 0.05).axes[0].lines
    ends = [(line.get_ydata()[0], line.get_ydata()[-1]) for line in lines]
    assert np.allclose(ends, [(0.35, 0), (0, 0.2), (0, 0)])
    risks = tables.all_risks(outcome(), None, "quick")
    assert [line.get_ydata()[-1] for line in plots.risk(risks).axes[0].lines] == [50, 50]
    points = pd.DataFrame(
        {"row": ["RDMS"], "cost": [0.5], "value": [80.0], "low": [70.0], "high": [90.0]}
    )
    drawn = plots.pareto(points, points, kind="quick").axes
    assert [axes.lines[0].get_xdata()[0] for axes in drawn] == [0.5, 0.5]
    assert (
        len(
            plots.gain_parts(
                tables.gain_parts(
                    {"quick": pd.concat([ALL, records(**{"sos-low": [0, 0, 1, 1]})])}
                ),
                (2.0, 6.0),
            )
            .axes[0]
            .patches
        )
        == 4
    )
