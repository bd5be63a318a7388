"""Does the mechanism act? The width of the network as a dial, on generated frames."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from joblib import delayed

from common.chapters.polyp_pruning import inputs
from common.chapters.polyp_pruning.curves import RIGHT, frame_iou, pruned
from common.chapters.polyp_pruning.experiment import in_parallel, tensors
from common.models.polyp_pruning import layout
from common.models.polyp_pruning_scores import taylor, taylor_terms
from common.models.polyp_pruning_training import Settings, fit

# filters at level 1 of a network that has few to spare, and of one that has many
WIDTHS = {"narrow": 2, "wide": 16}
# a draw of the phantom, and training seeds, that nothing else uses
_DRAW, _FIRST_SEED = 30_000, 100


def turn_dial(
    settings: Settings,
    *,
    seeds: Iterable[int],
    n_train: int,
    n_measure: int,
    size: int,
    widths: Mapping[str, int] = WIDTHS,
    jobs: int = 2,
    progress: bool = False,
) -> pd.DataFrame:
    """Train a narrow and a wide network on generated frames and remove a quarter of the filters.

    Args:
        settings: of the trainings.
        seeds: of the trainings, counted from 100 on; all see the same frames.
        n_train: training frames; a quarter as many are importance frames.
        n_measure: measured frames, of other patients.
        size: side (px).
        widths: stands of the dial.
        jobs: processes.
        progress: show a bar.

    Returns:
        Records of source ``phantom``: arms ``dial-pruned`` and ``dial-whole``, group: the stand.
    """
    n_importance = n_train // 4
    frames = inputs.load(
        "phantom",
        size=size,
        n=n_train + n_importance + 2 * n_measure + 20,
        seed=_DRAW,
    )
    parts = inputs.parts(
        frames, n_train=n_train, n_importance=n_importance, n_measure=n_measure, seed=_DRAW
    )
    shifted = [_FIRST_SEED + seed for seed in seeds]
    keys = [(name, seed) for name in sorted(widths, key=lambda n: -widths[n]) for seed in shifted]
    todo: list[Any] = [delayed(_one)(parts, settings, widths[name], seed) for name, seed in keys]
    done = in_parallel(todo, jobs=jobs, progress=progress)
    table = parts.measure.table
    rows = [
        pd.DataFrame(
            {
                "arm": arm,
                "seed": seed,
                "case": table["case"],
                "cluster": table["cluster"],
                "group": name,
                "metric": "iou",
                "value": values[arm],
            }
        )
        for (name, seed), values in zip(keys, done, strict=True)
        for arm in ("dial-pruned", "dial-whole")
    ]
    return pd.concat(rows, ignore_index=True).assign(source="phantom", fold="")


def _one(parts: inputs.Parts, settings: Settings, width: int, seed: int) -> dict[str, np.ndarray]:
    torch.set_num_threads(1)
    train = parts.train
    model, _ = fit(layout(width), train.image, train.mask, settings=settings, seed=seed)
    device = next(model.parameters()).device
    image, mask = (each.to(device) for each in tensors(parts.importance))
    scores = taylor(taylor_terms(model, image, mask))
    return {
        "dial-whole": frame_iou(model, parts.measure),
        "dial-pruned": frame_iou(pruned(model, scores, RIGHT), parts.measure),
    }
