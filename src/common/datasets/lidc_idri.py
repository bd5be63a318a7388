"""LIDC-IDRI: thoracic CT of 1,010 patients, read as volumes or as single slices.

The files lie as the archive's retriever writes them: ``LIDC-IDRI/LIDC-IDRI-0001``, a folder for
each study, one for each series, one DICOM file a slice. Chest radiographs of some patients lie
among them and are left out. Some patients have two CT series, so the cluster is the patient. The
nodules that four radiologists marked are not read: LUNA16 gives those that at least three of them
accepted.
"""

from pathlib import Path

from common.datasets.cases import Cases
from common.datasets.dicom_series import Unit, load_series

DATASET = "lidc-idri"


def load(folder: Path | None = None, *, unit: Unit = "scan") -> Cases:
    """List the CT scans, or all their slices.

    Args:
        folder: where the files are; by default where the manifest's files were found.
        unit: ``scan`` or ``slice``.

    Returns:
        Cases as :func:`common.datasets.dicom_series.load_series` lists them: image (1, z, y, x)
        from foot to head, or (1, rows, columns), float32 in Hounsfield units; no target.

    Raises:
        ReplicateError: no CT is there, or a first file is damaged. When a scan is read: slices are
            missing, doubled or shifted, or belong to two series.
        ValueError: unknown unit.

    Source:
        Armato et al. 2011, doi 10.1118/1.3528204.
    """
    return load_series(DATASET, folder, "LIDC-IDRI/LIDC-IDRI-*/**/*.dcm", unit=unit)
