"""Identities between printed rates: confusion matrices behind them, and bounds on one another."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import linprog

from common.statistics.audit import Check, Printed, check_between
from common.statistics.counts import count_range, expected_counts, whole_numbers
from common.statistics.matrices import (
    RATES as RATES,
    check_matrix as check_matrix,
    check_pooled as check_pooled,
    class_margins as class_margins,
    confusion_matrices as confusion_matrices,
    implied_rate as implied_rate,
    rate_of as rate_of,
)
from common.statistics.results import DesignError

_SLACK = 1e-9
_MOST = 20_000_000  # matrices or sizes that may be tried
_AT_ONCE = 1_000_000  # rows of a search held at once


def f1_bounds(
    precision: Printed, recall: Printed, *, averaged: bool = False
) -> tuple[float, float]:
    """Bound the F1 (Dice) by precision and recall.

    Args:
        precision: printed.
        recall: printed.
        averaged: all three are means over the same images or classes.  The harmonic mean is
            concave, so that the mean F1 is at most that of the means; on the unit square it is at
            least ``precision + recall - 1`` (all mass in the corners).

    Returns:
        Smallest and largest possible F1.

    Example:
        >>> [round(end, 4) for end in f1_bounds(Printed(0.5, 6), Printed(1.0, 6))]
        [0.6667, 0.6667]
        >>> means = Printed(0.872, 3), Printed(0.878, 3)
        >>> [round(end, 3) for end in f1_bounds(*means, averaged=True)]
        [0.749, 0.875]
    """

    def harmonic(p: float, r: float) -> float:
        return 2 * p * r / (p + r) if p + r > 0 else 0.0

    low, high = ((max(p.low, 0.0), min(p.high, 1.0)) for p in (precision, recall))
    if averaged:
        return max(0.0, low[0] + high[0] - 1), harmonic(low[1], high[1])
    return harmonic(low[0], high[0]), harmonic(low[1], high[1])


def iou_bounds(
    dice: Printed, *, sd: Printed | None = None, n: int | None = None, ddof: int = 1
) -> tuple[float, float]:
    """Bound the mean IoU of images by their mean Dice.

    For one image J = D / (2 - D), which is convex, so that the mean J is at least that of the mean
    D (Jensen) and, from the chord over [0, 1], at most the mean D.  Its third derivative is
    positive, too: with a known spread the extremes are two-point laws with one point at 0 (the
    smallest mean J) or at 1 (the largest) (Chebyshev, Markov, Krein).

    Args:
        dice: printed mean of the images' Dice.
        sd: printed standard deviation over images.
        n: images; sharpens the bound without ``sd`` (at most one image lies inside (0, 1)) and is
            needed for the n - 1 formula.
        ddof: formula of ``sd``.

    Returns:
        Smallest and largest possible mean IoU, the digits of both inputs counted.

    Raises:
        DesignError: no scores in [0, 1] have this mean and spread.

    Example:
        >>> [round(end, 4) for end in iou_bounds(Printed(0.5, 6))]
        [0.3333, 0.5]
        >>> [round(end, 4) for end in iou_bounds(Printed(0.5, 6), sd=Printed(0.5, 6), ddof=0)]
        [0.5, 0.5]
    """
    low, high = max(dice.low, 0.0), min(dice.high, 1.0)
    if sd is None:
        largest = high
        if n is not None:
            whole = int(high * n + _SLACK)
            part = high * n - whole
            largest = (whole + part / (2 - part)) / n
        return low / (2 - low), largest
    least, most = (_population(end, n, ddof) for end in (max(sd.low, 0.0), sd.high))
    if least > high * (1 - high) + _SLACK and least > low * (1 - low) + _SLACK:
        raise DesignError(f"`sd` must be possible for scores in [0, 1], got {sd.value:g}.")
    first = low**2 / (2 * low - low**2 - min(least, low * (1 - low))) if low > 0 else 0.0
    rest = 1 - high
    wide = min(most, high * rest)
    last = 1 - 2 * rest**2 / (rest + rest**2 + wide) if rest > 0 else 1.0
    return first, last


def _population(sd: float, n: int | None, ddof: int) -> float:
    """Turn a standard deviation into the population variance."""
    if ddof == 0:
        return sd**2
    if n is None or n < 2:
        raise DesignError(f"`n` must be >= 2 with `ddof` 1, got {n!r}. Give n, or ddof=0.")
    return sd**2 * (n - 1) / n


def implied_dice_sd(dice: Printed, iou: Printed) -> tuple[float, float]:
    """Bound the spread of the images' Dice by the mean Dice and the mean IoU.

    Inverts :func:`iou_bounds`: the mean IoU lies above D / (2 - D) by what the spread adds.

    Args:
        dice: printed mean Dice.
        iou: printed mean IoU of the same images.

    Returns:
        Smallest and largest possible population standard deviation; NaN and NaN where the two
        means contradict each other.  A spread far below what images of this kind show tells of
        pooled pixels or batches.

    Example:
        >>> [round(end, 3) for end in implied_dice_sd(Printed(0.5, 6), Printed(0.5, 6))]
        [0.5, 0.5]
    """
    low, high = max(dice.low, 0.0), min(dice.high, 1.0)
    if iou.high < low / (2 - low) or iou.low > high:
        return np.nan, np.nan
    # Widest: the smallest mean IoU of a two-point law with a point at 0 must not be above.
    means = np.linspace(low, high, 201)
    widest = means * (2 - means / max(iou.high, 1e-12)) - means**2
    widest = np.minimum(widest, means * (1 - means))
    # Narrowest: the largest mean IoU of a law with a point at 1 must not be below.
    rest = 1 - means
    narrowest = 2 * rest**2 / max(1 - iou.low, 1e-12) - rest - rest**2
    bound = np.sqrt(np.clip([narrowest.min(), widest.max()], 0.0, 0.25))
    return float(bound[0]), float(bound[1])


def auc_splits(
    aucs: Sequence[Printed],
    *,
    n: int | Iterable[int],
    positives: int | Iterable[int] | None = None,
    ties: bool = False,
) -> pd.DataFrame:
    """Find the numbers of positive and negative cases that can give printed areas under the curve.

    An AUC is a count of ordered pairs over ``positives * negatives``; a tie counts half a pair.

    Args:
        aucs: printed, all of one test set.
        n: cases, or the numbers of cases to try.
        positives: positive cases, or the numbers to try; None tries all.  A split and its mirror
            image cannot be told apart.
        ties: whether scores may be tied.

    Returns:
        ``n, positives, negatives, chance``; chance is the probability that as many random areas
        would fit.

    Example:
        >>> auc_splits([Printed(0.667, 3), Printed(0.833, 3)], n=5)["positives"].tolist()
        [2, 3]
    """
    rows = []
    for size in whole_numbers("n", n).tolist():
        every = range(1, size) if positives is None else positives
        own = np.atleast_1d(np.asarray(every if isinstance(every, int) else [*every]))
        own = own[(own >= 1) & (own < size)].astype(np.int64)
        pairs = own * (size - own) * (1 + ties)
        fits, chance = np.ones(len(own), dtype=bool), np.ones(len(own))
        for auc in aucs:
            low, high = count_range(auc, pairs)
            fits &= low <= high
            chance *= np.minimum(expected_counts(auc, pairs), 1.0)
        rows += [
            (size, each, size - each, share)
            for each, share in zip(own[fits].tolist(), chance[fits].tolist(), strict=True)
        ]
    return pd.DataFrame(rows, columns=["n", "positives", "negatives", "chance"])


def smallest_change(name: str, tp: int, fp: int, fn: int, tn: int) -> float:
    """Return the smallest change of a rate that one case can make.

    Args:
        name: one of ``RATES``.
        tp: true positives of the present matrix; the other cells likewise.
        fp: false positives.
        fn: false negatives.
        tn: true negatives.

    Returns:
        The smallest nonzero change over the four ways in which one case can change sides; NaN
        where none changes the rate.  A printed difference below it cannot come from one test set.

    Example:
        >>> round(smallest_change("sensitivity", 11, 0, 2, 100), 4)       # one image of 13
        0.0769
    """
    now = np.array([tp, fp, fn, tn])
    turns = np.array([[-1, 0, 1, 0], [1, 0, -1, 0], [0, -1, 0, 1], [0, 1, 0, -1]])
    moved = (now + turns)[((now + turns) >= 0).all(axis=1)]
    changes = np.abs(rate_of(name, *moved.T) - rate_of(name, *now))
    changes = changes[changes > 1e-12]
    return float(changes.min()) if len(changes) else np.nan


def implied_weights(
    rows: Sequence[Sequence[Printed]], means: Sequence[Printed]
) -> NDArray[np.float64]:
    """Bound the weights with which printed rows give printed means.

    Args:
        rows (c, m): printed values of each class or group in m columns.
        means (m,): the printed means of the columns, all with the same weights.

    Returns:
        Smallest and largest possible weight of each row (c, 2), weights >= 0 with sum 1; NaN
        where no weights give all means.  Exact over all digits, by linear programming (to about
        1e-7 in the printed unit).

    Example:
        >>> rows = [[Printed(0.2, 9)], [Printed(0.6, 9)]]
        >>> implied_weights(rows, [Printed(0.3, 9)]).round(3).tolist()
        [[0.75, 0.75], [0.25, 0.25]]
    """
    low, high = (
        np.array([[getattr(cell, end) for cell in row] for row in rows]) for end in ("low", "high")
    )
    unit = np.array([mean.unit for mean in means])
    limits = np.array([[-mean.low, mean.high] for mean in means])
    # A cell may be anywhere in its range: the means reach from that of the low ends to the high.
    above = np.concatenate([-high.T / unit[:, None], low.T / unit[:, None]])
    bounds = np.concatenate([limits[:, 0] / unit, limits[:, 1] / unit])
    found = np.full((len(rows), 2), np.nan)
    for index in range(len(rows)):
        for side, sign in ((0, 1.0), (1, -1.0)):
            goal = np.zeros(len(rows))
            goal[index] = sign
            solved = linprog(goal, above, bounds, np.ones((1, len(rows))), [1.0])
            if solved.status != 0:
                return np.full((len(rows), 2), np.nan)
            found[index, side] = sign * solved.fun
    return found


def implied_sizes(
    rows: Sequence[Sequence[Printed]],
    means: Sequence[Printed],
    candidates: Sequence[Sequence[int]],
) -> pd.DataFrame:
    """Find the class sizes with which printed rows give printed means over all cases.

    Args:
        rows (c, m): printed values of each class in m columns.
        means (m,): the printed means of the columns over all cases.
        candidates (c): sizes to try for each class, such as those of
            :func:`common.statistics.counts.denominators`.

    Returns:
        One row for each combination that fits every column, one column a class, and ``total``.

    Example:
        >>> rows = [[Printed(0.5, 3)], [Printed(0.25, 3)]]
        >>> implied_sizes(rows, [Printed(0.3, 3)], [[2, 4], [8, 16]]).values.tolist()
        [[2, 8, 10], [4, 16, 20]]
    """
    if np.prod([float(len(own)) for own in candidates]) > _MOST:
        raise DesignError(f"`candidates` must give fewer than {_MOST} combinations. Try fewer.")
    grid = np.stack(np.meshgrid(*candidates, indexing="ij"), axis=-1).reshape(-1, len(rows))
    for column, mean in enumerate(means):
        low, high = (
            np.array([getattr(row[column], end) for row in rows]) for end in ("low", "high")
        )
        total = grid.sum(axis=1)
        slack = _SLACK * mean.unit
        fits = (grid @ low / total <= mean.high + slack) & (grid @ high / total >= mean.low - slack)
        grid = grid[fits]
    table = pd.DataFrame(grid, columns=list(range(len(rows))))
    return table.assign(total=grid.sum(axis=1))


def rmse_bounds(
    mae: Printed, *, n: int | None = None, largest: float | None = None
) -> tuple[float, float]:
    """Bound a root mean squared error by the mean absolute error of the same values.

    Args:
        mae: printed mean absolute error.
        n: values behind both: one of them may carry the whole error.
        largest: largest possible absolute error, such as the range of the values.

    Returns:
        ``mae`` (Jensen) to the smaller of ``mae * sqrt(n)`` and ``sqrt(mae * largest)``.

    Example:
        >>> [round(end, 3) for end in rmse_bounds(Printed(2.0, 6), n=4)]
        [2.0, 4.0]
    """
    tops = [np.inf]
    if n is not None:
        tops.append(mae.high * np.sqrt(n))
    if largest is not None:
        tops.append(np.sqrt(mae.high * largest))
    return max(mae.low, 0.0), float(min(tops))


def implied_peak(psnr: Printed, mae: Printed) -> float:
    """Return the smallest peak value with which a PSNR does not contradict a mean absolute error.

    ``PSNR = 20 log10(peak / RMSE)`` and RMSE >= MAE, hence peak >= MAE 10^(PSNR / 20).

    Args:
        psnr: printed PSNR of one image or pooled volume, in dB.
        mae: printed mean absolute error of the same.

    Example:
        >>> round(implied_peak(Printed(40.0, 6), Printed(10.0, 6)))
        1000
    """
    return max(mae.low, 0.0) * 10 ** (psnr.low / 20)


def check_psnr(
    id: str,
    statement: str,
    *,
    psnr: Printed,
    mae: Printed,
    peak: float,
    averaged: bool = False,
) -> Check:
    """Check a printed PSNR against the mean absolute error of the same image.

    Args:
        id: name of the check.
        statement: what should hold.
        psnr: printed, in dB.
        mae: printed, in the unit of ``peak``.
        peak: largest possible value that the PSNR can have been taken with.
        averaged: both are means over images, whose RMSE a mean PSNR does not bound from above.

    Returns:
        ``fail`` where RMSE >= MAE cannot hold (``undecidable`` for means); recomputed is the
        smallest peak that would do.

    Example:
        >>> image = dict(psnr=Printed(55.74, 2), mae=Printed(32.08, 2))
        >>> check_psnr("P", "12 bit", peak=4095, **image).note
        'needs a peak of at least 19630'
    """
    needed = implied_peak(psnr, mae)
    note = f"needs a peak of at least {needed:.5g}"
    if needed <= peak:
        return Check(id, statement, "pass", psnr.value, needed, note)
    return Check(id, statement, "undecidable" if averaged else "fail", psnr.value, needed, note)


def ap_bounds(ap50: Printed, ap75: Printed) -> tuple[float, float]:
    """Bound the average precision over IoU 0.50 to 0.95 by those at 0.50 and 0.75.

    The average precision falls with the threshold: of the ten thresholds four lie between the
    two, and four above 0.75.

    Args:
        ap50: printed AP at IoU 0.50.
        ap75: printed AP at IoU 0.75.

    Returns:
        ``(ap50 + 5 ap75) / 10`` to ``(5 ap50 + 5 ap75) / 10``.

    Example:
        >>> [round(end, 2) for end in ap_bounds(Printed(0.8, 6), Printed(0.6, 6))]
        [0.38, 0.7]
    """
    return (ap50.low + 5 * ap75.low) / 10, (5 * ap50.high + 5 * ap75.high) / 10


def check_ap(id: str, statement: str, *, ap: Printed, ap50: Printed, ap75: Printed) -> Check:
    """Check an average precision over IoU 0.50 to 0.95 against those at 0.50 and 0.75.

    Example:
        >>> rates = dict(ap50=Printed(0.8, 3), ap75=Printed(0.6, 3))
        >>> check_ap("AP", "bounds", ap=Printed(0.75, 3), **rates).status
        'fail'
    """
    ordered = ap50.high >= ap75.low
    check = check_between(
        id, statement, value=ap, low=ap_bounds(ap50, ap75)[0], high=ap_bounds(ap50, ap75)[1]
    )
    return check if ordered else replace(check, status="fail", note="AP75 is above AP50")
