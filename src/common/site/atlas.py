"""The atlas: recent papers on medical image analysis, their claims, what could be replicated.

The rows are in ``book/atlas.csv`` and ``book/surveys.csv``. Everything read from them is shown as
text: HTML or Markdown inside it has no effect.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pandas as pd

from common import display, papers, paths
from common.display import Shown
from common.errors import ReplicateError
from common.site import atlas_plots, tables
from common.site.chapters import plain_text
from common.site.pages import raw, small, stack
from common.site.tables import Column, Filter, Row

COLUMNS = (
    "n",
    "arxiv_id",
    "version",
    "title",
    "date",
    "code_url",
    "kind",
    "task",
    "modality",
    "dims",
    "key_technique",
    "headline_claim",
    "claim_metric",
    "claim_value",
    "venue",
    "testable",
    "replication_value",
    "cpu_feasible",
    "related_chapter",
    "reason",
)
SURVEY_COLUMNS = ("arxiv_id", "topic", "question")
SCRIPT = "book/_static/bokeh/bokeh.min.js"
_ARXIV = re.compile(r"\d{4}\.\d{4,5}(v\d+)?")
_NO_CLAIM = "none"

_TABLE_COLUMNS = (
    Column("Paper", width=11),
    Column("Date"),
    Column("Kind and task", width=6),
    Column("Images"),
    Column("Technique and claim", width=13),
    Column("Worth replicating", width=9.5),
    Column("Chapter"),
    Column("Code"),
)
_FILTERS = (
    Filter("kind", "Kind"),
    Filter("task", "Task"),
    Filter("modality", "Modality"),
    Filter("dims", "Dimensions"),
    Filter("worth", "Worth replicating"),
    Filter("testable", "Testable"),
    Filter("cpu", "Core idea runs on a CPU"),
    Filter("code", "Code"),
    Filter("chapter", "Related chapter"),
    Filter("month", "Month"),
    Filter("technique", "Words of the technique", "text"),
)


def read(path: Path | None = None, columns: Sequence[str] = COLUMNS) -> pd.DataFrame:
    """Read the papers of the atlas.

    Args:
        path: a CSV file; ``book/atlas.csv`` by default.
        columns: the columns that it must have.

    Returns:
        One row a paper, all columns text; several values in one cell are separated by ``;``.

    Raises:
        ReplicateError: the file cannot be read or has other columns.
    """
    path = path or paths.root() / "book/atlas.csv"
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise ReplicateError(f"{path} cannot be read: {error}. Restore the file.") from None
    if tuple(frame.columns) != tuple(columns):
        raise ReplicateError(
            f"{path} must have the columns {', '.join(columns)}, got {', '.join(frame.columns)}. "
            "Rename or add them."
        )
    return frame


def page() -> str:
    """Write the generated part of the atlas.

    Returns:
        Markdown: two plots that select rows, the table of all papers, and the map of surveys.

    Raises:
        ReplicateError: see :func:`read`.
    """
    frame = read()
    return "\n".join(
        [
            raw(tables.head() + atlas_plots.head()),
            "## Where the papers are\n",
            raw(atlas_plots.heatmap(counts(frame)) + _counts_table(frame)),
            "## Who gives code\n",
            raw(atlas_plots.months(by_month(frame)) + _month_table(frame)),
            "## All papers\n",
            raw(_table(frame)),
            "Download: {download}`CSV <atlas.csv>`\n",
            "## A reading map of the surveys\n",
            _surveys(frame),
        ]
    )


@cache
def files() -> dict[str, bytes]:
    """Return what the page loads: path inside the staging folder to content."""
    folder = resources.files("bokeh")
    return {
        **tables.assets(),
        SCRIPT: (folder / "server/static/js/bokeh.min.js").read_bytes(),
        f"{Path(SCRIPT).parent.as_posix()}/LICENSE.txt": (folder / "LICENSE.txt").read_bytes(),
    }


def counts(frame: pd.DataFrame) -> dict[tuple[str, str], int]:
    """Count the papers of each task on each modality.

    Returns:
        (task, modality) to number; a paper with several of either counts once for each pair.
    """
    found: Counter[tuple[str, str]] = Counter()
    for tasks, modalities in zip(frame["task"], frame["modality"], strict=True):
        found.update((task, kind) for task in tasks.split(";") for kind in modalities.split(";"))
    return dict(found)


def by_month(frame: pd.DataFrame) -> dict[str, tuple[int, int]]:
    """Count the papers of each month of the listed versions: with and without a link."""
    linked = frame["code_url"] != ""
    months = frame["date"].str[:7]
    return {
        month: (int(linked[months == month].sum()), int((~linked)[months == month].sum()))
        for month in sorted(months.unique())
    }


def _counts_table(frame: pd.DataFrame) -> str:
    found = counts(frame)
    tasks, kinds = atlas_plots.order(found)
    rows = [
        {"task": task, **{kind: _count(found.get((task, kind), 0), task, kind) for kind in kinds}}
        for task in tasks
    ]
    table = display.table(
        pd.DataFrame(rows, columns=["task", *kinds]),
        caption="Papers by task and modality; a number leads to its papers. A paper with several "
        "of either is in several cells.",
        index=False,
    )
    return _folded("The same numbers as a table", table.html)


def _count(n: int, task: str, modality: str) -> Shown:
    if not n:
        return Shown(plain="–")
    query = urlencode({"papers-task": task, "papers-modality": modality})
    words = escape(f"{n} on {task}, {modality}")
    return Shown(
        plain=str(n),
        html=f'<a href="{escape(f"?{query}#all-papers")}" aria-label="{words}">{n}</a>',
    )


def _month_table(frame: pd.DataFrame) -> str:
    rows = [
        {"month": month, "with a link": linked, "without": rest}
        for month, (linked, rest) in by_month(frame).items()
    ]
    table = display.table(
        pd.DataFrame(rows), caption="Papers by month of the listed version", index=False
    )
    return _folded("The same numbers as a table", table.html)


def _folded(summary: str, html: str) -> str:
    return f'<details class="rb-alternative"><summary>{summary}</summary>\n{html}\n</details>'


def _table(frame: pd.DataFrame) -> str:
    chapters = set(papers.slugs())
    return tables.table(
        _TABLE_COLUMNS,
        [_row(paper, chapters) for paper in frame.to_dict("records")],
        name="papers",
        caption="Claims are told in our words, from the abstracts alone.",
        filters=_FILTERS,
    )


def _row(paper: Mapping[Any, str], chapters: set[str]) -> Row:
    claim = "" if paper["headline_claim"] == _NO_CLAIM else paper["headline_claim"]
    numbers = ": ".join(part for part in (paper["claim_metric"], paper["claim_value"]) if part)
    return Row(
        cells=[
            _title(paper),
            Shown(
                plain=paper["date"], html=f'<span class="rb-line">{escape(paper["date"])}</span>'
            ),
            small(paper["kind"], *paper["task"].split(";")),
            small(paper["modality"].replace(";", ", "), _dims(paper)),
            small(paper["key_technique"], claim, numbers),
            small(
                f"{paper['replication_value']} of 5",
                paper["reason"],
                f"testable: {paper['testable']}, CPU: {paper['cpu_feasible']}",
            ),
            _chapter(paper["related_chapter"], chapters),
            _code(paper),
        ],
        order={0: paper["title"].lower(), 5: int(paper["replication_value"])},
        words=_words(paper),
        id=f"arxiv-{paper['arxiv_id']}",
    )


def _words(paper: Mapping[Any, str]) -> dict[str, list[str]]:
    return {
        "kind": [paper["kind"]],
        "task": paper["task"].split(";"),
        "modality": paper["modality"].split(";"),
        "dims": paper["dims"].split(";"),
        "worth": [f"{paper['replication_value']} of 5"],
        "testable": [paper["testable"]],
        "cpu": [paper["cpu_feasible"]],
        "code": ["with a link" if paper["code_url"] else "without"],
        "chapter": [paper["related_chapter"]] if paper["related_chapter"] else [],
        "month": [paper["date"][:7]],
        "technique": [paper["key_technique"]],
    }


def _dims(paper: Mapping[Any, str]) -> str:
    return "" if paper["dims"] == "none" else paper["dims"].replace(";", ", ")


def _title(paper: Mapping[Any, str]) -> Shown:
    address = paper["arxiv_id"] + paper["version"]
    about = small(paper["title"], f"arXiv {address}", paper["venue"])
    if not _ARXIV.fullmatch(address):
        return about
    title = escape(paper["title"])
    link = f'<a href="https://arxiv.org/abs/{address}">{title}</a>'
    return Shown(plain=about.plain, html=link + about.html.removeprefix(title))


def _chapter(slug: str, chapters: set[str]) -> Shown:
    if slug not in chapters:
        return Shown(plain=slug or "–")
    return Shown(plain=slug, html=f'<a href="../notebooks/{escape(slug)}.html">{escape(slug)}</a>')


def _code(paper: Mapping[Any, str]) -> Shown:
    found = [url for url in paper["code_url"].split(";") if url.startswith("https://")]
    label = escape(f"link of {paper['title']}")
    links = [
        Shown(
            plain=url,
            html=f'<a href="{escape(url)}" aria-label="{label}">link{_numeral(place)}</a>',
        )
        for place, url in enumerate(found, start=1)
    ]
    return stack(links) if links else Shown(plain="–")


def _numeral(place: int) -> str:
    return f" {place}" if place > 1 else ""


def _surveys(frame: pd.DataFrame) -> str:
    """List the surveys under their topics, with the question that each answers."""
    mapped = read(paths.root() / "book/surveys.csv", SURVEY_COLUMNS)
    known = {paper["arxiv_id"]: paper for paper in frame.to_dict("records")}
    lines: list[str] = []
    for topic, group in mapped.groupby("topic", sort=False):
        lines += ["", f"**{plain_text(str(topic))}**", ""]
        for survey in group.to_dict("records"):
            paper = known.get(survey["arxiv_id"])
            if paper is None:
                raise ReplicateError(
                    f"book/surveys.csv names {survey['arxiv_id']!r}, which is not in "
                    "book/atlas.csv. Mend one of them."
                )
            lines.append(f"- {_survey_link(paper)}. {plain_text(survey['question'])}")
    return "\n".join(lines) + "\n"


def _survey_link(paper: Mapping[Any, str]) -> str:
    title, address = plain_text(paper["title"]), paper["arxiv_id"] + paper["version"]
    if not _ARXIV.fullmatch(address):
        return title
    return f"[{title}](https://arxiv.org/abs/{address})"
