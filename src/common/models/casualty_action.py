"""ReViT: a vision transformer over all frames, with relative position in the values of attention.

Source: Jiang et al., Baseline models for action recognition of unscripted casualty care dataset,
Eq. 2 to 4. Depth, width, heads, patch, and what is done with time are not printed there.
"""

from typing import Literal, get_args

import torch
from torch import Tensor, nn

Position = Literal["none", "absolute", "value", "both", "logits", "bias"]
Time = Literal["none", "embedding"]
Words = tuple[int, int, int]
Answers = dict[str, Tensor]

HEADS = ("action", "verb", "noun")
# spread of learned vectors of place and moment at the start, near that of an embedded patch
_SPREAD = 0.5


def centred(video: Tensor) -> Tensor:
    """Shift and scale a video from [0, 1] to about zero mean and unit spread.

    Example:
        >>> centred(torch.tensor([0.0, 0.5, 1.0])).tolist()
        [-2.0, 0.0, 2.0]
    """
    return 4 * video - 2


def relative_index(n: int) -> Tensor:
    """Place of the displacement w_i - w_j in a table of 2n - 1 rows.

    Args:
        n: patches along one side.

    Returns:
        (n, n) integers from 0 to 2n - 2; n - 1 stands for no displacement.

    Example:
        >>> relative_index(3).tolist()
        [[2, 1, 0], [3, 2, 1], [4, 3, 2]]
    """
    place = torch.arange(n)
    return place[:, None] - place[None, :] + n - 1


def token_places(n_frames: int, side: int) -> Tensor:
    """Row and column of every patch token, frames one after the other.

    Args:
        n_frames: frames T.
        side: patches along each side of a frame.

    Returns:
        (2, T side side) integers: rows h, then columns w.

    Example:
        >>> token_places(1, 2).tolist()
        [[0, 0, 1, 1], [0, 1, 0, 1]]
    """
    row, column = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    return torch.stack([row.flatten(), column.flatten()]).repeat(1, n_frames)


class RelativeAttention(nn.Module):
    """Self-attention over a class token and the patches of all frames.

    ``value`` is Eq. 4: z_i = sum_j a_ij (x_j W_V + r^W_ij + r^H_ij) with r^W_ij = R^W[w_i - w_j],
    r^H_ij = R^H[h_i - h_j]. ``logits`` adds the same terms to the keys in the place where Bello et
    al. have them, ``bias`` adds one number a head and displacement to the logits. Tables are
    shared by all heads (``bias``: one a head), start at zero, and do not touch pairs with the class
    token.

    Args:
        dim: channels.
        heads: attention heads; a divisor of ``dim``.
        n_frames: frames T.
        side: patches along each side of a frame.
        position: ``value``, ``logits`` or ``bias``; anything else adds no relative term.
    """

    def __init__(
        self, dim: int, heads: int, *, n_frames: int, side: int, position: Position
    ) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f"`heads` must divide dim {dim}, got {heads!r}. Choose another.")
        self.heads, self.position, self.side = heads, position, side
        self.relative = position in ("value", "both", "logits", "bias")
        self.project = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)
        if self.relative:
            columns = heads if position == "bias" else dim // heads
            self.rows = nn.Parameter(torch.zeros(2 * side - 1, columns))
            self.columns = nn.Parameter(torch.zeros(2 * side - 1, columns))
        places = token_places(n_frames, side)
        member = nn.functional.one_hot(places, side).float()
        none = torch.zeros(2, 1, side)
        # which row and column each token lies in; the class token lies in none
        self.register_buffer("member", torch.cat([none, member], dim=1), persistent=False)
        self.register_buffer("index", relative_index(side), persistent=False)

    def _tables(self) -> Tensor:
        """Look the displacements up: (2, side, side, columns), rows first, then columns."""
        return torch.stack([self.rows[self.index], self.columns[self.index]])  # type: ignore[index]

    def _values(self, weight: Tensor) -> Tensor:
        """Sum a_ij (r^H_ij + r^W_ij) over j: (B, heads, N, d).

        Weights are first summed over the tokens of each row and column, so that no table of all
        pairs is made.
        """
        member = self.member.to(weight.dtype)
        per_place = torch.einsum("bhij,ajp->abhip", weight, member)
        own = torch.einsum("aip,apqd->aiqd", member, self._tables().to(weight.dtype))
        return torch.einsum("abhiq,aiqd->bhid", per_place, own)

    def _logits(self, query: Tensor) -> Tensor:
        """Compute q_i . (r^H_ij + r^W_ij): (B, heads, N, N)."""
        member = self.member.to(query.dtype)
        own = torch.einsum("aip,apqd->aiqd", member, self._tables().to(query.dtype))
        per_place = torch.einsum("bhid,aiqd->abhiq", query, own)
        return torch.einsum("abhiq,ajq->bhij", per_place, member)

    def _bias(self) -> Tensor:
        """Look the scalar of every head and displacement up: (heads, N, N)."""
        return torch.einsum("aip,apqh,ajq->hij", self.member, self._tables(), self.member)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Attend.

        Args:
            x (B, 1 + T side side, dim): tokens, the class token first.

        Returns:
            Tokens of the same shape, and the weights (B, heads, N, N).
        """
        b, n, dim = x.shape
        parts = self.project(x).view(b, n, 3, self.heads, dim // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        query = query * (dim // self.heads) ** -0.5
        logits = query @ key.transpose(-1, -2)
        if self.position == "logits":
            logits = logits + self._logits(query)
        if self.position == "bias":
            logits = logits + self._bias()
        weight = logits.softmax(dim=-1)
        z = weight @ value
        if self.position in ("value", "both"):
            z = z + self._values(weight)
        return self.out(z.transpose(1, 2).reshape(b, n, dim)), weight


class Block(nn.Module):
    """One layer of the encoder: attention and a two-layer perceptron, each after a norm.

    Args:
        dim: channels.
        heads: attention heads.
        n_frames: frames T.
        side: patches along each side of a frame.
        position: see :class:`RelativeAttention`.
    """

    def __init__(
        self, dim: int, heads: int, *, n_frames: int, side: int, position: Position
    ) -> None:
        super().__init__()
        self.attention = RelativeAttention(
            dim, heads, n_frames=n_frames, side=side, position=position
        )
        self.first, self.second = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return tokens (B, N, dim) and attention weights (B, heads, N, N)."""
        attended, weight = self.attention(self.first(x))
        x = x + attended
        return x + self.mlp(self.second(x)), weight


class Heads(nn.Module):
    """Three linear answers to one feature: the action, its verb and its noun.

    Args:
        dim: length of the feature.
        words: numbers of actions, verbs and nouns.
    """

    def __init__(self, dim: int, words: Words) -> None:
        super().__init__()
        self.each = nn.ModuleDict(
            {name: nn.Linear(dim, n) for name, n in zip(HEADS, words, strict=True)}
        )

    def forward(self, feature: Tensor) -> Answers:
        """Return logits (B, classes) by head."""
        return {name: head(feature) for name, head in self.each.items()}


class ReViT(nn.Module):
    """Vision transformer over the patches of all frames.

    Args:
        words: numbers of actions, verbs and nouns.
        n_frames: frames T.
        size: side of a frame (px), a multiple of ``patch``.
        patch: side of a patch (px).
        dim: channels.
        depth: layers.
        heads: attention heads.
        position: how place in the frame enters; ``value`` is the paper's Eq. 4, ``absolute`` adds a
            learned vector to each patch, ``both`` does both, ``none`` leaves place out.
        time: ``none`` as printed; ``embedding`` adds a learned vector to all tokens of a frame.

    Raises:
        ValueError: an unknown name, or a size that does not fit.
    """

    def __init__(
        self,
        words: Words,
        *,
        n_frames: int,
        size: int,
        patch: int = 8,
        dim: int = 48,
        depth: int = 2,
        heads: int = 4,
        position: Position = "value",
        time: Time = "none",
    ) -> None:
        super().__init__()
        for name, value, known in (("position", position, Position), ("time", time, Time)):
            if value not in get_args(known):
                words_known = ", ".join(get_args(known))
                raise ValueError(f"`{name}` must be one of {words_known}, got {value!r}.")
        if size % patch:
            raise ValueError(f"`size` must be a multiple of patch {patch}, got {size!r}.")
        side = size // patch
        self.embed = nn.Conv2d(3, dim, patch, patch)
        self.token = nn.Parameter(0.02 * torch.randn(1, 1, dim))
        self.place = self.moment = None
        if position in ("absolute", "both"):
            self.place = nn.Parameter(_SPREAD * torch.randn(1, 1, side * side, dim))
        if time == "embedding":
            self.moment = nn.Parameter(_SPREAD * torch.randn(1, n_frames, 1, dim))
        self.blocks = nn.ModuleList(
            Block(dim, heads, n_frames=n_frames, side=side, position=position) for _ in range(depth)
        )
        self.norm, self.heads = nn.LayerNorm(dim), Heads(dim, words)

    def tokens(self, video: Tensor) -> Tensor:
        """Embed a video (B, 3, T, H, W) as tokens (B, 1 + T side side, dim)."""
        b, c, t, h, w = video.shape
        frames = centred(video).transpose(1, 2).reshape(b * t, c, h, w)
        x = self.embed(frames).flatten(2).transpose(1, 2).reshape(b, t, -1, self.token.shape[-1])
        for extra in (self.place, self.moment):
            if extra is not None:
                x = x + extra
        return torch.cat([self.token.expand(b, -1, -1).to(x.dtype), x.flatten(1, 2)], dim=1)

    def encode(self, video: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Run the encoder: the class token's feature (B, dim), and every layer's weights."""
        x, weights = self.tokens(video), []
        for block in self.blocks:
            x, weight = block(x)
            weights.append(weight)
        return self.norm(x[:, 0]), weights

    def tables(self) -> Tensor:
        """Return the learned tables of relative place: (2, depth, 2 side - 1, d), rows first."""
        learned = [
            torch.stack([each.rows, each.columns])
            for each in self.modules()
            if isinstance(each, RelativeAttention)
        ]
        return torch.stack(learned, dim=1)

    def forward(self, video: Tensor) -> Answers:
        """Answer.

        Args:
            video (B, 3, T, H, W): in [0, 1].

        Returns:
            Logits (1, B, classes) of ``action``, ``verb`` and ``noun``; the first axis is the
            stream, of which there is one.
        """
        feature, _ = self.encode(video)
        return {name: logits[None] for name, logits in self.heads(feature).items()}


def frame_attention(model: ReViT, video: Tensor) -> Tensor:
    """Say how much the class token attends to each frame in the last layer.

    Args:
        model: in evaluation mode.
        video (B, 3, T, H, W): in [0, 1].

    Returns:
        (B, T) mean over heads; rows sum to 1 less the weight of the class token on itself.
    """
    with torch.no_grad():
        _, weights = model.encode(video)
    last = weights[-1].mean(dim=1)[:, 0, 1:]
    return last.reshape(len(video), video.shape[2], -1).sum(dim=2)
