"""Bootstrap of clusters, of folds and patients, of patients and seeds, and of any statistic.

Means are resampled in closed form: a replicate needs only how often each cluster was drawn, so one
matrix product of draw counts with cluster sums gives all replicates of all methods at once.
"""

import itertools
from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from common.statistics.replicates import Bootstrap, Method
from common.statistics.results import (
    Array,
    DesignError,
    cluster_codes,
    cluster_sums,
    finite,
)

Average = Literal["cases", "folds"]
MAX_EXACT_FOLDS = 6  # 6**6 = 46,656 draws of folds are listed one by one
_CHUNK = 4_000_000  # draw counts held in memory at once


def _draw(n_units: int, n_resamples: int, rng: np.random.Generator, sums: Array) -> Array:
    """Sum the columns of ``sums`` (n_units, k) over clusters drawn with replacement (R, k)."""
    step = max(1, _CHUNK // n_units)
    share = np.full(n_units, 1 / n_units)
    parts = [
        rng.multinomial(n_units, share, size=min(step, n_resamples - start)) @ sums
        for start in range(0, n_resamples, step)
    ]
    return np.concatenate(parts)


def _strata(
    values: Array, cluster: ArrayLike | None, fold: ArrayLike | None
) -> list[tuple[Array, Array]]:
    """Return cluster sums (G, k) and sizes (G,) of every fold; one stratum without folds.

    A cluster that lies in two folds counts as one unit in each.
    """
    n = len(values)
    fold_codes, n_folds = cluster_codes(np.zeros(n) if fold is None else fold, n)
    codes, _ = cluster_codes(cluster, n)
    strata = []
    for number in range(n_folds):
        mine = fold_codes == number
        own, n_own = cluster_codes(codes[mine], int(mine.sum()))
        sizes = np.bincount(own, minlength=n_own).astype(np.float64)
        strata.append((cluster_sums(values[mine], own, n_own), sizes))
    return strata


def _check(n_resamples: int, strata: list[tuple[Array, Array]]) -> int:
    if n_resamples < 1:
        raise DesignError(f"`n_resamples` must be >= 1, got {n_resamples!r}.")
    n_clusters = sum(len(sizes) for _, sizes in strata)
    if n_clusters < 2:
        raise DesignError(f"`cluster` must hold at least 2 clusters, got {n_clusters}.")
    return n_clusters


def cluster_bootstrap_contrasts(
    values: ArrayLike,
    contrasts: ArrayLike,
    *,
    cluster: ArrayLike | None = None,
    fold: ArrayLike | None = None,
    average: Average = "cases",
    n_resamples: int = 10_000,
    rng: np.random.Generator,
    method: Method = "percentile",
) -> tuple[Bootstrap, ...]:
    """Bootstrap linear combinations of several methods' means, all from the same resamples.

    Args:
        values (n, k): scores of k methods on n cases.
        contrasts (m, k): weights of the methods in each combination.
        cluster (n,): the independent unit of each case; None takes each case for its own.
        fold (n,): strata; clusters are drawn inside their fold.
        average: mean over all ``cases``, or over ``folds`` each of equal weight.
        n_resamples: replicates.
        rng: source of the draws.
        method: ``percentile`` or ``bca`` intervals.

    Returns:
        One bootstrap per contrast.  Clusters of unequal size are drawn whole, so that the
        replicate is a ratio of sums.

    Raises:
        DesignError: fewer than two clusters, non-finite values, or shapes that do not fit.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> (found,) = cluster_bootstrap_contrasts([[3, 1], [5, 1]], [[1, -1]], rng=rng)
        >>> found.effect
        3.0
    """
    scores, weights = finite("values", values, ndim=2), finite("contrasts", contrasts, ndim=2)
    if weights.shape[1] != scores.shape[1]:
        raise DesignError(
            f"`contrasts` must have {scores.shape[1]} columns, one a method, got {weights.shape!r}."
        )
    combined = scores @ weights.T
    strata = _strata(combined, cluster, fold)
    n_clusters = _check(n_resamples, strata)
    totals = [
        _draw(len(sizes), n_resamples, rng, np.column_stack([sums, sizes]))
        for sums, sizes in strata
    ]
    whole = [np.append(sums.sum(axis=0), sizes.sum())[None, :] for sums, sizes in strata]
    replicates, effects = _mean(totals, average), _mean(whole, average)[0]
    jackknife = _jackknife(strata, whole, average) if method == "bca" else None
    return tuple(
        Bootstrap(
            float(effects[m]),
            replicates[:, m],
            n_clusters,
            None if jackknife is None else jackknife[:, m],
            method,
        )
        for m in range(len(weights))
    )


def _mean(totals: list[Array], average: Average) -> Array:
    """Turn sums with their sizes in the last column, by stratum, into means (R, m)."""
    if average == "cases":
        pooled = np.sum(totals, axis=0)
        return np.asarray(pooled[:, :-1] / pooled[:, -1:], dtype=np.float64)
    return np.asarray(
        np.mean([each[:, :-1] / each[:, -1:] for each in totals], axis=0), dtype=np.float64
    )


def _jackknife(strata: list[tuple[Array, Array]], whole: list[Array], average: Average) -> Array:
    """Return the estimates without each cluster (G, m); a fold's only cluster stays in."""
    rows = []
    for number, (sums, sizes) in enumerate(strata):
        if len(sizes) < 2:
            continue
        left = whole[number] - np.column_stack([sums, sizes])
        others = [
            left if other == number else np.repeat(total, len(sizes), axis=0)
            for other, total in enumerate(whole)
        ]
        rows.append(_mean(others, average))
    return np.concatenate(rows) if rows else _mean(whole, average)


def cluster_bootstrap(
    values: ArrayLike,
    *,
    cluster: ArrayLike | None = None,
    fold: ArrayLike | None = None,
    average: Average = "cases",
    n_resamples: int = 10_000,
    rng: np.random.Generator,
    method: Method = "percentile",
) -> Bootstrap:
    """Bootstrap the mean of scores or of paired differences by drawing clusters.

    Args:
        values (n,): scores or differences.
        cluster (n,): see :func:`cluster_bootstrap_contrasts`, as for the other arguments.
        fold (n,): strata.
        average: ``cases`` or ``folds``.
        n_resamples: replicates.
        rng: source of the draws.
        method: ``percentile`` or ``bca``.

    Example:
        All differences equal leave nothing to vary:

        >>> found = cluster_bootstrap([2.0, 2.0, 2.0], rng=np.random.default_rng(0))
        >>> found.effect, found.interval().low, found.interval().high
        (2.0, 2.0, 2.0)
    """
    column = finite("values", values)[:, None]
    (found,) = cluster_bootstrap_contrasts(
        column,
        [[1.0]],
        cluster=cluster,
        fold=fold,
        average=average,
        n_resamples=n_resamples,
        rng=rng,
        method=method,
    )
    return found


def two_level(
    values: ArrayLike,
    *,
    fold: ArrayLike,
    cluster: ArrayLike,
    n_resamples: int = 10_000,
    rng: np.random.Generator,
) -> Bootstrap:
    """Bootstrap the mean over folds by drawing folds, then patients inside each drawn fold.

    Args:
        values (n,): differences.
        fold (n,): training run in which each case was scored.
        cluster (n,): patient of each case.
        n_resamples: replicates.
        rng: source of the draws.

    Returns:
        The unweighted mean of the fold means; folds are the units.  With five folds the interval
        is too narrow for the spread between folds (a factor of about sqrt(4/5)).

    Raises:
        DesignError: fewer than two folds or clusters, or non-finite values.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> two_level([1, 1, 3, 3], fold=["A", "A", "B", "B"], cluster=[1, 2, 3, 4], rng=rng).effect
        2.0
    """
    column = finite("values", values)[:, None]
    strata = _strata(column, cluster, fold)
    _check(n_resamples, strata)
    n_folds = len(strata)
    if n_folds < 2:
        raise DesignError(f"`fold` must hold at least 2 folds, got {n_folds}.")
    drawn = rng.integers(0, n_folds, size=(n_resamples, n_folds))
    means = np.empty(drawn.shape)
    for number, (sums, sizes) in enumerate(strata):
        here = drawn == number
        totals = _draw(len(sizes), int(here.sum()), rng, np.column_stack([sums, sizes]))
        means[here] = totals[:, 0] / totals[:, 1]
    effect = np.mean([sums.sum() / sizes.sum() for sums, sizes in strata])
    return Bootstrap(float(effect), means.mean(axis=1), n_folds)


def exact_folds(fold_differences: ArrayLike) -> Bootstrap:
    """Bootstrap the mean over a few folds by listing all k**k draws.

    Args:
        fold_differences (k,): mean difference of each fold, 2 to 6 folds.

    Returns:
        All replicates; nothing is random.  Far too narrow for five folds: shown as a warning.

    Raises:
        DesignError: fewer than 2 or more than 6 folds, or a non-finite difference.

    Example:
        >>> exact_folds([0.0, 1.0]).replicates.tolist()
        [0.0, 0.5, 0.5, 1.0]
    """
    d = finite("fold_differences", fold_differences, at_least=2)
    if len(d) > MAX_EXACT_FOLDS:
        raise DesignError(
            f"`fold_differences` must hold 2 to {MAX_EXACT_FOLDS} folds, got {len(d)}. "
            "Use `cluster_bootstrap`, which draws."
        )
    draws = np.array(list(itertools.product(d, repeat=len(d))))
    return Bootstrap(float(d.mean()), draws.mean(axis=1), len(d))


def crossed(matrix: ArrayLike, *, n_resamples: int = 10_000, rng: np.random.Generator) -> Bootstrap:
    """Bootstrap a mean over patients and seeds by drawing both (the pigeonhole bootstrap).

    Args:
        matrix (n_clusters, n_seeds): mean difference of each cluster with each seed.
        n_resamples: replicates.
        rng: source of the draws.

    Returns:
        Slightly conservative in the residual and, with few seeds, too narrow for their spread.

    Raises:
        DesignError: fewer than two clusters or seeds, or a non-finite entry.

    Source:
        Owen, Ann Appl Stat 1:386 (2007).

    Example:
        >>> crossed([[1, 1], [3, 3]], rng=np.random.default_rng(0)).effect
        2.0
    """
    d = finite("matrix", matrix, at_least=2, ndim=2)
    n_c, n_s = d.shape
    by_seed = _draw(n_c, n_resamples, rng, d)
    seeds = rng.multinomial(n_s, np.full(n_s, 1 / n_s), size=n_resamples)
    replicates = (by_seed * seeds).sum(axis=1) / (n_c * n_s)
    return Bootstrap(float(d.mean()), replicates, min(n_c, n_s))


def bootstrap_statistic(
    statistic: Callable[..., float],
    arrays: tuple[NDArray[np.generic], ...],
    *,
    cluster: ArrayLike | None = None,
    n_resamples: int = 2_000,
    rng: np.random.Generator,
    method: Method = "percentile",
) -> Bootstrap:
    """Bootstrap any statistic of cases by drawing whole clusters; one call per replicate.

    Args:
        statistic: takes the arrays, restricted to the drawn rows, and returns a number.
        arrays: arrays that share their first axis.
        cluster (n,): the independent unit of each row.
        n_resamples: replicates.
        rng: source of the draws.
        method: ``percentile`` or ``bca`` (one more call per cluster).

    Returns:
        Replicates that are not finite (a class that was not drawn, say) are an error.

    Raises:
        DesignError: fewer than two clusters, or a replicate without a finite value.

    Example:
        >>> x = np.array([1.0, 2.0, 9.0])
        >>> bootstrap_statistic(np.median, (x,), n_resamples=9, rng=np.random.default_rng(0)).effect
        2.0
    """
    codes, n_clusters = cluster_codes(cluster, len(arrays[0]))
    if n_clusters < 2:
        raise DesignError(f"`cluster` must hold at least 2 clusters, got {n_clusters}.")
    order = np.argsort(codes, kind="stable")
    rows = np.split(order, np.cumsum(np.bincount(codes, minlength=n_clusters))[:-1])

    def of(units: NDArray[np.intp]) -> float:
        index = np.concatenate([rows[unit] for unit in units])
        return float(statistic(*(array[index] for array in arrays)))

    draws = rng.integers(0, n_clusters, size=(n_resamples, n_clusters))
    replicates = np.array([of(units) for units in draws])
    if not np.isfinite(replicates).all():
        raise DesignError(
            f"`statistic` must be finite in every resample, got {(~np.isfinite(replicates)).sum()} "
            "that are not. Choose a statistic that exists when a class is not drawn."
        )
    everyone = np.arange(n_clusters)
    jackknife = None
    if method == "bca":
        jackknife = np.array([of(np.delete(everyone, unit)) for unit in everyone])
    return Bootstrap(of(everyone), replicates, n_clusters, jackknife, method)
