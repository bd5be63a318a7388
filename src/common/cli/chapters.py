"""Commands that read: list, claims, audit."""

from typing import Annotated, Any

import typer

from common import papers
from common.cli.output import print_json, print_table, tell
from common.papers import Paper
from common.runs import evidence, store
from common.runs.progress import duration

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
SlugArgument = Annotated[str | None, typer.Argument(help="A chapter; all of them by default.")]


def _slugs(slug: str | None) -> list[str]:
    return papers.slugs() if slug is None else [papers.require_slug(slug)]


def _data(paper: Paper) -> dict[str, str]:
    if not paper.datasets:
        return {}
    from common import manifests

    found = [manifests.status(use.id) for use in paper.datasets]
    return {one.dataset: one.access if one.access == "generated" else one.state for one in found}


def _last_run(slug: str) -> dict[str, Any] | None:
    runs = store.complete(slug)
    return {name: runs[0][name] for name in ("profile", "ended", "wall_s", "id")} if runs else None


def _summary(slug: str) -> dict[str, Any]:
    paper = papers.load(slug)
    return {
        "slug": slug,
        "title": paper.title,
        "claims": len(paper.claims),
        "verdicts": evidence.counts(evidence.verdicts(paper)),
        "data": _data(paper),
        "last_run": _last_run(slug),
    }


def _lines(parts: list[str]) -> str:
    return "\n".join(parts) or "-"


def _row(chapter: dict[str, Any]) -> list[Any]:
    last = chapter["last_run"]
    verdicts = [
        f"{layer}: " + ", ".join(f"{n} {verdict}" for verdict, n in counts.items())
        for layer, counts in chapter["verdicts"].items()
    ]
    when = (
        f"{last['profile']}, {last['ended'][:16].replace('T', ' ')}\n{duration(last['wall_s'])}"
        if last
        else "never"
    )
    data = [f"{name}: {state}" for name, state in chapter["data"].items()]
    return [chapter["slug"], chapter["claims"], _lines(verdicts), _lines(data), when]


def list_chapters(as_json: JsonOption = False) -> None:
    """List the chapters: claims, verdicts by layer, data, last run.

    \b
    Examples:
      replicate list
      replicate list --json
    """
    chapters = [_summary(slug) for slug in papers.slugs()]
    if as_json:
        print_json(chapters)
    else:
        columns = ["chapter", "claims", "verdicts", "data", "last run (UTC)"]
        print_table(columns, map(_row, chapters))


def _origin(row: dict[str, Any]) -> str:
    return f"{row['profile']} {row['origin']}" if row["origin"] else "-"


def claims(slug: SlugArgument = None, as_json: JsonOption = False) -> None:
    """Print claims with their newest verdicts, from archives and runs.

    A larger profile outweighs a smaller one, then the newer run the older.

    \b
    Examples:
      replicate claims hep2
      replicate claims --json
    """
    rows = [row for one in _slugs(slug) for row in evidence.verdicts(papers.load(one))]
    if as_json:
        print_json(rows)
        return
    columns = ["chapter", "claim", "layer", "verdict", "from", "text"]
    print_table(
        columns,
        (
            [row["slug"], row["claim"], row["layer"], row["verdict"], _origin(row), row["text"]]
            for row in rows
        ),
    )


def audit(slug: SlugArgument = None, as_json: JsonOption = False) -> None:
    """Print the audit: checks of the published numbers against themselves.

    \b
    Examples:
      replicate audit hep2
      replicate audit --json
    """
    checks: list[dict[str, Any]] = []
    for one in _slugs(slug):
        found = evidence.audit(one)
        if not found:
            tell(f"{one}: no audit was made yet. Run `replicate run {one}`.")
        checks += [{"slug": one, **check} for check in found]
    if as_json:
        print_json(checks)
    elif checks:
        columns = ["chapter", "check", "status", "printed", "recomputed", "statement"]
        keys = ["slug", "id", "status", "printed", "recomputed", "statement"]
        print_table(columns, ([check.get(key, "") for key in keys] for check in checks))
