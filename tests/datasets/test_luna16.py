"""LUNA16: the real lists, and volumes that this test writes as the challenge publishes them."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from common.datasets import luna16 as reader
from common.errors import ReplicateError

STEM = "1.3.6.1.4.1.14519.5.2.1.6279.6001."
A, B, C = f"{STEM}100", f"{STEM}105", f"{STEM}997"
SHAPE = (12, 20, 24)
SPACING, ORIGIN = (2.5, 0.5, 0.75), (-300.0, -50.0, -80.0)  # z, y, x
# voxels z, y, x of two nodules of A, at whole indices
VOXELS = ((3, 10, 12), (8, 4, 20))
DIAMETERS = (6.0, 4.5)


def header(scan: str, kind: str, matrix: str = "1 0 0 0 1 0 0 0 1") -> str:
    """The header in the words and order of the published files."""
    return (
        "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
        f"CompressedData = False\nTransformMatrix = {matrix}\n"
        f"Offset = {' '.join(str(value) for value in reversed(ORIGIN))}\n"
        "CenterOfRotation = 0 0 0\nAnatomicalOrientation = RAI\n"
        f"ElementSpacing = {' '.join(str(value) for value in reversed(SPACING))}\n"
        f"DimSize = {SHAPE[2]} {SHAPE[1]} {SHAPE[0]}\nElementType = {kind}\n"
        f"ElementDataFile = {scan}.raw\n"
    )


def volume_of(scan: str) -> np.ndarray:
    rng = np.random.default_rng(int(scan.rsplit(".", 1)[1]))
    return rng.integers(-1000, 400, SHAPE).astype("<i2")


def write_volume(folder: Path, scan: str, **options: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{scan}.mhd").write_text(header(scan, "MET_SHORT", **options))
    (folder / f"{scan}.raw").write_bytes(volume_of(scan).tobytes())
    return folder / f"{scan}.mhd"


def world(voxel, signs=(1, 1, 1)) -> list[float]:
    return [o + s * i * d for o, s, i, d in zip(ORIGIN, signs, voxel, SPACING, strict=True)]


def write_lists(root: Path, signs=(1, 1, 1)) -> None:
    (root / "seriesuids.csv").write_text(f"{A}\n{B}\n{C}\n")
    lines = ["seriesuid,coordX,coordY,coordZ,diameter_mm"]
    for voxel, diameter in zip(VOXELS, DIAMETERS, strict=True):
        z, y, x = world(voxel, signs)
        lines.append(f"{A},{x},{y},{z},{diameter}")
    lines.append(f"{C},1.5,2.5,3.5,7.25")
    (root / "annotations.csv").write_text("\n".join(lines) + "\n")


@pytest.fixture
def root(tmp_path) -> Path:
    """Two of three scans with their volumes, one of them in the folder of an unpacked archive."""
    write_lists(tmp_path)
    write_volume(tmp_path / "subset0", A)
    write_volume(tmp_path / "subset7" / "subset7", B)
    return tmp_path


def test_the_real_lists_hold_888_scans_and_1186_nodules(mirror):
    cases = reader.load(mirror(reader.DATASET))
    table = cases.table
    assert len(table) == 888
    assert table["n_nodules"].sum() == 1186
    assert (table["n_nodules"] > 0).sum() == 601
    diameters = np.concatenate([case.target["diameters_mm"] for case in cases])
    assert (diameters.min(), diameters.max()) == (3.253443196, 32.27003025)
    assert diameters.mean() == pytest.approx(8.306527315553957)
    assert not table["has_image"].any()


def test_a_real_nodule_is_the_first_line_with_its_axes_reversed(mirror):
    case = reader.load(mirror(reader.DATASET))[0]
    assert case.case == f"{STEM}100225287222365663678666836860"
    assert case.image is None
    assert case.target["centres_mm"][0].tolist() == [-298.3875064, -175.3192718, -128.6994211]
    assert case.target["diameters_mm"].tolist() == [5.651470635, 4.224708481]


def test_the_table_says_which_scans_have_a_volume(root):
    table = reader.load(root).table
    assert table["case"].tolist() == [A, B, C]
    assert table["n_nodules"].tolist() == [2, 0, 1]
    assert table["has_image"].tolist() == [True, True, False]
    assert table["subset"].tolist() == [0, 7, -1]


def test_a_volume_comes_back_with_its_geometry(root):
    for case in reader.load(root)[:2]:
        np.testing.assert_array_equal(case.image[0], volume_of(case.case))
        assert case.image.dtype == np.int16
        assert case.spacing_mm == SPACING


def test_boxes_are_centred_on_the_nodule_and_as_wide_as_its_diameter(root):
    target = reader.load(root)[0].target
    np.testing.assert_allclose((target["boxes"][:, :3] + target["boxes"][:, 3:]) / 2, VOXELS)
    sides_mm = (target["boxes"][:, 3:] - target["boxes"][:, :3]) * SPACING
    np.testing.assert_allclose(sides_mm, np.repeat(np.array(DIAMETERS)[:, None], 3, axis=1))
    assert reader.load(root)[1].target["boxes"].shape == (0, 6)


def test_a_scan_without_volume_has_only_world_coordinates(root):
    case = reader.load(root)[2]
    assert case.image is None
    assert set(case.target) == {"centres_mm", "diameters_mm"}
    assert case.target["centres_mm"].tolist() == [[3.5, 2.5, 1.5]]
    assert case.target["diameters_mm"].tolist() == [7.25]


def test_the_direction_of_a_flipped_scan_is_taken_into_account(root):
    signs = (1, -1, -1)
    write_lists(root, signs)
    path = write_volume(root / "subset0", A, matrix="-1 0 0 0 -1 0 0 0 1")
    boxes = reader.load(root)[0].target["boxes"]
    np.testing.assert_allclose((boxes[:, :3] + boxes[:, 3:]) / 2, VOXELS)
    itk = SimpleITK.ReadImage(str(path))
    z, y, x = world(VOXELS[0], signs)
    index = itk.TransformPhysicalPointToContinuousIndex((x, y, z))
    np.testing.assert_allclose(index[::-1], VOXELS[0])


@pytest.mark.parametrize("matrix", ["0 1 0 1 0 0 0 0 1", "0.9 0.1 0 -0.1 0.9 0 0 0 1"])
def test_a_turned_scan_is_refused(root, matrix):
    write_volume(root / "subset0", A, matrix=matrix)
    with pytest.raises(ReplicateError, match=rf"{A}.mhd must .*(TransformMatrix|MetaImage)"):
        reader.load(root)[0]


def test_lung_masks_are_read_when_they_are_asked_for(root, rng):
    mask = rng.choice([0, 3, 4, 5], SHAPE).astype(np.uint8)
    folder = root / "seg-lungs-LUNA16"
    folder.mkdir()
    (folder / f"{A}.mhd").write_text(header(A, "MET_UCHAR"))
    (folder / f"{A}.raw").write_bytes(mask.tobytes())
    assert "lungs" not in reader.load(root)[0].target
    cases = reader.load(root, lungs=True)
    np.testing.assert_array_equal(cases[0].target["lungs"], mask)
    assert "lungs" not in cases[2].target
    with pytest.raises(ReplicateError, match=rf"{B}.mhd must be a sound MetaImage"):
        cases[1]
    (folder / f"{A}.raw").write_bytes(np.full(SHAPE, 2, np.uint8).tobytes())
    with pytest.raises(ReplicateError, match="label codes among 0, 3, 4, 5, got 2"):
        cases[0]


def test_a_lung_mask_of_another_shape_is_refused(root):
    folder = root / "seg-lungs-LUNA16"
    folder.mkdir()
    SimpleITK.WriteImage(
        SimpleITK.GetImageFromArray(np.zeros((2, 3, 4), np.uint8)), str(folder / f"{A}.mhd")
    )
    with pytest.raises(ReplicateError, match=r"must have the shape \(12, 20, 24\) of its scan"):
        reader.load(root, lungs=True)[0]


def test_a_nodule_outside_its_volume_is_refused(root):
    z, y, x = world((3, 10, 24))
    text = f"seriesuid,coordX,coordY,coordZ,diameter_mm\n{A},{x},{y},{z},5\n"
    (root / "annotations.csv").write_text(text)
    with pytest.raises(ReplicateError, match=r"got one at voxel \[3.0, 10.0, 24.0\]"):
        reader.load(root)[0]


@pytest.mark.parametrize(
    "line", [f"{STEM}1,1,2,3,5", f"{A},1,2,3,0", f"{A},1,nan,3,5", f"{A},1,2,x,5"]
)
def test_a_nodule_that_makes_no_sense_is_refused(root, line):
    path = root / "annotations.csv"
    path.write_text(f"seriesuid,coordX,coordY,coordZ,diameter_mm\n{line}\n")
    with pytest.raises(ReplicateError, match=r"annotations.csv must give finite coordinates"):
        reader.load(root)


def test_a_volume_of_no_listed_scan_or_a_second_one_is_refused(root):
    path = write_volume(root / "subset3", A)
    with pytest.raises(ReplicateError, match=r"subset3.* got a second one"):
        reader.load(root)
    path.unlink()
    write_volume(root / "subset3", f"{STEM}5")
    with pytest.raises(ReplicateError, match=r"subset3.* got an unlisted scan"):
        reader.load(root)


@pytest.mark.parametrize("name", ["seriesuids.csv", "annotations.csv"])
def test_an_absent_list_is_named(root, name):
    (root / name).unlink()
    with pytest.raises(ReplicateError, match=f"{name} must be a sound"):
        reader.load(root)


def test_a_volume_whose_voxels_are_absent_or_cut_off_is_refused(root):
    path = root / "subset0" / f"{A}.raw"
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(ReplicateError, match=rf"{A}.mhd must be a sound MetaImage"):
        reader.load(root)[0]
    path.unlink()
    with pytest.raises(ReplicateError, match="no data file"):
        reader.load(root)[0]


def test_cases_can_be_sent_to_another_process(root):
    cases = pickle.loads(pickle.dumps(reader.load(root)))
    np.testing.assert_array_equal(cases[0].image[0], volume_of(A))
