"""VoxelMorph's example brain: the real files, and a fixture with the same arrays."""

from pathlib import Path

import numpy as np
import pytest

from common.datasets import voxelmorph_scan as reader
from common.errors import ReplicateError

SIDES = (4, 5, 6)


@pytest.fixture
def arrays(rng) -> dict[str, np.ndarray]:
    seg = rng.choice([0, 2, 17, 53, 255], SIDES).astype(np.float64)
    return {"vol": rng.integers(0, 255, SIDES) / 255, "seg": seg}


@pytest.fixture
def root(tmp_path, arrays) -> Path:
    np.savez_compressed(tmp_path / "test_scan.npz", **arrays)
    np.savez_compressed(tmp_path / "labels.npz", labels=np.array([2, 17, 53]))
    return tmp_path


def test_the_real_scan_holds_every_named_structure_and_30_evaluated_ones(mirror):
    folder = mirror(reader.DATASET)
    cases = reader.load(folder)
    case = cases[0]
    assert len(cases) == 1
    assert case.image.shape == (1, 160, 192, 224)
    assert set(np.unique(case.target["mask"]).tolist()) == set(reader.CLASSES)
    assert len(reader.CLASSES) == 46
    stored = np.load(folder / "test_scan.npz")
    np.testing.assert_array_equal(case.target["mask"], stored["seg"])
    np.testing.assert_allclose(case.image[0], stored["vol"], atol=1e-7)
    assert case.info["evaluated"] == tuple(np.load(folder / "labels.npz")["labels"])
    assert len(case.info["evaluated"]) == 30


def test_structures_named_left_and_right_lie_on_opposite_sides(mirror):
    mask = reader.load(mirror(reader.DATASET))[0].target["mask"]
    middles = {
        name: np.argwhere(mask == code)[:, 0].mean()
        for code, name in reader.CLASSES.items()
        if name.startswith(("left", "right"))
    }
    sides = {
        side: [place for name, place in middles.items() if name.startswith(side)]
        for side in ("left", "right")
    }
    assert len(sides["left"]) == len(sides["right"]) == 16
    lower, upper = sorted(sides.values(), key=min)
    assert max(lower) < min(upper)


def test_values_come_back_as_float32_and_codes(root, arrays):
    case = reader.load(root)[0]
    np.testing.assert_array_equal(case.image[0], arrays["vol"].astype(np.float32))
    np.testing.assert_array_equal(case.target["mask"], arrays["seg"])
    assert case.target["mask"].dtype == np.uint8
    assert case.info["evaluated"] == (2, 17, 53)


@pytest.mark.parametrize("name", ["test_scan.npz", "labels.npz"])
def test_an_absent_file_is_named(root, name):
    (root / name).unlink()
    with pytest.raises(ReplicateError, match=f"{name} must exist, got none"):
        reader.load(root)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda found: {"vol": found["vol"]}, "must hold the array 'seg', got vol"),
        (lambda found: found | {"seg": found["seg"][1:]}, r"of one shape with 3 axes, got \(4, 5"),
        (lambda found: {k: v[0] for k, v in found.items()}, r"of one shape with 3 axes, got \(5"),
        (lambda found: found | {"seg": found["seg"] + 0.5}, r"label codes among .* got 0.5"),
        (lambda found: found | {"seg": np.full(SIDES, 6.0)}, "label codes among .* got 6"),
    ],
)
def test_damaged_arrays_are_refused(root, arrays, change, message):
    np.savez_compressed(root / "test_scan.npz", **change(arrays))
    with pytest.raises(ReplicateError, match=message):
        reader.load(root)[0]


def test_an_evaluated_structure_without_a_name_is_refused(root):
    np.savez_compressed(root / "labels.npz", labels=np.array([2, 99]))
    with pytest.raises(ReplicateError, match=r"labels.npz must hold label codes .* got 99"):
        reader.load(root)[0]


def test_python_objects_are_never_loaded(root):
    np.savez_compressed(root / "labels.npz", labels=np.array([{}], dtype=object))
    with pytest.raises(ReplicateError, match=r"labels.npz must be a sound NumPy file"):
        reader.load(root)[0]
