"""MixUp at two levels: whole images with the targets of their anchors, and objects with objects.

Every function is pure: :func:`draw_weights` and :func:`draw_partners` draw, the others apply.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

ETA = 0.2


def draw_weights(n: int, *, eta: float = ETA, generator: torch.Generator) -> Tensor:
    r"""Draw how much of each image stays: :math:`\lambda' = \max(\lambda, 1 - \lambda)`,
    :math:`\lambda \sim Beta(\eta, \eta)`.

    Args:
        n: images or objects.
        eta: > 0; the smaller, the more often nearly nothing is mixed in.
        generator: source of the draws, on the CPU.

    Returns:
        (n,) float32 in [1/2, 1].

    Raises:
        ValueError: ``eta`` <= 0.

    Source:
        Zhang et al., ICLR 2018; Berthelot et al., NeurIPS 2019 (the maximum).

    Example:
        >>> found = draw_weights(5, generator=torch.Generator().manual_seed(0))
        >>> bool(((found >= 0.5) & (found <= 1)).all())
        True
    """
    if eta <= 0:
        raise ValueError(f"`eta` must be > 0, got {eta!r}. The usual value is 0.2.")
    # Beta from two gamma draws: torch.distributions takes no generator
    shape = torch.full((2, n), eta, dtype=torch.float64)
    first, second = torch._standard_gamma(shape, generator=generator)
    share = first / (first + second).clamp(min=1e-300)
    return torch.maximum(share, 1 - share).float()


def draw_partners(n: int, *, generator: torch.Generator) -> Tensor:
    """Draw for each member of a batch the member that is mixed into it: a permutation (n,)."""
    return torch.randperm(n, generator=generator)


def mix(values: Tensor, partner: Tensor, weight: Tensor) -> Tensor:
    r"""Blend each member of a batch with its partner, at the level of the image.

    .. math:: \hat x = \lambda' x + (1 - \lambda') x'

    The same call mixes images and the targets of their anchors.

    Args:
        values (n, ...): images or targets.
        partner (n,): see :func:`draw_partners`.
        weight (n,): see :func:`draw_weights`.

    Returns:
        (n, ...).

    Example:
        >>> x = torch.tensor([[0.0], [1.0]])
        >>> mix(x, torch.tensor([1, 0]), torch.tensor([0.75, 1.0])).tolist()
        [[0.25], [1.0]]
    """
    keep = weight.to(values).view(-1, *[1] * (values.ndim - 1))
    return keep * values + (1 - keep) * values[partner.to(values.device)]


def voxels_of(box: Sequence[float] | Tensor, shape: Sequence[int]) -> tuple[slice, ...]:
    """Return the voxels that a box touches.

    Args:
        box (6,): lower corner, then upper corner; voxel k reaches from k to k + 1.
        shape (3,): of the volume, to which the box is cut.

    Returns:
        Three slices, each of at least one voxel.

    Example:
        >>> voxels_of([0.5, -2, 3, 2.5, 1, 3], (8, 8, 8))
        (slice(0, 3, None), slice(0, 1, None), slice(3, 4, None))
    """
    corner = torch.as_tensor(box, dtype=torch.float64)
    low, high = corner[:3].floor().long().tolist(), corner[3:].ceil().long().tolist()
    found = []
    for a, b, side in zip(low, high, shape, strict=True):
        start = min(max(a, 0), side - 1)
        found.append(slice(start, min(max(b, start + 1), side)))
    return tuple(found)


def mix_objects(
    images: Tensor, boxes: Sequence[Tensor], partner: Sequence[int], weight: Sequence[float]
) -> Tensor:
    """Blend each object of a batch with another one, rescaled to its size.

    The target stays as it is: both are objects.  All patches are taken from the batch as it comes
    in, so that the order of the objects does not matter where they do not overlap.

    Args:
        images (n, 1, z, y, x): the batch, left as it is.
        boxes: for each image its objects (k, 6), annotated or predicted; see :func:`voxels_of`.
        partner (m,): for each object, counted through all images, the object mixed into it.
        weight (m,): share of each object that stays.

    Returns:
        A new batch that differs only inside the boxes.

    Raises:
        ValueError: not one partner and one weight for each object.

    Source:
        The paper's method, object-level MixUp.
    """
    places = [(i, box) for i, each in enumerate(boxes) for box in each]
    if not len(places) == len(partner) == len(weight):
        raise ValueError(
            f"`partner` and `weight` must have one entry for each of {len(places)} objects, got "
            f"{len(partner)} and {len(weight)}. Count the objects of all images."
        )
    mixed = images.clone()
    shape = images.shape[2:]
    patches = [(i, voxels_of(box, shape)) for i, box in places]
    for (i, where), other, keep in zip(patches, partner, weight, strict=True):
        j, source = patches[other]
        own = images[i][:, *where]
        patch = _resize(images[j][:, *source], own.shape[1:])
        mixed[i][:, *where] = keep * own + (1 - keep) * patch
    return mixed


def _resize(patch: Tensor, shape: Sequence[int]) -> Tensor:
    """Rescale (c, z, y, x) trilinearly."""
    if tuple(patch.shape[1:]) == tuple(shape):
        return patch
    return functional.interpolate(
        patch[None], size=tuple(shape), mode="trilinear", align_corners=False
    )[0]
