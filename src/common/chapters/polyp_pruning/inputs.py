"""The frames of the pruning chapter, real or generated, and who may stand on which side."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch.nn import functional as F

from common import duplicates, manifests
from common.datasets import kvasir_seg_352, polyp_phantom
from common.datasets.cases import Case, Cases
from common.phantoms.draws import stream

Data = Literal["phantom", "open"]
PARTS = ("train", "importance", "measure", "twin", "spare")
# Pairs within these limits stay together. They are looser than those of a near-duplicate, since
# frames of one patient differ more than copies do.
MAX_DISTANCE, MIN_CORRELATION = 10, 0.90
_COMPARED_PX = 88  # the frames are compared at this side, whatever the networks see


@dataclass(frozen=True)
class Frames:
    """Frames in memory.

    Args:
        table: one row a frame: ``case``, ``cluster`` (patient, or frames that look alike), and
            ``copies``: the name shared by near-duplicates within the book's limits.
        image (n, 3, S, S): bytes.
        mask (n, S, S): where the polyp is.
    """

    table: pd.DataFrame
    image: NDArray[np.uint8]
    mask: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.table)

    def at(self, index: NDArray[np.integer]) -> "Frames":
        """Take some frames, in this order."""
        table = self.table.iloc[index].reset_index(drop=True)
        return Frames(table, self.image[index], self.mask[index])


def load(data: Data, *, size: int, n: int = 0, seed: int = 0, **dials: Any) -> Frames:
    """Read Kvasir-SEG, or draw as many frames of a phantom.

    Args:
        data: ``open`` or ``phantom``.
        size: side that frames are brought to (px), a multiple of 16.
        n: frames of the phantom at least; real frames are all read.
        seed: of the phantom.
        dials: of :func:`common.datasets.polyp_phantom.phantom`.

    Raises:
        ReplicateError: ``open``, and the files are not there; names the command that fetches them.
        ValueError: a wrong size, name or dial.
    """
    if data not in ("open", "phantom"):
        raise ValueError(f"`data` must be open or phantom, got {data!r}. Choose one of them.")
    if size < 32 or size % 16:
        raise ValueError(f"`size` must be a multiple of 16 from 32 on, got {size!r}.")
    if data == "open":
        return real(kvasir_seg_352.load(), size=size)
    drawn = polyp_phantom.phantom(-(-n // 3), seed, size=size, **dials)  # 3 to 5 frames a patient
    return _with_copies(_collect(drawn[:n], _as_bytes))


def at_hand() -> bool:
    """Tell whether the real frames are on this machine."""
    return manifests.locate(kvasir_seg_352.DATASET) is not None


def few_real(n: int, *, size: int) -> Frames:
    """Read a few real frames, evenly over the data set, for a picture.

    Args:
        n: frames.
        size: side (px).
    """
    cases = kvasir_seg_352.load()
    keep = np.zeros(len(cases), dtype=bool)
    keep[np.linspace(0, len(cases) - 1, n).round().astype(int)] = True
    return _collect(cases.where(keep), partial(_reduced, side=size))


def banner(data: Data, *, size: int) -> tuple[str, str]:
    """Say what a page rests on: the source of its cases, and a sentence about it."""
    if data == "open":
        return "open", (
            f"The networks of this page are trained on Kvasir-SEG, 1,000 real frames reduced to "
            f"{size} x {size} pixels; one experiment uses generated frames."
        )
    there = (
        "They are on this machine: `-p data=open` trains on them"
        if at_hand()
        else "`replicate data fetch kvasir-seg-352` brings them, and `-p data=open` trains on them"
    )
    return "phantom", (
        "This run is trained on generated frames. Verdicts rest on a standard run, which is "
        f"trained on the real frames of Kvasir-SEG. {there}."
    )


def _as_bytes(case: Case) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    assert case.image is not None  # a phantom renders every frame
    return np.round(255 * case.image).astype(np.uint8), case.target["mask"]


def _reduced(case: Case, *, side: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Bring a frame to a side by the mean of areas; the mask keeps what is half covered."""
    assert case.image is not None  # the reader gives every image
    image = _mean(case.image.astype(np.float32), side)
    mask = _mean(case.target["mask"][None].astype(np.float32), side)[0] >= 0.5
    return np.round(image).astype(np.uint8), mask


def _mean(image: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    return F.adaptive_avg_pool2d(torch.from_numpy(image), side).numpy()


def real(cases: Cases, *, size: int) -> Frames:
    """Reduce real frames and mark those that look alike as one cluster.

    Args:
        cases: from a reader; frames larger than ``size``.
        size: side (px).
    """
    frames = _collect(cases, partial(_reduced, side=size))
    compared = _collect(cases, partial(_reduced, side=_COMPARED_PX))
    pairs = look_alikes(compared)
    table = _with_copies(compared).table.assign(cluster=grouped(frames.table, pairs))
    return Frames(table, frames.image, frames.mask)


def _with_copies(frames: Frames) -> Frames:
    found = duplicates.near_duplicates(Cases.of(frames.table, frames.image))
    return replace(frames, table=frames.table.assign(copies=grouped(frames.table, found)))


def look_alikes(frames: Frames) -> pd.DataFrame:
    """List pairs of frames that look alike; see :func:`common.duplicates.near_duplicates`."""
    return duplicates.near_duplicates(
        Cases.of(frames.table, frames.image),
        max_distance=MAX_DISTANCE,
        min_correlation=MIN_CORRELATION,
    )


def grouped(table: pd.DataFrame, pairs: pd.DataFrame) -> NDArray[np.object_]:
    """Name the cluster of each frame: frames that pairs connect share the name of the first.

    Args:
        table: with ``case``.
        pairs: with ``first`` and ``second``.

    Example:
        >>> table = pd.DataFrame({"case": ["a", "b", "c"]})
        >>> grouped(table, pd.DataFrame({"first": ["a"], "second": ["c"]})).tolist()
        ['a', 'b', 'a']
    """
    place = {case: i for i, case in enumerate(table["case"])}
    first, second = (pairs[name].map(place).to_numpy(dtype=int) for name in ("first", "second"))
    n = len(table)
    graph = coo_array((np.ones(len(pairs)), (first, second)), shape=(n, n))
    _, label = connected_components(graph, directed=False)
    _, lowest = np.unique(label, return_index=True)
    return table["case"].to_numpy(dtype=object)[lowest[label]]


def _collect(cases: Cases, make: Any) -> Frames:
    image, mask = zip(*(make(case) for case in cases), strict=True)
    table = cases.table[["case", "cluster"]].astype(str)
    return Frames(table, np.stack(image), np.stack(mask))


def deal(
    table: pd.DataFrame, *, n_train: int, n_importance: int, n_measure: int, seed: int
) -> pd.Series:
    """Deal whole clusters to parts, so that nothing in one part looks like anything in another.

    1. clusters of several frames come first, shuffled, then single frames, shuffled: of each the
       larger half is measured and the rest are its twins, which no network sees unless it is told
       to, until ``n_measure`` is reached;
    2. other clusters, shuffled, are importance frames until ``n_importance`` is reached, then
       training frames; what is over is spare.

    Args:
        table: with ``case`` and ``cluster``.
        n_train: training frames.
        n_importance: frames on which filters are scored.
        n_measure: frames on which the IoU is measured.
        seed: of the split.

    Returns:
        One of :data:`PARTS` for each row.

    Raises:
        ValueError: too few frames.
    """
    rng = stream(seed, "split", "polyp-pruning")
    members = {
        str(name): rng.permutation(rows) for name, rows in table.groupby("cluster").indices.items()
    }
    order = list(rng.permutation(sorted(members)))
    order.sort(key=lambda name: len(members[name]) == 1)
    part = np.full(len(table), "spare", dtype=object)
    wanted = {"importance": n_importance, "train": n_train}
    n_rest = len(order)
    for used, name in enumerate(order):
        if n_measure == 0:
            n_rest = used
            break
        half = (len(members[name]) + 1) // 2
        part[members[name][:half][:n_measure]] = "measure"
        part[members[name][half:]] = "twin"
        n_measure -= min(half, n_measure)
    for name in rng.permutation(order[n_rest:]):
        for kind, n in wanted.items():
            if n > 0:
                rows = members[name][:n]
                part[rows] = kind
                wanted[kind] -= len(rows)
                break
    if n_measure or any(wanted.values()):
        raise ValueError(
            f"`table` has {len(table)} frames, too few for these parts: {n_measure} to measure, "
            f"{wanted['importance']} importance and {wanted['train']} training frames are missing. "
            "Ask for fewer."
        )
    return pd.Series(part, index=table.index, name="part")


@dataclass(frozen=True)
class Parts:
    """The frames of an experiment.

    Args:
        train, importance, measure: see :func:`deal`.
        leaky: as many training frames, with the twins of measured frames among them.
        twinned (n_measure,): whether a measured frame has a twin there.
        copied (n_measure,): whether a near-duplicate by the book's limits is there.
    """

    train: Frames
    importance: Frames
    measure: Frames
    leaky: Frames
    twinned: NDArray[np.bool_]
    copied: NDArray[np.bool_]


def parts(frames: Frames, *, n_train: int, n_importance: int, n_measure: int, seed: int) -> Parts:
    """Split frames; see :func:`deal` for the arguments."""
    dealt = deal(
        frames.table, n_train=n_train, n_importance=n_importance, n_measure=n_measure, seed=seed
    )
    index = {name: np.flatnonzero(dealt == name) for name in PARTS}
    twins = index["twin"][:n_train]
    leaky = np.concatenate([twins, index["train"][: n_train - len(twins)]])
    measure = frames.at(index["measure"])
    seen = frames.table.iloc[twins]
    twinned, copied = (
        measure.table[name].isin(seen[name]).to_numpy() for name in ("cluster", "copies")
    )
    return Parts(
        frames.at(index["train"]),
        frames.at(index["importance"]),
        measure,
        frames.at(leaky),
        twinned,
        copied,
    )
