"""Printed numbers and tables of the page."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from common import papers
from common.chapters.cell_detection import pairs, tables

TRANSCRIBED = Path(__file__).parents[3] / "shared/papers/cell-detection/tables"


@pytest.fixture(scope="module")
def paper():
    return papers.load("cell-detection")


@pytest.fixture
def transcribed():
    if not TRANSCRIBED.is_dir():
        pytest.skip("the second transcription of the tables is not part of the repository")
    return lambda name: pd.read_csv(TRANSCRIBED / name, dtype=str, keep_default_na=False)


def records(gain=0.0, seeds=(0, 1), clusters=6, metric="ap50"):
    rng = np.random.default_rng(0)
    rows = []
    for pair in pairs.PAIRS:
        for seed in seeds:
            for slide in range(clusters):
                level = 0.5 + 0.1 * rng.standard_normal()
                for arm, extra in (("baseline", 0.0), ("scr", 0.0), ("acr", gain)):
                    noise = 0.01 * rng.standard_normal()
                    rows.append((arm, f"s{slide}", seed, pair, metric, level + extra + noise))
    names = ["arm", "cluster", "seed", "group", "metric", "value"]
    table = pd.DataFrame(rows, columns=names)
    return table.assign(case=table["group"] + " " + table["cluster"])


def test_all_54_numbers_of_table_1_are_those_of_a_second_transcription(paper, transcribed):
    other = transcribed("table1.csv")
    theirs = {
        (row.row_label, *row.column_label.rsplit(" ", 1)): float(row.value)
        for row in other.itertuples()
    }
    ours = {
        (row.method, row.pair, row.metric): row.value for row in pairs.printed(paper).itertuples()
    }
    assert len(ours) == 54
    assert ours == theirs


def test_the_printed_means_over_six_pairs(paper):
    """Worked out by hand from Table 1."""
    means = pairs.printed(paper).groupby(["metric", "method"])["value"].mean().round(2)
    assert means["AP50:95"].to_dict() == {"ACR": 55.87, "Baseline": 54.13, "SCR": 55.07}
    assert means["AP50"].to_dict() == {"ACR": 83.8, "Baseline": 81.82, "SCR": 82.87}
    assert means["AP75"].to_dict() == {"ACR": 67.15, "Baseline": 65.10, "SCR": 66.37}


def test_the_table_is_shown_in_the_order_of_the_print(paper):
    table = tables.as_printed(paper)
    assert table.shape == (18, 3)
    assert table.index[0] == ("A→B", "Baseline")
    assert table.loc[("C→B", "ACR")].tolist() == [57.0, 83.4, 69.9]


def test_printed_numbers_stand_beside_replicated_ones_in_percent(paper):
    numbers = tables.published_and_replicated(paper, records(), None, profile="quick", seed=0)
    unseen = numbers[numbers["metric"] == "AP50, unseen"].set_index(["kind", "row"])
    assert unseen.loc[("published", "ACR"), "value"] == pytest.approx(83.8)
    assert unseen.loc[("quick", "Baseline"), "value"] == pytest.approx(50, abs=5)
    assert unseen.loc[("quick", "Baseline"), "n"] == 6


def test_a_planted_gain_is_found_on_every_pair_and_no_gain_is_not(paper):
    gained = tables.pair_gains(
        paper, records(gain=0.05, seeds=range(5), clusters=30), None, profile="quick"
    )
    here = gained[gained["kind"] == "quick"].set_index(["comparison", "pair"])
    acr, scr = here.loc["ACR − Baseline"], here.loc["SCR − Baseline"]
    assert len(here) == 18
    assert acr["value"].tolist() == pytest.approx([5.0] * 6, abs=1.0)
    assert (acr["low"] > 0).all()
    assert (acr["p"] < 0.05).all()
    assert (scr["p"] > 0.05).all()
    printed = gained[gained["kind"] == "published"].set_index(["comparison", "pair"])["value"]
    assert printed["ACR − Baseline", "A→B"] == pytest.approx(3.6)


def test_holm_multiplies_the_smallest_p_by_the_number_of_comparisons(paper):
    table = records(gain=0.05, clusters=30)
    only = table[table["group"] == "A→B"]
    alone = tables.pair_gains(paper, only, None, profile="quick")
    every = tables.pair_gains(paper, table, None, profile="quick")
    key = {"kind": "quick", "pair": "A→B", "comparison": "ACR − Baseline"}

    def p(frame):
        return frame[(frame[list(key)] == pd.Series(key)).all(axis=1)]["p"].item()

    assert p(every) > p(alone)


def test_own_scanner_and_unseen_ones_stand_side_by_side():
    seen = records(metric="seen_ap50")
    seen = seen[seen["group"].isin(["A→B"])].assign(group="A→A")
    unseen = records()
    unseen = unseen[unseen["group"].str.startswith("A")]
    table = tables.own_and_unseen(pd.concat([seen, unseen]))
    assert list(table.columns) == ["on A", "on B", "on C", "sd, trainings"]
    assert list(table.index) == [("A", "Baseline"), ("A", "SCR"), ("A", "ACR")]
    assert table.loc[("A", "Baseline"), "on A"] == pytest.approx(50, abs=6)


def test_the_noise_of_a_run_is_that_of_an_arm_against_itself(paper):
    table = records(gain=0.05)
    again = table[table["arm"] == "baseline"].assign(arm="repeat")
    again["value"] += 0.02
    size = tables.noise(pd.concat([table, again]), paper)
    assert size["printed"] == pytest.approx(1.983, abs=0.001)
    assert size["repeat"] == pytest.approx(2.0)
    assert size["acr"] == pytest.approx(5.0, abs=0.5)
    assert "lies below the noise" in tables.too_small(size)
    assert "lies above the noise" in tables.too_small(size | {"repeat": 0.1, "half_width": 0.2})


def test_the_dial_keeps_the_order_of_arms_and_distances():
    table = records(metric="ap50_shifted")
    table = table[table["group"].isin(["A→B", "A→C"])]
    table["group"] = table["group"].map({"A→B": "shift 2", "A→C": "shift 0.5"})
    shown = tables.dial(table, {"acr": "ACR", "baseline": "Baseline"})
    assert shown["arm"].drop_duplicates().tolist() == ["ACR", "Baseline"]
    assert shown.groupby("arm")["shift"].apply(list)["ACR"] == [0.5, 0.5, 2.0, 2.0]
    assert shown["value"].between(30, 70).all()


def test_checks_of_a_run_and_of_an_archive_look_the_same():
    from common.statistics.audit import Check

    check = Check("A1", "sums", "fail", "1", "2", "off by one")
    stored = {"id": "A1", "statement": "sums", "status": "fail", "printed": "1"}
    stored |= {"recomputed": "2", "note": "off by one"}
    assert tables.checks([check]).equals(tables.checks([stored]))
    assert tables.checks([check])["finding"].item() == "printed: 1; recomputed: 2; off by one"
    assert tables.checks([]).empty


def test_the_banner_names_the_command_that_brings_the_boxes():
    assert tables.banner(annotated=False)[0] == "phantom"
    assert "`replicate data fetch midogpp-annotations`" in tables.banner(annotated=False)[1]
    assert "fetch" not in tables.banner(annotated=True)[1]


def test_the_scatter_of_a_difference_is_split_as_it_was_put_together():
    rng = np.random.default_rng(0)
    n_slides, n_seeds = 400, 300
    d = (
        3 * rng.standard_normal((n_slides, 1))
        + 2 * rng.standard_normal((1, n_seeds))
        + rng.standard_normal((n_slides, n_seeds))
    ) / 100
    slide, seed = np.indices(d.shape)
    parts = [
        pd.DataFrame(
            {
                "arm": arm,
                "cluster": slide.ravel().astype(str),
                "seed": seed.ravel(),
                "metric": "ap50",
                "value": value.ravel(),
            }
        )
        for arm, value in (("repeat", d), ("baseline", 0 * d))
    ]
    found = tables.spreads(pd.concat(parts), arms=("repeat", "baseline"))
    expected = {"sd_cluster": 3, "sd_seed": 2, "sd_residual": 1}
    assert found == pytest.approx(expected, rel=0.1)


def test_more_trainings_find_smaller_gains_and_one_training_plans_nothing():
    table = records(seeds=range(4), clusters=20)
    again = table[table["arm"] == "baseline"].assign(arm="repeat")
    shift = dict(zip(range(4), (0.03, -0.02, 0.01, -0.04), strict=True))
    again["value"] += again["seed"].map(shift)
    sized = tables.detectable(pd.concat([table, again]), designs=((5, 60), (20, 60)))
    least = sized["three sources"]
    assert 0 < least[1] < least[0] < sized["one source"][0]
    one = pd.concat([table, again]).query("seed == 0")
    assert tables.detectable(one).empty
