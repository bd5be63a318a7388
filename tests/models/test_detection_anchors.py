"""Anchors, their flips, codes and targets: closed forms, MONAI's generator, plain loops, and a
network of whole-numbered symmetric kernels under which flips must agree bit for bit."""

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from monai.apps.detection.utils.anchor_utils import AnchorGenerator

from common.metrics.detection import box_iou
from common.models.detection import (
    BACKGROUND,
    BETWEEN,
    anchor_targets,
    decode,
    encode,
    flatten_levels,
    flip_boxes,
    make_anchors,
    match_anchors,
    match_atss,
    unflip,
    unflip_offsets,
)

FLIPS_2D = [axes for n in range(3) for axes in itertools.combinations(range(2), n)]
FLIPS_3D = [axes for n in range(4) for axes in itertools.combinations(range(3), n)]


@pytest.fixture
def pyramid():
    """A volume of unequal sides with two levels, and boxes of three shapes at the first."""
    return make_anchors((16, 24, 8), strides=(4, 8), sides=((4, 5.0, (3, 4, 6)), (16,)))


def random_boxes(seed, n, size, low=3, high=9):
    rng = np.random.default_rng(seed)
    sides = rng.uniform(low, high, (n, len(size)))
    corner = rng.uniform(0, np.array(size) - sides)
    return torch.tensor(np.hstack([corner, corner + sides]), dtype=torch.float32)


def test_every_point_of_the_pyramid_has_its_anchors_in_order(pyramid):
    assert pyramid.grids == ((4, 6, 2), (2, 3, 1))
    assert pyramid.per_point == (3, 1)
    assert pyramid.boxes.shape == (4 * 6 * 2 * 3 + 2 * 3 * 1, 6)
    assert pyramid.boxes.dtype == torch.float32
    lower, upper = pyramid.boxes.split(3, dim=1)
    sides, centres = upper - lower, (lower + upper) / 2
    assert sides[:4].tolist() == [[4, 4, 4], [5, 5, 5], [3, 4, 6], [4, 4, 4]]
    assert centres[[0, 3, 6, 36]].tolist() == [[2, 2, 2], [2, 2, 6], [2, 6, 2], [6, 2, 2]]
    assert centres[144:147].tolist() == [[4, 4, 4], [4, 12, 4], [4, 20, 4]]


@pytest.mark.parametrize("d", [2, 3])
def test_anchors_of_even_sides_and_strides_are_monais(d):
    size = (16, 32, 48)[:d]
    ratios = ((1.0,) if d == 2 else ((1.0, 1.0),),) * 2
    generator = AnchorGenerator(((4, 8), (16, 20)), ratios)
    maps = [torch.zeros(1, 1, *(axis // stride for axis in size)) for stride in (4, 8)]
    (expected,) = generator(torch.zeros(1, 1, *size), maps)
    found = make_anchors(size, strides=(4, 8), sides=((4, 8), (16, 20)))
    assert torch.equal(found.boxes, expected)


@pytest.mark.parametrize("axes", FLIPS_3D)
@pytest.mark.parametrize(("strides", "sides"), [((4, 8), ((4, 5), (16,))), ((1,), ((3.5,),))])
def test_a_flip_of_the_image_maps_the_grid_to_itself(axes, strides, sides):
    anchors = make_anchors((8, 16, 24), strides=strides, sides=sides)
    flipped = flip_boxes(anchors.boxes, anchors.size, axes)
    assert torch.equal(unflip(flipped[None], anchors, axes)[0], anchors.boxes)
    assert torch.equal(flip_boxes(flipped, anchors.size, axes), anchors.boxes)


def test_heads_are_flattened_in_the_order_of_the_anchors(pyramid):
    maps = [
        torch.zeros(2, 6 * a, *grid)
        for a, grid in zip(pyramid.per_point, pyramid.grids, strict=True)
    ]
    maps[0][1, 6 * 2 + 5, 3, 1, 0] = 1.0  # third anchor, last number, point (3, 1, 0)
    maps[1][0, 4, 1, 2, 0] = 2.0
    flat = flatten_levels(maps, channels=6)
    assert flat.shape == (2, len(pyramid.boxes), 6)
    assert flat.nonzero().tolist() == [[0, 144 + 5, 4], [1, 3 * (3 * 12 + 1 * 2) + 2, 5]]
    lower, upper = pyramid.boxes[3 * (3 * 12 + 1 * 2) + 2].split(3)
    assert ((lower + upper) / 2).tolist() == [14, 6, 2]


def symmetric_kernel(rng, n_out, n_in, width, d, odd=None):
    """A kernel of whole numbers that flips leave as it is, or negate along one axis."""
    kernel = rng.integers(-2, 3, (n_out, n_in, *(width,) * d))
    for axis in range(2, 2 + d):
        sign = -1 if odd is not None and axis == odd + 2 else 1
        kernel = kernel + sign * np.flip(kernel, axis)
    return torch.tensor(np.ascontiguousarray(kernel), dtype=torch.float32)


def symmetric_network(d, per_point=(2, 1), seed=0):
    """Scores and offsets at strides 2 and 4; all sums are whole, so that their order is nothing."""
    rng = np.random.default_rng(seed)
    conv = F.conv2d if d == 2 else F.conv3d
    stem = symmetric_kernel(rng, 3, 1, 2, d)
    down = symmetric_kernel(rng, 3, 3, 4, d)
    scores = [symmetric_kernel(rng, a, 3, 3, d) for a in per_point]
    coded = [*range(d), *[None] * d]  # shifts are odd along their axis, stretches even
    offsets = [
        torch.cat([symmetric_kernel(rng, 1, 3, 3, d, odd) for _ in range(a) for odd in coded])
        for a in per_point
    ]

    def network(images):
        first = torch.relu(conv(images, stem, stride=2)) % 5
        levels = [first, torch.relu(conv(first, down, stride=2, padding=1)) % 5]
        heads = []
        for kernels, channels in ((scores, 1), (offsets, 2 * d)):
            maps = [conv(x, k, padding=1) for x, k in zip(levels, kernels, strict=True)]
            heads.append(flatten_levels(maps, channels=channels))
        return heads[0][..., 0], heads[1]

    return network


@pytest.mark.parametrize(
    ("d", "axes"), [(d, axes) for d, all_ in ((2, FLIPS_2D), (3, FLIPS_3D)) for axes in all_[1:]]
)
def test_predictions_for_a_flipped_image_come_back_bit_for_bit(d, axes):
    size = (8, 16, 12)[:d]
    anchors = make_anchors(size, strides=(2, 4), sides=((3, 5), (8,)))
    network = symmetric_network(d)
    images = torch.tensor(np.random.default_rng(1).integers(0, 4, (2, 1, *size))).float()
    scores, offsets = network(images)
    flipped_scores, flipped_offsets = network(images.flip([axis + 2 for axis in axes]))
    assert not torch.equal(flipped_scores, scores)
    assert torch.equal(unflip(flipped_scores, anchors, axes), scores)
    assert torch.equal(unflip_offsets(flipped_offsets, anchors, axes), offsets)
    assert not torch.equal(unflip(flipped_offsets, anchors, axes), offsets)
    # boxes decoded on the flipped image are the flipped boxes
    boxes = decode(offsets[0] / 64, anchors.boxes)
    mirrored = decode(flipped_offsets[0] / 64, anchors.boxes)
    back = unflip(flip_boxes(mirrored, size, axes)[None], anchors, axes)[0]
    assert back.numpy() == pytest.approx(boxes.numpy(), abs=1e-4)
    # the inverse of another flip does not do
    other = axes[1:] if len(axes) > 1 else ((axes[0] + 1) % d,)
    assert not torch.equal(unflip(flipped_scores, anchors, other), scores)


def test_flips_are_their_own_inverse_and_none_changes_nothing(pyramid):
    values = torch.arange(2.0 * len(pyramid.boxes) * 6).reshape(2, -1, 6)
    for axes in FLIPS_3D:
        for back in (unflip, unflip_offsets):
            assert torch.equal(back(back(values, pyramid, axes), pyramid, axes), values)
    assert torch.equal(unflip_offsets(values, pyramid, ()), values)


@pytest.mark.parametrize("weights", [None, (10.0, 10, 10, 5, 5, 5)])
def test_codes_are_shifts_and_logarithms_and_decoding_inverts_them(weights):
    anchors, boxes = (random_boxes(seed, 40, (30, 30, 30)) for seed in range(2))
    coded = encode(boxes, anchors, weights=weights)
    a, b = anchors.double().numpy(), boxes.double().numpy()
    side_a, side_b = (x[:, 3:] - x[:, :3] for x in (a, b))
    shift = ((b[:, 3:] + b[:, :3]) - (a[:, 3:] + a[:, :3])) / 2 / side_a
    expected = np.hstack([shift, np.log(side_b / side_a)])
    expected *= 1 if weights is None else weights
    assert coded.numpy() == pytest.approx(expected, abs=1e-4)
    assert decode(coded, anchors, weights=weights).numpy() == pytest.approx(b, abs=1e-4)
    batch = decode(torch.stack([coded, 0 * coded]), anchors, weights=weights)
    assert batch[1].numpy() == pytest.approx(a, abs=1e-5)


def test_sides_grow_by_a_bounded_factor():
    found = decode(torch.tensor([[0.0, 0, 100, 3]]), torch.tensor([[0.0, 0, 2, 2]]))[0]
    assert (found[2:] - found[:2]).tolist() == pytest.approx([2 * 62.5, 2 * np.exp(3)])


def plain_match(anchors, boxes, positive, negative):
    """Assignment anchor by anchor, box by box."""
    overlap = box_iou(anchors.numpy(), boxes.numpy())
    match = []
    for row in overlap:
        ties = [j for j, value in enumerate(row) if value > 0 and value >= overlap[:, j].max()]
        if ties:
            match.append(max(ties, key=lambda j: row[j]))
        elif row.max() >= positive:
            match.append(int(row.argmax()))
        else:
            match.append(BETWEEN if row.max() >= negative else BACKGROUND)
    return match


@pytest.mark.parametrize("seed", range(4))
def test_anchors_are_matched_as_plain_loops_do(seed):
    anchors = make_anchors((24, 24), strides=(4, 8), sides=((4, 6), (10,))).boxes
    boxes = random_boxes(seed, 5, (24, 24))
    found = match_anchors(anchors, boxes, positive=0.4, negative=0.2)
    assert found.tolist() == plain_match(anchors, boxes, 0.4, 0.2)
    assert {BACKGROUND, BETWEEN} < set(found.tolist())
    # a box is left without an anchor only where all its best ones are the best of another, too
    overlap = box_iou(boxes.numpy(), anchors.numpy())
    for j in set(range(5)) - set(found.tolist()):
        assert (found[overlap[j] >= overlap[j].max()] >= 0).all()


def test_a_box_that_no_anchor_fits_takes_its_best_ones():
    anchors = make_anchors((16, 16), strides=(4,), sides=((4,),)).boxes
    found = match_anchors(anchors, torch.tensor([[7.0, 7, 9, 9]]))
    # it lies symmetrically among four anchors, which overlap it by 1/19
    assert (found == 0).nonzero().flatten().tolist() == [5, 6, 9, 10]
    assert (found == BACKGROUND).sum() == 12
    sparse = make_anchors((16, 16), strides=(8,), sides=((2,),)).boxes
    missed = match_anchors(sparse, torch.tensor([[7.0, 7, 9, 9]]))
    assert (missed == BACKGROUND).all()  # no anchor touches it


@pytest.mark.parametrize("axes", FLIPS_2D)
def test_a_flipped_image_has_flipped_targets(axes):
    anchors = make_anchors((24, 24), strides=(4, 8), sides=((4, 6), (10,)))
    for seed in range(5):
        boxes = random_boxes(seed, 4, (24, 24)).round()  # many overlaps are equal
        whole = match_anchors(anchors.boxes, boxes)
        flipped = match_anchors(anchors.boxes, flip_boxes(boxes, (24, 24), axes))
        back = unflip(flipped[None], anchors, axes)[0]
        # equal overlaps with two boxes may go to either
        same = (back == whole) | ((back >= 0) & (whole >= 0))
        assert same.all()


def test_an_image_without_boxes_is_all_background():
    anchors = make_anchors((8, 8, 8), strides=(4,), sides=((4,),))
    match = match_anchors(anchors.boxes, torch.zeros(0, 6))
    label, offsets = anchor_targets(anchors.boxes, torch.zeros(0, 6), match)
    assert label.tolist() == [0.0] * 8
    assert offsets.abs().sum() == 0
    assert (match_atss(anchors, torch.zeros(0, 6)) == BACKGROUND).all()


def test_targets_decode_to_the_boxes_they_stand_for():
    anchors = make_anchors((24, 24), strides=(4,), sides=((4, 8),)).boxes
    boxes = random_boxes(3, 4, (24, 24))
    match = match_anchors(anchors, boxes)
    weights = (10.0, 10, 5, 5)
    label, offsets = anchor_targets(anchors, boxes, match, weights=weights)
    assert (label == 1).sum() >= 4
    assert (label == -1).tolist() == (match == BETWEEN).tolist()
    held = label == 1
    found = decode(offsets, anchors, weights=weights)[held]
    assert found.numpy() == pytest.approx(boxes[match[held]].numpy(), abs=1e-4)
    assert offsets[~held].abs().sum() == 0


def plain_atss(anchors, boxes, n_candidates):
    """ATSS box by box: nearest points, mean plus deviation of their overlaps, centres inside."""
    at, d = anchors.boxes.double().numpy(), boxes.shape[1] // 2
    overlap = box_iou(boxes.numpy(), at)
    centre = (at[:, :d] + at[:, d:]) / 2
    best = np.full(len(at), -1.0)
    match = np.full(len(at), BACKGROUND)
    for j, box in enumerate(boxes.double().numpy()):
        distance = np.linalg.norm(centre - (box[:d] + box[d:]) / 2, axis=1)
        near, first = [], 0
        for grid, a in zip(anchors.grids, anchors.per_point, strict=True):
            n = int(np.prod(grid)) * a
            k = min(n_candidates * a, n // a)
            near += (first + np.argsort(distance[first : first + n], kind="stable")[:k]).tolist()
            first += n
        values = overlap[j, near]
        least = values.mean() + values.std(ddof=1)
        for i in near:
            inside = (centre[i] > box[:d]).all() and (centre[i] < box[d:]).all()
            if overlap[j, i] >= least and inside and overlap[j, i] > best[i]:
                best[i], match[i] = overlap[j, i], j
    return match.tolist()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("sides", [((5,), (10,)), ((4, 6), (8, 12))])
def test_adaptive_matching_is_that_of_plain_loops(seed, sides):
    anchors = make_anchors((32, 32), strides=(4, 8), sides=sides)
    boxes = random_boxes(seed, 4, (32, 32), low=6, high=12)
    found = match_atss(anchors, boxes, n_candidates=4)
    assert found.tolist() == plain_atss(anchors, boxes, 4)
    assert (found >= 0).sum() > 3


def test_bad_input_is_named(pyramid):
    cases = [
        (lambda: make_anchors((8,), strides=(2,), sides=((2,),)), "2 or 3 axes"),
        (lambda: make_anchors((8, 8), strides=(2, 4), sides=((2,),)), "2 strides and 1 lists"),
        (lambda: make_anchors((8, 9), strides=(2,), sides=((2,),)), r"divide the size \(8, 9\)"),
        (lambda: make_anchors((8, 8), strides=(2,), sides=((0,),)), "`sides` must be above 0"),
        (lambda: make_anchors((8, 8), strides=(2,), sides=((1, (2, 2, 2)),)), "one or 2 numbers"),
        (lambda: make_anchors((8, 8), strides=(2,), sides=((),)), "Give each level its anchors"),
        (lambda: match_anchors(pyramid.boxes, pyramid.boxes, positive=0.1), "0.2 and 0.1"),
        (lambda: match_atss(pyramid, pyramid.boxes[:1]), r"all levels, got \(3, 1\)"),
    ]
    for call, message in cases:
        with pytest.raises(ValueError, match=message):
            call()
