"""The fundus phantom: printed shares, lesions where they are said to be, dials that act."""

import numpy as np
import pytest
from scipy.ndimage import label as components

from common.datasets.fundus_phantom import COUNTS, DIALS, GRADES, draw, phantom


def grey(case) -> np.ndarray:
    return 255 * case.image.mean(0)


def pieces(mask: np.ndarray, *, diagonal: bool) -> int:
    return int(components(mask, np.ones((3, 3)) if diagonal else None)[1])


def loops(case, levels: range) -> int:
    """Betti number 1 of the sublevel sets, summed: pieces of what is brighter."""
    return sum(pieces(grey(case) > level, diagonal=False) for level in levels)


def parts(case, levels: range) -> int:
    """Betti number 0 of the sublevel sets, summed."""
    return sum(pieces(grey(case) <= level, diagonal=True) for level in levels)


def change(count, levels: range, **dials) -> float:
    """Count in diseased eyes over the count in the same eyes without what the disease does."""
    cases, healthy = (phantom(40, 0, size=96, **(dials | own)) for own in ({}, {"strength": 0.0}))
    sick = np.flatnonzero(cases.table.label == 1)[:16]
    return sum(count(cases[int(i)], levels) for i in sick) / sum(
        count(healthy[int(i)], levels) for i in sick
    )


@pytest.mark.parametrize(("disease", "counts"), COUNTS.items())
def test_classes_have_the_printed_numbers(disease: str, counts: tuple[int, int]) -> None:
    table = draw(sum(counts), 0, disease=disease)
    assert np.bincount(table.label).tolist() == list(counts)
    quarter = np.bincount(draw(200, 1, disease=disease).label)
    assert np.abs(quarter - 200 * np.array(counts) / sum(counts)).max() < 1


def test_grades_of_retinopathy_have_their_shares_and_more_lesions_by_grade() -> None:
    table = draw(3_662, 0)
    share = np.bincount(table.grade, minlength=5)[1:] / 1_857
    np.testing.assert_allclose(share, GRADES, atol=0.001)
    assert ((table.grade > 0) == (table.label == 1)).all()
    mean = table.groupby("grade")[["n_dark", "n_bright"]].mean()
    np.testing.assert_allclose(mean.n_dark, [0, 6, 12, 18, 24], rtol=0.06)
    np.testing.assert_allclose(mean.n_bright, [0, 6, 18, 30, 42], rtol=0.06)


def test_targets_are_what_readers_of_the_real_sets_give() -> None:
    assert set(phantom(4, 0, size=96)[0].target) == {"label", "grade"}
    assert set(phantom(4, 0, disease="amd", size=96)[0].target) == {"label"}
    for case in phantom(8, 0, size=64):
        assert case.image.shape == (3, 64, 64)
        assert case.target["label"] == int(case.target["grade"] > 0)


def test_the_eye_is_a_bright_disc_on_black_with_dark_vessels_and_a_pale_disc() -> None:
    for case in phantom(6, 0, size=128, noise=0.0, strength=0, cast=0):
        picture, field = grey(case), case.info["field"]
        assert picture[~field].mean() < 0.15 * picture[field].mean()
        assert field.mean() == pytest.approx(np.pi / 4 * 0.96**2, rel=0.02)
        plain = field & ~case.info["vessels"] & ~case.info["disc"]
        green = case.image[1]
        assert green[case.info["vessels"] & ~case.info["disc"]].mean() < 0.85 * green[plain].mean()
        pale = case.info["disc"] & ~case.info["vessels"]
        assert picture[pale].mean() > 1.4 * picture[plain].mean()


def test_drusen_lie_near_the_fovea_and_exudates_are_bright() -> None:
    cases = phantom(16, 0, disease="amd", size=96, noise=0.0)
    for case in cases:
        assert case.info["lesions"].any() == (case.target["label"] == 1)
        if case.target["label"]:
            plain = case.info["field"] & ~case.info["lesions"] & ~case.info["vessels"]
            plain &= ~case.info["disc"]
            assert case.image[1][case.info["lesions"]].mean() > 1.2 * case.image[1][plain].mean()


def test_strength_adds_loops_to_retinopathy_about_twice_as_many_as_the_paper_prints() -> None:
    levels = range(100, 151, 10)
    weak, usual, strong = (change(loops, levels, strength=value) for value in (0.3, 1.0, 3.0))
    assert 1 < weak < usual < strong
    assert 1.5 < usual < 2.5


def test_strength_halves_the_components_in_glaucoma_and_widens_the_cup() -> None:
    levels = range(80, 131, 10)
    weak, usual = (change(parts, levels, disease="glaucoma", strength=value) for value in (0.3, 1))
    assert 0.35 < usual < 0.75
    assert usual < weak < 1
    for strength in (0.0, 0.5, 1.0):
        cup = draw(400, 0, disease="glaucoma", strength=strength).groupby("label").cup.mean()
        # 103 against 297 eyes: standard error 0.009
        assert cup[1] - cup[0] == pytest.approx(0.28 * strength, abs=0.03)


@pytest.mark.parametrize("disease", COUNTS)
def test_at_the_null_of_strength_the_label_leaves_no_trace(disease: str) -> None:
    cases = phantom(16, 0, size=64, disease=disease, strength=0.0)
    table = cases.table
    assert table[["n_dark", "n_bright", "n_drusen"]].to_numpy().sum() == 0
    assert (table.texture == 1).all()
    assert not any(case.info["lesions"].any() for case in cases)
    sick = phantom(16, 0, size=64, disease=disease)
    for healthy, own in zip(cases, sick, strict=True):
        same = np.array_equal(healthy.image, own.image)
        assert same == (own.target["label"] == 0)


def test_the_cup_is_as_wide_as_its_ratio_says() -> None:
    table = draw(24, 0, disease="glaucoma", size=128)
    wide = table.cup.to_numpy()
    seen = []
    for case in phantom(24, 0, disease="glaucoma", size=128, noise=0.0, cast=0):
        inner = case.image[2][case.info["disc"] & ~case.info["vessels"]]
        seen.append((inner > 0.78 * inner.max()).mean() ** 0.5)
    assert np.corrcoef(seen, wide)[0, 1] > 0.5


def test_size_corr_ties_the_size_to_the_class_and_at_null_does_not() -> None:
    def difference(share: float) -> float:
        table = draw(1_000, 0, size=128, small_size=96, size_corr=share)
        large = (table["size"] == 128).groupby(table.label).mean()
        return float(large[1] - large[0])

    # 1,000 eyes: standard error 0.03
    assert [difference(share) for share in (0.0, 0.5, 1.0)] == pytest.approx([0, 0.5, 1], abs=0.1)
    cases = phantom(12, 0, size=96, small_size=64, size_corr=1)
    assert {(case.target["label"], case.image.shape[1]) for case in cases} == {(0, 64), (1, 96)}
    assert set(draw(50, 0, size=96, size_corr=1)["size"]) == {96}


def test_noise_adds_its_standard_deviation_and_components_of_its_own() -> None:
    quiet = phantom(4, 0, size=96, noise=0.0)
    counts = []
    for level in (0.0, 0.012, 0.06):
        found = phantom(4, 0, size=96, noise=level)
        counts.append(np.mean([parts(case, range(60, 131, 35)) for case in found]))
        for loud, calm in zip(found, quiet, strict=True):
            inner = (calm.image > 0.2) & (calm.image < 0.8)
            assert (loud.image - calm.image)[inner].std() == pytest.approx(level, abs=0.003)
    assert counts[0] < counts[1] < counts[2]


def test_rotation_turns_the_scene_and_at_null_leaves_it() -> None:
    straight = phantom(4, 0, size=97, noise=0.0)
    for turned, plain in zip(phantom(4, 0, size=97, noise=0.0, rotation=90), straight, strict=True):
        np.testing.assert_allclose(turned.image, np.rot90(plain.image, axes=(1, 2)), atol=0.006)
    slanted = phantom(4, 0, size=97, noise=0.0, rotation=30)
    assert np.abs(slanted[0].image - straight[0].image).mean() > 0.01


def test_cast_tints_the_sites_and_at_null_they_have_one_colour() -> None:
    def spread(cast: float) -> float:
        table = draw(300, 0, cast=cast)
        gains = table.groupby("site")[["gain_red", "gain_green", "gain_blue"]]
        assert (gains.nunique() == 1).all().all()
        return float(gains.first().std().mean())

    assert spread(0.0) == 0
    assert 0 < spread(0.05) < spread(0.3)
    for plain, tinted in zip(
        phantom(4, 0, size=64, cast=0.0, noise=0.0),
        phantom(4, 0, size=64, cast=0.3, noise=0.0),
        strict=True,
    ):
        row = phantom(4, 0, size=64, cast=0.3).table.set_index("case").loc[tinted.case]
        dim = tinted.image[1] < 0.9
        seen = tinted.image[1][dim].sum() / plain.image[1][dim].sum()
        assert seen == pytest.approx(row.gain_green, rel=0.02)


@pytest.mark.parametrize("dial", DIALS, ids=lambda dial: dial.name)
def test_a_dial_beyond_its_range_is_refused_by_name(dial) -> None:
    with pytest.raises(ValueError, match=f"`{dial.name}` must be"):
        phantom(4, 0, **{dial.name: dial.high + 1})


@pytest.mark.parametrize(
    ("name", "settings"),
    [("disease", {"disease": "cataract"}), ("size", {"size": 32}), ("size", {"small_size": 40})],
)
def test_settings_that_make_no_eye_are_refused(name: str, settings: dict) -> None:
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        phantom(4, 0, **settings)
