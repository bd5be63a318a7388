import itertools
from collections import Counter, defaultdict

import numpy as np
import pytest

from common.datasets import trauma_video_phantom_scene as scenes
from common.datasets.trauma_video_phantom import DIALS, actions, phantom, render

STEADY = {"jitter": 0.0, "noise": 0.0, "boundary": 0.0}
SMALL = {"n_verbs": 8, "n_nouns": 8, "n_actions": 24}


def test_videos_and_clips_are_about_as_many_as_in_the_paper():
    table = phantom(62, 0).table
    assert table["cluster"].nunique() == 62
    # 1,020 clips
    assert len(table) == pytest.approx(1020, rel=0.1)
    per_video = table.groupby("cluster")["procedure"].first().value_counts().sort_index()
    assert per_video.tolist() == [13, 12, 10, 13, 14]
    position = table.groupby("cluster").cumcount()
    assert (table["position"] == position).all()


def test_labels_agree_with_the_vocabulary():
    known = actions(0)
    assert len(known) == 127
    assert known["action"].is_unique
    assert known["verb_code"].max() < 37
    assert known["noun_code"].max() < 41
    table = phantom(30, 0).table
    rows = known.iloc[table["label"]]
    assert rows["verb_code"].tolist() == table["verb"].tolist()
    assert rows["noun_code"].tolist() == table["noun"].tolist()


def test_a_clip_has_its_targets_and_the_shape_asked_for():
    case = phantom(2, 1, size=40, n_frames=5, **SMALL)[3]
    assert case.image.shape == (3, 5, 40, 40)
    assert set(case.target) == {"label", "verb", "noun"}
    assert all(type(value) is int for value in case.target.values())
    assert case.info["path"].shape == (5, 2)


@pytest.mark.parametrize("verb", range(0, 36, 2))
def test_the_second_verb_of_a_pair_is_the_first_played_backwards(verb):
    row = phantom(1, 2, **STEADY).table.iloc[0].to_dict()
    forwards = render({**row, "verb": verb}, size=32, n_frames=6).image
    backwards = render({**row, "verb": verb + 1}, size=32, n_frames=6).image
    np.testing.assert_allclose(forwards[:, ::-1], backwards, atol=1e-6)
    assert np.abs(forwards - backwards).max() > 0.1


def test_palpate_is_its_own_reverse():
    row = phantom(1, 2, **STEADY).table.iloc[0].to_dict()
    clip = render({**row, "verb": 36}, size=32, n_frames=6).image
    np.testing.assert_allclose(clip[:, ::-1], clip, atol=1e-5)
    assert clip.std(axis=1).max() > 0.1


def test_verbs_and_nouns_have_names_of_their_own_and_look_different():
    names = {scenes.verb_name(verb, 37) for verb in range(37)}
    assert len(names) == 37
    assert len({scenes.noun_name(noun) for noun in range(42)}) == 42
    row = phantom(1, 3, **STEADY).table.iloc[0].to_dict()
    clips = [render({**row, "verb": verb}, size=32, n_frames=6).image for verb in range(37)]
    tools = [render({**row, "noun": noun}, size=32, n_frames=6).image for noun in range(42)]
    for shown in (clips, tools):
        gaps = [np.abs(a - b).max() for k, a in enumerate(shown) for b in shown[:k]]
        assert min(gaps) > 0.1


def test_the_path_of_the_picture_is_where_the_wound_is():
    for case in phantom(1, 4, size=64, clutter=0.0, noise=0.0, jitter=6.0)[:4]:
        for frame, (dy, dx) in zip(range(8), case.info["path"], strict=True):
            y, x = round(2 * (17 + dy)), round(2 * (16 + dx))
            red, green, _ = case.image[:, frame, y - 3 : y + 3, x - 3 : x + 3].mean(axis=(1, 2))
            # dark red, unless a tool or a hand lies over it
            if case.target["verb"] % 12 not in (2, 3, 10, 11) and case.target["verb"] != 36:
                assert red > 1.5 * green


def test_jitter_moves_the_picture_and_its_null_keeps_it_in_place():
    def spread(value):
        return np.stack([case.info["path"] for case in phantom(3, 5, size=24, jitter=value)])

    assert not spread(0.0).any()
    assert np.abs(spread(4.0)).max() <= 4
    assert spread(4.0).std() == pytest.approx(4 / np.sqrt(3), rel=0.15)
    assert spread(8.0).std() == pytest.approx(2 * spread(4.0).std())
    # it wanders from frame to frame by a small part of its range
    steps = np.diff(spread(4.0), axis=1)
    assert 0.3 < steps.std() < 1.5


def test_arrow_ties_verbs_to_the_direction_of_time_and_its_null_unties_them():
    def wrong(value):
        return phantom(60, 6, arrow=value).table["backwards"].mean()

    assert wrong(1.0) == 0
    assert wrong(0.5) == pytest.approx(0.25, abs=0.04)
    # the reverse of a fair coin is a fair coin: the pair's verbs have the same clips
    assert wrong(0.0) == pytest.approx(0.5, abs=0.05)
    row = phantom(1, 6, **STEADY).table.iloc[0].to_dict()
    swapped = render({**row, "verb": 4, "backwards": True}, size=32, n_frames=6)
    plain = render({**row, "verb": 5, "backwards": False}, size=32, n_frames=6)
    np.testing.assert_array_equal(swapped.image, plain.image)
    assert swapped.target["verb"] == 4


def next_action(value):
    """Accuracy of the most frequent successor of (procedure, action), left out video by video."""
    table = phantom(100, 7, grammar=value).table
    chains = [
        (code, rows["label"].tolist())
        for (code, _), rows in table.groupby(["procedure", "cluster"])
    ]
    counts = defaultdict(Counter)
    for code, steps in chains:
        for a, b in itertools.pairwise(steps):
            counts[code, a][b] += 1
    right = []
    for code, steps in chains:
        own = Counter(itertools.pairwise(steps))
        for a, b in itertools.pairwise(steps):
            left = {c: k - own[a, c] for c, k in counts[code, a].items() if k > own[a, c]}
            right.append(bool(left) and max(left, key=left.get) == b)
    return np.mean(right)


def test_grammar_makes_the_next_action_predictable_and_its_null_does_not():
    none, default, full = next_action(0.0), next_action(0.8), next_action(1.0)
    assert none < 0.15
    assert default == pytest.approx(0.5, abs=0.1)
    assert full > 0.69


def test_tail_makes_rare_actions_rarer():
    def share(value):
        """Share of the clips that belong to the 20 most frequent actions."""
        labels = phantom(200, 8, grammar=0.0, tail=value).table["label"]
        return labels.value_counts(normalize=True).iloc[:20].sum()

    assert share(0.0) < share(0.037) < share(0.1)


def test_frequencies_fall_as_steeply_as_in_the_public_list():
    slopes, tops = [], []
    for seed in range(4):
        counts = phantom(141, seed).table["label"].value_counts()
        slopes.append(np.polyfit(np.arange(len(counts)), np.log(counts.to_numpy()), 1)[0])
        tops.append(counts.iloc[0] / counts.sum())
    # there log counts fall by 0.037 a rank, and the most frequent action has 3.4 % of the clips
    assert np.mean(slopes) == pytest.approx(-0.037, abs=0.01)
    assert np.mean(tops) == pytest.approx(0.034, abs=0.02)


def test_surroundings_part_videos_and_their_null_is_one_room():
    def between(value):
        cases = phantom(8, 9, size=32, surroundings=value, clutter=0.0, **STEADY)
        first = cases.where(cases.table["position"] == 0)
        return np.std([case.image[:, 0, :4].mean(axis=(1, 2)) for case in first], axis=0).mean()

    assert between(0.0) < 0.01 < between(0.5) < between(1.5)


def test_clutter_adds_patches_around():
    def patches(value):
        cases = phantom(20, 10, size=48, clutter=value, surroundings=0.0, **STEADY)
        chosen = cases.where(cases.table["position"] == 0)
        return np.mean([case.image[:, 0, :10].std(axis=(1, 2)).mean() for case in chosen])

    assert patches(0.0) < patches(3.0) < patches(15.0)


def test_boundary_shifts_the_ends_of_clips():
    def shift(value):
        return phantom(40, 11, boundary=value).table[["early", "late"]].to_numpy()

    assert not shift(0.0).any()
    assert shift(0.1).std() == pytest.approx(0.1 / np.sqrt(3), rel=0.1)
    row = phantom(1, 11, **STEADY).table.iloc[0].to_dict() | {"verb": 2}
    exact = render(row, size=32, n_frames=6).image
    late = render({**row, "early": 0.4, "late": 0.4}, size=32, n_frames=6).image
    # the tool is nearer to its goal from the beginning
    assert np.abs(late[:, 0] - exact[:, 3]).mean() < np.abs(late[:, 0] - exact[:, 0]).mean()


def test_noise_is_that_asked_for():
    clean = phantom(1, 12, size=32, noise=0.0)[0].image
    for sd in (0.04, 0.1):
        change = phantom(1, 12, size=32, noise=sd)[0].image - clean
        inside = (clean > 0.3) & (clean < 0.7)
        assert change[inside].std() == pytest.approx(sd, rel=0.05)


def test_two_samples_of_one_grammar_share_their_actions():
    first, second = (phantom(10, seed, grammar_seed=5, **SMALL).table for seed in (1, 2))
    pairs = [set(zip(t["label"], t["verb"], t["noun"], strict=True)) for t in (first, second)]
    assert len(pairs[0] | pairs[1]) == 24
    assert first["label"].tolist() != second["label"].tolist()


def test_bad_arguments_are_refused_by_name():
    for dial in DIALS:
        with pytest.raises(ValueError, match=f"`{dial.name}` must be in"):
            phantom(2, 0, **{dial.name: dial.high + 1})
    with pytest.raises(ValueError, match="`n` must be at least 1"):
        phantom(0, 0)
    with pytest.raises(ValueError, match="`n_verbs` must be at most 37"):
        phantom(1, 0, n_verbs=38)
    with pytest.raises(ValueError, match="`n_nouns` must be at most 42"):
        phantom(1, 0, n_nouns=43)
    with pytest.raises(ValueError, match="`n_frames` at least 2"):
        phantom(1, 0, n_frames=1)
