"""The hippocampus task: the real files, and a fixture in the published layout."""

import json

import nibabel
import numpy as np
import pytest

from common.datasets import msd_task04_hippocampus as reader
from common.errors import ReplicateError


def test_all_260_real_cases_are_read(mirror):
    cases = reader.load(mirror(reader.DATASET))
    assert len(cases) == 260
    kinds = {"float32": 0, "uint8": 0}
    for case in cases:
        kinds[case.image.dtype.name] += 1
        assert case.image.shape == (1, *case.target["mask"].shape)
        assert np.unique(case.target["mask"]).tolist() == [0, 1, 2]
        assert case.spacing_mm == (1.0, 1.0, 1.0)
    assert kinds == {"float32": 205, "uint8": 55}


def test_a_real_case_has_the_voxels_that_nibabel_reads(mirror):
    folder = mirror(reader.DATASET)
    case = reader.load(folder)[0]
    assert case.case == "hippocampus_001"
    assert case.image.shape == (1, 35, 51, 35)
    assert np.bincount(case.target["mask"].ravel()).tolist() == [59527, 1324, 1624]
    stored = nibabel.load(folder / "images/hippocampus_001.nii.gz")
    np.testing.assert_array_equal(case.image[0], stored.get_fdata())


def test_the_published_layout_is_read(tmp_path, rng):
    image = rng.integers(0, 255, (6, 5, 4)).astype(np.uint8)
    mask = rng.integers(0, 3, (6, 5, 4)).astype(np.uint8)
    for folder, array in (("imagesTr", image), ("labelsTr", mask)):
        (tmp_path / folder).mkdir()
        path = tmp_path / folder / "hippocampus_367.nii.gz"
        nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), path)
    pair = {
        key: f"./{folder}/hippocampus_367.nii.gz"
        for key, folder in (("image", "imagesTr"), ("label", "labelsTr"))
    }
    described = {
        "modality": {"0": "MRI"},
        "labels": {"0": "background", "1": "Anterior", "2": "Posterior"},
        "training": [pair],
        "test": [],
    }
    (tmp_path / "dataset.json").write_text(json.dumps(described))
    case = reader.load(tmp_path)[0]
    np.testing.assert_array_equal(case.image[0], image)
    np.testing.assert_array_equal(case.target["mask"], mask)
    with pytest.raises(ReplicateError, match="cases of the test part"):
        reader.load(tmp_path, part="test")
