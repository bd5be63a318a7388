"""The lesion masks: all real patients, and a fixture with the published names."""

from pathlib import Path

import nibabel
import numpy as np
import pytest

from common.datasets import open_ms_flair as reader
from common.errors import ReplicateError

FLAIR = "FLAIR_N4_noneck_reduced_winsor_regtoFLAIR_brain_N4_regtoMNI.nii.gz"
MASK = "GOLD_STANDARD_N4_noneck_reduced_winsor_regtoFLAIR_regtoMNI.nii.gz"
SIDES = (5, 6, 7)


def write(path: Path, array: np.ndarray, spacing: float = 1.0) -> None:
    path.parent.mkdir(exist_ok=True)
    image = nibabel.Nifti1Image(array, np.diag([spacing] * 3 + [1.0]))
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)


@pytest.fixture
def volumes(rng) -> tuple[np.ndarray, np.ndarray]:
    return rng.normal(size=SIDES).astype(np.float32), rng.integers(0, 2, SIDES).astype(np.uint8)


@pytest.fixture
def root(tmp_path, volumes) -> Path:
    flair, mask = volumes
    write(tmp_path / "patient02" / MASK, mask)
    write(tmp_path / "patient19" / MASK, 1 - mask)
    write(tmp_path / "patient19" / FLAIR, flair)
    return tmp_path


def test_the_30_real_masks_have_the_measured_volumes(mirror):
    cases = reader.load(mirror(reader.DATASET))
    volumes = [int(case.target["mask"].sum()) for case in cases]
    assert len(volumes) == 30
    assert (volumes[0], volumes[1], volumes[28]) == (30620, 1381, 316)
    assert (min(volumes), max(volumes)) == (316, 52190)
    assert np.median(volumes) == (13606 + 14263) / 2
    assert {case.target["mask"].shape for case in cases} == {(182, 218, 182)}


def test_two_real_patients_have_the_flair_volume_that_nibabel_reads(mirror):
    folder = mirror(reader.DATASET)
    cases = reader.load(folder)
    with_image = cases.where(cases.table.has_image)
    assert with_image.table["case"].tolist() == ["patient19", "patient26"]
    stored = nibabel.load(folder / "patient26" / FLAIR).get_fdata(dtype=np.float32)
    np.testing.assert_array_equal(with_image[1].image[0], stored)


def test_patients_come_back_with_and_without_image(root, volumes):
    flair, mask = volumes
    cases = reader.load(root)
    assert cases.table["cluster"].tolist() == ["patient02", "patient19"]
    assert cases.table["has_image"].tolist() == [False, True]
    assert cases[0].image is None
    np.testing.assert_array_equal(cases[0].target["mask"], mask == 1)
    np.testing.assert_array_equal(cases[1].target["mask"], mask == 0)
    np.testing.assert_array_equal(cases[1].image, flair[np.newaxis])
    assert cases[1].target["mask"].dtype == bool
    assert cases[1].spacing_mm == (1.0, 1.0, 1.0)


def test_a_patient_without_mask_is_named(root):
    (root / "patient19" / MASK).unlink()
    with pytest.raises(ReplicateError, match=f"patient19/{MASK} must exist"):
        reader.load(root)


def test_a_folder_without_patients_is_refused(tmp_path):
    with pytest.raises(ReplicateError, match="must hold files named patient"):
        reader.load(tmp_path)


def test_a_mask_of_another_shape_or_spacing_is_refused(root, volumes):
    write(root / "patient19" / MASK, volumes[1][1:])
    with pytest.raises(ReplicateError, match=r"must have the shape \(5, 6, 7\)"):
        reader.load(root)[1]
    write(root / "patient19" / MASK, volumes[1], spacing=2.0)
    with pytest.raises(ReplicateError, match="must have the spacing"):
        reader.load(root)[1]


def test_an_unknown_label_is_refused(root, volumes):
    write(root / "patient02" / MASK, volumes[1] * 2)
    with pytest.raises(ReplicateError, match=r"patient02.*label codes among 0 to 1, got 2"):
        reader.load(root)[0]


def test_a_broken_volume_is_refused(root):
    (root / "patient19" / FLAIR).write_bytes(b"not gzip")
    with pytest.raises(ReplicateError, match=f"{FLAIR} must be a sound NIfTI file"):
        reader.load(root)[1]
