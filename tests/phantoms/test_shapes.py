import numpy as np
import pytest

from common.phantoms import shapes


def test_the_depth_below_a_sphere_is_exact():
    depth = shapes.ellipsoid((21, 21, 21), (10, 10, 10), (6, 6, 6))
    z, y, x = np.indices(depth.shape) - 10
    np.testing.assert_allclose(depth, 6 - np.sqrt(z**2 + y**2 + x**2), atol=1e-4)


@pytest.mark.parametrize("angle", [0.0, 0.4, 1.2])
def test_an_ellipse_covers_its_area_whatever_its_direction(angle):
    depth = shapes.ellipsoid((101, 101), (50, 50), (40, 15), turn=shapes.rotation(angle))
    assert np.count_nonzero(depth > 0) == pytest.approx(np.pi * 40 * 15, rel=0.02)


def test_spacing_is_taken_into_account():
    depth = shapes.ellipsoid((40, 120), (60.2, 60.3), (45.4, 45.4), spacing=(3.0, 1.0))
    assert np.count_nonzero(depth > 0) * 3 == pytest.approx(np.pi * 45.4**2, rel=0.01)


def test_a_high_power_makes_a_box():
    box = shapes.ellipsoid((41, 41), (20, 20), (10.5, 10.5), power=40) > 0
    assert np.count_nonzero(box) == 21 * 21


def test_a_rotation_in_space_is_orthogonal_and_turns_about_its_own_axis():
    turn = shapes.rotation(0.3, -0.7, 1.1)
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(turn) == pytest.approx(1)
    np.testing.assert_allclose(shapes.rotation(0.5, 0, 0) @ [1, 0, 0], [1, 0, 0])


def test_two_angles_are_refused():
    with pytest.raises(ValueError, match="one or three, got 2"):
        shapes.rotation(0.1, 0.2)


def test_a_blob_without_harmonics_is_a_disc_and_aspect_keeps_its_area():
    disc = shapes.blob((101, 101), (50, 50), 20) > 0
    long = shapes.blob((101, 101), (50, 50), 20, aspect=2.0, angle=0.6) > 0
    assert disc.sum() == pytest.approx(np.pi * 400, rel=0.02)
    assert long.sum() == pytest.approx(disc.sum(), rel=0.02)


def test_a_harmonic_moves_the_outline_by_its_amplitude():
    depth = shapes.blob((101, 101), (50, 50), 20, cosines=[0.2], sines=[0.0])
    assert depth[50 + 24, 50] == pytest.approx(0, abs=1e-4)  # cos(2 t) = 1 along the rows
    assert depth[50, 50 + 16] == pytest.approx(0, abs=1e-4)


def test_harmonics_have_the_amplitude_asked_for(rng):
    drawn = np.array([shapes.harmonics(6, 0.15, rng) for _ in range(4000)])
    power = (drawn**2).sum(axis=2).mean(axis=0)
    np.testing.assert_allclose(power, 0.15**2, rtol=0.05)
    assert drawn[:, 0, 0].std() > 3 * drawn[:, 0, 5].std()


def test_a_tube_is_as_thick_as_its_radius_and_tapers():
    depth = shapes.tube((41, 41), [(5, 20), (35, 20)], [6.0, 2.0])
    thick = (depth > 0).sum(axis=1)
    assert thick[6] == 11
    assert thick[34] == 5
    assert depth[:, 0].max() < -5


def test_a_tube_in_space_has_the_volume_of_a_capsule():
    depth = shapes.tube((40, 40, 60), [(20, 20, 15), (20, 20, 45)], 5.0)
    wanted = np.pi * 25 * 30 + 4 / 3 * np.pi * 125
    assert shapes.soft(depth).sum() == pytest.approx(wanted, rel=0.01)


@pytest.mark.parametrize("place", [-50, -12, -4, 14, 50])
def test_a_tube_outside_the_image_leaves_it_empty(place):
    for points in ([(place, 4), (place, 6)], [(4, place), (6, place)], [(place, place)]):
        assert shapes.tube((10, 10), points, 2.0).max() < 0


def test_a_tube_needs_a_point():
    with pytest.raises(ValueError, match="at least one point"):
        shapes.tube((4, 4), np.zeros((0, 2)), 1.0)


def test_coverage_of_a_soft_edge_keeps_the_area():
    depth = shapes.ellipsoid((61, 61), (30.3, 30.1), (20.4, 20.4))
    assert shapes.soft(depth).sum() == pytest.approx(np.pi * 20.4**2, rel=0.002)
    assert set(np.unique(shapes.soft(depth, 0))) == {0.0, 1.0}


def test_shells_count_from_the_surface():
    inside = np.zeros((7, 7), bool)
    inside[1:6, 1:6] = True
    assert shapes.shells(inside)[3].tolist() == [0, 1, 2, 3, 2, 1, 0]
    assert shapes.shells(inside, (2.0, 1.0))[3, 3] == 3


@pytest.mark.parametrize(("radii", "power"), [((0, 2), 2), ((2, -1), 2), ((2, 2), 0)])
def test_shapes_without_extent_are_refused(radii, power):
    with pytest.raises(ValueError, match="must be above 0"):
        shapes.ellipsoid((4, 4), (2, 2), radii, power=power)
