"""Interactive tables: plain HTML that reads and prints without a script, made sortable with one.

The script is DataTables in the bundle that the package ``itables`` ships. Its bundle is an ES
module, which browsers refuse to load from a file; it is staged as a classic script instead, once
for the whole site, and loaded by the pages that use it alone.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from html import escape
from importlib import metadata, resources
from typing import Any, Literal

import pandas as pd

from common.display import Shown
from common.errors import ReplicateError

FOLDER = "book/_static/tables"
# a spreadsheet takes a text that begins so for a formula
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_EXPORT = re.compile(r"export\{([^}]*)\};")
_LICENCE = "licenses/LICENSE"


@dataclass(frozen=True)
class Column:
    """One column of an interactive table.

    Args:
        head: its header.
        kind: ``number`` is set flush right and sorts by value, ``text`` by its words.
        width: the least width in rem; 0 leaves it to the browser.
    """

    head: str
    kind: Literal["text", "number"] = "text"
    width: float = 0


@dataclass(frozen=True)
class Filter:
    """One control above a table that keeps the rows that have a word.

    Args:
        key: name of the words in :attr:`Row.words`, and in the address of a filtered page.
        label: what the reader sees.
        kind: ``select`` offers every word of the table, ``text`` takes a part of a word.
    """

    key: str
    label: str
    kind: Literal["select", "text"] = "select"


@dataclass(frozen=True)
class Row:
    """One row of an interactive table.

    Args:
        cells: one for each column; the first heads the row.
        order: what a cell sorts by, where that is not its text; by position of the column. None
            in a column of numbers sorts before all.
        words: for each filter the words by which it finds the row.
        id: anchor of the row.
    """

    cells: Sequence[Shown | str]
    order: Mapping[int, float | str | None] = field(default_factory=dict)
    words: Mapping[str, Sequence[str]] = field(default_factory=dict)
    id: str = ""


def table(
    columns: Sequence[Column],
    rows: Sequence[Row],
    *,
    name: str,
    caption: str,
    filters: Sequence[Filter] = (),
    note: str = "",
) -> str:
    """Write a table as HTML that a script can make sortable and searchable.

    Args:
        columns: the columns in order.
        rows: the rows as they stand before anybody sorts them.
        name: id of the table on its page; a filter is set from outside by the address
            ``page.html?<name>-<key>=<word>``.
        caption: what the table holds and how to read it.
        filters: the controls above the table.
        note: a sentence under the table.

    Returns:
        HTML for a page that also holds :func:`head`. All text is escaped.
    """
    first = "".join(_head(column) for column in columns)
    body = "\n".join(_row(row, columns, filters) for row in rows)
    controls = json.dumps([[each.key, each.label, each.kind] for each in filters])
    under = f'<p class="rb-note">{escape(note)}</p>' if note else ""
    label = escape(caption)
    return (
        f'<div class="rb-table rb-data" role="region" tabindex="0" aria-label="{label}">\n'
        f'<table id="{escape(name)}" data-filters="{escape(controls)}">'
        f"<caption><span>{label}</span></caption>\n<thead><tr>{first}</tr></thead>\n"
        f"<tbody>\n{body}\n</tbody></table></div>{under}"
    )


def _head(column: Column) -> str:
    numeric = ' class="rb-number" data-type="num"' if column.kind == "number" else ""
    width = f' style="min-width:{column.width:g}rem"' if column.width else ""
    return f'<th scope="col"{numeric}{width}>{escape(column.head)}</th>'


def _row(row: Row, columns: Sequence[Column], filters: Sequence[Filter]) -> str:
    words = {each.key: list(row.words.get(each.key, ())) for each in filters}
    known = f' data-words="{escape(json.dumps(words, ensure_ascii=False))}"' if filters else ""
    anchor = f' id="{escape(row.id)}"' if row.id else ""
    cells = "".join(
        _cell(cell, column, place, row)
        for place, (cell, column) in enumerate(zip(row.cells, columns, strict=True))
    )
    return f"<tr{anchor}{known}>{cells}</tr>"


def _cell(cell: Shown | str, column: Column, place: int, row: Row) -> str:
    shown = cell if isinstance(cell, Shown) else Shown(plain=cell)
    tag = "td" if place else 'th scope="row"'
    kind = ' class="rb-number"' if column.kind == "number" else ""
    # DataTables reads the attribute of a column only where the cell of the first row has it
    known = column.kind == "number" or place in row.order
    value = row.order.get(place)
    order = f' data-order="{escape("" if value is None else str(value))}"' if known else ""
    inner = shown.html or escape(shown.plain)
    return f"<{tag}{kind}{order}>{inner}</{tag.split()[0]}>"


def head(static: str = "../_static") -> str:
    """Return the HTML that a page with interactive tables holds once.

    Args:
        static: way from the page to the folder of static files.
    """
    folder = escape(f"{static}/tables")
    return (
        f'<link rel="stylesheet" href="{folder}/datatables.css">\n'
        f'<link rel="stylesheet" href="{escape(static)}/tables.css">\n'
        f'<script defer src="{folder}/datatables.js"></script>\n'
        f'<script defer src="{escape(static)}/tables.js"></script>'
    )


@cache
def assets() -> dict[str, bytes]:
    """Return DataTables for the staged site: path inside the staging folder to content.

    Raises:
        ReplicateError: ``itables`` ships its bundle in another form than this book knows.
    """
    folder = resources.files("itables") / "html"
    licence = next(
        path.read_text(encoding="utf-8")
        for path in metadata.files("itables") or ()
        if path.as_posix().endswith(_LICENCE)
    )
    script = classic_script((folder / "dt_bundle.js").read_text(encoding="utf-8"))
    return {
        f"{FOLDER}/datatables.js": script.encode(),
        f"{FOLDER}/datatables.css": (folder / "dt_bundle.css").read_bytes(),
        f"{FOLDER}/LICENSE.txt": licence.encode(),
    }


def classic_script(module: str) -> str:
    """Turn the bundle, an ES module, into a script that browsers also load from a file.

    Args:
        module: the bundle; it imports nothing, and exports DataTables as its default.

    Returns:
        The same code in a function, with DataTables as ``window.DataTable``.

    Raises:
        ReplicateError: the module does not end in one list of exports with a default.

    Example:
        >>> print(classic_script("var a=1;export{a as default};"))
        (function () { "use strict";
        var a=1;window.DataTable = a;
        })();
        <BLANKLINE>
    """
    found = _EXPORT.findall(module)
    default = re.search(r"([\w$]+) as default", found[0]) if len(found) == 1 else None
    if default is None or re.search(r"^import[ {]", module, flags=re.MULTILINE):
        raise ReplicateError(
            "the bundle of itables must be one module with one default export and no import, "
            "and is not. Install the version of itables that pyproject.toml names."
        )
    code = _EXPORT.sub(lambda _: f"window.DataTable = {default[1]};", module)
    return f'(function () {{ "use strict";\n{code}\n}})();\n'


def downloads(frame: pd.DataFrame, path: str) -> dict[str, bytes]:
    """Write a table as CSV and as JSON.

    Args:
        frame: one row for each record; missing values are None or NaN.
        path: path inside the staging folder, without a suffix.

    Returns:
        Path to content. In the CSV a text that a spreadsheet would take for a formula gets an
        apostrophe in front; the JSON holds every text as it is.
    """
    plain = frame.astype(object).where(frame.notna(), None)
    text = plain.map(_harmless).to_csv(index=False, lineterminator="\n")
    listed = json.dumps(plain.to_dict("records"), indent=1, ensure_ascii=False, allow_nan=False)
    return {f"{path}.csv": text.encode(), f"{path}.json": f"{listed}\n".encode()}


def _harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def links(name: str) -> str:
    """Write Markdown that offers the files of :func:`downloads`, staged beside the page."""
    return f"Download: {{download}}`CSV <{name}.csv>` · {{download}}`JSON <{name}.json>`\n"
