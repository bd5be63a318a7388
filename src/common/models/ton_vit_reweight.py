"""Re-weighting action probabilities by the procedure that a graph belongs to.

The paper says that an SVM on graphs can adjust the probabilities of the vision transformer and
gives no formula. Here the probability of a clip is mixed, in logarithms, with that of the next step
in each procedure, weighted by how probable the procedure is.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, logsumexp, softmax

from common.models.ton_vit import Array

LAPLACE = 0.5
BETA = 0.3


def transitions(
    sequences: Sequence[Sequence[int]],
    label: ArrayLike,
    *,
    n_actions: int,
    n_classes: int,
    laplace: float = LAPLACE,
) -> Array:
    """Estimate how probable each action is after each other one, in each procedure.

    Args:
        sequences: action codes of the training videos.
        label (n,): procedures.
        n_actions: actions; the code ``n_actions`` stands for the start.
        n_classes: procedures.
        laplace: added to every count.

    Returns:
        (classes, actions + 1, actions), each row sums to 1.

    Example:
        >>> table = transitions([[0, 1]], [0], n_actions=2, n_classes=1, laplace=1.0)
        >>> table[0, 0].round(2).tolist(), table[0, 2].round(2).tolist()    # after 0; at the start
        ([0.33, 0.67], [0.67, 0.33])
    """
    counts = np.full((n_classes, n_actions + 1, n_actions), laplace)
    for sequence, c in zip(sequences, np.asarray(label), strict=True):
        for before, after in zip([n_actions, *sequence], sequence, strict=False):
            counts[c, before, after] += 1
    return counts / counts.sum(axis=2, keepdims=True)


def prior(table: Array, procedure: ArrayLike) -> Array:
    """Mix the transitions of the procedures by their probabilities.

    Args:
        table (classes, actions + 1, actions): from :func:`transitions`.
        procedure (classes,): probabilities.

    Returns:
        (actions + 1, actions).
    """
    return np.tensordot(np.asarray(procedure, dtype=np.float64), table, axes=1)


def reweight(log_p: Array, step: Array, *, beta: float = BETA) -> Array:
    """Adjust the probabilities of the clips of one video, one after the other.

    p'(a_t) is proportional to p(a_t)^(1 - beta) times P(a_t | a_(t-1))^beta, where a_(t-1) is not
    known and is averaged over its own adjusted probabilities.

    Args:
        log_p (T, actions): logarithms of the probabilities that the network gives.
        step (actions + 1, actions): from :func:`prior`.
        beta: weight of the prior; 0 leaves the network as it is, 1 never looks at the clip.

    Returns:
        (T, actions) logarithms of the adjusted probabilities.

    Raises:
        ValueError: ``beta`` is not in [0, 1].

    Example:
        >>> even = np.log(np.full((1, 2), 0.5))
        >>> table = transitions([[0, 1]], [0], n_actions=2, n_classes=1, laplace=1.0)
        >>> np.exp(reweight(even, table[0], beta=1.0)).round(2).tolist()
        [[0.67, 0.33]]
    """
    if not 0 <= beta <= 1:
        raise ValueError(f"`beta` must be from 0 to 1, got {beta!r}. Choose a weight.")
    before = np.zeros(len(step))
    before[-1] = 1.0
    found = np.empty_like(log_p)
    for t, own in enumerate(log_p):
        found[t] = log_softmax((1 - beta) * own + beta * np.log(before @ step))
        before = np.append(np.exp(found[t]), 0.0)
    return found


def viterbi(log_p: Array, step: Array, *, beta: float = BETA) -> NDArray[np.int64]:
    """Find the sequence of actions that is most probable as a whole, with the same weights.

    Args:
        log_p (T, actions): logarithms of the probabilities that the network gives.
        step (actions + 1, actions): from :func:`prior`.
        beta: weight of the prior.

    Returns:
        (T,) action codes.
    """
    own, move = (1 - beta) * log_p, beta * np.log(step)
    best = own[0] + move[-1]
    back = np.zeros(log_p.shape, dtype=np.int64)
    for t in range(1, len(own)):
        ways = best[:, None] + move[:-1]
        back[t] = ways.argmax(axis=0)
        best = ways.max(axis=0) + own[t]
    path = [int(best.argmax())]
    for t in range(len(own) - 1, 0, -1):
        path.append(int(back[t, path[-1]]))
    return np.array(path[::-1], dtype=np.int64)


def temperature(scores: Array, label: ArrayLike) -> float:
    """Choose the temperature that makes scores the best probabilities of the true classes.

    Args:
        scores (n, classes): of an SVM, on cases that it was not trained with.
        label (n,): true classes.

    Returns:
        T of softmax(scores / T), between 0.01 and 10, with the smallest mean log loss.

    Source:
        Guo et al., ICML 2017.
    """
    truth = np.asarray(label)

    def loss(log_t: float) -> float:
        scaled = scores / np.exp(log_t)
        right = scaled[np.arange(len(truth)), truth]
        return float(np.mean(logsumexp(scaled, axis=1) - right))

    found = minimize_scalar(loss, bounds=(np.log(0.01), np.log(10.0)), method="bounded")
    return float(np.exp(found.x))


def probabilities(scores: Array, t: float) -> Array:
    """Turn scores into probabilities, softmax(scores / t) along the last axis."""
    return np.asarray(softmax(scores / t, axis=-1))


def joint_log_probability(verb: Array, noun: Array, words: ArrayLike) -> Array:
    """Give every known action the product of its verb's and its noun's probability.

    Args:
        verb (n, verbs): logits.
        noun (n, nouns): logits.
        words (actions, 2): codes of verb and noun of each action.

    Returns:
        (n, actions) logarithms, normalised over the known actions.

    Example:
        >>> words = [[0, 0], [1, 1]]
        >>> p = joint_log_probability(np.log([[0.8, 0.2]]), np.log([[0.5, 0.5]]), words)
        >>> np.exp(p).round(2).tolist()
        [[0.8, 0.2]]
    """
    pairs = np.asarray(words)
    both = log_softmax(verb, axis=1)[:, pairs[:, 0]] + log_softmax(noun, axis=1)[:, pairs[:, 1]]
    return np.asarray(log_softmax(both, axis=1))
