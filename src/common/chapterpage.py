"""What every chapter page shows of its claims, its archives and its provenance."""

import re
from collections import Counter
from collections.abc import Iterable
from html import escape
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd

from common.display import (
    REPOSITORY,
    SYMBOLS,
    Shown,
    effect,
    p_value,
    source_words,
    table,
    verdict_badge,
)
from common.papers import LAYERS, Paper
from common.runs.archives import Archive, read_archive
from common.runs.session import Session
from common.statistics.decisions import Verdict, from_json
from common.statistics.verdicts import judge

QUICK = "quick"


def current_verdicts(
    paper: Paper,
    judged: Iterable[Verdict],
    archive: Archive | None,
    *,
    profile: str,
    rng: np.random.Generator,
) -> list[Verdict]:
    """Choose the verdicts that a page should show.

    The records of an archive are judged again by the code of today, in place of a quick run's.
    Where the outputs of the authors are not at hand, the re-analysis is the archived one.

    Args:
        paper: the chapter's declaration.
        judged: the verdicts of this run.
        archive: the archived standard or full run, or None.
        profile: profile of this run.
        rng: source of resampling.

    Returns:
        Verdicts in the order of ``paper.yml``, layers inside claims.
    """
    chosen = {(each.claim, each.layer): each for each in judged}
    if archive is not None:
        stored = [each for each in from_json(archive.verdicts) if each.layer == "reanalysis"]
        for each in stored:
            chosen.setdefault((each.claim, each.layer), each)
        if profile == QUICK:
            for source in sorted(archive.records["source"].unique()):
                again = judge(
                    paper,
                    archive.records,
                    layer="replication",
                    source=source,
                    profile=archive.profile,
                    rng=rng,
                )
                chosen |= {(each.claim, each.layer): each for each in again}
    order = [(claim.id, layer) for claim in paper.claims for layer in LAYERS]
    return [chosen[place] for place in order if place in chosen]


def verdict_overview(verdicts: Iterable[Verdict], paper: Paper) -> Shown:
    """Show each claim in one row: in plain words, and its verdict on every layer.

    Args:
        verdicts: see :func:`current_verdicts`; claims without any tested layer are left out.
        paper: the chapter's declaration.
    """
    by_claim: dict[str, dict[str, Verdict]] = {}
    for each in verdicts:
        if each.verdict != "untested":
            by_claim.setdefault(each.claim, {})[each.layer] = each
    rows = []
    for claim, layers in by_claim.items():
        # The deepest layer that speaks of the authors' networks comes first, then our own.
        telling = next(layers[x] for x in ("reanalysis", "replication", "published") if x in layers)
        text, plain = paper.claim(claim).text, plain_words(telling, paper)
        first = Shown(
            plain=f"{claim}: {text} {plain}",
            html=f"{escape(claim)}: {escape(text)}<br><small>{escape(plain)}</small>",
        )
        row = {"claim": first}
        row |= {layer: _overview_cell(layers.get(layer), paper) for layer in LAYERS}
        rows.append(row)
    return table(
        pd.DataFrame(rows),
        caption="The claims on trial.",
        index=False,
        note="p is corrected inside each family of claims; for a claim of equality it is a small p "
        "that shows equality.",
    )


def full_run(paper: Paper) -> Shown:
    """Show the verdicts of the archived full run beside those of the standard run.

    Both as the runs wrote them, without the judging again of :func:`current_verdicts`; claims that
    the full run could not test are left out.

    Args:
        paper: the chapter's declaration.
    """
    archives = {name: read_archive(paper.slug, name) for name in ("standard", "full")}
    full = archives["full"]
    if full is None:
        return Shown(plain="No full run is archived yet.")
    found = {
        name: {
            each.claim: each
            for each in from_json(archive.verdicts if archive else [])
            if each.layer == "replication" and each.verdict != "untested"
        }
        for name, archive in archives.items()
    }
    rows = [
        {"claim": f"{claim}: {paper.claim(claim).text}"}
        | {name: _overview_cell(verdicts.get(claim), paper) for name, verdicts in found.items()}
        for claim in found["full"]
    ]
    stamp = full.provenance
    seeds = {each.n_seeds for each in found["full"].values()} - {None}
    once = " Each arm was trained once: the spread between trainings is not in these intervals."
    return table(
        pd.DataFrame(rows),
        caption="The archived full run beside the standard run.",
        index=False,
        note=f"Full run: {stamp.get('gpu') or 'no GPU'}, {stamp['wall_s'] / 60:.1f} min."
        + (once if seeds == {1} else ""),
    )


def _overview_cell(verdict: Verdict | None, paper: Paper) -> Shown:
    if verdict is None:
        return Shown(plain="–")
    badge = verdict_badge(verdict.verdict)
    size, _, interval = _size(verdict, paper).partition(" [")
    p = "" if verdict.p_adjusted is None else f"p {p_value(verdict.p_adjusted)}"
    lines = [line for line in (size, f"[{interval}" if interval else "", p) if line]
    return Shown(
        plain="; ".join([badge.plain, *lines]),
        html="<br>".join([badge.html, *(f"<small>{escape(line)}</small>" for line in lines)]),
    )


def _size(verdict: Verdict, paper: Paper) -> str:
    unit = _metric_unit(verdict, paper)
    if verdict.effect is None:
        return ""
    return effect(verdict.effect, verdict.low, verdict.high, unit=unit)


def _metric_unit(verdict: Verdict, paper: Paper) -> str:
    claim = paper.claim(verdict.claim)
    layer = next(each for each in LAYERS if each == verdict.layer)
    metric = claim.on(layer).metric
    # Joint tests of several arms have no effect in the metric's unit.
    return "" if metric is None or verdict.low is None else paper.metric(metric).unit


def plain_words(verdict: Verdict, paper: Paper) -> str:
    """Say in one sentence what a verdict means, with its numbers.

    Args:
        verdict: a tested verdict.
        paper: supplies units, margins and the words of the layer.

    Returns:
        One sentence for a reader without statistics.
    """
    claim = paper.claim(verdict.claim)
    unit = _metric_unit(verdict, paper)
    by_layer = {
        "published": "From the printed numbers alone",
        "reanalysis": "In the authors' own outputs",
        "replication": "In our replication",
    }[verdict.layer]
    by_source = {"phantom": "On the phantom", "open": "On the open data"}
    where = by_source.get(verdict.source, by_layer)
    span = ""
    if verdict.low is not None and verdict.high is not None:
        low, high = effect(verdict.low, unit=unit), effect(verdict.high, unit=unit)
        span = f"anything from {low} to {high} fits the data"
    margin = effect(claim.margin, unit=unit).lstrip("+")
    if verdict.verdict == "supported":
        if claim.direction in ("equivalent", "non_inferior"):
            return f"{where} the difference is shown to be smaller than {margin}."
        return f"{where} the claim holds{'; ' + span if span else ''}."
    if verdict.verdict == "contradicted":
        return f"{where} the opposite holds{'; ' + span if span else ''}."
    if verdict.verdict == "equivalent":
        return f"{where} a difference, if any, is smaller than {margin}."
    if claim.direction == "equivalent" and span:
        return f"{where} equality within {margin} is not shown: {span}."
    if verdict.low is not None and verdict.low == verdict.high:
        return f"{where} the difference is the same in every case, which says nothing of chance."
    if verdict.detectable is not None:
        least = effect(verdict.detectable, unit=unit).lstrip("+")
        missed = "effects under {} would mostly be missed"
        if claim.direction in ("equivalent", "non_inferior", "value"):
            missed = "a margin under {} could hardly be shown"
        return f"{where} neither the claim nor its opposite is shown; {missed.format(least)}."
    return f"{where} neither the claim nor its opposite is shown{': ' + span if span else ''}."


def untested_table(verdicts: Iterable[Verdict], paper: Paper) -> Shown:
    """Show which claims no test reached on which layers, and why."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for each in verdicts:
        if each.verdict == "untested":
            reasons.setdefault((each.claim, each.note), []).append(each.layer)
    rows = [
        {"claim": f"{claim}: {paper.claim(claim).text}", "layer": ", ".join(layers), "why": note}
        for (claim, note), layers in reasons.items()
    ]
    return table(pd.DataFrame(rows), caption="What could not be tested, and why.", index=False)


def at_a_glance(paper: Paper, published: Iterable[Verdict], archive: Archive | None) -> Shown:
    """Show how many claims stand how on each layer, and what each profile costs.

    Args:
        paper: the chapter's declaration.
        published: verdicts from the printed tables; those of the other layers are the archive's.
        archive: the archived standard or full run, or None.
    """
    verdicts = list(published)
    if archive is not None:
        verdicts += [each for each in from_json(archive.verdicts) if each.layer != "published"]
    counts = Counter((each.layer, each.verdict) for each in verdicts)
    layers = [layer for layer in LAYERS if any(layer == key[0] for key in counts)]
    rows = {
        layer: {word: counts[layer, word] for word in SYMBOLS}  # type: ignore[index]
        for layer in layers
    }
    frame = pd.DataFrame.from_dict(rows, orient="index").rename_axis("layer")
    frame.columns = pd.Index([verdict_badge(word) for word in frame.columns])
    cost = "; ".join(
        f"{name} {each.minutes:g} min, {each.memory_gb:g} GB"
        + (f" ({each.note})" if each.note else "")
        for name, each in paper.profiles.items()
    )
    return table(
        frame,
        caption="Claims by verdict on each layer.",
        formats={str(head): lambda count: str(count or "–") for head in frame.columns},
        note=f"Cost of a run: {cost}.",
    )


def claim_table(paper: Paper) -> Shown:
    """Show the claims as they were declared: what is claimed, where, and what would decide."""
    rows = [
        {
            "claim": f"{claim.id}{', ours' if claim.ours else ''}",
            "text": claim.text,
            "where": claim.where.split(" (")[0],
            "direction": claim.direction.replace("_", " ")
            + (f", margin {claim.margin:g}" if claim.margin else ""),
            "tested on": ", ".join(layer for layer in LAYERS if _tested(claim.evidence.get(layer)))
            or "–",
        }
        for claim in paper.claims
    ]
    reasons: dict[str, list[str]] = {}
    for claim in paper.claims:
        if claim.changed:
            reasons.setdefault(claim.changed.strip(), []).append(claim.id)
    changed = [f"{', '.join(ids)}: {reason}" for reason, ids in reasons.items()]
    return table(
        pd.DataFrame(rows),
        caption="The claims, as declared.",
        index=False,
        note="Changed or declared after results were seen: " + " ".join(changed) if changed else "",
    )


def _tested(evidence: Any) -> bool:
    return evidence is not None and evidence.untested is None


def provenance(run: Session, archive: Archive | None) -> Shown:
    """Show what made this page: the run's parameters and, beside them, the archive's."""
    columns = {f"this run ({run.profile})": run.parameters | {"run": run.id}}
    if archive is not None:
        stamp = archive.provenance
        machine = stamp.get("hardware", {})
        columns[f"archive ({archive.profile})"] = stamp["parameters"] | {
            "run": stamp["id"],
            "ended": stamp["ended"],
            "minutes": round(stamp["wall_s"] / 60, 1),
            "peak memory (MB)": round(stamp["peak_memory_mb"]),
            "machine": machine.get("gpu") or f"{machine.get('cores', '?')} CPU cores",
            "torch": stamp["versions"].get("torch", "?"),
            "digits of a record": stamp.get("record_digits", "all"),
            "changed since": "; ".join(archive.stale_because) or "nothing",
        }
    frame = pd.DataFrame(columns).astype(object).rename_axis("parameter")
    frame = frame.where(frame.notna(), "–")
    return table(frame, caption="Parameters and provenance.")


def cite(paper: Paper) -> Shown:
    """Say how to cite the paper and this chapter, and where the chapter's files are."""
    names = ", ".join(paper.authors)
    printed = f"{names}. {paper.title}. {paper.venue}, {paper.year}."
    chapter = (
        f"The authors of the Replication Book. Chapter {paper.slug}: replication of "
        f"“{paper.title}”. Version {version('replication-book')}."
    )
    address = f"https://doi.org/{paper.doi}" if paper.doi else paper.url
    link = f' <a href="{escape(address)}">{escape(address)}</a>' if address else ""
    files = " · ".join(
        f'<a href="{REPOSITORY}/notebooks/{paper.slug}{suffix}">{paper.slug}{suffix}</a>'
        for suffix in (".py", ".ipynb")
    )
    html = (
        '<dl class="rb-cite">'
        f"<dt>The paper</dt><dd>{escape(printed)}{link}</dd>"
        f"<dt>This chapter</dt><dd>{escape(chapter)}</dd>"
        f"<dt>Its files</dt><dd>{files}</dd></dl>"
    )
    return Shown(plain=f"{printed}\n{chapter}", html=html)


def source_banner(source: str, text: str) -> Shown:
    """Say at the top of a page where its cases come from.

    Args:
        source: one of the four sources.
        text: what that means for this page; commands between backticks.
    """
    words = source_words(source)
    title = f'<p class="admonition-title">{words.capitalize()}</p>'
    body = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
    html = f'<div class="admonition note rb-banner">{title}<p>{body}</p></div>'
    return Shown(plain=f"{words}: {text}", html=html)
