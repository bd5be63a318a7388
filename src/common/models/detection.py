"""Anchors in two and three dimensions: dense grids, flips of the grid, coding of boxes, targets.

Boxes are (n, 4) or (n, 6), lower corner first, in a frame where voxel i reaches from i to i + 1, so
that a flip takes x to ``size - x``.  Boxes given between voxel centres, as those of most data sets
here, come into this frame by adding 0.5.

MONAI's detection parts are used where they run without torchvision.  By hand: matching by overlap,
which MONAI takes from torchvision, and the flips.  :mod:`common.models.detection_inference` turns
predictions into boxes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from monai.apps.detection.utils.anchor_utils import AnchorGeneratorWithAnchorShape
from monai.apps.detection.utils.ATSS_matcher import ATSSMatcher
from monai.apps.detection.utils.box_coder import BoxCoder
from monai.data.box_utils import box_iou
from torch import Tensor

BACKGROUND, BETWEEN = -1, -2  # in place of a box's number, as in MONAI's matchers
_TIE = 1e-6  # overlaps closer than this are equal: single precision rounds no further


@dataclass(frozen=True)
class Anchors:
    """Dense anchors of an image: level by level, point by point (last axis fastest), side by side.

    A head (n, a k, *grid) with k numbers for each of a anchors is brought into this order by
    :func:`flatten_levels`.

    Args:
        boxes (A, 2 d): float32.
        size (d,): of the image.
        grids (L,): points of each level along each axis.
        per_point (L,): anchors at each point.
    """

    boxes: Tensor
    size: tuple[int, ...]
    grids: tuple[tuple[int, ...], ...]
    per_point: tuple[int, ...]

    def to(self, device: torch.device | str) -> "Anchors":
        """Move the boxes to a device."""
        return replace(self, boxes=self.boxes.to(device))


def make_anchors(
    size: Sequence[int],
    *,
    strides: Sequence[int],
    sides: Sequence[Sequence[float | Sequence[float]]],
) -> Anchors:
    """Centre anchors in every cell of a pyramid's grids.

    Args:
        size (d,): of the image, d 2 or 3; every stride divides it, so that flips map the grid to
            itself.
        strides (L,): voxels between neighbouring points of each level.
        sides (L,): of each level's anchors, one number for a cube or d for a box.

    Returns:
        Anchors, also outside the image at its border.

    Raises:
        ValueError: another number of axes, levels that do not fit, a stride that does not divide
            the size, or a side that is not above 0.

    Example:
        >>> make_anchors((4, 4), strides=(2,), sides=((3,),)).boxes[1].tolist()
        [-0.5, 1.5, 2.5, 4.5]
    """
    size, d = tuple(size), len(size)
    if d not in (2, 3) or len(strides) != len(sides) or not strides:
        raise ValueError(
            "`size` must have 2 or 3 axes and `sides` one entry a stride, got "
            f"{size}, {len(strides)} strides and {len(sides)} lists of sides."
        )
    if any(stride < 1 or axis % stride for stride in strides for axis in size):
        raise ValueError(
            f"`strides` must divide the size {size}, got {tuple(strides)}. Pad or crop the image."
        )
    cells = [_cell(each, d) for each in sides]
    generator = AnchorGeneratorWithAnchorShape((1,) * len(cells), ((1,) * d,))
    # The generator's own cells are rounded: a side of 5 would become 4.
    generator.cell_anchors = cells
    grids = tuple(tuple(axis // stride for axis in size) for stride in strides)
    steps = [[torch.tensor(stride)] * d for stride in strides]
    levels = generator.grid_anchors([list(grid) for grid in grids], steps)
    # It centres points at stride // 2, which is half a voxel short if the stride is odd.
    boxes = [level + stride % 2 / 2 for level, stride in zip(levels, strides, strict=True)]
    return Anchors(torch.cat(boxes), size, grids, tuple(len(cell) for cell in cells))


def flatten_levels(maps: Sequence[Tensor], *, channels: int) -> Tensor:
    """Bring the outputs of a head into the order of the anchors.

    Args:
        maps (L,): each (n, a channels, *grid), the channels of one anchor together.
        channels: numbers for each anchor: 1 for a score, 2 d for offsets.

    Returns:
        (n, A, channels).

    Example:
        >>> flatten_levels([torch.zeros(2, 12, 4, 4, 4)], channels=6).shape
        torch.Size([2, 128, 6])
    """
    flat = [each.movedim(1, -1).reshape(len(each), -1, channels) for each in maps]
    return torch.cat(flat, dim=1)


def unflip(values: Tensor, anchors: Anchors, axes: Sequence[int]) -> Tensor:
    """Bring what was predicted for a flipped image into the order of the unflipped anchors.

    Args:
        values (n, A, ...): scores, or other numbers that a flip leaves as they are.
        anchors: of the image.
        axes: spatial axes that were flipped, from 0; none leaves everything as it is.

    Returns:
        (n, A, ...), exactly; the inverse of itself.

    Example:
        >>> line = make_anchors((1, 3), strides=(1,), sides=((1,),))
        >>> unflip(torch.tensor([[0.1, 0.2, 0.9]]), line, (1,)).tolist()
        [[0.8999999761581421, 0.20000000298023224, 0.10000000149011612]]
    """
    return values[:, _mirror(anchors, axes).to(values.device)]


def unflip_offsets(offsets: Tensor, anchors: Anchors, axes: Sequence[int]) -> Tensor:
    """Do as :func:`unflip` for encoded boxes, whose shifts also change their sign.

    Args:
        offsets (n, A, 2 d): as of :func:`encode`.
        anchors: of the image.
        axes: spatial axes that were flipped.

    Example:
        >>> line = make_anchors((1, 1), strides=(1,), sides=((1,),))
        >>> unflip_offsets(torch.tensor([[[1.0, 2.0, 3.0, 4.0]]]), line, (1,)).tolist()
        [[[1.0, -2.0, 3.0, 4.0]]]
    """
    sign = torch.ones(offsets.shape[-1], dtype=offsets.dtype, device=offsets.device)
    sign[list(axes)] = -1
    return unflip(offsets, anchors, axes) * sign


def flip_boxes(boxes: Tensor, size: Sequence[int], axes: Sequence[int]) -> Tensor:
    """Flip boxes (n, 2 d) with their image of ``size`` (d,).

    Example:
        >>> flip_boxes(torch.tensor([[0.0, 1.0, 2.0, 3.0]]), (10, 10), (1,)).tolist()
        [[0.0, 7.0, 2.0, 9.0]]
    """
    d, flipped = len(size), boxes.clone()
    for axis in axes:
        flipped[:, axis] = size[axis] - boxes[:, axis + d]
        flipped[:, axis + d] = size[axis] - boxes[:, axis]
    return flipped


def encode(boxes: Tensor, anchors: Tensor, *, weights: Sequence[float] | None = None) -> Tensor:
    """Describe boxes as shifts and stretches of anchors.

    ``w_c (c - c_a) / s_a`` for each coordinate c of the centre, then ``w_s log(s / s_a)`` for each
    side s.

    Args:
        boxes (..., 2 d): with sides above 0.
        anchors (..., 2 d): one for each box.
        weights (2 d,): w_c and w_s; 1 if left out.

    Returns:
        (..., 2 d).

    Raises:
        ValueError: a box without volume.

    Example:
        >>> encode(torch.tensor([[1.0, 0.0, 3.0, 2.0]]), torch.tensor([[0.0, 0.0, 2.0, 2.0]]))
        tensor([[0.5000, 0.0000, 0.0000, 0.0000]])
    """
    k = anchors.shape[-1]
    coded = _coder(k, weights).encode_single(boxes.reshape(-1, k), anchors.reshape(-1, k))
    return coded.reshape(anchors.shape)


def decode(offsets: Tensor, anchors: Tensor, *, weights: Sequence[float] | None = None) -> Tensor:
    """Turn shifts and stretches into boxes, the inverse of :func:`encode`.

    Args:
        offsets (..., A, 2 d): predicted; no side grows by more than a factor of 62.5.
        anchors (A, 2 d): the same for all images.
        weights (2 d,): those of :func:`encode`.

    Returns:
        (..., A, 2 d).
    """
    k = anchors.shape[-1]
    coder, reference = _coder(k, weights), anchors.expand(offsets.shape).reshape(-1, k)
    return coder.decode_single(offsets.reshape(-1, k), reference).reshape(offsets.shape)


def match_anchors(
    anchors: Tensor, boxes: Tensor, *, positive: float = 0.4, negative: float = 0.2
) -> Tensor:
    """Assign anchors to boxes by their overlap.

    1. An anchor whose largest IoU is at least ``positive`` stands for that box; below ``negative``
       it is background; between the two it is ignored.
    2. The anchors that overlap a box the most stand for it whatever the IoU, all of them where
       several overlap it equally, so that a flipped image has flipped targets.  An anchor that is
       the best of several boxes stands for the one that it overlaps most.

    Args:
        anchors (A, 2 d): boxes of the anchors.
        boxes (n, 2 d): of one image.
        positive: IoU from which an anchor is positive.
        negative: IoU below which it is background.

    Returns:
        (A,) int64: the number of the box, :data:`BACKGROUND` or :data:`BETWEEN`.

    Raises:
        ValueError: not 0 <= negative <= positive <= 1.

    Source:
        Ren et al., NeurIPS 2015 (arXiv 1506.01497), section 3.1.2.

    Example:
        >>> anchors = torch.tensor([[0.0, 0, 4, 4], [4, 0, 8, 4], [2, 0, 6, 4]])
        >>> match_anchors(anchors, torch.tensor([[0.0, 0, 4, 3]])).tolist()
        [0, -1, -2]
    """
    if not 0 <= negative <= positive <= 1:
        raise ValueError(
            f"`negative` and `positive` must be 0 <= negative <= positive <= 1, got {negative!r} "
            f"and {positive!r}. Give IoUs."
        )
    if not len(boxes):
        return torch.full((len(anchors),), BACKGROUND, device=anchors.device)
    overlap = _overlap(boxes.to(anchors), anchors)
    most, match = overlap.max(dim=0)
    match[most < positive] = BETWEEN
    match[most < negative] = BACKGROUND
    best = overlap.amax(dim=1, keepdim=True)
    forced = (overlap >= best - _TIE) & (overlap > _TIE)
    chosen = torch.where(forced, overlap, -1.0).argmax(dim=0)
    return torch.where(forced.any(dim=0), chosen, match)


def match_atss(anchors: Anchors, boxes: Tensor, *, n_candidates: int = 4) -> Tensor:
    """Assign anchors to boxes by an overlap that adapts to each box (MONAI's ``ATSSMatcher``).

    Args:
        anchors: as many at each point of all levels.
        boxes (n, 2 d): of one image.
        n_candidates: points of each level nearest to a box that are looked at.

    Returns:
        (A,) int64: the number of the box, or :data:`BACKGROUND`.

    Raises:
        ValueError: levels with different numbers of anchors at a point.

    Source:
        Zhang et al., CVPR 2020 (arXiv 1912.02424).
    """
    if len(set(anchors.per_point)) > 1:
        raise ValueError(
            f"`anchors` must have as many at each point of all levels, got {anchors.per_point}. "
            "Give each level as many sides."
        )
    points = [int(torch.tensor(grid).prod()) for grid in anchors.grids]
    matcher = ATSSMatcher(num_candidates=n_candidates)
    _, match = matcher(boxes.to(anchors.boxes), anchors.boxes, points, anchors.per_point[0])
    return match.to(anchors.boxes.device)


def anchor_targets(
    anchors: Tensor, boxes: Tensor, match: Tensor, *, weights: Sequence[float] | None = None
) -> tuple[Tensor, Tensor]:
    """Make what a one-stage detector learns from one image.

    Args:
        anchors (A, 2 d): boxes of the anchors.
        boxes (n, 2 d): of the image.
        match (A,): from :func:`match_anchors` or :func:`match_atss`.
        weights (2 d,): see :func:`encode`.

    Returns:
        Labels (A,) float32, 1 for an object, 0 for background and -1 for ignored; offsets
        (A, 2 d), 0 where there is no object.

    Example:
        >>> anchors = torch.tensor([[0.0, 0, 4, 4], [9, 9, 13, 13]])
        >>> label, offset = anchor_targets(anchors, anchors[:1], torch.tensor([0, -1]))
        >>> label.tolist(), offset.abs().sum().item()
        ([1.0, 0.0], 0.0)
    """
    label = torch.where(match >= 0, 1.0, torch.where(match == BETWEEN, -1.0, 0.0))
    offsets = torch.zeros_like(anchors)
    held = match >= 0
    offsets[held] = encode(boxes.to(anchors)[match[held]], anchors[held], weights=weights)
    return label, offsets


def _cell(sides: Sequence[float | Sequence[float]], d: int) -> Tensor:
    """Make the anchors (a, 2 d) of a point at the origin."""
    shapes = [[each] * d if isinstance(each, (int, float)) else list(each) for each in sides]
    if not shapes or any(len(shape) != d or min(shape) <= 0 for shape in shapes):
        raise ValueError(
            f"`sides` must be above 0, one or {d} numbers an anchor, got {list(sides)}. "
            "Give each level its anchors."
        )
    half = torch.tensor(shapes, dtype=torch.float32) / 2
    return torch.cat([-half, half], dim=1)


def _mirror(anchors: Anchors, axes: Sequence[int]) -> Tensor:
    """Tell for each anchor which one takes its place in the flipped image."""
    places, first = [], 0
    for grid, per_point in zip(anchors.grids, anchors.per_point, strict=True):
        n = int(torch.tensor(grid).prod()) * per_point
        level = torch.arange(first, first + n).reshape(*grid, per_point)
        places.append(level.flip(list(axes)).flatten())
        first += n
    return torch.cat(places)


def _coder(k: int, weights: Sequence[float] | None) -> BoxCoder:
    return BoxCoder([1.0] * k if weights is None else list(weights))


def _overlap(boxes: Tensor, anchors: Tensor) -> Tensor:
    found = box_iou(boxes, anchors)
    assert isinstance(found, Tensor)  # MONAI declares an array as well
    return found
