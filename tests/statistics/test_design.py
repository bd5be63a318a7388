import numpy as np
import pytest

from common.errors import ReplicateError
from common.statistics.design import pair, sample
from common.statistics.results import DesignError


def test_pairs_are_made_by_case_and_not_by_row_order(make_records, draw):
    scores = draw({"a": 0.8, "b": 0.7}, n_seeds=2, n_clusters=5)
    records = make_records(scores)
    shuffled = records.sample(frac=1, random_state=1)
    one = sample(pair(shuffled, metric="score", arms=("a", "b")), {"a": 1, "b": -1})
    order = np.lexsort((one.case, one.seed))
    np.testing.assert_allclose(one.value[order], (scores["a"] - scores["b"]).ravel())


def test_counts_are_of_different_cases_clusters_and_seeds(make_records, draw):
    paired = pair(
        make_records(draw({"a": 0.8, "b": 0.7}, n_seeds=2, n_clusters=5, n_cases=4)),
        metric="score",
        arms=("a", "b"),
    )
    assert (paired.n_cases, paired.n_clusters, paired.n_seeds) == (20, 5, 2)
    assert paired.notes == ()


def test_non_finite_and_unpaired_cases_are_left_out_of_both_arms_and_counted(make_records, draw):
    scores = draw({"a": 0.8, "b": 0.7}, n_seeds=1, n_clusters=5, n_cases=4)
    scores["a"][0, 0, 0] = np.nan
    scores["b"][0, 1, 0] = np.inf
    records = make_records(scores)
    records = records[~((records["arm"] == "b") & (records["case"] == "i0019"))]
    paired = pair(records, metric="score", arms=("a", "b"))
    assert len(paired.scores) == 17
    assert paired.notes == (
        "2 non-finite values left out",
        "3 of 20 cases not scored by every arm, left out",
    )


def test_a_case_scored_twice_is_refused_with_the_remedy(make_records, draw, concat):
    scores = draw({"a": 0.8, "b": 0.7}, n_seeds=1, n_clusters=3)
    records = concat(make_records(scores), make_records(scores, group="large"))
    with pytest.raises(DesignError, match="Name one `group`"):
        pair(records, metric="score", arms=("a", "b"))
    assert len(pair(records, metric="score", arms=("a", "b"), group="large").scores) == 12


def test_a_missing_arm_is_named(make_records, draw):
    with pytest.raises(ReplicateError, match="for arm zzz"):
        pair(make_records(draw({"a": 0.8})), metric="score", arms=("a", "zzz"))


def test_seeds_are_averaged_case_by_case(make_records, draw):
    scores = draw({"a": 0.8}, n_seeds=3, n_clusters=6)
    one = sample(pair(make_records(scores, n_folds=2), metric="score", arms=("a",)), {"a": 1})
    averaged = one.over_seeds()
    np.testing.assert_allclose(
        averaged.value[np.argsort(averaged.case)], scores["a"].mean(axis=0).ravel()
    )
    assert set(averaged.fold) == {"f0", "f1"}
    np.testing.assert_allclose(one.cluster_means(), scores["a"].mean(axis=(0, 2)))


def test_the_crossed_table_holds_cluster_means_by_seed_and_counts_the_incomplete(
    make_records, draw
):
    scores = draw({"a": 0.8}, n_seeds=3, n_clusters=6)
    records = make_records(scores)
    records = records[~((records["seed"] == 2) & (records["cluster"] == "p005"))]
    matrix, left_out = sample(pair(records, metric="score", arms=("a",)), {"a": 1}).crossed()
    np.testing.assert_allclose(matrix, scores["a"].mean(axis=2).T[:5])
    assert left_out == 1


def test_seeds_that_share_folds_count_each_fold_once(make_records, draw):
    scores = draw({"a": 0.8}, n_seeds=3, n_clusters=10)
    one = sample(pair(make_records(scores, n_folds=5), metric="score", arms=("a",)), {"a": 1})
    expected = [scores["a"][:, fold::5].mean() for fold in range(5)]
    np.testing.assert_allclose(one.fold_means(), expected)
    assert one.n_folds() == 5


def test_seeds_with_folds_of_their_own_give_a_split_each(make_records, draw):
    records = make_records(draw({"a": 0.8}, n_seeds=2, n_clusters=10), n_folds=5)
    moved = (records["seed"] == 1) & (records["cluster"].astype(str) < "p005")
    records["fold"] = records["fold"].astype(str).mask(moved, "f0")
    one = sample(pair(records, metric="score", arms=("a",)), {"a": 1})
    assert len(one.fold_means()) == 10
    assert (one.over_seeds().fold == "").all()
