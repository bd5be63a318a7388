"""Preprocessed cases on disk: computed once for each set of parameters, read without recomputing.

A cached case is one ``.npz`` file without Python objects. Its folder is named by a key over the
data set's checksum, the parameters, the module of the reader and the module of the preparing
function, so that a change of any of them never meets an old file.
"""

import hashlib
import inspect
import json
import os
import uuid
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from common import manifests
from common.datasets import registry
from common.datasets.cases import Case, Cases
from common.datasets.files import read_numpy
from common.errors import ReplicateError

Prepare = Callable[..., Case]
_ARRAY, _FACTS = "array:", "facts"


def prepared(
    cases: Cases,
    prepare: Prepare,
    *,
    dataset: str,
    parameters: Mapping[str, Any],
    folder: Path | None = None,
) -> Cases:
    """Prepare every case once and keep the result on disk.

    Args:
        cases: of a reader; each is read only if its prepared form is not on disk.
        prepare: called as ``prepare(case, **parameters)``; it must depend on nothing else and give
            arrays, numbers and texts.
        dataset: name of the data set, whose checksum is part of the key.
        parameters: JSON values: sizes, windows, spacings.
        folder: where to keep the files; ``prepared/`` in the reader's data folder if left out.

    Returns:
        The prepared cases, read when asked for.

    Raises:
        ReplicateError: when a case is read: it cannot be stored, or the disk refuses it.
        TypeError: a parameter is not a JSON value.
    """
    place = (folder or manifests.data_dir() / "prepared") / quote(dataset, safe="")
    key = _key(dataset, prepare, parameters)
    read = partial(
        _read, cases=cases, prepare=prepare, parameters=dict(parameters), folder=place / key
    )
    # the row's place in the original sequence leads back to the case that was not prepared yet
    table = cases.table
    return Cases(table.assign(_position=range(len(table))), read)


def _key(dataset: str, prepare: Prepare, parameters: Mapping[str, Any]) -> str:
    modules = [registry.module_of(dataset), inspect.getmodule(prepare)]
    code = [inspect.getsource(module) for module in modules if module and module.__file__]
    parts = [manifests.checksum(dataset), code, prepare.__qualname__, dict(parameters)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]


def _read(
    row: Mapping[str, Any],
    *,
    cases: Cases,
    prepare: Prepare,
    parameters: Mapping[str, Any],
    folder: Path,
) -> Case:
    path = folder / f"{quote(str(row['case']), safe='')}.npz"
    if path.is_file():
        return _from_arrays(read_numpy(path))
    case = prepare(cases[int(row["_position"])], **parameters)
    _write(path, _to_arrays(case, path))
    return case


def _to_arrays(case: Case, path: Path) -> dict[str, Any]:
    """Separate a case into arrays and a JSON text of everything else."""
    arrays: dict[str, Any] = {} if case.image is None else {f"{_ARRAY}image": case.image}
    facts: dict[str, Any] = {"target": {}, "info": {}}
    for kind in ("target", "info"):
        for name, value in getattr(case, kind).items():
            if isinstance(value, np.ndarray):
                arrays[f"{_ARRAY}{kind}:{name}"] = value
            else:
                facts[kind][name] = value.item() if isinstance(value, np.generic) else value
    for name in ("case", "cluster", "spacing_mm", "site"):
        facts[name] = getattr(case, name)
    if any(array.dtype.hasobject for array in arrays.values()):
        raise ReplicateError(f"{path} can hold arrays of numbers only, got Python objects.")
    try:
        text = json.dumps(facts)
    except TypeError as error:
        raise ReplicateError(
            f"{path} can hold arrays, numbers and texts only: {error}. Change what is prepared."
        ) from None
    return {**arrays, _FACTS: np.array(text)}


def _from_arrays(arrays: Mapping[str, Any]) -> Case:
    facts = json.loads(str(arrays[_FACTS]))
    for name, array in arrays.items():
        kind, _, key = name.removeprefix(_ARRAY).partition(":")
        if name.startswith(_ARRAY) and key:
            facts[kind][key] = array
    spacing = facts["spacing_mm"]
    return Case(
        facts["case"],
        facts["cluster"],
        arrays.get(f"{_ARRAY}image"),
        facts["target"],
        None if spacing is None else tuple(spacing),
        facts["site"],
        facts["info"],
    )


def _write(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write a file whole or not at all."""
    temporary = path.with_name(f".{uuid.uuid4().hex}.npz")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as stream:
            np.savez_compressed(stream, allow_pickle=False, **arrays)
        os.replace(temporary, path)
    except OSError as error:
        raise ReplicateError(
            f"{path} cannot be written: {error.strerror or error}. Make room, or set "
            "REPLICATE_DATA to another folder."
        ) from None
    finally:
        temporary.unlink(missing_ok=True)
