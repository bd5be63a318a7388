"""The detectors: a feature pyramid, a two-stage head after Faster R-CNN, and a one-stage head.

Source: Wen, Wang et al., "Context Matters: Cross-Domain Cell Detection in Histopathology Images via
Contextual Regularization", section 2.4: Faster R-CNN (Ren et al., NeurIPS 2015) with a feature
pyramid (Lin et al., CVPR 2017) in MMDetection, whose defaults are taken where nothing is printed.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from monai.apps.detection.networks.retinanet_network import (
    RetinaNetClassificationHead,
    RetinaNetRegressionHead,
)
from monai.networks.blocks.feature_pyramid_network import FeaturePyramidNetwork
from monai.networks.nets import ResNetFeatures
from torch import Tensor, nn

from common.models.cell_detection_boxes import (
    IGNORED,
    POSITIVE,
    assign,
    roi_align,
    sample,
    suppress,
)
from common.models.detection import decode, encode, flatten_levels, make_anchors

Losses = dict[str, Tensor]

_PROPOSAL_WEIGHTS = (10.0, 10.0, 5.0, 5.0)  # spreads 0.1, 0.1, 0.2, 0.2 of MMDetection


@dataclass(frozen=True)
class Geometry:
    """Sizes that a detector is built for.

    Attributes:
        size: side of the square images (pixels).
        box: side of the boxes (pixels), which is the size of the one anchor at each place.
        width: channels of the first of four stages; 0 for ResNet-50 with a pyramid of 256.
        proposals: boxes of an image that go to the second stage.
        found: most boxes of an image that are returned.
    """

    size: int = 64
    box: int = 16
    width: int = 16
    proposals: int = 16
    found: int = 16

    @property
    def strides(self) -> tuple[int, ...]:
        """Pixels between neighbours on each level of the pyramid."""
        return (4, 8, 16) if self.width else (4, 8, 16, 32)

    @property
    def channels(self) -> int:
        """Channels of every level of the pyramid."""
        return 3 * self.width if self.width else 256

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Height and width of each level."""
        return tuple((self.size // s, self.size // s) for s in self.strides)


def anchors(geometry: Geometry) -> Tensor:
    """Return one anchor of the boxes' size at every place of every level (A, 4).

    Raises:
        ValueError: a stride does not divide the size.

    Example:
        A 16 x 16 image has 4 x 4, 2 x 2 and 1 x 1 places:

        >>> found = anchors(Geometry(size=16, box=8))
        >>> len(found), found[0].tolist()
        (21, [-2.0, -2.0, 6.0, 6.0])
    """
    size, strides = (geometry.size, geometry.size), geometry.strides
    return make_anchors(size, strides=strides, sides=((geometry.box,),) * len(strides)).boxes


class Stage(nn.Sequential):
    """Halve the size and convolve twice, each with group normalisation and ReLU."""

    def __init__(self, n_in: int, n_out: int) -> None:
        layers: list[nn.Module] = []
        for channels, stride in ((n_in, 2), (n_out, 1)):
            layers += [
                nn.Conv2d(channels, n_out, 3, stride=stride, padding=1, bias=False),
                nn.GroupNorm(8, n_out),
                nn.ReLU(),
            ]
        super().__init__(*layers)


class NarrowBackbone(nn.Module):
    """Four stages of 1, 2, 4 and 6 times ``width`` channels; the last three are returned."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.channels = (2 * width, 4 * width, 6 * width)
        each = (width, *self.channels)
        stem = [nn.Conv2d(3, width, 3, stride=2, padding=1), nn.GroupNorm(8, width), nn.ReLU()]
        self.stem = nn.Sequential(*stem)
        self.stages = nn.ModuleList(Stage(a, b) for a, b in zip(each, self.channels, strict=False))

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return features at strides 4, 8 and 16."""
        x, found = self.stem(image), []
        for stage in self.stages:
            x = stage(x)
            found.append(x)
        return found


class ResNet50(nn.Module):
    """MONAI's ResNet-50 with random weights; the four stages after the first pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.channels = (256, 512, 1024, 2048)
        self.network = ResNetFeatures("resnet50", pretrained=False, spatial_dims=2, in_channels=3)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return features at strides 4, 8, 16 and 32."""
        return list(self.network(image)[1:])


class Pyramid(nn.Module):
    """Backbone and feature pyramid: features of one number of channels on every level."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.backbone = NarrowBackbone(geometry.width) if geometry.width else ResNet50()
        channels = list(self.backbone.channels)
        self.merge = FeaturePyramidNetwork(2, channels, geometry.channels)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return features (N, C, h, w), finest level first."""
        named = OrderedDict((str(i), x) for i, x in enumerate(self.backbone(image)))
        return list(self.merge(named).values())


def _inside(boxes: Tensor, size: int) -> Tensor:
    return boxes.clamp(0, size)


def _box_loss(
    codes: Tensor,
    places: Tensor,
    target: Tensor,
    use: Tensor,
    count: Tensor,
    weights: Sequence[float] | None = None,
) -> Tensor:
    """Sum |code - wanted code| over the boxes in use and divide by ``count``."""
    if not use.any():
        return codes.sum() * 0
    wanted = encode(target[use], places[use], weights=weights)
    return (codes[use].float() - wanted).abs().sum() / count


def _take(boxes: Tensor, index: Tensor) -> Tensor:
    return boxes.gather(1, index[..., None].expand(-1, -1, 4))


class ProposalHead(nn.Module):
    """The first stage: is there anything at an anchor, and how is its box off.

    Losses as in Faster R-CNN: IoU from 0.7 or the best of a box is positive, under 0.3 negative;
    64 anchors of an image, at most half of them positive, enter (the paper's framework: 256).
    """

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.geometry = geometry
        self.share = nn.Conv2d(geometry.channels, geometry.channels, 3, padding=1)
        self.score = nn.Conv2d(geometry.channels, 1, 1)
        self.code = nn.Conv2d(geometry.channels, 4, 1)

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return logits (N, A) and codes (N, A, 4)."""
        shared = [F.relu(self.share(x)) for x in features]
        logits = flatten_levels([self.score(x) for x in shared], channels=1)
        return logits[..., 0], flatten_levels([self.code(x) for x in shared], channels=4)

    def propose(self, logits: Tensor, codes: Tensor, places: Tensor) -> Tensor:
        """Return the best boxes that overlap each other by at most 0.7 (N, proposals, 4)."""
        n = self.geometry.proposals
        score, index = logits.detach().float().sigmoid().topk(min(4 * n, logits.shape[1]), dim=1)
        boxes = decode(_take(codes.detach(), index).float(), _take(places, index))
        return suppress(_inside(boxes, self.geometry.size), score, threshold=0.7, keep=n)[0]

    def losses(self, logits: Tensor, codes: Tensor, places: Tensor, boxes: Tensor) -> Losses:
        """Compare with reference boxes (N, G, 4), zeros where there is none."""
        label, match = assign(places, boxes, above=0.7, below=0.3, rescue=True)
        chosen = sample(label, n=64, positive=0.5)
        positive, count = chosen & (label == POSITIVE), chosen.sum().clamp_min(1)
        classes = F.binary_cross_entropy_with_logits(
            logits[chosen].float(), positive[chosen].float(), reduction="sum"
        )
        located = _box_loss(codes, places, _take(boxes, match), positive, count)
        return {"proposal_class": classes / count, "proposal_box": located}


class BoxHead(nn.Module):
    """The second stage: read the features inside a proposal, classify it and refine its box.

    Losses as in Faster R-CNN: IoU from 0.5 is positive; 16 proposals of an image, at most a quarter
    of them positive, enter (the paper's framework: 512).
    """

    bins = 5

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.geometry = geometry
        hidden = 8 * geometry.width if geometry.width else 1024
        self.hidden = nn.Sequential(
            nn.Flatten(),
            nn.Linear(geometry.channels * self.bins**2, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
        )
        self.score = nn.Linear(hidden, 2)
        self.code = nn.Linear(hidden, 4)

    def forward(self, features: Sequence[Tensor], proposals: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits (N, R, 2; background first) and codes (N, R, 4) of proposals (N, R, 4).

        Boxes of one size belong to one level, the finest.
        """
        n, r = proposals.shape[:2]
        read = roi_align(features[0], proposals, bins=self.bins, size=self.geometry.size)
        x = self.hidden(read.flatten(0, 1))
        return self.score(x).view(n, r, 2), self.code(x).view(n, r, 4)

    def losses(self, features: Sequence[Tensor], proposals: Tensor, boxes: Tensor) -> Losses:
        """Compare with reference boxes (N, G, 4), which also serve as proposals."""
        places = torch.cat([boxes, proposals], dim=1)
        label, match = assign(places, boxes, above=0.5, below=0.5)
        label = torch.where((places[..., 2:] > places[..., :2]).all(dim=2), label, IGNORED)
        chosen = sample(label, n=16, positive=0.25)
        index = chosen.to(torch.uint8).topk(min(16, chosen.shape[1]), dim=1).indices
        chosen, label, match = (x.gather(1, index) for x in (chosen, label, match))
        places = _take(places, index)
        logits, codes = self(features, places)
        positive, count = chosen & (label == POSITIVE), chosen.sum().clamp_min(1)
        classes = F.cross_entropy(logits[chosen].float(), positive[chosen].long(), reduction="sum")
        target = _take(boxes, match)
        located = _box_loss(codes, places, target, positive, count, _PROPOSAL_WEIGHTS)
        return {"box_class": classes / count, "box_box": located}


class Detector(nn.Module):
    """What both detectors share: the pyramid, the anchors and the last suppression.

    Called with reference boxes it returns losses and the pyramid's features, without them the
    boxes (N, found, 4) and scores (N, found) of what it finds: score above 0.05, IoU at most 0.5.
    """

    places: Tensor

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.geometry = geometry
        self.pyramid = Pyramid(geometry)
        self.register_buffer("places", anchors(geometry), persistent=False)

    def forward(self, image: Tensor, boxes: Tensor | None = None) -> Any:
        """Train or detect, see the class.

        Args:
            image: (N, 3, size, size) in [0, 1].
            boxes: reference boxes (N, G, 4), zeros where there is none.
        """
        features = self.pyramid(image - 0.75)
        if boxes is not None:
            return self.losses(features, boxes), features
        found, score = self.detect(features)
        score = torch.where(score > 0.05, score, 0.0)
        return suppress(found, score, threshold=0.5, keep=self.geometry.found)

    def losses(self, features: Sequence[Tensor], boxes: Tensor) -> Losses:
        """Return the losses of a batch by name."""
        raise NotImplementedError

    def detect(self, features: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return candidate boxes (N, K, 4) and their scores (N, K)."""
        raise NotImplementedError

    def _places(self, like: Tensor) -> Tensor:
        return self.places.expand(len(like), -1, -1)


class TwoStage(Detector):
    """Faster R-CNN: anchors, proposals, and a second look at each proposal."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__(geometry)
        self.first = ProposalHead(geometry)
        self.second = BoxHead(geometry)

    def losses(self, features: Sequence[Tensor], boxes: Tensor) -> Losses:
        """Return L_cls and L_loc of both stages."""
        logits, codes = self.first(features)
        places = self._places(logits)
        losses = self.first.losses(logits, codes, places, boxes)
        proposals = self.first.propose(logits, codes, places)
        return losses | self.second.losses(features, proposals, boxes)

    def detect(self, features: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Score and refine the proposals."""
        logits, codes = self.first(features)
        proposals = self.first.propose(logits, codes, self._places(logits))
        logits, codes = self.second(features, proposals)
        score = logits.float().softmax(dim=2)[..., 1]
        absent = (proposals[..., 2:] <= proposals[..., :2]).any(dim=2)
        # a box without sides cannot be stretched; it is absent whatever it becomes
        boxes = decode(codes.float(), proposals, weights=_PROPOSAL_WEIGHTS)
        return _inside(boxes, self.geometry.size), torch.where(absent, 0.0, score)


class OneStage(Detector):
    """RetinaNet's heads from MONAI on the same pyramid: every anchor is classified at once.

    IoU from 0.5 is positive, under 0.4 negative, and focal loss (alpha 0.25, gamma 2) weighs them.

    Source:
        Lin et al., "Focal loss for dense object detection", ICCV 2017.
    """

    def __init__(self, geometry: Geometry) -> None:
        super().__init__(geometry)
        self.classes = RetinaNetClassificationHead(geometry.channels, 1, 1, spatial_dims=2)
        self.codes = RetinaNetRegressionHead(geometry.channels, 1, spatial_dims=2)

    def _heads(self, features: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        maps = list(features)
        logits = flatten_levels(self.classes(maps), channels=1)[..., 0]
        return logits, flatten_levels(self.codes(maps), channels=4)

    def losses(self, features: Sequence[Tensor], boxes: Tensor) -> Losses:
        """Return the focal and the box loss, both over the number of positives."""
        logits, codes = self._heads(features)
        places = self._places(logits)
        label, match = assign(places, boxes, above=0.5, below=0.4, rescue=True)
        positive = label == POSITIVE
        count = positive.sum().clamp_min(1)
        classes = focal_loss(logits.float(), positive.float())[label != IGNORED].sum() / count
        located = _box_loss(codes, places, _take(boxes, match), positive, count)
        return {"box_class": classes, "box_box": located}

    def detect(self, features: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Decode the best anchors."""
        logits, codes = self._heads(features)
        n = min(4 * self.geometry.proposals, logits.shape[1])
        score, index = logits.float().sigmoid().topk(n, dim=1)
        places = _take(self._places(logits), index)
        boxes = decode(_take(codes, index).float(), places)
        return _inside(boxes, self.geometry.size), score


def focal_loss(
    logits: Tensor, target: Tensor, *, alpha: float = 0.25, gamma: float = 2.0
) -> Tensor:
    """Compute ``-alpha_t (1 - p_t)^gamma log p_t`` of each logit.

    Args:
        logits: any shape.
        target: 0 or 1, same shape.
        alpha: weight of positives; negatives have 1 - alpha.
        gamma: how much easy ones are played down; 0 gives weighted cross-entropy.

    Source:
        Lin et al., ICCV 2017, equation 5.
    """
    cross = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    p_t = torch.exp(-cross)
    weight = alpha * target + (1 - alpha) * (1 - target)
    return weight * (1 - p_t) ** gamma * cross
