"""BUS-BRA: 1,875 breast ultrasound images of 1,064 women from four scanners, with masks.

Names are ``bus_<case>-<side>.png`` with ``mask_<case>-<side>.png``. ``bus_data.csv`` has one row an
image: ``ID`` (the image's name), ``Case``, ``Histology``, ``Pathology`` (benign or malignant),
``BIRADS`` (2 to 5) and ``Device`` among its columns (from memory). A cluster is one woman, who has
up to several images, and the site is the scanner, so that a split by woman and a federation by
scanner are both possible.

Source: Gómez-Flores et al. 2024, Medical Physics 51, 3110-3123.
"""

import re
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from common import manifests
from common.datasets.cases import Cases
from common.datasets.files import read_rows, require_files
from common.datasets.image_pairs import misfit, natural, read_pair

DATASET = "bus-bra"
CLASSES = ("benign", "malignant")
TABLE = "BUSBRA/bus_data.csv"

_COLUMNS = ("ID", "Case", "Histology", "Pathology", "BIRADS", "Device")
_NAME = re.compile(r"(bus|mask)_(?P<case>\d+)-(?P<side>\w+)")


def load(folder: Path | None = None) -> Cases:
    """List the images with their masks and what the biopsy found.

    Args:
        folder: the data set's folder, with ``BUSBRA``; where it lies by default.

    Returns:
        Cases with image (C, height, width) uint8 as stored, ``mask`` and ``label`` (place in
        :data:`CLASSES`). A cluster is ``case-0001`` and so on. The table has ``label``, ``site``
        (scanner), ``histology``, ``birads`` (int), ``side``, ``image`` and ``mask``.

    Raises:
        ReplicateError: the files are absent, a name is not of the published form, an image lacks
            its mask, its row or the other way round, or a row has an unknown pathology, another
            case than its name, or a BI-RADS category that is no number.
    """
    folder = manifests.require(DATASET, folder)
    images, masks = _named(folder, "Images/bus_*.png"), _named(folder, "Masks/mask_*.png")
    for name in sorted(images.keys() ^ masks.keys()):
        path = images[name] if name in images else masks[name]
        rule = "be an image with a mask or the mask of an image"
        raise misfit(path, rule, "one of them alone", dataset=DATASET)
    listed = {row["ID"]: row for row in read_rows(folder / TABLE, _COLUMNS)}
    rows = []
    for name in sorted(images, key=natural):
        if f"bus_{name}" not in listed:
            raise misfit(folder / TABLE, f"list bus_{name}", "no such ID", dataset=DATASET)
        files = {"image": images[name], "mask": masks[name]}
        places = {key: path.relative_to(folder).as_posix() for key, path in files.items()}
        rows.append({**_row(folder / TABLE, name, listed[f"bus_{name}"]), **places})
    if len(listed) != len(rows):
        rule = f"list the {len(rows)} images and no others"
        raise misfit(folder / TABLE, rule, f"{len(listed)} rows", dataset=DATASET)
    return Cases(pd.DataFrame(rows), partial(read_pair, folder=folder, dataset=DATASET))


def _named(folder: Path, pattern: str) -> dict[str, Path]:
    """Index files by ``<case>-<side>``."""
    found = {}
    for path in require_files(folder, f"BUSBRA/{pattern}", dataset=DATASET):
        name = _NAME.fullmatch(path.stem)
        if name is None:
            rule = "be named like bus_0001-l.png or mask_0001-l.png"
            raise misfit(path, rule, path.name, dataset=DATASET)
        found[f"{name['case']}-{name['side']}"] = path
    return found


def _row(path: Path, name: str, entry: dict[str, str]) -> dict[str, Any]:
    """Describe an image with what the table says of it."""
    number, side = name.split("-")
    pathology, birads, case = entry["Pathology"].lower(), entry["BIRADS"], entry["Case"]
    if pathology not in CLASSES:
        rule = f"call bus_{name} {' or '.join(CLASSES)}"
        raise misfit(path, rule, repr(entry["Pathology"]), dataset=DATASET)
    if not birads.isdecimal() or not case.isdecimal() or int(case) != int(number):
        rule = f"give bus_{name} its Case {int(number)} and a BI-RADS number"
        raise misfit(path, rule, f"{case!r} and {birads!r}", dataset=DATASET)
    return {
        "case": f"bus_{name}",
        "cluster": f"case-{number}",
        "label": CLASSES.index(pathology),
        "site": entry["Device"],
        "histology": entry["Histology"],
        "birads": int(birads),
        "side": side,
    }
