"""What each chapter puts on the scoreboard: its verdicts and its audit checks as records."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from common.errors import ReplicateError
from common.papers import LAYERS, Claim, Paper
from common.runs import archives
from common.runs.files import read_json
from common.site.chapters import ChapterResult
from common.site.evidence import Evidence, collect
from common.site.pages import LAYER_TITLES

# outcomes of a check, the telling ones first
OUTCOMES = ("fail", "undecidable", "pass")
CHECK_COLUMNS = (
    "chapter",
    "check",
    "statement",
    "outcome",
    "against",
    "printed",
    "recomputed",
    "note",
    "profile",
)
PRINTED, OUTPUTS = "printed numbers", "released outputs"
# ids of checks against outputs that the authors released begin with it
_OF_OUTPUTS = "R"
_RANGE = re.compile(r"P\(claim false\) (\S+) to (\S+) for (.+)")


@dataclass(frozen=True)
class Board:
    """What a chapter puts on the scoreboard.

    Args:
        evidence: its verdicts.
        audit: its checks of published numbers, as in ``audit.json``, with ``profile``: the run
            that made it.
    """

    evidence: Evidence
    audit: tuple[Mapping[str, Any], ...]

    @property
    def slug(self) -> str:
        """The chapter."""
        return self.evidence.slug

    @property
    def paper(self) -> Paper:
        """The declaration of its paper."""
        return self.evidence.paper


def gather(result: ChapterResult) -> Board:
    """Read the verdicts and audit checks of a chapter.

    Args:
        result: its run in this build.

    Raises:
        ReplicateError: ``paper.yml`` is not valid.
    """
    return Board(collect(result), tuple(_checks(result)))


def _checks(result: ChapterResult) -> list[Mapping[str, Any]]:
    """List the checks of this build's run, and those of archives that it could not make."""
    found: dict[str, Mapping[str, Any]] = {}
    if result.notebook is not None and result.error is None:
        for check in read_json(result.notebook.parent / "audit.json") or []:
            found[check["id"]] = {**check, "profile": result.profile}
    for profile in ("full", "standard"):
        try:
            archive = archives.read_archive(result.slug, profile)
        except ReplicateError:
            continue  # told among the problems of the verdicts
        for check in archive.audit if archive is not None else []:
            found.setdefault(check["id"], {**check, "profile": profile})
    return list(found.values())


def records(boards: Sequence[Board]) -> list[dict[str, Any]]:
    """List one record for each claim, layer and source; what the files of the page hold.

    A layer that a claim names and that nothing has judged yet counts as untested.
    """
    return [
        _record(board, claim, verdict)
        for board in boards
        for claim in board.paper.claims
        for verdict in _verdicts(board, claim)
    ]


def _verdicts(board: Board, claim: Claim) -> Iterator[Mapping[str, Any]]:
    for layer in LAYERS:
        if layer in claim.evidence:
            declared = claim.evidence[layer]
            missing = {
                "layer": layer,
                "source": declared.source,
                "verdict": "untested",
                "note": declared.untested or "not run yet",
            }
            yield from board.evidence.of(claim.id, layer) or [missing]


def _record(board: Board, claim: Claim, verdict: Mapping[str, Any]) -> dict[str, Any]:
    layer = verdict["layer"]
    printed = next(iter(board.evidence.of(claim.id, "published")), {})
    span = _RANGE.fullmatch(str(printed.get("note") or ""))
    unit = verdict.get("unit") or (None, None)
    metric = claim.on(layer).metric
    # joint tests of several arms give an effect without an interval, in a unit of their own
    known = metric is not None and verdict.get("low") is not None
    names = ("effect", "low", "high", "p_adjusted", "detectable", "test")
    counts = ("n_cases", "n_clusters", "n_seeds")
    return {
        "chapter": board.slug,
        "title": board.paper.title,
        "year": board.paper.year,
        "claim": claim.id,
        "text": claim.text,
        "ours": claim.ours,
        "layer": LAYER_TITLES[layer],
        "source": verdict.get("source") or "",
        "profile": "" if layer == "published" else verdict.get("profile", ""),
        "stale": bool(verdict.get("stale")),
        "verdict": verdict["verdict"],
        "published_effect": printed.get("effect"),
        "published_unit": _unit(board.paper, claim, "published") if printed else "",
        "p_false_low": float(span[1]) if span else None,
        "p_false_high": printed.get("p"),
        "p_false_over": span[3] if span else "",
        **{name: verdict.get(name) for name in names},
        "effect_unit": _unit(board.paper, claim, layer) if known else "",
        **{name: verdict.get(name) for name in counts},
        "case": unit[0],
        "cluster": unit[1],
        "note": verdict.get("note") or "",
        "warnings": "; ".join(verdict.get("warnings") or ()),
    }


def _unit(paper: Paper, claim: Claim, layer: Any) -> str:
    metric = claim.on(layer).metric if layer in claim.evidence else claim.metric
    return {each.id: each.unit for each in paper.metrics}.get(metric or "", "")


def checks(boards: Sequence[Board]) -> list[dict[str, Any]]:
    """List one record for each audit check of each chapter, failures first."""
    listed = [
        {
            "chapter": board.slug,
            "check": check["id"],
            "statement": check["statement"],
            "outcome": check["status"],
            "against": held_against(check),
            "printed": check.get("printed"),
            "recomputed": check.get("recomputed"),
            "note": check.get("note") or "",
            "profile": check["profile"],
        }
        for board in boards
        for check in board.audit
    ]
    return sorted(listed, key=lambda each: OUTCOMES.index(each["outcome"]))


def held_against(check: Mapping[str, Any]) -> str:
    """Say what a check holds printed numbers against: one another, or released outputs."""
    return OUTPUTS if check["id"].startswith(_OF_OUTPUTS) else PRINTED
