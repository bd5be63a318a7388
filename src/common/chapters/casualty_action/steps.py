"""What annotated steps tell without a picture, and which accuracy would show more than that."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common.models.casualty_action_blind import (
    BLIND,
    Blind,
    blind_scores,
    design_effect,
    least_evidence,
    previous_actions,
    sequence_names,
)
from common.models.casualty_action_training import in_top
from common.statistics.bootstrap import cluster_bootstrap

N_FOLDS = 10
# the guess that is also made with copies of the video known, and with a split by clips
PROBED: Blind = "index"
WORDS = {
    "majority": "most frequent action",
    "procedure": "procedure",
    "index": "procedure and place",
    "previous": "procedure and action before",
}


@dataclass(frozen=True)
class Guesses:
    """Blind guesses at every annotated step.

    Args:
        steps: from :func:`common.chapters.casualty_action.inputs.sequences`.
        source: where they come from.
        right: 1 where the guess is right (n,), by arm and by how many places count (1 or 5).
        sequence (n,): the distinct sequence that a step's video consists of.
    """

    steps: pd.DataFrame
    source: str
    right: dict[tuple[str, int], NDArray[np.float64]]
    sequence: NDArray[np.object_]


def guess_all(steps: pd.DataFrame, source: str, *, seed: int) -> Guesses:
    """Guess every step from videos with another sequence of actions, and in two leaky ways.

    Args:
        steps: ``cluster, procedure, position, action``.
        source: where they come from.
        seed: deals the clips of the leaky split to folds.
    """
    sequence = sequence_names(steps)
    video = steps["cluster"].to_numpy(object)
    fold = np.random.default_rng([seed, 3]).integers(N_FOLDS, size=len(steps)).astype(object)
    wanted: list[tuple[str, Blind, NDArray[np.object_]]] = [
        (f"steps-{kind}", kind, sequence) for kind in BLIND
    ]
    wanted += [
        (f"steps-{PROBED}-video", PROBED, video),
        (f"steps-{PROBED}-clip", PROBED, fold),
    ]
    n_actions = int(steps["action"].max()) + 1
    label = steps["action"].to_numpy(np.int64)
    right = {}
    for arm, kind, held_out in wanted:
        score = blind_scores(steps, kind, held_out=held_out, n_actions=n_actions)
        for k in (1, 5):
            right[arm, k] = in_top(score, label, k)
    return Guesses(steps, source, right, sequence)


def records(found: Guesses) -> pd.DataFrame:
    """Make records, cluster = the distinct sequence; without ``paper, run, profile``."""
    parts = [
        pd.DataFrame(
            {
                "arm": arm,
                "case": found.steps["case"].to_numpy(),
                "cluster": found.sequence,
                "group": found.steps["procedure"].to_numpy(),
                "metric": "correct",
                "value": value,
            }
        )
        for (arm, k), value in found.right.items()
        if k == 1
    ]
    return pd.concat(parts, ignore_index=True).assign(source=found.source, seed=0, fold="")


def summary(found: Guesses, *, rng: np.random.Generator) -> pd.DataFrame:
    """Average the guesses, with intervals from resampled sequences.

    Returns:
        By arm: ``top1, low, high, top5`` (percent), and the ``design_effect`` of videos.
    """
    video, rows = found.steps["cluster"].to_numpy(), {}
    for (arm, k), value in found.right.items():
        if k == 1:
            ends = cluster_bootstrap(value, cluster=found.sequence, n_resamples=2000, rng=rng)
            interval = ends.interval(0.95)
            five = found.right[arm, 5].mean()
            effect = design_effect(value, video)
            shown = (value.mean(), interval.low, interval.high, five)
            rows[arm] = (*(100 * each for each in shown), effect)
    columns = ["top1", "low", "high", "top5", "design_effect"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def evidence_of_seeing(table: pd.DataFrame, sizes: tuple[int, ...]) -> pd.DataFrame:
    """Find the accuracy from which on test clips are evidence against each blind guess.

    Args:
        table: of :func:`summary`.
        sizes: numbers of test clips.

    Returns:
        By guess: its accuracy, and for each size the least accuracy if clips are independent, and
        if they hang together by video as the guesses do; percent, NaN if none would do.
    """
    rows = {}
    guesses, effects = table["top1"].to_dict(), table["design_effect"].to_dict()
    for kind in BLIND:
        guess = float(guesses[f"steps-{kind}"])
        clustered = float(effects[f"steps-{kind}"])
        row = {"guess": guess}
        for n in sizes:
            for name, effect in (("clips", 1.0), ("videos", clustered)):
                least = least_evidence(n, guess / 100, design_effect=effect)
                # fewer clips make coarser steps, which must not look like less to show
                least = max(least, row.get(f"{n}, clips", 0.0) / 100)
                row[f"{n}, {name}"] = 100 * least if least <= 1 else np.nan
        rows[WORDS[kind]] = row
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("blind guess from")


def structure(found: Guesses) -> pd.DataFrame:
    """Count what makes steps easy to guess: videos, copies, actions, repeats; by procedure."""
    steps = found.steps.assign(sequence=found.sequence, before=previous_actions(found.steps))
    steps["repeat"] = steps["action"] == steps["before"]
    steps["elsewhere"] = steps.duplicated(["cluster", "action"], keep=False)
    grouped = steps.groupby("procedure", sort=False)
    table = pd.DataFrame(
        {
            "videos": grouped["cluster"].nunique(),
            "distinct": grouped["sequence"].nunique(),
            "clips": grouped.size(),
            "actions": grouped["action"].nunique(),
            "repeats (%)": 100 * grouped["repeat"].mean(),
            "in the video again (%)": 100 * grouped["elsewhere"].mean(),
        }
    )
    return table.rename_axis("procedure")


def common_verbs(steps: pd.DataFrame, names: pd.DataFrame, n: int = 6) -> pd.Series:
    """Count clips of the most frequent verbs.

    Args:
        steps: with ``verb`` codes.
        names: of :func:`common.datasets.ttd_annotations.actions` or of the phantom.
        n: verbs.
    """
    word = names.drop_duplicates("verb_code").set_index("verb_code")["verb"]
    return steps["verb"].map(word).value_counts().head(n)
