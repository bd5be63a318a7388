"""One short, explicit training loop for every chapter, on Lightning Fabric.

The data set lives on the device as tensors, so there is no data loader; every random number comes
from one seed, so the same seed on the same machine gives the same parameters bit for bit.
"""

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import pandas as pd
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision, Precision
from torch import Tensor, nn
from tqdm.auto import tqdm

Batch = dict[str, Tensor]
Losses = dict[str, Tensor]


class Balance(Protocol):
    """What combines the losses of several tasks into the one that is minimised."""

    def start_epoch(self) -> None:
        """Take note that an epoch begins."""

    def __call__(self, losses: Losses, shared: Sequence[Tensor]) -> Tensor:
        """Return the scalar to minimise; ``shared`` are the parameters that all tasks share."""

    def report(self) -> Mapping[str, float]:
        """Return what the history should keep of an epoch (task weights, for instance)."""


@dataclass(frozen=True)
class Fitted:
    """A trained network and how it came about.

    Attributes:
        model: the network after the last epoch, in evaluation mode.
        history: one row per epoch and metric, columns ``epoch`` (from 1), ``metric``, ``value``.
        snapshots: parameters and buffers by epoch, for the epochs that were asked for.
    """

    model: nn.Module
    history: pd.DataFrame
    snapshots: dict[int, dict[str, Tensor]]


class Bfloat16(MixedPrecision):
    """Mixed precision in bfloat16 whose outputs may be differentiated with :mod:`torch.autograd`.

    Fabric forbids every backward pass but its own in mixed precision, since float16 has to scale
    its losses. bfloat16 has the range of float32 and scales nothing, so the balance of several
    tasks may look at the gradient of each.

    Args:
        device: ``cpu`` or ``cuda``.
    """

    backward = Precision.backward

    def __init__(self, device: Literal["cpu", "cuda"]) -> None:
        super().__init__("bf16-mixed", device)


def runtime(*, device: str = "auto", precision: str = "auto") -> Fabric:
    """Choose the device and the precision.

    Args:
        device: ``auto`` (a CUDA device if there is one, else the CPU), ``cpu`` or ``cuda``.
        precision: ``auto`` (``bf16-mixed`` on CUDA, ``32-true`` on the CPU) or a Fabric precision.

    Returns:
        A Fabric for one device.

    Raises:
        ValueError: ``device`` is none of the three names.

    Example:
        >>> runtime(device="cpu").device.type
        'cpu'
    """
    if device not in ("auto", "cpu", "cuda"):
        raise ValueError(f"`device` must be auto, cpu or cuda, got {device!r}. Choose one of them.")
    use_cuda = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    kind: Literal["cpu", "cuda"] = "cuda" if use_cuda else "cpu"
    chosen: Any = ("bf16-mixed" if use_cuda else "32-true") if precision == "auto" else precision
    if chosen == "bf16-mixed":
        return Fabric(accelerator=kind, devices=1, plugins=[Bfloat16(kind)])
    return Fabric(accelerator=kind, devices=1, precision=chosen)


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Run a block from its own seed and leave the global random state as it was.

    On CUDA the block also uses deterministic kernels; the CPU's are deterministic anyway, and the
    flag would only slow them down.

    Args:
        seed: seed of every random number that torch draws inside the block.
        device: the device whose state is saved and restored, besides the CPU's.
    """
    cuda = device.type == "cuda"
    before = torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng(devices=[device] if cuda else []):
        torch.manual_seed(seed)
        if cuda:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
            torch.use_deterministic_algorithms(True, warn_only=True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before)


def train(
    build: Callable[[], nn.Module],
    step: Callable[[nn.Module, Batch], Losses],
    data: Mapping[str, Tensor],
    *,
    epochs: int,
    batch_size: int,
    seed: int,
    lr: float = 1e-3,
    balance: Balance | None = None,
    shared: Callable[[nn.Module], Sequence[Tensor]] | None = None,
    keep: Collection[int] = (),
    evaluate: Callable[[nn.Module, int], Mapping[str, float]] | None = None,
    evaluate_at: Collection[int] = (),
    fabric: Fabric | None = None,
    progress: bool = False,
) -> Fitted:
    """Train a network with Adam at a constant learning rate.

    Args:
        build: makes the network; called once, from ``seed``.
        step: computes the losses of one batch, by task name.
        data: tensors that all have the cases on their first axis; moved to the device whole.
        epochs: passes over the data, at least 1.
        batch_size: cases per step; the last batch of an epoch may be smaller.
        seed: seed of initial weights, batch order and any dropout.
        lr: Adam's learning rate.
        balance: combines the losses of several tasks; their plain sum if left out.
        shared: the parameters handed to ``balance``; none if left out.
        keep: epochs after which parameters and buffers are copied into ``snapshots``.
        evaluate: called in evaluation mode, without gradients, with the network and the epoch.
        evaluate_at: the epochs after which ``evaluate`` is called.
        fabric: device and precision; :func:`runtime` chooses if left out.
        progress: show a progress bar.

    Returns:
        The network in evaluation mode, the history and the snapshots.  The history holds, for
        each epoch, the mean of each loss over the cases (``<task>_loss``), what ``balance``
        reports and what ``evaluate`` returns.

    Raises:
        ValueError: the tensors differ in length or hold no case, or ``epochs`` or ``batch_size``
            is below 1.
    """
    n = _check(data, epochs=epochs, batch_size=batch_size)
    fabric = runtime() if fabric is None else fabric
    rows: list[tuple[int, str, float]] = []
    snapshots: dict[int, dict[str, Tensor]] = {}
    with seeded(seed, fabric.device):
        module = build()
        model, optimiser = fabric.setup(module, torch.optim.Adam(module.parameters(), lr=lr))
        on_device = {name: tensor.to(fabric.device) for name, tensor in data.items()}
        order = torch.Generator().manual_seed(seed)
        weights = list(shared(module)) if shared is not None else []
        for epoch in tqdm(range(1, epochs + 1), disable=not progress, unit="epoch", leave=False):
            model.train()
            if balance is not None:
                balance.start_epoch()
            sums: dict[str, Tensor] = {}
            for index in torch.randperm(n, generator=order).to(fabric.device).split(batch_size):
                losses = step(model, {name: tensor[index] for name, tensor in on_device.items()})
                total = _total(losses) if balance is None else balance(losses, weights)
                optimiser.zero_grad(set_to_none=True)
                fabric.backward(total)
                optimiser.step()
                for task, loss in losses.items():
                    sums[task] = sums.get(task, 0.0) + loss.detach() * len(index)
            rows += [(epoch, f"{task}_loss", float(value) / n) for task, value in sums.items()]
            if balance is not None:
                rows += [(epoch, name, value) for name, value in balance.report().items()]
            if epoch in keep:
                snapshots[epoch] = {k: v.detach().clone() for k, v in module.state_dict().items()}
            if evaluate is not None and epoch in evaluate_at:
                model.eval()
                with torch.no_grad():
                    rows += [(epoch, k, float(v)) for k, v in evaluate(model, epoch).items()]
    history = pd.DataFrame(rows, columns=["epoch", "metric", "value"])
    return Fitted(model=model.eval(), history=history, snapshots=snapshots)


def _total(losses: Losses) -> Tensor:
    return torch.stack(list(losses.values())).sum()


def _check(data: Mapping[str, Tensor], *, epochs: int, batch_size: int) -> int:
    """Return the number of cases, or say what is wrong with the request."""
    for name, value in (("epochs", epochs), ("batch_size", batch_size)):
        if value < 1:
            raise ValueError(f"`{name}` must be at least 1, got {value!r}. Raise it.")
    lengths = {name: len(tensor) for name, tensor in data.items()}
    if len(set(lengths.values())) != 1 or 0 in lengths.values():
        raise ValueError(
            f"`data` must be tensors of one common length above 0, got {lengths!r}. "
            "Select the same cases from each."
        )
    return next(iter(lengths.values()))
