"""Boxes of a whole batch at once: overlap, targets of anchors and proposals, suppression, ROIAlign.

Every function takes boxes (N, K, 4) as y0, x0, y1, x1 in pixels, K the same for each image; absent
boxes are zeros and overlap nothing.  The functions of :mod:`common.models.detection` and
:mod:`common.models.detection_inference` do the same for one image; a detector of two stages calls
them many times a step, which would cost more than the network.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

POSITIVE, NEGATIVE, IGNORED = 1, 0, -1
_TIE = 1e-6  # overlaps closer than this are equal


def pairwise_iou(first: Tensor, second: Tensor) -> Tensor:
    """Compute intersection over union of every pair inside each image.

    Args:
        first: boxes (N, K, 4).
        second: boxes (N, G, 4).

    Returns:
        (N, K, G) in [0, 1]; 0 with a box without area.

    Example:
        >>> pairwise_iou(torch.tensor([[[0., 0, 3, 1]]]), torch.tensor([[[1., 0, 4, 1]]])).item()
        0.5
    """
    low = torch.maximum(first[:, :, None, :2], second[:, None, :, :2])
    high = torch.minimum(first[:, :, None, 2:], second[:, None, :, 2:])
    shared = (high - low).clamp_min(0).prod(dim=3)
    area = [(boxes[..., 2:] - boxes[..., :2]).clamp_min(0).prod(dim=2) for boxes in (first, second)]
    union = area[0][:, :, None] + area[1][:, None] - shared
    return torch.where(shared > 0, shared / union.clamp_min(1e-9), 0.0)


def assign(
    candidates: Tensor, reference: Tensor, *, above: float, below: float, rescue: bool = False
) -> tuple[Tensor, Tensor]:
    """Say of each candidate whether it stands for a reference box, and for which.

    Args:
        candidates: anchors or proposals (N, K, 4).
        reference: boxes to find (N, G, 4).
        above: IoU from which a candidate is positive.
        below: IoU under which it is negative; between the two it is ignored.
        rescue: also take the candidates that overlap some reference box the most, however little,
            so that no box is left without one.

    Returns:
        Labels (N, K), :data:`POSITIVE`, :data:`NEGATIVE` or :data:`IGNORED`, and the number of the
        reference box that each overlaps most (N, K).
    """
    iou = pairwise_iou(candidates, reference)
    best, match = iou.max(dim=2)
    label = torch.full_like(match, IGNORED)
    label[best < below] = NEGATIVE
    label[best >= above] = POSITIVE
    if rescue:
        top = iou.max(dim=1, keepdim=True).values
        closest = (iou >= top - _TIE) & (iou > _TIE)
        saved = closest.any(dim=2)
        match = torch.where(saved, torch.where(closest, iou, -1.0).argmax(dim=2), match)
        label[saved] = POSITIVE
    return label, match


def sample(label: Tensor, *, n: int, positive: float) -> Tensor:
    """Choose candidates for the loss at random.

    Args:
        label: of each candidate (N, K).
        n: how many of an image.
        positive: largest share of positives; negatives fill the rest.

    Returns:
        Which are chosen (N, K) bool; fewer than n where negatives are short.
    """
    key = torch.rand(label.shape, device=label.device)
    taken = (label == POSITIVE) & (_rank(key, label == POSITIVE) < int(n * positive))
    left = n - taken.sum(dim=1, keepdim=True)
    return taken | ((label == NEGATIVE) & (_rank(key, label == NEGATIVE) < left))


def _rank(key: Tensor, among: Tensor) -> Tensor:
    """Place of each entry when those of ``among`` are sorted by falling key."""
    return torch.where(among, key, -1.0).argsort(dim=1, descending=True).argsort(dim=1)


def suppress(
    boxes: Tensor, scores: Tensor, *, threshold: float, keep: int
) -> tuple[Tensor, Tensor]:
    """Drop boxes that overlap a better one that stays (greedy non-maximum suppression).

    Whether a box stays depends on better boxes alone, so that repeating the rule on all boxes at
    once settles at the greedy answer.

    Args:
        boxes: candidates (N, K, 4).
        scores: theirs (N, K); a box with score 0 or less is absent.
        threshold: IoU above which the weaker one goes.
        keep: how many of an image are returned.

    Returns:
        Boxes (N, keep, 4) and scores (N, keep) by falling score; both zero where there are fewer.
    """
    order = scores.argsort(dim=1, descending=True, stable=True)
    score = scores.gather(1, order)
    sorted_boxes = boxes.gather(1, order[..., None].expand(-1, -1, 4))
    present = score > 0
    clash = (pairwise_iou(sorted_boxes, sorted_boxes) > threshold).triu(diagonal=1)
    stays = present
    while True:
        again = present & ~(clash & stays[:, :, None]).any(dim=1)
        if torch.equal(again, stays):
            break
        stays = again
    score = torch.where(stays, score, 0.0)
    chosen = score.argsort(dim=1, descending=True, stable=True)[:, :keep]
    score = score.gather(1, chosen)
    found = sorted_boxes.gather(1, chosen[..., None].expand(-1, -1, 4))
    missing = keep - score.shape[1]
    if missing > 0:
        score, found = F.pad(score, (0, missing)), F.pad(found, (0, 0, 0, missing))
    return torch.where((score > 0)[..., None], found, 0.0), score


def roi_align(features: Tensor, boxes: Tensor, *, bins: int, size: int) -> Tensor:
    """Read features at the centres of a grid of bins inside each box, by bilinear interpolation.

    Args:
        features: (N, C, h, w) of square images.
        boxes: (N, R, 4) in pixels of the image.
        bins: bins along each side of a box; each is read once, at its centre.
        size: side of the image (pixels).

    Returns:
        (N, R, C, bins, bins).

    Source:
        He et al., "Mask R-CNN", ICCV 2017, with one reading a bin.
    """
    n, r = boxes.shape[:2]
    centre = (torch.arange(bins, device=boxes.device, dtype=boxes.dtype) + 0.5) / bins
    at = boxes[..., None, :2] + centre[:, None] * (boxes[..., None, 2:] - boxes[..., None, :2])
    y, x = (2 * at / size - 1).unbind(dim=3)  # grid_sample counts from edge to edge, -1 to 1
    grid = torch.stack(
        [x[:, :, None].expand(-1, -1, bins, -1), y[..., None].expand(-1, -1, -1, bins)], -1
    )
    read = F.grid_sample(  # in single precision: bfloat16 would round places to half a pixel
        features.float(),
        grid.reshape(n, r * bins, bins, 2).float(),
        align_corners=False,
        padding_mode="border",
    )
    return read.view(n, features.shape[1], r, bins, bins).transpose(1, 2)
