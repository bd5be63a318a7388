"""LIDC-IDRI: folders and files as the archive's retriever writes them."""

import pickle

import numpy as np
import pytest
from test_dicom_series import stack

from common.datasets import lidc_idri as reader
from common.errors import ReplicateError

PATIENTS = ("LIDC-IDRI-0001", "LIDC-IDRI-0002")
UIDS = ("1.3.6.1.4.1.14519.1", "1.3.6.1.4.1.14519.2")


@pytest.fixture
def root(tmp_path):
    for patient, uid in zip(PATIENTS, UIDS, strict=True):
        study = tmp_path / "LIDC-IDRI" / patient / "01-01-2000-NA-NA-30178"
        stack(study / "3000566.000000-NA-03192", (5, 2.5, 0), series=uid, PatientID=patient)
    radiograph = tmp_path / "LIDC-IDRI" / PATIENTS[0] / "01-01-2000-35511" / "3000923.0"
    stack(radiograph, (0,), series="1.9", PatientID=PATIENTS[0], Modality="DX")
    return tmp_path


def test_scans_are_volumes_from_foot_to_head_with_their_patient(root):
    cases = pickle.loads(pickle.dumps(reader.load(root)))
    assert cases.table["case"].tolist() == list(UIDS)
    assert cases.table["cluster"].tolist() == list(PATIENTS)
    for case in cases:
        assert case.image.shape == (1, 3, 6, 8)
        # the writer adds ten units a millimetre, and 500 - 1024 in all
        np.testing.assert_array_equal(case.image[0, :, 0, 0], [-524, -499, -474])
        assert case.spacing_mm[0] == 2.5


def test_slices_are_cases_of_their_patient(root):
    cases = reader.load(root, unit="slice")
    assert len(cases) == 6
    assert cases.table["cluster"].tolist() == [*[PATIENTS[0]] * 3, *[PATIENTS[1]] * 3]
    assert [case.image[0, 0, 0] for case in cases[:3]] == [-474, -499, -524]


def test_another_folder_is_refused(root):
    (root / "LIDC-IDRI").rename(root / "images")
    with pytest.raises(ReplicateError, match=r"must hold files named LIDC-IDRI/.*\.dcm, got none"):
        reader.load(root)
