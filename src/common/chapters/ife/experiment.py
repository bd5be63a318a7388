"""The experiment: every arm for every seed, each on its own gels, scored on the same test gels."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from joblib import Parallel, cpu_count, delayed
from numpy.typing import NDArray
from tqdm.auto import tqdm

from common.chapters.ife import measures
from common.chapters.ife.gels import Gels, Sets
from common.models.ife import recombine
from common.models.ife_losses import Pull
from common.models.ife_strips import StripNet, lane_profiles, segment_lanes
from common.models.ife_training import Arm, Fit, Prediction, fit, nine_way, predict

Kind = Literal["network", "two-stage", "strips"]
Group = Literal["main", "side", "sweep"]
_SLOWER = 0.3  # the paper: 0.1 for the nine-way network, 0.03 for those of two tasks
_REDRAW = 500_000
_GPU_GB = 12  # memory of a GPU that one training is given


@dataclass(frozen=True)
class Training:
    """One training and the arm whose predictions it gives.

    Attributes:
        name: the arm's id in the records.
        arm: how to train.
        stand: the stand of the phantom's dials, see :data:`common.chapters.ife.gels.STANDS`.
        kind: ``network``, ``two-stage`` or ``strips``.
        redraw: added to the seed, so that a repeat starts from other weights.
        watch: predict test, validation and fresh gels after every epoch.
        group: ``main`` (Tables 1 and 2), ``side`` or ``sweep``; the latter may have fewer seeds.
    """

    name: str
    arm: Arm
    stand: str = "main"
    kind: Kind = "network"
    redraw: int = 0
    watch: bool = False
    group: Group = "main"


@dataclass(frozen=True)
class Settings:
    """What all trainings have in common; see the parameters of the chapter."""

    width: int
    epochs: int
    batch_size: int


def plan(*, lr: float, pull: Pull, shared: int = 3) -> tuple[Training, ...]:
    """List the trainings of one seed.

    Args:
        lr: highest learning rate of nine-way networks; those of two tasks take 0.3 of it.
        pull: both regularisers as the paper sets them, in the released form.
        shared: stages that serve both tasks.

    Returns:
        One training for each arm; two-stage is two networks.
    """
    nine, full = nine_way(lr=lr), Arm(lr=_SLOWER * lr, pull=pull, shared=shared)
    mt = replace(full, pull=Pull())

    def pulled(**changes: Any) -> Arm:
        return replace(full, pull=replace(pull, **changes))

    main = [
        Training("multiclass", nine, watch=True),
        Training("mt", mt),
        Training("mt-inner", pulled(inter=0.0)),
        Training("mt-inter", pulled(inner=0.0)),
        Training("full", full, watch=True),
        Training("two-stage", nine, kind="two-stage"),
        Training("collocative", nine, kind="strips"),
    ]
    variants = [
        Training("multiclass-attention", replace(nine, attention=True)),
        Training("multiclass-weighted", replace(nine, correction="weights")),
        Training("multiclass-adjusted", replace(nine, correction="logits")),
        Training("multiclass-low-lr", replace(nine, lr=_SLOWER * lr)),
        Training("full-high-lr", replace(full, lr=lr)),
        Training("full-printed", pulled(form="printed")),
        Training("full-separate", replace(full, ownership="separate")),
        Training("full-augmented", replace(full, augment=True)),
        Training("repeat", full, redraw=_REDRAW),
    ]
    sharing = [Training(f"share-{k}", replace(full, shared=k)) for k in (0, 1, 2, 4)]
    dials = [
        Training("full-offset", full, "offset"),
        Training("collocative-offset", nine, "offset", kind="strips"),
        Training("multiclass-balanced", nine, "balanced"),
        Training("mt-balanced", mt, "balanced"),
        Training("multiclass-unfactored", nine, "unfactored"),
        Training("mt-unfactored", mt, "unfactored"),
    ]
    sweep = {
        "inner-x10": pulled(inner=10 * pull.inner, inter=0.0),
        "inter-x10": pulled(inner=0.0, inter=10 * pull.inter),
        "tau-2": pulled(tau=2.0, inter=0.0),
        "tau-25": pulled(tau=25.0, inter=0.0),
    }
    side = [replace(training, group="side") for training in (*variants, *sharing, *dials)]
    return (*main, *side, *(Training(name, arm, group="sweep") for name, arm in sweep.items()))


def run(
    sets: Sets,
    trainings: Iterable[Training],
    settings: Settings,
    *,
    seeds: Sequence[int],
    n_side: int,
    n_sweep: int,
    jobs: int = 2,
    progress: bool = False,
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, NDArray[np.float32]]]:
    """Train every arm for every seed and score it on the test gels.

    Args:
        sets: see :func:`common.chapters.ife.gels.make_sets`.
        trainings: see :func:`plan`.
        settings: what all trainings have in common.
        seeds: training seeds; each has training gels of its own.
        n_side: how many of the seeds train the arms beside Tables 1 and 2.
        n_sweep: how many of the seeds train the sweep of the regularisers.
        jobs: processes on the CPU; a GPU takes as many as fit. Each training uses one thread, so
            the records do not depend on their number.
        progress: show a bar.

    Returns:
        Records without ``paper, run, profile`` (see :mod:`common.records`); histories with
        ``seed, arm, epoch, metric, value``; and the maps of the first seed by
        ``<arm>/<task>`` (n_test, H).
    """
    n_of = {"main": len(seeds), "side": n_side, "sweep": n_sweep}
    todo = [
        delayed(_train_and_score)(
            training,
            sets.train[training.stand, seed],
            sets.validation[training.stand, seed],
            sets.test[training.stand],
            sets.fresh if training.watch else None,
            settings,
            seed,
            keep_maps=seed == seeds[0],
        )
        for place, seed in enumerate(seeds)
        for training in trainings
        if place < n_of[training.group]
    ]
    pool = Parallel(n_jobs=_at_once(jobs), return_as="generator")
    done = list(tqdm(pool(todo), total=len(todo), desc="trainings", disable=not progress))
    records, histories, maps = zip(*done, strict=True)
    kept = {name: each for some in maps for name, each in some.items()}
    return (
        pd.concat(records, ignore_index=True),
        pd.concat(histories, ignore_index=True),
        kept,
    )


def _at_once(jobs: int) -> int:
    """Return the number of trainings at once; a GPU takes what its memory and the cores allow."""
    if not torch.cuda.is_available():
        return jobs
    free_bytes, _ = torch.cuda.mem_get_info()
    return max(1, min(cpu_count(), free_bytes // (_GPU_GB * 2**30)))


def _train_and_score(
    training: Training,
    train: Gels,
    validation: Gels,
    test: Gels,
    fresh: Gels | None,
    settings: Settings,
    seed: int,
    *,
    keep_maps: bool,
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, NDArray[np.float32]]]:
    torch.set_num_threads(1)
    watch = None
    if fresh is not None:
        watch = {"test": test, "validation": validation, "fresh": fresh}
    runner = {"network": _network, "two-stage": _two_stage, "strips": _strips}[training.kind]
    fitted, predicted = runner(training, train, test, settings, seed + training.redraw, watch)
    called = _nine(predicted.codes)
    values = measures.decisions(test.label, called) | measures.attention(test, predicted.maps)
    parts = [
        measures.records(values, test),
        _of_run(seed, measures.summary(test.label, called)),
    ]
    if watch is not None:
        parts.append(_of_run(seed, selection(fitted, watch)))
    records = pd.concat(parts, ignore_index=True).assign(
        arm=training.name, source="phantom", seed=seed, fold=""
    )
    history = fitted.history.assign(arm=training.name, seed=seed)
    maps = {}
    if keep_maps and training.stand == "main":
        maps = {f"{training.name}/{task}": own[-1] for task, own in predicted.maps.items() if own}
    return records, history, maps


def _network(
    training: Training,
    train: Gels,
    test: Gels,
    settings: Settings,
    seed: int,
    watch: dict[str, Gels] | None,
) -> tuple[Fit, Prediction]:
    fitted = _fit(training.arm, train, settings, seed, watch)
    return fitted, predict(fitted.model, test.image)


def _fit(
    arm: Arm, train: Gels, settings: Settings, seed: int, watch: dict[str, Gels] | None = None
) -> Fit:
    return fit(
        lambda: arm.build(settings.width),
        train.image,
        train.codes,
        arm=arm,
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        seed=seed,
        watch=None if watch is None else {name: gels.image for name, gels in watch.items()},
    )


def _two_stage(
    training: Training,
    train: Gels,
    test: Gels,
    settings: Settings,
    seed: int,
    watch: dict[str, Gels] | None,
) -> tuple[Fit, Prediction]:
    """Ask first whether there is an M-protein, then which, with a network for each question.

    The second network learns on positives alone; it has the nine classes of all others and never
    meets a negative.
    """
    first = _fit(replace(training.arm, tasks={"positive": 2}), train, settings, seed)
    second = _fit(training.arm, train.where(train.label > 0), settings, seed + 1)
    positive = predict(first.model, test.image).codes["positive"]
    kind = predict(second.model, test.image).codes["label"]
    return first, Prediction({"label": np.where(positive == 1, kind, 0)}, {})


def _strips(
    training: Training,
    train: Gels,
    test: Gels,
    settings: Settings,
    seed: int,
    watch: dict[str, Gels] | None,
) -> tuple[Fit, Prediction]:
    """Cut lanes first; the network sees their profiles only."""
    own, others = (lane_profiles(g.image, segment_lanes(g.image)) for g in (train, test))
    fitted = fit(
        StripNet,
        own,
        train.codes,
        arm=training.arm,
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        seed=seed,
    )
    return fitted, predict(fitted.model, others)


def _nine(codes: dict[str, NDArray[np.int64]]) -> NDArray[np.int64]:
    """Return the nine-way class, joined from two tasks where there are two."""
    if "heavy" in codes:
        return recombine(codes["heavy"], codes["light"])
    return codes["label"]


def selection(fitted: Fit, sets: dict[str, Gels]) -> dict[str, float]:
    """Measure what choosing the epoch is worth, and what it pretends to be worth.

    Args:
        fitted: with the predictions of every epoch on the sets.
        sets: ``test``, ``validation`` and ``fresh``.

    Returns:
        - ``reported_test``, ``reported_validation``, ``reported_last``: accuracy on the test gels
          of the epoch that is best on the test gels, best on the validation gels (of equals the
          latest, as in the released code), and of the last epoch;
        - ``optimism``: gain of the first over the last on the test gels, less the same gain on
          fresh gels.
    """
    accuracy = {}
    for name, gels in sets.items():
        every = [
            _nine({task: codes[epoch] for task, codes in fitted.watched[name].items()})
            for epoch in range(len(next(iter(fitted.watched[name].values()))))
        ]
        accuracy[name] = np.array([(each == gels.label).mean() for each in every])
    best = {name: len(values) - 1 - int(values[::-1].argmax()) for name, values in accuracy.items()}
    test, fresh = accuracy["test"], accuracy["fresh"]
    gain = test[best["test"]] - test[-1]
    return {
        "reported_test": test[best["test"]],
        "reported_validation": test[best["validation"]],
        "reported_last": test[-1],
        "optimism": gain - (fresh[best["test"]] - fresh[-1]),
    }


def _of_run(seed: int, values: dict[str, float]) -> pd.DataFrame:
    """Arrange numbers of one run; the run is its own case and cluster, named by its seed."""
    rows = [
        {"case": f"run-{seed}", "cluster": f"run-{seed}", "group": "", "metric": m, "value": v}
        for m, v in values.items()
        if not np.isnan(v)
    ]
    return pd.DataFrame(rows)
