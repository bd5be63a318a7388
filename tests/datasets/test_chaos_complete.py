"""CHAOS, complete training part: files that this test writes in the published format."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_dicom_series import write

from common.datasets import chaos_complete as reader
from common.errors import ReplicateError

SIZE = (16, 20)
N = 4
GREY = np.array([0, 63, 126, 189, 252], np.uint8)


def codes(place: int) -> np.ndarray:
    return np.random.default_rng(place).integers(0, 5, SIZE)


def pixels(place: int, offset: int = 0) -> np.ndarray:
    return np.arange(320).reshape(SIZE) + 400 * place + offset


def write_slice(path: Path, place: int, step: float, offset: int = 0, **changes) -> None:
    # the first name is the highest slice; every file has a series of its own, as published
    uid = f"1.2.{place}.{offset}.{len(path.name)}"
    position = (-180, -180, 300 - step * place)
    write(path, pixels(place, offset), position, series=uid, **changes)


def write_mask(path: Path, grey: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(grey).save(path)


@pytest.fixture
def root(tmp_path):
    sets = tmp_path / "Train_Sets"
    mr = {"Modality": "MR", "RescaleSlope": None, "RescaleIntercept": None}
    for patient in ("1", "10", "2"):
        t2, t1 = (sets / "MR" / patient / name for name in ("T2SPIR", "T1DUAL"))
        for place in range(N):
            name = f"IMG-0002-{place + 1:05d}"
            write_slice(t2 / f"DICOM_anon/{name}.dcm", place, 9.0, int(patient), **mr)
            write_mask(t2 / f"Ground/{name}.png", GREY[codes(place)])
            # the phases alternate in the numbers of T1-DUAL
            odd, even = (f"IMG-0004-{2 * place + side:05d}" for side in (1, 2))
            write_slice(t1 / f"DICOM_anon/OutPhase/{odd}.dcm", place, 5.5, 20, **mr)
            write_slice(t1 / f"DICOM_anon/InPhase/{even}.dcm", place, 5.5, 30, **mr)
            write_mask(t1 / f"Ground/{even}.png", GREY[codes(place + 50)])
    for place in range(N):
        ct = sets / "CT/5"
        write_slice(ct / f"DICOM_anon/i{place:04d},0000b.dcm", place, 2.0)
        write_mask(ct / f"Ground/liver_GT_{place:03d}.png", codes(place) == 1)
    return tmp_path


def test_t2_volumes_go_from_foot_to_head_with_organ_codes(root):
    cases = pickle.loads(pickle.dumps(reader.load(root)))
    assert cases.table["cluster"].tolist() == ["MR-1", "MR-2", "MR-10"]
    assert cases.table["case"].iloc[2] == "MR-10-T2SPIR"
    for patient, case in zip((1, 2, 10), cases, strict=True):
        expected = [pixels(place, patient) for place in reversed(range(N))]
        np.testing.assert_array_equal(case.image, [expected])
        np.testing.assert_array_equal(case.target["mask"], [codes(p) for p in (3, 2, 1, 0)])
        assert case.target["mask"].dtype == np.uint8
        assert case.spacing_mm == (9.0, 0.7, 0.65)


def test_t1_phases_are_two_channels_with_one_mask(root):
    case = reader.load(root, sequence="T1DUAL")[0]
    assert case.image.shape == (2, N, *SIZE)
    np.testing.assert_array_equal(case.image[0, 0], pixels(3, 30))
    np.testing.assert_array_equal(case.image[1, 0], pixels(3, 20))
    np.testing.assert_array_equal(case.target["mask"], [codes(p + 50) for p in (3, 2, 1, 0)])


def test_ct_is_in_hounsfield_units_with_the_liver(root):
    cases = reader.load(root, sequence="CT")
    assert cases.table["cluster"].tolist() == ["CT-5"]
    np.testing.assert_array_equal(cases[0].image[0, -1], pixels(0) - 1024)
    assert cases[0].target["mask"].dtype == bool
    np.testing.assert_array_equal(cases[0].target["mask"], [codes(p) == 1 for p in (3, 2, 1, 0)])


def test_bands_take_in_what_lies_between_their_ends():
    grey = np.array([[55, 70, 110, 135], [175, 200, 240, 255]], np.uint8)
    assert reader.organ_codes(Path("a.png"), grey).tolist() == [[1, 1, 2, 2], [3, 3, 4, 4]]


@pytest.mark.parametrize("level", [1, 54, 71, 239])
def test_a_level_outside_all_bands_is_refused(root, level):
    grey = np.zeros(SIZE, np.uint8)
    grey[3, 3] = level
    write_mask(root / "Train_Sets/MR/1/T2SPIR/Ground/IMG-0002-00002.png", grey)
    with pytest.raises(ReplicateError, match=rf"00002.png must hold 0 and grey .* got {level}"):
        reader.load(root)[0]


def test_a_missing_mask_or_slice_is_refused(root):
    (root / "Train_Sets/MR/1/T1DUAL/DICOM_anon/OutPhase/IMG-0004-00003.dcm").unlink()
    with pytest.raises(ReplicateError, match=r"OutPhase must have a mask .* 3 slices and 4 masks"):
        reader.load(root, sequence="T1DUAL")
    (root / "Train_Sets/MR/1/T2SPIR/Ground/IMG-0002-00001.png").unlink()
    with pytest.raises(ReplicateError, match=r"DICOM_anon must have a mask .* 4 slices and 3"):
        reader.load(root)


def test_a_mask_of_another_size_and_phases_on_other_grids_are_refused(root):
    write_mask(root / "Train_Sets/MR/2/T2SPIR/Ground/IMG-0002-00001.png", GREY[codes(0)[1:]])
    with pytest.raises(ReplicateError, match=r"00001.png must hold 16 x 20 grey levels"):
        reader.load(root)[1]
    for place in range(N):
        name = f"IMG-0004-{2 * place + 1:05d}.dcm"
        write_slice(root / f"Train_Sets/MR/1/T1DUAL/DICOM_anon/OutPhase/{name}", place, 6.0)
    with pytest.raises(ReplicateError, match="OutPhase must lie on the grid of InPhase"):
        reader.load(root, sequence="T1DUAL")[0]


def test_an_unknown_sequence_is_refused(root):
    with pytest.raises(ValueError, match="`sequence` must be one of"):
        reader.load(root, sequence="T1")
