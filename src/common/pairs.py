"""Notebook pairs: ``notebooks/<slug>.py`` is the source, ``.ipynb`` what Jupyter and nbval open.

The pair holds outputs of checked cells only: code cells that are not tagged ``nbval-skip``. nbval
compares them strictly and does not execute the others, so a checked cell may depend on checked
cells alone. Only text is kept, so nbval is run with this module as a plugin, which makes it
compare text and nothing else::

    pytest --nbval -p common.pairs notebooks/hep2.ipynb
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from common import paths
from common.errors import ReplicateError
from common.runs import notebooks, store
from common.runs.engine import execute

if TYPE_CHECKING:
    from nbformat import NotebookNode

SKIP = "nbval-skip"
_NOT_COMPARED = ("nbval-skip", "nbval-ignore-output", "raises-exception")
# what a picture or a page shows is derived from text that is compared, or drifts with libraries
_NOT_TEXT = (
    "stderr",
    "image/png",
    "image/jpeg",
    "image/svg+xml",
    "text/html",
    "text/latex",
    "text/markdown",
    "application/json",
)


def pytest_collection_modifyitems(items: list[Any]) -> None:
    """Make nbval compare standard output and plain text only (a pytest hook)."""
    for item in items:
        compared = getattr(item.parent, "skip_compare", None)
        if compared is not None:
            item.parent.skip_compare = tuple(dict.fromkeys((*compared, *_NOT_TEXT)))


def pair(slug: str) -> Path:
    """Return the path of the ``.ipynb`` of a chapter."""
    return paths.notebook(slug).with_suffix(".ipynb")


def text_of(source: str) -> str:
    """Return the content of the ``.ipynb``, without outputs, of a ``.py`` given as text."""
    return notebooks.text(_with_outputs(notebooks.parse(source, "the notebook"), {}))


def is_checked(cell: NotebookNode) -> bool:
    """Say whether nbval compares the outputs of a cell."""
    return cell.cell_type == "code" and not set(_NOT_COMPARED) & set(notebooks.tags(cell))


def sync(slug: str) -> bool:
    """Write the ``.ipynb`` of a chapter from its ``.py``.

    Outputs of checked cells whose source is unchanged are kept, all others dropped.

    Args:
        slug: the chapter.

    Returns:
        Whether the file changed; a second call never changes it.

    Raises:
        ReplicateError: the ``.py`` cannot be read or the pair cannot be written.
    """
    stored = _stored(slug)
    kept = {} if stored is None else _outputs_by_id(stored)
    return _write(slug, kept)


def reference_outputs(slug: str) -> bool:
    """Store what the checked cells print now, from a run with profile ``quick``.

    Returns:
        Whether the pair changed.

    Raises:
        ReplicateError: the chapter fails; the pair is untouched.
    """
    result = execute(slug, profile="quick")
    if result.error or result.notebook is None:
        raise ReplicateError(f"{result.error}. The pair was not changed; mend that cell first.")
    executed = store.read_notebook(result.notebook)
    notebooks.name_cells(executed)
    return _write(slug, _outputs_by_id(executed))


def check(slug: str) -> None:
    """Check that a pair says the same and holds no output but text of checked cells.

    Raises:
        ReplicateError: the first difference, with its cell and the remedy.
    """
    stored = _stored(slug)
    problem = "is missing" if stored is None else _problem(notebooks.read(slug), stored)
    if problem:
        name = pair(slug).relative_to(paths.root())
        raise ReplicateError(
            f"{slug}: {name} is out of sync with notebooks/{slug}.py: {problem}. "
            f"Run `replicate sync {slug}`. The .py is the source; to keep edits made in the "
            f".ipynb, first run `jupytext --to py:percent {name}`."
        )


def _stored(slug: str) -> NotebookNode | None:
    path = pair(slug)
    if not path.is_file():
        return None
    try:
        found = store.read_notebook(path)
    except ValueError as error:
        raise ReplicateError(
            f"{slug}: {error}. Delete it and run `replicate sync {slug}`."
        ) from None
    notebooks.name_cells(found)
    return found


def _outputs_by_id(notebook: NotebookNode) -> dict[str, list[NotebookNode]]:
    """Return the text outputs of checked cells; the keys are ids made of content."""
    checked = [cell for cell in notebook.cells if is_checked(cell)]
    return {cell.id: text_outputs(cell) for cell in checked}


def text_outputs(cell: NotebookNode) -> list[NotebookNode]:
    """Return what nbval compares of a cell's outputs: standard output and plain text.

    Results carry the number of their cell.
    """
    from nbformat import NotebookNode

    kept = []
    for output in cell.get("outputs", []):
        if output.output_type == "stream" and output.name == "stdout":
            kept.append(NotebookNode(output_type="stream", name="stdout", text=output.text))
        elif "text/plain" in output.get("data", {}):
            data = NotebookNode({"text/plain": output.data["text/plain"]})
            plain = NotebookNode(output_type=output.output_type, data=data, metadata={})
            if output.output_type == "execute_result":
                plain.execution_count = cell.execution_count
            kept.append(plain)
    return kept


def _write(slug: str, outputs: dict[str, list[NotebookNode]]) -> bool:
    notebook = _with_outputs(notebooks.read(slug), outputs)
    path = pair(slug)
    before = path.read_text(encoding="utf-8") if path.is_file() else None
    store.write_notebook(path, notebook)
    return path.read_text(encoding="utf-8") != before


def _with_outputs(notebook: NotebookNode, outputs: dict[str, list[NotebookNode]]) -> NotebookNode:
    """Fill in outputs by cell id; checked cells are numbered, all others stay empty.

    nbval does not compare a cell without a number, so a checked cell whose outputs are unknown
    has a number and no outputs: it fails until its outputs are stored.
    """
    number = 0
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        cell.outputs, cell.execution_count = [], None
        if is_checked(cell):
            number += 1
            cell.execution_count = number
            cell.outputs = outputs.get(cell.id, [])
            cell.outputs = text_outputs(cell)
    return notebook


def _problem(source: NotebookNode, stored: NotebookNode) -> str:
    """Return the first difference between the two forms, empty if there is none."""
    ours_numbered = _with_outputs(source, {}).cells
    for number, (ours, theirs) in enumerate(
        zip(ours_numbered, stored.cells, strict=False), start=1
    ):
        if (ours.cell_type, ours.source) != (theirs.cell_type, theirs.source):
            return f"cell {number} differs ({_first_line(ours)!r} in the .py)"
        if notebooks.tags(ours) != notebooks.tags(theirs):
            return (
                f"cell {number} has the tags {notebooks.tags(theirs)}, not {notebooks.tags(ours)}"
            )
        foreign = _foreign(ours, theirs)
        if foreign:
            return f"cell {number} ({_first_line(ours)!r}) holds {foreign}"
    if len(source.cells) != len(stored.cells):
        return f"it has {len(stored.cells)} cells, the .py has {len(source.cells)}"
    return ""


def _first_line(cell: NotebookNode) -> str:
    return cell.source.partition("\n")[0][:60]


def _foreign(source: NotebookNode, cell: NotebookNode) -> str:
    """Name what a cell of a pair must not hold, empty if it holds nothing such.

    Args:
        source: the cell as a sync would write it, outputs aside.
        cell: the stored one.
    """
    if cell.cell_type != "code":
        return ""
    if cell.outputs and not is_checked(cell):
        return "outputs, though nbval does not check it"
    if cell.outputs != text_outputs(cell):
        return "outputs other than text"
    if cell.execution_count != source.execution_count or "execution" in cell.metadata:
        return "traces of an execution (another count, or times)"
    return ""
