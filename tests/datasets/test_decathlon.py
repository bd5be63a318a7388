"""The Decathlon layout: written as published, read back, and damaged in every way we expect."""

import json
import pickle
from pathlib import Path

import nibabel
import numpy as np
import pytest

from common.datasets.decathlon import Task, label_map, load_task
from common.datasets.files import read_lines
from common.errors import ReplicateError

TASK = Task("msd-task09-toy", "Task09_Toy", ("T1w", "T2w"), ("background", "organ", "tumour"))
SPACING = (1.0, 1.5, 2.0)


def write_nifti(path: Path, array: np.ndarray, spacing=SPACING) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(array, np.diag([*spacing, 1.0]))
    image.header.set_xyzt_units("mm", "sec")
    nibabel.save(image, path)


def image_of(number: int) -> np.ndarray:
    return np.random.default_rng(number).normal(size=(4, 5, 6, 2)).astype(np.float32)


def mask_of(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 3, (4, 5, 6)).astype(np.uint8)


def describe(root: Path, *, channels: int = 2, labels: int = 3) -> None:
    described = {
        "name": "Toy",
        "modality": {str(code): "MR" for code in range(channels)},
        "labels": {str(code): "x" for code in range(labels)},
        "numTraining": 2,
        "numTest": 1,
        "training": [
            {"image": f"./imagesTr/toy_{n:03d}.nii.gz", "label": f"./labelsTr/toy_{n:03d}.nii.gz"}
            for n in (7, 2)
        ],
        "test": ["./imagesTs/toy_009.nii.gz"],
    }
    (root / "dataset.json").write_text(json.dumps(described))


@pytest.fixture
def root(tmp_path) -> Path:
    """A task as the archive holds it, resource forks of the packing computer included."""
    root = tmp_path / "Task09_Toy"
    for number in (7, 2):
        write_nifti(root / f"imagesTr/toy_{number:03d}.nii.gz", image_of(number))
        write_nifti(root / f"labelsTr/toy_{number:03d}.nii.gz", mask_of(number))
    write_nifti(root / "imagesTs/toy_009.nii.gz", image_of(9))
    for folder in ("imagesTr", "labelsTr", "imagesTs"):
        (root / folder / "._toy_002.nii.gz").write_bytes(b"\x00\x05\x16\x07")
    describe(root)
    return root


def test_a_task_is_read_value_by_value_in_the_order_of_the_names(root):
    cases = load_task(TASK, root)
    assert cases.table["case"].tolist() == ["toy_002", "toy_007"]
    assert cases.table["cluster"].tolist() == ["toy_002", "toy_007"]
    for case, number in zip(cases, (2, 7), strict=True):
        np.testing.assert_array_equal(case.image, np.moveaxis(image_of(number), 3, 0))
        np.testing.assert_array_equal(case.target["mask"], mask_of(number))
        assert case.image.dtype == np.float32
        assert case.target["mask"].dtype == np.uint8
        assert case.spacing_mm == SPACING


def test_the_test_part_has_images_and_no_target(root):
    cases = load_task(TASK, root, part="test")
    assert cases.table["part"].tolist() == ["test"]
    assert dict(cases[0].target) == {}
    np.testing.assert_array_equal(cases[0].image[1], image_of(9)[..., 1])


@pytest.mark.parametrize("part", ["training", "test"])
def test_without_the_description_files_are_paired_by_name(root, part):
    described = load_task(TASK, root, part=part).table
    (root / "dataset.json").unlink()
    assert load_task(TASK, root, part=part).table.equals(described)


def test_folders_without_the_ending_tr_are_read_too(root):
    (root / "dataset.json").unlink()
    (root / "imagesTr").rename(root / "images")
    (root / "labelsTr").rename(root / "labels")
    cases = load_task(TASK, root)
    assert cases.table["mask"].tolist() == ["labels/toy_002.nii.gz", "labels/toy_007.nii.gz"]
    np.testing.assert_array_equal(cases[1].target["mask"], mask_of(7))


def test_the_folder_around_the_task_and_an_unpacked_archive_are_found(root, tmp_path):
    assert len(load_task(TASK, tmp_path)) == 2
    outer = tmp_path / "data/Task09_Toy"
    outer.mkdir(parents=True)
    root.rename(outer / "Task09_Toy")
    assert len(load_task(TASK, tmp_path / "data")) == 2


def test_a_three_axis_image_is_one_channel(tmp_path):
    one = Task("msd-task02-heart", "Task02_Heart", ("MRI",), ("background", "left atrium"))
    write_nifti(tmp_path / "images/a.nii.gz", image_of(1)[..., 0])
    write_nifti(tmp_path / "labels/a.nii.gz", mask_of(1) // 2)
    case = load_task(one, tmp_path)[0]
    assert case.case == "a"
    np.testing.assert_array_equal(case.image, image_of(1)[np.newaxis, ..., 0])


def test_codes_stored_as_floats_become_integers(root):
    write_nifti(root / "labelsTr/toy_002.nii.gz", mask_of(2).astype(np.float32))
    mask = load_task(TASK, root)[0].target["mask"]
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, mask_of(2))


def test_cases_can_be_sent_to_another_process(root):
    cases = pickle.loads(pickle.dumps(load_task(TASK, root)))
    np.testing.assert_array_equal(cases[0].target["mask"], mask_of(2))


def test_an_unknown_part_is_refused(root):
    with pytest.raises(ValueError, match="`part` must be training or test, got 'val'"):
        load_task(TASK, root, part="val")


@pytest.mark.parametrize("name", ["imagesTr/toy_007.nii.gz", "labelsTr/toy_007.nii.gz"])
def test_a_listed_file_that_is_absent_is_named(root, name):
    (root / name).unlink()
    with pytest.raises(ReplicateError, match=f"{name} must exist, got none"):
        load_task(TASK, root)


@pytest.mark.parametrize(
    ("absent", "present"), [("labelsTr", "imagesTr"), ("imagesTr", "labelsTr")]
)
def test_a_file_without_partner_is_named(root, absent, present):
    (root / "dataset.json").unlink()
    (root / absent / "toy_007.nii.gz").unlink()
    wanted = f"{present}/toy_007.nii.gz must have a partner in {absent}"
    with pytest.raises(ReplicateError, match=wanted):
        load_task(TASK, root)


def test_a_folder_without_the_task_is_refused(tmp_path):
    with pytest.raises(ReplicateError, match="must hold Task09_Toy with its folder imagesTr"):
        load_task(TASK, tmp_path)


def test_a_part_without_cases_is_refused(root):
    (root / "dataset.json").unlink()
    (root / "imagesTs/toy_009.nii.gz").unlink()
    with pytest.raises(ReplicateError, match="must hold cases of the test part"):
        load_task(TASK, root, part="test")


@pytest.mark.parametrize(("channels", "labels"), [(1, 3), (2, 2)])
def test_the_description_of_another_task_is_refused(root, channels, labels):
    describe(root, channels=channels, labels=labels)
    with pytest.raises(ReplicateError, match=r"dataset.json must describe 2 channels and label"):
        load_task(TASK, root)


@pytest.mark.parametrize("text", ['{"modality": {}}', "[1]", '{"modality": 3, "labels": {}}'])
def test_a_description_without_its_keys_is_refused(root, text):
    (root / "dataset.json").write_text(text)
    with pytest.raises(ReplicateError, match=r"dataset.json must describe modality, labels"):
        load_task(TASK, root)


@pytest.mark.parametrize("name", ["../other.nii.gz", "/other.nii.gz"])
def test_a_description_that_leads_out_of_the_folder_is_refused(root, name):
    described = json.loads((root / "dataset.json").read_text())
    described["training"][0]["image"] = name
    (root / "dataset.json").write_text(json.dumps(described))
    with pytest.raises(ReplicateError, match="must list files inside its folder"):
        load_task(TASK, root)


def test_a_mask_of_another_shape_is_refused(root):
    write_nifti(root / "labelsTr/toy_002.nii.gz", mask_of(2)[:, :, :-1])
    with pytest.raises(ReplicateError, match=r"toy_002.nii.gz must have the shape \(4, 5, 6\)"):
        load_task(TASK, root)[0]


def test_a_mask_of_another_spacing_is_refused(root):
    write_nifti(root / "labelsTr/toy_002.nii.gz", mask_of(2), spacing=(1.0, 1.5, 2.5))
    with pytest.raises(ReplicateError, match=r"must have the spacing \(1.0, 1.5, 2.0\) mm"):
        load_task(TASK, root)[0]


def test_an_image_with_another_number_of_channels_is_refused(root):
    write_nifti(root / "imagesTr/toy_002.nii.gz", image_of(2)[..., 0])
    with pytest.raises(ReplicateError, match=r"must have 3 axes and 2 channels, got shape \(4, 5"):
        load_task(TASK, root)[0]


@pytest.mark.parametrize("value", [3, 0.5, -1, np.nan])
def test_an_unknown_label_code_is_refused(root, value):
    mask = mask_of(2).astype(np.float32)
    mask[3, 4, 5] = value
    write_nifti(root / "labelsTr/toy_002.nii.gz", mask)
    with pytest.raises(ReplicateError, match=f"label codes among 0 to 2, got {value}"):
        load_task(TASK, root)[0]


def test_a_broken_image_is_refused_with_its_name(root):
    path = root / "imagesTr/toy_007.nii.gz"
    path.write_bytes(path.read_bytes()[:80])
    with pytest.raises(ReplicateError, match=r"toy_007.nii.gz must be a sound NIfTI file"):
        load_task(TASK, root)[1]


def test_scattered_codes_are_listed_in_the_message():
    with pytest.raises(ReplicateError, match="label codes among 0, 3, 5, got 4"):
        label_map(Path("a.mhd"), np.array([[0, 3], [4, 5]]), {5, 0, 3})


def test_lines_lose_blanks_line_ends_and_empty_lines(tmp_path):
    path = tmp_path / "train.list"
    path.write_bytes("\ufeffA1 \r\n\r\nB2\n".encode())
    assert read_lines(path) == ["A1", "B2"]


def test_a_list_that_is_absent_or_no_text_is_refused(tmp_path):
    with pytest.raises(ReplicateError, match="must be a sound text file"):
        read_lines(tmp_path / "absent.list")
    (tmp_path / "b.list").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(ReplicateError, match=r"b.list must be a sound text file"):
        read_lines(tmp_path / "b.list")
