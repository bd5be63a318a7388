"""The regularisers against values worked by hand, limits, and what the two forms do."""

import math

import pytest
import torch
from scipy.spatial.distance import jensenshannon
from torch.nn import functional

from common.models.ife import Answer
from common.models.ife_losses import (
    Pull,
    balanced_weights,
    inner_printed,
    inner_released,
    inter_printed,
    inter_released,
    js_divergence,
    kl_divergence,
    log_prior,
    losses,
    regularise,
    sharpen,
)


@pytest.fixture
def maps():
    generator = torch.Generator().manual_seed(3)
    return torch.rand(6, 7, generator=generator, dtype=torch.float64) * 0.9 + 0.05


def test_a_divergence_worked_by_hand() -> None:
    # KL((1/2, 1/2) || (1/4, 3/4)) = log 2 - log(3)/2 ... = 1/2 log(4/3)
    a, b = torch.tensor([[0.5, 0.5]]), torch.tensor([[0.25, 0.75]])
    assert kl_divergence(a, b).item() == pytest.approx(0.5 * math.log(4 / 3))


def test_the_jensen_shannon_divergence_is_that_of_scipy(maps) -> None:
    one, two = sharpen(maps[:3], 1.0), sharpen(maps[3:], 1.0)
    expected = jensenshannon(one.numpy(), two.numpy(), axis=1) ** 2
    assert js_divergence(one, two).tolist() == pytest.approx(expected.tolist())
    assert js_divergence(one, two).tolist() == pytest.approx(js_divergence(two, one).tolist())
    assert js_divergence(one, one).abs().max() < 1e-12


def test_distributions_that_never_meet_are_log_two_apart() -> None:
    one = torch.tensor([[1 - 1e-12, 1e-12]], dtype=torch.float64)
    assert js_divergence(one, one.flip(1)).item() == pytest.approx(math.log(2), rel=1e-6)


def test_the_softmax_of_a_sigmoid_cannot_be_sharp() -> None:
    peak = torch.zeros(1, 7)
    peak[0, 2] = 1.0
    assert sharpen(peak, 1.0).max().item() == pytest.approx(math.e / (math.e + 6))
    assert sharpen(peak, 5.0).max().item() == pytest.approx(math.exp(5) / (math.exp(5) + 6))
    assert sharpen(peak, 1e-6).max().item() == pytest.approx(1 / 7, abs=1e-5)


def test_the_released_inner_term_is_the_sum_that_the_formula_says(maps) -> None:
    code = torch.tensor([0, 2, 0, 1, 3, 0])
    found = inner_released(maps, code, tau=5.0)
    by_hand = 0.0
    for weights, own in zip(maps, code.tolist(), strict=True):
        q = torch.softmax(weights, 0)
        target = torch.softmax(weights * 5 if own else weights / 5, 0)
        by_hand += (1.0 if own else 0.5) * float((target * (target.log() - q.log())).sum())
    assert found.item() == pytest.approx(by_hand)
    reference = functional.kl_div(
        torch.log_softmax(maps[3:4], 1), torch.softmax(5 * maps[3:4], 1), reduction="sum"
    )
    assert inner_released(maps[3:4], code[3:4], tau=5.0).item() == pytest.approx(reference.item())


def test_a_step_against_the_inner_term_sharpens_positives_and_smooths_negatives(maps) -> None:
    def spread(weights):
        share = torch.softmax(weights, 1)
        return -(share * share.log()).sum(1)

    for code, sign in ((torch.ones(6, dtype=torch.long), -1), (torch.zeros(6).long(), 1)):
        weights = maps.clone().requires_grad_()
        inner_released(weights, code, tau=5.0).backward()
        after = weights.detach() - 0.1 * weights.grad
        assert (sign * (spread(after) - spread(maps)) > 0).all()


def test_the_targets_of_the_inner_term_are_held_constant(maps) -> None:
    """With Q = softmax(M), the gradient of KL(P || Q) for constant P is Q - P."""
    weights = maps.clone().requires_grad_()
    inner_released(weights, torch.ones(6, dtype=torch.long), tau=5.0).backward()
    expected = torch.softmax(maps, 1) - torch.softmax(5 * maps, 1)
    torch.testing.assert_close(weights.grad, expected)


def test_temperature_one_leaves_nothing_to_pull(maps) -> None:
    code = torch.tensor([0, 1, 2, 0, 1, 2])
    assert inner_released(maps, code, tau=1.0).item() == pytest.approx(0.0, abs=1e-12)


def test_the_printed_inner_term_is_least_where_all_weights_are_one(maps) -> None:
    ones = torch.ones(1, 7, dtype=torch.float64)
    least = inner_printed(ones, tau=5.0).item()
    assert least == pytest.approx(-math.log(7))
    assert all(inner_printed(each[None], tau=5.0).item() > least for each in maps)
    weights = maps.clone().requires_grad_()
    inner_printed(weights, tau=5.0).backward()
    assert (weights.grad < 0).all()  # whatever the map, every weight is pulled up


def test_only_gels_with_both_chains_feel_the_inter_term(maps) -> None:
    heavy, light = maps[:3], maps[3:]
    both = torch.tensor([False, True, False])
    one = js_divergence(sharpen(heavy, 1.0), sharpen(light, 1.0))[1]
    assert inter_released(heavy, light, both).item() == pytest.approx(one.item())
    assert inter_printed(heavy, light, both).item() == pytest.approx(
        js_divergence(heavy, light)[1].item()
    )
    for compare in (inter_released, inter_printed):
        assert compare(heavy, light, ~both & both).item() == 0.0
        assert compare(heavy, heavy, both | True).item() == pytest.approx(0.0, abs=1e-12)


def test_the_hidden_factors_and_the_batch_enter_as_in_the_released_code(maps) -> None:
    codes = {"heavy": torch.tensor([0, 1, 2]), "light": torch.tensor([1, 1, 2])}
    every = {"heavy": [maps[:3] * 0.3, maps[:3]], "light": [maps[:3] * 0.3, maps[3:]]}
    terms = regularise(every, codes, Pull(inner=0.3, inter=0.2, tau=5.0))
    inner = sum(
        inner_released(own, codes[task], tau=5.0) for task, each in every.items() for own in each
    )
    assert terms["inner"].item() == pytest.approx(0.3 * 0.01 * 64 / 3 * inner.item())
    inter = inter_released(maps[:3], maps[3:], codes["heavy"] > 0)  # the shared stage adds 0
    assert terms["inter"].item() == pytest.approx(0.2 * 100 * 64 / 3 * inter.item())
    printed = regularise(every, codes, Pull(inner=0.3, inter=0.2, form="printed"))
    assert printed["inner"].item() == pytest.approx(
        0.3 * sum(inner_printed(own, tau=5.0).item() for each in every.values() for own in each)
    )
    assert regularise(every, codes, Pull()) == {}


def test_only_the_last_two_stages_are_pulled(maps) -> None:
    codes = {"heavy": torch.tensor([1, 1, 2]), "light": torch.tensor([1, 1, 2])}
    early = torch.full((3, 9), 0.5, dtype=torch.float64).requires_grad_()
    late = [maps[:3].clone().requires_grad_(), maps[3:].clone().requires_grad_()]
    every = {"heavy": [early, *late], "light": [early, *late[::-1]]}
    terms = regularise(every, codes, Pull(inner=1.0, inter=1.0))
    sum(terms.values()).backward()
    assert early.grad is None
    assert all(each.grad.abs().sum() > 0 for each in late)


def test_class_weights_average_one_over_the_cases_and_priors_sum_to_one() -> None:
    counts = torch.tensor([80.0, 15.0, 5.0])
    weights = balanced_weights(counts)
    assert (weights * counts).sum().item() == pytest.approx(100)
    assert (weights * counts).tolist() == pytest.approx([100 / 3] * 3)
    assert log_prior(counts).exp().sum().item() == pytest.approx(1.0)
    assert torch.isfinite(log_prior(torch.tensor([3.0, 0.0]))).all()


def test_adjusted_logits_and_class_weights_change_the_cross_entropy_as_defined() -> None:
    logits, codes = torch.tensor([[1.0, 0.0], [0.0, 2.0]]), {"label": torch.tensor([0, 1])}
    answer = Answer({"label": logits}, {"label": []})
    prior = torch.tensor([0.8, 0.2]).log()
    plain = losses(answer, codes, Pull())["label"]
    assert plain.item() == pytest.approx(
        float(torch.tensor([math.log(1 + math.exp(-1)), math.log(1 + math.exp(-2))]).mean())
    )
    adjusted = losses(answer, codes, Pull(), prior=prior)["label"]
    assert adjusted.item() == pytest.approx(
        (math.log(1 + 0.25 * math.exp(-1)) + math.log(1 + 4 * math.exp(-2))) / 2
    )
    weighted = losses(answer, codes, Pull(), weights=torch.tensor([1.0, 3.0]))["label"]
    assert weighted.item() == pytest.approx(
        (math.log(1 + math.exp(-1)) + 3 * math.log(1 + math.exp(-2))) / 4
    )
