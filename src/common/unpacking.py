"""Archives of data sets unpacked with suspicion: inside one folder, within limits, or not at all.

Headers are checked before anything is written and bytes are counted while they are written, since
a header may lie. Everything goes to a temporary folder that takes its name only when it is whole.
"""

import bz2
import gzip
import lzma
import os
import posixpath
import re
import shutil
import stat
import tarfile
import unicodedata
import uuid
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any, Literal

from common.disk import replace_folder, writing
from common.errors import ReplicateError
from common.manifest_schema import File, Unpacked

Kind = Literal["file", "folder", "link"]

_BLOCK = 1 << 20
# no header of an honest archive takes as much memory
_MOST_READ = 16 << 20
# fixed part of a zip entry's own header
_ZIP_HEADER = 30
_DRIVE = re.compile(r"^[A-Za-z]:")
_DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)


class _Unsafe(Exception):
    """What is wrong with an entry, in words."""


def unpack(file: File, folder: Path) -> None:
    """Unpack an archive into its folder, whole or not at all; an older folder is replaced.

    Args:
        file: the archive, with the most that it may hold.
        folder: the folder of the data set.

    Raises:
        ReplicateError: the archive is of another kind, damaged, larger than its limit or unsafe
            (absolute paths, ``..``, links out of the folder, devices, names that differ by case
            only, encrypted or overlapping entries), or the folder cannot be written. Nothing is
            left behind.
    """
    if file.unpacked_limit is None:
        raise ValueError(f"`file` must have `unpacked_limit`, got none for {file.path!r}.")
    archive, target = folder / file.path, folder / file.unpacked
    temporary = target.with_name(f".{uuid.uuid4().hex}.part")
    writer = _Writer(temporary, file.unpacked_limit)
    with writing(target):
        try:
            temporary.mkdir()
            with _sound(archive, file):
                if file.unpack == "zip":
                    _unpack_zip(archive, writer)
                else:
                    _unpack_tar(archive, writer)
            replace_folder(temporary, target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def _sound(archive: Path, file: File) -> Iterator[None]:
    """Turn what a damaged or hostile archive provokes into one sentence."""
    try:
        yield
    except OSError as error:
        # decompressors raise it without a number; with one it came from the disk
        if error.errno is not None:
            raise
        raise _refusal(archive, file, error) from None
    except (_Unsafe, *_DAMAGE) as error:
        raise _refusal(archive, file, error) from None


def _refusal(archive: Path, file: File, problem: Exception) -> ReplicateError:
    return ReplicateError(
        f"{archive} must be a sound and safe {file.unpack} archive, got: "
        f"{str(problem) or type(problem).__name__}; nothing was unpacked. "
        "Mend `unpack`, `unpacked_limit` or the checksum in the manifest."
    )


@dataclass
class _Writer:
    """Writes entries below one folder, and keeps count of them.

    Args:
        root: the folder.
        limit: the most that is written.
        seen: every path so far, by its form on a disk that ignores case.
    """

    root: Path
    limit: Unpacked
    seen: dict[str, tuple[str, Kind]] = field(default_factory=dict)
    n_bytes: int = 0

    def admit(self, name: str, kind: Kind) -> str | None:
        """Check the name of an entry and enter it and its folders into the books.

        Returns:
            The path below the root; ``None`` for the root itself.
        """
        path = _checked(name)
        if path == ".":
            return None
        parents = [str(parent) for parent in PurePosixPath(path).parents][:-1]
        for parent in reversed(parents):
            self._enter(parent, "folder")
        self._enter(path, kind)
        return path

    def _enter(self, path: str, kind: Kind) -> None:
        before = self.seen.get(_folded(path))
        if before is None:
            self.seen[_folded(path)] = (path, kind)
            if len(self.seen) > self.limit.files:
                raise _Unsafe(f"more than {self.limit.files} files and folders")
        elif before != (path, "folder") or kind != "folder":
            raise _Unsafe(f"{path!r} after the {before[1]} {before[0]!r}, the same on some disks")

    def announce(self, n_bytes: int) -> None:
        """Refuse what a header announces, before anything of it is written."""
        if self.n_bytes + n_bytes > self.limit.bytes:
            raise _Unsafe(f"more than {self.limit.bytes} bytes unpacked")

    def folder(self, name: str) -> None:
        """Make a folder."""
        path = self.admit(name, "folder")
        if path is not None:
            (self.root / path).mkdir(parents=True, exist_ok=True)

    def file(self, name: str, n_bytes: int, stream: IO[bytes]) -> None:
        """Write a file, and stop where it grows over the limit."""
        path = self.admit(name, "file")
        if path is None:
            raise _Unsafe(f"a file named {name!r}")
        self.announce(n_bytes)
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        with (self.root / path).open("xb") as copy:
            while block := stream.read(_BLOCK):
                self.announce(len(block))
                self.n_bytes += len(block)
                copy.write(block)

    def link(self, name: str, target: str) -> None:
        """Make a symbolic link to something in the folder."""
        path = self.admit(name, "link")
        inside = posixpath.normpath(posixpath.join(posixpath.dirname(path or ""), target))
        if path is None or posixpath.isabs(target) or inside.split("/")[0] == "..":
            raise _Unsafe(f"a link {name!r} to {target!r}, out of the folder")
        _checked(inside)
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        os.symlink(target, self.root / path)

    def twin(self, name: str, target: str) -> None:
        """Copy a file that came before: a hard link would change with its twin."""
        source = _checked(target)
        if self.seen.get(_folded(source)) != (source, "file"):
            raise _Unsafe(f"a hard link {name!r} to {target!r}, which is no file of the archive")
        with (self.root / source).open("rb") as stream:
            self.file(name, (self.root / source).stat().st_size, stream)

    def require_links_inside(self) -> None:
        """Check where links really lead, now that everything that they may lead over is there."""
        root = self.root.resolve()
        for path, kind in self.seen.values():
            if kind == "link" and not (self.root / path).resolve().is_relative_to(root):
                raise _Unsafe(f"a link {path!r}, out of the folder")


def _checked(name: str) -> str:
    """Return a path in its plain form, if it is relative and stays below its folder."""
    path = name.removesuffix("/")
    parts = path.split("/")
    if not path or path.startswith("/") or ".." in parts or "" in parts:
        raise _Unsafe(f"the path {name!r}, which leads out of the folder or nowhere")
    if "\\" in path or "\0" in path or _DRIVE.match(path):
        raise _Unsafe(f"the path {name!r}, with a backslash, a drive letter or a zero")
    return str(PurePosixPath(path))


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", path).casefold()


def _unpack_zip(archive: Path, writer: _Writer) -> None:
    with zipfile.ZipFile(archive) as file:
        entries = file.infolist()
        _require_apart(entries, file.start_dir)
        writer.announce(sum(entry.file_size for entry in entries))
        for entry in entries:
            # what the library made of the name is not what the archive says
            name, mode = entry.orig_filename, entry.external_attr >> 16
            if entry.flag_bits & 1:
                raise _Unsafe(f"{name!r}, which is encrypted")
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _Unsafe(f"{name!r}, which is a link or a device")
            if name.endswith("/"):
                writer.folder(name)
            else:
                with file.open(entry) as stream:
                    writer.file(name, entry.file_size, stream)


def _require_apart(entries: list[zipfile.ZipInfo], end: int) -> None:
    """Refuse entries that share bytes: a small archive would unpack to a huge folder."""
    ordered = sorted(entries, key=lambda entry: entry.header_offset)
    limits = [entry.header_offset for entry in ordered[1:]] + [end]
    for entry, limit in zip(ordered, limits, strict=bool(entries)):
        if entry.header_offset + _ZIP_HEADER + entry.compress_size > limit:
            raise _Unsafe(f"{entry.filename!r}, which overlaps with another entry")


def _unpack_tar(archive: Path, writer: _Writer) -> None:
    with _decompressed(archive) as stream:
        bounded: Any = _Bounded(stream)
        with tarfile.open(fileobj=bounded, mode="r:") as file:
            for member in file:
                _unpack_member(file, member, writer)
            # a damaged header ends the library's loop like a sound end does
            stream.seek(file.offset)
            if any(stream.read(tarfile.BLOCKSIZE)):
                raise _Unsafe(f"a damaged header after {file.offset} bytes")
            # decompressors compare their own checksum at the end only
            if len(stream.read(_MOST_READ)) == _MOST_READ:
                raise _Unsafe(f"more than {_MOST_READ} bytes after its end")
    writer.require_links_inside()


def _unpack_member(file: tarfile.TarFile, member: tarfile.TarInfo, writer: _Writer) -> None:
    if member.isdir():
        writer.folder(member.name)
    elif member.isreg():
        # refused here, before the library skips over as much
        writer.announce(member.size)
        content = file.extractfile(member)
        if content is None:
            raise _Unsafe(f"{member.name!r}, which cannot be read")
        writer.file(member.name, member.size, content)
    elif member.issym():
        writer.link(member.name, member.linkname)
    elif member.islnk():
        writer.twin(member.name, member.linkname)
    else:
        raise _Unsafe(f"{member.name!r}, which is a device, a pipe or of unknown kind")


def _decompressed(archive: Path) -> Any:
    """Open a tar file, compressed in whichever way its first bytes tell."""
    with archive.open("rb") as stream:
        start = stream.read(6)
    if start.startswith(b"\x1f\x8b"):
        return gzip.open(archive)
    if start.startswith(b"BZh"):
        return bz2.open(archive)
    return lzma.open(archive) if start == b"\xfd7zXZ\0" else archive.open("rb")


class _Bounded:
    """A stream that refuses to give much at once, as only a hostile header would ask for."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.tell, self.seek = stream.tell, stream.seek

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _MOST_READ:
            raise _Unsafe(f"a header of {size} bytes")
        return self._stream.read(size)
