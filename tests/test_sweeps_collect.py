"""Collecting a sweep: tidy tables, missing points, the surface, the best setting, the summary."""

import json
import shutil

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from scipy import stats

from common import records
from common.errors import ReplicateError, UsageError
from common.runs import keys, store
from common.runs.files import read_json, write_json
from common.runs.sweeps import collect as collecting, selection, spec, summary, surface as surfaces
from toy_book import add_paper, edit

SEEDED = ("limit = None  # no limit", "limit = None  # no limit\nseed = 0  # of the training")


@pytest.fixture
def toy(book):
    edit(add_paper(book), *SEEDED)
    return book


def made_records(run_id, rows, *, metric="score", source="phantom"):
    """Return records; rows are (arm, seed, cluster, case, value)."""
    frame = pd.DataFrame(rows, columns=["arm", "seed", "cluster", "case", "value"])
    constant = {
        "paper": "toy",
        "run": run_id,
        "profile": "quick",
        "source": source,
        "fold": "",
        "group": "",
        "metric": metric,
    }
    return records.check(frame.assign(**constant))


def value_of(point, arm, cluster, rng):
    """A score that rises with the rate, more so for dice, with noise of patients and trainings."""
    level = 0.5 + 0.3 * point.get("rate", 0.5) + 0.05 * (point.get("loss") == "dice")
    return level + 0.1 * (arm == "two") + 0.01 * (cluster % 5) + 0.01 * rng.standard_normal()


def add_point(planner, point, *, n_clusters=12, frame=None, wall_s=None, **changed):
    """Write a complete run of one point without executing anything, and return its id."""
    plan = planner.plan(point)
    folder = store.runs_dir("toy") / plan.id
    rng = np.random.default_rng(point.get("seed", 0))
    rows = [
        (arm, 0, f"p{cluster}", f"c{cluster}", value_of(point, arm, cluster, rng))
        for arm in ("one", "two")
        for cluster in range(n_clusters)
    ]
    made = made_records(plan.id, rows) if frame is None else frame(plan.id)
    records.write(made, folder / store.RECORDS)
    store.write_notebook(folder / store.NOTEBOOK, plan.notebook)
    described = {
        "slug": "toy",
        "profile": "quick",
        "id": plan.id,
        "parameters": plan.parameters,
        "key": plan.parts,
        "git": {"commit": "a" * 40, "dirty": False},
        "versions": {"python": "3.12"},
        "hardware": {"cpu": "A processor", "cores": 2, "memory_gb": 8.0, "gpu": []},
        "threads": 1,
        "ended": "2026-01-01T00:00:00+00:00",
        "wall_s": 10.0 + 50 * point.get("rate", 0.5) if wall_s is None else wall_s,
        "cpu_s": 9.0,
        "peak_memory_mb": 100.0,
        "files": store.file_hashes(folder),
        **changed,
    }
    write_json(folder / "run.json", described)
    return plan.id


def grid(seeds=4, rates=(0.1, 0.5, 0.9), losses=("dice", "bce")):
    return [
        {"rate": rate, "loss": loss, "seed": seed}
        for rate in rates
        for loss in losses
        for seed in range(seeds)
    ]


def add_sweep(points, *, varied=("rate", "loss", "seed"), left_out=(), name=None, **options):
    """Write a sweep and its runs, those of some points (from 0) left out."""
    planner = keys.planner("toy", "quick")
    run_ids = [planner.plan(point).id for point in points]
    for number, point in enumerate(points):
        if number not in left_out:
            add_point(planner, point, **options)
    sweep = spec.make("toy", "quick", varied=varied, points=points, name=name)
    spec.write(sweep, run_ids)
    return sweep, run_ids


def test_the_table_has_one_row_for_each_run_and_arm_with_the_mean_over_cases(toy):
    sweep, run_ids = add_sweep(grid())
    found = collecting.collect(sweep.id)
    assert len(found.table) == 24 * 2
    assert list(found.table.columns[:6]) == [
        "sweep",
        "run_id",
        "point",
        "rate",
        "loss",
        "parameter_seed",
    ]
    row = found.table[(found.table["run_id"] == run_ids[5]) & (found.table["arm"] == "two")]
    stored = records.read(store.runs_dir("toy") / run_ids[5] / store.RECORDS)
    mean = stored.loc[stored["arm"] == "two", "value"].mean()
    assert row["mean"].item() == pytest.approx(mean, abs=1e-12)
    assert (row["n_cases"].item(), row["n_clusters"].item()) == (12, 12)
    assert (row["rate"].item(), row["parameter_seed"].item()) == (0.1, 1)
    assert row["wall_s"].item() == 15.0


def test_the_files_say_what_the_table_says(toy):
    sweep, run_ids = add_sweep(grid(seeds=2))
    found = collecting.collect(sweep.id)
    folder = spec.folder(sweep.id)
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "table.parquet"), found.table)
    text = pd.read_csv(folder / "table.csv")
    assert text["mean"].tolist() == pytest.approx(found.table["mean"].tolist())
    whole = pd.read_parquet(folder / "records.parquet")
    assert len(whole) == 12 * 2 * 12
    assert set(whole.columns) == {"point", "rate", "loss", "parameter_seed", *records.COLUMNS}
    one = whole[whole["point"] == 3]
    assert set(one["run"]) == {run_ids[2]}
    assert set(one["loss"]) == {"bce"}
    assert pq.ParquetFile(folder / "records.parquet").num_row_groups == 12


def test_nothing_but_whole_files_is_left_in_the_folder(toy):
    sweep, _ = add_sweep(grid(seeds=1))
    collecting.collect(sweep.id)
    names = sorted(path.name for path in spec.folder(sweep.id).iterdir())
    assert names == ["records.parquet", "sweep.json", "table.csv", "table.parquet"]
    with pytest.raises(UsageError):
        collecting.collect(sweep.id, metric="scroe")
    assert sorted(path.name for path in spec.folder(sweep.id).iterdir()) == names


def test_a_list_parameter_becomes_text_that_parquet_and_csv_can_hold(toy):
    points = [{"widths": [8, 16], "limit": 3}, {"widths": [16, 32], "limit": None}]
    sweep, _ = add_sweep(points, varied=("widths", "limit"))
    found = collecting.collect(sweep.id)
    assert sorted(set(found.table["widths"])) == ["[16, 32]", "[8, 16]"]
    assert found.table["limit"].isna().sum() == 2


def test_points_without_a_valid_run_are_listed_with_their_reason(toy):
    sweep, run_ids = add_sweep(grid(), left_out=(1, 2))
    failed = store.runs_dir("toy") / "failed" / run_ids[1] / "failure.json"
    write_json(failed, {"error": "toy: code cell 3 failed with ValueError: no", "cell": 3})
    path = store.runs_dir("toy") / run_ids[7] / store.RECORDS
    path.write_bytes(path.read_bytes()[:-1])
    found = collecting.collect(sweep.id)
    states = {one.point: (one.state, one.cell) for one in found.unfinished}
    assert states == {2: ("failed", 3), 3: ("not run", None), 8: ("damaged", None)}
    assert "ValueError: no" in found.unfinished[0].reason
    assert len(found.runs) == 21
    assert run_ids[7] not in set(found.table["run_id"])


def test_a_sweep_without_any_run_is_refused_with_the_remedy(toy):
    sweep, _ = add_sweep(grid(seeds=1), left_out=range(6))
    with pytest.raises(ReplicateError, match=r"no complete run: 6 not run.*`replicate sweep`"):
        collecting.collect(sweep.id)


def test_an_unknown_metric_is_refused_and_the_nearest_suggested(toy):
    sweep, _ = add_sweep(grid(seeds=1))
    with pytest.raises(UsageError, match=r"'scroe'.*Did you mean 'score'\?"):
        collecting.collect(sweep.id, metric="scroe")


def test_a_metric_that_is_not_declared_states_what_is_assumed(toy):
    def frame(run_id):
        return made_records(run_id, [("one", 0, "p", "c", 1.0)], metric="loss_at_end")

    sweep, _ = add_sweep(grid(seeds=1), frame=frame)
    found = collecting.collect(sweep.id)
    assert found.metric.id == "loss_at_end"
    assert "larger values are taken for better" in found.notes[0]


def test_missing_values_are_left_out_and_counted(toy):
    def frame(run_id):
        rows = [("one", 0, "p", "c", 1.0), ("one", 0, "q", "d", float("nan"))]
        return made_records(run_id, rows)

    sweep, _ = add_sweep(grid(seeds=1), frame=frame)
    found = collecting.collect(sweep.id)
    assert set(found.table["mean"]) == {1.0}
    assert set(found.table["n_missing"]) == {1}
    assert "6 values of score are missing" in found.notes[0]
    assert set(surfaces.surface(found).means["mean"]) == {1.0}


def test_the_interval_over_seeds_is_student_s(toy):
    sweep, _ = add_sweep(grid())
    found = surfaces.surface(collecting.collect(sweep.id))
    first = found.trainings[
        (found.trainings["setting"] == 0) & (found.trainings["series"] == "One")
    ]
    expected = stats.ttest_1samp(first["mean"], 0).confidence_interval(0.95)
    row = found.means[(found.means["setting"] == 0) & (found.means["series"] == "One")]
    assert row["low"].item() == pytest.approx(expected.low)
    assert row["high"].item() == pytest.approx(expected.high)
    assert row["n_seeds"].item() == 4


def test_two_seeds_give_no_interval(toy):
    sweep, _ = add_sweep(grid(seeds=2))
    collected = collecting.collect(sweep.id)
    assert surfaces.surface(collected).means["low"].isna().all()
    assert "no interval: 2 seeds" in summary.markdown(collected)


def test_a_marginal_averages_the_other_parameter_within_each_seed(toy):
    sweep, _ = add_sweep(grid())
    found = surfaces.surface(collecting.collect(sweep.id))
    points, means = surfaces.marginal(found, "rate")
    assert len(points) == 3 * 2 * 4
    mine = found.trainings[
        (found.trainings["seed"] == 2)
        & (found.trainings["series"] == "Two")
        & found.trainings["setting"].isin(found.settings.index[found.settings["rate"] == 0.9])
    ]
    point = points[(points["value"] == 0.9) & (points["series"] == "Two") & (points["seed"] == 2)]
    assert point["mean"].item() == pytest.approx(mine["mean"].mean())
    assert set(means["n_settings"]) == {2}


def test_a_missing_run_does_not_move_the_marginal_of_its_seed(toy):
    # without it the mean of seed 1 at dice would be one over the better rates alone
    sweep, _ = add_sweep(grid(), left_out=(1,))
    found = surfaces.surface(collecting.collect(sweep.id))
    points, means = surfaces.marginal(found, "loss")
    dice = means[(means["value"] == "dice") & (means["series"] == "One")]
    assert dice["n_seeds"].item() == 3
    assert set(points.loc[points["value"] == "dice", "seed"]) == {0, 2, 3}
    assert dice["mean"].item() == pytest.approx(0.72, abs=0.01)
    assert dice["high"].item() - dice["low"].item() < 0.02


def test_without_any_whole_seed_a_marginal_has_a_mean_and_no_interval(toy):
    points = [{"rate": 0.1, "loss": "dice", "seed": 0}, {"rate": 0.9, "loss": "dice", "seed": 1}]
    sweep, _ = add_sweep(points)
    _, means = surfaces.marginal(surfaces.surface(collecting.collect(sweep.id)), "loss")
    assert set(means["n_seeds"]) == {0}
    assert means["low"].isna().all()
    assert means["mean"].iloc[0] == pytest.approx(0.72, abs=0.01)


def test_trainings_that_two_runs_share_are_counted_once(toy):
    def frame(first):
        def made(run_id):
            rows = [("one", seed, "p", "c", float(seed)) for seed in (first, first + 1)]
            return made_records(run_id, rows)

        return made

    planner = keys.planner("toy", "quick")
    points = [{"seed": 0}, {"seed": 1}]
    run_ids = [add_point(planner, point, frame=frame(point["seed"])) for point in points]
    sweep = spec.make("toy", "quick", varied=["seed"], points=points)
    spec.write(sweep, run_ids)
    found = surfaces.surface(collecting.collect(sweep.id))
    assert found.trainings["seed"].tolist() == [0, 1, 2]
    assert "1 trainings have a seed" in found.notes[0]


def test_the_best_setting_is_found_in_the_direction_of_the_metric(toy):
    sweep, _ = add_sweep(grid())
    collected = collecting.collect(sweep.id)
    found = surfaces.surface(collected)
    best = selection.best(collected, found)
    assert [one.label for one in best] == ["rate = 0.9, loss = dice"] * 2
    assert best[0].seeds.low < best[0].mean < best[0].seeds.high
    assert best[0].clusters.low < best[0].mean < best[0].clusters.high
    assert best[0].n_clusters == 12
    assert len(best[0].run_ids) == 4
    path = toy / "data_manifests/papers/toy/paper.yml"
    edit(path, "label: Score, unit: fraction", "label: Score, unit: fraction, better: lower")
    collected = collecting.collect(sweep.id)
    best = selection.best(collected, surfaces.surface(collected))
    assert best[0].label == "rate = 0.1, loss = bce"


def test_choosing_among_equals_is_too_good_by_what_order_statistics_say():
    rng = np.random.default_rng(1)
    found = [
        selection.optimism(
            rng.standard_normal((40, 8)), np.ones((40, 8)), higher=higher, unit="clusters"
        )
        for higher in (True, False)
        for _ in range(40)
    ]
    # the largest of 8 normal means of 20, whose other half knows nothing of it
    expected = 1.4236 / np.sqrt(20)
    assert np.mean([one.value for one in found]) == pytest.approx(expected, rel=0.15)


def test_a_setting_that_wins_everywhere_is_not_flattered():
    sums = np.random.default_rng(0).standard_normal((10, 1)) + np.array([[0.0, 9.0]])
    found = selection.optimism(sums, np.ones((10, 2)), higher=True, unit="seeds")
    assert found.value == pytest.approx(0, abs=1e-12)
    assert found.honest == pytest.approx(sums[:, 1].mean())


def test_the_pareto_front_keeps_ties_and_drops_what_is_beaten():
    cost, value = np.array([1.0, 1.0, 2.0, 3.0]), np.array([0.5, 0.5, 0.4, 0.6])
    assert surfaces.pareto(cost, value, higher=True).tolist() == [True, True, False, True]
    assert surfaces.pareto(cost, -value, higher=False).tolist() == [True, True, False, True]


def test_outputs_of_the_authors_are_not_part_of_the_surface(toy):
    def frame(run_id):
        ours = made_records(run_id, [("one", 0, "p", "c", 0.2)])
        theirs = made_records(run_id, [("two", 0, "p", "c", 0.9)], source="authors")
        return records.check(pd.concat([ours, theirs]))

    sweep, _ = add_sweep(grid(seeds=1), frame=frame)
    found = surfaces.surface(collecting.collect(sweep.id))
    assert found.series == ("One",)
    assert "source authors" in found.notes[0]


def test_runs_that_mix_code_or_machines_are_warned_of(toy):
    sweep, run_ids = add_sweep(grid())
    path = store.runs_dir("toy") / run_ids[0] / "run.json"
    run = read_json(path)
    run["hardware"]["cpu"], run["git"]["dirty"] = "Another", True
    run["key"]["modules"] = {"common.records": "changed"}
    write_json(path, run)
    text = summary.markdown(collecting.collect(sweep.id))
    for part in (
        "2 states of the code",
        "2 kinds of machines",
        "1 runs were made with uncommitted",
    ):
        assert part in text
    assert "sets of versions" not in text


def test_the_markdown_shows_counts_means_and_failures_and_nothing_breaks_its_tables(toy):
    sweep, run_ids = add_sweep(grid(), left_out=(0,), name="night")
    failed = store.runs_dir("toy") / "failed" / run_ids[0] / "failure.json"
    write_json(failed, {"error": "toy: a|b <script> @you\nsecond line `x`", "cell": 4})
    text = summary.markdown(collecting.collect(sweep.id))
    assert "### Sweep night" in text
    assert "23 of 24 points have a complete run, 1 failed" in text
    assert "±" in text
    assert "<script>" not in text.replace("\\<script\\>", "")
    assert "@you" not in text
    for block in text.split("\n\n"):
        rows = [line for line in block.splitlines() if line.startswith("|")]
        columns = {line.replace("\\|", "").count("|") for line in rows}
        assert len(columns) <= 1, block
    assert "unequal numbers of seeds" in text


def test_the_markdown_shows_at_most_thirty_settings(toy):
    points = [{"rate": number / 64} for number in range(1, 41)]
    sweep, _ = add_sweep(points, varied=("rate",), n_clusters=2)
    text = summary.markdown(collecting.collect(sweep.id))
    assert "... and 10 more settings" in text
    assert sum(line.startswith("| 0.") for line in text.splitlines()) == 30


def test_numbers_have_the_digits_that_their_interval_supports():
    shown = summary.Scale("x", "", 1.0)
    assert shown.number(123.456, 20.0) == "123"
    assert shown.number(0.123456, 0.0021) == "0.1235"
    assert shown.number(-0.5, None) == "−0.5"
    assert shown.number(float("nan")) == "–"


def test_a_sweep_is_collected_after_the_chapter_changed(toy):
    sweep, _ = add_sweep(grid(seeds=1))
    shutil.rmtree(toy / "notebooks")
    (toy / "notebooks").mkdir()
    assert len(collecting.collect("toy").runs) == 6
    assert json.loads((spec.folder(sweep.id) / "sweep.json").read_text())["slug"] == "toy"
