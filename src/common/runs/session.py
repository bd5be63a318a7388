"""The notebook's side of a run: where its results go, and how they are handed over.

The same lines serve a run of the book and a reader who steps through the chapter in Jupyter.
"""

import dataclasses
import io
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from common import papers, paths, records as records_module
from common.errors import ReplicateError
from common.papers import Source
from common.records import Recorder
from common.runs.files import storage, write_json


@dataclass(frozen=True)
class Session:
    """One execution of a chapter.

    Args:
        slug: the chapter.
        id: of the run; ``interactive`` in Jupyter.
        profile: ``quick``, ``standard`` or ``full``.
        folder: where results go.
        parameters: the values this execution uses.
    """

    slug: str
    id: str
    profile: str
    folder: Path
    parameters: dict[str, Any]

    def recorder(self, source: Source) -> Recorder:
        """Return an empty recorder for cases of one source."""
        return Recorder(paper=self.slug, run=self.id, profile=self.profile, source=source)

    def save(
        self,
        records: pd.DataFrame,
        *,
        verdicts: Sequence[Any] | None = None,
        audit: Sequence[Any] | None = None,
        arrays: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        """Hand over the results; each file is written whole or not at all.

        Args:
            records: see :func:`common.records.check`.
            verdicts: dataclass objects or dictionaries.
            audit: the same, checks of the published numbers.
            arrays: what is not one number per case, by name.

        Raises:
            ReplicateError: records of another paper or run, or no room to write.
        """
        for column, own in (("paper", self.slug), ("run", self.id)):
            others = sorted({str(name) for name in records[column].unique()} - {own})
            if others:
                raise ReplicateError(
                    f"records of {self.slug} must have {column} {own!r}, got {others[0]!r}. "
                    "Make them with `run.recorder(source)`."
                )
        records_module.write(records, self.folder / "records.parquet")
        for name, items in (("verdicts", verdicts), ("audit", audit)):
            if items is not None:
                write_json(self.folder / f"{name}.json", [plain(item) for item in items])
        if arrays is not None:
            _write_arrays(arrays, self.folder / "arrays.npz")


def start(slug: str, parameters: Mapping[str, Any]) -> Session:
    """Begin an execution of a chapter.

    Args:
        slug: the chapter.
        parameters: the values of its parameters cell.

    Returns:
        A session whose folder exists: the run's own under `replicate`, else
        ``_build/interactive/<slug>``.

    Raises:
        UsageError: unknown chapter.
        ReplicateError: the folder cannot be made.
    """
    papers.require_slug(slug)
    named = os.environ.get("REPLICATE_RUN_DIR")
    folder = Path(named) if named else paths.build_dir() / "interactive" / slug
    with storage(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return Session(
        slug=slug,
        id=os.environ.get("REPLICATE_RUN_ID", "interactive"),
        profile=os.environ.get("REPLICATE_PROFILE", "quick"),
        folder=folder,
        parameters=dict(parameters),
    )


def plain(item: Any) -> Any:
    """Turn an object into what JSON can hold: dataclasses to dictionaries, NaN to None.

    Example:
        >>> plain({"p": np.float64("nan"), "arms": ("a", "b")})
        {'p': None, 'arms': ['a', 'b']}
    """
    if dataclasses.is_dataclass(item) and not isinstance(item, type):
        item = {field.name: getattr(item, field.name) for field in dataclasses.fields(item)}
    if isinstance(item, Mapping):
        return {str(key): plain(value) for key, value in item.items()}
    if isinstance(item, np.generic):
        item = item.item()
    if isinstance(item, list | tuple | np.ndarray):
        return [plain(value) for value in item]
    if isinstance(item, float) and not math.isfinite(item):
        return None
    json.dumps(item)
    return item


def _write_arrays(arrays: Mapping[str, np.ndarray], path: Path) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **dict(arrays))  # type: ignore[arg-type]
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with storage(path):
        try:
            temporary.write_bytes(buffer.getvalue())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
