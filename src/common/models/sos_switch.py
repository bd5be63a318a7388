"""What a switch does to frozen predictions: accuracy, cost, risk, calibration and whose gain it is.

Source: Maksoud et al., CVPR 2020, Table 3 (accuracy, inference time, speed boost, share of
low-resolution predictions).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from common.models.sos import SOSNetwork

Numbers = NDArray[np.float64]
THRESHOLDS = (*np.round(np.arange(0.25, 1.0, 0.05), 2).tolist(), 0.98, 1.0)


def switched(
    low: NDArray[np.floating], high: NDArray[np.floating], c: float
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Answer every slide as the executive unit would.

    Args:
        low (n, classes): probabilities N_s.
        high (n, classes): probabilities N_h.
        c: threshold.

    Returns:
        The answers (n,), and whether each was given at low resolution (n,).

    Example:
        >>> low, high = np.array([[0.9, 0.1], [0.6, 0.4]]), np.array([[0.2, 0.8], [0.2, 0.8]])
        >>> [each.tolist() for each in switched(low, high, 0.8)]
        [[0, 1], [True, False]]
    """
    sure = low.max(axis=1) > c
    return np.where(sure, low.argmax(axis=1), high.argmax(axis=1)), sure


def sweep(
    low: NDArray[np.floating],
    high: NDArray[np.floating],
    label: NDArray[np.integer],
    *,
    low_cost: float,
    thresholds: Sequence[float] = THRESHOLDS,
) -> pd.DataFrame:
    """Move the threshold over frozen predictions.

    Args:
        low (n, classes): probabilities N_s.
        high (n, classes): probabilities N_h.
        label (n,): true classes.
        low_cost: cost of a slide at low resolution alone, that of both streams being 1.
        thresholds: values of c.

    Returns:
        One row a threshold: ``c, accuracy, low_share, cost_share, boost``; ``boost`` is the
        speed relative to both streams on every slide.

    Raises:
        ValueError: there is no slide.
    """
    if not len(label):
        raise ValueError("`label` must hold at least 1 slide, got none. Predict some.")
    rows = []
    for c in thresholds:
        answer, sure = switched(low, high, c)
        cost = switch_cost(float(sure.mean()), low=low_cost, both=1.0)
        rows.append((c, float((answer == label).mean()), float(sure.mean()), cost, 1 / cost))
    return pd.DataFrame(rows, columns=["c", "accuracy", "low_share", "cost_share", "boost"])


def best_threshold(
    low: NDArray[np.floating],
    high: NDArray[np.floating],
    label: NDArray[np.integer],
    *,
    thresholds: Sequence[float] = THRESHOLDS,
) -> float:
    """Choose the threshold with the most right answers; among equals the cheapest."""
    table = sweep(low, high, label, low_cost=0.1, thresholds=thresholds)
    best = table[table["accuracy"] == table["accuracy"].max()]
    return float(best["c"].min())


def switch_cost(low_share: float, *, low: float, both: float) -> float:
    """Compute the mean cost of a slide: t_low + (1 - LP) (t_both - t_low).

    Args:
        low_share: LP, share of slides decided at low resolution, 0 to 1.
        low: cost of a slide at low resolution alone.
        both: cost of a slide with both streams.

    Raises:
        ValueError: ``low_share`` lies outside 0 to 1.

    Source: implied by Table 3.

    Example:
        >>> round(switch_cost(0.94, low=8.37, both=122.10), 2)
        15.19
    """
    if not 0 <= low_share <= 1:
        raise ValueError(f"`low_share` must lie in 0 to 1, got {low_share!r}. It is a share.")
    return low + (1 - low_share) * (both - low)


def coverage_risk(confidence: ArrayLike, right: ArrayLike) -> tuple[Numbers, Numbers]:
    """Trace the error among the most confident answers as more of them are accepted.

    Equal confidences count as accepted in random order, so that the order of slides is no matter.

    Args:
        confidence (n,): of each answer.
        right (n,): whether the answer is right.

    Returns:
        Coverage k/n and the risk, the mean error of the k most confident answers, both (n,).

    Raises:
        ValueError: no answer, or lengths differ.

    Source: Geifman and El-Yaniv, "Selective classification for deep neural networks", NIPS 2017.

    Example:
        >>> [each.round(2).tolist() for each in coverage_risk([0.9, 0.8, 0.7], [1, 1, 0])]
        [[0.33, 0.67, 1.0], [0.0, 0.0, 0.33]]
    """
    sure, error = np.asarray(confidence, float), 1 - np.asarray(right, float)
    if not len(sure) or sure.shape != error.shape:
        raise ValueError(
            f"`confidence` and `right` must have one equal length above 0, got {sure.shape} and "
            f"{error.shape}. Score the same slides."
        )
    _, group, size = np.unique(-sure, return_inverse=True, return_counts=True)
    expected = np.bincount(group, weights=error) / size
    accepted = np.arange(1, len(sure) + 1)
    return accepted / len(sure), np.cumsum(np.repeat(expected, size)) / accepted


def aurc(confidence: ArrayLike, right: ArrayLike) -> float:
    """Compute the area under the coverage-risk curve; see :func:`coverage_risk`."""
    return float(coverage_risk(confidence, right)[1].mean())


def calibration_error(confidence: ArrayLike, right: ArrayLike, *, n_bins: int = 10) -> float:
    """Compute the expected calibration error: the mean gap between confidence and accuracy.

    Args:
        confidence (n,): in 0 to 1.
        right (n,): whether the answer is right.
        n_bins: bins of equal width.

    Returns:
        The gap of each bin weighted by its slides; NaN without a slide.

    Source: Guo et al., "On calibration of modern neural networks", ICML 2017.

    Example:
        >>> calibration_error([0.75, 0.75, 0.75, 0.75], [1, 1, 1, 0])
        0.0
    """
    sure, good = np.asarray(confidence, float), np.asarray(right, float)
    if not len(sure):
        return float("nan")
    place = np.clip((sure * n_bins).astype(int), 0, n_bins - 1)
    gaps = np.bincount(place, weights=good - sure, minlength=n_bins)
    return float(np.abs(gaps).sum() / len(sure))


def decompose(image: ArrayLike, low: ArrayLike, final: ArrayLike) -> dict[str, float]:
    """Split the gain over Image-Level into a better low-resolution network and switching.

    Args:
        image (n,): right answers of the network trained on low resolution alone.
        low (n,): right answers of the jointly trained network at low resolution alone.
        final (n,): right answers of that network with its switch.

    Returns:
        ``network`` (low minus image), ``switch`` (final minus low) and ``total``, in fractions.

    Example:
        >>> decompose([0, 0, 1, 1], [0, 1, 1, 1], [1, 1, 1, 1])
        {'network': 0.25, 'switch': 0.25, 'total': 0.5}
    """
    first, second, last = (float(np.asarray(each).mean()) for each in (image, low, final))
    return {"network": second - first, "switch": last - second, "total": last - first}


@dataclass(frozen=True)
class Cost:
    """Cost of one slide in one unit: operations, or seconds.

    Args:
        low: at low resolution alone.
        both: with both streams.
        high: with the tiles alone, as a patch-level network works.
    """

    low: float
    both: float
    high: float

    def share(self, arm: str) -> float:
        """Return the cost of ``low``, ``high`` or ``both`` relative to both streams."""
        return float(getattr(self, arm)) / self.both


def count_operations(
    network: SOSNetwork, patch: SOSNetwork, *, low_px: int, tile_px: int, n_tiles: int
) -> Cost:
    """Count the floating-point operations of convolutions and matrix products for one slide.

    Args:
        network: has both streams.
        patch: a network of tiles alone.
        low_px: side of the overview.
        tile_px: side of a tile.
        n_tiles: tiles of a slide.

    Returns:
        Operations (a multiplication and an addition are two).
    """
    low = torch.zeros(1, 1, low_px, low_px)
    tiles = torch.zeros(1, n_tiles, 1, tile_px, tile_px)

    def count(module: SOSNetwork, *inputs: torch.Tensor | None) -> float:
        module.eval()
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            module(*inputs)
        return float(counter.get_total_flops())

    return Cost(count(network, low, None), count(network, low, tiles), count(patch, None, tiles))


def measure_seconds(
    network: SOSNetwork,
    patch: SOSNetwork,
    slides: Sequence[NDArray[np.float32]],
    *,
    shrink: int,
    tile_px: int,
) -> pd.DataFrame:
    """Time one slide after the other on the CPU, cutting its tiles included.

    Args:
        network: has both streams.
        patch: a network of tiles alone.
        slides: images (1, S, S).
        shrink: factor of the overview.
        tile_px: side of a tile.

    Returns:
        Seconds, one row a slide, columns ``low``, ``both`` and ``high``.
    """
    from common.datasets.lks_phantom import shrink as shrunk, tiles as cut

    def overview(image: NDArray[np.float32]) -> torch.Tensor:
        return torch.from_numpy(shrunk(image, shrink))[None]

    def pieces(image: NDArray[np.float32]) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(cut(image, tile_px)))[None]

    works: Mapping[str, tuple[nn.Module, bool, bool]] = {
        "low": (network, True, False),
        "both": (network, True, True),
        "high": (patch, False, True),
    }
    rows = []
    with torch.inference_mode():
        for image in slides:
            row = {}
            for name, (module, see_low, see_tiles) in works.items():
                module.eval()
                start = perf_counter()
                module(overview(image) if see_low else None, pieces(image) if see_tiles else None)
                row[name] = perf_counter() - start
            rows.append(row)
    return pd.DataFrame(rows)
