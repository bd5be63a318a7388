"""What pages written at staging have in common, and the report of the build.

Everything read from files is shown as text: HTML or Markdown inside it has no effect.
"""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import pandas as pd

from common import display
from common.display import Shown
from common.site.chapters import ChapterResult

LAYER_TITLES = {
    "published": "Published",
    "reanalysis": "Re-analysis",
    "replication": "Replication",
}


def raw(html: str) -> str:
    """Wrap HTML for a Markdown page."""
    return f"````{{raw}} html\n{html.replace('`', '&#96;')}\n````\n"


def stack(parts: Iterable[Shown]) -> Shown:
    """Show things one under another in a cell."""
    listed = list(parts)
    return Shown(
        plain="; ".join(part.plain for part in listed),
        html="<br>".join(part.html or escape(part.plain) for part in listed),
    )


def small(first: str, *others: str) -> Shown:
    """Show a text with more in small letters under it; empty texts are left out.

    Example:
        >>> small("phantom", "standard run", "").html
        'phantom<br><small>standard run</small>'
    """
    rest = [text for text in others if text]
    under = "".join(f"<br><small>{escape(text)}</small>" for text in rest)
    return Shown(plain="; ".join([first, *rest]), html=f"{escape(first)}{under}")


def build_report(results: Sequence[ChapterResult]) -> str:
    """Write what ran for this site, where and for how long.

    Args:
        results: how each chapter ended.

    Returns:
        Markdown.
    """
    if not results:
        return "No chapter has been added yet.\n"
    rows = pd.DataFrame([_report_row(result) for result in results])
    return raw(display.table(rows, caption="Chapters of this build", index=False).html)


def _report_row(result: ChapterResult) -> dict[str, Any]:
    run, machine = result.run, result.run.get("hardware") or {}
    versions = run.get("versions") or {}
    memory = run.get("peak_memory_mb")
    state = "failed" if result.error else ("complete" if result.notebook else "not run")
    gpu = ", ".join(machine.get("gpu") or []) or "no GPU"
    known = f"{machine.get('cpu')}, {machine.get('cores')} cores, {machine.get('memory_gb')} GB, "
    return {
        "chapter": result.slug,
        "state": state,
        "profile": result.profile,
        "wall time (s)": display.number(run.get("wall_s"), digits=1),
        "peak memory (MB)": display.number(memory, digits=0),
        "machine": known + gpu if machine else "–",
        "Python": versions.get("python") or "–",
        "torch": versions.get("torch") or "–",
        "run": str(run.get("id") or "–")[:12],
    }
