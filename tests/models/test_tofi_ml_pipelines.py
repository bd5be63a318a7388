"""Selection, balancing and classifiers: draws that stay where they belong, and values by hand."""

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from common.models import tofi_ml_pipelines as pipelines


def cloud(n=60, seed=0, gap=2.0, share=0.3):
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < share).astype(int)
    y[:2] = [0, 1]
    x = rng.standard_normal((n, 6))
    x[:, 2] += gap * y
    return x.astype(np.float32), y


def test_smote_makes_points_on_lines_between_cases_of_the_rare_class():
    x, y = cloud()
    more, labels = pipelines.smote(x, y, rng=np.random.default_rng(1))
    assert len(set(np.bincount(labels).tolist())) == 1
    np.testing.assert_array_equal(more[: len(x)], x)
    own = x[y == 1].astype(float)
    for made in more[len(x) :].astype(float):
        gaps = [
            np.linalg.norm(own[i] - made)
            + np.linalg.norm(made - own[j])
            - np.linalg.norm(own[i] - own[j])
            for i in range(len(own))
            for j in range(i)
        ]
        assert min(gaps) < 1e-4


def test_smote_uses_the_nearest_neighbours_only():
    """Two tight groups of diseased cases far apart: nothing is made between them."""
    rng = np.random.default_rng(2)
    own = np.concatenate([rng.normal(0, 0.1, (8, 2)), rng.normal(100, 0.1, (8, 2))])
    x = np.concatenate([own, rng.normal(50, 1, (60, 2))])
    y = np.repeat([1, 0], [16, 60])
    made = pipelines.smote(x, y, rng=rng, k=5)[0][76:]
    assert ((made < 10) | (made > 90)).all()


def test_undersampling_keeps_every_rare_case_and_as_many_others():
    y = np.repeat([0, 1], [482, 168])
    kept = pipelines.undersample(y, rng=np.random.default_rng(0))
    assert len(kept) == len(set(kept)) == 336
    assert set(np.flatnonzero(y == 1)) <= set(kept)


def test_oversampling_repeats_each_rare_case_about_equally_often():
    y = np.repeat([1, 0], [10, 35])
    kept = pipelines.oversample(y, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(kept[:45], np.arange(45))
    times = np.bincount(kept, minlength=45)
    assert np.bincount(y[kept]).tolist() == [35, 35]
    assert set(times[:10]) == {3, 4}
    assert set(times[10:]) == {1}


@pytest.mark.parametrize("how", ["smote", "under", "over"])
def test_draws_follow_their_generator_and_nothing_else(how):
    x, y = cloud()
    np.random.seed(1)  # noqa: NPY002
    first = pipelines.balanced(x, y, how, rng=np.random.default_rng(3))
    np.random.seed(2)  # noqa: NPY002
    second = pipelines.balanced(x, y, how, rng=np.random.default_rng(3))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


def test_votes_are_those_of_the_library_for_every_k():
    x, y = cloud(160)
    new, _ = cloud(20, seed=5)
    share = pipelines.votes(x, y, new)
    scale = StandardScaler().fit(x)
    for k in (1, 9, 31):
        model = KNeighborsClassifier(k).fit(scale.transform(x), y)
        expected = model.predict_proba(scale.transform(new))[:, 1]
        place = pipelines.NEIGHBOURS.index(k)
        np.testing.assert_allclose(share[place], expected, atol=1e-12)


def test_more_neighbours_than_cases_all_vote():
    x, y = cloud(20)
    assert np.allclose(pipelines.votes(x, y, x)[-1], y.mean())


def test_k_from_the_test_images_has_the_smallest_error_that_any_k_has():
    x, y = cloud(120, gap=0.5)
    new, truth = cloud(40, seed=9, gap=0.5)
    errors = ((pipelines.votes(x, y, new) > 0.5) != (truth == 1)).sum(axis=1)
    peeked = pipelines.knn(x, y, new, seed=0, peek=truth)
    honest = pipelines.knn(x, y, new, seed=0)
    wrong = [((p[:, 1] > 0.5) != (truth == 1)).sum() for p in (peeked, honest)]
    assert wrong[0] == errors.min()
    assert wrong[1] >= wrong[0]


def test_the_inner_choice_of_k_never_sees_the_test_images():
    x, y = cloud(80)
    one, other = (pipelines.best_k(x, y, seed=4) for _ in "ab")
    assert one == other
    far = pipelines.knn(x, y, np.full((3, 6), 1e6, np.float32), seed=4)
    assert far.shape == (3, 2)
    np.testing.assert_allclose(far.sum(axis=1), 1)


def test_selection_keeps_the_features_that_matter():
    x, y = cloud(200, gap=3.0)
    model = pipelines.classifier("xgboost", seed=0).fit(x, y)
    assert pipelines.select(model, 1).tolist() == [2]
    assert pipelines.select(model, 99).tolist() == list(range(6))
    ranked = np.argsort(-model.feature_importances_)
    assert set(pipelines.select(model, 3)) == set(ranked[:3])


def test_a_pipeline_ignores_what_it_did_not_select():
    x, y = cloud(150, gap=3.0)
    new, _ = cloud(30, seed=6, gap=3.0)
    pipeline = pipelines.Pipeline(n_selected=1)
    first, _ = pipelines.fit_predict(pipeline, x, y, new, seed=0)
    changed = new.copy()
    changed[:, [0, 1, 3, 4, 5]] = 1e3
    second, _ = pipelines.fit_predict(pipeline, x, y, changed, seed=0)
    np.testing.assert_array_equal(first, second)


def test_a_given_ranking_is_used():
    x, y = cloud(150, gap=3.0)
    other = np.zeros_like(x)
    other[:, 0] = y  # a model that saw the classes in the first feature
    ranked = pipelines.classifier("xgboost", seed=0).fit(other, y)
    blind, _ = pipelines.fit_predict(
        pipelines.Pipeline(n_selected=1), x, y, x[:5], seed=0, ranked=ranked
    )
    alone, _ = pipelines.fit_predict(pipelines.Pipeline(), x[:, :1], y, x[:5, :1], seed=0)
    np.testing.assert_array_equal(blind, alone)


@pytest.mark.parametrize("kind", ["xgboost", "forest", "knn"])
def test_the_same_seed_gives_the_same_probabilities(kind):
    x, y = cloud(90)
    first, second = (
        pipelines.fit_predict(pipelines.Pipeline(kind), x, y, x[:9], seed=3)[0] for _ in "ab"
    )
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x, y: pipelines.classifier("svm", seed=0), "xgboost or forest"),
        (lambda x, y: pipelines.select(None, 0), "at least 1"),
        (lambda x, y: pipelines.undersample(y * 0, rng=np.random.default_rng()), "both classes"),
        (lambda x, y: pipelines.balanced(x, y, "half", rng=np.random.default_rng()), "smote"),
        (
            lambda x, y: pipelines.smote(
                x[:4], np.array([0, 0, 0, 1]), rng=np.random.default_rng()
            ),
            "2 cases",
        ),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(*cloud())
