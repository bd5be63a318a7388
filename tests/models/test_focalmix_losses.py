"""The soft-target focal loss against the focal loss, closed forms and finite differences."""

import math

import numpy as np
import pytest
import torch

from common.models.focalmix_losses import (
    LOSSES,
    AnchorLoss,
    focal_loss,
    normalised,
    prior_logit,
    soft_focal_loss,
)

LOGITS = torch.linspace(-9, 9, 61, dtype=torch.float64)


@pytest.mark.parametrize("y", [0.0, 1.0])
@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0, 3.5])
def test_at_hard_targets_the_soft_loss_is_the_focal_loss(y: float, gamma: float) -> None:
    target = torch.full_like(LOGITS, y)
    settings = {"alpha_0": 0.05, "alpha_1": 0.95, "gamma": gamma}
    soft, hard = (f(LOGITS, target, **settings) for f in (soft_focal_loss, focal_loss))
    torch.testing.assert_close(soft, hard, rtol=1e-10, atol=1e-14)


def test_both_losses_equal_their_formulas_written_out() -> None:
    p = 1 / (1 + np.exp(-LOGITS.numpy()))
    for y in (0.0, 0.2, 0.5, 0.9, 1.0):
        entropy = -y * np.log(p) - (1 - y) * np.log(1 - p)
        expected = (0.05 + y * 0.9) * np.abs(y - p) ** 2 * entropy
        found = soft_focal_loss(LOGITS, torch.full_like(LOGITS, y))
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9, atol=1e-15)
    positive = focal_loss(LOGITS, torch.ones_like(LOGITS)).numpy()
    np.testing.assert_allclose(positive, -0.95 * (1 - p) ** 2 * np.log(p), rtol=1e-9)
    negative = focal_loss(LOGITS, torch.zeros_like(LOGITS)).numpy()
    np.testing.assert_allclose(negative, -0.05 * p**2 * np.log(1 - p), rtol=1e-9)


def test_without_focus_and_with_equal_weights_it_is_half_the_cross_entropy() -> None:
    target = torch.rand(61, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = torch.nn.functional.binary_cross_entropy_with_logits(
        LOGITS, target, reduction="none"
    )
    found = soft_focal_loss(LOGITS, target, alpha_0=0.5, alpha_1=0.5, gamma=0.0)
    torch.testing.assert_close(found, expected / 2)


@pytest.mark.parametrize("y", [0.1, 0.35, 0.5, 0.8])
def test_it_is_zero_only_where_the_probability_is_the_target(y: float) -> None:
    p = torch.linspace(0.01, 0.99, 99, dtype=torch.float64)
    found = soft_focal_loss(torch.logit(p), torch.full_like(p, y))
    assert p[found.argmin()].item() == pytest.approx(y)
    assert found.min().item() == pytest.approx(0.0, abs=1e-20)
    away = (p - y).abs()
    assert (found[away > 0.005] > 0).all()


def test_the_gradient_is_right_by_finite_differences() -> None:
    generator = torch.Generator().manual_seed(1)
    logits = 3 * torch.randn(40, dtype=torch.float64, generator=generator)
    target = torch.rand(40, dtype=torch.float64, generator=generator)
    target[:4] = torch.tensor([0.0, 1.0, 0.0, 1.0])
    for loss in LOSSES.values():
        y = (target >= 0.5).double() if loss.hard else target
        assert torch.autograd.gradcheck(
            lambda z, y=y, loss=loss: loss(z, y), logits.requires_grad_()
        )


def test_the_gradient_at_the_target_is_zero_and_finite() -> None:
    y = torch.tensor([0.3, 0.5, 0.7], dtype=torch.float64)
    logits = torch.logit(y).requires_grad_()
    soft_focal_loss(logits, y).sum().backward()
    torch.testing.assert_close(logits.grad, torch.zeros_like(y), atol=1e-12, rtol=0)


def test_targets_get_no_gradient() -> None:
    target = torch.tensor([0.4], requires_grad=True)
    logits = torch.tensor([1.0], requires_grad=True)
    soft_focal_loss(logits, target).sum().backward()
    assert target.grad is None
    assert logits.grad is not None


def test_extreme_logits_stay_finite_in_single_precision() -> None:
    logits = torch.tensor([-200.0, 200.0]).requires_grad_()
    for y in (0.0, 0.5, 1.0):
        loss = soft_focal_loss(logits, torch.full((2,), y)).sum()
        (gradient,) = torch.autograd.grad(loss, logits)
        assert torch.isfinite(loss)
        assert torch.isfinite(gradient).all()


def test_the_focal_loss_refuses_a_soft_target_and_bad_exponents_are_refused() -> None:
    with pytest.raises(ValueError, match="must be 0 or 1"):
        focal_loss(torch.zeros(2), torch.tensor([1.0, 0.25]))
    with pytest.raises(ValueError, match="`gamma`"):
        soft_focal_loss(torch.zeros(1), torch.zeros(1), gamma=0.5)


def test_hard_labels_round_a_mixed_target_to_the_dominant_one() -> None:
    logits = torch.tensor([0.3, 0.3, -1.0])
    mixed = torch.tensor([0.7, 0.49, 0.5])
    torch.testing.assert_close(
        AnchorLoss(0.05, 0.95, hard=True)(logits, mixed),
        focal_loss(logits, torch.tensor([1.0, 0.0, 1.0])),
    )


def test_the_ablations_switch_off_what_their_names_say() -> None:
    y = torch.tensor([0.0, 1.0])
    far, near = torch.tensor([3.0, -3.0]), torch.tensor([-3.0, 3.0])
    ratio = {name: loss(near, y) / loss(far, y) for name, loss in LOSSES.items()}
    entropy = math.log1p(math.exp(-3)) / math.log1p(math.exp(3))
    for name in ("no-beta", "cross-entropy"):  # an anchor that is right is not weighed down
        assert ratio[name].tolist() == pytest.approx([entropy, entropy])
    focus = entropy * math.exp(-6)
    for name in ("soft-focal", "no-alpha"):
        assert ratio[name].tolist() == pytest.approx([focus, focus], rel=1e-4)
    for name, share in (("soft-focal", 3), ("no-beta", 3), ("no-alpha", 1), ("cross-entropy", 1)):
        background, nodule = LOSSES[name](far, y).tolist()
        assert nodule / background == pytest.approx(share)


def test_the_sum_is_divided_by_the_number_of_counted_positives() -> None:
    loss = torch.tensor([2.0, 4.0, 8.0, 100.0])
    target, counted = torch.tensor([1.0, 0.5, 0.49, 1.0]), torch.tensor([1.0, 1.0, 1.0, 0.0])
    assert normalised(loss, target, counted).item() == pytest.approx(14 / 2)
    # without positives nothing is divided by zero, and background does not count in thousands
    assert normalised(loss, torch.full((4,), 0.2), counted).item() == pytest.approx(14.0)


def test_the_prior_is_the_probability_that_the_bias_gives() -> None:
    assert 1 / (1 + math.exp(-prior_logit(0.01))) == pytest.approx(0.01)
    with pytest.raises(ValueError, match="`share`"):
        prior_logit(1.0)
