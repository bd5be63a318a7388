"""Re-weighting: limits of the weight, a sum over all paths, and probabilities that add up."""

import itertools

import numpy as np
import pytest

from common.models import ton_vit_reweight as reweighting


@pytest.fixture(scope="module")
def toy():
    rng = np.random.default_rng(3)
    log_p = np.log(rng.dirichlet(np.ones(3), 4))
    table = reweighting.transitions(
        [[0, 1, 2], [0, 1, 1], [2, 0]], [0, 0, 1], n_actions=3, n_classes=2
    )
    return log_p, table


def test_transitions_are_counts_with_half_a_count_added(toy):
    _, table = toy
    np.testing.assert_allclose(table.sum(axis=2), 1)
    # procedure 0, after action 0: twice action 1 of two
    np.testing.assert_allclose(table[0, 0], [0.5 / 3.5, 2.5 / 3.5, 0.5 / 3.5])
    # procedure 1 starts with action 2 once
    np.testing.assert_allclose(table[1, 3], [0.2, 0.2, 0.6])
    np.testing.assert_allclose(
        reweighting.prior(table, [0.25, 0.75]), 0.25 * table[0] + 0.75 * table[1]
    )


def test_no_weight_leaves_the_network_alone_and_full_weight_never_looks(toy):
    log_p, table = toy
    np.testing.assert_allclose(reweighting.reweight(log_p, table[0], beta=0.0), log_p)
    blind = reweighting.reweight(log_p, table[0], beta=1.0)
    np.testing.assert_allclose(blind, reweighting.reweight(log_p[::-1], table[0], beta=1.0))
    np.testing.assert_allclose(np.exp(blind[0]), table[0, 3])
    np.testing.assert_allclose(np.exp(blind[1]), table[0, 3] @ table[0, :3])
    with pytest.raises(ValueError, match="from 0 to 1"):
        reweighting.reweight(log_p, table[0], beta=1.5)


def test_adjusted_probabilities_follow_the_formula_and_sum_to_one(toy):
    log_p, table = toy
    found = reweighting.reweight(log_p, table[0], beta=0.3)
    np.testing.assert_allclose(np.exp(found).sum(axis=1), 1)
    first = np.exp(0.7 * log_p[0]) * table[0, 3] ** 0.3
    np.testing.assert_allclose(np.exp(found[0]), first / first.sum())


def test_viterbi_finds_the_best_of_all_sequences(toy):
    log_p, table = toy
    for beta in (0.0, 0.3, 0.9):

        def score(path, beta=beta):
            before = [3, *path]
            own = sum(log_p[t, a] for t, a in enumerate(path))
            move = sum(np.log(table[0][before[t], a]) for t, a in enumerate(path))
            return (1 - beta) * own + beta * move

        best = max(itertools.product(range(3), repeat=4), key=score)
        assert tuple(reweighting.viterbi(log_p, table[0], beta=beta)) == best


def test_the_temperature_undoes_a_known_factor():
    rng = np.random.default_rng(4)
    logits = rng.standard_normal((4000, 3)) * 2
    label = np.array([rng.choice(3, p=row) for row in reweighting.probabilities(logits, 1.0)])
    assert reweighting.temperature(5 * logits, label) == pytest.approx(5, rel=0.1)


def test_an_action_is_a_verb_and_a_noun_among_the_known_pairs():
    verb, noun = np.log([[0.7, 0.3]]), np.log([[0.6, 0.4]])
    found = np.exp(reweighting.joint_log_probability(verb, noun, [[0, 0], [0, 1], [1, 1]]))
    np.testing.assert_allclose(found, np.array([[0.42, 0.28, 0.12]]) / 0.82)
