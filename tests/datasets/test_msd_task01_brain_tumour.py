"""The brain tumour task, on files that this test writes in the published layout."""

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

from common.datasets import msd_task01_brain_tumour as reader
from common.errors import ReplicateError

SHAPE = (6, 5, 4, 4)


def write_task(root: Path, rng) -> tuple[np.ndarray, np.ndarray]:
    """Write one labelled and one unlabelled scan with the archive's names and headers."""
    image = rng.normal(size=SHAPE).astype(np.float32)
    mask = rng.integers(0, 4, SHAPE[:3]).astype(np.uint8)
    affine = np.diag([1.0, 1.0, 1.0, 1.0])
    for name, array in (
        ("imagesTr/BRATS_003.nii.gz", image),
        ("labelsTr/BRATS_003.nii.gz", mask),
        ("imagesTs/BRATS_001.nii.gz", image),
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        nibabel.save(nibabel.Nifti1Image(array, affine), root / name)
    described = {
        "name": "BRATS",
        "tensorImageSize": "4D",
        "modality": {"0": "FLAIR", "1": "T1w", "2": "t1gd", "3": "T2w"},
        "labels": {"0": "background", "1": "edema", "2": "non-enhancing", "3": "enhancing"},
        "numTraining": 1,
        "numTest": 1,
        "training": [
            {"image": "./imagesTr/BRATS_003.nii.gz", "label": "./labelsTr/BRATS_003.nii.gz"}
        ],
        "test": ["./imagesTs/BRATS_001.nii.gz"],
    }
    (root / "dataset.json").write_text(json.dumps(described))
    return image, mask


def test_image_mask_and_spacing_come_back(tmp_path, rng):
    image, mask = write_task(tmp_path / "Task01_BrainTumour", rng)
    case = reader.load(tmp_path)[0]
    assert case.case == "BRATS_003"
    assert case.image.dtype == image.dtype
    np.testing.assert_array_equal(case.image, np.moveaxis(image, 3, 0))
    np.testing.assert_array_equal(case.target["mask"], mask)
    assert case.spacing_mm == (1.0, 1.0, 1.0)


def test_the_unlabelled_part_has_no_mask(tmp_path, rng):
    write_task(tmp_path, rng)
    case = reader.load(tmp_path, part="test")[0]
    assert case.case == "BRATS_001"
    assert "mask" not in case.target


def test_names_cover_every_channel_and_code(tmp_path, rng):
    write_task(tmp_path, rng)
    case = reader.load(tmp_path)[0]
    assert len(reader.CHANNELS) == len(case.image)
    assert len(reader.CLASSES) == case.target["mask"].max() + 1


def test_a_code_beyond_the_classes_is_refused(tmp_path, rng):
    _, mask = write_task(tmp_path, rng)
    mask[0, 0, 0] = 4
    path = tmp_path / "labelsTr/BRATS_003.nii.gz"
    nibabel.save(nibabel.Nifti1Image(mask, np.diag([1.0, 1.0, 1.0, 1.0])), path)
    with pytest.raises(ReplicateError, match="label codes among 0 to 3, got 4"):
        reader.load(tmp_path)[0]
