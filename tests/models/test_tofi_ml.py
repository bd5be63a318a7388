"""Betti curves: equal to gudhi's, to counts of labelled regions, and to values worked by hand."""

import time

import gudhi
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import ndimage
from skimage.measure import euler_number

from common.models import tofi_ml

LEVELS = np.arange(tofi_ml.N_LEVELS)


def library(field):
    """Diagrams of the established library, ends that are infinite included."""
    cells = gudhi.CubicalComplex(top_dimensional_cells=np.asarray(field, dtype=float))
    cells.compute_persistence(min_persistence=0)
    return [cells.persistence_intervals_in_dimension(k).reshape(-1, 2) for k in (0, 1)]


def alive(intervals):
    born, died = intervals.T
    return ((born <= LEVELS[:, None]) & (LEVELS[:, None] < died)).sum(axis=1)


def random_field(seed, shape, top):
    return np.random.default_rng(seed).integers(0, top, shape)


SHAPES = [(1, 1), (1, 9), (7, 1), (5, 4), (23, 40), (64, 64)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("top", [2, 12, tofi_ml.N_LEVELS])
def test_betti_curves_equal_those_of_gudhi(shape, top):
    field = random_field(sum(shape) + top, shape, top)
    expected = [alive(each) for each in library(field)]
    np.testing.assert_array_equal(tofi_ml.betti(field), expected)


@given(
    values=st.integers(1, 6).flatmap(
        lambda width: st.lists(
            st.lists(st.integers(0, 4), min_size=width, max_size=width), min_size=1, max_size=6
        )
    )
)
@settings(max_examples=60, deadline=None)
def test_diagrams_equal_those_of_gudhi_point_by_point(values):
    field = np.array(values)
    finite, loops = library(field)
    finite = finite[np.isfinite(finite[:, 1])]
    for ours, theirs in ((tofi_ml.components(field), finite), (tofi_ml.holes(field), loops)):
        assert sorted(map(tuple, ours.T.tolist())) == sorted(map(tuple, theirs.tolist()))


@pytest.mark.parametrize("level", [100, 383, 600])
def test_counts_are_those_of_labelled_regions(level):
    field = random_field(3, (50, 60), tofi_ml.N_LEVELS)
    dark = field <= level
    _, components = ndimage.label(dark, structure=np.ones((3, 3)))
    _, outside = ndimage.label(np.pad(~dark, 1, constant_values=True))
    found = tofi_ml.betti(field)[:, level]
    assert found.tolist() == [components, outside - 1]
    assert tofi_ml.euler_characteristic(field)[level] == euler_number(dark, connectivity=2)


def test_the_euler_characteristic_is_the_alternating_sum_of_betti_numbers():
    field = random_field(4, (31, 17), 40)
    beta_0, beta_1 = tofi_ml.betti(field)
    np.testing.assert_array_equal(beta_0 - beta_1, tofi_ml.euler_characteristic(field))


def test_everything_dark_is_one_component_without_holes():
    field = random_field(5, (20, 20), tofi_ml.N_LEVELS)
    assert tofi_ml.betti(field)[:, tofi_ml.TOP].tolist() == [1, 0]
    assert tofi_ml.betti(field)[:, : field.min()].sum() == 0


def test_a_checkerboard_is_joined_at_its_corners():
    field = np.indices((8, 8)).sum(axis=0) % 2
    beta_0, beta_1 = tofi_ml.betti(field)[:, 0]
    assert beta_0 == 1
    # bright squares inside the border touch none of the others by an edge
    assert beta_1 == 18


@pytest.mark.parametrize("k", [1, 2, 3])
def test_quarter_turns_and_mirrors_change_no_count(k):
    image = random_field(6, (3, 30, 24), 256).astype(np.uint8)
    own = tofi_ml.betti_curves(image)
    np.testing.assert_array_equal(own, tofi_ml.betti_curves(np.rot90(image, k, axes=(1, 2))))
    np.testing.assert_array_equal(own, tofi_ml.betti_curves(image[:, ::-1]))


def test_brighter_values_shift_the_curve_and_nothing_else():
    field = random_field(7, (25, 25), 300)
    moved = tofi_ml.betti(field + 40)
    np.testing.assert_array_equal(moved[:, 40:], tofi_ml.betti(field)[:, :-40])


def test_two_images_side_by_side_have_the_sum_of_their_counts():
    """A bright wall between them keeps components apart; holes stay where they are."""
    parts = [random_field(seed, (12, 12), 200) for seed in (8, 9)]
    framed = [np.pad(part, 1, constant_values=tofi_ml.TOP) for part in parts]
    both = tofi_ml.betti(np.concatenate(framed, axis=1))[:, :200]
    single = sum(tofi_ml.betti(part)[:, :200] for part in framed)
    np.testing.assert_array_equal(both[0], single[0])
    # the frame is not dark, so that it closes nothing in
    np.testing.assert_array_equal(both[1], single[1])


def test_gray_is_the_exact_mean_and_luma_that_of_the_released_code():
    from PIL import Image

    image = random_field(10, (3, 40, 40), 256).astype(np.uint8)
    gray, red, *_ = tofi_ml.channels(image)
    np.testing.assert_array_equal(gray, image.astype(int).sum(axis=0))
    np.testing.assert_array_equal(red, 3 * image[0].astype(int))
    luma = tofi_ml.channels(image, gray="luma")[0]
    pillow = np.asarray(Image.fromarray(np.moveaxis(image, 0, -1)).convert("L"), dtype=int)
    np.testing.assert_array_equal(luma, 3 * pillow)


def test_floats_that_were_bytes_give_the_same_channels():
    image = random_field(11, (3, 9, 9), 256).astype(np.uint8)
    as_floats = (image / 255).astype(np.float32)
    np.testing.assert_array_equal(tofi_ml.channels(image), tofi_ml.channels(as_floats))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tofi_ml.channels(np.zeros((2, 4, 4))), r"shape \(3, height, width\)"),
        (lambda: tofi_ml.channels(np.full((3, 2, 2), 300)), "bytes or floats"),
        (lambda: tofi_ml.channels(np.full((3, 2, 2), np.nan)), "bytes or floats"),
        (lambda: tofi_ml.channels(np.zeros((3, 2, 2)), gray="max"), "mean or luma"),
        (lambda: tofi_ml.betti(np.zeros((2, 2))), "whole numbers"),
        (lambda: tofi_ml.betti(np.zeros((0, 2), int)), "whole numbers"),
        (lambda: tofi_ml.components(np.full((2, 2), 766)), r"\[0, 765\]"),
        (lambda: tofi_ml.thresholds(0), "at least 1"),
    ],
)
def test_bad_input_is_refused_with_its_value(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("n", [1, 10, 100, 255])
def test_a_pixel_is_active_exactly_from_its_threshold_on(n):
    gray = np.arange(256)
    steps = tofi_ml.thresholds(n)
    for k in (1, n // 2 + 1, n):
        np.testing.assert_array_equal(3 * gray <= steps[k - 1], n * gray <= 255 * k)


def test_features_are_the_curves_at_the_thresholds_in_order():
    image = random_field(12, (3, 16, 16), 256).astype(np.uint8)
    curves = tofi_ml.betti_curves(image)
    features = tofi_ml.on_grid(curves)
    assert features.shape == (800,)
    assert features[300 + 49] == curves[1, 1, tofi_ml.thresholds()[49]]


def test_the_own_grid_is_that_of_the_library_on_the_image_s_own_diagram():
    field = random_field(13, (30, 30), 500)
    finite, loops = library(field)
    finite = finite[np.isfinite(finite[:, 1])]
    for ours, intervals in zip(tofi_ml.own_grid(field), (finite, loops), strict=True):
        points = np.linspace(intervals[:, 0].min(), intervals[:, 1].max(), 100)[:, None]
        born, died = intervals.T
        np.testing.assert_array_equal(ours, ((born <= points) & (points < died)).sum(axis=1))


def test_the_own_grid_does_not_see_brightness():
    field = random_field(14, (20, 20), 300)
    np.testing.assert_array_equal(tofi_ml.own_grid(field), tofi_ml.own_grid(field + 200))
    assert tofi_ml.own_grid(np.zeros((3, 3), int)).sum() == 0


def test_known_components_save_the_work_and_change_nothing():
    field = random_field(15, (20, 20), 300)
    joined = tofi_ml.components(field)
    np.testing.assert_array_equal(tofi_ml.betti(field), tofi_ml.betti(field, joined=joined))
    np.testing.assert_array_equal(tofi_ml.own_grid(field), tofi_ml.own_grid(field, joined=joined))


def test_curves_come_several_times_faster_than_from_the_boundary_matrix():
    """The benchmark asks for ten times at 256 px; a busy machine is given some room."""
    field = random_field(16, (256, 256), tofi_ml.N_LEVELS)
    tofi_ml.betti(field)
    seconds = []
    for count in (tofi_ml.betti, library):
        runs = []
        for _ in range(3):
            start = time.process_time()
            count(field)
            runs.append(time.process_time() - start)
        seconds.append(min(runs))
    assert seconds[1] > 6 * seconds[0]
