"""The small convolutional network that ToFi-ML is compared with on the same images.

The paper trains no network and quotes others'; this one stands in for them and is far smaller.
"""

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from common.training import runtime, train

Photos = NDArray[np.uint8]


def shrink(image: NDArray[np.generic], side: int) -> Photos:
    """Resize a photograph for the network, by averaging where it becomes smaller.

    Args:
        image (3, height, width): bytes, or floats 0 to 1.
        side: of the result (pixels).

    Returns:
        (3, side, side) bytes.
    """
    scale = 255.0 if image.dtype.kind == "f" else 1.0
    pixels = torch.from_numpy(image.astype(np.float32) * np.float32(scale))[None]
    small = F.interpolate(
        pixels, (side, side), mode="bilinear", align_corners=False, antialias=True
    )
    return np.asarray(small[0].clamp(0, 255).round().to(torch.uint8).numpy(), dtype=np.uint8)


class SmallNet(nn.Sequential):
    """Halve the image in each stage of convolution, normalisation and ReLU, and average at the end.

    Args:
        n_classes: outputs.
        widths: channels of the stages.

    Example:
        >>> SmallNet(5)(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 5])
    """

    def __init__(self, n_classes: int, widths: tuple[int, ...] = (16, 32, 64)) -> None:
        stages: list[nn.Module] = []
        for n_in, n_out in zip((3, *widths), widths, strict=False):
            stages += [
                nn.Conv2d(n_in, n_out, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(n_out),
                nn.ReLU(inplace=True),
                nn.Conv2d(n_out, n_out, 3, padding=1, bias=False),
                nn.BatchNorm2d(n_out),
                nn.ReLU(inplace=True),
            ]
        pool = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], n_classes)]
        super().__init__(*stages, *pool)


def turned(photos: Tensor) -> Tensor:
    """Mirror and turn a batch (n, 3, side, side) by chance, each image by its own draw."""
    across, down, over = (torch.rand(len(photos), 1, 1, 1) < 0.5 for _ in range(3))
    photos = torch.where(across.to(photos.device), photos.flip(-1), photos)
    photos = torch.where(down.to(photos.device), photos.flip(-2), photos)
    return torch.where(over.to(photos.device), photos.transpose(-1, -2), photos)


def _scaled(photos: Tensor) -> Tensor:
    return photos.float() / 127.5 - 1


def _step(model: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    logits = model(turned(_scaled(batch["photo"])))
    return {"label": F.cross_entropy(logits, batch["label"])}


def fit(
    photos: Photos,
    labels: NDArray[np.integer],
    *,
    epochs: int,
    seed: int,
    n_classes: int = 2,
    batch_size: int = 32,
    lr: float = 2e-3,
) -> nn.Module:
    """Train the network with cross-entropy on mirrored and turned photographs.

    Args:
        photos (n, 3, side, side): bytes.
        labels (n,): classes.
        epochs: passes over the photographs.
        seed: of weights, order and turns.
        n_classes: outputs.
        batch_size: photographs per step.
        lr: learning rate of Adam.

    Returns:
        The network in evaluation mode.
    """
    data = {
        "photo": torch.from_numpy(photos),
        "label": torch.from_numpy(np.asarray(labels, dtype=np.int64)),
    }
    fitted = train(
        lambda: SmallNet(n_classes),
        _step,
        data,
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        lr=lr,
        fabric=runtime(),
    )
    return fitted.model


def probabilities(model: nn.Module, photos: Photos, *, at_once: int = 256) -> NDArray[np.float64]:
    """Predict photographs.

    Args:
        model: see :func:`fit`.
        photos (n, 3, side, side): bytes.
        at_once: photographs per step.

    Returns:
        (n, classes), rows sum to 1.
    """
    device = next(model.parameters()).device
    with torch.inference_mode():
        parts = [
            model(_scaled(torch.from_numpy(part).to(device))).double().softmax(dim=1).cpu()
            for part in np.array_split(photos, max(1, -(-len(photos) // at_once)))
        ]
    return np.concatenate([part.numpy() for part in parts])
