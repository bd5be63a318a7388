"""Commands over many runs of one chapter: sweep, collect."""

import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from common import papers
from common.cli.make import ForceOption
from common.cli.output import print_json, say, stderr, stdout, tell
from common.errors import UsageError
from common.runs import engine, keys
from common.runs.progress import duration, shown
from common.runs.results import RunResult
from common.runs.sweeps import points, preview, request as requests, spec
from common.runs.sweeps.points import Planned
from common.runs.sweeps.request import Request

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]

_ROWS_SHOWN = 50
_FAILURES_SHOWN = 10
_WIDEST = 10_000
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


def sweep(
    target: Annotated[
        list[str], typer.Argument(help="A chapter, or a sweep file in YAML.", show_default=False)
    ],
    parameter: Annotated[
        list[str] | None,
        typer.Option(
            "-p", "--parameter", metavar="NAME=VALUE,...", help="May be given repeatedly."
        ),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Runs of every point, each with its own `seed`.")
    ] = None,
    profile: Annotated[
        str | None, typer.Option(help="quick (the default), standard or full.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="To find the sweep by.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the runs and their cost; start none.")
    ] = False,
    as_json: JsonOption = False,
    jobs: Annotated[int | None, typer.Option(min=1, help="Runs at the same time.")] = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="A Dask scheduler, tcp://host:8786.")
    ] = None,
    gpus: Annotated[
        bool | None,
        typer.Option(
            "--gpus/--no-gpus",
            help="Give each run a GPU of its own, or none; by default where there are any.",
            show_default=False,
        ),
    ] = None,
    timeout: Annotated[
        str | None, typer.Option(metavar="TIME", help="Of one run: seconds, 90s, 30m or 2h.")
    ] = None,
    retries: Annotated[
        int, typer.Option(min=0, help="Further tries of a run whose process died.")
    ] = 1,
    force: ForceOption = False,
) -> None:
    """Run one chapter over a grid of parameters and seeds, or over the points of a file.

    Every point is checked before anything starts. Runs made before are taken from the cache, so
    the same command goes on where it was stopped.

    \b
    Examples:
      replicate sweep hep2 -p lr=1e-3,5e-3 -p epochs=4,8 --dry-run
      replicate sweep hep2 -p lr=1e-3,5e-3 --seeds 5
      replicate sweep sweep.yml --jobs 4 --timeout 30m
      replicate sweep sweep.yml --scheduler tcp://127.0.0.1:8786
    """
    limit = None if timeout is None else seconds(timeout)
    where, request, planner = _asked(target, parameter or [], seeds, profile, name)
    planned = points.plan(request, planner, where)
    if dry_run:
        # how many workers a scheduler has is its own affair
        at_once = jobs or (None if scheduler else engine.default_jobs(planned.plans))
        content = _preview(planned, planner, at_once=at_once, force=force)
        if as_json:
            print_json(content)
        else:
            _print_preview(content, planned)
        return
    spec.write(planned.sweep, [plan.id for plan in planned.plans])
    for note in planned.notes:
        tell(note)
    tell(f"sweep {planned.sweep.name}: {len(planned.plans)} runs")
    started = time.monotonic()
    with shown(stderr()) as listener:
        results = engine.execute_plans(
            planned.plans,
            force=force,
            jobs=jobs,
            scheduler=scheduler,
            gpus=gpus,
            timeout=limit,
            retries=retries,
            listener=listener,
            note=tell,
        )
    content = _outcome(planned, results, time.monotonic() - started)
    if as_json:
        print_json(content)
    else:
        _print_outcome(content)
    if content["failed"]:
        raise typer.Exit(1)


def seconds(text: str) -> float:
    """Read a time such as ``90``, ``90s``, ``30m`` or ``1.5h``.

    Returns:
        Seconds.

    Raises:
        UsageError: it is no such time, or is zero.

    Example:
        >>> seconds("90"), seconds("30m"), seconds("1.5h")
        (90.0, 1800.0, 5400.0)
    """
    match = re.fullmatch(r"(\d+(?:\.\d*)?) ?([smh]?)", text.strip())
    found = float(match[1]) * _UNITS[match[2]] if match else 0.0
    if not found:
        raise UsageError(f"a time must be seconds, or like 90s, 30m or 2h, got {text!r}.")
    return found


def _asked(
    targets: list[str],
    texts: list[str],
    seeds: int | None,
    profile: str | None,
    name: str | None,
) -> tuple[str, Request, keys.Planner]:
    """Return the request, its name in errors, and the planner of its chapter and profile."""
    if len(targets) > 1:
        raise requests.mixed(targets)
    target = targets[0]
    options = {"profile": profile, "seeds": seeds, "name": name}
    if target.endswith(requests.SUFFIXES) or Path(target).is_file():
        if texts:
            raise UsageError(
                f"parameters are given in the file {target} and by -p {texts[0]!r}. Write them "
                "into the file, or name the chapter instead of the file."
            )
        request = requests.from_file(Path(target), options)
        return target, request, _planner(request.chapter, request.profile)
    if "," in target:
        raise requests.mixed(target.split(","))
    planner = _planner(target, profile or "quick")
    grid = points.parse_grid(planner.declared, texts)
    content = {key: value for key, value in options.items() if value is not None}
    where = "the command line"
    request = requests.make({"chapter": target, "parameters": grid, **content}, where)
    return where, request, planner


def _planner(chapter: str, profile: str) -> keys.Planner:
    return keys.planner(papers.require_slug(chapter), profile)


def _head(planned: Planned) -> dict[str, Any]:
    made = planned.sweep
    return {
        "sweep": made.id,
        "name": made.name,
        "chapter": made.slug,
        "profile": made.profile,
        "varied": list(made.varied),
        "notes": list(planned.notes),
    }


def _preview(
    planned: Planned, planner: keys.Planner, *, at_once: int | None, force: bool
) -> dict[str, Any]:
    """Return what a dry run says of a sweep; times in seconds."""
    names, minutes = planned.sweep.varied, planner.cost.minutes
    each = preview.run_seconds(planner.slug, planner.profile, minutes)
    rows = []
    for number, plan in enumerate(planned.plans, start=1):
        cached = not force and preview.is_made(plan)
        rows.append(
            {
                "number": number,
                "run": plan.id,
                "parameters": {name: plan.parameters[name] for name in names},
                "state": "cached" if cached else "to run",
                "estimate_s": 0.0 if cached else each,
            }
        )
    to_run = sum(row["state"] == "to run" for row in rows)
    return {
        **_head(planned),
        "runs": len(rows),
        "cached": len(rows) - to_run,
        "to_run": to_run,
        "at_once": at_once,
        "estimate_s": each * to_run / max(1, min(at_once or 1, to_run)),
        "points": rows,
    }


def _print_preview(content: dict[str, Any], planned: Planned) -> None:
    names = planned.sweep.varied
    table = Table("", "run", *names, "state", "estimate", box=None, pad_edge=False)
    shown_rows = content["points"][:_ROWS_SHOWN]
    for row in shown_rows:
        values = (str(row["parameters"][name]) for name in names)
        time_text = duration(row["estimate_s"] or None)
        cells = (str(row["number"]), row["run"], *values, row["state"], time_text)
        table.add_row(*(Text(cell) for cell in cells))
    _print_whole(table)
    if len(shown_rows) < content["runs"]:
        say(f"... and {content['runs'] - len(shown_rows)} more")
    for note in content["notes"]:
        say(note)
    took = f", about {duration(content['estimate_s'])}" if content["to_run"] else ""
    pace = f", {content['at_once']} at once{took}" if content["at_once"] else f"{took} of work"
    say(
        f"sweep {content['name']}: {content['runs']} runs, {content['cached']} cached, "
        f"{content['to_run']} to run{pace if content['to_run'] else ''}"
    )


def _print_whole(table: Table) -> None:
    """Print a table as wide as it is: a run's id that is cut or wrapped cannot be copied."""
    console = stdout()
    console.width = _WIDEST
    console.width = console.measure(table).maximum
    console.print(table)


def _outcome(planned: Planned, results: Sequence[RunResult], wall_s: float) -> dict[str, Any]:
    """Return what became of a sweep; times in seconds."""
    names = planned.sweep.varied
    rows = []
    for number, (plan, result) in enumerate(zip(planned.plans, results, strict=True), start=1):
        state = "failed" if result.error else "cached" if result.cached else "done"
        rows.append(
            {
                "number": number,
                "run": plan.id,
                "parameters": {name: plan.parameters[name] for name in names},
                "state": state,
                "wall_s": result.run.get("wall_s"),
                "folder": result.folder,
                "error": result.error,
                "cell": result.cell,
                "notebook": result.notebook,
            }
        )
    states = [row["state"] for row in rows]
    counts = {state: states.count(state) for state in ("done", "cached", "failed")}
    return {**_head(planned), **counts, "wall_s": round(wall_s, 3), "runs": rows}


def _print_outcome(content: dict[str, Any]) -> None:
    failed = [row for row in content["runs"] if row["state"] == "failed"]
    for row in failed[:_FAILURES_SHOWN]:
        point = points.describe(row["parameters"], row["parameters"])
        where = f"\n  as far as it came: {row['notebook']}" if row["notebook"] else ""
        tell(f"error: run {row['number']} ({point}): {row['error']}{where}")
    if len(failed) > _FAILURES_SHOWN:
        tell(f"... and {len(failed) - _FAILURES_SHOWN} more failed")
    say(
        f"sweep {content['name']}: {content['done']} done, {content['cached']} cached, "
        f"{content['failed']} failed in {duration(content['wall_s'])}; "
        f"collect them with `replicate collect {content['sweep']}`"
    )


def collect(
    reference: Annotated[
        str,
        typer.Argument(metavar="SWEEP", help="Its id, its name, or a chapter: its newest sweep."),
    ],
    metric: Annotated[
        str | None, typer.Option(help="The metric to compare by; the paper's first by default.")
    ] = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print a summary for a comment; tables, no page.")
    ] = False,
    as_json: JsonOption = False,
    output: Annotated[
        Path | None, typer.Option(help="Folder; that of the sweep by default.")
    ] = None,
) -> None:
    """Gather what the runs of a sweep found: one table, and a page with the response surface.

    \b
    Examples:
      replicate collect hep2
      replicate collect 3f9c1a2b --metric accuracy
      replicate collect hep2 --markdown
    """
    # figures and tables start slowly, and only this command needs them
    from common.runs.sweeps import collect as gathering, page, summary

    if markdown and as_json:
        raise UsageError("--markdown and --json exclude each other. Give one of them.")
    collected = gathering.collect(reference, metric=metric, folder=output)
    if markdown:
        print(summary.markdown(collected))
        return
    folder = output or spec.folder(collected.sweep.id)
    index = page.write(collected, folder)
    if as_json:
        print_json({"sweep": collected.sweep.id, "folder": folder, "page": index})
    else:
        say(f"{collected.sweep.name}: collected in {folder}")
        say(f"  {index}")
