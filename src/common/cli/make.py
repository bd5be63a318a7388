"""Commands that make something: run, build, sync, archive, new, serve."""

import http.server
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from common import papers, paths
from common.cli.output import say, stderr, tell
from common.errors import ReplicateError
from common.runs.archives import archive as make_archive, archive_dir, judge_again
from common.runs.engine import execute, execute_all
from common.runs.files import read_json
from common.runs.keys import require_profile
from common.runs.progress import duration, shown
from common.runs.results import RunResult

SlugArgument = Annotated[str, typer.Argument(help="The chapter.")]
ProfileOption = Annotated[str, typer.Option(help="quick, standard or full.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Run even if nothing changed.")]


def _report(result: RunResult) -> None:
    if result.error:
        where = f"\n  as far as it came: {result.notebook}" if result.notebook else ""
        tell(f"error: {result.error}{where}")
    elif result.cached:
        say(f"{result.slug} {result.profile}: unchanged, run {result.id} is taken")
    else:
        took = duration(result.run["wall_s"])
        say(f"{result.slug} {result.profile}: done in {took}, run {result.id}")


def run(
    slug: SlugArgument,
    profile: ProfileOption = "quick",
    parameter: Annotated[
        list[str] | None,
        typer.Option("-p", "--parameter", metavar="NAME=VALUE", help="May be given repeatedly."),
    ] = None,
    force: ForceOption = False,
) -> None:
    """Run one chapter; an unchanged one is taken from the cache.

    Parameters are those of the notebook's parameters cell; values are Python literals or words.

    \b
    Examples:
      replicate run hep2
      replicate run hep2 --profile standard
      replicate run hep2 -p epochs=3 -p mask_loss=bce
    """
    papers.require_slug(slug)
    with shown(stderr()) as listener:
        result = execute(
            slug, profile=profile, texts=parameter or [], force=force, listener=listener
        )
    _report(result)
    if result.error:
        raise typer.Exit(1)
    say(f"  {result.folder}")


class OptionalPath(TyperCommand):
    """A command whose option ``--pdf`` may stand without a value, which typer does not know."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Give ``--pdf`` an empty value where no value follows it."""
        ends = [*args, "-"][1:]
        given = [
            f"{arg}=" if arg == "--pdf" and after.startswith("-") else arg
            for arg, after in zip(args, ends, strict=True)
        ]
        return super().parse_args(ctx, given)


def build(
    only: Annotated[str | None, typer.Option(help="Chapters, separated by commas.")] = None,
    profile: ProfileOption = "quick",
    force: ForceOption = False,
    jobs: Annotated[int | None, typer.Option(min=1, help="Runs at the same time.")] = None,
    pdf: Annotated[
        str | None,
        typer.Option(
            metavar="[PATH]", help="Also print the whole book; without PATH to _build/book.pdf."
        ),
    ] = None,
) -> None:
    """Run the chapters that changed, then render the site.

    A chapter that fails stops only itself: its page shows the error, and the command ends with 1.

    --pdf prints all pages in the order of the table of contents to one PDF, with Chromium.

    \b
    Examples:
      replicate build
      replicate build --only hep2,ife --profile standard
      replicate build --pdf book.pdf
    """
    if pdf is not None:
        from common.site import printing

        printing.require_browser()
    chosen = [name.strip() for name in only.split(",")] if only else papers.slugs()
    slugs = [papers.require_slug(slug) for slug in dict.fromkeys(chosen)]
    require_profile(profile)
    with shown(stderr()) as listener:
        results = execute_all(slugs, profile=profile, force=force, jobs=jobs, listener=listener)
    for result in results:
        _report(result)

    from common import site

    chapters = [
        site.ChapterResult(one.slug, one.profile, one.notebook, one.run, one.error)
        for one in results
    ]
    index = site.build(chapters, only=slugs if only else None)
    say(f"the site is at {index}; open it, or run `replicate serve`")
    if pdf is not None:
        target = Path(pdf) if pdf else paths.build_dir() / "book.pdf"
        n_pages = printing.print_book(index.parent, target)
        say(f"the book ({n_pages} pages of the site) is printed to {target}")
    failed = [result.slug for result in results if result.error]
    if failed:
        raise ReplicateError(
            f"{len(failed)} of {len(results)} chapters failed: {', '.join(failed)}. "
            "Their pages show the error; mend them and build again."
        )


def sync(
    slug: Annotated[str | None, typer.Argument(help="A chapter; all by default.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail if unequal.")] = False,
    outputs: Annotated[
        bool, typer.Option("--outputs", help="Run the chapter and store what checked cells print.")
    ] = False,
) -> None:
    """Bring the .ipynb of each chapter up to its .py.

    \b
    Examples:
      replicate sync
      replicate sync hep2 --outputs
      replicate sync --check
    """
    from common import pairs

    problems = []
    for one in [papers.require_slug(slug)] if slug else papers.slugs():
        try:
            if check:
                pairs.check(one)
                say(f"{one}: in sync")
            else:
                changed = pairs.reference_outputs(one) if outputs else pairs.sync(one)
                say(f"{one}: {'written' if changed else 'unchanged'}")
        except ReplicateError as error:
            problems.append(str(error))
    if problems:
        raise ReplicateError("\n".join(problems))


def archive(
    slug: SlugArgument,
    profile: ProfileOption = "standard",
    allow_stale: Annotated[
        bool, typer.Option("--allow-stale", help="Archive although code or paper.yml changed.")
    ] = False,
    allow_dirty: Annotated[
        bool, typer.Option("--allow-dirty", help="Archive a run of changes not committed.")
    ] = False,
    again: Annotated[
        bool,
        typer.Option("--judge-again", help="Judge the archived records by today's statistics."),
    ] = False,
) -> None:
    """Keep the records of the newest standard or full run in the repository.

    \b
    Examples:
      replicate archive hep2
      replicate archive hep2 --profile full
      replicate archive hep2 --judge-again
    """
    if again:
        for claim, layer, before, now in judge_again(slug, profile=profile):
            say(f"{slug} {profile}: {claim} ({layer}) was {before}, is {now}")
        say(f"{slug} {profile}: judged again")
        return
    folder = make_archive(slug, profile=profile, allow_stale=allow_stale, allow_dirty=allow_dirty)
    stamp = read_json(archive_dir(slug, profile) / "run.json")
    say(f"{slug} {profile}: run {stamp['id']} archived in {folder}")


def new(
    slug: SlugArgument,
    dataset: Annotated[
        str | None, typer.Option(help="Its data set; <slug>-data by default.")
    ] = None,
) -> None:
    """Write the skeleton of a chapter: every file it needs, with tests that fail until filled in.

    \b
    Example:
      replicate new my-paper
    """
    from common import skeleton

    for path in skeleton.write(slug, dataset=dataset):
        say(str(path.relative_to(paths.root())))


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_args: object) -> None:
        """Say nothing: the address was printed, and a page asks for a hundred files."""


def serve(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any free port.")] = 8000,
) -> None:
    """Serve the built site on this machine.

    \b
    Example:
      replicate serve --port 8080
    """
    html = paths.build_dir() / "html"
    if not (html / "index.html").is_file():
        raise ReplicateError(f"there is no site in {html}. Run `replicate build` first.")
    try:
        server = http.server.ThreadingHTTPServer(
            ("127.0.0.1", port), partial(_Quiet, directory=str(html))
        )
    except OSError as error:
        raise ReplicateError(
            f"port {port} cannot be opened: {error.strerror}. Choose another with --port."
        ) from None
    with server:
        say(f"the site is at http://127.0.0.1:{server.server_port}/ (end with Ctrl-C)")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            tell("ended.")
