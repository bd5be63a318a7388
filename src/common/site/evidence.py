"""The verdicts of a chapter from its newest run and its archives, the strongest of each kind."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from common import papers
from common.errors import ReplicateError
from common.papers import Paper
from common.runs import archives
from common.runs.files import read_json
from common.site.chapters import ChapterResult

_RANK = {"quick": 0, "standard": 1, "full": 2}
Key = tuple[str, str, str]


@dataclass(frozen=True)
class Evidence:
    """What is known of a chapter's claims.

    Args:
        slug: the chapter.
        paper: its declaration.
        verdicts: one for each claim, layer and source; a mapping as in ``verdicts.json``, with
            ``profile`` and ``stale`` (code or declaration changed since).
        problems: archives that could not be read.
    """

    slug: str
    paper: Paper
    verdicts: tuple[Mapping[str, Any], ...]
    problems: tuple[str, ...] = ()

    def of(self, claim: str, layer: str) -> list[Mapping[str, Any]]:
        """Return the verdicts on one claim and layer, one for each source."""
        return [v for v in self.verdicts if v["claim"] == claim and v["layer"] == layer]


def collect(result: ChapterResult) -> Evidence:
    """Read the verdicts of a chapter.

    Args:
        result: its run in this build; what it wrote beside its notebook is read.

    Raises:
        ReplicateError: ``paper.yml`` is not valid.
    """
    found: list[Mapping[str, Any]] = []
    problems: list[str] = []
    if result.notebook is not None and result.error is None:
        written = read_json(result.notebook.parent / "verdicts.json") or []
        found += [{"profile": result.profile, **verdict, "stale": False} for verdict in written]
    for profile in ("standard", "full"):
        try:
            archive = archives.read_archive(result.slug, profile)
        except ReplicateError as error:
            problems.append(str(error))
            continue
        if archive is not None:
            own = {"profile": profile, "stale": archive.stale}
            found += [{**verdict, **own} for verdict in archive.verdicts]
    return Evidence(result.slug, papers.load(result.slug), tuple(strongest(found)), tuple(problems))


def strongest(verdicts: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Keep, for each claim, layer and source, the verdict of the largest profile.

    A verdict that tested something goes before one that says "untested", and a standard run of
    several training seeds before a full run of one, which cannot see how trainings differ; among
    equals the first one given stays.

    Example:
        >>> quick = {"claim": "C1", "layer": "replication", "source": "phantom",
        ...          "profile": "quick", "verdict": "inconclusive"}
        >>> [v["profile"] for v in strongest([quick, {**quick, "profile": "standard"}])]
        ['standard']
    """
    best: dict[Key, Mapping[str, Any]] = {}
    for verdict in verdicts:
        key = (verdict["claim"], verdict["layer"], str(verdict.get("source")))
        if key not in best or _strength(verdict) > _strength(best[key]):
            best[key] = verdict
    return list(best.values())


def _strength(verdict: Mapping[str, Any]) -> tuple[bool, bool, bool, int]:
    rank = _RANK.get(verdict["profile"], 0)
    return verdict["verdict"] != "untested", rank > 0, verdict.get("n_seeds") != 1, rank
