"""The small video transformer: its size, what its class token sees, and that it can learn time."""

import numpy as np
import pytest
import torch

from common.models import ton_vit_network as network

SIZES = {"n_verbs": 2, "n_nouns": 2, "dim": 16, "depth": 2, "heads": 2, "patch": 8}


def test_the_number_of_weights_follows_from_the_sizes():
    model = network.VideoTransformer(37, 41, size=32, n_frames=6, patch=8, dim=48, depth=2)
    d, tokens = 48, 16
    block = 4 * d * d + 4 * d + 2 * (2 * d) + (2 * d * d + 2 * d) + (2 * d * d + d)
    embed = 3 * 8 * 8 * d + d + tokens * d + 6 * d + d
    heads = 2 * d + (d + 1) * (37 + 41)
    assert sum(p.numel() for p in model.parameters()) == embed + 2 * block + heads


def test_attention_over_frames_sums_to_one_and_follows_the_frames():
    torch.manual_seed(0)
    model = network.VideoTransformer(size=16, n_frames=3, **SIZES).eval()
    clips = torch.rand(5, 3, 3, 16, 16)
    seen = model.attention(clips)
    assert seen.shape == (5, 3)
    torch.testing.assert_close(seen.sum(dim=1), torch.ones(5))
    # without time embeddings the frames are exchangeable
    torch.nn.init.zeros_(model.time)
    torch.testing.assert_close(model.attention(clips.flip(2)), model.attention(clips).flip(1))
    torch.testing.assert_close(model(clips.flip(2))[0], model(clips)[0], atol=1e-5, rtol=1e-4)


def test_sizes_that_do_not_fit_are_refused():
    for wrong in ({"size": 20}, {"dim": 15}):
        with pytest.raises(ValueError, match="multiple"):
            network.VideoTransformer(**{"size": 16, "n_frames": 2, **SIZES, **wrong})


def moving(n, seed):
    """Bright squares that move right (verb 0) or left (verb 1), bright or dim (noun)."""
    rng = np.random.default_rng(seed)
    verb, noun = rng.integers(0, 2, (2, n))
    clips = np.zeros((n, 3, 4, 16, 16), np.uint8)
    for i in range(n):
        for t in range(4):
            x = 3 * (t if verb[i] == 0 else 3 - t)
            clips[i, :, t, 5:10, x : x + 5] = 90 + 150 * noun[i]
    return clips, {"verb": verb, "noun": noun}


def test_the_network_learns_verbs_that_only_the_order_of_frames_tells():
    clips, targets = moving(240, 0)
    fitted = network.fit(clips, targets, sizes=SIZES, epochs=25, seed=0, lr=3e-3, device="cpu")
    new, truth = moving(60, 1)
    verb, noun = network.predict(fitted.model, new)
    assert (verb.argmax(axis=1) == truth["verb"]).mean() > 0.95
    assert (noun.argmax(axis=1) == truth["noun"]).mean() > 0.95
    backwards, _ = network.predict(fitted.model, new[:, :, ::-1].copy())
    assert (backwards.argmax(axis=1) == truth["verb"]).mean() < 0.05


def test_the_same_seed_gives_the_same_weights():
    clips, targets = moving(40, 0)
    one, two = (
        network.fit(clips, targets, sizes=SIZES, epochs=1, seed=3, device="cpu").model for _ in "ab"
    )
    for first, second in zip(one.parameters(), two.parameters(), strict=True):
        assert torch.equal(first, second)
