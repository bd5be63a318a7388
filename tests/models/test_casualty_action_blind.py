"""Blind baselines: worked by hand, never from what is held out, and known limits."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from common.models.casualty_action_blind import (
    BLIND,
    blind_scores,
    contexts,
    design_effect,
    fitted_scores,
    least_evidence,
    previous_actions,
    sequence_names,
)


def steps(sequences, procedures="p"):
    rows = [
        {
            "cluster": f"v{k}",
            "procedure": procedures[k % len(procedures)],
            "position": i,
            "action": a,
        }
        for k, sequence in enumerate(sequences)
        for i, a in enumerate(sequence)
    ]
    return pd.DataFrame(rows)


def guess(table, kind, held_out=None, n=4):
    held_out = table["cluster"].to_numpy(object) if held_out is None else held_out
    return blind_scores(table, kind, held_out=held_out, n_actions=n).argmax(1).tolist()


def test_each_baseline_knows_what_its_name_says():
    table = steps([[0, 1, 2], [0, 1, 3], [0, 2, 1]])
    # held out: v0. The others hold action 0 twice, 1 twice, 2 and 3 once; the first of equals wins
    assert guess(table, "majority")[:3] == [0, 0, 0]
    # place 2 was 3 and 1 in the others: equal there, and 1 is the more frequent of them overall
    assert guess(table, "index")[:3] == [0, 1, 1]
    # after 0 came 1 and 2 in the others, after 1 came 3
    assert guess(table, "previous")[:3] == [0, 1, 3]


def test_nothing_is_learned_from_what_is_held_out():
    table = steps([[0, 0, 0, 0], [1, 1]])
    for kind in BLIND:
        assert guess(table, kind) == [1, 1, 1, 1, 0, 0]


def test_procedures_are_told_apart():
    table = steps([[0, 0], [1, 1], [0, 0], [1, 1]], procedures="pq")
    assert guess(table, "procedure") == table["action"].tolist()


def test_equal_sequences_are_predicted_perfectly_until_their_copies_are_held_out_with_them():
    table = steps([[0, 1, 2, 3]] * 3 + [[3, 3, 3, 3]])
    assert guess(table, "index")[:12] == [0, 1, 2, 3] * 3
    names = sequence_names(table)
    assert len(set(names)) == 2
    assert guess(table, "index", held_out=names)[:12] == [3] * 12


def test_fitting_elsewhere_is_holding_out_the_test_set():
    rng = np.random.default_rng(0)
    table = steps(rng.integers(4, size=(6, 5)).tolist(), procedures="pq")
    train, test = table[table["cluster"] < "v4"], table[table["cluster"] >= "v4"]
    part = np.where(table["cluster"] < "v4", "train", "test")
    whole = blind_scores(table, "previous", held_out=part, n_actions=4)
    found = fitted_scores(train, test, "previous", n_actions=4)
    np.testing.assert_array_equal(found, whole[part == "test"])


def test_the_step_before_does_not_cross_videos_nor_depend_on_the_order_of_rows():
    table = steps([[5, 6, 7], [8, 9]])
    assert previous_actions(table).tolist() == [-1, 5, 6, -1, 8]
    mixed = table.sample(frac=1, random_state=0)
    assert previous_actions(mixed).tolist() == [
        previous_actions(table).tolist()[i] for i in mixed.index
    ]
    with pytest.raises(ValueError, match="`kind` must be one of majority, procedure"):
        contexts(table, "next")


def test_least_evidence_is_the_first_count_beyond_the_level():
    for n, blind in ((204, 0.0828), (242, 0.3), (20, 0.5)):
        k = round(least_evidence(n, blind) * n)
        assert stats.binom.sf(k - 1, n, blind) < 0.05 <= stats.binom.sf(k - 2, n, blind)


def test_clusters_raise_what_is_evidence_and_few_leave_none():
    values = [least_evidence(240, 0.4, design_effect=effect) for effect in (1, 4, 12)]
    assert values == sorted(values)
    assert values[0] < values[-1]
    assert least_evidence(2, 0.9) > 1
    with pytest.raises(ValueError, match="`blind` in"):
        least_evidence(10, 0.0)


def test_the_design_effect_of_equal_answers_is_the_cluster_size_and_of_independent_ones_near_1():
    rng = np.random.default_rng(0)
    alike = np.repeat((rng.random(2000) < 0.4).astype(float), 5)
    assert design_effect(alike, np.repeat(np.arange(2000), 5)) == pytest.approx(5, rel=0.01)
    loose = (rng.random(20_000) < 0.4).astype(float)
    assert design_effect(loose, np.repeat(np.arange(4000), 5)) == pytest.approx(1, abs=0.08)
    assert design_effect(np.ones(4), np.arange(4)) == 1
