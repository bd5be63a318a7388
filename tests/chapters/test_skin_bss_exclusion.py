"""Leaving out half of the images: by hair it is harmless, by fit it makes a result."""

import numpy as np
import pytest

from common.chapters.skin_bss.exclusion import keep_half
from common.errors import UsageError
from common.models import skin_bss_scores
from common.statistics.areas import auc


@pytest.fixture
def study(rng):
    """170 images whose classes do not differ."""
    label = np.repeat([0, 1], [102, 68])
    return rng.normal(size=170), label, rng.random(170)


def test_half_of_each_class_is_kept(study):
    score, label, hair = study
    for bias in (0.0, 0.3, 1.0):
        kept = keep_half(score, label, hair, bias=bias)
        assert (kept[label == 0].sum(), kept[label == 1].sum()) == (51, 34)


def test_of_an_odd_class_the_larger_half_is_kept():
    kept = keep_half([1, 2, 3, 9], [0, 0, 0, 1], [3, 1, 2, 0], bias=0)
    assert kept.tolist() == [False, True, True, True]


def test_without_bias_the_images_with_least_hair_are_kept_whatever_their_score(study):
    score, label, hair = study
    kept = keep_half(score, label, hair, bias=0)
    assert np.array_equal(kept, keep_half(-score, label, hair, bias=0))
    for code in (0, 1):
        mine = label == code
        assert hair[mine & kept].max() < hair[mine & ~kept].min()


def test_full_bias_keeps_low_naevi_and_high_melanomas(study):
    score, label, hair = study
    kept = keep_half(score, label, hair, bias=1)
    assert score[kept & (label == 0)].max() < score[~kept & (label == 0)].min()
    assert score[kept & (label == 1)].min() > score[~kept & (label == 1)].max()


def test_the_area_rises_with_the_bias_although_there_is_no_difference(study):
    score, label, hair = study
    areas, gaps = [], []
    for bias in (0.0, 0.25, 0.5, 1.0):
        kept = keep_half(score, label, hair, bias=bias)
        areas.append(auc(score[kept], label[kept]))
        gaps.append(skin_bss_scores.boxes(score[kept], label[kept]).gap)
    assert abs(areas[0] - 0.5) < 0.15
    assert areas == sorted(areas)
    assert areas[-1] > 0.95
    assert gaps[0] < 0 < gaps[-1]


@pytest.mark.parametrize("bias", [-0.1, 1.1])
def test_a_bias_that_is_no_share_is_refused(bias):
    with pytest.raises(UsageError, match=r"`bias` must be in \[0, 1\]"):
        keep_half([1, 2], [0, 1], [0, 0], bias=bias)
