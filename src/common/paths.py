"""Where things are in a checkout of the book."""

import os
from functools import cache
from pathlib import Path

from common.errors import ReplicateError

_MARKER = "data_manifests"


@cache
def _find_root(start: Path) -> Path:
    for folder in (start, *start.parents):
        if (folder / _MARKER).is_dir() and (folder / "notebooks").is_dir():
            return folder
    raise ReplicateError(
        f"no checkout of the book was found at {start} or above it. "
        "Change into the checkout, or set REPLICATE_ROOT to its folder."
    )


def root() -> Path:
    """Find the checkout: ``REPLICATE_ROOT``, else the working directory or a folder above it,
    else the checkout that this package was installed from.

    Returns:
        The absolute path of the folder that holds ``data_manifests`` and ``notebooks``.

    Raises:
        ReplicateError: no such folder exists.
    """
    named = os.environ.get("REPLICATE_ROOT")
    if named:
        return _find_root(Path(named).resolve())
    try:
        return _find_root(Path.cwd().resolve())
    except ReplicateError:
        return _find_root(Path(__file__).resolve().parent)


def build_dir() -> Path:
    """Return the folder of everything generated (runs, staging, site), never committed."""
    return root() / "_build"


def results_dir(slug: str) -> Path:
    """Return the folder of a chapter's archives."""
    return root() / "book" / "results" / slug


def paper_dir(slug: str) -> Path:
    """Return the folder of a paper's ``paper.yml`` and published tables."""
    return root() / _MARKER / "papers" / slug


def dataset_manifest(dataset: str) -> Path:
    """Return the path of a data set's manifest."""
    return root() / _MARKER / "datasets" / f"{dataset}.yml"


def notebook(slug: str) -> Path:
    """Return the text form (``py:percent``) of a chapter."""
    return root() / "notebooks" / f"{slug}.py"
