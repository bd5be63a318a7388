"""Files of unknown origin, read with suspicion: headers are checked before memory is taken.

Every reader of a data set opens its files through these functions. Nothing here executes code
from a file: no pickle, no XML entities, no paths out of the file's own folder.
"""

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray

from common.datasets import matlab_tags
from common.datasets.headers import (
    Capped,
    dicom_header,
    dicom_syntax,
    finite,
    metaimage_entries,
    nifti_start,
    npy_bytes,
    reading,
    refusal,
    require_size,
    sound_spacing,
)
from common.errors import ReplicateError

MAX_BYTES = 2 << 30  # one array of a case: 2 GiB
# deflate cannot expand data by more than a factor of 1,032
_MOST_INFLATION = 1032
# a pixel may be one bit in the file and three bytes of colour in memory
_MOST_PIXEL_INFLATION = 24 * _MOST_INFLATION
# facsimile codes pack a blank line of any width into one bit
_UNBOUNDED = ("group3", "group4", "tiff_ccitt")
_PILLOW_FORMATS = ("BMP", "JPEG", "PNG", "PPM", "TIFF")


@dataclass(frozen=True)
class Volume:
    """An image with its geometry.

    Args:
        array: values in the order in which the file's axes are named (NIfTI: x, y, z).
        spacing_mm: distance of voxel centres along each spatial axis.
        origin_mm: position of the first voxel's centre, where the file gives it.
        affine (4, 4): voxel indices to millimetres, where the file gives it.
    """

    array: NDArray[Any]
    spacing_mm: tuple[float, ...]
    origin_mm: tuple[float, ...] | None = None
    affine: NDArray[np.float64] | None = None


def read_image(path: Path, *, max_bytes: int = MAX_BYTES) -> NDArray[Any]:
    """Read a photograph, slide tile or mask (BMP, JPEG, PNG, PPM, TIFF).

    Args:
        path: the file.
        max_bytes: refuse an image that takes more memory.

    Returns:
        (height, width) or (height, width, channels) as stored; palettes are resolved to RGB and
        one-bit images to 0 and 1.

    Raises:
        ReplicateError: the file is absent, damaged, of another kind or too large.
    """
    from PIL import Image

    with reading(path, "image"):
        # the limit below replaces the library's own, which warns before it refuses
        Image.MAX_IMAGE_PIXELS = None
        with Capped(path) as stream, Image.open(stream, formats=_PILLOW_FORMATS) as image:
            bands = 3 if image.mode == "P" else len(image.getbands())
            depth = 4 if image.mode in ("I", "F") else 2 if image.mode.startswith("I;") else 1
            shape = (image.height, image.width, bands)
            packed = image.info.get("compression") not in _UNBOUNDED
            inflation = _MOST_PIXEL_INFLATION if packed else 0
            require_size(path, "image", shape, depth, max_bytes=max_bytes, inflation=inflation)
            if image.mode == "P":
                return np.asarray(image.convert("RGB"))
            array = np.asarray(image)
            return array.astype(np.uint8) if array.dtype == bool else array


def read_nifti(path: Path, *, max_bytes: int = MAX_BYTES, scaled: bool = True) -> Volume:
    """Read a NIfTI file, compressed or not.

    Args:
        path: the file.
        max_bytes: refuse a volume that takes more memory.
        scaled: apply the header's slope and intercept, giving float32 where there are any;
            label maps are read with ``False``.

    Returns:
        The volume, axes x, y, z as stored, spacing in mm (the header's unit, mm if it has none).

    Raises:
        ReplicateError: the file is absent or damaged, or its header is absurd (sides below 1, more
            data than the file can hold, spacing that is not positive).
    """
    import nibabel

    kind = "NIfTI file"
    with reading(path, kind):
        start = nifti_start(path)
        image: Any = nibabel.load(path)
        if not isinstance(image, nibabel.Nifti1Image | nibabel.Nifti2Image):
            raise refusal(path, kind, type(image).__name__)
        header = image.header
        shape, dtype = tuple(int(side) for side in header.get_data_shape()), image.get_data_dtype()
        packed = path.suffix in (".gz", ".bz2", ".zst")
        inflation = _MOST_INFLATION if packed else 1
        if len(shape) < 2:
            raise refusal(path, kind, f"a header of shape {shape}")
        require_size(path, kind, shape, dtype.itemsize, max_bytes=max_bytes, inflation=inflation)
        # the library reads a distance of 0 as 1
        n_axes = min(len(shape), 3)
        spacing = sound_spacing(path, kind, np.abs(start["pixdim"][1 : n_axes + 1]))
        unit = {"meter": 1000.0, "micron": 0.001}.get(header.get_xyzt_units()[0], 1.0)
        stored: Any = image.dataobj
        # the library takes the scaling out of the header that it gives back
        if scaled and (stored.slope, stored.inter) != (1, 0):
            array = image.get_fdata(dtype=np.float32)
        else:
            array = np.asarray(stored.get_unscaled())
        affine = np.asarray(image.affine, dtype=float)
        origin = finite(path, kind, "an affine matrix", affine)[:3, 3].tolist()
        return Volume(array, tuple(step * unit for step in spacing), tuple(origin), affine)


def read_dicom(path: Path, *, max_bytes: int = MAX_BYTES) -> Volume:
    """Read one DICOM image.

    Args:
        path: the file.
        max_bytes: refuse an image that takes more memory.

    Returns:
        float32 (rows, columns), rescaled with the file's slope and intercept (CT: Hounsfield
        units); spacing of rows and columns in mm, 1 where the file gives none.

    Raises:
        ReplicateError: the file is absent or damaged, holds no image, or announces more pixels than
            it can hold.
    """
    import pydicom

    kind = "DICOM image"
    with reading(path, kind):
        syntax = dicom_syntax(path)
        if syntax.is_deflated:
            raise refusal(path, kind, "a header that is compressed, which is not read")
        header = dicom_header(path)
        frames = int(header.get("NumberOfFrames", 1) or 1)
        shape = (frames, int(header.Rows), int(header.Columns), int(header.SamplesPerPixel))
        bits = int(header.BitsAllocated)
        # one-bit pixels are packed in the file and bytes in memory
        raw = 8 if bits == 1 else 1
        inflation = _MOST_PIXEL_INFLATION if syntax.is_compressed else raw
        itemsize = max(1, bits // 8)
        require_size(path, kind, shape, itemsize, max_bytes=max_bytes, inflation=inflation)
        spacing = sound_spacing(path, kind, header.get("PixelSpacing", (1, 1)))
        slope = float(header.get("RescaleSlope", 1) or 1)
        intercept = float(header.get("RescaleIntercept", 0) or 0)
        finite(path, kind, "a rescale slope and intercept", (slope, intercept))
        position = header.get("ImagePositionPatient")
        origin = None if position is None else finite(path, kind, "a position", position)
        with Capped(path) as stream:
            pixels = pydicom.dcmread(stream).pixel_array.astype(np.float32)
        return Volume(
            pixels * slope + intercept,
            spacing,
            None if origin is None else tuple(origin.tolist()),
        )


def read_metaimage(path: Path, *, max_bytes: int = MAX_BYTES) -> Volume:
    """Read a MetaImage (.mha, or .mhd with its .raw beside it).

    Args:
        path: the file, the header of a pair.
        max_bytes: refuse a volume that takes more memory.

    Returns:
        The volume with axes reversed to (z,) y, x, and so are spacing and origin.

    Raises:
        ReplicateError: the file is absent or damaged, its header is absurd, or it names a data
            file in another folder.
    """
    import SimpleITK

    kind = "MetaImage"
    with reading(path, kind):
        entries = metaimage_entries(path)
        data = entries["ElementDataFile"]
        if data in ("", ".", "..") or Path(data).name != data:
            raise refusal(path, kind, f"a header that points to {data!r}, out of its folder")
        held = path if data.upper() == "LOCAL" else path.with_name(data)
        if not held.is_file():
            raise refusal(path, kind, f"no data file {held.name} beside it")
        reader = SimpleITK.ImageFileReader()
        reader.SetImageIO("MetaImageIO")
        reader.SetFileName(str(path))
        reader.ReadImageInformation()
        channels = reader.GetNumberOfComponents()
        voxel = SimpleITK.Image([1] * reader.GetDimension(), reader.GetPixelID(), channels)
        itemsize = SimpleITK.GetArrayViewFromImage(voxel).itemsize
        shape = (*reversed(reader.GetSize()), channels)
        packed = entries.get("CompressedData", "")[:1] in ("T", "t", "1")
        inflation = _MOST_INFLATION if packed else 1
        require_size(
            path, kind, shape, itemsize, max_bytes=max_bytes, inflation=inflation, data=held
        )
        spacing = sound_spacing(path, kind, reversed(reader.GetSpacing()))
        # the library reads what is no number as 0
        for key in ("Offset", "Position", "Origin"):
            finite(path, kind, key, [float(number) for number in entries.get(key, "").split()])
        array = SimpleITK.GetArrayFromImage(reader.Execute())
        return Volume(array, spacing, tuple(reversed(reader.GetOrigin())))


def read_numpy(path: Path, *, max_bytes: int = MAX_BYTES) -> dict[str, NDArray[Any]]:
    """Read a ``.npy`` file (under the name ``array``) or every array of a ``.npz`` file.

    Args:
        path: the file.
        max_bytes: refuse an array that takes more memory.

    Raises:
        ReplicateError: the file is absent or damaged, holds Python objects, or announces more data
            than it can hold.
    """
    kind = "NumPy file"
    with reading(path, kind):
        if path.suffix == ".npy":
            with path.open("rb") as stream:
                wanted = npy_bytes(path, stream)
            require_size(path, kind, (wanted,), 1, max_bytes=max_bytes, inflation=1)
            return {"array": np.load(path, allow_pickle=False)}
        with ZipFile(path) as archive:
            wanted = 0
            for name in archive.namelist():
                with archive.open(name) as stream:
                    wanted += npy_bytes(path, stream)
        if wanted:
            inflation = _MOST_INFLATION
            require_size(path, kind, (wanted,), 1, max_bytes=max_bytes, inflation=inflation)
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}


def read_hdf5(
    path: Path, names: tuple[str, ...], *, max_bytes: int = MAX_BYTES
) -> dict[str, NDArray[Any]]:
    """Read named arrays of an HDF5 file.

    Args:
        path: the file.
        names: the arrays, in the file's own words.
        max_bytes: refuse an array that takes more memory.

    Raises:
        ReplicateError: the file is absent or damaged, lacks an array, or announces more data than
            fits.
    """
    import h5py

    kind = "HDF5 file"
    with reading(path, kind), h5py.File(path, "r") as file:
        found = {}
        for name in names:
            link = file.get(name, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                raise refusal(path, kind, f"{name!r} in another file")
            array = file.get(name)
            if not isinstance(array, h5py.Dataset):
                raise refusal(path, kind, f"no array {name!r}, only {', '.join(file)}")
            if array.external or array.is_virtual or array.file.filename != file.filename:
                raise refusal(path, kind, f"{name!r} in another file")
            if array.dtype.hasobject:
                raise refusal(path, kind, f"{name!r} of objects, which are never loaded")
            sides = tuple(max(side, 1) for side in array.shape or ())
            inflation, itemsize = _MOST_INFLATION, array.dtype.itemsize
            require_size(path, kind, sides, itemsize, max_bytes=max_bytes, inflation=inflation)
            found[name] = array[()]
        return found


def read_matlab(path: Path, *, max_bytes: int = MAX_BYTES) -> dict[str, Any]:
    """Read the variables of a MATLAB file (version 5).

    Args:
        path: the file.
        max_bytes: refuse a variable that takes more memory.

    Raises:
        ReplicateError: the file is absent, damaged, of a later version or too large.
    """
    from scipy.io import loadmat

    kind = "MATLAB 5 file"
    with reading(path, kind):
        matlab_tags.check(path, max_bytes=max_bytes)
        with Capped(path) as stream:
            found = loadmat(stream, squeeze_me=True)
        return {name: value for name, value in found.items() if not name.startswith("__")}


def read_xml(path: Path) -> Element:
    """Read an XML document without entities or external references.

    Args:
        path: the file.

    Returns:
        Its root.

    Raises:
        ReplicateError: the file is absent, is not XML, or declares entities.
    """
    from defusedxml import DefusedXmlException, ElementTree

    with reading(path, "XML file"):
        try:
            root: Element = ElementTree.parse(path).getroot()
        except DefusedXmlException as error:
            raise refusal(path, "XML file", f"entities ({error})") from None
        except ParseError as error:
            raise refusal(path, "XML file", str(error)) from None
        return root


def read_json(path: Path) -> Any:
    """Read a JSON document.

    Raises:
        ReplicateError: the file is absent or is not JSON.
    """
    with reading(path, "JSON file"):
        return json.loads(path.read_text(encoding="utf-8"))


def read_lines(path: Path) -> list[str]:
    """Read a text file without a header, one entry a line.

    Args:
        path: the file, UTF-8.

    Returns:
        Its lines without line ends and without blanks around them; empty lines are left out.

    Raises:
        ReplicateError: the file is absent or is not text.
    """
    with reading(path, "text file"):
        text = path.read_text(encoding="utf-8-sig")
    return [line.strip() for line in text.splitlines() if line.strip()]


def read_rows(
    path: Path, columns: tuple[str, ...], *, separator: str = ","
) -> list[dict[str, str]]:
    """Read a table with a header.

    Args:
        path: the file.
        columns: those that must be there; others are kept too.
        separator: one character.

    Returns:
        One dictionary a row, all values as text without blanks around them.

    Raises:
        ReplicateError: the file is absent, a column is missing, or a row is longer or shorter than
            the header; names the line.
    """
    with reading(path, "table"), path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream, delimiter=separator)
        header = [name.strip() for name in next(reader, [])]
        if lacking := [name for name in columns if name not in header]:
            raise refusal(path, "table", f"no column {', '.join(lacking)} in its first line")
        rows = []
        for row in reader:
            if not row:
                continue
            if len(row) != len(header):
                raise refusal(
                    path, "table", f"{len(row)} values in line {reader.line_num}, not {len(header)}"
                )
            rows.append(dict(zip(header, (value.strip() for value in row), strict=True)))
        return rows


def require_files(folder: Path, pattern: str, *, dataset: str) -> list[Path]:
    """List the files of a data set that fit a pattern, in alphabetical order.

    Raises:
        ReplicateError: there is none; names the folder and how to obtain the files.
    """
    found = sorted(path for path in folder.glob(pattern) if path.is_file())
    if not found:
        raise ReplicateError(
            f"{folder} must hold files named {pattern}, got none. "
            f"Run `replicate data describe {dataset}` to see what belongs there."
        )
    return found
