"""Two methods scored on cross-validation folds, whose training sets overlap: the corrected t."""

import numpy as np
from numpy.typing import ArrayLike

from common.statistics.results import (
    Array,
    DesignError,
    Student,
    TestResult,
    cluster_codes,
    cluster_sums,
    finite,
    summarise,
)


def corrected_t_inference(fold_differences: ArrayLike, *, test_train_ratio: float) -> Student:
    """Estimate the mean of differences over overlapping folds; see :func:`corrected_t`."""
    d = finite("fold_differences", fold_differences, at_least=2)
    if not test_train_ratio > 0:
        raise DesignError(
            f"`test_train_ratio` must be > 0, got {test_train_ratio!r}; "
            "for k folds it is 1 / (k - 1)."
        )
    se = np.sqrt((1 / len(d) + test_train_ratio) * d.var(ddof=1))
    return Student(float(d.mean()), float(se), len(d) - 1)


def corrected_t(fold_differences: ArrayLike, *, test_train_ratio: float) -> TestResult:
    """Test differences over cross-validation folds, whose training sets overlap.

    The hypothesis is that the mean difference over training sets drawn anew is 0; the unit is the
    fold.  The test is exact for normal fold differences of which any two correlate by
    ``ratio / (1 + ratio)``; that this is their correlation is a rule of thumb, not a theorem.  It
    works from 2 folds on, but with 5 the smallest effect that it can find is large.

    Repeated cross-validation (r repeats of k folds) gives one difference per fold of each repeat:
    ``fold_differences`` then holds all k r of them, and the ratio stays 1 / (k - 1).

    Args:
        fold_differences (k,): mean difference in each fold, of each repeat.
        test_train_ratio: test cases over training cases; 1 / (k - 1) in k-fold cross-validation,
            repeated or not.

    Returns:
        A t with k - 1 degrees of freedom and variance ``(1/k + ratio) s**2``, where k counts the
        differences.  Equal differences have p = 0, or 1 if they are 0.

    Raises:
        DesignError: fewer than two folds, a non-finite difference or a ratio <= 0.

    Source:
        Nadeau and Bengio, Machine Learning 52:239 (2003); Bouckaert and Frank, PAKDD (2004), for
        repeats.

    Example:
        Mean 2, s = 1, k = 3, ratio 1/2: the standard error is sqrt(5/6).

        >>> round(corrected_t([1, 2, 3], test_train_ratio=0.5).statistic, 4)
        2.1909
    """
    inference = corrected_t_inference(fold_differences, test_train_ratio=test_train_ratio)
    n = int(inference.df) + 1
    return summarise(
        inference,
        name="corrected resampled t",
        hypothesis="mean difference = 0",
        n_cases=n,
        n_clusters=n,
    )


def _fold_means(differences: ArrayLike, fold: ArrayLike, cluster: ArrayLike) -> tuple[Array, bool]:
    """Average cases in clusters and clusters in folds; tell whether a cluster lies in two folds."""
    d = finite("differences", differences)
    fold_of, n_folds = cluster_codes(fold, len(d))
    cluster_of, n_clusters = cluster_codes(cluster, len(d))
    units, unit_of = np.unique(fold_of * n_clusters + cluster_of, return_inverse=True)
    means = cluster_sums(d, unit_of, len(units)) / np.bincount(unit_of)
    in_fold = units // n_clusters
    fold_means = cluster_sums(means, in_fold, n_folds) / np.bincount(in_fold)
    return fold_means, len(units) > n_clusters


def corrected_t_clustered_inference(
    differences: ArrayLike,
    *,
    fold: ArrayLike,
    cluster: ArrayLike,
    test_train_ratio: float | None = None,
) -> Student:
    """Estimate the mean over folds of clusters; see :func:`corrected_t_clustered`."""
    means, repeated = _fold_means(differences, fold, cluster)
    if test_train_ratio is None:
        if repeated:
            raise DesignError(
                "`test_train_ratio` must be given where a cluster lies in several folds, got None. "
                "For repeated k-fold cross-validation it is 1 / (k - 1)."
            )
        test_train_ratio = 1 / max(len(means) - 1, 1)
    return corrected_t_inference(means, test_train_ratio=test_train_ratio)


def corrected_t_clustered(
    differences: ArrayLike,
    *,
    fold: ArrayLike,
    cluster: ArrayLike,
    test_train_ratio: float | None = None,
) -> TestResult:
    """Test differences of clustered cases over folds: means of clusters, then of folds.

    Hypothesis, unit (the fold) and assumptions are those of :func:`corrected_t`.  Inside a fold
    every cluster counts equally, however many cases it has.

    Args:
        differences (n,): one difference a case.
        fold (n,): the test fold of each case; of repeats, a name of its own for each repeat's fold.
        cluster (n,): the patient of each case.
        test_train_ratio: test over training clusters; by default 1 / (k - 1) for k folds.

    Returns:
        As :func:`corrected_t`.

    Raises:
        DesignError: fewer than two folds, a non-finite difference, a ratio <= 0, or no ratio
            although a cluster lies in several folds.

    Example:
        Patient means 1, 3 | 4 | 6 give fold means 2, 4, 6: t = 4 / (2 sqrt(1/3 + 1/2)).

        >>> found = corrected_t_clustered(
        ...     [0, 2, 3, 4, 6], fold=[1, 1, 1, 2, 3], cluster=["a", "a", "b", "c", "d"]
        ... )
        >>> round(found.statistic, 4)
        2.1909
    """
    inference = corrected_t_clustered_inference(
        differences, fold=fold, cluster=cluster, test_train_ratio=test_train_ratio
    )
    return summarise(
        inference,
        name="corrected resampled t, clustered",
        hypothesis="mean difference = 0",
        n_cases=np.size(differences),
        n_clusters=len(np.unique(np.asarray(cluster))),
        note=f"{int(inference.df) + 1} folds are the units",
    )
