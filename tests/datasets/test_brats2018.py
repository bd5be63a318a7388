"""BraTS 2018: files that this test writes in the published format."""

import pickle
from pathlib import Path

import nibabel
import numpy as np
import pytest

from common.datasets import brats2018 as reader
from common.errors import ReplicateError

SIDES = (6, 6, 4)
SEQUENCES = ("t1", "t1ce", "t2", "flair")
PATIENTS = {"HGG/Brats18_CBICA_AAB_1": 1, "LGG/Brats18_2013_0_1": 2, "HGG/Brats18_TCIA01_131_1": 3}


def write(root: Path, patient: str, ending: str, array: np.ndarray) -> Path:
    folder = root / "MICCAI_BraTS_2018_Data_Training" / patient
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{folder.name}_{ending}.nii.gz"
    nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), path)
    return path


def image(seed: int, channel: int) -> np.ndarray:
    return (np.arange(144, dtype=np.int16) * seed + 1000 * channel).reshape(SIDES)


def mask(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).choice([0, 1, 2, 4], SIDES).astype(np.uint8)


@pytest.fixture
def root(tmp_path):
    for patient, seed in PATIENTS.items():
        for channel, name in enumerate(SEQUENCES):
            write(tmp_path, patient, name, image(seed, channel))
        write(tmp_path, patient, "seg", mask(seed))
    return tmp_path


def test_four_sequences_and_codes_come_back_with_grade_and_site(root):
    cases = pickle.loads(pickle.dumps(reader.load(root)))
    assert len(cases) == 3
    for case in cases:
        patient = next(name for name in PATIENTS if name.endswith(case.case))
        seed = PATIENTS[patient]
        np.testing.assert_array_equal(case.image, [image(seed, c) for c in range(4)])
        np.testing.assert_array_equal(case.target["mask"], mask(seed))
        assert case.target["label"] == patient.startswith("HGG")
        assert case.site == case.case.split("_")[1]
        assert case.spacing_mm == (1, 1, 1)
    assert reader.GRADES == ("LGG", "HGG")


def test_sequences_are_chosen_in_their_order(root):
    (
        root / "MICCAI_BraTS_2018_Data_Training/LGG/Brats18_2013_0_1/Brats18_2013_0_1_t2.nii.gz"
    ).unlink()
    cases = reader.load(root, sequences=("flair", "t1ce"))
    low = cases.where(cases.table["label"] == 0)[0]
    np.testing.assert_array_equal(low.image, [image(2, 3), image(2, 1)])


@pytest.mark.parametrize("sequences", [(), ("t1", "pd")])
def test_unknown_sequences_are_refused(root, sequences):
    with pytest.raises(ValueError, match="`sequences` must be some of"):
        reader.load(root, sequences=sequences)


def test_code_3_of_older_releases_is_refused(root):
    write(root, "LGG/Brats18_2013_0_1", "seg", np.full(SIDES, 3, np.uint8))
    cases = reader.load(root)
    with pytest.raises(ReplicateError, match="label codes among 0, 1, 2, 4, got 3"):
        cases.where(cases.table["label"] == 0)[0]


def test_an_absent_sequence_and_a_misshapen_one_are_refused(root):
    path = write(root, "LGG/Brats18_2013_0_1", "t2", image(2, 2)[1:])
    cases = reader.load(root)
    with pytest.raises(ReplicateError, match=r"Brats18_2013_0_1_t2.nii.gz must have the shape"):
        cases.where(cases.table["label"] == 0)[0]
    path.unlink()
    with pytest.raises(ReplicateError, match=r"Brats18_2013_0_1 must hold one file named"):
        reader.load(root)
