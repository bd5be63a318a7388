"""What every chapter page shows of its claims, its archives and its provenance."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from common.display import SYMBOLS, Shown, source_words, table, verdict_badge
from common.papers import LAYERS, Paper
from common.runs.archives import Archive
from common.runs.session import Session
from common.statistics.decisions import Verdict, from_json
from common.statistics.verdicts import judge, judge_published

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


def at_a_glance(paper: Paper, archive: Archive | None) -> Shown:
    """Show how many claims stand how on each layer, and what each profile costs.

    Published verdicts are computed from the printed tables, the others read from the archive.
    """
    verdicts = judge_published(paper)
    if archive is not None:
        verdicts += [each for each in from_json(archive.verdicts) if each.layer != "published"]
    counts = Counter((each.layer, each.verdict) for each in verdicts)
    layers = [layer for layer in LAYERS if any(layer == key[0] for key in counts)]
    rows = {
        layer: {word: counts[layer, word] or "–" for word in SYMBOLS}  # type: ignore[index]
        for layer in layers
    }
    frame = pd.DataFrame.from_dict(rows, orient="index")
    frame.columns = pd.Index([verdict_badge(word) for word in frame.columns])
    cost = "; ".join(
        f"{name} {each.minutes:g} min, {each.memory_gb:g} GB"
        for name, each in paper.profiles.items()
    )
    return table(frame, caption="Claims by verdict on each layer.", note=f"Cost of a run: {cost}.")


def claim_table(paper: Paper) -> Shown:
    """Show the claims as they were declared: what is claimed, where, and what would decide."""
    rows = [
        {
            "claim": f"{claim.id}{', ours' if claim.ours else ''}",
            "text": claim.text,
            "where": claim.where.split(" (")[0],
            "direction": claim.direction.replace("_", " "),
            "margin": claim.margin or "–",
            "unit": claim.unit.cluster if claim.unit else "–",
            "tested on": ", ".join(layer for layer in LAYERS if _tested(claim.evidence.get(layer)))
            or "–",
        }
        for claim in paper.claims
    ]
    return table(pd.DataFrame(rows), caption="The claims, as declared.", index=False)


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
            "changed since": "; ".join(archive.stale_because) or "nothing",
        }
    frame = pd.DataFrame(columns).astype(object)
    frame = frame.where(frame.notna(), "–")
    return table(frame, caption="Parameters and provenance.")


def source_banner(source: str, text: str) -> Shown:
    """Say at the top of a page where its cases come from.

    Args:
        source: one of the four sources.
        text: what that means for this page.
    """
    words = source_words(source)
    title = f'<p class="admonition-title">{words.capitalize()}</p>'
    html = f'<div class="admonition note rb-banner">{title}<p>{text}</p></div>'
    return Shown(plain=f"{words}: {text}", html=html)
