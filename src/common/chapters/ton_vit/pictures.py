"""Figures of the chapter that no other chapter needs."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from common.chapters.ton_vit.anomalies import KINDS
from common.chapters.ton_vit.averages import AVERAGES, average
from common.chapters.ton_vit.recognition import pairs
from common.chapters.ton_vit.videos import PROCEDURES, Videos
from common.models.ton_vit import Action, Array, Edge, distances, unit
from common.models.ton_vit_average import Average
from common.models.ton_vit_classify import Clusters
from common.plotstyle import INK, PALETTE, QUIET, RULE, canvas, style

VERB, NOUN = PALETTE[1], PALETTE[0]
_MARKS = ("o", "s", "^", "D", "v")
# a band over fewer clusters would fill the figure
FEW = 10
# so many verbs that a list of steps still fits a page
LONGEST = 24


def _label(axes: Axes, x: float, y: float, text: str, color: str, *, right: bool) -> None:
    axes.text(
        x,
        y,
        text,
        ha="right" if right else "left",
        va="center",
        fontsize=9.5,
        color=INK,
        bbox={"boxstyle": "round,pad=0.28", "fc": "white", "ec": color, "lw": 1.3},
    )


def _arrow(
    axes: Axes, start: tuple[float, float], end: tuple[float, float], color: str, *, thin: bool
) -> None:
    axes.add_patch(
        FancyArrowPatch(
            start,
            end,
            arrowstyle="-|>",
            mutation_scale=9,
            color=color,
            lw=0.8 if thin else 1.5,
            ls=(0, (3, 2)) if thin else "-",
            shrinkA=4,
            shrinkB=4,
        )
    )


def draw_steps(axes: Axes, edges: Sequence[Edge], *, title: str = "") -> None:
    """Draw a graph so that it reads as a list: verbs on the left in order, nouns on the right.

    Solid arrows run from a verb to its noun, dashed ones from a noun to the next verb.

    Args:
        axes: where to draw.
        edges: in the order of their ordinals; at most :data:`LONGEST` verbs are drawn.
        title: above it.
    """
    verbs = list(dict.fromkeys(node for edge in edges for node in edge if node.kind == "verb"))
    drawn = verbs[:LONGEST]
    shown = [edge for edge in edges if all(n in drawn or n.kind != "verb" for n in edge)]
    nouns = list(dict.fromkeys(n for edge in shown for n in edge if n.kind == "noun"))
    rows = max(len(drawn), 2)
    at = {node: (0.40, float(-i)) for i, node in enumerate(drawn)}
    spread = np.linspace(0, -(rows - 1), max(len(nouns), 2))
    at |= {node: (0.60, float(y)) for node, y in zip(nouns, spread, strict=False)}
    for tail, head in shown:
        if tail.kind == "verb":
            _arrow(axes, at[tail], at[head], VERB, thin=False)
        elif tail.kind == "noun":
            _arrow(axes, at[tail], at[head], QUIET, thin=True)
    for i, node in enumerate(drawn):
        again = f" ({node.nth})" if node.nth > 1 else ""
        _label(axes, *at[node], f"{i + 1}  {node.word}{again}", VERB, right=True)
    for node in nouns:
        _label(axes, *at[node], str(node.word), NOUN, right=False)
    more = len(verbs) - len(drawn)
    axes.set_title(title + (f"\nfirst {len(drawn)} of {len(verbs)} verbs" if more else ""))
    axes.set(xlim=(0, 1), ylim=(-rows + 0.3, 0.7))
    axes.set_axis_off()


def steps(edges: Sequence[Edge]) -> Figure:
    """Draw one graph; see :func:`draw_steps`."""
    n = len({node for edge in edges for node in edge if node.kind == "verb"})
    with style():
        figure, grid = canvas(60 + 34 * min(n, LONGEST))
        draw_steps(grid[0, 0], edges)
    return figure


def averages(actions: Sequence[Sequence[Action]], alpha: float, *, name: str) -> Figure:
    """Draw the average of some videos by both rules.

    Args:
        actions: of each video.
        alpha: threshold.
        name: of the procedure.
    """
    words = {"printed": "as printed", "meant": "as meant"}
    rules: Mapping[str, Average] = AVERAGES
    drawn = {arm: average(actions, rule, alpha) for arm, rule in rules.items()}
    with style():
        figure, grid = canvas(660, columns=2)
        for axes, (arm, each) in zip(grid[0], drawn.items(), strict=True):
            draw_steps(axes, each.edges, title=f"{words[arm]}, {len(each.edges)} edges")
        figure.suptitle(f"{name}, α = {alpha:g}", x=0.02, ha="left", fontsize=12)
    return figure


def matrices(p: Array, q: Array, names: Sequence[str]) -> Figure:
    """Show adjacency and ordinal matrix of a small graph."""
    with style():
        figure, grid = canvas(330, columns=2)
        for axes, values, title in zip(grid[0], (p, q), ("P: edge", "Q: order"), strict=True):
            axes.imshow(np.where(values > 0, values, np.nan), cmap="YlGnBu", vmin=0)
            for i, j in np.argwhere(values > 0):
                dark = values[i, j] > 0.6 * values.max()
                axes.text(
                    j, i, f"{values[i, j]:g}", ha="center", va="center", fontsize=8,
                    color="white" if dark else INK,
                )  # fmt: skip
            axes.set_xticks(range(len(names)), names, rotation=90, fontsize=8)
            axes.set_yticks(range(len(names)), names, fontsize=8)
            axes.set_title(f"{title}, from row to column")
    return figure


def distance_histogram(videos: Videos, published: tuple[float, float] | None = None) -> Figure:
    """Show the distances within and between procedures.

    Args:
        videos: normal ones.
        published: printed largest distance within, and smallest between.
    """
    within, outside = pairs(distances(videos.ordinals()), videos.label)
    bins = np.linspace(0, np.sqrt(2) + 1e-6, 49)
    with style():
        figure, grid = canvas(300)
        axes = grid[0, 0]
        for values, color, name in (
            (within, PALETTE[0], "within a procedure"),
            (outside, PALETTE[1], "between procedures"),
        ):
            share = np.full(len(values), 100 / len(values))
            axes.hist(values, bins, weights=share, color=color, alpha=0.65, label=name)
        if published is not None:
            for value, color in zip(published, PALETTE[:2], strict=True):
                axes.axvline(value, color=color, ls="--", lw=1.5)
                axes.text(
                    value, 0.97, f" {value:g}", transform=axes.get_xaxis_transform(), va="top"
                )
        axes.set_yscale("symlog", linthresh=1)
        axes.set_yticks([0, 1, 10, 100], ["0", "1", "10", "100"])
        axes.set(xlabel="distance of two graphs", ylabel="pairs (%)", xlim=(-0.02, 1.45))
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1.0), ncols=2, borderaxespad=0.2)
    return figure


def clusters(videos: Videos) -> Figure:
    """Show the first two principal components of normal videos, shortcuts and mistakes, both forms.

    Args:
        videos: with anomalies; axes are those of the normal videos.
    """
    with style():
        figure, grid = canvas(390, columns=2)
        normal = videos.kind == 0
        for axes, counted in zip(grid[0], (True, False), strict=True):
            x = unit(videos.ordinals(counted=counted))
            fitted = Clusters.fit(x[normal], videos.label[normal], n_components=2)
            place = fitted.project(x)
            for c, short in enumerate(PROCEDURES):
                mine = place[normal & (videos.label == c)]
                axes.plot(
                    *mine.T, ls="", marker=_MARKS[c], ms=4, alpha=0.5, color=PALETTE[c], label=short
                )
            for kind, mark in ((1, "+"), (2, "x")):
                mine = place[videos.kind == kind]
                axes.plot(*mine.T, ls="", marker=mark, ms=7, color=INK, label=KINDS[kind])
            axes.set(xlabel="first component", ylabel="second component")
            axes.set_title("repeats counted" if counted else "repeats merged")
        handles, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=7, columnspacing=0.8)
    return figure


def curve_of_accuracy(
    curves: Mapping[str, pd.DataFrame], points: pd.DataFrame, published: pd.DataFrame
) -> Figure:
    """Draw the accuracy of procedures over that of actions.

    Args:
        curves: for each name ``accuracy`` (0 to 1), ``value``, ``low``, ``high``, and ``n``
            clusters; fewer than :data:`FEW` get no band.
        points: of networks: ``form``, ``top1``, ``procedure``.
        published: rows ``row`` and ``value`` (percent), drawn along the axis.
    """
    with style():
        figure, grid = canvas(400)
        axes = grid[0, 0]
        for k, (name, each) in enumerate(curves.items()):
            color, dash = PALETTE[k // 2], ("-", "--")[k % 2]
            x = 100 * each["accuracy"]
            if each["n"].min() >= FEW:
                axes.fill_between(x, 100 * each["low"], 100 * each["high"], color=color, alpha=0.12)
            axes.plot(x, 100 * each["value"], color=color, ls=dash, label=name)
        for form, mark in (("graph", "o"), ("bag", "s")):
            mine = points[points["form"] == form]
            axes.plot(
                100 * mine["top1"], 100 * mine["procedure"], ls="", marker=mark, ms=6,
                mfc="none" if form == "bag" else PALETTE[3], mec=PALETTE[3],
                label=f"transformer, {form}",
            )  # fmt: skip
        for row, value in zip(published["row"], published["value"], strict=True):
            axes.axvline(value, color=RULE, lw=1.2, zorder=0)
            short = str(row).split(" (")[0]
            axes.text(value, 4, short, rotation=90, fontsize=8, color=QUIET, ha="right")
        axes.set(xlabel="actions recognised (%)", ylabel="procedures recognised (%)")
        axes.set(xlim=(0, 102), ylim=(0, 102))
        axes.legend(loc="lower right", fontsize=9)
    return figure


def thresholds(table: pd.DataFrame) -> Figure:
    """Draw edges and error of both averages over the threshold.

    Args:
        table: from :func:`common.chapters.ton_vit.averages.thresholds`.
    """
    words = {"printed": ("--", PALETTE[1], "as printed"), "meant": ("-", PALETTE[0], "as meant")}
    with style():
        figure, grid = canvas(300, columns=2)
        for axes, column, label in zip(
            grid[0],
            ("edges", "order_error"),
            ("edges of the average", "edit distance to the plain order"),
            strict=True,
        ):
            for rule, (dash, color, name) in words.items():
                mean = table[table["rule"] == rule].groupby("alpha")[column].mean()
                axes.plot(mean.index, mean, ls=dash, color=color, label=name)
            axes.set(xlabel="threshold α (share of videos)", ylabel=label, ylim=(0, None))
        grid[0, 0].legend()
    return figure


def attention(weights: Array, names: Sequence[str], clip: Array, title: str) -> Figure:
    """Show a clip, and how much the class token looks at each frame, by verb.

    Args:
        weights (verbs, T): rows sum to 1; NaN rows are left out.
        names: of the verbs.
        clip (3, T, size, size): values 0 to 1.
        title: of the clip.
    """
    known = np.flatnonzero(np.isfinite(weights[:, 0]))[:12]
    t = weights.shape[1]
    with style():
        figure, grid = canvas(190 + 22 * len(known), rows=2, height_ratios=(1.0, 2.4))
        film = np.concatenate(list(np.moveaxis(clip, (1, 0), (0, -1))), axis=1)
        grid[0, 0].imshow(np.clip(film, 0, 1), aspect="auto")
        grid[0, 0].set_axis_off()
        grid[0, 0].set_title(title)
        axes = grid[1, 0]
        shown = axes.imshow(100 * weights[known], aspect="auto", cmap="cividis")
        axes.set_yticks(range(len(known)), [names[k] for k in known], fontsize=9)
        axes.set_xticks(range(t), [str(k + 1) for k in range(t)])
        axes.set_xlabel("frame")
        figure.colorbar(shown, ax=axes, label="attention (%)")
    return figure
