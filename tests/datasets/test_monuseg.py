import numpy as np
import pytest
from PIL import Image

from common.datasets.monuseg import DATASET, fill, load
from common.errors import ReplicateError

KIDNEY, BRAIN = "TCGA-B0-5710-01Z-00-DX1", "TCGA-HT-8564-01Z-00-DX1"
# X and Y; the second overlaps the first, the third begins outside of the tile
BOXES = (((5, 10), (24, 30)), ((20, 25), (40, 45)), ((-3, 48), (12, 70)))


def document(boxes, *, microns="0.252000", hole="0"):
    regions = "".join(
        f'<Region Id="{number}" Type="0" Area="1" NegativeROA="{hole}"><Attributes/><Vertices>'
        + "".join(
            f'<Vertex X="{x}" Y="{y}"/>'
            for x, y in ((left, top), (right, top), (right, bottom), (left, bottom))
        )
        + "</Vertices></Region>"
        for number, ((left, top), (right, bottom)) in enumerate(boxes, start=1)
    )
    return (
        f'<Annotations MicronsPerPixel="{microns}"><Annotation Id="1" Type="4"><Attributes/>'
        f"<Regions><RegionAttributeHeaders/>{regions}</Regions><Plots/></Annotation></Annotations>"
    )


def inside(boxes, shape):
    mask = np.zeros(shape, bool)
    for (left, top), (right, bottom) in boxes:
        mask[top : bottom + 1, max(left, 0) : right + 1] = True
    return mask


@pytest.fixture
def folder(tmp_path, rng):
    """A training and a test tile: TIFF, XML contours, mask PNG of grey and opacity."""
    for name, part in ((KIDNEY, "Train"), (BRAIN, "Test")):
        masks = f"MoNuSeg{part}Data/masks"
        for home in ("MoNuSegAllData/tissue_image", "MoNuSegAllData/annotations", masks):
            (tmp_path / home).mkdir(parents=True, exist_ok=True)
        tile = rng.integers(0, 256, (80, 60, 3), dtype=np.uint8)
        Image.fromarray(tile).save(tmp_path / f"MoNuSegAllData/tissue_image/{name}.tif")
        contours_of(tmp_path, name).write_text(document(BOXES))
        mask = np.repeat(np.uint8(255) * inside(BOXES, (80, 60))[..., None], 2, axis=2)
        Image.fromarray(mask, "LA").save(tmp_path / masks / f"{name}.png")
    return tmp_path


def contours_of(folder, name):
    return folder / f"MoNuSegAllData/annotations/{name}.xml"


def test_names_tell_patient_site_and_part(folder):
    table = load(folder).table
    assert table["cluster"].tolist() == ["TCGA-B0-5710", "TCGA-HT-8564"]
    assert table["site"].tolist() == ["B0", "HT"]
    assert table["part"].tolist() == ["train", "test"]


def test_x_runs_to_the_right_and_the_first_contour_keeps_a_shared_pixel(folder):
    case = load(folder)[0]
    instances = case.target["instances"]
    assert (instances.dtype, instances.shape) == (np.int32, (80, 60))
    assert instances[12, 6] == instances[29, 23] == 1
    assert instances[10, 30] == 0
    assert instances[27, 22] == 1
    assert instances[27, 30] == instances[44, 22] == 2
    assert instances[60, 0] == 3
    stored = np.asarray(Image.open(folder / f"MoNuSegAllData/tissue_image/{KIDNEY}.tif"))
    np.testing.assert_array_equal(case.image, stored.transpose(2, 0, 1))


def test_spacing_contours_and_agreement_are_reported(folder):
    case = load(folder)[1]
    assert case.spacing_mm == pytest.approx((0.000252, 0.000252))
    assert case.info["n_contours"] == 3
    # the mask holds the border of each box, the contours lose a part of it
    assert 0.95 < case.info["dice"] <= 1


def test_fewer_than_three_vertices_enclose_nothing_and_numbers_go_on():
    line = np.array([[1.0, 1.0], [1.0, 4.0]])
    triangle = np.array([[0.0, 0.0], [0.0, 4.0], [4.0, 0.0]])
    filled = fill([line, np.empty((0, 2)), triangle], (6, 6))
    assert set(np.unique(filled)) == {0, 3}
    assert filled[1, 1] == 3


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.replace('X="24"', 'X="far"'), "finite X and Y.*region 1"),
        (lambda text: text.replace('Y="25"', 'Y="nan"'), "finite X and Y.*region 2"),
        (lambda text: text.replace(' Y="25"', ""), "finite X and Y.*region 2"),
        (lambda text: text.replace('NegativeROA="0"', 'NegativeROA="1"'), "no holes"),
        (lambda text: text.replace("0.252000", "-1"), "positive MicronsPerPixel, got '-1'"),
        (lambda text: text.replace("0.252000", ""), "positive MicronsPerPixel, got ''"),
        (lambda text: text[:-20], "sound XML file"),
        (lambda text: document(BOXES[2:]), r"agree with its mask.*got 0\.\d\d"),
    ],
)
def test_damaged_contours_are_refused(folder, change, said):
    path = contours_of(folder, KIDNEY)
    path.write_text(change(path.read_text()))
    with pytest.raises(ReplicateError, match=said) as raised:
        load(folder)[0]
    assert str(raised.value).startswith(str(path))


def test_swapped_axes_are_noticed_by_the_mask(folder):
    path = contours_of(folder, KIDNEY)
    path.write_text(path.read_text().replace("X=", "Z=").replace("Y=", "X=").replace("Z=", "Y="))
    with pytest.raises(ReplicateError, match="agree with its mask"):
        load(folder)[0]


def test_a_tile_without_contours_or_mask_or_with_two_masks_is_refused(folder):
    mask = folder / f"MoNuSegTrainData/masks/{KIDNEY}.png"
    twin = folder / f"MoNuSegTestData/masks/{KIDNEY}.png"
    twin.write_bytes(mask.read_bytes())
    with pytest.raises(ReplicateError, match="got 1 and 2"):
        load(folder)
    mask.unlink()
    twin.unlink()
    with pytest.raises(ReplicateError, match="got 1 and 0"):
        load(folder)
    contours_of(folder, KIDNEY).unlink()
    with pytest.raises(ReplicateError, match="got 0 and 0"):
        load(folder)


def test_a_mask_of_another_size_is_refused(folder):
    Image.new("LA", (60, 79)).save(folder / f"MoNuSegTrainData/masks/{KIDNEY}.png")
    with pytest.raises(ReplicateError, match="80 x 60 pixels, got 79 x 60"):
        load(folder)[0]


def test_the_real_tiles_hold_608_nuclei_where_the_masks_have_them(mirror):
    folder = mirror(DATASET)
    cases = load(folder)
    assert cases.table["part"].tolist() == ["train", "test"]
    nuclei = {}
    for case in cases:
        assert case.image.shape == (3, 1000, 1000)
        nuclei[case.case] = len(np.unique(case.target["instances"])) - 1
        assert case.info["n_contours"] == nuclei[case.case]
        assert case.info["dice"] > 0.989
    assert nuclei == {KIDNEY: 359, BRAIN: 249}
    assert [case.spacing_mm[0] for case in cases] == pytest.approx([0.000252, 0.0002525])
    # the scanning program's own area of the first nucleus is 499.5 square pixels
    assert 450 < (cases[0].target["instances"] == 1).sum() < 560
