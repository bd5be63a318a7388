"""CAMUS: both releases, written by this test in the published formats."""

import pickle
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK

from common.datasets import camus as reader
from common.errors import ReplicateError

ROWS, COLUMNS = 14, 9
STEPS = (0.154, 0.308)  # of rows and columns
PARTS = {"patient0001": "train", "patient0002": "validation", "patient0500": "test"}
INFO = "ED: {ed}\nES: {es}\nNbFrame: {es}\nSex: {sex}\nAge: {age}\nImageQuality: {quality}\n"


def arrays(patient: str, view: str, phase: str) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng([*f"{patient}{view}{phase}".encode()])
    size = (ROWS, COLUMNS)
    return rng.integers(0, 256, size).astype(np.uint8), rng.integers(0, 4, size).astype(np.uint8)


def write_nifti(path: Path, array: np.ndarray, *, slices: bool = False) -> None:
    # x runs along columns and is the file's first axis
    stored = array.T[..., None] if slices else array.T
    affine = np.diag([STEPS[1], STEPS[0], 1.0, 1.0])
    nibabel.save(nibabel.Nifti1Image(stored, affine), path)


def write_mhd(path: Path, array: np.ndarray) -> None:
    """Three axes, one slice, as the older release has them."""
    image = SimpleITK.GetImageFromArray(array[None])
    image.SetSpacing((STEPS[1], STEPS[0], 1.0))
    SimpleITK.WriteImage(image, str(path))


def write_info(folder: Path, view: str, **changes) -> None:
    facts = {"ed": 1, "es": 18, "sex": "F", "age": 56, "quality": "Good"} | changes
    tail = "EF: 56\nFrameRate: 46.5\n"
    (folder / f"Info_{view}.cfg").write_text(INFO.format(**facts) + tail)


def write_patient(folder: Path, suffix: str, *, masks: bool = True) -> None:
    folder.mkdir(parents=True)
    for view in ("2CH", "4CH"):
        write_info(folder, view, quality="Poor" if view == "4CH" else "Medium")
        for phase in ("ED", "ES"):
            image, mask = arrays(folder.name, view, phase)
            for ending, array in (("", image), *([("_gt", mask)] if masks else [])):
                path = folder / f"{folder.name}_{view}_{phase}{ending}{suffix}"
                write_mhd(path, array) if suffix == ".mhd" else write_nifti(path, array)


@pytest.fixture
def released(tmp_path):
    for patient in PARTS:
        write_patient(tmp_path / "database_nifti" / patient, ".nii.gz")
    split = tmp_path / "database_split"
    split.mkdir()
    for name, part in (("training", "train"), ("validation", "validation"), ("testing", "test")):
        listed = [patient for patient in PARTS if PARTS[patient] == part]
        (split / f"subgroup_{name}.txt").write_text("\n".join(listed) + "\n")
    return tmp_path


@pytest.fixture
def older(tmp_path):
    write_patient(tmp_path / "training/patient0001", ".mhd")
    write_patient(tmp_path / "training/patient0002", ".mhd")
    write_patient(tmp_path / "testing/patient0001", ".mhd", masks=False)
    return tmp_path


def check(case) -> None:
    image, mask = arrays(*case.case.removeprefix("testing-").split("-"))
    np.testing.assert_array_equal(case.image, image[None])
    assert case.spacing_mm == pytest.approx(STEPS)
    if "mask" in case.target:
        np.testing.assert_array_equal(case.target["mask"], mask)


def test_the_nifti_release_comes_back_in_rows_and_columns(released):
    cases = pickle.loads(pickle.dumps(reader.load(released)))
    table = cases.table
    assert len(cases) == 3 * 4
    assert table["case"].tolist()[:3] == [
        f"patient0001-{end}" for end in ("2CH-ED", "2CH-ES", "4CH-ED")
    ]
    assert dict(zip(table["cluster"], table["part"], strict=True)) == PARTS
    for case in cases:
        check(case)
        assert "mask" in case.target


def test_the_older_release_gives_the_same_arrays_and_withholds_test_masks(older):
    cases = reader.load(older)
    for case in cases:
        check(case)
    table = cases.table
    assert table["part"].tolist() == ["train"] * 8 + ["test"] * 4
    assert table["cluster"].unique().tolist() == [
        "patient0001",
        "patient0002",
        "testing-patient0001",
    ]
    assert [bool(case.target) for case in cases] == [True] * 8 + [False] * 4


def test_facts_of_the_view_are_in_the_table(released):
    write_info(released / "database_nifti/patient0002", "2CH", ed=3, es=20, sex="M", age="unknown")
    table = reader.load(released).table.set_index("case")
    first, second = table.loc["patient0002-2CH-ED"], table.loc["patient0002-2CH-ES"]
    assert (first["frame"], second["frame"], first["sex"]) == (3, 20, "M")
    assert np.isnan(first["age"])
    assert table.loc["patient0001-4CH-ED", "age"] == 56
    assert table.loc["patient0001-4CH-ED", "quality"] == "Poor"
    assert table.loc["patient0001-2CH-ED", "quality"] == "Medium"


def test_end_diastole_is_read_alone(released):
    cases = reader.load(released, phases=("ED",))
    assert cases.table["phase"].unique().tolist() == ["ED"]
    assert len(cases) == 6
    with pytest.raises(ValueError, match="`phases` must be some of"):
        reader.load(released, phases=("ed",))


def test_a_third_axis_of_one_slice_is_dropped_and_two_slices_are_refused(released):
    path = released / "database_nifti/patient0001/patient0001_2CH_ED.nii.gz"
    image, _ = arrays("patient0001", "2CH", "ED")
    write_nifti(path, image, slices=True)
    check(reader.load(released)[0])
    nibabel.save(nibabel.Nifti1Image(np.zeros((9, 14, 2), np.uint8), np.eye(4)), path)
    with pytest.raises(ReplicateError, match=r"2CH_ED.nii.gz must hold one slice"):
        reader.load(released)[0]


@pytest.mark.parametrize("name", ["patient0001_4CH_ES.nii.gz", "patient0001_4CH_ES_gt.nii.gz"])
def test_an_absent_image_or_mask_is_named(released, name):
    (released / "database_nifti/patient0001" / name).unlink()
    with pytest.raises(ReplicateError, match=rf"{name} must exist, got none"):
        reader.load(released)


def test_masks_may_be_absent_only_in_the_older_test_part(older):
    (older / "training/patient0002/patient0002_2CH_ES_gt.mhd").unlink()
    with pytest.raises(ReplicateError, match=r"patient0002_2CH_ES_gt.mhd must exist"):
        reader.load(older)


def test_damages_are_named(released):
    folder = released / "database_nifti/patient0001"
    write_nifti(folder / "patient0001_2CH_ED_gt.nii.gz", np.full((ROWS, COLUMNS), 4, np.uint8))
    with pytest.raises(ReplicateError, match="label codes among 0 to 3, got 4"):
        reader.load(released)[0]
    write_nifti(folder / "patient0001_2CH_ED_gt.nii.gz", np.zeros((COLUMNS, ROWS), np.uint8))
    with pytest.raises(ReplicateError, match=r"_gt.nii.gz must have the shape \(14, 9\)"):
        reader.load(released)[0]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [({"quality": "Fair"}, "ImageQuality"), ({"es": "x"}, "frames ED and ES")],
)
def test_unexpected_facts_are_refused(released, changes, problem):
    write_info(released / "database_nifti/patient0001", "2CH", **changes)
    with pytest.raises(ReplicateError, match=rf"Info_2CH.cfg must give .*{problem}"):
        reader.load(released)


def test_a_patient_in_no_part_or_in_two_is_refused(released):
    split = released / "database_split"
    (split / "subgroup_testing.txt").write_text("")
    with pytest.raises(ReplicateError, match="must name patient0500 in a part"):
        reader.load(released)
    (split / "subgroup_testing.txt").write_text("patient0500\npatient0001\n")
    with pytest.raises(ReplicateError, match="must name patients of no other part"):
        reader.load(released)
