"""Networks and prunings that the tests of polyp-pruning share."""

import torch

from common.models.polyp_pruning import UNet, layout


def network(width=4, seed=0):
    """Make a network whose normalisations are not the identity, as after training."""
    torch.manual_seed(seed)
    model = UNet(layout(width)).eval()
    for norm in model.norms:
        norm.running_mean.uniform_(-0.3, 0.3)
        norm.running_var.uniform_(0.5, 2)
        norm.weight.data.uniform_(0.5, 1.5)
        norm.bias.data.uniform_(-0.5, 0.5)
    return model


def some(plan, share, rng):
    keep = [rng.random(n) >= share for n in plan.filters]
    for mine in keep:
        mine[rng.integers(len(mine))] = True
    return keep
