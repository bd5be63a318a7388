"""How the U-Nets of the pruning chapter are trained and asked, and how long an answer takes.

Source: Sapkota et al., 2023, name no optimiser, loss, augmentation or image size; those here are
the chapter's.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn

from common.models.polyp_pruning import Layout, UNet, count, layout
from common.models.polyp_pruning_scores import segmentation_error
from common.training import Batch, Fitted, Losses, runtime, train

_AT_ONCE = 64  # images per prediction step


@dataclass(frozen=True)
class Settings:
    """What all trainings share.

    Args:
        epochs: passes over the training images.
        batch_size: images per step.
        lr: learning rate of Adam.
        augment: turn, mirror and recolour each batch at random.
    """

    epochs: int
    batch_size: int = 16
    lr: float = 1e-3
    augment: bool = True


def fastest(*, device: str = "auto") -> Fabric:
    """Choose bfloat16 where the processor multiplies in it, single precision elsewhere.

    Args:
        device: see :func:`common.training.runtime`.
    """
    native = bool(torch.cpu.get_capabilities().get("avx512_bf16", False))
    use_cuda = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    return runtime(device=device, precision="bf16-mixed" if native or use_cuda else "32-true")


@cache
def _asking() -> Fabric:
    """Return what networks are asked with; it takes longer to make than a small network to ask."""
    return fastest()


def to_input(image: Tensor) -> Tensor:
    """Scale bytes (N, 3, S, S) to about -1 to 1, channels last in memory."""
    return (image.float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)


def augmented(image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Turn and mirror a batch, and shift the light and the colours of each image a little.

    Args:
        image (N, 3, S, S): scaled to -1 to 1.
        mask (N, 1, S, S): turned alike.
    """
    quarter = int(torch.randint(8, ()))
    if quarter >= 4:
        image, mask = image.flip(-1), mask.flip(-1)
    image, mask = (each.rot90(quarter % 4, (-2, -1)) for each in (image, mask))
    shape = (len(image), 3, 1, 1)
    gain = 1 + 0.1 * torch.randn(shape, device=image.device)
    shift = 0.1 * torch.randn(shape, device=image.device)
    return (image * gain + shift).contiguous(memory_format=torch.channels_last), mask


def training_step(settings: Settings) -> Callable[[nn.Module, Batch], Losses]:
    """Make the function that computes the loss of a batch; see :func:`common.training.train`."""

    def step(model: nn.Module, batch: Batch) -> Losses:
        image, mask = to_input(batch["image"]), batch["mask"].float()
        if settings.augment:
            image, mask = augmented(image, mask)
        return {"error": segmentation_error(model(image).float(), mask).mean()}

    return step


def fit(
    plan: Layout,
    image: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    *,
    settings: Settings,
    seed: int,
    fabric: Fabric | None = None,
    progress: bool = False,
) -> tuple[UNet, Fitted]:
    """Train a network from scratch.

    Args:
        plan: its layout.
        image (n, 3, S, S): training images, bytes.
        mask (n, S, S): their masks.
        settings: epochs, batch and learning rate.
        seed: of weights, order and augmentation.
        fabric: device and precision; :func:`fastest` chooses if left out.
        progress: show a bar.

    Returns:
        The network in evaluation mode, and what :func:`common.training.train` returns.
    """
    built: list[UNet] = []

    def build() -> UNet:
        built.append(UNet(plan).to(memory_format=torch.channels_last))  # type: ignore[call-overload]
        return built[0]

    fitted = train(
        build,
        training_step(settings),
        {"image": torch.from_numpy(image), "mask": torch.from_numpy(mask)[:, None]},
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        seed=seed,
        lr=settings.lr,
        fabric=fastest() if fabric is None else fabric,
        progress=progress,
    )
    return built[0].eval(), fitted


def probabilities(
    model: UNet, image: NDArray[np.uint8], *, fabric: Fabric | None = None
) -> NDArray[np.float32]:
    """Ask a network for the probability of polyp at every pixel.

    Args:
        model: a network in evaluation mode.
        image (n, 3, S, S): bytes.
        fabric: device and precision; :func:`fastest` chooses if left out.

    Returns:
        (n, S, S).
    """
    fabric = _asking() if fabric is None else fabric
    model = model.to(fabric.device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    parts = []
    with torch.inference_mode(), fabric.autocast():
        for chunk in torch.from_numpy(image).split(_AT_ONCE):
            logits = model(to_input(chunk.to(fabric.device)))
            parts.append(logits.float().sigmoid()[:, 0].cpu().numpy())
    return np.concatenate(parts)


def recalibrate(model: UNet, image: NDArray[np.uint8], *, fabric: Fabric | None = None) -> None:
    """Estimate the means and variances of the batch normalisations anew, on some images.

    No weight changes; the paper does not do it.

    Args:
        model: a pruned network; changed in place.
        image (n, 3, S, S): training images, bytes.
        fabric: device and precision; :func:`fastest` chooses if left out.
    """
    for norm in model.norms:
        assert isinstance(norm, nn.BatchNorm2d)
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over the batches
    fabric = _asking() if fabric is None else fabric
    model.to(fabric.device).train()
    with torch.no_grad(), fabric.autocast():
        for chunk in torch.from_numpy(image).split(_AT_ONCE):
            model(to_input(chunk.to(fabric.device)))
    model.eval()


def matched_layout(macs: float, size: int) -> Layout:
    """Find the plain layout, the same shape at every level, whose cost is nearest to a given one.

    Args:
        macs: multiplications of one forward pass.
        size: side of the image (px).

    Example:
        >>> matched_layout(count(layout(6), 64).macs, 64) == layout(6)
        True
    """
    low, high = 0.5, 1.0
    while count(layout(high), size).macs < macs:
        high *= 2
    candidates = {layout(width) for width in np.linspace(low, high, 400)} | {layout(high)}
    return min(candidates, key=lambda plan: (abs(count(plan, size).macs - macs), plan.filters))


def interleaved_seconds(
    models: Mapping[str, UNet],
    image: Tensor,
    *,
    repeats: int,
    batch_size: int = 10,
    fabric: Fabric | None = None,
) -> dict[str, NDArray[np.float64]]:
    """Time networks in turn, so that a slow moment of the machine hits them all alike.

    Args:
        models: by name.
        image (n, 3, S, S): as :func:`to_input` returns; the paper times 100 in batches of 10.
        repeats: rounds that count; one more goes before them.
        batch_size: images per forward pass.
        fabric: device and precision; single precision if left out.

    Returns:
        Seconds for all images (repeats,), by name.
    """
    fabric = runtime(precision="32-true") if fabric is None else fabric
    batches = [chunk.to(fabric.device) for chunk in image.split(batch_size)]
    placed = {
        name: model.to(fabric.device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        for name, model in models.items()
    }
    seconds: dict[str, list[float]] = {name: [] for name in placed}
    with torch.inference_mode(), fabric.autocast():
        for _ in range(repeats + 1):
            for name, model in placed.items():
                _wait(fabric)
                start = time.perf_counter()
                for batch in batches:
                    model(batch)
                _wait(fabric)
                seconds[name].append(time.perf_counter() - start)
    return {name: np.array(each[1:]) for name, each in seconds.items()}


def _wait(fabric: Fabric) -> None:
    if fabric.device.type == "cuda":
        torch.cuda.synchronize(fabric.device)


def time_ratio(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    *,
    rng: np.random.Generator,
    n_resamples: int = 2000,
) -> tuple[float, float, float]:
    """Compare two networks that were timed in turn.

    Args:
        first (repeats,): seconds.
        second (repeats,): seconds of the other in the same rounds.
        rng: resamples rounds.
        n_resamples: bootstrap replicates.

    Returns:
        Median over rounds of first / second, and its 95 % percentile interval.
    """
    ratio = first / second
    drawn = rng.integers(0, len(ratio), (n_resamples, len(ratio)))
    low, high = np.quantile(np.median(ratio[drawn], axis=1), [0.025, 0.975])
    return statistics.median(ratio.tolist()), float(low), float(high)
