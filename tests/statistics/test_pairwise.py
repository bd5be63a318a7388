"""All pairs under all tests: the same numbers as each test gives alone."""

import numpy as np
import pytest

from common.statistics import pairwise
from common.statistics.paired import corrected_t
from common.statistics.proportions import mcnemar, mcnemar_clustered
from common.statistics.results import DesignError

ARMS = ("a", "b", "c")


@pytest.fixture
def study(rng):
    """Three methods, 40 patients of 6 patches in 4 folds; the third is worse."""
    patient = rng.normal(1.5, 2.0, (1, 40, 1))
    own = rng.normal(0, 1.0, (3, 40, 1)) - np.array([0, 0, 3.0])[:, None, None]
    right = rng.random((3, 40, 6)) < 1 / (1 + np.exp(-(patient + own)))
    return right.astype(float), np.array(list("ABCD") * 10)


@pytest.fixture
def found(study, rng):
    return pairwise.compare(*study, ARMS, rng=rng, n_boot=400)


def test_each_pair_is_compared_once_and_in_order(found):
    pairs = list(zip(found.pairs["first"], found.pairs["second"], strict=True))
    assert pairs == [("a", "b"), ("a", "c"), ("b", "c")]
    assert len(found.folds) == 3 * 4


def test_p_values_are_those_of_the_single_tests(study, found):
    right, fold = study
    first, second = right[0].ravel(), right[2].ravel()
    row = found.pairs.iloc[1]
    patient = np.repeat(np.arange(40), 6)
    assert row["mcnemar"] == mcnemar(first, second).p
    assert row["mcnemar_clustered"] == mcnemar_clustered(first, second, patient).p
    gap = (right[0] - right[2]).mean(axis=1)
    by_fold = [gap[fold == name].mean() for name in "ABCD"]
    expected = corrected_t(by_fold, test_train_ratio=1 / 3)
    assert row["corrected_t"] == pytest.approx(expected.p)
    assert row["effect"] == pytest.approx(np.mean(by_fold))
    assert row["corrected_t_low"] == pytest.approx(expected.low)


def test_swapping_two_methods_turns_the_sign_and_keeps_p(study, found, rng):
    right, fold = study
    swapped = pairwise.compare(right[[2, 1, 0]], fold, ("c", "b", "a"), rng=rng, n_boot=400)
    here = found.pairs.iloc[1]
    there = swapped.pairs.iloc[1]
    assert there["effect"] == pytest.approx(-here["effect"])
    for name in ("mcnemar", "mcnemar_clustered", "corrected_t", "mcnemar_vote"):
        assert there[name] == pytest.approx(here[name])


def test_every_interval_holds_its_effect(found):
    for name in ("patients", "two_level", "corrected_t", "folds"):
        assert (found.pairs[f"{name}_low"] <= found.pairs["effect"]).all()
        assert (found.pairs["effect"] <= found.pairs[f"{name}_high"]).all()


def test_votes_decide_where_they_are_given(study, rng):
    vote = np.ones((3, 40), dtype=bool)
    vote[2, :9] = False
    found = pairwise.compare(*study, ARMS, rng=rng, n_boot=50, vote=vote)
    # Nine patients differ, all one way: 2 / 2**9.
    assert found.pairs["mcnemar_vote"].tolist() == pytest.approx([1.0, 2 / 512, 2 / 512])


def test_rejections_count_raw_and_corrected(found):
    counts = pairwise.rejections(found)
    raw = (found.folds["mcnemar"] < 0.05).sum()
    assert counts["McNemar, patches pooled, single folds"].startswith(f"{raw}, ")
    assert counts["McNemar, patches pooled, single folds"].endswith("of 12")


def test_the_ladder_names_every_test_once(found):
    steps = pairwise.ladder(found, "a", "c")
    assert list(steps) == list(pairwise.TESTS.values())
    with pytest.raises(DesignError, match="no pair 'c', 'a'"):
        pairwise.ladder(found, "c", "a")


def test_forest_rows_are_in_points(found):
    rows = pairwise.forest_rows(found, {"a": "A", "b": "B", "c": "C"})
    assert len(rows) == 9
    assert rows["effect"].iloc[3] == pytest.approx(100 * found.pairs["effect"].iloc[1])


@pytest.mark.parametrize(
    ("outcome", "fold", "message"),
    [
        (np.ones((2, 4, 1)), ["A", "A", "B", "B"], "`outcome` must be \\(3 methods, 4 clusters"),
        (np.ones((3, 4, 1)), ["A"] * 4, "at least 2 folds, got 1"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(outcome, fold, message, rng):
    with pytest.raises(DesignError, match=message):
        pairwise.compare(outcome, fold, ARMS, rng=rng, n_boot=10)
