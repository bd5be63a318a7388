"""Scores of one test set as records: rates of the split, and right or wrong for every image."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn import metrics
from sklearn.exceptions import UndefinedMetricWarning

DISEASE, NORMAL = "disease", "normal"


def binary(prob: NDArray[np.floating], truth: NDArray[np.integer]) -> dict[str, float]:
    """Compute the rates of a two-class test set, precision and recall of the diseased class.

    Args:
        prob (n, 2): probabilities.
        truth (n,): classes 0 and 1.

    Returns:
        accuracy, precision, sensitivity, specificity, f1, auc as fractions; NaN where a rate has
        no denominator.

    Example:
        >>> prob = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.7, 0.3]])
        >>> found = binary(prob, np.array([0, 1, 0, 1]))
        >>> found["accuracy"], found["auc"]
        (0.5, 0.75)
    """
    called = prob[:, 1] > 0.5
    right, positive = called == (truth == 1), truth == 1
    hits = float((called & positive).sum())

    def share(count: float, of: float) -> float:
        return count / of if of else np.nan

    both = 0 < positive.sum() < len(truth)
    return {
        "accuracy": float(right.mean()),
        "precision": share(hits, float(called.sum())),
        "sensitivity": share(hits, float(positive.sum())),
        "specificity": share(float((right & ~positive).sum()), float((~positive).sum())),
        "f1": share(2 * hits, float(called.sum() + positive.sum())),
        "auc": float(metrics.roc_auc_score(truth, prob[:, 1])) if both else np.nan,
    }


def graded(prob: NDArray[np.floating], truth: NDArray[np.integer]) -> dict[str, float]:
    """Compute the rates of a test set with several grades, averaged by class size.

    Args:
        prob (n, c): probabilities.
        truth (n,): grades 0 to c - 1.

    Returns:
        accuracy, precision, sensitivity (which averaged by size is the accuracy), auc (one class
        against the rest) and kappa (quadratic weights).

    Source: Section 5.3, "weighted average of AUC values with a One-vs-Rest configuration".
    """
    called, classes = prob.argmax(axis=1), np.arange(prob.shape[1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        precision, recall, _, _ = metrics.precision_recall_fscore_support(
            truth, called, labels=classes, average="weighted", zero_division=0.0
        )
    sizes = np.bincount(truth, minlength=len(classes))
    present = classes[(sizes > 0) & (sizes < len(truth))]
    areas = [metrics.roc_auc_score(truth == c, prob[:, c]) for c in present]
    return {
        "accuracy": float((called == truth).mean()),
        "precision": float(precision),
        "sensitivity": float(recall),
        "auc": float(np.average(areas, weights=sizes[present])) if len(areas) else np.nan,
        "kappa": float(
            metrics.cohen_kappa_score(truth, called, labels=classes, weights="quadratic")
        ),
    }


def per_split(
    prob: NDArray[np.floating], truth: NDArray[np.integer], *, split: str, single: bool = False
) -> pd.DataFrame:
    """Record the rates of one test set; the split is case and cluster.

    Args:
        prob (n, c): probabilities.
        truth (n,): classes.
        split: name of the split.
        single: mark the metrics as those of the paper's one split.
    """
    rates = binary(prob, truth) if prob.shape[1] == 2 else graded(prob, truth)
    rows: list[dict[str, Any]] = [
        {"metric": f"single_{name}" if single else name, "value": value}
        for name, value in rates.items()
        if np.isfinite(value)
    ]
    return pd.DataFrame(rows).assign(case=split, cluster=split, group="")


def per_image(
    prob: NDArray[np.floating], truth: NDArray[np.integer], table: pd.DataFrame
) -> pd.DataFrame:
    """Record for each image if it was named rightly and, of two classes, its score.

    Args:
        prob (n, c): probabilities.
        truth (n,): classes.
        table: case, cluster and label of the images.

    Returns:
        Metrics ``correct`` and, for two classes, ``score``, the probability of disease to four
        digits; the group is the class, ``disease`` or ``normal``.
    """
    where = {
        "case": table["case"].to_numpy(),
        "cluster": table["cluster"].to_numpy(),
        "group": np.where(table["label"].to_numpy() == 1, DISEASE, NORMAL),
    }
    two = prob.shape[1] == 2
    called = (prob[:, 1] > 0.5).astype(int) if two else prob.argmax(axis=1)
    parts = [pd.DataFrame(where).assign(metric="correct", value=(called == truth).astype(float))]
    if two:
        parts.append(pd.DataFrame(where).assign(metric="score", value=prob[:, 1].round(4)))
    return pd.concat(parts, ignore_index=True)
