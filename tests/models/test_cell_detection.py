"""The detectors: shapes, losses by hand, and that the branch leaves no trace in what predicts."""

import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from common.models import cell_detection as detectors
from common.models.cell_detection import Geometry, OneStage, TwoStage, focal_loss
from common.models.cell_detection_regularisation import Regularisation
from common.models.cell_detection_training import Arm, Trainee

SMALL = Geometry(size=32, box=8, width=8, proposals=8, found=8)


def image(n=2, seed=0):
    return torch.rand(n, 3, 32, 32, generator=torch.Generator().manual_seed(seed))


def boxes(n=2):
    found = torch.zeros(n, 2, 4)
    found[0, 0] = torch.tensor([4.0, 8, 12, 16])
    return found


def trainee(masking="none", stages=2):
    torch.manual_seed(0)
    arm = Arm("x", Regularisation(masking), stages=stages)
    return Trainee(arm, SMALL)


@pytest.mark.parametrize("kind", [TwoStage, OneStage])
def test_a_detector_gives_losses_in_training_and_boxes_inside_the_image_afterwards(kind):
    torch.manual_seed(0)
    detector = kind(SMALL)
    losses, features = detector(image(), boxes())
    assert all(torch.isfinite(loss) and loss >= 0 for loss in losses.values())
    assert [tuple(x.shape) for x in features] == [
        (2, 24, 8, 8),
        (2, 24, 4, 4),
        (2, 24, 2, 2),
    ]
    found, score = detector(image())
    assert found.shape == (2, 8, 4)
    assert score.shape == (2, 8)
    assert 0 <= found.min() <= found.max() <= 32
    assert (score.diff(dim=1) <= 0).all()


def test_every_anchor_has_the_size_of_the_boxes_and_lies_at_its_place():
    found = detectors.anchors(SMALL)
    assert len(found) == 64 + 16 + 4
    assert (found[:, 2:] - found[:, :2]).eq(8).all()
    centres = (found[:, 2:] + found[:, :2]) / 2
    assert centres[[0, 1, 8, 64, 80]].tolist() == [[2, 2], [2, 6], [6, 2], [4, 4], [8, 8]]


@pytest.mark.parametrize("stages", [1, 2])
def test_patches_without_figures_have_no_box_loss(stages):
    detector = trainee(stages=stages).detector
    losses, _ = detector(image(), torch.zeros(2, 2, 4))
    for name, loss in losses.items():
        assert (loss == 0) == name.endswith("_box"), name


def test_the_first_loss_of_the_proposals_is_that_of_a_coin():
    """With logits of 0 the cross-entropy is log 2, whatever is sampled."""
    head = trainee().detector.first
    places = detectors.anchors(SMALL).expand(2, -1, -1)
    zero = torch.zeros(2, places.shape[1])
    losses = head.losses(zero, torch.zeros(2, places.shape[1], 4), places, boxes())
    assert losses["proposal_class"].item() == pytest.approx(math.log(2), rel=1e-6)


def test_the_box_loss_counts_how_far_the_code_is_off():
    """One anchor covers the box exactly, so that its code is zero: |c| summed over 4 numbers."""
    head = trainee().detector.first
    places = detectors.anchors(SMALL)[None]
    target = torch.zeros(1, 1, 4)
    target[0, 0] = places[0, 27]
    codes = torch.full((1, places.shape[1], 4), 0.5)
    torch.manual_seed(0)
    losses = head.losses(torch.zeros(1, places.shape[1]), codes, places, target)
    # 64 anchors are sampled; the box of stride 8 with IoU under 0.7 is ignored or negative
    assert losses["proposal_box"].item() == pytest.approx(4 * 0.5 / 64, rel=1e-6)


def test_proposals_are_the_best_anchors_when_codes_are_zero():
    head = trainee().detector.first
    places = detectors.anchors(SMALL)[None]
    logits = torch.full((1, places.shape[1]), -5.0)
    logits[0, 27] = 5.0
    proposals = head.propose(logits, torch.zeros(1, places.shape[1], 4), places)
    assert proposals[0, 0].tolist() == places[0, 27].tolist()


def test_focal_loss_by_hand_and_without_focus():
    logits, target = torch.tensor([0.0, 2.0]), torch.tensor([1.0, 0.0])
    found = focal_loss(logits, target)
    p = 1 / (1 + math.exp(-2))
    assert found[0].item() == pytest.approx(0.25 * 0.25 * math.log(2), rel=1e-5)
    assert found[1].item() == pytest.approx(-0.75 * p**2 * math.log(1 - p), rel=1e-5)
    plain = torch.nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    unfocused = focal_loss(logits, target, alpha=0.5, gamma=0.0)
    assert unfocused.allclose(0.5 * plain)


def test_a_figure_is_learnt_by_heart():
    """Sixty steps on one image must find its box; a broken target, code or loss would not."""
    torch.manual_seed(0)
    detector = TwoStage(SMALL)
    scene, target = torch.full((1, 3, 32, 32), 0.8), torch.zeros(1, 2, 4)
    scene[:, :, 6:10, 10:14] = 0.1
    target[0, 0] = torch.tensor([4.0, 8, 12, 16])
    optimiser = torch.optim.Adam(detector.parameters(), lr=3e-3)
    for _ in range(60):
        optimiser.zero_grad()
        torch.stack(list(detector(scene, target)[0].values())).sum().backward()
        optimiser.step()
    with torch.inference_mode():
        found, score = detector.eval()(scene)
    assert score[0, 0] > 0.8
    assert (found[0, 0] - target[0, 0]).abs().max() < 2.0


@pytest.mark.parametrize("masking", ["stochastic", "adaptive", "open"])
@pytest.mark.parametrize("stages", [1, 2])
def test_one_seed_gives_the_same_detector_with_and_without_the_branch(masking, stages):
    plain, regularised = trainee(stages=stages), trainee(masking, stages)
    assert plain.branch is None
    assert regularised.branch is not None
    for (name, one), (other_name, other) in zip(
        plain.detector.state_dict().items(), regularised.detector.state_dict().items(), strict=True
    ):
        assert name == other_name
        assert one.equal(other)


@pytest.mark.parametrize("masking", ["stochastic", "adaptive"])
def test_prediction_runs_the_same_operations_whatever_the_arm(masking):
    """Equal graphs, operation by operation, and equal answers for equal weights."""
    plain, regularised = trainee().eval(), trainee(masking).eval()
    assert operations(plain) == operations(regularised)
    for one, other in zip(plain(image()), regularised(image()), strict=True):
        assert one.equal(other)


def operations(module):
    """List the tensor operations of one prediction, with the shapes that they work on."""
    seen = []

    class Follow(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            shapes = [tuple(each.shape) for each in args if isinstance(each, torch.Tensor)]
            seen.append((str(function), shapes))
            return function(*args, **(kwargs or {}))

    with torch.no_grad(), Follow():
        module(image())
    return seen


def test_the_branch_costs_operations_in_training_only():
    def cost(masking, *given):
        module = trainee(masking)
        with FlopCounterMode(display=False) as counter:
            module(*given)
        return counter.get_total_flops()

    assert cost("adaptive", image(), boxes()) > cost("none", image(), boxes())
    assert cost("adaptive", image()) == cost("none", image())


def test_the_loss_of_the_branch_is_weighed_and_reaches_the_backbone():
    for weight in (0.0, 2.0):
        torch.manual_seed(0)
        module = Trainee(Arm("x", Regularisation("open", weight=weight)), SMALL)
        loss = module(image(), boxes())["regularisation"]
        loss.backward()
        first = module.detector.pyramid.backbone.stem[0].weight.grad
        assert (loss == 0) == (weight == 0)
        assert (first.abs().sum() == 0) == (weight == 0)


def test_the_published_network_is_one_width_away():
    geometry = Geometry(size=64, box=16, width=0)
    assert geometry.strides == (4, 8, 16, 32)
    detector = TwoStage(geometry).eval()
    with torch.inference_mode():
        found, _ = detector(torch.zeros(1, 3, 64, 64))
    assert found.shape == (1, 16, 4)
    assert detector.second.hidden[1].out_features == 1024
