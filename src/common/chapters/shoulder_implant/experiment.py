"""The experiment: every arm on every fold of every repeat, and what is read from its answers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from joblib import Parallel, cpu_count, delayed
from numpy.typing import NDArray
from torch import nn
from tqdm.auto import tqdm

from common.chapters.shoulder_implant import arms as plans
from common.chapters.shoulder_implant.arms import Arm
from common.chapters.shoulder_implant.cohorts import Cohort, deal, task_classes
from common.chapters.shoulder_implant.scores import best_epoch, per_image
from common.errors import ReplicateError
from common.models import shoulder_implant_pretext
from common.models.shoulder_implant import NETWORKS, build
from common.models.shoulder_implant_blocks import Scale
from common.models.shoulder_implant_training import Settings, fit, history
from common.models.shoulder_implant_weights import CAFFE_MEANS, State, load_keras, read_npz
from common.phantoms.draws import stream

HELD_OUT = 5  # one in so many training images chooses the epoch
TUNING_DEAL = 500  # a deal that no arm is tested on, since there are at most 100
_GPU_GB = 8  # memory of a GPU that one training is given

# arrays, since processes share those in a file where tensors would be copied for each training
Starts = Mapping[str, State]
Rates = Mapping[tuple[str, ...], float]
Probs = NDArray[np.float32]


@dataclass(frozen=True)
class Job:
    """One training of an arm.

    Args:
        arm: what.
        repeat: number of the deal.
        fold: the fold that is tested.
        n_folds: folds of the deal.
    """

    arm: Arm
    repeat: int
    fold: int
    n_folds: int


@dataclass(frozen=True)
class Answers:
    """What one training said.

    Args:
        job: which training.
        index (n,): places of the test images in their cohort.
        classes (k,): classes of the task.
        probs (E, n, k): probabilities of the test images after each epoch.
        chosen: the epoch (from 0) that held-out images choose; the last one without them.
        history: ``epoch, metric, value``.
    """

    job: Job
    index: NDArray[np.int64]
    classes: NDArray[np.int64]
    probs: Probs
    chosen: int
    history: pd.DataFrame


def check(*, open_images: bool, phantom_arms: bool, archived: bool) -> None:
    """Refuse a run that would train nothing, or that has nothing to show of the phantom.

    Args:
        open_images: whether real X-rays are used.
        phantom_arms: whether networks are trained on the phantom.
        archived: whether a standard run is archived.

    Raises:
        ReplicateError: names the parameter to change.
    """
    if phantom_arms:
        return
    if not open_images:
        raise ReplicateError(
            "phantom_arms=False and open_images=False leave nothing to train. Set one of them to "
            "True."
        )
    if not archived:
        raise ReplicateError(
            "phantom_arms=False shows the phantom's results of the archived standard run, and "
            "there is none. Run `replicate run shoulder-implant --profile standard` and "
            "`replicate archive shoulder-implant` before, or leave phantom_arms=True."
        )


def pretrain(
    settings: Settings,
    *,
    n: int,
    epochs: int,
    seed: int,
    size: int,
    jobs: int = 2,
    progress: bool = False,
) -> tuple[dict[str, State], dict[str, float]]:
    """Train every network on the pretext task.

    Args:
        settings: sizes; optimiser and copies are the pretext's own.
        n: pictures; a sixth more are drawn to test on.
        epochs: passes.
        seed: of pictures and weights.
        size: side (pixels).
        jobs: processes.
        progress: show a bar.

    Returns:
        Weights and the accuracy on new pictures, by network.
    """
    todo = [
        delayed(_pretrain)(replace(settings, network=name), n, epochs, seed, size)
        for name in NETWORKS
    ]
    done = in_parallel(todo, jobs=jobs, progress=progress, what="pretext")
    found = dict(zip(NETWORKS, done, strict=True))
    return {k: state for k, (state, _) in found.items()}, {k: acc for k, (_, acc) in found.items()}


def _pretrain(settings: Settings, n: int, epochs: int, seed: int, size: int) -> tuple[State, float]:
    torch.set_num_threads(1)
    pictures, label = shoulder_implant_pretext.shapes(n + n // 6, seed, size=size)
    own = replace(
        settings, optimiser="adam", lr=1e-3, epochs=epochs, n_copies=1, batch_size=32, dropout=0.2
    )
    trained = fit(
        pictures[:n],
        label[:n],
        own,
        n_classes=len(shoulder_implant_pretext.CLASSES),
        seed=seed,
        watch={"new": pictures[n:]},
    )
    right = trained.probs["new"][-1].argmax(axis=1) == label[n:]
    return _arrays(trained.model), float(right.mean())


def _arrays(model: nn.Module) -> State:
    return {name: each.detach().cpu().numpy() for name, each in model.state_dict().items()}


def converted(folder: str, scale: Scale) -> dict[str, State]:
    """Read converted ImageNet weights, which take the place of the pretext ones.

    Args:
        folder: where ``<network>.npz`` lie, written as
            :mod:`common.models.shoulder_implant_weights` says; empty for none.
        scale: of the networks; the published one fits.

    Returns:
        Weights by network, those of VGG16 with the means that its inputs are taken from.
    """
    found: dict[str, State] = {}
    for name in NETWORKS if folder else ():
        model = load_keras(build(name, 1, scale), read_npz(Path(folder) / f"{name}.npz"))
        means = {"means": np.array(CAFFE_MEANS, np.float32)} if name == "vgg16" else {}
        found[name] = {**_arrays(model), **means}
    return found


def train_one(
    job: Job, cohort: Cohort, settings: Settings, start: State | None, *, seed: int
) -> Answers:
    """Train one arm on all folds but one and ask it about that one.

    Arms of one repeat and fold share the seed of their weights, order and copies.
    """
    torch.set_num_threads(1)
    arm = job.arm
    classes = task_classes(cohort, arm.task)
    fold = deal(cohort, job.n_folds, job.repeat, by_image=arm.by_image)
    mine = np.isin(cohort.label, classes)
    label = np.searchsorted(classes, cohort.label)
    test, train = (
        np.flatnonzero(mine & (fold == job.fold)),
        np.flatnonzero(mine & (fold != job.fold)),
    )
    watch = {"test": test}
    if arm.hold_out:
        part = _held_out(cohort, train, job, seed)
        watch["held out"], train = train[part], train[~part]
    own_seed = 100_000 * seed + 100 * job.repeat + job.fold
    y = label[train]
    if arm.as_long:
        more = (fold != job.fold).sum() / max(1, len(train))
        settings = replace(settings, epochs=round(settings.epochs * more))
    if arm.shuffle:
        y = stream(own_seed, "shoulder-implant", "shuffle").permutation(y)
    trained = fit(
        cohort.images[train],
        y,
        settings,
        n_classes=len(classes),
        seed=own_seed,
        start=start,
        watch={name: cohort.images[places] for name, places in watch.items()},
    )
    chosen = len(trained.loss) - 1
    if arm.hold_out:
        chosen = best_epoch(trained.probs["held out"], label[watch["held out"]])
    curve = history(trained, {name: label[places] for name, places in watch.items()})
    return Answers(job, test, classes, trained.probs["test"], chosen, curve)


def _held_out(cohort: Cohort, train: NDArray[np.int64], job: Job, seed: int) -> NDArray[np.bool_]:
    """Choose whole patients, a fifth, among the training images (n,)."""
    part = Cohort(cohort.name, cohort.table.iloc[train], cohort.images[train], cohort.classes)
    return deal(part, HELD_OUT, 1000 + 100 * seed + 10 * job.repeat + job.fold) == 0


def rate_key(arm: Arm) -> tuple[str, ...]:
    """Name what a learning rate is tuned for; arms that name the same share it."""
    start = "pretext" if arm.pretrained else "scratch"
    own = arm.as_long or arm.task == "makers"
    return arm.network, arm.optimiser, start, arm.task if own else "seven"


def settings_of(arm: Arm, base: Settings, tuned: Rates) -> Settings:
    """Fill in what an arm says; the rate is its own or the one tuned for it."""
    rate = arm.lr if arm.lr is not None else tuned.get(rate_key(arm))
    return replace(
        base,
        network=arm.network,
        optimiser=arm.optimiser,
        lr=plans.grid(arm)[0] if rate is None else rate,
        momentum=arm.momentum,
        augment=arm.augment,
    )


def tune(
    arms: Sequence[Arm],
    cohort: Cohort,
    base: Settings,
    starts: Starts,
    *,
    n_rates: int,
    n_folds: int,
    seed: int,
    jobs: int = 2,
    progress: bool = False,
) -> pd.DataFrame:
    """Try learning rates of each network, optimiser and start.

    On a phantom the patients are of another draw, and the loss of new ones decides. Of real X-rays
    there is no other draw, and what is tested is not looked at: the training loss decides, on a
    deal of its own.

    Args:
        arms: what will be trained; only rates that these need are tried.
        cohort: phantom patients that no arm is trained or tested on, or the real X-rays.
        base: sizes.
        starts: pretext weights.
        n_rates: rates tried of each grid; 1 takes the first one untried.
        n_folds: as in the experiment; one fold is left out.
        seed: of weights and copies.
        jobs: processes.
        progress: show a bar.

    Returns:
        ``network, optimiser, start, task, lr, loss``: the lowest loss after the last epoch
        decides; empty where only one rate was to be tried.
    """
    real = cohort.source == "open"
    task = {"task": "makers", "cohort": "open"} if real else {}
    needed = {rate_key(arm) for arm in arms}
    done = run(
        [arm for arm in plans.tuned(n_rates, **task) if rate_key(arm) in needed],
        {cohort.name: cohort},
        base,
        starts,
        {},
        repeats=[TUNING_DEAL if real else 0],
        n_folds=n_folds,
        folds=[0],
        seed=seed,
        jobs=jobs,
        progress=progress,
    )
    rows = [(*rate_key(each.job.arm), each.job.arm.lr, _loss(each, cohort)) for each in done]
    return pd.DataFrame(rows, columns=[*_TUNED, "lr", "loss"])


def _loss(each: Answers, cohort: Cohort) -> float:
    """Return what chooses a learning rate: NaN, which is never chosen, of a diverged training."""
    if cohort.source == "open":
        history = each.history
        return float(history.loc[history["metric"] == "train_loss", "value"].iloc[-1])
    label = np.searchsorted(each.classes, cohort.label[each.index])
    return float(per_image(each.probs[-1], label)["log_loss"].mean())


_TUNED = ["network", "optimiser", "start", "task"]


def best_rates(tried: pd.DataFrame) -> dict[tuple[str, ...], float]:
    """Return the rate of the lowest loss by network, optimiser, start and task.

    Diverged trainings have no loss and come last.
    """
    ordered = tried.sort_values("loss", kind="stable").drop_duplicates(_TUNED)
    return {tuple(map(str, key)): float(lr) for *key, lr in ordered[[*_TUNED, "lr"]].to_numpy()}


def run(
    arms: Sequence[Arm],
    cohorts: Mapping[str, Cohort],
    base: Settings,
    starts: Starts,
    tuned: Rates,
    *,
    repeats: Iterable[int],
    n_folds: int,
    seed: int,
    folds: Iterable[int] | None = None,
    jobs: int = 2,
    progress: bool = False,
) -> list[Answers]:
    """Train all arms; the answers do not depend on the number of processes.

    Args:
        arms: what to train.
        cohorts: by name.
        base: what all arms share.
        starts: first weights by network.
        tuned: learning rates, see :func:`best_rates`.
        repeats: numbers of the deals.
        n_folds: folds of each deal.
        seed: of weights and copies.
        folds: those that are tested; all if left out.
        jobs: processes on the CPU; a GPU takes as many as fit.
        progress: show a bar.
    """
    tested = list(range(n_folds) if folds is None else folds)
    todo = [
        delayed(train_one)(
            Job(arm, repeat, fold, n_folds),
            cohorts[arm.cohort],
            settings_of(arm, base, tuned),
            starts.get(arm.network) if arm.pretrained else None,
            seed=seed,
        )
        for repeat in repeats
        for arm in arms
        for fold in tested
    ]
    return in_parallel(todo, jobs=jobs, progress=progress, what="trainings")


def in_parallel(todo: list[Any], *, jobs: int, progress: bool, what: str) -> list[Any]:
    """Run trainings side by side, each in a process of its own."""
    pool = Parallel(n_jobs=_at_once(jobs), return_as="generator")
    return list(tqdm(pool(todo), total=len(todo), desc=what, disable=not progress, leave=False))


def _at_once(jobs: int) -> int:
    if not torch.cuda.is_available():
        return jobs
    free_bytes, _ = torch.cuda.mem_get_info()
    return int(max(1, min(cpu_count(), free_bytes // (_GPU_GB * 2**30))))
