"""The decompose-and-fuse network: its table, its attention, what is shared and what is not."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from common.datasets.ife_phantom import COUNTS
from common.models.ife import (
    RESNET18,
    SINGLE,
    TASKS,
    GelNet,
    HeightAttention,
    Layout,
    decompose,
    imbalance_ratio,
    layout,
    recombine,
    task_counts,
)

SMALL = Layout(4)


def n_weights(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_every_class_comes_back_from_its_two_parts() -> None:
    heavy, light = decompose(np.arange(9))
    assert heavy.tolist() == [0, 0, 0, 1, 1, 2, 2, 3, 3]
    assert light.tolist() == [0, 1, 2, 1, 2, 1, 2, 1, 2]
    assert recombine(heavy, light).tolist() == list(range(9))


def test_a_heavy_chain_without_a_light_chain_is_called_negative() -> None:
    assert recombine([0, 1, 2, 3], [0, 0, 0, 0]).tolist() == [0, 0, 0, 0]
    # the table of the released code: kappa to 1, 3, 5, 7 and lambda to 2, 4, 6, 8
    assert recombine([0, 1, 2, 3], [1, 1, 1, 1]).tolist() == [1, 3, 5, 7]
    assert recombine([0, 1, 2, 3], [2, 2, 2, 2]).tolist() == [2, 4, 6, 8]


def test_a_class_beyond_nine_is_refused() -> None:
    with pytest.raises(ValueError, match="`label` must be in 0-8, got 9"):
        decompose([0, 9])


def test_the_printed_ratios_follow_from_the_counts() -> None:
    parts = task_counts(COUNTS)
    assert round(imbalance_ratio(COUNTS), 3) == 0.006
    assert round(imbalance_ratio(parts["light"]), 3) == 0.188
    assert round(imbalance_ratio(parts["heavy"]), 3) == 0.042
    assert all(part.sum() == sum(COUNTS) for part in parts.values())
    with pytest.raises(ValueError, match="above 0"):
        imbalance_ratio([0, 0])


def test_pooling_never_makes_the_classes_less_equal_where_negatives_lead(rng) -> None:
    for _ in range(200):
        counts = rng.integers(1, 500, 9)
        counts[0] = 10_000
        parts = task_counts(counts)
        assert all(imbalance_ratio(part) >= imbalance_ratio(counts) for part in parts.values())


def test_one_row_of_weights_is_all_that_acts_of_a_seven_by_seven_kernel() -> None:
    """The paper's code convolves a map of width 1 with a padded 7 x 7 kernel."""
    torch.manual_seed(0)
    attention = HeightAttention()
    square = nn.Conv2d(2, 1, 7, padding=3, bias=False)
    square.weight.data[..., 3] = attention.kernel.data
    features = torch.randn(3, 5, 9, 4)
    pooled = torch.stack([features.mean((1, 3)), features.amax((1, 3))], dim=1)[..., None]
    expected = square(pooled)[:, 0, :, 0].sigmoid()
    torch.testing.assert_close(attention(features), expected)
    bound = 1 / np.sqrt(98)
    assert attention.kernel.abs().max() <= bound


def test_attention_sees_rows_and_not_channels_or_columns() -> None:
    attention = HeightAttention()
    features = torch.randn(2, 6, 11, 5)
    weights = attention(features)
    assert weights.shape == (2, 11)
    assert ((weights > 0) & (weights < 1)).all()
    shuffled = features[:, torch.randperm(6)][:, :, :, torch.randperm(5)]
    torch.testing.assert_close(attention(shuffled), weights)
    # a row three away is seen, one four away is not
    changed = features.clone()
    changed[:, :, 0] += 5
    moved = (attention(changed) - weights).abs() > 1e-6
    assert moved[:, :4].all()
    assert not moved[:, 4:].any()


def test_a_block_weighs_its_branch_before_the_shortcut_is_added() -> None:
    block = GelNet(SMALL, tasks=SINGLE).eval().trunk[0].blocks[0]
    features = torch.randn(2, 4, 8, 6)
    out, weights = block(features)
    branch = block.branch(features)
    expected = torch.relu(branch * weights[:, None, :, None] + block.shortcut(features))
    torch.testing.assert_close(out, expected)


def test_without_attention_one_task_is_resnet18() -> None:
    """ResNet-18 with 1,000 classes has 11,689,512 weights; its head is 512 x 1000 + 1000."""
    network = GelNet(RESNET18, tasks=SINGLE, attention=False)
    assert n_weights(network) == 11_689_512 - 513_000 + 512 * 9 + 9
    assert GelNet(layout(0), tasks=SINGLE, attention=False).stem[0].out_channels == 64


def test_maps_have_the_rows_of_their_stage() -> None:
    network = GelNet(RESNET18, tasks=TASKS).eval()
    with torch.inference_mode():
        answer = network(torch.zeros(1, 3, 224, 224))
    assert [each.shape[1] for each in answer.maps["light"]] == [56, 28, 14, 7]
    assert {task: each.shape for task, each in answer.logits.items()} == {
        "heavy": (1, 4),
        "light": (1, 3),
    }
    with torch.inference_mode():
        narrow = GelNet(SMALL, tasks=TASKS).eval()(torch.zeros(1, 3, 64, 48))
    assert [each.shape[1] for each in narrow.maps["heavy"]] == [32, 16, 8, 8]


@pytest.mark.parametrize("shared", range(5))
def test_tasks_share_the_stages_asked_for_and_no_other(shared) -> None:
    network = GelNet(SMALL, tasks=TASKS, shared=shared).eval()
    maps = network(torch.randn(1, 3, 32, 24)).maps
    same = [one is two for one, two in zip(maps["heavy"], maps["light"], strict=True)]
    assert same == [True] * shared + [False] * (4 - shared)


def test_separate_attention_adds_exactly_the_modules_that_the_released_code_never_calls() -> None:
    released, separate = (
        GelNet(SMALL, tasks=TASKS, ownership=ownership) for ownership in ("released", "separate")
    )
    attention = 2 * 7
    shortcut = 16 * 32 + 2 * 32  # 1 x 1 convolution from 16 to 32 channels, batch normalisation
    assert n_weights(separate) - n_weights(released) == attention + shortcut
    heavy, light = (released.branches[task][0].blocks[0] for task in TASKS)
    assert heavy.attention is light.attention
    assert heavy.shortcut is light.shortcut
    assert heavy.branch is not light.branch
    heavy, light = (separate.branches[task][0].blocks[0] for task in TASKS)
    assert heavy.attention is not light.attention


def test_a_loss_of_one_task_reaches_the_shared_stages_and_not_the_other_branch() -> None:
    network = GelNet(SMALL, tasks=TASKS, ownership="separate")
    network(torch.randn(4, 3, 32, 24)).logits["heavy"].square().sum().backward()
    assert network.trunk[0].blocks[0].branch[0].weight.grad.abs().sum() > 0
    for parameter in itertools.chain(
        network.branches["light"].parameters(), network.heads["light"].parameters()
    ):
        assert parameter.grad is None


@pytest.mark.parametrize(
    ("options", "message"),
    [({"shared": 5}, "`shared` must be 0-4"), ({"ownership": "mine"}, "`ownership` must be")],
)
def test_a_network_that_cannot_be_built_is_refused(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        GelNet(SMALL, tasks=TASKS, **options)
