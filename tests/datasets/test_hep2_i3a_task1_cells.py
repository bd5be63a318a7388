import numpy as np
import pytest
from PIL import Image

from common.datasets.hep2_i3a_task1_cells import CLASSES, DATASET, labels, load
from common.errors import ReplicateError

CELLS = {
    "00001": "Homogeneous",
    "00002": "Speckled",
    "00003": "Nucleolar",
    "00004": "Centromere",
    "00005": "NuMem",
    "00006": "Golgi",
}
# listed without an image
ABSENT = {"00007": "Golgi"}


def write_list(folder, cells):
    lines = ["Image ID,Image class", *(f"{name},{pattern}" for name, pattern in cells.items())]
    (folder / "gt_training.csv").write_text("\n".join(lines))


@pytest.fixture
def folder(tmp_path, rng):
    """Grey PNG files of 78 x 78 pixels in a folder for each pattern, and the list of all cells."""
    for name, pattern in CELLS.items():
        path = tmp_path / "val" / pattern / f"{name}.png"
        path.parent.mkdir(parents=True)
        Image.fromarray(rng.integers(0, 256, (78, 78), dtype=np.uint8)).save(path)
    write_list(tmp_path, CELLS | ABSENT)
    return tmp_path


def test_cells_come_back_with_pixels_and_pattern_in_the_order_of_the_list(folder):
    cases = load(folder)
    assert [case.case for case in cases] == list(CELLS)
    for case in cases:
        pattern = CLASSES[case.target["label"]]
        assert pattern == CELLS[case.case]
        stored = np.asarray(Image.open(folder / "val" / pattern / f"{case.case}.png"))
        np.testing.assert_array_equal(case.image, stored[None])
    assert set(cases.table["part"]) == {"val"}


def test_codes_are_those_of_the_second_task():
    from common.datasets.hep2_fold_lists import PATTERNS

    assert [name.lower() for name in CLASSES] == list(PATTERNS[:6])


def test_the_list_names_cells_without_an_image_too(folder):
    table = labels(folder)
    assert table["case"].tolist() == [*CELLS, *ABSENT]
    assert CLASSES[table["label"].iloc[-1]] == "Golgi"


def test_a_cell_in_the_wrong_folder_or_outside_of_the_list_is_refused(folder):
    write_list(folder, CELLS | {"00002": "NuMem"})
    with pytest.raises(ReplicateError, match=r"00002.png must lie in the folder.*got NuMem"):
        load(folder)
    write_list(folder, {name: CELLS[name] for name in list(CELLS)[1:]})
    with pytest.raises(ReplicateError, match=r"00001.png must lie.*got no such cell"):
        load(folder)


def test_an_unknown_pattern_a_doubled_cell_and_a_missing_list_are_refused(folder):
    path = folder / "gt_training.csv"
    path.write_text(path.read_text() + "\n00008,Cytoplasmic")
    with pytest.raises(ReplicateError, match=r"must name Homogeneous.*got Cytoplasmic"):
        load(folder)
    write_list(folder, CELLS)
    path.write_text(path.read_text() + "\n00001,Golgi")
    with pytest.raises(ReplicateError, match="each cell once, got 00001 twice"):
        load(folder)
    path.unlink()
    with pytest.raises(ReplicateError, match=r"gt_training.csv must be a sound table"):
        load(folder)


def test_a_cell_of_another_size_and_a_broken_one_are_refused(folder):
    path = folder / "val/Homogeneous/00001.png"
    Image.new("L", (78, 77)).save(path)
    with pytest.raises(ReplicateError, match="grey with 78 x 78 pixels"):
        load(folder)[0]
    path.write_bytes(b"")
    with pytest.raises(ReplicateError, match="must be a sound image"):
        load(folder)[0]


def test_the_real_list_has_the_totals_of_the_contest(mirror):
    table = labels(mirror(DATASET))
    assert len(table) == 13_596
    counts = table["label"].value_counts().sort_index().tolist()
    assert counts == [2494, 2831, 2598, 2741, 724, 2208]


def test_the_real_cells_are_2175_grey_images(mirror):
    folder = mirror(DATASET)
    cases = load(folder)
    counts = cases.table["label"].value_counts().sort_index().tolist()
    assert counts == [415, 456, 394, 463, 110, 337]
    assert cases.arrays()["image"].shape == (2175, 1, 78, 78)
    stored = np.asarray(Image.open(folder / "val/Golgi/13594.png"))
    np.testing.assert_array_equal(cases[len(cases) - 1].image[0], stored)
