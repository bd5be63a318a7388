"""Statistics over papers: how they report their evidence, and how many printed tables are wrong."""

import re
from collections.abc import Sequence
from typing import Any

import pandas as pd

from common import display
from common.display import Shown
from common.papers import Reporting, Table
from common.site.boards import OUTPUTS, PRINTED, Board, held_against
from common.site.pages import small

Count = tuple[str, int, int]

_PRINTED_TABLE = re.compile(r"(Table|Fig(ure|\.)) ")
_HEADS = {
    "interval": "interval",
    "test": "statistical test",
    "unit": "unit of its scores",
    "seeds": "trainings behind a number",
    "code": "code released",
    "data": "images",
}


def counts(boards: Sequence[Board]) -> list[Count]:
    """Count over papers what they report, and over printed tables how many are wrong.

    Args:
        boards: the chapters; a paper whose ``paper.yml`` has no ``reporting`` is not counted.

    Returns:
        For each statement its words, how many it holds for, and of how many.
    """
    return [*_of_papers([said for _, said in _declared(boards)]), *_of_tables(boards)]


def _declared(boards: Sequence[Board]) -> list[tuple[Board, Reporting]]:
    pairs = [(board, board.paper.reporting) for board in boards]
    return [(board, said) for board, said in pairs if said is not None]


def _of_papers(said: Sequence[Reporting]) -> list[Count]:
    holds = {
        "papers that print an interval": [each.interval.value for each in said],
        "papers that put a comparison to a test": [each.test.value for each in said],
        "papers whose scores are by patient": [each.unit.value == "patient" for each in said],
        "papers with more than one training behind a number": [
            (each.seeds.value or 0) > 1 for each in said
        ],
        "papers that released code": [each.code.value for each in said],
        "papers whose images are public or given on request": [
            each.data.value in ("public", "request") for each in said
        ],
    }
    return [(words, sum(flags), len(flags)) for words, flags in holds.items()]


def _of_tables(boards: Sequence[Board]) -> list[Count]:
    printed = [(board, table) for board in boards for table in _printed_tables(board)]
    checked = [
        (board, table)
        for board, table in printed
        if any(held_against(check) == OUTPUTS for check in board.audit)
    ]
    return [
        (
            "printed tables that contradict themselves",
            sum(_refuted(board, table, PRINTED) for board, table in printed),
            len(printed),
        ),
        (
            "printed tables that outputs released by the authors contradict",
            sum(_refuted(board, table, OUTPUTS) for board, table in checked),
            len(checked),
        ),
    ]


def _printed_tables(board: Board) -> list[Table]:
    """List the tables and figures of a paper; numbers gathered from its prose are none."""
    return [table for table in board.paper.tables if _PRINTED_TABLE.match(table.where)]


def _refuted(board: Board, table: Table, against: str) -> bool:
    """Tell whether a failed check names a table in its id or its statement."""
    name = re.compile(rf"{re.escape(table.where)}(?!\w)")
    return any(
        check["status"] == "fail"
        and held_against(check) == against
        and name.search(f"{check['id']} {check['statement']}")
        for check in board.audit
    )


def count_table(boards: Sequence[Board]) -> Shown:
    """Show the :func:`counts` that are of at least one paper or table."""
    rows = [
        {"what": words, "number": n, "of": total, "share": f"{100 * n / total:.0f} %"}
        for words, n, total in counts(boards)
        if total
    ]
    return display.table(
        pd.DataFrame(rows, columns=["what", "number", "of", "share"]),
        caption="How the papers of this book report their evidence",
        index=False,
    )


def paper_table(boards: Sequence[Board]) -> Shown:
    """Show what each paper reports, and where that can be checked."""
    rows: list[dict[str, Any]] = []
    for board, said in _declared(boards):
        stated = {head: getattr(said, name) for name, head in _HEADS.items()}
        cells = {head: small(_word(each.value), each.where) for head, each in stated.items()}
        rows.append({"chapter": board.slug, **cells})
    return display.table(
        pd.DataFrame(rows, columns=["chapter", *_HEADS.values()]),
        caption="What each paper says, and where",
        index=False,
    )


def _word(value: Any) -> str:
    if value is None:
        return "not stated"
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)
