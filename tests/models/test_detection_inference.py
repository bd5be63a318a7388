"""From predictions to boxes: plain suppression, planted predictions, and windows of images whose
objects are known."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from common.metrics.detection import box_iou
from common.models.detection import encode, make_anchors
from common.models.detection_inference import Found, detect_in_windows, select, suppress


def plain_suppression(boxes, scores, iou):
    kept = []
    for i in sorted(range(len(scores)), key=lambda i: -scores[i]):
        if all(box_iou([boxes[i]], [boxes[j]])[0, 0] <= iou for j in kept):
            kept.append(i)
    return kept


@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("iou", [0.2, 0.5])
def test_suppression_keeps_what_plain_loops_keep(rng, d, iou):
    corner = rng.integers(0, 12 if d == 2 else 5, (60, d))
    boxes = np.hstack([corner, corner + rng.integers(3, 8, (60, d))]).astype(np.float32)
    scores = (rng.integers(0, 20, 60) / 20).astype(np.float32)  # tied scores keep their order
    found = suppress(torch.tensor(boxes), torch.tensor(scores), iou=iou)
    expected = plain_suppression(boxes, scores, iou)
    assert 5 < len(expected) < 55
    assert found.tolist() == expected
    assert (
        suppress(torch.tensor(boxes), torch.tensor(scores), iou=iou, limit=3).tolist()
        == (expected[:3])
    )
    assert suppress(torch.zeros(0, 2 * d), torch.zeros(0), iou=iou).tolist() == []


def test_planted_predictions_are_selected_decoded_and_clipped():
    anchors = make_anchors((16, 16), strides=(4,), sides=((4,),))
    boxes = anchors.boxes.clone()
    boxes[0] = torch.tensor([-3.0, -3.0, 5.0, 5.0])
    boxes[1] = torch.tensor([0.0, 4.5, 4.0, 8.5])
    boxes[15] = torch.tensor([12.0, 15.5, 16.0, 19.0])  # half a voxel is left inside
    scores = torch.zeros(16)
    scores[[0, 1, 5, 15]] = torch.tensor([0.9, 0.04, 0.6, 0.8])
    found = select(scores, encode(boxes, anchors.boxes), anchors, min_score=0.05)
    assert found.scores.tolist() == pytest.approx([0.9, 0.6])
    assert found.boxes.numpy() == pytest.approx(np.array([[0, 0, 5, 5], [4, 4, 8, 8]]), abs=1e-5)
    one = select(scores, encode(boxes, anchors.boxes), anchors, n_before=1)
    assert one.scores.tolist() == pytest.approx([0.9])
    nothing = select(scores, encode(boxes, anchors.boxes), anchors, min_score=0.95)
    assert nothing.boxes.shape == (0, 4)


def test_overlapping_predictions_become_one():
    anchors = make_anchors((8, 8, 8), strides=(4,), sides=((6,),))
    same = torch.tensor([1.0, 1, 1, 7, 7, 7]).expand(8, 6)
    scores = torch.linspace(0.1, 0.8, 8)
    found = select(scores, encode(same, anchors.boxes), anchors)
    assert found.scores.tolist() == pytest.approx([0.8])
    assert found.boxes[0].tolist() == pytest.approx([1, 1, 1, 7, 7, 7], abs=1e-5)


def scene(rng, size, n, widest):
    """Cuboids that do not touch, and their boxes; some lie at the border."""
    image = np.zeros(size, np.float32)
    boxes = []
    for _ in range(200):
        sides = rng.integers(2, widest + 1, len(size))
        low = rng.integers(0, np.array(size) - sides + 1)
        around = tuple(slice(max(a - 1, 0), a + s + 1) for a, s in zip(low, sides, strict=True))
        if image[around].any():
            continue
        image[tuple(slice(a, a + s) for a, s in zip(low, sides, strict=True))] = 1
        boxes.append([*low, *(low + sides)])
        if len(boxes) == n:
            break
    return torch.tensor(image)[None], sorted(boxes)


def components(windows):
    """A perfect detector of what it sees: the box of every connected piece."""
    found = []
    for window in windows[:, 0].numpy():
        pieces = ndimage.find_objects(ndimage.label(window)[0])
        rows = [[*(p.start for p in piece), *(p.stop for p in piece)] for piece in pieces]
        boxes = torch.tensor(rows, dtype=torch.float32).reshape(-1, 2 * window.ndim)
        found.append(Found(boxes, torch.ones(len(rows))))
    return found


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("size", "window", "overlap"),
    [((70, 90), (32, 32), 8), ((41, 64), (24, 33), 7), ((30, 36, 25), (16, 16, 16), 6)],
)
def test_objects_no_wider_than_the_overlap_are_found_whole_and_once(seed, size, window, overlap):
    image, boxes = scene(np.random.default_rng(seed), size, 30, overlap)
    found = detect_in_windows(components, image, window=window, overlap=overlap)
    assert len(boxes) > 10
    assert sorted(found.boxes.tolist()) == boxes


def test_without_overlap_objects_are_cut():
    image, boxes = scene(np.random.default_rng(0), (70, 90), 30, 8)
    found = detect_in_windows(components, image, window=(32, 32), overlap=0)
    assert sorted(found.boxes.tolist()) != boxes


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_the_number_of_windows_at_once_does_not_matter(batch):
    image, _ = scene(np.random.default_rng(4), (70, 90), 30, 8)
    shapes = []

    def detect(windows):
        shapes.append(tuple(windows.shape))
        return components(windows)

    found = detect_in_windows(detect, image, window=(32, 32), overlap=8, batch=batch)
    whole = detect_in_windows(components, image, window=(32, 32), overlap=8)
    assert torch.equal(found.boxes, whole.boxes)
    # steps of 24: 3 windows along 70 and 4 along 90
    assert sum(shape[0] for shape in shapes) == 12
    assert shapes[0][0] == min(batch, 12)
    assert {shape[1:] for shape in shapes} == {(1, 32, 32)}


def test_an_image_smaller_than_the_window_is_padded_and_its_boxes_clipped():
    image, boxes = scene(np.random.default_rng(1), (20, 50), 6, 8)
    seen = []

    def detect(windows):
        seen.append(tuple(windows.shape[2:]))
        return components(windows)

    found = detect_in_windows(detect, image, window=(32, 32), overlap=8)
    assert sorted(found.boxes.tolist()) == boxes
    assert set(seen) == {(32, 32)}
    bright = detect_in_windows(components, image * 0, window=(32, 64), overlap=8, fill=1.0)
    assert bright.boxes.tolist() == [[0, 0, 20, 50]]


def test_the_best_of_a_limit_come_first():
    def detect(windows):
        return [
            Found(each.boxes, torch.linspace(0, 1, len(each.boxes))) for each in components(windows)
        ]

    image, _ = scene(np.random.default_rng(0), (70, 90), 30, 8)
    found = detect_in_windows(detect, image, window=(32, 32), overlap=8, limit=5)
    assert len(found.scores) == 5
    assert (found.scores.diff() <= 0).all()


def test_windows_that_do_not_fit_are_refused():
    image = torch.zeros(1, 8, 8)
    for window, overlap in (((4,), 0), ((4, 4), 4), ((4, 4), -1)):
        with pytest.raises(ValueError, match="`window` must have 2 axes, each above the overlap"):
            detect_in_windows(components, image, window=window, overlap=overlap)
