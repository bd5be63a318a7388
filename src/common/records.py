"""Records: every measured value as one row of one long table, with where it came from.

A chapter collects its values in a :class:`Recorder`; statistics, figures and archives read the
table back. Values that are not one number per case go into arrays beside the records.
"""

import os
import tempfile
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import ArrayLike

from common.errors import ReplicateError
from common.papers import Source

COLUMNS = (
    "paper",
    "run",
    "profile",
    "source",
    "arm",
    "seed",
    "fold",
    "case",
    "cluster",
    "group",
    "metric",
    "value",
)
KEY = COLUMNS[:-1]
_TEXT = [name for name in COLUMNS if name not in ("seed", "value")]
SOURCES: tuple[str, ...] = get_args(Source)


class Recorder:
    """Collects the records of one run.

    Args:
        paper: slug.
        run: id of the run.
        profile: ``quick``, ``standard`` or ``full``.
        source: where the cases come from.

    Example:
        >>> recorder = Recorder(paper="hep2", run="a1", profile="quick", source="phantom")
        >>> recorder.add("correct", [1, 0], arm="full", seed=0, case=["i1", "i2"],
        ...              cluster=["p1", "p1"])
        >>> recorder.frame()["value"].tolist()
        [1.0, 0.0]
    """

    def __init__(self, *, paper: str, run: str, profile: str, source: Source) -> None:
        if source not in SOURCES:
            raise ReplicateError(f"`source` must be one of {', '.join(SOURCES)}, got {source!r}.")
        self._constant = {"paper": paper, "run": run, "profile": profile, "source": source}
        self._parts: list[pd.DataFrame] = []

    def add(
        self,
        metric: str,
        value: ArrayLike,
        *,
        arm: str,
        case: ArrayLike,
        cluster: ArrayLike,
        seed: int = 0,
        fold: ArrayLike = "",
        group: ArrayLike = "",
    ) -> None:
        """Add the values of one metric.

        Args:
            metric: id of the metric.
            value (n,): one number a case, or a scalar.
            arm: the method that was scored.
            case (n,): names of the cases.
            cluster (n,): the independent unit of each case.
            seed: the training seed.
            fold, group: scalar or (n,).
        """
        columns = {"arm": arm, "seed": seed, "fold": fold, "case": case, "cluster": cluster}
        n = np.size(np.asarray(value))
        part = {
            name: np.broadcast_to(np.asarray(column), (n,))
            for name, column in {**columns, "group": group, "metric": metric}.items()
        }
        part["value"] = np.asarray(value, dtype=np.float64).reshape(n)
        self._parts.append(pd.DataFrame(part))

    def extend(self, records: pd.DataFrame) -> None:
        """Add a table of records made elsewhere; its paper, run and profile are overwritten."""
        named = ["paper", "run", "profile"]
        self._parts.append(records.drop(columns=named, errors="ignore"))

    def frame(self) -> pd.DataFrame:
        """Return all records, checked.

        Returns:
            A table with the columns :data:`COLUMNS`; empty if nothing was added.

        Raises:
            ReplicateError: see :func:`check`.
        """
        if not self._parts:
            return check(pd.DataFrame({name: [] for name in COLUMNS}))
        table = pd.concat(self._parts, ignore_index=True)
        for name, constant in self._constant.items():
            if name not in table:
                table[name] = constant
            table[name] = table[name].where(table[name].notna(), constant)
        return check(table)


def check(records: pd.DataFrame) -> pd.DataFrame:
    """Put a table into the shape of records.

    Args:
        records: a table with the columns :data:`COLUMNS` in any order.

    Returns:
        The same rows, columns in order, text columns categorical, ``seed`` int64, ``value``
        float64.

    Raises:
        ReplicateError: a column is missing or unknown, or the same value was recorded twice.
    """
    missing = [name for name in COLUMNS if name not in records]
    unknown = [name for name in records if name not in COLUMNS]
    if missing or unknown:
        raise ReplicateError(
            f"records must have the columns {', '.join(COLUMNS)}; missing: {missing or 'none'}, "
            f"unknown: {unknown or 'none'}."
        )
    table = records.loc[:, list(COLUMNS)].reset_index(drop=True)
    for name in _TEXT:
        table[name] = table[name].astype(str).astype("category")
    table = table.astype({"seed": "int64", "value": "float64"})
    twice = table.duplicated(subset=list(KEY))
    if twice.any():
        first = table.loc[twice, list(KEY)].iloc[0].to_dict()
        raise ReplicateError(
            f"{int(twice.sum())} records were made twice, the first: {first}. "
            "Give each arm, seed, fold, case and metric one value."
        )
    return table


def write(records: pd.DataFrame, path: Path) -> Path:
    """Write records as parquet, whole or not at all.

    Args:
        records: see :func:`check`.
        path: the file to write; its folder is made.

    Raises:
        ReplicateError: the folder cannot be written or the disk is full; nothing is left behind.
    """
    table = pa.Table.from_pandas(check(records), preserve_index=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise ReplicateError(
            f"{path} cannot be written: {error.strerror}. Make room or choose another folder."
        ) from None
    os.close(handle)
    os.chmod(temporary, 0o644)  # temporary files are made for their owner alone
    try:
        pq.write_table(table, temporary, compression="zstd", compression_level=9)
        os.replace(temporary, path)
    except OSError as error:
        raise ReplicateError(
            f"{path} cannot be written: {error.strerror or error}. Make room or choose another "
            "folder; nothing was left behind."
        ) from None
    finally:
        Path(temporary).unlink(missing_ok=True)
    return path


def read(path: Path) -> pd.DataFrame:
    """Read records.

    Raises:
        ReplicateError: the file is missing, truncated or not a table of records.
    """
    try:
        table = pq.read_table(path).to_pandas()
    except (OSError, pa.ArrowException) as error:
        raise ReplicateError(
            f"{path} is not a readable table of records: {error}. Delete it and run the chapter "
            "again."
        ) from None
    return check(table)


def outcomes(records: pd.DataFrame, *, metric: str, arms: tuple[str, ...]) -> pd.DataFrame:
    """Pair the values of several arms case by case.

    Args:
        records: records of one source.
        metric: id of the metric.
        arms: arms to pair, in the order of the columns.

    Returns:
        One row per seed, fold and case that every arm has, indexed by ``(seed, fold, cluster,
        case)``, one column per arm.

    Raises:
        ReplicateError: an arm has no value of the metric, or the arms share no case.
    """
    chosen = records[records["metric"] == metric]
    present = set(chosen["arm"].unique())
    absent = [arm for arm in arms if arm not in present]
    if absent:
        raise ReplicateError(
            f"no record of metric {metric!r} for arm {', '.join(absent)}; recorded arms: "
            f"{', '.join(sorted(present)) or 'none'}. Run a profile that trains them."
        )
    chosen = chosen[chosen["arm"].isin(arms)].astype(dict.fromkeys(_TEXT, str))
    wide = chosen.pivot(index=["seed", "fold", "cluster", "case"], columns="arm", values="value")
    paired = wide.loc[:, list(arms)].dropna()
    if paired.empty:
        raise ReplicateError(f"arms {', '.join(arms)} share no case of metric {metric!r}.")
    return paired
