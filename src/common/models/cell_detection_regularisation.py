"""Contextual regularisation: mask feature maps of a detector and learn to fill them in again.

The branch hangs on the feature pyramid while a detector is trained and is left out afterwards, so
that the detector that predicts is the same with and without it.

Source: Wen, Wang et al., "Context Matters: Cross-Domain Cell Detection in Histopathology Images via
Contextual Regularization".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

Masking = Literal["none", "stochastic", "adaptive", "open"]
Tokens = Literal["position", "channel"]


@dataclass(frozen=True)
class Regularisation:
    """How the feature maps are masked and reconstructed.

    Attributes:
        masking: ``stochastic`` (SCR), ``adaptive`` (ACR), ``open`` (nothing is masked) or ``none``
            (no branch at all).
        ratio: share q of the positions that SCR sets to zero.
        reduction: r of ACR's gate, by which the channels shrink between its two layers.
        n_blocks: N transformer blocks of the reconstruction.
        n_heads: m heads of their attention.
        weight: lambda, the weight of the loss.
        detach: hold the features constant as the target, so that the loss cannot be lowered by
            making them small.
        tokens: what attends to what: positions with C numbers each, or channels with P.

    Source:
        Section 2.4 for the defaults.
    """

    masking: Masking = "none"
    ratio: float = 0.5
    reduction: int = 16
    n_blocks: int = 2
    n_heads: int = 8
    weight: float = 1.0
    detach: bool = False
    tokens: Tokens = "position"

    def __post_init__(self) -> None:
        if not 0 <= self.ratio < 1:
            raise ValueError(f"`ratio` must lie in [0, 1), got {self.ratio!r}. It is a share.")
        if self.weight < 0:
            raise ValueError(f"`weight` must be 0 or more, got {self.weight!r}. Use 0 for none.")


def stochastic_mask(
    n: int, positions: int, *, ratio: float, generator: torch.Generator | None = None
) -> Tensor:
    """Draw which positions stay visible; all channels of a position share its fate.

    Args:
        n: images.
        positions: P.
        ratio: probability q that a position is set to zero.
        generator: source of randomness; torch's global one if left out.

    Returns:
        k (n, 1, P) of zeros and ones.

    Source:
        Equation 2.

    Example:
        >>> stochastic_mask(1, 4, ratio=0.0).tolist()
        [[[1.0, 1.0, 1.0, 1.0]]]
    """
    return (torch.rand(n, 1, positions, generator=generator) >= ratio).float()


class PositionGate(nn.Module):
    """Weigh every position by a number in (0, 1) that follows from the mean of each channel.

    ``s = sigmoid(W2 relu(W1 v))`` with ``v_c`` the mean of channel c.  The text has a
    non-linearity between the layers, equation 4 has none; here it is a ReLU.  W2 has a row for each
    position, so that a gate fits one size of feature map.

    Args:
        channels: C.
        positions: P.
        reduction: r; C / r numbers lie between the layers, at least one.

    Source:
        Equations 3 and 4.

    Example:
        >>> PositionGate(32, 9, reduction=16)(torch.zeros(2, 32, 9)).shape
        torch.Size([2, 1, 9])
    """

    def __init__(self, channels: int, positions: int, *, reduction: int) -> None:
        super().__init__()
        hidden = max(1, channels // reduction)
        self.squeeze = nn.Linear(channels, hidden, bias=False)
        self.expand = nn.Linear(hidden, positions, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return s (N, 1, P) of features x (N, C, P)."""
        v = x.mean(dim=2)
        return torch.sigmoid(self.expand(torch.relu(self.squeeze(v))))[:, None]


class Reconstruction(nn.Module):
    """Fill in masked features with transformer blocks: z <- z + MSA(LN z), z <- z + MLP(LN z).

    Args:
        shape: channels C and positions P of the features.
        n_blocks: N.
        n_heads: m; must divide the numbers of a token.
        tokens: what a token is, see :class:`Regularisation`.

    Raises:
        ValueError: the heads do not divide a token's numbers.

    Source:
        Section 2.3, equations 6 to 8.

    Example:
        >>> Reconstruction((16, 9), n_blocks=1, n_heads=8)(torch.zeros(2, 16, 9)).shape
        torch.Size([2, 16, 9])
    """

    def __init__(
        self,
        shape: tuple[int, int],
        *,
        n_blocks: int,
        n_heads: int,
        tokens: Tokens = "position",
    ) -> None:
        super().__init__()
        width = shape[0] if tokens == "position" else shape[1]
        if width % n_heads:
            raise ValueError(
                f"`n_heads` must divide the {width} numbers of a token, got {n_heads!r}. Choose a "
                "divisor."
            )
        self.tokens = tokens
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width,
                n_heads,
                4 * width,
                dropout=0.0,
                activation="gelu",
                batch_first=True,
                norm_first=True,
            )
            for _ in range(n_blocks)
        )

    def forward(self, masked: Tensor, place: Tensor | None = None) -> Tensor:
        """Return the reconstruction (N, C, P) of masked features (N, C, P).

        Args:
            masked: features of which some are zero.
            place (C, P): added first, so that masked positions can be told apart.
        """
        z = masked if place is None else masked + place
        z = z.transpose(1, 2) if self.tokens == "position" else z
        for block in self.blocks:
            z = block(z)
        return z.transpose(1, 2) if self.tokens == "position" else z


def reconstruction_loss(x: Tensor, reconstructed: Tensor, *, detach: bool = False) -> Tensor:
    """Average the squared error over all channels and positions, masked or not.

    Args:
        x: features (N, C, P).
        reconstructed: their reconstruction (N, C, P).
        detach: hold x constant.

    Source:
        Equation 9.

    Example:
        >>> float(reconstruction_loss(torch.ones(1, 2, 3), torch.zeros(1, 2, 3)))
        1.0
    """
    target = x.detach() if detach else x
    return (target - reconstructed).square().mean()


class ContextualRegularisation(nn.Module):
    """The training-only branch: mask, reconstruct and compare, on each of several pyramid levels.

    The transformer is shared between levels where tokens are positions; gates and the learnt
    places of positions belong to one level each, since they depend on its size.

    Its random numbers are its own: a detector meets the same augmentation and the same samples of
    anchors with any branch and without one.

    Args:
        settings: see :class:`Regularisation`; its masking must not be ``none``.
        channels: C of every level.
        sizes: height and width of each level.

    Source:
        Sections 2.2 and 2.3; which levels, and whether they share a head, is not printed.
    """

    def __init__(
        self, settings: Regularisation, *, channels: int, sizes: Sequence[tuple[int, int]]
    ) -> None:
        super().__init__()
        if settings.masking == "none":
            raise ValueError("`masking` must not be 'none', got 'none'. Leave the branch out.")
        self.settings = settings
        self.generator = torch.Generator().manual_seed(int(torch.randint(2**62, ())))
        positions = [height * width for height, width in sizes]
        shared = settings.tokens == "position"
        self.heads = nn.ModuleList(
            Reconstruction(
                (channels, each),
                n_blocks=settings.n_blocks,
                n_heads=settings.n_heads,
                tokens=settings.tokens,
            )
            for each in (positions[:1] if shared else positions)
        )
        self.places = nn.ParameterList(
            nn.Parameter(0.02 * torch.randn(channels, each)) for each in positions
        )
        self.gates = nn.ModuleList(
            PositionGate(channels, each, reduction=settings.reduction)
            for each in (positions if settings.masking == "adaptive" else [])
        )

    def masks(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Return the mask k or s (N, 1, P) of every level, drawn anew at each call."""
        flat = [x.flatten(2) for x in features]
        if self.settings.masking == "adaptive":
            return [gate(x) for gate, x in zip(self.gates, flat, strict=True)]
        ratio = self.settings.ratio if self.settings.masking == "stochastic" else 0.0
        return [
            stochastic_mask(len(x), x.shape[2], ratio=ratio, generator=self.generator).to(x)
            for x in flat
        ]

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Return L_reg, the mean over levels.

        Args:
            features: x of each level (N, C, H, W).
        """
        losses = []
        for level, (x, mask) in enumerate(zip(features, self.masks(features), strict=True)):
            flat = x.flatten(2)
            head = self.heads[level % len(self.heads)]
            rebuilt = head(flat * mask, self.places[level])
            losses.append(reconstruction_loss(flat, rebuilt, detach=self.settings.detach))
        return torch.stack(losses).mean()

    def report(self, features: Sequence[Tensor]) -> dict[str, float]:
        """Describe how hard the masks make the reconstruction.

        Returns:
            Means over levels, images and positions: ``gate`` (the mask), ``gate_entropy`` (bits of
            a coin that falls as the mask says: 1 at 1/2, 0 where a position is fully open or
            closed), ``feature_rms`` (root mean square of x), and ``reconstruction`` (L_reg divided
            by the mean square of x: 1 is what an all-zero answer reaches).
        """
        with torch.no_grad():
            return self._report(features)

    def _report(self, features: Sequence[Tensor]) -> dict[str, float]:
        mask = torch.cat([each.flatten() for each in self.masks(features)])
        s = mask.clamp(1e-6, 1 - 1e-6)
        entropy = -(s * s.log2() + (1 - s) * (1 - s).log2())
        power = torch.stack([x.square().mean() for x in features]).mean()
        return {
            "gate": float(mask.mean()),
            "gate_entropy": float(entropy.mean()),
            "feature_rms": float(power.sqrt()),
            "reconstruction": float(self(features) / power.clamp_min(1e-12)),
        }
