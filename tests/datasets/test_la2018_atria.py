"""The atrial scans: the six real files, and a fixture in UA-MT's format."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from common.datasets import la2018_atria as reader
from common.errors import ReplicateError

TRAIN, TEST = ("06SR5RBREL16DQ6M8LWS", "0RZDK210BSMWAA6467LU"), ("UPT6DX9IQY9JAZ7HJKA7",)
SIDES = (7, 6, 5)


def arrays(case: str) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(sum(case.encode()))
    label = rng.integers(0, 2, SIDES).astype(np.uint8)
    return {"image": rng.normal(size=SIDES).astype(np.float32), "label": label}


def write_scan(root: Path, case: str, **found: np.ndarray) -> Path:
    path = root / "2018LA_Seg_Training Set" / case / "mri_norm2.h5"
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, array in found.items():
            file.create_dataset(name, data=array, compression="gzip")
    return path


@pytest.fixture
def root(tmp_path) -> Path:
    for case in (*TRAIN, *TEST):
        write_scan(tmp_path, case, **arrays(case))
    (tmp_path / "train.list").write_text("\n".join(TRAIN) + "\n")
    (tmp_path / "test.list").write_text("\n".join(TEST) + "\n")
    return tmp_path


def test_the_six_real_scans_have_the_voxels_of_their_files(mirror):
    folder = mirror(reader.DATASET)
    cases = reader.load(folder)
    assert cases.table["part"].tolist() == ["train"] * 4 + ["test"] * 2
    assert [int(case.target["mask"].sum()) for case in cases] == [
        154296,
        252364,
        202317,
        143877,
        206418,
        261027,
    ]
    with h5py.File(folder / cases.table["file"][3]) as file:
        np.testing.assert_array_equal(cases[3].image[0], file["image"][()])
    assert cases[3].image.shape == (1, 180, 135, 88)


def test_the_real_lists_name_100_scans_of_which_94_are_absent(mirror):
    with pytest.raises(ReplicateError, match="must hold all 100 listed scans, got 6"):
        reader.load(mirror(reader.DATASET), complete=True)


def test_scans_come_in_the_order_of_the_lists_with_their_values(root):
    cases = reader.load(root, complete=True)
    assert cases.table["case"].tolist() == [*TRAIN, *TEST]
    assert cases.table["cluster"].tolist() == [*TRAIN, *TEST]
    assert cases.table["part"].tolist() == ["train", "train", "test"]
    for case in cases:
        wanted = arrays(case.case)
        np.testing.assert_array_equal(case.image, wanted["image"][np.newaxis])
        np.testing.assert_array_equal(case.target["mask"], wanted["label"] == 1)
        assert case.target["mask"].dtype == bool
        assert case.spacing_mm is None


def test_a_listed_scan_that_is_absent_is_left_out_unless_all_are_wanted(root):
    (root / "2018LA_Seg_Training Set" / TRAIN[0] / "mri_norm2.h5").unlink()
    assert reader.load(root).table["case"].tolist() == [TRAIN[1], *TEST]
    with pytest.raises(ReplicateError, match=f"got 2; the first absent is .*{TRAIN[0]}"):
        reader.load(root, complete=True)


def test_a_scan_in_no_list_is_refused(root):
    write_scan(root, "ZZZ", **arrays("ZZZ"))
    with pytest.raises(ReplicateError, match=r"ZZZ/mri_norm2.h5 must be in train.list or test"):
        reader.load(root)


def test_a_scan_in_both_lists_is_refused(root):
    (root / "test.list").write_text(f"{TEST[0]}\n{TRAIN[0]}\n")
    with pytest.raises(ReplicateError, match=f"not in both lists, got '{TRAIN[0]}'"):
        reader.load(root)


def test_an_absent_list_is_named(root):
    (root / "test.list").unlink()
    with pytest.raises(ReplicateError, match=r"test.list must be a sound text file"):
        reader.load(root)


def test_a_folder_without_scans_is_refused(root):
    for case in (*TRAIN, *TEST):
        (root / "2018LA_Seg_Training Set" / case / "mri_norm2.h5").unlink()
    with pytest.raises(ReplicateError, match=r"must hold files named .*mri_norm2.h5, got none"):
        reader.load(root)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda found: {"image": found["image"]}, "no array 'label'"),
        (lambda found: found | {"label": found["label"][1:]}, r"of one shape with 3 axes, got \(7"),
        (lambda found: {k: v[0] for k, v in found.items()}, r"of one shape with 3 axes, got \(6"),
        (
            lambda found: found | {"label": found["label"] * 255},
            "label codes among 0 to 1, got 255",
        ),
    ],
)
def test_damaged_arrays_are_refused_when_the_scan_is_read(root, change, message):
    write_scan(root, TRAIN[0], **change(arrays(TRAIN[0])))
    cases = reader.load(root)
    with pytest.raises(ReplicateError, match=message):
        cases[0]


def test_a_file_that_is_cut_off_is_refused(root):
    path = write_scan(root, TRAIN[0], **arrays(TRAIN[0]))
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ReplicateError, match=r"mri_norm2.h5 must be a sound HDF5 file"):
        reader.load(root)[0]
