"""The registration pair: the real files, and a fixture with the same names."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from common.datasets import elastix_ct_head_2d as reader
from common.errors import ReplicateError

SIDES = (6, 5)


def write(path: Path, array: np.ndarray, spacing: tuple[float, float] = (0.5, 2.0)) -> None:
    image = SimpleITK.GetImageFromArray(array)
    image.SetSpacing(spacing)  # x, y
    SimpleITK.WriteImage(image, str(path))


@pytest.fixture
def arrays(rng) -> dict[str, np.ndarray]:
    found = {}
    for name in ("fixed", "moving"):
        found[f"CT_2D_head_{name}.mha"] = rng.integers(-2, 251, SIDES).astype(np.int16)
        found[f"CT_2D_head_{name}_mask.mha"] = rng.integers(0, 2, SIDES).astype(np.uint8)
    return found


@pytest.fixture
def root(tmp_path, arrays) -> Path:
    for name, array in arrays.items():
        write(tmp_path / name, array)
    return tmp_path


def test_the_real_pair_has_the_measured_values(mirror):
    fixed, moving = reader.load(mirror(reader.DATASET))
    assert fixed.image.shape == moving.image.shape == (1, 256, 256)
    assert (fixed.image.min(), fixed.image.max()) == (-2, 217)
    assert (moving.image.min(), moving.image.max()) == (0, 251)
    assert fixed.target["mask"].sum() == 27363
    assert moving.target["mask"].mean() == pytest.approx(0.4268798828125)
    assert fixed.spacing_mm == (1.0, 1.0)


def test_the_real_masks_cover_what_is_bright(mirror):
    for case in reader.load(mirror(reader.DATASET)):
        mask = case.target["mask"]
        assert case.image[0][mask].mean() > 10 * case.image[0][~mask].mean()


def test_values_come_back_rows_first(root, arrays):
    cases = reader.load(root)
    assert cases.table["case"].tolist() == ["fixed", "moving"]
    assert cases.table["cluster"].tolist() == ["head", "head"]
    for case in cases:
        stem = f"CT_2D_head_{case.case}"
        np.testing.assert_array_equal(case.image[0], arrays[f"{stem}.mha"])
        np.testing.assert_array_equal(case.target["mask"], arrays[f"{stem}_mask.mha"] == 1)
        assert case.target["mask"].dtype == bool
        assert case.spacing_mm == (2.0, 0.5)


@pytest.mark.parametrize("name", ["CT_2D_head_fixed.mha", "CT_2D_head_moving_mask.mha"])
def test_an_absent_file_is_named(root, name):
    (root / name).unlink()
    with pytest.raises(ReplicateError, match=f"{name} must exist, got none"):
        reader.load(root)


def test_a_mask_of_another_shape_is_refused(root, arrays):
    write(root / "CT_2D_head_moving_mask.mha", arrays["CT_2D_head_moving_mask.mha"][1:])
    with pytest.raises(ReplicateError, match=r"moving_mask.mha must have the shape \(6, 5\)"):
        reader.load(root)[1]


def test_an_unknown_code_is_refused(root):
    write(root / "CT_2D_head_fixed_mask.mha", np.full(SIDES, 255, np.uint8))
    with pytest.raises(ReplicateError, match="label codes among 0 to 1, got 255"):
        reader.load(root)[0]


def test_a_broken_file_is_refused(root):
    (root / "CT_2D_head_fixed.mha").write_bytes(b"ObjectType = Image\n")
    with pytest.raises(ReplicateError, match=r"CT_2D_head_fixed.mha must be a sound MetaImage"):
        reader.load(root)[0]
