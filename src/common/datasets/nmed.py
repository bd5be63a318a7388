"""The Naturalistic Music EEG Datasets: one MATLAB file a stimulus, all people who heard it.

``song21_Imputed.mat`` holds ``data21`` (125 channels, samples, people), the rate ``fs`` and the
people's names ``subs21``; a file of one hearing has the hearing's letter in all names
(``song21_a_Imputed.mat``, ``data21_a``). Missing values were imputed by the authors.
"""

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from common.datasets import matlab_arrays
from common.datasets.cases import Case, Cases
from common.datasets.files import require_files
from common.datasets.image_pairs import misfit, natural

CHANNELS = 125

_NAME = re.compile(r"song(\d\d(?:_[ab])?)_Imputed")


def load_songs(folder: Path, pattern: str, *, dataset: str) -> Cases:
    """List every hearing of every song.

    The heads of all files are read; of version 5 files that means the files.

    Args:
        folder: the data set's folder.
        pattern: glob of the stimuli's files.
        dataset: the data set's name, for the errors.

    Returns:
        Cases ordered by song, hearing and person, columns ``case`` (song and person), ``cluster``
        (the person), ``label`` (place of the song among those there), ``song`` (its number),
        ``hearing`` (a or b; empty where there is one), ``file`` and ``place`` (along the third
        axis). A case has the image (125, samples) float32 as stored, ``label``,
        and ``rate_hz`` in ``info``.

    Raises:
        ReplicateError: no file is there, a name is unknown, a file is damaged or lacks a variable,
            has another number of channels than 125, or not one name for each person.
    """
    rows: list[dict[str, Any]] = []
    paths = require_files(folder, pattern, dataset=dataset)
    for path in sorted(paths, key=lambda path: natural(path.name)):
        match = _NAME.fullmatch(path.stem)
        if match is None:
            raise misfit(path, f"be named like {_NAME.pattern}", path.name, dataset=dataset)
        song, _, hearing = match[1].partition("_")
        people = matlab_arrays.read_texts(path, f"subs{match[1]}")
        sides = matlab_arrays.shape(path, f"data{match[1]}")
        if len(sides) != 3 or sides[0] != CHANNELS or sides[2] != len(people):
            rule = f"hold {CHANNELS} channels of the {len(people)} people in subs{match[1]}"
            raise misfit(path, rule, f"shape {sides}", dataset=dataset)
        rows += [
            {
                "case": f"song{match[1]}-{person}",
                "cluster": person,
                "song": int(song),
                "hearing": hearing,
                "file": path.relative_to(folder).as_posix(),
                "place": place,
            }
            for place, person in enumerate(people)
        ]
    table = pd.DataFrame(rows)
    table.insert(2, "label", pd.factorize(table["song"], sort=True)[0])
    return Cases(table, partial(_read, folder=folder, dataset=dataset))


def _read(row: Mapping[str, Any], *, folder: Path, dataset: str) -> Case:
    path = folder / row["file"]
    suffix = f"{row['song']}_{row['hearing']}" if row["hearing"] else f"{row['song']}"
    rate_hz = matlab_arrays.read_number(path, "fs")
    if not 0 < rate_hz < 1e6:
        raise misfit(path, "give a rate in Hz in fs", rate_hz, dataset=dataset)
    image = matlab_arrays.read_part(path, f"data{suffix}", last=int(row["place"]))
    target = {"label": int(row["label"])}
    return Case(row["case"], row["cluster"], image, target, info={"rate_hz": rate_hz})
