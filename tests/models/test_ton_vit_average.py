"""Averages of procedures: the printed algorithm is the union, the meant one obeys its threshold."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from common.models import ton_vit
from common.models.ton_vit_average import (
    average_as_meant,
    average_as_printed,
    chain,
    edit_distance,
    in_order,
    medoid,
    overlap,
    read_out,
)

Q = np.array(
    [[1.0, 2.0, 3.0, 0.0], [1.0, 0.0, 2.0, 3.0], [2.0, 0.0, 0.0, 1.0], [1.0, 0.0, 2.0, 0.0]]
)
P = (Q > 0).astype(float)


@pytest.mark.parametrize("alpha", [0.01, 0.5, 0.75, 1.0])
def test_the_printed_algorithm_gives_the_union_at_every_threshold(alpha):
    kept, values = average_as_printed(P, Q, alpha)
    np.testing.assert_array_equal(kept, P.any(axis=0))
    np.testing.assert_allclose(values, Q.mean(axis=0))


def test_the_meant_algorithm_keeps_edges_of_enough_videos_with_their_own_ordinal():
    shares = P.mean(axis=0)
    assert shares.tolist() == [1.0, 0.25, 0.75, 0.5]
    for alpha, n in ((0.25, 4), (0.5, 3), (0.51, 2), (0.76, 1)):
        kept, _ = average_as_meant(P, Q, alpha)
        assert kept.sum() == n
        np.testing.assert_array_equal(kept, shares >= alpha)
    np.testing.assert_allclose(average_as_meant(P, Q, 0.25)[1], [5 / 4, 2, 7 / 3, 2])


def test_zeros_move_a_rare_edge_forwards_in_the_printed_algorithm():
    # the rare edge comes last where it occurs, and first in the printed average
    q = np.array([[1.0, 9.0], [1.0, 0.0], [2.0, 0.0], [4.0, 0.0], [4.0, 0.0]])
    printed, meant = (
        each((q > 0) * 1.0, q, 0.1)[1] for each in (average_as_printed, average_as_meant)
    )
    assert printed[1] < printed[0]
    assert meant[1] > meant[0]


def test_the_average_of_copies_is_the_procedure_itself():
    actions = [("take", "swab"), ("prep", "site"), ("drop", "swab")]
    graph = ton_vit.generate(actions)
    edges = ton_vit.edges_of([graph])
    q = ton_vit.ordinals([graph] * 3, edges)
    for average in (average_as_printed, average_as_meant):
        kept, values = average((q > 0) * 1.0, q, 0.5)
        assert kept.all()
        assert read_out(edges, values) == actions
        assert chain(in_order(edges, values)) == 1.0


def test_a_step_that_starts_elsewhere_breaks_the_chain():
    graph = ton_vit.generate([("take", "swab"), ("prep", "site"), ("drop", "swab")])
    edges = list(graph)
    assert chain(edges) == 1.0
    # without the middle action the last one starts from a site that was never reached
    assert chain([edges[0], edges[1], edges[4], edges[5]]) == pytest.approx(2 / 3)
    assert chain([edges[0], edges[3], edges[2]]) == 0.0
    assert np.isnan(chain(edges[:1]))


def test_overlap_of_edges_is_their_f1():
    edges = list(ton_vit.generate([("a", "x"), ("b", "y")]))
    assert overlap(edges, edges) == 1.0
    assert overlap(edges[:2], edges) == pytest.approx(2 * 2 / 6)
    assert overlap([], edges) == 0.0


@settings(max_examples=80, deadline=None)
@given(st.text("abc", max_size=8), st.text("abc", max_size=8))
def test_edit_distance_equals_a_recursion(one, two):
    def slow(a, b):
        if not a or not b:
            return len(a) + len(b)
        return min(
            slow_cached(a[1:], b) + 1,
            slow_cached(a, b[1:]) + 1,
            slow_cached(a[1:], b[1:]) + (a[0] != b[0]),
        )

    known = {}

    def slow_cached(a, b):
        if (a, b) not in known:
            known[a, b] = slow(a, b)
        return known[a, b]

    expected = slow_cached(one, two) / max(len(one), len(two), 1)
    assert edit_distance(one, two) == pytest.approx(expected)
    assert edit_distance(one, two) == edit_distance(two, one)


def test_the_medoid_is_the_sequence_nearest_to_all_others():
    assert medoid(["abcd", "abce", "abxx", "abce"]) == 1
    assert medoid(["zz"]) == 0
    with pytest.raises(ValueError, match="at least 1 sequence"):
        medoid([])


def test_shapes_and_thresholds_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="one shape"):
        average_as_meant(P, Q[:, :2], 0.5)
    for alpha in (0.0, 1.1):
        with pytest.raises(ValueError, match="above 0 and at most 1"):
            average_as_printed(P, Q, alpha)
