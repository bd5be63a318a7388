"""What a chapter shows: tables, figures, verdicts and live source, readable on a page, in
Jupyter and as plain text.

Every object carries HTML (or Markdown) for the page and a stable plain text, which is what the
checked cells of a notebook are compared by.
"""

import ast
import base64
import inspect
import io
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from common import paths
from common.errors import ReplicateError
from common.papers import Paper

REPOSITORY = "https://github.com/replication-book/replication-book/blob/main"
LONGEST_CELL = 25
# a table of few columns that holds sentences is set to the width of the page
_FEW_COLUMNS = 5
_SENTENCE = 60
SYMBOLS = {
    "supported": "✓",
    "contradicted": "✗",
    "equivalent": "≈",
    "inconclusive": "?",
    "untested": "–",
}
SOURCE_WORDS = {
    "phantom": "phantom",
    "open": "open data",
    "authors": "authors' outputs",
    "published": "printed table",
}

Format = str | Callable[[Any], str]


@dataclass(frozen=True)
class Shown:
    """Something to show: ``html`` or ``markdown`` for a page, ``plain`` everywhere else.

    Example:
        >>> Shown(plain="two", html="<b>2</b>")
        two
    """

    plain: str
    html: str = ""
    markdown: str = ""

    def __repr__(self) -> str:
        return self.plain

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        bundle = {"text/plain": self.plain}
        if self.html:
            bundle["text/html"] = self.html
        if self.markdown:
            bundle["text/markdown"] = self.markdown
        return bundle


def number(value: Any, *, digits: int = 3) -> str:
    """Format one value: floats to ``digits`` decimals, missing values as a dash.

    Example:
        >>> number(0.83371), number(12), number(float("nan")), number(-0.0001)
        ('0.834', '12', '–', '0.000')
    """
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return "–"
    if isinstance(value, float | np.floating):
        text = f"{float(value):.{digits}f}"
        return text.lstrip("-") if float(text) == 0 else text.replace("-", "−")
    return str(value)


def p_value(p: float | None) -> str:
    """Format a p-value: three decimals, and never a zero.

    Example:
        >>> p_value(0.0312), p_value(2e-8), p_value(None)
        ('0.031', '< 0.001', '–')
    """
    if p is None or np.isnan(p):
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def effect(
    value: float | None, low: float | None = None, high: float | None = None, *, unit: str = ""
) -> str:
    """Format a signed effect with its interval; a ``fraction`` is shown in percentage points.

    Args:
        value: the effect in the metric's unit.
        low: lower end of its interval; the interval is left out when an end is missing.
        high: upper end of its interval.
        unit: unit of the metric; ``fraction`` multiplies by 100.

    Example:
        >>> effect(0.0131, -0.0006, 0.027, unit="fraction")
        '+1.31 [−0.06, +2.70] points'
    """
    if value is None or np.isnan(value):
        return "–"
    scale, word = (100.0, "points") if unit == "fraction" else (1.0, unit)
    digits = 2 if unit == "fraction" else 3

    def signed(x: float) -> str:
        return f"{x * scale:+.{digits}f}".replace("-", "−")

    text = signed(value)
    if low is not None and high is not None and not (np.isnan(low) or np.isnan(high)):
        text += f" [{signed(low)}, {signed(high)}]"
    return f"{text} {word}".strip()


def table(
    frame: pd.DataFrame,
    *,
    caption: str,
    digits: int = 3,
    formats: Mapping[str, Format] | None = None,
    index: bool = True,
    note: str = "",
) -> Shown:
    """Show a table with header cells, a caption, and room to scroll inside itself.

    Args:
        frame: rows and columns to show; a cell may itself be a :class:`Shown`.
        caption: what the table holds and how to read it.
        digits: decimals of floats that ``formats`` does not name.
        formats: for a column, a format string (``"{:.1f}"``) or a function to text.
        index: show the index; the first shown column heads the rows.
        note: a sentence under the table.

    Returns:
        HTML with ``scope`` on every header cell, and the same cells as plain text. All text is
        escaped.

    Example:
        >>> table(pd.DataFrame({"arm": ["A"], "Dice": [0.91234]}), caption="Overlap", index=False)
        Overlap
        arm  Dice
          A 0.912
    """
    cells = frame.reset_index() if index and not isinstance(frame.index, pd.RangeIndex) else frame
    heads = [_head(name) for name in cells.columns]
    columns = [
        [_cell(value, (formats or {}).get(head), digits) for value in cells.iloc[:, place]]
        for place, head in enumerate(heads)
    ]
    numeric = [pd.api.types.is_numeric_dtype(kind) for kind in cells.dtypes]
    rows = list(zip(*columns, strict=True))
    text = pd.DataFrame([[cell.plain for cell in row] for row in rows], columns=heads)
    plain = f"{caption}\n{text.to_string(index=False)}" if rows else f"{caption}\n(no rows)"
    return Shown(
        plain=f"{plain}\n{note}" if note else plain,
        html=_html_table(heads, rows, numeric=numeric, caption=caption, note=note),
    )


def _head(name: Any) -> str:
    levels = name if isinstance(name, tuple) else (name,)
    return ", ".join(str(level) for level in levels if str(level))


def _cell(value: Any, rule: Format | None, digits: int) -> Shown:
    if isinstance(value, Shown):
        return value
    if callable(rule):
        text = rule(value)
    elif rule is not None and number(value) != "–":
        text = rule.format(value).replace("-", "−")
    else:
        text = number(value, digits=digits)
    return Shown(plain=text, html=escape(text))


def _html_table(
    heads: list[str],
    rows: Sequence[tuple[Shown, ...]],
    *,
    numeric: list[bool],
    caption: str,
    note: str,
) -> str:
    kinds = [' class="rb-number"' if flag else "" for flag in numeric]
    head = "".join(
        f'<th scope="col"{kind}>{escape(name)}</th>'
        for name, kind in zip(heads, kinds, strict=True)
    )
    body = ""
    for first, *rest in rows:
        cells = "".join(
            f"<td{kind}>{cell.html or escape(cell.plain)}</td>"
            for cell, kind in zip(rest, kinds[1:], strict=True)
        )
        body += f'<tr><th scope="row">{first.html or escape(first.plain)}</th>{cells}</tr>\n'
    under = f'<p class="rb-note">{escape(note)}</p>' if note else ""
    longest = max((len(cell.plain) for row in rows for cell in row), default=0)
    wraps = len(heads) <= _FEW_COLUMNS and longest > _SENTENCE
    kind = "rb-table rb-wrap" if wraps else "rb-table"
    return (
        f'<div class="{kind}" role="region" tabindex="0" aria-label="{escape(caption)}">\n'
        f"<table><caption><span>{escape(caption)}</span></caption>\n<thead><tr>{head}</tr></thead>\n"
        f"<tbody>\n{body}</tbody></table></div>{under}"
    )


def verdict_badge(verdict: str) -> Shown:
    """Show a verdict as symbol, word and colour; none of the three is needed to read it.

    Raises:
        ReplicateError: not one of the five verdicts.

    Example:
        >>> verdict_badge("supported")
        ✓ supported
    """
    if verdict not in SYMBOLS:
        raise ReplicateError(
            f"`verdict` must be one of {', '.join(SYMBOLS)}, got {verdict!r}. "
            "Take it from common.statistics.verdicts."
        )
    plain = f"{SYMBOLS[verdict]} {verdict}"
    inner = f'<span aria-hidden="true">{SYMBOLS[verdict]}</span> {verdict}'
    return Shown(plain=plain, html=f'<span class="rb-badge rb-{verdict}">{inner}</span>')


def verdict_table(
    verdicts: Iterable[Any], paper: Paper, *, caption: str = "The claims on trial"
) -> Shown:
    """Show verdicts with everything that a verdict must name.

    Args:
        verdicts: objects or mappings with the fields of ``common.statistics.verdicts.Verdict``.
        paper: supplies the claims' texts and the metrics' units.
        caption: the table's caption.

    Returns:
        One row per verdict: claim, verdict, layer with source, effect with interval, corrected p,
        smallest detectable effect, test, unit of analysis with counts, and notes.
    """
    return table(
        pd.DataFrame([verdict_row(verdict, paper) for verdict in verdicts]),
        caption=caption,
        index=False,
        note="p is corrected inside each family of claims; for a printed table stands the largest "
        "probability that the claim is false. The smallest effect is the one that this design "
        "finds with 80 % power; for claims about a margin, the smallest margin that it would show.",
    )


def verdict_row(verdict: Any, paper: Paper) -> dict[str, Any]:
    """Turn one verdict into the cells of a row; see :func:`verdict_table`."""
    get = _getter(verdict)
    claim = paper.claim(get("claim"))
    layer = get("layer")
    metric = claim.on(layer).metric if layer in claim.evidence else claim.metric
    unit = {each.id: each.unit for each in paper.metrics}.get(metric or "", "")
    notes = [get("note") or "", *(get("warnings") or ())]
    return {
        "claim": f"{claim.id}: {claim.text}",
        "verdict": verdict_badge(get("verdict")),
        "layer": ", ".join(filter(None, (layer, source_words(get("source"))))),
        "effect [95 % interval]": effect(get("effect"), get("low"), get("high"), unit=unit),
        "corrected p": _evidence_against(get),
        "smallest effect": effect(get("detectable"), unit=unit).lstrip("+"),
        "test": (get("test") or "–").replace("_", " "),
        "unit": _unit_of_analysis(get),
        "notes": "; ".join(note for note in notes if note) or "–",
    }


def _evidence_against(get: Callable[[str], Any]) -> str:
    """Show the corrected p; a printed table gives a probability that the claim is false instead."""
    if get("layer") != "published":
        return p_value(get("p_adjusted"))
    return "–" if get("p") is None else f"P(false) up to {p_value(get('p'))}"


def source_words(source: str | None) -> str:
    """Say where cases come from, in the words of the page.

    Example:
        >>> source_words("authors"), source_words(None)
        ("authors' outputs", '')
    """
    return SOURCE_WORDS.get(source or "", source or "")


def _getter(verdict: Any) -> Callable[[str], Any]:
    if isinstance(verdict, Mapping):
        return verdict.get
    return lambda name: getattr(verdict, name, None)


def _unit_of_analysis(get: Callable[[str], Any]) -> str:
    unit = get("unit")
    if not unit:
        return "–"
    if isinstance(unit, tuple | list):
        case, cluster = unit
    else:
        case, cluster = _getter(unit)("case"), _getter(unit)("cluster")
    parts = [
        f"{get('n_cases')} × {case}" if get("n_cases") else case,
        f"{get('n_clusters')} × {cluster}" if get("n_clusters") and cluster != case else "",
        f"{get('n_seeds')} seeds" if get("n_seeds") else "",
    ]
    return ", ".join(part for part in parts if part)


def describe(figure: Figure, *, alt: str, caption: str = "", dpi: int = 144) -> Shown:
    """Show a figure with alternative text and a caption.

    Args:
        figure: a matplotlib figure; it is drawn and not kept.
        alt: what a reader who cannot see the figure needs to know; never empty.
        caption: what is shown and how to read it.
        dpi: pixels per inch of the picture; 144 is sharp at twice the page's 72.

    Raises:
        ReplicateError: ``alt`` is empty.
    """
    if not alt.strip():
        raise ReplicateError("`alt` must say what the figure shows, got ''. Describe it.")
    buffer = io.BytesIO()
    # a third of the bytes of PNG, and no pixel differs
    figure.savefig(buffer, format="webp", dpi=dpi, pil_kwargs={"lossless": True, "method": 4})
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    width, height = (round(72 * inches) for inches in figure.get_size_inches())
    under = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return Shown(
        plain=f"Figure: {alt}",
        html=f'<figure class="rb-figure"><img class="dark-light" alt="{escape(alt)}" '
        f'width="{width}" height="{height}" src="data:image/webp;base64,{data}">{under}</figure>',
    )


def source_of(thing: Any, *, docstring: bool = False) -> Shown:
    """Show the live source of a function or class, with a link to its file.

    Args:
        thing: a function, method, class or module-level callable written in this book.
        docstring: keep docstrings; they are left out by default, the page explains instead.

    Returns:
        Markdown that Jupyter and the site highlight; more than 25 lines are folded away behind
        one line that says how many.
    """
    lines, start = inspect.getsourcelines(thing)
    code = textwrap.dedent("".join(lines)).rstrip()
    code = code if docstring else _without_docstrings(code)
    name = f"{thing.__module__}.{thing.__qualname__}"
    n_lines = code.count("\n") + 1
    link = _source_link(thing, start)
    body = f"```python\n{code}\n```"
    if n_lines > LONGEST_CELL:
        body = f"<details><summary>{n_lines} lines</summary>\n\n{body}\n\n</details>"
    return Shown(plain=f"Source: {name}", markdown=f"{link}\n\n{body}\n")


def _without_docstrings(code: str) -> str:
    lines = code.splitlines()
    for node in ast.walk(ast.parse(code)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if ast.get_docstring(node, clean=False) is None or len(node.body) == 1:
            continue
        for place in range(node.body[0].lineno - 1, node.body[0].end_lineno or 0):
            lines[place] = "\0"
        after = node.body[0].end_lineno or 0
        if after < len(lines) and not lines[after].strip():
            lines[after] = "\0"
    return "\n".join(line for line in lines if line != "\0")


def _source_link(thing: Any, line: int) -> str:
    name = f"`{thing.__module__}.{thing.__qualname__}`"
    path = Path(inspect.getsourcefile(thing) or "").resolve()
    try:
        inside = path.relative_to(paths.root())
    except (ValueError, ReplicateError):
        return name
    return f"[{name}]({REPOSITORY}/{inside.as_posix()}#L{line})"
