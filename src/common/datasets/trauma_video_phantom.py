"""Phantom of egocentric videos of emergency care: clips of one action each, verb and noun.

Stands in for Trauma THOMPSON, EPIC-KITCHENS and EGTEA. Half of the verbs differ from the other
half only in the direction of time, and the wearer's head moves the picture, so that only places
relative to each other tell what is done.
"""

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common.datasets import trauma_grammar, trauma_video_phantom_scene as scenes
from common.datasets.cases import Case, Cases
from common.phantoms import dials, draws, noise as sensor
from common.phantoms.dials import Dial

DATASET = "trauma-video-phantom"
CLASSES = trauma_grammar.PROCEDURES
RANGE = (0.0, 1.0)
QUICK = {"n": 24, "size": 32, "n_frames": 6, "n_verbs": 8, "n_nouns": 8, "n_actions": 24}
_LIST = "the public training list of Trauma THOMPSON (2,477 clips)"

DIALS: tuple[Dial, ...] = (
    Dial(
        "jitter",
        "px of 32",
        4.0,
        0.0,
        8.0,
        "The picture moves farther with the wearer's head; places in the frame tell less.",
        "chosen: half of the range over which tools move around the wound",
        null=0.0,
    ),
    Dial(
        "arrow",
        "1",
        1.0,
        0.0,
        1.0,
        "The direction of time tells more often which verb of a pair is done (right in "
        "(1 + arrow) / 2 of the clips).",
        "real actions have a direction",
        null=0.0,
    ),
    Dial(
        "grammar",
        "share",
        0.8,
        0.0,
        1.0,
        "More steps follow the procedure; the others are any of its actions.",
        "chosen so that the step before tells about half of the next ones; in "
        f"{_LIST} it tells 69 %",
        null=0.0,
    ),
    Dial(
        "tail",
        "per rank",
        0.037,
        0.0,
        0.1,
        "Rare actions are rarer among the steps that do not follow the procedure.",
        f"log counts fall by 0.037 a rank in {_LIST}",
        null=0.0,
    ),
    Dial(
        "surroundings",
        "1",
        1.0,
        0.0,
        2.0,
        "Videos differ more in colour, light and texture of what is around.",
        "chosen by eye; no frame of the set was at hand",
        null=0.0,
    ),
    Dial(
        "clutter",
        "per video",
        3.0,
        0.0,
        20.0,
        "More patches lie about that are no tools.",
        "chosen by eye; no frame of the set was at hand",
        null=0.0,
    ),
    Dial(
        "boundary",
        "share",
        0.1,
        0.0,
        0.5,
        "Clips begin and end farther from where the action does.",
        "chosen: annotators differ by a tenth of a clip",
        null=0.0,
    ),
    Dial(
        "noise",
        "1",
        0.04,
        0.0,
        0.3,
        "More sensor noise (sd, image in [0, 1]).",
        "chosen by eye; no frame of the set was at hand",
        null=0.0,
    ),
)


def actions(
    seed: int, *, n_verbs: int = 37, n_nouns: int = 41, n_actions: int = 127
) -> pd.DataFrame:
    """List the actions of a grammar, as the reader of the real lists does.

    Args:
        seed: seed of the grammar.
        n_verbs: verbs.
        n_nouns: nouns.
        n_actions: actions.

    Returns:
        One row an action, in the order of its code from 0: action, verb, noun, verb_code,
        noun_code.
    """
    grammar = trauma_grammar.make(seed, n_verbs=n_verbs, n_nouns=n_nouns, n_actions=n_actions)
    verb, noun = grammar.words.T
    table = pd.DataFrame(
        {
            "verb": [scenes.verb_name(int(v), n_verbs) for v in verb],
            "noun": [scenes.noun_name(int(k)) for k in noun],
        }
    )
    table.insert(0, "action", table["verb"] + ", " + table["noun"])
    return table.assign(verb_code=verb, noun_code=noun)


def draw(
    n: int,
    seed: int,
    *,
    grammar_seed: int,
    n_verbs: int,
    n_nouns: int,
    n_actions: int,
    jitter: float,
    arrow: float,
    grammar: float,
    tail: float,
    surroundings: float,
    clutter: float,
    boundary: float,
    noise: float,
) -> pd.DataFrame:
    """Draw the clips of every video; arguments as in :func:`phantom`.

    Returns:
        One row per clip: case, cluster (video), procedure, position in the video, label (action),
        verb, noun, follows (whether the step is the procedure's), recorded_frames, backwards,
        lean, early and late (shift of the clip's ends, share), the video's hue, light, texture,
        clutter and scene, seed.

    Raises:
        ValueError: there is no video, or more words are asked for than can be shown.
    """
    if n < 1:
        raise ValueError(f"`n` must be at least 1, got {n!r}. Raise it.")
    for name, value, most in (
        ("n_verbs", n_verbs, scenes.MOST_VERBS),
        ("n_nouns", n_nouns, scenes.MOST_NOUNS),
    ):
        if value > most:
            raise ValueError(f"`{name}` must be at most {most}, got {value!r}. Lower it.")
    made = trauma_grammar.make(grammar_seed, n_verbs=n_verbs, n_nouns=n_nouns, n_actions=n_actions)
    rank = draws.stream(grammar_seed, DATASET, "ranks").permutation(len(made.words))
    weight = np.exp(-tail * rank)
    rng = draws.stream(seed, DATASET, "videos")
    procedure = draws.classes(n, trauma_grammar.VIDEOS, rng)
    rows = []
    for k, code in enumerate(procedure.tolist()):
        own = np.random.default_rng([seed, 2, k])
        steps, follows = _steps(made.procedures[code], grammar, weight, own)
        video = {
            "cluster": f"v{k:04d}",
            "procedure": code,
            "hue": 0.1 + surroundings * own.uniform(-0.5, 0.5),
            "light": np.clip(1 + 0.15 * surroundings * own.standard_normal(), 0.5, 1.4),
            "texture": 0.1 * np.exp(0.5 * surroundings * own.standard_normal()),
            "clutter": int(own.poisson(clutter)),
            # with no differences between surroundings there is one room
            "scene": int(own.integers(2**31)) if surroundings else grammar_seed,
        }
        for position, (step, known) in enumerate(zip(steps, follows, strict=True)):
            clip = {"case": f"v{k:04d}-c{position:02d}", **video, "position": position}
            rows.append({**clip, "label": step, "follows": known})
    table = pd.DataFrame(rows)
    table["verb"], table["noun"] = made.words[table["label"].to_numpy()].T
    rng, m = draws.stream(seed, DATASET, "clips"), len(table)
    table["recorded_frames"] = np.maximum(8, np.round(100 * np.exp(0.67 * rng.standard_normal(m))))
    table["backwards"] = rng.random(m) < (1 - arrow) / 2
    table["lean"] = rng.uniform(-0.25, 0.25, m)
    table["early"], table["late"] = rng.uniform(-boundary, boundary, (2, m))
    return table.assign(jitter=jitter, noise=noise, n_verbs=n_verbs, seed=draws.case_seeds(m, rng))


def _steps(
    procedure: trauma_grammar.Procedure,
    grammar: float,
    weight: NDArray[np.float64],
    rng: np.random.Generator,
) -> tuple[list[int], list[bool]]:
    """Perform a procedure and replace steps by any of its actions, frequent ones more often."""
    style = int(rng.integers(trauma_grammar.N_STYLES))
    steps = trauma_grammar.perform(procedure, style, variability=0.5, rng=rng)
    share = weight[list(procedure.actions)]
    others = rng.choice(procedure.actions, len(steps), p=share / share.sum())
    follows = rng.random(len(steps)) < grammar
    return np.where(follows, steps, others).tolist(), follows.tolist()


def render(row: Mapping[str, Any], *, size: int, n_frames: int) -> Case:
    """Render one clip from its row; see :func:`phantom` for the steps.

    Args:
        row: from :func:`draw`.
        size: side of a frame (px).
        n_frames: frames T.

    Returns:
        Image (3, T, size, size), targets ``label`` (action), ``verb``, ``noun``; info:
        ``procedure``, ``position``, ``follows``, ``backwards``, and ``path`` (T, 2), the
        displacement of the picture (px of 32).
    """
    room = np.random.default_rng(int(row["scene"]))
    head, camera = (np.random.default_rng([int(row["seed"]), part]) for part in range(2))
    begin, end = row["early"], 1 + row["late"]
    phase = begin + (end - begin) * (np.arange(n_frames) + 0.5) / n_frames
    n_verbs = int(row["n_verbs"])
    verb = int(row["verb"])
    shown = scenes.reverse_of(verb, n_verbs) if row["backwards"] else verb
    motion = scenes.move(shown, n_verbs, phase, lean=row["lean"])
    path = scenes.walk(n_frames, row["jitter"], head)
    around = scenes.background(
        size, row["hue"], row["light"], row["texture"], int(row["clutter"]), room
    )
    movie = scenes.film(motion, int(row["noun"]), around, path, size=size, light=row["light"])
    image = np.clip(sensor.gaussian(movie, row["noise"], camera), 0, 1)
    target = {"label": int(row["label"]), "verb": verb, "noun": int(row["noun"])}
    info = {name: row[name] for name in ("procedure", "position", "follows", "backwards")}
    return Case(row["case"], row["cluster"], image, target, info={**info, "path": path})


def phantom(
    n: int,
    seed: int,
    *,
    size: int = 64,
    n_frames: int = 8,
    n_verbs: int = 37,
    n_nouns: int = 41,
    n_actions: int = 127,
    grammar_seed: int | None = None,
    jitter: float = 4.0,
    arrow: float = 1.0,
    grammar: float = 0.8,
    tail: float = 0.037,
    surroundings: float = 1.0,
    clutter: float = 3.0,
    boundary: float = 0.1,
    noise: float = 0.04,
) -> Cases:
    """Generate the clips of ``n`` videos, about 17 of each (the paper: 1,020 clips of 62 videos).

    1. video: a procedure in the proportions 29 : 27 : 24 : 30 : 31, performed as in
       :func:`common.datasets.trauma_grammar.perform` (v = 0.5); each step is kept with probability
       ``grammar``, else any action of the procedure, with weight exp(-tail rank); 37 verbs,
       41 nouns and 127 actions as in the paper;
    2. noun: a tool, one of six shapes in one of seven colours;
    3. verb: a law of motion of tool and gloved hand relative to the wound, see
       :func:`common.datasets.trauma_video_phantom_scene.move`: six pairs of verbs (take and drop,
       insert and remove, attach and detach, open and close, wind and unwind, press and lift) in
       three directions; the second of a pair is the first played backwards; if the number of verbs
       is odd, the last one is palpate, its own reverse;
    4. with probability (1 - arrow) / 2 a clip is played backwards though its verb stays;
    5. the clip begins and ends off the action by U(-boundary, boundary) of its length;
    6. the whole picture is displaced by a random walk within ``jitter``;
    7. surroundings, light and clutter of the video; Gaussian noise.

    Args:
        n: videos; each has 4 to 40 cases, its clips.
        seed: seed of everything drawn.
        size: side of a frame (px).
        n_frames: frames of a clip.
        n_verbs: verbs, at most 37.
        n_nouns: nouns, at most 42.
        n_actions: actions that occur; few make steps recur.
        grammar_seed: seed of the procedures; ``seed`` by default. Give one to draw more videos of
            the same actions.
        jitter: largest displacement of the picture (px of 32).
        arrow: how surely the direction of time tells the verb.
        grammar: share of steps that follow the procedure.
        tail: fall of the log frequency of actions per rank.
        surroundings: factor on the differences between videos.
        clutter: patches expected around a video's scene.
        boundary: largest shift of a clip's ends, as a share of its length.
        noise: standard deviation of the sensor noise.

    Returns:
        Cases with the image (3, T, size, size) and the targets ``label`` (action), ``verb``,
        ``noun``; cluster = video.

    Raises:
        ValueError: a dial is outside its range, or a number is not possible.
    """
    turned = {
        "jitter": jitter,
        "arrow": arrow,
        "grammar": grammar,
        "tail": tail,
        "surroundings": surroundings,
        "clutter": clutter,
        "boundary": boundary,
        "noise": noise,
    }
    dials.check(DIALS, turned)
    if size < 24 or n_frames < 2:
        raise ValueError(
            f"`size` must be at least 24 and `n_frames` at least 2, got {size!r} and "
            f"{n_frames!r}. Motion would not be seen."
        )
    table = draw(
        n,
        seed,
        grammar_seed=seed if grammar_seed is None else grammar_seed,
        n_verbs=n_verbs,
        n_nouns=n_nouns,
        n_actions=n_actions,
        **turned,
    )
    return Cases(table, functools.partial(render, size=size, n_frames=n_frames))
