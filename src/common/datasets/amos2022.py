"""AMOS 2022: abdominal CT and MR with 15 organs, the labelled training part.

``imagesTr`` and ``labelsTr`` hold ``amos_0001.nii.gz`` and so on; ``dataset.json`` names the labels
and lists the pairs. Numbers below 500 are CT, from 500 on MR. No patients are named: a scan is its
own cluster. Which organs a scan shows differs, so that absent codes are no error.
"""

from functools import partial
from pathlib import Path
from typing import Literal

import pandas as pd

from common import manifests
from common.datasets.cases import Cases
from common.datasets.files import read_json
from common.datasets.volume_files import by_key, read_case, require_partners
from common.errors import ReplicateError

DATASET = "amos2022"
CLASSES = (
    "background",
    *("spleen", "right kidney", "left kidney", "gallbladder", "oesophagus", "liver", "stomach"),
    *("aorta", "postcava", "pancreas", "right adrenal gland", "left adrenal gland", "duodenum"),
    *("bladder", "prostate or uterus"),
)
# test scans of the shape-registration paper, all MR; numbers of its released code
SHAPE_REGISTRATION_TEST = (548, 554, 558, 570, 583, 591, 593, 600)

_FIRST_MR = 500


def load(folder: Path | None = None, *, modality: Literal["CT", "MR"] | None = None) -> Cases:
    """List the labelled scans.

    Args:
        folder: where the files are; by default where the manifest's files were found.
        modality: keep the scans of one modality.

    Returns:
        Cases in the order of their numbers with the columns ``case, cluster``, ``number``,
        ``modality``, ``image`` and ``mask``. A case has the image (1, x, y, z) as stored (CT:
        Hounsfield units), ``mask`` (x, y, z) uint8 codes of :data:`CLASSES`, and spacing.

    Raises:
        ReplicateError: no file is there, a name is unknown, an image or label map has no partner,
            or ``dataset.json`` describes other labels or lists other files. When a case is read:
            the two differ in shape or spacing, or a code is unknown.
        ValueError: unknown modality.

    Source:
        Ji et al. 2022, arXiv 2206.08023.
    """
    if modality not in (None, "CT", "MR"):
        raise ValueError(f"`modality` must be CT or MR, got {modality!r}. Choose one of them.")
    folder = manifests.require(DATASET, folder)
    images, masks = (
        by_key(folder, f"amos22/{name}/amos_*.nii.gz", r"amos_(\d{4})", dataset=DATASET)
        for name in ("imagesTr", "labelsTr")
    )
    require_partners(folder, images, masks, dataset=DATASET)
    _require_described(folder / "amos22" / "dataset.json", set(images))
    names = [f"amos_{number}" for number in images]
    numbers = [int(number) for number in images]
    table = pd.DataFrame(
        {
            "case": names,
            "cluster": names,
            "number": numbers,
            "modality": ["CT" if number < _FIRST_MR else "MR" for number in numbers],
            "image": list(images.values()),
            "mask": [masks[number] for number in images],
        }
    )
    codes = {"mask": range(len(CLASSES))}
    cases = Cases(table, partial(read_case, folder=folder, images=("image",), masks=codes))
    return cases if modality is None else cases.where(table["modality"] == modality)


def _require_described(path: Path, numbers: set[str]) -> None:
    """Check that the description has our labels and lists the files that are there."""
    found = read_json(path)
    try:
        codes = sorted(int(code) for code in found["labels"])
        listed = {Path(entry["image"]).name[5:9] for entry in found["training"]}
    except (KeyError, TypeError, ValueError) as error:
        raise ReplicateError(
            f"{path} must describe labels and training, got a problem with {error}. "
            "Fetch or copy it again."
        ) from None
    if codes != list(range(len(CLASSES))):
        raise ReplicateError(
            f"{path} must describe the label codes 0 to {len(CLASSES) - 1}, got {codes}. "
            "It belongs to another release; fetch or copy it again."
        )
    if differing := sorted(listed ^ numbers):
        where = "listed, not in imagesTr" if differing[0] in listed else "in imagesTr, not listed"
        raise ReplicateError(
            f"{path} must list the files of imagesTr, got amos_{differing[0]}.nii.gz {where}. "
            "Fetch or copy the folder again."
        )
