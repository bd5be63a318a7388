"""From predictions to boxes: decoding, suppression, and the windows of a large image."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from monai.data.box_utils import clip_boxes_to_image, non_max_suppression
from monai.data.utils import dense_patch_slices
from torch import Tensor

from common.models.detection import Anchors, decode


@dataclass(frozen=True)
class Found:
    """Boxes that a detector found in one image, best first.

    Args:
        boxes (m, 2 d): float32.
        scores (m,): higher means more suspicious.
    """

    boxes: Tensor
    scores: Tensor


def suppress(boxes: Tensor, scores: Tensor, *, iou: float, limit: int = -1) -> Tensor:
    """Drop boxes that overlap a better one that stays (MONAI's non-maximum suppression).

    Args:
        boxes (m, 2 d): candidates.
        scores (m,): equal ones keep their order.
        iou: overlap above which the weaker box goes.
        limit: boxes kept at the most; -1 for all.

    Returns:
        Indices of those that stay, best first.

    Example:
        >>> boxes = torch.tensor([[0.0, 0, 4, 4], [0, 0, 4, 3], [9, 9, 12, 12]])
        >>> suppress(boxes, torch.tensor([0.5, 0.9, 0.1]), iou=0.5).tolist()
        [1, 2]
    """
    kept = non_max_suppression(boxes.float(), scores, nms_thresh=iou, max_proposals=limit)
    return torch.as_tensor(kept, dtype=torch.int64)


@torch.no_grad()
def select(
    scores: Tensor,
    offsets: Tensor,
    anchors: Anchors,
    *,
    min_score: float = 0.05,
    n_before: int = 1000,
    iou: float = 0.5,
    limit: int = 100,
    weights: Sequence[float] | None = None,
) -> Found:
    """Turn the predictions for one image into boxes.

    1. The ``n_before`` anchors of highest score, at least ``min_score``.
    2. Decoding, clipping to the image; boxes thinner than a voxel are left out.
    3. Non-maximum suppression.

    Args:
        scores (A,): probabilities.
        offsets (A, 2 d): predicted offsets.
        anchors: of the image.
        min_score: least score.
        n_before: boxes before suppression.
        iou: see :func:`suppress`.
        limit: boxes after suppression.
        weights (2 d,): see :func:`encode`.

    Returns:
        At most ``limit`` boxes, best first.
    """
    order = scores.argsort(descending=True, stable=True)[:n_before]
    order = order[scores[order] >= min_score]
    decoded = decode(offsets[order].float(), anchors.boxes[order], weights=weights)
    boxes, kept = _clip(decoded, anchors.size)
    score = scores[order][kept].float()
    stays = suppress(boxes, score, iou=iou, limit=limit)
    return Found(boxes[stays], score[stays])


@torch.no_grad()
def detect_in_windows(
    detect: Callable[[Tensor], Sequence[Found]],
    image: Tensor,
    *,
    window: Sequence[int],
    overlap: int,
    iou: float = 0.5,
    limit: int = -1,
    batch: int = 4,
    fill: float = 0.0,
) -> Found:
    """Detect in overlapping windows of a large image and merge what they find.

    A box is taken only from a window in whose core its centre lies.  The cores leave out half the
    overlap on each side that is not the border of the image; they cover the image, so that an
    object no wider than the overlap is taken from a window that holds it whole.  What is still
    found twice, where the last window was moved inside, is suppressed.

    Args:
        detect: takes windows (b, C, *window), returns what it found in each, in its frame.
        image (C, *size): an image smaller than the window is padded with ``fill``.
        window (d,): size of a window.
        overlap: voxels that neighbouring windows share along each axis, at least the widest object.
        iou: see :func:`suppress`.
        limit: boxes kept at the most; -1 for all.
        batch: windows handed over at once.
        fill: value of the padding.

    Returns:
        Boxes in the frame of the image, best first.

    Raises:
        ValueError: a window of other axes than the image, or an overlap that is not smaller.
    """
    size = tuple(image.shape[1:])
    if len(window) != len(size) or not 0 <= overlap < min(window):
        raise ValueError(
            f"`window` must have {len(size)} axes, each above the overlap, got {tuple(window)} and "
            f"{overlap!r}. Enlarge the window."
        )
    missing = [max(side - axis, 0) for side, axis in zip(window, size, strict=True)]
    padded = F.pad(image, [n for each in reversed(missing) for n in (0, each)], value=fill)
    step = [side - overlap for side in window]
    places = dense_patch_slices(padded.shape[1:], window, step)
    boxes, scores = [], []
    for start in range(0, len(places), batch):
        some = places[start : start + batch]
        found = detect(torch.stack([padded[(slice(None), *place)] for place in some]))
        for place, each in zip(some, found, strict=True):
            kept = _core(each.boxes, place, padded.shape[1:], overlap)
            corner = torch.tensor([part.start for part in place] * 2).to(each.boxes)
            boxes.append(each.boxes[kept] + corner)
            scores.append(each.scores[kept])
    merged, kept = _clip(torch.cat(boxes), size)
    score = torch.cat(scores)[kept]
    stays = suppress(merged, score, iou=iou, limit=limit)
    return Found(merged[stays], score[stays])


def _clip(boxes: Tensor, size: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Cut boxes at the border of the image; tell which are left."""
    clipped, kept = clip_boxes_to_image(boxes, size)
    return torch.as_tensor(clipped), torch.as_tensor(kept)


def _core(boxes: Tensor, place: Sequence[slice], size: Sequence[int], overlap: int) -> Tensor:
    """Tell which boxes (m, 2 d) of a window have their centre in its core."""
    kept = torch.ones(len(boxes), dtype=torch.bool, device=boxes.device)
    d = len(size)
    for axis, part in enumerate(place):
        centre = (boxes[:, axis] + boxes[:, axis + d]) / 2
        if part.start > 0:
            kept &= centre >= overlap / 2
        if part.stop < size[axis]:
            kept &= centre < part.stop - part.start - overlap / 2
    return kept
