"""The prediction phantom: accuracy and clustering of the release, null and effect dials."""

import numpy as np
import pandas as pd
import pytest

from common.datasets.hep2_prediction_phantom import draw_predictions, outcomes, to_records

COLUMNS = [
    *("paper", "run", "profile", "source", "arm", "seed"),
    *("fold", "case", "cluster", "group", "metric", "value"),
]


def intraclass(right: np.ndarray) -> float:
    """One-way analysis of variance of one configuration (patients, patches)."""
    n = right.shape[1]
    between = n * right.mean(axis=1).var(ddof=1)
    within = right.var(axis=1, ddof=1).mean()
    return (between - within) / (between + (n - 1) * within)


@pytest.mark.parametrize("endpoint", ["label", "intensity"])
def test_accuracy_and_clustering_are_those_of_the_release_over_seeds(endpoint: str) -> None:
    accuracy, icc = [], []
    for seed in range(10):
        right = outcomes(draw_predictions(rng=np.random.default_rng(seed)), endpoint=endpoint)
        flat = right.reshape(6, 252, 60).astype(float)
        accuracy.append(flat.mean())
        icc.append(np.mean([intraclass(config) for config in flat]))
    assert np.mean(accuracy) == pytest.approx(0.82, abs=0.025)
    assert 0.4 < np.mean(icc) < 0.5


def test_without_patient_effects_patches_are_independent() -> None:
    drawn = draw_predictions(
        rng=np.random.default_rng(0), patient_sd=0, config_patient_sd=0, run_sd=0, mean=1.0
    )
    right = outcomes(drawn).reshape(6, 252, 60).astype(float)
    assert right.mean() == pytest.approx(1 / (1 + np.exp(-1)), abs=0.005)
    assert abs(intraclass(right[0])) < 0.01


def test_the_same_generator_gives_the_same_outcomes() -> None:
    first, second = (outcomes(draw_predictions(rng=np.random.default_rng(4))) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_configurations_share_their_difficult_patients_but_are_not_equal() -> None:
    right = outcomes(draw_predictions(2, rng=np.random.default_rng(0))).mean(axis=(2, 3))
    assert 0.5 < np.corrcoef(right)[0, 1] < 0.97


def test_there_is_no_difference_by_default_and_the_dial_makes_one() -> None:
    null, effect = [], []
    for seed in range(20):
        for values, config_effect in ((null, None), (effect, np.array([0.0, 1.0]))):
            rng = np.random.default_rng(seed)
            right = outcomes(draw_predictions(2, rng=rng, config_effect=config_effect))
            values.append(right[1].mean() - right[0].mean())
    assert np.mean(null) == pytest.approx(0.0, abs=0.01)
    assert np.mean(effect) > 0.05


def test_networks_of_one_fold_move_together() -> None:
    drawn = draw_predictions(
        1, rng=np.random.default_rng(0), patient_sd=0, config_patient_sd=0, run_sd=1.0
    )
    for fold in "ABCDE":
        assert np.unique(drawn.logit[:, :, drawn.patients["fold"] == fold].round(9)).size == 2
    assert drawn.patients["fold"].value_counts().sort_index().tolist() == [51, 51, 50, 50, 50]


def test_both_is_right_where_label_and_intensity_are() -> None:
    drawn = draw_predictions(3, rng=np.random.default_rng(1))
    label, intensity, both = (outcomes(drawn, endpoint=e) for e in ("label", "intensity", "both"))
    np.testing.assert_array_equal(both, label & intensity)
    assert both.mean() < min(label.mean(), intensity.mean())


def test_records_hold_every_outcome_at_its_place() -> None:
    drawn = draw_predictions(
        2, rng=np.random.default_rng(2), n_patients=9, n_specimens=2, n_patches=3
    )
    records = to_records(drawn, run="r", profile="quick")
    assert records.columns.tolist() == COLUMNS
    assert len(records) == 3 * 2 * 9 * 2 * 3
    key = ["arm", "case", "metric"]
    assert not records.duplicated(key).any()
    value = records.set_index(key)["value"]
    right = {e: outcomes(drawn, endpoint=e) for e in ("label", "intensity", "both")}
    for endpoint, array in right.items():
        assert value["config-1", "p004_s1_02", f"{endpoint}_correct"] == array[1, 3, 1, 2]
        mean = records.query(f"metric == '{endpoint}_correct'")["value"].mean()
        assert mean == pytest.approx(array.mean())
    assert (records["case"].str[:4] == records["cluster"]).all()
    assert set(records["source"]) == {"phantom"}
    one_pattern = records.groupby("cluster")[["group", "fold"]].nunique()
    pd.testing.assert_frame_equal(one_pattern, one_pattern * 0 + 1)


def test_unknown_endpoints_and_wrong_effects_are_refused() -> None:
    with pytest.raises(ValueError, match="`endpoint` must be one of"):
        outcomes(draw_predictions(1, rng=np.random.default_rng(0), n_patients=2), endpoint="mask")
    with pytest.raises(ValueError, match=r"`config_effect` must be of shape \(2,\)"):
        draw_predictions(2, rng=np.random.default_rng(0), config_effect=np.zeros(3))
