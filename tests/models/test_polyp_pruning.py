"""The prunable U-Net: the paper's number of filters, exact size, surgery equal to silence."""

import numpy as np
import pytest
import torch
from polyp_networks import network, some
from torch.utils.flop_counter import FlopCounterMode

from common.models.polyp_pruning import (
    LAYERS,
    Layout,
    UNet,
    count,
    fed_by,
    layout,
    level_of,
    masked,
    prune,
    pruned_layout,
)


def test_the_network_has_the_filters_of_the_paper_and_the_size_of_the_known_unet():
    plan = layout(32)
    assert plan.n_filters == 2944
    assert plan.n_filters / 4 == 736
    # the number printed for brain-segmentation-pytorch, and what torch counts
    model = UNet(plan)
    assert sum(p.numel() for p in model.parameters()) == 7_763_041
    assert count(plan, 256).parameters == 7_763_041


@pytest.mark.parametrize("width", [1, 3, 4.5])
def test_closed_forms_count_what_torch_counts(width):
    model = UNet(layout(width)).eval()
    with FlopCounterMode(display=False) as counter:
        model(torch.rand(1, 3, 32, 32))
    found = count(model.plan, 32)
    assert found.parameters == sum(p.numel() for p in model.parameters())
    assert 2 * found.macs == counter.get_total_flops()


def test_operations_grow_with_the_area_and_parameters_do_not():
    small, large = count(layout(2), 32), count(layout(2), 64)
    assert large.macs == 4 * small.macs
    assert large.parameters == small.parameters


@pytest.mark.parametrize("share", [0.1, 0.25, 0.325, 0.51, 0.9])
def test_the_small_network_equals_the_silenced_one(share):
    model, rng = network(), np.random.default_rng(3)
    keep = some(model.plan, share, rng)
    image = torch.randn(2, 3, 48, 48)
    with torch.no_grad():
        small = prune(model, keep)
        with masked(model, keep):
            silent = model(image)
        whole = model(image)
        torch.testing.assert_close(small(image), silent, atol=1e-5, rtol=0)
    assert (whole - silent).abs().max() > 1e-3
    counted = count(pruned_layout(model.plan, keep), 48)
    assert counted.parameters == sum(p.numel() for p in small.parameters())
    assert counted.macs < count(model.plan, 48).macs


@pytest.mark.parametrize("layer", range(len(LAYERS)))
def test_every_layer_can_lose_a_filter_alone(layer):
    model = network(2)
    keep = [np.ones(n, dtype=bool) for n in model.plan.filters]
    keep[layer][0] = False
    image = torch.randn(1, 3, 16, 16)
    with torch.no_grad(), masked(model, keep):
        torch.testing.assert_close(prune(model, keep)(image), model(image), atol=1e-5, rtol=0)


def test_removing_nothing_changes_nothing_and_leaves_the_network_alone():
    model = network()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    image = torch.randn(1, 3, 32, 32)
    small = prune(model, [np.ones(n, dtype=bool) for n in model.plan.filters])
    with torch.no_grad():
        torch.testing.assert_close(small(image), model(image), atol=0, rtol=0)
        small.out.weight.zero_()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_silence_ends_with_the_block():
    model, image = network(), torch.randn(1, 3, 32, 32)
    keep = some(model.plan, 0.5, np.random.default_rng(0))
    with torch.no_grad():
        before = model(image)
        with masked(model, keep):
            assert not torch.equal(model(image), before)
        assert torch.equal(model(image), before)


def test_a_silenced_convolution_would_not_be_enough():
    # the normalisation turns zeros into a constant, so the channel has to go behind it
    model, image = network(), torch.randn(1, 3, 16, 16)
    keep = [np.ones(n, dtype=bool) for n in model.plan.filters]
    keep[0][0] = False
    with torch.no_grad():
        small = prune(model, keep)(image)
        model.convs[0].weight[0] = 0
        assert (model(image) - small).abs().max() > 1e-4


def test_skips_carry_the_end_of_the_same_level():
    skips = {LAYERS[i]: LAYERS[fed_by(i)[1]] for i in range(18) if fed_by(i)[0] == "skip"}
    assert skips == {"up4a": "down4b", "up3a": "down3b", "up2a": "down2b", "up1a": "down1b"}
    assert [level_of(i) for i in range(18)] == [
        1,
        1,
        2,
        2,
        3,
        3,
        4,
        4,
        5,
        5,
        4,
        4,
        3,
        3,
        2,
        2,
        1,
        1,
    ]


def test_wrong_requests_are_refused():
    with pytest.raises(ValueError, match="`filters` must be 18 counts of at least 1"):
        Layout((0,) * 18, (1,) * 4)
    with pytest.raises(ValueError, match="`size` must be a multiple of 16, got 100"):
        count(layout(2), 100)
    with pytest.raises(ValueError, match="`keep` must have"):
        prune(network(2), [np.ones(1, dtype=bool)] * 18)
    with pytest.raises(ValueError, match=r"`width` must be at least 0\.5"):
        layout(0.1)
    model = network(2)
    empty = [np.ones(n, dtype=bool) for n in model.plan.filters]
    empty[5][:] = False
    with pytest.raises(ValueError, match="`filters` must be 18 counts of at least 1"):
        prune(model, empty)
