"""What a run depends on, and the id made of it: code, parameters, data, declaration, versions.

Comments, prose and formatting cost no run; an edited helper that the chapter imports does.
"""

from __future__ import annotations

import ast
import difflib
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import common
from common import papers, paths, strict_yaml
from common.errors import UsageError
from common.runs import notebooks, parameters
from common.runs.files import digest, sha256

if TYPE_CHECKING:
    from nbformat import NotebookNode

# raised when what a run folder holds changes its meaning
FORMAT = 1
# they execute chapters and never compute for them; runs do not depend on them
MACHINERY = ("common.runs", "common.cli", "common.site", "common.pairs")
# the one part of them that a chapter calls
CALLED = "common.runs.session"
# they find, declare and draw; a change makes a new page but no new records
NOT_NUMBERS = (
    "common.chapterpage",
    "common.comparison",
    "common.display",
    "common.downloads",
    "common.errors",
    "common.explorer",
    "common.figures",
    "common.manifest_schema",
    "common.manifests",
    "common.papers",
    "common.paths",
    "common.plotstyle",
    "common.runs",
    # archived records are judged again when these change: `replicate archive --judge-again`
    "common.statistics.decisions",
    "common.statistics.validity",
    "common.statistics.verdicts",
    "common.strict_yaml",
)
PROFILES = ("quick", "standard", "full")
# of paper.yml: costs are written in after a run, and what a paper reports decides no verdict
NOT_DECLARED = ("profiles", "reporting")


@dataclass(frozen=True)
class Plan:
    """One run that could be made: what would be executed and the id it would have.

    Args:
        slug: the chapter.
        profile: the named set of parameters.
        parameters: every parameter with its value.
        overrides: those that were given beside the profile.
        chapter: the notebook as it is read; plans of one sweep share it.
        changed: the parameters that differ from the notebook's defaults.
        parts: what the id is made of; stored with the run.
        id: sixteen hexadecimal digits.
    """

    slug: str
    profile: str
    parameters: dict[str, Any]
    overrides: dict[str, Any]
    chapter: NotebookNode = field(repr=False)
    changed: dict[str, Any] = field(repr=False)
    parts: dict[str, Any] = field(repr=False)
    id: str

    @property
    def notebook(self) -> NotebookNode:
        """The chapter with the changed parameters handed in; made anew at each access."""
        return notebooks.inject(self.chapter, self.changed, self.slug)


@dataclass(frozen=True)
class Planner:
    """Plans any number of runs of one chapter and profile; code, tables and data are read once.

    Args:
        slug: the chapter.
        profile: the named set of parameters.
        paper: its declaration.
        chapter: its notebook.
        declared: the parameters of the notebook, by name.
        parts: the part of the ids that does not depend on parameters.
    """

    slug: str
    profile: str
    paper: papers.Paper = field(repr=False)
    chapter: NotebookNode = field(repr=False)
    declared: Mapping[str, parameters.Parameter]
    parts: Mapping[str, Any] = field(repr=False)

    @property
    def cost(self) -> papers.Profile:
        """What ``paper.yml`` says of the profile: parameters, minutes, memory."""
        return declared_profile(self.paper, self.profile)

    def plan(self, given: Mapping[str, Any] | None = None) -> Plan:
        """Check the parameters of one run and work out its id; nothing is executed.

        Args:
            given: parameters that override the profile's.

        Raises:
            UsageError: unknown parameter, wrong type, or out of range.
        """
        overrides = dict(given or {})
        wanted = {**self.cost.parameters, **overrides}
        values = parameters.resolve(self.declared, wanted, self.paper.parameters)
        # as JSON has it, so that it equals what is read back
        parts = {**self.parts, "parameters": json.loads(json.dumps(values))}
        changed = {
            name: value for name, value in values.items() if value != self.declared[name].default
        }
        given_now = {name: values[name] for name in overrides}
        identity = digest(parts)[:16]
        return Plan(
            self.slug, self.profile, values, given_now, self.chapter, changed, parts, identity
        )


def planner(slug: str, profile: str = "quick") -> Planner:
    """Read everything that the plans of one chapter and profile have in common.

    Args:
        slug: the chapter.
        profile: its parameters are taken from ``paper.yml``.

    Raises:
        UsageError: unknown chapter or profile.
        ReplicateError: ``paper.yml`` or the parameters cell is not valid.
    """
    paper = papers.load(slug)
    declared_profile(paper, profile)
    chapter = notebooks.read(slug)
    counting = notebooks.counting_cells(chapter, slug)
    everything = notebooks.code_cells(chapter)
    shown = [cell for cell in everything if notebooks.ONLY_SHOWS in notebooks.tags(cell)]
    modules = module_hashes(imports_of(everything))
    parts = {
        "format": FORMAT,
        "slug": slug,
        "profile": profile,
        "notebook": cells_hash(counting),
        "shown": cells_hash(shown),
        "modules": modules,
        "shown_modules": sorted(
            set(modules) - set(module_hashes(imports_of(counting), numbers_only=True))
        ),
        **declaration_hashes(slug),
        "data": data_checksums(paper),
        "versions": versions(),
    }
    return Planner(slug, profile, paper, chapter, parameters.declared(chapter, slug), parts)


def plan(
    slug: str,
    *,
    profile: str = "quick",
    given: Mapping[str, Any] | None = None,
    texts: list[str] | None = None,
) -> Plan:
    """Plan one run; see :meth:`Planner.plan`.

    Args:
        slug: the chapter.
        profile: its parameters are taken from ``paper.yml``.
        given: parameters that override the profile's.
        texts: the same as ``name=value`` from a command line.

    Returns:
        The plan; equal requests on equal code, data and versions have equal ids.

    Raises:
        UsageError: unknown chapter, profile or parameter, wrong type, or out of range.
        ReplicateError: ``paper.yml`` or the parameters cell is not valid.
    """
    made = planner(slug, profile)
    return made.plan({**(given or {}), **parameters.parse_all(made.declared, texts or [])})


def require_profile(profile: str) -> str:
    """Return the profile if there is such a one.

    Raises:
        UsageError: unknown, naming the nearest.
    """
    if profile in PROFILES:
        return profile
    near = difflib.get_close_matches(profile, PROFILES, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise UsageError(f"unknown profile {profile!r}.{hint} Known: {', '.join(PROFILES)}.")


def declared_profile(paper: papers.Paper, profile: str) -> papers.Profile:
    """Return what ``paper.yml`` says of a profile.

    Raises:
        UsageError: there is no such profile, or the chapter does not declare it.
    """
    require_profile(profile)
    by_name = {str(name): cost for name, cost in paper.profiles.items()}
    if profile not in by_name:
        raise UsageError(
            f"chapter {paper.slug} has no profile {profile!r}, only {', '.join(by_name)}. "
            "Declare it in paper.yml."
        )
    return by_name[profile]


def cost(slug: str, profile: str) -> papers.Profile:
    """Return what a run costs by its declaration: minutes and memory.

    Raises:
        UsageError: unknown chapter or profile.
    """
    return declared_profile(papers.load(slug), profile)


def cells_hash(cells: Sequence[NotebookNode]) -> str:
    """Return the hash of code cells as syntax trees, in order."""
    return digest([notebooks.syntax(cell.source) for cell in cells])


def imports_of(cells: Sequence[NotebookNode]) -> set[str]:
    """Return the modules that code cells import by name."""
    names: set[str] = set()
    for cell in cells:
        try:
            names |= _imports(ast.parse(cell.source), package="")
        except SyntaxError:
            # a magic somewhere in the cell: its import lines still count
            for line in cell.source.splitlines():
                if line.lstrip().startswith(("import ", "from ")):
                    names |= _imports(_parse_or_empty(line.strip()), package="")
    return names


def _parse_or_empty(line: str) -> ast.Module:
    try:
        return ast.parse(line)
    except SyntaxError:
        return ast.Module(body=[], type_ignores=[])


def _imports(tree: ast.Module, *, package: str) -> set[str]:
    """Return every dotted name that a module may import, names inside packages included.

    ``package`` is what a relative import starts from.
    """
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, *([node.module] if node.module else [])])
            names |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return names


def module_hashes(
    names: set[str], *, package: Path | None = None, numbers_only: bool = False
) -> dict[str, str]:
    """Follow imports inside ``common`` and hash each module that is reached.

    Args:
        names: dotted names that a chapter imports; those outside ``common`` are passed over.
        package: folder of the package; that of the installed one by default.
        numbers_only: pass over what only shows, and what it alone imports.

    Returns:
        The hash of the syntax tree of every module reached, in alphabetical order.
        Importing ``common.a.b`` also reaches ``common.a``; of :data:`MACHINERY` only
        :data:`CALLED` is followed.
    """
    package = package or Path(common.__file__).parent
    found: dict[str, str] = {}
    waiting = sorted(names)
    while waiting:
        name = waiting.pop()
        parts = name.split(".")
        for depth in range(1, len(parts) + 1):
            module = ".".join(parts[:depth])
            path = _module_file(module, package)
            passed_over = _within(module, MACHINERY) and module != CALLED
            passed_over |= numbers_only and _only_shows(module)
            if module in found or path is None or passed_over:
                continue
            stamp = path.stat()
            found[module], reached = _module(path, module, stamp.st_mtime_ns, stamp.st_size)
            waiting += reached
    return dict(sorted(found.items()))


def is_ours(name: str) -> bool:
    """Say whether a dotted name belongs to this package.

    Example:
        >>> is_ours("common.papers"), is_ours("commonmark")
        (True, False)
    """
    return _within(name, ("common",))


def _within(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(package + ".") for package in packages)


def _module_file(module: str, package: Path) -> Path | None:
    first, *rest = module.split(".")
    if first != "common":
        return None
    stem = package.joinpath(*rest)
    for path in (stem / "__init__.py", stem.with_suffix(".py")):
        if path.is_file():
            return path
    return None


@cache
def _module(path: Path, module: str, _mtime: int, _size: int) -> tuple[str, tuple[str, ...]]:
    source = path.read_text(encoding="utf-8")
    tree = _parse_or_empty(source)
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    return sha256(notebooks.syntax(source)), tuple(_imports(tree, package=package))


def declaration_hashes(slug: str) -> dict[str, Any]:
    """Hash what ``paper.yml`` says and the published tables.

    Returns:
        ``paper``: the content of ``paper.yml``; ``declared``: the same without
        :data:`NOT_DECLARED`; ``tables``: one hash a file.
    """
    folder = paths.paper_dir(slug)
    content = strict_yaml.read(folder / "paper.yml")
    without = {key: value for key, value in content.items() if key not in NOT_DECLARED}
    return {
        "paper": digest(content),
        "declared": digest(without),
        "tables": {path.name: sha256(path.read_bytes()) for path in sorted(folder.glob("*.csv"))},
    }


def data_checksums(paper: papers.Paper) -> dict[str, str]:
    """Return one checksum for each data set of a chapter, ``absent`` where a reader lacks it."""
    if not paper.datasets:
        return {}
    from common import manifests

    return {use.id: manifests.checksum(use.id) for use in paper.datasets}


@cache
def versions() -> dict[str, str]:
    """Return the versions that numbers depend on; packages that are not installed are left out."""
    found = {"python": platform.python_version()}
    for package in ("torch", "numpy"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _only_shows(module: str) -> bool:
    """Say whether a module finds, declares and draws only; so do the ``tables`` of a chapter."""
    of_chapter = module.startswith("common.chapters.") and module.endswith(".tables")
    return of_chapter or _within(module, NOT_NUMBERS)


def differences(stored: Mapping[str, Any], current: Mapping[str, Any]) -> tuple[str, ...]:
    """Say why records made from one state of the book may not be those of another.

    Data and versions are not compared, nor what only shows (:data:`NOT_NUMBERS`, the ``tables``
    module of a chapter, cells tagged ``only-shows``) with what is imported by it alone: records
    made with them stay true of them.

    Args:
        stored: the ``parts`` of the plan of a run that was made.
        current: those of the plan it would have now.

    Returns:
        One phrase for each difference that matters to records; empty if there is none.
    """
    found = []
    for name, phrase in (
        ("format", "the format of runs changed"),
        ("notebook", "the notebook's code changed"),
        ("declared", "paper.yml changed"),
        ("tables", "a published table changed"),
        ("parameters", "the parameters of the profile changed"),
    ):
        if stored.get(name) != current.get(name):
            found.append(phrase)
    then, now = stored.get("modules", {}), current.get("modules", {})
    passed_over = {*stored.get("shown_modules", ()), *current.get("shown_modules", ())}
    names = sorted(
        name
        for name in {*then, *now} - passed_over
        if then.get(name) != now.get(name) and not _only_shows(name)
    )
    if names:
        found.append(f"code changed: {', '.join(names)}")
    return tuple(found)
