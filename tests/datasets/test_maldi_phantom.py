"""The MALDI pairs: scenes, the true deformation, brightness, ion images."""

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from common.datasets.maldi_phantom import ions, phantom
from common.datasets.maldi_phantom_scene import inverse


def pulled(case) -> np.ndarray:
    """Target regions brought back to the reference by the true deformation."""
    field = case.info["displacement"]
    places = np.indices(field.shape[1:]) + field
    return map_coordinates(case.target["regions"][1], places, order=0)


def overlap(first: np.ndarray, second: np.ndarray) -> float:
    return 2 * (first & second).sum() / (first.sum() + second.sum())


def error_px(case) -> float:
    """Mean length of the deformation inside the object: the error of doing nothing."""
    return float(np.hypot(*case.info["displacement"])[case.target["mask"][0]].mean())


@pytest.mark.parametrize(("scene", "codes"), [("synthetic", 5), ("brain", 10)])
@pytest.mark.parametrize(
    "dials", [{}, {"coherence": 0}, {"bump": 10}, {"local_scale": 0.3}, {"amplitude": 10}]
)
def test_the_true_deformation_maps_each_region_of_the_target_onto_the_reference(
    scene, codes, dials
):
    for case in phantom(3, 0, scene=scene, **dials):
        truth, found = case.target["regions"][0], pulled(case)
        assert len(np.unique(truth)) == codes
        assert overlap(truth > 0, found > 0) > 0.99
        assert (truth == found).mean() > 0.985


def test_the_inverse_undoes_the_deformation() -> None:
    field = phantom(1, 0, amplitude=10)[0].info["displacement"]
    back = inverse(field)
    places = np.indices(field.shape[1:]) + back
    there = np.stack([map_coordinates(part, places, order=1, mode="nearest") for part in field])
    assert np.abs(back + there).max() < 0.01
    assert np.abs(back).max() > 3


def test_the_ellipse_has_the_drawn_axes_and_the_scene_its_parts() -> None:
    case = phantom(1, 0, size=256)[0]
    codes = case.target["regions"][0]
    assert (codes > 0).sum() == pytest.approx(np.pi * 0.36 * 0.26 * 256**2, rel=0.01)
    assert (codes == 2).sum() == pytest.approx(np.pi * (0.06 * 256) ** 2, rel=0.03)
    assert (codes == 3).sum() == pytest.approx(np.pi * (0.045 * 256) ** 2, rel=0.03)
    segment = np.argwhere(codes == 4)
    assert np.ptp(segment, axis=0).max() == pytest.approx(0.4 * 256, rel=0.1)


def test_the_deformation_never_folds() -> None:
    for dials in ({"coherence": 0}, {"bump": 10}, {"local_scale": 0.3}, {}):
        for case in phantom(4, 1, **{"amplitude": 10} | dials):
            v = case.info["displacement"]
            (yy, yx), (xy, xx) = (np.gradient(part) for part in v)
            assert ((1 + yy) * (1 + xx) - yx * xy).min() > 0


def test_at_coherence_0_the_outline_stays_and_the_inside_moves() -> None:
    for case in phantom(4, 0, coherence=0):
        np.testing.assert_array_equal(*case.target["mask"])
        assert error_px(case) > 0.8
        assert overlap(*(case.target["regions"] == 2)) < 0.97


def test_coherence_moves_the_outline_more_and_the_object_as_a_whole_stays() -> None:
    def outline(coherence: float) -> float:
        cases = phantom(6, 0, coherence=coherence)
        return float(np.mean([1 - overlap(*case.target["mask"]) for case in cases]))

    assert 0 == outline(0) < outline(0.3) < outline(1)
    for case in phantom(4, 0):
        shift = case.info["displacement"][:, case.target["mask"][0]].mean(axis=1)
        assert np.abs(shift).max() < 0.05


def test_the_amplitude_is_the_longest_displacement_and_0_leaves_the_target_in_place() -> None:
    for amplitude in (0, 3, 6, 10):
        longest = [
            np.hypot(*case.info["displacement"])[case.target["mask"][0]].max()
            for case in phantom(4, 0, amplitude=amplitude)
        ]
        assert np.mean(longest) == pytest.approx(amplitude, rel=0.05, abs=1e-6)
    still = phantom(1, 0, amplitude=0)[0]
    np.testing.assert_array_equal(*still.target["regions"])


def test_displacement_scales_with_the_side() -> None:
    small, large = (np.mean([error_px(c) for c in phantom(12, 0, size=s)]) for s in (64, 128))
    assert large == pytest.approx(2 * small, rel=0.25)


def brightness(case, channel: int) -> np.ndarray:
    codes = case.target["regions"][channel]
    return np.array([np.median(case.image[channel][codes == code]) for code in range(1, 5)])


def test_the_intensity_gap_turns_the_order_of_brightness_and_0_leaves_none() -> None:
    quiet = {"bias": 0, "noise": 0, "amplitude": 0}
    differences = {
        gap: np.mean(
            [
                np.abs(brightness(c, 0) - brightness(c, 1)).mean()
                for c in phantom(6, 0, intensity_gap=gap, **quiet)
            ]
        )
        for gap in (0, 0.5, 1)
    }
    assert differences[0] < 1e-6
    assert 0.1 < differences[0.5] < differences[1]
    case = phantom(1, 0, **quiet)[0]
    order = [np.argsort(brightness(case, channel)).tolist() for channel in (0, 1)]
    assert order == [[2, 0, 1, 3], [1, 3, 0, 2]]


def test_the_bias_field_spreads_the_target_only() -> None:
    def spread(bias: float, channel: int) -> float:
        cases = phantom(6, 0, bias=bias, noise=0)
        inside = [c.image[channel][c.target["regions"][channel] == 1] for c in cases]
        return float(np.mean([(np.percentile(x, 90) - np.percentile(x, 10)) for x in inside]))

    assert spread(0, 1) < 0.02
    assert spread(0, 1) + 0.05 < spread(0.35, 1) < spread(0.6, 1)
    assert spread(0.6, 0) == spread(0, 0)


def test_noise_has_the_standard_deviation_asked_for() -> None:
    def spread(noise: float) -> float:
        return float(
            np.mean(
                [c.image[0][c.target["regions"][0] == 1].std() for c in phantom(3, 0, noise=noise)]
            )
        )

    still = spread(0)
    for noise in (3, 20, 40):
        added = np.sqrt(max(spread(noise) ** 2 - still**2, 0))
        assert added == pytest.approx(noise / 255, rel=0.1)


def test_the_bump_pushes_the_outline_out_by_that_much_at_one_place() -> None:
    for bump in (4, 10):
        for with_bump, without in zip(
            phantom(4, 0, bump=bump, amplitude=0), phantom(4, 0, amplitude=0), strict=True
        ):
            moved = np.hypot(*with_bump.info["displacement"])
            assert moved.max() == pytest.approx(bump, rel=0.02)
            assert not np.hypot(*without.info["displacement"]).any()
            grown = with_bump.target["mask"][1].sum() - with_bump.target["mask"][0].sum()
            assert grown > 10 * bump
            assert (moved > bump / 10).mean() < 0.25


def test_local_scale_stretches_one_half_by_that_share() -> None:
    for share in (0, 0.1, 0.3):
        for case in phantom(3, 0, amplitude=0, local_scale=share):
            before, after = (mask.sum() for mask in case.target["mask"])
            assert after / before == pytest.approx(1 + share / 2, abs=0.02)


def test_brain_pairs_have_a_thin_ventricle_inside() -> None:
    for case in phantom(6, 0, scene="brain"):
        regions = case.target["regions"][0]
        thin = regions == case.info["ventricle"]
        assert 0.004 < thin.sum() / (regions > 0).sum() < 0.05
        assert case.target["mask"][0][thin].all()


@pytest.fixture(scope="module")
def ionised() -> tuple:
    case = phantom(1, 0, scene="brain", amplitude=3)[0]
    return case, *ions(case, 400)


def test_ions_are_specific_to_the_ventricle_by_their_strength_and_no_more(ionised) -> None:
    case, images, strength = ionised
    inside = case.target["regions"][1] == case.info["ventricle"]
    near = case.target["mask"][1] & ~inside
    contrast = images[:, inside].mean(1) - images[:, near].mean(1)
    assert images.shape == (400, 128, 128)
    assert np.polyfit(strength, contrast, 1)[0] == pytest.approx(1, abs=0.25)
    assert (strength >= 0.3).sum() / 400 == pytest.approx(0.06 * 7 / 8, abs=0.03)


def test_ions_depend_on_nothing_but_the_case(ionised) -> None:
    case, images, _ = ionised
    np.testing.assert_array_equal(ions(case, 400)[0][:2], images[:2])
    other = phantom(2, 0, scene="brain", amplitude=3)[1]
    assert not np.array_equal(ions(other, 2)[0], images[:2])
    assert (ions(case, 50, specific=0)[1] < 0.35).all()


@pytest.mark.parametrize("wrong", [{"n": 0}, {"specific": 1.2}, {"noise": -1}])
def test_bad_ions_are_refused(wrong, ionised) -> None:
    with pytest.raises(ValueError, match="`n` must be at least 1"):
        ions(ionised[0], **({"n": 5} | wrong))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"scene": "wheat"}, "`scene` must be one of synthetic, brain"),
        ({"size": 32}, "`size` must be at least 48"),
        ({"coherence": 1.1}, "`coherence` must be in"),
        ({"amplitude": 11}, "`amplitude` must be in"),
        ({"intensity_gap": 2}, "`intensity_gap` must be in"),
        ({"bias": 1}, "`bias` must be in"),
        ({"noise": 50}, "`noise` must be in"),
        ({"bump": 11}, "`bump` must be in"),
        ({"local_scale": 0.4}, "`local_scale` must be in"),
    ],
)
def test_bad_arguments_are_named(wrong, message) -> None:
    with pytest.raises(ValueError, match=message):
        phantom(1, 0, **wrong)
