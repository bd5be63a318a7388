"""The detector of FocalMix: a small 3-D residual network, a feature pyramid, a score and a box for
each anchor.

Every step down is a convolution whose kernel is as wide as its stride, so that the grid of the
features is the grid of the anchors and lies symmetric in the volume: a flip of the volume flips
the grid.  With the usual kernel of three voxels and stride two it would move by a voxel.
"""

from collections.abc import Sequence

import torch
from monai.networks.blocks import ChannelSELayer
from monai.networks.blocks.feature_pyramid_network import FeaturePyramidNetwork
from torch import Tensor, nn

from common.models.detection import flatten_levels
from common.models.focalmix_losses import prior_logit

PRIOR = 0.01  # probability of an object at every anchor before training


class Residual(nn.Module):
    """Two convolutions with group normalisation, squeeze and excitation, and a shortcut.

    Args:
        channels: in and out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv3d(channels, channels, 3, padding=1, bias=False),
            _norm(channels),
            nn.ReLU(inplace=True),
            nn.Conv3d(channels, channels, 3, padding=1, bias=False),
            _norm(channels),
        )
        self.excite = ChannelSELayer(spatial_dims=3, in_channels=channels, r=4)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, c, z, y, x) to the same shape."""
        return torch.relu(x + self.excite(self.body(x)))


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(max(1, channels // 8), channels)


def _down(channels_in: int, channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(channels_in, channels, 2, stride=2, bias=False),
        _norm(channels),
        nn.ReLU(inplace=True),
    )


def _head(channels: int, numbers: int, *, bias: float) -> nn.Conv3d:
    layer = nn.Conv3d(channels, numbers, 1)
    nn.init.normal_(layer.weight, std=0.01)
    nn.init.constant_(layer.bias, bias)  # type: ignore[arg-type]
    return layer


class Detector(nn.Module):
    """Score and box offsets of dense anchors, at strides 4 and 8.

    Args:
        width: channels at stride 2; twice and four times as many at strides 4 and 8.
        anchors_per_point: for each of the two levels, anchors at every point of its grid.

    Source:
        The paper's "3D variant of FPN"; its layers are not given.
    """

    strides = (4, 8)

    def __init__(self, *, width: int = 16, anchors_per_point: Sequence[int] = (2, 1)) -> None:
        super().__init__()
        if width < 8 or width % 8 or len(anchors_per_point) != len(self.strides):
            raise ValueError(
                f"`width` must be a multiple of 8 and `anchors_per_point` name "
                f"{len(self.strides)} levels, got {width!r} and {tuple(anchors_per_point)!r}."
            )
        wide, wider = 2 * width, 4 * width
        self.stem = _down(1, width)
        self.levels = nn.ModuleList(
            [
                nn.Sequential(_down(width, wide), Residual(wide)),
                nn.Sequential(_down(wide, wider), Residual(wider)),
            ]
        )
        self.pyramid = FeaturePyramidNetwork(3, [wide, wider], wide)
        bias = prior_logit(PRIOR)
        self.score = nn.ModuleList(_head(wide, a, bias=bias) for a in anchors_per_point)
        self.offset = nn.ModuleList(_head(wide, 6 * a, bias=0.0) for a in anchors_per_point)

    def features(self, images: Tensor) -> list[Tensor]:
        """Compute the features of both levels (n, 2 width, z / stride, ...).

        Raises:
            ValueError: a side that 8 does not divide.
        """
        if any(side % self.strides[-1] for side in images.shape[2:]):
            raise ValueError(
                f"sides of `images` must be multiples of {self.strides[-1]}, got "
                f"{tuple(images.shape[2:])}. Pad or crop them."
            )
        x = self.stem(images)
        found = {}
        for number, level in enumerate(self.levels):
            x = level(x)
            found[str(number)] = x
        return [torch.relu(each) for each in self.pyramid(found).values()]

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Predict all anchors.

        Args:
            images (n, 1, z, y, x).

        Returns:
            Logits (n, A) and box offsets (n, A, 6), level by level; inside a level the points of
            the grid in the order z, y, x, and at each point its anchors.
        """
        logits, offsets = [], []
        for each, score, offset in zip(self.features(images), self.score, self.offset, strict=True):
            logits.append(score(each))
            offsets.append(offset(each))
        score_map = flatten_levels(logits, channels=1).squeeze(-1)
        return score_map.float(), flatten_levels(offsets, channels=6).float()
