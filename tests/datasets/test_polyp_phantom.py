import itertools
from functools import partial
from statistics import median

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, gaussian_filter, label

from common.datasets import endoscopy_scene
from common.datasets.polyp_phantom import DIALS, phantom

singles = partial(phantom, frames=(1, 1))
PLAIN = {"noise": 0.0, "glints": 0.0, "frame": 0.0, "interlace": 0.0}


def differences(cases):
    """Colour inside the mask less that in a ring around it, one row per case."""
    found = []
    for case in cases:
        mask = case.target["mask"]
        ring = binary_dilation(mask, iterations=5) & ~binary_dilation(mask) & case.info["seen"]
        found.append(case.image[:, mask].mean(axis=1) - case.image[:, ring].mean(axis=1))
    return np.array(found)


def test_patients_have_three_to_five_frames_and_share_the_colour_of_mucosa_and_polyp():
    table = phantom(80, 0).table
    per_patient = table.groupby("cluster").size()
    assert len(per_patient) == 80
    assert set(per_patient) == {3, 4, 5}
    shared = [f"{part}_{c}" for part in ("mucosa", "tint") for c in "rgb"]
    assert (table.groupby("cluster")[shared].nunique() == 1).all(axis=None)
    assert (table.groupby("cluster")["contrast"].nunique() > 1).all()


def test_one_frame_for_each_patient_can_be_asked_for():
    table = phantom(7, 0, frames=(1, 1)).table
    assert table["cluster"].is_unique
    with pytest.raises(ValueError, match="`frames` must be"):
        phantom(7, 0, frames=(3, 2))
    with pytest.raises(ValueError, match="`n` must be at least 1"):
        phantom(0, 0)
    with pytest.raises(ValueError, match="`size` must be at least 32"):
        phantom(1, 0, size=16)


def test_areas_and_colours_are_those_measured_on_kvasir_seg():
    table = phantom(600, 0).table
    assert table["area"].median() == pytest.approx(0.113, rel=0.1)
    assert np.log(table["area"]).std() == pytest.approx(0.83, abs=0.08)
    assert np.quantile(table["contrast"], [0.25, 0.5, 0.75]) == pytest.approx(
        [0.122, 0.197, 0.290], rel=0.12
    )
    cases = list(phantom(40, 0, size=64))
    areas = [case.target["mask"].mean() for case in cases]
    assert np.mean(areas) == pytest.approx(0.154, abs=0.03)
    tissue = np.array(
        [c.image[:, c.info["seen"] & ~c.target["mask"]].mean(axis=1) for c in cases]
    ).mean(axis=0)
    assert tissue == pytest.approx([0.608, 0.354, 0.263], abs=0.05)
    assert differences(cases).mean(axis=0) == pytest.approx([0.160, 0.107, 0.084], abs=0.05)


def test_every_frame_holds_a_polyp_inside_the_field_of_view():
    for case in phantom(30, 1, size=48):
        assert case.target["mask"].dtype == bool
        assert case.target["mask"].shape == case.image.shape[1:] == (48, 48)
        assert case.target["mask"].sum() >= 4
        assert case.info["seen"][case.target["mask"]].all()
        assert not case.image[:, ~case.info["seen"]].any()


def test_contrast_parts_polyp_and_mucosa_and_its_null_removes_every_trace_of_the_mask():
    def gap(value):
        cases = singles(30, 2, size=64, contrast=value, contrast_spread=0.0, distractors=0.0)
        return np.linalg.norm(differences(cases).mean(axis=0))

    low, default, high = gap(0.05), gap(0.2), gap(0.5)
    assert 2 * low < default < high / 1.5
    nothing = singles(6, 2, size=64, contrast=0.0)
    large = singles(6, 2, size=64, contrast=0.0, area=0.3, irregularity=0.3)
    for first, second in zip(nothing, large, strict=True):
        assert not np.array_equal(first.target["mask"], second.target["mask"])
        np.testing.assert_array_equal(first.image, second.image)


def test_contrast_spread_makes_examples_unequal():
    def spread(value):
        table = phantom(100, 3, contrast_spread=value).table
        return np.log(table["contrast"]).std()

    assert spread(0.0) == pytest.approx(0, abs=1e-12)
    assert spread(0.64) == pytest.approx(0.64, rel=0.15)
    assert spread(1.2) == pytest.approx(1.2, rel=0.15)


def test_area_and_irregularity_shape_the_mask():
    def areas(value):
        return median(c.target["mask"].mean() for c in singles(20, 4, size=64, area=value))

    assert areas(0.03) < 0.6 * areas(0.113) < 0.6 * areas(0.3)

    def roughness(value):
        found = []
        for case in singles(25, 4, size=96, irregularity=value, frame=0.0):
            mask = case.target["mask"]
            edge = (mask[1:] != mask[:-1]).sum() + (mask[:, 1:] != mask[:, :-1]).sum()
            found.append(edge / np.sqrt(mask.sum()))
        return np.mean(found)

    assert roughness(0.0) < roughness(0.12) < roughness(0.4)


def test_a_wider_edge_flattens_the_border():
    def slope(value):
        found = []
        given = {"contrast": 0.4, "contrast_spread": 0.0, "distractors": 0.0, "folds": 0.0}
        for case in singles(12, 5, size=96, edge=value, **given, **PLAIN):
            mask = case.target["mask"]
            steps = np.abs(np.diff(case.image.mean(axis=0), axis=1))
            found.append(steps[mask[:, 1:] != mask[:, :-1]].mean())
        return np.mean(found)

    assert slope(0.0) > slope(0.012) > 1.3 * slope(0.1)


def test_folds_add_relief_and_distractors_add_yellow():
    def relief(value):
        cases = singles(15, 6, size=64, folds=value, contrast=0.0, distractors=0.0, **PLAIN)
        grey = [case.image.mean(axis=0) for case in cases]
        return np.mean([(image - gaussian_filter(image, 6)).std() for image in grey])

    assert relief(0.0) < relief(2.0) < relief(6.0)

    def yellow(value):
        cases = singles(15, 6, size=64, distractors=value, contrast=0.0, **PLAIN)
        return np.mean([(c.image[2] < 0.55 * c.image[1]).mean() for c in cases])

    assert yellow(0.0) < yellow(0.7) < yellow(4.0)


def test_glints_are_white_and_as_many_as_asked_for():
    def spots(value):
        cases = singles(15, 7, size=128, contrast=0.0, **{**PLAIN, "glints": value})
        return np.mean([label(case.image.min(axis=0) > 0.75)[1] for case in cases])

    none, default, high = spots(0.0), spots(8.0), spots(30.0)
    assert none < 0.5
    assert 3 < default < 10
    assert high > 2 * default


def test_the_cast_parts_patients_and_its_null_makes_them_alike():
    def between(value):
        return np.log(phantom(200, 8, cast=value).table["mucosa_r"]).std()

    assert between(0.0) == pytest.approx(0, abs=1e-12)
    assert between(0.17) == pytest.approx(0.17, rel=0.2)
    assert between(0.4) > 1.5 * between(0.17)


def test_the_vignette_darkens_the_corners():
    def ratio(value):
        cases = singles(30, 9, size=64, vignette=value, contrast=0.0, folds=0.0, **PLAIN)
        corners = [c.image[:, ::60, ::60].mean() / c.image[:, 24:40, 24:40].mean() for c in cases]
        return np.median(corners)

    assert ratio(0.0) > ratio(0.35) > ratio(0.8)


def test_noise_is_that_asked_for():
    def residual(value):
        given = {**PLAIN, "noise": value, "contrast": 0.0, "folds": 0.0}
        noisy = singles(5, 10, size=64, **given)
        clean = singles(5, 10, size=64, **{**given, "noise": 0.0})
        return np.mean(
            [(a.image - b.image)[:, 16:48, 16:48].std() for a, b in zip(noisy, clean, strict=True)]
        )

    assert residual(0.0) == 0
    assert residual(0.03) == pytest.approx(0.03, rel=0.05)
    assert residual(0.1) == pytest.approx(0.1, rel=0.2)


def test_frame_gives_the_share_of_frames_with_black_corners():
    def corners(value):
        cases = singles(60, 11, size=32, frame=value)
        return np.mean([not case.info["seen"][0, 0] for case in cases])

    assert corners(0.0) == 0
    assert corners(0.5) == pytest.approx(0.5, abs=0.15)
    assert corners(1.0) == 1


def test_interlace_combs_vertical_edges_and_its_null_does_not():
    def comb(value):
        given = {**PLAIN, "interlace": value, "contrast": 0.5, "contrast_spread": 0.0}
        found = []
        for case in singles(10, 12, size=96, **given):
            grey = case.image.mean(axis=0)
            found.append(np.abs(grey[1:-1] - (grey[:-2] + grey[2:]) / 2).mean())
        return np.mean(found)

    assert comb(0.0) < comb(0.5) < comb(1.0)


def test_near_duplicates_repeat_the_frame_before_and_the_null_never_does():
    def alike(value):
        cases = list(phantom(12, 13, size=64, near_duplicates=value, **PLAIN))
        pairs = [(a, b) for a, b in itertools.pairwise(cases) if a.cluster == b.cluster]
        overlap = [
            2
            * (a.target["mask"] & b.target["mask"]).sum()
            / (a.target["mask"].sum() + b.target["mask"].sum())
            for a, b in pairs
        ]
        return np.mean(np.array(overlap) > 0.75)

    assert alike(0.0) < 0.1
    assert alike(1.0) > 0.8
    assert not phantom(50, 13, near_duplicates=0.0).table["repeats"].any()


@pytest.mark.parametrize("dial", DIALS, ids=lambda dial: dial.name)
def test_a_value_outside_a_dials_range_is_refused_by_name(dial):
    with pytest.raises(ValueError, match=f"`{dial.name}` must be in"):
        phantom(2, 0, **{dial.name: dial.high + 1})


def test_a_glint_changes_its_surroundings_only():
    image = np.full((3, 40, 40), 0.5, np.float32)
    endoscopy_scene.stamp_glint(image, (20, 10), (2, 3))
    assert image[:, 20, 10] == pytest.approx(0.97, abs=0.01)
    far = np.hypot(*(np.indices((40, 40)) - np.array([20, 10])[:, None, None])) > 9
    assert (image[:, far] == 0.5).all()


def test_a_bump_faces_the_light_at_its_top_and_darkens_at_its_side():
    height = np.zeros((41, 41), np.float32)
    y, x = np.indices(height.shape)
    height += 10 * np.exp(-((y - 20) ** 2 + (x - 20) ** 2) / 50)
    flat = np.ones((3, 41, 41), np.float32)
    lit = endoscopy_scene.expose(endoscopy_scene.Scene(flat, height, flat[0]), vignette=0.0)
    assert lit[0, 20, 20] == pytest.approx(1.15, abs=0.01)
    assert lit[0, 20, 25] < 0.95
    assert lit[0, 15, 20] > lit[0, 25, 20]
