"""The smallest p that a design can reach at all, whatever the data.

A test that counts arrangements has a smallest p; where it lies above the level, the claim cannot be
supported, and no result says anything about it.  Tests by a t, F or normal law of an estimate over
its standard error have none.
"""

import difflib
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from common.statistics.results import DesignError
from common.statistics.smallest_p import (
    McNemarLaw,
    ScoreLaw,
    check_count,
    smallest_p_friedman,
    smallest_p_kruskal,
    smallest_p_mann_whitney,
    smallest_p_mcnemar,
    smallest_p_nemenyi,
    smallest_p_page,
    smallest_p_resampled,
    smallest_p_score,
    smallest_p_sign_flip,
    smallest_p_wilcoxon,
)


def _dealt(n_units: int, n_groups: int) -> list[int]:
    """Deal units to groups as equally as possible."""
    check_count("n_clusters", n_units, n_groups)
    return [n_units // n_groups + (i < n_units % n_groups) for i in range(n_groups)]


def _none() -> float:
    return 0.0


def _flips(n_clusters: int, n_resamples: int | None = None) -> float:
    return smallest_p_sign_flip(n_clusters, n_resamples=n_resamples)


def _kruskal(
    n_clusters: int, n_folds: int | None = None, group_sizes: Sequence[int] | None = None
) -> float:
    if group_sizes is None and n_folds is None:
        raise DesignError("`n_folds` or `group_sizes` must be given, got neither.")
    return smallest_p_kruskal(group_sizes or _dealt(n_clusters, n_folds or 1))


def _mann_whitney(group_sizes: Sequence[int]) -> float:
    if len(group_sizes) != 2:
        raise DesignError(f"`group_sizes` must hold two counts, got {list(group_sizes)!r}.")
    return smallest_p_mann_whitney(*group_sizes)


@dataclass(frozen=True)
class _Floor:
    """How a named test's smallest p follows from counts; ``sided`` where half is one-sided."""

    of: Callable[..., float]
    sided: bool = True


def _score(method: ScoreLaw) -> _Floor:
    return _Floor(lambda n_clusters: smallest_p_score(n_clusters, method=method))


def _mcnemar(method: McNemarLaw) -> _Floor:
    return _Floor(lambda n_discordant: smallest_p_mcnemar(n_discordant, method=method))


def _friedman(unit: str, *, exact: bool = False) -> _Floor:
    if unit == "fold":
        return _Floor(
            lambda n_folds, n_arms: smallest_p_friedman(n_folds, n_arms, exact=exact), sided=False
        )
    return _Floor(
        lambda n_clusters, n_arms: smallest_p_friedman(n_clusters, n_arms, exact=exact), sided=False
    )


_RESAMPLING = (
    "permutation",
    "cluster_bootstrap",
    "cluster_bootstrap_basic",
    "cluster_bootstrap_bca",
    "cluster_bootstrap_studentised",
    "two_level_bootstrap",
    "crossed_bootstrap",
    "seed_then_cluster_bootstrap",
    "froc_bootstrap",
    "cpm_bootstrap",
)
_WITHOUT = (
    "t_clustered",
    "paired_t",
    "corrected_t",
    "corrected_t_clustered",
    "crossed_t",
    "welch",
    "welch_clustered",
    "iman_davenport",
    "block_anova",
    "auc_delong",
    "auc_unpaired",
    "auc_clustered",
    "cohens_kappa",
    "rater_icc",
    "cliffs_delta",
)

FLOORS: dict[str, _Floor] = {
    "mcnemar": _mcnemar("exact"),
    "mcnemar_exact": _mcnemar("exact"),
    "mcnemar_midp": _mcnemar("mid-p"),
    "mcnemar_asymptotic": _mcnemar("asymptotic"),
    "discordance_odds": _mcnemar("exact"),
    "mcnemar_clustered": _score("pooled"),
    "mcnemar_obuchowski": _score("obuchowski"),
    "mcnemar_yang": _score("yang"),
    "mcnemar_durkalski": _score("durkalski"),
    "sign_flip": _Floor(_flips),
    "sign_flip_clustered": _Floor(_flips),
    "wilcoxon": _Floor(lambda n_clusters: smallest_p_wilcoxon(n_clusters)),
    "wilcoxon_clustered": _Floor(lambda n_clusters: smallest_p_wilcoxon(n_clusters)),
    "signed_rank_clustered": _Floor(_flips),
    "mann_whitney": _Floor(_mann_whitney),
    "friedman": _friedman("fold"),
    "friedman_exact": _friedman("fold", exact=True),
    "friedman_clustered": _friedman("cluster"),
    "nemenyi": _Floor(lambda n_folds, n_arms: smallest_p_nemenyi(n_folds, n_arms), sided=False),
    "nemenyi_clustered": _Floor(
        lambda n_clusters, n_arms: smallest_p_nemenyi(n_clusters, n_arms), sided=False
    ),
    "page": _Floor(lambda n_clusters, n_arms: smallest_p_page(n_clusters, n_arms)),
    "page_folds": _Floor(lambda n_folds, n_arms: smallest_p_page(n_folds, n_arms)),
    "kruskal": _Floor(_kruskal, sided=False),
    "kruskal_folds": _Floor(_kruskal, sided=False),
    **dict.fromkeys(_RESAMPLING, _Floor(smallest_p_resampled)),
    **dict.fromkeys(_WITHOUT, _Floor(_none)),
}


def reach(
    name: str,
    *,
    n_clusters: int | None = None,
    n_folds: int | None = None,
    n_arms: int | None = None,
    n_discordant: int | None = None,
    n_resamples: int | None = None,
    group_sizes: Sequence[int] | None = None,
    sides: Literal[1, 2] = 2,
) -> float:
    """Return the smallest p that a named test can reach with a design.

    Numbers that the test does not depend on are ignored, so that all that is known can be passed.

    Args:
        name: as in ``paper.yml``, or another key of :data:`FLOORS`.
        n_clusters: independent units; for clustered McNemar tests and sign flips those that differ.
        n_folds: training splits.
        n_arms: methods.
        n_discordant: cases that exactly one method gets right.
        n_resamples: bootstrap replicates or random sign patterns.
        group_sizes: independent units of each group.
        sides: 1 for the one-sided p of margins and directions; tests of all arms at once have one
            kind of p only.

    Returns:
        0 for tests without a smallest p, at most 1.

    Raises:
        DesignError: an unknown test, or a number that it needs is missing.

    Example:
        >>> reach("sign_flip_clustered", n_clusters=5), reach("corrected_t", n_folds=5)
        (0.0625, 0.0)
    """
    if name not in FLOORS:
        near = difflib.get_close_matches(name, FLOORS, n=1, cutoff=0.4)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise DesignError(f"`name` must be a known test, got {name!r}.{hint}")
    if sides not in (1, 2):
        raise DesignError(f"`sides` must be 1 or 2, got {sides!r}.")
    given = {
        "n_clusters": n_clusters,
        "n_folds": n_folds,
        "n_arms": n_arms,
        "n_discordant": n_discordant,
        "n_resamples": n_resamples,
        "group_sizes": group_sizes,
    }
    floor = FLOORS[name]
    wanted = {}
    for key, parameter in inspect.signature(floor.of).parameters.items():
        if given[key] is None and parameter.default is inspect.Parameter.empty:
            raise DesignError(f"`{key}` must be given for {name}, got None.")
        wanted[key] = given[key]
    found = min(1.0, floor.of(**wanted))
    return found / 2 if sides == 1 and floor.sided else found


def units_to_reach(
    name: str,
    alpha: float = 0.05,
    *,
    unit: Literal["n_clusters", "n_folds", "n_discordant", "n_resamples"] = "n_clusters",
    sides: Literal[1, 2] = 2,
    **known: int,
) -> int:
    """Find the smallest number of units with which a test can reach a level at all.

    Args:
        name: as for :func:`reach`.
        alpha: the level, after the correction for other claims of the family.
        unit: what is counted.
        sides: as for :func:`reach`.
        known: the other numbers that the test needs.

    Returns:
        At least 2 (1 for ``n_discordant`` and ``n_resamples``).

    Raises:
        DesignError: as :func:`reach`; or no number up to a million reaches it.

    Example:
        >>> units_to_reach("sign_flip_clustered"), units_to_reach("sign_flip_clustered", 0.05 / 10)
        (6, 9)
    """
    first = 2 if unit in ("n_clusters", "n_folds") else 1

    def reached(n: int) -> bool:
        return reach(name, sides=sides, **{unit: n}, **known) <= alpha  # type: ignore[arg-type]

    low, high = first - 1, first
    while not reached(high):
        low, high = high, 2 * high
        if high > 2_000_000:
            raise DesignError(
                f"`alpha` must be reachable by more {unit}, got {alpha!r} for {name}. "
                "Its smallest p depends on something else."
            )
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high
