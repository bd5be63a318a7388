"""Headers of files, which announce sizes: compared with what a file can hold before it is read."""

import io
import math
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.errors import ReplicateError

# headers of honest files end long before
LONGEST = 1 << 20
_FILE_META, _TRANSFER_SYNTAX, _PIXEL_DATA = 0x0002, 0x00020010, 0x7FE00010
# a DICOM element that ends where a delimiter says so
_UNDEFINED_LENGTH = 0xFFFFFFFF


@contextmanager
def reading(path: Path, kind: str) -> Iterator[None]:
    """Turn whatever a damaged file provokes into one sentence with its name.

    Args:
        path: the file.
        kind: what it should be, in words.

    Raises:
        ReplicateError: anything was raised inside.
    """
    try:
        yield
    except ReplicateError:
        raise
    except (MemoryError, RecursionError) as error:
        raise refusal(path, kind, type(error).__name__) from None
    except Exception as error:
        # the libraries raise some thirty unrelated types on damaged files
        raise refusal(path, kind, str(error) or type(error).__name__) from None


def refusal(path: Path, kind: str, problem: str) -> ReplicateError:
    """Word an error on a file: what it should be, what it is, and the remedy."""
    return ReplicateError(
        f"{path} must be a sound {kind}, got: {problem}. "
        "Fetch or copy it again; `replicate data verify` finds other damaged files."
    )


def require_size(
    path: Path,
    kind: str,
    shape: tuple[int, ...],
    itemsize: int,
    *,
    max_bytes: int,
    inflation: int,
    data: Path | None = None,
) -> None:
    """Refuse an array that a header announces but the file cannot hold, or that is too large.

    Args:
        path: the file with the header.
        kind: what it should be, in words.
        shape: announced sides.
        itemsize: bytes of a value in memory.
        max_bytes: the most memory that may be taken.
        inflation: the most bytes in memory for a byte in the file; 0 for no bound.
        data: the file that holds the values, if another one.

    Raises:
        ReplicateError: a side is below 1, or there are more bytes than allowed or possible.
    """
    if any(side < 1 for side in shape):
        raise refusal(path, kind, f"a header of shape {shape}")
    wanted = math.prod(shape) * itemsize
    if wanted > max_bytes:
        raise refusal(path, kind, f"a header of {wanted:,} bytes, limit {max_bytes:,}")
    held = (data or path).stat().st_size
    if inflation and wanted > held * inflation:
        raise refusal(path, kind, f"a header of {wanted:,} bytes in a file of {held:,}")


class Capped(io.BufferedReader):
    """A file that never makes room for more than it holds, however much it is asked for."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))
        self._held = path.stat().st_size

    def read(self, size: int | None = -1, /) -> bytes:
        """Read as much as was asked for and is there."""
        left = max(self._held - self.tell(), 0)
        return super().read(left if size is None or size < 0 else min(size, left))


def nifti_start(path: Path) -> Any:
    """Read the fixed part of a NIfTI header as it is stored, before anything is mended.

    Returns:
        A header of ``nibabel``, with fields such as ``pixdim`` by name.

    Raises:
        ReplicateError: the values start further in the file than any honest header is long, so
            that an extension of gigabytes would be read.
        ValueError: it is no NIfTI header.
    """
    from nibabel import Nifti1Header, Nifti2Header
    from nibabel.openers import ImageOpener

    with ImageOpener(str(path), "rb") as stream:
        start = stream.read(Nifti2Header.sizeof_hdr)
    second = {start[:4], start[3::-1]} & {struct.pack("<i", Nifti2Header.sizeof_hdr)}
    kind = Nifti2Header if second else Nifti1Header
    header = kind(start[: kind.sizeof_hdr], check=False)
    offset = float(header["vox_offset"])
    if not 0 <= offset <= LONGEST:
        raise refusal(path, "NIfTI file", f"a header of {offset:,.0f} bytes")
    return header


def dicom_syntax(path: Path) -> Any:
    """Read how the values of a DICOM file are encoded, before anything of it is unpacked.

    Returns:
        The transfer syntax, a ``pydicom.uid.UID``.

    Raises:
        ReplicateError: it is no DICOM file, or does not say.
    """
    from pydicom.filereader import data_element_generator
    from pydicom.uid import UID

    with Capped(path) as stream:
        if stream.read(132)[128:] != b"DICM":
            raise refusal(path, "DICOM image", "a file without the mark of the format")
        for element in data_element_generator(stream, False, True, _ends_file_meta):
            if element.tag == _TRANSFER_SYNTAX:
                return UID(bytes(element.value or b"").decode("ascii").rstrip("\0 "))
    raise refusal(path, "DICOM image", "no transfer syntax")


def _ends_file_meta(tag: int, vr: str | None, length: int) -> bool:
    return tag >> 16 != _FILE_META


def dicom_header(path: Path) -> Any:
    """Read a DICOM file up to its pixels.

    Returns:
        A ``pydicom.Dataset``.

    Raises:
        ReplicateError: an element, or the pixels, announce more bytes than the file holds.
    """
    from pydicom.filereader import read_partial

    held = path.stat().st_size

    def ends_at(tag: int, vr: str | None, length: int) -> bool:
        if held < length != _UNDEFINED_LENGTH:
            raise refusal(path, "DICOM image", f"an element of {length:,} bytes in one of {held:,}")
        return tag >= _PIXEL_DATA

    with Capped(path) as stream:
        # elements inside of others are not asked for; long ones are passed over
        return read_partial(stream, ends_at, defer_size=LONGEST)


def sound_spacing(path: Path, kind: str, steps: Iterable[Any]) -> tuple[float, ...]:
    """Return distances of voxels as numbers.

    Raises:
        ReplicateError: one is not positive or not finite.
    """
    spacing = tuple(float(step) for step in steps)
    if not all(math.isfinite(step) and step > 0 for step in spacing):
        raise refusal(path, kind, f"a spacing of {spacing}")
    return spacing


def finite(path: Path, kind: str, what: str, values: Any) -> NDArray[np.float64]:
    """Return numbers of a header, named by ``what`` in errors, as an array.

    Raises:
        ReplicateError: one is not finite.
    """
    found = np.asarray(values, dtype=float)
    if not np.isfinite(found).all():
        raise refusal(path, kind, f"{what} of {found.tolist()}")
    return found


def metaimage_entries(path: Path) -> dict[str, str]:
    """Read the text of a MetaImage header, up to the name of its data file, which ends it.

    Returns:
        Values by key, ``ElementDataFile`` among them.

    Raises:
        ReplicateError: the name is missing, hidden, a list or a pattern of names.
    """
    entries: dict[str, str] = {}
    with path.open("rb") as stream:
        for _ in range(200):
            line = stream.readline(4096).decode("utf-8", "replace")
            key, _, value = (part.strip() for part in line.partition("="))
            entries[key] = value
            if key == "ElementDataFile":
                # the library would read these as names of further files
                if value.upper().startswith("LIST") or "%" in value or "\r" in value:
                    raise refusal(path, "MetaImage", f"a header that points to {value!r}")
                return entries
            if "ElementDataFile" in line or not line:
                break
    raise refusal(path, "MetaImage", "a header without a plain ElementDataFile")


def npy_bytes(path: Path, stream: Any) -> int:
    """Return the bytes that the header of an array announces, a byte at least.

    Args:
        path: the file, for errors.
        stream: the array, at its start.

    Raises:
        ReplicateError: it announces Python objects or a negative side.
        ValueError: the header is damaged.
    """
    # a header announces its own length too
    start = io.BytesIO(stream.read(1 << 16))
    first = np.lib.format.read_magic(start) == (1, 0)
    read: Callable[..., Any] = (
        np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
    )
    shape, _, dtype = read(start)
    if dtype.hasobject:
        raise refusal(path, "NumPy file", "Python objects, which are never loaded")
    if any(side < 0 for side in shape):
        raise refusal(path, "NumPy file", f"a header of shape {shape}")
    # scalars and empty arrays are sound
    return math.prod(max(side, 1) for side in shape) * max(dtype.itemsize, 1)
