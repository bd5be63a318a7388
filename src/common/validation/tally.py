"""What a test did in many simulated studies: rejections, covered truths, widths."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from common.statistics.results import Array, Inference

LEVEL = 0.05
COUNTS = (
    "n",
    "rejected",
    "above",
    "below",
    "covered",
    "intervals",
    "open",
    "split",
    "width",
    "effect",
    "effect2",
    "se2",
    "failed",
    "differing",
)


@dataclass(frozen=True)
class Tally:
    """Sums over simulated studies, which add up in any order.

    Args:
        sums (14,): the :data:`COUNTS`.  ``rejected`` counts p < 0.05 of no effect; ``above`` and
            ``below`` one-sided tests that find the truth exceeded or undercut; ``covered`` truths
            in the 95 % interval; ``intervals`` those that were computed, ``open`` those without an
            end, ``split`` those that contradict the p-value of the truth; ``differing`` sums the
            patients in which the methods differ.
    """

    sums: Array

    @classmethod
    def of(cls, **counts: float) -> Self:
        """Return a tally of some counts, the others 0."""
        return cls(np.array([float(counts.get(name, 0.0)) for name in COUNTS]))

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(self.sums + other.sums)

    def __getitem__(self, name: str) -> float:
        return float(self.sums[COUNTS.index(name)])


def of_inference(inference: Inference, truth: float, *, interval: bool = True) -> Tally:
    """Count one study of a test with an interval.

    Args:
        inference: what the test estimates.
        truth: the true effect.
        interval: whether to compute the interval and the effect; else the p-value of the truth
            tells whether it is covered.
    """
    p = inference.p()
    kept = (p if truth == 0 else inference.p(truth)) >= LEVEL
    counts = {
        "n": 1.0,
        "rejected": p < LEVEL,
        "above": inference.p_greater(truth) < LEVEL,
        "below": inference.p_less(truth) < LEVEL,
        "covered": kept,
    }
    if not interval:
        return Tally.of(**counts)
    found, effect = inference.interval(1 - LEVEL), inference.effect
    covered = found.low <= truth <= found.high
    closed = np.isfinite(found.high - found.low)
    return Tally.of(
        **counts
        | {
            "covered": covered,
            "intervals": 1.0,
            "open": not closed,
            "split": covered != kept,
            "width": found.high - found.low if closed else 0.0,
            "effect": effect,
            "effect2": effect**2,
            "se2": inference.se**2,
        }
    )


def of_p(p: float) -> Tally:
    """Count one study of a test that gives a p-value only."""
    return Tally.of(n=1.0, rejected=p < LEVEL)


def failure() -> Tally:
    """Count one study that the test refused."""
    return Tally.of(failed=1.0)


def monte_carlo_se(rate: float, n: float) -> float:
    """Return the standard error of a rate that was counted over n studies.

    Example:
        >>> round(monte_carlo_se(0.05, 2000), 4)
        0.0049
    """
    return float(np.sqrt(rate * (1 - rate) / n))
