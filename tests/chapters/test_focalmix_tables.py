"""Tables and figures of the FocalMix page: made of the right numbers."""

import numpy as np
import pandas as pd
import pytest
import torch

from common import papers
from common.chapters.focalmix import audit, experiment, measures, pictures, scans, tables
from common.metrics.detection import Matches
from common.models.focalmix_training import anchors_for
from common.statistics.audit import Check

ARMS = [arm.name for arm in experiment.plan(2)]


@pytest.fixture(scope="module")
def paper():
    return papers.load("focalmix")


def matches(share: float, seed: int) -> dict[str, Matches]:
    """A detector that finds a share of the nodules, better than any of its false positives."""
    rng = np.random.default_rng(seed)
    found = {}
    for i in range(30):
        hits = np.flatnonzero(rng.random(2) < share)
        score = np.concatenate([1 + rng.random(len(hits)), rng.random(10)])
        lesion = np.concatenate([hits, np.full(10, -1)]).astype(int)
        found[f"s{i:02d}"] = Matches(score, lesion, 2)
    return found


@pytest.fixture(scope="module")
def records():
    """FocalMix finds nine in ten nodules, everything else six, in three draws."""
    parts = [
        measures.records(
            matches(0.9 if arm.startswith(("focalmix", "repeat")) else 0.6, 10 * draw + 1),
            arm=arm,
            draw=draw,
            in_full=arm in tables.MAIN,
        )
        for arm in ARMS
        for draw in range(3)
    ]
    table = pd.concat(parts, ignore_index=True)
    return table.assign(paper="focalmix", run="r", profile="quick", source="phantom", fold="")


@pytest.fixture(scope="module")
def found(records):
    rng = np.random.default_rng(0)
    return tables.curves({"quick": records}, rng=rng, n_resamples=50)


def test_published_numbers_stand_beside_those_of_the_phantom(paper, records, found):
    numbers = tables.published_and_replicated(paper, found)
    assert len(numbers) == 2 * 6 * 8
    cell = numbers.set_index(["kind", "row", "metric"]).sort_index()
    assert cell.loc[("published", "FocalMix, 25", "CPM"), "value"] == 78.1
    assert cell.loc[("published", "Supervised, 100", "8 FPs/scan"), "value"] == 94.5
    own = cell.loc[("quick", "FocalMix, 25", "CPM")]
    mean = records[(records["arm"] == "focalmix-25") & (records["metric"] == "cpm")]["value"].mean()
    assert own["value"] == pytest.approx(100 * mean)
    assert own["low"] < own["value"] < own["high"]
    assert own["n"] == 30


def test_gains_are_differences_of_the_two_rows(paper, found):
    table = tables.gains(tables.published_and_replicated(paper, found), paper)
    assert table.loc[("25 annotated", "published"), "CPM"] == pytest.approx(11.5)
    printed = table.xs("published", level="run").drop(columns="CPM")
    assert printed.loc["25 annotated"].min() == pytest.approx(9.7)
    assert printed.loc["25 annotated"].max() == pytest.approx(14.0)
    assert printed.loc["100 annotated", "0.125"] == pytest.approx(8.5)
    assert printed.loc["100 annotated", "8"] == pytest.approx(1.6)
    assert table.loc[("50 annotated", "quick"), "CPM"] == pytest.approx(30, abs=12)


def test_variants_are_compared_with_focalmix_and_a_repeat_does_not_differ(paper, records):
    rows = tables.differences(paper, {"quick": records}, rng=np.random.default_rng(0))
    effect = rows.set_index("row")["effect"]
    assert len(rows) == len(tables.ABLATIONS)
    assert effect["FocalMix, trained again"] == pytest.approx(0.0)
    assert effect["Supervised"] == pytest.approx(-30, abs=12)
    assert (rows["low"] <= rows["effect"]).all()
    assert (rows["effect"] <= rows["high"]).all()


def test_the_factorial_leaves_gaps_where_nothing_was_trained(records):
    table = tables.factorial(records)
    assert table.loc["soft-focal"].notna().all()
    assert table.loc["hard-focal"].isna().tolist() == [False, True, True, False]
    assert table.loc["soft-focal", "both"] > table.loc["soft-focal", "neither"]


def test_a_training_whose_loss_rises_is_counted_and_named(paper):
    rows = [
        {"arm": arm, "metric": "loss_left", "value": value}
        for arm, value in (("no-ramp", 1.2), ("no-ramp", 0.4), ("one-flip", 0.3), ("repeat", 0.5))
    ]
    row = tables.losses_left(paper, {"quick": pd.DataFrame(rows)}).loc["quick"]
    assert row[["trainings", "came down"]].tolist() == [4, 3]
    assert row["median"] == pytest.approx(45)
    assert row["most"] == pytest.approx(80)
    assert row["arm with most"] == paper.arm("no-ramp").label


def test_the_dial_shows_the_gain_at_each_stand():
    rows = [
        {"arm": f"dial-{kind}", "group": f"contrast {stand:g}", "metric": "cpm", "value": value}
        for stand, kind, value in (
            (0, "supervised", 0.02),
            (0, "focalmix", 0.02),
            (1.2, "supervised", 0.5),
            (1.2, "focalmix", 0.6),
        )
    ]
    table = tables.dial({"quick": pd.DataFrame(rows)})
    assert table["quick", "gain"].tolist() == pytest.approx([0.0, 10.0])


def test_the_worth_in_annotated_scans_is_read_off_the_printed_curve(paper):
    worth = tables.worth(paper)
    assert worth.loc[25, "annotated scans for it"] == pytest.approx(50 * 2 ** (2.7 / 7.4))
    expected = 50 * 2 ** (6.6 / 7.4)
    assert worth.loc[50, "annotated scans for it"] == pytest.approx(expected)
    assert worth.loc[100, "times"] == pytest.approx((533 / 100) ** (4.4 / 6.4))


def test_checks_tell_what_was_printed_and_what_came_out():
    items = [
        Check("A1", "sums", "pass", 66.6, 66.5428571),
        Check("A2", "words", "fail", None, "4 of 5", "a note"),
        Check("A3", "order", "pass"),
    ]
    findings = tables.checks(items)["finding"].tolist()
    assert findings == ["printed: 66.6; recomputed: 66.543", "recomputed: 4 of 5; a note", "–"]


def test_more_scans_and_more_draws_find_smaller_differences():
    table = tables.detectable((60, 240), (3, 10))
    assert (table.iloc[0] > table.iloc[1]).all()
    assert (table["3 draws"] > table["10 draws"]).all()


def test_an_archive_stands_beside_the_run_unless_it_is_the_run(records):
    class Stored:
        profile = "standard"

    Stored.records = records.head(1)
    assert list(tables.runs_of(records, Stored(), "quick")) == ["quick", "standard"]
    assert list(tables.runs_of(records, Stored(), "standard")) == ["standard"]
    assert list(tables.runs_of(records, None, "quick")) == ["quick"]


def test_figures_show_every_arm_and_the_published_points(paper, records, found):
    figure = pictures.froc_by_budget(paper, found["quick"], run="quick")
    assert len(figure.axes) == 3
    for axes, budget in zip(figure.axes, (25, 50, 100), strict=True):
        lines = {line.get_label(): line.get_ydata() for line in axes.lines}
        printed = audit.printed_row(paper, f"focalmix-{budget}")[[*audit.RATES]]
        np.testing.assert_allclose(lines["FocalMix, published"], printed)
        assert set(lines) == {
            f"{name}, {kind}"
            for name in ("supervised", "FocalMix")
            for kind in ("quick run", "published")
        }
    curve = pictures.unlabelled_curve(paper, {"quick": records})
    thin = [line for line in curve.axes[0].lines if line.get_linewidth() < 1]
    assert len(thin) == 3


def test_the_map_of_a_slice_shows_the_anchors_of_that_slice():
    anchors = anchors_for(16)
    prob = np.zeros(len(anchors.boxes))
    # the second anchor of the point (1, 2, 3) of the finest grid
    prob[2 * np.ravel_multi_index((1, 2, 3), (4, 4, 4)) + 1] = 0.7
    shown = pictures.anchor_map(prob, anchors, depth=5)
    assert shown.shape == (4, 4)
    assert shown[2, 3] == 0.7
    assert shown.sum() == pytest.approx(0.7)
    assert pictures.anchor_map(prob, anchors, depth=9).sum() == 0


def test_pictures_of_scans_draw_what_is_asked_for():
    volumes = scans.held_out(8, seed=3, size=24)
    places = [i for i, boxes in enumerate(volumes.boxes) if len(boxes)][:2]
    figure = pictures.mixups(volumes, (places[0], places[1]))
    before, whole, parts = (axes.images[0].get_array() for axes in figure.axes[:3])
    assert not np.allclose(before, whole)
    depth = int(np.rint(volumes.centres_mm[places[0]][0][0]))
    np.testing.assert_allclose(before, volumes.image[places[0], 0, depth])
    changed = ~np.isclose(before, parts)
    assert 0 < changed.mean() < 0.5
    anchors = anchors_for(24)
    prob = np.random.default_rng(0).random((4, len(anchors.boxes)))
    shown = pictures.flips_on_a_slice(
        volumes, places[0], prob, prob.mean(axis=0), anchors, ["a", "b", "c", "d"]
    )
    assert sum(bool(axes.images) for axes in shown.axes) >= 7
    assert len(pictures.gallery(volumes, places, ["x", "y"]).axes) == 2
    curves = pictures.loss_curves((0.0, 0.5), gamma=2.0).axes[0].lines
    assert [float(torch.as_tensor(line.get_ydata()).min()) < 1e-3 for line in curves] == [True] * 2


def test_loss_and_targets_are_drawn_over_the_steps_averaged_over_draws():
    rows = [
        {"arm": "a", "metric": metric, "case": f"step-{step:05d}", "seed": draw, "value": value}
        for metric in ("score_loss", "targets_found", "target_mass")
        for step, draw, value in ((10, 0, 1.0), (10, 1, 3.0), (20, 0, 4.0), (20, 1, 4.0))
    ]
    figure = pictures.training(pd.DataFrame(rows), {"a": "one arm"})
    for axes in figure.axes:
        assert axes.lines[0].get_xdata().tolist() == [10, 20]
        assert axes.lines[0].get_ydata().tolist() == [2.0, 4.0]
