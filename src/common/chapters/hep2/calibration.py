"""Simulated studies in which the truth is known: what each test does with patients and folds."""

from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit

from common.datasets import hep2_prediction_phantom
from common.statistics.bootstrap import exact_folds, two_level
from common.statistics.paired import corrected_t
from common.statistics.proportions import mcnemar, mcnemar_clustered

CLAIMED_DIFFERENCE = 0.036  # Fig. 16: 0.824 - 0.788, the largest gain that the report claims
_MEAN, _SPREAD = 2.6, np.sqrt(2.3**2 + 1.0**2 + 0.3**2)  # defaults of the prediction phantom


def effect_for(difference: float) -> float:
    """Find the effect on the log odds that moves the mean accuracy by a given amount.

    Args:
        difference: difference of two configurations' expected accuracies (fraction).

    Returns:
        The log odds to add to one configuration of the prediction phantom at its defaults.

    Example:
        >>> bool(effect_for(0.0) == 0.0)
        True
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)

    def accuracy(effect: float) -> float:
        return float(weights @ expit(_MEAN + effect + _SPREAD * nodes) / weights.sum())

    return float(brentq(lambda effect: accuracy(effect) - accuracy(0.0) - difference, 0.0, 5.0))


def null_p_values(n: int, *, rng: np.random.Generator, **phantom: Any) -> pd.DataFrame:
    """Test two equally good configurations in ``n`` simulated studies.

    Args:
        n: studies.
        rng: source of randomness.
        phantom: options of :func:`~common.datasets.hep2_prediction_phantom.draw_predictions`; by
            default the two trained networks differ in nothing but their patients (``run_sd`` 0).

    Returns:
        p-values of McNemar's test over patches (``naive``) and clustered by patient
        (``clustered``), one row per study.
    """
    rows = []
    for _ in range(n):
        first, second, patient = _two({"run_sd": 0.0} | phantom, rng)[:3]
        rows.append(
            {
                "naive": mcnemar(first, second).p,
                "clustered": mcnemar_clustered(first, second, patient).p,
            }
        )
    return pd.DataFrame(rows)


def _two(phantom: dict[str, Any], rng: np.random.Generator) -> tuple[Any, ...]:
    """Draw one study of two configurations: outcomes, patient and fold of each patch."""
    draws = hep2_prediction_phantom.draw_predictions(2, rng=rng, **phantom)
    right = hep2_prediction_phantom.outcomes(draws).astype(float)
    n_patients, per_patient = right.shape[1], right.shape[2] * right.shape[3]
    patient = np.repeat(np.arange(n_patients), per_patient)
    fold = draws.patients["fold"].to_numpy(str)
    return right[0].ravel(), right[1].ravel(), patient, fold


def calibrate(n: int, *, rng: np.random.Generator, n_boot: int = 1000) -> pd.DataFrame:
    """Try tests and intervals on simulated studies whose networks differ from run to run.

    Each study has 252 patients, five folds and one training of each configuration per fold, with
    run-to-run noise as in the defaults of the prediction phantom.

    Args:
        n: studies without an effect, and as many with an effect of :data:`CLAIMED_DIFFERENCE`.
        rng: source of randomness.
        n_boot: bootstrap replicates of each study.

    Returns:
        Records without ``paper, run, profile``: metric ``rejected`` (a true null rejected at 5 %),
        ``covered`` (the true difference inside the 95 % interval) or ``detected``, arm = the
        test, case and cluster = the study.
    """
    rows = []
    effect = np.array([effect_for(CLAIMED_DIFFERENCE), 0.0])
    for number in range(n):
        first, second, patient, fold = _two({}, rng)
        difference, by_fold = _differences(first, second, fold)
        nested = two_level(
            difference, fold=fold, cluster=np.arange(len(fold)), n_resamples=n_boot, rng=rng
        )
        clustered = mcnemar_clustered(first, second, patient).p
        results = {
            ("naive-mcnemar", "rejected"): mcnemar(first, second).p < 0.05,
            ("clustered-mcnemar", "rejected"): clustered < 0.05,
            ("corrected-t", "rejected"): _corrected_p(by_fold) < 0.05,
            ("fold-bootstrap", "covered"): _covers_zero(exact_folds(by_fold)),
            ("two-level-bootstrap", "covered"): _covers_zero(nested),
        }
        first, second, _, fold = _two({"config_effect": effect}, rng)
        claimed = _differences(first, second, fold)[1]
        results["corrected-t", "detected"] = _corrected_p(claimed) < 0.05
        rows += [
            {"arm": arm, "metric": metric, "value": float(value), "case": f"study-{number}"}
            for (arm, metric), value in results.items()
        ]
    table = pd.DataFrame(rows)
    return table.assign(cluster=table["case"], source="phantom", seed=0, fold="", group="")


def _differences(first: Any, second: Any, fold: Any) -> tuple[Any, Any]:
    difference = (first - second).reshape(len(fold), -1).mean(axis=1)
    return difference, [difference[fold == name].mean() for name in np.unique(fold)]


def _corrected_p(by_fold: Any) -> float:
    return corrected_t(by_fold, test_train_ratio=1 / (len(by_fold) - 1)).p


def _covers_zero(bootstrap: Any) -> bool:
    interval = bootstrap.interval(0.95)
    return interval.low <= 0.0 <= interval.high
