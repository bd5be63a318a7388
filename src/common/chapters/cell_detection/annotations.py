"""The real boxes of the paper's 150 regions: counts, votes, the grid of patches, planted scores.

The images are not needed: everything here follows from the boxes and votes of MIDOG++.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common.chapters.cell_detection.cohorts import FIGURE, LOOK_ALIKE, implied_error
from common.chapters.cell_detection.scores import Detections, slide_values
from common.datasets.cases import Cases
from common.metrics.average_precision import IOUS
from common.metrics.detection_records import Pooled

PATCH_PX = 512
N_CASES = 150
_SCANNER = {"Hamamatsu XR": "A", "Hamamatsu S360": "B", "Aperio CS2": "C"}


@dataclass(frozen=True)
class Regions:
    """The annotations of the 150 regions.

    Attributes:
        table: one row a region: ``case, scanner, width_px, height_px``.
        cells: one row a box: ``case, scanner, label, y, x`` (corner, pixels), ``disputed`` (needed
            a third vote), ``patch`` (the patch of the grid that holds its centre, with the case's
            name) and ``cut`` (reaches over the border of that patch).
    """

    table: pd.DataFrame
    cells: pd.DataFrame


def regions(cases: Cases) -> Regions:
    """Read the boxes of the paper's regions.

    Args:
        cases: of :mod:`common.datasets.midogpp_annotations`.
    """
    chosen = cases.where(cases.table["case"].astype(int) <= N_CASES)
    table = chosen.table.assign(scanner=chosen.table["site"].map(_SCANNER))
    parts = []
    for case, scanner in zip(chosen, table["scanner"], strict=True):
        boxes = case.target["boxes"]
        centre = (boxes[:, :2] + boxes[:, 2:]) / 2
        place = (centre // PATCH_PX).astype(int)
        low, high = place * PATCH_PX, (place + 1) * PATCH_PX
        parts.append(
            pd.DataFrame(
                {
                    "case": case.case,
                    "scanner": scanner,
                    "label": case.target["labels"],
                    "y": boxes[:, 0],
                    "x": boxes[:, 1],
                    "disputed": [len(votes) > 2 for votes in case.info["votes"]],
                    "patch": [f"{case.case}-{y}-{x}" for y, x in place],
                    "cut": ((boxes[:, :2] < low) | (boxes[:, 2:] > high)).any(axis=1),
                }
            )
        )
    return Regions(
        table[["case", "scanner", "width_px", "height_px"]], pd.concat(parts, ignore_index=True)
    )


def n_patches(found: Regions) -> "pd.Series[int]":
    """Count the patches of a grid without overlap that covers each scanner's regions."""
    rows, columns = (-(-found.table[f"{side}_px"] // PATCH_PX) for side in ("height", "width"))
    return (rows * columns).groupby(found.table["scanner"]).sum()


def summary(found: Regions) -> pd.DataFrame:
    """Count by scanner what the experiment's design depends on.

    Returns:
        Columns are the scanners; shares in percent.
    """
    figures = found.cells[found.cells["label"] == FIGURE]
    others = found.cells[found.cells["label"] == LOOK_ALIKE]
    count = figures.groupby("case").size().reindex(found.table["case"], fill_value=0)
    columns = {}
    for scanner, cases in found.table.groupby("scanner")["case"]:
        own, other = (part[part["scanner"] == scanner] for part in (figures, others))
        each = count[cases].sort_values()
        with_figure = set(own["patch"])
        columns[scanner] = {
            "regions": len(cases),
            "mitotic figures": len(own),
            "look-alikes": len(other),
            "figures a region, mean": each.mean(),
            "figures a region, median": each.median(),
            "regions without a figure": int((each == 0).sum()),
            "figures in the 5 richest regions (%)": 100 * each.tail(5).sum() / each.sum(),
            "patches of 512 px": int(n_patches(found)[str(scanner)]),
            "patches with a figure": len(with_figure),
            "patches with look-alikes only": len(set(other["patch"]) - with_figure),
            "figures cut by the grid (%)": 100 * own["cut"].mean(),
            "figures that needed a third vote (%)": 100 * own["disputed"].mean(),
            "look-alikes that did (%)": 100 * other["disputed"].mean(),
        }
    # counts stay whole beside shares
    return pd.DataFrame({name: pd.Series(each, dtype=object) for name, each in columns.items()})


def readers(found: Regions) -> dict[str, float]:
    """Say how often two readers differ, and how often each errs if they err independently."""
    disputed = float(found.cells["disputed"].mean())
    return {"disputed": disputed, "error": implied_error(disputed)}


def planted(
    found: Regions, scanner: str, score: NDArray[np.float64], *, positive: bool
) -> Detections:
    """Score the real boxes of a scanner as a detector that finds every box, and nothing else.

    Boxes sit exactly, so that all IoU thresholds agree.

    Args:
        found: the annotations.
        scanner: A, B or C.
        score: of each of its boxes, figures and look-alikes, in their order.
        positive: look only at patches that hold a figure.

    Returns:
        Detections whose units are the regions.
    """
    own = found.cells[found.cells["scanner"] == scanner]
    names = tuple(found.table.loc[found.table["scanner"] == scanner, "case"])
    if positive:
        kept = own["patch"].isin(own.loc[own["label"] == FIGURE, "patch"]).to_numpy()
        own, score = own[kept], score[kept]
    scan = own["case"].map({name: i for i, name in enumerate(names)}).to_numpy(dtype=np.intp)
    figure = (own["label"] == FIGURE).to_numpy()
    number = own.assign(figure=figure).groupby("case")["figure"].cumsum().to_numpy() - 1
    lesion = np.where(figure, number, -1).astype(np.intp)
    lesions = np.bincount(scan[figure], minlength=len(names)).astype(np.intp)
    pool = Pooled(score, scan, lesion, lesions)
    return Detections((pool,) * len(IOUS), np.arange(len(names), dtype=np.intp), names)


def draw_scores(
    found: Regions,
    scanner: str,
    separation: float,
    *,
    correlation: float = 1.0,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw the scores of two detectors for the boxes of a scanner.

    Look-alikes from N(0, 1), figures from N(separation, 1), the two detectors' noise correlated.

    Args:
        found: the annotations.
        scanner: A, B or C.
        separation: how far figures stand out, in standard deviations; at 0 a detector cannot tell
            them from look-alikes.
        correlation: of the two detectors' noise, 0 to 1.
        rng: source of randomness.
    """
    own = found.cells[found.cells["scanner"] == scanner]
    shift = separation * (own["label"] == FIGURE).to_numpy()
    one, other = rng.standard_normal((2, len(own)))
    second = correlation * one + np.sqrt(1 - correlation**2) * other
    return one + shift, second + shift


def inflation(
    found: Regions,
    *,
    separations: Sequence[float] = (0.0, 1.0, 2.0),
    rng: np.random.Generator,
    n: int = 20,
) -> pd.DataFrame:
    """Compute AP50 of planted detectors on patches with a figure and on all patches.

    Args:
        found: the annotations.
        separations: see :func:`draw_scores`.
        rng: source of randomness.
        n: draws that are averaged.

    Returns:
        Rows (scanner, separation); ``positive, everywhere`` as fractions.
    """
    rows = []
    for scanner in sorted(found.table["scanner"].unique()):
        for separation in separations:
            each = []
            for _ in range(n):
                score, _ = draw_scores(found, scanner, separation, rng=rng)
                views = [planted(found, scanner, score, positive=only) for only in (True, False)]
                each.append([view.score("ap50") for view in views])
            positive, everywhere = np.mean(each, axis=0)
            rows.append((scanner, separation, positive, everywhere))
    names = ["scanner", "separation", "positive", "everywhere"]
    return pd.DataFrame(rows, columns=names).set_index(["scanner", "separation"])


def sampling_error(
    found: Regions,
    *,
    separation: float = 1.0,
    correlations: Sequence[float] = (0.5, 0.8, 0.95),
    positive: bool = True,
    rng: np.random.Generator,
    n: int = 20,
) -> pd.DataFrame:
    """Compute how far AP50, and a difference of two, move with other regions of the same kind.

    Args:
        found: the annotations.
        separation: of both detectors, see :func:`draw_scores`.
        correlations: of the two detectors' noise.
        positive: look only at patches that hold a figure.
        rng: source of randomness.
        n: draws that are averaged.

    Returns:
        Rows are the scanners; ``one`` and, for each correlation, the standard error by the
        jackknife over the 50 regions (fractions).
    """
    rows = {}
    for scanner in sorted(found.table["scanner"].unique()):
        errors: dict[str, list[float]] = {}
        for correlation in correlations:
            for _ in range(n):
                pair = draw_scores(found, scanner, separation, correlation=correlation, rng=rng)
                first, second = (
                    slide_values(planted(found, scanner, each, positive=positive), "ap50")
                    for each in pair
                )
                errors.setdefault("one", []).append(_jackknife_error(first))
                errors.setdefault(f"{correlation:g}", []).append(_jackknife_error(first - second))
        rows[scanner] = {name: float(np.mean(each)) for name, each in errors.items()}
    return pd.DataFrame(rows).T.rename_axis("scanner")


def _jackknife_error(values: NDArray[np.float64]) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values)))
