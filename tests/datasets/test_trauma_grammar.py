import itertools

import numpy as np
import pytest

from common.datasets import trauma_grammar as grammar


def test_procedures_have_the_measured_vocabularies_and_lengths():
    made = grammar.make(0)
    assert [len(set(p.actions)) for p in made.procedures] == list(grammar.ACTIONS)
    assert [len(p.styles[0]) for p in made.procedures] == list(grammar.LENGTHS)
    assert len(made.words) == grammar.N_ACTIONS
    assert len(np.unique(made.words, axis=0)) == grammar.N_ACTIONS
    assert made.words.max(axis=0) + 1 == pytest.approx([14, 42], abs=2)


def test_four_procedures_share_their_preparation_and_the_tourniquet_shares_nothing():
    *four, tourniquet = grammar.make(1).procedures
    longest = four[0].styles[0][:7]
    for procedure, n in zip(four, (7, 7, 5, 3), strict=True):
        assert all(style[:n] == longest[:n] for style in procedure.styles)
    others = {action for procedure in four for action in procedure.actions}
    assert others.isdisjoint(tourniquet.actions)


def test_styles_differ_in_about_10_percent_of_later_steps_and_not_at_variability_0():
    changed = []
    for seed in range(30):
        procedure = grammar.make(seed).procedures[1]
        plain, *others = (np.array(style[7:]) for style in procedure.styles)
        changed += [(style != plain).mean() for style in others]
    # one replacement in 41 is the step itself
    assert np.mean(changed) == pytest.approx(0.1 * 40 / 41, abs=0.025)
    still = grammar.make(0, variability=0.0).procedures
    assert all(len(set(procedure.styles)) == 1 for procedure in still)


def test_in_a_small_vocabulary_steps_recur_in_the_same_order():
    made = grammar.make(0, n_verbs=8, n_nouns=8, n_actions=24)
    assert len(made.words) == 24
    assert made.words.max() < 8
    for procedure, length in zip(made.procedures, grammar.LENGTHS, strict=True):
        plain = procedure.styles[0][procedure.preparation :]
        assert set(plain) <= set(procedure.actions)
        assert len(procedure.styles[0]) == length
        assert len(set(itertools.pairwise(plain))) <= len(set(plain))


def test_a_scripted_performance_is_its_style():
    procedure = grammar.make(0).procedures[0]
    rng = np.random.default_rng(0)
    for style in range(3):
        done = grammar.perform(procedure, style, variability=0.0, rng=rng)
        assert done == procedure.styles[style]


def test_performances_repeat_and_leave_out_steps_at_the_stated_rates():
    procedure = grammar.make(0).procedures[1]
    rng = np.random.default_rng(0)
    lengths = [len(grammar.perform(procedure, 0, variability=1.0, rng=rng)) for _ in range(2000)]
    # 24 steps x 0.93 x 1.25, two steps of preparation in 15 %, a third lost in 4 %
    expected = (24 * 0.93 * 1.25 + 0.15 * 2) * (1 - 0.04 / 3)
    assert np.mean(lengths) == pytest.approx(expected, rel=0.02)


def test_interleaving_keeps_each_half_in_order():
    rng = np.random.default_rng(0)
    mixed = [grammar.interleave(range(12), 2, rng) for _ in range(20)]
    for steps in mixed:
        assert steps[:2] == [0, 1]
        assert sorted(steps) == list(range(12))
        assert [s for s in steps if 2 <= s < 7] == list(range(2, 7))
        assert [s for s in steps if s >= 7] == list(range(7, 12))
    assert len({tuple(steps) for steps in mixed}) > 10


def test_only_concurrent_procedures_are_interleaved():
    procedures = grammar.make(0).procedures
    rng = np.random.default_rng(0)
    changed = [
        grammar.perform(p, 0, variability=0.0, concurrency=1.0, rng=rng) != p.styles[0]
        for p in procedures
    ]
    assert changed == [True, True, False, False, False]


def test_a_shortcut_is_shorter_and_a_mistake_changes_20_to_40_percent():
    procedure = grammar.make(0).procedures[1]
    steps = procedure.styles[0]
    repeated = [step for step in steps for _ in range(2)]
    rng = np.random.default_rng(0)
    for _ in range(50):
        short = grammar.shortcut(repeated, rng)
        assert len(steps) - 2 <= len(short) <= len(steps)
        assert short[-1] == steps[-1]
        wrong = grammar.mistake(steps, procedure, [999], rng)
        assert len(wrong) == len(steps)
    changes = [
        np.mean(np.array(grammar.mistake(steps, procedure, [999], rng)) != steps)
        for _ in range(300)
    ]
    # an exchange touches two steps, an action may be replaced by itself
    assert 0.2 < np.mean(changes) < 0.5
    assert max(changes) <= 0.8


def test_too_few_words_are_refused():
    with pytest.raises(ValueError, match="`n_verbs` must be at least 2"):
        grammar.make(0, n_verbs=1)
    with pytest.raises(ValueError, match="`n_nouns` must be at least 5"):
        grammar.make(0, n_nouns=4)
    with pytest.raises(ValueError, match="`n_actions` must be from 10"):
        grammar.make(0, n_verbs=5, n_nouns=5, n_actions=11)
