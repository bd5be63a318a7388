"""MixUp at both levels: closed forms, what stays, what changes."""

import numpy as np
import pytest
import torch

from common.models.focalmix_mixup import (
    draw_partners,
    draw_weights,
    mix,
    mix_objects,
    voxels_of,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_weights_follow_the_folded_beta_law() -> None:
    # E max(l, 1 - l) for Beta(1, 1) is 3/4; for eta -> 0 it tends to 1
    flat = draw_weights(20_000, eta=1.0, generator=generator()).numpy()
    assert flat.min() >= 0.5
    assert flat.mean() == pytest.approx(0.75, abs=0.005)
    assert np.quantile(flat, 0.5) == pytest.approx(0.75, abs=0.01)
    folded = np.maximum(*(lambda d: (d, 1 - d))(np.random.default_rng(0).beta(0.2, 0.2, 40_000)))
    drawn = draw_weights(40_000, eta=0.2, generator=generator()).numpy()
    assert drawn.mean() == pytest.approx(folded.mean(), abs=0.004)
    assert drawn.std() == pytest.approx(folded.std(), abs=0.004)


def test_the_same_generator_gives_the_same_draws_and_the_global_seed_does_not_matter() -> None:
    torch.manual_seed(1)
    first = draw_weights(9, generator=generator(3)), draw_partners(9, generator=generator(3))
    torch.manual_seed(2)
    second = draw_weights(9, generator=generator(3)), draw_partners(9, generator=generator(3))
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])
    assert sorted(first[1].tolist()) == list(range(9))
    with pytest.raises(ValueError, match="`eta`"):
        draw_weights(1, eta=0.0, generator=generator())


def test_mixing_images_is_the_weighted_mean_and_conserves_the_sum_of_targets() -> None:
    x = torch.rand(4, 1, 2, 2, 2, generator=generator())
    y = torch.rand(4, 7, generator=generator(1))
    partner = torch.tensor([2, 0, 1, 3])
    weight = torch.tensor([0.6, 0.6, 0.6, 0.6])
    mixed = mix(x, partner, weight)
    torch.testing.assert_close(mixed[1], 0.6 * x[1] + 0.4 * x[0])
    torch.testing.assert_close(mixed[3], x[3])  # its own partner
    # with one weight a permutation only moves target mass about
    torch.testing.assert_close(mix(y, partner, weight).sum(), y.sum())
    assert torch.equal(mix(x, partner, torch.ones(4)), x)


def test_a_box_covers_every_voxel_it_touches_and_stays_inside() -> None:
    assert voxels_of([1.2, 0.0, 6.5, 3.0, 2.1, 12.0], (8, 8, 8)) == (
        slice(1, 3),
        slice(0, 3),
        slice(6, 8),
    )
    # wholly outside: the nearest voxel
    assert voxels_of([9, -5, 0, 12, -3, 1], (8, 8, 8)) == (slice(7, 8), slice(0, 1), slice(0, 1))


def objects() -> tuple[torch.Tensor, list[torch.Tensor]]:
    images = torch.zeros(2, 1, 8, 8, 8)
    images[0, 0, 1:4, 1:4, 1:4] = 0.8
    images[1, 0, 2:7, 2:7, 2:7] = 0.2
    boxes = [torch.tensor([[1.0, 1, 1, 4, 4, 4]]), torch.tensor([[2.0, 2, 2, 7, 7, 7]])]
    return images, boxes


def test_objects_are_blended_after_rescaling_and_nothing_else_changes() -> None:
    images, boxes = objects()
    before = images.clone()
    mixed = mix_objects(images, boxes, [1, 0], [0.75, 0.5])
    assert torch.equal(images, before)
    # flat patches stay flat when rescaled, so the blend has a closed form
    inside = mixed[0, 0, 1:4, 1:4, 1:4]
    torch.testing.assert_close(inside, torch.full_like(inside, 0.75 * 0.8 + 0.25 * 0.2))
    other = mixed[1, 0, 2:7, 2:7, 2:7]
    torch.testing.assert_close(other, torch.full_like(other, 0.5 * 0.2 + 0.5 * 0.8))
    for number, where in ((0, slice(1, 4)), (1, slice(2, 7))):
        outside = torch.ones(8, 8, 8, dtype=torch.bool)
        outside[where, where, where] = False
        assert torch.equal(mixed[number, 0][outside], images[number, 0][outside])


def test_rescaling_keeps_the_place_of_a_bright_half() -> None:
    images = torch.zeros(2, 1, 8, 8, 8)
    images[1, 0, :4] = 1.0  # the lower half of the source is bright
    boxes = [torch.tensor([[2.0, 2, 2, 6, 6, 6]]), torch.tensor([[0.0, 0, 0, 8, 8, 8]])]
    mixed = mix_objects(images, boxes, [1, 1], [0.5, 1.0])
    patch = mixed[0, 0, 2:6, 2:6, 2:6]
    torch.testing.assert_close(patch[0], torch.full((4, 4), 0.5))
    torch.testing.assert_close(patch[3], torch.zeros(4, 4))


def test_an_object_that_is_its_own_partner_and_full_weights_change_nothing() -> None:
    images, boxes = objects()
    torch.testing.assert_close(mix_objects(images, boxes, [0, 1], [0.5, 0.5]), images)
    assert torch.equal(mix_objects(images, boxes, [1, 0], [1.0, 1.0]), images)
    none = [torch.zeros(0, 6), torch.zeros(0, 6)]
    assert torch.equal(mix_objects(images, none, [], []), images)
    with pytest.raises(ValueError, match="one entry for each of 2 objects"):
        mix_objects(images, boxes, [0], [0.5, 0.5])
