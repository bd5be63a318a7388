"""The four networks that the paper compares: VGG16, Xception, Inception-v3, Inception-ResNet-v2.

Each is built to its published layer list; with ``Scale()`` the parameter counts are the published
ones. All end in global average pooling, as the paper says of the last of them.

Source: Simonyan and Zisserman 2014 (table 1, column D); Chollet 2017 (figure 5); Szegedy et al.
2016 (table 1); Szegedy et al. 2017 (figures 15 to 19); layer lists as in Keras, whose weights
studies of this kind start from.
"""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from common.models.shoulder_implant_blocks import (
    Classifier,
    Conv,
    PlainConv,
    Scale,
    SeparableConv,
    initialise,
    layers,
    pool_same,
)

# Parameters without the last layers as the Keras documentation prints them, which counts the
# running means and variances; 54,336,736 is 55,873,736 less a head of 1,000 classes.
PUBLISHED_COUNTS = {
    "vgg16": 14_714_688,
    "xception": 20_861_480,
    "inception-v3": 21_802_784,
    "inception-resnet-v2": 54_336_736,
}

STEM = "32:3x3/2v 32:3x3v 64:3x3 max 80:1x1v 192:3x3v max"

INCEPTION_V3 = (
    "64:1x1 | 48:1x1 64:5x5 | 64:1x1 96:3x3 96:3x3 | avg 32:1x1",
    "64:1x1 | 48:1x1 64:5x5 | 64:1x1 96:3x3 96:3x3 | avg 64:1x1",
    "64:1x1 | 48:1x1 64:5x5 | 64:1x1 96:3x3 96:3x3 | avg 64:1x1",
    "384:3x3/2v | 64:1x1 96:3x3 96:3x3/2v | max",
    *(
        f"192:1x1 | {n}:1x1 {n}:1x7 192:7x1 | {n}:1x1 {n}:7x1 {n}:1x7 {n}:7x1 192:1x7 | avg 192:1x1"
        for n in (128, 160, 160, 192)
    ),
    "192:1x1 320:3x3/2v | 192:1x1 192:1x7 192:7x1 192:3x3/2v | max",
    *("320:1x1 | 384:1x1 384:1x3+3x1 | 448:1x1 384:3x3 384:1x3+3x1 | avg 192:1x1",) * 2,
)

# what stands between the residual blocks, and the blocks: branches, scale, repeats
MIXED_5B = "96:1x1 | 48:1x1 64:5x5 | 64:1x1 96:3x3 96:3x3 | avg 64:1x1"
BLOCK_A = "32:1x1 | 32:1x1 32:3x3 | 32:1x1 48:3x3 64:3x3"
REDUCTION_A = "384:3x3/2v | 256:1x1 256:3x3 384:3x3/2v | max"
BLOCK_B = "192:1x1 | 128:1x1 160:1x7 192:7x1"
REDUCTION_B = "256:1x1 384:3x3/2v | 256:1x1 288:3x3/2v | 256:1x1 288:3x3 320:3x3/2v | max"
BLOCK_C = "192:1x1 | 192:1x1 224:1x3 256:3x1"


class Residual(nn.Module):
    r"""An Inception-ResNet block: $x \leftarrow \mathrm{ReLU}(x + s\,F(x))$.

    Args:
        text: layer list of the branches of F.
        n: channels in and out.
        s: what the branches are multiplied by before they are added.
        scale: size of the network.
        keras: name in Keras of the 1 x 1 convolution that ends F.
        relu: whether the rectifier follows; it does in all blocks but the last.
    """

    def __init__(
        self, text: str, n: int, *, s: float, scale: Scale, keras: str, relu: bool = True
    ) -> None:
        super().__init__()
        self.branches, n_mixed = layers(text, n, scale)
        self.up = PlainConv(n_mixed, n, 1, keras=keras, relu=False)
        self.s, self.relu = s, relu

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape (N, n, H, W)."""
        x = x + self.s * self.up(self.branches(x))
        return F.relu(x, inplace=True) if self.relu else x


def vgg16(n_classes: int, scale: Scale | None = None, **options: float) -> Classifier:
    """Build VGG16: thirteen 3 x 3 convolutions with biases, five times halved.

    A depth below 1 leaves fewer convolutions in each of the five stages, at least one: without
    normalisation a deep and narrow stack hardly learns from a few thousand pictures.
    """
    scale = scale or Scale()
    built: list[nn.Module] = []
    n = 3
    for block, (channels, repeats) in enumerate(
        ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)), start=1
    ):
        for place in range(1, scale.repeats(repeats) + 1):
            n_out = scale.channels(channels)
            built.append(PlainConv(n, n_out, 3, keras=f"block{block}_conv{place}", relu=True))
            n = n_out
        built.append(nn.MaxPool2d(2))
    return _finished(nn.Sequential(*built), n, n_classes, options)


class XceptionBlock(nn.Module):
    """Separable convolutions, each after a rectifier, beside a shortcut.

    Args:
        n_in: channels in.
        outs: channels out of each separable convolution.
        number: of the block in Keras.
        halve: whether pooling halves the map and the shortcut is a strided convolution.
        first_relu: whether a rectifier comes before the first convolution.
    """

    def __init__(
        self,
        n_in: int,
        outs: tuple[int, ...],
        *,
        number: int,
        halve: bool = False,
        first_relu: bool = True,
    ) -> None:
        super().__init__()
        self.shortcut = (
            Conv(n_in, outs[-1], (1, 1), stride=2, valid=True, norm_scale=True, relu=False)
            if halve
            else nn.Identity()
        )
        ins = (n_in, *outs[:-1])
        self.convs = nn.ModuleList(
            SeparableConv(a, b, keras=f"block{number}_sepconv{place}")
            for place, (a, b) in enumerate(zip(ins, outs, strict=True), start=1)
        )
        self.halve, self.first_relu = halve, first_relu

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, n_in, H, W) to the channels out, halved if so built."""
        y = x
        for place, conv in enumerate(self.convs):
            y = conv(F.relu(y) if place or self.first_relu else y)
        summed: Tensor = self.shortcut(x) + (pool_same(y) if self.halve else y)
        return summed


def xception(n_classes: int, scale: Scale | None = None, **options: float) -> Classifier:
    """Build Xception: separable convolutions with shortcuts, eight equal blocks in the middle."""
    scale = scale or Scale()
    n = [scale.channels(each) for each in (32, 64, 128, 256, 728, 1024, 1536, 2048)]
    kernel = (3, 3)
    built: list[nn.Module] = [
        Conv(3, n[0], kernel, stride=2, valid=True, norm_scale=True, keras="block1_conv1"),
        Conv(n[0], n[1], kernel, valid=True, norm_scale=True, keras="block1_conv2"),
    ]
    for place in (1, 2, 3):
        outs = (n[place + 1],) * 2
        built.append(
            XceptionBlock(n[place], outs, number=place + 1, halve=True, first_relu=place > 1)
        )
    middle = scale.repeats(8)
    built += [XceptionBlock(n[4], (n[4],) * 3, number=5 + place) for place in range(middle)]
    built.append(XceptionBlock(n[4], (n[4], n[5]), number=5 + middle, halve=True))
    for place, (a, b) in enumerate(((n[5], n[6]), (n[6], n[7])), start=1):
        built += [SeparableConv(a, b, keras=f"block{6 + middle}_sepconv{place}"), nn.ReLU(True)]
    return _finished(nn.Sequential(*built), n[7], n_classes, options)


def inception_v3(n_classes: int, scale: Scale | None = None, **options: float) -> Classifier:
    """Build Inception-v3: a stem and eleven modules of parallel branches."""
    scale = scale or Scale()
    module, n = layers(STEM, 3, scale)
    built = [module]
    for text in INCEPTION_V3:
        module, n = layers(text, n, scale)
        built.append(module)
    return _finished(nn.Sequential(*built), n, n_classes, options)


def inception_resnet_v2(n_classes: int, scale: Scale | None = None, **options: float) -> Classifier:
    """Build Inception-ResNet-v2, the paper's choice: 10 blocks A, 20 B and 10 C with shortcuts."""
    scale = scale or Scale()
    stem, n = layers(STEM, 3, scale)
    mixed, n = layers(MIXED_5B, n, scale)
    built = [stem, mixed]

    def add(text: str, repeats: int, s: float, name: str, *, last: bool = False) -> None:
        total = scale.repeats(repeats)
        for place in range(1, total + 1):
            ends = last and place == total  # the last block of all is not rectified
            scaled = 1.0 if ends else s
            keras = f"{name}_{place}_conv"
            built.append(Residual(text, n, s=scaled, scale=scale, keras=keras, relu=not ends))

    add(BLOCK_A, 10, 0.17, "block35")
    module, n = layers(REDUCTION_A, n, scale)
    built.append(module)
    add(BLOCK_B, 20, 0.10, "block17")
    module, n = layers(REDUCTION_B, n, scale)
    built.append(module)
    add(BLOCK_C, 10, 0.20, "block8", last=True)
    n_out = scale.channels(1536)
    built.append(Conv(n, n_out, (1, 1), keras="conv_7b"))
    return _finished(nn.Sequential(*built), n_out, n_classes, options)


def _finished(
    features: nn.Module, n_features: int, n_classes: int, options: dict[str, float]
) -> Classifier:
    model = Classifier(features, n_features, n_classes, **options)
    initialise(model)
    return model


NETWORKS: dict[str, Callable[..., Classifier]] = {
    "vgg16": vgg16,
    "xception": xception,
    "inception-v3": inception_v3,
    "inception-resnet-v2": inception_resnet_v2,
}
LABELS = {
    "vgg16": "VGG16",
    "xception": "Xception",
    "inception-v3": "Inception-v3",
    "inception-resnet-v2": "Inception-ResNet-v2",
}
SMALLEST_PX = 75  # below it a map of the Inception networks would vanish


def build(
    name: str, n_classes: int, scale: Scale | None = None, *, dropout: float = 0.5
) -> Classifier:
    """Build a network by name.

    Args:
        name: one of :data:`NETWORKS`.
        n_classes: classes.
        scale: size; the published one if left out.
        dropout: before the last layer.

    Raises:
        ValueError: unknown name.
    """
    if name not in NETWORKS:
        raise ValueError(f"`name` must be one of {', '.join(NETWORKS)}, got {name!r}.")
    return NETWORKS[name](n_classes, scale, dropout=dropout)
