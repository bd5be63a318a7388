"""The mechanism of the switch at both ends of its dial: high resolution needed, and not."""

from collections.abc import Iterable, Sequence

import pandas as pd
from joblib import delayed

from common.chapters.sos.experiment import in_parallel, train_one
from common.chapters.sos.inputs import phantom_slides
from common.datasets.lks_phantom import CLASSES
from common.models.sos_training import ARMS, Settings

# smaller seeds of the phantom are those of the other slides, or were looked at before
_FIRST_DRAW = 20_000


def turn_dial(
    settings: Settings,
    *,
    stands: Sequence[float],
    seeds: Iterable[int],
    n_slides: int,
    size: int,
    tile: int,
    shrink: int,
    jobs: int = 2,
    progress: bool = False,
) -> pd.DataFrame:
    """Turn the dials of the mechanism: how many smooth-muscle slides leave no coarse sign.

    Both dials, ``fine_only`` and ``fine_tubules``, stand at the same value. Each seed draws slides
    of its own, trains SOS on them, and asks both its streams about as many new ones; smooth-muscle
    slides are scored.

    Args:
        settings: sizes and weights.
        stands: shares from 0 (nothing is hidden from low resolution) to 1.
        seeds: one draw and one training for each.
        n_slides: slides to train on, and as many to test on.
        size: side of a slide.
        tile: side of a tile.
        shrink: factor of the overview.
        jobs: processes.
        progress: show a bar.

    Returns:
        Records without ``paper, run, profile``: arms ``dial-high`` and ``dial-low``, metric
        ``correct``, group ``fine <share>``, cluster = the draw.
    """
    todo = [
        delayed(_one_stand)(settings, stand, seed, n_slides, size, tile, shrink)
        for stand in stands
        for seed in seeds
    ]
    return pd.concat(in_parallel(todo, jobs=jobs, progress=progress), ignore_index=True)


def _one_stand(
    settings: Settings, stand: float, seed: int, n: int, size: int, tile: int, shrink: int
) -> pd.DataFrame:
    train, test = (
        phantom_slides(
            n,
            _FIRST_DRAW + 2 * seed + k,
            size=size,
            tile=tile,
            shrink=shrink,
            fine_only=stand,
            fine_tubules=stand,
        )
        for k in (0, 1)
    )
    arm = next(each for each in ARMS if each.name == "sos")
    found, _, _ = train_one(train, test, arm, seed, settings)
    muscle = test.label >= CLASSES.index("SMA-V")
    parts = []
    for stream in ("high", "low"):
        right = (found[stream].argmax(axis=1) == test.label)[muscle].astype(float)
        table = pd.DataFrame({"value": right}).assign(
            arm=f"dial-{stream}",
            # every seed has slides of its own, so their names carry the seed
            case=[f"s{seed}-{name}" for name in test.table["case"][muscle]],
            cluster=f"draw-{seed}",
            group=f"fine {stand:g}",
            metric="correct",
        )
        parts.append(table)
    return pd.concat(parts).assign(source="phantom", seed=seed, fold="")
