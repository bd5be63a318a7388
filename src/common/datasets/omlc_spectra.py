"""Absorption of haemoglobin and melanin: tables that a reader saves from omlc.org.

``hemoglobin.txt`` is the text of the page: words, then one line a wavelength with three numbers,
wavelength in nm and molar extinction of HbO2 and Hb in 1/(cm M). ``melanosome.csv`` holds the
page's formula mu_a = factor * wavelength ** exponent, mu_a in 1/cm and wavelength in nm, as one row
with the columns ``factor`` and ``exponent``: two numbers that the reader types in, because the
library has given more than one pair over the years (from memory). Both file names are a choice of
this book.

Source: S. L. Jacques and S. Prahl, omlc.org (who compiled which is from memory).
"""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from common import manifests
from common.datasets.files import read_lines, read_rows
from common.datasets.image_pairs import misfit

DATASET = "omlc-spectra"
HAEMOGLOBIN = "hemoglobin.txt"
MELANOSOME = "melanosome.csv"
COLUMNS = ("wavelength_nm", "hbo2", "hb", "melanosome")
# the camera's bands in the paper: blue, green, red
BANDS_NM = (473.0, 532.0, 620.0)


def load(folder: Path | None = None) -> pd.DataFrame:
    """Read the spectra.

    Args:
        folder: the data set's folder, with ``hemoglobin.txt`` and ``melanosome.csv``; where it lies
            by default.

    Returns:
        One row a wavelength of the haemoglobin table, ascending: ``wavelength_nm``; ``hbo2`` and
        ``hb``, molar extinction in 1/(cm M); ``melanosome``, absorption in 1/cm by the formula.

    Raises:
        ReplicateError: a file is absent; the table has a line without three numbers among the
            others, a wavelength that does not ascend or an extinction that is not positive; or
            the formula is not one row of two finite numbers with a positive factor.
    """
    folder = manifests.require(DATASET, folder)
    table = pd.DataFrame(_haemoglobin(folder / HAEMOGLOBIN), columns=list(COLUMNS[:3]))
    factor, exponent = _formula(folder / MELANOSOME)
    return table.assign(melanosome=factor * table["wavelength_nm"] ** exponent)


def at(spectra: pd.DataFrame, wavelengths_nm: Sequence[float] = BANDS_NM) -> pd.DataFrame:
    """Interpolate spectra linearly.

    Args:
        spectra: as :func:`load` gives them.
        wavelengths_nm: those that are wanted; the paper's bands if left out.

    Returns:
        One row a wavelength in the given order, columns as in ``spectra``.

    Raises:
        ValueError: a wavelength lies outside of the table.

    Example:
        >>> table = pd.DataFrame({"wavelength_nm": [400.0, 410.0], "hb": [2.0, 4.0]})
        >>> at(table, [405.0])["hb"].tolist()
        [3.0]
    """
    known = spectra["wavelength_nm"].to_numpy()
    wanted = np.asarray(wavelengths_nm, float)
    if not np.all((wanted >= known[0]) & (wanted <= known[-1])):
        raise ValueError(
            f"`wavelengths_nm` must lie within {known[0]:g} to {known[-1]:g}, got "
            f"{list(wavelengths_nm)}."
        )
    columns = {name: np.interp(wanted, known, spectra[name].to_numpy()) for name in spectra}
    return pd.DataFrame({**columns, "wavelength_nm": wanted})


def _haemoglobin(path: Path) -> list[list[float]]:
    """Read the lines of numbers; words may stand before and behind them, not among them."""
    rows: list[list[float]] = []
    ended = False
    for line in read_lines(path):
        numbers = _numbers(line)
        if len(numbers) != 3 and not (rows and line[0].isdigit()):
            ended = bool(rows)
            continue
        if len(numbers) != 3 or ended:
            rule = "hold three numbers a line in one block"
            raise misfit(path, rule, repr(line[:80]), dataset=DATASET)
        if min(numbers) <= 0 or (rows and numbers[0] <= rows[-1][0]):
            rule = "hold ascending wavelengths and positive extinctions"
            raise misfit(path, rule, repr(line[:80]), dataset=DATASET)
        rows.append(numbers)
    if not rows:
        raise misfit(path, "hold lines of three numbers", "none", dataset=DATASET)
    return rows


def _formula(path: Path) -> tuple[float, float]:
    rows = read_rows(path, ("factor", "exponent"))
    numbers = [_numbers(f"{row['factor']} {row['exponent']}") for row in rows]
    if len(numbers) != 1 or len(numbers[0]) != 2 or numbers[0][0] <= 0:
        rule = "hold one row with a positive factor and an exponent"
        raise misfit(path, rule, rows[:2], dataset=DATASET)
    return numbers[0][0], numbers[0][1]


def _numbers(line: str) -> list[float]:
    """Read the numbers of a line; none if anything else stands there."""
    try:
        numbers = [float(word) for word in line.split()]
    except ValueError:
        return []
    return numbers if all(math.isfinite(number) for number in numbers) else []
