"""Duke Liver Dataset: MR series of cirrhotic and other livers with liver masks.

``Segmentation/0001/4`` is a series of a patient; it holds ``images`` and ``masks`` with one DICOM
file a slice, which belong together by the order of their names. A patient has several series, so
the cluster is the patient. How masks are coded is not documented: any value but 0 counts as liver,
and a mask with two such values is refused. Slices without position in their headers are kept in
the order of their names, with the slice spacing unknown and given as 1 mm.
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
from common.datasets.dicom_series import read_header, read_slice, read_stack
from common.datasets.image_pairs import misfit, natural
from common.datasets.volume_files import case_folders

DATASET = "dlds"
CLASSES = ("background", "liver")


def load(folder: Path | None = None) -> Cases:
    """List the series with masks.

    Args:
        folder: where the files are; by default where the manifest's files were found.

    Returns:
        Cases with the columns ``case`` (patient and series), ``cluster`` (the patient),
        ``n_slices`` and ``folder``. A case has the image (1, z, y, x) float32 as scanned, ``mask``
        (z, y, x) bool, true in the liver, and spacing.

    Raises:
        ReplicateError: no series is there, or numbers of images and masks differ. When a case is
            read: slices differ in geometry, are missing or doubled, a mask has another size than
            its slice or two values beside 0.

    Source:
        Macdonald et al., doi 10.5281/zenodo.6328447.
    """
    folder = manifests.require(DATASET, folder)
    rows: list[dict[str, Any]] = []
    for series in case_folders(folder, "Segmentation/*/*", dataset=DATASET):
        images, masks = (_slices(series / name) for name in ("images", "masks"))
        if not images or len(images) != len(masks):
            got = f"{len(images)} images and {len(masks)} masks"
            raise misfit(series, "hold a mask for each slice", got, dataset=DATASET)
        patient = series.parent.name
        rows.append(
            {
                "case": f"{patient}-{series.name}",
                "cluster": patient,
                "n_slices": len(images),
                "folder": series.relative_to(folder).as_posix(),
            }
        )
    return Cases(pd.DataFrame(rows), partial(_read, folder=folder))


def _slices(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.dicom"), key=lambda path: natural(path.name))


def _read(row: Mapping[str, Any], *, folder: Path) -> Case:
    series = folder / row["folder"]
    headers = [read_header(path) for path in _slices(series / "images")]
    if any(header.position_mm for header in headers):
        volume, places = read_stack(headers, dataset=DATASET)
        array, spacing = volume.array, volume.spacing_mm
    else:
        slices = [read_slice(header.path, dataset=DATASET).array for header in headers]
        array, places = _stacked(series / "images", slices), list(range(len(slices)))
        spacing = (1.0, *headers[0].spacing_mm)
    named = _slices(series / "masks")
    masks = [read_slice(named[place], dataset=DATASET).array for place in places]
    stored = _stacked(series / "masks", masks)
    values = set(np.unique(stored).tolist()) - {0.0}
    if stored.shape != array.shape:
        raise misfit(
            series / "masks", f"have the shape {array.shape}", stored.shape, dataset=DATASET
        )
    if len(values) > 1:
        got = f"{sorted(values)[:3]}"
        raise misfit(series / "masks", "hold 0 and one other value", got, dataset=DATASET)
    return Case(row["case"], row["cluster"], array[np.newaxis], {"mask": stored != 0}, spacing)


def _stacked(folder: Path, slices: list[NDArray[Any]]) -> NDArray[Any]:
    shapes = {one.shape for one in slices}
    if len(shapes) > 1:
        raise misfit(folder, "hold slices of one size", sorted(shapes)[:2], dataset=DATASET)
    return np.stack(slices)
