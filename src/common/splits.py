"""Splits by cluster: no patient in two parts, classes in proportion, fixed by a name and a seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common.datasets.cases import Cases
from common.duplicates import near_duplicates
from common.errors import ReplicateError
from common.phantoms.draws import allocate, stream


def divide(
    table: pd.DataFrame,
    shares: Mapping[str, float],
    *,
    name: str,
    seed: int,
    stratify: str | None = None,
) -> "pd.Series[str]":
    """Deal whole clusters to parts.

    1. a cluster's stratum is the most frequent value of ``stratify`` among its cases (the smallest
       of equals), or one for all;
    2. the clusters of each stratum are shuffled by the generator of (seed, name) and dealt to the
       parts by largest remainder; what rounding leaves over evens out between strata.

    Args:
        table: of :class:`common.datasets.cases.Cases`, with the column ``cluster``.
        shares: part: its share of the clusters; they are normalised.
        name: name of the split, such as ``ife/main``; another name gives another split.
        seed: seed of the split.
        stratify: column whose values are kept in proportion.

    Returns:
        The part of each case, in the order of the table.

    Raises:
        ValueError: a column is missing, or there are fewer clusters than parts.

    Example:
        >>> table = pd.DataFrame({"case": list("abcd"), "cluster": ["p", "p", "q", "r"]})
        >>> part = divide(table, {"train": 2, "test": 1}, name="doc", seed=0)
        >>> part[0] == part[1], sorted(set(part))
        (True, ['test', 'train'])
    """
    strata = _strata(table, stratify)
    if len(strata) < len(shares):
        raise ValueError(f"`table` must have at least {len(shares)} clusters, got {len(strata)}.")
    rng = stream(seed, "split", name)
    wanted = np.array(list(shares.values()), dtype=float)
    owed = np.zeros(len(wanted))
    part_of: dict[str, str] = {}
    for _, members in strata.groupby(strata, sort=True):
        owed += wanted / wanted.sum() * len(members)
        counts = _whole(owed, len(members))
        owed -= counts
        parts = np.repeat(list(shares), counts)
        part_of.update(zip(rng.permutation(members.index.to_numpy()), parts, strict=True))
    return table["cluster"].map(part_of).rename("part")


def _whole(owed: NDArray[np.float64], n: int) -> NDArray[np.int64]:
    """Round what the parts are owed to whole clusters that sum to ``n``."""
    positive = np.maximum(owed, 0)
    return allocate(n, positive.tolist()) if positive.sum() > 0 else allocate(n, [1] * len(owed))


def _strata(table: pd.DataFrame, stratify: str | None) -> "pd.Series":
    """Return the stratum of each cluster, clusters in alphabetical order."""
    for column in ("cluster", *([stratify] if stratify else [])):
        if column not in table.columns:
            raise ValueError(f"`table` must have a column {column!r}, got {list(table.columns)}.")
    if stratify is None:
        return pd.Series(0, index=sorted(table["cluster"].unique()))
    return table.groupby("cluster", sort=True)[stratify].agg(lambda values: values.mode().iloc[0])


def folds(
    table: pd.DataFrame, n: int, *, name: str, seed: int, stratify: str | None = None
) -> "pd.Series":
    """Deal whole clusters to ``n`` folds of nearly equal size; see :func:`divide`.

    Args:
        table: of :class:`common.datasets.cases.Cases`.
        n: number of folds, at least 2.
        name: name of the split.
        seed: seed of the split.
        stratify: column whose values are kept in proportion.

    Returns:
        The fold of each case, 0 to n - 1.

    Raises:
        ValueError: fewer than two folds, or fewer clusters than folds.
    """
    if n < 2:
        raise ValueError(f"`n` must be at least 2, got {n!r}. One fold leaves nothing to train on.")
    parts = divide(
        table, {str(fold): 1.0 for fold in range(n)}, name=name, seed=seed, stratify=stratify
    )
    return parts.astype(int).rename("fold")


@dataclass(frozen=True)
class Leakage:
    """What a split lets through.

    Args:
        n_clusters: clusters in each part.
        duplicates: near-duplicate images in different parts, see
            :func:`common.duplicates.near_duplicates`; ``None`` if images were not compared.
    """

    n_clusters: Mapping[str, int]
    duplicates: pd.DataFrame | None

    @property
    def text(self) -> str:
        """The finding in one sentence, for a page."""
        sizes = ", ".join(f"{part} {n}" for part, n in self.n_clusters.items())
        if self.duplicates is None:
            pairs = "images were not compared"
        else:
            n = len(self.duplicates)
            pairs = f"{n} pair{'' if n == 1 else 's'} of near-duplicate images across parts"
        return f"Clusters: {sizes}; none in more than one part; {pairs}."


def check(
    cases: Cases,
    parts: Sequence[str] | pd.Series,
    *,
    compare_images: bool = True,
    max_distance: int = 6,
    min_correlation: float = 0.97,
) -> Leakage:
    """Check a split: no cluster in two parts, and which images of different parts look alike.

    Args:
        cases: all cases that take part.
        parts: the part or fold of each case, in the order of the cases.
        compare_images: read every image and compare; leave out where there are none.
        max_distance: see :func:`common.duplicates.near_duplicates`.
        min_correlation: as above.

    Returns:
        What was found; near-duplicates are reported and not refused, since images of one kind may
        be alike without being copies.

    Raises:
        ValueError: there is not one part for each case.
        ReplicateError: a cluster lies in two parts; names the first ones.
    """
    named = pd.Series(list(parts), dtype=object).astype(str)
    if len(named) != len(cases):
        raise ValueError(f"`parts` must have {len(cases)} entries, got {len(named)}.")
    table = cases.table.assign(part=named)
    shared = {
        str(cluster): sorted(set(found))
        for cluster, found in table.groupby("cluster")["part"]
        if len(set(found)) > 1
    }
    if shared:
        cluster, found = next(iter(shared.items()))
        raise ReplicateError(
            f"cluster {cluster!r} lies in the parts {' and '.join(found)}, and so do "
            f"{len(shared) - 1} others. Split by cluster with common.splits.divide."
        )
    n_clusters = table.groupby("part")["cluster"].nunique().to_dict()
    duplicates = None
    if compare_images:
        pairs = near_duplicates(cases, max_distance=max_distance, min_correlation=min_correlation)
        part_of = dict(zip(table["case"], table["part"], strict=True))
        across = pairs["first"].map(part_of) != pairs["second"].map(part_of)
        duplicates = pairs[across].reset_index(drop=True)
    return Leakage({str(part): int(n) for part, n in n_clusters.items()}, duplicates)
