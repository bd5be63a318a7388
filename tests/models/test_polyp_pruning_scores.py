"""Scores of filters: against single backward passes, finite differences, and worked examples."""

import numpy as np
import pytest
import torch
from polyp_networks import network

from common.models.polyp_pruning import UNet, layout, masked
from common.models.polyp_pruning_scores import (
    REDUCTIONS,
    Terms,
    activity,
    chance,
    keep_best,
    magnitude,
    normalised_gradient,
    overlap,
    segmentation_error,
    taylor,
    taylor_terms,
    within_layers,
)


@pytest.fixture(scope="module")
def setting():
    torch.manual_seed(1)
    image = torch.randn(11, 3, 32, 32)
    mask = (torch.rand(11, 1, 32, 32) < 0.2).float()
    model = network(2)
    return model, image, mask, taylor_terms(model, image, mask)


def by_hand(model, image, mask, normalise=True):
    """Score as the paper writes it: one image at a time, y.backward(dy / |dy|)."""
    rows = []
    for one, target in zip(image, mask, strict=True):
        maps = []

        def keep(module, given, out, maps=maps):
            out.retain_grad()
            maps.append(out)

        handles = [conv.register_forward_hook(keep) for conv in model.convs]
        y = model(one[None])
        y.retain_grad()
        error = torch.nn.functional.binary_cross_entropy_with_logits(y, target[None])
        p = y.sigmoid()
        error = error + 1 - (2 * (p * target).sum() + 1) / ((p + target).sum() + 1)
        (dy,) = torch.autograd.grad(error, y, retain_graph=True)
        y.backward(dy / dy.norm() if normalise else dy)
        rows.append(torch.cat([(m * m.grad).sum((0, 2, 3)) for m in maps]).detach())
        for handle in handles:
            handle.remove()
    return torch.stack(rows).double().numpy()


def test_one_batched_pass_gives_what_single_passes_give(setting):
    model, image, mask, terms = setting
    for normalised in (True, False):
        rows = by_hand(model, image, mask, normalise=normalised)
        found = np.concatenate(taylor(terms, normalised=normalised))
        np.testing.assert_allclose(found, (rows**2).mean(0), rtol=2e-3)
        signed = np.concatenate(taylor(terms, squared=False, normalised=normalised))
        np.testing.assert_allclose(signed, rows.mean(0), rtol=2e-3, atol=1e-6)


def test_the_sum_is_the_first_order_change_of_the_output_along_the_gradient(setting):
    _, image, mask, _ = setting
    model, step = UNet(layout(2)).double().eval(), 1e-6
    image, mask = image[:1].double(), mask[:1].double()
    terms = taylor_terms(model, image, mask)
    with torch.no_grad():
        y = model(image)
        direction, _ = normalised_gradient(y, mask)
        for layer, filter_ in ((0, 1), (9, 3), (17, 0)):
            weight = model.convs[layer].weight
            before = weight[filter_].clone()
            weight[filter_] *= 1 + step  # scales the pre-activation x by 1 + step
            change = float(((model(image) - y) * direction).sum()) / step
            weight[filter_] = before
            assert terms.sums[layer][0, filter_] == pytest.approx(change, rel=1e-4, abs=1e-9)


def test_the_gradient_has_length_one_whatever_the_error(setting):
    model, image, mask, _ = setting
    y = model(image).detach()
    gradient, norm = normalised_gradient(y, mask)
    torch.testing.assert_close(gradient.flatten(1).norm(dim=1), torch.ones(11))
    scaled, larger = normalised_gradient(y, mask, lambda a, b: 7 * segmentation_error(a, b))
    torch.testing.assert_close(scaled, gradient)
    torch.testing.assert_close(larger, 7 * norm)
    flat, zero = normalised_gradient(y, mask, lambda a, b: 0 * a.sum((1, 2, 3)))
    assert not flat.any()
    assert not zero.any()


def test_the_error_is_that_of_the_closed_form():
    mask = torch.tensor([[[[1.0, 0.0]]]])
    # p = 1/2 everywhere: entropy log 2, Dice (2 * 1/2 + 1) / (1 + 1 + 1)
    expected = np.log(2) + 1 - 2 / 3
    assert float(segmentation_error(torch.zeros(1, 1, 1, 2), mask)) == pytest.approx(expected)
    sure = torch.tensor([[[[40.0, -40.0]]]])
    assert float(segmentation_error(sure, mask)) == pytest.approx(0, abs=1e-6)


def worked():
    """Two examples, one layer of two filters on four pixels, and one of one filter on one."""
    return Terms(
        sums=[np.array([[3.0, 1.0], [-3.0, 1.0]]), np.array([[2.0], [0.0]])],
        squares=[np.array([[5.0, 1.0], [5.0, 1.0]]), np.array([[4.0], [0.0]])],
        after=[np.array([[1.0, 2.0], [3.0, 2.0]]), np.array([[0.0], [4.0]])],
        activity=[np.array([[0.5, 0.0], [0.5, 1.0]]), np.array([[2.0], [4.0]])],
        pixels=np.array([4, 1]),
        norms=np.array([10.0, 1.0]),
    )


def test_scores_of_a_worked_example():
    def flat(scores):
        return np.concatenate(scores).tolist()

    assert flat(taylor(worked())) == [9, 1, 2]
    # opposite signs cancel: problem 1 of the paper
    assert flat(taylor(worked(), squared=False)) == [0, 1, 1]
    # the first example has ten times the gradient: problem 2
    assert flat(taylor(worked(), normalised=False)) == [454.5, 50.5, 200]
    assert flat(taylor(worked(), squared=False, normalised=False)) == [13.5, 5.5, 10]
    assert flat(taylor(worked(), reduction="mean")) == [9 / 16, 1 / 16, 2]
    assert flat(taylor(worked(), reduction="squares")) == [5, 1, 2]
    assert flat(taylor(worked(), reduction="mean-squares")) == [1.25, 0.25, 2]
    assert flat(taylor(worked(), place="normalisation")) == [5, 4, 8]
    assert flat(taylor(worked(), place="normalisation", reduction="mean")) == [5 / 16, 4 / 16, 8]
    assert flat(activity(worked())) == [0.5, 0.5, 3]
    assert flat(taylor(worked().some(np.array([1])))) == [9, 1, 0]
    with pytest.raises(ValueError, match="`squared` must be True for reduction 'squares'"):
        taylor(worked(), reduction="squares", squared=False)
    with pytest.raises(ValueError, match="`place` must be 'convolution' for 'mean-squares'"):
        taylor(worked(), reduction="mean-squares", place="normalisation")


def test_behind_the_normalisation_the_sum_is_the_change_when_the_channel_is_scaled(setting):
    _, image, mask, _ = setting
    model, step = network(2).double(), 1e-6
    image, mask = image[:1].double(), mask[:1].double()
    terms = taylor_terms(model, image, mask)
    with torch.no_grad():
        y = model(image)
        direction, _ = normalised_gradient(y, mask)
        for layer, filter_ in ((0, 1), (5, 3), (17, 0)):
            norm = model.norms[layer]
            before = norm.weight[filter_].clone(), norm.bias[filter_].clone()
            norm.weight[filter_] *= 1 + step  # both together scale the whole channel
            norm.bias[filter_] *= 1 + step
            change = float(((model(image) - y) * direction).sum()) / step
            norm.weight[filter_], norm.bias[filter_] = before
            assert terms.after[layer][0, filter_] == pytest.approx(change, rel=1e-4, abs=1e-9)
            assert terms.after[layer][0, filter_] != pytest.approx(
                terms.sums[layer][0, filter_], rel=1e-3
            )


def test_the_sign_of_the_mean_term_says_what_removal_does_to_the_error():
    # one layer whose channels are small, so that the first order tells
    torch.manual_seed(3)
    model = network(2).double()
    image = torch.randn(6, 3, 32, 32, dtype=torch.float64)
    mask = (torch.rand(6, 1, 32, 32) < 0.2).double()
    with torch.no_grad():
        for norm in (model.norms[9], model.norms[13]):
            norm.weight.mul_(1e-3)
            norm.bias.mul_(1e-3)
        whole = segmentation_error(model(image), mask).mean()
    terms = taylor_terms(model, image, mask)
    for layer in (9, 13):
        mean = taylor(terms, squared=False, normalised=False, place="normalisation")[layer]
        for filter_ in range(len(mean)):
            keep = [np.ones(n, dtype=bool) for n in model.plan.filters]
            keep[layer][filter_] = False
            with torch.no_grad(), masked(model, keep):
                change = segmentation_error(model(image), mask).mean() - whole
            assert float(change) == pytest.approx(-mean[filter_], rel=0.05, abs=1e-9)


def test_reductions_differ_by_the_pixels_of_a_layer_only(setting):
    *_, terms = setting
    found = {name: taylor(terms, reduction=name) for name in REDUCTIONS}
    for layer, n in enumerate(terms.pixels):
        np.testing.assert_allclose(found["mean"][layer] * n**2, found["sum"][layer])
        np.testing.assert_allclose(found["mean-squares"][layer] * n, found["squares"][layer])
        # Cauchy and Schwarz
        assert (found["sum"][layer] <= n * found["squares"][layer] * (1 + 1e-6)).all()


def test_terms_do_not_depend_on_the_batch_and_leave_the_network_alone(setting):
    _, image, mask, terms = setting
    model = network(2)
    again = taylor_terms(model, image[3:5], mask[3:5])
    for layer in range(18):
        np.testing.assert_allclose(again.sums[layer], terms.sums[layer][3:5], rtol=1e-3, atol=1e-6)
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    assert not model.convs[0]._forward_hooks


def test_a_filter_without_weights_has_no_score(setting):
    _, image, mask, _ = setting
    dead = network(2)
    best = int(taylor(taylor_terms(dead, image, mask))[5].argmax())
    with torch.no_grad():
        dead.convs[4].weight[1] = 0  # no input
        dead.convs[6].weight[:, best] = 0  # the next convolution no longer reads it
    scores = taylor(taylor_terms(dead, image, mask))
    assert scores[4][1] == 0
    # a filter at the end of level 3 is also read behind the skip
    assert scores[5][best] > 0
    with torch.no_grad():
        dead.convs[12].weight[:, dead.plan.raised[1] + best] = 0
    assert taylor(taylor_terms(dead, image, mask))[5][best] == 0


def test_magnitudes_are_sums_of_weights_and_means_of_one_by_layer(setting):
    model = setting[0]
    assert magnitude(model)[3][1] == pytest.approx(
        float(model.convs[3].weight[1].detach().abs().sum())
    )
    for each in magnitude(model, per_layer=True):
        assert each.mean() == pytest.approx(1)


def test_the_lowest_of_all_layers_go_and_every_layer_keeps_its_best():
    scores = [np.array([0.0, 0.1, 0.2]), np.array([5.0, 4.0]), np.array([9.0])]
    assert keep_best(scores, 2)[0].tolist() == [False, False, True]
    assert [k.tolist() for k in keep_best(scores, 3)] == [
        [False, False, True],
        [True, False],
        [True],
    ]
    assert all(k.all() for k in keep_best(scores, 0))
    for wrong in (-1, 4):
        with pytest.raises(ValueError, match="`n_remove` must be from 0 to 3"):
            keep_best(scores, wrong)


def test_ever_more_filters_go_with_the_same_scores(setting):
    scores = taylor(setting[3])
    before = np.ones(184, dtype=bool)
    for n_remove in (0, 10, 46, 60, 94, 166):
        now = np.concatenate(keep_best(scores, n_remove))
        assert now.sum() == 184 - n_remove
        assert not (now & ~before).any()
        before = now


def test_equal_quotas_take_the_same_share_of_every_layer(setting):
    quotas = [k.mean() for k in keep_best(within_layers(taylor(setting[3])), 46)]
    assert max(quotas) - min(quotas) <= 0.5  # layers of two filters lose none or one
    large = [
        k.mean() for k in keep_best(within_layers([np.arange(64.0), np.arange(32.0)[::-1]]), 24)
    ]
    assert large == [0.75, 0.75]


def test_overlap_is_one_with_itself_and_the_share_for_chance(setting):
    model = setting[0]
    rng = np.random.default_rng(0)
    scores = taylor(setting[3])
    assert overlap(scores, scores, 60) == 1
    drawn = [overlap(chance(model, rng), chance(model, rng), 60) for _ in range(200)]
    assert np.mean(drawn) == pytest.approx(60 / (184 - 18) * 60 / 60, abs=0.05)


def test_the_score_ranks_filters_by_what_their_removal_does(setting):
    # the point of the method: low scores change the output less than high ones
    model, image, _, terms = setting
    scores = taylor(terms)
    whole = model(image).detach()

    def change(scores):
        with torch.no_grad(), masked(model, keep_best(scores, 46)):
            return float((model(image) - whole).square().mean())

    assert change(scores) < 0.2 * change([-each for each in scores])
