"""How the command line speaks: results on stdout, everything else on stderr."""

import json
from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

_COLOURS = {
    "supported": "green",
    "contradicted": "red",
    "equivalent": "cyan",
    "inconclusive": "yellow",
    "pass": "green",
    "fail": "red",
    "present": "green",
    "missing": "yellow",
}


def stdout() -> Console:
    """Return a console on the present standard output."""
    return Console(highlight=False)


def stderr() -> Console:
    """Return a console on the present standard error."""
    return Console(stderr=True, highlight=False)


def say(text: str) -> None:
    """Print a result line as it is: no wrapping, no markup."""
    stdout().print(text, markup=False, soft_wrap=True)


def tell(text: str) -> None:
    """Print a line that is not part of the result."""
    stderr().print(text, markup=False, soft_wrap=True)


def print_json(content: Any) -> None:
    """Print JSON and nothing else."""
    print(json.dumps(content, indent=1, allow_nan=False, default=str))


def print_table(columns: list[str], rows: Iterable[Iterable[Any]]) -> None:
    """Print a table; words that carry a verdict are coloured, and remain words.

    The first column, which names the rows, is never cut or wrapped.
    """
    table = Table(*columns, box=None, pad_edge=False)
    table.columns[0].no_wrap = True
    listed = [[str(item) for item in row] for row in rows]
    table.columns[0].min_width = max((len(row[0]) for row in listed), default=0)
    for row in listed:
        table.add_row(*(Text(item, style=_COLOURS.get(item, "")) for item in row))
    stdout().print(table)
