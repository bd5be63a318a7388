"""Average and merged procedures of the phantom, against the plain procedures behind its videos."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from common.chapters.ton_vit.recognition import whole
from common.chapters.ton_vit.videos import PROCEDURES, Videos, cohort, plain
from common.models.ton_vit import Action, Array, Edge, edges_of, generate, is_acyclic, ordinals
from common.models.ton_vit_average import (
    Average,
    average_as_meant,
    average_as_printed,
    chain,
    edit_distance,
    in_order,
    medoid,
    overlap,
    read_out,
)

ALPHA = 0.5
CALM, BUSY = 0.0, 0.6
AVERAGES: dict[str, Average] = {"printed": average_as_printed, "meant": average_as_meant}
MERGED = (PROCEDURES.index("ND"), PROCEDURES.index("CT"))


@dataclass(frozen=True)
class Drawn:
    """An average procedure.

    Args:
        edges: kept edges, in the order of their averaged ordinals.
        order (edges,): those ordinals.
        actions: read out in that order.
    """

    edges: list[Edge]
    order: Array
    actions: list[Action]


def average(actions: Sequence[Sequence[Action]], rule: Average, alpha: float = ALPHA) -> Drawn:
    """Average the graphs of some sequences.

    Args:
        actions: of each video of one procedure.
        rule: :func:`~common.models.ton_vit_average.average_as_printed` or ``average_as_meant``.
        alpha: threshold.
    """
    graphs = [generate(each) for each in actions]
    edges = edges_of(graphs)
    q = ordinals(graphs, edges)
    _, mean = rule((q > 0).astype(np.float64), q, alpha)
    return _drawn(edges, mean)


def _drawn(edges: Sequence[Edge], mean: Array) -> Drawn:
    kept = in_order(edges, mean)
    return Drawn(kept, np.sort(mean[mean > 0], kind="stable"), read_out(edges, mean))


def of(videos: Videos, procedure: int) -> list[tuple[Action, ...]]:
    """List the sequences of one procedure."""
    normal = (videos.label == procedure) & (videos.kind == 0)
    return [videos.actions[i] for i in np.flatnonzero(normal)]


def recover(seed: int, *, n: int) -> pd.DataFrame:
    """Compare averages with the plain procedure, one value a cohort.

    Returns:
        Records of ``edge_f1`` and ``order_error`` for both rules and the medoid, over all
        procedures; of ``order_error`` of the meant rule for each procedure; and of the two
        procedures with interleaved parts, in cohorts without (``calm``) and with many (``busy``).
    """
    videos, truth = cohort(seed, n=n), plain(seed)
    rows = []
    errors: dict[str, list[float]] = {}
    for arm, rule in AVERAGES.items():
        drawn = [average(of(videos, c), rule) for c in range(len(truth))]
        shared = [
            overlap(each.edges, list(generate(true)))
            for each, true in zip(drawn, truth, strict=True)
        ]
        rows.append(whole(float(np.mean(shared)), arm, "edge_f1", videos))
        errors[arm] = [
            edit_distance(each.actions, true) for each, true in zip(drawn, truth, strict=True)
        ]
    middle = [of(videos, c)[medoid(of(videos, c))] for c in range(len(truth))]
    errors["medoid"] = [edit_distance(one, true) for one, true in zip(middle, truth, strict=True)]
    rows += [whole(float(np.mean(e)), arm, "order_error", videos) for arm, e in errors.items()]
    rows += [
        whole(value, f"meant-{short}", "order_error", videos)
        for short, value in zip(PROCEDURES, errors["meant"], strict=True)
    ]
    rows += [
        whole(_interleaved(seed, n, share), arm, "order_error", videos)
        for arm, share in (("calm", CALM), ("busy", BUSY))
    ]
    rows += [
        whole(value, arm, name, videos) for (arm, name), value in merge(videos).measures.items()
    ]
    return pd.concat(rows, ignore_index=True)


def _interleaved(seed: int, n: int, concurrency: float) -> float:
    """Measure the error of order for the procedures whose parts may be interleaved."""
    videos, truth = cohort(seed, n=n, concurrency=concurrency), plain(seed)
    errors = [
        edit_distance(average(of(videos, c), average_as_meant).actions, truth[c])
        for c in (PROCEDURES.index("Cric"), PROCEDURES.index("CT"))
    ]
    return float(np.mean(errors))


def thresholds(
    videos: Videos, truth: Sequence[Sequence[Action]], alphas: Sequence[float]
) -> pd.DataFrame:
    """Vary the threshold of both rules.

    Returns:
        Columns ``rule, alpha, procedure, edges, order_error``; the last one only where the plain
        procedure is known.
    """
    rows = []
    for arm, rule in AVERAGES.items():
        for alpha in alphas:
            for c, short in enumerate(PROCEDURES):
                drawn = average(of(videos, c), rule, alpha)
                error = edit_distance(drawn.actions, truth[c]) if truth else np.nan
                rows.append((arm, alpha, short, len(drawn.edges), error))
    return pd.DataFrame(rows, columns=["rule", "alpha", "procedure", "edges", "order_error"])


@dataclass(frozen=True)
class Merged:
    """Two procedures merged into one.

    Args:
        union: both averages as the two instances of Algorithm 2, with a threshold of 1/2.
        shifted: the same, after the second procedure's ordinals were moved behind the first's.
        measures: values by arm and metric.
        acyclic: whether the union has no directed cycle.
    """

    union: Drawn
    shifted: Drawn
    measures: dict[tuple[str, str], float]
    acyclic: bool


def merge(videos: Videos, *, pair: tuple[int, int] = MERGED) -> Merged:
    """Merge the average procedures of two kinds, needle and tube thoracostomy.

    Args:
        videos: with both procedures.
        pair: first and second procedure.

    Returns:
        The merged procedures, with the share of steps that go on where the last one ended
        (``chain``: ``parents``, ``union``, ``shifted``) and the edit distance to first one
        procedure and then the other (``order_error``: ``union``, ``shifted``).

    Source:
        Section 2.5.
    """
    parents = [average(of(videos, c), average_as_meant) for c in pair]
    wanted = [*parents[0].actions, *parents[1].actions]
    both = {
        "union": _union(parents, shift=0.0),
        "shifted": _union(parents, shift=float(parents[0].order.max())),
    }
    measures: dict[tuple[str, str], float] = {
        ("parents", "chain"): float(np.nanmean([chain(each.edges) for each in parents]))
    }
    for arm, drawn in both.items():
        measures[arm, "chain"] = chain(drawn.edges)
        measures[arm, "order_error"] = edit_distance(drawn.actions, wanted)
    graph: dict[Edge, Any] = dict.fromkeys(both["union"].edges)
    return Merged(both["union"], both["shifted"], measures, is_acyclic(graph))


def _union(parents: Sequence[Drawn], *, shift: float) -> Drawn:
    edges = sorted({edge for each in parents for edge in each.edges}, key=str)
    place = {edge: i for i, edge in enumerate(edges)}
    q = np.zeros((2, len(edges)))
    for k, each in enumerate(parents):
        for edge, n in zip(each.edges, each.order, strict=True):
            q[k, place[edge]] = n + k * shift
    _, mean = average_as_meant((q > 0).astype(np.float64), q, 0.5)
    return _drawn(edges, mean)
