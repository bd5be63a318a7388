"""Windows of TIFF files that are too large for memory: tiles or strips, compressed or not.

Only what a window touches is read. Uncompressed data are read row by row where they lie; a
compressed tile or strip is handed to libtiff as a small TIFF file of its own, whose decoder writes
no more than the size in its header, whatever the compressed bytes say.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from struct import pack
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from common.datasets.files import MAX_BYTES
from common.errors import ReplicateError

# one compressed tile or strip, unpacked
MAX_SEGMENT_BYTES = 64 << 20
# TIFF's codes: none, LZW, deflate (old and new) and PackBits
_NONE, _COMPRESSIONS = 1, (1, 5, 8, 32946, 32773)


@dataclass(frozen=True)
class Layout:
    """How the pixels of a slide lie in its file.

    Args:
        shape: (height, width) of the slide.
        segment: (height, width) of a tile, or of a strip, which is as wide as the slide.
        tiled: whether segments are tiles, which are whole at the border too.
        offsets: first byte of every segment, row by row.
        n_bytes: stored bytes of every segment.
        dtype: of a pixel, in the file's byte order.
        compression: TIFF's code.
        predictor: TIFF's code.
    """

    shape: tuple[int, int]
    segment: tuple[int, int]
    tiled: bool
    offsets: tuple[int, ...]
    n_bytes: tuple[int, ...]
    dtype: np.dtype[Any]
    compression: int
    predictor: int


def slide_shape(path: Path) -> tuple[int, int]:
    """Return height and width of a slide in pixels.

    Raises:
        ReplicateError: the file is absent or damaged, or no slide of one plane and channel.
    """
    return layout(path).shape


def read_window(path: Path, *, top: int, left: int, height_px: int, width_px: int) -> NDArray[Any]:
    """Read a window of a slide.

    Args:
        path: TIFF file; its first page counts, which must have one channel of 8 or 16 bit.
        top: first row, which may be negative.
        left: first column, which may be negative.
        height_px: rows.
        width_px: columns.

    Returns:
        (height_px, width_px), uint8 or uint16; 0 outside of the slide.

    Raises:
        ReplicateError: the file is absent or damaged, or of a kind that is not read.
        ValueError: the window is empty or takes more than 2 GiB.
    """
    slide = layout(path)
    n_bytes = height_px * width_px * slide.dtype.itemsize
    if min(height_px, width_px) < 1 or n_bytes > MAX_BYTES:
        raise ValueError(
            f"a window must have from 1 to {MAX_BYTES:,} bytes, got {height_px} x {width_px} "
            "pixels. Read it in parts."
        )
    window = np.zeros((height_px, width_px), slide.dtype.newbyteorder("="))
    rows = range(max(top, 0), min(top + height_px, slide.shape[0]))
    columns = range(max(left, 0), min(left + width_px, slide.shape[1]))
    if not rows or not columns:
        return window
    height, width = slide.segment
    across = math.ceil(slide.shape[1] / width)
    with _reading(path), path.open("rb") as stream:
        for down in range(rows[0] // height, rows[-1] // height + 1):
            for along in range(columns[0] // width, columns[-1] // width + 1):
                y0, x0 = max(rows[0], down * height), max(columns[0], along * width)
                y1 = min(rows[-1] + 1, (down + 1) * height)
                x1 = min(columns[-1] + 1, (along + 1) * width)
                inside = range(y0 - down * height, y1 - down * height)
                pixels = _segment(stream, slide, down * across + along, inside)
                part = pixels[:, x0 - along * width : x1 - along * width]
                window[y0 - top : y1 - top, x0 - left : x1 - left] = part
    return window


def layout(path: Path) -> Layout:
    """Read the header of a slide and check it against the file.

    Raises:
        ReplicateError: the file is absent or damaged, or its first page is not one plane of one
            channel of 8 or 16 bit, compressed in no way but LZW, deflate or PackBits.
    """
    with _reading(path):
        stat = path.stat()
        return _layout(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=8)
def _layout(path: Path, held: int, changed_ns: int) -> Layout:
    # the time of the last change is an argument so that a new file is never taken for the old one
    import tifffile

    with tifffile.TiffFile(path) as file:
        page: Any = file.pages[0]
        shape = (int(page.imagelength), int(page.imagewidth))
        bits, kind = page.bitspersample, int(page.sampleformat)
        if page.samplesperpixel != 1 or page.imagedepth != 1 or kind != 1 or bits not in (8, 16):
            what = f"{page.samplesperpixel} channels of {bits} bit"
            raise _refusal(path, f"{what}; one of 8 or 16 bit is read")
        if page.compression not in _COMPRESSIONS or page.predictor not in (1, 2):
            what = f"compression {int(page.compression)}, predictor {int(page.predictor)}"
            raise _refusal(path, f"{what}; LZW, deflate and PackBits are read")
        tiled = bool(page.is_tiled)
        segment = (int(page.tilelength), int(page.tilewidth))
        if not tiled:
            segment = (min(int(page.rowsperstrip), shape[0]), shape[1])
        found = Layout(
            shape,
            segment,
            tiled,
            tuple(int(offset) for offset in page.dataoffsets),
            tuple(int(count) for count in page.databytecounts),
            np.dtype(f"{file.byteorder}u{bits // 8}"),
            int(page.compression),
            int(page.predictor),
        )
    _check(path, found, held)
    return found


def _check(path: Path, slide: Layout, held: int) -> None:
    """Refuse a header that the file cannot fulfil or whose segments are too large to unpack."""
    if min(*slide.shape, *slide.segment) < 1:
        raise _refusal(path, f"a header of shape {slide.shape} in parts of {slide.segment}")
    wanted = math.prod(
        math.ceil(side / step) for side, step in zip(slide.shape, slide.segment, strict=True)
    )
    if not len(slide.offsets) == len(slide.n_bytes) == wanted:
        raise _refusal(path, f"{len(slide.offsets)} parts of {wanted}")
    ends = (first + count for first, count in zip(slide.offsets, slide.n_bytes, strict=True))
    if max(ends) > held:
        raise _refusal(path, f"parts that end behind the file's {held:,} bytes")
    unpacked = math.prod(slide.segment) * slide.dtype.itemsize
    if slide.compression != _NONE and unpacked > MAX_SEGMENT_BYTES:
        raise _refusal(path, f"compressed parts of {unpacked:,} bytes, limit {MAX_SEGMENT_BYTES:,}")


def _segment(stream: BinaryIO, slide: Layout, index: int, rows: range) -> NDArray[Any]:
    """Read whole rows of a tile or strip."""
    height, width = slide.segment
    if not slide.tiled:
        # the last strip may be shorter
        height = min(height, slide.shape[0] - index * height)
    first, n_bytes = slide.offsets[index], slide.n_bytes[index]
    if slide.compression == _NONE:
        n_row = width * slide.dtype.itemsize
        if n_bytes < height * n_row:
            raise ValueError(f"part {index} of {n_bytes:,} bytes, not {height * n_row:,}")
        stream.seek(first + rows[0] * n_row)
        stored = stream.read(len(rows) * n_row)
        return np.frombuffer(stored, slide.dtype).reshape(len(rows), width)
    stream.seek(first)
    stored = stream.read(n_bytes)
    return _unpack(slide, height, width, stored)[rows[0] : rows[-1] + 1]


def _unpack(slide: Layout, height: int, width: int, stored: bytes) -> NDArray[Any]:
    """Unpack a compressed segment through a TIFF file of one strip in memory."""
    from PIL import Image

    sign = ">" if slide.dtype.str.startswith(">") else "<"
    tags = {
        256: width,
        257: height,
        258: slide.dtype.itemsize * 8,
        259: slide.compression,
        262: 1,  # black is 0
        273: 8,  # the strip follows the file's header
        277: 1,
        278: height,
        279: len(stored),
        317: slide.predictor,
    }
    directory = pack(f"{sign}H", len(tags)) + b"".join(
        pack(f"{sign}HHII", tag, 4, 1, value) for tag, value in tags.items()
    )
    strip = stored + b"\0" * (len(stored) % 2)
    magic = b"II*\0" if sign == "<" else b"MM\0*"
    data = magic + pack(f"{sign}I", 8 + len(strip)) + strip + directory + b"\0\0\0\0"
    # the segment's size was checked; the library's own limit warns before it refuses
    Image.MAX_IMAGE_PIXELS = None
    with Image.open(BytesIO(data), formats=("TIFF",)) as image:
        pixels = np.asarray(image)
    if pixels.shape != (height, width) or pixels.dtype.itemsize != slide.dtype.itemsize:
        raise ValueError(f"a part of {pixels.dtype} {pixels.shape}, not ({height}, {width})")
    return pixels


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn whatever a damaged file provokes into one sentence with its name."""
    try:
        yield
    except ReplicateError:
        raise
    except Exception as error:
        # the libraries raise many unrelated types on damaged files
        raise _refusal(path, str(error) or type(error).__name__) from None


def _refusal(path: Path, problem: str) -> ReplicateError:
    return ReplicateError(
        f"{path} must be a sound TIFF slide, got: {problem}. "
        "Fetch or copy it again, or convert it to an uncompressed one."
    )
