"""Sound files are read right; absurd and hostile ones are refused before memory is taken."""

import gzip
import io
import json
import struct
import tracemalloc
import zipfile
import zlib
from contextlib import contextmanager

import h5py
import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK
from PIL import Image
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian
from scipy.io import savemat
from scipy.sparse import coo_array

from common.datasets import files
from common.errors import ReplicateError

SMALL = 24 << 20
HUGE = 30_000


@contextmanager
def refused(path, said: str):
    """Inside, a file must be refused by name with its remedy, in little memory."""
    tracemalloc.start()
    try:
        with pytest.raises(ReplicateError) as raised:
            yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    text = str(raised.value)
    assert f"{path} must be a sound" in text
    assert "Fetch or copy it again" in text
    assert said in text
    assert peak < SMALL


# images


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp", "ppm", "jpg"])
@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3)])
def test_an_image_is_read_as_stored(tmp_path, rng, suffix, shape):
    if suffix == "ppm" and len(shape) == 2:
        suffix = "pgm"
    image = np.full(shape, 77, np.uint8) if suffix == "jpg" else rng.integers(256, size=shape)
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(image.astype(np.uint8)).save(path)
    read = files.read_image(path)
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, image)


def test_sixteen_bits_one_bit_and_palettes_are_resolved(tmp_path, rng):
    deep = rng.integers(2**16, size=(4, 6)).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    np.testing.assert_array_equal(files.read_image(tmp_path / "deep.png"), deep)
    mask = rng.random((9, 6)) > 0.5
    Image.fromarray(mask).save(tmp_path / "mask.png")
    read = files.read_image(tmp_path / "mask.png")
    np.testing.assert_array_equal(read, mask)
    assert read.dtype == np.uint8
    palette = Image.fromarray(np.array([[0, 1]], np.uint8), mode="P")
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.save(tmp_path / "palette.png")
    read = files.read_image(tmp_path / "palette.png")
    np.testing.assert_array_equal(read, [[[10, 20, 30], [40, 50, 60]]])


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "group4"])
def test_a_blank_mask_packs_well_and_is_read(tmp_path, compression):
    path = tmp_path / "mask.tif"
    Image.new("1", (2000, 2000)).save(path, compression=compression)
    assert files.read_image(path).shape == (2000, 2000)


def png(width: int, height: int, body: bytes = b"") -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        sum_ = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + sum_

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        chunk(*part) for part in [(b"IHDR", head), (b"IDAT", zlib.compress(body)), (b"IEND", b"")]
    )


@pytest.mark.parametrize("width", [HUGE // 2, HUGE, 2**31 - 1])
def test_a_png_of_absurd_sides_is_refused(tmp_path, width):
    path = tmp_path / "a.png"
    path.write_bytes(png(width, width))
    with refused(path, "a header of"):
        files.read_image(path)


@pytest.mark.parametrize("sides", [(0, 10), (10, 0)])
def test_a_png_without_pixels_is_refused(tmp_path, sides):
    path = tmp_path / "a.png"
    path.write_bytes(png(*sides))
    with refused(path, ""):
        files.read_image(path)


@pytest.mark.parametrize("suffix", ["jpg", "tif", "bmp", "ppm"])
def test_an_image_whose_header_was_blown_up_is_refused(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.new("RGB", (50, 40)).save(path)
    body, n = path.read_bytes(), struct.pack
    old, new = {
        "jpg": (n(">HH", 40, 50), n(">HH", 60_000, 60_000)),
        "tif": (n("<HHII", 256, 4, 1, 50), n("<HHII", 256, 4, 1, 2**30)),
        "bmp": (n("<ii", 50, 40), n("<ii", HUGE, HUGE)),
        "ppm": (b"50 40", b"30000 30000"),
    }[suffix]
    if suffix == "tif" and old not in body:
        old, new = n("<HHIHH", 256, 3, 1, 50, 0), n("<HHII", 256, 4, 1, 2**30)
    assert body.count(old) == 1
    path.write_bytes(body.replace(old, new))
    with refused(path, "a header of"):
        files.read_image(path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "bmp"])
def test_an_image_that_is_cut_off_is_refused(tmp_path, rng, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(rng.integers(256, size=(64, 64, 3)).astype(np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with refused(path, ""):
        files.read_image(path)


@pytest.mark.parametrize("body", [b"", b"GIF89a" + bytes(100), b"%!PS-Adobe-3.0 EPSF-3.0\n", b"x"])
def test_a_file_of_another_kind_is_no_image(tmp_path, body):
    path = tmp_path / "a.png"
    path.write_bytes(body)
    with refused(path, ""):
        files.read_image(path)


def test_a_file_that_is_absent_is_refused_by_every_reader(tmp_path):
    for read in [
        files.read_image,
        files.read_nifti,
        files.read_dicom,
        files.read_metaimage,
        files.read_numpy,
        lambda path: files.read_hdf5(path, ("a",)),
        files.read_matlab,
        files.read_xml,
        files.read_json,
        lambda path: files.read_rows(path, ("a",)),
    ]:
        path = tmp_path / "absent.npy"
        with refused(path, ""):
            read(path)


def test_the_limit_is_the_callers(tmp_path):
    path = tmp_path / "a.png"
    Image.new("L", (100, 100)).save(path)
    assert files.read_image(path, max_bytes=10_000).shape == (100, 100)
    with refused(path, "a header of 10,000 bytes, limit 9,999"):
        files.read_image(path, max_bytes=9_999)


# NIfTI


def nifti(path, array, **header):
    image = nibabel.Nifti1Image(array, np.diag([2.0, 3.0, 4.0, 1.0]))
    for key, value in header.items():
        image.header[key] = value
    nibabel.save(image, path)
    return path


@pytest.mark.parametrize("suffix", ["nii", "nii.gz"])
def test_a_nifti_volume_keeps_values_spacing_and_place(tmp_path, rng, suffix):
    array = rng.integers(-1000, 1000, size=(3, 4, 5)).astype(np.int16)
    affine = np.array([[0, 2, 0, 7], [3, 0, 0, 8], [0, 0, 4, 9], [0, 0, 0, 1.0]])
    path = tmp_path / f"a.{suffix}"
    nibabel.save(nibabel.Nifti1Image(array, affine), path)
    volume = files.read_nifti(path)
    np.testing.assert_array_equal(volume.array, array)
    assert volume.array.dtype == np.int16
    assert volume.spacing_mm == (3, 2, 4)
    assert volume.origin_mm == (7, 8, 9)
    np.testing.assert_array_equal(volume.affine, affine)


def test_a_nifti_2_file_is_read(tmp_path):
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    nibabel.save(nibabel.Nifti2Image(array, np.eye(4)), tmp_path / "a.nii")
    np.testing.assert_array_equal(files.read_nifti(tmp_path / "a.nii").array, array)


def test_slope_intercept_and_unit_of_a_nifti_header_are_applied(tmp_path):
    path = nifti(tmp_path / "a.nii", np.arange(8, dtype=np.int16).reshape(2, 2, 2))
    body = bytearray(path.read_bytes())
    body[112:120] = struct.pack("<ff", 2, 5)
    body[123] = 3
    path.write_bytes(body)
    volume = files.read_nifti(path)
    np.testing.assert_array_equal(volume.array.ravel(), 2 * np.arange(8) + 5)
    assert volume.array.dtype == np.float32
    assert volume.spacing_mm == pytest.approx((0.002, 0.003, 0.004))
    stored = files.read_nifti(path, scaled=False).array
    np.testing.assert_array_equal(stored.ravel(), np.arange(8))


def patched(path, offset: int, layout: str, *values):
    """Overwrite numbers of a header."""
    body = bytearray(
        gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    )
    body[offset : offset + struct.calcsize(layout)] = struct.pack(layout, *values)
    path.write_bytes(gzip.compress(bytes(body)) if path.suffix == ".gz" else bytes(body))
    return path


@pytest.mark.parametrize("suffix", ["nii", "nii.gz"])
@pytest.mark.parametrize(
    ("offset", "layout", "values", "said"),
    [
        (40, "<4h", (3, 32767, 32767, 32767), "a header of"),
        (40, "<4h", (3, 2000, 2000, 100), "bytes in a file of"),
        (40, "<4h", (3, 3, 0, 5), ""),
        (40, "<4h", (3, -3, 4, 5), ""),
        (40, "<2h", (0, 3), ""),
        (40, "<2h", (1, 60), ""),
        (40, "<2h", (99, 3), ""),
        (70, "<h", (9999,), ""),
        (80, "<f", (float("nan"),), "a spacing of"),
        (80, "<f", (float("inf"),), ""),
        (80, "<f", (0.0,), "a spacing of"),
        (280, "<f", (float("nan"),), "an affine matrix"),
        (108, "<f", (3e9,), "a header of 3,000,000,000 bytes"),
        (108, "<f", (-8.0,), "a header of -8 bytes"),
        (108, "<f", (float("nan"),), "a header of nan bytes"),
    ],
)
def test_a_nifti_header_that_is_absurd_is_refused(tmp_path, suffix, offset, layout, values, said):
    path = nifti(tmp_path / f"a.{suffix}", np.ones((3, 4, 5), np.float32))
    files.read_nifti(path)
    patched(path, offset, layout, *values)
    with refused(path, said):
        files.read_nifti(path)


def test_an_extension_of_a_nifti_header_that_unpacks_to_gigabytes_is_refused(tmp_path):
    path = nifti(tmp_path / "a.nii", np.ones((3, 4, 5), np.float32))
    body = bytearray(path.read_bytes()[:352])
    body[108:112] = struct.pack("<f", 200 << 20)
    body[348:352] = b"\1\0\0\0"
    packed = tmp_path / "b.nii.gz"
    extension = struct.pack("<ii", (200 << 20) - 352, 4)
    packed.write_bytes(gzip.compress(bytes(body) + extension + bytes(200 << 20), 1))
    with refused(packed, "a header of"):
        files.read_nifti(packed)


@pytest.mark.parametrize("suffix", ["nii", "nii.gz"])
def test_a_nifti_file_that_is_cut_off_is_refused(tmp_path, rng, suffix):
    path = nifti(tmp_path / f"a.{suffix}", rng.random((20, 20, 20)))
    path.write_bytes(path.read_bytes()[:-4000])
    with refused(path, ""):
        files.read_nifti(path)


def test_a_volume_of_another_format_is_no_nifti_file(tmp_path):
    path = tmp_path / "a.mgz"
    nibabel.save(nibabel.MGHImage(np.ones((2, 2, 2), np.float32), np.eye(4)), path)
    with refused(path, ""):
        files.read_nifti(path)


# DICOM


def dicom(path, pixels, syntax=ExplicitVRLittleEndian, **facts):
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, "1.2.3"
    meta.TransferSyntaxUID = syntax
    image = pydicom.Dataset()
    image.file_meta = meta
    image.SOPClassUID, image.SOPInstanceUID = CTImageStorage, "1.2.3"
    image.Rows, image.Columns = pixels.shape[-2:]
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated = image.BitsStored = pixels.dtype.itemsize * 8
    image.HighBit = image.BitsAllocated - 1
    image.PixelRepresentation = int(pixels.dtype.kind == "i")
    image.PixelData = pixels.tobytes()
    for key, value in facts.items():
        setattr(image, key, value)
    image.save_as(path, enforce_file_format=True)
    return path


def test_a_ct_slice_is_read_in_hounsfield_units_with_its_geometry(tmp_path, rng):
    pixels = rng.integers(0, 4000, size=(6, 8)).astype(np.int16)
    path = dicom(
        tmp_path / "a.dcm",
        pixels,
        RescaleSlope=2,
        RescaleIntercept=-1024,
        PixelSpacing=[0.5, 0.75],
        ImagePositionPatient=[1, -2, 3.5],
    )
    volume = files.read_dicom(path)
    np.testing.assert_array_equal(volume.array, 2.0 * pixels - 1024)
    assert volume.array.dtype == np.float32
    assert volume.spacing_mm == (0.5, 0.75)
    assert volume.origin_mm == (1, -2, 3.5)


def test_a_dicom_image_without_geometry_is_read(tmp_path):
    volume = files.read_dicom(dicom(tmp_path / "a.dcm", np.ones((4, 4), np.uint8)))
    assert (volume.spacing_mm, volume.origin_mm) == ((1, 1), None)


def test_pixels_of_more_than_a_megabyte_and_of_one_bit_are_read(tmp_path, rng):
    large = rng.integers(0, 4000, size=(1000, 800)).astype(np.uint16)
    np.testing.assert_array_equal(files.read_dicom(dicom(tmp_path / "a.dcm", large)).array, large)
    bits = rng.random((32, 32)) > 0.5
    path = dicom(tmp_path / "b.dcm", bits.astype(np.uint8))
    whole = pydicom.dcmread(path)
    whole.BitsAllocated, whole.BitsStored, whole.HighBit = 1, 1, 0
    whole.PixelData = np.packbits(bits, bitorder="little").tobytes()
    whole.save_as(path)
    np.testing.assert_array_equal(files.read_dicom(path).array, bits)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"Rows": 65535, "Columns": 65535}, "a header of"),
        ({"Rows": 9}, "bytes in a file of"),
        ({"Rows": 0}, "a header of shape"),
        ({"NumberOfFrames": "100000"}, "a header of"),
        ({"NumberOfFrames": "-1"}, "a header of shape"),
        ({"SamplesPerPixel": 60000}, "a header of"),
        ({"PixelSpacing": ["0", "1"]}, "a spacing of"),
        ({"PixelSpacing": ["-1", "1"]}, "a spacing of"),
        ({"RescaleSlope": "1e999"}, "a rescale slope"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_a_dicom_header_that_is_absurd_is_refused(tmp_path, facts, said):
    path = dicom(tmp_path / "a.dcm", np.ones((4, 600), np.uint16), **facts)
    with refused(path, said):
        files.read_dicom(path)


@pytest.mark.parametrize("text", [b"nan\\nan ", b"inf\\1   "])
@pytest.mark.filterwarnings("ignore")
def test_a_dicom_spacing_that_is_no_number_is_refused(tmp_path, text):
    path = dicom(tmp_path / "a.dcm", np.ones((4, 4), np.uint16), PixelSpacing=["0.25", "0.5"])
    body = path.read_bytes()
    assert body.count(b"0.25\\0.5") == 1
    path.write_bytes(body.replace(b"0.25\\0.5", text))
    with refused(path, ""):
        files.read_dicom(path)


def test_dicom_elements_that_announce_gigabytes_take_no_memory(tmp_path):
    path = dicom(tmp_path / "a.dcm", np.ones((4, 4), np.uint16), PatientComments="x" * 8)
    body = path.read_bytes()
    comment = body.index(b"\x10\x00\x00\x40LT")
    pixels = body.index(b"\xe0\x7f\x10\x00O")
    for at, size, said in ((comment + 6, "<H", "65,534"), (pixels + 8, "<I", "4,294,967,294")):
        changed = bytearray(body)
        biggest = 0xFFFE if size == "<H" else 0xFFFFFFFE
        changed[at : at + struct.calcsize(size)] = struct.pack(size, biggest)
        path.write_bytes(changed)
        with refused(path, f"an element of {said} bytes"):
            files.read_dicom(path)


def test_a_deflated_dicom_bomb_is_refused(tmp_path):
    path = tmp_path / "a.dcm"
    dicom(path, np.zeros((2000, 9000), np.uint16), syntax=DeflatedExplicitVRLittleEndian)
    assert path.stat().st_size < 1 << 20
    with refused(path, "compressed"):
        files.read_dicom(path)


@pytest.mark.filterwarnings("ignore")
def test_a_dicom_file_without_pixels_or_cut_off_is_refused(tmp_path):
    path = dicom(tmp_path / "a.dcm", np.ones((40, 40), np.uint16))
    body = path.read_bytes()
    for length in (0, 100, 200, len(body) - 3000, len(body) - 10):
        path.write_bytes(body[:length])
        with refused(path, ""):
            files.read_dicom(path)


# MetaImage


@pytest.mark.parametrize("suffix", ["mha", "mhd"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_metaimage_is_read_with_axes_reversed(tmp_path, rng, suffix, packed):
    array = rng.integers(-1000, 1000, size=(3, 4, 5)).astype(np.int16)
    image = SimpleITK.GetImageFromArray(array)
    image.SetSpacing((0.5, 0.75, 2.5))
    image.SetOrigin((-10, 20, 30))
    path = tmp_path / f"a.{suffix}"
    SimpleITK.WriteImage(image, str(path), packed)
    volume = files.read_metaimage(path)
    np.testing.assert_array_equal(volume.array, array)
    assert volume.spacing_mm == (2.5, 0.75, 0.5)
    assert volume.origin_mm == (30, 20, -10)


def test_a_metaimage_of_vectors_is_read(tmp_path, rng):
    field = rng.random((4, 5, 2))
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(field, isVector=True), str(tmp_path / "a.mha"))
    np.testing.assert_array_equal(files.read_metaimage(tmp_path / "a.mha").array, field)


def metaimage(path, body: bytes = bytes(240), **changes: str):
    lines = {
        "ObjectType": "Image",
        "NDims": "3",
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "CompressedData": "False",
        "Offset": "0 0 0",
        "ElementSpacing": "1 1 1",
        "DimSize": "5 4 3",
        "ElementType": "MET_FLOAT",
    } | changes
    # the name of the data ends the header
    lines["ElementDataFile"] = lines.pop("ElementDataFile", "LOCAL")
    text = "".join(f"{key} = {value}\n" for key, value in lines.items())
    path.write_bytes(text.encode() + body)
    return path


def test_a_plain_metaimage_is_sound(tmp_path):
    assert files.read_metaimage(metaimage(tmp_path / "a.mha")).array.shape == (3, 4, 5)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"DimSize": "60000 60000 60000"}, "a header of"),
        ({"DimSize": "1000 1000 500"}, "bytes in a file of"),
        ({"DimSize": "0 4 3"}, ""),
        ({"DimSize": "-5 4 3"}, ""),
        ({"NDims": "1000"}, ""),
        ({"ElementSpacing": "nan 1 1"}, ""),
        ({"ElementSpacing": "inf 1 1"}, ""),
        ({"ElementSpacing": "-1 1 1"}, ""),
        ({"ElementSpacing": "0 1 1"}, ""),
        ({"Offset": "nan 0 0"}, ""),
        ({"ElementType": "MET_NOTHING"}, ""),
        ({"ElementNumberOfChannels": "100000000"}, ""),
        ({"CompressedData": "True", "DimSize": "1000 1000 1000"}, "a header of"),
        ({"ElementDataFile": "../../etc/passwd"}, "out of its folder"),
        ({"ElementDataFile": "/etc/passwd"}, "out of its folder"),
        ({"ElementDataFile": "sub/a.raw"}, "out of its folder"),
        ({"ElementDataFile": ".."}, ""),
        ({"ElementDataFile": ""}, ""),
        ({"ElementDataFile": "absent.raw"}, "no data file absent.raw"),
        ({"ElementDataFile": "LIST"}, "a header that points to 'LIST'"),
        ({"ElementDataFile": "LIST 2D"}, "a header that points to"),
        ({"ElementDataFile": "a%03d.raw 1 3 1"}, "a header that points to"),
        ({"Comment": "x\rElementDataFile = ../../etc/passwd"}, "plain ElementDataFile"),
        ({"Comment": "ElementDataFile: ../x"}, "plain ElementDataFile"),
    ],
)
def test_a_metaimage_header_that_is_absurd_or_hostile_is_refused(tmp_path, changes, said):
    if "Comment" in changes:
        path = tmp_path / "a.mha"
        metaimage(path)
        path.write_bytes(f"Comment = {changes['Comment']}\n".encode() + path.read_bytes())
    else:
        path = metaimage(tmp_path / "a.mha", **changes)
    with refused(path, said):
        files.read_metaimage(path)


def test_a_metaimage_that_is_cut_off_or_has_no_data_file_named_is_refused(tmp_path):
    path = metaimage(tmp_path / "a.mha", bytes(239))
    path.write_bytes(path.read_bytes()[-239:])
    with refused(path, ""):
        files.read_metaimage(path)
    path = metaimage(tmp_path / "b.mha", b"")
    with refused(path, ""):
        files.read_metaimage(path)


def test_raw_data_that_are_cut_off_are_refused_by_the_name_of_the_header(tmp_path):
    path = metaimage(tmp_path / "a.mhd", b"", ElementDataFile="a.raw")
    (tmp_path / "a.raw").write_bytes(bytes(239))
    with refused(path, "a header of 240 bytes in a file of 239"):
        files.read_metaimage(path)


# NumPy


def npy(header: str, body: bytes = b"", version: bytes = b"\1\0") -> bytes:
    text = header.encode() + b"\n"
    size = struct.pack("<H" if version == b"\1\0" else "<I", len(text))
    return b"\x93NUMPY" + version + size + text + body


def described(shape: str, dtype: str = "'<f8'") -> str:
    return f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}, }}"


def test_arrays_of_numpy_files_are_read_by_name(tmp_path, rng):
    first, second = rng.random((3, 4)), np.asfortranarray(rng.integers(9, size=(2, 3, 4)))
    np.save(tmp_path / "a.npy", first)
    np.testing.assert_array_equal(files.read_numpy(tmp_path / "a.npy")["array"], first)
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", first=first, second=second, text="word", none=np.zeros((0, 5)))
        read = files.read_numpy(tmp_path / "a.npz")
        assert list(read) == ["first", "second", "text", "none"]
        np.testing.assert_array_equal(read["second"], second)
        assert str(read["text"]) == "word"
        assert read["none"].shape == (0, 5)


def test_an_empty_npz_file_is_read(tmp_path):
    np.savez(tmp_path / "a.npz")
    assert files.read_numpy(tmp_path / "a.npz") == {}


@pytest.mark.parametrize("suffix", ["npy", "npz"])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (npy(described("(1000000000,)")), "a header of"),
        (npy(described("(99999999, 99999999)")), "a header of"),
        (npy(described("(-1,)"), bytes(8)), "a header of shape (-1,)"),
        (npy(described("(9" + "9" * 30 + ",)", "'|V0'")), "a header of"),
        (npy(described("(3,)", "'|O'"), b"cos\nsystem\n(S'true'\ntR."), "Python objects"),
        (npy(described("(3,)", "[('a', '<i4'), ('b', '|O')]")), "Python objects"),
        (npy(described("'x'")), ""),
        (npy("__import__('os').system('true')"), ""),
        (npy("(" * 5000), ""),
        (b"\x93NUMPY\2\0" + struct.pack("<I", 0xFFFFFF00), ""),
        (b"\x93NUMPY\xff\0", ""),
        (b"\x80\4cos\nsystem\n", ""),
        (b"", ""),
    ],
)
def test_a_numpy_header_that_is_absurd_or_hostile_is_refused(tmp_path, suffix, content, said):
    path = tmp_path / f"a.{suffix}"
    if suffix == "npz":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("x.npy", content)
    else:
        path.write_bytes(content)
    with refused(path, said):
        files.read_numpy(path)


def test_object_arrays_that_numpy_itself_wrote_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{}, []], dtype=object), allow_pickle=True)
    with refused(tmp_path / "a.npy", "Python objects"):
        files.read_numpy(tmp_path / "a.npy")


def bomb(path, content: bytes, n_members: int = 1, **how):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(n_members):
            archive.writestr(f"x{number}.npy", content, **how)
    return path


def test_a_zip_bomb_is_refused_whatever_its_members_say_they_are(tmp_path):
    long_header = b"\x93NUMPY\2\0" + struct.pack("<I", 200 << 20) + bytes(200 << 20)
    no_array = bytes(200 << 20)
    for content in (long_header, no_array):
        path = bomb(tmp_path / "a.npz", content)
        with refused(path, ""):
            files.read_numpy(path)


def test_many_arrays_that_are_too_large_together_are_refused(tmp_path):
    path = bomb(tmp_path / "a.npz", npy(described("(1000,)"), bytes(8000)), n_members=10)
    assert len(files.read_numpy(path, max_bytes=80_000)) == 10
    with refused(path, "a header of 80,000 bytes, limit 79,999"):
        files.read_numpy(path, max_bytes=79_999)


def test_a_numpy_file_that_is_cut_off_is_refused(tmp_path, rng):
    np.save(tmp_path / "a.npy", rng.random(1000))
    np.savez(tmp_path / "a.npz", rng.random(1000))
    for path in (tmp_path / "a.npy", tmp_path / "a.npz"):
        path.write_bytes(path.read_bytes()[:-100])
        with refused(path, ""):
            files.read_numpy(path)


# HDF5


@pytest.fixture
def h5(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        yield path, file


def test_named_arrays_of_an_hdf5_file_are_read(h5, rng):
    path, file = h5
    image = rng.random((3, 4))
    file["image"] = image
    file.create_dataset("in/label", data=np.arange(6), compression="gzip")
    file["empty"] = np.zeros((0, 3))
    file["scalar"] = 5
    file.close()
    read = files.read_hdf5(path, ("image", "in/label", "empty", "scalar"))
    np.testing.assert_array_equal(read["image"], image)
    assert read["in/label"].tolist() == list(range(6))
    assert read["empty"].shape == (0, 3)
    assert int(read["scalar"]) == 5


def test_an_array_that_is_absent_or_a_group_is_refused_with_what_there_is(h5):
    path, file = h5
    file["image"] = 1
    file.create_group("group")
    file.close()
    for name in ("label", "group"):
        with refused(path, f"no array {name!r}, only group, image"):
            files.read_hdf5(path, (name,))


@pytest.mark.parametrize("shape", [(1 << 20, 1 << 20), (300, 1000, 1000)])
def test_an_hdf5_array_that_is_announced_but_not_stored_is_refused(h5, shape):
    path, file = h5
    file.create_dataset("image", shape, "u1", chunks=tuple(min(100, side) for side in shape))
    file.close()
    with refused(path, "a header of"):
        files.read_hdf5(path, ("image",))


def test_an_hdf5_array_of_objects_is_refused(h5):
    path, file = h5
    file["image"] = ["text", "of", "any length"]
    file.close()
    with refused(path, "objects"):
        files.read_hdf5(path, ("image",))


def test_an_hdf5_array_in_another_file_is_refused(h5, tmp_path):
    path, file = h5
    secret = tmp_path / "secret"
    secret.write_bytes(b"password")
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["group/image"] = np.arange(4)
    file.create_dataset("raw", (8,), "u1", external=[(str(secret), 0, 8)])
    file["link"] = h5py.ExternalLink("other.h5", "/group/image")
    file["away"] = h5py.ExternalLink("other.h5", "/group")
    layout = h5py.VirtualLayout((4,), "i8")
    layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "group/image", (4,))
    file.create_virtual_dataset("virtual", layout)
    file.close()
    for name in ("raw", "link", "away/image", "virtual"):
        with refused(path, f"{name!r} in another file"):
            files.read_hdf5(path, (name,))


def test_an_hdf5_file_that_is_cut_off_is_refused(h5):
    path, file = h5
    file["image"] = np.arange(10_000)
    file.close()
    path.write_bytes(path.read_bytes()[:30_000])
    with refused(path, ""):
        files.read_hdf5(path, ("image",))


# MATLAB


@pytest.mark.parametrize("packed", [False, True])
def test_variables_of_a_matlab_file_are_read(tmp_path, rng, packed):
    path = tmp_path / "a.mat"
    matrix = rng.random((3, 4))
    variables = {
        "matrix": matrix,
        "number": 5,
        "text": "words",
        "cells": np.array(["a", "bcdefghijk", matrix], dtype=object),
        "record": {"inner": np.arange(3), "deep": {"er": 1.5}},
        "complex": np.array([1 + 2j, 3 - 4j]),
        "small": np.arange(300, dtype=np.float64),
        "empty": np.zeros((0, 0)),
        "truth": np.array([True, False]),
    }
    savemat(path, variables, do_compression=packed)
    read = files.read_matlab(path)
    assert set(read) == set(variables)
    np.testing.assert_array_equal(read["matrix"], matrix)
    assert (int(read["number"]), str(read["text"])) == (5, "words")
    assert str(read["cells"][1]) == "bcdefghijk"
    assert read["record"]["deep"].item()["er"].item() == 1.5
    assert read["complex"].tolist() == [1 + 2j, 3 - 4j]


def test_sparse_matrices_and_objects_are_refused(tmp_path):
    path = tmp_path / "a.mat"
    savemat(path, {"s": coo_array(([1.0], ([5], [7])), shape=(10, 10))})
    with refused(path, "a matrix of kind 5"):
        files.read_matlab(path)


def mat5(tmp_path, *, packed: bool, shape=None, size=None, total=None):
    """A MATLAB file of one matrix whose tags are changed."""
    path = tmp_path / "a.mat"
    savemat(path, {"matrix": np.arange(12.0).reshape(3, 4)})
    body = path.read_bytes()
    head, element = body[:128], bytearray(body[128:])
    if shape is not None:
        at = element.index(struct.pack("<ii", 3, 4))
        element[at : at + 8] = struct.pack("<ii", *shape)
    if size is not None:
        at = element.index(struct.pack("<II", 9, 96))
        element[at + 4 : at + 8] = struct.pack("<I", size)
    if total is not None:
        element[4:8] = struct.pack("<I", total)
    if packed:
        content = zlib.compress(bytes(element))
        element = struct.pack("<II", 15, len(content)) + content
    path.write_bytes(head + bytes(element))
    return path


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"shape": (40_000, 40_000)}, "a header of shape (40000, 40000)"),
        ({"shape": (-3, 4)}, "a header of shape (-3, 4)"),
        ({"shape": (3, 5)}, ""),
        ({"size": 0xFFFFFF00}, "a part of"),
        ({"total": 0xFFFFFF00}, ""),
    ],
)
def test_a_matlab_header_that_is_absurd_is_refused(tmp_path, packed, change, said):
    files.read_matlab(mat5(tmp_path, packed=packed))
    path = mat5(tmp_path, packed=packed, **change)
    with refused(path, said):
        files.read_matlab(path)


@pytest.mark.parametrize(
    ("offset", "byte", "said"),
    [
        (0, 0, "a header of another version"),
        (124, 2, "a header of another version"),
        (128, 3, "a variable of kind 3"),
        (136, 0, "a part of kind 0"),
        (144, 5, "a matrix of kind 5"),
        (144, 17, "a matrix of kind 17"),
        # the mark of complex numbers, without an imaginary part
        (145, 8, "a part of"),
        (184, 0, "a part of kind 0"),
        (184, 14, "a part of kind 14"),
        (184, 1, "cannot reshape"),
    ],
)
def test_a_matlab_matrix_that_would_crash_its_library_is_refused(tmp_path, offset, byte, said):
    path = mat5(tmp_path, packed=False)
    body = bytearray(path.read_bytes())
    body[offset] = byte
    path.write_bytes(body)
    with refused(path, said):
        files.read_matlab(path)


def test_a_structure_without_names_of_fields_is_refused(tmp_path):
    path = tmp_path / "a.mat"
    savemat(path, {"s": {"f": 1, "gg": 2}})
    body = path.read_bytes()
    assert body.count(struct.pack("<HHi", 5, 4, 3)) == 1
    for length in (0, -3, 4):
        path.write_bytes(
            body.replace(struct.pack("<HHi", 5, 4, 3), struct.pack("<HHi", 5, 4, length))
        )
        with refused(path, "whose fields have no names"):
            files.read_matlab(path)


def test_a_matlab_bomb_is_refused_before_it_is_unpacked(tmp_path):
    path = mat5(tmp_path, packed=False)
    n = 400 << 20
    matrix = struct.pack("<II", 14, n) + bytes(200 << 20)
    content = zlib.compress(matrix, 1)
    path.write_bytes(path.read_bytes()[:128] + struct.pack("<II", 15, len(content)) + content)
    with refused(path, "variables of"):
        files.read_matlab(path)


def test_cells_that_announce_more_than_they_hold_are_refused(tmp_path):
    path = tmp_path / "a.mat"
    savemat(path, {"cells": np.array([np.arange(3), np.arange(4)], dtype=object)})
    body = bytearray(path.read_bytes())
    at = body.index(struct.pack("<ii", 1, 2), 128)
    body[at : at + 8] = struct.pack("<ii", 30_000, 30_000)
    path.write_bytes(body)
    with refused(path, "a header of shape"):
        files.read_matlab(path)


def test_a_matlab_file_of_another_version_or_cut_off_is_refused(tmp_path):
    path = tmp_path / "a.mat"
    savemat(path, {"a": np.arange(1000.0)}, format="4")
    with refused(path, "another version"):
        files.read_matlab(path)
    for packed in (False, True):
        savemat(path, {"a": np.random.default_rng(0).random(1000)}, do_compression=packed)
        path.write_bytes(path.read_bytes()[:-50])
        with refused(path, ""):
            files.read_matlab(path)


# text


def test_xml_is_read(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text("<a><b c='1'>text</b></a>")
    root = files.read_xml(path)
    assert (root.tag, root[0].get("c"), root[0].text) == ("a", "1", "text")


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f'<!DOCTYPE a [<!ENTITY l0 "lol">{LAUGHS}]><a>&l9;</a>', "entities"),
        ('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', "entities"),
        ('<!DOCTYPE a [<!ENTITY % x SYSTEM "http://x.org/a"> %x;]><a/>', "entities"),
        ("<a><b></a>", "mismatched tag"),
        ("", "no element"),
        ("<a/>" + "\0", ""),
    ],
)
def test_xml_with_entities_or_damage_is_refused(tmp_path, text, said):
    path = tmp_path / "a.xml"
    path.write_text(text)
    with refused(path, said):
        files.read_xml(path)


def test_an_external_document_type_is_not_fetched(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text('<!DOCTYPE a SYSTEM "file:///etc/passwd"><a>1</a>')
    assert files.read_xml(path).text == "1"


def test_json_is_read_and_damage_refused(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"a": [1, "é"]}))
    assert files.read_json(path) == {"a": [1, "é"]}
    for body in (b"", b"{", b"\xff", b"[" * 100_000):
        path.write_bytes(body)
        with refused(path, ""):
            files.read_json(path)


def test_rows_of_a_table_are_read_without_blanks(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b'\xef\xbb\xbfcase , label\n a ,"1,5"\n\nb, 2 \n')
    rows = [{"case": "a", "label": "1,5"}, {"case": "b", "label": "2"}]
    assert files.read_rows(path, ("label",)) == rows
    path.write_text("case\tlabel\na\t1\n")
    assert files.read_rows(path, ("case",), separator="\t") == [{"case": "a", "label": "1"}]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no column label in its first line"),
        ("case\na\n", "no column label in its first line"),
        ("case,label\na\n", "1 values in line 2, not 2"),
        ("case,label\na,1\nb,2,3\n", "3 values in line 3, not 2"),
        ("case,label\na," + "x" * 200_000, "field larger"),
        ("case,label\n\xff", ""),
    ],
)
def test_a_table_that_does_not_fit_is_refused_with_its_line(tmp_path, text, said):
    path = tmp_path / "a.csv"
    path.write_bytes(text.encode("latin-1"))
    with refused(path, said):
        files.read_rows(path, ("label",))


def test_files_that_fit_a_pattern_come_in_order_or_say_how_to_get_them(tmp_path):
    for name in ("b.png", "a.png", "c.txt"):
        (tmp_path / name).touch()
    found = files.require_files(tmp_path, "*.png", dataset="toy")
    assert [path.name for path in found] == ["a.png", "b.png"]
    with pytest.raises(ReplicateError, match=r"\*\.tif, got none.*replicate data describe toy"):
        files.require_files(tmp_path, "*.tif", dataset="toy")


def test_memory_stays_within_the_limit_when_a_volume_is_read(tmp_path):
    stream = io.BytesIO()
    np.savez_compressed(stream, a=np.zeros(1 << 20, np.uint8))
    (tmp_path / "a.npz").write_bytes(stream.getvalue())
    tracemalloc.start()
    files.read_numpy(tmp_path / "a.npz")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20
