"""CHAOS, training part: MR of 20 people with four organs, CT of 20 others with the liver.

MR comes as T2-SPIR and as T1-DUAL, whose two phases (in and out) were taken at once and share one
mask; CT is that of :mod:`common.datasets.chaos_ct` for all patients. Slices are DICOM, masks PNG,
one a slice, which belong together by the order of their file names: names differ between patients
and sequences. Masks of MR hold grey levels in a band for each organ. Every file has an identifier
of its own, so that slices cannot be grouped by it; their folder tells the series. People of the MR
part are not those of the CT part: the cluster names modality and number.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common import manifests
from common.datasets.cases import Case, Cases
from common.datasets.dicom_series import read_header, read_stack
from common.datasets.files import Volume, read_image
from common.datasets.image_pairs import misfit, natural, read_mask
from common.datasets.volume_files import case_folders

DATASET = "chaos-complete"
CLASSES = ("background", "liver", "right kidney", "left kidney", "spleen")
# lowest and highest grey level of each organ's band
BANDS = {"liver": (55, 70), "right kidney": (110, 135), "left kidney": (175, 200)}
BANDS |= {"spleen": (240, 255)}

Sequence = Literal["T2SPIR", "T1DUAL", "CT"]

# folders of the channels and of the masks, inside a patient's folder
_IMAGES = {
    "T2SPIR": ("T2SPIR/DICOM_anon",),
    "T1DUAL": ("T1DUAL/DICOM_anon/InPhase", "T1DUAL/DICOM_anon/OutPhase"),
    "CT": ("DICOM_anon",),
}
_MASKS = {"T2SPIR": "T2SPIR/Ground", "T1DUAL": "T1DUAL/Ground", "CT": "Ground"}


def load(folder: Path | None = None, *, sequence: Sequence = "T2SPIR") -> Cases:
    """List the patients with masks.

    Args:
        folder: where the files are; by default where the manifest's files were found.
        sequence: ``T2SPIR``, ``T1DUAL`` or ``CT``.

    Returns:
        Cases with the columns ``case, cluster`` (the patient), ``sequence``, ``n_slices`` and
        ``folder``. A case has the image (C, z, y, x) float32 from foot to head: one channel, or in
        phase and out of phase of T1-DUAL; CT in Hounsfield units. ``mask`` (z, y, x) holds uint8
        codes of :data:`CLASSES`, of CT bool, true in the liver. Spacing z, y, x.

    Raises:
        ReplicateError: no patient is there, or numbers of slices and masks differ. When a case is
            read: slices are missing or differ in geometry, the phases have other grids, a mask has
            another size, or a grey level lies in no band.
        ValueError: unknown sequence.

    Source:
        Kavur et al., CHAOS challenge, doi 10.5281/zenodo.3431873.
    """
    if sequence not in _IMAGES:
        raise ValueError(f"`sequence` must be one of {tuple(_IMAGES)}, got {sequence!r}.")
    folder = manifests.require(DATASET, folder)
    modality = "CT" if sequence == "CT" else "MR"
    rows: list[dict[str, Any]] = []
    for patient in case_folders(folder, f"Train_Sets/{modality}/*", dataset=DATASET):
        masks = _named(patient / _MASKS[sequence], "*.png")
        for name in _IMAGES[sequence]:
            slices = _named(patient / name, "*.dcm")
            if not slices or len(slices) != len(masks):
                got = f"{len(slices)} slices and {len(masks)} masks"
                raise misfit(patient / name, "have a mask for each slice", got, dataset=DATASET)
        rows.append(
            {
                "case": f"{modality}-{patient.name}-{sequence}",
                "cluster": f"{modality}-{patient.name}",
                "sequence": sequence,
                "n_slices": len(masks),
                "folder": patient.relative_to(folder).as_posix(),
            }
        )
    return Cases(pd.DataFrame(rows), partial(_read, folder=folder))


def organ_codes(path: Path, grey: NDArray[Any]) -> NDArray[np.uint8]:
    """Turn the grey levels of a mask into codes of organs.

    Args:
        path: the file they came from, for the message.
        grey (*spatial): levels from 0 to 255.

    Returns:
        (*spatial) codes of :data:`CLASSES`.

    Raises:
        ReplicateError: a level is neither 0 nor in a band.

    Example:
        >>> organ_codes(Path("a.png"), np.array([0, 63, 126, 189, 252], np.uint8)).tolist()
        [0, 1, 2, 3, 4]
    """
    table = np.full(256, 255, dtype=np.uint8)
    table[0] = 0
    for organ, (low, high) in BANDS.items():
        table[low : high + 1] = CLASSES.index(organ)
    codes: NDArray[np.uint8] = table[grey]
    if (codes == 255).any():
        got = f"{int(grey[codes == 255].min())}"
        raise misfit(path, "hold 0 and grey levels of the organs' bands", got, dataset=DATASET)
    return codes


def _named(folder: Path, pattern: str) -> list[Path]:
    """List files in the order of the numbers in their names."""
    return sorted(folder.glob(pattern), key=lambda path: natural(path.name))


def _read(row: Mapping[str, Any], *, folder: Path) -> Case:
    patient, sequence = folder / row["folder"], row["sequence"]
    channels: list[Volume] = []
    places: list[int] = []
    for name in _IMAGES[sequence]:
        headers = [read_header(path) for path in _named(patient / name, "*.dcm")]
        volume, found = read_stack(headers, dataset=DATASET)
        if channels and not _same_grid(volume, channels[0], found, places):
            raise misfit(patient / name, "lie on the grid of InPhase", "another", dataset=DATASET)
        channels.append(volume)
        places = found
    masks = _named(patient / _MASKS[sequence], "*.png")
    size = channels[0].array.shape[1:]
    mask = np.stack([_mask(masks[place], size, sequence) for place in places])
    image = np.stack([channel.array for channel in channels])
    return Case(row["case"], row["cluster"], image, {"mask": mask}, channels[0].spacing_mm)


def _same_grid(one: Volume, other: Volume, places: list[int], others: list[int]) -> bool:
    same = one.array.shape == other.array.shape and places == others
    return same and np.allclose(one.spacing_mm, other.spacing_mm, rtol=1e-3)


def _mask(path: Path, size: tuple[int, ...], sequence: str) -> NDArray[Any]:
    if sequence == "CT":
        return read_mask(path, size, dataset=DATASET)
    grey = read_image(path)
    if grey.shape != size or grey.dtype != np.uint8:
        rule = f"hold {size[0]} x {size[1]} grey levels"
        raise misfit(path, rule, f"shape {grey.shape} of {grey.dtype}", dataset=DATASET)
    return organ_codes(path, grey)
