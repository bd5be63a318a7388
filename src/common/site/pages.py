"""Pages that are written when the site is staged: scoreboard, data, report of the build.

Everything read from files is shown as text: HTML or Markdown inside it has no effect.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd

from common import display, manifests
from common.display import Shown
from common.manifest_schema import Manifest
from common.papers import LAYERS, Claim, Paper
from common.site.chapters import ChapterResult, plain_text
from common.site.evidence import Evidence

LAYER_TITLES = {
    "published": "Published",
    "reanalysis": "Re-analysis",
    "replication": "Replication",
}


def raw(html: str) -> str:
    """Wrap HTML for a Markdown page."""
    return f"````{{raw}} html\n{html.replace('`', '&#96;')}\n````\n"


def scoreboard(chapters: Sequence[Evidence]) -> str:
    """Write the scoreboard: counts of verdicts, then every claim of every chapter.

    Args:
        chapters: the verdicts of each chapter.

    Returns:
        Markdown.
    """
    if not chapters:
        return "No chapter has been added yet.\n"
    counts = pd.DataFrame([_counts(chapter) for chapter in chapters])
    summary = display.table(
        counts, caption="Claims by verdict; a claim counts once for each source.", index=False
    )
    return "\n".join([raw(summary.html), *(_chapter_section(chapter) for chapter in chapters)])


def _counts(chapter: Evidence) -> dict[str, Any]:
    row: dict[str, Any] = {"chapter": f"{chapter.slug}: {chapter.paper.title}"}
    for layer in LAYERS:
        found = Counter(v["verdict"] for v in chapter.verdicts if v["layer"] == layer)
        badges = [_counted(name, found[name]) for name in display.SYMBOLS if found[name]]
        row[LAYER_TITLES[layer]] = _stack(badges) if badges else "–"
    return row


def _counted(verdict: str, n: int) -> Shown:
    badge = display.verdict_badge(verdict)
    return Shown(plain=f"{n} {badge.plain}", html=f"{n}&nbsp;{badge.html}")


def _stack(parts: Iterable[Shown]) -> Shown:
    listed = list(parts)
    return Shown(
        plain="; ".join(part.plain for part in listed),
        html="<br>".join(part.html or escape(part.plain) for part in listed),
    )


def _chapter_section(chapter: Evidence) -> str:
    rows = [
        {
            "claim": f"{claim.id}: {claim.text}",
            **{LAYER_TITLES[layer]: _verdicts(chapter, claim, layer) for layer in LAYERS},
        }
        for claim in chapter.paper.claims
    ]
    claims = display.table(
        pd.DataFrame(rows), caption=f"Claims of chapter {chapter.slug}", index=False
    )
    problems = "".join(f":::{{warning}}\n{plain_text(text)}\n:::\n" for text in chapter.problems)
    return (
        f"## {plain_text(chapter.paper.title)}\n\n{_bibliography(chapter.paper)}\n\n"
        f"Chapter: {{doc}}`/notebooks/{chapter.slug}`\n\n{problems}\n{raw(claims.html)}"
    )


def _bibliography(paper: Paper) -> str:
    return plain_text(f"{', '.join(paper.authors)}. {paper.venue}, {paper.year}.")


def _verdicts(chapter: Evidence, claim: Claim, layer: Any) -> Shown:
    if layer not in claim.evidence:
        return Shown(plain="does not apply", html='<span class="rb-quiet">does not apply</span>')
    found = chapter.of(claim.id, layer)
    if not found:
        why = claim.evidence[layer].untested
        return _stack([display.verdict_badge("untested"), Shown(plain=why or "not run yet")])
    return _stack(part for verdict in found for part in _verdict(verdict, chapter.paper))


def _verdict(verdict: Mapping[str, Any], paper: Paper) -> list[Shown]:
    cells = display.verdict_row(verdict, paper)
    profile = "" if verdict["layer"] == "published" else f"{verdict['profile']} run"
    stale = "code changed since" if verdict.get("stale") else ""
    where = [display.source_words(verdict.get("source")), profile, stale]
    shown = [cells["verdict"], Shown(plain=", ".join(part for part in where if part))]
    if verdict["verdict"] == "untested":
        return [*shown, Shown(plain=str(cells["notes"]))]
    if cells["effect [95 % interval]"] != "–":
        shown.append(Shown(plain=str(cells["effect [95 % interval]"])))
    if cells["corrected p"] != "–":
        word = "" if verdict["layer"] == "published" else "corrected p "
        shown.append(Shown(plain=f"{word}{cells['corrected p']}"))
    return shown


def data() -> str:
    """Write the page of data sets from their manifests.

    Returns:
        Markdown: one table of all, then a section for each.
    """
    loaded = [manifests.load(name) for name in manifests.datasets()]
    if not loaded:
        return "No data set has a manifest yet.\n"
    rows = [
        {
            "data set": manifest.dataset,
            "modality": manifest.modality,
            "subjects": display.number(manifest.subjects),
            "access": manifest.access,
            "licence": manifest.licence.name,
            "used by": ", ".join(manifest.used_by) or "–",
            "at this build": _state(manifest),
        }
        for manifest in loaded
    ]
    overview = display.table(pd.DataFrame(rows), caption="All data sets", index=False)
    return "\n".join([raw(overview.html), *(_dataset_section(each) for each in loaded)])


def _state(manifest: Manifest) -> str:
    if manifest.access == "generated":
        return "generated when needed"
    return manifests.status(manifest.dataset).state


def _dataset_section(manifest: Manifest) -> str:
    licence = manifest.licence
    checked = {
        "read": "terms read for this book",
        "memory": "terms not read for this book",
        "none-stated": "no terms stated",
    }[licence.checked]
    homepage, doi = manifest.homepage, manifest.doi
    facts: dict[str, Any] = {
        "version": manifest.version,
        "task": ", ".join(manifest.task),
        "classes": ", ".join(manifest.classes) or "–",
        "access": manifest.access,
        "licence": _stack([_link(licence.name, licence.url), Shown(plain=checked)]),
        "licence, note": licence.note or "–",
        "home": _link(homepage, homepage) if homepage else "–",
        "DOI": _link(doi, f"https://doi.org/{doi}") if doi else "–",
        "cite": manifest.citation,
        "split": manifest.splits.rule if manifest.splits else "–",
        "phantom": manifest.phantom or "–",
        "how faithful": manifest.faithfulness,
    }
    rows = [
        {"fact": name, manifest.dataset: value} for name, value in facts.items() if value != "–"
    ]
    table = display.table(pd.DataFrame(rows), caption=f"Facts about {manifest.title}", index=False)
    steps = "".join(f"1. {plain_text(step)}\n" for step in manifest.obtain)
    obtain = f"How to obtain it:\n\n{steps}\n" if steps else ""
    return f"## {plain_text(manifest.title)}\n\n{raw(table.html)}\n{obtain}"


def _link(text: str, url: str | None) -> Shown:
    if url is None:
        return Shown(plain=text)
    return Shown(plain=text, html=f'<a href="{escape(url)}">{escape(text)}</a>')


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
