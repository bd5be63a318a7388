"""How important a filter is: the first-order score of the paper, every change of it, and the rank.

One backward pass gives, for every example n and filter i, what all first-order scores are made of:
the spatial sum of x dx, the sum of its squares, and the length of the gradient at the output. The
scores themselves are short sums over examples, so that an ablation costs nothing more.

Source: Sapkota et al., 2023, section 3.1; Molchanov et al., 2017, for the plain first-order score.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from common.models.polyp_pruning import UNet, convolution_weight, level_of

Scores = list[NDArray[np.float64]]
Reduction = Literal["sum", "mean", "squares", "mean-squares"]
REDUCTIONS: tuple[Reduction, ...] = ("sum", "mean", "squares", "mean-squares")
Place = Literal["convolution", "normalisation"]
_AT_ONCE = 8  # examples of one backward pass; all 18 feature maps and their gradients are held


@dataclass(frozen=True)
class Terms:
    """What one pass over the importance images leaves of each layer.

    Args:
        sums: by layer (n, filters): sum over pixels of x dx, dx of the normalised gradient.
        squares: by layer (n, filters): sum over pixels of (x dx)^2.
        after: by layer (n, filters): sum over pixels of z dz, z behind the normalisation of x.
        activity: by layer (n, filters): mean over pixels of what is left of x after ReLU.
        pixels (18,): pixels of each layer's maps.
        norms (n,): length of each example's gradient at the output before it is normalised.
    """

    sums: Scores
    squares: Scores
    after: Scores
    activity: Scores
    pixels: NDArray[np.int64]
    norms: NDArray[np.float64]

    def some(self, index: NDArray[np.integer]) -> "Terms":
        """Keep the terms of some examples."""
        return Terms(
            [layer[index] for layer in self.sums],
            [layer[index] for layer in self.squares],
            [layer[index] for layer in self.after],
            [layer[index] for layer in self.activity],
            self.pixels,
            self.norms[index],
        )


def segmentation_error(logits: Tensor, mask: Tensor) -> Tensor:
    """Return the error E of each example: cross-entropy and soft Dice loss, as in training.

    Args:
        logits (N, 1, H, W): of the network.
        mask (N, 1, H, W): 0 or 1.

    Returns:
        (N,): mean binary cross-entropy over pixels plus 1 - (2 sum py + 1) / (sum p + sum y + 1).
    """
    entropy = F.binary_cross_entropy_with_logits(logits, mask, reduction="none").mean((1, 2, 3))
    prob = logits.sigmoid()
    both, either = (prob * mask).sum((1, 2, 3)), (prob + mask).sum((1, 2, 3))
    return entropy + 1 - (2 * both + 1) / (either + 1)


def normalised_gradient(
    logits: Tensor, mask: Tensor, error: Callable[[Tensor, Tensor], Tensor] = segmentation_error
) -> tuple[Tensor, Tensor]:
    """Return the gradient of E at the output, brought to length 1 in each example.

    Args:
        logits (N, 1, H, W): output y of the network.
        mask (N, 1, H, W): target t.
        error: E of each example (N,).

    Returns:
        The normalised gradient (N, 1, H, W) and the lengths before (N,). A gradient of zero stays.

    Source: section 3.1, problem 2 and pruning procedure.
    """
    y = logits.detach().requires_grad_()
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(error(y, mask).sum(), y)
    norm = gradient.flatten(1).norm(dim=1)
    safe = norm.clamp(min=torch.finfo(norm.dtype).tiny)
    return gradient / safe[:, None, None, None], norm


def taylor_terms(model: UNet, image: Tensor, mask: Tensor) -> Terms:
    """Pass images forward and their normalised gradients backward; keep the terms of every filter.

    x is the output of a convolution before normalisation and ReLU, dx the gradient at that place.
    The network is in evaluation mode, where examples do not touch each other, so that a batch
    gives the same as one image at a time.

    Args:
        model: the network; its parameters get no gradient.
        image (n, 3, S, S): importance images as the network sees them.
        mask (n, 1, S, S): their targets.

    Returns:
        Terms of the n examples, in double precision.
    """
    model.eval()
    parts = [
        _terms_of_batch(model, *pair)
        for pair in zip(image.split(_AT_ONCE), mask.split(_AT_ONCE), strict=True)
    ]
    joined = [
        [np.concatenate(layer) for layer in zip(*(part[kind] for part in parts), strict=True)]
        for kind in range(4)
    ]
    side = image.shape[-1]
    pixels = np.array([(side >> (level_of(layer) - 1)) ** 2 for layer in range(len(model.convs))])
    norms = np.concatenate([part[4] for part in parts])
    sums, squares, after, active = joined
    return Terms(sums, squares, after, active, pixels, norms)


def _terms_of_batch(
    model: UNet, image: Tensor, mask: Tensor
) -> tuple[Scores, Scores, Scores, Scores, NDArray[np.float64]]:
    maps: list[Tensor] = []
    channels: list[Tensor] = []
    wanted = {name: each.requires_grad for name, each in model.named_parameters()}
    model.requires_grad_(False)  # gradients of the maps are needed, those of the weights are not

    def keep(module: nn.Module, given: object, output: Tensor) -> Tensor:
        # the first map starts the graph
        output = output if output.requires_grad else output.requires_grad_()
        output.retain_grad()
        maps.append(output)
        return output

    def watch(module: nn.Module, given: object, output: Tensor) -> None:
        output.retain_grad()
        channels.append(output)

    handles = [conv.register_forward_hook(keep) for conv in model.convs]
    handles += [norm.register_forward_hook(watch) for norm in model.norms]
    try:
        with torch.enable_grad():
            logits = model(image)
        gradient, norm = normalised_gradient(logits, mask)
        logits.backward(gradient)
    finally:
        for handle in handles:
            handle.remove()
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(wanted[name])
    sums, squares = [], []
    for x in maps:
        assert x.grad is not None
        product = x.detach() * x.grad
        sums.append(_double(product.sum((2, 3))))
        squares.append(_double(product.square().sum((2, 3))))
    after, active = [], []
    for z in channels:
        assert z.grad is not None
        after.append(_double((z.detach() * z.grad).sum((2, 3))))
        active.append(_double(z.detach().relu().mean((2, 3))))
    return sums, squares, after, active, _double(norm)


def _double(values: Tensor) -> NDArray[np.float64]:
    return values.double().cpu().numpy()


def taylor(
    terms: Terms,
    *,
    reduction: Reduction = "sum",
    squared: bool = True,
    normalised: bool = True,
    place: Place = "convolution",
) -> Scores:
    """Score every filter: the mean over examples of (x dx)^2, and its ablations.

    Args:
        terms: of the importance images.
        reduction: how a filter's map becomes one number. ``sum``: the square of the sum over
            pixels. ``mean``: the square of the mean. ``squares`` and ``mean-squares``: sum and
            mean of the squares.
        squared: without, examples of opposite sign cancel (the paper's problem 1), and low scores
            are the most negative means: removal changes E by -sum(x dx) to first order, so the
            filters that go first are those whose removal raises E most; ``sum`` and ``mean`` only.
        normalised: without, each example counts by the length of its gradient (problem 2).
        place: ``convolution`` as in the paper: the first-order change when x is zero, which leaves
            the channel at the constant beta - gamma mu / sigma. ``normalisation``: that of the
            surgery, where the channel itself is zero; of ``sum`` and ``mean`` only.

    Returns:
        Scores by layer (filters,); low ones go first.

    Raises:
        ValueError: a signed score of squares, or squares behind the normalisation.

    Source: section 3.1, I and I^s; the text leaves the reduction open.
    """
    of_squares = reduction in ("squares", "mean-squares")
    if of_squares and not squared:
        raise ValueError(f"`squared` must be True for reduction {reduction!r}, got False.")
    if of_squares and place != "convolution":
        raise ValueError(f"`place` must be 'convolution' for {reduction!r}, got {place!r}.")
    whole_maps = terms.sums if place == "convolution" else terms.after
    weight = np.ones_like(terms.norms) if normalised else terms.norms
    scores = []
    for layer, pixels in enumerate(terms.pixels):
        value = (terms.squares if of_squares else whole_maps)[layer]
        value = value / pixels if reduction in ("mean", "mean-squares") else value
        value = value * (weight**2 if of_squares else weight)[:, None]
        scores.append((value**2 if squared and not of_squares else value).mean(axis=0))
    return scores


def activity(terms: Terms) -> Scores:
    """Score filters by the mean of their channel after ReLU (n averaged), by layer (filters,)."""
    return [layer.mean(axis=0) for layer in terms.activity]


def magnitude(model: UNet, *, per_layer: bool = False) -> Scores:
    """Score filters by the sum of the absolute values of their weights.

    Args:
        model: the network.
        per_layer: divide by the layer's mean, which makes layers of different size comparable.

    Returns:
        Scores by layer (filters,).
    """
    scores = [
        _double(convolution_weight(conv).detach().abs().sum((1, 2, 3))) for conv in model.convs
    ]
    return [each / each.mean() for each in scores] if per_layer else scores


def chance(model: UNet, rng: np.random.Generator) -> Scores:
    """Score filters at random, by layer (filters,)."""
    return [rng.random(n) for n in model.plan.filters]


def within_layers(scores: Scores) -> Scores:
    """Turn scores into the share of the layer's filters that rank below: equal quotas everywhere.

    Example:
        >>> [each.tolist() for each in within_layers([np.array([3.0, 1.0]), np.array([9.0])])]
        [[0.5, 0.0], [0.0]]
    """
    return [each.argsort(kind="stable").argsort(kind="stable") / len(each) for each in scores]


def keep_best(scores: Scores, n_remove: int) -> list[NDArray[np.bool_]]:
    """Rank all filters together and remove the lowest; the best of each layer always stays.

    Args:
        scores: by layer (filters,); among equals the earlier layer and filter goes first.
        n_remove: filters to remove, P.

    Returns:
        For each layer, which filters stay.

    Raises:
        ValueError: fewer than 0, or so many that a layer would be left empty.

    Source: section 4, procedure: the P least important of all N. The floor is ours, because a
    layer without filters would cut the network.

    Example:
        >>> [k.tolist() for k in keep_best([np.array([0.1, 0.2]), np.array([5.0, 3.0])], 2)]
        [[False, True], [True, False]]
    """
    total = sum(len(each) for each in scores)
    if not 0 <= n_remove <= total - len(scores):
        raise ValueError(
            f"`n_remove` must be from 0 to {total - len(scores)}, got {n_remove!r}. "
            "Every layer keeps a filter."
        )
    flat = np.concatenate([_without_best(each) for each in scores])
    stays = np.ones(total, dtype=bool)
    stays[flat.argsort(kind="stable")[:n_remove]] = False
    return np.split(stays, np.cumsum([len(each) for each in scores])[:-1])


def _without_best(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Put the best filter of a layer out of reach."""
    safe = scores.astype(np.float64)
    safe[int(scores.argmax())] = np.inf
    return safe


def overlap(first: Scores, second: Scores, n_remove: int) -> float:
    """Return the share of the removed filters that two scores agree on.

    Args:
        first: scores by layer.
        second: other scores of the same network.
        n_remove: filters that each removes, at least 1.
    """
    gone = [~np.concatenate(keep_best(scores, n_remove)) for scores in (first, second)]
    return float((gone[0] & gone[1]).sum() / n_remove)
