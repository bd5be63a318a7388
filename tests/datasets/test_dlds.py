"""Duke Liver Dataset: files that this test writes in the published layout."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from test_dicom_series import write

from common.datasets import dlds as reader
from common.errors import ReplicateError

SIZE = (6, 8)
# top slice first: the order of names runs against that of positions
HEIGHTS = (12.0, 8.0, 4.0, 0.0)
SERIES = (("0002", "3"), ("0002", "10"), ("0014", "5"))


def pixels(series: tuple[str, str], place: int) -> np.ndarray:
    return np.arange(48).reshape(SIZE) + 100 * place + int(series[1])


def liver(place: int) -> np.ndarray:
    mask = np.zeros(SIZE, bool)
    mask[1:4, 1 : 2 + place] = True
    return mask


def write_series(root: Path, series: tuple[str, str], value: int = 1, **changes) -> Path:
    folder = root / "Segmentation" / series[0] / series[1]
    mr = {"Modality": "MR", "RescaleSlope": None, "RescaleIntercept": None}
    for place, height in enumerate(HEIGHTS):
        position = (0, 0, height)
        name = f"{place + 1:04d}.dicom"
        write(folder / "images" / name, pixels(series, place), position, **mr, **changes)
        write(folder / "masks" / name, liver(place) * value, position, **mr, **changes)
    return folder


@pytest.fixture
def root(tmp_path):
    for series in SERIES:
        write_series(tmp_path, series)
    return tmp_path


def test_series_come_back_from_foot_to_head_with_masks_in_the_same_order(root):
    cases = pickle.loads(pickle.dumps(reader.load(root)))
    assert cases.table["case"].tolist() == ["0002-3", "0002-10", "0014-5"]
    assert cases.table["cluster"].tolist() == ["0002", "0002", "0014"]
    for series, case in zip(SERIES, cases, strict=True):
        expected = [pixels(series, place) for place in (3, 2, 1, 0)]
        np.testing.assert_array_equal(case.image[0], expected)
        np.testing.assert_array_equal(case.target["mask"], [liver(p) for p in (3, 2, 1, 0)])
        assert case.target["mask"].dtype == bool
        assert case.spacing_mm == (4.0, 0.7, 0.65)


def test_any_value_but_0_is_liver_and_two_values_are_refused(root):
    folder = write_series(root, SERIES[0], value=255)
    np.testing.assert_array_equal(reader.load(root)[0].target["mask"][0], liver(3))
    write(folder / "masks/0001.dicom", liver(0) * 7, (0, 0, 12.0))
    with pytest.raises(ReplicateError, match="masks must hold 0 and one other value"):
        reader.load(root)[0]


def test_slices_without_position_keep_the_order_of_their_names(root):
    write_series(root, SERIES[1], ImagePositionPatient=None)
    case = reader.load(root)[1]
    np.testing.assert_array_equal(case.image[0], [pixels(SERIES[1], p) for p in range(4)])
    np.testing.assert_array_equal(case.target["mask"], [liver(p) for p in range(4)])
    assert case.spacing_mm == (1.0, 0.7, 0.65)


def test_a_missing_mask_is_refused(root):
    (root / "Segmentation/0002/10/masks/0003.dicom").unlink()
    with pytest.raises(ReplicateError, match=r"0002/10 must hold a mask .* got 4 images and 3"):
        reader.load(root)


def test_masks_of_another_size_and_a_gap_are_refused(root):
    folder = root / "Segmentation/0014/5"
    write(folder / "masks/0002.dicom", np.zeros((6, 7)), (0, 0, 8.0))
    with pytest.raises(ReplicateError, match="masks must hold slices of one size"):
        reader.load(root)[2]
    for name in ("images", "masks"):
        (folder / name / "0002.dicom").unlink()
    with pytest.raises(ReplicateError, match="without a gap, got 8 mm"):
        reader.load(root)[2]
