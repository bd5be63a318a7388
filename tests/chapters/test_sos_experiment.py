"""The SOS experiment: inputs cut right, records that add up, the same whatever the processes."""

import numpy as np
import pytest
import tifffile

from common.chapters.sos import experiment, inputs, mechanism
from common.chapters.sos.experiment import readings
from common.datasets import lks_phantom, lks_slides
from common.models.sos_switch import Cost
from common.models.sos_training import ARMS, Settings

SHAPE = {"size": 128, "tile": 64, "shrink": 8}
SETTINGS = Settings(epochs=2, batch_size=8, width=2, tile_width=2)
COST = Cost(low=1.0, both=10.0, high=9.0)


@pytest.fixture(scope="module")
def slides():
    return (
        inputs.phantom_slides(40, 0, name="train", **SHAPE),
        inputs.phantom_slides(24, 1, name="test", **SHAPE),
    )


@pytest.fixture(scope="module")
def outcome(slides):
    return experiment.run(*slides, SETTINGS, seeds=[0, 1], jobs=1)


def test_printed_training_and_test_sets_have_the_printed_classes():
    for n, counts in ((479, [239, 106, 107, 27]), (205, [103, 45, 46, 11])):
        assert np.bincount(lks_phantom.draw(n, 0)["label"]).tolist() == counts


def test_overview_and_tiles_are_of_the_same_slide(slides):
    train, _ = slides
    case = lks_phantom.phantom(40, 0, size=128)[7]
    np.testing.assert_array_equal(train.low[7], lks_phantom.shrink(case.image, 8))
    whole = train.tiles[7].reshape(2, 2, 64, 64).swapaxes(1, 2).reshape(128, 128)
    np.testing.assert_allclose(whole / 255, case.image[0], atol=0.5 / 255 + 1e-6)
    assert train.table["case"][7] == "train-00007"
    assert train.group[7] == lks_phantom.CLASSES[train.label[7]]
    # what is seen at low resolution is the mean of what is seen at high
    np.testing.assert_allclose(train.low.mean(), train.tiles.mean() / 255, atol=1e-3)


def test_a_size_that_tiles_do_not_fill_is_refused():
    with pytest.raises(ValueError, match="`size` must be a multiple of tile 64 and shrink 8"):
        inputs.phantom_slides(2, 0, size=200, tile=64, shrink=8)


def test_real_slides_come_in_the_shape_of_generated_ones(tmp_path):
    for part, names in (("Train", ("a", "b")), ("Test", ("c",))):
        (tmp_path / part).mkdir()
        lines = [f"{name}.tif,SMA-V" for name in names]
        (tmp_path / f"{part}_Labels.csv").write_text("file,class\n" + "\n".join(lines))
        for k, name in enumerate(names):
            pixels = np.zeros((90, 83), np.uint8)
            pixels[5:45, 1:41] = 100 + k  # the first quarter of the middle 80 x 80
            tifffile.imwrite(tmp_path / part / f"{name}.tif", pixels)
    cases = lks_slides.load(tmp_path, side_px=80, shrink=4)
    train = cases.where(cases.table["part"] == "train")
    found = inputs.real_slides(train, low_px=4, tile_px=10, side_px=40)
    assert found.low.shape == (2, 1, 4, 4)
    assert found.tiles.shape == (2, 4, 1, 10, 10)
    assert (found.tiles[1, 0] == 101).all()
    assert not found.tiles[:, 1:].any()
    np.testing.assert_allclose(found.low[0, 0, :2, :2], 100 / 255)
    assert not found.low[0, 0, 2:].any()
    assert found.label.tolist() == [2, 2]


def test_without_the_real_files_there_is_no_split(monkeypatch):
    monkeypatch.setattr("common.manifests.locate", lambda dataset: None)
    assert inputs.real_split(low_px=4, tile_px=4) is None
    assert inputs.banner(real=False)[0] == "phantom"
    assert inputs.banner(real=True)[0] == "open"


def test_validation_slides_keep_classes_in_proportion_and_change_with_the_seed():
    table = lks_phantom.draw(479, 0)
    whole = inputs.Slides(table, *np.zeros((3, 479)))
    first, second = (experiment.validation_index(whole, seed) for seed in (0, 1))
    assert (first != second).any()
    for valid in (first, second):
        assert valid.sum() == 72
        share = [valid[table["label"] == code].mean() for code in range(4)]
        assert share == pytest.approx([0.15] * 4, abs=0.02)


def test_readings_of_one_training_follow_its_probabilities():
    low = np.array([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3]], np.float32)
    high = np.array([[0.1, 0.9], [0.1, 0.9], [0.9, 0.1]], np.float32)
    read = readings("sos", {"low": low, "high": high}, c=0.8, cost=COST)
    assert read["sos"].answer.tolist() == [0, 1, 0]
    assert read["sos"].cost.tolist() == [0.1, 1, 1]
    assert read["sos"].low.tolist() == [True, False, False]
    assert read["sos-low"].answer.tolist() == [0, 0, 0]
    assert read["sos-high"].answer.tolist() == [1, 1, 0]
    assert list(readings("multi", {"low": low, "high": high}, c=0.8, cost=COST)) == ["multi"]
    policy = {"low": low, "high": high, "zoom": np.array([0.9, 0.2, 0.2])}
    assert readings("rdms", policy, c=0.8, cost=COST)["rdms"].answer.tolist() == [1, 0, 0]
    patch = readings("patch", {"high": high}, c=0.8, cost=COST)["patch"]
    assert patch.cost.tolist() == [0.9] * 3
    assert "multi-l2" in readings("no-executive", {"low": low, "high": high}, c=0.8, cost=COST)


def test_records_hold_every_arm_slide_and_seed_once(outcome, slides):
    records = outcome.records
    right = records[records["metric"] == "correct"]
    arms = {*(arm.name for arm in ARMS), "sos-low", "sos-high", "sos-oracle", "sos-tuned"}
    assert set(right["arm"]) == arms | {"multi-l2", "detached-low"}
    assert (right.groupby(["arm", "seed"]).size() == 24).all()
    assert not records.duplicated(["arm", "seed", "case", "metric"]).any()
    assert set(outcome.thresholds) == {0, 1}
    positive = records[records["metric"] == "any_positive"]
    assert (positive["group"] != "negative").all()
    assert len(positive) == 5 * 2 * (slides[1].label > 0).sum()


def test_records_agree_with_each_other(outcome):
    wide = outcome.records.pivot_table(
        "value", ["seed", "case", "group"], ["arm", "metric"], observed=True
    ).dropna(subset=[("sos", "correct")])  # leaves out what belongs to a training
    right = {arm: wide[arm, "correct"] for arm in ("image", "sos", "sos-low", "sos-high")}
    oracle = wide["sos-oracle", "correct"]
    assert (oracle == np.maximum(right["sos-low"], right["sos-high"])).all()
    assert (oracle >= right["sos"]).all()
    assert (wide["sos", "gain"] == right["sos"] - right["image"]).all()
    sure = wide["sos", "low_decision"] == 1
    assert (right["sos"][sure] == right["sos-low"][sure]).all()
    assert (right["sos"][~sure] == right["sos-high"][~sure]).all()
    assert wide["sos", "cost_share"][~sure].eq(1).all()
    expected = right["sos"] - 0.1 * wide["sos", "cost_share"]
    np.testing.assert_allclose(wide["sos", "net_benefit"], expected)
    again = wide["sos-tuned", "low_decision"]
    for seed, c in outcome.thresholds.items():
        sure = outcome.predictions["sos", seed]["low"].max(1) > c
        assert (again.xs(seed, level="seed").to_numpy() == sure).all()


def test_an_arm_trained_again_is_another_network(outcome):
    for seed in (0, 1):
        first, again = (outcome.predictions[name, seed]["low"] for name in ("image", "repeat"))
        assert (first != again).any()


def test_records_do_not_depend_on_the_number_of_processes(outcome, slides):
    few = [arm for arm in ARMS if arm.name in ("image", "rdms")]
    found = [
        experiment.run(*slides, SETTINGS, seeds=[0], arms=few, jobs=jobs).records for jobs in (1, 2)
    ]
    assert found[0].equals(found[1])


def test_the_dial_scores_smooth_muscle_slides_of_its_own_draws():
    records = mechanism.turn_dial(
        SETTINGS, stands=(0.0, 1.0), seeds=[0, 1], n_slides=24, jobs=1, **SHAPE
    )
    assert set(records["group"]) == {"fine 0", "fine 1"}
    assert set(records["arm"]) == {"dial-high", "dial-low"}
    assert set(records["cluster"]) == {"draw-0", "draw-1"}
    n = sum((lks_phantom.draw(24, 10_001 + 2 * seed)["label"] > 1).sum() for seed in (0, 1))
    assert len(records) == 2 * 2 * n


def test_full_resolution_costs_as_many_times_the_first_look_as_published():
    settings = Settings(epochs=1, width=16, tile_width=8)
    cost = experiment.slide_cost(settings, low_px=32, tile_px=64, n_tiles=16)
    assert 10 < cost.both / cost.low < 25  # the paper: 14.59
