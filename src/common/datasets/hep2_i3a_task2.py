"""Specimen images of the HEp-2 contest cut into patches: their reader, and their phantom.

The reader needs the patches and masks under the names that the report used, and the lists of
:mod:`common.datasets.hep2_author_results`, which give pattern and intensity of each patch.
The phantom is :mod:`common.datasets.hep2_phantom`, which renders all windows of a specimen image
at once; here each of them is a case.
"""

import re
from collections.abc import Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common import manifests
from common.datasets.cases import Case, Cases
from common.datasets.files import read_image, require_files
from common.datasets.hep2_fold_lists import INTENSITIES
from common.datasets.hep2_phantom import (
    PATTERNS,
    Phantom,
    draw_specimens,
    render as render_specimens,
)
from common.errors import ReplicateError
from common.phantoms.dials import Dial, check
from common.phantoms.draws import stream

DATASET = "hep2-i3a-task2"
CLASSES = PATTERNS
RANGE = (0.0, 1.0)
QUICK = {"n": 84, "n_specimens": 2, "n_patches": 2, "size": 64}
DIALS = (
    Dial(
        "evidence",
        "share",
        1.0,
        0.0,
        1.0,
        "Strengthens the pattern inside the cells.",
        "chosen so that 1 is the calibrated strength Beta(4, 2)",
        null=0.0,
    ),
    Dial(
        "shared",
        "share",
        1.0,
        0.0,
        1.0,
        "Raises the share of specimens whose mask marks the nuclei, which carry the pattern.",
        "the report's masks mark cells in every specimen",
        null=0.0,
    ),
    Dial(
        "debris",
        "share",
        0.2,
        0.0,
        1.0,
        "Raises the share of cells that are debris outside the mask.",
        "chosen; no statistic of debris is printed",
        null=0.0,
    ),
    Dial(
        "intensity_shift",
        "log brightness",
        0.8,
        0.0,
        3.0,
        "Separates the brightness of positive and intermediate patients.",
        "chosen so that 83 % of intensities can be told; the report prints 0.82",
        null=0.0,
    ),
    Dial(
        "patient_sd",
        "1",
        1.0,
        0.0,
        2.0,
        "Widens the differences between patients, so that patches of one are more alike.",
        "chosen for the intraclass correlation of about 0.45 of the released predictions",
        null=0.0,
    ),
)
_NAME = re.compile(r"(\d{5})_p([0-3])_patch(\d+)\.tif")


def load(folder: Path | None = None, *, labels: Path | None = None) -> Cases:
    """Read the patches of 384 x 384 pixels with their masks.

    Args:
        folder: where the images lie, at any depth; found by the manifest if left out.
        labels: ``final_patches.csv`` of the released results, whose rows are image, mask, pattern
            and intensity; found by the manifest of ``hep2-author-results`` if left out.

    Returns:
        Cases with image (1, 384, 384) uint8 and the targets ``mask`` (bool), ``label`` (index into
        :data:`CLASSES`) and ``intensity`` (1 for positive); the cluster is the patient.

    Raises:
        ReplicateError: nothing is there, a name does not follow the published form, a mask is
            missing, sizes differ, or a patch is not in the list.
    """
    folder = manifests.require(DATASET, folder)
    listed = _labels(labels or _released_list())
    rows = []
    for path in require_files(folder, "**/*_patch*.tif", dataset=DATASET):
        if path.name.endswith("_Mask.tif"):
            continue
        found = _NAME.fullmatch(path.name)
        if found is None or path.name not in listed:
            raise ReplicateError(
                f"{path} must be named <patient>_p<specimen>_patch<number>.tif and be listed in "
                "final_patches.csv. Rename or remove it."
            )
        pattern, intensity = listed[path.name]
        rows.append(
            {
                "case": path.stem,
                "cluster": found[1],
                "specimen": int(found[2]),
                "patch": int(found[3]),
                "label": CLASSES.index(pattern),
                "intensity": INTENSITIES.index(intensity),
                "path": path.relative_to(folder).as_posix(),
            }
        )
    return Cases(pd.DataFrame(rows), partial(_read_patch, folder))


def _released_list() -> Path:
    return manifests.require("hep2-author-results") / "source/dataset/final_patches.csv"


def _labels(path: Path) -> dict[str, tuple[str, str]]:
    try:
        table = pd.read_csv(path, header=None, names=["image", "mask", "pattern", "intensity"])
    except (OSError, ValueError) as error:
        raise ReplicateError(f"{path} cannot be read: {error}. Fetch it again.") from None
    table = table.apply(lambda column: column.astype(str).str.strip())
    wrong = table[~table["pattern"].isin(CLASSES) | ~table["intensity"].isin(INTENSITIES)]
    if len(wrong):
        raise ReplicateError(
            f"{path}:{wrong.index[0] + 1} must name one of {', '.join(CLASSES)} and "
            f"{' or '.join(INTENSITIES)}, got {wrong.iloc[0, 2:].tolist()}. Fetch it again."
        )
    pairs = zip(table["pattern"], table["intensity"], strict=True)
    return dict(zip(table["image"], pairs, strict=True))


def _read_patch(folder: Path, row: Mapping[str, Any]) -> Case:
    path = folder / row["path"]
    mask_path = path.with_name(f"{path.stem}_Mask.tif")
    image, mask = read_image(path), read_image(mask_path)
    if image.ndim != 2 or image.shape != mask.shape:
        raise ReplicateError(
            f"{path} must be grey and as large as its mask, got {image.shape} and {mask.shape}. "
            "Copy both again."
        )
    target = {"mask": mask > 0, "label": int(row["label"]), "intensity": int(row["intensity"])}
    return Case(row["case"], row["cluster"], image[None], target)


def draw(
    n: int,
    seed: int,
    *,
    n_specimens: int = 4,
    n_patches: int = 15,
    evidence: float = 1.0,
    shared: float = 1.0,
    debris: float = 0.2,
    intensity_shift: float = 0.8,
    patient_sd: float = 1.0,
) -> pd.DataFrame:
    """Draw the parameters of every patch; see :func:`common.datasets.hep2_phantom.draw_specimens`.

    Args:
        n: number of patients.
        seed: seed of all randomness.
        n_specimens: specimen images of each patient.
        n_patches: windows of each specimen image, 1 to 15.
        evidence: dial.
        shared: dial.
        debris: dial.
        intensity_shift: dial.
        patient_sd: dial.

    Returns:
        One row a patch: case, cluster (patient), window (of the drawn windows), label, intensity,
        and the parameters of its specimen.
    """
    specimens = draw_specimens(
        n,
        n_specimens=n_specimens,
        rng=stream(seed, "hep2-phantom"),
        evidence=evidence,
        shared=shared,
        debris=debris,
        intensity_shift=intensity_shift,
        patient_sd=patient_sd,
    )
    rows = specimens.loc[specimens.index.repeat(n_patches)].reset_index(drop=True)
    window = np.tile(np.arange(n_patches), len(specimens))
    names = rows["patient"] + "-" + rows["specimen"] + "-w" + pd.Series(window).map("{:02d}".format)
    rows.insert(0, "case", names)
    rows.insert(1, "cluster", rows["patient"])
    rows.insert(2, "window", window)
    return rows


def render(row: Mapping[str, Any], *, size: int, n_patches: int) -> Case:
    """Render one patch; its specimen image is kept for the patches that follow.

    Args:
        row: one row of :func:`draw`.
        size: side of a patch (pixels).
        n_patches: windows of each specimen image, as they were drawn.

    Returns:
        Image (1, size, size) in [0, 1] with the targets of :func:`load`.
    """
    parameters = {name: value for name, value in row.items() if name not in _OF_PATCH}
    rendered = _specimen(tuple(parameters.items()), size, n_patches)
    window = int(row["window"])
    mask: NDArray[np.bool_] = rendered.mask[window]
    target = {"mask": mask, "label": int(row["label"]), "intensity": int(row["intensity"])}
    return Case(row["case"], row["cluster"], rendered.image[window], target)


_OF_PATCH = ("case", "cluster", "window")


@lru_cache(maxsize=8)
def _specimen(parameters: tuple[tuple[str, Any], ...], size: int, n_patches: int) -> Phantom:
    table = pd.DataFrame([dict(parameters)])
    return render_specimens(table, size=size, n_patches=n_patches, jobs=1)


def phantom(
    n: int,
    seed: int,
    *,
    size: int = 96,
    n_specimens: int = 4,
    n_patches: int = 15,
    evidence: float = 1.0,
    shared: float = 1.0,
    debris: float = 0.2,
    intensity_shift: float = 0.8,
    patient_sd: float = 1.0,
) -> Cases:
    """Generate patches of simulated specimens, ``n_specimens`` x ``n_patches`` for each patient.

    1. patients, specimens and their parameters are drawn, see
       :func:`common.datasets.hep2_phantom.draw_specimens`;
    2. each specimen image is rendered and cut, see :func:`common.datasets.hep2_phantom.render`.

    Args:
        n: number of patients (the report: 252).
        seed: seed of all randomness.
        size: side of a patch (pixels; the report: 384).
        n_specimens: specimen images of each patient.
        n_patches: windows of each specimen image, 1 to 15.
        evidence: dial, see :data:`DIALS`.
        shared: dial.
        debris: dial.
        intensity_shift: dial.
        patient_sd: dial.

    Returns:
        Cases as :func:`load` returns them, the image float32 in [0, 1].

    Raises:
        ValueError: a dial or a size is out of range.
    """
    dials = {
        "evidence": evidence,
        "shared": shared,
        "debris": debris,
        "intensity_shift": intensity_shift,
        "patient_sd": patient_sd,
    }
    check(DIALS, dials)
    table = draw(n, seed, n_specimens=n_specimens, n_patches=n_patches, **dials)
    return Cases(table, partial(render, size=size, n_patches=n_patches))
