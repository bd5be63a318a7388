"""LiTS: files that this test writes in the published format."""

import pickle
from pathlib import Path

import nibabel
import numpy as np
import pytest

from common.datasets import lits as reader
from common.errors import ReplicateError

SIDES = (16, 16, 5)
NUMBERS = (0, 2, 10)


def write(path: Path, array: np.ndarray, spacing=(0.75, 0.75, 2.5)) -> None:
    nibabel.save(nibabel.Nifti1Image(array, np.diag([*spacing, 1.0])), path)


def scan(number: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(number)
    mask = np.zeros(SIDES, np.uint8)
    mask[4:12, 4:12, 1:4] = 1
    mask[5 : 7 + number, 6:8, 2] = 2
    return rng.integers(-1000, 1000, SIDES).astype(np.int16), mask


@pytest.fixture
def root(tmp_path):
    for number in NUMBERS:
        image, mask = scan(number)
        write(tmp_path / f"volume-{number}.nii", image)
        write(tmp_path / f"segmentation-{number}.nii", mask)
    return tmp_path


def test_scans_come_in_the_order_of_their_numbers_with_their_own_masks(root):
    cases = pickle.loads(pickle.dumps(reader.load(root)))
    assert cases.table["case"].tolist() == ["volume-0", "volume-2", "volume-10"]
    assert cases.table["cluster"].is_unique
    for number, case in zip(NUMBERS, cases, strict=True):
        image, mask = scan(number)
        np.testing.assert_array_equal(case.image, image[None])
        np.testing.assert_array_equal(case.target["mask"], mask)
        assert case.spacing_mm == (0.75, 0.75, 2.5)


def test_merging_counts_tumour_as_liver(root):
    merged = reader.load(root, merge=True)[1].target["mask"]
    assert merged.dtype == bool
    np.testing.assert_array_equal(merged, scan(2)[1] > 0)


def test_damages_are_named(root):
    mask = scan(2)[1]
    write(root / "segmentation-2.nii", mask + 1)
    with pytest.raises(ReplicateError, match=r"segmentation-2.nii must hold label codes .*got 3"):
        reader.load(root)[1]
    write(root / "segmentation-2.nii", mask[:-1])
    with pytest.raises(ReplicateError, match=r"segmentation-2.nii must have the shape"):
        reader.load(root)[1]
    (root / "volume-2.nii").write_bytes((root / "volume-2.nii").read_bytes()[:500])
    with pytest.raises(ReplicateError, match=r"volume-2.nii must be a sound NIfTI file"):
        reader.load(root)[1]


@pytest.mark.parametrize("name", ["volume-10.nii", "segmentation-10.nii"])
def test_a_file_without_partner_is_refused(root, name):
    (root / name).unlink()
    with pytest.raises(ReplicateError, match=r"-10.nii must have a partner"):
        reader.load(root)
