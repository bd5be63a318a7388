"""The disk under the data: room on it, and what it refuses, in words."""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common.errors import ReplicateError


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
def writing(path: Path) -> Iterator[None]:
    """Turn what the file system refuses into one sentence with its remedy.

    Raises:
        ReplicateError: an ``OSError`` was raised inside.
    """
    try:
        yield
    except OSError as error:
        raise ReplicateError(
            f"{path} cannot be written: {error.strerror or error}; nothing half-written was left. "
            "Make room or mend the rights of the folder, or set REPLICATE_DATA to another one."
        ) from None


def replace_folder(temporary: Path, target: Path) -> None:
    """Give a new folder the name of an older one, which is put back if that fails.

    Args:
        temporary: the new folder, beside the target.
        target: its name; an older folder of that name is deleted.

    Raises:
        OSError: the disk refused.
    """
    older = target.with_name(f".{uuid.uuid4().hex}.older")
    if target.is_dir():
        os.replace(target, older)
    try:
        os.replace(temporary, target)
    except OSError:
        if older.is_dir():
            os.replace(older, target)
        raise
    shutil.rmtree(older, ignore_errors=True)
