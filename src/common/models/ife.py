"""The decompose-and-fuse network for immunofixation gels, with attention over the height.

Nine classes are pairs of a heavy chain (none, G, A, M) and a light chain (none, kappa, lambda).
One residual network answers both questions; its first stages serve both, its last ones do not.

Source: Shi et al., MICCAI 2023, sections 2.1 and 2.2; where the text is silent, the released code.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.nn import functional

N_CLASSES = 9
TASKS = {"heavy": 4, "light": 3}
SINGLE = {"label": N_CLASSES}
KERNEL = 7  # rows that one value of the attention sees
Ownership = Literal["released", "separate"]


def decompose(label: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split the nine-way class into heavy and light chain.

    Args:
        label: classes 0 to 8 in the order negative, kappa, lambda, IgG-kappa, IgG-lambda,
            IgA-kappa, IgA-lambda, IgM-kappa, IgM-lambda, any shape.

    Returns:
        Heavy chain (0 none, 1 G, 2 A, 3 M) and light chain (0 none, 1 kappa, 2 lambda).

    Raises:
        ValueError: a class is outside 0 to 8.

    Source: section 2.1.

    Example:
        >>> [part.tolist() for part in decompose([0, 2, 7])]
        [[0, 0, 3], [0, 2, 1]]
    """
    y = np.asarray(label, dtype=np.int64)
    outside = y[(y < 0) | (y >= N_CLASSES)]
    if outside.size:
        raise ValueError(f"`label` must be in 0-8, got {int(outside.flat[0])}. Encode from 0.")
    heavy, light = np.where(y == 0, 0, (y - 1) // 2), np.where(y == 0, 0, (y - 1) % 2 + 1)
    return heavy, light


def recombine(heavy: ArrayLike, light: ArrayLike) -> NDArray[np.int64]:
    """Join the answers of the two tasks to one of nine classes.

    Without a light chain the gel is called negative, whatever the heavy-chain task says.

    Args:
        heavy: 0 none, 1 G, 2 A, 3 M, any shape.
        light: 0 none, 1 kappa, 2 lambda, same shape.

    Returns:
        Classes 0 to 8, see :func:`decompose`.

    Source: released code; the paper gives the example of G and kappa only.

    Example:
        >>> recombine([1, 1, 0], [1, 0, 2]).tolist()
        [3, 0, 2]
    """
    h, m = np.asarray(heavy, dtype=np.int64), np.asarray(light, dtype=np.int64)
    return np.where(m == 0, 0, 2 * h + m)


def imbalance_ratio(counts: ArrayLike) -> float:
    """Divide the size of the smallest class by that of the largest.

    Args:
        counts: cases of each class (k,), the largest above 0.

    Returns:
        IR in [0, 1]; 1 for classes of equal size.

    Raises:
        ValueError: no class has a case.

    Source: equation 1.

    Example:
        >>> imbalance_ratio([100, 25, 50])
        0.25
    """
    sizes = np.asarray(counts, dtype=np.float64)
    if sizes.size == 0 or sizes.max() <= 0:
        raise ValueError(f"`counts` must hold a number above 0, got {counts!r}. Count the cases.")
    return float(sizes.min() / sizes.max())


def task_counts(counts: ArrayLike) -> dict[str, NDArray[np.int64]]:
    """Sum nine class counts to the counts of the two tasks.

    Args:
        counts: cases of the nine classes (9,).

    Returns:
        ``heavy`` (4,) and ``light`` (3,).

    Example:
        >>> {k: v.tolist() for k, v in task_counts([9, 1, 2, 3, 4, 5, 6, 7, 8]).items()}
        {'heavy': [12, 7, 11, 15], 'light': [9, 16, 20]}
    """
    sizes = np.asarray(counts, dtype=np.int64)
    parts = zip(TASKS, decompose(np.arange(N_CLASSES)), strict=True)
    return {
        task: np.bincount(codes, weights=sizes, minlength=TASKS[task]).astype(np.int64)
        for task, codes in parts
    }


class HeightAttention(nn.Module):
    r"""Weigh the rows of a feature map.

    .. math:: M(F) = \sigma(\mathrm{Conv}([\mathrm{Avg}_{C,W}(F); \mathrm{Max}_{C,W}(F)]))

    The released code convolves a map of width 1 with a 7 x 7 kernel padded by 3, of which only
    the middle column meets anything but padding; here that column is all there is.

    Source: section 2.2, horizontal attention.
    """

    def __init__(self) -> None:
        super().__init__()
        # torch's default bound for a 7 x 7 kernel over two maps
        bound = 1 / math.sqrt(2 * KERNEL**2)
        self.kernel = nn.Parameter(torch.empty(2, KERNEL).uniform_(-bound, bound))

    def forward(self, features: Tensor) -> Tensor:
        """Return M(F) (N, H) in (0, 1) for features (N, C, H, W)."""
        rows = features.permute(0, 2, 3, 1).flatten(2)
        pooled = torch.stack([rows.mean(2), rows.max(2).values], dim=1)
        # sliding windows and a sum: a convolution this small costs more to call than to compute
        windows = functional.pad(pooled, (KERNEL // 2, KERNEL // 2)).unfold(2, KERNEL, 1)
        return (windows * self.kernel[:, None]).sum((1, 3)).sigmoid()


class AttentionBlock(nn.Module):
    """A basic residual block whose branch is weighed by row before it joins the shortcut.

    Args:
        n_in: channels on the way in.
        n_out: channels on the way out.
        stride: of the first convolution, one number or (rows, columns).
        attention: without it the block is that of ResNet-18.

    Source: He et al. 2016, figure 5 left; place of the attention from the released code.
    """

    def __init__(
        self, n_in: int, n_out: int, stride: int | tuple[int, int], *, attention: bool
    ) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False),
            nn.BatchNorm2d(n_out),
            nn.ReLU(inplace=True),
            nn.Conv2d(n_out, n_out, 3, 1, 1, bias=False),
            nn.BatchNorm2d(n_out),
        )
        self.attention = HeightAttention() if attention else None
        self.shortcut: nn.Module = nn.Identity()
        if stride not in (1, (1, 1)) or n_in != n_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out)
            )

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the features (N, n_out, H, W) and the attention map (N, H), if there is one."""
        branch, weights = self.branch(features), None
        if self.attention is not None:
            weights = self.attention(branch)
            branch = branch * weights[:, None, :, None].to(branch.dtype)
        return functional.relu(branch + self.shortcut(features), inplace=True), weights


class Stage(nn.Module):
    """A row of blocks; the map of its last block is what the regularisers see."""

    def __init__(
        self,
        n_in: int,
        n_out: int,
        n_blocks: int,
        stride: int | tuple[int, int],
        *,
        attention: bool,
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            AttentionBlock(
                n_in if k == 0 else n_out, n_out, stride if k == 0 else 1, attention=attention
            )
            for k in range(n_blocks)
        )

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the features and the last block's map."""
        weights = None
        for block in self.blocks:
            features, weights = block(features)
        return features, weights

    def share_attention(self, other: "Stage") -> None:
        """Use the attention and the shortcuts of another stage, as the released code does."""
        for own, theirs in zip(self.blocks, other.blocks, strict=True):
            own.attention, own.shortcut = theirs.attention, theirs.shortcut


@dataclass(frozen=True)
class Layout:
    """How wide and deep a residual network is.

    Attributes:
        width: channels of stem and first stage; each later stage doubles them.
        blocks: blocks of the four stages.
        strides: of the four stages.
        pool: whether a 3 x 3 maximum of stride 2 follows the stem.
    """

    width: int
    blocks: tuple[int, ...] = (1, 1, 1, 1)
    # Small gels keep as many rows as they can: what is told apart lies in rows.
    strides: tuple[int | tuple[int, int], ...] = (1, 2, 2, (1, 2))
    pool: bool = False

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of the four stages."""
        return tuple(self.width * 2**k for k in range(len(self.blocks)))


RESNET18 = Layout(64, (2, 2, 2, 2), (1, 2, 2, 2), pool=True)


def layout(width: int) -> Layout:
    """Return the narrow network of a width, or ResNet-18 for width 0."""
    return RESNET18 if width == 0 else Layout(width)


@dataclass(frozen=True)
class Answer:
    """What the network says of a batch.

    Attributes:
        logits: (N, classes) by task.
        maps: attention by task: the last block's map of each stage (N, H), first stage first;
            empty without attention. Tasks that share a stage have the same tensor there.
    """

    logits: Mapping[str, Tensor]
    maps: Mapping[str, Sequence[Tensor]]


class GelNet(nn.Module):
    """A residual network with one branch for each task.

    Args:
        layout: width and depth.
        tasks: classes by task; one task makes an ordinary network.
        shared: how many of the four stages serve all tasks (the paper: 3); the stem always does.
        attention: put :class:`HeightAttention` into every block.
        ownership: ``released``: in stages of their own the tasks still share attention modules
            and shortcuts; ``separate``: they share nothing there.

    Raises:
        ValueError: ``shared`` is not 0 to 4, or ``ownership`` is unknown.

    Source: section 2.1 and figure 1c; released code for ``ownership``.
    """

    def __init__(
        self,
        layout: Layout,
        *,
        tasks: Mapping[str, int],
        shared: int = 3,
        attention: bool = True,
        ownership: Ownership = "released",
    ) -> None:
        super().__init__()
        if not 0 <= shared <= len(layout.blocks):
            raise ValueError(f"`shared` must be 0-{len(layout.blocks)}, got {shared!r}.")
        if ownership not in ("released", "separate"):
            raise ValueError(f"`ownership` must be released or separate, got {ownership!r}.")
        stem: list[nn.Module] = [
            nn.Conv2d(3, layout.width, 7, 2, 3, bias=False),
            nn.BatchNorm2d(layout.width),
            nn.ReLU(inplace=True),
        ]
        self.stem = nn.Sequential(*stem, *([nn.MaxPool2d(3, 2, 1)] if layout.pool else []))
        n_shared = len(layout.blocks) if len(tasks) == 1 else shared
        self.trunk = nn.ModuleList(_stages(layout, range(n_shared), attention))
        rest = range(n_shared, len(layout.blocks))
        own = {task: _stages(layout, rest, attention) for task in tasks}
        if ownership == "released":
            first, *others = own.values()
            for other in others:
                for stage, theirs in zip(other, first, strict=True):
                    stage.share_attention(theirs)
        self.branches = nn.ModuleDict({task: nn.ModuleList(stages) for task, stages in own.items()})
        self.heads = nn.ModuleDict(
            {task: nn.Linear(layout.channels[-1], n) for task, n in tasks.items()}
        )
        self.apply(_initialise)

    def forward(self, image: Tensor) -> Answer:
        """Return logits and maps for images (N, 3, H, W)."""
        common, maps = self.stem(image), []
        for stage in self.trunk:
            common, weights = stage(common)
            maps.append(weights)
        logits, every = {}, {}
        for task in self.heads:
            features, own = common, list(maps)
            for stage in cast(nn.ModuleList, self.branches[task]):
                features, weights = stage(features)
                own.append(weights)
            logits[task] = self.heads[task](features.mean(dim=(2, 3))).float()
            every[task] = [each for each in own if each is not None]
        return Answer(logits, every)


def _stages(layout: Layout, which: Iterable[int], attention: bool) -> list[Stage]:
    before = (layout.width, *layout.channels)
    return [
        Stage(before[k], before[k + 1], layout.blocks[k], layout.strides[k], attention=attention)
        for k in which
    ]


def _initialise(module: nn.Module) -> None:
    """Draw the weights of convolutions as He et al. 2015 do."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
