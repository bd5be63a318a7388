"""Boxes of a batch: the same answers as one image at a time, and closed forms."""

import pytest
import torch

from common.models import cell_detection_boxes as batch, detection, detection_inference


def boxes_of(n, k, seed, side=8.0):
    generator = torch.Generator().manual_seed(seed)
    low = 24 * torch.rand(n, k, 2, generator=generator)
    return torch.cat([low, low + side * (0.5 + torch.rand(n, k, 2, generator=generator))], dim=2)


def test_a_box_of_50_shifted_by_a_third_overlaps_by_a_half():
    box = torch.tensor([[[0.0, 0, 50, 50]]])
    shifted = box + torch.tensor([50 / 3, 0, 50 / 3, 0])
    assert batch.pairwise_iou(box, shifted).item() == pytest.approx(0.5, abs=1e-6)


def test_absent_boxes_overlap_nothing():
    absent = torch.zeros(1, 2, 4)
    assert batch.pairwise_iou(absent, absent).abs().sum() == 0
    assert batch.pairwise_iou(absent, boxes_of(1, 3, 0)).abs().sum() == 0


@pytest.mark.parametrize(("above", "below"), [(0.7, 0.3), (0.5, 0.4)])
def test_anchors_get_the_labels_of_the_matcher_for_one_image(above, below):
    anchors = detection.make_anchors((32, 32), strides=(4, 8), sides=((8,), (8,))).boxes
    reference = boxes_of(6, 3, 1)
    reference[2, 1:] = 0
    reference[5] = 0
    label, match = batch.assign(
        anchors.expand(6, -1, -1), reference, above=above, below=below, rescue=True
    )
    for i, boxes in enumerate(reference):
        present = boxes[boxes[:, 2] > boxes[:, 0]]
        alone = detection.match_anchors(anchors, present, positive=above, negative=below)
        assert (label[i] == batch.POSITIVE).equal(alone >= 0)
        assert (label[i] == batch.NEGATIVE).equal(alone == detection.BACKGROUND)
        assert match[i][alone >= 0].equal(alone[alone >= 0])


def test_without_rescue_a_poorly_covered_box_has_no_candidate():
    reference = torch.tensor([[[0.0, 0, 8, 8]]])
    candidates = torch.tensor([[[0.0, 6, 8, 14], [20, 20, 28, 28]]])
    for rescue, expected in ((False, [0, 0]), (True, [1, 0])):
        label, _ = batch.assign(candidates, reference, above=0.5, below=0.5, rescue=rescue)
        assert label[0].tolist() == expected


def test_a_sample_holds_no_more_positives_than_asked_and_fills_up_with_negatives():
    label = torch.tensor([[1] * 10 + [0] * 30 + [-1] * 10, [1] * 2 + [0] * 48])
    for seed in range(5):
        torch.manual_seed(seed)
        chosen = batch.sample(label, n=16, positive=0.25)
        assert chosen.sum(dim=1).tolist() == [16, 16]
        assert (chosen & (label == 1)).sum(dim=1).tolist() == [4, 2]
        assert not (chosen & (label == -1)).any()


def test_every_negative_is_sampled_equally_often():
    label = torch.zeros(4000, 8, dtype=torch.int64)
    torch.manual_seed(0)
    share = batch.sample(label, n=2, positive=0.5).float().mean(dim=0)
    assert share.tolist() == pytest.approx([0.25] * 8, abs=0.03)


def test_a_batch_is_suppressed_as_each_image_alone():
    candidates = boxes_of(8, 40, 2)
    scores = torch.rand(8, 40, generator=torch.Generator().manual_seed(3)) + 0.01
    scores[4, 10:] = 0
    found, score = batch.suppress(candidates, scores, threshold=0.3, keep=40)
    for i in range(8):
        real = scores[i] > 0
        alone = detection_inference.suppress(candidates[i][real], scores[i][real], iou=0.3)
        n = len(alone)
        assert found[i, :n].equal(candidates[i][real][alone])
        assert score[i, :n].equal(scores[i][real][alone])
        assert score[i, n:].abs().sum() == 0


def test_a_chain_of_overlaps_is_suppressed_greedily():
    """B falls to A, so that C, which only B overlaps, stays."""
    chain = torch.tensor([[[0.0, 0, 10, 10], [0, 4, 10, 14], [0, 8, 10, 18]]])
    _, score = batch.suppress(chain, torch.tensor([[0.9, 0.8, 0.7]]), threshold=0.3, keep=4)
    assert score[0].tolist() == pytest.approx([0.9, 0.7, 0, 0])


def test_roi_align_reads_a_plane_at_the_centres_of_the_bins():
    size, stride = 32, 4
    centre = (torch.arange(size // stride) + 0.5) * stride
    rows, columns = torch.meshgrid(centre, centre, indexing="ij")
    features = torch.stack([rows, columns])[None]
    box = torch.tensor([[[6.0, 9, 18, 25]]])
    read = batch.roi_align(features, box, bins=4, size=size)[0, 0]
    assert read[0, :, 0].tolist() == pytest.approx([7.5, 10.5, 13.5, 16.5], abs=1e-5)
    assert read[1, 0].tolist() == pytest.approx([11, 15, 19, 23], abs=1e-5)
    assert (read[0] - read[0, :, :1]).abs().max() < 1e-5


def test_roi_align_keeps_images_and_boxes_apart():
    features = torch.arange(2.0).view(2, 1, 1, 1).expand(2, 3, 8, 8)
    read = batch.roi_align(features, boxes_of(2, 5, 4), bins=3, size=32)
    assert read.shape == (2, 5, 3, 3, 3)
    assert read[0].eq(0).all()
    assert read[1].eq(1).all()
