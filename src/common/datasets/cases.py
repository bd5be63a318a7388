"""Cases: what every reader and every phantom returns, one after the other and only when asked.

A table describes all cases without reading a pixel; :class:`Cases` reads or renders one case at a
time from its row. The independent unit is the ``cluster`` (patient, scan, video): splits, tests
and intervals go by it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import ArrayLike, NDArray

Read = Callable[[Mapping[str, Any]], "Case"]


@dataclass(frozen=True)
class Case:
    """One case: the smallest thing that is scored.

    Args:
        case: its name, unique in the data set.
        cluster: the independent unit that it belongs to.
        image (C, *spatial): channels first; ``None`` where only annotations exist.
        target: what is to be predicted, by name: ``label`` (int), ``mask`` (*spatial, bool or
            integer codes), ``boxes`` (n, 4 or 6; pixels, lower corner first, in the order of the
            spatial axes), ``sequence`` and so on.
        spacing_mm: distance of voxel centres along each spatial axis; ``None`` if unknown.
        site: scanner, hospital or laboratory; ``None`` if unknown.
        info: what is known besides, such as the hidden truth of a phantom.
    """

    case: str
    cluster: str
    image: NDArray[Any] | None
    target: Mapping[str, Any]
    spacing_mm: tuple[float, ...] | None = None
    site: str | None = None
    info: Mapping[str, Any] = field(default_factory=dict)


class Cases(Sequence[Case]):
    """A lazy sequence of cases with one table row for each.

    Args:
        table: one row per case, columns ``case`` and ``cluster`` first; other columns hold what is
            known without reading it (label, site, official part, drawn parameters).
        read: makes the case of a row; it must depend on nothing but the row.

    Raises:
        ValueError: a column is missing, or two rows name the same case.

    Example:
        >>> rows = pd.DataFrame({"case": ["a", "b"], "cluster": ["p1", "p2"]})
        >>> cases = Cases(rows, lambda row: Case(row["case"], row["cluster"], None, {"label": 1}))
        >>> len(cases), cases[1].cluster, cases.where(cases.table.cluster == "p1")[0].case
        (2, 'p2', 'a')
    """

    def __init__(self, table: pd.DataFrame, read: Read) -> None:
        missing = [name for name in ("case", "cluster") if name not in table.columns]
        if missing:
            raise ValueError(f"`table` must have the columns case and cluster, got no {missing}.")
        doubled = table["case"][table["case"].duplicated()].tolist()
        if doubled:
            raise ValueError(f"`table` must name each case once, got {doubled[0]!r} twice.")
        self._table = table.reset_index(drop=True)
        self._read = read

    @classmethod
    def of(
        cls, table: pd.DataFrame, image: NDArray[Any] | None = None, **targets: NDArray[Any]
    ) -> "Cases":
        """Make a sequence of what is already in memory.

        Args:
            table: one row per case, with the columns ``case`` and ``cluster``.
            image (n, C, *spatial): images in the order of the table.
            targets: arrays (n, ...) by their name.

        Raises:
            ValueError: an array has not one entry for each row.

        Example:
            >>> rows = pd.DataFrame({"case": ["a", "b"], "cluster": ["p", "p"]})
            >>> Cases.of(rows, np.zeros((2, 1, 4, 4)), label=np.array([0, 1]))[1].target["label"]
            np.int64(1)
        """
        given = {**({} if image is None else {"image": image}), **targets}
        for name, array in given.items():
            if len(array) != len(table):
                raise ValueError(f"`{name}` must have {len(table)} entries, got {len(array)}.")
        place = {name: position for position, name in enumerate(table["case"])}

        def read(row: Mapping[str, Any]) -> Case:
            i = place[row["case"]]
            found = {name: array[i] for name, array in targets.items()}
            return Case(row["case"], row["cluster"], None if image is None else image[i], found)

        return cls(table, read)

    @property
    def table(self) -> pd.DataFrame:
        """A copy of the table, in the order of the cases."""
        return self._table.copy()

    def __len__(self) -> int:
        return len(self._table)

    @overload
    def __getitem__(self, index: int) -> Case: ...
    @overload
    def __getitem__(self, index: slice) -> "Cases": ...
    def __getitem__(self, index: "int | slice") -> "Case | Cases":
        if isinstance(index, slice):
            return Cases(self._table.iloc[index], self._read)
        row = {str(name): value for name, value in self._table.iloc[index].items()}
        return self._read(row)

    def __iter__(self) -> Iterator[Case]:
        return (self[position] for position in range(len(self)))

    def where(self, keep: ArrayLike) -> "Cases":
        """Keep the cases whose entry is true.

        Args:
            keep (n,): one truth value a case, in the order of the table.

        Raises:
            ValueError: there is not one value for each case.
        """
        chosen = np.asarray(keep, dtype=bool)
        if chosen.shape != (len(self),):
            raise ValueError(f"`keep` must have shape ({len(self)},), got {chosen.shape}.")
        return Cases(self._table[chosen], self._read)

    def map(self, change: Callable[[Case], Case]) -> "Cases":
        """Change every case when it is read; the table stays as it is."""
        read = self._read
        return Cases(self._table, lambda row: change(read(row)))

    def arrays(self, *, jobs: int = 1) -> dict[str, NDArray[Any]]:
        """Read all cases into arrays for training.

        Args:
            jobs: processes; -1 for one a core.

        Returns:
            ``image`` (n, C, *spatial) where there are images, and every target that all cases
            have in one shape, by its name; empty for no case.

        Raises:
            ValueError: images differ in shape; resize them with :meth:`map` before.
        """
        read = list(Parallel(n_jobs=jobs)(delayed(self.__getitem__)(i) for i in range(len(self))))
        if not read:
            return {}
        found = {}
        if all(case.image is not None for case in read):
            shapes = {case.image.shape for case in read}
            if len(shapes) > 1:
                raise ValueError(
                    f"images must have one shape, got {sorted(shapes)[:3]}. Resize them with map()."
                )
            found["image"] = np.stack([case.image for case in read])
        for name in read[0].target:
            values = [np.asarray(case.target.get(name)) for case in read]
            if len({value.shape for value in values}) == 1 and values[0].dtype != object:
                found[name] = np.stack(values)
        return found
