"""Hand-written pages with running code: ``book/<page>.py``, executed when the site is staged.

Such a page is written as a chapter is (py:percent, MyST in its markdown cells) and needs neither
``paper.yml`` nor parameters.  Its execution is kept in ``_build/pages`` and taken again until a
code cell, a module that it imports, an archive that it reads or a library changes; prose costs no
run.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import psutil
from nbformat.v4 import new_markdown_cell

from common import paths
from common.errors import ReplicateError
from common.runs import keys, notebooks, provenance, store
from common.runs.files import digest, read_json, sha256
from common.site import chapters
from common.site.chapters import ChapterResult
from common.validation import archive

if TYPE_CHECKING:
    from nbformat import NotebookNode

SUFFIX = ".py"
_SITE = "common.site."
READER = f"{_SITE}validation"  # reads an archive; not imported here, it needs scipy
FORMAT = 1  # raised when what an execution holds changes its meaning
_LIBRARIES = ("scipy", "statsmodels", "pandas", "matplotlib")
# the theme would offer an .ipynb of the repository in Colab and Binder, and there is none
_NO_LAUNCH = "<style>.dropdown-launch-buttons { display: none !important; }</style>"


def page(source: Path) -> str:
    """Make the page of a text with running code, executing it where that is needed.

    Args:
        source: the page, below the root of the checkout.

    Returns:
        The text of an executed ``.ipynb``, ready for the site.

    Raises:
        ReplicateError: the text is no notebook, or a cell fails; page and cell are named.
    """
    name = source.relative_to(paths.root()).as_posix()
    notebook = notebooks.parse(source.read_text(encoding="utf-8"), name)
    wanted = digest(identity(notebook))
    kept = paths.build_dir() / "pages" / Path(name).with_suffix(".ipynb")
    shown = _kept(kept, notebook, wanted)
    if shown is None:
        executed = _execute(notebook, name)
        executed.metadata["page"] = wanted
        store.write_notebook(kept, executed)
        shown = notebooks.with_outputs(notebook, executed)
    shown = chapters.prepare(shown, ChapterResult(name, "", None))
    shown.cells.append(new_markdown_cell(_NO_LAUNCH, id="no-launch"))
    return json.dumps(shown, indent=1, sort_keys=True) + "\n"


def identity(notebook: NotebookNode) -> dict[str, Any]:
    """Return what an execution depends on: code, modules, archives that are read, versions.

    Args:
        notebook: the page, see :func:`common.runs.notebooks.parse`.
    """
    names = keys.imports_of(notebooks.code_cells(notebook))
    shown: dict[str, str] = {}
    data: dict[str, str] = {}
    for name in sorted(names):
        # keys passes over the modules of the site, because no chapter computes with them
        path = Path(__file__).with_name(f"{name.removeprefix(_SITE)}.py")
        if name.startswith(_SITE) and path.is_file():
            text = path.read_text(encoding="utf-8")
            names |= keys.imports_of(notebooks.code_cells(notebooks.parse(text, name)))
            shown[name] = sha256(notebooks.syntax(text))
    if READER in names:
        found = sorted(path for path in archive.folder().rglob("*") if path.is_file())
        data = {path.name: sha256(path.read_bytes()) for path in found}
        # the page says so, and a comment in any module of the statistics changes it
        if "run.json" in data:
            data["stale"] = str(archive.read_run()["stale"])
    return {
        "format": FORMAT,
        "notebook": keys.cells_hash(notebooks.code_cells(notebook)),
        "modules": {**keys.module_hashes(names), **shown},
        "data": data,
        "versions": {**keys.versions(), **{name: version(name) for name in _LIBRARIES}},
    }


def _kept(path: Path, notebook: NotebookNode, wanted: str) -> NotebookNode | None:
    """Return the present text with the outputs of an earlier execution, None if none fits."""
    if not path.is_file():
        return None
    try:
        executed = store.read_notebook(path)
        if executed.metadata.get("page") != wanted:
            return None
        return notebooks.with_outputs(notebook, executed)
    except (ValueError, nbformat.ValidationError):
        return None


def _execute(notebook: NotebookNode, name: str) -> NotebookNode:
    """Run the page in a process and a kernel of its own."""
    with tempfile.TemporaryDirectory(prefix="page-") as folder:
        work = Path(folder)
        store.write_notebook(work / "input.ipynb", notebook)
        code = _run(work)
        ended = read_json(work / "ended.json")
        if ended is None or ended["name"] is not None:
            log = (work / "log.txt").read_text(errors="replace").strip().splitlines()
            raise ReplicateError(_failure(notebook, name, ended, code, log))
        return notebooks.clean(store.read_notebook(work / "output.ipynb"))


def _run(work: Path) -> int:
    """Execute ``input.ipynb`` of a folder, see :mod:`common.site.execution`; return the exit code.

    Ctrl-C reaches this process alone, which then ends the other one with its kernel.
    """
    with (work / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "common.site.execution", str(work)],
            cwd=paths.root(),
            env=provenance.child_environment(
                folder=work, work=work, run_id="", profile="", threads=provenance.cores()
            ),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            return process.wait()
        finally:
            if process.poll() is None:
                _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        family = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        family = []
    for member in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    process.kill()
    process.wait()


def _failure(
    notebook: NotebookNode, name: str, ended: dict[str, Any] | None, code: int, log: list[str]
) -> str:
    if ended is None:
        last = f": {log[-1]}" if log else ""
        return f"{name}: its process ended with code {code}{last}. Build again."
    where = ""
    if ended["cell"]:
        cells = notebooks.code_cells(notebook)
        source = cells[ended["cell"] - 1].source
        first = next(line for line in source.splitlines() if line.strip()).strip()
        where = f"code cell {ended['cell']} of {len(cells)} ({first[:60]!r}) "
    what = " ".join(f"{ended['name']}: {ended['text']}".split()).rstrip(": ")
    return (
        f"{name}: {where}failed with {what}. Mend the cell and build again; the site was not "
        "changed."
    )
