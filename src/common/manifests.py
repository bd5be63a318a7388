"""Data sets: what each one is, where its files are, and whether they are whole.

A manifest is ``data_manifests/datasets/<dataset>.yml``, with a long file list beside it in
``<dataset>.files.csv``. Files live in ``<data dir>/<dataset>/<path>``; a mirror
(``REPLICATE_MIRROR``, a folder or an http address) holds them at ``<mirror>/<dataset>/<path>``.
Presence is judged by size, which is quick; :func:`verify` and :func:`fetch` read every byte.
"""

import difflib
import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import pooch

from common import paths
from common.downloads import Patience
from common.errors import ReplicateError, UsageError
from common.fetching import fetch_files
from common.file_lists import read as read_files
from common.integrity import (
    Progress,
    file_problems,
    integrity_error,
    layout_problems,
    matches,
    read_cases,
)
from common.manifest_schema import Access, File, Manifest
from common.strict_yaml import load as load_yaml

State = Literal["present", "partial", "missing", "not obtainable"]


@dataclass(frozen=True)
class Status:
    """What is on disk: files and bytes found of those expected (``None``: size not known).

    ``remedy`` says in a line how a reader comes by what is missing; it is empty if nothing is.
    """

    dataset: str
    state: State
    access: Access
    folder: Path | None
    n_present: int
    n_files: int
    bytes_present: int
    n_bytes: int | None
    remedy: str


@dataclass(frozen=True)
class Verified:
    """A data set whose files are right; ``n_cases`` were read (``None``: none was tried)."""

    dataset: str
    folder: Path
    n_files: int
    n_bytes: int
    n_cases: int | None


def datasets() -> list[str]:
    """List the data sets that have a manifest, in alphabetical order."""
    return sorted(path.stem for path in paths.dataset_manifest("x").parent.glob("*.yml"))


def load(dataset: str) -> Manifest:
    """Read a manifest, with its file list.

    Raises:
        UsageError: unknown data set, naming the nearest known one.
        ReplicateError: the manifest or its file list is not valid, with every problem's place.
    """
    path = paths.dataset_manifest(dataset)
    if Path(dataset).name != dataset or not path.is_file():
        known = datasets()
        near = difflib.get_close_matches(dataset, known, n=1, cutoff=0.0)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise UsageError(
            f"unknown data set {dataset!r}.{hint} Known: {', '.join(known) or 'none'}."
        )
    manifest = load_yaml(path, Manifest)
    if manifest.dataset != dataset:
        raise ReplicateError(
            f"{path}: `dataset` must be the file's name {dataset!r}, got {manifest.dataset!r}. "
            "Rename one."
        )
    if manifest.files_from is None:
        return manifest
    table = path.with_name(manifest.files_from)
    listed = manifest.model_copy(update={"files": read_files(table)})
    for file in listed.files:
        if listed.access == "open" and file.fetchable and listed.url(file) is None:
            raise ReplicateError(
                f"{table}: {file.path!r} must have an address, got none. "
                f"Give a `url` in its line or `source.base_url` in {path.name}."
            )
    return listed


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


def _is_present(file: File, folder: str) -> bool:
    # os.path answers False where pathlib raises because a folder cannot be searched.
    path = f"{folder}/{file.path}"
    if file.bytes is None:
        whole = os.path.isfile(path)
    else:
        whole = os.path.isfile(path) and os.path.getsize(path) == file.bytes
    return whole and (file.unpack is None or os.path.isdir(f"{folder}/{file.unpacked}"))


def _inventory(manifest: Manifest, folder: Path) -> tuple[int, int]:
    """Count the files and bytes of a data set in one folder, by size or by pattern."""
    if not os.path.isdir(folder):
        return 0, 0
    if manifest.files:
        found = [file for file in manifest.files if _is_present(file, str(folder))]
        sizes = [
            os.path.getsize(folder / file.path) if file.bytes is None else file.bytes
            for file in found
        ]
    else:
        sizes = [
            path.stat().st_size
            for pattern in manifest.patterns
            for path in matches(pattern, folder)[: pattern.count]
        ]
    return len(sizes), sum(sizes)


def size(manifest: Manifest) -> int | None:
    """Return the bytes of all files, listed or stated; ``None`` if the manifest gives neither."""
    sizes = [file.bytes for file in manifest.files if file.bytes is not None]
    return sum(sizes) if sizes and len(sizes) == len(manifest.files) else manifest.size_bytes


def status(dataset: str) -> Status:
    """Say how much of a data set is on disk, in the folder that holds most of it.

    Returns:
        ``present`` if every file has its size (or every pattern its count); ``partial``;
        ``missing``; ``not obtainable`` if nothing is there and access is private or generated.

    Raises:
        UsageError: unknown data set.
    """
    return _status(load(dataset))


def _status(manifest: Manifest) -> Status:
    found = {folder: _inventory(manifest, folder) for folder in _folders(manifest.dataset)}
    folder = max(found, key=lambda place: found[place][0])
    n_present, bytes_present = found[folder]
    n_files = len(manifest.files) or sum(pattern.count for pattern in manifest.patterns)
    state: State = "partial"
    if n_present == 0:
        closed = manifest.access in ("private", "generated")
        state = "not obtainable" if closed else "missing"
    elif n_present == n_files:
        state = "present"
    return Status(
        dataset=manifest.dataset,
        state=state,
        access=manifest.access,
        folder=folder if n_present else None,
        n_present=n_present,
        n_files=n_files,
        bytes_present=bytes_present,
        n_bytes=size(manifest),
        remedy="" if state == "present" else _remedy(manifest),
    )


def _remedy(manifest: Manifest) -> str:
    """Say in a line how a reader comes by a data set, or why nobody can."""
    if manifest.access == "generated":
        return "generated from a seed"
    if manifest.access == "private":
        return f"private; phantom: {manifest.phantom}" if manifest.phantom else "private"
    if can_fetch(manifest):
        return f"replicate data fetch {manifest.dataset}"
    needs = {"open": "steps by hand", "registration": "an account", "agreement": "a contract"}
    return f"needs {needs[manifest.access]}"


def can_fetch(manifest: Manifest) -> bool:
    """Say whether files of a data set can be downloaded and checked by themselves."""
    return manifest.access == "open" and any(file.fetchable for file in manifest.files)


def locate(dataset: str) -> Path | None:
    """Return the folder where all files of a data set lie: the data folder, else the mirror's.

    Sizes are checked, not checksums; ``None`` if no folder is complete.
    """
    found = status(dataset)
    return found.folder if found.state == "present" else None


def require(dataset: str, folder: Path | None = None) -> Path:
    """Return the folder that a reader is to read: the given one, else where the files lie.

    Args:
        dataset: name of the data set.
        folder: a folder named by the caller, taken as it is.

    Raises:
        UsageError: unknown data set.
        ReplicateError: the files are not on disk (with the steps to obtain them), or the given
            folder does not exist.
    """
    if folder is not None:
        if not folder.is_dir():
            raise ReplicateError(f"{folder} must be the folder of {dataset}, got none there.")
        return folder
    found = locate(dataset)
    if found is None:
        raise ReplicateError(how_to_obtain(dataset))
    return found


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
    lines = [
        f"{file.sha256 or (folder / file.path).stat().st_size}  {file.path}"
        for file in manifest.files
    ] or [
        f"{path.stat().st_size}  {path.relative_to(folder).as_posix()}"
        for pattern in manifest.patterns
        for path in matches(pattern, folder)
    ]
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def verify(
    dataset: str,
    *,
    reader: Callable[[Path], object] | None = None,
    progress: Progress | None = None,
) -> Verified:
    """Check a data set: the sum of every file, the layout, and that a reader reads every case.

    Args:
        dataset: name of the data set.
        reader: reads its cases, see :func:`common.datasets.registry.reader`; none are read if left
            out.
        progress: called a few times a second at most with a file and the bytes read of all bytes,
            then with a case and the cases read of all cases.

    Raises:
        UsageError: unknown data set.
        ReplicateError: nothing is there, or files are absent or differ, or cases cannot be read;
            lists every one of them.
    """
    manifest = load(dataset)
    found = _status(manifest)
    if found.folder is None:
        raise ReplicateError(_how_to_obtain(manifest))
    problems = file_problems(manifest, found.folder, progress=progress)
    problems += layout_problems(manifest, found.folder)
    n_cases = None
    if reader is not None:
        n_cases, unread = read_cases(reader, found.folder, progress=progress)
        problems += unread
    if problems:
        raise integrity_error(
            f"{len(problems)} entries of {dataset} in {found.folder}",
            expected="".join(f"\n    {one.what}: {one.expected}" for one in problems),
            got="".join(f"\n    {one.what}: {one.got}" for one in problems),
            done="every file was read; none was changed or deleted",
            cause=f"an interrupted copy, or files edited by hand. {_how_to_obtain(manifest)}",
        )
    return Verified(dataset, found.folder, found.n_present, found.bytes_present, n_cases)


def how_to_obtain(dataset: str) -> str:
    """Say in words how a reader comes by a data set."""
    return _how_to_obtain(load(dataset))


def _how_to_obtain(manifest: Manifest) -> str:
    dataset = manifest.dataset
    if manifest.access == "generated":
        return f"{dataset} is generated from a seed by the chapter; there is nothing to fetch."
    if can_fetch(manifest):
        return f"Run `replicate data fetch {dataset}`."
    if manifest.access == "private":
        instead = f" Use the phantom {manifest.phantom!r} instead." if manifest.phantom else ""
        return f"{dataset} is private: nobody outside its owners can have it.{instead}"
    last = f"Put the files into {data_dir() / dataset}, then run `replicate data verify {dataset}`."
    steps = [*manifest.obtain, last]
    numbered = "\n".join(f"  {number}. {step}" for number, step in enumerate(steps, start=1))
    return f"{dataset} cannot be downloaded by itself (access: {manifest.access}):\n{numbered}"


def fetch(
    dataset: str, *, progress: Progress | None = None, patience: Patience | None = None
) -> Path:
    """Fill the reader's data folder with a data set: from the mirror, else from its source.

    A file that is there with the right checksum is kept. Every other one is written under a
    temporary name, checked, and renamed, so that an interrupted fetch leaves only whole files
    and the next one goes on from there.

    Args:
        dataset: name of an open data set, or of one that is already complete on disk.
        progress: called after each file, and a few times a second while one comes, with its path,
            the bytes in place and all bytes.
        patience: time limits and retries.

    Returns:
        The folder that holds every file.

    Raises:
        UsageError: unknown data set.
        ReplicateError: the data set is not open (with the steps to obtain it), there is no room,
            the folder cannot be written, another process fetches it now, no source gave a file
            with the right checksum, or a file that is absent has no checksum to test it by.
    """
    manifest = load(dataset)
    if not can_fetch(manifest):
        return require(dataset)
    folder = data_dir() / dataset
    fetch_files(
        manifest,
        folder,
        lambda file: _sources(manifest, file),
        progress=progress,
        patience=patience,
    )
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
