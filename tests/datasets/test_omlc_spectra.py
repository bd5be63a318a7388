"""The numbers are made up: none is a published extinction."""

import pytest

from common.datasets.omlc_spectra import BANDS_NM, at, load
from common.errors import ReplicateError

PAGE = """Tabulated Molar Extinction Coefficient for Hemoglobin in Water
These values are compiled by somebody, 2 of 3 sources

lambda  Hb02    Hb
nm      cm-1/M  cm-1/M
{lines}
the end
"""
LINES = ["460 100.0 200", "500\t 140 400", " 540 300 300.5", "640 20 60"]


def write(folder, lines=LINES, formula="2e6,-2"):
    (folder / "hemoglobin.txt").write_text(PAGE.format(lines="\n".join(lines)))
    (folder / "melanosome.csv").write_text(f"factor,exponent\n{formula}\n")


@pytest.fixture
def folder(tmp_path):
    write(tmp_path)
    return tmp_path


def test_the_table_is_read_between_the_words_of_the_page(folder):
    table = load(folder)
    assert list(table) == ["wavelength_nm", "hbo2", "hb", "melanosome"]
    assert table["wavelength_nm"].tolist() == [460, 500, 540, 640]
    assert table["hbo2"].tolist() == [100, 140, 300, 20]
    assert table["hb"].tolist() == [200, 400, 300.5, 60]


def test_melanin_follows_the_power_law(folder):
    melanosome = load(folder)["melanosome"]
    assert melanosome[1] == pytest.approx(2e6 / 500**2)
    assert melanosome[0] / melanosome[3] == pytest.approx((640 / 460) ** 2)


def test_bands_are_interpolated(folder):
    bands = at(load(folder))
    assert bands["wavelength_nm"].tolist() == list(BANDS_NM) == [473, 532, 620]
    assert bands["hbo2"].tolist() == pytest.approx([113, 268, 76])
    assert bands["hb"].tolist() == pytest.approx([265, 320.4, 108.1])


@pytest.mark.parametrize("wavelength", [459.9, 640.1, float("nan")])
def test_a_wavelength_outside_of_the_table_is_refused(folder, wavelength):
    with pytest.raises(ValueError, match=r"`wavelengths_nm` must lie within 460 to 640"):
        at(load(folder), [500, wavelength])


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([*LINES[:2], "540 300"], "hold three numbers a line in one block, got '540 300'"),
        ([*LINES[:2], "540 300 nan"], "hold three numbers a line in one block"),
        ([*LINES[:2], "next part", LINES[2]], "hold three numbers a line in one block"),
        ([LINES[1], LINES[0]], "ascending wavelengths and positive extinctions, got '460"),
        ([LINES[0], "500 0 400"], "ascending wavelengths and positive extinctions, got '500"),
        ([], "hold lines of three numbers, got none"),
    ],
)
def test_a_damaged_table_is_refused_with_its_line(folder, lines, message):
    write(folder, lines)
    with pytest.raises(ReplicateError, match=f"hemoglobin.txt must .*{message}"):
        load(folder)


@pytest.mark.parametrize("formula", ["", "2e6,", "-2e6,-2", "2e6,inf", "2e6,-2\n3e6,-3", "a,b"])
def test_a_formula_that_is_not_one_pair_of_numbers_is_refused(folder, formula):
    write(folder, formula=formula)
    with pytest.raises(ReplicateError, match=r"melanosome.csv must hold one row"):
        load(folder)


@pytest.mark.parametrize("name", ["hemoglobin.txt", "melanosome.csv"])
def test_an_absent_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(ReplicateError, match=f"{name} must be a sound"):
        load(folder)
