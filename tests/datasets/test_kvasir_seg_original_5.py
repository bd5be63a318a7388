import numpy as np
import pytest
from PIL import Image

from common.datasets.kvasir_seg_original_5 import DATASET, load
from common.errors import ReplicateError


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, quality=90)


@pytest.fixture
def folder(tmp_path):
    """Two images of differing size; masks are JPEG with three channels."""
    for name, (height, width) in {"cju0b": (48, 64), "cju0a": (40, 56)}.items():
        save(tmp_path / f"images/{name}.jpg", np.full((height, width, 3), (180, 60, 40), np.uint8))
        mask = np.zeros((height, width, 3), np.uint8)
        mask[10:30, 8:33] = 255
        save(tmp_path / f"masks/{name}.jpg", mask)
    return tmp_path


def test_names_sizes_and_masks_come_back_as_written(folder):
    cases = load(folder)
    assert cases.table["case"].tolist() == ["cju0a", "cju0b"]
    assert [case.image.shape for case in cases] == [(3, 40, 56), (3, 48, 64)]
    for case in cases:
        drawn = np.zeros(case.image.shape[1:], bool)
        drawn[10:30, 8:33] = True
        assert (case.target["mask"] != drawn).sum() == 0
        np.testing.assert_allclose(case.image.mean(axis=(1, 2)), [180, 60, 40], atol=2)


def test_what_does_not_fit_is_refused(folder):
    save(folder / "masks/cju0a.jpg", np.zeros((56, 40, 3), np.uint8))
    with pytest.raises(ReplicateError, match="40 x 56 pixels, got 56 x 40"):
        load(folder)[0]
    (folder / "images/cju0a.jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(ReplicateError, match=r"cju0a.jpg must be a sound image"):
        load(folder)[0]
    (folder / "masks/cju0a.jpg").unlink()
    with pytest.raises(ReplicateError, match=r"cju0a.jpg must have a mask"):
        load(folder)


def test_the_real_files_are_five_pairs_of_their_original_sizes(mirror):
    folder = mirror(DATASET)
    cases = load(folder)
    sizes = {case.case: case.image.shape[1:] for case in cases}
    assert sizes == {
        "cju0qkwl35piu0993l0dewei2": (529, 622),
        "cju0qoxqj9q6s0835b43399p4": (1070, 1348),
        "cju0qx73cjw570799j4n5cjze": (529, 619),
        "cju0roawvklrq0799vmjorwfv": (528, 622),
        "cju0rx1idathl0835detmsp84": (528, 617),
    }
    for case in cases:
        stored = np.asarray(Image.open(folder / f"masks/{case.case}.jpg"))
        assert 0 < case.target["mask"].sum() == (stored[..., 2] >= 128).sum()
