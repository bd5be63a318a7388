"""The archive of a validation run: small tables of text beside where they come from."""

import json
import os
import platform
import tempfile
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import pandas as pd

from common import paths
from common.errors import ReplicateError
from common.runs import keys
from common.runs.files import digest

TABLES = ("calibration", "coverage", "planted", "power")
PACKAGES = ("numpy", "scipy", "statsmodels", "pandas")
_DIGITS = "%.4g"


def folder() -> Path:
    """Return the folder of the archived validation run."""
    return paths.results_dir("validation")


def sources_digest() -> str:
    """Return a hash of the code that the tables rest on, to see whether they are stale.

    Comments and docstrings do not count, nor do the stated ranges, which follow from the tables.
    """
    names = {f"common.validation.{each}" for each in ("calibration", "planted", "powers")}
    found = keys.module_hashes(names)
    found.pop("common.statistics.validity", None)
    return digest(found)


def provenance(**settings: Any) -> dict[str, Any]:
    """Describe a run: when, with what, and how much.

    Args:
        settings: seed, studies, wall time and whatever else defines the run.
    """
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in PACKAGES},
        "statistics_sha256": sources_digest(),
        **settings,
    }


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all; its folder is made."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(text)
            os.chmod(name, 0o644)  # temporary files are made for their owner alone
            os.replace(name, path)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as error:
        raise ReplicateError(
            f"{path} cannot be written: {error.strerror or error}. Make room or choose another "
            "folder; nothing half-written was left behind."
        ) from None


def write(tables: dict[str, pd.DataFrame], run: dict[str, Any], *, to: Path) -> None:
    """Write the tables as CSV with four digits, and what made them as ``run.json``.

    Raises:
        ReplicateError: the folder cannot be written.
    """
    for name, table in tables.items():
        _write(to / f"{name}.csv", table.to_csv(index=False, float_format=_DIGITS))
    _write(to / "run.json", json.dumps(run, indent=1, allow_nan=False) + "\n")


def read(name: str, *, of: Path | None = None) -> pd.DataFrame:
    """Read one archived table.

    Args:
        name: one of :data:`TABLES`.
        of: another folder than :func:`folder`.

    Raises:
        ReplicateError: unknown name or no archive.
    """
    path = (of or folder()) / f"{name}.csv"
    if name not in TABLES or not path.exists():
        raise ReplicateError(
            f"no archived table {name!r} at {path}. Known: {', '.join(TABLES)}; "
            "`make validate` writes them."
        )
    return pd.read_csv(path)


def read_run(*, of: Path | None = None) -> dict[str, Any]:
    """Read what made the archive; ``stale`` tells whether the statistics changed since.

    Raises:
        ReplicateError: no archive.
    """
    path = (of or folder()) / "run.json"
    try:
        run: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ReplicateError(
            f"{path} cannot be read: {error}. `make validate` writes it."
        ) from None
    return run | {"stale": run["statistics_sha256"] != sources_digest()}
