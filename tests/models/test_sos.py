"""Networks and switch of SOS: what the join, the detachment and the executive unit really do."""

import numpy as np
import pytest
import torch

from common.models.sos import (
    Classifier,
    Design,
    GatedAttention,
    NarrowEncoder,
    SOSNetwork,
    build_encoder,
    executive_unit,
)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return SOSNetwork(Design(), width=4, tile_width=2).eval()


def slides(n=2, n_tiles=4):
    torch.manual_seed(1)
    return torch.rand(n, 1, 32, 32), torch.rand(n, n_tiles, 1, 32, 32)


def n_weights(module):
    return sum(each.numel() for each in module.parameters())


@pytest.mark.parametrize("width", [1, 4, 16])
def test_weights_of_the_narrow_encoder_are_those_counted_by_hand(width):
    assert n_weights(NarrowEncoder(width)) == 25 * width + 90 * width**2 + 14 * width


def test_resnet18_has_the_published_number_of_weights_less_classifier_and_two_colours():
    # 11,689,512 in all; 513,000 in the classifier; 2 x 64 x 49 for the colours that are not there
    # and 896 biases that MONAI gives to the three convolutions of the shortcuts
    expected = 11_689_512 - 513_000 - 2 * 64 * 49 + (128 + 256 + 512)
    assert n_weights(build_encoder("resnet18", 64)) == expected
    assert build_encoder("resnet18", 8)(torch.zeros(2, 1, 64, 64)).shape == (2, 64)


@pytest.mark.parametrize(("kind", "width"), [("vgg", 4), ("narrow", 0)])
def test_an_unknown_encoder_is_refused(kind, width):
    with pytest.raises(ValueError, match="must be"):
        build_encoder(kind, width)


def test_low_probabilities_are_the_softmax_of_equation_2(network):
    low, _ = slides()
    v, found = network.look(low)
    a, b = network.low_classify.weight, network.low_classify.bias
    torch.testing.assert_close(found["low"], v @ a.T + b)


def test_the_join_adds_v_so_that_without_tiles_only_v_decides(network):
    low, tiles = slides()
    with torch.no_grad():
        network.high.project.weight.zero_()
        v, _ = network.look(low)
        expected = network.high.classify(network.high.norm(v))
        torch.testing.assert_close(network(low, tiles)["high"], expected)


def test_without_the_low_stream_tiles_decide_alone():
    torch.manual_seed(0)
    patch = SOSNetwork(Design(low=False), tile_width=2).eval()
    low, tiles = slides()
    assert set(patch(low, tiles)) == {"high"}
    torch.testing.assert_close(patch(low, tiles)["high"], patch(None, tiles)["high"])


def test_the_order_of_tiles_is_no_matter(network):
    low, tiles = slides()
    swapped = tiles[:, [2, 0, 3, 1]]
    torch.testing.assert_close(network(low, tiles)["high"], network(low, swapped)["high"])


def test_attention_is_an_average_and_equal_tiles_share_it():
    torch.manual_seed(0)
    attend = GatedAttention(6)
    pooled, weight = attend(torch.rand(3, 5, 6))
    torch.testing.assert_close(weight.sum(1), torch.ones(3))
    same = torch.rand(1, 1, 6)
    pooled, weight = attend(same.expand(2, 5, 6))
    torch.testing.assert_close(weight, torch.full((2, 5), 0.2))
    torch.testing.assert_close(pooled, same[:, 0].expand(2, 6))


def test_attention_follows_its_equation():
    torch.manual_seed(0)
    attend = GatedAttention(2, hidden=3)
    x = torch.rand(1, 2, 2)
    with torch.no_grad():
        v, u, w = (layer.weight.numpy() for layer in (attend.value, attend.gate, attend.score))
        b_v, b_u = (layer.bias.numpy() for layer in (attend.value, attend.gate))
        scores = [
            (w @ (np.tanh(v @ t + b_v) / (1 + np.exp(-(u @ t + b_u))))).item() for t in x[0].numpy()
        ]
        expected = np.exp(scores) / np.exp(scores).sum()
        np.testing.assert_allclose(attend(x)[1][0].numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize("detach", [False, True])
def test_a_detached_join_keeps_the_gradient_of_the_tiles_from_the_low_network(detach):
    torch.manual_seed(0)
    network = SOSNetwork(Design(detach=detach), width=2, tile_width=2)
    network(*slides())["high"].sum().backward()
    reached = [each.grad is not None for each in network.low_encoder.parameters()]
    assert any(reached) is not detach
    assert all(reached) is not detach
    assert all(each.grad is not None for each in network.high.encoder.parameters())


def test_a_detached_join_gives_the_same_answers(network):
    twin = SOSNetwork(Design(detach=True), width=4, tile_width=2).eval()
    twin.load_state_dict(network.state_dict())
    for name, logits in twin(*slides()).items():
        torch.testing.assert_close(logits, network(*slides())[name])


def test_the_policy_never_trains_the_feature_that_it_looks_at():
    torch.manual_seed(0)
    network = SOSNetwork(Design(policy=True), width=2, tile_width=2)
    _, found = network.look(slides()[0])
    found["zoom"].sum().backward()
    assert all(each.grad is None for each in network.low_encoder.parameters())
    assert all(each.grad is not None for each in network.policy.parameters())


def test_switching_adds_no_weight_to_multi_scale_and_a_policy_does():
    multi, rdms = (SOSNetwork(Design(policy=policy), width=4) for policy in (False, True))
    d = 16
    assert n_weights(rdms) - n_weights(multi) == 32 * d + 32 + 32 + 1


def test_classifiers_compute_in_single_precision_inside_bfloat16():
    torch.manual_seed(0)
    classify = Classifier(8, 4)
    x = torch.rand(5, 8)
    with torch.autocast("cpu", torch.bfloat16):
        inside = classify(x)
    assert inside.dtype == torch.float32
    torch.testing.assert_close(inside, classify(x), rtol=0, atol=0)


def test_the_unit_zooms_at_c_and_below():
    low = torch.tensor([[0.75, 0.25], [0.76, 0.24], [0.5, 0.5]])
    assert executive_unit(low, 0.75).tolist() == [True, False, True]
    assert executive_unit(low, 1.0).all()
    assert not executive_unit(low, 0.0).any()
    with pytest.raises(ValueError, match="`c` must lie in 0 to 1"):
        executive_unit(low, 1.5)


@pytest.mark.parametrize("parts", [{"low": False, "high": False}, {"high": False, "policy": True}])
def test_a_network_without_what_it_needs_is_refused(parts):
    with pytest.raises(ValueError, match="`Design` must have a stream"):
        Design(**parts)
