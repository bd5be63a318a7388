"""The skeleton of a new chapter: every file of it, written together or not at all."""

import io
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from string import Template

from ruamel.yaml import YAML

from common import pairs, papers, paths
from common.errors import ReplicateError, UsageError
from common.runs.files import write_text

# the headings of every chapter after its title, in order
SECTIONS = (
    "The paper",
    "The idea",
    "The data",
    "The method",
    "The experiment",
    "Published and replicated",
    "The claims on trial",
    "Audit",
    "What we had to decide",
    "Limits",
    "Exercises",
    "Run it yourself",
)
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_PLACEHOLDER = re.compile(r"<[A-Za-z][^<>]*>")


def write(slug: str, *, dataset: str | None = None) -> list[Path]:
    """Write the skeleton of a chapter.

    Args:
        slug: its name: lower-case letters, digits and single hyphens, a letter first.
        dataset: the data set it uses, ``<slug>-data`` by default; one that has a manifest is
            used as it is.

    Returns:
        The files that were written or added to, in alphabetical order.

    Raises:
        UsageError: an invalid name, or a chapter of that name exists.
        ReplicateError: the files cannot be written; nothing is left behind.
    """
    dataset = dataset or f"{slug}-data"
    for name, kind in ((slug, "slug"), (dataset, "dataset")):
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"`{kind}` must be lower-case letters, digits and single hyphens, a letter first, "
                f"got {name!r}. Choose a name such as 'my-paper'."
            )
    new = _new_files(slug, dataset)
    for path in new:
        if path.exists():
            raise UsageError(
                f"chapter {slug!r} cannot be made: {path} exists. Choose another name, or remove "
                "that file."
            )
    changed = {**_with_entry(slug), **_with_reference(slug)}
    _write_all(new, changed)
    return sorted([*new, *changed])


def placeholders(slug: str) -> list[str]:
    """List the texts in angle brackets that a chapter still has from its skeleton.

    Args:
        slug: the chapter.

    Returns:
        The file and the text of each; empty if all were replaced.

    Raises:
        UsageError: unknown chapter.
        ReplicateError: its ``paper.yml`` is not valid, or a file cannot be read.
    """
    places = _templates(slug, [use.id for use in papers.load(slug).datasets])
    places[_references()] = "references.bib"
    found = []
    for path, template in places.items():
        text = _read(path) if path.exists() else ""
        given = _PLACEHOLDER.findall(_filled(template, slug, slug))
        left = [placeholder for placeholder in dict.fromkeys(given) if placeholder in text]
        found += [f"{path.relative_to(paths.root())}: {placeholder}" for placeholder in left]
    return found


def _module(name: str) -> str:
    return name.replace("-", "_")


def _references() -> Path:
    return paths.root() / "book" / "references.bib"


def _filled(template: str, slug: str, dataset: str) -> str:
    text = (files("common") / "templates" / f"{template}.template").read_text(encoding="utf-8")
    return Template(text).substitute(
        slug=slug,
        key=_module(slug),
        module=_module(slug),
        dataset=dataset,
        dataset_module=_module(dataset),
        year=datetime.now(UTC).year,
    )


def _templates(slug: str, datasets: Iterable[str]) -> dict[Path, str]:
    """Return the template of every file of a chapter and its data sets."""
    root, module = paths.root(), _module(slug)
    places = {
        paths.paper_dir(slug) / "paper.yml": "paper.yml",
        paths.paper_dir(slug) / "table1.csv": "table1.csv",
        paths.notebook(slug): "notebook.py",
        root / "src/common/models" / f"{module}.py": "model.py",
        root / "tests/models" / f"test_{module}.py": "test_model.py",
    }
    for dataset in datasets:
        places |= {
            paths.dataset_manifest(dataset): "dataset.yml",
            paths.dataset_manifest(f"{dataset}-phantom"): "phantom.yml",
            root / "src/common/datasets" / f"{_module(dataset)}.py": "dataset.py",
            root / "tests/datasets" / f"test_{_module(dataset)}.py": "test_dataset.py",
        }
    return places


def _new_files(slug: str, dataset: str) -> dict[Path, str]:
    """Return the content of every file of the chapter, the notebook pair included."""
    is_new = not paths.dataset_manifest(dataset).exists()
    places = _templates(slug, [dataset] if is_new else [])
    content = {path: _filled(template, slug, dataset) for path, template in places.items()}
    content[pairs.pair(slug)] = pairs.text_of(content[paths.notebook(slug)])
    return content


def _with_entry(slug: str) -> dict[Path, str]:
    """Return the table of contents with the chapter behind the last one."""
    path = paths.root() / "_toc.yml"
    yaml = YAML()
    yaml.indent(mapping=2, sequence=4, offset=2)
    toc = yaml.load(_read(path))
    parts = toc.get("parts", []) if isinstance(toc, dict) else []
    for part in parts:
        entries = part.get("chapters") or []
        if part.get("caption") == "Chapters" or any(
            str(entry.get("file", "")).startswith("notebooks/") for entry in entries
        ):
            part.setdefault("chapters", entries).append({"file": f"notebooks/{slug}"})
            stream = io.StringIO()
            yaml.dump(toc, stream)
            return {path: stream.getvalue()}
    raise ReplicateError(
        f"{path} must have a part with the caption 'Chapters', got none. Add it; nothing was "
        "written."
    )


def _with_reference(slug: str) -> dict[Path, str]:
    path = _references()
    return {path: _read(path).rstrip("\n") + "\n" + _filled("references.bib", slug, slug)}


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ReplicateError(
            f"{path} cannot be read: {error.strerror}. Restore it; nothing was written."
        ) from None


def _write_all(new: dict[Path, str], changed: dict[Path, str]) -> None:
    """Write every file; when one fails, remove the new ones and put back the others."""
    before = {path: _read(path) for path in changed}
    made: list[Path] = []
    try:
        for path, text in new.items():
            made += [folder for folder in path.parents if not folder.exists()]
            write_text(path, text)
        for path, text in changed.items():
            write_text(path, text)
    except BaseException:
        for path in new:
            path.unlink(missing_ok=True)
        for folder in sorted(set(made), reverse=True):
            if folder.is_dir():
                folder.rmdir()
        for path, text in before.items():
            if path.read_text(encoding="utf-8") != text:
                write_text(path, text)
        raise
