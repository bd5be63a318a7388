"""Selective objective switch: low- and high-resolution networks, their join and their switch.

The symbols are the paper's: v is the feature of the low-resolution network (LRN), N_s and N_h are
the class probabilities at low resolution and with the tiles of the high-resolution network (HRN),
c is the confidence above which the first answer stands.

Source: Maksoud et al., "SOS: Selective Objective Switch for Rapid Immunofluorescence Whole Slide
Image Classification", CVPR 2020, equation 2 and Figure 2.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from monai.networks.nets import ResNet
from torch import Tensor, nn

N_CLASSES = 4
Encoder = Literal["narrow", "resnet18"]


class NarrowEncoder(nn.Sequential):
    """Three convolutions that each halve the size, then the mean over all places.

    Stands in for ResNet-18 on a CPU.

    Args:
        width: channels of the first convolution; the others have two and four times as many.
    """

    def __init__(self, width: int) -> None:
        self.n_features = 4 * width
        channels = (1, width, 2 * width, 4 * width)
        layers: list[nn.Module] = []
        for kernel, n_in, n_out in zip((5, 3, 3), channels, channels[1:], strict=False):
            convolve = nn.Conv2d(n_in, n_out, kernel, stride=2, padding=kernel // 2, bias=False)
            layers += [convolve, nn.BatchNorm2d(n_out), nn.ReLU(inplace=True)]
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


class ResNet18Encoder(nn.Module):
    """MONAI's ResNet-18 for one channel, without its classifier.

    Args:
        width: channels of the first stage; the last has eight times as many (ResNet-18: 64).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        planes = [width * 2**stage for stage in range(4)]
        self.n_features = planes[-1]
        self.net = ResNet(
            "basic",
            [2, 2, 2, 2],
            planes,
            spatial_dims=2,
            n_input_channels=1,
            conv1_t_stride=2,
            feed_forward=False,
        )

    def forward(self, image: Tensor) -> Tensor:
        """Map images (N, 1, H, W) to features (N, 8 width)."""
        return self.net(image)


def build_encoder(kind: Encoder, width: int) -> NarrowEncoder | ResNet18Encoder:
    """Make an encoder of images (N, 1, H, W) to features (N, n_features).

    Raises:
        ValueError: ``kind`` is neither ``narrow`` nor ``resnet18``, or ``width`` is below 1.
    """
    if width < 1:
        raise ValueError(f"`width` must be at least 1, got {width!r}. Raise it.")
    if kind == "narrow":
        return NarrowEncoder(width)
    if kind == "resnet18":
        return ResNet18Encoder(width)
    raise ValueError(f"`kind` must be narrow or resnet18, got {kind!r}. Choose one of them.")


class Classifier(nn.Linear):
    """Map features to class logits in single precision, whatever the precision around it.

    The switch compares probabilities with c, and bfloat16 has steps of 0.004 near 1.
    """

    def forward(self, feature: Tensor) -> Tensor:
        """Return ``feature`` A^T + b (N, classes); its softmax is the paper's equation 2."""
        with torch.autocast(feature.device.type, enabled=False):
            return super().forward(feature.float())


class GatedAttention(nn.Module):
    """Average the features of a slide's tiles with learned weights that sum to one.

    weight_t = softmax_t( w^T (tanh(V x_t) * sigmoid(U x_t)) )

    Args:
        n_features: length of a tile's feature.
        hidden: length of V x and U x.

    Source: Ilse et al., "Attention-based deep multiple instance learning", ICML 2018, equation 9.
    """

    def __init__(self, n_features: int, hidden: int = 16) -> None:
        super().__init__()
        self.value = nn.Linear(n_features, hidden)
        self.gate = nn.Linear(n_features, hidden)
        self.score = nn.Linear(hidden, 1)

    def forward(self, tiles: Tensor) -> tuple[Tensor, Tensor]:
        """Pool tile features (N, T, d) to (N, d); also return the weights (N, T)."""
        with torch.autocast(tiles.device.type, enabled=False):
            tiles = tiles.float()
            gated = torch.tanh(self.value(tiles)) * torch.sigmoid(self.gate(tiles))
            weight = self.score(gated).squeeze(2).softmax(dim=1)
            return (weight.unsqueeze(2) * tiles).sum(dim=1), weight


class HighResolutionNetwork(nn.Module):
    """Tiles to a slide feature h: encode, attend, and join the low-resolution feature.

    h = LayerNorm(v + W u), where u is the attended mean of the tiles' features; without v it is
    LayerNorm(W u), the patch-level network.

    Args:
        encoder: maps tiles (N, 1, H, W) to features.
        n_features: length d of v and h.

    Source: Figure 2 (residual connection); the aggregation is not described.
    """

    def __init__(self, encoder: NarrowEncoder | ResNet18Encoder, n_features: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.attend = GatedAttention(encoder.n_features)
        self.project = nn.Linear(encoder.n_features, n_features, bias=False)
        self.norm = nn.LayerNorm(n_features)
        self.classify = Classifier(n_features, N_CLASSES)

    def forward(self, tiles: Tensor, v: Tensor | None = None) -> Tensor:
        """Map tiles (N, T, 1, H, W) and the feature v (N, d), or None, to logits (N, classes)."""
        n, n_tiles = tiles.shape[:2]
        features = self.encoder(tiles.flatten(0, 1)).view(n, n_tiles, -1)
        u, _ = self.attend(features)
        with torch.autocast(tiles.device.type, enabled=False):
            h = self.project(u) if v is None else v.float() + self.project(u)
            return self.classify(self.norm(h))


@dataclass(frozen=True)
class Design:
    """Which streams a network has and how they meet.

    Args:
        low: whether there is a low-resolution network.
        high: whether there is a high-resolution network.
        detach: whether the HRN's loss is kept from training the LRN through v.
        policy: whether a policy network decides on zooming in (the reinforced comparator).
    """

    low: bool = True
    high: bool = True
    detach: bool = False
    policy: bool = False

    def __post_init__(self) -> None:
        """Refuse a network without a stream, or a policy without both."""
        if not (self.low or self.high) or (self.policy and not (self.low and self.high)):
            raise ValueError(
                f"`Design` must have a stream, and both for a policy, got {self!r}. Add one."
            )


class SOSNetwork(nn.Module):
    """The low-resolution network, the high-resolution network, and what decides between them.

    Args:
        design: which parts there are.
        encoder: kind of both encoders.
        width: width of the low-resolution encoder.
        tile_width: width of the tile encoder; ``width`` if left out.
    """

    def __init__(
        self,
        design: Design,
        *,
        encoder: Encoder = "narrow",
        width: int = 8,
        tile_width: int | None = None,
    ) -> None:
        super().__init__()
        self.design = design
        if design.low:
            self.low_encoder = build_encoder(encoder, width)
            d = self.low_encoder.n_features
            self.low_classify = Classifier(d, N_CLASSES)
        tile_width = width if tile_width is None else tile_width
        if design.high:
            tiles = build_encoder(encoder, tile_width)
            self.high = HighResolutionNetwork(tiles, d if design.low else tiles.n_features)
        if design.policy:
            self.policy = nn.Sequential(nn.Linear(d, 32), nn.ReLU(), Classifier(32, 1))

    def look(self, low: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Run the low-resolution network alone.

        Args:
            low (N, 1, h, w): overviews.

        Returns:
            v (N, d), and ``low`` logits (N, classes) with, under a policy, the log-odds ``zoom``
            (N,) of going on.
        """
        v = self.low_encoder(low).float()
        found = {"low": self.low_classify(v)}
        if self.design.policy:
            found["zoom"] = self.policy(v.detach()).squeeze(1)
        return v, found

    def zoom(self, tiles: Tensor, v: Tensor | None) -> Tensor:
        """Run the high-resolution network on tiles (N, T, 1, H, W): logits (N, classes)."""
        return self.high(tiles, v.detach() if v is not None and self.design.detach else v)

    def forward(self, low: Tensor | None, tiles: Tensor | None) -> dict[str, Tensor]:
        """Run every stream that exists: ``low`` and ``high`` logits, and ``zoom`` of a policy."""
        v, found = self.look(low) if self.design.low and low is not None else (None, {})
        if self.design.high and tiles is not None:
            found["high"] = self.zoom(tiles, v)
        return found


def executive_unit(low: Tensor, c: float) -> Tensor:
    """Decide which slides go on to high resolution.

    Args:
        low (N, classes): probabilities N_s.
        c: confidence above which the low-resolution answer stands, 0 to 1.

    Returns:
        (N,) True where max N_s <= c.

    Raises:
        ValueError: ``c`` lies outside 0 to 1.

    Example:
        >>> executive_unit(torch.tensor([[0.9, 0.1], [0.6, 0.4]]), 0.8).tolist()
        [False, True]
    """
    if not 0 <= c <= 1:
        raise ValueError(f"`c` must lie in 0 to 1, got {c!r}. Take a probability.")
    return low.max(dim=1).values <= c
