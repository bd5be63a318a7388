"""How long the networks of the pruning chapter take, and what that says beside their operations."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from common.chapters.polyp_pruning.curves import LEFT, LEVELS, RIGHT, SCORES, TIMED
from common.chapters.polyp_pruning.experiment import Outcome
from common.models.polyp_pruning import UNet
from common.models.polyp_pruning_training import interleaved_seconds, time_ratio, to_input

Arrays = Mapping[str, NDArray[Any]]
NETWORKS = ("whole", "left", "right", "small")
TIMED_SCORES = (*SCORES, "chance")
_BATCH, _ROUNDS = 10, 7  # of the networks of all scores


def measure(outcome: Outcome, *, size: int, n_frames: int, n_rounds: int) -> dict[str, Any]:
    """Time networks of the first seed on blank frames; weights do not change the time.

    Args:
        outcome: supplies the layouts.
        size: side of a frame (px).
        n_frames: frames, in batches of 10, for the four networks of :data:`NETWORKS`.
        n_rounds: rounds in which they take turns.

    Returns:
        ``seconds-<network>`` (n_rounds,); ``timed-frames`` (); ``time-shares`` (scores, levels):
        time of one batch relative to the whole network, the shortest of seven rounds each since
        an interruption can only lengthen one, by :data:`TIMED_SCORES` and :data:`TIMED`.
    """
    blank = to_input(torch.zeros(n_frames, 3, size, size, dtype=torch.uint8))
    four = {name: UNet(outcome.plans[name]) for name in NETWORKS}
    seconds = interleaved_seconds(four, blank, repeats=n_rounds)
    every = {f"{name} {share}": UNet(plan) for (name, share), plan in outcome.timed.items()}
    once = interleaved_seconds(
        every | {"whole": four["whole"]}, blank[:_BATCH], repeats=_ROUNDS, batch_size=_BATCH
    )
    shares = [
        [once[f"{name} {share}"].min() / once["whole"].min() for share in TIMED]
        for name in TIMED_SCORES
    ]
    return {
        **{f"seconds-{name}": each for name, each in seconds.items()},
        "timed-frames": np.array(n_frames),
        "time-shares": np.array(shares),
    }


def timing(arrays: Arrays, *, rng: np.random.Generator) -> pd.DataFrame:
    """Compare measured time with counted operations.

    Args:
        arrays: of :func:`common.chapters.polyp_pruning.experiment.stacked` and :func:`measure`.
        rng: resamples rounds.

    Returns:
        One row a network: median seconds, operations and time relative to the whole, with the
        bootstrap interval of the latter.
    """
    macs = arrays["shares"][:, 0, :, 1]  # of the first seed, which is timed
    operations = {
        "whole": 1.0,
        "left": macs[SCORES.index("few"), LEVELS.index(LEFT)],
        "right": macs[SCORES.index("taylor"), LEVELS.index(RIGHT)],
        "small": arrays["small-shares"][0, 1],
    }
    rows = {}
    for name, left in operations.items():
        mine = arrays[f"seconds-{name}"]
        ratio, low, high = time_ratio(mine, arrays["seconds-whole"], rng=rng)
        rows[name] = {
            "seconds": float(np.median(mine)),
            "operations left": float(left),
            "time left": ratio,
            "low": low,
            "high": high,
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("network")
