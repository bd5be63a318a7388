"""Training: augmentation keeps boxes on their cells, one seed gives one network, arms differ."""

import numpy as np
import pytest
import torch

from common.models.cell_detection import Geometry
from common.models.cell_detection_regularisation import Regularisation
from common.models.cell_detection_training import (
    Arm,
    Trainee,
    augment_stain,
    mean_weights,
    predict,
    stain_matrix,
    train_arm,
    turn,
)
from common.phantoms.stains import EOSIN, HAEMATOXYLIN, transmit

SMALL = Geometry(size=32, box=8, width=8, proposals=8, found=8)


def patches(n=6):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (n, 3, 32, 32), dtype=np.uint8)
    boxes = np.zeros((n, 2, 4))
    boxes[::2, 0] = (4, 8, 12, 16)
    return image, boxes


def fit(arm=None, seed=0, **changes):
    options = {"geometry": SMALL, "epochs": 2, "batch_size": 3, "lr": 1e-3} | changes
    return train_arm(arm or Arm("baseline"), *patches(), seed=seed, **options)


@pytest.mark.parametrize("quarter", range(8))
def test_a_turned_box_frames_the_turned_cell(quarter):
    image = torch.zeros(1, 1, 16, 16)
    image[0, 0, 2:5, 7:13] = 1
    boxes = torch.tensor([[[2.0, 7, 5, 13], [0, 0, 0, 0]]])
    turned, moved = turn(image, boxes, quarter)
    y0, x0, y1, x1 = moved[0, 0].int().tolist()
    assert turned.sum() == 18
    assert turned[0, 0, y0:y1, x0:x1].eq(1).all()
    assert (y1 - y0) * (x1 - x0) == 18
    assert moved[0, 1].eq(0).all()


def test_the_eight_turns_are_different():
    image = torch.arange(9.0).view(1, 1, 3, 3)
    seen = {tuple(turn(image, torch.zeros(1, 1, 4), q)[0].flatten().tolist()) for q in range(8)}
    assert len(seen) == 8


def test_stain_augmentation_of_strength_0_changes_nothing():
    image = torch.rand(2, 3, 5, 5) * 0.9 + 0.05
    assert augment_stain(image, strength=0.0).allclose(image, atol=1e-5)


def test_stain_augmentation_scales_each_stain_of_an_image_by_one_factor():
    """The concentrations c of known stains become a c + b, the same a and b in all pixels."""
    amounts = np.array([[[0.8, 1.2, 0.6]], [[0.7, 0.5, 0.9]]])
    unit = [np.array(v) / np.linalg.norm(v) for v in (HAEMATOXYLIN, EOSIN)]
    image = torch.from_numpy(transmit(amounts, unit))[None]
    torch.manual_seed(3)
    changed = augment_stain(image, strength=0.2)
    torch.manual_seed(3)
    a, b = ((2 * torch.rand(2, 1, 3, 1, 1) - 1) * 0.2)[:, 0, :, 0, 0]
    found = -changed[0].log().permute(1, 2, 0) @ torch.linalg.inv(stain_matrix())
    expected = (1 + a) * torch.tensor([[0.8, 0.7, 0], [1.2, 0.5, 0], [0.6, 0.9, 0]]) + b
    assert (expected @ stain_matrix() > 0).all()  # else light would exceed 1 and be cut
    assert found[0].allclose(expected, atol=1e-4)


def test_images_of_a_batch_are_stained_apart():
    image = torch.full((2, 3, 2, 2), 0.5)
    torch.manual_seed(0)
    changed = augment_stain(image, strength=0.2)
    assert not changed[0].allclose(changed[1])
    assert (changed[0] - changed[0, :, :1, :1]).abs().max() < 1e-6


def test_the_same_seed_gives_the_same_network_and_another_seed_another():
    arm = Arm("scr", Regularisation("stochastic"))
    torch.manual_seed(1)
    first = fit(arm).model.state_dict()
    torch.manual_seed(2)
    again, other = fit(arm).model.state_dict(), fit(arm, seed=1).model.state_dict()
    assert all(first[name].equal(again[name]) for name in first)
    assert not all(first[name].equal(other[name]) for name in first)


def test_the_branch_changes_what_is_learnt_unless_its_weight_is_0():
    def detector(arm):
        weights = fit(arm, epochs=1, averaged=0.0).model.state_dict()
        return {name: w for name, w in weights.items() if ".detector." in f".{name}"}

    plain = detector(Arm("baseline"))
    weighty = detector(Arm("acr", Regularisation("adaptive")))
    idle = detector(Arm("acr", Regularisation("adaptive", weight=0.0)))
    assert plain.keys() == weighty.keys()
    assert all(plain[name].allclose(idle[name], atol=1e-6) for name in plain)
    assert not all(plain[name].allclose(weighty[name], atol=1e-6) for name in plain)


def test_the_history_follows_gate_and_features():
    history = fit(Arm("acr", Regularisation("adaptive"))).history
    metrics = set(history["metric"])
    assert {"gate", "gate_entropy", "feature_rms", "reconstruction"} <= metrics
    assert "regularisation_loss" in metrics
    assert set(fit().history["metric"]) & {"gate", "regularisation_loss"} == set()
    assert "feature_rms" in set(fit().history["metric"])


def test_the_weights_of_the_last_epochs_are_averaged():
    """Two epochs of which both count: half of each, and not the last alone."""
    last = fit(averaged=0.0).model.state_dict()
    mean = fit(averaged=1.0).model.state_dict()
    first = fit(averaged=0.0, epochs=1).model.state_dict()
    for name in last:
        assert mean[name].allclose((first[name] + last[name]) / 2, atol=1e-6), name


def test_counters_are_not_averaged():
    found = mean_weights([{"n": torch.tensor(3)}, {"n": torch.tensor(4)}])
    assert found["n"].item() == 4


def test_predictions_do_not_depend_on_the_size_of_the_batch():
    model = fit().model
    image, _ = patches()
    for one, other in zip(
        predict(model, image, batch_size=6), predict(model, image, batch_size=2), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_every_arm_of_the_chapter_can_be_built():
    for arm in (
        Arm("one", stages=1),
        Arm("channel", Regularisation("stochastic", tokens="channel", n_heads=2)),
        Arm("fine", Regularisation("adaptive"), levels=(0, 1, 2)),
    ):
        losses = Trainee(arm, SMALL)(torch.rand(2, 3, 32, 32), torch.zeros(2, 2, 4))
        assert all(torch.isfinite(loss) for loss in losses.values())


def test_patches_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r"shapes \(N, 3, 64, 64\) and \(N, G, 4\), got"):
        fit(geometry=Geometry(size=64))
