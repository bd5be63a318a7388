"""The audit of the paper finds what is known, from the transcribed numbers alone."""

import numpy as np
import pytest

from common import papers
from common.chapters.skin_bss import audit


@pytest.fixture(scope="module")
def paper():
    return papers.load("skin-bss")


@pytest.fixture(scope="module")
def checks(paper):
    made = audit.checks(paper, n_simulated=2000, rng=np.random.default_rng(0))
    return {check.id: check for check in made}


def test_statuses_are_the_known_ones(checks):
    status = {name: check.status for name, check in checks.items()}
    failing = {name for name, word in status.items() if word == "fail"}
    assert failing == {"A2", "A5", "A6", "A7", "A9", "A11", "A12", "A13"}
    assert status["A1"] == "pass"
    assert status["A8"] == status["A10"] == "undecidable"


def test_half_of_the_data_base_was_kept(checks):
    assert checks["A2"].recomputed == "50.0 % kept; nevus 51.0 %, melanoma 48.6 %"


def test_the_matrix_is_read_with_bands_in_rows(paper):
    matrix = audit.empirical_matrix(paper)
    assert matrix.tolist()[0] == [15.37, 7.55, 76.0]
    assert np.linalg.cond(matrix) == pytest.approx(21.3, abs=0.05)


def test_ratios_and_cosines_are_those_of_an_independent_computation(checks):
    assert checks["A3"].printed == "2.036, 1.081, 0.151"
    assert "0.951 (oxy, deoxy), 0.821 (deoxy, melanin), 0.741 (oxy, melanin)" in str(
        checks["A5"].recomputed
    )
    assert "from 1.090 to 4.318, red over blue from 0.100 to 1.352" in str(checks["A7"].printed)


def test_path_lengths_of_melanin_are_those_of_an_independent_computation(paper):
    lengths = audit.path_lengths(paper, audit.empirical_matrix(paper))
    if len(lengths) == 1:
        np.testing.assert_allclose(lengths["melanin"], [1, 1.64, 3.28], atol=0.006)


def test_path_lengths_are_recovered_from_spectra(paper, monkeypatch):
    """A matrix made of absorption times path length gives the same lengths in every column."""
    import pandas as pd

    spectra = pd.DataFrame(
        {"hbo2": [3.0, 2.0, 0.1], "hb": [1.5, 1.9, 0.7], "melanosome": [9.0, 6.0, 4.0]}
    )
    monkeypatch.setattr(audit, "_read_spectra", lambda: spectra)
    matrix = spectra.to_numpy() * np.array([[2.0], [3.0], [5.0]])
    for length in audit.path_lengths(paper, matrix).values():
        np.testing.assert_allclose(length, [1, 1.5, 2.5])
    made = {check.id: check for check in audit._matrix(paper, matrix)}
    assert made["A3"].status == made["A4"].status == "pass"
    matrix[1, 0] *= 1.5
    made = {check.id: check for check in audit._matrix(paper, matrix)}
    assert made["A3"].status == made["A4"].status == "fail"


def test_the_bound_on_deoxyhaemoglobin_holds_and_is_reached(paper, rng):
    matrix = audit.empirical_matrix(paper)
    w, factor = audit.negative_bound(matrix)
    np.testing.assert_allclose(w, [-0.0960, 0.0401, 0.0409], atol=5e-5)
    b = rng.uniform(0, 1, (3, 5000))
    b[1:] *= b[0]  # blue absorbs most
    c2 = np.linalg.solve(matrix, b)[1]
    assert (c2 <= factor * b[0] + 1e-12).all()
    assert np.linalg.solve(matrix, np.ones(3))[1] == pytest.approx(factor)  # grey: the worst case
    assert factor < 0


def test_a_matrix_whose_cone_holds_skin_is_not_accused():
    fair = np.array([[1.0, 1.0, 1.0], [2.0, 1.3, 0.6], [0.1, 0.6, 0.3]])
    assert audit.negative_bound(fair)[1] > 0


def test_random_colours_are_reddish(rng):
    b = audit.random_colours(500, rng)
    assert (np.diff(b, axis=0) <= 0).all()
    assert b.min() == pytest.approx(0, abs=0.1)


def test_standard_errors_are_those_of_hanley_and_mcneil(checks):
    assert checks["A9"].recomputed == "standard error 0.056 at 0.75, 0.038 at 0.9"
