"""Commands on data sets: status, fetch, verify."""

import dataclasses
from typing import Annotated

import typer

from common.cli.output import print_json, print_table, say, stderr, tell
from common.errors import ReplicateError

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="""Find, fetch and verify data sets.

    \b
    Examples:
      replicate data status
      replicate data fetch hep2-author-results
    """,
)
DatasetArgument = Annotated[str | None, typer.Argument(help="A data set; all by default.")]


def _size(n_bytes: int | None) -> str:
    return "-" if n_bytes is None else f"{n_bytes / 1e6:.1f} MB"


@app.command()
def status(
    dataset: DatasetArgument = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Say which data sets are on disk, and where.

    \b
    Examples:
      replicate data status
      replicate data status hep2-author-results --json
    """
    from common import manifests

    found = [manifests.status(name) for name in ([dataset] if dataset else manifests.datasets())]
    if as_json:
        print_json([dataclasses.asdict(one) for one in found])
        return
    columns = ["data set", "access", "state", "files", "size", "folder"]
    print_table(
        columns,
        (
            [
                one.dataset,
                one.access,
                "generated" if one.access == "generated" else one.state,
                f"{one.n_present}/{one.n_files}",
                _size(one.n_bytes),
                one.folder or "-",
            ]
            for one in found
        ),
    )


@app.command()
def fetch(dataset: DatasetArgument = None) -> None:
    """Download an open data set (all of them by default), each file checked.

    \b
    Example:
      replicate data fetch hep2-author-results
    """
    from common import manifests

    names = [dataset] if dataset else manifests.datasets()
    if dataset is None:
        open_ = [name for name in names if manifests.load(name).access == "open"]
        for name in sorted(set(names) - set(open_)):
            tell(f"{name}: left out, it cannot be downloaded by itself.")
        names = open_
    for name in names:
        with stderr().status(f"fetching {name}") as spinner:

            def progress(path: str, done: int, total: int, name: str = name) -> None:
                spinner.update(f"{name}: {_size(done)} of {_size(total)} ({path})")

            folder = manifests.fetch(name, progress=progress)
        say(f"{name}: complete in {folder}")


@app.command()
def verify(dataset: DatasetArgument = None) -> None:
    """Compare the checksum of every file with the manifest.

    Without a name, every data set that is on disk is verified.

    \b
    Example:
      replicate data verify hep2-author-results
    """
    from common import manifests

    problems = []
    if dataset:
        names = [dataset]
    else:
        names = [name for name in manifests.datasets() if manifests.status(name).folder]
        if not names:
            tell("no data set is on disk. Run `replicate data fetch`.")
    for name in names:
        try:
            found = manifests.verify(name)
        except ReplicateError as error:
            if dataset:
                raise
            problems.append(str(error))
        else:
            say(f"{name}: {found.n_files} files, {_size(found.n_bytes)}, all checksums right")
    if problems:
        raise ReplicateError("\n".join(problems))
