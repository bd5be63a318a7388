"""Losses of FocalMix: focal loss for anchors with targets 0 or 1, and its form for soft targets.

All take logits and return one loss for each anchor; :func:`normalised` sums them and divides by the
number of positives.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

ALPHA_0, ALPHA_1, GAMMA = 0.05, 0.95, 2.0  # of the paper, from memory
TUNED_ALPHA = (0.25, 0.75)  # chosen on the phantom by supervised training alone


def focal_loss(
    logits: Tensor,
    target: Tensor,
    *,
    alpha_0: float = ALPHA_0,
    alpha_1: float = ALPHA_1,
    gamma: float = GAMMA,
) -> Tensor:
    r"""Compute the focal loss of anchors that are objects or background.

    .. math:: FL(p_t) = -\alpha_t (1 - p_t)^\gamma \log p_t

    with :math:`p_t = p` for objects and :math:`1 - p` for background.

    Args:
        logits (...): of the probability p of an object.
        target (...): 1 for objects, 0 for background.
        alpha_0: weight of background.
        alpha_1: weight of objects.
        gamma: how strongly anchors that are right already are weighed down, >= 0.

    Returns:
        (...), >= 0.

    Raises:
        ValueError: a target other than 0 and 1; :func:`soft_focal_loss` takes those.

    Source:
        Lin et al., ICCV 2017, equation 5; the paper's first equation.

    Example:
        >>> round(focal_loss(torch.tensor(0.0), torch.tensor(1.0)).item(), 4)  # 0.95 / 4 ln 2
        0.1646
    """
    positive = target == 1
    if not bool((positive | (target == 0)).all()):
        raise ValueError(
            f"`target` must be 0 or 1, got {target[~positive & (target != 0)][0].item():g}. "
            "Use soft_focal_loss."
        )
    signed = torch.where(positive, logits, -logits)
    alpha = alpha_0 + positive.to(logits.dtype) * (alpha_1 - alpha_0)
    return -alpha * torch.sigmoid(-signed) ** gamma * functional.logsigmoid(signed)


def soft_focal_loss(
    logits: Tensor,
    target: Tensor,
    *,
    alpha_0: float = ALPHA_0,
    alpha_1: float = ALPHA_1,
    gamma: float = GAMMA,
) -> Tensor:
    r"""Compute the soft-target focal loss.

    .. math::

        SFL(p) = [\alpha_0 + y (\alpha_1 - \alpha_0)]\, |y - p|^\gamma\,
                 [-y \log p - (1 - y) \log(1 - p)]

    With y 0 or 1 it is :func:`focal_loss`; with ``gamma`` 0 and equal alphas it is a multiple of
    the cross-entropy.

    Args:
        logits (...): of the probability p.
        target (...): y in [0, 1].
        alpha_0: weight at y = 0.
        alpha_1: weight at y = 1.
        gamma: how strongly anchors near their target are weighed down, 0 or >= 1.

    Returns:
        (...), >= 0, and 0 only at p = y if ``gamma`` > 0.  The targets get no gradient.

    Raises:
        ValueError: ``gamma`` between 0 and 1, where the gradient has no bound at p = y.

    Source:
        The paper's third to fifth equations.

    Example:
        >>> y = torch.tensor(0.5)
        >>> soft_focal_loss(torch.tensor(0.0), y).item()     # p = y
        0.0
    """
    if gamma < 0 or 0 < gamma < 1:
        raise ValueError(f"`gamma` must be 0 or at least 1, got {gamma!r}. The paper's kind is 2.")
    y = target.detach()
    entropy = functional.binary_cross_entropy_with_logits(logits, y, reduction="none")
    alpha = alpha_0 + y * (alpha_1 - alpha_0)
    if gamma == 0:
        return alpha * entropy
    return alpha * (y - torch.sigmoid(logits)).abs() ** gamma * entropy


@dataclass(frozen=True)
class AnchorLoss:
    """A loss of anchors with its settings: FocalMix's, and what its ablations replace it with.

    Args:
        alpha_0: weight at y = 0.
        alpha_1: weight at y = 1.
        gamma: exponent of the modulating factor.
        hard: whether targets are rounded to 0 or 1 first, at one half; the loss is then
            :func:`focal_loss`, and of a mixed image only the dominant one counts.
    """

    alpha_0: float = TUNED_ALPHA[0]
    alpha_1: float = TUNED_ALPHA[1]
    gamma: float = GAMMA
    hard: bool = False

    def __call__(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each anchor."""
        settings = {"alpha_0": self.alpha_0, "alpha_1": self.alpha_1, "gamma": self.gamma}
        if self.hard:
            return focal_loss(logits, (target >= 0.5).to(logits.dtype), **settings)
        return soft_focal_loss(logits, target, **settings)


LOSSES = {
    "soft-focal": AnchorLoss(),
    "hard-focal": AnchorLoss(hard=True),
    "no-alpha": AnchorLoss(alpha_0=0.5, alpha_1=0.5),
    "no-beta": AnchorLoss(gamma=0.0),
    "cross-entropy": AnchorLoss(alpha_0=0.5, alpha_1=0.5, gamma=0.0),
}


def normalised(loss: Tensor, target: Tensor, counted: Tensor) -> Tensor:
    """Sum the losses of anchors and divide by the number of positives.

    Soft targets count as positive from one half on.  Their plain sum would be ruled by thousands
    of background anchors, each with a few percent.

    Args:
        loss (...): of each anchor.
        target (...): in [0, 1].
        counted (...): 1 for anchors that count, 0 for those between the thresholds of matching.

    Returns:
        A scalar; without positives the sum itself.

    Example:
        >>> one = torch.ones(4)
        >>> target, counted = torch.tensor([1.0, 0.5, 0.1, 1.0]), torch.tensor([1.0, 1.0, 1.0, 0.0])
        >>> normalised(one, target, counted).item()
        1.5
    """
    positives = ((target.detach() >= 0.5) * counted).sum().clamp(min=1.0)
    return (loss * counted).sum() / positives


def prior_logit(share: float) -> float:
    """Return the bias of the score's last layer that makes every anchor an object with p = share.

    Raises:
        ValueError: a share outside (0, 1).

    Source:
        Lin et al., ICCV 2017, section 4.1.

    Example:
        >>> prior_logit(0.5)
        0.0
    """
    if not 0 < share < 1:
        raise ValueError(f"`share` must lie in (0, 1), got {share!r}. The usual prior is 0.01.")
    return math.log(share / (1 - share))
