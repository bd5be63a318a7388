import pickle

import numpy as np
import pytest
import tifffile

from common.datasets.lks_slides import CLASSES, load, overview, tile
from common.errors import ReplicateError

# part, name: class, (height, width)
SLIDES = {
    ("Train", "T01.tif"): ("Negative", (120, 100)),
    ("Train", "T02.tif"): ("SMA-V", (90, 61)),
    ("Test", "T01.tif"): ("SMA-T", (80, 80)),
}


def pixels(shape):
    rows, columns = np.indices(shape)
    return (rows * 3 + columns * 5).astype(np.uint8)


def write_labels(folder, part, lines):
    (folder / f"{part}_Labels.csv").write_text("\n".join(["Image,Class", *lines]) + "\n")


@pytest.fixture
def folder(tmp_path):
    """Slides of differing size; one name is in both parts."""
    for (part, name), (_, shape) in SLIDES.items():
        (tmp_path / part).mkdir(exist_ok=True)
        tifffile.imwrite(tmp_path / part / name, pixels(shape))
    for part in ("Train", "Test"):
        lines = [f"{name},{kind}" for (where, name), (kind, _) in SLIDES.items() if where == part]
        write_labels(tmp_path, part, lines)
    return tmp_path


def read(folder):
    return load(folder, side_px=80, shrink=4)


def test_labels_and_parts_come_from_the_two_lists(folder):
    cases = read(folder)
    assert cases.table["case"].tolist() == ["train/T01", "train/T02", "test/T01"]
    assert cases.table["part"].tolist() == ["train", "train", "test"]
    kinds = [CLASSES[case.target["label"]] for case in cases]
    assert kinds == [kind for kind, _ in SLIDES.values()]
    assert len(pickle.loads(pickle.dumps(cases))) == 3


def test_the_overview_is_the_mean_of_blocks_of_the_middle(folder):
    first, _, last = read(folder)
    assert first.image.shape == (1, 20, 20)
    assert first.image.dtype == np.uint8
    middle = pixels((120, 100))[20:100, 10:90].astype(float)
    expected = middle.reshape(20, 4, 20, 4).mean(axis=(1, 3))
    np.testing.assert_allclose(first.image[0], expected, atol=0.5)
    assert (first.info["top"], first.info["left"], first.info["shape"]) == (20, 10, (120, 100))
    np.testing.assert_allclose(
        last.image[0], pixels((80, 80)).reshape(20, 4, 20, 4).mean(axis=(1, 3)), atol=0.5
    )


def test_a_narrow_slide_is_padded_with_black_on_both_sides(folder):
    case = read(folder)[1]
    # 61 columns in 80: ten on the left
    assert (case.info["top"], case.info["left"]) == (5, -10)
    padded = np.zeros((80, 80))
    padded[:, 10:71] = pixels((90, 61))[5:85]
    expected = padded.reshape(20, 4, 20, 4).mean(axis=(1, 3))
    np.testing.assert_allclose(case.image[0], expected, atol=0.5)


def test_tiles_are_parts_of_the_middle_at_full_resolution(folder):
    first, second, _ = read(folder)
    corner = tile(first, 3, 1, side_px=20)
    np.testing.assert_array_equal(corner[0], pixels((120, 100))[80:100, 30:50])
    beyond = tile(second, 0, 3, side_px=20)
    assert beyond.shape == (1, 20, 20)
    np.testing.assert_array_equal(beyond[0, :, :11], pixels((90, 61))[5:25, 50:])
    assert not beyond[0, :, 11:].any()


def test_an_overview_in_bands_is_that_of_one_piece(folder, monkeypatch):
    path = folder / "Train/T01.tif"
    at_once = overview(path, top=0, left=0, side_px=96, shrink=8)
    monkeypatch.setattr("common.datasets.lks_slides._BAND_BYTES", 96 * 8 * 5)
    np.testing.assert_array_equal(overview(path, top=0, left=0, side_px=96, shrink=8), at_once)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["T01.tif,Negative", "T09.tif,AMA"], "name slides of Train .* got 'T09.tif', 'AMA'"),
        (["T01.tif,Negative", "T02.tif,SMA"], "one of Negative, .* got 'T02.tif', 'SMA'"),
        (["T01.tif,AMA", "T01.tif,AMA"], "name every slide once, got 'T01.tif' twice"),
        (["../Test/T03.tif,AMA"], "name slides of Train"),
    ],
)
def test_a_list_that_does_not_fit_is_refused(folder, lines, message):
    tifffile.imwrite(folder / "Test/T03.tif", pixels((80, 80)))
    write_labels(folder, "Train", lines)
    with pytest.raises(ReplicateError, match=f"Train_Labels.csv must .*{message}"):
        read(folder)


def test_an_absent_list_and_a_slide_in_colour_are_refused(folder):
    tifffile.imwrite(folder / "Train/T01.tif", np.zeros((80, 80, 3), np.uint8))
    with pytest.raises(ReplicateError, match=r"T01.tif must be a sound TIFF slide, got: 3 chan"):
        read(folder)[0]
    (folder / "Test_Labels.csv").unlink()
    with pytest.raises(ReplicateError, match=r"Test_Labels.csv must be a sound table"):
        read(folder)


@pytest.mark.parametrize(("side", "shrink"), [(80, 3), (80, 0), (2, 4)])
def test_a_factor_that_does_not_divide_the_side_is_an_error_of_the_caller(folder, side, shrink):
    with pytest.raises(ValueError, match="`shrink` must divide `side_px`"):
        load(folder, side_px=side, shrink=shrink)
