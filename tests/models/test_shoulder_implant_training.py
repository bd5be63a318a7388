"""Copies, optimisers and training of the shoulder-implant networks, and the pretext task."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from common.models import shoulder_implant_pretext as pretext
from common.models.shoulder_implant_blocks import Scale
from common.models.shoulder_implant_training import (
    Changes,
    Settings,
    apply_changes,
    draw_changes,
    fit,
    history,
    optimiser,
    predict,
    settle,
    with_copies,
)

SETTINGS = Settings("inception-resnet-v2", Scale(0.05, 0.05), epochs=2, batch_size=8, n_copies=2)


def spot(side=33, row=8, column=16):
    image = torch.zeros(1, 1, side, side)
    image[0, 0, row, column] = 1.0
    return image


def where(image):
    return tuple(divmod(int(image.flatten().argmax()), image.shape[-1]))


def change(flip=False, angle=0.0, zoom=1.0):
    return Changes(np.array([flip]), np.array([np.deg2rad(angle)]), np.array([zoom]))


def test_a_mirror_moves_a_spot_to_the_other_side():
    assert where(apply_changes(spot(column=4), change(flip=True))) == (8, 28)


def test_a_quarter_turn_anticlockwise_takes_the_top_to_the_left():
    assert where(apply_changes(spot(), change(angle=90))) == (16, 8)


def test_zooming_moves_a_spot_from_the_centre_in_proportion():
    wide = torch.zeros(1, 1, 33, 33)
    wide[0, 0, 7:10, 15:18] = 1.0  # centred 8 px above the middle
    found = apply_changes(wide, change(zoom=1.5))[0, 0]
    rows = torch.arange(33.0)
    assert float((found.sum(1) * rows).sum() / found.sum()) == pytest.approx(16 - 12, abs=0.1)
    small = apply_changes(torch.ones(1, 1, 33, 33), change(zoom=0.8))[0, 0]
    assert small[0].max() == 0  # black is added around
    assert small[16, 16] == 1


def test_mirroring_comes_before_turning():
    both = apply_changes(spot(column=4), change(flip=True, angle=90))
    after = apply_changes(apply_changes(spot(column=4), change(flip=True)), change(angle=90))
    assert where(both) == where(after)


def test_copies_begin_with_the_images_and_repeat_them_where_nothing_is_altered():
    images = np.random.default_rng(0).random((5, 1, 16, 16), dtype=np.float32)
    label = np.arange(5)
    plain = Settings("vgg16", n_copies=3, augment=False)
    found, labels = with_copies(images, label, plain, np.random.default_rng(1))
    assert labels.tolist() == [*range(5)] * 3
    assert bool((found == torch.from_numpy(images).repeat(3, 1, 1, 1)).all())
    altered, _ = with_copies(images, label, Settings("vgg16", n_copies=3), np.random.default_rng(1))
    assert bool((altered[:5] == torch.from_numpy(images)).all())
    assert not bool((altered[5:] == found[5:]).all())


def test_changes_stay_in_their_ranges_and_come_from_their_generator():
    drawn = draw_changes(2000, np.random.default_rng(0))
    assert np.rad2deg(np.abs(drawn.angle)).max() <= 20
    assert 0.85 <= drawn.zoom.min() < drawn.zoom.max() <= 1.15
    assert drawn.flip.mean() == pytest.approx(0.5, abs=0.05)
    again = draw_changes(2000, np.random.default_rng(0))
    assert (again.angle == drawn.angle).all()


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        # gradient 1 twice: momentum 0.9 makes 0.1 + 0.1 (1 + 0.9); Adam 0.1 each; Adagrad
        # 0.1 and 0.1 / sqrt(2)
        ("sgd", 0.1 + 0.19),
        ("adam", 0.2),
        ("adagrad", 0.1 + 0.1 / np.sqrt(2)),
    ],
)
def test_each_optimiser_takes_the_steps_of_its_rule(name, steps):
    model = torch.nn.Linear(1, 1, bias=False)
    start = model.weight.item()
    rule = optimiser(model, Settings("vgg16", optimiser=name, lr=0.1))
    for _ in range(2):
        model.weight.grad = torch.ones(1, 1)
        rule.step()
    assert start - model.weight.item() == pytest.approx(steps, rel=1e-4)


def test_an_unknown_optimiser_is_refused():
    with pytest.raises(ValueError, match="sgd, adam, adagrad"):
        optimiser(torch.nn.Linear(1, 1), Settings("vgg16", optimiser="lbfgs"))


@pytest.fixture(scope="module")
def easy():
    """Two classes: bright above or bright below."""
    rng = np.random.default_rng(3)
    label = np.arange(24) % 2
    images = rng.random((24, 1, 75, 75), dtype=np.float32) * 0.2
    images[label == 0, :, :37] += 0.7
    images[label == 1, :, 37:] += 0.7
    return images, label


def test_what_is_plain_to_see_is_learned_and_every_epoch_is_kept(easy):
    images, label = easy
    settings = Settings("vgg16", Scale(0.1), lr=0.02, epochs=6, batch_size=8, n_copies=1)
    trained = fit(
        images[:16], label[:16], settings, n_classes=2, seed=0, watch={"test": images[16:]}
    )
    assert trained.probs["test"].shape == (6, 8, 2)
    np.testing.assert_allclose(trained.probs["test"].sum(axis=2), 1, rtol=1e-5)
    assert (trained.probs["test"][-1].argmax(1) == label[16:]).all()
    np.testing.assert_allclose(
        predict(trained.model, images[16:]), trained.probs["test"][-1], rtol=1e-4, atol=1e-6
    )
    curve = history(trained, {"test": label[16:]})
    last = curve[curve["metric"] == "test_accuracy"]["value"]
    assert last.to_list()[-1] == 1.0
    assert len(curve) == 18


def test_the_same_seed_gives_the_same_bits_whatever_the_global_state(easy):
    images, label = easy
    found = []
    for state in (1, 2):
        torch.manual_seed(state)
        trained = fit(images, label, SETTINGS, n_classes=2, seed=5, watch={"test": images})
        found.append(trained.probs["test"])
    assert (found[0] == found[1]).all()
    other = fit(images, label, SETTINGS, n_classes=2, seed=6, watch={"test": images})
    assert not (other.probs["test"] == found[0]).all()


def test_watched_images_do_not_touch_training(easy):
    images, label = easy
    losses = [
        fit(images[:16], label[:16], SETTINGS, n_classes=2, seed=5, watch=watch).loss
        for watch in ({}, {"test": images[16:]})
    ]
    assert (losses[0] == losses[1]).all()


def test_one_image_cannot_be_trained_on(easy):
    images, label = easy
    with pytest.raises(ValueError, match="at least 2"):
        fit(images[:1], label[:1], SETTINGS, n_classes=2, seed=0)


def test_a_training_that_diverges_knows_nothing_and_says_so(easy):
    images, label = easy
    wild = replace(SETTINGS, network="vgg16", lr=1e30, epochs=2)
    found = fit(images, label, wild, n_classes=2, seed=0, watch={"test": images})
    assert np.isnan(found.loss).any()
    assert (found.probs["test"] == 0.5).all()
    assert (predict(found.model, images) == 0.5).all()


def test_settled_means_are_those_of_the_images_and_weights_stay():
    model = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 1, bias=False), torch.nn.BatchNorm2d(1))
    images = torch.rand(10, 1, 4, 4)
    weight = model[0].weight.detach().clone()
    settle(model, images)
    expected = model[0](2 * images - 1)
    assert float(model[1].running_mean) == pytest.approx(float(expected.mean()), abs=1e-6)
    assert float(model[1].running_var) == pytest.approx(float(expected.var()), rel=1e-5)
    assert bool((model[0].weight == weight).all())
    assert model[1].momentum == 0.1


def test_pretext_classes_are_equal_in_number_and_told_apart_by_their_pictures():
    pictures, label = pretext.shapes(480, 0, size=40)
    assert np.bincount(label).tolist() == [40] * 12
    assert 0 <= pictures.min() < pictures.max() <= 1
    # turned copies of one shape fill alike, so the share of figure tells a bar from a square
    spread = np.abs(pictures - np.median(pictures, axis=(2, 3), keepdims=True)) > 0.2
    share = {name: spread[label == k].mean() for k, name in enumerate(pretext.CLASSES)}
    assert share["bar"] < share["square"]
    assert share["ring"] < share["disc"]


def test_pretext_pictures_depend_on_their_seed_alone():
    one, two = pretext.shapes(12, 7, size=32), pretext.shapes(12, 7, size=32)
    assert (one[0] == two[0]).all()
    assert not (pretext.shapes(12, 8, size=32)[0] == one[0]).all()
    with pytest.raises(ValueError, match="at least 1"):
        pretext.shapes(0, 0, size=32)
