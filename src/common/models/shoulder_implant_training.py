"""How the networks are trained: copies made before training, three optimisers, every epoch watched.

Source: the paper, sections 4.4 to 4.6; ranges of the copies, batch size, momentum and dropout are
not printed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn

from common.models.shoulder_implant import build
from common.models.shoulder_implant_blocks import Classifier, Scale
from common.models.shoulder_implant_weights import State, transfer
from common.training import runtime, seeded

Images = NDArray[np.float32]
OPTIMISERS = ("sgd", "adam", "adagrad")
_AT_ONCE = 256  # images of one forward pass without gradients
_SETTLED = 64  # images of a batch, at least, whose means and variances are kept


@dataclass(frozen=True)
class Settings:
    """One way of training.

    Args:
        network: name, see :data:`common.models.shoulder_implant.NETWORKS`.
        scale: its size.
        optimiser: ``sgd``, ``adam`` or ``adagrad``.
        lr: learning rate.
        momentum: of ``sgd``.
        epochs: passes over the images and their copies.
        batch_size: images per step.
        n_copies: versions of each training image, itself among them.
        augment: whether the other versions are altered; if not they repeat the image, so that the
            number of steps stays.
        dropout: before the last layer.
    """

    network: str
    scale: Scale = field(default_factory=Scale)
    optimiser: str = "sgd"
    lr: float = 0.01
    momentum: float = 0.9
    epochs: int = 20
    batch_size: int = 16
    n_copies: int = 4
    augment: bool = True
    dropout: float = 0.2


@dataclass(frozen=True)
class Changes:
    """How copies differ from their images; the same changes give the same copies.

    Args:
        flip (n,): whether a copy is mirrored.
        angle (n,): rotation (radians, anticlockwise).
        zoom (n,): magnification; below 1 black pixels are added around.
    """

    flip: NDArray[np.bool_]
    angle: NDArray[np.float64]
    zoom: NDArray[np.float64]


def draw_changes(
    n: int,
    rng: np.random.Generator,
    *,
    degrees: float = 20.0,
    zoom: tuple[float, float] = (0.85, 1.15),
) -> Changes:
    """Draw the changes of ``n`` copies.

    Args:
        n: copies.
        rng: source of the draws.
        degrees: largest rotation to either side.
        zoom: smallest and largest magnification.
    """
    return Changes(
        rng.random(n) < 0.5,
        np.deg2rad(rng.uniform(-degrees, degrees, n)),
        rng.uniform(*zoom, n),
    )


def apply_changes(images: Tensor, changes: Changes) -> Tensor:
    """Mirror, rotate and zoom images (n, 1, S, S) in [0, 1]; what comes from outside is black.

    Example:
        A copy without any change is the image.

        >>> image = torch.rand(1, 1, 8, 8)
        >>> none = Changes(np.zeros(1, bool), np.zeros(1), np.ones(1))
        >>> bool(torch.allclose(apply_changes(image, none), image, atol=1e-5))
        True
    """
    cos, sin = np.cos(changes.angle) / changes.zoom, np.sin(changes.angle) / changes.zoom
    side = np.where(changes.flip, -1.0, 1.0)
    zero = np.zeros_like(cos)
    # the grid tells where each output pixel comes from, so the map is the inverse of the change
    theta = np.stack([np.stack([side * cos, -side * sin, zero], 1), np.stack([sin, cos, zero], 1)])
    grid = F.affine_grid(
        torch.from_numpy(theta.transpose(1, 0, 2).astype(np.float32)).to(images.device),
        list(images.shape),
        align_corners=False,
    )
    found: Tensor = F.grid_sample(images, grid, mode="bilinear", align_corners=False)
    return found


def with_copies(
    images: Images, label: NDArray[np.integer], settings: Settings, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Make the training set: every image, and its copies, before training begins.

    Args:
        images (n, 1, S, S): in [0, 1].
        label (n,): classes.
        settings: number of copies, and whether they are altered.
        rng: source of the changes.

    Returns:
        Images (n c, 1, S, S) and labels (n c,); the first n are the images themselves.
    """
    tensor = torch.from_numpy(np.ascontiguousarray(images, dtype=np.float32))
    parts = [tensor]
    for _ in range(settings.n_copies - 1):
        changes = draw_changes(len(images), rng)
        parts.append(apply_changes(tensor, changes) if settings.augment else tensor)
    labels = torch.from_numpy(np.asarray(label, dtype=np.int64)).repeat(len(parts))
    return torch.cat(parts), labels


def optimiser(model: nn.Module, settings: Settings) -> torch.optim.Optimizer:
    """Make the optimiser that the settings name.

    Raises:
        ValueError: unknown name.
    """
    if settings.optimiser == "sgd":
        return torch.optim.SGD(model.parameters(), lr=settings.lr, momentum=settings.momentum)
    if settings.optimiser == "adam":
        return torch.optim.Adam(model.parameters(), lr=settings.lr)
    if settings.optimiser == "adagrad":
        return torch.optim.Adagrad(model.parameters(), lr=settings.lr)
    raise ValueError(
        f"`optimiser` must be one of {', '.join(OPTIMISERS)}, got {settings.optimiser!r}."
    )


@dataclass(frozen=True)
class Trained:
    """A trained network and what it answered after each epoch.

    Args:
        model: after the last epoch, in evaluation mode.
        loss (E,): mean training loss of each epoch; NaN once weights are no longer finite.
        probs: probabilities (E, n, K) of each watched set.
    """

    model: Classifier
    loss: NDArray[np.float64]
    probs: dict[str, NDArray[np.float32]]


def fit(
    images: Images,
    label: NDArray[np.integer],
    settings: Settings,
    *,
    n_classes: int,
    seed: int,
    start: State | None = None,
    watch: Mapping[str, Images] | None = None,
    fabric: Fabric | None = None,
) -> Trained:
    """Train a network by softmax cross-entropy and ask it about the watched sets after each epoch.

    Args:
        images (n, 1, S, S): training images in [0, 1].
        label (n,): classes.
        settings: how.
        n_classes: classes.
        seed: of the copies, the first weights, the order and dropout.
        start: arrays of the ``state_dict`` of a network whose features are the first weights.
        watch: sets by name, of the same size; they never touch training.
        fabric: device and precision; :func:`common.training.runtime` chooses if left out.

    Raises:
        ValueError: fewer than two training images, or an unknown network or optimiser.
    """
    if len(images) < 2:
        raise ValueError(f"`images` must be at least 2, got {len(images)}. Train on more.")
    fabric = runtime() if fabric is None else fabric
    rng = np.random.default_rng([seed, 1])
    pictures, labels = with_copies(images, label, settings, rng)
    watched = {
        name: torch.from_numpy(each).to(fabric.device) for name, each in (watch or {}).items()
    }
    losses: list[float] = []
    answers: dict[str, list[NDArray[np.float32]]] = {name: [] for name in watched}
    with seeded(seed, fabric.device):
        network = build(settings.network, n_classes, settings.scale, dropout=settings.dropout)
        if start is not None:
            transfer(network, start)
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        model, steps = fabric.setup(network, optimiser(network, settings))
        pictures, labels = pictures.to(fabric.device), labels.to(fabric.device)
        for _ in range(settings.epochs):
            loss = _epoch(model, steps, pictures, labels, settings, fabric)
            losses.append(loss if _is_finite(model) else float("nan"))
            settle(model, pictures[: len(images)])
            model.eval()
            for name, each in watched.items():
                answers[name].append(_ask(model, each))
    probs = {name: np.stack(each) for name, each in answers.items()}
    return Trained(network.eval(), np.array(losses), probs)


def _epoch(
    model: nn.Module,
    steps: torch.optim.Optimizer,
    pictures: Tensor,
    labels: Tensor,
    settings: Settings,
    fabric: Fabric,
) -> float:
    model.train()
    total = torch.zeros((), device=fabric.device)
    order = torch.randperm(len(labels)).to(fabric.device)
    # a normalisation cannot be computed of one image whose map is one pixel
    batches = [each for each in order.split(settings.batch_size) if len(each) > 1]
    for index in batches:
        loss = F.cross_entropy(model(scaled(pictures[index])), labels[index])
        steps.zero_grad(set_to_none=True)
        fabric.backward(loss)
        steps.step()
        total += loss.detach() * len(index)
    return float(total) / sum(map(len, batches))


def _is_finite(model: nn.Module) -> bool:
    return all(bool(each.isfinite().all()) for each in model.parameters())


def settle(model: nn.Module, images: Tensor) -> None:
    """Recompute the running means and variances of all normalisations over some images.

    Running averages lag behind weights that change within a few dozen steps, and what a small
    network answers would depend on the last batches. The weights stay as they are.

    Args:
        model: any network.
        images (n, 1, S, S): training images in [0, 1].
    """
    norms = [each for each in model.modules() if isinstance(each, nn.BatchNorm2d)]
    kept = [each.momentum for each in norms]
    for each in norms:
        each.reset_running_stats()
        each.momentum = None  # a plain mean over all batches
    model.train()
    with torch.no_grad():
        for some in images.tensor_split(max(1, len(images) // _SETTLED)):
            model(scaled(some))
    for each, momentum in zip(norms, kept, strict=True):
        each.momentum = momentum


def scaled(images: Tensor) -> Tensor:
    """Bring images from [0, 1] to [-1, 1], as the Inception networks take them."""
    return 2 * images - 1


def _ask(model: nn.Module, images: Tensor) -> NDArray[np.float32]:
    """Return probabilities (n, K); a network that diverged takes all classes for equally likely."""
    with torch.no_grad():
        parts = [model(scaled(some)).float().softmax(1) for some in images.split(_AT_ONCE)]
    answers = torch.cat(parts)
    known = answers.isfinite().all(dim=1, keepdim=True)
    return answers.where(known, 1 / answers.shape[1]).cpu().numpy()


def predict(model: nn.Module, images: Images) -> NDArray[np.float32]:
    """Return probabilities (n, K) of images (n, 1, S, S) in [0, 1]."""
    model.eval()
    return _ask(model, beside(model, images))


def beside(model: nn.Module, images: Images) -> Tensor:
    """Put images (n, 1, S, S) where the weights of a network are."""
    return torch.from_numpy(images).to(next(model.parameters()).device)


def history(trained: Trained, label: Mapping[str, NDArray[np.integer]]) -> pd.DataFrame:
    """Tabulate training loss and, for each watched set, loss and accuracy of every epoch.

    Returns:
        ``epoch`` (from 1), ``metric``, ``value``.
    """
    rows = [(epoch, "train_loss", loss) for epoch, loss in enumerate(trained.loss, start=1)]
    for name, probs in trained.probs.items():
        y = np.asarray(label[name])
        own = probs[:, np.arange(len(y)), y]
        for epoch, (each, true) in enumerate(zip(probs, own, strict=True), start=1):
            rows.append((epoch, f"{name}_loss", float(-np.log(np.maximum(true, 1e-7)).mean())))
            rows.append((epoch, f"{name}_accuracy", float((each.argmax(1) == y).mean())))
    return pd.DataFrame(rows, columns=["epoch", "metric", "value"])
