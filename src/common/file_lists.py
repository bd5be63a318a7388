"""The long file lists of data sets: ``<dataset>.files.csv`` beside the manifest."""

import csv
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from common.errors import ReplicateError
from common.manifest_schema import File

COLUMNS = ["path", "bytes", "sha256"]
# an address of its own, where the local path is not the published one
OPTIONAL_COLUMN = "url"
_FILES = TypeAdapter(tuple[File, ...])


def read(path: Path) -> tuple[File, ...]:
    """Read a file list.

    Args:
        path: a table with the columns path, bytes, sha256 and perhaps url; an empty cell is a
            fact that nobody knows.

    Returns:
        Its files, in the order of the lines.

    Raises:
        ReplicateError: the table is absent, has another header, or a line is not valid or names a
            file again; names the line.
    """
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            header, *rows = list(csv.reader(stream)) or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ReplicateError(f"{path} cannot be read: {error}. Restore the file.") from None
    if header not in (COLUMNS, [*COLUMNS, OPTIONAL_COLUMN]):
        raise ReplicateError(
            f"{path}:1 must be {','.join(COLUMNS)}[,{OPTIONAL_COLUMN}]. Restore the header."
        )
    seen: set[str] = set()
    for line, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise ReplicateError(
                f"{path}:{line} must have {len(header)} values, got {len(row)}. Mend that line."
            )
        if row[0] in seen:
            raise ReplicateError(f"{path}:{line}: {row[0]!r} is listed twice. Delete one.")
        seen.add(row[0])
    try:
        return _FILES.validate_python(
            [
                {name: value for name, value in zip(header, row, strict=True) if value}
                for row in rows
            ]
        )
    except ValidationError as error:
        problem = error.errors()[0]
        number, *field = problem["loc"]
        place = f"{path}:{int(number) + 2}: {'.'.join(map(str, field))}".rstrip(": ")
        raise ReplicateError(f"{place}: {problem['msg']}. Mend that line.") from None
