"""ATLAS 2.0: files that this test writes in the published form."""

import pickle
from pathlib import Path

import nibabel
import numpy as np
import pytest

from common.datasets import atlas_v2 as reader
from common.errors import ReplicateError

SIDES = (7, 8, 6)
SESSIONS = (
    ("R001", "sub-r001s001", "ses-1"),
    ("R001", "sub-r001s001", "ses-2"),
    ("R009", "sub-r009s014", "ses-1"),
)
IMAGE, MASK = "space-MNI152NLin2009aSym_T1w", "space-MNI152NLin2009aSym_label-L_desc-T1lesion_mask"


def write(root: Path, session: tuple[str, str, str], ending: str, array: np.ndarray) -> Path:
    cohort, subject, visit = session
    folder = root / "ATLAS_2/Training" / cohort / subject / visit / "anat"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{subject}_{visit}_{ending}.nii.gz"
    nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), path)
    return path


def volumes(session: tuple[str, str, str]) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng([*"".join(session).encode()])
    return rng.normal(size=SIDES).astype(np.float32), rng.integers(0, 2, SIDES).astype(np.uint8)


@pytest.fixture
def root(tmp_path):
    for session in SESSIONS:
        image, mask = volumes(session)
        write(tmp_path, session, IMAGE, image)
        write(tmp_path, session, MASK, mask)
    return tmp_path


def test_sessions_come_back_with_subject_and_cohort(root):
    cases = pickle.loads(pickle.dumps(reader.load(root)))
    assert cases.table["cluster"].tolist() == [subject for _, subject, _ in SESSIONS]
    for session, case in zip(SESSIONS, cases, strict=True):
        image, mask = volumes(session)
        np.testing.assert_array_equal(case.image[0], image)
        np.testing.assert_array_equal(case.target["mask"], mask.astype(bool))
        assert (case.case, case.site) == (f"{session[1]}_{session[2]}", session[0])
        assert case.spacing_mm == (1, 1, 1)


@pytest.mark.parametrize("ending", [IMAGE, MASK])
def test_a_session_without_image_or_mask_is_refused(root, ending):
    write(root, SESSIONS[1], ending, np.zeros(SIDES, np.uint8)).unlink()
    with pytest.raises(
        ReplicateError, match=r"ses-2 must hold one file named anat/.*, got 0 files"
    ):
        reader.load(root)


def test_damages_are_named(root):
    write(root, SESSIONS[0], MASK, np.zeros((7, 8, 5), np.uint8))
    with pytest.raises(ReplicateError, match=r"lesion_mask.nii.gz must have the shape \(7, 8, 6\)"):
        reader.load(root)[0]
    write(root, SESSIONS[2], MASK, np.full(SIDES, 255, np.uint8))
    with pytest.raises(ReplicateError, match="label codes among 0 to 1, got 255"):
        reader.load(root)[2]
