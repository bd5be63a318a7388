"""Baselines that see no picture: what procedure, place in the video and the step before tell."""

from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

Blind = Literal["majority", "procedure", "index", "previous"]
BLIND: tuple[Blind, ...] = get_args(Blind)

# what a count of a wider context weighs: it decides only where narrower ones tie or are empty
_BACK_OFF = 1e-4


def previous_actions(steps: pd.DataFrame) -> NDArray[np.int64]:
    """Return the action before each step in its video, -1 at the start of a video (n,).

    Args:
        steps: ``cluster, position, action``.

    Example:
        >>> rows = {"cluster": list("aab"), "position": [0, 1, 0], "action": [7, 8, 9]}
        >>> previous_actions(pd.DataFrame(rows)).tolist()
        [-1, 7, -1]
    """
    ordered = steps.sort_values(["cluster", "position"])
    before = ordered.groupby("cluster", sort=False)["action"].shift(1)
    return before.reindex(steps.index).fillna(-1).to_numpy(np.int64)


def contexts(steps: pd.DataFrame, kind: Blind) -> pd.Series:
    """Say what a baseline knows of each step, as text.

    Args:
        steps: ``cluster, procedure, position, action``.
        kind: ``majority`` knows nothing; ``procedure`` the procedure; ``index`` also the clip's
            place in the video; ``previous`` the procedure and the true action before.

    Raises:
        ValueError: an unknown kind.
    """
    procedure = steps["procedure"].astype(str)
    if kind == "majority":
        return pd.Series("", index=steps.index)
    if kind == "procedure":
        return procedure
    if kind == "index":
        return procedure + "|" + steps["position"].astype(str)
    if kind == "previous":
        return procedure + "|" + pd.Series(previous_actions(steps), steps.index).astype(str)
    raise ValueError(f"`kind` must be one of {', '.join(BLIND)}, got {kind!r}. Choose one of them.")


def blind_scores(
    steps: pd.DataFrame, kind: Blind, *, held_out: NDArray[np.generic], n_actions: int
) -> NDArray[np.float64]:
    """Predict each step from all steps that are not held out together with it.

    Actions are counted in the step's context; wider contexts (the procedure, then everything)
    decide ties and stand in where a context is new.

    Args:
        steps: ``cluster, procedure, position, action`` (n rows).
        kind: see :func:`contexts`.
        held_out (n,): name of the group that a step is held out with: its video, or its fold.
        n_actions: size of the vocabulary.

    Returns:
        (n, n_actions) scores, larger for likelier actions.
    """
    action = steps["action"].to_numpy(np.int64)
    score = np.zeros((len(steps), n_actions))
    for weight, width in ((1.0, kind), (_BACK_OFF, "procedure"), (_BACK_OFF**2, "majority")):
        code, names = pd.factorize(contexts(steps, width))
        total = np.zeros((len(names), n_actions))
        np.add.at(total, (code, action), 1.0)
        for group in pd.unique(pd.Series(held_out)):
            mine = np.flatnonzero(held_out == group)
            own = np.zeros_like(total)
            np.add.at(own, (code[mine], action[mine]), 1.0)
            score[mine] += weight * (total - own)[code[mine]]
    return score


def fitted_scores(
    train: pd.DataFrame, test: pd.DataFrame, kind: Blind, *, n_actions: int
) -> NDArray[np.float64]:
    """Predict test steps from training steps; see :func:`blind_scores`.

    Returns:
        (n_test, n_actions) scores.
    """
    both = pd.concat([train, test], ignore_index=True)
    part = np.where(np.arange(len(both)) < len(train), "train", "test")
    score = blind_scores(both, kind, held_out=part, n_actions=n_actions)
    return score[len(train) :]


def sequence_names(steps: pd.DataFrame) -> NDArray[np.object_]:
    """Name the sequence of actions that each step's video consists of; copies share a name (n,).

    Example:
        >>> rows = {"cluster": list("aabb"), "position": [0, 1, 0, 1], "action": [7, 8, 7, 8]}
        >>> sequence_names(pd.DataFrame({**rows, "procedure": "p"})).tolist()
        ['q000', 'q000', 'q000', 'q000']
    """
    ordered = steps.sort_values(["cluster", "position"])
    whole = ordered.groupby("cluster", sort=False).apply(  # type: ignore[call-overload]
        lambda video: (video["procedure"].iloc[0], *video["action"]), include_groups=False
    )
    code, _ = pd.factorize(whole)
    names = dict(zip(whole.index, [f"q{k:03d}" for k in code], strict=True))
    return steps["cluster"].map(names).to_numpy(object)


def least_evidence(
    n: int, blind: float, *, design_effect: float = 1.0, alpha: float = 0.05
) -> float:
    """Find the smallest accuracy on n clips that a baseline of known accuracy would hardly reach.

    The exact binomial test, one-sided, on as many independent clips as the clusters leave.

    Args:
        n: test clips.
        blind: accuracy of the baseline, in (0, 1).
        design_effect: variance of the mean relative to independent clips; n is divided by it.
        alpha: level.

    Returns:
        k / n for the smallest count k with P(K >= k) < alpha; above 1 if there is none.

    Raises:
        ValueError: numbers outside their range.

    Example:
        Of ten throws of a fair coin nine heads are evidence, P(K >= 9) = 11 / 1024; eight are not.

        >>> least_evidence(10, 0.5)
        0.9
    """
    if n < 1 or not 0 < blind < 1 or design_effect < 1:
        raise ValueError(
            "`n` must be at least 1, `blind` in (0, 1) and `design_effect` at least 1, got "
            f"{n!r}, {blind!r} and {design_effect!r}. Change them."
        )
    left = max(1, int(n / design_effect))
    counts = np.arange(left + 2)
    tail = stats.binom.sf(counts - 1, left, blind)
    return float(counts[np.flatnonzero(tail < alpha)[0]] / left)


def design_effect(right: NDArray[np.floating], cluster: NDArray[np.generic]) -> float:
    """Estimate how much clusters inflate the variance of a mean of right answers, at least 1.

    The variance of the ratio estimator over clusters, relative to that of independent clips.

    Args:
        right (n,): 1 where right.
        cluster (n,): names of clusters.

    Example:
        Clusters of two equal answers count as one each:

        >>> right, cluster = np.repeat([0.0, 1.0] * 50, 2), np.repeat(np.arange(100), 2)
        >>> round(design_effect(right, cluster), 2)
        2.02
    """
    table = pd.DataFrame({"residual": right - right.mean(), "cluster": cluster})
    sums = table.groupby("cluster")["residual"].sum().to_numpy()
    m, n, p = len(sums), len(right), float(right.mean())
    independent = n * p * (1 - p)
    if independent == 0 or m < 2:
        return 1.0
    return max(1.0, m / (m - 1) * float((sums**2).sum()) / independent)
