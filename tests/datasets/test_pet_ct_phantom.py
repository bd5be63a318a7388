"""The PET-CT volumes: a tumour that only its extent along depth tells from a tube."""

import numpy as np
import pytest

from common.datasets.pet_ct_phantom import CHANNELS, phantom

CT, PET = range(2)


def cases(n: int = 20, seed: int = 0, **settings) -> list:
    return list(phantom(n, seed, **settings))


def glow(case, channel: int, where: np.ndarray) -> float:
    """Mean of tumour or tubes less that of the soft tissue around."""
    around = ~case.target["mask"] & ~case.info["tubes"] & (np.abs(case.image[CT]) < 0.6)
    return float(case.image[channel][where].mean() - case.image[channel][around].mean())


def test_shapes_are_channels_slices_rows_columns() -> None:
    case = phantom(1, 0, size=20, depth=12)[0]
    assert case.image.shape == (len(CHANNELS), 12, 20, 20)
    assert case.target["mask"].shape == (12, 20, 20)
    assert case.target["mask"].dtype == bool
    assert case.spacing_mm == (4.0, 4.0, 4.0)


@pytest.mark.parametrize(("size", "depth"), [(24, 16), (48, 32)])
def test_tumours_fill_under_one_percent_and_span_five_slices_on_any_grid(
    size: int, depth: int
) -> None:
    masks = [case.target["mask"] for case in cases(12, size=size, depth=depth)]
    assert np.mean([mask.mean() for mask in masks]) == pytest.approx(0.008, abs=0.002)
    spans = [mask.any((1, 2)).sum() * 16 / depth for mask in masks]
    assert np.mean(spans) == pytest.approx(4.6, abs=0.7)
    assert not any(mask[[0, -1]].any() for mask in masks)


def test_tubes_run_through_all_slices_apart_from_the_tumour() -> None:
    for case in cases():
        tubes = case.info["tubes"]
        assert tubes.any((1, 2)).all()
        assert (tubes == tubes[:1]).all()
        assert not (tubes & case.target["mask"]).any()


def test_in_the_tumours_own_slice_it_looks_like_a_tube_and_over_all_slices_it_does_not() -> None:
    own, whole = [], []
    for case in cases(60, noise=0):
        mask, tubes = case.target["mask"], case.info["tubes"]
        middle = int(np.argmax(mask.sum((1, 2))))
        pet = case.image[PET]
        own.append(pet[middle][mask[middle]].max() - pet[middle][tubes[middle]].max())
        footprint = mask.any(0)
        whole.append(pet[:, footprint].mean() - pet[:, tubes[0]].mean())
    assert np.mean(own) == pytest.approx(0, abs=0.12)
    assert np.mean(whole) < -0.5
    assert (np.array(whole) < -0.3).all()


def test_the_depth_cue_scales_the_tubes_and_0_removes_them() -> None:
    tubes = [case.info["tubes"] for case in cases()]
    levels = [
        np.mean(
            [
                glow(case, PET, tube & ~case.target["mask"])
                for case, tube in zip(cases(depth_cue=cue), tubes, strict=True)
            ]
        )
        for cue in (0, 0.5, 1)
    ]
    assert levels[0] < levels[1] - 0.2 < levels[2] - 0.4
    assert not any(case.info["tubes"].any() for case in cases(depth_cue=0))
    clean = cases(depth_cue=0, noise=0)
    assert all(case.image[PET][tube].max() < 0.9 for case, tube in zip(clean, tubes, strict=True))


def test_thicker_slices_leave_a_tumour_fewer_of_them() -> None:
    spans = [
        np.mean([case.target["mask"].any((1, 2)).sum() for case in cases(anisotropy=a)])
        for a in (0.5, 1, 2)
    ]
    assert spans[0] > 1.6 * spans[1] > 2.4 * spans[2]


@pytest.mark.parametrize(
    ("name", "channel", "values"),
    [("uptake", PET, (0, 0.5, 1.5, 3)), ("ct_contrast", CT, (0, 0.25, 0.6, 1))],
)
def test_contrast_dials_raise_their_channel_and_0_hides_the_tumour(
    name: str, channel: int, values: tuple
) -> None:
    found = [
        np.mean([glow(case, channel, case.target["mask"]) for case in cases(40, **{name: value})])
        for value in values
    ]
    assert found[0] == pytest.approx(0, abs=0.06)  # 40 tumours: standard error about 0.015
    assert (np.diff(found) > 0.05).all()
    other = 1 - channel
    low, high = (
        np.mean([glow(c, other, c.target["mask"]) for c in cases(4, **{name: v})])
        for v in values[1:3]
    )
    assert low == pytest.approx(high, abs=0.03)


def test_noise_scales_the_texture_and_0_leaves_none() -> None:
    def spread(channel: int, noise: float) -> float:
        case = cases(1, noise=noise, uptake=0, ct_contrast=0)[0]
        return float(case.image[channel][:, 8:11, 2:5].std(axis=0).mean())

    for channel, sd in ((CT, 0.3), (PET, 0.25)):
        assert spread(channel, 0) < 1e-6
        assert spread(channel, 1) == pytest.approx(sd, rel=0.4)
        assert spread(channel, 1) < spread(channel, 2)


def test_missing_ends_shorten_the_reference_of_the_share_asked_for_but_not_the_image() -> None:
    whole, cut = cases(missing_ends=0), cases(missing_ends=1)
    for full, short in zip(whole, cut, strict=True):
        np.testing.assert_array_equal(full.image, short.image)
        spans = [case.target["mask"].any((1, 2)).sum() for case in (full, short)]
        assert spans[1] == (spans[0] - 2 if spans[0] > 2 else spans[0])
    assert phantom(1000, 0, missing_ends=0.3).table.ends_missing.mean() == pytest.approx(
        0.3, abs=0.05
    )


def test_anatomy_has_air_bone_and_soft_tissue_and_no_uptake_outside_the_neck() -> None:
    case = cases(1, noise=0, ct_contrast=0)[0]
    ct = case.image[CT][0]
    assert ct[7, 12] < -0.7  # airway
    assert ct[19, 10] > 0.4  # spine
    assert abs(ct[12, 5]) < 0.1
    assert ct[0, 0] < -0.9
    assert abs(case.image[PET][:, 0, 0]).max() < 0.01


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("depth_cue", 1.1),
        ("anisotropy", 0.1),
        ("uptake", -1),
        ("ct_contrast", 2),
        ("noise", 5),
        ("missing_ends", 1.5),
    ],
)
def test_bad_dials_are_named(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"`{name}` must be in"):
        phantom(1, 0, **{name: value})
