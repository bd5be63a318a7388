"""SynthRAD2023: files that this test writes in the published format."""

import pickle
from pathlib import Path

import nibabel
import numpy as np
import pytest

from common.datasets import synthrad2023 as reader
from common.errors import ReplicateError

SIDES = (5, 6, 7)
PATIENTS = ("brain/1BA001", "brain/1BC014", "pelvis/1PA001")


def write(root: Path, patient: str, kind: str, array: np.ndarray) -> None:
    path = root / "Task1" / patient / f"{kind}.nii.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(array, np.diag([1.0, 1.0, 2.5, 1.0])), path)


def volumes(patient: str) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(PATIENTS.index(patient))
    return {
        "mr": rng.integers(0, 2000, SIDES).astype(np.int16),
        "ct": rng.integers(-1024, 3000, SIDES).astype(np.int16),
        "mask": rng.integers(0, 2, SIDES).astype(np.uint8),
    }


@pytest.fixture
def root(tmp_path):
    for patient in PATIENTS:
        for kind, array in volumes(patient).items():
            write(tmp_path, patient, kind, array)
    # the published folders of each region hold pictures too
    (tmp_path / "Task1/brain/overview").mkdir()
    return tmp_path


def test_mr_is_the_image_and_ct_the_target(root):
    cases = pickle.loads(pickle.dumps(reader.load(root)))
    assert cases.table["case"].tolist() == ["1BA001", "1BC014", "1PA001"]
    assert cases.table["region"].tolist() == ["brain", "brain", "pelvis"]
    for patient, case in zip(PATIENTS, cases, strict=True):
        arrays = volumes(patient)
        np.testing.assert_array_equal(case.image[0], arrays["mr"])
        np.testing.assert_array_equal(case.target["ct"], arrays["ct"])
        np.testing.assert_array_equal(case.target["mask"], arrays["mask"].astype(bool))
        assert case.spacing_mm == (1.0, 1.0, 2.5)
    assert [case.site for case in cases] == ["A", "C", "A"]


def test_a_region_is_read_alone(root):
    assert reader.load(root, region="pelvis").table["case"].tolist() == ["1PA001"]
    with pytest.raises(ValueError, match="`region` must be one of"):
        reader.load(root, region="head")


def test_damages_are_named(root):
    write(root, "brain/1BA001", "ct", volumes("brain/1BA001")["ct"][:, 1:])
    with pytest.raises(ReplicateError, match=r"ct.nii.gz must have the shape \(5, 6, 7\)"):
        reader.load(root)[0]
    write(root, "brain/1BC014", "mask", np.full(SIDES, 7, np.uint8))
    with pytest.raises(ReplicateError, match="label codes among 0 to 1, got 7"):
        reader.load(root)[1]
    (root / "Task1/pelvis/1PA001/mr.nii.gz").unlink()
    with pytest.raises(ReplicateError, match=r"1PA001 must hold one file named mr.nii.gz"):
        reader.load(root)


def test_a_patient_of_another_region_is_refused(root):
    (root / "Task1/pelvis/1PA001").rename(root / "Task1/pelvis/1BA002")
    with pytest.raises(ReplicateError, match="be named like 1PA001, got 1BA002"):
        reader.load(root)
