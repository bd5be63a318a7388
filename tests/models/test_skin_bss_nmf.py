"""Alternating least squares with clipping: exact where it must be, and equal to a plain loop."""

import numpy as np
import pytest

from common.errors import UsageError
from common.models import skin_bss_nmf as nmf

M = np.array([[1.0, 1.0, 1.0], [2.0, 1.3, 0.6], [0.1, 0.6, 0.3]])


@pytest.fixture
def images(rng):
    C = rng.uniform(0, 1, (11, 3, 80)) * (rng.random((11, 3, 80)) < 0.7)
    return M @ C, C


def plain_loop(X, A, rounds):
    """The algorithm of Section 2.2, image by image, with numpy's own least squares."""
    for _ in range(rounds):
        S = np.maximum(np.linalg.lstsq(A, X, rcond=None)[0], 0)
        A = np.maximum(np.linalg.lstsq(S.T, X.T, rcond=None)[0].T, 0)
    return A, S


def test_the_true_matrix_ends_the_loop_after_one_round(images):
    X, C = images
    found = nmf.als(X, np.broadcast_to(M, (11, 3, 3)))
    assert found.n_iter.tolist() == [1] * 11
    np.testing.assert_allclose(found.S, C, atol=1e-7)
    np.testing.assert_allclose(found.A, np.broadcast_to(M, (11, 3, 3)), atol=1e-7)


def test_rounds_are_those_of_a_plain_loop(images, rng):
    X, _ = images
    start = rng.random((11, 3, 3))
    found = nmf.als(X, start, tolerance=0, max_iter=7)
    for k in range(11):
        A, S = plain_loop(X[k], start[k], 7)
        np.testing.assert_allclose(found.A[k], A, atol=1e-5)
        np.testing.assert_allclose(found.S[k], S, atol=1e-5)


def test_the_cost_is_that_of_the_factors_that_are_returned(images, rng):
    X, _ = images
    found = nmf.als(X, rng.random((11, 3, 3)), max_iter=9)
    direct = ((X - found.A @ found.S) ** 2).sum(axis=(1, 2)) / 2
    np.testing.assert_allclose(found.cost, direct, rtol=1e-6, atol=1e-10)


def test_factors_are_not_negative_and_finite_even_when_a_column_dies(images):
    X, _ = images
    start = np.broadcast_to(np.diag([1.0, 1.0, 0.0]), (11, 3, 3))
    found = nmf.als(X, start, max_iter=20)
    for each in (found.A, found.S, found.cost):
        assert np.isfinite(each).all()
        assert (each >= 0).all()


def test_an_image_gives_the_same_alone_as_in_any_block(images, rng):
    X, _ = images
    start = rng.random((11, 3, 3))
    together = nmf.als(X, start, max_iter=15)
    for k in (0, 7, 8, 10):
        alone = nmf.als(X[k : k + 1], start[k : k + 1], max_iter=15)
        np.testing.assert_allclose(together.A[k], alone.A[0], rtol=1e-10, atol=1e-12)


def test_inputs_are_left_as_they_are(images, rng):
    X, _ = images
    start = rng.random((11, 3, 3))
    before = X.copy(), start.copy()
    nmf.als(X, start, max_iter=3)
    assert np.array_equal(X, before[0])
    assert np.array_equal(start, before[1])


def test_images_that_reach_the_threshold_stop_and_the_others_go_on(images, rng):
    X, _ = images
    start = rng.random((11, 3, 3))
    start[3] = M
    found = nmf.als(X, start, max_iter=12)
    assert found.n_iter[3] == 1
    assert found.n_iter.max() == 12


def test_without_clipping_any_invertible_start_is_exact_at_once(images, rng):
    X, _ = images
    free = nmf.costs(X[0], rng.random((3, 3)), max_iter=3, clip=False)
    assert free.max() < 1e-12


def test_the_path_of_costs_ends_where_the_loop_ends(images, rng):
    X, _ = images
    start = rng.random((1, 3, 3))
    path = nmf.costs(X[0], start[0], max_iter=6)
    found = nmf.als(X[:1], start, tolerance=0, max_iter=6)
    assert path[-1] == pytest.approx(found.cost[0] / ((X[0] ** 2).sum() / 2), rel=1e-9)


def test_a_scaled_image_has_scaled_sources(images, rng):
    X, _ = images
    start = rng.random((11, 3, 3))
    one, two = nmf.als(X, start, max_iter=4), nmf.als(2 * X, start, max_iter=4)
    np.testing.assert_allclose(two.S, 2 * one.S, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(two.A, one.A, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"start": np.ones((2, 3, 2))}, "must have shapes"),
        ({"max_iter": 0}, "`max_iter` must be at least 1"),
        ({"tolerance": -1.0}, "`tolerance` not negative"),
    ],
)
def test_what_does_not_fit_is_refused(changes, message):
    options = {"X": np.ones((2, 3, 5)), "start": np.ones((2, 3, 3))} | changes
    with pytest.raises(UsageError, match=message):
        nmf.als(**options)
