"""Class metrics: hand values, scikit-learn where it applies, absent classes, votes and ties."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from common.metrics.classification import balanced_accuracy, confusion, macro_f1, majority_vote

REFERENCE = [0, 0, 0, 1, 1, 2]
PREDICTED = [0, 0, 1, 1, 0, 2]


def test_the_confusion_matrix_has_the_reference_in_rows() -> None:
    expected = [[2, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    assert confusion(REFERENCE, PREDICTED, n_classes=4).tolist() == expected


def test_balanced_accuracy_is_the_mean_recall() -> None:
    assert balanced_accuracy(REFERENCE, PREDICTED, n_classes=3) == pytest.approx(
        (2 / 3 + 1 / 2 + 1) / 3
    )


def test_macro_f1_worked_by_hand() -> None:
    # F1 = 2 TP / (2 TP + FP + FN): 4/6, 2/4, 2/2.
    assert macro_f1(REFERENCE, PREDICTED, n_classes=3) == pytest.approx((4 / 6 + 2 / 4 + 1) / 3)


def test_balanced_accuracy_agrees_with_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    y, z = rng.integers(5, size=(2, 200))
    assert balanced_accuracy(y, z, n_classes=5) == pytest.approx(balanced_accuracy_score(y, z))


def test_a_class_that_never_occurs_does_not_lower_the_recall_but_a_false_call_lowers_f1() -> None:
    assert balanced_accuracy([0, 1], [0, 1], n_classes=7) == 1.0
    assert macro_f1([0, 1], [0, 1], n_classes=7) == 1.0
    # Class 2 is called and does not occur: F1 are 1, 0 and 0.
    assert macro_f1([0, 1], [0, 2], n_classes=3) == pytest.approx(1 / 3)


def test_predicting_the_commonest_class_is_chance_in_balanced_accuracy() -> None:
    y = [0] * 90 + [1] * 6 + [2] * 4
    assert balanced_accuracy(y, [0] * 100, n_classes=3) == pytest.approx(1 / 3)


def test_no_case_has_no_value() -> None:
    assert np.isnan(balanced_accuracy([], [], n_classes=2))
    assert np.isnan(macro_f1([], [], n_classes=2))
    assert confusion([], [], n_classes=2).tolist() == [[0, 0], [0, 0]]
    assert majority_vote([], []).empty


def test_the_vote_takes_the_commonest_class_of_each_group() -> None:
    votes = majority_vote([3, 3, 1, 0, 5, 5], ["b", "b", "b", "a", "a", "a"])
    assert votes.to_dict() == {"a": 5, "b": 3}
    assert votes.index.tolist() == ["a", "b"]


def test_a_tie_goes_to_the_lowest_class_whatever_the_order() -> None:
    assert majority_vote([4, 2], ["p", "p"]).item() == 2
    assert majority_vote([2, 4], ["p", "p"]).item() == 2


def test_the_vote_does_not_depend_on_the_order_of_cases() -> None:
    rng = np.random.default_rng(2)
    predicted, group = rng.integers(4, size=60), rng.integers(8, size=60)
    order = rng.permutation(60)
    expected = majority_vote(predicted, group)
    assert majority_vote(predicted[order], group[order]).equals(expected)
    for name, members in expected.items():
        counts = np.bincount(predicted[group == name], minlength=4)
        assert counts.argmax() == members


def test_misfits_are_refused_with_the_remedy() -> None:
    with pytest.raises(ValueError, match="Pair the cases"):
        confusion([0, 1], [0], n_classes=2)
    with pytest.raises(ValueError, match="`predicted` must be in 0-1, got 2"):
        macro_f1([0, 1], [0, 2], n_classes=2)
    with pytest.raises(ValueError, match="`reference` must be in 0-1, got -1"):
        balanced_accuracy([-1, 1], [0, 1], n_classes=2)
    with pytest.raises(ValueError, match="`group` must be of the shape"):
        majority_vote([1, 2], ["a"])
