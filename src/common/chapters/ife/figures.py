"""Figures of the gel page: class sizes, softmaxed maps, attention beside the band."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from common.chapters.ife.gels import Gels
from common.datasets.ife_phantom import CLASSES
from common.models.ife import imbalance_ratio, task_counts
from common.plotstyle import INK, PALETTE, QUIET, WIDTH_PX, canvas, style
from common.statistics.mcnemar import mcnemar

SHOWN = (3, 6, 7, 2, 0, 0)  # classes of the gels whose attention is drawn
ARMS = ("full", "mt", "multiclass-attention")  # whose maps are kept
_ORANGE = PALETTE[5]
NAMES = {
    "nine-way": CLASSES,
    "heavy chain": ("none", "G", "A", "M"),
    "light chain": ("none", "kappa", "lambda"),
}


def class_sizes(counts: ArrayLike) -> Figure:
    """Draw the nine class sizes and those of the two sub-tasks on a log scale.

    Args:
        counts (9,): gels of each class.
    """
    nine = np.asarray(counts)
    parts = task_counts(nine)
    panels = {"nine-way": nine, "heavy chain": parts["heavy"], "light chain": parts["light"]}
    with style():
        figure, grid = canvas(300, columns=3, sharey=True, width_ratios=[9, 4.5, 3.5])
        for place, (axes, (task, sizes)) in enumerate(zip(grid[0], panels.items(), strict=True)):
            axes.bar(range(len(sizes)), sizes, color=PALETTE[place], width=0.7)
            axes.set_xticks(range(len(sizes)), NAMES[task], rotation=55, ha="right")
            axes.set_title(f"{task}\nIR {imbalance_ratio(sizes):.3f}")
            axes.set_yscale("log")
            axes.set_ylim(30, 2.5 * nine.max())
            for x, size in enumerate(sizes):
                axes.annotate(f"{size:,}", (x, size), ha="center", va="bottom", fontsize=8)
        grid[0, 0].set_ylabel("gels (log scale)")
    return figure


def gallery(images: Sequence[NDArray[Any]], titles: Sequence[str]) -> Figure:
    """Show gels three in a row, at their own aspect.

    Args:
        images: (3, height, width) each, all of one size.
        titles: one for each.
    """
    down, across = images[0].shape[1:]
    n_rows = -(-len(images) // 3)
    with style():
        figure, grid = canvas(
            round(n_rows * (WIDTH_PX / 3 * down / across + 26)), rows=n_rows, columns=3
        )
        for axes in grid.ravel():
            axes.set_axis_off()
        for axes, image, title in zip(grid.ravel(), images, titles, strict=False):
            axes.imshow(np.moveaxis(image, 0, 2))
            axes.set_title(title, fontsize=10)
    return figure


def softmaxed(tau: float, *, n_bins: int = 7) -> Figure:
    """Draw a peaked map of sigmoid values and its softmax with temperatures 1, tau and 1 / tau.

    Args:
        tau: temperature.
        n_bins: rows of the map.
    """
    weights = 0.05 + 0.9 * np.exp(-0.5 * (np.arange(n_bins) - n_bins // 2) ** 2)
    curves = {
        "softmax(M), what is pulled": 1.0,
        f"softmax(M / {tau:g}), target of negatives": 1 / tau,
        f"softmax({tau:g} M), target of positives": tau,
    }
    with style():
        figure, grid = canvas(280, columns=2, width_ratios=[1, 1.6])
        left, right = grid[0]
        left.bar(range(n_bins), weights, color=QUIET)
        left.set(ylim=(0, 1), xlabel="row of the map", ylabel="attention M", title="map")
        for place, (name, factor) in enumerate(curves.items()):
            share = np.exp(factor * weights) / np.exp(factor * weights).sum()
            right.plot(share, "osD"[place] + "-", label=name, color=PALETTE[place])
        right.axhline(1 / n_bins, color=QUIET, lw=1, ls="--")
        right.set(ylim=(0, 1), xlabel="row of the map", ylabel="share", title="distribution")
        right.legend()
    return figure


def kept_maps(
    gels: Gels, maps: Mapping[str, NDArray[np.float32]]
) -> dict[str, NDArray[np.generic]]:
    """Keep a few gels and what some arms look at there, for figures of later pages.

    Args:
        gels: the test gels.
        maps: by ``<arm>/<task>`` (n, H).

    Returns:
        ``image`` (6, 3, height, width), ``label`` and ``band_row`` (6,), and the maps by
        ``<arm>/<task>`` (6, H); fewer gels where a class has none.
    """
    chosen: list[int] = []
    for code in SHOWN:
        free = [i for i in np.flatnonzero(gels.label == code) if i not in chosen]
        chosen += [int(free[0])] if free else []
    kept = {name: each[chosen] for name, each in maps.items() if name.split("/")[0] in ARMS}
    return {
        "image": gels.image[chosen],
        "label": gels.label[chosen],
        "band_row": gels.band_row[chosen],
        **kept,
    }


def attention(kept: Mapping[str, NDArray[np.generic]], *, arm: str = "full") -> Figure:
    """Draw gels with the strongest rows of an arm's attention and the row of the band.

    Args:
        kept: see :func:`kept_maps`.
        arm: whose maps.
    """
    image = np.moveaxis(np.asarray(kept["image"]), 1, 3)
    tasks = [name.split("/")[1] for name in kept if name.startswith(f"{arm}/")]
    with style():
        figure, grid = canvas(420, rows=2, columns=3)
        for place, axes in enumerate(grid.ravel()):
            axes.set_axis_off()
            if place >= len(image):
                continue
            axes.imshow(image[place], aspect="auto")
            height, width = image.shape[1:3]
            for which, task in enumerate(tasks):
                weights = np.asarray(kept[f"{arm}/{task}"][place], dtype=float)
                _draw_map(axes, weights, height, width, which, task)
            row = float(kept["band_row"][place])
            if row >= 0:
                axes.axhline(row, color=PALETTE[1], lw=1.2, ls="--")
            axes.set_title(CLASSES[int(kept["label"][place])])
            axes.set_xlim(-0.5, 1.4 * width)
        handles = [axes_.get_legend_handles_labels() for axes_ in grid.ravel()[:1]]
        figure.legend(*handles[0], loc="outside lower center", ncols=3)
    return figure


def _draw_map(
    axes: Axes, weights: NDArray[np.float64], height: int, width: int, which: int, task: str
) -> None:
    """Draw a map as a curve at the right of the gel, its strongest bin as a band over the gel."""
    edges = np.linspace(-0.5, height - 0.5, len(weights) + 1)
    span = np.ptp(weights) or 1.0
    curve = width * (1.03 + 0.34 * (weights - weights.min()) / span)
    color = (PALETTE[0], PALETTE[2])[which]
    axes.stairs(curve, edges, orientation="horizontal", baseline=None, color=color, label=task)
    if which == 0:
        top = int(weights.argmax())
        axes.axhspan(edges[top], edges[top + 1], xmax=1 / 1.4, color=_ORANGE, alpha=0.25, lw=0)


def entropies(records: pd.DataFrame, arms: Mapping[str, str]) -> Figure:
    """Draw how evenly attention spreads over the rows in negatives and positives.

    Args:
        records: of one run.
        arms: labels of the arms shown.
    """
    own = records[records["metric"] == "attention_entropy"]
    with style():
        figure, grid = canvas(260, columns=len(arms), sharey=True)
        for axes, (arm, label) in zip(grid[0], arms.items(), strict=True):
            groups = [
                own[(own["arm"] == arm) & (own["group"] == name)]["value"].to_numpy()
                for name in ("negative", "positive")
            ]
            if all(len(values) for values in groups):
                parts = axes.violinplot(groups, showmedians=True, widths=0.8)
                for body, color in zip(parts["bodies"], PALETTE, strict=False):
                    body.set(facecolor=color, alpha=0.6)
                for name in ("cmedians", "cbars", "cmins", "cmaxes"):
                    parts[name].set(color=INK, lw=1)
            axes.set_xticks([1, 2], ["negatives", "positives"])
            axes.set_title(label)
        grid[0, 0].set_ylabel("entropy / log H")
    return figure


def disagreement(gain: float, *, most: int = 120) -> Figure:
    """Draw p of McNemar's exact test against the number of gels on which two networks disagree.

    Args:
        gain: by how many gels one is better.
        most: largest number of disagreements drawn.
    """
    better = round(gain)
    discordant = np.arange(abs(better), most + 1, 2)
    p = [_mcnemar_p((n + better) // 2, (n - better) // 2) for n in discordant.tolist()]
    with style():
        figure, grid = canvas(260)
        axes = grid[0, 0]
        axes.plot(discordant, p, color=PALETTE[0], marker="o", ms=3)
        axes.axhline(0.05, color=QUIET, lw=1, ls="--")
        axes.set(ylim=(0, 1), xlabel="gels on which exactly one network is right", ylabel="p")
        axes.set_title(f"{better} gels better")
    return figure


def _mcnemar_p(first_only: int, second_only: int) -> float:
    right = np.repeat([[1, 0], [0, 1]], [first_only, second_only], axis=0)
    return mcnemar(right[:, 0], right[:, 1]).p
