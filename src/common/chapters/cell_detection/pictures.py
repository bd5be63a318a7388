"""Pictures of the page: boxes on patches, AP over centre error, gains by pair."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from common.chapters.cell_detection import offsets
from common.chapters.cell_detection.cohorts import SCANNERS, Patches
from common.chapters.cell_detection.experiment import Outcome, examples
from common.plotstyle import INK, PALETTE, QUIET, RULE, WIDTH_PX, arm_styles, canvas, style

Values = NDArray[np.float64]

_SHOWN = 0.3  # least score of a box that is drawn


def boxed(
    axes: Axes, image: NDArray[np.uint8], boxes: Values, *, color: str, dashed: bool = False
) -> None:
    """Draw a patch (3, S, S), if not yet drawn, and boxes (k, 4) on it."""
    if not axes.images:
        axes.imshow(np.moveaxis(image, 0, 2))
        axes.set_xticks([])
        axes.set_yticks([])
    for y0, x0, y1, x1 in boxes:
        axes.add_patch(
            Rectangle(
                (x0 - 0.5, y0 - 0.5),
                x1 - x0,
                y1 - y0,
                fill=False,
                ec=color,
                lw=1.4 if dashed else 2.0,
                ls=":" if dashed else "-",
            )
        )


def scanners(tested: Mapping[tuple[str, float], Patches], shift: float, *, n: int = 6) -> Figure:
    """Show the same patches under each scanner, with their boxes."""
    with style():
        figure, grid = canvas(int(3 * (WIDTH_PX / n + 10)), rows=3, columns=n)
        for row, scanner in zip(grid, SCANNERS, strict=True):
            patches = tested[scanner, shift]
            for axes, i in zip(row, examples(patches, n=n), strict=False):
                boxed(axes, patches.image[i], patches.reference()[i], color="black")
            row[0].set_ylabel(scanner, rotation=0, labelpad=12)
        for axes in grid.flat:
            _blank(axes)
    return figure


def _blank(axes: Axes) -> None:
    if not axes.images:
        axes.set_axis_off()


def detections(
    outcome: Outcome,
    tested: Mapping[tuple[str, float], Patches],
    arms: Mapping[str, str],
    *,
    shift: float,
) -> Figure:
    """Show what the arms find in the same patches under each scanner.

    Args:
        outcome: of a run; its examples are drawn.
        tested: patches by scanner and shift.
        arms: label by arm, in the order of the rows.
        shift: distance of the scanners.
    """
    looks = arm_styles(list(arms))
    chosen = examples(tested[SCANNERS[0], shift])
    columns = [(scanner, k) for k in range(len(chosen)) for scanner in SCANNERS]
    with style():
        side = WIDTH_PX / (len(columns) + 0.6)
        figure, grid = canvas(int(len(arms) * side) + 24, rows=len(arms), columns=len(columns))
        for line, (arm, label) in zip(grid, arms.items(), strict=True):
            line[0].set_ylabel(label, fontsize=10)
            for axes, (scanner, k) in zip(line, columns, strict=True):
                patches = tested[scanner, shift]
                boxes, score = (each[k] for each in outcome.examples[arm, scanner])
                kept, color = score >= _SHOWN, looks[arm]["color"]
                boxed(axes, patches.image[chosen[k]], boxes[kept], color=color)
                reference = patches.reference()[chosen[k]]
                boxed(axes, patches.image[chosen[k]], reference, color="black", dashed=True)
                _scores(axes, boxes[kept], score[kept])
        for axes, (scanner, _) in zip(grid[0], columns, strict=True):
            axes.set_title(scanner, loc="center")
    return figure


def _scores(axes: Axes, boxes: Values, score: Values) -> None:
    for box, value in zip(boxes, score, strict=True):
        axes.annotate(
            f"{value:.2f}",
            (box[1], box[0]),
            va="bottom",
            fontsize=9,
            bbox={"fc": "white", "ec": "none", "alpha": 0.75, "pad": 0.5},
        )


def centre_error(printed: pd.DataFrame, *, highest: float = 5.0) -> Figure:
    """Draw AP75 and AP50:95 over AP50 against the error of centres, with the printed ratios.

    Args:
        printed: of :func:`common.chapters.cell_detection.audit.centre_errors`.
        highest: end of the axis (pixels).
    """
    sigma = np.linspace(0, highest, 51)
    looks = arm_styles(["AP75", "AP50:95"])
    with style():
        figure, grid = canvas(320, columns=2, sharey=True)
        for axes, both, title in zip(
            grid[0],
            (False, True),
            ("a box that is off is missed", "... and a false positive"),
            strict=True,
        ):
            base = np.array([offsets.expected_ap(s, 0.5, both=both) for s in sigma])
            curves = {
                "AP75": [offsets.expected_ap(s, 0.75, both=both) for s in sigma] / base,
                "AP50:95": [offsets.expected_mean(s, both=both) for s in sigma] / base,
            }
            at = printed["both" if both else "missed"]
            for name, column, dash in (("AP75", "ratio", "-"), ("AP50:95", "mean", "--")):
                look = looks[name]
                axes.plot(
                    sigma, curves[name], color=look["color"], ls=dash, label=f"{name}, expected"
                )
                axes.plot(at, printed[column], ls="", ms=6, label=f"{name}, printed", **look)
            axes.set(title=title, xlabel="centre error (px an axis)", ylim=(0.4, 1.02))
            axes.grid(axis="y")
        grid[0, 0].set_ylabel("share of AP50")
        grid[0, 0].legend(loc="lower left")
    return figure


def offset_square(dx: float) -> Figure:
    """Show a square of 50 px and one of the same size that is off to the right."""
    side = offsets.SIDE_PX
    iou = float(offsets.iou_of_offset(0.0, dx))
    passed = [f"{t:.2f}" for t in (0.5, 0.75, 0.95) if iou >= t]
    with style():
        figure, grid = canvas(190, width=360)
        axes = grid[0, 0]
        axes.add_patch(Rectangle((0, 0), side, side, fc=RULE, ec=INK, lw=1.5))
        axes.add_patch(Rectangle((dx, 0), side, side, fill=False, ec=PALETTE[1], lw=2.5))
        axes.set(xlim=(-6, 86), ylim=(-6, 56), aspect="equal")
        axes.set_axis_off()
        axes.set_title(f"IoU {iou:.2f}: passes {', '.join(passed) or 'nothing'}")
    return figure


def gains(rows: pd.DataFrame, *, comparisons: Sequence[str]) -> Figure:
    """Draw printed and replicated gains of every pair.

    Args:
        rows: ``pair, comparison, kind, value, low, high`` (points); printed gains have no interval.
        comparisons: those wanted, one panel each.
    """
    pairs = list(dict.fromkeys(rows["pair"]))
    kinds = [kind for kind in dict.fromkeys(rows["kind"]) if kind != "published"]
    looks = arm_styles(kinds)
    with style():
        figure, grid = canvas(60 + 44 * len(pairs), columns=len(comparisons), sharey=True)
        for axes, comparison in zip(grid[0], comparisons, strict=True):
            axes.axvline(0, color=QUIET, lw=1)
            part = rows[rows["comparison"] == comparison]
            for number, kind in enumerate(["published", *kinds]):
                mine = part[part["kind"] == kind]
                y = [pairs.index(pair) + 0.22 * number - 0.2 for pair in mine["pair"]]
                if kind == "published":
                    axes.plot(
                        mine["value"], y, "o", mfc="white", color=INK, mew=1.6, label="published"
                    )
                    continue
                axes.hlines(y, mine["low"], mine["high"], color=looks[kind]["color"], lw=2)
                axes.plot(mine["value"], y, ls="", ms=6, label=kind, **looks[kind])
            axes.set(title=comparison, xlabel="gain in AP50 (points)")
            axes.grid(axis="x")
        grid[0, 0].set_yticks(range(len(pairs)), pairs)
        grid[0, 0].invert_yaxis()
        handles, names = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper left", ncols=4)
    return figure
