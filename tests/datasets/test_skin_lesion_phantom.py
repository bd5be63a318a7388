"""The lesion phantom: printed counts, absorbance that is the mixture it claims, dials that act."""

import numpy as np
import pytest

from common.datasets.skin_lesion_phantom import COUNTS, DIALS, MIXING, draw, phantom


def absorbance(case) -> np.ndarray:
    return -np.log(np.maximum(case.image, 1 / 255))


def recovered(case) -> np.ndarray:
    """Amounts found by inverting the nominal mixing matrix."""
    return np.einsum("sc,chw->shw", np.linalg.inv(MIXING), absorbance(case))


def overlap(values: np.ndarray, label: np.ndarray) -> float:
    """Probability that a melanoma has the higher value than a naevus."""
    above = values[label == 1][:, None] > values[label == 0][None]
    return float(above.mean())


def lesion_means(n: int = 120, **dials) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean recovered amounts and absorbances of each lesion, and its label."""
    cases = list(phantom(n, 0, size=40, zone_length=8, **dials))
    amounts = np.array([recovered(case)[:, case.target["mask"]].mean(1) for case in cases])
    bands = np.array([absorbance(case)[:, case.target["mask"]].mean(1) for case in cases])
    return amounts, bands, np.array([case.target["label"] for case in cases])


def test_classes_have_the_printed_numbers() -> None:
    assert np.bincount(draw(85, 0).label).tolist() == list(COUNTS) == [51, 34]


def test_absorbance_is_the_mixture_of_the_sources_up_to_rounding() -> None:
    for case in phantom(6, 0, mis=0.2):
        mixed = np.einsum("cs,shw->chw", case.info["mixing"], case.info["sources"])
        seen = case.image > 0.1  # where 8 bits still resolve 0.02 of absorbance
        np.testing.assert_allclose(absorbance(case)[seen], mixed[seen], atol=0.021)


def test_the_mask_is_where_melanin_is() -> None:
    for case in phantom(8, 0):
        melanin, mask = case.info["sources"][2], case.target["mask"]
        skin = ~mask & (case.info["zones"] == 0)
        assert melanin[mask].mean() > melanin[skin].mean() + 0.15
        assert mask.dtype == bool
        assert mask.mean() == pytest.approx(np.pi * 0.27**2, rel=0.25)
    area = [[case.target["mask"].mean() for case in phantom(60, 0, gap=0)]]
    label = draw(60, 0).label.to_numpy()
    assert overlap(np.ravel(area), label) == pytest.approx(0.5, abs=0.2)  # standard error 0.08


def test_skin_has_the_colour_of_the_real_images(mirror) -> None:
    from common.datasets import mednode_two

    cases = mednode_two.load(mirror("mednode-two"))
    real = [np.median(case.image[:, :40].reshape(3, -1), axis=1) / 255 for case in cases]
    ours = [
        np.median(case.image[:, ~case.target["mask"]], axis=1) for case in phantom(12, 0, zones=0)
    ]
    np.testing.assert_allclose(np.mean(ours, 0), np.mean(real, 0), atol=0.1)


def test_gap_separates_the_classes_by_melanin_and_at_null_they_do_not_differ() -> None:
    found = []
    for gap in (0.0, 0.2, 0.35, 1.0):
        amounts, _, label = lesion_means(gap=gap)
        found.append(overlap(amounts[:, 2], label))
    off, low, usual, high = found
    assert off == pytest.approx(0.5, abs=0.16)  # 72 against 48 lesions: standard error 0.054
    assert off < low < usual < high
    assert usual > 0.85


def test_msd_spreads_the_melanin_within_a_class() -> None:
    spread = []
    for sd in (0.0, 0.15, 0.5):
        amounts, _, label = lesion_means(60, msd=sd)
        spread.append(amounts[label == 0, 2].std())
    assert spread[0] < 0.06 < spread[1] < spread[2]


def test_hb_hides_the_class_in_single_bands_and_at_null_they_show_it() -> None:
    green = []
    for amount in (0.0, 1.0, 4.0):
        _, bands, label = lesion_means(hb=amount)
        green.append(overlap(bands[:, 1], label))
    assert green[0] > 0.9
    assert green[0] > green[1] > green[2]
    table = draw(2_000, 0)
    # unrelated to the class: standard error of the difference 0.013
    means = table.groupby("label").haemoglobin.mean()
    assert means[1] - means[0] == pytest.approx(0, abs=0.05)


def test_zones_hold_one_chromophore_outside_the_lesion_and_none_at_null() -> None:
    assert not any(case.info["zones"].any() for case in phantom(4, 0, zones=0))
    filled = []
    for zones in (2, 6, 10):
        cases = list(phantom(6, 0, zones=zones, zone_length=8))
        filled.append(np.mean([(case.info["zones"] > 0).mean() for case in cases]))
        for case in cases:
            for kind in range(3):
                inside = case.info["zones"] == kind + 1
                amounts = case.info["sources"][:, inside]
                assert inside.sum() == 8 * zones
                assert amounts[kind].mean() == pytest.approx(1, abs=0.25)
                assert np.delete(amounts, kind, axis=0).max() == 0
            assert not (case.target["mask"] & (case.info["zones"] > 0)).any()
    assert filled[0] < filled[1] < filled[2]


def test_zone_length_sets_the_height_of_the_zones() -> None:
    for length in (4, 8, 16):
        for case in phantom(3, 0, zones=2, zone_length=length):
            runs = np.concatenate([(case.info["zones"] == kind).sum(0) for kind in (1, 2, 3)])
            assert set(runs[runs > 0]) <= {length, 2 * length}
            assert runs.sum() == 6 * length


def test_floor_leaves_the_other_chromophores_in_the_zones() -> None:
    purity = []
    for share in (0.0, 0.5, 1.0):
        for case in phantom(1, 0, floor=share):
            inside = case.info["zones"] == 1
            purity.append(recovered(case)[2][inside].mean())
    assert purity[0] == pytest.approx(0, abs=0.05)
    assert purity[0] + 0.2 < purity[1] < purity[2] - 0.2


def test_mis_perturbs_the_mixing_image_by_image() -> None:
    def error(mis: float) -> float:
        cases = phantom(12, 0, mis=mis)
        return float(
            np.mean(
                [
                    np.abs(recovered(case) - case.info["sources"])[:, case.target["mask"]].mean()
                    for case in cases
                ]
            )
        )

    assert all(np.array_equal(case.info["mixing"], MIXING) for case in phantom(3, 0))
    none, some, much = error(0.0), error(0.1), error(0.4)
    assert none < 0.05
    assert none < some < much


def test_illum_darkens_whole_images_and_at_null_none() -> None:
    for sd in (0.0, 0.1, 0.5):
        plain = phantom(16, 0, zones=0, size=40, zone_length=8)
        dimmed = phantom(16, 0, zones=0, size=40, zone_length=8, illum=sd)
        shift = []
        for one, other, dim in zip(plain, dimmed, dimmed.table.dim, strict=True):
            seen = (one.image > 0.15) & (other.image > 0.15) & (other.image < 1)
            shift.append((absorbance(other) - absorbance(one))[seen].mean() - dim)
        np.testing.assert_allclose(shift, 0, atol=0.02)
        assert dimmed.table.dim.std() == pytest.approx(sd, rel=0.5)


def test_hair_covers_more_of_the_image_and_nothing_at_null() -> None:
    covered = []
    for n in (0, 3, 15):
        cases = list(phantom(10, 0, hair=n))
        covered.append(np.mean([case.info["hair"].mean() for case in cases]))
        for case in cases:
            if case.info["hair"].any():
                bare = ~case.info["hair"] & ~case.target["mask"]
                assert case.image[:, case.info["hair"]].mean() < case.image[:, bare].mean()
    assert covered[0] == 0
    assert covered[0] < covered[1] < covered[2]


@pytest.mark.parametrize("dial", DIALS, ids=lambda dial: dial.name)
def test_a_dial_beyond_its_range_is_refused_by_name(dial) -> None:
    with pytest.raises(ValueError, match=f"`{dial.name}` must be"):
        phantom(4, 0, **{dial.name: dial.high + 1})


def test_an_image_too_small_for_its_zones_is_refused() -> None:
    with pytest.raises(ValueError, match="`size` must be at least 32"):
        phantom(4, 0, size=16)
