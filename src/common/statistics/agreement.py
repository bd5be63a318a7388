"""How well raters or methods agree: intraclass correlations of raters and Cohen's kappa.

Limits of agreement live in :mod:`common.statistics.limits`; their names can be imported from here
too.  The correlation of cases inside clusters is in :mod:`common.statistics.dependence`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from common.statistics.limits import LimitsOfAgreement, bland_altman, bland_altman_clustered
from common.statistics.results import (
    Array,
    DesignError,
    Interval,
    Student,
    TestResult,
    cluster_codes,
    cluster_sums,
    finite,
    summarise,
)

__all__ = [
    "RATER_FORMS",
    "LimitsOfAgreement",
    "RaterCorrelation",
    "bland_altman",
    "bland_altman_clustered",
    "cohens_kappa",
    "cohens_kappa_inference",
    "rater_icc",
    "rater_icc_inference",
]

RaterForm = Literal["1,1", "2,1", "3,1", "1,k", "2,k", "3,k"]
Weights = Literal["linear", "quadratic"]
RATER_FORMS: tuple[RaterForm, ...] = ("1,1", "2,1", "3,1", "1,k", "2,k", "3,k")


@dataclass(frozen=True)
class RaterCorrelation:
    """An intraclass correlation of raters, judged by an F law.

    For one rating and a null value v, ``F = B (1 - v) / (noise + v load)`` with B the mean square
    of subjects; the estimate is the v at which F is 1.  A mean of k raters has the correlation
    ``k v / (1 + (k - 1) v)`` (Spearman-Brown), and its tests and interval follow from those of one.

    Args:
        subjects: mean square of subjects, B.
        noise: mean square of what raters of one subject differ by.
        load: ``(k - 1) noise``, for form 2 with the spread between raters added.
        df_noise: degrees of freedom of the denominator.
        n: subjects.
        k: raters.
        averaged: whether the mean of k ratings is judged.
    """

    subjects: float
    noise: float
    load: float
    df_noise: float
    n: int
    k: int
    averaged: bool = False

    def _from_f(self, ratio: float) -> float:
        """Return the correlation at which F equals a ratio."""
        one = (self.subjects - ratio * self.noise) / (self.subjects + ratio * self.load)
        if not self.averaged:
            return float(one)
        step = 1 + (self.k - 1) * one
        return float(self.k * one / step) if step > 0 else float("-inf")

    def _f(self, null: float) -> float:
        one = null / (self.k - (self.k - 1) * null) if self.averaged and null < 1 else null
        below = self.noise + one * self.load
        above = self.subjects * (1 - one)
        if above <= 0:
            return 0.0
        return float(above / below) if below > 0 else np.inf

    @property
    def effect(self) -> float:
        """The estimate."""
        return self._from_f(1.0)

    @property
    def se(self) -> float:
        """Large-sample standard error without spread between raters, for power."""
        n, k = self.n, self.k
        one = RaterCorrelation(self.subjects, self.noise, self.load, self.df_noise, n, k).effect
        step = 1 + (k - 1) * one
        se = (1 - one) * step * np.sqrt(2 / (k * (k - 1) * (n - 1)))
        return float(se * k / step**2 if self.averaged else se)

    @property
    def df(self) -> float:
        """Subjects less one."""
        return self.n - 1

    @property
    def statistic(self) -> float:
        """The F of a null value of 0."""
        return self._f(0.0)

    def p_greater(self, null: float = 0.0) -> float:
        """One-sided p of correlation <= null."""
        return float(stats.f.sf(self._f(null), self.df, self.df_noise))

    def p_less(self, null: float = 0.0) -> float:
        """One-sided p of correlation >= null."""
        return float(stats.f.cdf(self._f(null), self.df, self.df_noise))

    def p(self, null: float = 0.0) -> float:
        """Two-sided p of correlation = null: twice the smaller one-sided one."""
        return min(1.0, 2 * min(self.p_greater(null), self.p_less(null)))

    def interval(self, level: float = 0.95) -> Interval:
        """Null values that are not rejected."""
        high, low = stats.f.ppf([(1 - level) / 2, (1 + level) / 2], self.df, self.df_noise)
        return Interval(self._from_f(float(low)), self._from_f(float(high)), level)


def rater_icc_inference(ratings: ArrayLike, *, form: RaterForm = "2,1") -> RaterCorrelation:
    """Estimate an intraclass correlation of raters; see :func:`rater_icc`."""
    if form not in RATER_FORMS:
        raise DesignError(f"`form` must be one of {', '.join(RATER_FORMS)}, got {form!r}.")
    y = finite("ratings", ratings, at_least=2, ndim=2)
    n, k = y.shape
    rows, columns, mean = y.mean(axis=1), y.mean(axis=0), float(y.mean())
    if np.ptp(y) == 0:
        raise DesignError("`ratings` must vary, got one value only. No correlation is defined.")
    subjects, raters = k * float(rows.var(ddof=1)), n * float(columns.var(ddof=1))
    averaged = form.endswith("k")
    if form.startswith("1"):
        within = float(((y - rows[:, None]) ** 2).sum()) / (n * (k - 1))
        return RaterCorrelation(subjects, within, (k - 1) * within, n * (k - 1), n, k, averaged)
    left = y - rows[:, None] - columns + mean
    error = float((left**2).sum()) / ((n - 1) * (k - 1))
    if form.startswith("3"):
        df = (n - 1) * (k - 1)
        return RaterCorrelation(subjects, error, (k - 1) * error, df, n, k, averaged)
    load = (k - 1) * error + k * (raters - error) / n
    one = (subjects - error) / (subjects + load)
    # Satterthwaite's degrees of freedom of a mix of the mean squares of raters and error.
    of_raters, of_error = k * one * raters, (n * (1 + (k - 1) * one) - k * one) * error
    spread = of_raters**2 / (k - 1) + of_error**2 / ((n - 1) * (k - 1))
    df_mix = (of_raters + of_error) ** 2 / spread if spread > 0 else float(k - 1)
    return RaterCorrelation(subjects, error, load, df_mix, n, k, averaged)


def rater_icc(ratings: ArrayLike, *, form: RaterForm = "2,1", level: float = 0.95) -> TestResult:
    """Estimate how well raters agree on subjects: the intraclass correlations of Shrout and Fleiss.

    The hypothesis is a correlation of 0.  The unit is the subject, independent and with normal
    ratings; for subjects in clusters average them in clusters first.

    Args:
        ratings (n_subjects, n_raters): every rater rates every subject once.
        form: ``1,.`` each subject has raters of its own; ``2,.`` raters are a sample, and their
            biases count as disagreement; ``3,.`` these raters only, biases do not count (Cronbach's
            alpha for ``3,k``).  ``.,1`` is the reliability of one rating, ``.,k`` of the mean.
        level: confidence.

    Returns:
        The correlation, at most 1, below 0 where raters agree less than strangers (for the mean of
        raters minus infinity where that of one rating is -1 / (k - 1) or less).  The F interval
        is exact for forms 1 and 3 and Satterthwaite's for form 2, with its degrees of freedom taken
        at the estimate (the exact F test of form 2 = 0 is that of form 3).  p is two-sided.

    Raises:
        DesignError: fewer than two subjects or raters, a non-finite rating, or no spread at all.

    Source:
        Shrout and Fleiss, Psychol Bull 86:420 (1979).

    Example:
        Two raters one apart on every subject agree in order, not in value:

        >>> rater_icc([[1, 2], [3, 4], [5, 6]], form="3,1").effect
        1.0
        >>> round(rater_icc([[1, 2], [3, 4], [5, 6]], form="2,1").effect, 4)    # 8 / (8 + 1)
        0.8889
    """
    inference = rater_icc_inference(ratings, form=form)
    return summarise(
        inference,
        name=f"ICC({form})",
        hypothesis="correlation = 0",
        n_cases=inference.n * inference.k,
        n_clusters=inference.n,
        level=level,
        note=f"{inference.k} raters; F with {inference.df} and {inference.df_noise:.4g} "
        "degrees of freedom",
    )


def _agreement_weights(n_categories: int, weights: Weights | None) -> Array:
    if weights is None:
        return np.eye(n_categories)
    steps = np.arange(n_categories)
    distance = np.abs(steps[:, None] - steps) / max(n_categories - 1, 1)
    return np.asarray(1 - distance ** (1 if weights == "linear" else 2), dtype=np.float64)


def _category_codes(
    first: ArrayLike, second: ArrayLike, categories: Sequence[object] | None
) -> tuple[NDArray[np.intp], NDArray[np.intp], int]:
    a, b = np.asarray(first), np.asarray(second)
    if a.ndim != 1 or a.shape != b.shape or len(a) == 0:
        raise DesignError(
            f"`second` must have the cases of `first`, got {a.shape!r} and {b.shape!r}. Pair them."
        )
    names = np.unique(np.concatenate([a, b])) if categories is None else np.asarray(categories)
    position = {name: number for number, name in enumerate(names.tolist())}
    unknown = sorted({str(name) for name in [*a.tolist(), *b.tolist()] if name not in position})
    if unknown:
        raise DesignError(f"`categories` must hold every rating, got none for {unknown!r}.")
    codes_a, codes_b = (np.array([position[x] for x in each.tolist()]) for each in (a, b))
    return codes_a, codes_b, len(names)


def cohens_kappa_inference(
    first: ArrayLike,
    second: ArrayLike,
    *,
    weights: Weights | None = None,
    categories: Sequence[object] | None = None,
    cluster: ArrayLike | None = None,
) -> Student:
    """Estimate the agreement of two raters beyond chance; see :func:`cohens_kappa`."""
    a, b, n_categories = _category_codes(first, second, categories)
    n = len(a)
    agree = _agreement_weights(n_categories, weights)
    share_a, share_b = (np.bincount(each, minlength=n_categories) / n for each in (a, b))
    observed = float(agree[a, b].mean())
    chance = float(share_a @ agree @ share_b)
    if 1 - chance < 1e-12:
        raise DesignError(
            "`first` and `second` must use two categories, got one. Kappa is undefined; report the "
            "share of agreement."
        )
    # What one case adds to kappa, to first order; summed in clusters it gives the variance.  With
    # every case its own cluster this is the variance of Fleiss, Cohen and Everitt.
    own_chance = (agree @ share_b)[a] + (share_a @ agree)[b]
    influence = (agree[a, b] - observed) / (1 - chance) - (1 - observed) * (
        own_chance - 2 * chance
    ) / (1 - chance) ** 2
    codes, n_clusters = cluster_codes(cluster, n)
    if n_clusters < 2:
        raise DesignError(f"`cluster` must hold at least 2 clusters, got {n_clusters}.")
    se = float(np.linalg.norm(cluster_sums(influence, codes, n_clusters)) / n)
    df = float("inf") if cluster is None else n_clusters - 1
    return Student((observed - chance) / (1 - chance), se, df)


def cohens_kappa(
    first: ArrayLike,
    second: ArrayLike,
    *,
    weights: Weights | None = None,
    categories: Sequence[object] | None = None,
    cluster: ArrayLike | None = None,
    level: float = 0.95,
) -> TestResult:
    """Estimate by how much two raters agree beyond chance: Cohen's kappa.

    The hypothesis is kappa = 0.  The unit is the case, all independent, or the cluster, whose cases
    may depend on each other in any way.  The normal law needs about 100 cases (in simulations 95 %
    intervals covered 90 % with 30, 92 % with 50, 94 % with 100); with clusters a t law with one
    degree less than clusters is used, which needs about 20 of them (91 % with 10, 94 % with 20).

    Args:
        first (n,): category of each case by the first rater.
        second (n,): the same by the second.
        weights: None counts full agreement only; ``linear`` and ``quadratic`` give partial credit
            by the distance of the categories' positions in their order.
        categories: all categories in their order; by default the sorted ones that occur, so that
            one that nobody used has no place in the distances.
        cluster (n,): the independent unit of each case.
        level: confidence.

    Returns:
        Kappa, at most 1, with a Wald interval and the matching p (its standard error is that at the
        estimate, not under kappa = 0).  Full agreement has no standard error: the interval is a
        point.

    Raises:
        DesignError: no case, unequal lengths, a rating outside the categories, fewer than two
            clusters, or only one category in use (kappa is undefined).

    Source:
        Fleiss, Cohen and Everitt, Psychol Bull 72:323 (1969); Yang and Zhou, Stat Med 33:4425
        (2014), for clusters.

    Example:
        Three of four agree, chance is 1/2: (3/4 - 1/2) / (1 - 1/2).

        >>> cohens_kappa([0, 0, 1, 1], [0, 1, 1, 1]).effect
        0.5
    """
    inference = cohens_kappa_inference(
        first, second, weights=weights, categories=categories, cluster=cluster
    )
    n = np.size(first)
    return summarise(
        inference,
        name="Cohen's kappa" if weights is None else f"Cohen's kappa, {weights} weights",
        hypothesis="kappa = 0",
        n_cases=n,
        n_clusters=n if cluster is None else int(inference.df) + 1,
        level=level,
        note="delta method" if cluster is None else "delta method over clusters",
    )
