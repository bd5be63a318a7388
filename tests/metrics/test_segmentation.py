"""Overlap metrics: hand values, MONAI as an independent reference, empty masks, identities."""

import numpy as np
import pytest
import torch
from monai.metrics import compute_dice, compute_iou

from common.metrics.segmentation import dice, iou, micro_dice_onehot, pixel_accuracy


@pytest.fixture
def masks() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    predicted = rng.random((6, 9, 7)) < 0.4
    reference = rng.random((6, 9, 7)) < 0.3
    predicted[4] = False
    predicted[5] = reference[5] = False
    return predicted, reference


def test_values_worked_by_hand() -> None:
    predicted = np.array([[[1, 1, 0, 0]]], dtype=bool)
    reference = np.array([[[0, 1, 1, 1]]], dtype=bool)
    assert dice(predicted, reference) == pytest.approx([2 / 5])
    assert iou(predicted, reference) == pytest.approx([1 / 4])
    assert pixel_accuracy(predicted, reference) == pytest.approx([1 / 4])


def test_dice_and_iou_agree_with_monai(masks: tuple[np.ndarray, np.ndarray]) -> None:
    one_hot = [torch.from_numpy(mask[:, None].astype(np.float32)) for mask in masks]
    for ours, theirs in ((dice, compute_dice), (iou, compute_iou)):
        expected = theirs(*one_hot, include_background=True, ignore_empty=False).numpy()[:, 0]
        np.testing.assert_allclose(ours(*masks, empty="one"), expected, rtol=1e-6)


def test_iou_is_a_function_of_dice(masks: tuple[np.ndarray, np.ndarray]) -> None:
    d = dice(*masks)
    np.testing.assert_allclose(iou(*masks), d / (2 - d), rtol=1e-12)


@pytest.mark.parametrize("metric", [dice, iou])
@pytest.mark.parametrize(("empty", "value"), [("nan", np.nan), ("one", 1.0), ("zero", 0.0)])
def test_the_policy_decides_when_both_masks_are_empty(metric, empty: str, value: float) -> None:
    nothing = np.zeros((2, 3, 3), bool)
    np.testing.assert_array_equal(metric(nothing, nothing, empty=empty), [value, value])


@pytest.mark.parametrize("metric", [dice, iou])
@pytest.mark.parametrize("empty", ["nan", "one", "zero"])
def test_one_empty_mask_gives_zero_under_any_policy(metric, empty: str) -> None:
    nothing, all_ = np.zeros((1, 2, 2), bool), np.ones((1, 2, 2), bool)
    assert metric(nothing, all_, empty=empty) == metric(all_, nothing, empty=empty) == [0.0]


@pytest.mark.parametrize("metric", [dice, iou, pixel_accuracy, micro_dice_onehot])
def test_a_mask_agrees_with_itself_and_order_does_not_matter(metric, masks) -> None:
    assert metric(masks[1][:4], masks[1][:4]) == pytest.approx(np.ones(4))
    np.testing.assert_array_equal(metric(*masks), metric(*masks[::-1]))


@pytest.mark.parametrize("metric", [dice, iou, pixel_accuracy, micro_dice_onehot])
def test_no_case_gives_no_value(metric) -> None:
    assert metric(np.zeros((0, 4, 4), bool), np.zeros((0, 4, 4), bool)).shape == (0,)


def test_the_reports_dice_is_pixel_accuracy(masks: tuple[np.ndarray, np.ndarray]) -> None:
    np.testing.assert_allclose(micro_dice_onehot(*masks), pixel_accuracy(*masks), rtol=1e-15)


def test_pixel_accuracy_rewards_an_empty_prediction_that_dice_does_not() -> None:
    reference = np.zeros((1, 10, 10), bool)
    reference[0, :5, :1] = True
    nothing = np.zeros_like(reference)
    assert pixel_accuracy(nothing, reference) == pytest.approx([0.95])
    assert dice(nothing, reference) == [0.0]


def test_wrong_types_and_shapes_are_refused_with_the_remedy() -> None:
    mask = np.zeros((1, 2, 2), bool)
    with pytest.raises(ValueError, match=r"`predicted` must be bool .* got float64.*Threshold"):
        dice(mask.astype(float), mask)
    with pytest.raises(ValueError, match="`reference` must be bool"):
        iou(mask, mask[0])
    with pytest.raises(ValueError, match="of the reference's shape"):
        pixel_accuracy(mask, np.zeros((1, 3, 3), bool))
    with pytest.raises(ValueError, match="`empty` must be nan, one or zero, got 'skip'"):
        dice(mask, mask, empty="skip")
