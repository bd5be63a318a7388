"""Overlap of binary masks, per case, with a named policy for empty masks."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Empty = Literal["nan", "one", "zero"]
_EMPTY_VALUE = {"nan": np.nan, "one": 1.0, "zero": 0.0}
Masks = NDArray[np.bool_]
Values = NDArray[np.float64]


def dice(predicted: Masks, reference: Masks, *, empty: Empty = "nan") -> Values:
    """Compute the foreground Dice coefficient 2 |A and B| / (|A| + |B|) of each case.

    Args:
        predicted: masks (n, H, W).
        reference: masks (n, H, W).
        empty: value of a case whose masks are both empty: ``nan`` (no value), ``one`` (agreement)
            or ``zero``.  If only one is empty the definition gives 0.

    Returns:
        (n,), in [0, 1], higher is better; of length 0 for no case.

    Raises:
        ValueError: shapes or types do not fit, or ``empty`` is unknown.

    Example:
        >>> dice(np.array([[[True, True, False]]]), np.array([[[False, True, False]]])).round(3)
        array([0.667])
    """
    both, total = _counts(predicted, reference)
    return _ratio(2 * both, total, empty)


def iou(predicted: Masks, reference: Masks, *, empty: Empty = "nan") -> Values:
    """Compute the intersection over union |A and B| / |A or B| of each case.

    Args:
        predicted: masks (n, H, W).
        reference: masks (n, H, W).
        empty: as for :func:`dice`.

    Returns:
        (n,), in [0, 1], higher is better; equals Dice / (2 - Dice).

    Raises:
        ValueError: shapes or types do not fit, or ``empty`` is unknown.

    Example:
        >>> iou(np.array([[[True, True, False]]]), np.array([[[False, True, False]]]))
        array([0.5])
    """
    both, total = _counts(predicted, reference)
    return _ratio(both, total - both, empty)


def pixel_accuracy(predicted: Masks, reference: Masks) -> Values:
    """Compute the share of pixels, foreground or background, that are right in each case.

    Args:
        predicted: masks (n, H, W).
        reference: masks (n, H, W).

    Returns:
        (n,), in [0, 1]; empty masks are no special case.

    Raises:
        ValueError: shapes or types do not fit.

    Example:
        >>> pixel_accuracy(np.array([[[True, True, False]]]), np.array([[[False, True, False]]]))
        array([0.66666667])
    """
    _check(predicted, reference)
    return (predicted == reference).mean(axis=(1, 2))


def micro_dice_onehot(predicted: Masks, reference: Masks) -> Values:
    """Compute Dice pooled over the one-hot channels background and foreground, as the report did.

    Each pixel is set in exactly one channel of each mask, so the two sums of the denominator are
    both N and the numerator counts the right pixels: 2 (TP + TN) / (2 N) is pixel accuracy.

    Args:
        predicted: masks (n, H, W).
        reference: masks (n, H, W).

    Returns:
        (n,), equal to :func:`pixel_accuracy`.

    Raises:
        ValueError: shapes or types do not fit.

    Example:
        >>> micro_dice_onehot(np.array([[[True, False]]]), np.array([[[False, False]]]))
        array([0.5])
    """
    _check(predicted, reference)
    p, g = (np.stack([~mask, mask], axis=1) for mask in (predicted, reference))
    axes = (1, 2, 3)
    return 2 * (p & g).sum(axes) / (p.sum(axes) + g.sum(axes))


def _check(predicted: Masks, reference: Masks) -> None:
    for name, mask in (("predicted", predicted), ("reference", reference)):
        if mask.ndim != 3 or mask.dtype != np.bool_:
            got = f"{mask.dtype} of shape {mask.shape}"
            raise ValueError(f"`{name}` must be bool (n, H, W), got {got}. Threshold it first.")
    if predicted.shape != reference.shape:
        rule = f"`predicted` must be of the reference's shape {reference.shape}"
        raise ValueError(f"{rule}, got {predicted.shape}. Resample one of them.")


def _counts(predicted: Masks, reference: Masks) -> tuple[Values, Values]:
    """Count |A and B| and |A| + |B| per case."""
    _check(predicted, reference)
    both = (predicted & reference).sum(axis=(1, 2)).astype(np.float64)
    return both, predicted.sum(axis=(1, 2)) + reference.sum(axis=(1, 2)).astype(np.float64)


def _ratio(numerator: Values, denominator: Values, empty: Empty) -> Values:
    if empty not in _EMPTY_VALUE:
        raise ValueError(f"`empty` must be nan, one or zero, got {empty!r}. Choose a policy.")
    value = np.full(len(denominator), _EMPTY_VALUE[empty])
    return np.divide(numerator, denominator, out=value, where=denominator > 0)
