"""How the networks of the selective objective switch are trained, chosen and asked.

Source: Maksoud et al., CVPR 2020; optimiser, epochs, batch and validation are not described.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn

from common.models.sos import Design, Encoder, SOSNetwork, executive_unit
from common.models.sos_losses import losses, policy_loss
from common.training import Batch, Fitted, Losses, runtime, train

_TILES_AT_ONCE = 1024
JOINT = ("ce1", "ce2")
EXECUTIVE = ("hesitation", "hubris")


@dataclass(frozen=True)
class Arm:
    """One training.

    Args:
        name: of the training.
        design: parts of the network.
        losses: names from :data:`common.models.sos_losses.LOSSES`.
        always_zoom: whether it is used with both streams on every slide.
    """

    name: str
    design: Design = field(default_factory=Design)
    losses: tuple[str, ...] = (*JOINT, "paradoxical", *EXECUTIVE)
    always_zoom: bool = False


ARMS = (
    Arm("image", Design(high=False), ("ce1",)),
    Arm("patch", Design(low=False), ("ce2",), always_zoom=True),
    Arm("multi", Design(), ("ce2",), always_zoom=True),
    Arm("rdms", Design(policy=True), JOINT),
    Arm("sos"),
    Arm("no-paradox", losses=(*JOINT, *EXECUTIVE)),
    Arm("no-executive", losses=(*JOINT, "paradoxical")),
    Arm("no-hesitation", losses=(*JOINT, "paradoxical", "hubris")),
    Arm("no-hubris", losses=(*JOINT, "paradoxical", "hesitation")),
    Arm("detached", Design(detach=True)),
    Arm("repeat", Design(high=False), ("ce1",)),
)


@dataclass(frozen=True)
class Settings:
    """What all arms share.

    Args:
        epochs: passes over the training slides.
        batch_size: slides per step.
        lr: learning rate of Adam.
        c: threshold of the switch, in the executive loss and at use.
        epsilon: margin of the hesitation.
        lambda_1: weight of the hesitation.
        lambda_2: weight of the hubris.
        zoom_cost: price of a zoom in the reinforced comparator, in right answers.
        zoom_entropy: weight of the policy's entropy there.
        encoder: kind of both encoders.
        width: of the low-resolution encoder.
        tile_width: of the tile encoder.
        n_tiles: tiles of a slide per training step, drawn at random; 0 for all.
        class_weights: whether cross-entropies weigh classes by their inverse frequency.
        turn: whether slides are turned and mirrored at random.
    """

    epochs: int
    batch_size: int = 16
    lr: float = 2e-3
    c: float = 0.8
    epsilon: float = 0.05
    lambda_1: float = 1.0
    lambda_2: float = 1.0
    zoom_cost: float = 0.1
    zoom_entropy: float = 0.05
    encoder: Encoder = "narrow"
    width: int = 8
    tile_width: int = 8
    n_tiles: int = 0
    class_weights: bool = False
    turn: bool = True


def fastest(*, device: str = "auto") -> Fabric:
    """Choose bfloat16 where the processor multiplies in it, single precision elsewhere.

    A CPU without such instructions would only imitate them, slower than single precision.

    Args:
        device: see :func:`common.training.runtime`.
    """
    native = torch.cpu.get_capabilities().get("avx512_bf16", False)
    use_cuda = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    return runtime(device=device, precision="bf16-mixed" if native or use_cuda else "32-true")


def build(arm: Arm, settings: Settings) -> SOSNetwork:
    """Make the network of an arm, in the memory layout that convolutions are fastest in."""
    network = SOSNetwork(
        arm.design,
        encoder=settings.encoder,
        width=settings.width,
        tile_width=settings.tile_width,
    )
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def turned(image: Tensor, quarter: int) -> Tensor:
    """Turn images by quarters of a circle; from 4 on mirrored first.

    Args:
        image (..., S, S): images; all are turned alike.
        quarter: 0 to 7.

    Example:
        >>> turned(torch.arange(4.0).view(2, 2), 4).flatten().tolist()
        [1.0, 0.0, 3.0, 2.0]
    """
    return (image.flip(-1) if quarter >= 4 else image).rot90(quarter % 4, (-2, -1))


def _inputs(batch: Batch, quarter: int = 0) -> tuple[Tensor, Tensor | None]:
    """Return overviews (N, 1, h, w) and, if there are any, tiles (N, T, 1, H, W) as fractions."""
    low = turned(batch["low"], quarter)
    if "tiles" not in batch:
        return low, None
    # bytes are turned, which are a quarter of what floats are
    return low, turned(batch["tiles"], quarter).float() / 255


def training_step(arm: Arm, settings: Settings, weight: Tensor | None = None) -> Any:
    """Make the function that computes the losses of a batch; see :func:`common.training.train`.

    Args:
        arm: what is trained.
        settings: sizes and weights.
        weight (classes,): of the classes; equal if left out.
    """

    def step(model: nn.Module, batch: Batch) -> Losses:
        batch = _some_tiles(batch, settings.n_tiles)
        quarter = int(torch.randint(8, ())) if settings.turn else 0
        found = model(*_inputs(batch, quarter))
        label = batch["label"]
        parts = losses(
            found,
            label,
            which=arm.losses,
            c=settings.c,
            epsilon=settings.epsilon,
            lambda_1=settings.lambda_1,
            lambda_2=settings.lambda_2,
            weight=weight,
        )
        if arm.design.policy:
            action = torch.bernoulli(found["zoom"].sigmoid().detach())
            parts["policy"] = policy_loss(
                found["zoom"],
                found["low"],
                found["high"],
                label,
                cost=settings.zoom_cost,
                action=action,
                entropy=settings.zoom_entropy,
            )
        return parts

    return step


def _some_tiles(batch: Batch, n_tiles: int) -> Batch:
    """Draw ``n_tiles`` of the places of tiles, the same for all slides; 0 keeps all."""
    if "tiles" not in batch or not 0 < n_tiles < batch["tiles"].shape[1]:
        return batch
    chosen = torch.randperm(batch["tiles"].shape[1])[:n_tiles]
    return {**batch, "tiles": batch["tiles"][:, chosen.to(batch["tiles"].device)]}


def train_arm(
    arm: Arm,
    data: Mapping[str, NDArray[Any]],
    *,
    train_index: NDArray[np.integer],
    valid_index: NDArray[np.integer],
    settings: Settings,
    seed: int,
    fabric: Fabric | None = None,
    progress: bool = False,
) -> Fitted:
    """Train one arm and keep the epoch that does best on validation slides.

    Every epoch of the second half is a candidate; among equals the latest counts.

    Args:
        arm: what to train.
        data: ``low`` (n, 1, h, w) float in [0, 1], ``tiles`` (n, T, 1, H, W) uint8, ``label``
            (n,) integer.
        train_index: slides to train on.
        valid_index: slides to choose the epoch on.
        settings: sizes and weights.
        seed: of initial weights, order, turns and the policy's samples.
        fabric: device and precision; :func:`fastest` chooses if left out.
        progress: show a bar.

    Returns:
        The network of the chosen epoch; the history has ``valid_accuracy`` of each candidate.
    """
    fabric = fastest() if fabric is None else fabric
    tensors = _tensors(data, train_index, arm.design)
    held_out = {
        name: tensor.to(fabric.device)
        for name, tensor in _tensors(data, valid_index, arm.design).items()
    }
    weight = None
    if settings.class_weights:
        count = torch.bincount(tensors["label"], minlength=4).clamp(min=1)
        weight = (count.sum() / (4 * count)).to(fabric.device)
    candidates = range(settings.epochs // 2 + 1, settings.epochs + 1)

    def accuracy(model: nn.Module, epoch: int) -> dict[str, float]:
        answer = decided(_forward(model, held_out), arm, c=settings.c)
        return {"valid_accuracy": float((answer == held_out["label"]).float().mean())}

    fitted = train(
        lambda: build(arm, settings),
        training_step(arm, settings, weight),
        tensors,
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        seed=seed,
        lr=settings.lr,
        keep=candidates,
        evaluate=accuracy,
        evaluate_at=candidates,
        fabric=fabric,
        progress=progress,
    )
    scores = fitted.history[fitted.history["metric"] == "valid_accuracy"]
    best = int(scores["epoch"][scores["value"] == scores["value"].max()].max())
    fitted.model.load_state_dict(fitted.snapshots[best])
    return fitted


def decided(logits: Mapping[str, Tensor], arm: Arm, *, c: float) -> Tensor:
    """Return the class that an arm answers (N,), zooming in where it decides to."""
    if "high" not in logits:
        return logits["low"].argmax(dim=1)
    high = logits["high"].argmax(dim=1)
    if arm.always_zoom:
        return high
    low = logits["low"]
    zoom = logits["zoom"] > 0 if arm.design.policy else executive_unit(low.softmax(dim=1), c)
    return torch.where(zoom, high, low.argmax(dim=1))


def _forward(model: nn.Module, batch: Batch) -> dict[str, Tensor]:
    """Run all slides, so many at a time that some thousand tiles are held as floats."""
    parts: dict[str, list[Tensor]] = {}
    at_once = max(1, _TILES_AT_ONCE // batch["tiles"].shape[1]) if "tiles" in batch else 256
    for first in range(0, len(batch["label"]), at_once):
        chunk = {name: tensor[first : first + at_once] for name, tensor in batch.items()}
        for name, logits in model(*_inputs(chunk)).items():
            parts.setdefault(name, []).append(logits.float())
    return {name: torch.cat(chunks) for name, chunks in parts.items()}


def predict(
    fitted: Fitted, arm: Arm, data: Mapping[str, NDArray[Any]], *, fabric: Fabric | None = None
) -> dict[str, NDArray[np.float32]]:
    """Ask every stream of a network about every slide.

    Args:
        fitted: from :func:`train_arm`.
        arm: what was trained.
        data: as for :func:`train_arm`.
        fabric: device and precision; :func:`fastest` chooses if left out.

    Returns:
        Where the streams exist ``low`` and ``high`` probabilities (n, classes), and ``zoom``, a
        policy's probability of zooming in (n,).
    """
    fabric = fastest() if fabric is None else fabric
    batch = _tensors(data, np.arange(len(data["label"])), arm.design)
    with torch.inference_mode():
        on_device = {name: tensor.to(fabric.device) for name, tensor in batch.items()}
        logits = _forward(fitted.model, on_device)
    found = {
        name: values.sigmoid() if name == "zoom" else values.softmax(dim=1)
        for name, values in logits.items()
    }
    return {name: values.cpu().numpy() for name, values in found.items()}


def _tensors(data: Mapping[str, NDArray[Any]], index: NDArray[np.integer], design: Design) -> Batch:
    """Copy the slides of ``index`` into tensors; only the tiles that the design looks at."""
    batch = {
        "low": torch.from_numpy(np.ascontiguousarray(data["low"][index], dtype=np.float32)),
        "label": torch.from_numpy(data["label"][index].astype(np.int64)),
    }
    if design.high:
        batch["tiles"] = torch.from_numpy(np.ascontiguousarray(data["tiles"][index]))
    return batch
