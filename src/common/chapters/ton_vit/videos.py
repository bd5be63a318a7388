"""Videos as sequences of actions: the public annotations where they are at hand, or a phantom."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common import manifests
from common.datasets import trauma_grammar, trauma_sequence_phantom, ttd_annotations
from common.datasets.cases import Cases
from common.models.ton_vit import Action, Array, Graph, edges_of, generate, ordinals

PROCEDURES = ("Cric", "CT", "IO", "ND", "TQ")
NAMES = trauma_grammar.PROCEDURES
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Videos:
    """Some videos.

    Args:
        name: of each video.
        label (n,): procedure, place in :data:`PROCEDURES`.
        actions: verb and noun of each step of each video, as words.
        kind (n,): 0 normal, 1 shortcut, 2 mistake.
        origin: the video that an anomaly was made of; the video itself if it is normal.
        seed: of a phantom; 0 for real videos.
    """

    name: tuple[str, ...]
    label: Labels
    actions: tuple[tuple[Action, ...], ...] = field(repr=False)
    kind: Labels = field(repr=False)
    origin: tuple[str, ...] = field(repr=False)
    seed: int = 0

    def __len__(self) -> int:
        return len(self.name)

    @property
    def twins(self) -> Labels:
        """Number of the sequence of each video; equal for exact copies (n,)."""
        first: dict[tuple[int, tuple[Action, ...]], int] = {}
        return np.array(
            [
                first.setdefault((int(c), each), len(first))
                for c, each in zip(self.label, self.actions, strict=True)
            ]
        )

    def where(self, keep: NDArray[np.bool_]) -> "Videos":
        """Keep the videos whose entry is true."""
        chosen = np.flatnonzero(keep)
        return Videos(
            tuple(self.name[i] for i in chosen),
            self.label[chosen],
            tuple(self.actions[i] for i in chosen),
            self.kind[chosen],
            tuple(self.origin[i] for i in chosen),
            self.seed,
        )

    def graphs(self, *, counted: bool = True) -> list[Graph]:
        """Make the graph of every video."""
        return [generate(each, counted=counted) for each in self.actions]

    def ordinals(self, *, counted: bool = True) -> Array:
        """Flatten the ordinal matrices of all videos (n, edges)."""
        graphs = self.graphs(counted=counted)
        return ordinals(graphs, edges_of(graphs))


def _videos(cases: Cases, listed: pd.DataFrame, seed: int) -> Videos:
    words = list(zip(listed["verb"], listed["noun"], strict=True))
    read = list(cases)
    return Videos(
        tuple(each.case for each in read),
        np.array([each.target["label"] for each in read], dtype=np.int64),
        tuple(tuple(words[a] for a in each.target["sequence"]) for each in read),
        np.array([each.target.get("kind", 0) for each in read], dtype=np.int64),
        tuple(str(each.info.get("source", each.case)) for each in read),
        seed,
    )


def at_hand() -> bool:
    """Say whether the public annotations lie where the manifest finds them."""
    return manifests.locate(ttd_annotations.DATASET) is not None


def public() -> Videos | None:
    """Read the public annotations, or return None where they are absent."""
    if not at_hand():
        return None
    return _videos(ttd_annotations.load(), ttd_annotations.actions(), 0)


def banner(found: Videos | None) -> tuple[str, str]:
    """Say where the results of a page come from: source and words for its banner."""
    if found is None:
        return (
            "phantom",
            "The public annotations are not at hand, so that every result of this run is measured "
            "on generated procedures and clips and speaks of the method, never of patients. "
            "`replicate data fetch ttd-annotations` brings them; results from them below come from "
            "the archive.",
        )
    return (
        "open",
        f"Steps are those of {len(found)} public videos and, where that is said, of generated "
        "procedures; all pixels are generated. A result on the phantom speaks of the method, never "
        "of patients.",
    )


def credit(found: Videos | None) -> str:
    """Say what a picture was made of, with the licence of the public list."""
    if found is None:
        return "Phantom; the public annotations are not at hand."
    return (
        "Made from the public annotations of Trauma THOMPSON (github.com/zhuoyp/TTD), and like "
        "them under CC BY-NC-SA 4.0."
    )


def cohort(
    seed: int,
    *,
    n: int = 141,
    anomalies: int = 0,
    variability: float = 1.0,
    concurrency: float = 0.3,
    order: float = 1.0,
) -> Videos:
    """Draw a cohort of the phantom, with procedures of its own.

    Args:
        seed: of procedures and videos.
        n: normal videos.
        anomalies: shortcuts, and as many mistakes.
        variability: dial of the phantom.
        concurrency: dial of the phantom.
        order: dial of the phantom.
    """
    cases = trauma_sequence_phantom.phantom(
        n,
        seed,
        anomalies=anomalies,
        variability=variability,
        concurrency=concurrency,
        order=order,
    )
    return _videos(cases, trauma_sequence_phantom.actions(seed), seed)


def plain(seed: int, *, variability: float = 1.0) -> list[tuple[Action, ...]]:
    """Return the plain way of performing each procedure of a cohort, as words."""
    listed = trauma_sequence_phantom.actions(seed)
    words = list(zip(listed["verb"], listed["noun"], strict=True))
    grammar = trauma_grammar.make(seed, variability=variability)
    return [tuple(words[a] for a in each.styles[0]) for each in grammar.procedures]


def describe(videos: Sequence[tuple[str, Videos]]) -> pd.DataFrame:
    """Describe sets of videos by procedure.

    Args:
        videos: name of each set and its videos.

    Returns:
        One row a procedure and set: videos, actions a video (median, range), repeated actions a
        video (mean), and different actions, verbs and nouns.
    """
    rows = {}
    for name, given in videos:
        normal = given.where(given.kind == 0)
        for c, short in enumerate(PROCEDURES):
            own = [a for a, k in zip(normal.actions, normal.label, strict=True) if k == c]
            lengths = np.array([len(each) for each in own])
            seen = {action for each in own for action in each}
            rows[short, name] = {
                "videos": len(own),
                "actions": f"{np.median(lengths):g} ({lengths.min()}–{lengths.max()})",
                "repeats": float(np.mean([len(each) - len(set(each)) for each in own])),
                "actions / verbs / nouns": f"{len(seen)} / {len({v for v, _ in seen})} / "
                f"{len({n for _, n in seen})}",
            }
    table = pd.DataFrame.from_dict(rows, orient="index")
    table.index = pd.MultiIndex.from_tuples(table.index, names=["procedure", "set"])
    return table
