"""Trauma THOMPSON: clips of first-person videos of life-saving interventions, as frames.

``annotations.csv`` lists the clips: ``video_id``, ``clip_id``, first and last frame in the video,
``action`` (a verb and a noun) and ``next_action``. A clip's frames lie in a folder of its name,
``P01_01_00/img_00001.jpg`` and so on, directly or inside the folder of its video. How many frames
were kept differs from the annotated length, so that the folder is what counts. A name begins with
the procedure; which one ``P01`` to ``P05`` mean is inferred, as in
:mod:`common.datasets.ttd_annotations`. Clips of one video show one scene: the cluster is the video.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common import manifests
from common.datasets.cases import Case, Cases
from common.datasets.files import MAX_BYTES, read_rows
from common.datasets.image_pairs import misfit, natural, read_channels
from common.datasets.ttd_annotations import CLASSES as PROCEDURES
from common.errors import ReplicateError

DATASET = "trauma-thompson"

_LIST = "annotations.csv"
_COLUMNS = ("video_id", "clip_id", "start_frame", "stop_frame", "action")


def load(
    folder: Path | None = None, *, n_frames: int | None = 8, stride: int | None = None
) -> Cases:
    """List the clips; frames are read when a clip is asked for.

    Args:
        folder: where the files are; by default where the manifest's files were found.
        n_frames: frames a clip, chosen by :func:`choose_frames`; all of them if ``None``.
        stride: distance of chosen frames; spread over the whole clip if left out.

    Returns:
        Cases in the order of the list with the columns ``case`` (the clip), ``cluster`` (the
        video), ``label`` (the action, place in the alphabetical list of all), ``verb`` and
        ``noun`` (the same of its words), ``action``, ``procedure`` (from
        :data:`PROCEDURES`, empty where the name tells none), ``start_frame``, ``stop_frame`` and
        ``folder``. A case has the image (3, frames, height, width) uint8, ``label``, ``verb`` and
        ``noun``, and in ``info`` the ``frames`` that were chosen, as places in the folder.

    Raises:
        ReplicateError: the list is absent or damaged, names a clip twice, or a clip's folder is
            absent. When a case is read: it has no frame, or frames of several sizes.
        ValueError: numbers below 1.

    Source:
        Jiang et al., MIUA 2023; github.com/zhuoyp/TTD.
    """
    for name, value in (("n_frames", n_frames), ("stride", stride)):
        if value is not None and value < 1:
            raise ValueError(f"`{name}` must be at least 1, got {value!r}. Choose more.")
    folder = manifests.require(DATASET, folder)
    rows = [_clip(folder, row) for row in read_rows(folder / _LIST, _COLUMNS)]
    if not rows:
        raise misfit(folder / _LIST, "list clips", "none", dataset=DATASET)
    table = pd.DataFrame(rows)
    if table["case"].duplicated().any():
        doubled = table["case"][table["case"].duplicated()].iloc[0]
        raise misfit(folder / _LIST, "name each clip once", f"{doubled} twice", dataset=DATASET)
    words = table["action"].str.split(n=1, expand=True)
    table.insert(2, "label", pd.factorize(table["action"], sort=True)[0])
    table.insert(3, "verb", pd.factorize(words[0], sort=True)[0])
    table.insert(4, "noun", pd.factorize(words[1], sort=True)[0])
    return Cases(table, partial(_read, folder=folder, n_frames=n_frames, stride=stride))


def choose_frames(
    n_available: int, n_frames: int | None, *, stride: int | None = None
) -> NDArray[np.int64]:
    """Choose frames of a clip by a fixed rule, without chance.

    Args:
        n_available: frames of the clip, at least 1.
        n_frames: frames to choose; all if ``None``.
        stride: their distance, around the middle of the clip; without it the clip is cut into
            equal parts and the middle frame of each is chosen.

    Returns:
        (n_frames,) places from 0, ascending; a short clip repeats frames, at its ends with a
        stride.

    Example:
        >>> choose_frames(10, 2).tolist(), choose_frames(3, 6).tolist()
        ([2, 7], [0, 0, 1, 1, 2, 2])
        >>> choose_frames(9, 3, stride=2).tolist(), choose_frames(2, 4, stride=1).tolist()
        ([2, 4, 6], [0, 0, 1, 1])
    """
    if n_frames is None:
        return np.arange(n_available)
    if stride is None:
        return (2 * np.arange(n_frames) + 1) * n_available // (2 * n_frames)
    span = (n_frames - 1) * stride
    start = (n_available - 1 - span) // 2
    return np.clip(start + stride * np.arange(n_frames), 0, n_available - 1)


def _clip(folder: Path, row: Mapping[str, str]) -> dict[str, Any]:
    """Check a line of the list and find the clip's folder."""
    video, clip, path = row["video_id"], row["clip_id"], folder / _LIST
    if not video or not clip or Path(video).name != video or Path(clip).name != clip:
        got = f"{video!r} and {clip!r}"
        raise misfit(path, "name videos and clips by plain names", got, dataset=DATASET)
    if len(row["action"].split()) < 2:
        got = f"{row['action']!r} for {clip}"
        raise misfit(path, "give each action as a verb and a noun", got, dataset=DATASET)
    frames = [row["start_frame"], row["stop_frame"]]
    if not all(value.isdecimal() for value in frames) or int(frames[0]) > int(frames[1]):
        got = f"{frames} for {clip}"
        raise misfit(path, "give the first and last frame in order", got, dataset=DATASET)
    place = next((name for name in (clip, f"{video}/{clip}") if (folder / name).is_dir()), None)
    if place is None:
        raise ReplicateError(
            f"{folder / clip} must be the folder of a clip that {_LIST} lists, got none. "
            f"Run `replicate data describe {DATASET}` to see what belongs there."
        )
    number = video[2:3] if video.startswith("P0") else ""
    known = number.isdecimal() and 1 <= int(number) <= len(PROCEDURES)
    return {
        "case": clip,
        "cluster": video,
        "action": " ".join(row["action"].split()),
        "procedure": PROCEDURES[int(number) - 1] if known else "",
        "start_frame": int(frames[0]),
        "stop_frame": int(frames[1]),
        "folder": place,
    }


def _read(
    row: Mapping[str, Any], *, folder: Path, n_frames: int | None, stride: int | None
) -> Case:
    place = folder / row["folder"]
    paths = sorted(place.glob("img_*.jpg"), key=lambda path: natural(path.name))
    if not paths:
        raise misfit(place, "hold frames named img_*.jpg", "none", dataset=DATASET)
    chosen = choose_frames(len(paths), n_frames, stride=stride)
    frames: dict[int, NDArray[Any]] = {}
    for i in np.unique(chosen).tolist():
        frames[i] = read_channels(paths[i])
        shape = next(iter(frames.values())).shape
        if frames[i].shape != shape or shape[0] != 3:
            got = f"{frames[i].shape}"
            raise misfit(paths[i], f"have 3 channels and the size {shape}", got, dataset=DATASET)
        if frames[i].nbytes * len(chosen) > MAX_BYTES:
            rule = f"fit {MAX_BYTES:,} bytes with the other frames; choose fewer"
            raise misfit(place, rule, f"{len(chosen)} frames", dataset=DATASET)
    image = np.stack([frames[i] for i in chosen.tolist()], axis=1)
    target = {name: int(row[name]) for name in ("label", "verb", "noun")}
    return Case(row["case"], row["cluster"], image, target, info={"frames": chosen})
