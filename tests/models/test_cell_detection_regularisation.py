"""Contextual regularisation: masks, gates and the loss against what they must be by hand."""

import math

import pytest
import torch

from common.models.cell_detection_regularisation import (
    ContextualRegularisation,
    PositionGate,
    Reconstruction,
    Regularisation,
    reconstruction_loss,
    stochastic_mask,
)


def branch(**changes):
    torch.manual_seed(0)
    return ContextualRegularisation(
        Regularisation(**({"masking": "stochastic"} | changes)), channels=16, sizes=[(4, 4), (2, 2)]
    )


def features(seed=0):
    torch.manual_seed(seed)
    return [torch.randn(3, 16, 4, 4), torch.randn(3, 16, 2, 2)]


def silence(module):
    """Make the transformer the identity: both residual branches add nothing."""
    for head in module.heads:
        for block in head.blocks:
            for layer in (block.self_attn.out_proj, block.linear2):
                torch.nn.init.zeros_(layer.weight)
                torch.nn.init.zeros_(layer.bias)
    for place in module.places:
        torch.nn.init.zeros_(place)


@pytest.mark.parametrize("ratio", [0.25, 0.5, 0.75])
def test_the_share_of_masked_positions_is_q(ratio):
    mask = stochastic_mask(400, 100, ratio=ratio, generator=torch.Generator().manual_seed(0))
    assert set(mask.unique().tolist()) == {0.0, 1.0}
    assert (mask == 0).float().mean().item() == pytest.approx(ratio, abs=0.01)


def test_the_generator_decides_and_the_global_seed_does_not_matter():
    drawn = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        mask = stochastic_mask(2, 50, ratio=0.5, generator=torch.Generator().manual_seed(7))
        drawn.append(mask)
    assert drawn[0].equal(drawn[1])


def test_all_channels_of_a_position_are_masked_together():
    module = branch()
    mask = module.masks(features())[0]
    assert mask.shape == (3, 1, 16)
    masked = features()[0].flatten(2) * mask
    gone = (masked == 0).all(dim=1)
    assert gone.equal(mask[:, 0] == 0)


def test_nothing_masked_and_an_identity_head_lose_nothing():
    module = branch(masking="open")
    silence(module)
    assert module(features()).item() == 0


def test_an_identity_head_loses_exactly_what_was_masked():
    """With z = k x the error is x^2 where k is 0: L_reg = mean of (1 - k) x^2."""
    module = branch()
    silence(module)
    module.generator.manual_seed(5)
    found = module(features())
    module.generator.manual_seed(5)
    masks = module.masks(features())
    expected = torch.stack(
        [
            ((1 - mask) * x.flatten(2).square()).mean()
            for x, mask in zip(features(), masks, strict=True)
        ]
    ).mean()
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)


def test_an_adaptive_gate_with_an_identity_head_is_lowered_by_opening_or_by_shrinking():
    """The two trivial ways to a small loss: L_reg = mean of (1 - s)^2 x^2."""
    module = branch(masking="adaptive")
    silence(module)
    x = features()
    losses = []
    for gate_logit in (-2.0, 0.0, 2.0):
        for gate in module.gates:
            torch.nn.init.constant_(gate.squeeze.weight, 0.0)
            gate.expand.register_forward_hook(
                lambda _, __, out, value=gate_logit: out * 0 + value, always_call=True
            )
        losses.append(module(x).item())
        s = 1 / (1 + math.exp(-gate_logit))
        power = torch.stack([each.square().mean() for each in x]).mean().item()
        assert losses[-1] == pytest.approx((1 - s) ** 2 * power, rel=1e-5)
        for gate in module.gates:
            gate.expand._forward_hooks.clear()
    assert losses[0] > losses[1] > losses[2]
    halves = [0.5 * each for each in x]
    assert module(halves).item() == pytest.approx(0.25 * module(x).item(), rel=1e-5)


def test_the_gate_follows_equations_3_and_4():
    gate = PositionGate(4, 3, reduction=2)
    with torch.no_grad():
        gate.squeeze.weight.copy_(torch.tensor([[1.0, 0, 0, 0], [0, -1.0, 0, 0]]))
        gate.expand.weight.copy_(torch.tensor([[1.0, 1], [0, 1], [-1, 0]]))
    x = torch.zeros(1, 4, 3)
    x[0, 0], x[0, 1] = torch.tensor([0.0, 1, 2]), torch.tensor([3.0, 3, 3])
    # v = (1, 3, ..): relu(W1 v) = (1, 0), W2 of it = (1, 0, -1)
    expected = torch.sigmoid(torch.tensor([1.0, 0, -1]))
    assert gate(x)[0, 0].tolist() == pytest.approx(expected.tolist(), abs=1e-6)


def test_the_gate_has_the_number_of_weights_that_follows_from_its_equation():
    """C C/r + P C/r: 266 thousand at stride 4 of a 512 px patch, 20 thousand at stride 16."""
    for stride, expected in ((4, 266_240), (16, 20_480)):
        positions = (512 // stride) ** 2
        gate = PositionGate(256, positions, reduction=16)
        assert sum(p.numel() for p in gate.parameters()) == expected


def test_a_detached_target_gives_the_features_no_gradient_through_it():
    x = torch.randn(2, 4, 5, requires_grad=True)
    rebuilt = torch.zeros_like(x)
    reconstruction_loss(x, rebuilt).backward()
    assert x.grad.allclose(2 * x.detach() / x.numel())
    free = torch.randn(2, 4, 5, requires_grad=True)
    loss = reconstruction_loss(free, 0.5 * free, detach=True)
    loss.backward()
    # only the reconstruction side: d/dx (x0 - x/2)^2 = -(x0 - x/2)
    assert free.grad.allclose(-0.5 * free.detach() / free.numel())


@pytest.mark.parametrize("masking", ["stochastic", "adaptive", "open"])
def test_gradients_of_the_branch_agree_with_finite_differences(masking):
    module = branch(masking=masking, n_blocks=1, n_heads=2).double()
    x = [each.double().requires_grad_() for each in features(3)]

    def loss(*given):
        module.generator.manual_seed(11)
        return module(list(given))

    assert torch.autograd.gradcheck(loss, tuple(x), fast_mode=True)


def test_positions_are_tokens_so_that_a_shuffle_of_them_is_a_shuffle_of_the_answer():
    torch.manual_seed(0)
    head = Reconstruction((16, 9), n_blocks=2, n_heads=8)
    x, order = torch.randn(1, 16, 9), torch.randperm(9)
    assert head(x)[:, :, order].allclose(head(x[:, :, order]), atol=1e-5)


def test_channels_can_be_tokens_instead():
    torch.manual_seed(0)
    head = Reconstruction((6, 16), n_blocks=1, n_heads=8, tokens="channel")
    x, order = torch.randn(1, 6, 16), torch.randperm(6)
    assert head(x)[:, order].allclose(head(x[:, order]), atol=1e-5)
    module = ContextualRegularisation(
        Regularisation("stochastic", tokens="channel", n_heads=2),
        channels=6,
        sizes=[(4, 4), (2, 2)],
    )
    assert len(module.heads) == 2
    assert torch.isfinite(module([torch.randn(1, 6, 4, 4), torch.randn(1, 6, 2, 2)]))


def test_the_places_tell_masked_positions_apart():
    module = branch(n_blocks=1)
    nothing = torch.zeros(1, 16, 16)
    assert module.heads[0](nothing, module.places[0]).std(dim=2).min() > 0
    assert module.heads[0](nothing).std(dim=2).max() < 1e-6


def test_the_report_has_the_values_of_a_half_open_gate():
    module = branch(masking="adaptive")
    for gate in module.gates:
        torch.nn.init.zeros_(gate.expand.weight)
    silence(module)
    x = [2 * torch.ones(1, 16, 4, 4), 2 * torch.ones(1, 16, 2, 2)]
    assert module.report(x) == pytest.approx(
        {"gate": 0.5, "gate_entropy": 1.0, "feature_rms": 2.0, "reconstruction": 0.25}
    )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"ratio": 1.0}, r"`ratio` must lie in \[0, 1\), got 1.0"),
        ({"weight": -1.0}, "`weight` must be 0 or more, got -1.0"),
        ({"n_heads": 5}, "`n_heads` must divide the 16 numbers of a token, got 5"),
        ({"masking": "none"}, "`masking` must not be 'none'"),
    ],
)
def test_settings_that_cannot_be_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        branch(**wrong)
