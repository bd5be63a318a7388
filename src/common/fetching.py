"""A data set fetched file by file, by one process at a time, and its archives unpacked."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from common.disk import require_room, writing
from common.downloads import Patience, fetch_file, unfetchable
from common.errors import ReplicateError
from common.integrity import Progress, mismatch
from common.manifest_schema import File, Manifest
from common.unpacking import unpack

Sources = Callable[[File], Iterable[Path | str]]


def fetch_files(
    manifest: Manifest,
    folder: Path,
    sources: Sources,
    *,
    progress: Progress | None = None,
    patience: Patience | None = None,
) -> None:
    """Fill a folder with the files of a data set; those that are there and right are kept.

    Args:
        manifest: the data set.
        folder: where its files belong.
        sources: the places to look for a file, in the order in which they are tried.
        progress: called after each file, and a few times a second while one comes, with its path,
            the bytes in place and all bytes.
        patience: time limits and retries.

    Raises:
        ReplicateError: there is no room, the folder cannot be written, another process fills it
            now, no source gave a file with the right checksum, or a file that is absent has no
            checksum to test it by.
    """
    wanted = {file for file in manifest.files if mismatch(file, folder / file.path)}
    require_room(folder, sum(file.bytes or 0 for file in wanted if file.fetchable))
    total = sum(file.bytes or 0 for file in manifest.files)
    done = total - sum(file.bytes or 0 for file in wanted)
    with _alone(folder):
        for file in manifest.files:
            if not file.fetchable:
                continue
            if file in wanted:

                def report(n_bytes: int, path: str = file.path, before: int = done) -> None:
                    if progress is not None:
                        progress(path, before + n_bytes, total)

                target = folder / file.path
                fetch_file(
                    file,
                    target,
                    sources(file),
                    hosts=manifest.hosts,
                    progress=report,
                    patience=patience,
                )
                report(file.bytes or 0)
                done += file.bytes or 0
            if file.unpack and (file in wanted or not (folder / file.unpacked).is_dir()):
                unpack(file, folder)
    by_hand = [
        unfetchable(file, folder / file.path, manifest.url(file))
        for file in manifest.files
        if file in wanted and not file.fetchable
    ]
    if by_hand:
        raise ReplicateError("\n".join(by_hand))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one process fill a folder at a time; the lock ends with its process."""
    path = folder.parent / ".locks" / f"{folder.name}.lock"
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise ReplicateError(
                f"{folder} is being filled by another process. Wait until that one has ended."
            ) from None
    try:
        yield
    finally:
        lock.release()
