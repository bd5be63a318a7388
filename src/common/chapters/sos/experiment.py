"""The experiment of the SOS chapter: every arm with every seed, asked about the same slides."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from joblib import Parallel, cpu_count, delayed
from numpy.typing import NDArray
from tqdm.auto import tqdm

from common import splits
from common.chapters.sos.inputs import Slides
from common.datasets import lks_phantom
from common.models.sos import Design, SOSNetwork
from common.models.sos_switch import (
    Cost,
    aurc,
    best_threshold,
    calibration_error,
    count_operations,
    measure_seconds,
    switched,
)
from common.models.sos_training import ARMS, Arm, Settings, predict, train_arm
from common.statistics.areas import auc

# the trainings whose predictions are read in more than one way, and the names of those readings
LOW = {"sos": "sos-low", "detached": "detached-low"}
HIGH = {"sos": "sos-high", "no-executive": "multi-l2"}
COMPARED = ("image", "patch", "multi", "rdms", "sos")
VALID_SHARE = 0.15
# the same network, trained again from other weights
_REDRAW = {"repeat": 500_000}
# memory of a GPU that one training is given
_GPU_GB = 8

Predictions = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Outcome:
    """What a run of the experiment gives.

    Args:
        records: without ``paper, run, profile``; see :mod:`common.records`.
        history: ``seed, training, epoch, metric, value``.
        predictions: of the test slides, by training and seed.
        thresholds: c chosen on validation slides, by seed.
        label (n,): classes of the test slides.
    """

    records: pd.DataFrame
    history: pd.DataFrame
    predictions: dict[tuple[str, int], Predictions]
    thresholds: dict[int, float]
    label: NDArray[np.int64] = field(repr=False)


def slide_cost(settings: Settings, *, low_px: int, tile_px: int, n_tiles: int) -> Cost:
    """Count the operations of one slide; see :func:`common.models.sos_switch.count_operations`."""
    return count_operations(*_networks(settings), low_px=low_px, tile_px=tile_px, n_tiles=n_tiles)


def _networks(settings: Settings) -> tuple[SOSNetwork, SOSNetwork]:
    """Make a network with both streams, and one of tiles alone."""
    both, patch = (
        SOSNetwork(
            design,
            encoder=settings.encoder,
            width=settings.width,
            tile_width=settings.tile_width,
        )
        for design in (Design(), Design(low=False))
    )
    return both, patch


def time_slides(
    settings: Settings, *, n: int, seed: int, size: int, tile: int, shrink: int
) -> pd.DataFrame:
    """Time networks of this size on some slides, in seconds; one row a slide.

    Args:
        settings: sizes of the networks.
        n: slides; one more goes before them, because the first one takes longer.
        seed: of the phantom.
        size: side of a slide.
        tile: side of a tile.
        shrink: factor of the overview.

    Returns:
        See :func:`common.models.sos_switch.measure_seconds`.
    """
    cases = lks_phantom.phantom(n + 1, seed, size=size)
    images = [case.image for case in cases if case.image is not None]
    both, patch = _networks(settings)
    return measure_seconds(both, patch, images, shrink=shrink, tile_px=tile).iloc[1:]


def run(
    train: Slides,
    test: Slides,
    settings: Settings,
    *,
    seeds: Iterable[int],
    arms: Sequence[Arm] = ARMS,
    source: str = "phantom",
    jobs: int = 2,
    progress: bool = False,
) -> Outcome:
    """Train every arm with every seed and ask it about every test slide.

    Args:
        train: slides for training and, a share of :data:`VALID_SHARE`, for choosing the epoch.
        test: slides that every arm and seed answers.
        settings: sizes and weights.
        seeds: of the trainings; each also deals the validation slides anew.
        arms: what to train.
        source: where the slides come from.
        jobs: processes on the CPU; each training uses one thread, so the records do not depend
            on their number. A GPU takes as many as fit.
        progress: show a bar.

    Returns:
        The outcome; records of an arm appear where all that they need was trained.
    """
    seeds = list(seeds)
    # long trainings first, so that no process waits for the last one
    order = sorted(arms, key=lambda arm: not arm.design.high)
    keys = [(arm, seed) for seed in seeds for arm in order]
    todo = [delayed(train_one)(train, test, arm, seed, settings) for arm, seed in keys]
    done = in_parallel(todo, jobs=jobs, progress=progress)
    predictions, valid, histories = {}, {}, []
    for (arm, seed), (answers, validation, history) in zip(keys, done, strict=True):
        predictions[arm.name, seed] = answers
        if arm.name == "sos":
            valid[seed] = best_threshold(*validation)
        histories.append(history.assign(seed=seed, training=arm.name))
    cost = slide_cost(
        settings,
        low_px=test.low.shape[-1],
        tile_px=test.tiles.shape[-1],
        n_tiles=test.tiles.shape[1],
    )
    parts = [_records(predictions, test, seed, settings, cost, valid.get(seed)) for seed in seeds]
    records = pd.concat(parts, ignore_index=True).assign(source=source, fold="")
    return Outcome(records, pd.concat(histories, ignore_index=True), predictions, valid, test.label)


def validation_index(slides: Slides, seed: int) -> NDArray[np.bool_]:
    """Choose the validation slides, each class in proportion: True where a slide is one (n,)."""
    shares = {"train": 1 - VALID_SHARE, "valid": VALID_SHARE}
    part = splits.divide(slides.table, shares, name="sos/valid", seed=seed, stratify="label")
    return np.asarray(part == "valid")


def train_one(
    train: Slides, test: Slides, arm: Arm, seed: int, settings: Settings
) -> tuple[Predictions, tuple[Any, ...], pd.DataFrame]:
    """Train one arm with one seed and ask it about the test slides.

    Returns:
        Predictions of the test slides; for SOS low and high probabilities and labels of the
        validation slides, else nothing; the history.
    """
    torch.set_num_threads(1)
    valid = validation_index(train, seed)
    fitted = train_arm(
        arm,
        train.arrays(),
        train_index=np.flatnonzero(~valid),
        valid_index=np.flatnonzero(valid),
        settings=settings,
        seed=seed + _REDRAW.get(arm.name, 0),
    )
    validation: tuple[Any, ...] = ()
    if arm.name == "sos":
        held = {name: each[valid] for name, each in train.arrays().items()}
        own = predict(fitted, arm, held)
        validation = (own["low"], own["high"], held["label"])
    return predict(fitted, arm, test.arrays()), validation, fitted.history


def in_parallel(todo: list[Any], *, jobs: int, progress: bool) -> list[Any]:
    """Run trainings side by side, each in a process of its own."""
    pool = Parallel(n_jobs=_at_once(jobs), return_as="generator")
    return list(tqdm(pool(todo), total=len(todo), desc="trainings", disable=not progress))


def _at_once(jobs: int) -> int:
    if not torch.cuda.is_available():
        return jobs
    free_bytes, _ = torch.cuda.mem_get_info()
    return int(max(1, min(cpu_count(), free_bytes // (_GPU_GB * 2**30))))


@dataclass(frozen=True)
class Reading:
    """The answers of one arm.

    Args:
        answer (n,): classes.
        cost (n,): operations relative to both streams.
        low (n,): whether the slide was decided at low resolution; None where there is no choice.
    """

    answer: NDArray[np.int64]
    cost: NDArray[np.float64]
    low: NDArray[np.bool_] | None = None

    def right(self, label: NDArray[np.integer]) -> NDArray[np.float64]:
        """Return 1 for each right answer (n,)."""
        return (self.answer == label).astype(float)


def readings(name: str, found: Predictions, *, c: float, cost: Cost) -> dict[str, Reading]:
    """Read the predictions of a training in every way that an arm is made of.

    Args:
        name: of the training.
        found: its predictions.
        c: threshold of the switch.
        cost: of a slide.

    Returns:
        Readings by the arm's name.
    """
    n = len(next(iter(found.values())))
    both = np.ones(n)
    if "high" not in found:
        return {name: Reading(found["low"].argmax(1), both * cost.share("low"))}
    high = found["high"].argmax(1)
    if "low" not in found:
        return {name: Reading(high, both * cost.share("high"))}
    if name == "multi":
        return {name: Reading(high, both)}
    low = found["low"].argmax(1)
    answer, sure = switched(found["low"], found["high"], c)
    if "zoom" in found:
        sure = found["zoom"] <= 0.5
        answer = np.where(sure, low, high)
    result = {name: Reading(answer, np.where(sure, cost.share("low"), 1.0), sure)}
    if name in LOW:
        result[LOW[name]] = Reading(low, both * cost.share("low"))
    if name in HIGH:
        result[HIGH[name]] = Reading(high, both)
    return result


def _records(
    predictions: Mapping[tuple[str, int], Predictions],
    test: Slides,
    seed: int,
    settings: Settings,
    cost: Cost,
    tuned: float | None,
) -> pd.DataFrame:
    label = test.label
    own = {name: found for (name, number), found in predictions.items() if number == seed}
    arms: dict[str, Reading] = {}
    for name, found in own.items():
        arms |= readings(name, found, c=settings.c, cost=cost)
    if "sos" in own and tuned is not None:
        answer, sure = switched(own["sos"]["low"], own["sos"]["high"], tuned)
        arms["sos-tuned"] = Reading(answer, np.where(sure, cost.share("low"), 1.0), sure)
        low, high = (own["sos"][stream].argmax(1) for stream in ("low", "high"))
        arms["sos-oracle"] = Reading(np.where(low == label, low, high), np.ones(len(label)))
    values = _slide_values(arms, label, price=settings.zoom_cost)
    for name in {"sos", "no-paradox"} & set(own):
        values[name, "high_not_less"] = _not_less(own[name], label)
    table = pd.concat([_long(test, *key, value) for key, value in values.items()])
    trainings = [
        _training_values(name, seed, own[name], label)
        for name in ("sos", "no-executive")
        if name in own
    ]
    return pd.concat([table, *trainings], ignore_index=True).dropna().assign(seed=seed)


def _slide_values(
    arms: Mapping[str, Reading], label: NDArray[np.int64], *, price: float
) -> dict[tuple[str, str], NDArray[np.float64]]:
    """Score the slides: values (n,) by arm and metric; NaN where a metric does not apply."""
    values = {(name, "correct"): each.right(label) for name, each in arms.items()}
    for name in set(COMPARED) & set(arms):
        each = arms[name]
        found = np.where(label > 0, each.answer > 0, np.nan)
        values[name, "any_positive"] = found
        values[name, "cost_share"] = each.cost
        values[name, "net_benefit"] = each.right(label) - price * each.cost
    for name in {"rdms", "sos", "sos-tuned"} & set(arms):
        sure = arms[name].low
        assert sure is not None  # these arms choose
        values[name, "low_decision"] = sure.astype(float)
    if {"sos", "image"} <= set(arms):
        values["sos", "gain"] = arms["sos"].right(label) - arms["image"].right(label)
    return dict(sorted(values.items()))


def _not_less(found: Predictions, label: NDArray[np.int64]) -> NDArray[np.float64]:
    place = np.arange(len(label))
    return (found["high"][place, label] >= found["low"][place, label]).astype(float)


def _long(test: Slides, arm: str, metric: str, value: NDArray[np.float64]) -> pd.DataFrame:
    case = test.table["case"].to_numpy()
    return pd.DataFrame(
        {
            "arm": arm,
            "case": case,
            "cluster": case,
            "group": test.group,
            "metric": metric,
            "value": value,
        }
    )


def _training_values(
    name: str, seed: int, found: Predictions, label: NDArray[np.int64]
) -> pd.DataFrame:
    """Score the confidence of one training's low-resolution network."""
    confidence = found["low"].max(axis=1)
    right = found["low"].argmax(axis=1) == label
    both = bool(right.any() and not right.all())
    scores = {
        "auroc_wrong": auc(1 - confidence, ~right) if both else np.nan,
        "aurc": aurc(confidence, right),
        "ece": calibration_error(confidence, right),
    }
    unit = f"training-{seed}"
    return pd.DataFrame(
        {
            "arm": name,
            "case": unit,
            "cluster": unit,
            "group": "",
            "metric": list(scores),
            "value": list(scores.values()),
        }
    )
