"""The radiographs: classes, opacities, lung masks as auxiliary modality, exposure."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from common.datasets.chest_xray_phantom import COVID, NORMAL, OTHER, phantom

PLAIN = {"exposure_shift": 0, "noise": 0}


def cases(n: int = 80, seed: int = 0, **settings) -> list:
    return list(phantom(n, seed, **{"size": 48} | settings))


def of(found: list, label: int) -> list:
    return [case for case in found if case.target["label"] == label]


def lung_level(found: list) -> float:
    return float(np.mean([case.image[0][case.info["lung"]].mean() for case in found]))


def test_classes_have_the_published_numbers() -> None:
    table = phantom(5826, 0).table
    assert np.bincount(table.label).tolist() == [1456, 1457, 2913]
    assert table.cluster.is_unique
    assert np.bincount(phantom(40, 3).table.label).tolist() == [10, 10, 20]


def test_targets_are_a_label_and_a_lung_mask() -> None:
    case = cases(1)[0]
    assert set(case.target) == {"label", "mask"}
    assert case.target["mask"].dtype == bool
    assert case.target["mask"].shape == (48, 48)
    assert isinstance(case.target["label"], int)
    np.testing.assert_array_equal(case.target["mask"], case.info["lung"])


def test_lungs_lie_on_both_sides_and_are_darker_than_what_surrounds_them() -> None:
    for case in cases(20, **PLAIN):
        lung = case.info["lung"]
        assert 0.25 < lung.mean() < 0.5
        assert lung[:, :24].sum() > 0.12 * lung.size
        assert lung[:, 24:].sum() > 0.12 * lung.size
        image = case.image[0]
        assert image[lung].mean() < image[30:][~lung[30:]].mean() - 0.05


def test_opacities_lie_inside_the_lung_and_brighten_it() -> None:
    sick = [case for case in cases(**PLAIN) if case.target["label"] != NORMAL]
    brighter = []
    for case in sick:
        opaque, lung = case.info["opacity"], case.info["lung"]
        assert lung[opaque].all()
        if opaque.sum() > 20:
            clear = case.image[0][lung & ~opaque].mean()
            brighter.append(case.image[0][opaque].mean() - clear)
    assert np.mean(brighter) > 0.12
    assert np.mean(np.array(brighter) > 0) > 0.95
    assert not any(case.info["opacity"].any() for case in of(cases(), NORMAL))


def test_covid_lies_outside_and_on_both_sides_and_others_in_one_lobe() -> None:
    found = cases(120, rarity=1, **PLAIN)
    columns = np.abs(np.arange(48) - 23.5) / 24

    def outward(label: int) -> float:
        return float(
            np.mean(
                [
                    np.average(columns, weights=c.info["opacity"].sum(0))
                    - columns[np.nonzero(c.info["lung"])[1]].mean()
                    for c in of(found, label)
                    if c.info["opacity"].any() and not c.info["rare"]
                ]
            )
        )

    def both_sides(label: int) -> float:
        halves = [
            (c.info["opacity"][:, :24].sum(), c.info["opacity"][:, 24:].sum())
            for c in of(found, label)
            if not c.info["rare"]
        ]
        return float(np.mean([min(h) > 0.1 * max(h) for h in halves]))

    assert outward(COVID) > 0.03
    assert both_sides(COVID) > 0.7 > 0.3 > both_sides(OTHER)


def test_the_opacity_dial_separates_the_classes_and_0_removes_every_difference() -> None:
    def gap(opacity: float) -> float:
        found = cases(opacity=opacity, **PLAIN)
        return lung_level(of(found, COVID)) - lung_level(of(found, NORMAL))

    assert gap(0) == pytest.approx(0, abs=0.015)  # 20 and 40 images: standard error 0.005
    assert 0.02 < gap(0.5) < gap(1) < gap(1.5)


def test_extent_sets_the_mean_share_of_covered_lung() -> None:
    for extent in (0.1, 0.3, 0.6):
        found = cases(160, extent=extent, size=32)
        share = [
            np.mean([c.info["opacity"].sum() / c.info["lung"].sum() for c in of(found, label)])
            for label in (COVID, OTHER)
        ]
        assert share[0] == pytest.approx(extent, rel=0.15)
        assert share[1] == pytest.approx(extent / 2, rel=0.25)


def test_masks_follow_the_lungs_with_informativeness_and_at_0_all_are_one() -> None:
    def agreement(keep: float) -> float:
        found = cases(20, aux_informativeness=keep)
        return float(np.mean([(c.target["mask"] == c.info["lung"]).mean() for c in found]))

    assert agreement(0) < agreement(0.5) < agreement(1) == 1
    masks = [case.target["mask"] for case in cases(6, aux_informativeness=0)]
    assert all(np.array_equal(mask, masks[0]) for mask in masks)


def test_rare_patterns_are_a_tenth_and_at_0_half_of_the_sick() -> None:
    def share(rarity: float) -> float:
        table = phantom(2000, 0, rarity=rarity).table
        assert not table.rare[table.label == NORMAL].any()
        return table.rare[table.label != NORMAL].mean()

    assert share(1) == pytest.approx(0.1, abs=0.03)
    assert share(0) == pytest.approx(0.5, abs=0.04)
    assert share(1) < share(0.5) < share(0)


def test_rare_covid_lies_on_one_side_and_rare_pneumonia_in_fine_lines() -> None:
    found = cases(160, rarity=0, **PLAIN)

    def one_sided(rare: bool) -> float:
        halves = [
            np.array([c.info["opacity"][:, :24].sum(), c.info["opacity"][:, 24:].sum()])
            for c in of(found, COVID)
            if c.info["rare"] == rare
        ]
        return float(np.mean([h.max() / h.sum() for h in halves]))

    def rough(rare: bool) -> float:
        return float(
            np.mean(
                [
                    (c.image[0] - gaussian_filter(c.image[0], 1.5))[c.info["opacity"]].std()
                    for c in of(found, OTHER)
                    if c.info["rare"] == rare and c.info["opacity"].sum() > 20
                ]
            )
        )

    assert one_sided(True) > one_sided(False) + 0.15
    assert rough(True) > 1.2 * rough(False)


def test_exposure_spreads_grey_levels_between_patients_and_0_does_not() -> None:
    def spread(shift: float) -> float:
        found = of(cases(exposure_shift=shift, noise=0), NORMAL)
        return float(np.std([c.image[0].mean() for c in found]))

    assert spread(0) < spread(0.2) < spread(0.6)
    assert spread(0) < 0.03


def test_noise_grows_with_its_dial_and_0_adds_none() -> None:
    def rough(noise: float) -> float:
        corner = [case.image[0][:4, :3] for case in cases(10, noise=noise)]
        return float(np.mean([c.std() for c in corner]))

    assert rough(0) < 0.015 < rough(0.05) < rough(0.2)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("opacity", 2),
        ("extent", 0),
        ("aux_informativeness", -0.1),
        ("rarity", 1.1),
        ("exposure_shift", 1),
        ("noise", 0.3),
    ],
)
def test_bad_dials_are_named(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"`{name}` must be in"):
        phantom(1, 0, **{name: value})
