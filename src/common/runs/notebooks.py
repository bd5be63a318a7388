"""Chapters as notebook objects: read, compare by syntax tree, hand parameters in, move outputs."""

from __future__ import annotations

import ast
import copy
from collections import Counter
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common import paths
from common.errors import ReplicateError
from common.runs.files import sha256

# nbformat takes over a second to import; kernels and reading commands do without it
if TYPE_CHECKING:
    from nbformat import NotebookNode

INJECTED = "injected-parameters"
PARAMETERS = "parameters"
# a cell that shows or checks, and whose change leaves records as they are
ONLY_SHOWS = "only-shows"


def read(slug: str) -> NotebookNode:
    """Read the text form of a chapter.

    Args:
        slug: the chapter.

    Returns:
        A notebook whose cell ids depend on content alone, so that reading twice gives the same.

    Raises:
        ReplicateError: the file is missing or is no jupytext notebook.
    """
    path = paths.notebook(slug)
    try:
        stamp = path.stat()
    except OSError:
        raise ReplicateError(
            f"{path} is missing. Restore it, or write a skeleton with `replicate new`."
        ) from None
    return copy.deepcopy(_read(path, stamp.st_mtime_ns, stamp.st_size))


@cache
def _read(path: Path, _mtime: int, _size: int) -> NotebookNode:
    return parse(path.read_text(encoding="utf-8"), str(path))


def parse(text: str, where: str) -> NotebookNode:
    """Turn the text form of a chapter into a notebook; see :func:`read`.

    Args:
        text: py:percent.
        where: its name in an error.

    Raises:
        ReplicateError: the text is no jupytext notebook.
    """
    import jupytext
    from nbformat import NotebookNode

    try:
        notebook = jupytext.reads(text, fmt="py:percent")
    except Exception as error:
        raise ReplicateError(
            f"{where} cannot be read as a py:percent notebook: {error}. Mend its cell headers."
        ) from None
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    notebook.metadata = NotebookNode(
        jupytext=NotebookNode(formats="ipynb,py:percent"),
        kernelspec=NotebookNode(display_name="Python 3", language="python", name="python3"),
        language_info=NotebookNode(name="python"),
    )
    name_cells(notebook)
    return notebook


def text(notebook: NotebookNode) -> str:
    """Return the content of an ``.ipynb`` file."""
    import nbformat

    return nbformat.writes(notebook) + "\n"


def name_cells(notebook: NotebookNode) -> None:
    """Give every cell an id made of its kind and source; equal cells are numbered."""
    seen: Counter[str] = Counter()
    for cell in notebook.cells:
        name = sha256(f"{cell.cell_type}\n{cell.source}")[:12]
        seen[name] += 1
        cell.id = name if seen[name] == 1 else f"{name}-{seen[name]}"


def tags(cell: NotebookNode) -> list[str]:
    """Return the tags of a cell."""
    return list(cell.metadata.get("tags", []))


def syntax(source: str) -> str:
    """Return the syntax tree of a piece of code as text, without comments and docstrings.

    Args:
        source: Python, or IPython with magics; text that is neither is returned as it is.

    Returns:
        Equal texts for equal programs; empty where the piece does nothing.

    Example:
        >>> syntax("x = 1  # one") == syntax("x=1")
        True
        >>> syntax("# only a comment")
        ''
    """
    try:
        tree = ast.parse(source)
    except SyntaxError:
        from IPython.core.inputtransformer2 import TransformerManager

        try:
            tree = ast.parse(TransformerManager().transform_cell(source))
        except SyntaxError:
            return source
    if not tree.body:
        return ""
    _strip_docstrings(tree)
    _strip_what_only_newer_pythons_have(tree)
    return ast.dump(tree)


def _strip_what_only_newer_pythons_have(tree: ast.Module) -> None:
    """Leave out empty type parameters, so that Python 3.11 and 3.12 agree on an equal program."""
    for node in ast.walk(tree):
        if getattr(node, "type_params", None) == []:
            del node.type_params  # type: ignore[attr-defined]


def _strip_docstrings(tree: ast.Module) -> None:
    for node in ast.walk(tree):
        # the first text of a cell is an expression that is shown, not a docstring
        if (
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            and ast.get_docstring(node, clean=False) is not None
        ):
            node.body = node.body[1:]


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """Return the cells that do something, in order, without the one that hands parameters in."""
    return [
        cell
        for cell in notebook.cells
        if cell.cell_type == "code" and INJECTED not in tags(cell) and syntax(cell.source)
    ]


def counting_cells(notebook: NotebookNode, where: str) -> list[NotebookNode]:
    """Return the cells that records may depend on: all that do something but ``only-shows``.

    The parameters cell is not among them: a run depends on the values that it was given, which
    are part of its id, and not on the defaults of other profiles.

    Args:
        notebook: the chapter.
        where: its name in an error.

    Raises:
        ReplicateError: a cell tagged ``only-shows`` sets a name, which a later cell could use.
    """
    counting = []
    for cell in code_cells(notebook):
        if PARAMETERS in tags(cell):
            continue
        if ONLY_SHOWS not in tags(cell):
            counting.append(cell)
        elif names := _names_set(cell.source):
            raise ReplicateError(
                f"{where}: a cell tagged {ONLY_SHOWS!r} must set no name, got "
                f"{', '.join(names)}. Remove the tag, or show the value without naming it."
            )
    return counting


def _names_set(source: str) -> list[str]:
    """List what a cell assigns, defines or deletes; imports and comprehensions leave nothing."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return ["whatever its magics do"]
    inner = {
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.comprehension | ast.Lambda)
        for name in ast.walk(node)
    }
    found = [
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load) and node not in inner
    ]
    changed = [
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load)
    ]
    defined = [
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    ]
    return [*found, *changed, *defined]


def parameters_cell(notebook: NotebookNode, where: str) -> NotebookNode:
    """Return the one cell tagged ``parameters``.

    Args:
        notebook: the chapter.
        where: its name in an error.

    Raises:
        ReplicateError: there is none or more than one.
    """
    found = [cell for cell in notebook.cells if PARAMETERS in tags(cell)]
    if len(found) != 1:
        raise ReplicateError(
            f"{where} must have exactly 1 cell tagged 'parameters', got {len(found)}. "
            'Head one code cell with `# %% tags=["parameters"]`.'
        )
    return found[0]


def inject(notebook: NotebookNode, values: dict[str, Any], where: str) -> NotebookNode:
    """Return a copy with a cell that sets parameters behind the parameters cell.

    papermill's own injection turns a tuple into a string, so the cell is written here.

    Args:
        notebook: the chapter.
        values: only the parameters that differ from their defaults.
        where: the chapter's name in an error.
    """
    from nbformat import NotebookNode
    from nbformat.v4 import new_code_cell

    result = copy.deepcopy(notebook)
    if values:
        place = result.cells.index(parameters_cell(result, where)) + 1
        source = "\n".join(f"{name} = {value!r}" for name, value in values.items())
        cell = new_code_cell(source, metadata=NotebookNode(tags=[INJECTED]), id=INJECTED)
        result.cells.insert(place, cell)
    return result


def clean(notebook: NotebookNode) -> NotebookNode:
    """Remove what papermill adds: error banners, and metadata with times and machine paths."""
    kept = [cell for cell in notebook.cells if "papermill-error-cell-tag" not in tags(cell)]
    for cell in kept:
        for name in ("papermill", "execution"):
            cell.metadata.pop(name, None)
        if not tags(cell):
            cell.metadata.pop("tags", None)
    notebook.cells = kept
    notebook.metadata.pop("papermill", None)
    return notebook


def with_outputs(current: NotebookNode, executed: NotebookNode) -> NotebookNode:
    """Return the current text with the outputs of an execution of the same code.

    Prose may have been edited since the execution; code cells correspond in order.

    Args:
        current: the chapter as it stands, parameters handed in.
        executed: an execution of it.

    Raises:
        ValueError: the two have different numbers of code cells.
    """
    result = copy.deepcopy(current)
    for cell, done in zip(code_cells(result), code_cells(executed), strict=True):
        cell.outputs = done.outputs
        cell.execution_count = done.execution_count
    return result
