"""The scoreboard: every claim and every audit check of every chapter, and statistics over papers.

Everything read from files is shown as text: HTML or Markdown inside it has no effect.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd

from common import display
from common.display import Shown
from common.papers import LAYERS
from common.site import reporting, tables
from common.site.boards import CHECK_COLUMNS, Board, checks, records
from common.site.chapters import plain_text
from common.site.pages import LAYER_TITLES, raw, small, stack
from common.site.tables import Column, Filter, Row

# the section of a chapter that judges its claims
TRIAL = "the-claims-on-trial"
_STATUS = {
    "fail": ("✗", "contradicted"),
    "undecidable": ("?", "inconclusive"),
    "pass": ("✓", "supported"),
}


def page(boards: Sequence[Board]) -> str:
    """Write the scoreboard.

    Args:
        boards: the chapters in their order.

    Returns:
        Markdown with counts of verdicts, the table of claims, the table of audit checks, and what
        the papers report.
    """
    if not boards:
        return "No chapter has been added yet.\n"
    counts = pd.DataFrame([_counts(board) for board in boards])
    summary = display.table(
        counts, caption="Claims by verdict; a claim counts once for each source.", index=False
    )
    problems = "".join(
        f":::{{warning}}\n{plain_text(text)}\n:::\n"
        for board in boards
        for text in board.evidence.problems
    )
    return "\n".join(
        [
            raw(tables.head()),
            problems,
            raw(summary.html),
            "## Every claim\n",
            raw(_claim_table(boards)),
            tables.links("scoreboard"),
            "## What the audits found\n",
            raw(_audit_table(boards)),
            tables.links("audit"),
            "## Across papers\n",
            raw(reporting.count_table(boards).html),
            raw(reporting.paper_table(boards).html),
        ]
    )


def _counts(board: Board) -> dict[str, Any]:
    row: dict[str, Any] = {"chapter": _chapter(board)}
    for layer in LAYERS:
        found = Counter(v["verdict"] for v in board.evidence.verdicts if v["layer"] == layer)
        badges = [_counted(name, found[name]) for name in display.SYMBOLS if found[name]]
        row[LAYER_TITLES[layer]] = stack(badges) if badges else "–"
    return row


def _chapter(board: Board) -> Shown:
    paper, slug = board.paper, escape(board.slug)
    about = small(paper.title, f"{', '.join(paper.authors)}. {paper.venue}, {paper.year}.")
    link = f'<a href="../notebooks/{slug}.html">{slug}</a>: '
    return Shown(plain=f"{board.slug}: {about.plain}", html=link + about.html)


def _counted(verdict: str, n: int) -> Shown:
    badge = display.verdict_badge(verdict)
    return Shown(plain=f"{n} {badge.plain}", html=f"{n}&nbsp;{badge.html}")


_CLAIM_COLUMNS = (
    Column("Claim"),
    Column("What is claimed", width=10),
    Column("Layer and source"),
    Column("Verdict", width=8),
    Column("Published effect", "number"),
    Column("P(order is false)", "number", width=5.5),
    Column("Effect here [95 %]", "number"),
    Column("Corrected p", "number"),
    Column("Smallest effect", "number"),
)
_CLAIM_FILTERS = (
    Filter("chapter", "Chapter"),
    Filter("layer", "Layer"),
    Filter("source", "Source"),
    Filter("verdict", "Verdict"),
    Filter("claim", "Words of the claim", "text"),
)


def _claim_table(boards: Sequence[Board]) -> str:
    rows = [_claim_row(place, each) for place, each in enumerate(records(boards))]
    return tables.table(
        _CLAIM_COLUMNS,
        rows,
        name="claims",
        caption="Each claim of each chapter, on each layer and source that tests it. Its name "
        "leads to its trial in the chapter.",
        filters=_CLAIM_FILTERS,
        note="The published effect and the probability that the printed order is false come "
        "from the printed table alone; the probability is a range, over what the table leaves "
        "unsaid. p is corrected inside each family of claims. The smallest effect is the one that "
        "the design finds with 80 % power; for claims about a margin, the smallest margin that it "
        "would show.",
    )


def _claim_row(place: int, each: Mapping[str, Any]) -> Row:
    tested = each["verdict"] != "untested"
    source = display.source_words(each["source"])
    return Row(
        cells=[
            _place_of(each),
            _text_of(each),
            _layer(each, source),
            _verdict(each),
            _effect(each["published_effect"], unit=each["published_unit"]),
            _false(each),
            _effect(each["effect"], each["low"], each["high"], unit=each["effect_unit"]),
            display.p_value(each["p_adjusted"]),
            display.effect(each["detectable"], unit=each["effect_unit"]).lstrip("+"),
        ],
        order={
            0: place,
            4: each["published_effect"],
            5: each["p_false_high"],
            6: each["effect"],
            7: each["p_adjusted"],
            8: each["detectable"],
        },
        words={
            "chapter": [each["chapter"]],
            "layer": [each["layer"]],
            "source": [source] if source else [],
            "verdict": [each["verdict"], *(["any that was tested"] if tested else [])],
            "claim": [each["text"]],
        },
    )


def _place_of(each: Mapping[str, Any]) -> Shown:
    slug, claim = escape(each["chapter"]), escape(each["claim"])
    html = (
        f'<a href="../notebooks/{slug}.html#{TRIAL}">{claim}</a><br>'
        f'<small><a href="../notebooks/{slug}.html">{slug}</a></small>'
    )
    return Shown(plain=f"{each['claim']}, {each['chapter']}", html=html)


def _text_of(each: Mapping[str, Any]) -> Shown:
    return small(each["text"], "a question of the book" if each["ours"] else "")


def _verdict(each: Mapping[str, Any]) -> Shown:
    badge = display.verdict_badge(each["verdict"])
    if each["verdict"] != "untested":
        return badge
    why = f"<br><small>{escape(each['note'])}</small>"
    return Shown(plain=f"{badge.plain}; {each['note']}", html=badge.html + why)


def _layer(each: Mapping[str, Any], source: str) -> Shown:
    shown = small(each["layer"], source, _run_of(each))
    name = escape(each["layer"])
    line = f'<span class="rb-line">{name}</span>'
    return Shown(plain=shown.plain, html=line + shown.html.removeprefix(name))


def _run_of(each: Mapping[str, Any]) -> str:
    run = f"{each['profile']} run" if each["profile"] else ""
    return ", ".join(part for part in (run, "code changed since" if each["stale"] else "") if part)


def _effect(
    value: float | None, low: float | None = None, high: float | None = None, *, unit: str
) -> Shown:
    plain = display.effect(value, low, high, unit=unit)
    size, bracket, rest = plain.partition(" [")
    interval, _, word = rest.partition("] ") if bracket else ("", "", "")
    lines = [f"{size} {word}".strip()] if bracket else [plain]
    lines += [f"[{interval.rstrip(']')}]"] if bracket else []
    html = "<br>".join(f'<span class="rb-line">{escape(line)}</span>' for line in lines)
    return Shown(plain=plain, html=html)


def _false(each: Mapping[str, Any]) -> Shown:
    if each["p_false_high"] is None:
        return Shown(plain="–")
    high, low = display.p_value(each["p_false_high"]), each["p_false_low"]
    span = f"up to {high}" if low is None else f"{display.p_value(low)} to {high}"
    return small(span, each["p_false_over"] if each["source"] == "published" else "")


_AUDIT_COLUMNS = (
    Column("Check"),
    Column("What should hold", width=14),
    Column("Outcome"),
    Column("Printed", width=8),
    Column("Recomputed", width=8),
    Column("What follows", width=12),
)


def _audit_table(boards: Sequence[Board]) -> str:
    return tables.table(
        _AUDIT_COLUMNS,
        [_audit_row(place, each) for place, each in enumerate(checks(boards))],
        name="audit",
        caption="Each check of published numbers: against one another, and against outputs that "
        "the authors released.",
        filters=(
            Filter("chapter", "Chapter"),
            Filter("outcome", "Outcome"),
            Filter("against", "Checked against"),
        ),
    )


def _audit_row(place: int, each: Mapping[str, Any]) -> Row:
    symbol, kind = _STATUS[each["outcome"]]
    badge = Shown(
        plain=f"{symbol} {each['outcome']}",
        html=f'<span class="rb-badge rb-{kind}"><span aria-hidden="true">{symbol}</span> '
        f"{escape(each['outcome'])}</span>",
    )
    slug = escape(each["chapter"])
    where = Shown(
        plain=f"{each['chapter']} {each['check']}",
        html=f'<a href="../notebooks/{slug}.html#audit">{slug}</a> {escape(each["check"])}',
    )
    texts = [display.number(each[name]) or "–" for name in ("printed", "recomputed")]
    return Row(
        cells=[where, each["statement"], badge, *texts, each["note"] or "–"],
        order={0: place},
        words={name: [each[name]] for name in ("chapter", "outcome", "against")},
    )


def files(boards: Sequence[Board]) -> dict[str, bytes]:
    """Return what the page loads and offers: path inside the staging folder to content."""
    if not boards:
        return {}
    claims = pd.DataFrame(records(boards))
    audit = pd.DataFrame(checks(boards), columns=CHECK_COLUMNS)
    return {
        **tables.assets(),
        **tables.downloads(claims, "book/scoreboard"),
        **tables.downloads(audit, "book/audit"),
    }


def picture(boards: Sequence[Board]) -> str:
    """Draw papers by claims: one square for each claim on each layer, with its verdict's symbol.

    Args:
        boards: the chapters in their order.

    Returns:
        Markdown; every row of squares leads to its part of the scoreboard, and says its counts in
        words.
    """
    if not boards:
        return ""
    symbols = "".join(f"<li>{_square(name, '')} {escape(name)}</li>" for name in display.SYMBOLS)
    rows = "".join(_picture_rows(board) for board in boards)
    return raw(
        f'<figure class="rb-board"><ul class="rb-board-key" aria-label="Symbols">{symbols}</ul>\n'
        f"{rows}<figcaption>One square is one claim of a paper, in the paper's order; one line is "
        "one kind of evidence. A line leads to its verdicts.</figcaption></figure>"
    )


def _picture_rows(board: Board) -> str:
    found = {(v["layer"], v.get("source") or "") for v in board.evidence.verdicts}
    order = sorted(found, key=lambda each: (LAYERS.index(each[0]), each[1]))
    strips = "".join(_strip(board, layer, source) for layer, source in order)
    slug = escape(board.slug)
    return (
        f'<div class="rb-board-paper"><p><a href="../notebooks/{slug}.html">{slug}</a> '
        f"{escape(board.paper.title)}</p>{strips or '<p>not run yet</p>'}</div>\n"
    )


def _strip(board: Board, layer: Any, source: str) -> str:
    by_claim = {
        v["claim"]: v["verdict"]
        for v in board.evidence.verdicts
        if v["layer"] == layer and (v.get("source") or "") == source
    }
    words = {claim.id: by_claim.get(claim.id, "untested") for claim in board.paper.claims}
    counts = Counter(words.values())
    told = ", ".join(f"{counts[name]} {name}" for name in display.SYMBOLS if counts[name])
    name = LAYER_TITLES[layer]
    name += f", {display.source_words(source)}" if layer == "replication" else ""
    squares = "".join(
        _square(words[claim.id], f"{claim.id}: {claim.text} {words[claim.id].capitalize()}.")
        for claim in board.paper.claims
    )
    address = f"scoreboard.html?claims-chapter={board.slug}&claims-layer={LAYER_TITLES[layer]}"
    return (
        f'<a class="rb-strip" href="{escape(address)}#every-claim" '
        f'aria-label="{escape(f"{board.slug}, {name}: {told}")}">'
        f'<span class="rb-strip-name">{escape(name)}</span>'
        f'<span class="rb-squares" aria-hidden="true">{squares}</span></a>'
    )


def _square(verdict: str, title: str) -> str:
    said = f' title="{escape(title)}"' if title else ""
    symbol = display.SYMBOLS[verdict]
    return f'<span class="rb-square rb-{verdict}" aria-hidden="true"{said}>{symbol}</span>'
