"""Every pair of several methods under every test: from tests that count cases to tests that count
what is independent.

Outcomes are arrays (methods, clusters, ...): right or wrong of each case of each cluster, every
method on the same cases, every cluster in one fold of a cross-validation.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from common.statistics.bootstrap import cluster_bootstrap_contrasts, exact_folds, two_level
from common.statistics.multiplicity import adjust
from common.statistics.paired import corrected_t, paired_t, sign_flip
from common.statistics.proportions import mcnemar, mcnemar_clustered
from common.statistics.results import Array, DesignError

TESTS = {
    "mcnemar": "McNemar, patches pooled",
    "mcnemar_asymptotic": "McNemar, asymptotic",
    "mcnemar_vote": "McNemar, majority vote of each patient",
    "mcnemar_clustered": "McNemar, clustered by patient",
    "sign_flip": "sign flip of patients",
    "two_level": "bootstrap of folds and patients",
    "paired_t": "t over folds, training overlap ignored",
    "corrected_t": "corrected resampled t over folds",
}


@dataclass(frozen=True)
class Comparison:
    """All pairs of methods on one endpoint.

    Attributes:
        pairs: one row per pair: ``first, second, effect`` (mean over folds), p-values named as in
            :data:`TESTS`, and 95 % intervals ``patients_low, patients_high`` (patients resampled
            within folds), ``two_level_low, ...``, ``corrected_t_low, ...``, ``folds_low, ...``
            (folds resampled, all draws listed).
        folds: one row per pair and fold: ``first, second, fold, effect, mcnemar,
            mcnemar_clustered``.
    """

    pairs: pd.DataFrame
    folds: pd.DataFrame


def compare(
    outcome: ArrayLike,
    fold: ArrayLike,
    arms: Sequence[str],
    *,
    rng: np.random.Generator,
    vote: ArrayLike | None = None,
    n_boot: int = 5000,
) -> Comparison:
    """Compare every pair of methods by every test of :data:`TESTS`.

    Args:
        outcome (methods, clusters, ...): 1 where right, 0 where wrong.
        fold (clusters,): the fold that scored each cluster.
        arms: names of the methods.
        rng: source of bootstrap draws and sign flips.
        vote (methods, clusters): 1 where the decision for the whole cluster is right; by default
            where more than half of its cases are.
        n_boot: bootstrap replicates; sign flips are four times as many.

    Returns:
        Effects are first minus second.

    Raises:
        DesignError: shapes that do not fit, or fewer than two folds.
    """
    right = np.asarray(outcome, dtype=float)
    labels = np.asarray(fold)
    if right.shape[:2] != (len(arms), len(labels)):
        raise DesignError(
            f"`outcome` must be ({len(arms)} methods, {len(labels)} clusters, ...), got "
            f"{right.shape!r}. Give one row per method and one fold per cluster."
        )
    names = np.unique(labels)
    if len(names) < 2:
        raise DesignError(f"`fold` must hold at least 2 folds, got {len(names)}.")
    cases = right.reshape(len(arms), len(labels), -1)
    votes = cases.mean(axis=2) > 0.5 if vote is None else np.asarray(vote)
    couples = list(itertools.combinations(range(len(arms)), 2))
    patients = _resample_patients(cases, labels, couples, rng=rng, n_boot=n_boot)
    rows = [
        {"first": arms[a], "second": arms[b], "mcnemar_vote": mcnemar(votes[a], votes[b]).p}
        | _pair(cases[a], cases[b], labels, rng=rng, n_boot=n_boot)
        | interval
        for (a, b), interval in zip(couples, patients, strict=True)
    ]
    by_fold = [
        {"first": arms[a], "second": arms[b], "fold": name}
        | _in_fold(cases[a][labels == name], cases[b][labels == name])
        for a, b in couples
        for name in names
    ]
    return Comparison(pd.DataFrame(rows), pd.DataFrame(by_fold))


def _resample_patients(
    cases: Array,
    fold: NDArray[np.generic],
    couples: list[tuple[int, int]],
    *,
    rng: np.random.Generator,
    n_boot: int,
) -> list[dict[str, float]]:
    contrasts = np.zeros((len(couples), len(cases)))
    for row, (a, b) in enumerate(couples):
        contrasts[row, a], contrasts[row, b] = 1, -1
    found = cluster_bootstrap_contrasts(
        cases.mean(axis=2).T, contrasts, fold=fold, average="folds", n_resamples=n_boot, rng=rng
    )
    intervals = [bootstrap.interval(0.95) for bootstrap in found]
    return [{"patients_low": each.low, "patients_high": each.high} for each in intervals]


def _pair(
    first: Array, second: Array, fold: NDArray[np.generic], *, rng: np.random.Generator, n_boot: int
) -> dict[str, float]:
    patient = np.repeat(np.arange(len(first)), first.shape[1])
    difference = (first - second).mean(axis=1)
    by_fold = [difference[fold == name].mean() for name in np.unique(fold)]
    overlap = 1 / (len(by_fold) - 1)
    corrected = corrected_t(by_fold, test_train_ratio=overlap)
    both_levels = two_level(
        difference, fold=fold, cluster=np.arange(len(first)), n_resamples=n_boot, rng=rng
    )
    listed = exact_folds(by_fold).interval(0.95)
    nested = both_levels.interval(0.95)
    return {
        "effect": float(np.mean(by_fold)),
        "mcnemar": mcnemar(first.ravel(), second.ravel()).p,
        "mcnemar_asymptotic": mcnemar(first.ravel(), second.ravel(), method="asymptotic").p,
        "mcnemar_clustered": mcnemar_clustered(first.ravel(), second.ravel(), patient).p,
        "sign_flip": sign_flip(difference, n_resamples=4 * n_boot, rng=rng).p,
        "two_level": min(1.0, 2 * min(both_levels.p_greater(), both_levels.p_less())),
        "paired_t": paired_t(by_fold).p,
        "corrected_t": corrected.p,
        "corrected_t_low": corrected.low,
        "corrected_t_high": corrected.high,
        "two_level_low": nested.low,
        "two_level_high": nested.high,
        "folds_low": listed.low,
        "folds_high": listed.high,
    }


def _in_fold(first: Array, second: Array) -> dict[str, float]:
    patient = np.repeat(np.arange(len(first)), first.shape[1])
    a, b = first.ravel(), second.ravel()
    return {
        "effect": float(a.mean() - b.mean()),
        "mcnemar": mcnemar(a, b).p,
        "mcnemar_clustered": mcnemar_clustered(a, b, patient).p,
    }


def ladder(comparison: Comparison, first: str, second: str) -> dict[str, float]:
    """Return one pair's p-values from the most naive test to the one that allows for most.

    Raises:
        DesignError: there is no such pair.
    """
    table = comparison.pairs
    row = table[(table["first"] == first) & (table["second"] == second)]
    if len(row) != 1:
        raise DesignError(f"no pair {first!r}, {second!r}. Name two of the methods, in order.")
    return {words: float(row[name].iloc[0]) for name, words in TESTS.items()}


def rejections(comparison: Comparison, *, alpha: float = 0.05) -> "pd.Series[str]":
    """Count the comparisons below a level, raw and after Holm's correction.

    Returns:
        ``"raw, Holm of all"`` by test: the two McNemar tests in single folds, then every test of
        :data:`TESTS` over all folds.
    """
    p_values = {f"{TESTS[name]}, single folds": comparison.folds[name] for name in _PER_FOLD}
    p_values |= {words: comparison.pairs[name] for name, words in TESTS.items()}
    counts = {
        words: f"{(p < alpha).sum()}, {(adjust(p.to_numpy()) < alpha).sum()} of {len(p)}"
        for words, p in p_values.items()
    }
    return pd.Series(counts, name="raw, Holm")


_PER_FOLD = ("mcnemar", "mcnemar_clustered")


def forest_rows(comparison: Comparison, labels: dict[str, str]) -> pd.DataFrame:
    """Arrange effects and intervals for a forest plot, in percentage points.

    Args:
        comparison: from :func:`compare`.
        labels: label of each method.

    Returns:
        ``row, kind, effect, low, high``; three kinds of interval per pair.
    """
    kinds = {
        "patients": "patients",
        "two_level": "folds and patients",
        "corrected_t": "corrected t over folds",
    }
    return pd.DataFrame(
        [
            {
                "row": f"{labels[row['first']]} − {labels[row['second']]}",
                "kind": words,
                "effect": 100 * row["effect"],
                "low": 100 * row[f"{name}_low"],
                "high": 100 * row[f"{name}_high"],
            }
            for row in comparison.pairs.to_dict("records")
            for name, words in kinds.items()
        ]
    )
