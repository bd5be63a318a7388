"""HECKTOR 2021: files that this test writes in the published format."""

import pickle
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK

from common.datasets import hecktor2021 as reader
from common.datasets.files import read_nifti
from common.errors import ReplicateError

CT_SIDES, CT_STEPS = (40, 40, 16), (2.0, 2.0, 3.0)
PT_SIDES, PT_STEPS = (24, 24, 20), (4.0, 4.0, 3.0)
PATIENTS = ("CHGJ007", "CHUM001", "CHUP025")
# left, back, head in mm: the lower corner of each patient's box
LOWER = (-20.0, -12.0, 6.0)
SIDE = 24
HEADER = "PatientID,x1,y1,z1,x2,y2,z2"


def write(root: Path, patient: str, kind: str, array: np.ndarray) -> Path:
    steps = PT_STEPS if kind == "pt" else CT_STEPS
    path = root / "hecktor_nii" / f"{patient}_{kind}.nii.gz"
    path.parent.mkdir(exist_ok=True)
    # as written by ITK: the first voxel lies right, front and low; x runs to the left
    affine = np.diag([-steps[0], -steps[1], steps[2], 1.0])
    affine[:3, 3] = (40.0, 36.0, 0.0)
    nibabel.save(nibabel.Nifti1Image(array, affine), path)
    return path


def ramp(sides, steps) -> np.ndarray:
    """Left + 2 back + 3 head of a voxel's centre, in mm: exact under linear interpolation."""
    x, y, z = np.meshgrid(
        *(np.arange(n) * s for n, s in zip(sides, steps, strict=True)), indexing="ij"
    )
    return ((x - 40) + 2 * (y - 36) + 3 * z).astype(np.float32)


def tumour() -> np.ndarray:
    """10 x 8 x 6 mm: left -10 to 0, back 0 to 8, head 12 to 18 (voxel centres)."""
    mask = np.zeros(CT_SIDES, np.uint8)
    mask[15:21, 18:23, 4:7] = 1
    return mask


def write_boxes(root: Path, patients=PATIENTS, upper=SIDE) -> None:
    corners = [*LOWER, *(low + upper for low in LOWER)]
    lines = [",".join([name, *map(str, corners)]) for name in patients]
    (root / "hecktor2021_bbox_training.csv").write_text("\n".join([HEADER, *lines]) + "\n")


@pytest.fixture
def root(tmp_path):
    for patient in PATIENTS:
        write(tmp_path, patient, "ct", ramp(CT_SIDES, CT_STEPS))
        write(tmp_path, patient, "pt", ramp(PT_SIDES, PT_STEPS) / 100)
        write(tmp_path, patient, "gtvt", tumour())
    write_boxes(tmp_path)
    return tmp_path


def test_ct_and_pet_are_brought_to_the_box_in_its_own_directions(root):
    cases = pickle.loads(pickle.dumps(reader.load(root)))
    left, back, head = np.meshgrid(*(low + np.arange(SIDE) for low in LOWER), indexing="ij")
    expected = left + 2 * back + 3 * head
    for case in cases:
        assert (case.image.shape, case.image.dtype) == ((2, SIDE, SIDE, SIDE), np.float32)
        np.testing.assert_allclose(case.image[0], expected, atol=1e-3)
        np.testing.assert_allclose(case.image[1], expected / 100, atol=1e-5)
        assert case.spacing_mm == (1, 1, 1)


def test_the_mask_is_where_the_tumour_is(root):
    mask = reader.load(root)[0].target["mask"]
    found = np.argwhere(mask)
    # nearest voxels: a voxel reaches half a step beyond its centre
    lower, upper = found.min(axis=0) + LOWER, found.max(axis=0) + LOWER
    assert np.abs(lower - [-10, 0, 12]).max() <= 1.5
    assert np.abs(upper - [0, 8, 18]).max() <= 1.5
    assert mask.sum() == pytest.approx(tumour().sum() * np.prod(CT_STEPS), rel=0.15)


@pytest.mark.parametrize("spacing", [1.0, 2.0])
def test_resampling_agrees_with_simpleitk(root, spacing, rng):
    path = write(root, "CHUM001", "pt", rng.normal(size=PT_SIDES).astype(np.float32))
    size = round(SIDE / spacing)
    image = SimpleITK.Resample(
        SimpleITK.ReadImage(str(path)),
        (size,) * 3,
        SimpleITK.Transform(),
        SimpleITK.sitkLinear,
        LOWER,
        (spacing,) * 3,
        np.eye(3).ravel().tolist(),
        0.0,
    )
    case = reader.load(root, spacing_mm=spacing)[1]
    expected = SimpleITK.GetArrayFromImage(image).transpose()
    np.testing.assert_allclose(case.image[1], expected, atol=1e-4)
    assert case.spacing_mm == (spacing,) * 3


def test_outside_the_scan_ct_is_air_and_pet_nothing(root):
    corners = "-200,-12,6,-176,12,30"
    (root / "hecktor2021_bbox_training.csv").write_text(
        "\n".join([HEADER, *(f"{name},{corners}" for name in PATIENTS)])
    )
    write(root, "CHGJ007", "gtvt", np.zeros(CT_SIDES, np.uint8))
    case = reader.load(root)[0]
    assert (case.image[0] == -1024).all()
    assert (case.image[1] == 0).all()
    with pytest.raises(ReplicateError, match=r"CHUM001_gtvt.nii.gz must lie in the box of CHUM001"):
        reader.load(root)[1]


def test_the_letters_of_a_name_are_its_site(root):
    table = reader.load(root).table
    assert table["site"].tolist() == ["CHGJ", "CHUM", "CHUP"]
    assert table["x1"].tolist() == [LOWER[0]] * 3
    assert reader.load(root)[2].site == "CHUP"


def test_a_patient_without_box_or_file_is_refused(root):
    write_boxes(root, PATIENTS[1:])
    with pytest.raises(ReplicateError, match=r"bbox_training.csv must give a box for CHGJ007"):
        reader.load(root)
    (root / "hecktor_nii/CHUM001_gtvt.nii.gz").unlink()
    with pytest.raises(ReplicateError, match=r"CHUM001_ct.nii.gz must have a partner"):
        reader.load(root)


@pytest.mark.parametrize(
    "line", ["1,2,3,25,26,30", "1,2,3,1,2,3", "1,2,x,4,5,6", "1,2,nan,25,26,27"]
)
def test_a_box_that_is_no_cube_is_refused(root, line):
    lines = [HEADER, *(f"{name},{line}" for name in PATIENTS)]
    (root / "hecktor2021_bbox_training.csv").write_text("\n".join(lines))
    with pytest.raises(ReplicateError, match="must give a cube in mm for CHGJ007"):
        reader.load(root)


def test_damages_are_named(root):
    write(root, "CHGJ007", "gtvt", tumour()[:, :, 1:])
    with pytest.raises(ReplicateError, match=r"CHGJ007_gtvt.nii.gz must have the shape"):
        reader.load(root)[0]
    write(root, "CHGJ007", "gtvt", tumour() * 2)
    with pytest.raises(ReplicateError, match="label codes among 0 to 1, got 2"):
        reader.load(root)[0]


@pytest.mark.parametrize("spacing", [0, -1, float("nan")])
def test_a_spacing_that_is_not_positive_is_refused(root, spacing):
    with pytest.raises(ValueError, match="`spacing_mm` must be positive"):
        reader.load(root, spacing_mm=spacing)


def test_the_box_holds_144_voxels_of_1_mm_as_published(root):
    volume = read_nifti(root / "hecktor_nii/CHUM001_ct.nii.gz")
    cube = reader.resample(
        volume, lower_mm=np.array(LOWER), size=144, spacing_mm=1.0, order=1, fill=-1024.0
    )
    assert cube.shape == (144, 144, 144)
