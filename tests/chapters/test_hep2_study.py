"""The released predictions arranged as one study, and the records derived from them."""

import numpy as np
import pytest

from common.chapters.hep2 import study
from common.datasets import hep2_author_results


@pytest.fixture(scope="module")
def results(mirror):
    return hep2_author_results.load(mirror("hep2-author-results"))


@pytest.fixture(scope="module")
def derived(results):
    return study.derived(results, run="r", profile="quick")


def of(records, metric, arm):
    return records[(records["metric"] == metric) & (records["arm"] == arm)]


def test_fold_means_are_those_of_the_release(results):
    means = study.load(results, rng=np.random.default_rng(0)).by_fold("label").mean(axis=0)
    expected = [0.8337, 0.8059, 0.8339, 0.8226, 0.8305, 0.8245]
    np.testing.assert_allclose(means, expected, atol=6e-5)


def test_patients_decided_by_vote(results):
    """Counts of an independent analysis of the same files."""
    vote = study.load(results, rng=np.random.default_rng(0)).vote
    assert vote["label"].sum(axis=1).tolist() == [229, 216, 223, 224, 219, 224]
    assert vote["intensity"].sum(axis=1).tolist() == [215, 215, 213, 217, 215, 220]
    assert (~vote["label"]).all(axis=0).sum() == 12
    assert (~vote["intensity"]).all(axis=0).sum() == 25


def test_fold_values_hold_the_row_that_fig_6_does_not_print(results):
    table = study.fold_values(results).set_index(["config", "fold", "metric"])["value"]
    assert table["bce-30-0.06", "E", "Label accuracy"] == pytest.approx(0.84667, abs=1e-5)
    assert table["bce-30-0.06", "E", "Intensity accuracy"] == pytest.approx(0.91500, abs=1e-5)
    assert table["bce-30-0.06", "Mean", "Label accuracy"] == pytest.approx(0.80589, abs=1e-5)


def test_the_gap_between_training_and_test_is_fifteen_to_seventeen_points(derived):
    for arm in hep2_author_results.CONFIGS:
        gap = of(derived, "train_minus_test_label", arm)["value"].mean()
        assert 0.14 < gap < 0.175


def test_training_accuracy_still_rises_in_the_last_five_epochs(derived):
    gain = of(derived, "late_gain_label", "bce-30-0.06")
    assert len(gain) == 5
    assert gain["value"].between(0.005, 0.031).all()


def test_residuals_have_mean_zero_inside_each_pattern(derived):
    residual = of(derived, "intensity_residual", "dice-30-0.06")
    means = residual.groupby("group", observed=True)["value"].mean()
    np.testing.assert_allclose(means, 0, atol=1e-12)


def test_without_the_release_the_phantom_has_the_same_shape():
    drawn = study.load(None, rng=np.random.default_rng(0))
    assert drawn.source == "phantom"
    assert drawn.outcome["both"].shape == (6, 252, 4, 15)
    np.testing.assert_array_equal(
        drawn.outcome["both"], drawn.outcome["label"] * drawn.outcome["intensity"]
    )
    assert 0.75 < drawn.by_fold("label").mean() < 0.87
