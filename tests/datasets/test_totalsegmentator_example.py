"""TotalSegmentator's test files: the real crop, and a fixture with the same names."""

from pathlib import Path
from xml.etree import ElementTree

import nibabel
import numpy as np
import pytest

from common.datasets import totalsegmentator_example as reader
from common.errors import ReplicateError

CT, MR, SEG, FAST = (f"example_{name}.nii.gz" for name in ("ct_sm", "mr_sm", "seg", "seg_fast"))
SIDES = (5, 4, 3)


def write(path: Path, array: np.ndarray, spacing: float = 3.0) -> None:
    nibabel.save(nibabel.Nifti1Image(array, np.diag([spacing] * 3 + [1.0])), path)


@pytest.fixture
def arrays(rng) -> dict[str, np.ndarray]:
    return {
        CT: rng.integers(-1024, 1500, SIDES).astype(np.int16),
        MR: rng.integers(0, 800, (4, 4, 2)).astype(np.int16),
        SEG: rng.integers(0, 118, SIDES).astype(np.uint8),
        FAST: rng.integers(0, 118, SIDES).astype(np.uint8),
    }


@pytest.fixture
def root(tmp_path, arrays) -> Path:
    for name, array in arrays.items():
        write(tmp_path / name, array)
    return tmp_path


def test_the_real_crop_has_its_size_and_structures(mirror):
    ct, mr = reader.load(mirror(reader.DATASET))
    assert ct.image.shape == (1, 122, 101, 30)
    assert (ct.image.min(), ct.image.max()) == (-1100, 1207)
    assert len(np.unique(ct.target["mask"])) - 1 == 41
    assert len(np.unique(ct.target["mask_fast"])) - 1 == 40
    assert ct.spacing_mm == (3.0, 3.0, 3.0)
    assert mr.image.shape == (1, 117, 91, 20)
    assert dict(mr.target) == {}


@pytest.mark.parametrize("name", [SEG, FAST])
def test_class_names_are_those_in_the_real_headers(mirror, name):
    header = nibabel.load(mirror(reader.DATASET) / name).header
    text = header.extensions[0].get_content().decode().strip("\x00 \n")
    table = {int(x.get("Key")): x.text for x in ElementTree.fromstring(text).iter("Label")}
    assert table == dict(enumerate(reader.CLASSES[1:], start=1))


def test_liver_voxels_of_the_real_crop_have_the_density_of_soft_tissue(mirror):
    ct = reader.load(mirror(reader.DATASET))[0]
    liver = ct.image[0][ct.target["mask"] == reader.CLASSES.index("liver")]
    lung = ct.image[0][ct.target["mask"] == reader.CLASSES.index("lung_lower_lobe_left")]
    assert 30 < np.median(liver) < 200
    assert np.median(lung) < -600


def test_values_come_back(root, arrays):
    ct, mr = reader.load(root)
    np.testing.assert_array_equal(ct.image[0], arrays[CT])
    np.testing.assert_array_equal(ct.target["mask"], arrays[SEG])
    np.testing.assert_array_equal(ct.target["mask_fast"], arrays[FAST])
    np.testing.assert_array_equal(mr.image[0], arrays[MR])
    assert (ct.cluster, mr.cluster) == ("ct", "mr")


@pytest.mark.parametrize("name", [CT, MR, SEG, FAST])
def test_an_absent_file_is_named(root, name):
    (root / name).unlink()
    with pytest.raises(ReplicateError, match=f"{name} must exist, got none"):
        reader.load(root)


def test_a_label_map_of_another_grid_is_refused(root, arrays):
    write(root / FAST, arrays[FAST][:-1])
    with pytest.raises(ReplicateError, match=r"seg_fast.* must have the shape \(5, 4, 3\)"):
        reader.load(root)[0]
    write(root / FAST, arrays[FAST], spacing=1.5)
    with pytest.raises(ReplicateError, match=r"seg_fast.* must have the spacing"):
        reader.load(root)[0]


def test_an_unknown_code_is_refused(root):
    write(root / SEG, np.full(SIDES, 118, np.uint8))
    with pytest.raises(ReplicateError, match="label codes among 0 to 117, got 118"):
        reader.load(root)[0]


def test_a_broken_file_is_refused(root):
    (root / MR).write_bytes((root / MR).read_bytes()[:40])
    with pytest.raises(ReplicateError, match=f"{MR} must be a sound NIfTI file"):
        reader.load(root)[1]
