"""Training of the prunable U-Net: learns, repeats itself, sizes and times what it says."""

import numpy as np
import pytest
import torch
from polyp_networks import network, some

from common.models.polyp_pruning import UNet, count, layout, prune
from common.models.polyp_pruning_training import (
    Settings,
    augmented,
    fit,
    interleaved_seconds,
    matched_layout,
    probabilities,
    recalibrate,
    time_ratio,
    to_input,
)
from common.training import runtime


def squares(n, seed=0, size=32):
    """Draw bright squares on dark noise."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 80, (n, 3, size, size)).astype(np.uint8)
    mask = np.zeros((n, size, size), dtype=bool)
    for i, (y, x) in enumerate(rng.integers(2, size - 12, (n, 2))):
        mask[i, y : y + 10, x : x + 10] = True
    image += (150 * mask[:, None]).astype(np.uint8)
    return image, mask


def test_a_small_network_learns_squares_and_repeats_itself():
    image, mask = squares(48)
    settings = Settings(epochs=8, batch_size=8, lr=5e-3, augment=False)
    found = [fit(layout(2), image, mask, settings=settings, seed=1) for _ in range(2)]
    new, truth = squares(8, seed=9)
    first, second = (probabilities(model, new) for model, _ in found)
    assert np.array_equal(first, second)
    assert ((first > 0.5) == truth).mean() > 0.97
    history = found[0][1].history
    assert history["value"].iloc[-1] < 0.8 * history["value"].iloc[0]


def test_images_and_masks_are_turned_alike():
    torch.manual_seed(0)
    image = torch.randn(3, 3, 16, 16)
    for _ in range(12):
        changed, mask = augmented(image, image[:, :1])
        for one, target in zip(changed, mask, strict=True):
            # a colour is changed by gain and shift only
            assert np.corrcoef(one[0].flatten(), target.flatten())[0, 1] == pytest.approx(1)
    assert to_input(
        torch.tensor([[[[0]], [[255]], [[0]]]], dtype=torch.uint8)
    ).flatten().tolist() == [
        -1,
        1,
        -1,
    ]


def test_new_statistics_are_those_of_the_images():
    image, _ = squares(20)
    model = network(2)
    fabric = runtime(device="cpu", precision="32-true")
    recalibrate(model, image, fabric=fabric)
    with torch.no_grad():
        maps = model.convs[0](to_input(torch.from_numpy(image)))
    torch.testing.assert_close(model.norms[0].running_mean, maps.mean((0, 2, 3)))
    torch.testing.assert_close(model.norms[0].running_var, maps.var((0, 2, 3)))
    assert not model.training


def test_matched_layouts_cost_what_they_should():
    pruned = prune(network(8), some(layout(8), 0.3, np.random.default_rng(0)))
    wanted = count(pruned.plan, 64).macs
    found = matched_layout(wanted, 64)
    assert count(found, 64).macs == pytest.approx(wanted, rel=0.03)
    assert matched_layout(count(layout(5), 64).macs, 64) == layout(5)
    # same number of filters at both convolutions of a level, and on both ways
    assert found.filters[:2] == found.filters[-2:]


def test_a_larger_network_takes_longer_and_rounds_are_paired():
    models = {"large": UNet(layout(12)), "small": UNet(layout(1))}
    image = to_input(torch.zeros(20, 3, 64, 64, dtype=torch.uint8))
    fabric = runtime(device="cpu", precision="32-true")
    seconds = interleaved_seconds(models, image, repeats=5, fabric=fabric)
    assert {len(each) for each in seconds.values()} == {5}
    ratio, low, high = time_ratio(seconds["small"], seconds["large"], rng=np.random.default_rng(0))
    assert low <= ratio <= high
    assert ratio < 0.8


def test_ratio_of_known_times():
    slow = np.array([2.0, 4.0, 8.0])
    assert time_ratio(slow / 2, slow, rng=np.random.default_rng(0)) == (0.5, 0.5, 0.5)
