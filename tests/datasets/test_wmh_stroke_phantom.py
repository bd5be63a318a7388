"""The FLAIR volumes: parts, lesion volumes and places, protocols, switches of the mechanism."""

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, gaussian_filter, label

from common.datasets.glioma_phantom_brain import CSF, OUTSIDE, WHITE, brain
from common.datasets.wmh_stroke_phantom import CLASSES, _points, phantom, slice_operator
from common.datasets.wmh_stroke_phantom_lesions import stroke

QUIET = {"noise": 0, "bias": 0}


def cases(n: int = 12, seed: int = 0, **settings) -> list:
    return list(phantom(n, seed, **{"size": 32} | settings))


def volume_mm3(case, code: int) -> float:
    return float((case.target["mask"] == code).sum() * np.prod(case.spacing_mm))


def only(found: list, kind: str) -> list:
    return [case for case in found if case.info["stroke"] == kind]


def test_parts_have_the_published_protocols_and_stroke_types() -> None:
    train, test = (
        phantom(162, 0, part="train").table,
        phantom(135, 0, part="test", edge_share=61 / 135).table,
    )
    assert train.site.value_counts().to_dict() == {"P1": 150, "P2": 3, "P3": 4, "P4": 5}
    assert test.site.value_counts().to_dict() == {"P1": 74, "P2": 56, "P3": 2, "P4": 3}
    types = ["cortical", "subcortical", "both", "none"]
    assert train.stroke.value_counts()[types].tolist() == [74, 71, 1, 16]
    assert test.stroke.value_counts()[types].tolist() == [57, 62, 9, 7]
    assert (test.site[test.stroke == "none"] == "P1").all()
    assert not set(train["case"]) & set(test["case"])


def test_shapes_and_codes_are_those_of_a_label_map_in_mm() -> None:
    case = cases(1)[0]
    assert case.image.shape == (1, 32, 38, 32)
    assert case.target["mask"].shape == (32, 38, 32)
    assert set(np.unique(case.target["mask"])) <= set(range(len(CLASSES)))
    assert case.spacing_mm == (5.0, 5.0, 5.0)


def test_brains_have_one_and_a_half_litres_and_lesions_their_printed_volumes() -> None:
    found = cases(12)
    assert np.mean([c.info["icv_mm3"] for c in found]) == pytest.approx(1.5e6, rel=0.06)
    drawn = phantom(20_000, 0).table
    assert drawn.subcortical_mm3.mean() == pytest.approx(2903, rel=0.06)
    assert drawn.cortical_mm3.mean() == pytest.approx(6414, rel=0.06)
    assert drawn.wmh_share.median() == pytest.approx(0.012, rel=0.05)
    rows = phantom(12, 0).table
    for case, row in zip(found, rows.to_dict("records"), strict=True):
        wmh = volume_mm3(case, 1) + volume_mm3(case, 2)
        assert wmh >= 0.95 * row["wmh_share"] * case.info["icv_mm3"] - 125
    kinds = [r["stroke"] for r in rows.to_dict("records")]
    grown = [
        (volume_mm3(c, 2), r[f"{k}_mm3"])
        for c, r, k in zip(found, rows.to_dict("records"), kinds, strict=True)
        if k in ("cortical", "subcortical")
    ]
    got, asked = np.array(grown).T
    assert np.median(got / asked) == pytest.approx(1, abs=0.25)


def test_lesions_lie_where_they_should() -> None:
    for case in cases(12, wmh_volume=2, **QUIET):
        mask, tissue = case.target["mask"], case.info["tissue"]
        assert (tissue[mask == 1] == WHITE).all()
        assert not (tissue[mask > 0] == OUTSIDE).any()
        if case.info["stroke"] == "none":
            assert not (mask == 2).any()
        elif case.info["stroke"] != "both":
            sides = np.sign(_points(32)[2]).ravel()[np.nonzero(mask == 2)[2]]
            assert len(set(sides)) == 1
        if case.info["stroke"] == "subcortical":
            assert not (tissue[mask == 2] == CSF).any()


def test_hyperintensities_are_alike_on_both_sides_and_brighter_than_white_matter() -> None:
    mirror, chance, ratio = [], [], []
    for case in cases(8, wmh_volume=2, **QUIET):
        mask = (case.target["mask"] == 1) & (case.info["tissue"] == WHITE)
        white = case.info["tissue"] == WHITE
        mirror.append(mask[:, :, ::-1][mask].mean())
        chance.append(mask.sum() / white.sum())
        healthy = white & ~binary_dilation(case.target["mask"] > 0, iterations=2)
        ratio.append(case.image[0][mask].mean() / case.image[0][healthy].mean())
    assert np.mean(mirror) > 5 * np.mean(chance)
    assert 1.3 < np.mean(ratio) < 1.7


def test_edge_share_sets_the_poorer_protocols_and_0_leaves_p1_alone() -> None:
    for share in (0, 0.2, 0.452):
        table = phantom(200, 0, edge_share=share).table
        assert (table.site != "P1").mean() == pytest.approx(share, abs=0.005)


def _through_plane(**settings) -> float:
    """Roughness between neighbouring planes over that between neighbouring columns."""
    found = []
    for case in cases(6, edge_share=0.9, **QUIET | settings):
        if case.site != "P1":
            image, inside = case.image[0], case.info["tissue"] != OUTSIDE
            along, across = (
                np.abs(np.diff(image, axis=axis))[np.diff(inside * 1, axis=axis) == 0]
                for axis in (0, 2)
            )
            found.append(along.mean() / across.mean())
    return float(np.mean(found))


def test_poorer_protocols_blur_between_slices_more_with_gap_and_pitch() -> None:
    assert _through_plane(protocol_gap=1.5) < _through_plane() < _through_plane(protocol_gap=0)
    assert _through_plane(pitch=4) < _through_plane(pitch=2) < _through_plane(pitch=0.5)


def test_protocols_differ_in_noise_and_contrast_by_the_gap_and_0_makes_them_one() -> None:
    read = phantom(1, 0, size=32)._read
    table = phantom(6, 0, size=32).table
    row = {str(k): v for k, v in table[table.stroke == "subcortical"].iloc[0].items()}

    def measured(site: str, gap: float) -> tuple[float, float]:
        scan = {**row, "site": site, "protocol_gap": gap, "bias": 0.0, "pitch": 0.5}
        case, clean = (read({**scan, "noise": noise}) for noise in (1.0, 0.0))
        white = (case.info["tissue"] == WHITE) & (case.target["mask"] == 0)
        lesion = clean.image[0][case.target["mask"] == 1].mean()
        noise = (case.image[0] - clean.image[0])[white].std()
        return float(noise), float(lesion / clean.image[0][white].mean())

    good, same, poor = measured("P1", 1.0), measured("P2", 0.0), measured("P2", 1.0)
    assert good == same
    assert poor[0] == pytest.approx(25 / 12 * good[0], rel=0.1)
    assert poor[1] < good[1] - 0.05


def test_cortical_strokes_are_larger_by_the_volume_gap_and_alike_at_0() -> None:
    def ratio(gap: float) -> float:
        table = phantom(20_000, 0, volume_gap=gap).table
        return table.cortical_mm3.mean() / table.subcortical_mm3.mean()

    assert ratio(0) == pytest.approx(1, abs=0.05)
    assert ratio(1) == pytest.approx(6414 / 2903, rel=0.06)
    assert ratio(0) < ratio(0.5) < ratio(1)


@pytest.fixture(scope="module")
def grown():
    """Strokes of 6,000 mm³ on one brain of 2.5 mm voxels, by kind and shape gap."""
    points = _points(64)
    whole = brain(points, 0)

    def grow_them(kind: str, gap: float) -> list[np.ndarray]:
        row = {"shape_gap": gap, "in_ribbon": True, f"{kind}_mm3": 6000.0}
        rng = np.random.default_rng(5)
        return [stroke(whole, points, row, kind, 2.5, rng) for _ in range(24)]

    pairs = (("subcortical", 1), ("cortical", 0), ("cortical", 1))
    return {pair: grow_them(*pair) for pair in pairs}


def surface_ratio(masks: list[np.ndarray]) -> float:
    """Mean surface over that of a ball of the same volume; cube faces count two thirds."""
    found = []
    for mask in masks:
        faces = sum(np.abs(np.diff(np.pad(mask, 1) * 1, axis=axis)).sum() for axis in range(3))
        found.append(faces / 1.5 / (4.836 * mask.sum() ** (2 / 3)))
    return float(np.mean(found))


def test_cortical_strokes_are_rougher_by_the_shape_gap_and_alike_at_0(grown: dict) -> None:
    deep, none, printed = (surface_ratio(masks) for masks in grown.values())
    assert none == pytest.approx(deep, rel=0.08)
    assert printed > 1.15 * none
    assert printed == pytest.approx(2.06, abs=0.3)
    assert deep == pytest.approx(1.57, abs=0.25)


def test_cortical_strokes_break_into_pieces_only_with_the_shape_gap(grown: dict) -> None:
    deep, none, printed = (
        np.mean([label(mask, np.ones((3, 3, 3)))[1] > 1 for mask in masks])
        for masks in grown.values()
    )
    assert max(deep, none) < 0.15
    assert printed > max(deep, none) + 0.1


def test_cortical_strokes_are_superficial_by_the_location_gap_and_deep_at_0() -> None:
    def off_centre(kind: str, gap: float) -> float:
        found = []
        for case in only(cases(20, location_gap=gap, size=28), kind):
            reach = np.sqrt(
                sum((p / s) ** 2 for p, s in zip(_points(28), (60, 85, 70), strict=True))
            )
            found.append(reach[case.target["mask"] == 2].mean())
        return float(np.mean(found))

    superficial, deep = off_centre("cortical", 1), off_centre("cortical", 0)
    assert superficial > deep + 0.2
    assert deep == pytest.approx(off_centre("subcortical", 1), abs=0.08)


def test_likeness_brings_strokes_to_the_level_of_hyperintensities() -> None:
    def gap(likeness: float) -> float:
        table = phantom(500, 0, likeness=likeness).table
        return table.stroke_level.mean() - table.wmh_level.mean()

    assert gap(1) == pytest.approx(-0.05, abs=0.03)
    assert gap(0) > gap(0.5) + 0.2 > gap(1) + 0.4
    levels = [
        np.mean([c.image[0][c.target["mask"] == 2].mean() for c in found])
        for found in (
            only(cases(8, likeness=like, cavity=0, **QUIET), "subcortical") for like in (0, 1)
        )
    ]
    assert levels[0] > levels[1] + 0.08


def test_wmh_volume_sets_the_median() -> None:
    medians = [
        np.median([volume_mm3(c, 1) / c.info["icv_mm3"] for c in cases(12, wmh_volume=v, size=24)])
        for v in (0.5, 1.2, 4)
    ]
    assert medians[0] < medians[1] < medians[2]
    assert phantom(2000, 0, wmh_volume=4).table.wmh_share.median() == pytest.approx(0.04, rel=0.06)


def test_cavities_darken_the_centre_of_the_share_asked_for() -> None:
    table = phantom(2000, 0).table
    assert table.cavity.mean() == pytest.approx(66 / 269, abs=0.03)

    def darkest(cavity: float) -> float:
        found = [
            c
            for c in cases(10, cavity=cavity, **QUIET)
            if (c.target["mask"] == 2).sum() > 20 and c.site == "P1"
        ]
        return float(np.mean([c.image[0][c.target["mask"] == 2].min() for c in found]))

    assert darkest(1) < darkest(0) - 0.05


def test_noise_and_coil_field_grow_with_their_dials_and_vanish_at_0() -> None:
    def rough(noise: float) -> float:
        case = cases(1, noise=noise, bias=0)[0]
        fine = case.image[0] - gaussian_filter(case.image[0], 1)
        deep = (case.info["tissue"] == WHITE) & (case.target["mask"] == 0)
        return float(fine[deep].std())

    def drift(bias: float) -> float:
        found = []
        for case in cases(3, bias=bias, noise=0, wmh_volume=0.1):
            deep = (case.info["tissue"] == WHITE) & (case.target["mask"] == 0)
            found.append(case.image[0][deep].std() / case.image[0][deep].mean())
        return float(np.mean(found))

    assert rough(0) < rough(1) < rough(4)
    assert drift(0) < drift(0.15) < drift(0.5)


def test_the_slice_operator_averages_and_interpolates_in_mm() -> None:
    weights = slice_operator(40, 2.0, 5.0, 6.0)
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-5)
    ramp = np.arange(40.0)
    np.testing.assert_allclose((weights @ ramp)[4:-4], ramp[4:-4], atol=0.35)
    np.testing.assert_allclose(slice_operator(10, 2.0, 2.0, 2.0), np.eye(10), atol=1e-6)
    spike = weights[:, 20]
    assert 2 <= (spike > 0.01).sum() <= 8


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"part": "validation"}, "`part` must be one of train, test"),
        ({"edge_share": -0.1}, "`edge_share` must be in"),
        ({"protocol_gap": 2}, "`protocol_gap` must be in"),
        ({"pitch": 0.1}, "`pitch` must be in"),
        ({"volume_gap": 2}, "`volume_gap` must be in"),
        ({"shape_gap": 2}, "`shape_gap` must be in"),
        ({"location_gap": 1.2}, "`location_gap` must be in"),
        ({"likeness": -1}, "`likeness` must be in"),
        ({"wmh_volume": 0}, "`wmh_volume` must be in"),
        ({"cavity": 1.5}, "`cavity` must be in"),
        ({"noise": 5}, "`noise` must be in"),
        ({"bias": 1}, "`bias` must be in"),
    ],
)
def test_bad_arguments_are_named(wrong: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        phantom(1, 0, **wrong)
