"""The folders of runs: ``_build/runs/<slug>/<id>`` holds complete runs only.

A run is made in ``.<id>-<machine>-<pid>`` beside them and renamed when it is complete, so that
whatever stops a build leaves either a whole run or none.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from common import paths
from common.runs import notebooks
from common.runs.files import read_json, sha256, storage, write_text

if TYPE_CHECKING:
    from nbformat import NotebookNode

WORK = ".work"
NOTEBOOK = "notebook.ipynb"
FAILED = "failed"
RECORDS = "records.parquet"
RESULTS = (RECORDS, "verdicts.json", "audit.json", "arrays.npz")
# machines that share a disk must not take each other's processes for their own
_MACHINE = sha256(platform.node())[:6]
_TEMPORARY = re.compile(rf"\.[\w-]+-{_MACHINE}-(\d+)(\.old)?$")


def runs_dir(slug: str) -> Path:
    """Return the folder of a chapter's runs."""
    return paths.build_dir() / "runs" / slug


def temporary(slug: str, run_id: str) -> Path:
    """Make the empty folder in which this process makes a run.

    Raises:
        ReplicateError: the folder cannot be made.
    """
    folder = runs_dir(slug) / f".{run_id}-{_MACHINE}-{os.getpid()}"
    with storage(folder):
        if folder.exists():
            shutil.rmtree(folder)
        (folder / WORK).mkdir(parents=True)
    return folder


def check_writable(slug: str) -> None:
    """See that runs can be written, before hours are spent on them.

    Raises:
        ReplicateError: they cannot.
    """
    folder = temporary(slug, "check")
    try:
        write_text(folder / "check", "")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep(slug: str) -> None:
    """Remove temporary folders whose process no longer lives."""
    folder = runs_dir(slug)
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        match = _TEMPORARY.match(path.name)
        if match and int(match[1]) != os.getpid() and not psutil.pid_exists(int(match[1])):
            shutil.rmtree(path, ignore_errors=True)


def publish(temporary_folder: Path, target: Path) -> None:
    """Move a finished folder to its name; one that stands there is replaced.

    Raises:
        ReplicateError: the move failed; an old folder, if any, is back in place.
    """
    old = temporary_folder.with_name(temporary_folder.name + ".old")
    with storage(target):
        shutil.rmtree(temporary_folder / WORK, ignore_errors=True)
        had = target.exists()
        if had:
            os.replace(target, old)
        try:
            os.replace(temporary_folder, target)
        except OSError:
            if had:
                os.replace(old, target)
            raise
    shutil.rmtree(old, ignore_errors=True)


def file_hashes(folder: Path) -> dict[str, str]:
    """Hash the results that a folder holds."""
    found = [folder / name for name in RESULTS if (folder / name).is_file()]
    return {path.name: sha256(path.read_bytes()) for path in found}


def lookup(slug: str, run_id: str) -> dict[str, Any] | None:
    """Return the ``run.json`` of a complete, undamaged run, else None."""
    folder = runs_dir(slug) / run_id
    run = read_json(folder / "run.json")
    if not isinstance(run, dict) or run.get("id") != run_id:
        return None
    if not (folder / NOTEBOOK).is_file() or run.get("files") != file_hashes(folder):
        return None
    return run


def complete(slug: str) -> list[dict[str, Any]]:
    """Return the ``run.json`` of every complete run of a chapter, newest first."""
    folder = runs_dir(slug)
    if not folder.is_dir():
        return []
    found = [read_json(path / "run.json") for path in folder.iterdir() if path.name[0] != "."]
    runs = [run for run in found if isinstance(run, dict) and "ended" in run and "id" in run]
    return sorted(runs, key=lambda run: run["ended"], reverse=True)


def seconds(slug: str, profile: str, minutes: float) -> float:
    """Estimate the wall time of a run.

    Args:
        slug: the chapter.
        profile: its named set of parameters.
        minutes: cost declared in ``paper.yml``, used where nothing ran here yet.

    Returns:
        Seconds.
    """
    for run in complete(slug):
        if run.get("profile") == profile:
            return float(run["wall_s"])
    return 60 * minutes


def read_notebook(path: Path) -> NotebookNode:
    """Read an executed notebook.

    Raises:
        ValueError: it is damaged.
    """
    import nbformat

    try:
        return nbformat.read(path, as_version=4)
    except (OSError, AttributeError, nbformat.reader.NotJSONError) as error:
        raise ValueError(f"{path} is damaged: {error}") from None


def write_notebook(path: Path, notebook: NotebookNode) -> Path:
    """Write a notebook atomically; one that already says the same is not touched.

    Raises:
        ReplicateError: there is no room, or the folder cannot be written.
    """
    text = notebooks.text(notebook)
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return path
    return write_text(path, text)


def refresh(path: Path, current: NotebookNode) -> bool:
    """Bring the prose of a stored notebook up to the chapter's present text.

    Args:
        path: the executed notebook; rewritten where its text differs.
        current: the chapter as it stands, with the same code.

    Returns:
        False if the stored notebook is damaged or was made of other cells.
    """
    try:
        merged = notebooks.with_outputs(current, read_notebook(path))
    except ValueError:
        return False
    write_notebook(path, merged)
    return True
