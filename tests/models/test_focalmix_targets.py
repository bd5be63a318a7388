"""Target prediction: sharpening in closed form, flips that map back exactly."""

import pytest
import torch

from common.models import focalmix_targets as targets
from common.models.detection import Anchors, make_anchors, unflip
from common.models.focalmix_targets import (
    FLIPS,
    Predicted,
    average,
    confident_boxes,
    draw_flips,
    flip,
    predict,
    sharpen,
)


def test_sharpening_equals_its_formula_and_its_limits() -> None:
    p = torch.linspace(0.001, 0.999, 101, dtype=torch.float64)
    for temperature in (0.3, 0.5, 0.7):
        up, down = p ** (1 / temperature), (1 - p) ** (1 / temperature)
        torch.testing.assert_close(sharpen(p, temperature), up / (up + down))
    torch.testing.assert_close(sharpen(p, 1.0), p)
    torch.testing.assert_close(sharpen(p, 1e-6), (p > 0.5).double() + (p == 0.5).double() / 2)
    ends = torch.tensor([0.0, 0.5, 1.0])
    assert sharpen(ends, 0.7).tolist() == [0.0, 0.5, 1.0]
    with pytest.raises(ValueError, match="`temperature`"):
        sharpen(p, 0.0)


def test_sharpening_twice_multiplies_the_temperatures() -> None:
    p = torch.tensor([0.1, 0.4, 0.8], dtype=torch.float64)
    torch.testing.assert_close(sharpen(sharpen(p, 0.7), 0.5), sharpen(p, 0.35))


def test_flips_are_eight_different_ones_and_each_undoes_itself() -> None:
    assert len(set(FLIPS)) == 8
    x = torch.rand(2, 1, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    for axes in FLIPS:
        assert torch.equal(flip(flip(x, axes), axes), x)
    seen = {draw_flips(1, generator=torch.Generator().manual_seed(s))[0] for s in range(60)}
    assert seen == set(FLIPS)
    for k in (0, 9):
        with pytest.raises(ValueError, match="`k`"):
            draw_flips(k, generator=torch.Generator())


def test_the_average_of_one_prediction_without_sharpening_is_that_prediction() -> None:
    p = torch.rand(1, 2, 5, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(average(p, 1.0), p[0])
    pair = torch.tensor([[[0.2]], [[0.6]]])
    torch.testing.assert_close(average(pair, 0.5), sharpen(torch.tensor([[0.4]]), 0.5))


def voxels(side: int = 4) -> Anchors:
    return make_anchors((side,) * 3, strides=(1,), sides=((1,),))


def voxelwise(image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """One anchor a voxel: logits and shifts are the voxels themselves."""
    flat = image.flatten(1)
    return flat, flat[:, :, None].expand(-1, -1, 6)


def test_predictions_of_a_voxelwise_network_agree_under_every_flip() -> None:
    x = torch.randn(2, 1, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    found = predict(voxelwise, x, voxels(), FLIPS)
    assert found.prob.shape == (8, 2, 64)
    for each in found.prob:
        torch.testing.assert_close(each, torch.sigmoid(x.flatten(1)))
    # a shift is reversed with the axis: half of the flips reverse each, so that the mean is zero
    torch.testing.assert_close(found.offsets[..., :3], torch.zeros(2, 64, 3))
    torch.testing.assert_close(found.offsets[..., 3:], x.flatten(1)[..., None].expand(-1, -1, 3))


def test_an_inverse_that_forgets_one_axis_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(1, 1, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    right = predict(voxelwise, x, voxels(), FLIPS).prob
    monkeypatch.setattr(
        targets, "unflip", lambda values, anchors, axes: unflip(values, anchors, axes[:1])
    )
    wrong = predict(voxelwise, x, voxels(), FLIPS).prob
    assert right.std(dim=0).max() < 1e-6
    assert wrong.std(dim=0).max() > 0.1


def test_targets_carry_no_gradient() -> None:
    weight = torch.tensor(2.0, requires_grad=True)
    x = torch.ones(1, 1, 2, 2, 2)
    found = predict(lambda image: voxelwise(weight * image), x, voxels(2), [()])
    assert not found.prob.requires_grad
    assert not found.offsets.requires_grad


def test_only_confident_boxes_are_objects_and_overlapping_ones_count_once() -> None:
    anchors = make_anchors((8, 8, 8), strides=(4,), sides=((4, 4),))
    prob = torch.full((2, 2, 16), 0.1)
    prob[:, 0, :2] = torch.tensor([0.97, 0.95])  # two anchors of one place
    prob[0, 1, 4], prob[1, 1, 4] = 1.0, 0.7  # confident under one flip only
    predicted = Predicted(prob, torch.zeros(2, 16, 6))
    found = confident_boxes(predicted, anchors, at_least=0.9)
    assert [len(boxes) for boxes in found] == [1, 0]
    assert found[0].tolist() == [[0.0, 0, 0, 4, 4, 4]]
    assert len(confident_boxes(predicted, anchors, at_least=0.85)[1]) == 1
