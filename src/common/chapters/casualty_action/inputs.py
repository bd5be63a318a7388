"""Clips as the networks see them, from the phantom or from the real videos."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from joblib import cpu_count
from numpy.typing import NDArray

from common import manifests, splits
from common.datasets import (
    trauma_grammar,
    trauma_thompson,
    trauma_video_phantom as videos,
    trauma_video_phantom_scene as scene,
    ttd_annotations,
)
from common.datasets.cases import Cases
from common.models.casualty_action import HEADS, Words
from common.phantoms import draws

PROCEDURES = trauma_grammar.PROCEDURES
# some ten seconds of rendering
_PIXELS_PER_PROCESS = 30_000_000


@dataclass(frozen=True)
class Clips:
    """Clips in memory.

    Args:
        table: one row a clip: ``case, cluster`` (the video), ``procedure`` (its name),
            ``position`` in the video, and what else is known.
        data: ``image`` (n, 3, T, H, W) in [0, 1], ``action``, ``verb``, ``noun`` (n,).
        pairs (actions, 2): verb and noun of each action.
        words: numbers of actions, verbs and nouns.
        names (actions,): of the actions; may be left out.
    """

    table: pd.DataFrame
    data: Mapping[str, NDArray[Any]]
    pairs: NDArray[np.int64]
    words: Words
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.table)

    def some(self, index: NDArray[Any]) -> "Clips":
        """Keep the clips of an index or a mask."""
        table = self.table.iloc[np.arange(len(self))[index]].reset_index(drop=True)
        data = {name: values[index] for name, values in self.data.items()}
        return Clips(table, data, self.pairs, self.words, self.names)


def phantom_clips(
    n_videos: int,
    seed: int,
    *,
    size: int,
    n_frames: int,
    words: Words,
    grammar_seed: int,
    name: str = "v",
    **dials: Any,
) -> Clips:
    """Generate the clips of some videos.

    Args:
        n_videos: videos, each with some 17 clips.
        seed: of the videos.
        size: side of a frame (px).
        n_frames: frames of a clip.
        words: numbers of actions, verbs and nouns; some actions may not occur.
        grammar_seed: of the procedures, the same for all sets of one experiment.
        name: what the names of the videos begin with.
        dials: of :func:`common.datasets.trauma_video_phantom.phantom`.
    """
    n_actions, n_verbs, n_nouns = words
    sizes = {"n_verbs": n_verbs, "n_nouns": n_nouns, "n_actions": n_actions}
    cases = videos.phantom(
        n_videos,
        seed,
        size=size,
        n_frames=n_frames,
        grammar_seed=grammar_seed,
        **sizes,
        **dials,
    )
    known = videos.actions(grammar_seed, **sizes)
    table = cases.table.assign(procedure=np.array(PROCEDURES)[cases.table["procedure"]])
    for column in ("case", "cluster"):
        table[column] = name + table[column].str[1:]
    pairs = known[["verb_code", "noun_code"]].to_numpy(np.int64)
    sizes_known = (len(known), n_verbs, n_nouns)
    return Clips(
        table, _arrays(cases, pixels=n_frames * size**2), pairs, sizes_known, tuple(known["action"])
    )


def staged_clips(
    n: int,
    seed: int,
    *,
    verbs: Sequence[int],
    size: int,
    n_frames: int,
    n_nouns: int = 8,
    **dials: float,
) -> Clips:
    """Generate clips whose verb and noun are drawn evenly and independently of each other.

    Nothing but the picture tells the verb: no procedure, no neighbour, no tool.

    Args:
        n: clips, each with surroundings of its own (cluster = clip).
        seed: of the clips.
        verbs: codes in the full vocabulary of 37; the label is the place in this list.
        size: side of a frame (px).
        n_frames: frames of a clip.
        n_nouns: nouns.
        dials: of :func:`common.datasets.trauma_video_phantom.phantom`.

    Returns:
        Clips; ``verb`` counts along ``verbs``, an action is a pair of verb and noun.
    """
    n_verbs = scene.MOST_VERBS
    defaults = {dial.name: dial.default for dial in videos.DIALS}
    table = videos.draw(
        -(-n // 4),
        seed,
        grammar_seed=0,
        n_verbs=n_verbs,
        n_nouns=n_nouns,
        n_actions=20,
        **{**defaults, **dials},
    ).head(n)
    rng = draws.stream(seed, videos.DATASET, "staged")
    place, noun = rng.integers(len(verbs), size=n), rng.integers(n_nouns, size=n)
    names = [f"s{seed}-{k:05d}" for k in range(n)]
    table = table.assign(
        case=names,
        cluster=names,
        verb=np.asarray(verbs)[place],
        noun=noun,
        label=place * n_nouns + noun,
        scene=rng.integers(2**31, size=n),
        procedure="",
    )
    cases = Cases(table, partial(videos.render, size=size, n_frames=n_frames))
    grid = np.indices((len(verbs), n_nouns)).reshape(2, -1).T
    data = {**_arrays(cases, pixels=n_frames * size**2), "verb": place.astype(np.int64)}
    return Clips(table, data, grid, (len(grid), len(verbs), n_nouns))


def _arrays(cases: Cases, *, pixels: int) -> dict[str, NDArray[Any]]:
    """Render all clips, in several processes where they are many; ``pixels`` of each."""
    found = cases.arrays(jobs=min(cpu_count(), 1 + len(cases) * pixels // _PIXELS_PER_PROCESS))
    return {
        "image": found["image"].astype(np.float32),
        **{name: found[key].astype(np.int64) for name, key in zip(HEADS, _TARGETS, strict=True)},
    }


_TARGETS = ("label", "verb", "noun")


def real_clips(folder: Path, *, size: int, n_frames: int) -> Clips:
    """Read the real videos, shrunk to what the networks take.

    Args:
        folder: where the frames and their list are.
        size: side of a frame (px).
        n_frames: frames of a clip.

    Raises:
        ReplicateError: a clip is absent or damaged.
    """
    cases = trauma_thompson.load(folder, n_frames=n_frames)
    data = {"image": np.stack([_shrunk(case.image, size) for case in cases])}
    table = cases.table
    for name, column in zip(HEADS, _TARGETS, strict=True):
        data[name] = table[column].to_numpy(np.int64)
    n_actions, n_verbs, n_nouns = (int(data[name].max()) + 1 for name in HEADS)
    first = table.drop_duplicates("label").sort_values("label")
    pairs = first[["verb", "noun"]].to_numpy(np.int64)
    place = table.groupby("cluster").cumcount().to_numpy()
    return Clips(table.assign(position=place), data, pairs, (n_actions, n_verbs, n_nouns))


def real_split(*, size: int, n_frames: int, seed: int) -> tuple[Clips, Clips] | None:
    """Divide the real videos, four fifths to train on; None where they are not on this machine.

    Args:
        size: side of a frame (px).
        n_frames: frames of a clip.
        seed: of the split.
    """
    folder = manifests.locate(trauma_thompson.DATASET)
    if folder is None:
        return None
    clips = real_clips(folder, size=size, n_frames=n_frames)
    shares = {"train": 0.8, "test": 0.2}
    part = splits.divide(
        clips.table, shares, name="casualty-action/real", seed=seed, stratify="procedure"
    )
    train, test = (clips.some((part == name).to_numpy()) for name in shares)
    return train, test


def _shrunk(image: NDArray[Any] | None, size: int) -> NDArray[np.float32]:
    """Shrink (3, T, H, W) bytes to (3, T, size, size) in [0, 1] by the mean of areas."""
    assert image is not None  # every clip has frames
    tensor = torch.from_numpy(image.astype(np.float32) / 255)
    return F.adaptive_avg_pool2d(tensor, size).numpy()


def sequences() -> tuple[pd.DataFrame, str]:
    """List the annotated steps that blind baselines are fitted to.

    The real annotations where they are at hand, else as many videos of the phantom's grammar.

    Returns:
        One row a clip: ``case, cluster`` (the video), ``procedure``, ``position``, ``action``,
        ``verb``, ``noun``, ``frames``; and the source, ``open`` or ``phantom``.
    """
    folder = manifests.locate(ttd_annotations.DATASET)
    if folder is None:
        return _drawn_steps(), "phantom"
    rows = []
    for case in ttd_annotations.load(folder):
        names = ("sequence", "verbs", "nouns", "frames")
        for k, values in enumerate(zip(*(case.target[name] for name in names), strict=True)):
            rows.append((case.case, ttd_annotations.CLASSES[case.target["label"]], k, *values))
    return _steps(rows), "open"


def vocabulary(source: str) -> pd.DataFrame:
    """Name the actions of :func:`sequences`: ``action, verb, noun, verb_code, noun_code``."""
    return ttd_annotations.actions() if source == "open" else videos.actions(0)


def _drawn_steps() -> pd.DataFrame:
    dials = {dial.name: dial.default for dial in videos.DIALS}
    table = videos.draw(141, 0, grammar_seed=0, n_verbs=37, n_nouns=41, n_actions=127, **dials)
    names = np.array(PROCEDURES)[table["procedure"]]
    columns = ("position", "label", "verb", "noun", "recorded_frames")
    return _steps(list(zip(table["cluster"], names, *(table[c] for c in columns), strict=True)))


def _steps(rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    columns = ["cluster", "procedure", "position", "action", "verb", "noun", "frames"]
    table = pd.DataFrame(rows, columns=columns)
    case = table["cluster"] + "-" + table["position"].astype(str).str.zfill(2)
    return table.assign(case=case)


def banner(source: str, *, frames: bool) -> tuple[str, str]:
    """Say what a page rests on: the source of its cases, and a sentence about it.

    Args:
        source: of the annotated steps, from :func:`sequences`.
        frames: whether the real videos are at hand.
    """
    if frames:
        return "open", "Real videos and annotations are on this machine; networks see both."
    how = "`replicate data describe trauma-thompson` says how to get them."
    if source == "open":
        return "open", (
            "Blind guesses rest on the real annotations of 141 videos. The videos themselves need "
            f"a consent form and are not on this machine, so networks see generated clips; {how}"
        )
    return "phantom", (
        "Everything on this page is generated. The real annotations are not on this machine: "
        f"`replicate data fetch {ttd_annotations.DATASET}` brings them. The videos need a consent "
        f"form; {how}"
    )
