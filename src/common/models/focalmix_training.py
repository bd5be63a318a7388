"""Train FocalMix and everything it is compared with: one loop, whose parts a recipe switches."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.nn import functional

from common.models.detection import (
    Anchors,
    anchor_targets,
    flip_boxes,
    make_anchors,
    match_anchors,
    unflip,
    unflip_offsets,
)
from common.models.detection_inference import Found, select
from common.models.focalmix import Detector
from common.models.focalmix_losses import LOSSES, normalised
from common.models.focalmix_mixup import ETA, draw_partners, draw_weights, mix, mix_objects
from common.models.focalmix_targets import (
    FLIPS,
    average,
    confident_boxes,
    draw_flips,
    flip,
    predict,
)
from common.training import runtime, seeded

SIDES = ((5.0, 8.0), (13.0,))  # anchors at strides 4 and 8, in voxels
WARM_UP = 0.05  # share of the steps in which the learning rate rises to its full value


@dataclass(frozen=True)
class Recipe:
    """How to train; the defaults are FocalMix.

    Args:
        loss: a name in :data:`common.models.focalmix_losses.LOSSES`.
        mix_images: MixUp of whole images.
        mix_objects: MixUp of objects.
        k: flips whose predictions are averaged.
        temperature: of the sharpening.
        ramp: share of the steps in which the weight of unlabelled images rises from 0 to 1; 0
            counts them fully from the start.
        confident: probability from which a predicted box is an object for MixUp.
        eta: of the Beta law of both MixUps.
    """

    loss: str = "soft-focal"
    mix_images: bool = True
    mix_objects: bool = True
    k: int = 4
    temperature: float = 0.7
    ramp: float = 0.25
    confident: float = 0.9
    eta: float = ETA


SUPERVISED = Recipe(mix_images=False, mix_objects=False)


@dataclass(frozen=True)
class Scans:
    """Annotated volumes of one size with the targets of their anchors.

    Args:
        image (n, 1, z, y, x): float32.
        boxes: for each volume its objects (k, 6); voxel i reaches from i to i + 1.
        target (n, A): 1 for anchors on objects, else 0.
        counted (n, A): 0 for anchors between the thresholds of matching, else 1.
        offsets (n, A, 6): encoded boxes where the target is 1, else 0.
    """

    image: Tensor
    boxes: tuple[Tensor, ...]
    target: Tensor
    counted: Tensor
    offsets: Tensor

    def to(self, device: torch.device) -> "Scans":
        """Move everything to a device."""
        parts = (self.target, self.counted, self.offsets)
        moved = (each.to(device) for each in (self.image, *parts))
        image, *rest = moved
        return Scans(image, tuple(box.to(device) for box in self.boxes), *rest)

    def take(self, index: Sequence[int]) -> "Scans":
        """Return some of the volumes."""
        chosen = torch.as_tensor(index, dtype=torch.int64, device=self.image.device)
        parts = (each[chosen] for each in (self.target, self.counted, self.offsets))
        boxes = tuple(self.boxes[i] for i in chosen.tolist())
        return Scans(self.image[chosen], boxes, *parts)

    def flipped(self, axes: Sequence[tuple[int, ...]], anchors: Anchors) -> "Scans":
        """Flip each volume with all that belongs to it; ``axes`` names those of each."""
        parts = []
        for i, own in enumerate(axes):
            one = slice(i, i + 1)
            parts.append(
                (
                    flip(self.image[one], own),
                    unflip(self.target[one], anchors, own),
                    unflip(self.counted[one], anchors, own),
                    unflip_offsets(self.offsets[one], anchors, own),
                )
            )
        image, *rest = (torch.cat(each) for each in zip(*parts, strict=True))
        pairs = zip(self.boxes, axes, strict=True)
        return Scans(image, tuple(flip_boxes(b, anchors.size, own) for b, own in pairs), *rest)


def anchors_for(size: int) -> Anchors:
    """Place the chapter's anchors in a cube of ``size`` voxels a side.

    Example:
        >>> len(anchors_for(32).boxes)     # 2 x 8^3 + 4^3
        1088
    """
    return make_anchors((size,) * 3, strides=Detector.strides, sides=SIDES)


def prepare(image: Tensor, boxes: Sequence[Tensor], anchors: Anchors) -> Scans:
    """Match the anchors of annotated volumes with their boxes.

    Args:
        image (n, 1, z, y, x): volumes.
        boxes: for each volume (k, 6); voxel i reaches from i to i + 1.
        anchors: of the volumes.
    """
    target, offsets = [], []
    for own in boxes:
        label, offset = anchor_targets(anchors.boxes, own, match_anchors(anchors.boxes, own))
        target.append(label)
        offsets.append(offset)
    label = torch.stack(target)
    return Scans(
        image, tuple(boxes), label.clamp(min=0), (label >= 0).float(), torch.stack(offsets)
    )


def train(
    recipe: Recipe,
    labelled: Scans,
    unlabelled: Tensor | None,
    *,
    width: int,
    steps: int,
    batch_size: int,
    lr: float,
    seed: int,
    fabric: Fabric | None = None,
) -> tuple[Detector, pd.DataFrame]:
    """Train a detector on annotated volumes and, by target prediction, on unlabelled ones.

    Args:
        recipe: what is switched on.
        labelled: annotated volumes.
        unlabelled (m, 1, z, y, x): volumes without annotation; None trains with supervision alone.
        width: see :class:`common.models.focalmix.Detector`.
        steps: of AdamW, with a warm-up and a cosine decay.
        batch_size: annotated volumes a step, and as many unlabelled ones.
        lr: highest learning rate.
        seed: of weights, batches, flips and MixUp; numbers that all recipes draw come first, so
            that two recipes see the same batches of annotated volumes.
        fabric: device and precision; :func:`common.training.runtime` chooses if left out.

    Returns:
        The network in evaluation mode and the history: ``step`` (end of a twentieth of the
        training), ``metric``, ``value``: ``score_loss``, ``box_loss`` and, with unlabelled
        volumes, ``target_mass`` (sum of the targets of a volume), ``targets_found`` (anchors with
        a target of at least one half, a volume) and ``objects`` (confident boxes a volume).

    Raises:
        ValueError: fewer volumes than ``batch_size``, or less than one step.
    """
    _check(labelled, unlabelled, steps=steps, batch_size=batch_size)
    fabric = runtime() if fabric is None else fabric
    anchors = anchors_for(labelled.image.shape[-1]).to(fabric.device)
    labelled = labelled.to(fabric.device)
    unlabelled = None if unlabelled is None else unlabelled.to(fabric.device)
    rows: list[dict[str, float]] = []
    with seeded(seed, fabric.device):
        module = Detector(width=width, anchors_per_point=anchors.per_point)
        adam = torch.optim.AdamW(module.parameters(), lr=lr, weight_decay=1e-2, fused=True)
        network, optimiser = fabric.setup(module, adam)
        batches, draws = (torch.Generator().manual_seed(2 * seed + i) for i in range(2))
        for step in range(steps):
            for group in optimiser.param_groups:
                group["lr"] = lr * _schedule(step, steps)
            shared = _draw(labelled, batch_size, anchors, batches)
            share = 1.0 if recipe.ramp == 0 else min(1.0, step / (recipe.ramp * steps))
            losses, seen = _losses(
                network, recipe, shared, unlabelled, anchors, share=share, generator=draws
            )
            optimiser.zero_grad(set_to_none=True)
            fabric.backward(losses["score_loss"] + losses["box_loss"])
            optimiser.step()
            rows.append({name: value.item() for name, value in losses.items()} | seen)
    return module.eval(), _history(rows)


def _losses(
    network: Detector,
    recipe: Recipe,
    shared: Scans,
    unlabelled: Tensor | None,
    anchors: Anchors,
    *,
    share: float,
    generator: torch.Generator,
) -> tuple[dict[str, Tensor], dict[str, float]]:
    """Compute both losses of a step, and say what the targets of unlabelled volumes look like."""
    image, target, counted, boxes = shared.image, shared.target, shared.counted, [*shared.boxes]
    weight, seen = torch.ones(len(image), device=image.device), {}
    if unlabelled is not None:
        extra = _draw_unlabelled(unlabelled, len(image), generator)
        predicted = predict(network, extra, anchors, draw_flips(recipe.k, generator=generator))
        soft = average(predicted.prob, recipe.temperature)
        found = confident_boxes(predicted, anchors, at_least=recipe.confident)
        n = len(extra)
        seen["target_mass"] = float(soft.sum()) / n
        seen["targets_found"] = float((soft >= 0.5).sum()) / n
        seen["objects"] = sum(map(len, found)) / n
        image, target = torch.cat([image, extra]), torch.cat([target, soft])
        counted = torch.cat([counted, torch.ones_like(soft)])
        weight = torch.cat([weight, weight.new_full((n,), share)])
        boxes += found
    if recipe.mix_images:
        partner = draw_partners(len(image), generator=generator)
        keep = draw_weights(len(image), eta=recipe.eta, generator=generator)
        image, target = mix(image, partner, keep), mix(target, partner, keep)
        counted = counted * counted[partner.to(counted.device)]
    if recipe.mix_objects and (m := sum(map(len, boxes))) > 1:
        others = torch.randint(m, (m,), generator=generator).tolist()
        keep = draw_weights(m, eta=recipe.eta, generator=generator)
        image = mix_objects(image, boxes, others, keep.tolist())
    logits, offsets = network(image)
    anchor_losses = LOSSES[recipe.loss](logits, target)
    positive = shared.target == 1
    box = functional.smooth_l1_loss(
        offsets[: len(positive)][positive], shared.offsets[positive], beta=1 / 9, reduction="sum"
    )
    return {
        "score_loss": normalised(anchor_losses * weight[:, None], target, counted),
        "box_loss": box / positive.sum().clamp(min=1),
    }, seen


def _draw(scans: Scans, n: int, anchors: Anchors, generator: torch.Generator) -> Scans:
    """Draw annotated volumes without replacement and flip each at random."""
    index = torch.randperm(len(scans.image), generator=generator)[:n]
    axes = torch.randint(len(FLIPS), (n,), generator=generator).tolist()
    return scans.take(index.tolist()).flipped([FLIPS[i] for i in axes], anchors)


def _draw_unlabelled(volumes: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """Draw volumes without replacement and flip each at random."""
    index = torch.randperm(len(volumes), generator=generator)[:n]
    axes = torch.randint(len(FLIPS), (n,), generator=generator).tolist()
    chosen = volumes[index.to(volumes.device)]
    return torch.cat([flip(chosen[i : i + 1], FLIPS[a]) for i, a in enumerate(axes)])


def _schedule(step: int, steps: int) -> float:
    """Return the factor of the learning rate: linear warm-up, then half a cosine down to 0."""
    rise = min(1.0, (step + 1) / (WARM_UP * steps))
    return float(rise * 0.5 * (1 + np.cos(np.pi * step / steps)))


def _history(rows: list[dict[str, float]]) -> pd.DataFrame:
    """Average what was seen over each twentieth of the training."""
    table = pd.DataFrame(rows)
    part = np.arange(len(table)) * 20 // len(table)
    ends = pd.Series(np.arange(1, len(table) + 1)).groupby(part).max()
    means = table.groupby(part).mean().set_index(pd.Index(ends, name="step"))
    return means.reset_index().melt(id_vars="step", var_name="metric", value_name="value")


def detect(
    network: Detector, image: Tensor, *, batch_size: int = 32, fabric: Fabric | None = None
) -> list[Found]:
    """Find objects in volumes, each seen whole.

    Args:
        network: trained.
        image (n, 1, z, y, x): volumes.
        batch_size: volumes at once.
        fabric: device and precision.

    Returns:
        For each volume its boxes, best first.
    """
    fabric = runtime() if fabric is None else fabric
    anchors = anchors_for(image.shape[-1]).to(fabric.device)
    module, found = network.to(fabric.device).eval(), []
    with torch.no_grad(), fabric.autocast():
        for batch in image.split(batch_size):
            logits, offsets = module(batch.to(fabric.device))
            for scores, offset in zip(torch.sigmoid(logits), offsets, strict=True):
                found.append(
                    select(scores, offset, anchors, min_score=0.0, n_before=48, iou=0.1, limit=30)
                )
    return found


def _check(labelled: Scans, unlabelled: Tensor | None, *, steps: int, batch_size: int) -> None:
    fewest = min(len(labelled.image), len(labelled.image if unlabelled is None else unlabelled))
    if not 1 <= batch_size <= fewest or steps < 1:
        raise ValueError(
            f"`batch_size` must be 1 to {fewest}, the fewer of annotated and unlabelled volumes, "
            f"and `steps` at least 1, got {batch_size!r} and {steps!r}."
        )
