"""GradNorm against hand values and autograd; arms train reproducibly and predict."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

from common.datasets.hep2_phantom import draw_specimens, render
from common.models.hep2_training import (
    Arm,
    EqualWeights,
    GradNorm,
    gradnorm_loss,
    predict,
    train_arm,
    turn,
)


def toy(scale: tuple[float, float] = (1.0, 3.0)) -> tuple[dict[str, Tensor], list[Tensor]]:
    """Two losses that are linear in a shared w = (1, 1): lengths of the gradients are ``scale``
    (L_1 = s_1 w_1, L_2 = s_2 w_2)."""
    w = torch.ones(2, requires_grad=True)
    return {"a": scale[0] * w[0], "b": scale[1] * w[1]}, [w]


def test_the_first_step_of_the_toy_worked_by_hand() -> None:
    # G = (1, 3), mean 2, r = (1, 1), L_grad = |1 - 2| + |3 - 2|; dL/dw = (-1, +3).  Adam's first
    # step has length lr: w = (1.1, 0.9), whose sum is 2 already.
    balance = GradNorm(2, alpha=0.5, lr=0.1)
    losses, shared = toy()
    total = balance(losses, shared)
    assert balance.trajectory["norm"].tolist() == [1.0, 3.0]
    assert balance.trajectory["weight"].tolist() == [1.0, 1.0]
    assert balance.weights.tolist() == pytest.approx([1.1, 0.9], abs=1e-6)
    # The total still has the weights from before the step.
    assert total.item() == pytest.approx(4.0)


def test_the_rates_of_the_second_batch_worked_by_hand() -> None:
    # L(0) = (1, 3); then L = (0.5, 3): ratios (1/2, 1), mean 3/4, r = (2/3, 4/3).
    weights = torch.tensor([1.0, 1.0], requires_grad=True)
    norms, ratios = torch.tensor([2.0, 2.0]), torch.tensor([0.5, 1.0])
    loss = gradnorm_loss(weights, norms, ratios, alpha=1.0)
    assert loss.item() == pytest.approx(2 * (1 - 2 / 3) + 2 * (4 / 3 - 1))
    (gradient,) = torch.autograd.grad(loss, weights)
    assert gradient.tolist() == [2.0, -2.0]


def test_a_larger_alpha_pulls_harder_towards_the_slower_task() -> None:
    norms, ratios = torch.ones(2), torch.tensor([0.5, 1.0])
    loss = [float(gradnorm_loss(torch.ones(2), norms, ratios, alpha=a)) for a in (0.0, 0.12, 1.5)]
    assert loss[0] == 0.0
    assert loss[0] < loss[1] < loss[2]


def test_the_gradient_of_the_balance_is_right_by_finite_differences() -> None:
    # With the target held at its value, as the definition demands.
    norms, ratios = torch.tensor([0.7, 2.0, 1.1]).double(), torch.tensor([0.9, 0.4, 0.6]).double()
    weights = torch.tensor([0.8, 1.3, 0.9], dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(gradnorm_loss(weights, norms, ratios, alpha=0.5), weights)
    w = weights.detach()
    target = (w * norms).mean() * (ratios / ratios.mean()) ** 0.5
    for i, step in enumerate(1e-6 * torch.eye(3).double()):
        up, down = (((w + s * step) * norms - target).abs().sum() for s in (1, -1))
        assert gradient[i].item() == pytest.approx(float(up - down) / 2e-6, rel=1e-6)


def test_alpha_zero_makes_the_gradients_equally_long() -> None:
    balance = GradNorm(3, alpha=0.0, lr=0.01)
    for _ in range(300):
        w = torch.ones(3, requires_grad=True)
        scaled = torch.tensor([0.5, 1.0, 4.0]) * w
        balance(dict(zip("abc", scaled, strict=True)), [w])
    last = balance.trajectory.tail(3)["norm"].to_numpy()
    np.testing.assert_allclose(last, last.mean(), rtol=0.08)
    # w_i is then proportional to 1 / length: (2, 1, 1/4) x 3 / 3.25.
    np.testing.assert_allclose(
        balance.weights.tolist(), np.array([2, 1, 0.25]) * 3 / 3.25, atol=0.05
    )


def test_weights_keep_their_sum_and_stay_positive() -> None:
    balance = GradNorm(3, alpha=1.5, lr=0.2)
    generator = torch.Generator().manual_seed(0)
    for _ in range(100):
        w = torch.ones(3, requires_grad=True)
        losses = torch.exp(3 * torch.randn(3, generator=generator)) * w
        balance(dict(zip("abc", losses, strict=True)), [w])
        assert balance.weights.sum().item() == pytest.approx(3.0, abs=1e-5)
        assert balance.weights.min() > 0


def test_the_network_gets_the_weighted_gradient_and_nothing_from_the_balance() -> None:
    balance = GradNorm(2, alpha=0.5, lr=0.1)
    balance(*toy())
    weights = balance.weights.detach().clone()
    losses, shared = toy()
    balance(losses, shared).backward()
    assert shared[0].grad.tolist() == pytest.approx([weights[0].item(), 3 * weights[1].item()])


def test_released_equals_textbook_in_the_first_step_when_the_stage_has_one_tensor() -> None:
    pair = [GradNorm(2, alpha=0.12, variant=v, lr=0.1) for v in ("textbook", "released")]
    for balance in pair:
        balance.start_epoch()
        balance(*toy())
    assert torch.equal(pair[0].weights, pair[1].weights)
    assert pair[0].trajectory.equals(pair[1].trajectory)


def test_released_takes_the_initial_losses_anew_in_each_epoch() -> None:
    # L halves for task a only; with a fresh L(0) both rates are 1 again.
    weights = {}
    for reset in (False, True):
        balance = GradNorm(2, alpha=2.0, lr=0.1, reset_each_epoch=reset)
        for level in (1.0, 0.25):
            balance.start_epoch()
            w = torch.ones(2, requires_grad=True)
            # Equal lengths; only the level of the first loss changes.
            losses = {"a": w[0] - 1 + level, "b": w[1]}
            balance(losses, [w])
        weights[reset] = balance.weights.tolist()
    assert weights[True] == pytest.approx([1.0, 1.0])
    assert weights[False][0] < 0.95 < weights[False][1]


def test_released_looks_at_the_first_tensor_of_the_stage_only() -> None:
    u, v = torch.ones(1, requires_grad=True), torch.ones(1, requires_grad=True)
    norms = {}
    for first_only in (False, True):
        balance = GradNorm(2, alpha=0.1, first_tensor_only=first_only)
        balance({"a": (3 * u + 4 * v).sum(), "b": (u + v).sum()}, [u, v])
        norms[first_only] = balance.trajectory["norm"].tolist()
    assert norms[False] == pytest.approx([5.0, np.sqrt(2)])
    assert norms[True] == pytest.approx([3.0, 1.0])


def test_the_variant_sets_both_departures_and_each_can_be_overridden() -> None:
    released = GradNorm(2, alpha=0.1, variant="released", reset_each_epoch=False)
    assert (released.reset_each_epoch, released.first_tensor_only) == (False, True)
    both = GradNorm(2, alpha=0.1, variant="released")
    assert (both.reset_each_epoch, both.first_tensor_only) == (True, True)
    textbook = GradNorm(2, alpha=0.1)
    assert (textbook.reset_each_epoch, textbook.first_tensor_only) == (False, False)
    with pytest.raises(ValueError, match="`variant` must be textbook or released, got 'paper'"):
        GradNorm(2, alpha=0.1, variant="paper")


def test_equal_weights_add_up_and_record_nothing() -> None:
    balance = EqualWeights()
    balance.start_epoch()
    assert balance(*toy()).item() == 4.0
    assert balance.report() == {}
    assert balance.trajectory.columns.tolist() == GradNorm(2, alpha=0.1).trajectory.columns.tolist()


@pytest.fixture(scope="module")
def data() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    table = draw_specimens(28, n_specimens=2, rng=rng, debris=0.0, bad_mask_patient=False)
    return render(table, size=32, n_patches=2).arrays()


TRAIN, TEST = np.arange(84), np.arange(84, 112)
SHORT = Arm("short", epochs=3, checkpoints=(2,))


def test_an_arm_trained_twice_predicts_the_same_bits(data: dict[str, np.ndarray]) -> None:
    results = []
    for global_seed in (1, 2):
        torch.manual_seed(global_seed)
        fitted, balance = train_arm(SHORT, data, TRAIN, seed=0, width=4)
        results.append((predict(fitted, data["image"][TEST]), balance.trajectory))
    for name, array in results[0][0].items():
        np.testing.assert_array_equal(array, results[1][0][name])
    assert results[0][1].equals(results[1][1])


def test_predictions_have_the_promised_forms(data: dict[str, np.ndarray]) -> None:
    fitted, balance = train_arm(SHORT, data, TRAIN, seed=0, width=4)
    out = predict(fitted, data["image"][TEST])
    assert out["label_prob"].shape == (28, 7)
    np.testing.assert_allclose(out["label_prob"].sum(axis=1), 1, rtol=1e-5)
    assert out["intensity_logit"].shape == (28,)
    assert out["mask"].shape == (28, 32, 32)
    assert out["mask"].dtype == bool
    assert set(balance.trajectory["task"]) == {"mask", "label", "intensity"}
    # 84 patches in batches of 16 are 6 steps; the weights of each epoch are in the history.
    assert balance.trajectory["step"].max() == 3 * 6 - 1
    weights = fitted.history[fitted.history["metric"].str.endswith("_weight")]
    assert weights.groupby("epoch")["value"].sum().tolist() == pytest.approx([3.0] * 3, abs=1e-5)


def test_the_size_of_the_chunks_does_not_change_predictions(data: dict[str, np.ndarray]) -> None:
    fitted, _ = train_arm(SHORT, data, TRAIN, seed=0, width=4)
    small, large = (predict(fitted, data["image"][TEST], batch_size=n) for n in (5, 256))
    np.testing.assert_allclose(small["label_prob"], large["label_prob"], atol=1e-5)


def test_a_checkpoint_predicts_like_the_shorter_arm(data: dict[str, np.ndarray]) -> None:
    fitted, _ = train_arm(SHORT, data, TRAIN, seed=0, width=4)
    shorter = dataclasses.replace(SHORT, epochs=2, checkpoints=())
    expected = predict(train_arm(shorter, data, TRAIN, seed=0, width=4)[0], data["image"][TEST])
    at_two = predict(fitted, data["image"][TEST], epoch=2)
    np.testing.assert_array_equal(at_two["intensity_logit"], expected["intensity_logit"])
    # Asking for a checkpoint leaves the network as it was.
    last = predict(fitted, data["image"][TEST])
    assert not np.array_equal(last["intensity_logit"], at_two["intensity_logit"])
    with pytest.raises(ValueError, match=r"`epoch` must be one of \[2, 3\], got 1"):
        predict(fitted, data["image"][TEST], epoch=1)


def test_a_single_task_arm_has_one_output_and_no_weights(data: dict[str, np.ndarray]) -> None:
    arm = Arm("label only", tasks=("label",), epochs=1)
    fitted, balance = train_arm(arm, data, TRAIN, seed=0, width=4)
    assert list(predict(fitted, data["image"][TEST])) == ["label_prob"]
    assert isinstance(balance, EqualWeights)
    assert set(fitted.history["metric"]) == {"label_loss"}


@pytest.mark.parametrize("weighting", ["equal", "textbook", "released"])
def test_a_short_training_learns_to_segment_and_to_see_brightness(data, weighting: str) -> None:
    arm = Arm("learn", weighting=weighting, epochs=12)
    fitted, _ = train_arm(arm, data, TRAIN, seed=0)
    losses = fitted.history.pivot(index="epoch", columns="metric", values="value")
    for task in ("mask", "intensity"):
        assert losses[f"{task}_loss"].iloc[-1] < 0.9 * losses[f"{task}_loss"].iloc[0]
    out = predict(fitted, data["image"][TEST])
    reference = data["mask"][TEST]
    overlap = 2 * (out["mask"] & reference).sum() / (out["mask"].sum() + reference.sum())
    assert overlap > 0.6


def test_alpha_and_mask_loss_of_the_arm_are_used(data: dict[str, np.ndarray]) -> None:
    def end(**changes: object) -> np.ndarray:
        arm = dataclasses.replace(Arm("x", epochs=2), **changes)
        # The gradient of L_grad is a sign times a length: alpha acts once a task meets its target.
        fitted, _ = train_arm(arm, data, TRAIN, seed=0, width=4, weight_lr=0.2)
        return predict(fitted, data["image"][TEST])["intensity_logit"]

    base = end()
    for changes in ({"alpha": 1.5}, {"mask_loss": "bce"}, {"weighting": "equal"}):
        assert not np.array_equal(end(**changes), base), changes


def test_eight_turns_are_the_symmetries_of_the_square() -> None:
    image = torch.arange(9.0).view(1, 1, 3, 3)
    batch = {"image": image, "mask": image, "label": torch.tensor([4])}
    moved = [turn(batch, quarter) for quarter in range(8)]
    assert len({tuple(m["image"].flatten().tolist()) for m in moved}) == 8
    for m in moved:
        torch.testing.assert_close(m["image"], m["mask"])
        assert m["label"] is batch["label"]
        assert sorted(m["image"].flatten().tolist()) == list(range(9))
    torch.testing.assert_close(moved[0]["image"], image)


def test_equal_weights_follow_the_gradient_lengths_and_leave_the_sum_alone():
    w = torch.tensor([3.0, 4.0], requires_grad=True)
    balance = EqualWeights()
    total = balance({"a": w[0] * 2, "b": (w * w).sum() / 2}, [w])
    assert total.item() == 6.0 + 12.5
    assert balance.trajectory["norm"].tolist() == [2.0, 5.0]
    assert balance.trajectory["weight"].tolist() == [1.0, 1.0]
