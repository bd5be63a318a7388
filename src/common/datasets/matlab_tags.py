"""The tags of a MATLAB 5 file, walked without taking memory for what they announce.

A reader of such files believes each tag's number of bytes and each matrix's sides; here they are
compared with what can be there. Format: MAT-File Format, MathWorks, version 5, chapter 1.
"""

import math
import struct
import zlib
from pathlib import Path
from typing import IO, Protocol

_BLOCK = 1 << 16
# of a part whose content matters, at most this much is kept
_LONGEST_NOTE = 1 << 20
_INT8, _INT32, _UINT32, _MATRIX, _COMPRESSED = 1, 5, 6, 14, 15
_NUMBERS = (1, 2, 3, 4, 5, 6, 7, 9, 12, 13)
_TEXTS = (1, 2, 4, 16, 17, 18)
_CELL, _STRUCT, _CHAR, _FIRST_NUMERIC, _LAST_NUMERIC = 1, 2, 4, 6, 15
_COMPLEX_FLAG = 8
# no honest file nests cells and structures as deeply
_MOST_DEPTH = 50
# a value takes a byte at least in the file and eight at most in memory
_MOST_GROWTH = 8


class _Source(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Inflated:
    """The content of a compressed element, as a stream."""

    def __init__(self, stream: IO[bytes], n_bytes: int) -> None:
        self._stream, self._left, self._inflate = stream, n_bytes, zlib.decompressobj()
        self._waiting = b""

    def read(self, size: int, /) -> bytes:
        found = b""
        while len(found) < size and not self._inflate.eof:
            if not self._waiting:
                self._waiting = self._stream.read(min(_BLOCK, self._left))
                self._left -= len(self._waiting)
            packed = self._waiting
            found += self._inflate.decompress(packed, size - len(found))
            self._waiting = self._inflate.unconsumed_tail
            if not packed and not self._waiting:
                break
        return found


def check(path: Path, *, max_bytes: int) -> None:
    """Check that a MATLAB 5 file holds what its tags announce.

    Args:
        path: the file.
        max_bytes: the most memory that its variables may take.

    Raises:
        ValueError: it is of another version, a tag announces more than is there, a matrix has
            more values than bytes, or its variables take more memory.
        OSError: it cannot be read.
        zlib.error: a compressed variable is damaged.
    """
    held = path.stat().st_size
    with path.open("rb") as stream:
        header = stream.read(128)
        order = {b"IM": "<", b"MI": ">"}.get(header[126:])
        # a zero among the first four bytes is the sign of version 4
        if (
            order is None
            or 0 in header[:4]
            or header[124:126] != (b"\0\1" if order == "<" else b"\1\0")
        ):
            raise ValueError("a header of another version")
        total = 0
        while stream.tell() < held:
            kind, n_bytes = struct.unpack(f"{order}II", _exactly(stream, 8))
            after = stream.tell() + n_bytes
            if after > held:
                raise ValueError(f"a variable of {n_bytes:,} bytes in a file of {held:,}")
            source: _Source = stream
            if kind == _COMPRESSED:
                source = _Inflated(stream, n_bytes)
                kind, n_bytes = struct.unpack(f"{order}II", _exactly(source, 8))
            if kind != _MATRIX:
                raise ValueError(f"a variable of kind {kind}")
            total += n_bytes * _MOST_GROWTH
            if total > max_bytes:
                raise ValueError(f"variables of {total:,} bytes, limit {max_bytes:,}")
            _Matrix(source, n_bytes, order, depth=0).walk()
            stream.seek(after)


class _Matrix:
    """One matrix, walked part by part; the library reads what has other parts blindly."""

    def __init__(self, source: _Source, n_bytes: int, order: str, *, depth: int) -> None:
        if depth > _MOST_DEPTH:
            raise ValueError(f"structures nested more than {_MOST_DEPTH} deep")
        self._source, self._order, self._depth = source, order, depth
        self._n_bytes = self._left = n_bytes

    def walk(self) -> None:
        """Walk over flags, sides, name, then values or further matrices."""
        flags = self._numbers(self._part(_UINT32), "I")
        sides = self._numbers(self._part(_INT32), "i")
        self._part(_INT8)
        n_values = math.prod(sides)
        if len(flags) != 2 or len(sides) < 2 or min(sides) < 0 or n_values > self._n_bytes:
            raise ValueError(f"a header of shape {sides} in a matrix of {self._n_bytes:,} bytes")
        kind, is_complex = flags[0] & 0xFF, bool(flags[0] >> 8 & _COMPLEX_FLAG)
        if kind == _CELL:
            self._inner(n_values)
        elif kind == _STRUCT:
            self._inner(n_values * self._fields())
        elif kind == _CHAR:
            self._part(*_TEXTS)
        elif _FIRST_NUMERIC <= kind <= _LAST_NUMERIC:
            for _ in range(1 + is_complex):
                self._part(*_NUMBERS)
        else:
            raise ValueError(f"a matrix of kind {kind} (sparse, object or function)")
        if self._left:
            raise ValueError(f"{self._left:,} bytes too many in a matrix")

    def _fields(self) -> int:
        """Return the number of fields of a structure."""
        lengths = self._numbers(self._part(_INT32), "i")
        names = self._part(_INT8)
        if len(lengths) != 1 or lengths[0] < 1 or len(names) % lengths[0]:
            raise ValueError("a structure whose fields have no names")
        return len(names) // lengths[0]

    def _inner(self, n: int) -> None:
        for _ in range(n):
            kind, n_bytes, _ = self._tag()
            if kind != _MATRIX:
                raise ValueError(f"a part of kind {kind} where a matrix belongs")
            # an empty place has a tag alone
            if n_bytes:
                _Matrix(self._source, n_bytes, self._order, depth=self._depth + 1).walk()

    def _part(self, *kinds: int) -> bytes:
        """Pass over a part of one of these kinds; return its start."""
        kind, n_bytes, data = self._tag()
        if kind not in kinds:
            raise ValueError(f"a part of kind {kind} where it does not belong")
        if data is not None:
            return data
        start = _exactly(self._source, min(n_bytes, _LONGEST_NOTE))
        padding = min(-n_bytes % 8, self._left)
        self._left -= padding
        left = n_bytes - len(start) + padding
        while left:
            left -= len(_exactly(self._source, min(left, _BLOCK)))
        return start

    def _tag(self) -> tuple[int, int, bytes | None]:
        """Read a tag: its kind, its number of bytes, and the bytes if they stand in the tag."""
        self._left -= 8
        tag = _exactly(self._source, 8) if self._left >= 0 else b"\0" * 8
        kind, size = struct.unpack(f"{self._order}II", tag)
        # a part of four bytes or fewer may stand in its own tag
        small = kind >> 16
        self._left -= 0 if small else size
        if self._left < 0 or small > 4:
            raise ValueError(f"a part of {small or size:,} bytes in one of {self._n_bytes:,}")
        return (kind & 0xFFFF, small, tag[4 : 4 + small]) if small else (kind, size, None)

    def _numbers(self, data: bytes, layout: str) -> tuple[int, ...]:
        n = len(data) // 4
        return struct.unpack(f"{self._order}{n}{layout}", data[: 4 * n])


def _exactly(source: _Source, n_bytes: int) -> bytes:
    found = source.read(n_bytes)
    if len(found) < n_bytes:
        raise ValueError("a file that ends too early")
    return found
