"""Data sets: what each one is, where its files are, and whether they are whole.

A manifest is ``data_manifests/datasets/<dataset>.yml``, with a long file list beside it in
``<dataset>.files.csv``. Files live in ``<data dir>/<dataset>/<path>``; a mirror
(``REPLICATE_MIRROR``, a folder or an http address) holds them at ``<mirror>/<dataset>/<path>``.
Presence is judged by size, which is quick; :func:`verify` and :func:`fetch` read every byte.
"""

import csv
import difflib
import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import pooch
from pydantic import ValidationError

from common import paths
from common.downloads import fetch_file, integrity_error, mismatch, require_room, unpack
from common.errors import ReplicateError, UsageError
from common.manifest_schema import Access, File, Manifest, Pattern
from common.strict_yaml import load as load_yaml

State = Literal["present", "partial", "missing", "not obtainable"]
Progress = Callable[[str, int, int], None]

FILE_COLUMNS = ["path", "bytes", "sha256"]


@dataclass(frozen=True)
class Status:
    """What is on disk: files and bytes found of those expected (``None``: size not known)."""

    dataset: str
    state: State
    access: Access
    folder: Path | None
    n_present: int
    n_files: int
    bytes_present: int
    n_bytes: int | None


@dataclass(frozen=True)
class Verified:
    """A data set whose every listed file has the right checksum."""

    dataset: str
    folder: Path
    n_files: int
    n_bytes: int


def datasets() -> list[str]:
    """List the data sets that have a manifest, in alphabetical order."""
    return sorted(path.stem for path in paths.dataset_manifest("x").parent.glob("*.yml"))


def load(dataset: str) -> Manifest:
    """Read a manifest, with its file list.

    Raises:
        UsageError: unknown data set, naming the nearest known one.
        ReplicateError: the manifest or its file list is not valid, with every problem's place.
    """
    known = datasets()
    if dataset not in known:
        near = difflib.get_close_matches(dataset, known, n=1, cutoff=0.0)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise UsageError(
            f"unknown data set {dataset!r}.{hint} Known: {', '.join(known) or 'none'}."
        )
    path = paths.dataset_manifest(dataset)
    manifest = load_yaml(path, Manifest)
    if manifest.dataset != dataset:
        raise ReplicateError(
            f"{path}: `dataset` must be the file's name {dataset!r}, got {manifest.dataset!r}. "
            "Rename one."
        )
    if manifest.files_from is None:
        return manifest
    return manifest.model_copy(update={"files": _file_list(path.with_name(manifest.files_from))})


def _file_list(path: Path) -> tuple[File, ...]:
    """Read ``<dataset>.files.csv``."""
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.reader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ReplicateError(f"{path} cannot be read: {error}. Restore the file.") from None
    if not rows or rows[0] != FILE_COLUMNS:
        raise ReplicateError(f"{path}:1 must be {','.join(FILE_COLUMNS)}. Restore the header.")
    files: dict[str, File] = {}
    for line, row in enumerate(rows[1:], start=2):
        try:
            file = File.model_validate(dict(zip(FILE_COLUMNS, row, strict=True)))
        except (ValidationError, ValueError) as error:
            raise ReplicateError(f"{path}:{line}: {error}. Mend that line.") from None
        if file.path in files:
            raise ReplicateError(f"{path}:{line}: {file.path!r} is listed twice. Delete one.")
        files[file.path] = file
    return tuple(files.values())


def data_dir() -> Path:
    """Return the folder of the reader's data: ``REPLICATE_DATA``, else the user's cache folder."""
    named = os.environ.get("REPLICATE_DATA")
    return (Path(named) if named else pooch.os_cache("replication-book")).expanduser().resolve()


def _mirror() -> Path | str | None:
    """Return the mirror as a folder or an http address."""
    named = os.environ.get("REPLICATE_MIRROR")
    if not named:
        return None
    if named.startswith(("http://", "https://")):
        return named.rstrip("/")
    folder = Path(named).expanduser().resolve()
    if not folder.is_dir():
        raise ReplicateError(
            f"`REPLICATE_MIRROR` must be an existing folder or an http(s) address, got {named!r}. "
            "Mend or unset it."
        )
    return folder


def _folders(dataset: str) -> list[Path]:
    """List the folders in which a data set may lie, the reader's own first."""
    mirror = _mirror()
    own = data_dir() / dataset
    return [own, mirror / dataset] if isinstance(mirror, Path) else [own]


def _matches(pattern: Pattern, folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob(pattern.glob) if path.is_file())


def _is_present(file: File, folder: Path) -> bool:
    # os.path answers False where pathlib raises because a folder cannot be searched.
    path = folder / file.path
    whole = os.path.isfile(path) and os.path.getsize(path) == file.bytes
    return whole and (file.unpack is None or os.path.isdir(folder / file.unpacked))


def _inventory(manifest: Manifest, folder: Path) -> tuple[int, int]:
    """Count the files and bytes of a data set in one folder, by size or by pattern."""
    if manifest.files:
        sizes = [file.bytes for file in manifest.files if _is_present(file, folder)]
    else:
        sizes = [
            path.stat().st_size
            for pattern in manifest.patterns
            for path in _matches(pattern, folder)[: pattern.count]
        ]
    return len(sizes), sum(sizes)


def status(dataset: str) -> Status:
    """Say how much of a data set is on disk, in the folder that holds most of it.

    Returns:
        ``present`` if every file has its size (or every pattern its count); ``partial``;
        ``missing``; ``not obtainable`` if nothing is there and access is private or generated.

    Raises:
        UsageError: unknown data set.
    """
    manifest = load(dataset)
    found = {folder: _inventory(manifest, folder) for folder in _folders(dataset)}
    folder = max(found, key=lambda place: found[place][0])
    n_present, bytes_present = found[folder]
    n_files = len(manifest.files) or sum(pattern.count for pattern in manifest.patterns)
    state: State = "partial"
    if n_present == 0:
        closed = manifest.access in ("private", "generated")
        state = "not obtainable" if closed else "missing"
    elif n_present == n_files:
        state = "present"
    n_bytes = sum(file.bytes for file in manifest.files) if manifest.files else None
    return Status(
        dataset=dataset,
        state=state,
        access=manifest.access,
        folder=folder if n_present else None,
        n_present=n_present,
        n_files=n_files,
        bytes_present=bytes_present,
        n_bytes=n_bytes,
    )


def locate(dataset: str) -> Path | None:
    """Return the folder where all files of a data set lie: the data folder, else the mirror's.

    Sizes are checked, not checksums; ``None`` if no folder is complete.
    """
    found = status(dataset)
    return found.folder if found.state == "present" else None


def checksum(dataset: str) -> str:
    """Return one digest of a data set for the key of a cached run.

    Returns:
        64 hexadecimal digits over the sums that the manifest lists, or over names and sizes on
        disk where it lists none; ``absent`` if the data are not there, ``generated`` for a phantom.
    """
    manifest, folder = load(dataset), locate(dataset)
    if manifest.access == "generated":
        return "generated"
    if folder is None:
        return "absent"
    lines = [f"{file.sha256}  {file.path}" for file in manifest.files] or [
        f"{path.stat().st_size}  {path.relative_to(folder).as_posix()}"
        for pattern in manifest.patterns
        for path in _matches(pattern, folder)
    ]
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def verify(dataset: str) -> Verified:
    """Read every file of a data set and compare it with the manifest.

    Raises:
        UsageError: unknown data set.
        ReplicateError: nothing is there, or files are absent or differ; lists every one of them.
    """
    manifest, found = load(dataset), status(dataset)
    if found.folder is None:
        raise ReplicateError(how_to_obtain(dataset))
    problems = [
        (file.path, f"{file.bytes} bytes, sha256 {file.sha256}", got)
        for file in manifest.files
        if (got := mismatch(file, found.folder / file.path))
    ]
    for pattern in manifest.patterns:
        count = len(_matches(pattern, found.folder))
        if count != pattern.count:
            problems.append((pattern.glob, f"{pattern.count} files", f"{count} files"))
    if problems:
        raise integrity_error(
            f"{len(problems)} entries of {dataset} in {found.folder}",
            expected="".join(f"\n    {name}: {wanted}" for name, wanted, _ in problems),
            got="".join(f"\n    {name}: {got}" for name, _, got in problems),
            done="every file was read; none was changed or deleted",
            cause=f"an interrupted copy, or files edited by hand. {how_to_obtain(dataset)}",
        )
    return Verified(dataset, found.folder, found.n_present, found.bytes_present)


def how_to_obtain(dataset: str) -> str:
    """Say in words how a reader comes by a data set."""
    manifest = load(dataset)
    if manifest.access == "generated":
        return f"{dataset} is generated from a seed by the chapter; there is nothing to fetch."
    if manifest.access == "open" and manifest.files:
        return f"Run `replicate data fetch {dataset}`."
    if manifest.access == "private":
        instead = f" Use the phantom {manifest.phantom!r} instead." if manifest.phantom else ""
        return f"{dataset} is private: nobody outside its owners can have it.{instead}"
    last = f"Put the files into {data_dir() / dataset}, then run `replicate data verify {dataset}`."
    steps = [*manifest.obtain, last]
    numbered = "\n".join(f"  {number}. {step}" for number, step in enumerate(steps, start=1))
    return f"{dataset} cannot be downloaded by itself (access: {manifest.access}):\n{numbered}"


def fetch(dataset: str, *, progress: Progress | None = None) -> Path:
    """Fill the reader's data folder with a data set: from the mirror, else from its source.

    A file that is there with the right checksum is kept. Every other one is written under a
    temporary name, checked, and renamed, so that an interrupted fetch leaves only whole files
    and the next one goes on from there.

    Args:
        dataset: name of an open data set, or of one that is already complete on disk.
        progress: called after each file with its path, the bytes in place and all bytes.

    Returns:
        The folder that holds every file.

    Raises:
        UsageError: unknown data set.
        ReplicateError: the data set is not open (with the steps to obtain it), there is no room,
            the folder cannot be written, or no source gave a file with the right checksum.
    """
    manifest = load(dataset)
    if manifest.access != "open" or not manifest.files:
        found = locate(dataset)
        if found is None:
            raise ReplicateError(how_to_obtain(dataset))
        return found
    folder = data_dir() / dataset
    wanted = {file for file in manifest.files if mismatch(file, folder / file.path)}
    missing = sum(file.bytes for file in wanted)
    total = sum(file.bytes for file in manifest.files)
    require_room(folder, missing)
    for file in manifest.files:
        stale = file in wanted
        if stale:
            fetch_file(file, folder / file.path, _sources(manifest, file))
            missing -= file.bytes
            if progress is not None:
                progress(file.path, total - missing, total)
        if file.unpack is not None and (stale or not (folder / file.unpacked).is_dir()):
            unpack(file, folder)
    return folder


def _sources(manifest: Manifest, file: File) -> Iterator[Path | str]:
    """Yield the places to look for a file, the mirror first."""
    mirror, original = _mirror(), manifest.url(file)
    if isinstance(mirror, Path):
        yield mirror / manifest.dataset / file.path
    elif mirror is not None:
        yield f"{mirror}/{quote(manifest.dataset)}/{quote(file.path)}"
    if original is not None:
        yield original
