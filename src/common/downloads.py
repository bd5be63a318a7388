"""One file of a data set on disk: checked, fetched and unpacked, whole or not at all."""

import os
import shutil
import tarfile
import uuid
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pooch
from requests import RequestException

from common.errors import ReplicateError
from common.manifest_schema import File


def integrity_error(
    check: str, *, expected: str, got: str, done: str, cause: str
) -> ReplicateError:
    """Word a failed check of data in five parts.

    Args:
        check: which check failed, on what.
        expected: what a sound file holds.
        got: what was found.
        done: what was done about it.
        cause: the likely cause, with the remedy.

    Example:
        >>> print(integrity_error("size of a.csv", expected="3 bytes", got="2 bytes",
        ...                       done="nothing was read", cause="cut off; fetch it again"))
        failed check: size of a.csv
          expected: 3 bytes
          got: 2 bytes
          done: nothing was read
          likely cause: cut off; fetch it again
    """
    return ReplicateError(
        f"failed check: {check}\n  expected: {expected}\n  got: {got}\n  done: {done}\n"
        f"  likely cause: {cause}"
    )


def mismatch(file: File, path: Path) -> str | None:
    """Say in which way a file on disk is not the listed one; ``None`` if it is.

    Args:
        file: its size and checksum.
        path: the file on disk, read whole as a stream.
    """
    try:
        got = f"{path.stat().st_size} bytes, sha256 {pooch.file_hash(str(path))}"
    except OSError as error:
        return error.strerror or str(error)
    return None if got == f"{file.bytes} bytes, sha256 {file.sha256}" else got


def require_room(folder: Path, n_bytes: int) -> None:
    """Check that a folder, which need not exist yet, has room for ``n_bytes``.

    Raises:
        ReplicateError: the disk has less free space.
    """
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(existing).free
    if free < n_bytes:
        raise ReplicateError(
            f"{folder} must have {n_bytes:,} bytes free, got {free:,}; nothing was fetched. "
            "Make room, or set REPLICATE_DATA to a folder on a larger disk."
        )


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turn what the file system refuses into one sentence with its remedy."""
    try:
        yield
    except OSError as error:
        raise ReplicateError(
            f"{path} cannot be written: {error.strerror or error}; nothing half-written was left. "
            "Make room or mend the rights of the folder, or set REPLICATE_DATA to another one."
        ) from None


def fetch_file(file: File, target: Path, sources: Iterable[Path | str]) -> None:
    """Put one file in place, whole or not at all, from the first source that has it right.

    Args:
        file: its size and checksum.
        target: where it belongs; folders above it are made.
        sources: files or http addresses, in the order in which they are tried.

    Raises:
        ReplicateError: no source gave the right bytes (each one's answer is listed), or the
            target cannot be written; in both cases nothing is left behind.
    """
    failures = []
    temporary = target.with_name(f".{uuid.uuid4().hex}.part")
    with _writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        for source in sources:
            try:
                failure = _copy(source, temporary) or mismatch(file, temporary)
                if failure is None:
                    os.replace(temporary, target)
                    return
                failures.append(f"{source}: {failure}")
            finally:
                temporary.unlink(missing_ok=True)
    raise integrity_error(
        f"fetching {file.path}",
        expected=f"{file.bytes} bytes, sha256 {file.sha256}",
        got="".join(f"\n    {failure}" for failure in failures),
        done="what came was deleted; files fetched before are kept, and a new fetch goes on there",
        cause="no network or a download cut off (fetch again), or the file has moved or changed "
        "at its source (set REPLICATE_MIRROR to a copy, or mend the manifest)",
    )


def _copy(source: Path | str, temporary: Path) -> str | None:
    """Copy or download to a temporary name; say what the source refused, ``None`` if nothing."""
    if isinstance(source, Path):
        try:
            stream = source.open("rb")
        except OSError as error:
            return error.strerror or str(error)
        with stream, temporary.open("wb") as copy:
            shutil.copyfileobj(stream, copy)
        return None
    try:
        pooch.HTTPDownloader(progressbar=False, timeout=30)(source, str(temporary), None)
    except RequestException as error:
        return str(error)
    return None


def unpack(file: File, folder: Path) -> None:
    """Unpack an archive into its folder, whole or not at all; an older folder is replaced.

    Args:
        file: the archive.
        folder: the folder of the data set.

    Raises:
        ReplicateError: the archive is of another kind, or the folder cannot be written.
    """
    archive, target = folder / file.path, folder / file.unpacked
    temporary = target.with_name(f".{uuid.uuid4().hex}.part")
    with _writing(target):
        try:
            if file.unpack == "zip":
                shutil.unpack_archive(archive, temporary, "zip")
            else:
                shutil.unpack_archive(archive, temporary, "tar", filter="data")
            if target.is_dir():
                shutil.rmtree(target)
            os.replace(temporary, target)
        except (shutil.ReadError, tarfile.TarError, zipfile.BadZipFile) as error:
            raise ReplicateError(
                f"{archive} must be a sound {file.unpack} archive, got: {error}. "
                "Mend `unpack` or the checksum in the manifest."
            ) from None
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
