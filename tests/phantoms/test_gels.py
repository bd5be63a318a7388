import numpy as np
import pytest

from common.phantoms import gels


def test_bands_add_up_at_their_rows():
    stain = gels.profile(100, [20, 70], [3, 10], [1.0, 0.5])
    assert stain[20] == pytest.approx(1.0, abs=1e-3)
    assert stain.sum() == pytest.approx(np.sqrt(2 * np.pi) * (3 * 1.0 + 10 * 0.5), rel=0.01)
    assert gels.profile(5, [], [], []).tolist() == [0] * 5


@pytest.mark.parametrize(("sigmas", "strengths"), [([1.0], [1.0, 2.0]), ([0.0, 1.0], [1.0, 1.0])])
def test_bands_that_do_not_fit_are_refused(sigmas, strengths):
    with pytest.raises(ValueError, match="of one length and sigmas above 0"):
        gels.profile(9, [1, 2], sigmas, strengths)


def test_a_lane_is_as_wide_as_asked_and_lanes_add_up():
    gel = np.zeros((50, 120), np.float32)
    stain = gels.profile(50, [25], [4], [1.0])
    gels.place(gel, stain, column=30, width=20)
    alone = gel.copy()
    gels.place(gel, stain, column=80, width=20)
    assert np.count_nonzero(gel[25] > 0.5) == pytest.approx(40, abs=3)
    np.testing.assert_array_equal(gel[:, :50], alone[:, :50])
    assert gel[25, 55] < 0.01


def test_a_tilted_lane_lies_lower_on_its_right():
    gel = np.zeros((60, 60), np.float32)
    gels.place(gel, gels.profile(60, [30], [3], [1.0]), column=30, width=30, tilt=0.3)
    assert gel[:, 40].argmax() - gel[:, 20].argmax() == pytest.approx(6, abs=1)


def test_a_lane_outside_the_gel_leaves_it_as_it_is():
    gel = np.zeros((10, 10), np.float32)
    gels.place(gel, np.ones(10), column=100, width=5)
    assert not gel.any()
