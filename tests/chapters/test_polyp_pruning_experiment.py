"""The pruning experiment: clean splits, records that add up, the same whatever the processes."""

import numpy as np
import pandas as pd
import pytest

from common.chapters.polyp_pruning import costs, experiment, inputs, mechanism
from common.chapters.polyp_pruning.curves import (
    AREA_LEVELS,
    LEFT,
    LEVELS,
    RIGHT,
    SCORES,
    area,
    knee,
    n_removed,
)
from common.chapters.polyp_pruning.experiment import Plan
from common.chapters.polyp_pruning.inputs import Frames
from common.datasets.cases import Cases
from common.errors import ReplicateError
from common.models.polyp_pruning import layout
from common.models.polyp_pruning_training import Settings, fit

SETTINGS = Settings(epochs=2, batch_size=8, lr=5e-3)


@pytest.fixture(scope="module")
def parts():
    frames = inputs.load("phantom", size=32, n=110, seed=77)
    return inputs.parts(frames, n_train=24, n_importance=14, n_measure=12, seed=0)


@pytest.fixture(scope="module")
def outcome(parts):
    plan = Plan(width=2, n_few=5, n_draws=2, settings=SETTINGS)
    return experiment.run(parts, plan, seeds=[0, 1], source="phantom", jobs=1)


def table(*sizes):
    rows = [(f"c{k}-{i}", f"c{k}") for k, n in enumerate(sizes) for i in range(n)]
    return pd.DataFrame(rows, columns=["case", "cluster"])


def test_no_cluster_lies_in_two_parts_but_for_twins():
    frames = table(*([1] * 50), 2, 2, 3, 4)
    part = inputs.deal(frames, n_train=20, n_importance=12, n_measure=15, seed=1)
    assert part.value_counts().to_dict() == {
        "train": 20,
        "measure": 15,
        "importance": 12,
        "spare": 9,
        "twin": 5,
    }
    for _, mine in part.groupby(frames["cluster"]):
        assert set(mine) in ({"measure", "twin"}, {mine.iloc[0]})
    # the larger half of each group is measured: 1 of 2, 1 of 2, 2 of 3, 2 of 4
    grouped = part[frames["cluster"].isin(["c50", "c51", "c52", "c53"])]
    assert grouped.value_counts().to_dict() == {"measure": 6, "twin": 5}
    again = inputs.deal(frames, n_train=20, n_importance=12, n_measure=15, seed=1)
    other = inputs.deal(frames, n_train=20, n_importance=12, n_measure=15, seed=2)
    assert part.equals(again)
    assert not part.equals(other)


def test_too_few_frames_are_refused_with_what_is_missing():
    with pytest.raises(ValueError, match="5 training frames are missing"):
        inputs.deal(table(*([1] * 20)), n_train=10, n_importance=5, n_measure=10, seed=0)


def test_a_leaky_training_set_is_as_large_and_holds_the_twins(parts):
    assert len(parts.leaky) == len(parts.train) == 24
    clean = set(parts.train.table["cluster"]) | set(parts.importance.table["cluster"])
    assert not clean & set(parts.measure.table["cluster"])
    shared = parts.measure.table["cluster"].isin(parts.leaky.table["cluster"])
    assert shared.tolist() == parts.twinned.tolist()
    assert parts.twinned.any()


def test_frames_that_look_alike_become_one_cluster_and_masks_keep_their_place():
    rng = np.random.default_rng(0)
    base = rng.random((3, 3, 11, 11)).repeat(16, axis=2).repeat(16, axis=3)
    image = np.round(255 * np.stack([base[0], base[1], base[0] * 0.9, base[2]])).astype(np.uint8)
    mask = np.zeros((4, 176, 176), dtype=bool)
    mask[:, 88:, :44] = True
    names = pd.DataFrame({"case": list("abcd"), "cluster": list("abcd")})
    found = inputs.real(Cases.of(names, image, mask=mask), size=32)
    assert found.table["cluster"].tolist() == ["a", "b", "a", "d"]
    assert found.image.shape == (4, 3, 32, 32)
    assert found.mask[0, 16:, :8].all()
    assert found.mask.mean() == pytest.approx(1 / 8)


def test_an_open_run_without_the_files_says_how_to_fetch_them(monkeypatch, tmp_path):
    monkeypatch.setattr("common.manifests.locate", lambda dataset: None)
    monkeypatch.setenv("REPLICATE_DATA", str(tmp_path))
    monkeypatch.setenv("REPLICATE_MIRROR", str(tmp_path / "none"))
    with pytest.raises(ReplicateError, match="replicate data fetch kvasir-seg-352"):
        inputs.load("open", size=32)
    assert inputs.banner("phantom", size=32)[0] == "phantom"
    assert "fetch kvasir-seg-352" in inputs.banner("phantom", size=32)[1]
    for wrong in ({"data": "real", "size": 32}, {"data": "open", "size": 40}):
        with pytest.raises(ValueError, match=r"`(data|size)` must be"):
            inputs.load(**wrong)


def test_real_frames_are_read_where_they_are(mirror):
    folder = mirror("kvasir-seg-352")
    from common.datasets import kvasir_seg_352

    found = inputs.real(kvasir_seg_352.load(folder)[::50], size=64)
    assert found.image.shape == (20, 3, 64, 64)
    assert 0.05 < found.mask.mean() < 0.3


def test_near_duplicates_are_told_from_frames_that_look_alike():
    rng = np.random.default_rng(0)
    base = rng.random((3, 11, 11)).repeat(16, axis=1).repeat(16, axis=2)
    frames = np.stack([base, base * 0.9, rng.random((3, 11, 11)).repeat(16, 1).repeat(16, 2)])
    names = pd.DataFrame({"case": list("abc"), "cluster": list("abc")})
    mask = np.zeros((3, 176, 176), dtype=bool)
    cases = Cases.of(names, np.round(255 * frames).astype(np.uint8), mask=mask)
    assert inputs.real(cases, size=32).table["copies"].tolist() == ["a", "a", "c"]
    table = pd.DataFrame(
        {
            "case": [f"f{i}" for i in range(40)],
            "cluster": [f"f{i // 2 * 2}" for i in range(40)],
            "copies": [f"f{0 if i == 1 else i}" for i in range(40)],
        }
    )
    drawn = Frames(table, np.zeros((40, 3, 32, 32), np.uint8), np.zeros((40, 32, 32), bool))
    dealt = inputs.parts(drawn, n_train=12, n_importance=8, n_measure=10, seed=0)
    wanted = dealt.measure.table["case"].isin(["f0", "f1"]) & dealt.twinned
    assert dealt.copied.tolist() == wanted.tolist()
    assert dealt.twinned.all()


def test_levels_are_shares_of_the_papers_filters():
    assert n_removed(LEFT, 2944) == 956
    assert n_removed(RIGHT, 2944) == 736
    assert set(AREA_LEVELS) <= set(LEVELS)
    assert list(LEVELS) == sorted(LEVELS)


def test_the_area_is_the_mean_height_of_a_curve():
    flat = np.full((len(LEVELS), 3), 0.7)
    np.testing.assert_allclose(area(flat, LEVELS), 0.7)
    line = np.array(LEVELS)[:, None] * [1.0, 2.0]
    np.testing.assert_allclose(area(line, LEVELS), [0.45, 0.9])
    few = np.array(AREA_LEVELS)[:, None] * [1.0, 2.0]
    np.testing.assert_allclose(area(few, AREA_LEVELS), [0.45, 0.9])


def test_a_curve_with_a_known_turn_is_turned_there():
    x = np.array(LEVELS)
    for place in (0.25, 0.5, 0.62):
        curve = 0.7 - 1.5 * np.maximum(0, x - place)
        assert knee(LEVELS, curve) == pytest.approx(place, abs=0.03)
    # what lies behind the fall does not count
    fallen = np.where(x > 0.66, 0.1, 0.7 - 3 * np.maximum(0, x - 0.45))
    assert knee(LEVELS, fallen) == pytest.approx(0.45, abs=0.04)


def test_a_curve_that_does_not_turn_into_a_steeper_fall_has_no_turn():
    x = np.array(LEVELS)
    assert np.isnan(knee(LEVELS, 0.7 - 0.3 * x))  # straight
    assert np.isnan(knee(LEVELS, np.full(len(x), 0.7)))
    assert np.isnan(knee(LEVELS, 0.3 + 0.4 * np.exp(-3 * x)))  # convex: falls ever more slowly
    assert np.isnan(knee(LEVELS, np.r_[0.7, np.zeros(len(x) - 1)]))  # too short to tell


def test_records_hold_every_arm_frame_and_training_once(parts, outcome):
    records = outcome.records
    keys = ["arm", "seed", "group", "case", "metric"]
    assert not records.duplicated(keys).any()
    assert records["value"].notna().all()
    assert set(SCORES) | {"chance"} <= set(records[records["metric"] == "area"]["arm"])
    count = records[(records["metric"] == "iou") & (records["group"] == "25 %")]
    assert len(count) == 2 * 12 * (len(SCORES) + 2)
    third = records[(records["metric"] == "iou") & (records["group"] == "32.5 %")]
    assert {"small", "renewed"} <= set(third["arm"])
    copies = records[records["group"] == "copies"]
    assert len(copies) == 2 * 2 * parts.copied.sum()
    twins = records[records["group"] == "twins"]
    assert len(twins) == 2 * 2 * parts.twinned.sum()


def test_curves_begin_with_the_whole_network_and_get_smaller(outcome):
    curve, shares = outcome.arrays["curve"], outcome.arrays["shares"]
    assert curve.shape == (len(SCORES), 2, len(LEVELS))
    # before anything is removed all scores see the same network
    assert np.ptp(curve[:, :, 0], axis=0).max() == 0
    assert (shares[..., 0, :] == 1).all()
    assert (np.diff(shares, axis=2) <= 0).all()
    kept = outcome.arrays["kept"]
    removed = kept[..., 0, :].sum(-1)[..., None] - kept.sum(-1)
    np.testing.assert_array_equal(removed[0, 0], [n_removed(share, 184) for share in LEVELS])
    unpruned = outcome.records.query("arm == 'unpruned' and group == '25 %'")
    mean = unpruned.groupby("seed")["value"].mean()
    np.testing.assert_allclose(mean, curve[0, :, 0])


def test_the_small_network_costs_what_the_pruned_one_does(outcome):
    whole, small = (outcome.arrays[name] for name in ("shares", "small-shares"))
    wanted = whole[SCORES.index("taylor")][:, LEVELS.index(LEFT), 1]
    np.testing.assert_allclose(small[:, 1], wanted, rtol=0.15)  # widths of 2 are coarse


def test_reversed_and_absolute_means_are_those_of_the_signed_score(parts):
    model, _ = fit(layout(2), parts.train.image, parts.train.mask, settings=SETTINGS, seed=0)
    found, _ = experiment.all_scores(model, parts.importance, 5)
    for signed, other, size in zip(
        found["signed"], found["reversed"], found["absolute"], strict=True
    ):
        np.testing.assert_array_equal(other, -signed)
        np.testing.assert_array_equal(size, np.abs(signed))
    assert set(found) == set(SCORES)


def test_every_score_is_timed_on_the_networks_that_it_leaves(outcome):
    found = costs.measure(outcome, size=32, n_frames=10, n_rounds=3)
    assert found["time-shares"].shape == (len(costs.TIMED_SCORES), 3)
    assert (found["time-shares"] > 0).all()
    assert len(found["seconds-whole"]) == 3
    removed = {key: 184 - plan.n_filters for key, plan in outcome.timed.items()}
    assert removed["l1", LEFT] == removed["chance", LEFT] == n_removed(LEFT, 184)
    kept = outcome.arrays["kept"][1][0, LEVELS.index(RIGHT)]
    assert outcome.timed["taylor", RIGHT].filters == tuple(kept.tolist())


def test_losses_fall_and_every_training_has_them(outcome):
    loss = outcome.arrays["loss"]
    assert loss.shape == (3, 2, SETTINGS.epochs)
    assert (loss[..., -1] < loss[..., 0]).all()


def test_two_processes_give_the_records_of_one(parts, outcome):
    plan = Plan(width=2, n_few=5, n_draws=2, settings=SETTINGS)
    again = experiment.run(parts, plan, seeds=[0, 1], source="phantom", jobs=2)
    pd.testing.assert_frame_equal(again.records, outcome.records)


def test_the_dial_records_both_stands_on_the_same_frames():
    found = mechanism.turn_dial(
        SETTINGS, seeds=[0], n_train=16, n_measure=6, size=32, widths={"a": 1, "b": 2}, jobs=1
    )
    assert len(found) == 2 * 2 * 6
    assert set(found["seed"]) == {100}  # seeds that no training before it had
    assert set(found["group"]) == {"a", "b"}
    assert not found.duplicated(["arm", "seed", "group", "case"]).any()
    by_arm = found.groupby(["arm", "group"])["case"].apply(tuple)
    assert by_arm.nunique() == 1


def test_frames_can_be_taken_in_any_order(parts):
    chosen = parts.train.at(np.array([3, 1]))
    assert isinstance(chosen, Frames)
    assert chosen.table["case"].tolist() == parts.train.table["case"].iloc[[3, 1]].tolist()
    np.testing.assert_array_equal(chosen.image[1], parts.train.image[1])
