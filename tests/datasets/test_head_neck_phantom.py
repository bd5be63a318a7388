"""The heads: Dixon signals, stopping power, the bone channel and where it comes from."""

import numpy as np
import pytest
from scipy.ndimage import binary_erosion, gaussian_filter

from common.datasets.head_neck_phantom import CHANNELS, phantom
from common.datasets.head_neck_phantom_anatomy import (
    AIR,
    BRAIN,
    CAVITY,
    CORTICAL,
    FAT,
    FILLING,
    MARROW,
    MUSCLE,
)

T1, FS, WS, BONE = range(4)
QUIET = {"noise": 0, "bias": 0}


def cases(n: int = 2, seed: int = 0, **settings) -> list:
    return list(phantom(n, seed, **{"size": 40} | settings))


def inside(case, tissue: int) -> np.ndarray:
    """Voxels of a tissue whose neighbours are of the same."""
    return binary_erosion(case.info["tissue"] == tissue)


def test_shapes_are_channels_upward_backward_sideward() -> None:
    case = cases(1)[0]
    assert case.image.shape == (len(CHANNELS), 20, 40, 40)
    assert case.target["spr"].shape == (20, 40, 40)
    assert case.target["spr"].dtype == np.float32
    assert case.spacing_mm == (10.8, 6.75, 6.75)


def test_the_body_fills_a_fifth_of_the_field_and_holds_every_tissue() -> None:
    found = cases(4, size=56)
    assert np.mean([c.info["body"].mean() for c in found]) == pytest.approx(0.21, abs=0.04)
    shares = np.mean(
        [np.bincount(c.info["tissue"].ravel(), minlength=8) / c.info["body"].sum() for c in found],
        0,
    )
    for tissue, share, slack in (
        (FAT, 0.24, 0.06),
        (MUSCLE, 0.37, 0.08),
        (BRAIN, 0.24, 0.06),
        (CORTICAL, 0.10, 0.04),
        (MARROW, 0.02, 0.03),
        (CAVITY, 0.02, 0.015),
    ):
        assert shares[tissue] == pytest.approx(share, abs=slack)


def test_stopping_power_follows_the_tissues() -> None:
    case = cases(1, size=56, bone_variation=0)[0]
    spr = case.target["spr"]
    for tissue, level, slack in ((AIR, -1000, 1), (FAT, -40, 40), (MUSCLE, 45, 20), (BRAIN, 40, 5)):
        assert np.median(spr[inside(case, tissue)]) == pytest.approx(level, abs=slack)
    assert spr[case.info["tissue"] == CORTICAL].mean() > 300
    assert spr[case.info["tissue"] == CAVITY].mean() < -500
    np.testing.assert_array_equal(case.info["body"], case.info["tissue"] != AIR)


def test_the_contrasts_are_water_fat_and_their_in_phase_sum() -> None:
    case = cases(1, **QUIET)[0]
    image = case.image
    np.testing.assert_allclose(image[T1], 0.9 * image[FS] + image[WS] / 0.9, atol=1e-5)
    fat, brain = case.info["tissue"] == FAT, inside(case, BRAIN)
    assert image[FS][fat].mean() < 0.5 * image[WS][fat].mean()
    assert image[FS][brain].mean() == pytest.approx(0.95, abs=0.05)
    assert image[WS][brain].mean() < 0.05
    assert image[:, case.info["tissue"] == AIR].mean() < 0.05


def test_without_fat_signal_the_in_phase_image_says_no_more_than_the_water_image() -> None:
    def rest(fat_signal: float) -> float:
        found = cases(2, fat_signal=fat_signal, **QUIET)
        return float(np.mean([np.abs(c.image[T1] - 0.9 * c.image[FS]).mean() for c in found]))

    assert rest(0) < 1e-6
    assert rest(0) < rest(0.5) < rest(1)


def test_bone_is_as_dark_as_air_and_without_darkness_brighter() -> None:
    def gap(darkness: float) -> float:
        found = cases(2, size=56, bone_darkness=darkness, **QUIET)
        bone = np.concatenate([c.image[FS][c.info["tissue"] == CORTICAL] for c in found])
        air = np.concatenate([c.image[FS][c.info["tissue"] == CAVITY] for c in found])
        return float(np.median(bone) - np.median(air))

    assert gap(1) < gap(0.5) - 0.1 < gap(0) - 0.2


def test_the_bone_channel_is_the_water_image_inside_the_targets_bone() -> None:
    case = cases(1)[0]
    image, bone = case.image, case.info["bone"]
    np.testing.assert_array_equal(image[BONE], image[FS] * bone)
    tissue = case.info["tissue"]
    np.testing.assert_array_equal(bone, (tissue == CORTICAL) | (tissue == MARROW))


def _agreement(**settings) -> float:
    """Dice of the bone channel's support with the target's bone."""
    found = []
    for case in cases(2, **settings):
        support, bone = case.image[BONE] > 0, case.info["bone"]
        found.append(2 * (support & bone).sum() / (support.sum() + bone.sum()))
    return float(np.mean(found))


def test_shift_and_dropout_take_the_bone_channel_away_from_the_target() -> None:
    exact = _agreement()
    assert exact > 0.99
    assert _agreement(bone_shift=3) < _agreement(bone_shift=1) < exact - 0.1
    assert _agreement(bone_dropout=0.5) < _agreement(bone_dropout=0.2) < exact - 0.05
    case = cases(1, bone_dropout=0.2)[0]
    kept = (case.image[BONE] > 0)[case.info["bone"]].mean()
    assert kept == pytest.approx(0.8, abs=0.02)


def test_a_mask_guessed_from_the_images_holds_air_as_well_as_bone() -> None:
    assert 0.2 < _agreement(bone_source="mri") < 0.8
    case = cases(1, size=56, bone_source="mri", noise=0.01)[0]
    cavity = case.info["tissue"] == CAVITY
    assert (case.image[BONE] > 0)[cavity].mean() > 0.3
    exact = cases(1, size=56)[0]
    assert not (exact.image[BONE] > 0)[exact.info["tissue"] == CAVITY].any()


def test_misregistration_moves_the_target_by_its_millimetres_and_0_does_not() -> None:
    found = {mm: cases(2, misregistration=mm) for mm in (0, 2, 6)}
    off = {
        mm: np.mean([(c.info["body"] != (c.info["tissue"] != AIR)).mean() for c in some])
        for mm, some in found.items()
    }
    assert off[0] == 0
    assert off[0] < off[2] < off[6]
    np.testing.assert_array_equal(found[0][0].image[:3], found[6][0].image[:3])
    for case in found[6]:
        stale = (case.info["tissue"] == CORTICAL) | (case.info["tissue"] == MARROW)
        assert case.target["spr"][case.info["bone"]].mean() > case.target["spr"][stale].mean() + 50


def test_bone_varies_by_its_dial_and_not_in_the_images() -> None:
    def spread(sd: float) -> float:
        case = cases(1, bone_variation=sd)[0]
        flat = cases(1, bone_variation=0)[0]
        np.testing.assert_array_equal(case.image[:3], flat.image[:3])
        bone = case.info["tissue"] == CORTICAL
        return float((case.target["spr"] - flat.target["spr"])[bone].std())

    assert spread(0) == 0
    assert 30 < spread(120) < 130
    assert spread(300) == pytest.approx(2.5 * spread(120), rel=0.02)


def test_heads_differ_by_deformation_and_0_leaves_only_their_size() -> None:
    def asymmetry(deformation: float) -> float:
        found = cases(4, deformation=deformation, fillings=0)
        bodies = [c.info["body"] for c in found]
        return float(np.mean([(b != b[:, :, ::-1]).mean() / b.mean() for b in bodies]))

    assert asymmetry(0) < 0.01
    assert asymmetry(0) < asymmetry(0.02) < asymmetry(0.08)
    scale = phantom(500, 0).table.scale
    assert scale.std() == pytest.approx(0.05, rel=0.1)


def test_fillings_come_in_the_share_asked_for_and_are_the_densest_part() -> None:
    for share in (0, 0.5, 1):
        assert phantom(16, 0, fillings=share).table.filling.mean() == share
    with_one = [c for c in cases(4, size=56, fillings=1) if (c.info["tissue"] == FILLING).any()]
    assert len(with_one) == 4
    without = cases(2, size=56, fillings=0)
    assert min(c.target["spr"].max() for c in with_one) > max(
        c.target["spr"].max() for c in without
    )


def test_noise_and_coil_field_grow_with_their_dials_and_vanish_at_0() -> None:
    def air(noise: float) -> float:
        return float(cases(1, noise=noise)[0].image[T1][:, :3, :3].mean())

    def drift(bias: float) -> float:
        case = cases(1, bias=bias, noise=0)[0]
        slow = gaussian_filter(case.image[FS], 1.5)[inside(case, BRAIN)]
        return float(slow.std() / slow.mean())

    assert air(0) == 0
    assert air(0.02) == pytest.approx(0.02 * np.sqrt(np.pi / 2), rel=0.1)
    assert air(0.1) > 3 * air(0.02)
    assert drift(0) < drift(0.1) < drift(0.4)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"bone_source": "ct"}, "`bone_source` must be one of target, mri"),
        ({"fat_signal": 2}, "`fat_signal` must be in"),
        ({"bone_darkness": 1.2}, "`bone_darkness` must be in"),
        ({"bone_shift": 5}, "`bone_shift` must be in"),
        ({"bone_dropout": -0.1}, "`bone_dropout` must be in"),
        ({"misregistration": 10}, "`misregistration` must be in"),
        ({"bone_variation": 400}, "`bone_variation` must be in"),
        ({"deformation": 0.2}, "`deformation` must be in"),
        ({"fillings": 2}, "`fillings` must be in"),
        ({"bias": 1}, "`bias` must be in"),
        ({"noise": 1}, "`noise` must be in"),
    ],
)
def test_bad_arguments_are_named(wrong: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        phantom(1, 0, **wrong)
