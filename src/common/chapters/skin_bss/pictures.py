"""Figures of the skin-bss page."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from common.chapters.skin_bss.exclusion import BIASES
from common.datasets import skin_lesion_phantom as phantom
from common.models import skin_bss, skin_bss_scores
from common.plotstyle import INK, PALETTE, QUIET, RULE, arm_styles, canvas, style

Array = NDArray[np.float64]

_LABELS = ("$b_G / b_B$", "$b_R / b_B$")
_CLASSES = ("naevus", "melanoma")
_MAP_PX = 200  # longest side of a map on the page


def ratio_plane(X: Array, columns: Array, true: Array, *, length: int) -> Figure:
    """Show the slices of one image in the plane of their ratios.

    Args:
        X (3, N): absorbances.
        columns (3, 3): the estimated matrix, first row ones.
        true (3, 3): the true matrix.
        length: pixels of a slice.
    """
    mean, variance, _ = skin_bss.slice_ratios(X, length=length)
    spread = np.log10(np.maximum(variance.sum(axis=0), 1e-8))
    order = np.argsort(-spread)  # pure slices on top
    with style():
        figure, grid = canvas(380)
        axes = grid[0, 0]
        drawn = axes.scatter(
            *mean[:, order], c=spread[order], s=6, cmap="cividis", linewidths=0, rasterized=True
        )
        corner = true[1:] / true[0]
        axes.plot(*corner, "s", mfc="none", mec=INK, ms=13, mew=1.6, label="true column")
        axes.plot(*columns[1:], "x", color=PALETTE[1], ms=10, mew=2.4, label="accepted column")
        axes.set(xlabel=_LABELS[0], ylabel=_LABELS[1])
        axes.grid()
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2)
        figure.colorbar(drawn, ax=axes, label="variance in the slice (log$_{10}$)")
    return figure


def purity(
    *, n: int, seed: int, size: int, zone_length: int, length: int, threshold: float
) -> Callable[[float], Figure]:
    """Return a picture of :func:`ratio_plane` with a dial: what is left of others in a zone.

    Args:
        n: images of the cohort of which the first melanoma is shown.
        seed: of the phantom.
        size: side (pixels).
        zone_length: height of a zone (pixels).
        length: pixels of a slice.
        threshold: least distance of two columns.
    """

    def draw(floor: float) -> Figure:
        cases = phantom.phantom(n, seed, size=size, zone_length=zone_length, floor=floor)
        case = next(case for case in cases if case.target["label"] == 1)
        X = skin_bss.absorbance(np.asarray(case.image), srgb=False)
        columns = skin_bss.sparse_columns(X, length=length, threshold=threshold)
        return ratio_plane(X, columns, case.info["mixing"][::-1], length=length)

    return draw


def cone(matrix: Array, pixels: Mapping[str, Array]) -> Figure:
    """Show pixels beside the colours that non-negative amounts can make with a matrix.

    Args:
        matrix (3, 3): mixing matrix, rows blue, green, red.
        pixels: absorbances (3, N) by name.
    """
    corner = matrix[1:] / matrix[0]
    looks = arm_styles(list(pixels))
    with style():
        figure, grid = canvas(380)
        axes = grid[0, 0]
        axes.fill(*corner, color=RULE, alpha=0.8, lw=0)
        for (x, y), name in zip(corner.T, skin_bss.CHROMOPHORES, strict=True):
            axes.plot(x, y, "s", color=INK, ms=7)
            axes.annotate(name, (x, y), xytext=(8, 0), textcoords="offset points", va="center")
        for name, X in pixels.items():
            lit = X[:, X[0] > 0.05]
            kept = lit[:, :: max(1, lit.shape[1] // 1500)]
            axes.plot(
                kept[1] / kept[0],
                kept[2] / kept[0],
                ls="",
                ms=3,
                alpha=0.5,
                mew=0,
                label=name,
                **looks[name],
            )
        axes.axvline(1, color=QUIET, lw=1, ls=":")
        axes.axhline(1, color=QUIET, lw=1, ls=":")
        axes.set(xlabel=_LABELS[0], ylabel=_LABELS[1], xlim=(-0.1, 5.4), ylim=(-0.1, 1.7))
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=4, markerscale=3)
    return figure


@dataclass(frozen=True)
class Row:
    """One row of maps.

    Args:
        name: written at its left.
        sources (3, height * width): pixels column by column.
        shape: height and width.
        image (3, height, width): the photograph, shown at the left; None for an empty place.
        mask (height * width,): the lesion, drawn as an outline on the photograph.
    """

    name: str
    sources: Array
    shape: tuple[int, int]
    image: NDArray[np.generic] | None = None
    mask: NDArray[np.bool_] | None = None


def maps(rows: Sequence[Row]) -> Figure:
    """Show chromophore maps below each other, with a colour map that tells the sign.

    Each map has a scale of its own, because the scale of a source is free.

    Args:
        rows: see :class:`Row`.
    """
    tall = int(np.mean([120 * height / width for height, width in (row.shape for row in rows)]))
    with style():
        figure, grid = canvas(30 + (tall + 22) * len(rows), rows=len(rows), columns=4)
        for place, row in enumerate(rows):
            _photograph(grid[place, 0], row)
            for j, label in enumerate(skin_bss.CHROMOPHORES):
                _map(figure, grid[place, j + 1], row, j)
                grid[place, j + 1].set_title(label if place == 0 else "", fontsize=10, loc="center")
    return figure


def _map(figure: Figure, axes: Axes, row: Row, j: int) -> None:
    each = skin_bss.as_maps(row.sources[j], row.shape).astype(np.float64)
    largest = float(np.quantile(np.abs(each), 0.995)) or 1.0
    step = max(1, max(row.shape) // _MAP_PX)
    norm = TwoSlopeNorm(0.0, -largest, largest)
    drawn = axes.imshow(each[::step, ::step], cmap="PuOr_r", norm=norm)
    axes.set_axis_off()
    bar = figure.colorbar(drawn, ax=axes, shrink=0.8, pad=0.02)
    bar.ax.tick_params(labelsize=7)


def _photograph(axes: Axes, row: Row) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.set_ylabel(row.name, fontsize=10)
    if row.image is None:
        axes.set_box_aspect(row.shape[0] / row.shape[1])
        return
    step = max(1, max(row.shape) // _MAP_PX)
    shown = np.moveaxis(row.image, 0, -1)[::step, ::step]
    axes.imshow(shown if shown.dtype == np.uint8 else np.clip(shown, 0, 1))
    if row.mask is not None:
        outline = skin_bss.as_maps(row.mask, row.shape).astype(np.float64)[::step, ::step]
        axes.contour(outline, levels=[0.5], colors=[PALETTE[4]], linewidths=1.2)


def box_plots(
    scores: Mapping[str, tuple[Array, NDArray[np.int64]]],
    areas: Mapping[str, tuple[float, float, float]],
    *,
    columns: int = 3,
    label: str = "absorbance",
) -> Figure:
    """Draw the boxes of both classes for several scores, each with its AUC.

    Args:
        scores: by name, scores (n,) and classes (n,).
        areas: by name, AUC and the ends of its interval.
        columns: panels in a row.
        label: what the scores are, with their unit.
    """
    rows = -(-len(scores) // columns)
    with style():
        figure, grid = canvas(215 * rows, rows=rows, columns=columns)
        for axes in grid.flat:
            axes.set_axis_off()
        for place, (name, (value, code)) in enumerate(scores.items()):
            axes = grid.flat[place]
            axes.set_axis_on()
            parts = axes.boxplot(
                [value[code == k] for k in (0, 1)], whis=(0, 100), widths=0.6, patch_artist=True
            )
            for k, box in enumerate(parts["boxes"]):
                box.set(facecolor=PALETTE[k], alpha=0.55)
            for line in parts["medians"]:
                line.set(color=INK)
            area, low, high = areas[name]
            apart = "apart" if skin_bss_scores.boxes(value, code).apart else "overlap"
            title = f"{name}\nAUC {area:.2f} [{low:.2f}, {high:.2f}], boxes {apart}"
            axes.set_title(title, fontsize=9)
            axes.set_xticks([1, 2], _CLASSES)
            if place % columns == 0:
                axes.set_ylabel(label)
            axes.grid(axis="y")
    return figure


def starts(records: pd.DataFrame) -> Figure:
    """Show where starts lead: cost against correlation, and correlation against AUC.

    Args:
        records: of :func:`common.chapters.skin_bss.experiment.run`.
    """
    wide = records[records["metric"].isin(["start_auc", "start_r", "start_cost"])]
    wide = wide[wide["group"].isin(["main", "zones 0"])]
    keys = ["group", "arm", "cluster", "seed"]
    points = wide.pivot_table("value", keys, "metric", observed=True).reset_index()
    kinds = {
        ("random-nmf", "main"): "random start, main",
        ("random-nmf", "zones 0"): "random start, no zones",
        ("sca-nmf", "main"): "SCA start, main",
        ("sca-nmf", "zones 0"): "SCA start, no zones",
    }
    looks = arm_styles(list(kinds.values()))
    with style():
        figure, grid = canvas(320, columns=2)
        for (arm, group), name in kinds.items():
            mine = points[(points["arm"] == arm) & (points["group"] == group)]
            for axes, x, y in (
                (grid[0, 0], "start_cost", "start_r"),
                (grid[0, 1], "start_r", "start_auc"),
            ):
                axes.plot(mine[x], mine[y], ls="", ms=6, alpha=0.8, label=name, **looks[name])
                axes.grid()
        grid[0, 0].set(xscale="log", xlabel="cost (share of power)", ylabel="correlation r")
        grid[0, 1].axhline(0.5, color=QUIET, lw=1, ls=":")
        grid[0, 1].set(xlabel="correlation r", ylabel="AUC of $C_3$")
        figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside upper left", ncols=2)
    return figure


def cost_paths(paths: Mapping[str, ArrayLike], *, floor: float = 1e-12) -> Figure:
    """Draw costs over the rounds of alternating least squares.

    Args:
        paths: by name, cost as a share of power after each round.
        floor: smaller costs are drawn there.
    """
    looks = arm_styles(list(paths))
    with style():
        figure, grid = canvas(300)
        axes = grid[0, 0]
        for name, path in paths.items():
            values = np.maximum(np.asarray(path, dtype=np.float64), floor)
            rounds = np.arange(1, len(values) + 1)
            axes.plot(
                rounds, values, ms=5, markevery=max(1, len(values) // 8), label=name, **looks[name]
            )
        axes.set(xlabel="round", ylabel="cost (share of power)", xscale="log", yscale="log")
        axes.grid()
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2)
    return figure


def exclusion(records: pd.DataFrame) -> Figure:
    """Show what choosing half of the images does to AUC and boxes, with and without an effect.

    Args:
        records: of :func:`common.chapters.skin_bss.exclusion.run`.
    """
    mine = records[records["group"].astype(str).str.startswith("excluded")]
    groups = {"excluded, gap 0.35": "classes differ", "excluded, gap 0": "classes do not differ"}
    looks = arm_styles(list(groups.values()))
    panels = {"auc": "AUC of $C_3$", "box_gap": "distance of the boxes\n(mean heights)"}
    with style():
        figure, grid = canvas(310, columns=2)
        for axes, (metric, label), none in zip(grid[0], panels.items(), (0.5, 0.0), strict=True):
            for group, name in groups.items():
                part = mine[(mine["metric"] == metric) & (mine["group"] == group)]
                lines = part.pivot_table("value", "cluster", "arm", observed=True)
                y = lines[[f"half-{bias:g}" for bias in BIASES]]
                axes.plot(BIASES, y.to_numpy().T, color=looks[name]["color"], alpha=0.3, lw=1)
                axes.plot(BIASES, y.mean(), label=name, ms=6, **looks[name])
                whole = lines["all-images"].mean()
                axes.plot(-0.08, whole, ls="", mfc="white", ms=7, **looks[name])
            axes.axhline(none, color=QUIET, lw=1, ls=":")
            axes.set(xlabel="share of the choice that looks at fit", ylabel=label)
            axes.grid()
        figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside upper left", ncols=2)
    return figure


def normal_boxes(effect: float, *, sizes: Sequence[int], rng: np.random.Generator) -> Figure:
    """Draw boxes of normal samples that lie a given number of standard deviations apart.

    Args:
        effect: distance of the means in standard deviations.
        sizes: cases of the lower and of the higher class.
        rng: source of the draws; six studies are drawn.
    """
    with style():
        figure, grid = canvas(230, columns=6, sharey=True)
        for axes in grid[0]:
            first, second = rng.normal(0, 1, sizes[0]), rng.normal(effect, 1, sizes[1])
            parts = axes.boxplot([first, second], whis=(0, 100), widths=0.6, patch_artist=True)
            for box, color in zip(parts["boxes"], PALETTE[:2], strict=True):
                box.set(facecolor=color, alpha=0.55)
            value = np.concatenate([first, second])
            code = np.repeat([0, 1], sizes)
            apart = skin_bss_scores.boxes(value, code).apart
            axes.set_title("apart" if apart else "overlap", fontsize=10)
            axes.set_xticks([])
            axes.set_ylim(-4, 6)
        grid[0, 0].set_ylabel("score (SD)")
        area = skin_bss_scores.normal_auc(effect)
        figure.suptitle(f"d = {effect:g}, AUC of the population {area:.2f}", fontsize=11)
    return figure
