"""Training of the gel networks: schedule, precision, reproducibility, corrections."""

import numpy as np
import pytest
import torch

from common.models.ife import SINGLE, decompose
from common.models.ife_losses import Pull
from common.models.ife_training import Arm, fit, learning_rate, nine_way, predict, to_input
from common.training import runtime


@pytest.fixture(scope="module")
def toy():
    """Gels whose class can be seen: a dark row for the heavy and a dark column for the light."""
    rng = np.random.default_rng(0)
    label = np.arange(72) % 9
    heavy, light = decompose(label)
    image = rng.integers(200, 256, (72, 3, 32, 24)).astype(np.uint8)
    for i, (h, m) in enumerate(zip(heavy, light, strict=True)):
        if h:
            image[i, :2, 6 * h : 6 * h + 3] = 40
        if m:
            image[i, :2, :, 8 * m : 8 * m + 3] = 90
    return image, {"label": label, "heavy": heavy, "light": light}


def train(toy, arm, *, seed=0, epochs=2, **options):
    image, codes = toy
    return fit(
        lambda: arm.build(4),
        image,
        codes,
        arm=arm,
        epochs=epochs,
        batch_size=24,
        seed=seed,
        **options,
    )


def weights(fitted):
    return torch.cat([p.detach().flatten() for p in fitted.model.parameters()])


def test_the_learning_rate_climbs_for_a_twentieth_and_falls_as_a_cosine() -> None:
    rate = [learning_rate(s, n_steps=1000, peak=0.03) for s in range(1000)]
    assert rate[0] == 0
    assert rate[25] == pytest.approx(0.015)
    assert max(rate) == rate[50] == pytest.approx(0.03)
    assert rate[525] == pytest.approx(0.015)
    assert 0 < rate[999] < 1e-6
    assert np.argmax(rate) == 50


def test_grey_levels_become_minus_one_to_one() -> None:
    image = np.array([0, 255, 51], np.uint8).reshape(1, 3, 1, 1)
    assert to_input(image, runtime(device="cpu")).flatten().tolist() == pytest.approx([-1, 1, -0.6])
    assert to_input(image, runtime(device="cpu", precision="bf16-mixed")).dtype == torch.bfloat16


@pytest.mark.parametrize("arm", [Arm(pull=Pull(0.3, 0.3), lr=0.1), nine_way(augment=True)])
def test_the_same_seed_gives_the_same_weights_and_another_seed_others(toy, arm) -> None:
    first, again, other = (train(toy, arm, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(weights(first), weights(again))
    assert first.history.equals(again.history)
    assert not torch.equal(weights(first), weights(other))


def test_the_global_random_state_neither_matters_nor_moves(toy) -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first = train(toy, Arm())
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(6)
    assert torch.equal(weights(first), weights(train(toy, Arm())))


def test_a_network_learns_what_can_be_seen_and_predicts_it(toy) -> None:
    image, codes = toy
    fitted = train(toy, Arm(lr=0.1), epochs=40)
    last = fitted.history[fitted.history["epoch"] == 40].set_index("metric")["value"]
    assert last["heavy"] < 0.1
    assert last["light"] < 0.1
    found = predict(fitted.model, image)
    assert (found.codes["heavy"] == codes["heavy"]).mean() > 0.95
    assert found.maps["heavy"][-1].shape == (72, 4)


def test_bfloat16_stays_close_to_float32(toy) -> None:
    single = train(toy, Arm(), fabric=runtime(device="cpu"), epochs=1)
    mixed = train(toy, Arm(), epochs=1)
    one, two = (each.history["value"].to_numpy() for each in (single, mixed))
    np.testing.assert_allclose(one, two, rtol=0.03)
    assert all(p.dtype == torch.float32 for p in mixed.model.parameters())


def test_regularisers_enter_the_history_only_where_switched_on(toy) -> None:
    assert set(train(toy, Arm(), epochs=1).history["metric"]) == {"heavy", "light"}
    both = train(toy, Arm(pull=Pull(0.3, 0.3)), epochs=1)
    assert set(both.history["metric"]) == {"heavy", "light", "inner", "inter"}


def test_watched_sets_are_predicted_after_every_epoch_and_change_nothing(toy) -> None:
    image, _ = toy
    watched = train(toy, nine_way(), epochs=3, watch={"test": image[:10]})
    assert watched.watched["test"]["label"].shape == (3, 10)
    last = predict(watched.model, image[:10]).codes["label"]
    assert (watched.watched["test"]["label"][-1] == last).all()
    assert torch.equal(weights(watched), weights(train(toy, nine_way(), epochs=3)))


def test_corrections_of_the_imbalance_call_more_gels_of_the_small_class(toy) -> None:
    image, codes = toy
    rare = np.concatenate(
        [np.flatnonzero(codes["light"] == 1), np.flatnonzero(codes["light"] == 2)[:2]]
    )
    subset = image[rare], {"label": (codes["light"][rare] - 1)}
    called = {}
    for correction in ("none", "weights", "logits"):
        arm = nine_way(tasks={"label": 2}, correction=correction, lr=0.02)
        fitted = fit(
            lambda arm=arm: arm.build(4), *subset, arm=arm, epochs=6, batch_size=13, seed=0
        )
        called[correction] = int(predict(fitted.model, image).codes["label"].sum())
    assert called["weights"] > called["none"]
    assert called["logits"] > called["none"]


def test_a_single_task_needs_no_codes_of_the_other(toy) -> None:
    image, codes = toy
    arm = nine_way(tasks=dict(SINGLE))
    fitted = fit(
        lambda: arm.build(4),
        image,
        {"label": codes["label"]},
        arm=arm,
        epochs=1,
        batch_size=24,
        seed=0,
    )
    assert predict(fitted.model, image).maps == {"label": []}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "`epochs` must be at least 1"),
        ({"batch_size": 0}, "`batch_size` must be at least 1"),
        ({"codes": {"heavy": np.zeros(3, int), "light": np.zeros(3, int)}}, "one entry an image"),
    ],
)
def test_a_training_that_cannot_be_is_refused(toy, changes, message) -> None:
    image, codes = toy
    options = {"codes": codes, "epochs": 1, "batch_size": 8} | changes
    with pytest.raises(ValueError, match=message):
        fit(lambda: Arm().build(4), image, options.pop("codes"), arm=Arm(), seed=0, **options)
