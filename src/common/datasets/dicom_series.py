"""Series of DICOM slices: grouped by their identifier, put in order, checked for gaps, read.

Headers are read without pixels to group and order the slices; the order goes along the slices'
normal (row direction times column direction), which for axial slices runs from foot to head. A
volume is given only where the slices lie on an equal grid: a missing, doubled or shifted slice is
refused, for it would shear the volume without a sign. Values are rescaled with each slice's own
slope and intercept, which for CT gives Hounsfield units; values outside the scanner's field of view
stay as stored, often far below air.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from common import manifests
from common.datasets.cases import Case, Cases
from common.datasets.files import MAX_BYTES, Volume, read_dicom, require_files
from common.datasets.headers import LONGEST, finite, reading, sound_spacing
from common.datasets.image_pairs import misfit, natural
from common.errors import ReplicateError

Unit = Literal["scan", "slice"]

# slices may be off an equal grid by this share of their distance: positions are rounded
TOLERANCE = 0.1
_TAGS = ["SeriesInstanceUID", "PatientID", "Modality", "Rows", "Columns", "PixelSpacing"]
_TAGS += ["ImagePositionPatient", "ImageOrientationPatient"]


@dataclass(frozen=True)
class Slice:
    """What a slice's header says without its pixels.

    Args:
        path: the file.
        series: SeriesInstanceUID.
        patient: PatientID.
        modality: such as CT or MR.
        shape: rows and columns.
        spacing_mm: distance of rows and of columns.
        position_mm (3,): centre of the first pixel, x to the left, y to the back, z to the head.
        orientation (6,): direction of a row, then of a column.
    """

    path: Path
    series: str
    patient: str
    modality: str
    shape: tuple[int, int]
    spacing_mm: tuple[float, float]
    position_mm: tuple[float, ...]
    orientation: tuple[float, ...]


def read_header(path: Path) -> Slice:
    """Read a slice's header.

    Args:
        path: a DICOM file with an image.

    Returns:
        What is known; spacing 1 mm, no position and no orientation where the file gives none.

    Raises:
        ReplicateError: the file is absent or damaged, or its geometry is absurd.
    """
    import pydicom

    kind = "DICOM image"
    with reading(path, kind):
        header = pydicom.dcmread(
            path, defer_size=LONGEST, stop_before_pixels=True, specific_tags=_TAGS
        )
        spacing = sound_spacing(path, kind, header.get("PixelSpacing") or (1, 1))
        position = header.get("ImagePositionPatient") or ()
        orientation = header.get("ImageOrientationPatient") or ()
        return Slice(
            path=path,
            series=str(header.get("SeriesInstanceUID", "")),
            patient=str(header.get("PatientID", "")),
            modality=str(header.get("Modality", "")),
            shape=(int(header.Rows), int(header.Columns)),
            spacing_mm=(spacing[0], spacing[1]),
            position_mm=tuple(finite(path, kind, "a position", position).tolist()),
            orientation=tuple(finite(path, kind, "an orientation", orientation).tolist()),
        )


def group(slices: Iterable[Slice]) -> dict[str, list[Slice]]:
    """Group slices by their series, in the order in which the series appear.

    Args:
        slices: headers of any series, mixed.

    Returns:
        Slices by SeriesInstanceUID.
    """
    found: dict[str, list[Slice]] = {}
    for one in slices:
        found.setdefault(one.series, []).append(one)
    return found


def order(slices: Sequence[Slice], *, dataset: str) -> tuple[list[int], float]:
    """Put the slices of one volume in order along their normal.

    Args:
        slices: headers, at least one.
        dataset: the data set's name, for the errors.

    Returns:
        Places of the slices in ascending order of position, and the distance of neighbours in mm
        (of a single slice: 1).

    Raises:
        ReplicateError: slices differ in size, pixel spacing or orientation, have no position, or
            do not lie on an equal grid: one is doubled, missing or shifted; names the file.
    """
    first = slices[0]
    for one in slices:
        if len(one.position_mm) != 3 or len(one.orientation) != 6:
            raise misfit(one.path, "give position and orientation", "none", dataset=dataset)
        same_size = one.shape == first.shape and np.allclose(one.spacing_mm, first.spacing_mm)
        if not same_size or not np.allclose(one.orientation, first.orientation, atol=1e-3):
            rule = f"have the size, spacing and orientation of {first.path.name}"
            got = f"{one.shape}, {one.spacing_mm} mm and {one.orientation}"
            raise misfit(one.path, rule, got, dataset=dataset)
    normal = np.cross(first.orientation[:3], first.orientation[3:])
    heights = np.array([one.position_mm for one in slices]) @ normal
    places = np.argsort(heights, kind="stable")
    if len(slices) == 1:
        return [0], 1.0
    return places.tolist(), _even_step(heights[places], [slices[i].path for i in places], dataset)


def _even_step(heights: np.ndarray, paths: Sequence[Path], dataset: str) -> float:
    """Return the distance of slices in order, refusing what is not evenly spaced."""
    steps = np.diff(heights)
    usual = float(np.quantile(steps, 0.5, method="lower"))
    doubled = int(steps.argmin())
    if steps[doubled] <= TOLERANCE * steps.max():
        rule = f"lie above {paths[doubled].name}"
        raise misfit(paths[doubled + 1], rule, "the same position", dataset=dataset)
    widest = int(steps.argmax())
    if round(steps[widest] / usual) > 1:
        rule = f"follow {paths[widest].name} without a gap"
        got = f"{steps[widest]:.3g} mm where slices are {usual:.3g} mm apart"
        raise misfit(paths[widest + 1], rule, got, dataset=dataset)
    # a line through all positions is less moved by their rounding than one through the ends
    slope, start = np.polyfit(np.arange(len(heights)), heights, 1)
    off = np.abs(heights - start - slope * np.arange(len(heights)))
    if off.max() > TOLERANCE * slope:
        worst = int(off.argmax())
        rule = f"lie on an equal grid of {slope:.3g} mm"
        raise misfit(paths[worst], rule, f"{off[worst]:.2g} mm off it", dataset=dataset)
    return float(heights[-1] - heights[0]) / (len(heights) - 1)


def read_stack(
    slices: Sequence[Slice], *, dataset: str, max_bytes: int = MAX_BYTES
) -> tuple[Volume, list[int]]:
    """Read the slices of one volume.

    Args:
        slices: headers in any order.
        dataset: the data set's name, for the errors.
        max_bytes: refuse a volume that takes more memory.

    Returns:
        The volume (z, y, x) float32, rescaled, with spacing and origin z, y, x; and the places of
        the slices in its order, for putting masks into the same.

    Raises:
        ReplicateError: as :func:`order`; a slice is damaged or has colours or frames; or the volume
            is too large.
    """
    places, step = order(slices, dataset=dataset)
    first = slices[places[0]]
    wanted = len(slices) * first.shape[0] * first.shape[1] * 4
    if wanted > max_bytes:
        rule = f"belong to a volume of at most {max_bytes:,} bytes"
        raise misfit(first.path, rule, f"{wanted:,}", dataset=dataset)
    array = np.stack([read_slice(slices[place].path, dataset=dataset).array for place in places])
    return Volume(array, (step, *first.spacing_mm), first.position_mm[::-1]), places


def read_slice(path: Path, *, dataset: str) -> Volume:
    """Read one grey slice.

    Args:
        path: the file.
        dataset: the data set's name, for the error.

    Returns:
        float32 (rows, columns), rescaled.

    Raises:
        ReplicateError: the file is damaged, or has colours or several frames.
    """
    volume = read_dicom(path)
    if volume.array.ndim != 2:
        raise misfit(path, "hold one grey slice", volume.array.shape, dataset=dataset)
    return volume


def load_series(
    dataset: str, folder: Path | None, pattern: str, *, unit: Unit, modality: str = "CT"
) -> Cases:
    """List the series of a collection that keeps each in a folder of its own.

    Only the first file of each folder is looked into; the others when a case is read.

    Args:
        dataset: the data set's name.
        folder: where the files are; by default where the manifest's files were found.
        pattern: glob of the DICOM files.
        unit: ``scan`` for volumes, ``slice`` for single slices in the order of their file names.
        modality: series of another one are left out.

    Returns:
        Cases with the columns ``case``, ``cluster`` (the patient), ``series``, ``n_slices``,
        ``folder`` and, of slices, ``file``. A scan has the image (1, z, y, x), a slice
        (1, rows, columns), float32, in Hounsfield units if CT; spacing in the same order.

    Raises:
        ReplicateError: no file or no series of the modality is there, a first file is damaged, or
            two folders hold one series. When a scan is read: its folder holds two series, or as
            :func:`order`.
        ValueError: unknown unit.
    """
    if unit not in ("scan", "slice"):
        raise ValueError(f"`unit` must be scan or slice, got {unit!r}. Choose one of them.")
    folder = manifests.require(dataset, folder)
    rows: list[dict[str, Any]] = []
    for place, paths in _by_folder(require_files(folder, pattern, dataset=dataset)).items():
        head = read_header(paths[0])
        if head.modality != modality:
            continue
        known = {
            "cluster": head.patient,
            "series": head.series,
            "n_slices": len(paths),
            "folder": place.relative_to(folder).as_posix(),
        }
        if unit == "scan":
            rows.append({"case": head.series, **known})
        else:
            rows += [
                {"case": f"{head.series}/{path.stem}", **known, "file": path.name} for path in paths
            ]
    if not rows:
        raise ReplicateError(
            f"{folder} must hold {modality} series, got none. "
            f"Run `replicate data describe {dataset}` to see what belongs there."
        )
    _require_once(folder, rows, dataset)
    suffix = Path(pattern).suffix
    return Cases(pd.DataFrame(rows), partial(_read, folder=folder, dataset=dataset, suffix=suffix))


def _by_folder(paths: Iterable[Path]) -> dict[Path, list[Path]]:
    found: dict[Path, list[Path]] = {}
    for path in paths:
        found.setdefault(path.parent, []).append(path)
    for place in found.values():
        place.sort(key=lambda path: natural(path.name))
    return {place: found[place] for place in sorted(found, key=lambda place: natural(str(place)))}


def _require_once(folder: Path, rows: Sequence[Mapping[str, Any]], dataset: str) -> None:
    """Check that no series lies in two folders."""
    places: dict[str, str] = {}
    for row in rows:
        held = places.setdefault(row["series"], row["folder"])
        if held != row["folder"]:
            where, rule = folder / row["folder"], "hold a series of its own"
            raise misfit(where, rule, f"that of {held}", dataset=dataset)


def _read(row: Mapping[str, Any], *, folder: Path, dataset: str, suffix: str) -> Case:
    place = folder / row["folder"]
    if "file" in row:
        volume = read_slice(place / row["file"], dataset=dataset)
    else:
        found = group(read_header(path) for path in sorted(place.glob(f"*{suffix}")))
        if set(found) != {row["series"]}:
            rule, got = "hold one series", f"{len(found)}"
            raise misfit(place, rule, got, dataset=dataset)
        volume, _ = read_stack(found[row["series"]], dataset=dataset)
    return Case(row["case"], row["cluster"], volume.array[np.newaxis], {}, volume.spacing_mm)
