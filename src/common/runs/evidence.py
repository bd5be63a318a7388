"""What runs and archives say of a chapter now: its newest verdicts and audit checks."""

from typing import Any

from common import papers
from common.papers import Paper
from common.runs import store
from common.runs.archives import archive_dir
from common.runs.files import read_json
from common.runs.keys import PROFILES

NOT_RUN = "not run"


def sources_of_evidence(slug: str) -> list[tuple[dict[str, Any], Any]]:
    """List what was archived or run with a profile's own parameters, the strongest last.

    A larger profile is stronger than a smaller one, then the newer than the older.

    Returns:
        Pairs of the content of ``run.json``, with the key ``origin`` (``archive`` or ``run``),
        and the folder.
    """
    found = []
    for run in store.complete(slug):
        if not run.get("overrides"):
            found.append(({**run, "origin": "run"}, store.runs_dir(slug) / run["id"]))
    for profile in ("standard", "full"):
        folder = archive_dir(slug, profile)
        stamp = read_json(folder / "run.json")
        if isinstance(stamp, dict):
            found.append(({**stamp, "origin": "archive"}, folder))
    return sorted(found, key=lambda item: (PROFILES.index(item[0]["profile"]), item[0]["ended"]))


def verdicts(paper: Paper) -> list[dict[str, Any]]:
    """Return one verdict for each claim and layer that ``paper.yml`` declares.

    Args:
        paper: the chapter's declaration.

    Returns:
        In the order of ``paper.yml``: keys ``slug, claim, text, layer, verdict, profile, origin,
        ended`` and whatever else the run wrote; ``verdict`` is ``not run`` where nothing judged
        the claim, and ``untested`` with its reason in ``note`` where it cannot be judged.
    """
    judged: dict[tuple[str, str], dict[str, Any]] = {}
    for run, folder in sources_of_evidence(paper.slug):
        stamp = {name: run[name] for name in ("profile", "origin", "ended")}
        for verdict in read_json(folder / "verdicts.json") or []:
            place = verdict["claim"], verdict["layer"]
            # a run that could not test a claim takes nothing away from one that could
            if verdict["verdict"] != "untested" or place not in judged:
                judged[place] = {**verdict, **stamp}
    rows = []
    for claim in paper.claims:
        for layer, evidence in claim.evidence.items():
            row: dict[str, Any] = {
                "slug": paper.slug,
                "claim": claim.id,
                "text": claim.text,
                "layer": layer,
                "verdict": NOT_RUN if evidence.untested is None else "untested",
                "note": evidence.untested or "",
                **dict.fromkeys(("profile", "origin", "ended")),
            }
            rows.append({**row, **judged.get((claim.id, layer), {})})
    return rows


def counts(rows: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Count verdicts by layer, layers in the order of the evidence."""
    table: dict[str, dict[str, int]] = {}
    for layer in papers.LAYERS:
        for row in rows:
            if row["layer"] == layer:
                layer_counts = table.setdefault(layer, {})
                layer_counts[row["verdict"]] = layer_counts.get(row["verdict"], 0) + 1
    return table


def audit(slug: str) -> list[dict[str, Any]]:
    """Return the audit checks of the newest run or archive that made any."""
    newest = sorted(sources_of_evidence(slug), key=lambda item: item[0]["ended"], reverse=True)
    for _, folder in newest:
        checks = read_json(folder / "audit.json")
        if checks:
            return checks
    return []
