"""Phantom of annotated emergency procedures: sequences of actions, without pixels.

Stands in for the action lists of Trauma THOMPSON and returns what their reader returns. The
grammar is that of :mod:`common.datasets.trauma_grammar`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from common.datasets import trauma_grammar
from common.datasets.cases import Case, Cases
from common.phantoms import dials, draws
from common.phantoms.dials import Dial

DATASET = "trauma-sequence-phantom"
CLASSES = trauma_grammar.PROCEDURES
KINDS = ("normal", "shortcut", "mistake")
RANGE = (0.0, 1.0)
QUICK = {"n": 141, "anomalies": 30}
_LIST = "the public training list of Trauma THOMPSON (141 videos)"

DIALS: tuple[Dial, ...] = (
    Dial(
        "variability",
        "1",
        1.0,
        0.0,
        3.0,
        "Performers differ more: steps left out, repeated or swapped, other styles, other starts.",
        f"chosen so that distances within and between procedures come near those of {_LIST}",
        null=0.0,
    ),
    Dial(
        "order",
        "share",
        1.0,
        0.0,
        1.0,
        "More videos keep the order of their steps; the others are shuffled.",
        "real procedures have an order",
        null=0.0,
    ),
    Dial(
        "concurrency",
        "share",
        0.3,
        0.0,
        1.0,
        "More tube thoracostomies and cricothyroidotomies whose two halves are interleaved.",
        "chosen: the two procedures whose averages the experts of the paper rated worst (Table 1)",
        null=0.0,
    ),
    Dial(
        "twins",
        "share",
        0.4,
        0.0,
        0.9,
        "More videos repeat the sequence of an earlier video of their procedure exactly.",
        f"58 of 141 videos have an exact twin in {_LIST}",
        null=0.0,
    ),
)


def actions(seed: int) -> pd.DataFrame:
    """List the actions of a grammar, as the reader of the real lists does.

    Args:
        seed: seed of the grammar.

    Returns:
        One row an action, in the order of its code from 0: action (``v03 n11``), verb, noun,
        verb_code, noun_code.
    """
    grammar = trauma_grammar.make(seed)
    verb, noun = grammar.words.T
    table = pd.DataFrame({"verb": [f"v{k:02d}" for k in verb], "noun": [f"n{k:02d}" for k in noun]})
    table.insert(0, "action", table["verb"] + " " + table["noun"])
    return table.assign(verb_code=verb, noun_code=noun)


def draw(
    n: int,
    seed: int,
    *,
    anomalies: int,
    grammar_seed: int,
    variability: float,
    order: float,
    concurrency: float,
    twins: float,
) -> pd.DataFrame:
    """Draw the sequence of every video; arguments as in :func:`phantom`.

    Returns:
        One row per video: case, cluster, label, kind (place in :data:`KINDS`), style, performance
        (the video whose sequence it repeats, or itself), source (of an anomaly), steps (codes,
        parted by blanks), verbs, nouns, seed.

    Raises:
        ValueError: there is no video, or the number of anomalies is negative.
    """
    if n < 1:
        raise ValueError(f"`n` must be at least 1, got {n!r}. Raise it.")
    if anomalies < 0:
        raise ValueError(f"`anomalies` must be 0 or more, got {anomalies!r}. Raise it.")
    grammar = trauma_grammar.make(grammar_seed, variability=variability)
    rng = draws.stream(seed, DATASET, "videos")
    label = draws.classes(n, trauma_grammar.VIDEOS, rng)
    rows: list[dict[str, Any]] = []
    for k, kind in enumerate(label.tolist()):
        name = f"v{k:04d}"
        own = np.random.default_rng([seed, 1, k])
        earlier = [row for row in rows if row["label"] == kind]
        row = {"case": name, "cluster": name, "label": kind, "kind": 0}
        if earlier and own.random() < twins:
            twin = earlier[int(own.integers(len(earlier)))]
            row |= {key: twin[key] for key in ("style", "performance", "source", "steps")}
        else:
            style = int(own.integers(trauma_grammar.N_STYLES))
            procedure = grammar.procedures[kind]
            steps = trauma_grammar.perform(
                procedure, style, variability=variability, concurrency=concurrency, rng=own
            )
            if own.random() >= order:
                steps = tuple(own.permutation(steps).tolist())
            row |= {"style": style, "performance": name, "source": name, "steps": steps}
        rows.append(row)
    rows += _anomalies(rows, anomalies, grammar, draws.stream(seed, DATASET, "anomalies"))
    for row in rows:
        words = grammar.words[list(row["steps"])]
        row["verbs"], row["nouns"] = (" ".join(map(str, column)) for column in words.T)
        row["steps"] = " ".join(map(str, row["steps"]))
    return pd.DataFrame(rows).assign(seed=draws.case_seeds(len(rows), rng))


def _anomalies(
    rows: list[dict[str, Any]],
    n: int,
    grammar: trauma_grammar.Grammar,
    rng: np.random.Generator,
) -> list[dict[str, Any]]:
    """Make n shortcuts and n mistakes out of normal videos, which stay their clusters."""
    found = []
    for kind in (1, 2):
        for k in range(n):
            origin = rows[int(rng.integers(len(rows)))]
            procedure = grammar.procedures[origin["label"]]
            if kind == 1:
                steps = trauma_grammar.shortcut(origin["steps"], rng)
            else:
                others = sorted(set(range(len(grammar.words))) - set(procedure.actions))
                steps = trauma_grammar.mistake(origin["steps"], procedure, others, rng)
            name = f"{KINDS[kind]}-{k:03d}"
            changed = {"case": name, "kind": kind, "performance": name, "steps": steps}
            found.append({**origin, **changed, "source": origin["case"]})
    return found


def render(row: Mapping[str, Any]) -> Case:
    """Turn a row into a case; only the lengths of the clips are drawn here.

    Args:
        row: from :func:`draw`.

    Returns:
        No image; targets ``label`` (procedure), ``sequence``, ``verbs``, ``nouns`` (n,) int64
        codes, ``frames`` (n,) int64, the length of each clip, and ``kind`` (place in
        :data:`KINDS`); info: ``style``, ``performance``, ``source``.
    """
    codes = {name: np.array(row[name].split(), np.int64) for name in ("steps", "verbs", "nouns")}
    rng = np.random.default_rng(int(row["seed"]))
    # measured: median of 100 frames, 5 % below 50 and 5 % above 450
    frames = np.maximum(8, np.round(100 * np.exp(0.67 * rng.standard_normal(len(codes["steps"])))))
    target = {
        "label": int(row["label"]),
        "sequence": codes["steps"],
        "verbs": codes["verbs"],
        "nouns": codes["nouns"],
        "frames": frames.astype(np.int64),
        "kind": int(row["kind"]),
    }
    info = {name: row[name] for name in ("style", "performance", "source")}
    return Case(row["case"], row["cluster"], None, target, info=info)


def phantom(
    n: int,
    seed: int,
    *,
    anomalies: int = 0,
    grammar_seed: int | None = None,
    variability: float = 1.0,
    order: float = 1.0,
    concurrency: float = 0.3,
    twins: float = 0.4,
) -> Cases:
    """Generate the action sequences of ``n`` videos.

    1. five procedures with 51, 48, 38, 23 and 18 actions of 124, three styles each, see
       :func:`common.datasets.trauma_grammar.make` (sizes measured on the public list);
    2. videos in the measured proportions 29 : 27 : 24 : 30 : 31, each a performance of one style,
       see :func:`common.datasets.trauma_grammar.perform`;
    3. with probability ``twins`` a video repeats an earlier one of its procedure (58 of 141);
    4. clip lengths 100 exp(0.67 z) frames (measured median 100, 5 to 95 % from 50 to 450);
    5. anomalies, made from normal videos: a shortcut has no repeats and up to two steps less, a
       mistake 20 to 40 % of its steps wrong, foreign or out of order.

    Args:
        n: normal videos; each is one case and its own cluster. Twins share ``performance`` in the
            table, by which they are to be grouped where a copy must not help.
        seed: seed of everything drawn.
        anomalies: shortcuts, and as many mistakes, added to the normal videos; each belongs to the
            cluster of the video it was made from.
        grammar_seed: seed of the procedures; ``seed`` by default. Give one to draw more videos of
            the same procedures.
        variability: how much performers differ.
        order: share of videos that keep the order of their steps.
        concurrency: share of the two concurrent procedures' videos with interleaved halves.
        twins: probability that a video repeats an earlier one.

    Returns:
        Cases without image; targets as those of :mod:`common.datasets.ttd_annotations`, and
        ``kind``.

    Raises:
        ValueError: a dial is outside its range, or ``n`` or ``anomalies`` is not possible.
    """
    turned = {
        "variability": variability,
        "order": order,
        "concurrency": concurrency,
        "twins": twins,
    }
    dials.check(DIALS, turned)
    grammar = seed if grammar_seed is None else grammar_seed
    return Cases(draw(n, seed, anomalies=anomalies, grammar_seed=grammar, **turned), render)
