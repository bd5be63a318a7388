"""NeAt mouse brain atlas: files that this test writes in the published layout."""

import pickle
from pathlib import Path

import nibabel
import numpy as np
import pytest

from common.datasets import neat_atlas as reader
from common.errors import ReplicateError

SIDES = (6, 8, 5)
NUMBERS = {"in_vivo": (0, 2, 11), "ex_vivo": (0, 9)}


def write(root: Path, kind: str, what: str, number: int, array: np.ndarray) -> Path:
    path = root / "NeAt" / kind / what / f"A{number}.nii.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(array, np.diag([0.1, 0.1, 0.1, 1.0])), path)
    return path


def volumes(kind: str, number: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng([number, len(kind), ord(kind[0])])
    return {
        "template": rng.normal(size=SIDES).astype(np.float32),
        "label": rng.choice([0, 1, 20, 220], SIDES).astype(np.int16),
        "mask": rng.integers(0, 2, SIDES).astype(np.uint8),
    }


@pytest.fixture
def root(tmp_path):
    for kind, numbers in NUMBERS.items():
        for number in numbers:
            for what, array in volumes(kind, number).items():
                write(tmp_path, kind, what, number, array)
    write(tmp_path, "ex_vivo_L", "label", 0, np.zeros(SIDES, np.uint8))
    (tmp_path / "NeAt/in_vivo/mask/dilation=1").mkdir()
    (tmp_path / "NeAt/in_vivo/template_list.cfg").touch()
    return tmp_path


@pytest.mark.parametrize("kind", ["in_vivo", "ex_vivo"])
def test_templates_come_back_with_regions_and_brain(root, kind):
    cases = pickle.loads(pickle.dumps(reader.load(root, kind=kind)))
    assert cases.table["case"].tolist() == [f"{kind}-A{number}" for number in NUMBERS[kind]]
    for number, case in zip(NUMBERS[kind], cases, strict=True):
        arrays = volumes(kind, number)
        np.testing.assert_array_equal(case.image[0], arrays["template"])
        np.testing.assert_array_equal(case.target["labels"], arrays["label"])
        assert case.target["labels"].dtype == np.uint8
        np.testing.assert_array_equal(case.target["brain"], arrays["mask"].astype(bool))
        assert case.spacing_mm == pytest.approx((0.1, 0.1, 0.1))


def test_an_unknown_kind_is_refused(root):
    with pytest.raises(ValueError, match="`kind` must be one of"):
        reader.load(root, kind="ex_vivo_L")


@pytest.mark.parametrize("what", ["template", "label", "mask"])
def test_a_template_with_an_absent_file_is_refused(root, what):
    (root / f"NeAt/in_vivo/{what}/A2.nii.gz").unlink()
    with pytest.raises(ReplicateError, match=r"A2.nii.gz must have a partner of its number"):
        reader.load(root)


@pytest.mark.parametrize(
    ("what", "array", "problem"),
    [
        ("label", np.full(SIDES, 256, np.int16), "label codes among 0 to 255, got 256"),
        ("label", np.full(SIDES, 0.5, np.float32), "label codes among 0 to 255, got 0.5"),
        ("mask", np.full(SIDES, 2, np.uint8), "label codes among 0 to 1, got 2"),
        ("mask", np.zeros((6, 8, 4), np.uint8), "have the shape"),
    ],
)
def test_damages_are_named(root, what, array, problem):
    write(root, "in_vivo", what, 0, array)
    with pytest.raises(ReplicateError, match=rf"{what}/A0.nii.gz must .*{problem}"):
        reader.load(root)[0]
