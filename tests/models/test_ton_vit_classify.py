"""Classifiers of procedures against closed forms, scikit-learn and cases whose answer is known."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.svm import SVC

from common.models import ton_vit_classify as classify


@pytest.fixture(scope="module")
def blobs():
    rng = np.random.default_rng(0)
    label = np.repeat([0, 1, 2], 12)
    x = rng.standard_normal((36, 8)) + 2.0 * np.eye(8)[label]
    return x, label


def test_cross_validation_equals_a_linear_svm_trained_on_each_split(blobs):
    x, label = blobs
    splits = classify.left_out(np.arange(36) // 2)
    found = classify.cross_validate(x, label, splits)
    for train, test in splits:
        model = SVC(kernel="linear", C=1.0).fit(x[train], label[train])
        np.testing.assert_array_equal(found[test], model.predict(x[test]))
    assert len(splits) == 18
    np.testing.assert_array_equal(
        classify.svm(x, label, x), SVC(kernel="linear").fit(x, label).predict(x)
    )
    assert classify.svm(x, label, x[:4], scores=True).shape == (4, 3)


def test_an_edge_that_no_training_video_has_changes_nothing(blobs):
    x, label = blobs
    more = np.hstack([x, np.zeros((36, 1))])
    tested = more.copy()
    tested[:, -1] = 50.0
    splits = classify.left_out(np.arange(36))
    plain = classify.cross_validate(x, label, splits)
    np.testing.assert_array_equal(
        classify.cross_validate(more, label, splits, tested=tested), plain
    )


def test_groups_are_never_on_both_sides():
    groups = np.array(["b", "a", "b", "c"])
    for train, test in classify.left_out(groups):
        assert not set(groups[train]) & set(groups[test])
    assert [test.tolist() for _, test in classify.left_out(groups)] == [[0, 2], [1], [3]]


def test_twins_help_only_where_they_are_not_left_out_together():
    # labels at random, every case twice: a copy in the training part gives the answer away
    rng = np.random.default_rng(1)
    x, label = (
        np.repeat(rng.standard_normal((20, 60)), 2, axis=0),
        np.repeat(rng.integers(0, 2, 20), 2),
    )
    leaky = classify.cross_validate(x, label, classify.left_out(np.arange(40)))
    honest = classify.cross_validate(x, label, classify.left_out(np.arange(40) // 2))
    assert (leaky == label).mean() > 0.95
    assert (honest == label).mean() < 0.8


def test_the_nearest_case_outside_the_test_part_gives_its_class():
    between = np.abs(np.subtract.outer([0.0, 0.1, 5.0, 5.2], [0.0, 0.1, 5.0, 5.2]))
    alone = classify.left_out(np.arange(4))
    assert classify.nearest(between, [0, 0, 1, 1], alone).tolist() == [0, 0, 1, 1]
    paired = classify.left_out(np.array([0, 0, 1, 2]))
    assert classify.nearest(between, [0, 0, 1, 1], paired).tolist() == [1, 1, 1, 1]


def test_a_bag_forgets_the_order_and_one_hot_is_a_bag_of_one():
    assert (classify.bag(["abca"]) == classify.bag(["caab"])).all()
    assert classify.one_hot([2, 1, 2]).tolist() == [[0, 1], [1, 0], [0, 1]]


def test_clusters_use_the_axes_of_pca_and_the_law_of_mahalanobis(blobs):
    x, label = blobs
    found = classify.Clusters.fit(x, label, n_components=3, ridge=0.0)
    scores = PCA(3).fit_transform(x)
    signs = np.sign((found.project(x) * scores).sum(axis=0))
    np.testing.assert_allclose(found.project(x) * signs, scores, atol=1e-8)
    own = scores[label == 1]
    inverse = np.linalg.inv(np.cov(own.T))
    away = scores[0] - own.mean(axis=0)
    assert found.distances(x)[0, 1] == pytest.approx(np.sqrt(away @ inverse @ away))
    # the mean of squared distances of a class to itself is k (n - 1) / n
    squares = found.distances(x)[label == 1, 1] ** 2
    assert squares.mean() == pytest.approx(3 * 11 / 12)
    with pytest.raises(ValueError, match="at least 2 training cases"):
        classify.Clusters.fit(x[:13], label[:13])


def test_axes_of_few_cases_are_those_of_a_decomposition():
    x = np.random.default_rng(5).standard_normal((12, 40))
    label = np.repeat([0, 1], 6)
    found = classify.Clusters.fit(x, label, n_components=4)
    _, _, rows = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    np.testing.assert_allclose(np.abs(found.axes.T @ rows[:4].T), np.eye(4), atol=1e-8)


def test_radii_hold_the_share_they_promise():
    rng = np.random.default_rng(2)
    radius = classify.chi_square_radius(3, 0.9)
    assert (
        np.linalg.norm(rng.standard_normal((20000, 3)), axis=1) < radius
    ).mean() == pytest.approx(0.9, abs=0.01)
    assert classify.conformal_radius(np.arange(1.0, 20.0), 0.9) == 18.0
    assert classify.conformal_radius([3.0, 1.0], 0.975) == 3.0
    kept = [
        rng.exponential() <= classify.conformal_radius(rng.exponential(size=39), 0.9)
        for _ in range(2000)
    ]
    assert np.mean(kept) == pytest.approx(0.9, abs=0.025)
