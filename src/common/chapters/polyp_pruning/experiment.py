"""The experiment of the pruning chapter: train, score, remove, measure, for every seed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from joblib import Parallel, cpu_count, delayed
from numpy.typing import NDArray
from torch import Tensor
from tqdm.auto import tqdm

from common.chapters.polyp_pruning.curves import (
    AREA_LEVELS,
    GROUPS,
    LEFT,
    LEVELS,
    RIGHT,
    SCORES,
    TIMED,
    Array,
    Curve,
    area,
    follow,
    frame_iou,
    knee,
    n_removed,
    pair,
    pruned,
)
from common.chapters.polyp_pruning.inputs import Data, Frames, Parts
from common.models.polyp_pruning import Layout, UNet, count, layout
from common.models.polyp_pruning_scores import (
    Scores,
    Terms,
    activity,
    chance,
    magnitude,
    overlap,
    taylor,
    taylor_terms,
    within_layers,
)
from common.models.polyp_pruning_training import (
    Settings,
    fit,
    matched_layout,
    probabilities,
    recalibrate,
    to_input,
)
from common.training import Fitted

TRAININGS = ("whole", "small", "leaky")
SUBSETS = (5, 10, 39)  # sizes of the disjoint importance sets; halves of all come on top
_GPU_GB = 8  # memory that one training is given


@dataclass(frozen=True)
class Plan:
    """Sizes of an experiment.

    Args:
        width: filters at level 1.
        n_few: importance frames of the small set (the paper: 39).
        n_draws: random rankings.
        settings: of the trainings.
    """

    width: int
    n_few: int
    n_draws: int
    settings: Settings


@dataclass(frozen=True)
class Outcome:
    """What a run gives.

    Args:
        records: without ``paper, run, profile``; see :mod:`common.records`.
        arrays: curves and counts, see :func:`stacked`.
        masks: of the first seed: probabilities (n, S, S) before and after pruning.
        plans: layouts of the four networks that are timed with care, of the first seed.
        timed: layouts by score and level of :data:`TIMED`, of the first seed; one draw of chance.
    """

    records: pd.DataFrame
    arrays: dict[str, NDArray[Any]]
    masks: dict[str, NDArray[np.float32]] = field(repr=False)
    plans: dict[str, Layout] = field(repr=False)
    timed: dict[tuple[str, float], Layout] = field(repr=False)


def tensors(frames: Frames) -> tuple[Tensor, Tensor]:
    """Return images as networks see them (n, 3, S, S), and masks (n, 1, S, S)."""
    return to_input(torch.from_numpy(frames.image)), torch.from_numpy(frames.mask)[:, None].float()


def all_scores(model: UNet, importance: Frames, n_few: int) -> tuple[dict[str, Scores], Terms]:
    """Score the filters of a network in every way that the chapter compares.

    Args:
        model: the trained network.
        importance: the frames to score on.
        n_few: size of the two small sets, taken from both ends.

    Returns:
        Scores by the arm's name, and the terms of all frames.
    """
    device = next(model.parameters()).device
    image, mask = (each.to(device) for each in tensors(importance))
    terms = taylor_terms(model, image, mask)
    # each frame with the mask of the next: the target is of the right kind and wrong
    wrong = taylor_terms(model, image, mask.roll(1, dims=0))
    signed = taylor(terms, squared=False)
    n = len(importance)
    scores = {
        "taylor": taylor(terms),
        "few": taylor(terms.some(np.arange(min(n_few, n)))),
        "few-other": taylor(terms.some(np.arange(n - min(n_few, n), n))),
        "signed": signed,
        "reversed": [-each for each in signed],
        "absolute": [np.abs(each) for each in signed],
        "raw": taylor(terms, normalised=False),
        "after": taylor(terms, place="normalisation"),
        "mean": taylor(terms, reduction="mean"),
        "squares": taylor(terms, reduction="squares"),
        "mean-squares": taylor(terms, reduction="mean-squares"),
        "wrong-mask": taylor(wrong),
        "l1": magnitude(model),
        "l1-layer": magnitude(model, per_layer=True),
        "activity": activity(terms),
        "even": within_layers(taylor(terms)),
    }
    return scores, terms


@dataclass(frozen=True)
class Trained:
    """What one seed of the main experiment gives.

    Args:
        curves: by score; ``chance`` holds the mean over draws at :data:`AREA_LEVELS`, and the
            filters kept of one draw.
        small: IoU (n,) of the small network trained from scratch, and of the pruned network with
            new statistics of the normalisation, both at the left level.
        small_counts: parameters and multiplications of the small network.
        agreement: shares of removed filters that disjoint sets agree on, by size of the sets.
        norms (n_importance,): lengths of the gradients at the output.
        negative: share of filters whose mean first-order term is negative.
        losses: by training, mean error of each epoch (epochs,).
        masks: probabilities before and after pruning.
    """

    curves: dict[str, Curve]
    small: dict[str, Array]
    small_counts: tuple[float, float]
    agreement: dict[int, float]
    norms: Array
    negative: float
    losses: dict[str, Array]
    masks: dict[str, NDArray[np.float32]]


def main_job(parts: Parts, plan: Plan, seed: int) -> Trained:
    """Train one network, follow every score, and train the small network of equal cost."""
    torch.set_num_threads(1)
    train, measure = parts.train, parts.measure
    model, fitted = fit(
        layout(plan.width), train.image, train.mask, settings=plan.settings, seed=seed
    )
    scores, terms = all_scores(model, parts.importance, plan.n_few)
    whole = frame_iou(model, measure)
    curves = {name: follow(model, scores[name], measure, LEVELS, whole=whole) for name in SCORES}
    rng = np.random.default_rng([seed, 7])
    draws = [
        follow(model, chance(model, rng), measure, AREA_LEVELS, whole=whole)
        for _ in range(plan.n_draws)
    ]
    mean = np.mean([draw.iou for draw in draws], axis=0)
    counts = np.mean([draw.counts for draw in draws], axis=0)
    curves["chance"] = Curve(mean, draws[0].kept, counts)

    wanted = curves["taylor"].counts[LEVELS.index(LEFT), 1]
    matched = matched_layout(wanted, train.image.shape[-1])
    small, own = fit(matched, train.image, train.mask, settings=plan.settings, seed=seed)
    renewed = pruned(model, scores["taylor"], LEFT)
    masks = {
        "before": probabilities(model, measure.image),
        "after": probabilities(pruned(model, scores["few"], LEFT), measure.image),
    }
    recalibrate(renewed, train.image)
    return Trained(
        curves=curves,
        small={"small": frame_iou(small, measure), "renewed": frame_iou(renewed, measure)},
        small_counts=pair(count(matched, train.image.shape[-1])),
        agreement=agreement(terms, model.plan.n_filters),
        norms=terms.norms,
        negative=float(np.mean(np.concatenate(scores["signed"]) < 0)),
        losses={"whole": loss_of(fitted), "small": loss_of(own)},
        masks=masks,
    )


def agreement(terms: Terms, n_filters: int) -> dict[int, float]:
    """Compare rankings of disjoint sets of frames at the left level.

    Args:
        terms: of all importance frames.
        n_filters: of the network.

    Returns:
        The share of removed filters that two disjoint sets agree on, by size; the halves last.
    """
    n = len(terms.norms)
    sizes = [size for size in SUBSETS if 2 * size < n] + [n // 2]
    found = {}
    for size in sizes:
        first, second = (
            taylor(terms.some(index)) for index in (np.arange(size), np.arange(size, 2 * size))
        )
        found[size] = overlap(first, second, n_removed(LEFT, n_filters))
    return found


def leaky_job(parts: Parts, plan: Plan, seed: int) -> tuple[Array, Array]:
    """Train with the twins of measured frames among the training frames; return IoU and loss."""
    torch.set_num_threads(1)
    train = parts.leaky
    model, fitted = fit(
        layout(plan.width), train.image, train.mask, settings=plan.settings, seed=seed
    )
    return frame_iou(model, parts.measure), loss_of(fitted)


def loss_of(fitted: Fitted) -> Array:
    """Return the mean error of each epoch of a training (epochs,)."""
    history = fitted.history
    mine = history[history["metric"] == "error_loss"].sort_values("epoch")
    return mine["value"].to_numpy(dtype=float)


def run(
    parts: Parts,
    plan: Plan,
    *,
    seeds: Iterable[int],
    source: Data,
    jobs: int = 2,
    progress: bool = False,
) -> Outcome:
    """Run the experiment with every seed.

    Args:
        parts: frames; the same for all seeds.
        plan: sizes.
        seeds: of the trainings.
        source: where the frames come from.
        jobs: processes on the CPU; each has one thread, so that their number changes no record.
        progress: show a bar.

    Returns:
        Records, curves and masks.
    """
    seeds = list(seeds)
    todo = [delayed(main_job)(parts, plan, seed) for seed in seeds]
    todo += [delayed(leaky_job)(parts, plan, seed) for seed in seeds]
    done = in_parallel(todo, jobs=jobs, progress=progress)
    trained: dict[int, Trained] = dict(zip(seeds, done[: len(seeds)], strict=True))
    leaky = dict(zip(seeds, done[len(seeds) :], strict=True))
    found = [_records(parts, trained[seed], leaky[seed][0], seed) for seed in seeds]
    for seed, each in trained.items():
        each.losses["leaky"] = leaky[seed][1]
    first = trained[seeds[0]]
    left, right = LEVELS.index(LEFT), LEVELS.index(RIGHT)
    whole = layout(plan.width)
    plans = {
        "whole": whole,
        "left": replace(whole, filters=tuple(first.curves["few"].kept[left].tolist())),
        "right": replace(whole, filters=tuple(first.curves["taylor"].kept[right].tolist())),
        "small": matched_layout(first.small_counts[1], parts.train.image.shape[-1]),
    }
    return Outcome(
        pd.concat(found, ignore_index=True).assign(source=source, fold=""),
        stacked(trained, parts.measure.table),
        first.masks,
        plans,
        {
            (name, share): replace(whole, filters=tuple(curve.kept[row].tolist()))
            for name, curve in first.curves.items()
            for row, share in enumerate(AREA_LEVELS if name == "chance" else LEVELS)
            if share in TIMED
        },
    )


def in_parallel(todo: list[Any], *, jobs: int, progress: bool) -> list[Any]:
    """Run trainings side by side, each in a process of its own; a GPU takes as many as fit."""
    if torch.cuda.is_available():
        free_bytes, _ = torch.cuda.mem_get_info()
        jobs = int(max(1, min(cpu_count(), free_bytes // (_GPU_GB * 2**30))))
    pool = Parallel(n_jobs=jobs, return_as="generator")
    return list(tqdm(pool(todo), total=len(todo), desc="trainings", disable=not progress))


def stacked(trained: Mapping[int, Trained], table: pd.DataFrame) -> dict[str, NDArray[Any]]:
    """Put the curves of all seeds into arrays.

    Args:
        trained: by seed.
        table: of the measured frames.

    Returns:
        ``curve`` (scores, seeds, levels): mean IoU; ``shares`` (scores, seeds, levels, 2):
        parameters and multiplications relative to the whole network; ``chance`` and
        ``chance-shares`` the same at :data:`AREA_LEVELS`; ``frames`` (seeds, levels, n): IoU of
        each frame under ``taylor``; ``clusters`` (n,): a number for each frame's cluster; ``kept``
        (2, seeds, levels, 18): filters left under ``few`` and ``taylor``; ``loss`` (trainings,
        seeds, epochs); ``norms``, ``negative``, ``agreement`` (seeds, ...), ``agreement-sizes``.
    """
    every = list(trained.values())
    sizes = list(every[0].agreement)

    def shares(name: str) -> Array:
        counts = np.stack([each.curves[name].counts for each in every])
        return counts / counts[:, :1]

    return {
        "curve": np.stack(
            [[each.curves[name].iou.mean(axis=1) for each in every] for name in SCORES]
        ),
        "shares": np.stack([shares(name) for name in SCORES]),
        "chance": np.stack([each.curves["chance"].iou.mean(axis=1) for each in every]),
        "chance-shares": shares("chance"),
        "frames": np.stack([each.curves["taylor"].iou for each in every]).astype(np.float32),
        "clusters": table["cluster"].factorize()[0],
        "loss": np.stack([[each.losses[name] for each in every] for name in TRAININGS]),
        "kept": np.stack([[each.curves[n].kept for each in every] for n in ("few", "taylor")]),
        "norms": np.stack([each.norms for each in every]),
        "negative": np.array([each.negative for each in every]),
        "agreement": np.array([list(each.agreement.values()) for each in every]),
        "agreement-sizes": np.array(sizes),
        "small-shares": np.array(
            [np.array(each.small_counts) / each.curves["taylor"].counts[0] for each in every]
        ),
    }


def _records(parts: Parts, found: Trained, leaky: Array, seed: int) -> pd.DataFrame:
    rows: list[pd.DataFrame] = []
    whole = found.curves["taylor"].iou[0]
    for share, group in GROUPS.items():
        at = {
            name: curve.iou[LEVELS.index(share)]
            for name, curve in found.curves.items()
            if name != "chance"
        }
        at["chance"] = found.curves["chance"].iou[AREA_LEVELS.index(share)]
        at["unpruned"] = whole
        if share == LEFT:
            at |= found.small
        rows += [
            _long(parts.measure.table, name, "iou", value, group) for name, value in at.items()
        ]
    for name, curve in found.curves.items():
        levels = AREA_LEVELS if name == "chance" else LEVELS
        rows.append(_long(parts.measure.table, name, "area", area(curve.iou, levels), ""))
    for group, chosen in (("twins", parts.twinned), ("copies", parts.copied)):
        for name, value in (("leaky", leaky), ("unpruned", whole)):
            mine = parts.measure.table[chosen]
            rows.append(_long(mine, name, "iou", value[chosen], group))
    rows.append(_training_rows(found, seed))
    return pd.concat(rows, ignore_index=True).assign(seed=seed)


def _long(table: pd.DataFrame, arm: str, metric: str, value: Array, group: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "arm": arm,
            "case": table["case"].to_numpy(),
            "cluster": table["cluster"].to_numpy(),
            "group": group,
            "metric": metric,
            "value": value,
        }
    )


def _training_rows(found: Trained, seed: int) -> pd.DataFrame:
    """Describe one training by numbers that belong to no single frame; no turn, no row."""
    few, taylor_ = found.curves["few"], found.curves["taylor"]
    values: dict[tuple[str, str, str], float] = {
        ("taylor", "knee", ""): knee(LEVELS, taylor_.iou.mean(axis=1)),
        ("taylor", "agreement", ""): found.agreement[max(found.agreement)],
    }
    for arm, curve, share in (("few", few, LEFT), ("taylor", taylor_, RIGHT)):
        parameters, macs = curve.counts[LEVELS.index(share)] / curve.counts[0]
        values[arm, "parameter_share", GROUPS[share]] = parameters
        values[arm, "mac_share", GROUPS[share]] = macs
    unit = f"training-{seed}"
    rows = [
        (arm, unit, unit, group, metric, value)
        for (arm, metric, group), value in values.items()
        if not np.isnan(value)
    ]
    return pd.DataFrame(rows, columns=["arm", "case", "cluster", "group", "metric", "value"])
