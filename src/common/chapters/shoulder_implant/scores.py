"""Probabilities in, numbers out: rates of one test set and values of each image."""

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics

Probs = NDArray[np.floating]
Labels = NDArray[np.integer]


def rates(probs: Probs, label: Labels) -> dict[str, float]:
    """Compute the paper's metrics of one test set.

    Args:
        probs (n, k): probabilities.
        label (n,): classes, 0 to k - 1.

    Returns:
        Fractions: ``accuracy``; ``precision``, ``recall`` and ``f1``, averaged over classes by
        their sizes; ``auc``, one class against the rest, the mean over classes that occur and are
        not all there is; ``auc_weighted``, by class size; NaN where no class has both sides.

    Example:
        >>> found = rates(np.array([[0.9, 0.1], [0.4, 0.6], [0.6, 0.4]]), np.array([0, 1, 1]))
        >>> round(found["accuracy"], 3), found["auc"], found["recall"] == found["accuracy"]
        (0.667, 1.0, True)
    """
    called = probs.argmax(axis=1)
    p, r, f, _ = metrics.precision_recall_fscore_support(
        label, called, average="weighted", zero_division=0.0
    )
    found = {"accuracy": float((called == label).mean())}
    found |= {"precision": float(p), "recall": float(r), "f1": float(f)}
    areas, weights = [], []
    for k in range(probs.shape[1]):
        own = label == k
        if own.any() and not own.all():
            areas.append(metrics.roc_auc_score(own, probs[:, k]))
            weights.append(own.sum())
    found["auc"] = float(np.mean(areas)) if areas else np.nan
    found["auc_weighted"] = float(np.average(areas, weights=weights)) if areas else np.nan
    return found


def per_image(probs: Probs, label: Labels) -> dict[str, NDArray[np.float64]]:
    """Score each image: right or wrong, and the loss, minus the log of the right probability.

    Example:
        >>> per_image(np.array([[0.5, 0.5]]), np.array([0]))["log_loss"].round(3).tolist()
        [0.693]
    """
    own = probs[np.arange(len(label)), label]
    return {
        "correct": (probs.argmax(axis=1) == label).astype(np.float64),
        "log_loss": -np.log(np.maximum(own, 1e-7)).astype(np.float64),
    }


def restricted(probs: Probs, allowed: NDArray[np.bool_]) -> Probs:
    """Keep the classes that are possible for each image, and share out what the others had.

    Args:
        probs (n, k): probabilities of all classes.
        allowed (n, k): True where a class is of the image's manufacturer.

    Returns:
        (n, k), each row sums to 1.

    Example:
        >>> restricted(np.array([[0.5, 0.3, 0.2]]), np.array([[False, True, True]])).round(1)
        array([[0. , 0.6, 0.4]])
    """
    kept = np.where(allowed, probs, 0.0)
    total = kept.sum(axis=1, keepdims=True)
    even = allowed / allowed.sum(axis=1, keepdims=True)
    return np.where(total > 0, kept / np.maximum(total, 1e-30), even)


def best_epoch(probs: Probs, label: Labels) -> int:
    """Return the epoch (from 0) of the highest accuracy, the first of equals.

    Args:
        probs (E, n, k): probabilities after each epoch.
        label (n,): classes.
    """
    return int((probs.argmax(axis=2) == label).mean(axis=1).argmax())
