"""Everything that the site consists of, written into ``_build/staging``."""

import io
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from common import manifests, papers, paths, strict_yaml
from common.errors import ReplicateError
from common.runs.files import storage
from common.site import (
    atlas,
    boards,
    changes,
    chapters,
    crates,
    dataset_pages,
    imprint,
    live,
    machine,
    pages,
    scoreboard,
)
from common.site.chapters import ChapterResult
from common.site.imprint import Imprint

CHAPTERS = "notebooks/"
MARKER = "% generated: "
_SCOREBOARD = "book/scoreboard.md"
_PAGE_SUFFIXES = (".md", ".ipynb")
# files of the repository that are pages, or parts of pages, as well
_FROM_THE_ROOT = {"CHANGELOG.md": "book/changelog.md", "CITATION.cff": "book/CITATION.cff"}
_SETTINGS = (".toml",)  # of tools that read the sources of pages


def stage(results: Sequence[ChapterResult], *, only: Sequence[str] | None = None) -> Path:
    """Write the site's sources; only files whose content changed are touched.

    Args:
        results: how the chapters of this build ended.
        only: the chapters that were asked for, None for all; every other chapter of ``_toc.yml``
            is shown as its newest run left it.

    Returns:
        The folder ``_build/staging``.

    Raises:
        ReplicateError: ``_toc.yml`` names a page or chapter that does not exist, or lacks a
            chapter of this build; a generated page has no place to go; a page with running code
            fails; the disk is full.
    """
    listed = list(entries(strict_yaml.read(paths.root() / "_toc.yml")))
    ended = _all_results(listed, results, only)
    files, book = _pages(), imprint.read(paths.root())
    for result in ended:
        files |= _chapter(result, book)
    _add_changes(files, book)
    _fill(files, ended)
    if dataset_pages.FOLDER in listed:
        files |= machine.with_datasets(dataset_pages.files(), book)
        files["_toc.yml"] = _with_datasets(files["_toc.yml"].decode()).encode()
    for entry in listed:
        if not any(f"{entry}{suffix}" in files for suffix in _PAGE_SUFFIXES):
            raise ReplicateError(
                f"_toc.yml names the page {entry!r}, and there is no such page. "
                "Add the file or remove the entry."
            )
    staging = paths.build_dir() / "staging"
    with storage(staging):
        _write(staging, files)
    return staging


def entries(node: Any) -> Iterator[str]:
    """List the pages that a table of contents names, without their suffix.

    Example:
        >>> list(entries({"root": "book/index", "chapters": [{"file": "notebooks/hep2.ipynb"}]}))
        ['book/index', 'notebooks/hep2']
    """
    if isinstance(node, list):
        for item in node:
            yield from entries(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key in ("root", "file"):
                yield str(value).removesuffix(".md").removesuffix(".ipynb")
            else:
                yield from entries(value)


def _all_results(
    listed: Sequence[str], results: Sequence[ChapterResult], only: Sequence[str] | None
) -> list[ChapterResult]:
    """Return one result for each chapter of the table of contents, in its order."""
    given = {result.slug: result for result in results}
    slugs = [entry.removeprefix(CHAPTERS) for entry in listed if entry.startswith(CHAPTERS)]
    unlisted = sorted({*given, *(only or ())} - set(slugs))
    if unlisted:
        raise ReplicateError(
            f"chapter {unlisted[0]!r} is not in _toc.yml. "
            f"Add `- file: {CHAPTERS}{unlisted[0]}` to its chapters."
        )
    for slug in slugs:
        papers.require_slug(slug)
    return [given.get(slug) or chapters.newest(slug) for slug in slugs]


def _pages() -> dict[str, bytes]:
    """Read configuration and hand-written pages: path inside the staging folder to content.

    Pages with running code are executed, or taken from their last execution.
    """
    root = paths.root()
    found = [root / "_config.yml", root / "_toc.yml"]
    found += [path for path in sorted((root / "book").rglob("*")) if path.is_file()]
    files = {}
    running = []
    for path in found:
        inside = path.relative_to(root)
        hidden = any(part.startswith(".") for part in inside.parts)
        if hidden or inside.parts[:2] == ("book", "results") or path.suffix in _SETTINGS:
            continue
        if path.suffix == live.SUFFIX:
            running.append(path)
        else:
            files[inside.as_posix()] = path.read_bytes()
    for source, place in _FROM_THE_ROOT.items():
        if (root / source).is_file():
            files[place] = (root / source).read_bytes()
    for path in running:
        name = path.relative_to(root).with_suffix("")
        if f"{name.as_posix()}.md" in files:
            raise ReplicateError(
                f"{name.as_posix()} must be one page, got both .md and .py. Remove one of them."
            )
        files[f"{name.as_posix()}.ipynb"] = live.page(path).encode()
    return files


def _chapter(result: ChapterResult, book: Imprint) -> dict[str, bytes]:
    """Write the page of a chapter, and its archived runs beside it."""
    suffix, text = chapters.page(result)
    packed = crates.files(result.slug, book)
    text = machine.chapter_page(result.slug, suffix, text, book, crates=crates.links(packed))
    return {f"{CHAPTERS}{result.slug}{suffix}": text.encode(), **packed}


def _add_changes(files: dict[str, bytes], book: Imprint) -> None:
    """Put the changes of verdicts under the changelog, and write their feed."""
    page = _FROM_THE_ROOT["CHANGELOG.md"]
    if files.pop(changes.FILE, None) is None or page not in files:
        return
    found = changes.load()
    feed = bool(found and book.address)
    heading = f"\n## {changes.HEADING}\n\n{changes.section(found, feed=feed)}"
    files[page] += heading.encode()
    if feed:
        files[f"book/{changes.FEED}"] = changes.feed(found, book)


def _fill(files: dict[str, bytes], results: Sequence[ChapterResult]) -> None:
    """Write the generated parts at their markers, and the files that they lead to."""
    found = [boards.gather(result) for result in results] if _SCOREBOARD in files else []
    parts = {
        "scoreboard": lambda: scoreboard.page(found),
        "scoreboard-picture": lambda: scoreboard.picture(found),
        "atlas": atlas.page,
        "data": dataset_pages.overview,
        "build": lambda: pages.build_report(results),
    }
    places = {name: f"book/{name}.md" for name in parts}
    if _SCOREBOARD in files:
        places["scoreboard-picture"] = "book/index.md"
        files |= scoreboard.files(found)
    if places["atlas"] in files:
        files |= atlas.files()
    for name, make in parts.items():
        place = places[name]
        if place not in files:
            continue
        lines = files[place].decode().splitlines()
        if lines.count(MARKER + name) != 1:
            raise ReplicateError(
                f"{place} must hold the line {MARKER + name!r} once, got "
                f"{lines.count(MARKER + name)}. Put it where the generated part belongs."
            )
        lines[lines.index(MARKER + name)] = make()
        files[place] = ("\n".join(lines) + "\n").encode()


def _with_datasets(toc: str) -> str:
    """Return the table of contents with a section for each data set under the page of data."""
    yaml = YAML()
    tree = yaml.load(toc)
    for entry in _nodes(tree):
        if str(entry.get("file", "")).removesuffix(".md") == dataset_pages.FOLDER:
            entry["sections"] = [
                {"file": f"{dataset_pages.FOLDER}/{name}", "title": name}
                for name in manifests.datasets()
            ]
    stream = io.StringIO()
    yaml.dump(tree, stream)
    return stream.getvalue()


def _nodes(node: Any) -> Iterator[Any]:
    """Walk through the entries of a table of contents."""
    if isinstance(node, list):
        for item in node:
            yield from _nodes(item)
    elif isinstance(node, dict):
        yield node
        for value in list(node.values()):
            yield from _nodes(value)


def _write(staging: Path, files: dict[str, bytes]) -> None:
    """Make the folder hold exactly these files; unchanged ones keep their time stamps."""
    for name, content in files.items():
        path = staging / name
        if not path.is_file() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    for path in sorted(staging.rglob("*"), reverse=True):
        inside = path.relative_to(staging).as_posix()
        if path.is_file() and inside not in files:
            path.unlink()
        elif path.is_dir() and not any(path.iterdir()):
            shutil.rmtree(path)
