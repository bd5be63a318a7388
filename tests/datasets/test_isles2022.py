"""ISLES 2022: files that this test writes in the published form."""

import pickle
from pathlib import Path

import nibabel
import numpy as np
import pytest

from common.datasets import isles2022 as reader
from common.errors import ReplicateError

SIDES, FLAIR_SIDES = (6, 6, 5), (12, 12, 7)
PATIENTS = ("sub-strokecase0001", "sub-strokecase0002")


def path_of(root: Path, patient: str, kind: str) -> Path:
    name = f"{patient}_ses-0001_{kind}.nii.gz"
    if kind == "msk":
        return root / "ISLES-2022/derivatives" / patient / "ses-0001" / name
    folder = "anat" if kind == "FLAIR" else "dwi"
    return root / "ISLES-2022" / patient / "ses-0001" / folder / name


def write(root: Path, patient: str, kind: str, array: np.ndarray) -> None:
    path = path_of(root, patient, kind)
    path.parent.mkdir(parents=True, exist_ok=True)
    step = 1.0 if kind == "FLAIR" else 2.0
    nibabel.save(nibabel.Nifti1Image(array, np.diag([step, step, step, 1.0])), path)


def volume(patient: str, kind: str) -> np.ndarray:
    rng = np.random.default_rng([*patient.encode(), *kind.encode()])
    if kind == "msk":
        return rng.integers(0, 2, SIDES).astype(np.uint8)
    return rng.normal(size=FLAIR_SIDES if kind == "FLAIR" else SIDES).astype(np.float32)


@pytest.fixture
def root(tmp_path):
    for patient in PATIENTS:
        for kind in ("dwi", "adc", "FLAIR", "msk"):
            write(tmp_path, patient, kind, volume(patient, kind))
    return tmp_path


def test_dwi_and_adc_are_channels_on_the_grid_of_the_lesions(root):
    cases = pickle.loads(pickle.dumps(reader.load(root)))
    assert cases.table["case"].tolist() == list(PATIENTS)
    for patient, case in zip(PATIENTS, cases, strict=True):
        np.testing.assert_array_equal(case.image, [volume(patient, k) for k in ("dwi", "adc")])
        np.testing.assert_array_equal(case.target["mask"], volume(patient, "msk").astype(bool))
        assert case.spacing_mm == (2, 2, 2)
        assert case.info == {}


def test_flair_comes_on_its_own_grid_when_it_is_asked_for(root):
    info = reader.load(root, flair=True)[1].info
    np.testing.assert_array_equal(info["flair"], volume(PATIENTS[1], "FLAIR"))
    assert info["flair_spacing_mm"] == (1, 1, 1)


def test_damages_are_named(root):
    write(root, PATIENTS[0], "adc", np.zeros((6, 6, 4), np.float32))
    with pytest.raises(ReplicateError, match=r"_adc.nii.gz must have the shape \(6, 6, 5\)"):
        reader.load(root)[0]
    write(root, PATIENTS[1], "msk", np.full(SIDES, 2, np.uint8))
    with pytest.raises(ReplicateError, match="label codes among 0 to 1, got 2"):
        reader.load(root)[1]


@pytest.mark.parametrize("kind", ["dwi", "adc", "FLAIR", "msk"])
def test_an_absent_file_is_named(root, kind):
    path_of(root, PATIENTS[1], kind).unlink()
    with pytest.raises(ReplicateError, match=rf"{PATIENTS[1]} must hold one file .*_{kind}.nii.gz"):
        reader.load(root)
