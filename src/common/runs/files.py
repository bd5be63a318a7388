"""Files written whole or not at all, and storage problems told in one sentence."""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from common.errors import ReplicateError


@contextmanager
def storage(path: Path) -> Iterator[None]:
    """Turn an operating system error into one that a person can act on.

    Args:
        path: what is being written.

    Raises:
        ReplicateError: the disk is full, or the folder is missing or cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise ReplicateError(
            f"{path} cannot be written: {error.strerror or error}. Make room or choose another "
            "folder; nothing half-written was left behind."
        ) from None


def write_text(path: Path, text: str) -> Path:
    """Write a text file atomically; its folder is made.

    Raises:
        ReplicateError: see :func:`storage`; the old content, if any, is untouched.
    """
    with storage(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(text)
            # mkstemp makes files that only their owner can read
            os.chmod(name, 0o644)
            os.replace(name, path)
        finally:
            Path(name).unlink(missing_ok=True)
    return path


def write_json(path: Path, content: Any) -> Path:
    """Write JSON atomically, keys in the order given; not-a-number is refused as invalid JSON."""
    return write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON.

    Returns:
        The content, or None if the file is missing or damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def sha256(content: str | bytes) -> str:
    """Return the hexadecimal sha256 of a text or of bytes.

    Example:
        >>> sha256("")[:8]
        'e3b0c442'
    """
    data = content.encode() if isinstance(content, str) else content
    return hashlib.sha256(data).hexdigest()


def digest(content: Any) -> str:
    """Return the sha256 of plain data; the order of dictionary keys does not matter.

    Example:
        >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
        True
    """
    return sha256(json.dumps(content, sort_keys=True, default=str))
