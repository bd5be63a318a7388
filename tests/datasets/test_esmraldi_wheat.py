"""The wheat example and the imzML file: the real files, and a fixture in the same formats."""

import re
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from PIL import Image

from common.datasets import esmraldi_wheat as reader
from common.errors import ReplicateError

SIDES = (8, 6)
N_BINS = 5
PIXELS = ((1, 1), (3, 1), (2, 2))  # x, y, counted from 1
CONTOUR = [(2, 1), (2, 2), (3, 7)]  # x, y
NAMES = {
    "IMS:1000030": "continuous",
    "IMS:1000046": "pixel size (x)",
    "IMS:1000047": "pixel size y",
    "IMS:1000050": "position x",
    "IMS:1000051": "position y",
    "IMS:1000102": "external offset",
    "IMS:1000103": "external array length",
    "IMS:1000104": "external encoded length",
}


def cv(accession: str, value: object = "") -> str:
    name = NAMES[accession]
    return f'<cvParam cvRef="IMS" accession="{accession}" name="{name}" value="{value}"/>'


def binary(group: str, start: int, length: int = N_BINS, size: int | None = None) -> str:
    return (
        f'<binaryDataArray encodedLength="0"><referenceableParamGroupRef ref="{group}"/>'
        + cv("IMS:1000103", length)
        + cv("IMS:1000102", start)
        + cv("IMS:1000104", 4 * length if size is None else size)
        + "<binary /></binaryDataArray>"
    )


def group(name: str, accession: str, words: str, kind: str) -> str:
    return (
        f'<referenceableParamGroup id="{name}">'
        '<cvParam cvRef="MS" accession="MS:1000576" name="no compression"/>'
        f'<cvParam cvRef="MS" accession="{accession}" name="{words}"/>'
        f'<cvParam cvRef="MS" accession="{kind}" name="32-bit float"/>'
        "</referenceableParamGroup>"
    )


def spectrum(number: int, x: int, y: int) -> str:
    start = 16 + 4 * N_BINS * (number + 1)
    return (
        f'<spectrum id="Scan={number + 1}" defaultArrayLength="0" index="{number}">'
        '<scanList count="1"><scan>'
        + cv("IMS:1000050", x)
        + cv("IMS:1000051", y)
        + '</scan></scanList><binaryDataArrayList count="2">'
        + binary("mzArray", 16)
        + binary("intensityArray", start)
        + "</binaryDataArrayList></spectrum>"
    )


def header(pixels=PIXELS) -> str:
    """A continuous imzML header with the elements of the example file that readers need."""
    return (
        '<?xml version="1.0" encoding="ISO-8859-1"?>\n'
        '<mzML xmlns="http://psi.hupo.org/ms/mzml" version="1.1">'
        f"<fileDescription><fileContent>{cv('IMS:1000030')}</fileContent></fileDescription>"
        '<referenceableParamGroupList count="2">'
        + group("mzArray", "MS:1000514", "m/z array", "MS:1000521")
        + group("intensityArray", "MS:1000515", "intensity array", "MS:1000521")
        + '</referenceableParamGroupList><scanSettingsList count="1"><scanSettings id="s1">'
        + cv("IMS:1000046", "100.0")
        + cv("IMS:1000047", "50.0")
        + "</scanSettings></scanSettingsList>"
        '<instrumentConfigurationList count="1"><instrumentConfiguration id="i1"/>'
        "</instrumentConfigurationList>"
        f'<run id="r1"><spectrumList count="{len(pixels)}">'
        + "".join(spectrum(number, x, y) for number, (x, y) in enumerate(pixels))
        + "</spectrumList></run></mzML>"
    )


def intensities() -> np.ndarray:
    return np.random.default_rng(5).random((len(PIXELS), N_BINS)).astype("<f4")


MZ = np.linspace(100, 800, N_BINS, dtype="<f4")


def write_imzml(root: Path, text: str | None = None) -> Path:
    path = root / "Example_Continuous.imzML"
    path.write_text(header() if text is None else text, encoding="latin-1")
    path.with_suffix(".ibd").write_bytes(b"U" * 16 + MZ.tobytes() + intensities().tobytes())
    return path


@pytest.fixture
def arrays(rng) -> dict[str, np.ndarray]:
    names = ("wheat/mri.png", "wheat/ffd_1.tif", "wheat/ffd_2.tif", "Example_Optical.png")
    return {name: rng.integers(0, 256, SIDES).astype(np.uint8) for name in names}


@pytest.fixture
def field(rng) -> np.ndarray:
    return rng.normal(size=(*SIDES, 2)).astype(np.float32)


@pytest.fixture
def root(tmp_path, arrays, field) -> Path:
    (tmp_path / "wheat").mkdir()
    for name, array in arrays.items():
        Image.fromarray(array).save(tmp_path / name)
    image = SimpleITK.GetImageFromArray(field, isVector=True)
    SimpleITK.WriteImage(image, str(tmp_path / "wheat/transform_variational.mha"))
    for stem in ("mri", "msi_chaos", "msi_coherence"):
        points = "".join(f"{x} {y}\n" for x, y in CONTOUR)
        (tmp_path / f"wheat/{stem}_curvature_points.sdp").write_text(f"ensured\n{points}")
        (tmp_path / f"wheat/{stem}_curvature.txt").write_text("0.25\n0\n0.125\n")
    write_imzml(tmp_path)
    return tmp_path


def named(cases, name: str):
    return cases[cases.table["case"].tolist().index(name)]


def test_the_real_images_have_the_pixels_that_pillow_reads(mirror):
    folder = mirror(reader.DATASET)
    cases = reader.load(folder)
    assert len(cases) == 8
    for name, file in (("mri", "wheat/mri.png"), ("ffd_2", "wheat/ffd_2.tif")):
        stored = np.asarray(Image.open(folder / file))
        np.testing.assert_array_equal(named(cases, name).image[0], stored)
    assert named(cases, "example_optical").image.shape == (1, 300, 299)


def test_the_real_contour_runs_along_the_border_of_the_grain(mirror):
    cases = reader.load(mirror(reader.DATASET))
    case = named(cases, "mri")
    contour, grain = case.target["contour"], case.image[0] > 0
    assert contour.shape == (290, 2)
    assert grain[tuple(contour.T)].mean() > 0.95
    assert grain[tuple(contour[:, ::-1].T)].mean() < 0.6
    assert [
        len(named(cases, f"msi_{kind}").target["contour"]) for kind in ("chaos", "coherence")
    ] == [
        562,
        539,
    ]


def test_the_real_spectra_sum_to_the_ion_currents_in_their_header(mirror):
    folder = mirror(reader.DATASET)
    case = named(reader.load(folder), "example_msi")
    text = (folder / "Example_Continuous.imzML").read_text(encoding="latin-1")
    currents = [float(value) for value in re.findall(r'"total ion current" value="([^"]+)"', text)]
    assert case.image.shape == (8399, 3, 3)
    np.testing.assert_allclose(case.image.sum(axis=0, dtype=float).ravel(), currents, rtol=1e-5)
    assert case.spacing_mm == (0.1, 0.1)
    assert case.info["mz"][[0, -1]] == pytest.approx([100.083336, 799.9167])


def test_the_real_displacements_have_the_measured_range(mirror):
    displacement = named(reader.load(mirror(reader.DATASET)), "transform_variational").target[
        "displacement"
    ]
    assert displacement.shape == (2, 100, 100)
    assert displacement.min() == pytest.approx(-3.6335506)
    assert displacement.max() == pytest.approx(6.2114778)


def test_images_contours_and_field_come_back(root, arrays, field):
    cases = reader.load(root)
    for name, file in (("mri", "wheat/mri.png"), ("ffd_1", "wheat/ffd_1.tif")):
        np.testing.assert_array_equal(named(cases, name).image, arrays[file][np.newaxis])
        assert named(cases, name).image.flags.writeable
    chaos = named(cases, "msi_chaos")
    assert chaos.image is None
    assert chaos.target["contour"].tolist() == [[1, 2], [2, 2], [7, 3]]
    assert chaos.target["curvature"].tolist() == [0.25, 0, 0.125]
    displacement = named(cases, "transform_variational").target["displacement"]
    np.testing.assert_array_equal(displacement[0], field[..., 1])
    np.testing.assert_array_equal(displacement[1], field[..., 0])
    assert cases.table["cluster"].tolist() == ["wheat"] * 6 + ["example"] * 2


def test_spectra_come_back_at_their_pixels_and_zero_elsewhere(root):
    case = named(reader.load(root), "example_msi")
    wanted = np.zeros((N_BINS, 2, 3), np.float32)
    for (x, y), values in zip(PIXELS, intensities(), strict=True):
        wanted[:, y - 1, x - 1] = values
    np.testing.assert_array_equal(case.image, wanted)
    np.testing.assert_array_equal(case.info["mz"], MZ)
    assert case.spacing_mm == (0.05, 0.1)


def test_without_pixel_sizes_there_is_no_spacing(root):
    path = write_imzml(root, header().replace(cv("IMS:1000047", "50.0"), ""))
    assert reader.read_imzml(path)[2] is None


DAMAGES = {
    "packed": (lambda text: text.replace("MS:1000576", "MS:1000574"), "spectra that are packed"),
    "processed": (lambda text: text.replace("IMS:1000030", "IMS:1000031"), "values of their own"),
    "beyond the data": (
        lambda text: text.replace(binary("intensityArray", 76), binary("intensityArray", 77)),
        "an array up to byte 97 of 96",
    ),
    "before the data": (
        lambda text: text.replace(binary("intensityArray", 76), binary("intensityArray", -4)),
        "an array of 5 values in 20 bytes at -4",
    ),
    "a length that does not fit its bytes": (
        lambda text: text.replace(
            binary("intensityArray", 36), binary("intensityArray", 36, 10**9, 20)
        ),
        "an array of 1000000000 values in 20 bytes",
    ),
    "no place": (lambda text: text.replace("IMS:1000102", "IMS:0"), "without place or length"),
    "lengths that differ": (
        lambda text: text.replace(binary("intensityArray", 36), binary("intensityArray", 36, 4)),
        "1 m/z arrays and 2 lengths",
    ),
    "two axes of m/z": (
        lambda text: text.replace(binary("mzArray", 16), binary("mzArray", 20), 1),
        "2 m/z arrays and 1 lengths",
    ),
    "no spectrum": (lambda text: re.sub("<spectrum .*</spectrum>", "", text), "0 m/z arrays"),
    "a pixel twice": (lambda text: header(((1, 1), (1, 1), (2, 2))), "two spectra at one pixel"),
    "a pixel before the first": (lambda text: header(((0, 1), (1, 1), (2, 2))), "before the first"),
    "an image that is too large": (
        lambda text: header(((1, 1), (200_000, 1), (1, 200_000))),
        "an image of 800,000,000,000 bytes",
    ),
    "no XML": (lambda text: text[:-20], "must be a sound XML file"),
    "entities": (
        lambda text: text.replace("?>\n", '?>\n<!DOCTYPE m [<!ENTITY a "b">]>'),
        "must be a sound XML file, got: entities",
    ),
    "no coordinates": (
        lambda text: text.replace(cv("IMS:1000050", 3), ""),
        "must be a sound continuous imzML file",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_imzml_file_is_refused(root, damage):
    change, message = DAMAGES[damage]
    text = change(header())
    assert text != header()
    path = write_imzml(root, text)
    with pytest.raises(ReplicateError, match=message):
        reader.read_imzml(path)


def test_a_data_file_that_is_cut_off_or_absent_is_refused(root):
    path = write_imzml(root)
    data = path.with_suffix(".ibd")
    data.write_bytes(data.read_bytes()[:-1])
    with pytest.raises(ReplicateError, match="an array up to byte 96 of 95"):
        reader.read_imzml(path)
    data.unlink()
    with pytest.raises(ReplicateError, match=r"no Example_Continuous.ibd beside it"):
        reader.read_imzml(path)


@pytest.mark.parametrize(
    "name",
    ["wheat/mri.png", "wheat/msi_chaos_curvature.txt", "Example_Continuous.ibd"],
)
def test_an_absent_file_is_named(root, name):
    (root / name).unlink()
    with pytest.raises(ReplicateError, match=f"{name} must exist, got none"):
        reader.load(root)


@pytest.mark.parametrize("text", ["2 1\n2 2\n3 7\n", "ensured\n2 1\n2\n", "ensured\n2 x\n", ""])
def test_a_contour_of_another_form_is_refused(root, text):
    (root / "wheat/mri_curvature_points.sdp").write_text(text)
    with pytest.raises(ReplicateError, match=r"mri_curvature_points.sdp must hold 'ensured'"):
        named(reader.load(root), "mri")


def test_a_contour_and_curvature_of_different_length_are_refused(root):
    (root / "wheat/mri_curvature.txt").write_text("0.25\n")
    with pytest.raises(ReplicateError, match="got 3 and 1"):
        named(reader.load(root), "mri")


def test_a_field_on_another_grid_is_refused(root, field):
    path = root / "wheat/transform_variational.mha"
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(field[1:], isVector=True), str(path))
    with pytest.raises(ReplicateError, match=r"must hold two components on the \(8, 6\) pixels"):
        named(reader.load(root), "transform_variational")


def test_a_colour_image_or_a_broken_one_is_refused(root, rng):
    colours = rng.integers(0, 256, (*SIDES, 3)).astype(np.uint8)
    Image.fromarray(colours).save(root / "wheat/ffd_1.tif")
    with pytest.raises(ReplicateError, match=r"ffd_1.tif must be a grey image of bytes"):
        named(reader.load(root), "ffd_1")
    (root / "wheat/ffd_2.tif").write_bytes(b"II*")
    with pytest.raises(ReplicateError, match=r"ffd_2.tif must be a sound image"):
        named(reader.load(root), "ffd_2")
