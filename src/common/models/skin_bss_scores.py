"""How well sources and mixing matrices were recovered, and how far two boxes of a box plot lie
apart.
"""

from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from common.errors import UsageError

Array = NDArray[np.float64]

_ORDERS = np.array(list(permutations(range(3))))


def matched_correlation(estimated: Array, true: Array) -> Array:
    """Correlate each true source with the estimated source that is paired with it.

    The pairing is the one with the largest sum of absolute correlations, so that neither the order
    nor the sign of the estimates counts.

    Args:
        estimated (..., 3, N): sources as found.
        true (..., 3, N): sources as they are.

    Returns:
        (..., 3): absolute Pearson correlation of each true source; 0 where a source is constant.
    """
    table = _absolute_correlations(true, estimated)
    totals = table[..., np.arange(3), _ORDERS].sum(axis=-1)
    order = _ORDERS[np.argmax(totals, axis=-1)]
    return np.asarray(np.take_along_axis(table, order[..., None], axis=-1)[..., 0])


def _absolute_correlations(true: Array, estimated: Array) -> Array:
    first, second = (x - x.mean(axis=-1, keepdims=True) for x in (true, estimated))
    size = np.sqrt((first**2).sum(-1)[..., :, None] * (second**2).sum(-1)[..., None, :])
    product = np.abs(first @ second.swapaxes(-1, -2))
    return np.divide(product, size, out=np.zeros_like(product), where=size > 0)


def interference_ratio(estimated: Array, true: Array) -> Array:
    """Compute how far each true source stands out in the estimate that is paired with it.

    The estimate is projected on the three true sources; the part along its own source is the
    target, the rest of the projection interference.

    Args:
        estimated (3, N): sources as found.
        true (3, N): sources as they are.

    Returns:
        (3,): 10 log10 of the powers' ratio (dB), with the pairing that gives the largest sum;
        infinite without interference, minus infinite for an estimate of zeros.

    Source:
        Vincent, Gribonval and Févotte, IEEE TASLP 14:1462 (2006), the SIR with no delays.
    """
    weights = np.linalg.lstsq(true.T, estimated.T, rcond=None)[0]  # (true, estimated)
    target = (true**2).sum(axis=1)[:, None] * weights**2
    gram, ratio = true @ true.T, np.empty((3, 3))
    for j in range(3):
        others = weights * (np.arange(3) != j)[:, None]
        leak = np.maximum(np.einsum("jk,jl,lk->k", others, gram, others), 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            found = 10 * np.log10(target[j] / leak)
        ratio[j] = np.where(target[j] > 0, found, -np.inf)
    totals = np.clip(ratio, -300, 300)[np.arange(3), _ORDERS].sum(axis=-1)
    return ratio[np.arange(3), _ORDERS[int(np.argmax(totals))]]


def amari_index(estimated: Array, true: ArrayLike) -> Array:
    """Measure how far an estimated mixing matrix is from the true one.

    Args:
        estimated (..., 3, 3): matrix as found.
        true (..., 3, 3): matrix as it is, invertible.

    Returns:
        (...): 0 if the columns agree up to order and scale, at most 1; 1 where the estimate has no
        inverse.

    Source:
        Amari, Cichocki and Yang, NIPS 8 (1996), divided by its largest value.

    Example:
        >>> M = np.array([[1.0, 1.0, 1.0], [2.0, 1.3, 0.6], [0.1, 0.6, 0.3]])
        >>> round(float(amari_index(M[:, [1, 2, 0]] * [2.0, 3.0, 4.0], M)), 12)
        0.0
    """
    estimated = np.asarray(estimated)
    singular = np.linalg.cond(estimated) > 1e12
    usable = np.where(singular[..., None, None], np.eye(3), estimated)
    gain = np.abs(np.linalg.solve(usable, np.asarray(true, dtype=np.float64)))
    rows = gain.sum(axis=-1) / gain.max(axis=-1) - 1
    columns = gain.sum(axis=-2) / gain.max(axis=-2) - 1
    index = (rows.sum(axis=-1) + columns.sum(axis=-1)) / (2 * 3 * 2)
    return np.where(singular, 1.0, index)


@dataclass(frozen=True)
class Boxes:
    """The boxes (quartiles) of two classes.

    Args:
        positive: first and third quartile of the positive class.
        negative: the same of the negative class.
    """

    positive: tuple[float, float]
    negative: tuple[float, float]

    @property
    def gap(self) -> float:
        """Distance between the boxes; negative by how far they overlap."""
        return max(self.positive[0] - self.negative[1], self.negative[0] - self.positive[1])

    @property
    def apart(self) -> bool:
        """Whether the boxes do not overlap, the paper's sign of a clear distinction."""
        return self.gap > 0

    @property
    def relative_gap(self) -> float:
        """The gap over the mean height of the boxes; 0 if both have none."""
        height = (np.ptp(self.positive) + np.ptp(self.negative)) / 2
        return float(self.gap / height) if height > 0 else 0.0


def boxes(scores: ArrayLike, labels: ArrayLike) -> Boxes:
    """Compute the boxes of two classes.

    Args:
        scores (n,): one number a case.
        labels (n,): 1 for positive cases, 0 for negative ones.

    Raises:
        UsageError: a class has no case.

    Example:
        >>> boxes([1, 2, 3, 4, 5, 6], [0, 0, 0, 1, 1, 1]).gap
        2.0
    """
    values, positive = np.asarray(scores, dtype=np.float64), np.asarray(labels).astype(bool)
    if positive.all() or not positive.any():
        raise UsageError("`labels` must name both classes, got one. A box plot needs two boxes.")
    ends = [np.quantile(values[side], [0.25, 0.75]) for side in (positive, ~positive)]
    first, second = ((float(low), float(high)) for low, high in ends)
    return Boxes(first, second)


def leave_one_out_accuracy(scores: ArrayLike, labels: ArrayLike) -> float:
    """Classify each case by the threshold that is best for all others.

    Args:
        scores (n,): higher for positive cases.
        labels (n,): 1 for positive cases, 0 for negative ones.

    Returns:
        Balanced accuracy. The threshold lies halfway between neighbouring scores and maximises the
        balanced accuracy of the others; of several the lowest is taken.

    Raises:
        UsageError: a class has fewer than two cases.

    Example:
        >>> leave_one_out_accuracy([1, 2, 3, 7, 8, 9], [0, 0, 0, 1, 1, 1])
        1.0
    """
    values, positive = np.asarray(scores, dtype=np.float64), np.asarray(labels).astype(bool)
    if min(positive.sum(), (~positive).sum()) < 2:
        raise UsageError("`labels` must name at least two cases of each class. Add cases.")
    right = np.zeros(len(values), dtype=bool)
    for i in range(len(values)):
        rest = np.arange(len(values)) != i
        right[i] = (values[i] > _best_threshold(values[rest], positive[rest])) == positive[i]
    return float((right[positive].mean() + right[~positive].mean()) / 2)


def _best_threshold(values: Array, positive: NDArray[np.bool_]) -> float:
    ordered = np.unique(values)
    cuts = (ordered[:-1] + ordered[1:]) / 2
    if not len(cuts):
        return float(ordered[0])
    above = values[:, None] > cuts
    balanced = above[positive].mean(axis=0) + (~above[~positive]).mean(axis=0)
    return float(cuts[int(np.argmax(balanced))])


def chance_of_boxes_apart(
    effect: float, *, n_positive: int, n_negative: int, n: int, rng: np.random.Generator
) -> float:
    """Simulate how often the boxes of two normal samples do not overlap.

    Args:
        effect: distance of the means in standard deviations.
        n_positive: cases of one class.
        n_negative: cases of the other.
        n: simulated studies.
        rng: source of the draws.

    Returns:
        Share of studies, in either direction.
    """
    first = np.quantile(rng.normal(effect, 1, (n, n_positive)), [0.25, 0.75], axis=1)
    second = np.quantile(rng.normal(0, 1, (n, n_negative)), [0.25, 0.75], axis=1)
    return float(((first[0] > second[1]) | (second[0] > first[1])).mean())


def normal_auc(effect: float) -> float:
    """Return the area under the ROC curve of two normal classes that far apart (in SD)."""
    return float(stats.norm.cdf(effect / np.sqrt(2)))


# two normal quartiles meet: the upper one of a class is the lower one of the other
TOUCHING = float(2 * stats.norm.ppf(0.75))
