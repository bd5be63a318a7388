"""The optical model, the sparse start and the criterion do what their equations say."""

from itertools import permutations

import numpy as np
import pytest

from common.errors import UsageError
from common.models import skin_bss

M = np.array([[1.0, 1.0, 1.0], [2.0, 1.3, 0.6], [0.1, 0.6, 0.3]])


def pure_zones(rng, length=20, n=6):
    """Zones of one chromophore each, in mixed order, with tissue between them."""
    tissue = rng.uniform(0.2, 1.0, (3, n * length))
    amounts = [tissue]
    for kind in rng.permutation(np.repeat(np.arange(3), 2)):
        zone = np.zeros((3, length))
        zone[kind] = rng.uniform(0.5, 2.0, length)
        amounts += [zone, rng.uniform(0.2, 1.0, (3, length))]
    return M @ np.concatenate(amounts, axis=1)


def test_absorbance_of_light_that_fell_to_one_over_e_is_one():
    image = np.full((3, 1, 1), np.exp(-1.0))
    np.testing.assert_allclose(skin_bss.absorbance(image, srgb=False), 1.0)


def test_a_black_pixel_counts_as_grey_value_one():
    black = np.zeros((3, 1, 1), np.uint8)
    np.testing.assert_allclose(skin_bss.absorbance(black, srgb=False), np.log(255))


def test_the_curve_of_srgb_is_undone_on_both_of_its_branches():
    image = np.full((3, 1, 2), 0.0)
    image[:, 0] = [0.04, 0.5]  # 0.04 / 12.92, and (0.555 / 1.055) ** 2.4
    found = np.exp(-skin_bss.absorbance(image, srgb=True))[0]
    np.testing.assert_allclose(found, [0.003095975, 0.214041140], rtol=1e-6)


def test_bands_come_as_blue_green_red_and_pixels_by_column():
    image = np.arange(1, 13, dtype=np.uint8).reshape(3, 2, 2)
    b = np.rint(255 * np.exp(-skin_bss.absorbance(image, srgb=False)))
    assert b.tolist() == [[9, 11, 10, 12], [5, 7, 6, 8], [1, 3, 2, 4]]


def test_maps_undo_the_vectors(rng):
    image = rng.uniform(0.1, 1, (3, 4, 7))
    b = skin_bss.absorbance(image, srgb=False)
    np.testing.assert_allclose(np.exp(-skin_bss.as_maps(b, (4, 7))), image[::-1])


@pytest.mark.parametrize("shape", [(4, 4), (1, 4, 4), (4, 4, 3)])
def test_an_image_without_three_channels_first_is_refused(shape):
    with pytest.raises(UsageError, match=r"`image` must have shape \(3"):
        skin_bss.absorbance(np.ones(shape), srgb=False)


def test_the_inverse_recovers_what_its_matrix_mixed(rng):
    C = rng.uniform(0, 1, (2, 3, 50))
    np.testing.assert_allclose(skin_bss.invert(M @ C, M), C, atol=1e-12)


def test_slices_have_the_means_and_variances_of_their_ratios(rng):
    X = rng.uniform(0.5, 1.5, (2, 3, 40))
    mean, variance, blue = skin_bss.slice_ratios(X, length=6, step=3)
    for k, start in enumerate(range(0, 40 - 5, 3)):
        part = X[..., start : start + 6]
        ratio = part[:, 1:] / part[:, :1]
        np.testing.assert_allclose(mean[..., k], ratio.mean(axis=-1))
        np.testing.assert_allclose(variance[..., k], ratio.var(axis=-1), rtol=1e-9)
        np.testing.assert_allclose(blue[..., k], part[:, 0].mean(axis=-1))
    assert mean.shape == (2, 2, 12)


def test_a_pure_slice_has_no_variance_whatever_the_amounts(rng):
    X = M[:, [1]] * rng.uniform(0.5, 2.0, 30)
    _, variance, _ = skin_bss.slice_ratios(X, length=10)
    assert variance.max() < 1e-15


@pytest.mark.parametrize("length", [1, 41])
def test_a_slice_that_does_not_fit_is_refused(length):
    with pytest.raises(UsageError, match=f"got {length}"):
        skin_bss.slice_ratios(np.ones((3, 40)), length=length)


def test_the_sparse_start_finds_the_true_columns_in_some_order(rng):
    found = skin_bss.sparse_columns(pure_zones(rng), length=16, threshold=0.3)
    order = skin_bss.assign(found, M)
    np.testing.assert_allclose(found[:, order], M, atol=1e-9)


def test_many_images_give_what_each_gives_alone(rng):
    X = np.stack([pure_zones(np.random.default_rng(k)) for k in range(3)])
    together = skin_bss.sparse_columns(X, length=16, threshold=0.3)
    for one, found in zip(X, together, strict=True):
        assert np.array_equal(skin_bss.sparse_columns(one, length=16, threshold=0.3), found)


def test_without_a_pure_zone_of_one_chromophore_its_column_is_not_found(rng):
    """The condition of equations 6 to 8 is needed, not only sufficient."""
    C = np.zeros((3, 60))
    C[0, :20], C[1, 20:40] = rng.uniform(0.5, 2, 20), rng.uniform(0.5, 2, 20)
    C[:, 40:] = rng.uniform(0.5, 1, (3, 20))  # melanin never alone
    found = skin_bss.sparse_columns(M @ C, length=16, threshold=0.05)
    assert np.linalg.norm(found - M[:, [2]], axis=0).min() > 0.1


def test_the_threshold_is_halved_until_three_columns_are_found(rng):
    found = skin_bss.sparse_columns(pure_zones(rng), length=16, threshold=50.0)
    ratios = found[1:].T
    gaps = np.linalg.norm(ratios[:, None] - ratios[None], axis=-1)
    assert gaps[np.triu_indices(3, 1)].min() > 0.1


def test_an_image_of_one_colour_repeats_its_column():
    found = skin_bss.sparse_columns(M[:, [0]] * np.ones(30), length=8, threshold=0.3)
    np.testing.assert_allclose(found, M[:, [0, 0, 0]])


def test_slices_without_light_absorbed_are_left_out():
    """Bright pixels have ratios of rounding errors, here constant ones that would come first."""
    bright = np.array([[0.01], [0.09], [0.09]]) * np.ones(30)
    rng = np.random.default_rng(0)
    X = np.concatenate([bright, pure_zones(rng)], axis=1)
    found = skin_bss.sparse_columns(X, length=16, threshold=0.3)
    assert found[1].max() < 2.5
    with pytest.raises(UsageError, match="no slice"):
        skin_bss.sparse_columns(bright, length=16, threshold=0.3)


def test_a_threshold_of_zero_is_refused():
    with pytest.raises(UsageError, match="`threshold` must be positive, got 0"):
        skin_bss.sparse_columns(np.ones((3, 30)), length=8, threshold=0)


def test_normalising_keeps_the_product_and_makes_the_first_row_one(rng):
    A, S = rng.uniform(0.5, 2, (4, 3, 3)), rng.uniform(0, 1, (4, 3, 9))
    first, second = skin_bss.normalise(A, S)
    np.testing.assert_allclose(first[:, 0], 1.0)
    np.testing.assert_allclose(first @ second, A @ S)
    A[:, 0, 1] = 0
    first, _ = skin_bss.normalise(A, S)
    assert np.isfinite(first).all()


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_columns_are_named_whatever_their_order_and_scale(order, rng):
    mixed = M[:, order] * rng.uniform(0.1, 10, 3)
    found, S = skin_bss.reorder(mixed, np.eye(3), skin_bss.assign(mixed, M))
    np.testing.assert_allclose(found / found[0], M / M[0])
    np.testing.assert_allclose(mixed @ np.eye(3), found @ S)


def test_a_column_without_blue_is_named_by_the_angle_of_a_right_one():
    A = M.copy()
    A[:, 0] = [0.0, 1.0, 0.0]  # ratio 2 becomes infinite, still the greenest
    assert skin_bss.assign(A, M).tolist() == [0, 1, 2]


def test_the_lesion_is_the_largest_dark_piece_without_holes():
    grey = np.full((20, 30), 0.2)
    grey[4:14, 5:15] = 1.0
    grey[8, 9] = 0.2  # a bright spot inside
    grey[17:19, 25:28] = 1.1  # a small dark piece
    X = np.broadcast_to(grey.T.ravel(), (3, 600))
    mask = skin_bss.as_maps(skin_bss.lesion_mask(X, (20, 30)), (20, 30))
    expected = np.zeros((20, 30), bool)
    expected[4:14, 5:15] = True
    assert np.array_equal(mask, expected)
    with pytest.raises(UsageError, match="flat"):
        skin_bss.lesion_mask(np.ones((3, 600)), (20, 30))


def test_hair_raises_the_score_and_a_broad_lesion_does_not():
    skin = np.full((3, 40, 40), 0.8)
    lesion, hairy = skin.copy(), skin.copy()
    y, x = np.mgrid[:40, :40]
    lesion[:, (y - 20) ** 2 + (x - 20) ** 2 < 100] = 0.3
    hairy[:, :, 20] = 0.1
    assert skin_bss.hair_score(skin) == 0
    assert skin_bss.hair_score(hairy) == pytest.approx(0.7 / 40)
    assert skin_bss.hair_score(lesion) < 0.2 * skin_bss.hair_score(hairy)


def test_columns_sum_to_the_new_criterion_and_rows_to_the_classical_one(rng):
    A, S = rng.uniform(0, 1, (5, 3, 3)), rng.uniform(0, 1, (5, 3, 60))
    mask = rng.random((5, 60)) < 0.4
    parts = skin_bss.contributions(A, S, mask)
    np.testing.assert_allclose(parts.sum(axis=-1), skin_bss.band_means(A @ S, mask))
    by_hand = np.mean([(A[2, :, 1] * S[2, 1, v]).sum() for v in np.flatnonzero(mask[2])])
    assert parts.sum(axis=1)[2, 1] == pytest.approx(by_hand)


def test_the_criterion_does_not_depend_on_the_scale_of_columns(rng):
    A, S = rng.uniform(0, 1, (3, 3)), rng.uniform(0, 1, (3, 60))
    mask = np.arange(60) < 25
    k = np.array([2.0, 0.3, 7.0])
    scaled = skin_bss.contributions(A * k, S / k[:, None], mask)
    np.testing.assert_allclose(scaled, skin_bss.contributions(A, S, mask))


def test_an_empty_lesion_is_refused():
    with pytest.raises(UsageError, match="empty lesion"):
        skin_bss.band_means(np.ones((3, 4)), np.zeros(4, bool))
