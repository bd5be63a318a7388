"""The experiment: every arm on every source, tested on the same slides under each scanner."""

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from joblib import Parallel, cpu_count, delayed
from torch import nn
from tqdm.auto import tqdm

from common.chapters.cell_detection import scores
from common.chapters.cell_detection.cohorts import SCANNERS, Patches, Slides, draw, scan
from common.models.cell_detection import Geometry
from common.models.cell_detection_regularisation import Regularisation
from common.models.cell_detection_training import Arm, predict, train_arm
from common.training import Fitted

COMPARED = ("baseline", "scr", "acr")
_GPU_GB = 6  # memory of a GPU that one training is given
_AGAIN = 500_000  # added to the seed of an arm that repeats another
_TEST, _TRAIN = 0, 1  # streams of slides
DIGITS = 5  # of a slide's value; more would swell archives


@dataclass(frozen=True)
class Setting:
    """What all trainings of a run share.

    Attributes:
        slides: how slides are cut.
        n_slides: training slides of a source.
        n_test: test slides.
        shift: distance of the scanners, see the dials of the phantom.
        shifts: distances at which arms trained on scanner A are tested as well.
        width: channels of the narrow backbone; 0 for ResNet-50.
        epochs: passes over the training patches.
        batch_size: patches a step.
        lr: learning rate of Adam.
        seed: of the phantom; training seeds are given apart.
    """

    slides: Slides
    n_slides: int
    n_test: int
    shift: float
    shifts: tuple[float, ...]
    width: int
    epochs: int
    batch_size: int
    lr: float
    seed: int

    @property
    def geometry(self) -> Geometry:
        """Sizes of the detectors."""
        return Geometry(size=self.slides.size, box=self.slides.box, width=self.width)


def arms(*, ratio: float, weight: float, stain: float) -> dict[str, Arm]:
    """List the arms by name.

    Args:
        ratio: share q of positions that SCR masks.
        weight: lambda of every branch.
        stain: strength of the stain augmentation.
    """
    masked = Regularisation("stochastic", ratio=ratio, weight=weight)
    gated = replace(masked, masking="adaptive")
    every = (
        Arm("baseline"),
        Arm("scr", masked),
        Arm("acr", gated),
        Arm("acr-detached", replace(gated, detach=True)),
        Arm("open", replace(masked, masking="open")),
        Arm("stain", stain=stain),
        Arm("one-stage", stages=1),
        Arm("one-stage-acr", gated, stages=1),
        Arm("repeat"),
    )
    return {arm.name: arm for arm in every}


@dataclass(frozen=True)
class Task:
    """One training and what it is tested on."""

    arm: Arm
    source: str
    seed: int


def plan(
    chosen: dict[str, Arm], *, seeds: Iterable[int], sources: Sequence[str] = SCANNERS
) -> list[Task]:
    """List the trainings: the paper's three arms on every source, all others on the first.

    Args:
        chosen: arms by name.
        seeds: training seeds; each draws its own training slides.
        sources: scanners that are trained on.

    Example:
        >>> found = plan(arms(ratio=0.5, weight=1, stain=0.2), seeds=[0], sources=["A", "B"])
        >>> len(found), [task.source for task in found if task.arm.name == "acr"]
        (12, ['A', 'B'])
    """
    return [
        Task(arm, source, seed)
        for seed in seeds
        for name, arm in chosen.items()
        for source in (sources if name in COMPARED else sources[:1])
    ]


def held_out(setting: Setting, *, jobs: int = 1) -> dict[tuple[str, float], Patches]:
    """Put the test slides under every scanner.

    Returns:
        Patches by scanner and shift.  Scanner A is the origin of every shift, so that it appears
        once.
    """
    table = draw(setting.n_test, _seed(setting.seed, _TEST), setting.slides)
    keys = [("A", setting.shift)]
    levels = dict.fromkeys((setting.shift, *(s for s in setting.shifts if s > 0)))
    keys += [(scanner, level) for level in levels for scanner in SCANNERS[1:]]
    return {
        (scanner, level): scan(table, scanner, shift=level, slides=setting.slides, jobs=jobs)
        for scanner, level in keys
    }


def training_slides(setting: Setting, task: Task) -> Patches:
    """Draw the training slides of a task: those of its seed and scanner, whatever the arm."""
    n = setting.n_slides * len(SCANNERS)
    seed = _seed(setting.seed, _TRAIN, task.seed)
    table = draw(n, seed, setting.slides, scanner=task.source)
    return scan(table, task.source, shift=setting.shift, slides=setting.slides)


def _seed(*parts: int) -> int:
    return int(np.random.SeedSequence(parts).generate_state(1)[0])


@dataclass(frozen=True)
class Outcome:
    """What the trainings of a run gave.

    Attributes:
        records: without ``paper, run, profile``, see :mod:`common.records`.
        history: ``seed, source, arm, epoch, metric, value``.
        examples: boxes (k, K, 4) and scores (k, K) on the patches of :func:`examples`, by arm and
            scanner; of the first source and seed.
        found: detections on all patches, by arm and scanner, of the same networks.
    """

    records: pd.DataFrame
    history: pd.DataFrame
    examples: dict[tuple[str, str], tuple[scores.Values, scores.Values]]
    found: dict[tuple[str, str], scores.Detections]


def examples(patches: Patches, *, n: int = 2) -> list[int]:
    """Choose patches to look at: the first with a figure of each of ``n`` slides."""
    positive = np.flatnonzero(patches.positive)
    slide = patches.table["cluster"].to_numpy(dtype=str)[positive]
    _, first = np.unique(slide, return_index=True)
    return [int(positive[i]) for i in np.sort(first)[:n]]


def run(
    setting: Setting,
    tasks: Sequence[Task],
    tested: dict[tuple[str, float], Patches],
    *,
    jobs: int = 2,
    progress: bool = False,
) -> Outcome:
    """Train every task and test it under every scanner.

    Args:
        setting: what all share.
        tasks: see :func:`plan`.
        tested: see :func:`held_out`.
        jobs: processes on the CPU, a GPU takes as many as fit; each training uses one thread, so
            the records do not depend on their number.
        progress: show a bar.
    """
    pool = Parallel(n_jobs=at_once(jobs), return_as="generator")
    todo = [delayed(_train_and_test)(setting, task, tested) for task in tasks]
    with warnings.catch_warnings():
        # a worker whose memory grew is replaced; that changes nothing
        warnings.filterwarnings("ignore", message="A worker stopped")
        bar = tqdm(pool(todo), total=len(todo), desc="trainings", disable=not progress, leave=False)
        done = list(bar)
    records, histories, kept = zip(*done, strict=True)
    shown: dict[tuple[str, str], Any] = {}
    for each in kept:
        shown = {**each, **shown}  # the first seed comes first and stays
    return Outcome(
        pd.concat(records, ignore_index=True),
        pd.concat(histories, ignore_index=True),
        {key: example for key, (example, _) in shown.items()},
        {key: found for key, (_, found) in shown.items()},
    )


def at_once(jobs: int) -> int:
    """Return the number of trainings at once: on a GPU as many as memory and CPU cores allow."""
    if not torch.cuda.is_available():
        return jobs
    free_bytes, _ = torch.cuda.mem_get_info()
    return max(1, min(cpu_count(), free_bytes // (_GPU_GB * 2**30)))


def fit(setting: Setting, task: Task) -> Fitted:
    """Train one task."""
    patches = training_slides(setting, task)
    again = _AGAIN if task.arm.name == "repeat" else 0
    return train_arm(
        task.arm,
        patches.image,
        patches.boxes,
        geometry=setting.geometry,
        epochs=setting.epochs,
        batch_size=setting.batch_size,
        lr=setting.lr,
        seed=1_000 * task.seed + SCANNERS.index(task.source) + again,
    )


def _train_and_test(
    setting: Setting, task: Task, tested: dict[tuple[str, float], Patches]
) -> tuple[pd.DataFrame, pd.DataFrame, dict[Any, Any]]:
    torch.set_num_threads(1)
    fitted = fit(setting, task)
    dialled = task.source == SCANNERS[0] and task.arm.name in (*COMPARED, "stain")
    keys = [key for key in tested if dialled or key[1] == setting.shift]
    found = {key: detect(fitted.model, tested[key]) for key in keys}
    by_scanner = {key[0]: found[key] for key in keys if key[1] == setting.shift}
    tables = [_pairs(task.arm.name, task.source, by_scanner)]
    if dialled:
        tables.append(_shifted(task.arm.name, setting, found))
    slides = pd.concat(tables, ignore_index=True).assign(seed=task.seed)
    of_run = _last(fitted.history, f"{task.source}-{task.seed}")
    records = pd.concat([slides, of_run], ignore_index=True)
    records = records.assign(arm=task.arm.name, fold="", source="phantom")
    history = fitted.history.assign(arm=task.arm.name, source=task.source, seed=task.seed)
    shown = {}
    if task.source == SCANNERS[0]:
        for scanner in by_scanner:
            patches = tested[scanner, setting.shift]
            example = predict(fitted.model, patches.image[examples(patches)])
            shown[task.arm.name, scanner] = (example, by_scanner[scanner].everywhere)
    return records, history, shown


@dataclass(frozen=True)
class Found:
    """Detections on all patches and on those that hold a reference box."""

    everywhere: scores.Detections
    positive: scores.Detections


def detect(model: nn.Module, patches: Patches) -> Found:
    """Run a trained network on patches and match what it finds."""
    boxes, score = predict(model, patches.image)
    reference, slide = patches.reference(), patches.table["cluster"].to_numpy(dtype=str)
    slides = sorted(set(slide))
    kept = np.flatnonzero(patches.positive)
    alone = [reference[i] for i in kept]
    return Found(
        scores.match(boxes, score, reference, list(slide), slides=slides),
        scores.match(boxes[kept], score[kept], alone, list(slide[kept]), slides=slides),
    )


def _pairs(arm: str, source: str, found: dict[str, Found]) -> pd.DataFrame:
    """Score one network under each scanner: AP of every pair, and what unseen scanners cost.

    Metrics: ``ap50`` on unseen scanners, ``seen_ap50`` on the own one.  The paper's arms also have
    AP75 and AP50:95 of both, ``ap50_positive`` on unseen patches that hold a figure, and
    ``unseen_minus_seen``; the baseline ``positive_minus_all``.  More would swell archives.
    """
    metrics = scores.METRICS if arm in COMPARED else ("ap50",)
    parts = []
    for target, each in found.items():
        table = scores.slide_table(each.everywhere, metrics)
        if target == source:
            table["metric"] = "seen_" + table["metric"]
        elif arm in COMPARED:
            positive = scores.slide_table(each.positive, ["ap50"])
            table = pd.concat([table, positive.assign(metric="ap50_positive")])
        parts.append(table.assign(target=target))
    whole = pd.concat(parts, ignore_index=True)
    extra = [_gap(whole, source)] if arm in COMPARED else []
    if arm == "baseline":
        extra.append(_inflated(whole))
    table = pd.concat([whole, *extra], ignore_index=True)
    pair = source + "→" + table["target"]
    return pd.DataFrame(
        {
            "case": pair + " " + table["slide"],
            "cluster": table["slide"],
            "group": pair,
            "metric": table["metric"],
            "value": table["value"].round(DIGITS),
        }
    )


def _gap(whole: pd.DataFrame, source: str) -> pd.DataFrame:
    """Take AP50 under the own scanner off the mean over the unseen ones, slide by slide."""
    unseen = whole[whole["metric"] == "ap50"].groupby("slide")["value"].mean()
    seen = whole[whole["metric"] == "seen_ap50"].set_index("slide")["value"]
    gap = (unseen - seen).rename("value").rename_axis("slide").reset_index()
    return gap.assign(target="unseen", metric="unseen_minus_seen")


def _inflated(whole: pd.DataFrame) -> pd.DataFrame:
    """Take AP50 of all patches off that of patches with a figure."""
    keys = ["slide", "target"]
    part = {
        name: whole[whole["metric"] == name].set_index(keys)["value"]
        for name in ("ap50", "ap50_positive")
    }
    gain = (part["ap50_positive"] - part["ap50"]).rename("value").reset_index()
    return gain.assign(metric="positive_minus_all")


def _shifted(arm: str, setting: Setting, found: dict[tuple[str, float], Found]) -> pd.DataFrame:
    """Score at every distance of the scanners: the mean of B and C, which at 0 are both A.

    Metrics: ``ap50_shifted`` at each distance; for the baseline ``ap50_dial``, the same less its
    value at 0.
    """
    origin = found["A", setting.shift].everywhere
    alike = scores.slide_values(origin, "ap50")
    parts = []
    for level in setting.shifts:
        values = {"ap50_shifted": alike}
        if level > 0:
            each = [scores.slide_values(found[s, level].everywhere, "ap50") for s in "BC"]
            values["ap50_shifted"] = np.mean(each, axis=0)
            if arm == "baseline":
                values["ap50_dial"] = values["ap50_shifted"] - alike
        table = pd.DataFrame(values).assign(
            case=origin.slides, cluster=origin.slides, group=f"shift {level:g}"
        )
        parts.append(table.melt(["case", "cluster", "group"], var_name="metric"))
    return pd.concat(parts, ignore_index=True).round({"value": DIGITS})


_OF_RUN = ("gate", "gate_entropy", "feature_rms", "reconstruction")


def _last(history: pd.DataFrame, name: str) -> pd.DataFrame:
    """Keep what the last epoch says of masks and features: one value for the whole training.

    The training is a unit of its own, and its seed is part of its name.
    """
    last = history[history["epoch"] == history["epoch"].max()]
    last = last[last["metric"].isin(_OF_RUN)]
    return last[["metric", "value"]].assign(case=name, cluster=name, group="", seed=0)
