"""Trauma THOMPSON's action lists: the annotated steps of 141 videos, without the videos.

One line of the list is a clip: ``P01_02_24 60 6 6`` names procedure, video and clip, the number
of frames, the action and the next action. Only the action is read: the last column uses another
label map than the one that is published, and is empty at the end of most videos. The name of the
procedure behind ``P01`` to ``P05`` is inferred from its actions. Names of actions end in
blanks in part of the label map. The licence (CC BY-NC-SA 4.0) keeps the lists out of anything
published with this book.
"""

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from common import manifests
from common.datasets.cases import Case, Cases
from common.datasets.files import read_lines
from common.errors import ReplicateError

DATASET = "ttd-annotations"
CLASSES = (
    "cricothyroidotomy",
    "tube thoracostomy",
    "intraosseous insertion",
    "needle thoracostomy",
    "tourniquet",
)

_LABELS = "label_map_regular.txt"
_CLIPS = "mmaction_train_annotations.txt"
_LABEL = re.compile(r"(\d+)\s+(\S+)\s+(\S.*)")
_CLIP = re.compile(r"(P0([1-5])_\d+)_(\d+) (\d+) (\d+)(?: .*)?")


def actions(folder: Path | None = None) -> pd.DataFrame:
    """Read the label map and split each action into verb and noun.

    Args:
        folder: where the files are; by default where the manifest's files were found.

    Returns:
        One row an action, in the order of its code from 0: ``action`` (text), ``verb`` (its first
        word), ``noun`` (the rest), ``verb_code`` and ``noun_code`` (places in the alphabetical
        list of verbs and of nouns).

    Raises:
        ReplicateError: the file is absent, or a line is not a code, a verb and a noun, codes
            counting up from 0.
    """
    path = manifests.require(DATASET, folder) / _LABELS
    rows: list[dict[str, str]] = []
    for line in read_lines(path):
        match = _LABEL.fullmatch(line)
        if match is None or int(match[1]) != len(rows):
            raise ReplicateError(
                f"{path} must count actions up from 0, each a verb and a noun, got {line!r} where "
                f"{len(rows)} was due. Fetch or copy it again."
            )
        rows.append({"action": f"{match[2]} {match[3]}", "verb": match[2], "noun": match[3]})
    table = pd.DataFrame(rows, columns=["action", "verb", "noun"])
    for word in ("verb", "noun"):
        table[f"{word}_code"] = pd.factorize(table[word], sort=True)[0]
    return table


def load(folder: Path | None = None) -> Cases:
    """List the videos, each with its sequence of actions.

    Args:
        folder: where the files are; by default where the manifest's files were found.

    Returns:
        Cases with the columns ``case, cluster`` (the video), ``label`` (procedure, place in
        :data:`CLASSES`) and ``n_actions``. A case has no image; its target holds ``label``,
        ``sequence``, ``verbs``, ``nouns`` (n,) int64 codes of :func:`actions`, and ``frames``
        (n,) int64, the length of each clip.

    Raises:
        ReplicateError: a file is absent, a line is no clip, an action is unknown, or the clips of
            a video do not count up from 0.

    Source:
        github.com/zhuoyp/TTD, actions/data_preprocessing.
    """
    folder = manifests.require(DATASET, folder)
    known = actions(folder)
    clips = _clips(folder / _CLIPS, len(known))
    videos = {str(video): clips[clips["video"] == video] for video in clips["video"].unique()}
    table = pd.DataFrame(
        {
            "case": list(videos),
            "cluster": list(videos),
            "label": [int(rows["label"].iloc[0]) for rows in videos.values()],
            "n_actions": [len(rows) for rows in videos.values()],
        }
    )
    codes = known[["verb_code", "noun_code"]].to_numpy()
    pairs = {
        video: (rows["action"].to_numpy(), rows["frames"].to_numpy())
        for video, rows in videos.items()
    }
    return Cases(table, partial(_read, pairs, codes))


def _clips(path: Path, n_actions: int) -> pd.DataFrame:
    """Read the clips and check that each video's are complete and in order."""
    rows: list[tuple[str, int, int, int]] = []
    due: dict[str, int] = {}
    for line in read_lines(path):
        match = _CLIP.fullmatch(line)
        if match is None or int(match[5]) >= n_actions:
            raise ReplicateError(
                f"{path} must hold lines such as 'P01_02_24 60 6 6' with actions below "
                f"{n_actions}, got {line!r}. Fetch or copy it and {_LABELS} again."
            )
        video, clip = match[1], int(match[3])
        if clip != due.get(video, 0):
            raise ReplicateError(
                f"{path} must count the clips of {video} up from 0, got {line!r} where "
                f"{due.get(video, 0)} was due. Fetch or copy it again."
            )
        due[video] = clip + 1
        rows.append((video, int(match[2]) - 1, int(match[4]), int(match[5])))
    return pd.DataFrame(rows, columns=["video", "label", "frames", "action"])


def _read(
    pairs: Mapping[str, tuple[np.ndarray, np.ndarray]], codes: np.ndarray, row: Mapping[str, Any]
) -> Case:
    sequence, frames = pairs[row["case"]]
    target = {
        "label": int(row["label"]),
        "sequence": sequence,
        "verbs": codes[sequence, 0],
        "nouns": codes[sequence, 1],
        "frames": frames,
    }
    return Case(row["case"], row["cluster"], None, target)
