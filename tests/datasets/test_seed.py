"""SEED: sessions that this test writes in the published format."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from common.datasets import seed as reader
from common.errors import ReplicateError

# the order of names is not that of people and dates
SESSIONS = {"1_20131030": "djc", "1_20131027": "djc", "10_20131130": "ww", "2_20140404": "jl"}
EMOTIONS = [1, 0, -1, -1, 0, 1, -1, 0, 1, 1, 0, -1, 0, 1, -1]


def recording(session: str, clip: int) -> np.ndarray:
    rng = np.random.default_rng([*session.encode(), clip])
    return rng.normal(size=(62, 30 + clip))


def write_session(root: Path, session: str, initials: str, clips=range(1, 16)) -> Path:
    path = root / "Preprocessed_EEG" / f"{session}.mat"
    path.parent.mkdir(exist_ok=True)
    savemat(path, {f"{initials}_eeg{clip}": recording(session, clip) for clip in clips})
    return path


@pytest.fixture
def root(tmp_path):
    for session, initials in SESSIONS.items():
        write_session(tmp_path, session, initials)
    savemat(tmp_path / "Preprocessed_EEG/label.mat", {"label": np.array([EMOTIONS])})
    return tmp_path


def test_sessions_are_numbered_by_person_and_date(root):
    table = reader.load(root).table
    assert len(table) == 4 * 15
    firsts = table[table["label"] == 0]
    assert firsts["case"].tolist() == ["01-1-01", "01-2-01", "02-1-01", "10-1-01"]
    assert firsts["file"].iloc[0] == "Preprocessed_EEG/1_20131027.mat"
    assert firsts["cluster"].tolist() == ["01", "01", "02", "10"]


def test_clips_come_back_with_their_own_recording_and_emotion(root):
    cases = pickle.loads(pickle.dumps(reader.load(root)))
    for i in (0, 1, 10, 14, 29, 59):
        session = Path(cases.table["file"].iloc[i]).stem
        clip = i % 15
        case = cases[i]
        np.testing.assert_array_equal(case.image, recording(session, clip + 1).astype(np.float32))
        assert case.target == {"label": clip, "emotion": EMOTIONS[clip] + 1}
        assert case.info == {"rate_hz": 200.0}
    assert reader.EMOTIONS[cases[0].target["emotion"]] == "positive"
    assert len(reader.CLASSES) == 15


def test_an_absent_and_a_doubled_clip_are_refused(root):
    path = write_session(root, "1_20131027", "djc", range(1, 15))
    with pytest.raises(
        ReplicateError, match=r"1_20131027.mat must hold one variable named \*_eeg15"
    ):
        reader.load(root)[14]
    savemat(path, {"a_eeg1": np.zeros((62, 3)), "b_eeg1": np.zeros((62, 3))})
    with pytest.raises(ReplicateError, match=r"one variable named \*_eeg1, got \['a_eeg1'"):
        reader.load(root)[0]


def test_another_number_of_channels_is_refused(root):
    path = root / "Preprocessed_EEG/1_20131027.mat"
    savemat(path, {"djc_eeg1": np.zeros((61, 30))})
    with pytest.raises(ReplicateError, match="must hold 62 channels in djc_eeg1"):
        reader.load(root)[0]


@pytest.mark.parametrize("labels", [EMOTIONS[:-1], [*EMOTIONS[:-1], 2]])
def test_other_emotions_are_refused(root, labels):
    savemat(root / "Preprocessed_EEG/label.mat", {"label": np.array([labels])})
    with pytest.raises(ReplicateError, match=r"label.mat must hold 15 emotions"):
        reader.load(root)


def test_an_unknown_name_and_absent_emotions_are_refused(root):
    odd = root / "Preprocessed_EEG/3_session1.mat"
    odd.touch()
    with pytest.raises(ReplicateError, match=r"3_session1.mat must be named like"):
        reader.load(root)
    (root / "Preprocessed_EEG/label.mat").unlink()
    with pytest.raises(ReplicateError, match=r"label.mat must be a sound MATLAB file"):
        reader.load(root)
