"""AMOS 2022: files that this test writes in the published format."""

import json
import pickle
from pathlib import Path

import nibabel
import numpy as np
import pytest

from common.datasets import amos2022 as reader
from common.errors import ReplicateError

SIDES = (6, 7, 5)
NUMBERS = (4, 410, 507, 600)


def write(root: Path, kind: str, number: int, array: np.ndarray) -> Path:
    path = root / "amos22" / kind / f"amos_{number:04d}.nii.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(array, np.diag([1.5, 1.5, 5.0, 1.0])), path)
    return path


def scan(number: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(number)
    codes = rng.integers(0, 16, SIDES).astype(np.uint8)
    return rng.integers(-1000, 1000, SIDES).astype(np.int16), codes


def describe(root: Path, numbers=NUMBERS, labels=reader.CLASSES) -> None:
    entries = [
        {
            "image": f"./imagesTr/amos_{number:04d}.nii.gz",
            "label": f"./labelsTr/amos_{number:04d}.nii.gz",
        }
        for number in numbers
    ]
    text = {"labels": dict(enumerate(labels)), "training": entries, "modality": {"0": "CT"}}
    (root / "amos22/dataset.json").write_text(json.dumps(text))


@pytest.fixture
def root(tmp_path):
    for number in NUMBERS:
        image, mask = scan(number)
        write(tmp_path, "imagesTr", number, image)
        write(tmp_path, "labelsTr", number, mask)
    describe(tmp_path)
    return tmp_path


def test_scans_come_back_with_the_modality_of_their_number(root):
    cases = pickle.loads(pickle.dumps(reader.load(root)))
    assert cases.table["modality"].tolist() == ["CT", "CT", "MR", "MR"]
    for number, case in zip(NUMBERS, cases, strict=True):
        image, mask = scan(number)
        np.testing.assert_array_equal(case.image[0], image)
        np.testing.assert_array_equal(case.target["mask"], mask)
        assert (case.case, case.spacing_mm) == (f"amos_{number:04d}", (1.5, 1.5, 5.0))


def test_one_modality_is_kept(root):
    assert reader.load(root, modality="MR").table["number"].tolist() == [507, 600]
    assert reader.load(root, modality="CT").table["number"].tolist() == [4, 410]
    with pytest.raises(ValueError, match="`modality` must be CT or MR"):
        reader.load(root, modality="PET")


def test_the_papers_test_scans_are_eight_mr_scans_with_28_pairs():
    numbers = reader.SHAPE_REGISTRATION_TEST
    assert len(set(numbers)) * (len(numbers) - 1) // 2 == 28
    assert min(numbers) > 500
    assert len(reader.CLASSES) == 16


@pytest.mark.parametrize("numbers", [NUMBERS[:-1], (*NUMBERS, 508)])
def test_a_list_that_differs_from_the_files_is_refused(root, numbers):
    describe(root, numbers)
    with pytest.raises(ReplicateError, match=r"dataset.json must list the files of imagesTr, got"):
        reader.load(root)


def test_other_labels_and_a_broken_description_are_refused(root):
    describe(root, labels=reader.CLASSES[:14])
    with pytest.raises(ReplicateError, match="must describe the label codes 0 to 15"):
        reader.load(root)
    (root / "amos22/dataset.json").write_text("[]")
    with pytest.raises(ReplicateError, match="must describe labels and training"):
        reader.load(root)


def test_damages_are_named(root):
    write(root, "labelsTr", 4, np.full(SIDES, 16, np.uint8))
    with pytest.raises(ReplicateError, match="label codes among 0 to 15, got 16"):
        reader.load(root)[0]
    write(root, "labelsTr", 410, np.zeros((6, 7, 4), np.uint8))
    with pytest.raises(ReplicateError, match=r"labelsTr/amos_0410.nii.gz must have the shape"):
        reader.load(root)[1]
    (root / "amos22/labelsTr/amos_0507.nii.gz").unlink()
    with pytest.raises(ReplicateError, match=r"imagesTr/amos_0507.nii.gz must have a partner"):
        reader.load(root)
