"""The image phantom: proportions, replay, dials that act and null dials that do nothing."""

import time

import numpy as np
import pandas as pd
import pytest

from common.datasets.hep2_phantom import (
    PATIENTS_PER_PATTERN,
    PATTERNS,
    POSITIVE_RATE,
    _corner,
    draw_patients,
    draw_specimens,
    render,
)


def draw(n_patients: int = 14, seed: int = 0, **dials) -> pd.DataFrame:
    return draw_specimens(n_patients, n_specimens=2, rng=np.random.default_rng(seed), **dials)


def nuclear_brightness(phantom) -> np.ndarray:
    inside = phantom.mask.sum((1, 2))
    return (phantom.image[:, 0] * phantom.mask).sum((1, 2)) / np.maximum(inside, 1)


def test_the_published_numbers_of_patients_and_patches() -> None:
    published = {"homogeneous": 3180, "speckled": 3120, "centromere": 3060, "nucleolar": 3000}
    published |= {"numem": 1260, "mitsp": 900, "golgi": 600}
    ours = dict(zip(PATTERNS, PATIENTS_PER_PATTERN, strict=True))
    assert {name: n * 60 for name, n in ours.items()} == published
    expected_positive = np.dot(PATIENTS_PER_PATTERN, POSITIVE_RATE) / 252
    assert expected_positive == pytest.approx(110 / 252, abs=0.01)


@pytest.mark.parametrize("n", [1, 7, 84, 251])
def test_patterns_keep_their_proportions_at_any_number_of_patients(n: int) -> None:
    counts = np.bincount(draw_patients(n, rng=np.random.default_rng(1)).label, minlength=7)
    assert counts.sum() == n
    assert np.abs(counts - np.array(PATIENTS_PER_PATTERN) * n / 252).max() < 1


def test_the_same_generator_gives_the_same_bits_and_the_global_seed_does_not_matter() -> None:
    np.random.seed(1)  # noqa: NPY002 - the test is about the global state
    first = render(draw(), size=32, n_patches=2)
    np.random.seed(2)  # noqa: NPY002
    second = render(draw(), size=32, n_patches=2)
    assert first.image.tobytes() == second.image.tobytes()
    assert first.patches.equals(second.patches)
    assert not np.array_equal(first.image, render(draw(seed=1), size=32, n_patches=2).image)


def test_images_do_not_depend_on_the_number_of_processes() -> None:
    alone, shared = (render(draw(), size=32, n_patches=2, jobs=jobs) for jobs in (1, 2))
    np.testing.assert_array_equal(alone.image, shared.image)
    np.testing.assert_array_equal(alone.mask, shared.mask)


def test_an_image_can_be_replayed_from_its_row_alone() -> None:
    table = draw()
    whole = render(table, size=32, n_patches=3)
    alone = render(table.iloc[[17]], size=32, n_patches=3)
    np.testing.assert_array_equal(alone.image, whole.image[51:54])
    np.testing.assert_array_equal(alone.mask, whole.mask[51:54])


def test_shapes_types_and_names_agree() -> None:
    phantom = render(draw(), size=32, n_patches=2)
    assert phantom.image.shape == (56, 1, 32, 32)
    assert phantom.image.dtype == np.float32
    assert 0 <= phantom.image.min() < phantom.image.max() <= 1
    assert phantom.mask.shape == (56, 32, 32)
    assert phantom.mask.dtype == bool
    assert phantom.patches["case"].is_unique
    assert phantom.patches["case"].iloc[1] == "p001_s0_14"
    assert (np.array(PATTERNS)[phantom.label] == phantom.patches["pattern"]).all()
    assert phantom.patches.groupby("patient").size().eq(4).all()
    assert set(phantom.arrays()) == {"image", "mask", "label", "intensity"}


def test_windows_of_a_specimen_show_the_same_tissue_where_they_overlap() -> None:
    table = draw(1, bad_mask_patient=False).iloc[[0]]
    phantom = render(table, size=48)
    (y0, x0), (y3, x3) = _corner(0, 48), _corner(3, 48)
    assert y0 == y3
    assert 0 < x3 - x0 < 48
    shift = x3 - x0
    np.testing.assert_array_equal(phantom.image[0, 0][:, shift:], phantom.image[3, 0][:, :-shift])
    np.testing.assert_array_equal(phantom.mask[0][:, shift:], phantom.mask[3][:, :-shift])


def test_the_fifteen_windows_cover_the_field() -> None:
    corners = np.array([_corner(window, 384) for window in range(15)])
    assert corners.max(axis=0).tolist() == [1040 - 384, 1388 - 384]
    assert len(np.unique(corners[:, 0])) == 3
    assert len(np.unique(corners[:, 1])) == 5


@pytest.mark.parametrize("label", range(1, 7))
def test_without_evidence_the_image_does_not_depend_on_the_pattern(label: int) -> None:
    table = draw(3, evidence=0.0)
    other = table.assign(label=label, debris_label=(label + 3) % 7)
    plain = render(table.assign(label=0), size=32, n_patches=2)
    np.testing.assert_allclose(render(other, size=32, n_patches=2).image, plain.image, atol=1e-6)


@pytest.mark.parametrize("label", range(1, 7))
def test_with_evidence_every_pattern_changes_the_image(label: int) -> None:
    table = draw(3).assign(strength=1.0, bad_mask=False)
    plain = render(table.assign(label=0), size=48, n_patches=2)
    other = render(table.assign(label=label), size=48, n_patches=2)
    assert np.abs(other.image - plain.image).max() > 0.1
    np.testing.assert_array_equal(other.mask, plain.mask)


def spread_inside(label: int) -> float:
    table = draw(6, patient_sd=0.0, debris=0.0).assign(label=label, strength=1.0, bad_mask=False)
    phantom = render(table.assign(noise=0.0, brightness=0.25), size=96, n_patches=2)
    values = [image[0][mask] for image, mask in zip(phantom.image, phantom.mask, strict=True)]
    return float(np.mean([np.std(v) / np.mean(v) for v in values]))


def test_nuclei_are_flattest_when_homogeneous_and_roughest_with_centromeres() -> None:
    flat, speckled, centromere = (spread_inside(label) for label in (0, 1, 3))
    assert flat < 0.6 * speckled
    assert speckled < centromere


def test_golgi_light_lies_outside_the_mask() -> None:
    table = draw(4, patient_sd=0.0, debris=0.0).assign(strength=1.0, bad_mask=False)
    table = table.assign(brightness=0.25, noise=0.0)
    share = []
    for label in (0, PATTERNS.index("golgi")):
        phantom = render(table.assign(label=label), size=64, n_patches=2)
        image = phantom.image[:, 0]
        share.append((image * ~phantom.mask).sum() / image.sum())
    assert share[1] > share[0] + 0.2


def test_positive_patients_are_brighter_by_the_shift_and_equal_at_the_null_dial() -> None:
    for shift in (0.8, 0.0):
        table = draw(2000, intensity_shift=shift)
        by_intensity = np.log(table["brightness"]).groupby(table["intensity"]).mean()
        assert by_intensity[1] - by_intensity[0] == pytest.approx(shift, abs=0.06)


def test_brightness_tells_the_intensity_in_about_83_percent() -> None:
    table = draw(252, bad_mask_patient=False)
    phantom = render(table, size=32, n_patches=1)
    bright = np.log(nuclear_brightness(phantom) + 0.01)
    means = [bright[phantom.intensity == k].mean() for k in (0, 1)]
    accuracy = ((bright > np.mean(means)) == phantom.intensity).mean()
    assert 0.78 < accuracy < 0.9


def intraclass(value: pd.Series, patient: pd.Series) -> float:
    groups = value.groupby(patient)
    between, within = groups.mean().var(), groups.var().mean()
    return (between - within / 2) / (between + within / 2)


def test_patient_effects_make_specimens_alike_and_vanish_at_the_null_dial() -> None:
    table = draw(1000, intensity_shift=0.0)
    # Patient variance 1, specimen variance 1/4.
    log_b = np.log(table["brightness"])
    assert intraclass(log_b, table["patient"]) == pytest.approx(0.8, abs=0.05)
    assert log_b.std() == pytest.approx(0.35 * np.sqrt(1.25), rel=0.06)
    assert table["strength"].mean() == pytest.approx(2 / 3, abs=0.02)
    none = draw(20, patient_sd=0.0, intensity_shift=0.0)
    for name in ("brightness", "strength", "radius", "noise", "blur_px"):
        assert none[name].nunique() == 1


def test_the_mask_marks_nuclei_or_an_unrelated_structure() -> None:
    table = draw(40, bad_mask_patient=False, debris=0.0)
    nuclei = render(table, size=48, n_patches=2)
    stain = render(table.assign(mask_kind="stain"), size=48, n_patches=2)
    np.testing.assert_array_equal(nuclei.image, stain.image)
    bright = nuclei.image[:, 0]
    contrast = [bright[p.mask].mean() / bright[~p.mask].mean() for p in (nuclei, stain)]
    assert contrast[0] > 2.5
    # The stain is visible, else nothing could learn to mark it, but it is not the nuclei.
    assert 1.1 < contrast[1] < 1.6
    both = (nuclei.mask & stain.mask).mean()
    assert both == pytest.approx(nuclei.mask.mean() * stain.mask.mean(), rel=0.15)
    areas = [p.mask.mean() for p in (nuclei, stain)]
    assert areas[1] == pytest.approx(areas[0], rel=0.35)


def test_the_share_of_related_masks_follows_the_dial() -> None:
    for shared in (0.0, 0.3, 1.0):
        table = draw(1000, shared=shared)
        assert (table["mask_kind"] == "nuclei").mean() == pytest.approx(shared, abs=0.04)


def test_debris_lies_outside_the_mask() -> None:
    table = draw(6, bad_mask_patient=False)
    none, all_ = (render(table.assign(debris=d), size=32, n_patches=1) for d in (0.0, 1.0))
    assert none.mask.mean() > 0.2
    assert all_.mask.sum() == 0
    assert all_.image.mean() == pytest.approx(none.image.mean(), rel=0.15)


def test_one_patient_has_inverted_masks_in_the_left_part_of_two_specimens() -> None:
    table = draw_specimens(30, n_specimens=4, rng=np.random.default_rng(3))
    bad = table[table["bad_mask"]]
    assert bad["patient"].nunique() == 1
    assert bad["specimen"].tolist() == ["s0", "s1"]
    assert PATTERNS[bad["label"].iloc[0]] == "numem"
    wrong, right = render(bad, size=32), render(bad.assign(bad_mask=False), size=32)
    agreement = (wrong.mask == right.mask).mean(axis=(1, 2)).reshape(2, 15)
    assert (agreement[:, :6] == 0).all()
    assert (agreement[:, 12:] == 1).all()
    assert not draw(30, bad_mask_patient=False)["bad_mask"].any()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: draw(0), "`n_patients` must be at least 1, got 0"),
        (lambda: draw(3, evidence=1.5), r"`evidence` must be in \[0, 1\], got 1.5"),
        (lambda: draw(3, shared=-1), r"`shared` must be in \[0, 1\], got -1"),
        (lambda: render(draw(1), n_patches=16), "`n_patches` must be in 1-15, got 16"),
        (lambda: render(draw(1), size=8), "`size` must be at least 16, got 8"),
        (
            lambda: draw_specimens(2, n_specimens=0, rng=np.random.default_rng(0)),
            "`n_specimens` must be at least 1",
        ),
    ],
)
def test_impossible_requests_are_refused(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_a_tenth_of_the_standard_phantom_takes_a_tenth_of_its_budget() -> None:
    table = draw(25)
    start = time.process_time()
    render(table, size=64, n_patches=2)
    # 252 patients x 2 specimens in 15 s; thrice that is allowed for a busy machine.
    assert time.process_time() - start < 4.5
