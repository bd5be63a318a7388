"""NeAt mouse brain atlas: MR templates of single C57BL/6J mice with drawn regions.

``NeAt/in_vivo`` and ``NeAt/ex_vivo`` hold ``template``, ``label`` and ``mask`` with one file a
mouse, ``A0.nii.gz`` and so on. A number means another mouse in vivo than ex vivo, as far as is
known, so each template is its own cluster. The files do not name the regions: codes are given as
stored, and 0 is outside. Halves and symmetric copies beside the two folders are not read.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from common import manifests
from common.datasets.cases import Case, Cases
from common.datasets.volume_files import by_key, read_case, require_partners

DATASET = "neat-atlas"
KINDS = ("in_vivo", "ex_vivo")

# codes of regions, of sides too, fit one byte
_CODES = range(256)


def load(folder: Path | None = None, *, kind: Literal["in_vivo", "ex_vivo"] = "in_vivo") -> Cases:
    """List the templates of a kind.

    Args:
        folder: where the files are; by default where the manifest's files were found.
        kind: living mice, or excised brains.

    Returns:
        Cases with the columns ``case, cluster``, ``kind``, ``image``, ``labels`` and ``brain``. A
        case has the image (1, x, y, z) as stored, ``labels`` (x, y, z) uint8 region codes,
        ``brain`` (x, y, z) bool, and spacing.

    Raises:
        ReplicateError: no file is there, or a template lacks its labels or brain mask, or the
            reverse. When a case is read: files differ in shape or spacing, a region's code is
            no whole number below 256, or the brain mask holds anything but 0 and 1.
        ValueError: unknown kind.

    Source:
        Ma et al. 2005, doi 10.1016/j.neuroscience.2005.07.014.
    """
    if kind not in KINDS:
        raise ValueError(f"`kind` must be one of {KINDS}, got {kind!r}. Choose one of them.")
    folder = manifests.require(DATASET, folder)
    columns = {"image": "template", "labels": "label", "brain": "mask"}
    files: dict[str, Mapping[str, str]] = {
        column: by_key(folder, f"NeAt/{kind}/{name}/A*.nii.gz", r"(A\d+)", dataset=DATASET)
        for column, name in columns.items()
    }
    for column in ("labels", "brain"):
        require_partners(folder, files["image"], files[column], dataset=DATASET)
    names = [f"{kind}-{name}" for name in files["image"]]
    table = pd.DataFrame({"case": names, "cluster": names, "kind": kind})
    for column, paths in files.items():
        table[column] = [paths[name] for name in files["image"]]
    return Cases(table, partial(_read, folder=folder))


def _read(row: Mapping[str, Any], *, folder: Path) -> Case:
    masks = {"labels": _CODES, "brain": (0, 1)}
    return read_case(row, folder=folder, images=("image",), masks=masks)
