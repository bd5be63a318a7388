"""Figures of the SOS page."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from common import figures
from common.chapters.sos.audit import METHODS
from common.chapters.sos.inputs import Slides
from common.chapters.sos.tables import GRID
from common.datasets import lks_phantom
from common.datasets.cases import Case
from common.models.sos_losses import executive_loss
from common.papers import Paper
from common.plotstyle import INK, PALETTE, QUIET, RULE, arm_styles, canvas, style

LOOKS = arm_styles(METHODS)


def fine_pair(vessels: Case, fibres: Case) -> Figure:
    """Show two renderings of one section as overviews, and a tile of the kidney of each.

    Args:
        vessels: without fibres around the tubules.
        fibres: the same section with them.
    """
    kidney = np.argwhere(fibres.info["tissue"] == 2).mean(axis=0).astype(int)
    near = tuple(slice(max(0, at - 32), max(0, at - 32) + 64) for at in kidney)
    images = [case.image for case in (vessels, fibres) if case.image is not None]
    return figures.gallery(
        [*(lks_phantom.shrink(each, 8)[0] for each in images), *(each[0][near] for each in images)],
        ["SMA-V, overview", "SMA-T, overview", "SMA-V, tile", "SMA-T, tile"],
        columns=4,
        limits=(0, 1),
    )


def one_of_each(slides: Slides) -> Figure:
    """Show the first slide of each class as an overview, and a tile from its middle below."""
    first = [int(np.flatnonzero(slides.label == code)[0]) for code in range(4)]
    n = slides.tiles.shape[1]
    middle = n // 2 + round(n**0.5) // 2  # tiles lie in rows of a square
    return figures.gallery(
        [slides.low[i, 0] for i in first] + [slides.tiles[i, middle, 0] / 255 for i in first],
        [*lks_phantom.CLASSES, "", "", "", ""],
        columns=4,
        limits=(0, 1),
    )


def cross_entropy(history: pd.DataFrame, paper: Paper) -> Figure:
    """Draw the cross-entropies of Image-Level, Multi-Scale and SOS over the epochs.

    Args:
        history: of :class:`common.chapters.sos.experiment.Outcome`.
        paper: names the arms.
    """
    stream = history["metric"].map({"ce1_loss": "low", "ce2_loss": "high"})
    shown = history["training"].isin(["image", "multi", "sos"]) & stream.notna()
    label = history["training"].map({arm.id: arm.label for arm in paper.arms})
    return figures.curves(
        history.assign(curve=label + ", " + stream)[shown],
        x="epoch",
        y="value",
        arm="curve",
        label_x="epoch",
        label_y="cross-entropy (nats)",
    )


def executive_terms(c: float, epsilon: float) -> Figure:
    """Draw the executive loss of one slide over the confidence of the low-resolution network.

    Args:
        c: threshold.
        epsilon: margin.
    """
    confidence = torch.linspace(0.5, 1, 101, dtype=torch.float64)
    # the classes that the slide has and that the high-resolution network answers; the first look
    # always answers class 0
    cases = {
        "LRN right: hesitation": (0, 0),
        "LRN wrong, HRN right: hubris": (1, 1),
        "both wrong: nothing": (1, 0),
    }
    with style():
        figure, grid = canvas(300)
        axes = grid[0, 0]
        axes.axvspan(c, c + epsilon, color=RULE, alpha=0.9, lw=0, label="between c and c + ε")
        for place, (name, (truth, answer)) in enumerate(cases.items()):
            high, label = torch.eye(2)[[answer]], torch.tensor([truth])
            values = []
            for sure in confidence:
                low = torch.stack([sure, 1 - sure])[None]
                parts = executive_loss(low, high, label, c=c, epsilon=epsilon)
                values.append(float(parts["hesitation"] + parts["hubris"]))
            dash = ("-", "--", ":")[place]
            axes.plot(confidence, values, ls=dash, color=PALETTE[place], label=name)
        axes.set(
            xlabel="largest probability at low resolution, max $N_s$", ylabel="loss of one slide"
        )
        axes.grid(axis="y")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2, borderaxespad=0.2)
    return figure


def pareto(published: pd.DataFrame, measured: pd.DataFrame, *, kind: str) -> Figure:
    """Draw accuracy over work relative to Multi-Scale, published and on the phantom.

    Args:
        published: ``row, cost, value, low, high``; accuracy in percent.
        measured: the same of one run.
        kind: the run's name.
    """
    with style():
        figure, grid = canvas(340, columns=2)
        sides = ((published, "published: time", "white"), (measured, f"{kind}: operations", None))
        for axes, (table, title, fill) in zip(grid[0], sides, strict=True):
            for row in table.to_dict("records"):
                look = LOOKS[row["row"]]
                face = look["color"] if fill is None else fill
                axes.vlines(row["cost"], row["low"], row["high"], color=look["color"], lw=2)
                axes.plot(
                    row["cost"],
                    row["value"],
                    ls="",
                    ms=8,
                    mfc=face,
                    mew=1.6,
                    label=row["row"],
                    **look,
                )
            axes.set_xscale("log")
            axes.set_xticks([0.05, 0.1, 0.2, 0.5, 1], ["0.05", "0.1", "0.2", "0.5", "1"])
            axes.minorticks_off()
            axes.set_xlim(0.03, 1.5)
            axes.grid()
            axes.set_title(title)
            axes.set_xlabel("work relative to Multi-Scale (log)")
        grid[0, 0].set_ylabel("accuracy (%)")
        handles, names = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper left", ncols=5)
    return figure


def risk(curves: Mapping[str, Mapping[str, NDArray[np.float64]]]) -> Figure:
    """Draw risk over coverage with and without the executive loss, one panel a run.

    Args:
        curves: by run, ``sos`` and ``no-executive`` (seeds, 100) at
            :data:`common.chapters.sos.tables.GRID`.
    """
    names = {"sos": "with the executive loss", "no-executive": "without it"}
    with style():
        figure, grid = canvas(300, columns=len(curves), sharey=True)
        for axes, (kind, mine) in zip(grid[0], curves.items(), strict=True):
            for place, (arm, label) in enumerate(names.items()):
                values, color = 100 * mine[arm], PALETTE[place]
                axes.fill_between(
                    100 * GRID, values.min(0), values.max(0), color=color, alpha=0.18, lw=0
                )
                axes.plot(
                    100 * GRID, values.mean(0), color=color, ls=("-", "--")[place], label=label
                )
            axes.set_title(kind)
            axes.grid(axis="y")
            axes.set_xlabel("slides accepted at low resolution (%)")
        grid[0, 0].set_ylabel("wrong among them (%)")
        handles, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=2)
    return figure


def recall_bars(recalls: pd.DataFrame) -> Figure:
    """Draw the printed recalls of each class with exact intervals.

    Args:
        recalls: of :func:`common.chapters.sos.pairing.recalls`.
    """
    classes = list(dict.fromkeys(recalls["class_name"]))
    with style():
        figure, grid = canvas(320)
        axes = grid[0, 0]
        for k, method in enumerate(METHODS):
            mine = recalls[recalls["method"] == method].set_index("class_name").loc[classes]
            at = np.arange(len(classes)) + 0.16 * (k - 2)
            axes.vlines(at, mine["low"], mine["high"], color=LOOKS[method]["color"], lw=2)
            axes.plot(at, mine["value"], ls="", ms=7, label=method, **LOOKS[method])
        names = [
            f"{name}\nn = {n}"
            for name, n in recalls.groupby("class_name", sort=False)["n"].first().items()
        ]
        axes.set_xticks(range(len(classes)), names)
        axes.set_ylabel("recall (%)")
        axes.set_ylim(-3, 103)
        axes.grid(axis="y")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=5, borderaxespad=0.2)
    return figure


def switch_at(curves: pd.DataFrame, c: float, published: tuple[float, float]) -> Figure:
    """Draw accuracy over the share decided at low resolution, with one threshold marked.

    Args:
        curves: ``c, accuracy, low_share, boost, seed``.
        c: the threshold to mark; one of those in the table.
        published: share decided at low resolution and accuracy of the paper, in percent.
    """
    with style():
        figure, grid = canvas(320)
        axes = grid[0, 0]
        for _, mine in curves.groupby("seed"):
            axes.plot(
                100 * mine["low_share"], 100 * mine["accuracy"], color=PALETTE[0], alpha=0.6, lw=1.4
            )
        here = curves[np.isclose(curves["c"], c)]
        axes.plot(100 * here["low_share"], 100 * here["accuracy"], "o", color=PALETTE[1], ms=9)
        share, boost = here["low_share"].mean(), here["boost"].mean()
        right = here["accuracy"].mean()
        axes.set_title(
            f"c = {c:g}: {share:.0%} decided at low resolution, accuracy {right:.1%}, "
            f"{boost:.1f} times as fast as Multi-Scale"
        )
        axes.plot(*published, "o", mfc="white", mec=INK, mew=1.6, ms=9)
        axes.annotate(
            "published", published, xytext=(-8, -14), textcoords="offset points", ha="right"
        )
        axes.set(xlabel="decided at low resolution (%)", ylabel="accuracy (%)", xlim=(-3, 103))
        axes.grid()
    return figure


def gain_parts(parts: pd.DataFrame, published: Sequence[float]) -> Figure:
    """Draw how a gain over Image-Level divides into a better network and switching.

    Args:
        parts: of :func:`common.chapters.sos.tables.gain_parts`, in points.
        published: least part of the network and largest of the switch that the printed numbers
            allow, in points.
    """
    rows = {"published\n(bounds)": tuple(published)}
    for kind, row in parts.iterrows():
        rows[str(kind)] = (row["better low-resolution network"], row["switching"])
    with style():
        figure, grid = canvas(110 + 50 * len(rows))
        axes = grid[0, 0]
        for place, (network, switch) in enumerate(rows.values()):
            axes.barh(
                place - 0.18,
                network,
                height=0.32,
                color=PALETTE[0],
                label="better low-resolution network" if not place else None,
            )
            axes.barh(
                place + 0.18,
                switch,
                height=0.32,
                color=PALETTE[5],
                hatch="//",
                edgecolor="white",
                label="switching" if not place else None,
            )
        axes.axvline(0, color=QUIET, lw=1)
        axes.set_yticks(range(len(rows)), list(rows))
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlabel("accuracy gained over Image-Level (points)")
        axes.grid(axis="x")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2, borderaxespad=0.2)
    return figure
