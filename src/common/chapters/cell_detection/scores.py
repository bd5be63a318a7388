"""Average precision of a detector on patches, and the share that each slide has in it.

AP is no mean over cases, but claims are tested on values of slides.  The jackknife gives every
slide such a value: AP moves by it when the slide is left out, the values average to AP exactly, and
their spread gives its standard error.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from common.metrics.average_precision import IOUS, pool_boxes, weighted_average_precision
from common.metrics.detection_records import Pooled

Values = NDArray[np.float64]

METRICS = ("ap50", "ap75", "ap50_95")
_AT = {"ap50": (0,), "ap75": (5,), "ap50_95": tuple(range(10))}


@dataclass(frozen=True)
class Detections:
    """What a detector found in patches of several slides.

    Attributes:
        pools (10,): candidates of all patches, matched at each of COCO's IoU thresholds.
        unit (S,): number of the slide of each patch, from 0.
        slides (U,): names of the slides.
    """

    pools: tuple[Pooled, ...]
    unit: NDArray[np.intp]
    slides: tuple[str, ...]

    def weighted(self, metric: str, weights: ArrayLike) -> Values:
        """Compute AP with slides counted as often as their weights (R, U) say, (R,)."""
        pools = [self.pools[i] for i in _AT[metric]]
        each = [weighted_average_precision(found, weights, unit=self.unit) for found in pools]
        return np.asarray(np.mean(each, axis=0), dtype=np.float64)

    def score(self, metric: str) -> float:
        """Compute AP over all slides."""
        return float(self.weighted(metric, np.ones((1, len(self.slides))))[0])


def match(
    boxes: Values,
    scores: Values,
    reference: Sequence[ArrayLike],
    slide: Sequence[str],
    *,
    slides: Sequence[str] | None = None,
) -> Detections:
    """Match detections to reference boxes by COCO's rule.

    Args:
        boxes: detections of each patch (S, K, 4).
        scores: theirs (S, K); 0 marks an absent one.
        reference (S,): boxes (n, 4) of each patch.
        slide (S,): the slide of each patch.
        slides: names of all slides, also of those without a patch here; those of ``slide``,
            sorted, if left out.

    Raises:
        ValueError: a patch of a slide that ``slides`` does not name.
    """
    names = sorted(set(slide)) if slides is None else list(slides)
    unknown = sorted(set(slide) - set(names))
    if unknown:
        raise ValueError(f"`slides` must name every patch's slide, got no {unknown[0]!r}. Add it.")
    place = {name: number for number, name in enumerate(names)}
    found = [one[kept > 0] for one, kept in zip(boxes, scores, strict=True)]
    kept = [one[one > 0] for one in scores]
    pools = pool_boxes(found, kept, list(reference), thresholds=IOUS)
    unit = np.array([place[name] for name in slide], dtype=np.intp)
    return Detections(pools, unit, tuple(names))


def slide_values(detections: Detections, metric: str) -> Values:
    """Split AP into one value a slide by leaving each out: the jackknife's pseudo-values.

    ``v_i = AP + (U - 1) (mean_j AP_-j - AP_-i)``, with AP_-i computed without slide i.

    Args:
        detections: of U slides, at least two of which hold a reference box.
        metric: one of :data:`METRICS`.

    Returns:
        (U,), whose mean is AP; ``sd(v) / sqrt(U)`` is the jackknife's standard error.

    Raises:
        ValueError: AP is not defined without some slide.

    Source:
        Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 11.
    """
    n = len(detections.slides)
    without = detections.weighted(metric, 1.0 - np.eye(n))
    if not np.isfinite(without).all():
        raise ValueError(
            f"AP must be defined without each slide, got none without {n} slides in turn. Use "
            "slides of which at least two hold a reference box."
        )
    whole = detections.score(metric)
    values: Values = whole + (n - 1) * (without.mean() - without)
    return values


def slide_table(detections: Detections, metrics: Sequence[str] = METRICS) -> pd.DataFrame:
    """Return the values of all slides: ``slide, metric, value``."""
    parts = [
        pd.DataFrame(
            {
                "slide": detections.slides,
                "metric": metric,
                "value": slide_values(detections, metric),
            }
        )
        for metric in metrics
    ]
    return pd.concat(parts, ignore_index=True)


def bootstrap(
    detections: Sequence[Detections],
    metric: str,
    contrast: Sequence[float],
    *,
    n_boot: int,
    rng: np.random.Generator,
) -> Values:
    """Resample slides, the same for all detectors, and combine their APs.

    Args:
        detections: of several detectors on the same slides.
        metric: one of :data:`METRICS`.
        contrast: weight of each detector.
        n_boot: resamples.
        rng: source of randomness.

    Returns:
        (n_boot,).
    """
    n = len(detections[0].slides)
    weights = rng.multinomial(n, np.full(n, 1 / n), size=n_boot)
    total = np.zeros(n_boot)
    for weight, each in zip(contrast, detections, strict=True):
        total += weight * each.weighted(metric, weights)
    return total


def errors(
    detections: Sequence[Detections],
    metric: str,
    contrast: Sequence[float],
    *,
    n_boot: int,
    rng: np.random.Generator,
) -> dict[str, float]:
    """Estimate the standard error of a combination of APs over slides, in two ways.

    Args:
        detections: of several detectors on the same slides.
        metric: one of :data:`METRICS`.
        contrast: weight of each detector.
        n_boot: resamples.
        rng: source of randomness.

    Returns:
        ``jackknife`` and ``bootstrap``.
    """
    pairs = list(zip(contrast, detections, strict=True))
    values = np.sum([weight * slide_values(each, metric) for weight, each in pairs], axis=0)
    drawn = bootstrap(detections, metric, contrast, n_boot=n_boot, rng=rng)
    return {
        "jackknife": float(values.std(ddof=1) / np.sqrt(len(values))),
        "bootstrap": float(np.nanstd(drawn, ddof=1)),
    }
