"""TSN, SlowFast and Ego-RNN at a reduced size: the idea of each, with a small convolutional stem.

Each is named as simplified wherever it is shown. Optical flow is replaced by differences of
frames, a modality of TSN that needs no flow network.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn

from common.models.casualty_action import Answers, Heads, Words, centred


def frame_encoder(channels: int, width: int) -> nn.Sequential:
    """Make three convolutions of stride 2: (N, C, H, W) to (N, 4 width, H/8, W/8).

    Args:
        channels: of the input.
        width: channels of the first convolution.
    """
    sizes = (channels, width, 2 * width, 4 * width)
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [
            nn.Conv2d(before, after, 3, 2, 1, bias=False),
            nn.GroupNorm(4, after),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers)


def segment_frames(n_frames: int, n_segments: int) -> list[int]:
    """Return the middle frame of each of equal parts of a clip.

    Example:
        >>> segment_frames(6, 3), segment_frames(16, 3)
        ([1, 3, 5], [2, 8, 13])
    """
    return [(2 * k + 1) * n_frames // (2 * n_segments) for k in range(n_segments)]


class TSN(nn.Module):
    """Temporal segment network: sparse segments, a consensus over them, two streams.

    The appearance stream sees one frame a segment, the motion stream the difference to the frame
    before it. Features of a stream are averaged over segments; streams are trained each on its own
    loss, and their probabilities averaged with equal weights.

    Args:
        words: numbers of actions, verbs and nouns.
        n_frames: frames T, at least 2.
        width: channels of the first convolution.
        n_segments: segments, at most T - 1.

    Source:
        Wang et al. 2016; reduced: three convolutions for a pretrained Inception, RGB differences
        for flow.
    """

    def __init__(self, words: Words, *, n_frames: int, width: int = 16, n_segments: int = 3):
        super().__init__()
        if not 1 <= n_segments < n_frames:
            raise ValueError(
                f"`n_segments` must be from 1 to frames - 1 ({n_frames - 1}), got {n_segments!r}."
            )
        self.chosen = segment_frames(n_frames, n_segments)
        self.encoders = nn.ModuleList(frame_encoder(3, width) for _ in range(2))
        self.heads = nn.ModuleList(Heads(4 * width, words) for _ in range(2))

    def forward(self, video: Tensor) -> Answers:
        """Answer: logits (2, B, classes) of the appearance and the motion stream."""
        video = centred(video)
        frames = video[:, :, self.chosen]
        earlier = video[:, :, [max(0, k - 1) for k in self.chosen]]
        found = []
        for x, encoder, heads in zip(
            (frames, frames - earlier), self.encoders, self.heads, strict=True
        ):
            b, c, k, h, w = x.shape
            feature = encoder(x.transpose(1, 2).reshape(b * k, c, h, w)).mean(dim=(2, 3))
            found.append(heads(feature.view(b, k, -1).mean(dim=1)))
        return {name: torch.stack([each[name] for each in found]) for name in found[0]}


class SlowFast(nn.Module):
    """Two frame rates: a slow path with many channels and a fast one with few, joined laterally.

    Args:
        words: numbers of actions, verbs and nouns.
        n_frames: frames T, a multiple of ``alpha``.
        width: channels of the slow path's first convolution, a multiple of ``8``.
        alpha: frames of the fast path for each of the slow one.

    Source:
        Feichtenhofer et al. 2019; reduced: three stages of one convolution each, a quarter of the
        slow channels in the fast path.
    """

    def __init__(self, words: Words, *, n_frames: int, width: int = 16, alpha: int = 3):
        super().__init__()
        if n_frames % alpha:
            raise ValueError(
                f"`n_frames` must be a multiple of alpha {alpha}, got {n_frames!r}. Change one."
            )
        self.alpha = alpha
        slow, fast = (3, width, 2 * width, 4 * width), (3, width // 4, width // 2, width)
        self.fast = nn.ModuleList(_volume(a, b, time=3) for a, b in pairwise(fast))
        # what the fast path sends over joins the slow channels before the next stage
        joined = (3, *(a + 2 * b for a, b in zip(slow[1:3], fast[1:3], strict=True)))
        self.slow = nn.ModuleList(
            _volume(a, b, time=1) for a, b in zip(joined, slow[1:], strict=True)
        )
        self.lateral = nn.ModuleList(
            nn.Conv3d(b, 2 * b, (alpha, 1, 1), (alpha, 1, 1)) for b in fast[1:3]
        )
        self.heads = Heads(slow[-1] + fast[-1], words)

    def forward(self, video: Tensor) -> Answers:
        """Answer: logits (1, B, classes)."""
        video = centred(video)
        slow, fast = video[:, :, self.alpha // 2 :: self.alpha], video
        for stage in range(3):
            slow, fast = self.slow[stage](slow), self.fast[stage](fast)
            if stage < 2:
                slow = torch.cat([slow, self.lateral[stage](fast)], dim=1)
        feature = torch.cat([slow.mean(dim=(2, 3, 4)), fast.mean(dim=(2, 3, 4))], dim=1)
        return {name: logits[None] for name, logits in self.heads(feature).items()}


def _volume(before: int, after: int, *, time: int) -> nn.Sequential:
    """Make a convolution over ``time`` x 3 x 3 with stride 2 in the frame."""
    return nn.Sequential(
        nn.Conv3d(before, after, (time, 3, 3), (1, 2, 2), (time // 2, 1, 1), bias=False),
        nn.GroupNorm(2, after),
        nn.ReLU(),
    )


class ConvLSTM(nn.Module):
    """A cell whose gates are convolutions over the frame.

    Args:
        channels: of the input.
        hidden: of the state.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.gates = nn.Conv2d(channels + hidden, 4 * hidden, 3, 1, 1)

    def forward(self, frames: Tensor) -> Tensor:
        """Read frames (B, T, C, h, w) in order and return the last cell state (B, hidden, h, w)."""
        b, t, _, h, w = frames.shape
        state = frames.new_zeros(b, self.hidden, h, w)
        cell = torch.zeros_like(state)
        for k in range(t):
            inlet, forget, out, new = self.gates(torch.cat([frames[:, k], state], 1)).chunk(4, 1)
            cell = (forget + 1).sigmoid() * cell + inlet.sigmoid() * new.tanh()
            state = out.sigmoid() * cell.tanh()
        return cell


class EgoRNN(nn.Module):
    """Class activation maps point attention at places; a ConvLSTM reads the attended frames.

    Args:
        words: numbers of actions, verbs and nouns.
        width: channels of the first convolution.

    Source:
        Sudhakaran and Lanz 2018; reduced: three convolutions for a pretrained ResNet-34, whose
        object classes are here those of the noun head, and the appearance stream alone.
    """

    def __init__(self, words: Words, *, width: int = 16) -> None:
        super().__init__()
        self.encoder = frame_encoder(3, width)
        self.objects = nn.Linear(4 * width, words[2])
        self.recurrent = ConvLSTM(4 * width, 2 * width)
        self.heads = Heads(2 * width, words)

    def attention(self, features: Tensor) -> Tensor:
        """Compute spatial attention of frames: features (N, C, h, w) to (N, 1, h, w).

        The map is that of the object class that the pooled feature scores highest; its softmax
        over places sums to 1.
        """
        n, _, h, w = features.shape
        winner = self.objects(features.mean(dim=(2, 3))).argmax(dim=1)
        maps = torch.einsum("nchw,nc->nhw", features, self.objects.weight[winner])
        return maps.flatten(1).softmax(dim=1).view(n, 1, h, w)

    def forward(self, video: Tensor) -> Answers:
        """Answer: logits (1, B, classes)."""
        b, c, t, h, w = video.shape
        features = self.encoder(centred(video).transpose(1, 2).reshape(b * t, c, h, w))
        attended = features * self.attention(features) * features[0, 0].numel()
        cell = self.recurrent(attended.view(b, t, *attended.shape[1:]))
        return {name: x[None] for name, x in self.heads(cell.mean(dim=(2, 3))).items()}
