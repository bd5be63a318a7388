"""SynthRAD2025: files that this test writes in the published format."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from common.datasets import synthrad2025 as reader
from common.errors import ReplicateError

SIDES = (4, 5, 6)  # z, y, x
PATIENTS = ("1HNA001", "1HNC024")


def write(root: Path, patient: str, kind: str, array: np.ndarray) -> None:
    path = root / "Task1/HN" / patient / f"{kind}.mha"
    path.parent.mkdir(parents=True, exist_ok=True)
    image = SimpleITK.GetImageFromArray(array)
    image.SetSpacing((1.0, 1.0, 3.0))
    SimpleITK.WriteImage(image, str(path), useCompression=True)


def volumes(patient: str) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(PATIENTS.index(patient))
    return {
        "mr": rng.normal(size=SIDES).astype(np.float32),
        "ct": rng.integers(-1024, 3000, SIDES).astype(np.int16),
        "mask": rng.integers(0, 2, SIDES).astype(np.uint8),
    }


@pytest.fixture
def root(tmp_path):
    for patient in PATIENTS:
        for kind, array in volumes(patient).items():
            write(tmp_path, patient, kind, array)
    overviews = tmp_path / "Task1/HN/overviews"
    overviews.mkdir()
    (overviews / "1HNA001_overview.png").touch()
    (overviews / "1_HN_train_parameters.xlsx").touch()
    return tmp_path


def test_mr_is_the_image_and_ct_the_target(root):
    cases = pickle.loads(pickle.dumps(reader.load(root)))
    assert cases.table["case"].tolist() == list(PATIENTS)
    for patient, case in zip(PATIENTS, cases, strict=True):
        arrays = volumes(patient)
        np.testing.assert_array_equal(case.image[0], arrays["mr"])
        np.testing.assert_array_equal(case.target["ct"], arrays["ct"])
        np.testing.assert_array_equal(case.target["mask"], arrays["mask"].astype(bool))
        assert case.spacing_mm == (3.0, 1.0, 1.0)
    assert [case.site for case in cases] == ["A", "C"]


def test_other_regions_are_absent_or_unknown(root):
    with pytest.raises(ReplicateError, match=r"folders named Task1/TH/1\*, got none"):
        reader.load(root, region="TH")
    with pytest.raises(ValueError, match="`region` must be one of"):
        reader.load(root, region="head")


def test_damages_are_named(root):
    write(root, "1HNA001", "mask", np.ones((4, 5, 5), np.uint8))
    with pytest.raises(ReplicateError, match=r"mask.mha must have the shape \(4, 5, 6\)"):
        reader.load(root)[0]
    path = root / "Task1/HN/1HNC024/mr.mha"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ReplicateError, match=r"mr.mha must be a sound MetaImage"):
        reader.load(root)[1]
    path.unlink()
    with pytest.raises(ReplicateError, match=r"1HNC024 must hold one file named mr.mha"):
        reader.load(root)


def test_a_patient_with_another_name_is_refused(root):
    (root / "Task1/HN/1HNA001").rename(root / "Task1/HN/1THA001")
    with pytest.raises(ReplicateError, match="be named like 1HNA001, got 1THA001"):
        reader.load(root)
