"""The liver task, on files that this test writes in the published layout."""

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

from common.datasets import msd_task03_liver as reader
from common.errors import ReplicateError

SHAPE = (6, 5, 4)


def write_task(root: Path, rng) -> tuple[np.ndarray, np.ndarray]:
    """Write one labelled and one unlabelled scan with the archive's names and headers."""
    image = rng.integers(-1024, 2000, SHAPE).astype(np.int16)
    mask = rng.integers(0, 3, SHAPE[:3]).astype(np.uint8)
    affine = np.diag([0.75, 0.75, 5.0, 1.0])
    for name, array in (
        ("imagesTr/liver_003.nii.gz", image),
        ("labelsTr/liver_003.nii.gz", mask),
        ("imagesTs/liver_001.nii.gz", image),
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        nibabel.save(nibabel.Nifti1Image(array, affine), root / name)
    described = {
        "name": "LIVER",
        "tensorImageSize": "3D",
        "modality": {"0": "CT"},
        "labels": {"0": "background", "1": "liver", "2": "cancer"},
        "numTraining": 1,
        "numTest": 1,
        "training": [
            {"image": "./imagesTr/liver_003.nii.gz", "label": "./labelsTr/liver_003.nii.gz"}
        ],
        "test": ["./imagesTs/liver_001.nii.gz"],
    }
    (root / "dataset.json").write_text(json.dumps(described))
    return image, mask


def test_image_mask_and_spacing_come_back(tmp_path, rng):
    image, mask = write_task(tmp_path / "Task03_Liver", rng)
    case = reader.load(tmp_path)[0]
    assert case.case == "liver_003"
    assert case.image.dtype == image.dtype
    np.testing.assert_array_equal(case.image[0], image)
    np.testing.assert_array_equal(case.target["mask"], mask)
    assert case.spacing_mm == (0.75, 0.75, 5.0)


def test_the_unlabelled_part_has_no_mask(tmp_path, rng):
    write_task(tmp_path, rng)
    case = reader.load(tmp_path, part="test")[0]
    assert case.case == "liver_001"
    assert "mask" not in case.target


def test_names_cover_every_channel_and_code(tmp_path, rng):
    write_task(tmp_path, rng)
    case = reader.load(tmp_path)[0]
    assert len(reader.CHANNELS) == len(case.image)
    assert len(reader.CLASSES) == case.target["mask"].max() + 1


def test_a_code_beyond_the_classes_is_refused(tmp_path, rng):
    _, mask = write_task(tmp_path, rng)
    mask[0, 0, 0] = 3
    path = tmp_path / "labelsTr/liver_003.nii.gz"
    nibabel.save(nibabel.Nifti1Image(mask, np.diag([0.75, 0.75, 5.0, 1.0])), path)
    with pytest.raises(ReplicateError, match="label codes among 0 to 2, got 3"):
        reader.load(tmp_path)[0]
