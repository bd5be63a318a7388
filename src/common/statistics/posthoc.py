"""Which of several methods differ: pairs after a joint test, and methods over repeated blocks.

Pairs of k methods come in the order of ``itertools.combinations(range(k), 2)``; an effect is the
first minus the second.
"""

import itertools
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from common.statistics import multiplicity
from common.statistics.results import Array, DesignError, Interval, Student, finite

Blocks = Literal["random", "fixed"]


@dataclass(frozen=True)
class Pairs:
    """All compared pairs of methods.

    Args:
        name: the test.
        pairs: the methods' columns, first and second.
        effects (m,): difference of mean ranks or of means.
        statistics (m,): effects over their standard errors.
        p (m,): of each pair by itself; of all at once where the test is simultaneous.
        p_adjusted (m,): over all pairs.
        low, high (m,): simultaneous 95 % interval (or the level asked for); NaN where a test
            gives none.
    """

    name: str
    pairs: tuple[tuple[int, int], ...]
    effects: Array
    statistics: Array
    p: Array
    p_adjusted: Array
    low: Array
    high: Array


def friedman_posthoc(
    values: ArrayLike,
    *,
    test: Literal["z", "conover", "nemenyi"] = "z",
    control: int | None = None,
    correction: multiplicity.Method = "holm",
    level: float = 0.95,
) -> Pairs:
    """Compare the mean ranks of all pairs of methods, or of all with a control.

    ``z`` holds the difference of two mean ranks against its spread under the hypothesis that
    all methods are alike, ``k (k + 1) / (6 n)`` without ties (Demsar) and less with them;
    ``nemenyi`` refers the same z to the studentised range; ``conover`` takes the spread that is
    left between blocks, with a t of (n - 1)(k - 1) degrees of freedom: more powerful, and more
    liberal with few blocks.

    Args:
        values (n_blocks, k): score of each method in each block, k >= 3.
        test: ``z``, ``conover`` or ``nemenyi``.
        control: the column that all others are compared with, as second; None for all pairs.
        correction: for ``z`` and ``conover``; ``holm``, ``fdr_bh`` or ``none``.
        level: of the Nemenyi intervals.

    Returns:
        Effects in ranks, 1 = smallest value.  All methods tied everywhere give p = 1; all blocks
        ranked alike give ``conover`` p = 0.  Nemenyi's test needs no correction, and without ties
        a pair has p = alpha at :func:`~common.statistics.ranking.nemenyi_critical_difference`.

    Raises:
        DesignError: fewer than 2 blocks or 3 methods, a non-finite score, an unknown test or
            control, or a control with ``nemenyi``.

    Source:
        Demsar, JMLR 7:1 (2006), section 3.2.2; Garcia and Herrera, JMLR 9:2677 (2008); Conover,
        Practical Nonparametric Statistics (1999), section 5.8.

    Example:
        Four blocks that all rank three methods alike; the outer two differ by 2 mean ranks, and
        the standard error is sqrt(3 * 4 / 24):

        >>> found = friedman_posthoc([[1, 2, 3]] * 4)
        >>> found.pairs[1], found.effects.tolist()[1], found.statistics.round(4).tolist()[1]
        ((0, 2), -2.0, -2.8284)
    """
    scores = finite("values", values, at_least=2, ndim=2)
    n, k = scores.shape
    if k < 3:
        raise DesignError(f"`values` must hold at least 3 methods, got {k}. Use a paired test.")
    if test not in ("z", "conover", "nemenyi") or (test == "nemenyi" and control is not None):
        raise DesignError(
            f"`test` must be z, conover or nemenyi, the last without control, got {test!r} with "
            f"control {control!r}."
        )
    ranks = stats.rankdata(scores, axis=1)
    pairs = _pairs(k, control)
    means = ranks.mean(axis=0)
    effects = np.array([means[a] - means[b] for a, b in pairs])
    squares = ranks.var(axis=1).mean() * 2 * k / (k - 1)
    df = (n - 1) * (k - 1)
    if test == "conover":
        squares = 2 * ((ranks**2).sum() - n * (means**2).sum()) / df
    se = float(np.sqrt(max(squares, 0.0) / n))
    # Without any spread a difference is infinitely many errors wide.
    z = np.array([Student(effect, se if se > 1e-9 else 0.0, df).statistic for effect in effects])
    missing = np.full(len(pairs), math.nan)
    if test == "nemenyi":
        p = stats.studentized_range.sf(np.abs(z) * np.sqrt(2), k, np.inf)
        half = stats.studentized_range.ppf(level, k, np.inf) / np.sqrt(2) * se
        return Pairs("Nemenyi", pairs, effects, z, p, p, effects - half, effects + half)
    p = 2 * (stats.norm.sf(np.abs(z)) if test == "z" else stats.t.sf(np.abs(z), df))
    adjusted = multiplicity.adjust(p, method=correction)
    name = "z of mean ranks" if test == "z" else "Conover's t of ranks"
    return Pairs(name, pairs, effects, z, p, adjusted, missing, missing)


def _pairs(k: int, control: int | None) -> tuple[tuple[int, int], ...]:
    if control is None:
        return tuple(itertools.combinations(range(k), 2))
    if not 0 <= control < k:
        raise DesignError(f"`control` must be 0 to {k - 1}, got {control!r}. Name a column.")
    return tuple((arm, control) for arm in range(k) if arm != control)


def critical_difference_groups(ranks: ArrayLike, cd: float) -> list[tuple[int, ...]]:
    """Group methods whose mean ranks no critical difference separates, for a diagram.

    Args:
        ranks (k,): mean ranks.
        cd: critical difference; methods that far apart or further are separated.

    Returns:
        The largest groups without a separated pair, the one with the smallest ranks first, each
        in the order of ranks.  A method that stands alone is a group of one; one between two
        groups is in both.

    Raises:
        DesignError: a negative difference, or ranks that are not finite.

    Source:
        Demsar, JMLR 7:1 (2006), section 3.2.4.

    Example:
        >>> critical_difference_groups([1.0, 3.5, 2.0, 2.9], cd=1.6)
        [(0, 2), (2, 3, 1)]
    """
    mean = finite("ranks", ranks)
    if not cd >= 0:
        raise DesignError(f"`cd` must be >= 0, got {cd!r}. See `nemenyi_critical_difference`.")
    order = np.argsort(mean, kind="stable")
    sorted_ranks = mean[order]
    groups: list[tuple[int, ...]] = []
    reached = 0
    for start in range(len(order)):
        near = (sorted_ranks - sorted_ranks[start] < cd) | (sorted_ranks == sorted_ranks[start])
        stop = int(np.flatnonzero(near).max()) + 1
        if stop > reached:  # else it lies inside the group before
            groups.append(tuple(int(arm) for arm in order[start:stop]))
            reached = stop
    return groups


@dataclass(frozen=True)
class Simultaneous:
    """A difference of two of k means, judged so that all pairs may be looked at.

    Intervals and p-values refer to Tukey's studentised range.  One-sided p-values are those of
    the two-sided test on their side and 1 on the other, as all pairs in both orders are at stake;
    so an equivalence test agrees with the interval of the same level.

    Example:
        >>> found = Simultaneous(2.0, 1.0, 4, n_arms=2)    # two arms: an ordinary t
        >>> round(found.p(), 4)
        0.1161
    """

    effect: float
    se: float
    df: float
    n_arms: int

    @property
    def statistic(self) -> float:
        """Effect over standard error."""
        return Student(self.effect, self.se, self.df).statistic

    def p(self, null: float = 0.0) -> float:
        """Two-sided p of effect = null, over all pairs."""
        t = abs(Student(self.effect - null, self.se, self.df).statistic)
        return float(stats.studentized_range.sf(t * np.sqrt(2), self.n_arms, self.df))

    def p_greater(self, null: float = 0.0) -> float:
        """One-sided p of effect <= null, over all pairs."""
        return self.p(null) if self.effect > null else 1.0

    def p_less(self, null: float = 0.0) -> float:
        """One-sided p of effect >= null, over all pairs."""
        return self.p(null) if self.effect < null else 1.0

    def interval(self, level: float = 0.95) -> Interval:
        """Two-sided interval, simultaneous over all pairs."""
        q = float(stats.studentized_range.ppf(level, self.n_arms, self.df))
        half = q / math.sqrt(2) * self.se
        return Interval(self.effect - half, self.effect + half, level)


def tukey_inference(
    values: ArrayLike, *, blocks: Blocks = "random"
) -> dict[tuple[int, int], Simultaneous]:
    """Estimate the differences of all pairs of methods over blocks; see :func:`tukey`."""
    means, spread, df, count = _blocks(values, blocks)
    se = math.sqrt(2 * spread / count)
    return {
        (a, b): Simultaneous(float(means[a] - means[b]), se, df, len(means))
        for a, b in itertools.combinations(range(len(means)), 2)
    }


def tukey(values: ArrayLike, *, blocks: Blocks = "random", level: float = 0.95) -> Pairs:
    """Compare the means of all pairs of methods over blocks by Tukey's studentised range.

    Args:
        values (n_blocks, k) or (n_blocks, k, n_repeats): score of each method in each block (fold
            or seed).
        blocks: ``random`` takes blocks for a sample of those that might have been, and the
            differences' spread between blocks for the error: claims about methods.  ``fixed``
            speaks of these very blocks, and takes the spread of repeats.  Without repeats both
            take what is left after blocks and methods.
        level: of the simultaneous intervals.

    Returns:
        ``p`` equals ``p_adjusted``.  All differences are taken to scatter alike; where they do
        not, use paired t tests with Holm's correction.

    Raises:
        DesignError: fewer than 2 blocks or methods, a non-finite score, or an unknown ``blocks``.

    Source:
        Tukey, The problem of multiple comparisons (1953); Scheffe, The Analysis of Variance
        (1959), section 3.6 and chapter 8.

    Example:
        Two methods: the paired t test of differences 1 and 3, t = 2 on 1 degree of freedom:

        >>> found = tukey([[1, 0], [3, 0]])
        >>> found.effects.tolist(), found.p.round(4).tolist()
        ([2.0], [0.2952])
    """
    inferences = tukey_inference(values, blocks=blocks)
    found = list(inferences.values())
    effects, p = np.array([each.effect for each in found]), np.array([each.p() for each in found])
    # All pairs share one standard error; the quantile of the range is slow to find.
    half = found[0].interval(level).high - found[0].effect
    return Pairs(
        f"Tukey, {blocks} blocks",
        tuple(inferences),
        effects,
        np.array([each.statistic for each in found]),
        p,
        p,
        effects - half,
        effects + half,
    )


def block_contrast_inference(
    values: ArrayLike, weights: ArrayLike, *, blocks: Blocks = "random"
) -> Student:
    """Estimate one linear combination of methods' means over blocks.

    Args:
        values (n_blocks, k) or (n_blocks, k, n_repeats): see :func:`tukey`.
        weights (k,): of the methods; they must sum to 0.
        blocks: ``random`` or ``fixed``, see :func:`tukey`.

    Returns:
        A t with the pooled spread of all methods; of one contrast, declared before.

    Raises:
        DesignError: as :func:`tukey`, or weights that do not fit or do not sum to 0.

    Source:
        Scheffe, The Analysis of Variance (1959), section 3.5.

    Example:
        >>> found = block_contrast_inference([[1, 0], [3, 0]], [1, -1])
        >>> found.effect, found.se, found.df
        (2.0, 1.0, 1)
    """
    means, spread, df, count = _blocks(values, blocks)
    w = finite("weights", weights)
    if w.shape != means.shape or abs(w.sum()) > 1e-9 * np.abs(w).sum():
        raise DesignError(
            f"`weights` must be {len(means)} numbers that sum to 0, got {w.tolist()!r}."
        )
    return Student(float(w @ means), math.sqrt(float(w @ w) * spread / count), df)


def _blocks(values: ArrayLike, blocks: str) -> tuple[Array, float, int, int]:
    """Return means (k,), mean square for error, its degrees of freedom and values per mean."""
    if blocks not in ("random", "fixed"):
        raise DesignError(f"`blocks` must be random or fixed, got {blocks!r}. Choose one.")
    scores = np.asarray(values, dtype=np.float64)
    if scores.ndim == 2:
        scores = finite("values", scores, at_least=2, ndim=2)[:, :, None]
        blocks = "random"
    else:
        scores = finite("values", scores, at_least=2, ndim=3)
    n, k, m = scores.shape
    cells = scores.mean(axis=2)
    rest = cells - cells.mean(axis=0) - cells.mean(axis=1, keepdims=True) + cells.mean()
    spread, df = m * float((rest**2).sum()), (k - 1) * (n - 1)
    if blocks == "fixed":
        spread, df = float(((scores - cells[:, :, None]) ** 2).sum()), n * k * (m - 1)
    return cells.mean(axis=0), spread / df, df, n * m


@dataclass(frozen=True)
class Factor:
    """One line of an analysis of variance; ``ms`` is the mean square."""

    ms: float
    df: tuple[int, int]
    f: float
    p: float


@dataclass(frozen=True)
class TwoWayAnova:
    """Two-way analysis of variance with repeats.

    Args:
        arm: methods against their interaction with blocks: what other folds or seeds would show.
        arm_fixed: methods against repeats: what these very folds or seeds show.
        block: blocks against repeats.
        interaction: whether methods differ by other amounts from block to block.
        residual_sd: spread between repeats, in the values' unit.
        interaction_sd: spread of the methods' differences between blocks beyond that of repeats,
            0 if there is none to be seen.
    """

    arm: Factor
    arm_fixed: Factor
    block: Factor
    interaction: Factor
    residual_sd: float
    interaction_sd: float


def two_way_anova(values: ArrayLike) -> TwoWayAnova:
    """Test methods, blocks and their interaction where each was repeated in every block.

    Whether the folds or seeds are a sample of those that might have been (``arm``) or all that is
    spoken of (``arm_fixed``) decides what the methods are held against.  The first is right for
    claims about methods; it assumes that differences of any two methods scatter alike.

    Args:
        values (n_blocks, k, n_repeats): score of each method in each block (fold or seed), as
            often in each, 2 or more.

    Returns:
        F infinite without spread to hold it against, 0 if there is none at all.

    Raises:
        DesignError: fewer than 2 blocks, methods or repeats, or a non-finite score.

    Source:
        Scheffe, The Analysis of Variance (1959), chapters 4 and 8.

    Example:
        Two methods, two blocks, two repeats; no interaction, and repeats 2 apart:

        >>> found = two_way_anova([[[0, 2], [4, 6]], [[1, 3], [5, 7]]])
        >>> found.arm_fixed.f, found.block.f, found.interaction.f, round(found.residual_sd, 6)
        (16.0, 1.0, 0.0, 1.414214)
    """
    scores = finite("values", values, at_least=2, ndim=3)
    n, k, m = scores.shape
    cells, mean = scores.mean(axis=2), scores.mean()
    arms, blocks = cells.mean(axis=0) - mean, cells.mean(axis=1) - mean
    rest = cells - mean - arms - blocks[:, None]
    df_a, df_b, df_ab, df_e = k - 1, n - 1, (k - 1) * (n - 1), n * k * (m - 1)
    ms_a, ms_b = n * m * (arms**2).sum() / df_a, k * m * (blocks**2).sum() / df_b
    ms_ab = m * (rest**2).sum() / df_ab
    ms_e = ((scores - cells[:, :, None]) ** 2).sum() / df_e
    return TwoWayAnova(
        arm=_factor(ms_a, ms_ab, df_a, df_ab),
        arm_fixed=_factor(ms_a, ms_e, df_a, df_e),
        block=_factor(ms_b, ms_e, df_b, df_e),
        interaction=_factor(ms_ab, ms_e, df_ab, df_e),
        residual_sd=float(np.sqrt(ms_e)),
        interaction_sd=float(np.sqrt(max(0.0, (ms_ab - ms_e) / m))),
    )


def _factor(ms: float, against: float, df: int, df_against: int) -> Factor:
    f = ms / against if against > 0 else (math.inf if ms > 0 else 0.0)
    return Factor(float(ms), (df, df_against), float(f), float(stats.f.sf(f, df, df_against)))
