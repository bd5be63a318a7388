"""The graph of a procedure: what it keeps, how far two are apart, and when time runs in circles."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from common.models import ton_vit

ACTIONS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")), min_size=1, max_size=12
)


@settings(max_examples=60, deadline=None)
@given(ACTIONS, st.booleans())
def test_a_procedure_is_read_back_from_its_graph(actions, counted):
    assert ton_vit.replay(ton_vit.generate(actions, counted=counted)) == actions


@settings(max_examples=60, deadline=None)
@given(ACTIONS)
def test_edges_run_between_kinds_and_every_ordinal_is_used_once(actions):
    graph = ton_vit.generate(actions)
    for tail, head in graph:
        assert (tail.kind, head.kind) in {("start", "verb"), ("noun", "verb"), ("verb", "noun")}
    numbers = sorted(n for ordinals in graph.values() for n in ordinals)
    assert numbers == list(range(1, 2 * len(actions) + 1))


def test_a_repeated_action_gets_a_verb_node_of_its_own():
    twice = [("take", "swab"), ("take", "tape"), ("take", "swab")]
    counts = [head.nth for _, head in ton_vit.generate(twice) if head.kind == "verb"]
    assert counts == [1, 1, 2]
    merged = ton_vit.generate(twice, counted=False)
    take, swab = ton_vit.Node("verb", "take"), ton_vit.Node("noun", "swab")
    assert merged[take, swab] == (2, 6)


def test_matrices_of_a_procedure_worked_by_hand():
    graph = ton_vit.generate([("take", "swab"), ("prep", "site"), ("take", "swab")], counted=False)
    nodes = ton_vit.words([graph])
    assert [node.word for node in nodes] == ["start", "prep", "take", "site", "swab"]
    p, q = ton_vit.matrices(graph, nodes)
    expected = np.zeros((5, 5))
    expected[0, 2], expected[2, 4], expected[4, 1] = 1, (2 + 6) / 2, 3
    expected[1, 3], expected[3, 2] = 4, 5
    np.testing.assert_array_equal(q, expected)
    np.testing.assert_array_equal(p, expected > 0)
    with pytest.raises(ValueError, match="must hold all nodes"):
        ton_vit.matrices(graph, nodes[1:])


@settings(max_examples=30, deadline=None)
@given(st.lists(ACTIONS, min_size=2, max_size=5))
def test_flattening_without_common_zeros_leaves_distances_as_they_are(videos):
    graphs = [ton_vit.generate(each) for each in videos]
    nodes = ton_vit.words(graphs)
    whole = np.stack([ton_vit.matrices(graph, nodes)[1].ravel() for graph in graphs])
    few = ton_vit.ordinals(graphs, ton_vit.edges_of(graphs))
    u = whole / np.linalg.norm(whole, axis=1, keepdims=True)
    direct = np.linalg.norm(u[:, None] - u[None], axis=2)
    np.testing.assert_allclose(ton_vit.distances(few), direct, atol=1e-7)
    assert (direct <= np.sqrt(2) + 1e-12).all()


def test_distance_is_nought_to_a_copy_and_root_two_to_a_stranger():
    graphs = [ton_vit.generate([(v, n), ("hold", n)]) for v, n in ("ax", "ax", "by")]
    d = ton_vit.distances(ton_vit.ordinals(graphs, ton_vit.edges_of(graphs)))
    np.testing.assert_array_equal(np.diag(d), 0)
    assert d[0, 1] == 0
    assert d[0, 2] == pytest.approx(np.sqrt(2))


@settings(max_examples=100, deadline=None)
@given(ACTIONS)
def test_the_counter_never_opens_a_circle(actions):
    counted, merged = (
        ton_vit.is_acyclic(ton_vit.generate(actions, counted=counted)) for counted in (True, False)
    )
    assert counted == merged
    if len(set(actions)) < len(actions):
        assert not counted


def test_graphs_are_acyclic_where_no_word_comes_back():
    straight = [("take", "swab"), ("prep", "site"), ("hold", "tube")]
    assert ton_vit.is_acyclic(ton_vit.generate(straight))
    # the same verb for another noun leads back to the first one
    assert not ton_vit.is_acyclic(ton_vit.generate([*straight, ("take", "tape")]))
    assert not ton_vit.is_acyclic(ton_vit.generate([*straight, ("drop", "swab")]))


def test_a_video_without_actions_is_refused():
    with pytest.raises(ValueError, match="at least 1 action"):
        ton_vit.generate([])
