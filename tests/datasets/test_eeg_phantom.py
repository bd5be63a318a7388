"""The EEG recordings: designs, shared and own responses, signatures of subject and trial."""

import numpy as np
import pandas as pd
import pytest
from scipy.signal import welch

from common.datasets.eeg_phantom import phantom, waveform

SMALL = {"stimuli": 4, "channels": 16, "fs": 64.0, "seconds": 24.0}
QUIET = {"trial": 0.0, "drift": 0.0, "subject": 0.0, "session": 0.0}


def recordings(n: int = 4, seed: int = 0, **settings) -> list:
    return list(phantom(n, seed, **(SMALL | settings)))


def followed(case, topography: np.ndarray) -> float:
    """Amplitude of the waveform along a topography, by least squares (units of background)."""
    wave = case.info["waveform"]
    per_channel = case.image @ wave / (wave @ wave)
    return float(per_channel @ topography / (topography @ topography)) / 8


def log_power(case, part: slice = slice(None)) -> np.ndarray:
    return np.log(case.image[:, part].astype(float).var(axis=1))


def test_a_crossed_design_gives_every_subject_every_stimulus_and_listen() -> None:
    table = phantom(5, 0, stimuli=4, listens=2, seconds=8, channels=4).table
    assert len(table) == 5 * 4 * 2
    assert (pd.crosstab(table.cluster, table.label) == 2).all(axis=None)


def test_without_crossing_each_song_has_the_printed_twelve_listeners_of_its_own() -> None:
    table = phantom(48, 0, stimuli=4, listens=2, crossing=0).table
    assert (table.groupby("cluster").label.nunique() == 1).all()
    assert table.groupby("label").cluster.nunique().tolist() == [12] * 4
    assert len(table) == 96


def test_crossing_is_the_share_of_subjects_who_hear_all() -> None:
    for share in (0, 0.25, 1):
        heard = phantom(40, 0, stimuli=5, crossing=share).table.groupby("cluster").label.nunique()
        assert set(heard) <= {1, 5}
        assert (heard == 5).mean() == share


def test_published_designs_have_the_published_sizes() -> None:
    assert len(phantom(20, 0, stimuli=10)) == 200
    assert len(phantom(15, 0, stimuli=15)) == 225


def test_a_stimulus_has_one_waveform_for_all_with_a_peak_at_its_tempo() -> None:
    cases = recordings(3)
    for k in range(4):
        waves = [c.info["waveform"] for c in cases if c.target["label"] == k]
        np.testing.assert_array_equal(waves[0], waves[1])
    for k in (0, 4):
        wave = waveform(0, k, fs=64, samples=64 * 120)
        frequency, power = welch(wave, 64, nperseg=64 * 20)
        assert frequency[power.argmax()] == pytest.approx(1 + 0.25 * k, abs=0.06)
        assert power[frequency > 20].sum() < 0.01 * power.sum()
    assert abs(waveform(0, 0, fs=64, samples=6400) @ waveform(0, 1, fs=64, samples=6400)) < 640


def test_the_shared_response_lies_along_the_shared_topography_and_vanishes_at_0() -> None:
    for strength in (0, 0.25, 1):
        found = [
            followed(c, c.info["topography"])
            for c in recordings(12, shared=strength, idiosyncratic=0, **QUIET)
        ]
        assert np.mean(found) == pytest.approx(strength, abs=0.02)


def test_the_own_response_lies_along_the_subjects_topography_and_vanishes_at_0() -> None:
    for strength in (0, 0.5, 1):
        found = [
            followed(c, c.info["own_topography"])
            for c in recordings(12, shared=0, idiosyncratic=strength, **QUIET)
        ]
        assert np.mean(found) == pytest.approx(strength, abs=0.02)
    own = [c.info["own_topography"] for c in recordings(2) if c.target["label"] == 0]
    assert abs(np.corrcoef(*own)[0, 1]) < 0.7


def test_the_trial_signature_tells_recordings_apart_for_their_whole_length_and_0_removes_it():
    def gap(trial: float) -> tuple[float, float]:
        """Change of log power between recordings of a subject, and between halves of one."""
        cases = recordings(
            6, trial=trial, shared=0, idiosyncratic=0, drift=0, session=0, seconds=48
        )
        half = cases[0].image.shape[1] // 2
        first = np.array([log_power(c, slice(half)) for c in cases]).reshape(6, 4, 16)
        second = np.array([log_power(c, slice(half, None)) for c in cases]).reshape(6, 4, 16)
        return float(first.std(axis=1).mean()), float(np.abs(first - second).mean())

    (off, _), (low, _), (default, lasting) = gap(0), gap(0.3), gap(0.6)
    assert off < low < default
    assert default == pytest.approx(2 * 0.6 * np.sqrt(3 / 4), rel=0.2)
    assert lasting < default / 4
    assert off < 0.35  # sampling error alone


def test_drift_changes_gains_within_a_recording_and_0_does_not() -> None:
    def change(drift: float) -> float:
        cases = recordings(8, drift=drift, trial=0, seconds=48)
        third = cases[0].image.shape[1] // 3
        return float(
            np.mean(
                [
                    np.abs(log_power(c, slice(third)) - log_power(c, slice(2 * third, None)))
                    for c in cases
                ]
            )
        )

    off, default, high = change(0), change(0.3), change(1)
    assert off < default - 0.05 < high - 0.3


def test_subjects_differ_by_mixing_and_gains_and_0_makes_all_heads_alike() -> None:
    def ratio(subject: float) -> float:
        """Distance of log covariances between subjects over that within one."""
        cases = recordings(6, subject=subject, trial=0, session=0, shared=0, idiosyncratic=0)
        covariances = [np.cov(c.image.astype(float)) for c in cases]
        logs = np.array([np.real(_log(c)).ravel() for c in covariances]).reshape(6, 4, -1)
        within = np.linalg.norm(logs[:, 0] - logs[:, 1], axis=1).mean()
        between = np.linalg.norm(logs[:-1, 0] - logs[1:, 0], axis=1).mean()
        return float(between / within)

    assert ratio(0) == pytest.approx(1, abs=0.15)
    assert ratio(0) < ratio(0.25) < ratio(0.5)


def _log(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    return vectors @ np.diag(np.log(values)) @ vectors.T


def test_a_session_moves_gains_in_one_direction_and_0_leaves_them() -> None:
    def followed_direction(session: float) -> float:
        """Slope of log power over the session along the direction of the strongest dial."""
        cases = phantom(8, 0, **SMALL, session=session, trial=0, shared=0, idiosyncratic=0)
        place = cases.table.position.to_numpy()
        power = np.array([log_power(c) for c in cases])
        power -= np.repeat(power.reshape(8, 4, 16).mean(1), 4, axis=0)
        return float(np.abs(power.T @ (place - 0.5)).mean() / ((place - 0.5) ** 2).sum())

    off, default, high = (followed_direction(s) for s in (0, 0.3, 1.5))
    assert off < 0.15 < default < high
    assert high == pytest.approx(2 * 1.5 * 0.8, rel=0.4)


def test_a_fixed_order_ties_the_place_in_the_session_to_the_label_and_0_does_not() -> None:
    def tie(share: float) -> float:
        table = phantom(60, 0, stimuli=8, fixed_order=share).table
        return float(np.corrcoef(table.label, table.position)[0, 1])

    assert tie(1) == pytest.approx(1)
    assert tie(0.5) == pytest.approx(0.5, abs=0.12)
    assert abs(tie(0)) < 0.12


def test_the_background_falls_with_frequency_and_peaks_at_the_subjects_alpha() -> None:
    cases = phantom(3, 0, **(SMALL | {"seconds": 60}), shared=0, idiosyncratic=0)
    for case, alpha in zip(cases, cases.table.alpha, strict=True):
        frequency, power = welch(case.image, 64, nperseg=512)
        power = power.mean(axis=0)
        near = (frequency > 6) & (frequency < 14)
        assert frequency[near][power[near].argmax()] == pytest.approx(alpha, abs=0.5)
        assert power[(frequency > 2) & (frequency < 4)].mean() > 3 * power[frequency > 25].mean()


def test_recordings_are_in_microvolts_and_hardly_clipped() -> None:
    cases = recordings(6)
    assert 5 < np.median([np.median(c.image.std(axis=1)) for c in cases]) < 20
    assert np.mean([(np.abs(c.image) == 100).mean() for c in cases]) < 0.01
    assert cases[0].image.shape == (16, 24 * 64)
    assert phantom(1, 0)[0].image.shape == (125, 125 * 270)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"stimuli": 1}, "`stimuli` must be at least 2"),
        ({"listens": 0}, "`listens` must be at least 1"),
        ({"channels": 1}, "`channels` must be at least 2"),
        ({"fs": 20}, "`fs` must be at least 32"),
        ({"seconds": 1}, "`seconds` must be at least 4"),
        ({"shared": 3}, "`shared` must be in"),
        ({"idiosyncratic": -1}, "`idiosyncratic` must be in"),
        ({"trial": 2}, "`trial` must be in"),
        ({"drift": 2}, "`drift` must be in"),
        ({"subject": 2}, "`subject` must be in"),
        ({"session": 2}, "`session` must be in"),
        ({"fixed_order": 2}, "`fixed_order` must be in"),
        ({"crossing": 2}, "`crossing` must be in"),
    ],
)
def test_bad_arguments_are_named(wrong, message) -> None:
    with pytest.raises(ValueError, match=message):
        phantom(1, 0, **wrong)
