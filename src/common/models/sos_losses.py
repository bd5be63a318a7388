"""The losses of the selective objective switch, each of them a switch of its own.

Source: Maksoud et al., CVPR 2020: Classification Loss, Paradoxical Loss, Executive Loss.
"""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

LOSSES = ("ce1", "ce2", "paradoxical", "hesitation", "hubris")


def paradoxical_loss(low: Tensor, high: Tensor, label: Tensor) -> Tensor:
    """Compute L_2: how much surer of the true class the LRN is than the HRN that knows more.

    Args:
        low (N, classes): probabilities N_s.
        high (N, classes): probabilities N_h.
        label (N,): true classes x.

    Returns:
        mean of max(N_s,x - N_h,x, 0), a scalar.

    Source: Paradoxical Loss.

    Example:
        >>> first, second = torch.tensor([[0.7, 0.3]]), torch.tensor([[0.4, 0.6]])
        >>> round(float(paradoxical_loss(first, second, torch.tensor([0]))), 4)
        0.3
    """
    x = label.unsqueeze(1)
    return (low.gather(1, x) - high.gather(1, x)).clamp(min=0).mean()


def executive_loss(
    low: Tensor, high: Tensor, label: Tensor, *, c: float, epsilon: float
) -> dict[str, Tensor]:
    """Compute both parts of L_3 before their weights: hesitation and hubris.

    y_s and y_h say whether the LRN and the HRN are right; no gradient passes through them. Where
    both are wrong neither part acts.

    Args:
        low (N, classes): probabilities N_s.
        high (N, classes): probabilities N_h.
        label (N,): true classes.
        c: threshold of the switch.
        epsilon: a right LRN should be sure by c + epsilon.

    Returns:
        ``hesitation``: mean of y_s max(c + epsilon - max N_s, 0); ``hubris``: mean of
        y_h (1 - y_s) max(max N_s - c, 0).

    Source: Executive Loss, L_he and L_hu.

    Example:
        >>> low = torch.tensor([[0.6, 0.4], [0.9, 0.1]])
        >>> high = torch.tensor([[0.9, 0.1], [0.0, 1.0]])
        >>> parts = executive_loss(low, high, torch.tensor([0, 1]), c=0.8, epsilon=0.1)
        >>> {name: round(float(part), 4) for name, part in parts.items()}
        {'hesitation': 0.15, 'hubris': 0.05}
    """
    confidence, answer = low.max(dim=1)
    y_s = (answer == label).float()
    y_h = (high.argmax(dim=1) == label).float()
    return {
        "hesitation": (y_s * (c + epsilon - confidence).clamp(min=0)).mean(),
        "hubris": (y_h * (1 - y_s) * (confidence - c).clamp(min=0)).mean(),
    }


def losses(
    logits: dict[str, Tensor],
    label: Tensor,
    *,
    which: tuple[str, ...] = LOSSES,
    c: float = 0.8,
    epsilon: float = 0.05,
    lambda_1: float = 1.0,
    lambda_2: float = 1.0,
    weight: Tensor | None = None,
) -> dict[str, Tensor]:
    """Compute the losses of a batch that are asked for; their sum is minimised.

    Args:
        logits: of :class:`common.models.sos.SOSNetwork`, ``low`` and ``high``.
        label (N,): true classes.
        which: names from :data:`LOSSES`; ``ce1`` is the cross-entropy of N_s, ``ce2`` of N_h.
        c: threshold of the switch.
        epsilon: margin of the hesitation.
        lambda_1: weight of the hesitation.
        lambda_2: weight of the hubris.
        weight (classes,): of the classes in both cross-entropies; equal if left out.

    Returns:
        Scalars by name.

    Raises:
        ValueError: an unknown name, or a loss of a stream that the network lacks.
    """
    needs = {"ce1": {"low"}, "ce2": {"high"}}
    for name in which:
        missing = needs.get(name, {"low", "high"}) - set(logits)
        if name not in LOSSES or missing:
            raise ValueError(
                f"`which` must name losses of {', '.join(LOSSES)} whose streams exist, got "
                f"{name!r} with {', '.join(logits)}. Drop it or add the stream."
            )
    found = {
        name: F.cross_entropy(logits[stream], label, weight=weight)
        for name, stream in (("ce1", "low"), ("ce2", "high"))
        if name in which
    }
    if not set(which) - {"ce1", "ce2"}:
        return found
    low, high = (logits[stream].softmax(dim=1) for stream in ("low", "high"))
    if "paradoxical" in which:
        found["paradoxical"] = paradoxical_loss(low, high, label)
    parts = executive_loss(low, high, label, c=c, epsilon=epsilon)
    for name, scale in (("hesitation", lambda_1), ("hubris", lambda_2)):
        if name in which:
            found[name] = scale * parts[name]
    return found


def policy_loss(
    zoom: Tensor,
    low: Tensor,
    high: Tensor,
    label: Tensor,
    *,
    cost: float,
    action: Tensor,
    entropy: float = 0.0,
) -> Tensor:
    """Compute the loss of REINFORCE for a policy that pays for zooming in.

    The reward of a slide is 1 for a right answer at the chosen resolution, less ``cost`` if it
    zoomed in. Both answers are known in training, so the baseline is the slide's mean reward under
    the policy. Without a bonus for entropy the policy settles on always or never within a few
    epochs, while one stream learns faster than the other.

    Args:
        zoom (N,): log-odds of zooming in.
        low (N, classes): logits at low resolution.
        high (N, classes): logits at high resolution.
        label (N,): true classes.
        cost: price of one zoom, in right answers.
        action (N,): 1 where the policy, sampled, zoomed in.
        entropy: weight of the policy's entropy, in right answers per nat.

    Returns:
        mean of -(reward - baseline) log pi(action) - entropy H(pi), a scalar; its gradient
        reaches ``zoom`` alone.

    Source: a simplified stand-in for the paper's RDMS, whose details are not given; Williams,
    "Simple statistical gradient-following algorithms", Machine Learning 8 (1992).
    """
    with torch.no_grad():
        stay, go = ((x.argmax(dim=1) == label).float() for x in (low, high))
        go = go - cost
        share = zoom.sigmoid()
        baseline = share * go + (1 - share) * stay
        advantage = torch.where(action > 0, go, stay) - baseline
    # minus the logarithm of a probability
    surprise = partial(F.binary_cross_entropy_with_logits, zoom, reduction="none")
    own = surprise(zoom.sigmoid())
    return (advantage * surprise(action) - entropy * own).mean()
