"""What leaving out half of the images can do, by hair or by how well an image fits its class."""

import numpy as np
import pandas as pd
from joblib import delayed
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from common.chapters.skin_bss.cohorts import (
    HAIR,
    Options,
    blind,
    cohort_seed,
    draw,
    in_parallel,
    single_threaded,
)
from common.errors import UsageError
from common.models import skin_bss, skin_bss_scores
from common.statistics.areas import auc

# share of the choice that looks at the result; 0 looks at hair alone
BIASES = (0.0, 0.1, 0.25, 0.5, 1.0)
GAPS = (0.35, 0.0)


def keep_half(
    score: ArrayLike, label: ArrayLike, hair: ArrayLike, *, bias: float
) -> NDArray[np.bool_]:
    """Leave out half of each class.

    Images are ranked inside their class by hair and by misfit, which is a low score of a melanoma
    and a high one of a naevus. ``bias`` weighs the two ranks; the upper half is left out.

    Args:
        score (n,): what should tell the classes apart, higher for melanoma.
        label (n,): 1 for melanoma.
        hair (n,): how much hair an image shows.
        bias: 0 looks at hair alone, 1 at misfit alone.

    Returns:
        (n,): whether an image is kept; of an odd class the larger half is.

    Raises:
        UsageError: ``bias`` is outside [0, 1].

    Example:
        >>> keep_half([1, 2, 3, 4], [0, 0, 1, 1], [0, 1, 1, 0], bias=0).tolist()
        [True, False, False, True]
        >>> keep_half([1, 2, 3, 4], [0, 0, 1, 1], [0, 1, 1, 0], bias=1).tolist()
        [True, False, False, True]
    """
    if not 0 <= bias <= 1:
        raise UsageError(f"`bias` must be in [0, 1], got {bias!r}. Give a share.")
    scores, classes, hairs = np.asarray(score), np.asarray(label), np.asarray(hair)
    kept = np.zeros(len(scores), dtype=bool)
    for code in np.unique(classes):
        mine = np.flatnonzero(classes == code)
        misfit = rankdata(-scores[mine] if code else scores[mine])
        badness = (1 - bias) * rankdata(hairs[mine]) + bias * misfit
        kept[mine[np.argsort(badness, kind="stable")[: (len(mine) + 1) // 2]]] = True
    return kept


def run(
    *,
    seed: int,
    n_cohorts: int,
    n_images: int,
    size: int,
    zone_length: int,
    options: Options,
    jobs: int = 2,
    progress: bool = False,
) -> pd.DataFrame:
    """Draw cohorts twice as large, with hair, and judge the halves that are kept.

    Args:
        seed: first part of the seed of every cohort.
        n_cohorts: cohorts.
        n_images: images that are kept of each (the paper: 85 of 170).
        size: side of an image (pixels).
        zone_length: height of a zone (pixels).
        options: what the paper leaves open.
        jobs: processes.
        progress: show a bar.

    Returns:
        Records without ``paper, run, profile``: metrics ``auc`` and ``box_gap`` of each cohort,
        arms ``all-images`` and ``half <bias>``, group ``excluded, gap <gap>``.
    """
    todo = [
        delayed(_one_cohort)(gap, seed, number, n_images, size, zone_length, options)
        for number in range(n_cohorts)
        for gap in GAPS
    ]
    return pd.concat(in_parallel(todo, jobs=jobs, progress=progress), ignore_index=True)


@single_threaded
def _one_cohort(
    gap: float,
    seed: int,
    number: int,
    n_images: int,
    size: int,
    zone_length: int,
    options: Options,
) -> pd.DataFrame:
    # images of their own: those of the other experiment would be chosen from twice
    own = cohort_seed(seed, number) + 500
    dials = {**HAIR.dials, "gap": gap, "zone_length": float(zone_length)}
    cohort = draw(2 * n_images, own, size=size, **dials)
    A, S = blind(cohort.X, options)["sca-nmf"]
    score = skin_bss.contributions(A, S, cohort.mask).sum(axis=1)[:, 2]
    kept = {"all-images": np.ones(len(score), dtype=bool)}
    for bias in BIASES:
        kept[f"half-{bias:g}"] = keep_half(score, cohort.label, cohort.hair, bias=bias)
    rows = []
    for arm, chosen in kept.items():
        mine, label = score[chosen], cohort.label[chosen]
        gap_of_boxes = skin_bss_scores.boxes(mine, label).relative_gap
        for metric, value in (("auc", auc(mine, label)), ("box_gap", gap_of_boxes)):
            rows.append({"arm": arm, "metric": metric, "value": value})
    name = f"excluded, gap {gap:g}"
    return pd.DataFrame(rows).assign(
        source="phantom",
        seed=0,
        fold="",
        case=f"{name} cohort-{number:02d}",
        cluster=f"cohort-{number:02d}",
        group=name,
    )
