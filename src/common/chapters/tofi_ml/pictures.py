"""Figures of the ToFi-ML page that no other chapter needs."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import ndimage

from common.chapters.tofi_ml.curves import median_band
from common.chapters.tofi_ml.features import Fingerprints
from common.chapters.tofi_ml.materials import COMPONENTS, LOOPS
from common.models import tofi_ml
from common.plotstyle import INK, PALETTE, QUIET, RULE, canvas, style

_SQUARE = np.ones((3, 3), dtype=int)
# background, joined dark pixels, holes
_THREE = ListedColormap(["#f2f4f5", INK, PALETTE[1]])
# below it the noise of the black surround makes a spike that would flatten everything else
_PAST_BLACK = 3 * 15
CLASS_LOOKS = {0: (PALETTE[0], "-", "normal"), 1: (PALETTE[1], "--", "disease")}


def parts(field: NDArray[np.integer], level: int) -> NDArray[np.int64]:
    """Mark each pixel of a sublevel set: 0 bright and open, 1 dark, 2 bright and closed in.

    Args:
        field (height, width): in thirds of a grey level.
        level: threshold, in the same unit.

    Returns:
        (height, width).

    Example:
        >>> parts(np.array([[0, 0, 0], [0, 9, 0], [0, 0, 0]]), 3).tolist()[1]
        [1, 2, 1]
    """
    dark = field <= level
    bright, _ = ndimage.label(np.pad(~dark, 1, constant_values=True))
    closed = bright[1:-1, 1:-1] != bright[0, 0]
    return np.where(dark, 1, np.where(closed, 2, 0))


def filtration(field: NDArray[np.integer], gray: float) -> Figure:
    """Show one sublevel set and where it stands on both Betti curves.

    Args:
        field (height, width): in thirds of a grey level.
        gray: threshold (grey levels).
    """
    level = round(3 * gray)
    curves = tofi_ml.betti(field)
    values = np.arange(tofi_ml.N_LEVELS) / 3
    with style():
        figure, grid = canvas(300, columns=2, width_ratios=(1, 1.5))
        left, right = grid[0]
        left.imshow(parts(field, level), cmap=_THREE, vmin=0, vmax=2)
        left.set_axis_off()
        left.set_title(f"gray ≤ {gray:g}")
        for k, (color, dash) in enumerate(((PALETTE[0], "-"), (PALETTE[1], "--"))):
            name = ("components", "holes")[k]
            right.plot(values, curves[k], color=color, ls=dash, label=rf"$\beta_{k}$, {name}")
            right.plot(gray, curves[k, level], "o", color=color, ms=8)
            right.annotate(
                f" {curves[k, level]}", (gray, curves[k, level]), color=color, va="bottom"
            )
        right.axvline(gray, color=RULE, zorder=0)
        right.set(xlabel="threshold (gray level)", ylabel="count", xlim=(0, 255))
        right.set_ylim(0, 1.15 * curves[:, _PAST_BLACK:].max())
        right.legend(loc="upper right")
    return figure


def sublevels(field: NDArray[np.integer], grays: Sequence[float]) -> Figure:
    """Show several sublevel sets side by side, with their counts.

    Args:
        field (height, width): in thirds of a grey level.
        grays: thresholds (grey levels).
    """
    curves = tofi_ml.betti(field)
    with style():
        figure, grid = canvas(720 // len(grays) + 40, columns=len(grays))
        for axes, gray in zip(grid[0], grays, strict=True):
            level = round(3 * gray)
            axes.imshow(parts(field, level), cmap=_THREE, vmin=0, vmax=2)
            axes.set_axis_off()
            axes.set_title(
                rf"gray ≤ {gray:g}: $\beta_0$ {curves[0, level]}, $\beta_1$ {curves[1, level]}",
                fontsize=10,
            )
    return figure


def toy(image: NDArray[np.integer]) -> Figure:
    """Show the toy image and its five sublevel sets with their Betti numbers."""
    curves = tofi_ml.betti(image)
    with style():
        figure, grid = canvas(160, columns=6)
        grid[0, 0].imshow(image, cmap="gray", vmin=0, vmax=6)
        for (y, x), value in np.ndenumerate(image):
            dark = value < 3
            grid[0, 0].text(
                x, y, value, ha="center", va="center", color="white" if dark else INK, fontsize=8
            )
        grid[0, 0].set_title("image", fontsize=10)
        for axes, level in zip(grid[0, 1:], range(1, 6), strict=True):
            axes.imshow(parts(image, level), cmap=_THREE, vmin=0, vmax=2)
            axes.set_title(
                rf"≤ {level}: $\beta_0$ {curves[0, level]}, $\beta_1$ {curves[1, level]}",
                fontsize=9,
            )
        for axes in grid.flat:
            axes.set_axis_off()
    return figure


_PANELS = {
    "dr": ("retinopathy", 1, LOOPS),
    "amd": ("degeneration", 1, None),
    "glaucoma": ("glaucoma", 0, COMPONENTS),
}


def median_curves(sets: Mapping[str, Fingerprints]) -> Figure:
    """Draw the median grey Betti curves of both classes with bands of the middle 40 %.

    Args:
        sets: see :func:`common.chapters.tofi_ml.materials.curve_sets`.
    """
    with style():
        figure, grid = canvas(300, columns=3)
        for axes, (name, (title, dimension, levels)) in zip(grid[0], _PANELS.items(), strict=True):
            _class_curves(axes, sets[name].curves[:, 0, dimension], sets[name].label)
            if levels is not None:
                axes.axvspan(*levels, color=RULE, alpha=0.6, lw=0, zorder=0)
            axes.set_title(title)
            axes.set_xlabel("gray level")
            axes.set_ylabel(f"{('components', 'loops')[dimension]} per image")
        grid[0, 0].legend(loc="upper left")
    return figure


def _class_curves(axes: Axes, curves: NDArray[np.integer], label: NDArray[np.integer]) -> None:
    """Draw median and band of each class over the grey levels where there is anything."""
    values, highest = np.arange(tofi_ml.N_LEVELS) / 3, 0.0
    for number, (color, dash, name) in CLASS_LOOKS.items():
        low, middle, high = median_band(curves[label == number])
        highest = max(highest, high[_PAST_BLACK:].max())
        axes.fill_between(values, low, high, color=color, alpha=0.22, lw=0)
        axes.plot(values, middle, color=color, ls=dash, label=name)
    axes.set(xlim=(0, 255), ylim=(0, 1.15 * highest))


def by_size(ratios: pd.DataFrame) -> Figure:
    """Draw the ratio of the classes' median counts over the size of the images.

    Args:
        ratios: ``what``, ``size`` (pixels), ``ratio``, ``low``, ``high``.
    """
    with style():
        figure, grid = canvas(260)
        axes = grid[0, 0]
        looks = ((PALETTE[0], "o"), (PALETTE[1], "s"))
        groups = ratios.groupby("what", sort=False)
        for place, ((what, part), (color, marker)) in enumerate(zip(groups, looks, strict=False)):
            x = np.arange(len(part)) + 0.1 * (place - 0.5)
            axes.vlines(x, part["low"], part["high"], color=color, lw=2)
            axes.plot(x, part["ratio"], ls=":", color=color, marker=marker, label=str(what))
            axes.set_xticks(range(len(part)), [f"{size} px" for size in part["size"]])
        axes.axhline(1, color=QUIET, lw=1)
        axes.set_yscale("log", base=2)
        axes.set_yticks([0.25, 0.5, 1, 2, 4], ["1/4", "1/2", "1", "2", "4"])
        axes.set(xlabel="side of the image", ylabel="disease over normal")
        axes.legend(loc="lower center")
    return figure


def real_curves(found: Fingerprints, classes: Sequence[str]) -> Figure:
    """Draw the grey Betti curves of every image of a small real data set.

    Args:
        found: fingerprints.
        classes: names of the labels 0 and 1.
    """
    values = np.arange(tofi_ml.N_LEVELS) / 3
    with style():
        figure, grid = canvas(280, columns=2)
        for dimension, axes in enumerate(grid[0]):
            for number, (color, dash, _) in CLASS_LOOKS.items():
                mine = found.curves[found.label == number, 0, dimension]
                lines = axes.plot(values, mine.T, color=color, ls=dash, lw=1.2)
                if lines:
                    lines[0].set_label(classes[number])
            highest = found.curves[:, 0, dimension, _PAST_BLACK:].max()
            axes.set(xlabel="gray level", ylabel=("components", "holes")[dimension])
            axes.set(xlim=(0, 255), ylim=(0, 1.15 * highest))
        grid[0, 0].legend(loc="upper right")
    return figure
