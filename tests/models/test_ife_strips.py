"""Lanes are found where they are, and co-location is that of the rows."""

import numpy as np
import pytest
import torch

from common.chapters.ife.gels import make
from common.models.ife_strips import StripNet, colocation, lane_profiles, segment_lanes, stain


@pytest.fixture(scope="module")
def found():
    return {
        px: make(60, seed=7, part="train", size=(94, 141), dials={"offset": px})
        for px in (4.0, 20.0)
    }


@pytest.mark.parametrize("offset", [4.0, 20.0])
def test_lanes_are_found_also_where_they_are_shifted(found, offset) -> None:
    gels = found[offset]
    miss = np.abs(segment_lanes(gels.image) - gels.lanes) / 141 * 283
    # a pitch is 47 px; the comb steps by 1.4 px of the first lane and 2.4 px of the pitch
    assert np.percentile(miss, 90) < 8


def test_stain_is_blue_and_neither_white_nor_black() -> None:
    image = np.zeros((1, 3, 1, 4), np.uint8)
    image[0, :, 0] = np.array([[255, 255, 255], [0, 0, 0], [90, 90, 90], [60, 40, 240]]).T
    assert stain(image)[0, 0].tolist() == [0, 0, 0, 190]


def test_a_profile_is_the_mean_stain_across_its_lane() -> None:
    image = np.full((1, 3, 4, 60), 255, np.uint8)
    image[0, :2, 1, 10:20] = 55  # a band of 200 grey levels in the first lane only
    columns = np.array([[15.0, 25, 35, 45, 55, 200]])
    profile = lane_profiles(image, columns)
    assert profile.shape == (1, 6, 4)
    assert profile[0, 0].tolist() == [0, 200, 0, 0]
    assert not profile[0, 2:].any()  # the last lane lies outside the image
    with pytest.raises(ValueError, match="`columns` must have shape"):
        lane_profiles(image, columns[:, :5])


def test_lanes_with_one_row_correlate_and_lanes_with_two_do_not() -> None:
    rows = torch.arange(60.0)

    def band(at: float) -> torch.Tensor:
        return torch.exp(-0.5 * ((rows - at) / 2) ** 2)

    profile = torch.zeros(1, 6, 60)
    profile[0, 0], profile[0, 1], profile[0, 2] = band(30), 0.3 * band(30), band(44)
    together = colocation(profile)[0, :, 30]
    assert together[0] > 0.99  # whatever the strength
    assert together[1] < 0.3
    assert colocation(profile).abs().max() <= 1 + 1e-5


def test_the_network_answers_nine_ways_for_any_height() -> None:
    network = StripNet().eval()
    for height in (48, 64):
        answer = network(torch.rand(2, 6, height) * 2 - 1)
        assert answer.logits["label"].shape == (2, 9)
        assert answer.maps["label"] == []
