"""DICOM series: order, geometry and gaps, on files that this test writes."""

import pickle
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from common.datasets import dicom_series
from common.datasets.dicom_series import group, load_series, order, read_header, read_stack
from common.errors import ReplicateError

AXIAL = (1, 0, 0, 0, 1, 0)
ROWS, COLUMNS = 6, 8
SPACING = (0.7, 0.65)


def write(path: Path, pixels: np.ndarray, position, *, series="1.2.3", **changes) -> Path:
    """A CT slice as an archive gives it: 12 bits in 16, intercept -1024."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[str(path)])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path.parent.mkdir(parents=True, exist_ok=True)
    image = FileDataset(path, {}, file_meta=meta, preamble=b"\0" * 128)
    image.SOPClassUID, image.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    image.SeriesInstanceUID, image.PatientID, image.Modality = series, "P-1", "CT"
    image.ImagePositionPatient, image.ImageOrientationPatient = list(position), list(AXIAL)
    image.PixelSpacing = list(SPACING)
    image.Rows, image.Columns = pixels.shape
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated, image.BitsStored, image.HighBit = 16, 12, 11
    image.PixelRepresentation = 0
    image.RescaleSlope, image.RescaleIntercept = 1, -1024
    image.PixelData = pixels.astype("<u2").tobytes()
    for name, value in changes.items():
        if value is None:
            delattr(image, name)
        else:
            setattr(image, name, value)
    image.save_as(path, enforce_file_format=True)
    return path


def pixels(height: float) -> np.ndarray:
    return np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS) + round(10 * height) + 500


def stack(folder: Path, heights, **changes) -> list[Path]:
    """Slices whose names count against the order along the body."""
    return [
        write(folder / f"1-{place:03d}.dcm", pixels(z), (-100, -90, z), **changes)
        for place, z in enumerate(heights, start=1)
    ]


def headers(paths):
    return [read_header(path) for path in paths]


HEIGHTS = (7.5, 2.5, 5.0, 0.0)


def test_slices_are_stacked_from_foot_to_head_in_hounsfield_units(tmp_path):
    volume, places = read_stack(headers(stack(tmp_path, HEIGHTS)), dataset="nlst")
    assert places == [3, 1, 2, 0]
    expected = np.stack([pixels(z) - 1024 for z in sorted(HEIGHTS)])
    np.testing.assert_array_equal(volume.array, expected)
    assert volume.spacing_mm == (2.5, *SPACING)
    assert volume.origin_mm == (0.0, -90.0, -100.0)


def test_order_goes_along_the_normal_of_tilted_and_coronal_slices(tmp_path):
    # the columns of a coronal slice run to the feet: its normal points to the back
    coronal = [1, 0, 0, 0, 0, -1]
    paths = [
        write(tmp_path / f"{y}.dcm", pixels(y), (0, y, 50), ImageOrientationPatient=coronal)
        for y in (3, 1, 2)
    ]
    assert order(headers(paths), dataset="nlst") == ([1, 2, 0], 1.0)
    tilt = [1, 0, 0, 0, np.cos(0.3), np.sin(0.3)]
    normal = np.cross(tilt[:3], tilt[3:])
    paths = [
        write(tmp_path / f"t{k}.dcm", pixels(k), 4 * k * normal, ImageOrientationPatient=tilt)
        for k in (2, 0, 1)
    ]
    places, step = order(headers(paths), dataset="nlst")
    assert places == [1, 2, 0]
    assert step == pytest.approx(4)


def test_positions_that_were_rounded_are_no_gaps(tmp_path):
    exact = np.arange(30) * 0.625
    places, step = order(headers(stack(tmp_path, exact.round(1))), dataset="nlst")
    assert places == list(range(30))
    assert step == pytest.approx(0.625, abs=0.002)


def test_a_single_slice_has_the_spacing_1(tmp_path):
    assert order(headers(stack(tmp_path, [4.0])), dataset="nlst") == ([0], 1.0)


@pytest.mark.parametrize(
    ("heights", "problem"),
    [
        (
            (0, 2, 4, 8, 10),
            r"1-004.dcm must follow 1-003.dcm without a gap, got 4 mm where .* 2 mm",
        ),
        ((0, 2, 4, 4, 6), r"1-004.dcm must lie above 1-003.dcm, got the same position"),
        ((1, 1, 1), "must lie above .* got the same position"),
        ((0, 2, 4.6, 6, 8), r"1-003.dcm must lie on an equal grid of 2 mm, got 0.48 mm off it"),
        ((0, 2, 4, 6.9, 9.8, 12.7), "must lie on an equal grid"),
    ],
)
def test_missing_doubled_and_shifted_slices_are_refused(tmp_path, heights, problem):
    with pytest.raises(ReplicateError, match=problem):
        order(headers(stack(tmp_path, heights)), dataset="nlst")


@pytest.mark.parametrize(
    "changes",
    [
        {"PixelSpacing": [0.7, 0.7]},
        {"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]},
        {"Rows": 4, "Columns": 12},
    ],
)
def test_a_slice_of_another_geometry_is_refused(tmp_path, changes):
    paths = stack(tmp_path, (0, 1))
    paths.append(write(tmp_path / "odd.dcm", pixels(2), (-100, -90, 2), **changes))
    with pytest.raises(
        ReplicateError, match=r"odd.dcm must have the size, spacing and orientation"
    ):
        order(headers(paths), dataset="nlst")


@pytest.mark.parametrize("name", ["ImagePositionPatient", "ImageOrientationPatient"])
def test_a_slice_without_place_is_refused(tmp_path, name):
    path = write(tmp_path / "a.dcm", pixels(0), (0, 0, 0), **{name: None})
    with pytest.raises(ReplicateError, match=r"a.dcm must give position and orientation, got none"):
        order([read_header(path)], dataset="nlst")


def test_mixed_series_are_told_apart(tmp_path):
    mixed = stack(tmp_path / "a", (0, 1)) + stack(tmp_path / "b", (5, 6, 7), series="1.2.4")
    found = group(headers(mixed[::-1]))
    assert {uid: len(slices) for uid, slices in found.items()} == {"1.2.4": 3, "1.2.3": 2}


def test_a_volume_beyond_the_limit_is_refused_before_it_is_read(tmp_path, monkeypatch):
    paths = stack(tmp_path, HEIGHTS)
    monkeypatch.setattr(dicom_series, "read_dicom", lambda path: pytest.fail("was read"))
    with pytest.raises(ReplicateError, match="a volume of at most 767 bytes, got 768"):
        read_stack(headers(paths), dataset="nlst", max_bytes=767)


def test_a_damaged_header_is_named(tmp_path):
    path = stack(tmp_path, (0,))[0]
    text = tmp_path / "text.dcm"
    text.write_text("no image")
    absurd = write(tmp_path / "b.dcm", pixels(0), (0, 0, 0), PixelSpacing=[0.7, 0.0])
    without = write(tmp_path / "c.dcm", pixels(0), (0, 0, 0), Rows=None)
    for bad in (text, absurd, without, tmp_path / "absent.dcm"):
        with pytest.raises(ReplicateError, match=rf"{bad.name} must be a sound DICOM image"):
            read_header(bad)
    assert read_header(path).modality == "CT"


@pytest.fixture
def collection(tmp_path):
    """Two patients, the first with two scans and a radiograph, one series a folder."""
    stack(tmp_path / "C/P-1/study/3000566", HEIGHTS, series="1.1")
    stack(tmp_path / "C/P-1/study/3000567", (0, 1, 2), series="1.2")
    stack(tmp_path / "C/P-1/other/30178", (0,), series="1.3", Modality="DX")
    stack(tmp_path / "C/P-2/study/3000522", (9, 8), series="2.1", PatientID="P-2")
    return tmp_path


def test_a_collection_is_listed_by_series_without_radiographs(collection):
    cases = pickle.loads(pickle.dumps(load_series("nlst", collection, "C/*/**/*.dcm", unit="scan")))
    table = cases.table
    assert table["case"].tolist() == ["1.1", "1.2", "2.1"]
    assert table["cluster"].tolist() == ["P-1", "P-1", "P-2"]
    assert table["n_slices"].tolist() == [4, 3, 2]
    assert [case.image.shape[1] for case in cases] == [4, 3, 2]
    np.testing.assert_array_equal(cases[2].image[0], [pixels(8) - 1024, pixels(9) - 1024])
    assert cases[0].spacing_mm == (2.5, *SPACING)


def test_slices_are_cases_in_the_order_of_their_names(collection):
    cases = load_series("nlst", collection, "C/*/**/*.dcm", unit="slice")
    assert len(cases) == 9
    assert cases.table["case"].tolist()[:2] == ["1.1/1-001", "1.1/1-002"]
    np.testing.assert_array_equal(cases[0].image, [pixels(HEIGHTS[0]) - 1024])
    assert cases[0].spacing_mm == SPACING


def test_a_scan_with_a_gap_is_refused_but_its_slices_are_read(collection):
    (collection / "C/P-1/study/3000566/1-003.dcm").unlink()
    with pytest.raises(ReplicateError, match="without a gap"):
        load_series("nlst", collection, "C/*/**/*.dcm", unit="scan")[0]
    cases = load_series("nlst", collection, "C/*/**/*.dcm", unit="slice")
    assert len(list(cases)) == 8


def test_two_series_in_a_folder_and_one_in_two_folders_are_refused(collection):
    folder = collection / "C/P-2/study/3000522"
    write(folder / "1-009.dcm", pixels(0), (0, 0, 0), series="2.2")
    with pytest.raises(ReplicateError, match=r"3000522 must hold one series, got 2"):
        load_series("nlst", collection, "C/*/**/*.dcm", unit="scan")[2]
    stack(collection / "C/P-3/study/5", (0, 1), series="1.1")
    with pytest.raises(ReplicateError, match="must hold a series of its own, got that of C/P-1"):
        load_series("nlst", collection, "C/*/**/*.dcm", unit="scan")


def test_a_collection_without_the_modality_and_an_unknown_unit_are_refused(collection):
    with pytest.raises(ReplicateError, match="must hold MR series, got none"):
        load_series("nlst", collection, "C/*/**/*.dcm", unit="scan", modality="MR")
    with pytest.raises(ValueError, match="`unit` must be scan or slice"):
        load_series("nlst", collection, "C/*/**/*.dcm", unit="volume")


def test_a_coloured_slice_is_refused(tmp_path):
    path = stack(tmp_path, (0,))[0]
    coloured = pydicom.dcmread(path)
    coloured.SamplesPerPixel, coloured.PhotometricInterpretation = 3, "RGB"
    coloured.PlanarConfiguration = 0
    coloured.PixelData *= 3
    coloured.save_as(path)
    with pytest.raises(ReplicateError, match="must hold one grey slice"):
        read_stack(headers([path]), dataset="nlst")
