"""Targets for the anchors of unlabelled images: predict under flips, map back, average, sharpen."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from common.models.detection import Anchors, unflip, unflip_offsets
from common.models.detection_inference import select

AXES = (0, 1, 2)
FLIPS: tuple[tuple[int, ...], ...] = tuple(
    chosen for size in range(len(AXES) + 1) for chosen in combinations(AXES, size)
)


def draw_flips(k: int, *, generator: torch.Generator) -> list[tuple[int, ...]]:
    """Draw K different ones of the eight flips of a volume.

    Args:
        k: 1 to 8.
        generator: source of the draws, on the CPU.

    Returns:
        For each flip the axes (0 to 2) that are reversed; the empty one leaves the volume.

    Raises:
        ValueError: ``k`` outside 1 to 8.

    Example:
        >>> sorted(draw_flips(8, generator=torch.Generator().manual_seed(0))) == sorted(FLIPS)
        True
    """
    if not 1 <= k <= len(FLIPS):
        raise ValueError(f"`k` must be 1 to {len(FLIPS)}, got {k!r}. There are eight flips.")
    order = torch.randperm(len(FLIPS), generator=generator)[:k]
    return [FLIPS[i] for i in order.tolist()]


def flip(images: Tensor, axes: Sequence[int]) -> Tensor:
    """Reverse spatial axes of a batch of volumes (n, c, z, y, x).

    Example:
        >>> x = torch.arange(2.0).view(1, 1, 1, 1, 2)
        >>> flip(x, (2,)).flatten().tolist()
        [1.0, 0.0]
    """
    return images.flip([axis + 2 for axis in axes]) if axes else images


def sharpen(prob: Tensor, temperature: float) -> Tensor:
    r"""Push probabilities away from one half.

    .. math:: \tilde y = \frac{\bar p^{1/T}}{\bar p^{1/T} + (1 - \bar p)^{1/T}}

    Args:
        prob (...): in [0, 1].
        temperature: T in (0, 1]; 1 changes nothing, and towards 0 the result becomes 0 or 1.

    Returns:
        (...).

    Raises:
        ValueError: ``temperature`` outside (0, 1].

    Source:
        The paper's target prediction; Berthelot et al., NeurIPS 2019, equation 7.

    Example:
        >>> sharpen(torch.tensor([0.5, 0.75]), 0.5).tolist()     # 9 / (9 + 1)
        [0.5, 0.8999999761581421]
    """
    if not 0 < temperature <= 1:
        raise ValueError(f"`temperature` must lie in (0, 1], got {temperature!r}. Use 1 for none.")
    # on the scale of log odds sharpening divides by T, which neither over- nor underflows
    return torch.sigmoid(torch.logit(prob) / temperature)


@dataclass(frozen=True)
class Predicted:
    """What the current network says of unlabelled images, in the order of their own anchors.

    Args:
        prob (K, n, A): probability of an object under each flip.
        offsets (n, A, 6): boxes, averaged over the flips.
    """

    prob: Tensor
    offsets: Tensor


@torch.no_grad()
def predict(
    network: Callable[[Tensor], tuple[Tensor, Tensor]],
    images: Tensor,
    anchors: Anchors,
    flips: Sequence[tuple[int, ...]],
) -> Predicted:
    """Predict the anchors of images under flips and map each prediction back to the unflipped grid.

    Args:
        network: the current one: images (n, c, z, y, x) to logits (n, A) and offsets (n, A, 6).
        images (n, c, z, y, x): unlabelled images.
        anchors: of the images.
        flips (K,): axes that are reversed.

    Returns:
        Predictions without gradient.

    Source:
        The paper's Fig. 1b.
    """
    logits, offsets = network(torch.cat([flip(images, axes) for axes in flips]))
    prob = torch.sigmoid(logits.float()).split(len(images))
    shifts = offsets.split(len(images))
    return Predicted(
        torch.stack([unflip(p, anchors, axes) for p, axes in zip(prob, flips, strict=True)]),
        torch.stack(
            [unflip_offsets(o, anchors, axes) for o, axes in zip(shifts, flips, strict=True)]
        ).mean(dim=0),
    )


def average(prob: Tensor, temperature: float) -> Tensor:
    r"""Turn K predictions into targets: :math:`\bar p = \frac1K \sum_k p_k`, then sharpen.

    Args:
        prob (K, n, A): see :func:`predict`.
        temperature: see :func:`sharpen`.

    Returns:
        Targets (n, A).
    """
    return sharpen(prob.mean(dim=0), temperature)


def confident_boxes(predicted: Predicted, anchors: Anchors, *, at_least: float) -> list[Tensor]:
    """Take the predicted boxes that object-level MixUp may use.

    Args:
        predicted: of unlabelled images.
        anchors: of the images.
        at_least: the probability, averaged over the flips, from which a box is taken for an object.

    Returns:
        For each image boxes (k, 6), overlapping ones suppressed.
    """
    mean = predicted.prob.mean(dim=0)
    none = anchors.boxes.new_zeros(0, 6)
    return [
        select(scores, offsets, anchors, min_score=at_least, iou=0.1, limit=20).boxes
        if bool((scores >= at_least).any())
        else none
        for scores, offsets in zip(mean, predicted.offsets, strict=True)
    ]
