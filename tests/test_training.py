"""The training loop: determinism, history, hooks, and that it optimises what it says."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from common.training import Batch, Losses, runtime, seeded, train


def line_data(n: int = 24) -> Batch:
    x = torch.linspace(-1, 1, n)[:, None]
    return {"x": x, "y": 2 * x + 0.5}


def squared_error(model: nn.Module, batch: Batch) -> Losses:
    return {"fit": (model(batch["x"]) - batch["y"]).square().mean()}


def network() -> nn.Module:
    # Dropout draws from torch's own generator in every step.
    return nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Dropout(0.2), nn.Linear(8, 1))


def parameters(model: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def fit(seed: int = 3, **options: object):
    settings = {"epochs": 3, "batch_size": 5, "seed": seed, "fabric": runtime(device="cpu")}
    return train(network, squared_error, line_data(), **(settings | options))


def test_the_same_seed_gives_the_same_parameters_bit_for_bit() -> None:
    assert torch.equal(parameters(fit().model), parameters(fit().model))


def test_another_seed_gives_other_parameters() -> None:
    assert not torch.equal(parameters(fit(3).model), parameters(fit(4).model))


def test_the_global_seed_does_not_matter_and_is_left_alone() -> None:
    torch.manual_seed(0)
    first = parameters(fit().model)
    torch.manual_seed(99)
    expected = torch.rand(3)
    torch.manual_seed(99)
    second = parameters(fit().model)
    assert torch.equal(first, second)
    assert torch.equal(torch.rand(3), expected)


def test_the_seeded_block_restores_the_state_when_it_fails() -> None:
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    with pytest.raises(TypeError), seeded(1, torch.device("cpu")):
        torch.rand(torch.rand(1))
    assert torch.equal(torch.rand(2), expected)


def test_a_line_is_learnt() -> None:
    fitted = train(
        lambda: nn.Linear(1, 1),
        squared_error,
        line_data(),
        epochs=150,
        batch_size=8,
        seed=0,
        lr=0.05,
    )
    slope, intercept = parameters(fitted.model).tolist()
    assert slope == pytest.approx(2.0, abs=0.02)
    assert intercept == pytest.approx(0.5, abs=0.02)


def test_one_step_is_adams_first_step_by_hand() -> None:
    # Adam's first step has length lr in every coordinate, against the gradient's sign.
    def zeros() -> nn.Module:
        layer = nn.Linear(1, 1)
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
        return layer

    fitted = train(zeros, squared_error, line_data(), epochs=1, batch_size=24, seed=0, lr=0.1)
    assert parameters(fitted.model).tolist() == pytest.approx([0.1, 0.1], rel=1e-5)


def test_the_history_holds_the_mean_loss_over_cases_not_over_batches() -> None:
    def first_column(model: nn.Module, batch: Batch) -> Losses:
        return {"mean": batch["x"].mean() + 0 * model(batch["x"]).sum()}

    data = {"x": torch.tensor([[0.0], [0.0], [9.0]])}
    fitted = train(lambda: nn.Linear(1, 1), first_column, data, epochs=2, batch_size=2, seed=1)
    assert fitted.history["value"].tolist() == pytest.approx([3.0, 3.0])
    assert fitted.history["epoch"].tolist() == [1, 2]
    assert set(fitted.history["metric"]) == {"mean_loss"}


def test_every_case_is_seen_once_in_an_epoch_and_in_another_order_in_the_next() -> None:
    seen: list[int] = []

    def note(model: nn.Module, batch: Batch) -> Losses:
        seen.extend(batch["case"].tolist())
        return squared_error(model, batch)

    data = line_data(11) | {"case": torch.arange(11)}
    train(network, note, data, epochs=2, batch_size=4, seed=0)
    assert sorted(seen[:11]) == sorted(seen[11:]) == list(range(11))
    assert seen[:11] != seen[11:]


def test_evaluation_runs_at_the_given_epochs_without_gradients_or_dropout() -> None:
    calls: list[tuple[int, bool, bool]] = []

    def evaluate(model: nn.Module, epoch: int) -> dict[str, float]:
        calls.append((epoch, model.training, torch.is_grad_enabled()))
        return {"score": epoch / 10}

    fitted = fit(epochs=4, evaluate=evaluate, evaluate_at=(2, 4))
    assert calls == [(2, False, False), (4, False, False)]
    scores = fitted.history.query("metric == 'score'")
    assert scores["value"].tolist() == [0.2, 0.4]


def test_evaluating_in_between_does_not_change_the_training() -> None:
    plain = parameters(fit(epochs=4).model)
    watched = fit(epochs=4, evaluate=lambda model, epoch: {}, evaluate_at=(1, 2, 3))
    assert torch.equal(plain, parameters(watched.model))


def test_a_snapshot_equals_the_end_of_a_shorter_run() -> None:
    long, short = fit(epochs=5, keep=(3, 5)), fit(epochs=3)
    for name, tensor in short.model.state_dict().items():
        assert torch.equal(long.snapshots[3][name], tensor)
    assert not torch.equal(long.snapshots[3]["0.weight"], long.snapshots[5]["0.weight"])


class Doubled:
    """A balance that minimises twice the sum and keeps what it was given."""

    def __init__(self) -> None:
        self.epochs = 0
        self.shapes: set[tuple[int, ...]] = set()

    def start_epoch(self) -> None:
        self.epochs += 1

    def __call__(self, losses: Losses, shared: list[Tensor]) -> Tensor:
        self.shapes |= {tuple(p.shape) for p in shared}
        return 2 * sum(losses.values())

    def report(self) -> dict[str, float]:
        return {"fit_weight": 2.0}


def test_the_balance_gets_the_shared_parameters_and_a_call_at_each_epoch() -> None:
    balance = Doubled()
    fitted = fit(balance=balance, shared=lambda model: list(model[0].parameters()))
    assert balance.epochs == 3
    assert balance.shapes == {(8, 1), (8,)}
    assert fitted.history.query("metric == 'fit_weight'")["value"].tolist() == [2.0] * 3


def test_what_the_balance_returns_is_what_is_minimised() -> None:
    # Minus the loss makes the same network worse.
    class Negated(Doubled):
        def __call__(self, losses: Losses, shared: list[Tensor]) -> Tensor:
            return -sum(losses.values())

    better, worse = fit(epochs=20, lr=0.01), fit(epochs=20, lr=0.01, balance=Negated())
    last = [
        f.history.query("epoch == 20 and metric == 'fit_loss'")["value"].item()
        for f in (better, worse)
    ]
    assert last[0] < last[1]


def test_no_progress_bar_unless_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    fit()
    assert capsys.readouterr() == ("", "")
    fit(progress=True)
    assert "epoch" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [({"epochs": 0}, "`epochs` must be at least 1"), ({"batch_size": 0}, "`batch_size` must be")],
)
def test_impossible_sizes_are_refused(options: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit(**options)


@pytest.mark.parametrize("data", [{"x": torch.zeros(3, 1), "y": torch.zeros(2, 1)}, {}])
def test_tensors_of_unequal_length_or_no_tensors_are_refused(data: Batch) -> None:
    with pytest.raises(ValueError, match="`data` must be tensors of one common length"):
        train(network, squared_error, data, epochs=1, batch_size=1, seed=0)


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(ValueError, match="`device` must be auto, cpu or cuda, got 'tpu'"):
        runtime(device="tpu")


def test_the_cpu_runs_in_full_precision() -> None:
    fabric = runtime(device="cpu")
    assert fabric.device == torch.device("cpu")
    assert fabric._precision.precision == "32-true"


def test_parameters_are_finite_numbers() -> None:
    assert np.isfinite(parameters(fit().model).numpy()).all()


class Steepness:
    """A balance that looks at the gradient of each task, as GradNorm does."""

    def __init__(self) -> None:
        self.norms: list[float] = []

    def start_epoch(self) -> None:
        pass

    def __call__(self, losses: Losses, shared: list[Tensor]) -> Tensor:
        (gradient,) = torch.autograd.grad(losses["fit"], shared, retain_graph=True)
        self.norms.append(gradient.norm().item())
        return losses["fit"]

    def report(self) -> dict[str, float]:
        return {}


def test_a_balance_may_differentiate_in_mixed_precision() -> None:
    seen = {}
    for precision in ("32-true", "bf16-mixed"):
        seen[precision] = Steepness()
        fit(
            epochs=1,
            balance=seen[precision],
            shared=lambda model: [model[0].weight],
            fabric=runtime(device="cpu", precision=precision),
        )
    full, mixed = (np.array(one.norms) for one in seen.values())
    np.testing.assert_allclose(mixed, full, rtol=0.05)
    assert not np.array_equal(mixed, full)
