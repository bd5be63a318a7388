"""Learn2Reg, abdomen CT to CT: 30 aligned scans with 13 organs, to be registered in pairs.

``imagesTr`` and ``labelsTr`` hold ``AbdomenCTCT_0001_0000.nii.gz`` and so on, all on one grid of
192 x 160 x 256 voxels of 2 mm (spacing from memory). The ten scans 1, 4, 7 and so on to 28 are for
validation and make 45 pairs; ``AbdomenCTCT_dataset.json`` lists them. Numbers of the labels are
those of the abdomen scans that the set is derived from (order from memory; unsure which of the
last two is the right adrenal gland). A scan is its own cluster.
"""

from functools import partial
from itertools import combinations
from pathlib import Path

import pandas as pd

from common import manifests
from common.datasets.cases import Cases
from common.datasets.files import read_json
from common.datasets.volume_files import by_key, read_case, require_partners
from common.errors import ReplicateError

DATASET = "l2r-abdomen-ctct"
CLASSES = (
    "background",
    *("spleen", "right kidney", "left kidney", "gallbladder", "oesophagus", "liver", "stomach"),
    *("aorta", "inferior vena cava", "portal and splenic vein", "pancreas"),
    *("right adrenal gland", "left adrenal gland"),
)
TEST_NUMBERS = tuple(range(1, 29, 3))

_FORM = r"AbdomenCTCT_(\d{4})_0000"


def load(folder: Path | None = None) -> Cases:
    """List the scans; ``cases.where(cases.table.part == "test")`` keeps those of the test pairs.

    Args:
        folder: where the files are; by default where the manifest's files were found.

    Returns:
        Cases in the order of their numbers with the columns ``case, cluster``, ``number``, ``part``
        (train, or test for :data:`TEST_NUMBERS`), ``image`` and ``mask``. A case has the image
        (1, x, y, z) in Hounsfield units, ``mask`` (x, y, z) uint8 codes of :data:`CLASSES`, and
        spacing.

    Raises:
        ReplicateError: no file is there, a name is unknown, or an image or label map has no
            partner. When a case is read: the two differ in shape or spacing, or a code is unknown.

    Source:
        Hering et al. 2022, doi 10.1109/TMI.2022.3213983.
    """
    folder = manifests.require(DATASET, folder)
    images, masks = (
        by_key(folder, f"AbdomenCTCT/{name}/*.nii.gz", _FORM, dataset=DATASET)
        for name in ("imagesTr", "labelsTr")
    )
    require_partners(folder, images, masks, dataset=DATASET)
    names = [f"AbdomenCTCT_{number}" for number in images]
    numbers = [int(number) for number in images]
    table = pd.DataFrame(
        {
            "case": names,
            "cluster": names,
            "number": numbers,
            "part": ["test" if number in TEST_NUMBERS else "train" for number in numbers],
            "image": list(images.values()),
            "mask": [masks[number] for number in images],
        }
    )
    codes = {"mask": range(len(CLASSES))}
    return Cases(table, partial(read_case, folder=folder, images=("image",), masks=codes))


def pairs(folder: Path | None = None) -> pd.DataFrame:
    """List the official test pairs.

    Args:
        folder: where the files are; by default where the manifest's files were found.

    Returns:
        One row a pair in the order of the file, columns ``fixed`` and ``moving``, names of cases.

    Raises:
        ReplicateError: the description is absent or damaged, or its pairs are not all pairs of
            :data:`TEST_NUMBERS`.
    """
    path = manifests.require(DATASET, folder) / "AbdomenCTCT" / "AbdomenCTCT_dataset.json"
    found = read_json(path)
    try:
        listed = [
            {side: Path(pair[side]).name[: len("AbdomenCTCT_0001")] for side in ("fixed", "moving")}
            for pair in found["registration_val"]
        ]
    except (KeyError, TypeError) as error:
        raise ReplicateError(
            f"{path} must list fixed and moving images in registration_val, got a problem with "
            f"{error}. Fetch or copy it again."
        ) from None
    names = [f"AbdomenCTCT_{number:04d}" for number in TEST_NUMBERS]
    due = {frozenset(pair) for pair in combinations(names, 2)}
    if len(listed) != len(due) or {frozenset(pair.values()) for pair in listed} != due:
        raise ReplicateError(
            f"{path} must list the {len(due)} pairs of the scans {names[0]} to {names[-1]} once, "
            f"got {len(listed)}. It belongs to another release; fetch or copy it again."
        )
    return pd.DataFrame(listed)
