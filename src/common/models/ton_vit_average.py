"""Average and merged procedures: Algorithm 2 as it is printed and as it is meant, and its readings.

The printed algorithm averages the entries of the adjacency matrices that are not zero. They are all
one, so their average is one, and no threshold up to one removes an edge. The ordinals it averages
over all videos, also over those that lack the edge. Exchanging the two averages gives what the text
describes: a threshold on the share of videos.
"""

from collections.abc import Callable, Hashable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from common.models.ton_vit import Action, Array, Edge

Average = Callable[[ArrayLike, ArrayLike, float], tuple[Array, Array]]


def _checked(p: ArrayLike, q: ArrayLike, alpha: float) -> tuple[Array, Array]:
    weights, values = np.asarray(p, dtype=np.float64), np.asarray(q, dtype=np.float64)
    if weights.shape != values.shape or len(weights) == 0:
        raise ValueError(
            f"`p` and `q` must have one shape with at least 1 video, got {weights.shape} and "
            f"{values.shape}. Make both from the same graphs."
        )
    if not 0 < alpha <= 1:
        raise ValueError(f"`alpha` must be above 0 and at most 1, got {alpha!r}. Choose a share.")
    return weights, values


def average_as_printed(p: ArrayLike, q: ArrayLike, alpha: float) -> tuple[Array, Array]:
    """Average some procedures by the letter of Algorithm 2.

    1. P: the mean of the entries that are not zero, 0 below ``alpha`` and else 1;
    2. Q: the mean of all entries, times P.

    Args:
        p (K, ...): adjacency matrices of K videos, or the same flattened.
        q (K, ...): their ordinal matrices.
        alpha: threshold; without effect on matrices of zeros and ones.

    Returns:
        The average P and Q, without the first axis.

    Raises:
        ValueError: shapes differ, there is no video, or ``alpha`` is not in (0, 1].

    Source:
        Algorithm 2.

    Example:
        One of two videos has the second edge; no threshold removes it, and its ordinal is halved:

        >>> [each.tolist() for each in average_as_printed([[1, 1], [1, 0]], [[1, 2], [1, 0]], 0.9)]
        [[1.0, 1.0], [1.0, 1.0]]
    """
    weights, values = _checked(p, q, alpha)
    count = (weights > 0).sum(axis=0)
    mean = weights.sum(axis=0) / np.maximum(count, 1)
    kept = ((mean >= alpha) & (count > 0)).astype(np.float64)
    return kept, kept * values.mean(axis=0)


def average_as_meant(p: ArrayLike, q: ArrayLike, alpha: float) -> tuple[Array, Array]:
    """Average some procedures so that ``alpha`` is the share of videos that an edge must occur in.

    1. P: 1 where the mean of all entries is at least ``alpha``, else 0;
    2. Q: the mean over the videos that have the edge, times P.

    Args:
        p (K, ...): adjacency matrices of K videos, or the same flattened.
        q (K, ...): their ordinal matrices.
        alpha: share of videos; 1 / K for the union.

    Returns:
        The average P and Q, without the first axis.

    Raises:
        ValueError: as :func:`average_as_printed`.

    Source:
        Section 2.3, "threshold value that determines the occurrence percentage".

    Example:
        >>> [each.tolist() for each in average_as_meant([[1, 1], [1, 0]], [[1, 2], [1, 0]], 0.9)]
        [[1.0, 0.0], [1.0, 0.0]]
        >>> average_as_meant([[1, 1], [1, 0]], [[1, 2], [1, 0]], 0.5)[1].tolist()
        [1.0, 2.0]
    """
    weights, values = _checked(p, q, alpha)
    present = weights > 0
    kept = (present.mean(axis=0) >= alpha - 1e-12).astype(np.float64)
    return kept, kept * values.sum(axis=0) / np.maximum(present.sum(axis=0), 1)


def in_order(edges: Sequence[Edge], q: ArrayLike) -> list[Edge]:
    """Sort the edges that an average keeps by their ordinals.

    Args:
        edges: names of the entries.
        q (edges,): averaged ordinals, 0 for an edge that is not kept.

    Source:
        Section 2.2, "by following the numbers, a procedure can be recreated".
    """
    values = np.asarray(q, dtype=np.float64)
    kept = np.flatnonzero(values > 0)
    return [edges[i] for i in kept[np.argsort(values[kept], kind="stable")]]


def read_out(edges: Sequence[Edge], q: ArrayLike) -> list[Action]:
    """Read the actions of an average in the order of its ordinals.

    Args:
        edges: names of the entries.
        q (edges,): averaged ordinals.

    Returns:
        Verb and noun of every kept edge from a verb to a noun.
    """
    return [(tail.word, head.word) for tail, head in in_order(edges, q) if tail.kind == "verb"]


def chain(edges: Sequence[Edge]) -> float:
    """Measure how far a list of edges is one walk: each begins where the one before it ended.

    Args:
        edges: in the order in which they are to be followed.

    Returns:
        Share of steps that go on from where the last one ended; 1 for a recorded procedure, NaN
        for fewer than two edges.
    """
    if len(edges) < 2:
        return float("nan")
    return float(np.mean([a[1] == b[0] for a, b in pairwise(edges)]))


def overlap(found: Sequence[Edge], true: Sequence[Edge]) -> float:
    """Compare two sets of edges by the F1 score.

    Returns:
        From 0 for none in common to 1 for the same; 0 if one is empty.
    """
    one, two = set(found), set(true)
    return 2 * len(one & two) / (len(one) + len(two)) if one and two else 0.0


def edit_distance(one: Sequence[Hashable], two: Sequence[Hashable]) -> float:
    """Count the insertions, deletions and exchanges between two sequences, over the longer length.

    Args:
        one: a sequence.
        two: another.

    Returns:
        From 0 for the same to 1; 0 for two empty ones.

    Source:
        Levenshtein, Soviet Physics Doklady 10:707 (1966).

    Example:
        >>> edit_distance("kitten", "sitting")    # 3 of 7
        0.42857142857142855
    """
    codes = {word: i for i, word in enumerate(dict.fromkeys([*one, *two]))}
    a, b = (np.array([codes[word] for word in each], dtype=np.int64) for each in (one, two))
    if not len(a) or not len(b):
        return float(len(a) != len(b))
    steps = np.arange(len(b) + 1)
    row = steps.copy()
    for i, word in enumerate(a, start=1):
        exchanged = np.minimum(row[1:] + 1, row[:-1] + (b != word))
        # an insertion costs one a place: the running minimum after the slope is taken off
        row = np.minimum.accumulate(np.concatenate([[i], exchanged]) - steps) + steps
    return float(row[-1] / max(len(a), len(b)))


def medoid(sequences: Sequence[Sequence[Hashable]]) -> int:
    """Find the sequence with the smallest mean edit distance to the others.

    Args:
        sequences: at least one.

    Returns:
        Its place; the first of several.

    Raises:
        ValueError: there is none.
    """
    if not sequences:
        raise ValueError("`sequences` must hold at least 1 sequence, got none. Give some.")
    distinct = list(dict.fromkeys(tuple(each) for each in sequences))
    place = {each: i for i, each in enumerate(distinct)}
    own = np.array([place[tuple(each)] for each in sequences])
    between: NDArray[np.float64] = np.zeros((len(distinct), len(distinct)))
    for i, one in enumerate(distinct):
        for j in range(i):
            between[i, j] = between[j, i] = edit_distance(one, distinct[j])
    return int(np.argmin(between[np.ix_(own, own)].mean(axis=1).round(12)))
