"""Whether files are what a manifest lists: sizes, checksums, layout, and a reader's word on it."""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from common.errors import ReplicateError
from common.manifest_schema import File, Manifest, Pattern

Advance = Callable[[int], None]
Progress = Callable[[str, int, int], None]

_SECONDS_BETWEEN_REPORTS = 0.25
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Problem:
    """One thing that is not as the manifest says: what it is, what was expected, what was found."""

    what: str
    expected: str
    got: str


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


def sha256(path: Path, *, advance: Advance | None = None) -> str:
    """Compute the checksum of a file, as a stream.

    Args:
        path: the file.
        advance: called with the number of bytes of each block that was read.

    Returns:
        64 hexadecimal digits.
    """
    digest, buffer = hashlib.sha256(), memoryview(bytearray(_BLOCK))
    with path.open("rb", buffering=0) as stream:
        while n := stream.readinto(buffer):
            digest.update(buffer[:n])
            if advance is not None:
                advance(n)
    return digest.hexdigest()


def expectation(file: File) -> str:
    """Say what a manifest knows of a file's content."""
    size = "any size" if file.bytes is None else f"{file.bytes} bytes"
    return f"{size}, sha256 {file.sha256}" if file.fetchable else f"{size}, no checksum known"


def mismatch(file: File, path: Path, *, advance: Advance | None = None) -> str | None:
    """Say in which way a file on disk is not the listed one; ``None`` if it is.

    Args:
        file: its size and checksum, as far as they are known.
        path: the file on disk, read whole as a stream where a checksum is known.
        advance: called with the number of bytes of each block that was read.
    """
    try:
        size = path.stat().st_size
        if not file.fetchable:
            wrong = not path.is_file() or file.bytes not in (None, size)
            return f"{size} bytes" if wrong else None
        got = f"{size} bytes, sha256 {sha256(path, advance=advance)}"
    except OSError as error:
        return error.strerror or str(error)
    return None if got == expectation(file) else got


def matches(pattern: Pattern, folder: Path) -> list[Path]:
    """List the files of a folder that fit one pattern of the layout, in alphabetical order."""
    return sorted(path for path in folder.glob(pattern.glob) if path.is_file())


def throttled(report: Callable[..., None] | None) -> Callable[..., None]:
    """Wrap a callback so that it is called a few times a second at most; ``None`` does nothing."""
    last = time.monotonic()

    def call(*arguments: object) -> None:
        nonlocal last
        if report is not None and time.monotonic() - last >= _SECONDS_BETWEEN_REPORTS:
            last = time.monotonic()
            report(*arguments)

    return call


def file_problems(
    manifest: Manifest, folder: Path, *, progress: Progress | None = None
) -> list[Problem]:
    """Compare every listed file with the manifest.

    Args:
        manifest: the data set.
        folder: where it lies.
        progress: called a few times a second at most with the file that is being read, the bytes
            read so far and the bytes of all files.

    Returns:
        One problem for each file that is absent or differs, or is an archive not unpacked.
    """
    report, problems, done = throttled(progress), [], 0
    total = sum(file.bytes or 0 for file in manifest.files)
    for file in manifest.files:

        def advance(n_bytes: int, path: str = file.path) -> None:
            nonlocal done
            done += n_bytes
            report(path, done, total)

        if got := mismatch(file, folder / file.path, advance=advance):
            problems.append(Problem(file.path, expectation(file), got))
        if file.unpack is not None and not (folder / file.unpacked).is_dir():
            problems.append(Problem(file.unpacked, "the unpacked archive", "no folder"))
    return problems


def layout_problems(manifest: Manifest, folder: Path) -> list[Problem]:
    """Count the files of each kind; one problem for each count that the layout does not state."""
    counted = [(pattern, len(matches(pattern, folder))) for pattern in manifest.patterns]
    return [
        Problem(pattern.glob, f"{pattern.count} files", f"{count} files")
        for pattern, count in counted
        if count != pattern.count
    ]


def read_cases(
    load: Callable[[Path], object],
    folder: Path,
    *,
    progress: Progress | None = None,
) -> tuple[int | None, list[Problem]]:
    """Read every case of a data set through its reader.

    Args:
        load: the reader.
        folder: where the data set lies.
        progress: called a few times a second at most with a case, the cases read so far and the
            number of all.

    Returns:
        The number of cases (``None``: the reader returns something else, such as a table) and one
        problem for each case that could not be read, in the reader's words.
    """
    try:
        cases = load(folder)
    except Exception as error:
        # a defect of the reader on files of this copy is a finding like any other
        return None, [Problem("all cases", "a reader that knows them", _words(error))]
    # by its form, since the type comes later in the flow of data
    table = getattr(cases, "table", None)
    if table is None or not isinstance(cases, Sequence):
        return None, []
    report, problems = throttled(progress), []
    for number, name in enumerate(table["case"]):
        try:
            cases[number]
        except Exception as error:
            problems.append(Problem(f"case {name}", "a readable case", _words(error)))
        report(f"case {name}", number + 1, len(cases))
    return len(cases), problems


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, ReplicateError) else f"{type(error).__name__}: {error}"
