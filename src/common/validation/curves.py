"""Studies of classifiers with scores and of detectors, with a known difference of the areas."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from common.statistics.detections import Detections
from common.statistics.results import Array

SEPARATION = 1.2  # positives above negatives, in standard deviations: an area of 0.80
PREVALENCE = 0.4


@dataclass(frozen=True)
class Classes:
    """A kind of study in which two classifiers score the same cases.

    Args:
        n_clusters: patients; each has one class.
        icc: correlation inside a patient of the difference of the two scores.
        effect: true area of the first less that of the second.
        spread: as in :class:`common.validation.simulate.Scenario`.
    """

    n_clusters: int
    icc: float
    effect: float = 0.0
    spread: float = 0.7

    def columns(self) -> dict[str, Any]:
        """Describe the study in the columns of the archive."""
        return {"outcome": "classes", "icc": self.icc, "spread": self.spread}


@dataclass(frozen=True)
class ClassStudy:
    """One study of two classifiers: scores (n, 2), labels (n,) and patients (n,)."""

    scores: Array
    labels: NDArray[np.intp]
    cluster: NDArray[np.intp]


def draw_classes(kind: Classes, rng: np.random.Generator) -> ClassStudy:
    """Draw one study of two classifiers.

    1. A patient is positive with probability 0.4 (at least two of either class) and has 1 plus a
       negative binomial number of cases, 6 on average.
    2. A score is normal with variance 1: 0.35 the patient's and 0.05 the case's, shared by both
       classifiers, the rest the classifier's own, of which ``icc`` with the patient.
    3. Positives are shifted so that the area is 0.80 for the second classifier and differs by
       ``effect`` for the first: the area is the normal law at shift / sqrt(2).
    """
    n = kind.n_clusters
    positive = rng.random(n) < PREVALENCE
    positive[rng.permutation(n)[:4]] = (True, True, False, False)
    variance = (kind.spread * 6) ** 2
    p = 5 / variance
    sizes = 1 + rng.negative_binomial(5 * p / (1 - p), p, size=n)
    cluster = np.repeat(np.arange(n), sizes)
    shared = np.sqrt(0.35) * rng.normal(size=n)[cluster]
    shared += np.sqrt(0.05) * rng.normal(size=len(cluster))
    own = np.sqrt(kind.icc) * rng.normal(size=(n, 2))[cluster]
    own += np.sqrt(1 - kind.icc) * rng.normal(size=(len(cluster), 2))
    second = stats.norm.cdf(SEPARATION / np.sqrt(2))
    first = np.sqrt(2) * stats.norm.ppf(second + kind.effect)
    labels = positive[cluster].astype(np.intp)
    scores = shared[:, None] + np.sqrt(0.6) * own + labels[:, None] * np.array([first, SEPARATION])
    return ClassStudy(scores, labels, cluster)


@dataclass(frozen=True)
class Detectors:
    """A kind of study in which two equally good detectors search the same scans.

    Args:
        n_clusters: scans.
        icc: share of a score's own variance that a detector has with the scan.
    """

    n_clusters: int
    icc: float

    @property
    def effect(self) -> float:
        """The true difference: none."""
        return 0.0

    def columns(self) -> dict[str, Any]:
        """Describe the study in the columns of the archive."""
        return {"outcome": "detections", "icc": self.icc}


def draw_detectors(kind: Detectors, rng: np.random.Generator) -> tuple[Detections, Detections]:
    """Draw the candidates of two detectors on the same scans.

    1. A scan has a Poisson number of lesions of mean 1.2 (at least one in all).
    2. A lesion has a visibility, normal with variance 0.5, that both detectors see; a detector's
       own part has variance 0.5, of which ``icc`` with the scan.  The score is 1.5 plus both; a
       lesion below 0.5 is missed.
    3. A detector finds a Poisson number of false positives of mean 8 times a gamma number of the
       scan (shape 2); their scores are normal with variance 1, of which half ``icc`` with the scan.
    """
    n = kind.n_clusters
    lesions = rng.poisson(1.2, size=n)
    lesions[0] = max(1, lesions[0])
    scan = np.repeat(np.arange(n), lesions)
    first = np.concatenate([[0], np.cumsum(lesions)[:-1]])
    number = np.arange(len(scan)) - first[scan]
    visible = np.sqrt(0.5) * rng.normal(size=len(scan))
    clutter = 8 * rng.gamma(2.0, 0.5, size=n)
    return (
        _search(kind, lesions, scan, number, visible, clutter, rng),
        _search(kind, lesions, scan, number, visible, clutter, rng),
    )


def _search(
    kind: Detectors,
    lesions: NDArray[np.intp],
    scan: NDArray[np.intp],
    number: NDArray[np.intp],
    visible: Array,
    clutter: Array,
    rng: np.random.Generator,
) -> Detections:
    """Draw the candidates of one detector."""
    mood = np.sqrt(kind.icc / 2) * rng.normal(size=len(lesions))
    rest = np.sqrt((1 - kind.icc) / 2)
    hits = 1.5 + visible + mood[scan] + rest * rng.normal(size=len(scan))
    found = hits > 0.5
    false = np.repeat(np.arange(len(lesions)), rng.poisson(clutter))
    scores = mood[false] + np.sqrt(1 - kind.icc / 2) * rng.normal(size=len(false))
    return Detections(
        np.concatenate([hits[found], scores]),
        np.concatenate([scan[found], false]),
        np.concatenate([number[found], np.full(len(false), -1)]),
        lesions,
    )
