"""The experiment: clips drawn as said, records that add up, splits that leak what they should."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from common.chapters.casualty_action import experiment, inputs, mechanism
from common.chapters.casualty_action.inputs import Clips
from common.datasets import trauma_video_phantom_scene as scene
from common.models.casualty_action_training import ARMS, Settings

FRAMES = {"size": 32, "n_frames": 6}
WORDS = (24, 8, 8)
SETTINGS = Settings(epochs=1, dim=16, heads=2, width=8)
FEW = tuple(arm for arm in ARMS if arm.name in ("revit", "revit-time", "half", "tsn"))


def drawn(n, seed, **options):
    return inputs.phantom_clips(n, seed, words=WORDS, grammar_seed=50, **FRAMES, **options)


@pytest.fixture(scope="module")
def clips():
    return drawn(4, 100, name="a"), drawn(4, 101, name="b")


@pytest.fixture(scope="module")
def outcome(clips):
    return experiment.run(*clips, SETTINGS, seeds=[50, 51], arms=FEW, jobs=1)


def test_words_of_clips_are_those_of_their_action(clips):
    train, test = clips
    for each in clips:
        found = each.pairs[each.data["action"]]
        np.testing.assert_array_equal(found[:, 0], each.data["verb"])
        np.testing.assert_array_equal(found[:, 1], each.data["noun"])
        assert len(each.names) == each.words[0] == len(each.pairs)
    assert not set(train.table["cluster"]) & set(test.table["cluster"])
    np.testing.assert_array_equal(train.pairs, test.pairs)


def test_staged_verbs_and_nouns_are_even_and_independent():
    verbs = (2, 14, 26)
    found = inputs.staged_clips(300, 50, verbs=verbs, **{**FRAMES, "size": 24})
    counts = pd.crosstab(found.data["verb"], found.data["noun"])
    assert counts.shape == (3, 8)
    # chi-square with 14 degrees of freedom, far below its 99.9 % quantile
    expected = 300 / 24
    assert ((counts.to_numpy() - expected) ** 2 / expected).sum() < 50
    assert found.table["cluster"].is_unique
    np.testing.assert_array_equal(found.pairs[found.data["action"]][:, 0], found.data["verb"])


def test_a_staged_clip_is_that_of_its_verb():
    quiet = {"noise": 0.0, "jitter": 0.0, "boundary": 0.0, "clutter": 0.0, "arrow": 1.0}
    take, drop = (
        inputs.staged_clips(1, 50, verbs=(verb,), **FRAMES, **quiet).data["image"][0]
        for verb in (0, 1)
    )
    assert scene.reverse_of(0, 37) == 1
    np.testing.assert_allclose(take, drop[:, ::-1], atol=1e-5)
    assert np.abs(take - drop).max() > 0.1


def test_every_clip_is_scored_once_by_every_arm_and_seed(clips, outcome):
    _, test = clips
    records = outcome.records
    assert not records.duplicated(["arm", "seed", "case", "metric"]).any()
    correct = records[records["metric"] == "correct"]
    counts = correct.groupby(["arm", "seed"]).size()
    assert (counts == len(test)).all()
    arms = {*(arm.name for arm in FEW), "product"}
    arms |= {f"blind-{kind}" for kind in ("majority", "procedure", "index", "previous")}
    assert set(correct["arm"]) == arms
    assert set(records["group"]) <= {*inputs.PROCEDURES, ""}


def test_records_are_the_answers(clips, outcome):
    _, test = clips
    found = outcome.answers["revit", 51]["action"].argmax(1) == test.data["action"]
    mine = outcome.records.query("arm == 'revit' and seed == 51 and metric == 'correct'")
    np.testing.assert_array_equal(mine["value"], found)
    five = outcome.records.query("arm == 'revit' and seed == 51 and metric == 'action_top5'")
    assert (five["value"].to_numpy() >= mine["value"].to_numpy()).all()


def test_the_number_of_processes_does_not_matter(clips, outcome):
    again = experiment.run(*clips, SETTINGS, seeds=[50, 51], arms=FEW, jobs=2)
    pd.testing.assert_frame_equal(again.records, outcome.records)


def test_half_of_the_videos_are_whole_videos(clips):
    train, _ = clips
    half = experiment.first_videos(train, 0.5)
    names = train.table["cluster"].unique()
    assert list(half.table["cluster"].unique()) == list(names[:2])
    assert len(half) == train.table["cluster"].isin(names[:2]).sum()
    assert experiment.first_videos(train, 0.01).table["cluster"].nunique() == 1


def test_siblings_replace_as_many_clips(clips):
    train, test = clips
    odd = test.some((test.table["position"] % 2 == 1).to_numpy())
    mixed = experiment.with_siblings(train, odd, 50)
    assert len(mixed) == len(train)
    assert set(odd.table["case"]) <= set(mixed.table["case"])
    assert mixed.table["case"].is_unique
    with pytest.raises(ValueError, match="`train` must have at least"):
        experiment.with_siblings(odd, train, 50)


def test_both_splits_answer_the_same_clips(clips):
    _, test = clips
    found = experiment.split_leak(*clips, SETTINGS, seeds=[50], jobs=1)
    by_arm = {arm: part["case"].tolist() for arm, part in found.groupby("arm")}
    assert by_arm["clip-split"] == by_arm["video-split"]
    assert len(by_arm["clip-split"]) == (test.table["position"] % 2 == 0).sum()


@pytest.mark.parametrize("wander", [0.0, 1.0])
def test_boards_show_the_answer_and_hide_it_from_a_bag_of_patches(wander):
    frames, answer = mechanism.boards(200, 50, wander=wander, noise=0.0)
    fields = frames[:, :, 0, ::8, ::8]
    red = np.argwhere((fields[:, 0] > 0.8) & (fields[:, 1] < 0.2))[:, 1:]
    green = np.argwhere((fields[:, 1] > 0.6) & (fields[:, 0] < 0.2))[:, 1:]
    np.testing.assert_array_equal(green - red, mechanism._STEPS[answer])
    assert len(np.unique(red, axis=0)) == (1 if wander == 0 else 16)
    # whatever the answer, the same patches in another order
    bags = np.sort(fields.reshape(200, 3, -1), axis=2)
    np.testing.assert_array_equal(bags, np.broadcast_to(bags[:1], bags.shape))


def test_equal_probabilities_count_half():
    prob = np.array([[0.5, 0.5], [0.7, 0.3]])
    one = np.array([1, 1])
    assert mechanism.prefers(prob, one, 1 - one).tolist() == [0.5, 0.0]
    assert mechanism.prefers(prob, 1 - one, one).tolist() == [0.5, 1.0]


def test_the_mechanisms_run_at_both_ends_of_their_dials():
    ends = {"stands": (0.0, 1.0), "seeds": [50], "jobs": 1}
    time = mechanism.direction_of_time(SETTINGS, n_clips=24, **FRAMES, **ends)
    assert set(zip(time["arm"], time["group"], strict=True)) == {
        (arm, f"arrow {stand}") for arm in ("revit", "revit-time") for stand in (0, 1)
    }
    assert len(time) == 4 * 12
    place = mechanism.relative_place(SETTINGS, n_boards=20, epochs=1, **ends)
    assert len(place) == 2 * 4 * 5
    assert place["cluster"].unique().tolist() == ["draw-50"]


def test_real_videos_are_read_as_generated_ones_are(tmp_path):
    names = {"P01_01": ["take scalpel", "drop scalpel"], "P05_02": ["take tourniquet"]}
    lines = ["video_id,clip_id,start_frame,stop_frame,action,next_action"]
    for video, actions in names.items():
        for k, action in enumerate(actions):
            clip = f"{video}_{k:02d}"
            lines.append(f"{video},{clip},{10 * k},{10 * k + 9},{action},")
            (tmp_path / clip).mkdir()
            for frame in range(3):
                pixels = np.full((40, 60, 3), 50 * (frame + 1), np.uint8)
                Image.fromarray(pixels).save(tmp_path / clip / f"img_{frame + 1:05d}.jpg")
    (tmp_path / "annotations.csv").write_text("\n".join(lines))
    found = inputs.real_clips(tmp_path, size=24, n_frames=6)
    assert isinstance(found, Clips)
    assert found.data["image"].shape == (3, 3, 6, 24, 24)
    np.testing.assert_allclose(
        found.data["image"][0, 0, :, 0, 0] * 255, [50, 50, 100, 100, 150, 150], atol=2
    )
    assert found.words == (3, 2, 2)
    assert found.table["procedure"].tolist() == ["cricothyroidotomy"] * 2 + ["tourniquet"]
    assert found.table["position"].tolist() == [0, 1, 0]
    np.testing.assert_array_equal(found.pairs[found.data["action"]][:, 0], found.data["verb"])
