"""How the gel networks are trained: arms, learning rate, the loop, prediction.

Source: Shi et al., MICCAI 2023, section 3 (implementation details), and the released code.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn

from common.models.ife import SINGLE, TASKS, Answer, GelNet, Ownership, layout
from common.models.ife_losses import Pull, balanced_weights, log_prior, losses
from common.training import runtime, seeded

Codes = Mapping[str, NDArray[np.int64]]

MOMENTUM, WEIGHT_DECAY, CLIP_NORM = 0.9, 5e-4, 3.0
WARM_UP = 0.05  # share of the steps: 5 of 100 epochs
_AT_ONCE = 256  # images per prediction step


@dataclass(frozen=True)
class Arm:
    """One configuration that the chapter compares.

    Attributes:
        tasks: classes by task; two tasks make the decompose-and-fuse network.
        lr: highest learning rate (the paper: 0.03, and 0.1 for the nine-way network).
        attention: whether blocks weigh their rows.
        shared: stages that serve both tasks.
        ownership: see :class:`common.models.ife.GelNet`.
        pull: the regularisers.
        correction: of the class imbalance of a single task: ``weights`` (inverse class size) or
            ``logits`` (logit adjustment).
        augment: shift and dim each batch a little (the released code does not).
    """

    tasks: Mapping[str, int] = field(default_factory=lambda: dict(TASKS))
    lr: float = 0.03
    attention: bool = True
    shared: int = 3
    ownership: Ownership = "released"
    pull: Pull = field(default_factory=Pull)
    correction: Literal["none", "weights", "logits"] = "none"
    augment: bool = False

    def build(self, width: int) -> GelNet:
        """Make the network; see :func:`common.models.ife.layout` for ``width``."""
        return GelNet(
            layout(width),
            tasks=self.tasks,
            shared=self.shared,
            attention=self.attention,
            ownership=self.ownership,
        )


def nine_way(**changes: Any) -> Arm:
    """Make a nine-way arm: one task, no attention, learning rate 0.1, as the paper's baseline."""
    return replace(Arm(tasks=dict(SINGLE), lr=0.1, attention=False), **changes)


@dataclass(frozen=True)
class Fit:
    """A trained network and what it said on the way.

    Attributes:
        model: the network after the last epoch, in evaluation mode.
        history: one row per epoch and term of the loss: ``epoch`` (from 1), ``metric``, ``value``.
        watched: predicted codes (epochs, n) by set and task.
    """

    model: nn.Module
    history: pd.DataFrame
    watched: dict[str, dict[str, NDArray[np.int64]]]


def learning_rate(step: int, *, n_steps: int, peak: float) -> float:
    """Return the learning rate of a step: a straight climb from 0, then half a cosine to 0.

    Args:
        step: from 0 to ``n_steps`` - 1.
        n_steps: steps of the whole training.
        peak: highest rate, reached after :data:`WARM_UP` of the steps.

    Source: released code; the paper says "0.03 for the first 5 epochs and then cosine-decayed".

    Example:
        >>> [round(learning_rate(s, n_steps=100, peak=1.0), 3) for s in (0, 5, 52, 99)]
        [0.0, 1.0, 0.508, 0.0]
    """
    n_warm = max(1, round(WARM_UP * n_steps))
    if step < n_warm:
        return peak * step / n_warm
    done = (step - n_warm) / max(1, n_steps - n_warm)
    return peak * (1 + math.cos(math.pi * done)) / 2


def fastest(*, device: str = "auto") -> Fabric:
    """Choose bfloat16 where the processor multiplies in it, single precision elsewhere.

    Args:
        device: see :func:`common.training.runtime`.
    """
    native = bool(torch.cpu.get_capabilities().get("avx512_bf16", False))
    use_cuda = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    return runtime(device=device, precision="bf16-mixed" if native or use_cuda else "32-true")


def to_input(image: NDArray[np.uint8], fabric: Fabric) -> Tensor:
    """Scale grey levels to [-1, 1] and put them on the device as they are computed with.

    Args:
        image (n, 3, H, W) or (n, C, H): values 0 to 255.
        fabric: device and precision; in bfloat16 the images are stored so, too.

    Returns:
        The same shape; images lie in memory channels last.

    Source: released code, (x - 0.5) / 0.5.
    """
    tensor = torch.tensor(image, device=fabric.device).float().div_(127.5).sub_(1)
    with fabric.autocast():
        dtype = torch.get_autocast_dtype(fabric.device.type)
        mixed = torch.is_autocast_enabled(fabric.device.type)
    layout = torch.channels_last if tensor.ndim == 4 else torch.contiguous_format
    return tensor.to(dtype if mixed else torch.float32).contiguous(memory_format=layout)


def fit(
    build: Callable[[], nn.Module],
    image: NDArray[np.uint8],
    codes: Codes,
    *,
    arm: Arm,
    epochs: int,
    batch_size: int,
    seed: int,
    watch: Mapping[str, NDArray[np.uint8]] | None = None,
    fabric: Fabric | None = None,
) -> Fit:
    """Train a network by stochastic gradient descent with Nesterov momentum.

    The set lies on the device as one tensor, channels last and in the precision of the
    computation, so no loader stands between it and the network.

    Args:
        build: makes the network; called once, from ``seed``.
        image (n, 3, H, W): training images, 0 to 255.
        codes: class of every task (n,).
        arm: learning rate, regularisers and correction.
        epochs: passes over the images, at least 1.
        batch_size: images per step; the released regularisers sum over the batch.
        seed: seed of weights, order and augmentation.
        watch: sets of images to predict after every epoch, by name.
        fabric: device and precision; :func:`fastest` chooses if left out.

    Returns:
        The network and its history.

    Raises:
        ValueError: no image, codes of another length, or ``epochs`` or ``batch_size`` below 1.
    """
    _check(image, codes, epochs=epochs, batch_size=batch_size)
    fabric = fastest() if fabric is None else fabric
    device = fabric.device
    history: list[tuple[int, str, float]] = []
    watched: dict[str, list[dict[str, NDArray[np.int64]]]] = {name: [] for name in watch or {}}
    with seeded(seed, device):
        model = _channels_last(build().to(device))
        optimiser = torch.optim.SGD(
            model.parameters(),
            lr=arm.lr,
            momentum=MOMENTUM,
            nesterov=True,
            weight_decay=WEIGHT_DECAY,
            fused=True,
        )
        whole = to_input(image, fabric)
        sets = {name: to_input(each, fabric) for name, each in (watch or {}).items()}
        labels = {task: torch.from_numpy(codes[task]).to(device) for task in arm.tasks}
        correction = _correction(arm, labels)
        order = torch.Generator().manual_seed(seed)
        n_steps, step = epochs * -(-len(whole) // batch_size), 0
        for epoch in range(1, epochs + 1):
            model.train()
            sums: dict[str, Tensor] = {}
            for index in torch.randperm(len(whole), generator=order).to(device).split(batch_size):
                batch = _augment(whole[index]) if arm.augment else whole[index]
                with fabric.autocast():
                    answer = model(batch)
                own = {task: each[index] for task, each in labels.items()}
                terms = losses(answer, own, arm.pull, **correction)
                for group in optimiser.param_groups:
                    group["lr"] = learning_rate(step, n_steps=n_steps, peak=arm.lr)
                _descend(model, optimiser, torch.stack(list(terms.values())).sum())
                step += 1
                for name, term in terms.items():
                    sums[name] = sums.get(name, 0.0) + term.detach() * len(index)
            history += [(epoch, name, float(each) / len(whole)) for name, each in sums.items()]
            for name, each in sets.items():
                watched[name].append(_predict(model, each, fabric).codes)
    table = pd.DataFrame(history, columns=["epoch", "metric", "value"])
    joined = {
        name: {task: np.stack([each[task] for each in epochs_]) for task in arm.tasks}
        for name, epochs_ in watched.items()
    }
    return Fit(model.eval(), table, joined)


def _channels_last(model: nn.Module) -> nn.Module:
    """Lay the weights of 2-D convolutions out as the images lie in memory."""
    for weight in model.parameters():
        if weight.ndim == 4:
            weight.data = weight.data.contiguous(memory_format=torch.channels_last)
    return model


def _descend(model: nn.Module, optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
    optimiser.step()


def _correction(arm: Arm, labels: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the class weights or the prior that corrects the imbalance of a single task."""
    if arm.correction == "none":
        return {}
    ((task, n_classes),) = arm.tasks.items()
    counts = torch.bincount(labels[task], minlength=n_classes).float()
    if arm.correction == "weights":
        return {"weights": balanced_weights(counts)}
    return {"prior": log_prior(counts)}


def _augment(batch: Tensor) -> Tensor:
    """Shift a batch by up to two pixels each way and dim or brighten each gel by up to 5 %."""
    down, across = torch.randint(-2, 3, (2,)).tolist()
    light = 1 + 0.05 * (2 * torch.rand(len(batch), 1, 1, 1, device=batch.device) - 1)
    moved = batch.roll((down, across), (2, 3))
    return (((moved + 1) * light.to(batch.dtype)) - 1).contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True)
class Prediction:
    """What a network says of a set of gels.

    Attributes:
        codes: predicted class (n,) by task.
        maps: attention of the last block of each stage, by task: a list of (n, H).
    """

    codes: dict[str, NDArray[np.int64]]
    maps: dict[str, list[NDArray[np.float32]]]


def predict(
    model: nn.Module, image: NDArray[np.uint8], *, fabric: Fabric | None = None
) -> Prediction:
    """Predict gels with a trained network.

    Args:
        model: of :class:`Fit`.
        image (n, 3, H, W): values 0 to 255.
        fabric: device and precision; :func:`fastest` chooses if left out.

    Returns:
        Codes and attention maps.
    """
    fabric = fastest() if fabric is None else fabric
    return _predict(model, to_input(image, fabric), fabric)


def _predict(model: nn.Module, image: Tensor, fabric: Fabric) -> Prediction:
    codes: dict[str, list[NDArray[np.int64]]] = {}
    maps: dict[str, list[list[NDArray[np.float32]]]] = {}
    model.eval()
    with torch.inference_mode(), fabric.autocast():
        for chunk in image.split(_AT_ONCE):
            answer: Answer = model(chunk)
            for task, logits in answer.logits.items():
                codes.setdefault(task, []).append(logits.argmax(dim=1).cpu().numpy())
            for task, own in answer.maps.items():
                maps.setdefault(task, []).append([each.float().cpu().numpy() for each in own])
    return Prediction(
        {task: np.concatenate(parts) for task, parts in codes.items()},
        {
            task: [np.concatenate(stage) for stage in zip(*parts, strict=True)]
            for task, parts in maps.items()
        },
    )


def _check(image: NDArray[np.uint8], codes: Codes, *, epochs: int, batch_size: int) -> None:
    for name, value in (("epochs", epochs), ("batch_size", batch_size)):
        if value < 1:
            raise ValueError(f"`{name}` must be at least 1, got {value!r}. Raise it.")
    lengths = {task: len(each) for task, each in codes.items()} | {"image": len(image)}
    if len(set(lengths.values())) != 1 or len(image) == 0:
        raise ValueError(
            f"`codes` must have one entry an image and there must be one image, got {lengths!r}. "
            "Select the same gels from each."
        )
