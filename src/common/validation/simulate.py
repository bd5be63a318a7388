"""Studies with a known truth: methods scored on the same cases, which come in patients.

Every score is a function of a normal number, so that means, spreads and the correlation inside
patients of the *difference* of two methods follow exactly from the functions' Hermite series.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import optimize, special, stats

from common.statistics.design import Paired, Sample
from common.statistics.results import Array, DesignError

Outcome = Literal["gaussian", "dice", "skewed", "binary", "rare"]

OUTCOMES: tuple[Outcome, ...] = ("gaussian", "dice", "skewed", "binary", "rare")
SHARED_PATIENT, SHARED_CASE = 0.35, 0.05  # of a latent score's variance; the rest is a method's own
_FAR = 9.0  # normal numbers beyond it do not occur
_TERMS = 120
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(400)


@dataclass(frozen=True)
class Marginal:
    """How one method turns a standard normal number into a score: 0 up to a threshold, then a
    smooth function.

    Args:
        outcome: ``gaussian`` location + z; ``binary`` or ``rare`` 1; else a logistic function of
            location + 0.9 z, bounded and skewed like an overlap score.
        threshold: z up to which the score is 0 (a failure, or a wrong answer).
        location: shifts the smooth part.
    """

    outcome: Outcome
    threshold: float
    location: float

    def score(self, z: Array) -> Array:
        """Turn normal numbers of any shape into scores."""
        return np.where(z > self.threshold, self._smooth(z), 0.0)

    def _smooth(self, z: Array) -> Array:
        if self.outcome == "gaussian":
            return self.location + z
        if self.outcome in ("binary", "rare"):
            return np.ones_like(z)
        return np.asarray(special.expit(self.location + 0.9 * z))

    def series(self) -> Array:
        """Return the coefficients of the normalised Hermite polynomials, the mean first."""
        low = max(self.threshold, -_FAR)
        z = low + (_FAR - low) * (_NODES + 1) / 2
        mass = self._smooth(z) * stats.norm.pdf(z) * _WEIGHTS * (_FAR - low) / 2
        before, now = np.zeros_like(z), np.ones_like(z)
        terms = []
        for k in range(_TERMS):
            terms.append(float(mass @ now))
            before, now = now, (z * now - np.sqrt(k) * before) / np.sqrt(k + 1)
        return np.array(terms)

    def mean(self) -> float:
        """Return the expected score."""
        return float(self.series()[0])

    def variance(self) -> float:
        """Return the variance of a score."""
        low = max(self.threshold, -_FAR)
        z = low + (_FAR - low) * (_NODES + 1) / 2
        mass = stats.norm.pdf(z) * _WEIGHTS * (_FAR - low) / 2
        return float(mass @ self._smooth(z) ** 2) - self.mean() ** 2


@lru_cache(maxsize=256)
def marginals(outcome: Outcome, effect: float) -> tuple[Marginal, Marginal]:
    """Return the two methods' marginals so that their means differ by exactly ``effect``.

    At an effect of 0 the methods are exchangeable, ``skewed`` excepted: there the first fails (0)
    in 12 % of the cases and the second in 2 %, which the first makes good on the others, so that
    the means agree and the differences are skewed.

    Args:
        outcome: ``gaussian``; ``dice`` (5 % failures); ``skewed``; ``binary`` (80 % right);
            ``rare`` (96 % right).
        effect: first minus second, in score units.

    Example:
        >>> first, second = marginals("skewed", 0.02)
        >>> round(first.mean() - second.mean(), 9)
        0.02
    """
    if outcome in ("binary", "rare"):
        right = {"binary": 0.80, "rare": 0.96}[outcome]
        ends = [float(-stats.norm.ppf(share)) for share in (right + effect, right)]
        return Marginal(outcome, ends[0], 0.0), Marginal(outcome, ends[1], 0.0)
    failures = {"gaussian": (0.0, 0.0), "dice": (0.05, 0.05), "skewed": (0.12, 0.02)}[outcome]
    at, second_at = (float(stats.norm.ppf(share)) for share in failures)
    second = Marginal(outcome, second_at, 0.0 if outcome == "gaussian" else 1.8)
    wanted = second.mean() + effect

    def gap(location: float) -> float:
        return Marginal(outcome, at, location).mean() - wanted

    return Marginal(outcome, at, float(optimize.brentq(gap, -20.0, 20.0, xtol=1e-13))), second


@dataclass(frozen=True)
class Scenario:
    """A kind of study.

    Args:
        outcome: kind of score, see :func:`marginals`.
        n_clusters: patients.
        icc: correlation inside a patient of the difference of two methods.
        spread: coefficient of variation of the patients' numbers of cases; 0 makes them equal.
        effect: true mean of the first method minus that of each other one.
        mean_size: cases of a patient on average.
        n_arms: methods.
        n_seeds: training runs of each method.
        seed_share: share of a method's own latent variance that belongs to its training run.
        n_folds: folds to which patients are dealt; 0 for none.
    """

    outcome: Outcome
    n_clusters: int
    icc: float
    spread: float = 0.7
    effect: float = 0.0
    mean_size: int = 6
    n_arms: int = 2
    n_seeds: int = 1
    seed_share: float = 0.0
    n_folds: int = 0

    def columns(self) -> dict[str, Any]:
        """Describe the study in the columns of the archive."""
        named = ("outcome", "icc", "spread", "n_seeds", "n_folds")
        own = {name: getattr(self, name) for name in named}
        return own | {"run_share": self.seed_share}


@dataclass(frozen=True)
class Truth:
    """What holds of the difference first minus second in a scenario, exactly.

    Args:
        effect: its mean.
        variance: of one case's difference.
        icc: correlation of two cases of one patient.
        patient_share: share of a method's own latent variance that belongs to its patients.
    """

    effect: float
    variance: float
    icc: float
    patient_share: float

    def se_cases(self, sizes: Array) -> float:
        """Return the standard error of the mean over all cases, given the patients' sizes."""
        pairs = float((sizes * (sizes - 1)).sum())
        return float(np.sqrt(self.variance * (sizes.sum() + self.icc * pairs)) / sizes.sum())

    def se_means(self, sizes: Array) -> float:
        """Return the standard error of the mean of the patients' means."""
        each = self.variance * (self.icc + (1 - self.icc) / sizes)
        return float(np.sqrt(each.sum()) / len(sizes))


@lru_cache(maxsize=256)
def truth(scenario: Scenario) -> Truth:
    """Find the share of patients that gives the difference its correlation inside patients.

    The covariance of two scores whose normal numbers correlate by c is the sum of
    ``a_k b_k c**k`` over their Hermite coefficients (Mehler's formula).

    Raises:
        DesignError: the correlation cannot be reached with this outcome.

    Example:
        >>> round(truth(Scenario("binary", 50, 0.4)).icc, 6)
        0.4
    """
    first, second = marginals(scenario.outcome, scenario.effect)
    a, b = first.series()[1:], second.series()[1:]
    powers = np.arange(1, _TERMS)

    def between(c: float) -> float:
        return float((a * b) @ c**powers)

    def within(c: float) -> float:
        return float((a * a + b * b) @ c**powers)

    own = 1 - SHARED_PATIENT - SHARED_CASE
    shared = SHARED_PATIENT + SHARED_CASE
    variance = first.variance() + second.variance() - 2 * between(shared)

    def icc(share: float) -> float:
        alike = within(SHARED_PATIENT + own * share) - 2 * between(SHARED_PATIENT)
        return alike / variance

    top = 1 - scenario.seed_share
    if icc(top) < scenario.icc:
        raise DesignError(
            f"`icc` must be <= {icc(top):.3f} for outcome {scenario.outcome!r}, got "
            f"{scenario.icc!r}. Choose a smaller one."
        )
    share = 0.0
    if icc(0.0) < scenario.icc:
        share = float(optimize.brentq(lambda x: icc(x) - scenario.icc, 0.0, top, xtol=1e-13))
    return Truth(first.mean() - second.mean(), variance, icc(share), share)


@dataclass(frozen=True)
class Study:
    """One simulated study.

    Args:
        scores (n_seeds, n, n_arms): score of each case.
        cluster (n,): patient of each case, sorted.
        fold (n,) or (n_seeds, n): fold of each case, empty text if there is none.
    """

    scores: Array
    cluster: NDArray[np.intp]
    fold: NDArray[np.str_]

    @property
    def sizes(self) -> Array:
        """Cases of each patient."""
        return np.bincount(self.cluster).astype(np.float64)

    @cached_property
    def sample(self) -> Sample:
        """The first method minus the second, seed by seed."""
        n_seeds, n, _ = self.scores.shape
        return Sample(
            value=(self.scores[:, :, 0] - self.scores[:, :, 1]).ravel(),
            seed=np.repeat(np.arange(n_seeds), n),
            fold=np.broadcast_to(self.fold, (n_seeds, n)).ravel(),
            cluster=np.tile(self.cluster, n_seeds),
            case=np.tile(np.arange(n), n_seeds),
        )

    @property
    def n_differing(self) -> int:
        """Patients in which the first two methods differ on average over training runs."""
        return int(np.count_nonzero(np.bincount(self.cluster, self.averaged.value)))

    @cached_property
    def averaged(self) -> Sample:
        """The same averaged over training runs, as :meth:`Sample.over_seeds` does it."""
        n = len(self.cluster)
        value = self.scores[:, :, 0] - self.scores[:, :, 1]
        fold = self.fold if self.fold.ndim == 1 else np.full(n, "")
        return Sample(value.mean(axis=0), np.zeros(n, np.intp), fold, self.cluster, np.arange(n))

    @cached_property
    def paired(self) -> Paired:
        """All methods' scores as the tests of several arms take them, arms m0, m1, ..."""
        return self.grouped(np.full(len(self.sizes), ""))

    def grouped(self, group: NDArray[np.str_]) -> Paired:
        """Return the methods' scores with the group of each patient.

        Args:
            group (n_clusters,): names.
        """
        n_seeds, n, n_arms = self.scores.shape
        case = np.arange(n)
        place = {
            "seed": np.repeat(np.arange(n_seeds), n),
            "fold": np.broadcast_to(self.fold, (n_seeds, n)).ravel(),
            "cluster": np.tile(self.cluster, n_seeds),
            "case": np.tile(case, n_seeds),
        }
        index = pd.MultiIndex.from_arrays(list(place.values()), names=list(place))
        names = list(arm_names(n_arms))
        table = pd.DataFrame(self.scores.reshape(-1, n_arms), index=index, columns=names)
        places = pd.MultiIndex.from_arrays([self.cluster, case], names=["cluster", "case"])
        return Paired(table, (), pd.Series(group[self.cluster], index=places, name="group"))


def arm_names(n_arms: int) -> tuple[str, ...]:
    """Name the methods of a study.

    Example:
        >>> arm_names(2)
        ('m0', 'm1')
    """
    return tuple(f"m{number}" for number in range(n_arms))


def draw_sizes(scenario: Scenario, rng: np.random.Generator) -> NDArray[np.intp]:
    """Draw the number of cases of each patient: 1 plus a negative binomial number.

    Raises:
        DesignError: a spread below that of the Poisson law (0 excepted).
    """
    mean, n = scenario.mean_size, scenario.n_clusters
    if scenario.spread == 0:
        return np.full(n, mean)
    variance = (scenario.spread * mean) ** 2
    if variance <= mean - 1:
        least = np.sqrt(mean - 1) / mean
        raise DesignError(f"`spread` must be 0 or > {least:.2f}, got {scenario.spread!r}.")
    p = (mean - 1) / variance
    return np.asarray(1 + rng.negative_binomial((mean - 1) * p / (1 - p), p, size=n))


@dataclass(frozen=True)
class Latent:
    """The normal numbers behind the scores of one study.

    Args:
        z (n_seeds, n_arms, n): of each case.
        cluster (n,), fold (n,): as in :class:`Study`.
    """

    z: Array
    cluster: NDArray[np.intp]
    fold: NDArray[np.str_]


def draw_latent(
    scenario: Scenario, rng: np.random.Generator, *, sizes: NDArray[np.intp] | None = None
) -> Latent:
    """Draw the numbers behind one study.

    1. Patients have the given sizes, or those of :func:`draw_sizes`, and are dealt to folds in
       turn.
    2. The latent score of a case is normal with variance 1: 0.35 of it the patient's and 0.05 the
       case's, shared by all methods and training runs, the rest the method's own.
    3. The method's own part is the method's with that patient (a share that gives the difference
       the asked correlation inside patients, see :func:`truth`), its training run's
       (``seed_share``) and, new in every training run, the case's.
    """
    known = truth(replace(scenario, n_clusters=1, n_folds=0, n_seeds=1, n_arms=2, spread=0.0))
    sizes = draw_sizes(scenario, rng) if sizes is None else sizes
    cluster = np.repeat(np.arange(scenario.n_clusters), sizes)
    n, arms, seeds = len(cluster), scenario.n_arms, scenario.n_seeds
    shared = np.sqrt(SHARED_PATIENT) * rng.normal(size=scenario.n_clusters)[cluster]
    shared += np.sqrt(SHARED_CASE) * rng.normal(size=n)
    patient = rng.normal(size=(arms, scenario.n_clusters))[:, cluster]
    own = np.sqrt(known.patient_share) * patient[None]
    own = own + np.sqrt(scenario.seed_share) * rng.normal(size=(seeds, arms, 1))
    rest = max(0.0, 1 - known.patient_share - scenario.seed_share)
    own = own + np.sqrt(rest) * rng.normal(size=(seeds, arms, n))
    fold = np.full(n, "")
    if scenario.n_folds:
        fold = np.char.add("f", (cluster % scenario.n_folds).astype(str))
    return Latent(shared + np.sqrt(1 - SHARED_PATIENT - SHARED_CASE) * own, cluster, fold)


def score(latent: Latent, functions: Sequence[Marginal]) -> Study:
    """Turn the numbers behind a study into scores, by one function a method."""
    scores = [each.score(latent.z[:, arm]) for arm, each in enumerate(functions)]
    return Study(np.stack(scores, axis=2), latent.cluster, latent.fold)


def draw(
    scenario: Scenario, rng: np.random.Generator, *, sizes: NDArray[np.intp] | None = None
) -> Study:
    """Draw one study; all methods but the first have the same mean."""
    first, second = marginals(scenario.outcome, scenario.effect)
    others = [second] * (scenario.n_arms - 1)
    return score(draw_latent(scenario, rng, sizes=sizes), [first, *others])
