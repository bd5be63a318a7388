"""Losses of SOS: values worked by hand, gradients, and where each is silent."""

import math

import pytest
import torch

from common.models.sos_losses import LOSSES, executive_loss, losses, paradoxical_loss, policy_loss


def probabilities(*rows):
    return torch.tensor(rows, dtype=torch.float64)


def test_paradoxical_loss_is_the_mean_of_what_the_high_network_falls_short():
    low = probabilities([0.7, 0.3], [0.2, 0.8], [0.5, 0.5])
    high = probabilities([0.4, 0.6], [0.9, 0.1], [0.5, 0.5])
    # 0.7 - 0.4, then 0.8 - 0.1, then nothing
    assert paradoxical_loss(low, high, torch.tensor([0, 1, 0])) == pytest.approx(1.0 / 3)
    # seen from the other classes the high network is the surer one
    assert paradoxical_loss(low, high, torch.tensor([1, 0, 0])) == 0


def test_paradoxical_loss_falls_by_the_low_and_rises_by_the_high_probability_of_the_truth():
    low = probabilities([0.7, 0.3]).requires_grad_()
    high = probabilities([0.4, 0.6]).requires_grad_()
    paradoxical_loss(low, high, torch.tensor([0])).backward()
    assert low.grad.tolist() == [[1, 0]]
    assert high.grad.tolist() == [[-1, 0]]


@pytest.mark.parametrize(
    ("low", "high", "hesitation", "hubris"),
    [
        ([0.6, 0.4], [1.0, 0.0], 0.25, 0),  # right, unsure: c + epsilon - 0.6
        ([0.82, 0.18], [1.0, 0.0], 0.03, 0),  # right, above c and under c + epsilon
        ([0.9, 0.1], [0.0, 1.0], 0, 0),  # right and sure, whatever the other says
        ([0.1, 0.9], [1.0, 0.0], 0, 0.1),  # wrong and proud, could be corrected: 0.9 - c
        ([0.3, 0.7], [1.0, 0.0], 0, 0),  # wrong, but it would be sent on
        ([0.1, 0.9], [0.0, 1.0], 0, 0),  # both wrong: the dead zone
    ],
)
def test_executive_loss_acts_on_the_slides_it_is_for(low, high, hesitation, hubris):
    found = executive_loss(
        probabilities(low), probabilities(high), torch.tensor([0]), c=0.8, epsilon=0.05
    )
    assert float(found["hesitation"]) == pytest.approx(hesitation)
    assert float(found["hubris"]) == pytest.approx(hubris)


def test_executive_loss_is_averaged_over_all_slides_of_the_batch():
    low, high = probabilities([0.6, 0.4], *[[0.9, 0.1]] * 3), probabilities(*[[1.0, 0.0]] * 4)
    found = executive_loss(low, high, torch.zeros(4, dtype=torch.long), c=0.8, epsilon=0.05)
    assert float(found["hesitation"]) == pytest.approx(0.25 / 4)


def test_gates_carry_no_gradient_to_the_high_network():
    low = probabilities([0.6, 0.4], [0.1, 0.9]).requires_grad_()
    high = probabilities([0.9, 0.1], [0.8, 0.2]).requires_grad_()
    parts = executive_loss(low, high, torch.tensor([0, 0]), c=0.8, epsilon=0.05)
    sum(parts.values()).backward()
    assert high.grad is None
    # hesitation pushes the right answer up, hubris the wrong one down, each over two slides
    assert low.grad.tolist() == [[-0.5, 0], [0, 0.5]]


@pytest.fixture
def batch():
    torch.manual_seed(0)
    logits = {name: torch.randn(40, 4, dtype=torch.float64) for name in ("low", "high")}
    return logits, torch.randint(4, (40,))


def test_every_loss_is_a_switch_and_they_do_not_change_each_other(batch):
    logits, label = batch
    together = losses(logits, label)
    assert set(together) == set(LOSSES)
    assert all(value > 0 for value in together.values())
    for name in LOSSES:
        alone = losses(logits, label, which=(name,))
        assert list(alone) == [name]
        assert float(alone[name]) == float(together[name])


def test_cross_entropies_are_mean_negative_log_probabilities(batch):
    logits, label = batch
    for name, stream in (("ce1", "low"), ("ce2", "high")):
        p = logits[stream].softmax(1)[torch.arange(40), label]
        assert float(losses(logits, label)[name]) == pytest.approx(float(-p.log().mean()))


def test_weights_scale_both_parts_of_the_executive_loss(batch):
    logits, label = batch
    plain = losses(logits, label)
    scaled = losses(logits, label, lambda_1=3.0, lambda_2=0.5)
    assert float(scaled["hesitation"]) == pytest.approx(3 * float(plain["hesitation"]))
    assert float(scaled["hubris"]) == pytest.approx(0.5 * float(plain["hubris"]))


def test_classes_may_weigh_differently_in_the_cross_entropy():
    logits = {"low": torch.zeros(2, 4)}
    logits["low"][0, 0] = 5.0
    label = torch.tensor([0, 1])
    only_second = losses(logits, label, which=("ce1",), weight=torch.tensor([0.0, 1.0, 1.0, 1.0]))
    assert float(only_second["ce1"]) == pytest.approx(math.log(4))


@pytest.mark.parametrize("which", [("ce3",), ("ce2",), ("paradoxical",)])
def test_a_loss_of_a_stream_that_is_not_there_is_refused(which):
    with pytest.raises(ValueError, match="`which` must name losses"):
        losses({"low": torch.zeros(1, 4)}, torch.tensor([0]), which=which)


def test_policy_gradient_points_to_the_better_reward_on_average():
    """Its mean over sampled actions is the gradient of the expected reward."""
    right, wrong = torch.tensor([5.0, 0.0]), torch.tensor([0.0, 5.0])
    label = torch.tensor([0])
    for low, high in ((wrong, right), (right, right)):
        zoom = torch.tensor([0.3], requires_grad=True)
        share = zoom.sigmoid().detach()
        total = torch.zeros(1)
        for action, chance in ((1.0, share), (0.0, 1 - share)):
            loss = policy_loss(
                zoom, low[None], high[None], label, cost=0.1, action=torch.tensor([action])
            )
            total = total + chance * torch.autograd.grad(loss, zoom)[0]
        stay, go = float(low is right), 1 - 0.1
        expected = -(go - stay) * share * (1 - share)
        torch.testing.assert_close(total, expected)


def test_the_bonus_pulls_the_policy_to_an_even_chance():
    zoom = torch.tensor([2.0, -2.0], requires_grad=True)
    same = torch.tensor([[5.0, 0.0]] * 2)
    bonus = policy_loss(
        zoom, same, same, torch.tensor([0, 0]), cost=0.0, action=torch.ones(2), entropy=1.0
    )
    (gradient,) = torch.autograd.grad(bonus, zoom)
    # minus the derivative of the entropy: zoom pi (1 - pi), halved by the mean
    pi = torch.sigmoid(zoom.detach())
    torch.testing.assert_close(gradient, zoom.detach() * pi * (1 - pi) / 2)


def test_policy_loss_leaves_the_networks_alone():
    low = torch.randn(4, 4, requires_grad=True)
    high = torch.randn(4, 4, requires_grad=True)
    zoom = torch.zeros(4, requires_grad=True)
    action = torch.tensor([0.0, 1, 0, 1])
    policy_loss(zoom, low, high, torch.arange(4), cost=0.1, action=action).backward()
    assert low.grad is None
    assert high.grad is None
    assert zoom.grad is not None
