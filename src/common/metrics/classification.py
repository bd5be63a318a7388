"""Metrics of class predictions, and the vote that turns patches into patients."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import confusion_matrix, f1_score, recall_score


def confusion(reference: ArrayLike, predicted: ArrayLike, *, n_classes: int) -> NDArray[np.int64]:
    """Count the cases by reference (rows) and predicted class (columns).

    Args:
        reference: classes 0 to ``n_classes`` - 1 (n,).
        predicted: the same (n,).
        n_classes: number of classes, also of those that do not occur.

    Returns:
        (n_classes, n_classes); all 0 for no case.

    Raises:
        ValueError: lengths differ, or a class is outside the range.

    Example:
        >>> confusion([0, 0, 1], [0, 1, 1], n_classes=2)
        array([[1, 1],
               [0, 1]])
    """
    y, z = _check(reference, predicted, n_classes)
    if len(y) == 0:
        return np.zeros((n_classes, n_classes), np.int64)
    return np.asarray(confusion_matrix(y, z, labels=np.arange(n_classes)), dtype=np.int64)


def balanced_accuracy(reference: ArrayLike, predicted: ArrayLike, *, n_classes: int) -> float:
    """Compute the mean recall of the classes that occur in the reference.

    Args:
        reference: classes (n,).
        predicted: classes (n,).
        n_classes: number of classes.

    Returns:
        In [0, 1], higher is better; chance is 1 / number of occurring classes; NaN for no case.

    Raises:
        ValueError: as :func:`confusion`.

    Example:
        Recalls 1/2 and 1; the third class does not occur.

        >>> balanced_accuracy([0, 0, 1], [0, 2, 1], n_classes=3)
        0.75
    """
    y, z = _check(reference, predicted, n_classes)
    if len(y) == 0:
        return float("nan")
    # recall_score over the occurring classes; balanced_accuracy_score warns about predicted
    # classes that do not occur.
    return float(recall_score(y, z, labels=np.unique(y), average="macro"))


def macro_f1(reference: ArrayLike, predicted: ArrayLike, *, n_classes: int) -> float:
    """Compute the mean F1 of the classes that occur in the reference or are predicted.

    Args:
        reference: classes (n,).
        predicted: classes (n,).
        n_classes: number of classes.

    Returns:
        In [0, 1], higher is better; NaN for no case.  A class that is predicted but does not
        occur counts 0, one that neither occurs nor is predicted does not count.

    Raises:
        ValueError: as :func:`confusion`.

    Example:
        Class 0: precision 1, recall 1/2, F1 2/3.  Class 1: precision 1/2, recall 1, F1 2/3.

        >>> round(macro_f1([0, 0, 1], [0, 1, 1], n_classes=2), 3)
        0.667
    """
    y, z = _check(reference, predicted, n_classes)
    if len(y) == 0:
        return float("nan")
    return float(f1_score(y, z, labels=np.union1d(y, z), average="macro", zero_division=0.0))


def majority_vote(predicted: ArrayLike, group: ArrayLike) -> "pd.Series[Any]":
    """Decide each group by the most frequent class among its cases.

    Args:
        predicted: classes (n,).
        group: name of each case's group (n,), for instance the patient.

    Returns:
        The class by group, groups in sorted order.  A tie goes to the lowest class among the most
        frequent, so the result does not depend on the order of the cases.

    Raises:
        ValueError: lengths differ.

    Example:
        >>> majority_vote([2, 1, 1, 0, 3], ["a", "a", "a", "b", "b"]).to_dict()
        {'a': 1, 'b': 0}
    """
    y, groups = np.asarray(predicted, dtype=np.int64), np.asarray(group)
    if y.shape != groups.shape:
        rule = f"`group` must be of the shape of `predicted` {y.shape}"
        raise ValueError(f"{rule}, got {groups.shape}. Give one name per case.")
    # The columns of a cross-tabulation are sorted and idxmax takes the first of equal counts.
    votes = pd.crosstab(groups, y).idxmax(axis=1)
    return votes.rename_axis("group").rename("predicted")


def _check(
    reference: ArrayLike, predicted: ArrayLike, n_classes: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    y, z = np.asarray(reference, dtype=np.int64), np.asarray(predicted, dtype=np.int64)
    if y.ndim != 1 or y.shape != z.shape:
        rule = f"`predicted` must be of the reference's shape {y.shape}, one-dimensional"
        raise ValueError(f"{rule}, got {z.shape}. Pair the cases.")
    for name, classes in (("reference", y), ("predicted", z)):
        outside = classes[(classes < 0) | (classes >= n_classes)]
        if len(outside):
            rule = f"`{name}` must be in 0-{n_classes - 1}"
            raise ValueError(f"{rule}, got {int(outside[0])}. Encode the classes from 0.")
    return y, z
