"""The experiment of the skin-bss chapter: all methods on all images, cohorts and settings."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from joblib import delayed
from numpy.typing import NDArray

from common.chapters.skin_bss.cohorts import (
    HAIR,
    MAIN,
    SETTINGS,
    TRUE_MIXING,
    Array,
    Cohort,
    Found,
    Options,
    Setting,
    blind,
    cohort_seed,
    draw,
    factorise,
    in_parallel,
    known,
    single_threaded,
)
from common.datasets import skin_lesion_phantom as phantom
from common.models import skin_bss, skin_bss_scores
from common.statistics.areas import auc

CRITERIA = ("c1", "c2", "c3")
# scores that are kept image by image in every setting; of the others the areas are
EVERYWHERE = ("sca-nmf", "classical", "blue", "true-maps")
MELANIN_BANDS = tuple(f"melanin-{band}" for band in skin_bss.BANDS)


def run(
    settings: Sequence[Setting],
    *,
    seed: int,
    n_cohorts: int,
    n_images: int,
    n_restarts: int,
    size: int,
    zone_length: int,
    options: Options,
    jobs: int = 2,
    progress: bool = False,
) -> pd.DataFrame:
    """Separate and score every image of every cohort in every setting.

    Args:
        settings: see :data:`SETTINGS`.
        seed: first part of the seed of every cohort.
        n_cohorts: cohorts, the same lesions in every setting.
        n_images: images of a cohort (the paper: 85).
        n_restarts: random starts.
        size: side of an image (pixels).
        zone_length: height of a zone (pixels).
        options: what the paper leaves open.
        jobs: processes on a CPU; a GPU takes one a core. Each uses one thread, so the records do
            not depend on their number.
        progress: show a bar.

    Returns:
        Records without ``paper, run, profile``; see :mod:`common.records`.
    """
    todo = [
        delayed(_one_cohort)(
            setting, seed, number, n_images, n_restarts, size, zone_length, options
        )
        for number in range(n_cohorts)
        for setting in settings
    ]
    return pd.concat(in_parallel(todo, jobs=jobs, progress=progress), ignore_index=True)


@single_threaded
def _one_cohort(
    setting: Setting,
    seed: int,
    number: int,
    n_images: int,
    n_restarts: int,
    size: int,
    zone_length: int,
    options: Options,
) -> pd.DataFrame:
    dials = {"zone_length": float(zone_length), **setting.dials}
    cohort = draw(n_images, cohort_seed(seed, number), size=size, **dials)
    found = blind(cohort.X, options)
    found["classical"] = known(cohort.X, options.reference)
    found["calibrated"] = known(cohort.X, TRUE_MIXING)
    found["true-maps"] = (cohort.mixing, cohort.sources)
    rows = Rows(cohort, setting, number)
    for arm, (A, S) in found.items():
        _score(rows, arm, A, S)
    _identify(rows, "sca-nmf-renamed", _melanin(_renamed(found["sca-nmf"]), cohort))
    _bands(rows, skin_bss.contributions(*found["sca-nmf"], cohort.mask))
    if setting.restarts:
        _restarts(rows, found["sca-nmf"], seed, n_restarts, options)
    return rows.frame()


class Rows:
    """Collects the records of one cohort in one setting.

    Args:
        cohort: the images.
        setting: the dials.
        number: of the cohort.
    """

    def __init__(self, cohort: Cohort, setting: Setting, number: int) -> None:
        self.cohort, self.setting, self.number = cohort, setting, number
        suffix = f", {setting.id}" if setting.id else ""
        #: group of each image: class and setting
        self.classes = np.array([f"{phantom.CLASSES[code]}{suffix}" for code in cohort.label])
        self.setting_name = setting.id or "main"
        self.cluster = f"cohort-{number:02d}"
        self.names = np.array([f"{self.setting_name} c{number:02d} {case}" for case in cohort.case])
        self._parts: list[list[NDArray[Any]]] = []

    def images(
        self, metric: str, arm: str, value: Array, *, by_class: bool = False, seed: int = 0
    ) -> None:
        """Add one value an image; its group is the setting, or the class with the setting."""
        group = self.classes if by_class else self.setting_name
        # seven digits are kept: archives stay small
        rounded = np.asarray(value, dtype=np.float32).astype(np.float64)
        self._add(metric, arm, rounded, self.names, self.names, group, seed)

    def once(self, metric: str, arm: str, value: float, *, seed: int = 0) -> None:
        """Add one value for the whole cohort."""
        name = f"{self.setting_name} {self.cluster}"
        self._add(metric, arm, np.array([value]), name, self.cluster, self.setting_name, seed)

    def _add(
        self, metric: str, arm: str, value: Array, case: Any, cluster: Any, group: Any, seed: int
    ) -> None:
        given = (arm, case, cluster, group, metric, seed)
        self._parts.append([np.broadcast_to(each, value.shape) for each in (*given, value)])

    def frame(self) -> pd.DataFrame:
        """Return all records."""
        names = ("arm", "case", "cluster", "group", "metric", "seed", "value")
        columns = [np.concatenate(parts) for parts in zip(*self._parts, strict=True)]
        table = pd.DataFrame(dict(zip(names, columns, strict=True)))
        return table.assign(source="phantom", fold="")


def _score(rows: Rows, arm: str, A: Array, S: Array) -> None:
    """Score one method: the criterion, and how well the sources were separated."""
    cohort = rows.cohort
    criterion = skin_bss.contributions(A, S, cohort.mask).sum(axis=1)
    _identify(rows, arm, criterion[:, 2])
    if arm == "true-maps":
        return
    rows.images("source_r", arm, mean_correlation(S, cohort.sources))
    if rows.setting.id:
        return
    rows.images("amari", arm, skin_bss_scores.amari_index(A, cohort.mixing))
    rows.images("negative_share", arm, (S[:, 1] < 0).mean(axis=1))
    ratios = [
        skin_bss_scores.interference_ratio(*pair) for pair in zip(S, cohort.sources, strict=True)
    ]
    # ratios without a bound, of exact or empty maps, would make every mean infinite
    rows.images("interference_db", arm, np.clip(ratios, -60, 60).mean(axis=1))
    if arm == "sca-nmf":
        for name, value in zip(CRITERIA, criterion.T, strict=True):
            rows.images("contribution", name, value)
        rows.images("in_order", arm, in_order(criterion))


def mean_correlation(estimated: Array, true: Array) -> Array:
    """Average the matched correlations of the three sources (n,)."""
    return np.asarray(skin_bss_scores.matched_correlation(estimated, true).mean(axis=-1))


def in_order(criterion: Array) -> Array:
    """Return 1 where the contributions rise from oxy- to deoxyhaemoglobin to melanin (n,)."""
    return np.asarray((np.diff(criterion, axis=1) > 0).all(axis=1), dtype=np.float64)


def _identify(rows: Rows, arm: str, score: Array) -> None:
    """Record a score that should tell the classes apart, and what it does in this cohort."""
    label = rows.cohort.label
    if arm in EVERYWHERE or not rows.setting.id:
        rows.images("identification", arm, score, by_class=True)
    rows.once("auc", arm, auc(score, label))
    rows.once("box_gap", arm, skin_bss_scores.boxes(score, label).relative_gap)


def _bands(rows: Rows, contributions: Array) -> None:
    """Record the classical criterion, and melanin's contribution band by band."""
    means = skin_bss.band_means(rows.cohort.X, rows.cohort.mask)
    for names, values, best in (
        (skin_bss.BANDS, means, "best-band"),
        (MELANIN_BANDS, contributions[:, :, 2], "best-melanin-band"),
    ):
        for name, value in zip(names, values.T, strict=True):
            _identify(rows, name, value)
        gaps = [skin_bss_scores.boxes(v, rows.cohort.label).relative_gap for v in values.T]
        rows.once("box_gap", best, max(gaps))


def _restarts(rows: Rows, sparse: Found, seed: int, n_restarts: int, options: Options) -> None:
    """Start from random matrices, and keep for each image the start that ends at the least cost."""
    cohort, index = rows.cohort, SETTINGS.index(rows.setting)
    A, S = sparse
    residual = ((cohort.X - A @ S) ** 2).sum(axis=(1, 2)) / (cohort.X**2).sum(axis=(1, 2))
    same = _outcome(sparse, residual, cohort)
    kept = np.full_like(same, np.inf)
    for restart in range(n_restarts):
        rng = np.random.default_rng([seed, rows.number, index, restart])
        found, cost = factorise(cohort.X, rng.random((len(cohort.X), 3, 3)), options)
        now = _outcome(found, cost, cohort)
        better = now[0] < kept[0]
        kept[:, better] = now[:, better]
        _start(rows, "random-nmf", now, restart)
        # the SCA start is paired with every random start, one by one
        _start(rows, "sca-nmf", same, restart)
    _identify(rows, "best-start", kept[1])
    _identify(rows, "best-start-renamed", kept[2])
    rows.images("source_r", "best-start", kept[3])


def _outcome(found: Found, cost: Array, cohort: Cohort) -> Array:
    """Return cost, criterion of melanin under both names, and correlation (4, n)."""
    named = (_melanin(found, cohort), _melanin(_renamed(found), cohort))
    return np.stack([cost, *named, mean_correlation(found[1], cohort.sources)])


def _melanin(found: Found, cohort: Cohort) -> Array:
    """Return the criterion of melanin (n,)."""
    return np.asarray(skin_bss.contributions(*found, cohort.mask).sum(axis=1)[:, 2])


def _renamed(found: Found) -> Found:
    """Name the columns by the true matrix, as if the spectra had been those of the camera."""
    return skin_bss.reorder(*found, skin_bss.assign(found[0], TRUE_MIXING))


def _start(rows: Rows, arm: str, outcome: Array, restart: int) -> None:
    """Record where one start has led."""
    cost, score, _, correlation = outcome
    rows.once("start_auc", arm, auc(score, rows.cohort.label), seed=restart)
    rows.once("start_r", arm, float(correlation.mean()), seed=restart)
    rows.once("start_cost", arm, float(np.median(cost)), seed=restart)
    if not rows.setting.id:
        rows.images("identification_start", arm, score, by_class=True, seed=restart)
        rows.images("source_r_start", arm, correlation, seed=restart)


def hair_pairs(records: pd.DataFrame) -> pd.DataFrame:
    """Pair each image with its twin that has hair.

    Args:
        records: of :func:`run`, with the main setting and :data:`HAIR`.

    Returns:
        Records of the metric ``identification_hair``, arms ``without-hair`` and ``with-hair``.
    """
    return pd.concat(list(_twins(records)), ignore_index=True)


def _twins(records: pd.DataFrame) -> Iterator[pd.DataFrame]:
    mine = records[(records["metric"] == "identification") & (records["arm"] == "sca-nmf")]
    for setting, arm in ((MAIN, "without-hair"), (HAIR, "with-hair")):
        name = setting.id or "main"
        part = mine[mine["case"].str.startswith(f"{name} c")]
        case = part["case"].str.removeprefix(f"{name} ")
        group = part["group"].str.removesuffix(f", {setting.id}")
        yield part.assign(
            arm=arm, metric="identification_hair", case=case, cluster=case, group=group
        )
