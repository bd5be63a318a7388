"""The heart task, on files that this test writes in the published layout."""

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

from common.datasets import msd_task02_heart as reader
from common.errors import ReplicateError

SHAPE = (6, 5, 4)


def write_task(root: Path, rng) -> tuple[np.ndarray, np.ndarray]:
    """Write one labelled and one unlabelled scan with the archive's names and headers."""
    image = rng.integers(0, 2000, SHAPE).astype(np.int16)
    mask = rng.integers(0, 2, SHAPE[:3]).astype(np.uint8)
    affine = np.diag([1.25, 1.25, 1.5, 1.0])
    for name, array in (
        ("imagesTr/la_003.nii.gz", image),
        ("labelsTr/la_003.nii.gz", mask),
        ("imagesTs/la_001.nii.gz", image),
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        nibabel.save(nibabel.Nifti1Image(array, affine), root / name)
    described = {
        "name": "HEART",
        "tensorImageSize": "3D",
        "modality": {"0": "MRI"},
        "labels": {"0": "background", "1": "left atrium"},
        "numTraining": 1,
        "numTest": 1,
        "training": [{"image": "./imagesTr/la_003.nii.gz", "label": "./labelsTr/la_003.nii.gz"}],
        "test": ["./imagesTs/la_001.nii.gz"],
    }
    (root / "dataset.json").write_text(json.dumps(described))
    return image, mask


def test_image_mask_and_spacing_come_back(tmp_path, rng):
    image, mask = write_task(tmp_path / "Task02_Heart", rng)
    case = reader.load(tmp_path)[0]
    assert case.case == "la_003"
    assert case.image.dtype == image.dtype
    np.testing.assert_array_equal(case.image[0], image)
    np.testing.assert_array_equal(case.target["mask"], mask)
    assert case.spacing_mm == (1.25, 1.25, 1.5)


def test_the_unlabelled_part_has_no_mask(tmp_path, rng):
    write_task(tmp_path, rng)
    case = reader.load(tmp_path, part="test")[0]
    assert case.case == "la_001"
    assert "mask" not in case.target


def test_names_cover_every_channel_and_code(tmp_path, rng):
    write_task(tmp_path, rng)
    case = reader.load(tmp_path)[0]
    assert len(reader.CHANNELS) == len(case.image)
    assert len(reader.CLASSES) == case.target["mask"].max() + 1


def test_a_code_beyond_the_classes_is_refused(tmp_path, rng):
    _, mask = write_task(tmp_path, rng)
    mask[0, 0, 0] = 2
    path = tmp_path / "labelsTr/la_003.nii.gz"
    nibabel.save(nibabel.Nifti1Image(mask, np.diag([1.25, 1.25, 1.5, 1.0])), path)
    with pytest.raises(ReplicateError, match="label codes among 0 to 1, got 2"):
        reader.load(tmp_path)[0]
