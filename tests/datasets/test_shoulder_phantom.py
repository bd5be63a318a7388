"""The shoulder phantom: printed proportions, implants where the mask is, dials that act."""

from itertools import pairwise

import numpy as np
import pytest

from common.datasets.shoulder_phantom import (
    CLASSES,
    COUNTS,
    DIALS,
    MAKERS,
    SITES,
    draw,
    phantom,
    render,
)

BIOMODULAR, COFIELD, ADVANTAGE, GLOBAL, FRACTURE, HRP, BIGLIANI = range(7)


def upright(model: int, n: int = 3, **dials) -> list:
    """Images of one model without rotation."""
    cases = phantom(86, 0, size=96, **{"rotation": 0.0, **dials})
    return [cases[int(i)] for i in np.flatnonzero(cases.table.true_label == model)[:n]]


def bounds(case) -> tuple[int, int]:
    """Height and width of the implant (px)."""
    rows, columns = np.nonzero(case.info["implant"])
    return int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1


def test_models_have_the_printed_proportions_and_images_the_printed_number() -> None:
    table = draw(164, 0, extra_images=0)
    assert np.bincount(table.label).tolist() == list(COUNTS)
    assert sum(COUNTS) == 164
    assert (table.maker == "DePuy").sum() == 94
    assert table.maker.tolist() == [MAKERS[label] for label in table.label]
    sizes = [len(draw(86, seed)) for seed in range(40)]
    # 86 patients: standard deviation 8.8, of the mean of 40 draws 1.4
    assert np.mean(sizes) == pytest.approx(164, abs=5)
    assert len(CLASSES) == 7


def test_the_implant_is_the_brightest_part_and_lies_inside_the_frame() -> None:
    cases = phantom(20, 0, size=96)
    for case in cases:
        implant, frame = case.info["implant"], case.info["frame"]
        assert not (implant & ~frame).any()
        assert 0.02 < implant.mean() < 0.2
        assert case.image[0][implant].mean() > 1.5 * case.image[0][frame & ~implant].mean()
        assert case.target == {"label": case.info["true_label"]}
        assert case.site in SITES


def test_models_differ_in_the_parts_that_tell_them_apart() -> None:
    def height(model: int) -> float:
        return float(np.mean([bounds(case)[0] / row for case, row in scaled(model)]))

    def scaled(model: int) -> list:
        cases = phantom(86, 0, size=128, rotation=0.0)
        table = cases.table
        chosen = np.flatnonzero(table.true_label == model)[:6]
        return [(cases[int(i)], table.scale[i] * table.depth[i]) for i in chosen]

    heights = {model: height(model) for model in (HRP, FRACTURE, GLOBAL, BIGLIANI)}
    assert heights[HRP] > heights[GLOBAL] > heights[BIGLIANI]
    area = {
        model: np.mean([case.info["implant"].sum() / row**2 for case, row in scaled(model)])
        for model in (COFIELD, BIGLIANI)
    }
    assert area[BIGLIANI] > 1.2 * area[COFIELD]


def test_cues_make_models_differ_and_at_null_they_are_one() -> None:
    def difference(cues: float) -> float:
        table = draw(30, 0, cues=cues)
        row = table.iloc[0].to_dict()
        masks = []
        for model in range(7):
            masks.append(render(row | {"true_label": model}, size=96).info["implant"])
        pairs = [np.mean(masks[i] != masks[j]) for i in range(7) for j in range(i)]
        return float(np.mean(pairs))

    none, half, usual, far = (difference(cues) for cues in (0.0, 0.5, 1.0, 1.5))
    assert none == 0
    assert none < half < usual < far


def test_models_of_depuy_differ_less_from_each_other_than_from_the_others() -> None:
    row = draw(30, 0, rotation=0.0).iloc[0].to_dict()
    masks = [render(row | {"true_label": model}, size=96).info["implant"] for model in range(7)]
    apart = np.array([[np.mean(one != other) for one in masks] for other in masks])
    depuy = np.array(MAKERS) == "DePuy"
    inside = apart[np.ix_(depuy, depuy)][~np.eye(4, dtype=bool)]
    assert inside.mean() < 0.6 * apart[np.ix_(depuy, ~depuy)].mean()
    assert inside.min() > 0


def test_rotation_tilts_the_stem_and_at_null_leaves_it_upright() -> None:
    def tilt(case) -> float:
        """Angle between the lower part of the stem and the vertical (degrees), unsigned."""
        rows, columns = np.nonzero(case.info["implant"])
        low = rows > rows.min() + 0.6 * np.ptp(rows)
        return float(np.degrees(np.arctan(abs(np.polyfit(rows[low], columns[low], 1)[0]))))

    found = [
        float(np.mean([tilt(case) for case in phantom(20, 0, size=96, rotation=sd)]))
        for sd in (0.0, 10.0, 30.0)
    ]
    assert found[0] < 4
    assert found[0] < found[1] < found[2]
    spread = [draw(300, 0, rotation=sd).turn.std() for sd in (0.0, 10.0, 30.0)]
    assert spread == pytest.approx([0, 10, 30], rel=0.12)


def test_extra_images_sets_the_mean_number_for_a_patient_and_at_null_each_has_one() -> None:
    for mean in (0.0, 0.9, 3.0):
        sizes = draw(800, 0, extra_images=mean).groupby("cluster").size()
        assert len(sizes) == 800
        assert sizes.min() == 1
        # standard error sqrt(mean / 800), at most 0.06
        assert sizes.mean() - 1 == pytest.approx(mean, abs=0.2)


def test_patient_share_makes_images_of_one_patient_alike_and_at_null_they_are_not() -> None:
    def agreement(share: float) -> tuple[float, float]:
        """Intraclass correlation of the rotation, and likeness of backgrounds in a patient."""
        table = draw(500, 0, patient_share=share)
        pairs = table.groupby("cluster").filter(lambda own: len(own) > 1).groupby("cluster")
        turns = pairs.turn
        pose = float(np.corrcoef(turns.nth(0), turns.nth(1))[0, 1])
        cases = phantom(40, 0, size=48, patient_share=share, extra_images=2)
        images = {}
        for case in cases:
            images.setdefault(case.cluster, []).append(case.image.ravel())
        inside, between = [], []
        groups = [own for own in images.values() if len(own) > 1]
        for one, other in pairwise(groups):
            inside.append(np.corrcoef(one[0], one[1])[0, 1])
            between.append(np.corrcoef(one[0], other[0])[0, 1])
        return pose, float(np.mean(inside) - np.mean(between))

    found = [agreement(share) for share in (0.0, 0.7, 1.0)]
    poses, likeness = zip(*found, strict=True)
    # about 300 pairs: standard error at most 0.06
    assert poses == pytest.approx([0.0, 0.7, 1.0], abs=0.18)
    assert likeness[0] < likeness[1] < likeness[2]
    assert abs(likeness[0]) < 0.5 * likeness[2]


def test_source_confound_ties_the_surgeon_to_one_model_and_at_null_to_none() -> None:
    def difference(confound: float) -> float:
        table = draw(4_000, 0, source_confound=confound, extra_images=0)
        surgeon = (table.site == "surgeon").groupby(table.label == BIOMODULAR).mean()
        return float(surgeon[True] - surgeon[False])

    # 634 Biomodular patients: standard error 0.02
    found = [difference(confound) for confound in (0.0, 0.5, 1.0)]
    assert found == pytest.approx([0.0, 0.375, 0.75], abs=0.07)
    table = draw(4_000, 0, extra_images=0)
    assert (table.site == "surgeon").mean() == pytest.approx(0.27, abs=0.04)


def test_the_two_sources_look_different() -> None:
    bars = {site: [] for site in SITES}
    for case in phantom(40, 0, size=64):
        bars[case.site].append(1 - case.info["frame"].mean())
    assert max(bars["surgeon"]) < 0.1
    assert np.mean(bars["uci"]) > 2 * np.mean(bars["surgeon"])


def test_label_noise_mislabels_its_share_of_images_and_at_null_none() -> None:
    for share in (0.0, 0.05, 0.4):
        table = draw(2_000, 0, label_noise=share)
        # about 3,800 images: standard error at most 0.008
        assert (table.label != table.true_label).mean() == pytest.approx(share, abs=0.03)


@pytest.mark.parametrize("dial", DIALS, ids=lambda dial: dial.name)
def test_a_dial_beyond_its_range_is_refused_by_name(dial) -> None:
    with pytest.raises(ValueError, match=f"`{dial.name}` must be"):
        phantom(4, 0, **{dial.name: dial.high + 1})


def test_an_image_too_small_for_holes_is_refused() -> None:
    with pytest.raises(ValueError, match="`size` must be at least 48"):
        phantom(4, 0, size=32)
