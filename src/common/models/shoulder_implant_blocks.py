"""Building blocks of the four ImageNet networks, written as their published layer lists.

A list such as ``64:1x1 96:3x3 96:3x3/2v`` names convolutions by channels, kernel, stride and
padding (``v`` for valid, without padding); ``|`` divides parallel branches, whose outputs are
joined. Every network takes a ``width`` that multiplies its channels and a ``depth`` that multiplies
its repeated blocks, so that narrow variants for a CPU are the same code.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Keras, from which all published parameter counts come
EPSILON = 1e-3
_TOKEN = re.compile(r"(\d+):(\d+x\d+(?:\+\d+x\d+)*)(?:/(\d+))?(v?)")


@dataclass(frozen=True)
class Scale:
    """Size of a network relative to the published one.

    Args:
        width: factor on all channels.
        depth: factor on the number of repeated blocks.

    Raises:
        ValueError: a factor outside (0, 1].

    Example:
        >>> Scale(0.125, 0.1).channels(320), Scale(0.125, 0.1).repeats(20)
        (40, 2)
    """

    width: float = 1.0
    depth: float = 1.0

    def __post_init__(self) -> None:
        for name in ("width", "depth"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(
                    f"`{name}` must lie in (0, 1], got {getattr(self, name)!r}. 1 is as published."
                )

    def channels(self, n: int) -> int:
        """Scale a number of channels; at least 4 are left."""
        return max(min(4, n), round(n * self.width))

    def repeats(self, n: int) -> int:
        """Scale a number of blocks; at least one is left."""
        return max(1, round(n * self.depth))


class ShiftNorm(nn.BatchNorm2d):
    """Batch normalisation that shifts and does not scale.

    Its scale is no parameter and in no ``state_dict``. It is kept as ones all the same, since on a
    GPU torch has no gradient of the shift without a scale.

    Args:
        n: channels.
    """

    def __init__(self, n: int) -> None:
        super().__init__(n, eps=EPSILON)
        del self.weight
        self.register_buffer("weight", torch.ones(n), persistent=False)


def batch_norm(n: int, *, scale: bool) -> nn.BatchNorm2d:
    """Make a batch normalisation that shifts and, if ``scale``, also scales.

    The Inception networks leave the scale out: a rectifier and a convolution follow.
    """
    return nn.BatchNorm2d(n, eps=EPSILON) if scale else ShiftNorm(n)


class Conv(nn.Module):
    """A convolution, batch normalisation without scale, and a rectifier.

    Args:
        n_in: channels in.
        n_out: channels out.
        kernel: height and width.
        stride: of both axes.
        valid: whether there is no padding.
        norm_scale: whether the normalisation scales too.
        relu: whether the rectifier follows.
        keras: name of the layer in Keras; numbered by place if left out.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        kernel: tuple[int, int],
        *,
        stride: int = 1,
        valid: bool = False,
        norm_scale: bool = False,
        relu: bool = True,
        keras: str | None = None,
    ) -> None:
        super().__init__()
        padding = (0, 0) if valid else (kernel[0] // 2, kernel[1] // 2)
        self.conv = nn.Conv2d(n_in, n_out, kernel, stride, padding, bias=False)
        self.norm = batch_norm(n_out, scale=norm_scale)
        self.relu, self.keras = relu, keras

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the channels out."""
        x = self.norm(self.conv(x))
        return F.relu(x, inplace=True) if self.relu else x


class PlainConv(nn.Module):
    """A convolution with a bias and no normalisation.

    Args:
        n_in: channels in.
        n_out: channels out.
        kernel: side.
        keras: name of the layer in Keras.
        relu: whether a rectifier follows.
    """

    def __init__(self, n_in: int, n_out: int, kernel: int, *, keras: str, relu: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(n_in, n_out, kernel, padding=kernel // 2)
        self.relu, self.keras = relu, keras

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the channels out."""
        x = self.conv(x)
        return F.relu(x, inplace=True) if self.relu else x


class SeparableConv(nn.Module):
    """A 3 x 3 convolution of each channel by itself, then 1 x 1, then batch normalisation.

    It has ``9 a + a b`` weights where a full convolution of a to b channels has ``9 a b``.
    """

    def __init__(self, n_in: int, n_out: int, *, keras: str) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(n_in, n_in, 3, padding=1, groups=n_in, bias=False)
        self.pointwise = nn.Conv2d(n_in, n_out, 1, bias=False)
        self.norm = batch_norm(n_out, scale=True)
        self.keras = keras

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the channels out."""
        normed: Tensor = self.norm(self.pointwise(self.depthwise(x)))
        return normed


def pool_same(x: Tensor) -> Tensor:
    """Take the maximum of 3 x 3 at stride 2 with the padding "same" of TensorFlow.

    The output has ``ceil(n / 2)`` pixels; an even side is padded at its end alone.

    Example:
        >>> pool_same(torch.arange(4.0).view(1, 1, 2, 2)).item()
        3.0
    """
    pads = []
    for n in (x.shape[-1], x.shape[-2]):
        total = max((math.ceil(n / 2) - 1) * 2 + 3 - n, 0)
        pads += [total // 2, total - total // 2]
    return F.max_pool2d(F.pad(x, pads, value=-math.inf), 3, 2)


class Branches(nn.Module):
    """Parallel lists of layers whose outputs are joined."""

    def __init__(self, parts: list[nn.Module]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the sum of the branches' channels."""
        return torch.cat([part(x) for part in self.parts], dim=1)


def layers(text: str, n_in: int, scale: Scale) -> tuple[nn.Module, int]:
    """Build what a layer list says.

    Args:
        text: tokens ``channels:kernel[/stride][v]``, ``max`` (3 x 3, stride 2) and ``avg``
            (3 x 3, stride 1); two kernels joined by ``+`` stand side by side, ``|`` divides
            branches.
        n_in: channels in.
        scale: factor on the channels out.

    Returns:
        The module and its channels out.

    Raises:
        ValueError: a token is none of these.

    Example:
        >>> module, n_out = layers("16:1x1 | 8:1x1 24:3x3 | avg 8:1x1", 32, Scale())
        >>> n_out, tuple(module(torch.zeros(1, 32, 5, 5)).shape)
        (48, (1, 48, 5, 5))
    """
    if "|" in text:
        parts, outs = zip(*(layers(part, n_in, scale) for part in text.split("|")), strict=True)
        return Branches(list(parts)), sum(outs)
    built: list[nn.Module] = []
    n = n_in
    for token in text.split():
        module, n = _layer(token, n, scale)
        built.append(module)
    return nn.Sequential(*built), n


def _layer(token: str, n_in: int, scale: Scale) -> tuple[nn.Module, int]:
    if token == "max":
        return nn.MaxPool2d(3, 2), n_in
    if token == "avg":
        return nn.AvgPool2d(3, 1, 1, count_include_pad=False), n_in
    found = _TOKEN.fullmatch(token)
    if found is None:
        raise ValueError(
            f"a layer must be channels:kernel[/stride][v], max or avg, got {token!r}. "
            "Write 96:3x3/2v for 96 channels, 3 x 3, stride 2, no padding."
        )
    n_out = scale.channels(int(found[1]))
    kernels = [tuple(map(int, each.split("x"))) for each in found[2].split("+")]
    made: list[nn.Module] = [
        Conv(n_in, n_out, (k[0], k[1]), stride=int(found[3] or 1), valid=bool(found[4]))
        for k in kernels
    ]
    return (made[0], n_out) if len(made) == 1 else (Branches(made), n_out * len(made))


class Classifier(nn.Module):
    """Features, global average pooling, dropout and one linear layer: logits of each class.

    Args:
        features: maps (N, 3, H, W) to (N, n_features, h, w).
        n_features: its channels out.
        n_classes: classes.
        dropout: share of pooled features set to 0 in training.

    ``means`` (1, 3, 1, 1) of blue, green and red, where weights come with them, are taken from
    inputs of 0 to 255, as those weights need it; without them inputs stay in [-1, 1].
    """

    means: Tensor | None

    def __init__(
        self, features: nn.Module, n_features: int, n_classes: int, *, dropout: float = 0.5
    ) -> None:
        super().__init__()
        self.features = features
        self.n_features = n_features
        self.register_buffer("means", None, persistent=False)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(n_features, n_classes)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (N, K) of images (N, 1 or 3, H, W) in [-1, 1]; grey ones are repeated."""
        found = self.features(self.prepare(image))
        logits: Tensor = self.head(self.dropout(found.mean(dim=(2, 3))))
        return logits

    def prepare(self, image: Tensor) -> Tensor:
        """Bring images (N, 1 or 3, H, W) in [-1, 1] to what the features take: (N, 3, H, W)."""
        image = image.expand(-1, 3, -1, -1)
        return image if self.means is None else 127.5 * (image.flip(1) + 1) - self.means


def initialise(model: nn.Module) -> None:
    """Draw weights of convolutions after He et al. and set biases to 0."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def count(model: nn.Module) -> int:
    """Count parameters as Keras does: with the running means and variances."""
    stored = {name: each for name, each in model.state_dict().items() if "num_batches" not in name}
    return sum(each.numel() for each in stored.values())


def weighted(model: nn.Module) -> Iterator[nn.Module]:
    """Yield the convolutions of the features in the order in which they were made."""
    for module in model.modules():
        if isinstance(module, Conv | SeparableConv | PlainConv):
            yield module
