"""Tests from records whose statistic is no mean over cases: areas under ROC curves, and CPM.

Training seeds are averaged: the statistic of each trained network is computed, and the mean over
the networks of an arm is compared on the same cases.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from common.papers import Between
from common.statistics import areas, froc
from common.statistics.design import Paired, Size
from common.statistics.detections import Detections
from common.statistics.results import DesignError, Inference, Interval, Student

# groups of the records of a detector
HIT, MISS, FALSE, NONE = "hit", "miss", "false", "none"
N_RESAMPLES = 2_000


@dataclass(frozen=True)
class Shifted:
    """An estimate counted from a value: testing it against 0 tests the original against the value.

    Args:
        original: the estimate.
        origin: the value.
    """

    original: Inference
    origin: float

    @property
    def effect(self) -> float:
        """Estimate less value."""
        return self.original.effect - self.origin

    @property
    def se(self) -> float:
        """Standard error of the estimate."""
        return self.original.se

    @property
    def df(self) -> float:
        """Degrees of freedom of that standard error."""
        return self.original.df

    @property
    def statistic(self) -> float:
        """Estimate less value over standard error."""
        return self.effect / self.se if self.se > 0 else 0.0

    def p(self, null: float = 0.0) -> float:
        """Two-sided p of effect = null."""
        return self.original.p(self.origin + null)

    def p_greater(self, null: float = 0.0) -> float:
        """One-sided p of effect <= null."""
        return self.original.p_greater(self.origin + null)

    def p_less(self, null: float = 0.0) -> float:
        """One-sided p of effect >= null."""
        return self.original.p_less(self.origin + null)

    def interval(self, level: float = 0.95) -> Interval:
        """The original's interval less the value."""
        found = self.original.interval(level)
        return Interval(found.low - self.origin, found.high - self.origin, level)


def auc_contrast(
    paired: Paired,
    weights: Mapping[str, float],
    minus: float,
    between: Between,
    *,
    clustered: bool,
) -> Inference:
    """Estimate a combination of the arms' areas under the ROC curve.

    Args:
        paired: class scores of each arm on the same cases; folds are pooled.
        weights: weight of each arm.
        minus: a constant to take off.
        between: groups of positive cases (``left``) and of negative ones (``right``).
        clustered: whether the unit is the cluster (Obuchowski) or the case (DeLong).

    Returns:
        One arm with one seed is judged on the logit scale, all others by the normal law of the
        areas' covariance.

    Raises:
        DesignError: a seed that scored other cases, or a class without cases.
    """
    arms = list(weights)
    table = paired.scores[arms].reset_index("fold", drop=True).unstack("seed")
    complete = table.dropna()
    if len(complete) < len(table):
        raise DesignError(
            f"every seed must score the same cases, got {len(table) - len(complete)} cases of "
            f"{len(table)} without some seed. Use the same test cases with each seed."
        )
    group = paired.groups.reindex(complete.index).astype(str).to_numpy()
    positive, negative = np.isin(group, between.left), np.isin(group, between.right)
    chosen = positive | negative
    clusters = complete.index.get_level_values("cluster").to_numpy()[chosen]
    found = areas.auc_areas(
        complete.to_numpy(dtype=np.float64)[chosen],
        positive[chosen].astype(float),
        cluster=clusters if clustered else None,
    )
    column_arms = complete.columns.get_level_values(0)
    share = np.array([weights[arm] / (column_arms == arm).sum() for arm in column_arms])
    if len(share) == 1 and share[0] == 1:
        return Shifted(found.area(), minus) if minus else found.area()
    variance = float(share @ found.covariance @ share)
    # arms that rank all cases alike must not be left a spread by rounding
    se = 0.0 if variance <= 1e-14 * np.trace(found.covariance) else float(np.sqrt(variance))
    return Student(float(share @ found.aucs) - minus, se, float("inf"))


def cpm_contrast(
    records: pd.DataFrame,
    weights: Mapping[str, float],
    minus: float,
    *,
    rng: np.random.Generator,
) -> tuple[Inference, Size]:
    """Estimate a combination of the arms' CPM by a bootstrap over scans.

    The records of a detector have a scan as cluster and one of four groups: ``hit``, the case names
    the lesion and the value is the best score on it; ``miss``, the case names a lesion without
    candidate; ``false``, a false positive with its score; ``none``, a scan with neither (its
    value does not count).  A scan that one arm names counts for all.

    Args:
        records: of one metric and source, see :mod:`common.records`.
        weights: weight of each arm.
        minus: a constant to take off.
        rng: source of the draws.

    Returns:
        The bootstrap, and how many lesions, scans and seeds it rests on.

    Raises:
        DesignError: another group, arms with other lesions, or an arm without records.
    """
    chosen = records[records["arm"].isin(list(weights))]
    other = sorted(set(chosen["group"].astype(str)) - {HIT, MISS, FALSE, NONE})
    if other:
        raise DesignError(
            f"`group` of a detector's records must be {HIT}, {MISS}, {FALSE} or {NONE}, got "
            f"{other[0]!r}. See `cpm_contrast`."
        )
    scans = np.unique(chosen["cluster"].astype(str))
    methods, shares, lesions = [], [], None
    for arm, weight in weights.items():
        of_arm = chosen[chosen["arm"] == arm]
        if not len(of_arm):
            raise DesignError(
                f"arm {arm!r} has no records of detections. Run it, or drop the claim."
            )
        for seed in of_arm["seed"].unique():
            own = of_arm[of_arm["seed"] == seed]
            names = own[own["group"].isin([HIT, MISS])][["cluster", "case"]].astype(str)
            named = pd.MultiIndex.from_frame(names.sort_values(["cluster", "case"]))
            if lesions is None:
                lesions = named
            if not named.is_unique or not named.equals(lesions):
                raise DesignError(
                    f"arm {arm!r}, seed {seed!r} must name each lesion once, the same as the "
                    "others. Record a lesion without candidate as a miss."
                )
            methods.append(_detections(own, scans, lesions))
            shares.append(weight / of_arm["seed"].nunique())
    found = froc.froc_contrast(methods, shares, rng=rng, n_resamples=N_RESAMPLES)
    assert lesions is not None
    size = Size(len(lesions), len(scans), int(chosen["seed"].nunique()))
    return (Shifted(found.cpm, minus) if minus else found.cpm), size


def _detections(own: pd.DataFrame, scans: np.ndarray, lesions: pd.MultiIndex) -> Detections:
    """Arrange the records of one trained detector as candidates on all scans."""
    scan_of_lesion = np.searchsorted(scans, lesions.get_level_values(0).to_numpy(dtype=str))
    n_lesions = np.bincount(scan_of_lesion, minlength=len(scans))
    # lesions are sorted by scan, so that their place less the scan's first is a number inside it
    first = np.concatenate([[0], np.cumsum(n_lesions)[:-1]])
    candidates = own[own["group"].isin([HIT, FALSE])]
    scan = np.searchsorted(scans, candidates["cluster"].to_numpy(dtype=str))
    named = pd.MultiIndex.from_frame(candidates[["cluster", "case"]].astype(str))
    hit = (candidates["group"] == HIT).to_numpy()
    place = np.where(hit, lesions.get_indexer(named) - first[scan], -1)
    return Detections(candidates["value"].to_numpy(dtype=np.float64), scan, place, n_lesions)
