"""Everything that the site consists of, written into ``_build/staging``."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from common import papers, paths, strict_yaml
from common.errors import ReplicateError
from common.runs.files import storage
from common.site import chapters, live, pages
from common.site.chapters import ChapterResult
from common.site.evidence import collect

CHAPTERS = "notebooks/"
MARKER = "% generated: "
_PAGE_SUFFIXES = (".md", ".ipynb")
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
    files = _pages()
    for result in ended:
        suffix, text = chapters.page(result)
        files[f"{CHAPTERS}{result.slug}{suffix}"] = text.encode()
    _fill(files, ended)
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
    for path in running:
        name = path.relative_to(root).with_suffix("")
        if f"{name.as_posix()}.md" in files:
            raise ReplicateError(
                f"{name.as_posix()} must be one page, got both .md and .py. Remove one of them."
            )
        files[f"{name.as_posix()}.ipynb"] = live.page(path).encode()
    return files


def _fill(files: dict[str, bytes], results: Sequence[ChapterResult]) -> None:
    """Write the generated parts at their markers."""
    parts = {
        "scoreboard": lambda: pages.scoreboard([collect(result) for result in results]),
        "data": pages.data,
        "build": lambda: pages.build_report(results),
    }
    for name, make in parts.items():
        place = f"book/{name}.md"
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
