"""Training of SOS: it learns, it repeats itself, and it chooses epochs on other slides."""

import numpy as np
import pytest
import torch

from common.models.sos_losses import losses
from common.models.sos_training import (
    ARMS,
    Arm,
    Settings,
    decided,
    fastest,
    predict,
    train_arm,
    training_step,
    turned,
)
from common.training import runtime

QUICK = Settings(epochs=12, batch_size=8, width=4, tile_width=2, lr=5e-3)
NAMED = {arm.name: arm for arm in ARMS}


def textures(n, seed):
    """Classes 0 and 1 differ in brightness, 2 and 3 in a texture that shrinking averages out."""
    rng = np.random.default_rng(seed)
    label = np.arange(n) % 4
    stripes = np.indices((16, 16)).sum(0) % 2 - 0.5
    level = np.array([60, 120, 180, 180])[label]
    fine = np.array([0, 0, 0, 100])[label]
    tiles = level[:, None, None, None, None] + fine[:, None, None, None, None] * stripes
    tiles = tiles + rng.normal(0, 5, (n, 4, 1, 16, 16))
    low = np.repeat(np.repeat(level[:, None, None, None] / 255, 8, 2), 8, 3)
    low = low + rng.normal(0, 0.02, (n, 1, 8, 8))
    return {
        "low": low.astype(np.float32),
        "tiles": np.clip(tiles, 0, 255).astype(np.uint8),
        "label": label,
    }


def trained(arm, *, seed=0, settings=QUICK, precision=None, n=96):
    fabric = (
        fastest(device="cpu") if precision is None else runtime(device="cpu", precision=precision)
    )
    index = np.arange(n)
    fitted = train_arm(
        arm,
        textures(n, 1),
        train_index=index[n // 4 :],
        valid_index=index[: n // 4],
        settings=settings,
        seed=seed,
        fabric=fabric,
    )
    return fitted, predict(fitted, arm, textures(40, 2), fabric=fabric)


def right(found, stream):
    return found[stream].argmax(1) == textures(40, 2)["label"]


@pytest.fixture(scope="module")
def sos():
    return trained(NAMED["sos"])


def test_what_shrinking_hides_is_learnt_from_tiles_only(sos):
    _, found = sos
    label = textures(40, 2)["label"]
    coarse = label < 2
    assert right(found, "low")[coarse].all()
    assert right(found, "low")[~coarse].mean() < 0.7
    assert right(found, "high").mean() > 0.9


def test_it_is_unsure_where_it_cannot_know(sos):
    _, found = sos
    sure = found["low"].max(1)
    label = textures(40, 2)["label"]
    assert sure[label < 2].min() > sure[label >= 2].max()


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_the_same_seed_gives_the_same_bits_whatever_the_global_seed(precision):
    short = Settings(epochs=2, batch_size=8, width=4, tile_width=2, n_tiles=2)
    results = []
    for noise in (1, 2):
        torch.manual_seed(noise)
        np.random.seed(noise)  # noqa: NPY002
        _, found = trained(NAMED["rdms"], seed=5, settings=short, precision=precision, n=32)
        results.append(found)
    assert set(results[0]) == {"low", "high", "zoom"}
    for name, values in results[0].items():
        np.testing.assert_array_equal(values, results[1][name])
    _, other = trained(NAMED["rdms"], seed=6, settings=short, precision=precision, n=32)
    assert (other["low"] != results[0]["low"]).any()


def test_the_network_is_that_of_the_best_epoch_on_validation_slides(sos):
    fitted, _ = sos
    scores = fitted.history.query("metric == 'valid_accuracy'").set_index("epoch")["value"]
    assert list(scores.index) == list(range(7, 13))
    best = scores.index[scores == scores.max()].max()
    for name, values in fitted.model.state_dict().items():
        torch.testing.assert_close(values, fitted.snapshots[best][name], rtol=0, atol=0)


def test_arms_train_the_losses_and_streams_that_they_name():
    short = Settings(epochs=2, batch_size=16, width=2, tile_width=2)
    streams = {
        "image": {"low"},
        "repeat": {"low"},
        "patch": {"high"},
        "rdms": {"low", "high", "zoom"},
    }
    for arm in ARMS:
        fitted, found = trained(arm, settings=short, n=32)
        seen = set(fitted.history["metric"]) - {"valid_accuracy"}
        wanted = {f"{name}_loss" for name in arm.losses}
        assert seen == wanted | ({"policy_loss"} if arm.design.policy else set())
        assert set(found) == streams.get(arm.name, {"low", "high"})
        assert all(np.isfinite(values).all() for values in found.values())


def test_decisions_follow_the_arm():
    low = torch.tensor([[9.0, 0.0], [0.1, 0.0], [9.0, 0.0]])
    high = torch.tensor([[0.0, 1.0]] * 3)
    logits = {"low": low, "high": high, "zoom": torch.tensor([-1.0, -1.0, 1.0])}
    assert decided({"low": low}, NAMED["image"], c=0.8).tolist() == [0, 0, 0]
    assert decided(logits, NAMED["multi"], c=0.8).tolist() == [1, 1, 1]
    assert decided(logits, NAMED["sos"], c=0.8).tolist() == [0, 1, 0]
    assert decided(logits, NAMED["rdms"], c=0.8).tolist() == [0, 0, 1]


def test_turns_are_the_eight_symmetries_of_a_square():
    image = torch.arange(9.0).view(1, 3, 3)
    seen = {tuple(turned(image, quarter).flatten().tolist()) for quarter in range(8)}
    assert len(seen) == 8
    assert all(sorted(each) == list(range(9)) for each in seen)
    assert turned(image, 0).equal(image)


def test_a_step_draws_as_many_tiles_as_it_is_told(monkeypatch):
    seen = []

    def network(low, tiles):
        seen.append(tuple(tiles.shape))
        return {"low": torch.zeros(len(low), 4), "high": torch.zeros(len(low), 4)}

    batch = {
        "low": torch.zeros(2, 1, 4, 4),
        "tiles": torch.zeros(2, 9, 1, 4, 4, dtype=torch.uint8),
        "label": torch.tensor([0, 1]),
    }
    for n_tiles in (0, 3, 9, 20):
        training_step(Arm("x"), Settings(epochs=1, n_tiles=n_tiles))(network, batch)
    assert [shape[1] for shape in seen] == [9, 3, 9, 9]


def test_classes_weigh_by_their_inverse_frequency_where_asked(monkeypatch):
    seen = []

    def spy(logits, label, *, weight, **options):
        seen.append(weight)
        return losses(logits, label, weight=weight, **options)

    monkeypatch.setattr("common.models.sos_training.losses", spy)
    data = textures(20, 3)
    index = np.flatnonzero((data["label"] != 3) | (np.arange(20) == 3))
    for weighted in (False, True):
        settings = Settings(epochs=1, batch_size=32, width=2, class_weights=weighted)
        options = {"train_index": index, "valid_index": index, "settings": settings, "seed": 0}
        train_arm(NAMED["image"], data, **options)
    assert seen[0] is None
    # 16 slides: 5, 5, 5 and 1
    torch.testing.assert_close(seen[1].cpu(), torch.tensor([0.8, 0.8, 0.8, 4.0]))
