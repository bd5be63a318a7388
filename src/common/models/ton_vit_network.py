"""A small vision transformer for clips, with one head for verbs and one for nouns.

The paper names "a ViT" and nothing more. Here the patches of all frames attend to each other, and
a class token, which the two heads read, attends to all of them.
"""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from common import training

Images = NDArray[np.float32]


class Block(nn.Module):
    """Attention and a perceptron, each after a layer norm and added to what it was given.

    Args:
        dim: width.
        heads: attention heads.

    Source:
        Dosovitskiy et al., ICLR 2021, equations 2 and 3.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(2))
        self.attention = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.perceptron = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens (n, tokens, dim) to tokens of the same shape."""
        y = self.norms[0](x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        return x + self.perceptron(self.norms[1](x))

    def weights(self, x: Tensor) -> Tensor:
        """Return the attention of the first token to all (n, tokens), mean over heads."""
        y = self.norms[0](x)
        return self.attention(y[:, :1], y, y, need_weights=True)[1][:, 0]


class VideoTransformer(nn.Module):
    """A transformer over the patches of all frames of a clip.

    Args:
        n_verbs: verbs.
        n_nouns: nouns.
        size: side of a frame (px), a multiple of ``patch``.
        n_frames: frames of a clip.
        patch: side of a patch (px).
        dim: width, a multiple of ``heads``.
        depth: layers.
        heads: attention heads.

    Raises:
        ValueError: the size is no multiple of the patch, or the width none of the heads.
    """

    def __init__(
        self,
        n_verbs: int,
        n_nouns: int,
        *,
        size: int,
        n_frames: int,
        patch: int = 8,
        dim: int = 48,
        depth: int = 2,
        heads: int = 4,
    ) -> None:
        super().__init__()
        if size % patch or dim % heads:
            raise ValueError(
                f"`size` must be a multiple of `patch` and `dim` of `heads`, got {size!r} and "
                f"{patch!r}, {dim!r} and {heads!r}. Change one of each pair."
            )
        self.n_patches = (size // patch) ** 2
        self.embed = nn.Conv2d(3, dim, patch, stride=patch)
        self.place = nn.Parameter(0.02 * torch.randn(1, 1, self.n_patches, dim))
        self.time = nn.Parameter(0.02 * torch.randn(1, n_frames, 1, dim))
        self.token = nn.Parameter(torch.zeros(1, 1, dim))
        self.blocks = nn.ModuleList(Block(dim, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(dim)
        self.verb = nn.Linear(dim, n_verbs)
        self.noun = nn.Linear(dim, n_nouns)

    def forward(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        """Score the verbs and nouns of clips.

        Args:
            clips (n, 3, T, size, size): values 0 to 1.

        Returns:
            Logits (n, verbs) and (n, nouns).
        """
        x = self._tokens(clips)
        for block in self.blocks:
            x = block(x)
        seen = self.norm(x[:, 0])
        return self.verb(seen), self.noun(seen)

    def _tokens(self, clips: Tensor) -> Tensor:
        """Cut clips into patches and put the class token before them."""
        n, _, t = clips.shape[:3]
        frames = 2 * clips.transpose(1, 2).flatten(0, 1) - 1
        patches = self.embed(frames).flatten(2).transpose(1, 2)
        x = patches.reshape(n, t, self.n_patches, -1) + self.place + self.time
        return torch.cat([self.token.expand(n, -1, -1), x.flatten(1, 2)], dim=1)

    @torch.no_grad()
    def attention(self, clips: Tensor) -> Tensor:
        """Say how much the class token looks at each frame in the last layer.

        Args:
            clips (n, 3, T, size, size): values 0 to 1.

        Returns:
            (n, T), mean over heads, summed over the patches of a frame, rows sum to 1.
        """
        x = self._tokens(clips)
        *before, last = self.blocks
        for block in before:
            x = block(x)
        assert isinstance(last, Block)
        frames = last.weights(x)[:, 1:].reshape(len(clips), -1, self.n_patches).sum(dim=2)
        return frames / frames.sum(dim=1, keepdim=True)


def step(model: nn.Module, batch: training.Batch) -> training.Losses:
    """Compute the cross-entropies of verbs and nouns of one batch, clips mirrored in no way.

    Args:
        model: a :class:`VideoTransformer`.
        batch: ``clip`` (n, 3, T, size, size) in bytes, ``verb`` and ``noun`` (n,).
    """
    verb, noun = model(batch["clip"].float() / 255)
    return {
        "verb": functional.cross_entropy(verb.float(), batch["verb"]),
        "noun": functional.cross_entropy(noun.float(), batch["noun"]),
    }


def as_bytes(clips: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Store clips with values 0 to 1 in a quarter of the memory."""
    return np.round(255 * np.clip(clips, 0, 1)).astype(np.uint8)


def fit(
    clips: NDArray[np.uint8],
    targets: Mapping[str, NDArray[np.int64]],
    *,
    sizes: Mapping[str, int],
    epochs: int,
    seed: int,
    batch_size: int = 32,
    lr: float = 1e-3,
    device: str = "auto",
) -> training.Fitted:
    """Train a network on clips.

    Args:
        clips (n, 3, T, size, size): bytes.
        targets: ``verb`` and ``noun`` (n,).
        sizes: arguments of :class:`VideoTransformer` that are not given by the clips; ``n_verbs``
            and ``n_nouns`` among them.
        epochs: passes over the clips.
        seed: of weights and of the order.
        batch_size: clips a step.
        lr: Adam's learning rate.
        device: see :func:`common.training.runtime`.
    """
    data = {"clip": torch.from_numpy(clips)}
    data |= {name: torch.from_numpy(targets[name]) for name in ("verb", "noun")}
    shape = {"size": clips.shape[-1], "n_frames": clips.shape[2]}
    return training.train(
        lambda: VideoTransformer(**sizes, **shape),
        step,
        data,
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        lr=lr,
        fabric=training.runtime(device=device),
    )


def predict(
    model: nn.Module, clips: NDArray[np.uint8], *, batch_size: int = 256
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Score clips.

    Args:
        model: from :func:`fit`.
        clips (n, 3, T, size, size): bytes.
        batch_size: clips at a time.

    Returns:
        Logits of verbs and of nouns.
    """
    device = next(model.parameters()).device
    parts = []
    with torch.no_grad():
        for start in range(0, len(clips), batch_size):
            # a copy, since clips that processes share cannot be written to
            own = np.array(clips[start : start + batch_size])
            batch = torch.from_numpy(own).to(device).float() / 255
            parts.append([each.float().cpu().numpy() for each in model(batch)])
    verb, noun = (np.concatenate(each).astype(np.float64) for each in zip(*parts, strict=True))
    return verb, noun
