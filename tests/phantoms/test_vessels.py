import numpy as np
import pytest

from common.phantoms import vessels


def test_a_walk_has_equal_steps_and_is_straight_without_turns(rng):
    straight = vessels.walk((0, 0, 0), (0, 3, 4), 6, step=5.0, wander=0.0, rng=rng)
    np.testing.assert_allclose(straight[-1], [0, 15, 20])
    bent = vessels.walk((0, 0), (1, 0), 50, step=2.0, wander=0.3, rng=rng)
    np.testing.assert_allclose(np.linalg.norm(np.diff(bent, axis=0), axis=1), 2.0)
    assert np.linalg.norm(bent[-1] - bent[0]) < 98 * 0.9


def test_a_walk_needs_a_direction(rng):
    with pytest.raises(ValueError, match="`direction` must not be zero"):
        vessels.walk((0, 0), (0, 0), 3, step=1, wander=0, rng=rng)


def test_a_tree_doubles_at_every_level_and_hangs_together(rng):
    pieces = vessels.tree((5, 30), (1, 0), rng=rng, length=20, radius=3, levels=4)
    assert [sum(piece.level == level for piece in pieces) for level in range(4)] == [1, 2, 4, 8]
    ends = [piece.points[-1] for piece in pieces]
    for piece in pieces[1:]:
        assert min(np.linalg.norm(piece.points[0] - end) for end in ends) == 0
    assert all(np.all(np.diff(piece.radii) < 0) for piece in pieces)
    assert pieces[-1].radii[0] == pytest.approx(3 * 0.75**3)


def test_drawn_vessels_cover_the_sum_of_their_pieces_where_they_do_not_overlap(rng):
    apart = [
        vessels.Vessel(np.array([(10.0, 5.0), (10.0, 50.0)]), np.array([2.0, 2.0]), 0),
        vessels.Vessel(np.array([(40.0, 5.0), (40.0, 50.0)]), np.array([3.0, 3.0]), 0),
    ]
    both = np.count_nonzero(vessels.draw((60, 60), apart) > 0)
    assert both == sum(np.count_nonzero(vessels.draw((60, 60), [one]) > 0) for one in apart)
    assert vessels.draw((8, 8), []).max() < 0
