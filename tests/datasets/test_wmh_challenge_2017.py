"""WMH challenge: files that this test writes in the published format."""

import pickle
from pathlib import Path

import nibabel
import numpy as np
import pytest

from common.datasets import wmh_challenge_2017 as reader
from common.errors import ReplicateError

SIDES = (8, 9, 4)
# the number 0 stands for three people
TRAINING = ("Utrecht/0", "Utrecht/11", "Singapore/50", "Amsterdam/GE3T/100", "Singapore/0")
TEST = ("Amsterdam/GE1T5/150", "Amsterdam/Philips_VU .PETMR_01./160")


def write(root: Path, name: str, array: np.ndarray) -> Path:
    path = root / f"{name}.nii.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(array, np.diag([0.96, 0.96, 3.0, 1.0])), path)
    return path


def volume(name: str, kind: str) -> np.ndarray:
    rng = np.random.default_rng([*name.encode(), *kind.encode()])
    if kind == "wmh":
        return rng.integers(0, 3, SIDES).astype(np.uint8)
    return rng.normal(size=SIDES).astype(np.float32)


@pytest.fixture
def root(tmp_path):
    for part, names in (("training", TRAINING), ("test", TEST)):
        for name in names:
            for kind in ("wmh", "pre/FLAIR", "pre/T1", "orig/FLAIR", "orig/T1", "orig/3DT1"):
                write(tmp_path, f"{part}/{name}/{kind}", volume(name, kind))
    return tmp_path


@pytest.mark.parametrize("version", ["pre", "orig"])
def test_flair_and_t1_of_a_version_come_with_the_three_codes(root, version):
    cases = pickle.loads(pickle.dumps(reader.load(root, version=version)))
    assert sorted(cases.table["case"]) == sorted(TRAINING)
    for case in cases:
        expected = [volume(case.case, f"{version}/{kind}") for kind in ("FLAIR", "T1")]
        np.testing.assert_array_equal(case.image, expected)
        np.testing.assert_array_equal(case.target["mask"], volume(case.case, "wmh"))
        assert case.spacing_mm == pytest.approx((0.96, 0.96, 3.0))


def test_the_site_is_hospital_and_scanner(root):
    assert set(reader.load(root).table["site"]) == {"Utrecht", "Singapore", "Amsterdam/GE3T"}
    test = reader.load(root, part="test").table
    assert test["site"].tolist() == ["Amsterdam/GE1T5", "Amsterdam/Philips_VU .PETMR_01."]
    assert test["part"].unique().tolist() == ["test"]


def test_cases_are_in_the_order_of_site_and_number(root):
    assert reader.load(root).table["case"].tolist()[1:3] == ["Singapore/0", "Singapore/50"]


def test_unknown_part_and_version_are_refused(root):
    with pytest.raises(ValueError, match="`part` must be one of"):
        reader.load(root, part="validation")
    with pytest.raises(ValueError, match="`version` must be pre or orig"):
        reader.load(root, version="raw")


def test_damages_are_named(root):
    write(root, "training/Singapore/0/wmh", np.full(SIDES, 3, np.uint8))
    with pytest.raises(ReplicateError, match="label codes among 0 to 2, got 3"):
        reader.load(root)[1]
    write(root, "training/Singapore/50/pre/T1", np.zeros((8, 9, 3), np.float32))
    with pytest.raises(ReplicateError, match=r"T1.nii.gz must have the shape \(8, 9, 4\)"):
        reader.load(root)[2]
    (root / "training/Utrecht/0/pre/FLAIR.nii.gz").unlink()
    with pytest.raises(ReplicateError, match=r"Utrecht/0 must hold one file named pre/FLAIR"):
        reader.load(root)


def test_a_mask_outside_the_folder_of_a_site_is_refused(root):
    write(root, "training/7/wmh", volume("7", "wmh"))
    with pytest.raises(ReplicateError, match=r"training/7/wmh.nii.gz must lie in a folder of its"):
        reader.load(root)
