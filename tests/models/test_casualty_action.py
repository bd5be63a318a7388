"""ReViT: Eq. 4 token by token, what it cannot see, and position that does what its name says."""

import numpy as np
import pytest
import torch

from common.models.casualty_action import (
    RelativeAttention,
    ReViT,
    frame_attention,
    relative_index,
    token_places,
)

WORDS = (5, 3, 4)
SHAPE = {"n_frames": 3, "size": 24, "patch": 8, "dim": 12, "depth": 2, "heads": 2}


def network(position, time="none", **options):
    torch.manual_seed(0)
    model = ReViT(WORDS, **{**SHAPE, **options}, position=position, time=time).eval()
    for name, parameter in model.named_parameters():
        if name.endswith(("rows", "columns")):
            torch.nn.init.normal_(parameter, std=1.0)
    return model


def clip(n=2, frames=3, size=24):
    return torch.rand(n, 3, frames, size, size, generator=torch.Generator().manual_seed(1))


def answer(model, video):
    with torch.no_grad():
        return model(video)["action"][0]


def layer(position):
    torch.manual_seed(2)
    attention = RelativeAttention(8, 2, n_frames=2, side=3, position=position).eval()
    if attention.relative:
        torch.nn.init.normal_(attention.rows)
        torch.nn.init.normal_(attention.columns)
    return attention, torch.randn(1, 1 + 2 * 9, 8)


def by_hand(attention, x):
    """Compute one layer pair by pair, as Eq. 3 and 4 and their relatives are printed."""
    parts = attention.project(x)[0].view(x.shape[1], 3, 2, 4)
    places = token_places(2, 3).T.tolist()
    n, d = x.shape[1], 4
    out = torch.zeros(n, 2, d)
    for head in range(2):
        q, k, v = (parts[:, part, head] for part in range(3))
        terms = torch.zeros(n, n, attention.rows.shape[1]) if attention.relative else None
        for i in range(1, n):
            for j in range(1, n):
                (hi, wi), (hj, wj) = places[i - 1], places[j - 1]
                if terms is not None:
                    terms[i, j] = attention.rows[hi - hj + 2] + attention.columns[wi - wj + 2]
        for i in range(n):
            logits = torch.stack([q[i] @ k[j] for j in range(n)]) / d**0.5
            if attention.position == "logits":
                logits = logits + torch.stack([q[i] @ terms[i, j] for j in range(n)]) / d**0.5
            if attention.position == "bias":
                logits = logits + terms[i, :, head]
            weight = logits.softmax(0)
            value = v + terms[i] if attention.position in ("value", "both") else v
            out[i, head] = weight @ value
    return attention.out(out.reshape(n, 8))


@pytest.mark.parametrize("position", ["value", "both", "logits", "bias", "none", "absolute"])
def test_every_kind_of_attention_equals_its_equation_summed_pair_by_pair(position):
    attention, x = layer(position)
    with torch.no_grad():
        found, weight = attention(x)
        torch.testing.assert_close(found[0], by_hand(attention, x), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(weight.sum(-1), torch.ones(1, 2, 19))


def test_displacements_count_from_the_largest_negative_one():
    index = relative_index(4)
    i, j = torch.meshgrid(torch.arange(4), torch.arange(4), indexing="ij")
    assert torch.equal(index, i - j + 3)
    assert token_places(2, 2).tolist() == [[0, 0, 1, 1] * 2, [0, 1, 0, 1] * 2]


@pytest.mark.parametrize("position", ["value", "logits", "bias", "absolute", "both", "none"])
def test_without_a_term_of_time_a_clip_and_its_reverse_are_one(position):
    model, video = network(position), clip()
    torch.testing.assert_close(answer(model, video), answer(model, video.flip(2)))
    shuffled = video[:, :, [1, 2, 0]]
    torch.testing.assert_close(answer(model, video), answer(model, shuffled))


@pytest.mark.parametrize("position", ["value", "none"])
def test_with_a_vector_for_each_frame_they_are_not(position):
    model, video = network(position, time="embedding"), clip()
    assert (answer(model, video) - answer(model, video.flip(2))).abs().max() > 1e-3


def mirrored_patches(video, patch=8):
    """Exchange the patches of the first and the last column, leaving each patch as it is."""
    swapped = video.clone()
    swapped[..., :patch], swapped[..., -patch:] = video[..., -patch:], video[..., :patch]
    return swapped


@pytest.mark.parametrize(
    ("position", "sees"),
    [("none", False), ("value", True), ("logits", True), ("bias", True), ("absolute", True)],
)
def test_only_without_position_patches_can_change_places(position, sees):
    model, video = network(position), clip()
    off = (answer(model, video) - answer(model, mirrored_patches(video))).abs().max()
    assert off > 1e-3 if sees else off < 1e-5


def test_with_one_layer_places_cannot_reach_the_class_token():
    """Pairs with the class token have no displacement, so Eq. 4 needs a second layer."""
    model, video = network("value", depth=1), clip()
    torch.testing.assert_close(answer(model, video), answer(model, mirrored_patches(video)))


def test_relative_position_sees_no_shift_away_from_the_border():
    """Two equal spots on an even ground, moved together; the ground is even in value as well."""
    attention, _ = layer("value")
    torch.nn.init.zeros_(attention.project.weight)
    torch.nn.init.zeros_(attention.project.bias)
    with torch.no_grad():
        _, weight = attention(torch.randn(1, 19, 8))
        torch.testing.assert_close(weight, torch.full_like(weight, 1 / 19))
        # with even weights the term is the mean displacement, which tells the absolute place
        mean = attention._values(weight)[0, 0, 1:].view(2, 3, 3, 4)
    expected = torch.zeros(3, 3, 4)
    for h in range(3):
        for w in range(3):
            rows = sum(attention.rows[h - j + 2] for j in range(3)) / 3
            columns = sum(attention.columns[w - j + 2] for j in range(3)) / 3
            expected[h, w] = 18 / 19 * (rows + columns)
    torch.testing.assert_close(mean[0], expected.detach())
    torch.testing.assert_close(mean[0], mean[1])


def test_tables_at_zero_leave_a_network_without_position():
    torch.manual_seed(0)
    relative = ReViT(WORDS, **SHAPE, position="value").eval()
    plain = ReViT(WORDS, **SHAPE, position="none").eval()
    plain.load_state_dict(relative.state_dict(), strict=False)
    torch.testing.assert_close(answer(relative, clip()), answer(plain, clip()))
    extra = sum(p.numel() for p in relative.parameters()) - sum(
        p.numel() for p in plain.parameters()
    )
    # two tables of 2 N - 1 rows in each of two layers, shared by the heads
    assert extra == 2 * 2 * (2 * 3 - 1) * (12 // 2)


def test_tables_are_trained():
    model = network("value").train()
    model(clip())["verb"].sum().backward()
    for block in model.blocks[:1]:
        assert block.attention.rows.grad.abs().max() > 0
        assert block.attention.columns.grad.abs().max() > 0


def test_gradients_of_the_value_term_are_right():
    attention, x = layer("value")
    attention, x = attention.double(), x.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda inputs: attention(inputs)[0], x)


def test_attention_over_frames_sums_to_what_the_class_token_leaves():
    model, video = network("value"), clip()
    share = frame_attention(model, video)
    with torch.no_grad():
        own = model.encode(video)[1][-1].mean(1)[:, 0, 0]
    assert share.shape == (2, 3)
    torch.testing.assert_close(share.sum(1), 1 - own)


def test_answers_have_one_stream_and_a_head_each():
    found = network("value")(clip())
    assert {name: tuple(x.shape) for name, x in found.items()} == {
        "action": (1, 2, 5),
        "verb": (1, 2, 3),
        "noun": (1, 2, 4),
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"position": "rotary"}, "`position` must be one of none, absolute"),
        ({"time": "relative"}, "`time` must be one of none, embedding"),
        ({"size": 25}, "`size` must be a multiple of patch 8, got 25"),
        ({"heads": 5}, "`heads` must divide dim 12, got 5"),
    ],
)
def test_designs_that_do_not_exist_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ReViT(WORDS, **{**SHAPE, **options})


def test_the_same_seed_gives_the_same_network():
    first, second = network("both", "embedding"), network("both", "embedding")
    np.testing.assert_array_equal(answer(first, clip()).numpy(), answer(second, clip()).numpy())
