import numpy as np
import pytest
from sklearn.linear_model import Ridge

from common.validation.folds import Folds, _right, draw_folds, draw_learners, draw_overlap


def _fold_means(study):
    d = study.scores[0, :, 0] - study.scores[0, :, 1]
    return np.array([d[study.fold == name].mean() for name in np.unique(study.fold)])


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_fold_differences_correlate_as_the_corrected_t_assumes(share, rng):
    folds = Folds("overlap", 40, 5, training_share=share)
    means = np.array([_fold_means(draw_overlap(folds, rng)) for _ in range(4000)])
    correlation = np.corrcoef(means.T)[np.triu_indices(5, 1)].mean()
    assert correlation == pytest.approx(1 / 5, abs=0.03)
    assert means.var(axis=0).mean() == pytest.approx(1 + 1 / 4, rel=0.05)
    assert means.mean() == pytest.approx(0, abs=0.03)


def test_learners_are_scored_by_a_model_that_did_not_see_their_patients(rng):
    features = rng.normal(size=(30, 4))
    target = np.where(rng.random(30) < 0.5, 1.0, -1.0)
    fold = np.arange(30) % 3
    right = _right(features, target, fold)
    for number in range(3):
        mine = fold == number
        model = Ridge(alpha=1.0, fit_intercept=False).fit(features[~mine], target[~mine])
        expected = np.sign(model.predict(features[mine])) == target[mine]
        assert np.array_equal(right[mine].astype(bool), expected)


def test_the_two_learners_are_equally_good_and_better_than_chance(rng):
    studies = [draw_learners(Folds("learners", 40, 5), rng).scores[0] for _ in range(150)]
    accuracy = np.array([study.mean(axis=0) for study in studies])
    gap = accuracy[:, 0] - accuracy[:, 1]
    assert gap.mean() == pytest.approx(0, abs=4 * gap.std() / np.sqrt(150))
    assert accuracy.mean() > 0.6


def test_repeats_deal_their_own_folds_and_keep_patients_whole(rng):
    study = draw_folds(Folds("learners", 30, 5, repeats=3), rng)
    assert study.fold.shape == study.scores.shape[:2]
    assert not np.array_equal(study.fold[0], study.fold[1])
    for fold in study.fold:
        pairs = set(zip(study.cluster, fold, strict=True))
        assert len(pairs) == 30
    assert study.sample.n_folds() == 5
    assert len(study.sample.fold_means()) == 15
