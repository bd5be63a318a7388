"""How the action recognisers are trained and asked, the same for all arms."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn

from common.models.casualty_action import HEADS, Position, ReViT, Time, Words
from common.models.casualty_action_comparators import TSN, EgoRNN, SlowFast
from common.training import Batch, Fitted, Losses, runtime, train

Kind = Literal["vit", "tsn", "slowfast", "egornn"]
Data = Mapping[str, NDArray[Any]]

_AT_ONCE = 256


@dataclass(frozen=True)
class Arm:
    """One training.

    Args:
        name: of the training.
        kind: of network.
        position: of a transformer; see :class:`common.models.casualty_action.ReViT`.
        time: likewise.
        balanced: whether each action weighs the same in the loss, however rare.
        share: part of the training videos that is used.
    """

    name: str
    kind: Kind = "vit"
    position: Position = "none"
    time: Time = "embedding"
    balanced: bool = False
    share: float = 1.0


ARMS = (
    Arm("revit", position="value", time="none"),
    Arm("revit-time", position="value"),
    Arm("absolute", position="absolute"),
    Arm("none"),
    Arm("both", position="both"),
    Arm("logits", position="logits"),
    Arm("bias", position="bias"),
    Arm("tsn", "tsn"),
    Arm("slowfast", "slowfast"),
    Arm("ego-rnn", "egornn"),
    Arm("balanced", position="value", balanced=True),
    Arm("half", position="value", share=0.5),
    Arm("repeat", position="value"),
)


@dataclass(frozen=True)
class Settings:
    """What all arms share.

    Args:
        epochs: passes over the training clips.
        batch_size: clips per step.
        lr: learning rate of Adam.
        smoothing: label smoothing.
        patch: side of a patch (px).
        dim: channels of the transformers.
        depth: layers of the transformers.
        heads: attention heads.
        width: channels of the first convolution of the comparators.
        alpha: frames of SlowFast's fast path for each of the slow one.
    """

    epochs: int
    batch_size: int = 32
    lr: float = 2e-3
    smoothing: float = 0.1
    patch: int = 8
    dim: int = 48
    depth: int = 2
    heads: int = 4
    width: int = 16
    alpha: int = 3


def build(arm: Arm, settings: Settings, *, words: Words, n_frames: int, size: int) -> nn.Module:
    """Make the network of an arm.

    Args:
        arm: what to make.
        settings: sizes.
        words: numbers of actions, verbs and nouns.
        n_frames: frames of a clip.
        size: side of a frame (px).
    """
    if arm.kind == "tsn":
        return TSN(words, n_frames=n_frames, width=settings.width)
    if arm.kind == "slowfast":
        return SlowFast(words, n_frames=n_frames, width=settings.width, alpha=settings.alpha)
    if arm.kind == "egornn":
        return EgoRNN(words, width=settings.width)
    return ReViT(
        words,
        n_frames=n_frames,
        size=size,
        patch=settings.patch,
        dim=settings.dim,
        depth=settings.depth,
        heads=settings.heads,
        position=arm.position,
        time=arm.time,
    )


def answer_loss(
    logits: Tensor, label: Tensor, *, smoothing: float, weight: Tensor | None = None
) -> Tensor:
    """Compute the cross-entropy of one head, mean over streams.

    Args:
        logits (streams, B, classes): of the head.
        label (B,): classes.
        smoothing: label smoothing.
        weight (classes,): of the classes; equal if left out.

    Example:
        >>> even = torch.zeros(2, 3, 4)
        >>> round(float(answer_loss(even, torch.tensor([0, 1, 2]), smoothing=0.0).exp()), 3)
        4.0
    """
    return torch.stack(
        [
            F.cross_entropy(each.float(), label, weight=weight, label_smoothing=smoothing)
            for each in logits
        ]
    ).mean()


def balance(label: Tensor, n_classes: int) -> Tensor:
    """Weigh classes inversely to their frequency, so that all that occur weigh the same.

    Example:
        >>> balance(torch.tensor([0, 0, 0, 1]), 3).tolist()
        [0.6666666865348816, 2.0, 0.0]
    """
    count = torch.bincount(label, minlength=n_classes).float()
    occurs = count > 0
    return torch.where(occurs, len(label) / (occurs.sum() * count.clamp(min=1)), 0.0)


def train_arm(
    arm: Arm,
    data: Data,
    *,
    words: Words,
    settings: Settings,
    seed: int,
    fabric: Fabric | None = None,
    progress: bool = False,
) -> Fitted:
    """Train one arm.

    Args:
        arm: what to train; its ``share`` is the caller's business.
        data: ``image`` (n, 3, T, H, W) float in [0, 1], and ``action``, ``verb``, ``noun`` (n,).
        words: numbers of actions, verbs and nouns.
        settings: sizes and weights.
        seed: of initial weights and order.
        fabric: device and precision; :func:`fastest` chooses if left out.
        progress: show a bar.
    """
    fabric = fastest() if fabric is None else fabric
    # copies, as arrays that processes share cannot be written to
    tensors = {name: torch.tensor(data[name]) for name in ("image", *HEADS)}
    _, _, n_frames, size, _ = tensors["image"].shape
    weight = None
    if arm.balanced:
        weight = balance(tensors["action"], words[0]).to(fabric.device)

    def step(model: nn.Module, batch: Batch) -> Losses:
        found = model(batch["image"])
        return {
            name: answer_loss(
                found[name],
                batch[name],
                smoothing=settings.smoothing,
                weight=weight if name == "action" else None,
            )
            for name in HEADS
        }

    return train(
        lambda: build(arm, settings, words=words, n_frames=n_frames, size=size),
        step,
        tensors,
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        seed=seed,
        lr=settings.lr,
        fabric=fabric,
        progress=progress,
    )


def fastest(*, device: str = "auto") -> Fabric:
    """Choose bfloat16 where the processor multiplies in it, single precision elsewhere.

    Args:
        device: see :func:`common.training.runtime`.
    """
    native = torch.cpu.get_capabilities().get("avx512_bf16", False)
    use_cuda = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    return runtime(device=device, precision="bf16-mixed" if native or use_cuda else "32-true")


def predict(
    model: nn.Module, image: NDArray[np.floating[Any]], *, fabric: Fabric | None = None
) -> dict[str, NDArray[np.float32]]:
    """Ask a network about clips; streams count equally.

    Args:
        model: in evaluation mode.
        image (n, 3, T, H, W): clips in [0, 1].
        fabric: device and precision; :func:`fastest` chooses if left out.

    Returns:
        Probabilities (n, classes) of ``action``, ``verb`` and ``noun``.
    """
    fabric = fastest() if fabric is None else fabric
    parts: dict[str, list[Tensor]] = {name: [] for name in HEADS}
    with torch.inference_mode():
        for first in range(0, len(image), _AT_ONCE):
            chunk = torch.tensor(image[first : first + _AT_ONCE])
            for name, logits in model(chunk.to(fabric.device)).items():
                parts[name].append(logits.float().softmax(dim=-1).mean(dim=0).cpu())
    return {name: torch.cat(each).numpy() for name, each in parts.items()}


def product_of_heads(
    verb: NDArray[np.floating[Any]], noun: NDArray[np.floating[Any]], pairs: NDArray[np.integer]
) -> NDArray[np.float32]:
    """Score actions by the product of the probabilities of their verb and noun.

    Args:
        verb (n, verbs): probabilities.
        noun (n, nouns): probabilities.
        pairs (actions, 2): verb and noun of each action.

    Returns:
        (n, actions) scores; they do not sum to 1, as pairs that are no action are left out.
    """
    return (verb[:, pairs[:, 0]] * noun[:, pairs[:, 1]]).astype(np.float32)


def marginal(
    action: NDArray[np.floating[Any]], word: NDArray[np.integer], n_words: int
) -> NDArray[np.float32]:
    """Sum the probabilities of actions over those that share a word.

    Args:
        action (n, actions): probabilities.
        word (actions,): verb, or noun, of each action.
        n_words: size of that vocabulary.

    Returns:
        (n, n_words) probabilities.
    """
    return (action @ np.eye(n_words)[word]).astype(np.float32)


def in_top(prob: NDArray[np.floating[Any]], label: NDArray[np.integer], k: int) -> NDArray[Any]:
    """Say whether the label is among the k most probable classes; among equals the first count.

    Args:
        prob (n, classes): scores.
        label (n,): true classes.
        k: places.

    Returns:
        (n,) 1.0 or 0.0.

    Example:
        >>> in_top(np.array([[0.5, 0.3, 0.2]] * 2), np.array([1, 2]), 2).tolist()
        [1.0, 0.0]
    """
    order = np.argsort(-prob, axis=1, kind="stable")[:, :k]
    return (order == np.asarray(label)[:, None]).any(axis=1).astype(float)
