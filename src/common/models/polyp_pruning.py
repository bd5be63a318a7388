"""A U-Net whose filters can be removed: the network, its exact size, and the surgery.

Every one of the 18 convolutions has its own number of filters, so a pruned network is the same
class with smaller numbers, not a masked large one.

Source: Sapkota et al., Neural Network Pruning for Real-Time Polyp Segmentation, 2023, section 3.
The text gives 2,944 filters and no layout; five levels of two convolutions from 32 filters on have
that number, and are the layout of the widely used U-Net of Buda et al. (7,763,041 parameters).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

DEPTH = 5
KERNEL = 9  # weights of a 3 x 3 filter per input channel
Keep = Sequence[NDArray[np.bool_]]

# down1a, down1b, ..., down5b, then up4a, up4b, ..., up1b
LAYERS = tuple(
    f"{way}{level}{which}"
    for way, levels in (("down", range(1, DEPTH + 1)), ("up", range(DEPTH - 1, 0, -1)))
    for level in levels
    for which in "ab"
)


@dataclass(frozen=True)
class Layout:
    """How many channels every part of the network has.

    Args:
        filters (18,): of the convolutions, in the order of :data:`LAYERS`; these can be pruned.
        raised (4,): outputs of the transposed convolutions into levels 4, 3, 2, 1; they are kept,
            since 2,944 filters do not count them.
        colours: channels of the image.
    """

    filters: tuple[int, ...]
    raised: tuple[int, ...]
    colours: int = 3

    def __post_init__(self) -> None:
        if len(self.filters) != len(LAYERS) or min(self.filters) < 1:
            raise ValueError(
                f"`filters` must be {len(LAYERS)} counts of at least 1, got {self.filters!r}. "
                "A layer without filters would cut the network."
            )

    @property
    def n_filters(self) -> int:
        """Filters that can be pruned."""
        return sum(self.filters)


def layout(width: float) -> Layout:
    """Lay out an unpruned network: ``width`` filters at level 1, doubled at each level below.

    Args:
        width: filters of a convolution at level 1; the paper's count needs 32. A fraction is
            rounded at each level, which makes sizes between two whole widths.

    Raises:
        ValueError: less than one filter.

    Example:
        >>> layout(32).n_filters
        2944
    """
    level = [max(1, round(width * 2**k)) for k in range(DEPTH)]
    if width < 0.5:
        raise ValueError(f"`width` must be at least 0.5, got {width!r}. Raise it.")
    down = [n for n in level for _ in "ab"]
    up = [n for n in level[-2::-1] for _ in "ab"]
    return Layout((*down, *up), tuple(level[-2::-1]))


def level_of(layer: int) -> int:
    """Return the level, 1 to 5, of a convolution; level k works at 1 / 2^(k - 1) of the side."""
    return int(LAYERS[layer].strip("downupab"))


def fed_by(layer: int) -> tuple[str, int | None]:
    """Say what a convolution reads: kind, and the number of the convolution whose filters enter.

    Returns:
        ``("image", None)`` for the first; ``("plain", j)``; or ``("skip", j)`` for a convolution
        that reads a transposed convolution's outputs and, behind them, the filters of j.

    Example:
        >>> [fed_by(LAYERS.index(name)) for name in ("down1b", "up4a", "up1a")]
        [('plain', 0), ('skip', 7), ('skip', 1)]
    """
    if layer == 0:
        return "image", None
    if LAYERS[layer].startswith("up") and LAYERS[layer].endswith("a"):
        return "skip", 2 * level_of(layer) - 1
    return "plain", layer - 1


def raised_from(step: int) -> int:
    """Return the convolution that transposed convolution ``step`` (0 is the deepest) reads."""
    return 2 * DEPTH - 1 + 2 * step


class UNet(nn.Module):
    """U-Net of 18 convolutions without bias, each with batch normalisation and ReLU.

    Args:
        plan: channels of every part.

    Shape:
        images (N, 3, S, S) with S a multiple of 16 to logits (N, 1, S, S).
    """

    def __init__(self, plan: Layout) -> None:
        super().__init__()
        self.plan = plan
        inputs = [_n_inputs(plan, layer) for layer in range(len(LAYERS))]
        self.convs = nn.ModuleList(
            nn.Conv2d(n, own, 3, padding=1, bias=False)
            for n, own in zip(inputs, plan.filters, strict=True)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(own) for own in plan.filters)
        self.raises = nn.ModuleList(
            nn.ConvTranspose2d(plan.filters[raised_from(step)], own, 2, stride=2)
            for step, own in enumerate(plan.raised)
        )
        self.out = nn.Conv2d(plan.filters[-1], 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits."""
        x, skips = image, []
        for level in range(DEPTH):
            x = self._double(F.max_pool2d(x, 2) if level else x, 2 * level)
            skips.append(x)
        for step, raise_ in enumerate(self.raises):
            skip = skips[DEPTH - 2 - step]
            x = self._double(torch.cat([raise_(x), skip], dim=1), 2 * (DEPTH + step))
        logits: Tensor = self.out(x)
        return logits

    def _double(self, x: Tensor, first: int) -> Tensor:
        for layer in (first, first + 1):
            x = F.relu(self.norms[layer](self.convs[layer](x)))
        return x


def _n_inputs(plan: Layout, layer: int) -> int:
    kind, source = fed_by(layer)
    if source is None:
        return plan.colours
    step = DEPTH - 1 - level_of(layer)
    return plan.filters[source] + (plan.raised[step] if kind == "skip" else 0)


@dataclass(frozen=True)
class Counts:
    """Size of a network.

    Args:
        parameters: learnable numbers.
        macs: multiplications of one forward pass of one image, each with an addition.
    """

    parameters: int
    macs: int


def count(plan: Layout, size: int) -> Counts:
    """Count parameters and multiplications in closed form.

    Batch normalisation has two parameters a filter and is folded into the convolution for the
    operations; ReLU and pooling are not counted.

    Args:
        plan: channels of every part.
        size: side of the image (px), a multiple of 16.

    Raises:
        ValueError: ``size`` is no multiple of 16.

    Example:
        >>> count(layout(32), 256)
        Counts(parameters=7763041, macs=12071206912)
    """
    if size < 16 or size % 16:
        raise ValueError(f"`size` must be a multiple of 16, got {size!r}. Choose another.")
    parameters = macs = 0
    for layer, own in enumerate(plan.filters):
        weights = KERNEL * _n_inputs(plan, layer) * own
        parameters += weights + 2 * own
        macs += weights * (size >> (level_of(layer) - 1)) ** 2
    for step, own in enumerate(plan.raised):
        weights = 4 * plan.filters[raised_from(step)] * own
        parameters += weights + own
        macs += weights * (size >> (DEPTH - 1 - step)) ** 2
    return Counts(parameters + plan.filters[-1] + 1, macs + plan.filters[-1] * size**2)


def pruned_layout(plan: Layout, keep: Keep) -> Layout:
    """Return the layout that is left when only some filters are kept.

    Args:
        plan: of the whole network.
        keep: for each convolution, which of its filters stay; at least one of each.
    """
    _check(plan, keep)
    return Layout(tuple(int(mine.sum()) for mine in keep), plan.raised, plan.colours)


def prune(model: UNet, keep: Keep) -> UNet:
    """Make the small network: remove filters with everything that belongs to them.

    A filter takes along its kernel, its entries of the batch normalisation, and its input channel
    in whatever reads it: the next convolution, the transposed convolution, the output, and for a
    filter at the end of a level on the way down also the convolution behind the skip, where it
    stands after the raised channels.

    Args:
        model: the whole network; it is left as it is.
        keep: for each convolution, which of its filters stay; at least one of each.

    Returns:
        A network in evaluation mode whose output equals that of ``model`` with the removed
        channels set to zero.

    Raises:
        ValueError: ``keep`` does not fit the network or empties a layer.

    Source: section 3.2.
    """
    like = next(model.parameters())
    with torch.device("meta"):  # every entry is written below, so none is drawn
        small = UNet(pruned_layout(model.plan, keep)).to(like.dtype)
    small = small.to_empty(device=like.device).eval()
    rows = [torch.from_numpy(np.flatnonzero(mine)) for mine in keep]
    with torch.no_grad():
        for layer, own in enumerate(rows):
            weight = convolution_weight(model.convs[layer])[own][
                :, _inputs_kept(model.plan, rows, layer)
            ]
            convolution_weight(small.convs[layer]).copy_(weight)
            entries = model.norms[layer].state_dict().items()
            small.norms[layer].load_state_dict(
                {name: value[own] if value.ndim else value for name, value in entries}
            )
        for step in range(len(model.raises)):
            wide, narrow = model.raises[step].state_dict(), small.raises[step]
            wide["weight"] = wide["weight"][rows[raised_from(step)]]
            narrow.load_state_dict(wide)
        last = model.out.state_dict()
        small.out.load_state_dict({**last, "weight": last["weight"][:, rows[-1]]})
    return small


def convolution_weight(module: nn.Module) -> Tensor:
    """Return the weights (filters, inputs, 3, 3) of a convolution."""
    weight = module.weight
    assert isinstance(weight, Tensor)
    return weight


def _inputs_kept(plan: Layout, rows: list[Tensor], layer: int) -> Tensor:
    """Return which input channels of a convolution are left."""
    kind, source = fed_by(layer)
    if source is None:
        return torch.arange(plan.colours)
    if kind == "plain":
        return rows[source]
    n = plan.raised[DEPTH - 1 - level_of(layer)]
    return torch.cat([torch.arange(n), n + rows[source]])


@contextmanager
def masked(model: UNet, keep: Keep) -> Iterator[UNet]:
    """Silence filters inside a block instead of removing them; nothing gets smaller.

    Args:
        model: the whole network.
        keep: for each convolution, which of its filters stay.
    """
    _check(model.plan, keep)
    device = next(model.parameters()).device
    handles = []
    for norm, mine in zip(model.norms, keep, strict=True):
        stays = torch.from_numpy(mine.astype(np.float32)).to(device)[:, None, None]

        def silence(
            module: nn.Module, given: object, output: Tensor, stays: Tensor = stays
        ) -> Tensor:
            # after the normalisation, which would turn a silent convolution into a constant
            return output * stays

        handles.append(norm.register_forward_hook(silence))
    try:
        yield model
    finally:
        for handle in handles:
            handle.remove()


def _check(plan: Layout, keep: Keep) -> None:
    shapes = tuple(len(mine) for mine in keep)
    if shapes != plan.filters:
        raise ValueError(
            f"`keep` must have {plan.filters!r} entries by layer, got {shapes!r}. "
            "Give one truth value for each filter."
        )
