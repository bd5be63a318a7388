"""Task-oriented networks: the verb-noun graph of a procedure, its matrices and its distances.

A task-oriented network (TON) is a directed bipartite graph. An action is a verb and a noun; each
adds an edge from the noun before it to its verb and one from its verb to its noun, numbered in the
order of time. A repeated action has a verb node of its own, so that time never runs in circles.
"""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Action = tuple[Hashable, Hashable]
Array = NDArray[np.float64]
Kind = Literal["start", "verb", "noun"]


class Node(NamedTuple):
    """A node of the graph.

    Args:
        kind: ``start``, ``verb`` or ``noun``.
        word: the verb or noun.
        nth: which occurrence of its action a verb stands for, from 1; 0 where it is not counted.
    """

    kind: Kind
    word: Hashable
    nth: int = 0


START = Node("start", "start")
Edge = tuple[Node, Node]
Graph = dict[Edge, tuple[int, ...]]


def generate(actions: Iterable[Action], *, counted: bool = True) -> Graph:
    """Make the graph of a sequence of actions.

    1. count how often the action has occurred, j;
    2. append the edges (noun before, verb j) and (verb j, noun), numbered 1, 2, 3 and so on.

    Args:
        actions: verb and noun of each action, in order.
        counted: False for the merged form, whose verbs carry no counter.

    Returns:
        For every edge its ordinal numbers, edges in the order of their first.

    Raises:
        ValueError: there is no action.

    Source:
        Section 2.2 and Algorithm 1, read with a loop that moves on (see the chapter's audit).

    Example:
        >>> graph = generate([("take", "swab"), ("prep", "site"), ("take", "swab")])
        >>> [f"{a.word}-{b.word}{b.nth or ''}: {n}" for (a, b), n in graph.items()][3:5]
        ['prep-site: (4,)', 'site-take2: (5,)']
    """
    seen: Counter[Action] = Counter()
    found: defaultdict[Edge, list[int]] = defaultdict(list)
    before, step = START, 0
    for verb, noun in actions:
        seen[verb, noun] += 1
        own = Node("verb", verb, seen[verb, noun] if counted else 0)
        after = Node("noun", noun)
        for edge in ((before, own), (own, after)):
            step += 1
            found[edge].append(step)
        before = after
    if not step:
        raise ValueError("`actions` must hold at least 1 action, got none. Leave out empty videos.")
    return {edge: tuple(ordinals) for edge, ordinals in found.items()}


def replay(graph: Graph) -> list[Action]:
    """Read a sequence of actions back from a graph.

    Args:
        graph: from :func:`generate`; counted or not, since every ordinal is kept.

    Example:
        >>> replay(generate([("take", "swab"), ("prep", "site")]))
        [('take', 'swab'), ('prep', 'site')]
    """
    steps = sorted((n, edge) for edge, ordinals in graph.items() for n in ordinals)
    return [(verb.word, noun.word) for _, (verb, noun) in steps if verb.kind == "verb"]


def words(graphs: Iterable[Graph]) -> list[Node]:
    """List all nodes of some graphs: the start, then verbs, then nouns."""
    nodes = {node for graph in graphs for edge in graph for node in edge}
    order = ("start", "verb", "noun")
    return sorted(nodes, key=lambda node: (order.index(node.kind), str(node.word), node.nth))


def matrices(graph: Graph, nodes: Sequence[Node]) -> tuple[Array, Array]:
    """Write a graph as adjacency matrix P and ordinal matrix Q.

    Args:
        graph: from :func:`generate`.
        nodes: rows and columns; see :func:`words`.

    Returns:
        P (n, n), 1 for an edge and 0 for none; Q (n, n), the ordinal of each edge, the mean where
        an edge has several.

    Raises:
        ValueError: a node of the graph is not among the rows.
    """
    place = {node: i for i, node in enumerate(nodes)}
    missing = {node for edge in graph for node in edge} - place.keys()
    if missing:
        raise ValueError(f"`nodes` must hold all nodes of the graph, got no {missing.pop()!r}.")
    q = np.zeros((len(nodes), len(nodes)))
    for (tail, head), ordinals in graph.items():
        q[place[tail], place[head]] = np.mean(ordinals)
    return (q > 0).astype(np.float64), q


def edges_of(graphs: Iterable[Graph]) -> list[Edge]:
    """List all edges of some graphs, sorted."""
    return sorted({edge for graph in graphs for edge in graph}, key=str)


def ordinals(graphs: Sequence[Graph], edges: Sequence[Edge]) -> Array:
    """Flatten the ordinal matrices of some graphs, without the entries that are 0 in all.

    Args:
        graphs: n of them.
        edges: the entries to keep; others of a graph are dropped.

    Returns:
        (n, edges) ordinals, 0 where a graph lacks the edge.
    """
    place = {edge: i for i, edge in enumerate(edges)}
    q = np.zeros((len(graphs), len(edges)))
    for row, graph in zip(q, graphs, strict=True):
        for edge, numbers in graph.items():
            if edge in place:
                row[place[edge]] = np.mean(numbers)
    return q


def unit(q: ArrayLike) -> Array:
    """Divide each row by its length, u = q / |q|; a row of zeros stays one.

    Source:
        Section 2.4.

    Example:
        >>> unit([[3.0, 4.0], [0.0, 0.0]]).tolist()
        [[0.6, 0.8], [0.0, 0.0]]
    """
    rows = np.asarray(q, dtype=np.float64)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(length > 0, length, 1.0)


def distances(q: ArrayLike) -> Array:
    """Measure the distance of every two procedures, d = |u_1 - u_2|.

    Args:
        q (n, edges): flattened ordinal matrices.

    Returns:
        (n, n), from 0 to the square root of 2, which means no edge in common.

    Source:
        Section 2.4.

    Example:
        >>> distances([[1.0, 2.0, 0.0], [2.0, 4.0, 0.0], [0.0, 0.0, 5.0]]).round(3).tolist()[0]
        [0.0, 0.0, 1.414]
    """
    u = unit(q)
    d = np.sqrt(np.maximum(0.0, 2.0 - 2.0 * u @ u.T))
    np.fill_diagonal(d, 0.0)
    return np.where(d < 1e-7, 0.0, d)


def is_acyclic(graph: Mapping[Edge, object]) -> bool:
    """Say whether a graph has no directed cycle (Kahn's algorithm).

    Example:
        >>> twice = [("take", "swab"), ("prep", "site"), ("take", "swab")]
        >>> is_acyclic(generate(twice[:2])), is_acyclic(generate(twice, counted=False))
        (True, False)
    """
    ahead: defaultdict[Node, set[Node]] = defaultdict(set)
    for tail, head in graph:
        ahead[tail].add(head)
    waiting = Counter(head for heads in ahead.values() for head in heads)
    free = [node for node in ahead if not waiting[node]]
    n_done = 0
    while free:
        node = free.pop()
        n_done += 1
        for head in ahead.get(node, ()):
            waiting[head] -= 1
            if not waiting[head]:
                free.append(head)
    return n_done == len({node for edge in graph for node in edge})
