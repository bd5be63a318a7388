"""Figures of the pruning page."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from common.chapters.polyp_pruning.allocations import Network, best_found, outline
from common.chapters.polyp_pruning.audit import printed
from common.chapters.polyp_pruning.costs import TIMED_SCORES
from common.chapters.polyp_pruning.curves import AREA_LEVELS, LEVELS, SCORES, TIMED
from common.chapters.polyp_pruning.inputs import Frames
from common.chapters.polyp_pruning.tables import SIDES, Arrays
from common.models.polyp_pruning import LAYERS
from common.papers import Paper
from common.plotstyle import INK, PALETTE, QUIET, RULE, arm_styles, canvas, style

LOOKS = arm_styles(["taylor", "few", *SCORES[3:]]) | {"chance": {"color": QUIET}}
PANELS = {
    "parts of the score": ("taylor", "signed", "reversed", "absolute", "raw", "wrong-mask"),
    "one number from a map": ("taylor", "after", "mean", "squares", "mean-squares"),
    "other scores": ("taylor", "l1", "l1-layer", "activity", "even", "chance"),
}
_DASHES = ("-", "--", ":", "-.", (0, (1, 1)), (0, (5, 1, 1, 1)))


def frames(rows: Mapping[str, Frames], n: int = 6) -> Figure:
    """Show the first frames of each set with the outline of the polyp.

    Args:
        rows: by the word that heads the row.
        n: frames of a row.
    """
    with style():
        figure, grid = canvas(16 + 124 * len(rows), rows=len(rows), columns=n)
        for line, (name, mine) in zip(grid, rows.items(), strict=True):
            for axes, image, mask in zip(line, mine.image, mine.mask, strict=False):
                _frame(axes, image, mask)
            line[0].set_title(name, fontsize=10)
    return figure


def _frame(axes: Axes, image: NDArray[np.uint8], mask: NDArray[np.bool_]) -> None:
    axes.imshow(image.transpose(1, 2, 0))
    axes.contour(mask, [0.5], colors=["white"], linewidths=1.4)
    axes.set_axis_off()


def where_sizes_lie(levels: pd.DataFrame) -> Figure:
    """Draw which share of filters, parameters and operations each level owns.

    Args:
        levels: of :func:`common.chapters.polyp_pruning.tables.sizes_by_level`.
    """
    with style():
        figure, grid = canvas(240)
        axes = grid[0, 0]
        hatches = ("", "//", "..")
        for k, name in enumerate(levels.columns):
            at = np.arange(len(levels)) + 0.27 * (k - 1)
            axes.bar(
                at,
                levels[name],
                width=0.25,
                color=PALETTE[k],
                hatch=hatches[k],
                ec="white",
                label=name,
            )
        axes.set_xticks(range(len(levels)), [f"level {k}" for k in levels.index])
        axes.set_ylabel("share (%)")
        axes.grid(axis="y")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3, borderaxespad=0.2)
    return figure


def _band(
    axes: Axes, x: Sequence[float], values: NDArray[Any], *, place: int, label: str, color: str
) -> None:
    """Draw the mean over seeds and the span of the seeds."""
    x = [100 * share for share in x]
    if len(values) > 1:
        axes.fill_between(x, values.min(0), values.max(0), color=color, alpha=0.16, lw=0)
    axes.plot(x, values.mean(0), color=color, ls=_DASHES[place % len(_DASHES)], label=label)


def trade_off(arrays: Arrays, paper: Paper, times: pd.DataFrame) -> Figure:
    """Draw what is left over the share of filters removed: IoU, parameters, operations, time.

    Args:
        arrays: curves, see :func:`common.chapters.polyp_pruning.experiment.stacked`.
        paper: supplies the printed points.
        times: ``network, operations left, time left, low, high`` of this machine.
    """
    panels = ("IoU", "parameters left", "operations left", "time left")
    with style():
        figure, grid = canvas(520, rows=2, columns=2)
        for axes, name in zip(grid.flat, panels, strict=True):
            axes.set_ylabel(name)
            axes.set_xlabel("filters removed (%)")
            axes.set_xlim(-2, 92)
            axes.grid()
        for place, (side, (arm, share)) in enumerate(SIDES.items()):
            row, color = SCORES.index(arm), str(LOOKS[arm]["color"])
            label = paper.arm(arm).label
            _band(grid[0, 0], LEVELS, arrays["curve"][row], place=place, label=label, color=color)
            for axes, k in ((grid[0, 1], 0), (grid[1, 0], 1)):
                values = arrays["shares"][row][..., k]
                _band(axes, LEVELS, values, place=place, label=label, color=color)
            own = printed(paper, side)
            points = (own["iou"], own["parameters"], own["macs"], 1 - own["time"] / 100)
            for axes, value in zip(grid.flat, points, strict=True):
                axes.plot(
                    100 * share,
                    value,
                    "os"[place],
                    mfc="white",
                    mec=color,
                    mew=1.8,
                    ms=8,
                    label=f"published, {own['images']:.0f} frames",
                )
            here = times.loc[side]
            grid[1, 1].plot(100 * share, here["time left"], "os"[place], color=color, ms=7)
            grid[1, 1].vlines(100 * share, here["low"], here["high"], color=color, lw=2)
        grid[1, 1].plot([0, 0], [1, 1], "o", color=QUIET)
        for axes in grid.flat:
            axes.set_ylim(0, None)
        handles, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=2)
    return figure


def score_curves(arrays: Arrays, paper: Paper) -> Figure:
    """Draw the IoU over the share removed for every score, in three panels with one reference.

    Args:
        arrays: curves.
        paper: names the arms.
    """
    with style():
        figure, grid = canvas(660, rows=3, sharex=True)
        for axes, (title, arms) in zip(grid[:, 0], PANELS.items(), strict=True):
            for place, arm in enumerate(arms):
                label, color = paper.arm(arm).label, str(LOOKS[arm]["color"])
                if arm == "chance":
                    x: Sequence[float] = AREA_LEVELS
                    values = arrays["chance"]
                else:
                    x, values = LEVELS, arrays["curve"][SCORES.index(arm)]
                _band(axes, x, values, place=place, label=label, color=color)
            axes.set_title(title)
            axes.set_ylabel("IoU")
            axes.set_ylim(0, None)
            axes.grid()
            axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
        grid[-1, 0].set_xlabel("filters removed (%)")
    return figure


def cost_curves(arrays: Arrays, paper: Paper) -> Figure:
    """Draw parameters, operations and time over the share removed for every score.

    Args:
        arrays: with shares, and times at three levels, see
            :func:`common.chapters.polyp_pruning.costs.measure`.
        paper: names the arms and supplies the printed points.
    """
    with style():
        figure, grid = canvas(760, rows=3, columns=3, sharex=True, sharey="row")
        for column, (title, arms) in zip(grid.T, PANELS.items(), strict=True):
            for place, arm in enumerate(arms):
                looks = {"color": str(LOOKS[arm]["color"]), "ls": _DASHES[place % len(_DASHES)]}
                x, shares = _shares(arrays, arm)
                for axes, k in zip(column[:2], (0, 1), strict=True):
                    axes.plot(x, shares[..., k].mean(axis=0), label=paper.arm(arm).label, **looks)
                times = arrays["time-shares"][TIMED_SCORES.index(arm)]
                column[2].plot([0, *(100 * share for share in TIMED)], [1, *times], **looks)
            for place, (side, (_, share)) in enumerate(SIDES.items()):
                own = printed(paper, side)
                points = (own["parameters"], own["macs"], 1 - own["time"] / 100)
                for axes, value in zip(column, points, strict=True):
                    axes.plot(100 * share, value, "os"[place], mfc="white", mec=INK, ms=7)
            column[0].set_title(title, fontsize=10)
            column[2].set_xlabel("filters removed (%)")
            column[2].legend(
                *column[0].get_legend_handles_labels(),
                loc="upper left",
                bbox_to_anchor=(-0.1, -0.3),
                fontsize=8,
            )
        for axes, name in zip(grid[:, 0], ("parameters", "operations", "time"), strict=True):
            axes.set_ylabel(f"{name} left")
        for axes in grid.flat:
            axes.set(xlim=(-2, 92), ylim=(0, None))
            axes.grid()
    return figure


def _shares(arrays: Arrays, arm: str) -> tuple[list[float], NDArray[Any]]:
    levels, shares = (
        (AREA_LEVELS, arrays["chance-shares"])
        if arm == "chance"
        else (LEVELS, arrays["shares"][SCORES.index(arm)])
    )
    return [100 * share for share in levels], shares


def losses(arrays: Arrays) -> Figure:
    """Draw the error over the epochs of the three trainings of each seed.

    Args:
        arrays: with ``loss`` (trainings, seeds, epochs).
    """
    names = ("whole network", "small network", "whole, with twins of measured frames")
    with style():
        figure, grid = canvas(250)
        axes = grid[0, 0]
        for place, (name, values) in enumerate(zip(names, arrays["loss"], strict=True)):
            epochs = np.arange(1, values.shape[1] + 1)
            color = PALETTE[place]
            axes.fill_between(epochs, values.min(0), values.max(0), color=color, alpha=0.16, lw=0)
            axes.plot(epochs, values.mean(0), color=color, ls=_DASHES[place], label=name)
        axes.set(xlabel="epoch", ylabel="training error", ylim=(0, None))
        axes.grid()
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3, borderaxespad=0.2)
    return figure


def kept_filters(whole: Sequence[int], kept: Mapping[str, Sequence[float]]) -> Figure:
    """Draw the filters of each layer before and after, as the paper's Figure 1 does.

    Args:
        whole (18,): filters of the unpruned network.
        kept: by name, filters left (18,).
    """
    with style():
        figure, grid = canvas(90 + 150 * len(kept), rows=len(kept), sharex=True)
        for axes, (name, own) in zip(grid[:, 0], kept.items(), strict=True):
            _layer_bars(axes, whole, own)
            axes.set_title(name)
        grid[0, 0].legend(loc="upper right", ncols=2)
        grid[-1, 0].set_xticks(range(len(LAYERS)), LAYERS, rotation=60)
    return figure


def _layer_bars(axes: Axes, whole: Sequence[int], own: Sequence[float]) -> None:
    at = np.arange(len(whole))
    axes.bar(at, whole, color=RULE, width=0.8, label="whole")
    axes.bar(at, own, color=PALETTE[0], width=0.5, label="left")
    axes.set_ylabel("filters")
    axes.set_yscale("log", base=2)
    axes.set_ylim(0.7, 1.5 * max(whole))
    axes.grid(axis="y")


def network_at(arrays: Arrays, whole: Sequence[int], percent: float) -> Figure:
    """Draw the layers of the network when a share of its filters is gone, and what it costs.

    Args:
        arrays: curves and filters kept.
        whole (18,): filters of the unpruned network.
        percent: filters removed; the nearest level is shown.
    """
    place = int(np.argmin(np.abs(np.array(LEVELS) - percent / 100)))
    row = SCORES.index("taylor")
    iou = arrays["curve"][row][:, place].mean()
    parameters, macs = arrays["shares"][row][:, place].mean(axis=0)
    with style():
        figure, grid = canvas(280)
        axes = grid[0, 0]
        _layer_bars(axes, whole, arrays["kept"][1][:, place].mean(axis=0).tolist())
        axes.set_xticks(range(len(LAYERS)), LAYERS, rotation=60)
        axes.set_title(
            f"{LEVELS[place]:.1%} removed: IoU {iou:.3f}, {parameters:.0%} of the parameters, "
            f"{macs:.0%} of the operations"
        )
    return figure


def before_and_after(
    measure: Frames, masks: Mapping[str, NDArray[np.float32]], chosen: Sequence[int]
) -> Figure:
    """Show frames, the masks of both networks, and where they agree.

    Args:
        measure: measured frames.
        masks: ``before`` and ``after``: probabilities (n, S, S).
        chosen: frames to show.
    """
    colours = np.array([[1, 1, 1], _rgb(PALETTE[1]), _rgb(PALETTE[0]), [0.55, 0.58, 0.6]])
    with style():
        figure, grid = canvas(540, rows=4, columns=len(chosen))
        heads = ("frame", "before", "after", "agreement")
        for column, i in enumerate(chosen):
            before, after = (masks[name][i] > 0.5 for name in ("before", "after"))
            _frame(grid[0, column], measure.image[i], measure.mask[i])
            for line, mask in ((1, before), (2, after)):
                grid[line, column].imshow(mask, cmap="gray", vmin=0, vmax=1)
            # white: neither, grey: both, one colour each for what came and what went
            both = np.where(before & after, 3, np.where(before, 1, np.where(after, 2, 0)))
            grid[3, column].imshow(colours[both])
        for line, head in zip(grid, heads, strict=True):
            line[0].set_title(head, fontsize=10)
        for axes in grid.flat:
            axes.set_xticks([])
            axes.set_yticks([])
            axes.spines[:].set_visible(True)
    return figure


def _rgb(code: str) -> list[float]:
    return [int(code[k : k + 2], 16) / 255 for k in (1, 3, 5)]


def examples(measure: Frames, masks: Mapping[str, NDArray[np.float32]], n: int = 6) -> list[int]:
    """Choose frames evenly from those ordered by how much pruning changed their mask."""
    before, after = (masks[name] > 0.5 for name in ("before", "after"))
    changed = (before ^ after).mean(axis=(1, 2)) / np.maximum(measure.mask.mean(axis=(1, 2)), 1e-6)
    order = np.argsort(changed, kind="stable")
    return [int(order[k]) for k in np.linspace(0, len(order) - 1, n).round().astype(int)]


def feasible(paper: Paper, network: Network, *, rng: np.random.Generator) -> Figure:
    """Draw which pairs of parameters and operations can be left, and the printed pairs.

    Args:
        paper: supplies the printed pairs.
        network: whose filters are removed.
        rng: starts of the search.
    """
    with style():
        figure, grid = canvas(360, columns=2, sharey=True)
        for axes, side in zip(grid[0], SIDES, strict=True):
            own = printed(paper, side)
            n_remove = int(own["removed"])
            corners = outline(network, n_remove)
            axes.fill(
                *corners.T, color=PALETTE[4], alpha=0.35, lw=0, label="where allocations can lie"
            )
            found = np.array(
                [
                    network.shares(
                        best_found(network, network.direction(to), n_remove, rng=rng, starts=1)
                    )
                    for to in (
                        (1, 0),
                        (1, 0.6),
                        (0.4, 1),
                        (0, 1),
                        (-1, 1),
                        (-1, 0),
                        (0, -1),
                        (1, -0.5),
                    )
                ]
            )
            axes.plot(*found.T, ".", color=INK, ms=6, label="allocations found at its edge")
            axes.plot(
                own["parameters"],
                own["macs"],
                "X",
                color=PALETTE[1],
                ms=11,
                mec="white",
                label="published",
            )
            axes.set_title(f"{n_remove} of {network.n_filters:,} removed")
            axes.set_xlabel("parameters left")
            axes.set(xlim=(0, 1), ylim=(0, 1))
            axes.grid()
        grid[0, 0].set_ylabel("operations left")
        handles, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=3)
    return figure
