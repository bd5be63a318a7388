"""TotalSegmentator: files that this test writes in the published format."""

import pickle
from pathlib import Path

import nibabel
import numpy as np
import pytest

from common.datasets import totalsegmentator as reader
from common.errors import ReplicateError

SIDES = (10, 11, 12)
HEADER = "image_id;age;gender;institute;study_type;split"
SUBJECTS = {"s0000": "60;m;A;ct thorax;train", "s0011": "33;f;C;ct pelvis;val"}


def write(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(array, np.diag([1.5, 1.5, 1.5, 1.0])), path)


def place_of(root: Path, subject: str, name: str) -> Path:
    return root / "Totalsegmentator_dataset" / subject / f"{name}.nii.gz"


def ct(subject: str) -> np.ndarray:
    rng = np.random.default_rng([*subject.encode()])
    return rng.integers(-1024, 1500, SIDES).astype(np.int16)


def box(code: int) -> np.ndarray:
    """One voxel for each structure; the last two overlap."""
    mask = np.zeros(1320, np.uint8)
    mask[min(code, 103)] = 1
    mask[code + 200] = 1
    return mask.reshape(SIDES)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    root = tmp_path_factory.mktemp("totalsegmentator")
    for subject in SUBJECTS:
        write(place_of(root, subject, "ct"), ct(subject))
        for code, name in enumerate(reader.CLASSES[1:], start=1):
            write(place_of(root, subject, f"segmentations/{name}"), box(code))
    lines = [f"{subject};{facts}" for subject, facts in SUBJECTS.items()]
    text = "\n".join([HEADER, *lines, "s1429;1;m;A;ct;test"])
    (root / "Totalsegmentator_dataset/meta.csv").write_text(text, encoding="utf-8-sig")
    return root


def test_104_masks_become_one_label_map_where_the_later_wins(whole):
    cases = pickle.loads(pickle.dumps(reader.load(whole)))
    for subject, case in zip(SUBJECTS, cases, strict=True):
        np.testing.assert_array_equal(case.image[0], ct(subject))
        flat = case.target["mask"].ravel()
        np.testing.assert_array_equal(flat[1:103], np.arange(1, 103))
        assert flat[103] == 104
        np.testing.assert_array_equal(flat[201:305], np.arange(1, 105))
        assert (np.count_nonzero(flat), flat.dtype) == (103 + 104, np.uint8)
        assert case.spacing_mm == (1.5, 1.5, 1.5)


def test_the_table_has_the_facts_of_meta_csv(whole):
    table = reader.load(whole).table
    assert table["part"].tolist() == ["train", "val"]
    assert table["site"].tolist() == ["A", "C"]
    assert table[["age", "sex", "study"]].iloc[1].tolist() == ["33", "f", "ct pelvis"]
    assert reader.load(whole, structures=["liver"])[1].site == "C"


def test_chosen_structures_keep_their_codes(whole):
    mask = reader.load(whole, structures=("hip_left", "aorta"))[0].target["mask"]
    assert set(np.unique(mask)) == {0, 7, 90}
    assert mask.ravel()[[7, 90]].tolist() == [7, 90]


def test_the_codes_are_those_of_the_released_tool():
    # four places of the tool's published table of 104 structures
    places = {55: "small_bowel", 70: "rib_right_1", 93: "face", 104: "urinary_bladder"}
    assert {code: reader.CLASSES[code] for code in places} == places
    assert len(set(reader.CLASSES)) == 105


def test_an_unknown_structure_is_refused(whole):
    for name in ("prostate", "background"):
        with pytest.raises(ValueError, match=f"names of CLASSES, got '{name}'"):
            reader.load(whole, structures=[name])


@pytest.fixture
def small(tmp_path):
    write(place_of(tmp_path, "s0000", "ct"), ct("s0000"))
    write(place_of(tmp_path, "s0000", "segmentations/liver"), box(5))
    (tmp_path / "Totalsegmentator_dataset/meta.csv").write_text(f"{HEADER}\ns0000;6;m;A;ct;train\n")
    return tmp_path


@pytest.mark.parametrize(
    ("array", "problem"),
    [(np.full(SIDES, 2, np.uint8), "got 2"), (np.zeros((10, 11, 11), np.uint8), "the shape")],
)
def test_a_bad_mask_is_named(small, array, problem):
    write(place_of(small, "s0000", "segmentations/liver"), array)
    with pytest.raises(ReplicateError, match=rf"liver.nii.gz must .*{problem}"):
        reader.load(small, structures=["liver"])[0]


def test_absent_files_and_facts_are_named(small):
    with pytest.raises(ReplicateError, match=r"spleen.nii.gz must be a sound NIfTI file"):
        reader.load(small)[0]
    (small / "Totalsegmentator_dataset/s0002").mkdir()
    with pytest.raises(ReplicateError, match=r"meta.csv must describe s0002"):
        reader.load(small)
    place_of(small, "s0000", "ct").unlink()
    with pytest.raises(ReplicateError, match=r"s0000 must hold one file named ct.nii.gz"):
        reader.load(small)
