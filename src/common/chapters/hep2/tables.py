"""Tables and curves of the HEp-2 page, made of records and printed numbers."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common.chapters.hep2.audit import compare
from common.chapters.hep2.study import Study
from common.datasets.hep2_author_results import CONFIGS, Endpoint, Results
from common.papers import Paper
from common.runs.archives import Archive
from common.statistics.bootstrap import cluster_bootstrap
from common.statistics.dependence import design_effect, icc
from common.statistics.published import congruence_range, probability_false_ordering
from common.statistics.ranking import block_anova, friedman, nemenyi_critical_difference

PATCHES_PER_PATIENT = 60


def published_and_replicated(
    paper: Paper, records: pd.DataFrame, archive: Archive | None, *, rng: np.random.Generator
) -> pd.DataFrame:
    """Set the published pattern accuracies beside those on the phantom.

    Args:
        paper: supplies the printed numbers and the arms' labels.
        records: of this run.
        archive: of the standard run, or None.
        rng: resamples patients for the intervals.

    Returns:
        ``row, kind, value, low, high`` in percent; intervals where there are patients.
    """
    published = paper.claim("C4a").on("published").published
    assert published is not None  # declared so in paper.yml
    numbers = paper.published(published)
    rows: list[dict[str, Any]] = [
        {"row": paper.arm(arm).label, "kind": "published", "value": 100 * numbers[arm]}
        for arm in CONFIGS
    ]
    runs = {"this run": records}
    if archive is not None:
        runs[f"{archive.profile} run"] = archive.records
    for kind, table in runs.items():
        right = table[(table["metric"] == "label_correct") & (table["source"] == "phantom")]
        for arm in CONFIGS:
            mine = right[right["arm"] == arm]
            # A patient is one unit, whatever the number of seeds that scored it.
            found = cluster_bootstrap(
                mine["value"], cluster=mine["cluster"].astype(str), n_resamples=2000, rng=rng
            )
            interval = found.interval(0.95)
            rows.append(
                {
                    "row": paper.arm(arm).label,
                    "kind": kind,
                    "value": 100 * found.effect,
                    "low": 100 * interval.low,
                    "high": 100 * interval.high,
                }
            )
    return pd.DataFrame(rows)


def slope_rows(paper: Paper, results: Results) -> pd.DataFrame:
    """Join each printed mean of pattern accuracy to the recomputed one, in percent."""
    table = compare(paper, results)
    means = table[(table["fold"] == "Mean") & (table["metric"] == "Label accuracy")]
    return pd.DataFrame(
        {
            "row": [paper.arm(config).label for config in means["config"]],
            "left": 100 * means["printed"].to_numpy(),
            "right": 100 * means["true"].to_numpy(),
        }
    )


def calibration(paper: Paper, simulated: pd.DataFrame) -> pd.DataFrame:
    """Average the simulated studies: one row per test and question, in percent."""
    nominal = {"rejected": 5.0, "covered": 95.0, "detected": 80.0}
    rate = simulated.groupby(["metric", "arm"], sort=False)["value"].mean().reset_index()
    return pd.DataFrame(
        [
            {
                "question": paper.metric(row["metric"]).label,
                "test": paper.arm(row["arm"]).label,
                "rate (%)": 100 * row["value"],
                "should be (%)": nominal[row["metric"]],
            }
            for row in rate.to_dict("records")
        ]
    )


def joint(study: Study, endpoint: Endpoint) -> "pd.Series[Any]":
    """Test six configurations at once, folds as blocks."""
    blocks = study.by_fold(endpoint)
    ranks, anova = friedman(blocks), block_anova(blocks)
    return pd.Series(
        {
            "Friedman, p": ranks.p,
            "Iman-Davenport, p": ranks.p_f,
            "randomised blocks, F": anova.f,
            "randomised blocks, p": anova.p,
            "scatter left (points)": 100 * anova.residual_sd,
            "largest gap in mean rank": float(np.ptp(ranks.ranks)),
            "Nemenyi critical difference": nemenyi_critical_difference(*blocks.shape[::-1]),
        }
    )


def _correlation(values: NDArray[np.float64]) -> float:
    """Intraclass correlation of an array (patients, patches)."""
    return icc(values.ravel(), np.repeat(np.arange(len(values)), values.shape[1]))


def measured_design_effect(study: Study) -> float:
    """Return the design effect of pattern correctness, averaged over the configurations."""
    each = study.outcome["label"].reshape(len(study.arms), len(study.fold), -1)
    return float(np.mean([design_effect(_correlation(v), v.shape[1]) for v in each]))


def clustering(study: Study, endpoint: Endpoint) -> "pd.Series[Any]":
    """Measure how alike the patches of one patient are, under the first configuration."""
    values = study.outcome[endpoint][0].reshape(len(study.fold), -1)
    correlation = _correlation(values)
    effect = design_effect(correlation, values.shape[1])
    votes = study.vote[endpoint]
    return pd.Series(
        {
            "intraclass correlation": f"{correlation:.2f}",
            "design effect": f"{effect:.0f}",
            "patches": f"{values.size:,}",
            "worth independent patches": f"{values.size / effect:.0f}",
            "patients wrong under all six": f"{(~votes).all(axis=0).sum()}",
            "patients right under all six": f"{votes.all(axis=0).sum()}",
        }
    )


def congruence(paper: Paper, study: Study) -> dict[str, Any]:
    """Compute the probability that the printed ordering of claim C4b is false.

    Returns:
        Arguments of ``common.figures.congruence_curve``: the share of patches that both
        configurations get right, the probability for independent patches and for the measured
        design effect, and the share measured in the study.
    """
    claim = paper.claim("C4b")
    published = claim.on("published").published
    assert published is not None  # declared so in paper.yml
    assert published.n is not None
    numbers = paper.published(published)
    first, second = (numbers[arm] for arm in claim.arms)
    bounds = congruence_range(first, second)
    share = np.linspace(bounds.independent, bounds.high, 60)
    places = [study.arms.index(arm) for arm in claim.arms]
    both = study.outcome["label"][places].prod(axis=0)
    inflation = measured_design_effect(study)
    curves = {
        "patches independent": 1.0,
        f"patients respected (design effect {inflation:.0f})": inflation,
    }
    return {
        "congruence": share,
        "probability": {
            name: probability_false_ordering(
                first, second, published.n, congruence=share, inflation=each
            )
            for name, each in curves.items()
        },
        "measured": float(both.mean()),
    }
