"""GestaltMatcher Database: faces of people with genetic disorders, from a copy that you bring.

How the operators name the files of a release is not known here, and releases differ. This reader
therefore asks for a layout of its own, into which the owner of a copy brings it: the photographs in
``images`` and ``metadata.csv`` beside them, one row a photograph, with the columns ``image`` (file
name), ``patient`` (any id) and ``disorder`` (name or number).

A cluster is one patient. GMDB-Rare is the set of disorders with at most six patients, GMDB-Frequent
the rest; both are counted in the copy, so that they are those of the paper only for its release.
Photographs are personal data: keep them, and what is made of them, where only approved people can
read.

Source: Hsieh et al. 2022, Nature Genetics 54, 349-357.
"""

from functools import partial
from pathlib import Path

import pandas as pd

from common import manifests
from common.datasets.cases import Cases
from common.datasets.files import read_rows
from common.datasets.image_pairs import misfit
from common.datasets.labelled_images import read_labelled

DATASET = "gmdb"
TABLE = "metadata.csv"
MOST_RARE_PATIENTS = 6

_COLUMNS = ("image", "patient", "disorder")


def load(folder: Path | None = None) -> Cases:
    """List the photographs with patient and disorder.

    Args:
        folder: the data set's folder, with ``images`` and ``metadata.csv``; where it lies by
            default.

    Returns:
        Cases with image (3, height, width) uint8 and ``label`` (place of the disorder among all
        names of the copy in alphabetical order). A cluster is ``patient-`` and the id. The table
        has ``label``, ``disorder``, ``part`` (frequent or rare) and ``image``.

    Raises:
        ReplicateError: the table is absent, has an empty cell, names a photograph twice or one that
            does not exist.
    """
    folder = manifests.require(DATASET, folder)
    path = folder / TABLE
    entries = read_rows(path, _COLUMNS)
    for entry in entries:
        # only the name counts, so that no path leads out of the folder
        entry["image"] = f"images/{Path(entry['image']).name}"
        if not all(entry[name] for name in _COLUMNS) or not (folder / entry["image"]).is_file():
            rule = "give every photograph of images a patient and a disorder"
            raise misfit(path, rule, {name: entry[name] for name in _COLUMNS}, dataset=DATASET)
    table = pd.DataFrame(entries, columns=list(_COLUMNS))
    if doubled := table["image"][table["image"].duplicated()].tolist():
        raise misfit(path, "name every photograph once", f"{doubled[0]} twice", dataset=DATASET)
    patients = table.groupby("disorder")["patient"].nunique()
    disorders = {name: label for label, name in enumerate(sorted(patients.index))}
    rare = table["disorder"].map(patients) <= MOST_RARE_PATIENTS
    table = pd.DataFrame(
        {
            "case": table["image"].str.removeprefix("images/"),
            "cluster": "patient-" + table["patient"],
            "label": table["disorder"].map(disorders),
            "disorder": table["disorder"],
            "part": rare.map({True: "rare", False: "frequent"}),
            "image": table["image"],
        }
    )
    return Cases(table, partial(read_labelled, folder=folder, dataset=DATASET))
