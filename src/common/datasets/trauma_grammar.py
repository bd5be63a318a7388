"""The grammar of simulated emergency procedures: what is done, in which order, and how it varies.

Shared by the phantom of action sequences and the phantom of videos. Verbs and nouns are numbers;
nothing is taken from recorded sequences but their lengths and the sizes of their vocabularies.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.phantoms import draws

# measured on the training list of Trauma THOMPSON's release of 2025: 141 videos, 2,477 clips
PROCEDURES = (
    "cricothyroidotomy",
    "tube thoracostomy",
    "intraosseous insertion",
    "needle thoracostomy",
    "tourniquet",
)
VIDEOS = (29, 27, 24, 30, 31)
ACTIONS = (51, 48, 38, 23, 18)
N_ACTIONS = 124
# steps of a plain performance, below the measured medians of 23, 27, 21, 10.5 and 8 by repeats
LENGTHS = (22, 24, 21, 11, 8)
# chosen so that repeated steps come near the measured means of 2.1, 7.1, 1.9, 0.8 and 0.9
REPEATS = (0.08, 0.25, 0.08, 0.05, 0.06)
# steps of preparation that a procedure shares with the others; a tourniquet shares none
PREPARATION = (7, 7, 5, 3, 0)
CONCURRENT = (True, True, False, False, False)
N_STYLES = 3

Steps = tuple[int, ...]


@dataclass(frozen=True)
class Procedure:
    """One procedure.

    Args:
        name: as in :data:`PROCEDURES`.
        actions: codes of all actions that may occur in it.
        styles: three ways of performing it, each a sequence of action codes.
        preparation: how many first steps of each style are preparation.
        repeat: probability that a step is repeated.
        concurrent: whether two parts of it may be interleaved.
    """

    name: str
    actions: Steps
    styles: tuple[Steps, ...]
    preparation: int
    repeat: float
    concurrent: bool


@dataclass(frozen=True)
class Grammar:
    """The procedures and their words.

    Args:
        words (actions, 2): codes of verb and noun of each action.
        procedures: in the order of :data:`PROCEDURES`.
    """

    words: NDArray[np.int64]
    procedures: tuple[Procedure, ...]


def make(
    seed: int,
    *,
    variability: float = 1.0,
    n_verbs: int = 14,
    n_nouns: int = 42,
    n_actions: int = N_ACTIONS,
) -> Grammar:
    """Make the procedures.

    1. vocabulary: each procedure has its share of the actions (51, 48, 38, 23 and 18 of 124), pairs
       of a verb and one of its own nouns (about 0.6 of its steps); the first four share a
       preparation in fixed order (7, 7, 5 and 3 steps), and they share more actions until all
       together are ``n_actions``; the tourniquet shares none;
    2. steps: after the preparation actions of its own, each once as far as they suffice, then in
       the same order again (22, 24, 21, 11 and 8 steps);
    3. styles: the first is plain; in the others each step after the preparation is replaced by
       another action of the procedure with probability 0.1 times ``variability``.

    Args:
        seed: seed of the grammar.
        variability: how much styles differ; 0 for one style only.
        n_verbs: verbs.
        n_nouns: nouns.
        n_actions: actions of all procedures together, about; few make steps recur.

    Raises:
        ValueError: there are too few verbs, nouns or actions.

    Example:
        >>> grammar = make(0)
        >>> [len(p.styles[0]) for p in grammar.procedures], len(grammar.words)
        ([22, 24, 21, 11, 8], 124)
    """
    for name, value, least in (("n_verbs", n_verbs, 2), ("n_nouns", n_nouns, 5)):
        if value < least:
            raise ValueError(f"`{name}` must be at least {least}, got {value!r}. Raise it.")
    # a procedure draws its pairs from few nouns, which must not run out
    most = 2 * n_verbs * n_nouns // 5
    if not 10 <= n_actions <= most:
        raise ValueError(
            f"`n_actions` must be from 10 to two fifths of verbs times nouns ({most}), got "
            f"{n_actions!r}. Change it."
        )
    rng = draws.stream(seed, "trauma-grammar")
    sets, words = _vocabulary(n_verbs, n_nouns, n_actions, rng)
    prepared = _prepared(n_actions)
    procedures = []
    for k, name in enumerate(PROCEDURES):
        own = sets[k][prepared[k] :]
        length = LENGTHS[k]
        rounds = -(-(length - prepared[k]) // len(own))
        later = (rng.permutation(own).tolist() * rounds)[: length - prepared[k]]
        plain = (*sets[k][: prepared[k]], *later)
        styles = [plain]
        for _ in range(N_STYLES - 1):
            swapped = rng.random(length) < 0.1 * variability
            other = rng.choice(own, length)
            swapped[: prepared[k]] = False
            styles.append(tuple(np.where(swapped, other, plain).tolist()))
        procedures.append(
            Procedure(name, tuple(sets[k]), tuple(styles), prepared[k], REPEATS[k], CONCURRENT[k])
        )
    return Grammar(words, tuple(procedures))


def _prepared(n_actions: int) -> list[int]:
    """Give the steps of preparation, fewer where the vocabulary is small."""
    return [round(n * min(1.0, n_actions / N_ACTIONS)) for n in PREPARATION]


def _vocabulary(
    n_verbs: int, n_nouns: int, n_actions: int, rng: np.random.Generator
) -> tuple[list[list[int]], NDArray[np.int64]]:
    """Deal actions to procedures; the shared ones of the preparation come first in each."""
    sizes = [max(2, round(n * n_actions / N_ACTIONS)) for n in ACTIONS]
    prepared = _prepared(n_actions)
    nouns = _nouns(n_nouns, rng)
    used: dict[tuple[int, int], int] = {}

    def new(pool: NDArray[np.int64]) -> int:
        pairs = [(v, int(n)) for n in pool for v in range(n_verbs)]
        free = [pair for pair in pairs if pair not in used]
        return used.setdefault(free[int(rng.integers(len(free)))], len(used))

    # the tourniquet first: whatever the others share, they do not share with it
    last = [new(nouns[-1]) for _ in range(sizes[-1])]
    common = [new(nouns[0]) for _ in range(max(prepared))]
    sets = [common[: prepared[k]] for k in range(len(PROCEDURES) - 1)]
    missing = [k for k in range(len(sets)) for _ in range(sizes[k] - len(sets[k]))]
    fresh = n_actions - len(used)
    for place, k in enumerate(rng.permutation(missing).tolist()):
        others = sorted({a for j, s in enumerate(sets) if j != k for a in s} - set(sets[k]))
        if place < fresh or not others:
            sets[k].append(new(nouns[k]))
        else:
            sets[k].append(int(rng.choice(others)))
    words = np.array(sorted(used, key=used.__getitem__), dtype=np.int64)
    return [*sets, last], words


def _nouns(n_nouns: int, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """Deal nouns to procedures, overlapping but for the tourniquet's own."""
    order = rng.permutation(n_nouns)
    own = max(1, round(n_nouns * 5 / 42))
    rest = order[own:]
    sizes = [max(3, round(0.6 * length * n_nouns / 42)) for length in LENGTHS[:-1]]
    pools = [rng.choice(rest, min(len(rest), size), replace=False) for size in sizes]
    return [*pools, order[:own]]


def perform(
    procedure: Procedure,
    style: int,
    *,
    variability: float,
    concurrency: float = 0.0,
    rng: np.random.Generator,
) -> Steps:
    """Perform a procedure once, with the liberties of an unscripted recording.

    1. with probability ``concurrency``, if the procedure allows it, its later half is begun before
       the first is finished: the two are interleaved at random, each in its own order;
    2. each step is left out with probability 0.07 v, or replaced by any action of the procedure
       with probability 0.05 v, then repeated with that of the procedure times v;
    3. neighbours are swapped with probability 0.04 v;
    4. with probability 0.15 v one to three steps of preparation come first once more;
    5. with probability 0.04 v the recording ends early, after a third of it at the earliest.

    Args:
        procedure: what is performed.
        style: which of its styles.
        variability: v; 0 gives the style itself.
        concurrency: probability of interleaving.
        rng: source of randomness.

    Returns:
        Action codes, at least one.
    """
    steps = list(procedure.styles[style])
    if procedure.concurrent and rng.random() < concurrency:
        steps = interleave(steps, procedure.preparation, rng)
    done: list[int] = []
    for step, (fate, other, again) in zip(steps, rng.random((len(steps), 3)), strict=True):
        if fate < 0.07 * variability:
            continue
        if fate < 0.12 * variability:
            step = procedure.actions[int(other * len(procedure.actions))]
        done += [step] * (2 if again < procedure.repeat * variability else 1)
    done = done or steps[:1]
    for place in np.flatnonzero(rng.random(len(done) - 1) < 0.04 * variability):
        done[place], done[place + 1] = done[place + 1], done[place]
    if procedure.preparation and rng.random() < 0.15 * variability:
        n = int(rng.integers(1, 4))
        done = [*procedure.styles[style][: min(n, procedure.preparation)], *done]
    if rng.random() < 0.04 * variability:
        done = done[: int(rng.integers((len(done) + 2) // 3, len(done) + 1))]
    return tuple(done)


def interleave(steps: Sequence[int], first: int, rng: np.random.Generator) -> list[int]:
    """Interleave the two halves of what follows the first steps, each half in its own order.

    Args:
        steps: action codes.
        first: steps at the beginning that stay.
        rng: source of randomness.
    """
    rest = list(steps[first:])
    half = len(rest) // 2
    turns = np.zeros(len(rest), bool)
    turns[rng.choice(len(rest), half, replace=False)] = True
    one, two = iter(rest[:half]), iter(rest[half:])
    return [*steps[:first], *(next(one) if turn else next(two) for turn in turns)]


def without_repeats(steps: Sequence[int]) -> list[int]:
    """Keep the first of each run of equal steps.

    Example:
        >>> without_repeats([1, 1, 2, 1])
        [1, 2, 1]
    """
    return [step for k, step in enumerate(steps) if k == 0 or step != steps[k - 1]]


def shortcut(steps: Sequence[int], rng: np.random.Generator) -> Steps:
    """Take a shortcut: no repeats, and up to two steps left out but never the last.

    Args:
        steps: a performance.
        rng: source of randomness.
    """
    kept = without_repeats(steps)
    for _ in range(int(rng.integers(0, 3))):
        if len(kept) > 2:
            del kept[int(rng.integers(0, len(kept) - 1))]
    return tuple(kept)


def mistake(
    steps: Sequence[int], procedure: Procedure, others: Sequence[int], rng: np.random.Generator
) -> Steps:
    """Make mistakes in 20 to 40 % of the steps: a wrong action, an order, or a foreign step.

    Args:
        steps: a performance.
        procedure: what was to be performed.
        others: actions of other procedures.
        rng: source of randomness.
    """
    wrong = list(steps)
    n = max(1, round(rng.uniform(0.2, 0.4) * len(wrong)))
    for place in rng.choice(len(wrong), n, replace=False):
        kind = rng.integers(3)
        if kind == 0:
            wrong[place] = int(rng.choice(procedure.actions))
        elif kind == 1:
            wrong[place] = int(rng.choice(others))
        else:
            other = int(rng.integers(len(wrong)))
            wrong[place], wrong[other] = wrong[other], wrong[place]
    return tuple(wrong)
