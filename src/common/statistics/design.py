"""From records to what a test needs: paired scores, seeds averaged or crossed, folds, clusters."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common import records as records_module
from common.statistics.results import Array, DesignError

_PLACE = ["seed", "fold", "cluster", "case"]


@dataclass(frozen=True)
class Size:
    """How much data a test rests on.

    Args:
        n_cases: different cases (lesions, for detectors).
        n_clusters: different clusters.
        n_seeds: different training seeds.
        n_folds: different folds of one cross-validation; 0 without folds.
        notes: what was left out, in words.
    """

    n_cases: int
    n_clusters: int
    n_seeds: int
    n_folds: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Paired:
    """Scores of several arms on the same cases.

    Args:
        scores: one row per (seed, fold, cluster, case), one column per arm, all finite.
        notes: what was left out, in words.
        groups: the group of each (cluster, case), where it has one group only.
    """

    scores: pd.DataFrame
    notes: tuple[str, ...]
    groups: "pd.Series[str]"

    @property
    def n_cases(self) -> int:
        """Different cases, counted once whatever the seeds."""
        return len(self.scores.index.to_frame(index=False)[["cluster", "case"]].drop_duplicates())

    @property
    def n_clusters(self) -> int:
        """Different clusters."""
        return self.scores.index.get_level_values("cluster").nunique()

    @property
    def n_seeds(self) -> int:
        """Different training seeds."""
        return self.scores.index.get_level_values("seed").nunique()

    @property
    def n_folds(self) -> int:
        """Different folds; 0 without folds."""
        folds = self.scores.index.get_level_values("fold")
        return 0 if (folds == "").all() else folds.nunique()

    @property
    def size(self) -> Size:
        """How much data there are."""
        return Size(self.n_cases, self.n_clusters, self.n_seeds, self.n_folds, self.notes)


def pair(
    records: pd.DataFrame, *, metric: str, arms: tuple[str, ...], group: str | None = None
) -> Paired:
    """Pair the arms' scores case by case, and say what could not be paired.

    Args:
        records: records of one source, see :mod:`common.records`.
        metric: id of the metric.
        arms: arms to pair.
        group: only cases of this group.

    Returns:
        The paired scores; cases with a non-finite score or without one arm are left out of every
        arm and counted in the notes.

    Raises:
        ReplicateError: an arm has no record, or no case is shared.
        DesignError: a case was scored twice by one arm with one seed.
    """
    wanted = (records["metric"] == metric) & records["arm"].isin(arms)
    if group is not None:
        wanted &= records["group"] == group
    chosen = records[wanted]
    twice = chosen.duplicated(["arm", *_PLACE])
    if twice.any():
        groups = ", ".join(map(repr, sorted(chosen["group"].astype(str).unique())[:4]))
        runs = chosen["run"].nunique()
        raise DesignError(
            f"metric {metric!r} must have one value per arm, seed and case, got {twice.sum()} "
            f"more ({runs} runs, groups {groups}). Name one `group`, or judge one run."
        )
    good = np.isfinite(chosen["value"].to_numpy())
    scores = records_module.outcomes(chosen[good], metric=metric, arms=arms)
    places = len(chosen[_PLACE].drop_duplicates())
    notes = []
    if not good.all():
        notes.append(f"{int((~good).sum())} non-finite values left out")
    if places > len(scores):
        notes.append(f"{places - len(scores)} of {places} cases not scored by every arm, left out")
    named = chosen[["cluster", "case", "group"]].astype(str).drop_duplicates()
    named = named[~named.duplicated(["cluster", "case"], keep=False)]
    return Paired(scores, tuple(notes), named.set_index(["cluster", "case"])["group"])


@dataclass(frozen=True)
class Sample:
    """One number per seed and case, a score or a weighted difference of arms, with its place.

    Args:
        value (n,): the numbers.
        seed (n,): training seed.
        fold (n,): fold, empty text if none.
        cluster (n,): independent unit.
        case (n,): name of the case.
    """

    value: Array
    seed: NDArray[np.generic]
    fold: NDArray[np.generic]
    cluster: NDArray[np.generic]
    case: NDArray[np.generic]

    @property
    def n_seeds(self) -> int:
        """Different training seeds."""
        return len(np.unique(self.seed))

    def _frame(self) -> pd.DataFrame:
        return pd.DataFrame({name: getattr(self, name) for name in ("value", *_PLACE)})

    def over_seeds(self) -> "Sample":
        """Average every case over its seeds; a case keeps its fold if it has only one."""
        if self.n_seeds == 1:
            return self
        cases = self._frame().groupby(["cluster", "case"], sort=True)
        table = cases.agg(value=("value", "mean"), fold=("fold", "min"), last=("fold", "max"))
        table = table.reset_index()
        one_fold = (table["fold"] == table["last"]).all()
        n = len(table)
        return Sample(
            value=table["value"].to_numpy(),
            seed=np.zeros(n, dtype=np.int64),
            fold=table["fold"].to_numpy() if one_fold else np.full(n, ""),
            cluster=table["cluster"].to_numpy(),
            case=table["case"].to_numpy(),
        )

    def cluster_means(self) -> "pd.Series[float]":
        """Average cases over seeds, then inside each cluster."""
        averaged = self.over_seeds()
        names, codes = np.unique(averaged.cluster, return_inverse=True)
        means = np.bincount(codes, weights=averaged.value) / np.bincount(codes)
        return pd.Series(means, index=pd.Index(names, name="cluster"), name="value")

    def crossed(self) -> tuple[Array, int]:
        """Arrange cluster means by seed.

        Returns:
            Matrix (n_clusters, n_seeds) of the clusters that every seed scored, and how many
            clusters were left out because one did not.
        """
        means = self._frame().pivot_table(
            index="cluster", columns="seed", values="value", aggfunc="mean", dropna=False
        )
        complete = means.dropna()
        return complete.to_numpy(dtype=np.float64), len(means) - len(complete)

    def fold_means(self) -> "pd.Series[float]":
        """Average cases inside each training split.

        Seeds that share their splits are averaged first, so that a fold counts once; where each
        seed deals its own folds, every (seed, fold) is a split (repeated cross-validation).
        """
        averaged = self.over_seeds()
        if (averaged.fold != "").any() or self.n_seeds == 1:
            return averaged._frame().groupby("fold", sort=True)["value"].mean()
        return self._frame().groupby(["seed", "fold"], sort=True)["value"].mean()

    def n_folds(self) -> int:
        """Folds of one cross-validation."""
        return int(self._frame().groupby("seed")["fold"].nunique().max())


def sample(paired: Paired, weights: Mapping[str, float], *, minus: float = 0.0) -> Sample:
    """Combine the arms' scores into one number per seed and case.

    Args:
        paired: see :func:`pair`.
        weights: weight of each arm; {a: 1, b: -1} is first minus second.
        minus: a constant to take off (what one arm is compared with).
    """
    arms = list(weights)
    index = paired.scores.index
    values = paired.scores[arms].to_numpy() @ np.array([weights[arm] for arm in arms]) - minus
    return Sample(
        value=values,
        **{name: index.get_level_values(name).to_numpy() for name in _PLACE},
    )
