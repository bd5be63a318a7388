"""The detector: shapes in the order of the anchors, flips, its prior, and bad input."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from common.models.detection import Anchors, unflip
from common.models.focalmix import PRIOR, Detector
from common.models.focalmix_targets import FLIPS, flip, predict
from common.models.focalmix_training import anchors_for


def detector(seed: int = 0) -> Detector:
    torch.manual_seed(seed)
    return Detector(width=8).eval()


def symmetric(network: Detector) -> Detector:
    """Average every kernel over the eight flips, so that the network commutes with each."""
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv3d):
                turned = [module.weight.flip([a + 2 for a in axes]) for axes in FLIPS]
                module.weight.copy_(torch.stack(turned).mean(dim=0))
    for score in network.score:  # far from the prior, so that differences would show
        nn.init.normal_(score.weight)
        nn.init.zeros_(score.bias)
    return network


def test_there_is_one_score_and_one_box_for_each_anchor() -> None:
    anchors = anchors_for(32)
    logits, offsets = detector()(torch.rand(2, 1, 32, 32, 32))
    assert logits.shape == (2, 2 * 8**3 + 4**3) == (2, len(anchors.boxes))
    assert offsets.shape == (2, len(anchors.boxes), 6)
    assert logits.dtype == offsets.dtype == torch.float32


def test_the_anchor_where_something_bright_lies_is_the_one_that_reacts() -> None:
    network, anchors = symmetric(detector()), anchors_for(32)
    empty, bright = torch.zeros(1, 1, 32, 32, 32), torch.zeros(1, 1, 32, 32, 32)
    bright[0, 0, 20:24, 4:8, 12:16] = 1.0
    with torch.inference_mode():
        change = (network(bright)[0] - network(empty)[0])[0].abs()
    centres = (anchors.boxes[:, :3] + anchors.boxes[:, 3:]) / 2
    apart = (centres - torch.tensor([22.0, 6.0, 14.0])).abs().amax(dim=1)
    near = apart <= 6
    assert change[near].mean() > 3 * change[apart > 10].mean()


@pytest.mark.parametrize("axes", FLIPS)
def test_a_network_with_symmetric_kernels_commutes_with_flips_on_the_anchor_grid(
    axes: tuple[int, ...],
) -> None:
    network, anchors = symmetric(detector()), anchors_for(24)
    x = torch.rand(1, 1, 24, 24, 24, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        plain = network(x)[0]
        back = unflip(network(flip(x, axes))[0], anchors, axes)
    torch.testing.assert_close(back, plain, atol=2e-4, rtol=1e-4)
    assert plain.std() > 0.05


def test_k_flips_of_a_symmetric_network_agree_and_forgetting_an_axis_shows() -> None:
    network, anchors = symmetric(detector()), anchors_for(16)
    x = torch.rand(2, 1, 16, 16, 16, generator=torch.Generator().manual_seed(1))
    right = predict(network, x, anchors, FLIPS).prob
    assert (right - right[0]).abs().max() < 1e-4
    forgotten = Anchors(anchors.boxes, anchors.size, anchors.grids, anchors.per_point)
    for axes in itertools.islice(FLIPS, 1, 4):
        with torch.no_grad():
            wrong = torch.sigmoid(unflip(network(flip(x, axes))[0], forgotten, ()))
        assert (wrong - right[0]).abs().max() > 1e-2


def test_every_anchor_starts_at_the_prior() -> None:
    with torch.inference_mode():
        logits, offsets = detector()(torch.rand(1, 1, 16, 16, 16))
    assert torch.sigmoid(logits).mean().item() == pytest.approx(PRIOR, rel=0.2)
    assert offsets.abs().max() < 0.5


def test_the_number_of_weights_follows_from_the_layers() -> None:
    def conv(i: int, o: int, side: int, bias: bool) -> int:
        return i * o * side**3 + o * bias

    def down(i: int, o: int) -> int:
        return conv(i, o, 2, False) + 2 * o

    def residual(c: int) -> int:
        excite = (c * (c // 4) + c // 4) + ((c // 4) * c + c)
        return 2 * (conv(c, c, 3, False) + 2 * c) + excite

    expected = down(1, 8) + down(8, 16) + residual(16) + down(16, 32) + residual(32)
    expected += conv(16, 16, 1, True) + conv(32, 16, 1, True) + 2 * conv(16, 16, 3, True)
    expected += sum(conv(16, a, 1, True) + conv(16, 6 * a, 1, True) for a in (2, 1))
    assert sum(p.numel() for p in detector().parameters()) == expected


def test_a_volume_that_the_grid_does_not_divide_is_refused() -> None:
    with pytest.raises(ValueError, match="multiples of 8"):
        detector()(torch.zeros(1, 1, 20, 16, 16))
    with pytest.raises(ValueError, match="`width`"):
        Detector(width=12)
    assert np.isfinite(detector()(torch.zeros(1, 1, 8, 16, 24))[0].detach().numpy()).all()
