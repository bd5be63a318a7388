"""Changes of verdicts: the file that lists them, their table on the changelog, and their feed.

Everything read from the file is shown as text: HTML or Markdown inside it has no effect.
"""

import datetime
from collections.abc import Sequence
from html import escape
from typing import Annotated
from urllib.parse import quote

import pandas as pd
from feedgen.feed import FeedGenerator
from pydantic import Field, StringConstraints

from common import display, papers, paths
from common.display import Shown
from common.errors import ReplicateError
from common.papers import Layer, Source
from common.site.imprint import Imprint
from common.site.pages import LAYER_TITLES, raw, small
from common.statistics.decisions import Word
from common.strict_yaml import Strict, load as load_yaml

FILE = "book/verdict-changes.yml"
FEED = "verdicts.atom"
HEADING = "Changes of verdicts"
_PAGE = "book/changelog.html"
# control characters, which neither XML nor a page can show
Line = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]+$", strip_whitespace=True)]


class Change(Strict):
    """One verdict that became another one.

    Args:
        date: day on which the new verdict was archived.
        chapter, claim: what it judges.
        layer, source: the evidence that it rests on.
        before: the older verdict (key ``from``); null where nobody recorded it.
        after: the newer verdict (key ``to``).
        reason: why it changed, in one line.
    """

    date: datetime.date
    chapter: Line
    claim: Line
    layer: Layer
    source: Source
    before: Word | None = Field(alias="from")
    after: Word = Field(alias="to")
    reason: Line

    @property
    def key(self) -> str:
        """A name that no other change has."""
        return f"{self.chapter}-{self.claim}-{self.layer}-{self.source}-{self.date}"


class Changes(Strict):
    """The content of the file."""

    changes: tuple[Change, ...]


def load() -> list[Change]:
    """Read ``book/verdict-changes.yml``.

    Returns:
        The changes, newest first, in the order of the file within a day; none if there is no file.

    Raises:
        ReplicateError: the file is not valid, lists a change twice, or names a chapter, claim or
            layer that does not exist.
    """
    path = paths.root() / FILE
    if not path.is_file():
        return []
    changes = load_yaml(path, Changes).changes
    seen: set[str] = set()
    for change in changes:
        if problem := _problem(change, seen):
            raise ReplicateError(f"{path}: {problem}")
        seen.add(change.key)
    return sorted(changes, key=lambda change: change.date, reverse=True)


def _problem(change: Change, seen: set[str]) -> str:
    """Say what is wrong with a change that is valid by itself, or nothing."""
    known = papers.slugs()
    if change.chapter not in known:
        return (
            f"`chapter` must be one of the book, got {change.chapter!r}. "
            f"Known: {', '.join(known) or 'none'}."
        )
    claims = {claim.id: claim for claim in papers.load(change.chapter).claims}
    place = f"chapter {change.chapter}, claim {change.claim}"
    if change.claim not in claims:
        return (
            f"`claim` must be one of chapter {change.chapter}, got {change.claim!r}. "
            f"Known: {', '.join(claims)}."
        )
    if change.layer not in claims[change.claim].evidence:
        return f"{place} has no layer {change.layer!r}. Mend `layer` or declare it in paper.yml."
    if change.before == change.after:
        return f"{place}: `from` and `to` must differ, got {change.after!r} twice. Remove it."
    if change.key in seen:
        return f"{place} is listed twice for {change.date}. Remove one of the two."
    return ""


def section(changes: Sequence[Change], *, feed: bool) -> str:
    """Write the table of changes for the changelog.

    Args:
        changes: as :func:`load` returns them.
        feed: whether the site has the :func:`feed`, which is then linked.

    Returns:
        Markdown.
    """
    rows = [
        {
            "date": f"{change.date}",
            "claim": _claim(change),
            "evidence": small(LAYER_TITLES[change.layer], display.source_words(change.source)),
            "verdict": _turn(change),
            "reason": change.reason,
        }
        for change in changes
    ]
    if not rows:
        return "No verdict has changed yet.\n"
    table = display.table(
        pd.DataFrame(rows),
        caption="Verdicts that changed, the newest first: the older verdict, then the newer one.",
        index=False,
    )
    link = f'<p>News readers can follow this table as a <a href="../{FEED}">feed (Atom)</a>.</p>'
    return raw(f"{table.html}\n{link if feed else ''}")


def _claim(change: Change) -> Shown:
    text = papers.load(change.chapter).claim(change.claim).text
    slug, claim = escape(change.chapter), escape(change.claim)
    return Shown(
        plain=f"{change.chapter} {change.claim}: {text}",
        html=f'<a href="../notebooks/{quote(change.chapter)}.html">{slug}</a> {claim}'
        f"<br><small>{escape(text)}</small>",
    )


def _turn(change: Change) -> Shown:
    newer = display.verdict_badge(change.after)
    if change.before is None:
        older = Shown(plain="not recorded", html="<small>not recorded</small>")
    else:
        older = display.verdict_badge(change.before)
    arrow = '<br><span role="img" aria-label="became">→</span> '
    return Shown(plain=f"{older.plain} → {newer.plain}", html=f"{older.html}{arrow}{newer.html}")


def feed(changes: Sequence[Change], imprint: Imprint) -> bytes:
    """Write the changes as an Atom feed.

    Args:
        changes: as :func:`load` returns them; at least one.
        imprint: the book; its address must be known.

    Returns:
        XML that depends on nothing but the arguments.

    Source:
        RFC 4287.
    """
    atom = FeedGenerator()
    atom.id(imprint.url(FEED))
    atom.title(f"{imprint.title}: changes of verdicts")
    atom.author(name=imprint.author)
    atom.link(href=imprint.url(FEED), rel="self", type="application/atom+xml")
    atom.link(href=imprint.url(_PAGE), rel="alternate", type="text/html")
    atom.language("en")
    atom.updated(_midnight(max(change.date for change in changes)))
    for change in changes:
        entry = atom.add_entry(order="append")
        page = f"notebooks/{quote(change.chapter)}.html"
        entry.id(f"{imprint.url(_PAGE)}#{quote(change.key)}")
        entry.title(f"{change.chapter} {change.claim}: {change.before or '?'} → {change.after}")
        entry.link(href=imprint.url(page), rel="alternate", type="text/html")
        entry.updated(_midnight(change.date))
        entry.published(_midnight(change.date))
        text = papers.load(change.chapter).claim(change.claim).text
        evidence = f"{LAYER_TITLES[change.layer]}, {display.source_words(change.source)}"
        entry.summary(f"{text} ({evidence}) {change.reason}")
    return atom.atom_str(pretty=True)


def _midnight(day: datetime.date) -> datetime.datetime:
    return datetime.datetime.combine(day, datetime.time(), tzinfo=datetime.UTC)
