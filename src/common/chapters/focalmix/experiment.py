"""The experiment of the FocalMix chapter: every arm on every draw of the annotated scans."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from joblib import Parallel, cpu_count, delayed
from tqdm.auto import tqdm

from common.chapters.focalmix import measures
from common.chapters.focalmix.scans import (
    BUDGETS,
    USUAL,
    Material,
    Volumes,
    held_out,
    material,
)
from common.models.focalmix import Detector
from common.models.focalmix_losses import focal_loss, soft_focal_loss
from common.models.focalmix_training import SUPERVISED, Recipe, anchors_for, detect, prepare, train
from common.training import runtime


@dataclass(frozen=True)
class Arm:
    """One way to train and what it is shown.

    Args:
        name: as in ``paper.yml``.
        labelled: the annotated scans: a name in :data:`common.chapters.focalmix.scans.BUDGETS`, or
            ``all``.
        recipe: see :class:`common.models.focalmix_training.Recipe`.
        unlabelled: share of the unlabelled scans; 0 for none.
        other_site: whether those are the other site's.
        redraw: added to the seed of the training, so that a repeat starts from other weights.
    """

    name: str
    labelled: str
    recipe: Recipe
    unlabelled: float = 1.0
    other_site: bool = False
    redraw: int = 0


def plan(n_flips: int) -> tuple[Arm, ...]:
    """List all arms of the chapter.

    Args:
        n_flips: K of FocalMix.

    Example:
        >>> len(plan(2)), plan(2)[0].name
        (24, 'supervised-25')
    """
    own = Recipe(k=n_flips)
    both_off = replace(own, mix_images=False, mix_objects=False)
    ablations = {
        "no-mixup": both_off,
        "image-only": replace(own, mix_objects=False),
        "object-only": replace(own, mix_images=False),
        "hard-focal": replace(own, loss="hard-focal"),
        "hard-focal-no-mixup": replace(both_off, loss="hard-focal"),
        "cross-entropy": replace(own, loss="cross-entropy"),
        "cross-entropy-no-mixup": replace(both_off, loss="cross-entropy"),
        "no-alpha": replace(own, loss="no-alpha"),
        "no-beta": replace(own, loss="no-beta"),
        "one-flip": replace(own, k=1),
        "no-sharpening": replace(own, temperature=1.0),
        "no-ramp": replace(own, ramp=0.0),
    }
    main = [
        arm
        for budget in BUDGETS
        for arm in (
            Arm(f"supervised-{budget}", budget, SUPERVISED, unlabelled=0),
            Arm(f"focalmix-{budget}", budget, own),
        )
    ]
    return (
        *main,
        Arm("focalmix-100-u100", "100", own, unlabelled=0.25),
        Arm("focalmix-100-u200", "100", own, unlabelled=0.5),
        Arm("supervised-all", "all", SUPERVISED, unlabelled=0),
        Arm("focalmix-all", "all", own, other_site=True),
        Arm("supervised-mixup", "25", own, unlabelled=0),
        *(Arm(name, "25", recipe) for name, recipe in ablations.items()),
        Arm("repeat", "25", own, redraw=500_000),
    )


@dataclass(frozen=True)
class Sizes:
    """How large everything is.

    Args:
        size: side of a cube (voxels of 1 mm).
        n_labelled: annotated scans of the smallest budget.
        n_unlabelled: unlabelled scans.
        n_train: scans of the training part.
        n_test: test scans.
        width: channels of the detector at stride 2.
        steps: of training.
        batch_size: annotated scans a step, and as many unlabelled ones.
        lr: highest learning rate.
    """

    size: int
    n_labelled: int
    n_unlabelled: int
    n_train: int
    n_test: int
    width: int
    steps: int
    batch_size: int
    lr: float

    @property
    def fitting(self) -> dict[str, Any]:
        """What a training needs of it."""
        names = ("width", "steps", "batch_size", "lr")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Outcome:
    """What a study gives.

    Args:
        records: without ``paper, run, profile``, see :mod:`common.records`.
        history: ``arm, draw, step, metric, value``, see
            :func:`common.models.focalmix_training.train`.
        first: the material of the first draw.
    """

    records: pd.DataFrame
    history: pd.DataFrame
    first: Material = field(repr=False)


def run(
    arms: Sequence[Arm],
    *,
    seed: int,
    draws: int,
    sizes: Sizes,
    shift: float = 1.0,
    jobs: int = 2,
    progress: bool = False,
    dials: Mapping[str, float] = USUAL,
) -> Outcome:
    """Train every arm on every draw and score it on the same test scans.

    Each draw has a training part of its own; arms of one draw share scans, first weights and
    batches of annotated scans.

    Args:
        arms: see :func:`plan`.
        seed: of the study.
        draws: training parts.
        sizes: see :class:`Sizes`.
        shift: dial of the phantom for the other site.
        jobs: processes on the CPU, a GPU takes as many as fit; each training uses one thread, so
            the records do not depend on their number.
        progress: show a bar.
        dials: of the phantom.
    """
    test = held_out(sizes.n_test, seed=seed, size=sizes.size, jobs=jobs, dials=dials)

    def make(draw: int) -> Material:
        return material(
            draw,
            test,
            seed=seed,
            size=sizes.size,
            n_train=sizes.n_train,
            n_labelled=sizes.n_labelled,
            n_unlabelled=sizes.n_unlabelled,
            shift=shift if any(arm.other_site for arm in arms) else None,
            jobs=jobs,
            dials=dials,
        )

    first = make(0)
    records, histories = [], []
    bar = tqdm(total=draws * len(arms), desc="trainings", disable=not progress)
    with bar, warnings.catch_warnings():
        # loky replaces a process whose memory has grown, and says so
        warnings.filterwarnings("ignore", message="A worker stopped")
        for draw in range(draws):
            here = first if draw == 0 else make(draw)
            todo = (delayed(_train_and_score)(arm, here, seed, sizes) for arm in arms)
            done = Parallel(n_jobs=_at_once(jobs), return_as="generator")(todo)
            of_draw = []
            for arm, (table, history) in zip(arms, done, strict=True):
                of_draw.append(table)
                histories.append(history.assign(arm=arm.name, draw=draw))
                bar.update()
            records += [*of_draw, _doublings(pd.concat(of_draw), here)]
    table = pd.concat(records, ignore_index=True).assign(source="phantom", fold="")
    return Outcome(table, pd.concat(histories, ignore_index=True), first)


def dial(
    name: str,
    values: Iterable[float],
    *,
    seed: int,
    draws: int,
    sizes: Sizes,
    n_flips: int,
    jobs: int = 2,
    progress: bool = False,
) -> pd.DataFrame:
    """Train with and without unlabelled scans at stands of a dial of the phantom.

    Args:
        name: of the dial.
        values: its stands.
        seed, draws, sizes, jobs, progress: as in :func:`run`.
        n_flips: K of FocalMix.

    Returns:
        Records of the metric ``cpm``: arms ``dial-supervised`` and ``dial-focalmix``, group
        ``<name> <value>``, a draw its own cluster.
    """
    chosen = {
        "supervised-25": "dial-supervised",
        "focalmix-25": "dial-focalmix",
    }
    arms = [arm for arm in plan(n_flips) if arm.name in chosen]
    fewest = max(BUDGETS.values()) * sizes.n_labelled + sizes.n_unlabelled
    sizes, parts = replace(sizes, n_train=fewest), []
    for value in values:
        found = run(
            arms,
            seed=seed,
            draws=draws,
            sizes=sizes,
            jobs=jobs,
            progress=progress,
            dials={name: value},
        )
        own = found.records[found.records["metric"] == "cpm"]
        parts.append(own.assign(arm=own["arm"].map(chosen), group=f"{name} {value:g}"))
    return pd.concat(parts, ignore_index=True)


def precision() -> str:
    """Choose the precision: bfloat16 where the processor multiplies in it, else float32.

    Elsewhere bfloat16 is emulated and slower than float32.
    """
    native = torch.cuda.is_available() or torch.cpu.get_capabilities().get("avx512_bf16", False)
    return "bf16-mixed" if native else "32-true"


def teacher(here: Material, *, steps: int, sizes: Sizes, seed: int) -> Detector:
    """Train a detector on the largest budget of annotated scans alone, to be looked at.

    Args:
        here: a draw.
        steps: of the training.
        sizes: see :class:`Sizes`.
        seed: of the training.
    """
    chosen = here.labelled("100")
    anchors = anchors_for(sizes.size)
    labelled = prepare(_tensor(here.pool, chosen), here.pool.anchor_boxes(chosen), anchors)
    fitting = sizes.fitting | {"steps": steps, "batch_size": min(4, len(chosen))}
    network, _ = train(SUPERVISED, labelled, None, seed=seed, **fitting)
    return network.cpu()


def loss_gaps(n: int, *, rng: np.random.Generator) -> pd.DataFrame:
    """Compare the soft-target focal loss with the focal loss at random anchors with hard targets.

    Args:
        n: anchors.
        rng: draws logits and targets.

    Returns:
        Records of the metric ``loss_gap``, in millionths, one an anchor.
    """
    logits = torch.as_tensor(rng.normal(0, 4, n))
    target = torch.as_tensor(rng.integers(0, 2, n), dtype=torch.float64)
    gap = 1e6 * (soft_focal_loss(logits, target) - focal_loss(logits, target)).numpy()
    names = [f"anchor-{i:03d}" for i in range(n)]
    table = pd.DataFrame({"case": names, "cluster": names, "value": gap, "metric": "loss_gap"})
    return table.assign(arm="soft-focal-loss", seed=0, fold="", group="", source="phantom")


# arms whose loss and targets for unlabelled scans are recorded over time
WATCHED = ("focalmix-25", "no-ramp", "no-mixup", "no-sharpening")
WATCHED_METRICS = ("score_loss", "target_mass", "targets_found")


def _watched(history: pd.DataFrame, arm: str, draw: int) -> pd.DataFrame:
    """Turn the history of a training into records, one a step that it names."""
    own = history[history["metric"].isin(WATCHED_METRICS)]
    return pd.DataFrame(
        {
            "arm": arm,
            "seed": draw,
            "case": [f"step-{step:05d}" for step in own["step"]],
            "cluster": f"draw-{draw}",
            "group": "",
            "metric": own["metric"],
            "value": own["value"],
        }
    )


_GPU_GB = 4  # memory of a GPU that one training is given


def _at_once(jobs: int) -> int:
    """Return the number of trainings at once; on a GPU as many as memory and cores allow."""
    if not torch.cuda.is_available():
        return jobs
    free_bytes, _ = torch.cuda.mem_get_info()
    return int(max(1, min(cpu_count(), free_bytes // (_GPU_GB * 2**30))))


def _train_and_score(
    arm: Arm, here: Material, seed: int, sizes: Sizes
) -> tuple[pd.DataFrame, pd.DataFrame]:
    torch.set_num_threads(1)
    fabric = runtime(precision=precision())
    anchors = anchors_for(sizes.size)
    chosen = here.labelled(arm.labelled)
    labelled = prepare(_tensor(here.pool, chosen), here.pool.anchor_boxes(chosen), anchors)
    unlabelled = _unlabelled(arm, here)
    network, history = train(
        arm.recipe,
        labelled,
        unlabelled,
        seed=1000 * seed + here.draw + arm.redraw,
        fabric=fabric,
        **sizes.fitting,
    )
    found = detect(network, _tensor(here.test, range(len(here.test))), fabric=fabric)
    matches = measures.match(found, here.test)
    main = {f"{kind}-{budget}" for kind in ("supervised", "focalmix") for budget in BUDGETS}
    parts = [
        measures.records(matches, arm=arm.name, draw=here.draw, in_full=arm.name in main),
        measures.one(f"draw-{here.draw}", "loss_left", measures.loss_left(history)).assign(
            arm=arm.name, seed=here.draw
        ),
    ]
    if arm.name in WATCHED:
        parts.append(_watched(history, arm.name, here.draw))
    return pd.concat(parts, ignore_index=True), history


def _unlabelled(arm: Arm, here: Material) -> torch.Tensor | None:
    """Return the unlabelled scans that an arm is shown, if any."""
    if arm.other_site:
        assert here.other_site is not None  # made where an arm of the study asks for it
        return _tensor(here.other_site, range(len(here.other_site)))
    places = here.unlabelled(arm.unlabelled)
    return _tensor(here.pool, places) if len(places) else None


def _tensor(volumes: Volumes, index: Sequence[int]) -> torch.Tensor:
    # processes share the array read-only; torch wants one that it could write
    return torch.tensor(volumes.image[list(index)])


def _doublings(of_draw: pd.DataFrame, here: Material) -> pd.DataFrame:
    """Say how many more scans supervised training needs to reach FocalMix, if all arms were run."""
    level = of_draw[of_draw["metric"] == "cpm"].set_index("arm")["value"]
    budgets = {f"supervised-{name}": len(here.labelled(name)) for name in (*BUDGETS, "all")}
    if not {*budgets, "focalmix-25"} <= set(level.index):
        return pd.DataFrame()
    curve = {scans: float(level[arm]) for arm, scans in budgets.items()}
    value = measures.doublings(curve, float(level["focalmix-25"]))
    own = measures.one(f"draw-{here.draw}", "label_doublings", value)
    return own.assign(arm="focalmix-25", seed=here.draw)
