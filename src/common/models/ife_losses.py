"""What the decompose-and-fuse network minimises: cross-entropies and two pulls on its attention.

The paper prints one formula for each pull; the released code computes something else. Both forms
are here.

Source: Shi et al., MICCAI 2023, equations 2 to 4, and the released code.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from common.models.ife import Answer

Form = Literal["released", "printed"]
INNER_FACTOR = 0.01  # of the released code, not in the paper
INTER_FACTOR = 100.0  # likewise
NEGATIVE_FACTOR = 0.5  # likewise
BATCH = 64  # the paper's batch, over which the released code sums
N_MAPS = 2  # the pulls act on the maps of the last two stages


@dataclass(frozen=True)
class Pull:
    """Strength and form of the two regularisers.

    Attributes:
        inner: lambda_inner (the paper: 0.3); 0 switches the inner-task regulariser off.
        inter: lambda_inter (the paper: 0.3).
        tau: temperature (the paper: 5).
        form: ``released`` or ``printed``.
    """

    inner: float = 0.0
    inter: float = 0.0
    tau: float = 5.0
    form: Form = "released"


def kl_divergence(first: Tensor, second: Tensor) -> Tensor:
    """Sum A (log A - log B) over the rows of the map, as the paper defines it.

    Args:
        first: A (N, H), above 0.
        second: B (N, H), above 0; neither has to sum to 1.

    Returns:
        (N,); not negative where both sum to the same.

    Source: below equation 2.
    """
    return (first * (first.log() - second.log())).sum(dim=1)


def js_divergence(first: Tensor, second: Tensor) -> Tensor:
    """Average the divergences of two maps from their mean.

    Args:
        first: A (N, H), above 0.
        second: B (N, H), above 0.

    Returns:
        (N,) in [0, log 2] for distributions; 0 only where the maps agree.

    Source: equation 3.
    """
    middle = (first + second) / 2
    return (kl_divergence(first, middle) + kl_divergence(second, middle)) / 2


def sharpen(weights: Tensor, tau: float) -> Tensor:
    """Turn a map into a distribution over rows, softmax(tau M): sharper for tau above 1.

    Args:
        weights: M (N, H) in (0, 1).
        tau: the released code takes tau for positives and 1 / tau for negatives.

    Returns:
        (N, H), each row sums to 1.

    Source: released code; the paper prints softmax(M / tau) for all.
    """
    return torch.softmax(tau * weights, dim=1)


def inner_released(weights: Tensor, code: Tensor, *, tau: float) -> Tensor:
    r"""Pull the maps of positives to sharper and those of negatives to smoother ones.

    .. math:: \tfrac12\sum_{y_i=0} KL(\mathrm{softmax}(M_i/\tau)\,\|\,Q_i)
              + \sum_{y_i\ne0} KL(\mathrm{softmax}(\tau M_i)\,\|\,Q_i),\quad Q=\mathrm{softmax}(M)

    The targets are held constant; the sum runs over the batch.

    Args:
        weights: M (N, H).
        code: class of the task (N,); 0 is negative.
        tau: temperature.

    Returns:
        A scalar, without the factor 0.01.

    Source: released code.
    """
    positive = (code != 0)[:, None]
    target = torch.where(positive, sharpen(weights, tau), sharpen(weights, 1 / tau)).detach()
    each = kl_divergence(target, sharpen(weights, 1.0))
    return (each * torch.where(code != 0, 1.0, NEGATIVE_FACTOR)).sum()


def inner_printed(weights: Tensor, *, tau: float) -> Tensor:
    r"""Compute the printed form, the mean of KL(softmax(M / tau) || M) over the batch.

    M on the right is no distribution, and the term falls as M grows: its smallest value, -log H,
    is reached where every weight is 1.

    Args:
        weights: M (N, H).
        tau: temperature.

    Returns:
        A scalar.

    Source: equation 2; the paper does not say how samples are averaged.
    """
    return kl_divergence(sharpen(weights, 1 / tau), weights).mean()


def inter_released(heavy: Tensor, light: Tensor, both: Tensor) -> Tensor:
    """Sum the Jensen-Shannon divergence of the softmaxed maps over gels with both chains.

    Args:
        heavy: map of the heavy-chain task (N, H).
        light: map of the light-chain task (N, H).
        both: which gels have a heavy and a light chain (N,), bool.

    Returns:
        A scalar, without the factor 100; 0 where no gel has both.

    Source: released code.
    """
    return (js_divergence(sharpen(heavy, 1.0), sharpen(light, 1.0)) * both).sum()


def inter_printed(heavy: Tensor, light: Tensor, both: Tensor) -> Tensor:
    """Average the Jensen-Shannon divergence of the plain maps over gels with both chains.

    Args:
        heavy: map of the heavy-chain task (N, H).
        light: map of the light-chain task (N, H).
        both: which gels have a heavy and a light chain (N,), bool.

    Returns:
        A scalar; 0 where no gel has both.

    Source: equation 3.
    """
    return (js_divergence(heavy, light) * both).sum() / both.sum().clamp(min=1)


def regularise(
    maps: Mapping[str, Sequence[Tensor]], codes: Mapping[str, Tensor], pull: Pull
) -> dict[str, Tensor]:
    """Compute both regularisers with their factors, on the maps of the last two stages.

    The released sums are taken as those over a batch of 64, whatever the size of this one, so that
    a strength means the same for every size.

    Args:
        maps: by task, see :class:`common.models.ife.Answer`.
        codes: ``heavy`` and ``light`` (N,).
        pull: strengths and form; a strength of 0 leaves its term out.

    Returns:
        ``inner`` and ``inter``, scalars, as far as they are switched on.
    """
    released = pull.form == "released"
    n = len(next(iter(codes.values())))
    terms: dict[str, Tensor] = {}
    if pull.inner:
        each = [
            inner_released(weights, codes[task], tau=pull.tau)
            if released
            else inner_printed(weights, tau=pull.tau)
            for task, own in maps.items()
            for weights in own[-N_MAPS:]
        ]
        factor = INNER_FACTOR * BATCH / n if released else 1.0
        terms["inner"] = pull.inner * factor * torch.stack(each).sum()
    if pull.inter:
        both = codes["heavy"] != 0
        compare = inter_released if released else inter_printed
        pairs = zip(maps["heavy"][-N_MAPS:], maps["light"][-N_MAPS:], strict=True)
        # The map of a shared stage is one tensor, and does not diverge from itself.
        each = [
            both.new_zeros((), dtype=torch.float32)
            if heavy is light
            else compare(heavy, light, both)
            for heavy, light in pairs
        ]
        factor = INTER_FACTOR * BATCH / n if released else 1.0
        terms["inter"] = pull.inter * factor * torch.stack(each).sum()
    return terms


def balanced_weights(counts: Tensor) -> Tensor:
    """Weigh each class by the inverse of its size, so that the weights average 1 over the cases.

    Args:
        counts: training cases of each class (k,); a class without cases counts as one case.

    Returns:
        (k,): n / (k n_c).

    Example:
        >>> balanced_weights(torch.tensor([6.0, 2.0])).tolist()
        [0.6666666865348816, 2.0]
    """
    sizes = counts.clamp(min=1)
    return sizes.sum() / (len(sizes) * sizes)


def log_prior(counts: Tensor) -> Tensor:
    """Return the logarithm of each class's share, which logit adjustment adds to the logits.

    Args:
        counts: training cases of each class (k,); a class without cases counts as one case.

    Returns:
        (k,).

    Source: Menon et al., ICLR 2021, equation 10 with a scale of 1.
    """
    sizes = counts.clamp(min=1)
    return (sizes / sizes.sum()).log()


def losses(
    answer: Answer,
    codes: Mapping[str, Tensor],
    pull: Pull,
    *,
    weights: Tensor | None = None,
    prior: Tensor | None = None,
) -> dict[str, Tensor]:
    """Compute the terms of the objective; their sum is minimised.

    Args:
        answer: of the network.
        codes: class of every task (N,).
        pull: the regularisers.
        weights: class weights of the cross-entropy of a single task.
        prior: added to the logits of a single task, see :func:`log_prior`.

    Returns:
        The cross-entropy of each task, by its name, and the regularisers.

    Source: equation 4.
    """
    terms = {
        task: functional.cross_entropy(
            logits if prior is None else logits + prior, codes[task], weight=weights
        )
        for task, logits in answer.logits.items()
    }
    return terms | regularise(answer.maps, codes, pull)
