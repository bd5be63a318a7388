"""How the multi-task U-Net is trained: task balancing (GradNorm), arms, training, prediction.

Source: gradient balancing after Chen et al., "GradNorm", ICML 2018 (arXiv 1711.02257); arms after
Ceglia, Passarelli and Tobia, student report, University of Salerno, 2023.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn

from common.models.hep2 import (
    TASKS,
    EfficientNetB4Encoder,
    MultiTaskUNet,
    NarrowEncoder,
    task_losses,
)
from common.training import Batch, Fitted, Losses, runtime, train

# Adam's steps can carry a small weight below 0, and the task's loss would then be maximised.
_LEAST_WEIGHT = 0.01


class _Followed:
    """Keeps the weight and the gradient length of every task at every step."""

    def __init__(self) -> None:
        self._tasks: list[str] = []
        self._log: list[tuple[Tensor, Tensor]] = []

    def _follow(self, weights: Tensor, norms: Tensor) -> None:
        self._log.append((weights, weights * norms))

    @property
    def trajectory(self) -> pd.DataFrame:
        """The weight and the norm G of each task before each step, one row per step and task."""
        weights = [w for weights, _ in self._log for w in weights.tolist()]
        norms = [g for _, norms in self._log for g in norms.tolist()]
        steps = np.repeat(np.arange(len(self._log)), len(self._tasks))
        tasks = self._tasks * len(self._log)
        return pd.DataFrame({"step": steps, "task": tasks, "weight": weights, "norm": norms})


class EqualWeights(_Followed):
    """Add the losses up as they are; the baseline of every balancing.

    The gradient lengths of several tasks are followed as under :class:`GradNorm`; a single task
    has nothing to be compared with, and its trajectory stays empty.
    """

    def start_epoch(self) -> None:
        """Do nothing."""

    def __call__(self, losses: Mapping[str, Tensor], shared: Sequence[Tensor]) -> Tensor:
        """Return the sum of the losses."""
        if len(losses) > 1:
            self._tasks = list(losses)
            norms = [_gradient_norm(loss, shared) for loss in losses.values()]
            self._follow(torch.ones(len(norms)), torch.stack(norms).cpu())
        return torch.stack(list(losses.values())).sum()

    def report(self) -> dict[str, float]:
        """Return nothing: the weights never change."""
        return {}


class GradNorm(_Followed):
    """Balance tasks by moving each weight until the tasks' gradients train at like rates.

    With shared parameters W, weights w and losses L:

    1. G_i = ||grad_W (w_i L_i)||, and G is their mean;
    2. r_i = (L_i / L_i(0)) / mean_j (L_j / L_j(0)): above 1 for a task that lags behind;
    3. L_grad = sum_i |G_i - G r_i^alpha|, the right side held constant; its gradient moves w only;
    4. w is kept above 0 (the paper does not say how) and scaled back to sum n after each step.

    The released code departs from the paper twice: L_i(0) is taken anew in each epoch, and W is
    only the first tensor of the last shared stage.

    Args:
        n_tasks: number of tasks n.
        alpha: strength of the pull towards a common rate; 0 makes the gradients equally long.
        variant: ``textbook``, or ``released`` with both departures.
        lr: learning rate of w (Adam).
        reset_each_epoch: overrides the variant in the first departure.
        first_tensor_only: overrides the variant in the second departure.

    Source: Chen et al. 2018, equations 1-2 and algorithm 1.
    """

    def __init__(
        self,
        n_tasks: int,
        *,
        alpha: float,
        variant: Literal["textbook", "released"] = "textbook",
        lr: float = 1e-4,
        reset_each_epoch: bool | None = None,
        first_tensor_only: bool | None = None,
    ) -> None:
        if variant not in ("textbook", "released"):
            raise ValueError(f"`variant` must be textbook or released, got {variant!r}.")
        super().__init__()
        released = variant == "released"
        self.alpha = alpha
        self.reset_each_epoch = released if reset_each_epoch is None else reset_each_epoch
        self.first_tensor_only = released if first_tensor_only is None else first_tensor_only
        self.weights = torch.ones(n_tasks, requires_grad=True)
        self._optimiser = torch.optim.Adam([self.weights], lr=lr)
        self._initial: Tensor | None = None

    def start_epoch(self) -> None:
        """Forget L(0) if it is to be taken anew in each epoch."""
        if self.reset_each_epoch:
            self._initial = None

    def __call__(self, losses: Mapping[str, Tensor], shared: Sequence[Tensor]) -> Tensor:
        """Move w by one step.

        Args:
            losses: scalars by task, with their graph.
            shared: the parameters of the last shared stage, in order of use.

        Returns:
            sum_i w_i L_i with the weights from before the step, which are constants in it.
        """
        self._tasks = list(losses)
        stacked = torch.stack([loss.float() for loss in losses.values()])
        parameters = shared[:1] if self.first_tensor_only else shared
        norms = torch.stack([_gradient_norm(loss, parameters) for loss in losses.values()]).cpu()
        values = stacked.detach().cpu()
        self._initial = values if self._initial is None else self._initial
        before = self.weights.detach().clone()
        self._follow(before, norms)
        self._optimiser.zero_grad()
        gradnorm_loss(self.weights, norms, values / self._initial, alpha=self.alpha).backward()
        self._optimiser.step()
        with torch.no_grad():
            self.weights.clamp_(min=_LEAST_WEIGHT)
            self.weights *= len(self.weights) / self.weights.sum()
        return (before.to(stacked.device) * stacked).sum()

    def report(self) -> dict[str, float]:
        """Return the weights as they are now, as ``<task>_weight``."""
        values = self.weights.detach().tolist()
        return {f"{task}_weight": w for task, w in zip(self._tasks, values, strict=True)}


def _gradient_norm(loss: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    gradients = torch.autograd.grad(loss, parameters, retain_graph=True)
    return torch.stack([g.float().square().sum() for g in gradients]).sum().sqrt()


def gradnorm_loss(weights: Tensor, norms: Tensor, ratios: Tensor, *, alpha: float) -> Tensor:
    """Compute GradNorm's L_grad, the distance of the gradients' lengths from their targets.

    Args:
        weights: w (n,), the only argument that receives a gradient.
        norms: lengths of the unweighted gradients, ||grad_W L_i|| (n,).
        ratios: L_i / L_i(0) (n,).
        alpha: strength of the pull towards a common rate.

    Returns:
        sum_i |G_i - G r_i^alpha|, a scalar.

    Source: Chen et al. 2018, equation 2.

    Example:
        Lengths 1 and 3, equal rates: both targets are 2, both are missed by 1.

        >>> float(gradnorm_loss(torch.ones(2), torch.tensor([1., 3.]), torch.ones(2), alpha=1.0))
        2.0
    """
    lengths = weights * norms
    rates = ratios / ratios.mean()
    target = (lengths.mean() * rates**alpha).detach()
    return (lengths - target).abs().sum()


@dataclass(frozen=True)
class Arm:
    """One configuration that the chapter compares.

    Attributes:
        name: the arm's id in the records.
        mask_loss: ``dice`` or ``bce``.
        alpha: GradNorm's alpha.
        weighting: ``textbook`` or ``released`` GradNorm, or ``equal`` weights.
        tasks: what the network predicts; a single task needs no weighting.
        epochs: passes over the training data.
        checkpoints: earlier epochs at which the network can be asked for predictions, so that a
            shorter run of the same trajectory costs nothing.
    """

    name: str
    mask_loss: str = "dice"
    alpha: float = 0.06
    weighting: Literal["textbook", "released", "equal"] = "textbook"
    tasks: tuple[str, ...] = TASKS
    epochs: int = 30
    checkpoints: tuple[int, ...] = ()

    def balance(self, *, weight_lr: float) -> "EqualWeights | GradNorm":
        """Make the balancing of this arm; its weights move at ``weight_lr``."""
        if self.weighting == "equal" or len(self.tasks) == 1:
            return EqualWeights()
        return GradNorm(len(self.tasks), alpha=self.alpha, variant=self.weighting, lr=weight_lr)


def build_network(*, size: int, tasks: Sequence[str] = TASKS, width: int = 8) -> MultiTaskUNet:
    """Make the narrow network with pooled heads, or the report's network.

    Args:
        size: side of the images (pixels).
        tasks: outputs of the network.
        width: channels of the first of three stages; 0 for EfficientNet-B4 with flattening heads.
    """
    if width == 0:
        return MultiTaskUNet(EfficientNetB4Encoder(), image_size=size, tasks=tasks)
    encoder = NarrowEncoder(width=width)
    return MultiTaskUNet(encoder, image_size=size, heads="pooled", hidden=8 * width, tasks=tasks)


def shared_stage(model: nn.Module) -> list[nn.Parameter]:
    """Return the parameters of the last stage that all tasks share, whose gradients are balanced.

    Raises:
        TypeError: the network is not a :class:`~common.models.hep2.MultiTaskUNet`.
    """
    if not isinstance(model, MultiTaskUNet):
        raise TypeError(f"`model` must be a MultiTaskUNet, got {type(model).__name__}.")
    return model.encoder.last_stage()


def train_arm(
    arm: Arm,
    data: Mapping[str, NDArray[Any]],
    train_index: NDArray[np.integer],
    *,
    seed: int,
    width: int = 8,
    batch_size: int = 16,
    lr: float = 2e-3,
    weight_lr: float | None = None,
    augment: bool = True,
    fabric: Fabric | None = None,
    progress: bool = False,
) -> "tuple[Fitted, EqualWeights | GradNorm]":
    """Train one arm on one fold.

    Args:
        arm: the configuration.
        data: ``image`` (N, 1, S, S) float in [0, 1], ``mask`` (N, S, S) bool, ``label`` (N,)
            and ``intensity`` (N,) integer.
        train_index: the cases to train on.
        seed: seed of weights and batch order.
        width: see :func:`build_network`.
        batch_size: patches per step (the report: 8).
        lr: learning rate of the network (the report: 1e-4 at full size).
        weight_lr: learning rate of the task weights; that of the network if left out, as in the
            released code, where one Adam moves both (GradNorm paper: 2.5e-2).
        augment: turn and mirror each batch at random (the report: no augmentation; its 12,000
            training patches need it less than a few hundred do).
        fabric: device and precision; chosen automatically if left out.
        progress: show a progress bar.

    Returns:
        The fitted network, with a snapshot at each checkpoint and at the last epoch, and the
        balancing with its trajectory.
    """
    balance = arm.balance(weight_lr=lr if weight_lr is None else weight_lr)

    def step(model: nn.Module, batch: Batch) -> Losses:
        batch = turn(batch, int(torch.randint(8, ()))) if augment else batch
        return task_losses(model(batch["image"]), batch, mask_loss=arm.mask_loss)

    fitted = train(
        lambda: build_network(size=data["image"].shape[-1], tasks=arm.tasks, width=width),
        step,
        _tensors(data, train_index),
        epochs=arm.epochs,
        batch_size=batch_size,
        seed=seed,
        lr=lr,
        balance=balance,
        shared=shared_stage,
        keep=(*arm.checkpoints, arm.epochs),
        fabric=fabric,
        progress=progress,
    )
    return fitted, balance


def turn(batch: Batch, quarter: int) -> Batch:
    """Turn image and mask by quarters of a circle; no pattern has an orientation.

    Args:
        batch: has ``image`` (N, 1, S, S) and ``mask`` (N, 1, S, S); all else is passed through.
        quarter: number of quarter turns, 0 to 3; from 4 on mirrored first.

    Returns:
        The batch in its new position.

    Example:
        >>> turn({"image": torch.arange(4.0).view(1, 1, 2, 2)}, 4)["image"].flatten().tolist()
        [1.0, 0.0, 3.0, 2.0]
    """
    moved = dict(batch)
    for name in ("image", "mask"):
        if name in batch:
            mirrored = batch[name].flip(3) if quarter >= 4 else batch[name]
            moved[name] = mirrored.rot90(quarter % 4, (2, 3)).contiguous()
    return moved


def _tensors(data: Mapping[str, NDArray[Any]], index: NDArray[np.integer]) -> Batch:
    return {
        "image": _plain(data["image"][index]),
        "mask": _plain(data["mask"][index, None]),
        "label": torch.from_numpy(data["label"][index].astype(np.int64)),
        "intensity": torch.from_numpy(data["intensity"][index].astype(np.float32)),
    }


def _plain(array: NDArray[Any]) -> Tensor:
    """Copy an array into a float tensor whose strides are those of its shape.

    An axis of length 1 may have any stride, and torch reads some of them as channels-last memory;
    other kernels then sum in another order, and the last bits of a training would depend on how
    the array was made.
    """
    tensor = torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
    return torch.empty(tensor.shape).copy_(tensor)


def predict(
    fitted: Fitted,
    image: NDArray[np.floating],
    *,
    epoch: int | None = None,
    batch_size: int = 256,
    fabric: Fabric | None = None,
) -> dict[str, NDArray[Any]]:
    """Predict patches with a trained network.

    Args:
        fitted: from :func:`train_arm`.
        image: images (N, 1, S, S), float in [0, 1].
        epoch: use the snapshot of this epoch; the last one if left out.
        batch_size: images at a time; does not change the result.
        fabric: device and precision; chosen automatically if left out.

    Returns:
        For the tasks that the network has: ``label_prob`` (N, 7) float, ``intensity_logit`` (N,)
        float, ``mask`` (N, S, S) bool (probability above 1/2).

    Raises:
        ValueError: there is no snapshot of this epoch.
    """
    last = max(fitted.snapshots)
    epoch = last if epoch is None else epoch
    if epoch not in fitted.snapshots:
        rule = f"`epoch` must be one of {sorted(fitted.snapshots)}"
        raise ValueError(f"{rule}, got {epoch!r}. Add it to the arm's checkpoints.")
    fabric = runtime() if fabric is None else fabric
    model = fitted.model
    parts: dict[str, list[Tensor]] = {}
    model.load_state_dict(fitted.snapshots[epoch])
    with torch.inference_mode():
        for chunk in _plain(image).split(batch_size):
            for task, logits in model(chunk.to(fabric.device)).items():
                parts.setdefault(task, []).append(logits.float().cpu())
    model.load_state_dict(fitted.snapshots[last])
    return _outputs({task: torch.cat(chunks) for task, chunks in parts.items()})


def _outputs(logits: Mapping[str, Tensor]) -> dict[str, NDArray[Any]]:
    result: dict[str, NDArray[Any]] = {}
    if "label" in logits:
        result["label_prob"] = logits["label"].softmax(dim=1).numpy()
    if "intensity" in logits:
        result["intensity_logit"] = logits["intensity"].numpy()
    if "mask" in logits:
        result["mask"] = (logits["mask"][:, 0] > 0).numpy()
    return result
