"""Bootstrap of means: of clusters, of folds and patients, of seeds and patients.

Means are resampled in closed form: a replicate needs only how often each cluster was drawn, so one
matrix product of draw counts with cluster sums gives all replicates of all methods at once, and
with their squares the standard error of each.  Any other statistic: :mod:`.resampling`.
"""

import itertools
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from common.statistics.replicates import (
    Bootstrap,
    Index,
    Method,
    check_method,
    draw_counts,
    draw_sums,
    exact_counts,
)

# The same names are found here, whatever is resampled.
from common.statistics.resampling import (
    bootstrap_counts as bootstrap_counts,
    bootstrap_records as bootstrap_records,
    bootstrap_statistic as bootstrap_statistic,
)
from common.statistics.results import (
    Array,
    DesignError,
    cluster_codes,
    cluster_sums,
    finite,
)

Average = Literal["cases", "folds"]
MAX_EXACT_FOLDS = 6  # 6**6 = 46,656 draws of folds are listed one by one

# Sums (G, m) and sizes (G, 1) of the clusters of one stratum.
_Stratum = tuple[Array, Array]


def _strata(values: Array, cluster: ArrayLike | None, fold: ArrayLike | None) -> list[_Stratum]:
    """Sum columns (n, m) inside the clusters of every fold; one stratum without folds.

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
        strata.append((cluster_sums(values[mine], own, n_own), sizes[:, None]))
    return strata


def _check(n_resamples: int, strata: list[_Stratum], method: Method) -> int:
    check_method(method)
    if n_resamples < 1:
        raise DesignError(f"`n_resamples` must be >= 1, got {n_resamples!r}.")
    n_clusters = sum(len(sizes) for _, sizes in strata)
    if n_clusters < 2:
        raise DesignError(f"`cluster` must hold at least 2 clusters, got {n_clusters}.")
    return n_clusters


def _columns(stratum: _Stratum, centre: Array, method: Method) -> Array:
    """Arrange what is summed over drawn clusters: sums and sizes (G, m + 1).

    For standard errors also the squares z**2, z n and n**2 (G, 3 m + 2), where z is the sum of a
    cluster about the ``centre`` of its cases: uncentred squares would lose their digits.
    """
    sums, n = stratum
    if method != "studentised":
        return np.concatenate(stratum, axis=1)
    z = sums - n * centre
    return np.concatenate([sums, n, z**2, z * n, n**2], axis=1)


def _mean(totals: list[Array], m: int, average: Average) -> Array:
    """Turn totals of :func:`_columns`, by stratum, into means (R, m)."""
    if average == "cases":
        pooled = totals[0] if len(totals) == 1 else np.sum(totals, axis=0)
        return np.asarray(pooled[:, :m] / pooled[:, m : m + 1], dtype=np.float64)
    each = [total[:, :m] / total[:, m : m + 1] for total in totals]
    return np.asarray(np.mean(each, axis=0), dtype=np.float64)


def _error(totals: list[Array], sizes: list[int], average: Average, centre: Array) -> Array:
    """Return the cluster-robust standard errors of :func:`_mean` (R, m).

    ``sum_h G_h / (G_h - 1) sum_g (e_g - mean e)**2`` with ``e_g`` the sum of a cluster about the
    mean; a stratum's only cluster shows no spread.
    """
    m = len(centre)
    pooled = _mean(totals, m, average)
    variance, n_all = np.zeros_like(pooled), np.zeros((len(pooled), 1))
    for total, g in zip(totals, sizes, strict=True):
        sums, n, squares, products, square_sizes = np.split(
            total, [m, m + 1, 2 * m + 1, 3 * m + 1], axis=1
        )
        mean = pooled if average == "cases" else sums / n
        shift = mean - centre
        spread = squares - 2 * shift * products + shift**2 * square_sizes
        spread -= (sums - mean * n) ** 2 / g
        weight = 1.0 if average == "cases" else n**2
        variance += np.maximum(spread, 0) * g / max(g - 1, 1) / weight
        n_all += n
    return np.asarray(np.sqrt(variance) / (n_all if average == "cases" else len(totals)))


def _jackknife(strata: list[_Stratum], whole: list[Array], average: Average) -> tuple[Array, Index]:
    """Return the estimates without each cluster (G, m) and its stratum (G,).

    A fold's only cluster stays in.
    """
    m = strata[0][0].shape[1]
    rows, numbers = [], []
    for number, (sums, sizes) in enumerate(strata):
        if len(sizes) < 2:
            continue
        left = [np.repeat(total[:, : m + 1], len(sizes), axis=0) for total in whole]
        left[number] -= np.concatenate([sums, sizes], axis=1)
        rows.append(_mean(left, m, average))
        numbers.append(np.full(len(sizes), number, dtype=np.intp))
    if not rows:
        return _mean(whole, m, average), np.zeros(1, dtype=np.intp)
    return np.concatenate(rows), np.concatenate(numbers)


def _means(
    strata: list[_Stratum],
    average: Average,
    method: Method,
    *,
    rng: np.random.Generator | None = None,
    n_resamples: int = 1,
) -> tuple[Bootstrap, ...]:
    """Bootstrap the mean of every column; without ``rng`` list all draws of one stratum."""
    n_clusters = _check(n_resamples, strata, method)
    m, n_cases = strata[0][0].shape[1], sum(sizes.sum() for _, sizes in strata)
    centre = np.sum([sums.sum(axis=0) for sums, _ in strata], axis=0) / n_cases
    columns = [_columns(stratum, centre, method) for stratum in strata]
    if rng is None:
        counts, times = exact_counts(n_clusters)
        totals: list[Array] = [counts @ columns[0]]
    else:
        totals, times = [draw_sums(each, n_resamples, rng) for each in columns], None
    whole = [each.sum(axis=0, keepdims=True) for each in columns]
    effects, replicates = _mean(whole, m, average)[0], _mean(totals, m, average)
    found = [
        Bootstrap(float(effects[i]), replicates[:, i], n_clusters, method=method, times=times)
        for i in range(m)
    ]
    if method == "bca":
        jackknife, stratum = _jackknife(strata, whole, average)
        found = [
            replace(each, jackknife=jackknife[:, i], strata=stratum) for i, each in enumerate(found)
        ]
    if method == "studentised":
        sizes = [len(each) for each in columns]
        error = _error(whole, sizes, average, centre)[0]
        errors = _error(totals, sizes, average, centre)
        found = [
            replace(each, error=float(error[i]), errors=errors[:, i])
            for i, each in enumerate(found)
        ]
    return tuple(found)


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
        method: ``percentile``, ``basic``, ``bca`` or ``studentised`` (by the cluster-robust
            standard error of each replicate).

    Returns:
        One bootstrap per contrast.  Clusters of unequal size are drawn whole, so that the
        replicate is a ratio of sums.

    Raises:
        DesignError: fewer than two clusters, non-finite values, or shapes that do not fit.

    Source:
        Davison and Hinkley, Bootstrap Methods (1997), sections 2.4, 3.8 and 5.2; Hall, Ann Stat
        16:927 (1988), for the studentised interval.

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
    strata = [(sums @ weights.T, sizes) for sums, sizes in _strata(scores, cluster, fold)]
    return _means(strata, average, method, rng=rng, n_resamples=n_resamples)


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
        method: ``percentile``, ``basic``, ``bca`` or ``studentised``.

    Example:
        All differences equal leave nothing to vary:

        >>> found = cluster_bootstrap([2.0, 2.0, 2.0], rng=np.random.default_rng(0))
        >>> found.effect, found.interval().low, found.interval().high
        (2.0, 2.0, 2.0)
    """
    strata = _strata(finite("values", values)[:, None], cluster, fold)
    return _means(strata, average, method, rng=rng, n_resamples=n_resamples)[0]


def exact_clusters(
    values: ArrayLike, *, cluster: ArrayLike | None = None, method: Method = "percentile"
) -> Bootstrap:
    """Bootstrap the mean over a few clusters by listing all draws.

    Args:
        values (n,): scores or differences.
        cluster (n,): the independent unit of each case, 2 to 10 of them, of any sizes.
        method: see :func:`cluster_bootstrap`.

    Returns:
        Every different draw once, with how often it occurs among all ``k**k``; nothing is random.
        Intervals are exact bootstrap intervals, which does not make them wide enough: with so few
        clusters only ``studentised`` comes near its level.

    Raises:
        DesignError: fewer than 2 or more than 10 clusters, or a non-finite value.

    Source:
        Fisher and Hall, Stat Probab Lett 12:157 (1991).

    Example:
        Clusters of one and three cases; each is drawn twice once, and both together twice:

        >>> found = exact_clusters([0.0, 1.0, 1.0, 1.0], cluster=[1, 2, 2, 2])
        >>> found.replicates.tolist(), found.times.tolist()
        ([0.0, 0.75, 1.0], [1, 2, 1])
    """
    strata = _strata(finite("values", values)[:, None], cluster, None)
    return _means(strata, "cases", method)[0]


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
            "Use `exact_clusters`, or `cluster_bootstrap`, which draws."
        )
    draws = np.array(list(itertools.product(d, repeat=len(d))))
    return Bootstrap(float(d.mean()), draws.mean(axis=1), len(d))


def two_level(
    values: ArrayLike,
    *,
    fold: ArrayLike,
    cluster: ArrayLike,
    n_resamples: int = 10_000,
    rng: np.random.Generator,
    method: Method = "percentile",
) -> Bootstrap:
    """Bootstrap the mean over folds by drawing folds, then patients inside each drawn fold.

    Args:
        values (n,): differences.
        fold (n,): training run in which each case was scored.
        cluster (n,): patient of each case.
        n_resamples: replicates.
        rng: source of the draws.
        method: ``bca`` and ``studentised`` take the folds for the units.

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
    return _nested("fold", values, fold, cluster, n_resamples, rng, method)


def seed_then_cluster(
    values: ArrayLike,
    *,
    seed: ArrayLike,
    cluster: ArrayLike,
    n_resamples: int = 10_000,
    rng: np.random.Generator,
    method: Method = "percentile",
) -> Bootstrap:
    """Bootstrap the mean over seeds by drawing seeds, then clusters inside each drawn seed.

    Right where every seed has test cases of its own.  Where all seeds score the same cases, what
    a patient adds to every seed would be averaged out as if it were noise: use :func:`crossed`.

    Args:
        values (n,): differences.
        seed (n,): training seed of each.
        cluster (n,): independent unit of each case, drawn anew in each seed.
        n_resamples: replicates.
        rng: source of the draws.
        method: ``bca`` and ``studentised`` take the seeds for the units.

    Returns:
        The unweighted mean of the seeds' means; seeds are the units.

    Range: where the spread between seeds dominates, simulated 95 % intervals hold the truth with
    3, 5 and 10 seeds in 0.76, 0.84 and 0.89 (``percentile``) and 0.96, 0.95 and 0.94
    (``studentised``, five times wider with 3 seeds than with 5); where a seed's spread is half
    noise of its cases in 0.89 to 0.96 by either.

    Raises:
        DesignError: fewer than two seeds or clusters, or non-finite values.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> seed_then_cluster([1, 1, 3, 3], seed=[0, 0, 1, 1], cluster=[1, 2, 3, 4], rng=rng).effect
        2.0
    """
    return _nested("seed", values, seed, cluster, n_resamples, rng, method)


def _nested(
    name: str,
    values: ArrayLike,
    outer: ArrayLike,
    cluster: ArrayLike,
    n_resamples: int,
    rng: np.random.Generator,
    method: Method,
) -> Bootstrap:
    strata = _strata(finite("values", values)[:, None], cluster, outer)
    _check(n_resamples, strata, method)
    k = len(strata)
    if k < 2:
        raise DesignError(f"`{name}` must hold at least 2 {name}s, got {k}.")
    drawn = rng.integers(0, k, size=(n_resamples, k))
    means = np.empty(drawn.shape)
    for number, stratum in enumerate(strata):
        here = drawn == number
        totals = draw_sums(np.concatenate(stratum, axis=1), int(here.sum()), rng)
        means[here] = totals[:, 0] / totals[:, 1]
    each = np.array([sums.sum() / sizes.sum() for sums, sizes in strata])
    return Bootstrap(
        float(each.mean()),
        means.mean(axis=1),
        k,
        (each.sum() - each) / (k - 1),
        method,
        error=float(each.std(ddof=1) / np.sqrt(k)),
        errors=means.std(axis=1, ddof=1) / np.sqrt(k),
    )


def crossed(
    matrix: ArrayLike,
    *,
    n_resamples: int = 10_000,
    rng: np.random.Generator,
    method: Method = "percentile",
) -> Bootstrap:
    """Bootstrap a mean over patients and seeds by drawing both (the pigeonhole bootstrap).

    Args:
        matrix (n_clusters, n_seeds): mean difference of each cluster with each seed.
        n_resamples: replicates.
        rng: source of the draws.
        method: ``studentised`` takes the standard error of the two-way table, see
            :func:`common.statistics.paired.crossed_t`.

    Returns:
        Slightly conservative in the residual and, with few seeds, too narrow for their spread.

    Range: where the spread between seeds dominates, simulated 95 % intervals hold the truth with
    3, 5 and 10 seeds in 0.76, 0.82 and 0.90 (``percentile``) and 0.96, 0.95 and 0.95
    (``studentised``); with 50 patients and a third of their spread between seeds in 0.90, 0.90
    and 0.95, and 0.93, 0.93 and 0.95.

    Raises:
        DesignError: fewer than two clusters or seeds, or a non-finite entry.

    Source:
        Owen, Ann Appl Stat 1:386 (2007).

    Example:
        >>> crossed([[1, 1], [3, 3]], rng=np.random.default_rng(0)).effect
        2.0
    """
    d = finite("matrix", matrix, at_least=2, ndim=2)
    _check(n_resamples, [(d, np.ones((len(d), 1)))], method)
    n_c, n_s = d.shape
    effect = d.mean()
    pieces = []
    for clusters in draw_counts(n_c, n_resamples, rng):
        seeds = np.concatenate([*draw_counts(n_s, len(clusters), rng)])
        pieces.append(_two_way(d - effect, clusters, seeds))
    means, errors = (np.concatenate(each) for each in zip(*pieces, strict=True))
    _, error = _two_way(d - effect, np.ones((1, n_c)), np.ones((1, n_s)))
    by_cluster, by_seed = d.mean(axis=1), d.mean(axis=0)
    left_out = [(each.sum() - each) / (len(each) - 1) for each in (by_cluster, by_seed)]
    return Bootstrap(
        float(effect),
        effect + means,
        min(n_c, n_s),
        np.concatenate(left_out),
        method,
        strata=np.repeat([0, 1], [n_c, n_s]),
        error=float(error[0]),
        errors=errors,
    )


def _two_way(d: Array, clusters: Array, seeds: Array) -> tuple[Array, Array]:
    """Return mean and standard error (R,) of a table whose rows and columns were drawn.

    Args:
        d (n_c, n_s): the table.
        clusters (R, n_c), seeds (R, n_s): how often each was drawn.
    """
    n_c, n_s = d.shape
    by_cluster, by_seed = seeds @ d.T / n_s, clusters @ d / n_c
    mean = (by_seed * seeds).sum(axis=1) / n_s
    square = n_c * n_s * mean**2
    ss_c = n_s * (clusters * by_cluster**2).sum(axis=1) - square
    ss_s = n_c * (seeds * by_seed**2).sum(axis=1) - square
    ss_cs = (clusters @ d**2 * seeds).sum(axis=1) - square - ss_c - ss_s
    ms_c, ms_s = ss_c / (n_c - 1), ss_s / (n_s - 1)
    total = ms_c + ms_s - ss_cs / ((n_c - 1) * (n_s - 1))
    # Never less than the larger factor alone, as in the crossed t.
    variance = np.maximum.reduce([total, ms_c, ms_s, np.zeros_like(mean)]) / (n_c * n_s)
    return mean, np.sqrt(variance)
