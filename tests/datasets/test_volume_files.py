"""Volumes beside each other: the parts that all sets of that layout share."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK

from common.datasets.volume_files import (
    by_key,
    case_folders,
    one_file,
    read_case,
    read_volume,
    require_partners,
)
from common.errors import ReplicateError

SIDES = (4, 5, 6)
SPACING = (1.0, 1.5, 3.0)
MASKS = {"mask": (0, 1, 2)}


def write(path: Path, array: np.ndarray, spacing=SPACING, slope=None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nibabel.Nifti1Image(array, np.diag([*spacing, 1.0]))
    if slope is not None:
        image.header.set_slope_inter(*slope)
    nibabel.save(image, path)
    return path


@pytest.fixture
def arrays(rng):
    image, other = (rng.normal(size=SIDES).astype(np.float32) for _ in range(2))
    return {"one": image, "two": other, "mask": rng.integers(0, 3, SIDES).astype(np.uint8)}


@pytest.fixture
def row(tmp_path, arrays):
    for name, array in arrays.items():
        write(tmp_path / f"{name}.nii.gz", array)
    return {"case": "a", "cluster": "p", **{name: f"{name}.nii.gz" for name in arrays}}


def test_images_are_channels_in_the_given_order(tmp_path, row, arrays):
    case = read_case(row, folder=tmp_path, images=("two", "one"), masks=MASKS)
    np.testing.assert_array_equal(case.image, np.stack([arrays["two"], arrays["one"]]))
    np.testing.assert_array_equal(case.target["mask"], arrays["mask"])
    assert (case.target["mask"].dtype, case.spacing_mm, case.site) == (np.uint8, SPACING, None)
    assert set(case.target) == {"mask"}


def test_a_mask_of_two_codes_is_bool_and_label_and_site_are_kept(tmp_path, row, arrays):
    write(tmp_path / "mask.nii.gz", arrays["mask"] // 2)
    known = row | {"label": np.int64(3), "site": "X"}
    case = read_case(known, folder=tmp_path, images=("one",), masks={"mask": (0, 1)})
    np.testing.assert_array_equal(case.target["mask"], arrays["mask"] == 2)
    assert case.target["mask"].dtype == bool
    assert (case.target["label"], case.site) == (3, "X")


def test_a_volume_to_be_predicted_is_a_target_as_stored(tmp_path, row, arrays):
    case = read_case(row, folder=tmp_path, images=("one",), masks={}, volumes=("two",))
    np.testing.assert_array_equal(case.target["two"], arrays["two"])


def test_an_empty_path_of_a_mask_is_passed_over(tmp_path, row):
    case = read_case(row | {"mask": ""}, folder=tmp_path, images=("one",), masks=MASKS)
    assert case.target == {}


def test_a_slope_is_applied_to_images_and_never_to_masks(tmp_path, row, arrays):
    stored = np.arange(120, dtype=np.int16).reshape(SIDES)
    write(tmp_path / "one.nii.gz", stored, slope=(2, -10))
    write(tmp_path / "mask.nii.gz", arrays["mask"], slope=(5, 0))
    case = read_case(row, folder=tmp_path, images=("one",), masks=MASKS)
    np.testing.assert_array_equal(case.image[0], stored * 2.0 - 10)
    np.testing.assert_array_equal(case.target["mask"], arrays["mask"])


@pytest.mark.parametrize("name", ["two", "mask"])
def test_files_of_another_shape_or_spacing_are_refused(tmp_path, row, arrays, name):
    images = ("one", "two")
    write(tmp_path / f"{name}.nii.gz", arrays[name][:3])
    with pytest.raises(ReplicateError, match=rf"{name}.nii.gz must have the shape \(4, 5, 6\)"):
        read_case(row, folder=tmp_path, images=images, masks=MASKS)
    write(tmp_path / f"{name}.nii.gz", arrays[name], spacing=(1, 1.5, 2.5))
    with pytest.raises(ReplicateError, match=rf"{name}.nii.gz must have the spacing"):
        read_case(row, folder=tmp_path, images=images, masks=MASKS)


def test_an_unknown_code_and_a_fourth_axis_are_refused(tmp_path, row, arrays):
    write(tmp_path / "mask.nii.gz", arrays["mask"] + 1)
    with pytest.raises(ReplicateError, match="label codes among 0 to 2, got 3"):
        read_case(row, folder=tmp_path, images=("one",), masks=MASKS)
    write(tmp_path / "one.nii.gz", arrays["one"][..., None])
    with pytest.raises(ReplicateError, match=r"one.nii.gz must have 3 axes"):
        read_case(row, folder=tmp_path, images=("one",), masks={})


def test_a_metaimage_has_its_axes_reversed(tmp_path, arrays):
    image = SimpleITK.GetImageFromArray(arrays["one"])
    image.SetSpacing((3.0, 1.5, 1.0))
    SimpleITK.WriteImage(image, str(tmp_path / "a.mha"))
    volume = read_volume(tmp_path / "a.mha")
    np.testing.assert_array_equal(volume.array, arrays["one"])
    assert volume.spacing_mm == SPACING


def test_folders_and_keys_are_in_the_order_of_their_numbers(tmp_path):
    for number in (10, 9, 1):
        (tmp_path / f"case-{number}").mkdir()
        (tmp_path / f"volume-{number}.nii").touch()
    (tmp_path / "case-2").touch()
    found = case_folders(tmp_path, "case-*", dataset="lits")
    assert [path.name for path in found] == ["case-1", "case-9", "case-10"]
    keys = by_key(tmp_path, "volume-*.nii", r"volume-(\d+)", dataset="lits")
    assert keys == {"1": "volume-1.nii", "9": "volume-9.nii", "10": "volume-10.nii"}
    assert list(keys) == ["1", "9", "10"]


def test_no_folder_no_file_and_two_files_are_refused(tmp_path):
    with pytest.raises(ReplicateError, match=r"folders named case-\*, got none"):
        case_folders(tmp_path, "case-*", dataset="lits")
    with pytest.raises(ReplicateError, match=r"hold one file named \*_t1.nii\*, got 0 files"):
        one_file(tmp_path, "*_t1.nii*", folder=tmp_path, dataset="lits")
    (tmp_path / "a_t1.nii").touch()
    assert one_file(tmp_path, "*_t1.nii*", folder=tmp_path, dataset="lits") == "a_t1.nii"
    (tmp_path / "a_t1.nii.gz").touch()
    with pytest.raises(ReplicateError, match="got 2 files"):
        one_file(tmp_path, "*_t1.nii*", folder=tmp_path, dataset="lits")


def test_an_unknown_name_and_a_doubled_key_are_refused(tmp_path):
    (tmp_path / "volume-x.nii").touch()
    with pytest.raises(ReplicateError, match=r"be named like .* got volume-x.nii"):
        by_key(tmp_path, "volume-*", r"volume-(\d+)", dataset="lits")
    (tmp_path / "volume-x.nii").rename(tmp_path / "volume-1.nii")
    (tmp_path / "volume-1.nii.gz").touch()
    with pytest.raises(ReplicateError, match="have a name of its own"):
        by_key(tmp_path, "volume-*", r"volume-(\d+)", dataset="lits")


@pytest.mark.parametrize(("first", "second"), [("12", "1"), ("1", "12")])
def test_a_file_without_partner_is_named(tmp_path, first, second):
    files = ({key: f"{kind}-{key}" for key in keys} for kind, keys in (("a", first), ("b", second)))
    with pytest.raises(ReplicateError, match=r"[ab]-2 must have a partner"):
        require_partners(tmp_path, *files, dataset="lits")
