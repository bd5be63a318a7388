import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ImplicitVRLittleEndian, generate_uid

from common.datasets.chaos_ct import DATASET, load
from common.errors import ReplicateError

SLICES = (0, 5, 10)
N_MASKS = 12
SIDE = 512


def slice_path(folder, number):
    return folder / f"Data_3D/DICOM_anon/i{number:04d},0000b.dcm"


def mask_path(folder, number):
    return folder / f"Data_3D/Ground/liver_GT_{number:03d}.png"


def write_slice(folder, number, pixels):
    """A 16-bit slice as published: implicit VR, intercept -1000, no patient id."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[str(number)])
    meta.TransferSyntaxUID = ImplicitVRLittleEndian
    path = slice_path(folder, number)
    path.parent.mkdir(parents=True, exist_ok=True)
    image = FileDataset(path, {}, file_meta=meta, preamble=b"\0" * 128)
    image.SOPClassUID = CTImageStorage
    image.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    image.Modality, image.PatientName, image.PatientID = "CT", "CHAOS^CT_SET_3", ""
    image.InstanceNumber = number + 1
    image.ImagePositionPatient = [-185, -98, 1690.5 - 2 * number]
    image.PixelSpacing, image.SliceThickness = [0.7265625, 0.71], 3.2
    image.Rows, image.Columns = pixels.shape
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated = image.BitsStored = 16
    image.HighBit, image.PixelRepresentation = 15, 0
    image.RescaleSlope, image.RescaleIntercept = 1, -1000
    image.PixelData = pixels.astype("<u2").tobytes()
    image.save_as(path, enforce_file_format=True)


def liver(number):
    mask = np.zeros((SIDE, SIDE), bool)
    mask[200 : 200 + number, 100:130] = True
    return mask


@pytest.fixture
def folder(tmp_path):
    for number in SLICES:
        write_slice(tmp_path, number, np.where(liver(number), 1100 + number, 900))
    for number in range(N_MASKS):
        mask_path(tmp_path, number).parent.mkdir(exist_ok=True)
        Image.fromarray(liver(number)).save(mask_path(tmp_path, number))
    return tmp_path


def test_slices_come_back_in_hounsfield_units_with_the_mask_of_their_number(folder):
    cases = load(folder)
    assert cases.table["slice"].tolist() == list(SLICES)
    for number, case in zip(SLICES, cases, strict=True):
        assert (case.image.shape, case.image.dtype) == ((1, SIDE, SIDE), np.float32)
        np.testing.assert_array_equal(case.target["mask"], liver(number))
        expected = np.where(liver(number), 100 + number, -100)
        np.testing.assert_array_equal(case.image[0], expected)


def test_all_slices_are_one_patient_with_spacing_and_height(folder):
    cases = load(folder)
    assert cases.table["cluster"].nunique() == 1
    assert cases[1].spacing_mm == (0.7265625, 0.71)
    assert [case.info["z_mm"] for case in cases] == [1690.5, 1680.5, 1670.5]


def test_masks_without_a_slice_come_only_when_they_are_asked_for(folder):
    cases = load(folder, every_mask=True)
    assert cases.table["slice"].tolist() == list(range(N_MASKS))
    with_image = [case.case for case in cases if case.image is not None]
    assert with_image == load(folder).table["case"].tolist()
    np.testing.assert_array_equal(cases[7].target["mask"], liver(7))


def test_a_slice_without_mask_is_refused(folder):
    mask_path(folder, 5).unlink()
    with pytest.raises(ReplicateError, match=r"i0005,0000b.dcm must have a mask of its number"):
        load(folder)


def test_a_file_with_another_name_is_refused(folder):
    mask_path(folder, 11).rename(mask_path(folder, 11).with_name("liver_011.png"))
    with pytest.raises(ReplicateError, match=r"must be named like .*got liver_011.png"):
        load(folder)


def test_a_mask_of_another_size_is_refused(folder):
    Image.new("1", (SIDE, 511)).save(mask_path(folder, 0))
    with pytest.raises(ReplicateError, match="512 x 512 pixels, got 511 x 512"):
        load(folder)[0]


def test_a_cut_off_and_a_coloured_slice_are_refused(folder):
    path = slice_path(folder, 0)
    coloured = pydicom.dcmread(slice_path(folder, 5))
    coloured.SamplesPerPixel, coloured.PhotometricInterpretation = 3, "RGB"
    coloured.PlanarConfiguration = 0
    coloured.PixelData *= 3
    coloured.save_as(slice_path(folder, 5))
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ReplicateError, match=r"i0000,0000b.dcm must be a sound DICOM image"):
        load(folder)[0]
    with pytest.raises(ReplicateError, match="must hold one grey slice"):
        load(folder)[1]


@pytest.fixture(scope="module")
def real(mirror):
    return load(mirror(DATASET))


def test_the_real_set_is_every_fifth_slice_of_one_patient(real, mirror):
    assert real.table["slice"].tolist() == list(range(0, 78, 5))
    assert real.table["cluster"].nunique() == 1
    everything = load(mirror(DATASET), every_mask=True)
    assert len(everything) == 78
    assert sum(case.target["mask"].any() for case in everything) == 71
    # counted in liver_GT_030.png with Pillow
    assert everything[30].target["mask"].sum() == 34_932


def test_the_real_liver_has_the_attenuation_of_contrast_enhanced_liver(real):
    for case in real:
        assert case.image.shape == (1, 512, 512)
        assert case.spacing_mm == (0.7265625, 0.7265625)
        assert case.info["z_mm"] == 1690.5 - 2 * int(case.case[-3:])
        inside = case.image[0][case.target["mask"]]
        # a mask of another slice, or one turned upside down, would mix in air and bone
        assert inside.size == 0 or (110 < inside.mean() < 150 and inside.std() < 50)
