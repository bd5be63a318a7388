"""LUNA16: 888 chest CT scans with the centres and diameters of 1,186 nodules.

``annotations.csv`` gives world coordinates in mm; ``seriesuids.csv`` lists the scans. The volumes
(about 120 GB) are read where the folder has them, in ``subset0`` to ``subset9``, as ``.mhd`` with
``.raw``; without its volume a case has no image and no boxes, only centres and diameters.
``load(manifests.require("luna16-volumes"))`` reads the whole set. Lung masks are read from
``seg-lungs-LUNA16`` when they are asked for.

Some scans were stored upside down, with a direction of -1 along x and y in their headers. The
voxels are given as stored and the boxes take the direction into account. No patients are named:
a scan is its own cluster.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from common import manifests
from common.datasets.cases import Case, Cases
from common.datasets.decathlon import label_map
from common.datasets.files import Volume, read_lines, read_metaimage, read_rows
from common.errors import ReplicateError

DATASET = "luna16"
# codes of the lung masks, from memory
LUNG_CODES = {0: "background", 3: "left lung", 4: "right lung", 5: "trachea"}

_COLUMNS = ("seriesuid", "coordX", "coordY", "coordZ", "diameter_mm")
_HEADER_BYTES = 1 << 16


def load(folder: Path | None = None, *, lungs: bool = False) -> Cases:
    """List the scans with their nodules.

    Args:
        folder: where the files are; by default where the manifest's files were found.
        lungs: also read the lung masks of the scans that have a volume.

    Returns:
        Cases in the order of ``seriesuids.csv`` with the columns ``case, cluster`` (the series),
        ``n_nodules``, ``has_image``, ``subset`` (0 to 9; -1 without volume) and ``file``. The
        target holds ``centres_mm`` (n, 3), world coordinates z, y, x, and ``diameters_mm`` (n,).
        With its volume a case has the image (1, z, y, x) in Hounsfield units, spacing, ``boxes``
        (n, 6), see :func:`nodule_boxes`, and ``lungs`` (z, y, x) uint8 codes of
        :data:`LUNG_CODES` if asked for.

    Raises:
        ReplicateError: a list is absent, a nodule or volume belongs to no listed scan, or a volume
            stands twice. When a case is read: the header is absurd, a nodule's centre lies outside
            the volume, or the lung mask is absent or of another shape.

    Source:
        Setio et al., arXiv 1612.08012.
    """
    folder = manifests.require(DATASET, folder)
    scans = read_lines(folder / "seriesuids.csv")
    nodules = _nodules(folder / "annotations.csv", scans)
    volumes = _volumes(folder, scans)
    files = [volumes.get(scan, "") for scan in scans]
    table = pd.DataFrame(
        {
            "case": scans,
            "cluster": scans,
            "n_nodules": [len(nodules[scan]) for scan in scans],
            "has_image": [bool(file) for file in files],
            "subset": [int(file[len("subset")]) if file else -1 for file in files],
            "file": files,
        }
    )
    return Cases(table, partial(_read, folder, nodules, lungs))


def world_to_voxel(
    points_mm: ArrayLike, *, origin_mm: ArrayLike, spacing_mm: ArrayLike, direction: ArrayLike
) -> NDArray[np.float64]:
    """Convert world coordinates to voxel indices, whole at voxel centres.

    Args:
        points_mm (n, 3): world coordinates.
        origin_mm (3,): centre of the first voxel.
        spacing_mm (3,): distance of voxel centres.
        direction (3,): 1 where an axis runs along the world's, -1 where it runs against it.

    Returns:
        (n, 3) indices, not rounded, in the order of the axes of all arguments.

    Example:
        >>> world_to_voxel([[-7.0, 4.0, 1.0]], origin_mm=(-10, 5, 0), spacing_mm=(1.5, 0.5, 1),
        ...                direction=(1, -1, 1)).tolist()
        [[2.0, 2.0, 1.0]]
    """
    offset = np.asarray(points_mm, dtype=float) - np.asarray(origin_mm, dtype=float)
    return offset / np.asarray(spacing_mm, dtype=float) * np.asarray(direction, dtype=float)


def nodule_boxes(
    centres: ArrayLike, diameters_mm: ArrayLike, spacing_mm: ArrayLike
) -> NDArray[np.float64]:
    """Draw a cube of the nodule's diameter around its centre.

    Args:
        centres (n, 3): voxel indices, whole at voxel centres.
        diameters_mm (n,): diameters.
        spacing_mm (3,): distance of voxel centres.

    Returns:
        (n, 6) lower corner, then upper corner, in the same index coordinates as ``centres``.

    Example:
        >>> nodule_boxes([[10, 20, 20]], [5.0], (2.5, 0.5, 0.5)).tolist()
        [[9.0, 15.0, 15.0, 11.0, 25.0, 25.0]]
    """
    middle = np.asarray(centres, dtype=float).reshape(-1, 3)
    radius = np.asarray(diameters_mm, dtype=float)[:, None] / 2 / np.asarray(spacing_mm, float)
    return np.concatenate([middle - radius, middle + radius], axis=1)


def _nodules(path: Path, scans: list[str]) -> dict[str, NDArray[np.float64]]:
    """Read the nodules of every listed scan: (n, 4) z, y, x and diameter in mm."""
    found: dict[str, list[tuple[float, ...]]] = {scan: [] for scan in scans}
    for row in read_rows(path, _COLUMNS):
        try:
            values = tuple(float(row[name]) for name in reversed(_COLUMNS[1:4]))
            diameter = float(row["diameter_mm"])
            if not (np.isfinite(values).all() and 0 < diameter < np.inf):
                raise ValueError("a value that is not finite or a diameter that is not positive")
            found[row["seriesuid"]].append((*values, diameter))
        except (KeyError, ValueError) as error:
            raise ReplicateError(
                f"{path} must give finite coordinates and a positive diameter for scans of "
                f"seriesuids.csv, got a problem with {error} in {row}. Fetch or copy both again."
            ) from None
    return {scan: np.array(rows).reshape(-1, 4) for scan, rows in found.items()}


def _volumes(folder: Path, scans: list[str]) -> dict[str, str]:
    """Find the volumes; an unpacked archive may hold a second folder of its name."""
    found: dict[str, str] = {}
    listed = set(scans)
    for path in sorted(folder.glob("subset[0-9]/**/*.mhd")):
        if path.stem not in listed or path.stem in found:
            raise ReplicateError(
                f"{path} must be the only volume of a scan in seriesuids.csv, got "
                f"{'a second one' if path.stem in found else 'an unlisted scan'}. Delete it."
            )
        found[path.stem] = path.relative_to(folder).as_posix()
    return found


def _direction(path: Path) -> tuple[int, ...]:
    """Read the direction of a volume's axes z, y, x from its header: 1 or -1 each."""
    text = path.read_bytes()[:_HEADER_BYTES].decode("latin-1")
    fields = dict(line.split(" = ", 1) for line in text.splitlines() if " = " in line)
    text = fields.get("TransformMatrix", "1 0 0 0 1 0 0 0 1")
    matrix = np.array(text.split(), dtype=float).reshape(3, 3)
    signs = np.diag(matrix)
    if not (np.array_equal(matrix, np.diag(signs)) and np.all(np.abs(signs) == 1)):
        raise ReplicateError(
            f"{path} must have a TransformMatrix with 1 or -1 on its diagonal and 0 elsewhere, got "
            f"{text!r}. Turned scans are not part of LUNA16; fetch or copy it again."
        )
    return tuple(int(sign) for sign in reversed(signs))


def _read(
    folder: Path,
    nodules: Mapping[str, NDArray[np.float64]],
    lungs: bool,
    row: Mapping[str, Any],
) -> Case:
    found = nodules[row["case"]]
    target: dict[str, Any] = {"centres_mm": found[:, :3], "diameters_mm": found[:, 3]}
    if not row["has_image"]:
        return Case(row["case"], row["cluster"], None, target)
    path = folder / row["file"]
    volume = read_metaimage(path)
    target["boxes"] = _boxes(path, volume, found)
    if lungs:
        target["lungs"] = _lungs(folder, row["case"], volume)
    image = volume.array[np.newaxis]
    return Case(row["case"], row["cluster"], image, target, volume.spacing_mm)


def _boxes(path: Path, volume: Volume, nodules: NDArray[np.float64]) -> NDArray[np.float64]:
    centres = world_to_voxel(
        nodules[:, :3],
        origin_mm=volume.origin_mm or (0, 0, 0),
        spacing_mm=volume.spacing_mm,
        direction=_direction(path),
    )
    outside = np.any((centres < -0.5) | (centres > np.array(volume.array.shape) - 0.5), axis=1)
    if outside.any():
        raise ReplicateError(
            f"{path} must contain the nodules of annotations.csv, got one at voxel "
            f"{centres[outside][0].round(1).tolist()} of {volume.array.shape}. "
            "Fetch or copy the volume again."
        )
    return nodule_boxes(centres, nodules[:, 3], volume.spacing_mm)


def _lungs(folder: Path, scan: str, volume: Volume) -> NDArray[np.uint8]:
    """Read the lung mask of a scan."""
    paths = sorted(folder.glob(f"seg-lungs-LUNA16/**/{scan}.mhd"))
    path = paths[0] if paths else folder / "seg-lungs-LUNA16" / f"{scan}.mhd"
    mask = read_metaimage(path)
    if mask.array.shape != volume.array.shape:
        raise ReplicateError(
            f"{path} must have the shape {volume.array.shape} of its scan, got "
            f"{mask.array.shape}. Fetch or copy both again."
        )
    return label_map(path, mask.array, LUNG_CODES)
