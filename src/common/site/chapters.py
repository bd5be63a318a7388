"""Executed notebooks made ready for the page: no widgets, no stack traces, errors told in a box."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from common import papers
from common.errors import ReplicateError
from common.runs import notebooks, store

_WIDGET = "application/vnd.jupyter.widget-view+json"
_BAR = re.compile(r"\d+%\|.*\[.*\]\s*$")
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


@dataclass(frozen=True)
class ChapterResult:
    """How a chapter ended in this build.

    Args:
        slug: the chapter.
        profile: what it ran with.
        notebook: the executed notebook, of a failed run as far as it came; None if there is none.
        run: content of ``run.json``.
        error: None, or what went wrong.
    """

    slug: str
    profile: str
    notebook: Path | None
    run: dict[str, Any] = field(default_factory=dict)
    error: str | None = None


def newest(slug: str) -> ChapterResult:
    """Return the newest complete run of a chapter at profile quick, or a result without one."""
    for run in store.complete(slug):
        if run.get("profile") == "quick":
            path = store.runs_dir(slug) / run["id"] / store.NOTEBOOK
            if path.is_file():
                return ChapterResult(slug, "quick", path, run)
    return ChapterResult(slug, "quick", None)


def page(result: ChapterResult) -> tuple[str, str]:
    """Make the page of a chapter.

    Args:
        result: how the chapter ended.

    Returns:
        The file's suffix and its text: a notebook, or Markdown where nothing was executed.

    Raises:
        ReplicateError: the executed notebook cannot be read.
    """
    if result.notebook is None:
        return ".md", _page_without_notebook(result)
    try:
        notebook = store.read_notebook(result.notebook)
    except ValueError as error:
        raise ReplicateError(
            f"chapter {result.slug}: {error}. "
            f"Run `replicate run {result.slug} --force` and build again."
        ) from None
    return ".ipynb", json.dumps(prepare(notebook, result), indent=1, sort_keys=True) + "\n"


def prepare(notebook: NotebookNode, result: ChapterResult) -> NotebookNode:
    """Take out of a notebook what only a running kernel or a terminal can use.

    Widget views keep their text, cells their order; execution counts go, and so do progress bars,
    whose text stays at its first frame. A failed chapter gets a box under its title and loses the
    traceback.

    Args:
        notebook: the executed notebook; it is changed.
        result: how the chapter ended.
    """
    cell = _failing_cell(notebook)
    notebook.metadata = NotebookNode(
        kernelspec=_KERNEL, language_info={"name": "python", "pygments_lexer": "ipython3"}
    )
    for each in notebook.cells:
        if each.cell_type == "code":
            each.execution_count = None
            each.outputs = [_still(output) for output in each.outputs if _shows(output)]
    if result.error is not None:
        box = nbformat.v4.new_markdown_cell(error_box(result, cell=cell), id="build-error")
        notebook.cells.insert(min(1, len(notebook.cells)), box)
    return notebook


def _shows(output: NotebookNode) -> bool:
    if output.output_type == "error":
        return False
    if output.output_type == "stream":
        return True
    is_bar = _WIDGET in output.data and _BAR.search(output.data.get("text/plain", ""))
    return set(output.data) != {_WIDGET} and not is_bar


def _still(output: NotebookNode) -> NotebookNode:
    if output.output_type == "execute_result":
        output.execution_count = None
    if output.output_type != "stream":
        output.data.pop(_WIDGET, None)
    return output


def _failing_cell(notebook: NotebookNode) -> int | None:
    """Return the number, from 1, of the code cell that ended in an error."""
    for place, cell in enumerate(notebooks.code_cells(notebook), start=1):
        if any(output.output_type == "error" for output in cell.outputs):
            return place
    return None


def error_box(result: ChapterResult, *, cell: int | None = None) -> str:
    """Say in Markdown that a chapter failed: which one, in which cell, and with which error.

    Of an error with several lines the first and the last are shown.

    Args:
        result: a failed chapter.
        cell: number of the failing code cell, where it is known.

    Returns:
        An admonition; the error stands in it as literal text, whatever it contains.
    """
    lines = _ANSI.sub("", result.error or "").strip().splitlines() or ["no message"]
    shown = "\n".join(dict.fromkeys([lines[0], lines[-1]])).replace("~~~~", "~ ~ ~ ~")
    place = f", code cell {cell}" if cell else ""
    return (
        ":::::{admonition} This chapter failed when the site was built\n:class: error\n\n"
        f"Chapter `{result.slug}`{place}, profile {result.profile}.\n"
        "What follows the failing cell was not run.\n\n"
        f"~~~~text\n{shown}\n~~~~\n:::::\n"
    )


def _page_without_notebook(result: ChapterResult) -> str:
    title = plain_text(_title(result.slug))
    if result.error is not None:
        return f"# {title}\n\n{error_box(result)}"
    return (
        f"# {title}\n\n:::{{note}}\nThis chapter was not run when the site was built.\n"
        f"`replicate build --only {result.slug}` runs it.\n:::\n"
    )


def _title(slug: str) -> str:
    try:
        return papers.load(slug).title
    except ReplicateError:
        return slug


def plain_text(text: str) -> str:
    r"""Escape text so that Markdown shows it as it is.

    Example:
        >>> print(plain_text("a *b* <i>"))
        a \*b\* \<i\>
    """
    return re.sub(r"([\\`*_{}\[\]()<>#+\-.!|$~^:@&%=])", r"\\\1", " ".join(text.split()))
