"""SEED: EEG of 15 people who watched 15 film clips in each of three sessions, 62 channels, 200 Hz.

``Preprocessed_EEG/1_20131027.mat`` is a session, named by person and date; its variables end in
``_eeg1`` to ``_eeg15`` behind the person's initials. ``label.mat`` gives the emotion of each clip,
-1, 0 or 1. Sessions of a person are numbered by date; the cluster is the person.
"""

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from common import manifests
from common.datasets import matlab_arrays
from common.datasets.cases import Case, Cases
from common.datasets.files import require_files
from common.datasets.image_pairs import misfit

DATASET = "seed"
CLASSES = tuple(f"clip {number}" for number in range(1, 16))
EMOTIONS = ("negative", "neutral", "positive")
CHANNELS = 62
RATE_HZ = 200.0

_FOLDER = "Preprocessed_EEG"
_SESSION = re.compile(r"(\d+)_(\d{8})")


def load(folder: Path | None = None) -> Cases:
    """List every viewing of every clip, 15 people times 3 sessions times 15 clips in a whole copy.

    Args:
        folder: where the files are; by default where the manifest's files were found.

    Returns:
        Cases ordered by person, session and clip, columns ``case``, ``cluster`` (the person),
        ``label`` (the clip, place in :data:`CLASSES`), ``emotion`` (place in :data:`EMOTIONS`),
        ``session`` (from 1, by date) and ``file``. A case has the image (62, samples) float32 as
        stored, ``label`` and ``emotion``, and ``rate_hz`` in ``info``.

    Raises:
        ReplicateError: no session is there, a name is unknown, or ``label.mat`` is absent or has no
            15 emotions. When a case is read: the clip is absent or there twice, or has another
            number of channels.

    Source:
        Zheng and Lu 2015, doi 10.1109/TAMD.2015.2431497.
    """
    folder = manifests.require(DATASET, folder)
    emotions = _emotions(folder / _FOLDER / "label.mat")
    sessions: list[tuple[int, str, str]] = []
    for path in require_files(folder, f"{_FOLDER}/[0-9]*_*.mat", dataset=DATASET):
        match = _SESSION.fullmatch(path.stem)
        if match is None:
            raise misfit(path, "be named like 1_20131027.mat", path.name, dataset=DATASET)
        sessions.append((int(match[1]), match[2], path.relative_to(folder).as_posix()))
    rows: list[dict[str, Any]] = []
    count: dict[int, int] = {}
    for person, _, file in sorted(sessions):
        count[person] = count.get(person, 0) + 1
        rows += [
            {
                "case": f"{person:02d}-{count[person]}-{clip + 1:02d}",
                "cluster": f"{person:02d}",
                "label": clip,
                "emotion": emotion,
                "session": count[person],
                "file": file,
            }
            for clip, emotion in enumerate(emotions)
        ]
    return Cases(pd.DataFrame(rows), partial(_read, folder=folder))


def _emotions(path: Path) -> list[int]:
    """Read the emotion of each clip as a place in :data:`EMOTIONS`."""
    found = matlab_arrays.read_part(path, "label").ravel().tolist()
    if len(found) != len(CLASSES) or not set(found) <= {-1.0, 0.0, 1.0}:
        rule = f"hold {len(CLASSES)} emotions of -1, 0 or 1 in label"
        raise misfit(path, rule, found[:20], dataset=DATASET)
    return [int(value) + 1 for value in found]


def _read(row: Mapping[str, Any], *, folder: Path) -> Case:
    path = folder / row["file"]
    ending = f"_eeg{row['label'] + 1}"
    named = [name for name in matlab_arrays.names(path) if name.endswith(ending)]
    if len(named) != 1:
        raise misfit(path, f"hold one variable named *{ending}", named, dataset=DATASET)
    image = matlab_arrays.read_part(path, named[0])
    if image.ndim != 2 or image.shape[0] != CHANNELS:
        rule = f"hold {CHANNELS} channels in {named[0]}"
        raise misfit(path, rule, f"shape {image.shape}", dataset=DATASET)
    target = {"label": int(row["label"]), "emotion": int(row["emotion"])}
    return Case(row["case"], row["cluster"], image, target, info={"rate_hz": RATE_HZ})
