"""The experiment of the HEp-2 chapter: every arm on every fold, for several seeds."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from joblib import Parallel, cpu_count, delayed
from numpy.typing import NDArray
from sklearn.model_selection import KFold
from tqdm.auto import tqdm

from common.datasets import hep2_phantom
from common.datasets.hep2_phantom import Phantom
from common.metrics import segmentation
from common.models.hep2 import predict_intensity
from common.models.hep2_training import Arm, predict, train_arm
from common.training import Fitted

ALPHA_LOW, ALPHA_HIGH, ALPHA_STRONG = 0.06, 0.12, 1.5


@dataclass(frozen=True)
class Training:
    """One training and the arms whose predictions it gives.

    Args:
        arm: how to train.
        epochs_of: the epoch at which each recorded arm predicts.
        redraw: added to the seed, so that a repeat starts from other weights.
    """

    arm: Arm
    epochs_of: Mapping[str, int]
    redraw: int = 0


def plan(epochs: int) -> tuple[Training, ...]:
    """List the trainings of one fold.

    The report's 35 epochs are its 30 and five more at the same constant rate, so one trajectory
    serves both: the longer run passes through the shorter one.

    Args:
        epochs: what stands for the report's 30 epochs.

    Returns:
        Eleven trainings for thirteen arms.

    Example:
        >>> [sorted(t.epochs_of.items()) for t in plan(6)][0]
        [('dice-30-0.06', 6), ('dice-35-0.06', 7)]
    """
    sixth = max(1, round(epochs / 6))
    stops = (max(1, epochs - sixth), epochs)
    trainings = [
        Training(
            Arm(f"{loss}-0.06", loss, ALPHA_LOW, epochs=epochs + sixth, checkpoints=stops),
            {f"{loss}-30-0.06": epochs, f"{loss}-35-0.06": epochs + sixth},
        )
        for loss in ("dice", "bce")
    ]
    others = [
        Arm("dice-30-0.12", "dice", ALPHA_HIGH, epochs=epochs),
        Arm("bce-30-0.12", "bce", ALPHA_HIGH, epochs=epochs),
        Arm("dice-30-1.5", "dice", ALPHA_STRONG, epochs=epochs),
        Arm("equal-weights", "dice", weighting="equal", epochs=epochs),
        Arm("gradnorm-released", "dice", ALPHA_HIGH, weighting="released", epochs=epochs),
        *(Arm(f"single-{t}", tasks=(t,), epochs=epochs) for t in ("mask", "label", "intensity")),
    ]
    trainings += [Training(arm, {arm.name: epochs}) for arm in others]
    again = Arm("repeat", "dice", ALPHA_HIGH, epochs=epochs)
    return (*trainings, Training(again, {"repeat": epochs}, redraw=500_000))


def deal_folds(patients: NDArray[Any], *, n_folds: int, seed: int) -> NDArray[np.int64]:
    """Deal patients to folds at random, as the report does (not stratified).

    Args:
        patients: name of the patient of each patch (n,).
        n_folds: number of folds, at least 2.
        seed: another seed, another deal.

    Returns:
        The fold of each patch (n,), 0 to ``n_folds - 1``; a patient's patches share one.
    """
    names, place = np.unique(patients, return_inverse=True)
    fold = np.empty(len(names), dtype=np.int64)
    deal = KFold(n_folds, shuffle=True, random_state=seed)
    for number, (_, test) in enumerate(deal.split(names)):
        fold[test] = number
    return fold[place]


def run(
    phantom: Phantom,
    trainings: Iterable[Training],
    *,
    seeds: Iterable[int],
    n_folds: int,
    width: int,
    batch_size: int = 16,
    lr: float = 2e-3,
    jobs: int = 2,
    progress: bool = False,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Train every arm on every fold for every seed and score each patient once per seed.

    Args:
        phantom: images and references.
        trainings: see :func:`plan`.
        seeds: training seeds; each also deals the folds anew.
        n_folds: number of folds.
        width: width of the narrow encoder; 0 for EfficientNet-B4.
        batch_size: patches per step.
        lr: learning rate of Adam.
        jobs: processes on the CPU, a GPU takes as many as fit; each training uses one thread, so
            the records do not depend on their number.
        progress: show a bar.

    Returns:
        Records without ``paper, run, profile`` (see :mod:`common.records`) and the histories:
        ``seed, fold, training, epoch, metric, value``.
    """
    fitting = {"width": width, "batch_size": batch_size, "lr": lr}
    todo = [
        delayed(_train_and_score)(phantom, training, seed, fold, n_folds, fitting)
        for seed in seeds
        for fold in range(n_folds)
        for training in trainings
    ]
    done = _in_parallel(todo, jobs=jobs, progress=progress)
    records, histories = (pd.concat(parts, ignore_index=True) for parts in zip(*done, strict=True))
    return records, histories


# memory of a GPU that one training is given
_GPU_GB = 6


def _in_parallel(todo: list[Any], *, jobs: int, progress: bool) -> list[Any]:
    """Run trainings side by side, each in a process of its own."""
    pool = Parallel(n_jobs=_at_once(jobs), return_as="generator")
    return list(tqdm(pool(todo), total=len(todo), desc="trainings", disable=not progress))


def _at_once(jobs: int) -> int:
    """Return the number of trainings at once.

    These networks keep a large GPU busy for a fraction of a step, so several share it: as many as
    its free memory and the CPU cores allow.
    """
    if not torch.cuda.is_available():
        return jobs
    free_bytes, _ = torch.cuda.mem_get_info()
    return max(1, min(cpu_count(), free_bytes // (_GPU_GB * 2**30)))


MECHANISM = {"with-mask": ("mask", "label"), "without-mask": ("label",)}


def mechanism(
    *,
    debris: Iterable[float],
    seeds: Iterable[int],
    n_patients: int,
    n_specimens: int,
    n_patches: int,
    size: int,
    width: int,
    epochs: int,
    batch_size: int = 16,
    lr: float = 2e-3,
    jobs: int = 2,
    progress: bool = False,
) -> pd.DataFrame:
    """Turn the dial of the multi-task mechanism: how much of the image misleads about the pattern.

    Debris looks like a cell of another pattern and lies outside the mask, so a network that is
    also taught the mask is told which objects to believe.  Each seed draws a phantom of its own
    and tests on a third of its patients.

    Args:
        debris: shares of cells that are debris; 0 switches the mechanism off.
        seeds: one phantom and one training of each arm for each.
        n_patients, n_specimens, n_patches: sizes of each phantom.
        size: side of a patch (pixels).
        width: width of the narrow encoder.
        epochs: passes over the training patches.
        batch_size: patches per step.
        lr: learning rate of Adam.
        jobs: processes.
        progress: show a bar.

    Returns:
        Records without ``paper, run, profile``: arms of :data:`MECHANISM`, metric
        ``label_correct``, group ``debris <share>``, cluster = the draw of the phantom.
    """
    shape = (n_patients, n_specimens, n_patches, size)
    fitting = {"width": width, "batch_size": batch_size, "lr": lr}
    todo = [
        delayed(_one_mechanism)(share, seed, shape, fitting, epochs, arm)
        for share in debris
        for seed in seeds
        for arm in MECHANISM
    ]
    return pd.concat(_in_parallel(todo, jobs=jobs, progress=progress), ignore_index=True)


def _one_mechanism(
    debris: float,
    seed: int,
    shape: tuple[int, int, int, int],
    fitting: dict[str, Any],
    epochs: int,
    name: str,
) -> pd.DataFrame:
    torch.set_num_threads(1)
    rng = np.random.default_rng([seed, 6])
    n_patients, n_specimens, n_patches, size = shape
    specimens = hep2_phantom.draw_specimens(
        n_patients, n_specimens=n_specimens, rng=rng, debris=debris
    )
    phantom = hep2_phantom.render(specimens, size=size, n_patches=n_patches, jobs=1)
    fold_of = deal_folds(phantom.patches["patient"].to_numpy(), n_folds=3, seed=seed)
    train, test = np.flatnonzero(fold_of != 0), np.flatnonzero(fold_of == 0)
    arm = Arm(name, weighting="equal", tasks=MECHANISM[name], epochs=epochs)
    fitted, _ = train_arm(arm, phantom.arrays(), train, seed=seed, **fitting)
    right = measure(predict(fitted, phantom.image[test]), phantom, test)["label_correct"]
    case = phantom.patches.iloc[test]
    return pd.DataFrame(
        {
            "arm": name,
            # Every seed has patients of its own, so the names of patches carry the seed.
            "case": [f"s{seed}-{name}" for name in case["case"]],
            "cluster": f"draw-{seed}",
            "group": f"debris {debris:g}",
            "metric": "label_correct",
            "value": right,
            "source": "phantom",
            "seed": seed,
            "fold": "0",
        }
    )


def _train_and_score(
    phantom: Phantom,
    training: Training,
    seed: int,
    fold: int,
    n_folds: int,
    fitting: dict[str, Any],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    torch.set_num_threads(1)
    patient = phantom.patches["patient"].to_numpy()
    fold_of = deal_folds(patient, n_folds=n_folds, seed=seed)
    train, test = np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)
    start = 1000 * seed + fold + training.redraw
    fitted, balance = train_arm(training.arm, phantom.arrays(), train, seed=start, **fitting)
    parts = [
        _score(fitted, phantom, train, test, arm=arm, epoch=epoch)
        for arm, epoch in training.epochs_of.items()
    ]
    parts.append(_gradients(balance.trajectory, training.arm.name, fold))
    if training.arm.name == "bce-0.06":
        parts.append(_late_gain(fitted, phantom, train, training, fold))
    records = pd.concat(parts, ignore_index=True)
    records = records.assign(source="phantom", seed=seed, fold=str(fold))
    history = fitted.history.assign(training=training.arm.name, seed=seed, fold=str(fold))
    return records, history


def _score(
    fitted: Fitted, phantom: Phantom, train: Any, test: Any, *, arm: str, epoch: int
) -> pd.DataFrame:
    """Score the test patches; the gap to the training patches is a value of each test patch."""
    values = measure(predict(fitted, phantom.image[test], epoch=epoch), phantom, test)
    if "label_correct" in values and "pixel_accuracy" in values:
        seen = measure(predict(fitted, phantom.image[train], epoch=epoch), phantom, train)
        values["train_minus_test_label"] = seen["label_correct"].mean() - values["label_correct"]
        values["pixel_minus_label"] = values["pixel_accuracy"] - values["label_correct"]
    case = phantom.patches.iloc[test]
    table = pd.DataFrame(values).assign(
        arm=arm,
        case=case["case"].to_numpy(),
        cluster=case["patient"].to_numpy(),
        group=case["pattern"].to_numpy(),
    )
    keys = ["arm", "case", "cluster", "group"]
    return table.melt(id_vars=keys, var_name="metric", value_name="value").dropna()


_INTENSITY_METRICS: dict[str, Literal["probability", "logit"]] = {
    "intensity_correct": "probability",
    "intensity_correct_logit": "logit",
}


def measure(
    predicted: Mapping[str, NDArray[Any]], phantom: Phantom, index: NDArray[np.integer]
) -> dict[str, NDArray[np.float64]]:
    """Score predictions patch by patch.

    Args:
        predicted: see :func:`common.models.hep2_training.predict`.
        phantom: the references.
        index: which patches were predicted (n,).

    Returns:
        Arrays (n,) by metric, for the tasks that were predicted; Dice is NaN where a reference
        mask is empty.
    """
    values: dict[str, NDArray[np.float64]] = {}
    if "label_prob" in predicted:
        right = predicted["label_prob"].argmax(axis=1) == phantom.label[index]
        values["label_correct"] = right.astype(float)
    if "intensity_logit" in predicted:
        truth = phantom.intensity[index]
        for metric, scale in _INTENSITY_METRICS.items():
            positive = predict_intensity(predicted["intensity_logit"], threshold_on=scale)
            values[metric] = (positive == truth).astype(float)
    if {"label_correct", "intensity_correct"} <= set(values):
        values["both_correct"] = values["label_correct"] * values["intensity_correct"]
    if "mask" in predicted:
        values["pixel_accuracy"] = segmentation.pixel_accuracy(
            predicted["mask"], phantom.mask[index]
        )
        values["dice"] = segmentation.dice(predicted["mask"], phantom.mask[index])
    return values


def _gradients(trajectory: pd.DataFrame, arm: str, fold: int) -> pd.DataFrame:
    """Compare the tasks' gradient lengths in the second half of training."""
    if trajectory.empty:
        return pd.DataFrame()
    late = trajectory[trajectory["step"] >= trajectory["step"].max() / 2]
    norms = late.groupby("task")["norm"].mean()
    return _one_per_run(arm, fold, "gradient_spread", np.log(norms.max() / norms.min()))


def _late_gain(
    fitted: Fitted, phantom: Phantom, train: Any, training: Training, fold: int
) -> pd.DataFrame:
    """Gain in training accuracy over the epochs that stand for the last five of thirty."""
    before, after = (
        measure(predict(fitted, phantom.image[train], epoch=epoch), phantom, train)
        for epoch in training.arm.checkpoints
    )
    gain = after["label_correct"].mean() - before["label_correct"].mean()
    return _one_per_run("bce-30-0.06", fold, "late_gain_label", gain)


def _one_per_run(arm: str, fold: int, metric: str, value: float) -> pd.DataFrame:
    where = {"case": f"fold-{fold}", "cluster": f"fold-{fold}", "group": ""}
    return pd.DataFrame([{"arm": arm, **where, "metric": metric, "value": value}])
