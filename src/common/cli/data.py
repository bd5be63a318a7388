"""Commands on data sets: status, describe, where, fetch, verify, schema, croissant."""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from common.cli.output import print_json, print_table, say, stderr, tell
from common.errors import ReplicateError

if TYPE_CHECKING:
    from common.integrity import Progress
    from common.manifests import Verified

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="""Find, describe, fetch and verify data sets.

    Files lie in the user's cache folder, or below the folder that REPLICATE_DATA names.
    REPLICATE_MIRROR names a folder or an http address with copies; it is tried first.

    \b
    Examples:
      replicate data status
      replicate data describe hep2-author-results
      replicate data fetch hep2-author-results
      replicate data verify hep2-author-results --quick
    """,
)
DatasetArgument = Annotated[str | None, typer.Argument(help="A data set; all by default.")]
OneDataset = Annotated[str, typer.Argument(help="A data set.")]
DatasetsArgument = Annotated[
    list[str] | None, typer.Argument(help="Data sets; every open one by default.")
]


@contextmanager
def _bar(name: str, *, in_bytes: bool) -> Iterator["Progress"]:
    """Show a progress bar on standard error while something is done to a data set."""
    from rich import progress

    counts = [progress.DownloadColumn(), progress.TransferSpeedColumn()] if in_bytes else []
    columns = [progress.TextColumn("{task.description}", markup=False), progress.BarColumn()]
    columns += [*counts, progress.TaskProgressColumn(), progress.TimeRemainingColumn()]
    console = stderr()
    hidden = not console.is_terminal
    with progress.Progress(*columns, console=console, transient=True, disable=hidden) as bar:
        task = bar.add_task(name, total=None)

        def report(what: str, done: int, total: int) -> None:
            bar.update(task, description=f"{name}: {what}", completed=done, total=total)

        yield report


@app.command()
def status(
    dataset: DatasetArgument = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Say which data sets are on disk, where, how large they are, and how to get the others.

    \b
    Examples:
      replicate data status
      replicate data status hep2-author-results --json
    """
    from common import manifests
    from common.cli.describe import size

    found = [manifests.status(name) for name in ([dataset] if dataset else manifests.datasets())]
    if as_json:
        print_json([dataclasses.asdict(one) for one in found])
        return
    columns = ["data set", "state", "files", "size", "folder, or how to get it"]
    print_table(
        columns,
        (
            [
                one.dataset,
                "generated" if one.access == "generated" else one.state,
                f"{one.n_present}/{one.n_files}" if one.n_files else "-",
                size(one.n_bytes),
                "\n".join(part for part in (str(one.folder or ""), one.remedy) if part),
            ]
            for one in found
        ),
    )
    if any(one.remedy.startswith("needs") for one in found):
        tell("`replicate data describe <data set>` prints the steps to what needs more than fetch.")


@app.command()
def describe(dataset: OneDataset) -> None:
    """Print every fact of a data set, how to obtain it, its layout, and its phantom's dials.

    Facts that nobody checked for this book are marked with the reason.

    \b
    Example:
      replicate data describe hep2-i3a-task2
    """
    from common import manifests
    from common.cli.describe import lines

    for line in lines(manifests.load(dataset), manifests.status(dataset)):
        say(line)


@app.command()
def where(dataset: DatasetArgument = None) -> None:
    """Print the folder of a data set; end with 1 if nothing of it is there.

    Without a name, every data set that is on disk is listed with its folder.

    \b
    Examples:
      replicate data where hep2-author-results
      cd "$(replicate data where hep2-author-results)"
    """
    from common import manifests

    names = [dataset] if dataset else manifests.datasets()
    found = [one for one in map(manifests.status, names) if one.folder]
    for one in found:
        say(str(one.folder) if dataset else f"{one.dataset}: {one.folder}")
    if not found:
        tell(manifests.how_to_obtain(dataset) if dataset else "no data set is on disk.")
        raise typer.Exit(1)


@app.command()
def fetch(datasets: DatasetsArgument = None) -> None:
    """Download open data sets (all of them by default), each file checked.

    A download that was cut off goes on where it ended. For a data set that needs an account or a
    contract, the steps and the folder for its files are printed, and the command ends with 1.

    \b
    Examples:
      replicate data fetch hep2-author-results
      replicate data fetch hep2-author-results luna16
      REPLICATE_DATA=/big/disk replicate data fetch
    """
    from common import manifests

    names = datasets or _open()
    for name in names:
        manifests.load(name)
    problems = []
    for name in names:
        try:
            with _bar(name, in_bytes=True) as report:
                folder = manifests.fetch(name, progress=report)
        except ReplicateError as error:
            problems.append(str(error))
        else:
            say(f"{name}: complete in {folder}")
    if problems:
        raise ReplicateError("\n".join(problems))


def _open() -> list[str]:
    """List the data sets that can be downloaded, and tell which are left out."""
    from common import manifests

    names = manifests.datasets()
    open_ = [name for name in names if manifests.can_fetch(manifests.load(name))]
    for name in sorted(set(names) - set(open_)):
        tell(f"{name}: left out, it cannot be downloaded by itself.")
    return open_


@app.command()
def verify(
    dataset: DatasetArgument = None,
    quick: Annotated[bool, typer.Option("--quick", help="Do not read the cases.")] = False,
) -> None:
    """Check the sum of every file, the layout, and that every case can be read.

    Without a name, every data set that is on disk is verified.

    \b
    Examples:
      replicate data verify hep2-author-results
      replicate data verify --quick
    """
    from common import manifests
    from common.datasets import registry

    problems = []
    if dataset:
        names = [dataset]
    else:
        names = [name for name in manifests.datasets() if manifests.status(name).folder]
        if not names:
            tell("no data set is on disk. Run `replicate data fetch`.")
    for name in names:
        try:
            with _bar(name, in_bytes=False) as report:
                reader = None if quick else registry.reader(name)
                found = manifests.verify(name, reader=reader, progress=report)
        except ReplicateError as error:
            if dataset:
                raise
            problems.append(str(error))
        else:
            say(_verified(found))
    if problems:
        raise ReplicateError("\n".join(problems))


def _verified(found: "Verified") -> str:
    from common import manifests
    from common.cli.describe import size

    sums = manifests.load(found.dataset).files
    how = "all checksums right" if sums and all(file.fetchable for file in sums) else "counts right"
    read = "" if found.n_cases is None else f", {found.n_cases} cases read"
    return f"{found.dataset}: {found.n_files} files, {size(found.n_bytes)}, {how}{read}"


@app.command()
def schema() -> None:
    """Print the JSON schema of a data set's manifest.

    A copy is kept in data_manifests/dataset.schema.json. An editor that checks YAML against a
    schema finds it by the first line of a manifest:

    \b
      # yaml-language-server: $schema=../dataset.schema.json

    \b
    Example:
      replicate data schema > data_manifests/dataset.schema.json
    """
    from common.manifest_schema import json_schema

    print(json_schema(), end="")


@app.command("croissant")
def as_croissant(dataset: OneDataset) -> None:
    """Print a manifest as Croissant (JSON-LD), checked by the library of MLCommons.

    \b
    Example:
      replicate data croissant hep2-author-results > croissant.json
    """
    from common import croissant, manifests

    print_json(croissant.export(manifests.load(dataset)))
