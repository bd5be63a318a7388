"""Fingerprints of sets of images, their alterations, and the tests of median curves."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from common import papers
from common.chapters.tofi_ml import curves, features, materials, pictures, probes, real, tables
from common.datasets import fundus_phantom
from common.datasets.cases import Cases
from common.models import tofi_ml
from common.models.tofi_ml_network import shrink


@pytest.fixture(scope="module")
def eyes():
    return fundus_phantom.phantom(6, 3, disease="dr", size=64)


def test_fingerprints_are_those_of_the_images_one_by_one(eyes):
    found = features.extract(
        eyes,
        photo_side=16,
        more=("superlevel", "own_grid", "luma"),
        alter={"noise": partial(materials.add_noise, sd=3)},
        jobs=1,
    )
    assert len(found) == 6
    case = eyes[4]
    fields = tofi_ml.channels(case.image)
    np.testing.assert_array_equal(found.curves[4], tofi_ml.betti_curves(case.image))
    np.testing.assert_array_equal(found.photos[4], shrink(case.image, 16))
    np.testing.assert_array_equal(found.more["superlevel"][4, 2], tofi_ml.betti(765 - fields[2]))
    own = np.stack([tofi_ml.own_grid(field) for field in fields]).ravel()
    np.testing.assert_array_equal(found.more["own_grid"][4], own)
    noisy = materials.add_noise(case.image, 3)
    np.testing.assert_array_equal(found.altered["noise"][0][4], tofi_ml.betti_curves(noisy))
    assert found.table["label"].tolist() == eyes.table["label"].tolist()


def test_fingerprints_do_not_depend_on_the_number_of_processes(eyes):
    first, second = (features.extract(eyes, jobs=jobs) for jobs in (1, 2))
    np.testing.assert_array_equal(first.curves, second.curves)
    pd.testing.assert_frame_equal(first.table, second.table)


def test_loops_at_gray_125_stand_beside_the_printed_ones(eyes):
    found = features.extract(eyes, jobs=1)
    counts = np.array([tofi_ml.betti(tofi_ml.channels(case.image)[0])[1, 375] for case in eyes])
    sick, well = (np.median(counts[eyes.table["label"] == label]) for label in (1, 0))
    shown = curves.at_level(found, papers.load("tofi-ml"))
    assert f"{sick:,.0f} / {well:,.0f}" in shown
    assert "2,200 / 1,000 = 2.20 printed" in shown


def test_feature_sets_have_the_sizes_of_table_6(eyes):
    found = features.extract(eyes[:2], jobs=1)
    sizes = [features.feature_set(found.curves, name).shape[1] for name in features.SETS]
    assert sizes == [100, 200, 600, 800]
    gray = features.feature_set(found.curves, "gray01")
    everything = features.feature_set(found.curves, "all")
    np.testing.assert_array_equal(everything[:, :200], gray)
    np.testing.assert_array_equal(everything[:, 200:], features.feature_set(found.curves, "rgb"))
    assert features.feature_set(found.curves, "all", 10).shape[1] == 80


def test_the_luma_matrix_differs_in_its_gray_channel_only():
    study = materials.degeneration(4, seed=0, size=64, strength=1.0, photo_side=8, jobs=1)
    mean, luma = study.x["all"], study.x["luma"]
    assert (mean[:, :200] != luma[:, :200]).any()
    np.testing.assert_array_equal(mean[:, 200:], luma[:, 200:])
    assert set(study.shifted) == {"noise 2", "noise 5", "noise 10"}


def test_size_sets_show_the_same_eyes_and_the_dial_ties_size_to_the_label():
    sets = materials.size_sets(40, seed=0, size=96, strength=0.5, jobs=1)
    labels = [study.table["label"].tolist() for study in sets.values()]
    assert all(each == labels[0] for each in labels)
    table = sets["confounded"].table
    agreement = ((table["side"] == 96) == (table["label"] == 1)).mean()
    assert agreement > 0.8
    assert set(sets["single"].table["side"]) == {96}
    assert set(sets["mixed"].table["side"]) == {48, 96}
    # all at one size: the black corners of every image are one component of the same area
    assert sets["normalised"].x["all"].shape == (40, 800)


@pytest.mark.parametrize(
    "call",
    [
        lambda eyes: features.extract(eyes[:0]),
        lambda eyes: features.extract(eyes, more=("depth",)),
        lambda eyes: features.feature_set(np.zeros((1, 4, 2, 766), int), "hsv"),
    ],
)
def test_bad_requests_are_refused(eyes, call):
    with pytest.raises(ValueError, match="must"):
        call(eyes)


def test_the_lattice_changes_nothing_and_half_a_pixel_does(eyes):
    image = eyes[0].image
    assert probes.on_lattice(image) == 0
    own = probes.fingerprint(image)
    moved = probes.fingerprint(probes.shifted(image, 0.5))
    assert probes.relative_change(own, moved) > 0.05
    whole = probes.turned(image, 0.0)
    assert probes.relative_change(own, probes.fingerprint(whole)) == 0


def test_noise_has_its_spread_is_the_same_for_the_same_image_and_another_for_another():
    image = np.full((3, 200, 200), 128, dtype=np.uint8)
    noisy = materials.add_noise(image, 5.0).astype(float)
    assert noisy.std() == pytest.approx(5.0, rel=0.02)
    assert noisy.mean() == pytest.approx(128, abs=0.1)
    np.testing.assert_array_equal(noisy, materials.add_noise(image, 5.0))
    other = materials.add_noise(image + np.uint8(1), 5.0).astype(float)
    assert np.corrcoef(noisy.ravel(), other.ravel())[0, 1] < 0.1
    np.testing.assert_array_equal(materials.add_noise(image, 0.0), image)


def test_duality_is_perfect_where_no_two_bright_pixels_touch_at_a_corner_only():
    """Four flat squares in a black frame: joined by edges or corners, bright parts are the same."""
    coarse = np.random.default_rng(0).integers(0, 200, (6, 6), dtype=np.uint8)
    field = np.pad(np.kron(coarse[::3, ::3], np.ones((4, 4), np.uint8)), 6)
    assert probes.duality(np.stack([field] * 3)) > 0.99


def test_every_alteration_is_recorded_once_an_eye():
    cases, cameras = probes.phantom_cases(2, seed=0, size=64)
    found = probes.probe(cases, cameras=cameras, jobs=1)
    assert (found.groupby(["arm", "metric"]).size() == 2).all()
    assert found["arm"].nunique() == 1 + 3 + 3 + 2 + 3 + 1


def test_the_camera_that_is_not_turned_sees_the_same_eye():
    cases, cameras = probes.phantom_cases(1, seed=0, size=64)
    same = fundus_phantom.phantom(1, materials.stream(0, 8), disease="dr", size=64, rotation=0)
    np.testing.assert_array_equal(cases[0].image, same[0].image)
    assert (cases[0].image != cameras["camera-10"][0].image).any()


def test_welch_t_is_that_of_scipy_at_every_threshold():
    rng = np.random.default_rng(1)
    sample, label = rng.poisson(5, (40, 7)).astype(float), np.arange(40) % 3 == 0
    found = curves.curve_test(sample, label.astype(int), rng=rng, n_permutations=99)
    expected = stats.ttest_ind(sample[label], sample[~label], equal_var=False).statistic
    np.testing.assert_allclose(found.t, expected, rtol=1e-6)


def test_a_constant_threshold_counts_nothing_and_a_clear_difference_is_found():
    rng = np.random.default_rng(2)
    label = np.repeat([0, 1], 15)
    sample = np.stack([np.full(30, 7.0), rng.standard_normal(30) + 3 * label], axis=1)
    found = curves.curve_test(sample, label, rng=rng, n_permutations=199)
    assert found.t[0] == 0
    assert found.p == pytest.approx(1 / 200)


def test_the_permutation_test_keeps_its_level():
    rng = np.random.default_rng(3)
    label = np.repeat([0, 1], [12, 20])
    p = [
        curves.curve_test(rng.poisson(4, (32, 25)), label, rng=rng, n_permutations=99).p
        for _ in range(120)
    ]
    assert 0.005 < np.mean(np.array(p) <= 0.05) < 0.11


def test_labels_of_one_class_are_refused():
    with pytest.raises(ValueError, match="0 and 1"):
        curves.curve_test(np.zeros((4, 3)), [0, 0, 0, 1], rng=np.random.default_rng())


def test_the_ratio_of_medians_doubles_with_the_counts():
    rng = np.random.default_rng(4)
    counts, label = rng.gamma(20, 1, 300), np.arange(300) % 2
    counts[label == 1] *= 2
    ratio, low, high = curves.median_ratio(counts, label, rng=rng)
    assert low < 2 < high
    assert ratio == pytest.approx(2, rel=0.15)


def test_records_of_curves_are_logs_of_the_mean_count_in_the_printed_window():
    sets = {name: materials.curve_set(name, 4, seed=0, size=48, jobs=1) for name in ("dr", "amd")}
    found = curves.records(sets)
    assert set(found["arm"]) == {"dr-curves"}
    window = sets["dr"].curves[:, 0, 1, 300:451].mean(axis=1)
    np.testing.assert_allclose(found["value"], np.log1p(window))


def test_strength_zero_hides_the_label_and_full_strength_shows_it():
    counts = {
        name: materials.mean_counts(
            materials.curve_set(name, 60, seed=5, size=64, jobs=2), 1, materials.LOOPS
        )
        for name in ("dr", "dr-null")
    }
    label = fundus_phantom.phantom(60, materials.stream(5, 3), disease="dr").table["label"]
    ratios = {
        name: np.median(each[label == 1]) / np.median(each[label == 0])
        for name, each in counts.items()
    }
    assert ratios["dr"] > 1.5
    assert 0.6 < ratios["dr-null"] < 1.6


def test_parts_of_a_sublevel_set_are_counted_as_the_curves_say():
    field = tofi_ml.channels(fundus_phantom.phantom(1, 0, size=48)[0].image)[0]
    for level in (120, 240, 330):
        marked = pictures.parts(field, level)
        assert (marked == 1).sum() == (field <= level).sum()
        assert ((marked == 2).any()) == (tofi_ml.betti(field)[1, level] > 0)


def test_large_photographs_are_brought_down_in_proportion_and_small_ones_kept():
    image = np.random.default_rng(0).integers(0, 256, (3, 60, 90), dtype=np.uint8)
    assert real.limited(image, 45).shape == (3, 30, 45)
    np.testing.assert_array_equal(real.limited(image, 200), image)


def test_real_photographs_go_from_reader_to_curves(mirror):
    from common.datasets import stare_fundus

    cases = stare_fundus.load(mirror("stare-fundus"))
    found = features.extract(cases, change=partial(real.limited, side=128), jobs=1)
    assert found.curves.shape == (6, 4, 2, 766)
    assert found.label.tolist() == [1, 1, 1, 0, 0, 0]
    assert (found.curves[:, :, 0, -1] == 1).all()
    assert found.table["side"].max() == 128


def test_without_files_there_is_nothing_real_and_the_table_says_how_to_get_it(
    monkeypatch, tmp_path
):
    monkeypatch.setenv("REPLICATE_DATA", str(tmp_path))
    monkeypatch.delenv("REPLICATE_MIRROR", raising=False)
    assert real.described(side=64) == {}
    assert real.probed((), side=64).empty
    table = real.at_hand()
    assert table.loc["aptos2019", "here"] == "replicate data describe aptos2019"
    assert table.loc["origa", "here"] == real.MISSING


def test_changes_stand_side_by_side_for_each_source():
    from common import papers

    rows = [
        {"arm": arm, "metric": "curve_change", "source": source, "value": value}
        for source, value in (("phantom", 0.1), ("open", 0.3))
        for arm in ("turn-10", "lattice")
    ]
    table = tables.changes(pd.DataFrame(rows), papers.load("tofi-ml"))
    assert table.index.tolist() == [
        "Quarter turns, mirrors, whole-pixel shift",
        "Image turned by 10°",
    ]
    assert table["phantom"].tolist() == ["10.0 (10.0)"] * 2
    assert table["open"].tolist() == ["30.0 (30.0)"] * 2


def test_cases_without_an_image_are_refused():
    rows = pd.DataFrame({"case": ["a"], "cluster": ["a"]})
    empty = Cases.of(rows, label=np.array([0]))
    with pytest.raises(ValueError, match="must hold images"):
        features.extract(empty, jobs=1)
