import numpy as np
import pytest

from common.statistics.folds import (
    corrected_t,
    corrected_t_clustered,
    corrected_t_clustered_inference,
    corrected_t_inference,
)
from common.statistics.paired import paired_t
from common.statistics.results import DesignError


def test_corrected_t_is_the_plain_t_shrunk_by_the_overlap_of_training_sets(rng):
    d = rng.normal(0.2, 1, 5)
    plain, corrected = paired_t(d), corrected_t(d, test_train_ratio=0.25)
    assert corrected.statistic == pytest.approx(plain.statistic * np.sqrt((1 / 5) / (1 / 5 + 0.25)))
    assert corrected.p > plain.p


def test_corrected_t_gives_the_value_worked_by_hand():
    # mean 2, variance 1, (1/3 + 1/2) = 5/6: t = 2 / sqrt(5/6), 2 degrees of freedom
    t = 2 / np.sqrt(5 / 6)
    # the law of t with 2 degrees of freedom has the closed form 1/2 + t / (2 sqrt(2 + t^2))
    p = 2 * (0.5 - t / (2 * np.sqrt(2 + t**2)))
    assert corrected_t([1, 2, 3], test_train_ratio=0.5).p == pytest.approx(p)


def test_corrected_t_keeps_its_level_when_folds_correlate_as_it_assumes(rng):
    ratio, k = 1 / 4, 5
    correlation = ratio / (1 + ratio)
    shared = np.sqrt(correlation) * rng.normal(size=(3000, 1))
    studies = shared + np.sqrt(1 - correlation) * rng.normal(size=(3000, k))
    rejected = [corrected_t_inference(d, test_train_ratio=ratio).p() < 0.05 for d in studies]
    plain = [paired_t(d).p < 0.05 for d in studies[:1000]]
    assert np.mean(rejected) == pytest.approx(0.05, abs=0.012)
    assert np.mean(plain) > 0.1


def test_repeats_of_cross_validation_are_more_differences_with_the_same_ratio(rng):
    d = rng.normal(0.2, 1, 15)  # 3 repeats of 5 folds
    found = corrected_t_inference(d, test_train_ratio=1 / 4)
    assert found.df == 14
    assert found.se == pytest.approx(np.sqrt((1 / 15 + 1 / 4) * d.var(ddof=1)))


def _design(rng):
    fold = np.repeat(np.arange(4), 10)
    cluster = np.repeat(np.arange(20), 2)
    return rng.normal(0.3, 1, 40), fold, cluster


def test_every_patient_counts_equally_whatever_the_number_of_cases(rng):
    d, fold, cluster = _design(rng)
    one = corrected_t_clustered(d, fold=fold, cluster=cluster)
    again = np.concatenate([np.arange(40), np.repeat(np.arange(2), 30)])
    other = corrected_t_clustered(d[again], fold=fold[again], cluster=cluster[again])
    assert other.p == pytest.approx(one.p)
    assert other.n_cases == 100
    assert other.n_clusters == one.n_clusters == 20


def test_one_case_a_patient_gives_the_corrected_t_of_fold_means(rng):
    d, fold, _ = _design(rng)
    found = corrected_t_clustered(d, fold=fold, cluster=np.arange(40))
    expected = corrected_t(d.reshape(4, 10).mean(axis=1), test_train_ratio=1 / 3)
    assert (found.effect, found.p, found.low) == pytest.approx(
        (expected.effect, expected.p, expected.low)
    )


def test_repeats_need_their_ratio_said(rng):
    d, fold, cluster = _design(rng)
    twice = {
        "fold": np.concatenate([fold, fold + 4]),
        "cluster": np.concatenate([cluster, cluster]),
    }
    both = np.concatenate([d, d[::-1]])
    with pytest.raises(DesignError, match="`test_train_ratio` must be given"):
        corrected_t_clustered(both, **twice)
    found = corrected_t_clustered_inference(both, **twice, test_train_ratio=1 / 3)
    assert found.df == 7


def test_a_patient_in_two_folds_is_one_unit_in_each():
    found = corrected_t_clustered_inference(
        [1, 3, 5], fold=[1, 1, 2], cluster=["a", "b", "a"], test_train_ratio=1.0
    )
    assert found.effect == 3.5


@pytest.mark.parametrize(
    ("d", "fold"), [([1.0, 2.0], [1, 1]), ([1.0, np.nan], [1, 2]), ([1.0, 2.0], [1]), ([], [])]
)
def test_designs_without_an_answer_are_refused(d, fold):
    with pytest.raises(DesignError):
        corrected_t_clustered(d, fold=fold, cluster=np.arange(len(d)))
