import numpy as np
import pytest
from PIL import Image
from scipy import io

from common.datasets.isic2016_lesions import CLASSES, DATASET, labels, load
from common.errors import ReplicateError

NAMES = ("ISIC_0000000", "ISIC_0000002", "ISIC_0000011")
SHAPE = (48, 64)


def lesion(radius):
    rows, columns = np.ogrid[: SHAPE[0], : SHAPE[1]]
    return (rows - 24) ** 2 + (columns - 30) ** 2 < radius**2


def write_labels(folder, names):
    cells = np.empty((len(names), 1), dtype=object)
    cells[:, 0] = names
    io.savemat(folder / "groundtruth.mat", {"groundtruth": cells})


@pytest.fixture
def folder(tmp_path):
    """JPEG images, PNG masks of 0 and 255, and a MATLAB cell array with five labels."""
    for name in ("lesionimages", "masks"):
        (tmp_path / name).mkdir()
    for number, name in enumerate(NAMES):
        colour = np.full((*SHAPE, 3), (190, 120, 60 + number), np.uint8)
        Image.fromarray(colour).save(tmp_path / f"lesionimages/{name}.jpg", quality=95)
        mask = np.uint8(255) * lesion(8 + number)
        Image.fromarray(mask).save(tmp_path / f"masks/{name}_Segmentation.png")
    write_labels(tmp_path, ["benign", "benign", "malignant", "malignant", "benign"])
    return tmp_path


def test_images_and_masks_come_back_as_written(folder):
    cases = load(folder)
    assert cases.table["case"].tolist() == list(NAMES)
    assert (cases.table["cluster"] == cases.table["case"]).all()
    for number, case in enumerate(cases):
        np.testing.assert_array_equal(case.target["mask"], lesion(8 + number))
        means = case.image.mean(axis=(1, 2))
        np.testing.assert_allclose(means, [190, 120, 60 + number], atol=2)


def test_more_labels_than_images_belong_to_none_of_them(folder):
    cases = load(folder)
    assert "label" not in cases.table
    assert set(cases[0].target) == {"mask"}
    assert [CLASSES[label] for label in labels(folder)].count("malignant") == 2


def test_as_many_labels_as_images_are_theirs_in_the_order_of_the_names(folder):
    write_labels(folder, ["benign", "malignant", "benign"])
    cases = load(folder)
    assert cases.table["label"].tolist() == [0, 1, 0]
    assert [case.target["label"] for case in cases] == [0, 1, 0]


def test_an_unknown_or_missing_or_damaged_label_list_is_refused(folder):
    write_labels(folder, ["benign", "naevus"])
    with pytest.raises(ReplicateError, match="benign and malignant, got naevus"):
        load(folder)
    io.savemat(folder / "groundtruth.mat", {"truth": np.zeros(3)})
    with pytest.raises(ReplicateError, match=r"must hold `groundtruth`.*got none"):
        load(folder)
    (folder / "groundtruth.mat").write_bytes(b"MATLAB 5.0")
    with pytest.raises(ReplicateError, match=r"groundtruth.mat must be a sound MATLAB 5 file"):
        load(folder)


def test_a_missing_mask_one_of_another_size_and_a_broken_image_are_refused(folder):
    mask = folder / f"masks/{NAMES[0]}_Segmentation.png"
    Image.new("L", (48, 64)).save(mask)
    (folder / f"lesionimages/{NAMES[1]}.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    cases = load(folder)
    with pytest.raises(ReplicateError, match="48 x 64 pixels, got 64 x 48"):
        cases[0]
    with pytest.raises(ReplicateError, match=rf"{NAMES[1]}.jpg must be a sound image"):
        cases[1]
    mask.unlink()
    with pytest.raises(ReplicateError, match=rf"{NAMES[0]}.jpg must have a mask"):
        load(folder)


def test_the_real_files_are_30_pairs_and_200_labels_without_a_name(mirror):
    folder = mirror(DATASET)
    cases = load(folder)
    assert len(cases) == 30
    assert "label" not in cases.table
    assert np.bincount(labels(folder)).tolist() == [100, 100]
    sizes = [case.image.shape for case in cases]
    assert {size: sizes.count(size) for size in sizes} == {
        (3, 767, 1022): 14,
        (3, 1129, 1504): 14,
        (3, 722, 962): 2,
    }


def test_a_real_mask_is_where_its_file_is_white(mirror):
    folder = mirror(DATASET)
    for case in load(folder)[:5]:
        stored = np.asarray(Image.open(folder / f"masks/{case.case}_Segmentation.png"))
        assert 0 < case.target["mask"].sum() == np.count_nonzero(stored == 255)
