"""From answers to records: values of each image and of each fold, and arms that are only read."""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.neighbors import KNeighborsClassifier

from common.chapters.shoulder_implant.arms import PROPOSED
from common.chapters.shoulder_implant.cohorts import Cohort, deal
from common.chapters.shoulder_implant.experiment import Answers
from common.chapters.shoulder_implant.scores import best_epoch, per_image, rates, restricted

_SMALL = 16  # side of the pictures that neighbours are sought among
_COLUMNS = ("arm", "seed", "fold", "case", "cluster", "group", "metric", "value")


def collect(answers: Iterable[Answers], cohorts: Mapping[str, Cohort]) -> pd.DataFrame:
    """Turn answers into records without ``paper``, ``run`` and ``profile``.

    Args:
        answers: of :func:`common.chapters.shoulder_implant.experiment.run`.
        cohorts: the images they are about, by name.

    Returns:
        One row a value, with ``source``; ``seed`` is the number of the deal, ``group`` the class.
        ``correct`` and ``log_loss`` have one value an image, the rates one a fold, and so has
        ``diverged``, 1 where weights or loss stopped being finite. Deals differ,
        so a fold bears the number of its deal too: each is a training of its own.
    """
    every = list(answers)
    parts = []
    for each in every:
        cohort = cohorts[each.job.arm.cohort]
        parts += [part.assign(source=cohort.source) for part in _of(each, cohort)]
    parts += [part.assign(source="phantom") for part in _split(every, cohorts)]
    return pd.concat(parts, ignore_index=True)


def _of(each: Answers, cohort: Cohort) -> Iterator[pd.DataFrame]:
    """Read one training in every way that an arm is made of."""
    arm = each.job.arm
    final = each.probs[each.chosen]
    yield from _scored(arm.name, each, cohort, final)
    losses = each.history.loc[each.history["metric"] == "train_loss", "value"]
    yield _fold(arm.name, each, {"diverged": float(not np.isfinite(losses).all())})
    if arm.hold_out:
        yield from _epochs(each, cohort)
    if arm.name in (f"seven-{PROPOSED}", f"makers-{PROPOSED}"):
        yield from _baselines(each, cohort)
    if arm.name == f"seven-{PROPOSED}":
        side = cohort.maker == "DePuy"
        allowed = side[None, :] == side[cohort.label[each.index]][:, None]
        yield from _scored("seven-restricted", each, cohort, restricted(final, allowed))


def _epochs(each: Answers, cohort: Cohort) -> Iterator[pd.DataFrame]:
    """Read one training at the best epoch on its test images too, and at the last.

    What the best gains over the one that held-out images choose is never below 0.
    """
    task = each.job.arm.task
    label = np.searchsorted(each.classes, cohort.label[each.index])
    best = best_epoch(each.probs, label)
    yield from _scored(f"{task}-best-epoch", each, cohort, each.probs[best])
    yield from _scored(f"{task}-held-out-last", each, cohort, each.probs[-1])
    right = (each.probs.argmax(axis=2) == label).mean(axis=1)
    gain = {"epoch_gain": float(right[best] - right[each.chosen])}
    yield _fold(f"{task}-best-epoch", each, gain)


def _scored(
    name: str, each: Answers, cohort: Cohort, probs: NDArray[np.floating]
) -> Iterator[pd.DataFrame]:
    label = np.searchsorted(each.classes, cohort.label[each.index])
    yield _images(name, each, cohort, probs, ("correct", "log_loss"))
    found = rates(probs, label)
    if cohort.source == "phantom" and len(each.classes) == len(cohort.classes):
        # the model that mostly comes from one source
        own = label == 0
        found["recall_one"] = (
            float((probs.argmax(axis=1)[own] == 0).mean()) if own.any() else np.nan
        )
    yield _fold(name, each, found)


def _fold(name: str, each: Answers, found: Mapping[str, float]) -> pd.DataFrame:
    """Record one value a fold."""
    fold = _place(each)
    return pd.DataFrame(
        {
            "arm": name,
            "seed": each.job.repeat,
            "fold": fold,
            "case": fold,
            "cluster": fold,
            "group": "",
            "metric": list(found),
            "value": list(found.values()),
        }
    )


def _images(
    name: str,
    each: Answers,
    cohort: Cohort,
    probs: NDArray[np.floating],
    metrics: Iterable[str],
) -> pd.DataFrame:
    """Record values of each image."""
    label = np.searchsorted(each.classes, cohort.label[each.index])
    values = per_image(probs, label)
    table = cohort.table.iloc[each.index]
    common = {
        "arm": name,
        "seed": each.job.repeat,
        "fold": _place(each),
        "case": table["case"].to_numpy(),
        "cluster": table["cluster"].to_numpy(),
        "group": np.array(cohort.classes)[cohort.label[each.index]],
    }
    parts = [
        pd.DataFrame({**common, "metric": metric, "value": values[metric]}) for metric in metrics
    ]
    return pd.concat(parts, ignore_index=True)


def _place(each: Answers) -> str:
    return f"deal {each.job.repeat}, fold {each.job.fold}"


def _baselines(each: Answers, cohort: Cohort) -> Iterator[pd.DataFrame]:
    """Answer the same test images with the largest class, and with five neighbours of pixels."""
    fold = deal(cohort, int(each.job.n_folds), each.job.repeat)
    train = np.flatnonzero(fold != each.job.fold)
    k = len(cohort.classes)
    share = np.bincount(cohort.label[train], minlength=k) / len(train)
    yield from _scored(
        f"{each.job.arm.task}-majority", each, cohort, np.tile(share, (len(each.index), 1))
    )
    pixels = small(cohort.images)
    model = KNeighborsClassifier(n_neighbors=5).fit(pixels[train], cohort.label[train])
    probs = np.zeros((len(each.index), k))
    probs[:, model.classes_] = model.predict_proba(pixels[each.index])
    yield from _scored(f"{each.job.arm.task}-neighbours", each, cohort, probs)


def small(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Average images (n, 1, S, S) down to 16 x 16 and give each mean 0 and spread 1: (n, 256)."""
    side = images.shape[-1] // _SMALL * _SMALL
    cells = images[:, 0, :side, :side].reshape(len(images), _SMALL, side // _SMALL, _SMALL, -1)
    flat = cells.mean(axis=(2, 4)).reshape(len(images), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    found: NDArray[np.float32] = flat / np.maximum(flat.std(axis=1, keepdims=True), 1e-6)
    return found


def _split(answers: list[Answers], cohorts: Mapping[str, Cohort]) -> Iterator[pd.DataFrame]:
    """Join the networks for DePuy and for the rest: each image is asked of its own side's."""
    for each in answers:
        if each.job.arm.as_long:
            cohort = cohorts[each.job.arm.cohort]
            yield _images("split", each, cohort, each.probs[each.chosen], ("correct",))


def curves(answers: Iterable[Answers], *arms: str) -> pd.DataFrame:
    """Collect the curves of some arms: ``arm, seed, fold, epoch, metric, value``."""
    parts = [
        each.history.assign(arm=each.job.arm.name, seed=each.job.repeat, fold=each.job.fold)
        for each in answers
        if each.job.arm.name in arms
    ]
    return pd.concat(parts, ignore_index=True)


def confusion(answers: Iterable[Answers], cohort: Cohort, arm: str) -> NDArray[np.int64]:
    """Count true (rows) and called (columns) classes over all test images of an arm.

    Returns:
        (k, k) in the order of the task's classes.
    """
    own = [each for each in answers if each.job.arm.name == arm]
    k = len(own[0].classes)
    found = np.zeros((k, k), dtype=np.int64)
    for each in own:
        label = np.searchsorted(each.classes, cohort.label[each.index])
        np.add.at(found, (label, each.probs[each.chosen].argmax(axis=1)), 1)
    return found
