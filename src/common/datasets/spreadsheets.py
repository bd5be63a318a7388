"""The first sheet of an Excel workbook (.xlsx) as text, read with the suspicion of ``files``.

A workbook is a zip archive of XML documents. Only values are read: formulas, styles and macros are
never looked at. Numbers stay in the file's own words, so that ``1`` is not made ``1.0``.
"""

from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element
from zipfile import ZipFile

from common.errors import ReplicateError

MAX_PART_BYTES = 64 << 20  # one XML document of a workbook
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"


def read_sheet(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    """Read the first sheet of a workbook; its first row is the header.

    Args:
        path: the file.
        columns: those that must be there; others are kept too.

    Returns:
        One dictionary a row that is not empty, all values as text without blanks around them and
        empty where the cell is.

    Raises:
        ReplicateError: the file is absent or damaged, a part of it is larger than
            :data:`MAX_PART_BYTES`, or a column is missing.
    """
    try:
        with ZipFile(path) as archive:
            shared = _shared(archive)
            rows = [_row(row, shared) for row in _sheet(archive).findall(".//{*}row")]
    except ReplicateError:
        raise
    except Exception as error:
        # zip and XML libraries raise many unrelated types on damaged files
        raise _refusal(path, str(error) or type(error).__name__) from None
    filled = [row for row in rows if any(row.values())]
    header = {place: name for place, name in filled[0].items() if name} if filled else {}
    if lacking := [name for name in columns if name not in header.values()]:
        raise _refusal(path, f"no column {', '.join(lacking)} in the first row of its first sheet")
    return [{name: row.get(place, "") for place, name in header.items()} for row in filled[1:]]


def _refusal(path: Path, problem: str) -> ReplicateError:
    return ReplicateError(f"{path} must be a sound .xlsx workbook, got: {problem}. Copy it again.")


def _part(archive: ZipFile, name: str) -> Element:
    """Parse one document of a workbook without entities, if it is not too large."""
    from defusedxml import ElementTree

    with archive.open(name) as stream:
        # what the header announces may be wrong; what comes out is counted
        text = stream.read(MAX_PART_BYTES + 1)
    if len(text) > MAX_PART_BYTES:
        raise ValueError(f"{name} of more than {MAX_PART_BYTES:,} bytes")
    root: Element = ElementTree.fromstring(text)
    return root


def _sheet(archive: ZipFile) -> Element:
    """Find the first sheet: the workbook names its relation, the relations name its document."""
    first: Any = _part(archive, "xl/workbook.xml").find(".//{*}sheet")
    if first is None:
        raise ValueError("no sheet")
    for relation in _part(archive, "xl/_rels/workbook.xml.rels"):
        if relation.get("Id") == first.get(_RELATION):
            target = relation.get("Target", "")
            return _part(archive, target[1:] if target.startswith("/") else f"xl/{target}")
    raise ValueError("a first sheet without document")


def _shared(archive: ZipFile) -> list[str]:
    """List the texts that cells refer to by number; a workbook may have none."""
    name = "xl/sharedStrings.xml"
    if name not in archive.namelist():
        return []
    return [_text(entry) for entry in _part(archive, name).findall("{*}si")]


def _text(entry: Element) -> str:
    """Join the runs of a rich text; phonetic readings are left out."""
    runs = entry.findall("{*}t") + entry.findall("{*}r/{*}t")
    return "".join(run.text or "" for run in runs)


def _row(row: Element, shared: list[str]) -> dict[str, str]:
    """Read the cells of a row by their column's letters."""
    found = {}
    for cell in row.findall("{*}c"):
        column = cell.get("r", "").rstrip("0123456789")
        kind, inline, value = cell.get("t"), cell.find("{*}is"), cell.findtext("{*}v") or ""
        if inline is not None:
            value = _text(inline)
        elif kind == "s" and value:
            value = shared[int(value)]
        found[column] = value.strip()
    return found
