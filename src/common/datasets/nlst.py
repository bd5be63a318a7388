"""National Lung Screening Trial: low-dose CT, read as volumes or as single slices.

The files lie as the archive's retriever writes them: ``NLST``, a folder for each participant, one
for each screening year, one for each series, one DICOM file a slice. A study holds the same scan
in several reconstructions, and localisers of one or two slices, which are CT too: choose by
``n_slices``. The cluster is the participant. No paper names its scans, so that no subset is
official.
"""

from pathlib import Path

from common.datasets.cases import Cases
from common.datasets.dicom_series import Unit, load_series

DATASET = "nlst"


def load(folder: Path | None = None, *, unit: Unit = "scan") -> Cases:
    """List the CT series, or all their slices.

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
        National Lung Screening Trial Research Team 2011, doi 10.1056/NEJMoa1102873.
    """
    return load_series(DATASET, folder, "NLST/*/**/*.dcm", unit=unit)
