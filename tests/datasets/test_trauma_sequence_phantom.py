from collections import Counter

import numpy as np
import pytest

from common.datasets.trauma_sequence_phantom import CLASSES, DIALS, KINDS, actions, phantom


def vectors(cases):
    """Unit vectors of the ordinal matrices of the multi-edge graph of verbs and nouns."""
    edges, found = {}, []
    for case in cases:
        count, before, ordinals = Counter(), "start", {}
        words = zip(*(case.target[k] for k in ("sequence", "verbs", "nouns")), strict=True)
        for step, verb, noun in words:
            count[step] += 1
            node = ("verb", verb, count[step])
            for edge in ((before, node), (node, ("noun", noun))):
                ordinals[edge] = len(ordinals) + 1
            before = ("noun", noun)
        found.append(ordinals)
        for edge in ordinals:
            edges.setdefault(edge, len(edges))
    table = np.zeros((len(found), len(edges)))
    for row, ordinals in zip(table, found, strict=True):
        row[[edges[edge] for edge in ordinals]] = list(ordinals.values())
    return table / np.linalg.norm(table, axis=1, keepdims=True)


def distances(cases):
    """Distances of pairs within a procedure, and between procedures."""
    unit = vectors(cases)
    label = np.array([case.target["label"] for case in cases])
    pairs = np.triu_indices(len(label), 1)
    distance = np.sqrt(np.maximum(2 - 2 * unit @ unit.T, 0))[pairs]
    same = (label[:, None] == label)[pairs]
    return distance[same], distance[~same]


def test_videos_of_each_procedure_are_as_many_as_in_the_public_list():
    table = phantom(141, 0).table
    assert table["label"].value_counts().sort_index().tolist() == [29, 27, 24, 30, 31]
    assert (table["case"] == table["cluster"]).all()
    assert len(CLASSES) == 5


def test_targets_are_those_of_the_reader_and_agree_with_the_vocabulary():
    known = actions(3)
    assert list(known.columns) == ["action", "verb", "noun", "verb_code", "noun_code"]
    assert known.loc[0, "action"] == f"{known.loc[0, 'verb']} {known.loc[0, 'noun']}"
    for case in phantom(20, 3):
        target = case.target
        assert case.image is None
        assert set(target) == {"label", "sequence", "verbs", "nouns", "frames", "kind"}
        names = ("sequence", "verbs", "nouns", "frames")
        assert {target[name].shape for name in names} == {(len(target["sequence"]),)}
        assert {target[name].dtype for name in names} == {np.dtype(np.int64)}
        rows = known.iloc[target["sequence"]]
        assert rows["verb_code"].tolist() == target["verbs"].tolist()
        assert rows["noun_code"].tolist() == target["nouns"].tolist()


def test_lengths_repeats_and_frames_are_near_those_measured():
    cases = list(phantom(400, 1))
    repeats = [[] for _ in CLASSES]
    lengths = [[] for _ in CLASSES]
    for case in cases:
        steps = case.target["sequence"]
        lengths[case.target["label"]].append(len(steps))
        repeats[case.target["label"]].append(len(steps) - len(set(steps)))
    assert [np.median(n) for n in lengths] == pytest.approx([23, 27, 21, 10.5, 8], abs=2.5)
    assert [np.mean(n) for n in repeats] == pytest.approx([2.1, 7.1, 1.9, 0.8, 0.9], abs=1.5)
    frames = np.concatenate([case.target["frames"] for case in cases])
    assert np.median(frames) == pytest.approx(100, rel=0.05)
    # the measured 5 to 95 % run from 50 to 450; a log-normal is symmetric and gives 33 to 300
    assert np.quantile(frames, [0.05, 0.95]) == pytest.approx([33, 300], rel=0.1)


def test_distances_are_near_those_of_the_public_list():
    found = [distances(phantom(141, seed)) for seed in range(3)]
    assert np.mean([np.median(within) for within, _ in found]) == pytest.approx(0.88, abs=0.1)
    assert np.mean([within.max() for within, _ in found]) == pytest.approx(1.387, abs=0.06)
    assert np.mean([np.median(between) for _, between in found]) == pytest.approx(1.414, abs=0.02)
    # no threshold parts the procedures
    assert all(within.max() > between.min() for within, between in found)


def test_variability_spreads_performances_and_at_its_null_a_threshold_parts_procedures():
    means, gaps = [], []
    for value in (0.0, 0.3, 1.0, 2.0):
        within, between = distances(phantom(80, 2, variability=value, concurrency=0.0, twins=0.0))
        means.append(within.mean())
        gaps.append(between.min() - within.max())
    assert means[0] == pytest.approx(0, abs=1e-6)
    assert means == sorted(means)
    assert gaps[0] > 1
    assert gaps[2] < 0.1


def test_order_is_kept_and_its_null_leaves_none():
    def forward(value):
        """Share of pairs of steps whose order is that of the plain style, most frequent order."""
        cases = [c for c in phantom(150, 4, order=value, twins=0.0) if c.target["label"] == 1]
        before = Counter()
        for case in cases:
            steps = list(dict.fromkeys(case.target["sequence"].tolist()))
            before.update((a, b) for k, a in enumerate(steps) for b in steps[k + 1 :])
        pairs = [(a, b) for a, b in before if a < b and before[a, b] + before[b, a] > 15]
        return np.mean(
            [max(before[p], before[p[::-1]]) / (before[p] + before[p[::-1]]) for p in pairs]
        )

    assert forward(0.0) < 0.65 < forward(0.5) < forward(1.0)


def test_concurrency_interleaves_the_two_concurrent_procedures_only():
    def spread(value):
        given = {"variability": 0.0, "twins": 0.0, "concurrency": value}
        cases = list(phantom(100, 5, **given))
        return [
            np.mean([distances([a, b])[0][0] for a in group[:8] for b in group[:8] if a is not b])
            for group in ([c for c in cases if c.target["label"] == k] for k in range(5))
        ]

    none, default, all_of_them = spread(0.0), spread(0.3), spread(1.0)
    assert none == pytest.approx([0] * 5, abs=1e-6)
    assert 0 < default[0] < all_of_them[0]
    assert 0 < default[1] < all_of_them[1]
    assert all_of_them[2:] == pytest.approx([0] * 3, abs=1e-6)


def test_twins_repeat_a_sequence_and_the_null_draws_each_anew():
    def twins(value):
        return (lambda t: (t["performance"] != t["case"]).mean())(
            phantom(300, 6, twins=value).table
        )

    assert twins(0.0) == 0
    # the first of each procedure has nobody to repeat
    assert twins(0.4) == pytest.approx(0.4 * 295 / 300, abs=0.08)
    assert twins(0.8) == pytest.approx(0.8 * 295 / 300, abs=0.08)
    table = phantom(60, 6, twins=0.8).table.set_index("case")
    for _, row in table.iterrows():
        assert table.loc[row["performance"], ["steps", "label"]].equals(row[["steps", "label"]])


def test_anomalies_belong_to_the_cluster_of_the_video_they_were_made_from():
    cases = phantom(40, 7, anomalies=25)
    table = cases.table
    assert table["kind"].value_counts().sort_index().tolist() == [40, 25, 25]
    assert table["cluster"].nunique() == 40
    known = table.set_index("case")
    changed = []
    for case in cases.where(table["kind"] > 0):
        origin = known.loc[case.info["source"]]
        assert origin["cluster"] == case.cluster
        assert origin["label"] == case.target["label"]
        steps = [int(step) for step in origin["steps"].split()]
        if KINDS[case.target["kind"]] == "shortcut":
            assert len(case.target["sequence"]) <= len(steps)
        else:
            assert len(case.target["sequence"]) == len(steps)
            changed.append(case.target["sequence"].tolist() != steps)
    # a step may by chance be exchanged with itself
    assert np.mean(changed) > 0.9


def test_two_cohorts_of_one_grammar_share_their_words():
    first, second = (phantom(60, seed, grammar_seed=9, variability=0.0) for seed in (1, 2))
    steps = [{s for row in cases.table["steps"] for s in row.split()} for cases in (first, second)]
    assert steps[0] == steps[1]
    assert first.table["steps"].tolist() != second.table["steps"].tolist()


def test_bad_arguments_are_refused_by_name():
    for dial in DIALS:
        with pytest.raises(ValueError, match=f"`{dial.name}` must be in"):
            phantom(2, 0, **{dial.name: dial.high + 1})
    with pytest.raises(ValueError, match="`n` must be at least 1"):
        phantom(0, 0)
    with pytest.raises(ValueError, match="`anomalies` must be 0 or more"):
        phantom(1, 0, anomalies=-1)
