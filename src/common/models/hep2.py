"""The multi-task U-Net for HEp-2 images: one encoder, a decoder and two classification heads.

Source: Ceglia, Passarelli and Tobia, student report, University of Salerno, 2023.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from monai.losses import DiceLoss
from monai.networks.nets import EfficientNetBNFeatures
from numpy.typing import NDArray
from torch import Tensor, nn

TASKS = ("mask", "label", "intensity")
N_PATTERNS = 7


class DoubleConv(nn.Sequential):
    """Apply a 3x3 convolution, batch normalisation and ReLU, twice; the size stays the same.

    Args:
        n_in: channels of the input (N, n_in, H, W).
        n_out: channels of the output (N, n_out, H, W).
        n_mid: channels between the two convolutions; ``n_out`` if left out.
        stride: stride of the first convolution.
    """

    def __init__(self, n_in: int, n_out: int, *, n_mid: int | None = None, stride: int = 1) -> None:
        n_mid = n_out if n_mid is None else n_mid
        super().__init__(
            nn.Conv2d(n_in, n_mid, 3, stride=stride, padding=1),
            nn.BatchNorm2d(n_mid),
            nn.ReLU(inplace=True),
            nn.Conv2d(n_mid, n_out, 3, padding=1),
            nn.BatchNorm2d(n_out),
            nn.ReLU(inplace=True),
        )


class Up(nn.Module):
    """Double the size, put the encoder's features beside, and convolve twice through half width.

    Args:
        n_in: channels from below plus channels of the skip connection.
        n_out: channels of the output; between the convolutions there are ``n_in // 2``.

    Example:
        >>> Up(608, 80)(torch.zeros(1, 448, 2, 2), torch.zeros(1, 160, 4, 4)).shape
        torch.Size([1, 80, 4, 4])
    """

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.convolve = DoubleConv(n_in, n_out, n_mid=n_in // 2)

    def forward(self, deep: Tensor, skip: Tensor) -> Tensor:
        """Merge ``deep`` (N, C1, H, W) and ``skip`` (N, C2, 2H, 2W) into (N, n_out, 2H, 2W)."""
        return self.convolve(torch.cat([_double(deep), skip], dim=1))


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=True)


def decoder_steps(channels: Sequence[int]) -> list[tuple[int, int]]:
    """Give the input and output channels of the decoder's up-steps, deepest first.

    A step's output has half the channels of its skip connection, the last one all of them.

    Args:
        channels: channels of the encoder's stages, shallowest first.

    Returns:
        One pair per step, one step less than there are stages.

    Source: the released decoder; the report prints the encoder's channels only.

    Example:
        >>> decoder_steps((48, 32, 56, 160, 448))
        [(608, 80), (136, 28), (60, 16), (64, 48)]
    """
    steps, below = [], channels[-1]
    for level in range(len(channels) - 2, -1, -1):
        skip = channels[level]
        out = skip // 2 if level > 0 else skip
        steps.append((below + skip, out))
        below = out
    return steps


class Decoder(nn.Module):
    """Turn the encoder's features into one mask logit per pixel of the image.

    Args:
        channels: channels of the encoder's stages, shallowest (half the image's size) first.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        steps = decoder_steps(channels)
        self.ups = nn.ModuleList([Up(n_in, n_out) for n_in, n_out in steps])
        self.project = nn.Conv2d(steps[-1][1], 1, 1)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Map the features, shallowest first, to logits (N, 1, H, W)."""
        x = features[-1]
        for up, skip in zip(self.ups, reversed(features[:-1]), strict=True):
            x = up(x, skip)
        return _double(self.project(x))


class EfficientNetB4Encoder(nn.Module):
    """The report's encoder: EfficientNet-B4 with random weights, features of five sizes.

    MONAI returns the features after the first block (24 channels) as the shallowest; the authors'
    library returns those before it (the stem's 48 channels, as printed), so we ask for these.  The
    deeper four are the same in both.  What remains different is the initialisation: MONAI draws
    normal weights by fan-out, the authors' library torch's default.  A grey image is copied to
    three channels.
    """

    channels = (48, 32, 56, 160, 448)

    def __init__(self) -> None:
        super().__init__()
        self.net = EfficientNetBNFeatures("efficientnet-b4", pretrained=False)
        self.net.extract_stacks = [0, 2, 3, 5, 7]
        # Without the classifier behind the last block every parameter has a gradient.
        for unused in ("_conv_head", "_conv_head_padding", "_bn1", "_avg_pooling", "_fc"):
            delattr(self.net, unused)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Map images (N, 1 or 3, H, W) to five feature maps of sizes H/2 to H/32."""
        return self.net(image.expand(-1, 3, -1, -1))

    def last_stage(self) -> list[nn.Parameter]:
        """Return the parameters behind the fourth feature map (ten blocks), in order of use."""
        return [p for stack in list(self.net._blocks)[5:] for p in stack.parameters()]


class NarrowEncoder(nn.Module):
    """A small stand-in for the encoder: plain convolution stages, each half the size of the last.

    Args:
        width: channels of the first stage; each further stage has twice as many.
        depth: number of stages, at least 2.
    """

    def __init__(self, *, width: int = 8, depth: int = 3) -> None:
        super().__init__()
        self.channels = tuple(width * 2**level for level in range(depth))
        inputs = (1, *self.channels[:-1])
        pairs = zip(inputs, self.channels, strict=True)
        self.stages = nn.ModuleList([DoubleConv(i, o, stride=2) for i, o in pairs])

    def forward(self, image: Tensor) -> list[Tensor]:
        """Map images (N, 1, H, W) to feature maps of sizes H/2, H/4, ..."""
        features = [image]
        for stage in self.stages:
            features.append(stage(features[-1]))
        return features[1:]

    def last_stage(self) -> list[nn.Parameter]:
        """Return the parameters of the deepest stage, in order of use."""
        return list(self.stages[-1].parameters())


class _Pool(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=(2, 3))


def _head(n_in: int, hidden: int, n_out: int, *, pooled: bool) -> nn.Sequential:
    first = _Pool() if pooled else nn.Flatten()
    return nn.Sequential(first, nn.Linear(n_in, hidden), nn.ReLU(), nn.Linear(hidden, n_out))


class MultiTaskUNet(nn.Module):
    """Segment the image and classify pattern and intensity from one shared encoder.

    Args:
        encoder: has ``channels``, ``last_stage()`` and returns its features, shallowest first.
        image_size: side of the square image (pixels), a multiple of 2 to the number of stages.
        heads: ``flatten`` (the report: every value of the deepest features) or ``pooled``
            (their spatial mean, which needs far fewer weights).
        hidden: width of the heads' hidden layer.
        tasks: which of ``mask``, ``label`` and ``intensity`` the network has outputs for.

    Raises:
        ValueError: a task or kind of head is unknown, or the image's size does not fit.
    """

    def __init__(
        self,
        encoder: EfficientNetB4Encoder | NarrowEncoder,
        *,
        image_size: int,
        heads: Literal["flatten", "pooled"] = "flatten",
        hidden: int = 512,
        tasks: Sequence[str] = TASKS,
    ) -> None:
        super().__init__()
        side, rest = divmod(image_size, 2 ** len(encoder.channels))
        if rest:
            rule = f"a multiple of {2 ** len(encoder.channels)}"
            raise ValueError(f"`image_size` must be {rule}, got {image_size!r}. Crop or pad.")
        if not tasks or not set(tasks) <= set(TASKS):
            raise ValueError(f"`tasks` must be some of {TASKS}, got {tasks!r}. Leave others out.")
        if heads not in ("flatten", "pooled"):
            raise ValueError(f"`heads` must be flatten or pooled, got {heads!r}. Choose one.")
        self.encoder = encoder
        pooled = heads == "pooled"
        n_in = encoder.channels[-1] * (1 if pooled else side**2)
        outputs: dict[str, nn.Module] = {}
        if "mask" in tasks:
            outputs["mask"] = Decoder(encoder.channels)
        for task, n_out in (("label", N_PATTERNS), ("intensity", 1)):
            if task in tasks:
                outputs[task] = _head(n_in, hidden, n_out, pooled=pooled)
        self.outputs = nn.ModuleDict(outputs)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Map images (N, 1, H, W) to logits: mask (N, 1, H, W), label (N, 7), intensity (N,)."""
        features = self.encoder(image)
        result = {}
        for task, module in self.outputs.items():
            logits = module(features if task == "mask" else features[-1])
            result[task] = logits.squeeze(1) if task == "intensity" else logits
        return result


def decoder_parameters(channels: Sequence[int]) -> int:
    """Count the decoder's parameters in closed form.

    An up-step from ``n`` to ``m`` channels through ``h = n // 2`` has ``h (9 n + 3)`` and
    ``m (9 h + 3)``: nine weights per channel pair, one bias, scale and shift per channel.

    Args:
        channels: channels of the encoder's stages, shallowest first.

    Returns:
        The number of trainable values.

    Example:
        One step, 3 to 1 channels through 1: 1 (27 + 3) + 1 (9 + 3) = 42, and 1 + 1 to project.

        >>> decoder_parameters((1, 2))
        44
    """
    steps = decoder_steps(channels)
    convolutions = sum((n // 2) * (9 * n + 3) + m * (9 * (n // 2) + 3) for n, m in steps)
    return convolutions + steps[-1][1] + 1


def head_parameters(n_in: int, hidden: int, n_out: int) -> int:
    """Count the parameters of a two-layer head in closed form.

    Example:
        >>> head_parameters(448 * 12 * 12, 512, 7)
        33034247
    """
    return (n_in + 1) * hidden + (hidden + 1) * n_out


_dice = DiceLoss(batch=True, smooth_nr=0.0, smooth_dr=1e-7)


def dice_loss(logits: Tensor, mask: Tensor) -> Tensor:
    """Compute 1 - Dice over the whole batch, averaged over foreground and background.

    Args:
        logits: mask logits (N, 1, H, W).
        mask: reference in {0, 1}, same shape.

    Returns:
        A scalar in [0, 1].  A channel that is absent from the reference counts 1.

    Source: the released code; the report says "Dice loss" only.

    Example:
        Probability 1/2 everywhere and half of the pixels foreground: Dice 2 (1/2) / (1 + 1).

        >>> float(dice_loss(torch.zeros(1, 1, 1, 2), torch.tensor([[[[0.0, 1.0]]]])))
        0.5
    """
    p, g = torch.sigmoid(logits.float()), mask.float()
    return _dice(torch.cat([1 - p, p], dim=1), torch.cat([1 - g, g], dim=1))


def task_losses(
    outputs: Mapping[str, Tensor], batch: Mapping[str, Tensor], *, mask_loss: str = "dice"
) -> dict[str, Tensor]:
    """Compute the loss of each task that the network has an output for.

    Args:
        outputs: logits by task, as :class:`MultiTaskUNet` returns them.
        batch: references: mask (N, 1, H, W) float, label (N,) integer, intensity (N,) float.
        mask_loss: ``dice`` or ``bce``.

    Returns:
        Scalars by task: Dice loss or binary cross-entropy, cross-entropy, binary cross-entropy.

    Raises:
        ValueError: ``mask_loss`` is neither.
    """
    if mask_loss not in ("dice", "bce"):
        raise ValueError(f"`mask_loss` must be dice or bce, got {mask_loss!r}. Choose one.")
    compare: dict[str, Any] = {
        "mask": dice_loss if mask_loss == "dice" else F.binary_cross_entropy_with_logits,
        "label": F.cross_entropy,
        "intensity": F.binary_cross_entropy_with_logits,
    }
    return {task: compare[task](logits, batch[task]) for task, logits in outputs.items()}


def predict_intensity(
    logit: NDArray[np.floating], *, threshold_on: Literal["probability", "logit"] = "probability"
) -> NDArray[np.bool_]:
    """Decide which patches are positive.

    Args:
        logit: intensity logits, any shape.
        threshold_on: ``probability`` (p > 0.5), or ``logit`` as in the released code, where the
            raw logit is compared with 0.5, so that p must exceed 1 / (1 + exp(-0.5)) = 0.622.

    Returns:
        True for positive, same shape.

    Raises:
        ValueError: ``threshold_on`` is neither.

    Example:
        >>> predict_intensity(np.array([0.3, 0.6]), threshold_on="logit")
        array([False,  True])
    """
    thresholds = {"probability": 0.0, "logit": 0.5}
    if threshold_on not in thresholds:
        rule = "`threshold_on` must be probability or logit"
        raise ValueError(f"{rule}, got {threshold_on!r}. Choose one.")
    return np.asarray(logit) > thresholds[threshold_on]
