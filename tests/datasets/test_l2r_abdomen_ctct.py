"""Learn2Reg abdomen CT: files that this test writes in the published format."""

import json
import pickle
from itertools import combinations
from pathlib import Path

import nibabel
import numpy as np
import pytest

from common.datasets import l2r_abdomen_ctct as reader
from common.errors import ReplicateError

SIDES = (6, 5, 8)


def write(root: Path, kind: str, number: int, array: np.ndarray) -> Path:
    path = root / "AbdomenCTCT" / kind / f"AbdomenCTCT_{number:04d}_0000.nii.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(array, np.diag([2.0, 2.0, 2.0, 1.0])), path)
    return path


def scan(number: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(number)
    return (
        rng.integers(-1000, 1000, SIDES).astype(np.float32),
        rng.integers(0, 14, SIDES).astype(np.uint8),
    )


def describe(root: Path, pairs: list[tuple[int, int]]) -> None:
    name = "./imagesTr/AbdomenCTCT_{:04d}_0000.nii.gz"
    listed = [{"fixed": name.format(a), "moving": name.format(b)} for a, b in pairs]
    text = json.dumps({"name": "AbdomenCTCT", "registration_val": listed})
    (root / "AbdomenCTCT/AbdomenCTCT_dataset.json").write_text(text)


ALL = list(combinations(range(1, 29, 3), 2))


@pytest.fixture
def root(tmp_path):
    for number in range(1, 31):
        image, mask = scan(number)
        write(tmp_path, "imagesTr", number, image)
        write(tmp_path, "labelsTr", number, mask)
    describe(tmp_path, ALL)
    return tmp_path


def test_thirty_scans_come_back_ten_of_them_for_test(root):
    cases = pickle.loads(pickle.dumps(reader.load(root)))
    table = cases.table
    assert table["number"].tolist() == list(range(1, 31))
    assert table[table["part"] == "test"]["number"].tolist() == [
        1,
        4,
        7,
        10,
        13,
        16,
        19,
        22,
        25,
        28,
    ]
    for number, case in zip(range(1, 31), cases, strict=True):
        image, mask = scan(number)
        np.testing.assert_array_equal(case.image[0], image)
        np.testing.assert_array_equal(case.target["mask"], mask)
        assert case.spacing_mm == (2, 2, 2)
    assert len(reader.CLASSES) == 14


def test_the_45_pairs_name_test_cases(root):
    pairs = reader.pairs(root)
    assert len(pairs) == 45
    assert pairs.iloc[0].tolist() == ["AbdomenCTCT_0001", "AbdomenCTCT_0004"]
    table = reader.load(root).table
    test = set(table[table["part"] == "test"]["case"])
    assert set(pairs["fixed"]) | set(pairs["moving"]) == test


@pytest.mark.parametrize("pairs", [ALL[:-1], [*ALL[:-1], ALL[0]], [*ALL[:-1], (1, 2)]])
def test_other_pairs_are_refused(root, pairs):
    describe(root, pairs)
    with pytest.raises(ReplicateError, match=r"dataset.json must list the 45 pairs"):
        reader.pairs(root)


def test_a_description_without_pairs_is_refused(root):
    (root / "AbdomenCTCT/AbdomenCTCT_dataset.json").write_text('{"name": "AbdomenCTCT"}')
    with pytest.raises(ReplicateError, match="registration_val"):
        reader.pairs(root)


def test_damages_are_named(root):
    write(root, "labelsTr", 1, np.full(SIDES, 14, np.uint8))
    with pytest.raises(ReplicateError, match="label codes among 0 to 13, got 14"):
        reader.load(root)[0]
    write(root, "imagesTr", 2, np.zeros((6, 5, 7), np.float32))
    with pytest.raises(ReplicateError, match=r"labelsTr/AbdomenCTCT_0002_0000.nii.gz must have"):
        reader.load(root)[1]
    write(root, "imagesTr", 31, np.zeros(SIDES, np.float32))
    with pytest.raises(ReplicateError, match=r"AbdomenCTCT_0031_0000.nii.gz must have a partner"):
        reader.load(root)
