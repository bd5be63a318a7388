"""Esmraldi's examples: a wheat grain in MRI and mass spectrometry imaging, and a small imzML file.

The wheat images are 100 x 100: the MRI, two ion images that a free-form deformation brought onto
it, and the displacement field of a variational registration. Two contours come from ion images
that are not among the files, drawn on a larger grid. The imzML file is not wheat: it is the
3 x 3 pixel example of the imzML format, with an optical image beside it. Each of the two
specimens is one cluster.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common import manifests
from common.datasets.cases import Case, Cases
from common.datasets.decathlon import require_present
from common.datasets.files import MAX_BYTES, read_image, read_lines, read_metaimage, read_xml
from common.errors import ReplicateError

DATASET = "esmraldi-wheat"

_IMZML = "Example_Continuous.imzML"
_OPTICAL = "Example_Optical.png"
_FIELD = "wheat/transform_variational.mha"
# case: (cluster, image, first part of the names of its contour's two files)
_CASES = {
    "mri": ("wheat", "wheat/mri.png", "wheat/mri"),
    "ffd_1": ("wheat", "wheat/ffd_1.tif", ""),
    "ffd_2": ("wheat", "wheat/ffd_2.tif", ""),
    "msi_chaos": ("wheat", "", "wheat/msi_chaos"),
    "msi_coherence": ("wheat", "", "wheat/msi_coherence"),
    "transform_variational": ("wheat", _FIELD, ""),
    "example_msi": ("example", _IMZML, ""),
    "example_optical": ("example", _OPTICAL, ""),
}
_POINTS, _CURVATURE = "_curvature_points.sdp", "_curvature.txt"

_MAX_HEADER_BYTES = 64 << 20
_MZML = "{http://psi.hupo.org/ms/mzml}"
_CONTINUOUS, _NO_COMPRESSION = "IMS:1000030", "MS:1000576"
_OFFSET, _LENGTH, _ENCODED = "IMS:1000102", "IMS:1000103", "IMS:1000104"


def load(folder: Path | None = None) -> Cases:
    """List the images, contours, the displacement field and the spectra.

    Args:
        folder: where the files are; by default where the manifest's files were found.

    Returns:
        Cases with the columns ``case, cluster, file, contour``. By case:

        - ``mri, ffd_1, ffd_2, example_optical``: image (1, y, x) uint8;
        - ``mri, msi_chaos, msi_coherence``: target ``contour`` (n, 2) int64, pixels y, x, and
          ``curvature`` (n,) float64 along it; the last two have no image;
        - ``transform_variational``: no image, target ``displacement`` (2, y, x) float32 in pixels,
          its part along y first;
        - ``example_msi``: image (bins, y, x) float32, intensities, 0 where no spectrum was
          taken; ``info["mz"]`` (bins,) and ``spacing_mm``.

    Raises:
        ReplicateError: a file is absent. When a case is read: it is damaged, points and
            curvature differ in number, or the field has another shape than the MRI.

    Source:
        github.com/fgrelard/Esmraldi, folder data.
    """
    folder = manifests.require(DATASET, folder)
    rows = [(case, *places) for case, places in _CASES.items()]
    table = pd.DataFrame(rows, columns=["case", "cluster", "file", "contour"])
    wanted = [file for file in table["file"] if file] + [str(Path(_IMZML).with_suffix(".ibd"))]
    for stem in table["contour"]:
        wanted += [f"{stem}{_POINTS}", f"{stem}{_CURVATURE}"] if stem else []
    require_present(folder, wanted, dataset=DATASET)
    return Cases(table, partial(_read, folder))


def read_imzml(
    path: Path, *, max_bytes: int = MAX_BYTES
) -> tuple[NDArray[np.float32], NDArray[np.float64], tuple[float, ...] | None]:
    """Read a continuous imzML file with its ``.ibd`` file beside it.

    Args:
        path: the ``.imzML`` file, without entities; every spectrum has the same m/z values.
        max_bytes: refuse an image that takes more memory.

    Returns:
        Intensities (bins, y, x), 0 where no spectrum was taken; m/z (bins,); spacing of y and x in
        mm, ``None`` if the file gives none.

    Raises:
        ReplicateError: a file is absent or damaged, the spectra are packed or not continuous, lie
            outside the ``.ibd`` file, share a pixel, or announce more data than fits.
    """
    from pyimzml.ImzMLParser import ImzMLParser

    ibd = path.with_suffix(".ibd")
    _check_imzml(path, ibd)
    try:
        with ExitStack() as stack:
            header, data = stack.enter_context(path.open("rb")), stack.enter_context(ibd.open("rb"))
            parser = ImzMLParser(header, ibd_file=data)
            places = np.array(parser.coordinates)[:, :2] - 1
            shape = (parser.intensityLengths[0], *(places.max(axis=0) + 1)[::-1].tolist())
            _check_places(path, places, shape, max_bytes)
            image = np.zeros(shape, dtype=np.float32)
            for number, (x, y) in enumerate(places):
                mz, image[:, y, x] = parser.getspectrum(number)
            if len(mz) != len(image):
                raise _refusal(path, f"{len(mz)} m/z values for {len(image)} intensities")
            steps = [parser.imzmldict.get(f"pixel size {axis}") for axis in "yx"]
    except ReplicateError:
        raise
    except Exception as error:
        # the library raises a dozen unrelated types on damaged files
        raise _refusal(path, str(error) or type(error).__name__) from None
    spacing = tuple(float(step) / 1000 for step in steps if step)  # stored in micrometres
    return image, mz.astype(np.float64), spacing if len(spacing) == 2 else None


def _refusal(path: Path, problem: str) -> ReplicateError:
    return ReplicateError(
        f"{path} must be a sound continuous imzML file, got: {problem}. "
        "Fetch or copy it and its .ibd file again."
    )


def _check_imzml(path: Path, ibd: Path) -> None:
    """Check that every array that the header announces lies inside the data file."""
    if path.is_file() and path.stat().st_size > _MAX_HEADER_BYTES:
        raise _refusal(path, f"a header of {path.stat().st_size:,} bytes")
    root = read_xml(path)
    if not ibd.is_file():
        raise _refusal(path, f"no {ibd.name} beside it")
    named = {item.get("accession") for item in root.iter(f"{_MZML}cvParam")}
    if _CONTINUOUS not in named or _NO_COMPRESSION not in named:
        raise _refusal(path, "spectra that are packed or have m/z values of their own")
    held, starts, lengths = ibd.stat().st_size, set(), set()
    for spectrum in root.iter(f"{_MZML}spectrum"):
        for place, array in enumerate(spectrum.iter(f"{_MZML}binaryDataArray")):
            values = {item.get("accession"): item.get("value") for item in array}
            try:
                start, length, size = (
                    int(values[key] or "") for key in (_OFFSET, _LENGTH, _ENCODED)
                )
            except (KeyError, ValueError):
                raise _refusal(path, "an array without place or length") from None
            if start < 0 or length < 1 or size not in (4 * length, 8 * length):
                raise _refusal(path, f"an array of {length} values in {size} bytes at {start}")
            if start + size > held:
                raise _refusal(path, f"an array up to byte {start + size:,} of {held:,}")
            lengths.add(length)
            starts |= {start} if place == 0 else set()
    if len(starts) != 1 or len(lengths) != 1:
        raise _refusal(path, f"{len(starts)} m/z arrays and {len(lengths)} lengths, not one each")


def _check_places(
    path: Path, places: NDArray[np.int64], shape: tuple[int, ...], max_bytes: int
) -> None:
    wanted = int(np.prod([float(side) for side in shape])) * 4
    if places.min() < 0 or len(np.unique(places, axis=0)) < len(places):
        raise _refusal(path, "two spectra at one pixel, or a pixel before the first")
    if wanted > max_bytes:
        raise _refusal(path, f"an image of {wanted:,} bytes, limit {max_bytes:,}")


def _contour(folder: Path, stem: str) -> dict[str, NDArray[Any]]:
    """Read the points of a contour and the curvature at each of them."""
    path = folder / f"{stem}{_POINTS}"
    first, *lines = read_lines(path) or [""]
    try:
        if first != "ensured":
            raise ValueError(f"first line {first!r}")
        # the file writes x, y
        points = np.array([[int(part) for part in line.split()] for line in lines])[:, ::-1]
        if points.ndim != 2 or points.shape[1] != 2:
            raise ValueError(f"points of shape {points.shape}")
        curvature = np.array([float(line) for line in read_lines(folder / f"{stem}{_CURVATURE}")])
    except (ValueError, IndexError) as error:
        raise ReplicateError(
            f"{path} must hold 'ensured', then x and y of a point a line, with a number for each "
            f"in {stem}{_CURVATURE}, got a problem with {error}. Fetch or copy both again."
        ) from None
    if len(points) != len(curvature):
        raise ReplicateError(
            f"{path} must have as many points as {stem}{_CURVATURE} has lines, got {len(points)} "
            f"and {len(curvature)}. Fetch or copy both again."
        )
    return {"contour": points, "curvature": curvature}


def _displacement(path: Path, sides: tuple[int, ...]) -> NDArray[np.float32]:
    field = read_metaimage(path).array
    if field.shape != (*sides, 2):
        raise ReplicateError(
            f"{path} must hold two components on the {sides} pixels of the MRI, got shape "
            f"{field.shape}. Fetch or copy it again."
        )
    # the file stores the component along x first
    return np.ascontiguousarray(np.moveaxis(field[..., ::-1], 2, 0), dtype=np.float32)


def _grey(path: Path) -> NDArray[np.uint8]:
    image = read_image(path)
    if image.ndim != 2 or image.dtype != np.uint8:
        raise ReplicateError(
            f"{path} must be a grey image of bytes, got {image.dtype} {image.shape}. "
            "Fetch or copy it again."
        )
    return image


def _read(folder: Path, row: Mapping[str, Any]) -> Case:
    image: NDArray[Any] | None = None
    spacing = None
    target: dict[str, Any] = {}
    info: dict[str, Any] = {}
    if row["file"] == _FIELD:
        sides = _grey(folder / _CASES["mri"][1]).shape
        target["displacement"] = _displacement(folder / _FIELD, sides)
    elif row["file"] == _IMZML:
        image, mz, spacing = read_imzml(folder / _IMZML)
        info["mz"] = mz
    elif row["file"]:
        image = np.array(_grey(folder / row["file"])[np.newaxis])
    if row["contour"]:
        target |= _contour(folder, row["contour"])
    return Case(row["case"], row["cluster"], image, target, spacing, info=info)
