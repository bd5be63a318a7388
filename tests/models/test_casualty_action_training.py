"""Training and answers: losses of even guesses, heads that add up, one seed one network."""

import numpy as np
import pytest
import torch

from common.models.casualty_action import ReViT
from common.models.casualty_action_comparators import TSN, EgoRNN, SlowFast
from common.models.casualty_action_training import (
    ARMS,
    Arm,
    Settings,
    answer_loss,
    balance,
    build,
    in_top,
    marginal,
    predict,
    product_of_heads,
    train_arm,
)

WORDS = (4, 2, 2)


def clips(n=48):
    """Make clips whose action is one of four even colours: nothing else has to be learned."""
    rng = np.random.default_rng(0)
    action = rng.integers(4, size=n)
    tone = np.array([[0.1, 0.1, 0.9], [0.9, 0.1, 0.1], [0.1, 0.9, 0.1], [0.9, 0.9, 0.1]])
    image = tone[action][:, :, None, None, None] + np.zeros((n, 3, 6, 24, 24))
    image = np.clip(image + 0.05 * rng.standard_normal(image.shape), 0, 1).astype(np.float32)
    return {"image": image, "action": action, "verb": action // 2, "noun": action % 2}


def test_the_loss_of_even_guesses_is_the_log_of_their_number():
    label = torch.tensor([0, 2])
    for smoothing in (0.0, 0.1):
        loss = answer_loss(torch.zeros(2, 2, 7), label, smoothing=smoothing)
        assert float(loss) == pytest.approx(np.log(7), abs=1e-6)


def test_streams_are_averaged():
    label = torch.tensor([0])
    logits = torch.tensor([[[2.0, 0.0]], [[0.0, 0.0]]])
    one = [float(answer_loss(each[None], label, smoothing=0.0)) for each in logits]
    assert float(answer_loss(logits, label, smoothing=0.0)) == pytest.approx(np.mean(one))


def test_balanced_classes_weigh_the_same_in_all():
    label = torch.tensor([0] * 6 + [2] * 2)
    weight = balance(label, 3)
    total = torch.bincount(label, minlength=3) * weight
    assert total.tolist() == pytest.approx([4.0, 0.0, 4.0])


@pytest.mark.parametrize("name", ["revit", "absolute", "tsn", "slowfast", "ego-rnn"])
def test_every_network_learns_colours(name):
    arm = next(each for each in ARMS if each.name == name)
    settings = Settings(epochs=8, batch_size=8, dim=16, depth=2, heads=2, width=8)
    fitted = train_arm(arm, clips(), words=WORDS, settings=settings, seed=3)
    found = predict(fitted.model, clips()["image"])
    assert in_top(found["action"], clips()["action"], 1).mean() > 0.9
    for prob in found.values():
        np.testing.assert_allclose(prob.sum(axis=1), 1, atol=1e-5)


def test_the_same_seed_gives_the_same_answers_and_another_seed_others():
    settings = Settings(epochs=1, batch_size=16, dim=16, heads=2)
    arm = Arm("revit", position="value")
    found = [
        predict(
            train_arm(arm, clips(), words=WORDS, settings=settings, seed=seed).model,
            clips()["image"],
        )["action"]
        for seed in (5, 5, 6)
    ]
    np.testing.assert_array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])


def test_every_arm_builds_the_network_it_names():
    kinds = {"vit": ReViT, "tsn": TSN, "slowfast": SlowFast, "egornn": EgoRNN}
    for arm in ARMS:
        model = build(arm, Settings(epochs=1), words=WORDS, n_frames=6, size=32)
        assert isinstance(model, kinds[arm.kind])
        if isinstance(model, ReViT):
            assert (model.moment is None) == (arm.time == "none")
            assert (model.place is None) == (arm.position not in ("absolute", "both"))
            assert model.blocks[0].attention.position == arm.position


def test_the_product_of_heads_and_the_marginal_undo_each_other():
    verb, noun = np.array([[0.7, 0.3]]), np.array([[0.6, 0.4]])
    pairs = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    product = product_of_heads(verb, noun, pairs)
    np.testing.assert_allclose(product, [[0.42, 0.28, 0.18, 0.12]], rtol=1e-6)
    np.testing.assert_allclose(marginal(product, pairs[:, 0], 2), verb, rtol=1e-6)
    np.testing.assert_allclose(marginal(product, pairs[:, 1], 2), noun, rtol=1e-6)


def test_an_action_can_be_right_while_the_verb_summed_from_actions_is_wrong():
    action, pairs = np.array([[0.4, 0.3, 0.3]]), np.array([0, 1, 1])
    # the likeliest action is 0, the likeliest verb by summing is 1
    assert in_top(action, np.array([0]), 1).item() == 1
    assert in_top(marginal(action, pairs, 2), np.array([0]), 1).item() == 0


def test_top_k_counts_places():
    prob = np.array([[0.1, 0.4, 0.2, 0.3]] * 4)
    label = np.arange(4)
    assert in_top(prob, label, 1).tolist() == [0, 1, 0, 0]
    assert in_top(prob, label, 3).tolist() == [0, 1, 1, 1]
    assert in_top(prob, label, 9).all()
