"""Telling procedures apart: SVM, nearest neighbour and Mahalanobis distance on graphs; the rule
for shortcuts and mistakes; and baselines that see no graph.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigh
from scipy.stats import chi2
from sklearn.svm import SVC

from common.models.ton_vit import Array

Labels = NDArray[np.int64]
N_COMPONENTS = 5
RIDGE = 1e-2
COST = 1.0
CALLS = ("normal", "shortcut", "mistake", "normal, with a warning")


def bag(sequences: Sequence[Sequence[Hashable]]) -> Array:
    """Count how often each action occurs, forgetting their order.

    Args:
        sequences: n sequences of actions.

    Returns:
        (n, actions) counts.

    Example:
        >>> bag(["aba", "b"]).tolist()
        [[2.0, 1.0], [0.0, 1.0]]
    """
    names = sorted({action for each in sequences for action in each}, key=str)
    place = {action: i for i, action in enumerate(names)}
    counts = np.zeros((len(sequences), len(names)))
    for row, each in zip(counts, sequences, strict=True):
        for action in each:
            row[place[action]] += 1
    return counts


def left_out(groups: ArrayLike) -> list[tuple[Labels, Labels]]:
    """Deal cases so that each group is left out once.

    Args:
        groups (n,): name of the group of every case; all different for leave-one-out.

    Returns:
        Training and test indices of each split, in the order of the groups' first cases.
    """
    names = np.asarray(groups)
    _, first = np.unique(names, return_index=True)
    splits = []
    for name in names[np.sort(first)]:
        test = names == name
        splits.append((np.flatnonzero(~test), np.flatnonzero(test)))
    return splits


def svm(train: Array, label: ArrayLike, test: Array, *, scores: bool = False) -> Labels | Array:
    """Train a linear SVM (C = 1) and ask it about test cases.

    Args:
        train (n, d): features.
        label (n,): classes.
        test (m, d): features of the test cases.
        scores: return the decision function in place of classes.

    Returns:
        (m,) classes, or (m, classes) scores, one against the rest.
    """
    model = SVC(kernel="precomputed", C=COST, decision_function_shape="ovr")
    model.fit(train @ train.T, np.asarray(label))
    gram = test @ train.T
    return np.asarray(model.decision_function(gram) if scores else model.predict(gram))


def cross_validate(
    features: Array,
    label: ArrayLike,
    splits: Sequence[tuple[Labels, Labels]],
    *,
    tested: Array | None = None,
) -> Labels:
    """Predict every case by an SVM that was trained without it.

    Test edges that no training video has are products with zero, so they drop out by themselves.

    Args:
        features (n, d): of the training cases.
        label (n,): classes.
        splits: training and test indices, see :func:`left_out`.
        tested (n, d): features of the test cases, if they differ (noisy ones).

    Returns:
        (n,) predicted classes, -1 for a case that is in no test part.
    """
    truth = np.asarray(label)
    gram = features @ features.T
    asked = gram if tested is None else tested @ features.T
    found = np.full(len(truth), -1, dtype=np.int64)
    for train, test in splits:
        if len(np.unique(truth[train])) < 2:
            found[test] = truth[train][0]
            continue
        model = SVC(kernel="precomputed", C=COST).fit(gram[np.ix_(train, train)], truth[train])
        found[test] = model.predict(asked[np.ix_(test, train)])
    return found


def nearest(between: Array, label: ArrayLike, splits: Sequence[tuple[Labels, Labels]]) -> Labels:
    """Give every case the class of the nearest case outside its own test part.

    Args:
        between (n, n): distances.
        label (n,): classes.
        splits: training and test indices.
    """
    truth, found = np.asarray(label), np.full(len(between), -1, dtype=np.int64)
    for train, test in splits:
        found[test] = truth[train[between[np.ix_(test, train)].argmin(axis=1)]]
    return found


def one_hot(values: Sequence[Hashable]) -> Array:
    """Write one word about each case, such as its last action, as a row of zeros and a one.

    Example:
        >>> one_hot(["drop", "take", "drop"]).tolist()
        [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]
    """
    return bag([[value] for value in values])


def _principal_axes(centred: Array, k: int) -> Array:
    """Find the first k principal axes (d, k); of few cases by their products, which is faster."""
    n, d = centred.shape
    if n >= d:
        return np.asarray(np.linalg.svd(centred, full_matrices=False)[2][:k].T)
    values, vectors = eigh(centred @ centred.T, subset_by_index=[n - k, n - 1])
    return np.asarray(centred.T @ vectors[:, ::-1] / np.sqrt(values[::-1]))


@dataclass(frozen=True)
class Clusters:
    """Clusters of procedures in the space of the first principal components.

    Args:
        centre (d,): mean of all training cases.
        axes (d, k): principal axes.
        means (c, k): mean of each class.
        precisions (c, k, k): inverse covariance of each class.
    """

    centre: Array
    axes: Array
    means: Array
    precisions: Array

    @classmethod
    def fit(
        cls,
        features: Array,
        label: ArrayLike,
        *,
        n_components: int = N_COMPONENTS,
        ridge: float = RIDGE,
    ) -> Self:
        """Find axes, means and covariances.

        Args:
            features (n, d): training cases.
            label (n,): classes 0 to c - 1, at least two cases each.
            n_components: k, at most n and d.
            ridge: added to the variances, so that a covariance can be inverted.

        Raises:
            ValueError: a class has fewer than two cases.

        Source:
            Section 2.4; the number of components and the ridge are not given there.
        """
        truth = np.asarray(label)
        counts = np.bincount(truth)
        if counts.min() < 2:
            raise ValueError(
                f"every class must have at least 2 training cases, got {counts.tolist()}. "
                "Draw more videos."
            )
        centre = features.mean(axis=0)
        axes = _principal_axes(features - centre, n_components)
        scores = (features - centre) @ axes
        parts = [scores[truth == c] for c in range(len(counts))]
        spread = [np.cov(part.T) + ridge * np.eye(axes.shape[1]) for part in parts]
        means = np.stack([part.mean(axis=0) for part in parts])
        return cls(centre, axes, means, np.linalg.inv(np.stack(spread)))

    def project(self, features: Array) -> Array:
        """Return principal components (n, k)."""
        return (features - self.centre) @ self.axes

    def distances(self, features: Array) -> Array:
        """Measure the Mahalanobis distance to every cluster.

        Args:
            features (n, d): cases.

        Returns:
            (n, c), sqrt((x - mean)' S^-1 (x - mean)).
        """
        away = self.project(features)[:, None] - self.means
        return np.sqrt(np.einsum("nck,ckl,ncl->nc", away, self.precisions, away))


def chi_square_radius(n_components: int, level: float = 0.975) -> float:
    """Return the Mahalanobis distance that normal data exceed with probability 1 - level.

    Example:
        >>> round(chi_square_radius(2, 0.95), 3)    # sqrt(-2 ln 0.05)
        2.448
    """
    return float(np.sqrt(chi2.ppf(level, n_components)))


def conformal_radius(own: ArrayLike, level: float = 0.975) -> float:
    """Return the distance that at most a share 1 - level of new cases of a class exceed.

    Args:
        own (n,): distances of cases of the class to a cluster that was fitted without them.
        level: share of the class to keep.

    Returns:
        The ceil((n + 1) level)-th smallest distance; the largest where n is too small for that.
    """
    values = np.sort(np.asarray(own, dtype=np.float64))
    rank = int(np.ceil((len(values) + 1) * level))
    return float(values[min(rank, len(values)) - 1])


def call(in_merged: ArrayLike, in_multi: ArrayLike) -> Labels:
    """Call videos by their membership in the two forms of the graph.

    Args:
        in_merged (n,): whether a cluster of the merged form holds the video.
        in_multi (n,): whether one of the form with counted repeats does.

    Returns:
        (n,) places in :data:`CALLS`; the fourth case, which the paper leaves open, is 3.

    Source:
        Section 2.4, last paragraph.

    Example:
        >>> call([True, True, False, False], [True, False, False, True]).tolist()
        [0, 1, 2, 3]
    """
    merged, multi = np.asarray(in_merged, dtype=bool), np.asarray(in_multi, dtype=bool)
    return np.where(multi, np.where(merged, 0, 3), np.where(merged, 1, 2))
