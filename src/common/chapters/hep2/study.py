"""The six configurations as one study: the released predictions, or the prediction phantom."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common import records as records_module
from common.datasets import hep2_prediction_phantom
from common.datasets.hep2_author_results import (
    CONFIGS,
    PATTERNS,
    Endpoint,
    Results,
    outcome,
)

ENDPOINTS: tuple[Endpoint, ...] = ("label", "intensity", "both")
METRIC_OF = {
    "Mask accuracy": "pixel_accuracy_mean",
    "Label accuracy": "label_accuracy",
    "Intensity accuracy": "intensity_accuracy",
}


@dataclass(frozen=True)
class Study:
    """Right and wrong decisions of six configurations.

    Attributes:
        source: ``authors`` or ``phantom``.
        arms: the six configurations.
        outcome: by endpoint, 1 where right (6, patients, specimens, patches).
        vote: by endpoint, 1 where the most frequent answer over a patient's patches is right
            (6, patients); for both endpoints at once, where both votes are.
        fold: fold of each patient (patients,).
        pattern: pattern of each patient (patients,).
    """

    source: str
    arms: tuple[str, ...]
    outcome: Mapping[Endpoint, NDArray[np.float64]]
    vote: dict[str, NDArray[np.bool_]]
    fold: NDArray[np.str_]
    pattern: NDArray[np.str_]

    def by_fold(self, endpoint: Endpoint) -> NDArray[np.float64]:
        """Return the accuracy of each configuration in each fold (folds, 6).

        Whole counts are divided once, so that equal counts give equal numbers and ranks tie.
        """
        right = self.outcome[endpoint].sum(axis=(2, 3))
        per_patient = self.outcome[endpoint][0, 0].size
        return np.stack(
            [
                right[:, self.fold == fold].sum(axis=1) / (per_patient * (self.fold == fold).sum())
                for fold in np.unique(self.fold)
            ]
        )


def load(results: Results | None, *, rng: np.random.Generator) -> Study:
    """Arrange the released predictions, or draw their phantom where they are absent.

    Args:
        results: the release, or None.
        rng: draws the phantom; unused with the release.

    Returns:
        252 patients x 4 specimens x 15 patches under six configurations.
    """
    if results is not None:
        patients = results.patients
        pattern = np.array(PATTERNS)[patients["label"].to_numpy()]
        right = {endpoint: outcome(results, endpoint) for endpoint in ENDPOINTS}
        vote = _votes(results)
        return Study("authors", CONFIGS, right, vote, patients["fold"].to_numpy(str), pattern)
    draws = hep2_prediction_phantom.draw_predictions(len(CONFIGS), rng=rng)
    right = {
        endpoint: hep2_prediction_phantom.outcomes(draws, endpoint=endpoint).astype(float)
        for endpoint in ENDPOINTS
    }
    pattern = np.array(PATTERNS)[draws.patients["label"].to_numpy()]
    # Decisions of the phantom are right or wrong without a wrong class, so half is the bar.
    vote = {endpoint: each.mean(axis=(2, 3)) > 0.5 for endpoint, each in right.items()}
    return Study("phantom", CONFIGS, right, vote, draws.patients["fold"].to_numpy(str), pattern)


def _votes(results: Results) -> dict[str, NDArray[np.bool_]]:
    """Decide each patient by the most frequent answer; a tie goes to the lower code."""
    shape = (len(CONFIGS), len(results.patients), -1)
    right = {}
    for endpoint, n_codes in (("label", len(PATTERNS)), ("intensity", 2)):
        predicted = results.patches[f"{endpoint}_predicted"].to_numpy().reshape(shape)
        counts = np.stack([(predicted == code).sum(axis=2) for code in range(n_codes)])
        right[endpoint] = counts.argmax(axis=0) == results.patients[endpoint].to_numpy()
    return right | {"both": right["label"] & right["intensity"]}


def banner(*, released: bool) -> tuple[str, str]:
    """Say what the page rests on: the source of the re-analysis, and a sentence about it."""
    if released:
        return "authors", (
            "The re-analysis on this page reads the predictions that the authors released. "
            "Everything that is trained here is trained on a phantom."
        )
    return "phantom", (
        "The released predictions are not on this machine: the figures of the re-analysis show "
        "simulated predictions without any effect, and its verdicts are the archived ones. "
        "`replicate data fetch hep2-author-results` (8 MB) brings the real ones."
    )


def fold_values(results: Results) -> pd.DataFrame:
    """Return what the tables should have printed.

    Returns:
        ``config, fold, metric, value``: the three accuracies in the report's words for folds A to
        E and, as fold ``Mean``, their unweighted mean.
    """
    long = results.reports.melt(
        id_vars=["config", "fold"], value_vars=list(METRIC_OF.values()), var_name="metric"
    )
    long["metric"] = long["metric"].map({value: key for key, value in METRIC_OF.items()})
    long = long.astype({"config": str, "fold": str})
    mean = long.groupby(["config", "metric"], as_index=False)["value"].mean().assign(fold="Mean")
    return pd.concat([long, mean], ignore_index=True)


def derived(results: Results, *, run: str, profile: str) -> pd.DataFrame:
    """Compute the records that the claims need beyond right and wrong.

    - ``pixel_minus_label``: pixel accuracy less pattern correctness of a patch;
    - ``train_minus_test_label``: accuracy on the training patches after the last epoch less
      pattern correctness of a test patch of the same fold;
    - ``late_gain_label``: rise of that training accuracy over the last five epochs, one a fold;
    - ``intensity_residual``: intensity correctness of a patch less the mean over all patches of
      the same pattern and intensity.

    Returns:
        A table in the shape of :mod:`common.records`.
    """
    table = results.patches.astype({"config": str, "fold": str, "patch": str, "patient": str})
    right = (table["label_true"] == table["label_predicted"]).astype(float)
    correct = (table["intensity_true"] == table["intensity_predicted"]).astype(float)
    seen = _training_accuracy(results)
    last = table[["config", "fold"]].merge(seen["last"].reset_index(), how="left")["last"]
    strata = [table["config"], table["label_true"], table["intensity_true"]]
    values: dict[str, Any] = {
        "pixel_minus_label": table["pixel_accuracy"] - right,
        "train_minus_test_label": last.to_numpy(dtype=float) - right,
        "intensity_residual": correct - correct.groupby(strata).transform("mean"),
    }
    where = pd.DataFrame(
        {
            "arm": table["config"],
            "fold": table["fold"],
            "case": table["patch"],
            "cluster": table["patient"],
            "group": np.array(PATTERNS)[table["label_true"]],
        }
    )
    parts = [where.assign(metric=name, value=value).dropna() for name, value in values.items()]
    gain = (seen["last"] - seen["before"]).rename("value").reset_index()
    gain = gain.rename(columns={"config": "arm"}).assign(metric="late_gain_label", group="")
    parts.append(gain.assign(case="fold-" + gain["fold"], cluster="fold-" + gain["fold"]))
    long = pd.concat(parts, ignore_index=True)
    long = long.assign(paper="hep2", run=run, profile=profile, source="authors", seed=0)
    return records_module.check(long)


def _training_accuracy(results: Results) -> pd.DataFrame:
    """Training pattern accuracy after the last epoch and five epochs before, by (config, fold)."""
    history = results.training.astype({"config": str, "fold": str})
    history = history[history["metric"] == "label_accuracy"]
    final = history.groupby(["config", "fold"])["epoch"].transform("max")
    keys = ["config", "fold"]
    return pd.DataFrame(
        {
            "last": history[history["epoch"] == final].set_index(keys)["value"],
            "before": history[history["epoch"] == final - 5].set_index(keys)["value"],
        }
    )
