"""The faces: long tails, syndromes, sources, landmarks."""

import numpy as np
import pytest

from common.datasets.face_phantom import phantom
from common.datasets.face_phantom_rendering import EXPRESSION, MODES, TEMPLATE, landmarks

FIRM = [name for i, name in enumerate(MODES) if i not in EXPRESSION]


def table(n: int = 400, seed: int = 0, **settings):
    return phantom(n, seed, **settings).table


def separation(frame) -> float:
    """Variance of disorder means over that expected of means of that many people."""
    groups = frame.groupby("label")[list(MODES)]
    between, size = groups.mean().var(), groups.size().mean()
    return float((between / (groups.var().mean() / size)).mean())


@pytest.mark.parametrize(
    ("collection", "n", "disorders", "low", "high"),
    [("base", 807, 20, 25, 60), ("novel", 259, 20, 6, 24), ("rare", 146, 40, 2, 6)],
)
def test_disorders_have_the_printed_tail_of_patients(collection, n, disorders, low, high) -> None:
    frame = table(n, collection=collection, disorders=disorders)
    patients = frame.groupby("label").cluster.nunique()
    assert len(patients) == disorders
    assert low - 1 <= patients.min() <= low + 1
    assert high - 1 <= patients.max() <= high + 1


def test_rare_disorders_have_the_printed_4_5_images_and_others_one_a_patient() -> None:
    rare = table(146, collection="rare", disorders=40)
    assert len(rare) / 40 == pytest.approx(4.5, abs=0.1)
    assert set(rare.groupby("cluster").size()) == {1, 2}
    assert (table(50).groupby("cluster").size() == 1).all()
    identities = table(6, collection="identities")
    assert (identities.groupby("cluster").size() == 15).all()
    assert identities.label.nunique() == 6


def test_photographs_of_a_patient_differ_by_expression_alone() -> None:
    frame = table(5, collection="identities")
    assert (frame.groupby("cluster")[[*FIRM, "skin", "iris"]].nunique() == 1).all(axis=None)
    spread = frame.groupby("cluster")["mouth_width"].std()
    assert spread.mean() == pytest.approx(0.4, abs=0.1)
    assert frame.cue.eq("none").all()


def test_the_effect_moves_three_modes_of_a_disorder_and_0_moves_none() -> None:
    for effect in (0, 1.2, 3):
        frame = table(2000, disorders=5, effect=effect, expression=0)
        moved = frame.groupby("label")[list(MODES)].mean().abs() > 0.5
        assert (moved.sum(axis=1) == (3 if effect else 0)).all()
    found = [separation(table(2000, disorders=10, effect=e, expression=0)) for e in (0, 0.6, 1.2)]
    assert found[0] == pytest.approx(1, abs=0.3)  # nothing but sampling error
    assert found[0] < found[1] < found[2]


def test_the_effect_shows_in_the_landmarks() -> None:
    def spread(effect: float) -> float:
        """Distance (px) of the mean landmarks of two disorders."""
        frame = table(300, 1, disorders=2, effect=effect, pose=0, source_style=0)
        points = np.array([landmarks(row) for row in frame.to_dict("records")])
        by_label = [points[frame.label == k] for k in (0, 1)]
        first, second = (np.mean(found, axis=0) for found in by_label)
        return float(np.linalg.norm(first - second, axis=1).max())

    assert spread(0) < 0.6
    assert spread(0) + 1 < spread(1.2) < spread(3)


def test_other_collections_have_other_disorders() -> None:
    def directions(collection: str) -> np.ndarray:
        frame = table(600, collection=collection, disorders=6, effect=4)
        return frame.groupby("label")[list(MODES)].mean().round(0).to_numpy()

    base, novel = directions("base"), directions("novel")
    assert not any((row == other).all() for row in base for other in novel)


def test_a_share_of_disorders_has_a_texture_cue_that_shows_and_0_has_none() -> None:
    for share in (0, 0.33, 1):
        cues = table(200, disorders=18, texture=share).groupby("label").cue.first()
        assert (cues != "none").sum() == round(share * 18)
    frame = table(400, disorders=20, texture=1)
    assert frame[frame.cue == "spots"].spots.between(14, 25).all()
    assert (frame[frame.cue != "spots"].spots == 0).all()
    brows = frame.groupby("cue").brow.mean()
    assert brows["brows"] / brows["spots"] == pytest.approx(1.9, abs=0.15)


def test_dense_brows_are_darker_in_the_picture() -> None:
    def darkness(cue: str) -> float:
        """Skin under the eyes less the brow, mean over faces."""
        cases = phantom(120, 0, disorders=8, texture=1, occlusion=0, source_style=0, pose=0)
        found = []
        for case in cases.where(cases.table.cue == cue):
            grey, points = case.image.mean(0), case.target["landmarks"].round().astype(int)
            brow = np.concatenate([points[18:21], points[23:26]])
            found.append(grey[points[30, 0], points[36, 1]] - grey[tuple(brow.T)].mean())
        return float(np.mean(found))

    assert darkness("brows") > darkness("spots") + 0.03


def test_texture_only_disorders_have_a_cue_and_no_geometry() -> None:
    assert separation(table(2000, disorders=10, texture_only=1, expression=0)) < 1.4
    cues = table(200, disorders=10, texture=0, texture_only=0.5).groupby("label").cue.first()
    assert (cues != "none").sum() == 5


def test_source_sharing_is_the_share_of_pairs_of_a_disorder_from_one_source() -> None:
    for sharing in (0, 0.2, 0.6, 1):
        frame = table(1500, disorders=10, source_sharing=sharing)
        pairs = same = 0
        for _, group in frame.groupby("label"):
            counts = group.site.value_counts()
            pairs += len(group) * (len(group) - 1)
            same += (counts * (counts - 1)).sum()
        assert same / pairs == pytest.approx(sharing, abs=0.04)
    apart = table(300, source_sharing=0)
    assert apart.site.nunique() == 300


def test_sources_of_one_disorder_never_serve_another() -> None:
    frame = table(400, source_sharing=0.6)
    assert (frame.groupby("site").label.nunique() == 1).all()
    assert (frame.groupby("site").tint_0.nunique() == 1).all()


def test_source_style_spreads_tint_and_background_and_0_gives_all_one_style() -> None:
    def spread(style: float) -> float:
        cases = phantom(40, 0, source_style=style, source_sharing=0)
        cases = cases.where(~cases.table.grey)
        corners = [case.image[:, :4, :4].mean(axis=(1, 2)) for case in cases]
        return float(np.std(corners, axis=0).mean())

    none, default, strong = (spread(style) for style in (0, 1, 2))
    assert none < 0.1 < default - 0.05 < strong - 0.05
    style = ["tint_0", "back_0", "back_2", "blur", "shift_x", "shift_y"]
    assert (table(50, source_style=0)[style].nunique() == 1).all()


def test_expression_moves_the_mouth_alone() -> None:
    def spread(expression: float, name: str) -> float:
        frame = table(40, collection="identities", expression=expression)
        return float(frame.groupby("cluster")[name].std().mean())

    for name in ("philtrum_length", "lip_thickness", "mouth_width"):
        assert spread(0, name) == pytest.approx(0, abs=1e-12)
        assert spread(0.4, name) == pytest.approx(0.4, rel=0.1)
        assert spread(2, name) == pytest.approx(2, rel=0.1)
    assert spread(2, "eye_spacing") == pytest.approx(0, abs=1e-12)


def test_pose_turns_and_scales_the_landmarks_and_0_leaves_them_aligned() -> None:
    for pose in (0, 1, 3):
        cases = phantom(200, 0, pose=pose, source_style=0, size=32)
        assert np.rad2deg(cases.table.turn).std() == pytest.approx(4 * pose, rel=0.15)
        assert np.log(cases.table.zoom).std() == pytest.approx(0.04 * pose, rel=0.15)
    points = phantom(1, 0, pose=0, source_style=0)[0].target["landmarks"]
    assert points[27, 1] == pytest.approx(31.5)  # the nose lies on the middle


def test_occlusion_scales_the_shares_of_bars_and_captions_and_0_hides_nothing() -> None:
    for factor in (0, 1, 5):
        frame = table(3000, occlusion=factor)
        assert frame.eye_bar.mean() == pytest.approx(0.15 * factor, abs=0.02)
        assert frame.caption.mean() == pytest.approx(0.10 * factor, abs=0.02)
    assert table(3000).grey.mean() == pytest.approx(0.2, abs=0.02)


def test_eye_bars_blacken_the_eyes() -> None:
    cases = phantom(40, 0, occlusion=3, pose=0)
    for case in cases:
        eyes = case.target["landmarks"][36:48].mean(0).round().astype(int)
        left = case.target["landmarks"][36:42].mean(0).round().astype(int)
        dark = max(case.image[:, eyes[0], eyes[1]].max(), case.image[:, left[0], left[1]].max())
        assert (dark < 0.15) == case.info["eye_bar"]


def test_landmarks_sit_on_what_they_name() -> None:
    found = {"iris": [], "sclera": [], "lip": [], "cheek": []}
    cases = phantom(60, 0, occlusion=0, size=96)
    for case in cases.where((cases.table.skin > 0.6) & ~cases.table.grey):
        p, image = case.target["landmarks"], case.image
        at = {
            "iris": p[36:42].mean(0),
            "sclera": 0.75 * p[36] + 0.25 * p[39],
            "lip": 0.5 * (p[57] + p[66]),
            "cheek": 0.5 * (p[3] + p[30]),
        }
        for name, place in at.items():
            y, x = place.round().astype(int)
            found[name].append(image[:, y, x])
    mean = {name: np.mean(values, axis=0) for name, values in found.items()}
    assert mean["iris"].mean() < mean["cheek"].mean() - 0.2
    assert mean["sclera"].mean() > mean["iris"].mean() + 0.1
    assert mean["lip"][0] / mean["lip"][1] > 1.2 * mean["cheek"][0] / mean["cheek"][1]


def test_targets_have_the_shapes_of_a_detector_and_scale_with_the_picture() -> None:
    small, large = (phantom(1, 0, size=size)[0] for size in (48, 96))
    assert TEMPLATE.shape == (68, 2)
    assert small.target["landmarks"].shape == (68, 2)
    assert small.image.shape == (3, 48, 48)
    np.testing.assert_allclose(
        large.target["landmarks"] + 0.5, 2 * (small.target["landmarks"] + 0.5), rtol=1e-5
    )
    assert isinstance(small.target["label"], int)


def test_the_template_is_symmetric_and_in_the_usual_order() -> None:
    mirrored = TEMPLATE * (-1, 1) + (64, 0)
    order = [*range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, *range(35, 30, -1)]
    order += [45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40]
    order += [*range(54, 47, -1), *range(59, 54, -1), *range(64, 59, -1), 67, 66, 65]
    np.testing.assert_allclose(mirrored, TEMPLATE[order])
    assert TEMPLATE[8, 1] == TEMPLATE[:, 1].max()  # the chin
    assert TEMPLATE[36, 0] < TEMPLATE[39, 0] < TEMPLATE[42, 0] < TEMPLATE[45, 0]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"collection": "lfw"}, "`collection` must be one of base, novel, rare"),
        ({"disorders": 0}, "`disorders` must be at least 1"),
        ({"size": 16}, "`size` 32, got 20 and 16"),
        ({"effect": 5}, "`effect` must be in"),
        ({"texture": 2}, "`texture` must be in"),
        ({"texture_only": 2}, "`texture_only` must be in"),
        ({"source_sharing": -1}, "`source_sharing` must be in"),
        ({"source_style": 3}, "`source_style` must be in"),
        ({"expression": 3}, "`expression` must be in"),
        ({"pose": 4}, "`pose` must be in"),
        ({"occlusion": 6}, "`occlusion` must be in"),
    ],
)
def test_bad_arguments_are_named(wrong, message) -> None:
    with pytest.raises(ValueError, match=message):
        phantom(1, 0, **wrong)
