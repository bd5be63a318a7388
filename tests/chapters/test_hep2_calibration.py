"""What the tests do in simulated studies whose truth is known."""

import numpy as np
import pytest

from common.chapters.hep2 import calibration
from common.datasets import hep2_prediction_phantom


def test_the_effect_moves_the_accuracy_by_the_claimed_difference():
    effect = np.array([calibration.effect_for(0.036), 0.0])
    accuracy = []
    for seed in range(12):
        draws = hep2_prediction_phantom.draw_predictions(
            2, rng=np.random.default_rng(seed), n_patients=2520, config_effect=effect
        )
        accuracy.append(hep2_prediction_phantom.outcomes(draws).mean(axis=(1, 2, 3)))
    gain = np.mean([first - second for first, second in accuracy])
    # Standard error of the mean of twelve differences, from configurations' own difficulties.
    assert gain == pytest.approx(0.036, abs=0.009)


def test_counting_patches_rejects_true_nulls_and_counting_patients_does_not():
    p = calibration.null_p_values(150, rng=np.random.default_rng(5))
    assert (p["naive"] < 0.05).mean() > 0.3
    assert (p["clustered"] < 0.05).mean() < 0.11


def test_counting_patches_is_honest_when_patients_are_alike():
    alike = {"patient_sd": 0.0, "config_patient_sd": 0.0}
    p = calibration.null_p_values(150, rng=np.random.default_rng(5), **alike)
    assert (p["naive"] < 0.05).mean() < 0.11


def test_five_folds_resampled_give_intervals_that_are_too_narrow():
    records = calibration.calibrate(120, rng=np.random.default_rng(6), n_boot=300)
    rate = records.groupby(["arm", "metric"])["value"].mean()
    assert rate["fold-bootstrap", "covered"] < rate["two-level-bootstrap", "covered"]
    assert rate["fold-bootstrap", "covered"] < 0.9
    assert rate["corrected-t", "rejected"] < 0.05
    assert rate["corrected-t", "detected"] < 0.5


def test_the_same_generator_gives_the_same_studies():
    one, two = (calibration.calibrate(3, rng=np.random.default_rng(1), n_boot=50) for _ in "ab")
    assert one.equals(two)
