"""Confusion matrices rebuilt from rounded rates, and what such rates say of each other."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from common.statistics.audit import Check, Printed
from common.statistics.counts import Ints, count_range, whole_numbers
from common.statistics.results import Array, DesignError

_SLACK = 1e-9
_MOST = 20_000_000  # matrices or sizes that may be tried
_AT_ONCE = 1_000_000  # rows of a search held at once

# Numerator and denominator as sums over (TP, FP, FN, TN).
_RATIOS: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "accuracy": ((1, 0, 0, 1), (1, 1, 1, 1)),
    "sensitivity": ((1, 0, 0, 0), (1, 0, 1, 0)),
    "specificity": ((0, 0, 0, 1), (0, 1, 0, 1)),
    "precision": ((1, 0, 0, 0), (1, 1, 0, 0)),
    "npv": ((0, 0, 0, 1), (0, 0, 1, 1)),
    "fpr": ((0, 1, 0, 0), (0, 1, 0, 1)),
    "fnr": ((0, 0, 1, 0), (1, 0, 1, 0)),
    "f1": ((2, 0, 0, 0), (2, 1, 1, 0)),
    "negative_f1": ((0, 0, 0, 2), (0, 1, 1, 2)),
    "iou": ((1, 0, 0, 0), (1, 1, 1, 0)),
    "background_iou": ((0, 0, 0, 1), (0, 1, 1, 1)),
    "prevalence": ((1, 0, 1, 0), (1, 1, 1, 1)),
    "predicted_share": ((1, 1, 0, 0), (1, 1, 1, 1)),
}
_ALIASES = {"recall": "sensitivity", "dice": "f1", "jaccard": "iou", "ppv": "precision"}
_MEANS = {
    "balanced_accuracy": ("sensitivity", "specificity"),
    "macro_recall": ("sensitivity", "specificity"),
    "macro_precision": ("precision", "npv"),
    "macro_f1": ("f1", "negative_f1"),
    "mean_iou": ("iou", "background_iou"),
}
_WEIGHTED = {"weighted_precision": "macro_precision", "weighted_f1": "macro_f1"}
RATES = (*_RATIOS, *_ALIASES, *_MEANS, *_WEIGHTED, "mcc", "kappa", "youden")


def _checked(names: Iterable[str], known: Iterable[str]) -> None:
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise DesignError(f"`rates` must be of {', '.join(known)}, got {', '.join(unknown)}.")


def rate_of(
    name: str, tp: Array, fp: Array, fn: Array, tn: Array, *, undefined: float = np.nan
) -> Array:
    """Compute a rate from confusion matrices with two classes.

    Args:
        name: one of ``RATES``; macro rates average both classes, weighted ones by their cases.
        tp: true positives, scalar or array; the other cells likewise.
        fp: false positives.
        fn: false negatives.
        tn: true negatives.
        undefined: value where a denominator is 0.

    Example:
        >>> float(rate_of("f1", 8, 1, 6, 65).round(4)), float(rate_of("mcc", 1, 0, 0, 1))
        (0.6957, 1.0)
    """
    _checked([name], RATES)
    cells = np.stack(np.broadcast_arrays(tp, fp, fn, tn)).astype(np.float64)

    def ratio(numerator: Array, denominator: Array) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(denominator == 0, undefined, numerator / denominator)

    def own(which: str) -> Array:
        return rate_of(which, *cells, undefined=undefined)

    tp, fp, fn, tn = cells
    n = cells.sum(axis=0)
    name = _ALIASES.get(name, name)
    if name in _RATIOS:
        above, below = (np.tensordot(np.array(side, float), cells, 1) for side in _RATIOS[name])
        return ratio(above, below)
    if name in _MEANS:
        first, second = _MEANS[name]
        return (own(first) + own(second)) / 2
    if name in _WEIGHTED:
        first, second = _MEANS[_WEIGHTED[name]]
        return ratio((tp + fn) * own(first) + (tn + fp) * own(second), n)
    if name == "youden":
        return own("sensitivity") + own("specificity") - 1
    if name == "mcc":
        margins = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
        return ratio(tp * tn - fp * fn, np.sqrt(margins))
    chance = (tp + fp) * (tp + fn) + (tn + fp) * (tn + fn)
    return ratio(n * (tp + tn) - chance, n**2 - chance)


def confusion_matrices(
    rates: Mapping[str, Printed],
    *,
    n: int | Iterable[int],
    positives: int | Iterable[int] | None = None,
    undefined: float = np.nan,
) -> pd.DataFrame:
    """Find all confusion matrices of two classes that printed rates can have come from.

    Args:
        rates: printed fractions by name, see ``RATES``; all of one set of independent cases.
        n: cases, or the numbers of cases to try.
        positives: positive cases, or the numbers to try; None tries all.
        undefined: what was printed where a denominator is 0 (scikit-learn prints 0).

    Returns:
        ``tp, fp, fn, tn``, one row a matrix; empty where the rates contradict each other or n.

    Raises:
        DesignError: an unknown rate, or so few constraints that the search would not end.

    Example:
        >>> rates = {"accuracy": Printed(0.9125, 4), "sensitivity": Printed(0.5714, 4),
        ...          "precision": Printed(0.8889, 4)}
        >>> confusion_matrices(rates, n=80).values.tolist()
        [[8, 1, 6, 65]]
    """
    _checked(rates, RATES)
    named = [(_ALIASES.get(name, name), rate) for name, rate in rates.items()]
    found = [np.empty((0, 4), dtype=np.int64)]
    for size in whole_numbers("n", n).tolist():
        tried = range(size + 1) if positives is None else positives
        shares = np.unique(np.atleast_1d(tried if isinstance(tried, int) else [*tried]))
        shares = shares[(shares >= 0) & (shares <= size)].astype(np.int64)
        blocks = (shares + 1).cumsum() // _AT_ONCE
        for block in np.unique(blocks):
            found.append(_matrices(named, shares[blocks == block], size, undefined))
    return pd.DataFrame(np.concatenate(found), columns=["tp", "fp", "fn", "tn"])


def _matrices(rates: Sequence[tuple[str, Printed]], shares: Ints, n: int, undefined: float) -> Ints:
    """List the matrices with these numbers of positives: bound TN for every TP, then try."""
    positives = np.repeat(shares, shares + 1)
    negatives = n - positives
    tp = np.arange(len(positives)) - np.repeat((shares + 1).cumsum() - shares - 1, shares + 1)
    least, most = np.zeros(len(tp)), negatives.astype(np.float64)
    for name, rate in rates:
        if name not in _RATIOS:
            continue
        # Both sides are a + b TN once TP, FN = P - TP and FP = N - TN are put in.
        above, below = (
            (np.array(side[0] * tp + side[1] * negatives + side[2] * (positives - tp), float),
             float(side[3] - side[1]))
            for side in _RATIOS[name]
        )  # fmt: skip
        for end, sign in ((rate.low, 1.0), (rate.high, -1.0)):
            slope = sign * (above[1] - end * below[1])
            bound = sign * (end * below[0] - above[0]) - _SLACK * n
            if slope > 0:
                least = np.maximum(least, bound / slope)
            elif slope < 0:
                most = np.minimum(most, bound / slope)
            else:
                most[bound > 0] = -1.0
    first = np.ceil(least - _SLACK).astype(np.int64)
    many = np.maximum(np.floor(most + _SLACK).astype(np.int64) - first + 1, 0)
    if many.sum() > _MOST:
        raise DesignError(
            f"`rates` must leave fewer than {_MOST} matrices, got {many.sum()} for "
            f"{n} cases. Add a rate, or the number of positives."
        )
    tn = np.arange(many.sum()) - np.repeat(many.cumsum() - many, many) + np.repeat(first, many)
    tp, positives, negatives = (np.repeat(each, many) for each in (tp, positives, negatives))
    cells = np.stack([tp, negatives - tn, positives - tp, tn], axis=1)
    for name, rate in rates:
        cells = cells[rate.contains(rate_of(name, *cells.T, undefined=undefined))]
    return cells


def check_matrix(
    id: str,
    statement: str,
    *,
    rates: Mapping[str, Printed],
    n: int,
    positives: int | Iterable[int] | None = None,
) -> Check:
    """Check that printed rates can come from one confusion matrix with two classes.

    See :func:`confusion_matrices` for the arguments.

    Returns:
        ``pass`` with the matrix or the number of matrices that fit, else ``fail``.

    Example:
        >>> rates = {"accuracy": Printed(0.9, 1), "sensitivity": Printed(0.5, 1)}
        >>> check_matrix("C", "n = 10", rates=rates, n=10, positives=2).note
        'only TP 1, FP 0, FN 1, TN 8'
    """
    found = confusion_matrices(rates, n=n, positives=positives)
    shown = ", ".join(f"{name} {rate.value:g}" for name, rate in rates.items())
    if found.empty:
        return Check(id, statement, "fail", shown, None, f"no matrix of {n} cases")
    cells = ", ".join(f"{str(name).upper()} {count}" for name, count in found.iloc[0].items())
    note = f"only {cells}" if len(found) == 1 else f"{len(found)} matrices, first {cells}"
    return Check(id, statement, "pass", shown, cells, note)


def implied_rate(rates: Mapping[str, Printed], of: str = "prevalence") -> tuple[float, float]:
    """Bound one rate by others that come from the same confusion matrix of any size.

    The matrices that print like this form a cone, and a ratio of sums is largest and smallest on
    its edges; these are listed.

    Args:
        rates: printed fractions by name, ratios of sums of cells (no means such as the balanced
            accuracy), pooled over the same cases or pixels.
        of: the rate wanted.

    Returns:
        Smallest and largest possible value; NaN and NaN where no matrix fits.

    Example:
        Accuracy is the mean of sensitivity and specificity, weighted by the prevalence:

        >>> rates = {"accuracy": Printed(0.85, 6), "sensitivity": Printed(0.7, 6),
        ...          "specificity": Printed(0.9, 6)}
        >>> [round(end, 4) for end in implied_rate(rates)]
        [0.25, 0.25]
    """
    _checked([*rates, of], [*_RATIOS, *_ALIASES])
    sides: list[Array] = list(np.eye(4))
    for name, rate in rates.items():
        above, below = (np.array(side, float) for side in _RATIOS[_ALIASES.get(name, name)])
        sides += [above - rate.low * below, rate.high * below - above]
    walls = np.array(sides)
    walls = walls / np.abs(walls).max(axis=1, keepdims=True)
    triples = walls[np.array(list(combinations(range(len(walls)), 3)))]
    # The edge on three walls is their cross product in four dimensions.
    edges = np.stack(
        [(-1) ** i * np.linalg.det(np.delete(triples, i, axis=2)) for i in range(4)], axis=1
    )
    size = edges.sum(axis=1)
    edges = edges[np.abs(size) > 1e-13] / size[np.abs(size) > 1e-13, None]
    edges = edges[(edges @ walls.T >= -1e-10).all(axis=1)]
    above, below = (edges @ np.array(side, float) for side in _RATIOS[_ALIASES.get(of, of)])
    values = above[below > 1e-12] / below[below > 1e-12]
    if not len(values):
        return np.nan, np.nan
    return float(values.min()), float(values.max())


def check_pooled(id: str, statement: str, *, rates: Mapping[str, Printed]) -> Check:
    """Check that printed rates can come from one confusion matrix, whatever its size.

    Covers what pooled rates owe each other: accuracy between sensitivity and specificity, F1 from
    precision and recall, Dice from IoU, one prevalence behind all.  Means over images do not obey.

    Args:
        id: name of the check.
        statement: what should hold.
        rates: see :func:`implied_rate`.

    Returns:
        ``pass`` with the prevalence that the rates imply; ``fail`` with the rates without which
        the others fit.

    Example:
        >>> rates = {"accuracy": Printed(0.9204, 4), "sensitivity": Printed(0.1575, 4),
        ...          "specificity": Printed(0.8452, 4)}
        >>> check_pooled("A", "round 1", rates=rates).status
        'fail'
    """
    low, high = implied_rate(rates)
    shown = ", ".join(f"{name} {rate.value:g}" for name, rate in rates.items())
    if not np.isnan(low):
        note = f"prevalence {low:.4g} to {high:.4g}"
        return Check(id, statement, "pass", shown, None, note)
    others = [
        name
        for name in rates
        if not np.isnan(implied_rate({key: rates[key] for key in rates if key != name})[0])
    ]
    note = "no matrix; fits without " + (" or ".join(others) or "several of them only")
    return Check(id, statement, "fail", shown, None, note)


def class_margins(
    sizes: Sequence[int],
    recalls: Sequence[Printed],
    precisions: Sequence[Printed],
    *,
    accuracy: Printed | None = None,
    specificities: Sequence[Printed] | None = None,
    f1s: Sequence[Printed] | None = None,
) -> pd.DataFrame:
    """Find the right and the predicted cases of each class behind printed rates of all classes.

    A table with these margins exists if as many cases are predicted as there are, and no class
    has more wrong cases in its row and column together than there are wrong cases in all (the
    only bottleneck of a table whose diagonal is fixed).

    Args:
        sizes (c,): cases of each class.
        recalls (c,): printed recall of each class.
        precisions (c,): printed precision of each class.
        accuracy: printed share of right cases, if any.
        specificities (c,): printed, one class against the rest, if any.
        f1s (c,): printed, if any.

    Returns:
        ``class_index, n, correct, predicted``: every pair that occurs in some whole table that
        fits everything; empty where none does.  One row a class means that the diagonal and both
        margins are known; the off-diagonal cells are not sought.

    Example:
        >>> thirds = [Printed(0.667, 3), Printed(0.667, 3)]
        >>> class_margins([3, 3], thirds, thirds).values.tolist()
        [[0, 3, 2, 3], [1, 3, 2, 3]]
    """
    total = int(sum(sizes))
    choices = [
        _margins(
            size,
            total,
            recalls[index],
            precisions[index],
            None if specificities is None else specificities[index],
            None if f1s is None else f1s[index],
        )
        for index, size in enumerate(sizes)
    ]
    if any(not len(own) for own in choices):
        return pd.DataFrame([], columns=["class_index", "n", "correct", "predicted"])
    first, last = (sum(int(end(own[:, 0])) for own in choices) for end in (np.min, np.max))
    if accuracy is not None:
        least, most = (int(end) for end in count_range(accuracy, total))
        first, last = max(first, least), min(last, most)
    rows: set[tuple[int, int, int, int]] = set()
    for right in range(first, last + 1):
        wrong = total - right
        fitting = [
            own[size + own[:, 1] - 2 * own[:, 0] <= wrong]
            for size, own in zip(sizes, choices, strict=True)
        ]
        rows |= _joint(fitting, sizes, total, right)
    return pd.DataFrame(sorted(rows), columns=["class_index", "n", "correct", "predicted"])


def _margins(
    size: int,
    total: int,
    recall: Printed,
    precision: Printed,
    specificity: Printed | None,
    f1: Printed | None,
) -> Ints:
    """List (correct, predicted) of one class."""
    low, high = (int(end) for end in count_range(recall, size))
    correct, predicted = (
        axis.ravel() for axis in np.meshgrid(np.arange(low, high + 1), np.arange(total + 1))
    )
    fits = (predicted >= correct) & (predicted - correct <= total - size)
    fits &= precision.contains(correct / np.where(predicted > 0, predicted, np.nan))
    if specificity is not None:
        fits &= specificity.contains(1 - (predicted - correct) / max(total - size, 1))
    if f1 is not None:
        fits &= f1.contains(2 * correct / (size + predicted))
    return np.stack([correct, predicted], axis=1)[fits]


def _joint(
    choices: Sequence[Ints], sizes: Sequence[int], total: int, right: int
) -> set[tuple[int, int, int, int]]:
    """Keep the choices that others complete to all cases predicted and ``right`` ones right."""
    field = total + 1
    shifts = [[int(p) * field + int(c) for c, p in own] for own in choices]
    mask, wanted = (1 << field * field) - 1, 1 << total * field + right
    rows = set()
    for index, own in enumerate(shifts):
        others = 1
        for steps in (each for other, each in enumerate(shifts) if other != index):
            together = 0
            for step in steps:
                together |= others << step & mask
            others = together
        for step, (correct, predicted) in zip(own, choices[index].tolist(), strict=True):
            if others << step & wanted:
                rows.add((index, int(sizes[index]), correct, predicted))
    return rows
