"""The audit of the skin-bss paper: its counts, its matrix and what its box plots can say."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common import manifests
from common.datasets import omlc_spectra
from common.models import skin_bss_scores
from common.papers import Paper
from common.statistics.audit import Check, Status
from common.statistics.power_areas import auc_se

Array = NDArray[np.float64]

# exponent of the absorption of melanin against the wavelength, Jacques 2013; the reader's table of
# omlc.org goes first where it is at hand
MELANIN_EXPONENT = -3.48
AGREE = 0.1  # relative deviation that rounded tables and two sources of spectra may leave


def empirical_matrix(paper: Paper) -> Array:
    """Return equation 23 (3, 3): rows blue, green, red; columns oxy-, deoxyhaemoglobin, melanin."""
    table = paper.table("prose")
    coefficients = table[table["metric"].str.startswith("M_emp")]
    cells = coefficients.pivot_table("value", "row", "column", sort=False)
    return np.asarray(cells.to_numpy(dtype=np.float64))


def prose(paper: Paper) -> "pd.Series[float]":
    """Return the printed numbers by (row, column, metric)."""
    table = paper.table("prose").dropna(subset="value")
    return table.set_index(["row", "column", "metric"])["value"].sort_index()


def statements(paper: Paper) -> "pd.Series[str]":
    """Return what is said of the boxes of each score, by row; no number is printed."""
    table = paper.table("prose")
    said = table[table["metric"].str.startswith("overlap")]
    return said.set_index("row")["note"]


def negative_bound(matrix: Array) -> tuple[Array, float]:
    """Bound the classical deoxyhaemoglobin of pixels that absorb most in blue.

    With w the second row of the inverse and b_G, b_R between 0 and b_B,
    c_2 = w_B b_B + w_G b_G + w_R b_R <= (w_B + max(w_G, 0) + max(w_R, 0)) b_B.

    Args:
        matrix (3, 3): mixing matrix, rows blue, green, red.

    Returns:
        w (3,), and the factor of b_B; c_2 is negative for all these colours if it is.
    """
    w = np.linalg.inv(matrix)[1]
    return w, float(w[0] + np.maximum(w[1:], 0).sum())


def random_colours(n: int, rng: np.random.Generator) -> Array:
    """Draw colours with red >= green >= blue, as skin and moles have them.

    Args:
        n: number of colours.
        rng: source of the draws.

    Returns:
        Absorbances (3, n), rows blue, green, red; grey values from 1 to 255.
    """
    grey = np.sort(rng.integers(1, 256, (3, n)), axis=0)
    return np.asarray(-np.log(grey / 255))


def checks(paper: Paper, *, n_simulated: int, rng: np.random.Generator) -> list[Check]:
    """Check what the paper prints.

    Args:
        paper: the declaration, with its tables.
        n_simulated: random colours, and simulated studies for each effect.
        rng: source of the draws.
    """
    matrix = empirical_matrix(paper)
    return [
        *_counts(paper),
        *_matrix(paper, matrix),
        *_cone(matrix, n_simulated, rng),
        *_boxes(paper, n_simulated, rng),
        *_words(paper),
    ]


def _counts(paper: Paper) -> Iterator[Check]:
    table = prose(paper)
    used = {kind: table["data set", kind, "images used"] for kind in ("nevus", "melanoma", "all")}
    held = {kind: table["data set", kind, "images in the data base"] for kind in list(used)[:2]}
    summed = used["nevus"] + used["melanoma"]
    yield _check(
        "A1",
        "the images of the two classes sum to those used",
        summed == used["all"],
        f"{used['all']:.0f}",
        f"{used['nevus']:.0f} + {used['melanoma']:.0f} = {summed:.0f}",
    )
    total = sum(held.values())
    shares = ", ".join(f"{kind} {100 * used[kind] / held[kind]:.1f} %" for kind in held)
    yield _check(
        "A2",
        "all images of the data base were used, or it is listed which",
        False,
        f"{used['all']:.0f} of {total:.0f}",
        f"{100 * used['all'] / total:.1f} % kept; {shares}",
        "half of the data were left out for hair or poor quality, without rule or list",
    )


def _matrix(paper: Paper, matrix: Array) -> Iterator[Check]:
    yield _spectra(matrix)
    yield _path_lengths(paper, matrix)
    condition = float(np.linalg.cond(matrix))
    unit = matrix / np.linalg.norm(matrix, axis=0)
    cosine = unit.T @ unit
    yield _check(
        "A5",
        "the three columns point in clearly different directions (cosines below 0.9)",
        bool(max(cosine[0, 1], cosine[0, 2], cosine[1, 2]) < 0.9),
        "",
        f"cosines {cosine[0, 1]:.3f} (oxy, deoxy), {cosine[1, 2]:.3f} (deoxy, melanin), "
        f"{cosine[0, 2]:.3f} (oxy, melanin); condition number {condition:.1f}",
        "errors of the two haemoglobins are amplified",
    )


def _spectra(matrix: Array) -> Check:
    """Path lengths cancel in a row's ratio of oxy- to deoxyhaemoglobin; spectra remain."""
    ratio = matrix[:, 0] / matrix[:, 1]
    found = ", ".join(f"{value:.3f}" for value in ratio)
    statement = "oxy- over deoxyhaemoglobin follows the extinction spectra in every band"
    spectra = _read_spectra()
    if spectra is None:
        note = "needs the tables of omlc-spectra, see `replicate data describe omlc-spectra`"
        return _check("A3", statement, None, found, "", note)
    true = (spectra["hbo2"] / spectra["hb"]).to_numpy()
    good = bool(np.all(np.abs(ratio / true - 1) < AGREE))
    return _check("A3", statement, good, found, ", ".join(f"{value:.3f}" for value in true))


def _read_spectra() -> pd.DataFrame | None:
    if manifests.locate(omlc_spectra.DATASET) is None:
        return None
    return omlc_spectra.at(omlc_spectra.load())


def path_lengths(paper: Paper, matrix: Array) -> dict[str, Array]:
    """Divide each column by the absorption of its chromophore, relative to blue.

    Args:
        paper: supplies the wavelengths.
        matrix: equation 23.

    Returns:
        Path lengths in blue, green and red over that in blue (3,), by chromophore; those of
        haemoglobin only where the spectra are at hand.
    """
    table = prose(paper)
    wavelength = np.array(
        [table["camera", band, "wavelength (nm)"] for band in ("Blue", "Green", "Red")]
    )
    spectra = _read_spectra()
    absorption = {"melanin": wavelength**MELANIN_EXPONENT}
    if spectra is not None:
        absorption = {
            "oxyhaemoglobin": spectra["hbo2"].to_numpy(),
            "deoxyhaemoglobin": spectra["hb"].to_numpy(),
            "melanin": spectra["melanosome"].to_numpy(),
        }
    columns = {"oxyhaemoglobin": 0, "deoxyhaemoglobin": 1, "melanin": 2}
    lengths = {name: matrix[:, columns[name]] / mu for name, mu in absorption.items()}
    return {name: length / length[0] for name, length in lengths.items()}


def _path_lengths(paper: Paper, matrix: Array) -> Check:
    lengths = path_lengths(paper, matrix)
    shown = "; ".join(
        f"{name} {', '.join(f'{value:.2f}' for value in each)}" for name, each in lengths.items()
    )
    statement = "the three columns imply the same optical path lengths (relative to blue)"
    if len(lengths) == 1:
        return _check(
            "A4",
            statement,
            None,
            "",
            shown,
            f"melanin by wavelength to the power {MELANIN_EXPONENT:g}; the other columns need the "
            "tables of omlc-spectra",
        )
    table = np.stack(list(lengths.values()))
    return _check("A4", statement, bool(np.ptp(table, axis=0).max() < 0.5), "", shown)


def cone_ratios(matrix: Array) -> Array:
    """Return (2, 3): b_G / b_B and b_R / b_B of each chromophore alone, corners of the cone."""
    return np.asarray(matrix[1:] / matrix[0])


def _cone(matrix: Array, n: int, rng: np.random.Generator) -> Iterator[Check]:
    corner = cone_ratios(matrix)
    w, factor = negative_bound(matrix)
    shown = ", ".join(f"{value:.4f}" for value in w)
    yield _check(
        "A6",
        "the classical inverse can give positive deoxyhaemoglobin where blue absorbs most",
        factor >= 0,
        f"row 2 of the inverse: {shown}",
        f"c₂ ≤ {factor:.4f} b_B",
        "negative for every such colour, whatever the lesion",
    )
    b = random_colours(n, rng)
    c = np.linalg.solve(matrix, b)
    lit = b[0] > 0  # white has no absorbance and no sign
    negative = (c[:, lit] < 0).mean(axis=1)
    yield _check(
        "A7",
        "colours with red ≥ green ≥ blue can have non-negative amounts",
        bool(negative[1] < 1),
        f"green over blue from {corner[0].min():.3f} to "
        f"{corner[0].max():.3f}, red over blue from {corner[1].min():.3f} to "
        f"{corner[1].max():.3f}",
        f"of {int(lit.sum()):,} random colours {100 * negative[1]:.1f} % have negative "
        f"deoxyhaemoglobin, {100 * negative[0]:.1f} % oxyhaemoglobin, {100 * negative[2]:.1f} % "
        "melanin",
        "so negative values say nothing of the quality of another method",
    )


def _boxes(paper: Paper, n: int, rng: np.random.Generator) -> Iterator[Check]:
    table = prose(paper)
    sizes: dict[str, Any] = {
        "n_positive": int(table["data set", "melanoma", "images used"]),
        "n_negative": int(table["data set", "nevus", "images used"]),
    }
    touching = skin_bss_scores.TOUCHING
    chances = ", ".join(
        f"{skin_bss_scores.chance_of_boxes_apart(d, n=n, rng=rng, **sizes):.2f} at d = {d:g}"
        for d in (0.0, 1.0, 1.35, 1.7, 2.0)
    )
    least = 0.75**2
    yield _check(
        "A8",
        "boxes that do not overlap show a clear distinction",
        None,
        "no overlap",
        f"AUC at least {least:.4f}; normal classes: d ≥ {touching:.3f}, AUC "
        f"{skin_bss_scores.normal_auc(touching):.2f}; chance of boxes apart: {chances}",
        "three quarters on either side of a cut are all that is promised",
    )
    errors = ", ".join(
        f"{auc_se(area, scores='exponential', **sizes):.3f} at {area:g}" for area in (0.75, 0.9)
    )
    yield _check(
        "A9",
        "the size of the study bounds an AUC tightly (standard error below 0.02)",
        bool(auc_se(0.9, scores="exponential", **sizes) < 0.02),
        "",
        f"standard error {errors}",
    )
    said = statements(paper)
    single = said[said.index.str.startswith("melanin contribution")]
    whole = said["C_3 (melanin), SCA init"] == "no overlap"
    contradicts = bool(whole and (single == "complete overlap").all())
    yield _check(
        "A10",
        "a sum of three multiples of one amount can separate where each of them does not",
        None if contradicts else True,
        "C₃ no overlap; each band complete overlap",
        "C₃ = (1 + m′₂₃ + m′₃₃) s̄₃, its bands are s̄₃, m′₂₃ s̄₃ and m′₃₃ s̄₃",
        "possible only if the estimated melanin column varies from image to image so that it "
        "makes up for s̄₃",
    )


def _words(paper: Paper) -> Iterator[Check]:
    yield _check(
        "A11",
        "the comparator is the only method for three chromophores",
        False,
        "Section 3: the unique one",
        "the Introduction names three, references 13, 27 and 28",
        "independent component analysis and plain NMF with three components were possible, too",
    )
    yield _check(
        "A12",
        "the whiskers of the box plots are defined in one way",
        False,
        "values outside the box are outliers; bars are minimum and maximum",
        "",
        "both cannot hold",
    )
    columns = prose(paper).index.get_level_values("column")
    names = sorted({str(name) for name in columns if str(name).endswith("evus")})
    yield _check(
        "A13",
        "the classes have one name each throughout",
        False,
        "nevus, neavus and naevus",
        f"one class; the tables here say {', '.join(names)}",
    )


def _check(
    id: str, statement: str, status: bool | None, printed: str, recomputed: str, note: str = ""
) -> Check:
    """Make a check; a status of None is one that the numbers cannot decide."""
    word: Status = "undecidable" if status is None else "pass" if status else "fail"
    return Check(id, statement, word, printed, recomputed, note)
