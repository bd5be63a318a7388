"""APTOS 2019: 3,662 fundus photographs graded for diabetic retinopathy from 0 to 4.

``train.csv`` has the columns ``id_code`` (the name of a PNG file) and ``diagnosis`` (the grade).
The 1,928 test images have no grade and are not read. Sizes differ widely (474 x 358 to 3388 x 2588
pixels), and with the clinic also the grade (from memory), so that size may betray it.

There are no patient ids: a cluster is one image, and both eyes of a patient cannot be told apart.

Source: Asia Pacific Tele-Ophthalmology Society 2019.
"""

from functools import partial
from pathlib import Path

import pandas as pd

from common import manifests
from common.datasets.cases import Cases
from common.datasets.files import read_rows
from common.datasets.image_pairs import misfit
from common.datasets.labelled_images import read_labelled

DATASET = "aptos2019"
CLASSES = ("grade 0", "grade 1", "grade 2", "grade 3", "grade 4")
TABLE = "train.csv"


def load(folder: Path | None = None) -> Cases:
    """List the graded photographs.

    Args:
        folder: the data set's folder, with ``train.csv`` and ``train_images``; where it lies by
            default.

    Returns:
        Cases with image (3, height, width) uint8 of differing size and ``label`` (the grade, place
        in :data:`CLASSES`); the table has ``label`` and ``image``, in the order of ``train.csv``.

    Raises:
        ReplicateError: the table is absent, lists a photograph twice, with another grade or
            without a file, or a photograph is not listed.
    """
    folder = manifests.require(DATASET, folder)
    path = folder / TABLE
    rows = []
    for entry in read_rows(path, ("id_code", "diagnosis")):
        # only the name counts, so that no path leads out of the folder
        name, grade = Path(entry["id_code"]).name, entry["diagnosis"]
        if grade not in ("0", "1", "2", "3", "4"):
            raise misfit(path, f"give {name} a grade from 0 to 4", repr(grade), dataset=DATASET)
        image = f"train_images/{name}.png"
        rows.append({"case": name, "cluster": name, "label": int(grade), "image": image})
    table = pd.DataFrame(rows, columns=["case", "cluster", "label", "image"])
    _check(folder, table)
    return Cases(table, partial(read_labelled, folder=folder, dataset=DATASET))


def _check(folder: Path, table: pd.DataFrame) -> None:
    """Refuse a table that does not list every photograph once."""
    listed = table["case"].tolist()
    there = {path.stem for path in folder.glob("train_images/*.png")}
    doubled = table["case"][table["case"].duplicated()].tolist()
    wrong = doubled or sorted(there.symmetric_difference(listed))
    if wrong:
        rule = "list every photograph of train_images once"
        held = f"{wrong[0]} {'twice' if doubled else 'in only one of both'}"
        raise misfit(folder / TABLE, rule, held, dataset=DATASET)
