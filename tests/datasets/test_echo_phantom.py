import numpy as np
import pytest
from scipy.ndimage import label

from common.datasets.echo_phantom import CLASSES, DIALS, QUALITIES, phantom

QUIET = {"speckle": 0.0, "attenuation": 0.0, "dropout": 0.0, "gain_sd": 0.0, "poor": 0.0}


def means(cases):
    """Mean brightness of each class inside the sector, over cases."""
    found = [
        [c.image[0][(c.target["mask"] == code) & c.info["sector"]].mean() for code in range(4)]
        for c in cases
    ]
    return np.mean(found, axis=0)


def test_a_patient_has_two_views_of_one_heart():
    table = phantom(100, 0).table
    assert set(table.groupby("cluster")["view"].agg(tuple)) == {("2CH", "4CH")}
    shared = ["quality", "thickness", "atrium", "gain"]
    assert (table.groupby("cluster")[shared].nunique() == 1).all(axis=None)
    views = np.log(table.pivot_table(index="cluster", columns="view", values="width"))
    assert views.corr().iloc[0, 1] > 0.7


def test_quality_is_dealt_as_35_46_and_19_percent():
    per_patient = phantom(100, 0).table.groupby("cluster")["quality"].first()
    assert per_patient.value_counts()[list(QUALITIES)].tolist() == [35, 46, 19]


def test_the_mask_holds_all_classes_in_anatomical_order_and_one_piece():
    masks = []
    for case in phantom(25, 1, size=96):
        mask = case.target["mask"]
        assert mask.dtype == np.uint8
        assert mask.shape == case.image.shape[1:]
        assert set(np.unique(mask)) == {0, 1, 2, 3}
        assert [label(mask == code)[1] for code in (1, 3)] == [1, 1]
        rows = [np.argwhere(mask == CLASSES.index(name))[:, 0] for name in CLASSES[1:]]
        assert rows[0].mean() < rows[2].mean()
        assert rows[1].min() <= rows[0].min()
        masks.append(mask)
    shares = [np.mean(np.array(masks) == code) for code in (1, 2, 3)]
    assert shares == pytest.approx([0.13, 0.07, 0.06], abs=0.015)


def test_blood_is_darker_than_muscle_and_only_the_four_chamber_view_has_right_chambers():
    cases = phantom(10, 2, size=96, **QUIET)
    _, blood, muscle, atrium = means(cases)
    # 20 dB of 55
    assert muscle - blood == pytest.approx(20 / 55, abs=0.06)
    assert muscle - atrium == pytest.approx(20 / 55, abs=0.06)
    dark = {"2CH": [], "4CH": []}
    for case in cases:
        outside = (case.target["mask"] == 0) & case.info["sector"]
        dark[case.info["view"]].append((case.image[0][outside] < 0.5).mean())
    assert max(dark["2CH"]) < min(dark["4CH"])


def test_contrast_parts_the_chambers_and_its_null_leaves_no_trace_of_them():
    def gap(value):
        found = means(phantom(8, 3, size=64, contrast=value, poor=0.0, dropout=0.0))
        return found[2] - found[1]

    assert gap(0.5) < gap(1.0) < gap(1.5)
    straight = phantom(4, 3, size=64, contrast=0.0, tilt=0.0)
    tilted = phantom(4, 3, size=64, contrast=0.0, tilt=0.5, shape_sd=0.2)
    for first, second in zip(straight, tilted, strict=True):
        assert (first.target["mask"] != second.target["mask"]).mean() > 0.02
        np.testing.assert_array_equal(first.image, second.image)


def test_shape_sd_parts_hearts_and_its_null_makes_them_alike():
    def spread(value):
        table = phantom(150, 4, shape_sd=value).table
        return np.log(table["thickness"]).std()

    assert spread(0.0) == pytest.approx(0, abs=1e-12)
    assert spread(0.08) == pytest.approx(0.08, rel=0.2)
    assert spread(0.2) == pytest.approx(0.2, rel=0.2)


def test_tilt_turns_the_long_axis():
    def turned(value):
        angles = []
        for case in phantom(20, 5, size=64, tilt=value, shape_sd=0.0):
            mask = case.target["mask"]
            first, last = (np.argwhere(mask == code).mean(axis=0) for code in (1, 3))
            down, right = last - first
            angles.append(np.arctan2(right, down))
        return np.abs(angles)

    assert turned(0.0).max() < 0.05
    assert turned(0.2).max() == pytest.approx(0.2, abs=0.06)
    assert turned(0.5).max() == pytest.approx(0.5, abs=0.1)


def test_speckle_is_rayleigh_in_decibels_and_its_null_is_smooth():
    def grain(value):
        cases = phantom(6, 6, size=96, contrast=0.0, **{**QUIET, "speckle": value})
        return np.mean([c.image[0][c.info["sector"]].std() for c in cases]) * 55

    assert grain(0.0) < 0.01
    # the standard deviation of 20 log10 of a Rayleigh variable is 5.57 dB
    assert grain(1.0) == pytest.approx(5.57, rel=0.1)
    assert grain(0.5) == pytest.approx(5.57 / 2, rel=0.1)


def test_attenuation_darkens_the_far_side():
    def loss(value):
        case = phantom(1, 7, size=96, contrast=0.0, **{**QUIET, "attenuation": value})[0]
        middle = case.image[0][:, 48]
        return (middle[10] - middle[85]) * 55

    assert loss(0.0) == pytest.approx(0, abs=0.01)
    assert loss(10.0) == pytest.approx(10 * 75 / 96, abs=0.5)
    assert loss(30.0) == pytest.approx(30 * 75 / 96, abs=0.5)


def test_dropouts_darken_wedges():
    def lost(value):
        cases = phantom(30, 8, size=48, contrast=0.0, **{**QUIET, "dropout": value})
        return np.mean([(c.image[0][c.info["sector"]] < 0.65).mean() for c in cases])

    assert lost(0.0) == 0
    assert 0 < lost(0.8) < lost(3.0)


def test_gain_parts_patients_and_poor_quality_lowers_contrast():
    def brightness(value):
        cases = phantom(40, 9, size=32, contrast=0.0, **{**QUIET, "gain_sd": value})
        return np.std([c.image[0][c.info["sector"]].mean() for c in cases]) * 55

    assert brightness(0.0) < 0.01
    assert brightness(3.0) == pytest.approx(3, rel=0.3)
    assert brightness(6.0) > 1.5 * brightness(3.0)
    good = phantom(10, 9, size=64, poor=0.0).table
    poor = phantom(10, 9, size=64, poor=1.0).table
    assert (good["contrast"] == 1.0).all()
    assert (poor["contrast"] == 0.6).all()
    assert (poor["dropouts"] == good["dropouts"] + 1).all()


def test_bad_arguments_are_refused_by_name():
    for dial in DIALS:
        with pytest.raises(ValueError, match=f"`{dial.name}` must be in"):
            phantom(2, 0, **{dial.name: dial.high + 1})
    with pytest.raises(ValueError, match="`n` must be at least 1"):
        phantom(0, 0)
    with pytest.raises(ValueError, match="`size` must be at least 32"):
        phantom(1, 0, size=16)
